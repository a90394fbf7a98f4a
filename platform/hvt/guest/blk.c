/* SPDX-License-Identifier: ISC */
/* Block devices: a hypercall each for a range of blocks. The calls block, so they are made when the
 * loop waits anyway, a bounded number at a time, and the network has its turn in between. Requests
 * are done in the order in which they came, whence a flush needs no more than its own call. */
#include "guest.h"

#define REQUESTS_PER_POLL 32u

struct disk {
    struct tarn_blk blk;
    const struct solo5_entry *entry;
    uint32_t index;
    struct tarn_blk_req *first, **last;
};

static struct disk disks[SOLO5_ENTRIES_MAX];
static size_t disk_count;

static size_t blk_submit(struct tarn_blk *blk, struct tarn_blk_req **reqs, size_t n) {
    struct disk *d = TARN_CONTAINER_OF(blk, struct disk, blk);
    for (size_t i = 0; i < n; i++) {
        reqs[i]->next = NULL;
        *d->last = reqs[i];
        d->last = &reqs[i]->next;
    }
    return n;
}

static enum tarn_err call(const struct disk *d, enum hvt_call nr, struct tarn_bytes data,
                          uint64_t offset) {
    struct hvt_block_io io = {
        .handle = d->index, .offset = offset, .data = (uintptr_t)data.ptr, .len = data.len};
    io.ret = HVT_EUNSPEC;
    guest_call(nr, &io);
    return io.ret == HVT_OK ? TARN_OK : TARN_IO;
}

/* The ABI speaks of blocks; every tender takes a range of them. */
static enum tarn_err perform(struct disk *d, const struct tarn_blk_req *req) {
    enum tarn_err err = tarn_blk_req_check(&d->blk, req);
    if (err)
        return err;
    if (req->op == TARN_BLK_FLUSH)
        return call(d, HVT_CALL_BLOCK_FLUSH, (struct tarn_bytes){NULL, 0}, 0);
    return call(d, req->op == TARN_BLK_READ ? HVT_CALL_BLOCK_READ : HVT_CALL_BLOCK_WRITE, req->data,
                req->block * d->blk.block_bytes);
}

bool guest_blk_poll(uint64_t *ready) {
    bool any = false;
    for (size_t i = 0; i < disk_count; i++) {
        struct disk *d = &disks[i];
        for (unsigned n = 0; d->first && n < REQUESTS_PER_POLL; n++) {
            struct tarn_blk_req *req = d->first;
            d->first = req->next;
            if (!d->first)
                d->last = &d->first;
            req->result = perform(d, req);
            req->done(req);
            *ready |= 1ull << d->index;
            any = true;
        }
    }
    return any;
}

enum tarn_err tarn_platform_blk(const char *name, struct tarn_blk **out) {
    static const struct tarn_blk_ops ops = {.submit = blk_submit};
    uint32_t index;
    const struct solo5_entry *e = guest_entry(name, SOLO5_ENTRY_BLK, &index);
    if (!e)
        return TARN_NOT_FOUND;
    for (size_t i = 0; i < disk_count; i++) {
        if (disks[i].entry == e) {
            *out = &disks[i].blk;
            return TARN_OK;
        }
    }
    uint32_t block_bytes = e->u.blk.block_bytes;
    if (block_bytes < 512 || (block_bytes & (block_bytes - 1)) || e->u.blk.capacity < block_bytes)
        return TARN_IO;
    struct disk *d = &TARN_AT(disks, disk_count);
    disk_count++;
    d->entry = e;
    d->index = index;
    d->last = &d->first;
    /* A file written through the page cache promises nothing about a torn write but its smallest
     * unit. */
    d->blk = (struct tarn_blk){
        .ops = &ops,
        .block_bytes = block_bytes,
        .blocks_per_request_max = UINT32_MAX / block_bytes,
        .atomic_bytes = 512,
        .blocks = e->u.blk.capacity / block_bytes,
        .features = guest_has(HVT_FEATURE_FLUSH) ? TARN_BLK_CAN_FLUSH : 0,
    };
    *out = &d->blk;
    return TARN_OK;
}
