/* SPDX-License-Identifier: ISC */
/* What is one connection's own: its limits, cork, peeking, and its counters. */
#include "hand.h"

#include <criterion/criterion.h>
#include <string.h>

static char big[65536];

static size_t write_n(struct hand *h, size_t len) {
    size_t n = 0;
    memset(big, 'b', sizeof big);
    enum tarn_err err = tarn_flow_write(h->flow, tarn_span_of(big, len), &n);
    cr_assert(err == TARN_OK || err == TARN_AGAIN);
    net_turn(h->net);
    return n;
}

static void ack(struct hand *h, uint32_t acked, uint16_t wnd) {
    h->ack += acked;
    struct seg s = hand_seg(h, ACK, "");
    s.wnd = wnd;
    hand_send(h->net, &s);
}

/* Counters know of no other time than the last that the stack was told. */
static struct tarn_tcp_info info_now(struct hand *h) {
    tarn_tcp_tick(h->net->hosts[0].tcp, h->net->now);
    return info_of(h->flow);
}

static void budget(struct hand *h, struct tarn_tcp_budget b) {
    cr_assert_eq(tarn_tcp_set_budget(h->flow, &b), TARN_OK);
}

static uint16_t mss_of(const struct seg *s) {
    cr_assert_eq(wire_u16(s->options), 0x0204);
    return wire_u16(s->options + 2);
}

Test(budget, send_buffer_is_the_connections) {
    struct hand h = hand_passive(0, NULL, NULL);
    budget(&h, (struct tarn_tcp_budget){.snd_buf_bytes = 5000});
    cr_assert_eq(write_n(&h, 20000), 5000);
    cr_assert_eq(write_n(&h, 1), 0);
    ack(&h, 5000, 65535);
    cr_assert_eq(write_n(&h, 20000), 5000);
    budget(&h, (struct tarn_tcp_budget){0});
    cr_assert_eq(write_n(&h, 20000), 20000);
    hand_done(&h);
}

Test(budget, more_than_the_stack_allows_is_refused) {
    struct tarn_tcp_limits limits = {.snd_buf_bytes_max = 30000, .rcv_buf_bytes_max = 30000};
    struct hand h = hand_passive(0, &limits, NULL);
    struct tarn_tcp_budget bad[] = {{.snd_buf_bytes = 30001},
                                    {.rcv_buf_bytes = 30001},
                                    {.rcv_buf_bytes = 100},
                                    {.mss_max = 63}};
    for (size_t i = 0; i < TARN_COUNT_OF(bad); i++) {
        cr_assert_eq(tarn_tcp_set_budget(h.flow, &bad[i]), TARN_INVALID);
        cr_assert_eq(tarn_tcp_listener_set_budget(h.listener, &bad[i]), TARN_INVALID);
    }
    hand_done(&h);
}

Test(budget, receive_buffer_holds_still_and_keeps_promises) {
    struct tarn_tcp_limits limits = {.rcv_buf_bytes_min = 20000, .rcv_buf_bytes_max = 100000};
    struct hand h = hand_passive(0, &limits, NULL);
    char piece[1001];
    memset(piece, 'x', 1000);
    piece[1000] = 0;
    budget(&h, (struct tarn_tcp_budget){.rcv_buf_bytes = 4000});
    /* 20,000 were promised, and are taken. */
    for (int i = 0; i < 20; i++)
        hand_give(&h, ACK, piece);
    hand_drop_all(h.net);
    cr_assert_eq(info_of(h.flow).unread_bytes, 20000);
    cr_assert_eq(info_of(h.flow).rcv_wnd_bytes, 0);
    tarn_flow_consume(h.flow, 1000);
    struct tarn_bytes all;
    while (tarn_flow_peek(h.flow, &all) == TARN_OK)
        tarn_flow_consume(h.flow, all.len);
    net_turn(h.net);
    hand_drop_all(h.net);
    cr_assert_eq(info_of(h.flow).rcv_wnd_bytes, 4000);
    /* A reader that keeps up makes it no larger. */
    for (int i = 0; i < 100; i++) {
        hand_give(&h, ACK, piece);
        tarn_flow_consume(h.flow, 1000);
        net_turn(h.net);
    }
    hand_drop_all(h.net);
    cr_assert_eq(info_of(h.flow).rcv_buf_bytes, 4000);
    hand_done(&h);
}

