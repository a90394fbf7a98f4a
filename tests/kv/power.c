/* SPDX-License-Identifier: ISC */
/* Loss of power at every write, torn and reordered; damage to every byte. TARN_KV_LONG=N in the
 * environment makes the random runs N times as long, and flips every byte instead of some. */
#include "rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS = 24, STATES_MAX = 4096, IMAGE = 1 << 20, VALUE_MAX = 1400 };

/* A state of the store: of each key a value made from a seed, or none. State n is that after n
 * batches; every batch also says n in a key of its own. */
struct state {
    uint32_t seed[KEYS]; /* 0: no value */
};
static struct state states[STATES_MAX];
static size_t acked_at[STATES_MAX]; /* the trace's length when batch n was answered */
static size_t batches;

static struct rig rig;
static struct tarn_kv_tree *tree;
static struct tarn_kv *kv;

static unsigned longer(void) {
    const char *text = getenv("TARN_KV_LONG");
    return text ? (unsigned)atoi(text) : 0;
}

static void key_of(unsigned i, char *out) {
    sprintf(out, "d%u/k%u", i % 3, i);
}
static size_t value_of(uint32_t seed, uint8_t *out) {
    size_t len = seed % 5 == 0 ? seed % VALUE_MAX : seed % 300;
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(seed + i * 13 + (i >> 7));
    return len;
}

/* One batch on top of the newest state. */
static enum tarn_err batch_next(void) {
    static uint8_t values[8][VALUE_MAX];
    char keys[8][16], number[16];
    struct tarn_kv_change changes[9];
    struct state *s = &states[batches + 1];
    size_t count = 1 + tarn_random_below(&rig.random.random, 5), failed;
    *s = states[batches];
    for (size_t i = 0; i < count; i++) {
        unsigned k = tarn_random_below(&rig.random.random, KEYS);
        key_of(k, keys[i]);
        changes[i] = (struct tarn_kv_change){.verb = TARN_KV_REMOVE, .key = tarn_span_str(keys[i])};
        if (s->seed[k] && tarn_random_below(&rig.random.random, 4) == 0) {
            s->seed[k] = 0;
            continue;
        }
        s->seed[k] = tarn_random_u32(&rig.random.random) | 1;
        changes[i].verb = TARN_KV_SET;
        changes[i].value = tarn_span_of(values[i], value_of(s->seed[k], values[i]));
    }
    sprintf(number, "%zu", batches + 1);
    changes[count] = (struct tarn_kv_change){
        .verb = TARN_KV_SET, .key = TARN_SPAN_LIT("batch"), .value = tarn_span_str(number)};
    return kv->ops->batch(kv, changes, count + 1, &failed);
}

/* The number that the store says it has seen, or an error; it must be all of that state. `damaged`:
 * values may also be refused. */
static enum tarn_err state_of(size_t *n, bool damaged) {
    static uint8_t want[VALUE_MAX], got[VALUE_MAX + 1];
    char number[16] = "", key[16];
    size_t len;
    enum tarn_err err = kv->ops->get_partial(kv, TARN_SPAN_LIT("batch"), 0,
                                             tarn_bytes_of(number, sizeof number - 1), &len);
    *n = 0;
    if (err && err != TARN_NOT_FOUND)
        return err;
    number[len] = 0;
    *n = (size_t)atoi(number);
    cr_assert_leq(*n, batches + 1);
    for (unsigned i = 0; i < KEYS; i++) {
        key_of(i, key);
        err = kv->ops->get_partial(kv, tarn_span_str(key), 0, TARN_BYTES_ARRAY(got), &len);
        if (damaged && err == TARN_IO)
            continue;
        uint32_t seed = states[*n].seed[i];
        cr_assert_eq(err, seed ? TARN_OK : TARN_NOT_FOUND, "state %zu %s: %s", *n, key,
                     tarn_err_name(err));
        if (seed) {
            cr_assert_eq(len, value_of(seed, want), "state %zu %s", *n, key);
            cr_assert_arr_eq(got, want, len, "state %zu %s", *n, key);
        }
    }
    return TARN_OK;
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
    cr_assert_eq(state_of(&n, false), TARN_OK);
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
    while (batches < count) {
        cr_assert_eq(batch_next(), TARN_OK);
        acked_at[++batches] = rig.trace_len;
        if (batches % 9 == 0)
            cr_assert_eq(tarn_kv_tree_settle(tree), TARN_OK);
    }
}

