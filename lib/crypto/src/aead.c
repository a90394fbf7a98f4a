/* SPDX-License-Identifier: ISC */
#include "aes_key.h"

#include <nettle/ccm.h>
#include <nettle/chacha-poly1305.h>
#include <nettle/gcm.h>
#include <tarn/aead.h>
#include <tarn/digest.h>

#define STATE_BYTES (TARN_AEAD_STATE_WORDS * 8)

#define AES_SET_KEY(id, ctx, bytes, key)                                                           \
    do {                                                                                           \
        struct id##_ctx *aes_ = (ctx);                                                             \
        if (!aes_key_expand(aes_->keys, TARN_COUNT_OF(aes_->keys), tarn_span_of(key, bytes)))      \
            id##_set_encrypt_key(aes_, key);                                                       \
    } while (0)

/* A key's tables stay constant over messages; what a message changes is a small part of its own. */
#define GCM(id, text, bytes)                                                                       \
    struct id##_gcm {                                                                              \
        struct id##_ctx cipher;                                                                    \
        struct gcm_key key;                                                                        \
    };                                                                                             \
    _Static_assert(sizeof(struct id##_gcm) <= STATE_BYTES, "fits");                                \
    static void id##_block(const void *ctx, size_t len, uint8_t *dst, const uint8_t *src) {        \
        id##_encrypt((const struct id##_ctx *)ctx, len, dst, src);                                 \
    }                                                                                              \
    static void id##_gcm_init(struct tarn_aead_ctx *c, const uint8_t *key) {                       \
        struct id##_gcm *s = (struct id##_gcm *)c->state;                                          \
        AES_SET_KEY(id, &s->cipher, bytes, key);                                                   \
        gcm_set_key(&s->key, &s->cipher, id##_block);                                              \
    }                                                                                              \
    static void id##_gcm_seal(const struct tarn_aead_ctx *c, struct tarn_span nonce,               \
                              struct tarn_span aad, size_t len, uint8_t *dst, const uint8_t *src,  \
                              uint8_t *tag) {                                                      \
        const struct id##_gcm *s = (const struct id##_gcm *)c->state;                              \
        struct gcm_ctx m;                                                                          \
        gcm_set_iv(&m, &s->key, nonce.len, nonce.ptr);                                             \
        gcm_update(&m, &s->key, aad.len, aad.ptr);                                                 \
        gcm_encrypt(&m, &s->key, &s->cipher, id##_block, len, dst, src);                           \
        gcm_digest(&m, &s->key, &s->cipher, id##_block, 16, tag);                                  \
    }                                                                                              \
    static void id##_gcm_open(const struct tarn_aead_ctx *c, struct tarn_span nonce,               \
                              struct tarn_span aad, size_t len, uint8_t *dst, const uint8_t *src,  \
                              uint8_t *tag) {                                                      \
        const struct id##_gcm *s = (const struct id##_gcm *)c->state;                              \
        struct gcm_ctx m;                                                                          \
        gcm_set_iv(&m, &s->key, nonce.len, nonce.ptr);                                             \
        gcm_update(&m, &s->key, aad.len, aad.ptr);                                                 \
        gcm_decrypt(&m, &s->key, &s->cipher, id##_block, len, dst, src);                           \
        gcm_digest(&m, &s->key, &s->cipher, id##_block, 16, tag);                                  \
    }                                                                                              \
    const struct tarn_aead tarn_##id##_gcm = {text "-gcm",                                         \
                                              bytes,                                               \
                                              12,                                                  \
                                              1,                                                   \
                                              SIZE_MAX,                                            \
                                              16,                                                  \
                                              sizeof(struct id##_gcm),                             \
                                              false,                                               \
                                              id##_gcm_init,                                       \
                                              id##_gcm_seal,                                       \
                                              id##_gcm_open};
GCM(aes128, "aes-128", 16)
GCM(aes192, "aes-192", 24)
GCM(aes256, "aes-256", 32)

#define CCM(id, text, bytes)                                                                       \
    static void id##_ccm_init(struct tarn_aead_ctx *c, const uint8_t *key) {                       \
        AES_SET_KEY(id, (struct id##_ctx *)c->state, bytes, key);                                  \
    }                                                                                              \
    static void id##_ccm_seal(const struct tarn_aead_ctx *c, struct tarn_span nonce,               \
                              struct tarn_span aad, size_t len, uint8_t *dst, const uint8_t *src,  \
                              uint8_t *tag) {                                                      \
        struct ccm_ctx m;                                                                          \
        ccm_set_nonce(&m, c->state, id##_block, nonce.len, nonce.ptr, aad.len, len, c->tag_bytes); \
        ccm_update(&m, c->state, id##_block, aad.len, aad.ptr);                                    \
        ccm_encrypt(&m, c->state, id##_block, len, dst, src);                                      \
        ccm_digest(&m, c->state, id##_block, c->tag_bytes, tag);                                   \
    }                                                                                              \
    static void id##_ccm_open(const struct tarn_aead_ctx *c, struct tarn_span nonce,               \
                              struct tarn_span aad, size_t len, uint8_t *dst, const uint8_t *src,  \
                              uint8_t *tag) {                                                      \
        struct ccm_ctx m;                                                                          \
        ccm_set_nonce(&m, c->state, id##_block, nonce.len, nonce.ptr, aad.len, len, c->tag_bytes); \
        ccm_update(&m, c->state, id##_block, aad.len, aad.ptr);                                    \
        ccm_decrypt(&m, c->state, id##_block, len, dst, src);                                      \
        ccm_digest(&m, c->state, id##_block, c->tag_bytes, tag);                                   \
    }                                                                                              \
    const struct tarn_aead tarn_##id##_ccm = {                                                     \
        text "-ccm",   bytes,         12,           7, 13, 16, sizeof(struct id##_ctx), true,      \
        id##_ccm_init, id##_ccm_seal, id##_ccm_open};
CCM(aes128, "aes-128", 16)
CCM(aes192, "aes-192", 24)
CCM(aes256, "aes-256", 32)

static void chacha_init(struct tarn_aead_ctx *c, const uint8_t *key) {
    chacha_poly1305_set_key((struct chacha_poly1305_ctx *)c->state, key);
}
static void chacha_seal(const struct tarn_aead_ctx *c, struct tarn_span nonce, struct tarn_span aad,
                        size_t len, uint8_t *dst, const uint8_t *src, uint8_t *tag) {
    struct chacha_poly1305_ctx m = *(const struct chacha_poly1305_ctx *)c->state;
    chacha_poly1305_set_nonce(&m, nonce.ptr);
    chacha_poly1305_update(&m, aad.len, aad.ptr);
    chacha_poly1305_encrypt(&m, len, dst, src);
    chacha_poly1305_digest(&m, 16, tag);
    tarn_bytes_wipe(tarn_bytes_of(&m, sizeof m));
}
static void chacha_open(const struct tarn_aead_ctx *c, struct tarn_span nonce, struct tarn_span aad,
                        size_t len, uint8_t *dst, const uint8_t *src, uint8_t *tag) {
    struct chacha_poly1305_ctx m = *(const struct chacha_poly1305_ctx *)c->state;
    chacha_poly1305_set_nonce(&m, nonce.ptr);
    chacha_poly1305_update(&m, aad.len, aad.ptr);
    chacha_poly1305_decrypt(&m, len, dst, src);
    chacha_poly1305_digest(&m, 16, tag);
    tarn_bytes_wipe(tarn_bytes_of(&m, sizeof m));
}
const struct tarn_aead tarn_chacha20_poly1305 = {"chacha20-poly1305",
                                                 32,
                                                 12,
                                                 12,
                                                 12,
                                                 16,
                                                 sizeof(struct chacha_poly1305_ctx),
                                                 false,
                                                 chacha_init,
                                                 chacha_seal,
                                                 chacha_open};

const struct tarn_aead *tarn_aead_named(struct tarn_span name) {
    static const struct tarn_aead *const all[] = {
        &tarn_aes128_gcm, &tarn_aes192_gcm, &tarn_aes256_gcm,       &tarn_aes128_ccm,
        &tarn_aes192_ccm, &tarn_aes256_ccm, &tarn_chacha20_poly1305};
    for (size_t i = 0; i < TARN_COUNT_OF(all); i++)
        if (tarn_span_equal(name, tarn_span_str(TARN_AT(all, i)->name)))
            return TARN_AT(all, i);
    return NULL;
}

size_t tarn_aead_ctx_bytes(const struct tarn_aead *alg) {
    return offsetof(struct tarn_aead_ctx, state) + alg->state_bytes;
}

enum tarn_err tarn_aead_init(struct tarn_aead_ctx *c, const struct tarn_aead *alg,
                             struct tarn_span key, size_t tag_bytes) {
    bool even = tag_bytes >= 4 && tag_bytes <= 16 && tag_bytes % 2 == 0;
    if (key.len != alg->key_bytes)
        return TARN_INVALID;
    if (tag_bytes != 0 && tag_bytes != alg->tag_bytes && !(alg->tag_any_even && even))
        return TARN_INVALID;
    c->alg = alg;
    c->tag_bytes = tag_bytes ? tag_bytes : alg->tag_bytes;
    alg->init(c, key.ptr);
    return TARN_OK;
}

/* What the algorithm can serve: nonces of its lengths, and for CCM no more bytes than the 15 -
 * nonce bytes of its length field can count (RFC 3610 section 2). GCM ends at 2^36 - 32 bytes. */
static bool served(const struct tarn_aead *alg, struct tarn_span nonce, size_t len) {
    if (nonce.len < alg->nonce_bytes_min || nonce.len > alg->nonce_bytes_max)
        return false;
    if (alg->tag_any_even && nonce.len > 7)
        return len >> 8 * (15 - nonce.len) == 0;
    return len <= ((uint64_t)1 << 36) - 32;
}

enum tarn_err tarn_aead_seal(const struct tarn_aead_ctx *c, struct tarn_span nonce,
                             struct tarn_span aad, struct tarn_span src, struct tarn_bytes dst) {
    uint8_t tag[TARN_AEAD_TAG_BYTES_MAX];
    if (!served(c->alg, nonce, src.len) || dst.len < src.len || dst.len - src.len < c->tag_bytes)
        return TARN_INVALID;
    c->alg->seal(c, nonce, aad, src.len, dst.ptr, src.ptr, tag);
    tarn_bytes_copy(tarn_bytes_after(dst, src.len), tarn_span_of(tag, c->tag_bytes));
    return TARN_OK;
}

enum tarn_err tarn_aead_open(const struct tarn_aead_ctx *c, struct tarn_span nonce,
                             struct tarn_span aad, struct tarn_span src, struct tarn_bytes dst,
                             size_t *len) {
    uint8_t want[TARN_AEAD_TAG_BYTES_MAX], got[TARN_AEAD_TAG_BYTES_MAX];
    if (src.len < c->tag_bytes)
        return TARN_PEER;
    size_t n = src.len - c->tag_bytes;
    if (!served(c->alg, nonce, n) || dst.len < n)
        return TARN_INVALID;
    /* Kept aside: in place, a caller's dst may reach over the tag. */
    tarn_bytes_copy(TARN_BYTES_ARRAY(got), tarn_span_after(src, n));
    c->alg->open(c, nonce, aad, n, dst.ptr, src.ptr, want);
    if (!tarn_equal_ct(tarn_span_of(want, c->tag_bytes), tarn_span_of(got, c->tag_bytes))) {
        tarn_bytes_wipe(tarn_bytes_first(dst, n));
        return TARN_PEER;
    }
    *len = n;
    return TARN_OK;
}
