/* SPDX-License-Identifier: ISC */
/* Making a store, opening it, and finding what a loss of power left. */
#include "tree.h"

#define TABLE_BYTES (1u << 20)
#define TABLE_BYTES_MIN (256u << 10)
#define CACHE_BYTES (1u << 20)
#define LOG_BYTES_MIN (64u << 10)
#define DEVICE_BYTES_MIN (1u << 20)
#define FREED_MAX_NO_FLUSH (64u << 10)
#define SETTLE TARN_SEC(10)

static size_t table_bytes(const struct tarn_kv_tree_config *config) {
    return config->table_bytes ? config->table_bytes : TABLE_BYTES;
}

static bool config_is_good(const struct tarn_kv_tree_config *config) {
    uint32_t block = config->blk->block_bytes;
    return block && block <= PAGE_BYTES && PAGE_BYTES % block == 0
           && table_bytes(config) >= TABLE_BYTES_MIN && table_bytes(config) <= (1u << 30)
           && config->batch_bytes_max <= table_bytes(config) / 8 && config->snapshots_max <= 64;
}

/* -- formatting -----------------------------------------------------------------------------------
 */

static enum tarn_err slots_clear(const struct tarn_kv_tree *t) {
    static const uint8_t zeroes[PAGE_BYTES];
    enum tarn_err err = TARN_OK;
    for (uint64_t slot = 0; !err && slot < ROOT_SLOTS; slot++)
        err = tarn_blk_write(t->blk, tree_waiter(t), slot * (PAGE_BYTES / t->blk->block_bytes),
                             TARN_SPAN_ARRAY(zeroes));
    return err;
}

enum tarn_err tarn_kv_tree_format(const struct tarn_kv_tree_config *config, uint64_t log_bytes) {
    /* Only what writing a root needs. */
    struct tarn_kv_tree t = {.config = *config, .blk = config->blk};
    uint64_t device = config->blk->blocks * config->blk->block_bytes;
    if (!config_is_good(config) || device < DEVICE_BYTES_MIN)
        return TARN_INVALID;
    if (!log_bytes)
        log_bytes =
            TARN_MIN(TARN_MAX(device / 16, (uint64_t)2 * LOG_BYTES_MIN), (uint64_t)64 << 20);
    if (log_bytes < LOG_BYTES_MIN || log_bytes > device / 2)
        return TARN_INVALID;
    uint64_t record = config->batch_bytes_max ? config->batch_bytes_max : table_bytes(config) / 8;
    struct root_block root = {
        .generation = ROOT_SLOTS,
        .store = tarn_random_u64(config->random),
        .pages = device / PAGE_BYTES,
        .log_pages = log_bytes / PAGE_BYTES,
        .unit_bytes = config->blk->block_bytes,
        .record_bytes = (uint32_t)TARN_MIN(record, log_bytes / 8) + LOG_HEADER_BYTES,
        .log = {.seq = 1, .chain = tarn_random_u64(config->random)},
        .next_id = CATALOG_FIRST_FREE,
    };
    enum tarn_err err = slots_clear(&t);
    if (!err)
        err = tree_flush(&t);
    if (!err)
        err = root_write(&t, &root);
    return err ? err : tree_flush(&t);
}

/* -- the newest root that is whole ----------------------------------------------------------------
 */

struct marker {
    struct walk walk;
    struct space *space;
};
/* Pages of the tree, each named once, are used. */
static enum tarn_err mark(struct walk *w, const struct page_ref *ref, uint32_t level,
                          struct tarn_span page, enum tarn_err err) {
    struct space *s = TARN_CONTAINER_OF(w, struct marker, walk)->space;
    (void)level, (void)page;
    if (err)
        return err;
    if (ref->page < s->first || ref->page >= s->pages || space_is_used(s, ref->page))
        return TARN_IO;
    space_mark(s, ref->page);
    return TARN_OK;
}

