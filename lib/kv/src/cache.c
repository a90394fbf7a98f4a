/* SPDX-License-Identifier: ISC */
/* Pages in memory: a clock over frames, found through a hash of their number. */
#include "tree.h"

#define FRAMES_MIN 16u

enum tarn_err cache_init(struct cache *c, struct tarn_alloc *alloc, size_t bytes) {
    size_t count = TARN_MAX(bytes / (PAGE_BYTES + sizeof(struct frame)), (size_t)FRAMES_MIN);
    *c = (struct cache){.count = (uint32_t)count, .bucket_count = FRAMES_MIN};
    if (count > UINT32_MAX / 2)
        return TARN_INVALID;
    while (c->bucket_count < count)
        c->bucket_count *= 2;
    c->frames = TARN_NEW_ARRAY(alloc, count, struct frame);
    c->memory = tarn_alloc_array(alloc, count, PAGE_BYTES, 16);
    c->buckets = TARN_NEW_ARRAY(alloc, c->bucket_count, uint32_t);
    return c->frames && c->memory && c->buckets ? TARN_OK : TARN_LIMIT;
}

void cache_fini(struct cache *c, struct tarn_alloc *alloc) {
    tarn_alloc_put(alloc, c->buckets, c->bucket_count * sizeof(uint32_t));
    tarn_alloc_put(alloc, c->memory, (size_t)c->count * PAGE_BYTES);
    tarn_alloc_put(alloc, c->frames, c->count * sizeof(struct frame));
}

static struct frame *frame_at(struct cache *c, uint32_t i) {
    return &TARN_AT_N(c->frames, c->count, i);
}

static struct tarn_bytes memory_at(struct cache *c, uint32_t i) {
    struct tarn_bytes all = tarn_bytes_of(c->memory, (size_t)c->count * PAGE_BYTES);
    return tarn_bytes_first(tarn_bytes_after(all, (size_t)i * PAGE_BYTES), PAGE_BYTES);
}

static uint32_t *bucket_of(struct cache *c, uint64_t page) {
    /* Numbers that are neighbours spread well enough; nobody outside chooses them. */
    return &TARN_AT_N(c->buckets, c->bucket_count, page & (c->bucket_count - 1));
}

static bool same(const struct page_ref *a, const struct page_ref *b) {
    return a->page == b->page && a->birth == b->birth && a->checksum == b->checksum;
}

/* The frame of that very page, or count. */
static uint32_t find(struct cache *c, const struct page_ref *ref) {
    uint32_t link = *bucket_of(c, ref->page);
    while (link && !same(&frame_at(c, link - 1)->ref, ref))
        link = frame_at(c, link - 1)->next;
    return link ? link - 1 : c->count;
}

static void frame_empty(struct cache *c, uint32_t i) {
    struct frame *f = frame_at(c, i);
    if (!f->ref.page)
        return;
    uint32_t *link = bucket_of(c, f->ref.page);
    while (*link != i + 1)
        link = &frame_at(c, *link - 1)->next;
    *link = f->next;
    *f = (struct frame){0};
    c->version++;
}

/* An empty frame: the next one that was not used since the hand last came by. */
static uint32_t frame_take(struct cache *c) {
    while (frame_at(c, c->hand)->recent) {
        frame_at(c, c->hand)->recent = false;
        c->hand = (c->hand + 1) % c->count;
    }
    uint32_t i = c->hand;
    c->hand = (i + 1) % c->count;
    frame_empty(c, i);
    return i;
}

static void frame_fill(struct cache *c, uint32_t i, const struct page_ref *ref) {
    struct frame *f = frame_at(c, i);
    uint32_t *bucket = bucket_of(c, ref->page);
    *f = (struct frame){.ref = *ref, .next = *bucket};
    *bucket = i + 1;
}

static enum tarn_err read_checked(struct tarn_kv_tree *t, const struct page_ref *ref,
                                  uint32_t level, struct tarn_bytes data) {
    t->stat.pages_read++;
    enum tarn_err err = tree_read_page(t, ref->page, data);
    return err ? err : page_check(tarn_bytes_span(data), t->newest.store, ref, level);
}

enum tarn_err cache_get(struct tarn_kv_tree *t, const struct page_ref *ref, uint32_t level,
                        struct tarn_span *page) {
    struct cache *c = &t->cache;
    uint32_t i = find(c, ref);
    if (i < c->count) {
        t->stat.cache_hits++;
    } else {
        i = frame_take(c);
        enum tarn_err err = read_checked(t, ref, level, memory_at(c, i));
        if (err)
            return err;
        frame_fill(c, i, ref);
    }
    frame_at(c, i)->recent = true;
    *page = tarn_bytes_span(memory_at(c, i));
    return TARN_OK;
}

enum tarn_err cache_copy(struct tarn_kv_tree *t, const struct page_ref *ref, uint32_t level,
                         struct tarn_bytes page) {
    uint32_t i = find(&t->cache, ref);
    if (i == t->cache.count)
        return read_checked(t, ref, level, page);
    t->stat.cache_hits++;
    tarn_bytes_copy(page, tarn_bytes_span(memory_at(&t->cache, i)));
    return TARN_OK;
}

void cache_put(struct tarn_kv_tree *t, const struct page_ref *ref, struct tarn_span page) {
    uint32_t i = frame_take(&t->cache);
    tarn_bytes_copy(memory_at(&t->cache, i), page);
    frame_fill(&t->cache, i, ref);
}
