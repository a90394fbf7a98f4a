/* SPDX-License-Identifier: ISC */
/* A segment for a connection: RFC 9293 section 3.10.7, with RFC 5961's defences and RFC 7323's
 * PAWS. */
#include "internal.h"

#define CHALLENGE_ACKS_PER_SECOND 100u       /* of the whole stack (RFC 5961 section 7) */
#define ASTRAY_ANSWER_MS 500u                /* of a connection */
#define PAWS_MS_MAX (24u * 24 * 3600 * 1000) /* RFC 7323 section 5.5 */

bool tcp_may_challenge(struct tarn_tcp *tcp) {
    if (tcp->now >= tarn_time_after(tcp->challenge_from, TARN_SEC(1)) || tcp->challenge_from == 0) {
        tcp->challenge_from = TARN_MAX(tcp->now, (tarn_time)1);
        /* Half of it at random: the count must not tell a stranger anything (CVE-2016-5696). */
        tcp->challenge_left = CHALLENGE_ACKS_PER_SECOND / 2
                              + tarn_random_below(tcp->config.random, CHALLENGE_ACKS_PER_SECOND);
    }
    if (tcp->challenge_left == 0) {
        tcp->stats.challenge_acks_throttled++;
        return false;
    }
    tcp->challenge_left--;
    tcp->stats.challenge_acks++;
    return true;
}

void tcp_challenge_ack(struct tcp_conn *c) {
    if (!tcp_may_challenge(c->tcp))
        return;
    c->ack_now = true;
    tcp_conn_dirty(c);
}

static void reset_received(struct tcp_conn *c) {
    bool refused = c->state == TARN_TCP_SYN_SENT;
    if (refused)
        c->tcp->stats.failed_refused++;
    else
        c->tcp->stats.failed_reset++;
    tcp_conn_end(c, c->state == TARN_TCP_TIME_WAIT ? TARN_EOF : TARN_PEER);
}

static void dispatch(struct tcp_conn *c, struct tcp_segment *seg);

/* -- SYN-SENT (section 3.10.7.3) -- */

static void syn_sent_input(struct tcp_conn *c, struct tcp_segment *seg) {
    struct tarn_tcp *tcp = c->tcp;
    bool ack = seg->flags & TCP_ACK;
    if (ack && seg->ack - c->snd_nxt > c->syn_data) {
        tcp->stats.drop_bad_ack++;
        tcp_reset_answer(tcp, seg);
        return;
    }
    if (seg->flags & TCP_RST) {
        if (ack)
            reset_received(c);
        else
            tcp->stats.drop_bad_reset++;
        return;
    }
    if (!(seg->flags & TCP_SYN)) {
        tcp->stats.drop_flags++;
        return;
    }
    c->rcv_nxt = c->rcv_acked = seg->seq + 1;
    c->rcv_adv = c->rcv_nxt + TARN_MIN(c->rcv_buf, 65535u);
    c->snd_wnd = c->snd_wnd_max =
        seg->wnd; /* a SYN's window is not scaled (RFC 7323 section 2.2) */
    c->snd_wl1 = seg->seq;
    tcp_conn_negotiate(c, &seg->opt);
    if (!ack) {
        /* Both have opened at once. */
        c->state = TARN_TCP_SYN_RECEIVED;
        c->syn_due = true;
        tcp_conn_dirty(c);
        return;
    }
    tcp_ecn_granted(c, seg);
    tcp_fast_open_learn(c, &seg->opt);
    tcp_fast_open_acked(c, seg->ack - c->snd_nxt);
    c->snd_una = seg->ack;
    if (c->timeouts == 0) { /* the timer was set when the SYN went out */
        uint32_t sent_us = (uint32_t)(c->xmit_at / 1000) - c->rto_us;
        tcp_rtt_sample(c, TARN_MAX(now_us(tcp) - sent_us, 1u));
    }
    tcp_conn_established(c);
    tcp_conn_event(c, TARN_FLOW_CONNECTED | TARN_FLOW_WRITABLE);
    c->ack_now = true;
    tcp_conn_dirty(c);
    seg->seq++;
    seg->flags &= (uint8_t)~TCP_SYN;
    if (segment_space(seg) > 0)
        dispatch(c, seg);
    else
        tcp_timer_update(c);
}

/* -- the checks
 * ------------------------------------------------------------------------------------ */

