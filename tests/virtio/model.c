/* SPDX-License-Identifier: ISC */
#include "model.h"
#include <string.h>

enum { NEXT = 1, WRITE = 2, AVAIL = 1 << 7, USED = 1 << 15 };

static uint16_t get16(const uint8_t *p) {
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static void put16(uint8_t *p, uint16_t v) {
    memcpy(p, &v, sizeof v);
}
static void put32(uint8_t *p, uint32_t v) {
    memcpy(p, &v, sizeof v);
}

void model_queue_of(struct model_queue *m, const struct virtq *q) {
    *m = (struct model_queue){.size = q->size,
                              .packed = q->flags & VIRTQ_PACKED,
                              .event_idx = q->flags & VIRTQ_EVENT_IDX,
                              .desc = q->desc.ptr,
                              .driver = q->driver.ptr,
                              .device = q->device.ptr,
                              .avail_wrap = true,
                              .used_wrap = true};
}

static uint16_t buf_at(const struct model_queue *m, struct model_chain *c, uint16_t i) {
    const uint8_t *d = m->desc + 16u * i;
    uint16_t flags = get16(d + (m->packed ? 14 : 12));
    struct virtq_buf *buf = &TARN_AT(c->bufs, c->out + c->in);
    memcpy(&buf->addr, d, 8);
    memcpy(&buf->len, d + 8, 4);
    *(flags & WRITE ? &c->in : &c->out) += 1;
    c->descs++;
    return flags;
}

static bool next_split(struct model_queue *m, struct model_chain *c) {
    if (get16(m->driver + 2) == m->avail)
        return false;
    uint16_t i = get16(m->driver + 4 + 2u * (m->avail++ % m->size));
    c->id = i;
    while (buf_at(m, c, i) & NEXT)
        i = get16(m->desc + 16u * i + 14);
    return true;
}

static bool next_packed(struct model_queue *m, struct model_chain *c) {
    uint16_t flags = get16(m->desc + 16u * m->avail + 14);
    if (!(flags & AVAIL) == m->avail_wrap || !(flags & USED) != m->avail_wrap)
        return false;
    do {
        c->id = get16(m->desc + 16u * m->avail + 12);
        flags = buf_at(m, c, m->avail);
        if (++m->avail == m->size) {
            m->avail = 0;
            m->avail_wrap = !m->avail_wrap;
        }
    } while (flags & NEXT);
    return true;
}

bool model_next(struct model_queue *m, struct model_chain *out) {
    *out = (struct model_chain){0};
    return m->packed ? next_packed(m, out) : next_split(m, out);
}

static bool done_split(struct model_queue *m, const struct model_chain *c, uint32_t written) {
    uint8_t *elem = m->device + 4 + 8u * (m->used % m->size);
    put32(elem, c->id);
    put32(elem + 4, written);
    uint16_t old = m->used++;
    put16(m->device + 2, m->used);
    if (m->event_idx)
        return get16(m->driver + 4 + 2u * m->size) == old;
    return !(get16(m->driver) & 1);
}

static bool done_packed(struct model_queue *m, const struct model_chain *c, uint32_t written) {
    uint8_t *d = m->desc + 16u * m->used;
    uint16_t at = m->used, event = get16(m->driver), flags = get16(m->driver + 2);
    bool wrap = m->used_wrap;
    put32(d + 8, written);
    put16(d + 12, c->id);
    put16(d + 14, wrap ? AVAIL | USED : 0);
    m->used = (uint16_t)(m->used + c->descs);
    if (m->used >= m->size) {
        m->used = (uint16_t)(m->used - m->size);
        m->used_wrap = !m->used_wrap;
    }
    if (flags == 2)
        return (event & 0x7fff) == at && (event >> 15) == wrap;
    return flags == 0;
}

bool model_done(struct model_queue *m, const struct model_chain *chain, uint32_t written) {
    return m->packed ? done_packed(m, chain, written) : done_split(m, chain, written);
}

void model_quiet(struct model_queue *m) {
    if (m->packed)
        put16(m->device + 2, 1);
    else if (m->event_idx)
        put16(m->device + 4 + 8u * m->size, (uint16_t)(m->avail - 1));
    else
        put16(m->device, 1);
}

void model_wake(struct model_queue *m) {
    if (m->packed) {
        put16(m->device, (uint16_t)(m->avail | (m->avail_wrap ? 0x8000u : 0)));
        put16(m->device + 2, m->event_idx ? 2 : 0);
    } else if (m->event_idx) {
        put16(m->device + 4 + 8u * m->size, m->avail);
    } else {
        put16(m->device, 0);
    }
}

/* -- the bus --------------------------------------------------------------------------------------
 */

static struct model_dev *of(struct virtio_dev *dev) {
    return TARN_CONTAINER_OF(dev, struct model_dev, dev);
}
static uint64_t features(struct virtio_dev *dev) {
    return of(dev)->offered;
}
static void accept(struct virtio_dev *dev, uint64_t agreed) {
    TARN_ASSERT((agreed & ~of(dev)->offered) == 0);
}
static uint8_t status(struct virtio_dev *dev) {
    return of(dev)->status;
}
static void set_status(struct virtio_dev *dev, uint8_t v) {
    of(dev)->resets += v == 0;
    of(dev)->status = v;
}
static uint16_t queue_size(struct virtio_dev *dev, uint16_t index) {
    return index < 2 ? of(dev)->queue_size : 0;
}
static void queue_set(struct virtio_dev *dev, uint16_t index, const struct virtq *q) {
    model_queue_of(&of(dev)->queue[index], q);
    of(dev)->driver[index] = q;
}
static void notify(struct virtio_dev *dev, uint16_t index) {
    of(dev)->notified[index]++;
}
static void config(struct virtio_dev *dev, uint32_t offset, void *out, size_t n) {
    memcpy(out, &TARN_AT(of(dev)->config, offset), n);
}
static uint64_t dma(const void *ptr, size_t len) {
    (void)len;
    return (uintptr_t)ptr;
}
static struct model_dev *last;
static void say(const char *text) {
    last->said = text;
}

void model_dev_init(struct model_dev *m, uint32_t type, uint64_t offered) {
    static const struct virtio_bus bus = {.features = features,
                                          .accept = accept,
                                          .status = status,
                                          .set_status = set_status,
                                          .queue_size = queue_size,
                                          .queue_set = queue_set,
                                          .notify = notify,
                                          .config = config,
                                          .dma = dma,
                                          .say = say};
    *m = (struct model_dev){.offered = offered, .queue_size = 64};
    m->dev = (struct virtio_dev){
        .bus = &bus, .type = type, .modern = (offered & VIRTIO_F_VERSION_1) != 0};
    last = m;
}
