/* SPDX-License-Identifier: ISC */
/* Frames for the offload tests, made and checked independently of the library. */
#ifndef TEST_FRAMES_H
#define TEST_FRAMES_H

#include <stdlib.h>
#include <string.h>
#include <tarn/base.h>
#include <tarn/offload.h>

struct world {
    struct tarn_arena arena;
    struct tarn_pkt_pool pkts;
    struct tarn_random_seeded random;
};

static inline void world_init(struct world *w, uint64_t seed) {
    size_t bytes = 8u << 20;
    tarn_arena_init(&w->arena, tarn_bytes_of(calloc(1, bytes), bytes));
    struct tarn_pkt_pool_config config = {.count = {600, 300, 8}};
    if (tarn_pkt_pool_init(&w->pkts, &w->arena.alloc, &config))
        abort();
    tarn_random_seeded_init(&w->random, seed);
}
static inline uint32_t world_live(const struct world *w) {
    return w->pkts.pools[0].live + w->pkts.pools[1].live + w->pkts.pools[2].live;
}
static inline void world_end(struct world *w) {
    free(w->arena.mem.ptr);
}

struct shape {
    bool ipv6, udp, vlan;
    size_t tcp_options; /* bytes, a multiple of 4 */
    uint16_t id;
    uint32_t seq;
    uint8_t flags;
};

static inline size_t l3_of(const struct shape *s) {
    return s->vlan ? 18 : 14;
}
static inline size_t l4_of(const struct shape *s) {
    return l3_of(s) + (s->ipv6 ? 40 : 20);
}
static inline size_t headers_of(const struct shape *s) {
    return l4_of(s) + (s->udp ? 8 : 20 + s->tcp_options);
}

static inline void be16(uint8_t *p, size_t v) {
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}
static inline uint32_t get32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
/* The plainest sum there is, for comparison. */
static inline uint32_t slow_sum(uint32_t sum, const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}
static inline uint32_t slow_pseudo(const uint8_t *frame, const struct shape *s, size_t l4_len) {
    uint32_t sum =
        s->ipv6 ? slow_sum(0, frame + l3_of(s) + 8, 32) : slow_sum(0, frame + l3_of(s) + 12, 8);
    sum += (uint32_t)l4_len + (s->udp ? 17 : 6);
    return (sum & 0xffff) + (sum >> 16);
}

/* A frame's headers, with the transport checksum left partial. */
static inline void write_headers(uint8_t *h, const struct shape *s, size_t payload) {
    size_t l4_len = headers_of(s) - l4_of(s) + payload;
    memset(h, 0, headers_of(s));
    memcpy(h, "\x02\0\0\0\0\1\x02\0\0\0\0\2", 12);
    uint8_t *type = h + 12;
    if (s->vlan) {
        memcpy(type, "\x81\0\0\7", 4);
        type += 4;
    }
    be16(type, s->ipv6 ? 0x86dd : 0x0800);
    uint8_t *ip = h + l3_of(s), *l4 = h + l4_of(s);
    if (s->ipv6) {
        ip[0] = 0x60;
        be16(ip + 4, l4_len);
        ip[6] = s->udp ? 17 : 6;
        ip[7] = 64;
        memcpy(ip + 8, "\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\2", 32);
    } else {
        ip[0] = 0x45;
        be16(ip + 2, 20 + l4_len);
        be16(ip + 4, s->id);
        be16(ip + 6, 0x4000);
        ip[8] = 64;
        ip[9] = s->udp ? 17 : 6;
        memcpy(ip + 12, "\x0a\0\0\1\x0a\0\0\2", 8);
        be16(ip + 10, (uint16_t)~slow_sum(0, ip, 20));
    }
    be16(l4, 1234);
    be16(l4 + 2, 80);
    if (s->udp) {
        be16(l4 + 4, l4_len);
        be16(l4 + 6, slow_pseudo(h, s, l4_len));
    } else {
        be16(l4 + 4, s->seq >> 16);
        be16(l4 + 6, s->seq);
        be16(l4 + 8, 0x1122);
        be16(l4 + 10, 0x3344);
        l4[12] = (uint8_t)((20 + s->tcp_options) / 4 << 4);
        l4[13] = s->flags;
        be16(l4 + 14, 5000);
        memset(l4 + 20, 1, s->tcp_options);
        be16(l4 + 16, slow_pseudo(h, s, l4_len));
    }
}

static inline struct tarn_pkt *frame_new(struct world *w, const struct shape *s, size_t room) {
    struct tarn_pkt *pkt = tarn_pkt_alloc(&w->pkts, headers_of(s) + room);
    if (!pkt)
        abort();
    pkt->csum_state = TARN_CSUM_PARTIAL;
    pkt->csum_start = (uint16_t)l4_of(s);
    pkt->csum_offset = s->udp ? 6 : 16;
    return pkt;
}

/* Whether a whole linear frame's lengths and checksums are right, as a receiver sees them. */
static inline bool frame_is_right(const uint8_t *f, size_t len, const struct shape *s) {
    size_t l3 = l3_of(s), l4 = l4_of(s), l4_len = len - l4;
    const uint8_t *ip = f + l3;
    size_t said = (size_t)ip[s->ipv6 ? 4 : 2] << 8 | ip[s->ipv6 ? 5 : 3];
    if (said != (s->ipv6 ? l4_len : len - l3))
        return false;
    if (!s->ipv6 && slow_sum(0, ip, 20) != 0xffff)
        return false;
    if (s->udp && ((size_t)f[l4 + 4] << 8 | f[l4 + 5]) != l4_len)
        return false;
    uint32_t sum = slow_pseudo(f, s, l4_len);
    return slow_sum(sum, f + l4, l4_len) == 0xffff;
}

#endif
