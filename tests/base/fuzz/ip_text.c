/* SPDX-License-Identifier: ISC */
/* What parses as an address or a prefix prints, parses again, and is the same. */
#include <tarn/ip_addr.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct tarn_span text = tarn_span_of(data, size);
    struct tarn_ip_addr addr, again;
    struct tarn_ip_prefix prefix;
    uint8_t mem[TARN_IP_ADDR_TEXT_MAX];
    struct tarn_writer w = TARN_WRITER_ARRAY(mem);
    if (tarn_ip_addr_parse(text, &addr)) {
        tarn_writer_ip_addr(&w, &addr);
        TARN_ASSERT(tarn_writer_ok(&w));
        TARN_ASSERT(tarn_ip_addr_parse(tarn_writer_span(&w), &again));
        TARN_ASSERT(tarn_ip_addr_equal(&addr, &again));
    }
    if (tarn_ip_prefix_parse(text, &prefix)) {
        TARN_ASSERT(tarn_ip_prefix_contains(&prefix, &prefix.addr));
        TARN_ASSERT(prefix.bits <= (tarn_ip_addr_is_v4(&prefix.addr) ? 32 : 128));
    }
    return 0;
}
