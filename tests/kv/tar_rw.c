/* SPDX-License-Identifier: ISC */
#include "conformance.h"
#include "rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct rig rig;
static struct tarn_kv_tar_rw *tar;
static struct tarn_kv *kv;

static struct tarn_span s(const char *text) {
    return tarn_span_str(text);
}
static void open_it(void) {
    struct tarn_kv_tar_rw_config config = rig_tar(&rig);
    struct tarn_kv_tar_error error;
    cr_assert_eq(tarn_kv_tar_rw_open(&config, &error, &tar), TARN_OK, "%s at %llu", error.why,
                 (unsigned long long)error.offset);
    kv = tarn_kv_tar_rw_kv(tar);
}
static void start(size_t bytes) {
    rig_init(&rig, bytes);
    struct tarn_kv_tar_rw_config config = rig_tar(&rig);
    cr_assert_eq(tarn_kv_tar_rw_format(&config), TARN_OK);
    open_it();
}
static void reopen(void) {
    tarn_kv_tar_rw_close(tar);
    open_it();
}
/* What is on the device is an archive to the other reader, too, end mark and all. */
static void sound(void) {
    struct tarn_kv_tar_config config = {&rig.alloc, {rig.bytes, rig.len}};
    struct tarn_kv_tar_error error;
    struct tarn_kv_tar *other;
    cr_assert_eq(tarn_kv_tar_new(&config, &error, &other), TARN_OK, "%s at %llu", error.why,
                 (unsigned long long)error.offset);
    tarn_kv_tar_delete(other);
}
static void stop(void) {
    sound();
    tarn_kv_tar_rw_close(tar);
    rig_done(&rig);
}

Test(tar_rw, conforms) {
    static const struct kv_lacks lacks = {.snapshots = true, .times_before = INT64_MIN};
    uint64_t free_bytes;
    start(2 << 20);
    kv_conformance_rw_but(kv, RIG_NOW, &lacks);
    sound();
    cr_assert_eq(tarn_kv_tar_rw_bytes(tar, &free_bytes), 1024, "empty again");
    reopen();
    kv_conformance_rw_but(kv, RIG_NOW, &lacks);
    stop();
}

/* -- against a model ------------------------------------------------------------------------------
 */

enum { KEYS = 30, LARGEST = 5000 };
static uint32_t model[KEYS];

static uint32_t dice(uint32_t n) {
    return tarn_random_below(&rig.random.random, n);
}
static void key_of(unsigned i, char *out) {
    sprintf(out, "%s%u/%u",
            i % 4 ? "dir"
                  : "a directory whose name is longer than all that fits "
                    "into the hundred bytes of a header without help, ",
            i % 5, i);
}
static size_t value_of(uint32_t seed, uint8_t *out) {
    size_t len = seed % LARGEST;
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(seed + i * 7 + (i >> 8));
    return len;
}
static bool holds(unsigned i, uint32_t seed) {
    static uint8_t want[LARGEST], got[LARGEST + 1];
    char key[200];
    size_t n;
    key_of(i, key);
    enum tarn_err err = kv->ops->get_partial(kv, s(key), 0, TARN_BYTES_ARRAY(got), &n);
    cr_assert(err == TARN_OK || err == TARN_NOT_FOUND, "%s", key);
    if (err || !seed)
        return err && !seed;
    return n == value_of(seed, want) && !memcmp(want, got, n);
}

struct stepped {
    unsigned from, to;
    bool renamed;
};
static struct stepped step(uint32_t *now) {
    static uint8_t value[LARGEST];
    unsigned a = dice(KEYS), b = dice(KEYS);
    char key[200], dest[200];
    struct stepped done = {a, b, false};
    key_of(a, key);
    key_of(b, dest);
    if (now[a] && a != b && dice(3) == 0) {
        cr_assert_eq(tarn_kv_rename(kv, s(key), s(dest)), TARN_OK);
        now[b] = now[a];
        now[a] = 0;
        done.renamed = true;
    } else if (now[a] && dice(3) == 0) {
        cr_assert_eq(tarn_kv_remove(kv, s(key)), TARN_OK);
        now[a] = 0;
    } else {
        now[a] = dice(1 << 30) | 1;
        cr_assert_eq(tarn_kv_set(kv, s(key), tarn_span_of(value, value_of(now[a], value))),
                     TARN_OK);
    }
    return done;
}

Test(tar_rw, random_changes_agree_with_a_model) {
    start(1 << 20);
    for (int i = 0; i < 1500; i++) {
        step(model);
        if (i % 100)
            continue;
        sound();
        if (i % 200 == 0)
            reopen();
        for (unsigned k = 0; k < KEYS; k++)
            cr_assert(holds(k, model[k]), "step %d key %u", i, k);
    }
    stop();
}

