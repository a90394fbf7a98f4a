/* SPDX-License-Identifier: ISC */
/* A server's answer, read with suspicion: only what its zone may speak of and what was asked for
 * goes into the cache (RFC 2181 section 5.4.1, RFC 5452 section 6). */
#include "internal.h"

#define CUT_SERVERS_MAX 24u
#define CUT_ADDRS_MAX 8u /* of one server */
#define SETS_MAX 24u     /* of the authority and additional sections, in an answer */
#define ROOT_NS_TTL_MIN 3600u

static struct tarn_span zone_of(const struct task *t) {
    return tarn_dns_name_span(&t->fetch.zone);
}

/* -- putting ------------------------------------------------------------------------------------
 */

static uint32_t clamp_ttl(const struct tarn_recursor *r, uint32_t ttl, bool negative) {
    uint32_t max = negative ? r->config.negative_ttl_max : r->config.ttl_max;
    return TARN_MIN(TARN_MAX(ttl, r->config.ttl_min), max);
}

static uint8_t first_status(const struct tarn_recursor *r, struct tarn_span name, uint16_t type) {
    struct tarn_span zone;
    return type == TARN_DNS_RRSIG || !anchor_above(r, name, &zone) ? INSECURE : UNCHECKED;
}

/* What was believed is not lost to what may not be (RFC 8767 section 5). */
static void keep_old(struct tarn_recursor *r, struct tarn_span name, uint16_t type) {
    struct entry *e = cache_find(&r->cache, CACHED_ANSWER, name, type);
    if (!r->config.stale_seconds || !e || e->status == UNCHECKED || e->status == BOGUS)
        return;
    struct tarn_writer w = TARN_WRITER_ARRAY(r->keep);
    tarn_writer_span_put(&w, entry_data(&r->cache, e));
    struct entry head = *e;
    struct entry_new n = {.kind = CACHED_OLD,
                          .name = name,
                          .data = tarn_writer_span(&w),
                          .type = type,
                          .ttl = head.ttl,
                          .status = head.status,
                          .rcode = head.rcode,
                          .flags = head.flags,
                          .now = clock_of(r)};
    struct entry *old = cache_put(&r->cache, &n);
    if (old)
        old->expires = TARN_MIN(head.expires, n.now);
}

static void put(struct tarn_recursor *r, struct tarn_span name, uint16_t type, uint8_t flags,
                uint32_t ttl, const struct tarn_writer *w) {
    bool negative = flags & ENTRY_NEGATIVE;
    struct entry_new n = {.kind = CACHED_ANSWER,
                          .name = name,
                          .data = tarn_writer_span(w),
                          .type = type,
                          .ttl = clamp_ttl(r, ttl, negative),
                          .status = first_status(r, name, type),
                          .rcode = type ? TARN_DNS_NOERROR : TARN_DNS_NXDOMAIN,
                          .flags = flags,
                          .now = clock_of(r)};
    struct entry *failed = cache_find(&r->cache, CACHED_FAILED, name, type);
    if (failed)
        cache_drop(&r->cache, failed);
    keep_old(r, name, n.type);
    (void)cache_put(&r->cache, &n);
}

static bool is_denial(uint16_t type) {
    return type == TARN_DNS_NSEC || type == TARN_DNS_NSEC3;
}

/* The authority section has something of that owner and type earlier: it is taken once. */
static bool is_repeated(const struct parsed *p, uint32_t i) {
    const struct record *rec = &TARN_AT(p->records, i);
    const struct record *first = parsed_find(p, rec->section, rec->owner, rec->type);
    return first != rec;
}

/* Sets of a section that fit `wants`. */
static void put_section(struct tarn_recursor *r, struct task *t, enum tarn_dns_section section,
                        bool (*wants)(uint16_t type), struct tarn_writer *w, uint32_t *ttl) {
    const struct parsed *p = &r->parsed;
    for (uint32_t i = 0, sets = 0; i < p->count && sets < SETS_MAX; i++) {
        const struct record *rec = &TARN_AT(p->records, i);
        if (rec->section != section || !wants(rec->type) || is_repeated(p, i)
            || !tarn_dns_name_within(rec->owner, zone_of(t)))
            continue;
        struct tarn_writer then = *w;
        sets++;
        if (!parsed_set(p, section, rec->owner, rec->type, section, w, ttl))
            *w = then;
    }
}

