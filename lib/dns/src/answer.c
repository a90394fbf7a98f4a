/* SPDX-License-Identifier: ISC */
/* From a question to the sections of its answer (RFC 1034 section 4.3.2, with what came later). */
#include "server.h"

/* Where the way down from the apex ends. */
struct found {
    dns_ref node; /* the name, or the one that is closest above it and exists */
    unsigned depth;
    bool exact, cut, dname;
};

static bool only_denies(const struct tarn_dns_zone *z, dns_ref node) {
    dns_ref ref = dns_node(z, node)->sets;
    bool any = false;
    for (; ref; ref = dns_set(z, ref)->next, any = true)
        if (dns_set(z, ref)->type != TARN_DNS_NSEC3 && dns_set(z, ref)->type != TARN_DNS_RRSIG)
            return false;
    return any && dns_node(z, node)->children == 0;
}

static struct found descend(const struct tarn_dns_zone *z, const struct dns_path *p) {
    struct found f = {.node = z->apex};
    for (;;) {
        uint8_t flags = dns_node(z, f.node)->flags;
        f.cut = flags & DNS_CUT;
        f.exact = f.depth == p->count;
        f.dname = !f.exact && (flags & DNS_DNAME);
        if (f.cut || f.exact || f.dname)
            break;
        dns_ref child = dns_zone_child(z, f.node, dns_path_label(p, f.depth + 1));
        if (!child)
            break;
        f.node = child;
        f.depth++;
    }
    /* RFC 5155 section 7.2.8: owners of NSEC3 are names for nobody else. */
    if (f.exact && f.depth == 1 && z->nsec3.count && only_denies(z, f.node))
        f = (struct found){.node = z->apex};
    return f;
}

static uint16_t answer_count(const struct dns_query *q) {
    return TARN_AT(q->b.header.counts, TARN_DNS_ANSWER);
}

/* -- putting ------------------------------------------------------------------------------------
 */

/* The RRSIGs of a node that cover a type. */
static bool put_signatures(struct dns_query *q, enum tarn_dns_section section,
                           struct tarn_span owner, dns_ref node, const struct dns_set *s,
                           uint32_t ttl) {
    uint16_t type = s->type;
    if (q->zone->signing) {
        /* What is below a cut, and the cut itself, is not this zone's to sign. */
        bool cut = dns_node(q->zone, node)->flags & DNS_CUT;
        struct tarn_dns_rrset set = {owner, dns_set_data(s), type, q->zone->klass};
        return section == TARN_DNS_EXTRA || (cut && type != TARN_DNS_DS)
               || dns_compact_sign(q, section, &set, s->ttl, ttl);
    }
    dns_ref ref = dns_zone_find_set(q->zone, node, TARN_DNS_RRSIG);
    struct tarn_span data = ref ? dns_set_data(dns_set(q->zone, ref)) : TARN_SPAN_EMPTY, one;
    while (dns_set_next(&data, &one)) {
        struct tarn_span start = one;
        uint16_t covered;
        if (tarn_span_u16be(&start, &covered) && covered == type
            && !tarn_dns_put_rr(&q->b, section, owner, TARN_DNS_RRSIG, q->zone->klass, ttl, one))
            return false;
    }
    return true;
}

static bool put_records(struct dns_query *q, enum tarn_dns_section section, struct tarn_span owner,
                        const struct dns_set *s, uint32_t ttl) {
    struct tarn_span data = dns_set_data(s), one;
    while (dns_set_next(&data, &one))
        if (!tarn_dns_put_rr(&q->b, section, owner, s->type, q->zone->klass, ttl, one))
            return false;
    return true;
}

bool dns_put_set(struct dns_query *q, enum tarn_dns_section section, struct tarn_span owner,
                 dns_ref node, dns_ref ref, uint32_t ttl) {
    const struct dns_set *s = dns_set(q->zone, ref);
    size_t len = q->b.w.len;
    uint16_t names = q->b.name_count;
    struct tarn_dns_header header = q->b.header;
    if (put_records(q, section, owner, s, ttl)
        && (!dns_wants_dnssec(q) || s->type == TARN_DNS_RRSIG
            || put_signatures(q, section, owner, node, s, ttl)))
        return true;
    q->b.w.len = len;
    q->b.name_count = names;
    q->b.header = header;
    return false;
}

