/* SPDX-License-Identifier: ISC */
#include "qcow2.h"

/* -- memory ---------------------------------------------------------------------------------------
 */

static bool take_array(struct tarn_blk_qcow2 *q, struct q2_array *a, uint64_t count, uint64_t cap) {
    if (cap > UINT32_MAX / 2)
        return false;
    cap = TARN_MAX(cap, count);
    a->cap = (uint32_t)cap + (cap == 0);
    a->count = (uint32_t)count;
    a->entries = TARN_NEW_ARRAY(q->config.alloc, a->cap, uint64_t);
    return a->entries != NULL;
}

/* The next cluster of the memory. */
static struct tarn_bytes next_cluster(struct tarn_blk_qcow2 *q, size_t *used) {
    struct tarn_bytes cluster =
        tarn_bytes_first(tarn_bytes_after(q->memory, *used), (size_t)q2_cluster_bytes(q));
    *used += cluster.len;
    return cluster;
}

static bool take_cache(struct tarn_blk_qcow2 *q, struct q2_cache *c, uint32_t count, size_t *used) {
    c->count = count;
    c->slots = TARN_NEW_ARRAY(q->config.alloc, count, struct q2_slot);
    for (uint32_t i = 0; c->slots && i < count; i++)
        TARN_AT_N(c->slots, count, i).bytes = next_cluster(q, used);
    return c->slots != NULL;
}

static enum tarn_err take_memory(struct tarn_blk_qcow2 *q) {
    struct tarn_alloc *alloc = q->config.alloc;
    uint64_t cluster = q2_cluster_bytes(q), per_l1 = cluster << q2_l2_bits(q);
    uint64_t clusters = q->alloc_end;
    uint64_t l1_cap = q->config.bytes_max / per_l1 + (q->config.bytes_max % per_l1 != 0);
    /* As many refcount blocks as there is room for clusters to count; a whole number of
     * clusters of the table. */
    uint64_t groups = (clusters >> q2_refblock_bits(q)) + 1;
    uint64_t on_device = (uint64_t)q->header.reftable_clusters * (cluster / 8);
    uint64_t reftable_cap = (groups + cluster / 8 - 1) / (cluster / 8) * (cluster / 8);
    size_t used = 0, count = 2 + (size_t)q->config.l2_tables + q->config.refcount_tables;
    if (on_device > 2 * reftable_cap + (1u << 20))
        return TARN_PEER;
    q->memory.ptr =
        tarn_alloc_array(alloc, count, (size_t)cluster, TARN_MAX(q->lower->align_bytes, 8u));
    q->memory.len = q->memory.ptr ? count * (size_t)cluster : 0;
    q->frees = TARN_NEW_ARRAY(alloc, q->config.frees_max, uint64_t);
    q->scratch = next_cluster(q, &used);
    q->zeroes = next_cluster(q, &used);
    bool good = q->memory.ptr && q->frees && take_array(q, &q->l1, q->header.l1_count, l1_cap)
                && take_array(q, &q->reftable, on_device, reftable_cap)
                && take_cache(q, &q->l2_cache, q->config.l2_tables, &used)
                && take_cache(q, &q->refcount_cache, q->config.refcount_tables, &used);
    return good ? TARN_OK : TARN_LIMIT;
}

void tarn_blk_qcow2_delete(struct tarn_blk_qcow2 *q) {
    struct tarn_blk_qcow2_config c = q->config;
    tarn_alloc_put(c.alloc, q->refcount_cache.slots,
                   q->refcount_cache.count * sizeof(struct q2_slot));
    tarn_alloc_put(c.alloc, q->l2_cache.slots, q->l2_cache.count * sizeof(struct q2_slot));
    tarn_alloc_put(c.alloc, q->reftable.entries, q->reftable.cap * sizeof(uint64_t));
    tarn_alloc_put(c.alloc, q->l1.entries, q->l1.cap * sizeof(uint64_t));
    tarn_alloc_put(c.alloc, q->frees, c.frees_max * sizeof(uint64_t));
    tarn_alloc_put(c.alloc, q->memory.ptr, q->memory.len);
    tarn_alloc_put(c.alloc, q, sizeof *q);
}

/* -- opening --------------------------------------------------------------------------------------
 */

static bool tables_are_inside(const struct tarn_blk_qcow2 *q) {
    uint64_t end = q->lower->blocks * q->lower->block_bytes;
    uint64_t reftable_bytes = (uint64_t)q->header.reftable_clusters << q->header.cluster_bits;
    uint64_t mask = q2_cluster_bytes(q) - 1;
    uint64_t l1_bytes = ((uint64_t)q->header.l1_count * 8 + mask) & ~mask;
    return q->header.reftable_at < end && reftable_bytes <= end - q->header.reftable_at
           && (q->header.l1_count == 0
               || (q2_is_cluster(q, q->header.l1_at) && l1_bytes <= end - q->header.l1_at));
}

