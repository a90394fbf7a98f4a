/* SPDX-License-Identifier: ISC */
#include "conformance.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tarn/kv_tar.h>
#include <unistd.h>

static long outstanding, budget = 1 << 30;
static void *heap_get(struct tarn_alloc *a, size_t bytes, size_t align) {
    (void)a, (void)align;
    if ((long)bytes > budget)
        return NULL;
    budget -= (long)bytes;
    outstanding += (long)bytes;
    return calloc(1, bytes);
}
static void heap_put(struct tarn_alloc *a, void *ptr, size_t bytes) {
    (void)a;
    budget += (long)bytes;
    outstanding -= (long)bytes;
    free(ptr);
}
static const struct tarn_alloc_ops heap_ops = {heap_get, heap_put};
static struct tarn_alloc heap = {&heap_ops};

/* An archive under construction. */
static uint8_t ar[1 << 20];
static size_t ar_len;

static void seal(uint8_t *h) {
    unsigned sum = 0;
    memset(h + 148, ' ', 8);
    for (unsigned i = 0; i < 512; i++)
        sum += h[i];
    snprintf((char *)h + 148, 8, "%06o", sum);
}

static uint8_t *member(char type, const char *name, const char *data, size_t len, int64_t mtime) {
    uint8_t *h = ar + ar_len;
    memset(h, 0, 512 + len + 512);
    strncpy((char *)h, name, 100);
    memcpy(h + 100, "0000644\0000000000\0000000000", 24);
    snprintf((char *)h + 124, 12, "%011o", (unsigned)len);
    snprintf((char *)h + 136, 12, "%011llo", (unsigned long long)mtime);
    h[156] = (uint8_t)type;
    memcpy(h + 257, "ustar\00000", 8);
    if (len)
        memcpy(h + 512, data, len);
    seal(h);
    ar_len += 512 + (len + 511) / 512 * 512;
    return h;
}
static uint8_t *file(const char *name, const char *data) {
    return member('0', name, data, strlen(data), 1);
}
static void end(void) {
    memset(ar + ar_len, 0, 1024);
    ar_len += 1024;
}
static void begin(void) {
    ar_len = 0;
    outstanding = 0;
}

static struct tarn_kv_tar *open_tar(void) {
    struct tarn_kv_tar_config config = {&heap, {ar, ar_len}};
    struct tarn_kv_tar_error error;
    struct tarn_kv_tar *tar = NULL;
    enum tarn_err err = tarn_kv_tar_new(&config, &error, &tar);
    cr_assert_eq(err, TARN_OK, "%s: %s at %llu", tarn_err_name(err), error.why,
                 (unsigned long long)error.offset);
    return tar;
}

static void refused_at(const char *why, uint64_t offset) {
    uint8_t *exact = malloc(ar_len ? ar_len : 1); /* so that a read behind it is seen */
    memcpy(exact, ar, ar_len);
    struct tarn_kv_tar_config config = {&heap, {exact, ar_len}};
    struct tarn_kv_tar_error error;
    struct tarn_kv_tar *tar;
    cr_assert_eq(tarn_kv_tar_new(&config, &error, &tar), TARN_PEER);
    cr_assert_str_eq(error.why, why);
    cr_assert_eq(error.offset, offset);
    cr_assert_eq(outstanding, 0);
    free(exact);
}

static void has(struct tarn_kv_tar *tar, const char *key, const char *value) {
    struct tarn_kv *kv = tarn_kv_tar_kv(tar);
    struct tarn_span got;
    cr_assert_eq(kv->ops->borrow(kv, tarn_span_str(key), &got), TARN_OK, "%s", key);
    cr_assert(tarn_span_equal(got, tarn_span_str(value)), "%s", key);
}

