/* SPDX-License-Identifier: ISC */
/* RFC 9293 section 3.10.7 and RFC 5961: what each state makes of SYN, RST, FIN and ACK. */
#include "hand.h"

#include <criterion/criterion.h>

static const enum tarn_tcp_state synchronized[] = {
    TARN_TCP_ESTABLISHED, TARN_TCP_FIN_WAIT_1, TARN_TCP_FIN_WAIT_2, TARN_TCP_CLOSE_WAIT,
    TARN_TCP_CLOSING,     TARN_TCP_LAST_ACK,   TARN_TCP_TIME_WAIT,
};

Test(states, rfc5961_3_exact_reset_closes_every_state) {
    for (size_t i = 0; i < TARN_COUNT_OF(synchronized); i++) {
        struct hand h = hand_in_state(synchronized[i]);
        hand_give(&h, RST, "");
        cr_assert_eq(hand_state(&h), TARN_TCP_CLOSED, "%s", tarn_tcp_state_name(synchronized[i]));
        hand_expect_none(h.net);
        hand_done(&h);
    }
}

Test(states, rfc5961_3_reset_elsewhere_in_window_is_challenged) {
    for (size_t i = 0; i < TARN_COUNT_OF(synchronized); i++) {
        struct hand h = hand_in_state(synchronized[i]);
        h.seq += 100;
        hand_give(&h, RST, "");
        cr_assert_eq(hand_state(&h), synchronized[i]);
        if (synchronized[i] != TARN_TCP_TIME_WAIT) /* which has nothing to lose */
            cr_assert_eq(hand_expect(h.net, ACK).ack, h.seq - 100);
        hand_expect_none(h.net);
        hand_done(&h);
    }
}

/* Some systems reset behind their FIN with the number that it had. */
Test(states, reset_with_the_number_of_the_fin_is_exact) {
    static const enum tarn_tcp_state behind_fin[] = {TARN_TCP_CLOSE_WAIT, TARN_TCP_CLOSING,
                                                     TARN_TCP_LAST_ACK};
    for (size_t i = 0; i < TARN_COUNT_OF(behind_fin); i++) {
        struct hand h = hand_in_state(behind_fin[i]);
        h.seq--;
        hand_give(&h, RST, "");
        cr_assert_eq(hand_state(&h), TARN_TCP_CLOSED);
        hand_expect_none(h.net);
        hand_done(&h);
    }
}

/* What was written before our FIN may be lost: the owner must hear of it. */
Test(states, reset_before_our_fin_is_acknowledged_is_reported) {
    static const enum tarn_tcp_state before[] = {TARN_TCP_CLOSING, TARN_TCP_LAST_ACK};
    for (size_t i = 0; i < TARN_COUNT_OF(before); i++) {
        struct hand h = hand_in_state(before[i]);
        size_t n;
        hand_give(&h, RST, "");
        cr_assert_eq(tarn_flow_writev(h.flow, NULL, 0, &n), TARN_PEER);
        hand_done(&h);
    }
}

Test(states, rfc5961_3_reset_out_of_window_is_dropped) {
    for (size_t i = 0; i < TARN_COUNT_OF(synchronized); i++) {
        struct hand h = hand_in_state(synchronized[i]);
        h.seq -= 100;
        hand_give(&h, RST, "");
        cr_assert_eq(hand_state(&h), synchronized[i]);
        hand_expect_none(h.net);
        hand_done(&h);
    }
}

Test(states, rfc5961_4_syn_is_challenged_in_every_state) {
    for (size_t i = 0; i < TARN_COUNT_OF(synchronized); i++) {
        for (int off = -100; off <= 100; off += 100) {
            struct hand h = hand_in_state(synchronized[i]);
            struct seg s = hand_seg(&h, SYN, "");
            s.seq += (uint32_t)off;
            hand_send(h.net, &s);
            cr_assert_eq(hand_state(&h), synchronized[i]);
            cr_assert_eq(hand_expect(h.net, ACK).ack, h.seq);
            hand_expect_none(h.net);
            hand_done(&h);
        }
    }
}

