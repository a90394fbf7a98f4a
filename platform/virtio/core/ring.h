/* SPDX-License-Identifier: ISC */
/* ring.h: the driver's side of a virtqueue, split or packed (VIRTIO 1.2, sections 2.7 and 2.8), as
 * a data structure: no device is touched here, and nothing waits.
 *
 * The device is not trusted. What it may write (used ring, descriptors, events) is read once, and
 * checked against the driver's own records in `slots`, which it cannot reach; nothing that the
 * driver wrote into shared memory is ever read back. A device that answers what was not asked ends
 * the queue: from then on every call refuses, and whoever owns the memory in flight resets the
 * device before it uses that memory again.
 *
 * Chains complete in any order. One thread.
 */
#ifndef TARN_VIRTIO_RING_H
#define TARN_VIRTIO_RING_H

#include <tarn/err.h>
#include <tarn/span.h>

/* A piece of memory at its address as the device sees it. */
struct virtq_buf {
    uint64_t addr;
    uint32_t len;
};

/* The driver's record of a descriptor (split) or a buffer id (packed). */
struct virtq_slot {
    void *token;
    uint32_t writable; /* bytes that the device may write to the chain */
    uint16_t descs;    /* of the chain that begins here; 0: none does */
    uint16_t next;     /* in the free list, or in a split chain */
};

enum virtq_flags { VIRTQ_PACKED = 1, VIRTQ_EVENT_IDX = 2 };

struct virtq {
    uint16_t size, flags;
    bool broken;
    uint16_t free_head, free_count;  /* descriptors */
    uint16_t chains;                 /* the device has them */
    uint16_t avail, used;            /* split: running indices; packed: positions in the ring */
    bool avail_wrap, used_wrap;      /* packed */
    uint16_t added;                  /* split: chains; packed: descriptors; not published yet */
    uint16_t first_pos, first_flags; /* packed: what publishes them */
    struct virtq_slot *slots;
    /* Shared with the device; the addresses that its registers want. */
    struct tarn_bytes desc, driver, device;
};

#define VIRTQ_ALIGN 4096u
#define VIRTQ_SIZE_MAX 32768u

/* Shared memory for a queue of `size` (a power of two). The split layout is the legacy interface's,
 * so a device may be told of it either way. */
size_t virtq_bytes(uint16_t size, unsigned flags);
/* `shared` has those bytes, zeroed, aligned to VIRTQ_ALIGN; `slots` has `size` of them. */
void virtq_init(struct virtq *q, uint16_t size, unsigned flags, struct tarn_bytes shared,
                struct virtq_slot *slots);

/* Adds a chain: first `out` buffers that the device reads, then `in` that it writes; at least one.
 * False: no room, or broken. The device sees it with virtq_publish. */
TARN_MUST_USE bool virtq_add(struct virtq *q, const struct virtq_buf *bufs, unsigned out,
                             unsigned in, void *token);
/* True: the device wants to be told. */
TARN_MUST_USE bool virtq_publish(struct virtq *q);

/* The next chain that the device is done with, and how many bytes it says it wrote: never more than
 * there was room for. TARN_AGAIN: none. TARN_PEER: the device broke the protocol. */
TARN_MUST_USE enum tarn_err virtq_take(struct virtq *q, void **token, uint32_t *written);
/* The same for a queue that is broken, or whose device was reset: any chain still out. NULL: none.
 */
void *virtq_reclaim(struct virtq *q);

/* No interrupts from now on, as far as the device heeds it. */
void virtq_quiet(struct virtq *q);
/* An interrupt with the next chain that is done. True: one is done already, so do not wait. */
TARN_MUST_USE bool virtq_wake(struct virtq *q);

#endif
