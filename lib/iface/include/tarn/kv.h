/* SPDX-License-Identifier: ISC */
/* tarn/kv.h: a key-value store, MirageOS' Mirage_kv 6.1 in C.
 *
 * A key is a path: segments separated by '/', a leading '/' meaning nothing. Empty, "." and ".."
 * segments are refused (TARN_INVALID), so a key taken from a peer cannot leave the store. A key
 * names a value, a dictionary (a set of keys below it; it exists while it has one) or nothing.
 *
 * Stores over a device may wait (tarn/wait.h); stores in memory never do.
 */
#ifndef TARN_KV_H
#define TARN_KV_H

#include <tarn/err.h>
#include <tarn/span.h>

enum tarn_kv_kind { TARN_KV_NONE, TARN_KV_VALUE, TARN_KV_DICTIONARY };
#define TARN_KV_DIGEST_BYTES 32

struct tarn_kv_entry {
    struct tarn_span name; /* one segment; dies at the next call */
    enum tarn_kv_kind kind;
};

struct tarn_kv;
struct tarn_kv_ops {
    enum tarn_err (*exists)(struct tarn_kv *kv, struct tarn_span key, enum tarn_kv_kind *kind);
    /* Up to buf.len bytes of the value from `offset`; *n == 0 at or past its end. TARN_NOT_FOUND:
     * nothing there; TARN_INVALID: a dictionary, or no key. */
    enum tarn_err (*get_partial)(struct tarn_kv *kv, struct tarn_span key, uint64_t offset,
                                 struct tarn_bytes buf, size_t *n);
    /* The whole value where it lies in memory for as long as the store does; TARN_UNSUPPORTED where
     * it does not. */
    enum tarn_err (*borrow)(struct tarn_kv *kv, struct tarn_span key, struct tarn_span *value);
    enum tarn_err (*size)(struct tarn_kv *kv, struct tarn_span key, uint64_t *bytes);
    /* The entries of a dictionary, one a call, in byte order of their names. *cursor starts at 0;
     * TARN_EOF: no more. */
    enum tarn_err (*list)(struct tarn_kv *kv, struct tarn_span key, uint64_t *cursor,
                          struct tarn_kv_entry *entry);
    /* Seconds since 1970. A dictionary's is the newest below it. */
    enum tarn_err (*last_modified)(struct tarn_kv *kv, struct tarn_span key, int64_t *seconds);
    /* Changes when the value does. Not for security: see the implementation. */
    enum tarn_err (*digest)(struct tarn_kv *kv, struct tarn_span key,
                            uint8_t digest[TARN_KV_DIGEST_BYTES]);
};
struct tarn_kv {
    const struct tarn_kv_ops *ops;
};

#endif
