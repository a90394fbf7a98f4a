/* SPDX-License-Identifier: ISC */
/* The one thread's block, and its canary. */
#include "bare.h"
#include <cpuid.h>
#include <platform.h>

/* What %fs points at: compilers read the canary at %fs:0x28, C libraries the pointer at %fs:0. */
static struct {
    void *self;
    uint64_t unused[4];
    uint64_t canary;
    uint64_t more[10];
} thread __attribute__((section(".bss.sealed")));
_Static_assert(offsetof(__typeof__(thread), canary) == 0x28, "fixed by the compilers");

/* Named by the compiler, after link-time optimisation has looked for who is named. */
__attribute__((used)) _Noreturn void __stack_chk_fail(void);

void __stack_chk_fail(void) {
    tarn_platform_console(TARN_SPAN_LIT("tarn: a stack buffer overflowed\n"));
    __builtin_trap();
}

/* RDSEED is the source itself and may be empty for a moment; RDRAND is what it feeds. */
__attribute__((no_stack_protector)) bool bare_cpu_random(uint64_t *out) {
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

/* A zero byte ends strings: with one lowest, none that overflows can write the canary back. */
__attribute__((no_stack_protector)) void *bare_set_canary(uint64_t word) {
    thread.self = &thread;
    thread.canary = word & ~(uint64_t)0xff;
    return &thread;
}
