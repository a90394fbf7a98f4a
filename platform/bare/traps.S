/* SPDX-License-Identifier: ISC */
/* An exception's frame is made whole and handed to C, which either mends the cause or does not come
 * back. On a stack of its own: the fault may be about the stack. */
    .text
    .macro trap vector, has_error=0
    .if \has_error == 0
    push $0
    .endif
    push $\vector
    jmp trap_common
    .align 16
    .endm

    .globl guest_trap_entries
    .align 16
guest_trap_entries:
    .irp v, 0, 1, 2, 3, 4, 5, 6, 7
    trap \v
    .endr
    trap 8, 1
    trap 9
    .irp v, 10, 11, 12, 13, 14
    trap \v, 1
    .endr
    .irp v, 15, 16
    trap \v
    .endr
    trap 17, 1
    .irp v, 18, 19, 20
    trap \v
    .endr
    trap 21, 1
    .irp v, 22, 23, 24, 25, 26, 27, 28
    trap \v
    .endr
    trap 29, 1
    trap 30, 1
    trap 31

/* A debugger that comes by here goes on in the program, as it was: what is below holds at the call. */
    .cfi_sections .debug_frame
    .type trap_common, @function
trap_common:
    .cfi_startproc simple
    .cfi_signal_frame
    .cfi_def_cfa %rsp, 0
    .cfi_offset %r15, 0
    .cfi_offset %r14, 8
    .cfi_offset %r13, 16
    .cfi_offset %r12, 24
    .cfi_offset %r11, 32
    .cfi_offset %r10, 40
    .cfi_offset %r9, 48
    .cfi_offset %r8, 56
    .cfi_offset %rdi, 64
    .cfi_offset %rsi, 72
    .cfi_offset %rbp, 80
    .cfi_offset %rbx, 88
    .cfi_offset %rdx, 96
    .cfi_offset %rcx, 104
    .cfi_offset %rax, 112
    .cfi_offset %rip, 136
    .cfi_offset %rsp, 160
    push %rax
    push %rcx
    push %rdx
    push %rbx
    push %rbp
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    push %r11
    push %r12
    push %r13
    push %r14
    push %r15
    cld
    mov %rsp, %rdi
    call guest_trap
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rbp
    pop %rbx
    pop %rdx
    pop %rcx
    pop %rax
    add $16, %rsp
    iretq
    .cfi_endproc
    .size trap_common, . - trap_common

    .section .note.GNU-stack, "", @progbits
