/* SPDX-License-Identifier: ISC */
/* The tarn_net of the host's sockets. Addresses are both families': a listener for every address
 * hears IPv4 and IPv6. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "host.h"

#define LISTENERS_MAX 16u

struct host_listener {
    struct tarn_listener listener;
    struct host_net *net;
    struct unix_watch watch;
    struct tarn_task task;
    bool armed;   /* the owner waits for the event */
    bool starved; /* a connection waits for a flow to become free */
};

/* -- addresses ------------------------------------------------------------------------------------
 */

socklen_t host_sockaddr(const struct tarn_endpoint *endpoint, struct sockaddr_storage *out) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(endpoint->port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(endpoint->port)};
    memset(out, 0, sizeof *out);
    if (tarn_ip_addr_is_v4(&endpoint->addr)) {
        v4.sin_addr.s_addr = htonl(tarn_ip_addr_v4(&endpoint->addr));
        memcpy(out, &v4, sizeof v4);
        return sizeof v4;
    }
    memcpy(&v6.sin6_addr, &endpoint->addr, sizeof v6.sin6_addr);
    memcpy(out, &v6, sizeof v6);
    return sizeof v6;
}

enum tarn_err host_endpoint(const struct sockaddr_storage *address, struct tarn_endpoint *out) {
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    switch (address->ss_family) {
    case AF_INET:
        memcpy(&v4, address, sizeof v4);
        out->addr = tarn_ip_addr_from_v4(ntohl(v4.sin_addr.s_addr));
        out->port = ntohs(v4.sin_port);
        return TARN_OK;
    case AF_INET6:
        memcpy(&v6, address, sizeof v6);
        memcpy(&out->addr, &v6.sin6_addr, sizeof out->addr);
        out->port = ntohs(v6.sin6_port);
        return TARN_OK;
    default: return TARN_UNSUPPORTED;
    }
}

/* -- listening ------------------------------------------------------------------------------------
 */

static void listener_tell(struct tarn_task *task) {
    struct host_listener *l = TARN_CONTAINER_OF(task, struct host_listener, task);
    if (!l->armed)
        return;
    l->armed = false;
    if (l->listener.on_event)
        l->listener.on_event(&l->listener);
}

static uint64_t listener_ready(struct unix_watch *watch, uint32_t events) {
    struct host_listener *l = TARN_CONTAINER_OF(watch, struct host_listener, watch);
    (void)events;
    if (l->armed)
        tarn_task_post(l->net->tasks, &l->task);
    return (uint64_t)1 << UNIX_DEVICE_NONE;
}

void host_net_flow_gone(struct host_net *net) {
    uint32_t cursor = 0;
    for (struct host_listener *l; (l = tarn_pool_next(&net->listeners, &cursor)) != NULL;) {
        if (!l->starved)
            continue;
        l->starved = false;
        tarn_task_post(net->tasks, &l->task);
    }
}

static enum tarn_err listener_accept(struct tarn_listener *listener, struct tarn_flow **out) {
    struct host_listener *l = TARN_CONTAINER_OF(listener, struct host_listener, listener);
    int fd;
    l->starved = l->net->flows.live == l->net->flows.count;
    if (!l->starved) {
        do
            fd = accept4(l->watch.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
        if (fd >= 0) {
            *out = host_flow_new(l->net, fd, false);
            return TARN_OK;
        }
        /* File descriptors or memory used up: the next flow that goes makes room. */
        l->starved = errno != EAGAIN;
    }
    l->armed = true;
    return TARN_AGAIN;
}

static void listener_close(struct tarn_listener *listener) {
    struct host_listener *l = TARN_CONTAINER_OF(listener, struct host_listener, listener);
    tarn_task_cancel(&l->task);
    close(l->watch.fd);
    tarn_pool_put(&l->net->listeners, l);
}

static const struct tarn_listener_ops listener_ops = {.accept = listener_accept,
                                                      .close = listener_close};

/* A socket for every address of both families, where the host has both. */
static int open_socket(struct tarn_endpoint *local) {
    bool is_any = tarn_ip_addr_is_any(&local->addr);
    int off = 0, on = 1, fd = -1;
    if (is_any || !tarn_ip_addr_is_v4(&local->addr))
        fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && is_any) {
        local->addr = TARN_IP_ADDR_NONE;
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    }
    if (fd < 0) {
        if (is_any)
            local->addr = TARN_IP_ADDR_V4(0, 0, 0, 0);
        fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    }
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    return fd;
}

