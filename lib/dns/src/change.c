/* SPDX-License-Identifier: ISC */
/* Changes as one. While one is under way, sets that it replaces stay in the heap, so that going
 * back needs no memory; and the names of sets that changed stay in the tree. What changed is then
 * read off the sets before and after: a set keeps the order of its records, and new ones come last,
 * so one walk along both tells. */
#include "zone.h"

#define NOTED_FIRST 16u

static struct dns_noted *noted(const struct dns_change *c, uint32_t i) {
    return &TARN_AT_N(c->noted, c->room, i);
}

static bool grow(struct tarn_dns_zone *z) {
    struct dns_change *c = &z->change;
    uint32_t room = c->room ? c->room * 2 : NOTED_FIRST;
    struct dns_noted *now = TARN_NEW_ARRAY(z->alloc, room, struct dns_noted);
    if (!now)
        return false;
    for (uint32_t i = 0; i < c->count; i++)
        TARN_AT_N(now, room, i) = *noted(c, i);
    if (c->noted)
        tarn_alloc_put(z->alloc, c->noted, c->room * sizeof *c->noted);
    c->noted = now;
    c->room = room;
    return true;
}

bool dns_change_note(struct tarn_dns_zone *z, dns_ref node, uint16_t type) {
    struct dns_change *c = &z->change;
    dns_ref was = dns_zone_find_set(z, node, type);
    struct dns_node *n = dns_node(z, node);
    if (!c->open || (was && dns_set(z, was)->fresh))
        return true;
    for (uint32_t i = 0; n->flags & DNS_NOTED && i < c->count; i++)
        if (noted(c, i)->node == node && noted(c, i)->type == type)
            return true;
    if (c->count == c->room && !grow(z))
        return false;
    *noted(c, c->count++) = (struct dns_noted){node, was, type, n->flags & DNS_NOTED};
    n->flags |= DNS_NOTED;
    return true;
}

void tarn_dns_zone_begin(struct tarn_dns_zone *z) {
    TARN_ASSERT(z->sealed && !z->change.open);
    z->change.open = true;
    z->change.count = 0;
}

/* Names without a set go, each once. */
static void end(struct tarn_dns_zone *z) {
    struct dns_change *c = &z->change;
    c->open = false;
    for (uint32_t i = 0; i < c->count; i++) {
        struct dns_noted *n = noted(c, i);
        if (n->again)
            continue;
        dns_node(z, n->node)->flags &= (uint8_t)~DNS_NOTED;
        dns_node_prune(z, n->node);
    }
    if (c->noted)
        tarn_alloc_put(z->alloc, c->noted, c->room * sizeof *c->noted);
    *c = (struct dns_change){0};
    z->version++;
    z->sealed = true;
}

void tarn_dns_zone_rollback(struct tarn_dns_zone *z) {
    struct dns_change *c = &z->change;
    TARN_ASSERT(c->open);
    for (uint32_t i = 0; i < c->count; i++) {
        const struct dns_noted *n = noted(c, i);
        dns_ref now = dns_zone_find_set(z, n->node, n->type);
        if (now == n->was)
            continue;
        if (now)
            dns_set_unlink(z, n->node, now);
        if (n->was)
            dns_set_link(z, n->node, n->was);
    }
    end(z);
}

/* -- what changed -------------------------------------------------------------------------------
 */

static void put(struct tarn_writer *w, const struct tarn_dns_record *r) {
    tarn_writer_span_put(w, r->owner);
    tarn_writer_u16be(w, r->type);
    tarn_writer_u16be(w, r->klass);
    tarn_writer_u32be(w, r->ttl);
    tarn_writer_u16be(w, (uint16_t)r->rdata.len);
    tarn_writer_span_put(w, r->rdata);
}

bool dns_delta_next(struct tarn_span *delta, struct tarn_dns_record *out) {
    uint16_t len;
    return tarn_dns_name_take(delta, &out->owner) && tarn_span_u16be(delta, &out->type)
           && tarn_span_u16be(delta, &out->klass) && tarn_span_u32be(delta, &out->ttl)
           && tarn_span_u16be(delta, &len) && tarn_span_take(delta, len, &out->rdata);
}

