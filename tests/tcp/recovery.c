/* SPDX-License-Identifier: ISC */
/* What is lost, what is only late, and what is done about it: the peer is the test's own hand. */
#include "hand.h"

#include <criterion/criterion.h>
#include <string.h>

enum { MSS = 1460, MSS_TS = 1448 };

/* Ten full segments in flight (the initial window), all taken from the wire; `more` wait. */
static void fill_flight(struct hand *h, size_t more) {
    static char data[40 * MSS];
    size_t n, mss = h->timestamps ? MSS_TS : MSS;
    memset(data, 'd', sizeof data);
    cr_assert_eq(tarn_flow_write(h->flow, tarn_span_of(data, (10 + more) * mss), &n), TARN_OK);
    cr_assert_eq(n, (10 + more) * mss);
    net_turn(h->net);
    for (int i = 0; i < 10; i++) {
        struct seg s;
        cr_assert(hand_take(h->net, &s));
        cr_assert_eq(s.len, mss);
    }
    hand_expect_none(h->net);
}

/* An ACK of what ends `segments` behind the first byte, with SACK blocks, in segments too. */
static void ack_with(struct hand *h, uint32_t segments, unsigned blocks,
                     const uint32_t (*sack)[2]) {
    uint32_t mss = h->timestamps ? MSS_TS : MSS, first = h->irs + 1;
    struct seg s = hand_seg(h, ACK, "");
    s.ack = first + segments * mss;
    if (blocks > 0) {
        struct tarn_writer w = TARN_WRITER_ARRAY(s.options);
        w.len = s.options_len;
        tarn_writer_u32be(&w, 0x01010500 | (2 + 8 * blocks));
        for (unsigned i = 0; i < blocks; i++) {
            tarn_writer_u32be(&w, first + sack[i][0] * mss);
            tarn_writer_u32be(&w, first + sack[i][1] * mss);
        }
        s.options_len = w.len;
    }
    hand_send(h->net, &s);
}
static void ack(struct hand *h, uint32_t segments) {
    ack_with(h, segments, 0, NULL);
}
static void sack(struct hand *h, uint32_t segments, uint32_t from, uint32_t to) {
    const uint32_t block[1][2] = {{from, to}};
    ack_with(h, segments, 1, block);
}

/* The next segment sent is number `index`. */
static struct seg expect_segment(struct hand *h, uint32_t index) {
    struct seg s;
    uint32_t mss = h->timestamps ? MSS_TS : MSS;
    cr_assert(hand_take(h->net, &s), "segment %u was expected, nothing came", index);
    cr_assert_eq(s.seq, h->irs + 1 + index * mss, "segment %u was expected, %u came", index,
                 (s.seq - h->irs - 1) / mss);
    return s;
}

/* A passive open over a path of 20 ms: hand_passive's takes no time. */
static struct hand far_passive(unsigned with) {
    struct hand h = {.net = net_new(7, NULL, NULL),
                     .peer_port = 5555,
                     .port = 80,
                     .iss = 99,
                     .seq = 100,
                     .tsval = 1000,
                     .timestamps = with & WITH_TS};
    h.net->by_hand = true;
    h.listener = net_listen(h.net, 0, 80, 1);
    struct seg syn = hand_syn(&h, with);
    hand_send(h.net, &syn);
    struct seg answer = hand_expect(h.net, SYN | ACK);
    h.irs = answer.seq;
    h.ack = answer.seq + 1;
    net_run_for(h.net, TARN_MS(20));
    hand_give(&h, ACK, "");
    cr_assert_eq(tarn_listener_accept(h.listener, &h.flow), TARN_OK);
    return h;
}

/* Whether it is among what was sent since; takes all of that. */
static bool was_sent(struct hand *h, uint32_t index) {
    struct seg s;
    bool found = false;
    while (hand_take(h->net, &s))
        found |= s.seq == h->irs + 1 + index * MSS;
    return found;
}

