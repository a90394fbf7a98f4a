/* SPDX-License-Identifier: ISC */
#include <tarn/csum.h>
#include <tarn/pkt.h>

enum { UDP_CSUM_OFFSET = 6 };

void tarn_lease_drop(struct tarn_lease *lease) {
    if (!lease)
        return;
    TARN_ASSERT(lease->holds > 0);
    if (--lease->holds == 0 && lease->release)
        lease->release(lease);
}

/* One slot of a class: the packet and its head's memory behind it. A frame holds 1,514 bytes and a
 * VLAN tag; a super-segment the longest IP packet with its link-layer header. */
static size_t head_bytes(enum tarn_pkt_class class) {
    switch (class) {
    case TARN_PKT_HEADER: return TARN_PKT_HEADROOM + 64;
    case TARN_PKT_FRAME: return TARN_PKT_HEADROOM + 1536;
    default: return TARN_PKT_HEADROOM + TARN_PKT_LEN_MAX + 1;
    }
}

#define PKT_ALIGN 64u

size_t tarn_pkt_class_bytes(enum tarn_pkt_class class) {
    size_t bytes = sizeof(struct tarn_pkt) + head_bytes(class);
    return (bytes + PKT_ALIGN - 1) & ~(size_t)(PKT_ALIGN - 1);
}

enum tarn_err tarn_pkt_pool_init(struct tarn_pkt_pool *pool, struct tarn_alloc *alloc,
                                 const struct tarn_pkt_pool_config *config) {
    for (unsigned class = 0; class < TARN_PKT_CLASSES; class ++) {
        enum tarn_err err = tarn_pool_init(&pool->pools[class], alloc, tarn_pkt_class_bytes(class),
                                           PKT_ALIGN, config->count[class]);
        if (err)
            return err;
    }
    return TARN_OK;
}

struct tarn_pkt *tarn_pkt_alloc(struct tarn_pkt_pool *pool, size_t bytes) {
    for (unsigned class = 0; class < TARN_PKT_CLASSES; class ++) {
        size_t room = head_bytes(class) - TARN_PKT_HEADROOM;
        if (bytes > room)
            continue;
        struct tarn_pkt *pkt = tarn_pool_take(&pool->pools[class]);
        if (!pkt)
            continue;
        /* Not the fragments: nfrags says which are valid. */
        __builtin_memset(pkt, 0, offsetof(struct tarn_pkt, frag));
        pkt->pool = pool;
        pkt->pool_class = (uint8_t) class;
        pkt->mem = tarn_bytes_of((uint8_t *)(pkt + 1), head_bytes(class));
        pkt->head_off = TARN_PKT_HEADROOM;
        return pkt;
    }
    return NULL;
}

static void drop_frags(struct tarn_pkt *pkt, unsigned from) {
    for (unsigned i = from; i < pkt->nfrags; i++)
        tarn_lease_drop(pkt->frag[i].lease);
    pkt->nfrags = (uint8_t)from;
}

void tarn_pkt_free(struct tarn_pkt *pkt) {
    if (!pkt)
        return;
    drop_frags(pkt, 0);
    tarn_pool_put(&pkt->pool->pools[pkt->pool_class], pkt);
}

void tarn_pkt_free_list(struct tarn_pkt *first) {
    while (first) {
        struct tarn_pkt *next = first->next;
        tarn_pkt_free(first);
        first = next;
    }
}

struct tarn_pkt *tarn_pkt_copy(struct tarn_pkt_pool *pool, const struct tarn_pkt *pkt) {
    struct tarn_pkt *copy = tarn_pkt_alloc(pool, pkt->len);
    if (!copy)
        return NULL;
    struct tarn_bytes room = tarn_pkt_tailroom(copy);
    TARN_ASSERT(tarn_pkt_read(pkt, 0, room.ptr, pkt->len));
    tarn_pkt_grow(copy, pkt->len);
    copy->csum_start = pkt->csum_start;
    copy->csum_offset = pkt->csum_offset;
    copy->gso_size = pkt->gso_size;
    copy->gso_type = pkt->gso_type;
    copy->gso_ecn = pkt->gso_ecn;
    copy->csum_state = pkt->csum_state;
    return copy;
}

size_t tarn_pkt_truesize(const struct tarn_pkt *pkt) {
    return tarn_pkt_class_bytes(pkt->pool_class);
}

struct tarn_span tarn_pkt_head(const struct tarn_pkt *pkt) {
    return tarn_span_of(pkt->mem.ptr + pkt->head_off, pkt->head_len);
}

struct tarn_bytes tarn_pkt_head_bytes(struct tarn_pkt *pkt) {
    return tarn_bytes_of(pkt->mem.ptr + pkt->head_off, pkt->head_len);
}

struct tarn_writer tarn_pkt_prepend(struct tarn_pkt *pkt, size_t n) {
    TARN_ASSERT(n <= pkt->head_off);
    pkt->head_off -= (uint32_t)n;
    pkt->head_len += (uint32_t)n;
    pkt->len += (uint32_t)n;
    if (pkt->csum_state == TARN_CSUM_PARTIAL)
        pkt->csum_start = (uint16_t)(pkt->csum_start + n);
    return tarn_writer_over(tarn_bytes_of(pkt->mem.ptr + pkt->head_off, n));
}

/* Pulled past csum_start, there is nothing left to complete: the receiver who does so has looked at
 * the state before. */
bool tarn_pkt_pull(struct tarn_pkt *pkt, size_t n) {
    if (n > pkt->head_len)
        return false;
    pkt->head_off += (uint32_t)n;
    pkt->head_len -= (uint32_t)n;
    pkt->len -= (uint32_t)n;
    if (pkt->csum_state == TARN_CSUM_PARTIAL)
        pkt->csum_start = (uint16_t)(pkt->csum_start > n ? pkt->csum_start - n : 0);
    return true;
}

