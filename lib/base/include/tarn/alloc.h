/* SPDX-License-Identifier: ISC */
/* tarn/alloc.h: where a library's memory comes from, at init and never after.
 *
 * A library asks once, for all it will ever use, sized from the budget in its configuration; memory
 * comes zeroed. Pools (tarn/pool.h) hand it out from there.
 */
#ifndef TARN_ALLOC_H
#define TARN_ALLOC_H

#include <tarn/span.h>

struct tarn_alloc;
struct tarn_alloc_ops {
    /* `bytes` of zeroed memory aligned to `align` (a power of two), or NULL. */
    void *(*get)(struct tarn_alloc *a, size_t bytes, size_t align);
    /* Gives back what `get` returned, with the same size. An arena may do nothing. */
    void (*put)(struct tarn_alloc *a, void *ptr, size_t bytes);
};
struct tarn_alloc {
    const struct tarn_alloc_ops *ops;
};

static inline void *tarn_alloc_get(struct tarn_alloc *a, size_t bytes, size_t align) {
    return a->ops->get(a, bytes, align);
}
static inline void tarn_alloc_put(struct tarn_alloc *a, void *ptr, size_t bytes) {
    if (ptr)
        a->ops->put(a, ptr, bytes);
}
/* An array of `count` items, or NULL, also where the product overflows. */
void *tarn_alloc_array(struct tarn_alloc *a, size_t count, size_t item_bytes, size_t align);

#define TARN_NEW(alloc, type) ((type *)tarn_alloc_get((alloc), sizeof(type), _Alignof(type)))
#define TARN_NEW_ARRAY(alloc, count, type)                                                         \
    ((type *)tarn_alloc_array((alloc), (count), sizeof(type), _Alignof(type)))

/* The plainest implementation: one region (which must be zeroed) used from its front. `put` takes
 * back only the newest piece. */
struct tarn_arena {
    struct tarn_alloc alloc;
    struct tarn_bytes mem;
    size_t used;
};
void tarn_arena_init(struct tarn_arena *arena, struct tarn_bytes zeroed);

#endif
