/* SPDX-License-Identifier: ISC */
/* device.h: a virtio device as its drivers see it, whatever bus it is on (VIRTIO 1.2, chapters 3
 * and 4). The bus implements the operations; so do the tests, with a device that lies. */
#ifndef TARN_VIRTIO_DEVICE_H
#define TARN_VIRTIO_DEVICE_H

#include "ring.h"
#include <tarn/alloc.h>

enum virtio_type { VIRTIO_NET = 1, VIRTIO_BLK = 2, VIRTIO_RNG = 4 };

#define VIRTIO_BIT(n) (1ull << (n))
#define VIRTIO_F_NOTIFY_ON_EMPTY VIRTIO_BIT(24)
#define VIRTIO_F_ANY_LAYOUT VIRTIO_BIT(27) /* legacy: headers need no descriptor of their own */
#define VIRTIO_F_EVENT_IDX VIRTIO_BIT(29)
#define VIRTIO_F_VERSION_1 VIRTIO_BIT(32)
#define VIRTIO_F_ACCESS_PLATFORM VIRTIO_BIT(33)
#define VIRTIO_F_RING_PACKED VIRTIO_BIT(34)

enum virtio_status {
    VIRTIO_ACKNOWLEDGE = 1,
    VIRTIO_DRIVER = 2,
    VIRTIO_DRIVER_OK = 4,
    VIRTIO_FEATURES_OK = 8,
    VIRTIO_NEEDS_RESET = 64,
    VIRTIO_FAILED = 128,
};

struct virtio_dev;
struct virtio_bus {
    uint64_t (*features)(struct virtio_dev *dev);
    void (*accept)(struct virtio_dev *dev, uint64_t features);
    uint8_t (*status)(struct virtio_dev *dev);
    void (*set_status)(struct virtio_dev *dev, uint8_t status);
    /* The most that queue `index` may have; 0: there is none. Legacy PCI: exactly what it has. */
    uint16_t (*queue_size)(struct virtio_dev *dev, uint16_t index);
    void (*queue_set)(struct virtio_dev *dev, uint16_t index, const struct virtq *q);
    void (*notify)(struct virtio_dev *dev, uint16_t index);
    /* Reads [offset, offset + n) of the device's own configuration; n is 1, 2, 4 or 8. */
    void (*config)(struct virtio_dev *dev, uint32_t offset, void *out, size_t n);
    /* The address for the device of memory that it may use until its queue gives it back. */
    uint64_t (*dma)(const void *ptr, size_t len);
    void (*say)(const char *text);
};

struct virtio_dev {
    const struct virtio_bus *bus;
    uint32_t type;
    bool modern;       /* speaks version 1 */
    bool fixed_size;   /* the size of its queues is not the driver's to choose */
    uint64_t features; /* agreed on */
    struct virtio_dev_stats {
        uint64_t notified; /* each is an exit */
    } stats;
};

/* Resets the device and agrees on those of `wanted` that it has; what concerns rings is added here.
 * TARN_UNSUPPORTED: it does not take what it offered. */
TARN_MUST_USE enum tarn_err virtio_start(struct virtio_dev *dev, uint64_t wanted);
/* Between start and go. At most `size_max` entries. TARN_LIMIT: no memory; TARN_UNSUPPORTED: the
 * device has no such queue, or one of a size that cannot be. */
TARN_MUST_USE enum tarn_err virtio_queue(struct virtio_dev *dev, uint16_t index, uint16_t size_max,
                                         struct tarn_alloc *alloc, struct virtq *q);
void virtio_go(struct virtio_dev *dev);
/* It broke its promises: reset, so that it leaves all memory alone, and said on the console. */
void virtio_fail(struct virtio_dev *dev, const char *why);
/* Publishes, and tells the device if it wants to be told. */
void virtio_kick(struct virtio_dev *dev, uint16_t index, struct virtq *q);

static inline bool virtio_has(const struct virtio_dev *dev, uint64_t feature) {
    return (dev->features & feature) == feature;
}

#endif
