/* SPDX-License-Identifier: ISC */
/* A directory as a store: the suite of every store, ways out of it, and a loss of power. */
#include "../kv/conformance.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <tarn/kv_dir.h>
#include <tarn/kv_ram.h>
#include <unistd.h>

#define NOW 1700000000

static void *get(struct tarn_alloc *a, size_t bytes, size_t align) {
    (void)a, (void)align;
    return calloc(1, bytes);
}
static void put(struct tarn_alloc *a, void *ptr, size_t bytes) {
    (void)a, (void)bytes;
    free(ptr);
}
static uint64_t wall(struct tarn_clock *c) {
    (void)c;
    return NOW * 1000000000ull;
}
static const struct tarn_alloc_ops alloc_ops = {get, put};
static const struct tarn_clock_ops clock_ops = {.wall_ns = wall};
static struct tarn_alloc heap = {&alloc_ops};
static struct tarn_clock clock_stands = {&clock_ops};

static char folder[] = "/tmp/tarn-kv-dir-XXXXXX";
static struct tarn_kv_dir *dir;
static struct tarn_kv *kv;

static enum tarn_err open_at(const char *path, bool read_only, struct tarn_kv_dir **out) {
    struct tarn_kv_dir_config config = {&heap, &clock_stands, path, read_only};
    return tarn_kv_dir_open(&config, out);
}
static void start(void) {
    cr_assert(mkdtemp(folder));
    cr_assert_eq(open_at(folder, false, &dir), TARN_OK);
    kv = tarn_kv_dir_kv(dir);
}
static void sh(const char *format) {
    char command[512];
    snprintf(command, sizeof command, format, folder, folder);
    cr_assert_eq(system(command), 0, "%s", command);
}
static void stop(void) {
    tarn_kv_dir_close(dir);
    sh("rm -rf %s");
}
static struct tarn_span s(const char *text) {
    return tarn_span_str(text);
}
static void is(const char *key, enum tarn_kv_kind want) {
    enum tarn_kv_kind kind;
    cr_assert_eq(kv->ops->exists(kv, s(key), &kind), TARN_OK, "%s", key);
    cr_assert_eq(kind, want, "%s", key);
}
static void holds(const char *key, const char *want) {
    uint8_t buf[64];
    size_t n;
    cr_assert_eq(kv->ops->get_partial(kv, s(key), 0, TARN_BYTES_ARRAY(buf), &n), TARN_OK, "%s",
                 key);
    cr_assert(tarn_span_equal(tarn_span_of(buf, n), s(want)), "%s", key);
}

Test(kv_dir, conforms) {
    start();
    kv_conformance_rw_but(kv, NOW,
                          &(struct kv_lacks){.snapshots = true, .times_before = INT64_MIN});
    sh("test -z \"$(ls -A %s | grep -v .tarn-kv)\" && test -z \"$(ls -A %s/.tarn-kv)\"");
    stop();
}

Test(kv_dir, is_a_directory_of_the_host) {
    start();
    sh("mkdir -p %s/sub/empty && printf text > %s/sub/file");
    holds("sub/file", "text");
    is("sub/empty", TARN_KV_DICTIONARY);
    cr_assert_eq(tarn_kv_set(kv, s("a/b"), s("by us")), TARN_OK);
    sh("test \"$(cat %s/a/b)\" = 'by us'");
    struct tarn_kv_dir *reader;
    cr_assert_eq(open_at(folder, true, &reader), TARN_OK);
    cr_assert_null(tarn_kv_dir_kv(reader)->ops->batch);
    tarn_kv_dir_close(reader);
    stop();
}

Test(kv_dir, no_link_leads_out) {
    uint8_t buf[64];
    size_t n;
    start();
    sh("mkdir %s/in && ln -s /etc %s/etc");
    sh("ln -s /etc/passwd %s/passwd && ln -s ../../etc %s/in/up");
    sh("ln -s in %s/alias && mkfifo %s/fifo");
    static const char *const outside[] = {"etc",          "etc/passwd", "passwd",
                                          "in/up/passwd", "alias",      "fifo"};
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        is(outside[i], TARN_KV_NONE);
        cr_assert_eq(kv->ops->get_partial(kv, s(outside[i]), 0, TARN_BYTES_ARRAY(buf), &n),
                     TARN_NOT_FOUND);
        cr_assert_eq(tarn_kv_set(kv, s(outside[i]), s("x")), TARN_INVALID, "%s", outside[i]);
        cr_assert_eq(tarn_kv_set_partial(kv, s(outside[i]), 1, s("x")), TARN_INVALID);
    }
    cr_assert_eq(tarn_kv_set(kv, s("alias/x"), s("x")), TARN_INVALID);
    cr_assert_eq(tarn_kv_set(kv, s("v"), s("x")), TARN_OK);
    cr_assert_eq(tarn_kv_rename(kv, s("v"), s("etc/v")), TARN_INVALID);
    cr_assert_eq(tarn_kv_rename(kv, s("v"), s("passwd")), TARN_INVALID);
    cr_assert_eq(tarn_kv_rename(kv, s("etc/hostname"), s("w")), TARN_INVALID);
    sh("test -e /etc/passwd && test ! -e /etc/v && test ! -e %s/in/x");
    struct tarn_kv_cursor cursor = {0};
    struct tarn_kv_entry e;
    cr_assert_eq(kv->ops->list(kv, s(""), &cursor, &e), TARN_OK);
    cr_assert(tarn_span_equal(e.name, s("in")));
    cr_assert_eq(kv->ops->list(kv, s(""), &cursor, &e), TARN_OK);
    cr_assert(tarn_span_equal(e.name, s("v")));
    cr_assert_eq(kv->ops->list(kv, s(""), &cursor, &e), TARN_EOF);
    stop();
}

