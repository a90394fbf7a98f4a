/* SPDX-License-Identifier: ISC */
/* From the first instruction to the program: the processor becomes ours (tables for exceptions and
 * pages), nothing that the tender says is used unchecked, and no function with a stack check runs
 * before there is a canary. */
#include "guest.h"
#include <runtime.h>

/* The dynamic loader that a kernel would look for, if somebody ran the image directly: it says
 * "no such file" instead of running it. */
__attribute__((section(".interp"), used)) static const char interp[] = "/nonexistent/solo5/";

struct note {
    uint32_t name_bytes, desc_bytes, type;
    char name[8];
    uint32_t desc[4];
};
__attribute__((section(".note.tarn.abi"), used, aligned(4))) static const struct note abi_note = {
    .name_bytes = sizeof SOLO5_NOTE_NAME,
    .desc_bytes = 16,
    .type = SOLO5_NOTE_ABI,
    .name = SOLO5_NOTE_NAME,
    .desc = {SOLO5_TARGET_HVT, SOLO5_ABI_VERSION, 0, 0},
};
__attribute__((section(".note.tarn.wish"), used, aligned(4))) static const struct note wish_note = {
    .name_bytes = sizeof SOLO5_NOTE_TARN_NAME,
    .desc_bytes = 16,
    .type = HVT_NOTE_TARN,
    .name = SOLO5_NOTE_TARN_NAME,
    .desc = {1, HVT_FEATURE_ENTROPY | HVT_FEATURE_FLUSH | HVT_FEATURE_MANY | HVT_FEATURE_STAY},
};

struct guest guest SEALED;

extern uint8_t tarn_end[];
extern char __start_tarn_devices[], __stop_tarn_devices[];

/* From entry.S, on the loop's stack, with the tender's page tables. */
_Noreturn void tarn_hvt_boot(const struct hvt_boot *boot);

/* Without any entropy the time-stamp counter is better than a constant, and no more is claimed for
 * it. */
__attribute__((no_stack_protector)) static uint64_t canary(const struct hvt_grant *grant) {
    uint64_t word = 0;
    if (grant && (grant->features & HVT_FEATURE_ENTROPY))
        __builtin_memcpy(&word, grant->seed, sizeof word);
    else if (!bare_cpu_random(&word))
        word = cpu_tsc() * 0x9e3779b97f4a7c15u;
    return word;
}

static bool boot_is_sound(const struct hvt_boot *boot, struct tarn_span *cmdline) {
    uint64_t slide = (uintptr_t)tarn_image - SOLO5_IMAGE_BASE;
    uint64_t low = HVT_BOOT + sizeof *boot;
    if (boot->mem_size % PAGE || boot->mem_size > HVT_MEM_MAX || boot->kernel_end > boot->mem_size
        || boot->kernel_end < (uintptr_t)tarn_end - slide || boot->mem_size < (uintptr_t)tarn_end)
        return false;
    if (boot->manifest < low
        || boot->manifest > SOLO5_IMAGE_BASE - SOLO5_MANIFEST_BYTES(SOLO5_ENTRIES_MAX)
        || boot->manifest % 8 || boot->cmdline < low
        || boot->cmdline > SOLO5_IMAGE_BASE - SOLO5_CMDLINE_BYTES_MAX)
        return false;
    struct tarn_span text =
        tarn_span_of((const void *)(uintptr_t)boot->cmdline, SOLO5_CMDLINE_BYTES_MAX);
    return tarn_span_split(&text, 0, cmdline);
}

/* The tender hands back our own manifest: the same devices, with what is attached filled in. */
static bool manifest_is_ours(const struct solo5_manifest *m) {
    struct tarn_span ours =
        tarn_span_of(__start_tarn_devices, (size_t)(__stop_tarn_devices - __start_tarn_devices));
    if (m->version != SOLO5_MANIFEST_VERSION
        || m->entries != 1 + ours.len / sizeof(struct solo5_entry))
        return false;
    for (uint32_t i = 1; i < m->entries; i++) {
        struct tarn_span mine;
        size_t declared = offsetof(struct solo5_entry, u); /* name and type */
        if (!tarn_span_take(&ours, sizeof(struct solo5_entry), &mine)
            || !tarn_span_equal(tarn_span_first(mine, declared),
                                tarn_span_of(&m->entry[i], declared)))
            return false;
    }
    return true;
}

/* Memory comes zeroed. Its last page is nobody's: what a hypercall names has to end below the end.
 * What the tender wrote stays readable, and nothing else below the image is there. */
static void map_memory(const struct hvt_boot *boot) {
    size_t info = HVT_GRANT + sizeof(struct hvt_grant) - HVT_BOOT;
    msr_write(MSR_EFER, msr_read(MSR_EFER) | 1 << 11);
    guest_mmu_init(TARN_MAX(boot->kernel_end, (uintptr_t)tarn_end), boot->mem_size - PAGE, true, 0);
    if (guest_mmu_read(HVT_BOOT, info).len == 0)
        guest_die("not enough memory for page tables");
}

__attribute__((no_stack_protector)) void tarn_hvt_boot(const struct hvt_boot *boot) {
    const struct hvt_grant *grant = guest_find_grant();
    msr_write(MSR_FS_BASE, (uintptr_t)bare_set_canary(canary(grant)));
    guest_traps_init(NULL);
    guest_protect();
    struct tarn_span cmdline;
    if ((uintptr_t)boot != HVT_BOOT || !boot_is_sound(boot, &cmdline))
        guest_die("the boot information is not what the hvt ABI promises");
    const struct solo5_manifest *manifest = (const void *)(uintptr_t)boot->manifest;
    if (!manifest_is_ours(manifest))
        guest_die("the tender's manifest is not this image's");
    guest = (struct guest){.boot = boot, .manifest = manifest, .cmdline = cmdline, .grant = grant};
    guest_clock_init();
    map_memory(boot);
    guest_mmu_seal();
    struct tarn_program program = tarn_program_linked();
    tarn_platform_exit(tarn_runtime_run(&program, cmdline));
}
