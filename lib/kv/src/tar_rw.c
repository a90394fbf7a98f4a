/* SPDX-License-Identifier: ISC */
/* Opening an archive on a device, and reading it. */
#include "tar_rw.h"

#include <tarn/kv_impl.h>
#include <tarn/kv_path.h>

static struct tarn_kv_tar_rw *tar_of(struct tarn_kv *kv) {
    return TARN_CONTAINER_OF(kv, struct tarn_kv_tar_rw, kv);
}

/* -- keys -----------------------------------------------------------------------------------------
 */

static bool is_own(struct tarn_span path) {
    struct tarn_span first;
    tarn_span_split(&path, '/', &first);
    return tarn_span_equal(first, TARN_SPAN_LIT(TAR_OWN));
}

enum tarn_err tar_key(struct tarn_span key, struct tarn_span *canonical) {
    struct tarn_span rest, name;
    size_t depth = 0;
    if (!tarn_kv_path_canonical(key, canonical))
        return TARN_INVALID;
    for (rest = *canonical; tarn_kv_path_next(&rest, &name);)
        if (name.len > TARN_KV_NAME_MAX || ++depth > TARN_KV_DEPTH_MAX)
            return TARN_LIMIT;
    return is_own(*canonical) ? TARN_NOT_FOUND : TARN_OK;
}

struct entry *tar_find(struct tarn_kv_tar_rw *t, struct tarn_span path) {
    uint32_t i = index_lower(&t->index, path);
    struct entry *e = i < t->index.count ? index_at(&t->index, i) : NULL;
    return e && tarn_span_equal(e->path, path) ? e : NULL;
}

bool tar_is_dictionary(struct tarn_kv_tar_rw *t, struct tarn_span path) {
    uint32_t i = index_lower(&t->index, path);
    if (!path.len)
        return true;
    return i < t->index.count && !tarn_span_equal(index_at(&t->index, i)->path, path)
           && tarn_kv_path_below(index_at(&t->index, i)->path, path);
}

enum tarn_err tar_path_keep(struct tarn_kv_tar_rw *t, struct tarn_span path,
                            struct tarn_span *out) {
    struct tarn_bytes room = tarn_bytes_after(TARN_AT(t->names, t->names_in), t->names_used);
    if (room.len < path.len)
        return TARN_LIMIT;
    tarn_bytes_copy(room, path);
    t->names_used += path.len;
    *out = tarn_span_first(tarn_bytes_span(room), path.len);
    return TARN_OK;
}

/* -- reading --------------------------------------------------------------------------------------
 */

