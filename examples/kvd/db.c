/* SPDX-License-Identifier: ISC */
#include "db.h"

#define SWEEP_NAMES 200
#define SWEEP_EVERY TARN_MS(100)

/* -- names ----------------------------------------------------------------------------------------
 */

bool db_key(struct db_key *key, uint32_t number, struct tarn_span name) {
    struct tarn_writer w = TARN_WRITER_ARRAY(key->bytes);
    uint8_t c;
    bool first = true;
    tarn_writer_dec(&w, number);
    tarn_writer_u8(&w, '/');
    size_t before = w.len;
    if (!name.len)
        tarn_writer_u8(&w, '%');
    for (; tarn_span_u8(&name, &c); first = false) {
        if (c == '%' || c == '/' || c == 0 || (c == '.' && first)) {
            tarn_writer_u8(&w, '%');
            tarn_writer_hex(&w, c, 2);
        } else {
            tarn_writer_u8(&w, c);
        }
    }
    key->len = w.len;
    return tarn_writer_ok(&w) && w.len - before <= TARN_KV_NAME_MAX;
}

struct tarn_span db_name(const struct db_key *key, uint8_t out[TARN_KV_NAME_MAX]) {
    struct tarn_writer w = {out, 0, TARN_KV_NAME_MAX};
    struct tarn_span segment = db_key_span(key), hex;
    uint64_t value;
    uint8_t c;
    tarn_span_split(&segment, '/', &hex);
    while (tarn_span_u8(&segment, &c)) {
        if (c != '%')
            tarn_writer_u8(&w, c);
        else if (tarn_span_take(&segment, 2, &hex) && tarn_span_parse_hex(hex, 255, &value))
            tarn_writer_u8(&w, (uint8_t)value);
    }
    return tarn_writer_span(&w);
}

static struct tarn_span db_path(uint32_t number, uint8_t path[4]) {
    struct tarn_writer w = {path, 0, 4};
    tarn_writer_dec(&w, number);
    return tarn_writer_span(&w);
}

static uint32_t number_of(const struct db_key *key) {
    struct tarn_span path = db_key_span(key), head;
    uint64_t number = 0;
    tarn_span_split(&path, '/', &head);
    TARN_ASSERT(tarn_span_parse_dec(head, DB_COUNT - 1, &number));
    return (uint32_t)number;
}

/* -- reading --------------------------------------------------------------------------------------
 */

enum tarn_err db_init(struct db *db, struct tarn_alloc *alloc) {
    size_t bytes = DB_HEADER_BYTES + db->value_bytes_max + 1;
    db->scratch = tarn_bytes_of(tarn_alloc_get(alloc, bytes, 16), bytes);
    db->kv = tarn_kv_tree_kv(db->tree);
    db->may_expire = true;
    for (uint32_t i = 0; i < DB_COUNT; i++)
        db->counts[i] = -1;
    return db->scratch.ptr ? TARN_OK : TARN_LIMIT;
}

uint64_t db_now_ms(const struct db *db) {
    return tarn_clock_wall_ns(db->clock) / 1000000;
}

static enum tarn_err read(struct db *db, const struct db_key *key, struct tarn_bytes room,
                          struct db_entry *out) {
    struct tarn_span value;
    size_t n;
    *out = (struct db_entry){0};
    enum tarn_err err = db->kv->ops->get_partial(db->kv, db_key_span(key), 0, room, &n);
    if (err)
        return err == TARN_NOT_FOUND ? TARN_OK : TARN_IO;
    value = tarn_bytes_span(tarn_bytes_first(room, n));
    if (!tarn_span_u64le(&value, &out->expires_ms))
        return TARN_IO;
    out->stored = true;
    out->there = !out->expires_ms || out->expires_ms > db_now_ms(db);
    out->value = value;
    return TARN_OK;
}

enum tarn_err db_get(struct db *db, const struct db_key *key, struct db_entry *out) {
    enum tarn_err err = read(db, key, db->scratch, out);
    return err ? err : out->value.len > db->value_bytes_max ? TARN_LIMIT : TARN_OK;
}

