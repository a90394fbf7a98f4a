/* SPDX-License-Identifier: ISC */
/* How often each cluster is used, and finding those that are not. */
#include "qcow2.h"

/* -- one count ------------------------------------------------------------------------------------
 */

/* Counts are 1 to 64 bits wide; those of less than a byte begin at the low end. */
static uint64_t count_get(const struct tarn_blk_qcow2 *q, const struct q2_slot *slot,
                          uint64_t index) {
    uint32_t order = q->header.refcount_order;
    uint64_t value = 0;
    if (order < 3) {
        uint64_t bit = index << order;
        uint8_t byte = tarn_span_at(tarn_bytes_span(slot->bytes), (size_t)(bit / 8));
        return byte >> bit % 8 & ((1u << (1u << order)) - 1);
    }
    for (size_t i = 0; i < 1u << (order - 3); i++)
        value = value << 8
                | tarn_span_at(tarn_bytes_span(slot->bytes), (size_t)(index << (order - 3)) + i);
    return value;
}

static void count_set(const struct tarn_blk_qcow2 *q, struct q2_slot *slot, uint64_t index,
                      uint64_t value) {
    uint32_t order = q->header.refcount_order;
    slot->dirty = true;
    if (order < 3) {
        uint64_t bit = index << order;
        uint8_t *byte = tarn_bytes_at(slot->bytes, (size_t)(bit / 8));
        uint8_t mask = (uint8_t)(((1u << (1u << order)) - 1) << bit % 8);
        *byte = (uint8_t)((*byte & ~mask) | (uint8_t)(value << bit % 8));
        return;
    }
    for (size_t i = 1u << (order - 3); i-- > 0; value >>= 8)
        *tarn_bytes_at(slot->bytes, (size_t)(index << (order - 3)) + i) = (uint8_t)value;
}

/* The refcount block of a cluster, and its index there. TARN_NOT_FOUND: there is none. */
static enum tarn_err block_of(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter,
                              uint64_t cluster, struct q2_slot **slot, uint64_t *index) {
    uint64_t at = q2_array_get(&q->reftable, cluster >> q2_refblock_bits(q)) & Q2_OFFSET;
    *index = cluster & ((1ull << q2_refblock_bits(q)) - 1);
    return at ? q2_refblock_load(q, waiter, at, slot) : TARN_NOT_FOUND;
}

enum tarn_err q2_refcount_get(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter,
                              uint64_t cluster, uint64_t *count) {
    struct q2_slot *slot;
    uint64_t index;
    enum tarn_err err = block_of(q, waiter, cluster, &slot, &index);
    *count = err ? 0 : count_get(q, slot, index);
    return err == TARN_NOT_FOUND ? TARN_OK : err;
}

enum tarn_err q2_refcount_set(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter,
                              uint64_t cluster, uint64_t count) {
    struct q2_slot *slot;
    uint64_t index;
    enum tarn_err err = block_of(q, waiter, cluster, &slot, &index);
    uint32_t bits = 1u << q->header.refcount_order;
    if (err)
        return err;
    if (bits < 64 && count >> bits)
        return TARN_LIMIT;
    count_set(q, slot, index, count);
    return TARN_OK;
}

/* -- room for counts ------------------------------------------------------------------------------
 */

/* A larger refcount table, behind the block that is just made for `group`, whose first clusters are
 * therefore free. The old one goes when the header has changed. */
static enum tarn_err grow_reftable(struct tarn_blk_qcow2 *q, struct q2_slot *block,
                                   uint64_t group) {
    uint64_t per_cluster = q2_cluster_bytes(q) / 8, first = (group << q2_refblock_bits(q)) + 1;
    uint64_t clusters =
        TARN_MAX(group / per_cluster + 1, (uint64_t)q->header.reftable_clusters * 2);
    uint64_t old = q->header.reftable_at >> q->header.cluster_bits;
    clusters = TARN_MIN(clusters, (uint64_t)q->reftable.cap / per_cluster);
    if (group >= clusters * per_cluster || clusters >= 1ull << q2_refblock_bits(q)
        || clusters > q->alloc_end - first)
        return TARN_LIMIT;
    for (uint64_t i = 1; i <= clusters; i++)
        count_set(q, block, i, 1);
    for (uint32_t i = 0; i < q->header.reftable_clusters; i++) {
        /* make_block has seen to the room. */
        TARN_AT_N(q->frees, q->config.frees_max, q->free_count) = old + i;
        q->free_count++;
    }
    q->header.reftable_at = first << q->header.cluster_bits;
    q->header.reftable_clusters = (uint32_t)clusters;
    q->reftable.count = (uint32_t)(clusters * per_cluster);
    q->reftable.dirty_first = 0;
    q->reftable.dirty_end = q->reftable.count;
    q->header_dirty = true;
    return TARN_OK;
}

/* Makes the refcount block of a group of clusters, none of which is used: it takes the first. */
static enum tarn_err make_block(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter,
                                uint64_t group) {
    uint64_t at = group << q2_refblock_bits(q) << q->header.cluster_bits;
    bool larger = group >= q->reftable.count;
    struct q2_slot *slot;
    enum tarn_err err = TARN_OK;
    if (group >= q->reftable.cap || (larger && q->header.reftable_clusters > q->config.frees_max))
        return TARN_LIMIT;
    if (larger && q->free_count + q->header.reftable_clusters > q->config.frees_max)
        err = q2_commit(q, waiter);
    if (!err)
        err = q2_refblock_new(q, waiter, at, &slot);
    if (err)
        return err;
    count_set(q, slot, 0, 1);
    if (larger)
        err = grow_reftable(q, slot, group);
    if (err) {
        q2_table_forget(q, at);
        return err;
    }
    q2_array_set(&q->reftable, (uint32_t)group, at);
    return TARN_OK;
}

/* -- finding clusters -----------------------------------------------------------------------------
 */

enum tarn_err q2_alloc(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter, uint64_t n,
                       uint64_t *first) {
    uint64_t run = 0, c = q->free_hint;
    if (q->broken)
        return TARN_IO;
    for (; c < q->alloc_end && run < n; c++) {
        uint64_t group = c >> q2_refblock_bits(q), count;
        enum tarn_err err = TARN_OK;
        if (q2_array_get(&q->reftable, group) == 0)
            err = make_block(q, waiter, group);
        if (!err)
            err = q2_refcount_get(q, waiter, c, &count);
        if (err)
            return err;
        run = count ? 0 : run + 1;
    }
    if (run < n)
        return TARN_LIMIT;
    *first = c - n;
    for (uint64_t i = 0; i < n; i++) {
        enum tarn_err err = q2_refcount_set(q, waiter, *first + i, 1);
        if (err)
            return err;
    }
    if (n == 1)
        q->free_hint = c;
    q->counters.clusters_allocated += n;
    return TARN_OK;
}

enum tarn_err q2_free_now(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter, uint64_t cluster) {
    uint64_t count;
    enum tarn_err err = q2_refcount_get(q, waiter, cluster, &count);
    if (err)
        return err;
    if (count == 0)
        return TARN_PEER;
    if (count == 1) {
        q->free_hint = TARN_MIN(q->free_hint, cluster);
        q->counters.clusters_freed++;
    }
    return q2_refcount_set(q, waiter, cluster, count - 1);
}

enum tarn_err q2_free_later(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter,
                            uint64_t cluster) {
    enum tarn_err err = q->free_count == q->config.frees_max ? q2_commit(q, waiter) : TARN_OK;
    if (err)
        return err;
    TARN_AT_N(q->frees, q->config.frees_max, q->free_count) = cluster;
    q->free_count++;
    return TARN_OK;
}
