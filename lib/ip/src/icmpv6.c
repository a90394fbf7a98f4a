/* SPDX-License-Identifier: ISC */
/* ICMP for IPv6 (RFC 4443); neighbour discovery is in ndp*.c. */
#include "internal.h"

void icmpv6_checksum(struct tarn_pkt *pkt, const struct tarn_ip_addr *src,
                     const struct tarn_ip_addr *dst) {
    struct tarn_ip_meta meta = {.src = *src, .dst = *dst, .proto = TARN_IP_PROTO_ICMPV6};
    struct tarn_bytes head = tarn_pkt_head_bytes(pkt);
    struct tarn_writer w = tarn_writer_over(head);
    w.len = head.len;
    tarn_writer_patch_u16be(&w, 2, 0);
    uint32_t sum = tarn_csum_add(tarn_ip_pseudo_csum(&meta, pkt->len), tarn_bytes_span(head));
    tarn_writer_patch_u16be(&w, 2, tarn_csum_finish(sum));
}

static bool checksum_is_right(const struct tarn_pkt *pkt, const struct tarn_ip_meta *meta) {
    return pkt->csum_state != TARN_CSUM_NONE
           || tarn_csum_finish(tarn_csum_join(tarn_ip_pseudo_csum(meta, pkt->len),
                                              tarn_pkt_csum(pkt, 0, pkt->len), 0))
                  == 0;
}

/* A link-local address means something on its own link only. */
static uint8_t scope_of(const struct tarn_ip_addr *dst, unsigned iface) {
    return tarn_ip_addr_is_link_local(dst) ? (uint8_t)(iface + 1) : 0;
}

static void echo(struct tarn_ip *ip, const struct iface *iface, const struct tarn_ip_meta *meta,
                 struct tarn_pkt *pkt, tarn_time now) {
    /* An answer to a group's echo may be sent (RFC 4443 section 4.2), and would amplify. Whether
     * another host is there is not ours to say. */
    if (meta->cast != TARN_LINK_TO_US || tarn_ip_addr_is_any(&meta->src)
        || stands_in_for(ip, iface, &meta->dst)) {
        ip->stats.drops_icmp++;
        tarn_pkt_free(pkt);
        return;
    }
    struct tarn_ip_meta reply = {.src = meta->dst,
                                 .dst = meta->src,
                                 .proto = TARN_IP_PROTO_ICMPV6,
                                 .tos = meta->tos,
                                 .iface = scope_of(&meta->src, meta->iface)};
    *tarn_bytes_at(tarn_pkt_head_bytes(pkt), 0) = ICMPV6_ECHO_REPLY;
    icmpv6_checksum(pkt, &reply.src, &reply.dst);
    pkt->csum_state = TARN_CSUM_NONE;
    if (ipv6_send(ip, &reply, pkt, now) == TARN_OK)
        ip->stats.echo_replies++;
}

static bool error_kind(uint8_t type, uint8_t code, enum tarn_ip_error *out) {
    static const enum tarn_ip_error unreachable[] = {
        TARN_IP_ERROR_UNREACHABLE, TARN_IP_ERROR_PROHIBITED, TARN_IP_ERROR_UNREACHABLE,
        TARN_IP_ERROR_UNREACHABLE, TARN_IP_ERROR_PORT,       TARN_IP_ERROR_PROHIBITED,
        TARN_IP_ERROR_PROHIBITED,
    };
    switch (type) {
    case ICMPV6_UNREACHABLE:
        if (code >= TARN_COUNT_OF(unreachable))
            return false;
        *out = TARN_AT(unreachable, code);
        return true;
    case ICMPV6_TOO_BIG: *out = TARN_IP_ERROR_TOO_BIG; return true;
    case ICMPV6_TIME_EXCEEDED: *out = TARN_IP_ERROR_HOPS; return code == 0;
    case ICMPV6_PARAMETER:
        /* Code 1: a next header that is not known there, as a protocol nobody speaks. */
        *out = code == 1 ? TARN_IP_ERROR_PORT : TARN_IP_ERROR_PARAMETER;
        return true;
    default: return false;
    }
}

/* The transport in a quoted packet: what we send has a fragment header at most. */
static bool quoted_transport(struct tarn_span *s, uint8_t *next) {
    uint16_t field;
    if (*next != IPV6_FRAGMENT)
        return true;
    return tarn_span_u8(s, next) && tarn_span_skip(s, 1) && tarn_span_u16be(s, &field)
           && (field & 0xfff8) == 0 && tarn_span_skip(s, 4);
}

static void error_in(struct tarn_ip *ip, const struct iface *iface, uint8_t type, uint8_t code,
                     uint32_t rest, struct tarn_span quoted, tarn_time now) {
    struct ipv6_header h;
    enum tarn_ip_error error;
    ip->stats.icmp_errors_in++;
    if (!error_kind(type, code, &error) || !ipv6_parse(quoted, &h)
        || (!own_find(ip, &h.src, NULL) && !stands_in_for(ip, iface, &h.src))) {
        ip->stats.drops_icmp++;
        return;
    }
    struct tarn_span s = tarn_span_after(quoted, IPV6_HEADER_BYTES);
    uint8_t next = h.next;
    if (!quoted_transport(&s, &next) || s.len < 8) {
        ip->stats.drops_icmp++;
        return;
    }
    struct tarn_ip_upper *upper = TARN_AT(ip->uppers, next);
    uint32_t mtu = 0;
    if (error == TARN_IP_ERROR_TOO_BIG) {
        /* RFC 8201 section 4: never under the minimum, whatever is said. */
        mtu = TARN_MAX(rest, (uint32_t)IPV6_MTU_MIN);
        if (upper && mtu <= UINT16_MAX)
            pmtu_set(ip, &h.dst, (uint16_t)mtu, now);
    }
    struct tarn_ip_meta meta = {
        .src = h.src, .dst = h.dst, .proto = next, .hops = h.hops, .tos = h.tos};
    if (upper && upper->ops->error)
        upper->ops->error(upper, &meta, error, mtu, s, now);
    else
        ip->stats.drops_icmp++;
}

