/* SPDX-License-Identifier: ISC */
#include "internal.h"

#include <tarn/x509_revoke.h>

/* crlExtensions (RFC 5280 section 5.2): only the key identifier is used; a critical one that is not
 * known (issuingDistributionPoint, deltaCRLIndicator) makes the list useless here. */
static bool extensions(struct tarn_span list, struct tarn_crl *crl) {
    struct tarn_span ext, oid, value, seq;
    bool there, critical;
    while (list.len > 0) {
        critical = false;
        if (!tarn_der_take(&list, TARN_DER_SEQUENCE, &ext)
            || !tarn_der_take(&ext, TARN_DER_OID, &oid)
            || (tarn_der_is(ext, TARN_DER_BOOLEAN) && !tarn_der_bool(&ext, &critical))
            || !tarn_der_take(&ext, TARN_DER_OCTETS, &value) || ext.len > 0)
            return false;
        if (OID_IS(oid, "\x55\x1d\x23")) {
            if (!tarn_der_take(&value, TARN_DER_SEQUENCE, &seq)
                || !tarn_der_optional(&seq, TARN_DER_CONTEXT | 0, &crl->authority_key_id, &there))
                return false;
        } else if (OID_IS(oid, "\x55\x1d\x14")) { /* never critical (section 5.2.3) */
            crl->has_number = true;
            crl->unknown_critical |= critical;
        } else {
            crl->unknown_critical |= critical;
        }
    }
    return true;
}

enum tarn_err tarn_crl_parse(struct tarn_span der, struct tarn_crl *crl) {
    struct tarn_span seq, tbs, inside, outside, value, list;
    uint32_t version = 0;
    bool there;
    *crl = (struct tarn_crl){.next_update = 0};
    if (!tarn_der_take(&der, TARN_DER_SEQUENCE, &seq) || der.len > 0
        || !tarn_der_take_whole(&seq, TARN_DER_SEQUENCE, &crl->tbs)
        || !tarn_der_take_whole(&seq, TARN_DER_SEQUENCE, &outside)
        || !tarn_der_bit_bytes(&seq, &crl->signature) || seq.len > 0)
        return TARN_PEER;
    struct tarn_span outer = crl->tbs;
    if (!tarn_der_take(&outer, TARN_DER_SEQUENCE, &tbs)
        || (tarn_der_is(tbs, TARN_DER_INTEGER) && (!tarn_der_u32(&tbs, &version) || version != 1))
        || !tarn_der_take_whole(&tbs, TARN_DER_SEQUENCE, &inside)
        || !tarn_span_equal(inside, outside) || !tarn_sig_alg_parse(&inside, &crl->scheme)
        || !tarn_der_take_whole(&tbs, TARN_DER_SEQUENCE, &crl->issuer)
        || !tarn_der_time(&tbs, true, &crl->this_update))
        return TARN_PEER;
    if ((tarn_der_is(tbs, TARN_DER_UTC_TIME) || tarn_der_is(tbs, TARN_DER_GENERAL_TIME))
        && !tarn_der_time(&tbs, true, &crl->next_update))
        return TARN_PEER;
    if (!tarn_der_optional(&tbs, TARN_DER_SEQUENCE, &crl->entries, &there)
        || !tarn_der_optional(&tbs, TARN_DER_EXPLICIT | 0, &value, &there) || tbs.len > 0)
        return TARN_PEER;
    if (there
        && (!tarn_der_take(&value, TARN_DER_SEQUENCE, &list) || value.len > 0
            || !extensions(list, crl)))
        return TARN_PEER;
    return TARN_OK;
}

enum tarn_err tarn_crl_verify(const struct tarn_crl *crl, const struct tarn_x509 *issuer,
                              int64_t now) {
    if (!tarn_x509_name_equal(crl->issuer, issuer->subject) || crl->unknown_critical
        || now < crl->this_update || (crl->next_update && now > crl->next_update)
        || (issuer->extensions & TARN_X509_EXT_KEY_USAGE
            && !(issuer->key_usage & TARN_X509_CRL_SIGN))
        || !crl->scheme.ops || crl->scheme.digest == &tarn_md5 || crl->scheme.digest == &tarn_sha1)
        return TARN_PEER;
    return tarn_verify(&issuer->key, &crl->scheme, crl->tbs, crl->signature) ? TARN_PEER : TARN_OK;
}

bool tarn_crl_lists(const struct tarn_crl *crl, const struct tarn_x509 *cert) {
    struct tarn_span rest = crl->entries, entry, serial;
    while (rest.len > 0) {
        if (!tarn_der_take(&rest, TARN_DER_SEQUENCE, &entry) || !tarn_der_positive(&entry, &serial))
            return true;
        if (tarn_span_equal(serial, cert->serial))
            return true;
    }
    return false;
}
