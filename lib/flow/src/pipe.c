/* SPDX-License-Identifier: ISC */
#include "internal.h"

static const struct tarn_flow_ops pipe_flow_ops;

enum tarn_err tarn_pipes_new(const struct tarn_pipes_config *config, struct tarn_pipes **out) {
    struct tarn_alloc *alloc = config->alloc;
    struct tarn_pipes *pipes;
    bool ok;
    if (config->pipes_max == 0 || config->pipes_max > UINT32_MAX / 4 || config->bytes_max == 0
        || config->pieces_max == 0)
        return TARN_INVALID;
    pipes = TARN_NEW(alloc, struct tarn_pipes);
    if (!pipes)
        return TARN_LIMIT;
    pipes->net.ops = &pipe_net_ops;
    pipes->config = *config;
    pipes->port_next = 49152;
    ok = tarn_pool_init(&pipes->pool, alloc, sizeof(struct pipe), _Alignof(struct pipe),
                        config->pipes_max)
         == TARN_OK;
    pipes->queues = TARN_NEW_ARRAY(alloc, 2 * config->pipes_max, struct queue);
    ok = ok && pipes->queues;
    if (config->listeners_max) {
        pipes->listeners = TARN_NEW_ARRAY(alloc, config->listeners_max, struct pipe_listener);
        ok = ok && pipes->listeners;
    }
    for (uint32_t i = 0; ok && i < 2 * config->pipes_max; i++)
        ok = queue_init(&TARN_AT_N(pipes->queues, 2 * config->pipes_max, i), alloc,
                        config->bytes_max, config->pieces_max)
             == TARN_OK;
    if (!ok) {
        tarn_pipes_delete(pipes);
        return TARN_LIMIT;
    }
    *out = pipes;
    return TARN_OK;
}

void tarn_pipes_delete(struct tarn_pipes *pipes) {
    struct tarn_alloc *alloc = pipes->config.alloc;
    const struct tarn_pipes_config *config = &pipes->config;
    TARN_ASSERT(pipes->pool.live == 0);
    for (uint32_t i = 0; pipes->queues && i < 2 * config->pipes_max; i++)
        queue_free(&TARN_AT_N(pipes->queues, 2 * config->pipes_max, i), alloc);
    tarn_alloc_put(alloc, pipes->listeners, config->listeners_max * sizeof(struct pipe_listener));
    tarn_alloc_put(alloc, pipes->queues, 2 * config->pipes_max * sizeof(struct queue));
    tarn_pool_fini(&pipes->pool, alloc);
    tarn_alloc_put(alloc, pipes, sizeof *pipes);
}

uint32_t tarn_pipes_live(const struct tarn_pipes *pipes) {
    return pipes->pool.live;
}

struct tarn_net *tarn_pipes_net(struct tarn_pipes *pipes) {
    return &pipes->net;
}

static struct pipe_end *end_of(struct tarn_flow *flow) {
    return TARN_CONTAINER_OF(flow, struct pipe_end, flow);
}

static struct pipe_end *peer_of(const struct pipe_end *end) {
    return &TARN_AT(end->pipe->end, 1 - end->side);
}

/* What this end writes into, and what it reads from. */
static struct queue *out_of(const struct pipe_end *end) {
    return TARN_AT(end->pipe->queue, end->side);
}

static struct queue *in_of(const struct pipe_end *end) {
    return TARN_AT(end->pipe->queue, 1 - end->side);
}

static bool *fin_of(const struct pipe_end *end) {
    return &TARN_AT(end->pipe->fin, end->side);
}

static void post(struct pipe_end *end) {
    tarn_task_post(end->pipe->pipes->config.tasks, &end->task);
}

void pipe_end_post(struct pipe_end *end, unsigned events) {
    if (end->gone)
        return;
    end->events |= events;
    post(end);
}

static void wake_reader(struct pipe_end *end) {
    if (end->want_read) {
        end->want_read = false;
        pipe_end_post(end, TARN_FLOW_READABLE);
    }
}

