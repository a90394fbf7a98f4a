/* SPDX-License-Identifier: ISC */
/* sys.h: the system calls that are left, on x86-64 Linux. Each answers as the kernel does: a count,
 * or a negated errno. */
#ifndef TARN_SPT_SYS_H
#define TARN_SPT_SYS_H

#include <tarn/compiler.h>

enum {
    SYS_READ = 0,
    SYS_WRITE = 1,
    SYS_MPROTECT = 10,
    SYS_PREAD64 = 17,
    SYS_PWRITE64 = 18,
    SYS_READV = 19,
    SYS_WRITEV = 20,
    SYS_FDATASYNC = 75,
    SYS_ARCH_PRCTL = 158,
    SYS_CLOCK_GETTIME = 228,
    SYS_EXIT_GROUP = 231,
    SYS_EPOLL_PWAIT = 281,
    SYS_TIMERFD_SETTIME = 286,
    SYS_GETRANDOM = 318,
};

enum { SYS_EINTR = -4, SYS_EAGAIN = -11 };
enum { SYS_CLOCK_REALTIME = 0, SYS_CLOCK_MONOTONIC = 1 };
enum { SYS_ARCH_SET_FS = 0x1002 };
enum { SYS_PROT_NONE = 0, SYS_PROT_READ = 1 };
enum { SYS_TFD_TIMER_ABSTIME = 1 };

struct sys_timespec {
    int64_t sec, nsec;
};
struct sys_itimerspec {
    struct sys_timespec interval, value;
};
struct sys_epoll_event {
    uint32_t events;
    uint64_t data;
} __attribute__((packed));
struct sys_iovec {
    const void *ptr;
    size_t len;
};

static inline long sys_call3(long nr, long a, long b, long c) {
    long ret;
    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "a"(nr), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return ret;
}
static inline long sys_call6(long nr, long a, long b, long c, long d, long e, long f) {
    long ret;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return ret;
}

static inline long sys_read(int fd, void *buf, size_t n) {
    return sys_call3(SYS_READ, fd, (long)buf, (long)n);
}
static inline long sys_write(int fd, const void *buf, size_t n) {
    return sys_call3(SYS_WRITE, fd, (long)buf, (long)n);
}
static inline long sys_readv(int fd, const struct sys_iovec *v, size_t n) {
    return sys_call3(SYS_READV, fd, (long)v, (long)n);
}
static inline long sys_writev(int fd, const struct sys_iovec *v, size_t n) {
    return sys_call3(SYS_WRITEV, fd, (long)v, (long)n);
}
static inline long sys_pread(int fd, void *buf, size_t n, uint64_t off) {
    return sys_call6(SYS_PREAD64, fd, (long)buf, (long)n, (long)off, 0, 0);
}
static inline long sys_pwrite(int fd, const void *buf, size_t n, uint64_t off) {
    return sys_call6(SYS_PWRITE64, fd, (long)buf, (long)n, (long)off, 0, 0);
}
static inline long sys_mprotect(const void *addr, size_t len, int rights) {
    return sys_call3(SYS_MPROTECT, (long)addr, (long)len, rights);
}
static inline long sys_fdatasync(int fd) {
    return sys_call3(SYS_FDATASYNC, fd, 0, 0);
}
static inline long sys_clock_gettime(int clock, struct sys_timespec *out) {
    return sys_call3(SYS_CLOCK_GETTIME, clock, (long)out, 0);
}
static inline long sys_timerfd_settime(int fd, int flags, const struct sys_itimerspec *value) {
    return sys_call6(SYS_TIMERFD_SETTIME, fd, flags, (long)value, 0, 0, 0);
}
static inline long sys_epoll_pwait(int fd, struct sys_epoll_event *events, int n, int timeout_ms) {
    return sys_call6(SYS_EPOLL_PWAIT, fd, (long)events, n, timeout_ms, 0, 0);
}
static inline long sys_getrandom(void *buf, size_t n) {
    return sys_call3(SYS_GETRANDOM, (long)buf, (long)n, 0);
}
static inline long sys_arch_prctl(int code, const void *addr) {
    return sys_call3(SYS_ARCH_PRCTL, code, (long)addr, 0);
}
static inline _Noreturn void sys_exit_group(int status) {
    for (;;)
        sys_call3(SYS_EXIT_GROUP, status, 0, 0);
}

#endif
