/* SPDX-License-Identifier: ISC */
/* Certificate policies (RFC 5280 section 6.1), from the anchor down, with any-policy as what the
 * caller asks for. Then all that can fail is requireExplicitPolicy, and only whether the valid
 * policy tree is empty matters: the set of the policies of its deepest level says that. */
#include "policy.h"

#include "internal.h"

#define POLICIES_MAX 32
#define ANY "\x55\x1d\x20\x00"

struct set {
    struct tarn_span oid[POLICIES_MAX];
    size_t count;
    bool any, overflow;
};

static bool in_set(const struct set *s, struct tarn_span oid) {
    for (size_t i = 0; i < s->count; i++)
        if (tarn_span_equal(TARN_AT(s->oid, i), oid))
            return true;
    return false;
}

static void add(struct set *s, struct tarn_span oid) {
    if (in_set(s, oid))
        return;
    if (s->count == POLICIES_MAX)
        s->overflow = true;
    else
        TARN_AT(s->oid, s->count++) = oid;
}

/* Section 6.1.3 d and e: what of the policies above this certificate has. */
static void narrow(struct set *above, const struct tarn_x509 *c, bool any_allowed) {
    struct set here = {.overflow = above->overflow};
    struct tarn_span rest = c->policies, info, oid;
    while (rest.len > 0 && tarn_der_take(&rest, TARN_DER_SEQUENCE, &info)
           && tarn_der_take(&info, TARN_DER_OID, &oid)) {
        if (OID_IS(oid, ANY))
            here.any = any_allowed;
        else if (above->any || in_set(above, oid))
            add(&here, oid);
    }
    if (here.any)
        for (size_t i = 0; i < above->count; i++)
            add(&here, TARN_AT(above->oid, i));
    here.any = here.any && above->any;
    *above = here;
}

/* Section 6.1.4 a and b: an issuer's policies under the names of its subjects; where mapping is not
 * allowed, those that it maps are gone. False: a mapping from or to any-policy. */
static bool map(struct set *s, const struct tarn_x509 *c, bool allowed) {
    struct set to = {.any = s->any, .overflow = s->overflow};
    struct tarn_span rest = c->mappings, pair, from, oid;
    for (size_t i = 0; i < s->count; i++) {
        bool mapped = false;
        for (rest = c->mappings; tarn_der_take(&rest, TARN_DER_SEQUENCE, &pair);)
            mapped |= tarn_der_take(&pair, TARN_DER_OID, &from)
                      && tarn_span_equal(from, TARN_AT(s->oid, i));
        if (!mapped)
            add(&to, TARN_AT(s->oid, i));
    }
    for (rest = c->mappings; rest.len > 0;) {
        if (!tarn_der_take(&rest, TARN_DER_SEQUENCE, &pair)
            || !tarn_der_take(&pair, TARN_DER_OID, &from)
            || !tarn_der_take(&pair, TARN_DER_OID, &oid) || OID_IS(from, ANY) || OID_IS(oid, ANY))
            return false;
        if (allowed && (s->any || in_set(s, from)))
            add(&to, oid);
    }
    *s = to;
    return true;
}

static void lower(uint32_t *counter, uint32_t limit) {
    *counter = TARN_MIN(*counter, limit);
}

enum tarn_x509_reason policies_check(const struct tarn_x509_path *path) {
    struct set valid = {.any = true};
    uint32_t no_limit = (uint32_t)path->count + 1;
    uint32_t explicit_policy = no_limit, mapping = no_limit, any = no_limit;
    for (size_t i = path->count - 1; i-- > 0;) {
        const struct tarn_x509 *c = TARN_AT(path->certs, i);
        bool self_issued = tarn_x509_is_self_issued(c), leaf = i == 0;
        narrow(&valid, c, any > 0 || (!leaf && self_issued));
        if (explicit_policy == 0 && valid.count == 0 && !valid.any)
            return TARN_X509_POLICY;
        if (leaf) {
            lower(&explicit_policy, c->require_explicit == 0 ? 0 : UINT32_MAX);
            explicit_policy -= explicit_policy > 0;
            break;
        }
        if (!map(&valid, c, mapping > 0))
            return TARN_X509_POLICY;
        if (!self_issued) {
            explicit_policy -= explicit_policy > 0;
            mapping -= mapping > 0;
            any -= any > 0;
        }
        lower(&explicit_policy, c->require_explicit);
        lower(&mapping, c->inhibit_mapping);
        lower(&any, c->inhibit_any);
    }
    if (valid.overflow)
        return TARN_X509_BUDGET;
    return explicit_policy == 0 && valid.count == 0 && !valid.any ? TARN_X509_POLICY
                                                                  : TARN_X509_GOOD;
}
