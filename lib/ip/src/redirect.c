/* SPDX-License-Identifier: ISC */
/* Redirects: a router says that another way out is the better one for a destination (RFC 792, RFC
 * 1122 section 3.2.2.2, RFC 4861 section 8). What is followed stands beside the route that it
 * corrects: it counts only while that route leads by the router which it led by then, and it is
 * forgotten after a while, or when who was named does not answer. */
#include "internal.h"

#define LIFETIME TARN_SEC(600)

enum tarn_err redirect_init(struct tarn_ip *ip) {
    uint32_t max = ip->config.limits.redirects_max;
    enum tarn_err err = tarn_pool_init(&ip->redirects.pool, ip->config.alloc,
                                       sizeof(struct redirect), _Alignof(struct redirect), max);
    return err ? err : tarn_map_init(&ip->redirects.by_dst, ip->config.alloc, max);
}

/* -- the table -- */

static uint64_t hash_of(const struct tarn_ip *ip, const struct tarn_ip_addr *dst) {
    return tarn_hash(&ip->key, TARN_SPAN_ARRAY(dst->bytes));
}

static struct redirect *find(const struct tarn_ip *ip, const struct iface *iface,
                             const struct tarn_ip_addr *dst) {
    struct tarn_map_link *l = tarn_map_first(&ip->redirects.by_dst, hash_of(ip, dst));
    for (; l; l = tarn_map_following(l)) {
        struct redirect *r = TARN_CONTAINER_OF(l, struct redirect, link);
        if (r->iface == iface && tarn_ip_addr_equal(&r->dst, dst))
            return r;
    }
    return NULL;
}

static void forget(struct tarn_ip *ip, struct redirect *r) {
    tarn_lru_remove(&ip->redirects.lru, &r->lru);
    tarn_map_remove(&ip->redirects.by_dst, &r->link);
    tarn_pool_put(&ip->redirects.pool, r);
}

const struct tarn_ip_addr *redirect_get(struct tarn_ip *ip, const struct iface *iface,
                                        const struct tarn_ip_addr *dst,
                                        const struct tarn_ip_addr *router) {
    /* A router chooses its ways by itself (RFC 1812 section 5.2.7.2). */
    if (ip->redirects.pool.live == 0 || ip->forwarder)
        return NULL;
    struct redirect *r = find(ip, iface, dst);
    if (!r)
        return NULL;
    if (r->expires <= ip->now || !tarn_ip_addr_equal(&r->router, router)) {
        forget(ip, r);
        return NULL;
    }
    return &r->target;
}

void redirect_unreachable(struct tarn_ip *ip, const struct tarn_ip_addr *dst) {
    for (unsigned i = 0; ip->redirects.pool.live > 0 && i < ip->iface_count; i++) {
        struct redirect *r = find(ip, &TARN_AT(ip->ifaces, i), dst);
        if (r)
            forget(ip, r);
    }
}

static void keep(struct tarn_ip *ip, const struct redirect *wanted, tarn_time now) {
    struct redirects *t = &ip->redirects;
    struct redirect *r = find(ip, wanted->iface, &wanted->dst);
    if (r)
        forget(ip, r);
    else if (t->pool.live == t->pool.count)
        forget(ip, TARN_CONTAINER_OF(t->lru.oldest, struct redirect, lru));
    r = tarn_pool_take(&t->pool);
    TARN_ASSERT(r);
    *r = *wanted;
    r->expires = tarn_time_after(now, LIFETIME);
    tarn_lru_add(&t->lru, &r->lru);
    tarn_map_insert(&t->by_dst, &r->link, hash_of(ip, &r->dst));
    ip->stats.redirects_in++;
}

enum tarn_err tarn_ip_follow_redirects(struct tarn_ip *ip, unsigned iface_index, bool on) {
    struct iface *iface = iface_at(ip, iface_index);
    uint32_t cursor = 0;
    struct redirect *r;
    if (!iface)
        return TARN_INVALID;
    iface->redirects = on;
    while (!on && (r = tarn_pool_next(&ip->redirects.pool, &cursor)))
        if (r->iface == iface)
            forget(ip, r);
    return TARN_OK;
}

