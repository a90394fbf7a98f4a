/* SPDX-License-Identifier: ISC */
/* From the first instruction to the program. */
#include "guest.h"
#include <cpu.h>
#include <runtime.h>

/* Page tables for what is mapped beside image and heap: registers, firmware's tables. */
#define DEVICE_TABLES 16u

struct guest guest SEALED;
struct guest_counters guest_counters;
static uint8_t keys[CMDLINE_BYTES_MAX] SEALED;

extern uint8_t tarn_end[];

/* From entry.S, on the loop's stack, with the first gigabyte mapped as it is. */
_Noreturn void tarn_virtio_boot(uint64_t info);
void tarn_virtio_timer(void);
void tarn_virtio_wake(void);
volatile bool guest_timer_fired;

/* Without any entropy the time-stamp counter is better than a constant, and no more is claimed for
 * it. */
__attribute__((no_stack_protector)) static uint64_t canary(void) {
    uint64_t word;
    if (!bare_cpu_random(&word))
        word = __builtin_ia32_rdtsc() * 0x9e3779b97f4a7c15u;
    return word;
}

struct tarn_span guest_low_memory(uint64_t addr, uint64_t len) {
    if (addr == 0 || addr > GUEST_LOW_MEMORY || len > GUEST_LOW_MEMORY - addr)
        return TARN_SPAN_EMPTY;
    const uint8_t *ptr = (const uint8_t *)(uintptr_t)addr;
    __asm__("" : "+r"(ptr)); /* an address that no object of ours has */
    return tarn_span_of(ptr, len);
}

/* Xen's first domain gets version 0, which ends in front of the memory map. */
static bool read_start(uint64_t addr, struct pvh_info *info) {
    enum { VERSION = 4, MAP = 40 };
    uint8_t one[PVH_INFO_BYTES];
    struct tarn_span start = guest_low_memory(addr, PVH_INFO_BYTES);
    if (pvh_read(start, info))
        return true;
    if (!guest.xen || start.len < sizeof one)
        return false;
    tarn_bytes_copy(TARN_BYTES_ARRAY(one), tarn_span_first(start, MAP));
    TARN_AT(one, VERSION) = 1;
    return pvh_read(TARN_SPAN_ARRAY(one), info);
}

static void read_info(uint64_t addr) {
    struct pvh_info info;
    struct boot_range memory;
    if (!read_start(addr, &info))
        guest_die("the loader left no PVH start information with a memory map");
    struct tarn_span text = guest_low_memory(info.cmdline, CMDLINE_BYTES_MAX), cmdline;
    struct tarn_writer w = TARN_WRITER_ARRAY(keys);
    tarn_span_split(&text, 0, &cmdline);
    boot_cmdline(cmdline, &w, &guest.machine);
    if (!tarn_writer_ok(&w))
        guest_die("the command line is too long");
    guest.keys = tarn_writer_span(&w);
    uint32_t regions = TARN_MIN(info.memmap_entries, BOOT_REGIONS_MAX);
    uint32_t modules = TARN_MIN(info.modules, BOOT_REGIONS_MAX);
    struct tarn_span map =
        guest_low_memory(info.memmap, (uint64_t)regions * PVH_MEMMAP_ENTRY_BYTES);
    if (map.len == 0 && guest.xen)
        map = guest_xen_memmap();
    if (!pvh_memory(map, guest_low_memory(info.modlist, (uint64_t)modules * 32),
                    (uintptr_t)tarn_end, &memory))
        guest_die("no memory behind the image");
    guest_mmu_init(memory.from, memory.to, false, DEVICE_TABLES);
    struct acpi_memory tables = {.at = guest_mmu_read};
    (void)!acpi_read(&tables, info.rsdp, &guest.acpi, &guest.machine);
}

/* Firecracker measures boots up to where this byte is written. */
static void tell_boot_timer(void) {
    enum { BOOTED = 123 };
    volatile uint8_t *timer = guest.acpi.has_boot_timer ? guest_mmu_device(0xc0000000, 1) : NULL;
    if (timer)
        *timer = BOOTED;
}

__attribute__((no_stack_protector)) void tarn_virtio_boot(uint64_t info) {
    msr_write(MSR_FS_BASE, (uintptr_t)bare_set_canary(canary()));
    guest_traps_init(tarn_virtio_wake);
    guest_traps_gate(TIMER_VECTOR, tarn_virtio_timer);
    guest_protect();
    guest.xen = guest_is_xen();
    read_info(info);
    guest_apic_init();
    guest_clock_init();
    guest_devices_init();
    guest_mmu_seal();
    tell_boot_timer();
    struct tarn_program program = tarn_program_linked();
    tarn_platform_exit(tarn_runtime_run(&program, guest.keys));
}
