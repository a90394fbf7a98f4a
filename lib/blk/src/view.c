/* SPDX-License-Identifier: ISC */
#include <tarn/blk_view.h>
#include <tarn/pool.h>

#include "internal.h"

#include <tarn/blk_worker.h>

struct slot {
    struct tarn_blk_req req; /* to the device below */
    struct tarn_blk_view *view;
    struct tarn_blk_req *upper;
};

struct tarn_blk_view {
    struct tarn_blk blk;
    struct tarn_blk_view_config config;
    struct tarn_pool slots;
    struct tarn_blk_finished finished; /* what was refused here */
};

static void lower_done(struct tarn_blk_req *req) {
    struct slot *slot = TARN_CONTAINER_OF(req, struct slot, req);
    struct tarn_blk_req *upper = slot->upper;
    upper->result = req->result;
    tarn_pool_put(&slot->view->slots, slot);
    upper->done(upper);
}

/* False: no room below or here. */
static bool pass_on(struct tarn_blk_view *view, struct tarn_blk_req *upper) {
    struct slot *slot = tarn_pool_take(&view->slots);
    if (!slot)
        return false;
    *slot = (struct slot){.req = *upper, .view = view, .upper = upper};
    slot->req.block += view->config.first;
    slot->req.done = lower_done;
    struct tarn_blk_req *req = &slot->req;
    if (view->config.lower->ops->submit(view->config.lower, &req, 1) == 1)
        return true;
    tarn_pool_put(&view->slots, slot);
    return false;
}

static size_t view_submit(struct tarn_blk *blk, struct tarn_blk_req **reqs, size_t n) {
    struct tarn_blk_view *view = TARN_CONTAINER_OF(blk, struct tarn_blk_view, blk);
    size_t taken = 0;
    for (; taken < n; taken++) {
        struct tarn_blk_req *req = TARN_AT_N(reqs, n, taken);
        enum tarn_err err = tarn_blk_req_check(blk, req);
        if (err)
            tarn_blk_finish(&view->finished, req, err);
        else if (!pass_on(view, req))
            break;
    }
    return taken;
}

enum tarn_err tarn_blk_view_new(const struct tarn_blk_view_config *config,
                                struct tarn_blk_view **out) {
    static const struct tarn_blk_ops ops = {.submit = view_submit};
    const struct tarn_blk *lower = config->lower;
    if (config->first > lower->blocks || config->blocks > lower->blocks - config->first)
        return TARN_INVALID;
    struct tarn_blk_view *view = TARN_NEW(config->alloc, struct tarn_blk_view);
    if (!view)
        return TARN_LIMIT;
    view->config = *config;
    view->blk = *lower;
    view->blk.ops = &ops;
    view->blk.blocks = config->blocks;
    if (config->read_only)
        view->blk.features |= TARN_BLK_READ_ONLY;
    tarn_blk_finished_init(&view->finished, config->tasks);
    if (tarn_pool_init(&view->slots, config->alloc, sizeof(struct slot), _Alignof(struct slot),
                       config->requests_max ? config->requests_max : 32)) {
        tarn_alloc_put(config->alloc, view, sizeof *view);
        return TARN_LIMIT;
    }
    *out = view;
    return TARN_OK;
}

struct tarn_blk *tarn_blk_view_blk(struct tarn_blk_view *view) {
    return &view->blk;
}

void tarn_blk_view_delete(struct tarn_blk_view *view) {
    struct tarn_alloc *alloc = view->config.alloc;
    TARN_ASSERT(view->slots.live == 0 && !view->finished.first);
    tarn_pool_fini(&view->slots, alloc);
    tarn_alloc_put(alloc, view, sizeof *view);
}