/* -- what is followed -- */

/* Whether `from` is who we send to on the way to `dst` now: only it may send us elsewhere. The
 * route's own router comes out, which it is unless there has been a redirect before. */
static bool is_first_hop(struct tarn_ip *ip, const struct iface *iface,
                         const struct tarn_ip_addr *from, const struct tarn_ip_addr *dst,
                         struct tarn_ip_addr *router) {
    const struct route *route = routes_find(&ip->routes, dst, 0);
    if (!route || route->entry.iface != iface->index || tarn_ip_addr_is_any(&route->entry.gateway))
        return false;
    const struct tarn_ip_addr *target = redirect_get(ip, iface, dst, &route->entry.gateway);
    *router = route->entry.gateway;
    return tarn_ip_addr_equal(from, target ? target : router);
}

/* Whether `target` can be another host of a network that this interface is in. */
static bool is_neighbour_v4(const struct tarn_ip *ip, const struct iface *iface,
                            const struct tarn_ip_addr *target) {
    if (is_broadcast(iface, target) || own_find(ip, target, NULL))
        return false;
    for (const struct own *own = iface->addrs; own; own = own->next)
        if (own_is_usable(own) && tarn_ip_addr_is_v4(&own->prefix.addr)
            && tarn_ip_prefix_contains(&own->prefix, target))
            return true;
    return false;
}

bool redirect_v4(struct tarn_ip *ip, struct iface *iface, const struct tarn_ip_meta *meta,
                 uint8_t code, uint32_t target, struct tarn_span quoted, tarn_time now) {
    struct ipv4_header h;
    struct redirect r = {.iface = iface, .target = tarn_ip_addr_from_v4(target)};
    /* One for a network counts for the host alone, since its mask is nowhere said (RFC 1122 section
     * 3.2.2.2). The quoted datagram must be one that we could have sent. */
    if (!iface->redirects || ip->forwarder || code > 3 || meta->cast != TARN_LINK_TO_US
        || !ipv4_parse(quoted, &h) || quoted.len < h.header_bytes + 8u
        || !own_find(ip, &h.src, iface) || tarn_ip_addr_is_multicast(&h.dst))
        return false;
    r.dst = h.dst;
    if (!is_neighbour_v4(ip, iface, &r.target)
        || !is_first_hop(ip, iface, &meta->src, &r.dst, &r.router))
        return false;
    keep(ip, &r, now);
    return true;
}

/* RFC 4861 section 8.1; hop limit, checksum, code and fragments have been looked at. */
bool redirect_v6(struct tarn_ip *ip, struct iface *iface, const struct tarn_ip_meta *meta,
                 struct tarn_span s, tarn_time now) {
    struct redirect r = {.iface = iface};
    struct ndp_options options;
    if (!iface->redirects || ip->forwarder || !tarn_ip_addr_is_link_local(&meta->src)
        || meta->cast != TARN_LINK_TO_US || !tarn_span_skip(&s, 4) || !tarn_span_ipv6(&s, &r.target)
        || !tarn_span_ipv6(&s, &r.dst) || !ndp_options_parse(s, &options))
        return false;
    bool on_link = tarn_ip_addr_equal(&r.target, &r.dst);
    if (tarn_ip_addr_is_multicast(&r.dst) || tarn_ip_addr_is_v4(&r.dst)
        || (!on_link && !tarn_ip_addr_is_link_local(&r.target)) || own_find(ip, &r.target, NULL)
        || !is_first_hop(ip, iface, &meta->src, &r.dst, &r.router))
        return false;
    keep(ip, &r, now);
    if (options.has_target && !(TARN_AT(options.target, 0) & 1))
        ndp_learn(ip, iface, &r.target, options.target, !on_link, now);
    return true;
}
