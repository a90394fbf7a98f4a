/* SPDX-License-Identifier: ISC */
#include "hand.h"

#include <criterion/criterion.h>
#include <string.h>

struct seg hand_syn(const struct hand *h, unsigned with) {
    struct seg s = {.src = h->peer_port, .dst = h->port, .seq = h->iss, .flags = SYN, .wnd = 65535};
    struct tarn_writer w = TARN_WRITER_ARRAY(s.options);
    tarn_writer_u32be(&w, 0x02040000 | 1460);
    if (with & WITH_SACK)
        tarn_writer_u32be(&w, 0x01010402);
    if (with & WITH_TS) {
        tarn_writer_u32be(&w, 0x0101080a);
        tarn_writer_u32be(&w, h->tsval);
        tarn_writer_u32be(&w, h->tsecr);
    }
    if (with & WITH_WSCALE)
        tarn_writer_u32be(&w, 0x01030307);
    s.options_len = w.len;
    return s;
}

struct seg hand_seg(const struct hand *h, unsigned flags, const char *payload) {
    struct seg s = {.src = h->peer_port,
                    .dst = h->port,
                    .seq = h->seq,
                    .ack = h->ack,
                    .flags = (uint8_t)flags,
                    .wnd = 65535,
                    .len = strlen(payload)};
    memcpy(s.payload, payload, s.len);
    if (h->timestamps) {
        struct tarn_writer w = TARN_WRITER_ARRAY(s.options);
        tarn_writer_u32be(&w, 0x0101080a);
        tarn_writer_u32be(&w, h->tsval);
        tarn_writer_u32be(&w, h->tsecr);
        s.options_len = w.len;
    }
    return s;
}

void hand_give(struct hand *h, unsigned flags, const char *payload) {
    struct seg s = hand_seg(h, flags, payload);
    h->seq += (uint32_t)s.len + (flags & FIN ? 1 : 0) + (flags & SYN ? 1 : 0);
    hand_send(h->net, &s);
}

static struct hand hand_new(unsigned with, const struct tarn_tcp_limits *limits,
                            const struct tarn_tcp_options *options) {
    struct hand h = {.net = net_new(7, limits, options),
                     .peer_port = 5555,
                     .port = 80,
                     .iss = 0xfffffff0u,
                     .seq = 0xfffffff1u,
                     .tsval = 1000,
                     .timestamps = with & WITH_TS};
    h.net->by_hand = true;
    return h;
}

/* The peer's timestamp, from a segment that carries one right after two NOPs or SACK-permitted. */
static uint32_t tsval_of(const struct seg *s) {
    for (size_t i = 0; i + 10 <= s->options_len; i++)
        if (s->options[i] == 8 && s->options[i + 1] == 10)
            return wire_u32(s->options + i + 2);
    return 0;
}

struct hand hand_passive(unsigned with, const struct tarn_tcp_limits *limits,
                         const struct tarn_tcp_options *options) {
    struct hand h = hand_new(with, limits, options);
    h.listener = net_listen(h.net, 0, 80, 16);
    struct seg syn = hand_syn(&h, with);
    hand_send(h.net, &syn);
    struct seg answer = hand_expect(h.net, SYN | ACK);
    cr_assert_eq(answer.ack, h.iss + 1);
    h.irs = answer.seq;
    h.ack = answer.seq + 1;
    h.tsecr = tsval_of(&answer);
    hand_give(&h, ACK, "");
    hand_expect_none(h.net);
    cr_assert_eq(tarn_listener_accept(h.listener, &h.flow), TARN_OK);
    return h;
}

struct hand hand_active(unsigned with, const struct tarn_tcp_limits *limits,
                        const struct tarn_tcp_options *options) {
    struct hand h = hand_new(with, limits, options);
    h.flow = net_open(h.net, 0, h.peer_port);
    net_turn(h.net);
    struct seg syn = hand_expect(h.net, SYN);
    h.port = syn.src;
    h.irs = syn.seq;
    h.ack = syn.seq + 1;
    h.tsecr = tsval_of(&syn);
    struct seg answer = hand_syn(&h, with);
    answer.flags = SYN | ACK;
    answer.ack = h.ack;
    hand_send(h.net, &answer);
    struct seg ack = hand_expect(h.net, ACK);
    cr_assert_eq(ack.ack, h.iss + 1);
    cr_assert_eq(ack.seq, h.irs + 1);
    return h;
}

struct hand hand_in_state(enum tarn_tcp_state state) {
    if (state == TARN_TCP_SYN_SENT || state == TARN_TCP_SYN_RECEIVED) {
        struct hand h = hand_new(0, NULL, NULL);
        h.flow = net_open(h.net, 0, h.peer_port);
        net_turn(h.net);
        struct seg syn = hand_expect(h.net, SYN);
        h.port = syn.src;
        h.irs = syn.seq;
        h.ack = syn.seq + 1;
        if (state == TARN_TCP_SYN_SENT)
            return h;
        struct seg cross = hand_syn(&h, 0);
        hand_send(h.net, &cross);
        hand_expect(h.net, SYN | ACK);
        return h;
    }
    struct hand h = hand_active(0, NULL, NULL);
    bool peer_first = state == TARN_TCP_CLOSE_WAIT || state == TARN_TCP_LAST_ACK;
    if (peer_first) {
        hand_give(&h, ACK | FIN, "");
        hand_expect(h.net, ACK);
    }
    if (state != TARN_TCP_ESTABLISHED && state != TARN_TCP_CLOSE_WAIT) {
        tarn_flow_shutdown(h.flow);
        net_turn(h.net);
        cr_assert_eq(hand_expect(h.net, ACK | FIN).seq, h.ack);
    }
    if (state == TARN_TCP_FIN_WAIT_2 || state == TARN_TCP_TIME_WAIT) {
        h.ack++;
        hand_give(&h, ACK, "");
        hand_expect_none(h.net);
    }
    if (state == TARN_TCP_CLOSING || state == TARN_TCP_TIME_WAIT) {
        hand_give(&h, ACK | FIN, "");
        hand_expect(h.net, ACK);
    }
    cr_assert_eq(hand_state(&h), state);
    return h;
}

enum tarn_tcp_state hand_state(const struct hand *h) {
    return info_of(h->flow).state;
}

void hand_read(struct hand *h, const char *text) {
    char buf[4096];
    size_t n, got = 0;
    while (tarn_flow_read(h->flow, tarn_bytes_of(buf + got, sizeof buf - got), &n) == TARN_OK)
        got += n;
    cr_assert_eq(got, strlen(text), "%zu bytes, expected %zu", got, strlen(text));
    cr_assert_eq(memcmp(buf, text, got), 0, "wrong bytes");
}

void hand_write(struct hand *h, const char *text) {
    size_t n;
    cr_assert_eq(tarn_flow_write(h->flow, tarn_span_str(text), &n), TARN_OK);
    cr_assert_eq(n, strlen(text));
    net_turn(h->net);
}

void hand_done(struct hand *h) {
    if (h->flow)
        tarn_flow_abort(h->flow);
    if (h->listener)
        tarn_listener_close(h->listener);
    net_assert_clean(h->net);
    net_free(h->net);
}
