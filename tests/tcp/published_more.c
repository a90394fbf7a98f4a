/* SPDX-License-Identifier: ISC */
/* What utcp and smoltcp published as faults of theirs in TCP, by the number of the change that
 * mended it: each as it was, with what we do instead. (Those of published.c are older.) */
#include "hand.h"

#include <criterion/criterion.h>
#include <string.h>
#include <tarn/csum.h>

/* utcp 0.0.2: a data offset that ends inside the header was taken for options of negative length.
 */
Test(published, utcp_67_a_data_offset_below_five) {
    struct hand h = hand_passive(0, NULL, NULL);
    struct tarn_ip_meta meta = {
        .src = h.net->hosts[1].addr, .dst = h.net->hosts[0].addr, .proto = TARN_IP_PROTO_TCP};
    for (unsigned words = 0; words < 5; words++) {
        uint8_t bytes[24] = {0};
        struct tarn_writer w = TARN_WRITER_ARRAY(bytes);
        tarn_writer_u16be(&w, h.peer_port);
        tarn_writer_u16be(&w, h.port);
        tarn_writer_u32be(&w, h.seq);
        tarn_writer_u32be(&w, h.ack);
        tarn_writer_u16be(&w, (uint16_t)(words << 12 | ACK));
        tarn_writer_u16be(&w, 65535);
        tarn_writer_zero(&w, 8);
        uint32_t sum =
            tarn_csum_add(tarn_ip_pseudo_csum(&meta, sizeof bytes), tarn_writer_span(&w));
        tarn_writer_patch_u16be(&w, 16, tarn_csum_finish(sum));
        hand_send_raw(h.net, bytes, sizeof bytes);
    }
    cr_assert_eq(stats_of(h.net, 0).drop_malformed, 5);
    hand_expect_none(h.net);
    hand_give(&h, ACK, "well");
    hand_read(&h, "well");
    hand_done(&h);
}

/* utcp 0.0.3: numbers were compared as signed ones, so that a connection whose numbers crossed the
 * middle or the end of their range went wrong. */
Test(published, utcp_68_numbers_that_cross_the_middle_and_the_end) {
    static const uint32_t first[] = {0x7ffffff0, 0x7fffffff, 0xfffffff0, 0xffffffff};
    for (size_t i = 0; i < TARN_COUNT_OF(first); i++) {
        struct hand h = {.net = net_new(7, NULL, NULL), .peer_port = 5555, .port = 80};
        h.net->by_hand = true;
        h.listener = net_listen(h.net, 0, 80, 16);
        h.iss = first[i];
        struct seg s = hand_syn(&h, 0);
        hand_send(h.net, &s);
        h.seq = h.iss + 1;
        h.ack = hand_expect(h.net, SYN | ACK).seq + 1;
        hand_give(&h, ACK, "");
        cr_assert_eq(tarn_listener_accept(h.listener, &h.flow), TARN_OK);
        s = hand_seg(&h, ACK, "fghijklmnopqrstuvwxyz");
        s.seq += 5;
        hand_send(h.net, &s);
        cr_assert_eq(hand_expect(h.net, ACK).ack, h.seq, "out of order");
        s = hand_seg(&h, ACK, "abcde");
        hand_send(h.net, &s);
        hand_read(&h, "abcdefghijklmnopqrstuvwxyz");
        hand_drop_all(h.net);
        hand_send(h.net, &s);
        cr_assert_eq(hand_expect(h.net, ACK).ack, h.seq + 26, "what was old is");
        hand_done(&h);
    }
}

/* utcp 0.0.6: what is out of the window got no answer, so that a peer which probed a closed window
 * heard nothing, and gave up. */
Test(published, utcp_75_a_segment_that_is_not_acceptable_is_acknowledged) {
    struct hand h = hand_passive(0, NULL, NULL);
    hand_give(&h, ACK, "data");
    hand_read(&h, "data");
    hand_drop_all(h.net);
    net_run_for(h.net, TARN_SEC(10));
    struct seg probe = hand_seg(&h, ACK, "a");
    probe.seq--;
    hand_send(h.net, &probe);
    cr_assert_eq(hand_expect(h.net, ACK).ack, h.seq, "RFC 9293 section 3.10.7.4");
    hand_done(&h);
}

/* utcp 0.0.6: the timer of the closed window was not started where it was meant to be. */
Test(published, utcp_77_a_closed_window_is_probed_until_it_opens) {
    struct hand h = hand_passive(0, NULL, NULL);
    hand_write(&h, "first");
    hand_drop_all(h.net);
    h.ack += 5;
    struct seg s = hand_seg(&h, ACK, ""), probe;
    s.wnd = 0;
    hand_send(h.net, &s);
    hand_write(&h, "waiting");
    for (unsigned probes = 0; probes < 5; probes++) {
        hand_expect_none(h.net);
        net_run_for(h.net, TARN_SEC(130));
        cr_assert(hand_take(h.net, &probe), "after %u", probes);
        cr_assert_eq(probe.seq, h.ack - 1, "of what is acknowledged already");
        hand_drop_all(h.net);
        hand_send(h.net, &s);
    }
    hand_give(&h, ACK, "");
    cr_assert_eq(hand_expect(h.net, ACK | PSH).len, 7, "at once");
    hand_done(&h);
}

