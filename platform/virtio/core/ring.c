/* SPDX-License-Identifier: ISC */
#include "ring.h"

/* Both layouts have a shared head (the free list and the chains' records) and differ below it. */

enum { DESC_NEXT = 1, DESC_WRITE = 2, PACKED_AVAIL = 1 << 7, PACKED_USED = 1 << 15 };
enum { AVAIL_NO_INTERRUPT = 1, USED_NO_NOTIFY = 1 };
enum { EVENT_ENABLE = 0, EVENT_DISABLE = 1, EVENT_DESC = 2 };

struct split_desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
};
struct split_avail {
    uint16_t flags, idx, ring[];
};
struct split_used {
    uint16_t flags, idx;
    struct split_used_elem {
        uint32_t id, len;
    } ring[];
};
struct packed_desc {
    uint64_t addr;
    uint32_t len;
    uint16_t id, flags;
};
struct packed_event {
    uint16_t off_wrap, flags;
};

static struct split_desc *split_desc(const struct virtq *q) {
    return (struct split_desc *)(void *)q->desc.ptr;
}
static struct split_avail *split_avail(const struct virtq *q) {
    return (struct split_avail *)(void *)q->driver.ptr;
}
static struct split_used *split_used(const struct virtq *q) {
    return (struct split_used *)(void *)q->device.ptr;
}
static uint16_t *used_event(const struct virtq *q) {
    return &split_avail(q)->ring[q->size];
}
static uint16_t *avail_event(const struct virtq *q) {
    return (uint16_t *)(void *)&split_used(q)->ring[q->size];
}
static struct packed_desc *packed_desc(const struct virtq *q) {
    return (struct packed_desc *)(void *)q->desc.ptr;
}

