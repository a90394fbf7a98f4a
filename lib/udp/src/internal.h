/* SPDX-License-Identifier: ISC */
#ifndef TARN_UDP_INTERNAL_H
#define TARN_UDP_INTERNAL_H

#include <tarn/csum.h>
#include <tarn/hash.h>
#include <tarn/link.h>
#include <tarn/udp.h>

#define UDP_HEADER_BYTES 8u
#define UDP_CSUM_OFFSET 6u

/* A received datagram, or several of one size that the device had put together. */
struct rx {
    struct rx *next;
    struct tarn_pkt *pkt; /* linear, starts at the payload */
    uint32_t off;         /* how much of it was consumed: whole pieces of gso_size */
    struct tarn_datagram_info info;
};

struct tx {
    struct tarn_ip_meta meta;
    struct tarn_pkt *pkt;
};

/* A multicast group that an endpoint hears. */
struct group {
    struct group *next;
    struct tarn_ip_addr addr;
    uint8_t iface;
    bool include; /* the filter: tarn/multicast.h */
    uint8_t source_count;
    struct tarn_ip_addr sources[TARN_UDP_SOURCES_MAX];
};

struct endpoint {
    struct tarn_datagram datagram;
    struct tarn_udp *udp;
    struct tarn_task event_task; /* posted while `events` has something to tell */
    struct tarn_task room_task;  /* in udp->room while it waits for the send queue */
    unsigned events;
    bool
        readable_due; /* tell the next arrival: recv has answered TARN_AGAIN, or was never called */

    struct tarn_map_link by_port;
    struct tarn_endpoint local, remote;
    struct tarn_ip_addr bound; /* local.addr without the address that connect chose */
    bool connected, broadcast, shared;
    uint8_t iface;
    enum tarn_err error; /* an ICMP error to tell */

    struct group *groups;
    uint32_t group_count;

    struct rx *rx_head, *rx_tail;
    uint32_t rx_count, rx_bytes;
};

struct tarn_udp {
    struct tarn_ip_upper upper;
    struct tarn_udp_config config;
    struct tarn_pool endpoints, groups, rx;
    struct endpoint *all;    /* hears what no other does; NULL: nobody */
    struct tarn_map by_port; /* the port is its own hash: our ports are no stranger's choice */
    struct tarn_tasks room;  /* endpoints that wait for the send queue */
    struct tx *tx;           /* a ring of config.tx_datagrams_max */
    uint32_t tx_head, tx_count;
    struct tarn_udp_stats stats;
};

/* endpoint.c */
struct endpoint *udp_endpoint(struct tarn_udp *udp, struct tarn_handle h);
enum tarn_err udp_route(struct tarn_udp *udp, uint8_t iface, const struct tarn_ip_addr *src,
                        const struct tarn_ip_addr *dst, struct tarn_ip_route *out);
bool udp_endpoint_equal(const struct tarn_endpoint *a, const struct tarn_endpoint *b);
enum tarn_err udp_connect(struct endpoint *ep, const struct tarn_endpoint *remote);
enum tarn_err udp_listen(struct endpoint *ep, const struct tarn_ip_addr *group, uint8_t iface,
                         const struct tarn_group_filter *filter);
/* To hear everybody in the group, or nobody. */
enum tarn_err udp_join(struct endpoint *ep, const struct tarn_ip_addr *group, uint8_t iface,
                       bool add);
struct tarn_group_filter udp_filter_of(const struct group *g);
void udp_close(struct endpoint *ep);
void udp_event(struct endpoint *ep, unsigned events);
enum tarn_err udp_take_error(struct endpoint *ep);

/* receive.c */
void udp_rx_push(struct endpoint *ep, struct tarn_pkt *pkt, const struct tarn_datagram_info *info);
enum tarn_err udp_peek(struct endpoint *ep, struct tarn_bytes *out,
                       struct tarn_datagram_info *info);
void udp_consume(struct endpoint *ep);
void udp_rx_drop_others(struct endpoint *ep);
void udp_rx_clear(struct endpoint *ep);

/* output.c */
enum tarn_err udp_make(struct endpoint *ep, const struct tarn_datagram_info *info,
                       const struct tarn_span *v, size_t nv, struct tx *out);
enum tarn_err udp_make_lent(struct endpoint *ep, const struct tarn_datagram_info *info,
                            struct tarn_span data, struct tarn_lease *lease, struct tx *out);
bool udp_tx_room(const struct tarn_udp *udp);
void udp_tx_push(struct tarn_udp *udp, const struct tx *tx);
enum tarn_err udp_tx_now(struct tarn_udp *udp, const struct tx *tx, tarn_time now);

/* datagram.c */
extern const struct tarn_datagram_ops udp_datagram_ops;

#endif
