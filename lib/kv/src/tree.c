/* SPDX-License-Identifier: ISC */
/* The store: batches, turns, snapshots. */
#include "tree.h"

#include <tarn/kv_impl.h>

#define CLEAN_AT_ONCE 16u /* rows of waste that a batch removes */
#define ROW_MEMORY 32u    /* of a row in a table, besides its bytes */

struct tree_snapshot {
    struct store store;
    struct btree btree;
    struct tarn_kv_tree *tree;
    uint32_t keeper;
};

static struct tarn_kv_tree *tree_of(struct tarn_kv *kv) {
    return TARN_CONTAINER_OF(kv, struct tarn_kv_tree, store.kv);
}

/* -- the device -----------------------------------------------------------------------------------
 */

enum tarn_err tree_flush(struct tarn_kv_tree *t) {
    return tree_can_flush(t) ? tarn_blk_flush(t->blk, tree_waiter(t)) : TARN_OK;
}

enum tarn_err tree_read_page(struct tarn_kv_tree *t, uint64_t page, struct tarn_bytes data) {
    uint64_t blocks = PAGE_BYTES / t->blk->block_bytes;
    if (page >= t->newest.pages)
        return TARN_IO;
    return tarn_blk_read(t->blk, tree_waiter(t), page * blocks, data);
}

/* -- turns ----------------------------------------------------------------------------------------
 */

enum tarn_err tree_enter(struct tarn_kv_tree *t) {
    return turns_enter(&t->turns, tree_waiter(t));
}

void tree_leave(struct tarn_kv_tree *t) {
    turns_leave(&t->turns);
}

static enum tarn_err store_enter(struct store *s) {
    return tree_enter(TARN_CONTAINER_OF(s, struct tarn_kv_tree, store));
}
static void store_leave(struct store *s) {
    tree_leave(TARN_CONTAINER_OF(s, struct tarn_kv_tree, store));
}

/* -- room -----------------------------------------------------------------------------------------
 */

/* The full table becomes the one that is merged; the one before must be merged for that. */
static enum tarn_err rotate(struct tarn_kv_tree *t) {
    enum tarn_err err = merge_finish(t);
    if (!err)
        err = log_sync(t);
    if (!err)
        merge_begin(t);
    return err;
}

enum tarn_err tree_settle(struct tarn_kv_tree *t) {
    enum tarn_err err = merge_finish(t);
    if (!err && TARN_AT(t->store.view.tables, 1))
        err = rotate(t);
    return err ? err : merge_finish(t);
}

static bool log_has_room(const struct tarn_kv_tree *t, size_t bytes) {
    return log_room(t) > log_units_with(t, bytes);
}

/* Lets roots grow old until what they hold of the log is enough, or they hold nothing. */
static enum tarn_err age(struct tarn_kv_tree *t, size_t bytes) {
    enum tarn_err err = TARN_OK;
    while (!err && !log_has_room(t, bytes) && roots_base(&t->roots)->log.unit != t->newest.log.unit)
        err = roots_advance(t);
    if (err)
        t->failed = true;
    return err;
}

static enum tarn_err make_log_room(struct tarn_kv_tree *t, size_t bytes) {
    if (log_has_room(t, bytes))
        return TARN_OK;
    enum tarn_err err = merge_finish(t);
    if (!err)
        err = age(t, bytes);
    if (!err && !log_has_room(t, bytes))
        err = tree_settle(t);
    if (!err)
        err = age(t, bytes);
    if (err)
        return err;
    return log_has_room(t, bytes) ? TARN_OK : TARN_LIMIT;
}

struct staged {
    size_t log_bytes, table_bytes, growth_bytes;
};

static struct staged measure(const struct tarn_kv_tree *t) {
    struct staged s = {0};
    struct rows_walk walk;
    const struct row *r;
    rows_walk_begin(&walk, &t->rows, TARN_AT(t->store.view.tables, 0));
    while ((r = rows_walk_next(&walk))) {
        size_t bytes = log_row_bytes(r);
        s.log_bytes += bytes;
        s.table_bytes += bytes + ROW_MEMORY;
        s.growth_bytes += r->gone ? 0 : bytes + PAGE_ROW_OVERHEAD;
    }
    return s;
}

