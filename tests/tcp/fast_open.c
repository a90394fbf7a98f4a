/* SPDX-License-Identifier: ISC */
/* TCP Fast Open (RFC 7413), between two of ours and by hand. */
#include "hand.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct tarn_tcp_options on = {.fast_open = true};

/* -- by hand: host 0 listens -- */

static struct hand listening(const struct tarn_tcp_limits *limits,
                             const struct tarn_tcp_options *options) {
    struct hand h = {.net = net_new(7, limits, options), .peer_port = 5555, .port = 80, .iss = 9};
    h.net->by_hand = true;
    h.listener = net_listen(h.net, 0, 80, 16);
    h.seq = h.iss + 1;
    return h;
}

/* A SYN with that cookie (NULL: no option; empty: asks for one), and data. */
static void give_syn(struct hand *h, const uint8_t *cookie, size_t len, const char *data) {
    struct seg s = hand_syn(h, 0);
    if (cookie || len == 0) {
        s.options[s.options_len++] = 34;
        s.options[s.options_len++] = (uint8_t)(2 + len);
        if (len)
            memcpy(s.options + s.options_len, cookie, len);
        s.options_len += len;
    }
    s.len = strlen(data);
    memcpy(s.payload, data, s.len);
    hand_send(h->net, &s);
}

/* The cookie in a SYN-ACK; its length. */
static size_t cookie_of(const struct seg *s, uint8_t out[16]) {
    for (size_t i = 0; i + 2 <= s->options_len; i++) {
        if (s->options[i] != 34)
            continue;
        size_t len = s->options[i + 1] - 2u;
        memcpy(out, s->options + i + 2, len);
        return len;
    }
    return 0;
}

static size_t ask_for_cookie(struct hand *h, uint8_t out[16]) {
    give_syn(h, NULL, 0, "");
    struct seg answer = hand_expect(h->net, SYN | ACK);
    struct seg rst = {.src = h->peer_port, .dst = 80, .seq = h->seq, .flags = RST};
    hand_send(h->net, &rst);
    return cookie_of(&answer, out);
}

Test(fast_open, rfc7413_4_2_data_with_a_good_cookie_is_there_at_once) {
    struct hand h = listening(NULL, &on);
    uint8_t cookie[16];
    size_t len = ask_for_cookie(&h, cookie);
    cr_assert_eq(len, 8);
    give_syn(&h, cookie, len, "request");
    struct seg answer = hand_expect(h.net, SYN | ACK);
    cr_assert_eq(answer.ack, h.iss + 1 + 7);
    cr_assert_eq(tarn_listener_accept(h.listener, &h.flow), TARN_OK);
    cr_assert_eq(info_of(h.flow).state, TARN_TCP_SYN_RECEIVED);
    hand_read(&h, "request");
    hand_write(&h, "response"); /* before the handshake is over */
    struct seg data = hand_expect(h.net, ACK | PSH);
    cr_assert_eq(data.len, 8);
    cr_assert_eq(data.seq, answer.seq + 1);
    h.seq = h.iss + 8;
    h.ack = answer.seq + 9;
    hand_give(&h, ACK, "");
    cr_assert_eq(info_of(h.flow).state, TARN_TCP_ESTABLISHED);
    hand_give(&h, ACK | PSH, "more");
    hand_read(&h, "more");
    cr_assert_eq(stats_of(h.net, 0).fast_opens_passive, 1);
    hand_done(&h);
}

/* RFC 3168 section 6.1.1, also where the SYN asked for AccECN, of which it is a part. */
Test(fast_open, ecn_is_granted_with_a_good_cookie) {
    struct hand h = listening(NULL, &on);
    uint8_t cookie[16];
    size_t len = ask_for_cookie(&h, cookie);
    struct seg syn = hand_syn(&h, 0);
    syn.flags = SYN | ECE | CWR;
    syn.options[syn.options_len++] = 34;
    syn.options[syn.options_len++] = (uint8_t)(2 + len);
    memcpy(syn.options + syn.options_len, cookie, len);
    syn.options_len += len;
    syn.len = 1;
    hand_send(h.net, &syn);
    hand_expect(h.net, SYN | ACK | ECE);
    cr_assert_eq(tarn_listener_accept(h.listener, &h.flow), TARN_OK);
    cr_assert(info_of(h.flow).ecn);
    cr_assert_not(info_of(h.flow).accurate_ecn);
    hand_done(&h);
}

