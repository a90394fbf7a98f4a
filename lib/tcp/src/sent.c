/* SPDX-License-Identifier: ISC */
/* The scoreboard: one record for each packet in flight, a ring in sequence order, a tree to find
 * one by a SACK block, and two lists: by time of transmission, and of the lost. Neighbours that are
 * SACKed become one record, so a block is looked up and not walked. */
#include "internal.h"

static uint32_t next_priority(struct tarn_tcp *tcp) {
    uint32_t x = tcp->priorities; /* xorshift32, seeded at random */
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return tcp->priorities = x;
}

uint32_t tcp_tree_priority(struct tarn_tcp *tcp) {
    return next_priority(tcp);
}

void tcp_flight_begin(struct tcp_conn *c) {
    if (c->flight)
        return;
    c->flight = tarn_pool_take(&c->tcp->flights);
    *c->flight = (struct tcp_flight){
        .recover = c->snd_nxt,
        .rack_sent_us = now_us(c->tcp),
        .rack_end = c->snd_nxt,
        .fack = c->snd_nxt,
        .delivered = (uint32_t)c->bytes_acked,
        .app_limited = c->bytes_acked > 0, /* nothing was in flight until now */
        .app_limited_until = (uint32_t)c->bytes_acked,
    };
    ring_init(&c->flight->by_time);
    ring_init(&c->flight->lost);
}

/* A probe's outcome may only show later (RFC 8985 section 7.4.2). */
void tcp_flight_end(struct tcp_conn *c) {
    if (!c->flight || c->flight->sent || (c->flight->tlp_out && c->flight->tlp_retransmitted))
        return;
    tarn_pool_put(&c->tcp->flights, c->flight);
    c->flight = NULL;
    c->recovery = TCP_OPEN;
}

static void link_after(struct tcp_conn *c, struct tcp_sent *before, struct tcp_sent *s) {
    if (before) {
        s->prev = before;
        s->next = before->next;
        before->next->prev = s;
        before->next = s;
    } else {
        s->next = s->prev = s;
        c->flight->sent = s;
    }
    c->flight->sent_count++;
    seq_tree_insert(&c->flight->tree, &s->node);
}

struct tcp_sent *tcp_sent_new(struct tcp_conn *c, uint32_t seq, uint32_t len, uint8_t flags) {
    struct tcp_sent *s = tarn_pool_take(&c->tcp->sents);
    if (!s) {
        c->tcp->stats.no_record++;
        return NULL;
    }
    *s = (struct tcp_sent){
        .node = {.seq = seq, .priority = next_priority(c->tcp)},
        .piece = c->piece_nxt,
        .off = c->piece_nxt_off,
        .len = len,
        .flags = flags,
        .sent_us = now_us(c->tcp),
        .mss = c->mss,
    };
    link_after(c, c->flight->sent ? c->flight->sent->prev : NULL, s);
    ring_push(&c->flight->by_time, &s->order);
    return s;
}

void tcp_sent_free(struct tcp_conn *c, struct tcp_sent *s) {
    if (s->flags & SENT_SACKED)
        c->flight->sacked_bytes -= sent_space(s);
    if (s->flags & SENT_LOST)
        c->flight->lost_bytes -= sent_space(s);
    ring_remove(&s->order);
    seq_tree_remove(&c->flight->tree, &s->node);
    if (s->next == s)
        c->flight->sent = NULL;
    else if (c->flight->sent == s)
        c->flight->sent = s->next;
    s->next->prev = s->prev;
    s->prev->next = s->next;
    c->flight->sent_count--;
    tarn_pool_put(&c->tcp->sents, s);
}

struct tcp_sent *tcp_sent_split(struct tcp_conn *c, struct tcp_sent *s, uint32_t len) {
    TARN_ASSERT(len > 0 && len < s->len);
    struct tcp_sent *rest = tarn_pool_take(&c->tcp->sents);
    if (!rest) {
        c->tcp->stats.no_record++;
        return NULL;
    }
    *rest = *s;
    rest->node = (struct seq_node){.seq = s->node.seq + len, .priority = next_priority(c->tcp)};
    rest->len = s->len - len;
    tcp_queue_advance(&rest->piece, &rest->off, len);
    s->len = len;
    s->flags &= (uint8_t) ~(SENT_FIN | SENT_PUSH);
    link_after(c, s, rest);
    rest->order = (struct tcp_link){0};
    if (link_is_in_ring(&s->order))
        ring_push(s->order.next, &rest->order); /* before the next: right behind s */
    return rest;
}

