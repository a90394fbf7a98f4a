/* SPDX-License-Identifier: ISC */
/* IPv6 packets made by hand, over the world of world.h. */
#ifndef TEST_IP_V6_H
#define TEST_IP_V6_H

#include <stdio.h>

#include "world.h"

static inline struct tarn_ip_addr a6(const char *text) {
    struct tarn_ip_addr a;
    if (!tarn_ip_addr_parse(tarn_span_str(text), &a))
        abort();
    return a;
}
#define US6 "2001:db8::1"
#define PEER6 "2001:db8::2"
#define FAR6 "2001:db8:f::1"
#define LL6 "fe80::2"

/* World with 2001:db8::1/64 on link 0, in use at once, and a default route by fe80::99. */
static inline void world_init6(struct world *w, struct tarn_ip_limits limits) {
    world_init(w, limits);
    for (int i = 0; i < 2; i++)
        w->link[i].link.has_mac = true;
    struct tarn_ip_prefix p = {a6(US6), 64};
    struct tarn_ip_route_entry def = {.gateway = a6("fe80::99")};
    if (tarn_ip_addr_add(w->ip, 0, &p, false, w->now) || tarn_ip_route_add(w->ip, &def))
        abort();
    for (int i = 0; i < 5; i++)
        tick(w, TARN_SEC(1));
    world_forget(w);
}

struct v6 {
    const char *src, *dst;
    uint8_t next, hops;
    const uint8_t *ext; /* extension headers, whose first is `next` */
    size_t ext_len;
};
static inline size_t v6_make(uint8_t *buf, const struct v6 *h, const void *data, size_t n) {
    struct tarn_ip_addr src = a6(h->src), dst = a6(h->dst);
    memset(buf, 0, 40);
    buf[0] = 0x60;
    put16(buf + 4, h->ext_len + n);
    buf[6] = h->next;
    buf[7] = h->hops ? h->hops : 64;
    memcpy(buf + 8, src.bytes, 16);
    memcpy(buf + 24, dst.bytes, 16);
    if (h->ext_len)
        memcpy(buf + 40, h->ext, h->ext_len);
    if (n)
        memcpy(buf + 40 + h->ext_len, data, n);
    return 40 + h->ext_len + n;
}
static inline void in_v6(struct world *w, const struct v6 *h, const void *data, size_t n) {
    static uint8_t buf[70000];
    struct tarn_link_meta meta = {.cast = h->dst[0] == 'f' && h->dst[1] == 'f' ? TARN_LINK_TO_GROUP
                                                                               : TARN_LINK_TO_US,
                                  .src_mac = {2, 0, 0, 0, 0, 2}};
    tarn_ip_input(w->ip, 0, &meta, raw(w, buf, v6_make(buf, h, data, n)), w->now);
}

static inline uint16_t v6_csum(const char *src, const char *dst, const uint8_t *p, size_t n) {
    static uint8_t buf[70000];
    struct tarn_ip_addr s = a6(src), d = a6(dst);
    memset(buf, 0, 40);
    memcpy(buf, s.bytes, 16);
    memcpy(buf + 16, d.bytes, 16);
    put16(buf + 34, n);
    buf[39] = 58;
    memcpy(buf + 40, p, n);
    return slow_csum(buf, 40 + n);
}
/* An ICMPv6 message: type, code and `n` bytes behind the checksum. */
static inline void in_icmp6(struct world *w, const char *src, const char *dst, uint8_t hops,
                            uint8_t type, uint8_t code, const void *rest, size_t n) {
    static uint8_t buf[70000];
    buf[0] = type;
    buf[1] = code;
    put16(buf + 2, 0);
    memcpy(buf + 4, rest, n);
    put16(buf + 2, v6_csum(src, dst, buf, n + 4));
    in_v6(w, &(struct v6){.src = src, .dst = dst, .next = 58, .hops = hops}, buf, n + 4);
}
/* A neighbour solicitation or advertisement. `flags` as on the wire; `opt` 1 or 2 with `mac` as the
 * last byte of 02:00:00:00:00:xx, 0: none. */
static inline void in_nd(struct world *w, const char *src, const char *dst, uint8_t type,
                         uint8_t flags, const char *target, uint8_t opt, uint8_t mac) {
    uint8_t rest[28] = {flags};
    struct tarn_ip_addr t = a6(target);
    memcpy(rest + 4, t.bytes, 16);
    rest[20] = opt;
    rest[21] = 1;
    rest[22] = 2;
    rest[27] = mac;
    in_icmp6(w, src, dst, 255, type, 0, rest, opt ? 28 : 20);
}
/* Answers the solicitation for `who` that waits as link 0's newest, with hardware address `mac`. */
static inline void answer(struct world *w, const char *who, uint8_t mac) {
    in_nd(w, who, US6, 136, 0x60, who, 2, mac);
}
static inline enum tarn_err out6(struct world *w, const char *dst, const void *data, size_t n) {
    struct tarn_ip_meta meta = {
        .src = TARN_IP_ADDR_NONE, .dst = a6(dst), .proto = TARN_IP_PROTO_UDP};
    return tarn_ip_lower(w->ip)->ops->send(tarn_ip_lower(w->ip), &meta, raw(w, data, n), w->now);
}
static inline bool is_addr(const uint8_t *p, const char *text) {
    struct tarn_ip_addr a = a6(text);
    return memcmp(p, a.bytes, 16) == 0;
}
/* Whether an ICMPv6 packet as sent has a right checksum, and its type. */
static inline int icmp6_type(const uint8_t *p) {
    uint8_t buf[40] = {0};
    size_t n = get16(p + 4);
    static uint8_t whole[70000];
    memcpy(buf, p + 8, 32);
    put16(buf + 34, n);
    buf[39] = 58;
    memcpy(whole, buf, 40);
    memcpy(whole + 40, p + 40, n);
    return p[6] == 58 && slow_csum(whole, 40 + n) == 0 ? p[40] : -1;
}

#endif
