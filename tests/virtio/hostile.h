/* SPDX-License-Identifier: ISC */
/* hostile.h: a driver and a device that reads its next act from `script`: honest answers, and any
 * bytes anywhere in the memory that they share. Traps where the ring hands out what it must not: a
 * chain that is not out, one twice, more bytes than there was room for. */
#ifndef TARN_TESTS_VIRTIO_HOSTILE_H
#define TARN_TESTS_VIRTIO_HOSTILE_H

#include <tarn/span.h>

struct hostile_result {
    unsigned added, taken, reclaimed;
    bool broken;
};
struct hostile_result hostile_ring(struct tarn_span script, bool lies);

#endif
