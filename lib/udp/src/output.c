/* SPDX-License-Identifier: ISC */
/* From data to a packet for the layer below, now or at the next tick. */
#include "internal.h"

/* Where to, and by what way; the sum of every check that a send can fail. */
static enum tarn_err aim(struct endpoint *ep, const struct tarn_datagram_info *info, size_t len,
                         struct tarn_endpoint *to, struct tarn_ip_meta *meta) {
    struct tarn_ip_route route;
    bool named = info->remote.port != 0;
    if (!named && !ep->connected)
        return TARN_INVALID;
    if (ep == ep->udp->all && info->local.port == 0)
        return TARN_INVALID;
    *to = named ? info->remote : ep->remote;
    if (ep->connected && !udp_endpoint_equal(to, &ep->remote))
        return TARN_INVALID;
    bool v4 = tarn_ip_addr_is_v4(&to->addr);
    *meta = (struct tarn_ip_meta){
        .src = tarn_ip_addr_is_any(&info->local.addr) ? ep->local.addr : info->local.addr,
        .dst = to->addr,
        .proto = TARN_IP_PROTO_UDP,
        .hops = info->hops,
        .tos = info->tos,
        .no_fragment = info->no_fragment,
        .no_loop = info->no_loop,
        .iface = info->iface ? info->iface : ep->iface,
    };
    if (tarn_ip_addr_is_any(&to->addr))
        return TARN_INVALID;
    if (tarn_ip_addr_is_multicast(&meta->src)) /* bound to a group: no source address */
        meta->src = TARN_IP_ADDR_NONE;
    if (!tarn_ip_addr_is_any(&meta->src) && tarn_ip_addr_is_v4(&meta->src) != v4)
        return TARN_INVALID;
    if (tarn_ip_addr_is_v4(&ep->bound) && !v4)
        return TARN_INVALID;
    enum tarn_err err = udp_route(ep->udp, meta->iface, &meta->src, &to->addr, &route);
    if (err)
        return err;
    if (route.broadcast && !ep->broadcast)
        return TARN_INVALID;
    if (tarn_ip_addr_is_any(&meta->src)) {
        meta->src = route.src;
        if (v4 && tarn_ip_addr_is_any(&route.src)) /* no address yet: DHCP */
            meta->src = TARN_IP_ADDR_V4(0, 0, 0, 0);
    }
    size_t ip_header = v4 ? 20 : 40;
    if (len > (v4 ? 65535u - 20u : 65535u) - UDP_HEADER_BYTES)
        return TARN_INVALID;
    size_t piece = info->gso_size && info->gso_size < len ? info->gso_size : len;
    bool fits = ip_header + UDP_HEADER_BYTES + piece <= route.mtu;
    if (piece < len && (!fits || len > (size_t)piece * TARN_UDP_GSO_PIECES_MAX))
        return TARN_INVALID; /* pieces are never fragmented (the kernel's rule for UDP_SEGMENT too)
                              */
    return info->no_fragment && !fits ? TARN_LIMIT : TARN_OK;
}

/* The checksum field holds the folded pseudo-header sum for whoever completes it. */
static void put_header(const struct endpoint *ep, const struct tarn_datagram_info *info,
                       const struct tarn_endpoint *to, struct tx *tx) {
    uint32_t len = tx->pkt->len + UDP_HEADER_BYTES;
    struct tarn_writer w = tarn_pkt_prepend(tx->pkt, UDP_HEADER_BYTES);
    tarn_writer_u16be(&w, ep->local.port ? ep->local.port : info->local.port);
    tarn_writer_u16be(&w, to->port);
    tarn_writer_u16be(&w, (uint16_t)len);
    tarn_writer_u16be(&w, tarn_csum_fold(tarn_ip_pseudo_csum(&tx->meta, len)));
    tx->pkt->csum_state = TARN_CSUM_PARTIAL;
    tx->pkt->csum_start = 0;
    tx->pkt->csum_offset = UDP_CSUM_OFFSET;
    if (info->gso_size && info->gso_size < len - UDP_HEADER_BYTES) {
        tx->pkt->gso_type = TARN_GSO_UDP;
        tx->pkt->gso_size = info->gso_size;
    }
}

