/* SPDX-License-Identifier: ISC */
#include <tarn/pool.h>
#include <tarn/tls_flow.h>

struct conn {
    struct tarn_flow flow; /* the owner's view */
    struct tarn_flow *below;
    struct tarn_tls_flows *flows;
    struct tarn_tls tls;
    struct tarn_task task;
    enum tarn_err lost;           /* of the flow below: EOF, or how it failed; OK while it lives */
    bool wants_read, wants_write; /* answered AGAIN, so an event is owed */
    bool told_connected, told_failed, shut, shut_below, leaving;
    uint8_t memory[TARN_TLS_MEMORY_BYTES];
};

struct tarn_tls_flows {
    struct tarn_tls_flows_config config;
    struct tarn_listener listener;
    struct tarn_listener *below;
    struct tarn_pool pool;
    struct tarn_tls_flows_stats stats;
};

static struct conn *conn_of(const struct tarn_flow *flow) {
    return TARN_CONTAINER_OF(flow, struct conn, flow);
}

static void release(struct conn *c) {
    tarn_task_cancel(&c->task);
    tarn_tls_wipe(&c->tls);
    tarn_pool_put(&c->flows->pool, c);
}

static bool send_some(struct conn *c) {
    struct tarn_span out = tarn_tls_send_window(&c->tls);
    size_t n = 0;
    if (out.len == 0 || tarn_flow_write(c->below, out, &n) != TARN_OK)
        return false;
    tarn_tls_send_done(&c->tls, n);
    return n > 0;
}

static bool recv_some(struct conn *c) {
    struct tarn_bytes in = tarn_tls_recv_window(&c->tls);
    size_t n = 0;
    if (in.len == 0 || c->lost)
        return false;
    enum tarn_err err = tarn_flow_read(c->below, in, &n);
    if (err && err != TARN_AGAIN)
        c->lost = err;
    if (err)
        return false;
    tarn_tls_recv_done(&c->tls, n);
    return n > 0;
}

/* Moves what can be moved, both ways. It ends: nothing is received while plain text waits to be
 * read, nor a handshake's message while its answer waits to be sent. */
static void pump(struct conn *c) {
    bool moved = true;
    while (moved) {
        moved = send_some(c);
        moved |= recv_some(c);
    }
}

static bool failed(const struct conn *c) {
    bool theirs;
    if (c->tls.fault_is_ours || (c->lost && c->lost != TARN_EOF))
        return true;
    enum tarn_tls_alert alert = tarn_tls_alert_of(&c->tls, &theirs);
    return (theirs && alert != TARN_TLS_CLOSE_NOTIFY)
           || (c->lost == TARN_EOF && !(tarn_tls_state(&c->tls) & TARN_TLS_PEER_CLOSED));
}

static bool readable(const struct conn *c) {
    return (tarn_tls_state(&c->tls) & (TARN_TLS_READ | TARN_TLS_PEER_CLOSED | TARN_TLS_CLOSED)) != 0
           || c->lost;
}

static unsigned events_due(struct conn *c) {
    unsigned events = 0, s = tarn_tls_state(&c->tls);
    if (s & TARN_TLS_CONNECTED && !c->told_connected) {
        c->told_connected = true;
        c->flows->stats.handshakes++;
        events |= TARN_FLOW_CONNECTED | TARN_FLOW_WRITABLE;
    }
    if (failed(c) && !c->told_failed) {
        c->told_failed = true;
        c->flows->stats.failed++;
        events |= TARN_FLOW_FAILED;
    }
    if (c->wants_read && readable(c)) {
        c->wants_read = false;
        events |= TARN_FLOW_READABLE;
    }
    if (c->wants_write && s & TARN_TLS_WRITE) {
        c->wants_write = false;
        events |= TARN_FLOW_WRITABLE;
    }
    return events;
}

/* All that the owner wrote has been sent, or never will be. */
static void leave_if_done(struct conn *c) {
    if (c->tls.out_len > 0 && !c->lost)
        return;
    tarn_flow_close(c->below);
    release(c);
}

static void step(struct conn *c) {
    pump(c);
    if (c->leaving) {
        leave_if_done(c);
        return;
    }
    if (c->shut && c->tls.out_len == 0 && !c->lost && !c->shut_below) {
        c->shut_below = true;
        tarn_flow_shutdown(c->below);
    }
    unsigned events = events_due(c);
    if (events && c->flow.on_event)
        c->flow.on_event(&c->flow, events);
}

