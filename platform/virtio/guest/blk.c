/* SPDX-License-Identifier: ISC */
#include "../core/blk.h"
#include "guest.h"

#define DISKS_MAX 8u

struct disk {
    struct virtio_blk blk;
    struct guest_driver driver;
};
static struct disk disks[DISKS_MAX];
static size_t disk_count;

static struct disk *of(struct guest_driver *d) {
    return TARN_CONTAINER_OF(d, struct disk, driver);
}

static bool disk_poll(struct guest_driver *d) {
    return virtio_blk_poll(&of(d)->blk);
}

static bool disk_idle(struct guest_driver *d) {
    return virtio_blk_idle(&of(d)->blk);
}

static void disk_busy(struct guest_driver *d) {
    virtio_blk_busy(&of(d)->blk);
}

enum tarn_err tarn_platform_blk(const char *name, struct tarn_blk **out) {
    uint32_t device;
    struct virtio_dev *dev = guest_device_named(name, VIRTIO_BLK, &device);
    if (!dev)
        return TARN_NOT_FOUND;
    for (size_t i = 0; i < disk_count; i++) {
        if (disks[i].driver.dev == dev) {
            *out = &disks[i].blk.blk;
            return TARN_OK;
        }
    }
    if (disk_count == DISKS_MAX)
        return TARN_LIMIT;
    struct disk *disk = &TARN_AT(disks, disk_count);
    if (virtio_blk_open(&disk->blk, dev, guest_ring_memory())) {
        guest_device_refuse(name, "no driver for the machine's device for ");
        return TARN_IO;
    }
    disk_count++;
    disk->driver = (struct guest_driver){
        .dev = dev, .device = device, .poll = disk_poll, .idle = disk_idle, .busy = disk_busy};
    guest_driver_add(&disk->driver);
    *out = &disk->blk.blk;
    return TARN_OK;
}
