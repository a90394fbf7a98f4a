/* SPDX-License-Identifier: ISC */
/* Growing the device inside, and shrinking the image around it. */
#include "qcow2.h"

/* -- growing --------------------------------------------------------------------------------------
 */

/* The L1 table moves to `first` and has `count` entries; nothing of the old one changes before the
 * header says so. */
static enum tarn_err move_l1(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter, uint64_t first,
                             uint64_t count) {
    uint64_t bits = q->header.cluster_bits, old = q->header.l1_at >> bits;
    uint64_t old_clusters = ((uint64_t)q->header.l1_count * 8 + q2_cluster_bytes(q) - 1) >> bits;
    q->header.l1_at = first << bits;
    q->header.l1_count = q->l1.count = (uint32_t)count;
    q->l1.dirty_first = 0;
    q->l1.dirty_end = q->l1.count;
    enum tarn_err err = q2_commit(q, waiter);
    if (!err)
        err = q2_barrier(q, waiter);
    if (!err)
        err = q2_header_update(q, waiter);
    for (uint64_t i = 0; i < old_clusters && !err; i++)
        err = q2_free_later(q, waiter, old + i);
    return err;
}

enum tarn_err tarn_blk_qcow2_grow(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter,
                                  uint64_t bytes) {
    uint64_t per_l1 = q2_cluster_bytes(q) << q2_l2_bits(q), first;
    uint64_t count = bytes / per_l1 + (bytes % per_l1 != 0), before = q->worker.blk.blocks;
    uint64_t clusters = (count * 8 + q2_cluster_bytes(q) - 1) >> q->header.cluster_bits;
    uint64_t blocks = bytes / q->lower->block_bytes;
    enum tarn_err err;
    if (q->config.read_only)
        return TARN_UNSUPPORTED;
    if (bytes < q->header.size || bytes % q->lower->block_bytes)
        return TARN_INVALID;
    if (bytes > TARN_MAX(q->config.bytes_max, q->header.size) || count > q->l1.cap)
        return TARN_LIMIT;
    if (count > q->header.l1_count) {
        err = q2_alloc(q, waiter, clusters, &first);
        if (!err)
            err = q2_commit(q, waiter);
        if (!err)
            err = move_l1(q, waiter, first, count);
        if (err)
            return err;
    }
    /* What the backing device has there was behind the end, and stays unseen. */
    if (q->config.backing) {
        uint64_t backed = q->config.backing->blocks * q->config.backing->block_bytes;
        uint64_t end = TARN_MIN(backed / q->lower->block_bytes + 1, blocks);
        if (end > before && q->header.version == 2)
            return TARN_UNSUPPORTED;
        err = end > before ? q2_zero(q, waiter, before, end - before) : TARN_OK;
        if (err)
            return err;
    }
    err = q2_commit(q, waiter);
    q->header.size = bytes;
    if (!err)
        err = q2_header_update(q, waiter);
    if (!err)
        err = q2_barrier(q, waiter);
    if (!err)
        q->worker.blk.blocks = blocks;
    return err;
}

/* -- compacting -----------------------------------------------------------------------------------
 */

/* A free cluster before `end`; TARN_LIMIT: there is none. */
static enum tarn_err alloc_before(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter,
                                  uint64_t end, uint64_t n, uint64_t *first) {
    uint64_t alloc_end = q->alloc_end;
    q->alloc_end = end;
    enum tarn_err err = q2_alloc(q, waiter, n, first);
    q->alloc_end = alloc_end;
    return err;
}

static enum tarn_err copy_cluster(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter,
                                  uint64_t from, uint64_t to) {
    enum tarn_err err = q2_io(q, waiter, TARN_BLK_READ, from << q->header.cluster_bits, q->scratch);
    return err ? err : q2_io(q, waiter, TARN_BLK_WRITE, to << q->header.cluster_bits, q->scratch);
}

static enum tarn_err move_data(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter, uint64_t guest,
                               uint64_t end) {
    uint64_t entry, to, index = guest & ((1ull << q2_l2_bits(q)) - 1);
    struct q2_slot *slot;
    enum tarn_err err = q2_map_get(q, waiter, guest, &entry);
    uint64_t from = (entry & Q2_OFFSET) >> q->header.cluster_bits;
    if (err)
        return err;
    if (entry & Q2_COMPRESSED)
        return TARN_UNSUPPORTED;
    if (from < end)
        return TARN_OK;
    err = alloc_before(q, waiter, end, 1, &to);
    if (err)
        return err;
    if (!(entry & Q2_ZERO))
        err = copy_cluster(q, waiter, from, to);
    if (!err)
        err = q2_map_writable(q, waiter, guest, &slot);
    if (err)
        return err;
    q2_table_set(slot, index, (entry & ~Q2_OFFSET) | to << q->header.cluster_bits);
    return q2_free_later(q, waiter, from);
}

/* The L2 table of an L1 entry. It is in a slot under its old place, if at all: what is in memory
 * goes to the device first. */
