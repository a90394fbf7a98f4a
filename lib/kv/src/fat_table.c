/* SPDX-License-Identifier: ISC */
#include "fat.h"

/* Where an entry begins, in bytes of the table. */
static uint64_t entry_offset(const struct tarn_kv_fat *f, uint32_t cluster) {
    return f->volume.type == 12   ? cluster + cluster / 2
           : f->volume.type == 16 ? (uint64_t)cluster * 2
                                  : (uint64_t)cluster * 4;
}

/* The table's byte at `offset`; entries of 12 bits may lie in two sectors. */
static enum tarn_err byte_get(struct tarn_kv_fat *f, uint64_t offset, uint8_t *out) {
    uint32_t sector_bytes = f->volume.sector_bytes;
    struct tarn_bytes sector;
    enum tarn_err err =
        fat_sector_get(f, f->volume.table_first + (uint32_t)(offset / sector_bytes), &sector);
    if (!err)
        *out = *tarn_bytes_at(sector, offset % sector_bytes);
    return err;
}

static enum tarn_err byte_set(struct tarn_kv_fat *f, uint64_t offset, uint8_t mask, uint8_t bits) {
    uint32_t sector_bytes = f->volume.sector_bytes;
    struct tarn_bytes sector;
    enum tarn_err err = fat_sector_change(
        f, f->volume.table_first + (uint32_t)(offset / sector_bytes), FAT_TABLE, false, &sector);
    if (err)
        return err;
    uint8_t *at = tarn_bytes_at(sector, offset % sector_bytes);
    *at = (uint8_t)((*at & ~mask) | (bits & mask));
    return TARN_OK;
}

static enum tarn_err raw_get(struct tarn_kv_fat *f, uint32_t cluster, uint32_t *out) {
    uint64_t offset = entry_offset(f, cluster);
    uint32_t bytes = f->volume.type == 32 ? 4 : 2;
    *out = 0;
    for (uint32_t i = 0; i < bytes; i++) {
        uint8_t b;
        enum tarn_err err = byte_get(f, offset + i, &b);
        if (err)
            return err;
        *out |= (uint32_t)b << (8 * i);
    }
    if (f->volume.type == 12)
        *out = (cluster % 2 ? *out >> 4 : *out) & 0xfff;
    else if (f->volume.type == 32)
        *out &= 0x0fffffff; /* the upper four bits are nobody's, and stay */
    return TARN_OK;
}

static enum tarn_err raw_set(struct tarn_kv_fat *f, uint32_t cluster, uint32_t value) {
    uint64_t offset = entry_offset(f, cluster);
    uint32_t bytes = f->volume.type == 32 ? 4 : 2;
    uint32_t mask = f->volume.type == 32 ? 0x0fffffff : 0xffff;
    if (f->volume.type == 12) {
        mask = cluster % 2 ? 0xfff0 : 0x0fff;
        value = cluster % 2 ? value << 4 : value;
    }
    enum tarn_err err = TARN_OK;
    for (uint32_t i = 0; !err && i < bytes; i++)
        if ((uint8_t)(mask >> (8 * i)))
            err = byte_set(f, offset + i, (uint8_t)(mask >> (8 * i)), (uint8_t)(value >> (8 * i)));
    return err;
}

static uint32_t end_mark(const struct tarn_kv_fat *f) {
    return f->volume.type == 12 ? 0xfff : f->volume.type == 16 ? 0xffff : 0x0fffffff;
}

enum tarn_err fat_next(struct tarn_kv_fat *f, uint32_t cluster, uint32_t *next) {
    if (!fat_is_cluster(f, cluster))
        return TARN_IO;
    enum tarn_err err = raw_get(f, cluster, next);
    if (err)
        return err;
    if (*next >= (end_mark(f) & ~7u))
        *next = FAT_END;
    return *next == FAT_END || *next == 0 || fat_is_cluster(f, *next) ? TARN_OK : TARN_IO;
}

enum tarn_err fat_is_free(struct tarn_kv_fat *f, uint32_t cluster, bool *is_free) {
    uint32_t next = 1;
    enum tarn_err err = raw_get(f, cluster, &next);
    *is_free = !err && !next;
    return err;
}

enum tarn_err fat_link(struct tarn_kv_fat *f, uint32_t cluster, uint32_t next) {
    return raw_set(f, cluster, next == FAT_END ? end_mark(f) : next);
}

enum tarn_err fat_take(struct tarn_kv_fat *f, uint32_t after, uint32_t *out) {
    for (uint32_t i = 0; i < f->volume.clusters; i++) {
        uint32_t cluster = 2 + (f->next_free + i) % f->volume.clusters, next;
        enum tarn_err err = raw_get(f, cluster, &next);
        if (err)
            return err;
        if (next)
            continue;
        f->next_free = (cluster - 1) % f->volume.clusters;
        err = fat_link(f, cluster, FAT_END);
        if (!err && after)
            err = fat_link(f, after, cluster);
        *out = cluster;
        return err;
    }
    return TARN_LIMIT;
}

/* Ends where the chain does, or something is free already: so one that goes round ends, too. */
enum tarn_err fat_free_chain(struct tarn_kv_fat *f, uint32_t first) {
    uint32_t next;
    while (fat_is_cluster(f, first)) {
        enum tarn_err err = raw_get(f, first, &next);
        if (err || !next)
            return err;
        err = fat_link(f, first, 0);
        if (!err && !f->trying && fat_dirty(f, FAT_TABLE) > f->sector_count / 2)
            err = fat_commit(f);
        if (err)
            return err;
        first = next;
    }
    return TARN_OK;
}
