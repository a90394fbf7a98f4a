/* SPDX-License-Identifier: ISC */
/* Sockets over flows and listeners: what BSD's calls answer, and when. */
#include "host.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>

struct socket *socket_of(struct tarn_surface *host, int fd) {
    if (fd < 0 || (uint32_t)fd >= host->sockets_max || !host->sockets[fd].used)
        return NULL;
    return &host->sockets[fd];
}

/* -- addresses -- */

static int endpoint_from(const struct sockaddr *addr, socklen_t bytes, int family,
                         struct tarn_endpoint *out) {
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    if (!addr || bytes < sizeof(sa_family_t))
        return -EINVAL;
    if (addr->sa_family == AF_INET && bytes >= sizeof in) {
        memcpy(&in, addr, sizeof in);
        *out = (struct tarn_endpoint){tarn_ip_addr_from_v4(ntohl(in.sin_addr.s_addr)),
                                      ntohs(in.sin_port)};
        return family == AF_INET ? 0 : -EAFNOSUPPORT;
    }
    if (addr->sa_family == AF_INET6 && bytes >= sizeof in6) {
        memcpy(&in6, addr, sizeof in6);
        memcpy(out->addr.bytes, &in6.sin6_addr, 16);
        out->port = ntohs(in6.sin6_port);
        return family == AF_INET6 ? 0 : -EAFNOSUPPORT;
    }
    return addr->sa_family == AF_INET || addr->sa_family == AF_INET6 ? -EINVAL : -EAFNOSUPPORT;
}

static void endpoint_to(const struct tarn_endpoint *e, int family, struct sockaddr *addr,
                        socklen_t *bytes) {
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(e->port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(e->port)};
    if (!addr || !bytes)
        return;
    if (tarn_ip_addr_is_v4(&e->addr))
        in.sin_addr.s_addr = htonl(tarn_ip_addr_v4(&e->addr));
    memcpy(&in6.sin6_addr, e->addr.bytes, 16);
    const void *from = family == AF_INET ? (const void *)&in : (const void *)&in6;
    socklen_t size = family == AF_INET ? sizeof in : sizeof in6;
    memcpy(addr, from, TARN_MIN(*bytes, size));
    *bytes = size;
}

static bool overlap(const struct tarn_ip_addr *a, const struct tarn_ip_addr *b) {
    return tarn_ip_addr_is_any(a) || tarn_ip_addr_is_any(b) || tarn_ip_addr_equal(a, b);
}

/* What keeps `s` from having the endpoint: another socket, unless both may share and do not
 * listen. */
static bool is_taken(const struct tarn_surface *host, const struct socket *s,
                     const struct tarn_endpoint *e) {
    for (uint32_t i = 0; i < host->sockets_max; i++) {
        const struct socket *other = &host->sockets[i];
        if (!other->used || other == s || !other->bound || other->local.port != e->port
            || !overlap(&other->local.addr, &e->addr))
            continue;
        if (!(s->reuse && other->reuse) || other->listener)
            return true;
    }
    return false;
}

static int choose_port(struct tarn_surface *host, struct socket *s, struct tarn_endpoint *e) {
    for (uint32_t i = 49152; i <= 65535; i++) {
        e->port = (uint16_t)host->next_port;
        host->next_port = host->next_port == 65535 ? 49152 : host->next_port + 1;
        if (!is_taken(host, s, e))
            return 0;
    }
    return -EADDRINUSE;
}

/* -- what becomes of a connection -- */

/* A reset before the peer's SYN refuses; where both opened at once, it comes behind it. */
static bool was_refused(struct tarn_surface *host) {
    struct tarn_tcp_stats stats;
    tarn_tcp_stats(host->tcp, &stats);
    bool refused = stats.failed_refused != host->refused;
    host->refused = stats.failed_refused;
    return refused;
}

static int errno_of(const struct socket *s, enum tarn_err err, bool fin_received) {
    bool refused = was_refused(s->host);
    if (err == TARN_PEER)
        return refused ? ECONNREFUSED : fin_received && !s->write_shut ? EPIPE : ECONNRESET;
    return s->reason ? s->reason : ETIMEDOUT;
}

