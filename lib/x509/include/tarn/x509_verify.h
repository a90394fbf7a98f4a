/* SPDX-License-Identifier: ISC */
/* tarn/x509_verify.h: from a certificate to one that is trusted (RFC 5280 section 6).
 *
 * Never allocates, blocks or reads a clock: certificates are parsed by the caller and stay. The
 * path is searched, so that the order and the superfluous ones of what a peer sends do not matter,
 * within a budget: no chain costs more than `signatures_max` checks of a signature, and no set of
 * names more than `comparisons_max` comparisons.
 */
#ifndef TARN_X509_VERIFY_H
#define TARN_X509_VERIFY_H

#include <tarn/x509.h>

#define TARN_X509_PATH_MAX 8           /* certificates from leaf to anchor, both counted */
#define TARN_X509_INTERMEDIATES_MAX 32 /* more are not looked at */

enum tarn_x509_reason {
    TARN_X509_GOOD,
    TARN_X509_NO_PATH, /* no issuer is trusted */
    TARN_X509_EXPIRED,
    TARN_X509_NOT_YET_VALID,
    TARN_X509_BAD_SIGNATURE,
    TARN_X509_WEAK,          /* an algorithm or a key below the floor, or not known here */
    TARN_X509_NOT_A_CA,      /* an issuer without the right to issue */
    TARN_X509_PATH_TOO_LONG, /* pathLenConstraint */
    TARN_X509_NAME_CONSTRAINED,
    TARN_X509_USAGE,      /* keyUsage or extKeyUsage */
    TARN_X509_WRONG_NAME, /* not for the name asked for */
    TARN_X509_CRITICAL,   /* a critical extension that is not understood */
    TARN_X509_MALFORMED,  /* against a rule of RFC 5280 on what certificates hold */
    TARN_X509_BUDGET,
    TARN_X509_REVOKED, /* or nothing that says that it is not */
    TARN_X509_POLICY,  /* certificate policies that an issuer demands are not there */
};
/* A few words, for messages. Never NULL. */
const char *tarn_x509_reason_name(enum tarn_x509_reason reason);

enum tarn_x509_purpose { TARN_X509_FOR_ANY, TARN_X509_FOR_SERVER, TARN_X509_FOR_CLIENT };

struct tarn_x509_revocation; /* tarn/x509_revoke.h */

struct tarn_x509_policy {
    const struct tarn_x509 *anchors; /* trusted, as certificates */
    size_t anchor_count;
    int64_t now;           /* seconds since 1970 */
    struct tarn_span name; /* that the leaf must be for; empty: not asked */
    enum tarn_x509_purpose purpose;
    /* RFC 5280 and the CA/Browser Forum to the letter: key identifiers where they must be, serial
     * numbers, critical bits, extKeyUsage in leaves, anchors that are well-formed CAs. Without:
     * what private CAs make is taken, and an anchor may be the leaf itself. */
    bool strict;
    bool sha1_allowed;                             /* signatures with SHA-1; MD5 never */
    uint32_t rsa_bits_min;                         /* 0: 2048 */
    uint32_t signatures_max;                       /* 0: 64 */
    uint32_t comparisons_max;                      /* 0: 65536 */
    const struct tarn_x509_revocation *revocation; /* NULL: not asked */
};

struct tarn_x509_path {
    const struct tarn_x509 *certs[TARN_X509_PATH_MAX]; /* from the leaf on */
    size_t count;
    enum tarn_x509_reason reason; /* why not, of the path that came furthest */
};

/* TARN_OK: a path was found. TARN_PEER: none, and `path->reason` says why. TARN_LIMIT: the budget
 * was used up before there was an answer. */
TARN_MUST_USE enum tarn_err tarn_x509_verify(const struct tarn_x509_policy *policy,
                                             const struct tarn_x509 *leaf,
                                             const struct tarn_x509 *others, size_t other_count,
                                             struct tarn_x509_path *path);

#endif
