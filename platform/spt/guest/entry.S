/* SPDX-License-Identifier: ISC */
/* The first instructions. RDI holds the boot information. The stack given is the top of what will be
 * the heap, with nothing below it that would stop an overflow: off it at once. */
    .section .text.tarn_spt_start, "ax", @progbits
    .globl tarn_spt_start
    .type tarn_spt_start, @function
tarn_spt_start:
    lea tarn_guard1(%rip), %rsp
    xor %ebp, %ebp
    cld
    mov %rdi, %rbx
    call tarn_spt_place
    mov %rbx, %rdi
    call tarn_spt_boot
    ud2
    .size tarn_spt_start, . - tarn_spt_start

    .section .note.GNU-stack, "", @progbits
