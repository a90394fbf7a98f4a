/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <signal.h>
#include <tarn/env.h>
#include <tarn/timer.h>

#include "memory.h"

static struct memory memory;
static struct tarn_timers queue;

static void make(uint32_t cap) {
    memory = MEMORY(1 << 20);
    cr_assert_eq(tarn_timers_init(&queue, &memory.alloc, cap), TARN_OK);
}

Test(timer, the_earliest_comes_first_and_only_when_due) {
    struct tarn_timer a = {0}, b = {0}, c = {0};
    make(3);
    cr_assert_eq(tarn_timers_next(&queue), TARN_NEVER);
    tarn_timer_set(&queue, &a, 30);
    tarn_timer_set(&queue, &b, 10);
    tarn_timer_set(&queue, &c, 20);
    cr_assert_eq(tarn_timers_next(&queue), 10);
    cr_assert_null(tarn_timers_pop(&queue, 9));
    cr_assert_eq(tarn_timers_pop(&queue, 20), &b);
    cr_assert_eq(tarn_timers_pop(&queue, 20), &c);
    cr_assert_null(tarn_timers_pop(&queue, 20));
    cr_assert_not(tarn_timer_is_set(&b));
    cr_assert(tarn_timer_is_set(&a));
}

Test(timer, set_again_moves_both_ways_and_never_clears) {
    struct tarn_timer a = {0}, b = {0};
    make(2);
    tarn_timer_set(&queue, &a, 30);
    tarn_timer_set(&queue, &b, 20);
    tarn_timer_set(&queue, &a, 10);
    cr_assert_eq(tarn_timers_next(&queue), 10);
    tarn_timer_set(&queue, &a, 40);
    cr_assert_eq(tarn_timers_next(&queue), 20);
    tarn_timer_set(&queue, &b, TARN_NEVER);
    cr_assert_not(tarn_timer_is_set(&b));
    cr_assert_eq(tarn_timers_next(&queue), 40);
    tarn_timer_set(&queue, &b, TARN_NEVER); /* not set: nothing to clear */
    tarn_timer_clear(&queue, &b);
    cr_assert_eq(queue.count, 1);
}

Test(timer, random_use_equals_a_model) {
    enum { COUNT = 101 };
    static struct tarn_timer timers[COUNT];
    static tarn_time model[COUNT]; /* 0: not set */
    struct tarn_random_seeded r;
    tarn_time now = 1;
    tarn_random_seeded_init(&r, 31);
    make(COUNT);
    for (int round = 0; round < 50000; round++) {
        uint32_t i = tarn_random_below(&r.random, COUNT);
        switch (tarn_random_below(&r.random, 4)) {
        case 0:
            tarn_timer_clear(&queue, &timers[i]);
            model[i] = 0;
            break;
        case 1: {
            now += tarn_random_below(&r.random, 8);
            for (struct tarn_timer *t; (t = tarn_timers_pop(&queue, now));) {
                cr_assert_leq(t->at, now);
                cr_assert_eq(model[t - timers], t->at);
                model[t - timers] = 0;
            }
            break;
        }
        default: /* few different times, so that many are equal */
            model[i] = now + tarn_random_below(&r.random, 50);
            tarn_timer_set(&queue, &timers[i], model[i]);
        }
        tarn_time earliest = TARN_NEVER;
        uint32_t set = 0;
        for (size_t k = 0; k < COUNT; k++) {
            cr_assert_eq(tarn_timer_is_set(&timers[k]), model[k] != 0);
            set += model[k] != 0;
            if (model[k] != 0)
                earliest = TARN_MIN(earliest, model[k]);
        }
        cr_assert_eq(tarn_timers_next(&queue), earliest);
        cr_assert_eq(queue.count, set);
    }
}

Test(timer, pops_in_order_of_time) {
    enum { COUNT = 500 };
    static struct tarn_timer timers[COUNT];
    struct tarn_random_seeded r;
    tarn_random_seeded_init(&r, 32);
    make(COUNT);
    for (size_t i = 0; i < COUNT; i++)
        tarn_timer_set(&queue, &timers[i], tarn_random_u64(&r.random) / 2);
    tarn_time last = 0;
    for (size_t i = 0; i < COUNT; i++) {
        struct tarn_timer *t = tarn_timers_pop(&queue, TARN_NEVER);
        cr_assert_not_null(t);
        cr_assert_geq(t->at, last);
        last = t->at;
    }
    cr_assert_null(tarn_timers_pop(&queue, TARN_NEVER));
}

Test(timer, fini_gives_the_memory_back) {
    make(100);
    cr_assert_eq(memory.bytes, 100 * sizeof(struct tarn_timer *));
    tarn_timers_fini(&queue, &memory.alloc);
    cr_assert_eq(memory.bytes, 0);
    cr_assert_eq(tarn_timers_next(&queue), TARN_NEVER);
}

Test(timer, no_memory_is_a_limit) {
    memory = MEMORY(10);
    cr_assert_eq(tarn_timers_init(&queue, &memory.alloc, 2), TARN_LIMIT);
}

Test(timer, one_more_than_the_queue_was_made_for_traps, .signal = SIGILL) {
    struct tarn_timer a = {0}, b = {0};
    make(1);
    tarn_timer_set(&queue, &a, 1);
    tarn_timer_set(&queue, &b, 1);
}

Test(timer, a_timer_of_another_queue_traps, .signal = SIGILL) {
    struct tarn_timer a = {0}, b = {0};
    struct tarn_timers other;
    make(1);
    other = queue;
    make(1);
    tarn_timer_set(&queue, &a, 1);
    tarn_timer_set(&other, &b, 1);
    tarn_timer_clear(&other, &a);
}
