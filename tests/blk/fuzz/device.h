/* SPDX-License-Identifier: ISC */
/* device.h: a small device that holds the fuzzer's bytes, and what waits for it. */
#ifndef TESTS_BLK_FUZZ_DEVICE_H
#define TESTS_BLK_FUZZ_DEVICE_H

#include <stdlib.h>
#include <string.h>
#include <tarn/alloc.h>
#include <tarn/blk_ram.h>

enum { DEVICE_BYTES = 64 * 1024 };

struct device {
    struct tarn_tasks tasks;
    struct tarn_blk_pump pump;
    struct tarn_blk_ram ram;
    struct tarn_alloc heap;
};

static inline void *device_get(struct tarn_alloc *a, size_t bytes, size_t align) {
    (void)a, (void)align;
    return calloc(1, bytes ? bytes : 1);
}
static inline void device_put(struct tarn_alloc *a, void *ptr, size_t bytes) {
    (void)a, (void)bytes;
    free(ptr);
}
static inline bool device_idle(struct tarn_blk_pump *pump, tarn_time deadline) {
    (void)pump, (void)deadline;
    return false;
}

static inline void device_init(struct device *d, const uint8_t *data, size_t size) {
    static uint8_t mem[DEVICE_BYTES];
    static const struct tarn_alloc_ops ops = {device_get, device_put};
    memset(mem, 0, sizeof mem);
    if (size)
        memcpy(mem, data, size < sizeof mem ? size : sizeof mem);
    d->heap.ops = &ops;
    tarn_tasks_init(&d->tasks);
    tarn_blk_pump_init(&d->pump, &d->tasks, device_idle);
    if (tarn_blk_ram_init(&d->ram, &d->tasks, TARN_BYTES_ARRAY(mem), 512))
        abort();
}

#endif
