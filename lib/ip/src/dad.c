/* SPDX-License-Identifier: ISC */
/* Duplicate address detection (RFC 4862 section 5.4, RFC 7527), and starting IPv6 on an interface.
 */
#include "internal.h"

#define DAD_TRANSMITS 1
#define DELAY_MAX TARN_SEC(1)

static struct tarn_ip_addr group_of(const struct own *own) {
    return ndp_solicited_node(&own->prefix.addr);
}

static void set_ready(struct tarn_ip *ip, struct own *own, tarn_time now) {
    if (own->valid_until <= now) {
        own_remove(ip, own, now);
        return;
    }
    own->state = own->preferred_until <= now ? TARN_IP_ADDR_DEPRECATED : TARN_IP_ADDR_READY;
    slaac_timer(ip, own, now);
    /* Who knew the address elsewhere learns (RFC 4861 section 7.2.6). */
    ndp_announce(ip, own->iface, &own->prefix.addr, now);
    /* Reports from "::" are not listened to by routers: said again from an address (RFC 3590). */
    if (own->origin == OWN_LINK_LOCAL)
        member_tell_again(ip, &own->iface->mld, now);
    if (own->origin == OWN_LINK_LOCAL && own->iface->slaac)
        tarn_timer_set(&ip->ndp.iface_timers, &own->iface->timer, now);
    ip_changed(ip);
}

void dad_start(struct tarn_ip *ip, struct own *own, bool delay, tarn_time now) {
    tarn_time wait = delay ? tarn_random_u64(ip->config.random) % DELAY_MAX : 0;
    own->state = TARN_IP_ADDR_TENTATIVE;
    own->dad_left = DAD_TRANSMITS;
    tarn_random_fill(ip->config.random, TARN_BYTES_ARRAY(own->nonce));
    tarn_timer_set(&ip->ndp.own_timers, &own->timer, tarn_time_after(now, wait));
}

void dad_timer(struct tarn_ip *ip, struct own *own, tarn_time now) {
    if (own->state != TARN_IP_ADDR_TENTATIVE) {
        slaac_timer(ip, own, now);
    } else if (own->dad_left > 0) {
        struct tarn_ip_addr none = TARN_IP_ADDR_NONE;
        own->dad_left--;
        ndp_solicit(ip, own->iface, &none, &own->prefix.addr, NULL, own->nonce, now);
        tarn_timer_set(&ip->ndp.own_timers, &own->timer, tarn_time_after(now, own->iface->retrans));
    } else {
        set_ready(ip, own, now);
    }
}

void dad_conflict(struct tarn_ip *ip, struct own *own, tarn_time now) {
    struct tarn_ip_addr addr = own->prefix.addr;
    enum own_origin origin = (enum own_origin)own->origin;
    struct iface *iface = own->iface;
    uint8_t counter = own->dad_counter;
    tarn_time preferred = own->preferred_until, valid = own->valid_until;
    tarn_timer_clear(&ip->ndp.own_timers, &own->timer);
    own->state = TARN_IP_ADDR_DUPLICATE;
    ip_changed(ip);
    /* A chosen address is chosen again, a few times (RFC 7217 section 6); a given one is not. */
    if (origin != OWN_MANUAL && counter < 3) {
        own_remove(ip, own, now);
        (void)!slaac_add(ip, iface, &addr, origin, (uint8_t)(counter + 1), preferred, valid, true,
                         now);
    }
}

enum tarn_err tarn_ip_ipv6_start(struct tarn_ip *ip, unsigned iface_index, unsigned flags,
                                 tarn_time now) {
    static const struct tarn_ip_addr all_nodes = {.bytes = {0xff, 2, [15] = 1}};
    static const struct tarn_ip_addr link_local = {.bytes = {0xfe, 0x80}};
    struct iface *iface = iface_at(ip, iface_index);
    if (!iface || iface->link->mtu < IPV6_MTU_MIN)
        return TARN_INVALID;
    if (iface->ipv6)
        return TARN_OK;
    iface->ipv6 = true;
    iface->slaac = flags & TARN_IP_IPV6_SLAAC;
    iface->temporary = flags & TARN_IP_IPV6_TEMPORARY;
    iface->solicits_left = 3;
    iface->mtu6 = iface->mtu;
    iface->reachable = TARN_SEC(30);
    iface->retrans = TARN_SEC(1);
    enum tarn_err err = group_join(ip, iface, &all_nodes, NULL, true);
    if (err)
        return err;
    return slaac_add(ip, iface, &link_local, OWN_LINK_LOCAL, 0, TARN_NEVER, TARN_NEVER, false, now);
}

/* Everything but detection: the address hears its solicited-node group from the start. */
enum tarn_err own_new(struct tarn_ip *ip, struct iface *iface, const struct tarn_ip_prefix *prefix,
                      bool routed, struct own **out) {
    enum tarn_err err = own_insert(ip, iface, prefix, routed, out);
    if (err || tarn_ip_addr_is_v4(&prefix->addr))
        return err;
    struct tarn_ip_addr group = group_of(*out);
    err = group_join(ip, iface, &group, NULL, true);
    if (err)
        own_erase(ip, *out);
    return err;
}

void own_remove(struct tarn_ip *ip, struct own *own, tarn_time now) {
    struct iface *iface = own->iface;
    struct tarn_ip_addr addr = own->prefix.addr;
    if (!tarn_ip_addr_is_v4(&addr)) {
        struct tarn_ip_addr group = group_of(own);
        (void)!group_join(ip, iface, &group, NULL, false);
    } else if (iface->link->ops->own_addr) {
        (void)!iface->link->ops->own_addr(iface->link, &addr, false, false, now);
    }
    own_erase(ip, own);
    ip_changed(ip);
}
