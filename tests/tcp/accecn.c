/* SPDX-License-Identifier: ISC */
/* Accurate ECN (RFC 9768): what is asked for, counted, told and believed, by its sections. */
#include "hand.h"

#include <criterion/criterion.h>
#include <string.h>

enum { MSS = 1460, MSS_TS = 1448 };

static void write_segments(struct hand *h, size_t count) {
    static char data[20 * MSS];
    size_t n;
    cr_assert_eq(tarn_flow_write(h->flow, tarn_span_of(data, count * MSS), &n), TARN_OK);
    net_turn(h->net);
}
static void fill_flight(struct hand *h) {
    write_segments(h, 20);
    hand_drop_all(h->net);
}

static unsigned ace_of(const struct seg *s) {
    return (s->ae ? 4u : 0) | (s->flags & CWR ? 2u : 0) | (s->flags & ECE ? 1u : 0);
}
static void ace_put(struct seg *s, unsigned ace) {
    s->ae = ace & 4;
    s->flags = (uint8_t)((s->flags & ~(ECE | CWR)) | (ace & 2 ? CWR : 0) | (ace & 1 ? ECE : 0));
}
/* An ACK of so many segments, with that ACE field. */
static struct seg ack_of(const struct hand *h, uint32_t segments, unsigned ace) {
    struct seg s = hand_seg(h, ACK, "");
    s.ack = h->irs + 1 + segments * MSS;
    ace_put(&s, ace);
    return s;
}
static struct seg take(struct hand *h) {
    struct seg s;
    cr_assert(hand_take(h->net, &s), "nothing was sent");
    return s;
}

/* -- the option -- */

/* The option, where a segment has it: which kind, and its fields. */
static bool option_of(const struct seg *s, unsigned *kind, unsigned *count, uint32_t fields[3]) {
    for (size_t i = 0; i < s->options_len && s->options[i] != 0;
         i += s->options[i] == 1 ? 1 : s->options[i + 1]) {
        if (s->options[i] != 172 && s->options[i] != 174)
            continue;
        *kind = s->options[i];
        *count = (s->options[i + 1] - 2u) / 3;
        for (unsigned f = 0; f < *count; f++)
            fields[f] = wire_u32(s->options + i + 1 + 3 * f) & 0xffffff;
        return true;
    }
    return false;
}
static void option_put(struct seg *s, unsigned kind, unsigned count, const uint32_t *fields) {
    struct tarn_writer w = TARN_WRITER_ARRAY(s->options);
    w.len = s->options_len;
    tarn_writer_u8(&w, (uint8_t)kind);
    tarn_writer_u8(&w, (uint8_t)(2 + 3 * count));
    for (unsigned i = 0; i < count; i++) {
        tarn_writer_u8(&w, (uint8_t)(fields[i] >> 16));
        tarn_writer_u16be(&w, (uint16_t)fields[i]);
    }
    while (w.len % 4 != 0)
        tarn_writer_u8(&w, 1);
    s->options_len = w.len;
}
#define ASSERT_OPTION(s, want_kind, want_count, a, b, c)                                           \
    do {                                                                                           \
        unsigned kind_, count_;                                                                    \
        uint32_t f_[3] = {0}, want_[3] = {a, b, c};                                                \
        cr_assert(option_of((s), &kind_, &count_, f_), "no option");                               \
        cr_assert_eq(kind_, want_kind);                                                            \
        cr_assert_eq(count_, want_count, "%u fields", count_);                                     \
        for (unsigned i_ = 0; i_ < count_; i_++)                                                   \
            cr_assert_eq(f_[i_], want_[i_], "field %u is %u", i_, f_[i_]);                         \
    } while (0)
static bool has_option(const struct seg *s) {
    unsigned kind, count;
    uint32_t fields[3];
    return option_of(s, &kind, &count, fields);
}

static const uint32_t initial[3] = {1, 0, 1};

/* -- the flags -- */

