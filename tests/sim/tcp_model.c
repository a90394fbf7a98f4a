/* SPDX-License-Identifier: ISC */
/* The byte-stream semantics of TCP as a model of a few counters, run beside the real core: after
 * each call its answer must be one that the model allows, and when the world has come to rest the
 * two must agree on everything. */
#include "seeds.h"
#include "stream.h"

enum { PORT = 80 };

/* One end, as the model sees it. */
struct end {
    struct sim_host *host;
    struct tarn_flow *flow;
    uint64_t pattern, written, got;
    bool shut, closed, aborted;
    bool eof, reset;              /* was told so: then it stays so */
    bool waits_read, waits_write; /* TARN_AGAIN was the last answer */
    unsigned events;              /* since then */
};

struct model {
    struct sim_lan lan;
    struct end end[2];
    struct tarn_listener *listener;
    struct tarn_random_seeded random;
};

static uint32_t draw(struct model *m, uint32_t below) {
    return tarn_random_below(&m->random.random, below);
}

static void on_event(struct tarn_flow *flow, unsigned events) {
    struct end *e = flow->user;
    SIM_CHECK(!e->closed && !e->aborted, "event after the end");
    SIM_CHECK(events != 0);
    e->events |= events;
}

static void adopt(struct end *e, struct tarn_flow *flow) {
    e->flow = flow;
    flow->user = e;
    flow->on_event = on_event;
}

/* The peer has done what makes a reset come. */
static bool may_reset(const struct end *peer) {
    return peer->aborted || peer->closed;
}

/* -- one call each, checked ---------------------------------------------------------------------
 */

static void check_read(struct end *e, const struct end *peer, enum tarn_err err, size_t n) {
    if (e->eof)
        SIM_CHECK(err == TARN_EOF || (err == TARN_PEER && may_reset(peer)), "%s after the end",
                  tarn_err_name(err));
    if (e->reset)
        SIM_CHECK(err == TARN_PEER, "%s after a reset", tarn_err_name(err));
    switch (err) {
    case TARN_OK: SIM_CHECK(n > 0 && e->got + n <= peer->written); break;
    case TARN_AGAIN: break;
    case TARN_EOF:
        SIM_CHECK((peer->shut || peer->closed) && e->got == peer->written, "end after %llu of %llu",
                  (unsigned long long)e->got, (unsigned long long)peer->written);
        break;
    case TARN_PEER: SIM_CHECK(may_reset(peer), "reset by nobody"); break;
    default: SIM_CHECK(false, "read says %s", tarn_err_name(err));
    }
    e->eof |= err == TARN_EOF;
    e->reset |= err == TARN_PEER;
    e->waits_read = err == TARN_AGAIN;
    if (err == TARN_AGAIN)
        e->events &= ~(unsigned)(TARN_FLOW_READABLE | TARN_FLOW_FAILED | TARN_FLOW_CONNECTED);
}

static void do_read(struct model *m, struct end *e, struct end *peer) {
    uint8_t buf[8192];
    size_t n = 0;
    enum tarn_err err = tarn_flow_read(e->flow, tarn_bytes_of(buf, 1 + draw(m, sizeof buf)), &n);
    check_read(e, peer, err, n);
    if (err)
        return;
    SIM_CHECK(sim_pattern_is(peer->pattern, e->got, tarn_span_of(buf, n)));
    e->got += n;
}

static void do_peek(struct model *m, struct end *e, struct end *peer) {
    struct tarn_bytes at = {NULL, 0}, again;
    enum tarn_err err = tarn_flow_peek(e->flow, &at);
    check_read(e, peer, err, at.len);
    if (err)
        return;
    SIM_CHECK(tarn_flow_peek(e->flow, &again) == TARN_OK && again.ptr == at.ptr
              && again.len == at.len);
    SIM_CHECK(sim_pattern_is(peer->pattern, e->got, tarn_bytes_span(at)));
    size_t n = 1 + draw(m, (uint32_t)at.len);
    tarn_flow_consume(e->flow, n);
    e->got += n;
}

