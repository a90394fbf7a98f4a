/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <string.h>

#include "fake_platform.h"

static char trace[512];

static void note(char c) {
    size_t n = strlen(trace);
    if (n < sizeof trace - 1)
        trace[n] = c;
}

static int run(int (*main)(struct tarn_env *)) {
    return fake_run(main, NULL, 0, "");
}

static uint64_t ready_seen;
static tarn_time poller_deadline = TARN_NEVER;
static struct tarn_task task;
static struct tarn_tasks *tasks;

static void poll(struct tarn_poller *p, tarn_time now, uint64_t ready) {
    (void)p, (void)now;
    note('p');
    ready_seen |= ready;
    if (ready && tasks)
        tarn_task_post(tasks, &task);
}

static void flush(struct tarn_poller *p, tarn_time now) {
    (void)p;
    note('f');
    if (now >= poller_deadline)
        poller_deadline = TARN_NEVER;
}

static tarn_time deadline(struct tarn_poller *p) {
    (void)p;
    return poller_deadline;
}

static struct tarn_poller poller = {.poll = poll, .flush = flush, .deadline = deadline};

static void task_note(struct tarn_task *t) {
    (void)t;
    note('t');
}

static int one_of_each(struct tarn_env *env) {
    tasks = tarn_env_tasks(env);
    task.run = task_note;
    tarn_env_add_poller(env, &poller);
    memset(trace, 0, sizeof trace);
    fake.ready_once = 5;
    tarn_sleep(env, TARN_MS(1));
    note('m');
    return 0;
}

Test(loop, a_round_polls_then_runs_tasks_then_fibers_then_flushes) {
    cr_assert_eq(run(one_of_each), 0);
    cr_assert_eq(ready_seen, 5u);
    /* The flush of main's own round; the round of the ready device; the round of the deadline, in
     * which main ends; and a last flush, for what main said at its end. */
    cr_assert_str_eq(trace, "fptfpmff");
    cr_assert_eq(fake.yields, 2u);
}

static int wait_for_poller(struct tarn_env *env) {
    tarn_env_add_poller(env, &poller);
    poller_deadline = tarn_now(env) + TARN_MS(3);
    tarn_sleep(env, TARN_MS(10));
    return 0;
}

Test(loop, the_earliest_deadline_ends_the_wait) {
    tarn_time start = fake.now;
    cr_assert_eq(run(wait_for_poller), 0);
    cr_assert_eq(poller_deadline, TARN_NEVER, "the flush at 3 ms saw it");
    cr_assert_eq(fake.now, start + TARN_MS(10));
    cr_assert_eq(fake.yields, 2u, "an idle loop waits, it does not spin");
}

static struct tarn_task again;
static uint64_t task_runs;

static void post_again(struct tarn_task *t) {
    task_runs++;
    tarn_task_post(tasks, t);
}

static void device_becomes_ready(void) {
    fake.ready_once = 1;
}

static void stop_when_ready(struct tarn_poller *p, tarn_time now, uint64_t ready) {
    (void)p, (void)now;
    if (ready)
        tarn_task_cancel(&again);
}

static struct tarn_poller stopper = {.poll = stop_when_ready};

static int never_idle(struct tarn_env *env) {
    tasks = tarn_env_tasks(env);
    again.run = post_again;
    tarn_env_add_poller(env, &stopper);
    tarn_task_post(tasks, &again);
    tarn_sleep_until(env, tarn_now(env) + TARN_MS(1));
    return 0;
}

Test(loop, a_program_that_is_never_idle_still_hears_its_devices) {
    fake.waiting = device_becomes_ready;
    /* The device's event stops the task; then the sleep can end. */
    fake.now = 0;
    fake.waiting = NULL;
    fake.ready_once = 1;
    cr_assert_eq(run(never_idle), 0);
    cr_assert(task_runs > 0 && task_runs <= 16, "%lu", (unsigned long)task_runs);
}

static int says(struct tarn_env *env) {
    tarn_puts(env, "one ");
    tarn_put(env, TARN_SPAN_LIT("two\n"));
    return tarn_clock_now(tarn_env_clock(env)) == tarn_now(env)
                   && tarn_clock_wall_ns(tarn_env_clock(env)) == tarn_wall_ns(env)
               ? 0
               : 1;
}

Test(loop, console_and_clock_are_the_platforms) {
    cr_assert_eq(run(says), 0);
    cr_assert_str_eq(fake.console, "one two\n");
}

static int takes_packets(struct tarn_env *env) {
    struct tarn_pkt_pool *pkts = tarn_env_pkts(env);
    struct tarn_pkt *super = tarn_pkt_alloc(pkts, 65535), *frame = tarn_pkt_alloc(pkts, 1514);
    bool ok = super && frame && pkts == tarn_env_pkts(env);
    /* Three quarters of the memory are left for the program. */
    ok = ok && tarn_alloc_get(tarn_env_alloc(env), 1u << 20, 64);
    tarn_pkt_free(super);
    tarn_pkt_free(frame);
    return ok ? 0 : 1;
}

Test(loop, packets_take_a_quarter_of_the_memory) {
    fake.heap_bytes = 2u << 20;
    cr_assert_eq(run(takes_packets), 0);
}
