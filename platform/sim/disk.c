/* SPDX-License-Identifier: ISC */
/* Disks: what a block device may do to its user, up to losing its power in the middle of a write.
 *
 * Two images: `seen` is what reads see, `durable` what survives. A write goes to `seen` when it
 * completes and waits in `unflushed`, in order, until a flush moves it to `durable`. */
#include "internal.h"

#include <stdlib.h>

struct write {
    struct write *next;
    uint64_t order, off; /* off in bytes */
    size_t len;
    uint8_t bytes[];
};

struct job {
    struct tarn_sim_event event;
    struct tarn_sim_disk *disk;
    struct tarn_blk_req *req;
    uint64_t order; /* FLUSH: the last write completed before it was submitted */
    struct job *next, *prev;
};

struct tarn_sim_disk {
    struct tarn_sim *sim;
    struct tarn_sim_disk *next;
    struct tarn_blk blk;
    struct tarn_sim_disk_config config;
    struct tarn_sim_disk_counters counters;
    struct tarn_sim_actor *actor;
    struct tarn_random_seeded random;
    uint8_t *seen, *durable;
    bool *bad, *filled; /* by block */
    uint64_t filled_count;
    size_t bytes;
    struct write *unflushed, **unflushed_end;
    uint64_t write_order;
    struct job *jobs; /* in flight */
    uint32_t job_count;
    struct tarn_blk_req *done_first, **done_end;
    uint64_t power_loss_in; /* writes until then; 0: never */
    bool power;
};

/* -- what is stored -----------------------------------------------------------------------------
 */

static struct write *write_new(uint64_t off, struct tarn_span data) {
    struct write *w = sim_new(sizeof *w + data.len);
    w->off = off;
    w->len = data.len;
    __builtin_memcpy(w->bytes, data.ptr, data.len);
    return w;
}

/* Moves writes up to `order` to the durable image. */
static void make_durable(struct tarn_sim_disk *disk, uint64_t order) {
    while (disk->unflushed && disk->unflushed->order <= order) {
        struct write *w = disk->unflushed;
        disk->unflushed = w->next;
        __builtin_memcpy(disk->durable + w->off, w->bytes, w->len);
        free(w);
    }
    if (!disk->unflushed)
        disk->unflushed_end = &disk->unflushed;
}

/* Stores each atomic unit of the write, or does not. */
static void store_torn(struct tarn_sim_disk *disk, uint64_t off, struct tarn_span data) {
    while (data.len) {
        struct tarn_span unit = tarn_span_first(data, disk->blk.atomic_bytes);
        if (tarn_random_below(&disk->random.random, 2))
            __builtin_memcpy(disk->durable + off, unit.ptr, unit.len);
        else
            disk->counters.units_lost++;
        off += unit.len;
        data = tarn_span_after(data, unit.len);
    }
}

static void do_read(struct tarn_sim_disk *disk, struct tarn_blk_req *req, uint64_t off) {
    disk->counters.reads++;
    if (sim_chance(&disk->random, disk->config.rot_ppm)) {
        uint64_t bit = sim_draw(&disk->random, req->data.len * 8 - 1);
        uint8_t mask = (uint8_t)(1u << bit % 8);
        disk->seen[off + bit / 8] ^= mask;
        disk->durable[off + bit / 8] ^= mask;
        disk->counters.rotten++;
    }
    tarn_bytes_copy(req->data, tarn_span_of(disk->seen + off, req->data.len));
}

static void do_write(struct tarn_sim_disk *disk, struct tarn_blk_req *req, uint64_t off) {
    disk->counters.writes++;
    if (sim_chance(&disk->random, disk->config.lost_write_ppm)) {
        disk->counters.lost_writes++;
        return;
    }
    if (sim_chance(&disk->random, disk->config.astray_ppm)) {
        uint64_t places = (disk->bytes - req->data.len) / disk->blk.block_bytes;
        off = sim_draw(&disk->random, places) * disk->blk.block_bytes;
        disk->counters.astray++;
    }
    __builtin_memcpy(disk->seen + off, req->data.ptr, req->data.len);
    struct write *w = write_new(off, tarn_bytes_span(req->data));
    w->order = ++disk->write_order;
    *disk->unflushed_end = w;
    disk->unflushed_end = &w->next;
    if (disk->config.write_through)
        make_durable(disk, w->order);
}

