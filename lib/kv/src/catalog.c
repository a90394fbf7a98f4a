/* SPDX-License-Identifier: ISC */
#include "catalog.h"

#include "digest.h"
#include "entry.h"

#include <tarn/kv_path.h>

/* What a key leads to. */
struct place {
    uint64_t dictionaries[TARN_KV_DEPTH_MAX]; /* the root, and all on the way */
    struct tarn_span names[TARN_KV_DEPTH_MAX];
    size_t depth; /* segments; 0: the root itself */
    struct catalog_entry entry;
};

static enum tarn_err entry_get(struct view *v, uint64_t dictionary, struct tarn_span name,
                               struct catalog_entry *entry) {
    struct entry_key key = entry_key_name(dictionary, name);
    struct tarn_span row;
    enum tarn_err err = view_get(v, entry_key_span(&key), &row);
    *entry = (struct catalog_entry){.type = ENTRY_NONE};
    if (err)
        return err == TARN_NOT_FOUND ? TARN_OK : err;
    return entry_decode(row, entry) ? TARN_OK : TARN_IO;
}

static enum tarn_err entry_put(struct view *v, uint64_t dictionary, struct tarn_span name,
                               const struct catalog_entry *entry) {
    struct entry_key key = entry_key_name(dictionary, name);
    uint8_t room[ENTRY_VALUE_MAX];
    return view_put(v, entry_key_span(&key), entry_encode(TARN_BYTES_ARRAY(room), entry));
}

static enum tarn_err entry_remove(struct view *v, uint64_t dictionary, struct tarn_span name) {
    struct entry_key key = entry_key_name(dictionary, name);
    return view_remove(v, entry_key_span(&key));
}

static uint64_t place_dictionary(const struct place *p) {
    return TARN_AT(p->dictionaries, p->depth - 1);
}
static struct tarn_span place_name(const struct place *p) {
    return TARN_AT(p->names, p->depth - 1);
}

/* Goes down from dictionary `at` into `name`. *none: there is nothing there. */
static enum tarn_err descend(struct view *v, bool create, uint64_t *at, struct tarn_span name,
                             bool *none) {
    struct catalog_entry e;
    enum tarn_err err = entry_get(v, *at, name, &e);
    *none = false;
    if (err)
        return err;
    if (e.type == ENTRY_DICTIONARY) {
        *at = e.id;
        return TARN_OK;
    }
    if (!create) {
        *none = true;
        return TARN_OK;
    }
    if (e.type != ENTRY_NONE)
        return TARN_INVALID;
    e = (struct catalog_entry){.type = ENTRY_DICTIONARY, .id = v->next_id++};
    err = entry_put(v, *at, name, &e);
    *at = e.id;
    return err;
}

/* `create`: the dictionaries on the way are made where they are not there. */
static enum tarn_err walk(struct view *v, struct tarn_span key, bool create, struct place *p) {
    struct tarn_span rest, name;
    uint64_t at = v->root;
    bool none;
    p->depth = 0;
    p->entry = (struct catalog_entry){.type = ENTRY_DICTIONARY, .id = v->root};
    if (!tarn_kv_path_canonical(key, &rest))
        return TARN_INVALID;
    while (rest.len) {
        (void)tarn_span_split(&rest, '/', &name);
        if (name.len > TARN_KV_NAME_MAX || p->depth == TARN_KV_DEPTH_MAX) {
            p->entry.type = ENTRY_NONE;
            return create ? TARN_LIMIT : TARN_OK;
        }
        TARN_AT(p->dictionaries, p->depth) = at;
        TARN_AT(p->names, p->depth) = name;
        p->depth++;
        if (rest.len == 0)
            return entry_get(v, at, name, &p->entry);
        enum tarn_err err = descend(v, create, &at, name, &none);
        if (err || none) {
            p->entry.type = ENTRY_NONE;
            return err;
        }
    }
    return TARN_OK;
}

/* -- reading --------------------------------------------------------------------------------------
 */

