/* SPDX-License-Identifier: ISC */
/* A full table into the tree, copy on write, from the left to the right.
 *
 * On the way down from the old root, a child that none of the rows belong to is kept as it is; all
 * others are read, and their rows go through a bunch for each level into new pages. A bunch that is
 * less than half a page takes in its right neighbour too, so pages do not become fewer rows for
 * ever. After `round_pages` pages the rest of the old tree is kept as it is and a root is written:
 * what a merge holds of the device is bounded, and merging a row twice (from the log, after a loss
 * of power) changes nothing. */
#include "tree.h"

#define ROWS_AT_ONCE 64u /* of a leaf, in a step */
#define LEVELS (PAGE_LEVELS_MAX + 1)
#define ROUND_PAGES_MIN 8u
#define ROUND_PAGES_MAX 1024u

static struct merge_level *level_at(struct merge *m, uint32_t level) {
    return &TARN_AT_N(m->levels, LEVELS, level);
}

enum tarn_err merge_init(struct tarn_kv_tree *t) {
    struct merge *m = &t->merge;
    uint64_t pages = t->newest.pages / 32;
    size_t buffer = WRITE_PAGES * PAGE_BYTES;
    *m = (struct merge){.move_from = UINT64_MAX, .round_pages = ROUND_PAGES_MIN};
    if (pages > ROUND_PAGES_MIN)
        m->round_pages = (uint32_t)TARN_MIN(pages, (uint64_t)ROUND_PAGES_MAX);
    m->levels = TARN_NEW_ARRAY(t->config.alloc, LEVELS, struct merge_level);
    m->buffer = tarn_bytes_of(tarn_alloc_get(t->config.alloc, buffer, 16), buffer);
    return m->levels && m->buffer.ptr ? TARN_OK : TARN_LIMIT;
}

void merge_fini(struct tarn_kv_tree *t) {
    tarn_alloc_put(t->config.alloc, t->merge.buffer.ptr, t->merge.buffer.len);
    tarn_alloc_put(t->config.alloc, t->merge.levels, LEVELS * sizeof(struct merge_level));
}

/* What a round may take beyond its limit: the leaf at hand, and the way back up. */
static uint32_t round_slack(const struct tarn_kv_tree *t) {
    return 4 * (t->newest.root.level + 3);
}

uint64_t merge_reserve(const struct tarn_kv_tree *t) {
    return (uint64_t)(t->roots.lag + 2) * (t->merge.round_pages + round_slack(t));
}

/* -- new pages ------------------------------------------------------------------------------------
 */

static enum tarn_err buffer_flush(struct tarn_kv_tree *t) {
    struct merge *m = &t->merge;
    struct tarn_span data =
        tarn_span_first(tarn_bytes_span(m->buffer), (size_t)m->buffered * PAGE_BYTES);
    uint64_t block = m->buffer_first * (PAGE_BYTES / t->blk->block_bytes);
    t->stat.pages_written += m->buffered;
    m->buffered = 0;
    return data.len ? tarn_blk_write(t->blk, tree_waiter(t), block, data) : TARN_OK;
}

/* Where the next page's bytes go: behind its neighbours', or alone. */
static enum tarn_err buffer_page(struct tarn_kv_tree *t, uint64_t page, struct tarn_bytes *out) {
    struct merge *m = &t->merge;
    if (m->buffered == WRITE_PAGES || page != m->buffer_first + m->buffered) {
        enum tarn_err err = buffer_flush(t);
        if (err)
            return err;
        m->buffer_first = page;
    }
    *out =
        tarn_bytes_first(tarn_bytes_after(m->buffer, (size_t)m->buffered * PAGE_BYTES), PAGE_BYTES);
    m->buffered++;
    return TARN_OK;
}

static enum tarn_err add(struct tarn_kv_tree *t, uint32_t level, struct tarn_span key,
                         struct tarn_span value);

static void low_set(struct bunch *b, struct tarn_span key) {
    b->low_len = (uint32_t)tarn_bytes_copy(TARN_BYTES_ARRAY(b->low), key);
}

