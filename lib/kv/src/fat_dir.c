/* SPDX-License-Identifier: ISC */
/* A directory is entries of 32 bytes: a long name in pieces of 13 units, last piece first, then the
 * short entry that they belong to by a checksum of its name. */
#include "fat.h"

#define DELETED 0xe5u
#define LONG_UNITS 13u
#define LONG_LAST 0x40u
#define INDEX_MAX 65536u /* entries of a directory, by the specification */

struct fat_place fat_root(const struct tarn_kv_fat *f) {
    return (struct fat_place){f->volume.root_cluster};
}

/* -- where entries are ----------------------------------------------------------------------------
 */

void fat_walk_begin(const struct tarn_kv_fat *f, struct fat_place dir, struct fat_walk *w) {
    (void)f;
    *w = (struct fat_walk){.dir = dir, .cluster = dir.cluster};
}

/* The spot of the walk's entry. TARN_EOF: the directory has no more room. */
static enum tarn_err walk_spot(struct tarn_kv_fat *f, struct fat_walk *w, struct fat_spot *out) {
    const struct fat_volume *v = &f->volume;
    uint32_t per_sector = v->sector_bytes / FAT_ENTRY_BYTES, sector = w->index / per_sector;
    if (w->index >= INDEX_MAX)
        return TARN_EOF;
    out->offset = w->index % per_sector * FAT_ENTRY_BYTES;
    if (!w->dir.cluster) {
        out->sector = v->root_first + sector;
        return sector < v->root_sectors ? TARN_OK : TARN_EOF;
    }
    while (w->steps < sector / v->cluster_sectors) {
        uint32_t next;
        enum tarn_err err = fat_next(f, w->cluster, &next);
        if (err || next == FAT_END)
            return err ? err : TARN_EOF;
        if (!next)
            return TARN_IO;
        w->cluster = next;
        w->steps++;
    }
    if (!fat_is_cluster(f, w->cluster))
        return TARN_IO;
    out->sector = fat_cluster_sector(f, w->cluster) + sector % v->cluster_sectors;
    return TARN_OK;
}

static enum tarn_err walk_raw(struct tarn_kv_fat *f, struct fat_walk *w, struct fat_spot *spot,
                              struct tarn_span *entry) {
    struct tarn_bytes sector;
    enum tarn_err err = walk_spot(f, w, spot);
    if (!err)
        err = fat_sector_get(f, spot->sector, &sector);
    if (!err)
        *entry = tarn_span_first(tarn_span_after(tarn_bytes_span(sector), spot->offset),
                                 FAT_ENTRY_BYTES);
    return err;
}

/* -- reading --------------------------------------------------------------------------------------
 */

struct long_name {
    struct fat_units units;
    uint32_t due;   /* the piece that must follow; 0: the short entry */
    uint32_t count; /* pieces; 0: none has begun */
    uint8_t sum;
};

static uint16_t long_unit(struct tarn_span e, uint32_t i) {
    size_t at = i < 5 ? 1 + 2 * i : i < 11 ? 14 + 2 * (i - 5) : 28 + 2 * (i - 11);
    return (uint16_t)(tarn_span_at(e, at) | tarn_span_at(e, at + 1) << 8);
}

/* One piece; where it is not the one that is due, there is no long name. */
static void long_take(struct long_name *l, struct tarn_span e) {
    uint8_t order = tarn_span_at(e, 0);
    uint32_t piece = order & 0x3fu;
    if (order & LONG_LAST)
        *l = (struct long_name){.due = piece, .count = piece, .sum = tarn_span_at(e, 13)};
    if (!l->count || !piece || piece > 20 || piece != l->due || tarn_span_at(e, 13) != l->sum) {
        l->count = 0;
        return;
    }
    l->due--;
    for (uint32_t i = 0; i < LONG_UNITS; i++) {
        uint32_t at = (piece - 1) * LONG_UNITS + i;
        uint16_t unit = long_unit(e, i);
        if (!unit)
            break; /* what follows is filling */
        if (at >= FAT_UNITS_MAX) {
            l->count = 0;
            return;
        }
        TARN_AT(l->units.unit, at) = unit;
        l->units.count = TARN_MAX(l->units.count, at + 1);
    }
}

