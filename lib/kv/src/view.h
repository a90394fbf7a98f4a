/* SPDX-License-Identifier: ISC */
/* view.h: rows, from several tables laid over each other and whatever lies under them.
 *
 * The layers, from the top: rows[0] is where a batch collects what it changes (only in a view that
 * writes), then tables of older rows, then the base (the tree on a device), which may wait and may
 * be absent. Keys and values that a view answers with live until its next call. */
#ifndef TARN_KV_VIEW_H
#define TARN_KV_VIEW_H

#include "filter.h"
#include "rows.h"

#define VIEW_TABLES 3

struct view_base {
    /* TARN_NOT_FOUND: no such row. */
    enum tarn_err (*get)(struct view_base *base, struct tarn_span key, struct tarn_span *value);
    /* The first row not before `key` (behind it, where `behind`). TARN_EOF: none. `onward`: it is
     * not before the key of the last seek. */
    enum tarn_err (*seek)(struct view_base *base, struct tarn_span key, bool behind, bool onward,
                          struct tarn_span *found, struct tarn_span *value);
};

/* What the last search found in each table. A search behind what it answered, as in a scan, finds
 * the same again wherever that was not the answer. */
struct view_finger {
    uint64_t version; /* of the rows */
    uint32_t tables[VIEW_TABLES];
    const struct row *rows[VIEW_TABLES];
    uint8_t key[ROW_KEY_MAX]; /* what was answered; length 0: nothing */
    size_t key_len;
};
struct view {
    struct rows *rows;
    uint32_t tables[VIEW_TABLES];
    const struct filter *filters[VIEW_TABLES]; /* of at least the keys in the table; or NULL */
    struct view_base *base;
    uint64_t next_id; /* the next dictionary or large value is called this */
    uint64_t root;    /* and this is the root's number */
    struct view_finger finger;
};

TARN_MUST_USE enum tarn_err view_get(struct view *v, struct tarn_span key, struct tarn_span *value);
TARN_MUST_USE enum tarn_err view_seek(struct view *v, struct tarn_span key, bool behind,
                                      struct tarn_span *found, struct tarn_span *value);
/* Into rows[0]. TARN_LIMIT: no memory. */
TARN_MUST_USE enum tarn_err view_put(struct view *v, struct tarn_span key, struct tarn_span value);
TARN_MUST_USE enum tarn_err view_remove(struct view *v, struct tarn_span key);

#endif
