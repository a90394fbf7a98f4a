/* SPDX-License-Identifier: ISC */
#include "bare.h"

/* The linker's list of pointers: R_X86_64_RELATIVE, every one. */
struct relocation {
    uint64_t offset, info, addend;
};
extern const struct relocation tarn_relocations[], tarn_relocations_end[];

__attribute__((no_stack_protector)) void bare_relocate(uint64_t slide) {
    for (const struct relocation *r = tarn_relocations; r < tarn_relocations_end; r++)
        *(uint64_t *)(uintptr_t)(r->offset + slide) = r->addend + slide;
}
