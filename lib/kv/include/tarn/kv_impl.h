/* SPDX-License-Identifier: ISC */
/* tarn/kv_impl.h: for who implements tarn/kv.h: what is the same in every store. */
#ifndef TARN_KV_IMPL_H
#define TARN_KV_IMPL_H

#include <tarn/kv.h>

/* A list of watches (NULL at first) behind ops.watch and ops.unwatch; notify is for after a batch:
 * it tells those that the changes concern. */
void tarn_kv_watches_add(struct tarn_kv_watch **list, struct tarn_kv_watch *watch);
void tarn_kv_watches_remove(struct tarn_kv_watch **list, struct tarn_kv_watch *watch);
void tarn_kv_watches_notify(struct tarn_kv_watch *list, const struct tarn_kv_change *changes,
                            size_t count);

/* A store's ops.digest by its ops.get_partial: of equal values the same in all stores. */
TARN_MUST_USE enum tarn_err tarn_kv_digest_by_reading(struct tarn_kv *kv, struct tarn_span key,
                                                      uint8_t digest[TARN_KV_DIGEST_BYTES]);

#endif
