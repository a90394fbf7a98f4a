/* SPDX-License-Identifier: ISC */
/* Is an answer to be believed? (RFC 4035 section 5, RFC 6840) */
#include "internal.h"

#define NO_WILDCARD 255u
#define RETRIES_MAX 2u      /* other servers are asked when an answer does not validate */
#define SIGS_MAX 8u         /* of a set, that are looked at */
#define SECTION_LEFT_OUT 7u /* additional data that was not proven */
#define EDE_BOGUS 6u
#define EDE_EXPIRED 7u
#define EDE_NOT_YET 8u
#define EDE_NO_KEY 9u
#define EDE_NO_SIGS 10u
#define EDE_NO_DENIAL 12u
#define EDE_NO_REACHABLE 22u

/* -- one set ------------------------------------------------------------------------------------
 */

static void shorten(struct tarn_recursor *r, struct task *t, const struct sig *g) {
    uint32_t left = TARN_MIN(g->expires - wall_of(r), g->ttl);
    t->valid_left = TARN_MIN(t->valid_left, left);
}

/* One signature with the zone's keys. Of keys that share a tag, only as many are tried as may be
 * wrong (CVE-2023-50387). */
static enum tarn_err try_sig(struct tarn_recursor *r, struct task *t, const struct set *s,
                             struct tarn_span sig, const struct sig *g, struct tarn_span keys,
                             unsigned *wild) {
    struct tarn_dns_rrset set = {s->owner, s->records, s->type, TARN_DNS_IN};
    struct tarn_span key;
    enum tarn_err err = TARN_NOT_FOUND;
    bool wildcard = false;
    while (record_next(&keys, &key)) {
        if (tarn_dns_key_tag(key) != g->tag)
            continue;
        if (!t->budget->failures || !spend(r, &t->budget->verifications, 1))
            return TARN_LIMIT;
        r->stats.verifications++;
        err = tarn_dns_verify(&set, sig, key, g->signer, wall_of(r), &r->work, &wildcard);
        if (err == TARN_OK) {
            *wild = wildcard ? g->labels : NO_WILDCARD;
            shorten(r, t, g);
            return TARN_OK;
        }
        if (err != TARN_PEER)
            continue;
        t->budget->failures--;
        r->stats.failed_verifications++;
    }
    return err;
}

static uint16_t ede_of(struct tarn_recursor *r, enum tarn_err err, const struct sig *g) {
    if (err == TARN_AGAIN)
        return (int32_t)(g->expires - wall_of(r)) < 0 ? EDE_EXPIRED : EDE_NOT_YET;
    return err == TARN_NOT_FOUND || err == TARN_INVALID ? EDE_NO_KEY : EDE_BOGUS;
}

bool verify_with(struct tarn_recursor *r, struct task *t, const struct set *s,
                 struct tarn_span zone, struct tarn_span keys, unsigned *wild) {
    struct tarn_span sigs = s->sigs, one;
    struct sig g;
    uint16_t ede = EDE_NO_SIGS;
    for (unsigned i = 0; i < SIGS_MAX && record_next(&sigs, &one); i++) {
        if (!sig_read(one, &g) || !tarn_dns_name_equal(g.signer, zone)
            || !sec_supports(r, g.algorithm))
            continue;
        enum tarn_err err = try_sig(r, t, s, one, &g, keys, wild);
        if (err == TARN_OK)
            return true;
        ede = ede_of(r, err, &g);
        if (err == TARN_LIMIT)
            break;
    }
    t->ede = ede;
    return false;
}

/* Who signed: the first that can have. A DS is the delegating zone's, never its own. */
static bool signer_of(const struct set *s, struct tarn_span *out) {
    struct tarn_span sigs = s->sigs, one;
    struct sig g;
    while (record_next(&sigs, &one))
        if (sig_read(one, &g) && tarn_dns_name_within(s->owner, g.signer)
            && !(s->type == TARN_DNS_DS && tarn_dns_name_equal(s->owner, g.signer))) {
            *out = g.signer;
            return true;
        }
    return false;
}

static struct tarn_span zone_side(struct tarn_span owner, uint16_t type) {
    return type == TARN_DNS_DS ? tarn_dns_name_parent(owner) : owner;
}

/* -- where nothing needs to be signed -----------------------------------------------------------
 */

static struct tarn_span suffix(struct tarn_span name, unsigned labels) {
    for (unsigned has = tarn_dns_name_labels(name); has > labels; has--)
        name = tarn_dns_name_parent(name);
    return name;
}

/* What a zone says of a delegation at `name`, if there is one. V_SECURE: nothing is insecure so
 * far. */
