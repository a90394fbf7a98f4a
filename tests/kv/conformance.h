/* SPDX-License-Identifier: ISC */
/* What tarn/kv.h promises, checked on any store: reading, on one that holds kv_sample; and all of
 * it on one that can be written. */
#ifndef TESTS_KV_CONFORMANCE_H
#define TESTS_KV_CONFORMANCE_H

#include <tarn/kv.h>

struct kv_sample {
    const char *path, *value;
    int64_t mtime;
};
/* In no order; the store under test must hold exactly these. */
extern const struct kv_sample kv_sample[];
extern const size_t kv_sample_count;

/* `borrows`: values lie in memory. */
void kv_conformance_ro(struct tarn_kv *kv, bool borrows);
/* The same, where earlier times of modification are given as `times_before`. */
void kv_conformance_ro_from(struct tarn_kv *kv, bool borrows, int64_t times_before);
/* The store is empty, and is again afterwards; its clock stands at `now` seconds; it has room for
 * 256 KiB and takes 16 KiB at once. */
void kv_conformance_rw(struct tarn_kv *kv, int64_t now);
/* The same for a store that documents that it lacks something. */
struct kv_lacks {
    bool snapshots;
    int64_t times_before; /* earlier times of modification are given as this one */
};
void kv_conformance_rw_but(struct tarn_kv *kv, int64_t now, const struct kv_lacks *lacks);

#endif
