/* SPDX-License-Identifier: ISC */
/* tarn/aead.h: authenticated encryption with associated data (RFC 5116).
 *
 * Never allocates, blocks or reads a clock. A context is one key, the caller's memory, a secret:
 * wipe it. A nonce is used once with a key, or all is lost; whoever calls counts them.
 *
 * Timing: ChaCha20-Poly1305 runs in a time that depends on lengths only; AES-GCM and AES-CCM do
 * where tarn_aes_is_constant_time() (tarn/cipher.h). Tags are compared in constant time.
 */
#ifndef TARN_AEAD_H
#define TARN_AEAD_H

#include <tarn/err.h>
#include <tarn/span.h>

#define TARN_AEAD_TAG_BYTES_MAX 16
#define TARN_AEAD_STATE_WORDS 560

struct tarn_aead_ctx;
struct tarn_aead {
    const char *name; /* "aes-128-gcm" */
    size_t key_bytes;
    size_t nonce_bytes;                      /* the usual one */
    size_t nonce_bytes_min, nonce_bytes_max; /* what is served */
    size_t tag_bytes;                        /* the full one */
    size_t state_bytes;                      /* how much of a context's state is used */
    bool tag_any_even;                       /* CCM: 4, 6, ... 16 */
    void (*init)(struct tarn_aead_ctx *c, const uint8_t *key);
    void (*seal)(const struct tarn_aead_ctx *c, struct tarn_span nonce, struct tarn_span aad,
                 size_t len, uint8_t *dst, const uint8_t *src, uint8_t *tag);
    /* Decrypts, and answers with the tag that should have been there. */
    void (*open)(const struct tarn_aead_ctx *c, struct tarn_span nonce, struct tarn_span aad,
                 size_t len, uint8_t *dst, const uint8_t *src, uint8_t *tag);
};
struct tarn_aead_ctx {
    const struct tarn_aead *alg;
    size_t tag_bytes;
    uint64_t state[TARN_AEAD_STATE_WORDS];
};
/* The memory that a context of `alg` really needs, for who keeps many: its tail is not touched. */
size_t tarn_aead_ctx_bytes(const struct tarn_aead *alg);

extern const struct tarn_aead tarn_aes128_gcm, tarn_aes192_gcm, tarn_aes256_gcm;
extern const struct tarn_aead tarn_aes128_ccm, tarn_aes192_ccm, tarn_aes256_ccm;
extern const struct tarn_aead tarn_chacha20_poly1305; /* RFC 8439 */

const struct tarn_aead *tarn_aead_named(struct tarn_span name);

/* Those above are nettle's. The same algorithm as it is fastest on this processor: for AES-GCM with
 * 128 and 256 bits and ChaCha20-Poly1305, the assembly of OpenSSL's libcrypto where AVX2 and the
 * AES instructions are; otherwise `alg`. Constant time as above; contexts are smaller. */
const struct tarn_aead *tarn_aead_fastest(const struct tarn_aead *alg);
/* The two halves of it. The question costs microseconds in a virtual machine, whose host answers
 * CPUID: ask once. Only where the answer was yes may what tarn_aead_fast_of gives be used. */
bool tarn_aead_has_fast(void);
const struct tarn_aead *tarn_aead_fast_of(const struct tarn_aead *alg);

/* `tag_bytes` 0: the full tag. TARN_INVALID: a key of another length, a tag that the algorithm does
 * not have. */
TARN_MUST_USE enum tarn_err tarn_aead_init(struct tarn_aead_ctx *c, const struct tarn_aead *alg,
                                           struct tarn_span key, size_t tag_bytes);
/* src.len bytes and the tag to dst, which may begin where src does but not overlap otherwise.
 * TARN_INVALID: the nonce's length, or too little room; CCM: a message too long for the nonce. */
TARN_MUST_USE enum tarn_err tarn_aead_seal(const struct tarn_aead_ctx *c, struct tarn_span nonce,
                                           struct tarn_span aad, struct tarn_span src,
                                           struct tarn_bytes dst);
/* src is ciphertext and tag; *len is the length of the plain text in dst. TARN_PEER: not sealed
 * with this key, nonce and aad; dst then holds zeros. TARN_INVALID as above. */
TARN_MUST_USE enum tarn_err tarn_aead_open(const struct tarn_aead_ctx *c, struct tarn_span nonce,
                                           struct tarn_span aad, struct tarn_span src,
                                           struct tarn_bytes dst, size_t *len);

#endif
