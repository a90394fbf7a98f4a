/* SPDX-License-Identifier: ISC */
/* tarn/kv.h: a key-value store, MirageOS' Mirage_kv 6.1 in C, with batches, snapshots, ordered
 * scans and change notification.
 *
 * A key is a path: segments separated by '/', a leading '/' meaning nothing. Empty, "." and ".."
 * segments and NUL bytes are refused (TARN_INVALID), so a key taken from a peer cannot leave the
 * store. A key names a value, a dictionary (a set of keys below it; it exists while it has one) or
 * nothing. The root is a dictionary and always there.
 *
 * Where Mirage's implementations disagree, these are the choices here:
 *  - writing past the end of a value fills the gap with zeroes; writing nothing there changes
 *    nothing; a partial write to what is not there creates it;
 *  - allocate refuses a key that names anything;
 *  - removing nothing answers TARN_NOT_FOUND; removing a dictionary removes all below it, and
 *    removing the root leaves an empty store;
 *  - rename replaces a value by a value. Onto a dictionary, from a dictionary onto a value, and
 *    from a dictionary to a key below itself it is refused: nothing is merged, and nothing lands
 *    under another name than the one given. Onto itself it changes nothing;
 *  - a dictionary has neither a time of modification nor a digest (6.1.1 leaves both open):
 *    TARN_INVALID. Finding either would mean looking at all that is below.
 *
 * Stores over a device may wait (tarn/wait.h); stores in memory never do.
 */
#ifndef TARN_KV_H
#define TARN_KV_H

#include <tarn/err.h>
#include <tarn/span.h>
#include <tarn/task.h>

enum tarn_kv_kind { TARN_KV_NONE, TARN_KV_VALUE, TARN_KV_DICTIONARY };
#define TARN_KV_DIGEST_BYTES 32
/* What a store that can be written must be able to hold; longer or deeper: TARN_LIMIT. A read-only
 * store holds what it was made from. */
#define TARN_KV_NAME_MAX 255 /* bytes of a segment */
#define TARN_KV_DEPTH_MAX 32 /* segments of a key */

struct tarn_kv_entry {
    struct tarn_span name; /* one segment */
    enum tarn_kv_kind kind;
    struct tarn_span value; /* the whole value where it is at hand; else ptr is NULL. Name and
                               value die at the next call of the store. */
};

/* A place in a dictionary: in front of the first entry where it is zeroed, behind an entry after
 * list has answered with it. It stays good whatever is written meanwhile. */
struct tarn_kv_cursor {
    uint64_t hint; /* the store's */
    uint8_t name[TARN_KV_NAME_MAX];
    uint8_t name_len;
    bool behind; /* of `name`, rather than in front of it */
};
/* In front of the first entry that is not before `name`: the start of a range. Longer names than
 * TARN_KV_NAME_MAX are cut. */
static inline void tarn_kv_cursor_seek(struct tarn_kv_cursor *cursor, struct tarn_span name) {
    cursor->hint = 0;
    cursor->behind = false;
    cursor->name_len = (uint8_t)tarn_bytes_copy(TARN_BYTES_ARRAY(cursor->name), name);
}
static inline struct tarn_span tarn_kv_cursor_name(const struct tarn_kv_cursor *cursor) {
    return tarn_span_first(TARN_SPAN_ARRAY(cursor->name), cursor->name_len);
}

/* One change. All of a batch happen, in order, each seeing those before it; or none does. */
enum tarn_kv_verb {
    TARN_KV_SET,         /* key := value */
    TARN_KV_SET_PARTIAL, /* the bytes of key from `offset` := value */
    TARN_KV_ALLOCATE,    /* key := `bytes` zeroes */
    TARN_KV_REMOVE,      /* key, and all below it */
    TARN_KV_RENAME,      /* key becomes dest; its time of modification stays */
};
struct tarn_kv_change {
    enum tarn_kv_verb verb;
    struct tarn_span key, value, dest;
    uint64_t offset, bytes;
    int64_t last_modified; /* seconds since 1970; 0: now */
};

