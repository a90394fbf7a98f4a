/* SPDX-License-Identifier: ISC */
/* Waiting: one epoll set, with nanoseconds where the kernel has them (Linux 5.11). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "unix.h"

#define EVENTS_MAX 256

static int epoll_fd = -1;
static uint32_t devices;
static struct unix_before_wait *before_wait;

static int epoll_set(void) {
    if (epoll_fd < 0) {
        epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (epoll_fd < 0) {
            unix_say("epoll: %s", strerror(errno));
            exit(71);
        }
    }
    return epoll_fd;
}

static void control(struct unix_watch *watch, int op, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = watch};
    TARN_ASSERT(epoll_ctl(epoll_set(), op, watch->fd, &event) == 0);
}

void unix_watch_add(struct unix_watch *watch, uint32_t events) {
    control(watch, EPOLL_CTL_ADD, events);
}

void unix_watch_change(struct unix_watch *watch, uint32_t events) {
    control(watch, EPOLL_CTL_MOD, events);
}

void unix_watch_remove(struct unix_watch *watch) {
    control(watch, EPOLL_CTL_DEL, 0);
}

uint32_t unix_device_new(void) {
    TARN_ASSERT(devices < UNIX_DEVICE_NONE);
    return devices++;
}

void unix_before_wait_add(struct unix_before_wait *hook) {
    hook->next = before_wait;
    before_wait = hook;
}

static int wait_for(struct epoll_event *events, tarn_time duration) {
    static bool coarse;
    int n;
    if (duration == 0)
        return epoll_wait(epoll_set(), events, EVENTS_MAX, 0);
    if (!coarse) {
        struct timespec timeout = {.tv_sec = (time_t)TARN_MIN(duration / TARN_SEC(1), 1u << 30),
                                   .tv_nsec = (long)(duration % TARN_SEC(1))};
        n = epoll_pwait2(epoll_set(), events, EVENTS_MAX, duration == TARN_NEVER ? NULL : &timeout,
                         NULL);
        if (n >= 0 || errno != ENOSYS)
            return n;
        coarse = true;
    }
    /* Rounded up: waking before the deadline would make the loop spin. */
    tarn_time ms = duration == TARN_NEVER ? 0 : (duration + TARN_MS(1) - 1) / TARN_MS(1);
    int timeout = duration == TARN_NEVER ? -1 : (int)TARN_MIN(ms, (tarn_time)1 << 30);
    return epoll_wait(epoll_set(), events, EVENTS_MAX, timeout);
}

void tarn_platform_yield(tarn_time deadline, struct tarn_ready *out) {
    struct epoll_event events[EVENTS_MAX];
    out->devices = 0;
    for (struct unix_before_wait *hook = before_wait; hook; hook = hook->next) {
        tarn_time at = hook->run(hook, &out->devices);
        deadline = TARN_MIN(deadline, at);
    }
    tarn_time now = deadline == 0 || deadline == TARN_NEVER ? 0 : tarn_platform_now();
    tarn_time left = deadline == TARN_NEVER ? TARN_NEVER : deadline > now ? deadline - now : 0;
    int n = wait_for(events, left);
    for (int i = 0; i < n; i++) {
        struct unix_watch *watch = events[i].data.ptr;
        out->devices |= watch->ready(watch, events[i].events);
    }
}