static int64_t modified_of(uint32_t day, uint32_t time) {
    struct tarn_date date = {.year = (int32_t)(1980 + (day >> 9)),
                             .month = (uint8_t)(day >> 5 & 15),
                             .day = (uint8_t)(day & 31),
                             .hour = (uint8_t)(time >> 11),
                             .minute = (uint8_t)(time >> 5 & 63),
                             .second = (uint8_t)(2 * (time & 31))};
    int64_t seconds = 0;
    return tarn_date_to_unix(&date, &seconds) ? seconds : 0;
}

static void stamp_of(int64_t seconds, uint16_t *day, uint16_t *time) {
    struct tarn_date d = tarn_date_from_unix(seconds);
    if (d.year < 1980)
        d = (struct tarn_date){.year = 1980, .month = 1, .day = 1};
    if (d.year > 2107)
        d = (struct tarn_date){2107, 12, 31, 23, 59, 58, 0};
    *day = (uint16_t)((d.year - 1980) << 9 | d.month << 5 | d.day);
    *time = (uint16_t)(d.hour << 11 | d.minute << 5 | d.second / 2);
}

static uint32_t u16_at(struct tarn_span e, size_t at) {
    return (uint32_t)(tarn_span_at(e, at) | tarn_span_at(e, at + 1) << 8);
}

static void short_take(struct tarn_kv_fat *f, struct tarn_span e, struct fat_entry *out) {
    out->attributes = tarn_span_at(e, 11);
    out->cluster = u16_at(e, 26);
    if (f->volume.type == 32)
        out->cluster |= (u16_at(e, 20) & 0x0fff) << 16;
    out->bytes = u16_at(e, 28) | u16_at(e, 30) << 16;
    out->modified = modified_of(u16_at(e, 24), u16_at(e, 22));
}

enum tarn_err fat_walk_next(struct tarn_kv_fat *f, struct fat_walk *w, struct fat_entry *out) {
    struct long_name l = {0};
    struct tarn_span e;
    for (;; w->index++) {
        enum tarn_err err = walk_raw(f, w, &out->spot, &e);
        if (err)
            return err;
        uint8_t first = tarn_span_at(e, 0), attributes = tarn_span_at(e, 11);
        if (!first)
            return TARN_EOF;
        if (first == DELETED) {
            l.count = 0;
        } else if ((attributes & 0x3f) == FAT_ATTRIBUTE_LONG) {
            long_take(&l, e);
        } else if (attributes & FAT_ATTRIBUTE_VOLUME || first == '.') {
            l.count = 0;
        } else {
            break;
        }
    }
    bool is_long = l.count && !l.due && l.units.count && l.sum == fat_short_sum(e);
    if (is_long)
        out->name = l.units;
    else
        fat_short_units(e, &out->name);
    out->count = is_long ? l.count + 1 : 1;
    out->first_index = w->index + 1 - out->count;
    short_take(f, e, out);
    w->index++;
    return TARN_OK;
}

enum tarn_err fat_dir_find(struct tarn_kv_fat *f, struct fat_place dir,
                           const struct fat_units *name, struct fat_entry *out) {
    struct fat_walk w;
    enum tarn_err err;
    fat_walk_begin(f, dir, &w);
    while ((err = fat_walk_next(f, &w, out)) == TARN_OK)
        if (fat_units_equal(&out->name, name))
            return TARN_OK;
    return err == TARN_EOF ? TARN_NOT_FOUND : err;
}

enum tarn_err fat_dir_empty(struct tarn_kv_fat *f, struct fat_place dir,
                            const struct fat_entry *but, bool *empty) {
    struct fat_entry e;
    struct fat_walk w;
    enum tarn_err err;
    fat_walk_begin(f, dir, &w);
    while ((err = fat_walk_next(f, &w, &e)) == TARN_OK)
        if (e.spot.sector != but->spot.sector || e.spot.offset != but->spot.offset)
            break;
    *empty = err == TARN_EOF;
    return err == TARN_EOF ? TARN_OK : err;
}

/* -- short names that are free --------------------------------------------------------------------
 */

