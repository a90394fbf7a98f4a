/* SPDX-License-Identifier: ISC */
/* ML-KEM-768 (FIPS 203). Names and algorithm numbers are the standard's. Reductions are Barrett's,
 * by multiplication and shift: no division sees a secret. */
#include <tarn/digest.h>
#include <tarn/mlkem.h>
#include <tarn/writer.h>

#define N 256
#define Q 3329
#define K 3
#define POLY_BYTES 384
#define VECTOR_BYTES (K * POLY_BYTES)
#define DU 10
#define DV 4

struct poly {
    uint16_t c[N]; /* in [0, Q) */
};
struct vector {
    struct poly p[K];
};

/* For x < 2^26: x - floor(x / Q) * Q, with floor wrong by one at most, put right without a branch.
 */
static uint16_t reduce(uint32_t x) {
    uint32_t quotient = (uint32_t)((uint64_t)x * 20642678 >> 36); /* 2^36 / Q, rounded down */
    uint32_t r = x - quotient * Q - Q;
    return (uint16_t)(r + (Q & (0 - (r >> 31))));
}

static uint16_t add(uint16_t a, uint16_t b) {
    return reduce((uint32_t)a + b);
}

static uint16_t sub(uint16_t a, uint16_t b) {
    return reduce((uint32_t)a + Q - b);
}

static uint16_t mul(uint16_t a, uint16_t b) {
    return reduce((uint32_t)a * b);
}

/* 17^BitRev7(i) mod Q (appendix A). */
static const uint16_t zetas[128] = {
    1,    1729, 2580, 3289, 2642, 630,  1897, 848,  1062, 1919, 193,  797,  2786, 3260, 569,  1746,
    296,  2447, 1339, 1476, 3046, 56,   2240, 1333, 1426, 2094, 535,  2882, 2393, 2879, 1974, 821,
    289,  331,  3253, 1756, 1197, 2304, 2277, 2055, 650,  1977, 2513, 632,  2865, 33,   1320, 1915,
    2319, 1435, 807,  452,  1438, 2868, 1534, 2402, 2647, 2617, 1481, 648,  2474, 3110, 1227, 910,
    17,   2761, 583,  2649, 1637, 723,  2288, 1100, 1409, 2662, 3281, 233,  756,  2156, 3015, 3050,
    1703, 1651, 2789, 1789, 1847, 952,  1461, 2687, 939,  2308, 2437, 2388, 733,  2337, 268,  641,
    1584, 2298, 2037, 3220, 375,  2549, 2090, 1645, 1063, 319,  2773, 757,  2099, 561,  2466, 2594,
    2804, 1092, 403,  1026, 1143, 2150, 2775, 886,  1722, 1212, 1874, 1029, 2110, 2935, 885,  2154};

/* Algorithm 9. */
static void ntt(struct poly *f) {
    size_t i = 1;
    for (size_t len = 128; len >= 2; len /= 2)
        for (size_t start = 0; start < N; start += 2 * len) {
            uint16_t zeta = TARN_AT(zetas, i++);
            for (size_t j = start; j < start + len; j++) {
                uint16_t t = mul(zeta, TARN_AT(f->c, j + len));
                TARN_AT(f->c, j + len) = sub(TARN_AT(f->c, j), t);
                TARN_AT(f->c, j) = add(TARN_AT(f->c, j), t);
            }
        }
}

/* Algorithm 10. */
static void ntt_inverse(struct poly *f) {
    size_t i = 127;
    for (size_t len = 2; len <= 128; len *= 2)
        for (size_t start = 0; start < N; start += 2 * len) {
            uint16_t zeta = TARN_AT(zetas, i--);
            for (size_t j = start; j < start + len; j++) {
                uint16_t t = TARN_AT(f->c, j), u = TARN_AT(f->c, j + len);
                TARN_AT(f->c, j) = add(t, u);
                TARN_AT(f->c, j + len) = mul(zeta, sub(u, t));
            }
        }
    for (size_t j = 0; j < N; j++)
        TARN_AT(f->c, j) = mul(TARN_AT(f->c, j), 3303); /* 128^-1 */
}

