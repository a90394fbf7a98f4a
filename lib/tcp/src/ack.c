/* SPDX-License-Identifier: ISC */
/* What an ACK says about what we sent. */
#include "internal.h"

#define CLOCK_GRANULARITY_US 1000u

/* RFC 6298 section 2. */
void tcp_rtt_sample(struct tcp_conn *c, uint32_t rtt_us) {
    rtt_us = TARN_MIN(rtt_us, TCP_RTO_MAX_US);
    if (c->srtt_us == 0) {
        c->srtt_us = rtt_us;
        c->rttvar_us = rtt_us / 2;
    } else {
        uint32_t diff = c->srtt_us > rtt_us ? c->srtt_us - rtt_us : rtt_us - c->srtt_us;
        c->rttvar_us = c->rttvar_us - c->rttvar_us / 4 + diff / 4;
        c->srtt_us = c->srtt_us - c->srtt_us / 8 + rtt_us / 8;
    }
    c->srtt_us = TARN_MAX(c->srtt_us, 1u);
    c->rtt_min_us = TARN_MIN(c->rtt_min_us, rtt_us);
    uint32_t rto_min = (uint32_t)(c->tcp->config.options.rto_min / 1000);
    /* The minimum bounds the variance's part, so that a long path has as much slack as a short one.
     */
    uint32_t slack = TARN_MAX(4 * c->rttvar_us, CLOCK_GRANULARITY_US);
    slack = TARN_MAX(slack, rto_min);
    c->rto_us = TARN_MIN(c->srtt_us + slack, TCP_RTO_MAX_US);
}

static bool update_window(struct tcp_conn *c, const struct tcp_segment *seg) {
    uint32_t wnd = (uint32_t)seg->wnd << c->snd_wscale;
    /* SND.WL2 is snd_una: an ACK that was overtaken says nothing of the window any more. */
    if (seq_lt(seg->ack, c->snd_una))
        return false;
    /* Of two with the same numbers, the one with less may be the older. But a closed window is
     * believed: what went into it would be thrown away. If it is old, the answer to a probe opens
     * it. */
    bool newer = seq_lt(c->snd_una, seg->ack) || seq_lt(c->snd_wl1, seg->seq)
                 || (c->snd_wl1 == seg->seq && (wnd > c->snd_wnd || wnd == 0));
    if (!newer)
        return false;
    bool changed = wnd != c->snd_wnd;
    c->snd_wl1 = seg->seq;
    c->snd_wnd = wnd;
    c->snd_wnd_max = TARN_MAX(c->snd_wnd_max, wnd);
    return changed;
}

/* RFC 5961 section 5.2, and RFC 9293's answer to what was never sent. A late ACK is older than the
 * last by no more than a window, and by no more than there is. */
static bool ack_is_acceptable(struct tcp_conn *c, uint32_t ack) {
    uint64_t acked = c->bytes_acked + (c->fin_sent && all_is_acked(c) ? 1 : 0);
    uint32_t late = (uint32_t)TARN_MIN(acked, (uint64_t)c->snd_wnd_max);
    if (seq_le(c->snd_una - late, ack) && seq_le(ack, c->snd_nxt))
        return true;
    c->tcp->stats.drop_bad_ack++;
    tcp_challenge_ack(c);
    return false;
}

static void una_advances(struct tcp_conn *c, const struct tcp_segment *seg,
                         struct tcp_ack_round *round) {
    uint32_t payload = tcp_sent_acked(c, seg, round);
    c->snd_una = seg->ack;
    tcp_queue_acked(c, payload);
    c->bytes_acked += payload;
    c->progress_ms = now_ms(c->tcp);
    c->backoffs = 0;
    c->more = false;
    round->advanced = true;
}

/* Once for a quarter of the buffer, but for less where there is nothing else left to send. */
static void wake_writer(struct tcp_conn *c) {
    uint32_t max = tcp_snd_buf_max(c), room = tcp_queue_room(c);
    bool worth = room >= max / 4 || (!has_unsent(c) && room >= 2u * c->mss);
    if (!c->want_write || c->starved || !worth)
        return;
    c->want_write = false;
    tcp_conn_event(c, TARN_FLOW_WRITABLE);
}

bool tcp_ack_input(struct tcp_conn *c, const struct tcp_segment *seg) {
    if (!ack_is_acceptable(c, seg->ack))
        return false;
    struct tcp_ack_round round = {
        .in_flight_before = tcp_in_flight(c),
        .has_ts = c->ts_ok && seg->opt.has_ts,
        .tsecr = seg->opt.tsecr,
    };
    bool outstanding = c->snd_una != c->snd_nxt, was_closed = c->snd_wnd == 0;
    bool window_changed = update_window(c, seg);
    if (seq_lt(c->snd_una, seg->ack))
        una_advances(c, seg, &round);
    if (c->sack_ok && c->flight)
        tcp_sent_sack(c, seg, &round);
    round.ece = tcp_ecn_reports(c, seg, round.acked + round.sacked);
    /* RFC 5681 section 2: what counts as a duplicate. */
    round.duplicate = !round.advanced && outstanding && !window_changed && seg->len == 0
                      && seg->ack == c->snd_una && !(seg->flags & TCP_FIN);
    if (round.karn)
        round.rtt_us = 0;
    if (round.rtt_us)
        tcp_rtt_sample(c, round.rtt_us);
    if (round.advanced) {
        wake_writer(c);
        tcp_timer_xmit(c);
    }
    if (c->flight) {
        tcp_recovery_ack(c, &round);
        tcp_flight_end(c);
    }
    /* What was on its way when the window closed was thrown away again and again: the timer is slow
     * for that alone. */
    if (was_closed && c->snd_wnd > 0 && c->backoffs > 0 && c->xmit_timer == TCP_TIMER_RTO)
        c->xmit_at = c->tcp->now;
    if (has_unsent(c) || tcp_sent_first_lost(c))
        tcp_conn_dirty(c);
    tcp_count_wait(c);
    return true;
}