static void wake_writer(struct pipe_end *end) {
    if (end->want_write && queue_has_room(out_of(end))) {
        end->want_write = false;
        pipe_end_post(end, TARN_FLOW_WRITABLE);
    }
}

/* The loop's turn: leases first, since they may make room. */
static void end_run(struct tarn_task *task) {
    struct pipe_end *end = TARN_CONTAINER_OF(task, struct pipe_end, task);
    unsigned events;
    queue_release(out_of(end));
    wake_writer(end);
    events = end->events;
    end->events = 0;
    tarn_task_cancel(task);
    if (events && !end->gone && end->flow.on_event)
        end->flow.on_event(&end->flow, events);
}

static void pipe_reap(struct tarn_task *task) {
    struct pipe *pipe = TARN_CONTAINER_OF(task, struct pipe, reap);
    for (unsigned side = 0; side < 2; side++) {
        queue_discard(TARN_AT(pipe->queue, side));
        queue_release(TARN_AT(pipe->queue, side));
        tarn_task_cancel(&TARN_AT(pipe->end, side).task);
    }
    tarn_pool_put(&pipe->pipes->pool, pipe);
}

struct pipe *pipe_take(struct tarn_pipes *pipes) {
    struct pipe *pipe = tarn_pool_take(&pipes->pool);
    uint32_t index;
    if (!pipe)
        return NULL;
    index = tarn_pool_handle(&pipes->pool, pipe).index;
    *pipe = (struct pipe){.pipes = pipes, .reap.run = pipe_reap};
    for (unsigned side = 0; side < 2; side++) {
        TARN_AT(pipe->queue, side) =
            &TARN_AT_N(pipes->queues, 2 * pipes->config.pipes_max, 2 * index + side);
        TARN_AT(pipe->end, side) = (struct pipe_end){
            .flow.ops = &pipe_flow_ops, .task.run = end_run, .pipe = pipe, .side = side};
    }
    return pipe;
}

enum tarn_err tarn_pipes_pair(struct tarn_pipes *pipes, struct tarn_flow **a,
                              struct tarn_flow **b) {
    struct pipe *pipe = pipe_take(pipes);
    if (!pipe)
        return TARN_LIMIT;
    *a = &TARN_AT(pipe->end, 0).flow;
    *b = &TARN_AT(pipe->end, 1).flow;
    return TARN_OK;
}

void pipe_end_fail(struct pipe_end *end, enum tarn_err err) {
    if (end->failed)
        return;
    end->failed = err;
    queue_discard(in_of(end));
    queue_discard(out_of(end));
    post(peer_of(end)); /* drops the leases of what this end had not read */
    post(end);
    pipe_end_post(end, TARN_FLOW_FAILED);
}

static enum tarn_err pipe_read(struct tarn_flow *flow, struct tarn_bytes buf, size_t *n) {
    struct pipe_end *end = end_of(flow);
    TARN_ASSERT(!end->gone);
    *n = 0;
    if (end->failed)
        return end->failed;
    if (in_of(end)->bytes == 0) {
        if (*fin_of(peer_of(end)))
            return TARN_EOF;
        end->want_read = true;
        return TARN_AGAIN;
    }
    *n = queue_read(in_of(end), buf);
    post(peer_of(end));
    return TARN_OK;
}

static enum tarn_err pipe_peek(struct tarn_flow *flow, struct tarn_bytes *out) {
    size_t n;
    enum tarn_err err = pipe_read(flow, tarn_bytes_of(NULL, 0), &n);
    if (!err)
        *out = queue_peek(in_of(end_of(flow)));
    return err;
}

static void pipe_consume(struct tarn_flow *flow, size_t n) {
    struct pipe_end *end = end_of(flow);
    TARN_ASSERT(!end->gone);
    if (end->failed) /* the bytes went when the reset came */
        return;
    queue_consume(in_of(end), n);
    post(peer_of(end));
}

