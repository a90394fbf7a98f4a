/* SPDX-License-Identifier: ISC */
/* Any bytes: refused, or an image that can be read and written without harm. Checksums would keep
 * the fuzzer out, so they are made right first. */
#include "device.h"

#include <tarn/blk_vhd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void mend(uint8_t *at, size_t len, size_t checksum_at) {
    uint32_t sum = 0;
    memset(at + checksum_at, 0, 4);
    for (size_t i = 0; i < len; i++)
        sum += at[i];
    sum = ~sum;
    for (size_t i = 0; i < 4; i++)
        at[checksum_at + i] = (uint8_t)(sum >> (24 - 8 * i));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t block[512];
    struct device d;
    struct tarn_blk_vhd *vhd;
    device_init(&d, data, size);
    mend(d.ram.mem.ptr, 512, 64);
    mend(d.ram.mem.ptr + 512, 1024, 36);
    struct tarn_blk_vhd_config config = {.alloc = &d.heap, .tasks = &d.tasks, .lower = &d.ram.blk};
    if (tarn_blk_vhd_open(&config, &d.pump.waiter, &vhd))
        return 0;
    struct tarn_blk *blk = &tarn_blk_vhd_worker(vhd)->blk;
    tarn_blk_pump_add(&d.pump, tarn_blk_vhd_worker(vhd));
    enum tarn_err err = TARN_OK;
    for (uint64_t at = 0; at < blk->blocks; at += blk->blocks / 20 + 1) {
        err = tarn_blk_read(blk, &d.pump.waiter, at, TARN_BYTES_ARRAY(block));
        err = tarn_blk_write(blk, &d.pump.waiter, at, TARN_SPAN_ARRAY(block));
    }
    err = tarn_blk_vhd_close(vhd, &d.pump.waiter);
    (void)err;
    return 0;
}
