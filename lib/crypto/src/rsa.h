/* SPDX-License-Identifier: ISC */
/* The RSA primitives (RFC 8017 section 5) and the mask function, for the encodings above them. */
#ifndef TARN_CRYPTO_RSA_H
#define TARN_CRYPTO_RSA_H

#include <tarn/pk.h>

#define RSA_BYTES_MAX (TARN_RSA_BITS_MAX / 8)

static inline size_t rsa_bytes(const struct tarn_public_key *key) {
    return (tarn_pk_bits(key) + 7) / 8;
}
/* in^e mod n; `in` below n, both of rsa_bytes. TARN_PEER: `in` is not below n. */
enum tarn_err rsa_public_op(const struct tarn_public_key *key, struct tarn_span in,
                            struct tarn_bytes out);
/* in^d mod n, blinded, by nettle's rsa_compute_root_tr, which also checks its result. */
enum tarn_err rsa_private_op(const struct tarn_private_key *key, struct tarn_random *random,
                             struct tarn_span in, struct tarn_bytes out);
/* Xors MGF1(seed) onto `data` (appendix B.2.1). */
void rsa_mask(const struct tarn_digest *digest, struct tarn_span seed, struct tarn_bytes data);

#endif
