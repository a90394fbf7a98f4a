/* SPDX-License-Identifier: ISC */
/* The routing table: a binary trie over 128 bits in which every node has a route or two children,
 * so that n routes need fewer than 2n nodes and a lookup looks at no more than one node a bit. */
#include "internal.h"

#define BITS_MAX 128u

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

bool key_matches(const struct key *a, const struct key *b, unsigned bits) {
    return key_common(a, b) >= bits;
}

static unsigned bit_at(const struct key *k, unsigned i) {
    uint64_t half = i < 64 ? k->hi : k->lo;
    return (unsigned)(half >> (~i & 63) & 1);
}

static struct node *const *child_of(const struct node *n, const struct key *k) {
    return &TARN_AT(n->child, bit_at(k, n->bits));
}

static struct node **child_at(struct node *n, const struct key *k) {
    return &TARN_AT(n->child, bit_at(k, n->bits));
}

enum tarn_err routes_init(struct routes *t, struct tarn_alloc *alloc, uint32_t max) {
    enum tarn_err err =
        tarn_pool_init(&t->nodes, alloc, sizeof(struct node), _Alignof(struct node), 2 * max);
    return err ? err
               : tarn_pool_init(&t->pool, alloc, sizeof(struct route), _Alignof(struct route), max);
}

static struct node *node_new(struct routes *t, const struct key *k, unsigned bits) {
    struct node *n = tarn_pool_take(&t->nodes);
    TARN_ASSERT(n); /* fewer than two a route */
    *n = (struct node){.key = *k, .bits = bits};
    return n;
}

/* The node of exactly that prefix, made where there is none. */
static struct node *node_get(struct routes *t, const struct key *k, unsigned bits) {
    struct node **at = &t->root;
    while (*at) {
        struct node *n = *at;
        unsigned common = TARN_MIN(key_common(k, &n->key), bits);
        if (common < n->bits) {
            /* It leaves the path before this node: a fork, or the new prefix itself, goes between.
             */
            struct node *upper = node_new(t, k, common);
            *child_at(upper, &n->key) = n;
            *at = upper;
            if (common == bits)
                return upper;
            return *child_at(upper, k) = node_new(t, k, bits);
        }
        if (n->bits == bits)
            return n;
        at = child_at(n, k);
    }
    return *at = node_new(t, k, bits);
}

static bool same_route(const struct route *r, const struct tarn_ip_route_entry *e, bool connected) {
    return r->connected == connected && r->entry.iface == e->iface && r->entry.metric == e->metric
           && tarn_ip_addr_equal(&r->entry.gateway, &e->gateway);
}

enum tarn_err routes_add(struct routes *t, const struct tarn_ip_route_entry *e, bool connected) {
    struct key k = key_of(&e->prefix.addr);
    /* Taken first, so that a full table makes no node. */
    struct route *fresh = tarn_pool_take(&t->pool);
    if (!fresh)
        return TARN_LIMIT;
    struct node *n = node_get(t, &k, bits_of(&e->prefix));
    struct route **at = &n->routes;
    for (; *at && (*at)->entry.metric <= e->metric; at = &(*at)->next) {
        if (same_route(*at, e, connected)) {
            (*at)->uses++;
            tarn_pool_put(&t->pool, fresh);
            return TARN_OK;
        }
    }
    *fresh = (struct route){.entry = *e, .connected = connected, .uses = 1, .next = *at};
    *at = fresh;
    return TARN_OK;
}

/* Takes a node out of the path once it has no route and does not fork; then perhaps the one above.
 */
static void prune(struct routes *t, struct node **at, struct node **above) {
    struct node *n = *at;
    struct node *left = TARN_AT(n->child, 0), *right = TARN_AT(n->child, 1);
    if (n->routes || (left && right))
        return;
    *at = left ? left : right;
    tarn_pool_put(&t->nodes, n);
    if (!*at && above)
        prune(t, above, NULL);
}

enum tarn_err routes_remove(struct routes *t, const struct tarn_ip_route_entry *e, bool connected) {
    struct key k = key_of(&e->prefix.addr);
    unsigned bits = bits_of(&e->prefix);
    struct node **at = &t->root, **above = NULL;
    while (*at && (*at)->bits < bits && key_matches(&k, &(*at)->key, (*at)->bits)) {
        above = at;
        at = child_at(*at, &k);
    }
    if (!*at || (*at)->bits != bits || !key_matches(&k, &(*at)->key, bits))
        return TARN_NOT_FOUND;
    for (struct route **r = &(*at)->routes; *r; r = &(*r)->next) {
        struct route *found = *r;
        if (!same_route(found, e, connected))
            continue;
        /* Connected prefixes are counted; a route that was configured twice is still one. */
        if (connected && --found->uses > 0)
            return TARN_OK;
        *r = found->next;
        tarn_pool_put(&t->pool, found);
        prune(t, at, above);
        return TARN_OK;
    }
    return TARN_NOT_FOUND;
}

/* Walks by bits alone and compares only where there are routes: below a prefix that does not fit,
 * none does. */
const struct route *routes_find(const struct routes *t, const struct tarn_ip_addr *dst,
                                unsigned iface) {
    struct key k = key_of(dst);
    const struct route *best = NULL;
    for (const struct node *n = t->root; n; n = *child_of(n, &k)) {
        if (n->routes && !key_matches(&k, &n->key, n->bits))
            break;
        for (const struct route *r = n->routes; r; r = r->next) {
            if (iface == 0 || r->entry.iface == iface - 1) {
                best = r;
                break;
            }
        }
        if (n->bits == BITS_MAX)
            break;
    }
    return best;
}
