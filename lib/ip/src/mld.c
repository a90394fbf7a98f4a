/* SPDX-License-Identifier: ISC */
/* The messages of MLD, versions 1 and 2 (RFC 2710, RFC 3810 section 5), and RFC 3590 for what is
 * said before there is an address. */
#include "internal.h"

/* Behind the checksum. The version is told by the length (section 8.1). */
static bool read_query(struct tarn_span s, struct member_query *q) {
    uint8_t flags, interval;
    uint16_t code;
    size_t len = s.len + 4;
    if (!tarn_span_u16be(&s, &code) || !tarn_span_skip(&s, 2) || !tarn_span_ipv6(&s, &q->group))
        return false;
    if (len == 24) {
        q->version = MEMBER_V2;
        q->response_max = TARN_MS(code);
        return true;
    }
    if (!tarn_span_u8(&s, &flags) || !tarn_span_u8(&s, &interval)
        || !tarn_span_u16be(&s, &q->source_count) || s.len < q->source_count * 16u)
        return false;
    q->version = MEMBER_V3;
    q->response_max = TARN_MS(member_code_value(code, 16));
    q->robustness = flags & 7;
    q->interval = TARN_SEC(member_code_value(interval, 8));
    q->sources = s;
    return true;
}

bool mld_input(struct tarn_ip *ip, struct iface *iface, uint8_t type, struct tarn_span body,
               tarn_time now) {
    struct member_query q = {0};
    struct tarn_ip_addr group;
    switch (type) {
    case MLD_QUERY:
        if (!read_query(body, &q)
            || !(tarn_ip_addr_is_any(&q.group) || tarn_ip_addr_is_multicast(&q.group)))
            return false;
        member_query(ip, &iface->mld, &q, now);
        return true;
    case MLD_REPORT_V1:
        if (!tarn_span_skip(&body, 4) || !tarn_span_ipv6(&body, &group))
            return false;
        member_other_report(ip, &iface->mld, &group, now);
        return true;
    default: return true;
    }
}

/* From a link-local address, or while there is none from "::" (RFC 3590 section 4): reports about
 * the group in which that very address is asked for come before it. */
static struct tarn_ip_addr source_of(const struct iface *iface) {
    for (const struct own *own = iface->addrs; own; own = own->next)
        if (own_is_usable(own) && tarn_ip_addr_is_link_local(&own->prefix.addr)
            && !tarn_ip_addr_is_v4(&own->prefix.addr))
            return own->prefix.addr;
    return TARN_IP_ADDR_NONE;
}

void mld_send(struct tarn_ip *ip, struct iface *iface, const struct tarn_ip_addr *dst,
              struct tarn_span message, tarn_time now) {
    struct tarn_ip_meta meta = {
        .src = source_of(iface), .dst = *dst, .proto = IPV6_HOP_BY_HOP, .hops = 1};
    struct tarn_pkt *pkt = tarn_pkt_alloc(ip->config.pkts, message.len);
    if (!pkt) {
        ip->stats.drops_memory++;
        return;
    }
    TARN_ASSERT(tarn_pkt_append(pkt, message));
    icmpv6_checksum(pkt, &meta.src, &meta.dst);
    struct tarn_writer w = tarn_pkt_prepend(pkt, 8);
    tarn_writer_u16be(&w, TARN_IP_PROTO_ICMPV6 << 8);
    tarn_writer_u16be(&w, IPV6_OPTION_ROUTER_ALERT << 8 | 2);
    tarn_writer_u16be(&w, 0); /* MLD (RFC 2711 section 2.1) */
    tarn_writer_u16be(&w, 1 << 8);
    (void)!ipv6_transmit(ip, iface, dst, NULL, &meta, pkt, now);
}
