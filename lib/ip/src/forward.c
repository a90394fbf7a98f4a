/* SPDX-License-Identifier: ISC */
/* Forwarding (RFC 1812, RFC 8200), for who has said what may pass. Only whole IPv4 datagrams are
 * shown to the forwarder, since what translates or filters has to see ports; IPv6's fragments are
 * the hosts' matter and are shown as they come. */
#include "internal.h"

void tarn_ip_forward_by(struct tarn_ip *ip, struct tarn_ip_forwarder *forwarder) {
    ip->forwarder = forwarder;
}

/* A packet on its way through, in both families. */
struct passing {
    struct iface *iface;       /* where it came in */
    struct tarn_pkt *pkt;      /* at its IP header */
    struct tarn_pkt *original; /* its beginning as it came, where an error may have to quote it */
    bool v4, may_fragment, changed; /* changed: translated */
    uint8_t hops, proto, header_bytes;
    uint16_t id;
    uint8_t tos;
    struct tarn_ip_addr src, dst;
};

static void end(struct passing *p, uint64_t *counter) {
    ++*counter;
    tarn_pkt_free(p->pkt);
    tarn_pkt_free(p->original);
}

/* The longest packet that leaves: of a segmented one, a piece with its headers. */
static uint32_t longest(const struct passing *p) {
    const struct tarn_pkt *pkt = p->pkt;
    if (pkt->gso_size == 0)
        return pkt->len;
    struct tarn_span transport = tarn_span_after(tarn_pkt_head(pkt), p->header_bytes);
    bool udp = pkt->gso_type == TARN_GSO_UDP;
    uint32_t header = udp || transport.len < 13 ? 8 : (tarn_span_at(transport, 12) >> 4) * 4u;
    return p->header_bytes + header + pkt->gso_size;
}

/* The forwarder may translate the packet, and the sender knows it as it was. Only what can come to
 * an error is worth a copy. */
static void keep_original(struct tarn_ip *ip, struct passing *p) {
    uint32_t least = UINT32_MAX;
    for (unsigned i = 0; i < ip->iface_count; i++)
        least = TARN_MIN(least, (uint32_t)TARN_AT(ip->ifaces, i).mtu);
    if (p->hops > 1 && longest(p) <= least)
        return;
    struct tarn_span quote = tarn_span_first(tarn_pkt_head(p->pkt), IPV6_MTU_MIN);
    p->original = tarn_pkt_alloc(ip->config.pkts, quote.len);
    if (p->original)
        TARN_ASSERT(tarn_pkt_append(p->original, quote));
}

enum trouble { TROUBLE_HOPS, TROUBLE_NO_ROUTE, TROUBLE_TOO_BIG };

/* What was translated and not kept cannot be quoted: the sender would not know it. */
static void answer(struct tarn_ip *ip, const struct passing *p, enum trouble trouble, uint16_t mtu,
                   tarn_time now) {
    static const uint8_t types[][2] = {
        [TROUBLE_HOPS] = {ICMPV4_TIME_EXCEEDED, ICMPV6_TIME_EXCEEDED},
        [TROUBLE_NO_ROUTE] = {ICMPV4_UNREACHABLE, ICMPV6_UNREACHABLE},
        [TROUBLE_TOO_BIG] = {ICMPV4_UNREACHABLE, ICMPV6_TOO_BIG},
    };
    const struct tarn_pkt *about = p->original ? p->original : p->pkt;
    if (p->changed && !p->original)
        return;
    uint8_t type = TARN_AT(TARN_AT(types, trouble), p->v4 ? 0u : 1u);
    if (p->v4) /* RFC 1191 section 4: code 4, and the MTU in the low half */
        icmpv4_error(ip, about, type, trouble == TROUBLE_TOO_BIG ? 4 : 0, mtu, now);
    else
        icmpv6_error(ip, p->iface, about, type, 0, mtu, now);
}

/* One hop less, and the header's checksum with it (RFC 1624). */
static void count_hop(struct passing *p) {
    struct tarn_bytes head = tarn_pkt_head_bytes(p->pkt);
    uint8_t *hops = tarn_bytes_at(head, p->v4 ? 8 : 7);
    if (p->v4) {
        struct tarn_span s = tarn_span_after(tarn_bytes_span(head), 10);
        struct tarn_writer w = tarn_writer_over(head);
        uint16_t before = (uint16_t)(*hops << 8 | p->proto), csum;
        TARN_ASSERT(tarn_span_u16be(&s, &csum));
        w.len = w.cap;
        tarn_writer_patch_u16be(&w, 10,
                                tarn_csum_update16(csum, before, (uint16_t)(before - 0x100)));
    }
    --*hops;
}

/* RFC 1812 section 4.2.2.7. A header with another source gets another identification, since those
 * of several hosts may be alike (RFC 6864 section 5.3.1). */