/* sum += a * b in the NTT's domain (algorithms 11 and 12). */
static void multiply_add(struct poly *sum, const struct poly *a, const struct poly *b) {
    for (size_t i = 0; i < N / 2; i++) {
        uint16_t zeta = TARN_AT(zetas, 64 + i / 2);
        uint16_t gamma = i % 2 ? sub(0, zeta) : zeta;
        uint16_t a0 = TARN_AT(a->c, 2 * i), a1 = TARN_AT(a->c, 2 * i + 1);
        uint16_t b0 = TARN_AT(b->c, 2 * i), b1 = TARN_AT(b->c, 2 * i + 1);
        uint16_t c0 = add(mul(a0, b0), mul(mul(a1, b1), gamma));
        uint16_t c1 = add(mul(a0, b1), mul(a1, b0));
        TARN_AT(sum->c, 2 * i) = add(TARN_AT(sum->c, 2 * i), c0);
        TARN_AT(sum->c, 2 * i + 1) = add(TARN_AT(sum->c, 2 * i + 1), c1);
    }
}

static void poly_add(struct poly *a, const struct poly *b) {
    for (size_t i = 0; i < N; i++)
        TARN_AT(a->c, i) = add(TARN_AT(a->c, i), TARN_AT(b->c, i));
}

/* Algorithm 7, SampleNTT, of rho and two indices: public, so its loop may depend on it. */
static void sample_ntt(struct poly *f, const uint8_t rho[32], uint8_t j, uint8_t i) {
    uint8_t indices[2] = {j, i};
    struct tarn_shake xof;
    size_t have = 0;
    tarn_shake128_init(&xof);
    tarn_shake_absorb(&xof, tarn_span_of(rho, 32));
    tarn_shake_absorb(&xof, TARN_SPAN_ARRAY(indices));
    while (have < N) {
        uint8_t c[168];
        tarn_shake_squeeze(&xof, TARN_BYTES_ARRAY(c));
        for (size_t at = 0; at < sizeof c && have < N; at += 3) {
            uint16_t mid = TARN_AT(c, at + 1);
            uint16_t d1 = (uint16_t)(TARN_AT(c, at) | (mid & 15) << 8);
            uint16_t d2 = (uint16_t)((unsigned)mid >> 4 | (unsigned)TARN_AT(c, at + 2) << 4);
            if (d1 < Q)
                TARN_AT(f->c, have++) = d1;
            if (d2 < Q && have < N)
                TARN_AT(f->c, have++) = d2;
        }
    }
}

/* Algorithm 8 with eta = 2 over PRF(seed, nonce). */
static void sample_cbd(struct poly *f, const uint8_t seed[32], uint8_t nonce) {
    uint8_t bytes[128];
    struct tarn_shake prf;
    tarn_shake256_init(&prf);
    tarn_shake_absorb(&prf, tarn_span_of(seed, 32));
    tarn_shake_absorb(&prf, tarn_span_of(&nonce, 1));
    tarn_shake_squeeze(&prf, TARN_BYTES_ARRAY(bytes));
    for (size_t i = 0; i < N; i++) {
        uint32_t half = TARN_AT(bytes, i / 2) >> 4 * (i % 2);
        uint32_t x = (half & 1) + (half >> 1 & 1), y = (half >> 2 & 1) + (half >> 3 & 1);
        TARN_AT(f->c, i) = reduce(x + Q - y);
    }
    tarn_bytes_wipe(TARN_BYTES_ARRAY(bytes));
    tarn_bytes_wipe(tarn_bytes_of(&prf, sizeof prf));
}

