/* SPDX-License-Identifier: ISC */
/* The neighbour cache of IPv6 (RFC 4861 section 7). As in ARP's (lib/ethernet), neighbours that
 * answered a solicitation of ours are kept apart from everything that others can bring about, and
 * the latter may have half the table. */
#include "internal.h"

#define MULTICAST_SOLICITS_MAX 3
#define UNICAST_SOLICITS_MAX 3
#define DELAY_FIRST_PROBE TARN_SEC(5)
#define NEGATIVE TARN_SEC(3)
#define WAITING_ENTRY_MAX 8u
#define WAITING_MAX 128u

enum tarn_err ndp_init(struct tarn_ip *ip) {
    const struct tarn_ip_limits *l = &ip->config.limits;
    struct tarn_alloc *alloc = ip->config.alloc;
    struct ndp *n = &ip->ndp;
    n->trust.max = l->neighbours_max;
    enum tarn_err err = tarn_pool_init(&n->neighs, alloc, sizeof(struct neigh),
                                       _Alignof(struct neigh), l->neighbours_max);
    if (!err)
        err = tarn_map_init(&n->by_addr, alloc, l->neighbours_max);
    if (!err)
        err = tarn_timers_init(&n->timers, alloc, l->neighbours_max);
    if (!err)
        err = tarn_timers_init(&n->own_timers, alloc, l->addrs_max);
    if (!err)
        err = tarn_timers_init(&n->iface_timers, alloc, TARN_IP_IFACES_MAX);
    if (!err)
        err = tarn_timers_init(&n->advertised_timers, alloc, ADVERTISED_MAX);
    if (!err)
        err = tarn_timers_init(&n->dns_timers, alloc, TARN_IP_IFACES_MAX);
    return err;
}

/* -- the table -- */

/* An address is a neighbour's on one interface only. */
static uint64_t hash_of(const struct tarn_ip *ip, const struct iface *iface,
                        const struct tarn_ip_addr *addr) {
    return tarn_hash(&ip->key, TARN_SPAN_ARRAY(addr->bytes)) + iface->index;
}

static struct neigh *find(struct tarn_ip *ip, const struct iface *iface,
                          const struct tarn_ip_addr *addr) {
    struct ndp *n = &ip->ndp;
    if (n->last && n->last->iface == iface && tarn_ip_addr_equal(&n->last->addr, addr))
        return n->last;
    struct tarn_map_link *l = tarn_map_first(&n->by_addr, hash_of(ip, iface, addr));
    for (; l; l = tarn_map_following(l)) {
        struct neigh *e = TARN_CONTAINER_OF(l, struct neigh, link);
        if (e->iface == iface && tarn_ip_addr_equal(&e->addr, addr))
            return n->last = e;
    }
    return NULL;
}

static void forget(struct tarn_ip *ip, struct neigh *e) {
    struct ndp *n = &ip->ndp;
    n->waiting_pkts -= e->waiting.count;
    ip->stats.drops_unresolved += e->waiting.count;
    tarn_pkt_queue_clear(&e->waiting);
    tarn_timer_clear(&n->timers, &e->timer);
    tarn_map_remove(&n->by_addr, &e->link);
    tarn_trust_remove(&n->trust, &e->trust);
    if (n->last == e)
        n->last = NULL;
    tarn_pool_put(&n->neighs, e);
}

static struct neigh *add(struct tarn_ip *ip, struct iface *iface, const struct tarn_ip_addr *addr) {
    struct ndp *n = &ip->ndp;
    struct tarn_trust_link *victim = tarn_trust_victim(&n->trust);
    if (victim)
        forget(ip, TARN_CONTAINER_OF(victim, struct neigh, trust));
    struct neigh *e = tarn_pool_take(&n->neighs);
    TARN_ASSERT(e);
    *e = (struct neigh){.addr = *addr, .iface = iface};
    tarn_trust_add(&n->trust, &e->trust);
    tarn_map_insert(&n->by_addr, &e->link, hash_of(ip, iface, addr));
    return e;
}

/* -- sending -- */

static enum tarn_err send_to(struct tarn_ip *ip, const struct neigh *e, struct tarn_pkt *pkt,
                             tarn_time now) {
    struct tarn_link_dst dst = {.kind = TARN_LINK_ADDRESS};
    struct tarn_span mac = TARN_SPAN_ARRAY(e->mac);
    TARN_ASSERT(tarn_span_copy(&mac, dst.mac, 6));
    enum tarn_err err = e->iface->link->ops->send(e->iface->link, &dst, pkt, now);
    ip->stats.out++;
    ip->stats.drops_link += err != TARN_OK;
    return err;
}

/* The source of a solicitation: that of the packet which waits, where it is ours (section 7.2.2),
 * so that the neighbour learns the address that it will answer to. */
