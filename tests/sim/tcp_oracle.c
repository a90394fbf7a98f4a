/* SPDX-License-Identifier: ISC */
/* A reference TCP beside the real one, compared after every step.
 *
 * The model is RFC 9293 written down as plainly as it goes: one flag for each byte of the peer's
 * stream, no queues, no timers, no congestion control. A seed makes a life of a connection: its
 * owner writes, reads and shuts down, the peer sends segments that are in order, out of it, old,
 * beyond the window, or wrong, and time passes. After each step the state, every sequence variable
 * and what the queues hold must be what the model says; and every segment that the core has sent
 * must be one that it may send: numbers, payload, edges, SACK blocks. It looks into the core
 * (internal.h). */
#include "../../lib/tcp/src/internal.h"
#include "../tcp/hand.h"
#include "seeds.h"

#include <stdio.h>

enum { STEPS = 90, WINDOW = 1 << 17, SPACE = 2 * WINDOW, WRITE_MAX = 60000, WSCALE = 7 };

struct model {
    struct hand h;
    struct tcp_conn *c;
    struct tarn_random_seeded random;
    enum tarn_tcp_state state;
    enum tarn_err end; /* where CLOSED */

    uint32_t irs, rcv_nxt, rcv_adv; /* the peer's first number, ours next, the edge promised */
    bool have[SPACE];               /* received, by the distance from irs + 1 ... */
    uint32_t have_end;              /* ... and all below this */
    uint32_t consumed;              /* bytes read by the owner */
    bool fin_seen, fin_received;
    uint32_t fin_at;
    uint32_t peer_fin; /* where the peer's stream ends, by the same distance; 0: it does not yet */

    uint32_t iss, una, nxt, wnd, wnd_max, wl1, edge_max;
    uint32_t written;
    bool shut, fin_sent;
};

static uint32_t draw(struct model *m, uint32_t below) {
    return tarn_random_below(&m->random.random, below);
}
static bool often(struct model *m, uint32_t percent) {
    return draw(m, 100) < percent;
}
static uint8_t theirs(uint32_t i) {
    return (uint8_t)(i * 31 + i / 251);
}
static uint8_t ours(uint32_t i) {
    return (uint8_t)(i * 17 + i / 253 + 1);
}
static uint32_t at_of(const struct model *m, uint32_t seq) {
    return seq - (m->irs + 1);
}
static uint32_t end_of_ours(const struct model *m) {
    return m->iss + 1 + m->written;
}

/* -- the model: RFC 9293 section 3.10.7.4, in its order -- */

static void over(struct model *m, enum tarn_err end) {
    m->state = TARN_TCP_CLOSED;
    m->end = end;
}

static bool acceptable(const struct model *m, const struct seg *s, uint32_t space) {
    uint32_t edge = seq_max(m->rcv_adv, m->rcv_nxt);
    if (edge == m->rcv_nxt && s->seq == m->rcv_nxt)
        return true;
    if (space == 0)
        return seq_le(m->rcv_nxt, s->seq) && seq_le(s->seq, edge);
    return seq_lt(s->seq, edge) && seq_lt(m->rcv_nxt, s->seq + space);
}

static void model_ack(struct model *m, const struct seg *s) {
    uint32_t wnd = (uint32_t)s->wnd << WSCALE;
    if (seq_le(m->una, s->ack)
        && (seq_lt(m->una, s->ack) || seq_lt(m->wl1, s->seq)
            || (m->wl1 == s->seq && (wnd > m->wnd || wnd == 0)))) {
        m->wnd = wnd;
        m->wl1 = s->seq;
        m->wnd_max = TARN_MAX(m->wnd_max, wnd);
    }
    m->una = seq_max(m->una, s->ack);
    m->edge_max = seq_max(m->edge_max, m->una + m->wnd);
    if (!m->fin_sent || m->una != end_of_ours(m) + 1)
        return;
    if (m->state == TARN_TCP_FIN_WAIT_1)
        m->state = TARN_TCP_FIN_WAIT_2;
    else if (m->state == TARN_TCP_CLOSING)
        m->state = TARN_TCP_TIME_WAIT;
    else if (m->state == TARN_TCP_LAST_ACK)
        over(m, TARN_EOF);
}

