/* SPDX-License-Identifier: ISC */
/* BBR, version 3 (draft-ietf-ccwg-bbr): cwnd and rate follow from a model of the path, the rate at
 * which it delivers and its round trip without queues, and not from loss. Names and sections are
 * the draft's. Rates are in bytes a second, in 32 bits: up to 34 Gbit/s. */
#include <tarn/tcp_cc.h>

#define INF UINT32_MAX
#define MIN_RTT_FILTER_MS 10000u
#define PROBE_RTT_INTERVAL_MS 5000u
#define PROBE_RTT_DURATION_MS 200u
#define SAME_RTT_PART 64u
#define QUANTUM_BYTES_MAX 65536u
#define EXTRA_ACKED_ROUNDS 5u /* in each of two slots: 10 in all */
#define STARTUP_LOSSES 6u     /* discontiguous ranges in a round that end Startup */
#define RENO_ROUNDS_MAX 63u
#define PIPE_SEGMENTS_MIN 4u

enum bbr_state { STARTUP, DRAIN, PROBE_DOWN, PROBE_CRUISE, PROBE_REFILL, PROBE_UP, PROBE_RTT };
enum bbr_ack_phase { ACKS_INIT, ACKS_REFILLING, ACKS_STARTING, ACKS_FEEDBACK, ACKS_STOPPING };

struct bbr {
    /* The model. */
    uint32_t max_bw[2]; /* of this cycle and of the one before */
    uint32_t bw, bw_shortterm, bw_latest, full_bw;
    uint32_t inflight_longterm, inflight_shortterm, inflight_latest;
    uint32_t min_rtt_us, min_rtt_ms, probe_rtt_min_us, probe_rtt_min_ms, probe_rtt_done_ms;
    uint32_t extra_acked[2], extra_round, extra_start_us, extra_delivered;
    /* Rounds. */
    uint32_t round_count, next_round_delivered, loss_round_delivered, drain_start_round;
    uint32_t rounds_since_probe_up, startup_losses, recovery_round;
    /* Probing. */
    uint32_t cycle_ms, probe_wait_ms, probe_up_acked_per_inc, probe_up_acked;
    uint32_t app_limited_until; /* samples sent by then say nothing of the path, where `gap` */
    uint32_t prior_cwnd, initial_cwnd, random;
    uint32_t undo_bw_shortterm, undo_inflight_shortterm, undo_inflight_longterm;
    uint8_t state, undo_state, ack_phase, full_bw_count, probe_up_rounds;
    bool begun, gap, round_start, loss_round_start, loss_in_round, full_bw_reached, full_bw_now;
    bool is_bw_probe_sample, prev_probe_too_high, prev_probe_precautionary;
    bool probe_rtt_expired, probe_rtt_running, probe_rtt_round_done, idle_restart, in_recovery;
};
_Static_assert(sizeof(struct bbr) <= TARN_TCP_CC_BLOCK_BYTES, "it fits into its block");

static struct bbr *bbr_of(struct tarn_tcp_cc *cc) {
    return cc->state.block;
}
static uint32_t clamp(uint64_t v) {
    return (uint32_t)TARN_MIN(v, (uint64_t)INF);
}
static uint32_t max_u32(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}
static bool reached(uint32_t now, uint32_t at) {
    return (int32_t)(now - at) >= 0;
}

static uint32_t next_random(struct bbr *b) {
    b->random = b->random * 1664525u + 1013904223u;
    return b->random >> 16;
}

/* -- what the model says (section 5.6.4) -- */

static uint32_t max_bw(const struct bbr *b) {
    return max_u32(TARN_AT(b->max_bw, 0u), TARN_AT(b->max_bw, 1u));
}
static uint32_t extra_acked(const struct bbr *b) {
    return max_u32(TARN_AT(b->extra_acked, 0u), TARN_AT(b->extra_acked, 1u));
}
static uint32_t pipe_min(const struct tarn_tcp_cc *cc) {
    return PIPE_SEGMENTS_MIN * cc->mss;
}

