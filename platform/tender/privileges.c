/* SPDX-License-Identifier: ISC */
#include "tender.h"

#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

/* A filter that is not ours refuses by a signal, as container runtimes' profiles do. */
static bool is_confined;

static void on_refused(int sig, siginfo_t *info, void *context) {
    (void)sig;
    (void)info;
    is_confined = true;
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RAX] = -ENOSYS;
}

void privileges_tolerate_filter(void) {
    struct sigaction action = {.sa_sigaction = on_refused, .sa_flags = SA_SIGINFO};
    sigaction(SIGSYS, &action, NULL);
}

bool privileges_refused(void) {
    return is_confined && errno == ENOSYS;
}

static bool is_kept(const struct tender *t, int fd) {
    /* stderr is for the last errors before the guest starts; the filter has no call for it. */
    if (fd == STDOUT_FILENO || fd == STDERR_FILENO || fd == t->epollfd || fd == t->timerfd)
        return true;
    for (uint32_t i = 1; i < t->image.manifest.entries; i++)
        if (t->image.manifest.entry[i].host.fd == fd)
            return true;
    for (uint32_t i = 0; i < t->kept_count; i++)
        if (t->kept[i] == fd)
            return true;
    return false;
}

static void close_others(const struct tender *t) {
    int last = TARN_MAX(t->epollfd, t->timerfd);
    for (uint32_t i = 1; i < t->image.manifest.entries; i++)
        last = TARN_MAX(last, t->image.manifest.entry[i].host.fd);
    for (uint32_t i = 0; i < t->kept_count; i++)
        last = TARN_MAX(last, t->kept[i]);
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
    if (syscall(SYS_capset, &header, none) != 0 && !privileges_refused())
        die("cannot drop capabilities: %s", strerror(errno));
}

void privileges_drop(struct tender *t) {
    static const struct rlimit zero = {0, 0};
    close_others(t);
    capabilities_drop();
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 && !privileges_refused())
        die("cannot give privileges up for good: %s", strerror(errno));
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (setrlimit(RLIMIT_NOFILE, &zero) != 0 || setrlimit(RLIMIT_NPROC, &zero) != 0
        || setrlimit(RLIMIT_CORE, &zero) != 0)
        die("cannot set resource limits: %s", strerror(errno));
}
