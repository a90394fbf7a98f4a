/* SPDX-License-Identifier: ISC */
#include <tarn/blk_xts.h>
#include <tarn/cipher.h>
#include <tarn/writer.h>

#define PIECE_BYTES ((size_t)64 << 10)

struct tarn_blk_xts {
    struct tarn_blk_worker worker;
    struct tarn_alloc *alloc;
    struct tarn_blk *lower;
    uint32_t unit_bytes;
    uint64_t first_unit;
    struct tarn_bytes piece; /* encrypted, on its way down */
    struct tarn_xts xts;
};

static enum tarn_err crypt_all(struct tarn_blk_xts *x, bool encrypt, uint64_t block,
                               struct tarn_bytes dst, struct tarn_span src) {
    uint64_t unit = x->first_unit + block * (x->worker.blk.block_bytes / x->unit_bytes);
    for (; src.len; unit++) {
        struct tarn_span in = tarn_span_first(src, x->unit_bytes);
        uint8_t tweak[16];
        struct tarn_writer w = TARN_WRITER_ARRAY(tweak);
        tarn_writer_u64le(&w, unit);
        tarn_writer_u64le(&w, 0);
        enum tarn_err err = encrypt ? tarn_xts_encrypt(&x->xts, tweak, dst, in)
                                    : tarn_xts_decrypt(&x->xts, tweak, dst, in);
        if (err)
            return TARN_IO;
        src = tarn_span_after(src, in.len);
        dst = tarn_bytes_after(dst, in.len);
    }
    return TARN_OK;
}

static enum tarn_err write_all(struct tarn_blk_xts *x, uint64_t block, struct tarn_span data,
                               struct tarn_waiter *waiter) {
    enum tarn_err err = TARN_OK;
    while (!err && data.len) {
        struct tarn_span some = tarn_span_first(data, x->piece.len);
        struct tarn_bytes out = tarn_bytes_first(x->piece, some.len);
        err = crypt_all(x, true, block, out, some);
        if (!err)
            err = tarn_blk_write(x->lower, waiter, block, tarn_bytes_span(out));
        block += some.len / x->worker.blk.block_bytes;
        data = tarn_span_after(data, some.len);
    }
    return err;
}

static enum tarn_err serve(struct tarn_blk_worker *worker, struct tarn_blk_req *req,
                           struct tarn_waiter *waiter) {
    struct tarn_blk_xts *x = TARN_CONTAINER_OF(worker, struct tarn_blk_xts, worker);
    enum tarn_err err;
    switch (req->op) {
    case TARN_BLK_READ:
        err = tarn_blk_read(x->lower, waiter, req->block, req->data);
        return err ? err : crypt_all(x, false, req->block, req->data, tarn_bytes_span(req->data));
    case TARN_BLK_WRITE: return write_all(x, req->block, tarn_bytes_span(req->data), waiter);
    case TARN_BLK_FLUSH: return tarn_blk_flush(x->lower, waiter);
    case TARN_BLK_DISCARD: return tarn_blk_discard(x->lower, waiter, req->block, req->blocks);
    }
    return TARN_UNSUPPORTED;
}

enum tarn_err tarn_blk_xts_new(const struct tarn_blk_xts_config *config,
                               struct tarn_blk_xts **out) {
    uint32_t block_bytes = config->lower->block_bytes;
    uint32_t unit = config->unit_bytes ? config->unit_bytes : 512;
    size_t bytes = TARN_MAX(PIECE_BYTES, (size_t)block_bytes);
    if (unit < 16 || (unit & (unit - 1)) || unit > block_bytes)
        return TARN_INVALID;
    struct tarn_blk_xts *x = TARN_NEW(config->alloc, struct tarn_blk_xts);
    if (!x)
        return TARN_LIMIT;
    x->alloc = config->alloc;
    x->lower = config->lower;
    x->unit_bytes = unit;
    x->first_unit = config->first_unit;
    x->piece.ptr = tarn_alloc_get(config->alloc, bytes, 4096);
    x->piece.len = x->piece.ptr ? bytes / block_bytes * block_bytes : 0;
    enum tarn_err err = x->piece.ptr ? tarn_xts_init(&x->xts, config->key) : TARN_LIMIT;
    if (err) {
        tarn_blk_xts_delete(x);
        return err;
    }
    tarn_blk_worker_init(&x->worker, config->tasks, serve);
    const struct tarn_blk_ops *ops = x->worker.blk.ops;
    x->worker.blk = *config->lower;
    x->worker.blk.ops = ops;
    x->worker.blk.features &= ~(uint32_t)TARN_BLK_DISCARD_ZEROES;
    *out = x;
    return TARN_OK;
}

struct tarn_blk_worker *tarn_blk_xts_worker(struct tarn_blk_xts *x) {
    return &x->worker;
}

void tarn_blk_xts_delete(struct tarn_blk_xts *x) {
    struct tarn_alloc *alloc = x->alloc;
    size_t bytes = TARN_MAX(PIECE_BYTES, (size_t)x->lower->block_bytes);
    tarn_alloc_put(alloc, x->piece.ptr, bytes);
    tarn_bytes_wipe(tarn_bytes_of(&x->xts, sizeof x->xts));
    tarn_alloc_put(alloc, x, sizeof *x);
}
