/* SPDX-License-Identifier: ISC */
/* The first instructions, and where interrupts go. */

PAGE = 0x1000
CODE = 8

/* PVH: the loader finds the 32-bit entry point in this note, and puts the address of the start
 * information into EBX. Protected mode, flat segments, no paging, interrupts off. */
    .section .note.Xen, "a", @note
    .align 4
    .long 4, 4, 18          /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long tarn_virtio_start

    .section .rodata.boot, "a", @progbits
    .align 8
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff /* 64-bit code */
    .quad 0x00cf93000000ffff /* data */
boot_gdt_end:
boot_gdt_ptr:
    .word boot_gdt_end - boot_gdt - 1
    .long boot_gdt

/* Tables for the first gigabyte as it is, until the C code has made those that are kept. They lie in
 * what will be the main fiber's stack. */
boot_tables = tarn_guard1 + PAGE

    .section .text.tarn_virtio_start, "ax", @progbits
    .code32
    .globl tarn_virtio_start
    .type tarn_virtio_start, @function
tarn_virtio_start:
    cli
    cld
    mov $boot_tables, %edi
    xor %eax, %eax
    mov $(2 * PAGE / 4), %ecx
    rep stosl
    movl $(boot_tables + PAGE + 3), boot_tables
    movl $(boot_tables + 2 * PAGE + 3), boot_tables + PAGE
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
    mov $boot_tables, %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx    /* EFER: long mode, no-execute */
    rdmsr
    or $0x900, %eax
    wrmsr
    mov $0x80010023, %eax    /* CR0: PG, WP, NE, MP, PE */
    mov %eax, %cr0
    lgdt boot_gdt_ptr
    ljmp $CODE, $1f

    .code64
1:  mov $CODE + 8, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    lea tarn_guard1, %rsp
    xor %ebp, %ebp
    mov %ebx, %edi
    call tarn_virtio_boot
    ud2
    .size tarn_virtio_start, . - tarn_virtio_start

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
