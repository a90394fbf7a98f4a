/* SPDX-License-Identifier: ISC */
#include "cache.h"

enum tarn_err dns_cache_init(struct dns_cache *c, struct tarn_alloc *alloc,
                             struct tarn_random *random, uint32_t entries) {
    *c = (struct dns_cache){0};
    tarn_hash_key_init(&c->key, random);
    enum tarn_err err = tarn_pool_init(&c->entries, alloc, sizeof(struct dns_cache_entry),
                                       _Alignof(struct dns_cache_entry), entries);
    return err ? err : tarn_map_init(&c->map, alloc, entries);
}

void dns_cache_fini(struct dns_cache *c, struct tarn_alloc *alloc) {
    tarn_pool_fini(&c->entries, alloc);
    if (c->map.buckets)
        tarn_alloc_put(alloc, c->map.buckets, c->map.bucket_count * sizeof *c->map.buckets);
}

static uint64_t hash(const struct dns_cache *c, struct tarn_span name, uint16_t type) {
    uint8_t buf[TARN_DNS_NAME_MAX + 2], byte;
    struct tarn_writer w = TARN_WRITER_ARRAY(buf);
    tarn_writer_u16be(&w, type);
    while (tarn_span_u8(&name, &byte))
        tarn_writer_u8(&w, tarn_dns_lower(byte));
    return tarn_hash(&c->key, tarn_writer_span(&w));
}

static struct tarn_span name_of(const struct dns_cache_entry *e) {
    return tarn_span_first(TARN_SPAN_ARRAY(e->bytes), e->name_len);
}

struct tarn_span dns_cache_records(const struct dns_cache_entry *e) {
    return tarn_span_first(tarn_span_after(TARN_SPAN_ARRAY(e->bytes), e->name_len), e->records_len);
}

struct dns_cache_entry *dns_cache_find(struct dns_cache *c, struct tarn_span name, uint16_t type) {
    struct tarn_map_link *l = tarn_map_first(&c->map, hash(c, name, type));
    for (; l; l = tarn_map_following(l)) {
        struct dns_cache_entry *e = TARN_CONTAINER_OF(l, struct dns_cache_entry, link);
        if (e->type == type && tarn_dns_name_equal(name_of(e), name)) {
            tarn_lru_touch(&c->used, &e->used);
            return e;
        }
    }
    return NULL;
}

static void drop(struct dns_cache *c, struct dns_cache_entry *e) {
    tarn_map_remove(&c->map, &e->link);
    tarn_lru_remove(&c->used, &e->used);
    tarn_pool_put(&c->entries, e);
}

void dns_cache_put(struct dns_cache *c, struct tarn_span name, uint16_t type, enum dns_cached kind,
                   struct tarn_span records, tarn_time expires) {
    struct dns_cache_entry *e = dns_cache_find(c, name, type);
    if (e)
        drop(c, e);
    if (name.len + records.len > DNS_CACHE_BYTES) {
        c->too_large++;
        return;
    }
    if (c->entries.live == c->entries.count)
        drop(c, TARN_CONTAINER_OF(c->used.oldest, struct dns_cache_entry, used));
    e = tarn_pool_take(&c->entries);
    struct tarn_writer w = TARN_WRITER_ARRAY(e->bytes);
    tarn_writer_span_put(&w, name);
    tarn_writer_span_put(&w, records);
    e->expires = expires;
    e->type = type;
    e->kind = (uint8_t)kind;
    e->name_len = (uint8_t)name.len;
    e->records_len = (uint16_t)records.len;
    e->link = (struct tarn_map_link){0};
    tarn_map_insert(&c->map, &e->link, hash(c, name, type));
    tarn_lru_add(&c->used, &e->used);
}
