/* SPDX-License-Identifier: ISC */
#include "internal.h"

tarn_time tarn_now(struct tarn_env *env) {
    (void)env;
    return tarn_platform_now();
}

uint64_t tarn_wall_ns(struct tarn_env *env) {
    (void)env;
    return tarn_platform_wall_ns();
}

static tarn_time clock_now(struct tarn_clock *c) {
    (void)c;
    return tarn_platform_now();
}

static uint64_t clock_wall_ns(struct tarn_clock *c) {
    (void)c;
    return tarn_platform_wall_ns();
}

struct tarn_clock *tarn_env_clock(struct tarn_env *env) {
    static const struct tarn_clock_ops ops = {.now = clock_now, .wall_ns = clock_wall_ns};
    env->clock.ops = &ops;
    return &env->clock;
}

struct tarn_alloc *tarn_env_alloc(struct tarn_env *env) {
    return &env->heap.alloc;
}

size_t tarn_env_memory_left(struct tarn_env *env) {
    return env->heap.mem.len - env->heap.used;
}

struct tarn_tasks *tarn_env_tasks(struct tarn_env *env) {
    return &env->tasks;
}
