/* SPDX-License-Identifier: ISC */
/* Handshakes in another host's place: calls, and what becomes of them. */
#include "hand.h"

#include <criterion/criterion.h>
#include <string.h>

static struct net *net;
static struct tarn_listener *all;

static struct tarn_tcp *tcp(void) {
    return net->hosts[0].tcp;
}

static void begin(uint32_t syn_queue_max) {
    struct tarn_tcp_limits limits = {.syn_queue_max = syn_queue_max};
    net = net_new(1, &limits, NULL);
    net->by_hand = true;
    cr_assert_eq(tarn_tcp_listen_all(tcp(), 4, &all), TARN_OK);
}

static void end(void) {
    tarn_listener_close(all);
    net_run_for(net, TARN_SEC(200));
    cr_assert_eq(stats_of(net, 0).half_open, 0);
    hand_drop_all(net);
    net_free(net);
}

static void syn(uint16_t from, uint16_t to, uint32_t seq) {
    struct seg s = {.src = from, .dst = to, .seq = seq, .flags = SYN, .wnd = 65535};
    hand_send(net, &s);
}

static struct tarn_tcp_call take(void) {
    struct tarn_tcp_call call;
    cr_assert_eq(tarn_tcp_call(all, &call), TARN_OK);
    return call;
}

static enum tarn_err answer(const struct tarn_tcp_call *call, enum tarn_tcp_answer a) {
    enum tarn_err err = tarn_tcp_answer(tcp(), call->handle, a, net->now);
    net_turn(net);
    return err;
}

static unsigned told;
static void count(struct tarn_listener *l) {
    (void)l;
    told++;
}

Test(stand_in, a_syn_is_a_call_and_nothing_is_sent) {
    struct tarn_tcp_call call;
    begin(8);
    told = 0;
    all->on_event = count;
    cr_assert_eq(tarn_tcp_call(all, &call), TARN_AGAIN);
    syn(6000, 443, 100);
    syn(6000, 443, 100);
    cr_assert_eq(told, 1);
    hand_expect_none(net);
    call = take();
    cr_assert_eq(call.local.port, 443);
    cr_assert_eq(call.remote.port, 6000);
    cr_assert(tarn_ip_addr_equal(&call.local.addr, &net->hosts[0].addr));
    cr_assert_eq(tarn_tcp_call(all, &call), TARN_AGAIN, "one attempt, one call");
    end();
}

Test(stand_in, accepted_it_goes_on_like_any_other) {
    begin(8);
    syn(6000, 443, 100);
    net_run_for(net, TARN_SEC(5));
    struct tarn_tcp_call call = take();
    cr_assert_eq(answer(&call, TARN_TCP_ACCEPT), TARN_OK);
    cr_assert_eq(answer(&call, TARN_TCP_REFUSE), TARN_NOT_FOUND, "answered already");
    struct seg sa = hand_expect(net, SYN | ACK);
    cr_assert_eq(sa.ack, 101);
    struct seg ack = {
        .src = 6000, .dst = 443, .seq = 101, .ack = sa.seq + 1, .flags = ACK, .wnd = 65535};
    struct tarn_flow *flow;
    struct tarn_endpoint local, remote;
    hand_send(net, &ack);
    cr_assert_eq(tarn_listener_accept(all, &flow), TARN_OK);
    cr_assert_eq(tarn_flow_endpoints(flow, &local, &remote), TARN_OK);
    cr_assert_eq(local.port, 443);
    cr_assert_eq(remote.port, 6000);
    cr_assert_eq(info_of(flow).state, TARN_TCP_ESTABLISHED);
    tarn_flow_abort(flow);
    end();
}

Test(stand_in, the_syn_ack_is_sent_again) {
    begin(8);
    syn(6000, 443, 100);
    struct tarn_tcp_call call = take();
    cr_assert_eq(answer(&call, TARN_TCP_ACCEPT), TARN_OK);
    net_run_for(net, TARN_SEC(2));
    (void)hand_expect(net, SYN | ACK);
    (void)hand_expect(net, SYN | ACK);
    end();
}

