/* SPDX-License-Identifier: ISC */
/* The table in the first block, and the chain of such tables that an extended partition is. */
#include "part.h"

#define ID_AT 440u
#define TABLE_AT 446u
#define LOGICAL_MAX 128u /* tables in a chain */
#define LOGICAL_FIRST 5u

struct entry {
    uint8_t status, type;
    uint32_t first, blocks;
};

static bool is_extended(uint8_t type) {
    return type == 0x05 || type == 0x0f || type == 0x85;
}

/* -- reading --------------------------------------------------------------------------------------
 */

static bool parse(struct tarn_span block, struct entry out[4], uint32_t *disk_id) {
    uint16_t signature;
    bool good = tarn_span_skip(&block, ID_AT) && tarn_span_u32le(&block, disk_id)
                && tarn_span_skip(&block, TABLE_AT - ID_AT - 4);
    for (unsigned i = 0; i < 4; i++) {
        struct entry *e = &TARN_AT_N(out, 4, i);
        good = good && tarn_span_u8(&block, &e->status) && tarn_span_skip(&block, 3)
               && tarn_span_u8(&block, &e->type) && tarn_span_skip(&block, 3)
               && tarn_span_u32le(&block, &e->first) && tarn_span_u32le(&block, &e->blocks);
        /* A boot sector's code, where a table would be. */
        good = good && (e->status & 0x7f) == 0;
    }
    return good && tarn_span_u16le(&block, &signature) && signature == 0xaa55;
}

static enum tarn_err add(const struct part_io *io, struct tarn_blk_parts *parts,
                         const struct entry *e, uint64_t base, uint32_t number) {
    struct tarn_blk_part part = {.first = base + e->first,
                                 .blocks = e->blocks,
                                 .number = number,
                                 .mbr_type = e->type,
                                 .mbr_bootable = e->status == 0x80};
    return part_add(parts, &part, 1, io->blk->blocks);
}

/* Each table of the chain has one partition, relative to the table, and the next table, relative to
 * the whole. Tables ascend, so a chain ends. */
static enum tarn_err read_chain(const struct part_io *io, struct tarn_blk_parts *parts,
                                const struct entry *extended) {
    uint64_t base = extended->first, at = base;
    uint32_t number = LOGICAL_FIRST;
    if (base == 0 || base + extended->blocks > io->blk->blocks)
        return TARN_PEER;
    for (unsigned n = 0; n < LOGICAL_MAX; n++) {
        struct entry e[4];
        uint32_t ignored;
        enum tarn_err err = part_get(io, at);
        if (err)
            return err;
        if (!parse(tarn_bytes_span(io->block), e, &ignored))
            return TARN_PEER;
        const struct entry *logical = &TARN_AT(e, 0), *next = &TARN_AT(e, 1);
        if (logical->type && logical->blocks) {
            err = add(io, parts, logical, at, number++);
            if (err)
                return err;
        }
        if (!is_extended(next->type) || next->blocks == 0)
            return TARN_OK;
        if (base + next->first <= at || next->first >= extended->blocks)
            return TARN_PEER;
        at = base + next->first;
    }
    return TARN_LIMIT;
}

enum tarn_err mbr_read(const struct part_io *io, struct tarn_blk_parts *parts, bool *protective) {
    struct entry e[4];
    enum tarn_err err = part_get(io, 0);
    if (err || !parse(tarn_bytes_span(io->block), e, &parts->mbr_disk_id))
        return err;
    for (unsigned i = 0; i < 4; i++) {
        const struct entry *p = &TARN_AT(e, i);
        *protective |= p->type == PART_TYPE_PROTECTIVE;
        if (p->type)
            parts->scheme = TARN_BLK_SCHEME_MBR;
    }
    for (unsigned i = 0; i < 4 && !err && !*protective; i++) {
        const struct entry *p = &TARN_AT(e, i);
        if (p->type && p->blocks && !is_extended(p->type))
            err = add(io, parts, p, 0, i + 1);
    }
    for (unsigned i = 0; i < 4 && !err && !*protective; i++) {
        const struct entry *p = &TARN_AT(e, i);
        if (is_extended(p->type) && p->blocks)
            err = read_chain(io, parts, p);
    }
    return err;
}

/* -- writing --------------------------------------------------------------------------------------
 */

/* Heads and cylinders as everybody has them who means blocks: out of range. */
static void put_entry(struct tarn_writer *w, const struct entry *e) {
    tarn_writer_u8(w, e->status);
    tarn_writer_mem(w, e->type ? "\xfe\xff\xff" : "\0\0\0", 3);
    tarn_writer_u8(w, e->type);
    tarn_writer_mem(w, e->type ? "\xfe\xff\xff" : "\0\0\0", 3);
    tarn_writer_u32le(w, e->first);
    tarn_writer_u32le(w, e->blocks);
}

