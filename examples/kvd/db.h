/* SPDX-License-Identifier: ISC */
/* db.h: sixteen databases of strings, some of which expire, in one store.
 *
 * A name is one segment below its database's number ("3/user%2F7"): '%', '/', NUL and a dot in
 * front are written as "%25" and so on, the empty name as "%". A value has eight bytes in front:
 * when it expires, in milliseconds since 1970, little-endian; 0: never. So a name's expiry is as
 * durable as its value, and setting it is a partial write.
 *
 * Changes are applied and can be read at once; db_sync makes them durable. */
#ifndef KVD_DB_H
#define KVD_DB_H

#include <tarn/kv_path.h>
#include <tarn/kv_tree.h>
#include <tarn/writer.h>

#define DB_COUNT 16u
#define DB_HEADER_BYTES 8u
#define DB_PATH_BYTES (3 + TARN_KV_NAME_MAX) /* "15/" */

struct db {
    struct tarn_kv_tree *tree;
    struct tarn_kv *kv;
    struct tarn_clock *clock;
    size_t value_bytes_max;
    struct tarn_bytes scratch; /* a value with its header, and one byte */
    int64_t counts[DB_COUNT];  /* names, expired or not; below 0: not counted yet */
    bool dirty;                /* something is applied that is not durable */
    /* The sweep for what has expired. */
    bool may_expire; /* somewhere, as far as is known */
    bool seen;       /* something that expires, in this pass */
    uint32_t sweep_db;
    struct tarn_kv_cursor sweep;
    uint64_t expired; /* names removed for it */
};

/* A name in a database, as a key of the store. */
struct db_key {
    uint8_t bytes[DB_PATH_BYTES];
    size_t len;
};
/* What is there under a name now. What has expired is not. */
struct db_entry {
    bool there;
    bool stored;            /* in the store, expired or not */
    uint64_t expires_ms;    /* 0: never */
    struct tarn_span value; /* in db.scratch: dies at the next call */
};

/* The caller has set what is above `scratch`, but for `kv`. TARN_LIMIT: no memory. */
enum tarn_err db_init(struct db *db, struct tarn_alloc *alloc);
/* False: the name is too long for the store. */
bool db_key(struct db_key *key, uint32_t number, struct tarn_span name);
static inline struct tarn_span db_key_span(const struct db_key *key) {
    return tarn_span_first(TARN_SPAN_ARRAY(key->bytes), key->len);
}
/* The name that a key was made of. */
struct tarn_span db_name(const struct db_key *key, uint8_t out[TARN_KV_NAME_MAX]);
uint64_t db_now_ms(const struct db *db);

/* TARN_LIMIT: a value is larger than it may be (it was made under another limit). TARN_IO. */
enum tarn_err db_get(struct db *db, const struct db_key *key, struct db_entry *out);
/* The same without the value; *bytes (NULL: not asked) is its length. */
enum tarn_err db_find(struct db *db, const struct db_key *key, struct db_entry *out,
                      uint64_t *bytes);

/* `value` is stored as it is: its first DB_HEADER_BYTES are the expiry. */
struct tarn_kv_change db_change(const struct db_key *key, struct tarn_span value);
/* Makes `count` changes as one. TARN_LIMIT: too large at once, or the device is full. */
enum tarn_err db_apply(struct db *db, const struct tarn_kv_change *changes, size_t count);
enum tarn_err db_set(struct db *db, const struct db_key *key, struct tarn_span value,
                     uint64_t expires_ms);
enum tarn_err db_expire(struct db *db, const struct db_key *key, uint64_t expires_ms);
/* Bytes of the value from `offset` on; the expiry stays. */
enum tarn_err db_set_partial(struct db *db, const struct db_key *key, uint64_t offset,
                             struct tarn_span value);
enum tarn_err db_remove(struct db *db, const struct db_key *key);
enum tarn_err db_rename(struct db *db, const struct db_key *key, const struct db_key *dest);
enum tarn_err db_flush(struct db *db, uint32_t number);
/* Names, and those that have expired but were not removed yet. The first time it counts them all;
 * after that it knows. */
enum tarn_err db_count(struct db *db, uint32_t number, int64_t *out);
/* The next name behind the cursor; `there` (NULL: not asked): whether it has not expired. TARN_EOF.
 */
enum tarn_err db_list(struct db *db, uint32_t number, struct tarn_kv_cursor *cursor,
                      struct db_key *key, bool *there);

enum tarn_err db_sync(struct db *db);
/* Looks at a few names and removes what has expired. When to do so again; TARN_NEVER: nothing
 * expires. */
enum tarn_err db_sweep(struct db *db, tarn_time now, tarn_time *next);

#endif