/* Whether the end can write at all. Writing to an end that was closed is what finds out: the bytes
 * are taken and lost, and the reset comes back. */
static enum tarn_err may_write(struct pipe_end *end, bool *lost) {
    TARN_ASSERT(!end->gone);
    *lost = false;
    if (end->failed)
        return end->failed;
    if (*fin_of(end))
        return TARN_INVALID;
    if (peer_of(end)->gone) {
        *lost = true;
        pipe_end_fail(end, TARN_PEER);
    }
    return TARN_OK;
}

static enum tarn_err wrote(struct pipe_end *end, size_t n, size_t wanted) {
    if (n)
        wake_reader(peer_of(end));
    if (n == 0 && wanted) {
        end->want_write = true;
        return TARN_AGAIN;
    }
    return TARN_OK;
}

static enum tarn_err pipe_write(struct tarn_flow *flow, const struct tarn_span *v, size_t nv,
                                size_t *n) {
    struct pipe_end *end = end_of(flow);
    size_t wanted = 0;
    bool lost;
    enum tarn_err err = may_write(end, &lost);
    *n = 0;
    if (err)
        return err;
    for (size_t i = 0; i < nv; i++) {
        struct tarn_span data = TARN_AT_N(v, nv, i);
        if (*n == wanted)
            *n += lost ? data.len : queue_copy_in(out_of(end), data);
        wanted += data.len;
    }
    return lost ? TARN_OK : wrote(end, *n, wanted);
}

static enum tarn_err pipe_lend(struct tarn_flow *flow, struct tarn_span data,
                               struct tarn_lease *lease, size_t *n) {
    struct pipe_end *end = end_of(flow);
    bool lost;
    enum tarn_err err = may_write(end, &lost);
    *n = 0;
    if (err)
        return err;
    *n = lost ? data.len : queue_lend(out_of(end), data, lease);
    return lost ? TARN_OK : wrote(end, *n, data.len);
}

static void pipe_shutdown(struct tarn_flow *flow) {
    struct pipe_end *end = end_of(flow);
    TARN_ASSERT(!end->gone);
    if (end->failed || *fin_of(end))
        return;
    *fin_of(end) = true;
    wake_reader(peer_of(end));
}

/* Nobody holds this end any more. */
static void leave(struct pipe_end *end) {
    end->gone = true;
    end->events = 0;
    queue_discard(in_of(end));
    post(peer_of(end));
    if (peer_of(end)->gone)
        tarn_task_post(end->pipe->pipes->config.tasks, &end->pipe->reap);
}

static void pipe_abort(struct tarn_flow *flow) {
    struct pipe_end *end = end_of(flow);
    TARN_ASSERT(!end->gone);
    queue_discard(out_of(end));
    post(end);
    if (!peer_of(end)->gone && !end->failed)
        pipe_end_fail(peer_of(end), TARN_PEER);
    leave(end);
}

static void pipe_close(struct tarn_flow *flow) {
    struct pipe_end *end = end_of(flow);
    TARN_ASSERT(!end->gone);
    if (in_of(end)->bytes) {
        pipe_abort(flow);
        return;
    }
    pipe_shutdown(flow);
    leave(end);
}

static enum tarn_err pipe_endpoints(const struct tarn_flow *flow, struct tarn_endpoint *local,
                                    struct tarn_endpoint *remote) {
    const struct pipe_end *end = TARN_CONTAINER_OF(flow, struct pipe_end, flow);
    if (end->local.port == 0)
        return TARN_UNSUPPORTED;
    if (local)
        *local = end->local;
    if (remote)
        *remote = peer_of(end)->local;
    return TARN_OK;
}

static const struct tarn_flow_ops pipe_flow_ops = {
    .read = pipe_read,
    .peek = pipe_peek,
    .consume = pipe_consume,
    .write = pipe_write,
    .lend = pipe_lend,
    .shutdown = pipe_shutdown,
    .close = pipe_close,
    .abort = pipe_abort,
    .endpoints = pipe_endpoints,
};
