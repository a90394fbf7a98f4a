/* SPDX-License-Identifier: ISC */
/* Passive opens: options, the SYN queue, cookies, the accept queue, TIME-WAIT reuse. */
#include "hand.h"

#include <criterion/criterion.h>
#include <string.h>

Test(handshake, syn_options_are_in_linux_order) {
    struct hand h = hand_active(WITH_SACK | WITH_TS | WITH_WSCALE, NULL, NULL);
    struct tarn_flow *second = net_open(h.net, 0, 81);
    net_turn(h.net);
    struct seg syn = hand_expect(h.net, SYN);
    static const uint8_t shape[] = {2, 4, 0x05, 0xb4, 4, 2, 8, 10};
    cr_assert_eq(syn.options_len, 20);
    cr_assert_eq(memcmp(syn.options, shape, sizeof shape), 0);
    cr_assert_eq(wire_u32(syn.options + 12), 0);
    static const uint8_t scale[] = {1, 3, 3, 5};
    cr_assert_eq(memcmp(syn.options + 16, scale, sizeof scale), 0);
    tarn_flow_abort(second);
    hand_done(&h);
}

Test(handshake, options_are_used_only_where_both_have_them) {
    for (unsigned with = 0; with < 8; with++) {
        struct hand h = hand_passive(with, NULL, NULL);
        struct tarn_tcp_info info = info_of(h.flow);
        cr_assert_eq(info.sack, !!(with & WITH_SACK));
        cr_assert_eq(info.timestamps, !!(with & WITH_TS));
        cr_assert_eq(info.window_scaling, !!(with & WITH_WSCALE));
        cr_assert_eq(info.snd_wscale, with & WITH_WSCALE ? 7 : 0);
        cr_assert_eq(info.snd_mss, with & WITH_TS ? 1448 : 1460);
        hand_write(&h, "x");
        struct seg s = hand_expect(h.net, ACK | PSH);
        cr_assert_eq(s.options_len, with & WITH_TS ? 12 : 0);
        hand_done(&h);
    }
}

Test(handshake, rfc9293_3_7_1_no_mss_option_means_536) {
    struct hand h = hand_passive(0, NULL, NULL);
    struct seg syn = {.src = 6000, .dst = 80, .seq = 1, .flags = SYN, .wnd = 65535};
    hand_send(h.net, &syn);
    h.peer_port = 6000;
    struct seg sa = hand_expect(h.net, SYN | ACK);
    struct seg ack = {
        .src = 6000, .dst = 80, .seq = 2, .ack = sa.seq + 1, .flags = ACK, .wnd = 65535};
    hand_send(h.net, &ack);
    struct tarn_flow *flow;
    cr_assert_eq(tarn_listener_accept(h.listener, &flow), TARN_OK);
    cr_assert_eq(info_of(flow).snd_mss, 536);
    tarn_flow_abort(flow);
    hand_done(&h);
}

Test(handshake, syn_ack_is_sent_again_and_forgotten) {
    struct hand h = hand_passive(0, NULL, NULL);
    struct seg syn = {.src = 6000, .dst = 80, .seq = 1, .flags = SYN, .wnd = 65535}, s;
    unsigned n = 0;
    hand_send(h.net, &syn);
    cr_assert_eq(stats_of(h.net, 0).half_open, 1);
    net_run_for(h.net, TARN_SEC(100));
    while (hand_take(h.net, &s))
        n += s.flags == (SYN | ACK);
    cr_assert_eq(n, 6);
    cr_assert_eq(stats_of(h.net, 0).half_open, 0);
    hand_done(&h);
}

/* The number that host 0 begins with, asked from `port` of the hand's. */
static uint32_t isn_for(struct hand *h, uint16_t port) {
    struct seg s = {.src = port, .dst = 80, .seq = 1, .flags = SYN, .wnd = 65535};
    hand_send(h->net, &s);
    uint32_t isn = hand_expect(h->net, SYN | ACK).seq;
    s.flags = RST;
    s.seq = 2;
    hand_send(h->net, &s);
    return isn;
}

Test(handshake, rfc6528_3_first_numbers_follow_a_clock_and_a_secret) {
    struct hand h = hand_passive(0, NULL, NULL);
    uint32_t first = isn_for(&h, 6000), other = isn_for(&h, 6001);
    cr_assert_eq(isn_for(&h, 6000), first, "no time has passed");
    net_run_for(h.net, TARN_MS(8));
    cr_assert_eq(isn_for(&h, 6000), first + 2000, "a tick is 4 us");
    cr_assert_eq(isn_for(&h, 6001), other + 2000);
    /* What is between two connections tells nothing of a third ... */
    cr_assert_neq(isn_for(&h, 6002) - other, other - first);
    hand_done(&h);
    /* ... and a host with another secret begins elsewhere. */
    struct net *net = net_new(12345, NULL, NULL);
    net->by_hand = true;
    struct hand strange = {.net = net, .listener = net_listen(net, 0, 80, 1)};
    cr_assert_neq(isn_for(&strange, 6000), first);
    tarn_listener_close(strange.listener);
    net_free(net);
}

