/* SPDX-License-Identifier: ISC */
#include "internal.h"

/* A known word at the lowest end of every stack: where the target has no page to leave unmapped, an
 * overflow is still noticed at the next switch. */
#define STACK_MARK 0x7461726e66696265u

static uint64_t *stack_mark(const struct fiber *fiber) {
    return (uint64_t *)(void *)fiber->stack.ptr;
}

static void make_ready(struct fiber *fiber) {
    struct tarn_env *env = fiber->env;
    tarn_timer_clear(&env->timers, &fiber->timer);
    fiber->state = FIBER_READY;
    fiber->next = NULL;
    if (env->ready_last)
        env->ready_last->next = fiber;
    else
        env->ready_first = fiber;
    env->ready_last = fiber;
}

static struct fiber *ready_pop(struct tarn_env *env) {
    struct fiber *fiber = env->ready_first;
    if (!fiber)
        return NULL;
    env->ready_first = fiber->next;
    if (!env->ready_first)
        env->ready_last = NULL;
    return fiber;
}

/* Back to the loop until the fiber is ready again. */
static void park(struct fiber *fiber, int state, tarn_time deadline) {
    struct tarn_env *env = fiber->env;
    TARN_ASSERT(env->running == fiber);
    fiber->state = state;
    tarn_timer_set(&env->timers, &fiber->timer, deadline);
    tarn_context_switch(&fiber->context, &env->loop);
}

static enum tarn_err waiter_wait(struct tarn_waiter *w, tarn_time deadline) {
    struct fiber *fiber = TARN_CONTAINER_OF(w, struct fiber, waiter);
    if (!fiber->woken)
        park(fiber, FIBER_WAITING, deadline);
    bool woken = fiber->woken;
    fiber->woken = false;
    return woken ? TARN_OK : TARN_AGAIN;
}

static void waiter_wake(struct tarn_waiter *w) {
    struct fiber *fiber = TARN_CONTAINER_OF(w, struct fiber, waiter);
    fiber->woken = true;
    if (fiber->state == FIBER_WAITING)
        make_ready(fiber);
}

static tarn_time waiter_now(struct tarn_waiter *w) {
    return tarn_now(TARN_CONTAINER_OF(w, struct fiber, waiter)->env);
}

static const struct tarn_waiter_ops waiter_ops = {
    .wait = waiter_wait, .wake = waiter_wake, .now = waiter_now};

static void fiber_entry(void *arg) {
    struct fiber *fiber = arg;
    fiber->run(fiber->env, fiber->arg);
    fiber->state = FIBER_DONE;
    tarn_context_leave(&fiber->context, &fiber->env->loop);
}

enum tarn_err tarn_runtime_fibers_init(struct tarn_env *env) {
    return tarn_timers_init(&env->timers, &env->heap.alloc, FIBERS_MAX);
}

/* The free fiber whose stack is large enough, taken off the list; or NULL. */
static struct fiber *reuse(struct tarn_env *env, size_t stack_bytes) {
    for (struct fiber **at = &env->free_fibers; *at; at = &(*at)->next) {
        struct fiber *fiber = *at;
        if (fiber->stack.len >= stack_bytes) {
            *at = fiber->next;
            return fiber;
        }
    }
    return NULL;
}

#define STACK_BYTES_MIN ((size_t)16 * 1024)
#define STACK_ALIGN ((size_t)4096)

static struct fiber *fiber_new(struct tarn_env *env, size_t stack_bytes) {
    struct tarn_bytes stack = tarn_platform_stack(stack_bytes);
    if (stack.len == 0) {
        /* A target without stacks of its own to give: the heap's, with nothing but the mark below.
         */
        uint8_t *mem = tarn_alloc_get(&env->heap.alloc, stack_bytes, STACK_ALIGN);
        if (!mem)
            return NULL;
        stack = tarn_bytes_of(mem, stack_bytes);
    }
    uintptr_t top = (uintptr_t)stack.ptr + stack.len;
    struct fiber *fiber = (struct fiber *)((top - sizeof *fiber) & ~(uintptr_t)63);
    fiber->stack = tarn_bytes_of(stack.ptr, (size_t)((uintptr_t)fiber - (uintptr_t)stack.ptr));
    return fiber;
}

enum tarn_err tarn_fiber_start(struct tarn_env *env, void (*run)(struct tarn_env *, void *),
                               void *arg, size_t stack_bytes) {
    stack_bytes = (TARN_MAX(stack_bytes, STACK_BYTES_MIN) + STACK_ALIGN - 1) & ~(STACK_ALIGN - 1);
    if (env->fiber_count == FIBERS_MAX)
        return TARN_LIMIT;
    /* What the fiber's own record takes of a fresh stack is not asked for again. */
    struct fiber *fiber = reuse(env, stack_bytes - 2 * sizeof *fiber);
    if (!fiber)
        fiber = fiber_new(env, stack_bytes);
    if (!fiber)
        return TARN_LIMIT;
    env->fiber_count++;
    *fiber = (struct fiber){
        .env = env, .waiter = {&waiter_ops}, .run = run, .arg = arg, .stack = fiber->stack};
    *stack_mark(fiber) = STACK_MARK;
    tarn_context_init(&fiber->context, fiber->stack, fiber_entry, fiber);
    make_ready(fiber);
    return TARN_OK;
}

static void run_one(struct tarn_env *env, struct fiber *fiber) {
    fiber->state = FIBER_RUNNING;
    env->running = fiber;
    tarn_context_switch(&env->loop, &fiber->context);
    env->running = NULL;
    TARN_ASSERT(*stack_mark(fiber) == STACK_MARK);
    if (fiber->state == FIBER_DONE) {
        env->fiber_count--;
        fiber->next = env->free_fibers;
        env->free_fibers = fiber;
    }
}

size_t tarn_runtime_fibers_run(struct tarn_env *env) {
    /* Those that become ready meanwhile wait for the next round: the devices come first. */
    struct fiber *last = env->ready_last;
    size_t ran = 0;
    for (struct fiber *fiber; !env->main_done && (fiber = ready_pop(env)) != NULL; ran++) {
        bool end = fiber == last;
        run_one(env, fiber);
        if (end)
            return ran + 1;
    }
    return ran;
}

void tarn_runtime_fibers_tick(struct tarn_env *env, tarn_time now) {
    struct tarn_timer *timer;
    while ((timer = tarn_timers_pop(&env->timers, now)) != NULL)
        make_ready(TARN_CONTAINER_OF(timer, struct fiber, timer));
}

void tarn_sleep_until(struct tarn_env *env, tarn_time deadline) {
    TARN_ASSERT(env->running);
    park(env->running, FIBER_SLEEPING, deadline);
}

void tarn_sleep(struct tarn_env *env, tarn_time duration) {
    tarn_sleep_until(env, tarn_time_after(tarn_now(env), duration));
}

struct tarn_waiter *tarn_env_waiter(struct tarn_env *env) {
    TARN_ASSERT(env->running);
    return &env->running->waiter;
}

void tarn_run_forever(struct tarn_env *env) {
    for (;;)
        tarn_sleep_until(env, TARN_NEVER);
}
