/* SPDX-License-Identifier: ISC */
/* tarn-spt: runs an spt image in this process, with nothing but the system calls of its ABI. */
#include "spt.h"

#define VNET_MEM_MIN ((uint64_t)8 << 20)
#define GRANTS                                                                                     \
    (SPT_FEATURE_ENTROPY | SPT_FEATURE_VNET | SPT_FEATURE_SCATTER | SPT_FEATURE_RANGES             \
     | SPT_FEATURE_FLUSH | SPT_FEATURE_PROTECT | SPT_FEATURE_MOVE)

const char tender_name[] = "tarn-spt";

static const char usage[] =
    "usage: tarn-spt [OPTIONS] [--] IMAGE [ARGUMENTS]\n"
    "Runs IMAGE, an executable for the Solo5 spt ABI, in a process that can do nothing else.\n"
    "\n"
    "  --mem=MB                 memory for the program (512)\n"
    "  --net:NAME=TAP           attach the tap interface TAP, or the open file @FD, as network NAME\n"
    "  --net-mac:NAME=MAC       its address (random)\n"
    "  --block:NAME=FILE        attach a file or block device as disk NAME\n"
    "  --block-sector-size:NAME=BYTES  (512)\n"
    "  --pcap=FILE              capture every frame of every tap\n"
    "  --help, --version\n"
    "\n"
    "ARGUMENTS go to the program; IMAGE --help lists what it takes.\n";

static void grant(struct tender *t) {
    t->granted = t->image.wishes & GRANTS;
    /* Super-segments need packets of 64 KB, of which a small guest has none. */
    if (t->mem_size < VNET_MEM_MIN || !(t->granted & SPT_FEATURE_SCATTER))
        t->granted &= ~(uint32_t)SPT_FEATURE_VNET;
    t->vnet = t->granted & SPT_FEATURE_VNET;
}

static const struct tender_kind spt = {
    .usage = usage,
    .version = "Solo5 spt ABI",
    .target = {SOLO5_TARGET_SPT, SPT_NOTE_TARN},
    .grant = grant,
};

/* From the filter on, nothing but this: no library call, no stack check. The thread area is taken
 * away with the rest of the registers. */
__attribute__((no_stack_protector)) _Noreturn static void enter(const struct tender *t) {
    sandbox_install(t);
    register uint64_t stack __asm__("rbx") = t->mem_size - 8;
    register uint64_t entry __asm__("r12") = t->image.entry;
    __asm__ volatile("mov $158, %%eax\n" /* arch_prctl(ARCH_SET_FS, 0) */
                     "mov $0x1002, %%edi\n"
                     "xor %%esi, %%esi\n"
                     "syscall\n"
                     "mov %%rbx, %%rsp\n"
                     "mov %%r12, %%r11\n"
                     "mov %2, %%edi\n"
                     "xor %%eax, %%eax\n"
                     "xor %%ebx, %%ebx\n"
                     "xor %%ecx, %%ecx\n"
                     "xor %%edx, %%edx\n"
                     "xor %%esi, %%esi\n"
                     "xor %%ebp, %%ebp\n"
                     "xor %%r8d, %%r8d\n"
                     "xor %%r9d, %%r9d\n"
                     "xor %%r10d, %%r10d\n"
                     "xor %%r12d, %%r12d\n"
                     "xor %%r13d, %%r13d\n"
                     "xor %%r14d, %%r14d\n"
                     "xor %%r15d, %%r15d\n"
                     "jmp *%%r11\n"
                     :
                     : "r"(stack), "r"(entry), "i"(SPT_BOOT_BASE)
                     : "memory");
    __builtin_unreachable();
}

int main(int argc, char **argv) {
    static struct tender t;
    if (argc < 1)
        return 1;
    char **args = tender_begin(&t, &spt, argv);
    memory_map(&t);
    memory_fill(&t, args);
    tender_forget_environment();
    crash_prepare(&t);
    privileges_drop(&t);
    enter(&t);
}
