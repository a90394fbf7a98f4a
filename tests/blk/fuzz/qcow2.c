/* SPDX-License-Identifier: ISC */
/* Any bytes: refused, or an image on which everything can be done without harm; and where it was
 * sound before, it is sound after. */
#include "device.h"

#include <tarn/blk_qcow2.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool cond) {
    if (!cond)
        abort();
}

static bool is_sound(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter) {
    static uint8_t scratch[1024];
    struct tarn_blk_qcow2_report report;
    return !tarn_blk_qcow2_check(q, waiter, TARN_BYTES_ARRAY(scratch), false, &report)
           && report.corruptions == 0 && report.leaks == 0;
}

static void use(struct tarn_blk *blk, struct tarn_waiter *waiter) {
    static uint8_t block[512];
    uint64_t step = blk->blocks / 40 + 1;
    enum tarn_err err = TARN_OK;
    for (uint64_t at = 0; at < blk->blocks; at += step) {
        err = tarn_blk_read(blk, waiter, at, TARN_BYTES_ARRAY(block));
        memset(block, 1, sizeof block);
        if (at % 3 == 0)
            err = tarn_blk_write(blk, waiter, at, TARN_SPAN_ARRAY(block));
        else if (at % 3 == 1)
            err = tarn_blk_discard(blk, waiter, at, TARN_MIN(step, blk->blocks - at));
    }
    if (blk->blocks)
        err = tarn_blk_flush(blk, waiter);
    (void)err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t buffer[4096], scratch[1024];
    struct device d;
    struct tarn_blk_qcow2_info info;
    struct tarn_blk_qcow2_report report;
    struct tarn_blk_qcow2 *q;
    struct tarn_waiter *waiter = &d.pump.waiter;
    uint64_t end;
    device_init(&d, data, size);
    enum tarn_err err = tarn_blk_qcow2_info(&d.ram.blk, waiter, TARN_BYTES_ARRAY(buffer), &info);
    if (!err && info.format.cluster_bits > 14)
        return 0; /* larger than the device: nothing to find but slowness */
    struct tarn_blk_qcow2_config config = {.alloc = &d.heap,
                                           .tasks = &d.tasks,
                                           .lower = &d.ram.blk,
                                           .l2_tables = 2,
                                           .refcount_tables = 1,
                                           .bytes_max = 1 << 20,
                                           .frees_max = 4};
    if (tarn_blk_qcow2_open(&config, waiter, &q))
        return 0;
    struct tarn_blk *blk = &tarn_blk_qcow2_worker(q)->blk;
    tarn_blk_pump_add(&d.pump, tarn_blk_qcow2_worker(q));
    bool sound = is_sound(q, waiter);
    use(blk, waiter);
    err = tarn_blk_qcow2_grow(q, waiter, blk->blocks * 512 + 8192);
    check(!sound || is_sound(q, waiter));
    err = tarn_blk_qcow2_compact(q, waiter, &end);
    check(!sound || is_sound(q, waiter));
    err = tarn_blk_qcow2_check(q, waiter, TARN_BYTES_ARRAY(scratch), true, &report);
    use(blk, waiter);
    err = tarn_blk_qcow2_close(q, waiter);
    return 0;
}
