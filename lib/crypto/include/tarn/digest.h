/* SPDX-License-Identifier: ISC */
/* tarn/digest.h: hash functions, HMAC, SHAKE, and checksums.
 *
 * Never allocates, blocks or reads a clock. Contexts are the caller's, plain data that may be
 * copied (a running hash is forked by assignment) and hold no pointers but to the constant
 * algorithm. MD5 and SHA-1 are here for what is old; nothing new should rest on them.
 *
 * Timing: all of the hashes, HMAC and SHAKE run in a time that depends on lengths only.
 * The checksums do not claim so.
 */
#ifndef TARN_DIGEST_H
#define TARN_DIGEST_H

#include <tarn/err.h>
#include <tarn/span.h>

#define TARN_DIGEST_BYTES_MAX 64
#define TARN_DIGEST_BLOCK_BYTES_MAX 144
#define TARN_DIGEST_STATE_WORDS 44

struct tarn_digest_ctx;
/* One hash function: a constant, to be compared by address. */
struct tarn_digest {
    const char *name; /* "sha256" */
    size_t digest_bytes, block_bytes;
    void (*init)(struct tarn_digest_ctx *c);
    void (*update)(struct tarn_digest_ctx *c, struct tarn_span data);
    void (*final)(struct tarn_digest_ctx *c, size_t len, uint8_t *out); /* len <= digest_bytes */
};
struct tarn_digest_ctx {
    const struct tarn_digest *alg;
    uint64_t state[TARN_DIGEST_STATE_WORDS];
};

extern const struct tarn_digest tarn_md5, tarn_sha1; /* RFC 1321, 3174 */
extern const struct tarn_digest tarn_sha224, tarn_sha256, tarn_sha384, tarn_sha512; /* FIPS 180-4 */
extern const struct tarn_digest tarn_sha512_224, tarn_sha512_256;                   /* FIPS 180-4 */
extern const struct tarn_digest tarn_sha3_224, tarn_sha3_256, tarn_sha3_384,
    tarn_sha3_512;                                          /* FIPS 202 */
extern const struct tarn_digest tarn_blake2b, tarn_blake2s; /* RFC 7693, 64 and 32 bytes, no key */

/* The one with that name, or NULL. */
const struct tarn_digest *tarn_digest_named(struct tarn_span name);

void tarn_digest_init(struct tarn_digest_ctx *c, const struct tarn_digest *alg);
void tarn_digest_update(struct tarn_digest_ctx *c, struct tarn_span data);
/* The first out.len bytes of the digest; more than it has traps. The context starts anew. */
void tarn_digest_final(struct tarn_digest_ctx *c, struct tarn_bytes out);
/* All in one. */
void tarn_digest_of(const struct tarn_digest *alg, struct tarn_span data, struct tarn_bytes out);

/* HMAC (RFC 2104) over any of them. The context is a secret: wipe it when done. */
struct tarn_hmac {
    struct tarn_digest_ctx inner, outer;
};
void tarn_hmac_init(struct tarn_hmac *h, const struct tarn_digest *alg, struct tarn_span key);
void tarn_hmac_update(struct tarn_hmac *h, struct tarn_span data);
/* The first out.len bytes; ends the context. */
void tarn_hmac_final(struct tarn_hmac *h, struct tarn_bytes out);
void tarn_hmac_of(const struct tarn_digest *alg, struct tarn_span key, struct tarn_span data,
                  struct tarn_bytes out);

/* HKDF (RFC 5869). Extract writes alg->digest_bytes. Expand answers TARN_INVALID for more than 255
 * times that. */
void tarn_hkdf_extract(const struct tarn_digest *alg, struct tarn_span salt, struct tarn_span ikm,
                       struct tarn_bytes prk);
TARN_MUST_USE enum tarn_err tarn_hkdf_expand(const struct tarn_digest *alg, struct tarn_span prk,
                                             struct tarn_span info, struct tarn_bytes out);
/* PBKDF2 (RFC 8018 section 5.2) with HMAC. TARN_INVALID for no rounds. */
TARN_MUST_USE enum tarn_err tarn_pbkdf2(const struct tarn_digest *alg, struct tarn_span password,
                                        struct tarn_span salt, uint32_t rounds,
                                        struct tarn_bytes out);

/* SHAKE128 and SHAKE256 (FIPS 202): absorb any number of times, then squeeze any number of times.
 */
struct tarn_shake {
    uint64_t lanes[25];
    size_t rate, at; /* bytes */
    bool squeezing;
};
void tarn_shake128_init(struct tarn_shake *s);
void tarn_shake256_init(struct tarn_shake *s);
void tarn_shake_absorb(struct tarn_shake *s, struct tarn_span data);
void tarn_shake_squeeze(struct tarn_shake *s, struct tarn_bytes out);

/* Equal in a time that depends on the lengths only. Different lengths are not equal. */
bool tarn_equal_ct(struct tarn_span a, struct tarn_span b);

/* Checksums, which find accidents and no attacker. Start with the value given, feed pieces. */
#define TARN_CRC32_START 0u
#define TARN_ADLER32_START 1u
uint32_t tarn_crc32(uint32_t crc, struct tarn_span data);     /* ISO 3309, as in gzip and PNG */
uint32_t tarn_crc32c(uint32_t crc, struct tarn_span data);    /* Castagnoli, as in iSCSI */
uint32_t tarn_crc24(uint32_t crc, struct tarn_span data);     /* OpenPGP; starts with 0xb704ce */
uint32_t tarn_adler32(uint32_t adler, struct tarn_span data); /* RFC 1950 */

#endif
