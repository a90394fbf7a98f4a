/* SPDX-License-Identifier: ISC */
/* tarn/link.h: what ip needs from below: something that carries datagrams to a neighbour.
 *
 * Ethernet with ARP is one; a tun device, a point-to-point line or a test is another. Above it sits
 * a tarn_link_user, which gets the datagrams that arrive.
 */
#ifndef TARN_LINK_H
#define TARN_LINK_H

#include <tarn/err.h>
#include <tarn/ip_addr.h>
#include <tarn/pkt.h>
#include <tarn/time.h>

enum tarn_link_dst_kind {
    TARN_LINK_NEIGHBOUR, /* `ip`: the link resolves it (ARP) */
    TARN_LINK_ADDRESS,   /* `mac`: already resolved above (NDP) */
    TARN_LINK_BROADCAST,
    TARN_LINK_MULTICAST, /* `ip`: a group, mapped by the link */
};
struct tarn_link_dst {
    enum tarn_link_dst_kind kind;
    struct tarn_ip_addr ip;
    uint8_t mac[6];
};

/* How a datagram came. */
enum tarn_link_cast { TARN_LINK_TO_US, TARN_LINK_TO_ALL, TARN_LINK_TO_GROUP };
struct tarn_link_meta {
    enum tarn_link_cast cast;
    uint8_t src_mac[6];
};

struct tarn_link;
struct tarn_link_user;
struct tarn_link_ops {
    /* Takes the packet in every case. The packet starts at its IP header. TARN_LIMIT: a queue is
     * full; TARN_IO: the neighbour is known not to answer. */
    enum tarn_err (*send)(struct tarn_link *link, const struct tarn_link_dst *dst,
                          struct tarn_pkt *pkt, tarn_time now);
    /* The IPv4 addresses that the link answers for (ARP) and announces. `probe`: asks first whether
     * somebody has it (RFC 5227 section 2.1), and addr_event tells; otherwise it is in use at once.
     * Optional (NULL): a link without resolution. */
    enum tarn_err (*own_addr)(struct tarn_link *link, const struct tarn_ip_addr *addr, bool add,
                              bool probe, tarn_time now);
    /* Start or stop hearing a multicast group. Optional. */
    enum tarn_err (*join)(struct tarn_link *link, const struct tarn_ip_addr *group, bool add);
};
struct tarn_link {
    const struct tarn_link_ops *ops;
    struct tarn_link_user *user; /* who gets what arrives; set by the user's init */
    uint16_t mtu;
    uint32_t features; /* enum tarn_netif_features of what is below */
    uint8_t mac[6];
    bool has_mac;
};

/* What became of an address that own_addr added (RFC 5227). */
enum tarn_link_addr_event {
    TARN_LINK_ADDR_READY,    /* nobody else has it: announced, and in use from now on */
    TARN_LINK_ADDR_CONFLICT, /* somebody else has it, and it is no longer answered for */
    TARN_LINK_ADDR_DEFENDED, /* somebody else used it; it was defended and is kept */
};

struct tarn_link_user_ops {
    /* Owns the packet, which starts at its IP header; `version` is 4 or 6, by the link's own
     * framing. */
    void (*input)(struct tarn_link_user *user, const struct tarn_link_meta *meta, unsigned version,
                  struct tarn_pkt *pkt, tarn_time now);
    /* A datagram that the link had taken could not be delivered: its neighbour did not answer. The
     * packet starts at its IP header, and is owned. Optional (NULL: the link frees it). */
    void (*unreachable)(struct tarn_link_user *user, struct tarn_pkt *pkt, tarn_time now);
    /* About an own address; `mac` is the other host's (zero where there is none). Optional. */
    void (*addr_event)(struct tarn_link_user *user, const struct tarn_ip_addr *addr,
                       enum tarn_link_addr_event event, const uint8_t mac[6], tarn_time now);
};
struct tarn_link_user {
    const struct tarn_link_user_ops *ops;
};

#endif
