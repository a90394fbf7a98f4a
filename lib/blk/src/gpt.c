/* SPDX-License-Identifier: ISC */
/* GUID partition tables (UEFI 2.10 section 5.3): a header and an array of entries behind the first
 * block, and both once more at the end. */
#include "part.h"

#define HEADER_BYTES 92u
#define CRC_AT 16u
#define ENTRIES_MAX 1024u

struct header {
    uint64_t my_lba, other_lba, first_usable, last_usable, entries_lba;
    uint32_t entries, entry_bytes, entries_crc;
    struct tarn_guid disk_id;
};

/* -- reading --------------------------------------------------------------------------------------
 */

static bool header_crc_is_good(struct tarn_span block, uint32_t header_bytes, uint32_t crc) {
    struct tarn_span head, tail;
    if (!tarn_span_sub(block, 0, CRC_AT, &head)
        || !tarn_span_sub(block, CRC_AT + 4, header_bytes - CRC_AT - 4, &tail))
        return false;
    uint32_t sum = blk_crc32(0, head);
    sum = blk_crc32(sum, TARN_SPAN_LIT("\0\0\0\0"));
    return blk_crc32(sum, tail) == crc;
}

/* Everything of section 5.3.2 that can be checked without the entries. */
static bool parse_header(const struct tarn_blk *blk, struct tarn_span block, uint64_t lba,
                         struct header *h) {
    struct tarn_span in = block, signature;
    uint32_t revision, bytes, crc, reserved;
    if (!tarn_span_take(&in, 8, &signature)
        || !tarn_span_equal(signature, TARN_SPAN_LIT("EFI PART"))
        || !tarn_span_u32le(&in, &revision) || !tarn_span_u32le(&in, &bytes)
        || !tarn_span_u32le(&in, &crc) || !tarn_span_u32le(&in, &reserved)
        || !tarn_span_u64le(&in, &h->my_lba) || !tarn_span_u64le(&in, &h->other_lba)
        || !tarn_span_u64le(&in, &h->first_usable) || !tarn_span_u64le(&in, &h->last_usable)
        || !tarn_span_copy(&in, h->disk_id.bytes, 16) || !tarn_span_u64le(&in, &h->entries_lba)
        || !tarn_span_u32le(&in, &h->entries) || !tarn_span_u32le(&in, &h->entry_bytes)
        || !tarn_span_u32le(&in, &h->entries_crc))
        return false;
    if (revision >> 16 != 1 || bytes < HEADER_BYTES || bytes > block.len
        || !header_crc_is_good(block, bytes, crc))
        return false;
    if (h->entry_bytes < GPT_ENTRY_BYTES || h->entry_bytes > blk->block_bytes
        || (h->entry_bytes & (h->entry_bytes - 1)) || h->entries == 0 || h->entries > ENTRIES_MAX)
        return false;
    uint64_t array =
        ((uint64_t)h->entries * h->entry_bytes + blk->block_bytes - 1) / blk->block_bytes;
    return h->my_lba == lba && h->first_usable <= h->last_usable && h->last_usable < blk->blocks
           && h->entries_lba >= 2 && h->entries_lba < blk->blocks
           && array <= blk->blocks - h->entries_lba
           && (h->entries_lba + array <= h->first_usable || h->entries_lba > h->last_usable);
}

static bool parse_entry(struct tarn_span in, uint32_t number, struct tarn_blk_part *part,
                        uint64_t *last) {
    *part = (struct tarn_blk_part){.number = number};
    bool good = tarn_span_copy(&in, part->type.bytes, 16) && tarn_span_copy(&in, part->id.bytes, 16)
                && tarn_span_u64le(&in, &part->first) && tarn_span_u64le(&in, last)
                && tarn_span_u64le(&in, &part->attributes);
    for (unsigned i = 0; i < TARN_COUNT_OF(part->name); i++)
        good = good && tarn_span_u16le(&in, &TARN_AT(part->name, i));
    return good && !blk_is_zero(TARN_SPAN_ARRAY(part->type.bytes));
}

/* The entries, a block at a time; none counts before their CRC is seen to be right. */
static enum tarn_err read_entries(const struct part_io *io, const struct header *h,
                                  struct tarn_blk_parts *parts) {
    uint32_t crc = 0, per_block = io->blk->block_bytes / h->entry_bytes;
    enum tarn_err bad = TARN_OK;
    for (uint32_t i = 0; i < h->entries; i++) {
        if (i % per_block == 0) {
            enum tarn_err err = part_get(io, h->entries_lba + i / per_block);
            if (err)
                return err;
        }
        struct tarn_span entry = tarn_span_first(
            tarn_span_after(tarn_bytes_span(io->block), (size_t)(i % per_block) * h->entry_bytes),
            h->entry_bytes);
        struct tarn_blk_part part;
        uint64_t last;
        crc = blk_crc32(crc, entry);
        if (bad || !parse_entry(entry, i + 1, &part, &last))
            continue;
        part.blocks = last >= part.first && last < io->blk->blocks ? last - part.first + 1 : 0;
        bad = part_add(parts, &part, h->first_usable, h->last_usable + 1);
    }
    return crc != h->entries_crc ? TARN_PEER : bad;
}

static enum tarn_err read_copy(const struct part_io *io, uint64_t lba,
                               struct tarn_blk_parts *parts) {
    struct header h;
    enum tarn_err err = part_get(io, lba);
    if (err)
        return err;
    if (!parse_header(io->blk, tarn_bytes_span(io->block), lba, &h))
        return TARN_PEER;
    parts->count = 0;
    parts->disk_id = h.disk_id;
    return read_entries(io, &h, parts);
}

