/* SPDX-License-Identifier: ISC */
/* CUBIC (RFC 9438) with HyStart++ (RFC 9406), in integers: bytes and milliseconds. */
#include <tarn/tcp_cc.h>

/* The words of its state. */
enum {
    W_MAX,      /* bytes */
    PRIOR_CWND, /* at the last congestion */
    EPOCH_MS,   /* when congestion avoidance began, 0: it has not */
    /* In congestion avoidance: */
    K_MS,
    W_EST,    /* what Reno would have */
    EST_REST, /* what rounding left over, of W_EST and of cwnd */
    CWND_REST,
    /* In slow start, in the same places: */
    ROUND_END = K_MS, /* a sequence number */
    LAST_RTT_US,      /* the least of the last round, and of this one; 0: none */
    THIS_RTT_US,
    SAMPLES_AND_CSS, /* samples of this round; CSS_ROUND for each round of conservative slow start
                      */
    CSS_BASELINE_US, /* 0: not in conservative slow start */
};

#define CSS_ROUND 0x10000u
#define CSS_ROUNDS_MAX 5u
#define SAMPLES_MIN 8u
#define RTT_THRESH_MIN_US 4000u
#define RTT_THRESH_MAX_US 16000u
#define DELTA_MS_MAX                                                                               \
    60000u /* further than a minute from the plateau, the bound of 1.5 cwnd rules */

static uint32_t *word(struct tarn_tcp_cc *cc, unsigned i) {
    return &TARN_AT(cc->state.words, i);
}

static uint32_t cube_root(uint64_t v) {
    uint64_t root = 0;
    for (int shift = 63; shift >= 0; shift -= 3) {
        root *= 2;
        uint64_t next = 3 * root * (root + 1) + 1;
        if (v >> shift >= next) {
            v -= next << shift;
            root++;
        }
    }
    return (uint32_t)root;
}

static void cubic_init(struct tarn_tcp_cc *cc, uint32_t srtt_us) {
    (void)srtt_us;
    cc->state = (__typeof__(cc->state)){{0}};
}

/* -- slow start: HyStart++ -- */

static void slow_start_anew(struct tarn_tcp_cc *cc) {
    *word(cc, EPOCH_MS) = *word(cc, ROUND_END) = *word(cc, SAMPLES_AND_CSS) = 0;
    *word(cc, CSS_BASELINE_US) = *word(cc, LAST_RTT_US) = *word(cc, THIS_RTT_US) = 0;
}

static void round_begins(struct tarn_tcp_cc *cc, const struct tarn_tcp_cc_ack *ack) {
    uint32_t *css = word(cc, SAMPLES_AND_CSS);
    *word(cc, LAST_RTT_US) = *word(cc, THIS_RTT_US);
    *word(cc, THIS_RTT_US) = 0;
    *word(cc, ROUND_END) = ack->snd_nxt;
    *css -= *css % CSS_ROUND;
    if (*word(cc, CSS_BASELINE_US) == 0)
        return;
    *css += CSS_ROUND;
    if (*css / CSS_ROUND >= CSS_ROUNDS_MAX)
        cc->ssthresh = cc->cwnd;
}

static void watch_delay(struct tarn_tcp_cc *cc, const struct tarn_tcp_cc_ack *ack) {
    uint32_t *least = word(cc, THIS_RTT_US), *css = word(cc, SAMPLES_AND_CSS);
    uint32_t last = *word(cc, LAST_RTT_US), *baseline = word(cc, CSS_BASELINE_US);
    if ((int32_t)(ack->snd_una - *word(cc, ROUND_END)) >= 0)
        round_begins(cc, ack);
    if (ack->rtt_us == 0)
        return;
    *least = *least ? TARN_MIN(*least, ack->rtt_us) : ack->rtt_us;
    if (*css % CSS_ROUND < CSS_ROUND - 1)
        *css += 1;
    if (*css % CSS_ROUND < SAMPLES_MIN || last == 0)
        return;
    uint32_t thresh = TARN_MAX(last / 8, RTT_THRESH_MIN_US);
    thresh = TARN_MIN(thresh, RTT_THRESH_MAX_US);
    if (*baseline == 0 && *least >= last + thresh) {
        *baseline = *least; /* the queue grows: go on carefully, and see whether it does */
        *css %= CSS_ROUND;
    } else if (*baseline && *least < *baseline) {
        *baseline = 0;
    }
}

static uint32_t slow_start(struct tarn_tcp_cc *cc, const struct tarn_tcp_cc_ack *ack) {
    watch_delay(cc, ack);
    uint32_t acked = ack->acked_bytes;
    if (cc->cwnd >= cc->ssthresh)
        return acked;
    uint32_t room = cc->ssthresh - cc->cwnd;
    if (*word(cc, CSS_BASELINE_US)) {
        cc->cwnd += TARN_MIN(acked / 4, room);
        return 0;
    }
    uint32_t step = TARN_MIN(acked, room);
    cc->cwnd += step;
    return acked - step;
}

/* -- congestion avoidance -- */

