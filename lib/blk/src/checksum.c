/* SPDX-License-Identifier: ISC */
#include <tarn/blk_checksum.h>
#include <tarn/writer.h>

#include "internal.h"

#define MAGIC "TARNCRC1"
#define ENTRY_BYTES 8u

/* A table in memory. Its entries are settled (old == new) but for those written since the last
 * flush, which make it `open`. */
struct table {
    uint64_t group;
    uint64_t used;
    bool valid, open;
    struct tarn_bytes bytes;
};
struct entry {
    uint32_t old, new;
};

struct tarn_blk_checksum {
    struct tarn_blk_worker worker;
    struct tarn_blk_checksum_config config;
    struct tarn_blk_checksum_counters counters;
    struct table *tables;
    struct tarn_bytes memory, block; /* the tables'; scratch */
    uint32_t per_group;
    uint64_t clock;
};

/* -- where things are -----------------------------------------------------------------------------
 */

static uint64_t table_at(const struct tarn_blk_checksum *c, uint64_t group) {
    return 1 + group * (c->per_group + 1);
}
static uint64_t data_at(const struct tarn_blk_checksum *c, uint64_t block) {
    return table_at(c, block / c->per_group) + 1 + block % c->per_group;
}

static uint64_t data_blocks(const struct tarn_blk *lower) {
    uint64_t per_group = lower->block_bytes / ENTRY_BYTES, rest = lower->blocks - 1;
    uint64_t last = rest % (per_group + 1);
    return rest / (per_group + 1) * per_group + (last ? last - 1 : 0);
}

static struct entry entry_get(const struct table *t, size_t i) {
    struct tarn_span in = tarn_span_after(tarn_bytes_span(t->bytes), i * ENTRY_BYTES);
    struct entry e = {0};
    TARN_ASSERT(tarn_span_u32le(&in, &e.old) && tarn_span_u32le(&in, &e.new));
    return e;
}

static void entry_put(struct table *t, size_t i, struct entry e) {
    struct tarn_writer w = tarn_writer_over(tarn_bytes_after(t->bytes, i * ENTRY_BYTES));
    tarn_writer_u32le(&w, e.old);
    tarn_writer_u32le(&w, e.new);
}

/* Never 0, which means that nothing was written. */
static uint32_t sum_of(uint64_t block, struct tarn_span data) {
    uint8_t number[8];
    struct tarn_writer w = TARN_WRITER_ARRAY(number);
    tarn_writer_u64le(&w, block);
    uint32_t sum = blk_crc32c(blk_crc32c(0, TARN_SPAN_ARRAY(number)), data);
    return sum ? sum : 1;
}

/* -- tables ---------------------------------------------------------------------------------------
 */

static enum tarn_err barrier(struct tarn_blk_checksum *c, struct tarn_waiter *waiter) {
    struct tarn_blk *lower = c->config.lower;
    return lower->features & TARN_BLK_CAN_FLUSH ? tarn_blk_flush(lower, waiter) : TARN_OK;
}

static enum tarn_err store(struct tarn_blk_checksum *c, struct table *t,
                           struct tarn_waiter *waiter) {
    return tarn_blk_write(c->config.lower, waiter, table_at(c, t->group),
                          tarn_bytes_span(t->bytes));
}

/* The data of an open table is durable: from now on only it is right. */
static enum tarn_err close_table(struct tarn_blk_checksum *c, struct table *t,
                                 struct tarn_waiter *waiter) {
    for (size_t i = 0; i < c->per_group; i++) {
        struct entry e = entry_get(t, i);
        e.old = e.new;
        entry_put(t, i, e);
    }
    enum tarn_err err = store(c, t, waiter);
    /* What the device has of the table is unknown then: read it again. */
    t->valid = !err;
    t->open = false;
    return err;
}

static enum tarn_err close_all(struct tarn_blk_checksum *c, struct tarn_waiter *waiter) {
    enum tarn_err err = barrier(c, waiter);
    bool any = false;
    for (uint32_t i = 0; i < c->config.tables && !err; i++) {
        struct table *t = &TARN_AT_N(c->tables, c->config.tables, i);
        if (!t->open)
            continue;
        any = true;
        err = close_table(c, t, waiter);
    }
    return any && !err ? barrier(c, waiter) : err;
}

/* After a power loss: which of the two the block is. Neither: it stays as it is, and cannot be
 * read.
 */
static enum tarn_err settle(struct tarn_blk_checksum *c, struct table *t,
                            struct tarn_waiter *waiter) {
    for (size_t i = 0; i < c->per_group; i++) {
        struct entry e = entry_get(t, i);
        uint64_t block = t->group * c->per_group + i;
        if (e.old == e.new || block >= c->worker.blk.blocks)
            continue;
        enum tarn_err err = tarn_blk_read(c->config.lower, waiter, data_at(c, block), c->block);
        if (err)
            return err;
        uint32_t sum = sum_of(block, tarn_bytes_span(c->block));
        if (sum == e.new)
            e.old = e.new;
        else if (sum == e.old || e.old == 0)
            e.new = e.old;
        entry_put(t, i, e);
        c->counters.settled++;
    }
    return TARN_OK;
}

