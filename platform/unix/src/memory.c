/* SPDX-License-Identifier: ISC */
#include <sys/mman.h>

#include "unix.h"

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define VALGRIND_STACK_REGISTER(start, end) ((void)0)
#endif

#define PAGE_BYTES ((size_t)4096)

/* Every stack has a record at its upper end, behind what the fiber sees of it, so that the crash
 * report can tell an overflow from any other bad access. */
struct stack_record {
    struct stack_record *next;
    uintptr_t guard;
};
static struct stack_record *stacks;

static uint8_t *map(size_t bytes, int protection) {
    void *p = mmap(NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static struct tarn_bytes heap;

struct tarn_bytes tarn_platform_heap(size_t bytes_wanted) {
    size_t bytes = unix_options.mem_bytes ? (size_t)unix_options.mem_bytes : bytes_wanted;
    uint8_t *mem = map(bytes, PROT_READ | PROT_WRITE);
    if (!mem)
        unix_say("--mem=%zu: the host has not so much memory", bytes >> 20);
    heap = tarn_bytes_of(mem, mem ? bytes : 0);
    return heap;
}

bool tarn_platform_guard(uint8_t *page) {
    return mprotect(page, PAGE_BYTES, PROT_NONE) == 0;
}

/* All of the heap is there but those. */
bool unix_is_heap_guard(uintptr_t address) {
    return address - (uintptr_t)heap.ptr < heap.len;
}

struct tarn_bytes tarn_platform_stack(size_t bytes) {
    bytes = (bytes + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    uint8_t *mem = map(PAGE_BYTES + bytes, PROT_NONE);
    if (!mem)
        return (struct tarn_bytes){NULL, 0};
    if (mprotect(mem + PAGE_BYTES, bytes, PROT_READ | PROT_WRITE) != 0) {
        munmap(mem, PAGE_BYTES + bytes);
        return (struct tarn_bytes){NULL, 0};
    }
    size_t usable = bytes - sizeof(struct stack_record);
    struct stack_record *record = (struct stack_record *)(void *)(mem + PAGE_BYTES + usable);
    *record = (struct stack_record){.next = stacks, .guard = (uintptr_t)mem};
    stacks = record;
    (void)VALGRIND_STACK_REGISTER(mem + PAGE_BYTES, mem + PAGE_BYTES + usable);
    return tarn_bytes_of(mem + PAGE_BYTES, usable);
}

bool unix_is_guard_page(uintptr_t address) {
    for (const struct stack_record *s = stacks; s; s = s->next)
        if (address - s->guard < PAGE_BYTES)
            return true;
    return false;
}
