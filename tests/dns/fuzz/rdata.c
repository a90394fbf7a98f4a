/* SPDX-License-Identifier: ISC */
/* Two bytes are a type. The rest is its data: what is valid prints as text that parses to the same
 * bytes. */
#include "../text.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static uint8_t text[400000], again[TARN_DNS_RDATA_MAX];
    struct tarn_span data = tarn_span_of(bytes, size);
    struct tarn_writer w = TARN_WRITER_ARRAY(text), v = TARN_WRITER_ARRAY(again);
    const char *why;
    uint32_t column;
    uint16_t type;
    if (!tarn_span_u16be(&data, &type) || data.len > 4000)
        return 0;
    if (!tarn_dns_rdata_valid(data, type))
        return 0;
    tarn_dns_rdata_print(&w, data, type);
    if (!tarn_writer_ok(&w)
        || !tarn_dns_rdata_parse(tarn_writer_span(&w), type, TARN_SPAN_EMPTY, &v, &why, &column)) {
        fprintf(stderr, "type %u: %.*s\n", type, (int)w.len, text);
        abort();
    }
    if (!tarn_span_equal(tarn_writer_span(&v), data))
        abort();
    return 0;
}
