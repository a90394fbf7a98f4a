/* SPDX-License-Identifier: ISC */
/* One tarn_ip with two links that keep what is sent, and an upper that keeps what arrives. */
#ifndef TEST_IP_WORLD_H
#define TEST_IP_WORLD_H

#include <stdlib.h>
#include <string.h>
#include <tarn/base.h>
#include <tarn/ip.h>

#define KEPT_MAX 128
#ifndef WORLD_BYTES
#define WORLD_BYTES (4u << 20)
#define WORLD_PKTS                                                                                 \
    { 400, 400, 8 }
#endif

struct test_link {
    struct tarn_link link;
    struct test_sent {
        enum tarn_link_dst_kind kind;
        struct tarn_ip_addr next_hop;
        struct tarn_pkt *pkt;
    } sent[KEPT_MAX];
    size_t count;
    int own_added, joined;
};

struct world {
    struct tarn_arena arena;
    struct tarn_pkt_pool pkts;
    struct tarn_random_seeded random;
    struct tarn_tasks tasks;
    tarn_time now;
    struct tarn_ip *ip;
    struct test_link link[2];
    struct tarn_ip_upper upper; /* UDP's place */
    struct tarn_ip_meta meta[KEPT_MAX];
    struct tarn_pkt *got[KEPT_MAX];
    size_t got_count;
    bool reject;
    struct tarn_ip_meta error_meta;
    enum tarn_ip_error error;
    uint32_t error_mtu;
    size_t errors, error_quoted;
};

static inline enum tarn_err test_send(struct tarn_link *link, const struct tarn_link_dst *dst,
                                      struct tarn_pkt *pkt, tarn_time now) {
    struct test_link *l = TARN_CONTAINER_OF(link, struct test_link, link);
    (void)now;
    if (l->count == KEPT_MAX) {
        tarn_pkt_free(pkt);
        return TARN_LIMIT;
    }
    l->sent[l->count++] = (struct test_sent){dst->kind, dst->ip, pkt};
    return TARN_OK;
}
static inline enum tarn_err test_own_addr(struct tarn_link *link, const struct tarn_ip_addr *addr,
                                          bool add, bool probe, tarn_time now) {
    struct test_link *l = TARN_CONTAINER_OF(link, struct test_link, link);
    (void)addr, (void)probe, (void)now;
    l->own_added += add ? 1 : -1;
    return TARN_OK;
}
static inline enum tarn_err test_join(struct tarn_link *link, const struct tarn_ip_addr *group,
                                      bool add) {
    struct test_link *l = TARN_CONTAINER_OF(link, struct test_link, link);
    (void)group;
    l->joined += add ? 1 : -1;
    return TARN_OK;
}
static const struct tarn_link_ops test_link_ops = {test_send, test_own_addr, test_join};

static inline void upper_input(struct tarn_ip_upper *upper, const struct tarn_ip_meta *meta,
                               struct tarn_pkt *pkt, tarn_time now) {
    struct world *w = TARN_CONTAINER_OF(upper, struct world, upper);
    if (w->reject) {
        tarn_ip_lower(w->ip)->ops->reject(tarn_ip_lower(w->ip), meta, pkt, now);
    } else if (w->got_count == KEPT_MAX) {
        tarn_pkt_free(pkt);
    } else {
        w->meta[w->got_count] = *meta;
        w->got[w->got_count++] = pkt;
    }
}
static inline void upper_error(struct tarn_ip_upper *upper, const struct tarn_ip_meta *meta,
                               enum tarn_ip_error error, uint32_t mtu, struct tarn_span quoted,
                               tarn_time now) {
    struct world *w = TARN_CONTAINER_OF(upper, struct world, upper);
    (void)now;
    w->errors++;
    w->error_meta = *meta;
    w->error = error;
    w->error_mtu = mtu;
    w->error_quoted = quoted.len;
}
static const struct tarn_ip_upper_ops upper_ops = {upper_input, upper_error};

static inline struct tarn_ip_addr v4(uint32_t a) {
    return tarn_ip_addr_from_v4(a);
}
static inline struct tarn_ip_prefix prefix4(uint32_t a, uint8_t bits) {
    return (struct tarn_ip_prefix){v4(a), bits};
}
#define US 0x0a000001u  /* 10.0.0.1/24 on link 0 */
#define US1 0xc0a80101u /* 192.168.1.1/24 on link 1 */
#define PEER 0x0a000002u
#define GATE 0x0a0000feu
#define FAR 0x08080808u

