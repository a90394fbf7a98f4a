/* SPDX-License-Identifier: ISC */
/* The virtual machine: one processor, no interrupt controller, no devices. What it does beyond
 * computing is an OUT to a hypercall's port, or its end. */
#include "hvt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define CPUID_ENTRIES_MAX 256u
#define STATUS_CRASHED 1 /* as with other tenders */
#define STATUS_ABORT 255
#define STEPS_MAX 10000000u

enum { CR0_PE = 1, CR0_NE = 1 << 5, CR0_WP = 1 << 16 };
#define CR0_PG (1u << 31)
enum { CR4_PAE = 1 << 5, CR4_OSFXSR = 1 << 9, CR4_OSXMMEXCPT = 1 << 10 };
enum { EFER_LME = 1 << 8, EFER_LMA = 1 << 10 };

/* -- made -----------------------------------------------------------------------------------------
 */

static void set_cpuid(struct hvt *h) {
    static struct {
        struct kvm_cpuid2 head;
        struct kvm_cpuid_entry2 entries[CPUID_ENTRIES_MAX];
    } cpuid = {.head.nent = CPUID_ENTRIES_MAX};
    if (ioctl(h->kvmfd, KVM_GET_SUPPORTED_CPUID, &cpuid) != 0
        || ioctl(h->vcpufd, KVM_SET_CPUID2, &cpuid) != 0)
        die("KVM does not describe its processor: %s", strerror(errno));
}

void vm_open(struct hvt *h) {
    h->kvmfd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (h->kvmfd < 0 && errno == ENOENT)
        die("no /dev/kvm: this machine, or this container, has no KVM");
    if (h->kvmfd < 0)
        die("cannot open /dev/kvm: %s", strerror(errno));
    if (ioctl(h->kvmfd, KVM_GET_API_VERSION, 0ul) != KVM_API_VERSION)
        die("an unknown version of KVM");
    h->vmfd = ioctl(h->kvmfd, KVM_CREATE_VM, 0ul);
    h->vcpufd = h->vmfd < 0 ? -1 : ioctl(h->vmfd, KVM_CREATE_VCPU, 0ul);
    if (h->vcpufd < 0)
        die("KVM gives no virtual machine: %s", strerror(errno));
    int bytes = ioctl(h->kvmfd, KVM_GET_VCPU_MMAP_SIZE, 0ul);
    if (bytes < (int)sizeof *h->run)
        die("an unknown version of KVM");
    h->run = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_SHARED, h->vcpufd, 0);
    if (h->run == MAP_FAILED)
        die("cannot map KVM's page: %s", strerror(errno));
    int khz = ioctl(h->vcpufd, KVM_GET_TSC_KHZ, 0ul);
    if (khz <= 0)
        die("the host's time-stamp counter has no steady rate");
    h->tsc_hz = (uint64_t)khz * 1000;
    set_cpuid(h);
    h->t.kept[h->t.kept_count++] = h->vcpufd;
}

void vm_start(struct hvt *h) {
    static const struct kvm_segment code = {
        .limit = ~0u, .selector = 8, .type = 9, .present = 1, .s = 1, .l = 1, .g = 1};
    static const struct kvm_segment data = {
        .limit = ~0u, .selector = 16, .type = 3, .present = 1, .db = 1, .s = 1, .g = 1};
    struct kvm_sregs sregs = {
        .cs = code,
        .ds = data,
        .es = data,
        .fs = data,
        .gs = data,
        .ss = data,
        .tr = {.type = 11, .present = 1},
        .ldt = {.unusable = 1},
        .gdt = {.base = HVT_GDT, .limit = 3 * 8 - 1},
        .cr0 = CR0_PE | CR0_NE | CR0_WP | CR0_PG,
        .cr3 = HVT_PML4,
        .cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT,
        .efer = EFER_LME | EFER_LMA,
    };
    struct kvm_regs regs = {
        .rip = h->t.image.entry, .rsp = h->memory.len - 8, .rdi = HVT_BOOT, .rflags = 2};
    if (ioctl(h->vcpufd, KVM_SET_SREGS, &sregs) != 0 || ioctl(h->vcpufd, KVM_SET_REGS, &regs) != 0)
        die("KVM does not take the processor's registers: %s", strerror(errno));
}

