/* SPDX-License-Identifier: ISC */
#include <tarn/blk_cache.h>

#include "internal.h"

#define WAYS 8u
#define TOGETHER 8u /* lines read or written at once: fewer than there are sets */

enum line_state { EMPTY, CLEAN, DIRTY };
struct line {
    uint64_t number; /* which line of the device */
    uint64_t used;   /* when, by `clock` */
    enum line_state state;
};

struct tarn_blk_cache {
    struct tarn_blk_worker worker;
    struct tarn_blk_cache_config config;
    struct tarn_blk_cache_counters counters;
    struct line *lines;
    struct tarn_bytes memory;
    uint32_t sets, blocks_per_line;
    uint64_t clock;
};

/* -- lines ----------------------------------------------------------------------------------------
 */

static struct line *line_at(const struct tarn_blk_cache *c, uint32_t i) {
    return &TARN_AT_N(c->lines, c->config.lines, i);
}

static uint32_t index_of(const struct tarn_blk_cache *c, const struct line *line) {
    return (uint32_t)(((uintptr_t)line - (uintptr_t)c->lines) / sizeof *line);
}

/* The last line of a device may be shorter. */
static struct tarn_bytes data_of(const struct tarn_blk_cache *c, const struct line *line) {
    uint64_t left = c->config.lower->blocks - line->number * c->blocks_per_line;
    size_t at = (size_t)index_of(c, line) * c->config.line_bytes;
    uint64_t blocks = TARN_MIN(left, (uint64_t)c->blocks_per_line);
    return tarn_bytes_first(tarn_bytes_after(c->memory, at),
                            (size_t)blocks * c->config.lower->block_bytes);
}

static struct line *find(const struct tarn_blk_cache *c, uint64_t number) {
    uint32_t set = (uint32_t)(number % c->sets) * WAYS;
    for (uint32_t i = 0; i < WAYS; i++) {
        struct line *line = line_at(c, set + i);
        if (line->state != EMPTY && line->number == number)
            return line;
    }
    return NULL;
}

static struct tarn_blk_io io_of(const struct tarn_blk_cache *c, enum tarn_blk_op op,
                                const struct line *line) {
    return (struct tarn_blk_io){
        .req = {.op = op, .block = line->number * c->blocks_per_line, .data = data_of(c, line)}};
}

static enum tarn_err write_out(struct tarn_blk_cache *c, struct line *lines[TOGETHER], size_t n,
                               struct tarn_waiter *waiter) {
    struct tarn_blk_io ios[TOGETHER];
    for (size_t i = 0; i < n; i++)
        TARN_AT(ios, i) = io_of(c, TARN_BLK_WRITE, TARN_AT_N(lines, TOGETHER, i));
    enum tarn_err err = tarn_blk_run(c->config.lower, waiter, ios, n);
    for (size_t i = 0; i < n; i++) {
        if (err && TARN_AT(ios, i).req.result)
            continue;
        TARN_AT_N(lines, TOGETHER, i)->state = CLEAN;
        c->counters.written_back++;
    }
    return err;
}

/* A line for `number`, which is in none: the set's least recently used, emptied. */
static enum tarn_err claim(struct tarn_blk_cache *c, uint64_t number, struct tarn_waiter *waiter,
                           struct line **out) {
    uint32_t set = (uint32_t)(number % c->sets) * WAYS;
    struct line *victim = line_at(c, set);
    for (uint32_t i = 1; i < WAYS; i++) {
        struct line *line = line_at(c, set + i);
        if (victim->state != EMPTY && (line->state == EMPTY || line->used < victim->used))
            victim = line;
    }
    if (victim->state == DIRTY) {
        struct line *one[TOGETHER] = {victim};
        enum tarn_err err = write_out(c, one, 1, waiter);
        if (err)
            return err;
    }
    c->counters.evicted += victim->state != EMPTY;
    *victim = (struct line){.number = number};
    *out = victim;
    return TARN_OK;
}

/* -- a window of consecutive lines ----------------------------------------------------------------
 */

/* The part of a request that lies in at most TOGETHER lines. */
struct window {
    uint64_t first; /* line */
    size_t count;
    size_t offset; /* of the data in the first line, in bytes */
    struct tarn_bytes data;
    struct line *lines[TOGETHER];
};

static struct window window_of(const struct tarn_blk_cache *c, uint64_t block,
                               struct tarn_bytes data) {
    struct window w = {.first = block / c->blocks_per_line};
    w.offset = (size_t)(block % c->blocks_per_line) * c->config.lower->block_bytes;
    w.data = tarn_bytes_first(data, (size_t)TOGETHER * c->config.line_bytes - w.offset);
    w.count = (w.offset + w.data.len + c->config.line_bytes - 1) / c->config.line_bytes;
    return w;
}

