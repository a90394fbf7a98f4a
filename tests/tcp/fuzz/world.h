/* SPDX-License-Identifier: ISC */
/* Small TCPs in little memory, for fuzzing: a sanitizer pays for all of it in every case. What they
 * send goes to the target's `sent`. */
#ifndef TESTS_TCP_FUZZ_WORLD_H
#define TESTS_TCP_FUZZ_WORLD_H

#include <stdlib.h>
#include <string.h>
#include <tarn/base.h>
#include <tarn/tcp.h>

#define MEMORY_BYTES (64u << 10)
#define MTU 600
#define HOST_BYTES (512u << 10)

struct host {
    struct tarn_ip_lower lower;
    struct tarn_ip_addr addr;
    struct tarn_arena arena;
    struct tarn_pkt_pool pkts;
    struct tarn_tasks tasks;
    struct tarn_random_seeded random;
    struct tarn_tcp *tcp;
};

/* What a host sends: TCP header and payload. */
static void sent(struct host *from, const uint8_t *tcp, size_t len);

static inline void must(bool good) {
    if (!good)
        abort();
}
static inline uint32_t get32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static inline void put16(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}
static inline void put32(uint8_t *p, uint32_t v) {
    put16(p, v >> 16);
    put16(p + 2, v);
}

static inline void seal(const struct tarn_ip_addr *src, const struct tarn_ip_addr *dst,
                        uint8_t *tcp, size_t len) {
    struct tarn_ip_meta meta = {.src = *src, .dst = *dst, .proto = TARN_IP_PROTO_TCP};
    put16(tcp + 16, 0);
    put16(tcp + 16, tarn_csum_finish(tarn_csum_join(tarn_ip_pseudo_csum(&meta, (uint32_t)len),
                                                    tarn_csum_add(0, tarn_span_of(tcp, len)), 0)));
}

/* A super-segment is cut here, as below it would be: the last piece has FIN and PSH, the first CWR.
 */
static enum tarn_err host_send(struct tarn_ip_lower *lower, const struct tarn_ip_meta *meta,
                               struct tarn_pkt *pkt, tarn_time now) {
    static uint8_t bytes[TARN_PKT_LEN_MAX];
    uint8_t piece[60 + MTU];
    struct host *h = TARN_CONTAINER_OF(lower, struct host, lower);
    size_t len = pkt->len, mss = pkt->gso_size;
    (void)now;
    must(len >= 20 && pkt->csum_state == TARN_CSUM_PARTIAL);
    tarn_pkt_csum_complete(pkt);
    must(tarn_pkt_read(pkt, 0, bytes, len));
    tarn_pkt_free(pkt);
    size_t header = (size_t)(bytes[12] >> 4) * 4;
    must(header >= 20 && header <= len && mss <= MTU);
    if (!mss) {
        sent(h, bytes, len);
        return TARN_OK;
    }
    for (size_t at = header; at < len; at += mss) {
        size_t n = TARN_MIN(mss, len - at);
        memcpy(piece, bytes, header);
        memcpy(piece + header, bytes + at, n);
        put32(piece + 4, get32(bytes + 4) + (uint32_t)(at - header));
        piece[13] &= (uint8_t) ~((at + n < len ? 9 : 0) | (at > header ? 128 : 0));
        seal(&meta->src, &meta->dst, piece, header + n);
        sent(h, piece, header + n);
    }
    return TARN_OK;
}
static enum tarn_err host_route(struct tarn_ip_lower *lower, const struct tarn_ip_addr *src,
                                const struct tarn_ip_addr *dst, struct tarn_ip_route *out) {
    (void)src, (void)dst;
    *out = (struct tarn_ip_route){.src = TARN_CONTAINER_OF(lower, struct host, lower)->addr,
                                  .mtu = MTU};
    return TARN_OK;
}
static const struct tarn_ip_lower_ops host_ops = {.route = host_route, .send = host_send};