static enum tarn_err no_memory(struct tarn_udp *udp) {
    udp->stats.tx_no_memory++;
    return TARN_LIMIT;
}

enum tarn_err udp_make(struct endpoint *ep, const struct tarn_datagram_info *info,
                       const struct tarn_span *v, size_t nv, struct tx *out) {
    static const struct tarn_datagram_info defaults = {0};
    struct tarn_endpoint to;
    size_t len = 0;
    info = info ? info : &defaults;
    if (ep->error)
        return udp_take_error(ep);
    for (size_t i = 0; i < nv && len <= UINT16_MAX; i++)
        len += TARN_MIN(TARN_AT_N(v, nv, i).len, (size_t)UINT16_MAX + 1);
    enum tarn_err err = aim(ep, info, len, &to, &out->meta);
    if (err)
        return err;
    out->pkt = tarn_pkt_alloc(ep->udp->config.pkts, len);
    if (!out->pkt)
        return no_memory(ep->udp);
    for (size_t i = 0; i < nv; i++)
        TARN_ASSERT(tarn_pkt_append(out->pkt, TARN_AT_N(v, nv, i))); /* room for `len` was asked */
    put_header(ep, info, &to, out);
    return TARN_OK;
}

enum tarn_err udp_make_lent(struct endpoint *ep, const struct tarn_datagram_info *info,
                            struct tarn_span data, struct tarn_lease *lease, struct tx *out) {
    static const struct tarn_datagram_info defaults = {0};
    struct tarn_endpoint to;
    info = info ? info : &defaults;
    if (ep->error)
        return udp_take_error(ep);
    enum tarn_err err = aim(ep, info, data.len, &to, &out->meta);
    if (err)
        return err;
    out->pkt = tarn_pkt_alloc(ep->udp->config.pkts, 0);
    if (!out->pkt)
        return no_memory(ep->udp);
    if (data.len)
        TARN_ASSERT(tarn_pkt_lend(out->pkt, data, lease)); /* a fresh packet has fragments left */
    put_header(ep, info, &to, out);
    return TARN_OK;
}

bool udp_tx_room(const struct tarn_udp *udp) {
    return udp->tx_count < udp->config.tx_datagrams_max;
}

void udp_tx_push(struct tarn_udp *udp, const struct tx *tx) {
    uint32_t max = udp->config.tx_datagrams_max;
    TARN_ASSERT(udp_tx_room(udp));
    TARN_AT_N(udp->tx, max, (udp->tx_head + udp->tx_count) % max) = *tx;
    udp->tx_count++;
}

static enum tarn_err hand_down(struct tarn_udp *udp, const struct tx *tx, tarn_time now) {
    enum tarn_err err = udp->config.lower->ops->send(udp->config.lower, &tx->meta, tx->pkt, now);
    udp->stats.tx_datagrams++;
    udp->stats.tx_failed += err != TARN_OK;
    return err;
}

static void flush(struct tarn_udp *udp, tarn_time now) {
    uint32_t max = udp->config.tx_datagrams_max;
    while (udp->tx_count) {
        struct tx tx = TARN_AT_N(udp->tx, max, udp->tx_head);
        udp->tx_head = (udp->tx_head + 1) % max;
        udp->tx_count--;
        (void)!hand_down(udp, &tx, now); /* counted; a datagram may be lost */
    }
    tarn_tasks_run(&udp->room);
}

/* What was sent earlier and waits goes first: one endpoint's datagrams stay in order. */
enum tarn_err udp_tx_now(struct tarn_udp *udp, const struct tx *tx, tarn_time now) {
    flush(udp, now);
    return hand_down(udp, tx, now);
}

void tarn_udp_tick(struct tarn_udp *udp, tarn_time now) {
    flush(udp, now);
}

tarn_time tarn_udp_deadline(const struct tarn_udp *udp) {
    return udp->tx_count || tarn_tasks_pending(&udp->room) ? 0 : TARN_NEVER;
}