/* Host 0 asks for AccECN, the SYN-ACK says `ace`; what host 0 sends next. */
static struct seg accecn_active_with(struct hand *h, unsigned ace, uint8_t syn_ack_mark,
                                     bool option) {
    static const struct tarn_tcp_options accurate = {.ecn = TARN_TCP_ECN_ACCURATE};
    *h =
        (struct hand){.net = net_new(7, NULL, &accurate), .peer_port = 5555, .iss = 99, .seq = 100};
    h->net->by_hand = true;
    h->flow = net_open(h->net, 0, h->peer_port);
    net_turn(h->net);
    struct seg syn = take(h);
    cr_assert_eq(ace_of(&syn), 7);
    h->port = syn.src;
    h->irs = syn.seq;
    h->ack = syn.seq + 1;
    struct seg answer = hand_syn(h, WITH_SACK);
    answer.flags = SYN | ACK;
    answer.ack = h->ack;
    ace_put(&answer, ace);
    if (option)
        option_put(&answer, 172, 3, initial);
    h->net->mark_tos = syn_ack_mark;
    hand_send(h->net, &answer);
    h->net->mark_tos = 0;
    return take(h);
}
static struct seg accecn_active(struct hand *h, unsigned ace, uint8_t syn_ack_mark) {
    return accecn_active_with(h, ace, syn_ack_mark, false);
}

Test(accecn, rfc9768_3_1_2_each_answer_to_a_syn_that_asks) {
    static const struct {
        unsigned ace;
        bool ecn, accurate;
    } answers[] = {{0, false, false}, {1, true, false}, {2, true, true}, {3, true, true},
                   {4, true, true},   {5, true, true},  {6, true, true}, {7, false, false}};
    for (size_t i = 0; i < TARN_COUNT_OF(answers); i++) {
        struct hand h;
        (void)accecn_active(&h, answers[i].ace, 0);
        struct tarn_tcp_info info = info_of(h.flow);
        bool mangled = answers[i].ace == 3 || answers[i].ace == 4 || answers[i].ace == 6;
        cr_assert_eq(info.ecn, answers[i].ecn && !mangled, "%u", answers[i].ace);
        cr_assert_eq(info.accurate_ecn, answers[i].accurate, "%u", answers[i].ace);
        hand_done(&h);
    }
}

Test(accecn, rfc9768_3_2_2_1_first_ack_tells_how_the_syn_ack_arrived) {
    static const unsigned aces[] = {2, 3, 4, 6};
    for (uint8_t mark = 0; mark < 4; mark++) {
        struct hand h;
        struct seg first = accecn_active(&h, 2, mark);
        cr_assert_eq(ace_of(&first), aces[mark]);
        hand_give(&h, ACK | PSH, "x");
        struct seg next = take(&h);
        cr_assert_eq(ace_of(&next), mark == 3 ? 6 : 5); /* r.cep */
        hand_done(&h);
    }
}

/* A passive open by a SYN with these flags and that mark; the SYN-ACK. */
static struct seg accecn_passive_by(struct hand *h, unsigned ace, uint8_t mark, unsigned with,
                                    const struct tarn_tcp_options *options) {
    *h = (struct hand){.net = net_new(7, NULL, options),
                       .peer_port = 5555,
                       .port = 80,
                       .iss = 9,
                       .seq = 10,
                       .tsval = 1000,
                       .timestamps = with & WITH_TS};
    h->net->by_hand = true;
    h->listener = net_listen(h->net, 0, 80, 1);
    struct seg syn = hand_syn(h, with);
    ace_put(&syn, ace);
    h->net->mark_tos = mark;
    hand_send(h->net, &syn);
    h->net->mark_tos = 0;
    struct seg answer = take(h);
    h->irs = answer.seq;
    h->ack = answer.seq + 1;
    return answer;
}
static struct seg accecn_passive_with(struct hand *h, unsigned ace, uint8_t mark, unsigned with) {
    return accecn_passive_by(h, ace, mark, with, NULL);
}
static struct seg accecn_passive(struct hand *h, unsigned ace, uint8_t mark) {
    return accecn_passive_with(h, ace, mark, 0);
}

Test(accecn, rfc9768_3_1_1_syn_ack_tells_how_the_syn_arrived) {
    static const unsigned aces[] = {2, 3, 4, 6};
    for (uint8_t mark = 0; mark < 4; mark++) {
        struct hand h;
        struct seg answer = accecn_passive(&h, 7, mark);
        cr_assert_eq(ace_of(&answer), aces[mark]);
        hand_done(&h);
    }
    for (unsigned ace = 0; ace < 8; ace++) { /* section 3.1.3: what is not defined asks for it */
        struct hand h;
        struct seg answer = accecn_passive(&h, ace, 0);
        cr_assert_eq(ace_of(&answer), ace == 0 ? 0 : ace == 3 ? 1 : 2, "%u", ace);
        hand_done(&h);
    }
}

