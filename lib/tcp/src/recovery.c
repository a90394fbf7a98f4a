/* SPDX-License-Identifier: ISC */
/* What is lost, and how much may be sent. With SACK, loss is a matter of time (RACK, RFC 8985);
 * without, of duplicate ACKs (NewReno, RFC 6582). In recovery, sending is paced by what is
 * delivered (PRR, RFC 6937). How far the window falls is the congestion controller's business. */
#include "internal.h"

uint32_t tcp_in_flight(const struct tcp_conn *c) {
    uint32_t outstanding = c->snd_nxt - c->snd_una;
    if (!c->flight)
        return outstanding;
    uint32_t gone = c->flight->sacked_bytes + c->flight->lost_bytes;
    if (!c->sack_ok) /* each duplicate ACK says that a segment has left (RFC 5681 section 3.2) */
        gone += (uint32_t)c->flight->dupacks * c->mss;
    return outstanding > gone ? outstanding - gone : 0;
}

uint32_t tcp_send_budget(const struct tcp_conn *c) {
    uint32_t in_flight = tcp_in_flight(c);
    return c->cc.cwnd > in_flight ? c->cc.cwnd - in_flight : 0;
}

/* -- RACK
 * ------------------------------------------------------------------------------------------ */

static bool sent_after(uint32_t us_a, uint32_t end_a, uint32_t us_b, uint32_t end_b) {
    return us_a == us_b ? seq_lt(end_b, end_a) : seq_lt(us_b, us_a);
}

/* RFC 8985 section 6.2, steps 1 to 3. */
void tcp_rack_delivered(struct tcp_conn *c, const struct tcp_sent *s, uint32_t end,
                        const struct tcp_segment *seg) {
    struct tcp_flight *f = c->flight;
    uint32_t rtt = now_us(c->tcp) - s->sent_us;
    bool below = seq_lt(end, f->fack);
    f->fack = seq_max(f->fack, end);
    if (s->flags & SENT_RETRANSMITTED) {
        /* It may be the first transmission that arrived. One tick of doubt, for the rounding. */
        uint32_t sent_ts = now_ms(c->tcp) - rtt / 1000 + c->ts_offset;
        if (c->ts_ok && seg->opt.has_ts && seq_lt(seg->opt.tsecr + 1, sent_ts))
            return;
        if (rtt < c->rtt_min_us)
            return;
    } else if (below) {
        uint32_t degree = (f->fack - s->node.seq + c->mss - 1) / c->mss;
        f->rack_reordering = true;
        degree = TARN_MIN(degree, 255u);
        f->reordering = (uint8_t)TARN_MAX(f->reordering, degree);
    }
    f->rack_rtt_us = rtt;
    if (sent_after(s->sent_us, end, f->rack_sent_us, f->rack_end)) {
        f->rack_sent_us = s->sent_us;
        f->rack_end = end;
    }
}

/* Into the list of what is sent again, because the network has dropped it. */
static void mark_lost(struct tcp_conn *c, struct tcp_sent *s) {
    struct tcp_flight *f = c->flight;
    if (s->flags & (SENT_SACKED | SENT_LOST))
        return;
    tcp_sent_lost(c, s);
    if (s->flags & SENT_MTU_PROBE && f->mtu_probe) {
        tcp_mtu_probe_lost(c);
        return;
    }
    f->lost_ever += s->len;
    if (!c->cc.ops->lost)
        return;
    struct tarn_tcp_cc_loss loss = {
        .now = c->tcp->now,
        .bytes = s->len,
        .delivered = f->delivered,
        .tx_in_flight_bytes = s->tx_in_flight,
        .sample_lost_bytes = f->lost_ever - s->lost_before,
        .app_limited = (s->flags & SENT_APP_LIMITED) != 0,
    };
    c->cc.ops->lost(&c->cc, &loss);
}