static bool is_ns(uint16_t type) {
    return type == TARN_DNS_NS;
}
static bool is_address(uint16_t type) {
    return type == TARN_DNS_A || type == TARN_DNS_AAAA;
}

/* Where answers are to be repeated as they came. */
static void put_additional(struct tarn_recursor *r, struct task *t, struct tarn_writer *w) {
    uint32_t ttl = UINT32_MAX;
    if (!r->config.additional)
        return;
    put_section(r, t, TARN_DNS_AUTHORITY, is_ns, w, &ttl);
    put_section(r, t, TARN_DNS_EXTRA, is_address, w, &ttl);
}

/* -- answers ------------------------------------------------------------------------------------
 */

/* A signature for fewer labels than the owner has: a wildcard's. */
static bool is_expanded(struct tarn_span data) {
    struct tarn_span one;
    struct set s;
    struct sig g;
    while (set_next(&data, &s)) {
        unsigned labels = tarn_dns_name_labels(s.owner);
        labels -= tarn_span_equal(tarn_dns_name_label(s.owner), TARN_SPAN_LIT("*"));
        while (record_next(&s.sigs, &one))
            if (sig_read(one, &g) && g.labels < labels)
                return true;
    }
    return false;
}

static void put_answer(struct tarn_recursor *r, struct task *t, struct tarn_span owner,
                       uint16_t type, uint8_t flags, struct tarn_writer *w, uint32_t ttl) {
    uint32_t denial_ttl = UINT32_MAX;
    if (is_expanded(tarn_writer_span(w)))
        put_section(r, t, TARN_DNS_AUTHORITY, is_denial, w, &denial_ttl);
    put_additional(r, t, w);
    if (tarn_writer_ok(w))
        put(r, owner, type, flags, ttl, w);
}

static bool put_set_of(struct tarn_recursor *r, struct task *t, struct tarn_span owner,
                       uint16_t type, uint8_t flags) {
    struct tarn_writer w = TARN_WRITER_ARRAY(r->build);
    uint32_t ttl = UINT32_MAX;
    if (!parsed_set(&r->parsed, TARN_DNS_ANSWER, owner, type, TARN_DNS_ANSWER, &w, &ttl))
        return false;
    put_answer(r, t, owner, type, flags, &w, ttl);
    return true;
}

/* ANY: whatever there is at the name. */
static bool put_any(struct tarn_recursor *r, struct task *t, struct tarn_span owner) {
    struct tarn_writer w = TARN_WRITER_ARRAY(r->build);
    uint32_t ttl = UINT32_MAX;
    bool some = false;
    for (uint32_t i = 0; i < r->parsed.count; i++) {
        const struct record *rec = &TARN_AT(r->parsed.records, i);
        if (rec->section != TARN_DNS_ANSWER || !tarn_dns_name_equal(rec->owner, owner)
            || rec->type == TARN_DNS_RRSIG || is_repeated(&r->parsed, i))
            continue;
        some |=
            parsed_set(&r->parsed, TARN_DNS_ANSWER, owner, rec->type, TARN_DNS_ANSWER, &w, &ttl);
    }
    if (some)
        put_answer(r, t, owner, TARN_DNS_ANY, 0, &w, ttl);
    return some;
}

static const struct record *find_dname(const struct tarn_recursor *r, const struct task *t,
                                       struct tarn_span name) {
    while (name.len > 1 && !tarn_dns_name_equal(name, zone_of(t))) {
        name = tarn_dns_name_parent(name);
        const struct record *d = parsed_find(&r->parsed, TARN_DNS_ANSWER, name, TARN_DNS_DNAME);
        if (d)
            return d;
    }
    return NULL;
}

