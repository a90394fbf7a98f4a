/* SPDX-License-Identifier: ISC */
/* tarn/blk_qcow2.h: disk images in QEMU's format, versions 2 and 3 (QEMU's docs/interop/qcow2.rst).
 *
 * An image on any device: blocks that were never written cost nothing, a backing device below shows
 * through, snapshots that somebody else made are kept (their clusters are copied before they are
 * written). Everything in an image is checked before it is used; what does not add up is TARN_PEER.
 *
 * Crash safety: what a flush covers is there after a power loss, and at no moment does the image on
 * the device refer to a cluster that is not counted, or whose data is not there. Changes of the
 * tables are collected in memory until a flush (or until they no longer fit) and go out in that
 * order, with a flush of the device between the steps: counts; then tables; then what points to
 * the tables; then the counts of what is no longer used. What a power loss can leave is clusters
 * counted and not used (leaks), which tarn_blk_qcow2_check finds and takes back.
 *
 * It is a worker (tarn/blk_worker.h). All other calls are straight-line code for while the worker
 * is idle. Refused with TARN_UNSUPPORTED: encryption, external data files, extended L2 entries,
 * and every incompatible feature that is not known; compressed clusters can be counted but not
 * read. Images marked dirty or corrupt are opened read-only.
 */
#ifndef TARN_BLK_QCOW2_H
#define TARN_BLK_QCOW2_H

#include <tarn/alloc.h>
#include <tarn/blk_worker.h>

struct tarn_blk_qcow2_format {
    uint64_t bytes;        /* of the device inside; a multiple of 512 */
    uint32_t cluster_bits; /* 9 to 21; 0: 16. A cluster is at least a block of the device */
    uint32_t version;      /* 2 or 3; 0: 3 */
    /* Where others find the backing image: text of up to 1023 bytes, and its format ("raw",
     * "qcow2"). Empty: none. */
    struct tarn_span backing_name, backing_format;
};
/* Writes an empty image. `buffer` is scratch of two clusters or more. TARN_INVALID: a field cannot
 * be. TARN_LIMIT: the device is too small, or the size needs larger clusters. */
TARN_MUST_USE enum tarn_err tarn_blk_qcow2_create(struct tarn_blk *lower,
                                                  struct tarn_waiter *waiter,
                                                  struct tarn_bytes buffer,
                                                  const struct tarn_blk_qcow2_format *format);

/* What the first block says, without opening. */
struct tarn_blk_qcow2_info {
    struct tarn_blk_qcow2_format format; /* the spans lie in the buffer */
    uint64_t incompatible_features, compatible_features, autoclear_features;
    uint32_t refcount_bits, snapshots;
};
/* `buffer`: 4096 bytes or more, a multiple of the device's block. TARN_PEER: no qcow2 image. */
TARN_MUST_USE enum tarn_err tarn_blk_qcow2_info(struct tarn_blk *lower, struct tarn_waiter *waiter,
                                                struct tarn_bytes buffer,
                                                struct tarn_blk_qcow2_info *info);

struct tarn_blk_qcow2;
struct tarn_blk_qcow2_config {
    struct tarn_alloc *alloc;
    struct tarn_tasks *tasks;
    struct tarn_blk *lower;
    struct tarn_blk *backing; /* NULL: what is not in the image reads as zeroes */
    bool read_only;
    uint64_t bytes_max; /* the most that the image may grow to; 0: it does not grow */
    /* How far the image may reach on the device, in bytes; its refcount table is in memory whole,
     * so this bounds that. 0: all of the device. */
    uint64_t end_max;
    uint32_t l2_tables;       /* held in memory, a cluster each; 2 or more; 0: 8 */
    uint32_t refcount_tables; /* the same; 0: 4 */
    uint32_t frees_max;       /* clusters waiting to be free until the next flush; 0: 256 */
};
/* TARN_INVALID: the image names a backing device and none is given, or the other way round, or
 * blocks do not fit. */
TARN_MUST_USE enum tarn_err tarn_blk_qcow2_open(const struct tarn_blk_qcow2_config *config,
                                                struct tarn_waiter *waiter,
                                                struct tarn_blk_qcow2 **out);
struct tarn_blk_worker *tarn_blk_qcow2_worker(struct tarn_blk_qcow2 *q);
/* Writes what is in memory and gives it back. With an error something may be lost since the last
 * flush. */
enum tarn_err tarn_blk_qcow2_close(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter);
/* Gives the memory back and writes nothing: as after a power loss. */
void tarn_blk_qcow2_delete(struct tarn_blk_qcow2 *q);

struct tarn_blk_qcow2_counters {
    uint64_t clusters_allocated, clusters_freed, commits, barriers;
};
const struct tarn_blk_qcow2_counters *tarn_blk_qcow2_counters(const struct tarn_blk_qcow2 *q);

/* Makes the device inside larger; what is new reads as zeroes. TARN_LIMIT: more than bytes_max, or
 * no room. TARN_INVALID: smaller, or no whole number of blocks. */
TARN_MUST_USE enum tarn_err tarn_blk_qcow2_grow(struct tarn_blk_qcow2 *q,
                                                struct tarn_waiter *waiter, uint64_t bytes);

struct tarn_blk_qcow2_report {
    uint64_t corruptions; /* wrong references, and clusters used more often than counted */
    uint64_t leaks;       /* clusters counted more often than used: they only waste room */
    uint64_t repaired;
    uint64_t data_clusters;
    uint64_t end; /* in bytes: no cluster behind it is counted */
};
/* Compares every reference with the counts. `scratch` holds 2 bytes for each cluster of the image,
 * or less, and then there are several passes. `repair`: counts are made right. */
TARN_MUST_USE enum tarn_err tarn_blk_qcow2_check(struct tarn_blk_qcow2 *q,
                                                 struct tarn_waiter *waiter,
                                                 struct tarn_bytes scratch, bool repair,
                                                 struct tarn_blk_qcow2_report *report);
/* Moves clusters from the end into the holes, so that the image ends at *end bytes, and a file can
 * be cut there. TARN_UNSUPPORTED: there are snapshots or compressed clusters. */
TARN_MUST_USE enum tarn_err tarn_blk_qcow2_compact(struct tarn_blk_qcow2 *q,
                                                   struct tarn_waiter *waiter, uint64_t *end);

#endif
