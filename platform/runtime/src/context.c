/* SPDX-License-Identifier: ISC */
#include "context.h"

/* Under AddressSanitizer every stack has a shadow and a "fake stack" for use-after-return: it has
 * to be told that the stack pointer moves to other memory on purpose. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TOLD 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define TOLD 1
#endif

#ifdef TOLD
void __sanitizer_start_switch_fiber(void **fake_stack_save, const void *bottom, size_t size);
void __sanitizer_finish_switch_fiber(void *fake_stack_save, const void **bottom_old,
                                     size_t *size_old);

static void announce(struct tarn_context *from, const struct tarn_context *to, bool last) {
    __sanitizer_start_switch_fiber(last ? NULL : &from->fake_stack, to->stack.ptr, to->stack.len);
}

/* On the new stack. The old one's limits are learned here: nobody else knows those of the stack
 * that the process was started on. */
static void arrived(struct tarn_context *here) {
    const void *bottom;
    size_t size;
    __sanitizer_finish_switch_fiber(here->fake_stack, &bottom, &size);
    here->from->stack = tarn_bytes_of((uint8_t *)(uintptr_t)bottom, size);
}
#else
static void announce(struct tarn_context *from, const struct tarn_context *to, bool last) {
    (void)from, (void)to, (void)last;
}

static void arrived(struct tarn_context *here) {
    (void)here;
}
#endif

/* Pushes what the ABI lets a callee not touch, stores the stack pointer, loads the other's and
 * pops. The floating-point control words are not among it: nothing here changes them, and some
 * targets run without floating point. */
void tarn_context_swap(void **sp_save, void *sp_load);
void tarn_context_start(void);
__attribute__((used)) _Noreturn void tarn_context_first(struct tarn_context *context);

#if defined(__x86_64__)
__asm__(".text\n"
        ".globl tarn_context_swap\n"
        ".type tarn_context_swap, @function\n"
        "tarn_context_swap:\n"
        "    push %rbp\n"
        "    push %rbx\n"
        "    push %r12\n"
        "    push %r13\n"
        "    push %r14\n"
        "    push %r15\n"
        "    mov %rsp, (%rdi)\n"
        "    mov %rsi, %rsp\n"
        "    pop %r15\n"
        "    pop %r14\n"
        "    pop %r13\n"
        "    pop %r12\n"
        "    pop %rbx\n"
        "    pop %rbp\n"
        "    ret\n"
        ".size tarn_context_swap, . - tarn_context_swap\n"
        /* Where a new context begins: backtraces end here. */
        ".globl tarn_context_start\n"
        ".type tarn_context_start, @function\n"
        "tarn_context_start:\n"
        ".cfi_startproc\n"
        ".cfi_undefined rip\n"
        "    mov %rbx, %rdi\n"
        "    call tarn_context_first\n"
        "    ud2\n"
        ".cfi_endproc\n"
        ".size tarn_context_start, . - tarn_context_start\n");

/* What swap pops, lowest first. */
struct first_frame {
    uint64_t r15, r14, r13, r12, rbx, rbp, ip;
};
#else
#error "no context switch for this architecture"
#endif

_Noreturn void tarn_context_first(struct tarn_context *context) {
    arrived(context);
    context->entry(context->arg);
    __builtin_trap();
}

void tarn_context_init(struct tarn_context *context, struct tarn_bytes stack,
                       void (*entry)(void *arg), void *arg) {
    TARN_ASSERT(stack.len >= 4096);
    *context = (struct tarn_context){.stack = stack, .entry = entry, .arg = arg};
    /* After the `ret` into tarn_context_start the stack pointer is a multiple of 16, as it must be
     * before a call. */
    uintptr_t top = ((uintptr_t)stack.ptr + stack.len) & ~(uintptr_t)15;
    struct first_frame *frame = (struct first_frame *)(top - sizeof *frame);
    *frame = (struct first_frame){.rbx = (uintptr_t)context, .ip = (uintptr_t)tarn_context_start};
    context->sp = frame;
}

void tarn_context_switch(struct tarn_context *from, struct tarn_context *to) {
    to->from = from;
    announce(from, to, false);
    tarn_context_swap(&from->sp, to->sp);
    arrived(from);
}

_Noreturn void tarn_context_leave(struct tarn_context *from, struct tarn_context *to) {
    to->from = from;
    announce(from, to, true);
    tarn_context_swap(&from->sp, to->sp);
    __builtin_trap();
}
