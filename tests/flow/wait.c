/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <tarn/flow_pipe.h>
#include <tarn/flow_wait.h>

/* A waiter whose time is virtual: waiting runs the tasks, and then the script of the other side, a
 * step per millisecond, until somebody wakes it. */
struct script_waiter {
    struct tarn_waiter waiter;
    struct tarn_tasks *tasks;
    tarn_time now;
    bool woken;
    unsigned step;
    void (*script)(struct script_waiter *w, unsigned step);
    struct tarn_flow *peer;
};

static enum tarn_err script_wait(struct tarn_waiter *waiter, tarn_time deadline) {
    struct script_waiter *w = TARN_CONTAINER_OF(waiter, struct script_waiter, waiter);
    while (!w->woken) {
        if (tarn_tasks_run(w->tasks))
            continue;
        if (w->now >= deadline)
            return TARN_AGAIN;
        cr_assert_lt(w->step, 1000, "nobody will ever wake this waiter");
        w->now += TARN_MS(1);
        if (w->script)
            w->script(w, w->step);
        w->step++;
    }
    w->woken = false;
    return TARN_OK;
}
static void script_wake(struct tarn_waiter *waiter) {
    TARN_CONTAINER_OF(waiter, struct script_waiter, waiter)->woken = true;
}
static tarn_time script_now(struct tarn_waiter *waiter) {
    return TARN_CONTAINER_OF(waiter, struct script_waiter, waiter)->now;
}
static const struct tarn_waiter_ops script_ops = {script_wait, script_wake, script_now};

static uint8_t memory[1 << 20];
static struct tarn_arena arena;
static struct tarn_tasks tasks;
static struct tarn_pipes *pipes;
static struct tarn_flow *flow;
static struct script_waiter w;

static void setup(void) {
    struct tarn_pipes_config config = {&arena.alloc, &tasks, 4, 16, 8, 1};
    tarn_arena_init(&arena, TARN_BYTES_ARRAY(memory));
    tarn_tasks_init(&tasks);
    cr_assert_eq(tarn_pipes_new(&config, &pipes), TARN_OK);
    w = (struct script_waiter){.waiter = {&script_ops}, .tasks = &tasks};
    cr_assert_eq(tarn_pipes_pair(pipes, &flow, &w.peer), TARN_OK);
}
TestSuite(wait, .init = setup);

static const char poem[] = "a tarn is a small mountain lake, and this is more than one pipeful";

static void write_poem(struct script_waiter *s, unsigned step) {
    size_t at = 7 * step, n;
    if (at < strlen(poem))
        cr_assert_eq(tarn_flow_write(s->peer, tarn_span_first(tarn_span_str(poem + at), 7), &n),
                     TARN_OK);
    else if (at < strlen(poem) + 7)
        tarn_flow_shutdown(s->peer);
}

Test(wait, read_all_reads_to_the_end) {
    char buf[200];
    size_t n;
    w.script = write_poem;
    cr_assert_eq(tarn_flow_read_all(flow, &w.waiter, TARN_BYTES_ARRAY(buf), TARN_NEVER, &n),
                 TARN_OK);
    cr_assert_eq(n, strlen(poem));
    cr_assert_arr_eq(buf, poem, n);
    cr_assert_null(flow->on_event);
}

Test(wait, read_all_into_exactly_enough_is_ok) {
    char buf[sizeof poem - 1];
    size_t n;
    w.script = write_poem;
    cr_assert_eq(tarn_flow_read_all(flow, &w.waiter, TARN_BYTES_ARRAY(buf), TARN_NEVER, &n),
                 TARN_OK);
    cr_assert_eq(n, sizeof buf);
}

Test(wait, read_all_into_less_is_a_limit) {
    char buf[20];
    size_t n;
    w.script = write_poem;
    cr_assert_eq(tarn_flow_read_all(flow, &w.waiter, TARN_BYTES_ARRAY(buf), TARN_NEVER, &n),
                 TARN_LIMIT);
    cr_assert_eq(n, 20);
}

