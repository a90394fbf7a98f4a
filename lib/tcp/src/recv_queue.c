/* SPDX-License-Identifier: ISC */
/* Received bytes stay in the packets that they came in. What is in order is a list; what is not is
 * a tree of ranges, each a list without a hole. What packets cost their pool (not what they carry)
 * is kept under the limits; small payloads are copied together, so that tiny segments cannot pin
 * memory. */
#include "internal.h"

static void charge(struct tcp_conn *c, const struct tarn_pkt *pkt) {
    size_t bytes = tarn_pkt_truesize(pkt);
    c->rcv_truesize += (uint32_t)bytes;
    c->tcp->rcv_bytes += bytes;
}

static void drop(struct tcp_conn *c, struct tarn_pkt *pkt) {
    size_t bytes = tarn_pkt_truesize(pkt);
    c->rcv_truesize -= (uint32_t)bytes;
    c->tcp->rcv_bytes -= bytes;
    tarn_pkt_free(pkt);
}

static void drop_list(struct tcp_conn *c, struct tarn_pkt *pkt) {
    while (pkt) {
        struct tarn_pkt *next = pkt->next;
        drop(c, pkt);
        pkt = next;
    }
}

static struct tcp_range *range_of(struct seq_node *node) {
    return node ? TARN_CONTAINER_OF(node, struct tcp_range, node) : NULL;
}

static void range_remove(struct tcp_conn *c, struct tcp_range *r) {
    seq_tree_remove(&c->ranges, &r->node);
    if (c->recent == &r->recent)
        c->recent = r->recent.next == &r->recent ? NULL : r->recent.next;
    ring_remove(&r->recent);
    c->range_bytes -= r->end - r->node.seq;
    c->range_count--;
    tarn_pool_put(&c->tcp->ranges, r);
}

static void range_discard(struct tcp_conn *c, struct tcp_range *r) {
    drop_list(c, r->head);
    range_remove(c, r);
}

void tcp_receive_clear(struct tcp_conn *c) {
    drop_list(c, c->rcv_head);
    c->rcv_head = c->rcv_tail = NULL;
    c->rcv_bytes = 0;
    while (c->ranges.root)
        range_discard(c, range_of(c->ranges.root));
}

/* To the front of the order of SACK blocks. */
static void touched(struct tcp_conn *c, struct tcp_range *r) {
    if (c->recent == &r->recent)
        return;
    ring_remove(&r->recent);
    if (c->recent)
        ring_push(c->recent, &r->recent);
    else
        ring_init(&r->recent);
    c->recent = &r->recent;
}

/* Twice the buffer for the cost of packets that are not full, and never more than the stack has. */
static bool has_memory(const struct tcp_conn *c, size_t bytes) {
    size_t mine = (size_t)c->rcv_truesize + bytes;
    /* What has been promised counts, where the buffer was made smaller since. */
    uint32_t promised = c->rcv_bytes + (c->rcv_adv - c->rcv_nxt);
    size_t buf = TARN_MAX(c->rcv_buf, promised);
    return c->tcp->rcv_bytes + bytes <= c->tcp->rcv_bytes_max && mine <= buf * 2 + TCP_BLOCK_BYTES;
}

/* RFC 2018 section 8 lets a receiver forget what is out of order: the last thing to keep when
 * memory is short, and what comes last in sequence first. */
static bool make_room(struct tcp_conn *c, size_t bytes) {
    while (!has_memory(c, bytes)) {
        struct seq_node *last = seq_tree_floor(&c->ranges, c->rcv_nxt + (UINT32_MAX >> 1));
        if (!last)
            return false;
        c->tcp->stats.drop_memory++;
        range_discard(c, range_of(last));
    }
    return true;
}

/* Copies a small payload behind `tail`; true: the packet is not needed any more. */
static bool coalesce(struct tcp_conn *c, struct tarn_pkt *tail, const struct tarn_pkt *pkt) {
    if (!tail || pkt->len * 2 > tarn_pkt_truesize(pkt)
        || !tarn_pkt_append(tail, tarn_pkt_head(pkt)))
        return false;
    c->tcp->stats.coalesced++;
    return true;
}

/* A packet that wastes most of its memory, as a copy of the right size where that is to be had. */
static struct tarn_pkt *right_sized(struct tarn_pkt *pkt) {
    if (pkt->pool_class != TARN_PKT_SUPER || pkt->len > TCP_BLOCK_BYTES)
        return pkt;
    struct tarn_pkt *copy = tarn_pkt_copy(pkt->pool, pkt);
    if (!copy || tarn_pkt_truesize(copy) >= tarn_pkt_truesize(pkt)) {
        tarn_pkt_free(copy);
        return pkt;
    }
    tarn_pkt_free(pkt);
    return copy;
}

/* In order: `pkt` is ours already. */
static void append(struct tcp_conn *c, struct tarn_pkt *pkt) {
    c->rcv_bytes += pkt->len;
    c->rcv_nxt += pkt->len;
    c->bytes_received += pkt->len;
    pkt->next = NULL;
    if (c->rcv_tail)
        c->rcv_tail->next = pkt;
    else
        c->rcv_head = pkt;
    c->rcv_tail = pkt;
}

