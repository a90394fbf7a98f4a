/* SPDX-License-Identifier: ISC */
/* The log: its first block says how many entries there are; an entry is a block, and, for a write,
 * as many blocks of data behind it. All numbers are little-endian. */
#include <tarn/blk_log.h>
#include <tarn/writer.h>

#include "internal.h"

#define MAGIC 0x6a736677736872ull
#define VERSION 1u
#define ENTRY_BYTES 32u
#define MARK_BYTES_MAX 256u

struct tarn_blk_log {
    struct tarn_blk_worker worker;
    struct tarn_blk_log_config config;
    struct tarn_bytes block; /* scratch */
    uint64_t entries, next_at;
};

/* -- writing --------------------------------------------------------------------------------------
 */

static enum tarn_err put_super(struct tarn_blk_log *l, struct tarn_waiter *waiter) {
    struct tarn_blk *log = l->config.log;
    struct tarn_writer w = tarn_writer_over(l->block);
    tarn_writer_u64le(&w, MAGIC);
    tarn_writer_u64le(&w, VERSION);
    tarn_writer_u64le(&w, l->entries);
    tarn_writer_u32le(&w, log->block_bytes);
    tarn_writer_zero(&w, tarn_writer_room(&w));
    /* Never more entries than are there. */
    bool can_flush = log->features & TARN_BLK_CAN_FLUSH;
    enum tarn_err err = can_flush ? tarn_blk_flush(log, waiter) : TARN_OK;
    if (!err)
        err = tarn_blk_write(log, waiter, 0, tarn_bytes_span(l->block));
    return !err && can_flush ? tarn_blk_flush(log, waiter) : err;
}

static bool has_room(const struct tarn_blk_log *l, uint64_t data_blocks) {
    uint64_t left = l->config.log->blocks - l->next_at;
    return left > 0 && data_blocks <= left - 1;
}

static enum tarn_err append(struct tarn_blk_log *l, struct tarn_waiter *waiter,
                            const struct tarn_blk_log_entry *e, struct tarn_span data) {
    struct tarn_blk *log = l->config.log;
    struct tarn_writer w = tarn_writer_over(l->block);
    if (!has_room(l, data.len / log->block_bytes))
        return TARN_LIMIT;
    tarn_writer_u64le(&w, e->block);
    tarn_writer_u64le(&w, e->blocks);
    tarn_writer_u64le(&w, e->flags);
    tarn_writer_u64le(&w, e->mark.len);
    tarn_writer_span_put(&w, e->mark);
    tarn_writer_zero(&w, tarn_writer_room(&w));
    enum tarn_err err = tarn_blk_write(log, waiter, l->next_at, tarn_bytes_span(l->block));
    if (!err)
        err = tarn_blk_write(log, waiter, l->next_at + 1, data);
    if (err)
        return err;
    l->next_at += 1 + data.len / log->block_bytes;
    l->entries++;
    return TARN_OK;
}

static enum tarn_err serve(struct tarn_blk_worker *worker, struct tarn_blk_req *req,
                           struct tarn_waiter *waiter) {
    struct tarn_blk_log *l = TARN_CONTAINER_OF(worker, struct tarn_blk_log, worker);
    struct tarn_blk *lower = l->config.lower;
    struct tarn_blk_log_entry e = {.block = req->block};
    struct tarn_span data = TARN_SPAN_EMPTY;
    enum tarn_err err = TARN_OK;
    switch (req->op) {
    case TARN_BLK_READ: return tarn_blk_read(lower, waiter, req->block, req->data);
    case TARN_BLK_WRITE:
        data = tarn_bytes_span(req->data);
        e.blocks = data.len / lower->block_bytes;
        break;
    case TARN_BLK_DISCARD:
        e.blocks = req->blocks;
        e.flags = TARN_BLK_LOG_DISCARD;
        break;
    case TARN_BLK_FLUSH:
        e.block = 0;
        e.flags = TARN_BLK_LOG_FLUSH;
        break;
    }
    if (!has_room(l, data.len / lower->block_bytes))
        return TARN_LIMIT;
    if (req->op == TARN_BLK_WRITE)
        err = tarn_blk_write(lower, waiter, req->block, data);
    else if (req->op == TARN_BLK_DISCARD)
        err = tarn_blk_discard(lower, waiter, req->block, req->blocks);
    else
        err = tarn_blk_flush(lower, waiter);
    if (!err)
        err = append(l, waiter, &e, data);
    return !err && req->op == TARN_BLK_FLUSH ? put_super(l, waiter) : err;
}

enum tarn_err tarn_blk_log_mark(struct tarn_blk_log *log, struct tarn_waiter *waiter,
                                struct tarn_span text) {
    struct tarn_blk_log_entry e = {.flags = TARN_BLK_LOG_MARK, .mark = text};
    if (text.len > MARK_BYTES_MAX)
        return TARN_INVALID;
    enum tarn_err err = append(log, waiter, &e, TARN_SPAN_EMPTY);
    return err ? err : put_super(log, waiter);
}

