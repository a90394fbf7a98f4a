/* SPDX-License-Identifier: ISC */
/* SHA-1 (FIPS 180-4), which NSEC3 is made of (RFC 5155 section 5). Nothing secret goes in. */
#include "server.h"

struct sha1 {
    uint32_t a, b, c, d, e;
    uint8_t block[64];
    uint64_t len;
};

static uint32_t rotate(uint32_t v, unsigned n) {
    return v << n | v >> (32 - n);
}

static void compress(struct sha1 *s) {
    uint32_t w[80], a = s->a, b = s->b, c = s->c, d = s->d, e = s->e;
    struct tarn_span in = TARN_SPAN_ARRAY(s->block);
    for (size_t i = 0; i < 16; i++)
        TARN_ASSERT(tarn_span_u32be(&in, &TARN_AT(w, i)));
    for (size_t i = 16; i < 80; i++)
        TARN_AT(w, i) = rotate(
            TARN_AT(w, i - 3) ^ TARN_AT(w, i - 8) ^ TARN_AT(w, i - 14) ^ TARN_AT(w, i - 16), 1);
    for (size_t i = 0; i < 80; i++) {
        uint32_t f = i < 20   ? (b & c) + (~b & d) + 0x5a827999u
                     : i < 40 ? (b ^ c ^ d) + 0x6ed9eba1u
                     : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdcu
                              : (b ^ c ^ d) + 0xca62c1d6u;
        uint32_t next = rotate(a, 5) + f + e + TARN_AT(w, i);
        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = next;
    }
    s->a += a;
    s->b += b;
    s->c += c;
    s->d += d;
    s->e += e;
}

static void add(struct sha1 *s, struct tarn_span data) {
    while (data.len) {
        size_t at = s->len % 64;
        size_t n = tarn_bytes_copy(tarn_bytes_after(TARN_BYTES_ARRAY(s->block), at), data);
        s->len += n;
        data = tarn_span_after(data, n);
        if (s->len % 64 == 0)
            compress(s);
    }
}

void dns_sha1(const struct tarn_span *pieces, size_t n, uint8_t out[20]) {
    static const uint8_t padding[64] = {0x80};
    struct sha1 s = {0x67452301u, 0xefcdab89u, 0x98badcfeu, 0x10325476u, 0xc3d2e1f0u, {0}, 0};
    struct tarn_writer w = tarn_writer_over(tarn_bytes_of(out, 20));
    uint8_t bits[8];
    struct tarn_writer len = TARN_WRITER_ARRAY(bits);
    for (size_t i = 0; i < n; i++)
        add(&s, TARN_AT_N(pieces, n, i));
    tarn_writer_u64be(&len, s.len * 8);
    add(&s, tarn_span_first(TARN_SPAN_ARRAY(padding), 1 + (119 - s.len % 64) % 64));
    add(&s, TARN_SPAN_ARRAY(bits));
    tarn_writer_u32be(&w, s.a);
    tarn_writer_u32be(&w, s.b);
    tarn_writer_u32be(&w, s.c);
    tarn_writer_u32be(&w, s.d);
    tarn_writer_u32be(&w, s.e);
}