static void on_task(struct tarn_task *task) {
    step(TARN_CONTAINER_OF(task, struct conn, task));
}

static void on_below(struct tarn_flow *below, unsigned events) {
    struct conn *c = (struct conn *)below->user;
    if (events & TARN_FLOW_FAILED && !c->lost) {
        uint8_t byte;
        size_t n;
        enum tarn_err err = tarn_flow_read(below, tarn_bytes_of(&byte, 1), &n);
        c->lost = err == TARN_OK || err == TARN_AGAIN ? TARN_IO : err;
    }
    step(c);
}

/* After a call of the owner's: what became possible by it is told from the loop. */
static void moved(struct conn *c) {
    pump(c);
    if ((c->wants_read && readable(c)) || failed(c) || (c->wants_write && !c->tls.out_len)
        || (!c->told_connected && tarn_tls_state(&c->tls) & TARN_TLS_CONNECTED))
        tarn_task_post(c->flows->config.tasks, &c->task);
}

static enum tarn_err why_not_readable(struct conn *c) {
    if (failed(c))
        return c->lost && c->lost != TARN_EOF ? c->lost : TARN_PEER;
    if (tarn_tls_state(&c->tls) & (TARN_TLS_PEER_CLOSED | TARN_TLS_CLOSED))
        return TARN_EOF;
    c->wants_read = true;
    return TARN_AGAIN;
}

static enum tarn_err flow_peek(struct tarn_flow *flow, struct tarn_bytes *out) {
    struct conn *c = conn_of(flow);
    moved(c);
    *out = tarn_tls_read_window(&c->tls);
    return out->len ? TARN_OK : why_not_readable(c);
}

static void flow_consume(struct tarn_flow *flow, size_t n) {
    tarn_tls_read_done(&conn_of(flow)->tls, n);
}

static enum tarn_err flow_read(struct tarn_flow *flow, struct tarn_bytes buf, size_t *n) {
    struct tarn_bytes data;
    *n = 0;
    enum tarn_err err = flow_peek(flow, &data);
    if (err)
        return err;
    *n = tarn_bytes_copy(buf, tarn_bytes_span(data));
    flow_consume(flow, *n);
    return TARN_OK;
}

static enum tarn_err flow_write(struct tarn_flow *flow, const struct tarn_span *v, size_t nv,
                                size_t *n) {
    struct conn *c = conn_of(flow);
    size_t wanted = 0;
    *n = 0;
    if (c->shut)
        return TARN_INVALID;
    moved(c);
    for (size_t i = 0; i < nv; i++) {
        struct tarn_span piece = TARN_AT_N(v, nv, i);
        wanted += piece.len;
        while (piece.len > 0 && tarn_tls_state(&c->tls) & TARN_TLS_WRITE) {
            size_t k = tarn_bytes_copy(tarn_tls_write_window(&c->tls), piece);
            tarn_tls_write_done(&c->tls, k);
            piece = tarn_span_after(piece, k);
            *n += k;
            (void)send_some(c); /* a full record, to make room for the next */
        }
        if (piece.len > 0)
            break;
    }
    tarn_tls_flush(&c->tls);
    moved(c);
    c->wants_write |= *n < wanted;
    if (*n > 0 || wanted == 0)
        return TARN_OK;
    return failed(c) ? (c->lost && c->lost != TARN_EOF ? c->lost : TARN_PEER) : TARN_AGAIN;
}

/* Copied, since it is encrypted: the lease is not held. */
static enum tarn_err flow_lend(struct tarn_flow *flow, struct tarn_span data,
                               struct tarn_lease *lease, size_t *n) {
    (void)lease;
    return flow_write(flow, &data, 1, n);
}

static void flow_shutdown(struct tarn_flow *flow) {
    struct conn *c = conn_of(flow);
    if (c->shut)
        return;
    c->shut = true;
    tarn_tls_flush(&c->tls);
    tarn_tls_close(&c->tls);
    tarn_task_post(c->flows->config.tasks, &c->task);
}

