/* SPDX-License-Identifier: ISC */
#include "../../lib/kv/src/xxh64.h"
#include "conformance.h"
#include "rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct rig rig;
static struct tarn_kv_tree *tree;
static struct tarn_kv *kv;

static void start(size_t bytes, uint64_t log_bytes) {
    rig_init(&rig, bytes);
    tree = rig_format(&rig, log_bytes);
    cr_assert_not_null(tree);
    kv = tarn_kv_tree_kv(tree);
}
static void reopen(void) {
    tarn_kv_tree_close(tree);
    tree = rig_open(&rig);
    cr_assert_not_null(tree);
    kv = tarn_kv_tree_kv(tree);
}
static void stop(void) {
    tarn_kv_tree_close(tree);
    rig_done(&rig);
}
static void is_whole(void) {
    struct tarn_kv_tree_report report;
    cr_assert_eq(tarn_kv_tree_check(tree, &report), TARN_OK);
    cr_assert_eq(report.damaged, 0, "page %llu", (unsigned long long)report.first_damaged);
}

Test(tree, conforms) {
    start(4 << 20, 0);
    kv_conformance_rw(kv, RIG_NOW);
    cr_assert_eq(tarn_kv_tree_settle(tree), TARN_OK);
    is_whole();
    kv_conformance_rw(kv, RIG_NOW);
    reopen();
    kv_conformance_rw(kv, RIG_NOW);
    stop();
}

/* Whether a store opened on what the device has now, as after a loss of power, knows `key`. */
static bool device_has(const char *key) {
    struct rig other;
    enum tarn_kv_kind kind;
    rig_init(&other, rig.len);
    memcpy(other.bytes, rig.bytes, rig.len);
    struct tarn_kv_tree *again = rig_open(&other);
    cr_assert_not_null(again);
    struct tarn_kv *store = tarn_kv_tree_kv(again);
    cr_assert_eq(store->ops->exists(store, tarn_span_str(key), &kind), TARN_OK);
    tarn_kv_tree_close(again);
    rig_done(&other);
    return kind == TARN_KV_VALUE;
}

Test(tree, what_is_applied_is_durable_after_one_sync) {
    struct tarn_kv_change change = {.verb = TARN_KV_SET, .value = TARN_SPAN_LIT("value")};
    enum tarn_kv_kind kind;
    size_t failed;
    start(4 << 20, 0);
    uint64_t writes = rig.writes;
    for (char key[] = "a"; key[0] <= 'z'; key[0]++) {
        change.key = tarn_span_str(key);
        cr_assert_eq(tarn_kv_tree_apply(tree, &change, 1, &failed), TARN_OK);
        cr_assert_eq(kv->ops->exists(kv, change.key, &kind), TARN_OK);
        cr_assert_eq(kind, TARN_KV_VALUE);
    }
    cr_assert_eq(rig.writes, writes);
    cr_assert(!device_has("a") && !device_has("z"));
    cr_assert_eq(tarn_kv_tree_sync(tree), TARN_OK);
    cr_assert_eq(rig.writes, writes + 1);
    cr_assert(device_has("a") && device_has("z"));
    cr_assert_eq(tarn_kv_tree_sync(tree), TARN_OK);
    cr_assert_eq(rig.writes, writes + 1, "there was nothing to write");
    change.key = TARN_SPAN_LIT("a/below");
    cr_assert_eq(tarn_kv_tree_apply(tree, &change, 1, &failed), TARN_INVALID);
    rig.fail_after = rig.writes;
    change.key = TARN_SPAN_LIT("b");
    cr_assert_eq(tarn_kv_tree_apply(tree, &change, 1, &failed), TARN_OK);
    cr_assert_eq(tarn_kv_tree_sync(tree), TARN_IO);
    cr_assert_eq(tarn_kv_tree_sync(tree), TARN_IO, "it stays failed");
    stop();
}

/* -- against a model ------------------------------------------------------------------------------
 */

enum { KEYS = 600 };
struct value {
    bool there;
    uint32_t seed, len;
};
static struct value model[KEYS];

