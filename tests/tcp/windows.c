/* SPDX-License-Identifier: ISC */
/* Windows, Nagle, delayed ACKs, probes, keepalive, timeouts: what goes out when. */
#include "hand.h"

#include <criterion/criterion.h>
#include <string.h>

static char big[20000];

static void fill_big(void) {
    memset(big, 'b', sizeof big - 1);
}

/* An ACK of everything so far with that window. */
static void window(struct hand *h, uint32_t acked, uint16_t wnd) {
    h->ack += acked;
    struct seg s = hand_seg(h, ACK, "");
    s.wnd = wnd;
    hand_send(h->net, &s);
}

Test(windows, rfc6928_initial_window_is_ten_segments) {
    fill_big();
    struct hand h = hand_passive(0, NULL, NULL);
    h.net->rules.whole = true;
    hand_write(&h, big);
    struct seg s = hand_expect(h.net, ACK | PSH);
    cr_assert_eq(s.len, 10 * 1460); /* one super-segment */
    hand_expect_none(h.net);
    hand_done(&h);
}

Test(windows, fin_takes_no_place_in_the_congestion_window) {
    fill_big();
    struct hand h = hand_passive(0, NULL, NULL);
    h.net->rules.whole = true;
    big[10 * 1460] = 0;
    hand_write(&h, big);
    hand_expect(h.net, ACK | PSH);
    cr_assert_eq(info_of(h.flow).in_flight_bytes, info_of(h.flow).cwnd_bytes);
    tarn_flow_shutdown(h.flow);
    net_turn(h.net);
    cr_assert_eq(hand_expect(h.net, ACK | FIN).seq, h.ack + 10 * 1460);
    hand_done(&h);
}

/* One segment in flight: twice the round trip and the delay of an ACK are more than the timeout. */
Test(windows, rfc8985_7_2_probe_takes_the_timeouts_place) {
    struct hand h = hand_passive(WITH_SACK, NULL, NULL);
    hand_write(&h, "?");
    net_run_for(h.net, TARN_MS(20));
    window(&h, 1, 65535);
    hand_write(&h, "!");
    hand_drop_all(h.net);
    struct tarn_tcp_info before = info_of(h.flow);
    net_run_for(h.net, before.rto + TARN_MS(1));
    cr_assert_eq(hand_expect(h.net, ACK | PSH).seq, h.ack);
    cr_assert_eq(info_of(h.flow).tail_probes, 1);
    cr_assert_eq(info_of(h.flow).timeouts, 0);
    cr_assert_eq(info_of(h.flow).cwnd_bytes, before.cwnd_bytes);
    net_run_for(h.net, before.rto + TARN_MS(1));
    cr_assert_eq(info_of(h.flow).timeouts, 1);
    hand_done(&h);
}

Test(windows, rfc9293_3_7_4_nagle_holds_the_second_small_segment) {
    struct hand h = hand_passive(0, NULL, NULL);
    hand_write(&h, "one");
    hand_expect(h.net, ACK | PSH);
    hand_write(&h, "two");
    hand_expect_none(h.net);
    window(&h, 3, 65535);
    cr_assert_eq(hand_expect(h.net, ACK | PSH).len, 3);
    window(&h, 3, 65535);
    cr_assert_eq(tarn_tcp_set_nodelay(h.flow, true), TARN_OK);
    hand_write(&h, "three");
    hand_expect(h.net, ACK | PSH);
    hand_write(&h, "four");
    hand_expect(h.net, ACK | PSH);
    hand_done(&h);
}

Test(windows, rfc9293_3_8_6_1_zero_window_is_probed_and_opens) {
    struct hand h = hand_passive(0, NULL, NULL);
    hand_write(&h, "!");
    hand_expect(h.net, ACK | PSH);
    window(&h, 1, 0);
    hand_write(&h, "waiting");
    hand_expect_none(h.net);
    for (int i = 0; i < 4; i++) {
        net_run_for(h.net, TARN_SEC(4) << i);
        struct seg p;
        unsigned probes = 0;
        while (hand_take(h.net, &p)) {
            cr_assert_eq(p.len, 0);
            cr_assert_eq(p.seq, h.ack - 1);
            probes++;
        }
        cr_assert_geq(probes, 1);
        window(&h, 0, 0);
    }
    window(&h, 0, 1000);
    cr_assert_eq(hand_expect(h.net, ACK | PSH).len, 7);
    hand_done(&h);
}