/* What is in the block (boot code) stays. */
static enum tarn_err put_table(const struct part_io *io, uint64_t at, const struct entry e[4],
                               uint32_t disk_id) {
    enum tarn_err err = part_get(io, at);
    struct tarn_writer w = tarn_writer_over(tarn_bytes_after(io->block, ID_AT));
    if (err)
        return err;
    tarn_writer_u32le(&w, disk_id);
    tarn_writer_u16le(&w, 0);
    for (unsigned i = 0; i < 4; i++)
        put_entry(&w, &TARN_AT_N(e, 4, i));
    tarn_writer_u16le(&w, 0xaa55);
    return part_put(io, at);
}

static struct entry entry_of(const struct tarn_blk_part *part, uint64_t base) {
    return (struct entry){.status = part->mbr_bootable ? 0x80 : 0,
                          .type = part->mbr_type,
                          .first = (uint32_t)(part->first - base),
                          .blocks = (uint32_t)part->blocks};
}

static const struct tarn_blk_part *part_at(const struct tarn_blk_parts *parts, uint32_t i) {
    return &TARN_AT_N(parts->part, parts->cap, i);
}

/* Numbers and types that an MBR can hold, and a free block in front of each logical one. */
static bool is_possible(const struct tarn_blk_parts *parts) {
    uint32_t logical = LOGICAL_FIRST;
    for (uint32_t i = 0; i < parts->count; i++) {
        const struct tarn_blk_part *part = part_at(parts, i);
        if (part->mbr_type == 0 || is_extended(part->mbr_type)
            || part->mbr_type == PART_TYPE_PROTECTIVE || part->number == 0)
            return false;
        if (part->number < LOGICAL_FIRST)
            continue;
        if (part->number != logical++ || part->first < 2)
            return false;
        for (uint32_t j = 0; j < parts->count; j++) {
            const struct tarn_blk_part *other = part_at(parts, j);
            if (part->first - 1 >= other->first && part->first - 1 < other->first + other->blocks)
                return false;
            /* Tables ascend; and nothing but logical ones lies between the first and the last. */
            if (other->number >= LOGICAL_FIRST && (j < i) != (other->first < part->first) && j != i)
                return false;
        }
    }
    return true;
}

static enum tarn_err write_chain(const struct part_io *io, const struct tarn_blk_parts *parts,
                                 uint32_t first, struct entry *extended) {
    uint64_t base = part_at(parts, first)->first - 1, end = base;
    for (uint32_t i = first; i < parts->count; i++) {
        const struct tarn_blk_part *part = part_at(parts, i);
        struct entry e[4] = {0};
        TARN_AT(e, 0) = entry_of(part, part->first - 1);
        if (i + 1 < parts->count) {
            const struct tarn_blk_part *next = part_at(parts, i + 1);
            TARN_AT(e, 1) = (struct entry){.type = 0x05,
                                           .first = (uint32_t)(next->first - 1 - base),
                                           .blocks = (uint32_t)next->blocks + 1};
        }
        enum tarn_err err = put_table(io, part->first - 1, e, 0);
        if (err)
            return err;
        end = part->first + part->blocks;
    }
    *extended =
        (struct entry){.type = 0x05, .first = (uint32_t)base, .blocks = (uint32_t)(end - base)};
    return TARN_OK;
}

enum tarn_err mbr_write(const struct part_io *io, const struct tarn_blk_parts *parts) {
    struct entry e[4] = {0}, extended = {0};
    uint32_t primary = 0;
    enum tarn_err err = TARN_OK;
    if (!is_possible(parts))
        return TARN_INVALID;
    for (; primary < parts->count && part_at(parts, primary)->number < LOGICAL_FIRST; primary++)
        TARN_AT(e, part_at(parts, primary)->number - 1) = entry_of(part_at(parts, primary), 0);
    if (primary < parts->count) {
        uint64_t end;
        if (TARN_AT(e, 3).type)
            return TARN_INVALID;
        /* A primary one inside the extended would belong to both. */
        end = part_at(parts, parts->count - 1)->first;
        for (uint32_t i = 0; i < primary; i++)
            if (part_at(parts, i)->first > part_at(parts, primary)->first
                && part_at(parts, i)->first < end)
                return TARN_INVALID;
        err = write_chain(io, parts, primary, &extended);
        TARN_AT(e, 3) = extended;
    }
    /* The chain is there before anything points to it. */
    if (!err)
        err = part_flush(io);
    if (!err)
        err = put_table(io, 0, e, parts->mbr_disk_id);
    return err ? err : part_flush(io);
}

enum tarn_err mbr_write_protective(const struct part_io *io) {
    uint64_t rest = io->blk->blocks - 1;
    struct entry e[4] = {{.type = PART_TYPE_PROTECTIVE,
                          .first = 1,
                          .blocks = rest > UINT32_MAX ? UINT32_MAX : (uint32_t)rest}};
    return put_table(io, 0, e, 0);
}
