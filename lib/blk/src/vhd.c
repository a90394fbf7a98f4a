/* SPDX-License-Identifier: ISC */
/* An open VHD image. A dynamic one's table of blocks is in memory whole. */
#include "vhd.h"

#define SCRATCH_BYTES 65536u

struct tarn_blk_vhd {
    struct tarn_blk_worker worker;
    struct tarn_blk_vhd_config config;
    struct tarn_blk *lower;
    struct vhd_footer footer;
    struct vhd_header header;
    uint32_t *table; /* sectors, where blocks begin with their bitmap */
    uint32_t table_len;
    uint32_t dirty_first, dirty_end; /* entries newer than the device's */
    uint64_t next_at;                /* where the next block goes, and until then the footer */
    bool footer_moved, broken;
    uint8_t footer_bytes[VHD_SECTOR];
    struct tarn_bytes scratch;
};

static bool is_dynamic(const struct tarn_blk_vhd *v) {
    return v->footer.type == VHD_DYNAMIC;
}

static enum tarn_err barrier(struct tarn_blk_vhd *v, struct tarn_waiter *waiter) {
    return v->lower->features & TARN_BLK_CAN_FLUSH ? tarn_blk_flush(v->lower, waiter) : TARN_OK;
}

static uint64_t bitmap_bytes(const struct tarn_blk_vhd *v) {
    uint64_t bytes = v->header.block_bytes / VHD_SECTOR / 8;
    return (bytes + VHD_SECTOR - 1) / VHD_SECTOR * VHD_SECTOR;
}

static enum tarn_err put(struct tarn_blk_vhd *v, struct tarn_waiter *waiter, uint64_t at,
                         struct tarn_span data) {
    return tarn_blk_write(v->lower, waiter, at / VHD_SECTOR, data);
}

/* -- the table ------------------------------------------------------------------------------------
 */

static uint32_t *entry_at(const struct tarn_blk_vhd *v, uint64_t i) {
    return &TARN_AT_N(v->table, v->table_len, (size_t)i);
}

/* Where the data of a block begins; 0: it has none. */
static uint64_t data_of(const struct tarn_blk_vhd *v, uint64_t block) {
    uint32_t sector = *entry_at(v, block);
    return sector == VHD_UNUSED ? 0 : (uint64_t)sector * VHD_SECTOR + bitmap_bytes(v);
}

static enum tarn_err store_table(struct tarn_blk_vhd *v, struct tarn_waiter *waiter) {
    uint32_t per_sector = VHD_SECTOR / 4;
    for (uint32_t i = v->dirty_first / per_sector * per_sector; i < v->dirty_end; i += per_sector) {
        struct tarn_writer w = tarn_writer_over(tarn_bytes_first(v->scratch, VHD_SECTOR));
        for (uint32_t j = i; j < i + per_sector; j++)
            tarn_writer_u32be(&w, j < v->table_len ? *entry_at(v, j) : VHD_UNUSED);
        enum tarn_err err =
            put(v, waiter, v->header.table_at + (uint64_t)i * 4, tarn_writer_span(&w));
        if (err)
            return err;
    }
    v->dirty_first = v->dirty_end = 0;
    return TARN_OK;
}

/* Blocks first, then what names them. */
static enum tarn_err commit(struct tarn_blk_vhd *v, struct tarn_waiter *waiter) {
    enum tarn_err err = TARN_OK;
    if (v->broken)
        return TARN_IO;
    if (v->footer_moved)
        err = put(v, waiter, v->next_at, TARN_SPAN_ARRAY(v->footer_bytes));
    v->footer_moved = v->footer_moved && err;
    if (!err && v->dirty_first < v->dirty_end) {
        err = barrier(v, waiter);
        if (!err)
            err = store_table(v, waiter);
    }
    v->broken = err != TARN_OK;
    return err;
}

