/* SPDX-License-Identifier: ISC */
/* One timer for each connection, set for the earliest of its deadlines and moved later only when it
 * fires: the retransmission timer moves with every ACK, and the heap does not notice. */
#include "internal.h"

void tcp_timer_update(struct tcp_conn *c) {
    tarn_time at = TARN_MIN(c->xmit_at, c->ack_at);
    at = TARN_MIN(at, c->slow_at);
    if (c->flight && c->flight->pace_wait)
        at = TARN_MIN(at, c->flight->pace_at);
    if (tarn_timer_is_set(&c->timer) && c->timer.at <= at)
        return;
    tarn_timer_set(&c->tcp->timers, &c->timer, at);
}

static tarn_time backed_off(const struct tcp_conn *c) {
    uint64_t us = (uint64_t)c->rto_us << TARN_MIN(c->backoffs, (uint8_t)16);
    return TARN_US(TARN_MIN(us, (uint64_t)TCP_RTO_MAX_US));
}

/* Where the owner waits for an end of it: nothing that was sent is acknowledged for too long. */
static tarn_time user_deadline(const struct tcp_conn *c) {
    uint32_t waited = now_ms(c->tcp) - c->progress_ms;
    uint32_t left = waited < c->user_timeout_ms ? c->user_timeout_ms - waited : 0;
    return tarn_time_after(c->tcp->now, TARN_MS(left));
}

void tcp_timer_xmit(struct tcp_conn *c) {
    bool outstanding = c->snd_una != c->snd_nxt;
    uint8_t before = c->xmit_timer;
    c->xmit_timer = outstanding     ? TCP_TIMER_RTO
                    : has_unsent(c) ? TCP_TIMER_PERSIST
                                    : TCP_TIMER_NONE;
    if (c->xmit_timer == TCP_TIMER_NONE) {
        c->xmit_at = TARN_NEVER;
        return;
    }
    if (c->xmit_timer == TCP_TIMER_PERSIST && before == TCP_TIMER_PERSIST)
        return;
    /* The window let it go: how long the probes of a closed one had come to wait is no matter. */
    if (before == TCP_TIMER_PERSIST)
        c->backoffs = 0;
    uint32_t probe_us;
    tarn_time wait = backed_off(c);
    if (c->xmit_timer == TCP_TIMER_RTO && tcp_probe_timeout(c, &probe_us)) {
        /* RFC 8985 section 7.2: where the timeout would come first, the probe takes its place. */
        c->xmit_timer = TCP_TIMER_PTO;
        wait = TARN_MIN(TARN_US(probe_us), wait);
    }
    c->xmit_at = TARN_MIN(tarn_time_after(c->tcp->now, wait), user_deadline(c));
}

void tcp_timer_slow(struct tcp_conn *c) {
    if (c->state == TARN_TCP_TIME_WAIT || (c->state == TARN_TCP_FIN_WAIT_2 && c->orphan))
        return;
    if (c->keep_idle_s == 0) {
        c->slow_at = TARN_NEVER;
        return;
    }
    uint32_t quiet_ms = now_ms(c->tcp) - c->heard_ms, idle_ms = c->keep_idle_s * 1000u;
    uint32_t wait_ms = c->keep_probes > 0   ? c->keep_interval_s * 1000u
                       : quiet_ms < idle_ms ? idle_ms - quiet_ms
                                            : 0;
    c->slow_at = tarn_time_after(c->tcp->now, TARN_MS(wait_ms));
}

static void timed_out(struct tcp_conn *c) {
    c->tcp->stats.failed_timeout++;
    tcp_send_reset(c);
    tcp_conn_end(c, TARN_IO);
}

static bool user_timeout_over(const struct tcp_conn *c) {
    return now_ms(c->tcp) - c->progress_ms >= c->user_timeout_ms;
}

/* False: the connection is over. */
static bool syn_timeout(struct tcp_conn *c) {
    uint32_t limit_ms = (uint32_t)(c->tcp->config.options.connect_timeout / 1000000);
    if (now_ms(c->tcp) - c->progress_ms >= limit_ms) {
        timed_out(c);
        return false;
    }
    tarn_time left = TARN_MS(limit_ms - (now_ms(c->tcp) - c->progress_ms));
    tcp_fast_open_forget(c);
    c->backoffs = (uint8_t)TARN_MIN(c->backoffs + 1, 16);
    c->timeouts++;
    c->tcp->stats.timeouts++;
    c->syn_due = true;
    c->xmit_at = tarn_time_after(c->tcp->now, TARN_MIN(backed_off(c), left));
    tcp_conn_dirty(c);
    return true;
}

