/* SPDX-License-Identifier: ISC */
/* The messages of IGMP, versions 1 to 3 (RFC 1112 appendix I, RFC 2236, RFC 3376 section 4). */
#include "internal.h"

#define OPTION_ROUTER_ALERT 148u
#define HEADER_BYTES (IPV4_HEADER_BYTES + 4)

/* Behind the checksum. The version is told by length and code (section 7.1). */
static bool read_query(struct tarn_span s, uint8_t code, struct member_query *q) {
    uint8_t flags, interval;
    size_t len = s.len + 4;
    if (!tarn_span_ipv4(&s, &q->group))
        return false;
    if (len == 8) {
        q->version = code ? MEMBER_V2 : MEMBER_V1;
        q->response_max = TARN_MS(100) * (code ? code : 100u);
        return true;
    }
    if (!tarn_span_u8(&s, &flags) || !tarn_span_u8(&s, &interval)
        || !tarn_span_u16be(&s, &q->source_count) || s.len < q->source_count * 4u)
        return false;
    q->version = MEMBER_V3;
    q->response_max = TARN_MS(100) * member_code_value(code, 8);
    q->robustness = flags & 7;
    q->interval = TARN_SEC(member_code_value(interval, 8));
    q->sources = s;
    return true;
}

/* What forgers off the link cannot send, as it does not pass a router (section 9.1). */
static bool has_router_alert(struct tarn_pkt *pkt, size_t header_bytes) {
    uint8_t type = 0, len;
    (void)tarn_pkt_prepend(pkt, header_bytes); /* as it came: seen again, not written */
    struct tarn_span s = tarn_span_first(tarn_pkt_head(pkt), header_bytes);
    s = tarn_span_after(s, IPV4_HEADER_BYTES);
    TARN_ASSERT(tarn_pkt_pull(pkt, header_bytes));
    while (type != OPTION_ROUTER_ALERT && tarn_span_u8(&s, &type) && type != 0)
        if (type != 1 && (!tarn_span_u8(&s, &len) || len < 2 || !tarn_span_skip(&s, len - 2u)))
            return false;
    return type == OPTION_ROUTER_ALERT;
}

static bool input(struct tarn_ip *ip, struct iface *iface, const struct tarn_ip_meta *meta,
                  struct tarn_pkt *pkt, tarn_time now) {
    struct tarn_span s = tarn_pkt_head(pkt);
    struct member_query q = {0};
    struct tarn_ip_addr group;
    uint8_t type, code;
    if (meta->hops != 1 || tarn_csum_finish(tarn_pkt_csum(pkt, 0, pkt->len)) != 0
        || !tarn_span_u8(&s, &type) || !tarn_span_u8(&s, &code) || !tarn_span_skip(&s, 2))
        return false;
    switch (type) {
    case IGMP_QUERY:
        if (!read_query(s, code, &q)
            || (q.version != MEMBER_V1 && !has_router_alert(pkt, meta->header_len))
            || !(tarn_ip_addr_is_any(&q.group) || tarn_ip_addr_is_multicast(&q.group)))
            return false;
        member_query(ip, &iface->igmp, &q, now);
        return true;
    case IGMP_REPORT_V1:
    case IGMP_REPORT_V2:
        if (!tarn_span_ipv4(&s, &group))
            return false;
        member_other_report(ip, &iface->igmp, &group, now);
        return true;
    default: return type == IGMP_LEAVE || type == IGMP_REPORT_V3;
    }
}

void igmp_input(struct tarn_ip *ip, struct iface *iface, const struct tarn_ip_meta *meta,
                struct tarn_pkt *pkt, tarn_time now) {
    ip->stats.drops_igmp += !input(ip, iface, meta, pkt, now);
    tarn_pkt_free(pkt);
}

/* With Router Alert, TTL 1 and the precedence of internetwork control (section 4). */
void igmp_send(struct tarn_ip *ip, struct iface *iface, const struct tarn_ip_addr *dst,
               struct tarn_span message, tarn_time now) {
    struct tarn_ip_addr any = TARN_IP_ADDR_NONE;
    struct path path;
    struct tarn_pkt *pkt = tarn_pkt_alloc(ip->config.pkts, message.len);
    if (!pkt) {
        ip->stats.drops_memory++;
        return;
    }
    TARN_ASSERT(path_find(ip, iface->index + 1u, &any, dst, &path) == TARN_OK);
    TARN_ASSERT(tarn_pkt_append(pkt, message));
    struct tarn_writer w = tarn_writer_over(tarn_pkt_head_bytes(pkt));
    w.len = message.len;
    tarn_writer_patch_u16be(&w, 2, tarn_csum_finish(tarn_csum_add(0, tarn_pkt_head(pkt))));
    w = tarn_pkt_prepend(pkt, HEADER_BYTES);
    tarn_writer_u8(&w, 0x46);
    tarn_writer_u8(&w, 0xc0);
    tarn_writer_u16be(&w, (uint16_t)pkt->len);
    tarn_writer_u16be(&w, 0);
    tarn_writer_u16be(&w, IPV4_DF);
    tarn_writer_u8(&w, 1);
    tarn_writer_u8(&w, TARN_IP_PROTO_IGMP);
    tarn_writer_u16be(&w, 0);
    tarn_writer_ipv4(&w, &path.src);
    tarn_writer_ipv4(&w, dst);
    tarn_writer_u32be(&w, OPTION_ROUTER_ALERT << 24 | 4u << 16);
    tarn_writer_patch_u16be(&w, 10, tarn_csum_finish(tarn_csum_add(0, tarn_writer_span(&w))));
    (void)!ip_link_send(ip, iface, &path, pkt, now);
}
