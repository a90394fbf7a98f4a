/* SPDX-License-Identifier: ISC */
/* What a peer may send that it should not: each is counted, and none does harm. */
#include "hand.h"

#include <criterion/criterion.h>
#include <string.h>

/* Flips nothing else: the header as hand_send makes it, then changed, then sealed again or not. */
static void send_changed(struct hand *h, size_t at, uint8_t value, size_t len) {
    uint8_t bytes[64] = {0};
    struct tarn_writer w = TARN_WRITER_ARRAY(bytes);
    tarn_writer_u16be(&w, h->peer_port);
    tarn_writer_u16be(&w, h->port);
    tarn_writer_u32be(&w, h->seq);
    tarn_writer_u32be(&w, h->ack);
    tarn_writer_u32be(&w, 0x50100000 | 1000);
    bytes[at] = value;
    struct tarn_ip_meta meta = {
        .src = h->net->hosts[1].addr, .dst = h->net->hosts[0].addr, .proto = TARN_IP_PROTO_TCP};
    uint16_t sum = tarn_csum_finish(tarn_csum_join(tarn_ip_pseudo_csum(&meta, (uint32_t)len),
                                                   tarn_csum_add(0, tarn_span_of(bytes, len)), 0));
    if (len >= 18) {
        bytes[16] = (uint8_t)(sum >> 8);
        bytes[17] = (uint8_t)sum;
    }
    hand_send_raw(h->net, bytes, len);
}

Test(segments, shorter_than_a_header) {
    struct hand h = hand_passive(0, NULL, NULL);
    for (size_t len = 0; len < 20; len++)
        send_changed(&h, 0, 0x15, len);
    cr_assert_eq(stats_of(h.net, 0).drop_malformed, 20);
    hand_expect_none(h.net);
    hand_done(&h);
}

Test(segments, data_offset_under_five_or_beyond_the_end) {
    struct hand h = hand_passive(0, NULL, NULL);
    for (unsigned offset = 0; offset < 16; offset++)
        if (offset != 5)
            send_changed(&h, 12, (uint8_t)(offset << 4), 20);
    cr_assert_eq(stats_of(h.net, 0).drop_malformed, 15);
    hand_done(&h);
}

Test(segments, wrong_checksum) {
    struct hand h = hand_passive(0, NULL, NULL);
    uint8_t bytes[24] = {0x15, 0xb3, 0, 80, [12] = 0x50, [13] = ACK};
    hand_send_raw(h.net, bytes, sizeof bytes);
    cr_assert_eq(stats_of(h.net, 0).drop_checksum, 1);
    hand_done(&h);
}

Test(segments, options_of_impossible_length) {
    static const uint8_t bad[][8] = {
        {8, 0}, {8, 1}, {2, 3, 1}, {2, 4, 5, 0, 3, 2}, {8, 10, 1, 2}, {5, 9}, {3, 200}, {254, 0},
    };
    struct hand h = hand_passive(0, NULL, NULL);
    for (size_t i = 0; i < TARN_COUNT_OF(bad); i++) {
        struct seg s = hand_seg(&h, ACK | PSH, "never");
        memcpy(s.options, bad[i], 8);
        s.options_len = 8;
        hand_send(h.net, &s);
        cr_assert_eq(stats_of(h.net, 0).drop_malformed, i + 1, "case %zu", i);
    }
    hand_read(&h, "");
    struct seg s = hand_seg(&h, ACK | PSH, "fine"); /* what is not known is skipped */
    static const uint8_t unknown[] = {253, 4, 1, 2, 1, 0, 99, 99};
    memcpy(s.options, unknown, 8);
    s.options_len = 8;
    hand_send(h.net, &s);
    hand_read(&h, "fine");
    hand_done(&h);
}

Test(segments, rfc6093_urgent_data_is_read_in_line) {
    struct hand h = hand_passive(0, NULL, NULL);
    hand_give(&h, ACK | URG | PSH, "urgent"); /* with an urgent pointer of 0 */
    hand_read(&h, "urgent");
    hand_done(&h);
}

