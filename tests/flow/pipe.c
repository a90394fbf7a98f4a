/* SPDX-License-Identifier: ISC */
#include "conformance.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdlib.h>
#include <string.h>
#include <tarn/flow_pipe.h>

/* The heap, with an account: everything must come back. */
static long outstanding;
static long budget = 1 << 30;
static void *heap_get(struct tarn_alloc *a, size_t bytes, size_t align) {
    (void)a, (void)align;
    if ((long)bytes > budget)
        return NULL;
    budget -= (long)bytes;
    outstanding += (long)bytes;
    return calloc(1, bytes ? bytes : 1);
}
static void heap_put(struct tarn_alloc *a, void *ptr, size_t bytes) {
    (void)a;
    budget += (long)bytes;
    outstanding -= (long)bytes;
    free(ptr);
}
static const struct tarn_alloc_ops heap_ops = {heap_get, heap_put};
static struct tarn_alloc heap = {&heap_ops};

struct pipe_rig {
    struct flow_rig rig;
    struct tarn_pipes *pipes;
    struct tarn_tasks tasks;
    struct tarn_listener *listener; /* NULL: pairs without a network */
};

static void rig_run(struct flow_rig *rig) {
    struct pipe_rig *r = TARN_CONTAINER_OF(rig, struct pipe_rig, rig);
    while (tarn_tasks_run(&r->tasks)) {
    }
}
static unsigned rig_live(struct flow_rig *rig) {
    return tarn_pipes_live(TARN_CONTAINER_OF(rig, struct pipe_rig, rig)->pipes);
}
static void rig_connect(struct flow_rig *rig, struct tarn_flow **a, struct tarn_flow **b) {
    struct pipe_rig *r = TARN_CONTAINER_OF(rig, struct pipe_rig, rig);
    struct tarn_endpoint remote = {TARN_IP_ADDR_V4(127, 0, 0, 1), 80};
    if (!r->listener) {
        cr_assert_eq(tarn_pipes_pair(r->pipes, a, b), TARN_OK);
        return;
    }
    cr_assert_eq(tarn_net_connect(tarn_pipes_net(r->pipes), &remote, a), TARN_OK);
    rig_run(rig);
    cr_assert_eq(tarn_listener_accept(r->listener, b), TARN_OK);
}

static void rig_init(struct pipe_rig *r, uint32_t bytes_max, bool net) {
    *r = (struct pipe_rig){
        .rig = {.connect = rig_connect, .run = rig_run, .live = rig_live, .no_endpoints = !net}};
    struct tarn_pipes_config config = {.alloc = &heap,
                                       .tasks = &r->tasks,
                                       .pipes_max = 2,
                                       .bytes_max = bytes_max,
                                       .pieces_max = 8,
                                       .listeners_max = 1};
    struct tarn_endpoint local = {TARN_IP_ADDR_NONE, 80};
    outstanding = 0;
    tarn_tasks_init(&r->tasks);
    cr_assert_eq(tarn_pipes_new(&config, &r->pipes), TARN_OK);
    if (net)
        cr_assert_eq(tarn_net_listen(tarn_pipes_net(r->pipes), &local, 1, &r->listener), TARN_OK);
}

static void rig_done(struct pipe_rig *r) {
    if (r->listener)
        tarn_listener_close(r->listener);
    rig_run(&r->rig);
    cr_assert_eq(tarn_pipes_live(r->pipes), 0);
    tarn_pipes_delete(r->pipes);
    cr_assert_eq(outstanding, 0, "%ld bytes were not given back", outstanding);
}

static void conform(uint32_t bytes_max, bool net) {
    for (size_t i = 0; i < flow_case_count; i++) {
        struct pipe_rig r;
        rig_init(&r, bytes_max, net);
        flow_cases[i].run(&r.rig);
        rig_done(&r);
    }
}

Test(pipe, conforms_to_flow_as_a_pair) {
    conform(16384, false);
}
Test(pipe, conforms_to_flow_through_its_network) {
    conform(65536, true);
}

/* The smallest bound is where off-by-ones live: every byte wraps. */
Test(pipe, a_one_byte_pipe_still_carries_everything) {
    struct pipe_rig r;
    struct tarn_flow *a, *b;
    rig_init(&r, 1, false);
    rig_connect(&r.rig, &a, &b);
    for (unsigned i = 0; i < 600; i++) {
        uint8_t in = (uint8_t)i, out;
        size_t n;
        if (i % 3 == 0)
            cr_assert_eq(tarn_flow_lend(a, tarn_span_of(&in, 1), NULL, &n), TARN_OK);
        else
            cr_assert_eq(tarn_flow_write(a, tarn_span_of(&in, 1), &n), TARN_OK);
        cr_assert_eq(tarn_flow_write(a, tarn_span_of(&in, 1), &n), TARN_AGAIN);
        if (i % 2) {
            struct tarn_bytes seen;
            cr_assert_eq(tarn_flow_peek(b, &seen), TARN_OK);
            cr_assert_eq(seen.len, 1);
        }
        cr_assert_eq(tarn_flow_read(b, tarn_bytes_of(&out, 1), &n), TARN_OK);
        cr_assert_eq(out, in);
        rig_run(&r.rig);
    }
    tarn_flow_close(a);
    tarn_flow_close(b);
    rig_done(&r);
}

