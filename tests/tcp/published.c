/* SPDX-License-Identifier: ISC */
/* What brought other stacks' TCP down, told by its published number: URGENT/11 (VxWorks),
 * AMNESIA:33 (picoTCP), and the issues of smoltcp and mirage-tcpip. Each segment as it was, with
 * what we do instead. */
#include "hand.h"

#include <criterion/criterion.h>
#include <string.h>
#include <tarn/csum.h>

/* As hand_give, with an urgent pointer. */
static void give_urgent(struct hand *h, uint16_t pointer, unsigned flags, const char *payload) {
    uint8_t bytes[20 + 100] = {0};
    struct tarn_writer w = TARN_WRITER_ARRAY(bytes);
    struct tarn_ip_meta meta = {
        .src = h->net->hosts[1].addr, .dst = h->net->hosts[0].addr, .proto = TARN_IP_PROTO_TCP};
    tarn_writer_u16be(&w, h->peer_port);
    tarn_writer_u16be(&w, h->port);
    tarn_writer_u32be(&w, h->seq);
    tarn_writer_u32be(&w, h->ack);
    tarn_writer_u16be(&w, (uint16_t)(5 << 12 | flags | URG));
    tarn_writer_u16be(&w, 65535);
    tarn_writer_u16be(&w, 0);
    tarn_writer_u16be(&w, pointer);
    tarn_writer_str(&w, payload);
    uint32_t sum = tarn_csum_add(tarn_ip_pseudo_csum(&meta, (uint32_t)w.len), tarn_writer_span(&w));
    tarn_writer_patch_u16be(&w, 16, tarn_csum_finish(sum));
    hand_send_raw(h->net, bytes, w.len);
    h->seq += (uint32_t)strlen(payload);
}

/* The urgent pointer was taken off the length asked for by the reader: 0, it wrapped, and as much
 * as came was written behind the reader's buffer. */
Test(published, cve_2019_12255_an_urgent_pointer_of_zero) {
    struct hand h = hand_passive(0, NULL, NULL);
    char buf[8] = "......!";
    size_t n;
    give_urgent(&h, 0, ACK | PSH, "longer than what is asked for");
    cr_assert_eq(tarn_flow_read(h.flow, tarn_bytes_of(buf, 4), &n), TARN_OK);
    cr_assert_eq(n, 4);
    cr_assert_str_eq(buf, "long..!");
    hand_read(&h, "er than what is asked for");
    hand_done(&h);
}

/* Pointers that change while data is on its way, to what is read already, not yet there, or far
 * beyond (CVE-2019-12260, 12261 and 12263 bring them about at other times). */
Test(published, cve_2019_12263_urgent_pointers_that_move) {
    static const uint16_t pointers[] = {1, 0, 65535, 3, 2, 40000};
    struct hand h = hand_passive(0, NULL, NULL);
    for (size_t i = 0; i < TARN_COUNT_OF(pointers); i++) {
        give_urgent(&h, pointers[i], ACK, "ab");
        h.seq -= 1; /* the last byte again, with another pointer */
        give_urgent(&h, (uint16_t)(pointers[i] + 7), ACK, "bc");
        hand_read(&h, "abc");
    }
    h.seq += 5; /* a hole, and urgent data behind it */
    give_urgent(&h, 2, ACK, "xyz");
    h.seq -= 8;
    give_urgent(&h, 65530, ACK, "12345");
    hand_read(&h, "12345xyz");
    hand_done(&h);
}

/* A SYN with URG and FIN, from whom we are connecting to. */
Test(published, cve_2019_12261_urgent_flags_while_connecting) {
    struct hand h = hand_in_state(TARN_TCP_SYN_SENT);
    static const uint8_t flags[] = {URG, SYN | URG | FIN, URG | FIN, URG | PSH, SYN | URG | RST};
    for (size_t i = 0; i < TARN_COUNT_OF(flags); i++) {
        struct seg s = hand_syn(&h, 0);
        s.flags = flags[i];
        if (flags[i] & SYN && !(flags[i] & RST))
            continue; /* a simultaneous open, which is below */
        hand_send(h.net, &s);
        cr_assert_eq(hand_state(&h), TARN_TCP_SYN_SENT);
    }
    struct seg s = hand_syn(&h, 0);
    s.flags = SYN | ACK | URG;
    s.ack = h.ack;
    hand_send(h.net, &s);
    cr_assert_eq(hand_state(&h), TARN_TCP_ESTABLISHED);
    hand_drop_all(h.net);
    give_urgent(&h, 0, ACK, "data");
    hand_read(&h, "data");
    hand_done(&h);
}

