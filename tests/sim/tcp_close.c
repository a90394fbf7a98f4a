/* SPDX-License-Identifier: ISC */
/* Every short order in which two ends write, shut down, close and abort, and the wire delivers or
 * loses: whatever the order, no byte is wrong, nobody is told what did not happen, and in the end
 * neither side has a connection, a buffer or a packet left.
 *
 * A schedule is a string. Lower case is the client, upper case the server: w writes a byte, r reads
 * what is there, s shuts down, c closes, x aborts. '.' lets the wire deliver for one trip, '-'
 * loses what is on it. */
#include "host.h"
#include "seeds.h"

#include <ctype.h>
#include <stdlib.h>

enum { PORT = 80 };
#define TRIP TARN_MS(10)

struct end {
    struct sim_host *host;
    struct tarn_flow *flow;
    unsigned written, got;
    bool exists; /* ever had a flow */
    bool shut, closed, aborted, eof, connected;
    enum tarn_err error;
};

static struct sim_lan lan;
static struct end ends[2];
static struct tarn_listener *listener;
static const char *schedule;
static unsigned long schedules_run;

static void on_event(struct tarn_flow *flow, unsigned events) {
    struct end *e = flow->user;
    SIM_CHECK(!e->closed && !e->aborted, "in schedule \"%s\": event %u after the end", schedule,
              events);
    e->connected |= (events & TARN_FLOW_CONNECTED) != 0;
}

static void adopt(struct end *e, struct tarn_flow *flow) {
    e->flow = flow;
    e->exists = true;
    flow->user = e;
    flow->on_event = on_event;
}

static bool is_gone(const struct end *e) {
    return e->closed || e->aborted;
}

static void check_read_error(const struct end *e, const struct end *other, enum tarn_err err) {
    if (err == TARN_EOF)
        SIM_CHECK((other->shut || other->closed) && e->got == other->written,
                  "in schedule \"%s\": end of file after %u of %u bytes", schedule, e->got,
                  other->written);
    else if (err == TARN_PEER)
        SIM_CHECK(other->aborted || other->closed, "in schedule \"%s\": reset by nobody", schedule);
    else
        SIM_CHECK(err == TARN_AGAIN, "in schedule \"%s\": read says %s", schedule,
                  tarn_err_name(err));
    SIM_CHECK(!e->eof || err == TARN_EOF || err == TARN_PEER,
              "in schedule \"%s\": %s after the end of file", schedule, tarn_err_name(err));
}

static void do_read(struct end *e, const struct end *other) {
    uint8_t buf[64];
    size_t n;
    enum tarn_err err;
    while ((err = tarn_flow_read(e->flow, TARN_BYTES_ARRAY(buf), &n)) == TARN_OK) {
        SIM_CHECK(n > 0 && !e->eof, "in schedule \"%s\"", schedule);
        for (size_t i = 0; i < n; i++, e->got++)
            SIM_CHECK(buf[i] == (uint8_t)(e->got + 1), "in schedule \"%s\"", schedule);
        SIM_CHECK(e->got <= other->written, "in schedule \"%s\"", schedule);
    }
    check_read_error(e, other, err);
    e->eof |= err == TARN_EOF;
    if (err != TARN_EOF && err != TARN_AGAIN)
        e->error = err;
}

static void do_write(struct end *e, const struct end *other) {
    uint8_t byte = (uint8_t)(e->written + 1);
    size_t n = 0;
    enum tarn_err err = tarn_flow_write(e->flow, tarn_span_of(&byte, 1), &n);
    if (e->shut)
        SIM_CHECK(err == TARN_INVALID || (err == TARN_PEER && is_gone(other)),
                  "in schedule \"%s\": write after shutdown says %s", schedule, tarn_err_name(err));
    else if (err == TARN_OK)
        e->written++;
    else
        SIM_CHECK(err == TARN_AGAIN || (err == TARN_PEER && is_gone(other)),
                  "in schedule \"%s\": write says %s", schedule, tarn_err_name(err));
}

static void end_act(struct end *e, const struct end *other, char op) {
    switch (op) {
    case 'w': do_write(e, other); break;
    case 'r': do_read(e, other); break;
    case 's':
        e->shut = true;
        tarn_flow_shutdown(e->flow);
        break;
    case 'c':
        e->closed = true;
        tarn_flow_close(e->flow);
        break;
    case 'x':
        e->aborted = true;
        tarn_flow_abort(e->flow);
        break;
    default: cr_assert_fail("no such act");
    }
    if (is_gone(e))
        e->flow = NULL;
    tarn_sim_wake(&e->host->actor);
}

static void accept_if_there(void) {
    struct tarn_flow *flow;
    if (!ends[1].exists && tarn_listener_accept(listener, &flow) == TARN_OK)
        adopt(&ends[1], flow);
}

static void wire_act(char op) {
    if (op == '-') {
        tarn_sim_run(lan.sim, tarn_sim_now(lan.sim)); /* what is to be lost is sent first */
        tarn_sim_link_set_up(lan.link, false);
        tarn_sim_link_set_up(lan.link, true);
    } else {
        tarn_sim_run(lan.sim, tarn_sim_now(lan.sim) + TRIP);
    }
    accept_if_there();
}

/* What has not ended by itself is now read to its end and closed, like a well-meaning program. */
static void wind_up(void) {
    for (unsigned round = 0; round < 3; round++) {
        tarn_sim_run(lan.sim, tarn_sim_now(lan.sim) + TARN_SEC(round == 0 ? 30 : 400));
        accept_if_there();
        for (unsigned i = 0; i < 2; i++) {
            struct end *e = &ends[i];
            if (e->flow)
                do_read(e, &ends[!i]);
            if (e->flow && round == 0 && !e->shut)
                end_act(e, &ends[!i], 's');
            else if (e->flow && round == 1)
                end_act(e, &ends[!i], 'c');
        }
    }
}

