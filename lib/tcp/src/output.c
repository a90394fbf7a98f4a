/* SPDX-License-Identifier: ISC */
/* What goes out, and when: RFC 9293 sections 3.7.4 (Nagle) and 3.8.6 (windows). */
#include "internal.h"

#define ECT_0 2u /* RFC 3168 section 5 */

static void acknowledged(struct tcp_conn *c) {
    c->rcv_acked = c->rcv_nxt;
    c->ack_now = false;
    c->ack_at = TARN_NEVER;
    c->dupacks_due = 0;
}

static void fill_header(struct tcp_conn *c, struct tcp_header *h, uint32_t seq, uint8_t flags) {
    *h = (struct tcp_header){
        .local = c->local,
        .remote = c->remote,
        .local_port = c->local_port,
        .remote_port = c->remote_port,
        .seq = seq,
        .ack = c->rcv_nxt,
        .flags = flags,
        .opt = {.has_ts = c->ts_ok, .tsval = now_ms(c->tcp) + c->ts_offset, .tsecr = c->ts_recent},
    };
    if (!(flags & TCP_SYN)) {
        tcp_ecn_header(c, h);
        uint32_t unit = (1u << c->rcv_wscale) - 1;
        uint32_t wnd = (tcp_receive_window(c) + unit) >> c->rcv_wscale;
        h->wnd = (uint16_t)TARN_MIN(wnd, 65535u);
        c->rcv_adv = seq_max(c->rcv_adv, c->rcv_nxt + ((uint32_t)h->wnd << c->rcv_wscale));
    } else {
        h->wnd = (uint16_t)TARN_MIN(c->rcv_buf, 65535u);
    }
}

static bool has_sacks(const struct tcp_conn *c) {
    return c->sack_ok && (c->range_count > 0 || c->duplicate.start != c->duplicate.end);
}

/* What is beyond the peer's window is not looked at there, not even for its ACK; and the peer may
 * have taken the window back from behind what was sent. */
static uint32_t acceptable_seq(const struct tcp_conn *c) {
    uint32_t edge = c->snd_una + c->snd_wnd;
    return seq_lt(edge, c->snd_nxt) ? edge : c->snd_nxt;
}

/* RFC 9768 section 3.2.3.2.2: an ACK with the option, and what it acknowledged comes again. Twice,
 * and it is the option that does not pass. */
static void note_option_again(struct tcp_conn *c, const struct tcp_header *h) {
    if (h->opt.has_accecn && c->duplicate.start != c->duplicate.end)
        c->own->option_lost |= ++c->own->option_again >= 2;
}

static bool send_bare(struct tcp_conn *c, uint32_t seq, uint8_t flags) {
    struct tcp_header h;
    fill_header(c, &h, seq, flags);
    /* Only here: a full segment has no room for it, and its size is the same in all of a packet. */
    if (has_sacks(c)) {
        uint8_t most = (uint8_t)((c->ts_ok ? 3 : 4) - (tcp_ecn_option_is_due(c) ? 1 : 0));
        h.opt.sack_count = tcp_receive_sacks(c, h.opt.sack, most);
    }
    tcp_ecn_option(c, &h, TCP_OPTIONS_BYTES_MAX - tcp_options_bytes(&h));
    note_option_again(c, &h);
    struct tarn_pkt *pkt = tcp_segment_new(c->tcp, &h);
    if (!pkt) {
        tcp_conn_dirty(c);
        return false;
    }
    tcp_segment_send(c->tcp, &h, pkt, 0, 0);
    tcp_count_out(c, 0, false);
    acknowledged(c);
    c->duplicate = (struct tcp_sack_block){0};
    return true;
}

void tcp_send_reset(struct tcp_conn *c) {
    struct tcp_header h;
    if (c->state == TARN_TCP_SYN_SENT || c->state == TARN_TCP_CLOSED
        || c->state == TARN_TCP_TIME_WAIT)
        return;
    fill_header(c, &h, c->snd_nxt, TCP_RST | TCP_ACK);
    struct tarn_pkt *pkt = tcp_segment_new(c->tcp, &h);
    if (!pkt)
        return;
    c->tcp->stats.resets_out++;
    tcp_segment_send(c->tcp, &h, pkt, 0, 0);
}

