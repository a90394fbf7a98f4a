/* SPDX-License-Identifier: ISC */
#include "part.h"

enum tarn_err part_flush(const struct part_io *io) {
    return io->blk->features & TARN_BLK_CAN_FLUSH ? tarn_blk_flush(io->blk, io->waiter) : TARN_OK;
}

static bool overlap(const struct tarn_blk_part *a, const struct tarn_blk_part *b) {
    return a->first < b->first + b->blocks && b->first < a->first + a->blocks;
}

enum tarn_err part_add(struct tarn_blk_parts *parts, const struct tarn_blk_part *part,
                       uint64_t first, uint64_t end) {
    if (part->blocks == 0 || part->first < first || part->first > end
        || part->blocks > end - part->first)
        return TARN_PEER;
    for (uint32_t i = 0; i < parts->count; i++)
        if (overlap(&TARN_AT_N(parts->part, parts->cap, i), part))
            return TARN_PEER;
    if (parts->count == parts->cap)
        return TARN_LIMIT;
    TARN_AT_N(parts->part, parts->cap, parts->count) = *part;
    parts->count++;
    return TARN_OK;
}

enum tarn_err tarn_blk_parts_read(struct tarn_blk *blk, struct tarn_waiter *waiter,
                                  struct tarn_bytes buffer, struct tarn_blk_parts *parts) {
    struct part_io io = {blk, waiter, tarn_bytes_first(buffer, blk->block_bytes)};
    bool protective = false;
    *parts = (struct tarn_blk_parts){.part = parts->part, .cap = parts->cap};
    if (buffer.len < blk->block_bytes)
        return TARN_INVALID;
    enum tarn_err err = mbr_read(&io, parts, &protective);
    if (!err && protective) {
        parts->count = 0;
        err = gpt_read(&io, parts);
    }
    return err;
}

void tarn_blk_parts_usable(const struct tarn_blk *blk, enum tarn_blk_scheme scheme, uint64_t *first,
                           uint64_t *end) {
    uint64_t array = GPT_ENTRIES * GPT_ENTRY_BYTES / blk->block_bytes;
    array += array == 0;
    *first = 1;
    *end = TARN_MIN(blk->blocks, (uint64_t)UINT32_MAX);
    if (scheme == TARN_BLK_SCHEME_GPT) {
        *first = 2 + array;
        *end = blk->blocks > 2 * array + 3 ? blk->blocks - array - 1 : *first;
    }
}

/* The table's partitions as part_add would have them. */
static enum tarn_err check(const struct tarn_blk *blk, const struct tarn_blk_parts *parts) {
    uint64_t first, end;
    tarn_blk_parts_usable(blk, parts->scheme, &first, &end);
    for (uint32_t i = 0; i < parts->count; i++) {
        struct tarn_blk_part *part = &TARN_AT_N(parts->part, parts->cap, i);
        struct tarn_blk_parts before = {.part = parts->part, .count = i, .cap = parts->cap};
        if (part_add(&before, part, first, end))
            return TARN_INVALID;
        for (uint32_t j = 0; j < i; j++)
            if (TARN_AT_N(parts->part, parts->cap, j).number >= part->number)
                return TARN_INVALID;
    }
    return TARN_OK;
}

enum tarn_err tarn_blk_parts_write(struct tarn_blk *blk, struct tarn_waiter *waiter,
                                   struct tarn_bytes buffer, const struct tarn_blk_parts *parts) {
    struct part_io io = {blk, waiter, tarn_bytes_first(buffer, blk->block_bytes)};
    if (buffer.len < blk->block_bytes || check(blk, parts))
        return TARN_INVALID;
    switch (parts->scheme) {
    case TARN_BLK_SCHEME_MBR: return mbr_write(&io, parts);
    case TARN_BLK_SCHEME_GPT: return gpt_write(&io, parts);
    case TARN_BLK_SCHEME_NONE: break;
    }
    return TARN_INVALID;
}
