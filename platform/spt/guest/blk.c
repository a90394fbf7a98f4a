/* SPDX-License-Identifier: ISC */
/* Block devices: pread64 and pwrite64 on the descriptor that the tender opened. */
#include "guest.h"
#include "sys.h"

/* Reads or writes all of it, in the pieces that the tender's filter lets through: many blocks at
 * once while there are `range_bytes` from here to the end of the disk, one block otherwise. */
static enum tarn_err transfer(const struct solo5_disk *d, const struct tarn_blk_req *req) {
    uint32_t range_bytes = guest_has(SPT_FEATURE_RANGES) ? tarn_spt_guest.grant->blk_bytes_max : 0;
    struct tarn_bytes left = req->data;
    uint32_t block_bytes = d->blk.block_bytes;
    uint64_t capacity = d->entry->u.blk.capacity;
    uint64_t at = req->block * block_bytes;
    while (left.len) {
        size_t piece = block_bytes;
        if (range_bytes && capacity - at >= range_bytes)
            piece = TARN_MIN(left.len, (size_t)range_bytes);
        long n = req->op == TARN_BLK_READ ? sys_pread(d->entry->host.fd, left.ptr, piece, at)
                                          : sys_pwrite(d->entry->host.fd, left.ptr, piece, at);
        if (n == SYS_EINTR)
            continue;
        if (n != (long)piece)
            return TARN_IO;
        left = tarn_bytes_after(left, piece);
        at += piece;
    }
    return TARN_OK;
}

enum tarn_err guest_blk_perform(const struct solo5_disk *d, const struct tarn_blk_req *req) {
    if (req->op == TARN_BLK_FLUSH)
        return sys_fdatasync(d->entry->host.fd) == 0 ? TARN_OK : TARN_IO;
    return transfer(d, req);
}

bool guest_blk_can_flush(void) {
    return guest_has(SPT_FEATURE_FLUSH);
}
