/* SPDX-License-Identifier: ISC */
/* The store: turns, reading, listing, opening. */
#include "fat.h"

#include <tarn/kv_impl.h>
#include <tarn/kv_path.h>

static struct tarn_kv_fat *fat_of(struct tarn_kv *kv) {
    return TARN_CONTAINER_OF(kv, struct tarn_kv_fat, kv);
}

/* -- turns ----------------------------------------------------------------------------------------
 */

enum tarn_err fat_enter(struct tarn_kv_fat *f) {
    return turns_enter(&f->turns, f->config.waiter(f->config.user));
}

void fat_leave(struct tarn_kv_fat *f) {
    turns_leave(&f->turns);
}

/* -- keys -----------------------------------------------------------------------------------------
 */

static enum tarn_err segments_take(struct tarn_span key, struct fat_path *p) {
    struct tarn_span rest, name;
    struct fat_units units;
    p->depth = p->found = 0;
    p->impossible = false;
    if (!tarn_kv_path_canonical(key, &rest))
        return TARN_INVALID;
    while (tarn_kv_path_next(&rest, &name)) {
        if (name.len > TARN_KV_NAME_MAX || p->depth == TARN_KV_DEPTH_MAX)
            return TARN_LIMIT;
        p->impossible |= !fat_units_of(name, &units);
        TARN_AT(p->names, p->depth++) = name;
    }
    return TARN_OK;
}

enum tarn_err fat_path_find(struct tarn_kv_fat *f, struct tarn_span key, struct fat_path *p) {
    struct fat_place at = fat_root(f);
    struct fat_units units;
    enum tarn_err err = segments_take(key, p);
    p->entry = (struct fat_entry){.attributes = FAT_ATTRIBUTE_DIRECTORY, .cluster = at.cluster};
    if (err)
        return err;
    for (; p->found < p->depth; p->found++) {
        TARN_AT(p->dirs, p->found) = at;
        if (!fat_is_directory(&p->entry))
            return TARN_OK; /* a value on the way */
        struct fat_entry e;
        if (!fat_units_of(TARN_AT(p->names, p->found), &units))
            return TARN_OK;
        err = fat_dir_find(f, at, &units, &e);
        if (err)
            return err == TARN_NOT_FOUND ? TARN_OK : err;
        /* A directory below another one has clusters; one that says 0 would be the root again. */
        if (fat_is_directory(&e) && !fat_is_cluster(f, e.cluster))
            return TARN_IO;
        p->entry = e;
        at = (struct fat_place){e.cluster};
    }
    return TARN_OK;
}

/* What a key names, for those who read; the store is entered where the answer is TARN_OK. */
static enum tarn_err look(struct tarn_kv_fat *f, struct tarn_span key, struct fat_path *p,
                          enum tarn_kv_kind *kind) {
    enum tarn_err err = fat_enter(f);
    *kind = TARN_KV_NONE;
    if (err)
        return err;
    err = fat_path_find(f, key, p);
    if (err == TARN_LIMIT)
        return TARN_OK;
    if (err) {
        fat_leave(f);
        return err;
    }
    if (p->found == p->depth)
        *kind = fat_is_directory(&p->entry) ? TARN_KV_DICTIONARY : TARN_KV_VALUE;
    return TARN_OK;
}

static enum tarn_err look_for_value(struct tarn_kv_fat *f, struct tarn_span key,
                                    struct fat_path *p) {
    enum tarn_kv_kind kind;
    enum tarn_err err = look(f, key, p, &kind);
    if (err || kind == TARN_KV_VALUE)
        return err;
    fat_leave(f);
    return kind == TARN_KV_NONE ? TARN_NOT_FOUND : TARN_INVALID;
}

/* -- reading --------------------------------------------------------------------------------------
 */

static enum tarn_err fat_exists(struct tarn_kv *kv, struct tarn_span key, enum tarn_kv_kind *kind) {
    struct fat_path p;
    enum tarn_err err = look(fat_of(kv), key, &p, kind);
    if (!err)
        fat_leave(fat_of(kv));
    return err;
}

static enum tarn_err fat_get_partial(struct tarn_kv *kv, struct tarn_span key, uint64_t offset,
                                     struct tarn_bytes buf, size_t *n) {
    struct fat_path p;
    *n = 0;
    enum tarn_err err = look_for_value(fat_of(kv), key, &p);
    if (err)
        return err;
    err = fat_value_read(fat_of(kv), &p.entry, offset, buf, n);
    fat_leave(fat_of(kv));
    return err;
}

static enum tarn_err fat_borrow(struct tarn_kv *kv, struct tarn_span key, struct tarn_span *value) {
    (void)kv, (void)key, (void)value;
    return TARN_UNSUPPORTED;
}

static enum tarn_err fat_size(struct tarn_kv *kv, struct tarn_span key, uint64_t *bytes) {
    struct fat_path p;
    enum tarn_err err = look_for_value(fat_of(kv), key, &p);
    if (err)
        return err;
    *bytes = p.entry.bytes;
    fat_leave(fat_of(kv));
    return TARN_OK;
}

