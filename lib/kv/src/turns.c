/* SPDX-License-Identifier: ISC */
#include "turns.h"

struct turn {
    struct turn *next;
    struct tarn_waiter *waiter;
    bool granted;
};

enum tarn_err turns_enter(struct turns *t, struct tarn_waiter *waiter) {
    if (!t->busy) {
        t->busy = true;
        return TARN_OK;
    }
    struct turn turn = {.waiter = waiter}, **link = &t->first;
    while (*link)
        link = &(*link)->next;
    *link = &turn;
    while (!turn.granted) {
        if (waiter->ops->wait(waiter, TARN_NEVER) == TARN_OK)
            continue;
        if (turn.granted)
            turns_leave(t);
        for (link = &t->first; *link && *link != &turn;)
            link = &(*link)->next;
        if (*link)
            *link = turn.next;
        return TARN_IO;
    }
    return TARN_OK;
}

void turns_leave(struct turns *t) {
    struct turn *turn = t->first;
    t->busy = turn != NULL;
    if (!turn)
        return;
    t->first = turn->next;
    turn->granted = true;
    turn->waiter->ops->wake(turn->waiter);
}