/* Algorithm 5: d bits a coefficient, after rounding to d bits where d < 12 (section 4.2.1). */
static void encode(struct tarn_writer *w, const struct poly *f, unsigned d) {
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < N; i++) {
        uint32_t c = TARN_AT(f->c, i);
        if (d < 12) /* round(2^d / Q * c) mod 2^d */
            c = (uint32_t)((((uint64_t)c << (d + 1)) + Q) * 10321339 >> 36) & ((1u << d) - 1);
        bits |= c << have;
        for (have += d; have >= 8; have -= 8, bits >>= 8)
            tarn_writer_u8(w, (uint8_t)bits);
    }
}

/* Algorithm 6 and Decompress. */
static void decode(struct poly *f, struct tarn_span *in, unsigned d) {
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < N; i++) {
        uint8_t byte = 0;
        for (; have < d; have += 8) {
            TARN_ASSERT(tarn_span_u8(in, &byte));
            bits |= (uint32_t)byte << have;
        }
        uint32_t c = bits & ((1u << d) - 1);
        bits >>= d;
        have -= d;
        TARN_AT(f->c, i) = (uint16_t)(d < 12 ? (c * Q + (1u << (d - 1))) >> d : reduce(c));
    }
}

static void encode_vector(struct tarn_writer *w, const struct vector *v, unsigned d) {
    for (size_t i = 0; i < K; i++)
        encode(w, &TARN_AT(v->p, i), d);
}

static void decode_vector(struct vector *v, struct tarn_span *in, unsigned d) {
    for (size_t i = 0; i < K; i++)
        decode(&TARN_AT(v->p, i), in, d);
}

/* The hashes of section 4.1. */
static void h(struct tarn_span in, uint8_t out[32]) {
    tarn_digest_of(&tarn_sha3_256, in, tarn_bytes_of(out, 32));
}

static void g(struct tarn_span a, struct tarn_span b, uint8_t first[32], uint8_t second[32]) {
    uint8_t both[64];
    struct tarn_digest_ctx c;
    tarn_digest_init(&c, &tarn_sha3_512);
    tarn_digest_update(&c, a);
    tarn_digest_update(&c, b);
    tarn_digest_final(&c, TARN_BYTES_ARRAY(both));
    tarn_bytes_copy(tarn_bytes_of(first, 32), TARN_SPAN_ARRAY(both));
    tarn_bytes_copy(tarn_bytes_of(second, 32), tarn_span_after(TARN_SPAN_ARRAY(both), 32));
    tarn_bytes_wipe(TARN_BYTES_ARRAY(both));
    tarn_bytes_wipe(tarn_bytes_of(&c, sizeof c));
}

static void j(struct tarn_span z, struct tarn_span ct, uint8_t out[32]) {
    struct tarn_shake s;
    tarn_shake256_init(&s);
    tarn_shake_absorb(&s, z);
    tarn_shake_absorb(&s, ct);
    tarn_shake_squeeze(&s, tarn_bytes_of(out, 32));
    tarn_bytes_wipe(tarn_bytes_of(&s, sizeof s));
}

/* Algorithms 13 and 16. */
void tarn_mlkem768_from_seed(const uint8_t seed[64], uint8_t pub[1184], uint8_t secret[2400]) {
    uint8_t rho[32], sigma[32], hash[32], k = K;
    struct tarn_span d = tarn_span_of(seed, 32), z = tarn_span_after(tarn_span_of(seed, 64), 32);
    struct vector s, t;
    struct poly a;
    g(d, tarn_span_of(&k, 1), rho, sigma);
    for (size_t i = 0; i < K; i++) {
        sample_cbd(&TARN_AT(s.p, i), sigma, (uint8_t)i);
        sample_cbd(&TARN_AT(t.p, i), sigma, (uint8_t)(K + i)); /* e, to become t = A s + e */
        ntt(&TARN_AT(s.p, i));
        ntt(&TARN_AT(t.p, i));
    }
    for (size_t i = 0; i < K; i++)
        for (size_t col = 0; col < K; col++) {
            sample_ntt(&a, rho, (uint8_t)col, (uint8_t)i);
            multiply_add(&TARN_AT(t.p, i), &a, &TARN_AT(s.p, col));
        }
    struct tarn_writer wp = {pub, 0, TARN_MLKEM768_PUBLIC_BYTES};
    encode_vector(&wp, &t, 12);
    tarn_writer_mem(&wp, rho, 32);
    struct tarn_writer ws = {secret, 0, TARN_MLKEM768_SECRET_BYTES};
    encode_vector(&ws, &s, 12);
    tarn_writer_span_put(&ws, tarn_writer_span(&wp));
    h(tarn_writer_span(&wp), hash);
    tarn_writer_mem(&ws, hash, 32);
    tarn_writer_span_put(&ws, z);
    tarn_bytes_wipe(tarn_bytes_of(&s, sizeof s));
    tarn_bytes_wipe(TARN_BYTES_ARRAY(sigma));
}

