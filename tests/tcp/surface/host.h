/* SPDX-License-Identifier: ISC */
/* What the files of the surface share. */
#ifndef TESTS_TCP_SURFACE_HOST_H
#define TESTS_TCP_SURFACE_HOST_H

#include "surface.h"

#include <tarn/base.h>
#include <tarn/ip.h>
#include <tarn/tcp.h>

struct packet_out {
    struct packet_out *next;
    tarn_time when;
    size_t len;
    uint8_t bytes[];
};

struct socket {
    bool used;
    bool bound, connecting;
    bool established; /* it has been */
    bool failed;      /* the connection is over by an error, which `error` was */
    bool read_shut, write_shut, reuse;
    int family;
    int error;  /* to be reported once */
    int reason; /* what ICMP said, should it time out */
    struct tarn_endpoint local;
    struct tarn_surface *host;
    struct tarn_listener *listener;
    struct tarn_flow *flow;
    struct tarn_flow *next_flow; /* a listener's: accepted so that poll could tell */
    bool nodelay, keepalive, cork, fastopen, fastopen_connect;
    bool deferred; /* connect waits for the first write, to `remote` */
    struct tarn_endpoint remote;
    int64_t keep_idle_s, keep_interval_s, keep_probes, user_timeout_ms, linger_s;
    uint32_t sndbuf;
    int64_t rcvbuf, notsent_lowat, maxseg;
    const struct tarn_tcp_cc_ops *cc;
};

struct tarn_surface {
    tarn_time now;
    void *memory;
    struct tarn_arena arena;
    struct tarn_pkt_pool pkts;
    struct tarn_tasks tasks;
    struct tarn_random_seeded random;
    struct tarn_link link;
    struct tarn_ip_upper upper; /* between ip and tcp: hears of ICMP errors */
    struct tarn_ip *ip;
    struct tarn_tcp *tcp;
    bool gso;
    struct packet_out *out, **out_end;
    struct tarn_ip_addr addr4, addr6;
    uint32_t sndbuf, rcvbuf;
    uint32_t next_port;
    uint64_t refused; /* connections, that sockets have heard of */
    struct socket *sockets;
    uint32_t sockets_max;
};

/* Does all that can be done without time passing. */
void host_settle(struct tarn_surface *host);
/* An ICMP error about the connection between the two. */
void sockets_reason(struct tarn_surface *host, const struct tarn_ip_meta *meta,
                    enum tarn_ip_error error, struct tarn_span quoted);
struct socket *socket_of(struct tarn_surface *host, int fd);
/* NULL: none of that name. */
const struct tarn_tcp_cc_ops *congestion_of(const char *name);
/* Hands its options to its flow. */
void socket_apply(struct socket *s);
struct tarn_tcp_budget socket_budget(const struct socket *s);

#endif
