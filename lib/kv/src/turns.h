/* SPDX-License-Identifier: ISC */
/* turns.h: one call at a time is inside a store whose device waits; others queue up. */
#ifndef TARN_KV_TURNS_H
#define TARN_KV_TURNS_H

#include <tarn/err.h>
#include <tarn/wait.h>

struct turn;
struct turns {
    bool busy; /* somebody is inside */
    struct turn *first;
};
/* TARN_IO: the wait was broken off. */
TARN_MUST_USE enum tarn_err turns_enter(struct turns *t, struct tarn_waiter *waiter);
void turns_leave(struct turns *t);

#endif
