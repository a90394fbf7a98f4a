/* SPDX-License-Identifier: ISC */
/* Tables in memory, and the order in which they go to the device. */
#include "qcow2.h"

/* -- the device -----------------------------------------------------------------------------------
 */

enum tarn_err q2_io(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter, enum tarn_blk_op op,
                    uint64_t at, struct tarn_bytes data) {
    uint64_t block = at / q->lower->block_bytes;
    return op == TARN_BLK_READ ? tarn_blk_read(q->lower, waiter, block, data)
                               : tarn_blk_write(q->lower, waiter, block, tarn_bytes_span(data));
}

enum tarn_err q2_barrier(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter) {
    q->counters.barriers++;
    return q->lower->features & TARN_BLK_CAN_FLUSH ? tarn_blk_flush(q->lower, waiter) : TARN_OK;
}

/* -- arrays ---------------------------------------------------------------------------------------
 */

void q2_array_set(struct q2_array *a, uint32_t i, uint64_t value) {
    TARN_AT_N(a->entries, a->cap, i) = value;
    if (a->dirty_first == a->dirty_end) {
        a->dirty_first = i;
        a->dirty_end = i + 1;
    }
    a->dirty_first = TARN_MIN(a->dirty_first, i);
    a->dirty_end = TARN_MAX(a->dirty_end, i + 1);
}

static bool is_dirty(const struct q2_array *a) {
    return a->dirty_first < a->dirty_end;
}

enum tarn_err q2_array_load(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter,
                            struct q2_array *a, uint64_t at) {
    uint32_t per_cluster = 1u << (q->header.cluster_bits - 3);
    for (uint32_t i = 0; i < a->count; i += per_cluster) {
        enum tarn_err err = q2_io(q, waiter, TARN_BLK_READ, at + (uint64_t)i * 8, q->scratch);
        struct tarn_span in = tarn_bytes_span(q->scratch);
        if (err)
            return err;
        for (uint32_t j = i; j < a->count && j < i + per_cluster; j++)
            if (!tarn_span_u64be(&in, &TARN_AT_N(a->entries, a->cap, j)))
                return TARN_PEER;
    }
    return TARN_OK;
}

/* Writes the dirty part, in whole clusters. */
static enum tarn_err array_store(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter,
                                 struct q2_array *a, uint64_t at) {
    uint32_t per_cluster = 1u << (q->header.cluster_bits - 3);
    uint32_t first = a->dirty_first / per_cluster * per_cluster;
    for (uint32_t i = first; i < a->dirty_end; i += per_cluster) {
        struct tarn_writer w = tarn_writer_over(q->scratch);
        for (uint32_t j = i; j < i + per_cluster; j++)
            tarn_writer_u64be(&w, q2_array_get(a, j));
        enum tarn_err err = q2_io(q, waiter, TARN_BLK_WRITE, at + (uint64_t)i * 8, q->scratch);
        if (err)
            return err;
    }
    a->dirty_first = a->dirty_end = 0;
    return TARN_OK;
}

/* -- caches ---------------------------------------------------------------------------------------
 */

uint64_t q2_table_get(const struct q2_slot *slot, uint64_t i) {
    struct tarn_span in = tarn_span_after(tarn_bytes_span(slot->bytes), (size_t)i * 8);
    uint64_t value = 0;
    TARN_ASSERT(tarn_span_u64be(&in, &value));
    return value;
}

void q2_table_set(struct q2_slot *slot, uint64_t i, uint64_t value) {
    struct tarn_writer w = tarn_writer_over(tarn_bytes_after(slot->bytes, (size_t)i * 8));
    tarn_writer_u64be(&w, value);
    slot->dirty = true;
}

static struct q2_slot *slot_at(const struct q2_cache *c, uint32_t i) {
    return &TARN_AT_N(c->slots, c->count, i);
}

/* The slot that holds `at`, or the least recently used. */
static struct q2_slot *find(const struct q2_cache *c, uint64_t at) {
    struct q2_slot *oldest = slot_at(c, 0);
    for (uint32_t i = 0; i < c->count; i++) {
        struct q2_slot *slot = slot_at(c, i);
        if (slot->at == at)
            return slot;
        if (slot->used < oldest->used)
            oldest = slot;
    }
    return oldest;
}

static bool any_dirty(const struct q2_cache *c) {
    for (uint32_t i = 0; i < c->count; i++)
        if (slot_at(c, i)->dirty)
            return true;
    return false;
}

static enum tarn_err slot_store(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter,
                                struct q2_slot *slot) {
    enum tarn_err err = q2_io(q, waiter, TARN_BLK_WRITE, slot->at, slot->bytes);
    slot->dirty = slot->dirty && err;
    return err;
}

