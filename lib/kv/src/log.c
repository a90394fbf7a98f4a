/* SPDX-License-Identifier: ISC */
/* The log: a ring of records, each one write (docs/kv-format.md). A record is good if it sums up,
 * is the one that is due, and names the checksum of the one before: so what an earlier life of the
 * store left behind in the ring is never taken for a part of this one. */
#include "tree.h"
#include "xxh64.h"

#define MAGIC 0x6c766b74u /* "tkvl" */
#define GONE UINT16_MAX   /* as the length of a value: there is no such row */
#define ROW_OVERHEAD 4u

static uint32_t unit_bytes(const struct tarn_kv_tree *t) {
    return t->newest.unit_bytes;
}

static uint64_t units_of(const struct tarn_kv_tree *t, size_t bytes) {
    return (bytes + unit_bytes(t) - 1) / unit_bytes(t);
}

enum tarn_err log_init(struct tarn_kv_tree *t) {
    struct log *l = &t->log;
    uint64_t units = t->newest.log_pages * PAGE_BYTES / unit_bytes(t);
    size_t bytes = (size_t)units_of(t, t->newest.record_bytes) * unit_bytes(t);
    *l = (struct log){.units = (uint32_t)TARN_MIN(units, (uint64_t)UINT32_MAX),
                      .first_block = ROOT_SLOTS * (PAGE_BYTES / t->blk->block_bytes)};
    for (size_t i = 0; i < 2; i++) {
        TARN_AT(l->buffers, i) = tarn_bytes_of(tarn_alloc_get(t->config.alloc, bytes, 16), bytes);
        if (!TARN_AT(l->buffers, i).ptr)
            return TARN_LIMIT;
    }
    return TARN_OK;
}

void log_fini(struct tarn_kv_tree *t) {
    for (size_t i = 0; i < 2; i++)
        tarn_alloc_put(t->config.alloc, TARN_AT(t->log.buffers, i).ptr,
                       TARN_AT(t->log.buffers, i).len);
}

uint64_t log_units_with(const struct tarn_kv_tree *t, size_t bytes) {
    return units_of(t, TARN_MAX(t->log.filled, (size_t)LOG_HEADER_BYTES) + bytes);
}

uint64_t log_room(const struct tarn_kv_tree *t) {
    const struct log *l = &t->log;
    uint64_t used = l->tail.unit - roots_base(&t->roots)->log.unit;
    return used < l->units ? l->units - used : 0;
}

/* -- the device -----------------------------------------------------------------------------------
 */

/* A run of units that may go over the ring's end. */
static enum tarn_err transfer(struct tarn_kv_tree *t, bool write, uint64_t unit,
                              struct tarn_bytes data) {
    struct log *l = &t->log;
    uint64_t at = unit % l->units, blocks = unit_bytes(t) / t->blk->block_bytes;
    while (data.len) {
        struct tarn_bytes run = data;
        if (data.len / unit_bytes(t) > l->units - at)
            run = tarn_bytes_first(data, (size_t)(l->units - at) * unit_bytes(t));
        uint64_t block = l->first_block + at * blocks;
        enum tarn_err err =
            write ? tarn_blk_write(t->blk, tree_waiter(t), block, tarn_bytes_span(run))
                  : tarn_blk_read(t->blk, tree_waiter(t), block, run);
        if (err)
            return err;
        data = tarn_bytes_after(data, run.len);
        at = 0;
    }
    return TARN_OK;
}

/* -- writing --------------------------------------------------------------------------------------
 */

size_t log_row_bytes(const struct row *r) {
    return ROW_OVERHEAD + (size_t)r->key_len + r->value_len;
}

