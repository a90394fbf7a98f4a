/* SPDX-License-Identifier: ISC */
#include <tarn/alloc.h>

void *tarn_alloc_array(struct tarn_alloc *a, size_t count, size_t item_bytes, size_t align) {
    size_t bytes;
    if (__builtin_mul_overflow(count, item_bytes, &bytes))
        return NULL;
    return tarn_alloc_get(a, bytes, align);
}

static void *arena_get(struct tarn_alloc *a, size_t bytes, size_t align) {
    struct tarn_arena *arena = TARN_CONTAINER_OF(a, struct tarn_arena, alloc);
    uintptr_t base = (uintptr_t)arena->mem.ptr;
    TARN_ASSERT(align != 0 && (align & (align - 1)) == 0);
    size_t at = (size_t)(((base + arena->used + align - 1) & ~(uintptr_t)(align - 1)) - base);
    if (at > arena->mem.len || bytes > arena->mem.len - at)
        return NULL;
    arena->used = at + bytes;
    return arena->mem.ptr + at;
}

static void arena_put(struct tarn_alloc *a, void *ptr, size_t bytes) {
    struct tarn_arena *arena = TARN_CONTAINER_OF(a, struct tarn_arena, alloc);
    size_t at = (size_t)((uint8_t *)ptr - arena->mem.ptr);
    TARN_ASSERT(at <= arena->used && bytes <= arena->used - at);
    if (at + bytes == arena->used) {
        arena->used = at;
        __builtin_memset(ptr, 0, bytes); /* `get` promises zeroes */
    }
}

static const struct tarn_alloc_ops arena_ops = {.get = arena_get, .put = arena_put};

void tarn_arena_init(struct tarn_arena *arena, struct tarn_bytes zeroed) {
    *arena = (struct tarn_arena){.alloc = {&arena_ops}, .mem = zeroed};
}