Test(fast_open, rfc7413_4_2_bad_cookie_is_answered_with_a_good_one) {
    struct hand h = listening(NULL, &on);
    uint8_t cookie[16], wrong[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    give_syn(&h, wrong, 8, "request");
    struct seg answer = hand_expect(h.net, SYN | ACK);
    cr_assert_eq(answer.ack, h.iss + 1); /* the data is not */
    cr_assert_eq(cookie_of(&answer, cookie), 8);
    cr_assert_neq(memcmp(cookie, wrong, 8), 0);
    cr_assert_eq(tarn_listener_accept(h.listener, &h.flow), TARN_AGAIN);
    cr_assert_eq(stats_of(h.net, 0).fast_open_bad_cookies, 1);
    hand_done(&h);
}

Test(fast_open, off_unless_asked_for) {
    struct hand h = listening(NULL, NULL);
    uint8_t cookie[16];
    give_syn(&h, NULL, 0, "");
    struct seg answer = hand_expect(h.net, SYN | ACK);
    cr_assert_eq(cookie_of(&answer, cookie), 0);
    hand_done(&h);
}

Test(fast_open, rfc7413_4_1_2_keys_change) {
    struct hand h = listening(NULL, &on);
    uint8_t first[16], later[16];
    (void)ask_for_cookie(&h, first);
    net_run_for(h.net, TARN_SEC(5400));
    (void)ask_for_cookie(&h, later);
    cr_assert_neq(memcmp(first, later, 8), 0);
    give_syn(&h, first, 8, "old"); /* still good */
    cr_assert_eq(hand_expect(h.net, SYN | ACK).ack, h.iss + 4);
    cr_assert_eq(tarn_listener_accept(h.listener, &h.flow), TARN_OK);
    tarn_flow_abort(h.flow);
    hand_drop_all(h.net);
    h.flow = NULL;
    net_run_for(h.net, TARN_SEC(5400));
    give_syn(&h, first, 8, "too old");
    cr_assert_eq(hand_expect(h.net, SYN | ACK).ack, h.iss + 1);
    hand_done(&h);
}

Test(fast_open, rfc7413_5_1_pending_ones_are_bounded) {
    struct tarn_tcp_limits limits = {.fast_open_pending_max = 1};
    struct hand h = listening(&limits, &on);
    uint8_t cookie[16];
    (void)ask_for_cookie(&h, cookie);
    give_syn(&h, cookie, 8, "one");
    cr_assert_eq(hand_expect(h.net, SYN | ACK).ack, h.iss + 4);
    h.peer_port++;
    give_syn(&h, cookie, 8, "two");
    cr_assert_eq(hand_expect(h.net, SYN | ACK).ack, h.iss + 1);
    cr_assert_eq(stats_of(h.net, 0).fast_open_refused, 1);
    cr_assert_eq(tarn_listener_accept(h.listener, &h.flow), TARN_OK);
    tarn_flow_abort(h.flow); /* gone: there is room again */
    hand_drop_all(h.net);
    h.peer_port++;
    give_syn(&h, cookie, 8, "three");
    cr_assert_eq(hand_expect(h.net, SYN | ACK).ack, h.iss + 6);
    cr_assert_eq(tarn_listener_accept(h.listener, &h.flow), TARN_OK);
    hand_done(&h);
}

Test(fast_open, syn_ack_is_sent_again_and_at_last_given_up) {
    struct hand h = listening(NULL, &on);
    uint8_t cookie[16];
    struct seg s;
    (void)ask_for_cookie(&h, cookie);
    give_syn(&h, cookie, 8, "request");
    uint32_t seq = hand_expect(h.net, SYN | ACK).seq;
    give_syn(&h, cookie, 8, "request"); /* the peer's again: nothing new */
    cr_assert_eq(hand_expect(h.net, SYN | ACK).ack, h.iss + 8);
    cr_assert_eq(tarn_listener_accept(h.listener, &h.flow), TARN_OK);
    hand_write(&h, "response");
    hand_expect(h.net, ACK | PSH);
    net_run_for(h.net, TARN_MS(2500));
    s = hand_expect(h.net, SYN | ACK);
    cr_assert_eq(s.seq, seq);
    cr_assert_eq(hand_expect(h.net, ACK | PSH).len, 8); /* and what was behind it */
    net_run_for(h.net, TARN_SEC(200));
    cr_assert_eq(info_of(h.flow).state, TARN_TCP_CLOSED);
    hand_drop_all(h.net);
    hand_done(&h);
}

/* -- two of ours -- */

static bool lose_syn_with_data(struct net *net, unsigned from, const uint8_t *tcp, size_t len) {
    (void)net;
    (void)from;
    return !(tcp[13] & SYN && len > (size_t)(tcp[12] >> 4) * 4);
}

/* One request and one response; how long until the response was there. */
static tarn_time exchange(struct net *net, struct tarn_listener *l) {
    struct tarn_endpoint to = {net->hosts[1].addr, 80};
    struct tarn_flow *client = NULL, *server = NULL;
    struct tarn_span request = TARN_SPAN_LIT("request");
    char buf[16];
    size_t n;
    tarn_time start = net->now;
    cr_assert_eq(
        tarn_tcp_connect_with(net->hosts[0].tcp, NULL, &to, request, net->now, &client, &n),
        TARN_OK);
    cr_assert_eq(n, request.len);
    bool answered = false;
    for (;;) {
        net_run_for(net, TARN_MS(1));
        cr_assert_lt(net->now, start + TARN_SEC(60));
        if (!server && tarn_listener_accept(l, &server) != TARN_OK)
            continue;
        if (!answered && tarn_flow_read(server, TARN_BYTES_ARRAY(buf), &n) == TARN_OK) {
            cr_assert(n == 7 && memcmp(buf, "request", 7) == 0);
            cr_assert_eq(tarn_flow_write(server, TARN_SPAN_LIT("response"), &n), TARN_OK);
            answered = true;
        }
        if (tarn_flow_read(client, TARN_BYTES_ARRAY(buf), &n) == TARN_OK)
            break;
    }
    cr_assert(n == 8 && memcmp(buf, "response", 8) == 0);
    tarn_time took = net->now - start;
    tarn_flow_close(client);
    tarn_flow_close(server);
    net_run_for(net, TARN_SEC(200));
    return took;
}

Test(fast_open, rfc7413_3_second_exchange_takes_one_round_trip) {
    struct net *net = net_new(3, NULL, &on);
    struct tarn_listener *l = net_listen(net, 1, 80, 4);
    cr_assert_geq(exchange(net, l), TARN_MS(40)); /* a round trip is 20 ms */
    cr_assert_leq(exchange(net, l), TARN_MS(25));
    cr_assert(stats_of(net, 0).fast_opens_active == 1 && stats_of(net, 1).fast_opens_passive == 1);
    tarn_listener_close(l);
    net_assert_clean(net);
    net_free(net);
}

Test(fast_open, rfc7413_4_1_3_1_path_that_swallows_it_is_not_asked_again) {
    struct net *net = net_new(3, NULL, &on);
    struct tarn_listener *l = net_listen(net, 1, 80, 4);
    (void)exchange(net, l);
    net->filter = lose_syn_with_data;
    cr_assert_geq(exchange(net, l), TARN_SEC(1)); /* the SYN's timeout, then without */
    uint64_t lost = net->lost;
    cr_assert_leq(exchange(net, l), TARN_MS(100)); /* asks for a cookie, without data */
    cr_assert_eq(net->lost, lost);
    tarn_listener_close(l);
    net_assert_clean(net);
    net_free(net);
}

Test(fast_open, survives_loss) {
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct net *net = net_new(seed, NULL, &on);
        struct tarn_listener *l = net_listen(net, 1, 80, 4);
        net->rules.loss = 0.2;
        for (int i = 0; i < 4; i++)
            (void)exchange(net, l);
        tarn_listener_close(l);
        net_assert_clean(net);
        net_free(net);
    }
}

