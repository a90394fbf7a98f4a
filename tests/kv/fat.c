/* SPDX-License-Identifier: ISC */
#include "conformance.h"
#include "fat_fsck.h"
#include "rig.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_TIME 315532800 /* 1980-01-01 */

static struct rig rig;
static struct tarn_kv_fat *fat;
static struct tarn_kv *kv;

static void open_it(void) {
    struct tarn_kv_fat_config config = rig_fat(&rig);
    cr_assert_eq(tarn_kv_fat_open(&config, &fat), TARN_OK);
    kv = tarn_kv_fat_kv(fat);
}
static void start(size_t bytes, struct tarn_kv_fat_format format) {
    rig_init(&rig, bytes);
    struct tarn_kv_fat_config config = rig_fat(&rig);
    cr_assert_eq(tarn_kv_fat_format(&config, &format), TARN_OK);
    open_it();
}
static void sound(void) {
    struct fsck r = fsck(rig.bytes, rig.len);
    cr_assert_null(r.problem, "%s", r.problem);
    cr_assert_eq(r.lost, 0, "%u clusters are lost", r.lost);
    cr_assert_eq(r.orphans, 0);
}
static void stop(void) {
    sound();
    tarn_kv_fat_close(fat);
    rig_done(&rig);
}
static struct tarn_span s(const char *text) {
    return tarn_span_str(text);
}

struct kind {
    size_t bytes;
    struct tarn_kv_fat_format format;
};
static struct kind kinds[] = {
    {1 << 20, {.type = 12}},
    {1 << 20, {.type = 12, .cluster_bytes = 4096, .label = "A LABEL"}},
    {9 << 20, {.type = 16}},
    {40 << 20, {.type = 32, .cluster_bytes = 512}},
};

/* By number: what has pointers is not handed to a test's process. */
static int kind_numbers[] = {0, 1, 2, 3};
ParameterizedTestParameters(fat, conforms) {
    return cr_make_param_array(int, kind_numbers, sizeof kinds / sizeof kinds[0]);
}
ParameterizedTest(int *number, fat, conforms) {
    const struct kind *kind = &kinds[*number];
    static const struct kv_lacks lacks = {.snapshots = true, .times_before = FIRST_TIME};
    struct tarn_kv_fat_stat before, after;
    start(kind->bytes, kind->format);
    cr_assert_eq(tarn_kv_fat_stat(fat, &before), TARN_OK);
    cr_assert_eq(before.type, kind->format.type);
    kv_conformance_rw_but(kv, RIG_NOW, &lacks);
    sound();
    cr_assert_eq(tarn_kv_fat_stat(fat, &after), TARN_OK);
    /* Directories that have grown are gone, but for the root of FAT32. */
    cr_assert(before.clusters_free - after.clusters_free <= (before.type == 32 ? 3 : 0));
    tarn_kv_fat_close(fat);
    open_it();
    kv_conformance_rw_but(kv, RIG_NOW, &lacks);
    stop();
}

Test(fat, names_keep_their_spelling_and_fold) {
    static const char *const good[] = {"README",
                                       "readme.txt",
                                       "Long Name.with dots.x",
                                       "a+b",
                                       "\xf0\x9f\x98\x80 smile",
                                       "x.tar.gz",
                                       ".hidden",
                                       "LPT1.TXT",
                                       "UPPER.TXT",
                                       "ABCDEFGH.IJK",
                                       "abcdefghi"};
    static const char *const bad[] = {
        "a:b",       "a*",        "?",    "a\\b", "q\"",          "<",       "|",
        "trailing.", "trailing ", "\x01", "\xff", "\xed\xa0\x80", "\xc0\x80"};
    struct tarn_kv_cursor cursor = {0};
    struct tarn_kv_entry e;
    enum tarn_kv_kind kind;
    uint8_t buf[64];
    size_t n, listed = 0;
    start(1 << 20, (struct tarn_kv_fat_format){0});
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        cr_assert_eq(tarn_kv_set(kv, s(good[i]), s(good[i])), TARN_OK, "%s", good[i]);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        cr_assert_eq(kv->ops->get_partial(kv, s(good[i]), 0, TARN_BYTES_ARRAY(buf), &n), TARN_OK);
        cr_assert(tarn_span_equal(tarn_span_of(buf, n), s(good[i])), "%s", good[i]);
    }
    while (kv->ops->list(kv, s(""), &cursor, &e) == TARN_OK)
        for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
            listed += tarn_span_equal(e.name, s(good[i]));
    cr_assert_eq(listed, sizeof good / sizeof good[0]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_eq(tarn_kv_set(kv, s(bad[i]), s("")), TARN_INVALID, "%s", bad[i]);
        cr_assert_eq(kv->ops->exists(kv, s(bad[i]), &kind), TARN_OK);
        cr_assert_eq(kind, TARN_KV_NONE);
    }
    cr_assert_eq(tarn_kv_set(kv, s("readme"), s("other")), TARN_OK);
    cr_assert_eq(kv->ops->get_partial(kv, s("README"), 0, TARN_BYTES_ARRAY(buf), &n), TARN_OK);
    cr_assert(tarn_span_equal(tarn_span_of(buf, n), s("other")), "one name in both spellings");
    stop();
}

