/* SPDX-License-Identifier: ISC */
/* tarn/x509.h: certificates, parsed (RFC 5280).
 *
 * Never allocates, blocks or reads a clock. A parsed certificate points into the DER it was made
 * of, which must stay. Parsing checks the form, all of it, and no signature: tarn/x509_verify.h
 * does. Everything a peer sends may be passed to it.
 */
#ifndef TARN_X509_H
#define TARN_X509_H

#include <tarn/der.h>
#include <tarn/pk.h>

/* keyUsage (RFC 5280 section 4.2.1.3), as tarn_der_flags gives it. */
enum tarn_x509_key_usage {
    TARN_X509_DIGITAL_SIGNATURE = 1 << 0,
    TARN_X509_CONTENT_COMMITMENT = 1 << 1,
    TARN_X509_KEY_ENCIPHERMENT = 1 << 2,
    TARN_X509_DATA_ENCIPHERMENT = 1 << 3,
    TARN_X509_KEY_AGREEMENT = 1 << 4,
    TARN_X509_CERT_SIGN = 1 << 5,
    TARN_X509_CRL_SIGN = 1 << 6,
};
/* extKeyUsage (section 4.2.1.12). */
enum tarn_x509_ext_usage {
    TARN_X509_SERVER_AUTH = 1 << 0,
    TARN_X509_CLIENT_AUTH = 1 << 1,
    TARN_X509_CODE_SIGNING = 1 << 2,
    TARN_X509_EMAIL = 1 << 3,
    TARN_X509_TIME_STAMPING = 1 << 4,
    TARN_X509_OCSP_SIGNING = 1 << 5,
    TARN_X509_ANY_USAGE = 1 << 6,
    TARN_X509_OTHER_USAGE = 1 << 7,
};
/* Which extensions are there, and which of them critical. */
enum tarn_x509_ext {
    TARN_X509_EXT_BASIC_CONSTRAINTS = 1 << 0,
    TARN_X509_EXT_KEY_USAGE = 1 << 1,
    TARN_X509_EXT_EXT_USAGE = 1 << 2,
    TARN_X509_EXT_ALT_NAME = 1 << 3,
    TARN_X509_EXT_NAME_CONSTRAINTS = 1 << 4,
    TARN_X509_EXT_SUBJECT_KEY_ID = 1 << 5,
    TARN_X509_EXT_AUTHORITY_KEY_ID = 1 << 6,
    TARN_X509_EXT_POLICIES = 1 << 7,
    TARN_X509_EXT_POLICY_CONSTRAINTS = 1 << 8,
    TARN_X509_EXT_POLICY_MAPPINGS = 1 << 9,
    TARN_X509_EXT_INHIBIT_ANY = 1 << 10,
    TARN_X509_EXT_AIA = 1 << 11,
    TARN_X509_EXT_TLS_FEATURE = 1 << 12, /* RFC 7633: must-staple */
    TARN_X509_EXT_OTHER = 1 << 13,       /* any that is not known here */
};
#define TARN_X509_NO_PATH_LEN UINT32_MAX
#define TARN_X509_EXTENSIONS_MAX 40

struct tarn_x509 {
    struct tarn_span whole, tbs;      /* the certificate, and what is signed */
    uint8_t version;                  /* 1, 2, 3 */
    struct tarn_span serial;          /* without a leading zero */
    struct tarn_span issuer, subject; /* the Names, with their heads */
    int64_t not_before, not_after;    /* seconds since 1970, both inclusive */
    struct tarn_span spki;            /* SubjectPublicKeyInfo, with its head */
    struct tarn_public_key key;       /* type TARN_PK_NONE: not one that is known here */
    struct tarn_scheme scheme;        /* of the signature; ops NULL: not known here */
    struct tarn_span signature;

    uint32_t extensions, critical; /* enum tarn_x509_ext */
    bool is_ca;
    uint32_t path_len;                            /* TARN_X509_NO_PATH_LEN: no limit */
    uint32_t key_usage;                           /* enum tarn_x509_key_usage */
    uint32_t ext_usage;                           /* enum tarn_x509_ext_usage */
    struct tarn_span alt_names, name_constraints; /* contents of the SEQUENCE */
    struct tarn_span subject_key_id, authority_key_id;
    bool authority_by_name; /* the authority key identifier has an issuer and serial number */
    struct tarn_span policies, mappings; /* contents of the SEQUENCEs */
    /* After so many more certificates (UINT32_MAX: never): a policy is demanded, none is mapped,
     * any-policy counts no more. */
    uint32_t require_explicit, inhibit_mapping, inhibit_any;
    bool must_staple;
};

/* TARN_PEER: not a certificate, or an extension that is known here is malformed or there twice.
 * TARN_LIMIT: more extensions than TARN_X509_EXTENSIONS_MAX. */
TARN_MUST_USE enum tarn_err tarn_x509_parse(struct tarn_span der, struct tarn_x509 *cert);

/* A SubjectPublicKeyInfo, with its head (RFC 5280 section 4.1.2.7, 8017, 5480, 8410). A key of a
 * type that is not known here has type TARN_PK_NONE and is no error. */
TARN_MUST_USE enum tarn_err tarn_spki_parse(struct tarn_span der, struct tarn_public_key *key);
/* TARN_INVALID: a type without an encoding. The overflow is the writer's. */
TARN_MUST_USE enum tarn_err tarn_spki_put(struct tarn_der_writer *w,
                                          const struct tarn_public_key *key);
/* An AlgorithmIdentifier of a signature, with its head: to a scheme (ops NULL: not known here). */
TARN_MUST_USE bool tarn_sig_alg_parse(struct tarn_span *in, struct tarn_scheme *scheme);

/* Whether two Names are the same (section 7.1): as bytes, or text by text with ASCII letters alike
 * in both cases and runs of spaces as one. */
bool tarn_x509_name_equal(struct tarn_span a, struct tarn_span b);
/* The first commonName of a Name, or empty. For people: never for deciding. */
struct tarn_span tarn_x509_common_name(struct tarn_span name);
static inline bool tarn_x509_is_self_issued(const struct tarn_x509 *cert) {
    return tarn_x509_name_equal(cert->issuer, cert->subject);
}

/* GeneralNames, one after the other: the tag (enum below) and the contents. */
enum tarn_x509_name_tag {
    TARN_X509_EMAIL_NAME = 0x81,
    TARN_X509_DNS_NAME = 0x82,
    TARN_X509_DIRECTORY_NAME = 0xa4,
    TARN_X509_URI_NAME = 0x86,
    TARN_X509_IP_NAME = 0x87,
};
TARN_MUST_USE bool tarn_x509_general_name(struct tarn_span *in, uint8_t *tag,
                                          struct tarn_span *value);
/* Whether a certificate is for this name (RFC 9525): a host name in ASCII, or an IPv4 or IPv6
 * address in its usual text form. Only subjectAltName counts. A wildcard is the whole leftmost
 * label, and stands for exactly one. */
bool tarn_x509_is_for(const struct tarn_x509 *cert, struct tarn_span name);

#endif
