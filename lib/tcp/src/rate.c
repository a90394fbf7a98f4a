/* SPDX-License-Identifier: ISC */
/* How fast data is delivered (draft-ietf-ccwg-bbr section 4.1), and how fast it is sent. Each
 * transmission notes what had been delivered by then; its acknowledgement tells at what rate the
 * rest was. A paced connection sends a quantum, and then waits for as long as that takes at its
 * rate. */
#include "internal.h"

#define QUANTUM_MS 1u

/* Before `s` counts as in flight. */
void tcp_rate_sent(struct tcp_conn *c, struct tcp_sent *s) {
    struct tcp_flight *f = c->flight;
    uint32_t in_flight = tcp_in_flight(c);
    if (in_flight == 0)
        f->first_sent_us = f->delivered_us = now_us(c->tcp);
    s->delivered = f->delivered;
    s->delivered_us = f->delivered_us;
    s->first_sent_us = f->first_sent_us;
    s->lost_before = f->lost_ever;
    s->tx_in_flight = in_flight + sent_space(s);
    s->flags = (uint8_t)(s->flags & ~SENT_APP_LIMITED);
    if (f->app_limited)
        s->flags |= SENT_APP_LIMITED;
}

void tcp_rate_delivered(struct tcp_conn *c, const struct tcp_sent *s, uint32_t bytes,
                        struct tcp_ack_round *round) {
    struct tcp_flight *f = c->flight;
    struct tcp_rate *r = &round->rate;
    f->delivered += bytes;
    f->delivered_us = now_us(c->tcp);
    bool newest = !r->valid || seq_lt(f->first_sent_us, s->sent_us)
                  || (f->first_sent_us == s->sent_us && seq_lt(r->end, sent_end(s)));
    if (!newest)
        return;
    *r = (struct tcp_rate){
        .valid = true,
        .app_limited = (s->flags & SENT_APP_LIMITED) != 0,
        .prior_delivered = s->delivered,
        .send_us = s->sent_us - s->first_sent_us,
        .ack_us = f->delivered_us - s->delivered_us,
        .end = sent_end(s),
        .tx_in_flight = s->tx_in_flight,
        .lost_before = s->lost_before,
    };
    f->first_sent_us = s->sent_us;
}

void tcp_rate_sample(struct tcp_conn *c, const struct tcp_rate *r, struct tarn_tcp_cc_ack *ack) {
    struct tcp_flight *f = c->flight;
    if (f->app_limited && seq_lt(f->app_limited_until, f->delivered))
        f->app_limited = false;
    ack->delivered = f->delivered;
    ack->has_sample = r->valid;
    if (!r->valid)
        return;
    ack->app_limited = r->app_limited;
    ack->prior_delivered = r->prior_delivered;
    ack->tx_in_flight_bytes = r->tx_in_flight;
    ack->sample_lost_bytes = f->lost_ever - r->lost_before;
    /* A rate over less than a round trip is no rate: a needless retransmission was acknowledged. */
    uint32_t interval_us = TARN_MAX(r->send_us, r->ack_us);
    if (interval_us == 0 || interval_us < c->rtt_min_us)
        return;
    uint64_t rate = (uint64_t)(f->delivered - r->prior_delivered) * 1000000 / interval_us;
    ack->rate = (uint32_t)TARN_MIN(rate, (uint64_t)UINT32_MAX);
}

void tcp_rate_ran_out(struct tcp_conn *c) {
    struct tcp_flight *f = c->flight;
    f->app_limited = true;
    f->app_limited_until = f->delivered + tcp_in_flight(c);
}

/* -- pacing -- */

/* The controller's, or where it has none and it is wished, so that a window goes out in half of a
 * round trip while it doubles, and then in five sixths. */
uint32_t tcp_pacing_rate(const struct tcp_conn *c) {
    if (c->cc.pacing_rate)
        return c->cc.pacing_rate;
    if (!c->tcp->config.options.pacing || c->srtt_us == 0)
        return 0;
    uint64_t rate = (uint64_t)c->cc.cwnd * 1000000 / c->srtt_us;
    rate = c->cc.cwnd < c->cc.ssthresh ? rate * 2 : rate * 6 / 5;
    return (uint32_t)TARN_MIN(TARN_MAX(rate, (uint64_t)1), (uint64_t)UINT32_MAX);
}

/* How much may go out at once (draft-ietf-ccwg-bbr section 5.6.3). */
uint32_t tcp_pacing_quantum(const struct tcp_conn *c) {
    uint32_t rate = tcp_pacing_rate(c);
    return rate ? TARN_MAX(rate / (1000 / QUANTUM_MS), 2u * c->mss) : UINT32_MAX;
}

bool tcp_pacing_holds(struct tcp_conn *c) {
    struct tcp_flight *f = c->flight;
    if (!f || f->pace_at <= c->tcp->now || tcp_pacing_rate(c) == 0)
        return false;
    f->pace_wait = true;
    return true;
}

/* A timer that was late is made up for, by no more than one quantum. */
void tcp_pacing_sent(struct tcp_conn *c, uint32_t bytes) {
    uint32_t rate = tcp_pacing_rate(c);
    if (rate == 0)
        return;
    tarn_time now = c->tcp->now, credit = TARN_MS(QUANTUM_MS);
    tarn_time from = TARN_MAX(c->flight->pace_at, now > credit ? now - credit : 0);
    c->flight->pace_at = tarn_time_after(from, (tarn_time)bytes * TARN_SEC(1) / rate);
}