Test(budget, receive_buffer_follows_a_reader_that_keeps_up) {
    struct tarn_tcp_limits limits = {.rcv_buf_bytes_min = 4000, .rcv_buf_bytes_max = 30000};
    struct hand h = hand_passive(0, &limits, NULL);
    char piece[1001];
    memset(piece, 'x', 1000);
    piece[1000] = 0;
    cr_assert_eq(info_of(h.flow).rcv_buf_bytes, 4000);
    /* Who does not read is promised no more ... */
    for (int i = 0; i < 4; i++)
        hand_give(&h, ACK, piece);
    net_turn(h.net);
    hand_drop_all(h.net);
    cr_assert_eq(info_of(h.flow).rcv_buf_bytes, 4000);
    struct tarn_bytes all;
    while (tarn_flow_peek(h.flow, &all) == TARN_OK)
        tarn_flow_consume(h.flow, all.len);
    net_turn(h.net);
    hand_drop_all(h.net);
    /* ... and who reads at once twice as much each time, up to the limit. */
    for (int i = 0; i < 100; i++) {
        hand_give(&h, ACK, piece);
        tarn_flow_consume(h.flow, 1000);
        net_turn(h.net);
    }
    hand_drop_all(h.net);
    cr_assert_eq(info_of(h.flow).rcv_buf_bytes, 30000);
    cr_assert_eq(info_of(h.flow).rcv_wnd_bytes, 30000);
    hand_done(&h);
}

Test(budget, listener_gives_window_and_mss_from_the_syn_on) {
    struct hand h = hand_passive(0, NULL, NULL);
    struct tarn_tcp_budget b = {.rcv_buf_bytes = 8000, .mss_max = 700};
    cr_assert_eq(tarn_tcp_listener_set_budget(h.listener, &b), TARN_OK);
    struct hand other = h;
    other.peer_port++;
    struct seg syn = hand_syn(&other, 0);
    hand_send(h.net, &syn);
    struct seg answer = hand_expect(h.net, SYN | ACK);
    cr_assert_eq(answer.wnd, 8000);
    cr_assert_eq(mss_of(&answer), 700);
    other.ack = answer.seq + 1;
    hand_give(&other, ACK, "");
    cr_assert_eq(tarn_listener_accept(h.listener, &other.flow), TARN_OK);
    cr_assert_eq(info_of(other.flow).snd_mss, 700);
    cr_assert_eq(info_of(other.flow).rcv_buf_bytes, 8000);
    cr_assert_eq(info_of(h.flow).snd_mss, 1460);
    tarn_flow_abort(other.flow);
    hand_drop_all(h.net);
    hand_done(&h);
}

Test(budget, connect_takes_it_before_its_syn) {
    struct net *net = net_new(7, NULL, NULL);
    net->by_hand = true;
    struct tarn_flow *flow = net_open(net, 0, 99);
    struct tarn_tcp_budget b = {.rcv_buf_bytes = 3000, .mss_max = 1000};
    cr_assert_eq(tarn_tcp_set_budget(flow, &b), TARN_OK);
    net_turn(net);
    struct seg syn = hand_expect(net, SYN);
    cr_assert_eq(syn.wnd, 3000);
    cr_assert_eq(mss_of(&syn), 1000);
    tarn_flow_abort(flow);
    net_free(net);
}

