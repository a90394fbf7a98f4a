/* SPDX-License-Identifier: ISC */
/* model.h: what a store must hold: random batches of sets and removes over a few keys, and what
 * there is after each of them. Batch n also sets "batch" to n, so a store says which state it is
 * in.
 */
#ifndef TESTS_KV_MODEL_H
#define TESTS_KV_MODEL_H

#include <tarn/env.h>
#include <tarn/kv.h>

enum { MODEL_KEYS = 120, MODEL_STATES = 8192, MODEL_VALUE_MAX = 1400 };

/* Of each key a number that its value is made from; 0: no value. */
struct model_state {
    uint32_t seed[MODEL_KEYS];
};
struct model {
    struct model_state states[MODEL_STATES]; /* that after batch n is n modulo their count */
    size_t batches;                          /* made and answered */
    uint64_t changes;                        /* in all of them */
};
static inline struct model_state *model_state(struct model *m, size_t n) {
    return &m->states[n % MODEL_STATES];
}
/* One batch on top of the newest state, which becomes that of batches + 1. The caller counts it. */
enum tarn_err model_batch(struct model *m, struct tarn_kv *kv, struct tarn_random *random);
/* The state that the store says it is in, which it must be in whole. `damaged`: values may also be
 * refused. An error: it does not say. */
enum tarn_err model_compare(struct model *m, struct tarn_kv *kv, bool damaged, size_t *n);

#endif
