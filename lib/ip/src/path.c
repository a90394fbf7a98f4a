/* SPDX-License-Identifier: ISC */
#include "internal.h"

/* RFC 6724 section 3.1, as numbers that compare: link-local 2, site 5, global 14. */
static unsigned scope_of(const struct tarn_ip_addr *a) {
    if (tarn_ip_addr_is_multicast(a) && !tarn_ip_addr_is_v4(a))
        return TARN_AT(a->bytes, 1) & 15u;
    return tarn_ip_addr_is_link_local(a) || tarn_ip_addr_is_loopback(a) ? 2 : 14;
}

/* The labels of RFC 6724 section 2.1. */
static unsigned label_of(const struct tarn_ip_addr *a) {
    static const struct {
        uint8_t bits, label, bytes[4];
    } table[] = {{32, 5, {0x20, 0x01, 0, 0}},
                 {16, 2, {0x20, 0x02, 0, 0}},
                 {16, 12, {0x3f, 0xfe, 0, 0}},
                 {10, 11, {0xfe, 0xc0, 0, 0}},
                 {7, 13, {0xfc, 0, 0, 0}}};
    if (tarn_ip_addr_is_v4(a))
        return 4;
    if (tarn_ip_addr_is_loopback(a))
        return 0;
    for (size_t i = 0; i < TARN_COUNT_OF(table); i++) {
        struct tarn_ip_prefix p = {.bits = TARN_AT(table, i).bits};
        (void)tarn_bytes_copy(TARN_BYTES_ARRAY(p.addr.bytes),
                              TARN_SPAN_ARRAY(TARN_AT(table, i).bytes));
        if (tarn_ip_prefix_contains(&p, a))
            return TARN_AT(table, i).label;
    }
    return 1;
}

/* Whether `a` is the better source for `dst` (RFC 6724 section 5). Rules 4 and 5 have nothing to
 * decide here: no home addresses, and only the outgoing interface's are candidates. */
static bool is_better(const struct own *a, const struct own *b, const struct tarn_ip_addr *dst) {
    const struct tarn_ip_addr *x = &a->prefix.addr, *y = &b->prefix.addr;
    unsigned sx = scope_of(x), sy = scope_of(y), sd = scope_of(dst);
    if (sx != sy) /* rule 2 */
        return sx < sy ? sx >= sd : sy < sd;
    if (a->state != b->state) /* rule 3 */
        return a->state == TARN_IP_ADDR_READY;
    unsigned label = label_of(dst);
    bool lx = label_of(x) == label, ly = label_of(y) == label;
    if (lx != ly) /* rule 6 */
        return lx;
    bool tx = a->origin == OWN_TEMPORARY, ty = b->origin == OWN_TEMPORARY;
    if (tx != ty) /* rule 7 */
        return tx;
    struct key kx = key_of(x), ky = key_of(y), kd = key_of(dst);
    unsigned cx = key_common(&kx, &kd), cy = key_common(&ky, &kd);
    /* Rule 8: what two hosts share beyond a prefix means nothing. */
    return TARN_MIN(cx, bits_of(&a->prefix)) > TARN_MIN(cy, bits_of(&b->prefix));
}

/* The address to speak from. For IPv4 the next hop's own prefix counts before the destination's. */
static bool source_select(const struct iface *iface, const struct tarn_ip_addr *next_hop,
                          const struct tarn_ip_addr *dst, struct tarn_ip_addr *out) {
    const struct own *best = NULL;
    bool v4 = tarn_ip_addr_is_v4(dst);
    for (const struct own *own = iface->addrs; own; own = own->next) {
        if (!own_is_usable(own) || tarn_ip_addr_is_v4(&own->prefix.addr) != v4)
            continue;
        if (!best || is_better(own, best, v4 ? next_hop : dst))
            best = own;
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

enum tarn_err path_way(struct tarn_ip *ip, unsigned bound, const struct tarn_ip_addr *dst,
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
    if (!tarn_ip_addr_is_any(&r->entry.gateway)) {
        const struct tarn_ip_addr *better = redirect_get(ip, out->iface, dst, &r->entry.gateway);
        out->next_hop = better ? *better : r->entry.gateway;
    } else if (is_broadcast(out->iface, dst)) {
        out->kind = TARN_LINK_BROADCAST;
    }
    return TARN_OK;
}

enum tarn_err path_find(struct tarn_ip *ip, unsigned bound, const struct tarn_ip_addr *src,
                        const struct tarn_ip_addr *dst, struct path *out) {
    *out = (struct path){0};
    enum tarn_err err = path_way(ip, bound, dst, out);
    if (err)
        return err;
    if (!tarn_ip_addr_is_any(src)) {
        /* The caller's choice, which has to be an address of ours, or one that we stand in for. */
        const struct own *own = own_find(ip, src, NULL);
        if (!(own && own_is_usable(own)) && !(out->local && tarn_ip_addr_is_loopback(src))
            && (out->local || out->kind != TARN_LINK_NEIGHBOUR
                || !stands_in_for(ip, out->iface, src)))
            return TARN_INVALID;
        out->src = *src;
        return TARN_OK;
    }
    if (out->local) {
        out->src = *dst;
        return TARN_OK;
    }
    if (source_select(out->iface, &out->next_hop, dst, &out->src))
        return TARN_OK;
    /* Only who has no address yet speaks without one, and only to all (RFC 1122 section 3.2.1.3).
     */
    out->src = tarn_ip_addr_is_v4(dst) ? tarn_ip_addr_from_v4(0) : TARN_IP_ADDR_NONE;
    return out->kind == TARN_LINK_NEIGHBOUR ? TARN_NOT_FOUND : TARN_OK;
}

enum tarn_err path_route_by(struct tarn_ip_lower *lower, uint8_t iface,
                            const struct tarn_ip_addr *src, const struct tarn_ip_addr *dst,
                            struct tarn_ip_route *out) {
    struct tarn_ip *ip = TARN_CONTAINER_OF(lower, struct tarn_ip, lower);
    struct path path;
    enum tarn_err err = path_find(ip, iface, src, dst, &path);
    if (err)
        return err;
    bool v4 = tarn_ip_addr_is_v4(dst);
    *out = (struct tarn_ip_route){.src = path.src,
                                  .mtu = pmtu_get(ip, dst, v4 ? path.iface->mtu : path.iface->mtu6),
                                  .features = path.iface->link->features,
                                  .broadcast = path.kind == TARN_LINK_BROADCAST && !path.local};
    return TARN_OK;
}

enum tarn_err path_route(struct tarn_ip_lower *lower, const struct tarn_ip_addr *src,
                         const struct tarn_ip_addr *dst, struct tarn_ip_route *out) {
    return path_route_by(lower, 0, src, dst, out);
}