Test(states, segment_without_ack_is_dropped) {
    for (size_t i = 0; i < TARN_COUNT_OF(synchronized); i++) {
        if (synchronized[i] == TARN_TCP_TIME_WAIT)
            continue;
        struct hand h = hand_in_state(synchronized[i]);
        hand_give(&h, PSH, "data");
        h.seq -= 1000; /* out of the window, too */
        hand_give(&h, FIN, "");
        cr_assert_eq(hand_state(&h), synchronized[i]);
        hand_expect_none(h.net);
        cr_assert_eq(stats_of(h.net, 0).drop_flags, 2);
        hand_done(&h);
    }
}

/* RFC 5961 section 5.2: data with an ACK that nobody can have sent is not taken. */
Test(states, rfc5961_5_data_with_too_old_an_ack_is_challenged) {
    struct hand h = hand_in_state(TARN_TCP_ESTABLISHED);
    hand_write(&h, "hello");
    hand_expect(h.net, ACK | PSH);
    h.ack += 5;
    hand_give(&h, ACK, "");
    h.ack -= 5; /* an ACK from before that one, late: nothing is wrong */
    hand_give(&h, ACK, "");
    hand_expect_none(h.net);
    h.ack -= 1;
    hand_give(&h, ACK | PSH, "evil");
    struct seg ack = hand_expect(h.net, ACK);
    cr_assert_eq(ack.ack, h.seq - 4);
    cr_assert_eq(stats_of(h.net, 0).drop_bad_ack, 1);
    size_t n;
    uint8_t byte;
    cr_assert_eq(tarn_flow_read(h.flow, tarn_bytes_of(&byte, 1), &n), TARN_AGAIN);
    hand_done(&h);
}

Test(states, ack_of_what_was_never_sent_is_answered_with_an_ack) {
    for (size_t i = 0; i < TARN_COUNT_OF(synchronized); i++) {
        if (synchronized[i] == TARN_TCP_TIME_WAIT)
            continue;
        struct hand h = hand_in_state(synchronized[i]);
        h.ack += 10000;
        hand_give(&h, ACK, "");
        cr_assert_eq(hand_state(&h), synchronized[i]);
        hand_expect(h.net, ACK);
        cr_assert_eq(stats_of(h.net, 0).drop_bad_ack, 1);
        hand_done(&h);
    }
}

Test(states, fin_moves_each_state) {
    static const enum tarn_tcp_state moves[][2] = {
        {TARN_TCP_ESTABLISHED, TARN_TCP_CLOSE_WAIT}, {TARN_TCP_FIN_WAIT_1, TARN_TCP_CLOSING},
        {TARN_TCP_FIN_WAIT_2, TARN_TCP_TIME_WAIT},   {TARN_TCP_CLOSE_WAIT, TARN_TCP_CLOSE_WAIT},
        {TARN_TCP_CLOSING, TARN_TCP_CLOSING},        {TARN_TCP_LAST_ACK, TARN_TCP_LAST_ACK},
    };
    for (size_t i = 0; i < TARN_COUNT_OF(moves); i++) {
        struct hand h = hand_in_state(moves[i][0]);
        hand_give(&h, ACK | FIN, "");
        cr_assert_eq(hand_state(&h), moves[i][1], "%s", tarn_tcp_state_name(moves[i][0]));
        hand_done(&h);
    }
}

Test(states, fin_and_ack_of_ours_in_one_segment_goes_to_time_wait) {
    struct hand h = hand_in_state(TARN_TCP_FIN_WAIT_1);
    h.ack++;
    hand_give(&h, ACK | FIN, "");
    cr_assert_eq(hand_state(&h), TARN_TCP_TIME_WAIT);
    hand_expect(h.net, ACK);
    hand_done(&h);
}

Test(states, last_ack_ends_it) {
    struct hand h = hand_in_state(TARN_TCP_LAST_ACK);
    h.ack++;
    hand_give(&h, ACK, "");
    cr_assert_eq(hand_state(&h), TARN_TCP_CLOSED);
    size_t n;
    cr_assert_eq(tarn_flow_read(h.flow, (struct tarn_bytes){0}, &n), TARN_EOF);
    hand_done(&h);
}

