/* SPDX-License-Identifier: ISC */
#include "conformance.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct tarn_span s(const char *text) {
    return tarn_span_str(text);
}

static void holds(struct tarn_kv *kv, const char *key, struct tarn_span want) {
    static uint8_t buf[32768];
    uint64_t bytes;
    size_t n;
    cr_assert_eq(kv->ops->size(kv, s(key), &bytes), TARN_OK, "%s", key);
    cr_assert_eq(bytes, want.len, "%s", key);
    cr_assert_eq(kv->ops->get_partial(kv, s(key), 0, TARN_BYTES_ARRAY(buf), &n), TARN_OK);
    cr_assert(tarn_span_equal(tarn_span_of(buf, n), want), "%s", key);
}

static void is(struct tarn_kv *kv, const char *key, enum tarn_kv_kind want) {
    enum tarn_kv_kind kind;
    cr_assert_eq(kv->ops->exists(kv, s(key), &kind), TARN_OK);
    cr_assert_eq(kind, want, "%s", key);
}

static void set(struct tarn_kv *kv, const char *key, const char *value) {
    cr_assert_eq(tarn_kv_set(kv, s(key), s(value)), TARN_OK, "%s", key);
}

/* All are there, all in one batch, and gone again. */
static void samples_are_read(struct tarn_kv *kv, const struct kv_lacks *lacks) {
    struct tarn_kv_change changes[16];
    size_t failed;
    for (size_t i = 0; i < kv_sample_count; i++)
        changes[i] = (struct tarn_kv_change){.verb = TARN_KV_SET,
                                             .key = s(kv_sample[i].path),
                                             .value = s(kv_sample[i].value),
                                             .last_modified = kv_sample[i].mtime};
    cr_assert_eq(kv->ops->batch(kv, changes, kv_sample_count, &failed), TARN_OK);
    kv_conformance_ro_from(kv, false, lacks->times_before);
    cr_assert_eq(tarn_kv_remove(kv, s("")), TARN_OK);
    is(kv, "a", TARN_KV_NONE);
    is(kv, "", TARN_KV_DICTIONARY);
}

static void sets(struct tarn_kv *kv, int64_t now) {
    int64_t mtime;
    set(kv, "a/b", "1");
    set(kv, "/a/b", "22");
    holds(kv, "a/b", s("22"));
    cr_assert_eq(kv->ops->last_modified(kv, s("a/b"), &mtime), TARN_OK);
    cr_assert_eq(mtime, now);
    cr_assert_eq(tarn_kv_set(kv, s("a"), s("")), TARN_INVALID, "a dictionary");
    cr_assert_eq(tarn_kv_set(kv, s("a/b/c"), s("")), TARN_INVALID, "a value on the way");
    cr_assert_eq(tarn_kv_set(kv, s("/"), s("")), TARN_INVALID);
    cr_assert_eq(tarn_kv_set(kv, s("a/../b"), s("")), TARN_INVALID);
    char name[TARN_KV_NAME_MAX + 2];
    memset(name, 'n', sizeof name);
    name[TARN_KV_NAME_MAX + 1] = 0;
    cr_assert_eq(tarn_kv_set(kv, s(name), s("")), TARN_LIMIT);
    is(kv, name, TARN_KV_NONE);
    name[TARN_KV_NAME_MAX] = 0;
    set(kv, name, "long");
    holds(kv, name, s("long"));
    cr_assert_eq(tarn_kv_remove(kv, s(name)), TARN_OK);
    char deep[2 * TARN_KV_DEPTH_MAX + 3] = "";
    for (int i = 0; i < TARN_KV_DEPTH_MAX; i++)
        strcat(deep, "/d");
    set(kv, deep, "deep");
    holds(kv, deep, s("deep"));
    memcpy(deep, "/e", 2);
    strcat(deep, "/d");
    cr_assert_eq(tarn_kv_set(kv, s(deep), s("")), TARN_LIMIT);
    is(kv, "e", TARN_KV_NONE);
    cr_assert_eq(tarn_kv_remove(kv, s("d")), TARN_OK);
    cr_assert_eq(tarn_kv_remove(kv, s("a/b")), TARN_OK);
    is(kv, "a", TARN_KV_NONE);
}

static uint8_t pattern[16384];

