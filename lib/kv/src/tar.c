/* SPDX-License-Identifier: ISC */
#include "digest.h"
#include "header.h"
#include "index.h"

#include <tarn/kv_path.h>
#include <tarn/writer.h>

struct tarn_kv_tar {
    struct tarn_kv kv;
    struct tarn_alloc *alloc;
    struct index index;
    struct tarn_bytes names; /* paths that are not one piece in the archive */
    size_t names_used;
};

static const struct tarn_kv_ops tar_ops;

/* What one member adds: its canonical path, in `names` where it has to be put together. */
struct sizes {
    uint32_t files;
    size_t names;
};

static bool is_dot(struct tarn_span segment) {
    return tarn_span_equal(segment, TARN_SPAN_LIT("."));
}

/* Archivers write "./a", "a//b" and "dir/": what such a path means is the rest of its segments. The
 * canonical path goes to `w`, or, where the name is canonical as it is, stays where it is. */
static bool path_write(struct tarn_writer *w, struct tarn_span part) {
    while (part.len) {
        struct tarn_span segment, checked;
        tarn_span_split(&part, '/', &segment);
        if (segment.len == 0 || is_dot(segment))
            continue;
        if (!tarn_kv_path_canonical(segment, &checked))
            return false;
        if (w->len)
            tarn_writer_u8(w, '/');
        tarn_writer_span_put(w, segment);
    }
    return true;
}

enum tarn_err tar_path_of(const struct member *m, struct tarn_bytes room, size_t *used,
                          struct tarn_span *path) {
    struct tarn_writer w = tarn_writer_over(room);
    *used = 0;
    if (m->prefix.len == 0) {
        struct tarn_span name = m->name;
        while (tarn_span_starts(name, TARN_SPAN_LIT("./")))
            name = tarn_span_after(name, 2);
        if (name.len && tarn_kv_path_canonical(name, path))
            return TARN_OK;
    }
    if (!path_write(&w, m->prefix) || !path_write(&w, m->name))
        return TARN_INVALID;
    *used = w.len;
    if (!tarn_writer_ok(&w))
        return TARN_LIMIT;
    *path = tarn_writer_span(&w);
    return TARN_OK;
}

static enum tarn_err refuse(struct tarn_kv_tar_error *error, size_t offset, const char *why) {
    *error = (struct tarn_kv_tar_error){offset, why};
    return TARN_PEER;
}

/* The first pass: everything is checked, and counted. */
static enum tarn_err measure(struct tarn_span archive, struct tarn_kv_tar_error *error,
                             struct sizes *sizes) {
    struct reader r = {.archive = archive, .error = error};
    struct member m;
    *sizes = (struct sizes){0};
    for (;;) {
        size_t at = r.offset, used;
        struct tarn_span path = TARN_SPAN_EMPTY;
        enum tarn_err err = reader_next(&r, &m);
        if (err || m.kind == MEMBER_END)
            return err;
        err = tar_path_of(&m, tarn_bytes_of(NULL, 0), &used, &path);
        if (err == TARN_INVALID)
            return refuse(error, at, "a path has a '..' segment or a NUL");
        if (m.kind == MEMBER_DIRECTORY)
            continue;
        if (used == 0 && path.len == 0)
            return refuse(error, at, "a file has no name");
        if (sizes->files == UINT32_MAX / 2)
            return refuse(error, at, "there are too many files");
        sizes->files++;
        sizes->names += used;
    }
}

static void fill(struct tarn_kv_tar *tar, struct tarn_span archive,
                 struct tarn_kv_tar_error *error) {
    struct reader r = {.archive = archive, .error = error};
    struct member m;
    while (reader_next(&r, &m) == TARN_OK && m.kind != MEMBER_END) {
        struct tarn_bytes room = tarn_bytes_after(tar->names, tar->names_used);
        struct tarn_span path;
        size_t used;
        if (m.kind == MEMBER_DIRECTORY)
            continue;
        enum tarn_err err = tar_path_of(&m, room, &used, &path);
        TARN_ASSERT(!err);
        tar->names_used += used;
        *index_at(&tar->index, tar->index.count) = (struct entry){
            .path = path,
            .value = m.value,
            .mtime = m.mtime,
            .header = m.header,
            .order = tar->index.count,
        };
        tar->index.count++;
    }
}

