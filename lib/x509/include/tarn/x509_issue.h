/* SPDX-License-Identifier: ISC */
/* tarn/x509_issue.h: private keys in files, certificates and requests made.
 *
 * Never allocates, blocks or reads a clock. What is made is written to the caller's memory; RSA
 * keys want about 4 KB for a certificate, curves less than 1 KB.
 */
#ifndef TARN_X509_ISSUE_H
#define TARN_X509_ISSUE_H

#include <tarn/x509.h>

/* A private key: PKCS#8 (RFC 5958), PKCS#1 (RFC 8017) or SEC 1 (RFC 5915), told apart by their
 * form. The key's spans point into `der`, but for the public point of a curve where the file has
 * none: that is computed into `point`, which stays as long. TARN_PEER: malformed, or of a type not
 * known here. */
TARN_MUST_USE enum tarn_err tarn_private_key_parse(struct tarn_span der,
                                                   uint8_t point[TARN_EC_POINT_BYTES_MAX],
                                                   struct tarn_private_key *key);
/* PKCS#8. TARN_INVALID: a type without one. The overflow is the writer's. */
TARN_MUST_USE enum tarn_err tarn_private_key_put(struct tarn_der_writer *w,
                                                 const struct tarn_private_key *key);

struct tarn_x509_request {
    struct tarn_span common_name; /* UTF-8; empty: none */
    const struct tarn_span
        *dns_names; /* subjectAltName; a text that is an IP address becomes one */
    size_t dns_name_count;
};
struct tarn_x509_issue {
    struct tarn_x509_request subject;
    const struct tarn_public_key *key; /* the subject's */
    /* NULL: self-signed with `signer`, which is then the subject's own. */
    const struct tarn_x509 *issuer;
    const struct tarn_private_key *signer;
    int64_t not_before, not_after;
    bool is_ca;
    uint32_t path_len;          /* of a CA; TARN_X509_NO_PATH_LEN: none */
    bool client_auth;           /* a leaf may be a client too, not only a server */
    struct tarn_random *random; /* of the serial number and the signature */
};
/* The DER of a certificate, in `mem`. TARN_LIMIT: no room. TARN_INVALID: a key that cannot sign or
 * be written, or a name that is none. */
TARN_MUST_USE enum tarn_err tarn_x509_make(const struct tarn_x509_issue *issue,
                                           struct tarn_bytes mem, struct tarn_span *der);

/* A certification request (PKCS#10, RFC 2986). */
TARN_MUST_USE enum tarn_err tarn_csr_make(const struct tarn_x509_request *subject,
                                          const struct tarn_private_key *key,
                                          struct tarn_random *random, struct tarn_bytes mem,
                                          struct tarn_span *der);
/* What is asked for: subject, key and subjectAltName of `cert` are set, and the signature, which
 * proves that the other side has the key, was checked. What to grant is the CA's decision. */
TARN_MUST_USE enum tarn_err tarn_csr_parse(struct tarn_span der, struct tarn_x509 *csr);
/* A certificate for a request that was parsed: `issue->subject` and `issue->key` are not looked at;
 * names are the request's. */
TARN_MUST_USE enum tarn_err tarn_csr_sign(const struct tarn_x509_issue *issue,
                                          const struct tarn_x509 *csr, struct tarn_bytes mem,
                                          struct tarn_span *der);
/* The scheme that such a key signs certificates with; NULL: none. */
const struct tarn_scheme *tarn_x509_scheme_for(enum tarn_pk_type type);

#endif
