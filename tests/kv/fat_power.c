/* SPDX-License-Identifier: ISC */
/* Loss of power on a FAT volume, at every write, torn and reordered: what is there is the store
 * before or after the change under way, and a checker finds lost clusters at worst. With a folder
 * in TARN_FAT_CRASHES some of the volumes go there, for other checkers. */
#include "fat_fsck.h"
#include "rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS = 14, LONGEST = 6, STEPS = 120, IMAGE = 512 << 10, LARGEST = 2000 };

static struct rig rig;
static struct tarn_kv_fat *fat;
static struct tarn_kv *kv;
static uint32_t states[STEPS + 1][KEYS];
/* The step to this state was a rename, of the second of these to the first: both names may be
 * there, but never neither. */
static struct {
    unsigned to, from;
    bool is_one;
} renames[STEPS + 1];
static size_t acked_at[STEPS + 1];

static struct tarn_span s(const char *text) {
    return tarn_span_str(text);
}
static uint32_t dice(uint32_t n) {
    return tarn_random_below(&rig.random.random, n);
}
static void key_of(unsigned i, char *out) {
    static const char *const dirs[] = {"", "d/", "Some Directory/below/"};
    sprintf(out, "%s%s%u", dirs[i % 3], i % 2 ? "SHORT" : "a long name that takes pieces ", i);
    if (i == LONGEST) /* more than a sector */
        for (int n = 0; n < 20; n++)
            strcat(out, "0123456789");
}
static size_t value_of(uint32_t seed, uint8_t *out) {
    size_t len = seed % LARGEST;
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(seed + i * 13 + (i >> 7));
    return len;
}

static void step(size_t n) {
    static uint8_t value[LARGEST];
    char key[300], dest[300];
    uint32_t *now = states[n + 1];
    unsigned a = dice(KEYS), b = dice(KEYS);
    memcpy(now, states[n], sizeof states[n]);
    key_of(a, key);
    key_of(b, dest);
    if (now[a] && a != b && dice(4) == 0) {
        cr_assert_eq(tarn_kv_rename(kv, s(key), s(dest)), TARN_OK);
        now[b] = now[a];
        now[a] = 0;
        renames[n + 1].is_one = true;
        renames[n + 1].to = b;
        renames[n + 1].from = a;
    } else if (now[a] && dice(3) == 0) {
        cr_assert_eq(tarn_kv_remove(kv, s(key)), TARN_OK);
        now[a] = 0;
    } else {
        now[a] = dice(1 << 30) | 1;
        cr_assert_eq(tarn_kv_set(kv, s(key), tarn_span_of(value, value_of(now[a], value))),
                     TARN_OK);
    }
    acked_at[n + 1] = rig.trace_len;
}

static void open_on(uint8_t *bytes) {
    struct tarn_kv_fat_config config = rig_fat(&rig);
    memcpy(rig.bytes, bytes, IMAGE);
    cr_assert_eq(tarn_kv_fat_open(&config, &fat), TARN_OK);
    kv = tarn_kv_fat_kv(fat);
}

static void keep(const uint8_t *image) {
    static unsigned count;
    const char *folder = getenv("TARN_FAT_CRASHES");
    char path[600];
    if (!folder || count++ % 100)
        return;
    snprintf(path, sizeof path, "%s/%u", folder, count / 100);
    FILE *f = fopen(path, "wb");
    cr_assert(f && fwrite(image, 1, IMAGE, f) == IMAGE && fclose(f) == 0);
}

/* Between state n, which was answered, and n + 1. */
static void recovers(uint8_t *image, size_t n) {
    static uint8_t want[LARGEST], got[LARGEST + 1];
    struct fsck r = fsck(image, IMAGE);
    size_t next = n < STEPS ? n + 1 : n;
    bool before = true, after = true, both = renames[next].is_one;
    cr_assert(!r.problem || !strcmp(r.problem, "the tables differ"), "state %zu: %s", n, r.problem);
    keep(image);
    open_on(image);
    for (unsigned i = 0; i < KEYS; i++) {
        char key[300];
        size_t len;
        key_of(i, key);
        enum tarn_err err = kv->ops->get_partial(kv, s(key), 0, TARN_BYTES_ARRAY(got), &len);
        cr_assert(err == TARN_OK || err == TARN_NOT_FOUND, "%s: %s", key, tarn_err_name(err));
        bool is[2];
        for (size_t k = 0; k < 2; k++) {
            uint32_t seed = states[k ? next : n][i];
            is[k] = seed ? !err && len == value_of(seed, want) && !memcmp(got, want, len)
                         : err == TARN_NOT_FOUND;
        }
        cr_assert(is[0] || is[1], "state %zu: %s is neither as before nor as after", n, key);
        before &= is[0];
        after &= is[1];
        both &= i == renames[next].to ? is[1] : i == renames[next].from ? is[0] : true;
    }
    cr_assert(before || after || both, "state %zu: half of a change", n);
    /* Only a name that no sector has room for can leave pieces. */
    bool longest = states[n][LONGEST] != states[next][LONGEST];
    cr_assert(!r.orphans || longest, "state %zu: %u pieces of a name", n, r.orphans);
    tarn_kv_fat_close(fat);
}

/* All writes of one cut's window that may be lost: some of their sectors. */
static void cut(const uint8_t *durable, size_t from, size_t to, size_t n) {
    static uint8_t image[IMAGE];
    for (unsigned turn = 0; turn < 6; turn++) {
        memcpy(image, durable, IMAGE);
        if (turn != 1)
            rig_store(&rig, image, from, to, turn > 1);
        recovers(image, n);
    }
}

static void run(uint64_t seed) {
    static uint8_t durable[IMAGE];
    rig_init(&rig, IMAGE);
    tarn_random_seeded_init(&rig.random, seed);
    struct tarn_kv_fat_config config = rig_fat(&rig);
    cr_assert_eq(tarn_kv_fat_format(&config, &(struct tarn_kv_fat_format){.cluster_bytes = 512}),
                 TARN_OK);
    memcpy(durable, rig.bytes, IMAGE);
    open_on(durable);
    memset(renames, 0, sizeof renames);
    memset(states, 0, sizeof states);
    rig.record = true;
    for (size_t n = 0; n < STEPS; n++)
        step(n);
    rig.record = false;
    tarn_kv_fat_close(fat);
    size_t from = 0, n = 0;
    for (size_t to = 0; to <= rig.trace_len; to++) {
        while (n < STEPS && acked_at[n + 1] <= to)
            n++;
        /* Only what came before the answer counts: it may still be on its way when that is out. */
        cut(durable, from, to, n);
        if (to == rig.trace_len || rig.trace[to].block != UINT64_MAX)
            continue;
        rig_store(&rig, durable, from, to, false);
        from = to + 1;
    }
    rig_done(&rig);
}

Test(fat_power, every_cut_leaves_lost_clusters_at_worst, .timeout = 120) {
    run(1);
    run(2);
}