static struct tarn_span data_of(const struct tarn_dns_zone *z, dns_ref set) {
    return set ? dns_set_data(dns_set(z, set)) : TARN_SPAN_EMPTY;
}

/* The records of one set that are gone (`gone`), or that are new. */
static void put_difference(struct tarn_dns_zone *z, const struct dns_noted *n, bool gone,
                           struct tarn_writer *w) {
    dns_ref now_ref = dns_zone_find_set(z, n->node, n->type);
    struct tarn_span was = data_of(z, n->was), now = data_of(z, now_ref), one, other, rest;
    struct tarn_dns_name owner;
    bool other_ttl = n->was && now_ref && dns_set(z, n->was)->ttl != dns_set(z, now_ref)->ttl;
    struct tarn_dns_record r = {.type = n->type, .klass = z->klass};
    if (n->was == now_ref)
        return;
    dns_zone_name(z, n->node, &owner);
    r.owner = tarn_dns_name_span(&owner);
    while (dns_set_next(&was, &one)) {
        rest = now;
        bool kept = !other_ttl && dns_set_next(&rest, &other) && tarn_span_equal(one, other);
        if (kept) {
            now = rest;
        } else if (gone) {
            r.ttl = dns_set(z, n->was)->ttl;
            r.rdata = one;
            put(w, &r);
        }
    }
    while (!gone && dns_set_next(&now, &one)) {
        r.ttl = dns_set(z, now_ref)->ttl;
        r.rdata = one;
        put(w, &r);
    }
}

/* Twice: the second time there is room, and it is written. */
static void put_delta(struct tarn_dns_zone *z, struct tarn_writer *w) {
    const struct dns_change *c = &z->change;
    for (int gone = 1; gone >= 0; gone--)
        for (int soa = 1; soa >= 0; soa--)
            for (uint32_t i = 0; i < c->count; i++)
                if ((noted(c, i)->type == TARN_DNS_SOA) == (soa == 1))
                    put_difference(z, noted(c, i), gone, w);
}

static struct dns_delta *delta_new(struct tarn_dns_zone *z) {
    struct tarn_writer none = (struct tarn_writer){0};
    put_delta(z, &none);
    size_t len = none.len;
    struct dns_delta *d = tarn_alloc_get(z->alloc, sizeof *d + len, _Alignof(struct dns_delta));
    if (!d)
        return NULL;
    *d = (struct dns_delta){.len = len};
    struct tarn_writer w = tarn_writer_over(tarn_bytes_of(d->bytes, len));
    put_delta(z, &w);
    TARN_ASSERT(tarn_writer_ok(&w) && w.len == len);
    return d;
}

/* -- the journal --------------------------------------------------------------------------------
 */

static size_t delta_bytes(const struct dns_delta *d) {
    return sizeof *d + d->len;
}

static void drop_oldest(struct tarn_dns_zone *z) {
    struct dns_journal *j = &z->journal;
    struct dns_delta *d = j->oldest;
    j->oldest = d->next;
    if (!j->oldest)
        j->newest = NULL;
    j->bytes -= delta_bytes(d);
    tarn_alloc_put(z->alloc, d, delta_bytes(d));
}

/* The newest stays until the next, even where it is too long for others to be told. */
static void keep(struct tarn_dns_zone *z, struct dns_delta *d) {
    struct dns_journal *j = &z->journal;
    if (j->newest)
        j->newest->next = d;
    else
        j->oldest = d;
    j->newest = d;
    j->bytes += delta_bytes(d);
    while (j->oldest != d && j->bytes > j->bytes_max)
        drop_oldest(z);
}

void dns_journal_fini(struct tarn_dns_zone *z) {
    while (z->journal.oldest)
        drop_oldest(z);
}

const struct dns_delta *dns_journal_from(const struct tarn_dns_zone *z, uint32_t serial) {
    const struct dns_delta *d = z->journal.bytes <= z->journal.bytes_max ? z->journal.oldest : NULL;
    while (d && d->from != serial)
        d = d->next;
    return d;
}

