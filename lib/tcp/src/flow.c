/* SPDX-License-Identifier: ISC */
/* A connection as its owner sees it. */
#include "internal.h"

static struct tcp_conn *conn_of(const struct tarn_flow *flow) {
    return TARN_CONTAINER_OF(flow, struct tcp_conn, flow);
}

bool tarn_tcp_owns(const struct tarn_flow *flow) {
    return flow->ops == &tcp_flow_ops;
}

/* Bytes consumed make room: the peer is told once that is worth a segment. */
static void window_opens(struct tcp_conn *c) {
    uint32_t promised = seq_lt(c->rcv_nxt, c->rcv_adv) ? c->rcv_adv - c->rcv_nxt : 0;
    uint32_t window = tcp_receive_window(c);
    if (c->fin_received || c->state == TARN_TCP_CLOSED || window <= promised)
        return;
    /* RFC 9293 section 3.8.6.2.2; a window of many segments is topped up in larger steps. */
    if (promised < c->rcv_buf / 2 || window - promised >= c->rcv_buf / 4) {
        c->ack_now = true;
        tcp_conn_dirty(c);
    }
}

static enum tarn_err flow_peek(struct tarn_flow *flow, struct tarn_bytes *out) {
    struct tcp_conn *c = conn_of(flow);
    if (c->rcv_head) {
        *out = tarn_pkt_head_bytes(c->rcv_head);
        return TARN_OK;
    }
    if (c->fin_received)
        return TARN_EOF;
    if (c->state == TARN_TCP_CLOSED)
        return (enum tarn_err)c->err;
    c->want_read = true;
    return TARN_AGAIN;
}

static void flow_consume(struct tarn_flow *flow, size_t n) {
    struct tcp_conn *c = conn_of(flow);
    tcp_receive_consume(c, n);
    window_opens(c);
}

static enum tarn_err flow_read(struct tarn_flow *flow, struct tarn_bytes buf, size_t *n) {
    struct tcp_conn *c = conn_of(flow);
    struct tarn_bytes piece;
    enum tarn_err err = flow_peek(flow, &piece);
    *n = 0;
    if (err)
        return err;
    while (buf.len > 0 && c->rcv_head) {
        size_t got = tarn_bytes_copy(buf, tarn_pkt_head(c->rcv_head));
        tcp_receive_consume(c, got);
        buf = tarn_bytes_after(buf, got);
        *n += got;
    }
    window_opens(c);
    return TARN_OK;
}

/* Whether there is something to write to: TARN_OK, or what write answers instead. */
static enum tarn_err writable(struct tcp_conn *c) {
    switch (c->state) {
    case TARN_TCP_CLOSED:
        if (c->err == TARN_EOF)
            return c->fin_queued ? TARN_INVALID : TARN_PEER;
        return (enum tarn_err)c->err;
    case TARN_TCP_SYN_SENT:
    case TARN_TCP_SYN_RECEIVED: return c->fin_queued ? TARN_INVALID : TARN_AGAIN;
    case TARN_TCP_ESTABLISHED:
    case TARN_TCP_CLOSE_WAIT: return c->fin_queued ? TARN_INVALID : TARN_OK;
    default: return TARN_INVALID;
    }
}

static enum tarn_err wrote(struct tcp_conn *c, size_t n, bool all) {
    if (!all) {
        c->want_write = true;
        /* The stack is out of memory, not the connection out of buffer: whoever gives some back
         * wakes it. */
        if (tcp_queue_room(c) > 0 && !link_is_in_ring(&c->queue)) {
            c->starved = true;
            ring_push(&c->tcp->starved, &c->queue);
        }
    }
    if (n == 0)
        return all ? TARN_OK : TARN_AGAIN;
    tcp_conn_dirty(c);
    return TARN_OK;
}