/* The header of the record, once its rows are there; the ring's tail moves behind it. */
static struct tarn_bytes seal(struct tarn_kv_tree *t, struct tarn_bytes buffer, size_t len) {
    struct log *l = &t->log;
    struct tarn_bytes record = tarn_bytes_first(buffer, (size_t)units_of(t, len) * unit_bytes(t));
    struct tarn_writer w = tarn_writer_over(tarn_bytes_after(record, 8));
    tarn_writer_u32le(&w, MAGIC);
    tarn_writer_u32le(&w, (uint32_t)len);
    tarn_writer_u64le(&w, l->tail.seq);
    tarn_writer_u64le(&w, l->tail.chain);
    tarn_writer_u64le(&w, l->nonce);
    tarn_writer_u64le(&w, t->store.view.next_id);
    tarn_bytes_fill(tarn_bytes_after(record, len), 0);
    uint64_t checksum = xxh64(tarn_span_after(tarn_span_first(tarn_bytes_span(record), len), 8), 0);
    w = tarn_writer_over(record);
    tarn_writer_u64le(&w, checksum);
    l->tail.unit += units_of(t, len);
    l->tail.seq++;
    l->tail.chain = checksum;
    return record;
}

static enum tarn_err write_record(struct tarn_kv_tree *t) {
    struct log *l = &t->log;
    uint64_t unit = l->tail.unit, seq = l->tail.seq;
    struct tarn_bytes record = seal(t, TARN_AT(l->buffers, l->filling), l->filled);
    l->writing = true;
    l->filling ^= 1;
    l->filled = 0;
    enum tarn_err err = transfer(t, true, unit, record);
    if (!err)
        err = tree_flush(t);
    if (err)
        t->failed = true;
    else
        l->durable_seq = seq + 1;
    t->stat.log_writes++;
    t->stat.log_bytes_written += record.len;
    l->writing = false;
    for (struct log_wait *w = l->waits; w; w = w->next)
        w->waiter->ops->wake(w->waiter);
    return err;
}

static void wait_remove(struct log *l, struct log_wait *wait) {
    struct log_wait **link = &l->waits;
    while (*link != wait)
        link = &(*link)->next;
    *link = wait->next;
}

/* Until record `seq` is durable, or nobody writes. When this fiber runs again, another may have
 * begun the next record long ago: that one is not waited for. */
static enum tarn_err wait_for_writer(struct tarn_kv_tree *t, uint64_t seq) {
    struct log *l = &t->log;
    struct log_wait wait = {.waiter = tree_waiter(t)}, **link = &l->waits;
    enum tarn_err err = TARN_OK;
    while (*link)
        link = &(*link)->next;
    *link = &wait;
    while (!err && l->writing && l->durable_seq <= seq)
        err = wait.waiter->ops->wait(wait.waiter, TARN_NEVER);
    wait_remove(l, &wait);
    return err || t->failed ? TARN_IO : TARN_OK;
}

enum tarn_err log_wait(struct tarn_kv_tree *t, uint64_t seq) {
    while (t->log.durable_seq <= seq) {
        enum tarn_err err = t->failed        ? TARN_IO
                            : t->log.writing ? wait_for_writer(t, seq)
                                             : write_record(t);
        if (err)
            return err;
    }
    return TARN_OK;
}

enum tarn_err log_sync(struct tarn_kv_tree *t) {
    enum tarn_err err = TARN_OK;
    while (!err && (t->log.writing || t->log.filled))
        err = t->log.writing ? wait_for_writer(t, UINT64_MAX) : write_record(t);
    return err;
}

enum tarn_err log_append(struct tarn_kv_tree *t, uint32_t table, size_t bytes, uint64_t *seq) {
    struct log *l = &t->log;
    struct rows_walk walk;
    const struct row *r;
    if (l->filled + bytes > t->newest.record_bytes) {
        enum tarn_err err = log_sync(t);
        if (err)
            return err;
    }
    struct tarn_writer w = tarn_writer_over(TARN_AT(l->buffers, l->filling));
    tarn_writer_zero(&w, l->filled ? 0 : LOG_HEADER_BYTES);
    w.len = TARN_MAX(l->filled, (size_t)LOG_HEADER_BYTES);
    rows_walk_begin(&walk, &t->rows, table);
    while ((r = rows_walk_next(&walk))) {
        tarn_writer_u16le(&w, r->key_len);
        tarn_writer_u16le(&w, r->gone ? GONE : r->value_len);
        tarn_writer_span_put(&w, row_key(r));
        tarn_writer_span_put(&w, row_value(r));
    }
    TARN_ASSERT(tarn_writer_ok(&w) && w.len <= t->newest.record_bytes);
    l->filled = w.len;
    *seq = l->tail.seq;
    return TARN_OK;
}