/* -- the end of a change ------------------------------------------------------------------------
 */

static enum tarn_err check(struct tarn_dns_zone *z, struct dns_delta *d, const char **why) {
    struct tarn_span s = tarn_span_of(d->bytes, d->len);
    struct tarn_dns_record was;
    if (!dns_zone_find_set(z, z->apex, TARN_DNS_NS))
        return dns_refuse(why, "the apex has no NS", TARN_INVALID);
    if (!dns_delta_next(&s, &was) || was.type != TARN_DNS_SOA
        || !dns_soa_serial(was.rdata, &d->from) || !tarn_dns_zone_serial(z, &d->to)
        || !tarn_dns_serial_newer(d->to, d->from))
        return dns_refuse(why, "the SOA is not newer", TARN_INVALID);
    return TARN_OK;
}

enum tarn_err tarn_dns_zone_commit(struct tarn_dns_zone *z, struct tarn_span *delta,
                                   const char **why) {
    struct dns_change *c = &z->change;
    TARN_ASSERT(c->open);
    struct dns_delta *d = delta_new(z);
    enum tarn_err err = d ? check(z, d, why) : dns_refuse(why, "no memory", TARN_LIMIT);
    bool in_order = z->nsec.count || z->nsec3.count;
    z->sealed = false;
    if (!err && in_order)
        err = tarn_dns_zone_seal(z, why);
    if (err) {
        if (d)
            tarn_alloc_put(z->alloc, d, delta_bytes(d));
        tarn_dns_zone_rollback(z);
        if (in_order) {
            const char *ignored;
            z->sealed = false; /* the order is that of the change, or none */
            if (tarn_dns_zone_seal(z, &ignored))
                z->sealed = true; /* without memory it is served without denials */
        }
        return err;
    }
    for (uint32_t i = 0; i < c->count; i++) {
        const struct dns_noted *n = noted(c, i);
        dns_ref now = dns_zone_find_set(z, n->node, n->type);
        if (now)
            dns_set(z, now)->fresh = false;
        if (n->was && n->was != now)
            dns_set_free(z, n->was);
    }
    end(z);
    keep(z, d);
    *delta = tarn_span_of(d->bytes, d->len);
    return TARN_OK;
}

static enum tarn_err apply(struct tarn_dns_zone *z, struct tarn_span delta, const char **why) {
    struct tarn_dns_record r;
    bool adding = false, any = false;
    while (delta.len) {
        if (!dns_delta_next(&delta, &r) || !tarn_dns_rdata_valid(r.rdata, r.type))
            return dns_refuse(why, "malformed", TARN_INVALID);
        bool soa = r.type == TARN_DNS_SOA;
        adding |= soa && any;
        any = true;
        enum tarn_err err = adding ? tarn_dns_zone_add(z, &r, why)
                            : tarn_dns_zone_remove(z, &r)
                                ? dns_refuse(why, "it removes what is not there", TARN_INVALID)
                                : TARN_OK;
        if (err)
            return err;
    }
    return TARN_OK;
}

enum tarn_err tarn_dns_zone_apply(struct tarn_dns_zone *z, struct tarn_span delta,
                                  const char **why) {
    struct tarn_span s = delta;
    struct tarn_dns_record r;
    uint32_t has, from, to;
    if (!tarn_dns_zone_serial(z, &has) || !dns_delta_next(&s, &r) || r.type != TARN_DNS_SOA
        || !dns_soa_serial(r.rdata, &from))
        return dns_refuse(why, "it does not start with an SOA", TARN_INVALID);
    while (dns_delta_next(&s, &r) && r.type != TARN_DNS_SOA)
        ;
    if (has != from && r.type == TARN_DNS_SOA && dns_soa_serial(r.rdata, &to)
        && !tarn_dns_serial_newer(to, has))
        return TARN_EOF;
    tarn_dns_zone_begin(z);
    enum tarn_err err = apply(z, delta, why);
    if (err)
        tarn_dns_zone_rollback(z);
    return err ? err : tarn_dns_zone_commit(z, &delta, why);
}
