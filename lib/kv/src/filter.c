/* SPDX-License-Identifier: ISC */
#include "filter.h"

#include "xxh64.h"

#define BITS_PER_KEY 16u

enum tarn_err filter_init(struct filter *f, struct tarn_alloc *alloc, size_t keys) {
    f->count = 64;
    while (f->count * 64 < keys * BITS_PER_KEY)
        f->count *= 2;
    f->words = TARN_NEW_ARRAY(alloc, f->count, uint64_t);
    return f->words ? TARN_OK : TARN_LIMIT;
}

void filter_fini(struct filter *f, struct tarn_alloc *alloc) {
    tarn_alloc_put(alloc, f->words, f->count * sizeof(uint64_t));
}

void filter_clear(struct filter *f) {
    tarn_bytes_fill(tarn_bytes_of(f->words, f->count * sizeof(uint64_t)), 0);
}

uint64_t filter_hash(struct tarn_span key) {
    return xxh64(key, 0);
}

/* The word is of the upper bits, the bits in it of the lower ones. */
static uint64_t *word_of(const struct filter *f, uint64_t hash) {
    return &TARN_AT_N(f->words, f->count, hash >> 18 & (f->count - 1));
}
static uint64_t bits_of(uint64_t hash) {
    return (uint64_t)1 << (hash & 63) | (uint64_t)1 << (hash >> 6 & 63)
           | (uint64_t)1 << (hash >> 12 & 63);
}

void filter_add(struct filter *f, uint64_t hash) {
    *word_of(f, hash) |= bits_of(hash);
}

bool filter_may_have(const struct filter *f, uint64_t hash) {
    return (*word_of(f, hash) & bits_of(hash)) == bits_of(hash);
}
