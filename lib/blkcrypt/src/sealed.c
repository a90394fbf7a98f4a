/* SPDX-License-Identifier: ISC */
#include "sealed.h"

/* -- sealing --------------------------------------------------------------------------------------
 */

static struct tarn_span nonce_of(const struct tarn_blk_sealed *s, const struct seal *seal) {
    return tarn_span_first(TARN_SPAN_ARRAY(seal->nonce),
                           TARN_MIN((size_t)NONCE_BYTES, s->config.aead->nonce_bytes_max));
}

static struct tarn_span place_put(struct tarn_writer *w, uint64_t at) {
    tarn_writer_u64le(w, at);
    return tarn_writer_span(w);
}

enum tarn_err sealed_seal(struct tarn_blk_sealed *s, uint64_t at, struct tarn_span plain,
                          struct tarn_bytes out, struct seal *seal) {
    struct tarn_bytes room = tarn_bytes_first(TARN_BYTES_ARRAY(s->other), plain.len + TAG_BYTES);
    uint8_t place[8];
    struct tarn_writer w = TARN_WRITER_ARRAY(place);
    tarn_random_fill(s->config.random, TARN_BYTES_ARRAY(seal->nonce));
    enum tarn_err err = tarn_aead_seal(&s->aead, nonce_of(s, seal), place_put(&w, at), plain, room);
    if (err)
        return TARN_IO;
    tarn_bytes_copy(out, tarn_span_first(tarn_bytes_span(room), plain.len));
    tarn_bytes_copy(TARN_BYTES_ARRAY(seal->tag), tarn_span_after(tarn_bytes_span(room), plain.len));
    return TARN_OK;
}

enum tarn_err sealed_open(struct tarn_blk_sealed *s, uint64_t at, const struct seal *seal,
                          struct tarn_span sealed, struct tarn_bytes out) {
    struct tarn_bytes room = tarn_bytes_first(TARN_BYTES_ARRAY(s->other), sealed.len + TAG_BYTES);
    uint8_t place[8];
    struct tarn_writer w = TARN_WRITER_ARRAY(place);
    size_t len;
    tarn_bytes_copy(room, sealed);
    tarn_bytes_copy(tarn_bytes_after(room, sealed.len), TARN_SPAN_ARRAY(seal->tag));
    return tarn_aead_open(&s->aead, nonce_of(s, seal), place_put(&w, at), tarn_bytes_span(room),
                          out, &len);
}

/* -- where things are -----------------------------------------------------------------------------
 */

uint32_t sealed_per_group(const struct tarn_blk *lower) {
    return (lower->block_bytes - TABLE_HEAD_BYTES) / ENTRY_BYTES;
}
uint64_t sealed_table_at(const struct tarn_blk_sealed *s, uint64_t group) {
    return 1 + group * (s->per_group + 1);
}
static uint64_t data_at(const struct tarn_blk_sealed *s, uint64_t block) {
    return sealed_table_at(s, block / s->per_group) + 1 + block % s->per_group;
}

static struct entry entry_get(const struct table *t, size_t i) {
    struct tarn_span in = tarn_span_after(tarn_bytes_span(t->bytes), i * ENTRY_BYTES);
    struct entry e;
    bool whole = tarn_span_copy(&in, &e.old, SEAL_BYTES) && tarn_span_copy(&in, &e.new, SEAL_BYTES);
    TARN_ASSERT(whole);
    return e;
}

static void entry_put(struct table *t, size_t i, const struct entry *e) {
    struct tarn_writer w = tarn_writer_over(tarn_bytes_after(t->bytes, i * ENTRY_BYTES));
    tarn_writer_mem(&w, &e->old, SEAL_BYTES);
    tarn_writer_mem(&w, &e->new, SEAL_BYTES);
}

static struct tarn_span seal_span(const struct seal *s) {
    return tarn_span_of(s, SEAL_BYTES);
}
static bool seal_equal(const struct seal *a, const struct seal *b) {
    return tarn_span_equal(seal_span(a), seal_span(b));
}
static bool seal_none(const struct seal *a) {
    static const struct seal none;
    return seal_equal(a, &none);
}

/* -- tables ---------------------------------------------------------------------------------------
 */

static enum tarn_err barrier(struct tarn_blk_sealed *s, struct tarn_waiter *waiter) {
    struct tarn_blk *lower = s->config.lower;
    return lower->features & TARN_BLK_CAN_FLUSH ? tarn_blk_flush(lower, waiter) : TARN_OK;
}

