/* SPDX-License-Identifier: ISC */
/* Private keys: PKCS#8, PKCS#1, SEC 1. */
#include "internal.h"

#include <tarn/x509_issue.h>

/* RSAPrivateKey (RFC 8017 appendix A.1.2) of two primes, from behind its version. */
static bool rsa_fields(struct tarn_span seq, struct tarn_private_key *key) {
    key->pub.type = TARN_PK_RSA;
    return tarn_der_positive(&seq, &key->pub.n) && tarn_der_positive(&seq, &key->pub.e)
           && tarn_der_positive(&seq, &key->secret) && tarn_der_positive(&seq, &key->p)
           && tarn_der_positive(&seq, &key->q) && tarn_der_positive(&seq, &key->dp)
           && tarn_der_positive(&seq, &key->dq) && tarn_der_positive(&seq, &key->qinv)
           && seq.len == 0;
}

static enum tarn_err curve_finish(struct tarn_private_key *key, uint8_t *point) {
    struct tarn_bytes p = {point, tarn_pk_point_bytes(key->pub.type)};
    if (key->secret.len != tarn_pk_scalar_bytes(key->pub.type)
        || tarn_pk_public(key->pub.type, key->secret, p) != TARN_OK)
        return TARN_PEER;
    key->pub.point = tarn_bytes_span(p);
    return TARN_OK;
}

/* ECPrivateKey from behind its version. `type` is known from PKCS#8, or stands in [0]. */
static enum tarn_err ec_fields(struct tarn_span seq, uint8_t *point, struct tarn_private_key *key) {
    struct tarn_span params, oid, skip;
    bool there;
    if (!tarn_der_take(&seq, TARN_DER_OCTETS, &key->secret)
        || !tarn_der_optional(&seq, TARN_DER_EXPLICIT | 0, &params, &there))
        return TARN_PEER;
    if (there) {
        if (!tarn_der_take(&params, TARN_DER_OID, &oid) || params.len > 0)
            return TARN_PEER;
        enum tarn_pk_type named = curve_from_oid(oid);
        if (key->pub.type != TARN_PK_NONE && key->pub.type != named)
            return TARN_PEER;
        key->pub.type = named;
    }
    if (!tarn_der_optional(&seq, TARN_DER_EXPLICIT | 1, &skip, &there) || seq.len > 0
        || key->pub.type == TARN_PK_NONE)
        return TARN_PEER;
    return curve_finish(key, point);
}

static enum tarn_err inner(struct tarn_span oid, struct tarn_span params, struct tarn_span data,
                           uint8_t *point, struct tarn_private_key *key) {
    struct tarn_span seq, curve;
    uint32_t version;
    if (OID_IS(oid, OID_RSA) || OID_IS(oid, OID_RSA_PSS)) {
        if (!tarn_der_take(&data, TARN_DER_SEQUENCE, &seq) || data.len > 0
            || !tarn_der_u32(&seq, &version) || version != 0 || !rsa_fields(seq, key))
            return TARN_PEER;
        return tarn_public_key_check(&key->pub);
    }
    if (OID_IS(oid, OID_EC)) {
        if (!tarn_der_take(&params, TARN_DER_OID, &curve))
            return TARN_PEER;
        key->pub.type = curve_from_oid(curve);
        if (key->pub.type == TARN_PK_NONE || !tarn_der_take(&data, TARN_DER_SEQUENCE, &seq)
            || data.len > 0 || !tarn_der_u32(&seq, &version) || version != 1)
            return TARN_PEER;
        return ec_fields(seq, point, key);
    }
    key->pub.type = curve_from_oid(oid);
    if (key->pub.type == TARN_PK_NONE || !tarn_der_take(&data, TARN_DER_OCTETS, &key->secret)
        || data.len > 0)
        return TARN_PEER;
    return curve_finish(key, point);
}

enum tarn_err tarn_private_key_parse(struct tarn_span der, uint8_t point[TARN_EC_POINT_BYTES_MAX],
                                     struct tarn_private_key *key) {
    struct tarn_span seq, alg, oid, data;
    uint32_t version;
    *key = (struct tarn_private_key){.pub = {.type = TARN_PK_NONE}};
    if (!tarn_der_take(&der, TARN_DER_SEQUENCE, &seq) || der.len > 0
        || !tarn_der_u32(&seq, &version) || version > 1)
        return TARN_PEER;
    if (version == 1 && tarn_der_is(seq, TARN_DER_OCTETS))
        return ec_fields(seq, point, key);
    if (version == 0 && tarn_der_is(seq, TARN_DER_INTEGER)) {
        if (!rsa_fields(seq, key))
            return TARN_PEER;
        return tarn_public_key_check(&key->pub);
    }
    if (!tarn_der_take(&seq, TARN_DER_SEQUENCE, &alg) || !tarn_der_take(&alg, TARN_DER_OID, &oid)
        || !tarn_der_take(&seq, TARN_DER_OCTETS, &data))
        return TARN_PEER;
    return inner(oid, alg, data, point, key);
}

static void put_rsa(struct tarn_der_writer *w, const struct tarn_private_key *key) {
    size_t end = w->len;
    tarn_der_put_positive(w, key->qinv);
    tarn_der_put_positive(w, key->dq);
    tarn_der_put_positive(w, key->dp);
    tarn_der_put_positive(w, key->q);
    tarn_der_put_positive(w, key->p);
    tarn_der_put_positive(w, key->secret);
    tarn_der_put_positive(w, key->pub.e);
    tarn_der_put_positive(w, key->pub.n);
    tarn_der_put_u32(w, 0);
    tarn_der_put_head(w, TARN_DER_SEQUENCE, end);
}

static void put_ec(struct tarn_der_writer *w, const struct tarn_private_key *key) {
    size_t end = w->len;
    tarn_der_put_bit_bytes(w, key->pub.point);
    tarn_der_put_head(w, TARN_DER_EXPLICIT | 1, end);
    tarn_der_put(w, TARN_DER_OCTETS, key->secret);
    tarn_der_put_u32(w, 1);
    tarn_der_put_head(w, TARN_DER_SEQUENCE, end);
}

enum tarn_err tarn_private_key_put(struct tarn_der_writer *w, const struct tarn_private_key *key) {
    size_t end = w->len;
    switch (key->pub.type) {
    case TARN_PK_RSA: put_rsa(w, key); break;
    case TARN_PK_P256:
    case TARN_PK_P384:
    case TARN_PK_P521: put_ec(w, key); break;
    case TARN_PK_NONE:
    case TARN_PK_DSA: return TARN_INVALID;
    default: tarn_der_put(w, TARN_DER_OCTETS, key->secret); break;
    }
    tarn_der_put_head(w, TARN_DER_OCTETS, end);
    put_key_alg(w, key->pub.type);
    tarn_der_put_u32(w, 0);
    tarn_der_put_head(w, TARN_DER_SEQUENCE, end);
    return TARN_OK;
}
