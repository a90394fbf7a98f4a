/* SPDX-License-Identifier: ISC */
/* The interrupt controllers: the processor's own (by its registers in memory, or as x2APIC by
 * MSRs), the I/O APICs that lines of devices go through, and the old PICs, which are silenced. */
#include "guest.h"
#include <cpu.h>

#define IOAPIC_DEFAULT 0xfec00000u
enum {
    ID = 0x20,
    EOI = 0xb0,
    SPURIOUS = 0xf0,
    LVT_TIMER = 0x320,
    LVT_LINT0 = 0x350,
    TIMER_COUNT = 0x380,
    TIMER_DIVIDE = 0x3e0
};
enum { ENABLE = 0x100, MASKED = 1 << 16, LEVEL = 1 << 15, DIVIDE_BY_1 = 0xb };
enum { BASE_X2APIC = 1 << 10, BASE_ENABLE = 1 << 11 };

static volatile uint8_t *local SEALED; /* NULL: x2APIC */
static uint32_t local_id SEALED;
static volatile uint8_t *io[BOOT_IOAPICS_MAX] SEALED;
static uint32_t io_gsi[BOOT_IOAPICS_MAX] SEALED;

static void local_write(uint32_t reg, uint32_t v) {
    if (local)
        *(volatile uint32_t *)(local + reg) = v;
    else
        msr_write(MSR_X2APIC + (reg >> 4), v);
}

static uint32_t local_read(uint32_t reg) {
    return local ? *(volatile uint32_t *)(local + reg)
                 : (uint32_t)msr_read(MSR_X2APIC + (reg >> 4));
}

static uint32_t io_read(volatile uint8_t *base, uint32_t reg) {
    *(volatile uint32_t *)base = reg;
    return *(volatile uint32_t *)(base + 16);
}

static void io_write(volatile uint8_t *base, uint32_t reg, uint32_t v) {
    *(volatile uint32_t *)base = reg;
    *(volatile uint32_t *)(base + 16) = v;
}

static void find_ioapics(void) {
    static const struct acpi_ioapic usual = {IOAPIC_DEFAULT, 0};
    uint32_t count = TARN_MAX(guest.acpi.ioapic_count, 1u);
    for (uint32_t i = 0; i < count; i++) {
        const struct acpi_ioapic *a =
            guest.acpi.ioapic_count ? &TARN_AT(guest.acpi.ioapic, i) : &usual;
        TARN_AT(io, i) = guest_mmu_device(a->addr, 32);
        TARN_AT(io_gsi, i) = a->gsi_base;
    }
}

void guest_apic_init(void) {
    uint64_t base = msr_read(MSR_APIC_BASE);
    out8(0x21, 0xff);
    out8(0xa1, 0xff);
    if (!(base & BASE_X2APIC)) {
        msr_write(MSR_APIC_BASE, base | BASE_ENABLE);
        local = guest_mmu_device(base & 0xffffff000ull, PAGE);
        if (!local)
            guest_die("the processor's interrupt controller is not where it says");
    }
    local_id = local ? local_read(ID) >> 24 : local_read(ID);
    local_write(SPURIOUS, ENABLE | SPURIOUS_VECTOR);
    local_write(LVT_LINT0, MASKED);
    local_write(TIMER_DIVIDE, DIVIDE_BY_1);
    local_write(LVT_TIMER, TIMER_VECTOR);
    find_ioapics();
}

uint64_t guest_apic_msi_addr(void) {
    return 0xfee00000u | (uint64_t)(local_id & 0xff) << 12;
}

bool guest_apic_route(const struct boot_mmio *device) {
    for (size_t i = 0; i < BOOT_IOAPICS_MAX; i++) {
        if (!io[i] || device->gsi < io_gsi[i])
            continue;
        uint32_t pin = device->gsi - io_gsi[i];
        if (pin > (io_read(io[i], 1) >> 16 & 0xff))
            continue;
        io_write(io[i], 0x11 + 2 * pin, local_id << 24);
        io_write(io[i], 0x10 + 2 * pin, device->level ? LEVEL | LEVEL_VECTOR : DEVICE_VECTOR);
        return true;
    }
    return false;
}

void guest_apic_oneshot(uint32_t count) {
    guest_counters.timers++;
    local_write(TIMER_COUNT, count);
}

void guest_apic_eoi(void) {
    local_write(EOI, 0);
}
