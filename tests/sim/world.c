/* SPDX-License-Identifier: ISC */
/* Virtual time: order, exact repetition, clocks that disagree. */
#include "seeds.h"
#include "sim.h"

#include <signal.h>

struct note {
    struct tarn_sim_event event;
    unsigned number;
};
static unsigned notes[64], note_count;

static void take_note(struct tarn_sim_event *event) {
    notes[note_count++] = TARN_CONTAINER_OF(event, struct note, event)->number;
}

Test(world, events_run_in_order_of_time_and_then_of_scheduling) {
    struct tarn_sim *sim = tarn_sim_new(1);
    struct note n[5];
    static const tarn_time at[5] = {30, 10, 20, 10, 0};
    for (unsigned i = 0; i < 5; i++) {
        n[i] = (struct note){.event.run = take_note, .number = i};
        tarn_sim_schedule(sim, &n[i].event, at[i]);
    }
    tarn_sim_cancel(sim, &n[2].event);
    tarn_sim_run(sim, TARN_NEVER);
    static const unsigned want[] = {4, 1, 3, 0};
    cr_assert_eq(note_count, 4);
    cr_assert_arr_eq(notes, want, sizeof want);
    cr_assert_eq(tarn_sim_now(sim), 30);
    tarn_sim_free(sim);
}

Test(world, time_stops_at_until) {
    struct tarn_sim *sim = tarn_sim_new(1);
    struct note n = {.event.run = take_note};
    tarn_sim_schedule(sim, &n.event, 100);
    tarn_sim_run(sim, 99);
    cr_assert_eq(note_count, 0);
    cr_assert_eq(tarn_sim_now(sim), 99);
    tarn_sim_run(sim, 100);
    cr_assert_eq(note_count, 1);
    tarn_sim_free(sim);
}

SIM_TEST(world, heap_keeps_order_under_random_schedule_and_cancel, 200) {
    enum { N = 200 };
    struct tarn_sim *sim = tarn_sim_new(seed);
    struct tarn_random_seeded r;
    tarn_random_seeded_init(&r, seed);
    struct note *n = calloc(N, sizeof *n);
    for (unsigned round = 0; round < 3 * N; round++) {
        struct note *one = &n[tarn_random_below(&r.random, N)];
        one->event.run = take_note;
        if (tarn_random_below(&r.random, 4) == 0)
            tarn_sim_cancel(sim, &one->event);
        else
            tarn_sim_schedule(sim, &one->event, tarn_random_below(&r.random, 1000));
    }
    unsigned left = 0;
    for (unsigned i = 0; i < N; i++)
        left += n[i].event.pos != 0;
    tarn_time last = 0;
    while (left) {
        note_count = 0;
        SIM_CHECK(tarn_sim_step(sim, TARN_NEVER));
        SIM_CHECK(note_count > 0 && note_count <= left);
        SIM_CHECK(tarn_sim_now(sim) >= last);
        for (unsigned i = 0; i < N; i++)
            SIM_CHECK(!n[i].event.pos || n[i].event.at > tarn_sim_now(sim));
        last = tarn_sim_now(sim);
        left -= note_count;
    }
    free(n);
    tarn_sim_free(sim);
}

struct ticker {
    struct tarn_sim_actor actor;
    tarn_time next;
    unsigned polls;
    tarn_time first_now, last_now;
};

static void ticker_poll(struct tarn_sim_actor *actor, tarn_time now) {
    struct ticker *t = TARN_CONTAINER_OF(actor, struct ticker, actor);
    if (t->polls++ == 0)
        t->first_now = now;
    t->last_now = now;
    t->next = now + TARN_MS(10);
}

static tarn_time ticker_deadline(struct tarn_sim_actor *actor) {
    return TARN_CONTAINER_OF(actor, struct ticker, actor)->next;
}

SIM_TEST(world, each_actor_has_a_clock_of_its_own_that_runs_as_the_worlds, 20) {
    struct tarn_sim *sim = tarn_sim_new(seed);
    struct ticker t[3] = {0};
    for (unsigned i = 0; i < 3; i++) {
        t[i].actor.poll = ticker_poll;
        t[i].actor.deadline = ticker_deadline;
        t[i].next = TARN_NEVER;
        tarn_sim_add(sim, &t[i].actor);
    }
    tarn_sim_run(sim, TARN_SEC(1));
    SIM_CHECK(t[0].actor.origin != t[1].actor.origin && t[1].actor.origin != t[2].actor.origin);
    for (unsigned i = 0; i < 3; i++) {
        SIM_CHECK(t[i].polls == 101, "polls %u", t[i].polls);
        SIM_CHECK(t[i].last_now - t[i].first_now == TARN_SEC(1));
    }
    tarn_sim_remove(&t[1].actor);
    tarn_sim_run(sim, TARN_SEC(2));
    SIM_CHECK(t[1].polls == 101 && t[0].polls == 201 && t[2].polls == 201);
    tarn_sim_free(sim);
}

Test(world, a_late_wakeup_is_late_by_at_most_its_latency) {
    struct tarn_sim *sim = tarn_sim_new(3);
    struct ticker t = {
        .actor = {.poll = ticker_poll, .deadline = ticker_deadline, .latency_max = TARN_MS(1)}};
    unsigned late = 0;
    t.next = TARN_NEVER;
    tarn_sim_add(sim, &t.actor);
    tarn_sim_step(sim, TARN_NEVER);
    for (unsigned i = 0; i < 20; i++) {
        t.next = TARN_NEVER;
        tarn_time before = tarn_sim_now(sim);
        tarn_sim_wake(&t.actor);
        cr_assert(tarn_sim_step(sim, TARN_NEVER));
        cr_assert(tarn_sim_now(sim) <= before + TARN_MS(1));
        late += tarn_sim_now(sim) > before;
    }
    cr_assert(late > 10);
    tarn_sim_free(sim);
}

Test(world, an_actor_that_never_lets_time_go_on_traps, .signal = SIGILL) {
    struct tarn_sim *sim = tarn_sim_new(1);
    struct ticker t = {.actor = {.poll = ticker_poll, .deadline = ticker_deadline}};
    tarn_sim_add(sim, &t.actor);
    for (;;) {
        t.next = 0;
        tarn_sim_step(sim, TARN_NEVER);
    }
}

Test(world, streams_differ_between_each_other_and_between_seeds) {
    struct tarn_sim *a = tarn_sim_new(1), *b = tarn_sim_new(2), *c = tarn_sim_new(1);
    struct tarn_random_seeded a1, a2, b1, c1;
    tarn_sim_random(a, &a1);
    tarn_sim_random(a, &a2);
    tarn_sim_random(b, &b1);
    tarn_sim_random(c, &c1);
    uint64_t first = tarn_random_u64(&a1.random);
    cr_assert_eq(first, tarn_random_u64(&c1.random));
    cr_assert_neq(first, tarn_random_u64(&a2.random));
    cr_assert_neq(first, tarn_random_u64(&b1.random));
    tarn_sim_free(a);
    tarn_sim_free(b);
    tarn_sim_free(c);
}
