/* SPDX-License-Identifier: ISC */
/* A 4-ary heap: as few cache lines per level as a binary heap needs for two. */
#include <tarn/timer.h>

#define ARITY 4u

enum tarn_err tarn_timers_init(struct tarn_timers *q, struct tarn_alloc *alloc, uint32_t cap) {
    *q = (struct tarn_timers){.cap = cap};
    q->heap = TARN_NEW_ARRAY(alloc, cap, struct tarn_timer *);
    return cap && !q->heap ? TARN_LIMIT : TARN_OK;
}

void tarn_timers_fini(struct tarn_timers *q, struct tarn_alloc *alloc) {
    tarn_alloc_put(alloc, q->heap, q->cap * sizeof *q->heap);
    *q = (struct tarn_timers){0};
}

static void place(struct tarn_timers *q, uint32_t i, struct tarn_timer *t) {
    q->heap[i] = t;
    t->pos = i + 1;
}

static void sift_up(struct tarn_timers *q, uint32_t i, struct tarn_timer *t) {
    while (i > 0) {
        uint32_t parent = (i - 1) / ARITY;
        if (q->heap[parent]->at <= t->at)
            break;
        place(q, i, q->heap[parent]);
        i = parent;
    }
    place(q, i, t);
}

static void sift_down(struct tarn_timers *q, uint32_t i, struct tarn_timer *t) {
    for (;;) {
        uint64_t first = (uint64_t)i * ARITY + 1;
        if (first >= q->count)
            break;
        uint32_t best = (uint32_t)first;
        uint32_t end = (uint32_t)TARN_MIN(first + ARITY, (uint64_t)q->count);
        for (uint32_t c = best + 1; c < end; c++)
            if (q->heap[c]->at < q->heap[best]->at)
                best = c;
        if (t->at <= q->heap[best]->at)
            break;
        place(q, i, q->heap[best]);
        i = best;
    }
    place(q, i, t);
}

void tarn_timer_set(struct tarn_timers *q, struct tarn_timer *t, tarn_time at) {
    if (at == TARN_NEVER) {
        tarn_timer_clear(q, t);
        return;
    }
    if (t->pos == 0) {
        TARN_ASSERT(q->count < q->cap);
        t->at = at;
        sift_up(q, q->count++, t);
        return;
    }
    uint32_t i = t->pos - 1;
    TARN_ASSERT(i < q->count && q->heap[i] == t);
    tarn_time before = t->at;
    t->at = at;
    if (at < before)
        sift_up(q, i, t);
    else if (at > before)
        sift_down(q, i, t);
}

void tarn_timer_clear(struct tarn_timers *q, struct tarn_timer *t) {
    if (t->pos == 0)
        return;
    uint32_t i = t->pos - 1;
    TARN_ASSERT(i < q->count && q->heap[i] == t);
    t->pos = 0;
    struct tarn_timer *last = q->heap[--q->count];
    if (last == t)
        return;
    if (last->at < t->at)
        sift_up(q, i, last);
    else
        sift_down(q, i, last);
}

tarn_time tarn_timers_next(const struct tarn_timers *q) {
    return q->count ? q->heap[0]->at : TARN_NEVER;
}

struct tarn_timer *tarn_timers_pop(struct tarn_timers *q, tarn_time now) {
    if (q->count == 0 || q->heap[0]->at > now)
        return NULL;
    struct tarn_timer *t = q->heap[0];
    tarn_timer_clear(q, t);
    return t;
}
