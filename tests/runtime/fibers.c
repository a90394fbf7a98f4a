/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

#include "fake_platform.h"

static char trace[256];

static void note(char c) {
    size_t n = strlen(trace);
    trace[n] = c;
    trace[n + 1] = '\0';
}

static int run(int (*main)(struct tarn_env *)) {
    return fake_run(main, NULL, 0, "");
}

static int sleeps(struct tarn_env *env) {
    tarn_time start = tarn_now(env);
    for (int i = 0; i < 4; i++)
        tarn_sleep(env, TARN_SEC(1));
    return tarn_now(env) == start + TARN_SEC(4) ? 3 : 4;
}

Test(fibers, a_sleep_lasts_as_long_as_asked_and_the_status_is_mains) {
    cr_assert_eq(run(sleeps), 3);
    cr_assert_eq(fake.yields, 4u, "one wait for each sleep");
}

static void sleep_and_note(struct tarn_env *env, void *arg) {
    uintptr_t n = (uintptr_t)arg;
    tarn_sleep(env, TARN_MS(n));
    note((char)('0' + n));
}

static int sleep_sort(struct tarn_env *env) {
    static const uintptr_t order[] = {3, 1, 5, 2, 4};
    for (size_t i = 0; i < TARN_COUNT_OF(order); i++)
        if (tarn_fiber_start(env, sleep_and_note, (void *)order[i], 16384))
            return 1;
    note('m');
    tarn_sleep(env, TARN_MS(10));
    return 0;
}

Test(fibers, sleepers_wake_in_the_order_of_their_deadlines) {
    cr_assert_eq(run(sleep_sort), 0);
    cr_assert_str_eq(trace, "m12345");
}

static void take_turns(struct tarn_env *env, void *arg) {
    for (int i = 0; i < 3; i++) {
        note(*(const char *)arg);
        tarn_sleep(env, 0);
    }
}

static int turns(struct tarn_env *env) {
    if (tarn_fiber_start(env, take_turns, (void *)(uintptr_t) "a", 0)
        || tarn_fiber_start(env, take_turns, (void *)(uintptr_t) "b", 0))
        return 1;
    tarn_sleep(env, TARN_MS(1));
    return 0;
}

Test(fibers, a_sleep_of_nothing_lets_the_others_run) {
    cr_assert_eq(run(turns), 0);
    cr_assert_str_eq(trace, "ababab");
}

static struct tarn_waiter *waiter;
static enum tarn_err waited[4];
static tarn_time waited_until[4];

static void wait_thrice(struct tarn_env *env, void *arg) {
    (void)arg;
    waiter = tarn_env_waiter(env);
    for (int i = 0; i < 3; i++) {
        waited[i] = waiter->ops->wait(waiter, tarn_now(env) + TARN_MS(10));
        waited_until[i] = waiter->ops->now(waiter);
    }
    tarn_sleep(env, TARN_MS(50));
    waited[3] = waiter->ops->wait(waiter, TARN_NEVER);
    waited_until[3] = tarn_now(env);
}

static int wake_it(struct tarn_env *env) {
    if (tarn_fiber_start(env, wait_thrice, NULL, 0))
        return 1;
    tarn_sleep(env, TARN_MS(3));
    waiter->ops->wake(waiter); /* in its first wait */
    waiter->ops->wake(waiter); /* the same wake: still one return */
    tarn_sleep(env,
               TARN_MS(20)); /* the second and the third wait end at their deadlines: 13 and 23 */
    tarn_sleep(env, TARN_MS(7)); /* 30: it sleeps until 73 */
    waiter->ops->wake(waiter);   /* must not end the sleep, and must not be lost */
    tarn_sleep(env, TARN_MS(70));
    return 0;
}

Test(fibers, a_wait_ends_at_its_wake_or_its_deadline) {
    cr_assert_eq(run(wake_it), 0);
    tarn_time start = TARN_SEC(100);
    cr_assert_eq(waited[0], TARN_OK);
    cr_assert_eq(waited_until[0], start + TARN_MS(3));
    cr_assert_eq(waited[1], TARN_AGAIN);
    cr_assert_eq(waited_until[1], start + TARN_MS(13));
    cr_assert_eq(waited[2], TARN_AGAIN);
    cr_assert_eq(waited_until[2], start + TARN_MS(23));
    cr_assert_eq(waited[3], TARN_OK, "a wake that comes before the wait is kept for it");
    cr_assert_eq(waited_until[3], start + TARN_MS(73));
}

static unsigned ended;

static void end_later(struct tarn_env *env, void *arg) {
    (void)arg;
    tarn_sleep(env, TARN_MS(1));
    ended++;
}

static unsigned start_all(struct tarn_env *env) {
    unsigned started = 0;
    while (tarn_fiber_start(env, end_later, NULL, 16384) == TARN_OK)
        started++;
    tarn_sleep(env, TARN_MS(2));
    return started;
}

static int many(struct tarn_env *env) {
    unsigned first = start_all(env);
    /* Again: on the stacks of those that have ended. */
    unsigned second = start_all(env);
    return first == 1023 && second == first && ended == 2 * first ? 0 : 1;
}

Test(fibers, there_can_be_a_thousand_and_their_stacks_serve_again) {
    cr_assert_eq(run(many), 0);
}

Test(fibers, stacks_come_from_the_heap_where_the_target_has_none) {
    fake.no_stacks = true;
    fake.heap_bytes = 2u << 20;
    cr_assert_eq(run(sleep_sort), 0);
    cr_assert_str_eq(trace, "m12345");
}

#ifndef __SANITIZE_ADDRESS__ /* which keeps frames elsewhere, to see their use after return */
static int use(struct tarn_env *env, volatile uint8_t *below, int depth) {
    volatile uint8_t frame[256];
    frame[0] = below[0];
    int left = depth > 0 ? use(env, frame, depth - 1) : 0;
    return left + frame[0];
}

static void overflow(struct tarn_env *env, void *arg) {
    (void)arg;
    volatile uint8_t top[1] = {0};
    use(env, top, 16 * 1024 / 256);
    tarn_sleep(env, 0);
}

static int start_overflow(struct tarn_env *env) {
    /* Memory below the fiber's stack that is there to be overwritten. */
    void *below = tarn_alloc_get(tarn_env_alloc(env), 256 * 1024, 4096);
    if (!below || tarn_fiber_start(env, overflow, NULL, 16384))
        return 1;
    tarn_sleep(env, TARN_SEC(1));
    return 0;
}

Test(fibers, an_overflow_without_a_guard_page_traps_at_the_next_switch, .signal = SIGILL) {
    fake.no_stacks = true;
    run(start_overflow);
}
#endif

static int forever(struct tarn_env *env) {
    tarn_run_forever(env);
}

Test(fibers, running_forever_waits_without_a_deadline, .signal = SIGABRT) {
    run(forever); /* the platform of the tests aborts there */
}
