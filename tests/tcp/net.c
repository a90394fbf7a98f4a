/* SPDX-License-Identifier: ISC */
#include "net.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <tarn/offload.h>

#define ARENA_BYTES ((size_t)96 << 20)

uint16_t wire_u16(const uint8_t *p) {
    return (uint16_t)(p[0] << 8 | p[1]);
}
uint32_t wire_u32(const uint8_t *p) {
    return (uint32_t)wire_u16(p) << 16 | wire_u16(p + 2);
}

static bool chance(struct net *net, double p) {
    return p > 0 && tarn_random_u32(&net->random.random) < p * 4294967296.0;
}

static void wire_insert(struct net *net, struct wire_segment *w) {
    struct wire_segment **at = &net->wire;
    while (*at && (*at)->at <= w->at)
        at = &(*at)->next;
    w->next = *at;
    *at = w;
}

static void transmit(struct net *net, unsigned from, const uint8_t *bytes, size_t len, uint8_t tos,
                     bool gro) {
    const struct rules *r = &net->rules;
    net->sent++;
    bool lost = net->filter && !net->filter(net, from, bytes, len);
    lost = lost || chance(net, r->loss);
    tarn_time start = net->now;
    if (r->bytes_per_s && !lost) {
        tarn_time each = TARN_SEC(1) * (len + 40) / r->bytes_per_s;
        if (net->busy_until[from] < net->now)
            net->busy_until[from] = net->now;
        if ((net->busy_until[from] - net->now) / each >= r->queue_max)
            lost = true;
        else
            start = net->busy_until[from] += each;
    }
    if (lost) {
        net->lost++;
        return;
    }
    for (int copies = chance(net, r->duplicate) ? 2 : 1; copies > 0; copies--) {
        struct wire_segment *w = malloc(sizeof *w + len);
        *w = (struct wire_segment){.at = start + r->delay,
                                   .from = from,
                                   .tos = tos,
                                   .len = len,
                                   .good_checksum = true,
                                   .gro = gro};
        memcpy(w->bytes, bytes, len);
        if (chance(net, r->reorder))
            w->at += 1 + tarn_random_u64(&net->random.random) % (r->reorder_by + 1);
        if (chance(net, r->corrupt))
            w->bytes[tarn_random_below(&net->random.random, (uint32_t)len)] ^= 0x55;
        wire_insert(net, w);
    }
}

static void catch_segment(struct net *net, const uint8_t *bytes, size_t len, uint8_t tos) {
    struct wire_segment *w = malloc(sizeof *w + len);
    *w = (struct wire_segment){.len = len, .tos = tos};
    memcpy(w->bytes, bytes, len);
    if (net->caught_tail)
        net->caught_tail->next = w;
    else
        net->caught = w;
    net->caught_tail = w;
}

static void emit(struct host *h, struct tarn_pkt *pkt, uint8_t tos, bool gro) {
    uint8_t *bytes = malloc(pkt->len);
    size_t len = pkt->len;
    cr_assert(tarn_pkt_read(pkt, 0, bytes, len));
    tarn_pkt_free(pkt);
    if (h->net->by_hand)
        catch_segment(h->net, bytes, len, tos);
    else
        transmit(h->net, h->index, bytes, len, tos, gro);
    free(bytes);
}

/* An IPv4 header around it, so that lib/offload cuts it as it would at a device. */
static void cut_and_emit(struct host *h, const struct tarn_ip_meta *meta, struct tarn_pkt *pkt) {
    struct tarn_offload_cut cut = {0};
    struct tarn_pkt *piece;
    struct tarn_writer w = tarn_pkt_prepend(pkt, 20);
    tarn_writer_u16be(&w, 0x4500);
    tarn_writer_u16be(&w, (uint16_t)pkt->len);
    tarn_writer_u32be(&w, 0x00004000);
    tarn_writer_u16be(&w, 64 << 8 | 6);
    tarn_writer_u16be(&w, 0);
    tarn_writer_ipv4(&w, &meta->src);
    tarn_writer_ipv4(&w, &meta->dst);
    cr_assert_eq(tarn_offload_cut_begin(&cut, pkt, 0, TARN_OFFLOAD_CSUM | TARN_OFFLOAD_LINEAR),
                 TARN_OK);
    enum tarn_err err;
    while ((err = tarn_offload_cut_next(&cut, &h->pkts, &piece)) == TARN_OK) {
        cr_assert(tarn_pkt_pull(piece, 20));
        cr_assert_leq(piece->len + 20, h->mtu);
        emit(h, piece, meta->tos, false);
    }
    cr_assert_eq(err, TARN_EOF);
}