static void model_fin(struct model *m) {
    m->fin_received = true;
    m->rcv_nxt++;
    if (m->state == TARN_TCP_ESTABLISHED)
        m->state = TARN_TCP_CLOSE_WAIT;
    else if (m->state == TARN_TCP_FIN_WAIT_1)
        m->state = TARN_TCP_CLOSING;
    else if (m->state == TARN_TCP_FIN_WAIT_2)
        m->state = TARN_TCP_TIME_WAIT;
}

static void model_data(struct model *m, const struct seg *s) {
    uint32_t from = seq_max(s->seq, m->rcv_nxt), to = s->seq + (uint32_t)s->len;
    bool fin = s->flags & FIN;
    if (seq_lt(m->rcv_adv, to)) {
        to = m->rcv_adv;
        fin = false;
    }
    for (uint32_t seq = from; seq_lt(seq, to); seq++)
        m->have[at_of(m, seq)] = true;
    if (seq_lt(from, to))
        m->have_end = TARN_MAX(m->have_end, at_of(m, to));
    while (at_of(m, m->rcv_nxt) < SPACE && m->have[at_of(m, m->rcv_nxt)])
        m->rcv_nxt++;
    if (fin && !m->fin_seen) {
        m->fin_seen = true;
        m->fin_at = seq_max(from, to);
    }
    if (m->fin_seen && m->rcv_nxt == m->fin_at)
        model_fin(m);
}

static void model_input(struct model *m, const struct seg *s) {
    uint32_t space = (uint32_t)s->len + (s->flags & SYN ? 1 : 0) + (s->flags & FIN ? 1 : 0);
    uint32_t late = TARN_MIN(m->wnd_max, m->una - (m->iss + 1));
    if (m->state == TARN_TCP_TIME_WAIT && s->flags & FIN && !(s->flags & RST)
        && s->seq + space == m->rcv_nxt) {
        return;
    } else if (s->flags & RST) {
        bool waits = m->state == TARN_TCP_TIME_WAIT;
        if (s->seq == m->rcv_nxt || (m->fin_received && !waits && s->seq == m->fin_at))
            over(m, waits ? TARN_EOF : TARN_PEER);
    } else if (!acceptable(m, s, space) || s->flags & SYN || !(s->flags & ACK)
               || m->state == TARN_TCP_TIME_WAIT || seq_lt(s->ack, m->una - late)
               || seq_lt(m->nxt, s->ack)) {
        return;
    } else {
        model_ack(m, s);
        if (m->state != TARN_TCP_CLOSED && !m->fin_received)
            model_data(m, s);
    }
}

/* -- what the core has sent -- */

static void check_sacks(const struct model *m, const struct seg *s) {
    for (size_t i = 0; i + 1 < s->options_len && s->options[i] != 0;) {
        size_t len = s->options[i] == 1 ? 1 : s->options[i + 1];
        for (size_t b = i + 2; s->options[i] == 5 && b + 8 <= i + len; b += 8) {
            uint32_t from = at_of(m, wire_u32(s->options + b));
            uint32_t to = at_of(m, wire_u32(s->options + b + 4));
            SIM_CHECK(from < to && to <= SPACE, "block %u to %u", from, to);
            for (; from < to; from++)
                SIM_CHECK(m->have[from], "%u is SACKed and was never received", from);
        }
        i += len;
    }
}

