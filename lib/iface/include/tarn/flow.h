/* SPDX-License-Identifier: ISC */
/* tarn/flow.h: a byte stream. TCP, TLS, a host socket, a pipe in memory: the same to whoever stands
 * above.
 *
 * Nothing blocks: a call does what it can now and otherwise answers TARN_AGAIN, and then, once, an
 * event says when to try again. Events come from the loop, never from inside a call. A flow is
 * valid until its owner calls close or abort, whatever the peer does; after that the owner never
 * touches it again, and no event comes.
 */
#ifndef TARN_FLOW_H
#define TARN_FLOW_H

#include <tarn/datagram.h>
#include <tarn/err.h>
#include <tarn/ip_addr.h>
#include <tarn/pkt.h>
#include <tarn/time.h>

enum tarn_flow_events {
    TARN_FLOW_CONNECTED = 1 << 0, /* an outgoing flow is established (writable too) */
    TARN_FLOW_READABLE = 1 << 1,  /* data, or the end: read again */
    TARN_FLOW_WRITABLE = 1 << 2,  /* room: write again */
    TARN_FLOW_FAILED = 1 << 3,    /* reset, refused or timed out; read and write say which */
};

struct tarn_flow;
struct tarn_flow_ops {
    /* Copies up to `buf.len` bytes out. *n > 0 with TARN_OK; TARN_AGAIN; TARN_EOF after the peer's
     * last byte; TARN_PEER (reset), TARN_IO (timed out, unreachable). */
    enum tarn_err (*read)(struct tarn_flow *flow, struct tarn_bytes buf, size_t *n);
    /* Zero-copy read: the next contiguous bytes, where they lie; errors as read. The memory is the
     * reader's alone to look at and to change (decrypt in place) until consume. */
    enum tarn_err (*peek)(struct tarn_flow *flow, struct tarn_bytes *out);
    /* Done with `n` of the bytes peeked. */
    void (*consume)(struct tarn_flow *flow, size_t n);
    /* Copies from the `nv` pieces in order; *n may be less than all of them. TARN_AGAIN only with
     * *n == 0. After shutdown: TARN_INVALID. After a failure: as read. */
    enum tarn_err (*write)(struct tarn_flow *flow, const struct tarn_span *v, size_t nv, size_t *n);
    /* Zero-copy write: holds the lease (NULL: memory that always stays) until the peer has the
     * bytes. *n may be less than all of it. An implementation may copy instead. */
    enum tarn_err (*lend)(struct tarn_flow *flow, struct tarn_span data, struct tarn_lease *lease,
                          size_t *n);
    /* No more writes: what was written goes out, then the end. Reading goes on. */
    void (*shutdown)(struct tarn_flow *flow);
    /* The owner is done: what was written is still delivered, then the flow ends. */
    void (*close)(struct tarn_flow *flow);
    /* The same, at once and rudely: what is queued is lost, the peer sees a reset. */
    void (*abort)(struct tarn_flow *flow);
    /* The two ends, where there are such; TARN_UNSUPPORTED otherwise. Either may be NULL. */
    enum tarn_err (*endpoints)(const struct tarn_flow *flow, struct tarn_endpoint *local,
                               struct tarn_endpoint *remote);
};
struct tarn_flow {
    const struct tarn_flow_ops *ops;
    void (*on_event)(struct tarn_flow *flow, unsigned events); /* NULL: nobody listens */
    void *user;                                                /* the owner's */
};