Test(budget, unsent_bytes_hold_the_writer_back) {
    struct hand h = hand_passive(0, NULL, NULL);
    budget(&h, (struct tarn_tcp_budget){.unsent_bytes_max = 2000});
    cr_assert_eq(write_n(&h, 10 * 1460 + 3000), 10 * 1460 + 3000); /* nothing was unsent then */
    cr_assert_eq(write_n(&h, 1), 0);                               /* 3,000 are now */
    hand_drop_all(h.net);
    ack(&h, 1460, 65535);
    hand_drop_all(h.net);
    cr_assert_eq(write_n(&h, 1), 1);
    hand_done(&h);
}

Test(budget, records_of_connections_own_are_limited) {
    struct tarn_tcp_limits limits = {.owns_max = 1};
    struct hand h = hand_passive(0, &limits, NULL);
    struct tarn_tcp_budget b = {.snd_buf_bytes = 5000};
    struct tarn_flow *other = net_open(h.net, 0, 99);
    cr_assert_eq(tarn_tcp_set_budget(other, &b), TARN_OK);
    cr_assert_eq(tarn_tcp_set_budget(h.flow, &b), TARN_LIMIT);
    tarn_flow_abort(other);
    cr_assert_eq(tarn_tcp_set_budget(h.flow, &b), TARN_OK);
    hand_drop_all(h.net);
    hand_done(&h);
}

/* -- cork -- */

Test(cork, small_segments_wait_and_full_ones_do_not) {
    struct hand h = hand_passive(0, NULL, NULL);
    cr_assert_eq(tarn_tcp_set_cork(h.flow, true), TARN_OK);
    write_n(&h, 1000);
    hand_expect_none(h.net);
    write_n(&h, 1000);
    cr_assert_eq(hand_expect(h.net, ACK).len, 1460);
    hand_expect_none(h.net);
    cr_assert_eq(tarn_tcp_set_cork(h.flow, false), TARN_OK);
    net_turn(h.net);
    cr_assert_eq(hand_expect(h.net, ACK | PSH).len, 540);
    hand_done(&h);
}

Test(cork, pulled_by_shutdown) {
    struct hand h = hand_passive(0, NULL, NULL);
    cr_assert_eq(tarn_tcp_set_cork(h.flow, true), TARN_OK);
    write_n(&h, 10);
    hand_expect_none(h.net);
    tarn_flow_shutdown(h.flow);
    net_turn(h.net);
    cr_assert_eq(hand_expect(h.net, ACK | PSH | FIN).len, 10);
    hand_done(&h);
}

Test(cork, stays_in_for_no_longer_than_a_timeout) {
    struct hand h = hand_passive(0, NULL, NULL);
    cr_assert_eq(tarn_tcp_set_cork(h.flow, true), TARN_OK);
    write_n(&h, 10);
    tarn_time rto = info_of(h.flow).rto;
    net_run_for(h.net, rto - TARN_MS(1));
    hand_expect_none(h.net);
    net_run_for(h.net, TARN_MS(2));
    cr_assert_eq(hand_expect(h.net, ACK | PSH).len, 10);
    hand_done(&h);
}

Test(cork, nodelay_pushes_once) {
    struct hand h = hand_passive(0, NULL, NULL);
    cr_assert_eq(tarn_tcp_set_cork(h.flow, true), TARN_OK);
    write_n(&h, 10);
    cr_assert_eq(tarn_tcp_set_nodelay(h.flow, true), TARN_OK);
    net_turn(h.net);
    cr_assert_eq(hand_expect(h.net, ACK | PSH).len, 10);
    write_n(&h, 10);
    hand_expect_none(h.net);
    hand_done(&h);
}

Test(cork, write_more_waits_for_the_next_write) {
    struct hand h = hand_passive(0, NULL, NULL);
    size_t n;
    cr_assert_eq(tarn_tcp_write_more(h.flow, TARN_SPAN_LIT("head"), &n), TARN_OK);
    net_turn(h.net);
    hand_expect_none(h.net);
    cr_assert_eq(tarn_tcp_write_more(h.flow, TARN_SPAN_LIT("er, "), &n), TARN_OK);
    hand_write(&h, "body");
    struct seg s = hand_expect(h.net, ACK | PSH);
    cr_assert_eq(s.len, 12);
    cr_assert_arr_eq(s.payload, "header, body", 12);
    hand_done(&h);
}