/* -- the option of draft times -- */

static const uint8_t *experimental(const struct seg *s, size_t *len) {
    for (size_t i = 0; i < s->options_len && s->options[i];
         i += s->options[i] == 1 ? 1 : s->options[i + 1])
        if (s->options[i] == 254 && wire_u16(s->options + i + 2) == 0xf989) {
            *len = s->options[i + 1] - 4u;
            return s->options + i + 4;
        }
    return NULL;
}
static void give_experimental(struct hand *h, const uint8_t *cookie, size_t len, const char *data) {
    struct seg s = hand_syn(h, 0);
    const uint8_t head[] = {254, (uint8_t)(4 + len), 0xf9, 0x89};
    memcpy(s.options + s.options_len, head, 4);
    if (len)
        memcpy(s.options + s.options_len + 4, cookie, len);
    s.options_len += 4 + len;
    s.len = strlen(data);
    memcpy(s.payload, data, s.len);
    hand_send(h->net, &s);
}

Test(fast_open, rfc7413_4_1_1_experimental_option_is_answered_alike) {
    struct hand h = listening(NULL, &on);
    size_t len = 0;
    uint8_t cookie[16];
    give_experimental(&h, NULL, 0, "");
    struct seg answer = hand_expect(h.net, SYN | ACK);
    const uint8_t *got = experimental(&answer, &len);
    cr_assert_neq(got, NULL);
    cr_assert_eq(len, 8);
    memcpy(cookie, got, 8);
    struct seg rst = {.src = h.peer_port, .dst = 80, .seq = h.seq, .flags = RST};
    hand_send(h.net, &rst);
    give_experimental(&h, cookie, 8, "request");
    cr_assert_eq(hand_expect(h.net, SYN | ACK).ack, h.iss + 8);
    cr_assert_eq(tarn_listener_accept(h.listener, &h.flow), TARN_OK);
    hand_read(&h, "request");
    hand_done(&h);
}