static void key_of(unsigned i, char *out) {
    sprintf(out, "dir%u/%u/key-%u", i % 7, i % 3, i);
}
static void fill(uint8_t *out, const struct value *v) {
    for (uint32_t i = 0; i < v->len; i++)
        out[i] = (uint8_t)(v->seed * 31 + i * 7 + (i >> 8));
}
static void model_holds(struct tarn_kv *store, const struct value *want) {
    static uint8_t buf[4096], expected[4096];
    for (unsigned i = 0; i < KEYS; i++) {
        char key[64];
        size_t n;
        key_of(i, key);
        enum tarn_err err =
            store->ops->get_partial(store, tarn_span_str(key), 0, TARN_BYTES_ARRAY(buf), &n);
        cr_assert_eq(err, want[i].there ? TARN_OK : TARN_NOT_FOUND, "%s", key);
        if (!want[i].there)
            continue;
        fill(expected, &want[i]);
        cr_assert_eq(n, want[i].len, "%s", key);
        cr_assert_arr_eq(buf, expected, n, "%s", key);
    }
}
static void random_batch(unsigned changes_max, size_t value_max) {
    static uint8_t values[64][4096];
    static char keys[64][64];
    struct tarn_kv_change changes[64];
    unsigned count = 1 + tarn_random_below(&rig.random.random, changes_max);
    size_t failed;
    for (unsigned i = 0; i < count; i++) {
        unsigned k = tarn_random_below(&rig.random.random, KEYS);
        key_of(k, keys[i]);
        changes[i] = (struct tarn_kv_change){.verb = TARN_KV_REMOVE, .key = tarn_span_str(keys[i])};
        if (model[k].there && tarn_random_below(&rig.random.random, 3) == 0) {
            model[k].there = false;
            continue;
        }
        model[k] = (struct value){true, tarn_random_u32(&rig.random.random),
                                  tarn_random_below(&rig.random.random, (uint32_t)value_max)};
        fill(values[i], &model[k]);
        changes[i].verb = TARN_KV_SET;
        changes[i].value = tarn_span_of(values[i], model[k].len);
    }
    cr_assert_eq(kv->ops->batch(kv, changes, count, &failed), TARN_OK, "%zu", failed);
}

Test(tree, random_batches_agree_with_a_model, .timeout = 60) {
    memset(model, 0, sizeof model);
    start(8 << 20, 0);
    for (int round = 0; round < 300; round++) {
        random_batch(20, round % 10 == 0 ? 3000 : 200);
        if (round % 50 == 49) {
            model_holds(kv, model);
            is_whole();
            if (round % 100 == 99)
                reopen();
            else
                cr_assert_eq(tarn_kv_tree_settle(tree), TARN_OK);
            model_holds(kv, model);
        }
    }
    struct tarn_kv_tree_stat stat;
    tarn_kv_tree_stat(tree, &stat);
    cr_assert_gt(stat.generation, 10);
    stop();
}

Test(tree, a_snapshot_stays_while_the_tree_is_rewritten) {
    static struct value then[KEYS];
    struct tarn_kv *snapshot;
    memset(model, 0, sizeof model);
    start(8 << 20, 0);
    for (int i = 0; i < 100; i++)
        random_batch(20, 300);
    cr_assert_eq(kv->ops->snapshot(kv, &snapshot), TARN_OK);
    memcpy(then, model, sizeof model);
    for (int i = 0; i < 100; i++) {
        random_batch(20, 300);
        if (i % 25 == 0) {
            cr_assert_eq(tarn_kv_tree_settle(tree), TARN_OK);
            model_holds(snapshot, then);
        }
    }
    model_holds(snapshot, then);
    model_holds(kv, model);
    snapshot->ops->release(snapshot);
    is_whole();
    stop();
}

/* What the next entry of a listing is comes from where the last one was found; whatever changes in
 * between, the answer is what looking for it anew gives. */
enum { NAMES = 200 };
static bool names[NAMES];

static void name_changes(unsigned i) {
    char name[8];
    size_t failed;
    static const uint8_t value[400];
    sprintf(name, "%03u", i);
    struct tarn_kv_change change = {.verb = names[i] ? TARN_KV_REMOVE : TARN_KV_SET,
                                    .key = tarn_span_str(name),
                                    .value = TARN_SPAN_ARRAY(value)};
    cr_assert_eq(kv->ops->batch(kv, &change, 1, &failed), TARN_OK);
    names[i] = !names[i];
}

