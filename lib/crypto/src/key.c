/* SPDX-License-Identifier: ISC */
#include "internal.h"

#include <nettle/curve25519.h>
#include <nettle/curve448.h>
#include <nettle/eddsa.h>

size_t tarn_pk_scalar_bytes(enum tarn_pk_type type) {
    switch (type) {
    case TARN_PK_P256:
    case TARN_PK_ED25519:
    case TARN_PK_X25519: return 32;
    case TARN_PK_P384: return 48;
    case TARN_PK_P521: return 66;
    case TARN_PK_ED448: return 57;
    case TARN_PK_X448: return 56;
    default: return 0;
    }
}

size_t tarn_pk_point_bytes(enum tarn_pk_type type) {
    size_t n = tarn_pk_scalar_bytes(type);
    return curve_of(type) ? 1 + 2 * n : n;
}

size_t tarn_pk_bits(const struct tarn_public_key *key) {
    switch (key->type) {
    case TARN_PK_RSA: return number_bits(key->n);
    case TARN_PK_DSA: return number_bits(key->p);
    case TARN_PK_P256: return 256;
    case TARN_PK_P384: return 384;
    case TARN_PK_P521: return 521;
    case TARN_PK_ED25519:
    case TARN_PK_X25519: return 255;
    case TARN_PK_ED448:
    case TARN_PK_X448: return 448;
    default: return 0;
    }
}

static bool odd(struct tarn_span s) {
    return s.len > 0 && tarn_span_at(s, s.len - 1) & 1;
}

static bool rsa_is_valid(const struct tarn_public_key *key) {
    size_t bits = number_bits(key->n), e_bits = number_bits(key->e);
    return bits >= TARN_RSA_BITS_MIN && bits <= TARN_RSA_BITS_MAX && odd(key->n) && odd(key->e)
           && e_bits >= 2 && e_bits <= 64;
}

static bool dsa_is_valid(const struct tarn_public_key *key) {
    size_t p = number_bits(key->p), q = number_bits(key->q), g = number_bits(key->g),
           y = number_bits(key->y);
    return p >= 512 && p <= TARN_DH_BITS_MAX && q >= 160 && q <= 512 && q < p && g >= 2 && g <= p
           && y >= 2 && y <= p && odd(key->p) && odd(key->q);
}

enum tarn_err tarn_public_key_check(const struct tarn_public_key *key) {
    bool valid;
    switch (key->type) {
    case TARN_PK_RSA: valid = rsa_is_valid(key); break;
    case TARN_PK_DSA: valid = dsa_is_valid(key); break;
    case TARN_PK_P256:
    case TARN_PK_P384:
    case TARN_PK_P521: valid = ec_point_is_valid(key->type, key->point); break;
    case TARN_PK_NONE: valid = false; break;
    default: valid = key->point.len == tarn_pk_point_bytes(key->type); break;
    }
    return valid ? TARN_OK : TARN_PEER;
}

bool tarn_public_key_equal(const struct tarn_public_key *a, const struct tarn_public_key *b) {
    return a->type == b->type && tarn_span_equal(a->point, b->point)
           && tarn_span_equal(number_trim(a->n), number_trim(b->n))
           && tarn_span_equal(number_trim(a->e), number_trim(b->e))
           && tarn_span_equal(number_trim(a->p), number_trim(b->p))
           && tarn_span_equal(number_trim(a->q), number_trim(b->q))
           && tarn_span_equal(number_trim(a->g), number_trim(b->g))
           && tarn_span_equal(number_trim(a->y), number_trim(b->y));
}

enum tarn_err tarn_pk_public(enum tarn_pk_type type, struct tarn_span secret,
                             struct tarn_bytes point) {
    size_t bytes = tarn_pk_scalar_bytes(type);
    if (bytes == 0 || secret.len != bytes || point.len != tarn_pk_point_bytes(type))
        return TARN_INVALID;
    switch (type) {
    case TARN_PK_ED25519: ed25519_sha512_public_key(point.ptr, secret.ptr); break;
    case TARN_PK_ED448: ed448_shake256_public_key(point.ptr, secret.ptr); break;
    case TARN_PK_X25519: curve25519_mul_g(point.ptr, secret.ptr); break;
    case TARN_PK_X448: curve448_mul_g(point.ptr, secret.ptr); break;
    default: return ec_public(type, secret, point);
    }
    return TARN_OK;
}

enum tarn_err tarn_pk_generate(enum tarn_pk_type type, struct tarn_random *random,
                               struct tarn_bytes secret, struct tarn_bytes point) {
    size_t bytes = tarn_pk_scalar_bytes(type);
    if (bytes == 0 || secret.len != bytes)
        return TARN_INVALID;
    /* Those that are no scalar are thrown away: 2^-32 of them on P-256, and fewer elsewhere. */
    do {
        tarn_random_fill(random, secret);
        if (type == TARN_PK_P521)
            *tarn_bytes_at(secret, 0) &= 1;
    } while (curve_of(type) && !ec_scalar_is_valid(type, tarn_bytes_span(secret)));
    return tarn_pk_public(type, tarn_bytes_span(secret), point);
}

enum tarn_err tarn_agree(enum tarn_pk_type type, struct tarn_span secret, struct tarn_span peer,
                         struct tarn_bytes shared) {
    size_t bytes = tarn_pk_scalar_bytes(type);
    uint32_t any = 0;
    if (curve_of(type))
        return ec_agree(type, secret, peer, shared);
    if ((type != TARN_PK_X25519 && type != TARN_PK_X448) || secret.len != bytes
        || shared.len != bytes)
        return TARN_INVALID;
    if (peer.len != bytes)
        return TARN_PEER;
    if (type == TARN_PK_X25519)
        curve25519_mul(shared.ptr, secret.ptr, peer.ptr);
    else
        curve448_mul(shared.ptr, secret.ptr, peer.ptr);
    for (size_t i = 0; i < bytes; i++)
        any |= tarn_span_at(tarn_bytes_span(shared), i);
    return any ? TARN_OK : TARN_PEER;
}

void scheme_digest(const struct tarn_scheme *scheme, struct tarn_span message,
                   uint8_t out[TARN_DIGEST_BYTES_MAX]) {
    struct tarn_bytes digest = tarn_bytes_of(out, scheme->digest->digest_bytes);
    if (!scheme->prehashed) {
        tarn_digest_of(scheme->digest, message, digest);
        return;
    }
    TARN_ASSERT(message.len == digest.len);
    tarn_bytes_copy(digest, message);
}

enum tarn_err tarn_verify(const struct tarn_public_key *key, const struct tarn_scheme *scheme,
                          struct tarn_span message, struct tarn_span signature) {
    if (!scheme->ops->serves(key->type) || tarn_public_key_check(key))
        return TARN_INVALID;
    return scheme->ops->verify(scheme, key, message, signature);
}

enum tarn_err tarn_sign(const struct tarn_private_key *key, const struct tarn_scheme *scheme,
                        struct tarn_random *random, struct tarn_span message,
                        struct tarn_writer *signature) {
    if (!scheme->ops->serves(key->pub.type))
        return TARN_INVALID;
    return scheme->ops->sign(scheme, key, random, message, signature);
}