Test(recovery, rfc5681_3_2_third_duplicate_retransmits) {
    struct hand h = hand_passive(0, NULL, NULL);
    fill_flight(&h, 0);
    ack(&h, 0);
    ack(&h, 0);
    hand_expect_none(h.net);
    ack(&h, 0);
    expect_segment(&h, 0);
    hand_expect_none(h.net);
    struct tarn_tcp_info i = info_of(h.flow);
    cr_assert(i.in_recovery);
    cr_assert_eq(i.ssthresh_bytes, 7 * MSS); /* CUBIC's 0.7 (RFC 9438 section 4.6) */
    hand_done(&h);
}

Test(recovery, rfc6582_3_2_partial_ack_retransmits_the_next_hole) {
    struct hand h = hand_passive(0, NULL, NULL);
    fill_flight(&h, 0);
    for (int i = 0; i < 3; i++)
        ack(&h, 0);
    expect_segment(&h, 0);
    ack(&h, 4); /* the fifth is missing too */
    expect_segment(&h, 4);
    ack(&h, 10);
    hand_expect_none(h.net);
    cr_assert_not(info_of(h.flow).in_recovery);
    cr_assert_eq(stats_of(h.net, 0).fast_recoveries, 1);
    hand_done(&h);
}

Test(recovery, rfc6675_holes_are_retransmitted_in_order_and_once) {
    struct hand h = hand_passive(WITH_SACK, NULL, NULL);
    const uint32_t two[2][2] = {{5, 8}, {2, 4}};
    fill_flight(&h, 0);
    ack_with(&h, 1, 2, two); /* 1 and 4 are missing */
    expect_segment(&h, 1);
    ack_with(&h, 1, 2, two);
    struct seg s;
    bool fourth = false;
    for (int i = 0; i < 4; i++) {
        sack(&h, 1, 2, 4);
        while (hand_take(h.net, &s)) {
            cr_assert_eq((s.seq - h.irs - 1) / MSS, 4);
            cr_assert_not(fourth, "sent again twice");
            fourth = true;
        }
        sack(&h, 2 + (uint32_t)i, 8, 9);
    }
    cr_assert(fourth);
    hand_done(&h);
}

/* Of ten the first is lost. While more is in flight than the halved window allows, less than one is
 * sent for one that arrives; then one for one; never a burst, and at the end the window is full. */
Test(recovery, rfc6937_3_sends_in_proportion_to_what_arrives) {
    struct hand h = far_passive(WITH_SACK);
    uint32_t in_flight = 10, sent = 0, arrived = 0;
    struct seg s;
    fill_flight(&h, 20);
    for (uint32_t behind = 2; behind <= 10; behind++) {
        unsigned now = 0;
        sack(&h, 0, 1, behind);
        in_flight--;
        while (hand_take(h.net, &s))
            now++;
        cr_assert_leq(now, 1, "a burst behind one ACK");
        in_flight += now;
        if (info_of(h.flow).in_recovery) {
            arrived++;
            sent += now;
        }
    }
    in_flight--; /* what was lost; its retransmission is counted */
    uint32_t allowed = info_of(h.flow).ssthresh_bytes;
    cr_assert_gt(arrived, 5);
    cr_assert_lt(sent, arrived);
    cr_assert_leq(in_flight * MSS, allowed);
    cr_assert_gt((in_flight + 1) * MSS, allowed, "room is left unused");
    ack(&h, 12);
    cr_assert_not(info_of(h.flow).in_recovery);
    cr_assert_leq(info_of(h.flow).cwnd_bytes, allowed + MSS);
    hand_done(&h);
}

Test(recovery, rfc8985_6_2_one_sack_waits_for_reordering) {
    struct hand h = far_passive(WITH_SACK);
    fill_flight(&h, 0);
    net_run_for(h.net, TARN_MS(20));
    sack(&h, 0, 1, 2);
    hand_expect_none(h.net);
    net_run_for(h.net, TARN_MS(4));
    hand_expect_none(h.net);
    net_run_for(h.net, TARN_MS(3)); /* a quarter of the round trip is over */
    expect_segment(&h, 0);
    cr_assert_eq(stats_of(h.net, 0).timeouts, 0);
    hand_done(&h);
}

