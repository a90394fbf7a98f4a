/* SPDX-License-Identifier: ISC */
/* tarn/pkt.h: what travels between netif, ethernet, ip and the transports.
 *
 * A packet is a linear head in memory of its own, followed by fragments: memory lent by somebody
 * else (the send queue, the image's read-only data). Sending: a transport writes its header into
 * the head, lends its payload, and each layer below prepends into the headroom. Receiving:
 * everything is in the head, and each layer pulls its header off. So a page goes from ROM to the
 * device with no copy, and a received segment stays where the driver put it until its reader is
 * done with it.
 *
 * Offload metadata has virtio_net_hdr's meaning (VIRTIO 1.2, 5.1.6.2):
 *  - csum_state PARTIAL: the 16 bits at csum_start + csum_offset hold the folded pseudo-header sum;
 *    whoever is last (device, host, or tarn/offload.h) adds everything from csum_start on. On
 *    receiving, PARTIAL means that the sender was on this host: the data is good as it is.
 *  - csum_state VERIFIED (receiving): the transport need not check.
 *  - gso_size != 0: the payload is to be cut into pieces of gso_size behind copies of the headers
 *    (sending), or was put together from such pieces (receiving).
 * csum_start counts from the packet's current first byte: prepend and pull keep it true.
 *
 * Ownership: whoever is handed a packet owns it and frees it or hands it on. Not thread-safe.
 */
#ifndef TARN_PKT_H
#define TARN_PKT_H

#include <tarn/pool.h>
#include <tarn/writer.h>

/* Lent memory: told when the last user is done. The lender starts with one hold of its own. */
struct tarn_lease {
    uint32_t holds;
    void (*release)(struct tarn_lease *lease); /* at the last drop; may be NULL */
};
static inline void tarn_lease_hold(struct tarn_lease *lease) {
    if (lease)
        lease->holds++;
}
void tarn_lease_drop(struct tarn_lease *lease); /* NULL: memory that always stays, as ROM */

#define TARN_PKT_FRAGS_MAX 18
#define TARN_PKT_HEADROOM                                                                          \
    128 /* in front of a fresh packet: vnet header, Ethernet, VLAN, IPv6, TCP */
#define TARN_PKT_LEN_MAX (65535u + 64u)

enum tarn_csum_state { TARN_CSUM_NONE, TARN_CSUM_PARTIAL, TARN_CSUM_VERIFIED };
enum tarn_gso_type { TARN_GSO_NONE, TARN_GSO_TCPV4, TARN_GSO_TCPV6, TARN_GSO_UDP };

struct tarn_frag {
    const uint8_t *ptr;
    uint32_t len;
    struct tarn_lease *lease;
};

struct tarn_pkt {
    struct tarn_pkt *next; /* batches are lists; the holder's to use */
    struct tarn_pkt_pool *pool;
    struct tarn_bytes mem;       /* the head's memory */
    uint32_t head_off, head_len; /* the head: mem[head_off, head_off + head_len) */
    uint32_t len;                /* head and fragments together */
    uint16_t csum_start, csum_offset;
    uint16_t gso_size;
    uint8_t gso_type, csum_state, nfrags, pool_class;
    bool gso_ecn; /* CWR is set on the first piece only (RFC 3168 section 6.1.2) */
    struct tarn_frag frag[TARN_PKT_FRAGS_MAX];
};

/* Three sizes of head, from one budget: headers only (payload is lent), one Ethernet frame of 1,500
 * bytes, and a whole super-segment of 64 KiB. */
enum tarn_pkt_class { TARN_PKT_HEADER, TARN_PKT_FRAME, TARN_PKT_SUPER, TARN_PKT_CLASSES };
struct tarn_pkt_pool {
    struct tarn_pool pools[TARN_PKT_CLASSES];
};
struct tarn_pkt_pool_config {
    uint32_t count[TARN_PKT_CLASSES];
};
/* TARN_LIMIT: the allocator has not enough. */
TARN_MUST_USE enum tarn_err tarn_pkt_pool_init(struct tarn_pkt_pool *pool, struct tarn_alloc *alloc,
                                               const struct tarn_pkt_pool_config *config);
