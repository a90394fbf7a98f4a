/* SPDX-License-Identifier: ISC */
/* Which pages are free. The map is in memory only, and made anew at open: nothing on the device can
 * contradict the tree. */
#include "tree.h"

static uint64_t *word_at(const struct space *s, uint32_t word) {
    return &TARN_AT_N(s->used, s->words_max, word);
}
static uint64_t *kept_at(const struct space *s, uint32_t keeper, uint32_t word) {
    return &TARN_AT_N(s->kept, (size_t)s->words_max * s->keepers,
                      (size_t)keeper * s->words_max + word);
}

enum tarn_err space_init(struct space *s, struct tarn_alloc *alloc, uint64_t pages_max,
                         uint32_t keepers, uint32_t freed_cap) {
    *s = (struct space){.keepers = keepers, .freed_cap = freed_cap};
    if (pages_max > UINT32_MAX - 64 || keepers > 64)
        return TARN_INVALID;
    s->words_max = (uint32_t)(pages_max / 64 + 1);
    s->used = TARN_NEW_ARRAY(alloc, s->words_max, uint64_t);
    s->kept = keepers ? TARN_NEW_ARRAY(alloc, (size_t)s->words_max * keepers, uint64_t) : NULL;
    s->freed = TARN_NEW_ARRAY(alloc, freed_cap, struct freed);
    return s->used && s->freed && (s->kept || !keepers) ? TARN_OK : TARN_LIMIT;
}

void space_fini(struct space *s, struct tarn_alloc *alloc) {
    tarn_alloc_put(alloc, s->freed, s->freed_cap * sizeof(struct freed));
    tarn_alloc_put(alloc, s->kept, (size_t)s->words_max * s->keepers * sizeof(uint64_t));
    tarn_alloc_put(alloc, s->used, s->words_max * sizeof(uint64_t));
}

static uint64_t bit_of(uint64_t page) {
    return (uint64_t)1 << page % 64;
}

bool space_is_used(const struct space *s, uint64_t page) {
    return *word_at(s, (uint32_t)(page / 64)) & bit_of(page);
}

static uint64_t kept_in(const struct space *s, uint32_t word) {
    uint64_t kept = 0;
    for (uint32_t i = 0; i < s->keepers; i++)
        if (s->keeping >> i & 1)
            kept |= *kept_at(s, i, word);
    return kept;
}

void space_mark(struct space *s, uint64_t page) {
    TARN_ASSERT(page < s->pages && !space_is_used(s, page));
    *word_at(s, (uint32_t)(page / 64)) |= bit_of(page);
    s->used_count++;
}

void space_unmark(struct space *s, uint64_t page) {
    uint32_t word = (uint32_t)(page / 64);
    TARN_ASSERT(space_is_used(s, page));
    *word_at(s, word) &= ~bit_of(page);
    s->used_count--;
    s->kept_count += (kept_in(s, word) & bit_of(page)) != 0;
}

uint64_t space_take(struct space *s) {
    uint32_t words = (s->limit + 63) / 64;
    if (s->next < s->first || s->next >= s->limit)
        s->next = s->first;
    /* The word where it starts is looked at twice: from there on, and at last before it. */
    for (uint32_t n = 0; n <= words; n++) {
        uint32_t word = (s->next / 64 + n) % words;
        uint64_t taken = *word_at(s, word) | kept_in(s, word);
        if (n == 0)
            taken |= bit_of(s->next) - 1;
        if (taken == UINT64_MAX)
            continue;
        uint64_t page = (uint64_t)word * 64 + (uint64_t)__builtin_ctzll(~taken);
        if (page >= s->limit)
            continue;
        space_mark(s, page);
        s->next = (uint32_t)page + 1;
        return page;
    }
    return 0;
}

/* -- freed pages ----------------------------------------------------------------------------------
 */

static struct freed *freed_at(const struct space *s, uint32_t i) {
    return &TARN_AT_N(s->freed, s->freed_cap, (s->freed_head + i) % s->freed_cap);
}

void space_free_later(struct space *s, uint64_t page, uint64_t generation) {
    TARN_ASSERT(s->freed_count < s->freed_cap && space_is_used(s, page));
    *freed_at(s, s->freed_count) = (struct freed){(uint32_t)page, generation};
    s->freed_count++;
}

void space_release(struct space *s, uint64_t base) {
    while (s->freed_count && freed_at(s, 0)->generation <= base) {
        space_unmark(s, freed_at(s, 0)->page);
        s->freed_head = (s->freed_head + 1) % s->freed_cap;
        s->freed_count--;
    }
}

uint64_t space_free(const struct space *s) {
    uint64_t taken = (uint64_t)s->used_count + s->kept_count;
    return taken < s->limit ? s->limit - taken : 0;
}

uint64_t space_available(const struct space *s) {
    uint64_t taken = (uint64_t)s->used_count + s->kept_count - s->freed_count;
    return taken < s->limit ? s->limit - taken : 0;
}

/* -- snapshots ------------------------------------------------------------------------------------
 */

bool space_keep(struct space *s, uint32_t *keeper) {
    uint32_t i = 0;
    while (i < s->keepers && s->keeping >> i & 1)
        i++;
    if (i == s->keepers)
        return false;
    for (uint32_t word = 0; word < s->words_max; word++)
        *kept_at(s, i, word) = *word_at(s, word);
    s->keeping |= (uint64_t)1 << i;
    *keeper = i;
    return true;
}

/* GCC's own calls a function of its library where it may not take the instruction for granted. */
static uint32_t bits_in(uint64_t word) {
    uint32_t n = 0;
    for (; word; word &= word - 1)
        n++;
    return n;
}

void space_unkeep(struct space *s, uint32_t keeper) {
    s->keeping &= ~((uint64_t)1 << keeper);
    s->kept_count = 0;
    for (uint32_t word = 0; s->keeping && word < s->words_max; word++)
        s->kept_count += bits_in(kept_in(s, word) & ~*word_at(s, word));
}
