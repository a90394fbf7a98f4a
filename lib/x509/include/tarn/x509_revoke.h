/* SPDX-License-Identifier: ISC */
/* tarn/x509_revoke.h: lists of revoked certificates (RFC 5280 section 5) and OCSP responses (RFC
 * 6960), parsed and checked.
 *
 * Never allocates, blocks or reads a clock; points into the DER, which must stay. Whoever uses it
 * fetches lists and responses, and chooses what their absence means.
 */
#ifndef TARN_X509_REVOKE_H
#define TARN_X509_REVOKE_H

#include <tarn/x509.h>

struct tarn_crl {
    struct tarn_span tbs, issuer;
    int64_t this_update, next_update; /* next_update 0: none */
    struct tarn_span entries;         /* contents of revokedCertificates */
    struct tarn_scheme scheme;
    struct tarn_span signature;
    struct tarn_span authority_key_id;
    bool has_number;
    bool unknown_critical; /* an extension that is critical and not known (an indirect or delta CRL)
                            */
};
/* TARN_PEER: not a CRL. */
TARN_MUST_USE enum tarn_err tarn_crl_parse(struct tarn_span der, struct tarn_crl *crl);
/* Whether the CRL is of that issuer, by right and signature, and current. */
TARN_MUST_USE enum tarn_err tarn_crl_verify(const struct tarn_crl *crl,
                                            const struct tarn_x509 *issuer, int64_t now);
/* Whether the certificate's serial number is in it. Also true for an entry that cannot be read. */
bool tarn_crl_lists(const struct tarn_crl *crl, const struct tarn_x509 *cert);

/* Lists for tarn_x509_verify: a certificate whose issuer has one here, valid now, must not be in
 * it. `required`: and every certificate of the path but the anchor must have one. */
struct tarn_x509_revocation {
    const struct tarn_crl *crls;
    size_t crl_count;
    bool required;
};

enum tarn_ocsp_status { TARN_OCSP_GOOD, TARN_OCSP_REVOKED, TARN_OCSP_UNKNOWN };
struct tarn_ocsp {
    struct tarn_span tbs;       /* ResponseData, with its head */
    struct tarn_span responder; /* byName: a Name */
    struct tarn_span key_hash;  /* byKey: SHA-1 of the responder's key */
    int64_t produced_at;
    struct tarn_span responses; /* contents of the SEQUENCE OF SingleResponse */
    struct tarn_scheme scheme;
    struct tarn_span signature;
    struct tarn_span certs; /* the first is the delegate's, where there is one */
};
/* The DER of an OCSPResponse, as stapled. TARN_PEER: malformed, or not a successful basic one. */
TARN_MUST_USE enum tarn_err tarn_ocsp_parse(struct tarn_span der, struct tarn_ocsp *ocsp);
/* What it says of `cert`, issued by `issuer`. The response must be signed by the issuer, or by a
 * certificate that the issuer signed for this (section 4.2.2.2), and be current. TARN_PEER: it is
 * not. TARN_NOT_FOUND: it does not speak of that certificate. */
TARN_MUST_USE enum tarn_err tarn_ocsp_check(const struct tarn_ocsp *ocsp,
                                            const struct tarn_x509 *cert,
                                            const struct tarn_x509 *issuer, int64_t now,
                                            enum tarn_ocsp_status *status);

#endif