static void on_event(struct tarn_flow *flow, unsigned events) {
    struct socket *s = flow->user;
    struct tarn_bytes piece;
    size_t n;
    if (events & TARN_FLOW_CONNECTED) {
        s->connecting = false;
        s->established = true;
        socket_apply(s);
    }
    if (!(events & TARN_FLOW_FAILED))
        return;
    enum tarn_err err = tarn_flow_writev(flow, NULL, 0, &n);
    if (err == TARN_INVALID) /* an end in order, after all */
        return;
    s->error = errno_of(s, err, tarn_flow_peek(flow, &piece) == TARN_EOF);
    s->failed = true;
    s->connecting = false;
}

static void take_flow(struct socket *s, struct tarn_flow *flow) {
    s->flow = flow;
    flow->on_event = on_event;
    flow->user = s;
}

static int reason_of(enum tarn_ip_error error) {
    switch (error) {
    case TARN_IP_ERROR_UNREACHABLE: return EHOSTUNREACH;
    case TARN_IP_ERROR_PORT: return ECONNREFUSED;
    case TARN_IP_ERROR_PROHIBITED: return EHOSTUNREACH;
    default: return 0;
    }
}

void sockets_reason(struct tarn_surface *host, const struct tarn_ip_meta *meta,
                    enum tarn_ip_error error, struct tarn_span quoted) {
    struct tarn_endpoint local, remote;
    uint16_t from, to;
    if (!reason_of(error) || !tarn_span_u16be(&quoted, &from) || !tarn_span_u16be(&quoted, &to))
        return;
    for (uint32_t i = 0; i < host->sockets_max; i++) {
        struct socket *s = &host->sockets[i];
        if (s->used && s->flow && tarn_flow_endpoints(s->flow, &local, &remote) == TARN_OK
            && local.port == from && remote.port == to
            && tarn_ip_addr_equal(&local.addr, &meta->src)
            && tarn_ip_addr_equal(&remote.addr, &meta->dst))
            s->reason = reason_of(error);
    }
}

/* -- opening -- */

int tarn_surface_socket(struct tarn_surface *host, int family) {
    if (family != AF_INET && family != AF_INET6)
        return -EAFNOSUPPORT;
    for (uint32_t i = 0; i < host->sockets_max; i++) {
        if (host->sockets[i].used)
            continue;
        host->sockets[i] = (struct socket){
            .used = true,
            .host = host,
            .family = family,
            .keep_idle_s = 7200,
            .keep_interval_s = 75,
            .keep_probes = 9,
            .linger_s = -1,
            .sndbuf = host->sndbuf,
        };
        return (int)i;
    }
    return -ENOBUFS;
}

static int bind_to(struct tarn_surface *host, struct socket *s, struct tarn_endpoint *e) {
    bool own = tarn_ip_addr_is_any(&e->addr) || tarn_ip_addr_equal(&e->addr, &host->addr4)
               || tarn_ip_addr_equal(&e->addr, &host->addr6);
    if (!own)
        return -EADDRNOTAVAIL;
    if (e->port == 0) {
        int err = choose_port(host, s, e);
        if (err)
            return err;
    } else if (is_taken(host, s, e)) {
        return -EADDRINUSE;
    }
    s->local = *e;
    s->bound = true;
    return 0;
}

int tarn_surface_bind(struct tarn_surface *host, int fd, const struct sockaddr *addr,
                      socklen_t bytes) {
    struct socket *s = socket_of(host, fd);
    struct tarn_endpoint e;
    if (!s)
        return -EBADF;
    int err = endpoint_from(addr, bytes, s->family, &e);
    if (err)
        return err;
    return s->bound || s->flow ? -EINVAL : bind_to(host, s, &e);
}

