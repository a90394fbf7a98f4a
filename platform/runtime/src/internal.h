/* SPDX-License-Identifier: ISC */
/* internal.h: one program's environment, and what the runtime's files share. No state is outside
 * struct tarn_env, so the simulator runs any number of programs side by side. */
#ifndef TARN_RUNTIME_INTERNAL_H
#define TARN_RUNTIME_INTERNAL_H

#include "platform.h"
#include "runtime.h"

#include "context.h"

#define FIBERS_MAX 1024u /* live at the same time, main among them */

struct key_value {
    struct tarn_span text; /* in the environment's memory */
    bool given;
};

/* A fiber lives at the top of its own stack; the stack outlives it on a list for the next one. */
struct fiber {
    struct tarn_context context;
    struct tarn_env *env;
    struct fiber *next; /* in the ready list or the free list */
    struct tarn_waiter waiter;
    struct tarn_timer timer;
    void (*run)(struct tarn_env *env, void *arg);
    void *arg;
    struct tarn_bytes stack;
    enum { FIBER_READY, FIBER_RUNNING, FIBER_WAITING, FIBER_SLEEPING, FIBER_DONE } state;
    bool woken; /* a wake that no wait has seen yet */
};

/* The generator behind tarn_env_random: see random.c. */
struct drbg {
    struct tarn_random random;
    uint32_t key[8];
    uint8_t pool[480];
    size_t used; /* bytes of `pool` already given out, and wiped */
    bool seeded;
};

/* heap.c */
struct heap {
    struct tarn_alloc alloc;
    struct tarn_bytes mem;
    size_t used;
    size_t guard_end; /* behind the last page that nothing may touch; 0: none yet */
};
void tarn_runtime_heap_init(struct heap *heap, struct tarn_bytes zeroed);

struct tarn_env {
    const struct tarn_program *program;
    struct heap heap;
    struct key_value *keys; /* one for each of the program's */

    struct tarn_tasks tasks;
    struct tarn_poller *pollers;

    struct tarn_context loop;
    struct fiber *running;
    struct fiber *ready_first, *ready_last;
    struct fiber *free_fibers;
    struct tarn_timers timers;
    uint32_t fiber_count;
    bool main_done;
    int status;

    struct tarn_clock clock;
    struct tarn_log log;
    struct drbg drbg;
    struct tarn_pkt_pool *pkts;
};

/* console.c: one line of pieces. */
void tarn_runtime_say(struct tarn_writer *line);

/* keys.c: reads `cmdline` into env->keys. TARN_EOF: --help was asked for; TARN_INVALID: the console
 * has said what is wrong. TARN_LIMIT: no memory. */
TARN_MUST_USE enum tarn_err tarn_runtime_keys(struct tarn_env *env, struct tarn_span cmdline);
/* Whether `text` is a value that the key takes. */
bool tarn_runtime_key_accepts(const struct tarn_key *key, struct tarn_span text);
/* "--ipv4-gateway". */
void tarn_runtime_key_name(struct tarn_writer *w, const struct tarn_key *key);
/* help.c */
void tarn_runtime_help(struct tarn_env *env);
/* "NUMBER", "ADDRESS/BITS"; what stands behind '=' in a description. */
const char *tarn_runtime_key_shape(const struct tarn_key *key);

/* fiber.c */
TARN_MUST_USE enum tarn_err tarn_runtime_fibers_init(struct tarn_env *env);
/* Runs each fiber that is ready now, once. How many ran. */
size_t tarn_runtime_fibers_run(struct tarn_env *env);
/* Makes those ready whose deadline has come. */
void tarn_runtime_fibers_tick(struct tarn_env *env, tarn_time now);

/* loop.c: until main is done. */
void tarn_runtime_loop(struct tarn_env *env);

/* random.c: TARN_UNSUPPORTED: the platform has no entropy. */
TARN_MUST_USE enum tarn_err tarn_runtime_random(struct tarn_env *env, struct tarn_random **out);

#endif
