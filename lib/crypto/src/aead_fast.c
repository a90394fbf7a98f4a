/* SPDX-License-Identifier: ISC */
/* AES-GCM and ChaCha20-Poly1305 over the assembly of OpenSSL's libcrypto, which is several times as
 * fast as nettle's. Only five of its objects are taken (lib/members.py); what they ask for is a
 * word of capabilities, which is a constant here: they are used where the processor has all of it,
 * or not at all. */
#include <cpuid.h>
#include <tarn/aead.h>
#include <tarn/writer.h>

#define ASM(name) tarn_asm_##name

/* Words of CPUID: 1.EDX, 1.ECX, 7.EBX, 7.ECX. */
#define CAPS_1_EDX (1u << 24 | 1u << 25 | 1u << 26) /* FXSR, SSE, SSE2 */
#define CAPS_1_ECX                                                                                 \
    (bit_PCLMUL | bit_SSSE3 | bit_SSE4_1 | bit_MOVBE | bit_AES | bit_OSXSAVE | bit_AVX)
#define CAPS_7_EBX (bit_BMI | bit_AVX2 | bit_BMI2)
#define XCR0_SSE_AVX 6u

extern const uint32_t ASM(OPENSSL_ia32cap_P)[4];
const uint32_t ASM(OPENSSL_ia32cap_P)[4] = {CAPS_1_EDX, CAPS_1_ECX, CAPS_7_EBX, 0};

struct aes_schedule {
    uint32_t words[60];
    int32_t rounds;
};
/* The hash's state, its key, and the powers of the key: adjacent, as the assembly wants them. */
struct ghash {
    uint64_t xi[2], h[2], table[32];
};

int ASM(aesni_set_encrypt_key)(const uint8_t *key, int bits, struct aes_schedule *out);
void ASM(aesni_encrypt)(const uint8_t in[16], uint8_t out[16], const struct aes_schedule *key);
void ASM(aesni_ctr32_encrypt_blocks)(const uint8_t *in, uint8_t *out, size_t blocks,
                                     const struct aes_schedule *key, const uint8_t counter[16]);
void ASM(gcm_init_avx)(uint64_t table[32], const uint64_t h[2]);
void ASM(gcm_gmult_avx)(uint64_t xi[2], const uint64_t table[32]);
void ASM(gcm_ghash_avx)(uint64_t xi[2], const uint64_t table[32], const uint8_t *in, size_t len);
size_t ASM(aesni_gcm_encrypt)(const uint8_t *in, uint8_t *out, size_t len,
                              const struct aes_schedule *key, uint8_t counter[16],
                              struct ghash *hash);
size_t ASM(aesni_gcm_decrypt)(const uint8_t *in, uint8_t *out, size_t len,
                              const struct aes_schedule *key, uint8_t counter[16],
                              struct ghash *hash);

bool tarn_aead_has_fast(void) {
    unsigned a, b, c, d, low, high;
    __cpuid(1, a, b, c, d);
    if ((d & CAPS_1_EDX) != CAPS_1_EDX || (c & CAPS_1_ECX) != CAPS_1_ECX)
        return false;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0)); /* the system saves wide registers */
    if ((low & XCR0_SSE_AVX) != XCR0_SSE_AVX)
        return false;
    __cpuid_count(7, 0, a, b, c, d); /* there, since whoever has AVX has leaf 13 */
    return (b & CAPS_7_EBX) == CAPS_7_EBX;
}

/* -- AES-GCM (SP 800-38D) -- */

struct gcm {
    struct aes_schedule key;
    struct ghash hash; /* xi is 0 */
};
_Static_assert(sizeof(struct gcm) <= TARN_AEAD_STATE_WORDS * 8, "fits");

/* One message: the counter block and the hash go on, the rest is the key's. */
struct gcm_run {
    const struct aes_schedule *key;
    struct ghash hash;
    uint8_t counter[16], first[16]; /* the encrypted first counter masks the tag */
};

