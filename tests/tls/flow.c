/* SPDX-License-Identifier: ISC */
/* TLS as a flow over pipes in memory: whatever the size of the pipe, what one writes the other
 * reads, and each end of it is told apart. */
#include "rig.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <tarn/flow_pipe.h>
#include <tarn/tls_flow.h>

#define HEAP_BYTES (4 << 20)

static struct rig rig;
static struct tarn_arena arena;
static struct tarn_tasks tasks;
static uint8_t *heap;

static tarn_time now(struct tarn_clock *c) {
    (void)c;
    return 0;
}
static uint64_t wall(struct tarn_clock *c) {
    (void)c;
    return (uint64_t)RIG_NOW * 1000000000;
}
static const struct tarn_clock_ops clock_ops = {now, wall};
static struct tarn_clock clock_ = {&clock_ops};

struct party {
    struct tarn_flow *flow;
    unsigned events;
    uint8_t got[70000];
    size_t got_len, sent;
};
static struct party client, server;
static struct tarn_pipes *pipes;
static struct tarn_tls_flows *server_flows, *client_flows;
static struct tarn_listener *listener;

static void on_event(struct tarn_flow *flow, unsigned events) {
    ((struct party *)flow->user)->events |= events;
}

static struct tarn_tls_flows *flows_for(const struct tarn_tls_config *tls, uint32_t connections) {
    struct tarn_tls_flows_config config = {&arena.alloc, &tasks, &clock_, tls, connections};
    struct tarn_tls_flows *out;
    cr_assert_eq(tarn_tls_flows_new(&config, &out), TARN_OK);
    return out;
}

static void adopt(struct party *p, struct tarn_flow *flow) {
    *p = (struct party){.flow = flow};
    flow->on_event = on_event;
    flow->user = p;
}

/* A client and a server over a pipe of that many bytes, not yet run. */
static void setup(uint32_t bytes) {
    static const struct tarn_endpoint where = {TARN_IP_ADDR_V4(127, 0, 0, 1), 443};
    struct tarn_listener *below;
    struct tarn_flow *flow;
    /* New memory each time: the pools poison what they have given back. */
    free(heap);
    heap = calloc(1, HEAP_BYTES);
    tarn_arena_init(&arena, tarn_bytes_of(heap, HEAP_BYTES));
    tarn_tasks_init(&tasks);
    rig_init(&rig, 1);
    rig_start(&rig, 1);
    struct tarn_pipes_config config = {&arena.alloc, &tasks, 8, bytes, 64, 1};
    cr_assert_eq(tarn_pipes_new(&config, &pipes), TARN_OK);
    cr_assert_eq(tarn_net_listen(tarn_pipes_net(pipes), &where, 4, &below), TARN_OK);
    server_flows = flows_for(&rig.server.config, 2);
    client_flows = flows_for(&rig.client.config, 4);
    listener = tarn_tls_flows_listen(server_flows, below);
    cr_assert_eq(tarn_net_connect(tarn_pipes_net(pipes), &where, &flow), TARN_OK);
    tarn_tasks_run(&tasks);
    struct tarn_flow *secure;
    cr_assert_eq(
        tarn_tls_flows_connect(client_flows, flow, TARN_SPAN_LIT("www.example.com"), &secure),
        TARN_OK);
    adopt(&client, secure);
    cr_assert_eq(tarn_listener_accept(listener, &secure), TARN_OK);
    adopt(&server, secure);
    uint8_t byte;
    size_t n;
    cr_assert_eq(tarn_flow_read(server.flow, tarn_bytes_of(&byte, 1), &n), TARN_AGAIN);
}

static void run(void) {
    for (int i = 0; i < 1000000 && tarn_tasks_pending(&tasks); i++)
        tarn_tasks_run(&tasks);
}

/* Writes and reads as far as it goes, only when an event said so. */
static enum tarn_err drive(struct party *p, struct tarn_span text) {
    struct tarn_span rest = tarn_span_after(text, p->sent);
    size_t n;
    while (rest.len > 0 && tarn_flow_write(p->flow, rest, &n) == TARN_OK) {
        p->sent += n;
        rest = tarn_span_after(rest, n);
    }
    enum tarn_err err;
    while ((err = tarn_flow_read(
                p->flow, tarn_bytes_of(p->got + p->got_len, sizeof p->got - p->got_len), &n))
           == TARN_OK)
        p->got_len += n;
    return err;
}

