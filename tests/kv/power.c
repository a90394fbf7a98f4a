/* SPDX-License-Identifier: ISC */
/* Loss of power at every write, torn and reordered; damage to every byte. TARN_KV_LONG in the
 * environment flips every byte instead of some. Loss of power at random: lives.c. */
#include "model.h"
#include "rig.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { TRACED_MAX = 4096, IMAGE = 1 << 20 };

static struct model model;
static size_t acked_at[TRACED_MAX]; /* the trace's length when batch n was answered */

static struct rig rig;
static struct tarn_kv_tree *tree;
static struct tarn_kv *kv;

static unsigned longer(void) {
    const char *text = getenv("TARN_KV_LONG");
    return text ? (unsigned)atoi(text) : 0;
}

static bool open_again(void) {
    enum tarn_err err = tarn_kv_tree_open(&rig.config, &tree);
    if (!err)
        kv = tarn_kv_tree_kv(tree);
    return err == TARN_OK;
}

/* -- losing power ---------------------------------------------------------------------------------
 */

/* The sectors written between two places of the trace. */
struct sector {
    uint64_t block;
    const uint8_t *bytes;
};
static size_t sectors_of(size_t from, size_t to, struct sector *out, size_t max) {
    size_t n = 0;
    for (size_t i = from; i < to; i++) {
        const struct rig_write *w = &rig.trace[i];
        for (size_t off = 0; off < w->len && n < max; off += RIG_BLOCK)
            out[n++] = (struct sector){w->block + off / RIG_BLOCK, w->bytes + off};
    }
    return n;
}
static void sector_store(uint8_t *image, const struct sector *s) {
    memcpy(image + s->block * RIG_BLOCK, s->bytes, RIG_BLOCK);
}

/* After a loss with `acked` batches answered, one of them or of the one after it. */
static void recovers(size_t acked, size_t started) {
    size_t n;
    cr_assert(open_again(), "%zu batches answered", acked);
    cr_assert_eq(model_compare(&model, kv, false, &n), TARN_OK);
    cr_assert(n >= acked && n <= started, "%zu, not in [%zu, %zu]", n, acked, started);
    tarn_kv_tree_close(tree);
}

enum { SECTORS_MAX = 1024 };

/* Every torn and reordered subset of the sectors that are not durable where they are few; else
 * none, all, and those that random draws say. */
static void cut(const uint8_t *durable, size_t from, size_t to, size_t acked, size_t started) {
    static struct sector pending[SECTORS_MAX];
    size_t n = sectors_of(from, to, pending, SECTORS_MAX);
    unsigned cases = n <= 4 ? 1u << n : 10;
    for (unsigned c = 0; c < cases; c++) {
        memcpy(rig.bytes, durable, IMAGE);
        for (size_t i = 0; i < n; i++) {
            bool stored = n <= 4   ? c >> i & 1
                          : c == 0 ? false
                          : c == 1 ? true
                          : c == 2 ? i + 1 < n
                          : c == 3 ? i > 0
                                   : tarn_random_below(&rig.random.random, 2);
            if (stored)
                sector_store(rig.bytes, &pending[i]);
        }
        recovers(acked, started);
    }
}

static void workload(unsigned count) {
    while (model.batches < count) {
        cr_assert_eq(model_batch(&model, kv, &rig.random.random), TARN_OK);
        acked_at[++model.batches] = rig.trace_len;
        if (model.batches % 9 == 0)
            cr_assert_eq(tarn_kv_tree_settle(tree), TARN_OK);
    }
}

static void start(size_t bytes) {
    model.batches = 0;
    *model_state(&model, 0) = (struct model_state){0};
    rig_init(&rig, bytes);
    tree = rig_format(&rig, 64 << 10);
    cr_assert_not_null(tree);
    kv = tarn_kv_tree_kv(tree);
}