static enum tarn_err host_send(struct tarn_ip_lower *lower, const struct tarn_ip_meta *meta,
                               struct tarn_pkt *pkt, tarn_time now) {
    struct host *h = TARN_CONTAINER_OF(lower, struct host, lower);
    cr_assert_leq(now, h->net->now); /* abort knows no other time than the last */
    cr_assert_eq(pkt->csum_state, TARN_CSUM_PARTIAL);
    if (h->net->look)
        h->net->look(h->net, pkt);
    cr_assert(tarn_ip_addr_equal(&meta->src, &h->addr));
    if (pkt->gso_size && !h->net->rules.whole) {
        cut_and_emit(h, meta, pkt);
        return TARN_OK;
    }
    if (!pkt->gso_size)
        cr_assert_leq(pkt->len + 20, h->mtu);
    bool gro = pkt->gso_size != 0;
    tarn_pkt_csum_complete(pkt);
    emit(h, pkt, meta->tos, gro);
    return TARN_OK;
}

static enum tarn_err host_route(struct tarn_ip_lower *lower, const struct tarn_ip_addr *src,
                                const struct tarn_ip_addr *dst, struct tarn_ip_route *out) {
    struct host *h = TARN_CONTAINER_OF(lower, struct host, lower);
    (void)src;
    if (tarn_ip_addr_equal(dst, &TARN_IP_ADDR_V4(10, 9, 9, 9)))
        return TARN_NOT_FOUND;
    *out = (struct tarn_ip_route){.src = h->addr, .mtu = h->mtu, .features = h->features};
    return TARN_OK;
}

static const struct tarn_ip_lower_ops lower_ops = {.route = host_route, .send = host_send};

static void host_init(struct net *net, unsigned i, uint64_t seed,
                      const struct tarn_tcp_limits *limits,
                      const struct tarn_tcp_options *options) {
    struct host *h = &net->hosts[i];
    void *mem = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    cr_assert_neq(mem, MAP_FAILED);
    *h = (struct host){
        .lower = {&lower_ops},
        .net = net,
        .index = i,
        .mtu = 1500,
        .addr = TARN_IP_ADDR_V4(10, 0, 0, (uint8_t)(i + 1)),
        .features = TARN_NETIF_TX_CSUM | TARN_NETIF_TX_TSO4,
    };
    tarn_arena_init(&h->arena, tarn_bytes_of(mem, ARENA_BYTES));
    struct tarn_pkt_pool_config pkts = {.count = {8192, 8192, 256}};
    cr_assert_eq(tarn_pkt_pool_init(&h->pkts, &h->arena.alloc, &pkts), TARN_OK);
    tarn_tasks_init(&h->tasks);
    tarn_random_seeded_init(&h->random, seed * 2 + i);
    struct tarn_tcp_config config = {
        .alloc = &h->arena.alloc,
        .random = &h->random.random,
        .tasks = &h->tasks,
        .pkts = &h->pkts,
        .lower = &h->lower,
    };
    if (limits)
        config.limits = *limits;
    if (options)
        config.options = *options;
    cr_assert_eq(tarn_tcp_new(&config, &h->tcp), TARN_OK);
}