static struct tarn_ip_addr solicit_source(struct tarn_ip *ip, const struct neigh *e) {
    struct ipv6_header h;
    struct path path;
    struct tarn_ip_addr any = TARN_IP_ADDR_NONE;
    if (e->waiting.head && ipv6_parse(tarn_pkt_head(e->waiting.head), &h)) {
        const struct own *own = own_find(ip, &h.src, e->iface);
        if (own && own_is_usable(own))
            return h.src;
    }
    return path_find(ip, e->iface->index + 1u, &any, &e->addr, &path) ? any : path.src;
}

static void solicit(struct tarn_ip *ip, struct neigh *e, tarn_time now) {
    struct tarn_ip_addr src = solicit_source(ip, e);
    e->tries++;
    if (!tarn_ip_addr_is_any(&src))
        ndp_solicit(ip, e->iface, &src, &e->addr, e->state == NEIGH_PROBE ? e->mac : NULL, NULL,
                    now);
    tarn_timer_set(&ip->ndp.timers, &e->timer, tarn_time_after(now, e->iface->retrans));
}

static void release(struct tarn_ip *ip, struct neigh *e, bool reached, tarn_time now) {
    struct tarn_pkt *pkt;
    while ((pkt = tarn_pkt_queue_pop(&e->waiting))) {
        ip->ndp.waiting_pkts--;
        if (reached)
            (void)send_to(ip, e, pkt, now);
        else
            ip_unreachable(ip, pkt, now);
    }
}

static enum tarn_err keep(struct tarn_ip *ip, struct neigh *e, struct tarn_pkt *pkt) {
    struct ndp *n = &ip->ndp;
    bool full = n->waiting_pkts >= WAITING_MAX;
    if (e->waiting.count >= WAITING_ENTRY_MAX || (full && e->waiting.count > 0)) {
        ip->stats.drops_unresolved++;
        n->waiting_pkts--;
        tarn_pkt_free(tarn_pkt_queue_pop(&e->waiting));
    } else if (full) {
        ip->stats.drops_unresolved++;
        tarn_pkt_free(pkt);
        return TARN_LIMIT;
    }
    tarn_pkt_queue_push(&e->waiting, pkt);
    n->waiting_pkts++;
    return TARN_OK;
}

enum tarn_err ndp_output(struct tarn_ip *ip, struct iface *iface,
                         const struct tarn_ip_addr *next_hop, struct tarn_pkt *pkt, tarn_time now) {
    if (!iface->link->has_mac) {
        struct path path = {.iface = iface, .next_hop = *next_hop, .kind = TARN_LINK_NEIGHBOUR};
        return ip_link_send(ip, iface, &path, pkt, now);
    }
    struct neigh *e = find(ip, iface, next_hop);
    if (!e) {
        e = add(ip, iface, next_hop);
        e->state = NEIGH_INCOMPLETE;
        enum tarn_err err = keep(ip, e, pkt);
        solicit(ip, e, now);
        return err;
    }
    tarn_trust_touch(&ip->ndp.trust, &e->trust);
    switch (e->state) {
    case NEIGH_INCOMPLETE: return keep(ip, e, pkt);
    case NEIGH_FAILED:
        ip->stats.drops_unresolved++;
        tarn_pkt_free(pkt);
        return TARN_IO;
    case NEIGH_STALE:
        /* Whoever is above may hear from it meanwhile; only then is it asked (section 7.3.3). */
        e->state = NEIGH_DELAY;
        e->tries = 0;
        tarn_timer_set(&ip->ndp.timers, &e->timer, tarn_time_after(now, DELAY_FIRST_PROBE));
        break;
    default: break;
    }
    return send_to(ip, e, pkt, now);
}

/* -- what neighbours say -- */

static bool mac_is(const struct neigh *e, const uint8_t mac[6]) {
    return tarn_span_equal(TARN_SPAN_ARRAY(e->mac), tarn_span_of(mac, 6));
}

static void set_mac(struct neigh *e, const uint8_t mac[6]) {
    struct tarn_span s = tarn_span_of(mac, 6);
    TARN_ASSERT(tarn_span_copy(&s, e->mac, 6));
}

static void set_stale(struct tarn_ip *ip, struct neigh *e) {
    e->state = NEIGH_STALE;
    tarn_timer_clear(&ip->ndp.timers, &e->timer);
}

static void set_reachable(struct tarn_ip *ip, struct neigh *e, tarn_time now) {
    /* Section 6.3.4: between half and one and a half of it, so that hosts do not ask in step. */
    tarn_time base = e->iface->reachable;
    tarn_time t = base / 2 + tarn_random_u64(ip->config.random) % (base + 1);
    e->state = NEIGH_REACHABLE;
    if (!e->trust.proven)
        tarn_trust_set(&ip->ndp.trust, &e->trust, true);
    tarn_timer_set(&ip->ndp.timers, &e->timer, tarn_time_after(now, t));
}

