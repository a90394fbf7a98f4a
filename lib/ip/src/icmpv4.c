/* SPDX-License-Identifier: ISC */
/* ICMP for IPv4 (RFC 792, RFC 1122 section 3.2.2). */
#include "internal.h"

#define ERROR_BYTES_MAX 576u /* of the whole error message (RFC 1812 section 4.3.2.3) */

static bool checksum_is_right(const struct tarn_pkt *pkt) {
    return pkt->csum_state != TARN_CSUM_NONE
           || tarn_csum_finish(tarn_pkt_csum(pkt, 0, pkt->len)) == 0;
}

static void echo(struct tarn_ip *ip, const struct iface *iface, const struct tarn_ip_meta *meta,
                 struct tarn_pkt *pkt, tarn_time now) {
    /* An answer to all who were asked would be an amplifier (RFC 1122 section 3.2.2.6 allows both).
     * Whether another host is there is not ours to say. */
    if (meta->cast != TARN_LINK_TO_US || stands_in_for(ip, iface, &meta->dst)) {
        ip->stats.drops_icmp++;
        tarn_pkt_free(pkt);
        return;
    }
    struct tarn_bytes head = tarn_pkt_head_bytes(pkt);
    struct tarn_writer w = tarn_writer_over(head);
    struct tarn_span csum_at = tarn_span_after(tarn_bytes_span(head), 2);
    uint16_t csum;
    w.len = head.len;
    TARN_ASSERT(tarn_span_u16be(&csum_at, &csum));
    tarn_writer_patch_u16be(&w, 0, ICMPV4_ECHO_REPLY << 8);
    tarn_writer_patch_u16be(&w, 2, tarn_csum_update16(csum, ICMPV4_ECHO << 8, 0));
    pkt->csum_state = TARN_CSUM_NONE;
    struct tarn_ip_meta reply = {
        .src = meta->dst, .dst = meta->src, .proto = TARN_IP_PROTO_ICMP, .tos = meta->tos};
    if (ipv4_send(ip, &reply, pkt, now) == TARN_OK)
        ip->stats.echo_replies++;
}

static bool error_kind(uint8_t type, uint8_t code, enum tarn_ip_error *out) {
    if (type == ICMPV4_TIME_EXCEEDED && code == 0) {
        *out = TARN_IP_ERROR_HOPS;
        return true;
    }
    if (type == ICMPV4_PARAMETER) {
        *out = TARN_IP_ERROR_PARAMETER;
        return true;
    }
    if (type != ICMPV4_UNREACHABLE)
        return false;
    switch (code) {
    case 2:
    case 3: *out = TARN_IP_ERROR_PORT; return true;
    case 4: *out = TARN_IP_ERROR_TOO_BIG; return true;
    case 9:
    case 10:
    case 13: *out = TARN_IP_ERROR_PROHIBITED; return true;
    default: *out = TARN_IP_ERROR_UNREACHABLE; return code <= 15;
    }
}

/* RFC 1191 section 7.1: what a router that does not say may have meant. */
static uint16_t plateau_below(uint16_t total) {
    static const uint16_t plateaus[] = {32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68};
    for (size_t i = 0; i < TARN_COUNT_OF(plateaus); i++)
        if (TARN_AT(plateaus, i) < total)
            return TARN_AT(plateaus, i);
    return 68;
}

static void error_in(struct tarn_ip *ip, const struct iface *iface, uint8_t type, uint8_t code,
                     uint32_t rest, struct tarn_span quoted, tarn_time now) {
    struct ipv4_header h;
    enum tarn_ip_error error;
    ip->stats.icmp_errors_in++;
    /* The quoted datagram must be one that we could have sent; its total length is the original's
     * and nothing to be relied on. */
    if (!error_kind(type, code, &error) || !ipv4_parse(quoted, &h) || (h.frag & 0x1fff) != 0
        || (!own_find(ip, &h.src, NULL) && !stands_in_for(ip, iface, &h.src))
        || quoted.len < h.header_bytes + 8u) {
        ip->stats.drops_icmp++;
        return;
    }
    struct tarn_ip_upper *upper = TARN_AT(ip->uppers, h.proto);
    uint16_t mtu = 0;
    if (error == TARN_IP_ERROR_TOO_BIG) {
        mtu = (uint16_t)rest;
        if (mtu == 0)
            mtu = plateau_below(h.total);
        if (mtu < ip->config.limits.path_mtu_min)
            mtu = ip->config.limits.path_mtu_min;
        if (upper)
            pmtu_set(ip, &h.dst, mtu, now);
    }
    struct tarn_ip_meta meta = {.src = h.src,
                                .dst = h.dst,
                                .proto = h.proto,
                                .hops = h.ttl,
                                .tos = h.tos,
                                .no_fragment = h.frag & IPV4_DF};
    if (upper && upper->ops->error)
        upper->ops->error(upper, &meta, error, mtu, tarn_span_after(quoted, h.header_bytes), now);
    else
        ip->stats.drops_icmp++;
}

