/* SPDX-License-Identifier: ISC */
#include "rig.h"

static bool rig_idle(struct tarn_blk_pump *pump, tarn_time deadline) {
    struct blk_rig *rig = TARN_CONTAINER_OF(pump, struct blk_rig, pump);
    bool any = false, power = true;
    for (unsigned i = 0; i < rig->disk_count; i++) {
        any |= tarn_sim_disk_poll(rig->disks[i]);
        power &= tarn_sim_disk_has_power(rig->disks[i]);
    }
    if (any)
        return true;
    if (!power)
        return false;
    if (tarn_sim_step(rig->sim, deadline))
        return true;
    for (unsigned i = 0; i < rig->disk_count; i++)
        any |= tarn_sim_disk_has_done(rig->disks[i]);
    return any || deadline != TARN_NEVER;
}

static tarn_time rig_now(struct tarn_blk_pump *pump) {
    return tarn_sim_now(TARN_CONTAINER_OF(pump, struct blk_rig, pump)->sim);
}

static void loop_init(struct blk_rig *rig) {
    tarn_tasks_init(&rig->tasks);
    tarn_blk_pump_init(&rig->pump, &rig->tasks, rig_idle);
    rig->pump.now = rig_now;
    rig->waiter = &rig->pump.waiter;
    tarn_sim_alloc_init(&rig->alloc);
}

void blk_rig_init(struct blk_rig *rig, uint64_t seed) {
    *rig = (struct blk_rig){.sim = tarn_sim_new(seed)};
    loop_init(rig);
}

struct tarn_sim_disk *blk_rig_disk(struct blk_rig *rig, struct tarn_sim_disk_config config) {
    struct tarn_sim_disk *disk = tarn_sim_disk_new(rig->sim, &config);
    TARN_ASSERT(rig->disk_count < BLK_RIG_DISKS);
    rig->disks[rig->disk_count++] = disk;
    return disk;
}

void blk_rig_crash(struct blk_rig *rig) {
    for (unsigned i = 0; i < rig->disk_count; i++)
        tarn_sim_disk_give(rig->disks[i], NULL);
    tarn_sim_alloc_free_all(&rig->alloc);
    loop_init(rig);
}

void blk_rig_fini(struct blk_rig *rig) {
    blk_rig_crash(rig);
    tarn_sim_free(rig->sim);
}
