/* SPDX-License-Identifier: ISC */
#include "cache.h"

#define UNIT 8u
#define ENTRY_BYTES ((uint32_t)sizeof(struct entry))
#define BYTES_PER_BUCKET 128u
#define BYTES_PER_ORDERED 2048u
#define ORDERED_MAX 65536u

/* -- places -------------------------------------------------------------------------------------
 */

static struct entry *at(const struct cache *c, uint32_t place) {
    return (struct entry *)(void *)tarn_bytes_at(c->mem, place);
}
static uint32_t place_of(const struct cache *c, const struct entry *e) {
    return (uint32_t)((uintptr_t)e - (uintptr_t)c->mem.ptr);
}
static uint32_t tail(const struct cache *c) {
    uint32_t len = (uint32_t)c->mem.len;
    return c->head >= c->used ? c->head - c->used : c->head + len - c->used;
}
static struct tarn_bytes bytes_of(const struct cache *c, const struct entry *e, uint32_t off,
                                  uint32_t len) {
    return tarn_bytes_first(tarn_bytes_after(c->mem, place_of(c, e) + off), len);
}

struct tarn_span entry_name(const struct cache *c, const struct entry *e) {
    return tarn_bytes_span(bytes_of(c, e, ENTRY_BYTES, e->name_bytes));
}
struct tarn_span entry_data(const struct cache *c, const struct entry *e) {
    return tarn_bytes_span(bytes_of(c, e, ENTRY_BYTES + e->name_bytes, e->data_bytes));
}

/* -- the hash -----------------------------------------------------------------------------------
 */

static uint32_t hash_of(const struct cache *c, enum cached kind, struct tarn_span name,
                        uint16_t type) {
    struct tarn_dns_name lower;
    tarn_dns_name_copy(&lower, name);
    tarn_dns_name_lower(&lower);
    uint64_t hash = tarn_hash(&c->key, tarn_dns_name_span(&lower));
    /* Kind and type are not the client's to choose freely: a mix is enough. */
    hash ^= (uint64_t)((uint32_t)kind << 16 | type) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(hash ^ hash >> 32);
}
static uint32_t *bucket(const struct cache *c, uint32_t hash) {
    return &TARN_AT_N(c->buckets, c->bucket_count, hash & (c->bucket_count - 1));
}

static void unhash(struct cache *c, struct entry *e) {
    uint32_t *link = bucket(c, e->hash), mine = place_of(c, e) / UNIT + 1;
    while (*link && *link != mine)
        link = &at(c, (*link - 1) * UNIT)->next;
    TARN_ASSERT(*link);
    *link = e->next;
}

/* -- denials in order ---------------------------------------------------------------------------
 */

static unsigned order_of(uint16_t type) {
    return type == TARN_DNS_NSEC3;
}
static bool is_ordered(const struct entry *e) {
    return e->kind == CACHED_SET && (e->type == TARN_DNS_NSEC || e->type == TARN_DNS_NSEC3);
}
static struct entry *ordered(const struct cache *c, unsigned order, uint32_t i) {
    return at(c, TARN_AT_N(TARN_AT(c->ordered, order), c->ordered_max, i) * UNIT);
}