enum tarn_err catalog_open(struct view *v) {
    struct entry_key key = entry_key_number(0, 0);
    struct catalog_entry e;
    struct tarn_span row;
    enum tarn_err err = view_get(v, entry_key_span(&key), &row);
    v->root = CATALOG_ROOT;
    if (err)
        return err == TARN_NOT_FOUND ? TARN_OK : err;
    if (!entry_decode(row, &e) || e.type != ENTRY_DICTIONARY)
        return TARN_IO;
    v->root = e.id;
    return TARN_OK;
}

enum tarn_err catalog_find(struct view *v, struct tarn_span key, struct catalog_entry *entry) {
    struct place p;
    enum tarn_err err = walk(v, key, false, &p);
    *entry = p.entry;
    return err;
}

enum tarn_err catalog_value(struct view *v, struct tarn_span key, struct catalog_entry *entry) {
    enum tarn_err err = catalog_find(v, key, entry);
    if (err)
        return err;
    if (entry->type == ENTRY_NONE)
        return TARN_NOT_FOUND;
    return entry->type == ENTRY_DICTIONARY ? TARN_INVALID : TARN_OK;
}

/* The bytes of a chunk that are stored: behind them it is zeroes. */
static enum tarn_err chunk_get(struct view *v, uint64_t id, uint64_t chunk,
                               struct tarn_span *data) {
    struct entry_key key = entry_key_number(id, chunk);
    enum tarn_err err = view_get(v, entry_key_span(&key), data);
    if (err == TARN_NOT_FOUND) {
        *data = TARN_SPAN_EMPTY;
        return TARN_OK;
    }
    return err ? err : data->len > CHUNK_BYTES ? TARN_IO : TARN_OK;
}

enum tarn_err catalog_read(struct view *v, const struct catalog_entry *entry, uint64_t offset,
                           struct tarn_bytes buf, size_t *n) {
    *n = 0;
    if (offset >= entry->bytes)
        return TARN_OK;
    buf = tarn_bytes_first(buf, (size_t)TARN_MIN(entry->bytes - offset, (uint64_t)SIZE_MAX));
    if (entry->type == ENTRY_INLINE) {
        *n = tarn_bytes_copy(buf, tarn_span_after(entry->value, (size_t)offset));
        return TARN_OK;
    }
    while (*n < buf.len) {
        uint64_t at = offset + *n;
        struct tarn_bytes room = tarn_bytes_after(buf, *n);
        struct tarn_span data;
        room = tarn_bytes_first(room, CHUNK_BYTES - (size_t)(at % CHUNK_BYTES));
        enum tarn_err err = chunk_get(v, entry->id, at / CHUNK_BYTES, &data);
        if (err)
            return err;
        size_t copied = tarn_bytes_copy(room, tarn_span_after(data, (size_t)(at % CHUNK_BYTES)));
        tarn_bytes_fill(tarn_bytes_after(room, copied), 0);
        *n += room.len;
    }
    return TARN_OK;
}

enum tarn_err catalog_list(struct view *v, struct tarn_span key, struct tarn_kv_cursor *cursor,
                           struct tarn_kv_entry *out) {
    struct tarn_span found, row, name;
    struct catalog_entry e;
    uint64_t id;
    enum tarn_err err = catalog_find(v, key, &e);
    if (err)
        return err;
    if (e.type != ENTRY_DICTIONARY)
        return e.type == ENTRY_NONE ? TARN_NOT_FOUND : TARN_INVALID;
    struct entry_key from = entry_key_name(e.id, tarn_kv_cursor_name(cursor));
    err = view_seek(v, entry_key_span(&from), cursor->behind, &found, &row);
    if (err)
        return err;
    if (!entry_key_split(found, &id, &name))
        return TARN_IO;
    if (id != e.id)
        return TARN_EOF;
    if (name.len == 0 || name.len > TARN_KV_NAME_MAX || !entry_decode(row, &e))
        return TARN_IO;
    tarn_kv_cursor_seek(cursor, name);
    cursor->behind = true;
    out->name = tarn_kv_cursor_name(cursor);
    out->kind = e.type == ENTRY_DICTIONARY ? TARN_KV_DICTIONARY : TARN_KV_VALUE;
    out->value = e.type == ENTRY_INLINE ? e.value : TARN_SPAN_EMPTY;
    return TARN_OK;
}