/* The lowest key of the bunch's next page, to `room`; and that of the one behind its first `n`. */
static struct tarn_span lows(struct bunch *b, uint32_t level, uint32_t n, struct tarn_bytes room) {
    struct tarn_span key, value, before;
    bunch_row(b, 0, &key, &value);
    if (level == 0)
        key = tarn_span_first(TARN_SPAN_ARRAY(b->low), b->low_len);
    key = tarn_span_first(tarn_bytes_span(room), tarn_bytes_copy(room, key));
    if (level == 0 && n < b->count) {
        struct tarn_span first;
        bunch_row(b, n - 1, &before, &value);
        bunch_row(b, n, &first, &value);
        low_set(b, page_separator(before, first));
    }
    return key;
}

/* The first `n` rows of a level become a page, and that a row of the level above. */
static enum tarn_err emit(struct tarn_kv_tree *t, uint32_t level, uint32_t n) {
    struct bunch *b = &level_at(&t->merge, level)->out;
    uint8_t low_room[ROW_KEY_MAX], ref_room[PAGE_REF_BYTES];
    struct page_ref ref = {.page = space_take(&t->space), .birth = t->roots.next};
    struct tarn_writer w = TARN_WRITER_ARRAY(ref_room);
    struct tarn_bytes page;
    if (!ref.page || level + 1 >= LEVELS)
        return TARN_LIMIT;
    enum tarn_err err = buffer_page(t, ref.page, &page);
    if (err)
        return err;
    ref.checksum = page_encode(page, b, n, level, ref.page, ref.birth, t->newest.store);
    if (level)
        cache_put(t, &ref, tarn_bytes_span(page));
    struct tarn_span low = lows(b, level, n, TARN_BYTES_ARRAY(low_room));
    bunch_drop(b, n);
    t->merge.pages++;
    page_ref_encode(&w, &ref);
    return add(t, level + 1, low, tarn_writer_span(&w));
}

static enum tarn_err add(struct tarn_kv_tree *t, uint32_t level, struct tarn_span key,
                         struct tarn_span value) {
    struct bunch *b = &level_at(&t->merge, level)->out;
    if (!bunch_fits(b, key.len, value.len)) {
        enum tarn_err err = emit(t, level, bunch_first(b, PAGE_PAYLOAD));
        if (err)
            return err;
    }
    bunch_add(b, key, value);
    return TARN_OK;
}

/* All rows of a level become pages, of about the same size where they are more than one. */
static enum tarn_err flush(struct tarn_kv_tree *t, uint32_t level) {
    struct bunch *b = &level_at(&t->merge, level)->out;
    while (b->count) {
        bool one = b->page_bytes <= PAGE_PAYLOAD;
        enum tarn_err err = emit(t, level, one ? b->count : bunch_first(b, b->page_bytes / 2));
        if (err)
            return err;
    }
    return TARN_OK;
}

/* Levels up to `level` have no rows left: *done. Or one has so few that it wants its neighbour's.
 */
static enum tarn_err flush_up_to(struct tarn_kv_tree *t, uint32_t level, bool *done) {
    *done = false;
    for (uint32_t i = 0; i <= level; i++) {
        const struct bunch *b = &level_at(&t->merge, i)->out;
        if (b->count && b->page_bytes < PAGE_PAYLOAD / 2)
            return TARN_OK;
        enum tarn_err err = flush(t, i);
        if (err)
            return err;
    }
    *done = true;
    return TARN_OK;
}

/* -- the rows of the table ------------------------------------------------------------------------
 */

static const struct row *row_next(struct tarn_kv_tree *t) {
    struct merge *m = &t->merge;
    if (m->draining || m->rows_done)
        return NULL;
    if (!m->next)
        m->next = rows_walk_next(&m->walk);
    m->rows_done = !m->next;
    return m->next;
}

static bool row_is_below(const struct row *r, const struct merge_level *l) {
    return !l->bounded
           || tarn_span_compare(row_key(r),
                                tarn_span_first(TARN_SPAN_ARRAY(l->upper), l->upper_len))
                  < 0;
}

