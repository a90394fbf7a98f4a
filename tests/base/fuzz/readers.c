/* SPDX-License-Identifier: ISC */
/* A small language of span readers: each byte says which to call next. Whatever they are asked,
 * what is left is always a tail of the input, and a refusal changes nothing. */
#include <tarn/span.h>

static bool step(struct tarn_span *s, uint8_t op) {
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    uint8_t buf[16];
    struct tarn_span head;
    switch (op % 12) {
    case 0: return tarn_span_skip(s, op / 12);
    case 1: return tarn_span_u16be(s, &u16) && tarn_span_skip(s, u16);
    case 2: return tarn_span_u32be(s, &u32) && tarn_span_skip(s, u32);
    case 3: return tarn_span_u64be(s, &u64) && tarn_span_skip(s, u64);
    case 4: return tarn_span_u16le(s, &u16) && tarn_span_u32le(s, &u32);
    case 5: return tarn_span_u64le(s, &u64) && tarn_span_sub(*s, op, u64, &head);
    case 6: return tarn_span_copy(s, buf, op % 16u);
    case 7: return tarn_span_take(s, op, &head) && tarn_span_equal_nocase(head, head);
    case 8: return tarn_span_split(s, op, &head);
    case 9: return tarn_span_parse_dec(tarn_span_first(*s, op / 12), UINT64_MAX, &u64);
    case 10: return tarn_span_parse_hex(tarn_span_first(*s, op / 12), UINT64_MAX, &u64);
    default:
        *s = tarn_span_trim(*s, " \t0");
        return tarn_span_ends(*s, tarn_span_after(*s, op)) && tarn_span_starts(*s, *s);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct tarn_span s = tarn_span_of(data, size);
    uint8_t op;
    while (tarn_span_u8(&s, &op)) {
        size_t before = s.len;
        (void)step(&s, op);
        TARN_ASSERT(s.len <= before);
        TARN_ASSERT(s.len == 0 || (s.ptr >= data && s.ptr + s.len <= data + size));
    }
    return 0;
}