static enum verdict step_down(struct tarn_recursor *r, struct task *t, struct tarn_span name) {
    struct entry *e = known_answer(r, t, name, TARN_DNS_DS);
    uint16_t ede;
    if (!e)
        e = known_denial(r, t, name, TARN_DNS_DS);
    if (!e || e->status == UNCHECKED) {
        t->ede = EDE_NO_SIGS;
        if (!e && known_failure(r, t, name, TARN_DNS_DS, &ede))
            return V_BOGUS;
        return task_wait(r, t, TASK_CHECK, name, TARN_DNS_DS) == WAIT ? V_WAIT : V_BOGUS;
    }
    if (e->status == INSECURE || (e->flags & (ENTRY_CUT | ENTRY_OPT_OUT)))
        return e->status == BOGUS ? V_BOGUS : V_INSECURE;
    if (e->status == BOGUS)
        return V_BOGUS;
    if (e->flags & (ENTRY_NEGATIVE | ENTRY_ALIAS))
        return V_SECURE;
    struct tarn_span data = entry_data(&r->cache, e), one;
    struct set s;
    if (!set_find(data, TARN_DNS_ANSWER, TARN_DNS_DS, &s))
        return V_BOGUS;
    while (record_next(&s.records, &one))
        if (ds_usable(r, one))
            return V_SECURE;
    return V_INSECURE; /* by nothing that is known here (RFC 4035 section 5.2) */
}

/* The keys of a zone, or what it means that there are none. V_SECURE: they are there. */
static enum verdict keys_of(struct tarn_recursor *r, struct task *t, struct tarn_span zone,
                            struct entry **out) {
    struct entry *keys = cache_find(&r->cache, CACHED_KEYS, zone, 0);
    *out = keys;
    if (!keys || !is_fresh(r, t, keys)) {
        if (task_wait(r, t, TASK_KEYS, zone, 0) == WAIT)
            return V_WAIT;
        t->ede = EDE_BOGUS;
        return V_BOGUS;
    }
    if (keys->status == BOGUS)
        t->ede = keys->ede;
    return keys->status == SECURE ? V_SECURE : keys->status == INSECURE ? V_INSECURE : V_BOGUS;
}

enum verdict check_set(struct tarn_recursor *r, struct task *t, const struct set *s,
                       unsigned *wild) {
    struct tarn_span zone;
    struct entry *keys;
    *wild = NO_WILDCARD;
    if (!signer_of(s, &zone))
        return check_unsigned(r, t, zone_side(s->owner, s->type));
    enum verdict v = keys_of(r, t, zone, &keys);
    if (v == V_INSECURE)
        return check_unsigned(r, t, zone_side(s->owner, s->type));
    if (v != V_SECURE)
        return v;
    return verify_with(r, t, s, zone, entry_data(&r->cache, keys), wild) ? V_SECURE : V_BOGUS;
}

enum verdict check_unsigned(struct tarn_recursor *r, struct task *t, struct tarn_span name) {
    struct tarn_span anchor;
    struct entry *keys;
    if (!anchor_above(r, name, &anchor))
        return V_INSECURE;
    enum verdict top = keys_of(r, t, anchor, &keys);
    if (top != V_SECURE)
        return top;
    struct tarn_dns_name copy;
    tarn_dns_name_copy(&copy, name);
    name = tarn_dns_name_span(&copy);
    unsigned all = tarn_dns_name_labels(name);
    for (unsigned labels = tarn_dns_name_labels(anchor) + 1; labels <= all; labels++) {
        enum verdict v = step_down(r, t, suffix(name, labels));
        if (v != V_SECURE)
            return v;
    }
    t->ede = EDE_NO_SIGS;
    return V_BOGUS;
}

/* -- a whole answer -----------------------------------------------------------------------------
 */

/* An answer while it is looked at: the cache may move what it has. */
struct answer {
    struct tarn_span data, name;
    uint16_t type;
    uint8_t flags, rcode;
    tarn_time fetched;
};

static enum verdict worse(enum verdict a, enum verdict b) {
    return a == V_WAIT || b == V_WAIT ? V_WAIT : TARN_MAX(a, b);
}

static bool made_from_dname(const struct answer *a, const struct set *s) {
    struct set dname;
    return s->type == TARN_DNS_CNAME && !s->sigs.len
           && set_find(a->data, TARN_DNS_ANSWER, TARN_DNS_DNAME, &dname);
}