/* The timestamp that host 0 shows to `port` of the hand's. */
static uint32_t tsval_for(struct hand *h, uint16_t port) {
    struct hand other = *h;
    other.peer_port = port;
    other.timestamps = true;
    struct seg syn = hand_syn(&other, WITH_TS), answer;
    hand_send(h->net, &syn);
    answer = hand_expect(h->net, SYN | ACK);
    struct seg rst = {.src = port, .dst = 80, .seq = other.iss + 1, .flags = RST};
    hand_send(h->net, &rst);
    for (size_t i = 0; i + 10 <= answer.options_len; i++)
        if (answer.options[i] == 8 && answer.options[i + 1] == 10)
            return wire_u32(answer.options + i + 2);
    cr_assert_fail("no timestamp");
    return 0;
}

Test(handshake, rfc7323_5_4_each_connection_has_a_clock_of_its_own) {
    struct hand h = hand_passive(0, NULL, NULL);
    uint32_t one = tsval_for(&h, 6000), other = tsval_for(&h, 6001);
    cr_assert_neq(one, other);
    cr_assert_eq(tsval_for(&h, 6000), one, "the same for one pair of endpoints");
    net_run_for(h.net, TARN_MS(250));
    cr_assert_eq(tsval_for(&h, 6000), one + 250, "milliseconds");
    cr_assert_eq(tsval_for(&h, 6001), other + 250);
    hand_done(&h);
}

Test(handshake, half_open_connection_is_reset_only_exactly) {
    struct hand h = hand_passive(0, NULL, NULL);
    struct seg s = {.src = 6000, .dst = 80, .seq = 1, .flags = SYN, .wnd = 65535};
    hand_send(h.net, &s);
    struct seg sa = hand_expect(h.net, SYN | ACK);
    s.flags = RST;
    s.seq = 3; /* RFC 5961 section 3.2: asked about */
    hand_send(h.net, &s);
    cr_assert_eq(hand_expect(h.net, ACK).ack, 2);
    cr_assert_eq(stats_of(h.net, 0).half_open, 1);
    s.seq = 100000;
    hand_send(h.net, &s);
    hand_expect_none(h.net);
    s.flags = ACK; /* the wrong number: reset, and the handshake goes on */
    s.seq = 2;
    s.ack = sa.seq + 2;
    hand_send(h.net, &s);
    cr_assert_eq(hand_expect(h.net, RST).seq, sa.seq + 2);
    cr_assert_eq(stats_of(h.net, 0).half_open, 1);
    s.seq = 100000; /* and that is so wherever it comes */
    hand_send(h.net, &s);
    hand_expect(h.net, RST);
    s.seq = 2;
    s.flags = RST;
    hand_send(h.net, &s);
    cr_assert_eq(stats_of(h.net, 0).half_open, 0);
    hand_done(&h);
}

/* RFC 9293 section 3.10.7.4: a passive connection in SYN-RECEIVED goes back to LISTEN. */
Test(handshake, another_syn_in_the_window_of_a_half_open_connection_ends_it) {
    struct hand h = hand_passive(0, NULL, NULL);
    struct seg s = {.src = 6000, .dst = 80, .seq = 1, .flags = SYN, .wnd = 65535};
    hand_send(h.net, &s);
    hand_expect(h.net, SYN | ACK);
    hand_send(h.net, &s); /* the same again is nothing new */
    hand_expect(h.net, SYN | ACK);
    s.seq = 100000;
    hand_send(h.net, &s);
    cr_assert_eq(hand_expect(h.net, ACK).ack, 2);
    cr_assert_eq(stats_of(h.net, 0).half_open, 1);
    s.seq = 50;
    hand_send(h.net, &s);
    cr_assert_eq(hand_expect(h.net, RST | ACK).ack, 51);
    cr_assert_eq(stats_of(h.net, 0).half_open, 0);
    hand_done(&h);
}

