/* SPDX-License-Identifier: ISC */
/* Which zone's servers are asked about a name, and where those are. */
#include "internal.h"

#define GLUELESS UINT8_MAX

const struct tarn_recursor_zone *zone_configured(const struct tarn_recursor *r,
                                                 struct tarn_span name) {
    for (unsigned i = 0; i < r->config.zone_count; i++) {
        const struct tarn_recursor_zone *z = &TARN_AT_N(r->config.zones, r->config.zone_count, i);
        if (tarn_dns_name_equal(z->name, name))
            return z;
    }
    return NULL;
}

static void set_zone(struct task *t, struct tarn_span zone, bool forward) {
    struct fetch *f = &t->fetch;
    tarn_dns_name_copy(&f->zone, zone);
    f->forward = forward;
    f->candidate_count = f->target = f->waited = 0;
    f->labels = (uint8_t)tarn_dns_name_labels(zone);
}

void zone_find(struct tarn_recursor *r, struct task *t, struct tarn_span name, bool above) {
    for (struct tarn_span n = above ? tarn_dns_name_parent(name) : name;;
         n = tarn_dns_name_parent(n)) {
        const struct tarn_recursor_zone *z = zone_configured(r, n);
        if (z && !(z->first && t->fetch.no_forward)) {
            set_zone(t, n, z->forward);
            return;
        }
        struct entry *cut = cache_find(&r->cache, CACHED_CUT, n, 0);
        if ((cut && is_fresh(r, t, cut)) || n.len <= 1) {
            set_zone(t, n, false);
            return;
        }
    }
}

bool cut_next(struct tarn_span *data, struct tarn_span *name, struct tarn_span *addrs) {
    uint8_t count;
    return tarn_dns_name_take(data, name) && tarn_span_u8(data, &count)
           && tarn_span_take(data, (size_t)count * 16, addrs);
}

static bool may_ask(const struct tarn_recursor *r, const struct tarn_ip_addr *a) {
    bool v4 = tarn_ip_addr_is_v4(a);
    return !(v4 ? r->config.no_ipv4 : r->config.no_ipv6)
           && (r->config.any_address
               || !(tarn_ip_addr_is_any(a) || tarn_ip_addr_is_loopback(a)
                    || tarn_ip_addr_is_multicast(a)));
}

void candidates_add(struct tarn_recursor *r, struct task *t, const struct tarn_endpoint *e) {
    struct fetch *f = &t->fetch;
    (void)r;
    if (f->candidate_count == CANDIDATES_MAX)
        return;
    for (unsigned i = 0; i < f->candidate_count; i++) {
        const struct tarn_endpoint *o = &TARN_AT(f->candidates, i).endpoint;
        if (tarn_ip_addr_equal(&o->addr, &e->addr) && o->port == e->port)
            return;
    }
    TARN_AT(f->candidates, f->candidate_count++) = (struct candidate){.endpoint = *e};
}

static void add_learned(struct tarn_recursor *r, struct task *t, const struct tarn_ip_addr *a) {
    struct tarn_endpoint e = {*a, TARN_DNS_PORT};
    if (may_ask(r, a))
        candidates_add(r, t, &e);
}

void candidates_fill(struct tarn_recursor *r, struct task *t) {
    struct tarn_span zone = tarn_dns_name_span(&t->fetch.zone), name, addrs, data;
    const struct tarn_recursor_zone *z = zone_configured(r, zone);
    struct tarn_ip_addr a;
    if (z && !(z->first && t->fetch.no_forward)) {
        for (unsigned i = 0; i < z->server_count; i++)
            candidates_add(r, t, &TARN_AT(z->servers, i));
        return;
    }
    struct entry *cut = cache_find(&r->cache, CACHED_CUT, zone, 0);
    data = cut ? entry_data(&r->cache, cut) : TARN_SPAN_EMPTY;
    while (cut_next(&data, &name, &addrs))
        while (addrs.len && tarn_span_ipv6(&addrs, &a))
            add_learned(r, t, &a);
    /* Of the root, the hints always do where nothing better is known. */
    if (t->fetch.candidate_count || zone.len > 1)
        return;
    for (unsigned i = 0; i < r->config.hint_count; i++) {
        const struct tarn_endpoint *h = &TARN_AT_N(r->config.hints, r->config.hint_count, i);
        if (may_ask(r, &h->addr) || r->config.any_address)
            candidates_add(r, t, h);
    }
}