void tarn_pkt_trim(struct tarn_pkt *pkt, size_t len) {
    if (len >= pkt->len)
        return;
    size_t left = len < pkt->head_len ? 0 : len - pkt->head_len;
    unsigned keep = 0;
    while (left > 0) {
        struct tarn_frag *f = &pkt->frag[keep++];
        f->len = (uint32_t)TARN_MIN((size_t)f->len, left);
        left -= f->len;
    }
    drop_frags(pkt, keep);
    pkt->head_len = (uint32_t)TARN_MIN((size_t)pkt->head_len, len);
    pkt->len = (uint32_t)len;
}

struct tarn_bytes tarn_pkt_tailroom(struct tarn_pkt *pkt) {
    return pkt->nfrags ? (struct tarn_bytes){NULL, 0}
                       : tarn_bytes_after(pkt->mem, (size_t)pkt->head_off + pkt->head_len);
}

void tarn_pkt_grow(struct tarn_pkt *pkt, size_t n) {
    TARN_ASSERT(n <= tarn_pkt_tailroom(pkt).len);
    pkt->head_len += (uint32_t)n;
    pkt->len += (uint32_t)n;
}

bool tarn_pkt_append(struct tarn_pkt *pkt, struct tarn_span data) {
    struct tarn_bytes room = tarn_pkt_tailroom(pkt);
    if (data.len > room.len)
        return false;
    tarn_pkt_grow(pkt, tarn_bytes_copy(room, data));
    return true;
}

bool tarn_pkt_lend(struct tarn_pkt *pkt, struct tarn_span data, struct tarn_lease *lease) {
    if (pkt->nfrags == TARN_PKT_FRAGS_MAX || pkt->len > TARN_PKT_LEN_MAX
        || data.len > TARN_PKT_LEN_MAX - pkt->len)
        return false;
    tarn_lease_hold(lease);
    pkt->frag[pkt->nfrags++] = (struct tarn_frag){data.ptr, (uint32_t)data.len, lease};
    pkt->len += (uint32_t)data.len;
    return true;
}

/* The i-th piece of a packet: the head, then the fragments. */
static struct tarn_span piece(const struct tarn_pkt *pkt, unsigned i) {
    return i == 0 ? tarn_pkt_head(pkt) : tarn_span_of(pkt->frag[i - 1].ptr, pkt->frag[i - 1].len);
}

bool tarn_pkt_read(const struct tarn_pkt *pkt, size_t off, void *out, size_t n) {
    uint8_t *to = out;
    if (off > pkt->len || n > pkt->len - off)
        return false;
    for (unsigned i = 0; n > 0; i++) {
        struct tarn_span p = piece(pkt, i);
        if (off >= p.len) {
            off -= p.len;
            continue;
        }
        size_t got = tarn_bytes_copy(tarn_bytes_of(to, n), tarn_span_after(p, off));
        off = 0;
        to += got;
        n -= got;
    }
    return true;
}

uint32_t tarn_pkt_csum(const struct tarn_pkt *pkt, size_t off, size_t n) {
    uint32_t sum = 0;
    size_t done = 0;
    TARN_ASSERT(off <= pkt->len && n <= pkt->len - off);
    for (unsigned i = 0; done < n; i++) {
        struct tarn_span p = piece(pkt, i);
        if (off >= p.len) {
            off -= p.len;
            continue;
        }
        p = tarn_span_first(tarn_span_after(p, off), n - done);
        sum = tarn_csum_join(sum, tarn_csum_add(0, p), done);
        off = 0;
        done += p.len;
    }
    return sum;
}

uint16_t tarn_pkt_csum_field(const struct tarn_pkt *pkt, uint32_t sum) {
    uint16_t field = tarn_csum_finish(sum);
    return field == 0 && pkt->csum_offset == UDP_CSUM_OFFSET ? 0xffff : field;
}

void tarn_pkt_csum_complete(struct tarn_pkt *pkt) {
    if (pkt->csum_state != TARN_CSUM_PARTIAL)
        return;
    size_t at = (size_t)pkt->csum_start + pkt->csum_offset;
    TARN_ASSERT(at + 2 <= pkt->head_len);
    uint32_t sum = tarn_pkt_csum(pkt, pkt->csum_start, pkt->len - pkt->csum_start);
    uint16_t wire = TARN_BE16_(tarn_pkt_csum_field(pkt, sum));
    __builtin_memcpy(tarn_bytes_at(tarn_pkt_head_bytes(pkt), at), &wire, sizeof wire);
    pkt->csum_state = TARN_CSUM_NONE;
}

void tarn_pkt_queue_push(struct tarn_pkt_queue *q, struct tarn_pkt *pkt) {
    pkt->next = NULL;
    if (q->tail)
        q->tail->next = pkt;
    else
        q->head = pkt;
    q->tail = pkt;
    q->count++;
    q->bytes += pkt->len;
}

struct tarn_pkt *tarn_pkt_queue_pop(struct tarn_pkt_queue *q) {
    struct tarn_pkt *pkt = q->head;
    if (!pkt)
        return NULL;
    q->head = pkt->next;
    if (!q->head)
        q->tail = NULL;
    pkt->next = NULL;
    q->count--;
    q->bytes -= pkt->len;
    return pkt;
}

void tarn_pkt_queue_clear(struct tarn_pkt_queue *q) {
    tarn_pkt_free_list(q->head);
    *q = (struct tarn_pkt_queue){0};
}