Test(recovery, reordering_is_told_in_segments) {
    struct hand h = far_passive(WITH_SACK);
    fill_flight(&h, 0);
    net_run_for(h.net, TARN_MS(20));
    sack(&h, 0, 7, 8);
    cr_assert_eq(info_of(h.flow).reordering_segments, 0);
    sack(&h, 0, 3, 4);
    cr_assert_eq(info_of(h.flow).reordering_segments, 5);
    sack(&h, 0, 6, 7); /* less far than that one */
    cr_assert_eq(info_of(h.flow).reordering_segments, 5);
    hand_done(&h);
}

Test(recovery, rfc8985_6_2_lost_retransmission_is_found) {
    struct hand h = far_passive(WITH_SACK);
    fill_flight(&h, 10);
    net_run_for(h.net, TARN_MS(20));
    sack(&h, 0, 1, 5);
    cr_assert(was_sent(&h, 0));
    net_run_for(h.net, TARN_MS(1));
    sack(&h, 0, 1, 10);
    cr_assert(was_sent(&h, 11)); /* new data, behind the retransmission */
    net_run_for(h.net, TARN_MS(20));
    sack(&h, 0, 1, 12); /* it arrives, and the retransmission does not */
    cr_assert(was_sent(&h, 0));
    cr_assert_eq(stats_of(h.net, 0).timeouts, 0);
    hand_done(&h);
}

/* -- the tail loss probe -- */

Test(recovery, rfc8985_7_probe_sends_the_last_segment_again) {
    struct hand h = hand_passive(WITH_SACK, NULL, NULL);
    fill_flight(&h, 0);
    net_run_for(h.net, TARN_MS(3));
    expect_segment(&h, 9);
    hand_expect_none(h.net);
    struct tarn_tcp_stats s = stats_of(h.net, 0);
    cr_assert(s.tail_probes == 1 && s.timeouts == 0);
    hand_done(&h);
}

/* The probe is out, and all of the flight is acknowledged. */
static struct hand probed(unsigned with) {
    struct hand h = hand_passive(with, NULL, NULL);
    fill_flight(&h, 0);
    net_run_for(h.net, TARN_MS(3));
    expect_segment(&h, 9);
    return h;
}

Test(recovery, rfc8985_7_4_2_probe_that_filled_a_hole_is_a_loss) {
    struct hand h = probed(WITH_SACK);
    uint32_t before = info_of(h.flow).cwnd_bytes;
    ack(&h, 10);
    cr_assert_geq(info_of(h.flow).cwnd_bytes, before); /* of which of the two, nobody knows yet */
    before = info_of(h.flow).cwnd_bytes;
    fill_flight(&h, 0);
    ack(&h, 11); /* and no duplicate has been reported */
    cr_assert_lt(info_of(h.flow).cwnd_bytes, before);
    hand_done(&h);
}

Test(recovery, rfc8985_7_4_2_duplicate_means_that_nothing_was_lost) {
    struct hand h = probed(WITH_SACK);
    uint32_t before = info_of(h.flow).cwnd_bytes;
    ack(&h, 10);
    sack(&h, 10, 9, 10); /* the probe came twice (RFC 2883) */
    fill_flight(&h, 0);
    ack(&h, 11);
    cr_assert_geq(info_of(h.flow).cwnd_bytes, before);
    hand_done(&h);
}

Test(recovery, rfc8985_7_4_2_timestamp_tells_which_of_the_two_arrived) {
    for (uint32_t again = 0; again < 2; again++) {
        struct hand h = probed(WITH_SACK | WITH_TS);
        uint32_t before = info_of(h.flow).cwnd_bytes;
        h.tsecr += 3 * again;
        ack(&h, 10);
        cr_assert_eq(info_of(h.flow).cwnd_bytes < before, again == 1);
        hand_done(&h);
    }
}

/* -- timeouts that were none -- */

/* All is late: the timeout retransmits the first. */
static void time_out(struct hand *h) {
    net_run_for(h->net, TARN_MS(450));
    hand_drop_all(h->net);
    cr_assert_eq(stats_of(h->net, 0).timeouts, 1);
    cr_assert(info_of(h->flow).in_loss);
}

