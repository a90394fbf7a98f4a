/* SPDX-License-Identifier: ISC */
/* Router advertisements (RFC 4861 section 6.3, RFC 4191 for preferences). A bounded number of
 * routers and prefixes is kept; those that exist are refreshed before new ones find room. */
#include "internal.h"

enum { PREFIX_ON_LINK = 0x80, PREFIX_AUTONOMOUS = 0x40 };

static tarn_time lifetime(uint32_t seconds) {
    return seconds == UINT32_MAX ? TARN_NEVER : TARN_SEC(seconds);
}

void ra_expire(struct tarn_ip *ip, struct advertised *a) {
    (void)routes_remove(&ip->routes, &a->route, true);
    tarn_timer_clear(&ip->ndp.advertised_timers, &a->timer);
    a->used = false;
    ip_changed(ip);
}

static bool same_but_metric(const struct tarn_ip_route_entry *a,
                            const struct tarn_ip_route_entry *b) {
    return a->iface == b->iface && a->prefix.bits == b->prefix.bits
           && tarn_ip_addr_equal(&a->prefix.addr, &b->prefix.addr)
           && tarn_ip_addr_equal(&a->gateway, &b->gateway);
}

/* Adds, refreshes or, with no lifetime, removes what a router advertised. */
static void advertise(struct tarn_ip *ip, const struct tarn_ip_route_entry *route, tarn_time life,
                      tarn_time now) {
    struct advertised *room = NULL;
    for (uint32_t i = 0; i < ADVERTISED_MAX; i++) {
        struct advertised *a = &TARN_AT(ip->ndp.advertised, i);
        if (!a->used) {
            room = room ? room : a;
        } else if (same_but_metric(&a->route, route)) {
            ra_expire(ip, a);
            room = a;
            break;
        }
    }
    if (!room || life == 0 || routes_add(&ip->routes, route, true))
        return;
    room->used = true;
    room->route = *route;
    tarn_timer_set(&ip->ndp.advertised_timers, &room->timer, tarn_time_after(now, life));
    ip_changed(ip);
}

static void take_prefix(struct tarn_ip *ip, struct iface *iface, struct tarn_span s,
                        tarn_time now) {
    uint8_t bits, flags;
    uint32_t valid, preferred;
    struct tarn_ip_prefix prefix;
    if (!tarn_span_u8(&s, &bits) || !tarn_span_u8(&s, &flags) || !tarn_span_u32be(&s, &valid)
        || !tarn_span_u32be(&s, &preferred) || !tarn_span_skip(&s, 4)
        || !tarn_span_ipv6(&s, &prefix.addr) || bits > 128)
        return;
    prefix.bits = bits;
    /* Link-local prefixes are nobody's to advertise, and a mapped one would be IPv4's. */
    if (tarn_ip_addr_is_link_local(&prefix.addr) || tarn_ip_addr_is_multicast(&prefix.addr)
        || tarn_ip_addr_is_v4(&prefix.addr) || bits < 16)
        return;
    if (flags & PREFIX_ON_LINK) {
        struct tarn_ip_route_entry route = {.prefix = prefix, .iface = iface->index};
        advertise(ip, &route, lifetime(valid), now);
    }
    if ((flags & PREFIX_AUTONOMOUS) && bits == 64 && preferred <= valid)
        slaac_prefix(ip, iface, &prefix, lifetime(preferred), lifetime(valid), now);
}

static void take_parameters(struct tarn_ip *ip, struct iface *iface, uint8_t hops, uint8_t flags,
                            uint32_t reachable, uint32_t retrans, uint32_t mtu) {
    if (iface->ra_flags != flags)
        ip_changed(ip);
    iface->ra_flags = flags;
    if (hops != 0)
        iface->hops = hops;
    /* What would make us ask all the time, or never again, is not followed (section 6.2.1: an hour
     * at most). */
    if (reachable >= 1000 && reachable <= 3600000)
        iface->reachable = TARN_MS(reachable);
    if (retrans >= 100 && retrans <= 60000)
        iface->retrans = TARN_MS(retrans);
    if (mtu >= IPV6_MTU_MIN && mtu <= iface->mtu)
        iface->mtu6 = (uint16_t)mtu;
}

void ra_input(struct tarn_ip *ip, struct iface *iface, const struct tarn_ip_addr *router,
              struct tarn_span body, tarn_time now) {
    uint8_t hops, flags;
    uint16_t life;
    uint32_t reachable, retrans;
    struct ndp_options options;
    if (!tarn_span_u8(&body, &hops) || !tarn_span_u8(&body, &flags)
        || !tarn_span_u16be(&body, &life) || !tarn_span_u32be(&body, &reachable)
        || !tarn_span_u32be(&body, &retrans) || !ndp_options_parse(body, &options)) {
        ip->stats.drops_icmp++;
        return;
    }
    if (!iface->slaac)
        return;
    iface->solicits_left = 0;
    tarn_timer_clear(&ip->ndp.iface_timers, &iface->timer);
    take_parameters(ip, iface, hops, flags, reachable, retrans, options.mtu);
    if (options.has_source && !(TARN_AT(options.source, 0) & 1))
        ndp_learn(ip, iface, router, options.source, true, now);
    /* RFC 4191 section 2.1: high, medium and low; what is reserved is medium. */
    static const uint8_t metrics[4] = {2, 1, 2, 3};
    struct tarn_ip_route_entry def = {
        .gateway = *router, .iface = iface->index, .metric = TARN_AT(metrics, flags >> 3 & 3)};
    advertise(ip, &def, TARN_SEC(life), now);
    for (unsigned i = 0; i < options.prefix_count; i++)
        take_prefix(ip, iface, TARN_AT(options.prefixes, i), now);
    ra_dns_input(ip, iface, &options, now);
}

unsigned tarn_ip_ra_flags(const struct tarn_ip *ip, unsigned iface) {
    return iface < ip->iface_count ? TARN_AT(ip->ifaces, iface).ra_flags : 0;
}
