/* SPDX-License-Identifier: ISC */
/* From clusters of the device inside ("guest") to clusters of the image, and the requests that use
 * it. */
#include "qcow2.h"

#define TOGETHER 8u        /* requests to the device below in flight */
#define WRITE_CLUSTERS 32u /* of one request, given their places together */

/* -- looking up -----------------------------------------------------------------------------------
 */

static enum tarn_err check_entry(const struct tarn_blk_qcow2 *q, uint64_t entry) {
    if (entry & Q2_COMPRESSED)
        return TARN_OK;
    if (entry & Q2_ZERO && q->header.version == 2)
        return TARN_PEER;
    uint64_t at = entry & Q2_OFFSET;
    return at == 0 || q2_is_cluster(q, at) ? TARN_OK : TARN_PEER;
}

enum tarn_err q2_map_get(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter, uint64_t guest,
                         uint64_t *entry) {
    uint64_t l2_at = q2_array_get(&q->l1, guest >> q2_l2_bits(q)) & Q2_OFFSET;
    struct q2_slot *slot;
    *entry = 0;
    if (l2_at == 0)
        return TARN_OK;
    enum tarn_err err = q2_l2_load(q, waiter, l2_at, &slot);
    if (err)
        return err;
    *entry = q2_table_get(slot, guest & ((1ull << q2_l2_bits(q)) - 1));
    return check_entry(q, *entry);
}

enum tarn_err q2_map_writable(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter, uint64_t guest,
                              struct q2_slot **out) {
    uint32_t index = (uint32_t)(guest >> q2_l2_bits(q));
    uint64_t l1 = q2_array_get(&q->l1, index), at = l1 & Q2_OFFSET, cluster;
    if (l1 & Q2_COPIED && at)
        return q2_l2_load(q, waiter, at, out);
    enum tarn_err err = q2_alloc(q, waiter, 1, &cluster);
    if (err)
        return err;
    err = q2_l2_new(q, waiter, cluster << q->header.cluster_bits, out);
    if (!err && at) { /* a snapshot has it too; the new slot is the last to go */
        struct q2_slot *shared;
        err = q2_l2_load(q, waiter, at, &shared);
        if (!err)
            tarn_bytes_copy((*out)->bytes, tarn_bytes_span(shared->bytes));
        (*out)->dirty = true;
    }
    if (err)
        return err;
    q2_array_set(&q->l1, index, cluster << q->header.cluster_bits | Q2_COPIED);
    /* This may commit, which leaves the slot where it is. */
    return at ? q2_free_later(q, waiter, at >> q->header.cluster_bits) : TARN_OK;
}

/* -- requests to the devices below, put together ------------------------------------------------
 */

struct batch {
    struct tarn_blk *blk;
    struct tarn_waiter *waiter;
    enum tarn_blk_op op;
    struct tarn_blk_io ios[TOGETHER];
    size_t count;
};

static enum tarn_err batch_run(struct batch *b) {
    size_t n = b->count;
    b->count = 0;
    return tarn_blk_run(b->blk, b->waiter, b->ios, n);
}

/* True: the last request goes on with `data`. */
static bool extend(struct batch *b, uint64_t block, struct tarn_bytes data) {
    if (b->count == 0)
        return false;
    struct tarn_blk_req *last = &TARN_AT(b->ios, b->count - 1).req;
    uint64_t max = (uint64_t)b->blk->blocks_per_request_max * b->blk->block_bytes;
    if (last->block + last->data.len / b->blk->block_bytes != block
        || (uintptr_t)last->data.ptr + last->data.len != (uintptr_t)data.ptr
        || last->data.len + data.len > max)
        return false;
    last->data.len += data.len;
    return true;
}

static enum tarn_err batch_add(struct batch *b, uint64_t at, struct tarn_bytes data) {
    uint64_t max = (uint64_t)b->blk->blocks_per_request_max * b->blk->block_bytes;
    uint64_t block = at / b->blk->block_bytes;
    while (data.len) {
        struct tarn_bytes piece = tarn_bytes_first(data, blk_min(data.len, max));
        if (!extend(b, block, piece)) {
            enum tarn_err err = b->count == TOGETHER ? batch_run(b) : TARN_OK;
            if (err)
                return err;
            TARN_AT(b->ios, b->count) =
                (struct tarn_blk_io){.req = {.op = b->op, .block = block, .data = piece}};
            b->count++;
        }
        block += piece.len / b->blk->block_bytes;
        data = tarn_bytes_after(data, piece.len);
    }
    return TARN_OK;
}

/* -- reading --------------------------------------------------------------------------------------
 */

struct reads {
    struct batch image, backing;
};

static struct reads reads_of(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter) {
    return (struct reads){
        .image = {.blk = q->lower, .waiter = waiter, .op = TARN_BLK_READ},
        .backing = {.blk = q->config.backing, .waiter = waiter, .op = TARN_BLK_READ},
    };
}

/* Whether what is not in the image can be anything but zero in [at, ...). */
static bool is_backed(const struct tarn_blk_qcow2 *q, uint64_t at) {
    const struct tarn_blk *b = q->config.backing;
    return b && at < b->blocks * b->block_bytes;
}

