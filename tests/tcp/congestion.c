/* SPDX-License-Identifier: ISC */
/* The controllers by themselves: what they make of ACKs and losses, by the sections of their RFCs.
 */
#include <criterion/criterion.h>
#include <tarn/base.h>
#include <tarn/tcp_cc.h>

enum { MSS = 1000 };

struct path {
    struct tarn_tcp_cc cc;
    uint32_t seq;
    tarn_time now;
};

static struct path path_new(const struct tarn_tcp_cc_ops *ops, uint32_t segments) {
    struct path p = {
        .cc = {.ops = ops, .cwnd = segments * MSS, .ssthresh = TARN_TCP_SSTHRESH_NONE, .mss = MSS},
        .now = TARN_SEC(100)};
    ops->init(&p.cc, 0);
    return p;
}

/* A round trip in which the whole window is acknowledged, an ACK for each segment. */
static void round_trip(struct path *p, uint32_t rtt_ms) {
    uint32_t segments = p->cc.cwnd / MSS;
    uint32_t end = p->seq + segments * MSS;
    p->now += TARN_MS(rtt_ms);
    for (uint32_t i = 0; i < segments; i++) {
        p->seq += MSS;
        struct tarn_tcp_cc_ack ack = {
            .now = p->now,
            .acked_bytes = MSS,
            .in_flight_bytes = segments * MSS,
            .rtt_us = rtt_ms * 1000,
            .srtt_us = rtt_ms * 1000,
            .rtt_min_us = 100000,
            .snd_una = p->seq,
            .snd_nxt = end + (i + 1) * MSS,
            .cwnd_limited = true,
        };
        p->cc.ops->ack(&p->cc, &ack);
    }
}

Test(congestion, rfc5681_3_1_newreno_doubles_and_then_adds_one) {
    struct path p = path_new(&tarn_tcp_cc_newreno, 10);
    round_trip(&p, 100);
    cr_assert_eq(p.cc.cwnd, 20 * MSS);
    p.cc.ops->congestion(&p.cc, p.now, p.cc.cwnd);
    cr_assert_eq(p.cc.ssthresh, 10 * MSS);
    p.cc.cwnd = p.cc.ssthresh;
    for (uint32_t i = 1; i <= 5; i++) {
        round_trip(&p, 100);
        cr_assert_eq(p.cc.cwnd, (10 + i) * MSS);
    }
}

Test(congestion, rfc3465_2_1_bytes_count_and_not_acks) {
    struct path p = path_new(&tarn_tcp_cc_newreno, 10);
    p.cc.ssthresh = p.cc.cwnd;
    struct tarn_tcp_cc_ack ack = {.acked_bytes = 1, .cwnd_limited = true, .now = p.now};
    for (int i = 0; i < 9999; i++) /* as many ACKs as bytes (ACK division) */
        p.cc.ops->ack(&p.cc, &ack);
    cr_assert_eq(p.cc.cwnd, 10 * MSS);
    p.cc.ops->ack(&p.cc, &ack);
    cr_assert_eq(p.cc.cwnd, 11 * MSS);
}

Test(congestion, what_is_not_used_does_not_grow) {
    static const struct tarn_tcp_cc_ops *const all[] = {&tarn_tcp_cc_newreno, &tarn_tcp_cc_cubic};
    for (size_t i = 0; i < TARN_COUNT_OF(all); i++) {
        struct path p = path_new(all[i], 10);
        struct tarn_tcp_cc_ack ack = {.acked_bytes = 5 * MSS, .now = p.now};
        p.cc.ops->ack(&p.cc, &ack);
        cr_assert_eq(p.cc.cwnd, 10 * MSS);
    }
}

Test(congestion, rfc9438_4_6_cubic_keeps_seven_tenths) {
    struct path p = path_new(&tarn_tcp_cc_cubic, 100);
    p.cc.ops->congestion(&p.cc, p.now, 100 * MSS);
    cr_assert_eq(p.cc.ssthresh, 70 * MSS);
}