/* Established by an ACK with that ACE field. */
static struct hand accecn_established(unsigned ace) {
    struct hand h;
    (void)accecn_passive(&h, 7, 0);
    struct seg s = ack_of(&h, 0, ace);
    hand_send(h.net, &s);
    cr_assert_eq(tarn_listener_accept(h.listener, &h.flow), TARN_OK);
    return h;
}

Test(accecn, rfc9768_3_2_2_4_cleared_flags_end_marking) {
    struct hand h = accecn_established(0);
    hand_write(&h, "data");
    cr_assert_eq(take(&h).tos & 3, 0);
    hand_done(&h);
    h = accecn_established(2);
    hand_write(&h, "data");
    cr_assert_eq(take(&h).tos & 3, 2);
    hand_done(&h);
}

Test(accecn, rfc9768_3_2_2_every_mark_is_counted) {
    struct hand h = accecn_established(2);
    h.net->mark_tos = 3;
    for (unsigned i = 1; i <= 10; i++) {
        hand_give(&h, ACK | PSH, "marked");
        struct seg s = take(&h);
        cr_assert_eq(ace_of(&s), (5 + i) % 8);
    }
    cr_assert_eq(stats_of(h.net, 0).ce_in, 10);
    hand_done(&h);
}

Test(accecn, rfc9768_3_2_2_5_counts_reduce_once_a_round_trip) {
    struct hand h = accecn_established(2);
    fill_flight(&h);
    struct seg s = ack_of(&h, 2, 5); /* nothing was marked */
    hand_send(h.net, &s);
    cr_assert_eq(info_of(h.flow).ssthresh_bytes, UINT32_MAX);
    s.ack += 2 * MSS;
    ace_put(&s, 7);
    hand_send(h.net, &s);
    uint32_t ssthresh = info_of(h.flow).ssthresh_bytes;
    cr_assert_neq(ssthresh, UINT32_MAX);
    s.ack += 2 * MSS;
    ace_put(&s, 1); /* two more, past the wrap */
    hand_send(h.net, &s);
    cr_assert_eq(info_of(h.flow).ssthresh_bytes, ssthresh);
    cr_assert_eq(stats_of(h.net, 0).ce_reported, 4);
    while (hand_take(h.net, &s))
        cr_assert_eq(ace_of(&s), 5); /* no CWR: the flags are a counter */
    hand_done(&h);
}

/* -- the handshake when something is in its way -- */

Test(accecn, rfc9768_3_1_4_1_asks_twice_and_then_no_more) {
    static const unsigned aces[] = {7, 7, 0, 0};
    struct tarn_tcp_options accurate = {.ecn = TARN_TCP_ECN_ACCURATE};
    struct net *net = net_new(7, NULL, &accurate);
    net->by_hand = true;
    struct tarn_flow *flow = net_open(net, 0, 99);
    for (size_t i = 0; i < TARN_COUNT_OF(aces); i++) {
        struct seg syn;
        net_run_for(net, TARN_MS(i == 0 ? 1 : 1000u << (i - 1)));
        cr_assert(hand_take(net, &syn));
        cr_assert_eq(ace_of(&syn), aces[i], "SYN %zu", i);
    }
    tarn_flow_abort(flow);
    net_free(net);
}

/* Established by an ACK with the option. */
static struct hand with_option(unsigned syn_options) {
    struct hand h;
    (void)accecn_passive_with(&h, 7, 0, syn_options);
    struct seg s = ack_of(&h, 0, 2);
    option_put(&s, 172, 3, initial);
    hand_send(h.net, &s);
    cr_assert_eq(tarn_listener_accept(h.listener, &h.flow), TARN_OK);
    return h;
}
static struct seg give_marked(struct hand *h, uint8_t mark, const char *payload) {
    h->net->mark_tos = mark;
    hand_give(h, ACK | PSH, payload);
    h->net->mark_tos = 0;
    return take(h);
}