Test(tar, conforms_to_kv) {
    begin();
    for (size_t i = 0; i < kv_sample_count; i++)
        member('0', kv_sample[i].path, kv_sample[i].value, strlen(kv_sample[i].value),
               kv_sample[i].mtime);
    end();
    struct tarn_kv_tar *tar = open_tar();
    cr_assert_eq(tarn_kv_tar_count(tar), kv_sample_count);
    kv_conformance_ro(tarn_kv_tar_kv(tar), true);
    tarn_kv_tar_delete(tar);
    cr_assert_eq(outstanding, 0);
}

Test(tar, values_are_borrowed_where_they_lie) {
    struct tarn_span got;
    begin();
    file("a", "value");
    end();
    struct tarn_kv_tar *tar = open_tar();
    struct tarn_kv *kv = tarn_kv_tar_kv(tar);
    cr_assert_eq(kv->ops->borrow(kv, TARN_SPAN_LIT("a"), &got), TARN_OK);
    cr_assert_eq(got.ptr, ar + 512);
    tarn_kv_tar_delete(tar);
}

Test(tar, spellings_of_archivers_mean_the_same_path) {
    begin();
    member('5', "./", "", 0, 1);
    member('5', "./dir/", "", 0, 1);
    file("./a", "1");
    file("/b", "2");
    file("dir//c", "3");
    file("./dir/./d", "4");
    uint8_t *h = file("leaf", "5");
    strcpy((char *)h + 345, "long/prefix");
    seal(h);
    end();
    struct tarn_kv_tar *tar = open_tar();
    has(tar, "a", "1");
    has(tar, "b", "2");
    has(tar, "dir/c", "3");
    has(tar, "dir/d", "4");
    has(tar, "long/prefix/leaf", "5");
    cr_assert_eq(tarn_kv_tar_count(tar), 5);
    tarn_kv_tar_delete(tar);
    cr_assert_eq(outstanding, 0);
}

Test(tar, an_empty_directory_does_not_exist_and_an_empty_archive_has_a_root) {
    enum tarn_kv_kind kind;
    struct tarn_kv_entry e;
    struct tarn_kv_cursor cursor = {0};
    begin();
    member('5', "dir/", "", 0, 1);
    end();
    struct tarn_kv_tar *tar = open_tar();
    struct tarn_kv *kv = tarn_kv_tar_kv(tar);
    cr_assert_eq(kv->ops->exists(kv, TARN_SPAN_LIT("dir"), &kind), TARN_OK);
    cr_assert_eq(kind, TARN_KV_NONE);
    cr_assert_eq(kv->ops->exists(kv, TARN_SPAN_LIT(""), &kind), TARN_OK);
    cr_assert_eq(kind, TARN_KV_DICTIONARY);
    cr_assert_eq(kv->ops->list(kv, TARN_SPAN_EMPTY, &cursor, &e), TARN_EOF);
    tarn_kv_tar_delete(tar);
}

Test(tar, of_two_members_with_one_name_the_later_counts) {
    begin();
    file("a", "old");
    file("b", "b");
    file("./a", "new");
    end();
    struct tarn_kv_tar *tar = open_tar();
    has(tar, "a", "new");
    cr_assert_eq(tarn_kv_tar_count(tar), 2);
    tarn_kv_tar_delete(tar);
}

Test(tar, pax_path_size_and_mtime_replace_the_headers) {
    static const char records[] = "18 path=very/long\n18 mtime=-12.3456\n9 size=5\n14 comment=no\n";
    int64_t mtime;
    begin();
    member('x', "ignored", records, sizeof records - 1, 0);
    uint8_t *h = file("short", "12345");
    memset(h + 124, '0', 11); /* the size of the header itself says 0 */
    seal(h);
    static const char global[] = "12 mtime=99\n";
    member('g', "ignored", global, sizeof global - 1, 0);
    file("next", "n");
    end();
    struct tarn_kv_tar *tar = open_tar();
    struct tarn_kv *kv = tarn_kv_tar_kv(tar);
    has(tar, "very/long", "12345");
    cr_assert_eq(kv->ops->last_modified(kv, TARN_SPAN_LIT("very/long"), &mtime), TARN_OK);
    cr_assert_eq(mtime, -12);
    has(tar, "next", "n");
    cr_assert_eq(kv->ops->last_modified(kv, TARN_SPAN_LIT("next"), &mtime), TARN_OK);
    cr_assert_eq(mtime, 99);
    tarn_kv_tar_delete(tar);
}