Test(kv_dir, its_own_name_is_no_key) {
    start();
    is(".tarn-kv", TARN_KV_NONE);
    cr_assert_eq(tarn_kv_set(kv, s(".tarn-kv"), s("")), TARN_INVALID);
    cr_assert_eq(tarn_kv_set(kv, s(".tarn-kv/1"), s("")), TARN_INVALID);
    cr_assert_eq(tarn_kv_set(kv, s("a/.tarn-kv"), s("")), TARN_OK);
    struct tarn_kv_dir *second;
    cr_assert_eq(open_at(folder, false, &second), TARN_LIMIT, "one store at a time");
    cr_assert_eq(open_at("/nowhere/at/all", false, &second), TARN_NOT_FOUND);
    stop();
}

Test(kv_dir, a_batch_that_fails_is_taken_back) {
    size_t failed;
    start();
    cr_assert_eq(tarn_kv_set(kv, s("d/one"), s("1")), TARN_OK);
    cr_assert_eq(tarn_kv_set(kv, s("d/two"), s("2")), TARN_OK);
    cr_assert_eq(tarn_kv_set(kv, s("three"), s("3")), TARN_OK);
    struct tarn_kv_change changes[] = {
        {.verb = TARN_KV_SET, .key = s("d/one"), .value = s("changed")},
        {.verb = TARN_KV_SET, .key = s("new/x/y"), .value = s("new")},
        {.verb = TARN_KV_RENAME, .key = s("three"), .dest = s("d/two")},
        {.verb = TARN_KV_REMOVE, .key = s("d")},
        {.verb = TARN_KV_SET, .key = s("d"), .value = s("a value now")},
        {.verb = TARN_KV_REMOVE, .key = s("")},
        {.verb = TARN_KV_ALLOCATE, .key = s("z"), .bytes = 9},
        {.verb = TARN_KV_REMOVE, .key = s("nothing")},
    };
    cr_assert_eq(kv->ops->batch(kv, changes, 8, &failed), TARN_NOT_FOUND);
    cr_assert_eq(failed, 7);
    holds("d/one", "1");
    holds("d/two", "2");
    holds("three", "3");
    is("new", TARN_KV_NONE);
    is("z", TARN_KV_NONE);
    cr_assert_eq(kv->ops->batch(kv, changes, 7, &failed), TARN_OK);
    is("d", TARN_KV_NONE);
    is("z", TARN_KV_VALUE);
    stop();
}

Test(kv_dir, lists_more_than_it_holds_at_once) {
    char key[64], want[64];
    struct tarn_kv_cursor cursor = {0};
    struct tarn_kv_entry e;
    start();
    sh("mkdir %s/many && cd %s/many && for i in $(seq 1000 1999); do mkfifo f$i; : > g$i; done");
    for (int i = 1000; i < 2000; i++) {
        sprintf(want, "g%d", i);
        cr_assert_eq(kv->ops->list(kv, s("many"), &cursor, &e), TARN_OK, "%s", want);
        cr_assert(tarn_span_equal(e.name, s(want)), "%s", want);
        if (i % 100 == 0) { /* behind and before it */
            sprintf(key, "many/g%d", i);
            cr_assert_eq(tarn_kv_remove(kv, s(key)), TARN_OK);
        }
    }
    cr_assert_eq(kv->ops->list(kv, s("many"), &cursor, &e), TARN_EOF);
    stop();
}

