/* SPDX-License-Identifier: ISC */
/* tarn/blk_worker.h: block devices whose inside is straight-line code.
 *
 * An image format or a cache asks the device below several things in turn before it can answer. So
 * such a layer is written as plain functions that wait (tarn/wait.h), and a worker stands in front
 * of them: it queues what is submitted, hands one request after the other to the layer's `serve`,
 * and calls `done` from the loop's tasks. Somebody must lend it a stack:
 *  - in a program of Tarn, a fiber that calls tarn_blk_worker_run;
 *  - in an ordinary program or a test, a tarn_blk_pump, in whose waits workers take turns.
 *
 * Requests are served one at a time in the order they came; what one request asks of the device
 * below is in flight together. The queue has a bound.
 */
#ifndef TARN_BLK_WORKER_H
#define TARN_BLK_WORKER_H

#include <tarn/blk_wait.h>
#include <tarn/task.h>

#define TARN_BLK_WORKER_QUEUE_MAX 64u

/* Requests that are over and whose `done` has yet to be called, from the loop. */
struct tarn_blk_finished {
    struct tarn_tasks *tasks;
    struct tarn_task task;
    struct tarn_blk_req *first, **end;
};
void tarn_blk_finished_init(struct tarn_blk_finished *f, struct tarn_tasks *tasks);
void tarn_blk_finish(struct tarn_blk_finished *f, struct tarn_blk_req *req, enum tarn_err result);

/* Embedded in a layer, which fills in `blk` but for its ops. */
struct tarn_blk_worker {
    struct tarn_blk blk; /* what its users see */
    struct tarn_blk_finished finished;
    /* Answers one request, which tarn_blk_req_check has let through. */
    enum tarn_err (*serve)(struct tarn_blk_worker *w, struct tarn_blk_req *req,
                           struct tarn_waiter *waiter);
    struct tarn_blk_req *first, **end;
    uint32_t queued;
    bool busy, stop;
    struct tarn_waiter *sleeper;  /* the waiter of the fiber in tarn_blk_worker_run */
    struct tarn_blk_worker *next; /* the pump's */
};
void tarn_blk_worker_init(struct tarn_blk_worker *w, struct tarn_tasks *tasks,
                          enum tarn_err (*serve)(struct tarn_blk_worker *w,
                                                 struct tarn_blk_req *req,
                                                 struct tarn_waiter *waiter));

/* The body of a fiber: serves until tarn_blk_worker_stop, then what is still queued, and returns.
 * An error is the waiter's own: the world has ended. */
TARN_MUST_USE enum tarn_err tarn_blk_worker_run(struct tarn_blk_worker *w,
                                                struct tarn_waiter *waiter);
void tarn_blk_worker_stop(struct tarn_blk_worker *w);
/* Serves one request, if there is one and the worker is not in the middle of another. */
bool tarn_blk_worker_turn(struct tarn_blk_worker *w, struct tarn_waiter *waiter);

/* A waiter for programs without a loop, one for all of a program's straight-line code. While a call
 * waits, tasks run, workers take turns (nested on the same stack), and `idle` lets the devices
 * below go on, or blocks until they do; false: nothing is under way, so nothing will ever come.
 * A wait may return before its wake: good for whatever looks again, as all of lib/blk does. */
struct tarn_blk_pump {
    struct tarn_waiter waiter;
    struct tarn_tasks *tasks;
    struct tarn_blk_worker *workers;
    bool (*idle)(struct tarn_blk_pump *pump, tarn_time deadline);
    tarn_time (*now)(struct tarn_blk_pump *pump); /* NULL: time stands still */
    bool woken;
};
void tarn_blk_pump_init(struct tarn_blk_pump *pump, struct tarn_tasks *tasks,
                        bool (*idle)(struct tarn_blk_pump *pump, tarn_time deadline));
void tarn_blk_pump_add(struct tarn_blk_pump *pump, struct tarn_blk_worker *worker);
void tarn_blk_pump_remove(struct tarn_blk_pump *pump, struct tarn_blk_worker *worker);

#endif
