/* SPDX-License-Identifier: ISC */
#include "aes_key.h"

#include <cpuid.h>
#include <nettle/aes.h>
#include <nettle/arcfour.h>
#include <nettle/cbc.h>
#include <nettle/chacha.h>
#include <nettle/ctr.h>
#include <nettle/des.h>
#include <nettle/xts.h>
#include <tarn/cipher.h>

#define STATE_BYTES (TARN_CIPHER_STATE_WORDS * 8)

/* nettle's modes take a block cipher as a function over `void *`. */
#define BLOCK(id, type)                                                                            \
    _Static_assert(sizeof(struct type) <= STATE_BYTES, "fits");                                    \
    static void id##_enc(const void *ctx, size_t len, uint8_t *dst, const uint8_t *src) {          \
        id##_encrypt((const struct type *)ctx, len, dst, src);                                     \
    }                                                                                              \
    static void id##_dec(const void *ctx, size_t len, uint8_t *dst, const uint8_t *src) {          \
        id##_decrypt((const struct type *)ctx, len, dst, src);                                     \
    }
BLOCK(aes128, aes128_ctx)
BLOCK(aes192, aes192_ctx)
BLOCK(aes256, aes256_ctx)
BLOCK(des3, des3_ctx)

/* Decryption's keys are nettle's, which inverts with tables. */
#define AES_INIT(id)                                                                               \
    static void id##_ctr_init(struct tarn_cipher_ctx *c, struct tarn_span key, bool encrypt) {     \
        (void)encrypt; /* both ways are the same */                                                \
        struct id##_ctx *aes = (struct id##_ctx *)c->state;                                        \
        if (!aes_key_expand(aes->keys, TARN_COUNT_OF(aes->keys), key))                             \
            id##_set_encrypt_key(aes, key.ptr);                                                    \
    }                                                                                              \
    static void id##_init(struct tarn_cipher_ctx *c, struct tarn_span key, bool encrypt) {         \
        if (encrypt)                                                                               \
            id##_ctr_init(c, key, true);                                                           \
        else                                                                                       \
            id##_set_decrypt_key((struct id##_ctx *)c->state, key.ptr);                            \
    }
AES_INIT(aes128)
AES_INIT(aes192)
AES_INIT(aes256)

static void des3_init(struct tarn_cipher_ctx *c, struct tarn_span key, bool encrypt) {
    (void)encrypt; /* one schedule for both ways; a weak key still works */
    des3_set_key((struct des3_ctx *)c->state, key.ptr);
}

