/* SPDX-License-Identifier: ISC */
/* Virtual time: the event heap and the actors. */
#include "internal.h"

#include <stdlib.h>

/* Polls at one instant after which somebody's deadline is taken to be stuck. */
#define POLLS_AT_ONCE_MAX 10000000u

void *sim_new(size_t bytes) {
    void *mem = calloc(1, bytes);
    TARN_ASSERT(mem);
    return mem;
}

struct tarn_sim *tarn_sim_new(uint64_t seed) {
    struct tarn_sim *sim = sim_new(sizeof *sim);
    sim->seed = seed;
    tarn_sim_random(sim, &sim->random);
    return sim;
}

void tarn_sim_free(struct tarn_sim *sim) {
    sim_links_free(sim);
    sim_disks_free(sim);
    free(sim->heap);
    free(sim);
}

tarn_time tarn_sim_now(const struct tarn_sim *sim) {
    return sim->now;
}

/* The n-th stream starts from the n-th output of a generator seeded with the world's seed, so that
 * neighbouring seeds and streams have nothing in common. */
void tarn_sim_random(struct tarn_sim *sim, struct tarn_random_seeded *out) {
    struct tarn_random_seeded mix;
    tarn_random_seeded_init(&mix, sim->seed);
    uint64_t state = tarn_random_u64(&mix.random);
    tarn_random_seeded_init(&mix, state ^ ++sim->streams);
    tarn_random_seeded_init(out, tarn_random_u64(&mix.random));
}

/* -- events -------------------------------------------------------------------------------------
 */

