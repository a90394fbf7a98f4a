/* SPDX-License-Identifier: ISC */
#include "internal.h"

/* The address to speak from: on the next hop's own prefix before any other, ready before
 * deprecated. */
static bool source_select(const struct iface *iface, const struct tarn_ip_addr *next_hop,
                          struct tarn_ip_addr *out) {
    const struct own *best = NULL;
    unsigned best_score = 0;
    bool v4 = tarn_ip_addr_is_v4(next_hop);
    for (const struct own *own = iface->addrs; own; own = own->next) {
        if (!own_is_usable(own) || tarn_ip_addr_is_v4(&own->prefix.addr) != v4)
            continue;
        unsigned score = 1 + (own->state == TARN_IP_ADDR_READY ? 1 : 0)
                         + (tarn_ip_prefix_contains(&own->prefix, next_hop) ? 2 : 0);
        if (score > best_score) {
            best = own;
            best_score = score;
        }
    }
    if (best)
        *out = best->prefix.addr;
    return best != NULL;
}

/* The interface for what has no route of its own: broadcasts and groups. */
static struct iface *fallback_iface(struct tarn_ip *ip, unsigned bound,
                                    const struct tarn_ip_addr *dst) {
    if (bound)
        return iface_at(ip, bound - 1);
    const struct route *r = routes_find(&ip->routes, dst, 0);
    return iface_at(ip, r ? r->entry.iface : 0);
}

static enum tarn_err find_way(struct tarn_ip *ip, unsigned bound, const struct tarn_ip_addr *dst,
                              struct path *out) {
    const struct own *own = own_find(ip, dst, NULL);
    out->next_hop = *dst;
    if ((own && own_is_usable(own)) || tarn_ip_addr_is_loopback(dst)) {
        out->iface = own ? own->iface : iface_at(ip, 0);
        out->local = true;
        return out->iface ? TARN_OK : TARN_NOT_FOUND;
    }
    bool all = tarn_ip_addr_is_v4(dst) && tarn_ip_addr_v4(dst) == UINT32_MAX;
    if (all || tarn_ip_addr_is_multicast(dst)) {
        out->iface = fallback_iface(ip, bound, dst);
        out->kind = all ? TARN_LINK_BROADCAST : TARN_LINK_MULTICAST;
        return out->iface ? TARN_OK : TARN_NOT_FOUND;
    }
    if (tarn_ip_addr_is_any(dst))
        return TARN_NOT_FOUND;
    const struct route *r = routes_find(&ip->routes, dst, bound);
    if (!r)
        return TARN_NOT_FOUND;
    out->iface = &TARN_AT(ip->ifaces, r->entry.iface);
    out->kind = TARN_LINK_NEIGHBOUR;
    if (!tarn_ip_addr_is_any(&r->entry.gateway))
        out->next_hop = r->entry.gateway;
    else if (is_broadcast(out->iface, dst))
        out->kind = TARN_LINK_BROADCAST;
    return TARN_OK;
}

enum tarn_err path_find(struct tarn_ip *ip, unsigned bound, const struct tarn_ip_addr *src,
                        const struct tarn_ip_addr *dst, struct path *out) {
    *out = (struct path){0};
    enum tarn_err err = find_way(ip, bound, dst, out);
    if (err)
        return err;
    if (!tarn_ip_addr_is_any(src)) {
        /* The caller's choice, which has to be an address of ours. */
        const struct own *own = own_find(ip, src, NULL);
        if (!(own && own_is_usable(own)) && !(out->local && tarn_ip_addr_is_loopback(src)))
            return TARN_INVALID;
        out->src = *src;
        return TARN_OK;
    }
    if (out->local) {
        out->src = *dst;
        return TARN_OK;
    }
    if (source_select(out->iface, &out->next_hop, &out->src))
        return TARN_OK;
    /* Only who has no address yet speaks without one, and only to all (RFC 1122 section 3.2.1.3).
     */
    out->src = tarn_ip_addr_is_v4(dst) ? tarn_ip_addr_from_v4(0) : TARN_IP_ADDR_NONE;
    return out->kind == TARN_LINK_NEIGHBOUR ? TARN_NOT_FOUND : TARN_OK;
}

enum tarn_err path_route(struct tarn_ip_lower *lower, const struct tarn_ip_addr *src,
                         const struct tarn_ip_addr *dst, struct tarn_ip_route *out) {
    struct tarn_ip *ip = TARN_CONTAINER_OF(lower, struct tarn_ip, lower);
    struct path path;
    enum tarn_err err = path_find(ip, 0, src, dst, &path);
    if (err)
        return err;
    *out = (struct tarn_ip_route){.src = path.src,
                                  .mtu = pmtu_get(ip, dst, path.iface->mtu),
                                  .features = path.iface->link->features,
                                  .broadcast = path.kind == TARN_LINK_BROADCAST && !path.local};
    return TARN_OK;
}
