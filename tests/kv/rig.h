/* SPDX-License-Identifier: ISC */
/* What a store on a device needs: a device in memory that remembers every write, a waiter that
 * completes requests, a clock that stands still, an allocator that counts. */
#ifndef TESTS_KV_RIG_H
#define TESTS_KV_RIG_H

#include <tarn/kv_fat.h>
#include <tarn/kv_tar_rw.h>
#include <tarn/kv_tree.h>

#define RIG_NOW 1234567890 /* seconds */
#define RIG_BLOCK 512

struct rig_write {
    uint64_t block; /* UINT64_MAX: a flush */
    size_t len;
    uint8_t *bytes;
    tarn_time at;
};
struct rig {
    struct tarn_blk blk;
    struct tarn_waiter waiter;
    struct tarn_alloc alloc;
    struct tarn_clock clock;
    struct tarn_random_seeded random;
    struct tarn_kv_tree_config config; /* ready; change what the test is about */
    uint8_t *bytes;
    size_t len;
    struct tarn_blk_req *first, **last;
    tarn_time now;
    uint64_t writes, fail_after; /* every request fails once so many writes were made; 0: never */
    tarn_time write_max;         /* a write takes some time up to this; 0: none */
    bool record;
    struct rig_write *trace;
    size_t trace_len, trace_cap;
    size_t live, live_bytes, allocations, fail_at;
};
void rig_init(struct rig *r, size_t bytes);
void rig_done(struct rig *r);
/* The writes [from, to) of the trace, onto `image`: all of them, or each sector at random. */
void rig_store(struct rig *r, uint8_t *image, size_t from, size_t to, bool torn);
/* Formats and opens, or only opens. */
struct tarn_kv_tree *rig_format(struct rig *r, uint64_t log_bytes);
struct tarn_kv_tree *rig_open(struct rig *r);
/* The same device for a store on a FAT volume. */
struct tarn_kv_fat_config rig_fat(struct rig *r);
/* And for one in a tar archive. */
struct tarn_kv_tar_rw_config rig_tar(struct rig *r);

#endif