/* utcp 0.0.6: connections went out from ports under 1024. */
Test(published, utcp_76_source_ports_are_nobodys) {
    struct net *net = net_new(7, NULL, NULL);
    net->by_hand = true;
    for (unsigned i = 0; i < 200; i++) {
        struct tarn_flow *flow = net_open(net, 0, 80);
        net_turn(net);
        cr_assert_geq(hand_expect(net, SYN).src, 1024);
        tarn_flow_abort(flow);
        hand_drop_all(net);
    }
    net_assert_clean(net);
    net_free(net);
}

/* utcp (OSEC-2026-11): each segment out of order was put into a list from its beginning, and a peer
 * that sent every other byte kept the processor for itself. The holes of a connection are bounded,
 * and so is the work for a segment. */
Test(published, osec_2026_11_every_other_byte) {
    struct hand h = hand_passive(WITH_SACK, NULL, NULL);
    for (uint32_t i = 0; i < 20000; i++) {
        struct seg s = hand_seg(&h, ACK, "x");
        s.seq += 40001 - 2 * i;
        hand_send(h.net, &s);
        hand_drop_all(h.net);
    }
    cr_assert_leq(info_of(h.flow).out_of_order_bytes, 64);
    hand_give(&h, ACK, "well");
    char buf[5] = {0};
    size_t n;
    cr_assert_eq(tarn_flow_read(h.flow, tarn_bytes_of(buf, 4), &n), TARN_OK);
    cr_assert_str_eq(buf, "well");
    hand_drop_all(h.net);
    hand_done(&h);
}

static unsigned events_seen;
static void note_events(struct tarn_flow *flow, unsigned events) {
    (void)flow;
    events_seen |= events;
}

/* utcp 0.0.7: who waited for its own connection to be established was not woken. */
Test(published, utcp_8_who_connects_is_told) {
    struct hand h = hand_in_state(TARN_TCP_SYN_SENT);
    h.flow->on_event = note_events;
    struct seg s = hand_syn(&h, 0);
    s.flags = SYN | ACK;
    s.ack = h.ack;
    hand_send(h.net, &s);
    cr_assert(events_seen & TARN_FLOW_CONNECTED);
    hand_drop_all(h.net);
    hand_done(&h);
}

/* utcp 0.0.1: the largest segment over IPv6 was reckoned with IPv4's header. */
Test(published, utcp_61_the_largest_segment_over_ipv6) {
    struct net *net = net_new(7, NULL, NULL);
    net->by_hand = true;
    for (uint8_t i = 0; i < 2; i++)
        net->hosts[i].addr = (struct tarn_ip_addr){.bytes = {0xfd, [15] = (uint8_t)(i + 1)}};
    struct tarn_flow *flow = net_open(net, 0, 80);
    net_turn(net);
    struct seg syn = hand_expect(net, SYN);
    cr_assert_eq(wire_u32(syn.options), 0x02040000 | (1500 - 40 - 20));
    tarn_flow_abort(flow);
    hand_drop_all(net);
    net_assert_clean(net);
    net_free(net);
}

/* smoltcp 0.8.1: a largest segment of 0 was divided by, or sent for ever. */
Test(published, smoltcp_538_a_largest_segment_of_nothing) {
    struct hand h = {.net = net_new(7, NULL, NULL), .peer_port = 5555, .port = 80};
    h.net->by_hand = true;
    h.listener = net_listen(h.net, 0, 80, 16);
    struct seg s = hand_syn(&h, 0), data;
    memcpy(s.options, "\2\4\0\0", 4);
    hand_send(h.net, &s);
    h.seq = h.iss + 1;
    h.ack = hand_expect(h.net, SYN | ACK).seq + 1;
    hand_give(&h, ACK, "");
    cr_assert_eq(tarn_listener_accept(h.listener, &h.flow), TARN_OK);
    hand_write(&h, "some bytes");
    cr_assert(hand_take(h.net, &data));
    cr_assert_gt(data.len, 0);
    hand_drop_all(h.net);
    hand_done(&h);
}

/* smoltcp 0.8.1: a FIN instead of an answer panicked. */
Test(published, smoltcp_538_a_fin_before_anything_else) {
    struct hand h = hand_in_state(TARN_TCP_SYN_SENT);
    hand_give(&h, FIN, "");
    cr_assert_eq(hand_state(&h), TARN_TCP_SYN_SENT);
    hand_give(&h, FIN | ACK, "");
    cr_assert_eq(hand_state(&h), TARN_TCP_SYN_SENT, "it acknowledged nothing");
    hand_drop_all(h.net);
    hand_done(&h);
}

/* smoltcp 0.13: a reset to who listens ended the listening. */
Test(published, smoltcp_1058_a_reset_to_who_listens) {
    struct hand h = {.net = net_new(7, NULL, NULL), .peer_port = 5555, .port = 80};
    h.net->by_hand = true;
    h.listener = net_listen(h.net, 0, 80, 16);
    hand_give(&h, RST, "");
    hand_give(&h, RST | ACK, "");
    hand_expect_none(h.net);
    struct seg s = hand_syn(&h, 0);
    hand_send(h.net, &s);
    (void)hand_expect(h.net, SYN | ACK);
    hand_done(&h);
}
