/* SPDX-License-Identifier: ISC */
/* What is known already, and what follows from it: names below one that does not exist (RFC 8020),
 * names and types that proven denials cover (RFC 8198). */
#include "internal.h"

#define LABELS_MAX 8u /* above a name, that are hashed for NSEC3 */
#define FAILED_TTL 5u /* RFC 9520 */

static struct entry *fresh(struct tarn_recursor *r, const struct task *t, struct tarn_span name,
                           uint16_t type) {
    struct entry *e = cache_find(&r->cache, CACHED_ANSWER, name, type);
    return e && is_fresh(r, t, e) ? e : NULL;
}

struct entry *known_answer(struct tarn_recursor *r, const struct task *t, struct tarn_span name,
                           uint16_t type) {
    struct entry *e = fresh(r, t, name, type);
    if (!e && type != TARN_DNS_CNAME && type != TARN_DNS_ANY) {
        e = fresh(r, t, name, TARN_DNS_CNAME);
        if (e && !(e->flags & ENTRY_ALIAS))
            e = NULL;
    }
    return e ? e : fresh(r, t, name, 0);
}

bool known_failure(struct tarn_recursor *r, const struct task *t, struct tarn_span name,
                   uint16_t type, uint16_t *ede) {
    struct entry *e = cache_find(&r->cache, CACHED_FAILED, name, type);
    if (!e || !is_fresh(r, t, e))
        return false;
    *ede = e->ede;
    return true;
}

void remember_failure(struct tarn_recursor *r, struct tarn_span name, uint16_t type, uint16_t ede) {
    struct entry_new n = {.kind = CACHED_FAILED,
                          .name = name,
                          .type = type,
                          .ede = ede,
                          .ttl = FAILED_TTL,
                          .now = clock_of(r)};
    (void)cache_put(&r->cache, &n);
}

struct entry *known_dname(struct tarn_recursor *r, const struct task *t, struct tarn_span name) {
    uint8_t record[2 + TARN_DNS_NAME_MAX];
    struct tarn_writer w = TARN_WRITER_ARRAY(r->build), rw = TARN_WRITER_ARRAY(record);
    struct tarn_dns_name target;
    struct tarn_span one, above = name;
    struct set s;
    struct entry *e = NULL;
    while (!e && above.len > 1) {
        above = tarn_dns_name_parent(above);
        e = fresh(r, t, above, TARN_DNS_DNAME);
    }
    if (!e || e->status == BOGUS
        || !set_find(entry_data(&r->cache, e), TARN_DNS_ANSWER, TARN_DNS_DNAME, &s)
        || !record_next(&s.records, &one) || !tarn_dns_name_replace(name, above, one, &target))
        return NULL;
    uint32_t left = entry_left(e, clock_of(r));
    tarn_writer_span_put(&w, entry_data(&r->cache, e));
    tarn_writer_u16be(&rw, target.len);
    tarn_writer_span_put(&rw, tarn_dns_name_span(&target));
    struct set alias = {TARN_DNS_ANSWER,       TARN_DNS_CNAME, left, name,
                        tarn_writer_span(&rw), TARN_SPAN_EMPTY};
    set_put(&w, &alias);
    struct entry_new n = {.kind = CACHED_ANSWER,
                          .name = name,
                          .data = tarn_writer_span(&w),
                          .type = TARN_DNS_CNAME,
                          .ttl = left,
                          .status = e->status,
                          .flags = ENTRY_ALIAS,
                          .now = clock_of(r)};
    return tarn_writer_ok(&w) ? cache_put(&r->cache, &n) : NULL;
}

/* -- denials kept -------------------------------------------------------------------------------
 */

static bool is_kept(uint16_t type) {
    return type == TARN_DNS_NSEC || type == TARN_DNS_NSEC3 || type == TARN_DNS_SOA;
}

void remember_denials(struct tarn_recursor *r, const struct entry *e) {
    struct tarn_writer copy = TARN_WRITER_ARRAY(r->build), one;
    struct tarn_span data;
    struct set s;
    tarn_time now = clock_of(r);
    uint32_t left = entry_left(e, now);
    tarn_writer_span_put(&copy, entry_data(&r->cache, e));
    data = tarn_writer_span(&copy);
    while (set_next(&data, &s)) {
        if (s.section != TARN_DNS_AUTHORITY || !is_kept(s.type) || !s.sigs.len
            || (s.type != TARN_DNS_SOA && r->config.no_aggressive))
            continue;
        one = TARN_WRITER_ARRAY(r->keep);
        set_put(&one, &s);
        struct entry_new n = {.kind = CACHED_SET,
                              .name = s.owner,
                              .data = tarn_writer_span(&one),
                              .type = s.type,
                              .ttl = TARN_MIN(s.ttl, left),
                              .status = SECURE,
                              .now = now};
        (void)cache_put(&r->cache, &n);
    }
}