Test(wait, read_exact_takes_what_was_asked_and_tells_a_short_end) {
    char buf[100];
    size_t n;
    w.script = write_poem;
    cr_assert_eq(tarn_flow_read_exact(flow, &w.waiter, tarn_bytes_of(buf, 10), TARN_NEVER, &n),
                 TARN_OK);
    cr_assert_eq(n, 10);
    cr_assert_arr_eq(buf, poem, 10);
    cr_assert_eq(tarn_flow_read_exact(flow, &w.waiter, TARN_BYTES_ARRAY(buf), TARN_NEVER, &n),
                 TARN_EOF);
    cr_assert_eq(n, strlen(poem) - 10);
}

Test(wait, a_deadline_ends_the_wait_with_what_there_is) {
    char buf[100];
    size_t n;
    w.script = write_poem;
    cr_assert_eq(tarn_flow_read_exact(flow, &w.waiter, TARN_BYTES_ARRAY(buf), TARN_MS(3), &n),
                 TARN_AGAIN);
    cr_assert_eq(w.now, TARN_MS(3));
    cr_assert_eq(n, 21);
}

Test(wait, a_reset_while_waiting_is_an_error) {
    char buf[10];
    size_t n;
    tarn_flow_abort(w.peer);
    cr_assert_eq(tarn_flow_read_some(flow, &w.waiter, TARN_BYTES_ARRAY(buf), TARN_NEVER, &n),
                 TARN_PEER);
    cr_assert_eq(n, 0);
}

static char drained[100];
static size_t drained_len;
static void drain(struct script_waiter *s, unsigned step) {
    size_t n;
    (void)step;
    if (tarn_flow_read(s->peer, tarn_bytes_of(drained + drained_len, 3), &n) == TARN_OK)
        drained_len += n;
}

Test(wait, write_all_waits_for_a_slow_reader) {
    size_t n;
    w.script = drain;
    drained_len = 0;
    cr_assert_eq(tarn_flow_write_all(flow, &w.waiter, tarn_span_str(poem), TARN_NEVER, &n),
                 TARN_OK);
    cr_assert_eq(n, strlen(poem));
    for (unsigned i = 0; i < 30; i++)
        drain(&w, i);
    cr_assert_eq(drained_len, strlen(poem));
    cr_assert_arr_eq(drained, poem, drained_len);
}

Test(wait, write_all_to_nobody_stops_at_the_deadline) {
    size_t n;
    cr_assert_eq(tarn_flow_write_all(flow, &w.waiter, tarn_span_str(poem), TARN_MS(5), &n),
                 TARN_AGAIN);
    cr_assert_eq(n, 16);
}

static struct tarn_endpoint port80 = {TARN_IP_ADDR_NONE, 80};
static void connect_late(struct script_waiter *s, unsigned step) {
    if (step == 5)
        cr_assert_eq(tarn_net_connect(tarn_pipes_net(pipes), &port80, &s->peer), TARN_OK);
}

Test(wait, connecting_and_accepting) {
    struct tarn_listener *l;
    struct tarn_flow *got = NULL;
    cr_assert_eq(tarn_net_connect_wait(tarn_pipes_net(pipes), &w.waiter, &port80, TARN_NEVER, &got),
                 TARN_PEER);
    cr_assert_eq(tarn_net_listen(tarn_pipes_net(pipes), &port80, 4, &l), TARN_OK);
    cr_assert_eq(tarn_listener_accept_wait(l, &w.waiter, TARN_MS(2), &got), TARN_AGAIN);
    w.script = connect_late;
    w.step = 0;
    cr_assert_eq(tarn_listener_accept_wait(l, &w.waiter, TARN_NEVER, &got), TARN_OK);
    cr_assert_not_null(got);
    cr_assert_eq(tarn_net_connect_wait(tarn_pipes_net(pipes), &w.waiter, &port80, TARN_NEVER, &got),
                 TARN_OK);
    cr_assert_null(got->on_event);
}
