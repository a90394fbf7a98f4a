/* SPDX-License-Identifier: ISC */
/* Written bytes, from the write until the peer has them: a ring of pieces, named by its last.
 * Packets hold a piece's lease, so its memory outlives the acknowledgement where a device is slower
 * than the peer. */
#include "internal.h"

struct tcp_piece *tcp_piece_first(const struct tcp_conn *c) {
    return c->piece_tail ? c->piece_tail->next : NULL;
}

static void wake_starved(struct tarn_tcp *tcp) {
    if (ring_is_empty(&tcp->starved))
        return;
    struct tcp_conn *c = TARN_CONTAINER_OF(tcp->starved.next, struct tcp_conn, queue);
    ring_remove(&c->queue);
    c->starved = false;
    if (c->want_write) {
        c->want_write = false;
        tcp_conn_event(c, TARN_FLOW_WRITABLE);
    }
}

/* The last hold on a block is gone: the queue's, and those of all packets. */
static void piece_release(struct tarn_lease *lease) {
    struct tcp_piece *piece = TARN_CONTAINER_OF(lease, struct tcp_piece, lease);
    struct tarn_tcp *tcp = piece->tcp;
    tcp->snd_bytes -= TCP_BLOCK_BYTES;
    tarn_pool_put(&tcp->blocks, piece->block);
    tarn_pool_put(&tcp->pieces, piece);
    wake_starved(tcp);
}

static void piece_drop(struct tcp_piece *piece) {
    if (piece->block) {
        tarn_lease_drop(&piece->lease);
        return;
    }
    struct tarn_tcp *tcp = piece->tcp;
    struct tarn_lease *lent = piece->lent;
    tarn_pool_put(&tcp->pieces, piece);
    tarn_lease_drop(lent);
    wake_starved(tcp);
}

static struct tcp_piece *piece_new(struct tcp_conn *c) {
    struct tcp_piece *piece = tarn_pool_take(&c->tcp->pieces);
    if (!piece)
        return NULL;
    *piece = (struct tcp_piece){.lease = {.holds = 1, .release = piece_release}, .tcp = c->tcp};
    return piece;
}

static void piece_link(struct tcp_conn *c, struct tcp_piece *piece) {
    if (c->piece_tail) {
        piece->next = c->piece_tail->next;
        c->piece_tail->next = piece;
    } else {
        piece->next = piece;
        c->piece_una_off = 0;
    }
    c->piece_tail = piece;
    if (!c->piece_nxt) {
        c->piece_nxt = piece;
        c->piece_nxt_off = 0;
    }
}

static struct tcp_piece *block_append(struct tcp_conn *c) {
    struct tarn_tcp *tcp = c->tcp;
    uint8_t *block = tarn_pool_take(&tcp->blocks);
    if (!block)
        return NULL;
    struct tcp_piece *piece = piece_new(c);
    if (!piece) {
        tarn_pool_put(&tcp->blocks, block);
        return NULL;
    }
    tcp->snd_bytes += TCP_BLOCK_BYTES;
    piece->block = block;
    piece->data = tarn_span_of(block, 0);
    piece_link(c, piece);
    return piece;
}

uint32_t tcp_queue_room(const struct tcp_conn *c) {
    uint32_t queued = c->snd_end - c->snd_una;
    uint32_t max = tcp_snd_buf_max(c);
    uint32_t unsent_max = c->own ? c->own->budget.unsent_bytes_max : 0;
    if (unsent_max && seq_lt(c->snd_nxt, c->snd_end) && c->snd_end - c->snd_nxt >= unsent_max)
        return 0;
    return queued < max ? max - queued : 0;
}

size_t tcp_queue_copy(struct tcp_conn *c, struct tarn_span data) {
    size_t total = 0;
    data = tarn_span_first(data, tcp_queue_room(c));
    while (data.len > 0) {
        struct tcp_piece *piece = c->piece_tail;
        if (!piece || !piece->block || piece->data.len == TCP_BLOCK_BYTES)
            piece = block_append(c);
        if (!piece)
            break;
        struct tarn_bytes block = tarn_bytes_of(piece->block, TCP_BLOCK_BYTES);
        size_t n = tarn_bytes_copy(tarn_bytes_after(block, piece->data.len), data);
        piece->data = tarn_bytes_span(tarn_bytes_first(block, piece->data.len + n));
        data = tarn_span_after(data, n);
        total += n;
        /* What had all been sent goes on in the piece that has grown. */
        if (!c->piece_nxt) {
            c->piece_nxt = piece;
            c->piece_nxt_off = (uint32_t)(piece->data.len - n);
        }
    }
    c->snd_end += (uint32_t)total;
    return total;
}

size_t tcp_queue_lend(struct tcp_conn *c, struct tarn_span data, struct tarn_lease *lease) {
    data = tarn_span_first(data, tcp_queue_room(c));
    if (data.len == 0)
        return 0;
    struct tcp_piece *piece = piece_new(c);
    if (!piece)
        return 0;
    tarn_lease_hold(lease);
    piece->lent = lease;
    piece->data = data;
    piece_link(c, piece);
    c->snd_end += (uint32_t)data.len;
    return data.len;
}

static void pop_first(struct tcp_conn *c) {
    struct tcp_piece *first = c->piece_tail->next;
    if (c->piece_nxt == first)
        c->piece_nxt = NULL;
    if (first == c->piece_tail)
        c->piece_tail = NULL;
    else
        c->piece_tail->next = first->next;
    c->piece_una_off = 0;
    piece_drop(first);
}

void tcp_queue_acked(struct tcp_conn *c, uint32_t bytes) {
    while (bytes > 0) {
        struct tcp_piece *first = tcp_piece_first(c);
        uint32_t left = (uint32_t)first->data.len - c->piece_una_off;
        if (bytes < left) {
            c->piece_una_off += bytes;
            return;
        }
        bytes -= left;
        pop_first(c);
    }
}

void tcp_queue_clear(struct tcp_conn *c) {
    while (c->piece_tail)
        pop_first(c);
    c->piece_nxt = NULL;
}

void tcp_queue_advance(struct tcp_piece **piece, uint32_t *off, uint32_t len) {
    while (*piece && len >= (*piece)->data.len - *off) {
        uint32_t left = (uint32_t)(*piece)->data.len - *off;
        len -= left;
        *off = 0;
        *piece = (*piece)->next;
        if (len == 0)
            return;
    }
    *off += len;
}

uint32_t tcp_queue_attach(struct tcp_piece *piece, uint32_t off, uint32_t len,
                          struct tarn_pkt *pkt) {
    uint32_t done = 0;
    while (done < len) {
        struct tarn_span s = tarn_span_first(tarn_span_after(piece->data, off), len - done);
        if (!tarn_pkt_lend(pkt, s, piece->block ? &piece->lease : piece->lent))
            break;
        done += (uint32_t)s.len;
        off = 0;
        piece = piece->next;
    }
    return done;
}