/* Whether the tree can take all rows in memory and these, and still be merged: pages are half full
 * at the worst. */
static bool fits(const struct tarn_kv_tree *t, size_t growth_bytes) {
    uint64_t bytes = growth_bytes + t->table_bytes + (t->merge.active ? t->merge.table_bytes : 0);
    return space_available(&t->space) >= merge_reserve(t) + bytes * 2 / PAGE_PAYLOAD + 2;
}

static enum tarn_err make_space(struct tarn_kv_tree *t, size_t growth_bytes) {
    if (fits(t, growth_bytes))
        return TARN_OK;
    enum tarn_err err = t->table_bytes || t->merge.active ? tree_settle(t) : TARN_OK;
    return err ? err : fits(t, growth_bytes) ? TARN_OK : TARN_LIMIT;
}

static enum tarn_err make_room(struct tarn_kv_tree *t, const struct staged *s, bool removes) {
    enum tarn_err err = TARN_OK;
    if (s->log_bytes + LOG_HEADER_BYTES > t->newest.record_bytes)
        return TARN_LIMIT;
    bool full = t->table_bytes + s->table_bytes > t->table_cap
                || t->log.tail.unit - t->table_first_unit > t->log.units / 4;
    if (full && TARN_AT(t->store.view.tables, 1))
        err = rotate(t);
    if (!err && !t->replaying)
        err = make_log_room(t, s->log_bytes);
    if (!err && !removes && !t->replaying)
        err = make_space(t, s->growth_bytes);
    return err;
}

/* -- batches --------------------------------------------------------------------------------------
 */

static void filter_staged(struct tarn_kv_tree *t) {
    struct rows_walk walk;
    const struct row *r;
    rows_walk_begin(&walk, &t->rows, TARN_AT(t->store.view.tables, 0));
    while ((r = rows_walk_next(&walk)))
        filter_add(&TARN_AT(t->filters, 1), filter_hash(row_key(r)));
}

static enum tarn_err table_copy(struct tarn_kv_tree *t) {
    struct view *v = &t->store.view;
    return rows_merge(&t->rows, &TARN_AT(v->tables, 1), TARN_AT(v->tables, 0), true);
}

/* The staged rows over the table's. Snapshots may share the table: then rows are copied, and where
 * memory is short, what is merged first gives some. */
static enum tarn_err table_put(struct tarn_kv_tree *t) {
    struct view *v = &t->store.view;
    if (!t->snapshots.live) {
        rows_move(&t->rows, &TARN_AT(v->tables, 1), &TARN_AT(v->tables, 0));
        return TARN_OK;
    }
    enum tarn_err err = table_copy(t);
    if (err != TARN_LIMIT)
        return err;
    err = tree_settle(t);
    return err ? err : table_copy(t);
}

/* A row that was logged is in the table, so what may fail comes first: logging, where the rows are
 * moved; copying them, where that is needed. */
static enum tarn_err staged_put(struct tarn_kv_tree *t, size_t log_bytes, uint64_t *seq) {
    bool copies = t->snapshots.live;
    enum tarn_err err = TARN_OK;
    if (copies)
        err = table_put(t);
    filter_staged(t);
    if (!err && !t->replaying)
        err = log_append(t, TARN_AT(t->store.view.tables, 0), log_bytes, seq);
    if (!err && !copies)
        err = table_put(t);
    return err;
}

enum tarn_err tree_publish(struct tarn_kv_tree *t, bool removes, uint64_t *seq) {
    struct staged s = measure(t);
    *seq = 0;
    if (!TARN_AT(t->store.view.tables, 0))
        return TARN_OK;
    enum tarn_err err = make_room(t, &s, removes);
    if (!err)
        err = staged_put(t, s.log_bytes, seq);
    if (!err)
        t->table_bytes += s.table_bytes;
    store_stage_end(&t->store.view);
    return err;
}

