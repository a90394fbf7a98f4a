/* SPDX-License-Identifier: ISC */
/* qcow2.h: an open image. Offsets are bytes in the image unless a name says clusters.
 *
 * Two bounded caches hold L2 tables and refcount blocks; the L1 table and the refcount table are in
 * memory whole. All of them may be newer than the device until q2_commit. */
#ifndef TARN_BLK_QCOW2_INTERNAL_H
#define TARN_BLK_QCOW2_INTERNAL_H

#include <tarn/blk_qcow2.h>
#include <tarn/writer.h>

#include "internal.h"

#define Q2_MAGIC 0x514649fbu
#define Q2_COPIED (1ull << 63)     /* the refcount is exactly one: may be written in place */
#define Q2_COMPRESSED (1ull << 62) /* L2 only */
#define Q2_ZERO 1ull               /* L2, version 3: reads as zeroes */
#define Q2_OFFSET 0x00fffffffffffe00ull
#define Q2_INCOMPATIBLE_DIRTY 1ull
#define Q2_INCOMPATIBLE_CORRUPT 2ull
#define Q2_INCOMPATIBLE_COMPRESSION 8ull

struct q2_header {
    uint32_t version, cluster_bits, refcount_order, header_bytes;
    uint64_t size, l1_at, reftable_at, snapshots_at;
    uint32_t l1_count, reftable_clusters, snapshots;
    uint64_t incompatible, compatible, autoclear;
    uint64_t backing_at;
    uint32_t backing_bytes;
};

/* A table of big-endian numbers that is in memory whole. [dirty_first, dirty_end) is newer. */
struct q2_array {
    uint64_t *entries;
    uint32_t count, cap;
    uint32_t dirty_first, dirty_end;
};

struct q2_slot {
    uint64_t at; /* 0: empty */
    uint64_t used;
    bool dirty;
    struct tarn_bytes bytes; /* a cluster */
};
struct q2_cache {
    struct q2_slot *slots;
    uint32_t count;
};

struct tarn_blk_qcow2 {
    struct tarn_blk_worker worker;
    struct tarn_blk_qcow2_config config;
    struct tarn_blk_qcow2_counters counters;
    struct tarn_blk *lower;
    struct q2_header header;
    struct q2_array l1, reftable;
    bool header_dirty;
    bool broken; /* a step of a commit failed: nothing more is written */
    struct q2_cache l2_cache, refcount_cache;
    uint64_t clock;
    uint64_t *frees; /* clusters */
    uint32_t free_count;
    uint64_t free_hint;                /* no cluster before it is free */
    uint64_t alloc_end;                /* allocate only before it, in clusters */
    struct tarn_bytes scratch, zeroes; /* a cluster each */
    struct tarn_bytes memory;          /* theirs and the caches' */
};

static inline uint64_t q2_cluster_bytes(const struct tarn_blk_qcow2 *q) {
    return 1ull << q->header.cluster_bits;
}
static inline uint32_t q2_l2_bits(const struct tarn_blk_qcow2 *q) {
    return q->header.cluster_bits - 3;
}
/* Clusters that one refcount block counts, as a power of two. */
static inline uint32_t q2_refblock_bits(const struct tarn_blk_qcow2 *q) {
    return q->header.cluster_bits + 3 - q->header.refcount_order;
}
/* A whole cluster of the image. */
static inline bool q2_is_cluster(const struct tarn_blk_qcow2 *q, uint64_t at) {
    uint64_t end = q->lower->blocks * q->lower->block_bytes;
    return at % q2_cluster_bytes(q) == 0 && at != 0 && at < end && q2_cluster_bytes(q) <= end - at;
}
static inline uint64_t q2_array_get(const struct q2_array *a, uint64_t i) {
    return i < a->count ? TARN_AT_N(a->entries, a->cap, (size_t)i) : 0;
}
void q2_array_set(struct q2_array *a, uint32_t i, uint64_t value);
uint64_t q2_table_get(const struct q2_slot *slot, uint64_t i);
void q2_table_set(struct q2_slot *slot, uint64_t i, uint64_t value);

/* qcow2_header.c */
enum tarn_err q2_header_parse(struct tarn_span block, struct q2_header *h);
/* Changes the fields that can change, in the first block. */
enum tarn_err q2_header_update(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter);

/* qcow2_table.c */
enum tarn_err q2_io(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter, enum tarn_blk_op op,
                    uint64_t at, struct tarn_bytes data);
enum tarn_err q2_barrier(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter);
enum tarn_err q2_array_load(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter,
                            struct q2_array *a, uint64_t at);
/* The table at `at`; TARN_PEER where none can be. Lives until the next call for the same cache. */
enum tarn_err q2_l2_load(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter, uint64_t at,
                         struct q2_slot **out);
enum tarn_err q2_refblock_load(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter, uint64_t at,
                               struct q2_slot **out);
/* A slot for a table that is not on the device yet: zeroes, dirty. */
enum tarn_err q2_l2_new(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter, uint64_t at,
                        struct q2_slot **out);
enum tarn_err q2_refblock_new(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter, uint64_t at,
                              struct q2_slot **out);
/* What is at `at` is no longer a table. */
void q2_table_forget(struct tarn_blk_qcow2 *q, uint64_t at);
/* Everything that is newer in memory goes to the device, in the order that is safe. */
enum tarn_err q2_commit(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter);

/* qcow2_refcount.c; clusters are numbers */
enum tarn_err q2_refcount_get(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter,
                              uint64_t cluster, uint64_t *count);
/* Only where a refcount block is; TARN_LIMIT: the count does not fit. */
enum tarn_err q2_refcount_set(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter,
                              uint64_t cluster, uint64_t count);
/* `n` clusters in a row, counted once. TARN_LIMIT: there are none. */
enum tarn_err q2_alloc(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter, uint64_t n,
                       uint64_t *first);
/* One use fewer, once no table on the device refers to it. */
enum tarn_err q2_free_later(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter, uint64_t cluster);
/* One use fewer, now. */
enum tarn_err q2_free_now(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter, uint64_t cluster);

/* qcow2_map.c */
/* The L2 entry of a cluster of the device inside, checked. */
enum tarn_err q2_map_get(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter, uint64_t guest,
                         uint64_t *entry);
/* The L2 table that holds it, of the image's own: made or copied where it has to be. */
enum tarn_err q2_map_writable(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter, uint64_t guest,
                              struct q2_slot **out);
/* [block, block + blocks) reads as zeroes from now on. */
enum tarn_err q2_zero(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter, uint64_t block,
                      uint64_t blocks);
enum tarn_err q2_serve(struct tarn_blk_worker *worker, struct tarn_blk_req *req,
                       struct tarn_waiter *waiter);

#endif
