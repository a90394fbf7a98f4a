/* SPDX-License-Identifier: ISC */
#include "slab.h"

static uint32_t class_of(size_t bytes) {
    uint32_t units = (uint32_t)((bytes + SLAB_UNIT - 1) / SLAB_UNIT);
    TARN_ASSERT(units && bytes <= SLAB_ITEM_BYTES_MAX);
    return units <= SLAB_SMALL_UNITS ? units - 1
                                     : SLAB_SMALL_UNITS + (units - SLAB_SMALL_UNITS - 1) / 4;
}

static uint32_t units_of(uint32_t class) {
    return class < SLAB_SMALL_UNITS ? class + 1
                                    : SLAB_SMALL_UNITS + 4 * (class - SLAB_SMALL_UNITS + 1);
}

bool slab_same_class(size_t a, size_t b) {
    return class_of(a) == class_of(b);
}

static struct slab_page *page_at(struct slab *s, uint32_t page) {
    return &TARN_AT_N(s->pages, s->page_count, page);
}

/* A free item's first bytes say which is the next free one of its page. */
static uint16_t *next_free(struct slab *s, uint32_t page, uint16_t unit) {
    return slab_at(s, page * SLAB_PAGE + unit);
}

enum tarn_err slab_init(struct slab *s, struct tarn_alloc *alloc, size_t bytes) {
    size_t pages = bytes / (SLAB_PAGE * SLAB_UNIT) + 1;
    *s = (struct slab){.alloc = alloc, .fresh_page = 1};
    if (pages < 3 || pages > UINT32_MAX / SLAB_PAGE)
        return TARN_LIMIT;
    s->page_count = (uint32_t)pages;
    s->pages = TARN_NEW_ARRAY(alloc, pages, struct slab_page);
    s->units = s->pages ? TARN_NEW_ARRAY(alloc, pages * SLAB_PAGE, struct slab_unit) : NULL;
    if (s->units)
        return TARN_OK;
    slab_fini(s);
    return TARN_LIMIT;
}

void slab_fini(struct slab *s) {
    tarn_alloc_put(s->alloc, s->units,
                   (size_t)s->page_count * SLAB_PAGE * sizeof(struct slab_unit));
    tarn_alloc_put(s->alloc, s->pages, s->page_count * sizeof(struct slab_page));
    s->units = NULL;
    s->pages = NULL;
}

static void list_add(struct slab *s, uint32_t page) {
    struct slab_page *p = page_at(s, page);
    uint32_t *head = &TARN_AT(s->with_room, p->class);
    p->prev = 0;
    p->next = *head;
    if (*head)
        page_at(s, *head)->prev = page;
    *head = page;
    p->listed = true;
}

static void list_remove(struct slab *s, uint32_t page) {
    struct slab_page *p = page_at(s, page);
    if (p->prev)
        page_at(s, p->prev)->next = p->next;
    else
        TARN_AT(s->with_room, p->class) = p->next;
    if (p->next)
        page_at(s, p->next)->prev = p->prev;
    p->listed = false;
}

static bool page_new(struct slab *s, uint32_t class) {
    uint32_t page = s->free_page;
    if (page)
        s->free_page = page_at(s, page)->next;
    else if (s->fresh_page < s->page_count)
        page = s->fresh_page++;
    else
        return false;
    *page_at(s, page) = (struct slab_page){.free_item = SLAB_PAGE, .class = (uint8_t) class};
    s->pages_live++;
    list_add(s, page);
    return true;
}

uint32_t slab_take(struct slab *s, size_t bytes) {
    uint32_t class = class_of(bytes), units = units_of(class);
    if (!TARN_AT(s->with_room, class) && !page_new(s, class))
        return 0;
    uint32_t page = TARN_AT(s->with_room, class);
    struct slab_page *p = page_at(s, page);
    uint16_t unit = p->free_item;
    if (unit < SLAB_PAGE) {
        p->free_item = *next_free(s, page, unit);
    } else {
        unit = p->fresh;
        p->fresh = (uint16_t)(unit + units);
    }
    p->live++;
    if (p->free_item == SLAB_PAGE && p->fresh + units > SLAB_PAGE)
        list_remove(s, page);
    return page * SLAB_PAGE + unit;
}

void slab_put(struct slab *s, uint32_t item, size_t bytes) {
    uint32_t page = item / SLAB_PAGE;
    uint16_t unit = (uint16_t)(item % SLAB_PAGE);
    struct slab_page *p = page_at(s, page);
    TARN_ASSERT(p->live && p->class == class_of(bytes));
    *next_free(s, page, unit) = p->free_item;
    p->free_item = unit;
    p->live--;
    if (!p->listed)
        list_add(s, page);
    if (p->live == 0) {
        list_remove(s, page);
        p->next = s->free_page;
        s->free_page = page;
        s->pages_live--;
    }
}