static enum tarn_err row_merge(struct tarn_kv_tree *t, const struct row *r) {
    struct merge *m = &t->merge;
    enum tarn_err err = r->gone ? TARN_OK : add(t, 0, row_key(r), row_value(r));
    m->next = NULL;
    m->merged_bytes += log_row_bytes(r);
    return err;
}

/* -- rounds ---------------------------------------------------------------------------------------
 */

/* Waits until a round has the pages that it may take, and room to free as many. What is freed and
 * still needed comes back as roots grow old. */
static enum tarn_err wait_for_pages(struct tarn_kv_tree *t) {
    const struct space *s = &t->space;
    uint32_t round = t->merge.round_pages + round_slack(t);
    enum tarn_err err = TARN_OK;
    while (!err && s->freed_count
           && (s->freed_cap - s->freed_count < round || space_free(s) < round))
        err = roots_advance(t);
    return err;
}

static enum tarn_err round_begin(struct tarn_kv_tree *t) {
    struct merge *m = &t->merge;
    bool empty = t->newest.root.ref.page == 0;
    enum tarn_err err = wait_for_pages(t);
    if (err)
        return err;
    t->space.next = t->space.first; /* low pages first: the rest of the device may be untouched */
    m->round = true;
    m->draining = false;
    m->pages = 0;
    m->top = empty ? 1 : t->newest.root.level + 1;
    m->at = empty ? 0 : m->top;
    for (uint32_t i = 0; i < LEVELS; i++) {
        struct merge_level *l = level_at(m, i);
        l->index = l->count = 0;
        l->bounded = false;
        l->leftmost = true;
        l->out.count = l->out.used = l->out.low_len = 0;
        l->out.page_bytes = 0;
    }
    level_at(m, m->top)->count = empty ? 0 : 1;
    return TARN_OK;
}

/* What the levels hold becomes pages, up to the one that is the root. */
static enum tarn_err root_of(struct tarn_kv_tree *t, struct root *root) {
    struct merge *m = &t->merge;
    *root = (struct root){.level = 0};
    for (uint32_t i = 0; i < LEVELS; i++) {
        const struct bunch *b = &level_at(m, i)->out;
        struct tarn_span key, value;
        bool last = b->count == 1 && i > 0;
        for (uint32_t above = i + 1; last && above < LEVELS; above++)
            last = level_at(m, above)->out.count == 0;
        if (last) {
            bunch_row(b, 0, &key, &value);
            root->level = i - 1;
            return page_ref_decode(value, &root->ref) ? TARN_OK : TARN_IO;
        }
        enum tarn_err err = flush(t, i);
        if (err)
            return err;
    }
    return TARN_OK;
}

static enum tarn_err round_end(struct tarn_kv_tree *t) {
    struct merge *m = &t->merge;
    struct root root;
    bool all = m->rows_done && !m->draining;
    enum tarn_err err = root_of(t, &root);
    if (!err)
        err = merge_commit(t, &root, all && m->move_from == UINT64_MAX ? &m->log : &t->newest.log);
    m->round = false;
    if (err || !all)
        return err;
    rows_drop(&t->rows, TARN_AT(t->store.view.tables, 2));
    TARN_AT(t->store.view.tables, 2) = 0;
    m->active = false;
    return TARN_OK;
}

enum tarn_err merge_commit(struct tarn_kv_tree *t, const struct root *root,
                           const struct log_place *log) {
    struct tarn_waiter *waiter = tree_waiter(t);
    struct root_block next = t->newest;
    next.generation = t->roots.next;
    next.root = *root;
    next.log = *log;
    next.next_id = t->store.view.next_id;
    next.base = roots_next_base(&t->roots, waiter->ops->now(waiter));
    if (TARN_AT(t->store.view.tables, 2) && t->merge.log.seq > next.reach) {
        next.reach = t->merge.log.seq;
        next.reach_chain = t->merge.log.chain;
    }
    enum tarn_err err = buffer_flush(t);
    if (!err)
        err = tree_flush(t);
    if (!err)
        err = root_write(t, &next);
    if (!err)
        err = tree_flush(t);
    if (err)
        return err;
    t->newest = next;
    btree_init(&t->btree, t, root);
    roots_commit(t, waiter->ops->now(waiter));
    return TARN_OK;
}

