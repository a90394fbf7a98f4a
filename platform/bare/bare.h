/* SPDX-License-Identifier: ISC */
/* bare.h: what the targets without an operating system have in common: the canary and where the
 * compiler looks for it, the processor's own randomness, fiber stacks between guard pages, and the
 * functions that a compiler may call anywhere. */
#ifndef TARN_BARE_H
#define TARN_BARE_H

#include <tarn/span.h>

/* 64 random bits of the processor's; false where it has none to give. */
bool bare_cpu_random(uint64_t *out);

/* Sets the canary from `word`, and answers with what the FS base has to be from then on. Before
 * both, no function with a stack check may run. */
void *bare_set_canary(uint64_t word);

#define PAGE 4096u
#define IMAGE_BASE 0x100000u /* where images are linked; tarn_image is where this one is */
extern uint8_t tarn_image[];
/* What is set before the program begins, and can only be read from then on. */
#define SEALED __attribute__((section(".bss.sealed")))

/* Corrects the pointers of an image that is `slide` bytes behind where it was linked. Before it,
 * nothing may use one. */
void bare_relocate(uint64_t slide);

/* Says it on the console, and ends the program. The target's. */
_Noreturn void guest_die(const char *what);

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);

#endif