/* `data` is what a cluster has from `at` of the device inside on. */
static enum tarn_err read_part(struct tarn_blk_qcow2 *q, struct reads *r, uint64_t at,
                               uint64_t entry, struct tarn_bytes data) {
    uint64_t inside = at & (q2_cluster_bytes(q) - 1);
    if (entry & Q2_COMPRESSED)
        return TARN_UNSUPPORTED;
    if (!(entry & Q2_ZERO) && entry & Q2_OFFSET)
        return batch_add(&r->image, (entry & Q2_OFFSET) + inside, data);
    struct tarn_bytes backed = {0};
    if (!(entry & Q2_ZERO) && is_backed(q, at)) {
        uint64_t end = q->config.backing->blocks * q->config.backing->block_bytes;
        backed = tarn_bytes_first(data, blk_min(data.len, end - at));
    }
    tarn_bytes_fill(tarn_bytes_after(data, backed.len), 0);
    return backed.len ? batch_add(&r->backing, at, backed) : TARN_OK;
}

static enum tarn_err reads_run(struct reads *r) {
    enum tarn_err err = batch_run(&r->image);
    return err || !r->backing.count ? err : batch_run(&r->backing);
}

static enum tarn_err q2_read(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter, uint64_t at,
                             struct tarn_bytes data) {
    struct reads r = reads_of(q, waiter);
    enum tarn_err err = TARN_OK;
    while (data.len && !err) {
        uint64_t left = q2_cluster_bytes(q) - (at & (q2_cluster_bytes(q) - 1)), entry;
        struct tarn_bytes part = tarn_bytes_first(data, blk_min(data.len, left));
        err = q2_map_get(q, waiter, at >> q->header.cluster_bits, &entry);
        if (!err)
            err = read_part(q, &r, at, entry, part);
        at += part.len;
        data = tarn_bytes_after(data, part.len);
    }
    return err ? err : reads_run(&r);
}

/* -- writing --------------------------------------------------------------------------------------
 */

/* Some clusters that a write touches. Data goes to its place before any table says so. */
struct writes {
    struct batch batch;
    uint64_t guest[WRITE_CLUSTERS], cluster[WRITE_CLUSTERS], before[WRITE_CLUSTERS];
    size_t count;
};

/* A cluster for data; *own: it is the one that the table refers to already, as zero. */
static enum tarn_err place(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter, uint64_t entry,
                           uint64_t *cluster, bool *own) {
    *own = entry & Q2_ZERO && entry & Q2_COPIED && entry & Q2_OFFSET;
    *cluster = (entry & Q2_OFFSET) >> q->header.cluster_bits;
    return *own ? TARN_OK : q2_alloc(q, waiter, 1, cluster);
}

/* A part of a new cluster: the rest comes from what was there. */
static enum tarn_err write_merged(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter, uint64_t at,
                                  uint64_t entry, uint64_t cluster, struct tarn_bytes part) {
    struct reads r = reads_of(q, waiter);
    uint64_t inside = at & (q2_cluster_bytes(q) - 1);
    enum tarn_err err = read_part(q, &r, at - inside, entry, q->scratch);
    if (!err)
        err = reads_run(&r);
    if (err)
        return err;
    tarn_bytes_copy(tarn_bytes_after(q->scratch, (size_t)inside), tarn_bytes_span(part));
    return q2_io(q, waiter, TARN_BLK_WRITE, cluster << q->header.cluster_bits, q->scratch);
}

static enum tarn_err write_part(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter,
                                struct writes *w, uint64_t at, struct tarn_bytes part) {
    uint64_t guest = at >> q->header.cluster_bits, entry, cluster;
    bool own;
    enum tarn_err err = q2_map_get(q, waiter, guest, &entry);
    if (err)
        return err;
    if (entry & Q2_COMPRESSED)
        return TARN_UNSUPPORTED;
    if (entry & Q2_OFFSET && entry & Q2_COPIED && !(entry & Q2_ZERO))
        return batch_add(&w->batch, (entry & Q2_OFFSET) + (at & (q2_cluster_bytes(q) - 1)), part);
    err = place(q, waiter, entry, &cluster, &own);
    if (err)
        return err;
    TARN_AT(w->guest, w->count) = guest;
    TARN_AT(w->cluster, w->count) = cluster;
    TARN_AT(w->before, w->count) = entry;
    w->count++;
    return part.len == q2_cluster_bytes(q)
               ? batch_add(&w->batch, cluster << q->header.cluster_bits, part)
               : write_merged(q, waiter, at, entry, cluster, part);
}

/* The i-th of the new clusters takes the place of what was there. */
static enum tarn_err link(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter, struct writes *w,
                          size_t i) {
    uint64_t guest = TARN_AT(w->guest, i), cluster = TARN_AT(w->cluster, i);
    uint64_t old = (TARN_AT(w->before, i) & Q2_OFFSET) >> q->header.cluster_bits;
    struct q2_slot *slot;
    enum tarn_err err = q2_map_writable(q, waiter, guest, &slot);
    if (err)
        return err;
    q2_table_set(slot, guest & ((1ull << q2_l2_bits(q)) - 1),
                 cluster << q->header.cluster_bits | Q2_COPIED);
    return old && old != cluster ? q2_free_later(q, waiter, old) : TARN_OK;
}