void icmpv6_input(struct tarn_ip *ip, struct iface *iface, const struct tarn_ip_meta *meta,
                  struct icmpv6_context context, struct tarn_pkt *pkt, tarn_time now) {
    struct tarn_span s = tarn_pkt_head(pkt);
    struct tarn_ip_upper *upper = TARN_AT(ip->uppers, TARN_IP_PROTO_ICMPV6);
    uint8_t type, code;
    uint16_t csum;
    uint32_t rest;
    if (!tarn_span_u8(&s, &type) || !tarn_span_u8(&s, &code) || !tarn_span_u16be(&s, &csum)) {
        ip->stats.drops_header++;
    } else if (!checksum_is_right(pkt, meta)) {
        ip->stats.drops_checksum++;
    } else if (type == ICMPV6_ECHO && code == 0) {
        echo(ip, iface, meta, pkt, now);
        return;
    } else if (type >= ICMPV6_RS && type <= ICMPV6_REDIRECT) {
        /* RFC 4861's checks on all of them, and RFC 6980's. From off the link comes none. */
        if (meta->hops != 255 || code != 0 || context.fragmented || !iface->ipv6)
            ip->stats.drops_icmp++;
        else
            ndp_input(ip, iface, meta, type, s, now);
    } else if ((type >= MLD_QUERY && type <= MLD_DONE) || type == MLD_REPORT_V2) {
        /* RFC 3810 section 6.2: nobody off the link can have sent it. */
        ip->stats.drops_icmp += meta->hops != 1 || context.fragmented || !context.router_alert
                                || !tarn_ip_addr_is_link_local(&meta->src) || !iface->ipv6
                                || !mld_input(ip, iface, type, s, now);
    } else if (type < ICMPV6_ECHO) {
        if (tarn_span_u32be(&s, &rest))
            error_in(ip, iface, type, code, rest, s, now);
        else
            ip->stats.drops_header++;
    } else if (upper) {
        ip_deliver(ip, upper, meta, pkt, now);
        return;
    } else {
        ip->stats.drops_icmp++;
    }
    tarn_pkt_free(pkt);
}

/* RFC 4443 section 2.4 (e). */
static bool may_answer(struct tarn_span packet, const struct ipv6_header *h, uint8_t type,
                       uint8_t code) {
    bool group_too = type == ICMPV6_TOO_BIG || (type == ICMPV6_PARAMETER && code == 2);
    if (tarn_ip_addr_is_any(&h->src) || tarn_ip_addr_is_multicast(&h->src)
        || (tarn_ip_addr_is_multicast(&h->dst) && !group_too))
        return false;
    uint8_t next = h->next, icmp;
    struct tarn_span s = tarn_span_after(packet, IPV6_HEADER_BYTES);
    /* An error hidden behind extension headers is still one. */
    for (unsigned i = 0; i < 8 && next != TARN_IP_PROTO_ICMPV6; i++) {
        uint8_t len;
        if (next != IPV6_HOP_BY_HOP && next != IPV6_ROUTING && next != IPV6_OPTIONS
            && next != IPV6_FRAGMENT)
            return true;
        bool fixed = next == IPV6_FRAGMENT;
        if (!tarn_span_u8(&s, &next) || !tarn_span_u8(&s, &len)
            || !tarn_span_skip(&s, fixed ? 6u : len * 8u + 6u))
            return true;
    }
    return !tarn_span_u8(&s, &icmp) || (icmp >= ICMPV6_ECHO && icmp != ICMPV6_REDIRECT);
}

void icmpv6_error(struct tarn_ip *ip, struct iface *iface, const struct tarn_pkt *about,
                  uint8_t type, uint8_t code, uint32_t rest, tarn_time now) {
    struct tarn_span packet = tarn_pkt_head(about);
    struct ipv6_header h;
    if (!ipv6_parse(packet, &h) || !may_answer(packet, &h, type, code) || !ip_icmp_allowed(ip, now))
        return;
    struct tarn_ip_meta meta = {.src = h.dst,
                                .dst = h.src,
                                .proto = TARN_IP_PROTO_ICMPV6,
                                .iface = scope_of(&h.src, iface->index)};
    const struct own *own = own_find(ip, &h.dst, NULL);
    if (!own || !own_is_usable(own)) /* a group, or to be forwarded */
        meta.src = TARN_IP_ADDR_NONE;
    struct path path;
    if (path_find(ip, meta.iface, &meta.src, &meta.dst, &path))
        return;
    meta.src = path.src;
    struct tarn_span quote = tarn_span_first(packet, IPV6_MTU_MIN - IPV6_HEADER_BYTES - 8);
    struct tarn_pkt *pkt = tarn_pkt_alloc(ip->config.pkts, 8 + quote.len);
    if (!pkt) {
        ip->stats.drops_memory++;
        return;
    }
    struct tarn_writer w = tarn_writer_over(tarn_pkt_tailroom(pkt));
    tarn_writer_u8(&w, type);
    tarn_writer_u8(&w, code);
    tarn_writer_u16be(&w, 0);
    tarn_writer_u32be(&w, rest);
    tarn_writer_span_put(&w, quote);
    tarn_pkt_grow(pkt, w.len);
    icmpv6_checksum(pkt, &meta.src, &meta.dst);
    if (ipv6_send(ip, &meta, pkt, now) == TARN_OK)
        ip->stats.icmp_errors_out++;
}