Test(pipe, closing_with_unread_bytes_resets_as_rfc1122_4_2_2_13) {
    struct pipe_rig r;
    struct tarn_flow *a, *b;
    size_t n;
    uint8_t c;
    rig_init(&r, 100, false);
    rig_connect(&r.rig, &a, &b);
    cr_assert_eq(tarn_flow_write(a, TARN_SPAN_LIT("unread"), &n), TARN_OK);
    cr_assert_eq(tarn_flow_write(b, TARN_SPAN_LIT("answer"), &n), TARN_OK);
    tarn_flow_close(b);
    rig_run(&r.rig);
    cr_assert_eq(tarn_flow_read(a, tarn_bytes_of(&c, 1), &n), TARN_PEER);
    tarn_flow_close(a);
    rig_done(&r);
}

Test(pipe, pieces_are_bounded_and_room_comes_back_with_the_leases) {
    struct pipe_rig r;
    struct tarn_flow *a, *b;
    uint8_t got[64];
    size_t n;
    rig_init(&r, 1000, false);
    rig_connect(&r.rig, &a, &b);
    for (unsigned i = 0; i < 8; i++)
        cr_assert_eq(tarn_flow_lend(a, TARN_SPAN_LIT("x"), NULL, &n), TARN_OK);
    cr_assert_eq(tarn_flow_lend(a, TARN_SPAN_LIT("x"), NULL, &n), TARN_AGAIN);
    cr_assert_eq(tarn_flow_write(a, TARN_SPAN_LIT("x"), &n), TARN_AGAIN);
    cr_assert_eq(tarn_flow_read(b, TARN_BYTES_ARRAY(got), &n), TARN_OK);
    cr_assert_eq(n, 8);
    rig_run(&r.rig);
    cr_assert_eq(tarn_flow_lend(a, TARN_SPAN_LIT("y"), NULL, &n), TARN_OK);
    tarn_flow_abort(a);
    tarn_flow_close(b);
    rig_done(&r);
}

static unsigned failed_events;
static void count_failed(struct tarn_flow *flow, unsigned events) {
    (void)flow;
    failed_events += !!(events & TARN_FLOW_FAILED);
}

Test(pipe, connecting_where_nobody_listens_or_to_a_full_backlog_is_refused) {
    struct tarn_endpoint wrong = {TARN_IP_ADDR_NONE, 81}, right = {TARN_IP_ADDR_NONE, 80};
    struct tarn_flow *first, *second;
    struct pipe_rig r;
    size_t n;
    uint8_t c;
    rig_init(&r, 100, true);
    failed_events = 0;
    cr_assert_eq(tarn_net_connect(tarn_pipes_net(r.pipes), &wrong, &first), TARN_OK);
    first->on_event = count_failed;
    rig_run(&r.rig);
    cr_assert_eq(failed_events, 1);
    cr_assert_eq(tarn_flow_read(first, tarn_bytes_of(&c, 1), &n), TARN_PEER);
    tarn_flow_close(first);
    rig_run(&r.rig);
    cr_assert_eq(tarn_net_connect(tarn_pipes_net(r.pipes), &right, &first), TARN_OK);
    cr_assert_eq(tarn_net_connect(tarn_pipes_net(r.pipes), &right, &second), TARN_OK);
    cr_assert_eq(tarn_flow_read(second, tarn_bytes_of(&c, 1), &n), TARN_PEER);
    cr_assert_eq(tarn_net_connect(tarn_pipes_net(r.pipes), &right, &(struct tarn_flow *){0}),
                 TARN_LIMIT);
    /* Closing the listener resets what waits in its backlog. */
    tarn_listener_close(r.listener);
    r.listener = NULL;
    cr_assert_eq(tarn_flow_read(first, tarn_bytes_of(&c, 1), &n), TARN_PEER);
    tarn_flow_close(first);
    tarn_flow_abort(second);
    rig_done(&r);
}

Test(pipe, a_port_is_listened_on_once) {
    struct tarn_endpoint local = {TARN_IP_ADDR_NONE, 80};
    struct tarn_listener *l;
    struct pipe_rig r;
    rig_init(&r, 100, true);
    cr_assert_eq(tarn_net_listen(tarn_pipes_net(r.pipes), &local, 1, &l), TARN_LIMIT);
    local.port = 0;
    cr_assert_eq(tarn_net_listen(tarn_pipes_net(r.pipes), &local, 1, &l), TARN_INVALID);
    rig_done(&r);
}

Test(pipe, every_shortage_of_memory_at_init_is_a_limit_and_leaks_nothing) {
    struct tarn_tasks tasks;
    struct tarn_pipes *pipes;
    struct tarn_pipes_config config = {&heap, &tasks, 2, 100, 4, 1};
    tarn_tasks_init(&tasks);
    outstanding = 0;
    cr_assert_eq(tarn_pipes_new(&config, &pipes), TARN_OK);
    long whole = outstanding;
    tarn_pipes_delete(pipes);
    for (long b = 0; b < whole; b += 7) {
        budget = b;
        cr_assert_eq(tarn_pipes_new(&config, &pipes), TARN_LIMIT, "with %ld of %ld", b, whole);
        cr_assert_eq(outstanding, 0);
    }
    budget = 1 << 30;
    config.bytes_max = 0;
    cr_assert_eq(tarn_pipes_new(&config, &pipes), TARN_INVALID);
}