static void epoch_begins(struct tarn_tcp_cc *cc, uint32_t now_ms) {
    uint32_t *w_max = word(cc, W_MAX);
    *word(cc, EPOCH_MS) = now_ms ? now_ms : 1;
    *word(cc, W_EST) = cc->cwnd;
    *word(cc, EST_REST) = *word(cc, CWND_REST) = 0;
    if (*w_max < cc->cwnd)
        *w_max = cc->cwnd;
    /* K = cbrt((W_max - cwnd) / C), C = 0.4 segments a second cubed. */
    uint64_t segments_e9 = (uint64_t)(*w_max - cc->cwnd) * 1000000000u / cc->mss;
    *word(cc, K_MS) = cube_root(segments_e9 / 2 * 5);
}

/* W_cubic(t) in bytes (section 4.2, equation 1). */
static uint64_t w_cubic(struct tarn_tcp_cc *cc, uint32_t t_ms) {
    uint32_t k = *word(cc, K_MS), w_max = *word(cc, W_MAX);
    uint64_t delta = t_ms < k ? k - t_ms : t_ms - k;
    delta = TARN_MIN(delta, (uint64_t)DELTA_MS_MAX);
    uint64_t off = delta * delta * delta / 1000 * cc->mss / 2500000;
    if (t_ms < k)
        return off < w_max ? w_max - off : 0;
    return w_max + off;
}

/* `*rest` carries what the division leaves, so that slow growth is not lost in rounding. */
static uint32_t share(uint64_t product, uint32_t divisor, uint32_t *rest) {
    product += *rest;
    *rest = (uint32_t)(product % divisor);
    return (uint32_t)(product / divisor);
}

static void avoid_congestion(struct tarn_tcp_cc *cc, const struct tarn_tcp_cc_ack *ack,
                             uint32_t acked) {
    uint32_t now_ms = (uint32_t)(ack->now / 1000000), cwnd = cc->cwnd;
    if (*word(cc, EPOCH_MS) == 0)
        epoch_begins(cc, now_ms);
    uint32_t t_ms = now_ms - *word(cc, EPOCH_MS);
    /* Section 4.3: alpha is 0.53 until the window of the last congestion is reached, then 1. */
    uint32_t *w_est = word(cc, W_EST);
    uint64_t grow = (uint64_t)acked * cc->mss;
    grow = *w_est < *word(cc, PRIOR_CWND) ? grow * 9 / 17 : grow;
    *w_est += share(grow, cwnd, word(cc, EST_REST));
    if (w_cubic(cc, t_ms) < *w_est) {
        cc->cwnd = TARN_MAX(cwnd, *w_est);
        return;
    }
    uint64_t target = w_cubic(cc, t_ms + ack->srtt_us / 1000);
    target = TARN_MIN(target, (uint64_t)cwnd + cwnd / 2);
    if (target > cwnd)
        cc->cwnd += share((target - cwnd) * acked, cwnd, word(cc, CWND_REST));
}

static void cubic_ack(struct tarn_tcp_cc *cc, const struct tarn_tcp_cc_ack *ack) {
    uint32_t acked = ack->acked_bytes;
    if (!ack->cwnd_limited)
        return;
    if (cc->cwnd < cc->ssthresh)
        acked = slow_start(cc, ack);
    if (acked > 0)
        avoid_congestion(cc, ack, acked);
}

/* From cwnd, and not from what is in flight: it grows only while it is used (section 4.6). */
static void reduce(struct tarn_tcp_cc *cc) {
    uint32_t *w_max = word(cc, W_MAX);
    *word(cc, PRIOR_CWND) = cc->cwnd;
    /* Fast convergence (section 4.7): who loses earlier than last time gives way. */
    *w_max = cc->cwnd < *w_max ? (uint32_t)((uint64_t)cc->cwnd * 17 / 20) : cc->cwnd;
    cc->ssthresh = TARN_MAX((uint32_t)((uint64_t)cc->cwnd * 7 / 10), 2 * cc->mss);
    slow_start_anew(cc);
}

static void cubic_congestion(struct tarn_tcp_cc *cc, tarn_time now, uint32_t flight) {
    (void)now;
    (void)flight;
    reduce(cc);
}

static void cubic_timeout(struct tarn_tcp_cc *cc, tarn_time now, uint32_t flight, bool again) {
    uint32_t ssthresh = cc->ssthresh;
    (void)now;
    (void)flight;
    reduce(cc);
    if (again)
        cc->ssthresh = ssthresh;
}

static void cubic_undo(struct tarn_tcp_cc *cc) {
    *word(cc, W_MAX) = TARN_MAX(*word(cc, W_MAX), cc->cwnd);
    slow_start_anew(cc);
}

/* Time in which nothing was sent is not time in which the window would have grown (section 4.2):
 * slow start leads back to where it was, and a new epoch begins there. */
static void cubic_idle(struct tarn_tcp_cc *cc, tarn_time now, tarn_time idle) {
    (void)now;
    if (cc->cwnd < cc->ssthresh)
        slow_start_anew(cc);
    else if (*word(cc, EPOCH_MS))
        *word(cc, EPOCH_MS) += (uint32_t)(idle / 1000000);
}

const struct tarn_tcp_cc_ops tarn_tcp_cc_cubic = {
    .name = "cubic",
    .init = cubic_init,
    .ack = cubic_ack,
    .congestion = cubic_congestion,
    .timeout = cubic_timeout,
    .undo = cubic_undo,
    .idle = cubic_idle,
};
