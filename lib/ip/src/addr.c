/* SPDX-License-Identifier: ISC */
#include "internal.h"

enum tarn_err addr_init(struct tarn_ip *ip) {
    const struct tarn_ip_limits *l = &ip->config.limits;
    struct tarn_alloc *alloc = ip->config.alloc;
    enum tarn_err err =
        tarn_pool_init(&ip->owns, alloc, sizeof(struct own), _Alignof(struct own), l->addrs_max);
    if (!err)
        err = tarn_map_init(&ip->own_by_addr, alloc, l->addrs_max);
    return err;
}

/* No keyed hash: what is in these tables is our own, few, and no stranger's choice. */
static uint64_t hash_of(const struct tarn_ip_addr *addr) {
    uint64_t x = TARN_AT(addr->halves, 0) ^ TARN_AT(addr->halves, 1);
    x ^= x >> 32;
    x ^= x >> 16;
    return x ^ x >> 8;
}

struct own *own_find(const struct tarn_ip *ip, const struct tarn_ip_addr *addr,
                     const struct iface *iface) {
    /* Nearly every packet is for an interface's first address. */
    if (iface && iface->addrs && tarn_ip_addr_equal(&iface->addrs->prefix.addr, addr))
        return iface->addrs;
    struct tarn_map_link *l = tarn_map_first(&ip->own_by_addr, hash_of(addr));
    for (; l; l = tarn_map_following(l)) {
        struct own *own = TARN_CONTAINER_OF(l, struct own, link);
        if (tarn_ip_addr_equal(&own->prefix.addr, addr) && (!iface || own->iface == iface))
            return own;
    }
    return NULL;
}

bool own_is_usable(const struct own *own) {
    return own->state == TARN_IP_ADDR_READY || own->state == TARN_IP_ADDR_DEPRECATED;
}

bool is_broadcast(const struct iface *iface, const struct tarn_ip_addr *addr) {
    if (!tarn_ip_addr_is_v4(addr))
        return false;
    if (tarn_ip_addr_v4(addr) == UINT32_MAX)
        return true;
    for (const struct own *own = iface->addrs; own; own = own->next)
        if (tarn_ip_addr_equal(&own->broadcast, addr))
            return true;
    return false;
}

static bool is_unicast(const struct tarn_ip_addr *addr) {
    return !tarn_ip_addr_is_any(addr) && !tarn_ip_addr_is_multicast(addr)
           && !tarn_ip_addr_is_loopback(addr)
           && !(tarn_ip_addr_is_v4(addr) && tarn_ip_addr_v4(addr) == UINT32_MAX);
}

bool stands_in_for(const struct tarn_ip *ip, const struct iface *iface,
                   const struct tarn_ip_addr *addr) {
    return iface->stands_in && is_unicast(addr) && !is_broadcast(iface, addr)
           && !tarn_ip_addr_is_link_local(addr) && !own_find(ip, addr, NULL);
}

enum tarn_err tarn_ip_stand_in(struct tarn_ip *ip, unsigned iface_index, bool on) {
    struct iface *iface = iface_at(ip, iface_index);
    if (!iface)
        return TARN_INVALID;
    iface->stands_in = on;
    return TARN_OK;
}

static struct tarn_ip_addr broadcast_of(const struct tarn_ip_prefix *p) {
    /* RFC 3021: a /31 has two hosts and no broadcast. */
    if (!tarn_ip_addr_is_v4(&p->addr) || p->bits >= 31)
        return TARN_IP_ADDR_NONE;
    return tarn_ip_addr_from_v4(tarn_ip_addr_v4(&p->addr) | UINT32_MAX >> p->bits);
}

static struct tarn_ip_route_entry connected_route(const struct own *own) {
    return (struct tarn_ip_route_entry){.prefix = own->prefix, .iface = own->iface->index};
}

static void own_unlink(struct tarn_ip *ip, struct own *own) {
    struct own **at = &own->iface->addrs;
    while (*at != own)
        at = &(*at)->next;
    *at = own->next;
    tarn_map_remove(&ip->own_by_addr, &own->link);
    tarn_timer_clear(&ip->ndp.own_timers, &own->timer);
    tarn_pool_put(&ip->owns, own);
}