static void both_ways(uint32_t pipe_bytes) {
    static uint8_t text[60000];
    setup(pipe_bytes);
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (uint8_t)(i * 7 + i / 256);
    (void)drive(&client, TARN_SPAN_EMPTY);
    for (int i = 0; i < 100000 && (client.got_len < sizeof text || server.got_len < sizeof text);
         i++) {
        run();
        unsigned c = client.events, s = server.events;
        client.events = server.events = 0;
        if (c)
            (void)drive(&client, TARN_SPAN_ARRAY(text));
        if (s)
            (void)drive(&server, TARN_SPAN_ARRAY(text));
        cr_assert(c || s, "nobody was told to go on: %zu and %zu", client.got_len, server.got_len);
    }
    cr_assert_eq(client.got_len, sizeof text);
    cr_assert_arr_eq(client.got, text, sizeof text);
    cr_assert_arr_eq(server.got, text, sizeof text);
}

Test(flow, both_ways_through_pipes_of_any_size) {
    static const uint32_t sizes[] = {1, 7, 100, 1000, 20000, 100000};
    for (size_t i = 0; i < TARN_COUNT_OF(sizes); i++)
        both_ways(sizes[i]);
}

static void connect_them(void) {
    setup(4096);
    run();
    (void)drive(&client, TARN_SPAN_LIT("hello"));
    run();
    (void)drive(&server, TARN_SPAN_EMPTY);
    run();
    cr_assert_eq(server.got_len, 5);
    cr_assert(client.events & TARN_FLOW_CONNECTED);
}

Test(flow, an_end_in_order_is_an_end) {
    uint8_t byte;
    size_t n;
    connect_them();
    tarn_flow_shutdown(client.flow);
    run();
    cr_assert_eq(drive(&server, TARN_SPAN_LIT("still")), TARN_EOF);
    run();
    cr_assert_eq(tarn_flow_write(client.flow, TARN_SPAN_LIT("x"), &n), TARN_INVALID);
    (void)drive(&client, TARN_SPAN_EMPTY);
    cr_assert_eq(client.got_len, 5);
    tarn_flow_close(server.flow);
    run();
    cr_assert_eq(tarn_flow_read(client.flow, tarn_bytes_of(&byte, 1), &n), TARN_EOF);
    tarn_flow_close(client.flow);
    run();
    struct tarn_tls_flows_stats stats;
    tarn_tls_flows_stats(server_flows, &stats);
    cr_assert_eq(stats.live, 0);
    cr_assert_eq(tarn_pipes_live(pipes), 0);
}

Test(flow, an_abort_is_no_end) {
    connect_them();
    tarn_flow_abort(client.flow);
    run();
    cr_assert_eq(drive(&server, TARN_SPAN_EMPTY), TARN_PEER);
    tarn_flow_close(server.flow);
    run();
    cr_assert_eq(tarn_pipes_live(pipes), 0);
}

Test(flow, what_was_written_arrives_after_close) {
    connect_them();
    size_t n;
    cr_assert_eq(tarn_flow_write(server.flow, TARN_SPAN_LIT("goodbye"), &n), TARN_OK);
    tarn_flow_close(server.flow);
    run();
    cr_assert_eq(drive(&client, TARN_SPAN_EMPTY), TARN_EOF);
    cr_assert_eq(client.got_len, 7);
    tarn_flow_close(client.flow);
    run();
}

Test(flow, more_than_there_is_room_for_are_refused_and_counted) {
    static const struct tarn_endpoint where = {TARN_IP_ADDR_V4(127, 0, 0, 1), 443};
    struct tarn_flow *flow, *accepted;
    struct tarn_tls_flows_stats stats;
    setup(4096);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(tarn_net_connect(tarn_pipes_net(pipes), &where, &flow), TARN_OK);
        run();
        cr_assert_eq(tarn_listener_accept(listener, &accepted), i ? TARN_AGAIN : TARN_OK);
    }
    tarn_tls_flows_stats(server_flows, &stats);
    cr_assert_eq(stats.refused, 1);
    cr_assert_eq(stats.live, 2);
}

Test(flow, a_server_that_is_somebody_else_fails) {
    rig.trust.anchor_count = 0;
    setup(4096);
    rig.trust.anchor_count = 0;
    run();
    (void)drive(&client, TARN_SPAN_EMPTY);
    run();
    cr_assert(client.events & TARN_FLOW_FAILED);
    cr_assert_eq(drive(&client, TARN_SPAN_EMPTY), TARN_PEER);
    cr_assert_eq(drive(&server, TARN_SPAN_EMPTY), TARN_PEER);
}