#define MODES(id, block)                                                                           \
    static void id##_ecb(struct tarn_cipher_ctx *c, size_t n, uint8_t *dst, const uint8_t *src) {  \
        (c->encrypt ? id##_enc : id##_dec)(c->state, n, dst, src);                                 \
    }                                                                                              \
    static void id##_cbc(struct tarn_cipher_ctx *c, size_t n, uint8_t *dst, const uint8_t *src) {  \
        if (c->encrypt)                                                                            \
            cbc_encrypt(c->state, id##_enc, block, c->iv, n, dst, src);                            \
        else                                                                                       \
            cbc_decrypt(c->state, id##_dec, block, c->iv, n, dst, src);                            \
    }                                                                                              \
    static void id##_ctr(struct tarn_cipher_ctx *c, size_t n, uint8_t *dst, const uint8_t *src) {  \
        ctr_crypt(c->state, id##_enc, block, c->iv, n, dst, src);                                  \
    }
#define AES(id, text, key)                                                                         \
    MODES(id, 16)                                                                                  \
    const struct tarn_cipher tarn_##id##_ecb = {text "-ecb", key, 0, 16, id##_init, id##_ecb};     \
    const struct tarn_cipher tarn_##id##_cbc = {text "-cbc", key, 16, 16, id##_init, id##_cbc};    \
    const struct tarn_cipher tarn_##id##_ctr = {text "-ctr", key, 16, 1, id##_ctr_init, id##_ctr};
AES(aes128, "aes-128", 16)
AES(aes192, "aes-192", 24)
AES(aes256, "aes-256", 32)

static void des3_ecb(struct tarn_cipher_ctx *c, size_t n, uint8_t *dst, const uint8_t *src) {
    (c->encrypt ? des3_enc : des3_dec)(c->state, n, dst, src);
}
static void des3_cbc(struct tarn_cipher_ctx *c, size_t n, uint8_t *dst, const uint8_t *src) {
    if (c->encrypt)
        cbc_encrypt(c->state, des3_enc, 8, c->iv, n, dst, src);
    else
        cbc_decrypt(c->state, des3_dec, 8, c->iv, n, dst, src);
}
const struct tarn_cipher tarn_des3_ecb = {"3des-ecb", 24, 0, 8, des3_init, des3_ecb};
const struct tarn_cipher tarn_des3_cbc = {"3des-cbc", 24, 8, 8, des3_init, des3_cbc};

static void rc4_init(struct tarn_cipher_ctx *c, struct tarn_span key, bool encrypt) {
    (void)encrypt;
    arcfour_set_key((struct arcfour_ctx *)c->state, key.len, key.ptr);
}
static void rc4_crypt(struct tarn_cipher_ctx *c, size_t n, uint8_t *dst, const uint8_t *src) {
    arcfour_crypt((struct arcfour_ctx *)c->state, n, dst, src);
}
const struct tarn_cipher tarn_rc4 = {"rc4", 16, 0, 1, rc4_init, rc4_crypt};

static void chacha_init(struct tarn_cipher_ctx *c, struct tarn_span key, bool encrypt) {
    (void)encrypt;
    chacha_set_key((struct chacha_ctx *)c->state, key.ptr);
    chacha_set_nonce96((struct chacha_ctx *)c->state, c->iv);
}
static void chacha_run(struct tarn_cipher_ctx *c, size_t n, uint8_t *dst, const uint8_t *src) {
    chacha_crypt32((struct chacha_ctx *)c->state, n, dst, src);
}
const struct tarn_cipher tarn_chacha20 = {"chacha20", 32, 12, 1, chacha_init, chacha_run};

const struct tarn_cipher *tarn_cipher_named(struct tarn_span name) {
    static const struct tarn_cipher *const all[] = {
        &tarn_aes128_ecb, &tarn_aes192_ecb, &tarn_aes256_ecb, &tarn_aes128_cbc, &tarn_aes192_cbc,
        &tarn_aes256_cbc, &tarn_aes128_ctr, &tarn_aes192_ctr, &tarn_aes256_ctr, &tarn_des3_ecb,
        &tarn_des3_cbc,   &tarn_rc4,        &tarn_chacha20};
    for (size_t i = 0; i < TARN_COUNT_OF(all); i++)
        if (tarn_span_equal(name, tarn_span_str(TARN_AT(all, i)->name)))
            return TARN_AT(all, i);
    return NULL;
}

enum tarn_err tarn_cipher_init(struct tarn_cipher_ctx *c, const struct tarn_cipher *alg,
                               struct tarn_span key, struct tarn_span iv, bool encrypt) {
    bool length_ok = alg == &tarn_rc4 ? key.len >= 1 && key.len <= 256 : key.len == alg->key_bytes;
    if (!length_ok || iv.len != alg->iv_bytes)
        return TARN_INVALID;
    *c = (struct tarn_cipher_ctx){.alg = alg, .encrypt = encrypt};
    tarn_bytes_copy(TARN_BYTES_ARRAY(c->iv), iv);
    alg->init(c, key, encrypt);
    return TARN_OK;
}

enum tarn_err tarn_cipher_crypt(struct tarn_cipher_ctx *c, struct tarn_bytes dst,
                                struct tarn_span src) {
    if (src.len % c->alg->block_bytes != 0 || dst.len < src.len)
        return TARN_INVALID;
    if (src.len > 0)
        c->alg->crypt(c, src.len, dst.ptr, src.ptr);
    return TARN_OK;
}

enum tarn_err tarn_pkcs7_pad(struct tarn_bytes data, size_t len, size_t block_bytes,
                             size_t *padded) {
    size_t n = block_bytes - len % block_bytes;
    if (len > data.len || n > data.len - len)
        return TARN_INVALID;
    tarn_bytes_fill(tarn_bytes_first(tarn_bytes_after(data, len), n), (uint8_t)n);
    *padded = len + n;
    return TARN_OK;
}

enum tarn_err tarn_pkcs7_unpad(struct tarn_span data, size_t block_bytes, size_t *len) {
    uint32_t pad, bad;
    if (data.len == 0 || data.len % block_bytes != 0 || block_bytes > 255)
        return TARN_PEER;
    pad = tarn_span_at(data, data.len - 1);
    /* All ones where pad is 0 or above the block, without a branch on it. */
    bad = (pad - 1) >> 31 | ((uint32_t)block_bytes - pad) >> 31;
    for (uint32_t i = 0; i < block_bytes; i++) {
        uint32_t inside = (i - pad) >> 31; /* 1: one of the last `pad` bytes */
        bad |= (0 - inside) & (tarn_span_at(data, data.len - 1 - i) ^ pad);
    }
    if (bad)
        return TARN_PEER;
    *len = data.len - pad;
    return TARN_OK;
}

struct xts_keys {
    union {
        struct {
            struct xts_aes128_key enc, dec;
        } k128;
        struct {
            struct xts_aes256_key enc, dec;
        } k256;
    };
};
_Static_assert(sizeof(struct xts_keys) <= TARN_XTS_STATE_WORDS * 8, "fits");

enum tarn_err tarn_xts_init(struct tarn_xts *x, struct tarn_span key) {
    struct xts_keys *k = (struct xts_keys *)x->state;
    struct tarn_span first = tarn_span_first(key, key.len / 2);
    if ((key.len != 32 && key.len != 64)
        || tarn_span_equal(first, tarn_span_after(key, key.len / 2)))
        return TARN_INVALID;
    *x = (struct tarn_xts){.key_bytes = key.len};
    if (key.len == 32) {
        xts_aes128_set_encrypt_key(&k->k128.enc, key.ptr);
        xts_aes128_set_decrypt_key(&k->k128.dec, key.ptr);
    } else {
        xts_aes256_set_encrypt_key(&k->k256.enc, key.ptr);
        xts_aes256_set_decrypt_key(&k->k256.dec, key.ptr);
    }
    return TARN_OK;
}

enum tarn_err tarn_xts_encrypt(const struct tarn_xts *x, const uint8_t tweak[16],
                               struct tarn_bytes dst, struct tarn_span src) {
    struct xts_keys *k = (struct xts_keys *)(uintptr_t)x->state; /* nettle forgot a const */
    if (src.len < 16 || dst.len < src.len)
        return TARN_INVALID;
    if (x->key_bytes == 32)
        xts_aes128_encrypt_message(&k->k128.enc, tweak, src.len, dst.ptr, src.ptr);
    else
        xts_aes256_encrypt_message(&k->k256.enc, tweak, src.len, dst.ptr, src.ptr);
    return TARN_OK;
}

enum tarn_err tarn_xts_decrypt(const struct tarn_xts *x, const uint8_t tweak[16],
                               struct tarn_bytes dst, struct tarn_span src) {
    struct xts_keys *k = (struct xts_keys *)(uintptr_t)x->state;
    if (src.len < 16 || dst.len < src.len)
        return TARN_INVALID;
    if (x->key_bytes == 32)
        xts_aes128_decrypt_message(&k->k128.dec, tweak, src.len, dst.ptr, src.ptr);
    else
        xts_aes256_decrypt_message(&k->k256.dec, tweak, src.len, dst.ptr, src.ptr);
    return TARN_OK;
}

bool tarn_aes_is_constant_time(void) {
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_AES) && (c & bit_PCLMUL);
}
