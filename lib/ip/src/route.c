/* SPDX-License-Identifier: ISC */
/* The routing table: one hash table of prefixes, searched by halves over their lengths, as
 * Waldvogel, Varghese, Turner and Plattner do (SIGCOMM 1997). A prefix leaves a marker at each
 * shorter length at which the search has to go on to find it, so that a lookup asks at most six
 * times for IPv4 and eight for IPv6, and adding or removing a route touches as many entries.
 *
 * Where the search ends at a marker, the answer is the longest prefix around it. The marker keeps
 * that one until the table changes; then whoever comes there next looks for it anew, at one length
 * after the other, so that no change has to tell all the markers under it. */
#include "internal.h"

/* Markers of a prefix: the steps on the way to a length of 31, or of 127, whose bits are all ones.
 */
#define ENTRIES_A_ROUTE_MAX 7u
#define V4_BITS 96u

struct key key_of(const struct tarn_ip_addr *addr) {
    struct tarn_span s = TARN_SPAN_ARRAY(addr->bytes);
    struct key k = {0, 0};
    TARN_ASSERT(tarn_span_u64be(&s, &k.hi) && tarn_span_u64be(&s, &k.lo));
    return k;
}

unsigned key_common(const struct key *a, const struct key *b) {
    uint64_t hi = a->hi ^ b->hi, lo = a->lo ^ b->lo;
    if (hi)
        return (unsigned)__builtin_clzll(hi);
    return lo ? 64u + (unsigned)__builtin_clzll(lo) : 128u;
}

static inline struct key prefix_of(struct key k, unsigned bits) {
    if (bits <= 64)
        return (struct key){bits == 64 ? k.hi : k.hi & ~(UINT64_MAX >> bits), 0};
    return (struct key){k.hi, k.lo & ~(UINT64_MAX >> 1 >> (bits - 65))};
}

enum tarn_err routes_init(struct routes *t, struct tarn_alloc *alloc, struct tarn_random *random,
                          uint32_t max) {
    tarn_hash_key_init(&t->key, random);
    enum tarn_err err =
        tarn_pool_init(&t->pool, alloc, sizeof(struct route), _Alignof(struct route), max);
    if (!err)
        err = tarn_pool_init(&t->entries, alloc, sizeof(struct prefix), _Alignof(struct prefix),
                             ENTRIES_A_ROUTE_MAX * max);
    return err ? err : tarn_map_init(&t->by_prefix, alloc, 2 * max);
}

/* -- prefixes and markers -- */

/* Two multiplications do: whoever asks for an address cannot choose what is in the table. */
static uint64_t hash_of(const struct routes *t, struct key prefix, unsigned bits) {
    uint64_t h = (prefix.hi ^ t->key.k0) * 0x9e3779b97f4a7c15u;
    h = (h ^ h >> 32 ^ prefix.lo ^ t->key.k1 ^ (uint64_t)bits << 56) * 0xd6e8feb86659fd93u;
    return h ^ h >> 32;
}

static struct prefix *lookup(const struct routes *t, struct key k, unsigned bits) {
    struct key key = prefix_of(k, bits);
    struct tarn_map_link *l = tarn_map_first(&t->by_prefix, hash_of(t, key, bits));
    for (; l; l = tarn_map_following(l)) {
        struct prefix *p = TARN_CONTAINER_OF(l, struct prefix, link);
        if (p->bits == bits && p->key.hi == key.hi && p->key.lo == key.lo)
            return p;
    }
    return NULL;
}

static struct prefix *lookup_or_add(struct routes *t, struct key k, unsigned bits) {
    struct prefix *p = lookup(t, k, bits);
    if (p)
        return p;
    p = tarn_pool_take(&t->entries);
    TARN_ASSERT(p); /* the pool has what that many routes can need */
    *p = (struct prefix){.key = prefix_of(k, bits), .bits = (uint8_t)bits};
    tarn_map_insert(&t->by_prefix, &p->link, hash_of(t, p->key, bits));
    TARN_AT(t->count, bits)++;
    return p;
}

static void drop_unused(struct routes *t, struct prefix *p) {
    if (p->routes || p->longer > 0)
        return;
    TARN_AT(t->count, p->bits)--;
    tarn_map_remove(&t->by_prefix, &p->link);
    tarn_pool_put(&t->entries, p);
}

/* Where the search for a prefix begins, and how far it can go. The whole address is asked for
 * first, then always the half of what is left. */
struct range {
    unsigned from, bits;
};
static struct range range_of(struct key k) {
    bool v4 = k.hi == 0 && k.lo >> 32 == 0xffff;
    return v4 ? (struct range){V4_BITS, 32} : (struct range){0, 128};
}

