/* SPDX-License-Identifier: ISC */
/* tarn/dns_connect.h: a connection to a host by its name, over whichever of its addresses answers
 * first (Happy Eyeballs, RFC 8305).
 *
 * Addresses of both families are asked for at once. IPv6 goes first, the families take turns, and
 * an attempt that has not succeeded within 250 ms gets company by the next; the first connection
 * that stands is the one, and the others end. It needs nothing but a resolver and a network.
 *
 * All memory is the caller's struct. From the loop only; nothing blocks.
 */
#ifndef TARN_DNS_CONNECT_H
#define TARN_DNS_CONNECT_H

#include <tarn/env.h>
#include <tarn/flow.h>
#include <tarn/resolver.h>

#define TARN_DNS_CONNECT_ADDRS_MAX 8 /* of each family */

struct tarn_dns_connect_config {
    struct tarn_resolver *resolver;
    struct tarn_net *net;
    struct tarn_clock *clock;
    tarn_time resolution_delay_ns; /* for IPv6's addresses, when IPv4's are there; 0: 50 ms */
    tarn_time attempt_delay_ns;    /* 0: 250 ms */
    tarn_time patience_ns;         /* for all of it; 0: 30 s */
};
struct tarn_dns_connect {
    struct tarn_dns_connect_config config;
    void (*done)(struct tarn_dns_connect *c);
    void *user; /* the caller's */
    /* Valid in done: */
    enum tarn_err err;      /* OK; as a resolver's; PEER, IO: no address took the connection */
    struct tarn_flow *flow; /* the caller's from now on */
    struct tarn_endpoint remote;
    /* Its own: */
    uint16_t port;
    bool v6_next;
    tarn_time give_up, begin, next;
    struct tarn_dns_connect_family {
        struct tarn_dns_connect *connect;
        struct tarn_resolver_request request;
        bool asked, known;
        unsigned count, tried;
        struct tarn_ip_addr addrs[TARN_DNS_CONNECT_ADDRS_MAX];
    } families[2]; /* IPv6, IPv4 */
    struct tarn_dns_connect_attempt {
        struct tarn_dns_connect *connect;
        struct tarn_flow *flow; /* NULL: over */
        struct tarn_endpoint remote;
    } attempts[2 * TARN_DNS_CONNECT_ADDRS_MAX];
    unsigned attempt_count;
};

/* `host` stays until done; an address in text is a host too. TARN_LIMIT: the resolver has too many
 * requests, and done does not come. Otherwise it comes once, unless it is cancelled. */
TARN_MUST_USE enum tarn_err tarn_dns_connect_start(struct tarn_dns_connect *c,
                                                   const struct tarn_dns_connect_config *config,
                                                   struct tarn_span host, uint16_t port);
void tarn_dns_connect_tick(struct tarn_dns_connect *c, tarn_time now);
tarn_time tarn_dns_connect_deadline(const struct tarn_dns_connect *c);
/* Not after done. */
void tarn_dns_connect_cancel(struct tarn_dns_connect *c);

#endif
