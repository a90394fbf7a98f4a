/* SPDX-License-Identifier: ISC */
/* The sandbox: what the tender does for a running guest, with the descriptors it does it with.
 * Whoever breaks out of the virtual machine into this process has these calls and no others. */
#include "hvt.h"
#include <filter.h>

#include <errno.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static void allow_ioctl(struct filter *f, int fd, unsigned long request) {
    filter_arg_equals(f, 0, (uint64_t)fd);
    filter_arg_equals(f, 1, request);
    filter_way_end(f);
}

static void allow_on_devices(struct filter *f, const struct hvt *h, enum solo5_entry_type type) {
    for (uint32_t i = 1; i < h->t.image.manifest.entries; i++)
        if (h->t.image.manifest.entry[i].type == (uint32_t)type)
            filter_allow_fd(f, h->t.image.manifest.entry[i].host.fd);
}

static void allow_disks(struct filter *f, const struct hvt *h, uint32_t nr, int also) {
    filter_call_begin(f, nr);
    if (also >= 0)
        filter_allow_fd(f, also);
    for (uint32_t i = 1; i < h->t.image.manifest.entries; i++) {
        const struct solo5_entry *e = &h->t.image.manifest.entry[i];
        if (e->type != SOLO5_ENTRY_BLK)
            continue;
        filter_arg_equals(f, 0, (uint64_t)e->host.fd);
        filter_arg_at_most(f, 3, e->u.blk.capacity);
        filter_way_end(f);
    }
    filter_call_end(f);
}

static void build(struct filter *f, const struct hvt *h) {
    filter_begin(f);
    filter_call_begin(f, SYS_ioctl);
    allow_ioctl(f, h->vcpufd, KVM_RUN);
    allow_ioctl(f, h->vcpufd, KVM_GET_REGS);
    if (h->core_fd >= 0 || h->gdb_fd >= 0)
        allow_ioctl(f, h->vcpufd, KVM_GET_SREGS);
    if (h->gdb_fd >= 0) {
        allow_ioctl(f, h->vcpufd, KVM_SET_REGS);
        allow_ioctl(f, h->vcpufd, KVM_SET_GUEST_DEBUG);
        allow_ioctl(f, h->vcpufd, KVM_TRANSLATE);
    }
    filter_call_end(f);

    filter_call_begin(f, SYS_read);
    allow_on_devices(f, h, SOLO5_ENTRY_NET);
    if (h->gdb_fd >= 0)
        filter_allow_fd(f, h->gdb_fd);
    filter_call_end(f);
    filter_call_begin(f, SYS_write);
    allow_on_devices(f, h, SOLO5_ENTRY_NET);
    filter_allow_fd(f, STDOUT_FILENO);
    filter_allow_fd(f, STDERR_FILENO);
    if (h->gdb_fd >= 0)
        filter_allow_fd(f, h->gdb_fd);
    filter_call_end(f);

    filter_allow_clocks(f);
    filter_allow_call_fd(f, SYS_epoll_pwait, h->t.epollfd);
    filter_allow_call_fd(f, SYS_timerfd_settime, h->t.timerfd);
    allow_disks(f, h, SYS_pread64, -1);
    allow_disks(f, h, SYS_pwrite64, core_file());
    if (h->t.granted & HVT_FEATURE_FLUSH) {
        filter_call_begin(f, SYS_fdatasync);
        allow_on_devices(f, h, SOLO5_ENTRY_BLK);
        filter_call_end(f);
    }
    if (h->core_fd >= 0)
        filter_allow_call_fd(f, SYS_unlinkat, h->core_fd);
    if (h->gdb_fd >= 0) {
        filter_allow_call_fd(f, SYS_recvfrom, h->gdb_fd);
        filter_allow_call(f, SYS_rt_sigreturn);
    }
    filter_allow_call(f, SYS_exit_group);
}

/* Whether this kernel, and whoever filters this process already, lets a filter be added. */
static bool can_filter(void) {
    const uint32_t action = SECCOMP_RET_TRAP;
    syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action);
    return !privileges_refused();
}

/* Where a container runtime's filter is in force, and lets no other be added, it stays the one that
 * confines. A refused call is the end from here on, by either. */
void sandbox_install(const struct hvt *h) {
    static struct filter filter;
    bool can = can_filter();
    build(&filter, h);
    signal(SIGSYS, SIG_DFL);
    if (can && !filter_install(&filter))
        die("cannot install the seccomp filter: %s", strerror(errno));
}
