/* SPDX-License-Identifier: ISC */
/* The NIST curves: ECDSA and ECDH. Secrets go between bytes and limbs here, and not through mpz,
 * whose size would depend on them. */
#include "internal.h"

#include <nettle/ecc.h>
#include <nettle/ecdsa.h>

#define LIMBS_MAX 9

struct curve {
    enum tarn_pk_type type;
    size_t bytes;
    uint8_t order[TARN_EC_SCALAR_BYTES_MAX];
};
static const struct curve curves[] = {
    {TARN_PK_P256, 32, {0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff,
                        0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17,
                        0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51}},
    {TARN_PK_P384, 48, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                        0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf, 0x58, 0x1a, 0x0d, 0xb2,
                        0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73}},
    {TARN_PK_P521, 66, {0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                        0xfa, 0x51, 0x86, 0x87, 0x83, 0xbf, 0x2f, 0x96, 0x6b, 0x7f, 0xcc,
                        0x01, 0x48, 0xf7, 0x09, 0xa5, 0xd0, 0x3b, 0xb5, 0xc9, 0xb8, 0x89,
                        0x9c, 0x47, 0xae, 0xbb, 0x6f, 0xb7, 0x1e, 0x91, 0x38, 0x64, 0x09}},
};

static const struct curve *find(enum tarn_pk_type type) {
    for (size_t i = 0; i < TARN_COUNT_OF(curves); i++)
        if (TARN_AT(curves, i).type == type)
            return &TARN_AT(curves, i);
    return NULL;
}

const struct ecc_curve *curve_of(enum tarn_pk_type type) {
    switch (type) {
    case TARN_PK_P256: return nettle_get_secp_256r1();
    case TARN_PK_P384: return nettle_get_secp_384r1();
    case TARN_PK_P521: return nettle_get_secp_521r1();
    default: return NULL;
    }
}

/* In [1, order - 1], in constant time. */
bool ec_scalar_is_valid(enum tarn_pk_type type, struct tarn_span secret) {
    const struct curve *c = find(type);
    uint32_t borrow = 0, any = 0;
    if (!c || secret.len != c->bytes)
        return false;
    for (size_t i = c->bytes; i-- > 0;) {
        uint32_t byte = tarn_span_at(secret, i);
        borrow = (byte - TARN_AT(c->order, i) - borrow) >> 31;
        any |= byte;
    }
    return (borrow & (0 - any) >> 31) != 0;
}

static void limbs_from(mp_limb_t *limbs, size_t count, struct tarn_span be) {
    for (size_t i = 0; i < count; i++) {
        mp_limb_t limb = 0;
        for (size_t byte = 0; byte < 8 && 8 * i + byte < be.len; byte++)
            limb |= (mp_limb_t)tarn_span_at(be, be.len - 1 - 8 * i - byte) << 8 * byte;
        TARN_AT_N(limbs, count, i) = limb;
    }
}

static void limbs_to(struct tarn_bytes be, const mp_limb_t *limbs, size_t count) {
    for (size_t i = 0; i < be.len; i++)
        *tarn_bytes_at(be, be.len - 1 - i) =
            (uint8_t)(TARN_AT_N(limbs, count, i / 8) >> 8 * (i % 8));
}

static bool scalar_from(struct ecc_scalar *s, enum tarn_pk_type type, struct tarn_span secret) {
    if (!ec_scalar_is_valid(type, secret))
        return false;
    ecc_scalar_init(s, curve_of(type));
    limbs_from(s->p, (size_t)ecc_size(s->ecc), secret);
    return true;
}

static void scalar_wipe(struct ecc_scalar *s) {
    tarn_bytes_wipe(tarn_bytes_of(s->p, (size_t)ecc_size(s->ecc) * sizeof(mp_limb_t)));
    ecc_scalar_clear(s);
}

static bool point_from(struct ecc_point *p, enum tarn_pk_type type, struct tarn_span point) {
    const struct curve *c = find(type);
    mpz_t x, y;
    if (!c || point.len != 1 + 2 * c->bytes || tarn_span_at(point, 0) != 4)
        return false;
    struct tarn_span xy = tarn_span_after(point, 1);
    mpz_init(x);
    mpz_init(y);
    number_set(x, tarn_span_first(xy, c->bytes));
    number_set(y, tarn_span_after(xy, c->bytes));
    ecc_point_init(p, curve_of(type));
    bool on_curve = ecc_point_set(p, x, y) != 0;
    mpz_clear(x);
    mpz_clear(y);
    if (!on_curve)
        ecc_point_clear(p);
    return on_curve;
}

bool ec_point_is_valid(enum tarn_pk_type type, struct tarn_span point) {
    struct ecc_point p;
    if (!point_from(&p, type, point))
        return false;
    ecc_point_clear(&p);
    return true;
}

