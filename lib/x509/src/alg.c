/* SPDX-License-Identifier: ISC */
/* AlgorithmIdentifiers of keys and signatures. */
#include "internal.h"

struct sig_alg {
    struct tarn_span oid;
    const struct tarn_scheme *scheme;
    bool null; /* parameters are NULL, or missing; otherwise they must be missing */
};

#define RSA_SIG(last) TARN_SPAN_LIT("\x2a\x86\x48\x86\xf7\x0d\x01\x01" last)
#define EC_SIG(tail) TARN_SPAN_LIT("\x2a\x86\x48\xce\x3d\x04" tail)

static struct sig_alg sig_alg_at(size_t i) {
    switch (i) {
    case 0: return (struct sig_alg){EC_SIG("\x03\x02"), &tarn_ecdsa_sha256, false};
    case 1: return (struct sig_alg){EC_SIG("\x03\x03"), &tarn_ecdsa_sha384, false};
    case 2: return (struct sig_alg){EC_SIG("\x03\x04"), &tarn_ecdsa_sha512, false};
    case 3: return (struct sig_alg){EC_SIG("\x03\x01"), &tarn_ecdsa_sha224, false};
    case 4: return (struct sig_alg){EC_SIG("\x01"), &tarn_ecdsa_sha1, false};
    case 5: return (struct sig_alg){RSA_SIG("\x0b"), &tarn_rsa_sha256, true};
    case 6: return (struct sig_alg){RSA_SIG("\x0c"), &tarn_rsa_sha384, true};
    case 7: return (struct sig_alg){RSA_SIG("\x0d"), &tarn_rsa_sha512, true};
    case 8: return (struct sig_alg){RSA_SIG("\x0e"), &tarn_rsa_sha224, true};
    case 9: return (struct sig_alg){RSA_SIG("\x05"), &tarn_rsa_sha1, true};
    case 10: return (struct sig_alg){RSA_SIG("\x04"), &tarn_rsa_md5, true};
    case 11: return (struct sig_alg){TARN_SPAN_LIT(OID_ED25519), &tarn_ed25519, false};
    case 12: return (struct sig_alg){TARN_SPAN_LIT(OID_ED448), &tarn_ed448, false};
    case 13:
        return (struct sig_alg){TARN_SPAN_LIT("\x60\x86\x48\x01\x65\x03\x04\x03\x02"),
                                &tarn_dsa_sha256, false};
    default: return (struct sig_alg){TARN_SPAN_EMPTY, NULL, false};
    }
}

bool digest_alg_parse(struct tarn_span *in, const struct tarn_digest **digest) {
    struct tarn_span seq, oid;
    *digest = NULL;
    if (!tarn_der_take(in, TARN_DER_SEQUENCE, &seq) || !tarn_der_take(&seq, TARN_DER_OID, &oid)
        || (seq.len > 0 && (!tarn_der_null(&seq) || seq.len > 0)))
        return false;
    *digest = OID_IS(oid, OID_SHA256)   ? &tarn_sha256
              : OID_IS(oid, OID_SHA384) ? &tarn_sha384
              : OID_IS(oid, OID_SHA512) ? &tarn_sha512
              : OID_IS(oid, OID_SHA1)   ? &tarn_sha1
                                        : NULL;
    return true;
}