/* A new block at the end: a full bitmap, and zeroes. */
static enum tarn_err add_block(struct tarn_blk_vhd *v, struct tarn_waiter *waiter, uint64_t block) {
    uint64_t at = v->next_at, data = at + bitmap_bytes(v), end = data + v->header.block_bytes;
    uint32_t zeroing = TARN_BLK_CAN_DISCARD | TARN_BLK_DISCARD_ZEROES;
    enum tarn_err err = TARN_OK;
    if (end / VHD_SECTOR >= v->lower->blocks || at / VHD_SECTOR >= VHD_UNUSED)
        return TARN_LIMIT;
    tarn_bytes_fill(v->scratch, 0xff);
    for (uint64_t p = at; p < data && !err; p += VHD_SECTOR)
        err = put(v, waiter, p, tarn_span_first(tarn_bytes_span(v->scratch), VHD_SECTOR));
    tarn_bytes_fill(v->scratch, 0);
    if (!err && (v->lower->features & zeroing) == zeroing)
        err = tarn_blk_discard(v->lower, waiter, data / VHD_SECTOR,
                               v->header.block_bytes / VHD_SECTOR);
    else
        for (uint64_t p = data; p < end && !err; p += SCRATCH_BYTES)
            err =
                put(v, waiter, p,
                    tarn_span_first(tarn_bytes_span(v->scratch), blk_min(SCRATCH_BYTES, end - p)));
    if (err)
        return err;
    v->next_at = end;
    v->footer_moved = true;
    *entry_at(v, block) = (uint32_t)(at / VHD_SECTOR);
    if (v->dirty_first == v->dirty_end) {
        v->dirty_first = (uint32_t)block;
        v->dirty_end = (uint32_t)block + 1;
    }
    v->dirty_first = TARN_MIN(v->dirty_first, (uint32_t)block);
    v->dirty_end = TARN_MAX(v->dirty_end, (uint32_t)block + 1);
    return TARN_OK;
}

/* -- requests -------------------------------------------------------------------------------------
 */

static enum tarn_err transfer_part(struct tarn_blk_vhd *v, struct tarn_waiter *waiter,
                                   enum tarn_blk_op op, uint64_t at, struct tarn_bytes part) {
    uint64_t block = at / v->header.block_bytes, inside = at % v->header.block_bytes;
    enum tarn_err err = TARN_OK;
    if (op == TARN_BLK_READ && data_of(v, block) == 0) {
        tarn_bytes_fill(part, 0);
        return TARN_OK;
    }
    if (data_of(v, block) == 0)
        err = add_block(v, waiter, block);
    if (err)
        return err;
    uint64_t there = (data_of(v, block) + inside) / VHD_SECTOR;
    return op == TARN_BLK_READ ? tarn_blk_read(v->lower, waiter, there, part)
                               : tarn_blk_write(v->lower, waiter, there, tarn_bytes_span(part));
}

static enum tarn_err transfer(struct tarn_blk_vhd *v, const struct tarn_blk_req *req,
                              struct tarn_waiter *waiter) {
    struct tarn_bytes data = req->data;
    uint64_t at = req->block * VHD_SECTOR;
    enum tarn_err err = TARN_OK;
    if (!is_dynamic(v))
        return req->op == TARN_BLK_READ
                   ? tarn_blk_read(v->lower, waiter, req->block, data)
                   : tarn_blk_write(v->lower, waiter, req->block, tarn_bytes_span(data));
    while (data.len && !err) {
        uint64_t left = v->header.block_bytes - at % v->header.block_bytes;
        struct tarn_bytes part = tarn_bytes_first(data, blk_min(data.len, left));
        err = transfer_part(v, waiter, req->op, at, part);
        at += part.len;
        data = tarn_bytes_after(data, part.len);
    }
    bool waits_for_flush = v->lower->features & TARN_BLK_CAN_FLUSH;
    return err || req->op == TARN_BLK_READ || waits_for_flush ? err : commit(v, waiter);
}

