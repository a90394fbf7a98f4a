/* SPDX-License-Identifier: ISC */
/* tarn/timer.h: a deadline queue. O(log n) to set and clear, O(1) to ask for the next.
 *
 * The timer is embedded in its owner, found again with TARN_CONTAINER_OF. Owners clear their timers
 * before they go.
 */
#ifndef TARN_TIMER_H
#define TARN_TIMER_H

#include <tarn/alloc.h>
#include <tarn/err.h>
#include <tarn/time.h>

struct tarn_timer {
    tarn_time at;
    uint32_t pos; /* index in the heap + 1; 0: not set */
};

struct tarn_timers {
    struct tarn_timer **heap;
    uint32_t count, cap;
};

TARN_MUST_USE enum tarn_err tarn_timers_init(struct tarn_timers *q, struct tarn_alloc *alloc,
                                             uint32_t cap);
/* Gives the memory back; no timer may be set or cleared after. */
void tarn_timers_fini(struct tarn_timers *q, struct tarn_alloc *alloc);
/* Sets or moves. TARN_NEVER clears. A queue made for as many timers as there are never refuses;
 * beyond that it traps, since a lost deadline is a programmer's error. */
void tarn_timer_set(struct tarn_timers *q, struct tarn_timer *t, tarn_time at);
void tarn_timer_clear(struct tarn_timers *q, struct tarn_timer *t);
static inline bool tarn_timer_is_set(const struct tarn_timer *t) {
    return t->pos != 0;
}
/* The earliest deadline, or TARN_NEVER. */
tarn_time tarn_timers_next(const struct tarn_timers *q);
/* Removes and returns the earliest timer that is due, or NULL. */
struct tarn_timer *tarn_timers_pop(struct tarn_timers *q, tarn_time now);

#endif
