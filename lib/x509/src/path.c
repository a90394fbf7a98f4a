/* SPDX-License-Identifier: ISC */
/* Path building and validation (RFC 5280 section 6.1): a search in depth, from the leaf up, that
 * checks each step before it goes on. */
#include "constraints.h"
#include "internal.h"
#include "policy.h"

#include <tarn/x509_revoke.h>

struct search {
    const struct tarn_x509_policy *policy;
    const struct tarn_x509 *others;
    size_t other_count;
    uint32_t used; /* bit i: others[i] is on the path */
    uint32_t signatures, comparisons;
    struct tarn_x509_path *path;
    size_t furthest;
};

const char *tarn_x509_reason_name(enum tarn_x509_reason reason) {
    switch (reason) {
    case TARN_X509_GOOD: return "good";
    case TARN_X509_NO_PATH: return "no path to a trusted certificate";
    case TARN_X509_EXPIRED: return "expired";
    case TARN_X509_NOT_YET_VALID: return "not yet valid";
    case TARN_X509_BAD_SIGNATURE: return "a signature is wrong";
    case TARN_X509_WEAK: return "an algorithm or a key is too weak or not known";
    case TARN_X509_NOT_A_CA: return "an issuer may not issue certificates";
    case TARN_X509_PATH_TOO_LONG: return "the path is longer than an issuer allows";
    case TARN_X509_NAME_CONSTRAINED: return "a name is outside an issuer's constraints";
    case TARN_X509_USAGE: return "the key may not be used for this";
    case TARN_X509_WRONG_NAME: return "not for this name";
    case TARN_X509_CRITICAL: return "a critical extension is not understood";
    case TARN_X509_MALFORMED: return "against the rules of RFC 5280";
    case TARN_X509_BUDGET: return "checking it costs too much";
    case TARN_X509_REVOKED: return "revoked, or not known not to be";
    case TARN_X509_POLICY: return "a certificate policy that an issuer demands is missing";
    }
    return "?";
}

static bool has(const struct tarn_x509 *c, uint32_t ext) {
    return (c->extensions & ext) != 0;
}

/* Keys that may sign or be certified. */
static bool key_is_strong(const struct tarn_x509_policy *policy,
                          const struct tarn_public_key *key) {
    size_t floor = policy->rsa_bits_min ? policy->rsa_bits_min : 2048;
    switch (key->type) {
    case TARN_PK_RSA:
        return tarn_pk_bits(key) >= floor && (!policy->strict || tarn_pk_bits(key) % 8 == 0);
    case TARN_PK_P256:
    case TARN_PK_P384:
    case TARN_PK_P521:
    case TARN_PK_ED25519:
    case TARN_PK_ED448: return true;
    default: return false;
    }
}

static bool scheme_is_strong(const struct tarn_x509_policy *policy, const struct tarn_scheme *s) {
    return s->ops && s->ops != &tarn_dsa_ops && s->digest != &tarn_md5
           && (s->digest != &tarn_sha1 || policy->sha1_allowed);
}

/* Critical extensions that are dealt with here. */
#define UNDERSTOOD                                                                                 \
    (TARN_X509_EXT_BASIC_CONSTRAINTS | TARN_X509_EXT_KEY_USAGE | TARN_X509_EXT_EXT_USAGE           \
     | TARN_X509_EXT_ALT_NAME | TARN_X509_EXT_NAME_CONSTRAINTS | TARN_X509_EXT_SUBJECT_KEY_ID      \
     | TARN_X509_EXT_AUTHORITY_KEY_ID | TARN_X509_EXT_POLICIES | TARN_X509_EXT_POLICY_CONSTRAINTS  \
     | TARN_X509_EXT_POLICY_MAPPINGS | TARN_X509_EXT_INHIBIT_ANY)

