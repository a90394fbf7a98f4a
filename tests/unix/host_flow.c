/* SPDX-License-Identifier: ISC */
/* Flows over the host's sockets, on loopback: what every flow promises, and what is the host's. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <unistd.h>

#include "../flow/conformance.h"
#include "host.h"

/* The time of these tests is real, and nothing here waits for longer than this without an event. */
#define QUIET TARN_MS(2)

struct host_rig {
    struct flow_rig rig;
    struct host_net net;
    struct tarn_tasks tasks;
    struct tarn_listener *listener;
    struct tarn_endpoint at;
};

static void turn(struct host_rig *r) {
    struct tarn_ready ready;
    do {
        tarn_platform_yield(tarn_platform_now() + QUIET, &ready);
        while (tarn_tasks_run(&r->tasks))
            ready.devices = 1;
    } while (ready.devices);
}

static void rig_run(struct flow_rig *rig) {
    turn(TARN_CONTAINER_OF(rig, struct host_rig, rig));
}

static unsigned rig_live(struct flow_rig *rig) {
    return TARN_CONTAINER_OF(rig, struct host_rig, rig)->net.flows.live;
}

static void rig_connect(struct flow_rig *rig, struct tarn_flow **a, struct tarn_flow **b) {
    struct host_rig *r = TARN_CONTAINER_OF(rig, struct host_rig, rig);
    cr_assert_eq(tarn_net_connect(&r->net.net, &r->at, a), TARN_OK);
    turn(r);
    cr_assert_eq(tarn_listener_accept(r->listener, b), TARN_OK);
}

/* Listens on some port that is free. */
static void rig_init(struct host_rig *r, struct tarn_ip_addr addr, uint32_t flows_max) {
    *r = (struct host_rig){.rig = {.connect = rig_connect, .run = rig_run, .live = rig_live}};
    static uint8_t memory[3 * 1024 * 1024];
    struct tarn_arena arena;
    tarn_arena_init(&arena, TARN_BYTES_ARRAY(memory));
    tarn_tasks_init(&r->tasks);
    cr_assert_eq(host_net_init(&r->net, &arena.alloc, &r->tasks, flows_max, 1), TARN_OK);
    r->at = (struct tarn_endpoint){addr, (uint16_t)(20000 + getpid() % 10000)};
    while (tarn_net_listen(&r->net.net, &r->at, 16, &r->listener) == TARN_LIMIT)
        r->at.port++;
    cr_assert_not_null(r->listener);
}

#define LOOPBACK TARN_IP_ADDR_V4(127, 0, 0, 1)

ParameterizedTestParameters(host_flow, conforms) {
    static size_t cases[64];
    for (size_t i = 0; i < flow_case_count; i++)
        cases[i] = i;
    return cr_make_param_array(size_t, cases, flow_case_count);
}
ParameterizedTest(size_t *index, host_flow, conforms, .timeout = 60) {
    struct host_rig r;
    cr_log_info("%s", flow_cases[*index].name);
    rig_init(&r, LOOPBACK, 4);
    flow_cases[*index].run(&r.rig);
}

struct heard {
    unsigned events, accepts;
};

static void hear(struct tarn_flow *flow, unsigned events) {
    struct heard *heard = flow->user;
    heard->events |= events;
}

static void hear_accept(struct tarn_listener *listener) {
    struct heard *heard = listener->user;
    heard->accepts++;
}

Test(host_flow, connecting_tells_connected) {
    struct host_rig r;
    struct heard heard = {0};
    struct tarn_flow *a, *b;
    struct tarn_bytes seen;
    size_t n;
    rig_init(&r, LOOPBACK, 4);
    cr_assert_eq(tarn_net_connect(&r.net.net, &r.at, &a), TARN_OK);
    a->user = &heard, a->on_event = hear;
    cr_assert_eq(tarn_flow_write(a, TARN_SPAN_LIT("early"), &n), TARN_AGAIN);
    cr_assert_eq(tarn_flow_peek(a, &seen), TARN_AGAIN);
    cr_assert_eq(heard.events, 0u);
    turn(&r);
    cr_assert_eq(heard.events, TARN_FLOW_CONNECTED | TARN_FLOW_WRITABLE);
    cr_assert_eq(tarn_listener_accept(r.listener, &b), TARN_OK);
    tarn_flow_close(a);
    tarn_flow_close(b);
}

Test(host_flow, a_port_where_nobody_listens_refuses) {
    struct host_rig r;
    struct heard heard = {0};
    struct tarn_flow *a;
    size_t n;
    rig_init(&r, LOOPBACK, 4);
    tarn_listener_close(r.listener);
    cr_assert_eq(tarn_net_connect(&r.net.net, &r.at, &a), TARN_OK);
    a->user = &heard, a->on_event = hear;
    cr_assert_eq(heard.events, 0u, "not from inside the call");
    turn(&r);
    cr_assert_eq(heard.events, TARN_FLOW_FAILED);
    cr_assert_eq(tarn_flow_write(a, TARN_SPAN_LIT("x"), &n), TARN_PEER);
    tarn_flow_close(a);
    cr_assert_eq(r.net.flows.live, 0u);
}

