/* SPDX-License-Identifier: ISC */
/* The sandbox: exactly the calls that the ABI leaves, with their descriptors, and nothing else that
 * the process could have used before. What is refused is caught by the guest's own crash report. */
#include "spt.h"
#include <filter.h>

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static void allow_on_devices(struct filter *f, const struct tender *t, uint32_t nr,
                             enum solo5_entry_type type, bool console) {
    filter_call_begin(f, nr);
    for (uint32_t i = 1; i < t->image.manifest.entries; i++)
        if (t->image.manifest.entry[i].type == type)
            filter_allow_fd(f, t->image.manifest.entry[i].host.fd);
    if (console)
        filter_allow_fd(f, STDOUT_FILENO);
    filter_call_end(f);
}

/* One block anywhere on the disk; where ranges are granted, also more at once, where even the
 * largest transfer stays on it: so no write can make a file grow. */
static void allow_blocks(struct filter *f, const struct tender *t, uint32_t nr) {
    filter_call_begin(f, nr);
    for (uint32_t i = 1; i < t->image.manifest.entries; i++) {
        const struct solo5_entry *e = &t->image.manifest.entry[i];
        if (e->type != SOLO5_ENTRY_BLK)
            continue;
        filter_arg_equals(f, 0, (uint64_t)e->host.fd);
        filter_arg_equals(f, 2, e->u.blk.block_bytes);
        filter_arg_at_most(f, 3, e->u.blk.capacity - e->u.blk.block_bytes);
        filter_way_end(f);
        if (!(t->granted & SPT_FEATURE_RANGES) || e->u.blk.capacity < BLK_BYTES_MAX)
            continue;
        filter_arg_equals(f, 0, (uint64_t)e->host.fd);
        filter_arg_at_most(f, 2, BLK_BYTES_MAX);
        filter_arg_at_most(f, 3, e->u.blk.capacity - BLK_BYTES_MAX);
        filter_way_end(f);
    }
    filter_call_end(f);
}

static void allow_granted(struct filter *f, const struct tender *t) {
    if (t->granted & SPT_FEATURE_SCATTER) {
        allow_on_devices(f, t, SYS_readv, SOLO5_ENTRY_NET, false);
        allow_on_devices(f, t, SYS_writev, SOLO5_ENTRY_NET, false);
    }
    if (t->granted & SPT_FEATURE_FLUSH)
        allow_on_devices(f, t, SYS_fdatasync, SOLO5_ENTRY_BLK, false);
    if (t->granted & SPT_FEATURE_PROTECT) {
        filter_call_begin(f, SYS_mprotect);
        filter_arg_at_most(f, 0, t->mem_size - SPT_PAGE);
        filter_arg_equals(f, 1, SPT_PAGE);
        filter_arg_at_most(f, 2, PROT_READ);
        filter_way_end(f);
        filter_call_end(f);
    }
    if (t->granted & SPT_FEATURE_ENTROPY) {
        filter_call_begin(f, SYS_getrandom);
        filter_arg_at_most(f, 1, 256);
        filter_arg_equals(f, 2, 0);
        filter_way_end(f);
        filter_call_end(f);
    }
}

static void build(struct filter *f, const struct tender *t) {
    filter_begin(f);

    allow_on_devices(f, t, SYS_read, SOLO5_ENTRY_NET, false);
    allow_on_devices(f, t, SYS_write, SOLO5_ENTRY_NET, true);
    allow_granted(f, t);
    filter_allow_clocks(f);
    filter_allow_call_fd(f, SYS_epoll_pwait, t->epollfd);
    filter_allow_call_fd(f, SYS_timerfd_settime, t->timerfd);
    allow_blocks(f, t, SYS_pread64);
    allow_blocks(f, t, SYS_pwrite64);
    filter_call_begin(f, SYS_arch_prctl);
    filter_arg_equals(f, 0, 0x1002); /* ARCH_SET_FS */
    filter_way_end(f);
    filter_call_end(f);
    filter_allow_call(f, SYS_exit_group);
}

void sandbox_install(const struct tender *t) {
    static struct filter filter;
    build(&filter, t);
    if (!filter_install(&filter))
        die("cannot install the seccomp filter: %s", strerror(errno));
}