/* A gain is in percent. */
static uint32_t bdp_multiple(const struct bbr *b, uint32_t bw, uint32_t gain) {
    if (b->min_rtt_us == INF)
        return b->initial_cwnd;
    return clamp((uint64_t)bw * b->min_rtt_us / 1000000 * gain / 100);
}

static uint32_t quantization_budget(const struct tarn_tcp_cc *cc, const struct bbr *b,
                                    uint64_t inflight) {
    uint32_t quantum = TARN_MIN(cc->pacing_rate / 1000, QUANTUM_BYTES_MAX);
    inflight = TARN_MAX(inflight, (uint64_t)3 * max_u32(quantum, 2 * cc->mss));
    inflight = TARN_MAX(inflight, (uint64_t)pipe_min(cc));
    return clamp(b->state == PROBE_UP ? inflight + 2 * cc->mss : inflight);
}

static uint32_t inflight_for(const struct tarn_tcp_cc *cc, const struct bbr *b, uint32_t bw) {
    return quantization_budget(cc, b, bdp_multiple(b, bw, 100));
}

static uint32_t target_inflight(const struct tarn_tcp_cc *cc, const struct bbr *b) {
    return TARN_MIN(bdp_multiple(b, b->bw, 100), cc->cwnd);
}

/* Some of the buffer is left to others (section 5.3.3.6). */
static uint32_t inflight_with_headroom(const struct tarn_tcp_cc *cc, const struct bbr *b) {
    if (b->inflight_longterm == INF)
        return INF;
    uint32_t headroom = max_u32(cc->mss, (uint32_t)((uint64_t)b->inflight_longterm * 15 / 100));
    uint32_t left = b->inflight_longterm > headroom ? b->inflight_longterm - headroom : 0;
    return max_u32(left, pipe_min(cc));
}

static uint32_t probe_rtt_cwnd(const struct tarn_tcp_cc *cc, const struct bbr *b) {
    return max_u32(bdp_multiple(b, b->bw, 50), pipe_min(cc));
}

static bool in_probe_bw(const struct bbr *b) {
    return b->state >= PROBE_DOWN && b->state <= PROBE_UP;
}

/* -- small steps -- */

static void reset_congestion_signals(struct bbr *b) {
    b->loss_in_round = false;
    b->bw_latest = b->inflight_latest = 0;
}
static void reset_shortterm(struct bbr *b) {
    b->bw_shortterm = b->inflight_shortterm = INF;
}
static void reset_full_bw(struct bbr *b) {
    b->full_bw = 0;
    b->full_bw_count = 0;
    b->full_bw_now = false;
}
static void start_round(struct bbr *b, uint32_t delivered) {
    b->next_round_delivered = delivered;
}
static void save_cwnd(const struct tarn_tcp_cc *cc, struct bbr *b) {
    bool whole = !b->in_recovery && b->state != PROBE_RTT;
    b->prior_cwnd = whole ? cc->cwnd : max_u32(b->prior_cwnd, cc->cwnd);
}
static void restore_cwnd(struct tarn_tcp_cc *cc, const struct bbr *b) {
    cc->cwnd = max_u32(cc->cwnd, b->prior_cwnd);
}
static void save_state_upon_loss(const struct tarn_tcp_cc *cc, struct bbr *b) {
    save_cwnd(cc, b);
    b->undo_state = PROBE_RTT; /* none */
    b->undo_bw_shortterm = b->bw_shortterm;
    b->undo_inflight_shortterm = b->inflight_shortterm;
    b->undo_inflight_longterm = b->inflight_longterm;
}

/* -- the states of ProbeBW (section 5.3.3) -- */