/* An image whose own header is not counted would be written over. */
static enum tarn_err check_counts(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter) {
    uint64_t bits = q->header.cluster_bits;
    uint64_t l1_clusters = ((uint64_t)q->header.l1_count * 8 + q2_cluster_bytes(q) - 1) >> bits;
    uint64_t count;
    enum tarn_err err = q2_refcount_get(q, waiter, 0, &count);
    bool good = count != 0;
    for (uint64_t i = 0; i < q->header.reftable_clusters && !err; i++) {
        err = q2_refcount_get(q, waiter, (q->header.reftable_at >> bits) + i, &count);
        good &= count != 0;
    }
    for (uint64_t i = 0; i < l1_clusters && !err; i++) {
        err = q2_refcount_get(q, waiter, (q->header.l1_at >> bits) + i, &count);
        good &= count != 0;
    }
    return err ? err : good ? TARN_OK : TARN_PEER;
}

static enum tarn_err read_header(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter) {
    uint8_t first[4096];
    struct tarn_bytes block = tarn_bytes_first(TARN_BYTES_ARRAY(first), q->lower->block_bytes);
    if (q->lower->block_bytes > sizeof first || q->lower->blocks == 0)
        return TARN_INVALID;
    enum tarn_err err = tarn_blk_read(q->lower, waiter, 0, block);
    return err ? err : q2_header_parse(tarn_bytes_span(block), &q->header);
}

static enum tarn_err open_tables(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter) {
    const struct tarn_blk *backing = q->config.backing;
    uint32_t block_bytes = q->lower->block_bytes;
    if (q2_cluster_bytes(q) < block_bytes || q->header.size % block_bytes
        || (backing && backing->block_bytes > block_bytes) || (q->header.backing_at && !backing))
        return TARN_INVALID;
    if (!tables_are_inside(q))
        return TARN_PEER;
    uint64_t end = q->lower->blocks * block_bytes;
    if (q->config.end_max)
        end = TARN_MIN(end, q->config.end_max);
    q->alloc_end = end >> q->header.cluster_bits;
    enum tarn_err err = take_memory(q);
    if (!err)
        err = q2_array_load(q, waiter, &q->l1, q->header.l1_at);
    if (!err)
        err = q2_array_load(q, waiter, &q->reftable, q->header.reftable_at);
    if (!err && !q->config.read_only)
        err = check_counts(q, waiter);
    if (!err && !q->config.read_only && q->header.autoclear)
        q->header_dirty = true;
    return err;
}

static void describe(struct tarn_blk_qcow2 *q) {
    struct tarn_blk *blk = &q->worker.blk;
    blk->block_bytes = q->lower->block_bytes;
    blk->blocks = q->header.size / blk->block_bytes;
    blk->blocks_per_request_max = (32u << 20) / blk->block_bytes;
    blk->atomic_bytes = q->lower->atomic_bytes;
    blk->align_bytes = q->lower->align_bytes;
    blk->features =
        (q->lower->features & TARN_BLK_CAN_FLUSH) | (q->config.read_only ? TARN_BLK_READ_ONLY : 0u);
    /* Version 2 has no way to say that a cluster is zero and the backing one is not. */
    if (q->header.version == 3 || !q->config.backing)
        blk->features |= TARN_BLK_CAN_DISCARD | TARN_BLK_DISCARD_ZEROES;
}

enum tarn_err tarn_blk_qcow2_open(const struct tarn_blk_qcow2_config *config,
                                  struct tarn_waiter *waiter, struct tarn_blk_qcow2 **out) {
    struct tarn_blk_qcow2 *q = TARN_NEW(config->alloc, struct tarn_blk_qcow2);
    if (!q)
        return TARN_LIMIT;
    q->config = *config;
    q->lower = config->lower;
    q->config.l2_tables = config->l2_tables ? config->l2_tables : 8;
    q->config.refcount_tables = config->refcount_tables ? config->refcount_tables : 4;
    q->config.frees_max = config->frees_max ? config->frees_max : 256;
    tarn_blk_worker_init(&q->worker, config->tasks, q2_serve);
    enum tarn_err err = read_header(q, waiter);
    if (q->header.incompatible & (Q2_INCOMPATIBLE_DIRTY | Q2_INCOMPATIBLE_CORRUPT)
        || q->lower->features & TARN_BLK_READ_ONLY)
        q->config.read_only = true;
    if (!err)
        err = open_tables(q, waiter);
    if (err) {
        tarn_blk_qcow2_delete(q);
        return err;
    }
    describe(q);
    *out = q;
    return TARN_OK;
}

enum tarn_err tarn_blk_qcow2_close(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter) {
    enum tarn_err err = TARN_OK;
    if (!q->config.read_only) {
        err = q2_commit(q, waiter);
        if (!err)
            err = q2_barrier(q, waiter);
    }
    tarn_blk_qcow2_delete(q);
    return err;
}

struct tarn_blk_worker *tarn_blk_qcow2_worker(struct tarn_blk_qcow2 *q) {
    return &q->worker;
}

const struct tarn_blk_qcow2_counters *tarn_blk_qcow2_counters(const struct tarn_blk_qcow2 *q) {
    return &q->counters;
}
