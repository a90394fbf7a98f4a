/* SPDX-License-Identifier: ISC */
/* The stack: its memory, what comes in, what is due. */
#include "internal.h"

static const struct tarn_tcp_limits limits_default = {
    .connections_max = 1024,
    .listeners_max = 16,
    .syn_queue_max = 256,
    .fast_open_pending_max = 32,
    .fast_open_peers_max = 64,
    .memory_bytes = (size_t)4 << 20,
    .snd_buf_bytes_max = 1u << 20,
    .rcv_buf_bytes_max = 1u << 20,
    .rcv_buf_bytes_min = 1u << 16,
};

static const struct tarn_tcp_options options_default = {
    .cc = &tarn_tcp_cc_cubic,
    .time_wait = TARN_SEC(60),
    .fin_wait_2 = TARN_SEC(60),
    .rto_min = TARN_MS(200),
    .user_timeout = TARN_SEC(900),
    .connect_timeout = TARN_SEC(127),
    .ack_delay = TARN_MS(40),
    .initial_cwnd_segments = 10,
    .port_min = 49152,
    .port_max = 65535,
};

#define DEFAULT(set, defaults, field)                                                              \
    ((set)->field = (set)->field ? (set)->field : (defaults).field)

static enum tarn_err fill_limits(struct tarn_tcp_limits *l,
                                 const struct tarn_tcp_options *options) {
    const struct tarn_tcp_cc_ops *cc = options->cc;
    DEFAULT(l, limits_default, connections_max);
    if (l->cc_blocks_max == 0)
        l->cc_blocks_max = cc->block_bytes ? l->connections_max : TARN_MIN(l->connections_max, 64u);
    if (l->owns_max == 0)
        l->owns_max = options->count ? l->connections_max : TARN_MIN(l->connections_max, 1024u);
    DEFAULT(l, limits_default, listeners_max);
    DEFAULT(l, limits_default, syn_queue_max);
    DEFAULT(l, limits_default, fast_open_pending_max);
    DEFAULT(l, limits_default, fast_open_peers_max);
    DEFAULT(l, limits_default, memory_bytes);
    DEFAULT(l, limits_default, snd_buf_bytes_max);
    DEFAULT(l, limits_default, rcv_buf_bytes_max);
    DEFAULT(l, limits_default, rcv_buf_bytes_min);
    l->rcv_buf_bytes_min = TARN_MIN(l->rcv_buf_bytes_min, l->rcv_buf_bytes_max);
    /* A window is less than 2^30 bytes (RFC 7323 section 2.2), and so is what is in flight. */
    bool good = l->snd_buf_bytes_max <= 1u << 30 && l->rcv_buf_bytes_max <= 1u << 29
                && l->connections_max <= 1u << 24 && l->syn_queue_max <= 1u << 24
                && l->listeners_max <= 65535 && l->memory_bytes >= 4 * TCP_BLOCK_BYTES
                && l->memory_bytes / TCP_BLOCK_BYTES < 1u << 28;
    return good ? TARN_OK : TARN_INVALID;
}

static enum tarn_err fill_options(struct tarn_tcp_options *o) {
    DEFAULT(o, options_default, cc);
    DEFAULT(o, options_default, time_wait);
    DEFAULT(o, options_default, fin_wait_2);
    DEFAULT(o, options_default, rto_min);
    DEFAULT(o, options_default, user_timeout);
    DEFAULT(o, options_default, connect_timeout);
    DEFAULT(o, options_default, ack_delay);
    DEFAULT(o, options_default, initial_cwnd_segments);
    DEFAULT(o, options_default, port_min);
    DEFAULT(o, options_default, port_max);
    bool good = o->port_min <= o->port_max && o->ack_delay <= TARN_MS(500)
                && o->initial_cwnd_segments <= 1000 && o->rto_min <= TARN_SEC(60)
                && o->user_timeout <= TARN_MS(UINT32_MAX >> 1)
                && o->cc->block_bytes <= TARN_TCP_CC_BLOCK_BYTES;
    return good ? TARN_OK : TARN_INVALID;
}

/* Records of what is in flight: one for each kilobyte of send memory lets all of it be in flight in
 * segments of that size; smaller ones share. */