Test(power, is_lost_at_every_write_of_a_workload, .timeout = 120) {
    static uint8_t durable[IMAGE];
    start(IMAGE);
    memcpy(durable, rig.bytes, IMAGE);
    rig.record = true;
    workload(80);
    tarn_kv_tree_close(tree);
    rig.record = false;
    size_t flushed = 0, acked = 0, cuts = 0;
    for (size_t i = 0; i <= rig.trace_len; i++) {
        while (acked < model.batches && acked_at[acked + 1] <= i)
            acked++;
        cut(durable, flushed, i, acked, acked + 1 <= model.batches ? acked + 1 : model.batches);
        cuts++;
        if (i < rig.trace_len && rig.trace[i].block == UINT64_MAX) {
            static struct sector done[SECTORS_MAX];
            size_t n = sectors_of(flushed, i, done, SECTORS_MAX);
            cr_assert_lt(n, SECTORS_MAX);
            for (size_t k = 0; k < n; k++)
                sector_store(durable, &done[k]);
            flushed = i + 1;
        }
    }
    cr_assert_gt(cuts, 150, "%zu", cuts);
    rig_done(&rig);
}

/* -- damage ---------------------------------------------------------------------------------------
 */

/* Each byte changed in turn: the store is refused, or every value is the right one or refused. Only
 * damage to the newest record of the log cannot be told from a loss of power while it was written:
 * then what it said is missing, whole. */
static void damage(size_t stride) {
    static uint8_t image[IMAGE];
    size_t refused = 0, used = 0;
    start(IMAGE);
    workload(30);
    tarn_kv_tree_close(tree);
    memcpy(image, rig.bytes, IMAGE);
    for (size_t at = 0; at < IMAGE; at += stride) {
        size_t n;
        /* Pages that never were written are not read. */
        if (at % 4096 < stride && !memcmp(image + at / 4096 * 4096, image + IMAGE - 4096, 4096)) {
            at = at / 4096 * 4096 + 4096 - stride + at % stride;
            continue;
        }
        rig.bytes[at] ^= (uint8_t)(1u << at % 8);
        used++;
        if (!open_again()) {
            refused++;
        } else {
            if (model_compare(&model, kv, true, &n) == TARN_OK)
                cr_assert(n == model.batches || n == model.batches - 1, "byte %zu: %zu", at, n);
            tarn_kv_tree_close(tree);
        }
        memcpy(rig.bytes, image, IMAGE);
    }
    cr_assert_gt(used, 500);
    cr_assert_gt(refused, used / 100, "%zu of %zu", refused, used);
    cr_assert_lt(refused, used);
    rig_done(&rig);
}

Test(power, damage_to_any_byte_is_found, .timeout = 3600) {
    damage(longer() ? 1 : 61);
}

/* The newest root gone: the one before and the log give the same. */
Test(power, the_newest_root_can_be_lost) {
    struct tarn_kv_tree_stat stat;
    size_t n;
    start(IMAGE);
    workload(30);
    tarn_kv_tree_stat(tree, &stat);
    tarn_kv_tree_close(tree);
    memset(rig.bytes + stat.generation % 8 * 4096, 0xff, 512);
    cr_assert(open_again());
    cr_assert_eq(model_compare(&model, kv, false, &n), TARN_OK);
    cr_assert_eq(n, model.batches);
    tarn_kv_tree_close(tree);
    rig_done(&rig);
}

/* A write that never happened, or went to another page, is found by whoever refers to it: then an
 * older root has it all, or what is missing is refused. */
Test(power, lost_writes_are_found) {
    static uint8_t older[IMAGE];
    struct tarn_kv_tree_stat stat;
    size_t n, found = 0;
    start(IMAGE);
    workload(9 * 3);
    memcpy(older, rig.bytes, IMAGE);
    workload(9 * 6);
    tarn_kv_tree_stat(tree, &stat);
    uint64_t newest = stat.generation;
    tarn_kv_tree_close(tree);
    for (size_t page = 8 + 16; page < IMAGE / 4096; page++) {
        uint8_t kept[4096];
        memcpy(kept, rig.bytes + page * 4096, 4096);
        memcpy(rig.bytes + page * 4096, older + page * 4096, 4096);
        if (!open_again()) {
            found++;
        } else {
            if (model_compare(&model, kv, true, &n) == TARN_OK)
                cr_assert_eq(n, model.batches);
            tarn_kv_tree_stat(tree, &stat);
            found += stat.generation != newest;
            tarn_kv_tree_close(tree);
        }
        memcpy(rig.bytes + page * 4096, kept, 4096);
    }
    cr_assert_gt(found, 1);
    rig_done(&rig);
}
