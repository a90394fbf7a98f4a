/* SPDX-License-Identifier: ISC */
/* tarn/wait.h: how straight-line code waits without knowing who makes time pass.
 *
 * In a unikernel the wait parks the fiber and the loop goes on; in an ordinary program it blocks;
 * in the simulator it advances virtual time. One waiter per fiber or thread.
 */
#ifndef TARN_WAIT_H
#define TARN_WAIT_H

#include <tarn/err.h>
#include <tarn/time.h>

struct tarn_waiter;
struct tarn_waiter_ops {
    /* Returns after wake (TARN_OK; also when wake came before) or at the deadline (TARN_AGAIN). */
    enum tarn_err (*wait)(struct tarn_waiter *w, tarn_time deadline);
    /* Lets the one wait in progress, or else the next one, return. From the loop's thread. */
    void (*wake)(struct tarn_waiter *w);
    tarn_time (*now)(struct tarn_waiter *w);
};
struct tarn_waiter {
    const struct tarn_waiter_ops *ops;
};

#endif
