/* SPDX-License-Identifier: ISC */
#include <tarn/flow_wait.h>

/* What the flow's user is while a call waits. */
struct wait {
    struct tarn_waiter *waiter;
    unsigned events;
    void (*on_event)(struct tarn_flow *, unsigned); /* the owner's, to put back */
    void *user;
};

static void flow_event(struct tarn_flow *flow, unsigned events) {
    struct wait *wait = flow->user;
    wait->events |= events;
    wait->waiter->ops->wake(wait->waiter);
}

static struct wait wait_begin(struct tarn_flow *flow, struct tarn_waiter *waiter) {
    return (struct wait){.waiter = waiter, .on_event = flow->on_event, .user = flow->user};
}

static void wait_attach(struct tarn_flow *flow, struct wait *wait) {
    flow->user = wait;
    flow->on_event = flow_event;
}

static void wait_end(struct tarn_flow *flow, const struct wait *wait) {
    flow->on_event = wait->on_event;
    flow->user = wait->user;
}

static enum tarn_err sleep_until(struct tarn_waiter *waiter, tarn_time deadline) {
    return waiter->ops->wait(waiter, deadline);
}

/* Reads until `buf` has at least `least` bytes. */
static enum tarn_err read_least(struct tarn_flow *flow, struct tarn_waiter *waiter,
                                struct tarn_bytes buf, size_t least, tarn_time deadline,
                                size_t *n) {
    struct wait wait = wait_begin(flow, waiter);
    enum tarn_err err = TARN_OK;
    *n = 0;
    wait_attach(flow, &wait);
    while (!err && *n < least) {
        size_t got = 0;
        err = tarn_flow_read(flow, tarn_bytes_after(buf, *n), &got);
        *n += got;
        if (err == TARN_AGAIN)
            err = sleep_until(waiter, deadline);
    }
    wait_end(flow, &wait);
    return err;
}

enum tarn_err tarn_flow_read_some(struct tarn_flow *flow, struct tarn_waiter *waiter,
                                  struct tarn_bytes buf, tarn_time deadline, size_t *n) {
    return read_least(flow, waiter, buf, TARN_MIN(buf.len, (size_t)1), deadline, n);
}

enum tarn_err tarn_flow_read_exact(struct tarn_flow *flow, struct tarn_waiter *waiter,
                                   struct tarn_bytes buf, tarn_time deadline, size_t *n) {
    return read_least(flow, waiter, buf, buf.len, deadline, n);
}

enum tarn_err tarn_flow_read_all(struct tarn_flow *flow, struct tarn_waiter *waiter,
                                 struct tarn_bytes buf, tarn_time deadline, size_t *n) {
    enum tarn_err err = read_least(flow, waiter, buf, buf.len, deadline, n);
    uint8_t beyond;
    size_t more;
    if (err)
        return err == TARN_EOF ? TARN_OK : err;
    /* The buffer is full: that was all of it only if the end comes next. */
    err = read_least(flow, waiter, tarn_bytes_of(&beyond, 1), 1, deadline, &more);
    return err == TARN_EOF ? TARN_OK : err ? err : TARN_LIMIT;
}

enum tarn_err tarn_flow_write_all(struct tarn_flow *flow, struct tarn_waiter *waiter,
                                  struct tarn_span data, tarn_time deadline, size_t *n) {
    struct wait wait = wait_begin(flow, waiter);
    enum tarn_err err = TARN_OK;
    *n = 0;
    wait_attach(flow, &wait);
    while (!err && *n < data.len) {
        size_t put = 0;
        err = tarn_flow_write(flow, tarn_span_after(data, *n), &put);
        *n += put;
        if (err == TARN_AGAIN)
            err = sleep_until(waiter, deadline);
    }
    wait_end(flow, &wait);
    return err;
}

enum tarn_err tarn_net_connect_wait(struct tarn_net *net, struct tarn_waiter *waiter,
                                    const struct tarn_endpoint *remote, tarn_time deadline,
                                    struct tarn_flow **out) {
    struct tarn_flow *flow;
    enum tarn_err err = tarn_net_connect(net, remote, &flow);
    if (err)
        return err;
    struct wait wait = wait_begin(flow, waiter);
    wait_attach(flow, &wait);
    while (!err && !(wait.events & (TARN_FLOW_CONNECTED | TARN_FLOW_FAILED)))
        err = sleep_until(waiter, deadline);
    wait_end(flow, &wait);
    if (!err && wait.events & TARN_FLOW_FAILED) {
        uint8_t none;
        size_t n;
        err = tarn_flow_read(flow, tarn_bytes_of(&none, 1), &n);
        /* A flow that failed says why; if it does not, it is below that something is wrong. */
        err = err && err != TARN_AGAIN ? err : TARN_IO;
    }
    if (err) {
        tarn_flow_abort(flow);
        return err;
    }
    *out = flow;
    return TARN_OK;
}

static void listener_event(struct tarn_listener *listener) {
    struct tarn_waiter *waiter = listener->user;
    waiter->ops->wake(waiter);
}

enum tarn_err tarn_listener_accept_wait(struct tarn_listener *listener, struct tarn_waiter *waiter,
                                        tarn_time deadline, struct tarn_flow **out) {
    void (*on_event)(struct tarn_listener *) = listener->on_event;
    void *user = listener->user;
    enum tarn_err err;
    listener->user = waiter;
    listener->on_event = listener_event;
    while ((err = tarn_listener_accept(listener, out)) == TARN_AGAIN) {
        err = sleep_until(waiter, deadline);
        if (err)
            break;
    }
    listener->on_event = on_event;
    listener->user = user;
    return err;
}