Test(states, closing_ends_in_time_wait_and_then_closes) {
    struct hand h = hand_in_state(TARN_TCP_CLOSING);
    h.ack++;
    hand_give(&h, ACK, "");
    cr_assert_eq(hand_state(&h), TARN_TCP_TIME_WAIT);
    net_run_for(h.net, TARN_SEC(59));
    cr_assert_eq(hand_state(&h), TARN_TCP_TIME_WAIT);
    net_run_for(h.net, TARN_SEC(2));
    cr_assert_eq(hand_state(&h), TARN_TCP_CLOSED);
    hand_done(&h);
}

Test(states, time_wait_acknowledges_the_fin_again_and_starts_anew) {
    struct hand h = hand_in_state(TARN_TCP_TIME_WAIT);
    net_run_for(h.net, TARN_SEC(50));
    h.seq--;
    hand_give(&h, ACK | FIN, "");
    hand_expect(h.net, ACK);
    net_run_for(h.net, TARN_SEC(50));
    cr_assert_eq(hand_state(&h), TARN_TCP_TIME_WAIT);
    hand_done(&h);
}

/* A reset would end the other side's wait for our FIN's ACK with an error. */
Test(states, time_wait_answers_whatever_comes_late) {
    static const struct {
        uint8_t flags;
        int32_t off;
        const char *payload;
        bool answered;
    } late[] = {
        {ACK | PSH, -10, "again", true},
        {ACK | FIN, 5, "", true},
        {FIN, 0, "", true},
        {ACK, -10, "", true},
        {ACK, 0, "", false},
        {RST, 1, "", false},
    };
    for (size_t i = 0; i < TARN_COUNT_OF(late); i++) {
        struct hand h = hand_in_state(TARN_TCP_TIME_WAIT);
        uint32_t seq = h.seq;
        h.seq += (uint32_t)late[i].off;
        hand_give(&h, late[i].flags, late[i].payload);
        if (late[i].answered)
            cr_assert_eq(hand_expect(h.net, ACK).ack, seq, "%zu", i);
        hand_expect_none(h.net);
        cr_assert_eq(hand_state(&h), TARN_TCP_TIME_WAIT);
        hand_done(&h);
    }
}

Test(states, fin_behind_missing_data_resets_a_closed_flow) {
    struct hand h = hand_in_state(TARN_TCP_ESTABLISHED);
    tarn_flow_close(h.flow);
    h.flow = NULL;
    net_turn(h.net);
    hand_expect(h.net, ACK | FIN);
    h.seq += 100;
    h.ack++;
    hand_give(&h, ACK | FIN, "");
    cr_assert_eq(hand_expect(h.net, RST).seq, h.ack);
    hand_done(&h);
}

Test(states, half_close_reads_on) {
    struct hand h = hand_in_state(TARN_TCP_FIN_WAIT_2);
    hand_give(&h, ACK | PSH, "still talking");
    hand_expect(h.net, ACK);
    hand_read(&h, "still talking");
    size_t n;
    cr_assert_eq(tarn_flow_write(h.flow, TARN_SPAN_LIT("x"), &n), TARN_INVALID);
    hand_done(&h);
}

Test(states, close_wait_writes_on) {
    struct hand h = hand_in_state(TARN_TCP_CLOSE_WAIT);
    hand_write(&h, "answer");
    cr_assert_eq(hand_expect(h.net, ACK | PSH).len, 6);
    hand_done(&h);
}

/* -- SYN-SENT and SYN-RECEIVED -- */

Test(states, rfc9293_3_10_7_3_syn_sent) {
    struct hand h = hand_in_state(TARN_TCP_SYN_SENT);
    h.ack += 5; /* an ACK of what we did not send is reset, and we stay */
    hand_give(&h, ACK, "");
    cr_assert_eq(hand_expect(h.net, RST).seq, h.ack);
    cr_assert_eq(hand_state(&h), TARN_TCP_SYN_SENT);
    hand_give(&h, RST | ACK, ""); /* a reset with a wrong ACK is nothing */
    cr_assert_eq(hand_state(&h), TARN_TCP_SYN_SENT);
    h.ack -= 5;
    hand_give(&h, RST, ""); /* and so is one without */
    cr_assert_eq(hand_state(&h), TARN_TCP_SYN_SENT);
    hand_give(&h, FIN, "");
    cr_assert_eq(hand_state(&h), TARN_TCP_SYN_SENT);
    hand_expect_none(h.net);
    hand_give(&h, RST | ACK, "");
    cr_assert_eq(hand_state(&h), TARN_TCP_CLOSED);
    size_t n;
    cr_assert_eq(tarn_flow_write(h.flow, TARN_SPAN_LIT("x"), &n), TARN_PEER);
    cr_assert_eq(stats_of(h.net, 0).failed_refused, 1);
    hand_done(&h);
}

