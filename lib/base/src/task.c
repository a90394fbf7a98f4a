/* SPDX-License-Identifier: ISC */
#include <tarn/task.h>

static void ring_init(struct tarn_task *ring) {
    *ring = (struct tarn_task){.run = NULL, .next = ring, .prev = ring};
}

static bool ring_is_empty(const struct tarn_task *ring) {
    return ring->next == ring;
}

void tarn_tasks_init(struct tarn_tasks *q) {
    ring_init(&q->head);
    ring_init(&q->running);
    q->busy = false;
}

void tarn_task_post(struct tarn_tasks *q, struct tarn_task *task) {
    if (task->next)
        return;
    task->prev = q->head.prev;
    task->next = &q->head;
    q->head.prev->next = task;
    q->head.prev = task;
}

void tarn_task_cancel(struct tarn_task *task) {
    if (!task->next)
        return;
    task->prev->next = task->next;
    task->next->prev = task->prev;
    task->next = task->prev = NULL;
}

size_t tarn_tasks_run(struct tarn_tasks *q) {
    size_t ran = 0;
    TARN_ASSERT(!q->busy);
    if (!tarn_tasks_pending(q))
        return 0;
    q->busy = true;
    /* What is posted now moves to a ring of its own; both rings can be cancelled from. */
    q->running = q->head;
    q->running.next->prev = &q->running;
    q->running.prev->next = &q->running;
    ring_init(&q->head);
    while (!ring_is_empty(&q->running)) {
        struct tarn_task *task = q->running.next;
        tarn_task_cancel(task);
        task->run(task);
        ran++;
    }
    q->busy = false;
    return ran;
}
