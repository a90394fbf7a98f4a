/* SPDX-License-Identifier: ISC */
/* One direction of a pipe: copied bytes in a ring, lent ones in place, in the order of writing. */
#include "internal.h"

enum tarn_err queue_init(struct queue *q, struct tarn_alloc *alloc, size_t bytes_max,
                         uint32_t pieces_max) {
    *q = (struct queue){.bytes_max = bytes_max, .pieces_max = pieces_max};
    q->ring = tarn_bytes_of(tarn_alloc_get(alloc, bytes_max, 1), bytes_max);
    q->stage = tarn_bytes_of(tarn_alloc_get(alloc, bytes_max, 1), bytes_max);
    q->pieces = TARN_NEW_ARRAY(alloc, pieces_max, struct piece);
    return q->ring.ptr && q->stage.ptr && q->pieces ? TARN_OK : TARN_LIMIT;
}

void queue_free(struct queue *q, struct tarn_alloc *alloc) {
    tarn_alloc_put(alloc, q->pieces, q->pieces_max * sizeof(struct piece));
    tarn_alloc_put(alloc, q->stage.ptr, q->bytes_max);
    tarn_alloc_put(alloc, q->ring.ptr, q->bytes_max);
}

static struct piece *piece_at(const struct queue *q, uint32_t i) {
    return &TARN_AT_N(q->pieces, q->pieces_max, (q->first + i) % q->pieces_max);
}

/* The newest unread piece, or NULL. */
static struct piece *newest(const struct queue *q) {
    return q->count ? piece_at(q, q->done + q->count - 1) : NULL;
}

static bool has_piece(const struct queue *q) {
    return q->done + q->count < q->pieces_max;
}

bool queue_has_room(const struct queue *q) {
    return q->bytes < q->bytes_max && has_piece(q);
}

static void ring_put(struct queue *q, struct tarn_span data) {
    size_t at = (q->ring_head + q->ring_used) % q->bytes_max;
    size_t n = tarn_bytes_copy(tarn_bytes_after(q->ring, at), data);
    tarn_bytes_copy(q->ring, tarn_span_after(data, n));
    q->ring_used += data.len;
}

/* The oldest unread run of copied bytes, `max` at most, up to where the ring wraps. */
static struct tarn_bytes ring_front(const struct queue *q, size_t max) {
    return tarn_bytes_first(tarn_bytes_after(q->ring, q->ring_head), max);
}

size_t queue_copy_in(struct queue *q, struct tarn_span data) {
    struct piece *last = newest(q);
    bool extend = last && !last->lent.ptr;
    if (!extend && !has_piece(q))
        return 0;
    data = tarn_span_first(data, q->bytes_max - q->bytes);
    if (data.len == 0)
        return 0;
    ring_put(q, data);
    if (!extend) {
        last = piece_at(q, q->done + q->count++);
        *last = (struct piece){0};
    }
    last->len += data.len;
    q->bytes += data.len;
    return data.len;
}

size_t queue_lend(struct queue *q, struct tarn_span data, struct tarn_lease *lease) {
    data = tarn_span_first(data, q->bytes_max - q->bytes);
    if (data.len == 0 || !has_piece(q))
        return 0;
    tarn_lease_hold(lease);
    *piece_at(q, q->done + q->count++) =
        (struct piece){.lent = data, .lease = lease, .len = data.len};
    q->bytes += data.len;
    return data.len;
}

/* `n` bytes of the oldest unread piece have been read (or moved to the stage). */
static void piece_advance(struct queue *q, size_t n) {
    struct piece *piece = piece_at(q, q->done);
    TARN_ASSERT(n <= piece->len);
    piece->len -= n;
    if (piece->lent.ptr) {
        piece->lent = tarn_span_after(piece->lent, n);
    } else {
        q->ring_head = (q->ring_head + n) % q->bytes_max;
        q->ring_used -= n;
    }
    if (piece->len == 0) {
        q->count--;
        q->done++;
    }
}

static void stage_advance(struct queue *q, size_t n) {
    q->stage_off += n;
    q->stage_len -= n;
}

static struct tarn_bytes staged(const struct queue *q) {
    return tarn_bytes_first(tarn_bytes_after(q->stage, q->stage_off), q->stage_len);
}

size_t queue_read(struct queue *q, struct tarn_bytes buf) {
    size_t total = 0;
    while (total < buf.len && q->bytes) {
        struct tarn_bytes to = tarn_bytes_after(buf, total);
        size_t n;
        if (q->stage_len) {
            n = tarn_bytes_copy(to, tarn_bytes_span(staged(q)));
            stage_advance(q, n);
        } else {
            const struct piece *piece = piece_at(q, q->done);
            n = tarn_bytes_copy(to, piece->lent.ptr ? piece->lent
                                                    : tarn_bytes_span(ring_front(q, piece->len)));
            piece_advance(q, n);
        }
        q->bytes -= n;
        total += n;
    }
    return total;
}

struct tarn_bytes queue_peek(struct queue *q) {
    const struct piece *piece;
    if (q->stage_len || q->count == 0)
        return staged(q);
    piece = piece_at(q, q->done);
    if (!piece->lent.ptr)
        return ring_front(q, piece->len);
    /* The reader may change what it sees, and lent memory is not its own. */
    q->stage_off = 0;
    q->stage_len = tarn_bytes_copy(q->stage, piece->lent);
    piece_advance(q, q->stage_len);
    return staged(q);
}

void queue_consume(struct queue *q, size_t n) {
    TARN_ASSERT(n <= queue_peek(q).len);
    if (q->stage_len)
        stage_advance(q, n);
    else if (n)
        piece_advance(q, n);
    q->bytes -= n;
}

void queue_discard(struct queue *q) {
    q->bytes = q->stage_len = q->ring_used = 0;
    q->done += q->count;
    q->count = 0;
}

void queue_release(struct queue *q) {
    while (q->done) {
        struct tarn_lease *lease = piece_at(q, 0)->lease;
        *piece_at(q, 0) = (struct piece){0};
        q->first = (q->first + 1) % q->pieces_max;
        q->done--;
        tarn_lease_drop(lease);
    }
}