static void do_write(struct model *m, struct end *e, struct end *peer) {
    uint8_t buf[8192];
    size_t len = 1 + draw(m, sizeof buf), n = 0;
    sim_pattern(e->pattern, e->written, tarn_bytes_of(buf, len));
    enum tarn_err err = tarn_flow_write(e->flow, tarn_span_of(buf, len), &n);
    if (err == TARN_OK) {
        SIM_CHECK(!e->shut && !e->reset && n > 0 && n <= len);
        e->written += n;
    } else if (err == TARN_AGAIN) {
        SIM_CHECK(!e->shut && n == 0);
    } else if (err == TARN_INVALID) {
        SIM_CHECK(e->shut);
    } else {
        SIM_CHECK(err == TARN_PEER && may_reset(peer), "write says %s", tarn_err_name(err));
        /* What had arrived before may still be read. */
    }
    e->waits_write = err == TARN_AGAIN;
    if (err == TARN_AGAIN)
        e->events &= ~(unsigned)(TARN_FLOW_WRITABLE | TARN_FLOW_FAILED | TARN_FLOW_CONNECTED);
}

static void end_with(struct end *e, bool rudely) {
    if (rudely) {
        e->aborted = true;
        tarn_flow_abort(e->flow);
    } else {
        e->closed = true;
        tarn_flow_close(e->flow);
    }
    e->flow = NULL;
}

static void one_act(struct model *m) {
    struct end *e = &m->end[draw(m, 2)], *peer = e == m->end ? &m->end[1] : &m->end[0];
    uint32_t what = draw(m, 1000);
    if (what < 300) {
        tarn_sim_run(m->lan.sim, tarn_sim_now(m->lan.sim) + TARN_US(draw(m, 20000)));
    } else if (!e->flow) {
        return;
    } else if (what < 500) {
        do_read(m, e, peer);
    } else if (what < 650) {
        do_peek(m, e, peer);
    } else if (what < 985) {
        do_write(m, e, peer);
    } else if (what < 992) {
        e->shut = true;
        tarn_flow_shutdown(e->flow);
    } else {
        end_with(e, what >= 998);
    }
    tarn_sim_wake(&e->host->actor);
}

/* -- at rest ------------------------------------------------------------------------------------
 */

static void check_wakeups(const struct end *e, const struct end *peer) {
    bool news = e->got < peer->written || peer->shut || may_reset(peer);
    if (e->flow && e->waits_read && news)
        SIM_CHECK(e->events & (TARN_FLOW_READABLE | TARN_FLOW_FAILED), "no event for the reader");
}

/* Everything is read that can be; then the answers are known exactly. */
static void read_all(struct model *m, struct end *e, struct end *peer) {
    for (unsigned rounds = 0; e->flow && rounds < 200; rounds++) {
        uint64_t before = e->got;
        do_read(m, e, peer);
        if (e->got == before) {
            tarn_sim_wake(&e->host->actor);
            tarn_sim_run(m->lan.sim, tarn_sim_now(m->lan.sim)
                                         + TARN_SEC(150)); /* longer than any probe waits */
            do_read(m, e, peer);
            if (e->got == before)
                return;
        }
    }
}

static enum tarn_tcp_state state_of(const struct end *e) {
    struct tarn_tcp_info info;
    SIM_CHECK(tarn_tcp_info(e->flow, &info) == TARN_OK);
    return info.state;
}

static void check_rest(const struct end *e, const struct end *peer) {
    if (!e->flow)
        return;
    if (!may_reset(peer)) {
        SIM_CHECK(e->got == peer->written && !e->reset, "%llu of %llu at rest",
                  (unsigned long long)e->got, (unsigned long long)peer->written);
        SIM_CHECK(e->eof == peer->shut);
    } else {
        /* A reset is said once, and may be lost: one for a rude end, or for bytes that nobody read.
         */
        SIM_CHECK(e->eof || e->reset || peer->aborted || peer->got < e->written,
                  "nothing said of the peer's end");
    }
    if (may_reset(peer) || !peer->flow)
        return;
    enum tarn_tcp_state state = state_of(e);
    if (!e->shut && !peer->shut)
        SIM_CHECK(state == TARN_TCP_ESTABLISHED, "%s", tarn_tcp_state_name(state));
    else if (e->shut && !peer->shut)
        SIM_CHECK(state == TARN_TCP_FIN_WAIT_2, "%s", tarn_tcp_state_name(state));
    else if (!e->shut)
        SIM_CHECK(state == TARN_TCP_CLOSE_WAIT, "%s", tarn_tcp_state_name(state));
    else
        SIM_CHECK(state == TARN_TCP_TIME_WAIT || state == TARN_TCP_CLOSED, "%s",
                  tarn_tcp_state_name(state));
}

