/* SPDX-License-Identifier: ISC */
/* Updates, each behind its length, one after the other. A zone that comes out of one has its apex,
 * and a newer serial; otherwise nothing has changed. */
#include "../serve.h"
#include <tarn/dns_update.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static struct serve s;
    static const char *const none[] = {NULL};
    struct tarn_span in = tarn_span_of(bytes, size), message;
    uint16_t len;
    serve_init(&s, (struct tarn_dns_server_config){0});
    struct tarn_dns_zone *zone = zone_of(
        &s, "a.",
        "$TTL 60\n@ SOA . . 5 1 1 1 1\n@ NS .\n@ NS b\nb A 1.2.3.4\nb TXT x\nc.d CNAME b\n");
    while (tarn_span_u16be(&in, &len)) {
        struct tarn_span delta;
        struct tarn_dns_zone_stats before, after;
        uint32_t was, now;
        tarn_dns_zone_stats(zone, &before);
        if (!tarn_dns_zone_serial(zone, &was))
            abort();
        message = tarn_span_first(in, len);
        in = tarn_span_after(in, message.len);
        unsigned rcode = tarn_dns_update(&s.mem.alloc, zone, message, &delta);
        tarn_dns_zone_stats(zone, &after);
        if (!tarn_dns_zone_serial(zone, &now) || (delta.len && rcode)
            || (delta.len != 0) != tarn_dns_serial_newer(now, was)
            || (!delta.len && (before.names != after.names || before.records != after.records)))
            abort();
    }
    tarn_dns_zone_free(zone);
    serve_fini(&s, none);
    return 0;
}