static void partial_writes_are_partial(struct tarn_kv *kv) {
    static uint8_t want[sizeof pattern];
    size_t len = 0;
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = (uint8_t)(i * 7 + i / 256 + 1);
    memset(want, 0, sizeof want);
    /* Created, over the end, with gaps, inside, across pieces; growing from nothing to large. */
    static const struct {
        size_t offset, bytes;
    } writes[] = {{3, 2},     {0, 1},    {10, 0},    {700, 30},   {735, 2},
                  {900, 200}, {990, 10}, {5000, 1},  {991, 2000}, {4000, 100},
                  {0, 3000},  {9000, 0}, {16000, 1}, {0, 16000},  {16383, 1}};
    for (size_t i = 0; i < sizeof writes / sizeof writes[0]; i++) {
        size_t off = writes[i].offset, n = writes[i].bytes;
        cr_assert_eq(tarn_kv_set_partial(kv, s("p/v"), off, tarn_span_of(pattern + i, n)), TARN_OK);
        memcpy(want + off, pattern + i, n);
        len = n && off + n > len ? off + n : len;
        holds(kv, "p/v", tarn_span_of(want, len));
    }
    for (size_t off = 0; off < len; off += 611) {
        uint8_t buf[1500];
        size_t n;
        cr_assert_eq(kv->ops->get_partial(kv, s("p/v"), off, TARN_BYTES_ARRAY(buf), &n), TARN_OK);
        cr_assert_eq(n, len - off < sizeof buf ? len - off : sizeof buf);
        cr_assert_arr_eq(buf, want + off, n);
    }
    cr_assert_eq(tarn_kv_set_partial(kv, s("p"), 0, s("x")), TARN_INVALID);
    cr_assert_eq(tarn_kv_set_partial(kv, s("p/v"), UINT64_MAX - 1, s("xyz")), TARN_LIMIT);
    set(kv, "p/v", "short");
    holds(kv, "p/v", s("short"));
    cr_assert_eq(tarn_kv_set(kv, s("p/v"), TARN_SPAN_ARRAY(pattern)), TARN_OK);
    holds(kv, "p/v", TARN_SPAN_ARRAY(pattern));
    cr_assert_eq(tarn_kv_remove(kv, s("p")), TARN_OK);
}

static void allocates(struct tarn_kv *kv) {
    static const uint8_t zeroes[5000];
    uint64_t bytes;
    cr_assert_eq(tarn_kv_allocate(kv, s("z/small"), 7), TARN_OK);
    holds(kv, "z/small", tarn_span_of(zeroes, 7));
    cr_assert_eq(tarn_kv_allocate(kv, s("z/large"), 5000), TARN_OK);
    holds(kv, "z/large", tarn_span_of(zeroes, 5000));
    cr_assert_eq(tarn_kv_allocate(kv, s("z/large"), 1), TARN_INVALID);
    cr_assert_eq(tarn_kv_allocate(kv, s("z"), 1), TARN_INVALID);
    enum tarn_err err = tarn_kv_allocate(kv, s("z/huge"), (uint64_t)1 << 40);
    cr_assert(err == TARN_OK || err == TARN_LIMIT, "a store may have holes");
    if (err == TARN_OK) {
        cr_assert_eq(kv->ops->size(kv, s("z/huge"), &bytes), TARN_OK);
        cr_assert_eq(bytes, (uint64_t)1 << 40);
    }
    cr_assert_eq(tarn_kv_remove(kv, s("z")), TARN_OK);
}

static void removes(struct tarn_kv *kv) {
    set(kv, "r/a/b/c", "1");
    set(kv, "r/a/d", "2");
    set(kv, "r/e", "3");
    cr_assert_eq(tarn_kv_remove(kv, s("r/a/b/c")), TARN_OK);
    is(kv, "r/a/b", TARN_KV_NONE);
    is(kv, "r/a", TARN_KV_DICTIONARY);
    cr_assert_eq(tarn_kv_remove(kv, s("r/a/b/c")), TARN_NOT_FOUND);
    cr_assert_eq(tarn_kv_remove(kv, s("r/e/f")), TARN_NOT_FOUND);
    cr_assert_eq(tarn_kv_remove(kv, s("r//f")), TARN_INVALID);
    cr_assert_eq(tarn_kv_remove(kv, s("r/a")), TARN_OK);
    is(kv, "r/a/d", TARN_KV_NONE);
    holds(kv, "r/e", s("3"));
    cr_assert_eq(tarn_kv_remove(kv, s("r/e")), TARN_OK);
    is(kv, "r", TARN_KV_NONE);
}