enum tarn_err catalog_digest(struct view *v, struct tarn_span key,
                             uint8_t digest[TARN_KV_DIGEST_BYTES]) {
    uint8_t piece[DIGEST_PIECE], small[INLINE_BYTES_MAX];
    struct catalog_entry e;
    struct digest d;
    enum tarn_err err = catalog_value(v, key, &e);
    if (err)
        return err;
    /* Reading a small value makes no call of the view's, but what comes later may. */
    if (e.type == ENTRY_INLINE)
        e.value = tarn_span_first(TARN_SPAN_ARRAY(small),
                                  tarn_bytes_copy(TARN_BYTES_ARRAY(small), e.value));
    digest_begin(&d);
    for (uint64_t offset = 0; offset < e.bytes || offset == 0; offset += DIGEST_PIECE) {
        size_t n;
        err = catalog_read(v, &e, offset, TARN_BYTES_ARRAY(piece), &n);
        if (err)
            return err;
        digest_add(&d, tarn_span_first(TARN_SPAN_ARRAY(piece), n));
    }
    digest_end(&d, digest);
    return TARN_OK;
}

/* -- waste ----------------------------------------------------------------------------------------
 */

static enum tarn_err discard(struct view *v, const struct catalog_entry *e) {
    if (e->type != ENTRY_CHUNKED && e->type != ENTRY_DICTIONARY)
        return TARN_OK;
    struct entry_key key = entry_key_number(0, e->id);
    uint8_t type[1] = {(uint8_t)e->type};
    return view_put(v, entry_key_span(&key), TARN_SPAN_ARRAY(type));
}

/* Removes one row of the waste `id`. *empty: there is none. */
static enum tarn_err clean_row(struct view *v, uint64_t id, bool dictionary, bool *empty) {
    struct entry_key key = entry_key_name(id, TARN_SPAN_EMPTY);
    struct catalog_entry e = {.type = ENTRY_NONE};
    struct tarn_span found, row, rest;
    uint64_t found_id;
    enum tarn_err err = view_seek(v, entry_key_span(&key), false, &found, &row);
    *empty = err == TARN_EOF;
    if (err)
        return *empty ? TARN_OK : err;
    if (!entry_key_split(found, &found_id, &rest) || rest.len > TARN_KV_NAME_MAX)
        return TARN_IO;
    *empty = found_id != id;
    if (*empty)
        return TARN_OK;
    if (dictionary && !entry_decode(row, &e))
        return TARN_IO;
    key = entry_key_name(id, rest);
    err = discard(v, &e);
    return err ? err : view_remove(v, entry_key_span(&key));
}

enum tarn_err catalog_clean(struct view *v, uint32_t rows, bool *done) {
    *done = false;
    while (rows--) {
        struct entry_key first = entry_key_number(0, 1);
        struct tarn_span found, row, rest;
        uint64_t zero, id;
        uint8_t type;
        bool empty;
        enum tarn_err err = view_seek(v, entry_key_span(&first), false, &found, &row);
        *done = err == TARN_EOF;
        if (err)
            return *done ? TARN_OK : err;
        if (!entry_key_split(found, &zero, &rest))
            return TARN_IO;
        *done = zero != 0;
        if (*done)
            return TARN_OK;
        if (!tarn_span_u64be(&rest, &id) || !tarn_span_u8(&row, &type) || id == 0)
            return TARN_IO;
        err = clean_row(v, id, type == ENTRY_DICTIONARY, &empty);
        if (!err && empty) {
            struct entry_key key = entry_key_number(0, id);
            err = view_remove(v, entry_key_span(&key));
        }
        if (err)
            return err;
    }
    return TARN_OK;
}

/* -- changing -------------------------------------------------------------------------------------
 */

/* A dictionary that has lost its last entry goes, and so on upwards. */
static enum tarn_err prune(struct view *v, const struct place *p) {
    for (size_t i = p->depth; i-- > 1;) {
        struct entry_key key = entry_key_name(TARN_AT(p->dictionaries, i), TARN_SPAN_EMPTY);
        struct tarn_span found, value, rest;
        uint64_t id;
        enum tarn_err err = view_seek(v, entry_key_span(&key), false, &found, &value);
        if (err && err != TARN_EOF)
            return err;
        if (!err && !entry_key_split(found, &id, &rest))
            return TARN_IO;
        if (!err && id == TARN_AT(p->dictionaries, i))
            return TARN_OK;
        err = entry_remove(v, TARN_AT(p->dictionaries, i - 1), TARN_AT(p->names, i - 1));
        if (err)
            return err;
    }
    return TARN_OK;
}