Test(segments, overlaps_and_duplicates_deliver_each_byte_once) {
    struct hand h = hand_passive(WITH_SACK, NULL, NULL);
    uint32_t base = h.seq;
    struct {
        uint32_t at;
        const char *text;
    } pieces[] = {{8, "ijkl"},   {4, "efghij"}, {4, "ef"},  {14, "op"},
                  {10, "klmno"}, {16, "q"},     {0, "abc"}, {0, "abcd"}};
    for (size_t i = 0; i < TARN_COUNT_OF(pieces); i++) {
        h.seq = base + pieces[i].at;
        hand_give(&h, ACK, pieces[i].text);
    }
    hand_read(&h, "abcdefghijklmnopq");
    cr_assert_eq(info_of(h.flow).out_of_order_bytes, 0);
    hand_done(&h);
}

Test(segments, rfc2018_blocks_most_recent_first_and_rfc2883_duplicates) {
    struct hand h = hand_passive(WITH_SACK, NULL, NULL);
    uint32_t base = h.seq;
    hand_drop_all(h.net);
    h.seq = base + 10;
    hand_give(&h, ACK, "x");
    hand_drop_all(h.net);
    h.seq = base + 20;
    hand_give(&h, ACK, "y");
    struct seg a = hand_expect(h.net, ACK);
    cr_assert_eq(a.ack, base);
    cr_assert_eq(a.options_len, 20);
    cr_assert_eq(a.options[3], 18);
    cr_assert_eq(wire_u32(a.options + 4), base + 20);
    cr_assert_eq(wire_u32(a.options + 8), base + 21);
    cr_assert_eq(wire_u32(a.options + 12), base + 10);
    h.seq = base + 10; /* again: a D-SACK, and the block that has it right behind */
    hand_give(&h, ACK, "x");
    a = hand_expect(h.net, ACK);
    cr_assert_eq(a.options_len, 28);
    cr_assert_eq(wire_u32(a.options + 4), base + 10);
    cr_assert_eq(wire_u32(a.options + 8), base + 11);
    cr_assert_eq(wire_u32(a.options + 12), base + 10);
    hand_done(&h);
}

/* Given `text` from `base + at` on: the ACK, and its first block, from `base` on. */
static void expect_first_block(struct hand *h, uint32_t base, uint32_t at, const char *text,
                               uint32_t ack, uint32_t start, uint32_t end) {
    h->seq = base + at;
    hand_give(h, ACK, text);
    struct seg a = hand_expect(h->net, ACK);
    cr_assert_eq(a.ack, base + ack);
    cr_assert_geq(a.options_len, 12);
    cr_assert_eq(wire_u32(a.options + 4), base + start);
    cr_assert_eq(wire_u32(a.options + 8), base + end);
}

/* RFC 2883 section 4.2.1: a part of a segment may be a duplicate, of what came behind a hole, too.
 */
Test(segments, rfc2883_parts_of_segments_are_reported) {
    struct hand h = hand_passive(WITH_SACK, NULL, NULL);
    uint32_t base = h.seq;
    expect_first_block(&h, base, 20, "0123456789", 0, 20, 30);
    expect_first_block(&h, base, 25, "0123456789", 0, 25, 30); /* its front is known */
    expect_first_block(&h, base, 15, "0123456789", 0, 20, 25); /* its back */
    expect_first_block(&h, base, 50, "01234", 0, 50, 55);
    expect_first_block(&h, base, 40, "012345678901234567890", 0, 50, 55); /* its middle */
    expect_first_block(&h, base, 0, "01234567890123456789", 35, 15, 20);  /* and in order */
    hand_done(&h);
}

/* RFC 5681 section 4.2: what fills a gap is acknowledged at once, the last of them too. */
Test(segments, rfc5681_4_2_filled_gap_is_acknowledged_at_once) {
    struct hand h = hand_passive(0, NULL, NULL);
    uint32_t base = h.seq;
    for (int i = 0; i < 20; i++) { /* the quick ACKs of the start are over */
        hand_give(&h, ACK, "x");
        net_run_for(h.net, TARN_MS(100));
    }
    hand_drop_all(h.net);
    h.seq = base + 21;
    hand_give(&h, ACK, "z");
    cr_assert_eq(hand_expect(h.net, ACK).ack, base + 20);
    h.seq = base + 20;
    hand_give(&h, ACK, "y");
    cr_assert_eq(hand_expect(h.net, ACK).ack, base + 22);
    hand_done(&h);
}