static inline void world_init(struct world *w, struct tarn_ip_limits limits) {
    size_t bytes = limits.routes_max > 1000 ? 96u << 20 : WORLD_BYTES;
    memset(w, 0, sizeof *w);
    tarn_arena_init(&w->arena, tarn_bytes_of(calloc(1, bytes), bytes));
    struct tarn_pkt_pool_config pkts = {.count = WORLD_PKTS};
    if (tarn_pkt_pool_init(&w->pkts, &w->arena.alloc, &pkts))
        abort();
    tarn_random_seeded_init(&w->random, 1);
    tarn_tasks_init(&w->tasks);
    w->now = TARN_SEC(1000);
    struct tarn_ip_config config = {.alloc = &w->arena.alloc,
                                    .random = &w->random.random,
                                    .pkts = &w->pkts,
                                    .tasks = &w->tasks,
                                    .limits = limits};
    if (tarn_ip_new(&config, &w->ip))
        abort();
    static const uint32_t ours[2] = {US, US1};
    for (unsigned i = 0; i < 2; i++) {
        unsigned iface;
        struct tarn_ip_prefix p = prefix4(ours[i], 24);
        w->link[i].link =
            (struct tarn_link){.ops = &test_link_ops, .mtu = 1500, .mac = {2, 0, 0, 0, 0, 1}};
        if (tarn_ip_add_link(w->ip, &w->link[i].link, &iface) || iface != i
            || tarn_ip_addr_add(w->ip, i, &p, false, w->now))
            abort();
    }
    struct tarn_ip_route_entry def = {.prefix = prefix4(0, 0), .gateway = v4(GATE)};
    if (tarn_ip_route_add(w->ip, &def))
        abort();
    w->upper = (struct tarn_ip_upper){&upper_ops, TARN_IP_PROTO_UDP};
    tarn_ip_register(w->ip, TARN_IP_PROTO_UDP, &w->upper);
}
static inline uint32_t world_live(const struct world *w) {
    return w->pkts.pools[0].live + w->pkts.pools[1].live + w->pkts.pools[2].live;
}
static inline void world_forget(struct world *w) {
    for (unsigned l = 0; l < 2; l++) {
        for (size_t i = 0; i < w->link[l].count; i++)
            tarn_pkt_free(w->link[l].sent[i].pkt);
        w->link[l].count = 0;
    }
    for (size_t i = 0; i < w->got_count; i++)
        tarn_pkt_free(w->got[i]);
    w->got_count = 0;
}
static inline struct tarn_ip_stats stats(const struct world *w) {
    struct tarn_ip_stats s;
    tarn_ip_stats(w->ip, &s);
    return s;
}

/* -- packets, made by hand -- */

static inline uint16_t slow_csum(const uint8_t *p, size_t n) {
    uint32_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}
static inline void put16(uint8_t *p, size_t v) {
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}
static inline uint16_t get16(const uint8_t *p) {
    return (uint16_t)(p[0] << 8 | p[1]);
}

struct v4 {
    uint32_t src, dst;
    uint8_t proto, ttl, tos;
    uint16_t id, frag; /* flags and offset as on the wire */
    const uint8_t *options;
    size_t options_len; /* a multiple of 4 */
};
/* An IPv4 packet in `buf`: its length. */
static inline size_t v4_make(uint8_t *buf, const struct v4 *h, const void *data, size_t n) {
    size_t hl = 20 + h->options_len;
    memset(buf, 0, hl);
    buf[0] = (uint8_t)(0x40 | hl / 4);
    buf[1] = h->tos;
    put16(buf + 2, hl + n);
    put16(buf + 4, h->id);
    put16(buf + 6, h->frag);
    buf[8] = h->ttl ? h->ttl : 64;
    buf[9] = h->proto ? h->proto : 17;
    put16(buf + 12, h->src >> 16);
    put16(buf + 14, h->src);
    put16(buf + 16, h->dst >> 16);
    put16(buf + 18, h->dst);
    if (h->options_len)
        memcpy(buf + 20, h->options, h->options_len);
    put16(buf + 10, slow_csum(buf, hl));
    if (n)
        memcpy(buf + hl, data, n);
    return hl + n;
}
static inline struct tarn_pkt *raw(struct world *w, const void *bytes, size_t n) {
    struct tarn_pkt *pkt = tarn_pkt_alloc(&w->pkts, n);
    if (!pkt || !tarn_pkt_append(pkt, tarn_span_of(bytes, n)))
        abort();
    return pkt;
}
static inline void in_raw(struct world *w, const void *bytes, size_t n) {
    tarn_ip_input(w->ip, 0, NULL, raw(w, bytes, n), w->now);
}
static inline void in_v4(struct world *w, const struct v4 *h, const void *data, size_t n) {
    static uint8_t buf[70000];
    in_raw(w, buf, v4_make(buf, h, data, n));
}
/* What link `l` sent as its i-th, flat. */
static inline const uint8_t *sent(struct world *w, unsigned l, size_t i) {
    static uint8_t buf[4][70000];
    static unsigned turn;
    struct tarn_pkt *pkt = w->link[l].sent[i].pkt;
    uint8_t *b = buf[turn++ % 4];
    if (i >= w->link[l].count || !tarn_pkt_read(pkt, 0, b, pkt->len))
        abort();
    return b;
}
static inline enum tarn_err out_udp(struct world *w, uint32_t dst, const void *data, size_t n) {
    struct tarn_ip_meta meta = {
        .src = TARN_IP_ADDR_NONE, .dst = v4(dst), .proto = TARN_IP_PROTO_UDP};
    return tarn_ip_lower(w->ip)->ops->send(tarn_ip_lower(w->ip), &meta, raw(w, data, n), w->now);
}
static inline void tick(struct world *w, tarn_time after) {
    w->now += after;
    tarn_ip_tick(w->ip, w->now);
}
/* What waits for a neighbour or a fragment is given up in time, what was kept is given back, and
 * then nothing may be left. */
static inline bool world_end(struct world *w) {
    for (int i = 0; i < 70; i++) {
        tick(w, TARN_SEC(1));
        world_forget(w);
    }
    uint32_t live = world_live(w);
    free(w->arena.mem.ptr);
    return live == 0;
}

#endif