static enum tarn_err take_memory(struct tarn_tcp *tcp) {
    const struct tarn_tcp_limits *l = &tcp->config.limits;
    struct tarn_alloc *a = tcp->config.alloc;
    uint32_t blocks = (uint32_t)(l->memory_bytes / 2 / TCP_BLOCK_BYTES);
    size_t frame = tarn_pkt_class_bytes(TARN_PKT_FRAME);
    enum tarn_err err = TARN_OK;
    tcp->rcv_bytes_max = l->memory_bytes / 2;
    uint32_t ranges = (uint32_t)(tcp->rcv_bytes_max / frame) + 8;
#define POOL(field, type, count)                                                                   \
    err =                                                                                          \
        err ? err                                                                                  \
            : tarn_pool_init(&tcp->field, a, sizeof(struct type), _Alignof(struct type), (count))
    POOL(conns, tcp_conn, l->connections_max);
    POOL(flights, tcp_flight, l->connections_max);
    POOL(owns, tcp_own, l->owns_max);
    POOL(halves, tcp_half, l->syn_queue_max);
    POOL(listeners, tcp_listener, l->listeners_max);
    POOL(pieces, tcp_piece, blocks * 2);
    POOL(sents, tcp_sent, blocks * 4 + 16);
    POOL(ranges, tcp_range, ranges);
#undef POOL
    err = err ? err
              : tarn_pool_init(&tcp->cc_blocks, a, TARN_TCP_CC_BLOCK_BYTES, 8, l->cc_blocks_max);
    if (tcp->config.options.fast_open) {
        tcp->fast_open.peers = TARN_NEW_ARRAY(a, l->fast_open_peers_max, struct tcp_peer_cookie);
        err = err ? err : tcp->fast_open.peers ? TARN_OK : TARN_LIMIT;
    }
    err = err ? err : tarn_pool_init(&tcp->blocks, a, TCP_BLOCK_BYTES, 64, blocks);
    err = err ? err : tarn_map_init(&tcp->conn_map, a, l->connections_max);
    err = err ? err : tarn_map_init(&tcp->half_map, a, l->syn_queue_max);
    err = err ? err : tarn_map_init(&tcp->listener_map, a, l->listeners_max);
    err = err ? err : tarn_timers_init(&tcp->timers, a, l->connections_max);
    return err ? err : tarn_timers_init(&tcp->half_timers, a, l->syn_queue_max);
}

static void upper_input(struct tarn_ip_upper *upper, const struct tarn_ip_meta *meta,
                        struct tarn_pkt *pkt, tarn_time now) {
    tarn_tcp_input(TARN_CONTAINER_OF(upper, struct tarn_tcp, upper), meta, pkt, now);
}

static void upper_error(struct tarn_ip_upper *upper, const struct tarn_ip_meta *meta,
                        enum tarn_ip_error error, uint32_t mtu, struct tarn_span quoted,
                        tarn_time now) {
    tarn_tcp_error(TARN_CONTAINER_OF(upper, struct tarn_tcp, upper), meta, error, mtu, quoted, now);
}

static const struct tarn_ip_upper_ops upper_ops = {.input = upper_input, .error = upper_error};

enum tarn_err tarn_tcp_new(const struct tarn_tcp_config *config, struct tarn_tcp **out) {
    struct tarn_tcp *tcp = TARN_NEW(config->alloc, struct tarn_tcp);
    if (!tcp)
        return TARN_LIMIT;
    tcp->config = *config;
    enum tarn_err err = fill_options(&tcp->config.options);
    err = err ? err : fill_limits(&tcp->config.limits, &tcp->config.options);
    err = err ? err : take_memory(tcp);
    if (err)
        return err;
    tcp->upper = (struct tarn_ip_upper){.ops = &upper_ops, .proto = TARN_IP_PROTO_TCP};
    tcp->event_task.run = tcp_events_run;
    tarn_hash_key_init(&tcp->key, config->random);
    tarn_hash_key_init(&tcp->isn_key, config->random);
    tarn_hash_key_init(&tcp->ts_key, config->random);
    tarn_hash_key_init(&tcp->port_key, config->random);
    tarn_hash_key_init(&tcp->cookie_key, config->random);
    tcp->priorities = tarn_random_u32(config->random) | 1;
    tcp->next_port = tarn_random_u32(config->random);
    ring_init(&tcp->dirty);
    ring_init(&tcp->events);
    ring_init(&tcp->starved);
    ring_init(&tcp->time_wait);
    *out = tcp;
    return TARN_OK;
}

