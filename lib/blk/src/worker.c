/* SPDX-License-Identifier: ISC */
#include <tarn/blk_worker.h>

/* -- what is over ---------------------------------------------------------------------------------
 */

static void run_dones(struct tarn_task *task) {
    struct tarn_blk_finished *f = TARN_CONTAINER_OF(task, struct tarn_blk_finished, task);
    struct tarn_blk_req *req = f->first;
    f->first = NULL;
    f->end = &f->first;
    while (req) {
        struct tarn_blk_req *next = req->next;
        req->done(req);
        req = next;
    }
}

void tarn_blk_finished_init(struct tarn_blk_finished *f, struct tarn_tasks *tasks) {
    *f = (struct tarn_blk_finished){.tasks = tasks, .task = {.run = run_dones}};
    f->end = &f->first;
}

void tarn_blk_finish(struct tarn_blk_finished *f, struct tarn_blk_req *req, enum tarn_err result) {
    req->result = result;
    req->next = NULL;
    *f->end = req;
    f->end = &req->next;
    tarn_task_post(f->tasks, &f->task);
}

/* -- the worker -----------------------------------------------------------------------------------
 */

static size_t worker_submit(struct tarn_blk *blk, struct tarn_blk_req **reqs, size_t n) {
    struct tarn_blk_worker *w = TARN_CONTAINER_OF(blk, struct tarn_blk_worker, blk);
    size_t taken = 0;
    for (; taken < n && w->queued < TARN_BLK_WORKER_QUEUE_MAX; taken++) {
        struct tarn_blk_req *req = TARN_AT_N(reqs, n, taken);
        req->next = NULL;
        *w->end = req;
        w->end = &req->next;
        w->queued++;
    }
    if (taken && w->sleeper)
        w->sleeper->ops->wake(w->sleeper);
    return taken;
}

static const struct tarn_blk_ops worker_ops = {.submit = worker_submit};

void tarn_blk_worker_init(struct tarn_blk_worker *w, struct tarn_tasks *tasks,
                          enum tarn_err (*serve)(struct tarn_blk_worker *w,
                                                 struct tarn_blk_req *req,
                                                 struct tarn_waiter *waiter)) {
    *w = (struct tarn_blk_worker){.serve = serve, .blk = {.ops = &worker_ops}};
    tarn_blk_finished_init(&w->finished, tasks);
    w->end = &w->first;
}

bool tarn_blk_worker_turn(struct tarn_blk_worker *w, struct tarn_waiter *waiter) {
    struct tarn_blk_req *req = w->first;
    if (!req || w->busy)
        return false;
    w->first = req->next;
    if (!w->first)
        w->end = &w->first;
    w->queued--;
    w->busy = true;
    enum tarn_err err = tarn_blk_req_check(&w->blk, req);
    if (!err)
        err = w->serve(w, req, waiter);
    w->busy = false;
    tarn_blk_finish(&w->finished, req, err);
    return true;
}

enum tarn_err tarn_blk_worker_run(struct tarn_blk_worker *w, struct tarn_waiter *waiter) {
    enum tarn_err err = TARN_OK;
    w->sleeper = waiter;
    for (;;) {
        if (tarn_blk_worker_turn(w, waiter))
            continue;
        if (w->stop)
            break;
        err = waiter->ops->wait(waiter, TARN_NEVER);
        if (err)
            break;
    }
    w->sleeper = NULL;
    return err;
}

void tarn_blk_worker_stop(struct tarn_blk_worker *w) {
    w->stop = true;
    if (w->sleeper)
        w->sleeper->ops->wake(w->sleeper);
}

/* -- the pump -------------------------------------------------------------------------------------
 */

static enum tarn_err pump_wait(struct tarn_waiter *waiter, tarn_time deadline) {
    struct tarn_blk_pump *pump = TARN_CONTAINER_OF(waiter, struct tarn_blk_pump, waiter);
    for (;;) {
        /* Whatever went on may be what an outer wait waits for and an inner one was woken by, so
         * each looks again. */
        bool any = tarn_tasks_run(pump->tasks) > 0;
        for (struct tarn_blk_worker *w = pump->workers; w; w = w->next)
            any |= tarn_blk_worker_turn(w, waiter);
        if (any || pump->woken)
            break;
        if (waiter->ops->now(waiter) >= deadline)
            return TARN_AGAIN;
        if (!pump->idle(pump, deadline))
            return TARN_IO;
    }
    pump->woken = false;
    return TARN_OK;
}

static void pump_wake(struct tarn_waiter *waiter) {
    TARN_CONTAINER_OF(waiter, struct tarn_blk_pump, waiter)->woken = true;
}

static tarn_time pump_now(struct tarn_waiter *waiter) {
    struct tarn_blk_pump *pump = TARN_CONTAINER_OF(waiter, struct tarn_blk_pump, waiter);
    return pump->now ? pump->now(pump) : 0;
}

void tarn_blk_pump_init(struct tarn_blk_pump *pump, struct tarn_tasks *tasks,
                        bool (*idle)(struct tarn_blk_pump *pump, tarn_time deadline)) {
    static const struct tarn_waiter_ops ops = {pump_wait, pump_wake, pump_now};
    *pump = (struct tarn_blk_pump){.waiter = {&ops}, .tasks = tasks, .idle = idle};
}

void tarn_blk_pump_add(struct tarn_blk_pump *pump, struct tarn_blk_worker *worker) {
    worker->next = pump->workers;
    pump->workers = worker;
}

void tarn_blk_pump_remove(struct tarn_blk_pump *pump, struct tarn_blk_worker *worker) {
    for (struct tarn_blk_worker **p = &pump->workers; *p; p = &(*p)->next) {
        if (*p == worker) {
            *p = worker->next;
            return;
        }
    }
}