Test(fast_open, rfc7413_4_1_2_who_has_a_fresh_cookie_gets_no_other) {
    struct hand h = listening(NULL, &on);
    uint8_t cookie[16], again[16];
    size_t len = ask_for_cookie(&h, cookie);
    give_syn(&h, cookie, len, "");
    struct seg answer = hand_expect(h.net, SYN | ACK);
    cr_assert_eq(cookie_of(&answer, again), 0);
    hand_done(&h);
}

Test(fast_open, without_cookies_data_is_taken_from_anybody) {
    struct tarn_tcp_options friends = {.fast_open = true, .fast_open_without_cookie = true};
    struct hand h = listening(NULL, &friends);
    struct seg s = hand_syn(&h, 0);
    s.len = 5;
    memcpy(s.payload, "hello", 5);
    hand_send(h.net, &s);
    cr_assert_eq(hand_expect(h.net, SYN | ACK).ack, h.iss + 6);
    cr_assert_eq(tarn_listener_accept(h.listener, &h.flow), TARN_OK);
    cr_assert(info_of(h.flow).syn_data_acked);
    hand_read(&h, "hello");
    hand_done(&h);
}

/* -- by hand: host 0 connects -- */

static struct hand asking(void) {
    struct hand h = {.net = net_new(7, NULL, &on), .peer_port = 5555, .iss = 9, .seq = 10};
    h.net->by_hand = true;
    return h;
}
/* Host 0 connects with data; its SYN. */
static struct seg connect_with(struct hand *h, const char *data) {
    struct tarn_endpoint to = {h->net->hosts[1].addr, h->peer_port};
    size_t n;
    cr_assert_eq(tarn_tcp_connect_with(h->net->hosts[0].tcp, NULL, &to, tarn_span_str(data),
                                       h->net->now, &h->flow, &n),
                 TARN_OK);
    net_turn(h->net);
    struct seg syn;
    cr_assert(hand_take(h->net, &syn));
    h->port = syn.src;
    h->irs = syn.seq;
    return syn;
}
/* The SYN-ACK for that, with an MSS and a cookie of four bytes, or none. */
static void answer_syn(struct hand *h, uint32_t covered, uint16_t mss, bool cookie) {
    struct seg s = {.src = h->peer_port,
                    .dst = h->port,
                    .seq = h->iss,
                    .ack = h->irs + 1 + covered,
                    .flags = SYN | ACK,
                    .wnd = 65535,
                    .options = {2, 4, (uint8_t)(mss >> 8), (uint8_t)mss, 34, 6, 1, 2, 3, 4, 1, 1},
                    .options_len = cookie ? 12 : 4};
    hand_send(h->net, &s);
    hand_drop_all(h->net);
}
static void over(struct hand *h) {
    tarn_flow_abort(h->flow);
    hand_drop_all(h->net);
    h->flow = NULL;
}

Test(fast_open, rfc7413_4_1_3_mss_is_learnt_from_every_answer) {
    static char data[2000];
    struct hand h = asking();
    memset(data, 'd', sizeof data - 1);
    cr_assert_eq(connect_with(&h, data).len, 0);
    answer_syn(&h, 0, 1460, true);
    over(&h);
    cr_assert_eq(tarn_tcp_fast_open_room(h.net->hosts[0].tcp, &h.net->hosts[1].addr), 1420);
    cr_assert_eq(connect_with(&h, data).len, 1420);
    answer_syn(&h, 1420, 940, false);
    cr_assert(info_of(h.flow).syn_data_acked);
    over(&h);
    cr_assert_eq(connect_with(&h, data).len, 900);
    over(&h);
    hand_done(&h);
}

Test(fast_open, rfc7413_4_1_3_syn_that_was_too_large_goes_alone) {
    struct hand h = asking();
    (void)connect_with(&h, "first");
    answer_syn(&h, 0, 1460, true);
    over(&h);
    struct seg syn = connect_with(&h, "second");
    cr_assert_eq(syn.len, 6);
    struct tarn_ip_meta meta = {.src = h.net->hosts[0].addr, .dst = h.net->hosts[1].addr};
    uint8_t quoted[8];
    struct tarn_writer w = TARN_WRITER_ARRAY(quoted);
    tarn_writer_u16be(&w, h.port);
    tarn_writer_u16be(&w, h.peer_port);
    tarn_writer_u32be(&w, syn.seq);
    tarn_tcp_error(h.net->hosts[0].tcp, &meta, TARN_IP_ERROR_TOO_BIG, 600, TARN_SPAN_ARRAY(quoted),
                   h.net->now);
    net_turn(h.net);
    cr_assert_eq(hand_expect(h.net, SYN).len, 0);
    over(&h);
    hand_done(&h);
}
