/* SPDX-License-Identifier: ISC */
#include "crash.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 512, ALL_UNITS = 6, SAMPLES = 40, VERSIONS = 64, PENDING_MAX = 4096 };

/* A device in front of the disk, which looks at it before each request. */
struct watch {
    struct tarn_blk blk;
    struct tarn_blk *lower;
};

/* What each block may be: versions[0] since the last flush, the others written since. Version 0 is
 * zeroes. */
struct model {
    uint32_t versions[64][VERSIONS];
    uint32_t count[64];
    uint32_t flushing[64]; /* how many of them a flush in progress covers */
};

static const struct crash_layer *layer;
static struct blk_rig rig;
static struct tarn_sim_disk *disk;
static struct watch watch;
static struct model model;
static struct crash_report report;
static struct tarn_random_seeded dice;
static bool watching;

static void fill(uint8_t *block, uint64_t at, uint32_t version) {
    for (size_t i = 0; i < BLOCK; i += 8) {
        uint64_t word = version ? at << 32 | version : 0;
        memcpy(block + i, &word, 8);
    }
}

static bool is_allowed(uint64_t at, const uint8_t *block) {
    uint8_t want[BLOCK];
    for (uint32_t i = 0; i < model.count[at]; i++) {
        fill(want, at, model.versions[at][i]);
        if (memcmp(want, block, BLOCK) == 0)
            return true;
    }
    return false;
}

static uint64_t place_of(uint64_t at) {
    return at + at / 8 * layer->spread;
}

/* Opens what a power loss left, reads everything. */
static void try_image(struct tarn_bytes image, const char *why) {
    struct blk_rig r;
    uint8_t block[BLOCK];
    blk_rig_init(&r, 1);
    struct tarn_sim_disk *d =
        blk_rig_disk(&r, (struct tarn_sim_disk_config){.blocks = layer->disk_bytes / BLOCK});
    memcpy(tarn_sim_disk_bytes(d).ptr, image.ptr, image.len);
    struct tarn_blk *blk = layer->open(&r, tarn_sim_disk_blk(d), false);
    cr_assert(blk, "moment %u, %s: it cannot be opened", report.moments, why);
    for (uint64_t at = 0; at < layer->blocks; at++) {
        enum tarn_err err = tarn_blk_read(blk, r.waiter, place_of(at), TARN_BYTES_ARRAY(block));
        cr_assert_eq(err, TARN_OK, "moment %u, %s: block %u: %s", report.moments, why, (unsigned)at,
                     tarn_err_name(err));
        cr_assert(is_allowed(at, block), "moment %u, %s: block %u has %02x%02x%02x%02x %02x%02x",
                  report.moments, why, (unsigned)at, block[3], block[2], block[1], block[0],
                  block[7], block[4]);
    }
    cr_assert(layer->check(&r), "moment %u, %s: it does not agree with itself", report.moments,
              why);
    blk_rig_fini(&r);
    report.outcomes++;
}

static void try_outcomes(void) {
    static bool stored[PENDING_MAX];
    struct tarn_bytes image = tarn_bytes_of(malloc(layer->disk_bytes), layer->disk_bytes);
    size_t units = tarn_sim_disk_units(disk);
    bool all = units <= ALL_UNITS;
    cr_assert_leq(units, PENDING_MAX);
    report.moments++;
    for (unsigned n = 0; n < (all ? 1u << units : SAMPLES); n++) {
        /* In the samples: all, none, all but one, just one, and half of them. */
        size_t odd = units ? tarn_random_below(&dice.random, (uint32_t)units) : 0;
        for (size_t i = 0; i < units; i++) {
            if (all)
                stored[i] = n >> i & 1;
            else if (n < 2)
                stored[i] = n;
            else if (n < SAMPLES / 2)
                stored[i] = (i == odd) == (n % 2);
            else
                stored[i] = tarn_random_below(&dice.random, 2);
        }
        tarn_sim_disk_outcome(disk, stored, units, image);
        try_image(image, all ? "a subset" : "a sample");
    }
    free(image.ptr);
}