int tarn_surface_listen(struct tarn_surface *host, int fd, int backlog) {
    struct socket *s = socket_of(host, fd);
    struct tarn_endpoint any = {.port = 0};
    if (!s)
        return -EBADF;
    if (s->flow)
        return -EINVAL;
    if (s->listener)
        return 0;
    int err = s->bound ? 0 : bind_to(host, s, &any);
    if (err)
        return err;
    /* As in Linux, one more than was asked for may wait. */
    struct tarn_tcp_budget budget = socket_budget(s);
    uint32_t most = backlog < 0 || backlog > 4096 ? 4096 : (uint32_t)backlog + 1;
    switch (tarn_tcp_listen(host->tcp, &s->local, most, &s->listener)) {
    case TARN_OK:
        return tarn_tcp_listener_set_budget(s->listener, &budget) == TARN_OK ? 0 : -EINVAL;
    case TARN_LIMIT: return -EADDRINUSE;
    default: return -EINVAL;
    }
}

/* Whether it can be connected at all: 0. */
static int may_connect(struct socket *s) {
    if (s->listener || s->deferred)
        return -EISCONN;
    if (s->connecting)
        return -EALREADY;
    if (s->error) {
        int error = s->error;
        s->error = 0;
        return -error;
    }
    return !s->flow ? 0 : s->failed ? -ECONNABORTED : -EISCONN;
}

/* `data` goes with the SYN, where fast open can; `*n`: how much was taken. */
static int open_to(struct tarn_surface *host, struct socket *s, const struct tarn_endpoint *remote,
                   const struct tarn_span *data, size_t *n) {
    struct tarn_flow *flow;
    const struct tarn_endpoint *local = s->bound ? &s->local : NULL;
    enum tarn_err err =
        data ? tarn_tcp_connect_with(host->tcp, local, remote, *data, host->now, &flow, n)
             : tarn_tcp_connect(host->tcp, local, remote, host->now, &flow);
    switch (err) {
    case TARN_OK: break;
    case TARN_NOT_FOUND: return -ENETUNREACH;
    case TARN_LIMIT: return -EADDRNOTAVAIL;
    default: return -EINVAL;
    }
    s->connecting = true;
    s->deferred = false;
    take_flow(s, flow);
    socket_apply(s);
    host_settle(host);
    return -EINPROGRESS;
}

int tarn_surface_connect(struct tarn_surface *host, int fd, const struct sockaddr *addr,
                         socklen_t bytes) {
    struct socket *s = socket_of(host, fd);
    struct tarn_endpoint remote;
    if (!s)
        return -EBADF;
    int err = may_connect(s);
    err = err ? err : endpoint_from(addr, bytes, s->family, &remote);
    if (err)
        return err;
    if (s->fastopen_connect && tarn_tcp_fast_open_room(host->tcp, &remote.addr) > 0) {
        s->deferred = true;
        s->remote = remote;
        return 0;
    }
    return open_to(host, s, &remote, s->fastopen_connect ? &TARN_SPAN_EMPTY : NULL, &(size_t){0});
}

/* Where no cookie is known, it is asked for and nothing taken, as in Linux. */
static ssize_t fast_open(struct tarn_surface *host, struct socket *s,
                         const struct tarn_endpoint *remote, const void *data, size_t bytes) {
    uint32_t room = tarn_tcp_fast_open_room(host->tcp, &remote->addr);
    struct tarn_span span = tarn_span_of(data, TARN_MIN(bytes, room));
    size_t n = 0;
    int err = open_to(host, s, remote, &span, &n);
    return err == -EINPROGRESS && n > 0 ? (ssize_t)n : err;
}

static void accept_next(struct socket *s) {
    if (!s->next_flow && tarn_listener_accept(s->listener, &s->next_flow) != TARN_OK)
        s->next_flow = NULL;
}

int tarn_surface_accept(struct tarn_surface *host, int fd, struct sockaddr *addr,
                        socklen_t *bytes) {
    struct socket *s = socket_of(host, fd);
    struct tarn_endpoint remote;
    if (!s)
        return -EBADF;
    if (!s->listener)
        return -EINVAL;
    accept_next(s);
    if (!s->next_flow)
        return -EAGAIN;
    int made = tarn_surface_socket(host, s->family);
    if (made < 0)
        return made;
    struct socket *child = &host->sockets[made];
    *child = *s;
    child->listener = NULL;
    child->next_flow = NULL;
    child->established = true;
    take_flow(child, s->next_flow);
    s->next_flow = NULL;
    socket_apply(child);
    if (tarn_flow_endpoints(child->flow, &child->local, &remote) == TARN_OK)
        endpoint_to(&remote, child->family, addr, bytes);
    host_settle(host);
    return made;
}

