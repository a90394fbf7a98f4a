/* SPDX-License-Identifier: ISC */
/* Ending, as each machine understands it: the test device's port, which alone can carry a status
 * that is not 0; ACPI's soft off; ACPI's reset register; the keyboard controller's reset line; and
 * a fault that the processor cannot handle. Where one has no effect the next has. */
#include "guest.h"
#include <cpu.h>

enum { DEBUG_EXIT = 0x501, KEYBOARD = 0x64, KEYBOARD_RESET = 0xfe };
enum { PM1_SLEEP = 1 << 13, SLEEP = 1 << 5 };

static void write_reg(const struct acpi_reg *reg, uint8_t v) {
    volatile uint8_t *at = reg->in_memory ? guest_mmu_device(reg->addr, 1) : NULL;
    if (at)
        *at = v;
    else if (reg->addr && !reg->in_memory)
        out8((uint16_t)reg->addr, v);
}

static void soft_off(const struct acpi_info *acpi) {
    uint8_t a, b;
    if (!acpi_find_s5(acpi->dsdt, &a, &b))
        return;
    if (acpi->pm1a_cnt)
        out16(acpi->pm1a_cnt, (uint16_t)(a << 10 | PM1_SLEEP));
    if (acpi->pm1b_cnt)
        out16(acpi->pm1b_cnt, (uint16_t)(b << 10 | PM1_SLEEP));
    write_reg(&acpi->sleep, (uint8_t)(a << 2 | SLEEP));
}

static void say_status(int status) {
    char text[64];
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    tarn_writer_str(&w, "tarn: ended with status ");
    tarn_writer_dec(&w, (uint64_t)status);
    tarn_writer_str(&w, "\n");
    tarn_platform_console(tarn_writer_span(&w));
}

void guest_power_off(int status) {
    static const struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) nothing;
    if (status != 0) {
        say_status(status & 255);
        out8(DEBUG_EXIT, (uint8_t)(status & 127));
    }
    soft_off(&guest.acpi);
    write_reg(&guest.acpi.reset, guest.acpi.reset_value);
    out8(KEYBOARD, KEYBOARD_RESET);
    for (;;)
        __asm__ volatile("lidt %0; int3" : : "m"(nothing));
}

void guest_crashed(const struct guest_frame *frame, uint64_t addr) {
    (void)frame, (void)addr;
    guest_power_off(70); /* sysexits' EX_SOFTWARE */
}

void tarn_platform_exit(int status) {
    if (guest.machine.counters)
        guest_devices_say_counters();
    guest_power_off(status);
}