static void start_down(struct bbr *b, uint32_t now_ms, uint32_t delivered) {
    reset_congestion_signals(b);
    b->probe_up_acked_per_inc = INF;
    b->rounds_since_probe_up = next_random(b) % 2;
    b->probe_wait_ms = 2000 + next_random(b) % 1000;
    b->cycle_ms = now_ms;
    b->ack_phase = ACKS_STOPPING;
    start_round(b, delivered);
    b->state = PROBE_DOWN;
}

static void start_refill(struct bbr *b, uint32_t delivered) {
    reset_shortterm(b);
    b->probe_up_rounds = 0;
    b->probe_up_acked = 0;
    b->prev_probe_precautionary = false;
    b->ack_phase = ACKS_REFILLING;
    start_round(b, delivered);
    b->state = PROBE_REFILL;
}

static void raise_slope(const struct tarn_tcp_cc *cc, struct bbr *b) {
    uint32_t growth = 1u << b->probe_up_rounds;
    b->probe_up_rounds = (uint8_t)TARN_MIN(b->probe_up_rounds + 1, 30);
    b->probe_up_acked_per_inc = max_u32(cc->cwnd / growth, cc->mss);
}

static void start_up(const struct tarn_tcp_cc *cc, struct bbr *b,
                     const struct tarn_tcp_cc_ack *ack) {
    b->ack_phase = ACKS_STARTING;
    start_round(b, ack->delivered);
    reset_full_bw(b);
    b->full_bw = ack->rate;
    b->state = PROBE_UP;
    raise_slope(cc, b);
}

static bool is_time_to_go_down(struct tarn_tcp_cc *cc, struct bbr *b,
                               const struct tarn_tcp_cc_ack *ack) {
    if (b->prev_probe_too_high && ack->left_bytes >= b->inflight_longterm) {
        b->prev_probe_precautionary = true;
        return true;
    }
    if (ack->cwnd_limited && cc->cwnd >= b->inflight_longterm) {
        reset_full_bw(b);
        b->full_bw = ack->rate;
        return false;
    }
    return b->full_bw_now;
}

static bool is_time_to_probe(const struct tarn_tcp_cc *cc, struct bbr *b,
                             const struct tarn_tcp_cc_ack *ack, uint32_t now_ms) {
    uint32_t rounds = TARN_MIN(target_inflight(cc, b) / cc->mss, RENO_ROUNDS_MAX);
    if (now_ms - b->cycle_ms <= b->probe_wait_ms && b->rounds_since_probe_up < rounds)
        return false;
    start_refill(b, ack->delivered);
    return true;
}

static void probe_longterm_upward(const struct tarn_tcp_cc *cc, struct bbr *b,
                                  const struct tarn_tcp_cc_ack *ack) {
    if (!ack->cwnd_limited || cc->cwnd < b->inflight_longterm)
        return;
    b->probe_up_acked += ack->acked_bytes;
    uint32_t steps = b->probe_up_acked / b->probe_up_acked_per_inc;
    b->probe_up_acked -= steps * b->probe_up_acked_per_inc;
    b->inflight_longterm = clamp((uint64_t)b->inflight_longterm + (uint64_t)steps * cc->mss);
    if (b->round_start)
        raise_slope(cc, b);
}

/* More than 2 % of what was in flight was lost. */
static bool is_inflight_too_high(uint32_t lost, uint32_t tx_in_flight) {
    return (uint64_t)lost * 50 > tx_in_flight;
}

