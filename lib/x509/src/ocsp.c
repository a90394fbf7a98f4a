/* SPDX-License-Identifier: ISC */
#include "internal.h"

#include <tarn/x509_revoke.h>

enum tarn_err tarn_ocsp_parse(struct tarn_span der, struct tarn_ocsp *o) {
    struct tarn_span seq, status, wrapped, bytes, oid, basic, data, value;
    bool there, certs;
    *o = (struct tarn_ocsp){.produced_at = 0};
    if (!tarn_der_take(&der, TARN_DER_SEQUENCE, &seq) || der.len > 0
        || !tarn_der_take(&seq, TARN_DER_ENUM, &status)
        || !tarn_span_equal(status, TARN_SPAN_LIT("\0"))
        || !tarn_der_take(&seq, TARN_DER_EXPLICIT | 0, &wrapped) || seq.len > 0
        || !tarn_der_take(&wrapped, TARN_DER_SEQUENCE, &bytes) || wrapped.len > 0
        || !tarn_der_take(&bytes, TARN_DER_OID, &oid)
        || !OID_IS(oid, "\x2b\x06\x01\x05\x05\x07\x30\x01\x01")
        || !tarn_der_take(&bytes, TARN_DER_OCTETS, &basic) || bytes.len > 0
        || !tarn_der_take(&basic, TARN_DER_SEQUENCE, &seq) || basic.len > 0
        || !tarn_der_take_whole(&seq, TARN_DER_SEQUENCE, &o->tbs)
        || !tarn_sig_alg_parse(&seq, &o->scheme) || !tarn_der_bit_bytes(&seq, &o->signature)
        || !tarn_der_optional(&seq, TARN_DER_EXPLICIT | 0, &value, &certs) || seq.len > 0
        || (certs && (!tarn_der_take(&value, TARN_DER_SEQUENCE, &o->certs) || value.len > 0)))
        return TARN_PEER;
    struct tarn_span outer = o->tbs;
    if (!tarn_der_take(&outer, TARN_DER_SEQUENCE, &data)
        || !tarn_der_optional(&data, TARN_DER_EXPLICIT | 0, &value, &there))
        return TARN_PEER;
    if (tarn_der_is(data, TARN_DER_EXPLICIT | 1)) {
        if (!tarn_der_take(&data, TARN_DER_EXPLICIT | 1, &o->responder))
            return TARN_PEER;
    } else if (!tarn_der_take(&data, TARN_DER_EXPLICIT | 2, &value)
               || !tarn_der_take(&value, TARN_DER_OCTETS, &o->key_hash) || o->key_hash.len != 20) {
        return TARN_PEER;
    }
    if (!tarn_der_time(&data, false, &o->produced_at)
        || !tarn_der_take(&data, TARN_DER_SEQUENCE, &o->responses))
        return TARN_PEER;
    return TARN_OK;
}

/* The key's bits, which identify a responder and an issuer by their hash. */
static bool key_bits(const struct tarn_x509 *cert, struct tarn_span *bits) {
    struct tarn_span spki = cert->spki, seq, alg;
    return tarn_der_take(&spki, TARN_DER_SEQUENCE, &seq)
           && tarn_der_take(&seq, TARN_DER_SEQUENCE, &alg) && tarn_der_bit_bytes(&seq, bits);
}

static bool hash_is(const struct tarn_digest *digest, struct tarn_span data,
                    struct tarn_span want) {
    uint8_t hash[TARN_DIGEST_BYTES_MAX];
    tarn_digest_of(digest, data, tarn_bytes_of(hash, digest->digest_bytes));
    return tarn_span_equal(tarn_span_of(hash, digest->digest_bytes), want);
}

static bool is_responder(const struct tarn_ocsp *o, const struct tarn_x509 *cert) {
    struct tarn_span bits;
    if (o->responder.len > 0)
        return tarn_x509_name_equal(o->responder, cert->subject);
    return key_bits(cert, &bits) && hash_is(&tarn_sha1, bits, o->key_hash);
}