/* -- run ------------------------------------------------------------------------------------------
 */

/* The guest is at its end by its own fault. */
static int crashed(struct hvt *h, const char *cause, bool with_place) {
    crash_report(h, cause, with_place);
    core_write(h);
    gdb_exited(h, STATUS_CRASHED);
    return STATUS_CRASHED;
}

/* True: the guest is at its end, with *status. */
static bool handle_io(struct hvt *h, int *status) {
    const struct kvm_run *run = h->run;
    uint32_t arg;
    h->calls.wrong_at = run->io.port;
    h->calls.wrong_len = 0;
    if (run->io.direction != KVM_EXIT_IO_OUT || run->io.size != sizeof arg || run->io.count != 1) {
        *status = crashed(h, "a use of a port that is no hypercall", true);
        return true;
    }
    memcpy(&arg, (const uint8_t *)run + run->io.data_offset, sizeof arg);
    switch (hvt_hypercall(&h->calls, run->io.port, arg)) {
    case HVT_GOES_ON: return false;
    case HVT_HALTED:
        *status = h->calls.status;
        if (h->calls.status == STATUS_ABORT || h->calls.has_trap)
            core_write(h);
        core_discard(h);
        gdb_exited(h, *status);
        return true;
    default: *status = crashed(h, h->calls.wrong, true); return true;
    }
}

static int end_of_access(struct hvt *h, uint64_t addr, bool write) {
    h->calls.wrong_at = addr;
    h->calls.wrong_len = 0;
    return crashed(h,
                   addr < h->memory.len ? (write ? "a write to read-only memory"
                                                 : "a read of memory that it may not read")
                                        : "an access outside of its memory",
                   true);
}

bool vm_step_to(struct hvt *h, uint64_t addr, uint64_t *steps) {
    struct kvm_regs r;
    int status;
    for (*steps = 0; *steps < STEPS_MAX;) {
        if (ioctl(h->vcpufd, KVM_RUN, 0ul) != 0 && errno != EINTR && errno != EAGAIN)
            return false;
        if (h->run->exit_reason == KVM_EXIT_IO && handle_io(h, &status))
            return false;
        if (h->run->exit_reason == KVM_EXIT_IO)
            continue;
        if (h->run->exit_reason != KVM_EXIT_DEBUG)
            return false;
        ++*steps;
        if (ioctl(h->vcpufd, KVM_GET_REGS, &r) != 0 || r.rip == addr)
            return true;
    }
    return false;
}

int vm_run(struct hvt *h) {
    struct kvm_run *run = h->run;
    int status;
    if (h->gdb_fd >= 0)
        gdb_stopped(h);
    for (;;) {
        int err = ioctl(h->vcpufd, KVM_RUN, 0ul) == 0 ? 0 : errno;
        if (gdb_interrupts(h))
            gdb_stopped(h);
        if (err == EINTR || err == EAGAIN)
            continue;
        if (err == EFAULT)
            return crashed(h, "a write to read-only memory, or an access to a guard", false);
        if (err)
            die("KVM does not run the guest: %s", strerror(err));
        switch (run->exit_reason) {
        case KVM_EXIT_IO:
            if (handle_io(h, &status))
                return status;
            break;
        case KVM_EXIT_DEBUG: gdb_stopped(h); break;
        case KVM_EXIT_INTR: break;
        case KVM_EXIT_MMIO: return end_of_access(h, run->mmio.phys_addr, run->mmio.is_write);
        case KVM_EXIT_HLT:
            return crashed(h, "the processor was halted, and nothing can wake it", false);
        case KVM_EXIT_SHUTDOWN:
            return crashed(h, "a fault while handling a fault (triple fault)", false);
        case KVM_EXIT_INTERNAL_ERROR:
            if (gdb_at_breakpoint(h)) { /* where KVM interprets the guest, and has no such trap */
                gdb_stopped(h);
                break;
            }
            return crashed(h, "an instruction that this machine's KVM cannot run", false);
        default: return crashed(h, "a stop that KVM does not explain", false);
        }
    }
}
