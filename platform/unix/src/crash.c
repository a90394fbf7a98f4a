/* SPDX-License-Identifier: ISC */
/* The crash report: what happened, where, and how the program came there. */
#include <errno.h>
#include <execinfo.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "unix.h"

#define REPORT_STACK_BYTES ((size_t)64 * 1024)

static const char *what_happened(int signal, uintptr_t address) {
    switch (signal) {
    case SIGILL: return "a check failed";
    case SIGFPE: return "arithmetic error";
    case SIGABRT: return "abort";
    default: break;
    }
    if (unix_is_guard_page(address))
        return "stack overflow: a fiber needs a larger stack, or recurses without end";
    if (unix_is_heap_guard(address))
        return "a guard page between pools: a buffer overflowed";
    return address < 4096 ? "null pointer" : "bad memory access";
}

static void put(struct tarn_writer *line) {
    tarn_writer_u8(line, '\n');
    struct tarn_span text = tarn_writer_span(line);
    (void)!write(STDERR_FILENO, text.ptr, text.len);
}

static void put_frame(unsigned number, uintptr_t address) {
    uint8_t text[256];
    struct tarn_writer line = TARN_WRITER_ARRAY(text);
    tarn_writer_str(&line, "  #");
    tarn_writer_dec(&line, number);
    tarn_writer_str(&line, " 0x");
    tarn_writer_hex(&line, address, 12);
    tarn_writer_u8(&line, ' ');
    unix_symbol_put(&line, address);
    put(&line);
}

static void report(int signal, siginfo_t *info, void *context) {
    /* A spoilt stack ends the report, too; what is told is the first cause. */
    static volatile sig_atomic_t cause;
    void *frames[64];
    uint8_t text[256];
    if (cause)
        (void)raise(cause);
    cause = signal;
    struct tarn_writer line = TARN_WRITER_ARRAY(text);
    const ucontext_t *u = context;
    bool is_memory = signal == SIGSEGV || signal == SIGBUS;
    uintptr_t address = is_memory ? (uintptr_t)info->si_addr : 0;
    uintptr_t ip = (uintptr_t)u->uc_mcontext.gregs[REG_RIP];
    tarn_writer_str(&line, "crash: ");
    tarn_writer_str(&line, what_happened(signal, address));
    if (is_memory) {
        tarn_writer_str(&line, ", address 0x");
        tarn_writer_hex(&line, address, 1);
    }
    put(&line);
    /* The first frames are this report's own: the story starts at the instruction that failed. */
    int count = backtrace(frames, (int)TARN_COUNT_OF(frames)), first = 0;
    while (first < count && (uintptr_t)frames[first] != ip)
        first++;
    put_frame(0, ip);
    for (int i = first + 1; i < count; i++)
        put_frame((unsigned)(i - first), (uintptr_t)frames[i] - 1);
    /* SA_RESETHAND: this time it ends the process, with a core where those are wanted. */
    raise(signal);
}

/* AddressSanitizer reports the rest itself. */
#if defined(__SANITIZE_ADDRESS__)
#define SIGNALS                                                                                    \
    { SIGILL }
#else
#define SIGNALS                                                                                    \
    { SIGILL, SIGSEGV, SIGBUS, SIGFPE, SIGABRT }
#endif

void unix_crash_init(void) {
    static const int signals[] = SIGNALS;
    struct sigaction action = {.sa_sigaction = report,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESETHAND | SA_NODEFER};
    stack_t stack = {.ss_size = REPORT_STACK_BYTES};
    stack.ss_sp =
        mmap(NULL, REPORT_STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack.ss_sp == MAP_FAILED || sigaltstack(&stack, NULL) != 0)
        return;
    for (size_t i = 0; i < TARN_COUNT_OF(signals); i++)
        sigaction(signals[i], &action, NULL);
}
