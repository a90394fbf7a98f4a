/* SPDX-License-Identifier: ISC */
/* Connections: how they are found, come, and go. */
#include "internal.h"

uint64_t tcp_tuple_hash(const struct tarn_hash_key *key, const struct tarn_ip_addr *local,
                        uint16_t local_port, const struct tarn_ip_addr *remote,
                        uint16_t remote_port) {
    uint8_t bytes[36];
    struct tarn_writer w = TARN_WRITER_ARRAY(bytes);
    tarn_writer_span_put(&w, TARN_SPAN_ARRAY(local->bytes));
    tarn_writer_span_put(&w, TARN_SPAN_ARRAY(remote->bytes));
    tarn_writer_u16be(&w, local_port);
    tarn_writer_u16be(&w, remote_port);
    return tarn_hash(key, tarn_writer_span(&w));
}

struct tcp_conn *tcp_conn_find(struct tarn_tcp *tcp, const struct tarn_ip_addr *local,
                               uint16_t local_port, const struct tarn_ip_addr *remote,
                               uint16_t remote_port) {
    uint64_t hash = tcp_tuple_hash(&tcp->key, local, local_port, remote, remote_port);
    struct tarn_map_link *link = tarn_map_first(&tcp->conn_map, hash);
    for (; link; link = tarn_map_following(link)) {
        struct tcp_conn *c = TARN_CONTAINER_OF(link, struct tcp_conn, by_tuple);
        if (c->local_port == local_port && c->remote_port == remote_port
            && tarn_ip_addr_equal(&c->remote, remote) && tarn_ip_addr_equal(&c->local, local))
            return c;
    }
    return NULL;
}

static bool evict_time_wait(struct tarn_tcp *tcp) {
    if (ring_is_empty(&tcp->time_wait))
        return false;
    tcp->stats.time_wait_evicted++;
    tcp_conn_free(TARN_CONTAINER_OF(tcp->time_wait.next, struct tcp_conn, queue));
    return true;
}

struct tcp_conn *tcp_conn_new(struct tarn_tcp *tcp, const struct tarn_endpoint *local,
                              const struct tarn_endpoint *remote) {
    if (tcp->conns.live == tcp->conns.count && !evict_time_wait(tcp)) {
        tcp->stats.drop_connections++;
        return NULL;
    }
    struct tcp_conn *c = tarn_pool_take(&tcp->conns);
    *c = (struct tcp_conn){
        .flow = {.ops = &tcp_flow_ops},
        .tcp = tcp,
        .local = local->addr,
        .remote = remote->addr,
        .local_port = local->port,
        .remote_port = remote->port,
        .xmit_at = TARN_NEVER,
        .ack_at = TARN_NEVER,
        .slow_at = TARN_NEVER,
        .rto_us = TCP_RTO_INITIAL_US,
        .rtt_min_us = UINT32_MAX,
        .rcv_buf = tcp->config.limits.rcv_buf_bytes_min,
        .heard_ms = now_ms(tcp),
        .astray_ms = now_ms(tcp) - UINT32_MAX / 2,
        .progress_ms = now_ms(tcp),
        .user_timeout_ms = (uint32_t)(tcp->config.options.user_timeout / 1000000),
    };
    c->ts_offset = tcp_ts_offset(tcp, &c->local, c->local_port, &c->remote, c->remote_port);
    tarn_map_insert(
        &tcp->conn_map, &c->by_tuple,
        tcp_tuple_hash(&tcp->key, &c->local, c->local_port, &c->remote, c->remote_port));
    if (tcp->config.options.count)
        (void)tcp_own_of(c);
    return c;
}

static void free_cc_block(struct tcp_conn *c) {
    if (!c->cc.ops || !c->cc.ops->block_bytes || !c->cc.state.block)
        return;
    tarn_pool_put(&c->tcp->cc_blocks, c->cc.state.block);
    c->cc.state.block = NULL;
}

bool tcp_conn_set_cc(struct tcp_conn *c, const struct tarn_tcp_cc_ops *ops) {
    free_cc_block(c); /* it may be the one that is needed, and else nothing is lost */
    void *block = ops->block_bytes ? tarn_pool_take(&c->tcp->cc_blocks) : NULL;
    if (ops->block_bytes && !block) {
        c->tcp->stats.no_cc_block++;
        return false;
    }
    c->cc = (struct tarn_tcp_cc){
        .ops = ops,
        .cwnd = c->cc.cwnd,
        .ssthresh = c->cc.ssthresh,
        .mss = c->cc.mss,
        .state = {.block = block},
    };
    ops->init(&c->cc, c->srtt_us);
    return true;
}

