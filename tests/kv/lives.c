/* SPDX-License-Identifier: ISC */
/* One life of the store after another, on a device that loses its power at random, against the
 * model. What was written and need not be stored yet is stored or not: any subset, by sector. On a
 * device that can flush that is what was written since the last flush; on one that cannot, all of
 * the last SETTLE, through the ends of programs too. TARN_KV_LONG=N in the environment makes the
 * runs N times as long, TARN_KV_SEED another one. */
#include "model.h"
#include "rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IMAGE = 1 << 20 };
#define SETTLE TARN_SEC(10) /* as the store has it */

static struct model model;
static tarn_time answered_at[MODEL_STATES]; /* batch n, modulo their count */
static struct rig rig;
static struct tarn_kv_tree *tree;
static struct tarn_kv *kv;
static uint8_t stored[IMAGE]; /* below the trace: what is stored for certain */

static struct { uint64_t losses, ends, taken_back, trace_max; } seen;

static uint32_t below(uint32_t n) {
    return tarn_random_below(&rig.random.random, n);
}

static unsigned from_environment(const char *name) {
    const char *text = getenv(name);
    return text ? (unsigned)atoi(text) : 0;
}

/* -- the device -----------------------------------------------------------------------------------
 */

/* How many writes at the start of the trace are stored, whatever happens. */
static size_t certain(bool can_flush) {
    size_t n = can_flush ? rig.trace_len : 0;
    while (can_flush && n > 0 && rig.trace[n - 1].block != UINT64_MAX)
        n--;
    while (!can_flush && n < rig.trace_len && rig.trace[n].at + SETTLE <= rig.now)
        n++;
    return n;
}

/* The writes that are certain leave the trace. */
static void settle_trace(bool can_flush) {
    size_t n = certain(can_flush);
    rig_store(&rig, stored, 0, n, false);
    for (size_t i = 0; i < n; i++)
        free(rig.trace[i].bytes);
    rig.trace_len -= n;
    memmove(rig.trace, rig.trace + n, rig.trace_len * sizeof *rig.trace);
    if (rig.trace_len > seen.trace_max)
        seen.trace_max = rig.trace_len;
}

/* Of the others each sector, or each write, is stored with some odds: none, few, half, most, all.
 */
static void lose_power(bool can_flush) {
    uint32_t odds = below(5) * 4, whole = below(2);
    settle_trace(can_flush);
    memcpy(rig.bytes, stored, IMAGE);
    for (size_t i = 0; i < rig.trace_len; i++) {
        const struct rig_write *w = &rig.trace[i];
        bool all = below(16) < odds;
        for (size_t off = 0; off < w->len; off += RIG_BLOCK)
            if (whole ? all : below(16) < odds)
                memcpy(rig.bytes + w->block * RIG_BLOCK + off, w->bytes + off, RIG_BLOCK);
        free(w->bytes);
    }
    rig.trace_len = 0;
    memcpy(stored, rig.bytes, IMAGE);
    seen.losses++;
}

/* -- lives ----------------------------------------------------------------------------------------
 */

/* Batches until the device fails at some write. */
static void live(uint32_t writes_max) {
    enum tarn_err err = TARN_OK;
    rig.fail_after = rig.writes + 1 + below(writes_max);
    while (!err) {
        err = model_batch(&model, kv, &rig.random.random);
        model.batches += !err;
        answered_at[model.batches % MODEL_STATES] = rig.now;
        if (!err && below(8) == 0)
            err = tarn_kv_tree_settle(tree);
        if (err == TARN_LIMIT) { /* pages that wait for their time are not free */
            err = TARN_OK;
            rig.now += SETTLE;
        }
        if (below(64) == 0)
            rig.now += below((uint32_t)TARN_SEC(2));
    }
    cr_assert_eq(err, TARN_IO, "%s after %zu", tarn_err_name(err), model.batches);
    tarn_kv_tree_close(tree);
    rig.fail_after = 0;
}

/* The oldest state that may be found after what happened at `then`. */
static size_t oldest(bool can_flush, bool lost, tarn_time then) {
    size_t n = model.batches;
    while (!can_flush && lost && n > 0 && answered_at[n % MODEL_STATES] + SETTLE > then)
        n--;
    return n;
}

static void lives(unsigned count, bool can_flush, uint32_t seed) {
    struct tarn_kv_tree_report report;
    size_t n;
    rig_init(&rig, IMAGE);
    tarn_random_seeded_init(&rig.random, seed);
    rig.write_max = can_flush ? 0 : TARN_MS(1) << below(6);
    rig.blk.features = can_flush ? TARN_BLK_CAN_FLUSH : 0;
    tree = rig_format(&rig, 64 << 10);
    cr_assert_not_null(tree);
    kv = tarn_kv_tree_kv(tree);
    memcpy(stored, rig.bytes, IMAGE);
    rig.record = true;
    model.batches = 0;
    *model_state(&model, 0) = (struct model_state){0};
    for (unsigned life = 0; life < count; life++) {
        live(below(8) ? 120 : 2000);
        bool lost = below(4) > 0;
        if (lost)
            lose_power(can_flush);
        else
            settle_trace(can_flush);
        seen.ends += !lost;
        size_t least = oldest(can_flush, lost, rig.now);
        enum tarn_err err = tarn_kv_tree_open(&rig.config, &tree);
        cr_assert_eq(err, TARN_OK, "seed %u, life %u: %s", seed, life, tarn_err_name(err));
        kv = tarn_kv_tree_kv(tree);
        cr_assert_eq(model_compare(&model, kv, false, &n), TARN_OK);
        cr_assert(n >= least, "seed %u, life %u: %zu, not %zu", seed, life, n, least);
        seen.taken_back += n < model.batches;
        model.batches = n;
        cr_assert_eq(tarn_kv_tree_check(tree, &report), TARN_OK);
        cr_assert_eq(report.damaged, 0, "seed %u, life %u", seed, life);
    }
    tarn_kv_tree_close(tree);
    rig_done(&rig);
}

static void many(bool can_flush, unsigned seeds, unsigned count) {
    unsigned first = from_environment("TARN_KV_SEED");
    seeds *= 1 + from_environment("TARN_KV_LONG");
    for (uint32_t seed = first; seed < first + seeds; seed++)
        lives(count, can_flush, seed);
    cr_assert_gt(seen.losses, seeds);
    cr_assert(can_flush || seen.taken_back, "the device takes nothing back");
    if (seeds > 100)
        fprintf(stderr,
                "%s flushes: %llu changes, %llu losses of power, %llu ends of the program, %llu "
                "times batches taken back, up to %llu writes not yet stored\n",
                can_flush ? "with" : "without", (unsigned long long)model.changes,
                (unsigned long long)seen.losses, (unsigned long long)seen.ends,
                (unsigned long long)seen.taken_back, (unsigned long long)seen.trace_max);
}

/* A base that had been given up already was taken for one that is kept, and what the real one
 * needed was written over. */
Test(lives, seeds_that_failed_once, .timeout = 60) {
    lives(20, false, 471);
}

Test(lives, on_a_device_that_can_flush, .timeout = 36000) {
    many(true, 2, 75);
}

Test(lives, on_a_device_that_cannot_flush, .timeout = 36000) {
    many(false, 8, 20);
}