/* Removes some of the waste. An error: it could not, now. */
static enum tarn_err clean(struct tarn_kv_tree *t) {
    uint64_t seq;
    bool done;
    if (!t->waste)
        return TARN_OK;
    enum tarn_err err = catalog_clean(&t->store.view, CLEAN_AT_ONCE, &done);
    if (err)
        store_stage_end(&t->store.view);
    else
        err = tree_publish(t, true, &seq);
    if (!err && done)
        t->waste = false;
    return err;
}

static bool only_removes(const struct tarn_kv_change *changes, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (TARN_AT_N(changes, count, i).verb != TARN_KV_REMOVE)
            return false;
    return true;
}

static enum tarn_err batch_inside(struct tarn_kv_tree *t, const struct tarn_kv_change *changes,
                                  size_t count, size_t *failed, uint64_t *seq) {
    struct view *v = &t->store.view;
    int64_t now = (int64_t)(tarn_clock_wall_ns(t->config.clock) / 1000000000u);
    uint64_t root = v->root;
    if (t->failed)
        return TARN_IO;
    (void)!clean(t); /* the batch may fit although that does not */
    enum tarn_err err = store_stage(v, changes, count, now, failed);
    if (err)
        return err;
    *failed = count ? count - 1 : 0;
    err = tree_publish(t, only_removes(changes, count), seq);
    if (err)
        v->root = root;
    else
        t->waste = true;
    return err;
}

/* Whether as much of the merge is done as is full of the table meanwhile, and a quarter more. */
static bool is_ahead(const struct tarn_kv_tree *t) {
    const struct merge *m = &t->merge;
    uint64_t done = (uint64_t)m->merged_bytes * t->table_cap / TARN_MAX(m->table_bytes, (size_t)1);
    return done >= t->table_bytes + t->table_bytes / 4;
}

/* As much of the merge as keeps it ahead. It is not the batch's fault if it fails: the next one is
 * told. */
static void pace(struct tarn_kv_tree *t) {
    enum tarn_err err = tree_enter(t);
    if (err)
        return;
    do
        err = merge_step(t);
    while (!err && t->merge.active && !is_ahead(t));
    tree_leave(t);
}

static enum tarn_err batch_apply(struct tarn_kv_tree *t, const struct tarn_kv_change *changes,
                                 size_t count, size_t *failed, uint64_t *seq) {
    *failed = 0;
    enum tarn_err err = tree_enter(t);
    if (err)
        return err;
    err = batch_inside(t, changes, count, failed, seq);
    tree_leave(t);
    return err;
}

static void batch_done(struct tarn_kv_tree *t, const struct tarn_kv_change *changes, size_t count) {
    t->stat.batches++;
    tarn_kv_watches_notify(t->watches, changes, count);
    if (t->merge.active)
        pace(t);
}

static enum tarn_err tree_batch(struct tarn_kv *kv, const struct tarn_kv_change *changes,
                                size_t count, size_t *failed) {
    struct tarn_kv_tree *t = tree_of(kv);
    uint64_t seq;
    enum tarn_err err = batch_apply(t, changes, count, failed, &seq);
    if (!err)
        err = log_wait(t, seq);
    if (!err)
        batch_done(t, changes, count);
    return err;
}

enum tarn_err tarn_kv_tree_apply(struct tarn_kv_tree *t, const struct tarn_kv_change *changes,
                                 size_t count, size_t *failed) {
    uint64_t seq;
    enum tarn_err err = batch_apply(t, changes, count, failed, &seq);
    if (!err)
        batch_done(t, changes, count);
    return err;
}

enum tarn_err tarn_kv_tree_sync(struct tarn_kv_tree *t) {
    if (t->log.filled)
        return log_wait(t, t->log.tail.seq);
    return t->failed ? TARN_IO : t->log.writing ? log_wait(t, t->log.tail.seq - 1) : TARN_OK;
}

static void tree_watch(struct tarn_kv *kv, struct tarn_kv_watch *watch) {
    tarn_kv_watches_add(&tree_of(kv)->watches, watch);
}
static void tree_unwatch(struct tarn_kv *kv, struct tarn_kv_watch *watch) {
    tarn_kv_watches_remove(&tree_of(kv)->watches, watch);
}

/* -- snapshots ------------------------------------------------------------------------------------
 */