Test(windows, rfc9293_3_8_6_1_probes_slow_down_no_retransmission) {
    struct hand h = hand_passive(0, NULL, NULL);
    hand_write(&h, "!");
    hand_expect(h.net, ACK | PSH);
    window(&h, 1, 0);
    hand_write(&h, "waiting");
    for (int i = 0; i < 6; i++) {
        net_run_for(h.net, TARN_SEC(4) << i);
        hand_drop_all(h.net);
        window(&h, 0, 0);
    }
    window(&h, 0, 1000);
    cr_assert_eq(hand_expect(h.net, ACK | PSH).len, 7);
    /* It is lost, and goes again as soon as what has never waited. */
    net_run_for(h.net, TARN_SEC(2));
    cr_assert_eq(hand_expect(h.net, ACK | PSH).len, 7);
    hand_done(&h);
}

Test(windows, rfc9293_3_8_6_window_that_closes_unused_is_not_sent_into) {
    struct hand h = hand_passive(0, NULL, NULL);
    window(&h, 0, 100);
    cr_assert_eq(info_of(h.flow).snd_wnd_bytes, 65535, "it may have been overtaken");
    window(&h, 0, 0);
    cr_assert_eq(info_of(h.flow).snd_wnd_bytes, 0);
    hand_write(&h, "waiting");
    hand_expect_none(h.net);
    net_run_for(h.net, TARN_SEC(60));
    cr_assert_eq(hand_expect(h.net, ACK).len, 0);
    hand_drop_all(h.net);
    window(&h, 0, 1000);
    cr_assert_eq(hand_expect(h.net, ACK | PSH).len, 7, "at once");
    hand_done(&h);
}

Test(windows, rfc9293_3_8_6_what_a_closing_window_met_goes_again_when_it_opens) {
    struct hand h = hand_passive(0, NULL, NULL);
    hand_write(&h, "thrown away");
    for (int i = 0; i < 60; i++) {
        hand_drop_all(h.net);
        window(&h, 0, 0);
        net_run_for(h.net, TARN_SEC(1));
    }
    cr_assert_geq(info_of(h.flow).backoffs, 6);
    hand_drop_all(h.net);
    window(&h, 0, 1000);
    cr_assert_eq(hand_expect(h.net, ACK | PSH).len, 11, "at once");
    window(&h, 11, 1000);
    cr_assert_eq(info_of(h.flow).backoffs, 0);
    net_run_for(h.net, TARN_SEC(10));
    hand_expect_none(h.net);
    hand_done(&h);
}

Test(windows, rfc9293_3_8_6_2_1_sender_waits_for_a_window_worth_filling) {
    fill_big();
    struct hand h = hand_passive(0, NULL, NULL);
    hand_write(&h, "!");
    hand_expect(h.net, ACK | PSH);
    window(&h, 1, 100); /* less than half of the largest window seen */
    hand_write(&h, big);
    hand_expect_none(h.net);
    net_run_for(h.net, TARN_SEC(2));
    cr_assert_eq(hand_expect(h.net, ACK).len, 100); /* the override timer */
    hand_done(&h);
}

Test(windows, rfc9293_3_8_6_2_2_receiver_promises_no_small_steps) {
    struct tarn_tcp_limits limits = {.rcv_buf_bytes_max = 4096};
    struct hand h = hand_passive(0, &limits, NULL);
    static char text[1400];
    memset(text, 'x', sizeof text - 1);
    hand_give(&h, ACK, text);
    hand_give(&h, ACK, text);
    text[1298] = 0;
    hand_give(&h, ACK, text);
    struct seg last = {0}, s;
    while (hand_take(h.net, &s))
        last = s;
    cr_assert_eq(last.wnd, 0);
    char buf[4096];
    size_t n;
    cr_assert_eq(tarn_flow_read(h.flow, tarn_bytes_of(buf, 500), &n), TARN_OK);
    net_turn(h.net);
    hand_expect_none(h.net);
    cr_assert_eq(tarn_flow_read(h.flow, tarn_bytes_of(buf, 4096), &n), TARN_OK);
    net_turn(h.net);
    cr_assert_eq(hand_expect(h.net, ACK).wnd, 4096);
    hand_done(&h);
}

