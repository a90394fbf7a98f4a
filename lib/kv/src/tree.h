/* SPDX-License-Identifier: ISC */
/* tree.h: the parts of the store on a device, top down:
 *
 *   tree.c    the store: batches, turns, snapshots         open.c   formatting, opening, recovery
 *   log.c     the log: records, group commit, its ring     check.c  scrub, growing, shrinking
 *   merge.c   the table into the tree, step by step        root.c   the ring of roots
 *   btree.c   looking up                                   space.c  which pages are free
 *   cache.c   pages in memory                              page.c   bytes of pages
 */
#ifndef TARN_KV_TREE_INTERNAL_H
#define TARN_KV_TREE_INTERNAL_H

#include "page.h"
#include "store.h"
#include "turns.h"

#include <tarn/blk_wait.h>
#include <tarn/kv_tree.h>
#include <tarn/pool.h>

#define ROOT_SLOTS 8u /* one page each, at the start of the device */
#define LAG_FLUSH 1u  /* roots that a freed page and a part of the log outlive */
#define LAG_NO_FLUSH 4u
#define LAG_MAX LAG_NO_FLUSH
#define GENERATION_MAX ((uint64_t)1 << 62)
#define WRITE_PAGES 16u /* written at once, where they are neighbours */
#define LOG_HEADER_BYTES 48u

/* -- space.c ------------------------------------------------------------------------------------
 */

/* A page that older roots may still need. */
struct freed {
    uint32_t page;
    uint64_t generation; /* of the first root that does not need it */
};
struct space {
    uint64_t *used; /* a bit per page */
    uint64_t *kept; /* `keepers` more such maps, of snapshots: their pages are not free either */
    uint32_t keepers;
    uint64_t keeping; /* a bit per map in use */
    uint32_t words_max;
    uint32_t pages;       /* of the device */
    uint32_t first, next; /* the first page for the tree; where to look next */
    uint32_t limit;       /* take only below: `pages`, but while shrinking */
    uint32_t used_count;  /* freed ones included */
    uint32_t kept_count;  /* kept and not used */
    struct freed *freed;  /* a ring */
    uint32_t freed_cap, freed_head, freed_count;
};
TARN_MUST_USE enum tarn_err space_init(struct space *s, struct tarn_alloc *alloc,
                                       uint64_t pages_max, uint32_t keepers, uint32_t freed_cap);
void space_fini(struct space *s, struct tarn_alloc *alloc);
bool space_is_used(const struct space *s, uint64_t page);
void space_mark(struct space *s, uint64_t page);
void space_unmark(struct space *s, uint64_t page);
/* A free page, marked; 0: none. */
uint64_t space_take(struct space *s);
/* The page is free once the base (root.c) is root `generation` or later. There must be room in the
 * ring. */
void space_free_later(struct space *s, uint64_t page, uint64_t generation);
/* Frees what no root from `base` on needs. */
void space_release(struct space *s, uint64_t base);
/* Pages that are neither used nor kept; and with those that will be so of themselves. */
uint64_t space_free(const struct space *s);
uint64_t space_available(const struct space *s);
/* A snapshot keeps all that is used now; which map it has. False: none is free. */
TARN_MUST_USE bool space_keep(struct space *s, uint32_t *keeper);
void space_unkeep(struct space *s, uint32_t keeper);

/* -- cache.c ------------------------------------------------------------------------------------
 */

struct frame {
    struct page_ref ref; /* page 0: empty */
    uint32_t next;       /* in its bucket, + 1 */
    bool recent;
};
struct cache {
    struct frame *frames;
    uint8_t *memory;
    uint32_t *buckets; /* frame + 1 */
    uint32_t count, bucket_count, hand;
    uint64_t version; /* changes with every frame's contents */
};
TARN_MUST_USE enum tarn_err cache_init(struct cache *c, struct tarn_alloc *alloc, size_t bytes);
void cache_fini(struct cache *c, struct tarn_alloc *alloc);
/* The page, checked; it lives until the next call. */
TARN_MUST_USE enum tarn_err cache_get(struct tarn_kv_tree *t, const struct page_ref *ref,
                                      uint32_t level, struct tarn_span *page);