/* RSASSA-PSS-params (RFC 8017 appendix A.2.3). */
static bool pss_parse(struct tarn_span params, struct tarn_scheme *scheme) {
    struct tarn_span value, oid, seq;
    bool there;
    const struct tarn_digest *digest = &tarn_sha1, *mgf = &tarn_sha1;
    uint32_t salt = 20, trailer = 1;
    if (!tarn_der_optional(&params, TARN_DER_EXPLICIT | 0, &value, &there)
        || (there && (!digest_alg_parse(&value, &digest) || value.len > 0)))
        return false;
    if (!tarn_der_optional(&params, TARN_DER_EXPLICIT | 1, &value, &there))
        return false;
    if (there) {
        if (!tarn_der_take(&value, TARN_DER_SEQUENCE, &seq) || value.len > 0
            || !tarn_der_take(&seq, TARN_DER_OID, &oid) || !OID_IS(oid, OID_MGF1)
            || !digest_alg_parse(&seq, &mgf) || seq.len > 0)
            return false;
    }
    if (!tarn_der_optional(&params, TARN_DER_EXPLICIT | 2, &value, &there)
        || (there && (!tarn_der_u32(&value, &salt) || value.len > 0)))
        return false;
    if (!tarn_der_optional(&params, TARN_DER_EXPLICIT | 3, &value, &there)
        || (there && (!tarn_der_u32(&value, &trailer) || value.len > 0)))
        return false;
    if (params.len > 0 || trailer != 1 || salt > TARN_DIGEST_BYTES_MAX)
        return false;
    if (digest && mgf)
        *scheme = (struct tarn_scheme){"rsa-pss", &tarn_rsa_pss_ops, digest, mgf, salt};
    return true;
}

bool tarn_sig_alg_parse(struct tarn_span *in, struct tarn_scheme *scheme) {
    struct tarn_span seq, oid, params;
    *scheme = (struct tarn_scheme){.ops = NULL};
    if (!tarn_der_take(in, TARN_DER_SEQUENCE, &seq) || !tarn_der_take(&seq, TARN_DER_OID, &oid)
        || !tarn_der_oid_is_valid(oid))
        return false;
    if (OID_IS(oid, OID_RSA_PSS))
        return tarn_der_take(&seq, TARN_DER_SEQUENCE, &params) && seq.len == 0
               && pss_parse(params, scheme);
    for (size_t i = 0; sig_alg_at(i).scheme; i++) {
        struct sig_alg alg = sig_alg_at(i);
        if (!tarn_span_equal(oid, alg.oid))
            continue;
        if (seq.len > 0 && (!alg.null || !tarn_der_null(&seq) || seq.len > 0))
            return false;
        *scheme = *alg.scheme;
    }
    return true;
}

enum tarn_pk_type curve_from_oid(struct tarn_span oid) {
    return OID_IS(oid, OID_P256)      ? TARN_PK_P256
           : OID_IS(oid, OID_P384)    ? TARN_PK_P384
           : OID_IS(oid, OID_P521)    ? TARN_PK_P521
           : OID_IS(oid, OID_ED25519) ? TARN_PK_ED25519
           : OID_IS(oid, OID_ED448)   ? TARN_PK_ED448
           : OID_IS(oid, OID_X25519)  ? TARN_PK_X25519
           : OID_IS(oid, OID_X448)    ? TARN_PK_X448
                                      : TARN_PK_NONE;
}

static bool rsa_key_parse(struct tarn_span bits, struct tarn_public_key *key) {
    struct tarn_span seq;
    return tarn_der_take(&bits, TARN_DER_SEQUENCE, &seq) && bits.len == 0
           && tarn_der_positive(&seq, &key->n) && tarn_der_positive(&seq, &key->e) && seq.len == 0;
}

static bool dsa_key_parse(struct tarn_span params, struct tarn_span bits,
                          struct tarn_public_key *key) {
    struct tarn_span seq;
    return tarn_der_take(&params, TARN_DER_SEQUENCE, &seq) && params.len == 0
           && tarn_der_positive(&seq, &key->p) && tarn_der_positive(&seq, &key->q)
           && tarn_der_positive(&seq, &key->g) && seq.len == 0 && tarn_der_positive(&bits, &key->y)
           && bits.len == 0;
}

