/* SPDX-License-Identifier: ISC */
/* What the files of lib/crypto share: numbers in GMP's form, and nettle's view of randomness. */
#ifndef TARN_CRYPTO_INTERNAL_H
#define TARN_CRYPTO_INTERNAL_H

#include <nettle/bignum.h>
#include <nettle/ecc-curve.h>
#include <tarn/pk.h>

static inline void number_set(mpz_t x, struct tarn_span s) {
    nettle_mpz_set_str_256_u(x, s.len, s.ptr);
}
/* Big-endian, filled up with zeros in front; false where it has not room. */
static inline bool number_get(struct tarn_bytes out, const mpz_t x) {
    if (mpz_sgn(x) < 0 || mpz_sizeinbase(x, 2) > 8 * out.len)
        return false;
    nettle_mpz_get_str_256(out.len, out.ptr, x);
    return true;
}
/* Clears what a number of a secret leaves behind. */
void number_wipe(mpz_t x);
/* Without leading zeros. */
struct tarn_span number_trim(struct tarn_span s);
size_t number_bits(struct tarn_span s);

/* nettle_random_func over a struct tarn_random. */
void random_for_nettle(void *ctx, size_t len, uint8_t *dst);

/* A DER SEQUENCE of two positive INTEGERs, strictly (what ECDSA and DSA sign with). */
TARN_MUST_USE bool der_pair_read(struct tarn_span der, struct tarn_span *r, struct tarn_span *s);
void der_pair_write(struct tarn_writer *w, struct tarn_span r, struct tarn_span s);

/* scheme->digest of the message, or the message itself where it is that already. */
void scheme_digest(const struct tarn_scheme *scheme, struct tarn_span message,
                   uint8_t out[TARN_DIGEST_BYTES_MAX]);

/* The NIST curves. */
const struct ecc_curve *curve_of(enum tarn_pk_type type);
enum tarn_err ec_public(enum tarn_pk_type type, struct tarn_span secret, struct tarn_bytes point);
enum tarn_err ec_agree(enum tarn_pk_type type, struct tarn_span secret, struct tarn_span peer,
                       struct tarn_bytes shared);
bool ec_point_is_valid(enum tarn_pk_type type, struct tarn_span point);
bool ec_scalar_is_valid(enum tarn_pk_type type, struct tarn_span secret);

#endif