Test(accecn, rfc9768_3_2_3_2_2_syn_ack_has_the_option_once_and_flags_twice) {
    struct hand h;
    struct seg answer = accecn_passive(&h, 7, 0);
    ASSERT_OPTION(&answer, 172, 3, 1, 0, 1);
    net_run_for(h.net, TARN_MS(1100));
    answer = take(&h);
    cr_assert_eq(ace_of(&answer), 2);
    cr_assert_not(has_option(&answer));
    net_run_for(h.net, TARN_MS(2100));
    answer = take(&h);
    cr_assert_eq(ace_of(&answer), 0);
    cr_assert_not(has_option(&answer));
    /* It is AccECN all the same, but without the option. */
    struct seg s = ack_of(&h, 0, 2);
    option_put(&s, 172, 3, initial);
    hand_send(h.net, &s);
    cr_assert_eq(tarn_listener_accept(h.listener, &h.flow), TARN_OK);
    cr_assert(info_of(h.flow).accurate_ecn);
    answer = give_marked(&h, 3, "marked");
    cr_assert_eq(ace_of(&answer), 6);
    cr_assert_not(has_option(&answer));
    hand_done(&h);
}

Test(accecn, rfc9768_3_2_3_bytes_of_each_mark_in_either_order) {
    struct hand h = with_option(WITH_SACK);
    struct seg s = give_marked(&h, 2, "12345");
    ASSERT_OPTION(&s, 172, 1, 6, 0, 0);
    s = give_marked(&h, 3, "123");
    ASSERT_OPTION(&s, 172, 2, 6, 3, 0);
    s = give_marked(&h, 1, "1234567");
    ASSERT_OPTION(&s, 174, 3, 8, 3, 6);
    s = give_marked(&h, 0, "not ECT");
    cr_assert_not(has_option(&s));
    hand_done(&h);
}

Test(accecn, rfc9768_3_2_3_3_a_sack_block_makes_room) {
    struct hand h = with_option(WITH_SACK | WITH_TS);
    struct seg s;
    for (int i = 0; i < 4; i++) { /* four holes */
        h.seq += 10;
        s = give_marked(&h, 2, "0123456789");
    }
    /* NOP, NOP, timestamps; NOP, NOP, SACK of two blocks; then the option. */
    cr_assert_eq(s.options[12 + 3], 18);
    ASSERT_OPTION(&s, 172, 1, 41, 0, 0);
    hand_done(&h);
}

Test(accecn, rfc9768_3_2_3_small_data_carries_it_full_segments_do_not) {
    struct hand h = with_option(0);
    h.net->mark_tos = 2;
    for (int i = 0; i < 16; i++) /* past the quick ACKs */
        hand_give(&h, ACK | PSH, "x");
    hand_drop_all(h.net);
    hand_give(&h, ACK | PSH, "x");
    hand_expect_none(h.net);
    hand_write(&h, "answer");
    struct seg s = take(&h);
    cr_assert_eq(s.len, 6);
    ASSERT_OPTION(&s, 172, 1, 18, 0, 0);
    hand_give(&h, ACK | PSH, "x");
    h.ack += 6;
    hand_give(&h, ACK, "");
    write_segments(&h, 2);
    s = take(&h);
    cr_assert_eq(s.len, MSS);
    cr_assert_not(has_option(&s));
    hand_done(&h);
}

Test(accecn, rfc9768_3_2_3_2_active_side_sends_it_where_the_syn_ack_had_it) {
    for (int has = 0; has < 2; has++) {
        struct hand h;
        struct seg first = accecn_active_with(&h, 2, 0, has);
        cr_assert_eq(has_option(&first), has);
        if (has)
            ASSERT_OPTION(&first, 172, 3, 1, 0, 1);
        struct seg next = give_marked(&h, 2, "x");
        cr_assert_eq(has_option(&next), has);
        hand_done(&h);
    }
}