/* RFC 9293 section 3.10.7.4, table 6, in RFC 5961's wording. */
static bool is_acceptable(const struct tcp_conn *c, const struct tcp_segment *seg) {
    uint32_t wnd = seq_lt(c->rcv_nxt, c->rcv_adv) ? c->rcv_adv - c->rcv_nxt : 0;
    uint32_t space = segment_space(seg);
    uint32_t edge = c->rcv_nxt + wnd;
    if (wnd == 0 && seg->seq == c->rcv_nxt)
        return true; /* for its ACK; the data is cut off */
    /* At the edge, too: who has sent beyond it, before it was taken back, has no better number. */
    if (space == 0)
        return seq_le(c->rcv_nxt, seg->seq) && seq_le(seg->seq, edge);
    return seq_lt(seg->seq, edge) && seq_lt(c->rcv_nxt, seg->seq + space);
}

/* An ACK for what is out of the window. Where it answers an ACK, two ends that are out of step
 * would answer each other for ever: so not more than two in a second. */
static void answer_unacceptable(struct tcp_conn *c, const struct tcp_segment *seg) {
    if (segment_space(seg) == 0) {
        if (now_ms(c->tcp) - c->astray_ms < ASTRAY_ANSWER_MS) {
            c->tcp->stats.challenge_acks_throttled++;
            return;
        }
        c->astray_ms = now_ms(c->tcp);
        tcp_challenge_ack(c);
        return;
    }
    c->ack_now = true;
    tcp_conn_dirty(c);
}

static bool paws_rejects(struct tcp_conn *c, const struct tcp_segment *seg) {
    return c->ts_ok && seg->opt.has_ts && !(seg->flags & TCP_RST)
           && seq_lt(seg->opt.tsval, c->ts_recent) && now_ms(c->tcp) - c->heard_ms < PAWS_MS_MAX;
}

static void reset_input(struct tcp_conn *c, const struct tcp_segment *seg) {
    /* RFC 5961 section 3.2: only the exact number resets; another one in the window is asked about.
     * Some reset behind their FIN with the FIN's own number, and will not answer. */
    if (seg->seq == c->rcv_nxt || (c->fin_received && seg->seq == c->rcv_fin)) {
        reset_received(c);
        return;
    }
    c->tcp->stats.drop_bad_reset++;
    if (is_acceptable(c, seg))
        tcp_challenge_ack(c);
}

/* True: go on. */
static bool passes_checks(struct tcp_conn *c, const struct tcp_segment *seg) {
    struct tarn_tcp *tcp = c->tcp;
    if (!(seg->flags & (TCP_ACK | TCP_RST | TCP_SYN))) {
        tcp->stats.drop_flags++; /* no TCP sends this: not worth an answer */
        return false;
    }
    if (paws_rejects(c, seg)) {
        tcp->stats.drop_paws++;
        answer_unacceptable(c, seg);
        return false;
    }
    if (seg->flags & TCP_RST) {
        reset_input(c, seg);
        return false;
    }
    if (!is_acceptable(c, seg)) {
        tcp->stats.drop_out_of_window++;
        if (seg->len > 0 && seq_le(seg->seq + seg->len, c->rcv_nxt)) {
            tcp->stats.drop_duplicate++;
            c->duplicate = (struct tcp_sack_block){seg->seq, seg->seq + seg->len};
        }
        answer_unacceptable(c, seg);
        return false;
    }
    if (seg->flags & TCP_SYN) {
        tcp->stats.drop_flags++;
        tcp_challenge_ack(c); /* RFC 5961 section 4.2 */
        return false;
    }
    return true;
}

/* RFC 7323 section 4.3: the timestamp of the segment that the next ACK will be about. */
static void take_timestamp(struct tcp_conn *c, const struct tcp_segment *seg) {
    if (!c->ts_ok || !seg->opt.has_ts || seq_lt(c->rcv_acked, seg->seq)
        || seq_lt(seg->opt.tsval, c->ts_recent))
        return;
    c->ts_recent = seg->opt.tsval;
}

/* -- the ACK's consequences for the state -- */

/* False: the connection is over. */
static bool ack_moves_state(struct tcp_conn *c) {
    bool fin_acked = c->fin_sent && c->snd_una == c->snd_end + 1;
    if (!fin_acked)
        return true;
    switch (c->state) {
    case TARN_TCP_FIN_WAIT_1:
        c->state = TARN_TCP_FIN_WAIT_2;
        if (c->orphan)
            c->slow_at = tarn_time_after(c->tcp->now, c->tcp->config.options.fin_wait_2);
        return true;
    case TARN_TCP_CLOSING: tcp_conn_time_wait(c); return true;
    case TARN_TCP_LAST_ACK: tcp_conn_end(c, TARN_EOF); return false;
    default: return true;
    }
}

/* -- data and FIN
 * ---------------------------------------------------------------------------------- */