/* The same into memory of the caller's, leaving the cache as it is. */
TARN_MUST_USE enum tarn_err cache_copy(struct tarn_kv_tree *t, const struct page_ref *ref,
                                       uint32_t level, struct tarn_bytes page);
/* A page that was just written. */
void cache_put(struct tarn_kv_tree *t, const struct page_ref *ref, struct tarn_span page);

/* -- btree.c ------------------------------------------------------------------------------------
 */

struct root {
    struct page_ref ref; /* page 0: the tree is empty */
    uint32_t level;
};
/* Where the last search ended: the next one often goes on from there. */
struct finger {
    uint64_t version; /* the cache's, when `page` was good */
    struct tarn_span page;
    uint32_t index;
};
struct btree {
    struct view_base base;
    struct tarn_kv_tree *tree;
    struct root root;
    struct finger finger;
};
void btree_init(struct btree *b, struct tarn_kv_tree *t, const struct root *root);

/* -- root.c -------------------------------------------------------------------------------------
 */

/* A place in the log: the next record's. */
struct log_place {
    uint64_t unit;  /* counted on and on; modulo log_units in the ring */
    uint64_t seq;   /* of the record there */
    uint64_t chain; /* the checksum of the record before it */
};
/* What a root says. */
struct root_block {
    uint64_t generation, store, pages;
    uint64_t log_pages;    /* behind the slots */
    uint32_t unit_bytes;   /* records of the log start at multiples of it */
    uint32_t record_bytes; /* no record is longer */
    struct root root;
    struct log_place log; /* what is from here on is not in the tree, or only a part of it */
    uint64_t next_id;
    uint64_t base; /* the root that is kept while this is the newest; 0: none */
    /* The root counts only if the log goes on to this record, not included, the one before it being
     * `reach_chain`: what is in the tree already may be of any of those. 0: there are none. */
    uint64_t reach, reach_chain;
};
/* A root that is kept. */
struct pin {
    uint64_t generation;
    tarn_time at; /* when it was written */
    bool sure;    /* that it was stored before this opening */
    struct log_place log;
};
/* Which roots a loss of power can lead back to. A root is settled once it is surely stored: at once
 * where the device can flush, else `settle` after it was written; then so is all that was written
 * before it. The newest pinned root that is settled, and has `lag` roots behind it, becomes the
 * base when the next root is written, which says so: what the base refers to in the tree and in the
 * log is not written over, nor is its slot. So there is always a whole root. One that is newer may
 * be found too: then all that came after the root that it says is the base is looked at before it
 * counts. */
struct roots {
    struct pin pins[ROOT_SLOTS - 1]; /* ascending; [0] is the base */
    uint32_t count;
    uint32_t lag; /* see LAG_FLUSH */
    tarn_time settle;
    uint64_t next; /* the generation of the next root */
};
/* The slot's root. TARN_NOT_FOUND: there is none. */
TARN_MUST_USE enum tarn_err root_read(struct tarn_kv_tree *t, uint32_t slot,
                                      struct root_block *out);
TARN_MUST_USE enum tarn_err root_write(struct tarn_kv_tree *t, const struct root_block *root);
/* After opening at root t->newest, before which `base` may be kept (NULL: nothing is); `last` is
 * the latest generation in any slot. */
void roots_init(struct tarn_kv_tree *t, const struct root_block *base, uint64_t last);
const struct pin *roots_base(const struct roots *r);
/* The base, once the next root is written. */
uint64_t roots_next_base(const struct roots *r, tarn_time now);
/* t->newest was written now: what its base does not need is free. It is pinned itself, if the pin
 * before it is old enough. */
void roots_commit(struct tarn_kv_tree *t, tarn_time now);
/* Brings the base nearer to the newest root: waits, or writes another. */
TARN_MUST_USE enum tarn_err roots_advance(struct tarn_kv_tree *t);

