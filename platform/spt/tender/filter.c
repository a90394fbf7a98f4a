/* SPDX-License-Identifier: ISC */
/* The sandbox: a seccomp filter of exactly the calls that the ABI leaves, with their descriptors,
 * and nothing else that the process could have used before. The filter is written out here rather
 * than made by a library, so that what is allowed can be read in one place. */
#include "tender.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* -- an assembler of three statements: a call, one way of calling it, a condition of that way ----
 */

struct filter {
    struct sock_filter code[BPF_MAXINSNS];
    uint16_t len;
    uint16_t call_jump;            /* where the current call's test jumps over all its ways */
    uint16_t fail[16], fail_count; /* conditions of the current way: jump behind it */
};

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ARG_LOW(i) (uint32_t)(offsetof(struct seccomp_data, args) + 8 * (i))
#define ARG_HIGH(i) (ARG_LOW(i) + 4)

static void emit(struct filter *f, uint16_t op, uint32_t k, uint8_t yes, uint8_t no) {
    if (f->len == BPF_MAXINSNS)
        die("too many devices for one filter");
    f->code[f->len++] = (struct sock_filter){op, yes, no, k};
}

static void call_begin(struct filter *f, uint32_t nr) {
    emit(f, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
    emit(f, BPF_JMP | BPF_JEQ | BPF_K, nr, 1, 0);
    f->call_jump = f->len;
    emit(f, BPF_JMP | BPF_JA, 0, 0, 0);
}

/* What matched no way of the call is caught by the guest's own crash report, and ends there. */
static void call_end(struct filter *f) {
    emit(f, BPF_RET | BPF_K, SECCOMP_RET_TRAP, 0, 0);
    f->code[f->call_jump].k = (uint32_t)(f->len - f->call_jump - 1);
}

static void fail_unless(struct filter *f, uint16_t op, uint32_t k) {
    f->fail[f->fail_count++] = f->len;
    emit(f, BPF_JMP | op | BPF_K, k, 0, 0);
}

static void way_end(struct filter *f) {
    emit(f, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
    for (uint16_t i = 0; i < f->fail_count; i++) {
        struct sock_filter *jump = &f->code[f->fail[i]];
        uint8_t distance = (uint8_t)(f->len - f->fail[i] - 1);
        /* A test for "greater" fails where it holds, the others where they do not. */
        if (BPF_OP(jump->code) == BPF_JGT)
            jump->jt = distance;
        else
            jump->jf = distance;
    }
    f->fail_count = 0;
}

static void arg_equals(struct filter *f, unsigned arg, uint64_t value) {
    emit(f, BPF_LD | BPF_W | BPF_ABS, ARG_HIGH(arg), 0, 0);
    fail_unless(f, BPF_JEQ, (uint32_t)(value >> 32));
    emit(f, BPF_LD | BPF_W | BPF_ABS, ARG_LOW(arg), 0, 0);
    fail_unless(f, BPF_JEQ, (uint32_t)value);
}

/* Unsigned, so a negative offset is more than any. */
static void arg_at_most(struct filter *f, unsigned arg, uint64_t max) {
    emit(f, BPF_LD | BPF_W | BPF_ABS, ARG_HIGH(arg), 0, 0);
    fail_unless(f, BPF_JGT, (uint32_t)(max >> 32));
    emit(f, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(max >> 32), 0, 2);
    emit(f, BPF_LD | BPF_W | BPF_ABS, ARG_LOW(arg), 0, 0);
    fail_unless(f, BPF_JGT, (uint32_t)max);
}

/* -- what is allowed -----------------------------------------------------------------------------
 */

static void allow_fd(struct filter *f, int fd) {
    arg_equals(f, 0, (uint64_t)fd);
    way_end(f);
}

static void allow_call_fd(struct filter *f, uint32_t nr, int fd) {
    call_begin(f, nr);
    allow_fd(f, fd);
    call_end(f);
}

static void allow_on_devices(struct filter *f, const struct tender *t, uint32_t nr,
                             enum spt_entry_type type, bool console) {
    call_begin(f, nr);
    for (uint32_t i = 1; i < t->image.manifest.entries; i++)
        if (t->image.manifest.entry[i].type == type)
            allow_fd(f, t->image.manifest.entry[i].host.fd);
    if (console)
        allow_fd(f, STDOUT_FILENO);
    call_end(f);
}

/* One block anywhere on the disk; where ranges are granted, also more at once, where even the
 * largest transfer stays on it: so no write can make a file grow. */
static void allow_blocks(struct filter *f, const struct tender *t, uint32_t nr) {
    call_begin(f, nr);
    for (uint32_t i = 1; i < t->image.manifest.entries; i++) {
        const struct spt_entry *e = &t->image.manifest.entry[i];
        if (e->type != SPT_ENTRY_BLK)
            continue;
        arg_equals(f, 0, (uint64_t)e->host.fd);
        arg_equals(f, 2, e->u.blk.block_bytes);
        arg_at_most(f, 3, e->u.blk.capacity - e->u.blk.block_bytes);
        way_end(f);
        if (!(t->granted & SPT_FEATURE_RANGES) || e->u.blk.capacity < BLK_BYTES_MAX)
            continue;
        arg_equals(f, 0, (uint64_t)e->host.fd);
        arg_at_most(f, 2, BLK_BYTES_MAX);
        arg_at_most(f, 3, e->u.blk.capacity - BLK_BYTES_MAX);
        way_end(f);
    }
    call_end(f);
}

static void allow_clocks(struct filter *f) {
    call_begin(f, SYS_clock_gettime);
    arg_equals(f, 0, CLOCK_MONOTONIC);
    way_end(f);
    arg_equals(f, 0, CLOCK_REALTIME);
    way_end(f);
    call_end(f);
}

static void allow_granted(struct filter *f, const struct tender *t) {
    if (t->granted & SPT_FEATURE_SCATTER) {
        allow_on_devices(f, t, SYS_readv, SPT_ENTRY_NET, false);
        allow_on_devices(f, t, SYS_writev, SPT_ENTRY_NET, false);
    }
    if (t->granted & SPT_FEATURE_FLUSH)
        allow_on_devices(f, t, SYS_fdatasync, SPT_ENTRY_BLK, false);
    if (t->granted & SPT_FEATURE_ENTROPY) {
        call_begin(f, SYS_getrandom);
        arg_at_most(f, 1, 256);
        arg_equals(f, 2, 0);
        way_end(f);
        call_end(f);
    }
}

static void build(struct filter *f, const struct tender *t) {
    /* A call by the rules of another architecture (int 0x80) has other numbers. The x32 numbers
     * have a bit set that none below has. */
    emit(f, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
    emit(f, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
    emit(f, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0);

    allow_on_devices(f, t, SYS_read, SPT_ENTRY_NET, false);
    allow_on_devices(f, t, SYS_write, SPT_ENTRY_NET, true);
    allow_granted(f, t);
    allow_clocks(f);
    allow_call_fd(f, SYS_epoll_pwait, t->epollfd);
    allow_call_fd(f, SYS_timerfd_settime, t->timerfd);
    allow_blocks(f, t, SYS_pread64);
    allow_blocks(f, t, SYS_pwrite64);
    call_begin(f, SYS_arch_prctl);
    arg_equals(f, 0, 0x1002); /* ARCH_SET_FS */
    way_end(f);
    call_end(f);
    call_begin(f, SYS_exit_group);
    way_end(f);
    call_end(f);
    emit(f, BPF_RET | BPF_K, SECCOMP_RET_TRAP, 0, 0);
}

void filter_install(const struct tender *t) {
    static struct filter filter;
    build(&filter, t);
    struct sock_fprog program = {.len = filter.len, .filter = filter.code};
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0)
        die("cannot install the seccomp filter: %s", strerror(errno));
}

/* -- before the filter ---------------------------------------------------------------------------
 */

static bool is_kept(const struct tender *t, int fd) {
    /* stderr is for the last errors before the guest starts; the filter has no call for it. */
    if (fd == STDOUT_FILENO || fd == STDERR_FILENO || fd == t->epollfd || fd == t->timerfd)
        return true;
    for (uint32_t i = 1; i < t->image.manifest.entries; i++)
        if (t->image.manifest.entry[i].host.fd == fd)
            return true;
    return false;
}

static void close_others(const struct tender *t) {
    int last = TARN_MAX(t->epollfd, t->timerfd);
    for (uint32_t i = 1; i < t->image.manifest.entries; i++)
        last = TARN_MAX(last, t->image.manifest.entry[i].host.fd);
    last = TARN_MAX(last, STDERR_FILENO);
    for (int fd = 0; fd <= last; fd++)
        if (!is_kept(t, fd))
            close(fd);
    if (syscall(SYS_close_range, (unsigned)last + 1, ~0u, 0u) == 0)
        return;
    long open_max = sysconf(_SC_OPEN_MAX); /* before Linux 5.9 */
    for (int fd = last + 1; fd < open_max; fd++)
        close(fd);
}

void capabilities_drop(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {0};
    for (int cap = 0; cap < 64; cap++)
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0)
            break; /* the last one there is, or not ours to drop: then we have none */
    if (syscall(SYS_capset, &header, none) != 0)
        die("cannot drop capabilities: %s", strerror(errno));
}

void privileges_drop(struct tender *t) {
    static const struct rlimit zero = {0, 0};
    close_others(t);
    capabilities_drop();
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        die("cannot give privileges up for good: %s", strerror(errno));
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (setrlimit(RLIMIT_NOFILE, &zero) != 0 || setrlimit(RLIMIT_NPROC, &zero) != 0
        || setrlimit(RLIMIT_CORE, &zero) != 0)
        die("cannot set resource limits: %s", strerror(errno));
}
