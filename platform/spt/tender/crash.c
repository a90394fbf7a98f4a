/* SPDX-License-Identifier: ISC */
/* What is said when the guest dies by a signal. The handler runs inside the sandbox, with the
 * guest's memory around it: it uses no C library, only the console and the exit that the filter
 * leaves, and ends in the same signal again, by then with its default action, so that the tender's
 * parent sees the true cause. A guest that has corrupted the tender's memory can make it say
 * anything; it could have written that to the console anyway. */
#include "spt.h"

#include <errno.h>
#include <report.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>

#define STACK_BYTES (64u << 10)

static const struct tender *tender;
static struct report report;
/* Stands in for the guest's thread area, which may be anything, while base's functions check their
 * canary. */
static uint64_t thread_area[16];

static long call3(long nr, long a, long b, long c) {
    long ret;
    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "a"(nr), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return ret;
}

static void say(struct tarn_writer *w) {
    struct tarn_span s = tarn_writer_span(w);
    call3(SYS_write, 1, (long)s.ptr, (long)s.len);
    w->len = 0;
}

/* -- the cause -----------------------------------------------------------------------------------
 */

static void say_access(struct tarn_writer *w, const siginfo_t *info, const mcontext_t *m) {
    uint64_t addr = (uintptr_t)info->si_addr;
    uint64_t error = (uint64_t)m->gregs[REG_ERR];
    if (info->si_code == SI_KERNEL) {
        tarn_writer_str(w, "an address that cannot be, or a privileged instruction");
        return;
    }
    tarn_writer_str(w, error & 16 ? "execution of " : error & 2 ? "write to " : "read of ");
    tarn_writer_str(w, "address 0x");
    tarn_writer_hex(w, addr, 1);
    const struct image_segment *seg = report_segment(&report, addr);
    if (addr < SPT_MEM_BASE)
        tarn_writer_str(w, " (a null pointer)");
    else if (seg && !seg->readable && !seg->writable && !seg->executable)
        tarn_writer_str(w, " (a guard page: stack overflow)");
    else if (seg && (error & 2) && !seg->writable)
        tarn_writer_str(w, " (read-only)");
    else if (seg && (error & 2) && seg->writable)
        tarn_writer_str(w, " (read-only since the program began)");
    else if (addr >= tender->image.end && addr < tender->mem_size)
        tarn_writer_str(w, " (a guard page between pools: a buffer overflowed)");
    else if (addr >= tender->mem_size)
        tarn_writer_str(w, " (outside of its memory)");
}

static void say_cause(struct tarn_writer *w, int sig, const siginfo_t *info, const mcontext_t *m) {
    uint64_t rip = (uint64_t)m->gregs[REG_RIP];
    switch (sig) {
    case SIGSEGV:
    case SIGBUS: say_access(w, info, m); break;
    case SIGILL:
        tarn_writer_str(w, report_is_code(&report, rip, 2) && report_byte(&report, rip) == 0x0f
                                   && report_byte(&report, rip + 1) == 0x0b
                               ? "a check failed (trap)"
                               : "an instruction that this processor does not have");
        break;
    case SIGFPE: tarn_writer_str(w, "division by zero, or a quotient too large"); break;
    case SIGTRAP: tarn_writer_str(w, "a breakpoint"); break;
    case SIGSYS:
        tarn_writer_str(w, "system call ");
        tarn_writer_dec(w, (uint64_t)info->si_syscall);
        tarn_writer_str(w, ", or its arguments, which the sandbox does not allow");
        break;
    default: tarn_writer_str(w, "a signal");
    }
}

/* -- and the end ----------------------------------------------------------------------------------
 */

_Noreturn static void die_by(int sig) {
    switch (sig) {
    case SIGSEGV: __asm__ volatile("xor %%eax, %%eax; movb $0, (%%rax)" : : : "eax"); break;
    case SIGILL: __asm__ volatile("ud2"); break;
    case SIGFPE:
        __asm__ volatile("xor %%edx, %%edx; xor %%eax, %%eax; div %%eax" : : : "eax", "edx");
        break;
    case SIGTRAP: __asm__ volatile("int3"); break;
    case SIGSYS: call3(SYS_getpid, 0, 0, 0); break;
    default: break;
    }
    for (;;)
        call3(SYS_exit_group, 128 + sig, 0, 0);
}

static void say_state(struct tarn_writer *w, const mcontext_t *m) {
    static const int order[REPORT_REGISTERS] = {
        REG_RIP, REG_RSP, REG_RBP, REG_RAX, REG_RBX, REG_RCX, REG_RDX, REG_RSI, REG_RDI,
        REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
    };
    uint64_t reg[REPORT_REGISTERS];
    for (size_t i = 0; i < REPORT_REGISTERS; i++)
        reg[i] = (uint64_t)m->gregs[order[i]];
    report_registers(&report, w, reg);
    report_trace(&report, w, reg[REPORT_RIP], reg[REPORT_RSP]);
}

static void on_signal(int sig, siginfo_t *info, void *context) {
    const mcontext_t *m = &((const ucontext_t *)context)->uc_mcontext;
    uint8_t text[2048];
    call3(SYS_arch_prctl, 0x1002, (long)thread_area, 0); /* ARCH_SET_FS */
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    tarn_writer_str(&w, "\ntarn-spt: the program crashed: ");
    say_cause(&w, sig, info, m);
    tarn_writer_str(&w, "\n");
    say(&w);
    say_state(&w, m);
    die_by(sig);
}

void crash_prepare(const struct tender *t) {
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS};
    tender = t;
    report = (struct report){
        .image = &t->image,
        .memory = tarn_span_of((const void *)(uintptr_t)SPT_MEM_BASE, t->mem_size - SPT_MEM_BASE),
        .base = SPT_MEM_BASE,
        .say = say,
    };
    uint8_t *mem = mmap(NULL, STACK_BYTES + SPT_PAGE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mem == MAP_FAILED || mprotect(mem, SPT_PAGE, PROT_NONE) != 0)
        die("no memory for the crash report: %s", strerror(errno));
    stack_t stack = {.ss_sp = mem + SPT_PAGE, .ss_size = STACK_BYTES};
    if (sigaltstack(&stack, NULL) != 0)
        die("no stack for the crash report: %s", strerror(errno));
    /* Once only, and not blocked while it runs: the second time is the end. */
    struct sigaction action = {.sa_sigaction = on_signal,
                               .sa_flags =
                                   (int)(SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESETHAND)};
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (size_t i = 0; i < TARN_COUNT_OF(signals); i++)
        if (sigaction(signals[i], &action, NULL) != 0)
            die("no handler for the crash report: %s", strerror(errno));
}
