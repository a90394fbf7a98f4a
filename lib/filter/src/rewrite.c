/* SPDX-License-Identifier: ISC */
/* Changing addresses and ports of IPv4 packets in place, with their checksums. */
#include <tarn/csum.h>

#include "internal.h"

#define IP_CSUM 10u
#define TCP_CSUM 16u
#define UDP_CSUM 6u
#define ICMP_CSUM 2u
#define ICMP_ID 4u

static uint16_t get16(struct tarn_bytes b, size_t at) {
    return (uint16_t)(*tarn_bytes_at(b, at) << 8 | *tarn_bytes_at(b, at + 1));
}

static void put16(struct tarn_bytes b, size_t at, uint16_t v) {
    *tarn_bytes_at(b, at) = (uint8_t)(v >> 8);
    *tarn_bytes_at(b, at + 1) = (uint8_t)v;
}

/* A PARTIAL field is a plain sum, a finished one its complement. */
static uint16_t update(uint16_t field, bool partial, uint16_t before, uint16_t after) {
    return partial ? (uint16_t)~tarn_csum_update16((uint16_t)~field, before, after)
                   : tarn_csum_update16(field, before, after);
}

static uint16_t update_addr(uint16_t field, bool partial, uint32_t before, uint32_t after) {
    field = update(field, partial, (uint16_t)(before >> 16), (uint16_t)(after >> 16));
    return update(field, partial, (uint16_t)before, (uint16_t)after);
}

static uint32_t set_addr(struct tarn_bytes b, const struct view *v, bool src, uint32_t to) {
    size_t at = v->ip + (src ? 12 : 16);
    uint32_t was = (uint32_t)get16(b, at) << 16 | get16(b, at + 2);
    put16(b, at, (uint16_t)(to >> 16));
    put16(b, at + 2, (uint16_t)to);
    put16(b, v->ip + IP_CSUM, update_addr(get16(b, v->ip + IP_CSUM), false, was, to));
    return was;
}

void filter_rewrite_addr(struct tarn_pkt *pkt, const struct view *v, bool src,
                         const struct tarn_ip_addr *to) {
    set_addr(tarn_pkt_head_bytes(pkt), v, src, tarn_ip_addr_v4(to));
}

static size_t csum_offset(uint8_t proto) {
    return proto == TARN_IP_PROTO_TCP   ? TCP_CSUM
           : proto == TARN_IP_PROTO_UDP ? UDP_CSUM
                                        : ICMP_CSUM;
}

void filter_rewrite(struct tarn_pkt *pkt, const struct view *v, bool src,
                    const struct tarn_endpoint *to) {
    bool icmp = v->proto == TARN_IP_PROTO_ICMP, udp = v->proto == TARN_IP_PROTO_UDP;
    size_t csum_at = v->transport + csum_offset(v->proto);
    size_t port_at = v->transport + (icmp ? ICMP_ID : src ? 0 : 2);
    if (icmp) /* nothing but the device could have left it so, and it is short */
        tarn_pkt_csum_complete(pkt);
    struct tarn_bytes b = tarn_pkt_head_bytes(pkt);
    uint32_t addr = tarn_ip_addr_v4(&to->addr), was = set_addr(b, v, src, addr);
    uint16_t port_was = get16(b, port_at);
    put16(b, port_at, to->port);
    if (csum_at + 2 > TARN_MIN(v->end, b.len)) /* a quoted TCP header that is cut off before */
        return;
    bool partial = pkt->csum_state == TARN_CSUM_PARTIAL
                   && csum_at == (size_t)pkt->csum_start + pkt->csum_offset;
    uint16_t field = get16(b, csum_at);
    if (udp && field == 0 && !partial) /* RFC 768: none was made */
        return;
    if (!icmp) /* ICMPv4 has no pseudo-header */
        field = update_addr(field, partial, was, addr);
    if (!partial) /* a PARTIAL sum has only the pseudo-header in it */
        field = update(field, false, port_was, to->port);
    if (udp && field == 0 && !partial)
        field = 0xffff;
    put16(b, csum_at, field);
}

static uint16_t icmp_sum(const struct tarn_pkt *pkt, const struct view *v) {
    return tarn_csum_finish(tarn_pkt_csum(pkt, v->transport, v->end - v->transport));
}

bool filter_icmp_csum_ok(const struct tarn_pkt *pkt, const struct view *v) {
    return pkt->csum_state != TARN_CSUM_NONE || icmp_sum(pkt, v) == 0;
}

/* An error is short, and nearly all of what it quotes may have changed: summed anew. It was right
 * before (RFC 5508 REQ-3). */
void filter_icmp_csum_renew(struct tarn_pkt *pkt, const struct view *v) {
    struct tarn_bytes b = tarn_pkt_head_bytes(pkt);
    pkt->csum_state = TARN_CSUM_NONE;
    put16(b, v->transport + ICMP_CSUM, 0);
    put16(b, v->transport + ICMP_CSUM, icmp_sum(pkt, v));
}