/* A short name may be taken by another's. */
Test(fat, short_names_differ) {
    char key[64];
    start(1 << 20, (struct tarn_kv_fat_format){0});
    cr_assert_eq(tarn_kv_set(kv, s("READMET.TXT"), s("short")), TARN_OK);
    for (int i = 0; i < 60; i++) {
        sprintf(key, "read me two times %d.text", i);
        cr_assert_eq(tarn_kv_set(kv, s(key), s(key)), TARN_OK, "%s", key);
    }
    cr_assert_eq(tarn_kv_set(kv, s("README~1.TEX"), s("mine")), TARN_OK);
    for (uint32_t i = 0; i < 60; i++) {
        uint64_t bytes;
        sprintf(key, "read me two times %u.text", i);
        cr_assert_eq(kv->ops->size(kv, s(key), &bytes), TARN_OK);
        cr_assert_eq(bytes, strlen(key));
    }
    stop();
}

/* -- against a model ------------------------------------------------------------------------------
 */

enum { KEYS = 60, LARGEST = 6000 };
static uint32_t model[KEYS]; /* the seed of the value; 0: none */

static void key_of(unsigned i, char *out) {
    sprintf(out, "dir %u/%s%u/Value number %u", i % 4, i % 3 ? "sub" : "a longer name ", i % 5, i);
}
static size_t value_of(uint32_t seed, uint8_t *out) {
    size_t len = seed % LARGEST;
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(seed + i * 7 + (i >> 8));
    return len;
}
static void model_holds(void) {
    static uint8_t want[LARGEST], got[LARGEST + 1];
    char key[80];
    size_t n;
    for (unsigned i = 0; i < KEYS; i++) {
        key_of(i, key);
        enum tarn_err err = kv->ops->get_partial(kv, s(key), 0, TARN_BYTES_ARRAY(got), &n);
        cr_assert_eq(err, model[i] ? TARN_OK : TARN_NOT_FOUND, "%s", key);
        if (model[i]) {
            cr_assert_eq(n, value_of(model[i], want));
            cr_assert_arr_eq(got, want, n);
        }
    }
}

static uint32_t dice(uint32_t n) {
    return tarn_random_below(&rig.random.random, n);
}

Test(fat, random_changes_agree_with_a_model, .timeout = 60) {
    static uint8_t value[LARGEST];
    start(1 << 20, (struct tarn_kv_fat_format){.cluster_bytes = 512});
    for (int step = 0; step < 1500; step++) {
        unsigned a = dice(KEYS), b = dice(KEYS);
        char from[80], to[80];
        key_of(a, from);
        key_of(b, to);
        uint32_t what = dice(10);
        if (what < 5) {
            uint32_t seed = dice(1 << 30) | 1;
            cr_assert_eq(tarn_kv_set(kv, s(from), tarn_span_of(value, value_of(seed, value))),
                         TARN_OK);
            model[a] = seed;
        } else if (what < 7) {
            cr_assert_eq(tarn_kv_remove(kv, s(from)), model[a] ? TARN_OK : TARN_NOT_FOUND);
            model[a] = 0;
        } else if (what < 9) {
            cr_assert_eq(tarn_kv_rename(kv, s(from), s(to)), model[a] ? TARN_OK : TARN_NOT_FOUND);
            if (model[a] && a != b) {
                model[b] = model[a];
                model[a] = 0;
            }
        } else if (dice(10) == 0) {
            cr_assert(tarn_kv_remove(kv, s("dir 1")) != TARN_IO);
            for (unsigned i = 1; i < KEYS; i += 4)
                model[i] = 0;
        }
        if (step % 100 == 0) {
            sound();
            model_holds();
        }
    }
    model_holds();
    stop();
}

