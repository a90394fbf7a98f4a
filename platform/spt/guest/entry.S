/* SPDX-License-Identifier: ISC */
/* The first instructions. RDI holds the boot information. The stack given is the top of what will be
 * the heap, with nothing below it that would stop an overflow: off it at once. */
    .section .text.tarn_spt_start, "ax", @progbits
    .globl tarn_spt_start
    .type tarn_spt_start, @function
tarn_spt_start:
    lea tarn_guard1, %rsp
    xor %ebp, %ebp
    cld
    call tarn_spt_boot
    ud2
    .size tarn_spt_start, . - tarn_spt_start

    .section .note.GNU-stack, "", @progbits