/* `how`: which options are not spoken, and which of the rarer ones are. */
static inline void host_init(struct host *h, uint8_t index, uint8_t how) {
    *h = (struct host){.lower = {&host_ops}, .addr = TARN_IP_ADDR_V4(10, 0, 0, index)};
    tarn_arena_init(&h->arena, tarn_bytes_of(calloc(1, HOST_BYTES), HOST_BYTES));
    must(!tarn_pkt_pool_init(&h->pkts, &h->arena.alloc,
                             &(struct tarn_pkt_pool_config){.count = {48, 48, 1}}));
    tarn_tasks_init(&h->tasks);
    tarn_random_seeded_init(&h->random, index);
    must(
        !tarn_tcp_new(&(struct tarn_tcp_config){.alloc = &h->arena.alloc,
                                                .random = &h->random.random,
                                                .tasks = &h->tasks,
                                                .pkts = &h->pkts,
                                                .lower = &h->lower,
                                                .options = {.no_sack = how & 1,
                                                            .no_timestamps = how & 2,
                                                            .no_window_scale = how & 4,
                                                            .ecn = how & 128 ? TARN_TCP_ECN_ACCURATE
                                                                   : how & 8 ? TARN_TCP_ECN_ASK
                                                                             : TARN_TCP_ECN_ACCEPT,
                                                            .fast_open = how & 32,
                                                            .cc = how & 16   ? &tarn_tcp_cc_newreno
                                                                  : how & 64 ? &tarn_tcp_cc_bbr
                                                                             : NULL},
                                                .limits = {.connections_max = 6,
                                                           .listeners_max = 2,
                                                           .syn_queue_max = 2,
                                                           .memory_bytes = MEMORY_BYTES,
                                                           .snd_buf_bytes_max = 16u << 10,
                                                           .rcv_buf_bytes_max = 16u << 10,
                                                           .rcv_buf_bytes_min = 4u << 10}},
                      &h->tcp));
}

static inline void host_input(struct host *h, const struct tarn_ip_addr *src, const uint8_t *bytes,
                              size_t len, uint8_t tos, tarn_time now) {
    struct tarn_pkt *pkt = tarn_pkt_alloc(&h->pkts, len);
    struct tarn_ip_meta meta = {
        .src = *src, .dst = h->addr, .proto = TARN_IP_PROTO_TCP, .hops = 64, .tos = tos};
    if (!pkt)
        return; /* as at a device that has no memory */
    must(tarn_pkt_append(pkt, tarn_span_of(bytes, len)));
    tarn_tcp_input(h->tcp, &meta, pkt, now);
}

/* A few turns of the loop; then the limits hold. */
static inline void host_turn(struct host *h, tarn_time now) {
    struct tarn_tcp_stats s;
    unsigned turns = 0;
    while (tarn_tasks_run(&h->tasks) > 0 || tarn_tcp_deadline(h->tcp) <= now) {
        must(turns++ < 64); /* the loop comes to rest */
        tarn_tcp_tick(h->tcp, now);
    }
    tarn_tcp_stats(h->tcp, &s);
    must(s.connections <= 6 && s.half_open <= 2 && s.time_wait <= s.connections);
    must(s.snd_bytes <= MEMORY_BYTES / 2 && s.rcv_bytes <= MEMORY_BYTES / 2);
}
/* From one deadline to the next, however far the last is. */
static inline void host_run(struct host *h, tarn_time *now, tarn_time until) {
    unsigned turns = 0;
    for (;;) {
        host_turn(h, *now);
        tarn_time next = tarn_tcp_deadline(h->tcp);
        if (next > until || next == TARN_NEVER)
            break;
        must(turns++ < 20000);
        *now = TARN_MAX(*now, next);
    }
    *now = TARN_MAX(*now, until == TARN_NEVER ? *now : until);
}
static inline void host_end(struct host *h) {
    struct tarn_tcp_stats s;
    tarn_tcp_stats(h->tcp, &s);
    must(s.connections == 0 && s.half_open == 0 && s.time_wait == 0);
    must(s.snd_bytes == 0 && s.rcv_bytes == 0);
    for (unsigned class = 0; class < TARN_PKT_CLASSES; class ++)
        must(h->pkts.pools[class].live == 0);
    free(h->arena.mem.ptr);
}

#endif
