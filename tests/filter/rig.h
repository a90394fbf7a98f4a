/* SPDX-License-Identifier: ISC */
/* A filter, and packets made and checked by code of the tests' own. */
#ifndef TESTS_FILTER_RIG_H
#define TESTS_FILTER_RIG_H

#include <stdlib.h>
#include <string.h>
#include <tarn/base.h>
#include <tarn/filter.h>

#define OUTSIDE TARN_IP_ADDR_V4(203, 0, 113, 1)
#define HOST TARN_IP_ADDR_V4(192, 168, 1, 10)
#define HOST2 TARN_IP_ADDR_V4(192, 168, 1, 11)
#define REMOTE TARN_IP_ADDR_V4(198, 51, 100, 7)
#define REMOTE2 TARN_IP_ADDR_V4(198, 51, 100, 8)
#define HOST6 ((struct tarn_ip_addr){{{0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}}})
#define REMOTE6 ((struct tarn_ip_addr){{{0x20, 1, 0xd, 0xb8, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}}})

enum { ICMP = 1, TCP = 6, UDP = 17, ICMP6 = 58 };
enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };

struct rig {
    struct tarn_arena arena;
    struct tarn_random_seeded random;
    struct tarn_pkt_pool pkts;
    struct tarn_filter *f;
    void *mem;
};

static inline struct rig *rig_new(struct tarn_filter_config c, size_t bytes) {
    struct rig *r = calloc(1, sizeof *r);
    if (!r || !(r->mem = calloc(1, bytes)))
        abort();
    tarn_arena_init(&r->arena, tarn_bytes_of(r->mem, bytes));
    tarn_random_seeded_init(&r->random, 5);
    c.alloc = &r->arena.alloc;
    c.random = &r->random.random;
    if (tarn_pkt_pool_init(&r->pkts, c.alloc, &(struct tarn_pkt_pool_config){.count = {8, 8, 0}})
        || tarn_filter_new(&c, &r->f))
        abort();
    return r;
}
static inline struct rig *rig_nat(void) {
    return rig_new((struct tarn_filter_config){.translate = true, .outside = OUTSIDE}, 4u << 20);
}
static inline void rig_free(struct rig *r) {
    free(r->mem);
    free(r);
}

/* A packet to be; for ICMP sport is the identifier, and a type in `flags`. */
struct spec {
    uint8_t proto;
    struct tarn_ip_addr src, dst;
    uint16_t sport, dport;
    uint8_t flags;
    struct tarn_span data;
};

/* The plain sum over bytes, written again so that the library does not check itself. */
static inline uint32_t plain_sum(const uint8_t *p, size_t n) {
    uint32_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}
static inline uint32_t pseudo(const uint8_t *ip, uint8_t proto, size_t len) {
    bool v4 = ip[0] >> 4 == 4;
    uint32_t sum = v4 ? plain_sum(ip + 12, 8) : plain_sum(ip + 8, 32);
    sum += (uint32_t)len + proto;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}
static inline uint16_t fold(uint32_t s) {
    while (s >> 16)
        s = (s & 0xffff) + (s >> 16);
    return (uint16_t)s;
}
static inline size_t csum_at(uint8_t proto) {
    return proto == TCP ? 16 : proto == UDP ? 6 : 2;
}