static inline TARN_MUST_USE enum tarn_err tarn_flow_read(struct tarn_flow *f, struct tarn_bytes buf,
                                                         size_t *n) {
    return f->ops->read(f, buf, n);
}
static inline TARN_MUST_USE enum tarn_err tarn_flow_peek(struct tarn_flow *f,
                                                         struct tarn_bytes *out) {
    return f->ops->peek(f, out);
}
static inline void tarn_flow_consume(struct tarn_flow *f, size_t n) {
    f->ops->consume(f, n);
}
static inline TARN_MUST_USE enum tarn_err tarn_flow_write(struct tarn_flow *f,
                                                          struct tarn_span data, size_t *n) {
    return f->ops->write(f, &data, 1, n);
}
static inline TARN_MUST_USE enum tarn_err
tarn_flow_writev(struct tarn_flow *f, const struct tarn_span *v, size_t nv, size_t *n) {
    return f->ops->write(f, v, nv, n);
}
static inline TARN_MUST_USE enum tarn_err tarn_flow_lend(struct tarn_flow *f, struct tarn_span data,
                                                         struct tarn_lease *lease, size_t *n) {
    return f->ops->lend(f, data, lease, n);
}
static inline void tarn_flow_shutdown(struct tarn_flow *f) {
    f->ops->shutdown(f);
}
static inline void tarn_flow_close(struct tarn_flow *f) {
    f->ops->close(f);
}
static inline void tarn_flow_abort(struct tarn_flow *f) {
    f->ops->abort(f);
}
static inline TARN_MUST_USE enum tarn_err tarn_flow_endpoints(const struct tarn_flow *f,
                                                              struct tarn_endpoint *local,
                                                              struct tarn_endpoint *remote) {
    return f->ops->endpoints(f, local, remote);
}

/* Incoming flows. */
struct tarn_listener;
struct tarn_listener_ops {
    /* The oldest established flow that waits; TARN_AGAIN: none, an event follows. */
    enum tarn_err (*accept)(struct tarn_listener *l, struct tarn_flow **out);
    /* Ends listening; flows not yet accepted are reset. */
    void (*close)(struct tarn_listener *l);
};
struct tarn_listener {
    const struct tarn_listener_ops *ops;
    void (*on_event)(struct tarn_listener *l); /* there is something to accept */
    void *user;
};
static inline TARN_MUST_USE enum tarn_err tarn_listener_accept(struct tarn_listener *l,
                                                               struct tarn_flow **out) {
    return l->ops->accept(l, out);
}
static inline void tarn_listener_close(struct tarn_listener *l) {
    l->ops->close(l);
}

/* Where flows come from: lib/stack over Tarn's own layers, the host's sockets on unix. */
struct tarn_net;
struct tarn_net_ops {
    /* `local.addr` any: every address; port 0 is refused. TARN_LIMIT: the port is taken, or no
     * room. */
    enum tarn_err (*listen)(struct tarn_net *net, const struct tarn_endpoint *local,
                            uint32_t backlog, struct tarn_listener **out);
    /* Starts at once; CONNECTED or FAILED follows. */
    enum tarn_err (*connect)(struct tarn_net *net, const struct tarn_endpoint *remote,
                             struct tarn_flow **out);
    /* An endpoint for datagrams. TARN_LIMIT: the port is taken, or no room. Optional (NULL). */
    enum tarn_err (*datagram)(struct tarn_net *net, const struct tarn_datagram_config *config,
                              struct tarn_datagram **out);
};
struct tarn_net {
    const struct tarn_net_ops *ops;
};
static inline TARN_MUST_USE enum tarn_err tarn_net_listen(struct tarn_net *net,
                                                          const struct tarn_endpoint *local,
                                                          uint32_t backlog,
                                                          struct tarn_listener **out) {
    return net->ops->listen(net, local, backlog, out);
}
static inline TARN_MUST_USE enum tarn_err
tarn_net_connect(struct tarn_net *net, const struct tarn_endpoint *remote, struct tarn_flow **out) {
    return net->ops->connect(net, remote, out);
}
static inline TARN_MUST_USE enum tarn_err
tarn_net_datagram(struct tarn_net *net, const struct tarn_datagram_config *config,
                  struct tarn_datagram **out) {
    return net->ops->datagram ? net->ops->datagram(net, config, out) : TARN_UNSUPPORTED;
}

#endif