Test(tar_rw, room_is_used_again) {
    static uint8_t value[3000];
    uint64_t free_bytes;
    char key[16];
    start(64 << 10);
    for (int i = 0; i < 1000; i++) {
        sprintf(key, "k%d", i % 10);
        cr_assert_eq(tarn_kv_set(kv, s(key), tarn_span_of(value, 1000 + i % 3 * 512)), TARN_OK,
                     "%d", i);
    }
    cr_assert_eq(tarn_kv_remove(kv, s("k9")), TARN_OK);
    cr_assert(tarn_kv_tar_rw_bytes(tar, &free_bytes) <= 64 << 10);
    enum tarn_err err = TARN_OK;
    for (int i = 0; !err; i++) {
        sprintf(key, "more%d", i);
        err = tarn_kv_set(kv, s(key), TARN_SPAN_ARRAY(value));
    }
    cr_assert_eq(err, TARN_LIMIT);
    sound();
    cr_assert_eq(tarn_kv_remove(kv, s("")), TARN_OK);
    cr_assert_eq(tarn_kv_tar_rw_bytes(tar, &free_bytes), 1024);
    stop();
}

Test(tar_rw, its_own_name_is_no_key) {
    enum tarn_kv_kind kind;
    struct tarn_kv_cursor cursor = {0};
    struct tarn_kv_entry e;
    start(64 << 10);
    cr_assert_eq(tarn_kv_set(kv, s("a"), s("1")), TARN_OK);
    cr_assert_eq(tarn_kv_set(kv, s("b"), s("2")), TARN_OK);
    cr_assert_eq(tarn_kv_remove(kv, s("a")), TARN_OK);
    cr_assert_str_eq((const char *)rig.bytes, ".tarn-kv/free", "what others see");
    reopen();
    cr_assert_eq(kv->ops->exists(kv, s(".tarn-kv/free"), &kind), TARN_OK);
    cr_assert_eq(kind, TARN_KV_NONE);
    cr_assert_eq(tarn_kv_set(kv, s(".tarn-kv/x"), s("")), TARN_INVALID);
    cr_assert_eq(kv->ops->list(kv, s(""), &cursor, &e), TARN_OK);
    cr_assert(tarn_span_equal(e.name, s("b")));
    cr_assert_eq(kv->ops->list(kv, s(""), &cursor, &e), TARN_EOF);
    stop();
}

/* -- losing power ---------------------------------------------------------------------------------
 */

enum { STEPS = 100, IMAGE = 256 << 10 };
static uint32_t states[STEPS + 1][KEYS];
static struct stepped steps[STEPS + 1];
static size_t acked_at[STEPS + 1];

static void recovers(const uint8_t *image, size_t n) {
    size_t next = n < STEPS ? n + 1 : n;
    bool before = true, after = true, both = steps[next].renamed;
    memcpy(rig.bytes, image, IMAGE);
    open_it();
    for (unsigned i = 0; i < KEYS; i++) {
        bool was = holds(i, states[n][i]), is = holds(i, states[next][i]);
        before &= was;
        after &= is;
        both &= i == steps[next].to ? is : i == steps[next].from ? was : true;
    }
    cr_assert(before || after || both, "state %zu: neither as before nor as after", n);
    /* And it goes on from there. */
    cr_assert_eq(tarn_kv_set(kv, s("after"), s("all")), TARN_OK);
    sound();
    tarn_kv_tar_rw_close(tar);
}

static void cut(const uint8_t *durable, size_t from, size_t to, size_t n) {
    static uint8_t image[IMAGE];
    for (unsigned turn = 0; turn < 5; turn++) {
        memcpy(image, durable, IMAGE);
        if (turn != 1)
            rig_store(&rig, image, from, to, turn > 1);
        recovers(image, n);
    }
}

Test(tar_rw, every_cut_leaves_an_archive) {
    static uint8_t durable[IMAGE];
    size_t from = 0, n = 0;
    start(IMAGE);
    memcpy(durable, rig.bytes, IMAGE);
    rig.record = true;
    for (size_t i = 0; i < STEPS; i++) {
        memcpy(states[i + 1], states[i], sizeof states[i]);
        steps[i + 1] = step(states[i + 1]);
        acked_at[i + 1] = rig.trace_len;
    }
    rig.record = false;
    tarn_kv_tar_rw_close(tar);
    for (size_t to = 0; to <= rig.trace_len; to++) {
        while (n < STEPS && acked_at[n + 1] <= to)
            n++;
        cut(durable, from, to, n);
        if (to == rig.trace_len || rig.trace[to].block != UINT64_MAX)
            continue;
        rig_store(&rig, durable, from, to, false);
        from = to + 1;
    }
    rig_done(&rig);
}