static void renames(struct tarn_kv *kv, int64_t times_before) {
    int64_t mtime;
    struct tarn_kv_change old = {
        .verb = TARN_KV_SET, .key = s("from/v"), .value = s("1"), .last_modified = 77};
    cr_assert_eq(tarn_kv_change(kv, old), TARN_OK);
    cr_assert_eq(tarn_kv_rename(kv, s("from/v"), s("to/new/v")), TARN_OK);
    is(kv, "from", TARN_KV_NONE);
    holds(kv, "to/new/v", s("1"));
    cr_assert_eq(kv->ops->last_modified(kv, s("to/new/v"), &mtime), TARN_OK);
    cr_assert_eq(mtime, times_before > 77 ? times_before : 77);
    set(kv, "to/w", "2");
    cr_assert_eq(tarn_kv_rename(kv, s("to/w"), s("to/new/v")), TARN_OK, "onto a value");
    holds(kv, "to/new/v", s("2"));
    is(kv, "to/w", TARN_KV_NONE);
    cr_assert_eq(tarn_kv_rename(kv, s("to"), s("x/y")), TARN_OK, "a dictionary");
    holds(kv, "x/y/new/v", s("2"));
    is(kv, "to", TARN_KV_NONE);
    set(kv, "v", "3");
    cr_assert_eq(tarn_kv_rename(kv, s("v"), s("x/y")), TARN_INVALID, "onto a dictionary");
    cr_assert_eq(tarn_kv_rename(kv, s("x"), s("v")), TARN_INVALID, "a dictionary onto a value");
    cr_assert_eq(tarn_kv_rename(kv, s("x"), s("x/y/z")), TARN_INVALID, "below itself");
    cr_assert_eq(tarn_kv_rename(kv, s("v"), s("v/w")), TARN_INVALID);
    cr_assert_eq(tarn_kv_rename(kv, s("x/y/new/v"), s("x")), TARN_INVALID);
    cr_assert_eq(tarn_kv_rename(kv, s(""), s("q")), TARN_INVALID);
    cr_assert_eq(tarn_kv_rename(kv, s("v"), s("")), TARN_INVALID);
    cr_assert_eq(tarn_kv_rename(kv, s("nothing"), s("q")), TARN_NOT_FOUND);
    is(kv, "q", TARN_KV_NONE);
    cr_assert_eq(tarn_kv_rename(kv, s("v"), s("/v")), TARN_OK, "onto itself");
    cr_assert_eq(tarn_kv_rename(kv, s("x"), s("x")), TARN_OK);
    cr_assert_eq(tarn_kv_rename(kv, s("nothing"), s("nothing")), TARN_NOT_FOUND);
    holds(kv, "v", s("3"));
    cr_assert_eq(tarn_kv_remove(kv, s("")), TARN_OK);
}

static void batches_are_whole(struct tarn_kv *kv) {
    size_t failed = 99;
    set(kv, "b/old", "old");
    struct tarn_kv_change changes[] = {
        {.verb = TARN_KV_SET, .key = s("b/new"), .value = s("new")},
        {.verb = TARN_KV_SET_PARTIAL, .key = s("b/new"), .offset = 3, .value = s("er")},
        {.verb = TARN_KV_RENAME, .key = s("b"), .dest = s("c/d")},
        {.verb = TARN_KV_REMOVE, .key = s("c/d/old")},
        {.verb = TARN_KV_REMOVE, .key = s("c/d/nothing")},
    };
    cr_assert_eq(kv->ops->batch(kv, changes, 5, &failed), TARN_NOT_FOUND);
    cr_assert_eq(failed, 4);
    holds(kv, "b/old", s("old"));
    is(kv, "b/new", TARN_KV_NONE);
    is(kv, "c", TARN_KV_NONE);
    cr_assert_eq(kv->ops->batch(kv, changes, 4, &failed), TARN_OK);
    holds(kv, "c/d/new", s("newer"));
    is(kv, "c/d/old", TARN_KV_NONE);
    is(kv, "b", TARN_KV_NONE);
    cr_assert_eq(kv->ops->batch(kv, NULL, 0, &failed), TARN_OK, "nothing, done");
    cr_assert_eq(tarn_kv_remove(kv, s("c")), TARN_OK);
}

static void snapshots_stay(struct tarn_kv *kv) {
    struct tarn_kv *snapshot;
    char key[16];
    for (int i = 0; i < 50; i++) {
        sprintf(key, "s/%02d", i);
        set(kv, key, key);
    }
    cr_assert_eq(kv->ops->snapshot(kv, &snapshot), TARN_OK);
    cr_assert_null(snapshot->ops->batch);
    cr_assert_eq(tarn_kv_set(snapshot, s("x"), s("")), TARN_UNSUPPORTED);
    for (int i = 0; i < 50; i += 2) {
        sprintf(key, "s/%02d", i);
        set(kv, key, "changed");
        sprintf(key, "s/%02d", i + 1);
        cr_assert_eq(tarn_kv_remove(kv, s(key)), TARN_OK);
    }
    set(kv, "new", "");
    for (int i = 0; i < 50; i++) {
        sprintf(key, "s/%02d", i);
        holds(snapshot, key, s(key));
    }
    is(snapshot, "new", TARN_KV_NONE);
    cr_assert_eq(tarn_kv_remove(kv, s("")), TARN_OK);
    holds(snapshot, "s/07", s("s/07"));
    snapshot->ops->release(snapshot);
}

