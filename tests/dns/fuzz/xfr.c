/* SPDX-License-Identifier: ISC */
/* What a primary may send: the answer sections of messages, each behind its length and a count of
 * records. The first byte says whether there is a zone already. */
#include "../serve.h"
#include <tarn/dns_secondary.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static struct serve s;
    static const char *const none[] = {NULL};
    static uint8_t out[70000];
    struct tarn_span in = tarn_span_of(bytes, size);
    struct tarn_dns_zone *current = NULL;
    struct tarn_dns_xfr x;
    enum tarn_err err = TARN_AGAIN;
    uint8_t has, count;
    uint16_t len;
    if (!tarn_span_u8(&in, &has))
        return 0;
    serve_init(&s, (struct tarn_dns_server_config){0});
    if (has & 1)
        current = zone_of(&s, "a.", "$TTL 60\n@ SOA . . 5 1 1 1 1\n@ NS .\nb A 1.2.3.4\n");
    tarn_dns_xfr_init(&x, &s.mem.alloc, &s.random.random, TARN_SPAN_LIT("\1a\0"), current, 1 << 20,
                      NULL);
    while (err == TARN_AGAIN && tarn_span_u8(&in, &count) && tarn_span_u16be(&in, &len)) {
        struct tarn_span body = tarn_span_first(in, len);
        struct tarn_writer w = TARN_WRITER_ARRAY(out);
        in = tarn_span_after(in, len);
        tarn_writer_u16be(&w, x.id);
        tarn_writer_u32be(&w, 0x84000000);
        tarn_writer_u32be(&w, (uint32_t)count << 16);
        tarn_writer_u16be(&w, 0);
        tarn_writer_span_put(&w, body);
        err = tarn_dns_xfr_input(&x, 0, tarn_writer_span(&w));
        if (err == TARN_PEER && !x.why)
            abort();
    }
    if (err == TARN_OK && x.zone) {
        uint32_t serial;
        if (!tarn_dns_zone_serial(x.zone, &serial) || serial != x.serial_new)
            abort();
    }
    tarn_dns_xfr_fini(&x);
    if (current)
        tarn_dns_zone_free(current);
    serve_fini(&s, none);
    return 0;
}
