/* SPDX-License-Identifier: ISC */
/* An allocator for tests: every piece is of its own from the C library, so that the sanitizers see
 * its edges; what is not given back can be asked for. */
#ifndef TESTS_BASE_MEMORY_H
#define TESTS_BASE_MEMORY_H

#include <stdlib.h>
#include <tarn/alloc.h>

struct memory {
    struct tarn_alloc alloc;
    size_t bytes, bytes_max; /* outstanding, and how many may be */
    size_t asked;            /* all that was ever given */
};

static inline void *memory_get(struct tarn_alloc *a, size_t bytes, size_t align) {
    struct memory *m = TARN_CONTAINER_OF(a, struct memory, alloc);
    if (bytes > m->bytes_max - m->bytes)
        return NULL;
    size_t rounded = (bytes + align - 1) & ~(align - 1);
    unsigned char *p = aligned_alloc(align < sizeof(void *) ? sizeof(void *) : align,
                                     align < sizeof(void *) ? (bytes + 7) & ~(size_t)7 : rounded);
    for (size_t i = 0; p && i < bytes; i++)
        p[i] = 0;
    m->bytes += bytes;
    m->asked += bytes;
    return p;
}

static inline void memory_put(struct tarn_alloc *a, void *ptr, size_t bytes) {
    struct memory *m = TARN_CONTAINER_OF(a, struct memory, alloc);
    m->bytes -= bytes;
    free(ptr);
}

static const struct tarn_alloc_ops memory_ops = {.get = memory_get, .put = memory_put};

#define MEMORY(limit) ((struct memory){.alloc = {&memory_ops}, .bytes_max = (limit)})

/* Under AddressSanitizer a trap ends the process all the same, but a read of poisoned memory does
 * so in the sanitizer's way. */
#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#else
#define WITH_ASAN 0
#endif

#endif