/* SYN, or SYN and ACK where both have opened at once. */
static void send_syn(struct tcp_conn *c) {
    struct tarn_tcp *tcp = c->tcp;
    const struct tarn_tcp_options *o = &tcp->config.options;
    bool answer = c->state == TARN_TCP_SYN_RECEIVED || c->fast_open;
    struct tcp_header h;
    fill_header(c, &h, c->fast_open ? c->snd_una - 1 : c->snd_una,
                (uint8_t)(TCP_SYN | (answer ? TCP_ACK : 0)));
    uint8_t ecn = answer ? TARN_TCP_ECN_OFF : tcp_ecn_asks(c);
    if (ecn != TARN_TCP_ECN_OFF)
        tcp_ace_put(&h, ecn == TARN_TCP_ECN_ASK ? 3 : 7);
    if (c->fast_open && c->ecn_ok)
        tcp_ace_put(&h, 1);
    h.opt.mss = (uint16_t)TARN_MIN(tcp_mss_for_mtu(c->path_mtu, &c->remote), tcp_mss_max(c));
    h.opt.sack_ok = answer ? c->sack_ok : !o->no_sack;
    h.opt.has_ts = answer ? c->ts_ok : !o->no_timestamps;
    h.opt.has_wscale = answer ? c->wscale_ok : !o->no_window_scale;
    h.opt.wscale = tcp_wscale_for(tcp->config.limits.rcv_buf_bytes_max);
    uint32_t data = answer ? 0 : tcp_fast_open_syn(c, &h.opt);
    struct tarn_pkt *pkt = tcp_segment_new(tcp, &h);
    if (!pkt) {
        tcp_conn_dirty(c);
        return;
    }
    c->syn_due = false;
    if (data)
        c->syn_data = (uint16_t)tcp_queue_attach(tcp_piece_first(c), 0, data, pkt);
    tcp_segment_send(tcp, &h, pkt, 0, 0);
    tcp_count_out(c, c->syn_data, false);
    if (answer)
        acknowledged(c);
    c->xmit_timer = TCP_TIMER_RTO;
    c->xmit_at = tarn_time_after(tcp->now, TARN_US(c->rto_us) << c->backoffs);
}

/* -- data
 * ------------------------------------------------------------------------------------------ */

static uint32_t gso_bytes(const struct tcp_conn *c) {
    uint32_t max = c->features_tso ? TCP_GSO_BYTES_MAX : TCP_GSO_SOFTWARE_BYTES_MAX;
    if (c->accecn && c->ace_in & 2)
        max = c->mss; /* whoever cuts takes CWR off all pieces but the first */
    max = TARN_MIN(max, tcp_pacing_quantum(c));
    return TARN_MAX(max - max % c->mss, (uint32_t)c->mss);
}

/* An owner that answers what came within an ACK's delay will do so again, and its answers carry the
 * ACKs. */
static bool answers_at_once(const struct tcp_conn *c) {
    return c->bytes_received > 0
           && TARN_MS(now_ms(c->tcp) - c->heard_ms) < c->tcp->config.options.ack_delay;
}

/* A packet of `s`; how many of its bytes are in it: fewer, by whole segments, where there are too
 * many small pieces. 0: there was no packet. */
