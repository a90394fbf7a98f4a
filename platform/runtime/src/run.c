/* SPDX-License-Identifier: ISC */
#include "internal.h"

/* What is asked for where the platform can give as much as anybody wants; untouched memory is free.
 */
#define HEAP_BYTES ((size_t)256 << 20)
#define MAIN_STACK_BYTES ((size_t)256 << 10)

#define STATUS_USAGE 64 /* sysexits' EX_USAGE */
#define STATUS_MEMORY 71

static void run_main(struct tarn_env *env, void *arg) {
    (void)arg;
    env->status = env->program->main(env);
    env->main_done = true;
}

static struct tarn_env *env_new(const struct tarn_program *program) {
    struct heap heap;
    tarn_runtime_heap_init(&heap, tarn_platform_heap(HEAP_BYTES));
    struct tarn_env *env = TARN_NEW(&heap.alloc, struct tarn_env);
    if (!env)
        return NULL;
    env->program = program;
    env->heap = heap;
    tarn_tasks_init(&env->tasks);
    return env;
}

/* Small machines get a smaller stack. */
static size_t main_stack_bytes(const struct tarn_env *env) {
    return TARN_MIN(MAIN_STACK_BYTES, env->heap.mem.len / 8);
}

static int out_of_memory(void) {
    tarn_platform_console(TARN_SPAN_LIT("not enough memory to start: give more with --mem=MB\n"));
    return STATUS_MEMORY;
}

int tarn_runtime_run(const struct tarn_program *program, struct tarn_span cmdline) {
    struct tarn_env *env = env_new(program);
    if (!env)
        return out_of_memory();
    switch (tarn_runtime_keys(env, cmdline)) {
    case TARN_OK: break;
    case TARN_EOF: return 0;
    case TARN_LIMIT: return out_of_memory();
    default: return STATUS_USAGE;
    }
    if (tarn_runtime_fibers_init(env)
        || tarn_fiber_start(env, run_main, NULL, main_stack_bytes(env)))
        return out_of_memory();
    tarn_runtime_loop(env);
    return env->status;
}
