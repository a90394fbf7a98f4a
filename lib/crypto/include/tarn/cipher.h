/* SPDX-License-Identifier: ISC */
/* tarn/cipher.h: ciphers without authentication, for what is built from them or is old, and XTS for
 * disks. Nothing here notices that a message was changed: use tarn/aead.h where a choice is left.
 *
 * Never allocates, blocks or reads a clock. Contexts are the caller's, and secrets: wipe them.
 *
 * Timing: ChaCha20 runs in a time that depends on lengths only. AES encryption (and CTR both ways)
 * does where the processor has AES instructions (tarn_aes_is_constant_time); elsewhere it looks
 * tables up at secret indices. The key set-up of AES decryption and of XTS does so everywhere, once
 * a key. 3DES and RC4 always do.
 */
#ifndef TARN_CIPHER_H
#define TARN_CIPHER_H

#include <tarn/err.h>
#include <tarn/span.h>

#define TARN_CIPHER_STATE_WORDS 56
#define TARN_XTS_STATE_WORDS 128

struct tarn_cipher_ctx;
struct tarn_cipher {
    const char *name; /* "aes-128-cbc" */
    size_t key_bytes; /* RC4: any from 1 to 256, and this is the usual one */
    size_t iv_bytes;
    size_t block_bytes; /* lengths are multiples of it; 1 for streams */
    void (*init)(struct tarn_cipher_ctx *c, struct tarn_span key, bool encrypt);
    void (*crypt)(struct tarn_cipher_ctx *c, size_t len, uint8_t *dst, const uint8_t *src);
};
struct tarn_cipher_ctx {
    const struct tarn_cipher *alg;
    bool encrypt;
    uint8_t iv[16];
    uint64_t state[TARN_CIPHER_STATE_WORDS];
};

extern const struct tarn_cipher tarn_aes128_ecb, tarn_aes192_ecb, tarn_aes256_ecb;
extern const struct tarn_cipher tarn_aes128_cbc, tarn_aes192_cbc, tarn_aes256_cbc;
extern const struct tarn_cipher tarn_aes128_ctr, tarn_aes192_ctr, tarn_aes256_ctr;
extern const struct tarn_cipher tarn_des3_ecb, tarn_des3_cbc;
extern const struct tarn_cipher tarn_rc4;
extern const struct tarn_cipher tarn_chacha20; /* RFC 8439, 12 bytes of nonce, from block 0 */

const struct tarn_cipher *tarn_cipher_named(struct tarn_span name);

/* TARN_INVALID: a key or an IV of another length, or (3DES) a weak key. */
TARN_MUST_USE enum tarn_err tarn_cipher_init(struct tarn_cipher_ctx *c,
                                             const struct tarn_cipher *alg, struct tarn_span key,
                                             struct tarn_span iv, bool encrypt);
/* src.len bytes to dst, which may be the same memory but not overlap otherwise. Of several calls
 * for one message all but the last have a multiple of 64 bytes (blocks of streams included).
 * TARN_INVALID: no multiple of block_bytes, or dst is too short. */
TARN_MUST_USE enum tarn_err tarn_cipher_crypt(struct tarn_cipher_ctx *c, struct tarn_bytes dst,
                                              struct tarn_span src);

/* PKCS#7 padding for CBC. Pad: `data` holds `len` bytes and room for up to a block more; answers
 * the padded length. Unpad checks in constant time; TARN_PEER: not so padded. To tell a peer which
 * of padding and MAC was wrong is a padding oracle. */
TARN_MUST_USE enum tarn_err tarn_pkcs7_pad(struct tarn_bytes data, size_t len, size_t block_bytes,
                                           size_t *padded);
TARN_MUST_USE enum tarn_err tarn_pkcs7_unpad(struct tarn_span data, size_t block_bytes,
                                             size_t *len);

/* AES-XTS (IEEE 1619) with ciphertext stealing. The key is two AES keys in a row: 32 bytes for
 * AES-128, 64 for AES-256. A unit (a sector) has at least 16 bytes; its tweak is usually its
 * number, little-endian. */
struct tarn_xts {
    size_t key_bytes;
    uint64_t state[TARN_XTS_STATE_WORDS];
};
/* TARN_INVALID: another length, or two equal halves, with which XTS is not secure. */
TARN_MUST_USE enum tarn_err tarn_xts_init(struct tarn_xts *x, struct tarn_span key);
/* TARN_INVALID: fewer than 16 bytes, or dst is too short. In place is allowed. */
TARN_MUST_USE enum tarn_err tarn_xts_encrypt(const struct tarn_xts *x, const uint8_t tweak[16],
                                             struct tarn_bytes dst, struct tarn_span src);
TARN_MUST_USE enum tarn_err tarn_xts_decrypt(const struct tarn_xts *x, const uint8_t tweak[16],
                                             struct tarn_bytes dst, struct tarn_span src);

/* Whether this processor has the instructions with which AES (and GCM's multiplication) run in
 * constant time. Where it has not, protocols take ChaCha20-Poly1305. */
bool tarn_aes_is_constant_time(void);

#endif
