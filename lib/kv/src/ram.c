/* SPDX-License-Identifier: ISC */
#include "store.h"

#include <tarn/kv_impl.h>
#include <tarn/kv_ram.h>
#include <tarn/pool.h>

#define BYTES_MIN (128u << 10)
#define RESERVE_BYTES (48u << 10) /* only for removing, which takes memory before it gives some */
#define CLEAN_AT_ONCE 16u         /* rows of waste that a batch removes */
#define SWEEP_AT_ONCE 64u         /* pieces of memory that it gives back */

struct tarn_kv_ram {
    struct store store; /* tables[1] is all there is */
    struct tarn_alloc *alloc;
    struct tarn_clock *clock;
    struct rows rows;
    struct tarn_pool snapshots;
    struct tarn_kv_watch *watches;
    bool waste; /* there may be some to remove */
};

struct snapshot {
    struct store store;
    struct tarn_kv_ram *ram;
};

static struct tarn_kv_ram *ram_of(struct tarn_kv *kv) {
    return TARN_CONTAINER_OF(kv, struct tarn_kv_ram, store.kv);
}
static uint32_t *table_of(struct view *v) {
    return &TARN_AT(v->tables, 1);
}

/* -- changing -------------------------------------------------------------------------------------
 */

static enum tarn_err publish(struct tarn_kv_ram *ram) {
    struct view *v = &ram->store.view;
    enum tarn_err err = rows_merge(&ram->rows, table_of(v), TARN_AT(v->tables, 0), false);
    store_stage_end(v);
    return err;
}

static enum tarn_err clean_rows(struct tarn_kv_ram *ram, uint32_t rows) {
    bool done;
    enum tarn_err err = catalog_clean(&ram->store.view, rows, &done);
    if (err) {
        store_stage_end(&ram->store.view);
        return err;
    }
    err = publish(ram);
    if (!err && done)
        ram->waste = false;
    return err;
}

/* What cannot be done in one piece for want of memory is done one by one. */
static void clean(struct tarn_kv_ram *ram) {
    rows_sweep(&ram->rows, SWEEP_AT_ONCE);
    if (!ram->waste || clean_rows(ram, CLEAN_AT_ONCE) == TARN_OK)
        return;
    for (uint32_t i = 0; i < CLEAN_AT_ONCE; i++)
        if (clean_rows(ram, 1))
            return;
}

static bool only_removes(const struct tarn_kv_change *changes, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (TARN_AT_N(changes, count, i).verb != TARN_KV_REMOVE)
            return false;
    return true;
}

static bool reserve_is_free(struct tarn_kv_ram *ram) {
    struct slab *slab = &ram->rows.slab;
    if (slab_bytes(slab) - slab_live_bytes(slab) < RESERVE_BYTES)
        rows_sweep(&ram->rows, UINT32_MAX);
    return slab_bytes(slab) - slab_live_bytes(slab) >= RESERVE_BYTES;
}

static enum tarn_err commit(struct tarn_kv_ram *ram, bool removes) {
    struct view *v = &ram->store.view;
    if (!removes && !reserve_is_free(ram)) {
        store_stage_end(v);
        return TARN_LIMIT;
    }
    return publish(ram);
}

static enum tarn_err ram_batch(struct tarn_kv *kv, const struct tarn_kv_change *changes,
                               size_t count, size_t *failed) {
    struct tarn_kv_ram *ram = ram_of(kv);
    struct view *v = &ram->store.view;
    uint64_t root = v->root;
    int64_t now = (int64_t)(tarn_clock_wall_ns(ram->clock) / 1000000000u);
    clean(ram);
    enum tarn_err err = store_stage(v, changes, count, now, failed);
    if (err)
        return err;
    err = commit(ram, only_removes(changes, count));
    if (err) {
        v->root = root;
        *failed = count - 1;
        return err;
    }
    ram->waste = true;
    tarn_kv_watches_notify(ram->watches, changes, count);
    return TARN_OK;
}

static void ram_watch(struct tarn_kv *kv, struct tarn_kv_watch *watch) {
    tarn_kv_watches_add(&ram_of(kv)->watches, watch);
}
static void ram_unwatch(struct tarn_kv *kv, struct tarn_kv_watch *watch) {
    tarn_kv_watches_remove(&ram_of(kv)->watches, watch);
}

/* -- snapshots ------------------------------------------------------------------------------------
 */

static void snapshot_release(struct tarn_kv *kv) {
    struct snapshot *s = TARN_CONTAINER_OF(kv, struct snapshot, store.kv);
    rows_drop(&s->ram->rows, *table_of(&s->store.view));
    tarn_pool_put(&s->ram->snapshots, s);
}

static const struct tarn_kv_ops snapshot_ops = {STORE_READING, .release = snapshot_release};

static enum tarn_err ram_snapshot(struct tarn_kv *kv, struct tarn_kv **out) {
    struct tarn_kv_ram *ram = ram_of(kv);
    struct snapshot *s = tarn_pool_take(&ram->snapshots);
    if (!s)
        return TARN_LIMIT;
    *s = (struct snapshot){.store = ram->store, .ram = ram};
    s->store.kv.ops = &snapshot_ops;
    rows_hold(&ram->rows, *table_of(&s->store.view));
    *out = &s->store.kv;
    return TARN_OK;
}

/* -- setting up -----------------------------------------------------------------------------------
 */

static const struct tarn_kv_ops ram_ops = {
    STORE_READING,      .batch = ram_batch,     .snapshot = ram_snapshot,
    .watch = ram_watch, .unwatch = ram_unwatch,
};

enum tarn_err tarn_kv_ram_new(const struct tarn_kv_ram_config *config, struct tarn_kv_ram **out) {
    struct tarn_alloc *alloc = config->alloc;
    if (config->bytes < BYTES_MIN || !config->snapshots_max)
        return TARN_INVALID;
    struct tarn_kv_ram *ram = TARN_NEW(alloc, struct tarn_kv_ram);
    if (!ram)
        return TARN_LIMIT;
    *ram = (struct tarn_kv_ram){.alloc = alloc, .clock = config->clock};
    ram->store.kv.ops = &ram_ops;
    ram->store.view =
        (struct view){.rows = &ram->rows, .next_id = CATALOG_FIRST_FREE, .root = CATALOG_ROOT};
    enum tarn_err err =
        rows_init(&ram->rows, alloc, config->bytes, tarn_random_u64(config->random));
    if (!err) {
        err = tarn_pool_init(&ram->snapshots, alloc, sizeof(struct snapshot),
                             _Alignof(struct snapshot), config->snapshots_max);
        if (!err) {
            *out = ram;
            return TARN_OK;
        }
        rows_fini(&ram->rows);
    }
    tarn_alloc_put(alloc, ram, sizeof *ram);
    return err;
}

void tarn_kv_ram_delete(struct tarn_kv_ram *ram) {
    struct tarn_alloc *alloc = ram->alloc;
    TARN_ASSERT(ram->snapshots.live == 0);
    tarn_pool_fini(&ram->snapshots, alloc);
    rows_fini(&ram->rows);
    tarn_alloc_put(alloc, ram, sizeof *ram);
}

struct tarn_kv *tarn_kv_ram_kv(struct tarn_kv_ram *ram) {
    return &ram->store.kv;
}

size_t tarn_kv_ram_used(const struct tarn_kv_ram *ram) {
    return slab_live_bytes(&ram->rows.slab);
}
