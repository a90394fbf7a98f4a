/* SPDX-License-Identifier: ISC */
#include "fat.h"

#define FAT12_CLUSTERS_MAX 4084u
#define FAT16_CLUSTERS_MAX 65524u
#define FAT32_CLUSTERS_MAX 0x0ffffff4u
#define RESERVED_FAT32 32u
#define ROOT_ENTRIES 512u
#define MEDIA 0xf8u

/* -- reading --------------------------------------------------------------------------------------
 */

static uint32_t u16_at(struct tarn_span s, size_t at) {
    uint16_t v = 0;
    s = tarn_span_after(s, at);
    (void)!tarn_span_u16le(&s, &v);
    return v;
}
static uint32_t u32_at(struct tarn_span s, size_t at) {
    uint32_t v = 0;
    s = tarn_span_after(s, at);
    (void)!tarn_span_u32le(&s, &v);
    return v;
}

static bool is_power(uint32_t n) {
    return n && !(n & (n - 1));
}

static bool table_holds(const struct fat_volume *v) {
    uint64_t bits = ((uint64_t)v->clusters + 2) * (v->type == 12 ? 12 : v->type == 16 ? 16 : 32);
    return (uint64_t)v->table_sectors * v->sector_bytes * 8 >= bits;
}

/* Where the parts lie. False: they do not fit. */
static bool volume_lay_out(struct fat_volume *v, uint32_t reserved, uint32_t root_entries,
                           uint64_t sectors) {
    uint64_t first = reserved + (uint64_t)v->tables * v->table_sectors;
    v->cluster_bytes = v->cluster_sectors * v->sector_bytes;
    v->table_first = reserved;
    v->root_sectors = (root_entries * FAT_ENTRY_BYTES + v->sector_bytes - 1) / v->sector_bytes;
    if (first + v->root_sectors >= sectors || sectors > UINT32_MAX)
        return false;
    v->root_first = (uint32_t)first;
    v->data_first = v->root_first + v->root_sectors;
    v->clusters = (uint32_t)((sectors - v->data_first) / v->cluster_sectors);
    v->type = v->clusters <= FAT12_CLUSTERS_MAX ? 12 : v->clusters <= FAT16_CLUSTERS_MAX ? 16 : 32;
    return v->clusters > 0 && v->clusters <= FAT32_CLUSTERS_MAX;
}

bool fat_volume_parse(struct tarn_span boot, uint64_t device_bytes, struct fat_volume *v) {
    uint32_t reserved = u16_at(boot, 14), root_entries = u16_at(boot, 17);
    uint32_t sectors = u16_at(boot, 19) ? u16_at(boot, 19) : u32_at(boot, 32);
    *v = (struct fat_volume){.sector_bytes = u16_at(boot, 11), .tables = 1};
    if (boot.len < 512 || u16_at(boot, 510) != 0xaa55 || !is_power(v->sector_bytes)
        || v->sector_bytes < 512 || v->sector_bytes > FAT_SECTOR_MAX || !reserved)
        return false;
    v->cluster_sectors = tarn_span_at(boot, 13);
    v->tables = tarn_span_at(boot, 16);
    v->table_sectors = u16_at(boot, 22) ? u16_at(boot, 22) : u32_at(boot, 36);
    if (!is_power(v->cluster_sectors) || v->cluster_sectors * v->sector_bytes > 65536
        || v->tables < 1 || v->tables > 4 || !v->table_sectors
        || (uint64_t)sectors * v->sector_bytes > device_bytes
        || !volume_lay_out(v, reserved, root_entries, sectors) || !table_holds(v))
        return false;
    /* A table of 16 bits a sector count means FAT32; a root of its own means it is none. */
    if ((v->type == 32) != (u16_at(boot, 22) == 0) || (v->type == 32) != (root_entries == 0))
        return false;
    if (v->type != 32)
        return true;
    v->root_cluster = u32_at(boot, 44);
    v->info = u16_at(boot, 48) < reserved ? u16_at(boot, 48) : 0;
    return u16_at(boot, 42) == 0 && v->root_cluster >= 2 && v->root_cluster - 2 < v->clusters;
}

/* -- formatting -----------------------------------------------------------------------------------
 */

static uint32_t cluster_bytes_for(uint64_t bytes, uint32_t type) {
    uint32_t cluster = 512;
    uint64_t clusters = type == 12 ? 4000 : type == 16 ? 32768 : type == 32 ? 262144 : 0;
    if (!clusters)
        clusters = bytes <= (4u << 20) ? 4000 : bytes <= ((uint64_t)512 << 20) ? 32768 : 262144;
    while (cluster < 65536 && bytes / cluster > clusters)
        cluster *= 2;
    return cluster;
}

