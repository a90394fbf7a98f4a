/* SPDX-License-Identifier: ISC */
/* tarn/kv_tree.h: the store for a raw block device: all of tarn/kv.h, durable.
 *
 * What is written goes into a log (one write and one flush make a batch durable; batches of fibers
 * that wait at the same time share them) and a table in memory. A full table is merged into a
 * copy-on-write B+tree a little with each batch that follows, so no batch waits for all of it.
 * Every page is referred to by its number, its birth and a checksum: damage, and writes that were
 * lost or went elsewhere, are found when they are read, and answered with TARN_IO, never with a
 * wrong value. docs/kv-format.md has the bytes.
 *
 * What is promised. On a device that can flush: a batch that was answered with TARN_OK is there
 * after any loss of power, whole, with all before it; one that was not answered is there whole or
 * not at all. The newest root may be lost to damage as well: the one before it and the log give the
 * same state.
 *
 * On a device that cannot flush, nothing says when a write is stored. If it stores each within
 * `settle`, in any order, torn at any block, then after a loss of power the store opens, in a state
 * that was: whole batches, all that were answered `settle` before and perhaps newer ones, but none
 * without those before it. For that, what an older state needs of the pages and the log is kept
 * until a newer one is that old. A program that writes more in that time than there is room for
 * waits, up to one and a quarter of `settle`; shrinking waits so twice. Not promised: a store that
 * was formatted less than `settle` before; and anything of a device that holds writes back for
 * longer, whose losses are then found out as damage.
 *
 * Plain blocking code over the device: a call waits where it must (tarn/wait.h), and other fibers
 * may use the store meanwhile; they take turns. Memory is taken at open and never after: the cache,
 * the table, buffers for a batch, and a bit for each page of the device (and for each snapshot).
 * Between answers nothing is kept that closing would have to write.
 */
#ifndef TARN_KV_TREE_H
#define TARN_KV_TREE_H

#include <tarn/alloc.h>
#include <tarn/blk.h>
#include <tarn/env.h>
#include <tarn/kv.h>
#include <tarn/wait.h>

#define TARN_KV_TREE_PAGE_BYTES 4096u

struct tarn_kv_tree;

struct tarn_kv_tree_config {
    struct tarn_alloc *alloc;
    struct tarn_blk *blk;                      /* its blocks are 4096 bytes or smaller */
    struct tarn_waiter *(*waiter)(void *user); /* the running fiber's; the same one for others */
    void *user;
    struct tarn_clock *clock; /* says when values were modified */
    struct tarn_random *random;
    size_t cache_bytes;     /* pages of the tree in memory; 0: 1 MiB */
    size_t table_bytes;     /* what is not merged yet; 0: 1 MiB, at least 256 KiB */
    size_t batch_bytes_max; /* for format: names and values of one batch, with 16 bytes for each
                               row; 0, and at most: an eighth of the table or of the log */
    uint32_t snapshots_max; /* at once; 0: none */
    uint64_t bytes_max;     /* that the device may grow to while open; 0: it does not */
    tarn_time settle;       /* where the device cannot flush, see above; 0: 10 s; 1: trusts it */
};

/* Makes an empty store on the device, whatever is there. `log_bytes` 0: a sixteenth of the device,
 * 128 KiB to 64 MiB. TARN_INVALID: the device or the log is too small (1 MiB, 64 KiB). */
TARN_MUST_USE enum tarn_err tarn_kv_tree_format(const struct tarn_kv_tree_config *config,
                                                uint64_t log_bytes);
/* TARN_NOT_FOUND: there is no store on the device. TARN_INVALID: the configuration cannot serve, or
 * the device is smaller than the store. TARN_IO: damaged, or the device failed. TARN_LIMIT: the
 * allocator has not enough. */
TARN_MUST_USE enum tarn_err tarn_kv_tree_open(const struct tarn_kv_tree_config *config,
                                              struct tarn_kv_tree **out);
/* Gives the memory back. Nobody may be in a call, and no snapshot in use. */
void tarn_kv_tree_close(struct tarn_kv_tree *tree);
struct tarn_kv *tarn_kv_tree_kv(struct tarn_kv_tree *tree);

/* For who answers many at once. `apply` is the store's `batch` but for the wait: what it answered
 * with TARN_OK can be read, and is durable only when a `sync` called after it has said so; a loss
 * of power before takes it back, and all that came after it. */
TARN_MUST_USE enum tarn_err tarn_kv_tree_apply(struct tarn_kv_tree *tree,
                                               const struct tarn_kv_change *changes, size_t count,
                                               size_t *failed);
TARN_MUST_USE enum tarn_err tarn_kv_tree_sync(struct tarn_kv_tree *tree);

/* Merges all that is in memory and removes all waste: what is then on the device is only the tree.
 * TARN_LIMIT: there is no room to do it in, now. */
TARN_MUST_USE enum tarn_err tarn_kv_tree_settle(struct tarn_kv_tree *tree);
/* Uses all of a device that has become larger, up to bytes_max. */
TARN_MUST_USE enum tarn_err tarn_kv_tree_grow(struct tarn_kv_tree *tree);
/* Moves everything into the first `bytes` of the device, which may then be cut off behind them.
 * TARN_LIMIT: it does not fit (nothing has changed but places). */
TARN_MUST_USE enum tarn_err tarn_kv_tree_shrink(struct tarn_kv_tree *tree, uint64_t bytes);

/* Reads every page of the tree and checks it, the order of its keys and the map of used pages; goes
 * on behind damage. Others may use the store meanwhile: each page takes a turn of its own. */
struct tarn_kv_tree_report {
    uint64_t pages, rows, damaged; /* damaged: pages that could not be read or are wrong */
    uint64_t first_damaged;        /* the number of the first */
};
TARN_MUST_USE enum tarn_err tarn_kv_tree_check(struct tarn_kv_tree *tree,
                                               struct tarn_kv_tree_report *report);

struct tarn_kv_tree_stat {
    uint64_t bytes, log_bytes; /* of the device, and of it for the log */
    uint64_t used_bytes;       /* pages of the tree, and those waiting to be used again */
    uint64_t generation;       /* roots written since the store was made */
    size_t batch_bytes_max;    /* as it was when the store was made */
    uint32_t levels;           /* of the tree; 0: empty */
    size_t table_used;         /* bytes of memory with rows that are not merged */
    uint64_t batches, log_writes, log_bytes_written, pages_written, pages_read, cache_hits;
    uint64_t replayed; /* rows that the last open found in the log */
};
void tarn_kv_tree_stat(const struct tarn_kv_tree *tree, struct tarn_kv_tree_stat *out);

#endif