static uint32_t be32_at(const uint8_t block[16]) {
    struct tarn_span s = tarn_span_after(tarn_span_of(block, 16), 12);
    uint32_t v = 0;
    TARN_ASSERT(tarn_span_u32be(&s, &v));
    return v;
}

static void be32_put(uint8_t block[16], uint32_t v) {
    struct tarn_writer w = tarn_writer_over(tarn_bytes_after(tarn_bytes_of(block, 16), 12));
    tarn_writer_u32be(&w, v);
}

static void gcm_init(struct tarn_aead_ctx *c, const uint8_t *key) {
    struct gcm *g = (struct gcm *)c->state;
    uint8_t h[16] = {0};
    *g = (struct gcm){.key = {.rounds = 0}};
    TARN_ASSERT(ASM(aesni_set_encrypt_key)(key, (int)c->alg->key_bytes * 8, &g->key) == 0);
    ASM(aesni_encrypt)(h, h, &g->key);
    struct tarn_span s = TARN_SPAN_ARRAY(h);
    TARN_ASSERT(tarn_span_u64be(&s, &TARN_AT(g->hash.h, 0)));
    TARN_ASSERT(tarn_span_u64be(&s, &TARN_AT(g->hash.h, 1)));
    ASM(gcm_init_avx)(g->hash.table, g->hash.h);
    tarn_bytes_wipe(TARN_BYTES_ARRAY(h));
}

/* Hashes data and the zeros that fill its last block. */
static void gcm_hash(struct gcm_run *r, struct tarn_span data) {
    uint8_t last[16] = {0};
    size_t whole = data.len & ~(size_t)15;
    if (whole)
        ASM(gcm_ghash_avx)(r->hash.xi, r->hash.table, data.ptr, whole);
    if (data.len > whole) {
        tarn_bytes_copy(TARN_BYTES_ARRAY(last), tarn_span_after(data, whole));
        ASM(gcm_ghash_avx)(r->hash.xi, r->hash.table, last, sizeof last);
    }
}

static void gcm_hash_lengths(struct gcm_run *r, size_t aad, size_t text) {
    uint8_t block[16];
    struct tarn_writer w = TARN_WRITER_ARRAY(block);
    tarn_writer_u64be(&w, (uint64_t)aad * 8);
    tarn_writer_u64be(&w, (uint64_t)text * 8);
    gcm_hash(r, TARN_SPAN_ARRAY(block));
}

static void gcm_start(struct gcm_run *r, const struct gcm *g, struct tarn_span nonce,
                      struct tarn_span aad) {
    r->key = &g->key;
    r->hash = g->hash;
    if (nonce.len == 12) {
        tarn_bytes_copy(TARN_BYTES_ARRAY(r->counter), nonce);
        be32_put(r->counter, 1);
    } else {
        gcm_hash(r, nonce);
        gcm_hash_lengths(r, 0, nonce.len);
        tarn_bytes_copy(TARN_BYTES_ARRAY(r->counter), TARN_SPAN_ARRAY(r->hash.xi));
        tarn_bytes_fill(TARN_BYTES_ARRAY(r->hash.xi), 0);
    }
    ASM(aesni_encrypt)(r->counter, r->first, r->key);
    be32_put(r->counter, be32_at(r->counter) + 1);
    gcm_hash(r, aad);
}

/* The counter mode alone, for what is left behind the large steps. */
static void gcm_crypt(struct gcm_run *r, struct tarn_span src, struct tarn_bytes dst) {
    uint8_t last[16];
    size_t blocks = src.len / 16, rest = src.len % 16;
    if (blocks)
        ASM(aesni_ctr32_encrypt_blocks)(src.ptr, dst.ptr, blocks, r->key, r->counter);
    if (rest == 0)
        return;
    be32_put(r->counter, be32_at(r->counter) + (uint32_t)blocks);
    ASM(aesni_encrypt)(r->counter, last, r->key);
    for (size_t i = 0; i < rest; i++)
        *tarn_bytes_at(dst, 16 * blocks + i) =
            tarn_span_at(src, 16 * blocks + i) ^ TARN_AT(last, i);
    tarn_bytes_wipe(TARN_BYTES_ARRAY(last));
}