/* What every certificate on a path must be, by itself. */
static enum tarn_x509_reason check_alone(const struct tarn_x509_policy *policy,
                                         const struct tarn_x509 *c, bool anchor) {
    if (policy->now < c->not_before)
        return TARN_X509_NOT_YET_VALID;
    if (policy->now > c->not_after)
        return TARN_X509_EXPIRED;
    if (c->critical & ~(uint32_t)UNDERSTOOD)
        return TARN_X509_CRITICAL;
    if (!key_is_strong(policy, &c->key))
        return TARN_X509_WEAK;
    if (c->version != 3)
        return TARN_X509_MALFORMED;
    /* An empty subject makes subjectAltName critical (section 4.2.1.6). */
    if (policy->strict && c->subject.len == 2 && !(c->critical & TARN_X509_EXT_ALT_NAME))
        return TARN_X509_MALFORMED;
    if (!policy->strict)
        return TARN_X509_GOOD;
    /* Old roots have the number 0. */
    if ((!anchor
         && (tarn_span_equal(c->serial, TARN_SPAN_LIT("\0"))
             || (c->serial.len == 20 && tarn_span_at(c->serial, 0) & 0x80)))
        || c->issuer.len == 2
        || c->critical
               & (TARN_X509_EXT_SUBJECT_KEY_ID | TARN_X509_EXT_AUTHORITY_KEY_ID | TARN_X509_EXT_AIA)
        || (has(c, TARN_X509_EXT_NAME_CONSTRAINTS)
            && (!c->is_ca || !(c->critical & TARN_X509_EXT_NAME_CONSTRAINTS)))
        || (has(c, TARN_X509_EXT_POLICY_CONSTRAINTS)
            && !(c->critical & TARN_X509_EXT_POLICY_CONSTRAINTS)))
        return TARN_X509_MALFORMED;
    return TARN_X509_GOOD;
}

/* What makes a certificate an issuer (sections 6.1.4 k to n, and 4.2 where strict). */
static enum tarn_x509_reason check_ca(const struct tarn_x509_policy *policy,
                                      const struct tarn_x509 *c, size_t cas_below, bool anchor) {
    if (!c->is_ca || (has(c, TARN_X509_EXT_KEY_USAGE) && !(c->key_usage & TARN_X509_CERT_SIGN)))
        return TARN_X509_NOT_A_CA;
    if (c->path_len != TARN_X509_NO_PATH_LEN && cas_below > c->path_len)
        return TARN_X509_PATH_TOO_LONG;
    if (!policy->strict)
        return TARN_X509_GOOD;
    if ((!anchor && !has(c, TARN_X509_EXT_KEY_USAGE))
        || !(c->critical & TARN_X509_EXT_BASIC_CONSTRAINTS) || !has(c, TARN_X509_EXT_SUBJECT_KEY_ID)
        || c->subject.len == 2)
        return TARN_X509_MALFORMED;
    return TARN_X509_GOOD;
}

static uint32_t usage_wanted(enum tarn_x509_purpose purpose) {
    return purpose == TARN_X509_FOR_SERVER   ? TARN_X509_SERVER_AUTH
           : purpose == TARN_X509_FOR_CLIENT ? TARN_X509_CLIENT_AUTH
                                             : UINT32_MAX;
}

/* A CA's extKeyUsage limits what is below it, as everybody reads it. */
static bool usage_allows(const struct tarn_x509_policy *policy, const struct tarn_x509 *c,
                         bool leaf) {
    uint32_t wanted = usage_wanted(policy->purpose);
    if (!has(c, TARN_X509_EXT_EXT_USAGE))
        return !(leaf && policy->strict && policy->purpose != TARN_X509_FOR_ANY);
    if (leaf && policy->strict)
        return (c->ext_usage & wanted) != 0 && !(c->ext_usage & TARN_X509_ANY_USAGE)
               && !(c->critical & TARN_X509_EXT_EXT_USAGE);
    return (c->ext_usage & (wanted | TARN_X509_ANY_USAGE)) != 0;
}

/* DNS names of letters, digits and hyphens alone (RFC 1034 section 3.5). */
static bool names_are_plain(const struct tarn_x509 *c) {
    struct tarn_span rest = c->alt_names, name;
    uint8_t tag;
    size_t at;
    while (rest.len > 0 && tarn_x509_general_name(&rest, &tag, &name))
        if (tag == TARN_X509_DNS_NAME && tarn_span_find(name, '_', &at))
            return false;
    return true;
}

