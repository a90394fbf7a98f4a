/* SPDX-License-Identifier: ISC */
/* A flow over a connected socket of the host.
 *
 * Events: a call that answers TARN_AGAIN arms its event. epoll (edge-triggered) tells what became
 * ready, and a task delivers what is both ready and armed, so nothing is ever called from inside a
 * call. The kernel's buffers are the only queues; what is peeked at is read into a buffer first. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#include "host.h"

#define PEEK_BYTES ((size_t)16 * 1024 - 256)
#define PIECES_MAX 64u /* of one write */

struct host_flow {
    struct tarn_flow flow;
    struct host_net *net;
    struct unix_watch watch; /* fd -1: failed before there was a connection */
    struct tarn_task task;
    bool connecting;
    bool readable, writable;      /* by what epoll and the last call said */
    bool read_armed, write_armed; /* the owner waits for the event */
    bool connected_due;           /* CONNECTED is still to be told */
    bool shutdown_done, at_end;   /* no more writes; the peer's end was read */
    bool failure_told;
    enum tarn_err failure;       /* TARN_OK while the connection lives */
    size_t peek_start, peek_end; /* what of `peeked` is not consumed */
    uint8_t peeked[PEEK_BYTES];
};

static struct host_flow *host_flow_of(const struct tarn_flow *flow) {
    return TARN_CONTAINER_OF(flow, struct host_flow, flow);
}

/* -- events ---------------------------------------------------------------------------------------
 */

static void schedule(struct host_flow *f) {
    tarn_task_post(f->net->tasks, &f->task);
}

static enum tarn_err failure_of(int error) {
    switch (error) {
    case ECONNRESET:
    case ECONNREFUSED:
    case ECONNABORTED:
    case EPIPE: return TARN_PEER;
    default: return TARN_IO;
    }
}

/* What was received and not read is lost, as in a reset. */
static enum tarn_err fail(struct host_flow *f, int error) {
    if (f->failure == TARN_OK) {
        f->failure = failure_of(error);
        f->peek_start = f->peek_end = 0;
        schedule(f);
    }
    return f->failure;
}

static void deliver(struct tarn_task *task) {
    struct host_flow *f = TARN_CONTAINER_OF(task, struct host_flow, task);
    unsigned events = 0;
    if (f->failure) {
        events = f->failure_told ? 0 : TARN_FLOW_FAILED;
        f->failure_told = true;
    } else if (!f->connecting) {
        if (f->connected_due)
            events |= TARN_FLOW_CONNECTED;
        if (f->read_armed && f->readable)
            events |= TARN_FLOW_READABLE;
        if (f->write_armed && f->writable)
            events |= TARN_FLOW_WRITABLE;
        f->connected_due = false;
    }
    if (events & TARN_FLOW_READABLE)
        f->read_armed = false;
    if (events & TARN_FLOW_WRITABLE)
        f->write_armed = false;
    /* Last: the owner may close the flow in there. */
    if (events && f->flow.on_event)
        f->flow.on_event(&f->flow, events);
}

static uint64_t flow_ready(struct unix_watch *watch, uint32_t events) {
    struct host_flow *f = TARN_CONTAINER_OF(watch, struct host_flow, watch);
    int error = 0;
    socklen_t len = sizeof error;
    if (events & EPOLLERR) {
        TARN_ASSERT(getsockopt(watch->fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0);
        if (error)
            fail(f, error);
    }
    if (f->connecting && !f->failure && (events & EPOLLOUT)) {
        f->connecting = false;
        f->connected_due = true;
        if (f->shutdown_done)
            shutdown(watch->fd, SHUT_WR);
    }
    f->readable = f->readable || (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP));
    f->writable = f->writable || (events & EPOLLOUT);
    if (f->connected_due || (f->read_armed && f->readable) || (f->write_armed && f->writable))
        schedule(f);
    return (uint64_t)1 << UNIX_DEVICE_NONE;
}

/* -- reading --------------------------------------------------------------------------------------
 */

static enum tarn_err receive(struct host_flow *f, struct tarn_bytes buf, size_t *n) {
    ssize_t got;
    *n = 0;
    if (f->failure)
        return f->failure;
    if (f->at_end)
        return TARN_EOF;
    if (f->connecting) {
        f->read_armed = true;
        return TARN_AGAIN;
    }
    do
        got = recv(f->watch.fd, buf.ptr, buf.len, 0);
    while (got < 0 && errno == EINTR);
    if (got > 0) {
        *n = (size_t)got;
        return TARN_OK;
    }
    if (got == 0) {
        f->at_end = buf.len > 0;
        return f->at_end ? TARN_EOF : TARN_OK;
    }
    if (errno != EAGAIN)
        return fail(f, errno);
    f->readable = false;
    f->read_armed = true;
    return TARN_AGAIN;
}

static enum tarn_err flow_peek(struct tarn_flow *flow, struct tarn_bytes *out) {
    struct host_flow *f = host_flow_of(flow);
    if (f->peek_start == f->peek_end) {
        size_t n;
        enum tarn_err err = receive(f, TARN_BYTES_ARRAY(f->peeked), &n);
        if (err)
            return err;
        f->peek_start = 0;
        f->peek_end = n;
    }
    *out = tarn_bytes_first(tarn_bytes_after(TARN_BYTES_ARRAY(f->peeked), f->peek_start),
                            f->peek_end - f->peek_start);
    return TARN_OK;
}