static void gcm_tag(struct gcm_run *r, size_t aad, size_t text, uint8_t *tag) {
    gcm_hash_lengths(r, aad, text);
    struct tarn_span xi = TARN_SPAN_ARRAY(r->hash.xi);
    for (size_t i = 0; i < 16; i++)
        *tarn_bytes_at(tarn_bytes_of(tag, 16), i) = tarn_span_at(xi, i) ^ TARN_AT(r->first, i);
    tarn_bytes_wipe(tarn_bytes_of(r, sizeof *r));
}

static void gcm_seal(const struct tarn_aead_ctx *c, struct tarn_span nonce, struct tarn_span aad,
                     size_t len, uint8_t *dst, const uint8_t *src, uint8_t *tag) {
    struct gcm_run r;
    gcm_start(&r, (const struct gcm *)c->state, nonce, aad);
    size_t done = ASM(aesni_gcm_encrypt)(src, dst, len, r.key, r.counter, &r.hash);
    struct tarn_bytes rest = tarn_bytes_after(tarn_bytes_of(dst, len), done);
    gcm_crypt(&r, tarn_span_after(tarn_span_of(src, len), done), rest);
    gcm_hash(&r, tarn_bytes_span(rest));
    gcm_tag(&r, aad.len, len, tag);
}

static void gcm_open(const struct tarn_aead_ctx *c, struct tarn_span nonce, struct tarn_span aad,
                     size_t len, uint8_t *dst, const uint8_t *src, uint8_t *tag) {
    struct gcm_run r;
    gcm_start(&r, (const struct gcm *)c->state, nonce, aad);
    size_t done = ASM(aesni_gcm_decrypt)(src, dst, len, r.key, r.counter, &r.hash);
    struct tarn_span rest = tarn_span_after(tarn_span_of(src, len), done);
    gcm_hash(&r, rest);
    gcm_crypt(&r, rest, tarn_bytes_after(tarn_bytes_of(dst, len), done));
    gcm_tag(&r, aad.len, len, tag);
}

/* -- ChaCha20-Poly1305 (RFC 8439) -- */

/* What a key's hash works on, and the functions that suit the processor. */
struct poly {
    _Alignas(64) uint64_t state[32];
    struct {
        void (*blocks)(void *state, const uint8_t *in, size_t len, uint32_t padbit);
        void (*emit)(void *state, uint8_t mac[16], const uint32_t nonce[4]);
    } fn;
};
int ASM(poly1305_init)(void *state, const uint8_t key[16], void *functions);
void ASM(poly1305_blocks)(void *state, const uint8_t *in, size_t len, uint32_t padbit);
void ASM(poly1305_emit)(void *state, uint8_t mac[16], const uint32_t nonce[4]);
void ASM(ChaCha20_ctr32)(uint8_t *out, const uint8_t *in, size_t len, const uint32_t key[8],
                         const uint32_t counter[4]);

static void chacha_init(struct tarn_aead_ctx *c, const uint8_t *key) {
    struct tarn_span s = tarn_span_of(key, 32);
    tarn_bytes_copy(tarn_bytes_of(c->state, 32), s);
}

/* Whole blocks, the last filled with zeros (section 2.8). */
static void poly_hash(struct poly *p, struct tarn_span data) {
    uint8_t last[16] = {0};
    size_t whole = data.len & ~(size_t)15;
    if (whole)
        p->fn.blocks(p->state, data.ptr, whole, 1);
    if (data.len > whole) {
        tarn_bytes_copy(TARN_BYTES_ARRAY(last), tarn_span_after(data, whole));
        p->fn.blocks(p->state, last, sizeof last, 1);
    }
}

struct chacha_run {
    struct poly poly;
    uint32_t counter[4];
    uint32_t pad[4]; /* the second half of the one-time key */
};