static void put_needed(struct dns_query *q, enum tarn_dns_section section, struct tarn_span owner,
                       dns_ref node, dns_ref set) {
    if (!q->truncated && !dns_put_set(q, section, owner, node, set, dns_set(q->zone, set)->ttl))
        q->truncated = true;
}

/* RFC 2308 section 3, RFC 9077: how long an answer that there is nothing may be kept. */
static uint32_t negative_ttl(const struct tarn_dns_zone *z, dns_ref soa) {
    const struct dns_set *s = dns_set(z, soa);
    struct tarn_span minimum = tarn_span_after(dns_set_data(s), s->data_len - 4);
    uint32_t least;
    return tarn_span_u32be(&minimum, &least) ? TARN_MIN(s->ttl, least) : s->ttl;
}

static void put_soa(struct dns_query *q) {
    dns_ref ref = dns_zone_find_set(q->zone, q->zone->apex, TARN_DNS_SOA);
    if (!q->truncated
        && !dns_put_set(q, TARN_DNS_AUTHORITY, tarn_dns_name_span(&q->zone->origin), q->zone->apex,
                        ref, negative_ttl(q->zone, ref)))
        q->truncated = true;
}

/* -- additional data ----------------------------------------------------------------------------
 */

/* The addresses of a host, as far as they fit. False: they do not. */
static bool put_addresses(struct dns_query *q, struct tarn_span host) {
    static const uint16_t types[] = {TARN_DNS_A, TARN_DNS_AAAA};
    dns_ref node = dns_zone_find(q->zone, host);
    bool all = true;
    for (size_t i = 0; node && i < TARN_COUNT_OF(types); i++) {
        dns_ref set = dns_zone_find_set(q->zone, node, TARN_AT(types, i));
        if (set)
            all &= dns_put_set(q, TARN_DNS_EXTRA, host, node, set, dns_set(q->zone, set)->ttl);
    }
    return all;
}

/* The host that a record names, for whom the address is asked next. */
static bool host_of(uint16_t type, struct tarn_span rdata, struct tarn_span *host) {
    size_t skip = type == TARN_DNS_NS    ? 0
                  : type == TARN_DNS_MX  ? 2
                  : type == TARN_DNS_SRV ? 6
                                         : 999;
    return tarn_span_skip(&rdata, skip) && tarn_dns_name_take(&rdata, host);
}

static void put_hosts(struct dns_query *q, dns_ref ref) {
    const struct dns_set *s = dns_set(q->zone, ref);
    struct tarn_span data = dns_set_data(s), one, host;
    while (dns_set_next(&data, &one) && host_of(s->type, one, &host))
        if (tarn_dns_name_within(host, tarn_dns_name_span(&q->zone->origin)))
            put_addresses(q, host);
}

/* -- outcomes -----------------------------------------------------------------------------------
 */

/* RFC 9471: glue that is below the cut must be there, as the child cannot be reached without. */
static void put_glue(struct dns_query *q, dns_ref ns, struct tarn_span cut) {
    struct tarn_span origin = tarn_dns_name_span(&q->zone->origin);
    for (int below = 1; below >= 0; below--) {
        struct tarn_span data = dns_set_data(dns_set(q->zone, ns)), host;
        bool fits = true;
        while (dns_set_next(&data, &host)) {
            if (!tarn_dns_name_within(host, origin)
                || tarn_dns_name_within(host, cut) != (below == 1))
                continue;
            fits &= put_addresses(q, host);
        }
        if (below && !fits)
            q->truncated = true;
    }
}