/* Cuts what is known already off the front. */
static void trim_front(struct tarn_pkt *pkt, uint32_t n) {
    bool cut = tarn_pkt_pull(pkt, n);
    TARN_ASSERT(cut);
}

static bool touch(const struct tcp_sack_block *b, uint32_t start, uint32_t end) {
    return seq_le(start, b->end) && seq_le(b->start, end);
}

/* RFC 2883 section 4: one block tells; what does not touch it is not told. */
static void note_duplicate(struct tcp_conn *c, uint32_t start, uint32_t end) {
    struct tcp_sack_block *d = &c->duplicate;
    if (d->start == d->end)
        *d = (struct tcp_sack_block){start, end};
    else if (touch(d, start, end))
        *d = (struct tcp_sack_block){seq_lt(start, d->start) ? start : d->start,
                                     seq_max(end, d->end)};
}

/* What rcv_nxt has reached moves from the ranges to the queue, the highest first. What is below it
 * has come twice; the lowest of it is told. */
static void take_ranges(struct tcp_conn *c) {
    struct tcp_range *r;
    uint32_t high = c->rcv_nxt, dup_start = high, dup_end = high;
    while ((r = range_of(seq_tree_floor(&c->ranges, c->rcv_nxt)))) {
        uint32_t seq = r->node.seq;
        if (seq_lt(seq, high)) {
            uint32_t end = seq_lt(r->end, high) ? r->end : high;
            dup_end = end == dup_start ? dup_end : end;
            dup_start = seq;
        }
        struct tarn_pkt *pkt = r->head;
        range_remove(c, r);
        while (pkt) {
            struct tarn_pkt *next = pkt->next;
            uint32_t end = seq + pkt->len;
            if (seq_le(end, c->rcv_nxt)) {
                drop(c, pkt);
            } else {
                trim_front(pkt, c->rcv_nxt - seq);
                append(c, pkt);
            }
            seq = end;
            pkt = next;
        }
    }
    if (dup_start != high)
        note_duplicate(c, dup_start, dup_end);
}

static void receive_in_order(struct tcp_conn *c, struct tcp_segment *seg) {
    struct tarn_pkt *pkt = seg->pkt;
    uint32_t len = pkt->len;
    if (coalesce(c, c->rcv_tail, pkt)) {
        tarn_pkt_free(pkt);
        c->rcv_bytes += len;
        c->rcv_nxt += len;
        c->bytes_received += len;
    } else {
        pkt = right_sized(pkt);
        if (!make_room(c, tarn_pkt_truesize(pkt))) {
            c->tcp->stats.drop_memory++;
            seg->pkt = pkt;
            return;
        }
        charge(c, pkt);
        append(c, pkt);
    }
    seg->pkt = NULL;
    if (c->ranges.root)
        take_ranges(c);
}

/* `high` begins where `low` ends, or before: one range of both. */
static void range_join(struct tcp_conn *c, struct tcp_range *low, struct tcp_range *high) {
    if (seq_le(high->end, low->end)) {
        range_discard(c, high);
        return;
    }
    uint32_t seq = high->node.seq;
    struct tarn_pkt *pkt = high->head;
    /* Whole packets that `low` has too, then a part of one. */
    while (seq_le(seq + pkt->len, low->end)) {
        struct tarn_pkt *next = pkt->next;
        seq += pkt->len;
        drop(c, pkt);
        pkt = next;
    }
    trim_front(pkt, low->end - seq);
    low->tail->next = pkt;
    low->tail = high->tail;
    c->range_bytes += high->end - low->end;
    low->end = high->end;
    range_remove(c, high);
}

static struct tcp_range *range_new(struct tcp_conn *c, uint32_t seq, struct tarn_pkt *pkt) {
    struct tcp_range *r = tarn_pool_take(&c->tcp->ranges);
    if (!r)
        return NULL;
    pkt->next = NULL;
    *r = (struct tcp_range){
        .node = {.seq = seq, .priority = tcp_tree_priority(c->tcp)},
        .end = seq + pkt->len,
        .head = pkt,
        .tail = pkt,
    };
    seq_tree_insert(&c->ranges, &r->node);
    touched(c, r);
    c->range_bytes += pkt->len;
    c->range_count++;
    return r;
}