static void space_reset(struct tarn_kv_tree *t) {
    struct space *s = &t->space;
    for (uint32_t i = 0; i < s->words_max; i++)
        TARN_AT_N(s->used, s->words_max, i) = 0;
    s->pages = s->limit = (uint32_t)t->newest.pages;
    s->first = s->next = (uint32_t)(ROOT_SLOTS + t->newest.log_pages);
    s->used_count = 0;
    for (uint32_t i = 0; i < s->first; i++)
        space_mark(s, i);
}

/* What a root says about sizes can be so on this device. */
static bool root_is_possible(const struct tarn_kv_tree *t, const struct root_block *r) {
    uint64_t device = t->blk->blocks / (PAGE_BYTES / t->blk->block_bytes);
    uint32_t unit = r->unit_bytes;
    return r->pages <= device && r->pages <= UINT32_MAX - 64 && r->log_pages
           && r->log_pages < r->pages - ROOT_SLOTS && unit && unit <= PAGE_BYTES
           && PAGE_BYTES % unit == 0 && unit % t->blk->block_bytes == 0
           && r->record_bytes > LOG_HEADER_BYTES
           && r->record_bytes <= table_bytes(&t->config) / 8 + LOG_HEADER_BYTES
           && r->record_bytes <= r->log_pages * PAGE_BYTES / 4;
}

/* And it is of the same store as the one that memory was taken for. */
static bool root_is_alike(const struct root_block *a, const struct root_block *b) {
    return a->store == b->store && a->log_pages == b->log_pages && a->unit_bytes == b->unit_bytes
           && a->record_bytes == b->record_bytes;
}

/* The newest root older than `before`. */
static enum tarn_err root_before(struct tarn_kv_tree *t, uint64_t before, struct root_block *out) {
    enum tarn_err found = TARN_NOT_FOUND;
    for (uint32_t slot = 0; slot < ROOT_SLOTS; slot++) {
        struct root_block r;
        enum tarn_err err = root_read(t, slot, &r);
        /* A bad block is a lost root, as damage is. */
        if (err && err != TARN_NOT_FOUND && err != TARN_IO)
            return err;
        if (!err && r.generation < before && (found || r.generation > out->generation)) {
            *out = r;
            found = TARN_OK;
        }
    }
    return found;
}

/* The tree of t->newest is there, as far as it is newer than what is surely stored; and so is the
 * log, as far as a part of the tree is from there. Inner pages are all read anyway, to find out
 * which pages are used. */
static enum tarn_err root_verify(struct tarn_kv_tree *t) {
    struct marker m = {.walk = {.visit = mark, .leaves_from = t->newest.base + 1},
                       .space = &t->space};
    space_reset(t);
    enum tarn_err err = walk_run(t, &t->newest.root, &m.walk);
    return err ? err : log_reaches(t, &t->newest);
}

static enum tarn_err root_choose(struct tarn_kv_tree *t) {
    const struct root_block first = t->newest;
    uint64_t before = UINT64_MAX;
    bool damaged = false;
    for (;;) {
        enum tarn_err err = root_before(t, before, &t->newest);
        if (err)
            return err == TARN_NOT_FOUND && damaged ? TARN_IO : err;
        before = t->newest.generation;
        if (!root_is_possible(t, &t->newest))
            return TARN_INVALID;
        if (root_is_alike(&first, &t->newest) && root_verify(t) == TARN_OK) {
            roots_init(t, NULL, first.generation);
            return TARN_OK;
        }
        damaged = true;
    }
}

/* -- what a loss of power may still lead back to --------------------------------------------------
 */

