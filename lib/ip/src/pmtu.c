/* SPDX-License-Identifier: ISC */
/* What routers said about the largest packet on the way to a destination (RFC 1191, RFC 8201). Kept
 * for ten minutes, then a larger one is tried again (RFC 1191 section 6.3). */
#include "internal.h"

#define LIFETIME TARN_SEC(600)

enum tarn_err pmtu_init(struct tarn_ip *ip) {
    uint32_t max = ip->config.limits.path_mtus_max;
    enum tarn_err err = tarn_pool_init(&ip->path_mtus.pool, ip->config.alloc,
                                       sizeof(struct path_mtu), _Alignof(struct path_mtu), max);
    return err ? err : tarn_map_init(&ip->path_mtus.by_dst, ip->config.alloc, max);
}

static uint64_t hash_of(const struct tarn_ip *ip, const struct tarn_ip_addr *dst) {
    return tarn_hash(&ip->key, TARN_SPAN_ARRAY(dst->bytes));
}

static struct path_mtu *find(const struct tarn_ip *ip, const struct tarn_ip_addr *dst) {
    struct tarn_map_link *l = tarn_map_first(&ip->path_mtus.by_dst, hash_of(ip, dst));
    for (; l; l = tarn_map_following(l)) {
        struct path_mtu *p = TARN_CONTAINER_OF(l, struct path_mtu, link);
        if (tarn_ip_addr_equal(&p->dst, dst))
            return p;
    }
    return NULL;
}

static void forget(struct tarn_ip *ip, struct path_mtu *p) {
    tarn_lru_remove(&ip->path_mtus.lru, &p->lru);
    tarn_map_remove(&ip->path_mtus.by_dst, &p->link);
    tarn_pool_put(&ip->path_mtus.pool, p);
}

uint16_t pmtu_get(struct tarn_ip *ip, const struct tarn_ip_addr *dst, uint16_t link_mtu) {
    if (ip->path_mtus.pool.live == 0)
        return link_mtu;
    struct path_mtu *p = find(ip, dst);
    if (!p)
        return link_mtu;
    if (p->expires <= ip->now) {
        forget(ip, p);
        return link_mtu;
    }
    return p->mtu < link_mtu ? p->mtu : link_mtu;
}

void pmtu_set(struct tarn_ip *ip, const struct tarn_ip_addr *dst, uint16_t mtu, tarn_time now) {
    struct path_mtus *t = &ip->path_mtus;
    struct path_mtu *p = find(ip, dst);
    if (p && p->expires > now && p->mtu <= mtu)
        return; /* it may only shrink (RFC 1191 section 3) */
    if (p) {
        tarn_lru_touch(&t->lru, &p->lru);
    } else {
        if (t->pool.live == t->pool.count)
            forget(ip, TARN_CONTAINER_OF(t->lru.oldest, struct path_mtu, lru));
        p = tarn_pool_take(&t->pool);
        TARN_ASSERT(p);
        *p = (struct path_mtu){.dst = *dst};
        tarn_lru_add(&t->lru, &p->lru);
        tarn_map_insert(&t->by_dst, &p->link, hash_of(ip, dst));
    }
    p->mtu = mtu;
    p->expires = tarn_time_after(now, LIFETIME);
    ip->stats.path_mtu_changes++;
}
