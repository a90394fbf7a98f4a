/* SPDX-License-Identifier: ISC */
/* tarn/blk.h: a block device: ranges of blocks, several requests in flight, completion from the
 * loop.
 *
 * To be implemented by strangers: a file, Solo5's hypercalls, virtio, a partition, encryption.
 */
#ifndef TARN_BLK_H
#define TARN_BLK_H

#include <tarn/err.h>
#include <tarn/span.h>

enum tarn_blk_op { TARN_BLK_READ, TARN_BLK_WRITE, TARN_BLK_FLUSH, TARN_BLK_DISCARD };
enum tarn_blk_features { TARN_BLK_CAN_FLUSH = 1, TARN_BLK_CAN_DISCARD = 2, TARN_BLK_READ_ONLY = 4 };

struct tarn_blk_req {
    enum tarn_blk_op op;
    uint64_t block;         /* the first block */
    struct tarn_bytes data; /* READ: filled; WRITE: only read; a multiple of block_bytes */
    uint64_t blocks;        /* DISCARD: how many; otherwise data.len / block_bytes */
    enum tarn_err result;   /* valid in done */
    void (*done)(struct tarn_blk_req *req); /* from the loop, never from submit */
    struct tarn_blk_req *next;              /* the device's, from submit to done */
};

struct tarn_blk;
struct tarn_blk_ops {
    /* Takes the first of reqs[0..n) that it has room for, and says how many. Each taken request and
     * its memory belong to the device until `done`. Writes may be stored in any order; FLUSH
     * completes after every write that completed before it was submitted is durable. Out of range,
     * misaligned or unsupported: taken, and done with TARN_INVALID or TARN_UNSUPPORTED. */
    size_t (*submit)(struct tarn_blk *blk, struct tarn_blk_req **reqs, size_t n);
};
struct tarn_blk {
    const struct tarn_blk_ops *ops;
    uint32_t block_bytes; /* a power of two, 512 or more */
    uint32_t blocks_per_request_max;
    uint32_t atomic_bytes; /* a write of this size and alignment is never torn */
    uint64_t blocks;
    uint32_t features; /* enum tarn_blk_features */
};

#endif
