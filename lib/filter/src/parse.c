/* SPDX-License-Identifier: ISC */
#include "internal.h"

#define EXTENSIONS_MAX 8u
#define TCP_HEADER_BYTES 20u

enum ext_header { EXT_HOP_BY_HOP = 0, EXT_ROUTING = 43, EXT_FRAGMENT = 44, EXT_DESTINATION = 60 };
enum icmp4 {
    ICMP4_ECHO_REPLY = 0,
    ICMP4_UNREACHABLE = 3,
    ICMP4_ECHO = 8,
    ICMP4_TIME = 11,
    ICMP4_PARAMETER = 12
};
enum icmp6 { ICMP6_ERRORS_LAST = 4, ICMP6_ECHO = 128, ICMP6_ECHO_REPLY = 129 };

static bool parse_v4(struct tarn_span s, struct view *v, bool quoted) {
    uint8_t vihl, tos, ttl;
    uint16_t len, id, frag, csum;
    size_t whole = s.len;
    if (!tarn_span_u8(&s, &vihl) || !tarn_span_u8(&s, &tos) || !tarn_span_u16be(&s, &len)
        || !tarn_span_u16be(&s, &id) || !tarn_span_u16be(&s, &frag) || !tarn_span_u8(&s, &ttl)
        || !tarn_span_u8(&s, &v->proto) || !tarn_span_u16be(&s, &csum)
        || !tarn_span_ipv4(&s, &v->src.addr) || !tarn_span_ipv4(&s, &v->dst.addr))
        return false;
    size_t header = (size_t)(vihl & 15) * 4;
    if (header < 20 || header > len || header > whole)
        return false;
    v->v4 = true;
    v->fragment = (frag & 0x3fff) != 0;
    v->transport = v->ip + header;
    /* A quoted packet's length is the one it had when it was whole. */
    v->end = v->ip + (quoted ? TARN_MIN(whole, (size_t)len) : len);
    return true;
}

static bool parse_v6(struct tarn_span s, struct view *v, bool quoted) {
    uint32_t first;
    uint16_t len;
    uint8_t next, hops;
    size_t whole = s.len;
    if (!tarn_span_u32be(&s, &first) || !tarn_span_u16be(&s, &len) || !tarn_span_u8(&s, &next)
        || !tarn_span_u8(&s, &hops) || !tarn_span_ipv6(&s, &v->src.addr)
        || !tarn_span_ipv6(&s, &v->dst.addr))
        return false;
    v->v4 = false;
    v->end = v->ip + (quoted ? TARN_MIN(whole, 40 + (size_t)len) : 40 + (size_t)len);
    for (unsigned i = 0; i < EXTENSIONS_MAX; i++) {
        uint8_t then, units;
        if (next != EXT_HOP_BY_HOP && next != EXT_ROUTING && next != EXT_DESTINATION
            && next != EXT_FRAGMENT)
            break;
        v->fragment |= next == EXT_FRAGMENT;
        if (!tarn_span_u8(&s, &then) || !tarn_span_u8(&s, &units)
            || !tarn_span_skip(&s, 6 + (next == EXT_FRAGMENT ? 0 : (size_t)units * 8)))
            return false;
        next = then;
    }
    v->proto = next;
    v->transport = v->ip + whole - s.len;
    return v->transport <= v->end;
}

static bool parse_icmp(struct tarn_span s, struct view *v) {
    uint8_t type, code;
    uint16_t csum, id;
    if (!tarn_span_u8(&s, &type) || !tarn_span_u8(&s, &code) || !tarn_span_u16be(&s, &csum)
        || !tarn_span_u16be(&s, &id))
        return false;
    bool v4 = v->v4;
    bool request = v4 ? type == ICMP4_ECHO : type == ICMP6_ECHO;
    bool answer = v4 ? type == ICMP4_ECHO_REPLY : type == ICMP6_ECHO_REPLY;
    bool error = v4 ? type == ICMP4_UNREACHABLE || type == ICMP4_TIME || type == ICMP4_PARAMETER
                    : type >= 1 && type <= ICMP6_ERRORS_LAST;
    v->kind = request || answer ? PACKET_FLOW : error ? PACKET_ERROR : PACKET_OTHER;
    v->icmp_request = request;
    v->quoted = v->transport + 8;
    /* One identifier is both ends' (RFC 5508 section 3.1); which end is the inside's, the direction
     * says. */
    if (v->kind == PACKET_FLOW)
        v->src.port = v->dst.port = id;
    return true;
}

static bool parse_transport(struct tarn_span head, struct view *v, bool quoted) {
    struct tarn_span s = tarn_span_after(tarn_span_first(head, v->end), v->transport);
    size_t avail = s.len;
    v->kind = PACKET_OTHER;
    switch (v->proto) {
    case TARN_IP_PROTO_TCP:
        if (!quoted && avail < TCP_HEADER_BYTES)
            return false;
        /* fall through */
    case TARN_IP_PROTO_UDP:
        v->kind = PACKET_FLOW;
        if (avail < 8 || !tarn_span_u16be(&s, &v->src.port) || !tarn_span_u16be(&s, &v->dst.port))
            return false;
        if (v->proto == TARN_IP_PROTO_TCP && avail >= TCP_HEADER_BYTES)
            v->tcp_flags = tarn_span_at(s, 13 - 4);
        return v->src.port != 0 && v->dst.port != 0;
    case TARN_IP_PROTO_ICMP: return !v->v4 || (avail >= 8 && parse_icmp(s, v));
    case TARN_IP_PROTO_ICMPV6: return v->v4 || (avail >= 8 && parse_icmp(s, v));
    default: return true;
    }
}

static bool parse_at(struct tarn_span head, size_t off, struct view *v, bool quoted) {
    struct tarn_span s = tarn_span_after(head, off);
    *v = (struct view){.ip = off};
    if (s.len == 0)
        return false;
    uint8_t version = tarn_span_at(s, 0) >> 4;
    if (version == 4 ? !parse_v4(s, v, quoted) : version != 6 || !parse_v6(s, v, quoted))
        return false;
    return v->fragment || parse_transport(head, v, quoted);
}

bool filter_parse(const struct tarn_pkt *pkt, struct view *v) {
    return parse_at(tarn_pkt_head(pkt), 0, v, false) && v->end <= pkt->len;
}

bool filter_parse_quoted(const struct tarn_pkt *pkt, const struct view *outer, struct view *v) {
    struct tarn_span head = tarn_span_first(tarn_pkt_head(pkt), outer->end);
    return parse_at(head, outer->quoted, v, true) && v->v4 == outer->v4 && !v->fragment
           && v->kind == PACKET_FLOW;
}