/* Gives back the clusters from the i-th on, which nothing refers to. */
static void unplace(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter, const struct writes *w,
                    size_t i) {
    for (; i < w->count; i++) {
        uint64_t old = (TARN_AT(w->before, i) & Q2_OFFSET) >> q->header.cluster_bits;
        if (old != TARN_AT(w->cluster, i) && q2_free_now(q, waiter, TARN_AT(w->cluster, i)))
            break; /* a leak, and the error that led here is told */
    }
}

static enum tarn_err q2_write(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter, uint64_t at,
                              struct tarn_bytes data) {
    while (data.len) {
        struct writes w = {.batch = {.blk = q->lower, .waiter = waiter, .op = TARN_BLK_WRITE}};
        enum tarn_err err = TARN_OK;
        size_t linked = 0;
        for (size_t n = 0; n < WRITE_CLUSTERS && data.len && !err; n++) {
            uint64_t left = q2_cluster_bytes(q) - (at & (q2_cluster_bytes(q) - 1));
            struct tarn_bytes part = tarn_bytes_first(data, blk_min(data.len, left));
            err = write_part(q, waiter, &w, at, part);
            at += part.len;
            data = tarn_bytes_after(data, part.len);
        }
        if (!err)
            err = batch_run(&w.batch);
        for (; linked < w.count && !err; linked++)
            err = link(q, waiter, &w, linked);
        if (err) {
            unplace(q, waiter, &w, linked);
            return err;
        }
    }
    return TARN_OK;
}

/* -- zeroes ---------------------------------------------------------------------------------------
 */

static enum tarn_err zero_cluster(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter,
                                  uint64_t guest) {
    uint64_t entry, zero = is_backed(q, guest << q->header.cluster_bits) ? Q2_ZERO : 0;
    struct q2_slot *slot;
    enum tarn_err err = q2_map_get(q, waiter, guest, &entry);
    if (err || entry == zero)
        return err;
    if (entry & Q2_COMPRESSED)
        return TARN_UNSUPPORTED;
    err = q2_map_writable(q, waiter, guest, &slot);
    if (err)
        return err;
    q2_table_set(slot, guest & ((1ull << q2_l2_bits(q)) - 1), zero);
    uint64_t old = (entry & Q2_OFFSET) >> q->header.cluster_bits;
    return old ? q2_free_later(q, waiter, old) : TARN_OK;
}

enum tarn_err q2_zero(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter, uint64_t block,
                      uint64_t blocks) {
    uint64_t at = block * q->lower->block_bytes, left = blocks * q->lower->block_bytes;
    enum tarn_err err = TARN_OK;
    while (left && !err) {
        uint64_t inside = at & (q2_cluster_bytes(q) - 1), guest = at >> q->header.cluster_bits;
        uint64_t part = TARN_MIN(left, q2_cluster_bytes(q) - inside), entry;
        if (part == q2_cluster_bytes(q)) {
            err = zero_cluster(q, waiter, guest);
        } else {
            err = q2_map_get(q, waiter, guest, &entry);
            if (!err && (entry || is_backed(q, at)) && !(entry & Q2_ZERO))
                err = q2_write(q, waiter, at, tarn_bytes_first(q->zeroes, (size_t)part));
        }
        at += part;
        left -= part;
    }
    return err;
}

static enum tarn_err change(struct tarn_blk_qcow2 *q, const struct tarn_blk_req *req,
                            struct tarn_waiter *waiter) {
    if (q->broken)
        return TARN_IO;
    enum tarn_err err = req->op == TARN_BLK_WRITE
                            ? q2_write(q, waiter, req->block * q->lower->block_bytes, req->data)
                            : q2_zero(q, waiter, req->block, req->blocks);
    /* Where nobody can flush, nothing waits for it. */
    bool can_flush = q->lower->features & TARN_BLK_CAN_FLUSH;
    return err || can_flush ? err : q2_commit(q, waiter);
}

enum tarn_err q2_serve(struct tarn_blk_worker *worker, struct tarn_blk_req *req,
                       struct tarn_waiter *waiter) {
    struct tarn_blk_qcow2 *q = TARN_CONTAINER_OF(worker, struct tarn_blk_qcow2, worker);
    enum tarn_err err = TARN_OK;
    switch (req->op) {
    case TARN_BLK_READ: return q2_read(q, waiter, req->block * worker->blk.block_bytes, req->data);
    case TARN_BLK_WRITE:
    case TARN_BLK_DISCARD: return change(q, req, waiter);
    case TARN_BLK_FLUSH: break;
    }
    if (!q->config.read_only)
        err = q2_commit(q, waiter);
    return err ? err : q2_barrier(q, waiter);
}