enum tarn_err host_port_refused(uint16_t port, int error) {
    if (error == EACCES)
        unix_say("port %u needs root: give one above 1023, as --port=8080", port);
    else if (error == EADDRINUSE)
        unix_say("port %u is in use by another program: give another one, as --port=%u", port,
                 port == 8080 ? 8081u : 8080u);
    else
        unix_say("port %u cannot be opened: %s", port, strerror(error));
    return error == EADDRINUSE ? TARN_LIMIT : TARN_IO;
}

static enum tarn_err net_listen(struct tarn_net *base, const struct tarn_endpoint *local,
                                uint32_t backlog, struct tarn_listener **out) {
    struct host_net *net = TARN_CONTAINER_OF(base, struct host_net, net);
    struct tarn_endpoint at = *local;
    struct sockaddr_storage address;
    if (local->port == 0)
        return TARN_INVALID;
    int fd = open_socket(&at);
    socklen_t len = host_sockaddr(&at, &address);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) != 0
        || listen(fd, (int)TARN_MIN(backlog, 65535u)) != 0) {
        enum tarn_err err = host_port_refused(local->port, errno);
        if (fd >= 0)
            close(fd);
        return err;
    }
    struct host_listener *l = tarn_pool_take(&net->listeners);
    if (!l) {
        close(fd);
        return TARN_LIMIT;
    }
    *l = (struct host_listener){.listener = {.ops = &listener_ops},
                                .net = net,
                                .watch = {fd, listener_ready},
                                .task = {.run = listener_tell},
                                .armed = true};
    unix_watch_add(&l->watch, EPOLLIN | EPOLLET);
    *out = &l->listener;
    return TARN_OK;
}

/* -- connecting -----------------------------------------------------------------------------------
 */

static enum tarn_err net_connect(struct tarn_net *base, const struct tarn_endpoint *remote,
                                 struct tarn_flow **out) {
    struct host_net *net = TARN_CONTAINER_OF(base, struct host_net, net);
    struct sockaddr_storage address;
    if (remote->port == 0)
        return TARN_INVALID;
    socklen_t len = host_sockaddr(remote, &address);
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno == EMFILE || errno == ENFILE ? TARN_LIMIT : TARN_IO;
    if (connect(fd, (struct sockaddr *)&address, len) == 0 || errno == EINPROGRESS) {
        *out = host_flow_new(net, fd, true);
    } else {
        *out = host_flow_failed(net, errno);
        close(fd);
    }
    return *out ? TARN_OK : TARN_LIMIT;
}

static const struct tarn_net_ops net_ops = {
    .listen = net_listen, .connect = net_connect, .datagram = host_datagram_open};

enum tarn_err host_net_init(struct host_net *net, struct tarn_alloc *alloc,
                            struct tarn_tasks *tasks, uint32_t flows_max, uint32_t datagrams_max) {
    *net = (struct host_net){.net = {&net_ops}, .tasks = tasks};
    enum tarn_err err = host_flows_init(net, alloc, flows_max);
    if (!err)
        err = host_datagrams_init(net, alloc, datagrams_max);
    if (!err)
        err = host_batch_init(&net->batch, alloc, tasks);
    return err ? err
               : tarn_pool_init(&net->listeners, alloc, sizeof(struct host_listener),
                                _Alignof(struct host_listener), LISTENERS_MAX);
}