/* Whether some entry of the directory has that short name. */
static enum tarn_err short_taken(struct tarn_kv_fat *f, struct fat_place dir,
                                 const uint8_t name[11], bool *taken) {
    struct fat_walk w;
    struct fat_spot spot;
    struct tarn_span e;
    enum tarn_err err = TARN_OK;
    *taken = false;
    fat_walk_begin(f, dir, &w);
    for (; !*taken && (err = walk_raw(f, &w, &spot, &e)) == TARN_OK; w.index++) {
        if (!tarn_span_at(e, 0))
            break;
        *taken = (tarn_span_at(e, 11) & 0x3f) != FAT_ATTRIBUTE_LONG
                 && tarn_span_equal(tarn_span_first(e, 11), tarn_span_of(name, 11));
    }
    return err == TARN_EOF ? TARN_OK : err;
}

static enum tarn_err short_choose(struct tarn_kv_fat *f, struct fat_place dir,
                                  const struct fat_units *name, uint8_t out[11], bool *whole) {
    for (uint32_t n = 1; n < 1000; n++) {
        bool taken;
        /* Few of a kind have numbers; more of them are told apart by a hash at once. */
        fat_short_of(name, n < 5 ? n : n + 5, out, whole);
        enum tarn_err err = short_taken(f, dir, out, &taken);
        if (err || !taken)
            return err;
        *whole = false;
    }
    return TARN_LIMIT;
}

static uint32_t entries_for(const struct fat_units *name) {
    uint8_t room[11];
    bool whole;
    fat_short_of(name, 1, room, &whole);
    return whole ? 1 : (name->count + LONG_UNITS - 1) / LONG_UNITS + 1;
}

/* -- room -----------------------------------------------------------------------------------------
 */

struct run {
    uint32_t index; /* of the first of the free entries */
    uint32_t end;   /* where the directory ended, if they are behind that; else UINT32_MAX */
    bool found;
};

/* Free entries that follow each other, in one sector if they can be: so that one write puts them to
 * use, and later takes them away. They are deleted ones, or behind all that were used, where
 * nothing is seen before the entries in front are written. */
static enum tarn_err run_find(struct tarn_kv_fat *f, struct fat_place dir, uint32_t count,
                              struct run *out) {
    uint32_t per_sector = f->volume.sector_bytes / FAT_ENTRY_BYTES, length = 0;
    struct fat_walk w;
    struct fat_spot spot;
    struct tarn_span e;
    enum tarn_err err;
    *out = (struct run){0};
    fat_walk_begin(f, dir, &w);
    for (; (err = walk_raw(f, &w, &spot, &e)) == TARN_OK; w.index++) {
        if (!tarn_span_at(e, 0))
            break;
        if (w.index % per_sector == 0)
            length = 0;
        length = tarn_span_at(e, 0) == DELETED ? length + 1 : 0;
        if (length == count) {
            *out = (struct run){.index = w.index + 1 - count, .end = UINT32_MAX, .found = true};
            return TARN_OK;
        }
    }
    out->index = out->end = w.index;
    if (count <= per_sector && w.index % per_sector + count > per_sector)
        out->index = (w.index / per_sector + 1) * per_sector;
    if (err && err != TARN_EOF)
        return err;
    /* Behind the end: is there room up to the end of the clusters? */
    for (w.index = out->index + count - 1; !err; err = TARN_EOF) {
        err = walk_spot(f, &w, &spot);
        out->found = !err;
    }
    return err == TARN_EOF ? TARN_OK : err;
}

/* One more cluster, all zeroes, for a directory. */
static enum tarn_err extend(struct tarn_kv_fat *f, struct fat_place dir, bool fresh) {
    uint32_t last = dir.cluster, next, more;
    struct tarn_bytes sector;
    enum tarn_err err = TARN_OK;
    if (!dir.cluster)
        return TARN_LIMIT;
    for (uint32_t i = 0; i <= f->volume.clusters; i++, last = next) {
        err = fat_next(f, last, &next);
        if (err || next == FAT_END)
            break;
        if (!next || i == f->volume.clusters)
            return TARN_IO;
    }
    if (!err)
        err = fat_take(f, 0, &more);
    for (uint32_t i = 0; !err && i < f->volume.cluster_sectors; i++)
        err = fat_sector_change(f, fat_cluster_sector(f, more) + i, FAT_FRESH, true, &sector);
    /* The directory must not lead to what is not yet zeroes. */
    if (!err && !fresh)
        err = fat_commit(f);
    if (!err && !fresh)
        err = fat_flush(f);
    if (!err)
        err = fat_link(f, last, more);
    if (!err && !fresh)
        err = fat_commit(f);
    return err || fresh ? err : fat_flush(f);
}