static enum tarn_err flow_write(struct tarn_flow *flow, const struct tarn_span *v, size_t nv,
                                size_t *n) {
    struct tcp_conn *c = conn_of(flow);
    enum tarn_err err = writable(c);
    *n = 0;
    if (err)
        return err;
    c->more = c->more_written = false;
    for (size_t i = 0; i < nv; i++) {
        struct tarn_span piece = TARN_AT_N(v, nv, i);
        size_t took = tcp_queue_copy(c, piece);
        *n += took;
        if (took < piece.len)
            return wrote(c, *n, false);
    }
    return wrote(c, *n, true);
}

static enum tarn_err flow_lend(struct tarn_flow *flow, struct tarn_span data,
                               struct tarn_lease *lease, size_t *n) {
    struct tcp_conn *c = conn_of(flow);
    enum tarn_err err = writable(c);
    *n = 0;
    if (err)
        return err;
    c->more = c->more_written = false;
    *n = tcp_queue_lend(c, data, lease);
    return wrote(c, *n, *n == data.len);
}

static void queue_fin(struct tcp_conn *c) {
    if (c->fin_queued)
        return;
    switch (c->state) {
    case TARN_TCP_ESTABLISHED: c->state = TARN_TCP_FIN_WAIT_1; break;
    case TARN_TCP_CLOSE_WAIT: c->state = TARN_TCP_LAST_ACK; break;
    case TARN_TCP_SYN_SENT:
    case TARN_TCP_SYN_RECEIVED: break; /* once established */
    default: return;
    }
    c->fin_queued = true;
    tcp_conn_dirty(c);
}

static void flow_shutdown(struct tarn_flow *flow) {
    queue_fin(conn_of(flow));
}

static void flow_abort(struct tarn_flow *flow) {
    struct tcp_conn *c = conn_of(flow);
    tcp_send_reset(c);
    c->orphan = true;
    if (c->state == TARN_TCP_CLOSED)
        tcp_conn_free(c);
    else
        tcp_conn_end(c, TARN_EOF);
}

static void flow_close(struct tarn_flow *flow) {
    struct tcp_conn *c = conn_of(flow);
    bool unread = c->rcv_bytes > 0;
    if (c->state == TARN_TCP_CLOSED || c->state == TARN_TCP_SYN_SENT
        || (unread && all_is_acked(c) && c->state != TARN_TCP_TIME_WAIT)) {
        flow_abort(flow);
        return;
    }
    c->orphan = true;
    c->unread_lost = unread;
    c->want_write = c->want_read = false;
    ring_remove(&c->events);
    if (c->starved) {
        c->starved = false;
        ring_remove(&c->queue);
    }
    tcp_receive_clear(c);
    queue_fin(c);
    if (c->state == TARN_TCP_TIME_WAIT) {
        tcp_conn_time_wait(c);
    } else if (c->state == TARN_TCP_FIN_WAIT_2) {
        c->slow_at = tarn_time_after(c->tcp->now, c->tcp->config.options.fin_wait_2);
        tcp_timer_update(c);
    }
}

static enum tarn_err flow_endpoints(const struct tarn_flow *flow, struct tarn_endpoint *local,
                                    struct tarn_endpoint *remote) {
    const struct tcp_conn *c = conn_of(flow);
    if (local)
        *local = (struct tarn_endpoint){c->local, c->local_port};
    if (remote)
        *remote = (struct tarn_endpoint){c->remote, c->remote_port};
    return TARN_OK;
}

const struct tarn_flow_ops tcp_flow_ops = {
    .read = flow_read,
    .peek = flow_peek,
    .consume = flow_consume,
    .write = flow_write,
    .lend = flow_lend,
    .shutdown = flow_shutdown,
    .close = flow_close,
    .abort = flow_abort,
    .endpoints = flow_endpoints,
};

enum tarn_err tarn_tcp_set_nodelay(struct tarn_flow *flow, bool on) {
    if (!tarn_tcp_owns(flow))
        return TARN_INVALID;
    struct tcp_conn *c = conn_of(flow);
    c->nodelay = on;
    c->push |= on;
    if (on && c->state != TARN_TCP_CLOSED)
        tcp_conn_dirty(c);
    return TARN_OK;
}

