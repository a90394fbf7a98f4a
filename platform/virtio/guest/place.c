/* SPDX-License-Identifier: ISC */
/* A load address of our own choice. The loader puts the image where it was linked; here it is
 * copied to a random place behind, and its pointers are corrected, before anything else. What runs
 * until then is the image where it was, whose pointers are right there. */
#include "guest.h"
#include <cpu.h>

/* Below this the copy would cost more memory than can be spared. */
#define MEMORY_MIN ((uint64_t)4 << 20)
/* Of the memory behind the image, so much at most is left unused. */
#define SHARE 8u
/* entry.S: the page tables of the start, in front of which is our stack, and a guard's page. */
#define BOOT_TABLE_PAGES 4u

extern uint8_t tarn_loaded_end[], tarn_guard0[], tarn_guard1[], tarn_end[];

/* From entry.S. Answers with how far the image is from where it was linked. */
uint64_t tarn_virtio_place(uint64_t info);

static bool wants_to_stay(uint64_t cmdline) {
    struct tarn_span text = guest_low_memory(cmdline, CMDLINE_BYTES_MAX), line;
    struct boot_machine machine = {0};
    struct tarn_writer none = {0};
    tarn_span_split(&text, 0, &line);
    boot_cmdline(line, &none, &machine);
    return machine.stay;
}

/* The memory behind the image that entry.S has mapped; none where the loader left anything else
 * there. */
static uint64_t memory_end(const struct pvh_info *info, uint64_t at) {
    struct boot_range memory;
    uint32_t regions = TARN_MIN(info->memmap_entries, BOOT_REGIONS_MAX);
    if (info->modules || at > IMAGE_BASE || info->cmdline > IMAGE_BASE - CMDLINE_BYTES_MAX
        || !pvh_memory(guest_low_memory(info->memmap, (uint64_t)regions * PVH_MEMMAP_ENTRY_BYTES),
                       TARN_SPAN_EMPTY, (uintptr_t)tarn_end, &memory))
        return 0;
    return TARN_MIN(memory.to, GUEST_LOW_MEMORY);
}

static uint64_t choose(uint64_t at) {
    struct pvh_info info;
    uint64_t word;
    if (!pvh_read(guest_low_memory(at, PVH_INFO_BYTES), &info))
        return 0;
    uint64_t end = memory_end(&info, at), from = (uintptr_t)tarn_end;
    uint64_t least = (uintptr_t)tarn_guard1 + BOOT_TABLE_PAGES * PAGE - (uintptr_t)tarn_image;
    if (end < MEMORY_MIN || end < from || wants_to_stay(info.cmdline))
        return 0;
    uint64_t pages = (end - from) / SHARE / PAGE;
    if (least >= pages * PAGE)
        return 0;
    if (!bare_cpu_random(&word))
        word = cpu_tsc() * 0x9e3779b97f4a7c15u;
    pages -= least / PAGE;
    return least + PAGE * ((word >> 16) % pages);
}

/* Nobody has promised that memory is zero, so the part that is not loaded is made so, but for the
 * stacks. */
__attribute__((no_stack_protector)) uint64_t tarn_virtio_place(uint64_t info) {
    uint64_t slide = choose(info);
    if (slide == 0)
        return 0;
    uintptr_t from = (uintptr_t)tarn_image, to = from + slide;
    size_t n = (size_t)(tarn_loaded_end - tarn_image) / 8;
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
    n = (size_t)(tarn_guard0 - tarn_loaded_end) / 8;
    __asm__ volatile("rep stosq" : "+D"(to), "+c"(n) : "a"(0) : "memory");
    bare_relocate(slide);
    return slide;
}