/* Where the window's data lies in its i-th line, and that piece of the data. */
static struct tarn_bytes part_of(const struct tarn_blk_cache *c, const struct window *w, size_t i,
                                 struct tarn_bytes *data) {
    struct tarn_bytes in_line = data_of(c, TARN_AT(w->lines, i));
    size_t before = i ? i * c->config.line_bytes - w->offset : 0;
    if (i == 0)
        in_line = tarn_bytes_after(in_line, w->offset);
    *data = tarn_bytes_first(tarn_bytes_after(w->data, before), in_line.len);
    return tarn_bytes_first(in_line, data->len);
}

/* Finds or makes the window's lines, and loads those whose old contents are needed. */
static enum tarn_err open_window(struct tarn_blk_cache *c, struct window *w, bool overwrite,
                                 struct tarn_waiter *waiter) {
    struct tarn_blk_io ios[TOGETHER];
    struct line *loading[TOGETHER];
    size_t n = 0;
    for (size_t i = 0; i < w->count; i++) {
        struct line **line = &TARN_AT(w->lines, i);
        *line = find(c, w->first + i);
        if (*line) {
            c->counters.hits++;
        } else {
            struct tarn_bytes data;
            enum tarn_err err = claim(c, w->first + i, waiter, line);
            if (err)
                return err;
            c->counters.misses++;
            part_of(c, w, i, &data);
            if (!overwrite || data.len < data_of(c, *line).len) {
                TARN_AT(ios, n) = io_of(c, TARN_BLK_READ, *line);
                TARN_AT(loading, n) = *line;
                n++;
            }
        }
        (*line)->used = ++c->clock;
    }
    enum tarn_err err = tarn_blk_run(c->config.lower, waiter, ios, n);
    for (size_t i = 0; i < n && !err; i++)
        TARN_AT(loading, i)->state = CLEAN;
    return err;
}

static enum tarn_err read_window(struct tarn_blk_cache *c, struct window *w,
                                 struct tarn_waiter *waiter) {
    enum tarn_err err = open_window(c, w, false, waiter);
    for (size_t i = 0; i < w->count && !err; i++) {
        struct tarn_bytes data, in_line = part_of(c, w, i, &data);
        tarn_bytes_copy(data, tarn_bytes_span(in_line));
    }
    return err;
}

static enum tarn_err write_back_window(struct tarn_blk_cache *c, struct window *w,
                                       struct tarn_waiter *waiter) {
    enum tarn_err err = open_window(c, w, true, waiter);
    for (size_t i = 0; i < w->count && !err; i++) {
        struct tarn_bytes data, in_line = part_of(c, w, i, &data);
        tarn_bytes_copy(in_line, tarn_bytes_span(data));
        TARN_AT(w->lines, i)->state = DIRTY;
    }
    return err;
}

/* The device first; then what the cache has of it. After an error nobody knows what is there. */
static enum tarn_err write_through_window(struct tarn_blk_cache *c, struct window *w,
                                          uint64_t block, struct tarn_waiter *waiter) {
    enum tarn_err err = tarn_blk_write(c->config.lower, waiter, block, tarn_bytes_span(w->data));
    for (size_t i = 0; i < w->count; i++) {
        struct line *line = TARN_AT(w->lines, i) = find(c, w->first + i);
        if (!line)
            continue;
        struct tarn_bytes data, in_line = part_of(c, w, i, &data);
        tarn_bytes_copy(in_line, tarn_bytes_span(data));
        if (err)
            line->state = EMPTY;
    }
    return err;
}

/* -- requests -------------------------------------------------------------------------------------
 */

static enum tarn_err transfer(struct tarn_blk_cache *c, const struct tarn_blk_req *req,
                              struct tarn_waiter *waiter) {
    struct tarn_bytes data = req->data;
    uint64_t block = req->block;
    enum tarn_err err = TARN_OK;
    while (data.len && !err) {
        struct window w = window_of(c, block, data);
        if (req->op == TARN_BLK_READ)
            err = read_window(c, &w, waiter);
        else if (c->config.write_back)
            err = write_back_window(c, &w, waiter);
        else
            err = write_through_window(c, &w, block, waiter);
        block += w.data.len / c->config.lower->block_bytes;
        data = tarn_bytes_after(data, w.data.len);
    }
    return err;
}

/* Writes out the dirty lines that touch blocks [first, end); all are tried, the first error counts.
 */
