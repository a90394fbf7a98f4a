/* SPDX-License-Identifier: ISC */
/* tarn/arp.h: the Address Resolution Protocol (RFC 826) and address conflict detection (RFC 5227).
 *
 * A pure state machine: ARP packets, IP packets without a known neighbour and `now` go in; what is
 * to be sent or told comes out of tarn_arp_next, which the caller empties after every other call.
 * lib/ethernet does that; a program with frames of its own can do the same.
 *
 * Never allocates after tarn_arp_new (packets for what it sends come from the configured pool),
 * blocks or reads a clock. One thread.
 *
 * A cache under attack: entries live in two lists. An entry is *proven* once the neighbour has
 * answered a request of ours; everything else (being asked for, known not to answer, learned from a
 * request to us) is unproven. Unproven entries have half the table and evict only each other, so no
 * flood of requests or of unanswered destinations evicts the last half of the neighbours that
 * answer. A proven entry is never overwritten by what nobody asked for: the neighbour known so far
 * is asked first, and only its silence makes room for another. Unsolicited replies create nothing.
 *
 * Source: RFC 826, RFC 1122 section 2.3.2 (timeouts, queueing), RFC 5227.
 */
#ifndef TARN_ARP_H
#define TARN_ARP_H

#include <tarn/alloc.h>
#include <tarn/env.h>
#include <tarn/err.h>
#include <tarn/ip_addr.h>
#include <tarn/link.h>
#include <tarn/pkt.h>
#include <tarn/time.h>

#define TARN_ARP_PACKET_BYTES 28

/* Zero means the default in brackets. */
struct tarn_arp_config {
    struct tarn_alloc *alloc;
    struct tarn_random *random;
    struct tarn_pkt_pool *pkts; /* for requests and replies */
    uint8_t mac[6];             /* ours */
    uint32_t entries_max;       /* neighbours remembered [512] */
    uint32_t addrs_max;         /* own addresses, at most 64 [8] */
    uint32_t queue_entry_max;   /* packets that wait for one neighbour, the oldest go first [8] */
    uint32_t queue_max;         /* packets that wait for all of them [128] */
    tarn_time reachable;        /* how long an answer is believed before it is asked again [60 s] */
    tarn_time retry;            /* between requests [1 s] */
    tarn_time negative;         /* how long silence is believed [3 s] */
    uint32_t requests_max;      /* requests before giving up [3] */
};

struct tarn_arp;
/* TARN_LIMIT: the allocator has not enough. TARN_INVALID: a limit makes no sense. */
TARN_MUST_USE enum tarn_err tarn_arp_new(const struct tarn_arp_config *config,
                                         struct tarn_arp **out);

/* Takes an ARP packet as it came behind the link-layer header (padding behind it is fine). */
void tarn_arp_input(struct tarn_arp *arp, struct tarn_span packet, tarn_time now);

/* The neighbour's hardware address for the IPv4 packet `pkt` to `addr`.
 * TARN_OK: in `mac`, and the packet is the caller's to send. Otherwise the packet is owned here:
 * TARN_AGAIN: kept, and it will come out of tarn_arp_next; TARN_LIMIT: no room to keep it;
 * TARN_IO: the neighbour is known not to answer. */
TARN_MUST_USE enum tarn_err tarn_arp_resolve(struct tarn_arp *arp, const struct tarn_ip_addr *addr,
                                             struct tarn_pkt *pkt, uint8_t mac[6], tarn_time now);

/* An own IPv4 address: answered for, announced and defended. With `probe` (RFC 5227 section 2.1) it
 * is asked for first, and is answered for only once TARN_LINK_ADDR_READY has come; and it is given
 * up at the second conflict within ten seconds. Without, it is in use at once, and is defended for
 * good (section 2.4 (c)). TARN_LIMIT: addrs_max. TARN_INVALID: not a unicast address. */
TARN_MUST_USE enum tarn_err tarn_arp_addr_add(struct tarn_arp *arp, const struct tarn_ip_addr *addr,
                                              bool probe, tarn_time now);
void tarn_arp_addr_remove(struct tarn_arp *arp, const struct tarn_ip_addr *addr);

void tarn_arp_tick(struct tarn_arp *arp, tarn_time now);
tarn_time tarn_arp_deadline(const struct tarn_arp *arp);

enum tarn_arp_out_kind {
    TARN_ARP_SEND_ARP,    /* `pkt` is an ARP packet: frame it with EtherType 0x0806, for `mac` */
    TARN_ARP_SEND_IP,     /* `pkt` waited for its neighbour, which is `mac` */
    TARN_ARP_UNREACHABLE, /* `pkt` waited for a neighbour that did not answer */
    TARN_ARP_ADDR,        /* `event` about the own address `addr`; `mac` is the other host's */
};
struct tarn_arp_out {
    enum tarn_arp_out_kind kind;
    struct tarn_pkt *pkt; /* owned by the caller from now on; NULL for TARN_ARP_ADDR */
    uint8_t mac[6];
    struct tarn_ip_addr addr;
    enum tarn_link_addr_event event;
};
/* The next thing to do. False: none. */
bool tarn_arp_next(struct tarn_arp *arp, struct tarn_arp_out *out);

struct tarn_arp_stats {
    uint64_t requests_in, replies_in, requests_out, replies_out;
    uint64_t announcements_out, probes_out;
    uint64_t conflicts;        /* somebody else used an address of ours */
    uint64_t overwrites;       /* refused: a proven neighbour with another hardware address */
    uint64_t evictions;        /* to make room in a full table */
    uint64_t resolved, failed; /* outcomes of asking */
    uint64_t drops_malformed, drops_queue, drops_memory;
    uint64_t drops_unasked;                 /* replies that nobody asked for */
    uint32_t entries, proven, waiting_pkts; /* now */
};
void tarn_arp_stats(const struct tarn_arp *arp, struct tarn_arp_stats *out);

#endif
