/* SPDX-License-Identifier: ISC */
/* A UDP core over a lower layer that keeps what is sent and invents what arrives. */
#ifndef TESTS_UDP_BENCH_H
#define TESTS_UDP_BENCH_H

#include <stdlib.h>
#include <string.h>
#include <tarn/base.h>
#include <tarn/link.h>
#include <tarn/udp.h>

#define SENT_MAX 256
#ifndef BENCH_BYTES
#define BENCH_BYTES (8u << 20)
#endif

struct bench {
    struct tarn_ip_lower lower;
    struct tarn_arena arena;
    struct tarn_random_seeded random;
    struct tarn_pkt_pool pkts;
    struct tarn_tasks tasks;
    struct tarn_udp *udp;
    void *mem;

    uint16_t mtu;
    bool no_route, no_addr, send_fails;
    struct tarn_pkt *sent[SENT_MAX];
    struct tarn_ip_meta sent_meta[SENT_MAX];
    unsigned sent_count;
    unsigned rejected, joined, left;
    uint32_t rejected_len;
    enum tarn_err join_answer;
};

#define US4 TARN_IP_ADDR_V4(10, 0, 0, 1)
#define PEER4 TARN_IP_ADDR_V4(10, 0, 0, 2)
#define OTHER4 TARN_IP_ADDR_V4(10, 0, 0, 3)
#define ALL4 TARN_IP_ADDR_V4(255, 255, 255, 255)
#define SUBNET4 TARN_IP_ADDR_V4(10, 0, 0, 255)
#define GROUP4 TARN_IP_ADDR_V4(239, 1, 2, 3)
#define ANY4 TARN_IP_ADDR_V4(0, 0, 0, 0)
#define US6 ((struct tarn_ip_addr){{{0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}}})
#define PEER6 ((struct tarn_ip_addr){{{0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}}})

static enum tarn_err bench_route(struct tarn_ip_lower *lower, const struct tarn_ip_addr *src,
                                 const struct tarn_ip_addr *dst, struct tarn_ip_route *out) {
    struct bench *b = TARN_CONTAINER_OF(lower, struct bench, lower);
    struct tarn_ip_addr all = ALL4, subnet = SUBNET4;
    if (b->no_route)
        return TARN_NOT_FOUND;
    *out = (struct tarn_ip_route){.mtu = b->mtu};
    if (!tarn_ip_addr_is_any(src))
        out->src = *src;
    else if (!b->no_addr)
        out->src = tarn_ip_addr_is_v4(dst) ? US4 : US6;
    out->broadcast = tarn_ip_addr_equal(dst, &all) || tarn_ip_addr_equal(dst, &subnet);
    return TARN_OK;
}

static enum tarn_err bench_send(struct tarn_ip_lower *lower, const struct tarn_ip_meta *meta,
                                struct tarn_pkt *pkt, tarn_time now) {
    struct bench *b = TARN_CONTAINER_OF(lower, struct bench, lower);
    (void)now;
    if (b->send_fails || b->sent_count == SENT_MAX) {
        tarn_pkt_free(pkt);
        return TARN_IO;
    }
    b->sent_meta[b->sent_count] = *meta;
    b->sent[b->sent_count++] = pkt;
    return TARN_OK;
}

static void bench_reject(struct tarn_ip_lower *lower, const struct tarn_ip_meta *meta,
                         struct tarn_pkt *pkt, tarn_time now) {
    struct bench *b = TARN_CONTAINER_OF(lower, struct bench, lower);
    (void)meta, (void)now;
    b->rejected++;
    b->rejected_len = pkt->len;
    tarn_pkt_free(pkt);
}

static enum tarn_err bench_join(struct tarn_ip_lower *lower, const struct tarn_ip_addr *group,
                                uint8_t iface, const struct tarn_group_filter *filter, bool add) {
    struct bench *b = TARN_CONTAINER_OF(lower, struct bench, lower);
    (void)group, (void)iface, (void)filter;
    if (add && b->join_answer)
        return b->join_answer;
    *(add ? &b->joined : &b->left) += 1;
    return TARN_OK;
}

static const struct tarn_ip_lower_ops bench_ops = {
    .route = bench_route, .send = bench_send, .reject = bench_reject, .join = bench_join};

