/* SPDX-License-Identifier: ISC */
/* From a datagram to the endpoints it is for. */
#include "internal.h"

struct header {
    uint16_t src_port, dst_port, len, csum;
};

static bool parse(const struct tarn_pkt *pkt, struct header *h) {
    struct tarn_span s = tarn_pkt_head(pkt);
    if (!tarn_span_u16be(&s, &h->src_port) || !tarn_span_u16be(&s, &h->dst_port)
        || !tarn_span_u16be(&s, &h->len) || !tarn_span_u16be(&s, &h->csum))
        return false;
    /* What the length claims must be there; what lies behind it is none of ours. Zero is a
     * jumbogram's (RFC 2675), which no link below carries. */
    return h->len >= UDP_HEADER_BYTES && h->len <= pkt->len && h->dst_port != 0;
}

static bool csum_ok(const struct tarn_ip_meta *meta, const struct tarn_pkt *pkt,
                    const struct header *h) {
    if (pkt->csum_state != TARN_CSUM_NONE)
        return true;
    if (h->csum == 0) /* RFC 768: none was made; RFC 8200 section 8.1: not over IPv6 */
        return tarn_ip_addr_is_v4(&meta->dst);
    struct tarn_ip_meta pseudo = *meta;
    pseudo.proto = TARN_IP_PROTO_UDP;
    return tarn_csum_finish(tarn_csum_join(tarn_ip_pseudo_csum(&pseudo, h->len),
                                           tarn_pkt_csum(pkt, 0, h->len), 0))
           == 0;
}

static bool on_iface(uint8_t wanted, const struct tarn_ip_meta *meta) {
    return wanted == 0 || wanted == meta->iface + 1;
}

/* How well a datagram fits: connected to its sender, then bound to its address, to all of its
 * family, to all. 0: not for this endpoint. */
static unsigned fit(const struct endpoint *ep, const struct tarn_ip_meta *meta,
                    const struct tarn_datagram_info *info) {
    const struct tarn_ip_addr none = TARN_IP_ADDR_NONE;
    const struct tarn_ip_addr *bound = &ep->local.addr, *dst = &info->local.addr;
    if (ep->local.port != info->local.port || !on_iface(ep->iface, meta))
        return 0;
    bool exact = tarn_ip_addr_equal(bound, dst);
    if (ep->connected)
        return exact && udp_endpoint_equal(&ep->remote, &info->remote) ? 4 : 0;
    if (exact)
        return 3;
    if (tarn_ip_addr_is_v4(bound))
        return tarn_ip_addr_is_any(bound) && tarn_ip_addr_is_v4(dst) ? 2 : 0;
    return tarn_ip_addr_equal(bound, &none) ? 1 : 0;
}

/* At most TARN_UDP_PORT_SHARERS_MAX have one port. The newest of those that fit equally well. */
static struct endpoint *find(const struct tarn_udp *udp, const struct tarn_ip_meta *meta,
                             const struct tarn_datagram_info *info) {
    struct endpoint *best = NULL;
    unsigned best_fit = 0;
    struct tarn_map_link *link = tarn_map_first(&udp->by_port, info->local.port);
    for (; link; link = tarn_map_following(link)) {
        struct endpoint *ep = TARN_CONTAINER_OF(link, struct endpoint, by_port);
        unsigned fits = fit(ep, meta, info);
        if (fits > best_fit) {
            best = ep;
            best_fit = fits;
        }
    }
    return best;
}

static bool hears_group(const struct endpoint *ep, const struct tarn_ip_meta *meta) {
    for (const struct group *g = ep->groups; g; g = g->next) {
        struct tarn_group_filter filter = udp_filter_of(g);
        if (on_iface(g->iface, meta) && tarn_ip_addr_equal(&g->addr, &meta->dst)
            && tarn_group_filter_hears(&filter, &meta->src))
            return true;
    }
    return false;
}

static bool hears(const struct endpoint *ep, const struct tarn_ip_meta *meta,
                  const struct tarn_datagram_info *info, bool multicast) {
    if (ep->local.port != info->local.port || !on_iface(ep->iface, meta))
        return false;
    if (ep->connected && !udp_endpoint_equal(&ep->remote, &info->remote))
        return false;
    if (!tarn_ip_addr_equal(&ep->bound, &meta->dst)
        && !(tarn_ip_addr_is_any(&ep->bound)
             && (!tarn_ip_addr_is_v4(&ep->bound) || tarn_ip_addr_is_v4(&meta->dst))))
        return false;
    return multicast ? hears_group(ep, meta) : ep->broadcast;
}

/* A datagram to many goes to every endpoint that hears it (RFC 1122 section 4.1.3.5): copies, and
 * the packet itself to the last. */