static void quick_or_delayed_ack(struct tcp_conn *c, const struct tcp_segment *seg, bool in_order) {
    uint32_t unacked = c->rcv_nxt - c->rcv_acked;
    if (!in_order) {
        /* RFC 5681 section 4.2: at once, and one for each segment where the peer has to count. */
        c->ack_now = true;
        if (!c->sack_ok && c->dupacks_due < 8)
            c->dupacks_due++;
    } else if (c->quick_acks > 0) {
        c->quick_acks--;
        c->ack_now = true;
    } else if (unacked >= 2u * c->rcv_mss || seg->len > seg->piece_bytes) {
        c->ack_now = true;
    } else if (c->ack_at == TARN_NEVER) {
        c->ack_at = tarn_time_after(c->tcp->now, c->tcp->config.options.ack_delay);
    }
}

/* Cuts off what is known already, and what is beyond the window. */
static void trim_to_window(struct tcp_conn *c, struct tcp_segment *seg) {
    if (seq_lt(seg->seq, c->rcv_nxt)) {
        uint32_t known = TARN_MIN(c->rcv_nxt - seg->seq, seg->len);
        if (known > 0)
            c->duplicate = (struct tcp_sack_block){seg->seq, seg->seq + known};
        if (tarn_pkt_pull(seg->pkt, known)) {
            seg->seq += known;
            seg->len -= known;
        }
    }
    uint32_t room = seq_lt(seg->seq, c->rcv_adv) ? c->rcv_adv - seg->seq : 0;
    if (seg->len > room) {
        tarn_pkt_trim(seg->pkt, room);
        seg->len = room;
        seg->flags &= (uint8_t)~TCP_FIN;
        c->ack_now = true;
    }
}

/* The owner has closed: nobody will read this. The peer may go on until what was written has
 * arrived, then it is told (RFC 9293 section 3.6.1). False: the connection is over. */
static bool data_after_close(struct tcp_conn *c, const struct tcp_segment *seg) {
    c->tcp->stats.drop_closed++;
    if (seq_le(c->snd_end, c->snd_una)) {
        tcp_reset_answer(c->tcp, seg);
        tcp_conn_end(c, TARN_EOF);
        return false;
    }
    if (seg->seq == c->rcv_nxt)
        c->rcv_nxt += seg->len;
    c->unread_lost = true;
    c->ack_now = true;
    return true;
}

static void fin_reached(struct tcp_conn *c) {
    c->fin_received = true;
    c->rcv_nxt++;
    c->ack_now = true;
    tcp_conn_event(c, TARN_FLOW_READABLE);
    switch (c->state) {
    case TARN_TCP_SYN_RECEIVED:
    case TARN_TCP_ESTABLISHED: c->state = TARN_TCP_CLOSE_WAIT; break;
    case TARN_TCP_FIN_WAIT_1: c->state = TARN_TCP_CLOSING; break;
    case TARN_TCP_FIN_WAIT_2: tcp_conn_time_wait(c); break;
    default: break;
    }
}

/* False: the connection is over. */
static bool data_input(struct tcp_conn *c, struct tcp_segment *seg) {
    uint32_t before = c->rcv_nxt;
    trim_to_window(c, seg);
    if (seg->len > 0) {
        bool in_order = seg->seq == c->rcv_nxt && c->range_count == 0; /* and fills no gap */
        uint32_t piece = TARN_MIN(seg->piece_bytes, 65535u);
        c->rcv_mss = (uint16_t)TARN_MAX(c->rcv_mss, piece);
        if (c->orphan) {
            if (!data_after_close(c, seg))
                return false;
        } else {
            tcp_receive_data(c, seg);
        }
        quick_or_delayed_ack(c, seg, in_order);
    } else if (c->orphan && seq_lt(c->rcv_nxt, seg->seq) && !data_after_close(c, seg)) {
        return false; /* a FIN behind data that is on its way */
    }
    if (seg->flags & TCP_FIN && !c->fin_seen) {
        c->fin_seen = true;
        c->rcv_fin = seg->seq + seg->len;
        if (c->rcv_fin != c->rcv_nxt)
            c->ack_now = true;
    }
    if (c->rcv_nxt != before && c->want_read) {
        c->want_read = false;
        tcp_conn_event(c, TARN_FLOW_READABLE);
    }
    if (c->fin_seen && !c->fin_received && c->rcv_nxt == c->rcv_fin)
        fin_reached(c);
    return true;
}

/* -- TIME-WAIT
 * ------------------------------------------------------------------------------------- */