Test(recovery, rfc3522_3_echo_of_the_first_transmission_undoes_a_timeout) {
    struct hand h = hand_passive(WITH_SACK | WITH_TS, NULL, NULL);
    fill_flight(&h, 0);
    uint32_t before = info_of(h.flow).cwnd_bytes;
    time_out(&h);
    ack(&h, 2); /* h.tsecr is of the handshake: older than any retransmission */
    struct tarn_tcp_info i = info_of(h.flow);
    cr_assert_not(i.in_loss);
    cr_assert_geq(i.cwnd_bytes, before);
    cr_assert_eq(i.ssthresh_bytes, UINT32_MAX);
    cr_assert_eq(i.spurious_recoveries, 1);
    hand_expect_none(h.net);
    hand_done(&h);
}

Test(recovery, rfc3522_3_echo_of_the_retransmission_does_not) {
    struct hand h = hand_passive(WITH_SACK | WITH_TS, NULL, NULL);
    fill_flight(&h, 0);
    time_out(&h);
    h.tsecr += 450;
    ack(&h, 1);
    cr_assert(info_of(h.flow).in_loss);
    expect_segment(&h, 1);
    hand_done(&h);
}

Test(recovery, rfc5682_3_1_two_new_segments_and_an_ack_undo_a_timeout) {
    static const unsigned kinds[] = {0, WITH_SACK};
    for (size_t k = 0; k < TARN_COUNT_OF(kinds); k++) {
        struct hand h = hand_passive(kinds[k], NULL, NULL);
        fill_flight(&h, 5);
        uint32_t before = info_of(h.flow).cwnd_bytes;
        time_out(&h);
        ack(&h, 1);
        uint32_t next = kinds[k] ? 11 : 10; /* with SACK, a probe has gone out before */
        expect_segment(&h, next);           /* new ones, and not what is thought lost */
        expect_segment(&h, next + 1);
        hand_expect_none(h.net);
        ack(&h, 2);
        struct tarn_tcp_info i = info_of(h.flow);
        cr_assert_not(i.in_loss);
        cr_assert_geq(i.cwnd_bytes, before);
        cr_assert_eq(i.spurious_recoveries, 1);
        struct seg s;
        while (hand_take(h.net, &s))
            cr_assert_geq(s.seq, h.irs + 1 + (next + 2) * MSS, "%u was sent again",
                          (s.seq - h.irs - 1) / MSS);
        hand_done(&h);
    }
}

Test(recovery, rfc5682_2_1_duplicate_means_that_it_was_lost) {
    struct hand h = hand_passive(0, NULL, NULL);
    fill_flight(&h, 5);
    time_out(&h);
    ack(&h, 1);
    expect_segment(&h, 10);
    expect_segment(&h, 11);
    ack(&h, 1);
    cr_assert(info_of(h.flow).in_loss);
    cr_assert_leq(info_of(h.flow).cwnd_bytes, 3 * MSS);
    expect_segment(&h, 1);
    hand_done(&h);
}

Test(recovery, rfc5682_3_1_sack_of_the_new_segments_means_that_it_was_lost) {
    struct hand h = hand_passive(WITH_SACK, NULL, NULL);
    fill_flight(&h, 5);
    time_out(&h);
    ack(&h, 1);
    expect_segment(&h, 11);
    expect_segment(&h, 12);
    sack(&h, 1, 11, 12);
    cr_assert(info_of(h.flow).in_loss);
    expect_segment(&h, 1);
    hand_done(&h);
}

Test(recovery, rfc5682_2_1_nothing_new_to_send_means_the_usual) {
    struct hand h = hand_passive(0, NULL, NULL);
    fill_flight(&h, 0);
    time_out(&h);
    ack(&h, 1);
    expect_segment(&h, 1);
    hand_done(&h);
}