/* True: it decided for a state. */
static bool adapt_longterm(const struct tarn_tcp_cc *cc, struct bbr *b,
                           const struct tarn_tcp_cc_ack *ack, bool app_limited) {
    if (b->ack_phase == ACKS_STARTING && b->round_start)
        b->ack_phase = ACKS_FEEDBACK;
    if (b->ack_phase == ACKS_STOPPING && b->round_start) {
        b->is_bw_probe_sample = false;
        b->ack_phase = ACKS_INIT;
        if (in_probe_bw(b) && !app_limited) {
            TARN_AT(b->max_bw, 1u) = TARN_AT(b->max_bw, 0u);
            TARN_AT(b->max_bw, 0u) = 0;
        }
        if (in_probe_bw(b) && b->prev_probe_precautionary && !b->prev_probe_too_high) {
            start_refill(b, ack->delivered);
            return true;
        }
    }
    if (!ack->has_sample || is_inflight_too_high(ack->sample_lost_bytes, ack->tx_in_flight_bytes)
        || b->inflight_longterm == INF)
        return false;
    b->inflight_longterm = max_u32(b->inflight_longterm, ack->tx_in_flight_bytes);
    if (b->state == PROBE_UP)
        probe_longterm_upward(cc, b, ack);
    return false;
}

static void update_probe_bw(struct tarn_tcp_cc *cc, struct bbr *b,
                            const struct tarn_tcp_cc_ack *ack, bool app_limited) {
    uint32_t now_ms = (uint32_t)(ack->now / 1000000);
    if (!b->full_bw_reached || adapt_longterm(cc, b, ack, app_limited))
        return;
    switch (b->state) {
    case PROBE_DOWN:
        if (!is_time_to_probe(cc, b, ack, now_ms)
            && ack->left_bytes <= inflight_with_headroom(cc, b)
            && ack->left_bytes <= inflight_for(cc, b, max_bw(b)))
            b->state = PROBE_CRUISE;
        break;
    case PROBE_CRUISE: (void)is_time_to_probe(cc, b, ack, now_ms); break;
    case PROBE_REFILL:
        if (b->round_start) {
            b->is_bw_probe_sample = true;
            start_up(cc, b, ack);
        }
        break;
    case PROBE_UP:
        if (is_time_to_go_down(cc, b, ack)) {
            b->prev_probe_too_high = false;
            start_down(b, now_ms, ack->delivered);
        }
        break;
    default: break;
    }
}

/* -- Startup and Drain (sections 5.3.1 and 5.3.2) -- */

static void check_full_bw(struct bbr *b, const struct tarn_tcp_cc_ack *ack, bool app_limited) {
    if (b->full_bw_now || !b->round_start || app_limited || !ack->has_sample)
        return;
    if (ack->rate >= (uint64_t)b->full_bw * 5 / 4) {
        reset_full_bw(b);
        b->full_bw = ack->rate;
        return;
    }
    b->full_bw_now = ++b->full_bw_count >= 3;
    b->full_bw_reached |= b->full_bw_now;
}

/* A whole round in recovery, much lost in it, and in many places. */
static void check_startup_loss(struct bbr *b, const struct tarn_tcp_cc_ack *ack) {
    if (b->state != STARTUP || !b->loss_round_start)
        return;
    bool high = b->in_recovery && reached(b->round_count, b->recovery_round + 1)
                && b->startup_losses >= STARTUP_LOSSES
                && is_inflight_too_high(ack->sample_lost_bytes, ack->tx_in_flight_bytes);
    b->startup_losses = 0;
    if (!high)
        return;
    b->undo_state = STARTUP;
    b->full_bw_reached = true;
    b->inflight_longterm = max_u32(bdp_multiple(b, b->bw, 100), b->inflight_latest);
}

static void check_startup_and_drain(struct tarn_tcp_cc *cc, struct bbr *b,
                                    const struct tarn_tcp_cc_ack *ack) {
    check_startup_loss(b, ack);
    if (b->state == STARTUP && b->full_bw_reached) {
        b->state = DRAIN;
        b->drain_start_round = b->round_count;
    }
    if (b->state == DRAIN
        && (ack->left_bytes <= inflight_for(cc, b, b->bw)
            || reached(b->round_count, b->drain_start_round + 4)))
        start_down(b, (uint32_t)(ack->now / 1000000), ack->delivered);
}

/* -- the round trip (section 5.3.4) -- */