Test(accecn, rfc9768_3_2_2_5_2_option_tells_how_often_the_flags_wrapped) {
    struct hand h = with_option(0);
    fill_flight(&h); /* ten in flight */
    struct seg s = ack_of(&h, 10, (5 + 9) % 8);
    option_put(&s, 172, 2, (uint32_t[]){1 + MSS, 9 * MSS});
    hand_send(h.net, &s);
    cr_assert_eq(stats_of(h.net, 0).ce_reported, 9);
    cr_assert_eq(info_of(h.flow).ce_bytes, 9 * MSS);
    hand_done(&h);
    /* The same flags, and no byte marked: a pure ACK was. */
    h = with_option(0);
    fill_flight(&h);
    s = ack_of(&h, 10, 6);
    option_put(&s, 172, 2, (uint32_t[]){1 + 10 * MSS, 0});
    hand_send(h.net, &s);
    cr_assert_eq(stats_of(h.net, 0).ce_reported, 1);
    /* Without the option it may have been nine. */
    h.net->mark_tos = 0;
    hand_done(&h);
    h = accecn_established(2);
    fill_flight(&h);
    s = ack_of(&h, 10, 6);
    hand_send(h.net, &s);
    cr_assert_eq(stats_of(h.net, 0).ce_reported, 9);
    hand_done(&h);
}

Test(accecn, rfc9768_3_2_3_fields_wrap_and_late_ones_do_not_count) {
    struct hand h = with_option(0);
    uint32_t fields[3] = {1, 0, 1};
    fill_flight(&h);
    for (uint32_t i = 1; i <= 2; i++) {
        struct seg s = ack_of(&h, i, 5 + i);
        fields[1] = i == 1 ? MSS : MSS - 100; /* the second is older */
        option_put(&s, 174, 3, fields);
        hand_send(h.net, &s);
    }
    cr_assert_eq(info_of(h.flow).ce_bytes, MSS);
    hand_done(&h);
}

Test(accecn, rfc9768_3_2_3_2_4_cleared_option_is_not_believed) {
    struct hand h;
    (void)accecn_passive(&h, 7, 0);
    struct seg s = ack_of(&h, 0, 2);
    option_put(&s, 172, 3, (uint32_t[]){0, 0, 0});
    hand_send(h.net, &s);
    cr_assert_eq(tarn_listener_accept(h.listener, &h.flow), TARN_OK);
    fill_flight(&h);
    s = ack_of(&h, 1, 5);
    option_put(&s, 172, 3, (uint32_t[]){1, MSS, 1});
    hand_send(h.net, &s);
    cr_assert_eq(info_of(h.flow).ce_bytes, 0);
    cr_assert_eq(info_of(h.flow).ssthresh_bytes, UINT32_MAX);
    hand_done(&h);
}

Test(accecn, rfc9768_3_2_2_3_mangled_handshake_ends_marking_and_not_telling) {
    static const unsigned bad[] = {3, 4, 6};
    for (size_t i = 0; i < TARN_COUNT_OF(bad); i++) {
        struct hand h = accecn_established(bad[i]); /* the SYN-ACK was not ECT */
        hand_write(&h, "data");
        cr_assert_eq(take(&h).tos & 3, 0);
        struct seg s = give_marked(&h, 3, "marked");
        cr_assert_eq(ace_of(&s), 6);
        hand_done(&h);
        (void)accecn_active(&h, bad[i], 0);
        hand_write(&h, "data");
        cr_assert_eq(take(&h).tos & 3, 0);
        hand_done(&h);
    }
}

Test(accecn, rfc9768_3_2_2_1_cleared_flags_are_not_answered_either) {
    struct hand h = accecn_established(0);
    fill_flight(&h);
    struct seg s = ack_of(&h, 2, 7);
    hand_send(h.net, &s);
    cr_assert_eq(info_of(h.flow).ssthresh_bytes, UINT32_MAX);
    hand_done(&h);
}

Test(accecn, rfc9768_3_2_3_2_2_option_that_does_not_pass_is_sent_no_more) {
    struct hand h = with_option(WITH_SACK);
    for (int i = 0; i < 2; i++) {
        struct seg s = give_marked(&h, 2, "data");
        cr_assert(has_option(&s));
        h.seq -= 4; /* its ACK did not arrive */
        s = give_marked(&h, 2, "data");
        cr_assert(has_option(&s));
    }
    struct seg s = give_marked(&h, 2, "data");
    cr_assert_not(has_option(&s));
    hand_done(&h);
}

Test(accecn, option_can_be_left_out) {
    struct tarn_tcp_options options = {.no_accecn_option = true};
    struct hand h;
    struct seg answer = accecn_passive_by(&h, 7, 0, 0, &options);
    cr_assert_eq(ace_of(&answer), 2);
    cr_assert_not(has_option(&answer));
    hand_done(&h);
}
