/* SPDX-License-Identifier: ISC */
/* rng.h: a virtio entropy device (VIRTIO 1.2, section 5.4). */
#ifndef TARN_VIRTIO_RNG_H
#define TARN_VIRTIO_RNG_H

#include "device.h"

struct virtio_rng {
    struct virtio_dev *dev;
    struct virtq q;
    bool asked;
    uint8_t buf[64];
};

TARN_MUST_USE enum tarn_err virtio_rng_open(struct virtio_rng *rng, struct virtio_dev *dev,
                                            struct tarn_alloc *alloc);
/* Up to 64 bytes, as many as the device gave. TARN_AGAIN: it was asked, and has not answered yet;
 * TARN_PEER: it is off. */
TARN_MUST_USE enum tarn_err virtio_rng_read(struct virtio_rng *rng, struct tarn_bytes out,
                                            size_t *n);

#endif