/* `from`: all names before it were listed. The number of the name listed, or NAMES at the end. */
static unsigned list_is_next(struct tarn_kv_cursor *cursor, unsigned from) {
    struct tarn_kv_entry e;
    char name[8];
    enum tarn_err err = kv->ops->list(kv, TARN_SPAN_EMPTY, cursor, &e);
    while (from < NAMES && !names[from])
        from++;
    sprintf(name, "%03u", from);
    cr_assert_eq(err, from == NAMES ? TARN_EOF : TARN_OK, "%s", name);
    cr_assert(err || tarn_span_equal(e.name, tarn_span_str(name)), "not %s", name);
    return from;
}

Test(tree, a_listing_sees_what_changes_ahead_of_it, .timeout = 60) {
    struct tarn_kv_cursor cursor = {0}, other = {0};
    unsigned at = 0, steps = 0;
    memset(names, 0, sizeof names);
    start(8 << 20, 0);
    for (int round = 0; round < 20000; round++) {
        switch (tarn_random_below(&rig.random.random, round < 4000 ? 3 : 8)) {
        case 0: name_changes(tarn_random_below(&rig.random.random, NAMES)); break;
        case 1: (void)list_is_next(&other, 0), other = (struct tarn_kv_cursor){0}; break;
        default:
            at = list_is_next(&cursor, at) + 1;
            steps++;
            if (at > NAMES)
                at = 0, cursor = (struct tarn_kv_cursor){0};
        }
        if (round % 1000 == 0)
            cr_assert_eq(tarn_kv_tree_settle(tree), TARN_OK);
    }
    cr_assert_gt(steps, 10000);
    stop();
}

/* -- space ----------------------------------------------------------------------------------------
 */

Test(tree, full_and_back, .timeout = 60) {
    unsigned least = UINT32_MAX;
    start(2 << 20, 128 << 10);
    for (int round = 0; round < 4; round++) {
        unsigned made = 0;
        char key[64];
        uint8_t value[700];
        for (;; made++) {
            sprintf(key, "d%u/%u", made * 7919u % 13, made);
            tarn_random_fill(&rig.random.random, TARN_BYTES_ARRAY(value));
            enum tarn_err err = tarn_kv_set(kv, tarn_span_str(key), TARN_SPAN_ARRAY(value));
            if (err == TARN_LIMIT)
                break;
            cr_assert_eq(err, TARN_OK, "%s", tarn_err_name(err));
        }
        least = made < least ? made : least;
        is_whole();
        reopen();
        for (unsigned i = 0; i < made; i++) {
            enum tarn_kv_kind kind;
            sprintf(key, "d%u/%u", i * 7919u % 13, i);
            cr_assert_eq(kv->ops->exists(kv, tarn_span_str(key), &kind), TARN_OK);
            cr_assert_eq(kind, TARN_KV_VALUE);
        }
        cr_assert_eq(tarn_kv_remove(kv, TARN_SPAN_EMPTY), TARN_OK);
        cr_assert_eq(tarn_kv_tree_settle(tree), TARN_OK);
        is_whole();
    }
    cr_assert_gt(least, 600, "%u", least);
    stop();
}

Test(tree, grows_and_shrinks) {
    memset(model, 0, sizeof model);
    rig_init(&rig, 8 << 20);
    rig.blk.blocks = (2 << 20) / RIG_BLOCK;
    rig.config.bytes_max = 8 << 20;
    tree = rig_format(&rig, 128 << 10);
    cr_assert_not_null(tree);
    kv = tarn_kv_tree_kv(tree);
    for (int i = 0; i < 60; i++)
        random_batch(20, 300);
    rig.blk.blocks = (8 << 20) / RIG_BLOCK;
    cr_assert_eq(tarn_kv_tree_grow(tree), TARN_OK);
    for (int i = 0; i < 400; i++)
        random_batch(20, 300);
    model_holds(kv, model);
    cr_assert_eq(tarn_kv_tree_shrink(tree, 512 << 10), TARN_LIMIT);
    model_holds(kv, model);
    cr_assert_eq(tarn_kv_tree_shrink(tree, 2 << 20), TARN_OK);
    is_whole();
    model_holds(kv, model);
    tarn_kv_tree_close(tree);
    rig.blk.blocks = (2 << 20) / RIG_BLOCK;
    memset(rig.bytes + (2 << 20), 0xee, 6 << 20);
    tree = rig_open(&rig);
    cr_assert_not_null(tree);
    kv = tarn_kv_tree_kv(tree);
    model_holds(kv, model);
    for (int i = 0; i < 40; i++)
        random_batch(20, 300);
    model_holds(kv, model);
    stop();
}