static enum tarn_err load(struct tarn_blk_checksum *c, uint64_t group, struct tarn_waiter *waiter,
                          struct table **out) {
    struct table *victim = NULL;
    enum tarn_err err = TARN_OK;
    for (uint32_t i = 0; i < c->config.tables; i++) {
        struct table *t = &TARN_AT_N(c->tables, c->config.tables, i);
        if (t->valid && t->group == group) {
            t->used = ++c->clock;
            *out = t;
            return TARN_OK;
        }
        if (!victim || (victim->valid && (!t->valid || t->used < victim->used)))
            victim = t;
    }
    if (victim->open)
        err = close_all(c, waiter);
    victim->valid = false;
    victim->group = group;
    if (!err)
        err = tarn_blk_read(c->config.lower, waiter, table_at(c, group), victim->bytes);
    if (!err)
        err = settle(c, victim, waiter);
    if (err)
        return err;
    victim->valid = true;
    victim->used = ++c->clock;
    *out = victim;
    return TARN_OK;
}

/* -- requests -------------------------------------------------------------------------------------
 */

static enum tarn_err check(struct tarn_blk_checksum *c, const struct table *t, uint64_t block,
                           struct tarn_bytes data) {
    struct entry e = entry_get(t, (size_t)(block % c->per_group));
    if (e.new == 0) {
        tarn_bytes_fill(data, 0);
        return TARN_OK;
    }
    if (sum_of(block, tarn_bytes_span(data)) == e.new)
        return TARN_OK;
    c->counters.mismatches++;
    return TARN_IO;
}

/* `data` lies in one group. */
static enum tarn_err read_run(struct tarn_blk_checksum *c, struct table *t, uint64_t block,
                              struct tarn_bytes data, struct tarn_waiter *waiter) {
    uint32_t block_bytes = c->worker.blk.block_bytes;
    enum tarn_err err = tarn_blk_read(c->config.lower, waiter, data_at(c, block), data);
    for (size_t i = 0; i < data.len / block_bytes && !err; i++)
        err = check(c, t, block + i,
                    tarn_bytes_first(tarn_bytes_after(data, i * block_bytes), block_bytes));
    return err;
}

static enum tarn_err write_run(struct tarn_blk_checksum *c, struct table *t, uint64_t block,
                               struct tarn_span data, struct tarn_waiter *waiter) {
    uint32_t block_bytes = c->worker.blk.block_bytes;
    size_t count = data.len / block_bytes, at = (size_t)(block % c->per_group);
    enum tarn_err err = TARN_OK;
    for (size_t i = 0; i < count; i++) {
        struct entry e = entry_get(t, at + i);
        if (t->open && e.old != e.new) {
            /* Written since the last flush: three versions are one too many. */
            err = close_all(c, waiter);
            break;
        }
    }
    if (err)
        return err;
    for (size_t i = 0; i < count; i++) {
        struct entry e = entry_get(t, at + i);
        e.new =
            sum_of(block + i, tarn_span_first(tarn_span_after(data, i * block_bytes), block_bytes));
        entry_put(t, at + i, e);
    }
    t->open = true;
    err = store(c, t, waiter);
    if (!err)
        err = barrier(c, waiter);
    if (!err)
        err = tarn_blk_write(c->config.lower, waiter, data_at(c, block), data);
    if (err)
        t->valid = t->open = false; /* settled again when it is next looked at */
    return err;
}

static enum tarn_err serve(struct tarn_blk_worker *worker, struct tarn_blk_req *req,
                           struct tarn_waiter *waiter) {
    struct tarn_blk_checksum *c = TARN_CONTAINER_OF(worker, struct tarn_blk_checksum, worker);
    struct tarn_bytes data = req->data;
    uint64_t block = req->block;
    enum tarn_err err = TARN_OK;
    if (req->op == TARN_BLK_FLUSH)
        return close_all(c, waiter);
    while (data.len && !err) {
        struct table *t;
        uint64_t left = c->per_group - block % c->per_group;
        struct tarn_bytes run =
            tarn_bytes_first(data, blk_min(data.len, left * worker->blk.block_bytes));
        err = load(c, block / c->per_group, waiter, &t);
        if (!err && req->op == TARN_BLK_READ)
            err = read_run(c, t, block, run, waiter);
        else if (!err)
            err = write_run(c, t, block, tarn_bytes_span(run), waiter);
        block += run.len / worker->blk.block_bytes;
        data = tarn_bytes_after(data, run.len);
    }
    return err;
}

/* -- making one -----------------------------------------------------------------------------------
 */

