/* SPDX-License-Identifier: ISC */
/* store.h: what every store over a view shares: reading, and a batch's first half. */
#ifndef TARN_KV_STORE_H
#define TARN_KV_STORE_H

#include "catalog.h"

struct store {
    struct tarn_kv kv;
    struct view view;
    /* Around every use of the view, for stores whose base waits. NULL: nothing to do. */
    enum tarn_err (*enter)(struct store *store);
    void (*leave)(struct store *store);
};

/* The reading half of tarn_kv_ops. */
enum tarn_err store_exists(struct tarn_kv *kv, struct tarn_span key, enum tarn_kv_kind *kind);
enum tarn_err store_get_partial(struct tarn_kv *kv, struct tarn_span key, uint64_t offset,
                                struct tarn_bytes buf, size_t *n);
enum tarn_err store_borrow(struct tarn_kv *kv, struct tarn_span key, struct tarn_span *value);
enum tarn_err store_size(struct tarn_kv *kv, struct tarn_span key, uint64_t *bytes);
enum tarn_err store_list(struct tarn_kv *kv, struct tarn_span key, struct tarn_kv_cursor *cursor,
                         struct tarn_kv_entry *entry);
enum tarn_err store_last_modified(struct tarn_kv *kv, struct tarn_span key, int64_t *seconds);
enum tarn_err store_digest(struct tarn_kv *kv, struct tarn_span key,
                           uint8_t digest[TARN_KV_DIGEST_BYTES]);
#define STORE_READING                                                                              \
    .exists = store_exists, .get_partial = store_get_partial, .borrow = store_borrow,              \
    .size = store_size, .list = store_list, .last_modified = store_last_modified,                  \
    .digest = store_digest

/* Collects the changes in the view's uppermost table, which is empty before. After an error it is
 * again, and the view is as it was. */
TARN_MUST_USE enum tarn_err store_stage(struct view *v, const struct tarn_kv_change *changes,
                                        size_t count, int64_t now, size_t *failed);
/* Empties the uppermost table. */
void store_stage_end(struct view *v);

#endif
