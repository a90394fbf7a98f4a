/* SPDX-License-Identifier: ISC */
/* tarn/ethernet.h: Ethernet with ARP: frames of a tarn_netif below, a tarn_link above.
 *
 * Frames come in through tarn_ethernet_poll (or tarn_ethernet_input, for who holds frames already),
 * are checked and handed to the link's user: IPv4 and IPv6 packets at their IP header, ARP to the
 * neighbour cache here (tarn/arp.h). What the user sends gets its header, waits in a bounded queue
 * and goes to the netif in batches with tarn_ethernet_flush. IPv6 neighbours are resolved above
 * (NDP); IPv4 ones here.
 *
 * Filters: frames for another station, for a group that nobody joined, of another VLAN, and from a
 * group are dropped and counted. With a VLAN configured, everything sent is tagged with it and only
 * its frames are heard; without, untagged and priority-tagged (VLAN 0) frames are.
 *
 * Never allocates after tarn_ethernet_new, blocks or reads a clock; the netif's features are passed
 * on as they are, so put tarn/offload.h between where it lacks some. One thread.
 *
 * Source: IEEE 802.3, 802.1Q; RFC 894, 1112 section 6.4, 2464.
 */
#ifndef TARN_ETHERNET_H
#define TARN_ETHERNET_H

#include <tarn/arp.h>
#include <tarn/link.h>
#include <tarn/netif.h>

/* Zero means the default in brackets. */
struct tarn_ethernet_config {
    struct tarn_alloc *alloc;
    struct tarn_random *random;
    struct tarn_pkt_pool *pkts;
    struct tarn_netif *netif;
    uint16_t vlan;              /* 802.1Q VLAN identifier, 1 to 4094; 0: untagged */
    uint32_t tx_queue_max;      /* packets between send and flush, a power of two [512] */
    uint32_t groups_max;        /* multicast hardware addresses heard [64] */
    struct tarn_arp_config arp; /* limits only: the rest is filled in from here */
};

struct tarn_ethernet;
/* TARN_LIMIT: the allocator has not enough. TARN_INVALID: a limit or the VLAN makes no sense. */
TARN_MUST_USE enum tarn_err tarn_ethernet_new(const struct tarn_ethernet_config *config,
                                              struct tarn_ethernet **out);
/* For who stands above: set its `user`. */
struct tarn_link *tarn_ethernet_link(struct tarn_ethernet *eth);
struct tarn_arp *tarn_ethernet_arp(struct tarn_ethernet *eth);

/* Owns `pkt`, a frame from its destination address on, without the FCS. */
void tarn_ethernet_input(struct tarn_ethernet *eth, struct tarn_pkt *pkt, tarn_time now);
/* Receives from the netif until about `budget` frames came, a super-segment counting for as many as
 * it stands for: whoever sends a window in a few large pieces is answered before the last of them.
 * Answers how many came: fewer than the budget means that there are no more now. */
size_t tarn_ethernet_poll(struct tarn_ethernet *eth, size_t budget, tarn_time now);
void tarn_ethernet_tick(struct tarn_ethernet *eth, tarn_time now);
/* Gives the netif what waits. What it does not take is tried again at the next flush, for which
 * deadline asks a millisecond later. */
void tarn_ethernet_flush(struct tarn_ethernet *eth, tarn_time now);
/* When to poll, tick and flush next, beside when the device is ready: 0 where something waits to be
 * flushed. */
tarn_time tarn_ethernet_deadline(const struct tarn_ethernet *eth);

struct tarn_ethernet_stats {
    uint64_t rx_frames, tx_frames;
    uint64_t rx_ipv4, rx_ipv6, rx_arp;
    uint64_t rx_broadcast, rx_multicast;
    uint64_t drops_short;       /* no whole header, or no payload */
    uint64_t drops_source;      /* from a group, or from ourselves */
    uint64_t drops_destination; /* for another station */
    uint64_t drops_group;       /* for a group that nobody joined */
    uint64_t drops_vlan;
    uint64_t drops_type;     /* neither IP nor ARP */
    uint64_t drops_tx_queue; /* more than tx_queue_max at once */
    uint64_t drops_user;     /* nobody above */
    uint64_t netif_full;     /* flushes that the netif did not take whole */
};
const struct tarn_ethernet_stats *tarn_ethernet_stats(const struct tarn_ethernet *eth);

#endif
