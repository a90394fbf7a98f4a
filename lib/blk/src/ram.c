/* SPDX-License-Identifier: ISC */
#include <tarn/blk_ram.h>

#include "internal.h"

static void perform(const struct tarn_blk_ram *ram, const struct tarn_blk_req *req) {
    struct tarn_bytes at = tarn_bytes_after(ram->mem, (size_t)(req->block * ram->blk.block_bytes));
    switch (req->op) {
    case TARN_BLK_READ: tarn_bytes_copy(req->data, tarn_bytes_span(at)); break;
    case TARN_BLK_WRITE: tarn_bytes_copy(at, tarn_bytes_span(req->data)); break;
    case TARN_BLK_FLUSH: break;
    case TARN_BLK_DISCARD:
        tarn_bytes_fill(tarn_bytes_first(at, (size_t)(req->blocks * ram->blk.block_bytes)), 0);
        break;
    }
}

static size_t ram_submit(struct tarn_blk *blk, struct tarn_blk_req **reqs, size_t n) {
    struct tarn_blk_ram *ram = TARN_CONTAINER_OF(blk, struct tarn_blk_ram, blk);
    for (size_t i = 0; i < n; i++) {
        struct tarn_blk_req *req = TARN_AT_N(reqs, n, i);
        enum tarn_err err = tarn_blk_req_check(blk, req);
        if (!err)
            perform(ram, req);
        tarn_blk_finish(&ram->finished, req, err);
    }
    return n;
}

enum tarn_err tarn_blk_ram_init(struct tarn_blk_ram *ram, struct tarn_tasks *tasks,
                                struct tarn_bytes mem, uint32_t block_bytes) {
    static const struct tarn_blk_ops ops = {.submit = ram_submit};
    if (!blk_is_block_size(block_bytes) || mem.len % block_bytes)
        return TARN_INVALID;
    *ram = (struct tarn_blk_ram){.mem = mem};
    ram->blk = (struct tarn_blk){
        .ops = &ops,
        .block_bytes = block_bytes,
        .blocks_per_request_max = UINT32_MAX / block_bytes,
        .atomic_bytes = block_bytes,
        .blocks = mem.len / block_bytes,
        .features = TARN_BLK_CAN_FLUSH | TARN_BLK_CAN_DISCARD | TARN_BLK_DISCARD_ZEROES,
    };
    tarn_blk_finished_init(&ram->finished, tasks);
    return TARN_OK;
}