Test(windows, delayed_ack_after_the_quick_ones) {
    struct hand h = hand_passive(0, NULL, NULL);
    for (int i = 0; i < 16; i++) {
        hand_give(&h, ACK | PSH, "quick");
        hand_expect(h.net, ACK);
    }
    hand_give(&h, ACK | PSH, "slow");
    hand_expect_none(h.net);
    net_run_for(h.net, TARN_MS(39));
    hand_expect_none(h.net);
    net_run_for(h.net, TARN_MS(2));
    cr_assert_eq(hand_expect(h.net, ACK).ack, h.seq);
    hand_give(&h, ACK | PSH, "ride");
    hand_write(&h, "answer"); /* the ACK rides on it */
    cr_assert_eq(hand_expect(h.net, ACK | PSH).ack, h.seq);
    net_run_for(h.net, TARN_MS(50));
    hand_expect_none(h.net);
    hand_done(&h);
}

Test(windows, rfc6298_5_timeout_doubles) {
    struct hand h = hand_passive(0, NULL, NULL);
    hand_write(&h, "lost");
    hand_expect(h.net, ACK | PSH);
    tarn_time last = h.net->now, gap = 0;
    for (int i = 0; i < 5; i++) {
        struct seg s;
        while (!h.net->caught)
            net_run_for(h.net, TARN_MS(1));
        cr_assert(hand_take(h.net, &s));
        cr_assert_eq(s.len, 4);
        tarn_time took = h.net->now - last;
        if (gap)
            cr_assert(took > gap * 19 / 10 && took < gap * 21 / 10);
        gap = took;
        last = h.net->now;
    }
    hand_done(&h);
}

Test(windows, user_timeout_ends_it) {
    struct hand h = hand_passive(0, NULL, NULL);
    cr_assert_eq(tarn_tcp_set_user_timeout(h.flow, TARN_SEC(10)), TARN_OK);
    hand_write(&h, "nobody hears");
    net_run_for(h.net, TARN_MS(9500));
    cr_assert_eq(hand_state(&h), TARN_TCP_ESTABLISHED);
    net_run_for(h.net, TARN_SEC(1));
    cr_assert_eq(hand_state(&h), TARN_TCP_CLOSED);
    size_t n;
    cr_assert_eq(tarn_flow_read(h.flow, (struct tarn_bytes){0}, &n), TARN_IO);
    hand_done(&h);
}

Test(windows, keepalive_probes_and_gives_up) {
    struct hand h = hand_passive(0, NULL, NULL);
    struct seg s;
    cr_assert_eq(tarn_tcp_set_keepalive(h.flow, TARN_SEC(60), TARN_SEC(10), 3), TARN_OK);
    net_run_for(h.net, TARN_SEC(59));
    hand_expect_none(h.net);
    net_run_for(h.net, TARN_SEC(2));
    cr_assert_eq(hand_expect(h.net, ACK).seq, h.ack - 1);
    hand_give(&h, ACK, ""); /* an answer: all is well for another minute */
    net_run_for(h.net, TARN_SEC(58));
    hand_expect_none(h.net);
    net_run_for(h.net, TARN_SEC(40));
    unsigned probes = 0;
    bool reset = false;
    while (hand_take(h.net, &s)) {
        probes += s.flags == ACK;
        reset |= (s.flags & RST) != 0;
    }
    cr_assert_eq(probes, 3);
    cr_assert(reset);
    cr_assert_eq(hand_state(&h), TARN_TCP_CLOSED);
    hand_done(&h);
}

Test(windows, fin_wait_2_of_a_closed_flow_ends) {
    struct hand h = hand_passive(0, NULL, NULL);
    tarn_flow_close(h.flow);
    h.flow = NULL;
    net_turn(h.net);
    h.ack++;
    hand_give(&h, ACK, "");
    cr_assert_eq(stats_of(h.net, 0).connections, 1);
    net_run_for(h.net, TARN_SEC(61));
    cr_assert_eq(stats_of(h.net, 0).connections, 0);
    hand_done(&h);
}

