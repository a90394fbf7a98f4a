/* SPDX-License-Identifier: ISC */
/* The footer and the header of a VHD image, and making an empty one. */
#include "vhd.h"

#define FOOTER_CHECKSUM_AT 64u
#define HEADER_CHECKSUM_AT 36u
#define VERSION 0x00010000u

/* The complement of the sum of all bytes but the checksum's own. */
static uint32_t checksum(struct tarn_span data, size_t skip_at) {
    uint32_t sum = 0;
    for (size_t i = 0; i < data.len; i++)
        sum += i >= skip_at && i < skip_at + 4 ? 0u : tarn_span_at(data, i);
    return ~sum;
}

static bool checksum_is_good(struct tarn_span data, size_t at) {
    struct tarn_span in = tarn_span_after(data, at);
    uint32_t stored;
    return tarn_span_u32be(&in, &stored) && stored == checksum(data, at);
}

static void checksum_put(struct tarn_bytes data, size_t at) {
    struct tarn_writer w = tarn_writer_over(tarn_bytes_after(data, at));
    tarn_writer_u32be(&w, checksum(tarn_bytes_span(data), at));
}

bool vhd_footer_parse(struct tarn_span sector, struct vhd_footer *f) {
    struct tarn_span in = sector, cookie;
    uint32_t features, version;
    uint64_t original;
    return tarn_span_take(&in, 8, &cookie) && tarn_span_equal(cookie, TARN_SPAN_LIT("conectix"))
           && checksum_is_good(sector, FOOTER_CHECKSUM_AT) && tarn_span_u32be(&in, &features)
           && tarn_span_u32be(&in, &version) && version >> 16 == VERSION >> 16
           && tarn_span_u64be(&in, &f->header_at) && tarn_span_skip(&in, 16)
           && tarn_span_u64be(&in, &original) && tarn_span_u64be(&in, &f->bytes)
           && tarn_span_skip(&in, 4) && tarn_span_u32be(&in, &f->type) && f->bytes % VHD_SECTOR == 0
           && f->bytes <= VHD_BYTES_MAX;
}

/* The geometry that the specification's appendix computes. */
static void put_geometry(struct tarn_writer *w, uint64_t bytes) {
    uint64_t sectors = TARN_MIN(bytes / VHD_SECTOR, 65535ull * 16 * 255), heads = 16, per_track;
    uint64_t tracks;
    if (sectors >= 65535ull * 16 * 63) {
        per_track = 255;
        tracks = sectors / per_track;
    } else {
        per_track = 17;
        tracks = sectors / per_track;
        heads = TARN_MAX((tracks + 1023) / 1024, 4ull);
        if (tracks >= heads * 1024 || heads > 16) {
            per_track = 31;
            heads = 16;
            tracks = sectors / per_track;
        }
        if (tracks >= heads * 1024) {
            per_track = 63;
            heads = 16;
            tracks = sectors / per_track;
        }
    }
    tarn_writer_u16be(w, (uint16_t)(tracks / heads));
    tarn_writer_u8(w, (uint8_t)heads);
    tarn_writer_u8(w, (uint8_t)per_track);
}

void vhd_footer_put(struct tarn_bytes sector, const struct tarn_blk_vhd_format *f) {
    struct tarn_writer w = tarn_writer_over(sector);
    tarn_writer_str(&w, "conectix");
    tarn_writer_u32be(&w, 2);
    tarn_writer_u32be(&w, VERSION);
    tarn_writer_u64be(&w, f->dynamic ? VHD_SECTOR : UINT64_MAX);
    tarn_writer_u32be(&w, f->timestamp);
    /* To QEMU, which computes the size from the geometry otherwise: the size is meant. */
    tarn_writer_str(&w, "qem2");
    tarn_writer_u32be(&w, VERSION);
    tarn_writer_str(&w, "Wi2k");
    tarn_writer_u64be(&w, f->bytes);
    tarn_writer_u64be(&w, f->bytes);
    put_geometry(&w, f->bytes);
    tarn_writer_u32be(&w, f->dynamic ? VHD_DYNAMIC : VHD_FIXED);
    tarn_writer_u32be(&w, 0);
    tarn_writer_mem(&w, f->id, sizeof f->id);
    tarn_writer_zero(&w, tarn_writer_room(&w));
    checksum_put(sector, FOOTER_CHECKSUM_AT);
}

