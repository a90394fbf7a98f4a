/* SPDX-License-Identifier: ISC */
#include <tarn/csum.h>

static uint32_t fold64(uint64_t sum) {
    sum = (sum & 0xffffffffu) + (sum >> 32);
    sum = (sum & 0xffffffffu) + (sum >> 32);
    uint32_t s = (uint32_t)sum;
    s = (s & 0xffffu) + (s >> 16);
    return (s & 0xffffu) + (s >> 16);
}

/* Summed in memory order, 32 bits at a time into 64-bit lanes that the compiler may turn into
 * vectors; one byte swap at the end turns the sum into that of big-endian words (RFC 1071, 2(B)).
 */
uint32_t tarn_csum_add(uint32_t sum, struct tarn_span data) {
    uint64_t a = 0, b = 0;
    const uint8_t *p = data.ptr;
    size_t n = data.len;
    for (; n >= 32; n -= 32, p += 32) {
        uint32_t w[8];
        __builtin_memcpy(w, p, sizeof w);
        a += (uint64_t)w[0] + w[1] + w[2] + w[3];
        b += (uint64_t)w[4] + w[5] + w[6] + w[7];
    }
    for (; n >= 4; n -= 4, p += 4) {
        uint32_t w;
        __builtin_memcpy(&w, p, sizeof w);
        a += w;
    }
    if (n >= 2) {
        uint16_t w;
        __builtin_memcpy(&w, p, sizeof w);
        a += w;
        n -= 2;
        p += 2;
    }
    if (n)
        a += *p; /* the low byte of a little-endian word: a zero byte follows */
    uint16_t folded = (uint16_t)fold64(a + b);
    return fold64((uint64_t)sum + __builtin_bswap16(folded));
}

/* Written out beside tarn_csum_add rather than shared with it: each loop is loads and adds only, or
 * loads, stores and adds. */
uint32_t tarn_csum_copy(uint32_t sum, struct tarn_bytes dst, struct tarn_span data) {
    uint64_t a = 0, b = 0;
    const uint8_t *p = data.ptr;
    uint8_t *to = dst.ptr;
    size_t n = data.len;
    TARN_ASSERT(n <= dst.len);
    for (; n >= 32; n -= 32, p += 32, to += 32) {
        uint32_t w[8];
        __builtin_memcpy(w, p, sizeof w);
        __builtin_memcpy(to, w, sizeof w);
        a += (uint64_t)w[0] + w[1] + w[2] + w[3];
        b += (uint64_t)w[4] + w[5] + w[6] + w[7];
    }
    for (; n >= 2; n -= 2, p += 2, to += 2) {
        uint16_t w;
        __builtin_memcpy(&w, p, sizeof w);
        __builtin_memcpy(to, &w, sizeof w);
        a += w;
    }
    if (n) {
        *to = *p;
        a += *p;
    }
    uint16_t folded = (uint16_t)fold64(a + b);
    return fold64((uint64_t)sum + __builtin_bswap16(folded));
}

uint32_t tarn_csum_join(uint32_t sum, uint32_t piece, size_t offset) {
    uint16_t folded = (uint16_t)fold64(piece);
    return fold64((uint64_t)sum + (offset & 1 ? __builtin_bswap16(folded) : folded));
}

uint16_t tarn_csum_fold(uint32_t sum) {
    return (uint16_t)fold64(sum);
}

uint16_t tarn_csum_finish(uint32_t sum) {
    return (uint16_t)~fold64(sum);
}

uint16_t tarn_csum_update16(uint16_t field, uint16_t before, uint16_t after) {
    return (uint16_t)~fold64((uint64_t)(uint16_t)~field + (uint16_t)~before + after);
}
