/* SPDX-License-Identifier: ISC */
/* crash.h: what a layer's user has after a power loss, tried out for every moment and, as far as
 * there are not too many, every outcome.
 *
 * A random workload runs on the layer. Whenever the layer writes to its disk or flushes it, the
 * disk is asked for what a power loss at that moment could leave: each subset of the units that are
 * not durable, or a sample. Each is opened on another disk and read: a block is as it was at the
 * last completed flush, or as some write since then made it. */
#ifndef TESTS_BLK_CRASH_H
#define TESTS_BLK_CRASH_H

#include "rig.h"

struct crash_layer {
    /* A layer over `lower`: made and empty, or as it was left. NULL: it cannot be opened. */
    struct tarn_blk *(*open)(struct blk_rig *rig, struct tarn_blk *lower, bool make);
    /* Whether the layer agrees with itself, after open; also closes it. */
    bool (*check)(struct blk_rig *rig);
    /* What else the layer can do, which changes nothing that a reader sees; once in ten operations.
     * NULL: nothing. */
    enum tarn_err (*upkeep)(struct blk_rig *rig, unsigned op);
    uint32_t blocks;     /* of the layer, that the workload uses, eight in a row */
    uint32_t spread;     /* and so many unused ones between two rows */
    uint32_t disk_bytes; /* the disk below */
    unsigned ops;
};
struct crash_report {
    unsigned moments, outcomes;
};
struct crash_report crash_run(const struct crash_layer *layer, uint64_t seed);

#endif