/* -- others ---------------------------------------------------------------------------------------
 */

static char folder[] = "/tmp/tarn-tar-rw-XXXXXX";

static int sh(const char *command) {
    char line[600];
    snprintf(line, sizeof line, "cd %s && %s", folder, command);
    return system(line);
}
static void file_write(const char *name, const uint8_t *bytes, size_t len) {
    char path[100];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    cr_assert(f && fwrite(bytes, 1, len, f) == len && fclose(f) == 0);
}

/* Both programs unpack what is on the device, and it is what the store says. */
static void others_read(const char *program) {
    char command[300];
    snprintf(command, sizeof command,
             "rm -rf out && mkdir out && %s -xf archive -C out 2>err && "
             "test ! -s err && rm -rf out/.tarn-kv",
             program);
    file_write("archive", rig.bytes, rig.len);
    cr_assert_eq(sh(command), 0, "%s", program);
    for (unsigned i = 0; i < KEYS; i++) {
        static uint8_t value[LARGEST];
        char key[200], path[300];
        struct stat st;
        key_of(i, key);
        snprintf(path, sizeof path, "%s/out/%s", folder, key);
        cr_assert_eq(stat(path, &st) == 0, model[i] != 0, "%s %s", program, key);
        if (!model[i])
            continue;
        FILE *f = fopen(path, "rb");
        static uint8_t got[LARGEST + 1];
        size_t n = fread(got, 1, sizeof got, f);
        fclose(f);
        cr_assert_eq(n, value_of(model[i], value), "%s %s", program, key);
        cr_assert_arr_eq(got, value, n);
        cr_assert_eq(st.st_mtime, RIG_NOW);
    }
}

Test(tar_rw, gnu_tar_and_bsdtar_read_it) {
    start(1 << 20);
    cr_assert(mkdtemp(folder));
    for (int i = 0; i < 200; i++)
        step(model);
    others_read("tar");
    if (sh("command -v bsdtar >/dev/null") == 0)
        others_read("bsdtar");
    sh("rm -rf out archive err");
    rmdir(folder);
    stop();
}

Test(tar_rw, theirs_are_read_and_changed) {
    static const char *const makers[] = {"tar --format=gnu", "tar --format=pax",
                                         "tar --format=ustar", "bsdtar --format=pax",
                                         "bsdtar --format=gnutar"};
    cr_assert(mkdtemp(folder));
    cr_assert_eq(
        sh("mkdir -p in/d && printf one > in/d/one && printf two > in/two && "
           "mkdir -p in/$(printf 'n%.0s' $(seq 90)) && cd in/n* && printf 3 > three-is-longer"),
        0);
    for (size_t i = 0; i < sizeof makers / sizeof makers[0]; i++) {
        char command[200], path[100];
        if (!strncmp(makers[i], "bsdtar", 6) && sh("command -v bsdtar >/dev/null"))
            continue;
        snprintf(command, sizeof command, "%s -cf made -C in .", makers[i]);
        cr_assert_eq(sh(command), 0);
        rig_init(&rig, 256 << 10);
        snprintf(path, sizeof path, "%s/made", folder);
        FILE *f = fopen(path, "rb");
        cr_assert(f && fread(rig.bytes, 1, rig.len, f) > 0);
        fclose(f);
        open_it();
        uint8_t buf[16];
        size_t n;
        cr_assert_eq(kv->ops->get_partial(kv, s("d/one"), 0, TARN_BYTES_ARRAY(buf), &n), TARN_OK,
                     "%s", makers[i]);
        cr_assert(tarn_span_equal(tarn_span_of(buf, n), s("one")));
        cr_assert_eq(tarn_kv_set(kv, s("d/one"), s("changed")), TARN_OK);
        cr_assert_eq(tarn_kv_rename(kv, s("two"), s("d/renamed")), TARN_OK);
        sound();
        file_write("archive", rig.bytes, rig.len);
        cr_assert_eq(
            sh("rm -rf out && mkdir out && tar -xf archive -C out && "
               "test \"$(cat out/d/one)\" = changed && test \"$(cat out/d/renamed)\" = two && "
               "test ! -e out/two && test \"$(cat out/n*/three-is-longer)\" = 3"),
            0, "%s", makers[i]);
        stop();
    }
    sh("rm -rf in out archive made");
    rmdir(folder);
}