static void refer(struct dns_query *q, const struct dns_path *p, const struct found *f) {
    dns_ref ns = dns_zone_find_set(q->zone, f->node, TARN_DNS_NS);
    dns_ref ds = dns_zone_find_set(q->zone, f->node, TARN_DNS_DS);
    struct tarn_span cut = dns_path_name(p, f->depth);
    q->like = f->node;
    if (answer_count(q) == 0)
        q->b.header.flags &= (uint16_t)~TARN_DNS_AA;
    /* What the NS are not signed for here is no signature of theirs: put_set finds none. */
    put_needed(q, TARN_DNS_AUTHORITY, cut, f->node, ns);
    if (dns_wants_dnssec(q)) {
        if (ds)
            put_needed(q, TARN_DNS_AUTHORITY, cut, f->node, ds);
        else
            dns_deny_type(q, cut, f->node);
    }
    q->glue = ns;
    q->glue_depth = p->count - f->depth;
}

static void no_data(struct dns_query *q, struct tarn_span name, dns_ref node) {
    q->soa = true;
    if (dns_wants_dnssec(q))
        dns_deny_type(q, name, node);
}

static void no_name(struct dns_query *q, const struct dns_path *p, const struct found *f) {
    q->like = q->zone->apex;
    q->rcode = TARN_DNS_NXDOMAIN;
    q->soa = true;
    if (dns_wants_dnssec(q))
        dns_deny_name(q, p, f->node, f->depth);
}

/* RFC 8482 section 4.1: one of the sets. */
static dns_ref any_set(const struct tarn_dns_zone *z, dns_ref node) {
    dns_ref ref = dns_node(z, node)->sets;
    while (ref && dns_set(z, ref)->type == TARN_DNS_RRSIG && dns_set(z, ref)->next)
        ref = dns_set(z, ref)->next;
    return ref;
}

static void put_compact(struct dns_query *q, enum tarn_dns_section section) {
    struct tarn_dns_builder before = q->b;
    dns_ref soa = dns_zone_find_set(q->zone, q->zone->apex, TARN_DNS_SOA);
    if (!q->truncated && !dns_compact_put(q, section, negative_ttl(q->zone, soa))) {
        tarn_dns_rewind(&q->b, &before);
        q->truncated = true;
    }
}

/* What a zone that is signed as it is served has without storing it. */
static bool from_signing(struct dns_query *q, dns_ref node, struct tarn_span owner) {
    struct tarn_dns_builder before = q->b;
    dns_ref ref = any_set(q->zone, node);
    if (q->question.type == TARN_DNS_NSEC) {
        q->denied = owner;
        q->denied_node = node;
        put_compact(q, TARN_DNS_ANSWER);
        q->denied = TARN_SPAN_EMPTY;
    } else if (ref && !q->truncated
               && !put_signatures(q, TARN_DNS_ANSWER, owner, node, dns_set(q->zone, ref),
                                  dns_set(q->zone, ref)->ttl)) {
        tarn_dns_rewind(&q->b, &before); /* one set's are enough (RFC 8482 section 4.1) */
        q->truncated = true;
    }
    return q->question.type == TARN_DNS_NSEC || ref;
}

/* Answers from a node that has the name, or is its wildcard. True: a CNAME leads on to *next. */
static bool from_node(struct dns_query *q, dns_ref node, struct tarn_span owner, bool *nothing,
                      struct tarn_dns_name *next) {
    uint16_t type = q->question.type;
    dns_ref set =
        type == TARN_DNS_ANY ? any_set(q->zone, node) : dns_zone_find_set(q->zone, node, type);
    dns_ref cname = set ? 0 : dns_zone_find_set(q->zone, node, TARN_DNS_CNAME);
    q->like = node;
    *nothing = !set && !cname;
    if (q->zone->signing && (type == TARN_DNS_NSEC || type == TARN_DNS_RRSIG)) {
        *nothing = !from_signing(q, node, owner);
        return false;
    }
    if (set) {
        put_needed(q, TARN_DNS_ANSWER, owner, node, set);
        q->hosts = set;
        return false;
    }
    if (!cname)
        return false;
    put_needed(q, TARN_DNS_ANSWER, owner, node, cname);
    tarn_dns_name_copy(next, tarn_span_after(dns_set_data(dns_set(q->zone, cname)), 2));
    return true;
}