Test(host_flow, an_address_without_a_route_fails_as_an_event) {
    struct host_rig r;
    struct heard heard = {0};
    struct tarn_endpoint nowhere = {TARN_IP_ADDR_V4(255, 255, 255, 255), 80};
    struct tarn_flow *a;
    size_t n;
    rig_init(&r, LOOPBACK, 4);
    cr_assert_eq(tarn_net_connect(&r.net.net, &nowhere, &a), TARN_OK);
    a->user = &heard, a->on_event = hear;
    turn(&r);
    cr_assert_eq(heard.events, TARN_FLOW_FAILED);
    cr_assert_eq(tarn_flow_write(a, TARN_SPAN_LIT("x"), &n), TARN_IO);
    tarn_flow_abort(a);
}

Test(host_flow, the_listener_tells_after_it_said_again) {
    struct host_rig r;
    struct heard heard = {0};
    struct tarn_flow *a[3], *b;
    rig_init(&r, LOOPBACK, 8);
    r.listener->user = &heard, r.listener->on_event = hear_accept;
    cr_assert_eq(tarn_listener_accept(r.listener, &b), TARN_AGAIN);
    cr_assert_eq(tarn_net_connect(&r.net.net, &r.at, &a[0]), TARN_OK);
    cr_assert_eq(heard.accepts, 0u);
    turn(&r);
    cr_assert_eq(heard.accepts, 1u);
    cr_assert_eq(tarn_net_connect(&r.net.net, &r.at, &a[1]), TARN_OK);
    turn(&r);
    cr_assert_eq(heard.accepts, 1u, "no TARN_AGAIN in between");
    cr_assert_eq(tarn_listener_accept(r.listener, &b), TARN_OK);
    cr_assert_eq(tarn_listener_accept(r.listener, &b), TARN_OK);
    cr_assert_eq(tarn_listener_accept(r.listener, &b), TARN_AGAIN);
    cr_assert_eq(tarn_net_connect(&r.net.net, &r.at, &a[2]), TARN_OK);
    turn(&r);
    cr_assert_eq(heard.accepts, 2u);
}

Test(host_flow, without_a_free_flow_a_connection_waits_for_one) {
    struct host_rig r;
    struct heard heard = {0};
    struct tarn_flow *a, *a2, *b, *b2;
    rig_init(&r, LOOPBACK, 3);
    r.listener->user = &heard, r.listener->on_event = hear_accept;
    rig_connect(&r.rig, &a, &b);
    cr_assert_eq(tarn_net_connect(&r.net.net, &r.at, &a2), TARN_OK);
    turn(&r);
    heard.accepts = 0;
    cr_assert_eq(tarn_listener_accept(r.listener, &b2), TARN_AGAIN);
    turn(&r);
    cr_assert_eq(heard.accepts, 0u);
    tarn_flow_close(a);
    turn(&r);
    cr_assert_eq(heard.accepts, 1u);
    cr_assert_eq(tarn_listener_accept(r.listener, &b2), TARN_OK);
    struct tarn_flow *none;
    cr_assert_eq(tarn_net_connect(&r.net.net, &r.at, &none), TARN_LIMIT);
}

Test(host_flow, every_address_is_both_families) {
    struct host_rig r;
    struct tarn_endpoint local, remote;
    struct tarn_flow *a, *b;
    struct tarn_ip_addr loopback = LOOPBACK;
    rig_init(&r, TARN_IP_ADDR_V4(0, 0, 0, 0), 4);
    r.at.addr = loopback;
    rig_connect(&r.rig, &a, &b);
    cr_assert_eq(tarn_flow_endpoints(b, &local, &remote), TARN_OK);
    cr_assert(tarn_ip_addr_equal(&local.addr, &loopback));
    cr_assert_eq(local.port, r.at.port);
    cr_assert(tarn_ip_addr_is_v4(&remote.addr), "an IPv4 peer keeps its IPv4 address");
}

Test(host_flow, a_port_in_use_is_a_limit_and_port_0_is_refused) {
    struct host_rig r;
    struct tarn_listener *second;
    struct tarn_endpoint zero = {LOOPBACK, 0};
    rig_init(&r, LOOPBACK, 4);
    cr_assert_eq(tarn_net_listen(&r.net.net, &r.at, 16, &second), TARN_LIMIT);
    cr_assert_eq(tarn_net_listen(&r.net.net, &zero, 16, &second), TARN_INVALID);
}
