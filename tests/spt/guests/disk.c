/* SPDX-License-Identifier: ISC */
/* Writes a pattern to the whole disk, reads it back in other pieces, and tries what cannot be. */
#include <tarn/app.h>

TARN_BLK(storage);

static struct tarn_env *program;
static uint8_t written[1 << 18], got[1 << 18];

struct wait {
    struct tarn_blk_req req;
    struct tarn_waiter *waiter;
    bool done;
};

static void finished(struct tarn_blk_req *req) {
    struct wait *w = TARN_CONTAINER_OF(req, struct wait, req);
    w->done = true;
    w->waiter->ops->wake(w->waiter);
}

static enum tarn_err request(struct tarn_blk *blk, enum tarn_blk_op op, uint64_t block,
                             uint8_t *ptr, size_t bytes) {
    struct wait w = {.req = {.op = op,
                             .block = block,
                             .data = {ptr, bytes},
                             .blocks = bytes / blk->block_bytes,
                             .done = finished},
                     .waiter = tarn_env_waiter(program)};
    struct tarn_blk_req *req = &w.req;
    if (blk->ops->submit(blk, &req, 1) != 1)
        return TARN_AGAIN;
    TARN_ASSERT(!w.done); /* never from submit */
    while (!w.done)
        if (w.waiter->ops->wait(w.waiter, TARN_NEVER))
            return TARN_IO;
    return w.req.result;
}

static bool check(const char *what, bool good) {
    tarn_puts(program, good ? "good " : "BAD ");
    tarn_puts(program, what);
    tarn_puts(program, "\n");
    return good;
}

static bool all_of_it(struct tarn_blk *blk) {
    uint64_t bytes = blk->blocks * blk->block_bytes;
    uint64_t at = 0;
    for (size_t i = 0; i < sizeof written; i++)
        written[i] = (uint8_t)(i * 7 + i / 512);
    TARN_ASSERT(bytes <= sizeof written);
    if (request(blk, TARN_BLK_WRITE, 0, written, bytes))
        return false;
    for (unsigned n = 1; at < bytes; n = n * 3 % 7) {
        size_t piece = TARN_MIN((uint64_t)n * blk->block_bytes, bytes - at);
        if (request(blk, TARN_BLK_READ, at / blk->block_bytes, got + at, piece))
            return false;
        at += piece;
    }
    return tarn_span_equal(tarn_span_of(written, bytes), tarn_span_of(got, bytes));
}

int tarn_main(struct tarn_env *env) {
    struct tarn_blk *blk;
    program = env;
    if (tarn_env_blk(env, &storage, &blk))
        return 1;
    uint32_t n = blk->block_bytes;
    bool can_flush = blk->features & TARN_BLK_CAN_FLUSH;
    bool good = check("all of it", all_of_it(blk));
    good &= check("behind the end",
                  request(blk, TARN_BLK_READ, blk->blocks, got, n) == TARN_INVALID
                      && request(blk, TARN_BLK_WRITE, blk->blocks - 1, got, 2 * n) == TARN_INVALID
                      && request(blk, TARN_BLK_WRITE, UINT64_MAX, got, n) == TARN_INVALID);
    good &= check("half a block", request(blk, TARN_BLK_WRITE, 0, got, n / 2) == TARN_INVALID);
    good &=
        check(can_flush ? "flush" : "no flush",
              request(blk, TARN_BLK_FLUSH, 0, NULL, 0) == (can_flush ? TARN_OK : TARN_UNSUPPORTED));
    bool can_discard = blk->features & TARN_BLK_CAN_DISCARD;
    good &= check(can_discard ? "discard of the first block" : "no discard",
                  request(blk, TARN_BLK_DISCARD, 0, NULL, n)
                      == (can_discard ? TARN_OK : TARN_UNSUPPORTED));
    return good ? 0 : 1;
}