static void do_flush(struct tarn_sim_disk *disk, uint64_t order) {
    disk->counters.flushes++;
    if (sim_chance(&disk->random, disk->config.flush_lie_ppm))
        disk->counters.flush_lies++;
    else
        make_durable(disk, order);
}

/* A thinly provisioned disk: false where it has no room for blocks that are written first now. */
static bool has_room(struct tarn_sim_disk *disk, uint64_t block, uint64_t count) {
    uint64_t fresh = 0;
    for (uint64_t i = 0; i < count; i++)
        fresh += !disk->filled[block + i];
    if (disk->config.full_after && disk->filled_count + fresh > disk->config.full_after) {
        disk->counters.refused_full++;
        return false;
    }
    __builtin_memset(disk->filled + block, true, (size_t)count * sizeof *disk->filled);
    disk->filled_count += fresh;
    return true;
}

static void give_room(struct tarn_sim_disk *disk, uint64_t block, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        disk->filled_count -= disk->filled[block + i];
        disk->filled[block + i] = false;
    }
}

/* Discarded blocks read as zeroes: one of the things that a device may answer. */
static void do_discard(struct tarn_sim_disk *disk, const struct tarn_blk_req *req, uint64_t off) {
    size_t len = (size_t)req->blocks * disk->blk.block_bytes;
    disk->counters.discards++;
    give_room(disk, req->block, req->blocks);
    make_durable(disk, disk->write_order);
    __builtin_memset(disk->seen + off, 0, len);
    __builtin_memset(disk->durable + off, 0, len);
}

static bool touches_bad(const struct tarn_sim_disk *disk, uint64_t block, uint64_t count) {
    for (uint64_t i = 0; i < count; i++)
        if (disk->bad[block + i])
            return true;
    return false;
}

static bool fails(struct tarn_sim_disk *disk, const struct tarn_blk_req *req) {
    uint64_t blocks = req->data.len / disk->blk.block_bytes;
    uint32_t ppm = 0;
    if (req->op == TARN_BLK_READ)
        ppm = disk->config.read_error_ppm;
    if (req->op == TARN_BLK_WRITE)
        ppm = disk->config.write_error_ppm;
    bool medium = req->op == TARN_BLK_READ || req->op == TARN_BLK_WRITE;
    if (!sim_chance(&disk->random, ppm) && !(medium && touches_bad(disk, req->block, blocks)))
        return false;
    disk->counters.errors++;
    return true;
}

static enum tarn_err perform(struct tarn_sim_disk *disk, struct job *job) {
    struct tarn_blk_req *req = job->req;
    uint64_t off = req->block * disk->blk.block_bytes;
    if (fails(disk, req))
        return TARN_IO;
    if (req->op == TARN_BLK_WRITE
        && !has_room(disk, req->block, req->data.len / disk->blk.block_bytes))
        return TARN_LIMIT;
    switch (req->op) {
    case TARN_BLK_READ: do_read(disk, req, off); break;
    case TARN_BLK_WRITE: do_write(disk, req, off); break;
    case TARN_BLK_FLUSH: do_flush(disk, job->order); break;
    case TARN_BLK_DISCARD: do_discard(disk, req, off); break;
    }
    return TARN_OK;
}

/* -- requests -----------------------------------------------------------------------------------
 */

static void finish(struct tarn_sim_disk *disk, struct tarn_blk_req *req, enum tarn_err result) {
    req->result = result;
    req->next = NULL;
    *disk->done_end = req;
    disk->done_end = &req->next;
    if (disk->actor)
        tarn_sim_wake(disk->actor);
}

static void job_free(struct job *job) {
    struct tarn_sim_disk *disk = job->disk;
    tarn_sim_cancel(disk->sim, &job->event);
    if (job->prev)
        job->prev->next = job->next;
    else
        disk->jobs = job->next;
    if (job->next)
        job->next->prev = job->prev;
    disk->job_count--;
    free(job);
}

static void job_run(struct tarn_sim_event *event) {
    struct job *job = TARN_CONTAINER_OF(event, struct job, event);
    struct tarn_sim_disk *disk = job->disk;
    struct tarn_blk_req *req = job->req;
    enum tarn_err result = perform(disk, job);
    job_free(job);
    finish(disk, req, result);
}