enum tarn_err tarn_kv_tar_new(const struct tarn_kv_tar_config *config,
                              struct tarn_kv_tar_error *error, struct tarn_kv_tar **out) {
    struct tarn_alloc *alloc = config->alloc;
    const struct entry *conflict;
    struct tarn_kv_tar *tar;
    struct sizes sizes;
    enum tarn_err err;
    *error = (struct tarn_kv_tar_error){0, ""};
    err = measure(config->archive, error, &sizes);
    if (err)
        return err;
    tar = TARN_NEW(alloc, struct tarn_kv_tar);
    if (!tar)
        return TARN_LIMIT;
    *tar = (struct tarn_kv_tar){.kv.ops = &tar_ops, .alloc = alloc};
    if (sizes.files)
        tar->index.entries = TARN_NEW_ARRAY(alloc, sizes.files, struct entry);
    if (sizes.names)
        tar->names = tarn_bytes_of(tarn_alloc_get(alloc, sizes.names, 1), sizes.names);
    tar->index.cap = sizes.files;
    if ((sizes.files && !tar->index.entries) || (sizes.names && !tar->names.ptr)) {
        tarn_kv_tar_delete(tar);
        return TARN_LIMIT;
    }
    fill(tar, config->archive, error);
    index_sort(&tar->index, NULL);
    conflict = index_conflict(&tar->index);
    if (conflict) {
        size_t header = conflict->header;
        tarn_kv_tar_delete(tar);
        return refuse(error, header, "a name is both a file and a directory");
    }
    *out = tar;
    return TARN_OK;
}

void tarn_kv_tar_delete(struct tarn_kv_tar *tar) {
    struct tarn_alloc *alloc = tar->alloc;
    tarn_alloc_put(alloc, tar->names.ptr, tar->names.len);
    tarn_alloc_put(alloc, tar->index.entries, tar->index.cap * sizeof(struct entry));
    tarn_alloc_put(alloc, tar, sizeof *tar);
}

struct tarn_kv *tarn_kv_tar_kv(struct tarn_kv_tar *tar) {
    return &tar->kv;
}

uint32_t tarn_kv_tar_count(const struct tarn_kv_tar *tar) {
    return tar->index.count;
}

/* -- the store ------------------------------------------------------------------------------------
 */

/* What a key names: an entry, or the entries [first, ...) below it, or nothing. */
struct found {
    enum tarn_kv_kind kind;
    struct tarn_span key; /* canonical */
    uint32_t first;
    struct entry *entry;
};

static enum tarn_err find(struct tarn_kv *kv, struct tarn_span key, struct found *f) {
    const struct index *x = &TARN_CONTAINER_OF(kv, struct tarn_kv_tar, kv)->index;
    *f = (struct found){.kind = TARN_KV_NONE};
    if (!tarn_kv_path_canonical(key, &f->key))
        return TARN_INVALID;
    f->first = index_lower(x, f->key);
    if (f->first < x->count) {
        struct entry *entry = index_at(x, f->first);
        if (tarn_span_equal(entry->path, f->key)) {
            f->kind = TARN_KV_VALUE;
            f->entry = entry;
        } else if (tarn_kv_path_below(entry->path, f->key)) {
            f->kind = TARN_KV_DICTIONARY;
        }
    }
    /* The root exists also when it is empty. */
    if (f->key.len == 0)
        f->kind = TARN_KV_DICTIONARY;
    return TARN_OK;
}

static enum tarn_err find_value(struct tarn_kv *kv, struct tarn_span key, struct entry **entry) {
    struct found f;
    enum tarn_err err = find(kv, key, &f);
    if (err)
        return err;
    if (f.kind == TARN_KV_NONE)
        return TARN_NOT_FOUND;
    *entry = f.entry;
    return f.entry ? TARN_OK : TARN_INVALID;
}

static enum tarn_err tar_exists(struct tarn_kv *kv, struct tarn_span key, enum tarn_kv_kind *kind) {
    struct found f;
    enum tarn_err err = find(kv, key, &f);
    if (!err)
        *kind = f.kind;
    return err;
}

static enum tarn_err tar_get_partial(struct tarn_kv *kv, struct tarn_span key, uint64_t offset,
                                     struct tarn_bytes buf, size_t *n) {
    struct entry *entry;
    enum tarn_err err = find_value(kv, key, &entry);
    *n = 0;
    if (!err && offset < entry->value.len)
        *n = tarn_bytes_copy(buf, tarn_span_after(entry->value, (size_t)offset));
    return err;
}

static enum tarn_err tar_borrow(struct tarn_kv *kv, struct tarn_span key, struct tarn_span *value) {
    struct entry *entry;
    enum tarn_err err = find_value(kv, key, &entry);
    if (!err)
        *value = entry->value;
    return err;
}