/* Writes `data` into the chunks of a large value. */
static enum tarn_err chunks_write(struct view *v, uint64_t id, uint64_t offset,
                                  struct tarn_span data) {
    while (data.len) {
        uint8_t room[CHUNK_BYTES];
        struct tarn_bytes chunk = TARN_BYTES_ARRAY(room);
        size_t at = (size_t)(offset % CHUNK_BYTES), old_len = 0;
        struct tarn_span piece = tarn_span_first(data, CHUNK_BYTES - at), old;
        struct entry_key key = entry_key_number(id, offset / CHUNK_BYTES);
        if (piece.len < CHUNK_BYTES) {
            enum tarn_err err = chunk_get(v, id, offset / CHUNK_BYTES, &old);
            if (err)
                return err;
            old_len = tarn_bytes_copy(chunk, old);
            tarn_bytes_fill(tarn_bytes_after(chunk, old_len), 0);
        }
        tarn_bytes_copy(tarn_bytes_after(chunk, at), piece);
        enum tarn_err err =
            view_put(v, entry_key_span(&key),
                     tarn_span_first(TARN_SPAN_ARRAY(room), TARN_MAX(old_len, at + piece.len)));
        if (err)
            return err;
        offset += piece.len;
        data = tarn_span_after(data, piece.len);
    }
    return TARN_OK;
}

static enum tarn_err change_set(struct view *v, const struct place *p, struct tarn_span value,
                                int64_t now) {
    struct catalog_entry e = {.type = ENTRY_INLINE, .last_modified = now, .value = value};
    enum tarn_err err = discard(v, &p->entry);
    if (!err && value.len > INLINE_BYTES_MAX) {
        e.type = ENTRY_CHUNKED;
        e.id = v->next_id++;
        e.bytes = value.len;
        err = chunks_write(v, e.id, 0, value);
    }
    return err ? err : entry_put(v, place_dictionary(p), place_name(p), &e);
}

/* Into a small value that stays small. */
static enum tarn_err partial_inline(struct view *v, const struct place *p, size_t bytes,
                                    size_t offset, struct tarn_span data, int64_t now) {
    uint8_t room[INLINE_BYTES_MAX];
    struct tarn_bytes whole = TARN_BYTES_ARRAY(room);
    size_t old = tarn_bytes_copy(whole, p->entry.value);
    tarn_bytes_fill(tarn_bytes_after(whole, old), 0);
    tarn_bytes_copy(tarn_bytes_after(whole, offset), data);
    return change_set(v, p, tarn_span_first(TARN_SPAN_ARRAY(room), bytes), now);
}

static enum tarn_err change_partial(struct view *v, const struct place *p, uint64_t offset,
                                    struct tarn_span data, int64_t now) {
    struct catalog_entry e = p->entry;
    enum tarn_err err = TARN_OK;
    if (offset > INT64_MAX - data.len)
        return TARN_LIMIT;
    uint64_t bytes = data.len ? TARN_MAX(e.bytes, offset + data.len) : e.bytes;
    if (e.type != ENTRY_CHUNKED && bytes <= INLINE_BYTES_MAX)
        return partial_inline(v, p, (size_t)bytes, (size_t)TARN_MIN(offset, bytes), data, now);
    if (e.type != ENTRY_CHUNKED) {
        uint8_t room[INLINE_BYTES_MAX];
        size_t n = tarn_bytes_copy(TARN_BYTES_ARRAY(room), p->entry.value);
        e.type = ENTRY_CHUNKED;
        e.id = v->next_id++;
        err = chunks_write(v, e.id, 0, tarn_span_first(TARN_SPAN_ARRAY(room), n));
    }
    e.bytes = bytes;
    e.last_modified = now;
    if (!err)
        err = chunks_write(v, e.id, offset, data);
    return err ? err : entry_put(v, place_dictionary(p), place_name(p), &e);
}

