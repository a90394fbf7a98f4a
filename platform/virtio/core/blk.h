/* SPDX-License-Identifier: ISC */
/* blk.h: a virtio block device (VIRTIO 1.2, section 5.2) behind the blk interface: many requests in
 * flight, flush, discard. */
#ifndef TARN_VIRTIO_BLK_H
#define TARN_VIRTIO_BLK_H

#include "device.h"
#include <tarn/blk.h>

#define VIRTIO_BLK_SLOTS 32u

struct virtio_blk {
    struct tarn_blk blk;
    struct virtio_dev *dev;
    struct virtq q;
    uint32_t sectors_per_block;
    uint32_t discard_sectors_max;
    bool failed;
    struct tarn_blk_req *refused, **refused_last; /* done with an error from the next poll */
    struct virtio_blk_slot *slots, *free;
};

TARN_MUST_USE enum tarn_err virtio_blk_open(struct virtio_blk *disk, struct virtio_dev *dev,
                                            struct tarn_alloc *alloc);
/* Completes what the device is done with; whether that was anything. */
bool virtio_blk_poll(struct virtio_blk *disk);
/* Before and after a wait, as for a network device. */
TARN_MUST_USE bool virtio_blk_idle(struct virtio_blk *disk);
void virtio_blk_busy(struct virtio_blk *disk);

#endif
