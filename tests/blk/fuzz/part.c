/* SPDX-License-Identifier: ISC */
/* Any bytes as a partition table: refused, or partitions inside the device that do not overlap. */
#include "device.h"

#include <tarn/blk_part.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct tarn_blk_part part[20];
    static uint8_t block[512];
    struct tarn_blk_parts parts = {.part = part, .cap = TARN_COUNT_OF(part)};
    struct device d;
    device_init(&d, data, size);
    if (tarn_blk_parts_read(&d.ram.blk, &d.pump.waiter, TARN_BYTES_ARRAY(block), &parts))
        return 0;
    for (uint32_t i = 0; i < parts.count; i++) {
        if (part[i].blocks == 0 || part[i].first + part[i].blocks > d.ram.blk.blocks)
            abort();
        for (uint32_t j = 0; j < i; j++)
            if (part[i].first < part[j].first + part[j].blocks
                && part[j].first < part[i].first + part[i].blocks)
                abort();
    }
    return 0;
}
