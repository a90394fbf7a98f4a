/* SPDX-License-Identifier: ISC */
/* tarn/blk_wait.h: block devices for straight-line code: calls that wait, over a tarn_waiter.
 *
 * For fibers (and for ordinary threads, whose waiter blocks). A request cannot be called back, so
 * there is no deadline: a call returns when the device has answered. Where the waiter itself gives
 * up (the simulated power is gone: wait answers anything but TARN_OK and TARN_AGAIN, or TARN_AGAIN
 * for TARN_NEVER) the answer is TARN_IO, and the device must never touch the requests again.
 *
 * A device that takes nothing although no request of the caller's is in flight is asked again after
 * a millisecond: somebody else's requests fill it.
 */
#ifndef TARN_BLK_WAIT_H
#define TARN_BLK_WAIT_H

#include <tarn/blk.h>
#include <tarn/wait.h>

/* One request of a batch: the caller fills req.op, block, data and blocks, and reads req.result. */
struct tarn_blk_io {
    struct tarn_blk_req req;
    struct tarn_blk_batch *batch; /* the call's */
};
/* Submits all of ios[0..count) (at once, as far as the device takes them) and waits for all. The
 * first error in their order, or TARN_OK. */
TARN_MUST_USE enum tarn_err tarn_blk_run(struct tarn_blk *blk, struct tarn_waiter *waiter,
                                         struct tarn_blk_io *ios, size_t count);

/* A range of any length, cut into requests that the device takes; several are in flight together.
 * No bytes at all: TARN_OK. */
TARN_MUST_USE enum tarn_err tarn_blk_read(struct tarn_blk *blk, struct tarn_waiter *waiter,
                                          uint64_t block, struct tarn_bytes data);
TARN_MUST_USE enum tarn_err tarn_blk_write(struct tarn_blk *blk, struct tarn_waiter *waiter,
                                           uint64_t block, struct tarn_span data);
/* TARN_UNSUPPORTED: the device cannot, and nothing says when a write is durable. */
TARN_MUST_USE enum tarn_err tarn_blk_flush(struct tarn_blk *blk, struct tarn_waiter *waiter);
TARN_MUST_USE enum tarn_err tarn_blk_discard(struct tarn_blk *blk, struct tarn_waiter *waiter,
                                             uint64_t block, uint64_t blocks);

#endif
