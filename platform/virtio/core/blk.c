/* SPDX-License-Identifier: ISC */
#include "blk.h"

#define QUEUE_MAX 128u
#define SECTOR 512u
#define DESCS_A_REQUEST 3u

#define F_SIZE_MAX VIRTIO_BIT(1)
#define F_RO VIRTIO_BIT(5)
#define F_BLK_SIZE VIRTIO_BIT(6)
#define F_FLUSH VIRTIO_BIT(9)
#define F_DISCARD VIRTIO_BIT(13)
enum { CONFIG_CAPACITY = 0, CONFIG_SIZE_MAX = 8, CONFIG_BLK_SIZE = 20, CONFIG_DISCARD_MAX = 36 };
enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_DISCARD = 11 };
enum { S_OK = 0, S_UNSUPPORTED = 2, S_NEVER = 0xff };

/* What the device reads and writes beside the data, one for each request in flight. */
struct virtio_blk_slot {
    struct {
        uint32_t type, reserved;
        uint64_t sector;
    } head;
    struct {
        uint64_t sector;
        uint32_t sectors, flags;
    } range; /* of a discard */
    uint8_t status;
    struct tarn_blk_req *req;
    struct virtio_blk_slot *next;
    uint64_t sector, left; /* of a discard: what has not been asked for yet */
};

static uint64_t dma(const struct virtio_blk *disk, const void *ptr, size_t len) {
    return disk->dev->bus->dma(ptr, len);
}

/* -- asking ---------------------------------------------------------------------------------------
 */

static void next_range(struct virtio_blk *disk, struct virtio_blk_slot *slot) {
    uint32_t n = (uint32_t)TARN_MIN(slot->left, (uint64_t)disk->discard_sectors_max);
    slot->range.sector = slot->sector;
    slot->range.sectors = n;
    slot->range.flags = 0;
    slot->sector += n;
    slot->left -= n;
}

static void put(struct virtio_blk *disk, struct virtio_blk_slot *slot) {
    const struct tarn_blk_req *req = slot->req;
    static const uint32_t types[] = {[TARN_BLK_READ] = T_IN,
                                     [TARN_BLK_WRITE] = T_OUT,
                                     [TARN_BLK_FLUSH] = T_FLUSH,
                                     [TARN_BLK_DISCARD] = T_DISCARD};
    struct virtq_buf bufs[DESCS_A_REQUEST];
    unsigned out = 1, in = 0;
    bool moves = req->op == TARN_BLK_READ || req->op == TARN_BLK_WRITE;
    slot->head.type = TARN_AT(types, (unsigned)req->op);
    slot->head.reserved = 0;
    slot->head.sector = moves ? req->block * disk->sectors_per_block : 0;
    slot->status = S_NEVER;
    bufs[0] = (struct virtq_buf){dma(disk, &slot->head, sizeof slot->head), sizeof slot->head};
    if (moves) {
        struct tarn_bytes data = req->data;
        bufs[1] = (struct virtq_buf){dma(disk, data.ptr, data.len), (uint32_t)data.len};
        *(req->op == TARN_BLK_READ ? &in : &out) += 1;
    } else if (req->op == TARN_BLK_DISCARD) {
        next_range(disk, slot);
        bufs[1] =
            (struct virtq_buf){dma(disk, &slot->range, sizeof slot->range), sizeof slot->range};
        out++;
    }
    TARN_AT(bufs, out + in) = (struct virtq_buf){dma(disk, &slot->status, 1), 1};
    /* Each slot has its descriptors. */
    TARN_ASSERT(virtq_add(&disk->q, bufs, out, in + 1, slot));
}

static void refuse(struct virtio_blk *disk, struct tarn_blk_req *req, enum tarn_err err) {
    req->result = err;
    req->next = NULL;
    *disk->refused_last = req;
    disk->refused_last = &req->next;
}

static size_t blk_submit(struct tarn_blk *blk, struct tarn_blk_req **reqs, size_t n) {
    struct virtio_blk *disk = TARN_CONTAINER_OF(blk, struct virtio_blk, blk);
    size_t done = 0;
    for (; done < n; done++) {
        struct tarn_blk_req *req = reqs[done];
        enum tarn_err err = disk->failed ? TARN_IO : tarn_blk_req_check(blk, req);
        if (err) {
            refuse(disk, req, err);
            continue;
        }
        struct virtio_blk_slot *slot = disk->free;
        if (!slot)
            break;
        disk->free = slot->next;
        slot->req = req;
        if (req->op == TARN_BLK_DISCARD) {
            slot->sector = req->block * disk->sectors_per_block;
            slot->left = req->blocks * disk->sectors_per_block;
        }
        put(disk, slot);
    }
    virtio_kick(disk->dev, 0, &disk->q);
    return done;
}

/* -- completing -----------------------------------------------------------------------------------
 */

/* The slot is free before the request's owner hears of it, and may ask again. */
static void finish(struct virtio_blk *disk, struct virtio_blk_slot *slot, enum tarn_err result) {
    struct tarn_blk_req *req = slot->req;
    slot->req = NULL;
    slot->next = disk->free;
    disk->free = slot;
    req->result = result;
    req->done(req);
}

