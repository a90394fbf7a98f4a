/* SPDX-License-Identifier: ISC */
#include "fat.h"

static struct fat_sector *slot_at(struct tarn_kv_fat *f, uint32_t i) {
    return &TARN_AT_N(f->sectors, f->sector_count, i);
}
static struct tarn_bytes memory_at(struct tarn_kv_fat *f, uint32_t i) {
    size_t bytes = f->volume.sector_bytes;
    return tarn_bytes_first(tarn_bytes_after(f->memory, bytes * i), bytes);
}

/* -- the device -----------------------------------------------------------------------------------
 */

static struct tarn_waiter *waiter(struct tarn_kv_fat *f) {
    return f->config.waiter(f->config.user);
}
static uint64_t block_of(const struct tarn_kv_fat *f, uint32_t sector) {
    return (uint64_t)sector * (f->volume.sector_bytes / f->config.blk->block_bytes);
}

enum tarn_err fat_data_read(struct tarn_kv_fat *f, uint32_t sector, struct tarn_bytes data) {
    return tarn_blk_read(f->config.blk, waiter(f), block_of(f, sector), data);
}

enum tarn_err fat_data_write(struct tarn_kv_fat *f, uint32_t sector, struct tarn_span data) {
    enum tarn_err err =
        f->trying ? TARN_OK : tarn_blk_write(f->config.blk, waiter(f), block_of(f, sector), data);
    f->failed |= err != TARN_OK;
    return err ? TARN_IO : TARN_OK;
}

enum tarn_err fat_flush(struct tarn_kv_fat *f) {
    if (f->trying || !(f->config.blk->features & TARN_BLK_CAN_FLUSH))
        return TARN_OK;
    enum tarn_err err = tarn_blk_flush(f->config.blk, waiter(f));
    f->failed |= err != TARN_OK;
    return err ? TARN_IO : TARN_OK;
}

/* -- in memory ------------------------------------------------------------------------------------
 */

static bool is_at(struct tarn_kv_fat *f, uint32_t i, uint32_t number) {
    const struct fat_sector *s = slot_at(f, i);
    return s->full && s->number == number;
}

/* The slot of a sector, or the one to put it into: an empty one, or the longest unused. False: all
 * are dirty. */
static bool slot_find(struct tarn_kv_fat *f, uint32_t number, uint32_t *out) {
    uint32_t oldest = 0;
    bool any = false;
    if (is_at(f, f->found, number)) {
        *out = f->found;
        return true;
    }
    for (uint32_t i = 0; i < f->sector_count; i++) {
        const struct fat_sector *s = slot_at(f, i);
        if (is_at(f, i, number)) {
            *out = f->found = i;
            return true;
        }
        if (s->dirty)
            continue;
        if (!any || !s->full || (slot_at(f, oldest)->full && s->used < slot_at(f, oldest)->used))
            oldest = i;
        any = true;
    }
    *out = f->found = oldest;
    return any;
}

static enum tarn_err load(struct tarn_kv_fat *f, uint32_t number, bool whole, uint32_t *slot) {
    if (!slot_find(f, number, slot))
        return TARN_LIMIT;
    struct fat_sector *s = slot_at(f, *slot);
    bool there = is_at(f, *slot, number);
    if (!there) {
        s->full = false;
        enum tarn_err err = whole ? TARN_OK : fat_data_read(f, number, memory_at(f, *slot));
        if (err)
            return TARN_IO;
        *s = (struct fat_sector){.number = number, .full = true};
    }
    if (whole)
        tarn_bytes_fill(memory_at(f, *slot), 0);
    s->used = ++f->clock;
    return TARN_OK;
}

enum tarn_err fat_sector_get(struct tarn_kv_fat *f, uint32_t number, struct tarn_bytes *out) {
    uint32_t slot;
    enum tarn_err err = load(f, number, false, &slot);
    if (!err)
        *out = memory_at(f, slot);
    return err;
}

enum tarn_err fat_sector_change(struct tarn_kv_fat *f, uint32_t number, enum fat_kind kind,
                                bool whole, struct tarn_bytes *out) {
    uint32_t slot;
    enum tarn_err err = load(f, number, whole, &slot);
    if (err)
        return err;
    struct fat_sector *s = slot_at(f, slot);
    if (!s->dirty)
        s->kind = (uint8_t)kind;
    s->dirty = true;
    s->staged = f->clock;
    *out = memory_at(f, slot);
    return TARN_OK;
}

uint32_t fat_dirty(const struct tarn_kv_fat *f, enum fat_kind kind) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < f->sector_count; i++) {
        const struct fat_sector *s = &TARN_AT_N(f->sectors, f->sector_count, i);
        n += s->dirty && s->kind == kind;
    }
    return n;
}

void fat_discard(struct tarn_kv_fat *f) {
    for (uint32_t i = 0; i < f->sector_count; i++)
        if (slot_at(f, i)->dirty)
            *slot_at(f, i) = (struct fat_sector){0};
}

/* -- writing --------------------------------------------------------------------------------------
 */

static enum tarn_err slot_write(struct tarn_kv_fat *f, uint32_t i) {
    struct fat_sector *s = slot_at(f, i);
    uint32_t copies = s->kind == FAT_TABLE ? f->volume.tables : 1;
    enum tarn_err err = TARN_OK;
    for (uint32_t c = 0; !err && c < copies; c++)
        err = fat_data_write(f, s->number + c * f->volume.table_sectors,
                             tarn_bytes_span(memory_at(f, i)));
    if (!err)
        s->dirty = false;
    return err;
}

/* The dirty sector with names that was changed last; false: there is none. */
static bool last_names(struct tarn_kv_fat *f, uint32_t *out) {
    bool any = false;
    for (uint32_t i = 0; i < f->sector_count; i++) {
        const struct fat_sector *s = slot_at(f, i);
        if (s->dirty && s->kind == FAT_NAMES && (!any || s->staged > slot_at(f, *out)->staged)) {
            *out = i;
            any = true;
        }
    }
    return any;
}

enum tarn_err fat_commit(struct tarn_kv_fat *f) {
    enum tarn_err err = TARN_OK;
    uint32_t slot;
    if (f->trying)
        return TARN_OK;
    for (uint32_t i = 0; !err && i < f->sector_count; i++)
        if (slot_at(f, i)->dirty && slot_at(f, i)->kind != FAT_NAMES)
            err = slot_write(f, i);
    while (!err && last_names(f, &slot)) {
        err = fat_flush(f);
        if (!err)
            err = slot_write(f, slot);
        if (!err && !fat_dirty(f, FAT_NAMES))
            err = fat_flush(f);
    }
    return err;
}

enum tarn_err fat_info_set(struct tarn_kv_fat *f, uint32_t clusters_free) {
    struct tarn_bytes sector;
    enum tarn_err err = fat_sector_change(f, f->volume.info, FAT_FRESH, false, &sector);
    if (err)
        return err;
    struct tarn_span s = tarn_bytes_span(sector);
    if (tarn_span_starts(s, TARN_SPAN_LIT("RRaA"))
        && tarn_span_starts(tarn_span_after(s, 484), TARN_SPAN_LIT("rrAa"))) {
        struct tarn_writer w = tarn_writer_over(tarn_bytes_after(sector, 488));
        tarn_writer_u32le(&w, clusters_free);
    }
    return fat_commit(f);
}