static enum tarn_err fat_last_modified(struct tarn_kv *kv, struct tarn_span key, int64_t *seconds) {
    struct fat_path p;
    enum tarn_err err = look_for_value(fat_of(kv), key, &p);
    if (err)
        return err;
    *seconds = p.entry.modified;
    fat_leave(fat_of(kv));
    return TARN_OK;
}

static enum tarn_err fat_digest(struct tarn_kv *kv, struct tarn_span key,
                                uint8_t digest[TARN_KV_DIGEST_BYTES]) {
    return tarn_kv_digest_by_reading(kv, key, digest);
}

/* -- listing --------------------------------------------------------------------------------------
 */

static struct fat_listed *listed_at(struct tarn_kv_fat *f, uint32_t i) {
    return &TARN_AT_N(f->listed, FAT_LISTED, i);
}
static struct tarn_span listed_name(struct tarn_kv_fat *f, uint32_t i) {
    return tarn_span_first(TARN_SPAN_ARRAY(listed_at(f, i)->name), listed_at(f, i)->len);
}

static bool is_behind(const struct tarn_kv_cursor *cursor, struct tarn_span name) {
    int order = tarn_span_compare(name, tarn_kv_cursor_name(cursor));
    return cursor->behind ? order > 0 : order >= 0;
}

/* Into its place among the first FAT_LISTED of those behind the cursor. */
static void listed_add(struct tarn_kv_fat *f, struct tarn_span name, bool dictionary) {
    uint32_t at = f->listed_count;
    while (at && tarn_span_compare(name, listed_name(f, at - 1)) < 0)
        at--;
    if (at == FAT_LISTED)
        return;
    if (f->listed_count < FAT_LISTED)
        f->listed_count++;
    for (uint32_t i = f->listed_count - 1; i > at; i--)
        *listed_at(f, i) = *listed_at(f, i - 1);
    struct fat_listed *l = listed_at(f, at);
    l->len = (uint8_t)tarn_bytes_copy(TARN_BYTES_ARRAY(l->name), name);
    l->dictionary = dictionary;
}

static enum tarn_err listed_fill(struct tarn_kv_fat *f, struct fat_place dir,
                                 const struct tarn_kv_cursor *cursor) {
    uint8_t room[TARN_KV_NAME_MAX];
    struct fat_entry e;
    struct fat_walk w;
    enum tarn_err err;
    f->fill++;
    f->listed_count = 0;
    fat_walk_begin(f, dir, &w);
    while ((err = fat_walk_next(f, &w, &e)) == TARN_OK) {
        struct tarn_writer name = TARN_WRITER_ARRAY(room);
        if (fat_units_name(&e.name, &name) && is_behind(cursor, tarn_writer_span(&name)))
            listed_add(f, tarn_writer_span(&name), fat_is_directory(&e));
    }
    return err == TARN_EOF ? TARN_OK : err;
}

/* The cursor's hint says which listing it is in, and where. */
static enum tarn_err list_inside(struct tarn_kv_fat *f, struct fat_place dir,
                                 struct tarn_kv_cursor *cursor, struct tarn_kv_entry *entry) {
    bool known = cursor->hint && cursor->hint / (FAT_LISTED + 1) == f->fill;
    uint32_t i = known ? (uint32_t)(cursor->hint % (FAT_LISTED + 1)) : FAT_LISTED;
    if (i == FAT_LISTED) {
        enum tarn_err err = listed_fill(f, dir, cursor);
        if (err)
            return err;
        i = 0;
    }
    if (i >= f->listed_count)
        return TARN_EOF;
    *entry = (struct tarn_kv_entry){.name = listed_name(f, i),
                                    .kind = listed_at(f, i)->dictionary ? TARN_KV_DICTIONARY
                                                                        : TARN_KV_VALUE};
    tarn_kv_cursor_seek(cursor, entry->name);
    cursor->behind = true;
    cursor->hint = f->fill * (FAT_LISTED + 1) + i + 1;
    return TARN_OK;
}

static enum tarn_err fat_list(struct tarn_kv *kv, struct tarn_span key,
                              struct tarn_kv_cursor *cursor, struct tarn_kv_entry *entry) {
    struct tarn_kv_fat *f = fat_of(kv);
    struct fat_path p;
    enum tarn_kv_kind kind;
    enum tarn_err err = look(f, key, &p, &kind);
    if (err)
        return err;
    err = kind == TARN_KV_NONE ? TARN_NOT_FOUND
          : kind == TARN_KV_VALUE
              ? TARN_INVALID
              : list_inside(f, (struct fat_place){p.entry.cluster}, cursor, entry);
    fat_leave(f);
    return err;
}

/* -- opening --------------------------------------------------------------------------------------
 */

static enum tarn_err fat_snapshot(struct tarn_kv *kv, struct tarn_kv **out) {
    (void)kv, (void)out;
    return TARN_UNSUPPORTED;
}
static void fat_watch(struct tarn_kv *kv, struct tarn_kv_watch *watch) {
    tarn_kv_watches_add(&fat_of(kv)->watches, watch);
}
static void fat_unwatch(struct tarn_kv *kv, struct tarn_kv_watch *watch) {
    tarn_kv_watches_remove(&fat_of(kv)->watches, watch);
}