/* RFC 6672 section 3: the DNAME, and the CNAME that it makes for who asks. */
static bool from_dname(struct dns_query *q, const struct dns_path *p, const struct found *f,
                       struct tarn_dns_name *next) {
    dns_ref set = dns_zone_find_set(q->zone, f->node, TARN_DNS_DNAME);
    const struct dns_set *s = dns_set(q->zone, set);
    struct tarn_span owner = dns_path_name(p, f->depth);
    q->like = f->node;
    put_needed(q, TARN_DNS_ANSWER, owner, f->node, set);
    if (!tarn_dns_name_replace(p->name, owner, tarn_span_after(dns_set_data(s), 2), next)) {
        q->rcode = TARN_DNS_YXDOMAIN;
        return false;
    }
    if (!q->truncated
        && !tarn_dns_put_rr(&q->b, TARN_DNS_ANSWER, p->name, TARN_DNS_CNAME, q->zone->klass, s->ttl,
                            tarn_dns_name_span(next)))
        q->truncated = true;
    return q->question.type != TARN_DNS_CNAME;
}

/* One name of the chain. True: it goes on at *next. */
static bool step(struct dns_query *q, struct tarn_span name, struct tarn_dns_name *next) {
    const struct tarn_dns_zone *z = q->zone;
    struct dns_path p;
    bool more, nothing;
    if (!dns_path_init(&p, name, tarn_dns_name_span(&z->origin)))
        return false; /* the chain leaves the zone: who asks goes on elsewhere */
    struct found f = descend(z, &p);
    if (f.dname)
        return from_dname(q, &p, &f, next);
    if (f.cut && !(f.exact && q->question.type == TARN_DNS_DS)) {
        refer(q, &p, &f);
        return false;
    }
    if (f.exact) {
        more = from_node(q, f.node, name, &nothing, next);
        if (nothing)
            no_data(q, name, f.node);
        return more;
    }
    dns_ref wild =
        dns_node(z, f.node)->flags & DNS_WILD ? dns_zone_child(z, f.node, TARN_SPAN_LIT("*")) : 0;
    if (!wild) {
        no_name(q, &p, &f);
        return false;
    }
    more = from_node(q, wild, name, &nothing, next);
    q->soa |= nothing;
    if (dns_wants_dnssec(q))
        dns_deny_closer(q, &p, f.depth, nothing ? wild : 0);
    return more;
}

static void put_proofs(struct dns_query *q) {
    if (q->denied.len)
        put_compact(q, TARN_DNS_AUTHORITY);
    for (uint32_t i = 0; i < q->proof_count; i++) {
        struct tarn_dns_name owner;
        dns_ref node = TARN_AT(q->proofs, i);
        dns_ref set = dns_zone_find_set(q->zone, node, TARN_DNS_NSEC);
        if (!set || q->zone->nsec3.count)
            set = dns_zone_find_set(q->zone, node, TARN_DNS_NSEC3);
        dns_zone_name(q->zone, node, &owner);
        if (set)
            put_needed(q, TARN_DNS_AUTHORITY, tarn_dns_name_span(&owner), node, set);
    }
}

void dns_answer(struct dns_query *q) {
    struct tarn_dns_name names[2] = {q->question.name};
    struct tarn_span name = tarn_dns_name_span(&q->question.name);
    unsigned turn = 0;
    q->b.header.flags |= TARN_DNS_AA;
    for (unsigned i = 0; i < TARN_DNS_CHAIN_MAX && !q->truncated; i++) {
        struct tarn_dns_name *next = &TARN_AT(names, turn ^= 1);
        if (!step(q, name, next))
            break;
        name = tarn_dns_name_span(next);
    }
    /* What belongs into the later sections was only noted while there could be more answers. */
    if (q->soa)
        put_soa(q);
    put_proofs(q);
    while (q->glue_depth--)
        name = tarn_dns_name_parent(name);
    if (q->glue && !q->truncated)
        put_glue(q, q->glue, name);
    if (q->hosts && !q->truncated)
        put_hosts(q, q->hosts);
}
