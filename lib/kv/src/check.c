/* SPDX-License-Identifier: ISC */
/* Walking the whole tree: for opening, scrubbing, and moving to another size. */
#include "tree.h"

/* -- walking --------------------------------------------------------------------------------------
 */

struct step {
    struct page_ref ref;
    uint32_t next; /* the child to go to */
};

static enum tarn_err visit(struct tarn_kv_tree *t, struct walk *w, const struct page_ref *ref,
                           uint32_t level, uint32_t *children) {
    struct tarn_span page = TARN_SPAN_EMPTY;
    enum tarn_err err = TARN_OK;
    *children = 0;
    if (w->known && ref->page < w->known->pages && space_is_used(w->known, ref->page))
        return TARN_OK;
    if (level || ref->birth >= w->leaves_from)
        err = cache_get(t, ref, level, &page);
    if (!err && level)
        *children = page_count(page);
    return w->visit(w, ref, level, err ? TARN_SPAN_EMPTY : page, err);
}

static enum tarn_err others_turn(struct tarn_kv_tree *t, const struct walk *w) {
    if (!w->in_turns)
        return TARN_OK;
    tree_leave(t);
    return tree_enter(t);
}

enum tarn_err walk_run(struct tarn_kv_tree *t, const struct root *root, struct walk *w) {
    struct step path[PAGE_LEVELS_MAX + 1];
    uint32_t counts[PAGE_LEVELS_MAX + 1], level = root->level;
    if (!root->ref.page)
        return TARN_OK;
    TARN_AT(path, level) = (struct step){root->ref, 0};
    enum tarn_err err = visit(t, w, &root->ref, level, &TARN_AT(counts, level));
    while (!err) {
        struct step *s = &TARN_AT(path, level);
        struct tarn_span page, key, value;
        if (s->next == TARN_AT(counts, level)) {
            if (level++ == root->level)
                return TARN_OK;
            continue;
        }
        err = others_turn(t, w);
        if (!err)
            err = cache_get(t, &s->ref, level, &page);
        struct step *below = &TARN_AT(path, level - 1);
        if (!err
            && (!page_row(page, s->next, &key, &value) || !page_ref_decode(value, &below->ref)))
            err = TARN_IO;
        if (err)
            return err;
        s->next++;
        below->next = 0;
        level--;
        err = visit(t, w, &below->ref, level, &TARN_AT(counts, level));
    }
    return err;
}

/* -- scrub ----------------------------------------------------------------------------------------
 */

struct scrub {
    struct walk walk;
    struct tarn_kv_tree_report *report;
    const struct space *space;
    uint8_t last[ROW_KEY_MAX]; /* the last key of a leaf */
    size_t last_len;
    bool any;
};

/* Rows in order, behind all those of the leaves before. */
static bool leaf_is_good(struct scrub *s, struct tarn_span page) {
    for (uint32_t i = 0; i < page_count(page); i++) {
        struct tarn_span key, value, last = tarn_span_first(TARN_SPAN_ARRAY(s->last), s->last_len);
        if (!page_row(page, i, &key, &value))
            return false;
        if (s->any && tarn_span_compare(last, key) >= 0)
            return false;
        s->last_len = tarn_bytes_copy(TARN_BYTES_ARRAY(s->last), key);
        s->any = true;
        s->report->rows++;
    }
    return true;
}

static enum tarn_err scrub_visit(struct walk *w, const struct page_ref *ref, uint32_t level,
                                 struct tarn_span page, enum tarn_err err) {
    struct scrub *s = TARN_CONTAINER_OF(w, struct scrub, walk);
    s->report->pages++;
    bool good = !err && (level || leaf_is_good(s, page))
                && (w->in_turns || space_is_used(s->space, ref->page));
    if (good)
        return TARN_OK;
    if (s->report->damaged++ == 0)
        s->report->first_damaged = ref->page;
    return TARN_OK;
}

enum tarn_err tarn_kv_tree_check(struct tarn_kv_tree *t, struct tarn_kv_tree_report *report) {
    struct scrub s = {.walk = {.visit = scrub_visit}, .report = report, .space = &t->space};
    uint32_t keeper;
    *report = (struct tarn_kv_tree_report){0};
    enum tarn_err err = tree_enter(t);
    if (err)
        return err;
    /* Pages of the tree as it is now must not be used again while others have their turns. */
    struct root root = t->newest.root;
    s.walk.in_turns = space_keep(&t->space, &keeper);
    err = walk_run(t, &root, &s.walk);
    if (s.walk.in_turns)
        space_unkeep(&t->space, keeper);
    tree_leave(t);
    return err;
}

/* -- another size ---------------------------------------------------------------------------------
 */

static uint64_t device_pages(const struct tarn_kv_tree *t) {
    return t->blk->blocks / (PAGE_BYTES / t->blk->block_bytes);
}

enum tarn_err tarn_kv_tree_grow(struct tarn_kv_tree *t) {
    uint64_t pages = TARN_MIN(device_pages(t), (uint64_t)(t->space.words_max - 1) * 64);
    enum tarn_err err = tree_enter(t);
    if (err)
        return err;
    if (!t->failed && pages > t->newest.pages) {
        t->newest.pages = pages;
        t->space.pages = t->space.limit = (uint32_t)pages;
        err = merge_commit(t, &t->newest.root, &t->newest.log);
        t->failed = err != TARN_OK;
    }
    tree_leave(t);
    return err ? err : t->failed ? TARN_IO : TARN_OK;
}

/* The newest root, or one behind it, is what a loss of power leads to. */
static enum tarn_err make_base(struct tarn_kv_tree *t) {
    uint64_t generation = t->newest.generation;
    enum tarn_err err = TARN_OK;
    while (!err && roots_base(&t->roots)->generation < generation)
        err = roots_advance(t);
    return err;
}

static enum tarn_err shrink_inside(struct tarn_kv_tree *t, uint64_t pages) {
    struct space *s = &t->space;
    enum tarn_err err = tree_settle(t);
    if (err)
        return err;
    s->limit = (uint32_t)pages;
    if (space_available(s) < merge_reserve(t) + 2) {
        s->limit = s->pages;
        return TARN_LIMIT;
    }
    err = merge_move(t, pages);
    /* Until then older roots need what is behind the new end; and they say the old size. */
    if (!err)
        err = make_base(t);
    if (err)
        return err;
    t->newest.pages = pages;
    err = merge_commit(t, &t->newest.root, &t->newest.log);
    return err ? err : make_base(t);
}

enum tarn_err tarn_kv_tree_shrink(struct tarn_kv_tree *t, uint64_t bytes) {
    uint64_t pages = bytes / PAGE_BYTES;
    enum tarn_err err = tree_enter(t);
    if (err)
        return err;
    if (t->failed)
        err = TARN_IO;
    else if (pages <= t->space.first || t->space.keeping)
        err = TARN_LIMIT;
    else if (pages < t->newest.pages)
        err = shrink_inside(t, pages);
    if (err && err != TARN_LIMIT)
        t->failed = true;
    tree_leave(t);
    return err;
}