/* The alias that a DNAME makes is made here, whatever the server says it is (RFC 6672). */
static bool put_dname(struct tarn_recursor *r, struct task *t, struct tarn_span name,
                      const struct record *dname, struct tarn_dns_name *target) {
    struct tarn_writer w = TARN_WRITER_ARRAY(r->build);
    uint8_t record[2 + TARN_DNS_NAME_MAX];
    struct tarn_writer rw = TARN_WRITER_ARRAY(record);
    uint32_t ttl = UINT32_MAX;
    if (!parsed_set(&r->parsed, TARN_DNS_ANSWER, dname->owner, TARN_DNS_DNAME, TARN_DNS_ANSWER, &w,
                    &ttl))
        return false;
    if (!tarn_dns_name_equal(name, dname->owner))
        put(r, dname->owner, TARN_DNS_DNAME, 0, ttl, &w); /* for other names below */
    if (!tarn_dns_name_replace(name, dname->owner, dname->data, target)) {
        put_answer(r, t, name, TARN_DNS_CNAME, ENTRY_ALIAS, &w, ttl); /* it is too long */
        target->len = 0;
        return true;
    }
    tarn_writer_u16be(&rw, target->len);
    tarn_writer_span_put(&rw, tarn_dns_name_span(target));
    struct set s = {TARN_DNS_ANSWER,       TARN_DNS_CNAME, ttl, name,
                    tarn_writer_span(&rw), TARN_SPAN_EMPTY};
    set_put(&w, &s);
    put_answer(r, t, name, TARN_DNS_CNAME, ENTRY_ALIAS, &w, ttl);
    return true;
}

/* One link at `name`: a DNAME above it, an alias, or the set itself. *name becomes the next name,
 * or empty where this was the last. False: there is none. */
static bool put_link(struct tarn_recursor *r, struct task *t, struct tarn_dns_name *name) {
    struct tarn_span n = tarn_dns_name_span(name);
    const struct record *dname = find_dname(r, t, n), *alias;
    struct tarn_dns_name target = {0};
    if (dname) {
        if (!put_dname(r, t, n, dname, &target))
            return false;
        *name = target;
        return true;
    }
    if (t->type == TARN_DNS_ANY ? put_any(r, t, n) : put_set_of(r, t, n, t->type, 0)) {
        name->len = 0;
        return true;
    }
    alias = parsed_find(&r->parsed, TARN_DNS_ANSWER, n, TARN_DNS_CNAME);
    if (!alias || !put_set_of(r, t, n, TARN_DNS_CNAME, ENTRY_ALIAS))
        return false;
    tarn_dns_name_copy(name, alias->data);
    return true;
}

/* -- denials ------------------------------------------------------------------------------------
 */

static const struct record *find_soa(const struct tarn_recursor *r, const struct task *t,
                                     struct tarn_span name) {
    for (uint32_t i = 0; i < r->parsed.count; i++) {
        const struct record *rec = &TARN_AT(r->parsed.records, i);
        if (rec->section == TARN_DNS_AUTHORITY && rec->type == TARN_DNS_SOA
            && tarn_dns_name_within(name, rec->owner)
            && tarn_dns_name_within(rec->owner, zone_of(t)))
            return rec;
    }
    return NULL;
}

/* RFC 2308 section 5: the last field of the SOA. */
static uint32_t soa_minimum(struct tarn_span rdata) {
    struct tarn_span last = tarn_span_after(rdata, rdata.len - TARN_MIN(rdata.len, (size_t)4));
    uint32_t minimum = 0;
    return tarn_span_u32be(&last, &minimum) ? minimum : 0;
}

static void put_negative(struct tarn_recursor *r, struct task *t, struct tarn_span name,
                         uint16_t type, bool no_name) {
    struct tarn_writer w = TARN_WRITER_ARRAY(r->build);
    const struct record *soa = find_soa(r, t, name);
    uint32_t ttl = UINT32_MAX;
    if (soa
        && parsed_set(&r->parsed, TARN_DNS_AUTHORITY, soa->owner, TARN_DNS_SOA, TARN_DNS_AUTHORITY,
                      &w, &ttl))
        ttl = TARN_MIN(ttl, soa_minimum(soa->data));
    put_section(r, t, TARN_DNS_AUTHORITY, is_denial, &w, &ttl);
    if (!soa && ttl == UINT32_MAX)
        ttl = 5; /* not said for how long: RFC 2308 section 5 would have it not kept at all */
    if (tarn_writer_ok(&w))
        put(r, name, no_name ? 0 : type, ENTRY_NEGATIVE, ttl, &w);
}

/* -- delegations --------------------------------------------------------------------------------
 */