static enum tarn_err serve(struct tarn_blk_worker *worker, struct tarn_blk_req *req,
                           struct tarn_waiter *waiter) {
    struct tarn_blk_vhd *v = TARN_CONTAINER_OF(worker, struct tarn_blk_vhd, worker);
    if (req->op == TARN_BLK_READ)
        return transfer(v, req, waiter);
    if (v->broken)
        return TARN_IO;
    if (req->op == TARN_BLK_WRITE)
        return transfer(v, req, waiter);
    enum tarn_err err = commit(v, waiter);
    return err ? err : barrier(v, waiter);
}

/* -- opening --------------------------------------------------------------------------------------
 */

/* The copy in front is there for a dynamic image alone; data is there in a fixed one, which may
 * look like anything, a dynamic image's front included: so the end decides where it can be read. */
static enum tarn_err read_footer(struct tarn_blk_vhd *v, struct tarn_waiter *waiter) {
    struct tarn_bytes sector = TARN_BYTES_ARRAY(v->footer_bytes);
    uint64_t end = v->config.end ? v->config.end / VHD_SECTOR : v->lower->blocks;
    enum tarn_err err = TARN_OK;
    if (end == 0 || end > v->lower->blocks)
        return TARN_INVALID;
    err = tarn_blk_read(v->lower, waiter, end - 1, sector);
    if (!err && vhd_footer_parse(tarn_bytes_span(sector), &v->footer))
        return TARN_OK;
    if (!err)
        err = tarn_blk_read(v->lower, waiter, 0, sector);
    if (err)
        return err;
    return vhd_footer_parse(tarn_bytes_span(sector), &v->footer) && is_dynamic(v) ? TARN_OK
                                                                                  : TARN_PEER;
}

/* Each entry names a place behind the table, of which the last is where the image ends. */
static enum tarn_err load_table(struct tarn_blk_vhd *v, struct tarn_waiter *waiter) {
    uint64_t end = v->lower->blocks * VHD_SECTOR, per_read = SCRATCH_BYTES / 4;
    v->next_at = (v->header.table_at + (uint64_t)v->table_len * 4 + VHD_SECTOR - 1) / VHD_SECTOR
                 * VHD_SECTOR;
    uint64_t tables_end = v->next_at;
    if (tables_end > end)
        return TARN_PEER;
    for (uint64_t i = 0; i < v->table_len; i += per_read) {
        uint64_t at = v->header.table_at + i * 4;
        struct tarn_bytes data =
            tarn_bytes_first(v->scratch, blk_min(SCRATCH_BYTES, tables_end - at));
        enum tarn_err err = tarn_blk_read(v->lower, waiter, at / VHD_SECTOR, data);
        struct tarn_span in = tarn_bytes_span(data);
        if (err)
            return err;
        for (uint64_t j = i; j < v->table_len && j < i + per_read; j++) {
            if (!tarn_span_u32be(&in, entry_at(v, j)))
                return TARN_PEER;
            uint64_t data_at = data_of(v, j);
            if (data_at == 0)
                continue;
            if (*entry_at(v, j) < tables_end / VHD_SECTOR || data_at + v->header.block_bytes > end)
                return TARN_PEER;
            v->next_at = TARN_MAX(v->next_at, data_at + v->header.block_bytes);
        }
    }
    return TARN_OK;
}

static enum tarn_err open_dynamic(struct tarn_blk_vhd *v, struct tarn_waiter *waiter) {
    struct tarn_bytes sectors = tarn_bytes_first(v->scratch, VHD_HEADER_BYTES);
    uint64_t at = v->footer.header_at / VHD_SECTOR;
    if (v->footer.header_at % VHD_SECTOR || at > v->lower->blocks || v->lower->blocks - at < 2)
        return TARN_PEER;
    enum tarn_err err = tarn_blk_read(v->lower, waiter, at, sectors);
    if (err)
        return err;
    if (!vhd_header_parse(tarn_bytes_span(sectors), &v->header))
        return TARN_PEER;
    uint64_t needed = (v->footer.bytes + v->header.block_bytes - 1) / v->header.block_bytes;
    if (needed > v->header.entries || needed > v->lower->blocks * (VHD_SECTOR / 4)
        || v->header.table_at > v->lower->blocks * VHD_SECTOR)
        return TARN_PEER;
    /* Entries behind the disk's end name nothing that could be read. */
    v->table_len = (uint32_t)needed;
    v->table = TARN_NEW_ARRAY(v->config.alloc, v->table_len + 1u, uint32_t);
    return v->table ? load_table(v, waiter) : TARN_LIMIT;
}