/* -- denials made -------------------------------------------------------------------------------
 */

/* An answer while it is made from parts. */
struct making {
    struct tarn_recursor *r;
    struct task scratch; /* proofs want a task, for its budget */
    struct budget budget;
    struct tarn_writer w;
    uint32_t left;
    struct tarn_dns_name zone;
};

static void add(struct making *m, const struct entry *e) {
    tarn_writer_span_put(&m->w, entry_data(&m->r->cache, e));
    m->left = TARN_MIN(m->left, entry_left(e, clock_of(m->r)));
}

static bool is_usable(struct making *m, const struct entry *e) {
    return e && e->expires > clock_of(m->r);
}

static bool set_zone(struct making *m, const struct entry *e) {
    struct tarn_span data = entry_data(&m->r->cache, e), one;
    struct set s;
    struct sig g;
    if (!set_next(&data, &s) || !record_next(&s.sigs, &one) || !sig_read(one, &g))
        return false;
    tarn_dns_name_copy(&m->zone, g.signer);
    return true;
}

static bool add_soa(struct making *m) {
    struct entry *soa =
        cache_find(&m->r->cache, CACHED_SET, tarn_dns_name_span(&m->zone), TARN_DNS_SOA);
    if (!is_usable(m, soa))
        return false;
    add(m, soa);
    return true;
}

static struct entry *put(struct making *m, struct tarn_span name, uint16_t type, bool no_name,
                         bool is_cut) {
    struct entry_new n = {.kind = CACHED_ANSWER,
                          .name = name,
                          .data = tarn_writer_span(&m->w),
                          .type = no_name ? 0 : type,
                          .ttl = m->left,
                          .status = SECURE,
                          .rcode = no_name ? TARN_DNS_NXDOMAIN : TARN_DNS_NOERROR,
                          .flags = ENTRY_NEGATIVE,
                          .now = clock_of(m->r)};
    n.flags |= is_cut ? ENTRY_CUT : 0;
    m->r->stats.synthesised++;
    return tarn_writer_ok(&m->w) && m->left ? cache_put(&m->r->cache, &n) : NULL;
}

static struct entry *conclude(struct making *m, struct tarn_span name, uint16_t type, bool three) {
    struct denial d = {.r = m->r,
                       .t = &m->scratch,
                       .data = tarn_writer_span(&m->w),
                       .zone = tarn_dns_name_span(&m->zone)};
    if ((three ? nsec3_no_name(&d, name) : nsec_no_name(&d, name)) == PROOF_YES)
        return put(m, name, type, true, false);
    if ((three ? nsec3_no_type(&d, name, type) : nsec_no_type(&d, name, type)) == PROOF_YES)
        return put(m, name, type, false, d.is_cut);
    return NULL;
}

/* The deepest name above `name` that the two ends of the range show to exist. */
static struct tarn_span encloser(const struct entry *e, struct making *m, struct tarn_span name) {
    struct tarn_span data = entry_data(&m->r->cache, e), one, next, bitmap;
    struct set s;
    if (!set_next(&data, &s) || !record_next(&s.records, &one) || !nsec_read(one, &next, &bitmap))
        return name;
    return nsec_encloser(s.owner, next, name);
}

static struct entry *by_nsec(struct making *m, struct tarn_span name, uint16_t type) {
    struct cache *c = &m->r->cache;
    struct entry *e = cache_before(c, TARN_DNS_NSEC, name), *star;
    struct tarn_dns_name wild;
    if (!is_usable(m, e) || !set_zone(m, e)
        || !tarn_dns_name_within(name, tarn_dns_name_span(&m->zone)) || !add_soa(m))
        return NULL;
    e = cache_before(c, TARN_DNS_NSEC, name); /* looking for the SOA may have moved it */
    if (!is_usable(m, e))
        return NULL;
    add(m, e);
    if (!tarn_dns_name_equal(entry_name(c, e), name)
        && tarn_dns_name_child(TARN_SPAN_LIT("*"), encloser(e, m, name), &wild)) {
        star = cache_before(c, TARN_DNS_NSEC, tarn_dns_name_span(&wild));
        if (is_usable(m, star) && star != e)
            add(m, star);
    }
    return conclude(m, name, type, false);
}