Test(congestion, rfc9438_4_2_cubic_returns_to_the_plateau_after_k) {
    struct path p = path_new(&tarn_tcp_cc_cubic, 1000);
    p.cc.ops->congestion(&p.cc, p.now, 1000 * MSS);
    p.cc.cwnd = p.cc.ssthresh;
    /* K = cbrt(300 / 0.4) = 9.08 s. */
    for (int i = 0; i < 80; i++)
        round_trip(&p, 100);
    cr_assert(p.cc.cwnd > 980 * MSS && p.cc.cwnd < 1005 * MSS, "%u after 8 s", p.cc.cwnd);
    for (int i = 0; i < 12; i++)
        round_trip(&p, 100);
    cr_assert(p.cc.cwnd > 995 * MSS && p.cc.cwnd < 1010 * MSS, "%u after 9.2 s", p.cc.cwnd);
    for (int i = 0; i < 60; i++)
        round_trip(&p, 100);
    cr_assert_gt(p.cc.cwnd, 1060 * MSS); /* and on, ever faster */
}

Test(congestion, rfc9438_4_3_small_windows_grow_as_renos) {
    struct path p = path_new(&tarn_tcp_cc_cubic, 20);
    p.cc.ops->congestion(&p.cc, p.now, 20 * MSS);
    p.cc.cwnd = p.cc.ssthresh; /* 14 */
    for (int i = 0; i < 10; i++)
        round_trip(&p, 20);
    /* alpha is 3 (1 - 0.7) / (1 + 0.7) = 0.53 segments a round trip. */
    cr_assert(p.cc.cwnd >= 18 * MSS && p.cc.cwnd <= 20 * MSS, "%u", p.cc.cwnd);
}

Test(congestion, rfc9438_4_7_who_loses_earlier_gives_way) {
    struct path p = path_new(&tarn_tcp_cc_cubic, 100);
    p.cc.ops->congestion(&p.cc, p.now, 100 * MSS);
    p.cc.cwnd = p.cc.ssthresh;
    p.cc.ops->congestion(&p.cc, p.now, 70 * MSS); /* W_max is 59.5 then, and not 70 */
    p.cc.cwnd = p.cc.ssthresh;                    /* 49; K = cbrt(10.5 / 0.4) = 2.97 s */
    for (int i = 0; i < 30; i++)
        round_trip(&p, 100);
    cr_assert_lt(p.cc.cwnd, 68 * MSS);
}

Test(congestion, rfc9406_4_2_delay_ends_doubling) {
    struct path p = path_new(&tarn_tcp_cc_cubic, 10);
    round_trip(&p, 100);
    round_trip(&p, 100);
    uint32_t before = p.cc.cwnd;
    cr_assert_eq(before, 40 * MSS);
    round_trip(&p, 120); /* more than an eighth longer: the queue grows */
    cr_assert_lt(p.cc.cwnd, 2 * before);
    before = p.cc.cwnd;
    round_trip(&p, 120); /* conservative slow start: a quarter of it */
    cr_assert(p.cc.cwnd <= before + before / 4 + MSS, "%u after %u", p.cc.cwnd, before);
    cr_assert_eq(p.cc.ssthresh, TARN_TCP_SSTHRESH_NONE);
    for (int i = 0; i < 5; i++)
        round_trip(&p, 120);
    cr_assert_neq(p.cc.ssthresh, TARN_TCP_SSTHRESH_NONE); /* CSS_ROUNDS */
}

Test(congestion, rfc9406_4_2_delay_that_falls_again_was_jitter) {
    struct path p = path_new(&tarn_tcp_cc_cubic, 10);
    round_trip(&p, 100);
    round_trip(&p, 100);
    round_trip(&p, 120);
    round_trip(&p, 100);
    uint32_t before = p.cc.cwnd;
    round_trip(&p, 100);
    cr_assert_geq(p.cc.cwnd, 2 * before - MSS);
    for (int i = 0; i < 4; i++)
        round_trip(&p, 100);
    cr_assert_eq(p.cc.ssthresh, TARN_TCP_SSTHRESH_NONE);
}