/* A DS, or the proof that there is none, which came with the delegation. */
static void put_ds(struct tarn_recursor *r, struct task *t, struct tarn_span cut) {
    struct tarn_writer w = TARN_WRITER_ARRAY(r->build);
    const struct record *sig = NULL;
    uint32_t ttl = UINT32_MAX;
    struct entry *was = cache_find(&r->cache, CACHED_ANSWER, cut, TARN_DNS_DS);
    if (r->config.no_validation || (was && is_fresh(r, t, was)))
        return;
    for (uint32_t i = 0; i < r->parsed.count && !sig; i++) {
        const struct record *rec = &TARN_AT(r->parsed.records, i);
        if (rec->section == TARN_DNS_AUTHORITY && rec->type == TARN_DNS_RRSIG
            && (rec->covered == TARN_DNS_DS || is_denial(rec->covered)))
            sig = rec;
    }
    if (!sig)
        return;
    if (parsed_set(&r->parsed, TARN_DNS_AUTHORITY, cut, TARN_DNS_DS, TARN_DNS_ANSWER, &w, &ttl)) {
        put(r, cut, TARN_DNS_DS, 0, ttl, &w);
        return;
    }
    put_section(r, t, TARN_DNS_AUTHORITY, is_denial, &w, &ttl);
    if (ttl != UINT32_MAX && tarn_writer_ok(&w))
        put(r, cut, TARN_DNS_DS, ENTRY_NEGATIVE, ttl, &w);
}

/* A server's addresses, believed only where they are the delegating zone's business. */
static void put_glue(struct tarn_recursor *r, struct task *t, struct tarn_span server,
                     struct tarn_writer *w) {
    size_t count_at = w->len;
    uint8_t count = 0;
    tarn_writer_u8(w, 0);
    for (uint32_t i = 0; i < r->parsed.count && count < CUT_ADDRS_MAX; i++) {
        const struct record *rec = &TARN_AT(r->parsed.records, i);
        struct tarn_span data = rec->data;
        struct tarn_ip_addr a;
        if (rec->section == TARN_DNS_QUESTION || !is_address(rec->type)
            || !tarn_dns_name_equal(rec->owner, server)
            || !tarn_dns_name_within(server, zone_of(t)))
            continue;
        if (rec->type == TARN_DNS_A ? tarn_span_ipv4(&data, &a) : tarn_span_ipv6(&data, &a)) {
            tarn_writer_mem(w, a.bytes, sizeof a.bytes);
            count++;
        }
    }
    *tarn_bytes_at(tarn_bytes_of(w->ptr, w->cap), count_at) = count;
}

static void put_cut(struct tarn_recursor *r, struct task *t, struct tarn_span cut,
                    enum tarn_dns_section section) {
    struct tarn_writer w = TARN_WRITER_ARRAY(r->build);
    uint32_t ttl = UINT32_MAX;
    unsigned servers = 0;
    for (uint32_t i = 0; i < r->parsed.count && servers < CUT_SERVERS_MAX; i++) {
        const struct record *rec = &TARN_AT(r->parsed.records, i);
        if (rec->section != section || rec->type != TARN_DNS_NS
            || !tarn_dns_name_equal(rec->owner, cut))
            continue;
        tarn_writer_span_put(&w, rec->data);
        put_glue(r, t, rec->data, &w);
        ttl = TARN_MIN(ttl, rec->ttl);
        servers++;
    }
    if (cut.len == 1)
        ttl = TARN_MAX(ttl, ROOT_NS_TTL_MIN);
    struct entry_new n = {.kind = CACHED_CUT,
                          .name = cut,
                          .data = tarn_writer_span(&w),
                          .ttl = TARN_MIN(ttl, r->config.ttl_max),
                          .now = clock_of(r)};
    (void)cache_put(&r->cache, &n);
}

/* The owner of a delegation downwards, on the way to the name. */
static const struct record *find_cut(const struct tarn_recursor *r, const struct task *t) {
    struct tarn_span asked = tarn_dns_name_span(&t->fetch.asked);
    for (uint32_t i = 0; i < r->parsed.count; i++) {
        const struct record *rec = &TARN_AT(r->parsed.records, i);
        if (rec->section == TARN_DNS_AUTHORITY && rec->type == TARN_DNS_NS
            && tarn_dns_name_within(rec->owner, zone_of(t))
            && !tarn_dns_name_equal(rec->owner, zone_of(t))
            && tarn_dns_name_within(asked, rec->owner))
            return rec;
    }
    return NULL;
}