/* -- steps ----------------------------------------------------------------------------------------
 */

/* The child at the level's index: of the topmost level, the old root itself. */
static bool child_of(struct tarn_kv_tree *t, uint32_t level, struct tarn_span *key,
                     struct page_ref *ref) {
    struct merge_level *l = level_at(&t->merge, level);
    struct tarn_span value;
    if (level == t->merge.top) {
        *key = TARN_SPAN_EMPTY;
        *ref = t->newest.root.ref;
        return true;
    }
    return page_row(TARN_SPAN_ARRAY(l->page), l->index, key, &value) && page_ref_decode(value, ref);
}

/* What bounds the keys of the child at the level's index, to the level below. */
static bool bound_child(struct merge *m, uint32_t level) {
    struct merge_level *l = level_at(m, level), *below = level_at(m, level - 1);
    struct tarn_span next = tarn_span_first(TARN_SPAN_ARRAY(l->upper), l->upper_len), value;
    below->bounded = l->bounded;
    if (l->index + 1 < l->count) {
        below->bounded = true;
        if (!page_row(TARN_SPAN_ARRAY(l->page), l->index + 1, &next, &value))
            return false;
    }
    below->upper_len = (uint32_t)tarn_bytes_copy(TARN_BYTES_ARRAY(below->upper), next);
    return true;
}

struct finder {
    struct walk walk;
    uint64_t from;
    bool found;
};
static enum tarn_err find_from(struct walk *w, const struct page_ref *ref, uint32_t level,
                               struct tarn_span page, enum tarn_err err) {
    struct finder *f = TARN_CONTAINER_OF(w, struct finder, walk);
    (void)level, (void)page;
    f->found = f->found || ref->page >= f->from;
    return err ? err : f->found ? TARN_EOF : TARN_OK;
}

/* Whether the child must be looked into: rows of the table belong there, or pages have to move. */
static enum tarn_err concerned(struct tarn_kv_tree *t, uint32_t level, const struct page_ref *ref,
                               bool *is) {
    struct merge *m = &t->merge;
    const struct row *r = row_next(t);
    *is = r && row_is_below(r, level_at(m, level - 1));
    if (m->move_from == UINT64_MAX || m->draining)
        return TARN_OK;
    struct finder f = {.walk = {.visit = find_from, .leaves_from = UINT64_MAX},
                       .from = m->move_from};
    struct root root = {*ref, level - 1};
    enum tarn_err err = walk_run(t, &root, &f.walk);
    *is = f.found;
    return err == TARN_EOF ? TARN_OK : err;
}

static enum tarn_err child_read(struct tarn_kv_tree *t, uint32_t level, struct tarn_span key,
                                const struct page_ref *ref) {
    struct merge *m = &t->merge;
    struct merge_level *l = level_at(m, level), *below = level_at(m, level - 1);
    below->leftmost = l->leftmost && l->index == 0;
    if (level == 1 && below->out.count == 0)
        low_set(&below->out, below->leftmost ? TARN_SPAN_EMPTY : key);
    l->index++;
    enum tarn_err err = cache_copy(t, ref, level - 1, TARN_BYTES_ARRAY(below->page));
    if (err)
        return err;
    below->index = 0;
    below->count = page_count(TARN_SPAN_ARRAY(below->page));
    space_free_later(&t->space, ref->page, t->roots.next);
    m->pages++;
    m->at = level - 1;
    return TARN_OK;
}