Test(recovery, rfc3708_duplicates_reported_for_all_undo_a_recovery) {
    struct hand h = hand_passive(WITH_SACK, NULL, NULL);
    fill_flight(&h, 0);
    uint32_t before = info_of(h.flow).cwnd_bytes;
    sack(&h, 0, 1, 4);
    expect_segment(&h, 0);
    cr_assert(info_of(h.flow).in_recovery);
    ack(&h, 4);        /* it was only late ... */
    sack(&h, 5, 0, 1); /* ... and came twice */
    struct tarn_tcp_info i = info_of(h.flow);
    cr_assert_not(i.in_recovery);
    cr_assert_geq(i.cwnd_bytes, before);
    cr_assert_eq(i.spurious_recoveries, 1);
    hand_done(&h);
}

/* -- ECN (RFC 3168) -- */

static const struct tarn_tcp_options ask = {.ecn = TARN_TCP_ECN_ASK};

/* Host 0 connects, and both speak ECN. */
static struct hand ecn_active(void) {
    struct hand h = {.net = net_new(7, NULL, &ask), .peer_port = 5555, .iss = 99, .seq = 100};
    h.net->by_hand = true;
    h.flow = net_open(h.net, 0, h.peer_port);
    net_turn(h.net);
    struct seg syn = hand_expect(h.net, SYN | ECE | CWR);
    cr_assert_eq(syn.tos & 3, 0); /* section 6.1.1: not ECT */
    h.port = syn.src;
    h.irs = syn.seq;
    h.ack = syn.seq + 1;
    struct seg answer = hand_syn(&h, WITH_SACK);
    answer.flags = SYN | ACK | ECE;
    answer.ack = h.ack;
    hand_send(h.net, &answer);
    cr_assert_eq(hand_expect(h.net, ACK).tos & 3, 0); /* section 6.1.4: nor is a bare ACK */
    cr_assert(info_of(h.flow).ecn);
    return h;
}

Test(recovery, rfc3168_6_1_2_echo_reduces_once_a_round_trip) {
    struct hand h = ecn_active();
    static char data[20 * MSS];
    size_t n;
    cr_assert_eq(tarn_flow_write(h.flow, tarn_span_of(data, sizeof data), &n), TARN_OK);
    net_turn(h.net);
    for (int i = 0; i < 10; i++)
        cr_assert_eq(expect_segment(&h, (uint32_t)i).tos & 3, 2); /* ECT(0) */
    struct seg s = hand_seg(&h, ACK | ECE, "");
    s.ack += 2 * MSS;
    hand_send(h.net, &s);
    uint32_t ssthresh = info_of(h.flow).ssthresh_bytes;
    cr_assert_eq(ssthresh, 7 * MSS);
    s.ack += 4 * MSS;
    hand_send(h.net, &s); /* the same round trip */
    cr_assert_eq(info_of(h.flow).ssthresh_bytes, ssthresh);
    bool cwr = false;
    while (hand_take(h.net, &s)) {
        if (s.len > 0 && !cwr)
            cr_assert(s.flags & CWR); /* the first new segment says so, once */
        else
            cr_assert_not(s.flags & CWR);
        cwr |= s.len > 0;
    }
    cr_assert(cwr);
    cr_assert_eq(stats_of(h.net, 0).retransmits, 0);
    hand_done(&h);
}

Test(recovery, rfc3168_6_1_5_retransmission_is_not_ect) {
    struct hand h = ecn_active();
    static char data[10 * MSS];
    size_t n;
    cr_assert_eq(tarn_flow_write(h.flow, tarn_span_of(data, sizeof data), &n), TARN_OK);
    net_turn(h.net);
    hand_drop_all(h.net);
    sack(&h, 0, 1, 4);
    cr_assert_eq(expect_segment(&h, 0).tos & 3, 0);
    hand_done(&h);
}

Test(recovery, rfc3168_6_1_3_mark_is_echoed_until_cwr) {
    struct hand h = ecn_active();
    h.net->mark_tos = 3;
    hand_give(&h, ACK | PSH, "marked");
    hand_expect(h.net, ACK | ECE);
    h.net->mark_tos = 2;
    hand_give(&h, ACK | PSH, "not marked");
    hand_expect(h.net, ACK | ECE);
    hand_give(&h, ACK | PSH | CWR, "heard");
    hand_expect(h.net, ACK);
    hand_done(&h);
}