/* Addresses of a server's name that came with the delegation of its own zone. */
static bool add_glue(struct tarn_recursor *r, struct task *t, struct tarn_span name,
                     uint16_t type) {
    struct tarn_span zone = name, data, server, addrs;
    struct entry *cut = NULL;
    struct tarn_ip_addr a;
    bool found = false;
    while (!cut && zone.len > 1) {
        cut = cache_find(&r->cache, CACHED_CUT, zone, 0);
        zone = tarn_dns_name_parent(zone);
    }
    data = cut && is_fresh(r, t, cut) ? entry_data(&r->cache, cut) : TARN_SPAN_EMPTY;
    while (cut_next(&data, &server, &addrs))
        while (tarn_dns_name_equal(server, name) && tarn_span_ipv6(&addrs, &a))
            if (tarn_ip_addr_is_v4(&a) == (type == TARN_DNS_A)) {
                add_learned(r, t, &a);
                found = true;
            }
    return found;
}

/* Adds what is known of a server's name. False: nothing is. */
static bool add_known(struct tarn_recursor *r, struct task *t, struct tarn_span name,
                      uint16_t type) {
    struct entry *e = known_answer(r, t, name, type);
    struct tarn_span data, one;
    struct tarn_ip_addr a;
    struct set s;
    if (!e)
        return add_glue(r, t, name, type);
    data = entry_data(&r->cache, e);
    if (e->status == BOGUS || !set_find(data, TARN_DNS_ANSWER, type, &s))
        return true;
    while (record_next(&s.records, &one))
        if (type == TARN_DNS_A ? tarn_span_ipv4(&one, &a) : tarn_span_ipv6(&one, &a))
            add_learned(r, t, &a);
    return true;
}

static bool any_usable(const struct tarn_recursor *r, struct tarn_span addrs) {
    struct tarn_ip_addr a;
    while (tarn_span_ipv6(&addrs, &a))
        if (may_ask(r, &a))
            return true;
    return false;
}

/* The name of the i-th server of the zone that came without an address. */
static bool glueless(struct tarn_recursor *r, struct task *t, unsigned i,
                     struct tarn_dns_name *out) {
    struct entry *cut = cache_find(&r->cache, CACHED_CUT, tarn_dns_name_span(&t->fetch.zone), 0);
    struct tarn_span data = cut ? entry_data(&r->cache, cut) : TARN_SPAN_EMPTY, name, addrs;
    while (cut_next(&data, &name, &addrs))
        if (!any_usable(r, addrs) && i-- == 0) {
            tarn_dns_name_copy(out, name);
            return true;
        }
    return false;
}

/* Names of servers are looked for one by one, and only as many as a question may (NXNSAttack). */
enum outcome candidates_more(struct tarn_recursor *r, struct task *t) {
    struct fetch *f = &t->fetch;
    struct tarn_dns_name name;
    uint16_t ede;
    while (f->target != GLUELESS && glueless(r, t, f->target / 2, &name)) {
        uint16_t type = f->target & 1 ? TARN_DNS_AAAA : TARN_DNS_A;
        struct tarn_span n = tarn_dns_name_span(&name);
        unsigned had = f->candidate_count;
        bool skip = type == TARN_DNS_A ? r->config.no_ipv4 : r->config.no_ipv6;
        if (skip || add_known(r, t, n, type) || known_failure(r, t, n, type, &ede)
            || f->waited == f->target + 1) {
            f->target++;
            if (f->candidate_count > had)
                return DONE;
            continue;
        }
        if (!spend(r, &t->budget->targets, 1))
            return FAILED;
        f->waited = (uint8_t)(f->target + 1);
        if (task_wait(r, t, TASK_FETCH, n, type) == WAIT)
            return WAIT;
    }
    return FAILED;
}