enum tarn_err tarn_spki_parse(struct tarn_span der, struct tarn_public_key *key) {
    struct tarn_span seq, alg, oid, bits, curve;
    *key = (struct tarn_public_key){.type = TARN_PK_NONE};
    if (!tarn_der_take(&der, TARN_DER_SEQUENCE, &seq) || der.len > 0
        || !tarn_der_take(&seq, TARN_DER_SEQUENCE, &alg) || !tarn_der_bit_bytes(&seq, &bits)
        || seq.len > 0 || !tarn_der_take(&alg, TARN_DER_OID, &oid) || !tarn_der_oid_is_valid(oid))
        return TARN_PEER;
    if (OID_IS(oid, OID_RSA)) {
        key->type = TARN_PK_RSA;
        if (!tarn_der_null(&alg) || alg.len > 0 || !rsa_key_parse(bits, key))
            return TARN_PEER;
    } else if (OID_IS(oid, OID_RSA_PSS)) {
        key->type = TARN_PK_RSA;
        if (!rsa_key_parse(bits, key))
            return TARN_PEER;
    } else if (OID_IS(oid, OID_DSA)) {
        key->type = TARN_PK_DSA;
        if (!dsa_key_parse(alg, bits, key))
            return TARN_PEER;
    } else if (OID_IS(oid, OID_EC)) {
        /* Explicit curve parameters are refused (RFC 5480 section 2.1.1). */
        if (!tarn_der_take(&alg, TARN_DER_OID, &curve) || alg.len > 0)
            return TARN_PEER;
        key->type = curve_from_oid(curve);
        key->point = bits;
    } else {
        key->type = curve_from_oid(oid);
        key->point = bits;
        if (key->type != TARN_PK_NONE && alg.len > 0)
            return TARN_PEER;
    }
    if (key->type == TARN_PK_NONE)
        *key = (struct tarn_public_key){.type = TARN_PK_NONE};
    return key->type == TARN_PK_NONE ? TARN_OK : tarn_public_key_check(key);
}

static struct tarn_span key_oid(enum tarn_pk_type type) {
    switch (type) {
    case TARN_PK_P256: return TARN_SPAN_LIT(OID_P256);
    case TARN_PK_P384: return TARN_SPAN_LIT(OID_P384);
    case TARN_PK_P521: return TARN_SPAN_LIT(OID_P521);
    case TARN_PK_ED25519: return TARN_SPAN_LIT(OID_ED25519);
    case TARN_PK_ED448: return TARN_SPAN_LIT(OID_ED448);
    case TARN_PK_X25519: return TARN_SPAN_LIT(OID_X25519);
    case TARN_PK_X448: return TARN_SPAN_LIT(OID_X448);
    case TARN_PK_RSA: return TARN_SPAN_LIT(OID_RSA);
    default: return TARN_SPAN_EMPTY;
    }
}

void put_key_alg(struct tarn_der_writer *w, enum tarn_pk_type type) {
    size_t end = w->len;
    bool nist = type == TARN_PK_P256 || type == TARN_PK_P384 || type == TARN_PK_P521;
    if (type == TARN_PK_RSA)
        tarn_der_put(w, TARN_DER_NULL, TARN_SPAN_EMPTY);
    tarn_der_put(w, TARN_DER_OID, key_oid(type));
    if (nist)
        tarn_der_put(w, TARN_DER_OID, TARN_SPAN_LIT(OID_EC));
    tarn_der_put_head(w, TARN_DER_SEQUENCE, end);
}

enum tarn_err tarn_spki_put(struct tarn_der_writer *w, const struct tarn_public_key *key) {
    size_t end = w->len;
    if (key_oid(key->type).len == 0)
        return TARN_INVALID;
    if (key->type == TARN_PK_RSA) {
        size_t bits = w->len;
        tarn_der_put_positive(w, key->e);
        tarn_der_put_positive(w, key->n);
        tarn_der_put_head(w, TARN_DER_SEQUENCE, bits);
        tarn_der_put_raw(w, TARN_SPAN_LIT("\0"));
        tarn_der_put_head(w, TARN_DER_BITS, bits);
    } else {
        tarn_der_put_bit_bytes(w, key->point);
    }
    put_key_alg(w, key->type);
    tarn_der_put_head(w, TARN_DER_SEQUENCE, end);
    return TARN_OK;
}
