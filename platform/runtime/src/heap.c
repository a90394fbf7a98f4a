/* SPDX-License-Identifier: ISC */
/* The program's memory: used from its front, once. What is large (pools, tables, buffers) stands
 * with its end at a page that nothing may touch, and with another one in front, where the platform
 * can forbid pages: then a write behind one pool ends the program, and does not reach the next. */
#include "internal.h"

#define PAGE ((size_t)4096)
#define GUARDED_BYTES_MIN ((size_t)16 << 10)

static size_t page_up(size_t offset) {
    return (offset + PAGE - 1) & ~(PAGE - 1);
}

/* Platforms give whole pages. */
static void *guarded_get(struct heap *heap, size_t bytes, size_t align) {
    size_t front = page_up(heap->used);
    bool is_guarded = front == heap->guard_end && front > 0;
    if (bytes > heap->mem.len || align > PAGE)
        return NULL;
    size_t first = is_guarded ? front : front + PAGE, end = first + page_up(bytes);
    if (end + PAGE > heap->mem.len || (!is_guarded && !tarn_platform_guard(heap->mem.ptr + front)))
        return NULL;
    heap->used = heap->guard_end = first;
    if (!tarn_platform_guard(heap->mem.ptr + end))
        return NULL;
    heap->used = heap->guard_end = end + PAGE;
    return heap->mem.ptr + ((end - bytes) & ~(align - 1));
}

static void *plain_get(struct heap *heap, size_t bytes, size_t align) {
    uintptr_t base = (uintptr_t)heap->mem.ptr;
    size_t at = (size_t)(((base + heap->used + align - 1) & ~(uintptr_t)(align - 1)) - base);
    if (at > heap->mem.len || bytes > heap->mem.len - at)
        return NULL;
    heap->used = at + bytes;
    return heap->mem.ptr + at;
}

static void *heap_get(struct tarn_alloc *a, size_t bytes, size_t align) {
    struct heap *heap = TARN_CONTAINER_OF(a, struct heap, alloc);
    TARN_ASSERT(align != 0 && (align & (align - 1)) == 0);
    void *got = bytes >= GUARDED_BYTES_MIN ? guarded_get(heap, bytes, align) : NULL;
    return got ? got : plain_get(heap, bytes, align);
}

/* Only the newest piece comes back, and none that stands between guards: those are there for good.
 */
static void heap_put(struct tarn_alloc *a, void *ptr, size_t bytes) {
    struct heap *heap = TARN_CONTAINER_OF(a, struct heap, alloc);
    size_t at = (size_t)((uint8_t *)ptr - heap->mem.ptr);
    TARN_ASSERT(at <= heap->used && bytes <= heap->used - at);
    if (at + bytes == heap->used) {
        heap->used = at;
        __builtin_memset(ptr, 0, bytes); /* `get` promises zeroes */
    }
}

void tarn_runtime_heap_init(struct heap *heap, struct tarn_bytes zeroed) {
    static const struct tarn_alloc_ops ops = {.get = heap_get, .put = heap_put};
    *heap = (struct heap){.alloc = {&ops}, .mem = zeroed};
}
