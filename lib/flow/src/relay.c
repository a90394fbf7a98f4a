/* SPDX-License-Identifier: ISC */
#include <tarn/flow_relay.h>

/* Whatever flow `i` has, as far as the other takes it. TARN_AGAIN: an event will say when to go on;
 * TARN_EOF: that was all. */
static enum tarn_err move(struct tarn_flow_relay *r, unsigned i) {
    struct tarn_flow *from = TARN_AT(r->flow, i), *to = TARN_AT(r->flow, 1 - i);
    for (;;) {
        struct tarn_bytes data;
        size_t n;
        enum tarn_err err = tarn_flow_peek(from, &data);
        if (!err)
            err = tarn_flow_write(to, tarn_bytes_span(data), &n);
        if (err)
            return err;
        tarn_flow_consume(from, n);
        TARN_AT(r->bytes, i) += n;
    }
}

static void finish(struct tarn_flow_relay *r, enum tarn_err err) {
    for (unsigned i = 0; i < 2; i++) {
        if (err)
            tarn_flow_abort(TARN_AT(r->flow, i));
        else
            tarn_flow_close(TARN_AT(r->flow, i));
    }
    tarn_task_cancel(&r->task);
    if (r->done)
        r->done(r, err);
}

static void run(struct tarn_flow_relay *r) {
    for (unsigned i = 0; i < 2; i++) {
        if (TARN_AT(r->ended, i))
            continue;
        enum tarn_err err = move(r, i);
        if (err == TARN_EOF) {
            TARN_AT(r->ended, i) = true;
            tarn_flow_shutdown(TARN_AT(r->flow, 1 - i));
        } else if (err != TARN_AGAIN) {
            finish(r, err);
            return;
        }
    }
    if (TARN_AT(r->ended, 0) && TARN_AT(r->ended, 1))
        finish(r, TARN_OK);
}

/* After both directions have ended in one of them, a reset is all that can still come. */
static void event(struct tarn_flow *flow, unsigned events) {
    struct tarn_flow_relay *r = flow->user;
    if (events & TARN_FLOW_FAILED && TARN_AT(r->ended, flow == TARN_AT(r->flow, 0) ? 0 : 1)) {
        struct tarn_bytes unused;
        enum tarn_err err = tarn_flow_peek(flow, &unused);
        finish(r, err == TARN_PEER ? err : TARN_IO);
        return;
    }
    run(r);
}

static void begin(struct tarn_task *task) {
    run(TARN_CONTAINER_OF(task, struct tarn_flow_relay, task));
}

void tarn_flow_relay_start(struct tarn_flow_relay *r, struct tarn_tasks *tasks, struct tarn_flow *a,
                           struct tarn_flow *b) {
    TARN_AT(r->flow, 0) = a;
    TARN_AT(r->flow, 1) = b;
    for (unsigned i = 0; i < 2; i++) {
        TARN_AT(r->bytes, i) = 0;
        TARN_AT(r->ended, i) = false;
        TARN_AT(r->flow, i)->on_event = event;
        TARN_AT(r->flow, i)->user = r;
    }
    r->task = (struct tarn_task){.run = begin};
    tarn_task_post(tasks, &r->task);
}

void tarn_flow_relay_abort(struct tarn_flow_relay *r) {
    tarn_task_cancel(&r->task);
    tarn_flow_abort(TARN_AT(r->flow, 0));
    tarn_flow_abort(TARN_AT(r->flow, 1));
}