static uint32_t send_record(struct tcp_conn *c, const struct tcp_sent *s, uint32_t len) {
    struct tcp_header h;
    bool again = s->flags & SENT_RETRANSMITTED;
    fill_header(c, &h, s->node.seq, TCP_ACK);
    if (!again && len + 12 <= c->mss)
        tcp_ecn_option(c, &h, 12);
    struct tarn_pkt *pkt = tcp_segment_new(c->tcp, &h);
    if (!pkt) {
        tcp_conn_dirty(c);
        return UINT32_MAX;
    }
    uint32_t header = pkt->len;
    uint32_t done = tcp_queue_attach(s->piece, s->off, len, pkt);
    if (done < len && done > c->mss)
        done -= done % c->mss;
    tarn_pkt_trim(pkt, header + done);
    if (done == s->len && s->flags & SENT_FIN)
        h.flags |= TCP_FIN;
    /* What ends a write, and what leaves as many segments: the peer need not wait for more. */
    bool ends =
        s->node.seq + done == c->snd_end && (!c->more_written || c->xmit_timer == TCP_TIMER_NONE);
    if (done > 0 && (ends || (done > c->mss && !again && !c->more_written)))
        h.flags |= TCP_PSH;
    if (c->cwr_due && !again && done > 0) {
        h.flags |= TCP_CWR;
        c->cwr_due = false;
    }
    uint32_t gso_size = s->flags & SENT_MTU_PROBE ? 0 : c->mss;
    tcp_segment_send(c->tcp, &h, pkt, gso_size, c->ecn_ok && !again && done > 0 ? ECT_0 : 0);
    tcp_count_out(c, done, again);
    acknowledged(c);
    c->sent_ms = now_ms(c->tcp);
    if (done > 0 && !again && answers_at_once(c))
        c->quick_acks = 0;
    tcp_pacing_sent(c, done);
    if (c->recovery == TCP_RECOVERY)
        c->flight->prr_out += done;
    return done;
}

bool tcp_retransmit(struct tcp_conn *c, struct tcp_sent *s, uint32_t len_max) {
    len_max = TARN_MAX(len_max, (uint32_t)c->mss);
    len_max = TARN_MIN(len_max, gso_bytes(c));
    uint32_t len = TARN_MIN(s->len, len_max);
    if (len < s->len && len > c->mss)
        len -= len % c->mss;
    if (len < s->len)
        (void)tcp_sent_split(c, s, len);
    bool before = s->flags & SENT_RETRANSMITTED;
    s->flags |= SENT_RETRANSMITTED;
    uint32_t done = send_record(c, s, TARN_MIN(len, s->len));
    if (done == UINT32_MAX) {
        s->flags &= (uint8_t)(before ? UINT8_MAX : ~SENT_RETRANSMITTED);
        return false;
    }
    struct tcp_sent *rest = done > 0 && done < s->len ? tcp_sent_split(c, s, done) : NULL;
    if (rest && !before)
        rest->flags &= (uint8_t)~SENT_RETRANSMITTED;
    tcp_sent_transmitted(c, s);
    struct tcp_flight *f = c->flight;
    f->undo_segments += (s->len + c->mss - 1) / c->mss;
    if (!f->undo_ts_valid) {
        f->undo_ts_valid = true;
        f->undo_ts = now_ms(c->tcp) + c->ts_offset;
    }
    c->retransmits++;
    c->tcp->stats.retransmits++;
    return true;
}

/* Minshall's form of Nagle's rule: one small segment may be in flight; none where more is to come.
 */
static bool nagle_allows(const struct tcp_conn *c) {
    if ((c->cork || c->more) && !c->push && !c->fin_queued)
        return false;
    return c->nodelay || c->fin_queued || seq_le(c->snd_small, c->snd_una);
}

/* How many bytes of new data may go now. `force`: a timer wants one segment out. */
static uint32_t sendable(struct tcp_conn *c, uint32_t avail, uint32_t window, bool force) {
    uint32_t budget = force ? c->mss : tcp_send_budget(c);
    uint32_t len = TARN_MIN(avail, window);
    len = TARN_MIN(len, gso_bytes(c));
    if (budget < len) {
        c->cwnd_limited = true;
        if (budget < c->mss)
            return 0;
        len = budget;
    }
    if (len >= c->mss && (len < avail || !nagle_allows(c) || len > gso_bytes(c)))
        len -= len % c->mss; /* the small rest waits, or comes with what is written next */
    if (len >= c->mss || force || len == 0)
        return len;
    if (len == avail && nagle_allows(c))
        return len;
    /* A window that opens in small steps (RFC 9293 section 3.8.6.2.1). */
    return len < avail && len >= c->snd_wnd_max / 2 ? len : 0;
}