/* -- data -- */

static int report(struct socket *s) {
    int error = s->error;
    s->error = 0;
    return -error;
}

ssize_t tarn_surface_read(struct tarn_surface *host, int fd, void *data, size_t bytes) {
    return tarn_surface_recv(host, fd, data, bytes, 0);
}

static enum tarn_err receive(struct socket *s, void *data, size_t bytes, int flags, size_t *n) {
    struct tarn_bytes piece;
    if (flags & MSG_PEEK)
        return tarn_tcp_peek(s->flow, 0, tarn_bytes_of(data, bytes), n);
    if (!(flags & MSG_TRUNC))
        return tarn_flow_read(s->flow, tarn_bytes_of(data, bytes), n);
    enum tarn_err err = TARN_OK;
    *n = 0;
    while (*n < bytes && (err = tarn_flow_peek(s->flow, &piece)) == TARN_OK) {
        size_t some = TARN_MIN(piece.len, bytes - *n);
        tarn_flow_consume(s->flow, some);
        *n += some;
    }
    return *n ? TARN_OK : err;
}

ssize_t tarn_surface_recv(struct tarn_surface *host, int fd, void *data, size_t bytes, int flags) {
    struct socket *s = socket_of(host, fd);
    size_t n;
    if (!s)
        return -EBADF;
    if (flags & ~(MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT | MSG_NOSIGNAL | MSG_WAITALL))
        return -EOPNOTSUPP;
    if (s->connecting)
        return -EAGAIN;
    if (!s->flow || (s->failed && !s->error && !s->established))
        return -ENOTCONN;
    enum tarn_err err = receive(s, data, bytes, flags, &n);
    host_settle(host);
    if (err == TARN_OK)
        return (ssize_t)n;
    if (s->error)
        return report(s);
    return err == TARN_AGAIN && !s->read_shut ? -EAGAIN : 0;
}

static uint32_t queued(const struct socket *s) {
    struct tarn_tcp_info info;
    return tarn_tcp_info(s->flow, &info) == TARN_OK ? info.queued_bytes : 0;
}

ssize_t tarn_surface_write(struct tarn_surface *host, int fd, const void *data, size_t bytes) {
    return tarn_surface_send(host, fd, data, bytes, 0);
}

ssize_t tarn_surface_sendto(struct tarn_surface *host, int fd, const void *data, size_t bytes,
                            int flags, const struct sockaddr *addr, socklen_t addr_bytes) {
    struct socket *s = socket_of(host, fd);
    struct tarn_endpoint remote;
    if (!s)
        return -EBADF;
    bool connected = s->flow && !s->connecting && !s->failed;
    if (!(flags & MSG_FASTOPEN) || connected)
        return tarn_surface_send(host, fd, data, bytes, flags & ~MSG_FASTOPEN);
    int err = s->write_shut ? -EPIPE : may_connect(s);
    err = err ? err : endpoint_from(addr, addr_bytes, s->family, &remote);
    return err ? err : fast_open(host, s, &remote, data, bytes);
}

ssize_t tarn_surface_send(struct tarn_surface *host, int fd, const void *data, size_t bytes,
                          int flags) {
    struct socket *s = socket_of(host, fd);
    size_t n = 0;
    if (!s)
        return -EBADF;
    if (flags & ~(MSG_MORE | MSG_EOR | MSG_DONTWAIT | MSG_NOSIGNAL))
        return -EOPNOTSUPP;
    if (s->deferred)
        return fast_open(host, s, &s->remote, data, bytes);
    if (s->error)
        return report(s);
    if (!s->flow || s->write_shut || s->failed)
        return -EPIPE;
    if (s->connecting)
        return -EAGAIN;
    if (bytes == 0)
        return 0;
    struct tarn_span span = tarn_span_of(data, bytes);
    enum tarn_err err = flags & MSG_MORE ? tarn_tcp_write_more(s->flow, span, &n)
                                         : tarn_flow_write(s->flow, span, &n);
    host_settle(host);
    if (err == TARN_OK)
        return (ssize_t)n;
    return err == TARN_AGAIN ? -EAGAIN : -EPIPE;
}

