/* SPDX-License-Identifier: ISC */
/* From the first instruction to the program: nothing that the tender says is used unchecked, and no
 * function with a stack check runs before there is a canary. */
#include "guest.h"
#include "sys.h"
#include <runtime.h>

/* The dynamic loader that a kernel would look for, if somebody ran the image directly: it says
 * "no such file" instead of running it outside of its sandbox. */
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
    .desc = {SOLO5_TARGET_SPT, SOLO5_ABI_VERSION, 0, 0},
};
__attribute__((section(".note.tarn.wish"), used, aligned(4))) static const struct note wish_note = {
    .name_bytes = sizeof SOLO5_NOTE_TARN_NAME,
    .desc_bytes = 16,
    .type = SPT_NOTE_TARN,
    .name = SOLO5_NOTE_TARN_NAME,
    .desc = {1, SPT_FEATURE_ENTROPY | SPT_FEATURE_VNET | SPT_FEATURE_SCATTER | SPT_FEATURE_RANGES
                    | SPT_FEATURE_FLUSH | SPT_FEATURE_PROTECT | SPT_FEATURE_MOVE},
};

struct guest tarn_spt_guest SEALED;

/* From entry.S, on the loop's stack; first, before anything has used a pointer or a canary. */
void tarn_spt_place(void);
_Noreturn void tarn_spt_boot(const struct spt_boot *boot);

void guest_die(const char *what) {
    tarn_platform_console(TARN_SPAN_LIT("tarn: "));
    tarn_platform_console(tarn_span_str(what));
    tarn_platform_console(TARN_SPAN_LIT("\n"));
    sys_exit_group(255);
}

enum tarn_err tarn_platform_entropy(struct tarn_bytes out) {
    while (out.len) {
        size_t n = TARN_MIN(out.len, (size_t)256);
        uint64_t word;
        if (guest_has(SPT_FEATURE_ENTROPY)) {
            if (sys_getrandom(out.ptr, n) != (long)n)
                return TARN_IO;
        } else {
            n = TARN_MIN(n, sizeof word);
            if (!bare_cpu_random(&word))
                return TARN_UNSUPPORTED;
            __builtin_memcpy(out.ptr, &word, n);
        }
        out = tarn_bytes_after(out, n);
    }
    return TARN_OK;
}

/* The grant lies where an upstream tender leaves zeros. */
__attribute__((no_stack_protector)) static const struct spt_grant *find_grant(void) {
    const struct spt_grant *grant = (const struct spt_grant *)(uintptr_t)SPT_MEM_BASE;
    __asm__("" : "+r"(grant)); /* an address that no object of ours has */
    return grant->magic == SPT_GRANT_MAGIC && grant->version == 1 ? grant : NULL;
}

/* Without any entropy the time-stamp counter is better than a constant, and no more is claimed for
 * it. */
__attribute__((no_stack_protector)) static uint64_t canary(const struct spt_grant *grant) {
    uint64_t word = 0;
    if (grant && (grant->features & SPT_FEATURE_ENTROPY))
        __builtin_memcpy(&word, grant->seed, sizeof word);
    else if (!bare_cpu_random(&word))
        word = __builtin_ia32_rdtsc() * 0x9e3779b97f4a7c15u;
    return word;
}

extern char tarn_spt_end[];

static bool boot_is_sound(const struct spt_boot *boot, struct tarn_span *cmdline) {
    uint64_t low = SPT_BOOT_BASE + sizeof *boot;
    if (boot->mem_size % SPT_PAGE || boot->kernel_end > boot->mem_size
        || boot->kernel_end < (uintptr_t)tarn_spt_end)
        return false;
    return solo5_find_cmdline(low, boot->manifest, boot->cmdline, cmdline);
}

/* The tender may have loaded the image behind where it was linked. */
__attribute__((no_stack_protector)) void tarn_spt_place(void) {
    uint64_t slide = (uintptr_t)tarn_image - IMAGE_BASE;
    if (slide)
        bare_relocate(slide);
}

__attribute__((no_stack_protector)) void tarn_spt_boot(const struct spt_boot *boot) {
    const struct spt_grant *grant = find_grant();
    if (sys_arch_prctl(SYS_ARCH_SET_FS, bare_set_canary(canary(grant))) != 0)
        sys_exit_group(255);
    struct tarn_span cmdline;
    if ((uintptr_t)boot != SPT_BOOT_BASE || !boot_is_sound(boot, &cmdline))
        guest_die("the boot information is not what the spt ABI promises");
    const struct solo5_manifest *manifest = (const void *)(uintptr_t)boot->manifest;
    if (!solo5_take_manifest(manifest))
        guest_die("the tender's manifest is not this image's");
    tarn_spt_guest = (struct guest){.boot = boot, .cmdline = cmdline, .grant = grant};
    guest_seal();
    struct tarn_program program = tarn_program_linked();
    tarn_platform_exit(tarn_runtime_run(&program, cmdline));
}
