/* SPDX-License-Identifier: ISC */
/* Block devices whose calls block: they are made when the loop waits anyway, a bounded number at a
 * time, and the network has its turn in between. Requests are done in the order in which they came,
 * whence a flush needs no more than its own call. */
#include "solo5_guest.h"

#define REQUESTS_PER_POLL 32u

static struct solo5_disk disks[SOLO5_ENTRIES_MAX];
static size_t disk_count;

static size_t blk_submit(struct tarn_blk *blk, struct tarn_blk_req **reqs, size_t n) {
    struct solo5_disk *d = TARN_CONTAINER_OF(blk, struct solo5_disk, blk);
    for (size_t i = 0; i < n; i++) {
        reqs[i]->next = NULL;
        *d->last = reqs[i];
        d->last = &reqs[i]->next;
    }
    return n;
}

static void serve_one(struct solo5_disk *d) {
    struct tarn_blk_req *req = d->first;
    d->first = req->next;
    if (!d->first)
        d->last = &d->first;
    req->result = tarn_blk_req_check(&d->blk, req);
    if (!req->result)
        req->result = guest_blk_perform(d, req);
    req->done(req);
}

bool solo5_blk_poll(uint64_t *ready) {
    bool any = false;
    for (size_t i = 0; i < disk_count; i++) {
        struct solo5_disk *d = &disks[i];
        for (unsigned n = 0; d->first && n < REQUESTS_PER_POLL; n++) {
            serve_one(d);
            *ready |= 1ull << d->index;
            any = true;
        }
    }
    return any;
}

enum tarn_err tarn_platform_blk(const char *name, struct tarn_blk **out) {
    static const struct tarn_blk_ops ops = {.submit = blk_submit};
    uint32_t index;
    const struct solo5_entry *e = solo5_entry(name, SOLO5_ENTRY_BLK, &index);
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
    struct solo5_disk *d = &TARN_AT(disks, disk_count);
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
        .features = guest_blk_can_flush() ? TARN_BLK_CAN_FLUSH : 0,
    };
    *out = &d->blk;
    return TARN_OK;
}
