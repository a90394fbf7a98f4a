/* SPDX-License-Identifier: ISC */
/* Any bytes as a write log: each entry can be applied to a device or is refused, and there is an
 * end. */
#include "device.h"

#include <tarn/blk_log.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t mem[20 * 512], buffer[1024];
    struct tarn_blk_log_reader reader;
    struct tarn_blk_log_entry entry;
    struct tarn_blk_ram target;
    struct device d;
    unsigned entries = 0;
    device_init(&d, data, size);
    if (tarn_blk_ram_init(&target, &d.tasks, TARN_BYTES_ARRAY(mem), 512))
        abort();
    if (tarn_blk_log_open(&reader, &d.ram.blk, &d.pump.waiter, TARN_BYTES_ARRAY(buffer)))
        return 0;
    while (!tarn_blk_log_next(&reader, &entry)) {
        enum tarn_err err = tarn_blk_log_apply(&reader, &entry, &target.blk);
        if ((err && err != TARN_INVALID) || ++entries > d.ram.blk.blocks)
            abort();
    }
    return 0;
}