/* -- peeking -- */

Test(peek, leaves_what_it_shows_over_many_packets) {
    struct hand h = hand_passive(0, NULL, NULL);
    char piece[1001];
    uint8_t buf[2500];
    size_t n;
    memset(piece, 'x', 1000);
    piece[1000] = 0;
    cr_assert_eq(tarn_tcp_peek(h.flow, 0, TARN_BYTES_ARRAY(buf), &n), TARN_AGAIN);
    hand_give(&h, ACK, "first");
    for (int i = 0; i < 3; i++)
        hand_give(&h, ACK, piece);
    hand_drop_all(h.net);
    cr_assert_eq(tarn_tcp_peek(h.flow, 0, TARN_BYTES_ARRAY(buf), &n), TARN_OK);
    cr_assert_eq(n, 2500);
    cr_assert_arr_eq(buf, "firstxxx", 8);
    cr_assert_eq(tarn_tcp_peek(h.flow, 3, TARN_BYTES_ARRAY(buf), &n), TARN_OK);
    cr_assert_arr_eq(buf, "stxxx", 5);
    cr_assert_eq(tarn_tcp_peek(h.flow, 3004, TARN_BYTES_ARRAY(buf), &n), TARN_OK);
    cr_assert_eq(n, 1);
    cr_assert_eq(info_of(h.flow).unread_bytes, 3005);
    hand_done(&h);
}

/* -- counters -- */

Test(counters, count_segments_bytes_and_times) {
    struct tarn_tcp_options options = {.count = true};
    struct hand h = hand_passive(0, NULL, &options);
    write_n(&h, 3 * 1460);
    hand_drop_all(h.net);
    net_run_for(h.net, TARN_MS(100));
    ack(&h, 3 * 1460, 0);
    struct tarn_tcp_info i = info_now(&h);
    cr_assert_eq(i.bytes_sent, 3 * 1460);
    cr_assert_eq(i.data_segments_out, 3);
    cr_assert_eq(i.busy, TARN_MS(100));
    cr_assert_eq(i.window_limited, 0);
    write_n(&h, 10);
    net_run_for(h.net, TARN_MS(50));
    i = info_now(&h);
    cr_assert_eq(i.window_limited, TARN_MS(50));
    cr_assert_eq(i.busy, TARN_MS(150));
    cr_assert_eq(i.since_ack_in, TARN_MS(50));
    ack(&h, 0, 65535);
    cr_assert_eq(hand_expect(h.net, ACK | PSH).len, 10);
    net_run_for(h.net, TARN_SEC(1)); /* a probe, or a timeout: it is sent again */
    hand_drop_all(h.net);
    hand_give(&h, ACK, "data");
    h.seq += 100;
    hand_give(&h, ACK, "beyond");
    i = info_now(&h);
    cr_assert_gt(i.bytes_resent, 0);
    cr_assert_eq(i.bytes_sent - i.bytes_resent, 3 * 1460 + 10);
    cr_assert_eq(i.data_segments_in, 2);
    cr_assert_eq(i.out_of_order_segments, 1);
    cr_assert_eq(i.since_data_in, 0);
    net_run_for(h.net, TARN_MS(30));
    cr_assert_eq(info_now(&h).since_data_in, TARN_MS(30));
    hand_drop_all(h.net);
    hand_done(&h);
}

Test(counters, buffer_holds_a_writer_back) {
    struct tarn_tcp_options options = {.count = true};
    struct hand h = hand_passive(0, NULL, &options);
    budget(&h, (struct tarn_tcp_budget){.snd_buf_bytes = 2920});
    cr_assert_eq(write_n(&h, 20000), 2920);
    net_run_for(h.net, TARN_MS(40));
    cr_assert_eq(info_now(&h).buffer_limited, TARN_MS(40));
    hand_drop_all(h.net);
    hand_done(&h);
}