enum tarn_err db_find(struct db *db, const struct db_key *key, struct db_entry *out,
                      uint64_t *bytes) {
    enum tarn_err err = read(db, key, tarn_bytes_first(db->scratch, DB_HEADER_BYTES), out);
    if (err || !bytes || !out->stored)
        return err;
    err = db->kv->ops->size(db->kv, db_key_span(key), bytes);
    *bytes -= err ? 0 : DB_HEADER_BYTES;
    return err;
}

enum tarn_err db_list(struct db *db, uint32_t number, struct tarn_kv_cursor *cursor,
                      struct db_key *key, bool *there) {
    struct tarn_kv_entry entry;
    struct db_entry e;
    uint8_t path[4];
    enum tarn_err err = db->kv->ops->list(db->kv, db_path(number, path), cursor, &entry);
    if (err)
        return err == TARN_NOT_FOUND ? TARN_EOF : err;
    struct tarn_writer w = TARN_WRITER_ARRAY(key->bytes);
    tarn_writer_span_put(&w, db_path(number, path));
    tarn_writer_u8(&w, '/');
    tarn_writer_span_put(&w, entry.name);
    key->len = tarn_writer_span(&w).len;
    if (!there)
        return TARN_OK;
    err = db_find(db, key, &e, NULL);
    *there = e.there;
    return err;
}

enum tarn_err db_count(struct db *db, uint32_t number, int64_t *out) {
    struct tarn_kv_cursor cursor = {0};
    struct db_key key;
    enum tarn_err err;
    int64_t n = 0;
    if (db->counts[number] < 0) {
        while ((err = db_list(db, number, &cursor, &key, NULL)) == TARN_OK)
            n++;
        if (err != TARN_EOF)
            return err;
        db->counts[number] = n;
    }
    *out = db->counts[number];
    return TARN_OK;
}

/* -- writing --------------------------------------------------------------------------------------
 */

struct tarn_kv_change db_change(const struct db_key *key, struct tarn_span value) {
    return (struct tarn_kv_change){.verb = TARN_KV_SET, .key = db_key_span(key), .value = value};
}

enum tarn_err db_apply(struct db *db, const struct tarn_kv_change *changes, size_t count) {
    size_t failed;
    enum tarn_err err = tarn_kv_tree_apply(db->tree, changes, count, &failed);
    db->dirty |= !err;
    return err;
}

/* Before a name is written or removed: how many there are then, once they were counted. */
static enum tarn_err counted(struct db *db, const struct db_key *key, bool there, int64_t *change) {
    struct db_entry e;
    *change = 0;
    if (db->counts[number_of(key)] < 0)
        return TARN_OK;
    enum tarn_err err = db_find(db, key, &e, NULL);
    *change = there - (int64_t)e.stored;
    return err;
}

static enum tarn_err apply_counted(struct db *db, const struct db_key *key,
                                   struct tarn_kv_change change) {
    int64_t more;
    enum tarn_err err = counted(db, key, change.verb != TARN_KV_REMOVE, &more);
    if (!err)
        err = db_apply(db, &change, 1);
    if (!err)
        db->counts[number_of(key)] += more;
    return err;
}

/* The sweep may have passed by already: it comes again. */
static void expiring(struct db *db, uint64_t expires_ms) {
    db->may_expire |= expires_ms != 0;
    db->seen |= expires_ms != 0;
}

enum tarn_err db_set(struct db *db, const struct db_key *key, struct tarn_span value,
                     uint64_t expires_ms) {
    struct tarn_writer w = tarn_writer_over(db->scratch);
    int64_t more;
    enum tarn_err err = counted(db, key, true, &more);
    if (err)
        return err;
    if (value.len > db->value_bytes_max)
        return TARN_LIMIT;
    tarn_writer_u64le(&w, expires_ms);
    /* The value may be the one that db_get has put there. */
    tarn_bytes_move(tarn_bytes_after(db->scratch, DB_HEADER_BYTES), value);
    w.len += value.len;
    struct tarn_kv_change change = db_change(key, tarn_writer_span(&w));
    err = db_apply(db, &change, 1);
    if (!err) {
        db->counts[number_of(key)] += more;
        expiring(db, expires_ms);
    }
    return err;
}