struct keeper {
    struct walk walk;
    struct tarn_kv_tree *tree;
};
/* Pages of the base that the newest root has no more: read, for they may be gone. */
static enum tarn_err keep(struct walk *w, const struct page_ref *ref, uint32_t level,
                          struct tarn_span page, enum tarn_err err) {
    struct tarn_kv_tree *t = TARN_CONTAINER_OF(w, struct keeper, walk)->tree;
    struct space *s = &t->space;
    (void)level, (void)page;
    if (err)
        return err;
    if (ref->page < s->first)
        return TARN_IO;
    if (s->freed_count == s->freed_cap)
        return TARN_LIMIT;
    space_mark(s, ref->page);
    space_free_later(s, ref->page, t->newest.generation);
    return TARN_OK;
}

/* The base is whole, and its log goes on to the newest root's. */
static enum tarn_err base_verify(struct tarn_kv_tree *t, struct root_block *base) {
    struct keeper k = {.walk = {.visit = keep, .known = &t->space}, .tree = t};
    uint64_t generation = t->newest.base;
    enum tarn_err err = root_read(t, (uint32_t)(generation % ROOT_SLOTS), base);
    if (err)
        return err;
    if (base->generation != generation || !root_is_alike(base, &t->newest)
        || base->log.seq > t->newest.log.seq)
        return TARN_IO;
    err = walk_run(t, &base->root, &k.walk);
    if (!err)
        err = log_reaches(t, base);
    base->reach = t->newest.log.seq;
    base->reach_chain = t->newest.log.chain;
    return err ? err : log_reaches(t, base);
}

/* On a device that cannot flush, what was read may be stored or not. If the power was not lost, the
 * base is whole, since that is what it is for; if it is not whole, the power was lost, and what was
 * read is stored. */
static enum tarn_err base_keep(struct tarn_kv_tree *t) {
    struct tarn_waiter *waiter = tree_waiter(t);
    struct roots *r = &t->roots;
    uint64_t last = r->next - 1;
    struct root_block base;
    if (!r->settle || !t->newest.base)
        return TARN_OK;
    enum tarn_err err = base_verify(t, &base);
    if (!err) {
        roots_init(t, &base, last);
        return TARN_OK;
    }
    if (err == TARN_LIMIT
        && waiter->ops->wait(waiter, waiter->ops->now(waiter) + r->settle) == TARN_IO)
        return TARN_IO;
    roots_init(t, &t->newest, last);
    space_release(&t->space, t->newest.generation);
    return TARN_OK;
}

/* -- the log --------------------------------------------------------------------------------------
 */

/* The rows of a record, as a batch that was already made. */
static enum tarn_err replay_rows(struct tarn_kv_tree *t, struct tarn_span rows) {
    struct view *v = &t->store.view;
    struct tarn_span key, value;
    uint64_t seq;
    bool gone;
    while (rows.len) {
        if (!log_row(&rows, &key, &value, &gone))
            return TARN_IO;
        enum tarn_err err = rows_put(&t->rows, &TARN_AT(v->tables, 0), key, value, gone);
        if (err)
            return err;
        t->stat.replayed++;
    }
    return tree_publish(t, true, &seq);
}

static enum tarn_err replay(struct tarn_kv_tree *t) {
    struct log *l = &t->log;
    enum tarn_err err;
    l->tail = t->newest.log;
    t->table_first_unit = l->tail.unit;
    t->replaying = true;
    for (;;) {
        struct log_place place = l->tail;
        struct tarn_span rows;
        uint64_t next_id;
        err = log_read(t, &place, &rows, &next_id);
        if (err)
            break;
        t->store.view.next_id = TARN_MAX(t->store.view.next_id, next_id);
        err = replay_rows(t, rows);
        if (err)
            break;
        l->tail = place;
    }
    t->replaying = false;
    l->durable_seq = l->tail.seq;
    l->nonce = tarn_random_u64(t->config.random);
    return err == TARN_EOF ? TARN_OK : err;
}

/* -- opening --------------------------------------------------------------------------------------
 */