static bool deliver_to_all(struct tarn_udp *udp, const struct tarn_ip_meta *meta,
                           struct tarn_pkt *pkt, const struct tarn_datagram_info *info,
                           bool multicast) {
    struct endpoint *last = NULL;
    struct tarn_map_link *link = tarn_map_first(&udp->by_port, info->local.port);
    for (; link; link = tarn_map_following(link)) {
        struct endpoint *ep = TARN_CONTAINER_OF(link, struct endpoint, by_port);
        if (!hears(ep, meta, info, multicast))
            continue;
        if (last) {
            struct tarn_pkt *copy = tarn_pkt_copy(udp->config.pkts, pkt);
            if (copy)
                udp_rx_push(last, copy, info);
            else
                udp->stats.rx_no_memory++;
        }
        last = ep;
    }
    if (last)
        udp_rx_push(last, pkt, info);
    return last != NULL;
}

/* The payload alone, in one piece: readers get spans of it. Only a sender on this host lends
 * fragments, so the copy is rare. NULL: no memory, and the packet is gone. */
static struct tarn_pkt *linear_payload(struct tarn_udp *udp, struct tarn_pkt *pkt, uint16_t len) {
    tarn_pkt_trim(pkt, len);
    TARN_ASSERT(tarn_pkt_pull(pkt, UDP_HEADER_BYTES)); /* parse has read it from the head */
    if (pkt->nfrags == 0)
        return pkt;
    struct tarn_pkt *copy = tarn_pkt_copy(udp->config.pkts, pkt);
    if (!copy)
        udp->stats.rx_no_memory++;
    tarn_pkt_free(pkt);
    return copy;
}

static void refuse(struct tarn_udp *udp, const struct tarn_ip_meta *meta, struct tarn_pkt *pkt,
                   bool to_us_alone, tarn_time now) {
    struct tarn_ip_lower *lower = udp->config.lower;
    udp->stats.rx_no_endpoint++;
    if (to_us_alone && lower->ops->reject)
        lower->ops->reject(lower, meta, pkt, now);
    else
        tarn_pkt_free(pkt);
}

void tarn_udp_input(struct tarn_udp *udp, const struct tarn_ip_meta *meta, struct tarn_pkt *pkt,
                    tarn_time now) {
    struct header h;
    udp->stats.rx_datagrams++;
    if (!parse(pkt, &h) || tarn_ip_addr_is_v4(&meta->src) != tarn_ip_addr_is_v4(&meta->dst)) {
        udp->stats.rx_malformed++;
        tarn_pkt_free(pkt);
        return;
    }
    if (!csum_ok(meta, pkt, &h)) {
        udp->stats.rx_bad_csum++;
        tarn_pkt_free(pkt);
        return;
    }
    struct tarn_datagram_info info = {
        .remote = {meta->src, h.src_port},
        .local = {meta->dst, h.dst_port},
        .iface = meta->iface,
        .hops = meta->hops,
        .tos = meta->tos,
    };
    const struct tarn_ip_addr all = TARN_IP_ADDR_V4(255, 255, 255, 255);
    bool multicast = tarn_ip_addr_is_multicast(&meta->dst);
    bool to_all =
        !multicast && (meta->cast != TARN_LINK_TO_US || tarn_ip_addr_equal(&meta->dst, &all));
    if (multicast || to_all) {
        struct tarn_pkt *payload = linear_payload(udp, pkt, h.len);
        if (payload && !deliver_to_all(udp, meta, payload, &info, multicast))
            refuse(udp, meta, payload, false, now);
        return;
    }
    struct endpoint *ep = find(udp, meta, &info);
    ep = ep ? ep : udp->all;
    if (!ep) {
        refuse(udp, meta, pkt, true, now);
        return;
    }
    pkt = linear_payload(udp, pkt, h.len);
    if (pkt)
        udp_rx_push(ep, pkt, &info);
}

void tarn_udp_error(struct tarn_udp *udp, const struct tarn_ip_meta *meta, enum tarn_ip_error error,
                    struct tarn_span quoted) {
    struct tarn_datagram_info sent = {.remote.addr = meta->dst, .local.addr = meta->src};
    struct endpoint *ep = NULL;
    if (tarn_span_u16be(&quoted, &sent.local.port) && tarn_span_u16be(&quoted, &sent.remote.port))
        ep = find(udp, meta, &sent);
    if (ep && !ep->connected)
        ep = NULL;
    /* Too big: ip has lowered the path MTU, and the next no_fragment send is told. */
    if (!ep || error == TARN_IP_ERROR_TOO_BIG) {
        udp->stats.errors_ignored += !ep;
        return;
    }
    udp->stats.errors++;
    ep->error = error == TARN_IP_ERROR_PORT ? TARN_PEER : TARN_IO;
    udp_event(ep, TARN_DATAGRAM_FAILED);
}
