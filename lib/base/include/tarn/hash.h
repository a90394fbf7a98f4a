/* SPDX-License-Identifier: ISC */
/* tarn/hash.h: a keyed hash (SipHash-2-4, Aumasson and Bernstein 2012) and a table over it.
 *
 * Whatever a peer can choose is hashed with a key it cannot know, so that nobody can aim at one
 * bucket.
 */
#ifndef TARN_HASH_H
#define TARN_HASH_H

#include <tarn/alloc.h>
#include <tarn/env.h>
#include <tarn/err.h>

struct tarn_hash_key {
    uint64_t k0, k1;
};
void tarn_hash_key_init(struct tarn_hash_key *key, struct tarn_random *random);
uint64_t tarn_hash(const struct tarn_hash_key *key, struct tarn_span data);

/* An intrusive chained table: the owner embeds a link, computes the hash and compares itself.
 * No allocation after init; the number of buckets is fixed, rounded up to a power of two. */
struct tarn_map_link {
    struct tarn_map_link *next;
    struct tarn_map_link **prev; /* NULL while in no table */
    uint32_t hash;
};
struct tarn_map {
    struct tarn_map_link **buckets;
    uint32_t bucket_count; /* a power of two */
    uint32_t count;
};
TARN_MUST_USE enum tarn_err tarn_map_init(struct tarn_map *map, struct tarn_alloc *alloc,
                                          uint32_t buckets_min);
void tarn_map_insert(struct tarn_map *map, struct tarn_map_link *link, uint64_t hash);
void tarn_map_remove(struct tarn_map *map, struct tarn_map_link *link);
/* The first entry with that hash, and the next one: compare each with the key. NULL: no more. */
struct tarn_map_link *tarn_map_first(const struct tarn_map *map, uint64_t hash);
struct tarn_map_link *tarn_map_following(const struct tarn_map_link *link);
static inline bool tarn_map_contains_link(const struct tarn_map_link *link) {
    return link->prev != NULL;
}

#endif