static enum tarn_err clean(struct tarn_blk_cache *c, uint64_t first, uint64_t end,
                           struct tarn_waiter *waiter) {
    struct line *lines[TOGETHER];
    enum tarn_err err = TARN_OK, one;
    size_t n = 0;
    for (uint32_t i = 0; i < c->config.lines; i++) {
        struct line *line = line_at(c, i);
        uint64_t at = line->number * c->blocks_per_line;
        if (line->state != DIRTY || at >= end || at + c->blocks_per_line <= first)
            continue;
        TARN_AT(lines, n) = line;
        if (++n == TOGETHER) {
            one = write_out(c, lines, n, waiter);
            err = err ? err : one;
            n = 0;
        }
    }
    one = write_out(c, lines, n, waiter);
    return err ? err : one;
}

static enum tarn_err discard(struct tarn_blk_cache *c, const struct tarn_blk_req *req,
                             struct tarn_waiter *waiter) {
    uint64_t end = req->block + req->blocks;
    enum tarn_err err = clean(c, req->block, end, waiter);
    if (err)
        return err;
    for (uint32_t i = 0; i < c->config.lines; i++) {
        struct line *line = line_at(c, i);
        uint64_t at = line->number * c->blocks_per_line;
        if (at < end && at + c->blocks_per_line > req->block)
            line->state = EMPTY;
    }
    return tarn_blk_discard(c->config.lower, waiter, req->block, req->blocks);
}

static enum tarn_err serve(struct tarn_blk_worker *worker, struct tarn_blk_req *req,
                           struct tarn_waiter *waiter) {
    struct tarn_blk_cache *c = TARN_CONTAINER_OF(worker, struct tarn_blk_cache, worker);
    enum tarn_err err;
    switch (req->op) {
    case TARN_BLK_READ:
    case TARN_BLK_WRITE: return transfer(c, req, waiter);
    case TARN_BLK_DISCARD: return discard(c, req, waiter);
    case TARN_BLK_FLUSH: break;
    }
    err = clean(c, 0, UINT64_MAX, waiter);
    return err ? err : tarn_blk_flush(c->config.lower, waiter);
}

/* -- making one -----------------------------------------------------------------------------------
 */

enum tarn_err tarn_blk_cache_new(const struct tarn_blk_cache_config *config,
                                 struct tarn_blk_cache **out) {
    const struct tarn_blk *lower = config->lower;
    if (!blk_is_block_size(config->line_bytes) || config->line_bytes < lower->block_bytes
        || config->line_bytes / lower->block_bytes > lower->blocks_per_request_max
        || config->lines == 0 || config->lines % (WAYS * TOGETHER))
        return TARN_INVALID;
    if (config->write_back && !(lower->features & TARN_BLK_CAN_FLUSH))
        return TARN_UNSUPPORTED;
    struct tarn_blk_cache *c = TARN_NEW(config->alloc, struct tarn_blk_cache);
    if (!c)
        return TARN_LIMIT;
    c->config = *config;
    c->lines = TARN_NEW_ARRAY(config->alloc, config->lines, struct line);
    c->memory.ptr = tarn_alloc_array(config->alloc, config->lines, config->line_bytes,
                                     TARN_MAX(lower->align_bytes, 1u));
    c->memory.len = (size_t)config->lines * config->line_bytes;
    c->sets = config->lines / WAYS;
    c->blocks_per_line = config->line_bytes / lower->block_bytes;
    if (!c->lines || !c->memory.ptr) {
        tarn_blk_cache_delete(c);
        return TARN_LIMIT;
    }
    tarn_blk_worker_init(&c->worker, config->tasks, serve);
    const struct tarn_blk_ops *ops = c->worker.blk.ops;
    c->worker.blk = *lower;
    c->worker.blk.ops = ops;
    c->worker.blk.align_bytes = 1;
    *out = c;
    return TARN_OK;
}

struct tarn_blk_worker *tarn_blk_cache_worker(struct tarn_blk_cache *cache) {
    return &cache->worker;
}

const struct tarn_blk_cache_counters *tarn_blk_cache_counters(const struct tarn_blk_cache *cache) {
    return &cache->counters;
}

void tarn_blk_cache_delete(struct tarn_blk_cache *c) {
    struct tarn_blk_cache_config config = c->config;
    tarn_alloc_put(config.alloc, c->memory.ptr, c->memory.len);
    tarn_alloc_put(config.alloc, c->lines, config.lines * sizeof *c->lines);
    tarn_alloc_put(config.alloc, c, sizeof *c);
}