static void start(size_t bytes) {
    batches = 0;
    memset(&states[0], 0, sizeof states[0]);
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
        while (acked < batches && acked_at[acked + 1] <= i)
            acked++;
        cut(durable, flushed, i, acked, acked + 1 <= batches ? acked + 1 : batches);
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

/* One life after another on the same device: power goes at some write, and of what was written
 * since the last flush (or, on a device that has none, of the last sectors) a part is stored. */
static void lives(unsigned count, bool can_flush) {
    static uint8_t before[IMAGE];
    start(IMAGE);
    if (!can_flush)
        rig.blk.features = 0;
    for (unsigned life = 0; life < count && batches + 200 < STATES_MAX; life++) {
        static struct sector pending[SECTORS_MAX];
        size_t answered = batches, n, settled = 0;
        enum tarn_err err = TARN_OK;
        memcpy(before, rig.bytes, IMAGE);
        rig.record = true;
        rig.fail_after = rig.writes + 1 + tarn_random_below(&rig.random.random, 120);
        while (!err) {
            err = batch_next();
            batches += !err;
            if (!err && tarn_random_below(&rig.random.random, 8) == 0)
                err = tarn_kv_tree_settle(tree);
            if (err == TARN_LIMIT) { /* time stands still: pages that wait for it are not free */
                err = TARN_OK;
                rig.now += TARN_SEC(20);
            }
        }
        answered = batches;
        cr_assert_eq(err, TARN_IO, "life %u: %s after %zu", life, tarn_err_name(err), batches);
        tarn_kv_tree_close(tree);
        rig.fail_after = 0;
        rig.record = false;
        size_t flushed = rig.trace_len;
        if (can_flush)
            while (flushed > 0 && rig.trace[flushed - 1].block != UINT64_MAX)
                flushed--;
        else
            flushed = rig.trace_len > 6 ? rig.trace_len - 6 : 0;
        /* What is as old as a device may hold it back is stored. */
        while (settled < rig.trace_len && rig.trace[settled].at + TARN_SEC(10) <= rig.now)
            settled++;
        flushed = flushed > settled ? flushed : settled;
        memcpy(rig.bytes, before, IMAGE);
        for (size_t i = 0; i < flushed; i++)
            if (rig.trace[i].len)
                memcpy(rig.bytes + rig.trace[i].block * RIG_BLOCK, rig.trace[i].bytes,
                       rig.trace[i].len);
        n = sectors_of(flushed, rig.trace_len, pending, SECTORS_MAX);
        for (size_t i = 0; i < n; i++)
            if (tarn_random_below(&rig.random.random, 2))
                sector_store(rig.bytes, &pending[i]);
        for (size_t i = 0; i < rig.trace_len; i++)
            free(rig.trace[i].bytes);
        rig.trace_len = 0;
        cr_assert(open_again(), "life %u", life);
        cr_assert_eq(state_of(&n, false), TARN_OK);
        cr_assert(n <= answered + 1 && (n >= answered || !can_flush), "life %u: %zu, not %zu", life,
                  n, answered);
        batches = n;
        if (batches + 200 >= STATES_MAX) {
            states[0] = states[batches];
            states[1] = states[batches];
            batches = 0;
            cr_assert_eq(tarn_kv_set(kv, TARN_SPAN_LIT("batch"), TARN_SPAN_LIT("0")), TARN_OK);
        }
    }
    struct tarn_kv_tree_report report;
    cr_assert_eq(tarn_kv_tree_check(tree, &report), TARN_OK);
    cr_assert_eq(report.damaged, 0);
    tarn_kv_tree_close(tree);
    rig_done(&rig);
}

Test(power, goes_at_random_again_and_again, .timeout = 3600) {
    lives(150 * (1 + longer()), true);
}

Test(power, goes_on_a_device_that_cannot_flush, .timeout = 3600) {
    lives(300 * (1 + longer()), false);
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
            if (state_of(&n, true) == TARN_OK)
                cr_assert(n == batches || n == batches - 1, "byte %zu: %zu", at, n);
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
    cr_assert_eq(state_of(&n, false), TARN_OK);
    cr_assert_eq(n, batches);
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
            if (state_of(&n, true) == TARN_OK)
                cr_assert_eq(n, batches);
            tarn_kv_tree_stat(tree, &stat);
            found += stat.generation != newest;
            tarn_kv_tree_close(tree);
        }
        memcpy(rig.bytes + page * 4096, kept, 4096);
    }
    cr_assert_gt(found, 1);
    rig_done(&rig);
}
