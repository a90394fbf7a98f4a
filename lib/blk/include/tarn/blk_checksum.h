/* SPDX-License-Identifier: ISC */
/* tarn/blk_checksum.h: a device whose every block is checked when it is read: rot, and writes that
 * were lost or went astray, are TARN_IO and never wrong data.
 *
 * Format: a header in block 0; then groups of a table block and as many data blocks as the table
 * has entries (block_bytes / 8). An entry is the CRC-32C of the data block's number and contents,
 * twice: what it was at the last flush, and what it is to be. So at any moment of a power loss the
 * block is one of the two, as tarn/blk.h promises, and after a flush only the new one is right.
 * Zero for both: never written, reads as zeroes.
 *
 * The price of a write is a write and a flush of its table first; a second write of the same block
 * before a flush costs one more. Over a device without a flush the order is kept as far as writes
 * are done one after the other, and no further.
 *
 * It is a worker (tarn/blk_worker.h). CRC-32C is against accidents, not against an adversary.
 */
#ifndef TARN_BLK_CHECKSUM_H
#define TARN_BLK_CHECKSUM_H

#include <tarn/alloc.h>
#include <tarn/blk_worker.h>

struct tarn_blk_checksum;
struct tarn_blk_checksum_config {
    struct tarn_alloc *alloc;
    struct tarn_tasks *tasks;
    struct tarn_blk *lower;
    uint32_t tables; /* held in memory, a block each; 0: 16 */
};
struct tarn_blk_checksum_counters {
    uint64_t mismatches; /* reads refused */
    uint64_t settled;    /* blocks found between two flushes after a power loss */
};
/* Makes an empty one: writes the header and every table. */
TARN_MUST_USE enum tarn_err tarn_blk_checksum_format(struct tarn_blk *lower,
                                                     struct tarn_waiter *waiter,
                                                     struct tarn_bytes block);
/* TARN_PEER: no header of this kind. */
TARN_MUST_USE enum tarn_err tarn_blk_checksum_new(const struct tarn_blk_checksum_config *config,
                                                  struct tarn_waiter *waiter,
                                                  struct tarn_blk_checksum **out);
struct tarn_blk_worker *tarn_blk_checksum_worker(struct tarn_blk_checksum *c);
const struct tarn_blk_checksum_counters *
tarn_blk_checksum_counters(const struct tarn_blk_checksum *c);
void tarn_blk_checksum_delete(struct tarn_blk_checksum *c);

#endif
