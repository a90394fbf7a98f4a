/* SPDX-License-Identifier: ISC */
#ifndef TEST_ARP_H
#define TEST_ARP_H

#include <stdlib.h>
#include <string.h>
#include <tarn/arp.h>
#include <tarn/base.h>

struct world {
    struct tarn_arena arena;
    struct tarn_pkt_pool pkts;
    struct tarn_random_seeded random;
    tarn_time now;
};

static inline void world_init(struct world *w, size_t bytes) {
    tarn_arena_init(&w->arena, tarn_bytes_of(calloc(1, bytes), bytes));
    struct tarn_pkt_pool_config config = {.count = {300, 100, 0}};
    if (tarn_pkt_pool_init(&w->pkts, &w->arena.alloc, &config))
        abort();
    tarn_random_seeded_init(&w->random, 1);
    w->now = TARN_SEC(1000);
}
static inline uint32_t world_live(const struct world *w) {
    return w->pkts.pools[0].live + w->pkts.pools[1].live;
}
static inline void world_end(struct world *w) {
    free(w->arena.mem.ptr);
}

static const uint8_t our_mac[6] = {2, 0, 0, 0, 0, 1};
#define OUR_IP 0x0a000001u

static inline struct tarn_arp *arp_make(struct world *w, struct tarn_arp_config config) {
    struct tarn_arp *arp;
    config.alloc = &w->arena.alloc;
    config.random = &w->random.random;
    config.pkts = &w->pkts;
    memcpy(config.mac, our_mac, 6);
    if (tarn_arp_new(&config, &arp))
        abort();
    return arp;
}

struct arp_wire {
    uint8_t bytes[28];
};
/* `mac` is the last byte of 02:00:00:00:00:xx, 0: zero. */
static inline struct arp_wire arp_wire(uint16_t op, uint8_t sha, uint32_t spa, uint8_t tha,
                                       uint32_t tpa) {
    struct arp_wire p;
    struct tarn_writer w = TARN_WRITER_ARRAY(p.bytes);
    uint8_t from[6] = {2, 0, 0, 0, 0, sha}, to[6] = {tha ? 2 : 0, 0, 0, 0, 0, tha};
    tarn_writer_u16be(&w, 1);
    tarn_writer_u16be(&w, 0x0800);
    tarn_writer_u8(&w, 6);
    tarn_writer_u8(&w, 4);
    tarn_writer_u16be(&w, op);
    tarn_writer_mem(&w, from, 6);
    tarn_writer_u32be(&w, spa);
    tarn_writer_mem(&w, to, 6);
    tarn_writer_u32be(&w, tpa);
    return p;
}
static inline void hear(struct tarn_arp *arp, struct arp_wire p, tarn_time now) {
    tarn_arp_input(arp, TARN_SPAN_ARRAY(p.bytes), now);
}

/* What came out next, taken apart; `kind` -1: nothing. Frees the packet. */
struct out {
    int kind;
    uint16_t op;
    uint8_t dst, sha;
    uint32_t spa, tpa;
    enum tarn_link_addr_event event;
    uint8_t mark; /* the first byte of an IP packet */
};
static inline struct out take(struct tarn_arp *arp) {
    struct tarn_arp_out o;
    struct out out = {.kind = -1};
    if (!tarn_arp_next(arp, &o))
        return out;
    out.kind = (int)o.kind;
    out.dst = o.mac[5];
    out.event = o.event;
    if (o.kind == TARN_ARP_SEND_ARP) {
        struct tarn_span s = tarn_pkt_head(o.pkt);
        uint8_t mac[6];
        if (s.len != 28 || !tarn_span_skip(&s, 6) || !tarn_span_u16be(&s, &out.op)
            || !tarn_span_copy(&s, mac, 6) || !tarn_span_u32be(&s, &out.spa)
            || !tarn_span_skip(&s, 6) || !tarn_span_u32be(&s, &out.tpa))
            abort();
        out.sha = mac[5];
    } else if (o.pkt) {
        out.mark = tarn_span_at(tarn_pkt_head(o.pkt), 0);
    }
    tarn_pkt_free(o.pkt);
    return out;
}

static inline struct tarn_pkt *ip_packet(struct world *w, uint8_t mark) {
    struct tarn_pkt *pkt = tarn_pkt_alloc(&w->pkts, 20);
    if (!pkt || !tarn_pkt_append(pkt, tarn_span_of(&mark, 1)))
        abort();
    return pkt;
}

#endif
