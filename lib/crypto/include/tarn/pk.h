/* SPDX-License-Identifier: ISC */
/* tarn/pk.h: public and private keys, signatures, key agreement, RSA encryption.
 *
 * A key is plain data: spans over its numbers, big-endian, borrowed for the call. Nothing is kept
 * between calls, so there is nothing to free; the numbers of a private key are the caller's secret,
 * to be wiped by the caller. Never blocks or reads a clock. Big numbers are worked on in memory
 * from GMP's allocation functions (malloc on unix, a bounded region in an image), returned before
 * the call ends.
 *
 * Timing: signing with ECDSA, Ed25519 and Ed448, key agreement on all curves, and key generation
 * for them run in a time that does not depend on the secret (memcheck runs over them with undefined
 * secrets, tests/crypto/timing.c). RSA signing and decryption are blinded and use GMP's
 * constant-time powering; their timing is not checked so. DSA, finite-field DH and RSA key
 * generation make no claim. Verifying works on public data.
 *
 * Work per call is bounded: RSA moduli are at most TARN_RSA_BITS_MAX and public exponents at most
 * 64 bits; DSA and DH moduli at most TARN_DH_BITS_MAX. Whether a key is strong enough is the
 * caller's policy.
 */
#ifndef TARN_PK_H
#define TARN_PK_H

#include <tarn/digest.h>
#include <tarn/env.h>
#include <tarn/writer.h>

#define TARN_RSA_BITS_MIN 512
#define TARN_RSA_BITS_MAX 8192
#define TARN_DH_BITS_MAX 8192
#define TARN_EC_SCALAR_BYTES_MAX 66
#define TARN_EC_POINT_BYTES_MAX 133
#define TARN_SIGNATURE_BYTES_MAX 1024

enum tarn_pk_type {
    TARN_PK_NONE,
    TARN_PK_RSA,
    TARN_PK_P256, /* NIST curves: FIPS 186-4 */
    TARN_PK_P384,
    TARN_PK_P521,
    TARN_PK_ED25519, /* RFC 8032 */
    TARN_PK_ED448,
    TARN_PK_X25519, /* RFC 7748 */
    TARN_PK_X448,
    TARN_PK_DSA,
};

struct tarn_public_key {
    enum tarn_pk_type type;
    struct tarn_span point;      /* P-n: 04 X Y; Ed and X: as in the RFC */
    struct tarn_span n, e;       /* RSA */
    struct tarn_span p, q, g, y; /* DSA */
};
struct tarn_private_key {
    struct tarn_public_key pub; /* complete: signing needs it too */
    struct tarn_span secret;    /* P-n: the scalar; Ed: the seed; X: the scalar; DSA: x; RSA: d */
    struct tarn_span p, q, dp, dq, qinv; /* RSA (RFC 8017 section 3.2) */
};

/* Scalars' and coordinates' bytes on a curve: 32, 48, 66; 32 and 57 for Ed; 32 and 56 for X; 0 for
 * what is no curve. */
size_t tarn_pk_scalar_bytes(enum tarn_pk_type type);
/* Bytes of `point`. */
size_t tarn_pk_point_bytes(enum tarn_pk_type type);
/* RSA: bits of n; DSA: of p; curves: of the field. */
size_t tarn_pk_bits(const struct tarn_public_key *key);
/* Whether the numbers are what the type wants: the point lies on its curve, n is odd and of a size
 * that is served, and so on. TARN_PEER where not. */
TARN_MUST_USE enum tarn_err tarn_public_key_check(const struct tarn_public_key *key);
bool tarn_public_key_equal(const struct tarn_public_key *a, const struct tarn_public_key *b);

/* A new key on a curve: tarn_pk_scalar_bytes to `secret` and tarn_pk_point_bytes to `point`. */
TARN_MUST_USE enum tarn_err tarn_pk_generate(enum tarn_pk_type type, struct tarn_random *random,
                                             struct tarn_bytes secret, struct tarn_bytes point);
/* The public half of a secret. TARN_INVALID: no secret of that curve. */
TARN_MUST_USE enum tarn_err tarn_pk_public(enum tarn_pk_type type, struct tarn_span secret,
                                           struct tarn_bytes point);
/* A new RSA key of `bits` (a multiple of 16, 1024 to 4096) with e = 65537; takes from a quarter
 * of a second up. All its numbers are put into `memory`, of 6 * bits / 8 bytes, and `key` points
 * there. */
TARN_MUST_USE enum tarn_err tarn_rsa_generate(struct tarn_random *random, unsigned bits,
                                              struct tarn_bytes memory,
                                              struct tarn_private_key *key);

