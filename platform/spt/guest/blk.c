/* SPDX-License-Identifier: ISC */
/* Block devices: pread64 and pwrite64 on the descriptor that the tender opened. The calls block, so
 * they are made when the loop waits anyway, a bounded number at a time, and the network has its
 * turn in between. Requests are done in the order in which they came, whence a flush needs no more
 * than its own call. */
#include "guest.h"
#include "sys.h"

#define REQUESTS_PER_POLL 32u

struct disk {
    struct tarn_blk blk;
    const struct solo5_entry *entry;
    uint32_t index;
    uint32_t range_bytes; /* the most for one call where the tender allows more than a block */
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

/* Reads or writes all of it, in the pieces that the tender's filter lets through: many blocks at
 * once while there are `range_bytes` from here to the end of the disk, one block otherwise. */
static enum tarn_err transfer(struct disk *d, const struct tarn_blk_req *req) {
    struct tarn_bytes left = req->data;
    uint32_t block_bytes = d->blk.block_bytes;
    uint64_t capacity = d->entry->u.blk.capacity;
    uint64_t at = req->block * block_bytes;
    while (left.len) {
        size_t piece = block_bytes;
        if (d->range_bytes && capacity - at >= d->range_bytes)
            piece = TARN_MIN(left.len, (size_t)d->range_bytes);
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

static enum tarn_err perform(struct disk *d, const struct tarn_blk_req *req) {
    enum tarn_err err = tarn_blk_req_check(&d->blk, req);
    if (err)
        return err;
    if (req->op == TARN_BLK_FLUSH)
        return sys_fdatasync(d->entry->host.fd) == 0 ? TARN_OK : TARN_IO;
    return transfer(d, req);
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
    d->range_bytes = guest_has(SPT_FEATURE_RANGES) ? tarn_spt_guest.grant->blk_bytes_max : 0;
    /* A file written through the page cache promises nothing about a torn write but its smallest
     * unit. */
    d->blk = (struct tarn_blk){
        .ops = &ops,
        .block_bytes = block_bytes,
        .blocks_per_request_max = UINT32_MAX / block_bytes,
        .atomic_bytes = 512,
        .blocks = e->u.blk.capacity / block_bytes,
        .features = guest_has(SPT_FEATURE_FLUSH) ? TARN_BLK_CAN_FLUSH : 0,
    };
    *out = &d->blk;
    return TARN_OK;
}