/* Every set of a section. *wild: the labels of a wildcard that one was made from. */
static enum verdict check_sets(struct tarn_recursor *r, struct task *t, const struct answer *a,
                               enum tarn_dns_section section, unsigned *wild) {
    enum verdict v = V_SECURE;
    struct tarn_span data = a->data;
    struct set s;
    while (v != V_WAIT && v != V_BOGUS && set_next(&data, &s)) {
        unsigned w;
        /* Of what an answer has besides, only denials matter. */
        bool spare = !(a->flags & ENTRY_NEGATIVE) && section == TARN_DNS_AUTHORITY
                     && s.type != TARN_DNS_NSEC && s.type != TARN_DNS_NSEC3;
        if (s.section != section || spare || made_from_dname(a, &s)
            || (section == TARN_DNS_AUTHORITY && s.type == TARN_DNS_NS))
            continue;
        v = worse(v, check_set(r, t, &s, &w));
        if (w != NO_WILDCARD)
            *wild = w;
        if (w != NO_WILDCARD && s.type == TARN_DNS_DNAME)
            return V_BOGUS; /* it would move names that exist (RFC 6672 section 3.3) */
    }
    return v;
}

/* Denials count where they are of one zone: that of the first. */
static bool denial_zone(const struct answer *a, uint16_t type, struct tarn_span *zone) {
    struct set s;
    return set_find(a->data, TARN_DNS_AUTHORITY, type, &s) && signer_of(&s, zone);
}

static enum proof prove(struct tarn_recursor *r, struct task *t, const struct answer *a,
                        unsigned wild, uint8_t *flags) {
    struct denial d = {.r = r, .t = t, .data = a->data};
    enum proof p = PROOF_NONE;
    bool no_name = a->rcode == TARN_DNS_NXDOMAIN, negative = a->flags & ENTRY_NEGATIVE;
    if (denial_zone(a, TARN_DNS_NSEC, &d.zone))
        p = !negative ? nsec_no_closer(&d, a->name, wild)
            : no_name ? nsec_no_name(&d, a->name)
                      : nsec_no_type(&d, a->name, a->type);
    if (p == PROOF_NONE && no_name && d.zone.len && nsec_is_empty(&d, a->name)) {
        *flags |= ENTRY_EMPTY;
        return PROOF_YES;
    }
    if (p == PROOF_NONE && denial_zone(a, TARN_DNS_NSEC3, &d.zone))
        p = !negative ? nsec3_no_closer(&d, a->name, wild)
            : no_name ? nsec3_no_name(&d, a->name)
                      : nsec3_no_type(&d, a->name, a->type);
    *flags |= d.is_cut ? ENTRY_CUT : 0;
    return p;
}

static enum verdict by_proof(struct task *t, enum proof p, bool *opt_out) {
    *opt_out = p == PROOF_OPT_OUT;
    if (p == PROOF_NONE) {
        t->ede = EDE_NO_DENIAL;
        return V_BOGUS;
    }
    return p == PROOF_YES ? V_SECURE : V_INSECURE;
}

static enum verdict check_positive(struct tarn_recursor *r, struct task *t,
                                   const struct answer *a) {
    unsigned wild = NO_WILDCARD, ignored;
    uint8_t flags = 0;
    bool opt_out;
    enum verdict v = check_sets(r, t, a, TARN_DNS_ANSWER, &wild);
    if (v == V_WAIT || v == V_BOGUS)
        return v;
    if (wild != NO_WILDCARD)
        v = worse(v, check_sets(r, t, a, TARN_DNS_AUTHORITY, &ignored));
    if (v != V_SECURE || wild == NO_WILDCARD)
        return v;
    return by_proof(t, prove(r, t, a, wild, &flags), &opt_out);
}

static enum verdict check_negative(struct tarn_recursor *r, struct task *t, const struct answer *a,
                                   uint8_t *flags) {
    unsigned ignored = NO_WILDCARD;
    bool opt_out = false;
    struct set s;
    struct tarn_span data = a->data;
    enum verdict v =
        set_next(&data, &s) ? check_sets(r, t, a, TARN_DNS_AUTHORITY, &ignored) : V_INSECURE;
    /* What is not signed must be so for the name itself. */
    if (v == V_INSECURE)
        return check_unsigned(r, t, zone_side(a->name, a->type));
    if (v != V_SECURE)
        return v;
    v = by_proof(t, prove(r, t, a, NO_WILDCARD, flags), &opt_out);
    /* The zone above may answer for one that it delegates without a DS. */
    if (v == V_BOGUS) {
        uint16_t ede = t->ede;
        v = check_unsigned(r, t, zone_side(a->name, a->type));
        t->ede = v == V_BOGUS ? ede : t->ede;
        return v;
    }
    *flags |= opt_out ? ENTRY_OPT_OUT : 0;
    return v;
}

