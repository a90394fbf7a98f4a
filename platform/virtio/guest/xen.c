/* SPDX-License-Identifier: ISC */
/* Xen: what it tells by hypercall. Its first domain gets start information of version 0, which has
 * no memory map; and its console, and the rate of the time-stamp counter, are Xen's to give. */
#include "guest.h"
#include <cpu.h>

enum { MEMORY_OP = 12, CONSOLE_IO = 18 };
enum { XENMEM_MEMORY_MAP = 9, CONSOLEIO_WRITE = 0 };
#define XEN_LEAF 0x40000000u
#define E820_BYTES 20u

bool guest_is_xen(void) {
    struct cpuid r = cpuid(XEN_LEAF, 0); /* "XenVMMXenVMM" */
    return cpuid(1, 0).c >> 31 && r.b == 0x566e6558 && r.c == 0x65584d4d && r.d == 0x4d4d566e;
}

static long call(unsigned long nr, unsigned long a, const void *b, const void *c) {
    bool amd = cpuid(0, 0).b == 0x68747541; /* "Auth" */
    long ret = (long)nr;
    if (amd)
        __asm__ volatile("vmmcall" : "+a"(ret), "+D"(a), "+S"(b), "+d"(c) : : "memory");
    else
        __asm__ volatile("vmcall" : "+a"(ret), "+D"(a), "+S"(b), "+d"(c) : : "memory");
    return ret;
}

struct tarn_span guest_xen_memmap(void) {
    static uint8_t e820[BOOT_REGIONS_MAX * E820_BYTES],
        map[BOOT_REGIONS_MAX * PVH_MEMMAP_ENTRY_BYTES];
    struct {
        uint32_t count, unused;
        void *buffer;
    } ask = {BOOT_REGIONS_MAX, 0, e820};
    struct tarn_writer w = TARN_WRITER_ARRAY(map);
    if (call(MEMORY_OP, XENMEM_MEMORY_MAP, &ask, NULL) != 0)
        return TARN_SPAN_EMPTY;
    struct tarn_span left = tarn_span_first(TARN_SPAN_ARRAY(e820), (size_t)ask.count * E820_BYTES),
                     one;
    while (tarn_span_take(&left, E820_BYTES, &one)) {
        tarn_writer_span_put(&w, one);
        tarn_writer_u32le(&w, 0);
    }
    return tarn_writer_span(&w);
}

bool guest_xen_console(struct tarn_span text) {
    return call(CONSOLE_IO, CONSOLEIO_WRITE, (const void *)text.len, text.ptr) == 0;
}

uint64_t guest_xen_tsc_hz(void) {
    return (uint64_t)cpuid(XEN_LEAF + 3, 0).c * 1000;
}
