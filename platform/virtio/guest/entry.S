/* SPDX-License-Identifier: ISC */
/* The first instructions, and where interrupts go. */

PAGE = 0x1000
CODE = 8

/* PVH: the loader finds the 32-bit entry point in a note, and puts the address of the start information
 * into EBX. Protected mode, flat segments, no paging, interrupts off. The note, and the first instruction,
 * which is `mov $boot_code, %ebp`, are the linker script's: they are all that must name an address of
 * 32 bits, in an image that moves. */
#define AT(symbol) (symbol - boot_code)(%ebp)

/* Tables for the first gigabyte as it is, until the C code has made those that are kept. They lie in
 * what will be the main fiber's stack, or would have been it (place.c knows). */

    .section .rodata.boot, "a", @progbits
    .align 8
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff /* 64-bit code */
    .quad 0x00cf93000000ffff /* data */
boot_gdt_end:

    .section .text.tarn_virtio_start, "ax", @progbits
    .code32
    .globl tarn_virtio_code
tarn_virtio_code: /* for the linker script to ask for */
boot_code:
    cli
    cld
    lea AT(tarn_guard1), %esp
    lea AT(tarn_guard1 + PAGE), %esi
    mov %esi, %edi
    xor %eax, %eax
    mov $(2 * PAGE / 4), %ecx
    rep stosl
    lea (PAGE + 3)(%esi), %eax
    mov %eax, (%esi)
    lea (2 * PAGE + 3)(%esi), %eax
    mov %eax, PAGE(%esi)
    mov $0x83, %eax          /* present, writable, 2 MB */
    mov $512, %ecx
1:  mov %eax, (%edi)
    movl $0, 4(%edi)
    add $(2 << 20), %eax
    add $8, %edi
    loop 1b

    mov %cr4, %eax
    or $0x6a0, %eax          /* OSXMMEXCPT, OSFXSR, PGE, PAE */
    mov %eax, %cr4
    mov %esi, %cr3
    mov $0xc0000080, %ecx    /* EFER: long mode, no-execute */
    rdmsr
    or $0x900, %eax
    wrmsr
    mov $0x80010023, %eax    /* CR0: PG, WP, NE, MP, PE */
    mov %eax, %cr0
    lea AT(boot_gdt), %eax
    push %eax
    pushw $(boot_gdt_end - boot_gdt - 1)
    lgdt (%esp)
    lea AT(1f), %eax
    push $CODE
    push %eax
    lret

    .code64
1:  mov $CODE + 8, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    lea tarn_guard1(%rip), %rsp
    xor %ebp, %ebp
    mov %ebx, %ebx
    mov %rbx, %rdi
    call tarn_virtio_place
    lea tarn_virtio_boot(%rip), %rcx
    lea tarn_guard1(%rip), %rsp
    add %rax, %rcx
    add %rax, %rsp
    mov %rbx, %rdi
    call *%rcx
    ud2

    .text
/* Waits for an interrupt. They are open nowhere else, and the first one closes them again, so no
 * code of this image is ever interrupted. Every device's means the same: look who it was. */
    .globl guest_halt
    .type guest_halt, @function
guest_halt:
    sti
    hlt
    cli
    ret
    .size guest_halt, . - guest_halt

    .globl tarn_virtio_timer
    .type tarn_virtio_timer, @function
tarn_virtio_timer:
    movb $1, guest_timer_fired(%rip)
    .size tarn_virtio_timer, . - tarn_virtio_timer

    .globl tarn_virtio_wake
    .type tarn_virtio_wake, @function
tarn_virtio_wake:
    andl $~0x200, 16(%rsp)
    iretq
    .size tarn_virtio_wake, . - tarn_virtio_wake

    .section .note.GNU-stack, "", @progbits