/* Signatures. A scheme is a constant; more can be made from the `ops` below. */
struct tarn_scheme;
struct tarn_scheme_ops {
    bool (*serves)(enum tarn_pk_type type);
    enum tarn_err (*verify)(const struct tarn_scheme *s, const struct tarn_public_key *key,
                            struct tarn_span message, struct tarn_span signature);
    enum tarn_err (*sign)(const struct tarn_scheme *s, const struct tarn_private_key *key,
                          struct tarn_random *random, struct tarn_span message,
                          struct tarn_writer *signature);
};
struct tarn_scheme {
    const char *name;
    const struct tarn_scheme_ops *ops;
    const struct tarn_digest *digest; /* NULL: the scheme has its own */
    const struct tarn_digest *mgf;    /* PSS: of the mask */
    size_t salt_bytes;                /* PSS */
    bool prehashed; /* the message given is its digest already: for who hashes as it comes */
};
/* ECDSA with a DER signature (X.509, TLS), and with r and s side by side (DNSSEC, P1363, JOSE).
 * Nonces are made from the key, the message and `random` together, so that a poor source of
 * randomness does not give the key away. */
extern const struct tarn_scheme_ops tarn_ecdsa_ops, tarn_ecdsa_raw_ops;
extern const struct tarn_scheme_ops tarn_rsa_pkcs1_ops, tarn_rsa_pss_ops; /* RFC 8017 */
extern const struct tarn_scheme_ops tarn_dsa_ops;                         /* DER */

extern const struct tarn_scheme tarn_ecdsa_sha1, tarn_ecdsa_sha224, tarn_ecdsa_sha256,
    tarn_ecdsa_sha384, tarn_ecdsa_sha512;
extern const struct tarn_scheme tarn_ecdsa_raw_sha256, tarn_ecdsa_raw_sha384, tarn_ecdsa_raw_sha512;
extern const struct tarn_scheme tarn_rsa_md5, tarn_rsa_sha1, tarn_rsa_sha224, tarn_rsa_sha256,
    tarn_rsa_sha384, tarn_rsa_sha512;
extern const struct tarn_scheme tarn_pss_sha256, tarn_pss_sha384, tarn_pss_sha512;
extern const struct tarn_scheme tarn_dsa_sha1, tarn_dsa_sha256;
extern const struct tarn_scheme tarn_ed25519, tarn_ed448; /* RFC 8032, pure */

/* TARN_PEER: not a signature of that message by that key. TARN_INVALID: the scheme is for another
 * type of key, or the key is not served. With a prehashed scheme the message has the length of its
 * digest, or the call traps. */
TARN_MUST_USE enum tarn_err tarn_verify(const struct tarn_public_key *key,
                                        const struct tarn_scheme *scheme, struct tarn_span message,
                                        struct tarn_span signature);
/* Appends the signature. TARN_INVALID as above; an overflow is the writer's. */
TARN_MUST_USE enum tarn_err tarn_sign(const struct tarn_private_key *key,
                                      const struct tarn_scheme *scheme, struct tarn_random *random,
                                      struct tarn_span message, struct tarn_writer *signature);

/* Key agreement on P-n and X: the X coordinate, or the RFC's result, to `shared` (scalar bytes of
 * the type). TARN_PEER: the other's point is not on the curve, or the result is zero (RFC 7748
 * section 6). */
TARN_MUST_USE enum tarn_err tarn_agree(enum tarn_pk_type type, struct tarn_span secret,
                                       struct tarn_span peer, struct tarn_bytes shared);

/* Finite-field Diffie-Hellman with the caller's prime and generator. `out` is as long as p. */
TARN_MUST_USE enum tarn_err tarn_dh_public(struct tarn_span p, struct tarn_span g,
                                           struct tarn_span secret, struct tarn_bytes out);
/* TARN_PEER: the other's number is not in [2, p - 2]. */
TARN_MUST_USE enum tarn_err tarn_dh_agree(struct tarn_span p, struct tarn_span secret,
                                          struct tarn_span peer, struct tarn_bytes out);

/* RSA encryption. PKCS#1 v1.5 is for what is old: whoever decrypts for a peer must not let it see,
 * by answer or by time, whether it worked. `out` is as long as n for the ciphertext. */
TARN_MUST_USE enum tarn_err tarn_rsa_pkcs1_encrypt(const struct tarn_public_key *key,
                                                   struct tarn_random *random,
                                                   struct tarn_span message, struct tarn_bytes out);
TARN_MUST_USE enum tarn_err tarn_rsa_pkcs1_decrypt(const struct tarn_private_key *key,
                                                   struct tarn_random *random, struct tarn_span in,
                                                   struct tarn_bytes out, size_t *len);
/* OAEP (RFC 8017 section 7.1). One answer, TARN_PEER, for every fault. */
TARN_MUST_USE enum tarn_err tarn_rsa_oaep_encrypt(const struct tarn_public_key *key,
                                                  const struct tarn_digest *digest,
                                                  struct tarn_random *random,
                                                  struct tarn_span label, struct tarn_span message,
                                                  struct tarn_bytes out);
TARN_MUST_USE enum tarn_err tarn_rsa_oaep_decrypt(const struct tarn_private_key *key,
                                                  const struct tarn_digest *digest,
                                                  struct tarn_random *random,
                                                  struct tarn_span label, struct tarn_span in,
                                                  struct tarn_bytes out, size_t *len);

#endif