enum tarn_err tarn_tcp_set_cork(struct tarn_flow *flow, bool on) {
    if (!tarn_tcp_owns(flow))
        return TARN_INVALID;
    struct tcp_conn *c = conn_of(flow);
    c->cork = on;
    c->more &= on;
    if (!on && c->state != TARN_TCP_CLOSED)
        tcp_conn_dirty(c);
    return TARN_OK;
}

enum tarn_err tarn_tcp_write_more(struct tarn_flow *flow, struct tarn_span data, size_t *n) {
    *n = 0;
    if (!tarn_tcp_owns(flow))
        return TARN_INVALID;
    enum tarn_err err = flow_write(flow, &data, 1, n);
    conn_of(flow)->more = conn_of(flow)->more_written = err == TARN_OK;
    return err;
}

enum tarn_err tarn_tcp_peek(struct tarn_flow *flow, size_t skip, struct tarn_bytes buf, size_t *n) {
    *n = 0;
    if (!tarn_tcp_owns(flow))
        return TARN_INVALID;
    struct tcp_conn *c = conn_of(flow);
    struct tarn_bytes first;
    enum tarn_err err = flow_peek(flow, &first);
    for (struct tarn_pkt *pkt = err ? NULL : c->rcv_head; pkt && buf.len > 0; pkt = pkt->next) {
        struct tarn_span s = tarn_pkt_head(pkt);
        size_t past = TARN_MIN(skip, s.len);
        size_t got = tarn_bytes_copy(buf, tarn_span_after(s, past));
        skip -= past;
        buf = tarn_bytes_after(buf, got);
        *n += got;
    }
    return err;
}

enum tarn_err tarn_tcp_set_keepalive(struct tarn_flow *flow, tarn_time idle, tarn_time interval,
                                     uint8_t probes) {
    uint64_t idle_s = idle / TARN_SEC(1), interval_s = interval / TARN_SEC(1);
    bool on = idle > 0;
    if (!tarn_tcp_owns(flow) || idle_s > UINT16_MAX || interval_s > UINT16_MAX
        || (on && (idle_s == 0 || interval_s == 0 || probes == 0)))
        return TARN_INVALID;
    struct tcp_conn *c = conn_of(flow);
    c->keep_idle_s = (uint16_t)idle_s;
    c->keep_interval_s = (uint16_t)interval_s;
    c->keep_probes_max = probes;
    c->keep_probes = 0;
    if (c->state == TARN_TCP_CLOSED)
        return TARN_OK;
    tcp_timer_slow(c);
    tcp_timer_update(c);
    return TARN_OK;
}

enum tarn_err tarn_tcp_set_user_timeout(struct tarn_flow *flow, tarn_time timeout) {
    if (timeout == 0 && tarn_tcp_owns(flow))
        timeout = conn_of(flow)->tcp->config.options.user_timeout;
    if (!tarn_tcp_owns(flow) || timeout < TARN_MS(1) || timeout / TARN_MS(1) > UINT32_MAX)
        return TARN_INVALID;
    conn_of(flow)->user_timeout_ms = (uint32_t)(timeout / TARN_MS(1));
    return TARN_OK;
}

enum tarn_err tarn_tcp_set_cc(struct tarn_flow *flow, const struct tarn_tcp_cc_ops *cc) {
    if (!tarn_tcp_owns(flow) || !cc)
        return TARN_INVALID;
    struct tcp_conn *c = conn_of(flow);
    bool open = c->state >= TARN_TCP_ESTABLISHED && c->state != TARN_TCP_TIME_WAIT;
    if (!open || cc->block_bytes > TARN_TCP_CC_BLOCK_BYTES)
        return TARN_INVALID;
    return tcp_conn_set_cc(c, cc) ? TARN_OK : TARN_LIMIT;
}
