/* SPDX-License-Identifier: ISC */
#include "device.h"

#define RESET_POLLS 100000u

/* VIRTIO 1.2, 3.1.1. */
enum tarn_err virtio_start(struct virtio_dev *dev, uint64_t wanted) {
    uint8_t status = VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER;
    dev->bus->set_status(dev, 0);
    for (unsigned i = 0; dev->bus->status(dev) != 0; i++)
        if (i == RESET_POLLS)
            return TARN_UNSUPPORTED;
    dev->bus->set_status(dev, VIRTIO_ACKNOWLEDGE);
    dev->bus->set_status(dev, status);
    wanted |= VIRTIO_F_EVENT_IDX | VIRTIO_F_ANY_LAYOUT;
    if (dev->modern)
        wanted |= VIRTIO_F_VERSION_1 | VIRTIO_F_ACCESS_PLATFORM | VIRTIO_F_RING_PACKED;
    dev->features = dev->bus->features(dev) & wanted;
    if (dev->modern && !virtio_has(dev, VIRTIO_F_VERSION_1))
        return TARN_UNSUPPORTED;
    dev->bus->accept(dev, dev->features);
    if (!dev->modern)
        return TARN_OK;
    dev->bus->set_status(dev, status | VIRTIO_FEATURES_OK);
    return dev->bus->status(dev) & VIRTIO_FEATURES_OK ? TARN_OK : TARN_UNSUPPORTED;
}

enum tarn_err virtio_queue(struct virtio_dev *dev, uint16_t index, uint16_t size_max,
                           struct tarn_alloc *alloc, struct virtq *q) {
    unsigned flags = (virtio_has(dev, VIRTIO_F_RING_PACKED) ? VIRTQ_PACKED : 0)
                     | (virtio_has(dev, VIRTIO_F_EVENT_IDX) ? VIRTQ_EVENT_IDX : 0);
    uint16_t size = dev->bus->queue_size(dev, index);
    if (!dev->fixed_size) {
        if (size > size_max)
            size = size_max;
        while (size & (size - 1))
            size &= (uint16_t)(size - 1);
    }
    if (size == 0 || (size & (size - 1)) || size > VIRTQ_SIZE_MAX)
        return TARN_UNSUPPORTED;
    size_t bytes = virtq_bytes(size, flags);
    uint8_t *shared = tarn_alloc_get(alloc, bytes, VIRTQ_ALIGN);
    struct virtq_slot *slots = TARN_NEW_ARRAY(alloc, size, struct virtq_slot);
    if (!shared || !slots)
        return TARN_LIMIT;
    (void)dev->bus->dma(shared, bytes);
    virtq_init(q, size, flags, tarn_bytes_of(shared, bytes), slots);
    dev->bus->queue_set(dev, index, q);
    return TARN_OK;
}

void virtio_go(struct virtio_dev *dev) {
    uint8_t status = VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_DRIVER_OK;
    dev->bus->set_status(dev, dev->modern ? status | VIRTIO_FEATURES_OK : status);
}

void virtio_fail(struct virtio_dev *dev, const char *why) {
    dev->bus->set_status(dev, 0);
    dev->bus->say(why);
}

void virtio_kick(struct virtio_dev *dev, uint16_t index, struct virtq *q) {
    if (virtq_publish(q)) {
        dev->stats.notified++;
        dev->bus->notify(dev, index);
    }
}