enum tarn_err gpt_read(const struct part_io *io, struct tarn_blk_parts *parts) {
    enum tarn_err err = io->blk->blocks < 3 ? TARN_PEER : read_copy(io, 1, parts);
    parts->scheme = TARN_BLK_SCHEME_GPT;
    if (err != TARN_PEER && err != TARN_IO)
        return err;
    parts->from_backup = true;
    return io->blk->blocks < 3 ? err : read_copy(io, io->blk->blocks - 1, parts);
}

/* -- writing --------------------------------------------------------------------------------------
 */

static void put_entry(struct tarn_writer *w, const struct tarn_blk_part *part) {
    tarn_writer_mem(w, part->type.bytes, 16);
    tarn_writer_mem(w, part->id.bytes, 16);
    tarn_writer_u64le(w, part->first);
    tarn_writer_u64le(w, part->first + part->blocks - 1);
    tarn_writer_u64le(w, part->attributes);
    for (unsigned i = 0; i < TARN_COUNT_OF(part->name); i++)
        tarn_writer_u16le(w, TARN_AT(part->name, i));
}

static const struct tarn_blk_part *find(const struct tarn_blk_parts *parts, uint32_t number) {
    for (uint32_t i = 0; i < parts->count; i++)
        if (TARN_AT_N(parts->part, parts->cap, i).number == number)
            return &TARN_AT_N(parts->part, parts->cap, i);
    return NULL;
}

/* Writes the array to `lba`, or only sums it up where that is 0. */
static enum tarn_err write_entries(const struct part_io *io, const struct tarn_blk_parts *parts,
                                   uint64_t lba, uint32_t *crc) {
    uint32_t per_block = io->blk->block_bytes / GPT_ENTRY_BYTES;
    enum tarn_err err = TARN_OK;
    *crc = 0;
    for (uint32_t i = 0; i < GPT_ENTRIES && !err; i += per_block) {
        struct tarn_writer w = tarn_writer_over(io->block);
        for (uint32_t j = 0; j < per_block && i + j < GPT_ENTRIES; j++) {
            const struct tarn_blk_part *part = find(parts, i + j + 1);
            if (part)
                put_entry(&w, part);
            else
                tarn_writer_zero(&w, GPT_ENTRY_BYTES);
        }
        *crc = blk_crc32(*crc, tarn_writer_span(&w));
        tarn_writer_zero(&w, tarn_writer_room(&w));
        if (lba)
            err = part_put(io, lba + i / per_block);
    }
    return err;
}

static enum tarn_err write_header(const struct part_io *io, const struct header *h) {
    struct tarn_writer w = tarn_writer_over(io->block);
    tarn_writer_str(&w, "EFI PART");
    tarn_writer_u32le(&w, 0x00010000);
    tarn_writer_u32le(&w, HEADER_BYTES);
    tarn_writer_u32le(&w, 0);
    tarn_writer_u32le(&w, 0);
    tarn_writer_u64le(&w, h->my_lba);
    tarn_writer_u64le(&w, h->other_lba);
    tarn_writer_u64le(&w, h->first_usable);
    tarn_writer_u64le(&w, h->last_usable);
    tarn_writer_mem(&w, h->disk_id.bytes, 16);
    tarn_writer_u64le(&w, h->entries_lba);
    tarn_writer_u32le(&w, h->entries);
    tarn_writer_u32le(&w, h->entry_bytes);
    tarn_writer_u32le(&w, h->entries_crc);
    struct tarn_writer crc = tarn_writer_over(tarn_bytes_after(io->block, CRC_AT));
    tarn_writer_u32le(&crc, blk_crc32(0, tarn_writer_span(&w)));
    tarn_writer_zero(&w, tarn_writer_room(&w));
    return part_put(io, h->my_lba);
}

enum tarn_err gpt_write(const struct part_io *io, const struct tarn_blk_parts *parts) {
    uint64_t first, end, last = io->blk->blocks - 1;
    struct header h = {.entries = GPT_ENTRIES,
                       .entry_bytes = GPT_ENTRY_BYTES,
                       .disk_id = parts->disk_id,
                       .my_lba = last,
                       .other_lba = 1};
    tarn_blk_parts_usable(io->blk, TARN_BLK_SCHEME_GPT, &first, &end);
    if (end <= first)
        return TARN_INVALID;
    for (uint32_t i = 0; i < parts->count; i++)
        if (TARN_AT_N(parts->part, parts->cap, i).number - 1 >= GPT_ENTRIES
            || blk_is_zero(TARN_SPAN_ARRAY(TARN_AT_N(parts->part, parts->cap, i).type.bytes)))
            return TARN_INVALID;
    h.first_usable = first;
    h.last_usable = end - 1;
    h.entries_lba = end;
    /* The copy at the end first: one of the two is whole at any time. */
    enum tarn_err err = write_entries(io, parts, h.entries_lba, &h.entries_crc);
    if (!err)
        err = write_header(io, &h);
    if (!err)
        err = part_flush(io);
    h.my_lba = 1;
    h.other_lba = last;
    h.entries_lba = 2;
    if (!err)
        err = write_entries(io, parts, h.entries_lba, &h.entries_crc);
    if (!err)
        err = write_header(io, &h);
    if (!err)
        err = mbr_write_protective(io);
    return err ? err : part_flush(io);
}
