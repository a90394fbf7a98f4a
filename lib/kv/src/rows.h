/* SPDX-License-Identifier: ISC */
/* rows.h: ordered tables of small rows in memory, all in one slab, that can share their parts.
 *
 * A table is a treap, named by the row at its root (0: empty). Whoever holds a table's root
 * (rows_hold) keeps the table as it is: changing it under another root copies what the two share on
 * the way. So a snapshot, and undoing a batch, is one hold. Priorities are random, so the depth is
 * logarithmic whatever the keys are. */
#ifndef TARN_KV_ROWS_H
#define TARN_KV_ROWS_H

#include "slab.h"

#include <tarn/env.h>

/* Keys and values together; the same bound as a page's of the tree on a device. */
#define ROW_BYTES_MAX 1009u
#define ROW_KEY_MAX 264u

struct row {
    uint32_t left, right;
    uint32_t holds; /* by parents and by holders of a root */
    uint32_t priority;
    uint16_t key_len, value_len;
    bool gone; /* a row that says that there is none, in this table and those under it */
    uint8_t bytes[];
};

struct rows {
    struct slab slab;
    uint64_t random;  /* state of the priorities' generator */
    uint64_t version; /* changes with every table */
    uint32_t garbage; /* rows that nobody holds, their parts not yet let go; by `priority` */
};

TARN_MUST_USE enum tarn_err rows_init(struct rows *t, struct tarn_alloc *alloc, size_t bytes,
                                      uint64_t seed);
void rows_fini(struct rows *t);

static inline struct row *row_at(const struct rows *t, uint32_t row) {
    return (struct row *)slab_at(&t->slab, row);
}
static inline struct tarn_span row_key(const struct row *r) {
    return tarn_span_of(r->bytes, r->key_len);
}
static inline struct tarn_span row_value(const struct row *r) {
    return tarn_span_after(tarn_span_of(r->bytes, (size_t)r->key_len + r->value_len), r->key_len);
}

/* The row of that key, or NULL. Rows live until the table changes. */
struct row *rows_get(const struct rows *t, uint32_t root, struct tarn_span key);
/* The first row whose key is not before `key` (behind it, where `behind`), or NULL. */
struct row *rows_seek(const struct rows *t, uint32_t root, struct tarn_span key, bool behind);
/* All rows of a table that does not change meanwhile, in order. */
struct rows_walk {
    const struct rows *rows;
    uint32_t root, depth;
    const struct row *last; /* the row before; NULL: none yet */
    bool deep;              /* the stack was too small: each row is looked for */
    uint32_t stack[64];     /* rows whose left parts are done */
};
void rows_walk_begin(struct rows_walk *w, const struct rows *t, uint32_t root);
const struct row *rows_walk_next(struct rows_walk *w); /* NULL: no more */

/* Sets a row. TARN_LIMIT: no memory; the table's rows are as they were. `key` and `value` must not
 * lie in the table. */
TARN_MUST_USE enum tarn_err rows_put(struct rows *t, uint32_t *root, struct tarn_span key,
                                     struct tarn_span value, bool gone);
/* Takes a row out; nothing where it is not there. TARN_LIMIT as above. */
TARN_MUST_USE enum tarn_err rows_remove(struct rows *t, uint32_t *root, struct tarn_span key);

void rows_hold(struct rows *t, uint32_t root);
/* Lets go; the memory comes back piece by piece with the calls that follow. */
void rows_drop(struct rows *t, uint32_t root);
/* Gives back up to `count` of the rows that nobody holds. */
void rows_sweep(struct rows *t, uint32_t count);

/* Puts the rows of `from` over those of *to: all, or (TARN_LIMIT) none. `keep_gone`: rows that say
 * there is none are kept; otherwise they only take others out. */
TARN_MUST_USE enum tarn_err rows_merge(struct rows *t, uint32_t *to, uint32_t from, bool keep_gone);

/* The same by moving the rows, *from being empty then. Nobody else holds a row of either table:
 * then it takes no memory. */
void rows_move(struct rows *t, uint32_t *to, uint32_t *from);

#endif