static void job_start(struct tarn_sim_disk *disk, struct tarn_blk_req *req) {
    struct job *job = sim_new(sizeof *job);
    tarn_time spread = disk->config.latency_max > disk->config.latency_min
                           ? disk->config.latency_max - disk->config.latency_min
                           : 0;
    job->disk = disk;
    job->req = req;
    job->order = disk->write_order;
    job->event.run = job_run;
    job->next = disk->jobs;
    if (disk->jobs)
        disk->jobs->prev = job;
    disk->jobs = job;
    disk->job_count++;
    tarn_sim_schedule(disk->sim, &job->event,
                      disk->sim->now + disk->config.latency_min + sim_draw(&disk->random, spread));
}

static size_t submit(struct tarn_blk *blk, struct tarn_blk_req **reqs, size_t n) {
    struct tarn_sim_disk *disk = TARN_CONTAINER_OF(blk, struct tarn_sim_disk, blk);
    size_t taken = 0;
    for (; taken < n && disk->power && disk->job_count < disk->config.requests_max; taken++) {
        struct tarn_blk_req *req = reqs[taken];
        enum tarn_err err = tarn_blk_req_check(blk, req);
        if (err) {
            finish(disk, req, err);
            continue;
        }
        job_start(disk, req);
        if (req->op == TARN_BLK_WRITE && disk->power_loss_in && --disk->power_loss_in == 0)
            tarn_sim_disk_power_loss(disk);
    }
    return taken;
}

static const struct tarn_blk_ops blk_ops = {.submit = submit};

bool tarn_sim_disk_has_done(const struct tarn_sim_disk *disk) {
    return disk->done_first != NULL;
}

bool tarn_sim_disk_poll(struct tarn_sim_disk *disk) {
    struct tarn_blk_req *req = disk->done_first;
    bool any = req != NULL;
    disk->done_first = NULL;
    disk->done_end = &disk->done_first;
    while (req) {
        struct tarn_blk_req *next = req->next;
        req->done(req);
        req = next;
    }
    return any;
}

/* -- power --------------------------------------------------------------------------------------
 */

void tarn_sim_disk_power_loss(struct tarn_sim_disk *disk) {
    disk->counters.power_losses++;
    while (disk->unflushed) {
        struct write *w = disk->unflushed;
        disk->unflushed = w->next;
        store_torn(disk, w->off, tarn_span_of(w->bytes, w->len));
        free(w);
    }
    disk->unflushed_end = &disk->unflushed;
    while (disk->jobs) {
        struct tarn_blk_req *req = disk->jobs->req;
        if (req->op == TARN_BLK_WRITE)
            store_torn(disk, req->block * disk->blk.block_bytes, tarn_bytes_span(req->data));
        job_free(disk->jobs);
    }
    disk->done_first = NULL;
    disk->done_end = &disk->done_first;
    __builtin_memcpy(disk->seen, disk->durable, disk->bytes);
    disk->power = false;
}

/* -- every outcome that a power loss could have -------------------------------------------------
 */

/* The writes that are not durable, the completed ones first, one a call; false: no more. */
struct pending {
    const struct write *write;
    const struct job *job;
};

static struct pending pending_first(const struct tarn_sim_disk *disk) {
    return (struct pending){disk->unflushed, disk->jobs};
}

static bool pending_next(struct pending *p, uint64_t *off, struct tarn_span *data) {
    if (p->write) {
        *off = p->write->off;
        *data = tarn_span_of(p->write->bytes, p->write->len);
        p->write = p->write->next;
        return true;
    }
    while (p->job && p->job->req->op != TARN_BLK_WRITE)
        p->job = p->job->next;
    if (!p->job)
        return false;
    *off = p->job->req->block * p->job->disk->blk.block_bytes;
    *data = tarn_bytes_span(p->job->req->data);
    p->job = p->job->next;
    return true;
}

size_t tarn_sim_disk_units(const struct tarn_sim_disk *disk) {
    struct pending p = pending_first(disk);
    struct tarn_span data;
    uint64_t off;
    size_t units = 0;
    while (pending_next(&p, &off, &data))
        units += (data.len + disk->blk.atomic_bytes - 1) / disk->blk.atomic_bytes;
    return units;
}

