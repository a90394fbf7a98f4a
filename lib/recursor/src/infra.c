/* SPDX-License-Identifier: ISC */
/* What is remembered of servers: how fast they are, what they understand. */
#include "internal.h"

#define FIRST_PATIENCE_US 376000u /* of one that was never asked */
#define PATIENCE_MIN_US 50000u
#define PATIENCE_MAX_US 6000000u
#define QUIET_AFTER 4u /* timeouts in a row, and a server is left alone for a while */

enum tarn_err servers_init(struct servers *s, struct tarn_alloc *alloc, struct tarn_random *random,
                           uint32_t count) {
    tarn_hash_key_init(&s->key, random);
    if (tarn_pool_init(&s->pool, alloc, sizeof(struct server), _Alignof(struct server), count))
        return TARN_LIMIT;
    return tarn_map_init(&s->map, alloc, count);
}

void servers_fini(struct servers *s, struct tarn_alloc *alloc) {
    tarn_pool_fini(&s->pool, alloc);
    tarn_alloc_put(alloc, s->map.buckets, s->map.bucket_count * sizeof(struct tarn_map_link *));
}

static void make_room(struct servers *s) {
    struct server *old = TARN_CONTAINER_OF(s->lru.oldest, struct server, lru);
    tarn_lru_remove(&s->lru, &old->lru);
    tarn_map_remove(&s->map, &old->link);
    tarn_pool_put(&s->pool, old);
}

struct server *server_of(struct servers *s, const struct tarn_endpoint *e) {
    uint64_t hash = tarn_hash(&s->key, TARN_SPAN_ARRAY(e->addr.bytes)) ^ e->port;
    for (struct tarn_map_link *l = tarn_map_first(&s->map, hash); l; l = tarn_map_following(l)) {
        struct server *one = TARN_CONTAINER_OF(l, struct server, link);
        if (tarn_ip_addr_equal(&one->addr, &e->addr) && one->port == e->port) {
            tarn_lru_touch(&s->lru, &one->lru);
            return one;
        }
    }
    struct server *one = tarn_pool_take(&s->pool);
    if (!one) {
        make_room(s);
        one = tarn_pool_take(&s->pool);
    }
    TARN_ASSERT(one);
    *one = (struct server){.addr = e->addr, .port = e->port};
    tarn_map_insert(&s->map, &one->link, hash);
    tarn_lru_add(&s->lru, &one->lru);
    return one;
}

/* RFC 6298's smoothing. */
void server_answered(struct server *s, uint64_t rtt_us) {
    uint32_t rtt = (uint32_t)TARN_MIN(TARN_MAX(rtt_us, (uint64_t)1), (uint64_t)PATIENCE_MAX_US);
    if (!s->srtt_us) {
        s->srtt_us = rtt;
        s->var_us = rtt / 2;
    } else {
        uint32_t off = rtt > s->srtt_us ? rtt - s->srtt_us : s->srtt_us - rtt;
        s->var_us = (3 * s->var_us + off) / 4;
        s->srtt_us = TARN_MAX((7 * s->srtt_us + rtt) / 8, 1u);
    }
    s->timeouts = 0;
    s->quiet_until = 0;
}

void server_timed_out(struct server *s, tarn_time now) {
    if (s->timeouts < 12)
        s->timeouts++;
    if (s->timeouts >= QUIET_AFTER)
        s->quiet_until = tarn_time_after(now, TARN_SEC(1) << (s->timeouts - QUIET_AFTER));
}

tarn_time server_patience(const struct server *s, unsigned tries) {
    uint64_t us = s->srtt_us ? s->srtt_us + 4ull * s->var_us : FIRST_PATIENCE_US;
    us = TARN_MAX(us, (uint64_t)PATIENCE_MIN_US) << TARN_MIN(tries, 4u);
    return TARN_US(TARN_MIN(us, (uint64_t)PATIENCE_MAX_US));
}

uint64_t server_cost(const struct server *s, tarn_time now) {
    uint64_t cost = s->srtt_us ? s->srtt_us : FIRST_PATIENCE_US / 4; /* new ones get their chance */
    cost += (uint64_t)s->timeouts * FIRST_PATIENCE_US;
    return s->quiet_until > now ? cost + 100000000u : cost;
}

uint32_t zone_hash(const struct servers *s, struct tarn_span zone) {
    struct tarn_dns_name lower;
    tarn_dns_name_copy(&lower, zone);
    tarn_dns_name_lower(&lower);
    return (uint32_t)tarn_hash(&s->key, tarn_dns_name_span(&lower)) | 1;
}