/* `tune` may be NULL; alloc and the like are filled in here. */
static inline struct bench *bench_new_with(const struct tarn_udp_config *tune,
                                           const struct tarn_pkt_pool_config *pkts) {
    struct bench *b = calloc(1, sizeof *b);
    struct tarn_udp_config c = {0};
    if (!b || !(b->mem = calloc(1, BENCH_BYTES)))
        abort();
    b->lower.ops = &bench_ops;
    b->mtu = 1500;
    tarn_arena_init(&b->arena, tarn_bytes_of(b->mem, BENCH_BYTES));
    tarn_random_seeded_init(&b->random, 7);
    tarn_tasks_init(&b->tasks);
    if (tarn_pkt_pool_init(&b->pkts, &b->arena.alloc, pkts))
        abort();
    if (tune)
        c = *tune;
    c.alloc = &b->arena.alloc;
    c.random = &b->random.random;
    c.tasks = &b->tasks;
    c.pkts = &b->pkts;
    c.lower = &b->lower;
    if (tarn_udp_new(&c, &b->udp))
        abort();
    return b;
}

static inline struct bench *bench_new(const struct tarn_udp_config *tune) {
    return bench_new_with(tune, &(struct tarn_pkt_pool_config){.count = {256, 256, 32}});
}

static inline void bench_drop_sent(struct bench *b) {
    for (unsigned i = 0; i < b->sent_count; i++)
        tarn_pkt_free(b->sent[i]);
    b->sent_count = 0;
}

static inline uint32_t bench_live_pkts(const struct bench *b) {
    return b->pkts.pools[0].live + b->pkts.pools[1].live + b->pkts.pools[2].live;
}

static inline void bench_free(struct bench *b) {
    free(b->mem);
    free(b);
}

static inline struct tarn_handle bench_open(struct bench *b, struct tarn_ip_addr addr,
                                            uint16_t port) {
    struct tarn_handle h;
    struct tarn_datagram_config c = {.local = {addr, port}};
    if (tarn_udp_open(b->udp, &c, &h))
        abort();
    return h;
}

/* A datagram as the wire has it, with a right checksum (never 0). */
static inline struct tarn_pkt *bench_datagram(struct bench *b, const struct tarn_ip_meta *meta,
                                              uint16_t sport, uint16_t dport,
                                              struct tarn_span data) {
    struct tarn_pkt *pkt = tarn_pkt_alloc(&b->pkts, data.len + 8);
    if (!pkt || !tarn_pkt_append(pkt, data))
        abort();
    struct tarn_writer w = tarn_pkt_prepend(pkt, 8);
    struct tarn_ip_meta m = *meta;
    m.proto = 17;
    tarn_writer_u16be(&w, sport);
    tarn_writer_u16be(&w, dport);
    tarn_writer_u16be(&w, (uint16_t)pkt->len);
    tarn_writer_u16be(&w, tarn_csum_fold(tarn_ip_pseudo_csum(&m, pkt->len)));
    pkt->csum_state = TARN_CSUM_PARTIAL;
    pkt->csum_offset = 6;
    tarn_pkt_csum_complete(pkt);
    return pkt;
}

static inline void bench_arrive_from(struct bench *b, struct tarn_ip_addr src, uint16_t sport,
                                     struct tarn_ip_addr dst, uint16_t dport, const char *text) {
    struct tarn_ip_meta meta = {.src = src, .dst = dst, .proto = 17, .hops = 64};
    tarn_udp_input(b->udp, &meta, bench_datagram(b, &meta, sport, dport, tarn_span_str(text)), 0);
}

static inline void bench_arrive(struct bench *b, struct tarn_ip_addr dst, uint16_t dport,
                                const char *text) {
    bench_arrive_from(b, tarn_ip_addr_is_v4(&dst) ? PEER4 : PEER6, 5000, dst, dport, text);
}

/* Whether the next datagram has that text; takes it. */
static inline bool bench_got(struct bench *b, struct tarn_handle h, const char *text) {
    struct tarn_bytes data;
    if (tarn_udp_peek(b->udp, h, &data, NULL))
        return false;
    bool same = tarn_span_equal(tarn_bytes_span(data), tarn_span_str(text));
    tarn_udp_consume(b->udp, h);
    return same;
}

static inline bool bench_empty(struct bench *b, struct tarn_handle h) {
    struct tarn_bytes data;
    return tarn_udp_peek(b->udp, h, &data, NULL) == TARN_AGAIN;
}

#endif
