/* SPDX-License-Identifier: ISC */
#include "rows.h"

#include <tarn/hash.h>

#define SWEEP_AT_ONCE 8u

static size_t row_bytes(size_t key_len, size_t value_len) {
    return offsetof(struct row, bytes) + key_len + value_len;
}
_Static_assert(offsetof(struct row, bytes) + ROW_BYTES_MAX <= SLAB_ITEM_BYTES_MAX,
               "every row fits a slab's item");

enum tarn_err rows_init(struct rows *t, struct tarn_alloc *alloc, size_t bytes, uint64_t seed) {
    t->random = seed;
    t->version = 0;
    t->garbage = 0;
    return slab_init(&t->slab, alloc, bytes);
}

void rows_fini(struct rows *t) {
    slab_fini(&t->slab);
}

/* -- memory ---------------------------------------------------------------------------------------
 */

/* One hold less: with the last, the row becomes garbage (its own holds are let go later). */
static void unhold(struct rows *t, uint32_t row) {
    struct row *r;
    if (!row)
        return;
    r = row_at(t, row);
    if (--r->holds)
        return;
    t->version++;
    r->priority = t->garbage;
    t->garbage = row;
}

void rows_sweep(struct rows *t, uint32_t count) {
    for (; t->garbage && count; count--) {
        uint32_t row = t->garbage;
        struct row *r = row_at(t, row);
        t->garbage = r->priority;
        unhold(t, r->left);
        unhold(t, r->right);
        slab_put(&t->slab, row, row_bytes(r->key_len, r->value_len));
    }
}

static uint32_t row_take(struct rows *t, size_t bytes) {
    uint32_t row;
    rows_sweep(t, SWEEP_AT_ONCE);
    row = slab_take(&t->slab, bytes);
    while (!row && t->garbage) {
        rows_sweep(t, SWEEP_AT_ONCE);
        row = slab_take(&t->slab, bytes);
    }
    return row;
}

void rows_hold(struct rows *t, uint32_t root) {
    if (root)
        row_at(t, root)->holds++;
}

void rows_drop(struct rows *t, uint32_t root) {
    unhold(t, root);
}

static uint32_t priority_new(struct rows *t) {
    /* xorshift64 (Marsaglia 2003): it need not be unpredictable, only unlike the keys. */
    t->random = t->random ? t->random : 1;
    t->random ^= t->random << 13;
    t->random ^= t->random >> 7;
    t->random ^= t->random << 17;
    return (uint32_t)(t->random >> 16);
}

static uint32_t row_new(struct rows *t, struct tarn_span key, struct tarn_span value, bool gone) {
    TARN_ASSERT(key.len <= ROW_KEY_MAX && key.len + value.len <= ROW_BYTES_MAX);
    size_t bytes = row_bytes(key.len, value.len);
    uint32_t row = row_take(t, bytes);
    if (!row)
        return 0;
    struct row *r = row_at(t, row);
    *r = (struct row){.holds = 1,
                      .priority = priority_new(t),
                      .key_len = (uint16_t)key.len,
                      .value_len = (uint16_t)value.len,
                      .gone = gone};
    struct tarn_bytes room = tarn_bytes_of(r->bytes, key.len + value.len);
    tarn_bytes_copy(room, key);
    tarn_bytes_copy(tarn_bytes_after(room, key.len), value);
    return row;
}

/* Makes the row at *link the link's alone, copying it where it is shared. */
static struct row *own(struct rows *t, uint32_t *link) {
    struct row *r = row_at(t, *link);
    if (r->holds == 1)
        return r;
    size_t bytes = row_bytes(r->key_len, r->value_len);
    uint32_t row = row_take(t, bytes);
    if (!row)
        return NULL;
    struct row *copy = row_at(t, row);
    tarn_bytes_copy(tarn_bytes_of(copy, bytes), tarn_span_of(r, bytes));
    copy->holds = 1;
    rows_hold(t, copy->left);
    rows_hold(t, copy->right);
    r->holds--;
    *link = row;
    return copy;
}

/* -- reading --------------------------------------------------------------------------------------
 */

struct row *rows_get(const struct rows *t, uint32_t root, struct tarn_span key) {
    while (root) {
        struct row *r = row_at(t, root);
        int order = tarn_span_compare(key, row_key(r));
        if (order == 0)
            return r;
        root = order < 0 ? r->left : r->right;
    }
    return NULL;
}

struct row *rows_seek(const struct rows *t, uint32_t root, struct tarn_span key, bool behind) {
    struct row *found = NULL;
    while (root) {
        struct row *r = row_at(t, root);
        int order = tarn_span_compare(key, row_key(r));
        if (order < 0 || (order == 0 && !behind)) {
            found = r;
            root = r->left;
        } else {
            root = r->right;
        }
    }
    return found;
}

static void walk_down(struct rows_walk *w, uint32_t row) {
    for (; row && !w->deep; row = row_at(w->rows, row)->left) {
        /* Deeper than random priorities make a treap, but for one in very many. */
        w->deep = w->depth == TARN_COUNT_OF(w->stack);
        if (!w->deep)
            TARN_AT(w->stack, w->depth++) = row;
    }
}

void rows_walk_begin(struct rows_walk *w, const struct rows *t, uint32_t root) {
    w->rows = t;
    w->root = root;
    w->depth = 0;
    w->last = NULL;
    w->deep = false;
    walk_down(w, root);
}