struct net *net_new(uint64_t seed, const struct tarn_tcp_limits *limits,
                    const struct tarn_tcp_options *options) {
    struct net *net = calloc(1, sizeof *net);
    net->now = TARN_SEC(1000);
    net->rules = (struct rules){.delay = TARN_MS(10), .reorder_by = TARN_MS(5)};
    tarn_random_seeded_init(&net->random, seed);
    host_init(net, 0, seed, limits, options);
    host_init(net, 1, seed, limits, options);
    return net;
}

void net_free(struct net *net) {
    hand_drop_all(net);
    while (net->wire) {
        struct wire_segment *w = net->wire;
        net->wire = w->next;
        free(w);
    }
    munmap(net->hosts[0].arena.mem.ptr, ARENA_BYTES);
    munmap(net->hosts[1].arena.mem.ptr, ARENA_BYTES);
    free(net);
}

static void give(struct host *to, const struct tarn_ip_addr *from, const uint8_t *bytes, size_t len,
                 uint8_t tos, bool gro) {
    /* A device receives into frames, however short what comes is. */
    struct tarn_pkt *pkt = tarn_pkt_alloc(&to->pkts, TARN_MAX(len, (size_t)1500));
    cr_assert(pkt);
    cr_assert(tarn_pkt_append(pkt, tarn_span_of(bytes, len)));
    struct tarn_ip_meta meta = {
        .src = *from, .dst = to->addr, .proto = TARN_IP_PROTO_TCP, .hops = 64, .tos = tos};
    if (gro) {
        pkt->gso_size = 1448;
        pkt->gso_type = TARN_GSO_TCPV4;
    }
    tarn_tcp_input(to->tcp, &meta, pkt, to->net->now);
}

void net_turn(struct net *net) {
    for (unsigned i = 0; i < 2; i++) {
        struct host *h = &net->hosts[i];
        for (unsigned turns = 0; turns < 50; turns++) {
            size_t ran = tarn_tasks_run(&h->tasks);
            tarn_time deadline = tarn_tcp_deadline(h->tcp);
            if (ran == 0 && deadline > net->now)
                break;
            tarn_tcp_tick(h->tcp, net->now);
            cr_assert_lt(turns, 49,
                         "the loop does not come to rest: host %u, %zu tasks, deadline %lld", i,
                         ran, (long long)(deadline - net->now));
        }
    }
}

static void deliver(struct net *net) {
    struct wire_segment *w;
    while ((w = net->wire) && w->at <= net->now) {
        net->wire = w->next;
        struct host *to = &net->hosts[1 - w->from];
        give(to, &net->hosts[w->from].addr, w->bytes, w->len, (uint8_t)(w->tos | net->mark_tos),
             w->gro);
        free(w);
    }
}

void net_run(struct net *net, tarn_time until) {
    for (;;) {
        deliver(net);
        net_turn(net);
        tarn_time next = net->wire ? net->wire->at : TARN_NEVER;
        next = TARN_MIN(next, tarn_tcp_deadline(net->hosts[0].tcp));
        next = TARN_MIN(next, tarn_tcp_deadline(net->hosts[1].tcp));
        if (next > until || next == TARN_NEVER)
            break;
        net->now = TARN_MAX(net->now, next);
    }
    if (until != TARN_NEVER)
        net->now = TARN_MAX(net->now, until);
}

void net_run_for(struct net *net, tarn_time duration) {
    net_run(net, net->now + duration);
}

void net_assert_clean(struct net *net) {
    net_run(net, TARN_NEVER);
    for (unsigned i = 0; i < 2; i++) {
        struct tarn_tcp_stats s = stats_of(net, i);
        cr_assert_eq(s.connections, 0, "host %u keeps %u connections", i, s.connections);
        cr_assert_eq(s.half_open, 0);
        cr_assert_eq(s.time_wait, 0);
        cr_assert_eq(s.snd_bytes, 0);
        cr_assert_eq(s.rcv_bytes, 0);
        for (unsigned class = 0; class < TARN_PKT_CLASSES; class ++)
            cr_assert_eq(net->hosts[i].pkts.pools[class].live, 0, "packets of class %u leak",
                         class);
    }
}

/* -- by hand -- */

