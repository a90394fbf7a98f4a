/* SPDX-License-Identifier: ISC */
/* Updates, each behind its length, one after the other. A zone that comes out of one has its apex,
 * and a newer serial. */
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
    struct tarn_dns_update_config config = {
        .alloc = &s.mem.alloc, .random = &s.random.random, .memory_max = 1 << 20};
    while (tarn_span_u16be(&in, &len)) {
        struct tarn_dns_zone *out;
        uint32_t was, now;
        message = tarn_span_first(in, len);
        in = tarn_span_after(in, message.len);
        unsigned rcode = tarn_dns_update(&config, zone, message, &out);
        if (!out)
            continue;
        if (rcode || !tarn_dns_zone_serial(zone, &was) || !tarn_dns_zone_serial(out, &now)
            || !tarn_dns_serial_newer(now, was))
            abort();
        tarn_dns_zone_free(zone);
        zone = out;
    }
    tarn_dns_zone_free(zone);
    serve_fini(&s, none);
    return 0;
}