/* -- log.c --------------------------------------------------------------------------------------
 */

struct log_wait {
    struct log_wait *next;
    struct tarn_waiter *waiter;
};
struct log {
    uint32_t units;
    uint64_t first_block;  /* of the device */
    struct log_place tail; /* the ring is bounded by the base's place */
    uint64_t nonce;        /* this opening's: no record of another is like one of ours */
    struct tarn_bytes buffers[2];
    uint32_t filling;       /* which of the two takes rows */
    size_t filled;          /* its bytes, the header's included; 0: nothing waits */
    bool writing;           /* a fiber writes the other one */
    uint64_t durable_seq;   /* records before this one are stored */
    struct log_wait *waits; /* for `writing` to end */
};
TARN_MUST_USE enum tarn_err log_init(struct tarn_kv_tree *t);
void log_fini(struct tarn_kv_tree *t);
/* The units that this and the record in the making take, and those that can still be written. */
uint64_t log_units_with(const struct tarn_kv_tree *t, size_t bytes);
uint64_t log_room(const struct tarn_kv_tree *t);
/* Puts the rows of a table, `bytes` of them, into the record in the making and says which record
 * that is. The ring has the room. */
TARN_MUST_USE enum tarn_err log_append(struct tarn_kv_tree *t, uint32_t table, size_t bytes,
                                       uint64_t *seq);
size_t log_row_bytes(const struct row *r);
/* Waits until record `seq` is durable, writing it where nobody else does. */
TARN_MUST_USE enum tarn_err log_wait(struct tarn_kv_tree *t, uint64_t seq);
/* Everything appended is durable, and nobody writes. */
TARN_MUST_USE enum tarn_err log_sync(struct tarn_kv_tree *t);
/* The record at `place`, its rows in a buffer of the log's; moves behind it. TARN_EOF: there is
 * none. TARN_IO: the device failed, or the log is damaged, or `place` is too old. */
TARN_MUST_USE enum tarn_err log_read(struct tarn_kv_tree *t, struct log_place *place,
                                     struct tarn_span *rows, uint64_t *next_id);
/* Whether the log is there as far as the root says. TARN_IO: it is not, or the device failed. */
TARN_MUST_USE enum tarn_err log_reaches(struct tarn_kv_tree *t, const struct root_block *root);
TARN_MUST_USE bool log_row(struct tarn_span *rows, struct tarn_span *key, struct tarn_span *value,
                           bool *gone);

/* -- merge.c ------------------------------------------------------------------------------------
 */

struct merge_level {
    uint8_t page[PAGE_BYTES]; /* an old page; its rows from `index` on were not looked at yet */
    uint32_t index, count;
    uint8_t upper[ROW_KEY_MAX]; /* keys of the page are before this one, where it is bounded */
    uint32_t upper_len;
    bool bounded;
    bool leftmost;    /* in the whole tree */
    struct bunch out; /* rows of new pages */
};
struct merge {
    bool active;                      /* tables[2] is being merged, or pages are moved */
    bool round;                       /* a round has begun */
    bool draining;                    /* no more rows in this round: on to its root */
    bool rows_done;                   /* all rows of the table are merged */
    uint32_t at, top;                 /* the level that is looked at; the root's, + 1 */
    struct rows_walk walk;            /* of the table */
    const struct row *next;           /* its next row; NULL: to be asked for */
    size_t merged_bytes, table_bytes; /* of the table */
    uint32_t pages;                   /* written and freed in this round */
    uint32_t round_pages;             /* after so many a root is written */
    uint64_t move_from;               /* pages from here on are moved; UINT64_MAX: none */
    struct merge_level *levels;       /* PAGE_LEVELS_MAX + 1 */
    struct tarn_bytes buffer;         /* WRITE_PAGES pages */
    uint64_t buffer_first;
    uint32_t buffered;
    struct log_place log; /* where the table ends in the log */
};
TARN_MUST_USE enum tarn_err merge_init(struct tarn_kv_tree *t);
void merge_fini(struct tarn_kv_tree *t);
/* The full table becomes the one to merge; the log is synced, and nothing else is being merged. */
void merge_begin(struct tarn_kv_tree *t);
/* A small piece of work. */
TARN_MUST_USE enum tarn_err merge_step(struct tarn_kv_tree *t);
/* All that is left of it. */
TARN_MUST_USE enum tarn_err merge_finish(struct tarn_kv_tree *t);
/* Moves all pages from number `from` on below it. Nothing is being merged. */
TARN_MUST_USE enum tarn_err merge_move(struct tarn_kv_tree *t, uint64_t from);
/* Writes a root: the tree's, and where the log goes on from it. */
TARN_MUST_USE enum tarn_err merge_commit(struct tarn_kv_tree *t, const struct root *root,
                                         const struct log_place *log);
