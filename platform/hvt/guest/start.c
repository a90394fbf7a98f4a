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
    .desc = {1, HVT_FEATURE_ENTROPY | HVT_FEATURE_FLUSH | HVT_FEATURE_MANY | HVT_FEATURE_STAY
                    | HVT_FEATURE_MOVE},
};

struct guest guest SEALED;

extern uint8_t tarn_end[];

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
    return solo5_find_cmdline(low, boot->manifest, boot->cmdline, cmdline);
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
    if (!solo5_take_manifest(manifest))
        guest_die("the tender's manifest is not this image's");
    guest = (struct guest){.boot = boot, .cmdline = cmdline, .grant = grant};
    guest_clock_init();
    map_memory(boot);
    guest_mmu_seal();
    struct tarn_program program = tarn_program_linked();
    tarn_platform_exit(tarn_runtime_run(&program, cmdline));
}