void tcp_sent_lost(struct tcp_conn *c, struct tcp_sent *s) {
    if (s->flags & (SENT_SACKED | SENT_LOST))
        return;
    ring_remove(&s->order);
    ring_push(&c->flight->lost, &s->order);
    s->flags |= SENT_LOST;
    c->flight->lost_bytes += sent_space(s);
}

/* Sent again: it is in flight once more, and the newest in time. */
void tcp_sent_transmitted(struct tcp_conn *c, struct tcp_sent *s) {
    tcp_rate_sent(c, s);
    if (s->flags & SENT_LOST)
        c->flight->lost_bytes -= sent_space(s);
    s->flags &= (uint8_t) ~(SENT_LOST | SENT_MTU_PROBE);
    s->flags |= SENT_RETRANSMITTED;
    s->sent_us = now_us(c->tcp);
    s->mss = c->mss;
    ring_remove(&s->order);
    ring_push(&c->flight->by_time, &s->order);
}

struct tcp_sent *tcp_sent_first_lost(const struct tcp_conn *c) {
    return !c->flight || ring_is_empty(&c->flight->lost)
               ? NULL
               : TARN_CONTAINER_OF(c->flight->lost.next, struct tcp_sent, order);
}

struct tcp_sent *tcp_sent_oldest(const struct tcp_conn *c) {
    return ring_is_empty(&c->flight->by_time)
               ? NULL
               : TARN_CONTAINER_OF(c->flight->by_time.next, struct tcp_sent, order);
}

/* A round trip from the last transmission of `s` to the ACK that covers it. With timestamps, only
 * where the echo is of that transmission (RFC 7323 section 4; one tick of doubt, for the rounding),
 * without, only where there was one (Karn's algorithm, RFC 6298 section 3). And none at all from an
 * ACK that a needless retransmission called forth: it comes late for whatever had arrived long
 * before, and would make a lost ACK look like a long path. */
static void take_rtt(struct tcp_conn *c, const struct tcp_sent *s, const struct tcp_segment *seg,
                     struct tcp_ack_round *round) {
    uint32_t rtt = TARN_MAX(now_us(c->tcp) - s->sent_us, 1u);
    bool stamped = c->ts_ok && seg->opt.has_ts;
    uint32_t sent_ts = now_ms(c->tcp) - rtt / 1000 + c->ts_offset;
    bool echoed = stamped && sent_ts - seg->opt.tsecr + 1 <= 2;
    if (s->flags & SENT_RETRANSMITTED && !echoed)
        round->karn = true;
    else if (echoed || (!stamped && !(s->flags & SENT_SACKED)))
        round->rtt_us = rtt;
}

uint32_t tcp_sent_acked(struct tcp_conn *c, const struct tcp_segment *seg,
                        struct tcp_ack_round *round) {
    uint32_t payload = 0;
    while (c->flight->sent && seq_lt(c->flight->sent->node.seq, seg->ack)) {
        struct tcp_sent *s = c->flight->sent;
        bool sacked = s->flags & SENT_SACKED;
        if (seq_le(sent_end(s), seg->ack)) {
            take_rtt(c, s, seg, round);
            if (s->flags & SENT_MTU_PROBE && c->flight->mtu_probe)
                tcp_mtu_probe_acked(c);
            if (!sacked) {
                round->acked += s->len;
                tcp_rate_delivered(c, s, s->len, round);
                tcp_rack_delivered(c, s, sent_end(s), seg);
            }
            payload += s->len;
            c->mtu_proven |= s->mss == c->mss && s->len >= s->mss;
            tcp_sent_free(c, s);
            continue;
        }
        /* A part of it: the record begins later. It stays the first, so its place in the tree is
         * good. */
        uint32_t n = TARN_MIN(seg->ack - s->node.seq, s->len);
        if (sacked) {
            c->flight->sacked_bytes -= n;
        } else {
            round->acked += n;
            tcp_rate_delivered(c, s, n, round);
            tcp_rack_delivered(c, s, s->node.seq + n, seg);
        }
        take_rtt(c, s, seg, round);
        if (s->flags & SENT_LOST)
            c->flight->lost_bytes -= n;
        payload += n;
        tcp_queue_advance(&s->piece, &s->off, n);
        s->node.seq += n;
        s->len -= n;
        break;
    }
    return payload;
}

static void merge_sacked(struct tcp_conn *c, struct tcp_sent *low, struct tcp_sent *high) {
    if (!(low->flags & high->flags & SENT_SACKED) || high == c->flight->sent)
        return;
    uint32_t len = high->len, space = sent_space(high);
    uint8_t flags = high->flags;
    tcp_sent_free(c, high); /* takes its bytes out of sacked_bytes */
    c->flight->sacked_bytes += space;
    low->len += len;
    low->flags |= flags;
}

