/* SPDX-License-Identifier: ISC */
#include <tarn/pool.h>

#if defined(__SANITIZE_ADDRESS__)
#define TARN_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TARN_ASAN 1
#endif
#endif
#ifdef TARN_ASAN
void __asan_poison_memory_region(void const volatile *addr, size_t size);
void __asan_unpoison_memory_region(void const volatile *addr, size_t size);
#else
static void __asan_poison_memory_region(void const volatile *addr, size_t size) {
    (void)addr, (void)size;
}
static void __asan_unpoison_memory_region(void const volatile *addr, size_t size) {
    (void)addr, (void)size;
}
#endif

#define FREE_END UINT32_MAX

enum tarn_err tarn_pool_init(struct tarn_pool *pool, struct tarn_alloc *alloc, size_t item_bytes,
                             size_t align, uint32_t count) {
    TARN_ASSERT(count < 1u << 31 && item_bytes > 0 && item_bytes % align == 0);
    *pool = (struct tarn_pool){.item_bytes = item_bytes, .count = count, .free_head = FREE_END};
    pool->items = tarn_alloc_array(alloc, count, item_bytes, align);
    pool->slots = TARN_NEW_ARRAY(alloc, count, uint32_t);
    pool->next = TARN_NEW_ARRAY(alloc, count, uint32_t);
    if (count && (!pool->items || !pool->slots || !pool->next)) {
        tarn_pool_fini(pool, alloc);
        return TARN_LIMIT;
    }
    __asan_poison_memory_region(pool->items, (size_t)count * item_bytes);
    return TARN_OK;
}

/* In the order that lets an arena take all of it back. */
void tarn_pool_fini(struct tarn_pool *pool, struct tarn_alloc *alloc) {
    __asan_unpoison_memory_region(pool->items, (size_t)pool->count * pool->item_bytes);
    tarn_alloc_put(alloc, pool->next, pool->count * sizeof *pool->next);
    tarn_alloc_put(alloc, pool->slots, pool->count * sizeof *pool->slots);
    tarn_alloc_put(alloc, pool->items, (size_t)pool->count * pool->item_bytes);
    *pool = (struct tarn_pool){.free_head = FREE_END};
}

/* slots[i] is the slot's generation: odd while live. A slot that has used all its generations is
 * retired: after 2^31 lives, a stale handle must not resolve by wrapping around. */
void *tarn_pool_take(struct tarn_pool *pool) {
    uint32_t i;
    if (pool->free_head != FREE_END) {
        i = pool->free_head;
        TARN_ASSERT(i < pool->fresh && !(pool->slots[i] & 1));
        pool->free_head = pool->next[i];
    } else if (pool->fresh < pool->count) {
        i = pool->fresh++;
    } else {
        pool->exhausted++;
        return NULL;
    }
    pool->slots[i]++;
    pool->live++;
    pool->live_max = TARN_MAX(pool->live_max, pool->live);
    void *item = pool->items + (size_t)i * pool->item_bytes;
    __asan_unpoison_memory_region(item, pool->item_bytes);
    return item;
}

static uint32_t live_index(const struct tarn_pool *pool, const void *item) {
    size_t off = (size_t)((const uint8_t *)item - pool->items);
    size_t i = off / pool->item_bytes;
    TARN_ASSERT(i < pool->fresh && i * pool->item_bytes == off && (pool->slots[i] & 1));
    return (uint32_t)i;
}

void tarn_pool_put(struct tarn_pool *pool, void *item) {
    uint32_t i = live_index(pool, item);
    pool->live--;
    __asan_poison_memory_region(item, pool->item_bytes);
    if (++pool->slots[i] == 0)
        return;
    pool->next[i] = pool->free_head;
    pool->free_head = i;
}

struct tarn_handle tarn_pool_handle(const struct tarn_pool *pool, const void *item) {
    uint32_t i = live_index(pool, item);
    return (struct tarn_handle){i, pool->slots[i]};
}

void *tarn_pool_get(const struct tarn_pool *pool, struct tarn_handle handle) {
    if (handle.index >= pool->fresh || !(handle.generation & 1)
        || pool->slots[handle.index] != handle.generation)
        return NULL;
    return pool->items + (size_t)handle.index * pool->item_bytes;
}

void *tarn_pool_next(const struct tarn_pool *pool, uint32_t *cursor) {
    for (uint32_t i = *cursor; i < pool->fresh; i++) {
        if (pool->slots[i] & 1) {
            *cursor = i + 1;
            return pool->items + (size_t)i * pool->item_bytes;
        }
    }
    *cursor = pool->fresh;
    return NULL;
}