static void put_header(const struct tarn_blk *lower, struct tarn_bytes block) {
    struct tarn_writer w = tarn_writer_over(block);
    tarn_writer_str(&w, MAGIC);
    tarn_writer_u32le(&w, lower->block_bytes);
    tarn_writer_u32le(&w, 0);
    tarn_writer_u64le(&w, lower->blocks);
    tarn_writer_u32le(&w, blk_crc32c(0, tarn_writer_span(&w)));
    tarn_writer_zero(&w, tarn_writer_room(&w));
}

enum tarn_err tarn_blk_checksum_format(struct tarn_blk *lower, struct tarn_waiter *waiter,
                                       struct tarn_bytes block) {
    uint64_t step = lower->block_bytes / ENTRY_BYTES + 1;
    enum tarn_err err = TARN_OK;
    if (block.len != lower->block_bytes || data_blocks(lower) == 0)
        return TARN_INVALID;
    tarn_bytes_fill(block, 0);
    for (uint64_t at = 1; at < lower->blocks && !err; at += step)
        err = tarn_blk_write(lower, waiter, at, tarn_bytes_span(block));
    if (!err && lower->features & TARN_BLK_CAN_FLUSH)
        err = tarn_blk_flush(lower, waiter);
    put_header(lower, block);
    if (!err)
        err = tarn_blk_write(lower, waiter, 0, tarn_bytes_span(block));
    return !err && lower->features & TARN_BLK_CAN_FLUSH ? tarn_blk_flush(lower, waiter) : err;
}

/* The tables' memory stands behind the scratch block. */
static enum tarn_err take_memory(struct tarn_blk_checksum *c) {
    uint32_t block_bytes = c->config.lower->block_bytes, n = c->config.tables;
    c->tables = TARN_NEW_ARRAY(c->config.alloc, n, struct table);
    c->memory.ptr = tarn_alloc_array(c->config.alloc, (size_t)n + 1, block_bytes, 8);
    c->memory.len = ((size_t)n + 1) * block_bytes;
    if (!c->tables || !c->memory.ptr)
        return TARN_LIMIT;
    c->block = tarn_bytes_first(c->memory, block_bytes);
    for (uint32_t i = 0; i < n; i++)
        TARN_AT_N(c->tables, n, i).bytes = tarn_bytes_first(
            tarn_bytes_after(c->memory, ((size_t)i + 1) * block_bytes), block_bytes);
    return TARN_OK;
}

static enum tarn_err check_header(struct tarn_blk_checksum *c, struct tarn_waiter *waiter) {
    struct table *t = &TARN_AT_N(c->tables, c->config.tables, 0);
    enum tarn_err err = tarn_blk_read(c->config.lower, waiter, 0, c->block);
    if (err)
        return err;
    put_header(c->config.lower, t->bytes);
    return tarn_span_equal(tarn_bytes_span(c->block), tarn_bytes_span(t->bytes)) ? TARN_OK
                                                                                 : TARN_PEER;
}

enum tarn_err tarn_blk_checksum_new(const struct tarn_blk_checksum_config *config,
                                    struct tarn_waiter *waiter, struct tarn_blk_checksum **out) {
    struct tarn_blk_checksum *c = TARN_NEW(config->alloc, struct tarn_blk_checksum);
    if (!c)
        return TARN_LIMIT;
    c->config = *config;
    if (!c->config.tables)
        c->config.tables = 16;
    c->per_group = config->lower->block_bytes / ENTRY_BYTES;
    enum tarn_err err = take_memory(c);
    if (!err)
        err = check_header(c, waiter);
    if (err) {
        tarn_blk_checksum_delete(c);
        return err;
    }
    tarn_blk_worker_init(&c->worker, config->tasks, serve);
    const struct tarn_blk_ops *ops = c->worker.blk.ops;
    c->worker.blk = *config->lower;
    c->worker.blk.ops = ops;
    c->worker.blk.blocks = data_blocks(config->lower);
    /* A discard could not be told from rot. */
    c->worker.blk.features &= ~(uint32_t)(TARN_BLK_CAN_DISCARD | TARN_BLK_DISCARD_ZEROES);
    c->worker.blk.atomic_bytes = TARN_MIN(config->lower->atomic_bytes, config->lower->block_bytes);
    *out = c;
    return TARN_OK;
}

struct tarn_blk_worker *tarn_blk_checksum_worker(struct tarn_blk_checksum *c) {
    return &c->worker;
}

const struct tarn_blk_checksum_counters *
tarn_blk_checksum_counters(const struct tarn_blk_checksum *c) {
    return &c->counters;
}

void tarn_blk_checksum_delete(struct tarn_blk_checksum *c) {
    struct tarn_blk_checksum_config config = c->config;
    tarn_alloc_put(config.alloc, c->memory.ptr, c->memory.len);
    tarn_alloc_put(config.alloc, c->tables, config.tables * sizeof *c->tables);
    tarn_alloc_put(config.alloc, c, sizeof *c);
}
