/* SPDX-License-Identifier: ISC */
#include "internal.h"

/* A Name: RDNSequence, each a non-empty SET of SEQUENCE { OID, string }. */
static bool name_is_valid(struct tarn_span name) {
    struct tarn_span rdns, set, pair, oid, value, whole;
    uint8_t tag;
    if (!tarn_der_take(&name, TARN_DER_SEQUENCE, &rdns) || name.len > 0)
        return false;
    while (rdns.len > 0) {
        if (!tarn_der_take(&rdns, TARN_DER_SET, &set) || set.len == 0)
            return false;
        while (set.len > 0)
            if (!tarn_der_take(&set, TARN_DER_SEQUENCE, &pair)
                || !tarn_der_take(&pair, TARN_DER_OID, &oid) || !tarn_der_oid_is_valid(oid)
                || !tarn_der_any(&pair, &tag, &value, &whole) || pair.len > 0)
                return false;
    }
    return true;
}

static bool validity(struct tarn_span *tbs, struct tarn_x509 *cert) {
    struct tarn_span seq;
    return tarn_der_take(tbs, TARN_DER_SEQUENCE, &seq)
           && tarn_der_time(&seq, true, &cert->not_before)
           && tarn_der_time(&seq, true, &cert->not_after) && seq.len == 0;
}

static bool version(struct tarn_span *tbs, struct tarn_x509 *cert) {
    struct tarn_span value;
    uint32_t number = 0;
    bool there;
    if (!tarn_der_optional(tbs, TARN_DER_EXPLICIT | 0, &value, &there))
        return false;
    /* Version 1 is the default, which DER leaves out. */
    if (there && (!tarn_der_u32(&value, &number) || value.len > 0 || number < 1 || number > 2))
        return false;
    cert->version = (uint8_t)(number + 1);
    return true;
}

/* The unique identifiers of old, which version 1 has not, and the extensions, which only version 3
 * has. */
static enum tarn_err tail(struct tarn_span tbs, struct tarn_x509 *cert) {
    struct tarn_span value, list;
    bool there;
    for (uint8_t i = 1; i <= 2; i++)
        if (!tarn_der_optional(&tbs, TARN_DER_CONTEXT | i, &value, &there)
            || (there && cert->version < 2))
            return TARN_PEER;
    if (!tarn_der_optional(&tbs, TARN_DER_EXPLICIT | 3, &value, &there) || tbs.len > 0)
        return TARN_PEER;
    if (!there)
        return TARN_OK;
    if (cert->version != 3 || !tarn_der_take(&value, TARN_DER_SEQUENCE, &list) || value.len > 0
        || list.len == 0)
        return TARN_PEER;
    return extensions_parse(list, cert);
}

enum tarn_err tarn_x509_parse(struct tarn_span der, struct tarn_x509 *cert) {
    struct tarn_span seq, tbs, alg_inside, alg_outside;
    *cert = (struct tarn_x509){.whole = der,
                               .path_len = TARN_X509_NO_PATH_LEN,
                               .require_explicit = UINT32_MAX,
                               .inhibit_mapping = UINT32_MAX,
                               .inhibit_any = UINT32_MAX};
    if (!tarn_der_take(&der, TARN_DER_SEQUENCE, &seq) || der.len > 0
        || !tarn_der_take_whole(&seq, TARN_DER_SEQUENCE, &cert->tbs)
        || !tarn_der_take_whole(&seq, TARN_DER_SEQUENCE, &alg_outside)
        || !tarn_der_bit_bytes(&seq, &cert->signature) || seq.len > 0)
        return TARN_PEER;
    struct tarn_span outer = cert->tbs;
    if (!tarn_der_take(&outer, TARN_DER_SEQUENCE, &tbs) || !version(&tbs, cert)
        || !tarn_der_positive(&tbs, &cert->serial) || cert->serial.len > 20
        || !tarn_der_take_whole(&tbs, TARN_DER_SEQUENCE, &alg_inside)
        || !tarn_span_equal(alg_inside, alg_outside)
        || !tarn_sig_alg_parse(&alg_inside, &cert->scheme)
        || !tarn_der_take_whole(&tbs, TARN_DER_SEQUENCE, &cert->issuer) || !validity(&tbs, cert)
        || !tarn_der_take_whole(&tbs, TARN_DER_SEQUENCE, &cert->subject)
        || !tarn_der_take_whole(&tbs, TARN_DER_SEQUENCE, &cert->spki)
        || !name_is_valid(cert->issuer) || !name_is_valid(cert->subject))
        return TARN_PEER;
    enum tarn_err err = tarn_spki_parse(cert->spki, &cert->key);
    return err ? err : tail(tbs, cert);
}