static void record_sent(struct tcp_conn *c, struct tcp_sent *s) {
    if (c->snd_una == c->snd_nxt)
        c->progress_ms = now_ms(c->tcp);
    if (s->len % c->mss != 0)
        c->snd_small = s->node.seq + s->len;
    tcp_queue_advance(&c->piece_nxt, &c->piece_nxt_off, s->len);
    tcp_rate_sent(c, s);
    c->snd_nxt = sent_end(s);
    if (seq_le(c->snd_end, c->snd_nxt))
        c->piece_nxt = NULL; /* the ring would go on at its start */
    if (s->flags & SENT_FIN)
        c->fin_sent = true;
}

bool tcp_send_new(struct tcp_conn *c, bool force) {
    if (c->fin_sent)
        return false;
    uint32_t avail = c->snd_end - c->snd_nxt;
    uint32_t edge = c->snd_una + c->snd_wnd;
    uint32_t window = seq_lt(c->snd_nxt, edge) ? edge - c->snd_nxt : 0;
    uint32_t len = sendable(c, avail, window, force);
    /* The end takes no place in the congestion window. */
    bool fin = c->fin_queued && len == avail && window > len;
    if (len == 0 && !fin)
        return false;
    tcp_flight_begin(c);
    struct tcp_sent *s = tcp_sent_new(c, c->snd_nxt, len, fin ? SENT_FIN : 0);
    if (!s) {
        tcp_flight_end(c);
        if (c->snd_una == c->snd_nxt) {
            c->tcp->hold_until = tarn_time_after(c->tcp->now, TARN_MS(10));
            tcp_conn_dirty(c);
        }
        return false;
    }
    uint32_t done = send_record(c, s, len);
    if (done == UINT32_MAX) {
        tcp_sent_free(c, s);
        tcp_flight_end(c);
        return false;
    }
    if (done < len) {
        s->len = done;
        s->flags &= (uint8_t)~SENT_FIN;
    }
    record_sent(c, s);
    if (c->xmit_timer == TCP_TIMER_NONE || c->xmit_timer == TCP_TIMER_PERSIST)
        tcp_timer_xmit(c);
    return true;
}

bool tcp_send_probe(struct tcp_conn *c, uint32_t len) {
    tcp_flight_begin(c);
    struct tcp_sent *s = tcp_sent_new(c, c->snd_nxt, len, SENT_MTU_PROBE);
    uint32_t done = s ? send_record(c, s, len) : UINT32_MAX;
    if (done == UINT32_MAX) {
        if (s)
            tcp_sent_free(c, s);
        tcp_flight_end(c);
        return false;
    }
    s->mss = (uint16_t)len;
    if (done < len) { /* too many small pieces for one packet */
        s->flags &= (uint8_t)~SENT_MTU_PROBE;
        s->mss = c->mss;
        s->len = done;
    }
    record_sent(c, s);
    if (c->xmit_timer == TCP_TIMER_NONE || c->xmit_timer == TCP_TIMER_PERSIST)
        tcp_timer_xmit(c);
    return done == len;
}

/* RFC 5681 section 4.1: a window that was not used for a whole timeout is not believed any more. A
 * model of the path outlives it, and paces what is sent. */
static void restart_after_idle(struct tcp_conn *c) {
    uint32_t idle_ms = now_ms(c->tcp) - c->sent_ms;
    if (c->snd_una != c->snd_nxt || !has_unsent(c))
        return;
    if (c->cc.ops->models) {
        c->cc.ops->idle(&c->cc, c->tcp->now, TARN_MS(idle_ms));
        return;
    }
    if (idle_ms <= c->rto_us / 1000)
        return;
    uint32_t initial = c->tcp->config.options.initial_cwnd_segments * c->mss;
    c->cc.cwnd = TARN_MIN(c->cc.cwnd, initial);
    c->cc.ops->idle(&c->cc, c->tcp->now, TARN_MS(idle_ms));
}