static void flow_consume(struct tarn_flow *flow, size_t n) {
    struct host_flow *f = host_flow_of(flow);
    TARN_ASSERT(n <= f->peek_end - f->peek_start);
    f->peek_start += n;
}

static enum tarn_err flow_read(struct tarn_flow *flow, struct tarn_bytes buf, size_t *n) {
    struct host_flow *f = host_flow_of(flow);
    struct tarn_bytes peeked;
    if (f->peek_start == f->peek_end)
        return receive(f, buf, n);
    enum tarn_err err = flow_peek(flow, &peeked);
    *n = err ? 0 : tarn_bytes_copy(buf, tarn_bytes_span(peeked));
    f->peek_start += *n;
    return err;
}

/* -- writing --------------------------------------------------------------------------------------
 */

static enum tarn_err flow_write(struct tarn_flow *flow, const struct tarn_span *v, size_t nv,
                                size_t *n) {
    struct host_flow *f = host_flow_of(flow);
    struct iovec pieces[PIECES_MAX];
    struct msghdr message = {.msg_iov = pieces};
    size_t bytes = 0;
    ssize_t sent = -1;
    *n = 0;
    if (f->failure)
        return f->failure;
    if (f->shutdown_done)
        return TARN_INVALID;
    for (size_t i = 0; i < nv && message.msg_iovlen < PIECES_MAX; i++) {
        pieces[message.msg_iovlen++] = (struct iovec){(void *)(uintptr_t)v[i].ptr, v[i].len};
        bytes += v[i].len;
    }
    if (bytes == 0)
        return TARN_OK;
    errno = EAGAIN;
    if (!f->connecting)
        do
            sent = sendmsg(f->watch.fd, &message, MSG_NOSIGNAL);
        while (sent < 0 && errno == EINTR);
    if (sent >= 0) {
        *n = (size_t)sent;
        return TARN_OK;
    }
    if (errno != EAGAIN)
        return fail(f, errno);
    f->writable = false;
    f->write_armed = true;
    return TARN_AGAIN;
}

/* The kernel copies, so the lease need not be held. */
static enum tarn_err flow_lend(struct tarn_flow *flow, struct tarn_span data,
                               struct tarn_lease *lease, size_t *n) {
    (void)lease;
    return flow_write(flow, &data, 1, n);
}

/* -- ending ---------------------------------------------------------------------------------------
 */

static void flow_shutdown(struct tarn_flow *flow) {
    struct host_flow *f = host_flow_of(flow);
    if (!f->shutdown_done && !f->connecting && !f->failure)
        shutdown(f->watch.fd, SHUT_WR);
    f->shutdown_done = true;
}

static void flow_close(struct tarn_flow *flow) {
    struct host_flow *f = host_flow_of(flow);
    struct host_net *net = f->net;
    tarn_task_cancel(&f->task);
    if (f->watch.fd >= 0)
        close(f->watch.fd); /* the last reference: epoll forgets it */
    tarn_pool_put(&net->flows, f);
    host_net_flow_gone(net);
}

static void flow_abort(struct tarn_flow *flow) {
    struct host_flow *f = host_flow_of(flow);
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    if (f->watch.fd >= 0)
        setsockopt(f->watch.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    flow_close(flow);
}

static enum tarn_err flow_endpoints(const struct tarn_flow *flow, struct tarn_endpoint *local,
                                    struct tarn_endpoint *remote) {
    const struct host_flow *f = host_flow_of(flow);
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    if (local
        && (getsockname(f->watch.fd, (struct sockaddr *)&address, &len) != 0
            || host_endpoint(&address, local)))
        return TARN_IO;
    len = sizeof address;
    if (remote
        && (getpeername(f->watch.fd, (struct sockaddr *)&address, &len) != 0
            || host_endpoint(&address, remote)))
        return TARN_IO;
    return TARN_OK;
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

enum tarn_err host_flows_init(struct host_net *net, struct tarn_alloc *alloc, uint32_t flows_max) {
    return tarn_pool_init(&net->flows, alloc, sizeof(struct host_flow), _Alignof(struct host_flow),
                          flows_max);
}

static struct host_flow *take(struct host_net *net) {
    struct host_flow *f = tarn_pool_take(&net->flows);
    if (f) {
        memset(f, 0, offsetof(struct host_flow, peeked));
        f->flow.ops = &flow_ops;
        f->net = net;
        f->task.run = deliver;
    }
    return f;
}

struct tarn_flow *host_flow_new(struct host_net *net, int fd, bool connecting) {
    struct host_flow *f = take(net);
    int on = 1;
    if (!f) {
        close(fd);
        return NULL;
    }
    /* Whoever writes has gathered what belongs together. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    f->connecting = connecting;
    f->watch = (struct unix_watch){fd, flow_ready};
    unix_watch_add(&f->watch, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
    return &f->flow;
}

struct tarn_flow *host_flow_failed(struct host_net *net, int error) {
    struct host_flow *f = take(net);
    if (!f)
        return NULL;
    f->watch.fd = -1;
    fail(f, error);
    return &f->flow;
}