static void free_queues(struct tcp_conn *c) {
    free_cc_block(c);
    while (c->flight && c->flight->sent)
        tcp_sent_free(c, c->flight->sent);
    if (c->flight)
        c->flight->tlp_out = false;
    tcp_flight_end(c);
    tcp_queue_clear(c);
    if (!all_is_acked(c))
        c->snd_end = c->snd_nxt = c->snd_una;
}

static void leave_queue(struct tcp_conn *c) {
    if (!link_is_in_ring(&c->queue))
        return;
    ring_remove(&c->queue);
    c->starved = false;
    if (c->listener)
        c->listener->accept_count--;
    else if (c->state == TARN_TCP_TIME_WAIT)
        c->tcp->stats.time_wait--;
}

static void leave_tables(struct tcp_conn *c) {
    struct tarn_tcp *tcp = c->tcp;
    tcp_fast_open_end(c);
    leave_queue(c);
    ring_remove(&c->dirty);
    if (tarn_map_contains_link(&c->by_tuple))
        tarn_map_remove(&tcp->conn_map, &c->by_tuple);
    tarn_timer_clear(&tcp->timers, &c->timer);
    c->xmit_at = c->ack_at = c->slow_at = TARN_NEVER;
}

void tcp_conn_free(struct tcp_conn *c) {
    leave_tables(c);
    ring_remove(&c->events);
    free_queues(c);
    tcp_receive_clear(c);
    if (c->own)
        tarn_pool_put(&c->tcp->owns, c->own);
    tarn_pool_put(&c->tcp->conns, c);
}

void tcp_conn_end(struct tcp_conn *c, enum tarn_err err) {
    struct tarn_tcp *tcp = c->tcp;
    tcp->stats.closed++;
    if (c->orphan || c->listener) {
        tcp_conn_free(c);
        return;
    }
    leave_tables(c);
    free_queues(c);
    c->state = TARN_TCP_CLOSED;
    c->err = (uint8_t)err;
    tcp_conn_event(c, err == TARN_EOF ? TARN_FLOW_READABLE : TARN_FLOW_FAILED);
}

void tcp_conn_dirty(struct tcp_conn *c) {
    if (!link_is_in_ring(&c->dirty))
        ring_push(&c->tcp->dirty, &c->dirty);
}

void tcp_conn_event(struct tcp_conn *c, unsigned events) {
    if (c->orphan || c->listener)
        return;
    c->pending_events |= (uint8_t)events;
    if (!link_is_in_ring(&c->events)) {
        ring_push(&c->tcp->events, &c->events);
        tarn_task_post(c->tcp->config.tasks, &c->tcp->event_task);
    }
}

/* A handler may close any flow, and cause further events, which wait for the next run. */
void tcp_events_run(struct tarn_task *task) {
    struct tarn_tcp *tcp = TARN_CONTAINER_OF(task, struct tarn_tcp, event_task);
    struct tcp_link running;
    ring_init(&running);
    while (!ring_is_empty(&tcp->events)) {
        struct tcp_link *link = tcp->events.next;
        ring_remove(link);
        ring_push(&running, link);
    }
    while (!ring_is_empty(&running)) {
        struct tcp_conn *c = TARN_CONTAINER_OF(running.next, struct tcp_conn, events);
        unsigned events = c->pending_events;
        ring_remove(&c->events);
        c->pending_events = 0;
        if (c->flow.on_event)
            c->flow.on_event(&c->flow, events);
    }
}

/* RFC 6528: a clock of 4 us and a keyed hash of the connection. */
uint32_t tcp_isn(struct tarn_tcp *tcp, const struct tarn_ip_addr *local, uint16_t local_port,
                 const struct tarn_ip_addr *remote, uint16_t remote_port) {
    return (uint32_t)(tcp->now / 4000)
           + (uint32_t)tcp_tuple_hash(&tcp->isn_key, local, local_port, remote, remote_port);
}

/* The same for one four-tuple, so that TIME-WAIT can compare (RFC 6191), and unlike any other's
 * (RFC 7323 section 5.4). */
uint32_t tcp_ts_offset(struct tarn_tcp *tcp, const struct tarn_ip_addr *local, uint16_t local_port,
                       const struct tarn_ip_addr *remote, uint16_t remote_port) {
    return (uint32_t)tcp_tuple_hash(&tcp->ts_key, local, local_port, remote, remote_port);
}