/* The next child at level m->at: kept as it is, or entered. */
static enum tarn_err child_step(struct tarn_kv_tree *t) {
    struct merge *m = &t->merge;
    uint32_t level = m->at;
    struct tarn_span key;
    struct page_ref ref;
    bool enter, flushed = false;
    if (!child_of(t, level, &key, &ref) || !bound_child(m, level))
        return TARN_IO;
    enum tarn_err err = concerned(t, level, &ref, &enter);
    if (!err && !enter)
        err = flush_up_to(t, level - 1, &flushed);
    if (err)
        return err;
    if (!flushed)
        return child_read(t, level, key, &ref);
    level_at(m, level)->index++;
    uint8_t room[PAGE_REF_BYTES];
    struct tarn_writer w = TARN_WRITER_ARRAY(room);
    page_ref_encode(&w, &ref);
    return add(t, level, key, tarn_writer_span(&w));
}

/* Some rows of the leaf at hand and of the table, in their order; of equal keys the table's. */
static enum tarn_err leaf_step(struct tarn_kv_tree *t) {
    struct merge *m = &t->merge;
    struct merge_level *leaf = level_at(m, 0);
    for (uint32_t i = 0; i < ROWS_AT_ONCE; i++) {
        struct tarn_span key, value;
        const struct row *r = row_next(t);
        bool old = leaf->index < leaf->count, new = r &&row_is_below(r, leaf);
        enum tarn_err err;
        if (!old && !new) {
            m->at = 1;
            return TARN_OK;
        }
        if (old && !page_row(TARN_SPAN_ARRAY(leaf->page), leaf->index, &key, &value))
            return TARN_IO;
        int order = !old ? 1 : !new ? -1 : tarn_span_compare(key, row_key(r));
        leaf->index += order <= 0;
        err = order < 0 ? add(t, 0, key, value) : row_merge(t, r);
        if (err)
            return err;
    }
    return TARN_OK;
}

static enum tarn_err step(struct tarn_kv_tree *t) {
    struct merge *m = &t->merge;
    if (!m->round)
        return round_begin(t);
    if (m->pages >= m->round_pages && (!m->rows_done || m->move_from != UINT64_MAX))
        m->draining = true;
    if (m->at == 0)
        return leaf_step(t);
    while (m->at <= m->top) {
        struct merge_level *l = level_at(m, m->at);
        if (l->index == l->count) {
            m->at++;
            continue;
        }
        uint32_t level = m->at;
        enum tarn_err err = child_step(t);
        if (err || m->at != level)
            return err;
    }
    return round_end(t);
}

enum tarn_err merge_step(struct tarn_kv_tree *t) {
    enum tarn_err err = t->failed ? TARN_IO : t->merge.active ? step(t) : TARN_OK;
    /* Half a round cannot be taken back: what is durable is found again at the next open. */
    if (err)
        t->failed = true;
    return err;
}

enum tarn_err merge_finish(struct tarn_kv_tree *t) {
    enum tarn_err err = TARN_OK;
    while (!err && t->merge.active)
        err = merge_step(t);
    return err;
}

static void begin(struct tarn_kv_tree *t) {
    struct merge *m = &t->merge;
    TARN_ASSERT(!m->active);
    m->active = true;
    m->round = m->rows_done = false;
    m->next = NULL;
    m->merged_bytes = 0;
    m->table_bytes = 0;
    rows_walk_begin(&m->walk, &t->rows, TARN_AT(t->store.view.tables, 2));
}

void merge_begin(struct tarn_kv_tree *t) {
    TARN_AT(t->store.view.tables, 2) = TARN_AT(t->store.view.tables, 1);
    TARN_AT(t->store.view.tables, 1) = 0;
    filter_swap(&TARN_AT(t->filters, 1), &TARN_AT(t->filters, 2));
    filter_clear(&TARN_AT(t->filters, 1));
    begin(t);
    t->merge.table_bytes = t->table_bytes;
    t->merge.log = t->log.tail;
    t->table_bytes = 0;
    t->table_first_unit = t->log.tail.unit;
}

enum tarn_err merge_move(struct tarn_kv_tree *t, uint64_t from) {
    begin(t);
    t->merge.move_from = from;
    enum tarn_err err = merge_finish(t);
    t->merge.move_from = UINT64_MAX;
    return err;
}
