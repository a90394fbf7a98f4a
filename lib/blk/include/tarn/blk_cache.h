/* SPDX-License-Identifier: ISC */
/* tarn/blk_cache.h: a bounded cache in front of a device, write-through or write-back.
 *
 * Memory is lines of a fixed size, eight to a set, the least recently used of a set going first.
 * Write-through: a write is done when the device has it. Write-back: when the cache has it; dirty
 * lines go down when they are pushed out and at a flush, which then flushes the device, so that
 * what tarn/blk.h promises after a flush holds. Between flushes writes may reach the device in any
 * order, as with any device. A line whose write failed stays dirty, and the next flush tries again.
 *
 * It is a worker (tarn/blk_worker.h): its users submit to tarn_blk_cache_worker(c)->blk.
 */
#ifndef TARN_BLK_CACHE_H
#define TARN_BLK_CACHE_H

#include <tarn/alloc.h>
#include <tarn/blk_worker.h>

struct tarn_blk_cache;
struct tarn_blk_cache_config {
    struct tarn_alloc *alloc;
    struct tarn_tasks *tasks;
    struct tarn_blk *lower;
    uint32_t line_bytes; /* a power of two, a block of the device or more */
    uint32_t lines;      /* a multiple of 64 */
    bool write_back;     /* only over a device that can flush */
};
struct tarn_blk_cache_counters {
    uint64_t hits, misses;          /* lines */
    uint64_t written_back, evicted; /* lines; evicted counts clean ones too */
};
/* TARN_INVALID: a size that cannot be. TARN_UNSUPPORTED: write-back without a flush below.
 * TARN_LIMIT: no memory. */
TARN_MUST_USE enum tarn_err tarn_blk_cache_new(const struct tarn_blk_cache_config *config,
                                               struct tarn_blk_cache **out);
struct tarn_blk_worker *tarn_blk_cache_worker(struct tarn_blk_cache *cache);
const struct tarn_blk_cache_counters *tarn_blk_cache_counters(const struct tarn_blk_cache *cache);
/* Dirty lines are lost: flush first. Its worker must be idle. */
void tarn_blk_cache_delete(struct tarn_blk_cache *cache);

#endif