enum tarn_err sealed_table_store(struct tarn_blk_sealed *s, uint64_t group,
                                 struct tarn_span entries, struct tarn_waiter *waiter) {
    struct tarn_bytes block =
        tarn_bytes_first(TARN_BYTES_ARRAY(s->block), s->config.lower->block_bytes);
    struct seal seal;
    tarn_bytes_fill(block, 0);
    enum tarn_err err = sealed_seal(s, sealed_table_at(s, group), entries,
                                    tarn_bytes_after(block, TABLE_HEAD_BYTES), &seal);
    tarn_bytes_copy(block, seal_span(&seal));
    return err ? err
               : tarn_blk_write(s->config.lower, waiter, sealed_table_at(s, group),
                                tarn_bytes_span(block));
}

enum tarn_err sealed_table_fetch(struct tarn_blk_sealed *s, uint64_t group,
                                 struct tarn_bytes entries, struct tarn_waiter *waiter) {
    struct tarn_bytes block =
        tarn_bytes_first(TARN_BYTES_ARRAY(s->block), s->config.lower->block_bytes);
    enum tarn_err err = tarn_blk_read(s->config.lower, waiter, sealed_table_at(s, group), block);
    struct tarn_span in = tarn_bytes_span(block);
    struct seal seal;
    if (err)
        return err;
    bool whole = tarn_span_copy(&in, &seal, SEAL_BYTES);
    TARN_ASSERT(whole);
    in = tarn_span_after(tarn_bytes_span(block), TABLE_HEAD_BYTES);
    err =
        sealed_open(s, sealed_table_at(s, group), &seal, tarn_span_first(in, entries.len), entries);
    s->counters.refused += err != TARN_OK;
    return err ? TARN_IO : TARN_OK;
}

/* The data of an open table is durable: from now on only it is right. */
static enum tarn_err close_table(struct tarn_blk_sealed *s, struct table *t,
                                 struct tarn_waiter *waiter) {
    for (size_t i = 0; i < s->per_group; i++) {
        struct entry e = entry_get(t, i);
        e.old = e.new;
        entry_put(t, i, &e);
    }
    enum tarn_err err = sealed_table_store(s, t->group, tarn_bytes_span(t->bytes), waiter);
    /* What the device has of the table is unknown then: read it again. */
    t->valid = !err;
    t->open = false;
    return err;
}

static enum tarn_err close_all(struct tarn_blk_sealed *s, struct tarn_waiter *waiter) {
    enum tarn_err err = barrier(s, waiter);
    bool any = false;
    for (uint32_t i = 0; i < s->config.tables && !err; i++) {
        struct table *t = &TARN_AT_N(s->tables, s->config.tables, i);
        if (!t->open)
            continue;
        any = true;
        err = close_table(s, t, waiter);
    }
    return any && !err ? barrier(s, waiter) : err;
}

/* After a power loss: which of the two the block is. Neither: it stays as it is, and cannot be
 * read. */
static enum tarn_err settle(struct tarn_blk_sealed *s, struct table *t,
                            struct tarn_waiter *waiter) {
    struct tarn_bytes block =
        tarn_bytes_first(TARN_BYTES_ARRAY(s->block), s->config.lower->block_bytes);
    uint8_t plain[BLOCK_BYTES_MAX];
    for (size_t i = 0; i < s->per_group; i++) {
        struct entry e = entry_get(t, i);
        uint64_t number = t->group * s->per_group + i;
        if (seal_equal(&e.old, &e.new) || number >= s->worker.blk.blocks)
            continue;
        enum tarn_err err = tarn_blk_read(s->config.lower, waiter, data_at(s, number), block);
        if (err)
            return err;
        struct tarn_bytes out = TARN_BYTES_ARRAY(plain);
        if (sealed_open(s, data_at(s, number), &e.new, tarn_bytes_span(block), out) == TARN_OK)
            e.old = e.new;
        else if (seal_none(&e.old)
                 || sealed_open(s, data_at(s, number), &e.old, tarn_bytes_span(block), out)
                        == TARN_OK)
            e.new = e.old;
        entry_put(t, i, &e);
        s->counters.settled++;
    }
    return TARN_OK;
}