enum tarn_err fat_dir_reserve(struct tarn_kv_fat *f, struct fat_place dir,
                              const struct fat_units *name, bool fresh) {
    struct run run;
    uint32_t count =
        entries_for(name) == 1 ? 2 : entries_for(name); /* the short one may be taken */
    enum tarn_err err = run_find(f, dir, count, &run);
    while (!err && !run.found) {
        if (run.index + count > INDEX_MAX)
            return TARN_LIMIT;
        err = extend(f, dir, fresh);
        if (!err)
            err = run_find(f, dir, count, &run);
    }
    return err;
}

/* -- changes --------------------------------------------------------------------------------------
 */

/* The bytes of entry `index`, to be changed. */
static enum tarn_err raw_change(struct tarn_kv_fat *f, struct fat_place dir, uint32_t index,
                                bool fresh, struct tarn_bytes *out) {
    struct fat_walk w;
    struct fat_spot spot;
    struct tarn_bytes sector;
    fat_walk_begin(f, dir, &w);
    w.index = index;
    enum tarn_err err = walk_spot(f, &w, &spot);
    if (err)
        return err == TARN_EOF ? TARN_IO : err;
    err = fat_sector_change(f, spot.sector, fresh ? FAT_FRESH : FAT_NAMES, false, &sector);
    if (!err)
        *out = tarn_bytes_first(tarn_bytes_after(sector, spot.offset), FAT_ENTRY_BYTES);
    return err;
}

static void long_put(struct tarn_bytes at, const struct fat_units *name, uint32_t piece, bool last,
                     uint8_t sum) {
    struct tarn_writer w = tarn_writer_over(at);
    tarn_writer_u8(&w, (uint8_t)(piece | (last ? LONG_LAST : 0)));
    for (uint32_t i = 0; i < LONG_UNITS; i++) {
        uint32_t n = (piece - 1) * LONG_UNITS + i;
        if (i == 5) {
            tarn_writer_u8(&w, FAT_ATTRIBUTE_LONG);
            tarn_writer_u8(&w, 0);
            tarn_writer_u8(&w, sum);
        } else if (i == 11) {
            tarn_writer_u16le(&w, 0);
        }
        tarn_writer_u16le(&w, n < name->count    ? TARN_AT(name->unit, n)
                              : n == name->count ? 0
                                                 : 0xffff);
    }
}

static void contents_put(struct tarn_bytes at, const struct fat_entry *e) {
    struct tarn_writer w = tarn_writer_over(tarn_bytes_after(at, 18));
    uint16_t day, time;
    stamp_of(e->modified, &day, &time);
    tarn_writer_u16le(&w, day); /* of the last access */
    tarn_writer_u16le(&w, (uint16_t)(e->cluster >> 16));
    tarn_writer_u16le(&w, time);
    tarn_writer_u16le(&w, day);
    tarn_writer_u16le(&w, (uint16_t)e->cluster);
    tarn_writer_u32le(&w, e->bytes);
}

static void short_put(struct tarn_bytes at, const uint8_t name[11], const struct fat_entry *e) {
    struct tarn_writer w = tarn_writer_over(at);
    uint16_t day, time;
    stamp_of(e->modified, &day, &time);
    tarn_writer_mem(&w, name, 11);
    tarn_writer_u8(&w, e->attributes);
    tarn_writer_u16le(&w, 0);
    tarn_writer_u16le(&w, time); /* of its creation */
    tarn_writer_u16le(&w, day);
    contents_put(at, e);
}

/* Where an unused entry follows a run behind the end, it says that it is the end: nobody knows what
 * was there before. */
static enum tarn_err end_put(struct tarn_kv_fat *f, struct fat_place dir, uint32_t index,
                             bool fresh) {
    struct fat_walk w;
    struct fat_spot spot;
    struct tarn_span e;
    struct tarn_bytes at;
    fat_walk_begin(f, dir, &w);
    w.index = index;
    enum tarn_err err = walk_raw(f, &w, &spot, &e);
    if (err || !tarn_span_at(e, 0))
        return err == TARN_EOF ? TARN_OK : err;
    err = raw_change(f, dir, index, fresh, &at);
    if (!err)
        tarn_bytes_fill(at, 0);
    return err;
}

