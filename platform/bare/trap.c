/* SPDX-License-Identifier: ISC */
/* The processor's tables: segments, and where exceptions and interrupts go. */
#include "cpu.h"
#include "machine.h"

enum { CODE = 0x08, DATA = 0x10, TASK = 0x18 };
enum { VECTOR_PAGE_FAULT = 14, VECTORS = 0x30 };
#define GATE_INTERRUPT 0x8e00u
#define STACK_BYTES 8192u

struct gate {
    uint16_t offset0, segment, flags, offset1;
    uint32_t offset2, reserved;
};
struct task {
    uint32_t reserved0;
    uint64_t rsp[3], reserved1, ist[7] __attribute__((packed));
    uint64_t reserved2;
    uint16_t reserved3, io_map;
} __attribute__((packed));
_Static_assert(sizeof(struct task) == 104, "fixed by the processor");
struct table {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

static struct gate gates[VECTORS] SEALED;
static struct task task SEALED;
static uint64_t segments[5] SEALED;
static uint8_t stack[STACK_BYTES] __attribute__((aligned(16)));

extern const uint8_t guest_trap_entries[];
__attribute__((used)) void guest_trap(const struct guest_frame *frame);

static struct gate gate_to(uintptr_t to, unsigned ist) {
    return (struct gate){.offset0 = (uint16_t)to,
                         .segment = CODE,
                         .flags = (uint16_t)(GATE_INTERRUPT | ist),
                         .offset1 = (uint16_t)(to >> 16),
                         .offset2 = (uint32_t)(to >> 32)};
}

static void load_segments(void) {
    uint64_t base = (uintptr_t)&task;
    segments[CODE / 8] = 0x00af9b000000ffffull;
    segments[DATA / 8] = 0x00cf93000000ffffull;
    segments[TASK / 8] = 0x0000890000000000ull | (sizeof task - 1) | (base & 0xffffff) << 16
                         | (base >> 24 & 0xff) << 56;
    segments[TASK / 8 + 1] = base >> 32;
    task.ist[0] = (uintptr_t)stack + sizeof stack;
    task.io_map = sizeof task;
    struct table gdt = {sizeof segments - 1, (uintptr_t)segments};
    __asm__ volatile("lgdt %0; ltr %w1" : : "m"(gdt), "r"(TASK) : "memory");
}

void guest_traps_init(void (*wake)(void)) {
    load_segments();
    for (unsigned v = 0; v < 32; v++)
        gates[v] = gate_to((uintptr_t)guest_trap_entries + 16 * v, 1);
    for (unsigned v = WAKE_VECTOR; wake && v < VECTORS; v++)
        gates[v] = gate_to((uintptr_t)wake, 0);
    struct table idt = {sizeof gates - 1, (uintptr_t)gates};
    __asm__ volatile("lidt %0" : : "m"(idt) : "memory");
}

void guest_traps_gate(unsigned vector, void (*to)(void)) {
    TARN_AT(gates, vector) = gate_to((uintptr_t)to, 0);
}

/* What of these the processor has: no code of user pages, no data of theirs, and no instruction
 * that tells them of us. There are no user pages; so much the better. */
void guest_protect(void) {
    enum { SMEP = 1 << 7, SMAP = 1 << 20, UMIP = 1 << 2 };
    enum { CR4_UMIP = 1 << 11, CR4_SMEP = 1 << 20, CR4_SMAP = 1 << 21 };
    struct cpuid features = cpuid(7, 0);
    uint64_t cr4 = cr4_read();
    cr4 |= features.b & SMEP ? CR4_SMEP : 0;
    cr4 |= features.b & SMAP ? CR4_SMAP : 0;
    cr4 |= features.c & UMIP ? CR4_UMIP : 0;
    cr4_write(cr4);
}

void guest_trap(const struct guest_frame *frame) {
    uint64_t addr = cr2_read();
    if (frame->vector == VECTOR_PAGE_FAULT && !(frame->error & 1) && guest_mmu_touch(addr)) {
        return;
    }
    guest_crash(frame, addr);
}