Test(tar, gnu_long_names_and_base256_numbers) {
    char name[200] = "d/";
    begin();
    memset(name + 2, 'n', 150);
    uint8_t *h = member('L', "././@LongLink", name, strlen(name) + 1, 0);
    memcpy(h + 257, "ustar  \0", 8);
    seal(h);
    h = file("d/nnn", "gnu");
    memcpy(h + 257, "ustar  \0", 8);
    memcpy(h + 345, "not a prefix", 12);
    memset(h + 124, 0, 12);
    h[124] = 0x80;
    h[135] = 3;
    seal(h);
    end();
    struct tarn_kv_tar *tar = open_tar();
    has(tar, name, "gnu");
    tarn_kv_tar_delete(tar);
}

Test(tar, every_single_broken_header_is_refused_with_its_place_and_reason) {
    begin();
    refused_at("the archive has no end mark", 0);
    begin();
    file("a", "1");
    refused_at("the archive has no end mark", 1024);
    ar_len += 512;
    memset(ar + 1024, 0, 512);
    refused_at("the end mark is one block of zeroes, not two", 1024);

    begin();
    file("a", "1");
    file("b", "2")[0] ^= 1;
    end();
    refused_at("the header's checksum does not match", 1024);

    begin();
    file("a", "1");
    ar_len -= 1;
    refused_at("the archive ends inside a member", 0);

    begin();
    uint8_t *h = file("a", "1");
    memcpy(h + 257, "old tar.", 8);
    seal(h);
    end();
    refused_at("the header is not ustar, pax or GNU", 0);

    begin();
    h = file("a", "1");
    memcpy(h + 124, "00000000009", 11);
    seal(h);
    end();
    refused_at("the size is not a number", 0);

    begin();
    h = file("a", "1");
    memset(h + 124, 0xff, 12);
    seal(h);
    end();
    refused_at("the size is not a number", 0);

    begin();
    h = file("a", "1");
    memcpy(h + 136, "xx", 2);
    seal(h);
    end();
    refused_at("the mtime is not a number", 0);
}