static void receive_out_of_order(struct tcp_conn *c, struct tcp_segment *seg) {
    struct tarn_pkt *pkt = seg->pkt;
    struct tcp_range *low = range_of(seq_tree_floor(&c->ranges, seg->seq));
    c->tcp->stats.out_of_order++;
    if (low && seq_le(seg->seq + pkt->len, low->end)) {
        c->tcp->stats.drop_duplicate++;
        c->duplicate = (struct tcp_sack_block){seg->seq, seg->seq + pkt->len};
        touched(c, low);
        return;
    }
    if (low && seq_lt(low->end, seg->seq))
        low = NULL; /* there is a hole between */
    uint32_t known = low ? low->end - seg->seq : 0, seg_end = seg->seq + pkt->len;
    trim_front(pkt, known);
    if (known > 0)
        note_duplicate(c, seg->seq, low->end);
    uint32_t len = pkt->len, seq = seg->seq + known;
    bool copied = low && coalesce(c, low->tail, pkt);
    if (!copied) {
        pkt = seg->pkt = right_sized(pkt);
        if (!has_memory(c, tarn_pkt_truesize(pkt))) {
            c->tcp->stats.drop_memory++;
            return;
        }
    }
    if (copied) {
        tarn_pkt_free(pkt);
    } else if (low) {
        charge(c, pkt);
        pkt->next = NULL;
        low->tail->next = pkt;
        low->tail = pkt;
    } else if (!(low = range_new(c, seq, pkt))) {
        c->tcp->stats.drop_holes++;
        return;
    } else {
        charge(c, pkt);
        len = 0;
    }
    seg->pkt = NULL;
    low->end += len;
    c->range_bytes += len;
    touched(c, low);
    struct tcp_range *high;
    while ((high = range_of(seq_tree_above(&c->ranges, low->node.seq)))
           && seq_le(high->node.seq, low->end)) {
        if (seq_lt(high->node.seq, seg_end))
            note_duplicate(c, high->node.seq, seq_lt(high->end, seg_end) ? high->end : seg_end);
        range_join(c, low, high);
    }
}

void tcp_receive_data(struct tcp_conn *c, struct tcp_segment *seg) {
    if (seg->seq == c->rcv_nxt)
        receive_in_order(c, seg);
    else
        receive_out_of_order(c, seg);
}

/* Dynamic right-sizing: where half of the window is read within a round trip, the sender is held
 * back by it, or will be when it doubles its own. Not while the stack is short of memory. */
static void tune(struct tcp_conn *c, uint32_t n) {
    const struct tarn_tcp *tcp = c->tcp;
    uint32_t max = tcp->config.limits.rcv_buf_bytes_max;
    if (c->own && c->own->budget.rcv_buf_bytes)
        return;
    c->tune_bytes += n;
    if (c->tune_bytes >= c->rcv_buf / 2 && c->rcv_buf < max
        && tcp->rcv_bytes < tcp->rcv_bytes_max / 2) {
        c->rcv_buf = TARN_MIN(c->rcv_buf * 2, max);
        c->tune_bytes = 0;
        c->tune_from_us = now_us(tcp);
    } else if (now_us(tcp) - c->tune_from_us > c->srtt_us) {
        c->tune_bytes = 0;
        c->tune_from_us = now_us(tcp);
    }
}

void tcp_receive_consume(struct tcp_conn *c, size_t n) {
    TARN_ASSERT(n <= c->rcv_bytes);
    tune(c, (uint32_t)n);
    c->rcv_bytes -= (uint32_t)n;
    while (n > 0) {
        struct tarn_pkt *pkt = c->rcv_head;
        if (n < pkt->len) {
            trim_front(pkt, (uint32_t)n);
            return;
        }
        n -= pkt->len;
        c->rcv_head = pkt->next;
        if (!c->rcv_head)
            c->rcv_tail = NULL;
        drop(c, pkt);
    }
}

/* What may be promised: the buffer less what is unread, less again where packets cost more than
 * twice what they carry, nothing while the stack is out of memory. Promises are never taken back
 * (RFC 9293 section 3.8.6), and small steps are not worth a promise (section 3.8.6.2.2). */
uint32_t tcp_receive_window(const struct tcp_conn *c) {
    const struct tarn_tcp *tcp = c->tcp;
    uint32_t promised = seq_lt(c->rcv_nxt, c->rcv_adv) ? c->rcv_adv - c->rcv_nxt : 0;
    uint32_t used = TARN_MAX(c->rcv_bytes, c->rcv_truesize / 2);
    uint32_t room = used < c->rcv_buf ? c->rcv_buf - used : 0;
    size_t left = tcp->rcv_bytes < tcp->rcv_bytes_max ? tcp->rcv_bytes_max - tcp->rcv_bytes : 0;
    room = (uint32_t)TARN_MIN((size_t)room, left / 2);
    if (room <= promised)
        return promised;
    uint32_t segment = TARN_MAX(c->rcv_mss, TCP_MSS_DEFAULT);
    uint32_t step = TARN_MIN(c->rcv_buf / 2, segment);
    return room - promised >= step ? room : promised;
}

uint8_t tcp_receive_sacks(const struct tcp_conn *c, struct tcp_sack_block *blocks, uint8_t max) {
    uint8_t n = 0;
    /* RFC 2883 section 4: a duplicate comes first, and once. */
    if (c->duplicate.start != c->duplicate.end) {
        TARN_AT_N(blocks, max, 0u) = c->duplicate;
        n++;
    }
    for (struct tcp_link *l = c->recent; l && n < max; l = l->next == c->recent ? NULL : l->next) {
        const struct tcp_range *r = TARN_CONTAINER_OF(l, struct tcp_range, recent);
        TARN_AT_N(blocks, max, n) = (struct tcp_sack_block){r->node.seq, r->end};
        n++;
    }
    return n;
}