static void fail(struct virtio_blk *disk) {
    struct virtio_blk_slot *slot;
    disk->failed = true;
    virtio_fail(disk->dev, "tarn: the block device answered what it was not asked: off\n");
    while ((slot = virtq_reclaim(&disk->q)) != NULL)
        finish(disk, slot, TARN_IO);
}

static void complete(struct virtio_blk *disk, struct virtio_blk_slot *slot, uint32_t written) {
    uint8_t status = __atomic_load_n(&slot->status, __ATOMIC_ACQUIRE);
    uint64_t expected = slot->req->op == TARN_BLK_READ ? slot->req->data.len + 1 : 1;
    if (status == S_OK && written < expected)
        status = S_NEVER; /* says that it read, but not so much */
    if (status == S_OK && slot->req->op == TARN_BLK_DISCARD && slot->left) {
        put(disk, slot);
        return;
    }
    finish(disk, slot,
           status == S_OK            ? TARN_OK
           : status == S_UNSUPPORTED ? TARN_UNSUPPORTED
                                     : TARN_IO);
}

bool virtio_blk_poll(struct virtio_blk *disk) {
    bool any = false;
    struct tarn_blk_req *req = disk->refused;
    disk->refused = NULL;
    disk->refused_last = &disk->refused;
    for (struct tarn_blk_req *next; req; req = next, any = true) {
        next = req->next;
        req->done(req);
    }
    while (!disk->failed) {
        void *token;
        uint32_t written;
        enum tarn_err err = virtq_take(&disk->q, &token, &written);
        if (err == TARN_AGAIN)
            break;
        any = true;
        if (err)
            fail(disk);
        else
            complete(disk, token, written);
    }
    virtio_kick(disk->dev, 0, &disk->q);
    return any;
}

bool virtio_blk_idle(struct virtio_blk *disk) {
    return disk->refused || (!disk->failed && disk->q.chains && virtq_wake(&disk->q));
}

void virtio_blk_busy(struct virtio_blk *disk) {
    if (!disk->failed)
        virtq_quiet(&disk->q);
}

/* -- opening --------------------------------------------------------------------------------------
 */

static uint32_t config32(struct virtio_dev *dev, uint32_t offset) {
    uint32_t value;
    dev->bus->config(dev, offset, &value, sizeof value);
    return value;
}

static bool configure(struct virtio_blk *disk) {
    struct virtio_dev *dev = disk->dev;
    static const struct tarn_blk_ops ops = {.submit = blk_submit};
    uint64_t sectors;
    dev->bus->config(dev, CONFIG_CAPACITY, &sectors, sizeof sectors);
    uint32_t block = virtio_has(dev, F_BLK_SIZE) ? config32(dev, CONFIG_BLK_SIZE) : SECTOR;
    if (block < SECTOR || (block & (block - 1)) || block > 1u << 20)
        return false;
    uint32_t bytes_max = virtio_has(dev, F_SIZE_MAX) ? config32(dev, CONFIG_SIZE_MAX) : 1u << 30;
    disk->sectors_per_block = block / SECTOR;
    disk->blk = (struct tarn_blk){.ops = &ops,
                                  .block_bytes = block,
                                  .blocks_per_request_max =
                                      TARN_MAX(TARN_MIN(bytes_max, 1u << 30) / block, 1u),
                                  .atomic_bytes = SECTOR,
                                  .blocks = sectors / disk->sectors_per_block};
    if (virtio_has(dev, F_FLUSH))
        disk->blk.features |= TARN_BLK_CAN_FLUSH;
    if (virtio_has(dev, F_RO))
        disk->blk.features |= TARN_BLK_READ_ONLY;
    if (virtio_has(dev, F_DISCARD))
        disk->discard_sectors_max = config32(dev, CONFIG_DISCARD_MAX);
    disk->discard_sectors_max &= ~(disk->sectors_per_block - 1);
    if (disk->discard_sectors_max)
        disk->blk.features |= TARN_BLK_CAN_DISCARD;
    return disk->blk.blocks > 0;
}

enum tarn_err virtio_blk_open(struct virtio_blk *disk, struct virtio_dev *dev,
                              struct tarn_alloc *alloc) {
    *disk = (struct virtio_blk){.dev = dev, .refused_last = &disk->refused};
    enum tarn_err err = virtio_start(dev, F_SIZE_MAX | F_RO | F_BLK_SIZE | F_FLUSH | F_DISCARD);
    if (!err)
        err = virtio_queue(dev, 0, QUEUE_MAX, alloc, &disk->q);
    if (err)
        return err;
    size_t count = TARN_MIN(VIRTIO_BLK_SLOTS, disk->q.size / DESCS_A_REQUEST);
    disk->slots = TARN_NEW_ARRAY(alloc, count, struct virtio_blk_slot);
    if (count == 0 || !configure(disk))
        return TARN_UNSUPPORTED;
    if (!disk->slots)
        return TARN_LIMIT;
    for (size_t i = 0; i < count; i++) {
        struct virtio_blk_slot *slot = &TARN_AT_N(disk->slots, count, i);
        slot->next = disk->free;
        disk->free = slot;
    }
    virtio_go(dev);
    return TARN_OK;
}
