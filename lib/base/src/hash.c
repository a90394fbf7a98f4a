/* SPDX-License-Identifier: ISC */
#include <tarn/hash.h>

void tarn_hash_key_init(struct tarn_hash_key *key, struct tarn_random *random) {
    key->k0 = tarn_random_u64(random);
    key->k1 = tarn_random_u64(random);
}

static uint64_t rotl(uint64_t x, unsigned n) {
    return x << n | x >> (64 - n);
}

struct sip {
    uint64_t v0, v1, v2, v3;
};

/* Inlined, so that the state stays in registers: this is a good part of every packet's cost. */
#define ALWAYS_INLINE static inline __attribute__((always_inline))

ALWAYS_INLINE void sip_round(struct sip *s) {
    s->v0 += s->v1;
    s->v1 = rotl(s->v1, 13) ^ s->v0;
    s->v0 = rotl(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = rotl(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = rotl(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = rotl(s->v1, 17) ^ s->v2;
    s->v2 = rotl(s->v2, 32);
}

ALWAYS_INLINE void sip_word(struct sip *s, uint64_t word) {
    s->v3 ^= word;
    sip_round(s);
    sip_round(s);
    s->v0 ^= word;
}

uint64_t tarn_hash(const struct tarn_hash_key *key, struct tarn_span data) {
    struct sip s = {
        .v0 = key->k0 ^ 0x736f6d6570736575u,
        .v1 = key->k1 ^ 0x646f72616e646f6du,
        .v2 = key->k0 ^ 0x6c7967656e657261u,
        .v3 = key->k1 ^ 0x7465646279746573u,
    };
    uint64_t last = (uint64_t)data.len << 56, word;
    while (tarn_span_u64le(&data, &word))
        sip_word(&s, word);
    for (size_t i = 0; i < data.len; i++)
        last |= (uint64_t)data.ptr[i] << (8 * i);
    sip_word(&s, last);
    s.v2 ^= 0xff;
    for (int i = 0; i < 4; i++)
        sip_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

enum tarn_err tarn_map_init(struct tarn_map *map, struct tarn_alloc *alloc, uint32_t buckets_min) {
    uint32_t n = 1;
    TARN_ASSERT(buckets_min <= 1u << 30);
    while (n < buckets_min)
        n *= 2;
    *map = (struct tarn_map){.bucket_count = n};
    map->buckets = TARN_NEW_ARRAY(alloc, n, struct tarn_map_link *);
    return map->buckets ? TARN_OK : TARN_LIMIT;
}

static struct tarn_map_link **bucket(const struct tarn_map *map, uint32_t hash) {
    return &map->buckets[hash & (map->bucket_count - 1)];
}

void tarn_map_insert(struct tarn_map *map, struct tarn_map_link *link, uint64_t hash) {
    struct tarn_map_link **head = bucket(map, (uint32_t)hash);
    TARN_ASSERT(!link->prev);
    *link = (struct tarn_map_link){.next = *head, .prev = head, .hash = (uint32_t)hash};
    if (*head)
        (*head)->prev = &link->next;
    *head = link;
    map->count++;
}

void tarn_map_remove(struct tarn_map *map, struct tarn_map_link *link) {
    TARN_ASSERT(link->prev);
    *link->prev = link->next;
    if (link->next)
        link->next->prev = link->prev;
    *link = (struct tarn_map_link){0};
    map->count--;
}

static struct tarn_map_link *with_hash(struct tarn_map_link *link, uint32_t hash) {
    while (link && link->hash != hash)
        link = link->next;
    return link;
}

struct tarn_map_link *tarn_map_first(const struct tarn_map *map, uint64_t hash) {
    return with_hash(*bucket(map, (uint32_t)hash), (uint32_t)hash);
}

struct tarn_map_link *tarn_map_following(const struct tarn_map_link *link) {
    return with_hash(link->next, link->hash);
}