/* A round trip as short as the shortest, but for a trifle, says that the path has no queue now: it
 * need not be drained to see. A flow that the peer's window or its writer holds back sees that all
 * the time, and would lose a fiftieth of its rate to looking. */
static void update_min_rtt(struct bbr *b, const struct tarn_tcp_cc_ack *ack, uint32_t now_ms) {
    uint32_t least = b->probe_rtt_min_us;
    b->probe_rtt_expired = now_ms - b->probe_rtt_min_ms > PROBE_RTT_INTERVAL_MS;
    if (ack->rtt_us && (ack->rtt_us < least || b->probe_rtt_expired)) {
        b->probe_rtt_min_us = ack->rtt_us;
        b->probe_rtt_min_ms = now_ms;
    } else if (ack->rtt_us && ack->rtt_us - least <= least / SAME_RTT_PART) {
        b->probe_rtt_min_ms = now_ms;
    }
    if (b->probe_rtt_min_us < b->min_rtt_us || now_ms - b->min_rtt_ms > MIN_RTT_FILTER_MS) {
        b->min_rtt_us = b->probe_rtt_min_us;
        b->min_rtt_ms = b->probe_rtt_min_ms;
    }
}

static void exit_probe_rtt(struct tarn_tcp_cc *cc, struct bbr *b, uint32_t now_ms,
                           uint32_t delivered) {
    if (!b->probe_rtt_running || !reached(now_ms, b->probe_rtt_done_ms + 1))
        return;
    b->probe_rtt_running = false;
    b->probe_rtt_min_ms = now_ms;
    restore_cwnd(cc, b);
    reset_shortterm(b);
    if (b->full_bw_reached) {
        start_down(b, now_ms, delivered);
        b->state = PROBE_CRUISE;
    } else {
        b->state = STARTUP;
    }
}

static void check_probe_rtt(struct tarn_tcp_cc *cc, struct bbr *b,
                            const struct tarn_tcp_cc_ack *ack, uint32_t now_ms) {
    if (b->state != PROBE_RTT && b->probe_rtt_expired && !b->idle_restart) {
        save_cwnd(cc, b);
        b->state = PROBE_RTT;
        b->probe_rtt_running = false;
        b->ack_phase = ACKS_STOPPING;
        start_round(b, ack->delivered);
    }
    if (b->state == PROBE_RTT) {
        /* What is sent now says nothing of the path's rate. */
        b->gap = true;
        b->app_limited_until = ack->delivered + ack->left_bytes;
        if (!b->probe_rtt_running && ack->left_bytes <= probe_rtt_cwnd(cc, b)) {
            b->probe_rtt_running = true;
            b->probe_rtt_done_ms = now_ms + PROBE_RTT_DURATION_MS;
            b->probe_rtt_round_done = false;
            start_round(b, ack->delivered);
        } else if (b->probe_rtt_running) {
            b->probe_rtt_round_done |= b->round_start;
            if (b->probe_rtt_round_done)
                exit_probe_rtt(cc, b, now_ms, ack->delivered);
        }
    }
    if (ack->has_sample)
        b->idle_restart = false;
}

/* -- the model (section 5.5) -- */

static void update_round(struct bbr *b, const struct tarn_tcp_cc_ack *ack) {
    b->round_start = ack->has_sample && reached(ack->prior_delivered, b->next_round_delivered);
    if (!b->round_start)
        return;
    start_round(b, ack->delivered);
    b->round_count++;
    b->rounds_since_probe_up++;
}

