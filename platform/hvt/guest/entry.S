/* SPDX-License-Identifier: ISC */
/* The first instructions. RDI holds the boot information. The stack given is the top of what will be
 * the heap, with nothing below it that would stop an overflow: off it at once. */
    .section .text.tarn_hvt_start, "ax", @progbits
    .globl tarn_hvt_start
    .type tarn_hvt_start, @function
tarn_hvt_start:
    lea tarn_guard1, %rsp
    xor %ebp, %ebp
    cld
    call tarn_hvt_boot
    ud2
    .size tarn_hvt_start, . - tarn_hvt_start

    .section .note.GNU-stack, "", @progbits