static enum tarn_err snapshot_enter(struct store *s) {
    return tree_enter(TARN_CONTAINER_OF(s, struct tree_snapshot, store)->tree);
}
static void snapshot_leave(struct store *s) {
    tree_leave(TARN_CONTAINER_OF(s, struct tree_snapshot, store)->tree);
}

static void snapshot_release(struct tarn_kv *kv) {
    struct tree_snapshot *s = TARN_CONTAINER_OF(kv, struct tree_snapshot, store.kv);
    for (size_t i = 1; i < VIEW_TABLES; i++)
        rows_drop(&s->tree->rows, TARN_AT(s->store.view.tables, i));
    space_unkeep(&s->tree->space, s->keeper);
    tarn_pool_put(&s->tree->snapshots, s);
}

static const struct tarn_kv_ops snapshot_ops = {STORE_READING, .release = snapshot_release};

static enum tarn_err tree_snapshot(struct tarn_kv *kv, struct tarn_kv **out) {
    struct tarn_kv_tree *t = tree_of(kv);
    enum tarn_err err = tree_enter(t);
    if (err)
        return err;
    struct tree_snapshot *s = t->config.snapshots_max ? tarn_pool_take(&t->snapshots) : NULL;
    uint32_t keeper;
    if (s && space_keep(&t->space, &keeper)) {
        *s = (struct tree_snapshot){.store = t->store, .tree = t, .keeper = keeper};
        s->store.kv.ops = &snapshot_ops;
        s->store.enter = snapshot_enter;
        s->store.leave = snapshot_leave;
        s->store.view.base = &s->btree.base;
        btree_init(&s->btree, t, &t->newest.root);
        for (size_t i = 1; i < VIEW_TABLES; i++)
            TARN_AT(s->store.view.filters, i) = NULL; /* they go on with the tables of others */
        for (size_t i = 1; i < VIEW_TABLES; i++)
            rows_hold(&t->rows, TARN_AT(s->store.view.tables, i));
        *out = &s->store.kv;
    } else {
        err = TARN_LIMIT;
    }
    tree_leave(t);
    return err;
}

/* -- the rest -------------------------------------------------------------------------------------
 */

static const struct tarn_kv_ops tree_ops = {
    STORE_READING,       .batch = tree_batch,     .snapshot = tree_snapshot,
    .watch = tree_watch, .unwatch = tree_unwatch,
};

void tree_init(struct tarn_kv_tree *t) {
    t->store = (struct store){.kv = {&tree_ops}, .enter = store_enter, .leave = store_leave};
    t->store.view =
        (struct view){.rows = &t->rows, .base = &t->btree.base, .next_id = CATALOG_FIRST_FREE};
    for (size_t i = 1; i < VIEW_TABLES; i++)
        TARN_AT(t->store.view.filters, i) = &TARN_AT(t->filters, i);
    t->waste = true;
}

size_t tree_snapshot_bytes(void) {
    return sizeof(struct tree_snapshot);
}

struct tarn_kv *tarn_kv_tree_kv(struct tarn_kv_tree *tree) {
    return &tree->store.kv;
}

enum tarn_err tarn_kv_tree_settle(struct tarn_kv_tree *t) {
    enum tarn_err err = tree_enter(t);
    if (err)
        return err;
    err = t->failed ? TARN_IO : TARN_OK;
    while (!err && t->waste)
        err = clean(t);
    if (!err)
        err = tree_settle(t);
    tree_leave(t);
    return err;
}

void tarn_kv_tree_stat(const struct tarn_kv_tree *t, struct tarn_kv_tree_stat *out) {
    *out = t->stat;
    out->bytes = t->newest.pages * PAGE_BYTES;
    out->log_bytes = t->newest.log_pages * PAGE_BYTES;
    out->used_bytes = (uint64_t)(t->space.used_count - t->space.first) * PAGE_BYTES;
    out->generation = t->newest.generation;
    out->batch_bytes_max = t->newest.record_bytes - LOG_HEADER_BYTES;
    out->levels = t->newest.root.ref.page ? t->newest.root.level + 1 : 0;
    out->table_used = t->table_bytes + (t->merge.active ? t->merge.table_bytes : 0);
}