const struct row *rows_walk_next(struct rows_walk *w) {
    if (w->deep) {
        w->last =
            rows_seek(w->rows, w->root, w->last ? row_key(w->last) : TARN_SPAN_EMPTY, w->last);
    } else if (w->depth) {
        w->last = row_at(w->rows, TARN_AT(w->stack, --w->depth));
        walk_down(w, w->last->right);
    } else {
        return NULL;
    }
    return w->last;
}

/* -- changing -------------------------------------------------------------------------------------
 */

/* Where a row is, and where one of some priority would be. */
struct place {
    uint32_t *row; /* the link to the row of the key; NULL: it is not there */
    uint32_t *new; /* the link to where a new one hangs in */
};

/* Owns every row on the search path of `key`: what follows needs no memory and cannot stop half
 * way.
 */
static bool own_path(struct rows *t, uint32_t *link, struct tarn_span key, uint32_t priority,
                     struct place *place) {
    *place = (struct place){NULL, NULL};
    t->version++;
    while (*link) {
        struct row *r = own(t, link);
        if (!r)
            return false;
        int order = tarn_span_compare(key, row_key(r));
        if (order == 0)
            place->row = link;
        if (!place->new && r->priority < priority)
            place->new = link;
        link = order <= 0 ? &r->left : &r->right;
    }
    if (!place->new)
        place->new = link;
    return true;
}

/* Hangs the parts of `tree` before and behind `key` under the new row. The path is owned. */
static void split_under(struct rows *t, struct row *new, uint32_t tree, struct tarn_span key) {
    uint32_t *left = &new->left, *right = &new->right;
    while (tree) {
        struct row *r = row_at(t, tree);
        if (tarn_span_compare(row_key(r), key) < 0) {
            *left = tree;
            left = &r->right;
            tree = *left;
        } else {
            *right = tree;
            right = &r->left;
            tree = *right;
        }
    }
    *left = *right = 0;
}

/* Hangs a row that nobody else has into the table, in place of one of its key. */
static bool hang(struct rows *t, uint32_t *root, uint32_t row) {
    struct row *new = row_at(t, row);
    struct place place;
    if (!own_path(t, root, row_key(new), new->priority, &place))
        return false;
    if (!place.row) {
        split_under(t, new, *place.new, row_key(new));
        *place.new = row;
        return true;
    }
    struct row *old = row_at(t, *place.row);
    new->left = old->left;
    new->right = old->right;
    new->priority = old->priority;
    old->left = old->right = 0;
    unhold(t, *place.row);
    *place.row = row;
    return true;
}

enum tarn_err rows_put(struct rows *t, uint32_t *root, struct tarn_span key, struct tarn_span value,
                       bool gone) {
    uint32_t row = row_new(t, key, value, gone);
    if (!row)
        return TARN_LIMIT;
    if (hang(t, root, row))
        return TARN_OK;
    unhold(t, row);
    return TARN_LIMIT;
}

void rows_move(struct rows *t, uint32_t *to, uint32_t *from) {
    while (*from) {
        uint32_t row = *from;
        struct row *r = row_at(t, row);
        if (r->left) { /* turn the tree until its first row is its root */
            struct row *l = row_at(t, r->left);
            *from = r->left;
            r->left = l->right;
            l->right = row;
            continue;
        }
        *from = r->right;
        r->right = 0;
        bool hangs = hang(t, to, row);
        TARN_ASSERT(hangs);
    }
}

/* The rows that joining two neighbouring trees walks: the edge of each that faces the other. */
static bool own_edge(struct rows *t, uint32_t *link, bool right) {
    while (*link) {
        struct row *r = own(t, link);
        if (!r)
            return false;
        link = right ? &r->right : &r->left;
    }
    return true;
}

enum tarn_err rows_remove(struct rows *t, uint32_t *root, struct tarn_span key) {
    struct place place;
    if (!rows_get(t, *root, key))
        return TARN_OK;
    if (!own_path(t, root, key, 0, &place))
        return TARN_LIMIT;
    uint32_t *link = place.row, old = *link;
    struct row *r = row_at(t, old);
    if (!own_edge(t, &r->left, true) || !own_edge(t, &r->right, false))
        return TARN_LIMIT;
    uint32_t left = r->left, right = r->right;
    while (left && right) {
        struct row *l = row_at(t, left), *g = row_at(t, right);
        if (l->priority >= g->priority) {
            *link = left;
            link = &l->right;
            left = *link;
        } else {
            *link = right;
            link = &g->left;
            right = *link;
        }
    }
    *link = left ? left : right;
    r->left = r->right = 0;
    unhold(t, old);
    return TARN_OK;
}

/* -- merging --------------------------------------------------------------------------------------
 */

static enum tarn_err apply(struct rows *t, uint32_t *to, const struct row *r, bool keep_gone) {
    return r->gone && !keep_gone ? rows_remove(t, to, row_key(r))
                                 : rows_put(t, to, row_key(r), row_value(r), r->gone);
}

enum tarn_err rows_merge(struct rows *t, uint32_t *to, uint32_t from, bool keep_gone) {
    const struct row *r = from ? row_at(t, from) : NULL;
    uint32_t before = *to;
    struct rows_walk w;
    if (!r)
        return TARN_OK;
    /* A single row is put whole or not at all anyway: nothing needs to be kept for going back. */
    if (!r->left && !r->right)
        return apply(t, to, r, keep_gone);
    rows_hold(t, before);
    rows_walk_begin(&w, t, from);
    while ((r = rows_walk_next(&w))) {
        enum tarn_err err = apply(t, to, r, keep_gone);
        if (err) {
            rows_drop(t, *to);
            *to = before;
            return err;
        }
    }
    rows_drop(t, before);
    return TARN_OK;
}