void tarn_mlkem768_generate(struct tarn_random *random, uint8_t pub[1184], uint8_t secret[2400]) {
    uint8_t seed[64];
    tarn_random_fill(random, TARN_BYTES_ARRAY(seed));
    tarn_mlkem768_from_seed(seed, pub, secret);
    tarn_bytes_wipe(TARN_BYTES_ARRAY(seed));
}

/* Algorithm 14, K-PKE.Encrypt. */
static void pke_encrypt(struct tarn_span pub, const uint8_t m[32], const uint8_t r[32],
                        uint8_t ct[1088]) {
    struct vector t, y, u;
    struct poly a, v;
    uint8_t rho[32];
    decode_vector(&t, &pub, 12);
    TARN_ASSERT(tarn_span_copy(&pub, rho, 32));
    for (size_t i = 0; i < K; i++) {
        sample_cbd(&TARN_AT(y.p, i), r, (uint8_t)i);
        ntt(&TARN_AT(y.p, i));
    }
    struct tarn_writer w = {ct, 0, TARN_MLKEM768_CIPHERTEXT_BYTES};
    for (size_t i = 0; i < K; i++) {
        struct poly e1;
        TARN_AT(u.p, i) = (struct poly){{0}};
        for (size_t col = 0; col < K; col++) {
            sample_ntt(&a, rho, (uint8_t)i, (uint8_t)col); /* A transposed */
            multiply_add(&TARN_AT(u.p, i), &a, &TARN_AT(y.p, col));
        }
        ntt_inverse(&TARN_AT(u.p, i));
        sample_cbd(&e1, r, (uint8_t)(K + i));
        poly_add(&TARN_AT(u.p, i), &e1);
    }
    encode_vector(&w, &u, DU);
    v = (struct poly){{0}};
    for (size_t i = 0; i < K; i++)
        multiply_add(&v, &TARN_AT(t.p, i), &TARN_AT(y.p, i));
    ntt_inverse(&v);
    sample_cbd(&a, r, 2 * K); /* e2 */
    poly_add(&v, &a);
    struct tarn_span message = tarn_span_of(m, 32);
    decode(&a, &message, 1);
    poly_add(&v, &a);
    encode(&w, &v, DV);
    tarn_bytes_wipe(tarn_bytes_of(&y, sizeof y));
    tarn_bytes_wipe(tarn_bytes_of(&a, sizeof a));
    tarn_bytes_wipe(tarn_bytes_of(&v, sizeof v));
}

/* Algorithm 15, K-PKE.Decrypt. */
static void pke_decrypt(struct tarn_span secret, struct tarn_span ct, uint8_t m[32]) {
    struct vector u, s;
    struct poly v, w = {{0}};
    struct tarn_writer out = {m, 0, 32};
    decode_vector(&u, &ct, DU);
    decode(&v, &ct, DV);
    decode_vector(&s, &secret, 12);
    for (size_t i = 0; i < K; i++) {
        ntt(&TARN_AT(u.p, i));
        multiply_add(&w, &TARN_AT(s.p, i), &TARN_AT(u.p, i));
    }
    ntt_inverse(&w);
    for (size_t i = 0; i < N; i++)
        TARN_AT(w.c, i) = sub(TARN_AT(v.c, i), TARN_AT(w.c, i));
    encode(&out, &w, 1);
    tarn_bytes_wipe(tarn_bytes_of(&s, sizeof s));
    tarn_bytes_wipe(tarn_bytes_of(&w, sizeof w));
}