enum tarn_err tarn_blk_vhd_open(const struct tarn_blk_vhd_config *config,
                                struct tarn_waiter *waiter, struct tarn_blk_vhd **out) {
    struct tarn_blk *lower = config->lower;
    if (lower->block_bytes != VHD_SECTOR)
        return TARN_INVALID;
    struct tarn_blk_vhd *v = TARN_NEW(config->alloc, struct tarn_blk_vhd);
    if (!v)
        return TARN_LIMIT;
    v->config = *config;
    v->lower = lower;
    v->scratch.ptr = tarn_alloc_get(config->alloc, SCRATCH_BYTES, 8);
    v->scratch.len = v->scratch.ptr ? SCRATCH_BYTES : 0;
    enum tarn_err err = v->scratch.ptr ? read_footer(v, waiter) : TARN_LIMIT;
    if (!err && is_dynamic(v))
        err = open_dynamic(v, waiter);
    else if (!err && v->footer.type != VHD_FIXED)
        err = TARN_UNSUPPORTED;
    else if (!err && v->footer.bytes / VHD_SECTOR >= lower->blocks)
        err = TARN_PEER;
    if (err) {
        tarn_blk_vhd_delete(v);
        return err;
    }
    tarn_blk_worker_init(&v->worker, config->tasks, serve);
    struct tarn_blk *blk = &v->worker.blk;
    blk->block_bytes = VHD_SECTOR;
    blk->blocks = v->footer.bytes / VHD_SECTOR;
    blk->blocks_per_request_max = (32u << 20) / VHD_SECTOR;
    blk->atomic_bytes = lower->atomic_bytes;
    blk->align_bytes = lower->align_bytes;
    blk->features = lower->features & (TARN_BLK_CAN_FLUSH | TARN_BLK_READ_ONLY);
    if (config->read_only)
        blk->features |= TARN_BLK_READ_ONLY;
    *out = v;
    return TARN_OK;
}

struct tarn_blk_worker *tarn_blk_vhd_worker(struct tarn_blk_vhd *vhd) {
    return &vhd->worker;
}

bool tarn_blk_vhd_is_dynamic(const struct tarn_blk_vhd *vhd) {
    return is_dynamic(vhd);
}

uint64_t tarn_blk_vhd_end(const struct tarn_blk_vhd *vhd) {
    return (is_dynamic(vhd) ? vhd->next_at : vhd->footer.bytes) + VHD_SECTOR;
}

enum tarn_err tarn_blk_vhd_close(struct tarn_blk_vhd *vhd, struct tarn_waiter *waiter) {
    enum tarn_err err = TARN_OK;
    if (!(vhd->worker.blk.features & TARN_BLK_READ_ONLY)) {
        err = commit(vhd, waiter);
        if (!err)
            err = barrier(vhd, waiter);
    }
    tarn_blk_vhd_delete(vhd);
    return err;
}

void tarn_blk_vhd_delete(struct tarn_blk_vhd *vhd) {
    struct tarn_alloc *alloc = vhd->config.alloc;
    tarn_alloc_put(alloc, vhd->table, (vhd->table_len + 1u) * sizeof(uint32_t));
    tarn_alloc_put(alloc, vhd->scratch.ptr, SCRATCH_BYTES);
    tarn_alloc_put(alloc, vhd, sizeof *vhd);
}
