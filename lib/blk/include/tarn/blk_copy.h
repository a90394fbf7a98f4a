/* SPDX-License-Identifier: ISC */
/* tarn/blk_copy.h: copying, comparing and filling whole devices, in straight-line code.
 *
 * `buffer` is the caller's, for two pieces at least as large as a block of either device; the
 * larger the fewer requests. The devices may have blocks of different sizes; sizes are in bytes.
 * Nothing here flushes. TARN_INVALID: the buffer is too small, or a device's size is no whole
 * number of the other's blocks where that matters.
 */
#ifndef TARN_BLK_COPY_H
#define TARN_BLK_COPY_H

#include <tarn/blk_wait.h>

struct tarn_blk_copy_counters {
    uint64_t bytes_written, bytes_skipped;
};
/* Copies all of `from` to the front of `to`. TARN_LIMIT: `to` is smaller. */
TARN_MUST_USE enum tarn_err tarn_blk_copy(struct tarn_blk *from, struct tarn_blk *to,
                                          struct tarn_waiter *waiter, struct tarn_bytes buffer);
/* The same, but pieces (a 32nd of the buffer, at least a block) that are all zeroes are not
 * written. Where `to` may hold something else they are discarded, if that reads as zeroes there, or
 * written after all. `to_is_zero`: the caller knows that it reads as zeroes. `counters` may be
 * NULL.
 */
TARN_MUST_USE enum tarn_err tarn_blk_copy_sparse(struct tarn_blk *from, struct tarn_blk *to,
                                                 struct tarn_waiter *waiter,
                                                 struct tarn_bytes buffer, bool to_is_zero,
                                                 struct tarn_blk_copy_counters *counters);
/* TARN_NOT_FOUND: they hold the same. TARN_OK: *at is the first byte that differs, or where the
 * shorter ends and the longer has something that is not zero. */
TARN_MUST_USE enum tarn_err tarn_blk_compare(struct tarn_blk *a, struct tarn_blk *b,
                                             struct tarn_waiter *waiter, struct tarn_bytes buffer,
                                             uint64_t *at);
/* Writes `byte` to [block, block + blocks). */
TARN_MUST_USE enum tarn_err tarn_blk_fill(struct tarn_blk *blk, struct tarn_waiter *waiter,
                                          struct tarn_bytes buffer, uint64_t block, uint64_t blocks,
                                          uint8_t byte);

#endif
