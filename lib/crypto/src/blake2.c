/* SPDX-License-Identifier: ISC */
/* BLAKE2b and BLAKE2s (RFC 7693) without a key: nettle 3.8 has neither. */
#include <tarn/digest.h>
#include <tarn/writer.h>

static const uint8_t sigma[10][16] = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
                                      {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
                                      {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
                                      {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
                                      {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
                                      {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
                                      {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
                                      {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
                                      {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
                                      {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0}};
/* Which four words each of the eight mixings of a round takes. */
static const uint8_t lanes[8][4] = {{0, 4, 8, 12},  {1, 5, 9, 13},  {2, 6, 10, 14}, {3, 7, 11, 15},
                                    {0, 5, 10, 15}, {1, 6, 11, 12}, {2, 7, 8, 13},  {3, 4, 9, 14}};

/* The two differ in the width of a word, the number of rounds and the rotations. */
#define BLAKE2(id, word, bits, rounds, r1, r2, r3, r4, load, put, ...)                             \
    struct id {                                                                                    \
        word h[8];                                                                                 \
        uint64_t total;                                                                            \
        size_t used;                                                                               \
        uint8_t block[16 * sizeof(word)];                                                          \
    };                                                                                             \
    _Static_assert(sizeof(struct id) <= TARN_DIGEST_STATE_WORDS * 8, "fits");                      \
    static const word id##_iv[8] = {__VA_ARGS__};                                                  \
                                                                                                   \
    static word id##_turn(word x, unsigned n) {                                                    \
        return (word)(x >> n | x << (bits - n));                                                   \
    }                                                                                              \
    static void id##_mix(word v[16], const uint8_t lane[4], word x, word y) {                      \
        word *a = &TARN_AT_N(v, 16, TARN_AT_N(lane, 4, 0));                                        \
        word *b = &TARN_AT_N(v, 16, TARN_AT_N(lane, 4, 1));                                        \
        word *c = &TARN_AT_N(v, 16, TARN_AT_N(lane, 4, 2));                                        \
        word *d = &TARN_AT_N(v, 16, TARN_AT_N(lane, 4, 3));                                        \
        *a += *b + x;                                                                              \
        *d = id##_turn(*d ^ *a, r1);                                                               \
        *c += *d;                                                                                  \
        *b = id##_turn(*b ^ *c, r2);                                                               \
        *a += *b + y;                                                                              \
        *d = id##_turn(*d ^ *a, r3);                                                               \
        *c += *d;                                                                                  \
        *b = id##_turn(*b ^ *c, r4);                                                               \
    }                                                                                              \
    static void id##_compress(struct id *s, bool last) {                                           \
        word v[16], m[16];                                                                         \
        struct tarn_span in = TARN_SPAN_ARRAY(s->block);                                           \
        for (size_t i = 0; i < 16; i++) {                                                          \
            TARN_ASSERT(load(&in, &TARN_AT(m, i)));                                                \
            TARN_AT(v, i) = i < 8 ? TARN_AT(s->h, i) : TARN_AT(id##_iv, i - 8);                    \
        }                                                                                          \
        TARN_AT(v, 12) ^= (word)s->total;                                                          \
        TARN_AT(v, 13) ^= bits == 32 ? (word)(s->total >> 32) : 0;                                 \
        TARN_AT(v, 14) ^= last ? (word) ~(word)0 : 0;                                              \
        for (size_t round = 0; round < rounds; round++)                                            \
            for (size_t i = 0; i < 8; i++) {                                                       \
                const uint8_t *order = TARN_AT(sigma, round % 10);                                 \
                id##_mix(v, TARN_AT(lanes, i), TARN_AT(m, TARN_AT_N(order, 16, 2 * i)),            \
                         TARN_AT(m, TARN_AT_N(order, 16, 2 * i + 1)));                             \
            }                                                                                      \
        for (size_t i = 0; i < 8; i++)                                                             \
            TARN_AT(s->h, i) ^= TARN_AT(v, i) ^ TARN_AT(v, i + 8);                                 \
    }                                                                                              \
    static void id##_init(struct tarn_digest_ctx *c) {                                             \
        struct id *s = (struct id *)c->state;                                                      \
        *s = (struct id){.used = 0};                                                               \
        for (size_t i = 0; i < 8; i++)                                                             \
            TARN_AT(s->h, i) = TARN_AT(id##_iv, i);                                                \
        TARN_AT(s->h, 0) ^= 0x01010000 ^ 8 * sizeof(word);                                         \
    }                                                                                              \
    static void id##_update(struct tarn_digest_ctx *c, struct tarn_span data) {                    \
        struct id *s = (struct id *)c->state;                                                      \
        while (data.len > 0) {                                                                     \
            if (s->used == sizeof s->block) {                                                      \
                s->total += s->used;                                                               \
                id##_compress(s, false);                                                           \
                s->used = 0;                                                                       \
            }                                                                                      \
            struct tarn_bytes room = tarn_bytes_after(TARN_BYTES_ARRAY(s->block), s->used);        \
            size_t n = tarn_bytes_copy(room, data);                                                \
            s->used += n;                                                                          \
            data = tarn_span_after(data, n);                                                       \
        }                                                                                          \
    }                                                                                              \
    static void id##_final(struct tarn_digest_ctx *c, size_t len, uint8_t *out) {                  \
        struct id *s = (struct id *)c->state;                                                      \
        uint8_t all[8 * sizeof(word)];                                                             \
        struct tarn_writer w = TARN_WRITER_ARRAY(all);                                             \
        s->total += s->used;                                                                       \
        tarn_bytes_fill(tarn_bytes_after(TARN_BYTES_ARRAY(s->block), s->used), 0);                 \
        id##_compress(s, true);                                                                    \
        for (size_t i = 0; i < 8; i++)                                                             \
            put(&w, TARN_AT(s->h, i));                                                             \
        tarn_bytes_copy(tarn_bytes_of(out, len), TARN_SPAN_ARRAY(all));                            \
        id##_init(c);                                                                              \
    }                                                                                              \
    const struct tarn_digest tarn_##id = {#id,       8 * sizeof(word), 16 * sizeof(word),          \
                                          id##_init, id##_update,      id##_final};

BLAKE2(blake2b, uint64_t, 64, 12, 32, 24, 16, 63, tarn_span_u64le, tarn_writer_u64le,
       0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
       0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179)
BLAKE2(blake2s, uint32_t, 32, 10, 16, 12, 8, 7, tarn_span_u32le, tarn_writer_u32le, 0x6a09e667,
       0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19)