static void update_signals(struct tarn_tcp_cc *cc, struct bbr *b, const struct tarn_tcp_cc_ack *ack,
                           bool app_limited) {
    bool probing = b->state == STARTUP || b->state == PROBE_REFILL || b->state == PROBE_UP;
    uint32_t sampled = ack->has_sample ? ack->delivered - ack->prior_delivered : 0;
    b->bw_latest = max_u32(b->bw_latest, ack->rate);
    b->inflight_latest = max_u32(b->inflight_latest, sampled);
    b->loss_round_start = ack->has_sample && reached(ack->prior_delivered, b->loss_round_delivered);
    if (b->loss_round_start)
        b->loss_round_delivered = ack->delivered;
    update_round(b, ack);
    if (ack->rate >= max_bw(b) || !app_limited)
        TARN_AT(b->max_bw, 0u) = max_u32(TARN_AT(b->max_bw, 0u), ack->rate);
    if (!b->loss_round_start)
        return;
    if (b->loss_in_round && !probing) {
        if (b->bw_shortterm == INF)
            b->bw_shortterm = max_bw(b);
        if (b->inflight_shortterm == INF)
            b->inflight_shortterm = cc->cwnd;
        b->bw_shortterm = max_u32(b->bw_latest, (uint32_t)((uint64_t)b->bw_shortterm * 7 / 10));
        b->inflight_shortterm =
            max_u32(b->inflight_latest, (uint32_t)((uint64_t)b->inflight_shortterm * 7 / 10));
    }
    b->loss_in_round = false;
}

/* ACKs that come in lumps (section 5.5.9). */
static void update_aggregation(const struct tarn_tcp_cc *cc, struct bbr *b,
                               const struct tarn_tcp_cc_ack *ack) {
    uint32_t now_us = (uint32_t)(ack->now / 1000);
    uint64_t expected = (uint64_t)b->bw * (now_us - b->extra_start_us) / 1000000;
    if (b->extra_delivered <= expected) {
        b->extra_delivered = 0;
        b->extra_start_us = now_us;
        expected = 0;
    }
    b->extra_delivered += ack->acked_bytes;
    uint32_t extra = TARN_MIN((uint32_t)(b->extra_delivered - expected), cc->cwnd);
    uint32_t rounds = b->full_bw_reached ? EXTRA_ACKED_ROUNDS : 1;
    if (b->round_start && b->round_count - b->extra_round >= rounds) {
        b->extra_round = b->round_count;
        TARN_AT(b->extra_acked, 1u) = TARN_AT(b->extra_acked, 0u);
        TARN_AT(b->extra_acked, 0u) = 0;
    }
    TARN_AT(b->extra_acked, 0u) = max_u32(TARN_AT(b->extra_acked, 0u), extra);
}

/* -- what follows from it (section 5.6) -- */

static uint32_t pacing_gain(const struct bbr *b) {
    static const uint16_t percent[] = {277, 50, 90, 100, 100, 125, 100};
    return TARN_AT(percent, b->state);
}

/* 1 % below the model's rate, so that queues drain. */
static void set_pacing_rate(struct tarn_tcp_cc *cc, struct bbr *b, uint32_t gain) {
    uint32_t rate = clamp((uint64_t)b->bw * gain / 100 * 99 / 100);
    if (b->full_bw_reached || rate > cc->pacing_rate)
        cc->pacing_rate = max_u32(rate, cc->mss);
}

static uint32_t cwnd_bound(const struct tarn_tcp_cc *cc, const struct bbr *b) {
    uint32_t cap = INF;
    if (b->state == PROBE_RTT || b->state == PROBE_CRUISE)
        cap = inflight_with_headroom(cc, b);
    else if (in_probe_bw(b))
        cap = b->inflight_longterm;
    cap = TARN_MIN(cap, b->inflight_shortterm);
    return max_u32(cap, pipe_min(cc));
}