/* With keys that are there already. */
static bool is_proven(struct tarn_recursor *r, struct task *t, const struct set *s) {
    struct tarn_span zone;
    unsigned wild;
    uint16_t ede = t->ede;
    if (!signer_of(s, &zone))
        return false;
    struct entry *keys = cache_find(&r->cache, CACHED_KEYS, zone, 0);
    bool ok = keys && is_fresh(r, t, keys) && keys->status == SECURE
              && verify_with(r, t, s, zone, entry_data(&r->cache, keys), &wild);
    t->ede = ede;
    return ok;
}

/* Data that came along is only worth repeating where it is proven; nobody is asked for that. */
static void leave_out(struct tarn_recursor *r, struct task *t, const struct answer *a) {
    struct tarn_span data = a->data;
    struct set s;
    for (size_t at = 0; set_next(&data, &s); at = a->data.len - data.len) {
        bool spare = s.section == TARN_DNS_EXTRA
                     || (s.section == TARN_DNS_AUTHORITY && s.type == TARN_DNS_NS);
        if (!spare || is_proven(r, t, &s))
            continue;
        struct entry *e = known_answer(r, t, task_name(t), t->type);
        struct tarn_span all = e ? entry_data(&r->cache, e) : TARN_SPAN_EMPTY;
        if (at < all.len)
            *tarn_bytes_at(tarn_bytes_of((void *)(uintptr_t)all.ptr, all.len), at) =
                SECTION_LEFT_OUT;
    }
}

/* -- the task -----------------------------------------------------------------------------------
 */

static void conclude(struct tarn_recursor *r, struct task *t, struct entry *e, enum verdict v,
                     uint8_t flags) {
    tarn_time now = clock_of(r);
    uint32_t left = entry_left(e, now);
    e->status = v == V_SECURE ? SECURE : v == V_INSECURE ? INSECURE : BOGUS;
    e->flags |= flags;
    if (flags & ENTRY_EMPTY)
        e->rcode = TARN_DNS_NOERROR;
    if (v == V_SECURE)
        left = TARN_MIN(left, t->valid_left);
    if (v == V_BOGUS) {
        left = r->config.bogus_ttl;
        e->ede = t->ede ? t->ede : EDE_BOGUS;
        r->stats.bogus++;
    }
    e->ttl = TARN_MIN(e->ttl, left);
    e->expires = tarn_time_after(now, TARN_SEC(left));
    t->ede = e->ede;
    if (v == V_SECURE)
        remember_denials(r, e);
}

static struct answer copy_of(struct tarn_recursor *r, const struct entry *e) {
    struct tarn_bytes name = tarn_bytes_first(TARN_BYTES_ARRAY(r->keep), e->name_bytes),
                      data = tarn_bytes_first(
                          tarn_bytes_after(TARN_BYTES_ARRAY(r->keep), TARN_DNS_NAME_MAX + 1),
                          e->data_bytes);
    tarn_bytes_copy(name, entry_name(&r->cache, e));
    tarn_bytes_copy(data, entry_data(&r->cache, e));
    return (struct answer){
        tarn_bytes_span(data), tarn_bytes_span(name), e->type, e->flags, e->rcode, e->fetched};
}

enum outcome check_run(struct tarn_recursor *r, struct task *t) {
    struct entry *e = known_answer(r, t, task_name(t), t->type);
    uint16_t ede;
    uint8_t flags = 0;
    if (t->refresh) {
        enum outcome o = task_wait(r, t, TASK_FETCH, task_name(t), t->type);
        t->refresh = false;
        return o;
    }
    if (!e)
        e = known_denial(r, t, task_name(t), t->type);
    if (!e && known_failure(r, t, task_name(t), t->type, &ede))
        return FAILED;
    if (!e)
        return task_wait(r, t, TASK_FETCH, task_name(t), t->type);
    if (e->status != UNCHECKED)
        return DONE;
    struct answer a = copy_of(r, e);
    t->valid_left = UINT32_MAX;
    t->ede = 0;
    enum verdict v =
        a.flags & ENTRY_NEGATIVE ? check_negative(r, t, &a, &flags) : check_positive(r, t, &a);
    if (v == V_WAIT)
        return WAIT;
    e = known_answer(r, t, task_name(t), t->type);
    if (!e || e->fetched != a.fetched)
        return FAILED; /* it made room while it was looked at */
    if (v == V_BOGUS && fetch_elsewhere(r, t, e, RETRIES_MAX))
        return WAIT;
    if (v == V_SECURE && r->config.additional)
        leave_out(r, t, &a);
    if ((e = known_answer(r, t, task_name(t), t->type)))
        conclude(r, t, e, v, flags);
    return e ? DONE : FAILED;
}