static void mark(struct routes *t, struct key k, unsigned bits, bool add) {
    struct range range = range_of(k);
    unsigned at = range.from;
    for (unsigned step = range.bits; step > 0; step /= 2) {
        if (at + step > bits)
            continue;
        at += step;
        if (at == bits)
            return;
        struct prefix *marker = lookup_or_add(t, k, at);
        if (add)
            marker->longer++;
        else if (--marker->longer == 0)
            drop_unused(t, marker);
    }
}

/* -- changes -- */

static bool same_route(const struct route *r, const struct tarn_ip_route_entry *e, bool connected) {
    return r->connected == connected && r->entry.iface == e->iface && r->entry.metric == e->metric
           && tarn_ip_addr_equal(&r->entry.gateway, &e->gateway);
}

enum tarn_err routes_add(struct routes *t, const struct tarn_ip_route_entry *e, bool connected) {
    struct key k = key_of(&e->prefix.addr);
    unsigned bits = bits_of(&e->prefix);
    /* Taken first, so that a full table makes no entry. */
    struct route *fresh = tarn_pool_take(&t->pool);
    if (!fresh)
        return TARN_LIMIT;
    struct prefix *p = lookup_or_add(t, k, bits);
    struct route **at = &p->routes;
    for (; *at && (*at)->entry.metric <= e->metric; at = &(*at)->next) {
        if (same_route(*at, e, connected)) {
            (*at)->uses++;
            tarn_pool_put(&t->pool, fresh);
            return TARN_OK;
        }
    }
    if (!p->routes) {
        TARN_AT(t->real, bits)++;
        mark(t, k, bits, true);
    }
    *fresh = (struct route){.entry = *e, .connected = connected, .uses = 1, .next = *at};
    *at = fresh;
    t->changes++;
    return TARN_OK;
}

enum tarn_err routes_remove(struct routes *t, const struct tarn_ip_route_entry *e, bool connected) {
    struct key k = key_of(&e->prefix.addr);
    unsigned bits = bits_of(&e->prefix);
    struct prefix *p = lookup(t, k, bits);
    struct route **at = p ? &p->routes : NULL;
    while (at && *at && !same_route(*at, e, connected))
        at = &(*at)->next;
    if (!at || !*at)
        return TARN_NOT_FOUND;
    struct route *found = *at;
    /* Connected prefixes are counted; a route that was configured twice is still one. */
    if (connected && --found->uses > 0)
        return TARN_OK;
    *at = found->next;
    tarn_pool_put(&t->pool, found);
    t->changes++;
    if (!p->routes) {
        TARN_AT(t->real, bits)--;
        mark(t, k, bits, false);
        drop_unused(t, p);
    }
    return TARN_OK;
}

/* -- lookups -- */

/* The longest prefix of `k` that has routes and is shorter than `bits`. */
static struct prefix *shorter(const struct routes *t, struct key k, unsigned bits) {
    unsigned from = range_of(k).from;
    while (bits-- > from) {
        struct prefix *p = TARN_AT(t->real, bits) ? lookup(t, k, bits) : NULL;
        if (p && p->routes)
            return p;
    }
    return NULL;
}

static struct prefix *longest(const struct routes *t, struct key k) {
    struct range range = range_of(k);
    unsigned at = range.from;
    struct prefix *found = NULL;
    for (unsigned step = range.bits; step > 0; step /= 2) {
        if (at + step > range.from + range.bits || TARN_AT(t->count, at + step) == 0)
            continue;
        struct prefix *p = lookup(t, k, at + step);
        if (!p)
            continue;
        found = p;
        at += step;
        if (p->longer == 0)
            break;
    }
    if (!found) /* nothing but a default */
        return shorter(t, k, range.from + 1);
    if (found->routes)
        return found;
    if (found->best_at != t->changes) {
        found->best = shorter(t, k, found->bits);
        found->best_at = t->changes;
    }
    return found->best;
}

static const struct route *route_by(const struct prefix *p, unsigned iface) {
    const struct route *r = p->routes;
    while (r && iface != 0 && r->entry.iface != iface - 1)
        r = r->next;
    return r;
}

const struct route *routes_find(const struct routes *t, const struct tarn_ip_addr *dst,
                                unsigned iface) {
    struct key k = key_of(dst);
    const struct route *r = NULL;
    for (const struct prefix *p = longest(t, k); p && !r; p = r ? p : shorter(t, k, p->bits))
        r = route_by(p, iface);
    return r;
}
