/* SPDX-License-Identifier: ISC */
/* filter.h: which keys are surely not in a set: a Bloom filter, in words (Putze, Sanders, Singler
 * 2007). A key sets three bits of one word, so that asking is one access to memory. */
#ifndef TARN_KV_FILTER_H
#define TARN_KV_FILTER_H

#include <tarn/alloc.h>
#include <tarn/err.h>
#include <tarn/span.h>

struct filter {
    uint64_t *words;
    size_t count; /* a power of two */
};

/* For about `keys` of them: more make it answer yes more often. */
TARN_MUST_USE enum tarn_err filter_init(struct filter *f, struct tarn_alloc *alloc, size_t keys);
void filter_fini(struct filter *f, struct tarn_alloc *alloc);
void filter_clear(struct filter *f);
static inline void filter_swap(struct filter *a, struct filter *b) {
    struct filter was = *a;
    *a = *b;
    *b = was;
}
uint64_t filter_hash(struct tarn_span key);
void filter_add(struct filter *f, uint64_t hash);
bool filter_may_have(const struct filter *f, uint64_t hash);

#endif