static void seal(struct net *net, uint8_t *bytes, size_t len) {
    struct tarn_ip_meta meta = {
        .src = net->hosts[1].addr, .dst = net->hosts[0].addr, .proto = TARN_IP_PROTO_TCP};
    bytes[16] = bytes[17] = 0;
    uint32_t sum = tarn_csum_join(tarn_ip_pseudo_csum(&meta, (uint32_t)len),
                                  tarn_csum_add(0, tarn_span_of(bytes, len)), 0);
    uint16_t field = tarn_csum_finish(sum);
    bytes[16] = (uint8_t)(field >> 8);
    bytes[17] = (uint8_t)field;
}

void hand_send_raw(struct net *net, const uint8_t *bytes, size_t len) {
    give(&net->hosts[0], &net->hosts[1].addr, bytes, len, net->mark_tos, false);
    net_turn(net);
}

void hand_send(struct net *net, const struct seg *s) {
    uint8_t bytes[20 + 40 + 3000] = {0};
    struct tarn_writer w = TARN_WRITER_ARRAY(bytes);
    size_t options = (s->options_len + 3) / 4 * 4;
    tarn_writer_u16be(&w, s->src);
    tarn_writer_u16be(&w, s->dst);
    tarn_writer_u32be(&w, s->seq);
    tarn_writer_u32be(&w, s->ack);
    tarn_writer_u16be(&w, (uint16_t)((20 + options) / 4 << 12 | (s->ae ? 0x100 : 0) | s->flags));
    tarn_writer_u16be(&w, s->wnd);
    tarn_writer_u32be(&w, 0);
    tarn_writer_mem(&w, s->options, s->options_len);
    tarn_writer_zero(&w, options - s->options_len);
    tarn_writer_mem(&w, s->payload, s->len);
    seal(net, bytes, w.len);
    hand_send_raw(net, bytes, w.len);
}

bool hand_take(struct net *net, struct seg *out) {
    struct wire_segment *w = net->caught;
    if (!w)
        return false;
    net->caught = w->next;
    if (!net->caught)
        net->caught_tail = NULL;
    size_t header = (size_t)(w->bytes[12] >> 4) * 4;
    memset(out, 0, sizeof *out);
    out->src = wire_u16(w->bytes);
    out->dst = wire_u16(w->bytes + 2);
    out->seq = wire_u32(w->bytes + 4);
    out->ack = wire_u32(w->bytes + 8);
    out->flags = w->bytes[13];
    out->wnd = wire_u16(w->bytes + 14);
    out->tos = w->tos;
    out->ae = w->bytes[12] & 1;
    out->options_len = header - 20;
    memcpy(out->options, w->bytes + 20, header - 20);
    out->len = w->len - header;
    memcpy(out->payload, w->bytes + header, TARN_MIN(out->len, sizeof out->payload));
    free(w);
    return true;
}

struct seg hand_expect(struct net *net, unsigned flags) {
    struct seg s;
    cr_assert(hand_take(net, &s), "nothing was sent; a segment with flags %#x was expected", flags);
    cr_assert_eq(s.flags, flags, "flags %#x, expected %#x", s.flags, flags);
    return s;
}

void hand_expect_none(struct net *net) {
    struct seg s;
    cr_assert_not(hand_take(net, &s), "flags %#x seq %u ack %u len %zu came unexpectedly", s.flags,
                  s.seq, s.ack, s.len);
}

void hand_drop_all(struct net *net) {
    struct seg s;
    while (hand_take(net, &s))
        continue;
}

/* -- transfers -- */

static uint8_t pattern(uint64_t i) {
    return (uint8_t)(i * 31 + (i >> 8) * 7 + (i >> 16));
}