Test(segments, fin_out_of_order_waits_for_what_is_missing) {
    struct hand h = hand_passive(0, NULL, NULL);
    struct seg s = hand_seg(&h, ACK | FIN, "world");
    s.seq += 6;
    hand_send(h.net, &s);
    cr_assert_eq(hand_state(&h), TARN_TCP_ESTABLISHED);
    hand_give(&h, ACK, "hello ");
    cr_assert_eq(hand_state(&h), TARN_TCP_CLOSE_WAIT);
    hand_read(&h, "hello world");
    hand_done(&h);
}

Test(segments, rfc7323_5_old_timestamp_is_refused) {
    struct hand h = hand_passive(WITH_TS, NULL, NULL);
    h.tsval += 5;
    hand_give(&h, ACK, "a");
    hand_drop_all(h.net);
    h.tsval -= 10;
    hand_give(&h, ACK, "b");
    hand_expect(h.net, ACK);
    cr_assert_eq(stats_of(h.net, 0).drop_paws, 1);
    h.seq--;
    h.tsval += 20;
    hand_give(&h, ACK, "c");
    hand_read(&h, "ac");
    hand_done(&h);
}

Test(segments, rfc5961_7_challenge_acks_are_throttled) {
    struct hand h = hand_passive(0, NULL, NULL);
    for (int i = 0; i < 1000; i++) {
        struct seg s = hand_seg(&h, SYN, "");
        hand_send(h.net, &s);
    }
    struct tarn_tcp_stats s = stats_of(h.net, 0);
    cr_assert_leq(s.challenge_acks, 150);
    cr_assert_eq(s.challenge_acks + s.challenge_acks_throttled, 1000);
    hand_done(&h);
}

Test(segments, memory_holds_under_tiny_segments_with_holes) {
    struct tarn_tcp_limits limits = {.memory_bytes = 1 << 18, .rcv_buf_bytes_max = 1 << 16};
    struct hand h = hand_passive(WITH_SACK, &limits, NULL);
    uint32_t base = h.seq;
    for (uint32_t i = 1; i < 20000; i += 2) {
        h.seq = base + i;
        hand_give(&h, ACK, "z");
        hand_drop_all(h.net);
        cr_assert_leq(stats_of(h.net, 0).rcv_bytes, (1 << 17) + 70000);
    }
    cr_assert_gt(stats_of(h.net, 0).drop_memory + stats_of(h.net, 0).drop_holes, 0);
    hand_done(&h);
}

Test(segments, tiny_segments_in_order_are_copied_together) {
    struct hand h = hand_passive(0, NULL, NULL);
    for (int i = 0; i < 1000; i++)
        hand_give(&h, ACK, "0");
    cr_assert_gt(stats_of(h.net, 0).coalesced, 990);
    cr_assert_leq(stats_of(h.net, 0).rcv_bytes, 5000);
    hand_done(&h);
}

/* Nothing of ours is left to arrive, whether or not our FIN has: seen from where the peer is. */
Test(segments, rfc2525_data_after_close_is_answered_with_a_reset) {
    for (int fin_acked = 0; fin_acked < 2; fin_acked++) {
        struct hand h = hand_passive(0, NULL, NULL);
        tarn_flow_close(h.flow);
        h.flow = NULL;
        net_turn(h.net);
        hand_expect(h.net, ACK | FIN);
        h.ack += (uint32_t)fin_acked;
        hand_give(&h, ACK | PSH, "too late");
        cr_assert_eq(hand_expect(h.net, RST).seq, h.ack);
        cr_assert_eq(stats_of(h.net, 0).connections, 0);
        hand_done(&h);
    }
}

Test(segments, rfc7323_3_2_reset_of_a_connection_carries_a_timestamp) {
    struct hand h = hand_passive(WITH_TS, NULL, NULL);
    tarn_flow_abort(h.flow);
    h.flow = NULL;
    struct seg r = hand_expect(h.net, RST | ACK);
    cr_assert_eq(r.options_len, 12);
    cr_assert_eq(wire_u32(r.options + 8), h.tsval);
    hand_done(&h);
}