static size_t watch_submit(struct tarn_blk *blk, struct tarn_blk_req **reqs, size_t n) {
    (void)blk;
    for (size_t i = 0; i < n && watching; i++) {
        if (reqs[i]->op != TARN_BLK_READ) {
            try_outcomes();
            break;
        }
    }
    return watch.lower->ops->submit(watch.lower, reqs, n);
}

/* -- the workload ---------------------------------------------------------------------------------
 */

static void add_version(uint64_t at, uint32_t version) {
    cr_assert_lt(model.count[at], VERSIONS);
    model.versions[at][model.count[at]++] = version;
}

static void flushed(void) {
    for (uint64_t at = 0; at < layer->blocks; at++) {
        model.versions[at][0] = model.versions[at][model.count[at] - 1];
        model.count[at] = 1;
    }
}

static uint32_t latest(uint64_t at) {
    return model.versions[at][model.count[at] - 1];
}

static void work(struct tarn_blk *blk) {
    static uint8_t data[16 * BLOCK];
    uint8_t want[BLOCK];
    for (unsigned op = 1; op <= layer->ops; op++) {
        uint64_t at = tarn_random_below(&dice.random, layer->blocks);
        uint64_t n = 1 + tarn_random_below(&dice.random, 1 + tarn_random_below(&dice.random, 8));
        n = TARN_MIN(n, layer->spread ? 8 - at % 8 : layer->blocks - at);
        uint64_t place = place_of(at);
        unsigned what = tarn_random_below(&dice.random, 10);
        struct tarn_bytes range = tarn_bytes_of(data, (size_t)n * BLOCK);
        bool crowded = false;
        for (uint64_t i = 0; i < layer->blocks; i++)
            crowded |= model.count[i] >= VERSIONS - 2;
        if (layer->upkeep && op % 10 == 0)
            cr_assert_eq(layer->upkeep(&rig, op), TARN_OK);
        if (what < 2 || crowded) {
            cr_assert_eq(tarn_blk_flush(blk, rig.waiter), TARN_OK);
            flushed();
        } else if (what == 2 && blk->features & TARN_BLK_DISCARD_ZEROES) {
            for (uint64_t i = 0; i < n; i++)
                add_version(at + i, 0);
            cr_assert_eq(tarn_blk_discard(blk, rig.waiter, place, n), TARN_OK);
        } else if (what == 3) {
            cr_assert_eq(tarn_blk_read(blk, rig.waiter, place, range), TARN_OK);
            for (uint64_t i = 0; i < n; i++) {
                fill(want, at + i, latest(at + i));
                cr_assert_arr_eq(want, data + i * BLOCK, BLOCK);
            }
        } else {
            for (uint64_t i = 0; i < n; i++) {
                fill(data + i * BLOCK, at + i, op);
                add_version(at + i, op);
            }
            cr_assert_eq(tarn_blk_write(blk, rig.waiter, place, tarn_bytes_span(range)), TARN_OK);
        }
    }
}

struct crash_report crash_run(const struct crash_layer *l, uint64_t seed) {
    static const struct tarn_blk_ops ops = {.submit = watch_submit};
    layer = l;
    report = (struct crash_report){0};
    memset(&model, 0, sizeof model);
    for (uint64_t at = 0; at < layer->blocks; at++)
        model.count[at] = 1;
    tarn_random_seeded_init(&dice, seed);
    blk_rig_init(&rig, seed);
    disk = blk_rig_disk(&rig, (struct tarn_sim_disk_config){.blocks = layer->disk_bytes / BLOCK,
                                                            .latency_max = TARN_MS(1),
                                                            .no_discard = true});
    watch = (struct watch){.blk = *tarn_sim_disk_blk(disk), .lower = tarn_sim_disk_blk(disk)};
    watch.blk.ops = &ops;
    watching = false;
    struct tarn_blk *blk = layer->open(&rig, &watch.blk, true);
    cr_assert(blk);
    cr_assert_eq(tarn_blk_flush(watch.lower, rig.waiter), TARN_OK);
    watching = true;
    work(blk);
    watching = false;
    blk_rig_fini(&rig);
    return report;
}