/* Section 6.2, step 4. */
static uint32_t reordering_window(const struct tcp_conn *c) {
    if (!c->flight->rack_reordering
        && (c->recovery != TCP_OPEN || c->flight->sacked_bytes >= TCP_DUP_THRESH * c->mss))
        return 0;
    uint32_t rtt = c->rtt_min_us == UINT32_MAX ? c->srtt_us : c->rtt_min_us;
    return TARN_MIN(rtt / 4, c->srtt_us);
}

/* Step 5, from the oldest transmission on: it ends at the first that may still arrive. */
static void rack_detect(struct tcp_conn *c) {
    uint32_t window = reordering_window(c), now = now_us(c->tcp);
    if (c->xmit_timer == TCP_TIMER_REO)
        tcp_timer_xmit(c);
    struct tcp_sent *s;
    while ((s = tcp_sent_oldest(c))
           && sent_after(c->flight->rack_sent_us, c->flight->rack_end, s->sent_us, sent_end(s))) {
        uint32_t waited = now - s->sent_us, allowed = c->flight->rack_rtt_us + window;
        if (waited < allowed) {
            c->xmit_timer = TCP_TIMER_REO;
            c->xmit_at = tarn_time_after(c->tcp->now, TARN_US(allowed - waited) + 1000);
            return;
        }
        mark_lost(c, s);
    }
}

/* -- recovery
 * --------------------------------------------------------------------------------------- */

/* What a reduction that turns out to be a mistake is undone with. */
static void remember(struct tcp_conn *c) {
    struct tcp_flight *f = c->flight;
    f->undo_cwnd = c->cc.cwnd;
    f->undo_ssthresh = c->cc.ssthresh;
    f->undo_segments = 0;
    f->undo_ts_valid = false;
    f->undo_possible = true;
}

/* Nothing had been lost: it was late. What waits to be sent again is in flight after all, and older
 * than all that is known to be. */
static void undo(struct tcp_conn *c) {
    struct tcp_flight *f = c->flight;
    while (!ring_is_empty(&f->lost)) {
        struct tcp_sent *s = TARN_CONTAINER_OF(f->lost.prev, struct tcp_sent, order);
        ring_remove(&s->order);
        s->flags &= (uint8_t)~SENT_LOST;
        f->lost_bytes -= sent_space(s);
        ring_push(f->by_time.next, &s->order);
    }
    /* What seemed to be the delivery of a retransmission was not, and makes nothing lost. */
    struct tcp_sent *oldest = tcp_sent_oldest(c);
    if (oldest) {
        f->rack_sent_us = oldest->sent_us;
        f->rack_end = oldest->node.seq;
    }
    c->cc.cwnd = TARN_MAX(c->cc.cwnd, f->undo_cwnd);
    c->cc.ssthresh = f->undo_ssthresh;
    c->cc.ops->undo(&c->cc);
    c->recovery = TCP_OPEN;
    f->dupacks = 0;
    f->frto = TCP_FRTO_OFF;
    f->undo_possible = false;
    c->spurious = (uint8_t)TARN_MIN(c->spurious + 1, 255);
    c->tcp->stats.spurious_recoveries++;
}

/* F-RTO (RFC 5682), where no timestamp tells: sections 2.1 and 3.1, from step 2 on. */
static bool frto_detects(struct tcp_conn *c, const struct tcp_ack_round *round) {
    struct tcp_flight *f = c->flight;
    if (f->frto == TCP_FRTO_WAIT) {
        bool edge = seq_lt(c->snd_nxt, c->snd_una + c->snd_wnd);
        if (round->advanced)
            f->frto = seq_lt(c->snd_una, f->recover) && seq_lt(c->snd_nxt, c->snd_end) && edge
                          ? TCP_FRTO_SEND
                          : TCP_FRTO_OFF;
        else if (!c->sack_ok && round->duplicate)
            f->frto = TCP_FRTO_OFF;
        return false;
    }
    if (f->frto != TCP_FRTO_SENT || (!round->advanced && !round->sacked && !round->duplicate))
        return false;
    bool above = seq_lt(f->frto_end, c->snd_una)
                 || (round->sacked && seq_lt(f->frto_end, round->sacked_end));
    f->frto = TCP_FRTO_OFF;
    if (!above && (round->advanced || round->sacked))
        return true;
    c->cc.cwnd = TARN_MIN(c->cc.cwnd, 3u * c->mss);
    return false;
}