enum tarn_err tar_value_read(struct tarn_kv_tar_rw *t, const struct entry *e, uint64_t offset,
                             struct tarn_bytes buf, size_t *n) {
    struct tarn_bytes room = tarn_bytes_after(TARN_BYTES_ARRAY(t->piece), TAR_PIECE_BYTES / 2);
    *n = 0;
    while (buf.len && offset < e->value.len) {
        size_t within = (size_t)(offset % TAR_BLOCK);
        size_t some = (size_t)TARN_MIN((uint64_t)buf.len, e->value.len - offset);
        some = TARN_MIN(some, room.len - within);
        size_t bytes = (within + some + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
        enum tarn_err err =
            tar_blocks_read(t, e->data + offset / TAR_BLOCK, tarn_bytes_first(room, bytes));
        if (err)
            return err;
        tarn_bytes_copy(buf, tarn_span_first(tarn_span_after(tarn_bytes_span(room), within), some));
        buf = tarn_bytes_after(buf, some);
        offset += some;
        *n += some;
    }
    return TARN_OK;
}

static enum tarn_err find_value(struct tarn_kv *kv, struct tarn_span key, struct entry **out) {
    struct tarn_span path;
    enum tarn_err err = tar_key(key, &path);
    if (err)
        return err == TARN_LIMIT ? TARN_NOT_FOUND : err;
    *out = tar_find(tar_of(kv), path);
    return *out ? TARN_OK : tar_is_dictionary(tar_of(kv), path) ? TARN_INVALID : TARN_NOT_FOUND;
}

static enum tarn_err rw_exists(struct tarn_kv *kv, struct tarn_span key, enum tarn_kv_kind *kind) {
    struct entry *e;
    enum tarn_err err = find_value(kv, key, &e);
    struct tarn_span path;
    *kind = err == TARN_OK ? TARN_KV_VALUE : TARN_KV_NONE;
    if (err != TARN_INVALID)
        return TARN_OK;
    if (!tarn_kv_path_canonical(key, &path))
        return TARN_INVALID;
    *kind = TARN_KV_DICTIONARY;
    return TARN_OK;
}

static enum tarn_err rw_get_partial(struct tarn_kv *kv, struct tarn_span key, uint64_t offset,
                                    struct tarn_bytes buf, size_t *n) {
    struct entry *e;
    *n = 0;
    enum tarn_err err = find_value(kv, key, &e);
    return err ? err : tar_value_read(tar_of(kv), e, offset, buf, n);
}

static enum tarn_err rw_borrow(struct tarn_kv *kv, struct tarn_span key, struct tarn_span *value) {
    (void)kv, (void)key, (void)value;
    return TARN_UNSUPPORTED;
}

static enum tarn_err rw_size(struct tarn_kv *kv, struct tarn_span key, uint64_t *bytes) {
    struct entry *e;
    enum tarn_err err = find_value(kv, key, &e);
    if (!err)
        *bytes = e->value.len;
    return err;
}

static enum tarn_err rw_last_modified(struct tarn_kv *kv, struct tarn_span key, int64_t *seconds) {
    struct entry *e;
    enum tarn_err err = find_value(kv, key, &e);
    if (!err)
        *seconds = e->mtime;
    return err;
}

static enum tarn_err rw_digest(struct tarn_kv *kv, struct tarn_span key,
                               uint8_t digest[TARN_KV_DIGEST_BYTES]) {
    return tarn_kv_digest_by_reading(kv, key, digest);
}

/* The segment of entry `i` that follows `dir`; whether there are more. */
static bool name_below(struct tarn_kv_tar_rw *t, uint32_t i, struct tarn_span dir,
                       struct tarn_span *name) {
    struct tarn_span rest =
        tarn_span_after(index_at(&t->index, i)->path, dir.len ? dir.len + 1 : 0);
    return tarn_span_split(&rest, '/', name);
}

static bool is_behind(const struct tarn_kv_cursor *cursor, struct tarn_span name) {
    int order = tarn_span_compare(name, tarn_kv_cursor_name(cursor));
    return cursor->behind ? order > 0 : order >= 0;
}

static enum tarn_err rw_list(struct tarn_kv *kv, struct tarn_span key,
                             struct tarn_kv_cursor *cursor, struct tarn_kv_entry *out) {
    struct tarn_kv_tar_rw *t = tar_of(kv);
    struct tarn_span dir, name;
    struct entry *e;
    enum tarn_err err = find_value(kv, key, &e);
    if (err != TARN_INVALID || !tarn_kv_path_canonical(key, &dir))
        return err ? err : TARN_INVALID;
    uint32_t from = index_lower(&t->index, dir), to = index_behind(&t->index, dir, from);
    while (from < to) { /* the first name behind the cursor */
        uint32_t middle = from + (to - from) / 2;
        name_below(t, middle, dir, &name);
        if (is_behind(cursor, name))
            to = middle;
        else
            from = middle + 1;
    }
    if (from == t->index.count || !tarn_kv_path_below(index_at(&t->index, from)->path, dir))
        return TARN_EOF;
    *out = (struct tarn_kv_entry){0};
    out->kind = name_below(t, from, dir, &name) ? TARN_KV_DICTIONARY : TARN_KV_VALUE;
    out->name = name;
    tarn_kv_cursor_seek(cursor, name);
    cursor->behind = true;
    return TARN_OK;
}

/* -- reading the archive --------------------------------------------------------------------------
 */

struct scan {
    struct tarn_kv_tar_rw *t;
    struct tarn_kv_tar_error *error;
    uint64_t at;    /* the next block */
    uint64_t first; /* of the member */
    struct extras x;
    size_t extra_bytes; /* of t->head, which has what x's path is in */
    bool global_mtime_given;
    int64_t global_mtime;
    uint8_t block[TAR_BLOCK];
};

static enum tarn_err refuse(struct scan *s, const char *why) {
    *s->error = (struct tarn_kv_tar_error){s->at * TAR_BLOCK, why};
    return TARN_PEER;
}

static uint64_t blocks_of(uint64_t bytes) {
    return bytes / TAR_BLOCK + (bytes % TAR_BLOCK != 0);
}

/* A pax or GNU header with its data. */
static enum tarn_err extra_take(struct scan *s, const struct header *h, uint64_t bytes) {
    struct tarn_bytes room = tarn_bytes_after(TARN_BYTES_ARRAY(s->t->head), s->extra_bytes);
    struct extras global = {0};
    if (blocks_of(bytes) * TAR_BLOCK > room.len)
        return refuse(s, "the extensions of a member are too large");
    room = tarn_bytes_first(room, (size_t)blocks_of(bytes) * TAR_BLOCK);
    enum tarn_err err = room.len ? tar_blocks_read(s->t, s->at + 1, room) : TARN_OK;
    if (err)
        return err;
    s->extra_bytes += room.len;
    struct tarn_span data = tarn_span_first(tarn_bytes_span(room), (size_t)bytes);
    const char *why = NULL;
    if (h->type == 'x') {
        why = tar_pax_apply(data, &s->x);
    } else if (h->type == 'g') {
        why = tar_pax_apply(data, &global);
        if (!why && (global.path_given || global.size_given))
            why = "a global pax header has a path or a size";
        s->global_mtime_given |= global.mtime_given;
        s->global_mtime = global.mtime_given ? global.mtime : s->global_mtime;
    } else if (h->type == 'L') {
        s->x.path = tar_text(data);
        s->x.path_given = true;
    }
    if (why)
        return refuse(s, why);
    s->at += 1 + blocks_of(bytes);
    return TARN_OK;
}

static enum tarn_err path_take(struct scan *s, const struct header *h, struct tarn_span *out) {
    struct tarn_kv_tar_rw *t = s->t;
    struct member m = {.name = s->x.path_given ? s->x.path : tar_text(h->name)};
    struct tarn_bytes room = tarn_bytes_after(TARN_AT(t->names, t->names_in), t->names_used);
    struct tarn_span path;
    size_t used;
    if (!s->x.path_given && h->posix)
        m.prefix = tar_text(h->prefix);
    enum tarn_err err = tar_path_of(&m, room, &used, &path);
    if (err)
        return err == TARN_INVALID ? refuse(s, "a path has a '..' segment or a NUL") : err;
    if (!path.len)
        return refuse(s, "a file has no name");
    /* What was put together lies there already. */
    if (used) {
        *out = path;
        t->names_used += used;
        return TARN_OK;
    }
    return tar_path_keep(t, path, out);
}

static bool free_add(struct tarn_kv_tar_rw *t, struct extent e) {
    if (t->free_count > t->config.values_max)
        return false;
    TARN_AT_N(t->free, t->config.values_max + 1, t->free_count++) = e;
    return true;
}

static enum tarn_err member_take(struct scan *s, const struct header *h, uint64_t bytes) {
    struct tarn_kv_tar_rw *t = s->t;
    struct entry e = {.first = s->first, .data = s->at + 1, .order = t->index.count};
    size_t names = t->names_used;
    uint64_t mtime;
    if (h->type != '0' && h->type != 0 && h->type != '7' && h->type != '5')
        return refuse(s, "neither a file nor a directory");
    bytes = h->type == '5' ? 0 : s->x.size_given ? s->x.size : bytes;
    if (!tar_number(h->mtime, &mtime) || mtime > INT64_MAX)
        return refuse(s, "the mtime is not a number");
    if (bytes > t->config.blk->blocks * TAR_BLOCK
        || e.data + blocks_of(bytes) > t->config.blk->blocks)
        return refuse(s, "the archive ends inside a member");
    e.end = e.data + blocks_of(bytes);
    e.value = tarn_span_of(NULL, (size_t)bytes);
    e.mtime = s->x.mtime_given        ? s->x.mtime
              : s->global_mtime_given ? s->global_mtime
                                      : (int64_t)mtime;
    enum tarn_err err = h->type == '5' ? TARN_OK : path_take(s, h, &e.path);
    if (err)
        return err;
    if (h->type == '5' || is_own(e.path)) {
        if (tarn_span_equal(e.path, TARN_SPAN_LIT(TAR_FREE)))
            (void)free_add(t, (struct extent){e.first, e.end});
        t->names_used = names;
    } else {
        if (t->index.count == t->index.cap)
            return TARN_LIMIT;
        *index_at(&t->index, t->index.count++) = e;
    }
    s->at = s->first = e.end;
    s->x = (struct extras){0};
    s->extra_bytes = 0;
    return TARN_OK;
}

static enum tarn_err scan_step(struct scan *s, bool *done) {
    struct header h;
    uint64_t bytes;
    if (s->at >= s->t->config.blk->blocks)
        return refuse(s, "the archive has no end mark");
    enum tarn_err err = tar_blocks_read(s->t, s->at, TARN_BYTES_ARRAY(s->block));
    if (err)
        return err;
    *done = tar_is_zero(TARN_SPAN_ARRAY(s->block));
    if (*done)
        return s->at == s->first ? TARN_OK
                                 : refuse(s, "an extended header has no member behind it");
    const char *why = tar_header_parse(TARN_SPAN_ARRAY(s->block), &h);
    if (why)
        return refuse(s, why);
    if (!tar_number(h.size, &bytes))
        return refuse(s, "the size is not a number");
    bool is_extra = h.type == 'x' || h.type == 'g' || h.type == 'L' || h.type == 'K';
    return is_extra ? extra_take(s, &h, bytes) : member_take(s, &h, bytes);
}

/* -- opening --------------------------------------------------------------------------------------
 */

struct replaced {
    struct index_dropped dropped;
    struct tarn_kv_tar_rw *t;
};
static void on_replaced(struct index_dropped *dropped, const struct entry *e) {
    struct tarn_kv_tar_rw *t = TARN_CONTAINER_OF(dropped, struct replaced, dropped)->t;
    if (t->death_count < t->config.values_max)
        tar_member_kill(t, e);
}

static enum tarn_err archive_read(struct tarn_kv_tar_rw *t, struct tarn_kv_tar_error *error) {
    struct scan s = {.t = t, .error = error};
    struct replaced replaced = {{on_replaced}, t};
    enum tarn_err err = TARN_OK;
    for (bool done = false; !err && !done;)
        err = scan_step(&s, &done);
    if (err)
        return err;
    t->end = s.first;
    index_sort(&t->index, &replaced.dropped);
    if (index_conflict(&t->index))
        return refuse(&s, "a name is both a file and a directory");
    /* What a later member has replaced, as after a loss of power, is free room. */
    if (t->config.blk->features & TARN_BLK_READ_ONLY) {
        t->death_count = 0;
        return TARN_OK;
    }
    err = tar_commit(t);
    if (err || t->end + 1 >= t->config.blk->blocks)
        return err;
    /* And its end mark may have lost its second block. */
    err = tar_blocks_read(t, t->end + 1, TARN_BYTES_ARRAY(s.block));
    return err || tar_is_zero(TARN_SPAN_ARRAY(s.block)) ? err : tar_end_mend(t);
}

static enum tarn_err rw_snapshot(struct tarn_kv *kv, struct tarn_kv **out) {
    (void)kv, (void)out;
    return TARN_UNSUPPORTED;
}
static void rw_watch(struct tarn_kv *kv, struct tarn_kv_watch *watch) {
    tarn_kv_watches_add(&tar_of(kv)->watches, watch);
}
static void rw_unwatch(struct tarn_kv *kv, struct tarn_kv_watch *watch) {
    tarn_kv_watches_remove(&tar_of(kv)->watches, watch);
}

#define READING                                                                                    \
    .exists = rw_exists, .get_partial = rw_get_partial, .borrow = rw_borrow, .size = rw_size,      \
    .list = rw_list, .last_modified = rw_last_modified, .digest = rw_digest
static const struct tarn_kv_ops reading_ops = {READING};
static const struct tarn_kv_ops ops = {READING, .batch = tar_batch, .snapshot = rw_snapshot,
                                       .watch = rw_watch, .unwatch = rw_unwatch};

enum tarn_err tarn_kv_tar_rw_format(const struct tarn_kv_tar_rw_config *config) {
    static const uint8_t zeroes[2 * TAR_BLOCK];
    struct tarn_waiter *waiter = config->waiter(config->user);
    if (config->blk->block_bytes != TAR_BLOCK || config->blk->blocks < 2)
        return TARN_INVALID;
    enum tarn_err err = tarn_blk_write(config->blk, waiter, 0, TARN_SPAN_ARRAY(zeroes));
    if (!err && (config->blk->features & TARN_BLK_CAN_FLUSH))
        err = tarn_blk_flush(config->blk, waiter);
    return err;
}

static enum tarn_err memory_take(struct tarn_kv_tar_rw *t) {
    struct tarn_alloc *alloc = t->config.alloc;
    uint32_t n = t->config.values_max;
    t->index.entries = TARN_NEW_ARRAY(alloc, n, struct entry);
    t->index.cap = n;
    t->was = TARN_NEW_ARRAY(alloc, n, struct entry);
    t->free = TARN_NEW_ARRAY(alloc, n + 1, struct extent);
    t->free_was = TARN_NEW_ARRAY(alloc, n + 1, struct extent);
    t->births = TARN_NEW_ARRAY(alloc, TAR_BIRTHS, struct birth);
    t->deaths = TARN_NEW_ARRAY(alloc, n + TAR_BIRTHS, struct extent);
    bool good = t->index.entries && t->was && t->free && t->free_was && t->births && t->deaths;
    for (size_t i = 0; i < 2; i++) {
        uint8_t *names = tarn_alloc_get(alloc, t->config.names_bytes, 1);
        TARN_AT(t->names, i) = tarn_bytes_of(names, names ? t->config.names_bytes : 0);
        good &= names != NULL;
    }
    return good ? TARN_OK : TARN_LIMIT;
}

enum tarn_err tarn_kv_tar_rw_open(const struct tarn_kv_tar_rw_config *config,
                                  struct tarn_kv_tar_error *error, struct tarn_kv_tar_rw **out) {
    *error = (struct tarn_kv_tar_error){0, ""};
    if (config->blk->block_bytes != TAR_BLOCK || !config->values_max || !config->names_bytes)
        return TARN_INVALID;
    struct tarn_kv_tar_rw *t = TARN_NEW(config->alloc, struct tarn_kv_tar_rw);
    if (!t)
        return TARN_LIMIT;
    t->kv.ops = config->blk->features & TARN_BLK_READ_ONLY ? &reading_ops : &ops;
    t->config = *config;
    enum tarn_err err = memory_take(t);
    if (!err)
        err = archive_read(t, error);
    if (err)
        tarn_kv_tar_rw_close(t);
    else
        *out = t;
    return err;
}

void tarn_kv_tar_rw_close(struct tarn_kv_tar_rw *t) {
    struct tarn_alloc *alloc = t->config.alloc;
    size_t n = t->config.values_max;
    tarn_alloc_put(alloc, t->index.entries, n * sizeof *t->index.entries);
    tarn_alloc_put(alloc, t->was, n * sizeof *t->was);
    tarn_alloc_put(alloc, t->free, (n + 1) * sizeof *t->free);
    tarn_alloc_put(alloc, t->free_was, (n + 1) * sizeof *t->free_was);
    tarn_alloc_put(alloc, t->births, TAR_BIRTHS * sizeof *t->births);
    tarn_alloc_put(alloc, t->deaths, (n + TAR_BIRTHS) * sizeof *t->deaths);
    for (size_t i = 0; i < 2; i++)
        tarn_alloc_put(alloc, TARN_AT(t->names, i).ptr, TARN_AT(t->names, i).len);
    tarn_alloc_put(alloc, t, sizeof *t);
}

struct tarn_kv *tarn_kv_tar_rw_kv(struct tarn_kv_tar_rw *tar) {
    return &tar->kv;
}

uint64_t tarn_kv_tar_rw_bytes(const struct tarn_kv_tar_rw *t, uint64_t *free_bytes) {
    *free_bytes = 0;
    for (uint32_t i = 0; i < t->free_count; i++) {
        struct extent e = TARN_AT_N(t->free, t->config.values_max + 1, i);
        *free_bytes += (e.end - e.first) * TAR_BLOCK;
    }
    return (t->end + 2) * TAR_BLOCK;
}
