/* SPDX-License-Identifier: ISC */
/* Batches: every change is staged (its members are written but for their first blocks), and then
 * all become members one after the other. What cannot be staged leaves everything as it was. */
#include "tar_rw.h"

#include <tarn/kv_impl.h>
#include <tarn/kv_path.h>

/* -- the index ------------------------------------------------------------------------------------
 */

static enum tarn_err index_put(struct tarn_kv_tar_rw *t, const struct entry *e) {
    uint32_t at = index_lower(&t->index, e->path);
    if (t->index.count == t->index.cap)
        return TARN_LIMIT;
    for (uint32_t i = t->index.count++; i > at; i--)
        *index_at(&t->index, i) = *index_at(&t->index, i - 1);
    *index_at(&t->index, at) = *e;
    return TARN_OK;
}

static void index_remove(struct tarn_kv_tar_rw *t, uint32_t at) {
    t->index.count--;
    for (; at < t->index.count; at++)
        *index_at(&t->index, at) = *index_at(&t->index, at + 1);
}

/* -- changes --------------------------------------------------------------------------------------
 */

/* A path that may get a value: not the root, no value on the way, no dictionary. */
static enum tarn_err writable(struct tarn_kv_tar_rw *t, struct tarn_span key,
                              struct tarn_span *path) {
    enum tarn_err err = tar_key(key, path);
    if (err)
        return err == TARN_NOT_FOUND ? TARN_INVALID : err;
    for (size_t i = 0; i < path->len; i++)
        if (tarn_span_at(*path, i) == '/' && tar_find(t, tarn_span_first(*path, i)))
            return TARN_INVALID;
    return tar_is_dictionary(t, *path) ? TARN_INVALID : TARN_OK;
}

/* The entry takes its place in the index; the one it replaces goes. */
static enum tarn_err replace(struct tarn_kv_tar_rw *t, struct entry *e) {
    struct entry *old = tar_find(t, e->path);
    if (!old)
        return index_put(t, e);
    tar_member_kill(t, old);
    *old = *e;
    return TARN_OK;
}

static enum tarn_err set(struct tarn_kv_tar_rw *t, const struct tarn_kv_change *c, int64_t now) {
    struct tar_content content = {.part = c->value, .bytes = c->value.len};
    struct entry e = {.mtime = c->last_modified ? c->last_modified : now};
    struct tarn_span path;
    enum tarn_err err = writable(t, c->key, &path);
    if (err)
        return err;
    struct entry *old = tar_find(t, path);
    if (c->verb == TARN_KV_ALLOCATE) {
        content = (struct tar_content){.bytes = c->bytes};
        err = old ? TARN_INVALID : TARN_OK;
    } else if (c->verb == TARN_KV_SET_PARTIAL) {
        if (old && !c->value.len)
            return TARN_OK;
        content.old = old;
        content.offset = c->value.len ? c->offset : 0;
        if (__builtin_add_overflow(content.offset, c->value.len, &content.bytes))
            return TARN_LIMIT;
        content.bytes = TARN_MAX(content.bytes, old ? (uint64_t)old->value.len : 0);
    }
    if (!err && !old && t->index.count == t->index.cap)
        err = TARN_LIMIT;
    if (!err && old)
        e.path = old->path;
    else if (!err)
        err = tar_path_keep(t, path, &e.path);
    if (!err)
        err = tar_member_write(t, &content, &e);
    return err ? err : replace(t, &e);
}

/* The entries that a path means: one, or all below it. */
static void range(struct tarn_kv_tar_rw *t, struct tarn_span path, uint32_t *from, uint32_t *to) {
    *from = index_lower(&t->index, path);
    *to = tar_find(t, path) ? *from + 1 : index_behind(&t->index, path, *from);
}

static enum tarn_err remove_key(struct tarn_kv_tar_rw *t, const struct tarn_kv_change *c) {
    struct tarn_span path;
    uint32_t from, to;
    enum tarn_err err = tar_key(c->key, &path);
    if (err)
        return err == TARN_LIMIT ? TARN_NOT_FOUND : err;
    range(t, path, &from, &to);
    if (from == to)
        return path.len ? TARN_NOT_FOUND : TARN_OK;
    for (; to > from; to--) {
        tar_member_kill(t, index_at(&t->index, to - 1));
        index_remove(t, to - 1);
    }
    return TARN_OK;
}

/* One value under another name. Where a header of one block takes its name, and nothing is there
 * under it, that block is all that changes. */
static enum tarn_err move(struct tarn_kv_tar_rw *t, uint32_t at, struct tarn_span path) {
    struct entry e = *index_at(&t->index, at), *there = tar_find(t, path);
    struct tar_content content = {.old = index_at(&t->index, at), .bytes = e.value.len};
    enum tarn_err err = tar_path_keep(t, path, &e.path);
    if (err)
        return err;
    bool short_head = e.data == e.first + 1 && path.len <= 100 && e.mtime >= 0;
    if (short_head && !there) {
        err = tar_member_rename(t, &e);
    } else {
        struct entry old = e;
        err = tar_member_write(t, &content, &e);
        if (!err && there) /* before the old name goes */
            tar_member_kill(t, there);
        if (!err)
            tar_member_kill(t, &old);
    }
    if (err)
        return err;
    index_remove(t, at);
    there = tar_find(t, path);
    if (!there)
        return index_put(t, &e);
    *there = e;
    return TARN_OK;
}