static void xfer_write(struct xfer *x) {
    static uint8_t lent[1 << 16];
    static bool filled;
    if (!filled)
        for (size_t i = 0; i < sizeof lent; i++)
            lent[i] = pattern(i);
    filled = true;
    while (x->sent < x->to_send) {
        uint8_t buf[5000];
        size_t n = TARN_MIN(sizeof buf, x->to_send - x->sent), done;
        enum tarn_err err;
        for (size_t i = 0; i < n; i++)
            buf[i] = pattern(x->sent + i);
        if (x->lend && x->sent < sizeof lent) {
            n = TARN_MIN(x->to_send, sizeof lent) - x->sent;
            err = tarn_flow_lend(x->flow, tarn_span_of(lent + x->sent, n), NULL, &done);
        } else {
            err = tarn_flow_write(x->flow, tarn_span_of(buf, n), &done);
        }
        if (err)
            return;
        x->sent += done;
    }
    if (!x->shut && !x->keep_open) {
        x->shut = true;
        tarn_flow_shutdown(x->flow);
    }
}

static void xfer_read(struct xfer *x) {
    while (!x->stop_reading && !x->end_seen && !(x->read_max && x->received >= x->read_max)) {
        struct tarn_bytes b;
        enum tarn_err err = tarn_flow_peek(x->flow, &b);
        if (err == TARN_AGAIN)
            return;
        if (err == TARN_EOF) {
            x->end_seen = true;
            return;
        }
        if (err) {
            x->failed = true;
            x->error = err;
            return;
        }
        for (size_t i = 0; i < b.len; i++)
            cr_assert_eq(b.ptr[i], pattern(x->received + i), "wrong byte at %llu",
                         (unsigned long long)(x->received + i));
        x->received += b.len;
        tarn_flow_consume(x->flow, b.len);
    }
}

void xfer_poke(struct xfer *x) {
    if (x->failed || !x->flow)
        return;
    xfer_write(x);
    xfer_read(x);
    if (x->close_at_end && x->end_seen && x->shut) {
        tarn_flow_close(x->flow);
        x->flow = NULL;
    }
}

static void xfer_event(struct tarn_flow *flow, unsigned events) {
    struct xfer *x = flow->user;
    x->events |= events;
    if (events & TARN_FLOW_CONNECTED)
        x->connected = true;
    if (events & TARN_FLOW_FAILED)
        x->failed = true;
    xfer_poke(x);
}

void xfer_start(struct xfer *x, struct tarn_flow *flow, uint64_t to_send) {
    x->flow = flow;
    x->to_send = to_send;
    flow->user = x;
    flow->on_event = xfer_event;
    xfer_poke(x);
}

struct tarn_listener *net_listen(struct net *net, unsigned host, uint16_t port, uint32_t backlog) {
    struct tarn_listener *l;
    struct tarn_endpoint local = {TARN_IP_ADDR_NONE, port};
    cr_assert_eq(tarn_tcp_listen(net->hosts[host].tcp, &local, backlog, &l), TARN_OK);
    return l;
}

struct tarn_flow *net_open(struct net *net, unsigned host, uint16_t port) {
    struct tarn_flow *flow;
    struct tarn_endpoint remote = {net->hosts[1 - host].addr, port};
    cr_assert_eq(tarn_tcp_connect(net->hosts[host].tcp, NULL, &remote, net->now, &flow), TARN_OK);
    return flow;
}

void net_connect(struct net *net, struct tarn_flow **client, struct tarn_flow **server) {
    struct tarn_listener *l = net_listen(net, 1, 80, 16);
    *client = net_open(net, 0, 80);
    tarn_time end = net->now + TARN_SEC(100);
    while (tarn_listener_accept(l, server) != TARN_OK && net->now < end)
        net_run_for(net, TARN_MS(5));
    cr_assert_lt(net->now, end);
    tarn_listener_close(l);
    cr_assert_eq(info_of(*client).state, TARN_TCP_ESTABLISHED);
}

struct tarn_tcp_info info_of(struct tarn_flow *flow) {
    struct tarn_tcp_info info;
    cr_assert_eq(tarn_tcp_info(flow, &info), TARN_OK);
    return info;
}

struct tarn_tcp_stats stats_of(struct net *net, unsigned host) {
    struct tarn_tcp_stats s;
    tarn_tcp_stats(net->hosts[host].tcp, &s);
    return s;
}
