/* SPDX-License-Identifier: ISC */
/* tarn/dhcp_server.h: a small DHCP server for IPv4 (RFC 2131), as a machine without I/O: one
 * subnet, one range of addresses, a table of fixed size.
 *
 * It takes the UDP payloads that arrive at port 67, and now, and answers each with at most one
 * payload and where to send it. Leases are found by client identifier (or hardware address),
 * offered in the order in which addresses became free, and so a client gets its old address back as
 * long as nobody else had to have it. Nothing is stored: after a restart, `authoritative` decides
 * what becomes of clients that it has never seen.
 *
 * Limits: the range has at most TARN_DHCP_SERVER_LEASES_MAX addresses. A client that pretends to be
 * many can use the range up, as with any DHCP server: offers that are not taken up come free again
 * after two minutes. Relayed requests (giaddr) are not answered. One thread for each server.
 */
#ifndef TARN_DHCP_SERVER_H
#define TARN_DHCP_SERVER_H

#include <tarn/alloc.h>
#include <tarn/datagram.h>
#include <tarn/dhcp_message.h>
#include <tarn/env.h>
#include <tarn/err.h>
#include <tarn/time.h>

#define TARN_DHCP_SERVER_LEASES_MAX 65536u

struct tarn_dhcp_server_config {
    struct tarn_alloc *alloc;
    struct tarn_random *random;      /* the hash key */
    struct tarn_ip_prefix addr;      /* the server's own address, and the subnet it serves */
    struct tarn_ip_addr first, last; /* the range, in that subnet; our own address is left out */
    struct tarn_ip_addr gateway;     /* any: none is told */
    struct tarn_ip_addr dns;         /* any: none is told */
    struct tarn_span domain;         /* empty: none is told; up to 255 bytes; outlives the server */
    uint16_t mtu;                    /* 0: none is told */
    uint32_t lease_seconds;          /* 0: 3600; UINT32_MAX: for good */
    /* The only server here: refuse (NAK) addresses of other networks, and let clients keep an
     * address of the range that is free though the lease is unknown. */
    bool authoritative;
};

struct tarn_dhcp_server_stats {
    uint64_t received, sent, malformed;
    uint64_t ignored; /* for other servers, relayed, or of no known kind */
    uint64_t naks, declined;
    uint64_t exhausted; /* a client wanted an address and none was free */
};

struct tarn_dhcp_server;

/* TARN_INVALID: the range is not in the subnet, or backwards, or too long. TARN_LIMIT: no memory.
 */
TARN_MUST_USE enum tarn_err tarn_dhcp_server_new(const struct tarn_dhcp_server_config *config,
                                                 struct tarn_dhcp_server **out);

/* A UDP payload that arrived at port 67. True: the answer was written, to be sent from port 67 to
 * `path`. The writer needs TARN_DHCP_MESSAGE_BYTES_MAX. */
TARN_MUST_USE bool tarn_dhcp_server_input(struct tarn_dhcp_server *s, struct tarn_span payload,
                                          struct tarn_writer *w, struct tarn_dhcp_path *path,
                                          tarn_time now);
/* Answers all that waits at `port`, an endpoint at port 67 that may broadcast, bound to the one
 * interface that is served: what an on_event of its does. */
void tarn_dhcp_server_serve(struct tarn_dhcp_server *s, struct tarn_datagram *port, tarn_time now);
/* A range where the operator says none: the upper half of the network, at most 1024 addresses.
 * TARN_INVALID: not an IPv4 network of /8 to /29. */
TARN_MUST_USE enum tarn_err tarn_dhcp_server_range(const struct tarn_ip_prefix *net,
                                                   struct tarn_ip_addr *first,
                                                   struct tarn_ip_addr *last);
/* Frees what has run out; input does so too, so a server needs no loop of its own. */
void tarn_dhcp_server_tick(struct tarn_dhcp_server *s, tarn_time now);
tarn_time tarn_dhcp_server_deadline(const struct tarn_dhcp_server *s);

/* How many addresses are leased or offered now. */
uint32_t tarn_dhcp_server_in_use(const struct tarn_dhcp_server *s);
const struct tarn_dhcp_server_stats *tarn_dhcp_server_stats(const struct tarn_dhcp_server *s);

#endif