void icmpv4_input(struct tarn_ip *ip, struct iface *iface, const struct tarn_ip_meta *meta,
                  struct tarn_pkt *pkt, tarn_time now) {
    struct tarn_span s = tarn_pkt_head(pkt);
    uint8_t type, code;
    uint16_t csum;
    uint32_t rest;
    if (!tarn_span_u8(&s, &type) || !tarn_span_u8(&s, &code) || !tarn_span_u16be(&s, &csum)
        || !tarn_span_u32be(&s, &rest)) {
        ip->stats.drops_header++;
    } else if (!checksum_is_right(pkt)) {
        ip->stats.drops_checksum++;
    } else if (type == ICMPV4_ECHO && code == 0) {
        echo(ip, iface, meta, pkt, now);
        return;
    } else if (type == ICMPV4_UNREACHABLE || type == ICMPV4_TIME_EXCEEDED
               || type == ICMPV4_PARAMETER) {
        error_in(ip, iface, type, code, rest, s, now);
    } else if (type == ICMPV4_REDIRECT) {
        ip->stats.drops_icmp += !redirect_v4(ip, iface, meta, code, rest, s, now);
    } else {
        /* Replies to echoes are the registered upper's; source quench is not followed (RFC 6633).
         */
        struct tarn_ip_upper *upper = TARN_AT(ip->uppers, TARN_IP_PROTO_ICMP);
        if (upper) {
            ip_deliver(ip, upper, meta, pkt, now);
            return;
        }
        ip->stats.drops_icmp++;
    }
    tarn_pkt_free(pkt);
}

/* RFC 1122 section 3.2.2: never about an error, a later fragment, or what did not come from and go
 * to one host alone. */
static bool may_answer(struct tarn_span packet, const struct ipv4_header *h) {
    uint32_t src = tarn_ip_addr_v4(&h->src);
    if ((h->frag & 0x1fff) != 0 || src == 0 || src >> 28 >= 14 || src >> 24 == 127
        || tarn_ip_addr_is_multicast(&h->dst))
        return false;
    if (h->proto != TARN_IP_PROTO_ICMP)
        return true;
    struct tarn_span icmp = tarn_span_after(packet, h->header_bytes);
    uint8_t type;
    return tarn_span_u8(&icmp, &type) && (type == ICMPV4_ECHO || type == ICMPV4_ECHO_REPLY);
}

void icmpv4_error(struct tarn_ip *ip, const struct tarn_pkt *about, uint8_t type, uint8_t code,
                  uint32_t rest, tarn_time now) {
    struct tarn_span packet = tarn_pkt_head(about);
    struct ipv4_header h;
    if (!ipv4_parse(packet, &h) || !may_answer(packet, &h) || !ip_icmp_allowed(ip, now))
        return;
    struct tarn_span quote = tarn_span_first(packet, ERROR_BYTES_MAX - IPV4_HEADER_BYTES - 8);
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
    tarn_writer_patch_u16be(&w, 2, tarn_csum_finish(tarn_csum_add(0, tarn_writer_span(&w))));
    tarn_pkt_grow(pkt, w.len);
    /* What was to be forwarded is answered from the address that is nearest to its sender. */
    const struct own *own = own_find(ip, &h.dst, NULL);
    struct tarn_ip_meta meta = {.dst = h.src, .proto = TARN_IP_PROTO_ICMP};
    if (own && own_is_usable(own))
        meta.src = h.dst;
    if (ipv4_send(ip, &meta, pkt, now) == TARN_OK)
        ip->stats.icmp_errors_out++;
}
