/* SPDX-License-Identifier: ISC */
/* Answers for clients, from what the cache has. */
#include "internal.h"

#define UDP_BYTES 1232u
#define OPTIONS_MAX 32u
#define EDE_STALE 3u
#define EDE_STALE_NO_NAME 19u
#define LOCALHOST_TTL 3600u

/* -- links --------------------------------------------------------------------------------------
 */

static struct entry *old_kind(struct tarn_recursor *r, enum cached kind, struct tarn_span name,
                              uint16_t type) {
    struct entry *e = cache_find(&r->cache, kind, name, type);
    tarn_time until = e ? tarn_time_after(e->expires, TARN_SEC(r->config.stale_seconds)) : 0;
    return e && clock_of(r) < until && e->status != BOGUS && e->status != UNCHECKED ? e : NULL;
}

static struct entry *old_enough(struct tarn_recursor *r, struct tarn_span name, uint16_t type) {
    struct entry *e = old_kind(r, CACHED_ANSWER, name, type);
    return e ? e : old_kind(r, CACHED_OLD, name, type);
}

static struct entry *stale_link(struct tarn_recursor *r, struct tarn_span name, uint16_t type) {
    struct entry *e = old_enough(r, name, type);
    if (!e)
        e = old_enough(r, name, TARN_DNS_CNAME);
    return e ? e : old_enough(r, name, 0);
}

struct entry *link_find(struct tarn_recursor *r, const struct task *t, struct tarn_span name,
                        uint16_t type, bool stale) {
    struct entry *e = known_answer(r, t, name, type);
    if (stale && (!e || e->status == BOGUS || e->status == UNCHECKED))
        e = stale_link(r, name, type);
    return e ? e : known_denial(r, t, name, type);
}

bool link_leads(struct tarn_recursor *r, const struct entry *e, uint16_t type,
                struct tarn_dns_name *target) {
    struct tarn_span one;
    struct set s;
    if (!(e->flags & ENTRY_ALIAS) || type == TARN_DNS_CNAME || type == TARN_DNS_ANY
        || !set_find(entry_data(&r->cache, e), TARN_DNS_ANSWER, TARN_DNS_CNAME, &s)
        || !record_next(&s.records, &one))
        return false;
    tarn_dns_name_copy(target, one);
    return true;
}

/* -- messages -----------------------------------------------------------------------------------
 */

struct reply {
    struct tarn_recursor *r;
    const struct waiting *w;
    struct task *t;
    struct tarn_dns_builder b;
    struct tarn_writer options;
    uint8_t option_bytes[OPTIONS_MAX];
    unsigned rcode;
    uint16_t ede, type;
    bool cd, stale, secure, found, cut_off;
    struct entry *only; /* where there is but one link: it need not be found again */
};

static void start(struct reply *p, struct tarn_bytes out, uint16_t flags) {
    const struct waiting *w = p->w;
    size_t limit = w->client.stream ? TARN_DNS_MESSAGE_MAX
                   : w->edns        ? TARN_MAX(TARN_MIN(w->udp_bytes, (uint16_t)UDP_BYTES),
                                               (uint16_t)TARN_DNS_UDP_PLAIN_MAX)
                                    : TARN_DNS_UDP_PLAIN_MAX;
    flags |= TARN_DNS_QR | TARN_DNS_RA | (w->flags & (TARN_DNS_RD | TARN_DNS_CD));
    tarn_dns_build(&p->b, tarn_bytes_first(out, limit), w->id, flags);
    if (w->name.len
        && !tarn_dns_put_question(&p->b, tarn_dns_name_span(&w->name), w->type, TARN_DNS_IN))
        p->cut_off = true;
    if (w->edns && !tarn_dns_reserve(&p->b, TARN_DNS_OPT_BYTES + OPTIONS_MAX))
        p->cut_off = true;
}