Test(recovery, rfc3168_6_1_1_passive_side_answers_ece) {
    struct hand h = {.net = net_new(7, NULL, NULL), .peer_port = 5555, .port = 80, .iss = 9};
    h.net->by_hand = true;
    h.listener = net_listen(h.net, 0, 80, 1);
    struct seg syn = hand_syn(&h, 0);
    syn.flags = SYN | ECE | CWR;
    hand_send(h.net, &syn);
    hand_expect(h.net, SYN | ACK | ECE);
    hand_done(&h);
}

/* -- paths that swallow full segments -- */

Test(recovery, rfc8899_4_3_black_hole_is_found_without_icmp) {
    struct hand h = hand_passive(WITH_SACK, NULL, NULL);
    fill_flight(&h, 0);
    struct seg s;
    uint32_t smallest = MSS;
    for (int i = 0; i < 20 && smallest == MSS; i++) {
        net_run_for(h.net, TARN_MS(500));
        while (hand_take(h.net, &s))
            smallest = TARN_MIN(smallest, (uint32_t)s.len);
    }
    cr_assert_leq(smallest, 1280 - 40);
    cr_assert_eq(info_of(h.flow).path_mtu, 1280);
    hand_done(&h);
}

/* A connection whose handshake took a round trip of 10 ms. */
static struct hand ten_ms_away(void) {
    struct hand h = {.net = net_new(7, NULL, NULL), .peer_port = 5555, .port = 80, .iss = 9};
    h.net->by_hand = true;
    h.listener = net_listen(h.net, 0, 80, 1);
    struct seg syn = hand_syn(&h, WITH_SACK);
    hand_send(h.net, &syn);
    h.irs = hand_expect(h.net, SYN | ACK).seq;
    h.seq = h.iss + 1;
    h.ack = h.irs + 1;
    net_run_for(h.net, TARN_MS(10));
    hand_give(&h, ACK, "");
    cr_assert_eq(tarn_listener_accept(h.listener, &h.flow), TARN_OK);
    return h;
}

/* Of one super-segment's record, only a part was sent again: the rest was not, and when it arrives
 * late, it was overtaken. */
Test(recovery, rfc8985_6_2_rest_of_a_record_was_not_sent_again) {
    struct hand h = ten_ms_away();
    static const uint32_t two[2][2] = {{3, 4}, {7, 8}};
    h.net->rules.whole = true;
    static char data[10 * MSS];
    size_t n;
    cr_assert_eq(tarn_flow_write(h.flow, tarn_span_of(data, sizeof data), &n), TARN_OK);
    net_turn(h.net);
    hand_drop_all(h.net);
    net_run_for(h.net, TARN_MS(10));
    sack(&h, 0, 7, 8);
    hand_expect_none(h.net);
    net_run_for(h.net, TARN_MS(4)); /* the reordering timer */
    cr_assert_eq(expect_segment(&h, 0).len, MSS);
    hand_drop_all(h.net);
    ack_with(&h, 0, 2, two);
    cr_assert_eq(info_of(h.flow).reordering_segments, 5); /* 7 came before 3 */
    hand_done(&h);
}

/* Section 6.2, step 3: what arrives below the highest that has, and was sent once, was overtaken,
 * also where a retransmission arrived just before. Then the last segment has a quarter of a round
 * trip more, and the ACK that brings no news of loss lets one more go (RFC 9937). */
Test(recovery, rfc8985_6_2_late_segment_behind_a_retransmission_is_reordering) {
    static const uint32_t two[2][2] = {{1, 3}, {8, 9}};
    struct hand h = ten_ms_away();
    fill_flight(&h, 0);
    net_run_for(h.net, TARN_MS(10));
    sack(&h, 0, 1, 2);
    sack(&h, 0, 1, 3);
    ack_with(&h, 0, 2, two);
    expect_segment(&h, 0);
    net_run_for(h.net, TARN_MS(12));
    sack(&h, 4, 8, 9);
    for (uint32_t i = 4; i < 7; i++)
        cr_assert_eq(expect_segment(&h, i).len, MSS);
    hand_expect_none(h.net);
    cr_assert_eq(info_of(h.flow).reordering_segments, 6);
    hand_done(&h);
}
