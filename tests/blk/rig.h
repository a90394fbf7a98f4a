/* SPDX-License-Identifier: ISC */
/* rig.h: a simulated disk and a waiter under which virtual time passes: straight-line code in a
 * test. */
#ifndef TESTS_BLK_RIG_H
#define TESTS_BLK_RIG_H

#include "sim.h"

#include <tarn/blk_wait.h>

struct blk_rig {
    struct tarn_sim *sim;
    struct tarn_sim_disk *disk;
    struct tarn_blk *blk; /* the disk's */
    struct tarn_waiter waiter;
    bool woken;
};

void blk_rig_init(struct blk_rig *rig, uint64_t seed, const struct tarn_sim_disk_config *config);
void blk_rig_fini(struct blk_rig *rig);

#endif