Test(states, rfc9293_3_5_simultaneous_open) {
    struct hand h = hand_in_state(TARN_TCP_SYN_RECEIVED);
    cr_assert_eq(hand_state(&h), TARN_TCP_SYN_RECEIVED);
    hand_give(&h, ACK, "");
    cr_assert_eq(hand_state(&h), TARN_TCP_ESTABLISHED);
    hand_write(&h, "hello");
    cr_assert_eq(hand_expect(h.net, ACK | PSH).len, 5);
    hand_done(&h);
}

/* Figure 8: the other side's SYN-ACK is as good as an ACK. */
Test(states, rfc9293_3_5_simultaneous_open_ends_with_a_syn_ack) {
    struct hand h = hand_in_state(TARN_TCP_SYN_RECEIVED);
    h.seq--;
    hand_give(&h, SYN | ACK, "");
    cr_assert_eq(hand_state(&h), TARN_TCP_ESTABLISHED);
    cr_assert_eq(hand_expect(h.net, ACK).ack, h.seq);
    hand_done(&h);
}

Test(states, syn_received_by_simultaneous_open_is_reset) {
    struct hand h = hand_in_state(TARN_TCP_SYN_RECEIVED);
    hand_give(&h, RST, "");
    cr_assert_eq(hand_state(&h), TARN_TCP_CLOSED);
    hand_done(&h);
}

Test(states, syn_is_sent_again_and_given_up) {
    struct hand h = hand_in_state(TARN_TCP_SYN_SENT);
    unsigned syns = 0;
    struct seg s;
    net_run_for(h.net, TARN_SEC(200));
    while (hand_take(h.net, &s))
        syns += s.flags == SYN && s.seq == h.irs;
    cr_assert_eq(syns, 6); /* after 1, 3, 7, 15, 31, 63 s */
    cr_assert_eq(hand_state(&h), TARN_TCP_CLOSED);
    size_t n;
    cr_assert_eq(tarn_flow_read(h.flow, (struct tarn_bytes){0}, &n), TARN_IO);
    hand_done(&h);
}

/* -- CLOSED and LISTEN (sections 3.10.7.1 and 2) -- */

Test(states, nothing_there_is_answered_with_a_reset) {
    struct hand h = hand_in_state(TARN_TCP_ESTABLISHED);
    struct seg s = hand_seg(&h, SYN, "abc");
    s.dst = 9999;
    hand_send(h.net, &s);
    struct seg r = hand_expect(h.net, RST | ACK);
    cr_assert_eq(r.seq, 0);
    cr_assert_eq(r.ack, s.seq + 4);
    s.flags = ACK;
    hand_send(h.net, &s);
    cr_assert_eq(hand_expect(h.net, RST).seq, s.ack);
    s.flags = RST;
    hand_send(h.net, &s);
    hand_expect_none(h.net);
    hand_done(&h);
}

Test(states, listener_takes_syn_and_nothing_else) {
    struct hand h = hand_passive(0, NULL, NULL);
    struct seg s = {.src = 7000, .dst = 80, .seq = 5, .ack = 6, .wnd = 100};
    static const uint8_t ignored[] = {RST, FIN, PSH, 0, RST | ACK, SYN | FIN, SYN | RST};
    for (size_t i = 0; i < sizeof ignored; i++) {
        s.flags = ignored[i];
        hand_send(h.net, &s);
        hand_expect_none(h.net);
    }
    s.flags = ACK;
    hand_send(h.net, &s);
    hand_expect(h.net, RST);
    s.flags = SYN | ACK;
    hand_send(h.net, &s);
    hand_expect(h.net, RST);
    hand_done(&h);
}
