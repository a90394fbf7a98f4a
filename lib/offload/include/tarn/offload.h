/* SPDX-License-Identifier: ISC */
/* tarn/offload.h: in software what a network device should do and does not.
 *
 * Segmentation and checksums happen at the last possible place (tarn/pkt.h). Where the device
 * offers the offload, nothing here touches the bytes. Where it does not, this library is the edge:
 *  - tarn_offload wraps a netif into one that has every sending feature. It completes PARTIAL
 *    checksums, cuts super-segments (TCP over both families, UDP) into packets of the path's size,
 *    and copies packets into one buffer for a device that takes only such.
 *  - received TCP segments that follow one another are joined into super-segments, where asked.
 *
 * Every payload byte is passed over at most once: a piece that may have fragments shares the
 * parent's lent memory and is only summed; a linear piece is copied and summed in the same pass; a
 * joined segment is copied and verified in the same pass. Payload in a parent's head is copied.
 *
 * Allocates its state at init, packets for the pieces from the pool in its configuration. Limits:
 * one batch of pieces waits in the edge when the device is full, and no packet is taken meanwhile.
 * A packet whose headers contradict its metadata is dropped and counted: a netif below may have
 * been told nonsense by its own other side. One thread.
 *
 * Sources: VIRTIO 1.2 section 5.1.6.2 (metadata), RFC 9293, RFC 768, RFC 3168 section 6.1.2 (CWR).
 */
#ifndef TARN_OFFLOAD_H
#define TARN_OFFLOAD_H

#include <tarn/alloc.h>
#include <tarn/err.h>
#include <tarn/netif.h>

/* -- the edge around a netif ---------------------------------------------------------------------
 */

struct tarn_offload_config {
    struct tarn_alloc *alloc;
    struct tarn_netif *below;
    struct tarn_pkt_pool *pkts; /* for pieces, linear copies and joined segments */
    bool join; /* join received segments: for devices that give one frame at a time */
};
struct tarn_offload;

struct tarn_offload_stats {
    uint64_t csum_pkts;   /* checksums completed */
    uint64_t cut_pkts;    /* super-segments cut ... */
    uint64_t cut_pieces;  /* ... into so many packets */
    uint64_t linear_pkts; /* packets copied into one buffer */
    uint64_t joined_pkts; /* received segments that became part of another */
    uint64_t drops_malformed, drops_memory;
};

/* TARN_LIMIT: no memory. */
TARN_MUST_USE enum tarn_err tarn_offload_new(const struct tarn_offload_config *config,
                                             struct tarn_offload **out);
/* The netif with every feature: hand it to who would have used the one below. Its MAC address, MTU
 * and device bit are those of the one below. */
struct tarn_netif *tarn_offload_netif(struct tarn_offload *o);
/* Whether pieces wait for the device; and another try to send them, to be made after its ready
 * event or at the next poll. Sending anything tries too. */
bool tarn_offload_is_waiting(const struct tarn_offload *o);
void tarn_offload_flush(struct tarn_offload *o);
const struct tarn_offload_stats *tarn_offload_stats(const struct tarn_offload *o);

/* -- the parts, for whoever has packets and no netif --------------------------------------------
 */

/* How the pieces are to be. */
enum tarn_offload_how {
    TARN_OFFLOAD_CSUM = 1 << 0,   /* with complete checksums; otherwise they stay PARTIAL */
    TARN_OFFLOAD_LINEAR = 1 << 1, /* without fragments */
};

/* A super-segment being cut. The fields are the library's. */
struct tarn_offload_cut {
    struct tarn_pkt *pkt; /* NULL: nothing is being cut */
    uint32_t done;        /* payload bytes already cut */
    uint16_t l3, l4, header_bytes, index;
    unsigned how;
    bool ipv6, tcp;
};
/* Starts cutting `pkt`, whose IP header is at `l3`, and owns it from now on. TARN_INVALID: the
 * headers do not say what the metadata does; the packet has been freed. */
TARN_MUST_USE enum tarn_err tarn_offload_cut_begin(struct tarn_offload_cut *cut,
                                                   struct tarn_pkt *pkt, size_t l3, unsigned how);
/* The next piece. TARN_EOF: that was the last, and the packet is gone. TARN_LIMIT: no packet left
 * in `pool`; try again or end it. */
TARN_MUST_USE enum tarn_err tarn_offload_cut_next(struct tarn_offload_cut *cut,
                                                  struct tarn_pkt_pool *pool,
                                                  struct tarn_pkt **out);
/* Gives up on the rest. */
void tarn_offload_cut_end(struct tarn_offload_cut *cut);

/* A copy in one buffer with a complete checksum, both in one pass; NULL: no packet left, or longer
 * than any buffer. `pkt` stays as it was. */
struct tarn_pkt *tarn_offload_linear(const struct tarn_pkt *pkt, struct tarn_pkt_pool *pool,
                                     bool complete);

/* Joins what follows one another among the linear packets pkts[0..n), Ethernet frames, and answers
 * how many are left, in order. Only in-order segments of one flow with equal headers (addresses,
 * ports, ACK, window, options, TTL, TOS, no flag but ACK and PSH) are joined, and only where both
 * checksums are right; every other packet is left as it is. At most TARN_OFFLOAD_FLOWS flows are
 * followed at once. */
#define TARN_OFFLOAD_FLOWS 8
size_t tarn_offload_join(struct tarn_pkt **pkts, size_t n, struct tarn_pkt_pool *pool);

#endif
