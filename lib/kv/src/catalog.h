/* SPDX-License-Identifier: ISC */
/* catalog.h: dictionaries and values, as rows.
 *
 * Dictionaries and large values have numbers, never used twice. The rows (docs/kv-format.md):
 *
 *   (dictionary, name)   -> what the name is: a small value itself, or a number
 *   (large value, chunk) -> CHUNK_BYTES of it; a chunk that is not there is zeroes
 *   (0, number)          -> the rows of that dictionary or large value are waste
 *   (0, 0)               -> the number of the root, where it is not CATALOG_ROOT
 *
 * So renaming is two rows whatever hangs below, listing is one range, and removing is two rows now
 * and the waste later, a few rows at a time (catalog_clean). */
#ifndef TARN_KV_CATALOG_H
#define TARN_KV_CATALOG_H

#include "view.h"

#include <tarn/kv.h>

#define CATALOG_ROOT 1u       /* the number of the root, until it is removed */
#define CATALOG_FIRST_FREE 2u /* the first number to give away */
#define CHUNK_BYTES 992u      /* four chunk rows fill a page of the tree */
#define INLINE_BYTES_MAX 736u /* longer values lie in chunks */

enum entry_type { ENTRY_NONE, ENTRY_INLINE, ENTRY_CHUNKED, ENTRY_DICTIONARY };
struct catalog_entry {
    enum entry_type type;
    int64_t last_modified;
    struct tarn_span value; /* INLINE; lives as the view's answers do */
    uint64_t id;            /* CHUNKED, DICTIONARY */
    uint64_t bytes;         /* INLINE, CHUNKED */
};

/* Finds the root's number: before anything else, in a view of rows that were there before. */
TARN_MUST_USE enum tarn_err catalog_open(struct view *v);
/* TARN_INVALID: not a key; otherwise entry.type says what it names. TARN_IO (here and below): a row
 * is not what it should be. */
TARN_MUST_USE enum tarn_err catalog_find(struct view *v, struct tarn_span key,
                                         struct catalog_entry *entry);
/* catalog_find for a value: TARN_NOT_FOUND, TARN_INVALID (a dictionary). */
TARN_MUST_USE enum tarn_err catalog_value(struct view *v, struct tarn_span key,
                                          struct catalog_entry *entry);
TARN_MUST_USE enum tarn_err catalog_read(struct view *v, const struct catalog_entry *entry,
                                         uint64_t offset, struct tarn_bytes buf, size_t *n);
TARN_MUST_USE enum tarn_err catalog_list(struct view *v, struct tarn_span key,
                                         struct tarn_kv_cursor *cursor,
                                         struct tarn_kv_entry *entry);
TARN_MUST_USE enum tarn_err catalog_digest(struct view *v, struct tarn_span key,
                                           uint8_t digest[TARN_KV_DIGEST_BYTES]);
/* Into the view's uppermost table; that of a change that fails is to be thrown away. `now` in
 * seconds. */
TARN_MUST_USE enum tarn_err catalog_change(struct view *v, const struct tarn_kv_change *change,
                                           int64_t now);
/* Removes up to `rows` rows of waste; *done: there is no more. */
TARN_MUST_USE enum tarn_err catalog_clean(struct view *v, uint32_t rows, bool *done);

#endif