Test(handshake, data_and_fin_with_the_last_ack) {
    struct hand h = hand_passive(0, NULL, NULL);
    struct seg s = {.src = 6000, .dst = 80, .seq = 1, .flags = SYN, .wnd = 65535};
    hand_send(h.net, &s);
    struct seg sa = hand_expect(h.net, SYN | ACK);
    s = (struct seg){.src = 6000,
                     .dst = 80,
                     .seq = 2,
                     .ack = sa.seq + 1,
                     .flags = ACK | FIN,
                     .wnd = 65535,
                     .payload = "hello",
                     .len = 5};
    hand_send(h.net, &s);
    cr_assert_eq(hand_expect(h.net, ACK).ack, 8);
    struct hand other = h;
    cr_assert_eq(tarn_listener_accept(h.listener, &other.flow), TARN_OK);
    hand_read(&other, "hello");
    cr_assert_eq(hand_state(&other), TARN_TCP_CLOSE_WAIT);
    tarn_flow_abort(other.flow);
    hand_done(&h);
}

Test(handshake, full_accept_queue_makes_the_peer_wait) {
    struct net *net = net_new(1, NULL, NULL);
    struct tarn_listener *l = net_listen(net, 1, 80, 2);
    struct tarn_flow *f[4], *got;
    for (int i = 0; i < 4; i++)
        f[i] = net_open(net, 0, 80);
    net_run_for(net, TARN_MS(500));
    cr_assert_gt(stats_of(net, 1).drop_accept_queue, 0);
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(tarn_listener_accept(l, &got), TARN_OK);
        tarn_flow_abort(got);
        net_run_for(net, TARN_SEC(8));
    }
    for (int i = 0; i < 4; i++)
        tarn_flow_abort(f[i]);
    tarn_listener_close(l);
    net_assert_clean(net);
    net_free(net);
}

/* What Linux pads with, and the whole Internet has been tested with. */
Test(handshake, syn_options_are_in_linuxs_order) {
    static const uint8_t plain[] = {2, 4, 5, 180, 1, 1, 4, 2, 1, 3, 3, 4};
    static const uint8_t with_ts[] = {2, 4, 5, 180, 4, 2, 8, 10};
    struct tarn_tcp_options no_timestamps = {.no_timestamps = true};
    for (int ts = 0; ts < 2; ts++) {
        struct net *net = net_new(3, NULL, ts ? NULL : &no_timestamps);
        net->by_hand = true;
        struct tarn_flow *flow = net_open(net, 0, 80);
        net_turn(net);
        struct seg syn = hand_expect(net, SYN);
        cr_assert_eq(syn.options_len, ts ? 20 : 12);
        cr_assert_arr_eq(syn.options, ts ? with_ts : plain, ts ? 8 : 11);
        cr_assert_arr_eq(syn.options + syn.options_len - 4, plain + 8, 3);
        tarn_flow_abort(flow);
        net_free(net);
    }
}

Test(handshake, rfc4987_cookies_carry_a_connection_through_a_flood) {
    struct tarn_tcp_limits limits = {.syn_queue_max = 4};
    struct hand h = hand_passive(WITH_SACK | WITH_TS | WITH_WSCALE, &limits, NULL);
    for (uint16_t i = 0; i < 100; i++) {
        struct seg syn = {
            .src = (uint16_t)(10000 + i), .dst = 80, .seq = i, .flags = SYN, .wnd = 1};
        hand_send(h.net, &syn);
    }
    hand_drop_all(h.net);
    cr_assert_eq(stats_of(h.net, 0).half_open, 4);
    cr_assert_eq(stats_of(h.net, 0).syn_cookies_sent, 96);
    struct hand c = h;
    c.peer_port = 6001;
    c.iss = 77;
    c.seq = 78;
    struct seg syn = hand_syn(&c, WITH_SACK | WITH_TS | WITH_WSCALE);
    hand_send(h.net, &syn);
    struct seg sa = hand_expect(h.net, SYN | ACK);
    c.ack = sa.seq + 1;
    c.tsecr = wire_u32(sa.options + 8);
    struct hand bad = c;
    bad.ack++;
    hand_give(&bad, ACK, "");
    hand_expect(h.net, RST);
    hand_give(&c, ACK, "");
    cr_assert_eq(tarn_listener_accept(h.listener, &c.flow), TARN_OK);
    struct tarn_tcp_info info = info_of(c.flow);
    cr_assert(info.sack && info.timestamps && info.window_scaling);
    cr_assert_eq(info.snd_wscale, 7);
    cr_assert_eq(info.snd_mss, 1448);
    cr_assert_eq(stats_of(h.net, 0).syn_cookies_good, 1);
    hand_write(&c, "hi");
    hand_expect(h.net, ACK | PSH);
    tarn_flow_abort(c.flow);
    hand_done(&h);
}

Test(handshake, cookies_can_be_switched_off) {
    struct tarn_tcp_limits limits = {.syn_queue_max = 1};
    struct tarn_tcp_options options = {.no_syn_cookies = true};
    struct hand h = hand_passive(0, &limits, &options);
    struct seg syn = {.src = 10000, .dst = 80, .seq = 9, .flags = SYN, .wnd = 1};
    hand_send(h.net, &syn);
    hand_expect(h.net, SYN | ACK);
    syn.src++;
    hand_send(h.net, &syn);
    hand_expect_none(h.net);
    cr_assert_eq(stats_of(h.net, 0).drop_syn_queue, 1);
    hand_done(&h);
}

