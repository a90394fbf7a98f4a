/* SPDX-License-Identifier: ISC */
#ifndef TARN_DNS_CACHE_INTERNAL_H
#define TARN_DNS_CACHE_INTERNAL_H

#include <tarn/dns_name.h>
#include <tarn/hash.h>
#include <tarn/lru.h>
#include <tarn/pool.h>
#include <tarn/time.h>

#define DNS_CACHE_BYTES 560u /* of an entry: its name and its records */

enum dns_cached { DNS_CACHED_RECORDS, DNS_CACHED_NO_DATA, DNS_CACHED_NO_NAME };
struct dns_cache_entry {
    struct tarn_map_link link;
    struct tarn_lru_link used;
    tarn_time expires;
    uint16_t type;
    uint8_t kind, name_len;
    uint16_t records_len;
    uint8_t bytes[DNS_CACHE_BYTES];
};
struct dns_cache {
    struct tarn_pool entries;
    struct tarn_map map;
    struct tarn_lru used;
    struct tarn_hash_key key;
    uint64_t too_large;
};
TARN_MUST_USE enum tarn_err dns_cache_init(struct dns_cache *c, struct tarn_alloc *alloc,
                                           struct tarn_random *random, uint32_t entries);
void dns_cache_fini(struct dns_cache *c, struct tarn_alloc *alloc);
/* NULL: nothing is known. What is may have expired. */
struct dns_cache_entry *dns_cache_find(struct dns_cache *c, struct tarn_span name, uint16_t type);
struct tarn_span dns_cache_records(const struct dns_cache_entry *e);
/* In the place of what was known before. */
void dns_cache_put(struct dns_cache *c, struct tarn_span name, uint16_t type, enum dns_cached kind,
                   struct tarn_span records, tarn_time expires);

#endif