static enum tarn_err rename_check(struct tarn_kv_tar_rw *t, const struct tarn_kv_change *c,
                                  struct tarn_span *from, struct tarn_span *to) {
    enum tarn_err err = tar_key(c->key, from);
    if (err || !from->len)
        return err ? err : TARN_INVALID;
    bool dictionary = tar_is_dictionary(t, *from);
    if (!dictionary && !tar_find(t, *from))
        return TARN_NOT_FOUND;
    err = tar_key(c->dest, to);
    if (err || !to->len)
        return err == TARN_LIMIT ? err : TARN_INVALID;
    if (tarn_span_equal(*from, *to))
        return TARN_OK;
    if (tarn_kv_path_below(*to, *from) || (dictionary && tar_find(t, *to)))
        return TARN_INVALID;
    return writable(t, c->dest, to);
}

static enum tarn_err rename_key(struct tarn_kv_tar_rw *t, const struct tarn_kv_change *c) {
    struct tarn_span from, to;
    enum tarn_err err = rename_check(t, c, &from, &to);
    if (err || tarn_span_equal(from, to))
        return err;
    if (tar_find(t, from))
        return move(t, index_lower(&t->index, from), to);
    uint8_t room[TARN_KV_DEPTH_MAX * (TARN_KV_NAME_MAX + 1)];
    while (!err && tar_is_dictionary(t, from)) {
        uint32_t at = index_lower(&t->index, from);
        struct tarn_writer w = TARN_WRITER_ARRAY(room);
        struct tarn_span ignored;
        tarn_writer_span_put(&w, to);
        tarn_writer_span_put(&w, tarn_span_after(index_at(&t->index, at)->path, from.len));
        err = tarn_writer_ok(&w) ? tar_key(tarn_writer_span(&w), &ignored) : TARN_LIMIT;
        if (!err)
            err = move(t, at, tarn_writer_span(&w));
    }
    return err;
}

/* -- batches --------------------------------------------------------------------------------------
 */

/* All paths in the other memory, without the gaps that removed ones have left. */
static void names_close_up(struct tarn_kv_tar_rw *t) {
    t->names_in ^= 1;
    t->names_used = 0;
    for (uint32_t i = 0; i < t->index.count; i++) {
        enum tarn_err err =
            tar_path_keep(t, index_at(&t->index, i)->path, &index_at(&t->index, i)->path);
        TARN_ASSERT(!err);
    }
}

static void remember(struct tarn_kv_tar_rw *t) {
    uint32_t n = t->config.values_max;
    for (uint32_t i = 0; i < t->index.count; i++)
        TARN_AT_N(t->was, n, i) = *index_at(&t->index, i);
    for (uint32_t i = 0; i < t->free_count; i++)
        TARN_AT_N(t->free_was, n + 1, i) = TARN_AT_N(t->free, n + 1, i);
    t->count_was = t->index.count;
    t->free_count_was = t->free_count;
    t->end_was = t->end;
}

static enum tarn_err take_back(struct tarn_kv_tar_rw *t) {
    uint32_t n = t->config.values_max;
    bool appended = t->end != t->end_was;
    t->index.count = t->count_was;
    t->free_count = t->free_count_was;
    t->end = t->end_was;
    for (uint32_t i = 0; i < t->index.count; i++)
        *index_at(&t->index, i) = TARN_AT_N(t->was, n, i);
    for (uint32_t i = 0; i < t->free_count; i++)
        TARN_AT_N(t->free, n + 1, i) = TARN_AT_N(t->free_was, n + 1, i);
    t->birth_count = t->death_count = 0;
    return appended && !t->failed ? tar_end_mend(t) : TARN_OK;
}

enum tarn_err tar_batch(struct tarn_kv *kv, const struct tarn_kv_change *changes, size_t count,
                        size_t *failed) {
    struct tarn_kv_tar_rw *t = TARN_CONTAINER_OF(kv, struct tarn_kv_tar_rw, kv);
    int64_t now = (int64_t)(tarn_clock_wall_ns(t->config.clock) / 1000000000u);
    enum tarn_err err = t->failed ? TARN_IO : TARN_OK;
    *failed = 0;
    if (!err && t->names_used > t->config.names_bytes / 2)
        names_close_up(t);
    remember(t);
    for (size_t i = 0; !err && i < count; i++) {
        const struct tarn_kv_change *c = &TARN_AT_N(changes, count, i);
        *failed = i;
        err = c->verb == TARN_KV_REMOVE   ? remove_key(t, c)
              : c->verb == TARN_KV_RENAME ? rename_key(t, c)
                                          : set(t, c, now);
    }
    if (err)
        return take_back(t) ? TARN_IO : err;
    err = tar_commit(t);
    if (!err)
        tarn_kv_watches_notify(t->watches, changes, count);
    return err;
}