/* A table that is large enough, by trying: a larger one leaves fewer clusters. */
static bool volume_plan(struct fat_volume *v, const struct tarn_kv_fat_format *format,
                        uint32_t sector_bytes, uint64_t bytes) {
    uint64_t sectors = TARN_MIN(bytes / sector_bytes, (uint64_t)UINT32_MAX);
    uint32_t cluster =
        format->cluster_bytes ? format->cluster_bytes : cluster_bytes_for(bytes, format->type);
    cluster = TARN_MAX(cluster, sector_bytes);
    if (!is_power(cluster) || cluster > 65536 || cluster / sector_bytes > 128)
        return false;
    for (uint32_t wide = 0; wide < 2; wide++) {
        *v = (struct fat_volume){
            .sector_bytes = sector_bytes, .cluster_sectors = cluster / sector_bytes, .tables = 2};
        for (v->table_sectors = 1; v->table_sectors < (wide ? UINT32_MAX : 65536);) {
            if (!volume_lay_out(v, wide ? RESERVED_FAT32 : 1, wide ? 0 : ROOT_ENTRIES, sectors))
                return false;
            if (table_holds(v))
                break;
            uint64_t bits = ((uint64_t)v->clusters + 2) * (wide ? 32 : v->type);
            v->table_sectors =
                (uint32_t)TARN_MAX((uint64_t)v->table_sectors + 1, bits / 8 / sector_bytes);
        }
        if ((v->type == 32) == (wide == 1))
            return !format->type || format->type == v->type;
    }
    return false;
}

static void label_put(struct tarn_writer *w, const char *label) {
    struct tarn_span text = label ? tarn_span_str(label) : TARN_SPAN_LIT("NO NAME");
    tarn_writer_span_put(w, tarn_span_first(text, 11));
    for (size_t i = TARN_MIN(text.len, (size_t)11); i < 11; i++)
        tarn_writer_u8(w, ' ');
}

static void boot_put(struct tarn_writer *w, const struct fat_volume *v,
                     const struct tarn_kv_fat_format *format) {
    uint32_t sectors = v->data_first + v->clusters * v->cluster_sectors;
    bool wide = v->type == 32;
    /* A jump to code that is not there: it stands still. */
    tarn_writer_mem(w, "\xeb\x58\x90TARN    ", 11);
    tarn_writer_u16le(w, (uint16_t)v->sector_bytes);
    tarn_writer_u8(w, (uint8_t)v->cluster_sectors);
    tarn_writer_u16le(w, (uint16_t)v->table_first);
    tarn_writer_u8(w, (uint8_t)v->tables);
    tarn_writer_u16le(w, wide ? 0 : ROOT_ENTRIES);
    tarn_writer_u16le(w, !wide && sectors < 65536 ? (uint16_t)sectors : 0);
    tarn_writer_u8(w, MEDIA);
    tarn_writer_u16le(w, wide ? 0 : (uint16_t)v->table_sectors);
    tarn_writer_u16le(w, 63);
    tarn_writer_u16le(w, 255);
    tarn_writer_u32le(w, 0);
    tarn_writer_u32le(w, !wide && sectors < 65536 ? 0 : sectors);
    if (wide) {
        tarn_writer_u32le(w, v->table_sectors);
        tarn_writer_u32le(w, 0); /* all tables are written, version 0.0 */
        tarn_writer_u32le(w, v->root_cluster);
        tarn_writer_u16le(w, (uint16_t)v->info);
        tarn_writer_u16le(w, 6); /* where the second boot sector is */
        tarn_writer_zero(w, 12);
    }
    tarn_writer_u8(w, 0x80);
    tarn_writer_u8(w, 0);
    tarn_writer_u8(w, 0x29);
    tarn_writer_u32le(w, format->serial);
    label_put(w, format->label);
    tarn_writer_str(w, wide ? "FAT32   " : v->type == 16 ? "FAT16   " : "FAT12   ");
    tarn_writer_mem(w, "\xeb\xfe", 2);
    tarn_writer_zero(w, 510 - w->len);
    tarn_writer_u16le(w, 0xaa55);
}

static void info_put(struct tarn_writer *w, const struct fat_volume *v) {
    tarn_writer_u32le(w, 0x41615252);
    tarn_writer_zero(w, 480);
    tarn_writer_u32le(w, 0x61417272);
    tarn_writer_u32le(w, v->clusters - 1);
    tarn_writer_u32le(w, 3);
    tarn_writer_zero(w, 12);
    tarn_writer_u32le(w, 0xaa550000);
}