/* One load of what the device writes, so that what was checked is what is used. */
static uint16_t load16(const uint16_t *p) {
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}
static uint32_t load32(const uint32_t *p) {
    return __atomic_load_n(p, __ATOMIC_RELAXED);
}
static void store16(uint16_t *p, uint16_t v) {
    __atomic_store_n(p, v, __ATOMIC_RELEASE);
}
/* Between a store and a load that the other side does in the opposite order. */
static void full_fence(void) {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static size_t aligned(size_t n) {
    return (n + VIRTQ_ALIGN - 1) & ~(size_t)(VIRTQ_ALIGN - 1);
}

size_t virtq_bytes(uint16_t size, unsigned flags) {
    if (flags & VIRTQ_PACKED)
        return (size_t)size * sizeof(struct packed_desc) + 2 * sizeof(struct packed_event);
    return aligned(size * sizeof(struct split_desc) + 6 + 2u * size) + 6
           + size * sizeof(struct split_used_elem);
}

void virtq_init(struct virtq *q, uint16_t size, unsigned flags, struct tarn_bytes shared,
                struct virtq_slot *slots) {
    TARN_ASSERT(size && (size & (size - 1)) == 0 && size <= VIRTQ_SIZE_MAX
                && shared.len >= virtq_bytes(size, flags));
    *q = (struct virtq){.size = size,
                        .flags = (uint16_t)flags,
                        .free_count = size,
                        .avail_wrap = true,
                        .used_wrap = true,
                        .slots = slots};
    _Static_assert(sizeof(struct split_desc) == 16 && sizeof(struct packed_desc) == 16, "VIRTIO");
    size_t table = (size_t)size * 16;
    q->desc = tarn_bytes_first(shared, table);
    q->driver = tarn_bytes_after(shared, table);
    q->device = flags & VIRTQ_PACKED ? tarn_bytes_after(q->driver, sizeof(struct packed_event))
                                     : tarn_bytes_after(shared, aligned(table + 6 + 2u * size));
    for (uint16_t i = 0; i < size; i++)
        slots[i] = (struct virtq_slot){.next = (uint16_t)(i + 1)};
    virtq_quiet(q);
}

/* -- adding ---------------------------------------------------------------------------------------
 */

static void add_split(struct virtq *q, const struct virtq_buf *bufs, unsigned out, unsigned n) {
    uint16_t head = q->free_head, i = head;
    for (unsigned k = 0; k < n; k++) {
        uint16_t next = q->slots[i].next;
        unsigned flags = (k >= out ? DESC_WRITE : 0) | (k + 1 < n ? DESC_NEXT : 0);
        split_desc(q)[i] = (struct split_desc){bufs[k].addr, bufs[k].len, (uint16_t)flags,
                                               k + 1 < n ? next : (uint16_t)0};
        i = next;
    }
    q->free_head = i;
    uint16_t at = (uint16_t)(q->avail + q->added) & (uint16_t)(q->size - 1);
    split_avail(q)->ring[at] = head;
    q->added++;
}

static uint16_t packed_flags(bool wrap) {
    return wrap ? PACKED_AVAIL : PACKED_USED;
}

/* The flags of the first descriptor of all that are not published yet are kept back: the device
 * goes through the ring in order and cannot pass it. */
static void add_packed(struct virtq *q, const struct virtq_buf *bufs, unsigned out, unsigned n) {
    uint16_t id = q->free_head;
    q->free_head = q->slots[id].next;
    for (unsigned k = 0; k < n; k++) {
        struct packed_desc *d = &packed_desc(q)[q->avail];
        unsigned flags =
            packed_flags(q->avail_wrap) | (k >= out ? DESC_WRITE : 0) | (k + 1 < n ? DESC_NEXT : 0);
        d->addr = bufs[k].addr;
        d->len = bufs[k].len;
        d->id = id;
        if (q->added++ == 0) {
            q->first_pos = q->avail;
            q->first_flags = (uint16_t)flags;
        } else {
            store16(&d->flags, (uint16_t)flags);
        }
        if (++q->avail == q->size) {
            q->avail = 0;
            q->avail_wrap = !q->avail_wrap;
        }
    }
}

bool virtq_add(struct virtq *q, const struct virtq_buf *bufs, unsigned out, unsigned in,
               void *token) {
    unsigned n = out + in;
    TARN_ASSERT(n > 0);
    if (q->broken || n > q->free_count)
        return false;
    struct virtq_slot *slot = &q->slots[q->free_head];
    slot->token = token;
    slot->descs = (uint16_t)n;
    slot->writable = 0;
    for (unsigned k = out; k < n; k++)
        slot->writable += bufs[k].len;
    q->free_count = (uint16_t)(q->free_count - n);
    q->chains++;
    if (q->flags & VIRTQ_PACKED)
        add_packed(q, bufs, out, n);
    else
        add_split(q, bufs, out, n);
    return true;
}

/* Whether going from `old` to `now` passes `event`, all modulo 2^16 (VIRTIO 1.2, 2.7.10.1). */
static bool passes(uint16_t event, uint16_t now, uint16_t old) {
    return (uint16_t)(now - event - 1) < (uint16_t)(now - old);
}

static bool publish_split(struct virtq *q) {
    uint16_t old = q->avail;
    q->avail = (uint16_t)(old + q->added);
    store16(&split_avail(q)->idx, q->avail);
    full_fence();
    if (q->flags & VIRTQ_EVENT_IDX)
        return passes(load16(avail_event(q)), q->avail, old);
    return !(load16(&split_used(q)->flags) & USED_NO_NOTIFY);
}

static bool publish_packed(struct virtq *q) {
    const struct packed_event *event = (const void *)q->device.ptr;
    store16(&packed_desc(q)[q->first_pos].flags, q->first_flags);
    full_fence();
    uint16_t flags = load16(&event->flags), off_wrap = load16(&event->off_wrap);
    if (flags != EVENT_DESC || !(q->flags & VIRTQ_EVENT_IDX))
        return flags != EVENT_DISABLE;
    uint16_t at = off_wrap & 0x7fff;
    if ((off_wrap >> 15) != q->avail_wrap)
        at = (uint16_t)(at - q->size);
    return passes(at, q->avail, (uint16_t)(q->avail - q->added));
}

bool virtq_publish(struct virtq *q) {
    if (q->added == 0 || q->broken)
        return false;
    bool notify = q->flags & VIRTQ_PACKED ? publish_packed(q) : publish_split(q);
    q->added = 0;
    return notify;
}

/* -- taking ---------------------------------------------------------------------------------------
 */

/* The chain's descriptors go back. For a split one the list is walked in the driver's records. */
static void release(struct virtq *q, uint16_t id) {
    struct virtq_slot *slot = &q->slots[id];
    uint16_t last = id;
    if (!(q->flags & VIRTQ_PACKED))
        for (uint16_t k = 1; k < slot->descs; k++)
            last = q->slots[last].next;
    q->slots[last].next = q->free_head;
    q->free_head = id;
    q->free_count = (uint16_t)(q->free_count + slot->descs);
    q->chains--;
    slot->descs = 0;
}

static enum tarn_err end(struct virtq *q) {
    q->broken = true;
    return TARN_PEER;
}

static bool has_packed(const struct virtq *q) {
    uint16_t flags = load16(&packed_desc(q)[q->used].flags);
    bool avail = flags & PACKED_AVAIL, used = flags & PACKED_USED;
    return avail == used && used == q->used_wrap;
}

static uint16_t ready_split(const struct virtq *q) {
    return (uint16_t)(load16(&split_used(q)->idx) - q->used);
}

static bool has_any(const struct virtq *q) {
    if (q->broken)
        return true;
    if (q->flags & VIRTQ_PACKED)
        return q->chains && has_packed(q);
    return ready_split(q) != 0;
}

/* What the device says is done. */
static enum tarn_err next_done(const struct virtq *q, uint32_t *id, uint32_t *len) {
    if (q->flags & VIRTQ_PACKED) {
        if (!q->chains || !has_packed(q))
            return TARN_AGAIN;
        const struct packed_desc *d = &packed_desc(q)[q->used];
        *id = load16(&d->id);
        *len = load32(&d->len);
        return TARN_OK;
    }
    uint16_t ready = ready_split(q);
    if (ready == 0)
        return TARN_AGAIN;
    if (ready > q->chains)
        return TARN_PEER;
    const struct split_used_elem *e = &split_used(q)->ring[q->used & (q->size - 1)];
    *id = load32(&e->id);
    *len = load32(&e->len);
    return TARN_OK;
}

static void step(struct virtq *q, uint16_t descs) {
    if (!(q->flags & VIRTQ_PACKED)) {
        q->used++;
        return;
    }
    q->used = (uint16_t)(q->used + descs);
    if (q->used >= q->size) {
        q->used = (uint16_t)(q->used - q->size);
        q->used_wrap = !q->used_wrap;
    }
}

enum tarn_err virtq_take(struct virtq *q, void **token, uint32_t *written) {
    uint32_t id, len;
    if (q->broken)
        return TARN_PEER;
    enum tarn_err err = next_done(q, &id, &len);
    if (err)
        return err == TARN_PEER ? end(q) : err;
    if (id >= q->size || q->slots[id].descs == 0)
        return end(q);
    struct virtq_slot *slot = &q->slots[id];
    /* Of a chain that it could only read, some devices give its length. */
    if (slot->writable && len > slot->writable)
        return end(q);
    *written = slot->writable ? len : 0;
    *token = slot->token;
    step(q, slot->descs);
    release(q, (uint16_t)id);
    return TARN_OK;
}

void *virtq_reclaim(struct virtq *q) {
    q->broken = true;
    for (uint16_t i = 0; i < q->size && q->chains; i++) {
        if (q->slots[i].descs) {
            release(q, i);
            return q->slots[i].token;
        }
    }
    return NULL;
}

/* -- events ---------------------------------------------------------------------------------------
 */

void virtq_quiet(struct virtq *q) {
    if (q->flags & VIRTQ_PACKED)
        store16(&((struct packed_event *)(void *)q->driver.ptr)->flags, EVENT_DISABLE);
    else if (q->flags & VIRTQ_EVENT_IDX)
        store16(used_event(q), (uint16_t)(q->used - 1)); /* passed once in 65,536 chains */
    else
        store16(&split_avail(q)->flags, AVAIL_NO_INTERRUPT);
}

bool virtq_wake(struct virtq *q) {
    if (q->flags & VIRTQ_PACKED) {
        struct packed_event *event = (struct packed_event *)(void *)q->driver.ptr;
        store16(&event->off_wrap, (uint16_t)(q->used | (unsigned)q->used_wrap << 15));
        store16(&event->flags, q->flags & VIRTQ_EVENT_IDX ? EVENT_DESC : EVENT_ENABLE);
    } else if (q->flags & VIRTQ_EVENT_IDX) {
        store16(used_event(q), q->used);
    } else {
        store16(&split_avail(q)->flags, 0);
    }
    full_fence();
    return has_any(q);
}
