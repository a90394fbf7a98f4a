/* SPDX-License-Identifier: ISC */
#include "rng.h"

enum tarn_err virtio_rng_open(struct virtio_rng *rng, struct virtio_dev *dev,
                              struct tarn_alloc *alloc) {
    *rng = (struct virtio_rng){.dev = dev};
    enum tarn_err err = virtio_start(dev, 0);
    if (!err)
        err = virtio_queue(dev, 0, 8, alloc, &rng->q);
    if (!err)
        virtio_go(dev);
    return err;
}

static void ask(struct virtio_rng *rng) {
    struct virtq_buf buf = {rng->dev->bus->dma(rng->buf, sizeof rng->buf), sizeof rng->buf};
    rng->asked = virtq_add(&rng->q, &buf, 0, 1, rng);
    virtio_kick(rng->dev, 0, &rng->q);
}

enum tarn_err virtio_rng_read(struct virtio_rng *rng, struct tarn_bytes out, size_t *n) {
    void *token;
    uint32_t written;
    if (!rng->asked)
        ask(rng);
    enum tarn_err err = virtq_take(&rng->q, &token, &written);
    if (err == TARN_PEER)
        virtio_fail(rng->dev, "tarn: the entropy device answered what it was not asked: off\n");
    if (err)
        return err;
    *n = tarn_bytes_copy(out, tarn_span_of(rng->buf, written));
    tarn_bytes_wipe(TARN_BYTES_ARRAY(rng->buf));
    rng->asked = false;
    return TARN_OK;
}