static void chacha_start(struct chacha_run *r, const struct tarn_aead_ctx *c,
                         struct tarn_span nonce, struct tarn_span aad) {
    uint8_t block[64] = {0};
    const uint32_t *key = (const uint32_t *)(const void *)c->state;
    TARN_AT(r->counter, 0) = 0;
    for (size_t i = 1; i < 4; i++)
        TARN_ASSERT(tarn_span_u32le(&nonce, &TARN_AT(r->counter, i)));
    ASM(ChaCha20_ctr32)(block, block, sizeof block, key, r->counter);
    TARN_AT(r->counter, 0) = 1;
    if (!ASM(poly1305_init)(r->poly.state, block, &r->poly.fn)) {
        r->poly.fn.blocks = ASM(poly1305_blocks);
        r->poly.fn.emit = ASM(poly1305_emit);
    }
    tarn_bytes_copy(TARN_BYTES_ARRAY(r->pad), tarn_span_after(TARN_SPAN_ARRAY(block), 16));
    tarn_bytes_wipe(TARN_BYTES_ARRAY(block));
    poly_hash(&r->poly, aad);
}

static void chacha_tag(struct chacha_run *r, size_t aad, size_t text, uint8_t *tag) {
    uint8_t block[16];
    struct tarn_writer w = TARN_WRITER_ARRAY(block);
    tarn_writer_u64le(&w, aad);
    tarn_writer_u64le(&w, text);
    poly_hash(&r->poly, TARN_SPAN_ARRAY(block));
    r->poly.fn.emit(r->poly.state, tag, r->pad);
    tarn_bytes_wipe(tarn_bytes_of(r, sizeof *r));
}

static void chacha_seal(const struct tarn_aead_ctx *c, struct tarn_span nonce, struct tarn_span aad,
                        size_t len, uint8_t *dst, const uint8_t *src, uint8_t *tag) {
    struct chacha_run r;
    chacha_start(&r, c, nonce, aad);
    if (len)
        ASM(ChaCha20_ctr32)(dst, src, len, (const uint32_t *)(const void *)c->state, r.counter);
    poly_hash(&r.poly, tarn_span_of(dst, len));
    chacha_tag(&r, aad.len, len, tag);
}

static void chacha_open(const struct tarn_aead_ctx *c, struct tarn_span nonce, struct tarn_span aad,
                        size_t len, uint8_t *dst, const uint8_t *src, uint8_t *tag) {
    struct chacha_run r;
    chacha_start(&r, c, nonce, aad);
    poly_hash(&r.poly, tarn_span_of(src, len));
    if (len)
        ASM(ChaCha20_ctr32)(dst, src, len, (const uint32_t *)(const void *)c->state, r.counter);
    chacha_tag(&r, aad.len, len, tag);
}

static const struct tarn_aead fast_aes128_gcm = {
    "aes-128-gcm",      16,    12,       1,        SIZE_MAX, 16,
    sizeof(struct gcm), false, gcm_init, gcm_seal, gcm_open};
static const struct tarn_aead fast_aes256_gcm = {
    "aes-256-gcm",      32,    12,       1,        SIZE_MAX, 16,
    sizeof(struct gcm), false, gcm_init, gcm_seal, gcm_open};
static const struct tarn_aead fast_chacha = {
    "chacha20-poly1305", 32, 12, 12, 12, 16, 32, false, chacha_init, chacha_seal, chacha_open};

const struct tarn_aead *tarn_aead_fastest(const struct tarn_aead *alg) {
    return tarn_aead_has_fast() ? tarn_aead_fast_of(alg) : alg;
}

const struct tarn_aead *tarn_aead_fast_of(const struct tarn_aead *alg) {
    return alg == &tarn_aes128_gcm          ? &fast_aes128_gcm
           : alg == &tarn_aes256_gcm        ? &fast_aes256_gcm
           : alg == &tarn_chacha20_poly1305 ? &fast_chacha
                                            : alg;
}