bool vhd_header_parse(struct tarn_span sectors, struct vhd_header *h) {
    struct tarn_span in = sectors, cookie;
    uint32_t version;
    return tarn_span_take(&in, 8, &cookie) && tarn_span_equal(cookie, TARN_SPAN_LIT("cxsparse"))
           && checksum_is_good(sectors, HEADER_CHECKSUM_AT) && tarn_span_skip(&in, 8)
           && tarn_span_u64be(&in, &h->table_at) && tarn_span_u32be(&in, &version)
           && version >> 16 == VERSION >> 16 && tarn_span_u32be(&in, &h->entries)
           && tarn_span_u32be(&in, &h->block_bytes) && h->table_at % VHD_SECTOR == 0
           && blk_is_block_size(h->block_bytes) && h->block_bytes >= VHD_BLOCK_BYTES_MIN
           && h->block_bytes <= VHD_BLOCK_BYTES_MAX;
}

void vhd_header_put(struct tarn_bytes sectors, const struct vhd_header *h) {
    struct tarn_writer w = tarn_writer_over(sectors);
    tarn_writer_str(&w, "cxsparse");
    tarn_writer_u64be(&w, UINT64_MAX);
    tarn_writer_u64be(&w, h->table_at);
    tarn_writer_u32be(&w, VERSION);
    tarn_writer_u32be(&w, h->entries);
    tarn_writer_u32be(&w, h->block_bytes);
    tarn_writer_zero(&w, tarn_writer_room(&w));
    checksum_put(sectors, HEADER_CHECKSUM_AT);
}

/* -- making one -----------------------------------------------------------------------------------
 */

static enum tarn_err put(struct tarn_blk *lower, struct tarn_waiter *waiter, uint64_t at,
                         struct tarn_bytes data) {
    return tarn_blk_write(lower, waiter, at / VHD_SECTOR, tarn_bytes_span(data));
}

static enum tarn_err flush(struct tarn_blk *lower, struct tarn_waiter *waiter) {
    return lower->features & TARN_BLK_CAN_FLUSH ? tarn_blk_flush(lower, waiter) : TARN_OK;
}

enum tarn_err tarn_blk_vhd_create(struct tarn_blk *lower, struct tarn_waiter *waiter,
                                  const struct tarn_blk_vhd_format *format, uint64_t *end) {
    uint8_t sectors[VHD_HEADER_BYTES];
    struct tarn_bytes both = TARN_BYTES_ARRAY(sectors), one = tarn_bytes_first(both, VHD_SECTOR);
    uint32_t block_bytes = format->block_bytes ? format->block_bytes : VHD_BLOCK_BYTES;
    uint64_t entries = (format->bytes + block_bytes - 1) / block_bytes;
    struct vhd_header h = {.table_at = VHD_SECTOR + VHD_HEADER_BYTES,
                           .entries = (uint32_t)entries,
                           .block_bytes = block_bytes};
    uint64_t table_bytes = (entries * 4 + VHD_SECTOR - 1) / VHD_SECTOR * VHD_SECTOR;
    uint64_t footer_at = format->dynamic ? h.table_at + table_bytes : format->bytes;
    enum tarn_err err = TARN_OK;
    if (lower->block_bytes != VHD_SECTOR || format->bytes % VHD_SECTOR || format->bytes == 0
        || format->bytes > VHD_BYTES_MAX || !blk_is_block_size(block_bytes)
        || block_bytes < VHD_BLOCK_BYTES_MIN || block_bytes > VHD_BLOCK_BYTES_MAX)
        return TARN_INVALID;
    if (footer_at / VHD_SECTOR >= lower->blocks)
        return TARN_LIMIT;
    if (format->dynamic) {
        tarn_bytes_fill(one, 0xff);
        for (uint64_t at = h.table_at; at < footer_at && !err; at += VHD_SECTOR)
            err = put(lower, waiter, at, one);
        vhd_header_put(both, &h);
        if (!err)
            err = put(lower, waiter, VHD_SECTOR, both);
    }
    vhd_footer_put(one, format);
    if (!err)
        err = put(lower, waiter, footer_at, one);
    if (!err)
        err = flush(lower, waiter);
    if (!err && format->dynamic)
        err = put(lower, waiter, 0, one);
    *end = footer_at + VHD_SECTOR;
    return err ? err : flush(lower, waiter);
}
