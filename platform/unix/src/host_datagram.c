/* SPDX-License-Identifier: ISC */
/* A datagram endpoint over a UDP socket of the host.
 *
 * Events are armed and told as in host_flow.c. The kernel's buffers are the only queues; what is
 * peeked at is received into a buffer first. A socket for every address is one of IPv6 that hears
 * IPv4 too, under mapped addresses, which is how a tarn_ip_addr keeps them anyway. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#include "host.h"

#define DATAGRAM_BYTES_MAX 65535u
#define PIECES_MAX 64u /* of one send */
#define CONTROL_BYTES 128u

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

struct host_datagram {
    struct tarn_datagram datagram;
    struct host_net *net;
    struct unix_watch watch;
    struct tarn_task task;
    bool readable, writable;      /* by what epoll and the last call said */
    bool read_armed, write_armed; /* the owner waits for the event */
    bool failure_due;             /* FAILED is still to be told */
    enum tarn_err failure;        /* an ICMP error that the next call answers */
    bool v6;                      /* the socket's family */
    bool connected, no_fragment;
    struct tarn_endpoint bound, local, remote;
    bool peeking;
    struct tarn_bytes peeked_at; /* in the batch, or in here */
    struct tarn_datagram_info peeked_info;
    uint8_t peeked[DATAGRAM_BYTES_MAX + 1]; /* a pool wants a round size */
};

static struct host_datagram *host_datagram_of(const struct tarn_datagram *datagram) {
    return TARN_CONTAINER_OF(datagram, struct host_datagram, datagram);
}

static bool endpoint_equal(const struct tarn_endpoint *a, const struct tarn_endpoint *b) {
    return a->port == b->port && tarn_ip_addr_equal(&a->addr, &b->addr);
}

static socklen_t socket_address(const struct host_datagram *d, const struct tarn_endpoint *endpoint,
                                struct sockaddr_storage *out) {
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(endpoint->port)};
    if (!d->v6)
        return host_sockaddr(endpoint, out);
    memcpy(&v6.sin6_addr, &endpoint->addr, sizeof v6.sin6_addr);
    memset(out, 0, sizeof *out);
    memcpy(out, &v6, sizeof v6);
    return sizeof v6;
}

/* -- events ---------------------------------------------------------------------------------------
 */

static void deliver(struct tarn_task *task) {
    struct host_datagram *d = TARN_CONTAINER_OF(task, struct host_datagram, task);
    unsigned events = d->failure_due ? TARN_DATAGRAM_FAILED : 0;
    if (d->read_armed && d->readable)
        events |= TARN_DATAGRAM_READABLE;
    if (d->write_armed && d->writable)
        events |= TARN_DATAGRAM_WRITABLE;
    d->failure_due = false;
    if (events & TARN_DATAGRAM_READABLE)
        d->read_armed = false;
    if (events & TARN_DATAGRAM_WRITABLE)
        d->write_armed = false;
    /* Last: the owner may close the endpoint in there. */
    if (events && d->datagram.on_event)
        d->datagram.on_event(&d->datagram, events);
}

static enum tarn_err failure_of(int error) {
    return error == ECONNREFUSED ? TARN_PEER : TARN_IO;
}

static uint64_t socket_ready(struct unix_watch *watch, uint32_t events) {
    struct host_datagram *d = TARN_CONTAINER_OF(watch, struct host_datagram, watch);
    int error = 0;
    socklen_t len = sizeof error;
    if (events & EPOLLERR) {
        TARN_ASSERT(getsockopt(watch->fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0);
        if (error && d->connected) {
            d->failure = failure_of(error);
            d->failure_due = true;
        }
    }
    d->readable = d->readable || (events & EPOLLIN);
    d->writable = d->writable || (events & EPOLLOUT);
    if (d->failure_due || (d->read_armed && d->readable) || (d->write_armed && d->writable))
        tarn_task_post(d->net->tasks, &d->task);
    return (uint64_t)1 << UNIX_DEVICE_NONE;
}

static enum tarn_err take_failure(struct host_datagram *d) {
    enum tarn_err failure = d->failure;
    d->failure = TARN_OK;
    return failure;
}

/* -- receiving ------------------------------------------------------------------------------------
 */

static void read_control(struct msghdr *message, struct tarn_datagram_info *info) {
    struct in_pktinfo v4;
    struct in6_pktinfo v6;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        const void *data = CMSG_DATA(c);
        int number = 0;
        memcpy(&number, data, TARN_MIN(sizeof number, (size_t)c->cmsg_len - CMSG_LEN(0)));
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            memcpy(&v4, data, sizeof v4);
            info->local.addr = tarn_ip_addr_from_v4(ntohl(v4.ipi_addr.s_addr));
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            memcpy(&v6, data, sizeof v6);
            memcpy(&info->local.addr, &v6.ipi6_addr, sizeof info->local.addr);
        } else if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL)
                   || (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPLIMIT)) {
            info->hops = (uint8_t)number;
        } else if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS)
                   || (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS)) {
            info->tos = (uint8_t)number;
        }
    }
}

