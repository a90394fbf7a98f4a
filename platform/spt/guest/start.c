/* SPDX-License-Identifier: ISC */
/* From the first instruction to the program: nothing that the tender says is used unchecked, and no
 * function with a stack check runs before there is a canary. */
#include "guest.h"
#include "sys.h"
#include <cpuid.h>
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
                    | SPT_FEATURE_FLUSH},
};

struct guest tarn_spt_guest;

/* What %fs points at: compilers read the canary at %fs:0x28, C libraries the pointer at %fs:0. */
static struct {
    void *self;
    uint64_t unused[4];
    uint64_t canary;
    uint64_t more[10];
} thread;
_Static_assert(offsetof(__typeof__(thread), canary) == 0x28, "fixed by the compilers");

/* From entry.S, on the loop's stack. */
_Noreturn void tarn_spt_boot(const struct spt_boot *boot);
/* Named by the compiler, after link-time optimisation has looked for who is named. */
__attribute__((used)) _Noreturn void __stack_chk_fail(void);

void guest_die(const char *what) {
    tarn_platform_console(TARN_SPAN_LIT("tarn: "));
    tarn_platform_console(tarn_span_str(what));
    tarn_platform_console(TARN_SPAN_LIT("\n"));
    sys_exit_group(255);
}

void __stack_chk_fail(void) {
    tarn_platform_console(TARN_SPAN_LIT("tarn: a stack buffer overflowed\n"));
    __builtin_trap();
}

/* 64 random bits of the processor's; false where it has none to give. RDSEED is the source itself
 * and may be empty for a moment; RDRAND is what it feeds. */
__attribute__((no_stack_protector)) static bool cpu_random(uint64_t *out) {
    unsigned a, b, c, d;
    bool has_rdseed = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_RDSEED);
    bool has_rdrand = __get_cpuid(1, &a, &b, &c, &d) && (c & bit_RDRND);
    unsigned char ok = 0;
    for (unsigned i = 0; has_rdseed && !ok && i < 32; i++)
        __asm__ volatile("rdseed %0; setc %1" : "=r"(*out), "=qm"(ok) : : "cc");
    for (unsigned i = 0; has_rdrand && !ok && i < 32; i++)
        __asm__ volatile("rdrand %0; setc %1" : "=r"(*out), "=qm"(ok) : : "cc");
    return ok;
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
            if (!cpu_random(&word))
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

/* A zero byte ends strings: with one lowest, none that overflows can write the canary back. Without
 * any entropy the time-stamp counter is better than a constant, and no more is claimed for it. */
__attribute__((no_stack_protector)) static void set_canary(const struct spt_grant *grant) {
    uint64_t word = 0;
    if (grant && (grant->features & SPT_FEATURE_ENTROPY))
        __builtin_memcpy(&word, grant->seed, sizeof word);
    else if (!cpu_random(&word))
        word = __builtin_ia32_rdtsc() * 0x9e3779b97f4a7c15u;
    thread.self = &thread;
    thread.canary = word & ~(uint64_t)0xff;
}

extern char tarn_spt_end[];
extern char __start_tarn_devices[], __stop_tarn_devices[];

static bool boot_is_sound(const struct spt_boot *boot, struct tarn_span *cmdline) {
    uint64_t low = SPT_BOOT_BASE + sizeof *boot;
    if (boot->mem_size % SPT_PAGE || boot->kernel_end > boot->mem_size
        || boot->kernel_end < (uintptr_t)tarn_spt_end)
        return false;
    if (boot->manifest < low
        || boot->manifest > SPT_IMAGE_BASE - SOLO5_MANIFEST_BYTES(SOLO5_ENTRIES_MAX)
        || boot->manifest % 8 || boot->cmdline < low
        || boot->cmdline > SPT_IMAGE_BASE - SPT_CMDLINE_BYTES_MAX)
        return false;
    struct tarn_span text =
        tarn_span_of((const void *)(uintptr_t)boot->cmdline, SPT_CMDLINE_BYTES_MAX);
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

__attribute__((no_stack_protector)) void tarn_spt_boot(const struct spt_boot *boot) {
    const struct spt_grant *grant = find_grant();
    set_canary(grant);
    if (sys_arch_prctl(SYS_ARCH_SET_FS, &thread) != 0)
        sys_exit_group(255);
    struct tarn_span cmdline;
    if ((uintptr_t)boot != SPT_BOOT_BASE || !boot_is_sound(boot, &cmdline))
        guest_die("the boot information is not what the spt ABI promises");
    const struct solo5_manifest *manifest = (const void *)(uintptr_t)boot->manifest;
    if (!manifest_is_ours(manifest))
        guest_die("the tender's manifest is not this image's");
    tarn_spt_guest =
        (struct guest){.boot = boot, .manifest = manifest, .cmdline = cmdline, .grant = grant};
    struct tarn_program program = tarn_program_linked();
    tarn_platform_exit(tarn_runtime_run(&program, cmdline));
}