Test(stand_in, rfc9293_3_10_7_1_refused_is_a_reset_of_the_syn) {
    begin(8);
    syn(6000, 443, 100);
    struct tarn_tcp_call call = take();
    cr_assert_eq(answer(&call, TARN_TCP_REFUSE), TARN_OK);
    struct seg s = hand_expect(net, RST | ACK);
    cr_assert_eq(s.seq, 0);
    cr_assert_eq(s.ack, 101);
    cr_assert_eq(stats_of(net, 0).half_open, 0);
    syn(6001, 443, 100);
    call = take();
    cr_assert_eq(answer(&call, TARN_TCP_IGNORE), TARN_OK);
    hand_expect_none(net);
    cr_assert_eq(stats_of(net, 0).half_open, 0);
    end();
}

Test(stand_in, who_gives_up_is_forgotten) {
    begin(8);
    syn(6000, 443, 100);
    struct tarn_tcp_call call = take();
    struct seg rst = {.src = 6000, .dst = 443, .seq = 101, .flags = RST};
    hand_send(net, &rst);
    cr_assert_eq(answer(&call, TARN_TCP_ACCEPT), TARN_NOT_FOUND);
    hand_expect_none(net);
    syn(6001, 443, 100);
    call = take();
    net_run_for(net, TARN_SEC(126));
    cr_assert_eq(stats_of(net, 0).half_open, 1);
    net_run_for(net, TARN_SEC(2));
    cr_assert_eq(answer(&call, TARN_TCP_ACCEPT), TARN_NOT_FOUND, "connect_timeout");
    hand_expect_none(net);
    end();
}

Test(stand_in, a_new_attempt_from_the_same_port_is_another_call) {
    begin(8);
    syn(6000, 443, 100);
    struct tarn_tcp_call first = take();
    syn(6000, 443, 5000);
    struct tarn_tcp_call second = take();
    cr_assert_eq(answer(&first, TARN_TCP_ACCEPT), TARN_NOT_FOUND);
    cr_assert_eq(answer(&second, TARN_TCP_ACCEPT), TARN_OK);
    cr_assert_eq(hand_expect(net, SYN | ACK).ack, 5001);
    end();
}

Test(stand_in, a_flood_is_dropped_and_counted_without_cookies) {
    begin(4);
    for (uint16_t i = 0; i < 100; i++)
        syn((uint16_t)(6000 + i), 443, 100);
    cr_assert_eq(stats_of(net, 0).half_open, 4);
    cr_assert_eq(stats_of(net, 0).drop_syn_queue, 96);
    cr_assert_eq(stats_of(net, 0).syn_cookies_sent, 0);
    hand_expect_none(net);
    end();
}

Test(stand_in, other_listeners_come_first_and_there_is_one) {
    struct tarn_listener *second;
    begin(8);
    struct tarn_listener *web = net_listen(net, 0, 80, 4);
    syn(6000, 80, 100);
    (void)hand_expect(net, SYN | ACK);
    struct tarn_tcp_call call;
    cr_assert_eq(tarn_tcp_call(all, &call), TARN_AGAIN);
    cr_assert_eq(tarn_tcp_call(web, &call), TARN_INVALID);
    cr_assert_eq(tarn_tcp_listen_all(tcp(), 4, &second), TARN_LIMIT);
    tarn_listener_close(web);
    end();
}

Test(stand_in, closed_it_leaves_nothing) {
    begin(8);
    syn(6000, 443, 100);
    syn(6001, 443, 100);
    struct tarn_tcp_call taken = take();
    tarn_listener_close(all);
    cr_assert_eq(stats_of(net, 0).half_open, 1, "the taken one waits for its answer");
    cr_assert_eq(answer(&taken, TARN_TCP_REFUSE), TARN_OK);
    (void)hand_expect(net, RST | ACK);
    cr_assert_eq(tarn_tcp_listen_all(tcp(), 4, &all), TARN_OK);
    syn(6001, 443, 100);
    (void)take();
    end();
}
