/* SPDX-License-Identifier: ISC */
/* host.h: the network of the host's sockets: a tarn_net like any other, without privileges. */
#ifndef TARN_UNIX_HOST_H
#define TARN_UNIX_HOST_H

#include <sys/socket.h>

#include "host_batch.h"
#include "unix.h"

struct host_flow;
struct host_listener;

struct host_net {
    struct tarn_net net;
    struct tarn_tasks *tasks;
    struct tarn_pool flows, listeners, datagrams;
    struct host_batch batch;
};

/* TARN_LIMIT: the allocator has not enough for so many flows (16 KB each) and endpoints for
 * datagrams (64 KB each), and 2 MB for batches; none of it costs memory before it is used. */
TARN_MUST_USE enum tarn_err host_net_init(struct host_net *net, struct tarn_alloc *alloc,
                                          struct tarn_tasks *tasks, uint32_t flows_max,
                                          uint32_t datagrams_max);

/* host_flow.c */
TARN_MUST_USE enum tarn_err host_flows_init(struct host_net *net, struct tarn_alloc *alloc,
                                            uint32_t flows_max);
/* A flow over `fd`, connected or connecting; NULL: all are in use, and `fd` is closed. */
struct tarn_flow *host_flow_new(struct host_net *net, int fd, bool connecting);
/* A flow that fails at once with `error` (errno's). */
struct tarn_flow *host_flow_failed(struct host_net *net, int error);
/* host_net.c: told whenever a flow has gone. */
void host_net_flow_gone(struct host_net *net);

/* host_datagram.c */
TARN_MUST_USE enum tarn_err host_datagrams_init(struct host_net *net, struct tarn_alloc *alloc,
                                                uint32_t max);
enum tarn_err host_datagram_open(struct tarn_net *net, const struct tarn_datagram_config *config,
                                 struct tarn_datagram **out);

/* host_net.c: tells the operator why a port was refused. */
enum tarn_err host_port_refused(uint16_t port, int error);
socklen_t host_sockaddr(const struct tarn_endpoint *endpoint, struct sockaddr_storage *out);
enum tarn_err host_endpoint(const struct sockaddr_storage *address, struct tarn_endpoint *out);

#endif
