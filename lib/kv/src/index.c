/* SPDX-License-Identifier: ISC */
#include "index.h"

#include <tarn/kv_path.h>

static int order(const struct entry *a, const struct entry *b) {
    int by_path = tarn_kv_path_compare(a->path, b->path);
    return by_path ? by_path : (a->order > b->order) - (a->order < b->order);
}

static void swap(struct index *x, uint32_t i, uint32_t j) {
    struct entry t = *index_at(x, i);
    *index_at(x, i) = *index_at(x, j);
    *index_at(x, j) = t;
}

static void sift_down(struct index *x, uint32_t root, uint32_t count) {
    for (;;) {
        uint32_t child = 2 * root + 1;
        if (child >= count)
            return;
        if (child + 1 < count && order(index_at(x, child), index_at(x, child + 1)) < 0)
            child++;
        if (order(index_at(x, root), index_at(x, child)) >= 0)
            return;
        swap(x, root, child);
        root = child;
    }
}

/* Heapsort: no memory, and no order of names makes it slow. Archives made in order are the rule. */
void index_sort(struct index *x, struct index_dropped *dropped) {
    uint32_t kept = 0;
    for (uint32_t i = x->count / 2; i-- > 0;)
        sift_down(x, i, x->count);
    for (uint32_t n = x->count; n > 1; n--) {
        swap(x, 0, n - 1);
        sift_down(x, 0, n - 1);
    }
    for (uint32_t i = 0; i < x->count; i++) {
        if (dropped && kept && tarn_span_equal(index_at(x, kept - 1)->path, index_at(x, i)->path))
            dropped->tell(dropped, index_at(x, kept - 1));
        if (kept && tarn_span_equal(index_at(x, kept - 1)->path, index_at(x, i)->path))
            kept--;
        *index_at(x, kept++) = *index_at(x, i);
    }
    x->count = kept;
}

const struct entry *index_conflict(const struct index *x) {
    for (uint32_t i = 0; i + 1 < x->count; i++)
        if (tarn_kv_path_below(index_at(x, i + 1)->path, index_at(x, i)->path))
            return index_at(x, i);
    return NULL;
}

uint32_t index_lower(const struct index *x, struct tarn_span path) {
    uint32_t from = 0, to = x->count;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        if (tarn_kv_path_compare(index_at(x, middle)->path, path) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

uint32_t index_behind(const struct index *x, struct tarn_span path, uint32_t from) {
    uint32_t to = x->count;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        if (tarn_kv_path_below(index_at(x, middle)->path, path))
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}