static enum tarn_err change_allocate(struct view *v, const struct place *p, uint64_t bytes,
                                     int64_t now) {
    struct catalog_entry e = {.type = ENTRY_CHUNKED, .last_modified = now, .bytes = bytes};
    uint8_t zeroes[INLINE_BYTES_MAX] = {0};
    if (p->entry.type != ENTRY_NONE)
        return TARN_INVALID;
    if (bytes > INT64_MAX)
        return TARN_LIMIT;
    if (bytes <= INLINE_BYTES_MAX)
        return change_set(v, p, tarn_span_first(TARN_SPAN_ARRAY(zeroes), (size_t)bytes), now);
    e.id = v->next_id++;
    return entry_put(v, place_dictionary(p), place_name(p), &e);
}

/* The root goes as any dictionary does; what has its place is a new one. */
static enum tarn_err remove_root(struct view *v, const struct catalog_entry *root) {
    struct catalog_entry e = {.type = ENTRY_DICTIONARY, .id = v->next_id++};
    enum tarn_err err = discard(v, root);
    if (!err)
        err = entry_put(v, 0, TARN_SPAN_LIT("\0\0\0\0\0\0\0\0"), &e);
    v->root = e.id;
    return err;
}

static enum tarn_err change_remove(struct view *v, struct tarn_span key) {
    struct place p;
    enum tarn_err err = walk(v, key, false, &p);
    if (err)
        return err;
    if (p.depth == 0)
        return remove_root(v, &p.entry);
    if (p.entry.type == ENTRY_NONE)
        return TARN_NOT_FOUND;
    err = discard(v, &p.entry);
    if (!err)
        err = entry_remove(v, place_dictionary(&p), place_name(&p));
    return err ? err : prune(v, &p);
}

static enum tarn_err change_rename(struct view *v, struct tarn_span key, struct tarn_span dest) {
    uint8_t small[INLINE_BYTES_MAX];
    struct tarn_span from, to;
    struct place src, dst;
    enum tarn_err err = walk(v, key, false, &src);
    if (err)
        return err;
    if (src.depth == 0 || !tarn_kv_path_canonical(key, &from) || !tarn_kv_path_canonical(dest, &to))
        return TARN_INVALID;
    if (src.entry.type == ENTRY_NONE)
        return TARN_NOT_FOUND;
    if (tarn_span_equal(from, to))
        return TARN_OK;
    if (tarn_kv_path_below(to, from))
        return TARN_INVALID;
    struct catalog_entry e = src.entry;
    e.value =
        tarn_span_first(TARN_SPAN_ARRAY(small), tarn_bytes_copy(TARN_BYTES_ARRAY(small), e.value));
    err = walk(v, dest, true, &dst);
    if (err)
        return err;
    if (dst.entry.type == ENTRY_DICTIONARY
        || (dst.entry.type != ENTRY_NONE && e.type == ENTRY_DICTIONARY))
        return TARN_INVALID;
    err = discard(v, &dst.entry);
    if (!err)
        err = entry_put(v, place_dictionary(&dst), place_name(&dst), &e);
    if (!err)
        err = entry_remove(v, place_dictionary(&src), place_name(&src));
    return err ? err : prune(v, &src);
}

enum tarn_err catalog_change(struct view *v, const struct tarn_kv_change *change, int64_t now) {
    struct place p;
    if (change->last_modified)
        now = change->last_modified;
    if (change->verb == TARN_KV_REMOVE)
        return change_remove(v, change->key);
    if (change->verb == TARN_KV_RENAME)
        return change_rename(v, change->key, change->dest);
    enum tarn_err err = walk(v, change->key, true, &p);
    if (err)
        return err;
    if (p.entry.type == ENTRY_DICTIONARY)
        return TARN_INVALID;
    switch (change->verb) {
    case TARN_KV_SET: return change_set(v, &p, change->value, now);
    case TARN_KV_SET_PARTIAL: return change_partial(v, &p, change->offset, change->value, now);
    case TARN_KV_ALLOCATE: return change_allocate(v, &p, change->bytes, now);
    default: return TARN_INVALID;
    }
}
