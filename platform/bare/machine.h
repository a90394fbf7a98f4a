/* SPDX-License-Identifier: ISC */
/* machine.h: what the targets that own a processor (hvt, virtio) have in common: page tables,
 * exceptions, and the crash report. The image's linker script says where its parts are: tarn_image,
 * tarn_text, tarn_data, tarn_sealed, tarn_sealed_end, and the guards of stacks.ld. */
#ifndef TARN_BARE_MACHINE_H
#define TARN_BARE_MACHINE_H

#include "bare.h"
#include <platform.h>

/* -- mmu.c: page tables ---------------------------------------------------------------------------
 */

/* From here on only the image is mapped, each page with no more rights than it needs; the memory
 * [from, to) behind it is mapped as it is touched, and zeroed where it is not yet. `tables`: how
 * many page tables to keep for what is mapped beside those. */
void guest_mmu_init(uint64_t from, uint64_t to, bool zeroed, uint64_t tables);
/* Makes registers reachable; the address itself, or NULL. */
void *guest_mmu_device(uint64_t addr, size_t len);
/* Makes memory outside of the image and the heap readable. */
struct tarn_span guest_mmu_read(uint64_t addr, size_t len);
/* Ends writing to what is SEALED. */
void guest_mmu_seal(void);
/* Whether a fault at `addr` was the first touch of a page of the heap, which is there now. */
bool guest_mmu_touch(uint64_t addr);
/* What an address means to who reads a crash report. */
enum guest_page {
    PAGE_NONE,
    PAGE_NULL,
    PAGE_GUARD,
    PAGE_BETWEEN,
    PAGE_CODE,
    PAGE_READ,
    PAGE_WRITE
};
enum guest_page guest_mmu_page(uint64_t addr);
/* The physical address of memory that a device is to use. Its pages are there from now on. */
uint64_t guest_dma(const void *ptr, size_t len);
/* What is left of the heap; it is all the caller's. */
struct tarn_bytes guest_mmu_heap(void);

/* -- trap.c, crash.c ------------------------------------------------------------------------------
 */

#define WAKE_VECTOR 0x20u
struct guest_frame { /* as traps.S pushes it */
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};
/* `wake` is where interrupts go; NULL: the machine has none. */
void guest_traps_init(void (*wake)(void));
/* Another place to go for one of them. */
void guest_traps_gate(unsigned vector, void (*to)(void));
/* SMEP, SMAP and UMIP, where the processor has them. */
void guest_protect(void);
/* Says what happened, and hands over to guest_crashed. */
_Noreturn void guest_crash(const struct guest_frame *frame, uint64_t addr);
/* Ends the machine. The target's. */
_Noreturn void guest_crashed(const struct guest_frame *frame, uint64_t addr);

#endif