Test(tar, members_without_meaning_in_a_store_are_refused) {
    static const struct {
        char type;
        const char *name, *why;
    } cases[] = {
        {'1', "a", "links are not supported"},
        {'2', "a", "links are not supported"},
        {'3', "a", "devices and pipes are not supported"},
        {'6', "a", "devices and pipes are not supported"},
        {'Z', "a", "the type of a member is not known"},
        {'0', "../a", "a path has a '..' segment or a NUL"},
        {'0', "a/../b", "a path has a '..' segment or a NUL"},
        {'5', "a/..", "a path has a '..' segment or a NUL"},
        {'0', "", "a file has no name"},
        {'0', "./", "a file has no name"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin();
        file("fine", "1");
        member(cases[i].type, cases[i].name, "", 0, 1);
        end();
        refused_at(cases[i].why, 1024);
    }
    begin();
    file("fine", "1");
    file("a/b", "1");
    file("a", "1");
    end();
    refused_at("a name is both a file and a directory", 2048);
}

Test(tar, broken_pax_records_are_refused) {
    static const char *const records[] = {"x path=a\n",  "99 path=a\n", "9 path=a", "8 path=a\n",
                                          "11 path=a\n", "3 \n",        "6 path\n", "5 =a\n",
                                          "0 path=a\n",  "\n"};
    for (size_t i = 0; i < sizeof records / sizeof records[0]; i++) {
        begin();
        member('x', "x", records[i], strlen(records[i]), 0);
        file("a", "1");
        end();
        refused_at("a pax record is malformed", 0);
    }
    begin();
    member('x', "x", "10 size=x\n", 10, 0);
    file("a", "1");
    end();
    refused_at("a pax size is not a number", 0);
    begin();
    member('x', "x", "11 mtime=x\n", 11, 0);
    file("a", "1");
    end();
    refused_at("a pax mtime is not a number", 0);
    begin();
    member('g', "x", "10 path=a\n", 10, 0);
    file("a", "1");
    end();
    refused_at("a global pax header has a path or a size", 0);
    begin();
    member('x', "x", "10 path=a\n", 10, 0);
    end();
    refused_at("an extended header has no member behind it", 1024);
}

Test(tar, every_truncation_is_refused) {
    begin();
    member('x', "x", "10 path=a\n", 10, 0);
    file("b", "value");
    file("c", "value");
    end();
    size_t whole = ar_len;
    for (size_t n = 0; n < whole; n++) {
        struct tarn_kv_tar_error error;
        struct tarn_kv_tar *tar;
        uint8_t *exact = malloc(n ? n : 1);
        memcpy(exact, ar, n);
        struct tarn_kv_tar_config config = {&heap, {exact, n}};
        cr_assert_eq(tarn_kv_tar_new(&config, &error, &tar), TARN_PEER, "%zu bytes", n);
        free(exact);
    }
}

Test(tar, shortage_of_memory_is_a_limit_and_leaks_nothing) {
    struct tarn_kv_tar_error error;
    struct tarn_kv_tar *tar;
    begin();
    file("dir//a", "1");
    end();
    struct tarn_kv_tar_config config = {&heap, {ar, ar_len}};
    tar = open_tar();
    long whole = outstanding;
    tarn_kv_tar_delete(tar);
    for (long b = 0; b < whole; b++) {
        budget = b;
        cr_assert_eq(tarn_kv_tar_new(&config, &error, &tar), TARN_LIMIT);
        cr_assert_eq(outstanding, 0);
    }
    budget = 1 << 30;
}

Test(tar, a_thousand_files_in_any_order_are_found) {
    char name[40];
    begin();
    for (unsigned i = 0; i < 900; i++) {
        snprintf(name, sizeof name, "d%u/f%u", i * 7919 % 30, i * 7919 % 900);
        file(name, name);
    }
    end();
    struct tarn_kv_tar *tar = open_tar();
    for (unsigned i = 0; i < 900; i++) {
        snprintf(name, sizeof name, "d%u/f%u", i * 7919 % 30, i * 7919 % 900);
        has(tar, name, name);
    }
    tarn_kv_tar_delete(tar);
}

/* The archiver that people have: every format it writes, with a name too long for one header. */
Test(tar, reads_what_gnu_tar_writes) {
    static const char *const formats[] = {"ustar", "pax", "posix", "gnu"};
    char dir[] = "/tmp/tarn-kv-XXXXXX", cmd[512];
    cr_assert_not_null(mkdtemp(dir));
    snprintf(cmd, sizeof cmd,
             "cd %s && mkdir -p %0100d/sub && printf long > %0100d/sub/leaf && printf top > top",
             dir, 7, 7);
    cr_assert_eq(system(cmd), 0);
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        snprintf(cmd, sizeof cmd, "tar -C %s --format=%s -cf - . 2>/dev/null", dir, formats[i]);
        FILE *f = popen(cmd, "r");
        ar_len = fread(ar, 1, sizeof ar, f);
        if (pclose(f) != 0)
            cr_skip_test("there is no GNU tar here");
        struct tarn_kv_tar *tar = open_tar();
        snprintf(cmd, sizeof cmd, "%0100d/sub/leaf", 7);
        has(tar, "top", "top");
        has(tar, cmd, "long");
        cr_assert_eq(tarn_kv_tar_count(tar), 2);
        tarn_kv_tar_delete(tar);
    }
    snprintf(cmd, sizeof cmd, "rm -r %s", dir);
    cr_assert_eq(system(cmd), 0);
}