static void mark_sacked(struct tcp_conn *c, struct tcp_sent *s, const struct tcp_segment *seg,
                        struct tcp_ack_round *round) {
    tcp_rate_delivered(c, s, s->len, round);
    tcp_rack_delivered(c, s, sent_end(s), seg);
    if (s->flags & SENT_LOST)
        c->flight->lost_bytes -= sent_space(s);
    if (s->flags & SENT_MTU_PROBE && c->flight->mtu_probe)
        tcp_mtu_probe_acked(c);
    s->flags = (uint8_t)((s->flags & ~(SENT_LOST | SENT_MTU_PROBE)) | SENT_SACKED);
    ring_remove(&s->order);
    c->flight->sacked_bytes += sent_space(s);
    round->sacked_end = round->sacked ? seq_max(round->sacked_end, sent_end(s)) : sent_end(s);
    round->sacked += s->len;
}

/* `len` rounded to whole segments: a peer cannot make us cut finer than we sent. */
static uint32_t whole_segments(const struct tcp_sent *s, uint32_t len) {
    return len - len % s->mss;
}

static void sack_block(struct tcp_conn *c, const struct tcp_segment *seg, struct tcp_sack_block b,
                       struct tcp_ack_round *round) {
    struct seq_node *node = seq_tree_floor(&c->flight->tree, b.start);
    struct tcp_sent *s = node ? TARN_CONTAINER_OF(node, struct tcp_sent, node) : c->flight->sent;
    while (s && seq_lt(s->node.seq, b.end)) {
        struct tcp_sent *next = s->next == c->flight->sent ? NULL : s->next;
        if (!(s->flags & SENT_SACKED) && seq_lt(s->node.seq, b.start)) {
            uint32_t before = whole_segments(s, b.start - s->node.seq + s->mss - 1u);
            if (before < s->len && tcp_sent_split(c, s, before))
                next = s->next;
            s = next;
            continue;
        }
        if (!(s->flags & SENT_SACKED) && seq_lt(b.end, sent_end(s))) {
            uint32_t inside = whole_segments(s, b.end - s->node.seq);
            if (inside == 0 || inside >= s->len || !tcp_sent_split(c, s, inside))
                return;
        }
        if (!(s->flags & SENT_SACKED))
            mark_sacked(c, s, seg, round);
        next = s->next == c->flight->sent ? NULL : s->next;
        struct tcp_sent *prev = s == c->flight->sent ? NULL : s->prev;
        if (prev && (prev->flags & SENT_SACKED)) {
            merge_sacked(c, prev, s);
            s = prev;
        }
        if (next && (next->flags & SENT_SACKED)) {
            struct tcp_sent *after = next->next == c->flight->sent ? NULL : next->next;
            merge_sacked(c, s, next);
            next = after;
        }
        s = next;
    }
}

void tcp_sent_sack(struct tcp_conn *c, const struct tcp_segment *seg, struct tcp_ack_round *round) {
    for (uint8_t i = 0; i < seg->opt.sack_count; i++) {
        struct tcp_sack_block b = TARN_AT(seg->opt.sack, i);
        if (!seq_lt(b.start, b.end))
            continue;
        /* RFC 2883 section 4: the first block tells of a duplicate where it is below the ACK or
         * inside of the second. */
        bool duplicate = seq_le(b.end, seg->ack);
        if (i == 0 && seg->opt.sack_count > 1) {
            struct tcp_sack_block second = TARN_AT(seg->opt.sack, 1u);
            duplicate |= seq_le(second.start, b.start) && seq_le(b.end, second.end);
        }
        if (duplicate) {
            round->dsack |= i == 0;
            if (c->own)
                c->own->duplicates++;
            continue;
        }
        if (seq_le(c->snd_una, b.start) && seq_le(b.end, c->snd_nxt))
            sack_block(c, seg, b, round);
    }
}

/* RFC 2018 section 8: after a timeout, what was SACKed may have been thrown away. */
void tcp_sent_unsack_all(struct tcp_conn *c) {
    struct tcp_sent *s = c->flight->sent;
    do {
        if (s->flags & SENT_SACKED) {
            s->flags &= (uint8_t)~SENT_SACKED;
            c->flight->sacked_bytes -= sent_space(s);
            ring_push(&c->flight->by_time, &s->order);
        }
        s = s->next;
    } while (s != c->flight->sent);
}