static enum tarn_err receive_failed(struct host_datagram *d) {
    if (errno != EAGAIN)
        return failure_of(errno);
    d->readable = false;
    d->read_armed = true;
    return TARN_AGAIN;
}

static enum tarn_err receive_one(struct host_datagram *d, struct tarn_bytes buf, size_t *n,
                                 struct tarn_datagram_info *info) {
    union {
        struct cmsghdr align;
        uint8_t bytes[CONTROL_BYTES];
    } control;
    struct sockaddr_storage from;
    struct iovec piece = {buf.ptr, buf.len};
    struct msghdr message = {.msg_name = &from,
                             .msg_namelen = sizeof from,
                             .msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    ssize_t got;
    do
        got = recvmsg(d->watch.fd, &message, MSG_TRUNC);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return receive_failed(d);
    *n = (size_t)got;
    *info = (struct tarn_datagram_info){.local = d->local};
    read_control(&message, info);
    return host_endpoint(&from, &info->remote);
}

/* The next one of the batch, or, where another endpoint has that, alone. */
static enum tarn_err receive_next(struct host_datagram *d) {
    struct host_batch *b = &d->net->batch;
    struct tarn_datagram_info *info = &d->peeked_info;
    size_t n;
    if (b->owner && b->owner != d) {
        struct tarn_bytes own = tarn_bytes_first(TARN_BYTES_ARRAY(d->peeked), DATAGRAM_BYTES_MAX);
        enum tarn_err err = receive_one(d, own, &n, info);
        if (!err)
            d->peeked_at = tarn_bytes_first(own, n);
        return err;
    }
    struct msghdr *message = host_batch_next(b, d, d->watch.fd, &d->peeked_at);
    if (!message)
        return receive_failed(d);
    *info = (struct tarn_datagram_info){.local = d->local};
    read_control(message, info);
    return host_endpoint(message->msg_name, &info->remote);
}

/* What came from elsewhere before the endpoint was connected is not for it any more. */
static enum tarn_err receive(struct host_datagram *d) {
    enum tarn_err err = take_failure(d);
    if (err)
        return err;
    do
        err = receive_next(d);
    while (!err && d->connected && !endpoint_equal(&d->peeked_info.remote, &d->remote));
    return err;
}

static enum tarn_err datagram_peek(struct tarn_datagram *datagram, struct tarn_bytes *out,
                                   struct tarn_datagram_info *info) {
    struct host_datagram *d = host_datagram_of(datagram);
    if (!d->peeking) {
        enum tarn_err err = receive(d);
        if (err)
            return err;
        d->peeking = true;
    }
    *out = d->peeked_at;
    if (info)
        *info = d->peeked_info;
    return TARN_OK;
}

static void datagram_consume(struct tarn_datagram *datagram) {
    struct host_datagram *d = host_datagram_of(datagram);
    TARN_ASSERT(d->peeking);
    d->peeking = false;
}

static enum tarn_err datagram_recv(struct tarn_datagram *datagram, struct tarn_bytes buf, size_t *n,
                                   struct tarn_datagram_info *info) {
    struct host_datagram *d = host_datagram_of(datagram);
    struct tarn_bytes peeked = {NULL, 0};
    enum tarn_err err = datagram_peek(datagram, &peeked, info);
    if (err)
        return err;
    *n = peeked.len;
    tarn_bytes_copy(buf, tarn_bytes_span(peeked));
    d->peeking = false;
    return TARN_OK;
}

/* -- sending --------------------------------------------------------------------------------------
 */

static void put_control(struct msghdr *message, int level, int type, const void *data, size_t n) {
    struct cmsghdr *c =
        (struct cmsghdr *)((uint8_t *)message->msg_control + message->msg_controllen);
    TARN_ASSERT(message->msg_controllen + CMSG_SPACE(n) <= CONTROL_BYTES);
    *c = (struct cmsghdr){.cmsg_len = CMSG_LEN(n), .cmsg_level = level, .cmsg_type = type};
    memcpy(CMSG_DATA(c), data, n);
    message->msg_controllen += CMSG_SPACE(n);
}

/* `any`: the socket is for every address, so it must be said which one this is from. */
static void put_info(struct msghdr *message, const struct tarn_datagram_info *info, bool any,
                     bool v4, size_t len) {
    int level = v4 ? IPPROTO_IP : IPPROTO_IPV6, hops = info->hops, tos = info->tos;
    struct in_pktinfo from4 = {0};
    struct in6_pktinfo from6 = {0};
    any = any && !tarn_ip_addr_is_any(&info->local.addr);
    if (any && v4) {
        from4.ipi_spec_dst.s_addr = htonl(tarn_ip_addr_v4(&info->local.addr));
        put_control(message, level, IP_PKTINFO, &from4, sizeof from4);
    } else if (any) {
        memcpy(&from6.ipi6_addr, &info->local.addr, sizeof from6.ipi6_addr);
        put_control(message, level, IPV6_PKTINFO, &from6, sizeof from6);
    }
    if (hops)
        put_control(message, level, v4 ? IP_TTL : IPV6_HOPLIMIT, &hops, sizeof hops);
    if (tos)
        put_control(message, level, v4 ? IP_TOS : IPV6_TCLASS, &tos, sizeof tos);
    if (info->gso_size && info->gso_size < len)
        put_control(message, IPPROTO_UDP, UDP_SEGMENT, &info->gso_size, sizeof info->gso_size);
}

static void set_no_fragment(struct host_datagram *d, bool on) {
    int how4 = on ? IP_PMTUDISC_DO : IP_PMTUDISC_WANT;
    int how6 = on ? IPV6_PMTUDISC_DO : IPV6_PMTUDISC_WANT;
    if (d->no_fragment == on)
        return;
    d->no_fragment = on;
    setsockopt(d->watch.fd, IPPROTO_IP, IP_MTU_DISCOVER, &how4, sizeof how4);
    if (d->v6)
        setsockopt(d->watch.fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &how6, sizeof how6);
}

static enum tarn_err check(const struct host_datagram *d, const struct tarn_datagram_info *info,
                           const struct tarn_endpoint *to, size_t len) {
    const struct tarn_ip_addr *from =
        tarn_ip_addr_is_any(&info->local.addr) ? &d->local.addr : &info->local.addr;
    bool v4 = tarn_ip_addr_is_v4(&to->addr);
    if (to->port == 0 || tarn_ip_addr_is_any(&to->addr)
        || (d->connected && !endpoint_equal(to, &d->remote)))
        return TARN_INVALID;
    if ((!v4 && !d->v6) || (!tarn_ip_addr_is_any(from) && tarn_ip_addr_is_v4(from) != v4))
        return TARN_INVALID;
    if (info->iface)
        return TARN_UNSUPPORTED;
    return len > (v4 ? 65507u : 65527u) ? TARN_INVALID : TARN_OK;
}

static enum tarn_err send_failed(struct host_datagram *d, const struct tarn_datagram_info *info) {
    switch (errno) {
    case EAGAIN:
        d->writable = false;
        d->write_armed = true;
        return TARN_AGAIN;
    case ENOBUFS:
    case ENOMEM: return TARN_LIMIT;
    case EMSGSIZE: return info->no_fragment && !info->gso_size ? TARN_LIMIT : TARN_INVALID;
    case ENETUNREACH:
    case EADDRNOTAVAIL: return TARN_NOT_FOUND;
    case EACCES: /* a broadcast */
    case EINVAL: return TARN_INVALID;
    default: return failure_of(errno);
    }
}

static enum tarn_err datagram_send(struct tarn_datagram *datagram,
                                   const struct tarn_datagram_info *info, const struct tarn_span *v,
                                   size_t nv) {
    static const struct tarn_datagram_info defaults;
    struct host_datagram *d = host_datagram_of(datagram);
    union {
        struct cmsghdr align;
        uint8_t bytes[CONTROL_BYTES];
    } control;
    struct iovec pieces[PIECES_MAX];
    struct sockaddr_storage address;
    struct msghdr message = {.msg_iov = pieces, .msg_control = control.bytes};
    size_t len = 0;
    ssize_t sent;
    enum tarn_err err = take_failure(d);
    if (err || nv > PIECES_MAX)
        return err ? err : TARN_INVALID;
    info = info ? info : &defaults;
    for (size_t i = 0; i < nv; i++) {
        pieces[message.msg_iovlen++] = (struct iovec){(void *)(uintptr_t)v[i].ptr, v[i].len};
        len += TARN_MIN(v[i].len, (size_t)DATAGRAM_BYTES_MAX + 1);
    }
    const struct tarn_endpoint *to = info->remote.port ? &info->remote : &d->remote;
    if ((err = check(d, info, to, len)) != TARN_OK)
        return err;
    set_no_fragment(d, info->no_fragment);
    if (!d->connected) {
        message.msg_namelen = socket_address(d, to, &address);
        message.msg_name = &address;
    }
    put_info(&message, info, tarn_ip_addr_is_any(&d->bound.addr), tarn_ip_addr_is_v4(&to->addr),
             len);
    if (!info->no_fragment && !info->gso_size && host_batch_put(&d->net->batch, d, &message, len))
        return TARN_OK;
    host_batch_flush(&d->net->batch); /* what was sent before goes before */
    do
        sent = sendmsg(d->watch.fd, &message, 0);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? send_failed(d, info) : TARN_OK;
}

/* The kernel copies, so the lease need not be held. */
static enum tarn_err datagram_lend(struct tarn_datagram *datagram,
                                   const struct tarn_datagram_info *info, struct tarn_span data,
                                   struct tarn_lease *lease) {
    (void)lease;
    return datagram_send(datagram, info, &data, 1);
}

/* -- what it is bound to --------------------------------------------------------------------------
 */

static enum tarn_err read_local(struct host_datagram *d) {
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    if (getsockname(d->watch.fd, (struct sockaddr *)&address, &len) != 0)
        return TARN_IO;
    return host_endpoint(&address, &d->local);
}

/* The kernel forgets a port that it chose itself: it is asked for again by its number. */
static enum tarn_err disconnect(struct host_datagram *d) {
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    struct sockaddr_storage address;
    d->connected = false;
    d->remote = (struct tarn_endpoint){TARN_IP_ADDR_NONE, 0};
    if (connect(d->watch.fd, &nobody, sizeof nobody) != 0 || read_local(d))
        return TARN_IO;
    if (d->local.port == d->bound.port)
        return TARN_OK;
    socklen_t len = socket_address(d, &d->bound, &address);
    return bind(d->watch.fd, (struct sockaddr *)&address, len) == 0 ? read_local(d) : TARN_IO;
}

static enum tarn_err datagram_connect(struct tarn_datagram *datagram,
                                      const struct tarn_endpoint *remote) {
    struct host_datagram *d = host_datagram_of(datagram);
    struct sockaddr_storage address;
    enum tarn_err err = TARN_OK;
    bool v4 = remote && tarn_ip_addr_is_v4(&remote->addr);
    if (remote
        && (remote->port == 0 || tarn_ip_addr_is_any(&remote->addr) || (!v4 && !d->v6)
            || (!tarn_ip_addr_is_any(&d->bound.addr) && tarn_ip_addr_is_v4(&d->bound.addr) != v4)))
        return TARN_INVALID;
    if (d->connected)
        err = disconnect(d);
    (void)take_failure(d);
    if (err || !remote)
        return err;
    if (connect(d->watch.fd, (struct sockaddr *)&address, socket_address(d, remote, &address)) != 0)
        return errno == EACCES ? TARN_INVALID : TARN_NOT_FOUND;
    d->connected = true;
    d->remote = *remote;
    if (d->peeking && !endpoint_equal(&d->peeked_info.remote, remote))
        d->peeking = false;
    return read_local(d);
}

static enum tarn_err datagram_join(struct tarn_datagram *datagram, const struct tarn_ip_addr *group,
                                   uint8_t iface, bool add) {
    struct host_datagram *d = host_datagram_of(datagram);
    struct ip_mreqn v4 = {0};
    struct ipv6_mreq v6 = {0};
    int result;
    if (iface)
        return TARN_UNSUPPORTED;
    if (!tarn_ip_addr_is_multicast(group))
        return TARN_INVALID;
    if (tarn_ip_addr_is_v4(group)) {
        v4.imr_multiaddr.s_addr = htonl(tarn_ip_addr_v4(group));
        result = setsockopt(d->watch.fd, IPPROTO_IP, add ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP,
                            &v4, sizeof v4);
    } else {
        memcpy(&v6.ipv6mr_multiaddr, group, sizeof v6.ipv6mr_multiaddr);
        result = setsockopt(d->watch.fd, IPPROTO_IPV6,
                            add ? IPV6_ADD_MEMBERSHIP : IPV6_DROP_MEMBERSHIP, &v6, sizeof v6);
    }
    if (result == 0 || (add && errno == EADDRINUSE))
        return TARN_OK;
    return errno == ENOBUFS || errno == ENOMEM ? TARN_LIMIT : add ? TARN_IO : TARN_NOT_FOUND;
}

static void datagram_local(const struct tarn_datagram *datagram, struct tarn_endpoint *out) {
    *out = host_datagram_of(datagram)->local;
}

static void datagram_close(struct tarn_datagram *datagram) {
    struct host_datagram *d = host_datagram_of(datagram);
    tarn_task_cancel(&d->task);
    host_batch_release(&d->net->batch, d);
    close(d->watch.fd); /* the last reference: epoll forgets it */
    tarn_pool_put(&d->net->datagrams, d);
}

static const struct tarn_datagram_ops datagram_ops = {
    .connect = datagram_connect,
    .send = datagram_send,
    .lend = datagram_lend,
    .recv = datagram_recv,
    .peek = datagram_peek,
    .consume = datagram_consume,
    .join = datagram_join,
    .local = datagram_local,
    .close = datagram_close,
};

/* -- opening --------------------------------------------------------------------------------------
 */

static void set(int fd, int level, int option, int value) {
    setsockopt(fd, level, option, &value, sizeof value);
}

/* Where the host has no IPv6, every address is every IPv4 one. */
static int open_socket(struct tarn_endpoint *local, bool *v6) {
    bool is_any = tarn_ip_addr_is_any(&local->addr);
    int fd = -1;
    *v6 = !tarn_ip_addr_is_v4(&local->addr);
    if (*v6)
        fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        set(fd, IPPROTO_IPV6, IPV6_V6ONLY, !is_any);
        set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, is_any);
        set(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
        set(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
        set(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0);
    } else if (!*v6 || is_any) {
        *v6 = false;
        if (is_any)
            local->addr = TARN_IP_ADDR_V4(0, 0, 0, 0);
        fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        set(fd, IPPROTO_IP, IP_PKTINFO, is_any);
    }
    set(fd, IPPROTO_IP, IP_RECVTTL, 1);
    set(fd, IPPROTO_IP, IP_RECVTOS, 1);
    set(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0);
    return fd;
}

enum tarn_err host_datagram_open(struct tarn_net *base, const struct tarn_datagram_config *config,
                                 struct tarn_datagram **out) {
    struct host_net *net = TARN_CONTAINER_OF(base, struct host_net, net);
    struct tarn_endpoint at = config->local;
    struct sockaddr_storage address;
    bool v6;
    if (config->iface)
        return TARN_UNSUPPORTED;
    struct host_datagram *d = tarn_pool_take(&net->datagrams);
    if (!d)
        return TARN_LIMIT;
    int fd = open_socket(&at, &v6);
    memset(d, 0, offsetof(struct host_datagram, peeked));
    d->v6 = v6;
    socklen_t len = socket_address(d, &at, &address);
    set(fd, SOL_SOCKET, SO_BROADCAST, config->broadcast);
    set(fd, SOL_SOCKET, SO_REUSEADDR, config->shared);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) != 0) {
        enum tarn_err err = host_port_refused(at.port, errno);
        if (fd >= 0)
            close(fd);
        tarn_pool_put(&net->datagrams, d);
        return err;
    }
    d->datagram.ops = &datagram_ops;
    d->net = net;
    d->task.run = deliver;
    d->watch = (struct unix_watch){fd, socket_ready};
    d->read_armed = true;
    TARN_ASSERT(read_local(d) == TARN_OK);
    d->bound = d->local;
    unix_watch_add(&d->watch, EPOLLIN | EPOLLOUT | EPOLLET);
    *out = &d->datagram;
    return TARN_OK;
}

enum tarn_err host_datagrams_init(struct host_net *net, struct tarn_alloc *alloc, uint32_t max) {
    return tarn_pool_init(&net->datagrams, alloc, sizeof(struct host_datagram),
                          _Alignof(struct host_datagram), max);
}