/* -- reading --------------------------------------------------------------------------------------
 */

struct header {
    uint64_t checksum, seq, chain, nonce, next_id;
    uint32_t magic, len;
};

static bool header_of(struct tarn_span s, struct header *h) {
    return tarn_span_u64le(&s, &h->checksum) && tarn_span_u32le(&s, &h->magic)
           && tarn_span_u32le(&s, &h->len) && tarn_span_u64le(&s, &h->seq)
           && tarn_span_u64le(&s, &h->chain) && tarn_span_u64le(&s, &h->nonce)
           && tarn_span_u64le(&s, &h->next_id) && h->magic == MAGIC && h->len >= LOG_HEADER_BYTES;
}

/* A whole record, whichever it is. TARN_EOF: there is none. */
static enum tarn_err record_read(struct tarn_kv_tree *t, uint64_t unit, struct header *h,
                                 struct tarn_span *record) {
    struct tarn_bytes buffer = TARN_AT(t->log.buffers, 0);
    enum tarn_err err = transfer(t, false, unit, tarn_bytes_first(buffer, unit_bytes(t)));
    if (err)
        return err;
    if (!header_of(tarn_bytes_span(buffer), h) || h->len > t->newest.record_bytes)
        return TARN_EOF;
    struct tarn_bytes rest = tarn_bytes_first(buffer, (size_t)units_of(t, h->len) * unit_bytes(t));
    err = transfer(t, false, unit + 1, tarn_bytes_after(rest, unit_bytes(t)));
    *record = tarn_span_first(tarn_bytes_span(buffer), h->len);
    if (!err && xxh64(tarn_span_after(*record, 8), 0) != h->checksum)
        return TARN_EOF;
    return err;
}

/* The log seems to end at `place`. A record is only written when the one before it is durable, so
 * one that is later, there or further on, tells that this is damage (or that `place` is too old).
 */
static enum tarn_err end_check(struct tarn_kv_tree *t, const struct log_place *place) {
    for (uint64_t i = 0; i <= units_of(t, t->newest.record_bytes); i++) {
        struct tarn_span record;
        struct header h;
        enum tarn_err err = record_read(t, place->unit + i, &h, &record);
        if (!err && h.seq > place->seq)
            return TARN_IO;
        if (err && err != TARN_EOF)
            return err;
    }
    return TARN_EOF;
}

enum tarn_err log_read(struct tarn_kv_tree *t, struct log_place *place, struct tarn_span *rows,
                       uint64_t *next_id) {
    struct tarn_span record;
    struct header h;
    enum tarn_err err = record_read(t, place->unit, &h, &record);
    if (!err && (h.seq != place->seq || h.chain != place->chain))
        err = TARN_EOF;
    if (err)
        return err == TARN_EOF && tree_can_flush(t) ? end_check(t, place) : err;
    *rows = tarn_span_after(record, LOG_HEADER_BYTES);
    *next_id = h.next_id;
    place->unit += units_of(t, h.len);
    place->seq++;
    place->chain = h.checksum;
    return TARN_OK;
}

enum tarn_err log_reaches(struct tarn_kv_tree *t, const struct root_block *root) {
    struct log_place at = root->log;
    enum tarn_err err = TARN_OK;
    if (root->reach < at.seq)
        return TARN_OK;
    while (!err && at.seq < root->reach) {
        struct tarn_span rows;
        uint64_t next_id;
        err = log_read(t, &at, &rows, &next_id);
    }
    /* Another line of records may have come to the same number. */
    if (!err && at.chain != root->reach_chain)
        err = TARN_EOF;
    return err == TARN_EOF ? TARN_IO : err;
}

bool log_row(struct tarn_span *rows, struct tarn_span *key, struct tarn_span *value, bool *gone) {
    uint16_t key_len, value_len;
    if (!tarn_span_u16le(rows, &key_len) || !tarn_span_u16le(rows, &value_len))
        return false;
    *gone = value_len == GONE;
    value_len = *gone ? 0 : value_len;
    return key_len <= ROW_KEY_MAX && (size_t)key_len + value_len <= ROW_BYTES_MAX
           && tarn_span_take(rows, key_len, key) && tarn_span_take(rows, value_len, value);
}