static bool earlier(const struct tarn_sim_event *a, const struct tarn_sim_event *b) {
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void place(struct tarn_sim *sim, uint32_t i, struct tarn_sim_event *event) {
    TARN_AT_N(sim->heap, sim->event_count, i) = event;
    event->pos = i + 1;
}

static void sift_up(struct tarn_sim *sim, uint32_t i, struct tarn_sim_event *event) {
    while (i > 0 && earlier(event, sim->heap[(i - 1) / 2])) {
        place(sim, i, sim->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    place(sim, i, event);
}

static void sift_down(struct tarn_sim *sim, uint32_t i, struct tarn_sim_event *event) {
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= sim->event_count)
            break;
        if (child + 1 < sim->event_count && earlier(sim->heap[child + 1], sim->heap[child]))
            child++;
        if (!earlier(sim->heap[child], event))
            break;
        place(sim, i, sim->heap[child]);
        i = child;
    }
    place(sim, i, event);
}

void tarn_sim_cancel(struct tarn_sim *sim, struct tarn_sim_event *event) {
    if (event->pos == 0)
        return;
    uint32_t i = event->pos - 1;
    struct tarn_sim_event *last = sim->heap[--sim->event_count];
    event->pos = 0;
    if (last == event)
        return;
    if (i > 0 && earlier(last, sim->heap[(i - 1) / 2]))
        sift_up(sim, i, last);
    else
        sift_down(sim, i, last);
}

void tarn_sim_schedule(struct tarn_sim *sim, struct tarn_sim_event *event, tarn_time at) {
    tarn_sim_cancel(sim, event);
    if (at == TARN_NEVER)
        return;
    if (sim->event_count == sim->event_cap) {
        sim->event_cap = sim->event_cap ? 2 * sim->event_cap : 64;
        sim->heap = realloc(sim->heap, sim->event_cap * sizeof(struct tarn_sim_event *));
        TARN_ASSERT(sim->heap);
    }
    event->at = TARN_MAX(at, sim->now);
    event->order = sim->orders++;
    sim->event_count++;
    sift_up(sim, sim->event_count - 1, event);
}

/* -- actors -------------------------------------------------------------------------------------
 */

/* Most clocks start anywhere within a century, some next to zero: both have found mistakes in "now
 * minus something" elsewhere. */
static tarn_time clock_origin(struct tarn_random_seeded *random) {
    tarn_time span =
        tarn_random_below(&random->random, 4) == 0 ? TARN_SEC(1) : TARN_SEC(3155692600u);
    return sim_draw(random, span);
}

void tarn_sim_add(struct tarn_sim *sim, struct tarn_sim_actor *actor) {
    struct tarn_sim_actor **at = &sim->actors;
    while (*at)
        at = &(*at)->next;
    *at = actor;
    actor->next = NULL;
    actor->sim = sim;
    actor->wake_at = sim->now;
    tarn_sim_random(sim, &actor->random);
    actor->origin = clock_origin(&actor->random);
    sim->actor_count++;
}

void tarn_sim_remove(struct tarn_sim_actor *actor) {
    struct tarn_sim_actor **at = &actor->sim->actors;
    while (*at != actor) {
        TARN_ASSERT(*at);
        at = &(*at)->next;
    }
    *at = actor->next;
    actor->sim->actor_count--;
    actor->sim = NULL;
}

void tarn_sim_wake(struct tarn_sim_actor *actor) {
    if (actor->wake_at == TARN_NEVER)
        actor->wake_at = actor->sim->now + sim_draw(&actor->random, actor->latency_max);
}

tarn_time tarn_sim_actor_now(const struct tarn_sim_actor *actor) {
    return actor->origin + actor->sim->now;
}

/* When the actor is to be polled, in the world's time. */
static tarn_time actor_due(struct tarn_sim_actor *actor) {
    tarn_time deadline = actor->deadline(actor);
    if (deadline != TARN_NEVER)
        deadline = deadline > actor->origin ? deadline - actor->origin : 0;
    return TARN_MIN(deadline, actor->wake_at);
}

static void poll_if_due(struct tarn_sim *sim, struct tarn_sim_actor *actor) {
    if (actor_due(actor) > sim->now)
        return;
    TARN_ASSERT(++sim->polls_at_now < POLLS_AT_ONCE_MAX);
    actor->wake_at = TARN_NEVER;
    actor->poll(actor, tarn_sim_actor_now(actor));
}

/* Each due actor once, starting with one drawn by lot: nobody is always first. An actor may remove
 * itself, and no other, while it is polled. */
static void poll_actors(struct tarn_sim *sim) {
    if (sim->actor_count == 0)
        return;
    uint32_t first = tarn_random_below(&sim->random.random, sim->actor_count);
    uint32_t i = 0;
    struct tarn_sim_actor *next;
    for (struct tarn_sim_actor *a = sim->actors; a; a = next, i++) {
        next = a->next;
        if (i >= first)
            poll_if_due(sim, a);
    }
    i = 0;
    for (struct tarn_sim_actor *a = sim->actors; a && i < first; a = next, i++) {
        next = a->next;
        poll_if_due(sim, a);
    }
}

/* -- time ---------------------------------------------------------------------------------------
 */

static tarn_time next_moment(struct tarn_sim *sim) {
    tarn_time at = sim->event_count ? sim->heap[0]->at : TARN_NEVER;
    for (struct tarn_sim_actor *a = sim->actors; a; a = a->next) {
        tarn_time due = actor_due(a);
        at = TARN_MIN(at, due);
    }
    return at == TARN_NEVER ? at : TARN_MAX(at, sim->now);
}

bool tarn_sim_step(struct tarn_sim *sim, tarn_time until) {
    tarn_time at = next_moment(sim);
    if (at == TARN_NEVER || at > until) {
        if (until != TARN_NEVER)
            sim->now = TARN_MAX(sim->now, until);
        return false;
    }
    if (at > sim->now)
        sim->polls_at_now = 0;
    sim->now = at;
    while (sim->event_count && sim->heap[0]->at <= sim->now) {
        struct tarn_sim_event *event = sim->heap[0];
        tarn_sim_cancel(sim, event);
        event->run(event);
    }
    poll_actors(sim);
    return true;
}

void tarn_sim_run(struct tarn_sim *sim, tarn_time until) {
    while (tarn_sim_step(sim, until))
        ;
}

bool tarn_sim_run_until(struct tarn_sim *sim, bool (*done)(void *arg), void *arg, tarn_time until) {
    while (!done(arg))
        if (!tarn_sim_step(sim, until))
            return done(arg);
    return true;
}