/* RFC 6191: a SYN that is certainly newer begins anew. */
static bool time_wait_reuse(struct tcp_conn *c, struct tcp_segment *seg) {
    struct tarn_tcp *tcp = c->tcp;
    uint8_t kind = seg->flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN);
    if (c->state != TARN_TCP_TIME_WAIT || kind != TCP_SYN)
        return false;
    bool ts = c->ts_ok && seg->opt.has_ts;
    bool newer = seq_lt(c->rcv_nxt, seg->seq) || (ts && seq_lt(c->ts_recent, seg->opt.tsval));
    struct tcp_listener *l = tcp_listener_find(tcp, &seg->meta->dst, seg->dst_port);
    if (!newer || !l || (ts && seq_lt(seg->opt.tsval, c->ts_recent)))
        return false;
    /* Beyond anything of the last life (RFC 9293 section 3.4.3). */
    uint32_t iss = tcp_isn(tcp, &c->local, c->local_port, &c->remote, c->remote_port);
    iss = seq_max(iss, c->snd_nxt + 65535 + 2);
    tcp->stats.time_wait_reused++;
    tcp_conn_end(c, TARN_EOF);
    tcp_listen_syn(tcp, l, seg, &iss);
    return true;
}

/* All is said: whatever comes is answered by the last ACK, and not by a reset, but for what could
 * be an answer to that. The peer's FIN, sent again, begins the wait anew: our ACK was lost. */
static void time_wait_input(struct tcp_conn *c, const struct tcp_segment *seg) {
    struct tarn_tcp *tcp = c->tcp;
    uint32_t end = seg->seq + segment_space(seg);
    if (seg->flags & TCP_RST) {
        if (seg->seq == c->rcv_nxt)
            reset_received(c);
        else
            tcp->stats.drop_bad_reset++;
        return;
    }
    bool old = paws_rejects(c, seg);
    tcp->stats.drop_paws += old;
    tcp->stats.drop_closed += seg->len > 0;
    if (!old && seg->seq == c->rcv_nxt && end == seg->seq)
        return;
    if (seg->flags & TCP_FIN && end == c->rcv_nxt)
        tcp_conn_time_wait(c);
    if (seg->flags & TCP_SYN)
        tcp_challenge_ack(c);
    else
        answer_unacceptable(c, seg);
}

static void dispatch(struct tcp_conn *c, struct tcp_segment *seg) {
    if (c->state == TARN_TCP_SYN_SENT) {
        syn_sent_input(c, seg);
        return;
    }
    if (time_wait_reuse(c, seg) || tcp_fast_open_again(c, seg))
        return;
    if (c->state == TARN_TCP_TIME_WAIT) {
        time_wait_input(c, seg);
        return;
    }
    if (c->state == TARN_TCP_SYN_RECEIVED && seg->flags == (TCP_SYN | TCP_ACK)
        && seg->seq + 1 == c->rcv_nxt && seg->ack == c->snd_nxt) {
        /* Both have opened at once: its SYN again, for the ACK's sake (RFC 9293 figure 8). */
        seg->seq++;
        seg->flags &= (uint8_t)~TCP_SYN;
        c->ack_now = true;
        tcp_conn_dirty(c);
    }
    if (!passes_checks(c, seg))
        return;
    c->heard_ms = now_ms(c->tcp);
    c->keep_probes = 0;
    tcp_ecn_received(c, seg);
    if (c->state == TARN_TCP_SYN_RECEIVED) {
        if (seg->ack != c->snd_nxt) {
            c->tcp->stats.drop_bad_ack++;
            tcp_reset_answer(c->tcp, seg);
            return;
        }
        tcp_conn_established(c);
        tcp_conn_event(c, TARN_FLOW_CONNECTED | TARN_FLOW_WRITABLE);
        c->snd_una = seg->ack;
        c->snd_wnd = c->snd_wnd_max = (uint32_t)seg->wnd << c->snd_wscale;
        c->snd_wl1 = seg->seq;
    }
    if (c->fast_open && seq_le(c->snd_una, seg->ack)) {
        tcp_fast_open_end(c);
        c->backoffs = 0;
        tcp_timer_xmit(c);
    }
    if (!tcp_ack_input(c, seg))
        return;
    take_timestamp(c, seg);
    if (!ack_moves_state(c))
        return;
    if (c->unread_lost && all_is_acked(c)) {
        tcp_send_reset(c);
        tcp_conn_end(c, TARN_EOF);
        return;
    }
    if (!c->fin_received && (seg->len > 0 || seg->flags & TCP_FIN) && !data_input(c, seg))
        return;
    if (c->ack_now)
        tcp_conn_dirty(c);
    tcp_timer_update(c);
}

void tcp_conn_input(struct tcp_conn *c, struct tcp_segment *seg) {
    if (c->own)
        tcp_count_in(c, seg);
    dispatch(c, seg);
}