static void tree_free(struct tarn_kv_tree *t) {
    struct tarn_alloc *alloc = t->config.alloc;
    if (t->config.snapshots_max && t->snapshots.items)
        tarn_pool_fini(&t->snapshots, alloc);
    log_fini(t);
    merge_fini(t);
    for (size_t i = 1; i < VIEW_TABLES; i++)
        filter_fini(&TARN_AT(t->filters, i), alloc);
    space_fini(&t->space, alloc);
    cache_fini(&t->cache, alloc);
    rows_fini(&t->rows);
    tarn_alloc_put(alloc, t, sizeof *t);
}

static enum tarn_err memory_take(struct tarn_kv_tree *t, uint64_t pages_max) {
    struct tarn_alloc *alloc = t->config.alloc;
    size_t cache = t->config.cache_bytes ? t->config.cache_bytes : CACHE_BYTES;
    enum tarn_err err = cache_init(&t->cache, alloc, cache);
    if (!err)
        err =
            rows_init(&t->rows, alloc, table_bytes(&t->config), tarn_random_u64(t->config.random));
    /* Rows of about a hundred bytes, of which a table holds its share. */
    for (size_t i = 1; i < VIEW_TABLES && !err; i++)
        err = filter_init(&TARN_AT(t->filters, i), alloc, t->table_cap / 128);
    if (!err)
        err = merge_init(t);
    if (!err) {
        uint64_t freed =
            (LAG_MAX + 3) * ((uint64_t)t->merge.round_pages + 4 * (PAGE_LEVELS_MAX + 3));
        if (!tree_can_flush(t))
            freed = TARN_MAX(freed, TARN_MIN(pages_max / 4, (uint64_t)FREED_MAX_NO_FLUSH));
        err = space_init(&t->space, alloc, pages_max, t->config.snapshots_max, (uint32_t)freed);
    }
    if (!err && t->config.snapshots_max)
        err =
            tarn_pool_init(&t->snapshots, alloc, tree_snapshot_bytes(), 8, t->config.snapshots_max);
    return err;
}

static enum tarn_err tree_open(struct tarn_kv_tree *t) {
    uint64_t device = t->blk->blocks * t->blk->block_bytes;
    uint64_t pages_max = TARN_MAX(device, t->config.bytes_max) / PAGE_BYTES;
    enum tarn_err err = root_before(t, UINT64_MAX, &t->newest);
    if (err)
        return err;
    if (!root_is_possible(t, &t->newest))
        return TARN_INVALID;
    err = memory_take(t, pages_max);
    /* What a process that ended left in the host's cache is to be as durable as it looks. */
    if (!err && !(t->blk->features & TARN_BLK_READ_ONLY))
        err = tree_flush(t);
    if (!err)
        err = log_init(t);
    if (!err)
        err = root_choose(t);
    if (!err)
        err = base_keep(t);
    if (err)
        return err;
    t->store.view.next_id = t->newest.next_id;
    btree_init(&t->btree, t, &t->newest.root);
    err = replay(t);
    return err ? err : catalog_open(&t->store.view);
}

enum tarn_err tarn_kv_tree_open(const struct tarn_kv_tree_config *config,
                                struct tarn_kv_tree **out) {
    if (!config_is_good(config))
        return TARN_INVALID;
    struct tarn_kv_tree *t = TARN_NEW(config->alloc, struct tarn_kv_tree);
    if (!t)
        return TARN_LIMIT;
    *t = (struct tarn_kv_tree){.config = *config, .blk = config->blk};
    t->table_cap = table_bytes(config) / 5 * 2;
    tree_init(t);
    t->roots.lag = tree_can_flush(t) ? LAG_FLUSH : LAG_NO_FLUSH;
    t->roots.settle = tree_can_flush(t) ? 0 : config->settle ? config->settle : SETTLE;
    enum tarn_err err = tree_open(t);
    if (err)
        tree_free(t);
    else
        *out = t;
    return err;
}

void tarn_kv_tree_close(struct tarn_kv_tree *t) {
    TARN_ASSERT(!t->turns.busy && !t->log.writing && !t->snapshots.live);
    tree_free(t);
}