void tarn_sim_disk_outcome(const struct tarn_sim_disk *disk, const bool *stored, size_t count,
                           struct tarn_bytes image) {
    struct pending p = pending_first(disk);
    struct tarn_span data;
    uint64_t off;
    size_t i = 0;
    TARN_ASSERT(image.len == disk->bytes);
    __builtin_memcpy(image.ptr, disk->durable, disk->bytes);
    while (pending_next(&p, &off, &data)) {
        for (; data.len; i++) {
            struct tarn_span unit = tarn_span_first(data, disk->blk.atomic_bytes);
            TARN_ASSERT(i < count);
            if (stored[i])
                __builtin_memcpy(image.ptr + off, unit.ptr, unit.len);
            off += unit.len;
            data = tarn_span_after(data, unit.len);
        }
    }
}

void tarn_sim_disk_power_loss_at(struct tarn_sim_disk *disk, uint64_t nth_write) {
    disk->power_loss_in = nth_write;
}

bool tarn_sim_disk_has_power(const struct tarn_sim_disk *disk) {
    return disk->power;
}

void tarn_sim_disk_power_on(struct tarn_sim_disk *disk) {
    disk->power = true;
}

/* -- setting up ---------------------------------------------------------------------------------
 */

struct tarn_sim_disk *tarn_sim_disk_new(struct tarn_sim *sim,
                                        const struct tarn_sim_disk_config *config) {
    struct tarn_sim_disk *disk = sim_new(sizeof *disk);
    disk->sim = sim;
    disk->config = *config;
    if (!disk->config.requests_max)
        disk->config.requests_max = 32;
    uint32_t block_bytes = config->block_bytes ? config->block_bytes : 512;
    disk->blk = (struct tarn_blk){
        .ops = &blk_ops,
        .block_bytes = block_bytes,
        .blocks_per_request_max =
            config->blocks_per_request_max ? config->blocks_per_request_max : 256,
        .atomic_bytes = config->atomic_bytes ? config->atomic_bytes : block_bytes,
        .blocks = config->blocks,
        .features = (config->no_flush ? 0u : TARN_BLK_CAN_FLUSH)
                    | (config->no_discard ? 0u : TARN_BLK_CAN_DISCARD | TARN_BLK_DISCARD_ZEROES)
                    | (config->read_only ? TARN_BLK_READ_ONLY : 0u),
    };
    disk->bytes = (size_t)config->blocks * block_bytes;
    disk->seen = sim_new(disk->bytes);
    disk->durable = sim_new(disk->bytes);
    disk->bad = sim_new((size_t)config->blocks * sizeof *disk->bad);
    disk->filled = sim_new((size_t)config->blocks * sizeof *disk->filled);
    disk->unflushed_end = &disk->unflushed;
    disk->done_end = &disk->done_first;
    disk->power = true;
    tarn_sim_random(sim, &disk->random);
    disk->next = sim->disks;
    sim->disks = disk;
    return disk;
}

struct tarn_blk *tarn_sim_disk_blk(struct tarn_sim_disk *disk) {
    return &disk->blk;
}

const struct tarn_sim_disk_counters *tarn_sim_disk_counters(const struct tarn_sim_disk *disk) {
    return &disk->counters;
}

void tarn_sim_disk_give(struct tarn_sim_disk *disk, struct tarn_sim_actor *actor) {
    disk->actor = actor;
    disk->done_first = NULL;
    disk->done_end = &disk->done_first;
    while (disk->jobs)
        job_free(disk->jobs);
}

void tarn_sim_disk_bad_block(struct tarn_sim_disk *disk, uint64_t block, bool bad) {
    TARN_ASSERT(block < disk->blk.blocks);
    disk->bad[block] = bad;
}

struct tarn_bytes tarn_sim_disk_bytes(struct tarn_sim_disk *disk) {
    return tarn_bytes_of(disk->seen, disk->bytes);
}

void sim_disks_free(struct tarn_sim *sim) {
    while (sim->disks) {
        struct tarn_sim_disk *disk = sim->disks;
        sim->disks = disk->next;
        while (disk->jobs)
            job_free(disk->jobs);
        make_durable(disk, UINT64_MAX);
        free(disk->seen);
        free(disk->durable);
        free(disk->bad);
        free(disk->filled);
        free(disk);
    }
}
