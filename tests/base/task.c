/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <signal.h>
#include <tarn/task.h>

enum { TASKS = 5, TRACE_MAX = 64 };

static struct tarn_tasks queue;
static struct job {
    struct tarn_task task;
    struct job *posts, *cancels;
    bool runs_queue;
} jobs[TASKS];
static struct job *trace[TRACE_MAX];
static size_t traced;

static void run(struct tarn_task *task) {
    struct job *job = TARN_CONTAINER_OF(task, struct job, task);
    cr_assert_not(tarn_task_is_posted(task));
    TARN_AT(trace, traced++) = job;
    if (job->posts)
        tarn_task_post(&queue, &job->posts->task);
    if (job->cancels)
        tarn_task_cancel(&job->cancels->task);
    if (job->runs_queue)
        (void)tarn_tasks_run(&queue);
}

static void setup(void) {
    tarn_tasks_init(&queue);
    for (size_t i = 0; i < TASKS; i++)
        jobs[i] = (struct job){.task = {.run = run}};
}

static void post_all(void) {
    for (size_t i = 0; i < TASKS; i++)
        tarn_task_post(&queue, &jobs[i].task);
}

TestSuite(task, .init = setup);

Test(task, runs_in_order_once_each) {
    cr_assert_not(tarn_tasks_pending(&queue));
    post_all();
    post_all(); /* waiting already: nothing changes */
    cr_assert(tarn_tasks_pending(&queue));
    cr_assert_eq(tarn_tasks_run(&queue), TASKS);
    cr_assert_eq(traced, TASKS);
    for (size_t i = 0; i < TASKS; i++)
        cr_assert_eq(trace[i], &jobs[i]);
    cr_assert_not(tarn_tasks_pending(&queue));
    cr_assert_eq(tarn_tasks_run(&queue), 0);
}

Test(task, what_a_task_posts_waits_for_the_next_run) {
    jobs[0].posts = &jobs[0];
    tarn_task_post(&queue, &jobs[0].task);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(tarn_tasks_run(&queue), 1);
    cr_assert_eq(traced, 3);
}

Test(task, cancelled_before_the_run) {
    post_all();
    tarn_task_cancel(&jobs[0].task);
    tarn_task_cancel(&jobs[2].task);
    tarn_task_cancel(&jobs[2].task); /* nothing to cancel is fine */
    tarn_task_cancel(&jobs[4].task);
    cr_assert_eq(tarn_tasks_run(&queue), 2);
    cr_assert(trace[0] == &jobs[1] && trace[1] == &jobs[3]);
}

Test(task, a_later_one_cancelled_by_an_earlier_one_in_the_same_run) {
    post_all();
    jobs[1].cancels = &jobs[2];
    jobs[3].cancels = &jobs[4]; /* the last */
    cr_assert_eq(tarn_tasks_run(&queue), 3);
    cr_assert(trace[0] == &jobs[0] && trace[1] == &jobs[1] && trace[2] == &jobs[3]);
    cr_assert_not(tarn_tasks_pending(&queue));
}

Test(task, an_earlier_one_that_posted_again_cancelled_in_the_same_run) {
    jobs[0].posts = &jobs[0];
    jobs[1].cancels = &jobs[0];
    post_all();
    cr_assert_eq(tarn_tasks_run(&queue), TASKS);
    cr_assert_not(tarn_tasks_pending(&queue));
}

Test(task, one_that_waits_in_this_run_is_not_posted_twice) {
    jobs[0].posts = &jobs[1];
    post_all();
    cr_assert_eq(tarn_tasks_run(&queue), TASKS);
    cr_assert_eq(tarn_tasks_run(&queue), 0);
}

Test(task, running_the_queue_from_a_task_traps, .signal = SIGILL) {
    jobs[0].runs_queue = true;
    tarn_task_post(&queue, &jobs[0].task);
    (void)tarn_tasks_run(&queue);
}