enum tarn_err ec_public(enum tarn_pk_type type, struct tarn_span secret, struct tarn_bytes point) {
    const struct curve *c = find(type);
    struct ecc_scalar s;
    struct ecc_point p;
    if (!c || point.len != 1 + 2 * c->bytes || !scalar_from(&s, type, secret))
        return TARN_INVALID;
    ecc_point_init(&p, curve_of(type));
    ecc_point_mul_g(&p, &s);
    size_t limbs = (size_t)ecc_size(s.ecc);
    *tarn_bytes_at(point, 0) = 4;
    limbs_to(tarn_bytes_first(tarn_bytes_after(point, 1), c->bytes), p.p, limbs);
    limbs_to(tarn_bytes_after(point, 1 + c->bytes), &TARN_AT_N(p.p, 2 * limbs, limbs), limbs);
    ecc_point_clear(&p);
    scalar_wipe(&s);
    return TARN_OK;
}

enum tarn_err ec_agree(enum tarn_pk_type type, struct tarn_span secret, struct tarn_span peer,
                       struct tarn_bytes shared) {
    const struct curve *c = find(type);
    struct ecc_scalar s;
    struct ecc_point p, r;
    if (!c || shared.len != c->bytes || !scalar_from(&s, type, secret))
        return TARN_INVALID;
    if (!point_from(&p, type, peer)) {
        scalar_wipe(&s);
        return TARN_PEER;
    }
    ecc_point_init(&r, s.ecc);
    ecc_point_mul(&r, &s, &p);
    size_t limbs = (size_t)ecc_size(s.ecc);
    limbs_to(shared, r.p, limbs);
    tarn_bytes_wipe(tarn_bytes_of(r.p, 2 * limbs * sizeof(mp_limb_t)));
    ecc_point_clear(&r);
    ecc_point_clear(&p);
    scalar_wipe(&s);
    return TARN_OK;
}

static bool serves(enum tarn_pk_type type) {
    return find(type) != NULL;
}

static enum tarn_err verify_numbers(const struct tarn_scheme *scheme,
                                    const struct tarn_public_key *key, struct tarn_span message,
                                    struct tarn_span r, struct tarn_span s) {
    uint8_t digest[TARN_DIGEST_BYTES_MAX];
    struct dsa_signature sig;
    struct ecc_point p;
    if (r.len > TARN_EC_SCALAR_BYTES_MAX || s.len > TARN_EC_SCALAR_BYTES_MAX
        || !point_from(&p, key->type, key->point))
        return TARN_PEER;
    scheme_digest(scheme, message, digest);
    dsa_signature_init(&sig);
    number_set(sig.r, r);
    number_set(sig.s, s);
    int good = ecdsa_verify(&p, scheme->digest->digest_bytes, digest, &sig);
    dsa_signature_clear(&sig);
    ecc_point_clear(&p);
    return good ? TARN_OK : TARN_PEER;
}

static enum tarn_err verify_der(const struct tarn_scheme *scheme, const struct tarn_public_key *key,
                                struct tarn_span message, struct tarn_span signature) {
    struct tarn_span r, s;
    if (!der_pair_read(signature, &r, &s))
        return TARN_PEER;
    return verify_numbers(scheme, key, message, r, s);
}

static enum tarn_err verify_raw(const struct tarn_scheme *scheme, const struct tarn_public_key *key,
                                struct tarn_span message, struct tarn_span signature) {
    size_t bytes = find(key->type)->bytes;
    if (signature.len != 2 * bytes)
        return TARN_PEER;
    return verify_numbers(scheme, key, message, tarn_span_first(signature, bytes),
                          tarn_span_after(signature, bytes));
}

/* A nonce that nobody can foresee if either the key or the randomness is unknown: HMAC with the
 * random bytes as its key over the secret, the digest and a counter. */
struct nonce {
    struct tarn_hmac hmac;
    uint32_t count;
};

static void nonce_init(struct nonce *n, struct tarn_random *random, struct tarn_span secret,
                       struct tarn_span digest) {
    uint8_t fresh[32];
    tarn_random_fill(random, TARN_BYTES_ARRAY(fresh));
    tarn_hmac_init(&n->hmac, &tarn_sha512, TARN_SPAN_ARRAY(fresh));
    tarn_hmac_update(&n->hmac, secret);
    tarn_hmac_update(&n->hmac, digest);
    n->count = 0;
    tarn_bytes_wipe(TARN_BYTES_ARRAY(fresh));
}

