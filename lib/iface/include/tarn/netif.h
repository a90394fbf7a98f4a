/* SPDX-License-Identifier: ISC */
/* tarn/netif.h: a network device: frames in batches, with offloads.
 *
 * To be implemented by strangers: a tap, a pcap file, Solo5's hypercalls, a virtio queue, DPDK.
 * Nothing is pushed from below: the loop calls recv when the platform says that the device is
 * ready. One thread per netif.
 */
#ifndef TARN_NETIF_H
#define TARN_NETIF_H

#include <tarn/pkt.h>

enum tarn_netif_features {
    TARN_NETIF_TX_CSUM = 1 << 0, /* completes a PARTIAL checksum */
    TARN_NETIF_TX_TSO4 = 1 << 1, /* cuts TARN_GSO_TCPV4; implies TX_CSUM */
    TARN_NETIF_TX_TSO6 = 1 << 2,
    TARN_NETIF_TX_USO = 1 << 3,   /* cuts TARN_GSO_UDP */
    TARN_NETIF_TX_ASYNC = 1 << 4, /* sent packets are freed later than in send */
    /* Wants packets without fragments: one buffer a packet is all the device takes. The edge
     * (tarn/offload.h) then copies and sums in one pass; without the edge, the netif copies itself.
     */
    TARN_NETIF_TX_LINEAR = 1 << 5,
};

struct tarn_netif;
struct tarn_netif_ops {
    /* Sends pkts[0..n) in order. Answers how many were taken; those are owned below from now on.
     * Fewer than n: the device is full, try again after its ready event or the next poll. Packets
     * ask only for offloads that `features` has. */
    size_t (*send)(struct tarn_netif *netif, struct tarn_pkt **pkts, size_t n);
    /* Up to n received packets, owned by the caller from now on. 0: none now. */
    size_t (*recv)(struct tarn_netif *netif, struct tarn_pkt **pkts, size_t n);
};

struct tarn_netif {
    const struct tarn_netif_ops *ops;
    uint8_t mac[6];
    uint16_t mtu;      /* bytes behind the link-layer header */
    uint32_t features; /* enum tarn_netif_features */
    uint32_t device;   /* the bit of this device in the platform's ready set */
    struct tarn_netif_stats {
        uint64_t tx_pkts, tx_bytes, rx_pkts, rx_bytes;
        uint64_t tx_calls, rx_calls; /* batches that moved something */
        uint64_t tx_drops, rx_drops; /* device errors, no packet memory */
    } stats;
};

static inline size_t tarn_netif_send(struct tarn_netif *n, struct tarn_pkt **pkts, size_t count) {
    return n->ops->send(n, pkts, count);
}
static inline size_t tarn_netif_recv(struct tarn_netif *n, struct tarn_pkt **pkts, size_t count) {
    return n->ops->recv(n, pkts, count);
}

#endif