static enum tarn_x509_reason check_leaf(const struct tarn_x509_policy *policy,
                                        const struct tarn_x509 *c) {
    enum tarn_x509_reason bad = check_alone(policy, c, false);
    if (bad)
        return bad;
    if (policy->strict
        && (!names_are_plain(c) || c->is_ca
            || (has(c, TARN_X509_EXT_KEY_USAGE) && c->key_usage & TARN_X509_CERT_SIGN)
            || !has(c, TARN_X509_EXT_ALT_NAME)
            || (c->subject.len > 2 && c->critical & TARN_X509_EXT_ALT_NAME)))
        return TARN_X509_MALFORMED;
    if (!usage_allows(policy, c, true))
        return TARN_X509_USAGE;
    if (policy->purpose != TARN_X509_FOR_ANY && has(c, TARN_X509_EXT_KEY_USAGE)
        && !(
            c->key_usage
            & (TARN_X509_DIGITAL_SIGNATURE | TARN_X509_KEY_ENCIPHERMENT | TARN_X509_KEY_AGREEMENT)))
        return TARN_X509_USAGE;
    if (policy->name.len > 0 && !tarn_x509_is_for(c, policy->name))
        return TARN_X509_WRONG_NAME;
    return TARN_X509_GOOD;
}

static void failed(struct search *s, enum tarn_x509_reason reason) {
    if (s->path->count >= s->furthest || reason == TARN_X509_BUDGET) {
        s->furthest = s->path->count;
        s->path->reason = reason;
    }
}

/* How many CAs stand between the issuer to come and the leaf, self-issued ones left out (section
 * 6.1.4 l). */
static size_t cas_on_path(const struct search *s) {
    size_t n = 0;
    for (size_t i = 1; i < s->path->count; i++)
        n += !tarn_x509_is_self_issued(TARN_AT(s->path->certs, i));
    return n;
}

/* All names below an issuer are within its constraints, self-issued CAs but the leaf left out. */
static enum tarn_x509_reason names_below(struct search *s, const struct tarn_x509 *issuer) {
    for (size_t i = 0; i < s->path->count; i++) {
        const struct tarn_x509 *c = TARN_AT(s->path->certs, i);
        if (i > 0 && tarn_x509_is_self_issued(c))
            continue;
        enum tarn_x509_reason bad = constraints_check(issuer, c, &s->comparisons);
        if (bad)
            return bad;
    }
    return TARN_X509_GOOD;
}

static enum tarn_x509_reason revoked(const struct search *s, const struct tarn_x509 *cert,
                                     const struct tarn_x509 *issuer) {
    const struct tarn_x509_revocation *r = s->policy->revocation;
    bool seen = false, unusable = false;
    for (size_t i = 0; r && i < r->crl_count; i++) {
        const struct tarn_crl *crl = &TARN_AT_N(r->crls, r->crl_count, i);
        if (tarn_crl_verify(crl, issuer, s->policy->now) != TARN_OK
            || (s->policy->strict && !crl->has_number)) {
            unusable |= tarn_x509_name_equal(crl->issuer, issuer->subject);
            continue;
        }
        seen = true;
        if (tarn_crl_lists(crl, cert))
            return TARN_X509_REVOKED;
    }
    /* Strict: a list of this issuer's that is no good says nothing, and something was to be said.
     */
    return r && (r->required || (s->policy->strict && unusable)) && !seen ? TARN_X509_REVOKED
                                                                          : TARN_X509_GOOD;
}

/* A root names no usage, and if an authority then itself, by its key alone (section 4.2.1.1,
 * CA/Browser Forum 7.1.2.1). */
static bool anchor_is_plain(const struct tarn_x509 *c) {
    if (has(c, TARN_X509_EXT_EXT_USAGE))
        return false;
    if (!has(c, TARN_X509_EXT_AUTHORITY_KEY_ID))
        return true;
    return c->authority_key_id.len > 0 && !c->authority_by_name
           && (!tarn_x509_is_self_issued(c)
               || tarn_span_equal(c->authority_key_id, c->subject_key_id));
}

/* Whether `issuer` may have issued the last certificate of the path: first what is cheap. */
static enum tarn_x509_reason check_step(struct search *s, const struct tarn_x509 *cert,
                                        const struct tarn_x509 *issuer, bool anchor) {
    const struct tarn_x509_policy *policy = s->policy;
    enum tarn_x509_reason bad = check_alone(policy, issuer, anchor);
    if (!bad)
        bad = check_ca(policy, issuer, cas_on_path(s), anchor);
    if (!bad && !usage_allows(policy, issuer, false))
        bad = TARN_X509_USAGE;
    if (!bad && anchor && policy->strict && !anchor_is_plain(issuer))
        bad = TARN_X509_MALFORMED;
    if (!bad && policy->strict && !has(cert, TARN_X509_EXT_AUTHORITY_KEY_ID))
        bad = TARN_X509_MALFORMED;
    if (!bad)
        bad = names_below(s, issuer);
    if (!bad && !scheme_is_strong(policy, &cert->scheme))
        bad = TARN_X509_WEAK;
    if (bad)
        return bad;
    if (s->signatures == 0)
        return TARN_X509_BUDGET;
    s->signatures--;
    if (tarn_verify(&issuer->key, &cert->scheme, cert->tbs, cert->signature) != TARN_OK)
        return TARN_X509_BAD_SIGNATURE;
    return revoked(s, cert, issuer);
}