/* Pages that merging may need at once, whatever the rows. */
uint64_t merge_reserve(const struct tarn_kv_tree *t);

/* -- check.c ------------------------------------------------------------------------------------
 */

/* Told about each page of a tree: a parent before its children. `page` is empty where it could not
 * be read (`err` says why) or need not be. What it answers ends the walk. */
struct walk {
    enum tarn_err (*visit)(struct walk *w, const struct page_ref *ref, uint32_t level,
                           struct tarn_span page, enum tarn_err err);
    uint64_t leaves_from;      /* leaves born from here on are read; others are only named */
    bool in_turns;             /* lets others in between the pages */
    const struct space *known; /* not into pages that are used there; NULL: into all */
};
/* Where the walk ended: TARN_OK: it saw all. */
TARN_MUST_USE enum tarn_err walk_run(struct tarn_kv_tree *t, const struct root *root,
                                     struct walk *w);

/* -- tree.c -------------------------------------------------------------------------------------
 */

struct tarn_kv_tree {
    struct store store; /* tables: [1] takes rows, [2] is being merged */
    struct tarn_kv_tree_config config;
    struct tarn_blk *blk;
    struct rows rows;
    struct filter filters[VIEW_TABLES]; /* of tables [1] and [2] */
    struct btree btree;
    struct root_block newest;
    struct roots roots;
    struct space space;
    struct cache cache;
    struct log log;
    struct merge merge;
    struct tarn_pool snapshots;
    struct tarn_kv_watch *watches;
    struct turns turns;
    bool failed; /* the device did: no more changes */
    bool waste;  /* there may be some to remove */
    bool replaying;
    size_t table_cap;          /* bytes of rows after which a table is full */
    size_t table_bytes;        /* of tables[1], as counted */
    uint64_t table_first_unit; /* of the log, of the first record of tables[1] */
    struct tarn_kv_tree_stat stat;
};

static inline struct tarn_waiter *tree_waiter(const struct tarn_kv_tree *t) {
    return t->config.waiter(t->config.user);
}
static inline bool tree_can_flush(const struct tarn_kv_tree *t) {
    return t->blk->features & TARN_BLK_CAN_FLUSH;
}
TARN_MUST_USE enum tarn_err tree_flush(struct tarn_kv_tree *t);
TARN_MUST_USE enum tarn_err tree_read_page(struct tarn_kv_tree *t, uint64_t page,
                                           struct tarn_bytes data);
/* Takes a turn: one call at a time is inside. */
TARN_MUST_USE enum tarn_err tree_enter(struct tarn_kv_tree *t);
void tree_leave(struct tarn_kv_tree *t);
/* Puts the staged rows into the table, and (but while replaying) into the log, making room for
 * both; *seq is their record. `removes`: they may use the reserve. After an error nothing is staged
 * any more. */
TARN_MUST_USE enum tarn_err tree_publish(struct tarn_kv_tree *t, bool removes, uint64_t *seq);
/* Merges all that is in memory. */
TARN_MUST_USE enum tarn_err tree_settle(struct tarn_kv_tree *t);
void tree_init(struct tarn_kv_tree *t);
size_t tree_snapshot_bytes(void);

#endif