static unsigned calls;
static void on_change(struct tarn_task *task) {
    (void)task;
    calls++;
}

static void watches_are_told(struct tarn_kv *kv) {
    struct tarn_tasks tasks;
    struct tarn_kv_watch w = {.key = s("w/x"), .tasks = &tasks, .task = {.run = on_change}},
                         all = w;
    static const struct {
        const char *key;
        unsigned calls; /* of the one for w/x; the one for the root is always told */
    } sets[] = {{"w/x/y", 1}, {"w/x/z", 1}, {"w/xx", 0}, {"other", 0}};
    tarn_tasks_init(&tasks);
    all.key = s("");
    kv->ops->watch(kv, &w);
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        calls = 0;
        set(kv, sets[i].key, "");
        set(kv, sets[i].key, "");
        cr_assert_eq(calls, 0, "never from inside a call");
        tarn_tasks_run(&tasks);
        cr_assert_eq(calls, sets[i].calls, "%s", sets[i].key);
    }
    kv->ops->watch(kv, &all);
    calls = 0;
    cr_assert_eq(tarn_kv_set(kv, s("w/x"), s("")), TARN_INVALID);
    tarn_tasks_run(&tasks);
    cr_assert_eq(calls, 0, "nothing has happened");
    cr_assert_eq(tarn_kv_rename(kv, s("w"), s("elsewhere")), TARN_OK);
    tarn_tasks_run(&tasks);
    cr_assert_eq(calls, 2);
    cr_assert_eq(tarn_kv_rename(kv, s("elsewhere"), s("w")), TARN_OK);
    tarn_tasks_run(&tasks);
    cr_assert_eq(calls, 4);
    cr_assert_eq(tarn_kv_remove(kv, s("")), TARN_OK);
    kv->ops->unwatch(kv, &w);
    tarn_tasks_run(&tasks);
    cr_assert_eq(calls, 5, "unwatched with a call waiting: it never comes");
    kv->ops->unwatch(kv, &all);
}

/* Listing goes on where it was, whatever is written behind and before it. */
static void lists_while_changing(struct tarn_kv *kv) {
    struct tarn_kv_cursor cursor = {0};
    struct tarn_kv_entry e;
    char key[16];
    for (int i = 0; i < 40; i++) {
        sprintf(key, "l/%02d", i);
        set(kv, key, key);
    }
    for (int i = 0; i < 40; i += 2) {
        sprintf(key, "%02d", i);
        cr_assert_eq(kv->ops->list(kv, s("l"), &cursor, &e), TARN_OK);
        cr_assert(tarn_span_equal(e.name, s(key)), "%s", key);
        cr_assert(!e.value.ptr || tarn_span_equal(tarn_span_after(e.value, 2), s(key)));
        sprintf(key, "l/%02d", i + 1);
        cr_assert_eq(tarn_kv_remove(kv, s(key)), TARN_OK);
        sprintf(key, "l/%02d", i);
        cr_assert_eq(tarn_kv_remove(kv, s(key)), TARN_OK);
    }
    cr_assert(kv->ops->list(kv, s("l"), &cursor, &e) != TARN_OK);
    is(kv, "l", TARN_KV_NONE);
}

void kv_conformance_rw(struct tarn_kv *kv, int64_t now) {
    kv_conformance_rw_but(kv, now, &(struct kv_lacks){.times_before = INT64_MIN});
}

void kv_conformance_rw_but(struct tarn_kv *kv, int64_t now, const struct kv_lacks *lacks) {
    struct tarn_kv *snapshot;
    samples_are_read(kv, lacks);
    sets(kv, now);
    partial_writes_are_partial(kv);
    allocates(kv);
    removes(kv);
    renames(kv, lacks->times_before);
    batches_are_whole(kv);
    if (lacks->snapshots)
        cr_assert_eq(kv->ops->snapshot(kv, &snapshot), TARN_UNSUPPORTED);
    else
        snapshots_stay(kv);
    watches_are_told(kv);
    lists_while_changing(kv);
    samples_are_read(kv, lacks);
}
