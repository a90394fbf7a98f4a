/* SPDX-License-Identifier: ISC */
/* What hypercalls are done with: files, the clock, and one epoll set with a timer in it. */
#include "hvt.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000ull

static long result(ssize_t n) {
    return n < 0 ? -errno : n;
}

/* A console that takes nothing more (a closed pipe, a full one) loses what is left. */
static void console(struct hvt_host *host, struct tarn_span text) {
    (void)host;
    while (text.len) {
        ssize_t n = write(STDOUT_FILENO, text.ptr, text.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        text = tarn_span_after(text, (size_t)n);
    }
}

static uint64_t wall_ns(struct hvt_host *host) {
    struct timespec t = {0};
    (void)host;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* The timer is never set to nothing: that would be no timer, and a wait for ever. */
static int poll_devices(struct hvt_host *host, uint64_t timeout_ns, uint64_t *ready) {
    const struct hvt *h = TARN_CONTAINER_OF(host, struct hvt, host);
    struct epoll_event events[SOLO5_ENTRIES_MAX];
    struct itimerspec timer = {
        .it_value = {(time_t)(timeout_ns / NS_PER_S), (long)(timeout_ns % NS_PER_S)}};
    int n, found = 0;
    timer.it_value.tv_nsec |= 1;
    *ready = 0;
    if (timerfd_settime(h->t.timerfd, 0, &timer, NULL) != 0)
        die("cannot set a timer");
    do {
        n = epoll_pwait(h->t.epollfd, events, TARN_COUNT_OF(events), -1, NULL);
    } while (n < 0 && errno == EINTR && h->gdb_fd < 0); /* a debugger's ^C ends the wait */
    for (int i = 0; i < n; i++) {
        uint64_t index = TARN_AT(events, (size_t)i).data.u64;
        if (index >= SOLO5_ENTRIES_MAX)
            continue;
        *ready |= 1ull << index;
        found++;
    }
    return found;
}

static long do_read(struct hvt_host *host, int fd, struct tarn_bytes out) {
    (void)host;
    return result(read(fd, out.ptr, out.len));
}
static long do_write(struct hvt_host *host, int fd, struct tarn_span in) {
    (void)host;
    return result(write(fd, in.ptr, in.len));
}
static long do_pread(struct hvt_host *host, int fd, struct tarn_bytes out, uint64_t offset) {
    (void)host;
    return result(pread(fd, out.ptr, out.len, (off_t)offset));
}
static long do_pwrite(struct hvt_host *host, int fd, struct tarn_span in, uint64_t offset) {
    (void)host;
    return result(pwrite(fd, in.ptr, in.len, (off_t)offset));
}
static long do_sync(struct hvt_host *host, int fd) {
    (void)host;
    return result(fdatasync(fd));
}

void host_init(struct hvt *h) {
    static const struct hvt_host_ops ops = {
        .console = console,
        .wall_ns = wall_ns,
        .poll = poll_devices,
        .read = do_read,
        .write = do_write,
        .pread = do_pread,
        .pwrite = do_pwrite,
        .sync = do_sync,
    };
    h->host.ops = &ops;
}
