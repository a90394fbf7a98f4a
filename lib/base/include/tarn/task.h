/* SPDX-License-Identifier: ISC */
/* tarn/task.h: calls put off until the loop makes them.
 *
 * Events are delivered from here and never from inside a call that the receiver made, so no library
 * is ever re-entered. A task is embedded in its owner; posting one that already waits changes
 * nothing; an owner that goes cancels its own first.
 */
#ifndef TARN_TASK_H
#define TARN_TASK_H

#include <tarn/compiler.h>

struct tarn_task {
    void (*run)(struct tarn_task *task);
    struct tarn_task *next, *prev; /* NULL while not posted */
};

struct tarn_tasks {
    struct tarn_task head, running; /* rings; their run is not used */
    bool busy;                      /* inside tarn_tasks_run */
};

void tarn_tasks_init(struct tarn_tasks *q);
void tarn_task_post(struct tarn_tasks *q, struct tarn_task *task);
void tarn_task_cancel(struct tarn_task *task);
static inline bool tarn_task_is_posted(const struct tarn_task *task) {
    return task->next != NULL;
}
static inline bool tarn_tasks_pending(const struct tarn_tasks *q) {
    return q->head.next != &q->head;
}
/* Runs what is posted now, in order; what those post waits for the next call. How many ran. Not to
 * be called from a task. */
size_t tarn_tasks_run(struct tarn_tasks *q);

#endif
