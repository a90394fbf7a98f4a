/* SPDX-License-Identifier: ISC */
/* tarn/udp.h: UDP endpoints over anything that sends IP datagrams (RFC 768, RFC 1122 section 4.1,
 * RFC 8200 section 8.1), for both families at once.
 *
 * It never allocates after tarn_udp_new, blocks, or reads a clock: the caller supplies memory,
 * packets, randomness and now. It knows IP only as tarn/ip_lower.h, so it runs over lib/ip, a raw
 * socket, a tun device or a test.
 *
 * A received datagram stays in the packet that the driver put it into until its reader is done. A
 * sent one is copied once, or lent. Checksums are always sent (left PARTIAL for whoever is last)
 * and always checked where there is one; IPv6 datagrams without one are refused.
 *
 * Ownership: packets given to input belong to the endpoint they reach, then are freed. Endpoints
 * are named by handles; a handle to a closed endpoint answers TARN_INVALID. Their owner may use the
 * tarn_datagram behind one (tarn/datagram.h) until it closes it.
 * Limits: endpoints, queued datagrams (in all and of one endpoint, by count and by memory) and
 * waiting sends are bounded by the configuration; what exceeds them is dropped and counted.
 * Threading: one thread for each struct tarn_udp.
 */
#ifndef TARN_UDP_H
#define TARN_UDP_H

#include <tarn/datagram.h>
#include <tarn/env.h>
#include <tarn/ip_lower.h>
#include <tarn/task.h>

/* An endpoint's multicast groups, and the senders that one of its filters may name; the endpoints
 * that share one port; the pieces of one GSO send. */
#define TARN_UDP_GROUPS_MAX 8
#define TARN_UDP_SOURCES_MAX 16
#define TARN_UDP_PORT_SHARERS_MAX 32
#define TARN_UDP_GSO_PIECES_MAX 64

struct tarn_udp_config {
    struct tarn_alloc *alloc;
    struct tarn_random *random;  /* ports: must be unpredictable to peers */
    struct tarn_tasks *tasks;    /* events are delivered from there */
    struct tarn_pkt_pool *pkts;  /* for what is sent, and for copies to several receivers */
    struct tarn_ip_lower *lower; /* outlives the tarn_udp */
    uint32_t endpoints_max;      /* 0: 64 */
    uint32_t groups_max;         /* multicast groups joined by all of them together; 0: 64 */
    uint32_t rx_datagrams_max;   /* queued for all endpoints together; 0: 512 */
    uint32_t rx_endpoint_max;    /* queued for one; 0: 64 */
    uint32_t rx_endpoint_bytes;  /* packet memory queued for one, by truesize; 0: 256 KiB */
    uint32_t tx_datagrams_max;   /* sends without `now` that wait for the next tick; 0: 128 */
    uint16_t port_min, port_max; /* where ports are chosen from; 0: 49152 and 65535 (RFC 6335) */
};

/* Every datagram that does not arrive is in exactly one of the rx_ counters below rx_delivered. */
struct tarn_udp_stats {
    uint64_t rx_datagrams;   /* given to input */
    uint64_t rx_delivered;   /* queued at an endpoint; with multicast, more than once for each */
    uint64_t rx_malformed;   /* shorter than a header, length field out of range, port 0, family */
    uint64_t rx_bad_csum;    /* wrong, or missing over IPv6 */
    uint64_t rx_no_endpoint; /* nothing listens: rejected below where it was sent to us alone */
    uint64_t rx_full;        /* the endpoint's queue or the common one was full */
    uint64_t rx_no_memory;   /* no packet for the copy that a second receiver needs */
    uint64_t tx_datagrams;   /* given to the layer below */
    uint64_t tx_failed;      /* of those, refused by it */
    uint64_t tx_full;        /* TARN_AGAIN answered: the queue of waiting sends was full */
    uint64_t tx_no_memory;   /* TARN_LIMIT answered: no packet */
    uint64_t errors;         /* ICMP errors given to an endpoint */
    uint64_t errors_ignored; /* ICMP errors about nothing that was sent from a connected endpoint */
};

struct tarn_udp;

/* TARN_LIMIT: the allocator has not enough. */
TARN_MUST_USE enum tarn_err tarn_udp_new(const struct tarn_udp_config *config,
                                         struct tarn_udp **out);

/* What to register below for protocol 17. */
struct tarn_ip_upper *tarn_udp_upper(struct tarn_udp *udp);