static enum tarn_err cache_store(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter,
                                 struct q2_cache *c) {
    enum tarn_err err = TARN_OK;
    for (uint32_t i = 0; i < c->count && !err; i++)
        if (slot_at(c, i)->dirty)
            err = slot_store(q, waiter, slot_at(c, i));
    return err;
}

/* A slot for `at`, which may hold it already. Counts may be written at any time; an L2 table only
 * behind what it refers to. */
static enum tarn_err claim(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter, struct q2_cache *c,
                           uint64_t at, struct q2_slot **out) {
    struct q2_slot *slot = find(c, at);
    enum tarn_err err = TARN_OK;
    if (slot->at != at && slot->dirty)
        err = c == &q->l2_cache ? q2_commit(q, waiter) : slot_store(q, waiter, slot);
    if (err)
        return err;
    slot->used = ++q->clock;
    *out = slot;
    return TARN_OK;
}

static enum tarn_err load(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter, struct q2_cache *c,
                          uint64_t at, struct q2_slot **out) {
    struct q2_slot *slot;
    if (!q2_is_cluster(q, at))
        return TARN_PEER;
    enum tarn_err err = claim(q, waiter, c, at, &slot);
    if (err)
        return err;
    if (slot->at != at) {
        slot->at = 0;
        err = q2_io(q, waiter, TARN_BLK_READ, at, slot->bytes);
        if (err)
            return err;
        slot->at = at;
    }
    *out = slot;
    return TARN_OK;
}

static enum tarn_err make(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter, struct q2_cache *c,
                          uint64_t at, struct q2_slot **out) {
    enum tarn_err err = claim(q, waiter, c, at, out);
    if (err)
        return err;
    tarn_bytes_fill((*out)->bytes, 0);
    (*out)->at = at;
    (*out)->dirty = true;
    return TARN_OK;
}

enum tarn_err q2_l2_load(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter, uint64_t at,
                         struct q2_slot **out) {
    return load(q, waiter, &q->l2_cache, at, out);
}
enum tarn_err q2_refblock_load(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter, uint64_t at,
                               struct q2_slot **out) {
    return load(q, waiter, &q->refcount_cache, at, out);
}
enum tarn_err q2_l2_new(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter, uint64_t at,
                        struct q2_slot **out) {
    return make(q, waiter, &q->l2_cache, at, out);
}
enum tarn_err q2_refblock_new(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter, uint64_t at,
                              struct q2_slot **out) {
    return make(q, waiter, &q->refcount_cache, at, out);
}

static void forget(struct q2_cache *c, uint64_t at) {
    struct q2_slot *slot = find(c, at);
    if (slot->at == at) {
        slot->at = slot->used = 0;
        slot->dirty = false;
    }
}

void q2_table_forget(struct tarn_blk_qcow2 *q, uint64_t at) {
    forget(&q->l2_cache, at);
    forget(&q->refcount_cache, at);
}

/* -- committing -----------------------------------------------------------------------------------
 */

/* What counts clusters, and where that is found. */
static enum tarn_err commit_counts(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter) {
    enum tarn_err err = cache_store(q, waiter, &q->refcount_cache);
    if (!err && is_dirty(&q->reftable)) {
        err = q2_barrier(q, waiter);
        if (!err)
            err = array_store(q, waiter, &q->reftable, q->header.reftable_at);
    }
    if (!err && q->header_dirty) {
        err = q2_barrier(q, waiter);
        if (!err)
            err = q2_header_update(q, waiter);
        q->header_dirty = q->header_dirty && err;
    }
    return err;
}

/* What refers to clusters: from here on the device has it all counted. */
static enum tarn_err commit_references(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter) {
    bool l1_dirty = is_dirty(&q->l1);
    if (!any_dirty(&q->l2_cache) && !l1_dirty)
        return TARN_OK;
    enum tarn_err err = q2_barrier(q, waiter);
    if (!err)
        err = cache_store(q, waiter, &q->l2_cache);
    if (!err && l1_dirty) {
        err = q2_barrier(q, waiter);
        if (!err)
            err = array_store(q, waiter, &q->l1, q->header.l1_at);
    }
    return err;
}

static enum tarn_err commit_frees(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter) {
    enum tarn_err err = q->free_count ? q2_barrier(q, waiter) : TARN_OK;
    while (q->free_count && !err) {
        err = q2_free_now(q, waiter, TARN_AT_N(q->frees, q->config.frees_max, q->free_count - 1));
        q->free_count--;
    }
    return err ? err : cache_store(q, waiter, &q->refcount_cache);
}

enum tarn_err q2_commit(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter) {
    if (q->broken)
        return TARN_IO;
    q->counters.commits++;
    enum tarn_err err = commit_counts(q, waiter);
    if (!err)
        err = commit_references(q, waiter);
    if (!err)
        err = commit_frees(q, waiter);
    /* Nobody knows any more what the device has: leave it as it is. */
    q->broken = err != TARN_OK;
    return err;
}