static void check_sent(struct model *m, const struct seg *s) {
    uint32_t to = s->seq + (uint32_t)s->len, edge = s->ack + ((uint32_t)s->wnd << m->c->rcv_wscale);
    SIM_CHECK(s->flags & ACK && !(s->flags & (SYN | RST)));
    SIM_CHECK(s->ack == m->rcv_nxt, "acknowledges %u, received %u", at_of(m, s->ack),
              at_of(m, m->rcv_nxt));
    SIM_CHECK(seq_le(m->rcv_adv, edge) || m->fin_received, "the window is taken back by %u",
              m->rcv_adv - edge);
    m->rcv_adv = seq_max(m->rcv_adv, edge);
    check_sacks(m, s);
    for (uint32_t i = 0; i < s->len; i++)
        SIM_CHECK(s->payload[i] == ours(s->seq + i - (m->iss + 1)), "byte %u of a segment", i);
    if (s->len > 0) {
        SIM_CHECK(seq_le(m->una, s->seq) && seq_le(to, end_of_ours(m)));
        SIM_CHECK(seq_le(to, m->edge_max), "%u beyond the peer's window", to - m->edge_max);
    } else if (!(s->flags & FIN)) {
        SIM_CHECK(seq_le(m->una - 1, s->seq) && seq_le(s->seq, m->nxt));
    }
    if (s->flags & FIN) {
        SIM_CHECK(m->shut && to == end_of_ours(m), "FIN before the end");
        m->fin_sent = true;
        to++;
    }
    if (s->len > 0 || s->flags & FIN)
        m->nxt = seq_max(m->nxt, to);
}

/* -- what the core holds -- */

static void check_ranges(const struct model *m) {
    uint32_t runs = 0, bytes = 0;
    for (uint32_t i = at_of(m, m->rcv_nxt); i < m->have_end; i++) {
        bytes += m->have[i];
        runs += m->have[i] && (i == 0 || !m->have[i - 1]);
    }
    SIM_CHECK(m->c->range_bytes == bytes && m->c->range_count == runs,
              "%u bytes in %u ranges, expected %u in %u", m->c->range_bytes, m->c->range_count,
              bytes, runs);
    for (struct tcp_link *l = m->c->recent; l; l = l->next == m->c->recent ? NULL : l->next) {
        struct tcp_range *r = TARN_CONTAINER_OF(l, struct tcp_range, recent);
        uint32_t seq = r->node.seq;
        for (struct tarn_pkt *p = r->head; p; p = p->next)
            seq += p->len;
        SIM_CHECK(seq == r->end && seq_tree_floor(&m->c->ranges, r->node.seq) == &r->node);
    }
}

static void check_flight(const struct model *m) {
    const struct tcp_flight *f = m->c->flight;
    uint32_t seq = m->una, sacked = 0, lost = 0, count = 0;
    if (!f || !f->sent) {
        SIM_CHECK(m->una == m->nxt, "nothing is known of what is in flight");
        return;
    }
    struct tcp_sent *s = f->sent;
    do {
        SIM_CHECK(s->node.seq == seq, "a gap in what is in flight");
        seq = sent_end(s);
        sacked += s->flags & SENT_SACKED ? sent_space(s) : 0;
        lost += s->flags & SENT_LOST ? sent_space(s) : 0;
        count++;
        s = s->next;
    } while (s != f->sent);
    SIM_CHECK(seq == m->nxt && sacked == f->sacked_bytes && lost == f->lost_bytes
              && count == f->sent_count);
}

static void check_core(struct model *m) {
    const struct tcp_conn *c = m->c;
    SIM_CHECK(c->state == m->state, "%s, expected %s",
              tarn_tcp_state_name((enum tarn_tcp_state)c->state), tarn_tcp_state_name(m->state));
    if (m->state == TARN_TCP_CLOSED) {
        SIM_CHECK(c->err == m->end, "%s, expected %s", tarn_err_name((enum tarn_err)c->err),
                  tarn_err_name(m->end));
        return;
    }
    uint32_t unread = at_of(m, m->rcv_nxt) - (m->fin_received ? 1 : 0) - m->consumed;
    SIM_CHECK(c->rcv_nxt == m->rcv_nxt && c->fin_received == m->fin_received,
              "RCV.NXT is off by %d", (int)(c->rcv_nxt - m->rcv_nxt));
    SIM_CHECK(c->fin_seen == m->fin_seen && (!m->fin_seen || c->rcv_fin == m->fin_at));
    SIM_CHECK(c->rcv_bytes == unread, "%u unread, expected %u", c->rcv_bytes, unread);
    check_ranges(m);
    if (m->state == TARN_TCP_TIME_WAIT)
        return;
    SIM_CHECK(c->snd_una == m->una && c->snd_nxt == m->nxt, "SND.UNA %d, SND.NXT %d",
              (int)(c->snd_una - m->una), (int)(c->snd_nxt - m->nxt));
    SIM_CHECK(c->snd_wnd == m->wnd && c->snd_wl1 == m->wl1, "SND.WND %u, expected %u", c->snd_wnd,
              m->wnd);
    SIM_CHECK(c->snd_end == end_of_ours(m) && c->fin_queued == m->shut
              && c->fin_sent == m->fin_sent);
    check_flight(m);
}

