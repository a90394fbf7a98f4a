/* SPDX-License-Identifier: ISC */
/* context.h: a flow of control with a stack of its own, and going from one to another. Fibers stand
 * on it, and so does the simulator. The sanitizers are told of each switch. */
#ifndef TARN_RUNTIME_CONTEXT_H
#define TARN_RUNTIME_CONTEXT_H

#include <tarn/span.h>

struct tarn_context {
    void *sp;                  /* while it does not run */
    struct tarn_bytes stack;   /* for the sanitizers */
    void *fake_stack;          /* AddressSanitizer's */
    struct tarn_context *from; /* who switched here last */
    void (*entry)(void *arg);
    void *arg;
};

/* A context that calls `entry` on `stack` at the first switch to it. `entry` must not return: it
 * ends with tarn_context_leave. The context that runs now needs no init: zeroes will do. */
void tarn_context_init(struct tarn_context *context, struct tarn_bytes stack,
                       void (*entry)(void *arg), void *arg);
/* Saves the running context in `from` and goes on in `to`. Returns when somebody switches back. */
void tarn_context_switch(struct tarn_context *from, struct tarn_context *to);
/* The same, for the last time. */
_Noreturn void tarn_context_leave(struct tarn_context *from, struct tarn_context *to);

#endif