/* In a world at rest, with all read, a writer has room: after AGAIN it has been told so. */
static void check_room(struct model *m, struct end *e, struct end *peer) {
    if (!e->flow || e->shut || e->reset || may_reset(peer) || !peer->flow)
        return;
    if (e->waits_write)
        SIM_CHECK(e->events & TARN_FLOW_WRITABLE, "no event for the writer");
    do_write(m, e, peer);
    SIM_CHECK(!e->waits_write, "no room at rest");
}

static void come_to_rest(struct model *m) {
    tarn_sim_run(m->lan.sim, tarn_sim_now(m->lan.sim) + TARN_SEC(150));
    for (unsigned i = 0; i < 2; i++)
        check_wakeups(&m->end[i], &m->end[!i]);
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < 2; i++)
            read_all(m, &m->end[i], &m->end[!i]);
    for (unsigned i = 0; i < 2; i++)
        check_rest(&m->end[i], &m->end[!i]);
    for (unsigned i = 0; i < 2; i++)
        check_room(m, &m->end[i], &m->end[!i]);
}

/* -- setting up ---------------------------------------------------------------------------------
 */

static void model_new(struct model *m, uint64_t seed) {
    *m = (struct model){0};
    tarn_random_seeded_init(&m->random, seed);
    struct tarn_sim_link_config link = {
        .path = {.bits_per_s = 50000000,
                 .delay = TARN_MS(1 + draw(m, 5)),
                 .loss_ppm = draw(m, 2) ? draw(m, 50000) : 0,
                 .reorder_ppm = draw(m, 2) ? 100000 : 0,
                 .reorder_by = TARN_MS(5)},
        .features = draw(m, 2) ? TARN_NETIF_TX_TSO4 | TARN_NETIF_TX_CSUM : 0};
    struct sim_host_config host = {
        .limits = {.snd_buf_bytes_max = 20000,
                   .rcv_buf_bytes_min = 20000,
                   .rcv_buf_bytes_max = 20000},
        .options = {.fin_wait_2 = TARN_SEC(3000), .time_wait = TARN_SEC(60)}};
    sim_lan_init(&m->lan, seed, &link);
    for (unsigned i = 0; i < 2; i++) {
        m->end[i].host = sim_host_new(&m->lan, &host);
        m->end[i].pattern = seed * 2 + i;
    }
    m->listener = sim_host_listen(m->end[1].host, PORT, 1);
    adopt(&m->end[0], sim_host_connect(m->end[0].host, m->end[1].host, PORT));
    tarn_sim_wake(&m->end[0].host->actor);
    for (unsigned i = 0; i < 1000 && !m->end[1].flow; i++) {
        struct tarn_flow *flow;
        tarn_sim_run(m->lan.sim, tarn_sim_now(m->lan.sim) + TARN_MS(100));
        if (tarn_listener_accept(m->listener, &flow) == TARN_OK)
            adopt(&m->end[1], flow);
    }
    SIM_CHECK(m->end[1].flow);
}

SIM_TEST(tcp_model, the_core_agrees_with_the_model, 300) {
    struct model m;
    model_new(&m, seed);
    for (unsigned phase = 0; phase < 3; phase++) {
        for (unsigned acts = 50 + draw(&m, 150); acts > 0; acts--)
            one_act(&m);
        come_to_rest(&m);
    }
    for (unsigned i = 0; i < 2; i++)
        if (m.end[i].flow)
            end_with(&m.end[i], false);
    tarn_sim_wake(&m.end[0].host->actor);
    tarn_sim_wake(&m.end[1].host->actor);
    SIM_CHECK(sim_lan_settle(&m.lan, TARN_SEC(8000)), "%s, %s", sim_host_text(m.end[0].host),
              sim_host_text(m.end[1].host));
    sim_lan_free(&m.lan);
}