static bool retransmission_timeout(struct tcp_conn *c) {
    if (user_timeout_over(c)) {
        timed_out(c);
        return false;
    }
    c->tcp->stats.timeouts++;
    c->timeouts = (uint8_t)TARN_MIN(c->timeouts + 1, 255);
    bool smaller = tcp_mtu_timeout(c);
    tcp_recovery_timeout(c);
    /* What was too large was no congestion, and is not waited for any longer. */
    c->backoffs = (uint8_t)(smaller ? 1 : TARN_MIN(c->backoffs + 1, 16));
    tcp_timer_xmit(c);
    tcp_conn_dirty(c);
    return true;
}

/* RFC 9293 section 3.8.6.1. A peer that answers keeps its connection, unless nobody wants it any
 * more here; what fits in a small window goes (the override of section 3.8.6.2.1). */
static bool persist(struct tcp_conn *c) {
    bool answers = now_ms(c->tcp) - c->heard_ms < c->user_timeout_ms;
    if (user_timeout_over(c) && (c->orphan || !answers)) {
        timed_out(c);
        return false;
    }
    c->backoffs = (uint8_t)TARN_MIN(c->backoffs + 1, 16);
    c->xmit_timer = TCP_TIMER_NONE;
    if (!tcp_send_new(c, true)) {
        c->probe_due = true;
        c->xmit_timer = TCP_TIMER_PERSIST;
        c->xmit_at = tarn_time_after(c->tcp->now, backed_off(c));
        tcp_conn_dirty(c);
    }
    return true;
}

/* RFC 7413: the SYN-ACK goes out again, and what was sent behind it. */
static bool fast_open_timeout(struct tcp_conn *c) {
    if (c->backoffs >= TCP_SYN_ACK_TRIES_MAX) {
        timed_out(c);
        return false;
    }
    c->syn_due = true;
    if (c->flight)
        return retransmission_timeout(c);
    c->backoffs++;
    c->tcp->stats.timeouts++;
    c->xmit_at = tarn_time_after(c->tcp->now, backed_off(c));
    tcp_conn_dirty(c);
    return true;
}

static bool xmit_fires(struct tcp_conn *c) {
    if (c->state == TARN_TCP_SYN_SENT || c->state == TARN_TCP_SYN_RECEIVED)
        return syn_timeout(c);
    if (c->fast_open)
        return fast_open_timeout(c);
    switch (c->xmit_timer) {
    case TCP_TIMER_RTO: return retransmission_timeout(c);
    case TCP_TIMER_PTO: tcp_recovery_probe(c); return true;
    case TCP_TIMER_REO: tcp_recovery_reo_timer(c); return true;
    case TCP_TIMER_PERSIST: return persist(c);
    default: c->xmit_at = TARN_NEVER; return true;
    }
}

static bool slow_fires(struct tcp_conn *c) {
    c->slow_at = TARN_NEVER;
    if (c->state == TARN_TCP_TIME_WAIT || (c->state == TARN_TCP_FIN_WAIT_2 && c->orphan)) {
        tcp_conn_end(c, TARN_EOF);
        return false;
    }
    if (c->keep_idle_s == 0)
        return true;
    if (now_ms(c->tcp) - c->heard_ms < c->keep_idle_s * 1000u) {
        tcp_timer_slow(c);
        return true;
    }
    if (c->keep_probes >= c->keep_probes_max) {
        timed_out(c);
        return false;
    }
    /* Data in flight is probe enough. */
    if (c->snd_una == c->snd_nxt) {
        c->keep_probes++;
        c->probe_due = true;
        tcp_conn_dirty(c);
    }
    c->slow_at = tarn_time_after(c->tcp->now, TARN_SEC(c->keep_interval_s));
    return true;
}

void tcp_timer_fire(struct tcp_conn *c) {
    tarn_time now = c->tcp->now;
    if (c->ack_at <= now) {
        c->ack_at = TARN_NEVER;
        c->ack_now = true;
        tcp_conn_dirty(c);
    }
    if (c->flight && c->flight->pace_wait && c->flight->pace_at <= now) {
        c->flight->pace_wait = false;
        tcp_conn_dirty(c);
    }
    if (c->xmit_at <= now && !xmit_fires(c))
        return;
    if (c->slow_at <= now && !slow_fires(c))
        return;
    tcp_timer_update(c);
}