/* Section 7.2: what is encoded is below Q, or encoding it again gives something else. */
static bool public_is_valid(struct tarn_span pub) {
    if (pub.len != TARN_MLKEM768_PUBLIC_BYTES)
        return false;
    for (size_t at = 0; at < VECTOR_BYTES; at += 3) {
        uint32_t mid = tarn_span_at(pub, at + 1);
        if ((tarn_span_at(pub, at) | (mid & 15) << 8) >= Q
            || (mid >> 4 | (uint32_t)tarn_span_at(pub, at + 2) << 4) >= Q)
            return false;
    }
    return true;
}

enum tarn_err tarn_mlkem768_encapsulate_with(const uint8_t message[32], struct tarn_span pub,
                                             uint8_t ct[1088], uint8_t shared[32]) {
    uint8_t hash[32], r[32];
    if (!public_is_valid(pub))
        return TARN_PEER;
    h(pub, hash);
    g(tarn_span_of(message, 32), TARN_SPAN_ARRAY(hash), shared, r);
    pke_encrypt(pub, message, r, ct);
    tarn_bytes_wipe(TARN_BYTES_ARRAY(r));
    return TARN_OK;
}

enum tarn_err tarn_mlkem768_encapsulate(struct tarn_random *random, struct tarn_span pub,
                                        uint8_t ct[1088], uint8_t shared[32]) {
    uint8_t message[32];
    tarn_random_fill(random, TARN_BYTES_ARRAY(message));
    enum tarn_err err = tarn_mlkem768_encapsulate_with(message, pub, ct, shared);
    tarn_bytes_wipe(TARN_BYTES_ARRAY(message));
    return err;
}

/* Algorithms 18 and 21. */
enum tarn_err tarn_mlkem768_decapsulate(struct tarn_span secret, struct tarn_span ct,
                                        uint8_t shared[32]) {
    uint8_t m[32], r[32], good[32], rejected[32], again[TARN_MLKEM768_CIPHERTEXT_BYTES], hash[32];
    struct tarn_span rest = secret, s, pub, stored;
    uint32_t differs = 0;
    if (ct.len != sizeof again || secret.len != TARN_MLKEM768_SECRET_BYTES
        || !tarn_span_take(&rest, VECTOR_BYTES, &s)
        || !tarn_span_take(&rest, TARN_MLKEM768_PUBLIC_BYTES, &pub)
        || !tarn_span_take(&rest, 32, &stored))
        return TARN_PEER;
    h(pub, hash);
    if (!tarn_equal_ct(stored, TARN_SPAN_ARRAY(hash)))
        return TARN_PEER;
    pke_decrypt(s, ct, m);
    g(TARN_SPAN_ARRAY(m), stored, good, r);
    j(rest, ct, rejected);
    pke_encrypt(pub, m, r, again);
    for (size_t i = 0; i < sizeof again; i++)
        differs |= tarn_span_at(ct, i) ^ TARN_AT(again, i);
    uint8_t mask = (uint8_t)(0 - ((0 - differs) >> 31)); /* all ones where anything differs */
    for (size_t i = 0; i < 32; i++)
        *tarn_bytes_at(tarn_bytes_of(shared, 32), i) =
            (uint8_t)(TARN_AT(good, i) ^ (mask & (TARN_AT(good, i) ^ TARN_AT(rejected, i))));
    tarn_bytes_wipe(TARN_BYTES_ARRAY(m));
    tarn_bytes_wipe(TARN_BYTES_ARRAY(r));
    tarn_bytes_wipe(TARN_BYTES_ARRAY(good));
    tarn_bytes_wipe(TARN_BYTES_ARRAY(rejected));
    tarn_bytes_wipe(TARN_BYTES_ARRAY(again));
    return TARN_OK;
}