enum tarn_err fat_dir_insert(struct tarn_kv_fat *f, struct fat_place dir, const struct fat_entry *e,
                             bool fresh) {
    uint8_t name[11];
    struct tarn_bytes at;
    struct run run;
    bool whole;
    enum tarn_err err = short_choose(f, dir, &e->name, name, &whole);
    uint32_t pieces = whole ? 0 : (e->name.count + LONG_UNITS - 1) / LONG_UNITS;
    if (!err)
        err = run_find(f, dir, pieces + 1, &run);
    if (!err && !run.found)
        err = TARN_LIMIT;
    /* What is staged last is written first: so the first entries, which make the others seen where
     * they are new, come last. */
    for (uint32_t i = run.end; !err && i < run.index; i++) { /* not used */
        err = raw_change(f, dir, i, fresh, &at);
        if (!err)
            *tarn_bytes_at(at, 0) = DELETED;
    }
    for (uint32_t i = 0; !err && i <= pieces; i++) {
        err = raw_change(f, dir, run.index + i, fresh, &at);
        if (err)
            break;
        if (i == pieces)
            short_put(at, name, e);
        else
            long_put(at, &e->name, pieces - i, i == 0, fat_short_sum(TARN_SPAN_ARRAY(name)));
    }
    if (!err && run.end != UINT32_MAX)
        err = end_put(f, dir, run.index + pieces + 1, fresh);
    return err;
}

enum tarn_err fat_dir_erase(struct tarn_kv_fat *f, struct fat_place dir,
                            const struct fat_entry *e) {
    enum tarn_err err = TARN_OK;
    for (uint32_t i = 0; !err && i < e->count; i++) {
        struct tarn_bytes at;
        err = raw_change(f, dir, e->first_index + i, false, &at);
        if (!err)
            *tarn_bytes_at(at, 0) = DELETED;
    }
    return err;
}

enum tarn_err fat_dir_update(struct tarn_kv_fat *f, const struct fat_entry *e) {
    struct tarn_bytes sector;
    enum tarn_err err = fat_sector_change(f, e->spot.sector, FAT_NAMES, false, &sector);
    if (!err)
        contents_put(tarn_bytes_first(tarn_bytes_after(sector, e->spot.offset), FAT_ENTRY_BYTES),
                     e);
    return err;
}

/* Above a directory of the root stands 0, whatever the root's cluster is. */
static uint32_t above_cluster(const struct tarn_kv_fat *f, struct fat_place above) {
    return above.cluster == f->volume.root_cluster ? 0 : above.cluster;
}

enum tarn_err fat_dir_new(struct tarn_kv_fat *f, struct fat_place above, int64_t now,
                          struct fat_place *out) {
    struct fat_entry e = {.attributes = FAT_ATTRIBUTE_DIRECTORY, .modified = now};
    struct tarn_bytes sector;
    enum tarn_err err = fat_take(f, 0, &out->cluster);
    for (uint32_t i = f->volume.cluster_sectors; !err && i-- > 0;)
        err =
            fat_sector_change(f, fat_cluster_sector(f, out->cluster) + i, FAT_FRESH, true, &sector);
    if (err)
        return err;
    e.cluster = out->cluster;
    short_put(sector, (const uint8_t *)".          ", &e);
    e.cluster = above_cluster(f, above);
    short_put(tarn_bytes_after(sector, FAT_ENTRY_BYTES), (const uint8_t *)"..         ", &e);
    return TARN_OK;
}

enum tarn_err fat_dir_move(struct tarn_kv_fat *f, struct fat_place dir, struct fat_place above) {
    struct tarn_bytes at;
    uint32_t cluster = above_cluster(f, above);
    enum tarn_err err = raw_change(f, dir, 1, false, &at);
    if (err || !tarn_span_starts(tarn_bytes_span(at), TARN_SPAN_LIT("..         ")))
        return err;
    struct tarn_writer w = tarn_writer_over(tarn_bytes_after(at, 20));
    tarn_writer_u16le(&w, (uint16_t)(cluster >> 16));
    w = tarn_writer_over(tarn_bytes_after(at, 26));
    tarn_writer_u16le(&w, (uint16_t)cluster);
    return TARN_OK;
}