static enum tarn_err tar_size(struct tarn_kv *kv, struct tarn_span key, uint64_t *bytes) {
    struct entry *entry;
    enum tarn_err err = find_value(kv, key, &entry);
    if (!err)
        *bytes = entry->value.len;
    return err;
}

/* The segment of a path below a directory that follows it, and whether there are more. */
static bool name_below(const struct index *x, uint32_t at, struct tarn_span dir,
                       struct tarn_span *name) {
    struct tarn_span rest = tarn_span_after(index_at(x, at)->path, dir.len ? dir.len + 1 : 0);
    return tarn_span_split(&rest, '/', name);
}

/* The first entry of [first, last), all below `dir`, whose name there is not before `from`. */
static uint32_t lower_name(const struct index *x, struct tarn_span dir, uint32_t first,
                           uint32_t last, struct tarn_span from) {
    while (first < last) {
        uint32_t middle = first + (last - first) / 2;
        struct tarn_span name;
        name_below(x, middle, dir, &name);
        if (tarn_span_compare(name, from) < 0)
            first = middle + 1;
        else
            last = middle;
    }
    return first;
}

/* The cursor's hint is 1 + the index of the entry to go on from; without one, its name says it. */
static enum tarn_err tar_list(struct tarn_kv *kv, struct tarn_span key,
                              struct tarn_kv_cursor *cursor, struct tarn_kv_entry *out) {
    const struct index *x = &TARN_CONTAINER_OF(kv, struct tarn_kv_tar, kv)->index;
    struct tarn_span name;
    struct found f;
    uint32_t at;
    enum tarn_err err = find(kv, key, &f);
    if (err)
        return err;
    if (f.kind != TARN_KV_DICTIONARY)
        return f.kind == TARN_KV_NONE ? TARN_NOT_FOUND : TARN_INVALID;
    at = cursor->hint ? (uint32_t)TARN_MIN(cursor->hint - 1, (uint64_t)x->count) : f.first;
    if (!cursor->hint && cursor->name_len && at < x->count)
        at = lower_name(x, f.key, at, index_behind(x, f.key, at), tarn_kv_cursor_name(cursor));
    if (at >= x->count || !tarn_kv_path_below(index_at(x, at)->path, f.key))
        return TARN_EOF;
    out->kind = name_below(x, at, f.key, &name) ? TARN_KV_DICTIONARY : TARN_KV_VALUE;
    out->name = name;
    out->value = TARN_SPAN_EMPTY;
    if (out->kind == TARN_KV_DICTIONARY) {
        size_t dir_len = (f.key.len ? f.key.len + 1 : 0) + name.len;
        at = index_behind(x, tarn_span_first(index_at(x, at)->path, dir_len), at);
    } else {
        out->value = index_at(x, at)->value;
        at++;
    }
    cursor->hint = (uint64_t)at + 1;
    return TARN_OK;
}

static enum tarn_err tar_last_modified(struct tarn_kv *kv, struct tarn_span key, int64_t *seconds) {
    struct entry *entry;
    enum tarn_err err = find_value(kv, key, &entry);
    if (!err)
        *seconds = entry->mtime;
    return err;
}

static void digest_of(struct tarn_span value, uint8_t out[TARN_KV_DIGEST_BYTES]) {
    struct digest d;
    digest_begin(&d);
    do {
        digest_add(&d, tarn_span_first(value, DIGEST_PIECE));
        value = tarn_span_after(value, DIGEST_PIECE);
    } while (value.len);
    digest_end(&d, out);
}

static enum tarn_err tar_digest(struct tarn_kv *kv, struct tarn_span key,
                                uint8_t digest[TARN_KV_DIGEST_BYTES]) {
    struct tarn_span known;
    struct entry *entry;
    enum tarn_err err = find_value(kv, key, &entry);
    if (err)
        return err;
    if (!entry->digest_known) {
        digest_of(entry->value, entry->digest);
        entry->digest_known = true;
    }
    known = TARN_SPAN_ARRAY(entry->digest);
    tarn_bytes_copy(tarn_bytes_of(digest, TARN_KV_DIGEST_BYTES), known);
    return TARN_OK;
}

static const struct tarn_kv_ops tar_ops = {
    .exists = tar_exists,
    .get_partial = tar_get_partial,
    .borrow = tar_borrow,
    .size = tar_size,
    .list = tar_list,
    .last_modified = tar_last_modified,
    .digest = tar_digest,
};