void ndp_learn(struct tarn_ip *ip, struct iface *iface, const struct tarn_ip_addr *addr,
               const uint8_t mac[6], bool is_router, tarn_time now) {
    struct neigh *e = find(ip, iface, addr);
    if (!e) {
        e = add(ip, iface, addr);
        set_mac(e, mac);
        e->state = NEIGH_STALE;
    } else if (e->state == NEIGH_INCOMPLETE || e->state == NEIGH_FAILED) {
        set_mac(e, mac);
        set_stale(ip, e);
        release(ip, e, true, now);
    } else if (!mac_is(e, mac)) {
        if (e->trust.proven) {
            /* The RFC would overwrite here. A neighbour that answered us is asked first: only its
             * silence makes room for another. */
            e->state = NEIGH_PROBE;
            e->tries = 0;
            solicit(ip, e, now);
        } else {
            set_mac(e, mac);
            set_stale(ip, e);
        }
    }
    e->router |= is_router;
}

/* Section 7.2.5. */
void ndp_advertised(struct tarn_ip *ip, struct iface *iface, const struct na *na, tarn_time now) {
    struct neigh *e = find(ip, iface, &na->target);
    if (!e || e->state == NEIGH_FAILED)
        return;
    if (e->state == NEIGH_INCOMPLETE) {
        if (!na->has_mac)
            return;
        set_mac(e, na->mac);
        e->router = na->router;
        if (na->solicited)
            set_reachable(ip, e, now);
        else
            set_stale(ip, e);
        release(ip, e, true, now);
        return;
    }
    bool differs = na->has_mac && !mac_is(e, na->mac);
    if (differs && !na->override) {
        if (e->state == NEIGH_REACHABLE)
            set_stale(ip, e);
        return;
    }
    if (differs && e->trust.proven && !na->solicited) {
        ndp_learn(ip, iface, &na->target, na->mac, na->router, now);
        return;
    }
    if (differs)
        set_mac(e, na->mac);
    e->router = na->router;
    if (na->solicited)
        set_reachable(ip, e, now);
    else if (differs)
        set_stale(ip, e);
}

/* -- time -- */

static void expire(struct tarn_ip *ip, struct neigh *e, tarn_time now) {
    switch (e->state) {
    case NEIGH_REACHABLE: e->state = NEIGH_STALE; return;
    case NEIGH_DELAY:
        e->state = NEIGH_PROBE;
        e->tries = 0;
        solicit(ip, e, now);
        return;
    case NEIGH_PROBE:
        if (e->tries < UNICAST_SOLICITS_MAX)
            solicit(ip, e, now);
        else
            forget(ip, e); /* what is sent next asks everybody (section 7.3.3) */
        return;
    case NEIGH_INCOMPLETE:
        if (e->tries < MULTICAST_SOLICITS_MAX) {
            solicit(ip, e, now);
        } else {
            e->state = NEIGH_FAILED;
            tarn_timer_set(&ip->ndp.timers, &e->timer, tarn_time_after(now, NEGATIVE));
            release(ip, e, false, now);
        }
        return;
    default: forget(ip, e); return;
    }
}

void ndp_tick(struct tarn_ip *ip, tarn_time now) {
    struct ndp *n = &ip->ndp;
    struct tarn_timer *t;
    while ((t = tarn_timers_pop(&n->timers, now)))
        expire(ip, TARN_CONTAINER_OF(t, struct neigh, timer), now);
    while ((t = tarn_timers_pop(&n->own_timers, now)))
        dad_timer(ip, TARN_CONTAINER_OF(t, struct own, timer), now);
    while ((t = tarn_timers_pop(&n->advertised_timers, now)))
        ra_expire(ip, TARN_CONTAINER_OF(t, struct advertised, timer));
    while ((t = tarn_timers_pop(&n->dns_timers, now)))
        ra_dns_expire(ip, TARN_CONTAINER_OF(t, struct ra_dns, timer), now);
    while ((t = tarn_timers_pop(&n->iface_timers, now)))
        ndp_solicit_routers(ip, TARN_CONTAINER_OF(t, struct iface, timer), now);
}

tarn_time ndp_deadline(const struct tarn_ip *ip) {
    const struct ndp *n = &ip->ndp;
    tarn_time at = tarn_timers_next(&n->timers);
    at = TARN_MIN(at, tarn_timers_next(&n->own_timers));
    at = TARN_MIN(at, tarn_timers_next(&n->advertised_timers));
    at = TARN_MIN(at, tarn_timers_next(&n->dns_timers));
    return TARN_MIN(at, tarn_timers_next(&n->iface_timers));
}