static void send_in_pieces(struct tarn_ip *ip, struct passing *p, const struct path *path,
                           tarn_time now) {
    struct tarn_ip_meta meta = {.src = p->src, .dst = p->dst, .proto = p->proto, .tos = p->tos};
    uint16_t id = p->id;
    if (id == 0 || own_find(ip, &p->src, NULL))
        id = (uint16_t)fragment_id(ip, &meta, 1);
    TARN_ASSERT(tarn_pkt_pull(p->pkt, p->header_bytes));
    (void)ipv4_send_fragments(ip, path, &meta, p->hops, path->iface->mtu, id, p->pkt, now);
}

static void send_on(struct tarn_ip *ip, struct passing *p, tarn_time now) {
    struct path path = {0};
    if (p->hops <= 1) {
        answer(ip, p, TROUBLE_HOPS, 0, now);
        end(p, &ip->stats.drops_hops);
        return;
    }
    if (path_way(ip, 0, &p->dst, &path) || path.local || path.kind != TARN_LINK_NEIGHBOUR) {
        answer(ip, p, TROUBLE_NO_ROUTE, 0, now);
        end(p, &ip->stats.drops_no_route);
        return;
    }
    uint16_t mtu = p->v4 ? path.iface->mtu : path.iface->mtu6;
    bool fits = longest(p) <= mtu;
    if (!fits && (!p->may_fragment || p->pkt->gso_size)) {
        answer(ip, p, TROUBLE_TOO_BIG, mtu, now);
        end(p, &ip->stats.drops_too_big);
        return;
    }
    tarn_pkt_free(p->original);
    ip->stats.forwarded++;
    if (p->pkt->csum_state == TARN_CSUM_VERIFIED) /* right, and a receiver's word */
        p->pkt->csum_state = TARN_CSUM_NONE;
    count_hop(p);
    p->hops--;
    if (!fits)
        send_in_pieces(ip, p, &path, now);
    else if (p->v4)
        (void)ip_link_send(ip, path.iface, &path, p->pkt, now);
    else
        (void)ndp_output(ip, path.iface, &path.next_hop, p->pkt, now);
}

/* Where the packet goes once the forwarder has seen it. True: here, and it is the caller's again.
 */
static bool is_here(const struct tarn_ip *ip, struct passing *p) {
    const struct own *own = own_find(ip, &p->dst, NULL);
    if (!own || !own_is_usable(own))
        return false;
    tarn_pkt_free(p->original);
    return true;
}

static bool passes(struct tarn_ip *ip, struct passing *p, tarn_time now) {
    struct tarn_ip_forwarder *f = ip->forwarder;
    bool own = own_find(ip, &p->dst, NULL) != NULL;
    keep_original(ip, p);
    if (f->ops->pass(f, p->iface->index, own, p->pkt, now))
        return true;
    end(p, &ip->stats.drops_forward);
    return false;
}

struct tarn_pkt *forward_ipv4(struct tarn_ip *ip, struct iface *iface, struct ipv4_header *h,
                              struct tarn_pkt *pkt, tarn_time now) {
    if (h->frag & (IPV4_MF | 0x1fff)) {
        pkt = ipv4_reassemble(ip, iface, h, TARN_LINK_TO_US, pkt, now);
        if (!pkt)
            return NULL;
        (void)tarn_pkt_prepend(pkt, h->header_bytes);
    }
    struct passing p = {.iface = iface,
                        .pkt = pkt,
                        .v4 = true,
                        .may_fragment = !(h->frag & IPV4_DF),
                        .hops = h->ttl,
                        .proto = h->proto,
                        .header_bytes = h->header_bytes,
                        .tos = h->tos,
                        .id = h->id,
                        .src = h->src,
                        .dst = h->dst};
    if (!passes(ip, &p, now))
        return NULL;
    TARN_ASSERT(ipv4_parse(tarn_pkt_head(pkt), h)); /* as the forwarder left it */
    p.changed = !tarn_ip_addr_equal(&p.src, &h->src) || !tarn_ip_addr_equal(&p.dst, &h->dst);
    p.src = h->src;
    p.dst = h->dst;
    if (is_here(ip, &p))
        return pkt;
    send_on(ip, &p, now);
    return NULL;
}

/* RFC 4291 section 2.5.6: what has link-local addresses stays on its link. */
struct tarn_pkt *forward_ipv6(struct tarn_ip *ip, struct iface *iface, struct ipv6_header *h,
                              struct tarn_pkt *pkt, tarn_time now) {
    struct passing p = {.iface = iface,
                        .pkt = pkt,
                        .hops = h->hops,
                        .header_bytes = IPV6_HEADER_BYTES,
                        .dst = h->dst};
    bool local = tarn_ip_addr_is_link_local(&h->dst) || tarn_ip_addr_is_link_local(&h->src);
    if (!local && !passes(ip, &p, now))
        return NULL;
    TARN_ASSERT(ipv6_parse(tarn_pkt_head(pkt), h));
    p.dst = h->dst;
    if (is_here(ip, &p))
        return pkt;
    if (local || tarn_ip_addr_is_any(&h->src))
        end(&p, &ip->stats.drops_destination);
    else
        send_on(ip, &p, now);
    return NULL;
}
