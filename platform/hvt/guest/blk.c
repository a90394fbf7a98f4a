/* SPDX-License-Identifier: ISC */
/* Block devices: a hypercall each for a range of blocks. */
#include "guest.h"

static enum tarn_err call(const struct solo5_disk *d, enum hvt_call nr, struct tarn_bytes data,
                          uint64_t offset) {
    struct hvt_block_io io = {
        .handle = d->index, .offset = offset, .data = (uintptr_t)data.ptr, .len = data.len};
    io.ret = HVT_EUNSPEC;
    guest_call(nr, &io);
    return io.ret == HVT_OK ? TARN_OK : TARN_IO;
}

/* The ABI speaks of blocks; every tender takes a range of them. */
enum tarn_err guest_blk_perform(const struct solo5_disk *d, const struct tarn_blk_req *req) {
    if (req->op == TARN_BLK_FLUSH)
        return call(d, HVT_CALL_BLOCK_FLUSH, (struct tarn_bytes){NULL, 0}, 0);
    return call(d, req->op == TARN_BLK_READ ? HVT_CALL_BLOCK_READ : HVT_CALL_BLOCK_WRITE, req->data,
                req->block * d->blk.block_bytes);
}

bool guest_blk_can_flush(void) {
    return guest_has(HVT_FEATURE_FLUSH);
}