/* Told that something at or below `key` may have changed since the last time: posts `task`, so many
 * changes may be one call. The owner fills the first three and keeps all of it until unwatch. */
struct tarn_kv_watch {
    struct tarn_span key;
    struct tarn_tasks *tasks;
    struct tarn_task task;
    struct tarn_kv_watch *next; /* the store's */
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
    /* The next entry of a dictionary, in byte order of the names. TARN_EOF: no more. */
    enum tarn_err (*list)(struct tarn_kv *kv, struct tarn_span key, struct tarn_kv_cursor *cursor,
                          struct tarn_kv_entry *entry);
    /* Seconds since 1970. */
    enum tarn_err (*last_modified)(struct tarn_kv *kv, struct tarn_span key, int64_t *seconds);
    /* The same for equal values, in every store of this library; another for others. Not for
     * security. */
    enum tarn_err (*digest)(struct tarn_kv *kv, struct tarn_span key,
                            uint8_t digest[TARN_KV_DIGEST_BYTES]);

    /* All below are NULL in a read-only store. */

    /* Makes changes[0..count) as one, durable (as far as the store says) when it answers. Otherwise
     * nothing of it has happened, and *failed is the index of the change that could not be made.
     * TARN_INVALID, TARN_NOT_FOUND: as above; a value stands where the key has a dictionary.
     * TARN_LIMIT: no space, or more at once than the store takes. TARN_IO: the device failed; the
     * store takes no more changes, and whether this one was made is known at the next open. */
    enum tarn_err (*batch)(struct tarn_kv *kv, const struct tarn_kv_change *changes, size_t count,
                           size_t *failed);
    /* The store as it is now, read-only, until `release`. TARN_LIMIT: too many at once. */
    enum tarn_err (*snapshot)(struct tarn_kv *kv, struct tarn_kv **out);
    void (*release)(struct tarn_kv *snapshot);
    void (*watch)(struct tarn_kv *kv, struct tarn_kv_watch *watch);
    void (*unwatch)(struct tarn_kv *kv, struct tarn_kv_watch *watch);
};
struct tarn_kv {
    const struct tarn_kv_ops *ops;
};

/* -- single changes -----------------------------------------------------------------------------
 */

static inline TARN_MUST_USE enum tarn_err tarn_kv_change(struct tarn_kv *kv,
                                                         struct tarn_kv_change change) {
    size_t failed;
    return kv->ops->batch ? kv->ops->batch(kv, &change, 1, &failed) : TARN_UNSUPPORTED;
}
static inline TARN_MUST_USE enum tarn_err tarn_kv_set(struct tarn_kv *kv, struct tarn_span key,
                                                      struct tarn_span value) {
    return tarn_kv_change(kv,
                          (struct tarn_kv_change){.verb = TARN_KV_SET, .key = key, .value = value});
}
static inline TARN_MUST_USE enum tarn_err tarn_kv_set_partial(struct tarn_kv *kv,
                                                              struct tarn_span key, uint64_t offset,
                                                              struct tarn_span value) {
    return tarn_kv_change(
        kv, (struct tarn_kv_change){
                .verb = TARN_KV_SET_PARTIAL, .key = key, .value = value, .offset = offset});
}
static inline TARN_MUST_USE enum tarn_err tarn_kv_allocate(struct tarn_kv *kv, struct tarn_span key,
                                                           uint64_t bytes) {
    return tarn_kv_change(
        kv, (struct tarn_kv_change){.verb = TARN_KV_ALLOCATE, .key = key, .bytes = bytes});
}
static inline TARN_MUST_USE enum tarn_err tarn_kv_remove(struct tarn_kv *kv, struct tarn_span key) {
    return tarn_kv_change(kv, (struct tarn_kv_change){.verb = TARN_KV_REMOVE, .key = key});
}
static inline TARN_MUST_USE enum tarn_err tarn_kv_rename(struct tarn_kv *kv, struct tarn_span key,
                                                         struct tarn_span dest) {
    return tarn_kv_change(
        kv, (struct tarn_kv_change){.verb = TARN_KV_RENAME, .key = key, .dest = dest});
}

#endif