static bool could_issue(const struct tarn_x509 *issuer, const struct tarn_x509 *cert) {
    if (!tarn_x509_name_equal(issuer->subject, cert->issuer))
        return false;
    return cert->authority_key_id.len == 0 || issuer->subject_key_id.len == 0
           || tarn_span_equal(cert->authority_key_id, issuer->subject_key_id);
}

static bool push(struct search *s, const struct tarn_x509 *cert) {
    if (s->path->count == TARN_X509_PATH_MAX) {
        failed(s, TARN_X509_PATH_TOO_LONG);
        return false;
    }
    TARN_AT(s->path->certs, s->path->count++) = cert;
    return true;
}

static bool reaches_anchor(struct search *s, const struct tarn_x509 *cert) {
    const struct tarn_x509_policy *p = s->policy;
    for (size_t i = 0; i < p->anchor_count; i++) {
        const struct tarn_x509 *anchor = &TARN_AT_N(p->anchors, p->anchor_count, i);
        if (!could_issue(anchor, cert))
            continue;
        enum tarn_x509_reason bad = check_step(s, cert, anchor, true);
        if (!bad && push(s, anchor)) {
            bad = policies_check(s->path);
            if (!bad)
                return true;
            s->path->count--;
        }
        failed(s, bad);
    }
    return false;
}

/* The depth is at most TARN_X509_PATH_MAX, and the number of steps what the budget pays for. */
static bool extend(struct search *s, const struct tarn_x509 *cert) {
    if (reaches_anchor(s, cert))
        return true;
    for (size_t i = 0; i < s->other_count && s->path->reason != TARN_X509_BUDGET; i++) {
        const struct tarn_x509 *issuer = &TARN_AT_N(s->others, s->other_count, i);
        if (s->used >> i & 1 || !could_issue(issuer, cert)
            || tarn_span_equal(issuer->whole, cert->whole))
            continue;
        enum tarn_x509_reason bad = check_step(s, cert, issuer, false);
        if (bad) {
            failed(s, bad);
            continue;
        }
        if (!push(s, issuer))
            return false;
        s->used |= 1u << i;
        if (extend(s, issuer))
            return true;
        s->used &= ~(1u << i);
        s->path->count--;
    }
    return false;
}

static bool is_anchor(const struct tarn_x509_policy *p, const struct tarn_x509 *leaf) {
    for (size_t i = 0; i < p->anchor_count; i++)
        if (tarn_span_equal(TARN_AT_N(p->anchors, p->anchor_count, i).whole, leaf->whole))
            return true;
    return false;
}

enum tarn_err tarn_x509_verify(const struct tarn_x509_policy *policy, const struct tarn_x509 *leaf,
                               const struct tarn_x509 *others, size_t other_count,
                               struct tarn_x509_path *path) {
    struct search s = {
        .policy = policy,
        .others = others,
        .other_count = TARN_MIN(other_count, (size_t)TARN_X509_INTERMEDIATES_MAX),
        .signatures = policy->signatures_max ? policy->signatures_max : 64,
        .comparisons = policy->comparisons_max ? policy->comparisons_max : 65536,
        .path = path,
    };
    *path = (struct tarn_x509_path){.count = 1, .reason = TARN_X509_NO_PATH};
    TARN_AT(path->certs, 0) = leaf;
    enum tarn_x509_reason bad = check_leaf(policy, leaf);
    if (bad) {
        path->reason = bad;
        return TARN_PEER;
    }
    if ((!policy->strict && is_anchor(policy, leaf)) || extend(&s, leaf)) {
        path->reason = TARN_X509_GOOD;
        return TARN_OK;
    }
    return path->reason == TARN_X509_BUDGET ? TARN_LIMIT : TARN_PEER;
}
