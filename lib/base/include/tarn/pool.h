/* SPDX-License-Identifier: ISC */
/* tarn/pool.h: a fixed number of equal objects, named by handles with generations.
 *
 * For whatever can be freed while someone still names it. A handle to a freed object does not
 * resolve, even when its slot lives again. Free slots are untouched memory until they are first
 * used, so a large pool costs nothing before it fills. Double put traps; under AddressSanitizer a
 * free slot is poisoned.
 */
#ifndef TARN_POOL_H
#define TARN_POOL_H

#include <tarn/alloc.h>
#include <tarn/err.h>

struct tarn_handle {
    uint32_t index, generation; /* generation 0 never names anything */
};
#define TARN_HANDLE_NONE ((struct tarn_handle){0, 0})

struct tarn_pool {
    uint8_t *items;
    uint32_t *slots; /* per slot: its generation, odd while it is live */
    uint32_t *next;  /* per free slot: the next free one */
    size_t item_bytes;
    uint32_t count, fresh, free_head, live;
    uint32_t live_max;  /* the most that were ever live */
    uint64_t exhausted; /* how often tarn_pool_take had none left */
};

/* TARN_LIMIT where the allocator has not enough. `count` < 2^31; `item_bytes` is a multiple of
 * `align`, not 0. */
TARN_MUST_USE enum tarn_err tarn_pool_init(struct tarn_pool *pool, struct tarn_alloc *alloc,
                                           size_t item_bytes, size_t align, uint32_t count);
/* Gives the memory back to the same allocator; no handle and no object is named from then on. */
void tarn_pool_fini(struct tarn_pool *pool, struct tarn_alloc *alloc);
/* An object, its bytes as the last user left them (zero at first), or NULL. */
void *tarn_pool_take(struct tarn_pool *pool);
void tarn_pool_put(struct tarn_pool *pool, void *item);
struct tarn_handle tarn_pool_handle(const struct tarn_pool *pool, const void *item);
/* The live object of that handle, or NULL. */
void *tarn_pool_get(const struct tarn_pool *pool, struct tarn_handle handle);
/* Walking: the live object with the lowest index >= *cursor, or NULL; moves the cursor behind it.
 */
void *tarn_pool_next(const struct tarn_pool *pool, uint32_t *cursor);

#endif