/* Two new segments in place of what is thought lost, and nothing more until they are answered (RFC
 * 5682 section 2.1, step 2b). True: that is so. */
static bool frto_sends(struct tcp_conn *c) {
    struct tcp_flight *f = c->flight;
    if (!f || f->frto < TCP_FRTO_SEND)
        return false;
    if (f->frto == TCP_FRTO_SEND) {
        f->frto_end = c->snd_nxt;
        f->frto = tcp_send_new(c, true) ? TCP_FRTO_SENT : TCP_FRTO_OFF;
        if (f->frto == TCP_FRTO_SENT)
            (void)tcp_send_new(c, true);
    }
    return f->frto == TCP_FRTO_SENT;
}

/* How much of the congestion window is used: the most that is out in a round trip. */
static void note_use(struct tcp_conn *c) {
    struct tcp_flight *f = c->flight;
    uint32_t out = c->snd_nxt - c->snd_una;
    if (f && (out > f->out_most || seq_le(f->out_round, c->snd_una))) {
        f->out_most = out;
        f->out_round = c->snd_nxt;
    }
}

static void send_data(struct tcp_conn *c) {
    uint32_t budget;
    struct tcp_sent *lost;
    restart_after_idle(c);
    c->cwnd_limited = false;
    if (frto_sends(c))
        return;
    while ((lost = tcp_sent_first_lost(c)) && !tcp_pacing_holds(c)
           && ((budget = tcp_send_budget(c)) >= c->mss || tcp_in_flight(c) == 0))
        if (!tcp_retransmit(c, lost, budget))
            return;
    if (lost && tcp_send_budget(c) < c->mss)
        c->cwnd_limited = true;
    bool wait = lost || tcp_mtu_probe(c);
    while (!wait && !tcp_pacing_holds(c) && tcp_send_new(c, false))
        continue;
    note_use(c);
    if (c->flight && !lost && !c->flight->pace_wait && seq_le(c->snd_end, c->snd_nxt)
        && tcp_send_budget(c) > 0)
        tcp_rate_ran_out(c);
    /* Nothing in flight will bring an ACK, and there is something that the window forbids. */
    if (c->xmit_timer == TCP_TIMER_NONE)
        tcp_timer_xmit(c);
}

static bool may_send_data(const struct tcp_conn *c) {
    switch (c->state) {
    case TARN_TCP_ESTABLISHED:
    case TARN_TCP_CLOSE_WAIT:
    case TARN_TCP_FIN_WAIT_1:
    case TARN_TCP_CLOSING:
    case TARN_TCP_LAST_ACK: return true;
    default: return false;
    }
}

void tcp_output(struct tcp_conn *c) {
    if (c->state == TARN_TCP_CLOSED)
        return;
    if (c->syn_due)
        send_syn(c);
    if (c->state == TARN_TCP_SYN_SENT) {
        tcp_timer_update(c);
        return;
    }
    /* What duplicate ACKs are due go out before data that would carry one. */
    while (c->ack_now && c->dupacks_due > 1) {
        uint8_t due = (uint8_t)(c->dupacks_due - 1);
        if (!send_bare(c, acceptable_seq(c), TCP_ACK))
            return;
        c->dupacks_due = due;
        c->ack_now = true;
    }
    if (c->ack_now && has_sacks(c) && !send_bare(c, acceptable_seq(c), TCP_ACK))
        return;
    if (may_send_data(c))
        send_data(c);
    c->push = false;
    if (c->probe_due) {
        /* What is acknowledged already, so that the peer must answer (RFC 9293 section 3.8.4). */
        c->probe_due = !send_bare(c, c->snd_una - 1, TCP_ACK);
    }
    if (c->ack_now)
        (void)send_bare(c, acceptable_seq(c), TCP_ACK);
    tcp_count_wait(c);
    tcp_timer_update(c);
}
