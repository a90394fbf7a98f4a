/* SPDX-License-Identifier: ISC */
/* slab.h: pieces of memory of many sizes, out of one region of a fixed size.
 *
 * The region is cut into pages; a page holds items of one size, and is free for another size when
 * its last item has gone. A piece is named by a number (of its first unit in the region), not by a
 * pointer: half the size, and checked at each use. 0 names nothing. */
#ifndef TARN_KV_SLAB_H
#define TARN_KV_SLAB_H

#include <tarn/alloc.h>
#include <tarn/err.h>

#define SLAB_UNIT 32u      /* bytes */
#define SLAB_PAGE 256u     /* units */
#define SLAB_SMALL_UNITS 8 /* up to here there is a class for each number of units */
#define SLAB_CLASSES 16    /* then for each further 4 units */
#define SLAB_ITEM_BYTES_MAX ((SLAB_SMALL_UNITS + 4 * (SLAB_CLASSES - SLAB_SMALL_UNITS)) * SLAB_UNIT)

struct slab_unit {
    _Alignas(8) uint8_t bytes[SLAB_UNIT];
};
struct slab_page {
    uint32_t prev, next; /* of the class's pages with room, or the next free page; 0: none */
    uint16_t free_item;  /* the first unit of a free item in the page; SLAB_PAGE: none */
    uint16_t fresh;      /* units from here on were never used by this class */
    uint16_t live;       /* items */
    uint8_t class;
    bool listed;
};
struct slab {
    struct tarn_alloc *alloc;
    struct slab_unit *units;
    struct slab_page *pages;
    uint32_t page_count;
    uint32_t free_page, fresh_page; /* page 0 is never used, so that 0 names nothing */
    uint32_t pages_live;
    uint32_t with_room[SLAB_CLASSES];
};

/* TARN_LIMIT: the allocator has not enough, or `bytes` are too few for anything. */
TARN_MUST_USE enum tarn_err slab_init(struct slab *s, struct tarn_alloc *alloc, size_t bytes);
void slab_fini(struct slab *s);
/* A piece of at least that many bytes (at most SLAB_ITEM_BYTES_MAX), or 0. */
uint32_t slab_take(struct slab *s, size_t bytes);
/* `bytes` is what it was taken with. */
void slab_put(struct slab *s, uint32_t item, size_t bytes);
/* Whether pieces of both sizes take the same room. */
bool slab_same_class(size_t a, size_t b);
static inline void *slab_at(const struct slab *s, uint32_t item) {
    return &TARN_AT_N(s->units, (size_t)s->page_count * SLAB_PAGE, item);
}
/* The bytes of pages in use, and of all. */
static inline size_t slab_live_bytes(const struct slab *s) {
    return (size_t)s->pages_live * SLAB_PAGE * SLAB_UNIT;
}
static inline size_t slab_bytes(const struct slab *s) {
    return (size_t)(s->page_count - 1) * SLAB_PAGE * SLAB_UNIT;
}

#endif