Test(congestion, rfc9406_4_2_fewer_than_eight_samples_say_nothing) {
    struct path p = path_new(&tarn_tcp_cc_cubic, 3);
    round_trip(&p, 100);
    round_trip(&p, 200); /* six samples */
    cr_assert_eq(p.cc.cwnd, 12 * MSS);
}

Test(congestion, undo_restores_cubics_plateau) {
    struct path p = path_new(&tarn_tcp_cc_cubic, 100);
    p.cc.ops->congestion(&p.cc, p.now, 100 * MSS);
    p.cc.cwnd = 100 * MSS; /* TCP restores it, and ssthresh */
    p.cc.ops->undo(&p.cc);
    p.cc.ssthresh = 50 * MSS;
    for (int i = 0; i < 10; i++)
        round_trip(&p, 100);
    cr_assert_geq(p.cc.cwnd, 100 * MSS);
}

/* -- BBR: a path of 1 MB/s, whose round trip is 100 ms without a queue -- */

struct bbr_path {
    struct tarn_tcp_cc cc;
    uint64_t block[TARN_TCP_CC_BLOCK_BYTES / 8];
    uint32_t delivered;
    tarn_time now;
};

/* Ten ACKs in a round trip; the least that cwnd was. */
static uint32_t bbr_round(struct bbr_path *p, uint32_t rtt_us) {
    uint32_t least = UINT32_MAX;
    for (int i = 0; i < 10; i++) {
        p->now += TARN_MS(10);
        p->delivered += 10 * MSS;
        struct tarn_tcp_cc_ack ack = {
            .now = p->now,
            .acked_bytes = 10 * MSS,
            .in_flight_bytes = 100 * MSS,
            .left_bytes = TARN_MIN(90u * MSS, p->cc.cwnd - MSS),
            .rtt_us = rtt_us,
            .srtt_us = rtt_us,
            .rtt_min_us = 100000,
            .delivered = p->delivered,
            .prior_delivered = p->delivered - 100 * MSS,
            .tx_in_flight_bytes = 100 * MSS,
            .has_sample = true,
            .rate = 1000 * MSS,
        };
        p->cc.ops->ack(&p->cc, &ack);
        least = TARN_MIN(least, p->cc.cwnd);
    }
    return least;
}

static void bbr_path_init(struct bbr_path *p) {
    *p = (struct bbr_path){.cc = {.ops = &tarn_tcp_cc_bbr,
                                  .cwnd = 100 * MSS,
                                  .ssthresh = TARN_TCP_SSTHRESH_NONE,
                                  .mss = MSS,
                                  .state.block = p->block},
                           .now = TARN_SEC(100)};
    p->cc.ops->init(&p->cc, 100000);
    for (int i = 0; i < 20; i++)
        (void)bbr_round(p, 100000);
}

/* Draft section 5.3.4: the wish is to see the path without a queue. */
Test(congestion, bbr_5_3_4_drains_nothing_where_round_trips_show_no_queue) {
    struct bbr_path p;
    bbr_path_init(&p);
    for (uint32_t i = 0; i < 300; i++)
        cr_assert_geq(bbr_round(&p, 100000 + i % 2 * 1000), 100 * MSS, "round trip %u", i);
}

Test(congestion, bbr_5_3_4_drains_a_queue_that_stands_for_five_seconds) {
    struct bbr_path p;
    uint32_t least = UINT32_MAX;
    bbr_path_init(&p);
    for (int i = 0; i < 40; i++)
        cr_assert_geq(bbr_round(&p, 110000), 100 * MSS);
    for (int i = 0; i < 20; i++)
        least = TARN_MIN(least, bbr_round(&p, 110000));
    cr_assert_leq(least, 50 * MSS + MSS, "%u", least);
}
