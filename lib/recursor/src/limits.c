/* SPDX-License-Identifier: ISC */
/* What one client may cost: questions under way, and questions in a second that servers are asked
 * for. A client is an IPv4 address, or the 64 bits of an IPv6 network. */
#include "internal.h"

#define BURST_SECONDS 2u

static struct tarn_ip_addr network_of(struct tarn_ip_addr a) {
    if (!tarn_ip_addr_is_v4(&a))
        TARN_AT(a.halves, 1) = 0;
    return a;
}

/* The one that was here longest ago and waits for nothing. */
static bool make_room(struct tarn_recursor *r) {
    for (struct tarn_lru_link *l = r->quota_lru.oldest; l; l = l->newer) {
        struct quota *q = TARN_CONTAINER_OF(l, struct quota, lru);
        if (q->waiting)
            continue;
        tarn_lru_remove(&r->quota_lru, &q->lru);
        tarn_map_remove(&r->quota_map, &q->link);
        tarn_pool_put(&r->quotas, q);
        return true;
    }
    return false;
}

struct quota *quota_of(struct tarn_recursor *r, const struct tarn_ip_addr *client) {
    struct tarn_ip_addr addr = network_of(*client);
    uint64_t hash = tarn_hash(&r->key, TARN_SPAN_ARRAY(addr.bytes));
    for (struct tarn_map_link *l = tarn_map_first(&r->quota_map, hash); l;
         l = tarn_map_following(l)) {
        struct quota *q = TARN_CONTAINER_OF(l, struct quota, link);
        if (tarn_ip_addr_equal(&q->addr, &addr)) {
            tarn_lru_touch(&r->quota_lru, &q->lru);
            return q;
        }
    }
    struct quota *q = tarn_pool_take(&r->quotas);
    if (!q && make_room(r))
        q = tarn_pool_take(&r->quotas);
    if (!q)
        return NULL;
    *q = (struct quota){.addr = addr,
                        .tokens_us = (uint64_t)r->config.client_rate * BURST_SECONDS * 1000000u,
                        .filled = clock_of(r)};
    tarn_map_insert(&r->quota_map, &q->link, hash);
    tarn_lru_add(&r->quota_lru, &q->lru);
    return q;
}

bool quota_spend(struct tarn_recursor *r, struct quota *q) {
    tarn_time now = clock_of(r);
    uint64_t most = (uint64_t)r->config.client_rate * BURST_SECONDS * 1000000u;
    uint64_t since_us = TARN_MIN((now - q->filled) / 1000, (tarn_time)BURST_SECONDS * 1000000u);
    q->tokens_us = TARN_MIN(most, q->tokens_us + since_us * r->config.client_rate);
    q->filled = now;
    if (q->waiting >= r->config.client_questions_max || q->tokens_us < 1000000u)
        return false;
    q->tokens_us -= 1000000u;
    return true;
}