uint8_t tcp_wscale_for(uint32_t bytes) {
    uint8_t shift = 0;
    while (shift < TCP_WSCALE_MAX && bytes >> shift > 65535)
        shift++;
    return shift;
}

uint16_t tcp_mss_for_mtu(uint16_t mtu, const struct tarn_ip_addr *peer) {
    uint32_t headers = (tarn_ip_addr_is_v4(peer) ? 20u : 40u) + TCP_HEADER_BYTES;
    return (uint16_t)(mtu > headers + TCP_MSS_MIN ? mtu - headers : TCP_MSS_MIN);
}

void tcp_conn_set_mss(struct tcp_conn *c) {
    uint16_t path = tcp_mss_for_mtu(c->path_mtu, &c->remote);
    uint32_t mss = TARN_MIN(path, c->peer_mss);
    mss = TARN_MAX(mss, TCP_MSS_MIN) - (c->ts_ok ? 12u : 0u);
    c->mss = (uint16_t)mss;
    c->cc.mss = mss;
}

void tcp_conn_route(struct tcp_conn *c) {
    struct tarn_ip_lower *lower = c->tcp->config.lower;
    struct tarn_ip_route route;
    if (lower->ops->route(lower, &c->local, &c->remote, &route) != TARN_OK)
        return;
    bool v4 = tarn_ip_addr_is_v4(&c->remote);
    c->path_mtu = route.mtu;
    c->features_tso = (route.features & (v4 ? TARN_NETIF_TX_TSO4 : TARN_NETIF_TX_TSO6)) != 0;
}

void tcp_conn_negotiate(struct tcp_conn *c, const struct tcp_options *peer) {
    const struct tarn_tcp_options *options = &c->tcp->config.options;
    c->sack_ok = peer->sack_ok && !options->no_sack;
    c->ts_ok = peer->has_ts && !options->no_timestamps;
    c->wscale_ok = peer->has_wscale && !options->no_window_scale;
    c->snd_wscale = (uint8_t)(c->wscale_ok ? TARN_MIN(peer->wscale, TCP_WSCALE_MAX) : 0);
    c->rcv_wscale = c->wscale_ok ? tcp_wscale_for(c->tcp->config.limits.rcv_buf_bytes_max) : 0;
    c->ts_recent = peer->tsval;
    c->peer_mss = peer->mss ? peer->mss : TCP_MSS_DEFAULT;
    c->peer_mss = (uint16_t)TARN_MIN(c->peer_mss, tcp_mss_max(c));
    c->rcv_mss = TCP_MSS_DEFAULT;
    c->quick_acks = 16;
    tcp_conn_set_mss(c);
}

void tcp_conn_established(struct tcp_conn *c) {
    const struct tarn_tcp_options *options = &c->tcp->config.options;
    c->state = c->fin_queued ? TARN_TCP_FIN_WAIT_1 : TARN_TCP_ESTABLISHED;
    c->tcp->stats.established++;
    c->backoffs = 0;
    c->xmit_timer = TCP_TIMER_NONE;
    c->xmit_at = TARN_NEVER;
    c->progress_ms = c->sent_ms = now_ms(c->tcp);
    if (c->own)
        c->own->data_in_ms = now_ms(c->tcp);
    c->cc.cwnd = options->initial_cwnd_segments * c->mss;
    /* RFC 5681 section 3.1: a lost SYN makes the initial window one segment. */
    if (c->timeouts > 0)
        c->cc.cwnd = c->mss;
    c->timeouts = 0;
    c->cc.ssthresh = TARN_TCP_SSTHRESH_NONE;
    if (!tcp_conn_set_cc(c, options->cc))
        (void)tcp_conn_set_cc(c, &tarn_tcp_cc_cubic);
    c->tune_from_us = now_us(c->tcp);
    tcp_timer_slow(c);
}

void tcp_conn_time_wait(struct tcp_conn *c) {
    struct tarn_tcp *tcp = c->tcp;
    if (c->state != TARN_TCP_TIME_WAIT) {
        free_queues(c);
        leave_queue(c);
        c->state = TARN_TCP_TIME_WAIT;
        c->xmit_timer = TCP_TIMER_NONE;
        c->xmit_at = TARN_NEVER;
    }
    if (c->orphan && !link_is_in_ring(&c->queue)) {
        tcp_receive_clear(c);
        ring_push(&tcp->time_wait, &c->queue);
        tcp->stats.time_wait++;
    }
    c->slow_at = tarn_time_after(tcp->now, tcp->config.options.time_wait);
    tcp_timer_update(c);
}
