/* SPDX-License-Identifier: ISC */
/* part.h: what the two kinds of partition table share. */
#ifndef TARN_BLK_PART_INTERNAL_H
#define TARN_BLK_PART_INTERNAL_H

#include <tarn/blk_part.h>
#include <tarn/writer.h>

#include "internal.h"

#define PART_TYPE_PROTECTIVE 0xeeu
#define GPT_ENTRIES 128u
#define GPT_ENTRY_BYTES 128u

/* Where a table is read or written. `block` is one block of scratch. */
struct part_io {
    struct tarn_blk *blk;
    struct tarn_waiter *waiter;
    struct tarn_bytes block;
};
static inline TARN_MUST_USE enum tarn_err part_get(const struct part_io *io, uint64_t at) {
    return tarn_blk_read(io->blk, io->waiter, at, io->block);
}
static inline TARN_MUST_USE enum tarn_err part_put(const struct part_io *io, uint64_t at) {
    return tarn_blk_write(io->blk, io->waiter, at, tarn_bytes_span(io->block));
}
/* A barrier where the device has one. */
enum tarn_err part_flush(const struct part_io *io);

/* Appends a partition. TARN_PEER: not inside [first, end) or overlapping. */
enum tarn_err part_add(struct tarn_blk_parts *parts, const struct tarn_blk_part *part,
                       uint64_t first, uint64_t end);

/* mbr.c: *protective: the table says that there is a GPT. */
enum tarn_err mbr_read(const struct part_io *io, struct tarn_blk_parts *parts, bool *protective);
enum tarn_err mbr_write(const struct part_io *io, const struct tarn_blk_parts *parts);
enum tarn_err mbr_write_protective(const struct part_io *io);
/* gpt.c */
enum tarn_err gpt_read(const struct part_io *io, struct tarn_blk_parts *parts);
enum tarn_err gpt_write(const struct part_io *io, const struct tarn_blk_parts *parts);

#endif