/* Host 0 has closed first: its end is in TIME-WAIT. */
static struct hand in_time_wait(unsigned with) {
    struct hand h = hand_passive(with, NULL, NULL);
    tarn_flow_close(h.flow);
    h.flow = NULL;
    net_turn(h.net);
    hand_expect(h.net, ACK | FIN);
    h.ack++;
    hand_give(&h, ACK | FIN, "");
    hand_expect(h.net, ACK);
    cr_assert_eq(stats_of(h.net, 0).time_wait, 1);
    return h;
}

Test(handshake, rfc6191_newer_syn_reuses_time_wait) {
    struct hand h = in_time_wait(WITH_TS);
    h.iss = h.seq - 1000; /* an older number, but a newer timestamp */
    h.tsval += 10;
    struct seg syn = hand_syn(&h, WITH_TS);
    hand_send(h.net, &syn);
    struct seg sa = hand_expect(h.net, SYN | ACK);
    cr_assert_gt((int32_t)(sa.seq - h.ack), 0);
    cr_assert_eq(stats_of(h.net, 0).time_wait_reused, 1);
    hand_done(&h);
}

/* The owner has shut it down and read the end, and not closed it yet: its pair of ports is free. */
Test(handshake, rfc6191_newer_syn_reuses_time_wait_of_an_open_flow) {
    struct hand h = hand_passive(0, NULL, NULL);
    size_t n;
    tarn_flow_shutdown(h.flow);
    net_turn(h.net);
    hand_expect(h.net, ACK | FIN);
    h.ack++;
    hand_give(&h, ACK | FIN, "");
    hand_expect(h.net, ACK);
    h.iss = h.seq + 1;
    struct seg syn = hand_syn(&h, 0);
    hand_send(h.net, &syn);
    hand_expect(h.net, SYN | ACK);
    cr_assert_eq(tarn_flow_read(h.flow, (struct tarn_bytes){0}, &n), TARN_EOF);
    hand_done(&h);
}

Test(handshake, rfc6191_older_syn_does_not) {
    struct hand h = in_time_wait(WITH_TS);
    h.iss = h.seq + 1000; /* a newer number, but an older timestamp */
    h.tsval -= 10;
    struct seg syn = hand_syn(&h, WITH_TS);
    hand_send(h.net, &syn);
    hand_expect(h.net, ACK);
    cr_assert_eq(stats_of(h.net, 0).time_wait, 1);
    hand_done(&h);
}

Test(handshake, time_wait_makes_room_for_new_connections) {
    struct tarn_tcp_limits limits = {.connections_max = 4};
    struct net *net = net_new(1, &limits, NULL);
    struct tarn_listener *l = net_listen(net, 1, 80, 4);
    for (int i = 0; i < 20; i++) {
        struct tarn_flow *a = net_open(net, 0, 80), *b;
        net_run_for(net, TARN_MS(100));
        cr_assert_eq(tarn_listener_accept(l, &b), TARN_OK);
        tarn_flow_close(b);
        net_run_for(net, TARN_MS(100));
        tarn_flow_close(a);
        net_run_for(net, TARN_MS(100));
    }
    cr_assert_gt(stats_of(net, 1).time_wait_evicted, 0);
    tarn_listener_close(l);
    net_assert_clean(net);
    net_free(net);
}

Test(handshake, connect_says_why_it_cannot) {
    struct tarn_tcp_limits limits = {.connections_max = 1};
    struct net *net = net_new(1, &limits, NULL);
    struct tarn_tcp *tcp = net->hosts[0].tcp;
    struct tarn_flow *f;
    struct tarn_endpoint to = {TARN_IP_ADDR_V4(10, 9, 9, 9), 80};
    cr_assert_eq(tarn_tcp_connect(tcp, NULL, &to, net->now, &f), TARN_NOT_FOUND);
    to.addr = TARN_IP_ADDR_V4(224, 0, 0, 1);
    cr_assert_eq(tarn_tcp_connect(tcp, NULL, &to, net->now, &f), TARN_INVALID);
    to.addr = TARN_IP_ADDR_V4(10, 0, 0, 2);
    cr_assert_eq(tarn_tcp_connect(tcp, NULL, &to, net->now, &f), TARN_OK);
    struct tarn_flow *g;
    cr_assert_eq(tarn_tcp_connect(tcp, NULL, &to, net->now, &g), TARN_LIMIT);
    tarn_flow_close(f);
    net_assert_clean(net);
    net_free(net);
}