/* With nobody rude, everything arrives and everybody is told of the end. */
static void check_outcome(void) {
    for (unsigned i = 0; i < 2; i++) {
        struct end *e = &ends[i], *other = &ends[!i];
        bool peaceful = !e->aborted && !other->aborted && !strpbrk(schedule, "cC");
        if (peaceful)
            SIM_CHECK(e->got == other->written && e->eof && !e->error,
                      "in schedule \"%s\": %s got %u of %u, eof %d, error %s", schedule,
                      i ? "the server" : "the client", e->got, other->written, e->eof,
                      tarn_err_name(e->error));
    }
}

static void run_schedule(const char *start, const char *ops) {
    char text[64];
    snprintf(text, sizeof text, "%s%s", start, ops);
    schedule = text;
    schedules_run++;
    for (unsigned i = 0; i < 2; i++)
        ends[i] = (struct end){.host = lan.hosts[i]};
    adopt(&ends[0], sim_host_connect(lan.hosts[0], lan.hosts[1], PORT));
    tarn_sim_wake(&lan.hosts[0]->actor);
    for (const char *op = text; *op; op++) {
        struct end *e = isupper((unsigned char)*op) ? &ends[1] : &ends[0];
        if (*op == '.' || *op == '-')
            wire_act(*op);
        else if (e->flow)
            end_act(e, e == ends ? &ends[1] : &ends[0], (char)tolower((unsigned char)*op));
    }
    wind_up();
    check_outcome();
    SIM_CHECK(sim_lan_settle(&lan, TARN_SEC(4000)), "in schedule \"%s\": %s, %s", schedule,
              sim_host_text(lan.hosts[0]), sim_host_text(lan.hosts[1]));
}

/* Whether `op` may follow: an end that is gone does nothing more, and shuts down once. */
static bool makes_sense(const char *ops, char op) {
    if (op == '.' || op == '-')
        return true;
    bool upper = isupper((unsigned char)op);
    for (; *ops; ops++) {
        if (*ops == '.' || *ops == '-' || (isupper((unsigned char)*ops) != 0) != upper)
            continue;
        char act = (char)tolower((unsigned char)*ops);
        if (act == 'c' || act == 'x' || (act == 's' && tolower((unsigned char)op) == 's'))
            return false;
    }
    return true;
}

static void explore(const char *start, char *ops, unsigned len, unsigned depth) {
    static const char all[] = ".-wrscxWRSCX";
    ops[len] = '\0';
    if (len == depth) {
        run_schedule(start, ops);
        return;
    }
    for (const char *op = all; *op; op++) {
        ops[len] = '\0';
        if (!makes_sense(ops, *op))
            continue;
        ops[len] = *op;
        explore(start, ops, len + 1, depth);
    }
}

static void world_new(uint64_t seed) {
    struct tarn_sim_link_config link = {.path = {.delay = TRIP}};
    struct sim_host_config host = {.limits = {.connections_max = 16,
                                              .listeners_max = 1,
                                              .syn_queue_max = 8,
                                              .memory_bytes = 256u << 10},
                                   .pkts = {{64, 64, 2}}};
    sim_lan_init(&lan, seed, &link);
    sim_host_new(&lan, &host);
    sim_host_new(&lan, &host);
    listener = sim_host_listen(lan.hosts[1], PORT, 4);
    cr_assert_not_null(listener);
}

static unsigned depth_of(unsigned usual) {
    const char *many = getenv("TARN_SIM_SEEDS");
    return many && strtoul(many, NULL, 0) >= 1000 ? usual + 1 : usual;
}

static void explore_from(const char *start, unsigned depth, uint64_t seed) {
    static unsigned worlds;
    char ops[32];
    /* A seed changes clocks and initial sequence numbers only: a few are enough. */
    if (++worlds > 4)
        return;
    world_new(seed);
    explore(start, ops, 0, depth);
    fprintf(stderr, "%lu schedules after \"%s\"\n", schedules_run, start);
    SIM_CHECK(schedules_run > 100);
    sim_lan_free(&lan);
}

SIM_TEST(tcp_close, every_order_from_the_first_syn, 1) {
    explore_from("", depth_of(5), seed);
}

SIM_TEST(tcp_close, every_order_while_the_handshake_crosses, 1) {
    explore_from(".", depth_of(5), seed);
}

SIM_TEST(tcp_close, every_order_from_established, 1) {
    explore_from("....", depth_of(5), seed);
}

SIM_TEST(tcp_close, every_order_with_data_in_flight, 1) {
    explore_from("....wW", depth_of(5), seed);
}

SIM_TEST(tcp_close, every_order_after_the_clients_end, 1) {
    explore_from("....s..", depth_of(5), seed);
}

SIM_TEST(tcp_close, every_order_in_a_simultaneous_close, 1) {
    explore_from("....sS", depth_of(5), seed);
}

/* Long schedules, drawn by lot. */
SIM_TEST(tcp_close, random_orders, 1000) {
    static const char all[] = "....--wrscxWRSCXwrWR";
    struct tarn_random_seeded r;
    char ops[32] = "";
    tarn_random_seeded_init(&r, seed);
    unsigned len = 0;
    while (len < 20) {
        char op = all[tarn_random_below(&r.random, sizeof all - 1)];
        if (!makes_sense(ops, op))
            op = '.';
        ops[len++] = op;
    }
    world_new(seed);
    run_schedule("", ops);
    sim_lan_free(&lan);
}