/* RFC 3522 (Eifel): the echo is of the first transmission. RFC 3708: all that was sent again is
 * reported as a duplicate. */
static bool was_spurious(struct tcp_conn *c, const struct tcp_ack_round *round) {
    struct tcp_flight *f = c->flight;
    if (!f->undo_possible)
        return false;
    if (round->dsack && f->undo_segments > 0 && --f->undo_segments == 0)
        return true;
    if (c->recovery == TCP_LOSS && frto_detects(c, round))
        return true;
    return c->recovery != TCP_OPEN && round->advanced && round->has_ts && f->undo_ts_valid
           && seq_lt(round->tsecr, f->undo_ts);
}

static void enter(struct tcp_conn *c) {
    c->recovery = TCP_RECOVERY;
    c->flight->recover = c->snd_nxt;
    c->flight->prr_delivered = c->flight->prr_out = 0;
    c->flight->prr_bytes = TARN_MAX(c->snd_nxt - c->snd_una, 1u);
    remember(c);
    c->cc.ops->congestion(&c->cc, c->tcp->now, c->snd_nxt - c->snd_una);
    c->tcp->stats.fast_recoveries++;
}

static void leave(struct tcp_conn *c) {
    if (c->recovery == TCP_RECOVERY && !c->cc.ops->models)
        c->cc.cwnd = TARN_MAX(c->cc.ssthresh, c->mss);
    c->recovery = TCP_OPEN;
    c->flight->dupacks = 0;
    c->flight->frto = TCP_FRTO_OFF;
}

/* RFC 6937 section 3, with the slow-start bound only where the ACK shows that nothing more was lost
 * (RFC 9937). */
static void proportional_rate(struct tcp_conn *c, const struct tcp_ack_round *round,
                              bool lost_more) {
    uint32_t delivered = round->acked + round->sacked;
    uint32_t in_flight = tcp_in_flight(c), send;
    if (!c->sack_ok && round->duplicate)
        delivered = c->mss;
    c->flight->prr_delivered += delivered;
    if (in_flight > c->cc.ssthresh) {
        uint64_t share =
            (uint64_t)c->flight->prr_delivered * c->cc.ssthresh + c->flight->prr_bytes - 1;
        uint32_t due = (uint32_t)(share / c->flight->prr_bytes);
        send = due > c->flight->prr_out ? due - c->flight->prr_out : 0;
    } else {
        uint32_t saved = c->flight->prr_delivered > c->flight->prr_out
                             ? c->flight->prr_delivered - c->flight->prr_out
                             : 0;
        uint32_t limit = TARN_MAX(saved, delivered);
        if (round->advanced && !lost_more)
            limit += c->mss;
        send = TARN_MIN(c->cc.ssthresh - in_flight, limit);
    }
    if (c->flight->prr_out == 0)
        send = TARN_MAX(send, c->mss); /* the retransmission that starts it */
    c->cc.cwnd = in_flight + send;
}

/* Without SACK, the first segment in flight is what the peer waits for. */
static void reno_detect(struct tcp_conn *c, const struct tcp_ack_round *round) {
    if (round->duplicate && c->flight->dupacks < UINT8_MAX)
        c->flight->dupacks++;
    if (round->advanced && c->recovery == TCP_OPEN)
        c->flight->dupacks = 0;
    bool partial = round->advanced && c->recovery == TCP_RECOVERY;
    /* RFC 6582 section 3.2: recover keeps what an earlier recovery left from starting another. */
    bool starts = c->recovery == TCP_OPEN && c->flight->dupacks == TCP_DUP_THRESH
                  && seq_le(c->flight->recover, c->snd_una);
    if (partial)
        c->flight->dupacks =
            (uint8_t)(c->flight->dupacks
                      - TARN_MIN((uint32_t)c->flight->dupacks, round->acked / c->mss));
    if ((partial || starts) && c->flight->sent) {
        if (c->flight->sent->len > c->mss)
            (void)tcp_sent_split(c, c->flight->sent, c->mss);
        mark_lost(c, c->flight->sent);
    }
}