struct tarn_ip_upper *tarn_tcp_upper(struct tarn_tcp *tcp) {
    return &tcp->upper;
}

static bool is_unicast(const struct tarn_ip_addr *a) {
    return !tarn_ip_addr_is_any(a) && !tarn_ip_addr_is_multicast(a)
           && !(tarn_ip_addr_is_v4(a) && tarn_ip_addr_v4(a) == UINT32_MAX);
}

static void demultiplex(struct tarn_tcp *tcp, struct tcp_segment *seg) {
    const struct tarn_ip_meta *meta = seg->meta;
    struct tcp_conn *c = tcp_conn_find(tcp, &meta->dst, seg->dst_port, &meta->src, seg->src_port);
    if (c) {
        tcp_conn_input(c, seg);
        return;
    }
    struct tcp_half *half = tcp->half_map.count ? tcp_half_find(tcp, seg) : NULL;
    if (half)
        tcp_half_input(tcp, half, seg);
    else
        tcp_listen_input(tcp, seg);
}

static void count_malformed(struct tarn_tcp *tcp, enum tcp_parse result) {
    if (result == TCP_PARSE_CHECKSUM)
        tcp->stats.drop_checksum++;
    else
        tcp->stats.drop_malformed++;
}

void tarn_tcp_input(struct tarn_tcp *tcp, const struct tarn_ip_meta *meta, struct tarn_pkt *pkt,
                    tarn_time now) {
    tcp->now = TARN_MAX(tcp->now, now);
    if (meta->cast != 0 || !is_unicast(&meta->src) || !is_unicast(&meta->dst)) {
        tcp->stats.drop_address++;
        tarn_pkt_free(pkt);
        return;
    }
    /* Received packets are linear; one that came straight from a sender on this host may not be. */
    if (pkt->nfrags) {
        struct tarn_pkt *linear = tarn_pkt_copy(pkt->pool, pkt);
        tarn_pkt_free(pkt);
        if (!linear) {
            tcp->stats.no_packet++;
            return;
        }
        pkt = linear;
    }
    struct tcp_segment seg;
    enum tcp_parse result = tcp_segment_parse(&seg, meta, pkt);
    if (result != TCP_PARSE_OK) {
        count_malformed(tcp, result);
        tarn_pkt_free(pkt);
        return;
    }
    tcp->stats.segments_in++;
    tcp->stats.bytes_in += seg.len;
    if (seg.flags & TCP_RST)
        tcp->stats.resets_in++;
    demultiplex(tcp, &seg);
    tarn_pkt_free(seg.pkt);
}

void tarn_tcp_tick(struct tarn_tcp *tcp, tarn_time now) {
    struct tarn_timer *t;
    tcp->now = TARN_MAX(tcp->now, now);
    while ((t = tarn_timers_pop(&tcp->timers, tcp->now)))
        tcp_timer_fire(TARN_CONTAINER_OF(t, struct tcp_conn, timer));
    while ((t = tarn_timers_pop(&tcp->half_timers, tcp->now)))
        tcp_half_timer(tcp, TARN_CONTAINER_OF(t, struct tcp_half, timer));
    if (tcp->hold_until > tcp->now)
        return;
    tcp->hold_until = 0;
    struct tcp_link work;
    ring_init(&work);
    while (!ring_is_empty(&tcp->dirty)) {
        struct tcp_link *link = tcp->dirty.next;
        ring_remove(link);
        ring_push(&work, link);
    }
    while (!ring_is_empty(&work)) {
        struct tcp_conn *c = TARN_CONTAINER_OF(work.next, struct tcp_conn, dirty);
        ring_remove(&c->dirty);
        tcp_output(c);
    }
}

tarn_time tarn_tcp_deadline(const struct tarn_tcp *tcp) {
    tarn_time timers =
        TARN_MIN(tarn_timers_next(&tcp->timers), tarn_timers_next(&tcp->half_timers));
    return ring_is_empty(&tcp->dirty) ? timers : TARN_MIN(timers, tcp->hold_until);
}

void tarn_tcp_stats(const struct tarn_tcp *tcp, struct tarn_tcp_stats *out) {
    *out = tcp->stats;
    out->connections = tcp->conns.live;
    out->half_open = tcp->halves.live;
    out->snd_bytes = tcp->snd_bytes;
    out->rcv_bytes = tcp->rcv_bytes;
}