/* The bytes that one packet of a class takes from a budget. */
size_t tarn_pkt_class_bytes(enum tarn_pkt_class class);

/* An empty packet with room for `bytes` behind TARN_PKT_HEADROOM, from the smallest class that has
 * them and is not used up; NULL: none (counted in the pool). */
struct tarn_pkt *tarn_pkt_alloc(struct tarn_pkt_pool *pool, size_t bytes);
/* Drops the leases and gives the memory back. NULL is fine. */
void tarn_pkt_free(struct tarn_pkt *pkt);
void tarn_pkt_free_list(struct tarn_pkt *first);
/* A linear copy with the same metadata, from `pool`, or NULL. */
struct tarn_pkt *tarn_pkt_copy(struct tarn_pkt_pool *pool, const struct tarn_pkt *pkt);
/* What the packet costs its pool, whatever its length. */
size_t tarn_pkt_truesize(const struct tarn_pkt *pkt);

/* The linear head. */
struct tarn_span tarn_pkt_head(const struct tarn_pkt *pkt);
/* The same, to change in place (headers under the owner's control). */
struct tarn_bytes tarn_pkt_head_bytes(struct tarn_pkt *pkt);
/* Room for `n` bytes in front: a writer over exactly those, which the caller fills whole. Traps
 * where the headroom is not there, which is a programmer's error. */
struct tarn_writer tarn_pkt_prepend(struct tarn_pkt *pkt, size_t n);
/* Takes `n` bytes off the front; false where the head is shorter. */
TARN_MUST_USE bool tarn_pkt_pull(struct tarn_pkt *pkt, size_t n);
/* Cuts the end so that `len` bytes are left; nothing where it is shorter already. */
void tarn_pkt_trim(struct tarn_pkt *pkt, size_t len);
/* The free memory behind the head (only while there are no fragments), and taking `n` of it. */
struct tarn_bytes tarn_pkt_tailroom(struct tarn_pkt *pkt);
void tarn_pkt_grow(struct tarn_pkt *pkt, size_t n);
/* Copies behind the head; false where the tailroom is too small. */
TARN_MUST_USE bool tarn_pkt_append(struct tarn_pkt *pkt, struct tarn_span data);
/* Adds a fragment and takes a hold on its lease; false where all are used, or the packet would be
 * longer than TARN_PKT_LEN_MAX. */
TARN_MUST_USE bool tarn_pkt_lend(struct tarn_pkt *pkt, struct tarn_span data,
                                 struct tarn_lease *lease);

/* Copies `n` bytes from offset `off` of the whole packet; false where it is shorter. */
TARN_MUST_USE bool tarn_pkt_read(const struct tarn_pkt *pkt, size_t off, void *out, size_t n);
/* The partial checksum of [off, off + n) of the whole packet; the range must be inside. */
uint32_t tarn_pkt_csum(const struct tarn_pkt *pkt, size_t off, size_t n);
/* What goes into the checksum field for that sum, with the pseudo header's. A zero would say that
 * there is none, but in UDP only (RFC 768): csum_offset tells that it is. */
uint16_t tarn_pkt_csum_field(const struct tarn_pkt *pkt, uint32_t sum);
/* Completes a PARTIAL checksum in software and marks the packet NONE. The field is in the head. */
void tarn_pkt_csum_complete(struct tarn_pkt *pkt);

/* A FIFO of packets with a count and a byte count. */
struct tarn_pkt_queue {
    struct tarn_pkt *head, *tail;
    uint32_t count;
    uint64_t bytes; /* the sum of len */
};
void tarn_pkt_queue_push(struct tarn_pkt_queue *q, struct tarn_pkt *pkt);
struct tarn_pkt *tarn_pkt_queue_pop(struct tarn_pkt_queue *q); /* NULL: empty */
void tarn_pkt_queue_clear(struct tarn_pkt_queue *q);           /* frees all */

#endif
