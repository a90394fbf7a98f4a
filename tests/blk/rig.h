/* SPDX-License-Identifier: ISC */
/* rig.h: simulated disks and a waiter under which virtual time passes and workers work:
 * straight-line code in a test. */
#ifndef TESTS_BLK_RIG_H
#define TESTS_BLK_RIG_H

#include "sim.h"

#include <tarn/blk_worker.h>

enum { BLK_RIG_DISKS = 4 };

struct blk_rig {
    struct tarn_sim *sim;
    struct tarn_sim_disk *disks[BLK_RIG_DISKS];
    unsigned disk_count;
    struct tarn_tasks tasks;
    struct tarn_sim_alloc alloc;
    struct tarn_blk_pump pump;
    struct tarn_waiter *waiter; /* the pump's; TARN_IO where nothing can happen any more */
};

void blk_rig_init(struct blk_rig *rig, uint64_t seed);
struct tarn_sim_disk *blk_rig_disk(struct blk_rig *rig, struct tarn_sim_disk_config config);
/* Ends as if the power had gone: what layers hold is forgotten, the disks stay. */
void blk_rig_crash(struct blk_rig *rig);
void blk_rig_fini(struct blk_rig *rig);

#endif