Test(fat, full_and_back) {
    static uint8_t value[40000];
    struct tarn_kv_fat_stat before, after;
    char key[32];
    enum tarn_err err = TARN_OK;
    unsigned n = 0;
    start(1 << 20, (struct tarn_kv_fat_format){0});
    cr_assert_eq(tarn_kv_fat_stat(fat, &before), TARN_OK);
    for (; !err; n++) {
        sprintf(key, "full/%u", n);
        err = tarn_kv_set(kv, s(key), TARN_SPAN_ARRAY(value));
    }
    cr_assert_eq(err, TARN_LIMIT);
    cr_assert(n > 20);
    sound();
    cr_assert_eq(tarn_kv_set(kv, s("full/0"), TARN_SPAN_ARRAY(value)), TARN_LIMIT,
                 "the old one stays until the new one is there");
    struct tarn_kv_change changes[] = {
        {.verb = TARN_KV_SET, .key = s("small"), .value = s("x")},
        {.verb = TARN_KV_SET, .key = s("more"), .value = TARN_SPAN_ARRAY(value)}};
    size_t failed;
    cr_assert_eq(kv->ops->batch(kv, changes, 2, &failed), TARN_LIMIT);
    cr_assert_eq(failed, 1);
    cr_assert_eq(tarn_kv_remove(kv, s("full")), TARN_OK);
    cr_assert_eq(tarn_kv_fat_stat(fat, &after), TARN_OK);
    cr_assert_eq(before.clusters_free, after.clusters_free);
    stop();
}

Test(fat, every_allocation_may_fail) {
    start(1 << 20, (struct tarn_kv_fat_format){0});
    tarn_kv_fat_close(fat);
    size_t needed = rig.allocations;
    for (size_t i = 1; i <= needed; i++) {
        struct tarn_kv_fat_config config = rig_fat(&rig);
        rig.allocations = 0;
        rig.fail_at = i;
        enum tarn_err err = tarn_kv_fat_open(&config, &fat);
        cr_assert(err == TARN_LIMIT || (!err && i > 5));
        if (!err)
            tarn_kv_fat_close(fat);
        cr_assert_eq(rig.live, 0);
    }
    rig.fail_at = 0;
    open_it();
    stop();
}

Test(fat, what_is_no_volume_is_refused) {
    struct tarn_kv_fat_config config;
    start(1 << 20, (struct tarn_kv_fat_format){0});
    tarn_kv_fat_close(fat);
    config = rig_fat(&rig);
    for (size_t i = 0; i < 64 * 8; i++) { /* every bit of what describes it */
        rig.bytes[i / 8] ^= (uint8_t)(1 << i % 8);
        enum tarn_err err = tarn_kv_fat_open(&config, &fat);
        cr_assert(err == TARN_OK || err == TARN_NOT_FOUND || err == TARN_LIMIT);
        if (!err)
            tarn_kv_fat_close(fat);
        rig.bytes[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    memset(rig.bytes, 0, 512);
    cr_assert_eq(tarn_kv_fat_open(&config, &fat), TARN_NOT_FOUND);
    static const struct tarn_kv_fat_format bad[] = {{.type = 32},
                                                    {.type = 16},
                                                    {.cluster_bytes = 768},
                                                    {.label = "small letters"},
                                                    {.type = 7}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_eq(tarn_kv_fat_format(&config, &bad[i]), TARN_INVALID);
    rig_done(&rig);
}

Test(fat, a_failed_device_takes_no_more_changes) {
    enum tarn_kv_kind kind;
    start(1 << 20, (struct tarn_kv_fat_format){0});
    cr_assert_eq(tarn_kv_set(kv, s("a"), s("1")), TARN_OK);
    rig.fail_after = rig.writes;
    cr_assert_eq(tarn_kv_set(kv, s("b"), s("2")), TARN_IO);
    rig.fail_after = 0;
    cr_assert_eq(tarn_kv_set(kv, s("c"), s("3")), TARN_IO, "what is on it is not known any more");
    cr_assert_eq(kv->ops->exists(kv, s("a"), &kind), TARN_OK);
    cr_assert_eq(kind, TARN_KV_VALUE);
    tarn_kv_fat_close(fat);
    rig_done(&rig);
}