static inline struct tarn_pkt *make(struct rig *r, const struct spec *s, bool partial) {
    struct tarn_pkt *pkt = tarn_pkt_alloc(&r->pkts, 600);
    if (!pkt)
        abort();
    bool v4 = tarn_ip_addr_is_v4(&s->dst);
    size_t header = s->proto == TCP ? 20 : 8, ip = v4 ? 20 : 40, l4 = header + s->data.len;
    struct tarn_writer w = tarn_writer_over(tarn_pkt_tailroom(pkt));
    if (v4) {
        tarn_writer_u16be(&w, 0x4500);
        tarn_writer_u16be(&w, (uint16_t)(ip + l4));
        tarn_writer_u32be(&w, 0x12344000);
        tarn_writer_u8(&w, 64);
        tarn_writer_u8(&w, s->proto);
        tarn_writer_u16be(&w, 0);
        tarn_writer_ipv4(&w, &s->src);
        tarn_writer_ipv4(&w, &s->dst);
    } else {
        tarn_writer_u32be(&w, 0x60000000);
        tarn_writer_u16be(&w, (uint16_t)l4);
        tarn_writer_u8(&w, s->proto);
        tarn_writer_u8(&w, 64);
        tarn_writer_ipv6(&w, &s->src);
        tarn_writer_ipv6(&w, &s->dst);
    }
    if (s->proto == TCP || s->proto == UDP) {
        tarn_writer_u16be(&w, s->sport);
        tarn_writer_u16be(&w, s->dport);
    } else {
        tarn_writer_u8(&w, s->flags);
        tarn_writer_zero(&w, 3);
        tarn_writer_u16be(&w, s->sport);
        tarn_writer_u16be(&w, 1);
    }
    if (s->proto == TCP) {
        tarn_writer_u32be(&w, 1000);
        tarn_writer_u32be(&w, 2000);
        tarn_writer_u8(&w, 0x50);
        tarn_writer_u8(&w, s->flags);
        tarn_writer_u16be(&w, 65535);
        tarn_writer_u32be(&w, 0);
    } else if (s->proto == UDP) {
        tarn_writer_u16be(&w, (uint16_t)l4);
        tarn_writer_u16be(&w, 0);
    }
    tarn_writer_span_put(&w, s->data);
    if (!tarn_writer_ok(&w))
        abort();
    if (v4)
        tarn_writer_patch_u16be(&w, 10, (uint16_t)~plain_sum(w.ptr, 20));
    uint32_t sum = s->proto == ICMP ? 0 : pseudo(w.ptr, s->proto, l4);
    size_t field = ip + csum_at(s->proto);
    if (partial) {
        pkt->csum_state = TARN_CSUM_PARTIAL;
        pkt->csum_start = (uint16_t)ip;
        pkt->csum_offset = (uint16_t)csum_at(s->proto);
        tarn_writer_patch_u16be(&w, field, fold(sum));
    } else {
        uint16_t c = (uint16_t)~fold(sum + plain_sum(w.ptr + ip, l4));
        tarn_writer_patch_u16be(&w, field, c == 0 && s->proto == UDP ? 0xffff : c);
    }
    tarn_pkt_grow(pkt, w.len);
    return pkt;
}

/* What came of a packet. */
struct seen {
    enum tarn_filter_verdict verdict;
    struct tarn_ip_addr src, dst;
    uint16_t sport, dport; /* sport: an ICMP identifier too */
    bool sums_right;
    uint8_t bytes[700];
    size_t len;
};
static inline uint16_t be16(const uint8_t *p) {
    return (uint16_t)(p[0] << 8 | p[1]);
}
static inline struct seen look(const struct tarn_pkt *pkt) {
    struct seen s = {.len = pkt->len};
    if (!tarn_pkt_read(pkt, 0, s.bytes, s.len))
        abort();
    bool v4 = s.bytes[0] >> 4 == 4;
    size_t ip = v4 ? 20 : 40;
    uint8_t proto = s.bytes[v4 ? 9 : 6];
    struct tarn_span addrs = tarn_span_of(s.bytes + (v4 ? 12 : 8), v4 ? 8 : 32);
    bool ok = v4 ? tarn_span_ipv4(&addrs, &s.src) && tarn_span_ipv4(&addrs, &s.dst)
                 : tarn_span_ipv6(&addrs, &s.src) && tarn_span_ipv6(&addrs, &s.dst);
    bool ports = proto == TCP || proto == UDP;
    s.sport = be16(s.bytes + ip + (ports ? 0 : 4));
    s.dport = ports ? be16(s.bytes + ip + 2) : 0;
    uint32_t ps = proto == ICMP ? 0 : pseudo(s.bytes, proto, s.len - ip);
    s.sums_right = ok && (!v4 || plain_sum(s.bytes, 20) == 0xffff);
    if (pkt->csum_state == TARN_CSUM_PARTIAL)
        s.sums_right &= fold(ps) % 0xffff == be16(s.bytes + ip + csum_at(proto)) % 0xffff;
    else if (!(proto == UDP && be16(s.bytes + ip + 6) == 0))
        s.sums_right &= fold(ps + plain_sum(s.bytes + ip, s.len - ip)) == 0xffff;
    return s;
}
static inline struct seen cross_pkt(struct rig *r, enum tarn_filter_direction d,
                                    struct tarn_pkt *pkt, tarn_time now) {
    enum tarn_filter_verdict verdict = tarn_filter_packet(r->f, d, pkt, now);
    struct seen s = look(pkt);
    s.verdict = verdict;
    tarn_pkt_free(pkt);
    return s;
}
static inline struct seen cross(struct rig *r, enum tarn_filter_direction d, struct spec s,
                                tarn_time now) {
    return cross_pkt(r, d, make(r, &s, false), now);
}
static inline struct seen go_out(struct rig *r, struct spec s) {
    return cross(r, TARN_FILTER_OUT, s, 0);
}
static inline struct seen go_in(struct rig *r, struct spec s) {
    return cross(r, TARN_FILTER_IN, s, 0);
}
static inline bool same(struct tarn_ip_addr a, struct tarn_ip_addr b) {
    return tarn_ip_addr_equal(&a, &b);
}

#endif