static enum tarn_err load(struct tarn_blk_sealed *s, uint64_t group, struct tarn_waiter *waiter,
                          struct table **out) {
    struct table *victim = NULL;
    enum tarn_err err = TARN_OK;
    for (uint32_t i = 0; i < s->config.tables; i++) {
        struct table *t = &TARN_AT_N(s->tables, s->config.tables, i);
        if (t->valid && t->group == group) {
            t->used = ++s->clock;
            *out = t;
            return TARN_OK;
        }
        if (!victim || (victim->valid && (!t->valid || t->used < victim->used)))
            victim = t;
    }
    if (victim->open)
        err = close_all(s, waiter);
    victim->valid = false;
    victim->group = group;
    if (!err)
        err = sealed_table_fetch(s, group, victim->bytes, waiter);
    if (!err)
        err = settle(s, victim, waiter);
    if (err)
        return err;
    victim->valid = true;
    victim->used = ++s->clock;
    *out = victim;
    return TARN_OK;
}

/* -- requests -------------------------------------------------------------------------------------
 */

static struct tarn_bytes nth(struct tarn_bytes data, size_t i, uint32_t block_bytes) {
    return tarn_bytes_first(tarn_bytes_after(data, i * block_bytes), block_bytes);
}

/* `data` lies in one group. */
static enum tarn_err read_run(struct tarn_blk_sealed *s, struct table *t, uint64_t block,
                              struct tarn_bytes data, struct tarn_waiter *waiter) {
    uint32_t block_bytes = s->worker.blk.block_bytes;
    enum tarn_err err = tarn_blk_read(s->config.lower, waiter, data_at(s, block), data);
    for (size_t i = 0; i < data.len / block_bytes && !err; i++) {
        struct tarn_bytes one = nth(data, i, block_bytes);
        struct entry e = entry_get(t, (size_t)((block + i) % s->per_group));
        if (seal_none(&e.new)) {
            tarn_bytes_fill(one, 0);
            continue;
        }
        err = sealed_open(s, data_at(s, block + i), &e.new, tarn_bytes_span(one), one);
        s->counters.refused += err != TARN_OK;
        err = err ? TARN_IO : TARN_OK;
    }
    return err;
}

/* Some block of the run was written since the last flush: three versions are one too many. */
static bool is_pending(const struct table *t, size_t at, size_t count) {
    for (size_t i = 0; t->open && i < count; i++) {
        struct entry e = entry_get(t, at + i);
        if (!seal_equal(&e.old, &e.new))
            return true;
    }
    return false;
}

/* The new seals are durable in their table before the data is there. */
static enum tarn_err write_run(struct tarn_blk_sealed *s, struct table *t, uint64_t block,
                               struct tarn_bytes data, struct tarn_waiter *waiter) {
    uint32_t block_bytes = s->worker.blk.block_bytes;
    size_t count = data.len / block_bytes, at = (size_t)(block % s->per_group);
    enum tarn_err err = is_pending(t, at, count) ? close_all(s, waiter) : TARN_OK;
    if (err)
        return err;
    for (size_t i = 0; i < count && !err; i++) {
        struct entry e = entry_get(t, at + i);
        err = sealed_seal(s, data_at(s, block + i), tarn_bytes_span(nth(data, i, block_bytes)),
                          nth(s->run, i, block_bytes), &e.new);
        entry_put(t, at + i, &e);
    }
    t->open = true;
    if (!err)
        err = sealed_table_store(s, t->group, tarn_bytes_span(t->bytes), waiter);
    if (!err)
        err = barrier(s, waiter);
    if (!err)
        err = tarn_blk_write(s->config.lower, waiter, data_at(s, block),
                             tarn_span_first(tarn_bytes_span(s->run), data.len));
    if (err)
        t->valid = t->open = false; /* settled again when it is next looked at */
    return err;
}

enum tarn_err sealed_serve(struct tarn_blk_worker *worker, struct tarn_blk_req *req,
                           struct tarn_waiter *waiter) {
    struct tarn_blk_sealed *s = TARN_CONTAINER_OF(worker, struct tarn_blk_sealed, worker);
    struct tarn_bytes data = req->data;
    uint64_t block = req->block;
    enum tarn_err err = TARN_OK;
    if (req->op == TARN_BLK_FLUSH)
        return close_all(s, waiter);
    while (data.len && !err) {
        struct table *t;
        uint64_t left = (s->per_group - block % s->per_group) * worker->blk.block_bytes;
        struct tarn_bytes run = tarn_bytes_first(data, (size_t)TARN_MIN((uint64_t)data.len, left));
        err = load(s, block / s->per_group, waiter, &t);
        if (!err && req->op == TARN_BLK_READ)
            err = read_run(s, t, block, run, waiter);
        else if (!err)
            err = write_run(s, t, block, run, waiter);
        block += run.len / worker->blk.block_bytes;
        data = tarn_bytes_after(data, run.len);
    }
    return err;
}