/* -- setting up -----------------------------------------------------------------------------------
 */

Test(tree, every_allocation_may_fail) {
    struct tarn_kv_tree *t;
    start(1 << 20, 64 << 10);
    tarn_kv_tree_close(tree);
    rig.allocations = 0;
    cr_assert_eq(tarn_kv_tree_open(&rig.config, &t), TARN_OK);
    tarn_kv_tree_close(t);
    for (size_t all = rig.allocations, i = 1; i <= all; i++) {
        rig.allocations = 0;
        rig.fail_at = i;
        cr_assert_eq(tarn_kv_tree_open(&rig.config, &t), TARN_LIMIT, "%zu", i);
        cr_assert_eq(rig.live, 0);
    }
    rig_done(&rig);
}

Test(tree, what_is_no_store_is_refused) {
    struct tarn_kv_tree *t;
    rig_init(&rig, 1 << 20);
    cr_assert_eq(tarn_kv_tree_open(&rig.config, &t), TARN_NOT_FOUND);
    rig.blk.blocks = 100;
    cr_assert_eq(tarn_kv_tree_format(&rig.config, 0), TARN_INVALID);
    rig.blk.blocks = (1 << 20) / RIG_BLOCK;
    cr_assert_eq(tarn_kv_tree_format(&rig.config, 1000), TARN_INVALID);
    cr_assert_eq(tarn_kv_tree_format(&rig.config, 64 << 10), TARN_OK);
    rig.blk.blocks = (512 << 10) / RIG_BLOCK;
    cr_assert_eq(tarn_kv_tree_open(&rig.config, &t), TARN_INVALID, "cut off");
    rig.blk.blocks = (1 << 20) / RIG_BLOCK;
    rig.config.batch_bytes_max = 1 << 30;
    cr_assert_eq(tarn_kv_tree_open(&rig.config, &t), TARN_INVALID);
    rig_done(&rig);
}

Test(tree, a_failed_device_takes_no_more_changes) {
    start(1 << 20, 64 << 10);
    cr_assert_eq(tarn_kv_set(kv, TARN_SPAN_LIT("a"), TARN_SPAN_LIT("1")), TARN_OK);
    rig.fail_after = rig.writes;
    cr_assert_eq(tarn_kv_set(kv, TARN_SPAN_LIT("b"), TARN_SPAN_LIT("2")), TARN_IO);
    rig.fail_after = 0;
    cr_assert_eq(tarn_kv_set(kv, TARN_SPAN_LIT("c"), TARN_SPAN_LIT("3")), TARN_IO);
    reopen();
    enum tarn_kv_kind kind;
    cr_assert_eq(kv->ops->exists(kv, TARN_SPAN_LIT("a"), &kind), TARN_OK);
    cr_assert_eq(kind, TARN_KV_VALUE);
    cr_assert_eq(kv->ops->exists(kv, TARN_SPAN_LIT("c"), &kind), TARN_OK);
    cr_assert_eq(kind, TARN_KV_NONE);
    stop();
}

/* Known sums: the empty text, "a", "abc", and one longer than a stripe, with a tail of each kind.
 */
Test(xxh64, known_sums) {
    static const char longer[] = "Nobody inspects the spammish repetition";
    cr_assert_eq(xxh64(TARN_SPAN_EMPTY, 0), 0xef46db3751d8e999u);
    cr_assert_eq(xxh64(TARN_SPAN_LIT("a"), 0), 0xd24ec4f1a98c6e5bu);
    cr_assert_eq(xxh64(TARN_SPAN_LIT("abc"), 0), 0x44bc2cf5ad770999u);
    cr_assert_eq(xxh64(tarn_span_str(longer), 0), 0xfbcea83c8a378bf1u);
    cr_assert_neq(xxh64(tarn_span_str(longer), 1), xxh64(tarn_span_str(longer), 0));
}