/* RFC 3168 section 6.1.2: as if a segment had been lost, once a round trip. */
static void ecn_reduces(struct tcp_conn *c) {
    if (c->recovery != TCP_OPEN || seq_lt(c->snd_una, c->flight->recover))
        return;
    c->cwr_due = !c->accecn;
    enter(c);
    c->flight->undo_possible = false;
    if (c->sack_ok)
        return;
    /* Without SACK, partial ACKs in recovery would mean loss. */
    c->recovery = TCP_OPEN;
    if (!c->cc.ops->models)
        c->cc.cwnd = c->cc.ssthresh;
}

/* -- the tail loss probe (RFC 8985 section 7) -- */

#define PROBE_DELAYED_ACK_US 200000u

bool tcp_probe_timeout(const struct tcp_conn *c, uint32_t *us) {
    if (!c->sack_ok || !c->flight || c->flight->tlp_out || c->recovery != TCP_OPEN
        || c->srtt_us == 0 || c->flight->sacked_bytes > 0 || c->backoffs > 0)
        return false;
    bool one = c->snd_nxt - c->snd_una <= c->mss;
    *us = 2 * c->srtt_us + (one ? PROBE_DELAYED_ACK_US : 2000u);
    return true;
}

/* New data where there is some, or else the last segment again: either brings an ACK that shows
 * what is missing before it. Then RTO has its turn. */
void tcp_recovery_probe(struct tcp_conn *c) {
    struct tcp_flight *f = c->flight;
    c->xmit_timer = TCP_TIMER_RTO;
    c->xmit_at = tarn_time_after(c->tcp->now, TARN_US(c->rto_us));
    c->tcp->stats.tail_probes++;
    c->tail_probes = (uint8_t)TARN_MIN(c->tail_probes + 1, 255);
    f->tlp_out = true;
    f->undo_ts_valid = false;
    f->tlp_retransmitted = !tcp_send_new(c, true);
    f->tlp_end = c->snd_nxt;
    if (!f->tlp_retransmitted)
        return;
    struct tcp_sent *last = f->sent->prev;
    if (last->flags & SENT_SACKED)
        return;
    if (last->len > c->mss) {
        struct tcp_sent *rest = tcp_sent_split(c, last, last->len - c->mss);
        last = rest ? rest : last;
    }
    (void)tcp_retransmit(c, last, c->mss);
}

/* Section 7.4.2: did the probe fill a hole, or was it not needed? An ACK of just what was sent
 * until then may be of the first transmission, and what shows it may come behind; a timestamp tells
 * at once. */
static void probe_answered(struct tcp_conn *c, const struct tcp_ack_round *round) {
    struct tcp_flight *f = c->flight;
    if (!f->tlp_out || seq_lt(c->snd_una, f->tlp_end))
        return;
    bool echo = round->has_ts && f->undo_ts_valid;
    bool first = echo && seq_lt(round->tsecr, f->undo_ts);
    bool needless = !f->tlp_retransmitted || round->dsack || first || c->recovery != TCP_OPEN;
    bool repaired = seq_lt(f->tlp_end, c->snd_una) || (echo && round->advanced);
    if (!needless && !repaired)
        return;
    f->tlp_out = false;
    if (needless)
        return;
    c->cc.ops->congestion(&c->cc, c->tcp->now, c->snd_nxt - c->snd_una + round->acked);
    if (!c->cc.ops->models)
        c->cc.cwnd = c->cc.ssthresh;
}

