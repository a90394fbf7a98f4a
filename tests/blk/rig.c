/* SPDX-License-Identifier: ISC */
#include "rig.h"

static enum tarn_err rig_wait(struct tarn_waiter *w, tarn_time deadline) {
    struct blk_rig *rig = TARN_CONTAINER_OF(w, struct blk_rig, waiter);
    while (!rig->woken) {
        if (tarn_sim_disk_poll(rig->disk))
            continue;
        if (!tarn_sim_disk_has_power(rig->disk))
            return TARN_IO;
        if (!tarn_sim_step(rig->sim, deadline) && !tarn_sim_disk_has_done(rig->disk))
            return TARN_AGAIN;
    }
    rig->woken = false;
    return TARN_OK;
}

static void rig_wake(struct tarn_waiter *w) {
    TARN_CONTAINER_OF(w, struct blk_rig, waiter)->woken = true;
}

static tarn_time rig_now(struct tarn_waiter *w) {
    return tarn_sim_now(TARN_CONTAINER_OF(w, struct blk_rig, waiter)->sim);
}

void blk_rig_init(struct blk_rig *rig, uint64_t seed, const struct tarn_sim_disk_config *config) {
    static const struct tarn_waiter_ops ops = {rig_wait, rig_wake, rig_now};
    *rig = (struct blk_rig){.sim = tarn_sim_new(seed), .waiter = {&ops}};
    rig->disk = tarn_sim_disk_new(rig->sim, config);
    rig->blk = tarn_sim_disk_blk(rig->disk);
}

void blk_rig_fini(struct blk_rig *rig) {
    tarn_sim_free(rig->sim);
}
