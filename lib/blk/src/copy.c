/* SPDX-License-Identifier: ISC */
#include <tarn/blk_copy.h>

#include "internal.h"

static uint64_t bytes_of(const struct tarn_blk *blk) {
    return blk->blocks * blk->block_bytes;
}

/* The largest piece of `buffer` that is a whole number of both devices' blocks; 0: none is. */
static size_t piece_of(size_t buffer_bytes, const struct tarn_blk *a, const struct tarn_blk *b) {
    uint32_t unit = TARN_MAX(a->block_bytes, b->block_bytes);
    return buffer_bytes / unit * unit;
}

static enum tarn_err read_at(struct tarn_blk *blk, struct tarn_waiter *waiter, uint64_t at,
                             struct tarn_bytes data) {
    return tarn_blk_read(blk, waiter, at / blk->block_bytes, data);
}

enum tarn_err tarn_blk_copy(struct tarn_blk *from, struct tarn_blk *to, struct tarn_waiter *waiter,
                            struct tarn_bytes buffer) {
    uint64_t end = bytes_of(from);
    size_t piece = piece_of(buffer.len, from, to);
    enum tarn_err err = TARN_OK;
    if (piece == 0 || end % to->block_bytes)
        return TARN_INVALID;
    if (end > bytes_of(to))
        return TARN_LIMIT;
    for (uint64_t at = 0; at < end && !err; at += piece) {
        struct tarn_bytes data = tarn_bytes_first(buffer, blk_min(piece, end - at));
        err = read_at(from, waiter, at, data);
        if (!err)
            err = tarn_blk_write(to, waiter, at / to->block_bytes, tarn_bytes_span(data));
    }
    return err;
}

/* -- without the zeroes -------------------------------------------------------------------------
 */

struct sparse {
    struct tarn_blk *to;
    struct tarn_waiter *waiter;
    bool to_is_zero;
    struct tarn_blk_copy_counters counters;
};

static enum tarn_err put_run(struct sparse *s, uint64_t at, struct tarn_span run, bool zero) {
    uint64_t block = at / s->to->block_bytes;
    uint32_t discards = TARN_BLK_CAN_DISCARD | TARN_BLK_DISCARD_ZEROES;
    if (zero && (s->to_is_zero || (s->to->features & discards) == discards)) {
        s->counters.bytes_skipped += run.len;
        return s->to_is_zero
                   ? TARN_OK
                   : tarn_blk_discard(s->to, s->waiter, block, run.len / s->to->block_bytes);
    }
    s->counters.bytes_written += run.len;
    return tarn_blk_write(s->to, s->waiter, block, run);
}

/* Puts `data` in runs, each all of zeroes or of something. */
static enum tarn_err put_runs(struct sparse *s, uint64_t at, struct tarn_span data, size_t grain) {
    while (data.len) {
        size_t run = TARN_MIN(grain, data.len);
        bool zero = blk_is_zero(tarn_span_first(data, run));
        while (run < data.len
               && blk_is_zero(tarn_span_first(tarn_span_after(data, run), grain)) == zero)
            run += TARN_MIN(grain, data.len - run);
        enum tarn_err err = put_run(s, at, tarn_span_first(data, run), zero);
        if (err)
            return err;
        at += run;
        data = tarn_span_after(data, run);
    }
    return TARN_OK;
}

enum tarn_err tarn_blk_copy_sparse(struct tarn_blk *from, struct tarn_blk *to,
                                   struct tarn_waiter *waiter, struct tarn_bytes buffer,
                                   bool to_is_zero, struct tarn_blk_copy_counters *counters) {
    struct sparse s = {.to = to, .waiter = waiter, .to_is_zero = to_is_zero};
    uint64_t end = bytes_of(from);
    size_t piece = piece_of(buffer.len, from, to);
    size_t unit = TARN_MAX(from->block_bytes, to->block_bytes);
    size_t grain = TARN_MAX(piece_of(piece / 32, from, to), unit);
    enum tarn_err err = TARN_OK;
    if (piece == 0 || end % to->block_bytes)
        return TARN_INVALID;
    if (end > bytes_of(to))
        return TARN_LIMIT;
    for (uint64_t at = 0; at < end && !err; at += piece) {
        struct tarn_bytes data = tarn_bytes_first(buffer, blk_min(piece, end - at));
        err = read_at(from, waiter, at, data);
        if (!err)
            err = put_runs(&s, at, tarn_bytes_span(data), grain);
    }
    if (counters)
        *counters = s.counters;
    return err;
}

/* -- comparing ------------------------------------------------------------------------------------
 */

/* The index of the first byte of a (from index 0) that differs from b's, behind whose end is zero;
 * a.len: none does. */
static size_t first_difference(struct tarn_span a, struct tarn_span b) {
    size_t i = 0;
    if (a.len == b.len && tarn_span_equal(a, b))
        return a.len;
    while (i < a.len && tarn_span_at(a, i) == (i < b.len ? tarn_span_at(b, i) : 0))
        i++;
    return i;
}

enum tarn_err tarn_blk_compare(struct tarn_blk *a, struct tarn_blk *b, struct tarn_waiter *waiter,
                               struct tarn_bytes buffer, uint64_t *at) {
    struct tarn_blk *longer = bytes_of(a) >= bytes_of(b) ? a : b, *shorter = longer == a ? b : a;
    size_t piece = piece_of(buffer.len / 2, a, b);
    if (piece == 0)
        return TARN_INVALID;
    for (uint64_t off = 0; off < bytes_of(longer); off += piece) {
        struct tarn_bytes da = tarn_bytes_first(buffer, blk_min(piece, bytes_of(longer) - off));
        struct tarn_bytes db = {0};
        if (off < bytes_of(shorter))
            db = tarn_bytes_first(tarn_bytes_after(buffer, piece),
                                  blk_min(piece, bytes_of(shorter) - off));
        enum tarn_err err = read_at(longer, waiter, off, da);
        if (!err)
            err = read_at(shorter, waiter, off, db);
        if (err)
            return err;
        size_t i = first_difference(tarn_bytes_span(da), tarn_bytes_span(db));
        if (i < da.len) {
            *at = off + i;
            return TARN_OK;
        }
    }
    return TARN_NOT_FOUND;
}

enum tarn_err tarn_blk_fill(struct tarn_blk *blk, struct tarn_waiter *waiter,
                            struct tarn_bytes buffer, uint64_t block, uint64_t blocks,
                            uint8_t byte) {
    uint64_t piece = buffer.len / blk->block_bytes;
    enum tarn_err err = TARN_OK;
    if (piece == 0)
        return TARN_INVALID;
    tarn_bytes_fill(buffer, byte);
    while (blocks && !err) {
        uint64_t n = TARN_MIN(piece, blocks);
        struct tarn_bytes data = tarn_bytes_first(buffer, (size_t)n * blk->block_bytes);
        err = tarn_blk_write(blk, waiter, block, tarn_bytes_span(data));
        block += n;
        blocks -= n;
    }
    return err;
}