/* A child writes and is killed at any moment: what is there is a value that was written, whole. */
Test(kv_dir, killed_at_any_moment, .timeout = 60) {
    static char value[20000];
    start();
    tarn_kv_dir_close(dir);
    for (int round = 0; round < 20; round++) {
        pid_t child = fork();
        if (child == 0) {
            if (open_at(folder, false, &dir) != TARN_OK)
                _exit(1);
            kv = tarn_kv_dir_kv(dir);
            for (unsigned i = 0;; i++) {
                memset(value, 'a' + (int)(i % 26), sizeof value);
                if (tarn_kv_set(kv, s("deep/er/value"),
                                tarn_span_of(value, 1 + i * 611 % sizeof value)))
                    _exit(2);
            }
        }
        usleep((useconds_t)(2000 + round * 1700));
        int status;
        cr_assert(waitpid(child, &status, WNOHANG) == 0, "it ended with %d", status);
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
        cr_assert_eq(open_at(folder, false, &dir), TARN_OK);
        kv = tarn_kv_dir_kv(dir);
        sh("test -z \"$(ls -A %s/.tarn-kv)\"");
        size_t n;
        enum tarn_err err =
            kv->ops->get_partial(kv, s("deep/er/value"), 0, TARN_BYTES_ARRAY(value), &n);
        cr_assert(err == TARN_OK || err == TARN_NOT_FOUND);
        for (size_t i = 1; !err && i < n; i++)
            cr_assert_eq(value[i], value[0]);
        tarn_kv_dir_close(dir);
    }
    cr_assert_eq(open_at(folder, false, &dir), TARN_OK);
    stop();
}

/* Batch n of the test below: every kind of change, and each key says n. */
static enum tarn_err batch_of(unsigned n) {
    char number[16];
    size_t failed;
    sprintf(number, "%u", n);
    struct tarn_kv_change changes[] = {
        {.verb = TARN_KV_SET, .key = s("a"), .value = s(number)},
        {.verb = TARN_KV_RENAME, .key = s(n % 2 ? "r0" : "r1"), .dest = s(n % 2 ? "r1" : "r0")},
        {.verb = TARN_KV_SET, .key = s(n % 2 ? "r0" : "r1"), .value = s(number)},
        {.verb = TARN_KV_REMOVE, .key = s("tree")},
        {.verb = TARN_KV_SET, .key = s("tree/of/one"), .value = s(number)},
        {.verb = TARN_KV_SET, .key = s("tree/two"), .value = s(number)},
        {.verb = TARN_KV_RENAME, .key = s("tree/of"), .dest = s("tree/or")},
        {.verb = TARN_KV_SET, .key = s("z"), .value = s(number)},
    };
    return kv->ops->batch(kv, changes, TARN_COUNT_OF(changes), &failed);
}

/* A child makes batches and is killed at any moment: each is there whole, or not at all. */
Test(kv_dir, a_batch_is_whole_when_it_is_cut_off, .timeout = 60) {
    unsigned cut_off = 0;
    start();
    cr_assert_eq(tarn_kv_set(kv, s("a"), s("0")), TARN_OK);
    cr_assert_eq(tarn_kv_set(kv, s("r0"), s("0")), TARN_OK);
    cr_assert_eq(tarn_kv_set(kv, s("r1"), s("0")), TARN_OK);
    cr_assert_eq(tarn_kv_set(kv, s("tree/or/one"), s("0")), TARN_OK);
    cr_assert_eq(tarn_kv_set(kv, s("tree/two"), s("0")), TARN_OK);
    cr_assert_eq(tarn_kv_set(kv, s("z"), s("0")), TARN_OK);
    tarn_kv_dir_close(dir);
    for (unsigned n = 0, round = 0; round < 100; round++) {
        pid_t child = fork();
        if (child == 0) {
            if (open_at(folder, false, &dir) != TARN_OK)
                _exit(1);
            kv = tarn_kv_dir_kv(dir);
            while (batch_of(++n) == TARN_OK)
                ;
            _exit(2);
        }
        usleep((useconds_t)(1500 + round * 97));
        int status;
        cr_assert(waitpid(child, &status, WNOHANG) == 0, "it ended with %d", status);
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
        char journal[64], number[16] = "";
        size_t len;
        snprintf(journal, sizeof journal, "%s/.tarn-kv/undo", folder);
        cut_off += access(journal, F_OK) == 0;
        cr_assert_eq(open_at(folder, false, &dir), TARN_OK);
        kv = tarn_kv_dir_kv(dir);
        cr_assert_eq(
            kv->ops->get_partial(kv, s("a"), 0, tarn_bytes_of(number, sizeof number - 1), &len),
            TARN_OK);
        n = (unsigned)atoi(number);
        holds(n % 2 ? "r0" : "r1", number);
        holds("tree/or/one", number);
        holds("tree/two", number);
        holds("z", number);
        is("tree/of", TARN_KV_NONE);
        tarn_kv_dir_close(dir);
    }
    cr_assert_gt(cut_off, 5, "%u", cut_off);
    cr_assert_eq(open_at(folder, false, &dir), TARN_OK);
    stop();
}