/* The authentication option (29), shorter than its own header: the length that was left wrapped. */
Test(published, cve_2019_12260_a_malformed_authentication_option) {
    struct hand h = hand_passive(0, NULL, NULL);
    for (uint8_t len = 0; len < 4; len++) {
        struct seg s = hand_seg(&h, ACK | SYN, "");
        memcpy(s.options, (uint8_t[4]){29, len, 0, 0}, 4);
        s.options_len = 4;
        hand_send(h.net, &s);
        s.flags = SYN;
        s.src = (uint16_t)(7000 + len);
        hand_send(h.net, &s);
    }
    cr_assert_eq(hand_state(&h), TARN_TCP_ESTABLISHED);
    hand_drop_all(h.net);
    hand_give(&h, ACK, "still here");
    hand_read(&h, "still here");
    hand_done(&h);
}

/* A malformed option in any segment, its numbers right or not, ended the connection. */
Test(published, cve_2019_12258_malformed_options_end_no_connection) {
    static const uint8_t bad[][4] = {{3, 2, 0, 0}, {3, 255, 0, 0}, {2, 3, 5, 0},  {8, 1, 0, 0},
                                     {5, 9, 0, 0}, {4, 0, 0, 0},   {254, 1, 0, 0}};
    struct hand h = hand_passive(WITH_SACK, NULL, NULL);
    for (size_t i = 0; i < TARN_COUNT_OF(bad); i++) {
        for (uint32_t off = 0; off < 3; off++) {
            struct seg s = hand_seg(&h, ACK, "");
            s.seq += off * 40000u; /* expected, in the window, out of it */
            memcpy(s.options, bad[i], 4);
            s.options_len = 4;
            hand_send(h.net, &s);
        }
    }
    struct seg answer;
    while (hand_take(h.net, &answer))
        cr_assert_not(answer.flags & RST);
    cr_assert_eq(hand_state(&h), TARN_TCP_ESTABLISHED);
    hand_done(&h);
}

/* An option of length 0: the walk along the options never came further. */
Test(published, cve_2020_24337_options_without_length) {
    struct hand h = hand_passive(WITH_SACK | WITH_TS | WITH_WSCALE, NULL, NULL);
    for (unsigned kind = 2; kind < 256; kind++) {
        struct seg syn = hand_syn(&h, 0), data = hand_seg(&h, ACK, "x");
        syn.src = 6001;
        memcpy(syn.options, (uint8_t[4]){1, (uint8_t)kind, 0, 0}, 4);
        syn.options_len = 4;
        hand_send(h.net, &syn);
        memcpy(data.options, (uint8_t[4]){(uint8_t)kind, 0, (uint8_t)kind, 0}, 4);
        data.options_len = 4;
        hand_send(h.net, &data);
    }
    cr_assert_eq(stats_of(h.net, 0).drop_malformed, 2 * 254);
    hand_give(&h, ACK, "well");
    hand_read(&h, "well");
    hand_done(&h);
}

/* smoltcp 0.7.3: the window shrank below what was in flight, and a difference was negative. */
Test(published, smoltcp_490_the_window_shrinks_below_what_is_in_flight) {
    struct hand h = hand_passive(0, NULL, NULL);
    static char text[2001];
    memset(text, 'a', 2000);
    hand_write(&h, text);
    hand_drop_all(h.net);
    for (uint16_t wnd = 3000; wnd < 60000; wnd /= 3) {
        struct seg s = hand_seg(&h, ACK, "x");
        s.wnd = wnd;
        h.seq++;
        hand_send(h.net, &s);
        net_run_for(h.net, TARN_SEC(1));
        cr_assert_leq(info_of(h.flow).unacked_bytes, 2000);
        if (wnd == 0)
            break;
    }
    cr_assert_eq(info_of(h.flow).snd_wnd_bytes, 0);
    hand_drop_all(h.net);
    h.ack += 2000;
    hand_give(&h, ACK, "y");
    cr_assert_eq(info_of(h.flow).unacked_bytes, 0);
    hand_drop_all(h.net);
    hand_done(&h);
}