static void flow_close(struct tarn_flow *flow) {
    struct conn *c = conn_of(flow);
    flow_shutdown(flow);
    c->leaving = true;
    c->flow.on_event = NULL;
    tarn_task_post(c->flows->config.tasks, &c->task);
}

static void flow_abort(struct tarn_flow *flow) {
    struct conn *c = conn_of(flow);
    tarn_flow_abort(c->below);
    release(c);
}

static enum tarn_err flow_endpoints(const struct tarn_flow *flow, struct tarn_endpoint *local,
                                    struct tarn_endpoint *remote) {
    return tarn_flow_endpoints(conn_of(flow)->below, local, remote);
}

static const struct tarn_flow_ops flow_ops = {
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

static struct conn *conn_new(struct tarn_tls_flows *f, struct tarn_flow *below,
                             struct tarn_span name) {
    struct conn *c = (struct conn *)tarn_pool_take(&f->pool);
    if (!c)
        return NULL;
    c->flow = (struct tarn_flow){.ops = &flow_ops};
    c->flows = f;
    c->below = below;
    c->task = (struct tarn_task){.run = on_task};
    c->lost = TARN_OK;
    c->wants_read = c->wants_write = c->told_connected = c->told_failed = false;
    c->shut = c->shut_below = c->leaving = false;
    int64_t now = (int64_t)(tarn_clock_wall_ns(f->config.clock) / 1000000000);
    if (tarn_tls_init(&c->tls, f->config.tls, TARN_BYTES_ARRAY(c->memory), name, now)) {
        tarn_pool_put(&f->pool, c);
        return NULL;
    }
    below->on_event = on_below;
    below->user = c;
    return c;
}

enum tarn_err tarn_tls_flows_connect(struct tarn_tls_flows *f, struct tarn_flow *below,
                                     struct tarn_span name, struct tarn_flow **out) {
    struct conn *c = conn_new(f, below, name);
    if (!c)
        return TARN_LIMIT;
    tarn_task_post(f->config.tasks, &c->task);
    *out = &c->flow;
    return TARN_OK;
}

static enum tarn_err listener_accept(struct tarn_listener *l, struct tarn_flow **out) {
    struct tarn_tls_flows *f = TARN_CONTAINER_OF(l, struct tarn_tls_flows, listener);
    struct tarn_flow *below;
    enum tarn_err err;
    while ((err = tarn_listener_accept(f->below, &below)) == TARN_OK) {
        struct conn *c = conn_new(f, below, TARN_SPAN_EMPTY);
        if (c) {
            f->stats.accepted++;
            *out = &c->flow;
            return TARN_OK;
        }
        f->stats.refused++;
        tarn_flow_abort(below);
    }
    return err;
}

static void listener_close(struct tarn_listener *l) {
    tarn_listener_close(TARN_CONTAINER_OF(l, struct tarn_tls_flows, listener)->below);
}

static void on_accept(struct tarn_listener *below) {
    struct tarn_tls_flows *f = (struct tarn_tls_flows *)below->user;
    if (f->listener.on_event)
        f->listener.on_event(&f->listener);
}

struct tarn_listener *tarn_tls_flows_listen(struct tarn_tls_flows *f, struct tarn_listener *below) {
    static const struct tarn_listener_ops ops = {listener_accept, listener_close};
    f->below = below;
    f->listener = (struct tarn_listener){.ops = &ops};
    below->on_event = on_accept;
    below->user = f;
    return &f->listener;
}

enum tarn_err tarn_tls_flows_new(const struct tarn_tls_flows_config *config,
                                 struct tarn_tls_flows **out) {
    struct tarn_tls_flows *f = TARN_NEW(config->alloc, struct tarn_tls_flows);
    if (!f)
        return TARN_LIMIT;
    f->config = *config;
    enum tarn_err err = tarn_pool_init(&f->pool, config->alloc, sizeof(struct conn),
                                       _Alignof(struct conn), config->connections);
    if (!err)
        *out = f;
    return err;
}

const struct tarn_tls *tarn_tls_flow_engine(const struct tarn_flow *flow) {
    return &conn_of(flow)->tls;
}

void tarn_tls_flows_stats(const struct tarn_tls_flows *f, struct tarn_tls_flows_stats *out) {
    *out = f->stats;
    out->live = f->pool.live;
}
