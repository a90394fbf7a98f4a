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

    .type trap_common, @function
trap_common:
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
    .size trap_common, . - trap_common

    .section .note.GNU-stack, "", @progbits