#define READING                                                                                    \
    .exists = fat_exists, .get_partial = fat_get_partial, .borrow = fat_borrow, .size = fat_size,  \
    .list = fat_list, .last_modified = fat_last_modified, .digest = fat_digest
static const struct tarn_kv_ops reading_ops = {READING};
static const struct tarn_kv_ops ops = {READING, .batch = fat_batch, .snapshot = fat_snapshot,
                                       .watch = fat_watch, .unwatch = fat_unwatch};

static void memory_put(struct tarn_kv_fat *f) {
    struct tarn_alloc *alloc = f->config.alloc;
    tarn_alloc_put(alloc, f->sectors, f->sector_count * sizeof *f->sectors);
    tarn_alloc_put(alloc, f->memory.ptr, f->memory.len);
    tarn_alloc_put(alloc, f->old.ptr, f->old.len);
    tarn_alloc_put(alloc, f->new.ptr, f->new.len);
    tarn_alloc_put(alloc, f->listed, FAT_LISTED * sizeof *f->listed);
    tarn_alloc_put(alloc, f, sizeof *f);
}

static struct tarn_bytes bytes_new(struct tarn_alloc *alloc, size_t bytes) {
    uint8_t *ptr = tarn_alloc_get(alloc, bytes, 64);
    return tarn_bytes_of(ptr, ptr ? bytes : 0);
}

static enum tarn_err memory_take(struct tarn_kv_fat *f) {
    struct tarn_alloc *alloc = f->config.alloc;
    f->sector_count = f->config.sectors_cached ? TARN_MAX(f->config.sectors_cached, 16u) : 256;
    f->sectors = TARN_NEW_ARRAY(alloc, f->sector_count, struct fat_sector);
    f->memory = bytes_new(alloc, (size_t)f->sector_count * f->volume.sector_bytes);
    f->old = bytes_new(alloc, f->volume.cluster_bytes);
    f->new = bytes_new(alloc, f->volume.cluster_bytes);
    f->listed = TARN_NEW_ARRAY(alloc, FAT_LISTED, struct fat_listed);
    return f->sectors && f->memory.ptr && f->old.ptr && f->new.ptr && f->listed ? TARN_OK
                                                                                : TARN_LIMIT;
}

static enum tarn_err volume_read(const struct tarn_kv_fat_config *config, struct fat_volume *out) {
    struct tarn_blk *blk = config->blk;
    uint8_t boot[FAT_SECTOR_MAX];
    struct tarn_bytes first = tarn_bytes_first(TARN_BYTES_ARRAY(boot), blk->block_bytes);
    if (blk->block_bytes > FAT_SECTOR_MAX)
        return TARN_INVALID;
    if (tarn_blk_read(blk, config->waiter(config->user), 0, first))
        return TARN_IO;
    if (!fat_volume_parse(tarn_bytes_span(first), blk->blocks * blk->block_bytes, out))
        return TARN_NOT_FOUND;
    return out->sector_bytes < blk->block_bytes ? TARN_INVALID : TARN_OK;
}

enum tarn_err tarn_kv_fat_open(const struct tarn_kv_fat_config *config, struct tarn_kv_fat **out) {
    struct fat_volume volume;
    enum tarn_err err = volume_read(config, &volume);
    if (err)
        return err;
    struct tarn_kv_fat *f = TARN_NEW(config->alloc, struct tarn_kv_fat);
    if (!f)
        return TARN_LIMIT;
    bool read_only = config->blk->features & TARN_BLK_READ_ONLY;
    *f = (struct tarn_kv_fat){.kv = {read_only ? &reading_ops : &ops},
                              .config = *config,
                              .volume = volume,
                              .info_known = volume.info != 0};
    err = memory_take(f);
    if (err)
        memory_put(f);
    else
        *out = f;
    return err;
}

void tarn_kv_fat_close(struct tarn_kv_fat *f) {
    struct tarn_kv_fat_stat s;
    /* Whoever does not find the number counts again. */
    if (f->volume.info && !f->info_known && !f->failed && tarn_kv_fat_stat(f, &s) == TARN_OK)
        (void)!fat_info_set(f, s.clusters_free);
    memory_put(f);
}

struct tarn_kv *tarn_kv_fat_kv(struct tarn_kv_fat *fat) {
    return &fat->kv;
}

enum tarn_err tarn_kv_fat_stat(struct tarn_kv_fat *f, struct tarn_kv_fat_stat *out) {
    enum tarn_err err = fat_enter(f);
    if (err)
        return err;
    *out = (struct tarn_kv_fat_stat){.type = f->volume.type,
                                     .cluster_bytes = f->volume.cluster_bytes,
                                     .clusters = f->volume.clusters};
    for (uint32_t i = 0; !err && i < f->volume.clusters; i++) {
        bool is_free;
        err = fat_is_free(f, i + 2, &is_free);
        out->clusters_free += !err && is_free;
    }
    fat_leave(f);
    return err;
}