enum tarn_err tarn_blk_log_new(const struct tarn_blk_log_config *config, struct tarn_waiter *waiter,
                               struct tarn_blk_log **out) {
    const struct tarn_blk *lower = config->lower;
    if (lower->block_bytes != config->log->block_bytes || config->log->blocks < 2)
        return TARN_INVALID;
    struct tarn_blk_log *l = TARN_NEW(config->alloc, struct tarn_blk_log);
    if (!l)
        return TARN_LIMIT;
    l->config = *config;
    l->next_at = 1;
    l->block =
        tarn_bytes_of(tarn_alloc_get(config->alloc, lower->block_bytes, 8), lower->block_bytes);
    enum tarn_err err = l->block.ptr ? put_super(l, waiter) : TARN_LIMIT;
    if (err) {
        tarn_blk_log_delete(l);
        return err;
    }
    tarn_blk_worker_init(&l->worker, config->tasks, serve);
    const struct tarn_blk_ops *ops = l->worker.blk.ops;
    l->worker.blk = *lower;
    l->worker.blk.ops = ops;
    *out = l;
    return TARN_OK;
}

struct tarn_blk_worker *tarn_blk_log_worker(struct tarn_blk_log *log) {
    return &log->worker;
}

uint64_t tarn_blk_log_entries(const struct tarn_blk_log *log) {
    return log->entries;
}

void tarn_blk_log_delete(struct tarn_blk_log *log) {
    struct tarn_alloc *alloc = log->config.alloc;
    tarn_alloc_put(alloc, log->block.ptr, log->block.len);
    tarn_alloc_put(alloc, log, sizeof *log);
}

/* -- reading --------------------------------------------------------------------------------------
 */

enum tarn_err tarn_blk_log_open(struct tarn_blk_log_reader *reader, struct tarn_blk *log,
                                struct tarn_waiter *waiter, struct tarn_bytes buffer) {
    uint64_t magic, version, entries;
    uint32_t sector_bytes;
    if (buffer.len < log->block_bytes)
        return TARN_INVALID;
    buffer.len -= buffer.len % log->block_bytes;
    struct tarn_bytes block = tarn_bytes_first(buffer, log->block_bytes);
    enum tarn_err err = tarn_blk_read(log, waiter, 0, block);
    struct tarn_span in = tarn_bytes_span(block);
    if (err)
        return err;
    if (!tarn_span_u64le(&in, &magic) || magic != MAGIC || !tarn_span_u64le(&in, &version)
        || version != VERSION || !tarn_span_u64le(&in, &entries)
        || !tarn_span_u32le(&in, &sector_bytes) || sector_bytes != log->block_bytes)
        return TARN_PEER;
    *reader = (struct tarn_blk_log_reader){
        .log = log, .waiter = waiter, .buffer = buffer, .entries = entries, .next_at = 1};
    return TARN_OK;
}

enum tarn_err tarn_blk_log_next(struct tarn_blk_log_reader *r, struct tarn_blk_log_entry *e) {
    struct tarn_bytes block = tarn_bytes_first(r->buffer, r->log->block_bytes);
    uint64_t mark_bytes;
    if (r->index == r->entries)
        return TARN_EOF;
    if (r->next_at >= r->log->blocks)
        return TARN_PEER;
    enum tarn_err err = tarn_blk_read(r->log, r->waiter, r->next_at, block);
    struct tarn_span in = tarn_bytes_span(block);
    if (err)
        return err;
    *e = (struct tarn_blk_log_entry){.data_at = r->next_at + 1};
    if (!tarn_span_u64le(&in, &e->block) || !tarn_span_u64le(&in, &e->blocks)
        || !tarn_span_u64le(&in, &e->flags) || !tarn_span_u64le(&in, &mark_bytes))
        return TARN_PEER;
    if (e->flags & TARN_BLK_LOG_MARK && !tarn_span_take(&in, (size_t)mark_bytes, &e->mark))
        return TARN_PEER;
    bool has_data = !(e->flags & (TARN_BLK_LOG_DISCARD | TARN_BLK_LOG_MARK));
    uint64_t data_blocks = has_data ? e->blocks : 0;
    if (data_blocks > r->log->blocks - e->data_at)
        return TARN_PEER;
    r->next_at = e->data_at + data_blocks;
    r->index++;
    return TARN_OK;
}

enum tarn_err tarn_blk_log_apply(struct tarn_blk_log_reader *r, const struct tarn_blk_log_entry *e,
                                 struct tarn_blk *target) {
    uint64_t at = e->data_at, to = e->block, left = e->blocks;
    if (e->flags & TARN_BLK_LOG_MARK || left == 0)
        return TARN_OK;
    if (to > target->blocks || left > target->blocks - to
        || target->block_bytes != r->log->block_bytes)
        return TARN_INVALID;
    if (e->flags & TARN_BLK_LOG_DISCARD)
        return target->features & TARN_BLK_CAN_DISCARD
                   ? tarn_blk_discard(target, r->waiter, to, left)
                   : TARN_OK;
    while (left) {
        uint64_t n = TARN_MIN(left, (uint64_t)(r->buffer.len / target->block_bytes));
        struct tarn_bytes data = tarn_bytes_first(r->buffer, (size_t)n * target->block_bytes);
        enum tarn_err err = tarn_blk_read(r->log, r->waiter, at, data);
        if (!err)
            err = tarn_blk_write(target, r->waiter, to, tarn_bytes_span(data));
        if (err)
            return err;
        at += n;
        to += n;
        left -= n;
    }
    return TARN_OK;
}