/* The two halves of that, for who holds datagrams and has no tarn_ip_upper. Input owns the packet,
 * which starts at the UDP header; bytes behind the length that the header states are ignored. */
void tarn_udp_input(struct tarn_udp *udp, const struct tarn_ip_meta *meta, struct tarn_pkt *pkt,
                    tarn_time now);
/* An ICMP error about a datagram of ours: matched by all four of its addresses and ports against
 * connected endpoints only (RFC 8085 section 5.2), so that nobody can disturb the others. */
void tarn_udp_error(struct tarn_udp *udp, const struct tarn_ip_meta *meta, enum tarn_ip_error error,
                    struct tarn_span quoted);

/* Sends what waits; due when the deadline is 0, which is at once. */
void tarn_udp_tick(struct tarn_udp *udp, tarn_time now);
tarn_time tarn_udp_deadline(const struct tarn_udp *udp);

/* An endpoint. Port 0 takes an unused one at random (RFC 6056 section 3.3.2). TARN_LIMIT: the port
 * is taken, no port is free, or endpoints_max. */
TARN_MUST_USE enum tarn_err tarn_udp_open(struct tarn_udp *udp,
                                          const struct tarn_datagram_config *config,
                                          struct tarn_handle *out);
/* The endpoint that hears what is sent to one host alone and to no other endpoint, whatever its
 * address and port: for who stands in for other hosts (tarn_ip_stand_in). Where it sends,
 * info->local says from what address and port; it is never connected (TARN_INVALID). TARN_LIMIT:
 * there is one, or endpoints_max. */
TARN_MUST_USE enum tarn_err tarn_udp_open_all(struct tarn_udp *udp, struct tarn_handle *out);
/* As the calls of tarn/datagram.h of the same name, where they are described. */
TARN_MUST_USE enum tarn_err tarn_udp_connect(struct tarn_udp *udp, struct tarn_handle endpoint,
                                             const struct tarn_endpoint *remote);
TARN_MUST_USE enum tarn_err tarn_udp_join(struct tarn_udp *udp, struct tarn_handle endpoint,
                                          const struct tarn_ip_addr *group, uint8_t iface,
                                          bool add);
TARN_MUST_USE enum tarn_err tarn_udp_listen(struct tarn_udp *udp, struct tarn_handle endpoint,
                                            const struct tarn_ip_addr *group, uint8_t iface,
                                            const struct tarn_group_filter *filter);
TARN_MUST_USE enum tarn_err tarn_udp_local(struct tarn_udp *udp, struct tarn_handle endpoint,
                                           struct tarn_endpoint *out);
/* Frees what is queued; sends that wait still go out. */
TARN_MUST_USE enum tarn_err tarn_udp_close(struct tarn_udp *udp, struct tarn_handle endpoint);

/* Sends at once, since it is told the time: in one datagram, or with info->gso_size in as many as
 * that takes (the packet is marked TARN_GSO_UDP; the device or tarn/offload.h cuts it). Never
 * TARN_AGAIN. */
TARN_MUST_USE enum tarn_err tarn_udp_send(struct tarn_udp *udp, struct tarn_handle endpoint,
                                          const struct tarn_datagram_info *info,
                                          const struct tarn_span *v, size_t nv, tarn_time now);
TARN_MUST_USE enum tarn_err tarn_udp_lend(struct tarn_udp *udp, struct tarn_handle endpoint,
                                          const struct tarn_datagram_info *info,
                                          struct tarn_span data, struct tarn_lease *lease,
                                          tarn_time now);
/* The oldest datagram's bytes, valid until tarn_udp_consume or tarn_udp_close. TARN_AGAIN: none. */
TARN_MUST_USE enum tarn_err tarn_udp_peek(struct tarn_udp *udp, struct tarn_handle endpoint,
                                          struct tarn_bytes *out, struct tarn_datagram_info *info);
/* Done with it. Traps where nothing is queued. */
void tarn_udp_consume(struct tarn_udp *udp, struct tarn_handle endpoint);

/* The endpoint behind the general interface, for those above that know nothing of UDP, and for
 * events. Its sends wait for the next tick. NULL: closed. */
struct tarn_datagram *tarn_udp_datagram(struct tarn_udp *udp, struct tarn_handle endpoint);

const struct tarn_udp_stats *tarn_udp_stats(const struct tarn_udp *udp);

#endif
