/* SPDX-License-Identifier: ISC */
#include "internal.h"

bool ipv4_parse(struct tarn_span s, struct ipv4_header *h) {
    size_t whole = s.len;
    uint8_t vihl;
    uint16_t csum;
    if (!tarn_span_u8(&s, &vihl) || !tarn_span_u8(&s, &h->tos) || !tarn_span_u16be(&s, &h->total)
        || !tarn_span_u16be(&s, &h->id) || !tarn_span_u16be(&s, &h->frag)
        || !tarn_span_u8(&s, &h->ttl) || !tarn_span_u8(&s, &h->proto) || !tarn_span_u16be(&s, &csum)
        || !tarn_span_ipv4(&s, &h->src) || !tarn_span_ipv4(&s, &h->dst))
        return false;
    h->header_bytes = (uint8_t)((vihl & 15) * 4);
    return vihl >> 4 == 4 && h->header_bytes >= IPV4_HEADER_BYTES && h->header_bytes <= whole
           && h->total >= h->header_bytes;
}

enum { OPTION_END = 0, OPTION_NOP = 1, OPTION_LSRR = 131, OPTION_SSRR = 137 };

/* RFC 791 section 3.1: every option but two has a length that counts itself. `at` is where it went
 * wrong. Forty bytes at most, so the loop is bounded. */
static bool options_are_right(struct tarn_span header, uint8_t *at) {
    struct tarn_span s = tarn_span_after(header, IPV4_HEADER_BYTES);
    uint8_t type, len;
    for (;;) {
        *at = (uint8_t)(header.len - s.len);
        if (!tarn_span_u8(&s, &type) || type == OPTION_END)
            return true;
        if (type == OPTION_NOP)
            continue;
        if (!tarn_span_u8(&s, &len) || len < 2 || !tarn_span_skip(&s, len - 2u))
            return false;
        /* RFC 7126 sections 4.3 and 4.4: a source route lets others choose our paths. */
        if (type == OPTION_LSRR || type == OPTION_SSRR)
            return false;
    }
}

/* Addresses that no packet on a wire has (RFC 1122 section 3.2.1.3, RFC 6890). */
static bool is_martian(const struct tarn_ip *ip, const struct iface *iface,
                       const struct ipv4_header *h) {
    uint32_t src = tarn_ip_addr_v4(&h->src), dst = tarn_ip_addr_v4(&h->dst);
    if (src >> 28 == 14 || src >> 28 == 15 || src >> 24 == 127 || dst >> 24 == 127
        || dst >> 24 == 0)
        return true;
    /* 0.0.0.0 is who has no address yet and speaks to all (DHCP), or a switch that asks for groups
     * in a router's place (RFC 4541 section 2.1.1). */
    if (src >> 24 == 0 && (src != 0 || (dst != UINT32_MAX && h->proto != TARN_IP_PROTO_IGMP)))
        return true;
    return is_broadcast(iface, &h->src) || own_find(ip, &h->src, NULL) != NULL;
}

/* How the packet concerns us: what it was sent to must agree with how the link says it came
 * (RFC 1122 section 3.3.6). */
static bool is_ours(const struct tarn_ip *ip, const struct iface *iface,
                    const struct tarn_link_meta *meta, const struct ipv4_header *h, uint8_t *cast) {
    const struct own *own = own_find(ip, &h->dst, iface);
    if ((own && own_is_usable(own)) || stands_in_for(ip, iface, &h->dst)) {
        *cast = TARN_LINK_TO_US;
        return meta->cast == TARN_LINK_TO_US;
    }
    if (tarn_ip_addr_is_multicast(&h->dst)) {
        *cast = TARN_LINK_TO_GROUP;
        return group_is_joined(ip, iface, &h->dst);
    }
    *cast = TARN_LINK_TO_ALL;
    return is_broadcast(iface, &h->dst);
}

static void drop(struct tarn_pkt *pkt, uint64_t *counter) {
    ++*counter;
    tarn_pkt_free(pkt);
}

/* `pkt` is at its data, the header in front of it. */
static void deliver(struct tarn_ip *ip, struct iface *iface, const struct ipv4_header *h,
                    uint8_t cast, struct tarn_pkt *pkt, tarn_time now) {
    struct tarn_ip_meta meta = {.src = h->src,
                                .dst = h->dst,
                                .proto = h->proto,
                                .hops = h->ttl,
                                .tos = h->tos,
                                .no_fragment = h->frag & IPV4_DF,
                                .cast = cast,
                                .iface = iface->index,
                                .header_len = h->header_bytes};
    struct tarn_ip_upper *upper = TARN_AT(ip->uppers, h->proto);
    if (h->proto == TARN_IP_PROTO_ICMP) {
        icmpv4_input(ip, iface, &meta, pkt, now);
    } else if (h->proto == TARN_IP_PROTO_IGMP) {
        igmp_input(ip, iface, &meta, pkt, now);
    } else if (cast == TARN_LINK_TO_GROUP && !group_hears(ip, iface, &h->dst, &h->src)) {
        drop(pkt, &ip->stats.drops_source);
    } else if (upper) {
        ip_deliver(ip, upper, &meta, pkt, now);
    } else {
        (void)tarn_pkt_prepend(pkt, h->header_bytes);
        if (cast == TARN_LINK_TO_US)
            icmpv4_error(ip, pkt, ICMPV4_UNREACHABLE, 2, 0, now);
        drop(pkt, &ip->stats.drops_protocol);
    }
}

