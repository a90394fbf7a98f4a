/* SPDX-License-Identifier: ISC */
/* Looking up in the tree on the device. */
#include "tree.h"

static struct btree *btree_of(struct view_base *base) {
    return TARN_CONTAINER_OF(base, struct btree, base);
}

/* Where the keys of a leaf end: those behind it start at `key`. */
struct bound {
    uint8_t key[ROW_KEY_MAX];
    size_t len;
    bool known; /* false: it is the last leaf */
};

static bool bound_set(struct bound *bound, struct tarn_span page, uint32_t next) {
    struct tarn_span k, v;
    if (next >= page_count(page))
        return true;
    if (!page_row(page, next, &k, &v))
        return false;
    bound->len = tarn_bytes_copy(TARN_BYTES_ARRAY(bound->key), k);
    bound->known = true;
    return true;
}

/* The leaf that `key` belongs to. `bound` may be NULL. */
static enum tarn_err leaf_of(struct btree *b, struct tarn_span key, struct tarn_span *leaf,
                             struct bound *bound) {
    struct page_ref ref = b->root.ref;
    for (uint32_t level = b->root.level;; level--) {
        uint32_t i;
        enum tarn_err err = cache_get(b->tree, &ref, level, leaf);
        if (err || level == 0)
            return err;
        if (!page_child(*leaf, key, &i, &ref) || (bound && !bound_set(bound, *leaf, i + 1)))
            return TARN_IO;
    }
}

static enum tarn_err base_get(struct view_base *base, struct tarn_span key,
                              struct tarn_span *value) {
    struct btree *b = btree_of(base);
    struct tarn_span leaf, k;
    uint32_t i;
    if (!b->root.ref.page)
        return TARN_NOT_FOUND;
    enum tarn_err err = leaf_of(b, key, &leaf, NULL);
    if (err)
        return err;
    if (!page_lower(leaf, key, false, &i))
        return TARN_IO;
    if (i == page_count(leaf))
        return TARN_NOT_FOUND;
    if (!page_row(leaf, i, &k, value))
        return TARN_IO;
    return tarn_span_equal(k, key) ? TARN_OK : TARN_NOT_FOUND;
}

/* Whether the row behind `key` is the finger's, or the one behind that in the same leaf. */
static bool finger_next(struct btree *b, struct tarn_span key, struct tarn_span *found,
                        struct tarn_span *value) {
    struct finger *f = &b->finger;
    if (f->version != b->tree->cache.version || !f->page.len
        || !page_row(f->page, f->index, found, value))
        return false;
    int order = tarn_span_compare(*found, key);
    if (order)
        return order > 0;
    if (f->index + 1 >= page_count(f->page))
        return false;
    f->index++;
    return page_row(f->page, f->index, found, value);
}

static enum tarn_err base_seek(struct view_base *base, struct tarn_span key, bool behind,
                               bool onward, struct tarn_span *found, struct tarn_span *value) {
    struct btree *b = btree_of(base);
    uint8_t from[ROW_KEY_MAX];
    struct bound bound;
    if (!b->root.ref.page)
        return TARN_EOF;
    if (behind && onward && finger_next(b, key, found, value))
        return TARN_OK;
    for (;;) {
        struct tarn_span leaf;
        uint32_t i;
        bound.known = false;
        enum tarn_err err = leaf_of(b, key, &leaf, &bound);
        if (err)
            return err;
        if (!page_lower(leaf, key, behind, &i))
            return TARN_IO;
        if (i < page_count(leaf)) {
            b->finger = (struct finger){b->tree->cache.version, leaf, i};
            return page_row(leaf, i, found, value) ? TARN_OK : TARN_IO;
        }
        if (!bound.known)
            return TARN_EOF;
        key = tarn_span_first(TARN_SPAN_ARRAY(bound.key), bound.len);
        key = tarn_span_first(TARN_SPAN_ARRAY(from), tarn_bytes_copy(TARN_BYTES_ARRAY(from), key));
        behind = false;
    }
}

void btree_init(struct btree *b, struct tarn_kv_tree *t, const struct root *root) {
    *b = (struct btree){.base = {base_get, base_seek}, .tree = t, .root = *root};
}