static void tell_controller(struct tcp_conn *c, const struct tcp_ack_round *round) {
    bool models = c->cc.ops->models;
    struct tarn_tcp_cc_ack ack = {
        .now = c->tcp->now,
        .acked_bytes = round->acked + round->sacked,
        .in_flight_bytes = round->in_flight_before,
        .rtt_us = round->rtt_us,
        .srtt_us = c->srtt_us,
        .rtt_min_us = c->rtt_min_us,
        .snd_una = c->snd_una,
        .snd_nxt = c->snd_nxt,
        .in_recovery = c->recovery != TCP_OPEN,
        .left_bytes = tcp_in_flight(c),
        /* In slow start the window may run ahead of what is used, by no more than twofold. */
        .cwnd_limited =
            c->cwnd_limited
            || (!models && c->cc.cwnd < c->cc.ssthresh && c->cc.cwnd < 2 * c->flight->out_most),
    };
    if (models)
        tcp_rate_sample(c, &round->rate, &ack);
    c->cc.ops->ack(&c->cc, &ack);
}

void tcp_recovery_ack(struct tcp_conn *c, const struct tcp_ack_round *round) {
    uint32_t lost_before = c->flight->lost_ever;
    uint32_t delivered = round->acked + round->sacked;
    probe_answered(c, round);
    if (was_spurious(c, round))
        undo(c);
    if (c->recovery != TCP_OPEN && seq_le(c->flight->recover, c->snd_una))
        leave(c);
    if (round->ece)
        ecn_reduces(c);
    if (c->sack_ok && delivered > 0)
        rack_detect(c);
    else if (!c->sack_ok)
        reno_detect(c, round);
    bool lost_more = c->flight->lost_ever != lost_before;
    if (c->recovery == TCP_OPEN && lost_more)
        enter(c);
    if (c->recovery == TCP_RECOVERY && !c->cc.ops->models)
        proportional_rate(c, round, lost_more);
    /* RFC 3042: what a duplicate ACK reports lets new data go, and the window stays as it is. */
    else if (delivered > 0 && (round->advanced || c->cc.ops->models))
        tell_controller(c, round);
}

/* The reordering timer (RFC 8985 section 6.3). */
void tcp_recovery_reo_timer(struct tcp_conn *c) {
    struct tcp_ack_round none = {0};
    uint32_t lost_before = c->flight->lost_ever;
    c->xmit_timer = TCP_TIMER_NONE;
    c->xmit_at = TARN_NEVER;
    rack_detect(c);
    if (c->xmit_timer == TCP_TIMER_NONE)
        tcp_timer_xmit(c);
    if (c->flight->lost_ever != lost_before && c->recovery == TCP_OPEN)
        enter(c);
    if (c->recovery == TCP_RECOVERY && !c->cc.ops->models)
        proportional_rate(c, &none, true);
    tcp_conn_dirty(c);
}

/* RFC 6298 section 5, RFC 5681 section 3.1: all that is not SACKed counts as lost, and slow start
 * begins with one segment. */
void tcp_recovery_timeout(struct tcp_conn *c) {
    bool again = c->recovery == TCP_LOSS && c->backoffs > 0;
    c->flight->dupacks = 0;
    c->flight->frto = c->recovery == TCP_OPEN && !c->ts_ok ? TCP_FRTO_WAIT : TCP_FRTO_OFF;
    c->flight->tlp_out = false;
    if (!again)
        remember(c);
    /* The first one SACKed and not acknowledged: the peer has thrown it away. */
    if (c->flight->sent && c->flight->sent->flags & SENT_SACKED)
        tcp_sent_unsack_all(c);
    struct tcp_sent *s = c->flight->sent;
    if (s) {
        /* In order of sequence, also what was lost before. */
        do {
            if (s->flags & SENT_LOST) {
                ring_remove(&s->order);
                ring_push(&c->flight->lost, &s->order);
            }
            mark_lost(c, s);
            s = s->next;
        } while (s != c->flight->sent);
    }
    c->cc.ops->timeout(&c->cc, c->tcp->now, c->snd_nxt - c->snd_una, again);
    c->cc.cwnd = c->mss;
    c->recovery = TCP_LOSS;
    c->flight->recover = c->snd_nxt;
    c->flight->rack_reordering = false;
}