static struct tarn_span finish(struct reply *p) {
    struct tarn_dns_edns e = {.udp_bytes = UDP_BYTES, .rcode_high = (uint8_t)(p->rcode >> 4)};
    p->b.header.flags |= (uint16_t)(p->rcode & 15);
    if (p->cut_off)
        p->b.header.flags |= TARN_DNS_TC;
    if (p->w->edns) {
        struct tarn_writer o = TARN_WRITER_ARRAY(p->option_bytes);
        e.flags = p->w->dnssec ? TARN_DNS_EDNS_DO : 0;
        if (p->ede)
            tarn_dns_option_put_ede(&o, p->ede, TARN_SPAN_EMPTY);
        e.options = tarn_writer_span(&o);
        (void)(tarn_dns_reserve(&p->b, 0) && tarn_dns_put_opt(&p->b, &e, 0));
    }
    return tarn_dns_finish(&p->b);
}

struct tarn_span reply_error(const struct waiting *w, unsigned rcode, uint16_t ede,
                             struct tarn_bytes out) {
    struct reply p = {.w = w, .rcode = rcode, .ede = ede};
    start(&p, out, 0);
    return finish(&p);
}

struct tarn_span reply_localhost(const struct waiting *w, struct tarn_bytes out) {
    static const uint8_t v4[] = {127, 0, 0, 1},
                         v6[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    struct reply p = {.w = w};
    start(&p, out, 0);
    struct tarn_span a = w->type == TARN_DNS_A      ? TARN_SPAN_ARRAY(v4)
                         : w->type == TARN_DNS_AAAA ? TARN_SPAN_ARRAY(v6)
                                                    : TARN_SPAN_EMPTY;
    if (a.len
        && !tarn_dns_put_rr(&p.b, TARN_DNS_ANSWER, tarn_dns_name_span(&w->name), w->type,
                            TARN_DNS_IN, LOCALHOST_TTL, a))
        p.cut_off = true;
    return finish(&p);
}

/* -- sets ---------------------------------------------------------------------------------------
 */

static bool put_records(struct reply *p, const struct set *s, struct tarn_span owner, uint16_t type,
                        struct tarn_span records, uint32_t ttl) {
    struct tarn_span one;
    while (record_next(&records, &one))
        if (!tarn_dns_put_rr(&p->b, s->section, owner, type, TARN_DNS_IN, ttl, one))
            return false;
    return true;
}

static void put_set(struct reply *p, const struct entry *e, const struct set *s) {
    tarn_time now = clock_of(p->r);
    struct tarn_span asked = tarn_dns_name_span(&p->w->name), owner = s->owner;
    uint32_t age = (uint32_t)((now - e->fetched) / TARN_SEC(1)), left = entry_left(e, now);
    uint32_t ttl = s->ttl > age ? s->ttl - age : 0;
    struct tarn_dns_builder then = p->b;
    bool denial = s->type == TARN_DNS_NSEC || s->type == TARN_DNS_NSEC3;
    if (s->section != TARN_DNS_ANSWER && denial && !p->w->dnssec)
        return;
    /* What only came along has a time of its own. */
    bool spare = s->section == TARN_DNS_EXTRA
                 || (s->section == TARN_DNS_AUTHORITY && s->type == TARN_DNS_NS);
    ttl = TARN_MIN(TARN_MAX(ttl, p->r->config.ttl_min), spare ? p->r->config.ttl_max : left);
    if (!left)
        ttl = p->stale ? p->r->config.stale_ttl : 0;
    if (tarn_dns_name_equal(owner, asked))
        owner = asked; /* in the client's case */
    if (put_records(p, s, owner, s->type, s->records, ttl)
        && (!p->w->dnssec || put_records(p, s, owner, TARN_DNS_RRSIG, s->sigs, ttl)))
        return;
    tarn_dns_rewind(&p->b, &then);
    p->cut_off |= s->section != TARN_DNS_EXTRA;
}

/* What was learned from a delegation has no SOA, and who asks needs one (RFC 2308 section 2). */
static void put_soa(struct reply *p, struct entry *e) {
    struct tarn_span name = entry_name(&p->r->cache, e), data;
    struct tarn_dns_name copy;
    struct set s;
    tarn_dns_name_copy(&copy, name);
    p->only = NULL; /* looking for another may move it */
    for (name = tarn_dns_name_span(&copy); name.len > 1;) {
        name = tarn_dns_name_parent(name);
        struct entry *soa = cache_find(&p->r->cache, CACHED_SET, name, TARN_DNS_SOA);
        if (!soa || soa->expires <= clock_of(p->r))
            continue;
        data = entry_data(&p->r->cache, soa);
        if (set_next(&data, &s))
            put_set(p, soa, &s);
        return;
    }
}

static void put_entry(struct reply *p, struct entry *e, enum tarn_dns_section section) {
    struct tarn_span data = entry_data(&p->r->cache, e);
    bool soa = !(e->flags & ENTRY_NEGATIVE) || section != TARN_DNS_AUTHORITY || e->type == 0;
    struct set s;
    while (set_next(&data, &s)) {
        soa |= s.type == TARN_DNS_SOA;
        if (s.section == section)
            put_set(p, e, &s);
    }
    if (!soa && p->type == TARN_DNS_DS)
        put_soa(p, e);
}

/* -- the whole ----------------------------------------------------------------------------------
 */

static void judge(struct reply *p, const struct entry *e, struct tarn_span data) {
    struct set s;
    p->secure &= e->status == SECURE;
    if (e->expires <= clock_of(p->r) && p->stale)
        p->ede = e->rcode == TARN_DNS_NXDOMAIN ? EDE_STALE_NO_NAME : EDE_STALE;
    if (e->status == BOGUS && !p->cd) {
        p->rcode = TARN_DNS_SERVFAIL;
        p->ede = e->ede;
    }
    p->rcode = p->rcode ? p->rcode : e->rcode;
    /* A DNAME whose alias would be too long (RFC 6672 section 2.2). */
    if (e->flags & ENTRY_ALIAS && !set_find(data, TARN_DNS_ANSWER, TARN_DNS_CNAME, &s))
        p->rcode = TARN_DNS_YXDOMAIN, p->secure = false;
}

/* Every link of the chain, once for each section. */
static void walk(struct reply *p, enum tarn_dns_section section) {
    struct tarn_dns_name name = p->w->name, target;
    for (unsigned i = 0; i <= TARN_RECURSOR_CHAIN_MAX; i++) {
        struct entry *e = p->only;
        if (!e)
            e = link_find(p->r, p->t, tarn_dns_name_span(&name), p->type, p->stale);
        p->found = e != NULL;
        if (!e || p->cut_off)
            return;
        if (section == TARN_DNS_QUESTION)
            judge(p, e, entry_data(&p->r->cache, e));
        else
            put_entry(p, e, section);
        if (!link_leads(p->r, e, p->type, &target)) {
            p->only = i == 0 && section == TARN_DNS_QUESTION ? e : p->only;
            return;
        }
        name = target;
    }
    p->found = false; /* too long, or a loop */
}

struct tarn_span reply_build(struct tarn_recursor *r, const struct waiting *w, struct task *t,
                             uint16_t type, bool cd, bool stale, struct tarn_bytes out) {
    struct reply p = {
        .r = r, .w = w, .t = t, .type = type, .cd = cd, .stale = stale, .secure = true};
    walk(&p, TARN_DNS_QUESTION);
    bool failed = !p.found || p.rcode == TARN_DNS_SERVFAIL;
    if (failed && !stale && r->config.stale_seconds) {
        struct reply old = {
            .r = r, .w = w, .t = t, .type = type, .cd = cd, .stale = true, .secure = true};
        walk(&old, TARN_DNS_QUESTION);
        if (old.found && old.rcode != TARN_DNS_SERVFAIL) {
            p = old;
            failed = false;
            r->stats.stale++;
        }
    }
    if (failed)
        return reply_error(w, TARN_DNS_SERVFAIL, p.found ? p.ede : t ? t->ede : 0, out);
    bool wants_ad = w->dnssec || (w->flags & TARN_DNS_AD);
    start(&p, out, p.secure && wants_ad && !cd ? TARN_DNS_AD : 0);
    for (unsigned s = TARN_DNS_ANSWER; s <= TARN_DNS_EXTRA; s++)
        walk(&p, s);
    return finish(&p);
}
