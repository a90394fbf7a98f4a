/* SPDX-License-Identifier: ISC */
/* tarn/blk.h: a block device: ranges of blocks, several requests in flight, completion from the
 * loop.
 *
 * To be implemented by strangers: a file, Solo5's hypercalls, virtio, a partition, encryption. All
 * sizes are in blocks unless the name says bytes. Straight-line code uses tarn/blk_wait.h.
 *
 * What a user may rely on:
 *  - A read after a completed write sees it, flushed or not, until the power goes.
 *  - After a power loss, each atomic unit of a write that no later flush covers is stored or not,
 *    by itself, in any order. What a flush covers is stored.
 *  - Requests in flight together have no order: a user that needs one waits for `done`.
 *  - A request that failed may have been carried out in part.
 */
#ifndef TARN_BLK_H
#define TARN_BLK_H

#include <tarn/err.h>
#include <tarn/span.h>

enum tarn_blk_op { TARN_BLK_READ, TARN_BLK_WRITE, TARN_BLK_FLUSH, TARN_BLK_DISCARD };
enum tarn_blk_features {
    TARN_BLK_CAN_FLUSH = 1, /* without it there is no way to know when a write is durable */
    TARN_BLK_CAN_DISCARD = 2,
    TARN_BLK_READ_ONLY = 4,
    TARN_BLK_DISCARD_ZEROES = 8, /* discarded blocks read as zeroes; otherwise as anything */
};

struct tarn_blk_req {
    enum tarn_blk_op op;
    uint64_t block;         /* the first block */
    struct tarn_bytes data; /* READ: filled; WRITE: only read; a multiple of block_bytes, not 0 */
    uint64_t blocks;        /* DISCARD: how many; not looked at otherwise */
    /* Valid in done. TARN_IO: the device failed; TARN_LIMIT: it is full (a device that is larger
     * than what stands behind it); otherwise as tarn_blk_req_check. */
    enum tarn_err result;
    void (*done)(struct tarn_blk_req *req); /* from the loop, never from submit */
    struct tarn_blk_req *next;              /* the device's, from submit to done */
};

struct tarn_blk;
struct tarn_blk_ops {
    /* Takes the first of reqs[0..n) that it has room for, and says how many. Each taken request and
     * its memory belong to the device until `done`, and no field but `result` and `next` has
     * changed then. There is room again after some request is done. FLUSH completes after every
     * write that completed before it was submitted is durable. What tarn_blk_req_check refuses is
     * taken, and done with that error. */
    size_t (*submit)(struct tarn_blk *blk, struct tarn_blk_req **reqs, size_t n);
};
struct tarn_blk {
    const struct tarn_blk_ops *ops;
    uint32_t block_bytes;            /* a power of two, 512 or more */
    uint32_t blocks_per_request_max; /* of READ and WRITE; DISCARD has no bound */
    uint32_t atomic_bytes;           /* a write of this size and alignment is never torn */
    uint32_t align_bytes; /* memory aligned so is used where it lies; other may be copied. 0, 1: any
                           */
    uint64_t blocks;
    uint32_t features; /* enum tarn_blk_features */
};

/* What is the same for every device: TARN_INVALID where the request is out of range, misaligned,
 * empty or larger than a request may be; TARN_UNSUPPORTED where the device lacks the operation. */
TARN_MUST_USE enum tarn_err tarn_blk_req_check(const struct tarn_blk *blk,
                                               const struct tarn_blk_req *req);

#endif
