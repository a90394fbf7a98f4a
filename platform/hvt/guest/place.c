/* SPDX-License-Identifier: ISC */
/* Tarn's tender loads the image somewhere behind where it was linked, where its protection of code
 * and constants holds. Another one puts it where it was linked; then it is copied to a random place
 * behind. Its pointers are corrected, before anything else: nothing in this file may use one, or a
 * stack check, or the data of the image. */
#include "guest.h"

/* Below this the copy would cost more memory than can be spared. */
#define MEMORY_MIN ((uint64_t)4 << 20)
/* Of the memory behind the image, so much at most is left unused. */
#define SHARE 8u

extern uint8_t tarn_loaded_end[];

/* From entry.S, on the stack that the tender gives. */
__attribute__((used)) uint64_t tarn_hvt_place(const struct hvt_boot *boot);

__attribute__((no_stack_protector)) static uint64_t choose(const struct hvt_boot *boot) {
    const struct hvt_grant *grant = guest_find_grant();
    uint64_t word = 0;
    /* At least so far that nothing is written where the tender has made pages read-only, and that
     * what has to be zero is. */
    uint64_t least =
        ((uintptr_t)tarn_loaded_end - (uintptr_t)tarn_image + PAGE) & ~(uint64_t)(PAGE - 1);
    if (boot->mem_size < MEMORY_MIN || boot->kernel_end > boot->mem_size
        || (grant && (grant->features & (HVT_FEATURE_STAY | HVT_FEATURE_MOVE))))
        return 0;
    uint64_t pages = (boot->mem_size - boot->kernel_end) / SHARE / PAGE;
    if (least >= pages * PAGE)
        return 0;
    if (grant && (grant->features & HVT_FEATURE_ENTROPY))
        __builtin_memcpy(&word, grant->seed + sizeof word, sizeof word);
    else if (!bare_cpu_random(&word))
        word = cpu_tsc() * 0x9e3779b97f4a7c15u;
    pages -= least / PAGE;
    return least + PAGE * ((word >> 16) % pages);
}

/* Answers with how far the image is now from where it was loaded. */
__attribute__((no_stack_protector)) uint64_t tarn_hvt_place(const struct hvt_boot *boot) {
    uint64_t moved = (uintptr_t)tarn_image - IMAGE_BASE, slide = choose(boot);
    if (moved)
        bare_relocate(moved);
    if (slide == 0)
        return 0;
    uintptr_t from = (uintptr_t)tarn_image, to = from + slide;
    size_t n = (size_t)(tarn_loaded_end - tarn_image);
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
    bare_relocate(slide);
    return slide;
}