static void nonce_fill(void *ctx, size_t len, uint8_t *dst) {
    struct nonce *n = (struct nonce *)ctx;
    struct tarn_bytes out = {dst, len};
    while (out.len > 0) {
        uint8_t block[64];
        struct tarn_hmac h = n->hmac;
        n->count++;
        tarn_hmac_update(&h, tarn_span_of(&n->count, sizeof n->count));
        tarn_hmac_final(&h, TARN_BYTES_ARRAY(block));
        out = tarn_bytes_after(out, tarn_bytes_copy(out, TARN_SPAN_ARRAY(block)));
        tarn_bytes_wipe(TARN_BYTES_ARRAY(block));
        tarn_bytes_wipe(tarn_bytes_of(&h, sizeof h));
    }
}

static enum tarn_err sign_numbers(const struct tarn_scheme *scheme,
                                  const struct tarn_private_key *key, struct tarn_random *random,
                                  struct tarn_span message, struct tarn_bytes r,
                                  struct tarn_bytes s) {
    uint8_t digest[TARN_DIGEST_BYTES_MAX];
    struct tarn_bytes whole = {digest, scheme->digest->digest_bytes};
    struct dsa_signature sig;
    struct ecc_scalar scalar;
    struct nonce nonce;
    if (!scalar_from(&scalar, key->pub.type, key->secret))
        return TARN_INVALID;
    scheme_digest(scheme, message, digest);
    nonce_init(&nonce, random, key->secret, tarn_bytes_span(whole));
    dsa_signature_init(&sig);
    ecdsa_sign(&scalar, &nonce, nonce_fill, whole.len, digest, &sig);
    bool fits = number_get(r, sig.r) && number_get(s, sig.s);
    dsa_signature_clear(&sig);
    scalar_wipe(&scalar);
    tarn_bytes_wipe(tarn_bytes_of(&nonce, sizeof nonce));
    return fits ? TARN_OK : TARN_INVALID;
}

static enum tarn_err sign_raw(const struct tarn_scheme *scheme, const struct tarn_private_key *key,
                              struct tarn_random *random, struct tarn_span message,
                              struct tarn_writer *signature) {
    uint8_t rs[2 * TARN_EC_SCALAR_BYTES_MAX];
    size_t bytes = find(key->pub.type)->bytes;
    struct tarn_bytes both = {rs, 2 * bytes};
    enum tarn_err err = sign_numbers(scheme, key, random, message, tarn_bytes_first(both, bytes),
                                     tarn_bytes_after(both, bytes));
    if (!err)
        tarn_writer_span_put(signature, tarn_bytes_span(both));
    return err;
}

static enum tarn_err sign_der(const struct tarn_scheme *scheme, const struct tarn_private_key *key,
                              struct tarn_random *random, struct tarn_span message,
                              struct tarn_writer *signature) {
    uint8_t rs[2 * TARN_EC_SCALAR_BYTES_MAX];
    size_t bytes = find(key->pub.type)->bytes;
    struct tarn_bytes both = {rs, 2 * bytes};
    enum tarn_err err = sign_numbers(scheme, key, random, message, tarn_bytes_first(both, bytes),
                                     tarn_bytes_after(both, bytes));
    if (!err)
        der_pair_write(signature, tarn_span_of(rs, bytes),
                       tarn_span_after(tarn_bytes_span(both), bytes));
    return err;
}

const struct tarn_scheme_ops tarn_ecdsa_ops = {serves, verify_der, sign_der};
const struct tarn_scheme_ops tarn_ecdsa_raw_ops = {serves, verify_raw, sign_raw};

const struct tarn_scheme tarn_ecdsa_sha1 = {"ecdsa-sha1", &tarn_ecdsa_ops, &tarn_sha1};
const struct tarn_scheme tarn_ecdsa_sha224 = {"ecdsa-sha224", &tarn_ecdsa_ops, &tarn_sha224};
const struct tarn_scheme tarn_ecdsa_sha256 = {"ecdsa-sha256", &tarn_ecdsa_ops, &tarn_sha256};
const struct tarn_scheme tarn_ecdsa_sha384 = {"ecdsa-sha384", &tarn_ecdsa_ops, &tarn_sha384};
const struct tarn_scheme tarn_ecdsa_sha512 = {"ecdsa-sha512", &tarn_ecdsa_ops, &tarn_sha512};
const struct tarn_scheme tarn_ecdsa_raw_sha256 = {"ecdsa-raw-sha256", &tarn_ecdsa_raw_ops,
                                                  &tarn_sha256};
const struct tarn_scheme tarn_ecdsa_raw_sha384 = {"ecdsa-raw-sha384", &tarn_ecdsa_raw_ops,
                                                  &tarn_sha384};
const struct tarn_scheme tarn_ecdsa_raw_sha512 = {"ecdsa-raw-sha512", &tarn_ecdsa_raw_ops,
                                                  &tarn_sha512};