/* How many owners are not behind the name. */
static uint32_t rank(const struct cache *c, unsigned order, struct tarn_span name) {
    uint32_t low = 0, high = TARN_AT(c->ordered_count, order);
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (tarn_dns_name_compare(entry_name(c, ordered(c, order, mid)), name) <= 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static struct tarn_bytes ordered_from(const struct cache *c, unsigned order, uint32_t i) {
    struct tarn_bytes all =
        tarn_bytes_of(TARN_AT(c->ordered, order), (size_t)c->ordered_max * sizeof(uint32_t));
    return tarn_bytes_after(all, (size_t)i * sizeof(uint32_t));
}

static void order_add(struct cache *c, struct entry *e) {
    unsigned order = order_of(e->type);
    uint32_t *count = &TARN_AT(c->ordered_count, order);
    if (*count == c->ordered_max)
        return; /* it is found by its name all the same */
    uint32_t i = rank(c, order, entry_name(c, e));
    struct tarn_bytes from =
        tarn_bytes_first(ordered_from(c, order, i), (*count - i) * sizeof(uint32_t));
    if (from.len)
        tarn_bytes_move(ordered_from(c, order, i + 1), tarn_bytes_span(from));
    TARN_AT_N(TARN_AT(c->ordered, order), c->ordered_max, i) = place_of(c, e) / UNIT;
    (*count)++;
}

static void order_remove(struct cache *c, struct entry *e) {
    unsigned order = order_of(e->type);
    uint32_t *count = &TARN_AT(c->ordered_count, order);
    uint32_t i = rank(c, order, entry_name(c, e));
    if (i == 0 || ordered(c, order, i - 1) != e)
        return;
    struct tarn_bytes rest =
        tarn_bytes_first(ordered_from(c, order, i), (*count - i) * sizeof(uint32_t));
    if (rest.len)
        tarn_bytes_move(ordered_from(c, order, i - 1), tarn_bytes_span(rest));
    (*count)--;
}

struct entry *cache_before(struct cache *c, uint16_t type, struct tarn_span name) {
    uint32_t i = rank(c, order_of(type), name);
    return i ? ordered(c, order_of(type), i - 1) : NULL;
}

struct entry *cache_behind(struct cache *c, uint16_t type, struct tarn_span name) {
    uint32_t i = rank(c, order_of(type), name);
    return i < TARN_AT(c->ordered_count, order_of(type)) ? ordered(c, order_of(type), i) : NULL;
}

/* -- room ---------------------------------------------------------------------------------------
 */

void cache_drop(struct cache *c, struct entry *e) {
    if (!(e->flags & ENTRY_LIVE))
        return;
    if (is_ordered(e))
        order_remove(c, e);
    unhash(c, e);
    e->flags = 0;
    c->entries--;
    c->bytes -= e->size;
}

static void drop_oldest(struct cache *c) {
    struct entry *e = at(c, tail(c));
    c->evicted += (e->flags & ENTRY_LIVE) != 0;
    cache_drop(c, e);
    c->used -= e->size;
}

/* A dead entry as large as the rest of the ring, where it is to go on at its front. */
static void fill_rest(struct cache *c, uint32_t rest) {
    while (c->mem.len - c->used < rest)
        drop_oldest(c);
    struct entry *e = at(c, c->head);
    e->size = rest; /* the smallest rest holds size and flags: see cache_put */
    e->flags = 0;
    c->used += rest;
    c->head = 0;
}

static struct entry *take(struct cache *c, uint32_t size) {
    uint32_t rest = (uint32_t)c->mem.len - c->head;
    if (rest < size)
        fill_rest(c, rest);
    while (c->mem.len - c->used < size)
        drop_oldest(c);
    struct entry *e = at(c, c->head);
    c->head += size;
    if (c->head == c->mem.len)
        c->head = 0;
    c->used += size;
    return e;
}

static struct entry *lookup(const struct cache *c, enum cached kind, struct tarn_span name,
                            uint16_t type, uint32_t hash) {
    for (uint32_t next = *bucket(c, hash); next;) {
        struct entry *e = at(c, (next - 1) * UNIT);
        if (e->hash == hash && e->kind == kind && e->type == type
            && tarn_dns_name_equal(entry_name(c, e), name))
            return e;
        next = e->next;
    }
    return NULL;
}

static struct entry *store(struct cache *c, const struct entry *head, struct tarn_span name,
                           struct tarn_span data) {
    struct entry *e = take(c, head->size);
    *e = *head;
    tarn_bytes_copy(bytes_of(c, e, ENTRY_BYTES, e->name_bytes), name);
    tarn_bytes_copy(bytes_of(c, e, ENTRY_BYTES + e->name_bytes, e->data_bytes), data);
    e->next = *bucket(c, e->hash);
    *bucket(c, e->hash) = place_of(c, e) / UNIT + 1;
    c->entries++;
    c->bytes += e->size;
    if (is_ordered(e))
        order_add(c, e);
    return e;
}

struct entry *cache_put(struct cache *c, const struct entry_new *n) {
    uint32_t hash = hash_of(c, n->kind, n->name, n->type);
    struct entry *was = lookup(c, n->kind, n->name, n->type, hash);
    size_t bytes = ENTRY_BYTES + n->name.len + n->data.len;
    /* Sizes are multiples of an entry's head, so that any rest of the ring holds a whole one. */
    bytes = (bytes + ENTRY_BYTES - 1) / ENTRY_BYTES * ENTRY_BYTES;
    if (was)
        cache_drop(c, was);
    if (bytes > c->mem.len / 4)
        return NULL;
    struct entry head = {.size = (uint32_t)bytes,
                         .hash = hash,
                         .data_bytes = (uint32_t)n->data.len,
                         .ttl = n->ttl,
                         .type = n->type,
                         .ede = n->ede,
                         .kind = (uint8_t)n->kind,
                         .status = n->status,
                         .rcode = n->rcode,
                         .flags = n->flags | ENTRY_LIVE,
                         .name_bytes = (uint16_t)n->name.len,
                         .fetched = n->now,
                         .expires = tarn_time_after(n->now, TARN_SEC(n->ttl))};
    return store(c, &head, n->name, n->data);
}

/* Writes an entry of the oldest quarter anew at the head. */
static struct entry *renew(struct cache *c, struct entry *e) {
    uint32_t age = c->head - place_of(c, e);
    if (place_of(c, e) >= c->head)
        age += (uint32_t)c->mem.len;
    size_t len = (size_t)e->name_bytes + e->data_bytes;
    if (age < c->mem.len / 4 * 3 || len > sizeof c->copy)
        return e;
    struct entry head = *e;
    struct tarn_bytes copy = tarn_bytes_first(TARN_BYTES_ARRAY(c->copy), len);
    tarn_bytes_copy(copy, tarn_bytes_span(bytes_of(c, e, ENTRY_BYTES, (uint32_t)len)));
    cache_drop(c, e);
    return store(c, &head, tarn_bytes_span(tarn_bytes_first(copy, head.name_bytes)),
                 tarn_bytes_span(tarn_bytes_after(copy, head.name_bytes)));
}

struct entry *cache_find(struct cache *c, enum cached kind, struct tarn_span name, uint16_t type) {
    struct entry *e = lookup(c, kind, name, type, hash_of(c, kind, name, type));
    return e ? renew(c, e) : NULL;
}

/* -- the whole ----------------------------------------------------------------------------------
 */

static uint32_t power_of_two(uint64_t n) {
    uint32_t p = 1024;
    while (p < n && p < 1u << 30)
        p *= 2;
    return p;
}

enum tarn_err cache_init(struct cache *c, struct tarn_alloc *alloc, struct tarn_random *random,
                         uint64_t bytes) {
    bytes = TARN_MAX(TARN_MIN(bytes, (uint64_t)UINT32_MAX / 2), (uint64_t)CACHE_BYTES_MIN);
    bytes -= bytes % ENTRY_BYTES;
    c->bucket_count = power_of_two(bytes / BYTES_PER_BUCKET);
    c->ordered_max = (uint32_t)TARN_MIN(bytes / BYTES_PER_ORDERED, (uint64_t)ORDERED_MAX);
    c->mem = tarn_bytes_of(tarn_alloc_get(alloc, bytes, 64), bytes);
    c->buckets = TARN_NEW_ARRAY(alloc, c->bucket_count, uint32_t);
    for (unsigned i = 0; i < 2; i++)
        TARN_AT(c->ordered, i) = TARN_NEW_ARRAY(alloc, c->ordered_max, uint32_t);
    tarn_hash_key_init(&c->key, random);
    if (c->mem.ptr && c->buckets && TARN_AT(c->ordered, 0) && TARN_AT(c->ordered, 1))
        return TARN_OK;
    cache_fini(c, alloc);
    return TARN_LIMIT;
}

void cache_fini(struct cache *c, struct tarn_alloc *alloc) {
    tarn_alloc_put(alloc, c->mem.ptr, c->mem.len);
    tarn_alloc_put(alloc, c->buckets, c->bucket_count * sizeof(uint32_t));
    for (unsigned i = 0; i < 2; i++)
        tarn_alloc_put(alloc, TARN_AT(c->ordered, i), c->ordered_max * sizeof(uint32_t));
}
