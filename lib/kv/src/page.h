/* SPDX-License-Identifier: ISC */
/* page.h: the pages of the tree, to bytes and back (docs/kv-format.md).
 *
 * A page is a sorted list of rows. In a leaf (level 0) they are the store's; above, each is a
 * child: the lowest key that may be in it, and a reference. Whoever refers to a page says its
 * number, when it was born and what its bytes sum up to, so a page that is damaged, was never
 * written or was written somewhere else is found out by its parent. */
#ifndef TARN_KV_PAGE_H
#define TARN_KV_PAGE_H

#include "rows.h"

#include <tarn/writer.h>

#define PAGE_BYTES 4096u
#define PAGE_HEADER_BYTES 32u
#define PAGE_PAYLOAD (PAGE_BYTES - PAGE_HEADER_BYTES)
#define PAGE_ROW_OVERHEAD 6u /* slot, and both lengths */
#define PAGE_ROWS_MAX (PAGE_PAYLOAD / (PAGE_ROW_OVERHEAD + 8))
#define PAGE_LEVELS_MAX 10u
#define PAGE_REF_BYTES 24u
_Static_assert(4 * (ROW_BYTES_MAX + PAGE_ROW_OVERHEAD) <= PAGE_PAYLOAD,
               "four rows of any size fit a page, so splitting always finds a middle");

struct page_ref {
    uint64_t page;  /* its number; 0: no page */
    uint64_t birth; /* the generation that wrote it */
    uint64_t checksum;
};

/* The bytes of a page are what the reference says: TARN_IO otherwise. */
TARN_MUST_USE enum tarn_err page_check(struct tarn_span page, uint64_t store,
                                       const struct page_ref *ref, uint32_t level);
/* Of a checked page: how many rows, and one of them. False: the page contradicts itself. */
uint32_t page_count(struct tarn_span page);
TARN_MUST_USE bool page_row(struct tarn_span page, uint32_t i, struct tarn_span *key,
                            struct tarn_span *value);
/* The number of rows whose keys are before `key` (or equal to it, where `equal`). */
TARN_MUST_USE bool page_lower(struct tarn_span page, struct tarn_span key, bool equal,
                              uint32_t *index);
/* The child that `key` belongs to. */
TARN_MUST_USE bool page_child(struct tarn_span page, struct tarn_span key, uint32_t *index,
                              struct page_ref *ref);

TARN_MUST_USE bool page_ref_decode(struct tarn_span value, struct page_ref *out);
void page_ref_encode(struct tarn_writer *w, const struct page_ref *ref);

/* Rows waiting to become pages: up to two pages of them. */
struct bunch {
    uint32_t count, used; /* rows; bytes of `bytes` */
    size_t page_bytes;    /* what they would take in pages, without headers */
    uint16_t ends[2 * PAGE_ROWS_MAX];
    uint16_t key_lens[2 * PAGE_ROWS_MAX];
    uint8_t bytes[2 * PAGE_BYTES];
    uint8_t low[ROW_KEY_MAX]; /* of leaves: a key not behind any of the first page's */
    uint32_t low_len;
};
bool bunch_fits(const struct bunch *b, size_t key_len, size_t value_len);
void bunch_add(struct bunch *b, struct tarn_span key, struct tarn_span value);
void bunch_row(const struct bunch *b, uint32_t i, struct tarn_span *key, struct tarn_span *value);
/* How many of the first rows fit a page of `limit` bytes of payload; at least one. */
uint32_t bunch_first(const struct bunch *b, size_t limit);
/* Takes the first `n` rows off. */
void bunch_drop(struct bunch *b, uint32_t n);
/* The page of the first `n` rows; its checksum. */
uint64_t page_encode(struct tarn_bytes page, const struct bunch *b, uint32_t n, uint32_t level,
                     uint64_t number, uint64_t birth, uint64_t store);
/* The shortest key that is behind `before` and not behind `key`. */
struct tarn_span page_separator(struct tarn_span before, struct tarn_span key);

#endif
