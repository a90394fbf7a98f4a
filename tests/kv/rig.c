/* SPDX-License-Identifier: ISC */
#include "rig.h"

#include <stdlib.h>
#include <string.h>
#include <tarn/blk_wait.h>

static size_t submit(struct tarn_blk *blk, struct tarn_blk_req **reqs, size_t n) {
    struct rig *r = TARN_CONTAINER_OF(blk, struct rig, blk);
    for (size_t i = 0; i < n; i++) {
        reqs[i]->next = NULL;
        *r->last = reqs[i];
        r->last = &reqs[i]->next;
    }
    return n;
}

static void remember(struct rig *r, uint64_t block, const uint8_t *bytes, size_t len) {
    if (!r->record)
        return;
    if (r->trace_len == r->trace_cap) {
        r->trace_cap = r->trace_cap ? 2 * r->trace_cap : 64;
        r->trace = realloc(r->trace, r->trace_cap * sizeof *r->trace);
    }
    struct rig_write w = {block, len, malloc(len + 1), r->now};
    if (len)
        memcpy(w.bytes, bytes, len);
    r->trace[r->trace_len++] = w;
}

void rig_store(struct rig *r, uint8_t *image, size_t from, size_t to, bool torn) {
    for (size_t i = from; i < to; i++) {
        const struct rig_write *w = &r->trace[i];
        for (size_t off = 0; off < w->len; off += RIG_BLOCK)
            if (!torn || tarn_random_below(&r->random.random, 2))
                memcpy(image + w->block * RIG_BLOCK + off, w->bytes + off, RIG_BLOCK);
    }
}

static enum tarn_err serve(struct rig *r, struct tarn_blk_req *req) {
    uint64_t off = req->block * r->blk.block_bytes;
    enum tarn_err err = tarn_blk_req_check(&r->blk, req);
    if (err)
        return err;
    if (r->fail_after && r->writes >= r->fail_after)
        return TARN_IO;
    if (req->op == TARN_BLK_READ) {
        memcpy(req->data.ptr, r->bytes + off, req->data.len);
    } else if (req->op == TARN_BLK_WRITE) {
        r->writes++;
        if (r->write_max)
            r->now += tarn_random_below(&r->random.random, (uint32_t)r->write_max);
        memcpy(r->bytes + off, req->data.ptr, req->data.len);
        remember(r, req->block, req->data.ptr, req->data.len);
    } else if (req->op == TARN_BLK_FLUSH) {
        remember(r, UINT64_MAX, NULL, 0);
    }
    return TARN_OK;
}

static enum tarn_err waiter_wait(struct tarn_waiter *waiter, tarn_time deadline) {
    struct rig *r = TARN_CONTAINER_OF(waiter, struct rig, waiter);
    struct tarn_blk_req *req = r->first;
    r->first = NULL;
    r->last = &r->first;
    if (!req) {
        if (deadline == TARN_NEVER)
            abort();
        r->now = deadline;
        return TARN_AGAIN;
    }
    while (req) {
        struct tarn_blk_req *next = req->next;
        req->result = serve(r, req);
        req->done(req);
        req = next;
    }
    return TARN_OK;
}
static void waiter_wake(struct tarn_waiter *waiter) {
    (void)waiter;
}
static tarn_time waiter_now(struct tarn_waiter *waiter) {
    return TARN_CONTAINER_OF(waiter, struct rig, waiter)->now;
}
static struct tarn_waiter *waiter_of(void *user) {
    return &((struct rig *)user)->waiter;
}

static void *get(struct tarn_alloc *a, size_t bytes, size_t align) {
    struct rig *r = TARN_CONTAINER_OF(a, struct rig, alloc);
    (void)align;
    if (++r->allocations == r->fail_at)
        return NULL;
    r->live++;
    r->live_bytes += bytes;
    return calloc(1, bytes);
}
static void put(struct tarn_alloc *a, void *ptr, size_t bytes) {
    struct rig *r = TARN_CONTAINER_OF(a, struct rig, alloc);
    r->live--;
    r->live_bytes -= bytes;
    free(ptr);
}

static uint64_t wall(struct tarn_clock *c) {
    (void)c;
    return RIG_NOW * 1000000000ull;
}

void rig_init(struct rig *r, size_t bytes) {
    static const struct tarn_blk_ops blk_ops = {submit};
    static const struct tarn_waiter_ops waiter_ops = {waiter_wait, waiter_wake, waiter_now};
    static const struct tarn_alloc_ops alloc_ops = {get, put};
    static const struct tarn_clock_ops clock_ops = {.wall_ns = wall};
    *r = (struct rig){
        .blk = {.ops = &blk_ops,
                .block_bytes = RIG_BLOCK,
                .blocks_per_request_max = 256,
                .atomic_bytes = RIG_BLOCK,
                .blocks = bytes / RIG_BLOCK,
                .features = TARN_BLK_CAN_FLUSH},
        .waiter = {&waiter_ops},
        .alloc = {&alloc_ops},
        .clock = {&clock_ops},
        .bytes = calloc(1, bytes),
        .len = bytes,
        .last = &r->first,
        .now = TARN_SEC(1000),
    };
    tarn_random_seeded_init(&r->random, 1);
    r->config = (struct tarn_kv_tree_config){.alloc = &r->alloc,
                                             .blk = &r->blk,
                                             .waiter = waiter_of,
                                             .user = r,
                                             .clock = &r->clock,
                                             .random = &r->random.random,
                                             .table_bytes = 256 << 10,
                                             .cache_bytes = 64 << 10,
                                             .snapshots_max = 2};
}

void rig_done(struct rig *r) {
    if (r->live)
        abort();
    for (size_t i = 0; i < r->trace_len; i++)
        free(r->trace[i].bytes);
    free(r->trace);
    free(r->bytes);
}

struct tarn_kv_tree *rig_open(struct rig *r) {
    struct tarn_kv_tree *tree;
    return tarn_kv_tree_open(&r->config, &tree) == TARN_OK ? tree : NULL;
}

struct tarn_kv_tree *rig_format(struct rig *r, uint64_t log_bytes) {
    return tarn_kv_tree_format(&r->config, log_bytes) == TARN_OK ? rig_open(r) : NULL;
}

struct tarn_kv_fat_config rig_fat(struct rig *r) {
    return (struct tarn_kv_fat_config){
        .alloc = &r->alloc, .blk = &r->blk, .waiter = waiter_of, .user = r, .clock = &r->clock};
}

struct tarn_kv_tar_rw_config rig_tar(struct rig *r) {
    return (struct tarn_kv_tar_rw_config){.alloc = &r->alloc,
                                          .blk = &r->blk,
                                          .waiter = waiter_of,
                                          .user = r,
                                          .clock = &r->clock,
                                          .values_max = 200,
                                          .names_bytes = 32 << 10};
}