static void check(struct model *m) {
    struct seg s;
    while (hand_take(m->h.net, &s))
        check_sent(m, &s);
    check_core(m);
}

/* -- a life -- */

static uint32_t some_seq(struct model *m) {
    uint32_t how = draw(m, 100);
    if (how < 45)
        return m->rcv_nxt;
    if (how < 55 && m->have_end > 0)
        return m->irs + 1 + m->have_end; /* right behind all that is there */
    if (how < 75)
        return m->rcv_nxt + draw(m, 3000);
    if (how < 90)
        return m->rcv_nxt - TARN_MIN(draw(m, 2000), at_of(m, m->rcv_nxt) + 1);
    return m->rcv_adv + draw(m, 6) - 3;
}

static uint32_t some_ack(struct model *m) {
    uint32_t how = draw(m, 100), flight = m->nxt - m->una;
    if (how < 40)
        return m->nxt;
    if (how < 85)
        return m->una + draw(m, flight + 1);
    return how < 95 ? m->una - draw(m, 3000) : m->nxt + 1 + draw(m, 3000);
}

/* All of a hole, or of its start where it is long. */
static void fill_hole(struct model *m, struct seg *s) {
    uint32_t from = at_of(m, m->rcv_nxt);
    if (m->have_end <= from)
        return;
    from += draw(m, m->have_end - from);
    while (m->have[from])
        from++;
    uint32_t to = from;
    while (to < m->have_end && !m->have[to] && to - from < 1400)
        to++;
    s->seq = m->irs + 1 + from;
    s->len = to - from;
}

/* Of what is in flight, and not always true: a receiver may forget (RFC 2018 section 8). */
static void some_sacks(struct model *m, struct seg *s) {
    uint32_t flight = m->nxt - m->una;
    if (flight == 0 || often(m, 50))
        return;
    uint32_t blocks = 1 + draw(m, 3);
    struct tarn_writer w = TARN_WRITER_ARRAY(s->options);
    tarn_writer_u32be(&w, 0x01010500 | (2 + 8 * blocks));
    for (uint32_t i = 0; i < blocks; i++) {
        uint32_t from = draw(m, flight);
        tarn_writer_u32be(&w, m->una + from);
        tarn_writer_u32be(&w, m->una + from + 1 + draw(m, flight - from));
    }
    s->options_len = w.len;
}