enum tarn_err own_insert(struct tarn_ip *ip, struct iface *iface,
                         const struct tarn_ip_prefix *prefix, bool routed, struct own **out) {
    struct own *own = tarn_pool_take(&ip->owns);
    if (!own)
        return TARN_LIMIT;
    *own = (struct own){.iface = iface,
                        .prefix = *prefix,
                        .broadcast = broadcast_of(prefix),
                        .routed = routed,
                        .preferred_until = TARN_NEVER,
                        .valid_until = TARN_NEVER};
    struct own **last = &iface->addrs;
    while (*last)
        last = &(*last)->next;
    *last = own;
    tarn_map_insert(&ip->own_by_addr, &own->link, hash_of(&prefix->addr));
    struct tarn_ip_route_entry route = connected_route(own);
    if (routed && routes_add(&ip->routes, &route, true)) {
        own_unlink(ip, own);
        return TARN_LIMIT;
    }
    *out = own;
    return TARN_OK;
}

void own_erase(struct tarn_ip *ip, struct own *own) {
    struct tarn_ip_route_entry route = connected_route(own);
    if (own->routed)
        (void)!routes_remove(&ip->routes, &route, true);
    own_unlink(ip, own);
}

/* Tells the link, or starts asking the link's other hosts. */
static enum tarn_err bring_up(struct tarn_ip *ip, struct own *own, bool probe, tarn_time now) {
    struct iface *iface = own->iface;
    own->state = TARN_IP_ADDR_READY;
    if (!tarn_ip_addr_is_v4(&own->prefix.addr)) {
        if (probe && iface->link->has_mac)
            dad_start(ip, own, false, now);
        else
            ndp_announce(ip, iface, &own->prefix.addr, now);
        return TARN_OK;
    }
    if (!iface->link->ops->own_addr)
        return TARN_OK;
    if (probe)
        own->state = TARN_IP_ADDR_TENTATIVE;
    return iface->link->ops->own_addr(iface->link, &own->prefix.addr, true, probe, now);
}

enum tarn_err tarn_ip_addr_add(struct tarn_ip *ip, unsigned iface_index,
                               const struct tarn_ip_prefix *prefix, bool probe, tarn_time now) {
    struct iface *iface = iface_at(ip, iface_index);
    bool v4 = tarn_ip_addr_is_v4(&prefix->addr);
    struct own *own;
    if (!iface || !is_unicast(&prefix->addr) || prefix->bits > (v4 ? 32 : 128))
        return TARN_INVALID;
    ip->now = now;
    enum tarn_err err = v4 ? TARN_OK : tarn_ip_ipv6_start(ip, iface_index, 0, now);
    if (err || own_find(ip, &prefix->addr, iface))
        return err;
    err = own_new(ip, iface, prefix, true, &own);
    if (err)
        return err;
    err = bring_up(ip, own, probe, now);
    if (err)
        own_remove(ip, own, now);
    ip_changed(ip);
    return err;
}

void tarn_ip_addr_remove(struct tarn_ip *ip, unsigned iface_index, const struct tarn_ip_addr *addr,
                         tarn_time now) {
    struct iface *iface = iface_at(ip, iface_index);
    struct own *own = iface ? own_find(ip, addr, iface) : NULL;
    if (own)
        own_remove(ip, own, now);
}

enum tarn_ip_addr_state tarn_ip_addr_state(const struct tarn_ip *ip, unsigned iface,
                                           const struct tarn_ip_addr *addr) {
    if (iface >= ip->iface_count)
        return TARN_IP_ADDR_ABSENT;
    const struct own *own = own_find(ip, addr, &TARN_AT(ip->ifaces, iface));
    return own ? (enum tarn_ip_addr_state)own->state : TARN_IP_ADDR_ABSENT;
}

bool tarn_ip_addr_next(const struct tarn_ip *ip, unsigned iface, uint32_t *cursor,
                       struct tarn_ip_prefix *prefix, enum tarn_ip_addr_state *state) {
    if (iface >= ip->iface_count)
        return false;
    const struct own *own = TARN_AT(ip->ifaces, iface).addrs;
    for (uint32_t i = 0; own && i < *cursor; i++)
        own = own->next;
    if (!own)
        return false;
    ++*cursor;
    *prefix = own->prefix;
    *state = (enum tarn_ip_addr_state)own->state;
    return true;
}

/* What the link says about an address of ours. */
void addr_event(struct tarn_link_user *user, const struct tarn_ip_addr *addr,
                enum tarn_link_addr_event event, const uint8_t mac[6], tarn_time now) {
    struct iface *iface = TARN_CONTAINER_OF(user, struct iface, user);
    struct own *own = own_find(iface->ip, addr, iface);
    (void)mac;
    (void)now;
    if (!own || event == TARN_LINK_ADDR_DEFENDED)
        return;
    own->state = event == TARN_LINK_ADDR_READY ? TARN_IP_ADDR_READY : TARN_IP_ADDR_DUPLICATE;
    ip_changed(iface->ip);
}