/* Header, checksum, lengths and options; cuts off what the link padded. False: the packet is gone.
 */
static bool check_header(struct tarn_ip *ip, const struct iface *iface, bool from_us,
                         struct tarn_pkt *pkt, struct ipv4_header *h, tarn_time now) {
    struct tarn_span head = tarn_pkt_head(pkt);
    if (!ipv4_parse(head, h) || h->total > pkt->len) {
        drop(pkt, &ip->stats.drops_header);
        return false;
    }
    struct tarn_span header = tarn_span_first(head, h->header_bytes);
    if (!from_us && tarn_csum_finish(tarn_csum_add(0, header)) != 0) {
        drop(pkt, &ip->stats.drops_checksum);
        return false;
    }
    /* Before anything else looks at a length: nothing behind the datagram is part of it. */
    tarn_pkt_trim(pkt, h->total);
    uint8_t at;
    if (!options_are_right(header, &at)) {
        const struct own *own = own_find(ip, &h->dst, iface);
        if (!from_us && own && own_is_usable(own))
            icmpv4_error(ip, pkt, ICMPV4_PARAMETER, 0, (uint32_t)at << 24, now);
        drop(pkt, &ip->stats.drops_options);
        return false;
    }
    return true;
}

struct tarn_pkt *ipv4_reassemble(struct tarn_ip *ip, const struct iface *iface,
                                 struct ipv4_header *h, uint8_t cast, struct tarn_pkt *pkt,
                                 tarn_time now) {
    struct reass_key key = {
        .src = h->src, .dst = h->dst, .id = h->id, .iface = iface->index, .proto = h->proto};
    uint32_t off = (h->frag & 0x1fffu) * 8u;
    uint16_t header_bytes = 0;
    TARN_ASSERT(tarn_pkt_pull(pkt, h->header_bytes));
    struct tarn_pkt *whole =
        reass_add(ip, &key, off, h->frag & IPV4_MF, h->header_bytes, cast, pkt, &header_bytes, now);
    if (!whole)
        return NULL;
    /* The first fragment's header, as that of an unfragmented datagram: for whoever quotes it. */
    (void)tarn_pkt_prepend(whole, header_bytes);
    struct tarn_bytes header = tarn_bytes_first(tarn_pkt_head_bytes(whole), header_bytes);
    struct tarn_writer w = tarn_writer_over(header);
    w.len = header.len;
    tarn_writer_patch_u16be(&w, 2, (uint16_t)whole->len);
    tarn_writer_patch_u16be(&w, 6, 0);
    tarn_writer_patch_u16be(&w, 10, 0);
    tarn_writer_patch_u16be(&w, 10, tarn_csum_finish(tarn_csum_add(0, tarn_bytes_span(header))));
    TARN_ASSERT(ipv4_parse(tarn_pkt_head(whole), h) && tarn_pkt_pull(whole, header_bytes));
    return whole;
}

void ipv4_input(struct tarn_ip *ip, struct iface *iface, const struct tarn_link_meta *meta,
                struct tarn_pkt *pkt, tarn_time now) {
    struct ipv4_header h;
    uint8_t cast = TARN_LINK_TO_US;
    if (!check_header(ip, iface, !meta, pkt, &h, now))
        return;
    if (meta) {
        if (is_martian(ip, iface, &h)) {
            drop(pkt, &ip->stats.drops_martian);
            return;
        }
        if (ip->forwarder && meta->cast == TARN_LINK_TO_US && !is_broadcast(iface, &h.dst)
            && !tarn_ip_addr_is_multicast(&h.dst)) {
            pkt = forward_ipv4(ip, iface, &h, pkt, now);
            if (!pkt)
                return;
        } else if (!is_ours(ip, iface, meta, &h, &cast)) {
            drop(pkt, &ip->stats.drops_destination);
            return;
        }
    } else if (tarn_ip_addr_is_multicast(&h.dst)) {
        cast = TARN_LINK_TO_GROUP;
    }
    if (h.frag & (IPV4_MF | 0x1fff)) {
        pkt = ipv4_reassemble(ip, iface, &h, cast, pkt, now);
        if (!pkt)
            return;
    } else {
        TARN_ASSERT(tarn_pkt_pull(pkt, h.header_bytes));
    }
    deliver(ip, iface, &h, cast, pkt, now);
}