static void peer_sends(struct model *m) {
    struct seg s = hand_seg(&m->h, ACK, "");
    uint32_t how = draw(m, 100);
    s.seq = some_seq(m);
    s.ack = some_ack(m);
    s.wnd = (uint16_t)(often(m, 70) ? 500 : draw(m, 200));
    s.len = often(m, 60) ? draw(m, 1400) : 0;
    some_sacks(m, &s);
    if (often(m, 15))
        fill_hole(m, &s);
    if (how < 3)
        s.flags = RST;
    else if (how < 5)
        s.flags = SYN;
    else if (how < 8)
        s.flags = PSH;
    if (s.flags == SYN && m->state == TARN_TCP_TIME_WAIT && seq_lt(m->rcv_nxt, s.seq))
        return; /* it would begin another connection */
    uint32_t at = at_of(m, s.seq);
    if (at > SPACE) /* before the first byte: the SYN's own number */
        s.len = 0;
    /* The peer's stream has one end, wherever it said so first. */
    if (m->peer_fin == 0 && how >= 92 && at < SPACE)
        m->peer_fin = TARN_MAX(at + (uint32_t)s.len, 1u);
    if (m->peer_fin && at <= m->peer_fin && at + s.len >= m->peer_fin) {
        s.len = m->peer_fin - at;
        if (s.flags == ACK)
            s.flags |= FIN;
    } else if (m->peer_fin && at > m->peer_fin && at <= SPACE) {
        return;
    }
    for (uint32_t i = 0; i < s.len; i++)
        s.payload[i] = theirs(at + i);
    model_input(m, &s);
    hand_send(m->h.net, &s);
}

static void owner_writes(struct model *m) {
    uint8_t data[8000];
    size_t want = TARN_MIN(1 + draw(m, sizeof data), WRITE_MAX - m->written), n = 0;
    for (uint32_t i = 0; i < want; i++)
        data[i] = ours(m->written + i);
    if (m->shut || want == 0 || m->state == TARN_TCP_CLOSED)
        return;
    SIM_CHECK(tarn_flow_write(m->h.flow, tarn_span_of(data, want), &n) == TARN_OK && n == want);
    m->written += (uint32_t)n;
    net_turn(m->h.net);
}

static void owner_reads(struct model *m) {
    uint8_t data[5000];
    size_t n = 0;
    struct tarn_bytes into = tarn_bytes_of(data, 1 + draw(m, sizeof data));
    if (tarn_flow_read(m->h.flow, into, &n) == TARN_OK)
        for (uint32_t i = 0; i < n; i++)
            SIM_CHECK(data[i] == theirs(m->consumed + i), "byte %u is wrong", m->consumed + i);
    m->consumed += (uint32_t)n;
    net_turn(m->h.net);
}

static void owner_shuts(struct model *m) {
    tarn_flow_shutdown(m->h.flow);
    if (!m->shut && m->state == TARN_TCP_ESTABLISHED)
        m->state = TARN_TCP_FIN_WAIT_1;
    else if (!m->shut && m->state == TARN_TCP_CLOSE_WAIT)
        m->state = TARN_TCP_LAST_ACK;
    m->shut |= m->state != TARN_TCP_CLOSED;
    net_turn(m->h.net);
}

static void begin(struct model *m, uint64_t seed) {
    struct tarn_tcp_limits limits = {.rcv_buf_bytes_max = WINDOW, .rcv_buf_bytes_min = WINDOW};
    *m = (struct model){.h = hand_passive(WITH_SACK | WITH_WSCALE, &limits, NULL)};
    tarn_random_seeded_init(&m->random, seed);
    m->c = TARN_CONTAINER_OF(m->h.flow, struct tcp_conn, flow);
    m->state = TARN_TCP_ESTABLISHED;
    m->irs = m->h.iss;
    m->rcv_nxt = m->irs + 1;
    m->rcv_adv = m->c->rcv_adv;
    m->iss = m->h.irs;
    m->una = m->nxt = m->iss + 1;
    m->wnd = m->wnd_max = 65535u << WSCALE;
    m->wl1 = m->rcv_nxt;
    m->edge_max = m->una + m->wnd;
}

SIM_TEST(tcp_oracle, every_step_is_the_models, 200) {
    static struct model m;
    begin(&m, seed);
    check(&m);
    for (unsigned step = 0; step < STEPS && m.state != TARN_TCP_CLOSED; step++) {
        uint32_t what = draw(&m, 100);
        if (what < 60)
            peer_sends(&m);
        else if (what < 73)
            owner_writes(&m);
        else if (what < 86)
            owner_reads(&m);
        else if (what < 88)
            owner_shuts(&m);
        else
            net_run_for(m.h.net, TARN_MS(draw(&m, 300)));
        check(&m);
    }
    hand_done(&m.h);
}