Test(windows, rfc5927_too_big_is_believed_only_about_what_is_in_flight) {
    fill_big();
    struct hand h = hand_passive(0, NULL, NULL);
    hand_write(&h, big);
    hand_drop_all(h.net);
    uint8_t quoted[8] = {0, 80, 0x15, 0xb3};
    struct tarn_ip_meta meta = {.src = h.net->hosts[0].addr, .dst = h.net->hosts[1].addr};
    struct tarn_tcp *tcp = h.net->hosts[0].tcp;
    for (int good = 0; good < 2; good++) {
        uint32_t seq = good ? h.ack : h.ack - 1;
        for (unsigned i = 0; i < 4; i++)
            quoted[4 + i] = (uint8_t)(seq >> (24 - 8 * i));
        tarn_tcp_error(tcp, &meta, TARN_IP_ERROR_TOO_BIG, 1000, TARN_SPAN_ARRAY(quoted),
                       h.net->now);
        cr_assert_eq(info_of(h.flow).path_mtu, good ? 1000 : 1500);
    }
    cr_assert_eq(info_of(h.flow).snd_mss, 960);
    h.net->hosts[0].mtu = 1000;
    net_turn(h.net);
    cr_assert_eq(hand_expect(h.net, ACK).seq, h.ack); /* at once again, in smaller pieces */
    tarn_tcp_error(tcp, &meta, TARN_IP_ERROR_PORT, 0, TARN_SPAN_ARRAY(quoted), h.net->now);
    cr_assert_eq(hand_state(&h), TARN_TCP_ESTABLISHED);
    hand_done(&h);
}

/* The peer acknowledges some, and takes the window back from behind the rest. */
Test(windows, acks_carry_a_number_that_the_peer_can_take) {
    fill_big();
    struct hand h = hand_passive(0, NULL, NULL);
    hand_write(&h, big);
    hand_drop_all(h.net);
    window(&h, 1460, 100);
    hand_drop_all(h.net);
    struct seg s = hand_seg(&h, ACK | PSH, "?");
    s.wnd = 100;
    hand_send(h.net, &s);
    h.seq++;
    cr_assert_eq(hand_expect(h.net, ACK).seq, h.ack + 100);
    hand_done(&h);
}

/* Or two that are out of step would answer each other at the rate of the line. */
Test(windows, empty_segments_astray_are_answered_twice_a_second) {
    struct hand h = hand_passive(0, NULL, NULL);
    h.seq -= 10;
    for (int second = 0; second < 3; second++) {
        for (int i = 0; i < 50; i++) {
            struct seg answer;
            hand_give(&h, ACK, "");
            cr_assert_eq(hand_take(h.net, &answer), i == 0 || i == 25, "second %d, %d", second, i);
            net_run_for(h.net, TARN_MS(20));
        }
    }
    hand_give(&h, ACK | PSH, "1234567890"); /* known data always is: its ACK may have been lost */
    cr_assert_eq(hand_expect(h.net, ACK).ack, h.seq);
    hand_done(&h);
}

/* An owner that answers at once: its answers carry the ACKs. */
Test(windows, answers_take_the_quick_acks_place) {
    struct hand h = hand_passive(0, NULL, NULL);
    hand_give(&h, ACK | PSH, "one");
    hand_expect(h.net, ACK); /* at once: the connection is young */
    hand_write(&h, "answer");
    hand_expect(h.net, ACK | PSH);
    h.ack += 6;
    hand_give(&h, ACK | PSH, "two");
    hand_expect_none(h.net);
    hand_write(&h, "answer");
    cr_assert_eq(hand_expect(h.net, ACK | PSH).ack, h.seq);
    h.ack += 6;
    hand_give(&h, ACK | PSH, "three"); /* no answer: the delayed ACK */
    hand_expect_none(h.net);
    net_run_for(h.net, TARN_MS(45));
    hand_expect(h.net, ACK);
    hand_done(&h);
}

Test(windows, what_more_is_to_follow_is_not_pushed) {
    struct hand h = hand_passive(0, NULL, NULL);
    size_t n;
    fill_big();
    cr_assert_eq(tarn_tcp_write_more(h.flow, tarn_span_of(big, 1500), &n), TARN_OK);
    net_turn(h.net);
    cr_assert_eq(hand_expect(h.net, ACK).len, 1460);
    hand_expect_none(h.net);
    window(&h, 1460, 65535);
    cr_assert_eq(hand_expect(h.net, ACK).len, 40); /* an ACK ends the wait */
    hand_done(&h);
}
