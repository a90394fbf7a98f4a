/* SPDX-License-Identifier: ISC */
#include "internal.h"

/* So many rounds are made at most before the devices are asked again, however busy the program is.
 */
#define ROUNDS_MAX 16u

void tarn_env_add_poller(struct tarn_env *env, struct tarn_poller *poller) {
    struct tarn_poller **at = &env->pollers;
    while (*at)
        at = &(*at)->next;
    poller->next = NULL;
    *at = poller;
}

static tarn_time earliest(struct tarn_env *env) {
    tarn_time deadline = tarn_timers_next(&env->timers);
    if (tarn_tasks_pending(&env->tasks) || env->ready_first)
        return 0;
    for (struct tarn_poller *p = env->pollers; p; p = p->next) {
        tarn_time at = p->deadline ? p->deadline(p) : TARN_NEVER;
        deadline = TARN_MIN(deadline, at);
    }
    return deadline;
}

static void flush(struct tarn_env *env, tarn_time now) {
    for (struct tarn_poller *p = env->pollers; p; p = p->next)
        if (p->flush)
            p->flush(p, now);
}

/* What came goes in; whoever waited for it runs; what they said goes out, all in one. */
static void loop_round(struct tarn_env *env, tarn_time now, uint64_t ready) {
    for (struct tarn_poller *p = env->pollers; p; p = p->next)
        if (p->poll)
            p->poll(p, now, ready);
    tarn_runtime_fibers_tick(env, now);
    tarn_tasks_run(&env->tasks);
    tarn_runtime_fibers_run(env);
    flush(env, now);
}

void tarn_runtime_loop(struct tarn_env *env) {
    struct tarn_ready ready = {0};
    while (!env->main_done) {
        tarn_time deadline = 0;
        for (unsigned i = 0; i < ROUNDS_MAX && !env->main_done; i++) {
            tarn_time now = tarn_platform_now();
            loop_round(env, now, ready.devices);
            ready.devices = 0;
            deadline = earliest(env);
            if (deadline > now)
                break;
        }
        if (!env->main_done)
            tarn_platform_yield(deadline, &ready);
    }
    flush(env, tarn_platform_now());
}
