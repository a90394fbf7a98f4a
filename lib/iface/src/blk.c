/* SPDX-License-Identifier: ISC */
#include <tarn/blk_wait.h>

#define PIECES_MAX 8u /* of one range, in flight together */

enum tarn_err tarn_blk_req_check(const struct tarn_blk *blk, const struct tarn_blk_req *req) {
    uint64_t blocks = 0;
    switch (req->op) {
    case TARN_BLK_FLUSH: return blk->features & TARN_BLK_CAN_FLUSH ? TARN_OK : TARN_UNSUPPORTED;
    case TARN_BLK_DISCARD:
        if (!(blk->features & TARN_BLK_CAN_DISCARD) || blk->features & TARN_BLK_READ_ONLY)
            return TARN_UNSUPPORTED;
        blocks = req->blocks;
        break;
    case TARN_BLK_WRITE:
        if (blk->features & TARN_BLK_READ_ONLY)
            return TARN_UNSUPPORTED;
        /* fall through */
    case TARN_BLK_READ:
        blocks = req->data.len / blk->block_bytes;
        if (req->data.len % blk->block_bytes || blocks > blk->blocks_per_request_max)
            return TARN_INVALID;
        break;
    default: return TARN_UNSUPPORTED;
    }
    if (blocks == 0 || req->block > blk->blocks || blocks > blk->blocks - req->block)
        return TARN_INVALID;
    return TARN_OK;
}

/* -- waiting --------------------------------------------------------------------------------------
 */

struct tarn_blk_batch {
    struct tarn_waiter *waiter;
    size_t in_flight;
};

static void io_done(struct tarn_blk_req *req) {
    struct tarn_blk_batch *batch = TARN_CONTAINER_OF(req, struct tarn_blk_io, req)->batch;
    batch->in_flight--;
    batch->waiter->ops->wake(batch->waiter);
}

/* False: the world has ended. */
static bool wait_until(struct tarn_waiter *waiter, tarn_time deadline) {
    enum tarn_err err = waiter->ops->wait(waiter, deadline);
    return err == TARN_OK || (err == TARN_AGAIN && deadline != TARN_NEVER);
}

static size_t submit(struct tarn_blk *blk, struct tarn_blk_batch *batch, struct tarn_blk_io *ios,
                     size_t count) {
    struct tarn_blk_req *reqs[PIECES_MAX];
    size_t n = TARN_MIN(count, (size_t)PIECES_MAX);
    for (size_t i = 0; i < n; i++) {
        struct tarn_blk_io *io = &TARN_AT_N(ios, count, i);
        io->batch = batch;
        io->req.done = io_done;
        TARN_AT(reqs, i) = &io->req;
    }
    n = blk->ops->submit(blk, reqs, n);
    batch->in_flight += n;
    return n;
}

enum tarn_err tarn_blk_run(struct tarn_blk *blk, struct tarn_waiter *waiter,
                           struct tarn_blk_io *ios, size_t count) {
    struct tarn_blk_batch batch = {.waiter = waiter};
    size_t taken = 0;
    while (taken < count || batch.in_flight) {
        size_t n = 0;
        if (taken < count)
            n = submit(blk, &batch, &TARN_AT_N(ios, count, taken), count - taken);
        taken += n;
        if (n)
            continue;
        bool mine = batch.in_flight != 0;
        tarn_time retry = mine ? TARN_NEVER : tarn_time_after(waiter->ops->now(waiter), TARN_MS(1));
        if (!wait_until(waiter, retry))
            return TARN_IO;
    }
    for (size_t i = 0; i < count; i++)
        if (TARN_AT_N(ios, count, i).req.result)
            return TARN_AT_N(ios, count, i).req.result;
    return TARN_OK;
}

/* -- ranges ---------------------------------------------------------------------------------------
 */

static enum tarn_err transfer(struct tarn_blk *blk, struct tarn_waiter *waiter, enum tarn_blk_op op,
                              uint64_t block, struct tarn_bytes data) {
    uint64_t max =
        TARN_MIN((uint64_t)blk->blocks_per_request_max * blk->block_bytes, (uint64_t)SIZE_MAX);
    while (data.len) {
        struct tarn_blk_io ios[PIECES_MAX];
        size_t n = 0;
        for (; n < PIECES_MAX && data.len; n++) {
            struct tarn_bytes piece = tarn_bytes_first(data, (size_t)max);
            TARN_AT(ios, n) =
                (struct tarn_blk_io){.req = {.op = op, .block = block, .data = piece}};
            block += piece.len / blk->block_bytes;
            data = tarn_bytes_after(data, piece.len);
        }
        enum tarn_err err = tarn_blk_run(blk, waiter, ios, n);
        if (err)
            return err;
    }
    return TARN_OK;
}

enum tarn_err tarn_blk_read(struct tarn_blk *blk, struct tarn_waiter *waiter, uint64_t block,
                            struct tarn_bytes data) {
    return transfer(blk, waiter, TARN_BLK_READ, block, data);
}

enum tarn_err tarn_blk_write(struct tarn_blk *blk, struct tarn_waiter *waiter, uint64_t block,
                             struct tarn_span data) {
    /* A request has one kind of memory; the device only reads it for a write. */
    struct tarn_bytes bytes = tarn_bytes_of((void *)(uintptr_t)data.ptr, data.len);
    return transfer(blk, waiter, TARN_BLK_WRITE, block, bytes);
}

enum tarn_err tarn_blk_flush(struct tarn_blk *blk, struct tarn_waiter *waiter) {
    struct tarn_blk_io io = {.req = {.op = TARN_BLK_FLUSH}};
    return tarn_blk_run(blk, waiter, &io, 1);
}

enum tarn_err tarn_blk_discard(struct tarn_blk *blk, struct tarn_waiter *waiter, uint64_t block,
                               uint64_t blocks) {
    struct tarn_blk_io io = {.req = {.op = TARN_BLK_DISCARD, .block = block, .blocks = blocks}};
    return blocks ? tarn_blk_run(blk, waiter, &io, 1) : TARN_OK;
}