static enum tarn_err move_l2(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter, uint32_t index,
                             uint64_t end) {
    uint64_t from = (q2_array_get(&q->l1, index) & Q2_OFFSET) >> q->header.cluster_bits, to;
    if (from < end)
        return TARN_OK;
    enum tarn_err err = q2_commit(q, waiter);
    if (!err)
        err = alloc_before(q, waiter, end, 1, &to);
    if (!err)
        err = copy_cluster(q, waiter, from, to);
    if (err)
        return err;
    q2_table_forget(q, from << q->header.cluster_bits);
    q2_array_set(&q->l1, index, to << q->header.cluster_bits | Q2_COPIED);
    return q2_free_later(q, waiter, from);
}

static enum tarn_err move_references(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter,
                                     uint64_t end) {
    uint64_t per_l2 = 1ull << q2_l2_bits(q);
    enum tarn_err err = TARN_OK;
    for (uint32_t i = 0; i < q->header.l1_count && !err; i++) {
        if ((q2_array_get(&q->l1, i) & Q2_OFFSET) == 0)
            continue;
        for (uint64_t j = 0; j < per_l2 && !err; j++)
            err = move_data(q, waiter, i * per_l2 + j, end);
        if (!err)
            err = move_l2(q, waiter, i, end);
    }
    uint64_t clusters =
        (q->header.l1_count * 8ull + q2_cluster_bytes(q) - 1) >> q->header.cluster_bits;
    uint64_t l1_end = (q->header.l1_at >> q->header.cluster_bits) + clusters, first;
    if (err || l1_end <= end)
        return err;
    err = q2_commit(q, waiter);
    if (!err)
        err = alloc_before(q, waiter, end, clusters, &first);
    if (err == TARN_LIMIT) /* no hole is wide enough */
        return TARN_OK;
    if (!err)
        err = q2_commit(q, waiter);
    return err ? err : move_l1(q, waiter, first, q->header.l1_count);
}

/* Drops refcount blocks that count nothing but themselves, from the end. */
static enum tarn_err drop_blocks(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter) {
    uint64_t per_block = 1ull << q2_refblock_bits(q);
    for (uint32_t group = q->reftable.count; group-- > 0;) {
        uint64_t at = q2_array_get(&q->reftable, group) & Q2_OFFSET, used = 0;
        uint64_t cluster = at >> q->header.cluster_bits;
        bool counts_itself = cluster >> q2_refblock_bits(q) == group;
        for (uint64_t i = 0; i < per_block && at; i++) {
            uint64_t count;
            enum tarn_err err = q2_refcount_get(q, waiter, group * per_block + i, &count);
            if (err)
                return err;
            used += count != 0;
        }
        if (at == 0)
            continue;
        if (used > counts_itself)
            return TARN_OK;
        /* First nobody finds it, then its cluster is free. */
        enum tarn_err err = q2_commit(q, waiter);
        q2_table_forget(q, at);
        q2_array_set(&q->reftable, group, 0);
        if (!err)
            err = q2_commit(q, waiter);
        if (!err)
            err = q2_barrier(q, waiter);
        if (!err && !counts_itself)
            err = q2_free_now(q, waiter, cluster);
        if (err)
            return err;
    }
    return TARN_OK;
}

/* How many clusters are counted, and where the last one ends. */
static enum tarn_err measure(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter, uint64_t *used,
                             uint64_t *end) {
    uint64_t per_block = 1ull << q2_refblock_bits(q);
    *used = *end = 0;
    for (uint64_t group = 0; group < q->reftable.count; group++) {
        if (q2_array_get(&q->reftable, group) == 0)
            continue;
        for (uint64_t i = 0; i < per_block; i++) {
            uint64_t count;
            enum tarn_err err = q2_refcount_get(q, waiter, group * per_block + i, &count);
            if (err)
                return err;
            *used += count != 0;
            if (count)
                *end = group * per_block + i + 1;
        }
    }
    return TARN_OK;
}

enum tarn_err tarn_blk_qcow2_compact(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter,
                                     uint64_t *end) {
    uint64_t used, last;
    if (q->config.read_only || q->header.snapshots)
        return TARN_UNSUPPORTED;
    enum tarn_err err = q2_commit(q, waiter);
    q->free_hint = 0;
    if (!err)
        err = measure(q, waiter, &used, &last);
    /* Every cluster that lies behind as many as are used has a hole before there to go to; a
     * refcount block or the table of them may stay in the way, and then that is where it ends. */
    if (!err && used < last)
        err = move_references(q, waiter, used);
    if (!err || err == TARN_LIMIT)
        err = q2_commit(q, waiter);
    if (!err)
        err = drop_blocks(q, waiter);
    if (!err)
        err = q2_commit(q, waiter);
    if (!err)
        err = q2_barrier(q, waiter);
    if (!err)
        err = measure(q, waiter, &used, &last);
    *end = last << q->header.cluster_bits;
    return err;
}
