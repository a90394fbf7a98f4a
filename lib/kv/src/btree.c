/* SPDX-License-Identifier: ISC */
/* Looking up in the tree on the device. */
#include "tree.h"

static struct btree *btree_of(struct view_base *base) {
    return TARN_CONTAINER_OF(base, struct btree, base);
}

/* The leaf that `key` belongs to. *bounded: keys behind it start at b->upper. */
static enum tarn_err leaf_of(struct btree *b, struct tarn_span key, struct page_ref *ref,
                             struct tarn_span *leaf, size_t *upper_len, bool *bounded) {
    *ref = b->root.ref;
    *bounded = false;
    for (uint32_t level = b->root.level;; level--) {
        struct tarn_span k, v;
        uint32_t i;
        enum tarn_err err = cache_get(b->tree, ref, level, leaf);
        if (err || level == 0)
            return err;
        if (!page_child(*leaf, key, &i, ref))
            return TARN_IO;
        if (i + 1 < page_count(*leaf)) {
            if (!page_row(*leaf, i + 1, &k, &v))
                return TARN_IO;
            *upper_len = tarn_bytes_copy(TARN_BYTES_ARRAY(b->upper), k);
            *bounded = true;
        }
    }
}

static enum tarn_err base_get(struct view_base *base, struct tarn_span key,
                              struct tarn_span *value) {
    struct btree *b = btree_of(base);
    struct tarn_span leaf, k;
    struct page_ref ref;
    size_t upper_len;
    bool bounded;
    uint32_t i;
    if (!b->root.ref.page)
        return TARN_NOT_FOUND;
    enum tarn_err err = leaf_of(b, key, &ref, &leaf, &upper_len, &bounded);
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

/* Whether the row behind `key` is the one behind the finger, in the same leaf. */
static bool finger_next(struct btree *b, struct tarn_span key, struct tarn_span *found,
                        struct tarn_span *value) {
    struct finger *f = &b->finger;
    struct tarn_span k, v;
    if (f->version != b->tree->cache.version || !f->page.len || f->index + 1 >= page_count(f->page)
        || !page_row(f->page, f->index, &k, &v) || !tarn_span_equal(k, key))
        return false;
    f->index++;
    return page_row(f->page, f->index, found, value);
}

static enum tarn_err base_seek(struct view_base *base, struct tarn_span key, bool behind,
                               struct tarn_span *found, struct tarn_span *value) {
    struct btree *b = btree_of(base);
    uint8_t from[ROW_KEY_MAX];
    if (!b->root.ref.page)
        return TARN_EOF;
    if (behind && finger_next(b, key, found, value))
        return TARN_OK;
    for (;;) {
        struct tarn_span leaf;
        struct page_ref ref;
        size_t upper_len = 0;
        bool bounded;
        uint32_t i;
        enum tarn_err err = leaf_of(b, key, &ref, &leaf, &upper_len, &bounded);
        if (err)
            return err;
        if (!page_lower(leaf, key, behind, &i))
            return TARN_IO;
        if (i < page_count(leaf)) {
            b->finger = (struct finger){b->tree->cache.version, leaf, i};
            return page_row(leaf, i, found, value) ? TARN_OK : TARN_IO;
        }
        if (!bounded)
            return TARN_EOF;
        key = tarn_span_first(TARN_SPAN_ARRAY(b->upper), upper_len);
        key = tarn_span_first(TARN_SPAN_ARRAY(from), tarn_bytes_copy(TARN_BYTES_ARRAY(from), key));
        behind = false;
    }
}

void btree_init(struct btree *b, struct tarn_kv_tree *t, const struct root *root) {
    *b = (struct btree){.base = {base_get, base_seek}, .tree = t, .root = *root};
}