int tarn_surface_shutdown(struct tarn_surface *host, int fd, int how) {
    struct socket *s = socket_of(host, fd);
    if (!s)
        return -EBADF;
    if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR)
        return -EINVAL;
    if (!s->flow || s->failed)
        return -ENOTCONN;
    s->read_shut |= how != SHUT_WR;
    if (how != SHUT_RD) {
        s->write_shut = true;
        tarn_flow_shutdown(s->flow);
    }
    host_settle(host);
    return 0;
}

/* -- ending -- */

static int end(struct tarn_surface *host, int fd, bool rudely) {
    struct socket *s = socket_of(host, fd);
    if (!s)
        return -EBADF;
    tarn_tcp_tick(host->tcp, host->now); /* a reset carries a timestamp, and abort has no `now` */
    if (s->next_flow)
        tarn_flow_abort(s->next_flow);
    if (s->listener)
        tarn_listener_close(s->listener);
    if (s->flow && (rudely || s->linger_s == 0))
        tarn_flow_abort(s->flow);
    else if (s->flow)
        tarn_flow_close(s->flow);
    s->used = false;
    host_settle(host);
    return 0;
}

int tarn_surface_close(struct tarn_surface *host, int fd) {
    return end(host, fd, false);
}

int tarn_surface_abort(struct tarn_surface *host, int fd) {
    return end(host, fd, true);
}

/* -- looking -- */

static uint32_t unsent(const struct socket *s) {
    struct tarn_tcp_info info;
    if (tarn_tcp_info(s->flow, &info) != TARN_OK)
        return 0;
    return info.queued_bytes - TARN_MIN(info.unacked_bytes, info.queued_bytes);
}

static int poll_flow(const struct socket *s) {
    struct tarn_bytes piece;
    if (s->connecting)
        return 0;
    enum tarn_err err = tarn_flow_peek(s->flow, &piece);
    bool ended = s->read_shut || err == TARN_EOF || s->failed;
    bool closed = s->failed || (ended && s->write_shut);
    uint32_t used = s->failed ? 0 : queued(s);
    int events = s->error ? POLLERR : 0;
    events |= err == TARN_OK || ended ? POLLIN | POLLRDNORM : 0;
    events |= ended ? POLLRDHUP : 0;
    events |= closed ? POLLHUP : 0;
    bool low = !s->notsent_lowat || unsent(s) < s->notsent_lowat;
    bool room = low && used + used / 2 <= s->sndbuf;
    events |= s->write_shut || room ? POLLOUT | POLLWRNORM : 0;
    return events;
}

int tarn_surface_poll(struct tarn_surface *host, int fd) {
    struct socket *s = socket_of(host, fd);
    if (!s)
        return -EBADF;
    if (s->flow)
        return poll_flow(s);
    if (s->deferred)
        return POLLOUT | POLLWRNORM;
    if (!s->listener)
        return POLLOUT | POLLHUP;
    accept_next(s);
    return s->next_flow ? POLLIN | POLLRDNORM : 0;
}

int tarn_surface_getsockname(struct tarn_surface *host, int fd, struct sockaddr *addr,
                             socklen_t *bytes) {
    struct socket *s = socket_of(host, fd);
    struct tarn_endpoint local;
    if (!s)
        return -EBADF;
    local = s->local;
    if (s->flow && tarn_flow_endpoints(s->flow, &local, NULL) != TARN_OK)
        return -EINVAL;
    endpoint_to(&local, s->family, addr, bytes);
    return 0;
}

int tarn_surface_getpeername(struct tarn_surface *host, int fd, struct sockaddr *addr,
                             socklen_t *bytes) {
    struct socket *s = socket_of(host, fd);
    struct tarn_endpoint remote;
    if (!s)
        return -EBADF;
    if (!s->flow || s->connecting || s->failed
        || tarn_flow_endpoints(s->flow, NULL, &remote) != TARN_OK)
        return -ENOTCONN;
    endpoint_to(&remote, s->family, addr, bytes);
    return 0;
}