static enum learned learn_cut(struct tarn_recursor *r, struct task *t, const struct record *ns) {
    uint8_t copy[TARN_DNS_NAME_MAX];
    struct tarn_span cut =
        tarn_span_first(TARN_SPAN_ARRAY(copy), tarn_bytes_copy(TARN_BYTES_ARRAY(copy), ns->owner));
    put_ds(r, t, cut);
    /* Who delegates a name has its DS; a delegation without one says nothing. */
    if (t->type == TARN_DNS_DS && tarn_dns_name_equal(cut, task_name(t)))
        return known_answer(r, t, cut, TARN_DNS_DS) ? LEARNED : LEARNED_LAME;
    put_cut(r, t, cut, TARN_DNS_AUTHORITY);
    return LEARNED_CUT;
}

/* The authority section has such a record. */
static bool has_type(const struct parsed *p, bool (*wants)(uint16_t type)) {
    for (uint32_t i = 0; i < p->count; i++) {
        const struct record *rec = &TARN_AT(p->records, i);
        if (rec->section == TARN_DNS_AUTHORITY && wants(rec->type))
            return true;
    }
    return false;
}

/* -- the whole ----------------------------------------------------------------------------------
 */

/* What a chain of aliases ends in, where the same server has said that, too. */
static void learn_end(struct tarn_recursor *r, struct task *t, struct tarn_span name) {
    if (find_soa(r, t, name))
        put_negative(r, t, name, t->type, r->parsed.rcode == TARN_DNS_NXDOMAIN);
}

static bool learn_chain(struct tarn_recursor *r, struct task *t) {
    struct tarn_dns_name name = t->name;
    if (!put_link(r, t, &name))
        return false;
    for (unsigned i = 0; i < TARN_RECURSOR_CHAIN_MAX && name.len; i++) {
        if (!tarn_dns_name_within(tarn_dns_name_span(&name), zone_of(t)))
            return true;
        if (!put_link(r, t, &name)) {
            learn_end(r, t, tarn_dns_name_span(&name));
            return true;
        }
    }
    return true;
}

static bool is_lame_answer(const struct tarn_recursor *r, const struct task *t) {
    uint16_t flags = r->parsed.header.flags;
    return !t->fetch.forward && !t->fetch.accept_lame && !(flags & TARN_DNS_AA)
           && (flags & TARN_DNS_RA);
}

enum learned learn(struct tarn_recursor *r, struct task *t) {
    const struct parsed *p = &r->parsed;
    struct fetch *f = &t->fetch;
    struct tarn_span asked = tarn_dns_name_span(&f->asked);
    bool final = f->asked.len == t->name.len && f->asked_type == t->type;
    bool aa = p->header.flags & TARN_DNS_AA;
    bool answered = parsed_find(p, TARN_DNS_ANSWER, asked, f->asked_type)
                    || parsed_find(p, TARN_DNS_ANSWER, asked, TARN_DNS_CNAME);
    const struct record *ns;
    if (is_lame_answer(r, t) && (answered || !find_cut(r, t)))
        return LEARNED_LAME;
    if (final && t->name.len == 1 && t->type == TARN_DNS_NS && answered)
        put_cut(r, t, asked, TARN_DNS_ANSWER);
    if ((final || find_dname(r, t, asked)) && learn_chain(r, t))
        return LEARNED;
    if (answered && !final)
        return LEARNED_NONE;
    ns = f->forward || find_soa(r, t, asked) ? NULL : find_cut(r, t);
    if (ns && p->rcode == TARN_DNS_NOERROR)
        return learn_cut(r, t, ns);
    if (!final)
        return p->rcode == TARN_DNS_NXDOMAIN               ? LEARNED_NAME_ERROR
               : aa || find_soa(r, t, asked) || f->forward ? LEARNED_NONE
                                                           : LEARNED_LAME;
    if (p->rcode != TARN_DNS_NXDOMAIN && !aa && !f->forward && !find_soa(r, t, asked)
        && !(f->accept_lame ? !has_type(p, is_ns) : has_type(p, is_denial)))
        return LEARNED_LAME;
    put_negative(r, t, asked, t->type, p->rcode == TARN_DNS_NXDOMAIN);
    return LEARNED;
}
