/* SPDX-License-Identifier: ISC */
/* What is known: a ring of bytes under a keyed hash. New entries are written at its head, and the
 * oldest ones at its tail make room. What is used while it is old is written anew, so what nobody
 * asks for goes first. Any put may move or drop any entry: nothing that was found before is named
 * after it. */
#ifndef TARN_RECURSOR_CACHE_H
#define TARN_RECURSOR_CACHE_H

#include <tarn/alloc.h>
#include <tarn/dns_types.h>
#include <tarn/hash.h>

enum cached {
    CACHED_ANSWER, /* to a question: sets (sets.h); type 0: the name does not exist */
    CACHED_CUT,    /* a delegation: its servers' names and addresses */
    CACHED_KEYS,   /* of a zone: what to validate with */
    CACHED_FAILED, /* nobody could say */
    CACHED_OLD,    /* an answer that was believed, in whose place another has come */
    CACHED_SET,    /* one set that was proven: denials and their SOA */
};
enum status { UNCHECKED, SECURE, INSECURE, BOGUS };
enum entry_flag {
    ENTRY_LIVE = 1,
    ENTRY_CUT = 2,     /* a denied DS: it is the one of a delegation */
    ENTRY_OPT_OUT = 4, /* denied by what does not list all delegations */
    ENTRY_ALIAS = 8,   /* the answer is a CNAME */
    ENTRY_NEGATIVE = 16,
    ENTRY_PREFETCHED = 32,
    ENTRY_EMPTY = 64, /* the name exists after all, without anything of its own */
};

struct entry {
    uint32_t next; /* in its bucket: place / 8 + 1; 0: none */
    uint32_t size; /* in the ring, a multiple of 8 */
    uint32_t hash, data_bytes, ttl;
    uint16_t type, ede;
    uint8_t kind, status, rcode, flags;
    uint16_t name_bytes, spare;
    tarn_time fetched, expires;
};
/* What to put; `entry` has type, ttl and so on. */
struct entry_new {
    enum cached kind;
    struct tarn_span name, data;
    uint16_t type, ede;
    uint32_t ttl;
    uint8_t status, rcode, flags;
    tarn_time now;
};

struct cache {
    struct tarn_bytes mem;
    uint32_t head, used; /* the tail is `used` before the head */
    uint32_t *buckets, bucket_count;
    uint32_t *ordered[2]; /* CACHED_SET of NSEC and NSEC3, by name: places / 8 */
    uint32_t ordered_count[2], ordered_max;
    struct tarn_hash_key key;
    uint64_t entries, bytes, evicted;
    uint8_t copy[2 * TARN_DNS_RDATA_MAX + 1024];
};
#define CACHE_BYTES_MIN (1u << 20)

TARN_MUST_USE enum tarn_err cache_init(struct cache *c, struct tarn_alloc *alloc,
                                       struct tarn_random *random, uint64_t bytes);
void cache_fini(struct cache *c, struct tarn_alloc *alloc);
/* Whatever its age. Uses it, so it stays longer, and may move others. */
struct entry *cache_find(struct cache *c, enum cached kind, struct tarn_span name, uint16_t type);
/* In place of what was there. NULL: too large. */
struct entry *cache_put(struct cache *c, const struct entry_new *n);
void cache_drop(struct cache *c, struct entry *e);
struct tarn_span entry_name(const struct cache *c, const struct entry *e);
struct tarn_span entry_data(const struct cache *c, const struct entry *e);
/* Of the sets of `type` (NSEC or NSEC3): the one with the greatest owner that is not behind `name`
 * in the canonical order. NULL: none. */
struct entry *cache_before(struct cache *c, uint16_t type, struct tarn_span name);
/* ... and the one with the smallest that is behind. */
struct entry *cache_behind(struct cache *c, uint16_t type, struct tarn_span name);
static inline uint32_t entry_left(const struct entry *e, tarn_time now) {
    return now < e->expires ? (uint32_t)((e->expires - now + TARN_SEC(1) - 1) / TARN_SEC(1)) : 0;
}

#endif
