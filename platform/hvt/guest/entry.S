/* SPDX-License-Identifier: ISC */
/* The first instructions. RDI holds the boot information. The stack given is the top of what will be
 * the heap, with nothing below it that would stop an overflow: it serves until the image is where it
 * will stay (place.c), and no longer. */
    .section .text.tarn_hvt_start, "ax", @progbits
    .globl tarn_hvt_start
    .type tarn_hvt_start, @function
tarn_hvt_start:
    cld
    xor %ebp, %ebp
    mov %rdi, %rbx
    call tarn_hvt_place
    lea tarn_hvt_boot(%rip), %rcx
    lea tarn_guard1(%rip), %rsp
    add %rax, %rcx
    add %rax, %rsp
    mov %rbx, %rdi
    call *%rcx
    ud2
    .size tarn_hvt_start, . - tarn_hvt_start

    .section .note.GNU-stack, "", @progbits
