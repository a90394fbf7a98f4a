/* SPDX-License-Identifier: ISC */
/* The standard controller: RFC 5681 with appropriate byte counting (RFC 3465). */
#include <tarn/tcp_cc.h>

enum { ACKED_IN_AVOIDANCE }; /* the words of its state */

static void newreno_undo(struct tarn_tcp_cc *cc) {
    TARN_AT(cc->state.words, ACKED_IN_AVOIDANCE) = 0;
}

static void newreno_init(struct tarn_tcp_cc *cc, uint32_t srtt_us) {
    (void)srtt_us;
    newreno_undo(cc);
}

static void newreno_ack(struct tarn_tcp_cc *cc, const struct tarn_tcp_cc_ack *ack) {
    if (!ack->cwnd_limited)
        return;
    uint32_t acked = ack->acked_bytes;
    if (cc->cwnd < cc->ssthresh) {
        /* An ACK of a whole batch counts for all of it: ACKs come one for each batch here. */
        uint32_t step = TARN_MIN(acked, cc->ssthresh - cc->cwnd);
        cc->cwnd += step;
        acked -= step;
    }
    if (acked == 0)
        return;
    uint32_t *counted = &TARN_AT(cc->state.words, ACKED_IN_AVOIDANCE);
    *counted += acked;
    while (*counted >= cc->cwnd) {
        *counted -= cc->cwnd;
        cc->cwnd += cc->mss;
    }
}

static uint32_t half_of_flight(const struct tarn_tcp_cc *cc, uint32_t flight) {
    uint32_t used = TARN_MIN(cc->cwnd, flight);
    return TARN_MAX(used / 2, 2 * cc->mss);
}

static void newreno_congestion(struct tarn_tcp_cc *cc, tarn_time now, uint32_t flight) {
    (void)now;
    cc->ssthresh = half_of_flight(cc, flight);
    newreno_undo(cc);
}

static void newreno_timeout(struct tarn_tcp_cc *cc, tarn_time now, uint32_t flight, bool again) {
    (void)now;
    if (!again)
        cc->ssthresh = half_of_flight(cc, flight);
    newreno_undo(cc);
}

static void newreno_idle(struct tarn_tcp_cc *cc, tarn_time now, tarn_time idle) {
    (void)cc;
    (void)now;
    (void)idle;
}

const struct tarn_tcp_cc_ops tarn_tcp_cc_newreno = {
    .name = "newreno",
    .init = newreno_init,
    .ack = newreno_ack,
    .congestion = newreno_congestion,
    .timeout = newreno_timeout,
    .undo = newreno_undo,
    .idle = newreno_idle,
};