/* The issuer itself, or a delegate that it certified for this and nothing else. */
static bool signed_rightly(const struct tarn_ocsp *o, const struct tarn_x509 *issuer, int64_t now) {
    struct tarn_span rest = o->certs, whole;
    struct tarn_x509 delegate;
    if (!o->scheme.ops || o->scheme.digest == &tarn_md5 || o->scheme.digest == &tarn_sha1)
        return false;
    if (is_responder(o, issuer))
        return tarn_verify(&issuer->key, &o->scheme, o->tbs, o->signature) == TARN_OK;
    if (!tarn_der_take_whole(&rest, TARN_DER_SEQUENCE, &whole)
        || tarn_x509_parse(whole, &delegate) != TARN_OK || !is_responder(o, &delegate)
        || !tarn_x509_name_equal(delegate.issuer, issuer->subject)
        || !(delegate.ext_usage & TARN_X509_OCSP_SIGNING) || now < delegate.not_before
        || now > delegate.not_after || !delegate.scheme.ops || delegate.scheme.digest == &tarn_md5
        || delegate.scheme.digest == &tarn_sha1)
        return false;
    return tarn_verify(&issuer->key, &delegate.scheme, delegate.tbs, delegate.signature) == TARN_OK
           && tarn_verify(&delegate.key, &o->scheme, o->tbs, o->signature) == TARN_OK;
}

/* Whether a CertID names this certificate. */
static bool id_is(struct tarn_span id, const struct tarn_x509 *cert,
                  const struct tarn_x509 *issuer) {
    const struct tarn_digest *digest;
    struct tarn_span name_hash, key_hash, serial, bits;
    return digest_alg_parse(&id, &digest) && digest
           && tarn_der_take(&id, TARN_DER_OCTETS, &name_hash)
           && tarn_der_take(&id, TARN_DER_OCTETS, &key_hash) && tarn_der_positive(&id, &serial)
           && tarn_span_equal(serial, cert->serial) && hash_is(digest, issuer->subject, name_hash)
           && key_bits(issuer, &bits) && hash_is(digest, bits, key_hash);
}

/* certStatus: good [0] NULL, revoked [1] RevokedInfo, unknown [2] NULL. */
static bool status_take(struct tarn_span *in, enum tarn_ocsp_status *status) {
    struct tarn_span value, whole;
    uint8_t tag;
    if (!tarn_der_any(in, &tag, &value, &whole))
        return false;
    *status = tag == 0x80 ? TARN_OCSP_GOOD : tag == 0xa1 ? TARN_OCSP_REVOKED : TARN_OCSP_UNKNOWN;
    return tag == 0x80 || tag == 0xa1 || tag == 0x82;
}

enum tarn_err tarn_ocsp_check(const struct tarn_ocsp *o, const struct tarn_x509 *cert,
                              const struct tarn_x509 *issuer, int64_t now,
                              enum tarn_ocsp_status *status) {
    struct tarn_span rest = o->responses, one, id, value;
    if (!signed_rightly(o, issuer, now))
        return TARN_PEER;
    while (rest.len > 0) {
        int64_t this_update, next_update = 0;
        bool there;
        if (!tarn_der_take(&rest, TARN_DER_SEQUENCE, &one)
            || !tarn_der_take(&one, TARN_DER_SEQUENCE, &id) || !status_take(&one, status)
            || !tarn_der_time(&one, false, &this_update)
            || !tarn_der_optional(&one, TARN_DER_EXPLICIT | 0, &value, &there)
            || (there && !tarn_der_time(&value, false, &next_update)))
            return TARN_PEER;
        if (!id_is(id, cert, issuer))
            continue;
        return now >= this_update && (!next_update || now <= next_update) ? TARN_OK : TARN_PEER;
    }
    return TARN_NOT_FOUND;
}