enum tarn_err db_set_partial(struct db *db, const struct db_key *key, uint64_t offset,
                             struct tarn_span value) {
    struct tarn_kv_change change = {.verb = TARN_KV_SET_PARTIAL,
                                    .key = db_key_span(key),
                                    .value = value,
                                    .offset = DB_HEADER_BYTES + offset};
    return apply_counted(db, key, change);
}

enum tarn_err db_expire(struct db *db, const struct db_key *key, uint64_t expires_ms) {
    uint8_t header[DB_HEADER_BYTES];
    struct tarn_writer w = TARN_WRITER_ARRAY(header);
    tarn_writer_u64le(&w, expires_ms);
    struct tarn_kv_change change = {
        .verb = TARN_KV_SET_PARTIAL, .key = db_key_span(key), .value = tarn_writer_span(&w)};
    expiring(db, expires_ms);
    return db_apply(db, &change, 1);
}

enum tarn_err db_remove(struct db *db, const struct db_key *key) {
    return apply_counted(db, key,
                         (struct tarn_kv_change){.verb = TARN_KV_REMOVE, .key = db_key_span(key)});
}

enum tarn_err db_rename(struct db *db, const struct db_key *key, const struct db_key *dest) {
    int64_t more;
    struct tarn_kv_change change = {
        .verb = TARN_KV_RENAME, .key = db_key_span(key), .dest = db_key_span(dest)};
    enum tarn_err err = counted(db, dest, true, &more);
    if (!err)
        err = db_apply(db, &change, 1);
    if (!err && db->counts[number_of(key)] >= 0)
        db->counts[number_of(key)] += more - 1;
    return err;
}

enum tarn_err db_flush(struct db *db, uint32_t number) {
    uint8_t path[4];
    struct tarn_kv_change change = {.verb = TARN_KV_REMOVE, .key = db_path(number, path)};
    enum tarn_err err = db_apply(db, &change, 1);
    if (!err || err == TARN_NOT_FOUND)
        db->counts[number] = 0;
    return err == TARN_NOT_FOUND ? TARN_OK : err;
}

enum tarn_err db_sync(struct db *db) {
    enum tarn_err err = db->dirty ? tarn_kv_tree_sync(db->tree) : TARN_OK;
    if (!err)
        db->dirty = false;
    return err;
}

/* -- what has expired -----------------------------------------------------------------------------
 */

/* The next database; after the last one, whether another pass finds anything. */
static void sweep_on(struct db *db) {
    db->sweep = (struct tarn_kv_cursor){0};
    db->sweep_db = (db->sweep_db + 1) % DB_COUNT;
    if (db->sweep_db == 0) {
        db->may_expire = db->seen;
        db->seen = false;
    }
}

static enum tarn_err sweep_one(struct db *db, const struct db_key *key) {
    struct db_entry e;
    enum tarn_err err = db_find(db, key, &e, NULL);
    if (err || !e.stored)
        return err;
    db->seen |= e.expires_ms != 0;
    if (e.there)
        return TARN_OK;
    db->expired++;
    return db_remove(db, key);
}

enum tarn_err db_sweep(struct db *db, tarn_time now, tarn_time *next) {
    enum tarn_err err = TARN_OK;
    uint64_t before = db->expired;
    struct db_key key;
    for (int i = 0; !err && i < SWEEP_NAMES && db->may_expire; i++) {
        err = db_list(db, db->sweep_db, &db->sweep, &key, NULL);
        if (err == TARN_EOF) {
            sweep_on(db);
            err = TARN_OK;
        } else if (!err) {
            err = sweep_one(db, &key);
        }
    }
    bool many = db->expired - before > SWEEP_NAMES / 4;
    *next = !db->may_expire ? TARN_NEVER : many ? now : tarn_time_after(now, SWEEP_EVERY);
    return err;
}