static void set_cwnd(struct tarn_tcp_cc *cc, struct bbr *b, const struct tarn_tcp_cc_ack *ack) {
    static const uint16_t percent[] = {200, 200, 200, 200, 200, 225, 50};
    uint64_t wanted = bdp_multiple(b, b->bw, TARN_AT(percent, b->state));
    uint32_t max_inflight = quantization_budget(cc, b, wanted + extra_acked(b));
    uint32_t grown = clamp((uint64_t)cc->cwnd + ack->acked_bytes);
    if (b->full_bw_reached)
        cc->cwnd = TARN_MIN(grown, max_inflight);
    else if (cc->cwnd < max_inflight || ack->delivered < b->initial_cwnd)
        cc->cwnd = grown;
    cc->cwnd = max_u32(cc->cwnd, pipe_min(cc));
    if (b->state == PROBE_RTT)
        cc->cwnd = TARN_MIN(cc->cwnd, probe_rtt_cwnd(cc, b));
    cc->cwnd = TARN_MIN(cc->cwnd, cwnd_bound(cc, b));
}

/* -- the interface -- */

static void bbr_init(struct tarn_tcp_cc *cc, uint32_t srtt_us) {
    struct bbr *b = bbr_of(cc);
    *b = (struct bbr){
        .min_rtt_us = srtt_us ? srtt_us : INF,
        .probe_rtt_min_us = INF,
        .inflight_longterm = INF,
        .bw_shortterm = INF,
        .inflight_shortterm = INF,
        .probe_up_acked_per_inc = INF,
        .initial_cwnd = cc->cwnd,
        .state = STARTUP,
        .undo_state = PROBE_RTT,
    };
    uint64_t nominal = (uint64_t)cc->cwnd * 1000000 / (srtt_us ? srtt_us : 1000);
    cc->pacing_rate = clamp(nominal * 277 / 100);
}

/* The first ACK: from now on there is a time, and a count of what was delivered. */
static void begin(struct bbr *b, const struct tarn_tcp_cc_ack *ack) {
    b->begun = true;
    b->random = ack->snd_una;
    b->min_rtt_ms = b->probe_rtt_min_ms = (uint32_t)(ack->now / 1000000);
    b->extra_start_us = (uint32_t)(ack->now / 1000);
    b->next_round_delivered = b->loss_round_delivered = ack->prior_delivered;
}

static void follow_recovery(struct tarn_tcp_cc *cc, struct bbr *b, bool in_recovery) {
    if (b->in_recovery && !in_recovery)
        restore_cwnd(cc, b);
    if (!b->in_recovery)
        b->recovery_round = b->round_count;
    b->in_recovery = in_recovery;
}

static void bbr_ack(struct tarn_tcp_cc *cc, const struct tarn_tcp_cc_ack *ack) {
    struct bbr *b = bbr_of(cc);
    uint32_t now_ms = (uint32_t)(ack->now / 1000000);
    if (!b->begun)
        begin(b, ack);
    if (b->gap && ack->has_sample && reached(ack->prior_delivered, b->app_limited_until + 1))
        b->gap = false;
    bool app_limited = ack->app_limited || b->gap;
    follow_recovery(cc, b, ack->in_recovery);
    update_signals(cc, b, ack, app_limited);
    update_aggregation(cc, b, ack);
    check_full_bw(b, ack, app_limited);
    check_startup_and_drain(cc, b, ack);
    update_probe_bw(cc, b, ack, app_limited);
    update_min_rtt(b, ack, now_ms);
    check_probe_rtt(cc, b, ack, now_ms);
    if (b->loss_round_start) {
        b->bw_latest = ack->rate;
        b->inflight_latest = ack->has_sample ? ack->delivered - ack->prior_delivered : 0;
    }
    b->bw = TARN_MIN(max_bw(b), b->bw_shortterm);
    set_pacing_rate(cc, b, pacing_gain(b));
    set_cwnd(cc, b, ack);
}

static void note_loss(const struct tarn_tcp_cc *cc, struct bbr *b, const uint32_t *delivered) {
    if (!b->loss_in_round) {
        if (delivered)
            b->loss_round_delivered = *delivered;
        save_state_upon_loss(cc, b);
    }
    b->loss_in_round = true;
}