/* The zone above the name of which there are hashes. */
static struct entry *nsec3_zone(struct making *m, struct tarn_span name) {
    for (unsigned i = 0; i < LABELS_MAX; i++, name = tarn_dns_name_parent(name)) {
        struct entry *e = cache_behind(&m->r->cache, TARN_DNS_NSEC3, name);
        if (is_usable(m, e)
            && tarn_dns_name_equal(tarn_dns_name_parent(entry_name(&m->r->cache, e)), name)) {
            tarn_dns_name_copy(&m->zone, name);
            return e;
        }
        if (name.len <= 1)
            break;
    }
    return NULL;
}

static void add_hashed(struct making *m, const struct nsec3 *params, struct tarn_span name) {
    uint8_t hash[TARN_DNS_NSEC3_HASH_BYTES];
    struct tarn_dns_name owner;
    struct tarn_span zone = tarn_dns_name_span(&m->zone);
    if (!nsec3_hash(m->r, &m->budget, params, name, hash))
        return;
    nsec3_owner(hash, zone, &owner);
    struct entry *e = cache_before(&m->r->cache, TARN_DNS_NSEC3, tarn_dns_name_span(&owner));
    if (is_usable(m, e)
        && tarn_dns_name_equal(tarn_dns_name_parent(entry_name(&m->r->cache, e)), zone))
        add(m, e);
}

static struct entry *by_nsec3(struct making *m, struct tarn_span name, uint16_t type) {
    struct entry *e = nsec3_zone(m, name);
    uint8_t salt[255];
    struct tarn_span data, one;
    struct tarn_dns_name wild;
    struct nsec3 params;
    struct set s;
    if (!e)
        return NULL;
    data = entry_data(&m->r->cache, e);
    if (!set_next(&data, &s) || !record_next(&s.records, &one) || !nsec3_read(one, &params)
        || params.iterations > m->r->config.iterations_max || params.algorithm != 1)
        return NULL;
    params.salt = tarn_span_first(TARN_SPAN_ARRAY(salt),
                                  tarn_bytes_copy(TARN_BYTES_ARRAY(salt), params.salt));
    if (!add_soa(m))
        return NULL;
    struct tarn_span zone = tarn_dns_name_span(&m->zone);
    for (struct tarn_span n = name; tarn_dns_name_within(n, zone); n = tarn_dns_name_parent(n)) {
        add_hashed(m, &params, n);
        if (tarn_dns_name_child(TARN_SPAN_LIT("*"), n, &wild) && n.len < name.len)
            add_hashed(m, &params, tarn_dns_name_span(&wild));
        if (n.len <= 1)
            break;
    }
    return conclude(m, name, type, true);
}

/* -- names below none ---------------------------------------------------------------------------
 */

static struct entry *by_name_above(struct making *m, struct tarn_span name) {
    struct tarn_span above = name;
    while (above.len > 1) {
        above = tarn_dns_name_parent(above);
        struct entry *e = fresh(m->r, NULL, above, 0);
        if (e && e->status == SECURE && !(e->flags & ENTRY_OPT_OUT)) {
            add(m, e);
            return put(m, name, 0, true, false);
        }
    }
    return NULL;
}

struct entry *known_denial(struct tarn_recursor *r, const struct task *t, struct tarn_span name,
                           uint16_t type) {
    struct making m = {.r = r, .w = TARN_WRITER_ARRAY(r->build), .left = UINT32_MAX};
    struct entry *e = known_dname(r, t, name);
    if (!e)
        e = by_name_above(&m, name);
    if (e || r->config.no_aggressive || r->config.no_validation)
        return e;
    m.budget.hash_rounds = r->config.hash_rounds_max / 4;
    m.scratch.budget = &m.budget;
    m.w.len = 0;
    m.left = UINT32_MAX;
    if (TARN_AT(r->cache.ordered_count, 0) && (e = by_nsec(&m, name, type)))
        return e;
    m.w.len = 0;
    m.left = UINT32_MAX;
    return TARN_AT(r->cache.ordered_count, 1) ? by_nsec3(&m, name, type) : NULL;
}
