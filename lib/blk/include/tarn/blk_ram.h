/* SPDX-License-Identifier: ISC */
/* tarn/blk_ram.h: a block device in memory: the fastest, and the test double for every other.
 *
 * A request is carried out when it is submitted and done from the loop's tasks. Flush and discard
 * (to zeroes) are there. The memory is the caller's and is used as it is found.
 */
#ifndef TARN_BLK_RAM_H
#define TARN_BLK_RAM_H

#include <tarn/blk_worker.h>

struct tarn_blk_ram {
    struct tarn_blk blk; /* for users */
    struct tarn_bytes mem;
    struct tarn_blk_finished finished;
};
/* TARN_INVALID: block_bytes is no power of two of 512 or more, or mem is no whole number of them.
 * blk.features may be changed (to READ_ONLY, say) before the first request. */
TARN_MUST_USE enum tarn_err tarn_blk_ram_init(struct tarn_blk_ram *ram, struct tarn_tasks *tasks,
                                              struct tarn_bytes mem, uint32_t block_bytes);

#endif