/* At how much in flight the losses passed 2 % (section 5.5.10.2). */
static uint32_t inflight_at_loss(const struct tarn_tcp_cc_loss *loss) {
    int64_t inflight_prev = (int64_t)loss->tx_in_flight_bytes - loss->bytes;
    int64_t lost_prev = (int64_t)loss->sample_lost_bytes - loss->bytes;
    int64_t prefix = (inflight_prev * 2 / 100 - lost_prev) * 100 / 98;
    int64_t at = inflight_prev + TARN_MAX(prefix, (int64_t)0);
    return clamp((uint64_t)TARN_MAX(at, (int64_t)0));
}

static void bbr_lost(struct tarn_tcp_cc *cc, const struct tarn_tcp_cc_loss *loss) {
    struct bbr *b = bbr_of(cc);
    note_loss(cc, b, &loss->delivered);
    b->startup_losses++;
    if (!b->is_bw_probe_sample
        || !is_inflight_too_high(loss->sample_lost_bytes, loss->tx_in_flight_bytes))
        return;
    b->prev_probe_too_high = true;
    b->is_bw_probe_sample = false;
    if (!loss->app_limited)
        b->inflight_longterm = max_u32(inflight_at_loss(loss), target_inflight(cc, b) / 10 * 7);
    if (b->state == PROBE_UP) {
        b->undo_state = PROBE_UP;
        start_down(b, (uint32_t)(loss->now / 1000000), loss->delivered);
    }
}

static void bbr_congestion(struct tarn_tcp_cc *cc, tarn_time now, uint32_t flight) {
    struct bbr *b = bbr_of(cc);
    (void)now;
    (void)flight;
    note_loss(cc, b, NULL);
}

static void bbr_timeout(struct tarn_tcp_cc *cc, tarn_time now, uint32_t flight, bool again) {
    struct bbr *b = bbr_of(cc);
    (void)now;
    (void)flight;
    if (!again)
        save_state_upon_loss(cc, b);
    b->in_recovery = true;
}

static void bbr_undo(struct tarn_tcp_cc *cc) {
    struct bbr *b = bbr_of(cc);
    restore_cwnd(cc, b);
    b->loss_in_round = false;
    reset_full_bw(b);
    b->bw_shortterm = max_u32(b->bw_shortterm, b->undo_bw_shortterm);
    b->inflight_shortterm = max_u32(b->inflight_shortterm, b->undo_inflight_shortterm);
    b->inflight_longterm = max_u32(b->inflight_longterm, b->undo_inflight_longterm);
    if (b->undo_state == STARTUP && b->state != STARTUP) {
        b->full_bw_reached = false;
        if (b->state != PROBE_RTT)
            b->state = STARTUP;
    } else if (b->undo_state == PROBE_UP && b->state != PROBE_UP && b->state != PROBE_RTT) {
        start_refill(b, b->next_round_delivered);
    }
    b->undo_state = PROBE_RTT;
}

/* Section 5.4: what is sent after a pause is paced at the rate that the path had. */
static void bbr_idle(struct tarn_tcp_cc *cc, tarn_time now, tarn_time idle) {
    struct bbr *b = bbr_of(cc);
    (void)idle;
    if (!b->begun)
        return;
    b->idle_restart = true;
    b->extra_start_us = (uint32_t)(now / 1000);
    b->extra_delivered = 0;
    if (in_probe_bw(b))
        set_pacing_rate(cc, b, 100);
    else if (b->state == PROBE_RTT)
        exit_probe_rtt(cc, b, (uint32_t)(now / 1000000), b->next_round_delivered);
}

const struct tarn_tcp_cc_ops tarn_tcp_cc_bbr = {
    .name = "bbr",
    .models = true,
    .block_bytes = sizeof(struct bbr),
    .init = bbr_init,
    .ack = bbr_ack,
    .congestion = bbr_congestion,
    .timeout = bbr_timeout,
    .undo = bbr_undo,
    .idle = bbr_idle,
    .lost = bbr_lost,
};