/* smoltcp 0.7.3: a SYN-ACK that acknowledges nothing. */
Test(published, smoltcp_491_a_syn_ack_with_the_initial_number) {
    struct hand h = hand_in_state(TARN_TCP_SYN_SENT);
    struct seg s = hand_syn(&h, 0);
    s.flags = SYN | ACK;
    s.ack = h.irs;
    hand_send(h.net, &s);
    cr_assert_eq(hand_expect(h.net, RST).seq, h.irs, "RFC 9293 section 3.10.7.3");
    cr_assert_eq(hand_state(&h), TARN_TCP_SYN_SENT);
    hand_done(&h);
}

/* smoltcp 0.7.1: LAST-ACK ended with whatever ACK came. */
Test(published, smoltcp_477_last_ack_ends_with_the_ack_of_the_fin) {
    struct hand h = hand_in_state(TARN_TCP_LAST_ACK);
    hand_give(&h, ACK, "");
    cr_assert_eq(hand_state(&h), TARN_TCP_LAST_ACK);
    h.ack++;
    hand_give(&h, ACK, "");
    cr_assert_neq(hand_state(&h), TARN_TCP_LAST_ACK);
    hand_done(&h);
}

/* smoltcp 0.12: data that begins in the window and ends beyond it panicked. */
Test(published, smoltcp_1079_data_beyond_the_window) {
    struct tarn_tcp_limits limits = {.rcv_buf_bytes_max = 4096, .rcv_buf_bytes_min = 4096};
    struct hand h = hand_passive(0, &limits, NULL);
    for (uint32_t off = 1000; off < 70000; off += 500) {
        struct seg s = hand_seg(&h, ACK, "");
        s.seq += off;
        s.len = 1400;
        memset(s.payload, 'z', s.len);
        hand_send(h.net, &s);
    }
    cr_assert_leq(info_of(h.flow).out_of_order_bytes, 4096);
    cr_assert_eq(hand_state(&h), TARN_TCP_ESTABLISHED);
    hand_drop_all(h.net);
    hand_done(&h);
}

/* smoltcp 29: two ends that are out of step challenged each other for ever. */
Test(published, smoltcp_29_acks_out_of_the_window_are_not_answered_for_ever) {
    struct hand h = hand_passive(0, NULL, NULL);
    struct seg s, answer;
    unsigned answers = 0;
    for (unsigned i = 0; i < 1000; i++) {
        s = hand_seg(&h, ACK, "");
        s.seq -= 100000;
        hand_send(h.net, &s);
        while (hand_take(h.net, &answer))
            answers++;
    }
    cr_assert_eq(answers, 1, "%u", answers);
    hand_done(&h);
}

/* mirage-tcpip 488: both close at once, and the connection stayed for ever: after the last ACK, and
 * after a reset that was only in the window. */
Test(published, mirage_tcpip_488_simultaneous_close_ends) {
    for (unsigned reset = 0; reset < 2; reset++) {
        struct hand h = hand_in_state(TARN_TCP_CLOSING);
        struct seg s = hand_seg(&h, reset ? RST : ACK, "");
        s.seq += reset ? 10 : 0;
        s.ack += 1;
        tarn_flow_close(h.flow);
        h.flow = NULL;
        hand_send(h.net, &s);
        net_run_for(h.net, TARN_SEC(1200));
        cr_assert_eq(stats_of(h.net, 0).connections, 0);
        hand_drop_all(h.net);
        hand_done(&h);
    }
}

/* mirage-tcpip 107: data went on after a reset. */
Test(published, mirage_tcpip_107_nothing_is_sent_after_a_reset) {
    struct hand h = hand_passive(0, NULL, NULL);
    size_t n;
    hand_write(&h, "one");
    hand_drop_all(h.net);
    cr_assert_eq(tarn_flow_write(h.flow, tarn_span_str("two"), &n), TARN_OK);
    hand_give(&h, RST, "");
    net_run_for(h.net, TARN_SEC(60));
    hand_expect_none(h.net);
    cr_assert_eq(tarn_flow_write(h.flow, tarn_span_str("three"), &n), TARN_PEER);
    hand_done(&h);
}