/* The first sector of a table: what stands for clusters 0 and 1, and the root. */
static void table_put(struct tarn_writer *w, const struct fat_volume *v) {
    if (v->type == 12) {
        tarn_writer_mem(w, "\xf8\xff\xff", 3);
    } else if (v->type == 16) {
        tarn_writer_u32le(w, 0xfffffff8);
    } else {
        tarn_writer_u32le(w, 0x0ffffff8);
        tarn_writer_u32le(w, 0x0fffffff);
        tarn_writer_u32le(w, 0x0fffffff);
    }
}

struct formatter {
    const struct tarn_kv_fat_config *config;
    const struct fat_volume *v;
    uint8_t sector[FAT_SECTOR_MAX];
};

static enum tarn_err sector_write(struct formatter *x, uint32_t sector) {
    const struct fat_volume *v = x->v;
    struct tarn_blk *blk = x->config->blk;
    return tarn_blk_write(blk, x->config->waiter(x->config->user),
                          (uint64_t)sector * (v->sector_bytes / blk->block_bytes),
                          tarn_span_first(TARN_SPAN_ARRAY(x->sector), v->sector_bytes));
}

/* Zeroes [first, end). */
static enum tarn_err clear(struct formatter *x, uint32_t first, uint32_t end) {
    enum tarn_err err = TARN_OK;
    tarn_bytes_fill(TARN_BYTES_ARRAY(x->sector), 0);
    for (; !err && first < end; first++)
        err = sector_write(x, first);
    return err;
}

static enum tarn_err format_write(struct formatter *x, const struct tarn_kv_fat_format *format) {
    const struct fat_volume *v = x->v;
    uint32_t end = v->data_first + (v->type == 32 ? v->cluster_sectors : 0);
    struct tarn_writer w;
    enum tarn_err err = clear(x, 0, end);
    for (uint32_t i = 0; !err && i < v->tables; i++) {
        tarn_bytes_fill(TARN_BYTES_ARRAY(x->sector), 0);
        w = TARN_WRITER_ARRAY(x->sector);
        table_put(&w, v);
        err = sector_write(x, v->table_first + i * v->table_sectors);
    }
    if (!err && format->label) { /* the root names the volume as well */
        uint32_t root = v->type == 32 ? v->data_first : v->root_first;
        tarn_bytes_fill(TARN_BYTES_ARRAY(x->sector), 0);
        w = TARN_WRITER_ARRAY(x->sector);
        label_put(&w, format->label);
        tarn_writer_u8(&w, FAT_ATTRIBUTE_VOLUME);
        err = sector_write(x, root);
    }
    for (uint32_t copy = 0; !err && v->info && copy < 2; copy++) {
        tarn_bytes_fill(TARN_BYTES_ARRAY(x->sector), 0);
        w = TARN_WRITER_ARRAY(x->sector);
        info_put(&w, v);
        err = sector_write(x, v->info + copy * 6);
    }
    /* The boot sector last: until then there is no volume. */
    tarn_bytes_fill(TARN_BYTES_ARRAY(x->sector), 0);
    w = TARN_WRITER_ARRAY(x->sector);
    boot_put(&w, v, format);
    if (!err && v->type == 32)
        err = sector_write(x, 6);
    return err ? err : sector_write(x, 0);
}

static bool label_good(const char *label) {
    struct tarn_span rest = label ? tarn_span_str(label) : TARN_SPAN_LIT("X");
    bool good = rest.len && rest.len <= 11;
    uint8_t c;
    while (good && tarn_span_u8(&rest, &c))
        good = (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ' ' || c == '_';
    return good;
}

enum tarn_err tarn_kv_fat_format(const struct tarn_kv_fat_config *config,
                                 const struct tarn_kv_fat_format *format) {
    struct tarn_blk *blk = config->blk;
    struct fat_volume v;
    if (blk->block_bytes > FAT_SECTOR_MAX || !label_good(format->label)
        || !volume_plan(&v, format, blk->block_bytes, blk->blocks * blk->block_bytes))
        return TARN_INVALID;
    v.root_cluster = v.type == 32 ? 2 : 0;
    v.info = v.type == 32 ? 1 : 0;
    struct formatter x = {.config = config, .v = &v};
    enum tarn_err err = format_write(&x, format);
    if (!err && (blk->features & TARN_BLK_CAN_FLUSH))
        err = tarn_blk_flush(blk, config->waiter(config->user));
    return err;
}
