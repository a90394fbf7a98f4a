/* SPDX-License-Identifier: ISC */
/* model.h: the device's side of a virtqueue, written from the specification and apart from the
 * driver's, and a bus with such a device on it. It does what a device should; the tests make it lie
 * by writing into the memory that it shares. */
#ifndef TARN_TESTS_VIRTIO_MODEL_H
#define TARN_TESTS_VIRTIO_MODEL_H

#include <device.h>

#define MODEL_BUFS_MAX 64u

struct model_queue {
    uint16_t size;
    bool packed, event_idx;
    uint8_t *desc, *driver, *device;
    uint16_t avail, used, used_signalled;
    bool avail_wrap, used_wrap;
};
struct model_chain {
    uint16_t id, descs;
    unsigned out, in;
    struct virtq_buf bufs[MODEL_BUFS_MAX]; /* what is read, then what is written */
};

void model_queue_of(struct model_queue *m, const struct virtq *q);
/* The next chain that the driver made available. False: none. */
bool model_next(struct model_queue *m, struct model_chain *out);
/* Gives it back with `written` bytes; true where the driver wants an interrupt. */
bool model_done(struct model_queue *m, const struct model_chain *chain, uint32_t written);
/* No notification wanted, or one for the next chain. */
void model_quiet(struct model_queue *m);
void model_wake(struct model_queue *m);

struct model_dev {
    struct virtio_dev dev;
    uint64_t offered;
    uint8_t status;
    uint16_t queue_size;
    uint8_t config[64];
    struct model_queue queue[2];
    const struct virtq *driver[2];
    unsigned notified[2], resets;
    const char *said;
};
void model_dev_init(struct model_dev *m, uint32_t type, uint64_t offered);

#endif
