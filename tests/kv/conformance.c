/* SPDX-License-Identifier: ISC */
#include "conformance.h"

#include <criterion/criterion.h>
#include <string.h>

const struct kv_sample kv_sample[] = {
    {"index.html", "<html>", 1000}, {"a/b.txt", "below", 3000}, {"a.txt", "beside", 2000},
    {"a/c/deep", "deeper", 500},    {"empty", "", 42},          {"z/one", "same", 7},
    {"z/two", "same", 8},           {"a-", "sorts between", 1}, {"\xc3\xa9t\xc3\xa9", "utf-8", 5},
};
const size_t kv_sample_count = sizeof kv_sample / sizeof kv_sample[0];

static struct tarn_span s(const char *text) {
    return tarn_span_str(text);
}

static void values_are_whole(struct tarn_kv *kv, const struct kv_sample *k, bool borrows,
                             int64_t times_before) {
    enum tarn_kv_kind kind;
    struct tarn_span value;
    size_t len = strlen(k->value), n;
    int64_t mtime;
    uint64_t bytes;
    char buf[64];
    cr_assert_eq(kv->ops->exists(kv, s(k->path), &kind), TARN_OK);
    cr_assert_eq(kind, TARN_KV_VALUE, "%s", k->path);
    cr_assert_eq(kv->ops->size(kv, s(k->path), &bytes), TARN_OK);
    cr_assert_eq(bytes, len);
    enum tarn_err err = kv->ops->borrow(kv, s(k->path), &value);
    cr_assert_eq(err, borrows ? TARN_OK : TARN_UNSUPPORTED);
    if (borrows)
        cr_assert(tarn_span_equal(value, s(k->value)));
    for (size_t off = 0; off <= len + 2; off++) {
        cr_assert_eq(kv->ops->get_partial(kv, s(k->path), off, tarn_bytes_of(buf, 3), &n), TARN_OK);
        size_t want = off >= len ? 0 : len - off < 3 ? len - off : 3;
        cr_assert_eq(n, want);
        cr_assert_arr_eq(buf, k->value + (off < len ? off : 0), n);
    }
    cr_assert_eq(kv->ops->get_partial(kv, s(k->path), UINT64_MAX, TARN_BYTES_ARRAY(buf), &n),
                 TARN_OK);
    cr_assert_eq(n, 0);
    cr_assert_eq(kv->ops->last_modified(kv, s(k->path), &mtime), TARN_OK);
    cr_assert_eq(mtime, k->mtime < times_before ? times_before : k->mtime);
    /* A leading slash means nothing. */
    buf[0] = '/';
    strcpy(buf + 1, k->path);
    cr_assert_eq(kv->ops->size(kv, s(buf), &bytes), TARN_OK);
}

static void listing_is(struct tarn_kv *kv, const char *dir, const char *want) {
    struct tarn_kv_cursor cursor = {0};
    struct tarn_kv_entry e;
    char got[256] = "";
    enum tarn_err err;
    while ((err = kv->ops->list(kv, s(dir), &cursor, &e)) == TARN_OK) {
        strncat(got, (const char *)e.name.ptr, e.name.len);
        strcat(got, e.kind == TARN_KV_DICTIONARY ? "/ " : " ");
        cr_assert(!e.value.ptr || e.kind == TARN_KV_VALUE);
    }
    cr_assert_eq(err, TARN_EOF);
    cr_assert_str_eq(got, want);
    cr_assert_eq(kv->ops->list(kv, s(dir), &cursor, &e), TARN_EOF);
}

static void range_starts_at(struct tarn_kv *kv, const char *dir, const char *from,
                            const char *want) {
    struct tarn_kv_cursor cursor = {0};
    struct tarn_kv_entry e;
    tarn_kv_cursor_seek(&cursor, s(from));
    enum tarn_err err = kv->ops->list(kv, s(dir), &cursor, &e);
    cr_assert_eq(err, want ? TARN_OK : TARN_EOF, "%s from %s", dir, from);
    cr_assert(!want || tarn_span_equal(e.name, s(want)), "%s from %s", dir, from);
}

static void every_op_answers(struct tarn_kv *kv, const char *key, enum tarn_err want) {
    uint8_t digest[TARN_KV_DIGEST_BYTES];
    struct tarn_span value;
    uint64_t bytes;
    char buf[8];
    size_t n;
    cr_assert_eq(kv->ops->size(kv, s(key), &bytes), want, "%s", key);
    cr_assert_eq(kv->ops->get_partial(kv, s(key), 0, TARN_BYTES_ARRAY(buf), &n), want);
    enum tarn_err err = kv->ops->borrow(kv, s(key), &value);
    cr_assert(err == want || err == TARN_UNSUPPORTED);
    cr_assert_eq(kv->ops->digest(kv, s(key), digest), want);
}

static void digests_tell_values_apart(struct tarn_kv *kv) {
    uint8_t a[TARN_KV_DIGEST_BYTES], b[TARN_KV_DIGEST_BYTES];
    cr_assert_eq(kv->ops->digest(kv, s("z/one"), a), TARN_OK);
    cr_assert_eq(kv->ops->digest(kv, s("z/one"), b), TARN_OK);
    cr_assert_arr_eq(a, b, sizeof a);
    cr_assert_eq(kv->ops->digest(kv, s("a.txt"), b), TARN_OK);
    for (size_t i = 0; i < sizeof a; i += 8)
        cr_assert_neq(memcmp(a + i, b + i, 8), 0, "half of the digest says nothing");
    cr_assert_neq(memcmp(a, a + 8, 8), 0);
    cr_assert_eq(kv->ops->digest(kv, s("z/two"), b), TARN_OK);
    cr_assert_arr_eq(a, b, sizeof a, "equal values, equal digests");
}

void kv_conformance_ro(struct tarn_kv *kv, bool borrows) {
    kv_conformance_ro_from(kv, borrows, INT64_MIN);
}

void kv_conformance_ro_from(struct tarn_kv *kv, bool borrows, int64_t times_before) {
    static const char *const bad[] = {"a/../b", "..", ".",   "a/.", "a//b",
                                      "a/",     "//", "/a/", "../x"};
    enum tarn_kv_kind kind;
    struct tarn_kv_cursor cursor = {0};
    struct tarn_kv_entry e;
    int64_t mtime;
    for (size_t i = 0; i < kv_sample_count; i++)
        values_are_whole(kv, &kv_sample[i], borrows, times_before);
    listing_is(kv, "", "a/ a- a.txt empty index.html z/ \xc3\xa9t\xc3\xa9 ");
    listing_is(kv, "/", "a/ a- a.txt empty index.html z/ \xc3\xa9t\xc3\xa9 ");
    listing_is(kv, "a", "b.txt c/ ");
    listing_is(kv, "/a/c", "deep ");
    cr_assert_eq(kv->ops->exists(kv, s("a/c"), &kind), TARN_OK);
    cr_assert_eq(kind, TARN_KV_DICTIONARY);
    cr_assert_eq(kv->ops->last_modified(kv, s("a"), &mtime), TARN_INVALID);
    cr_assert_eq(kv->ops->last_modified(kv, s(""), &mtime), TARN_INVALID);
    range_starts_at(kv, "", "", "a");
    range_starts_at(kv, "", "a", "a");
    range_starts_at(kv, "", "a!", "a-");
    range_starts_at(kv, "", "a.", "a.txt");
    range_starts_at(kv, "", "index.html", "index.html");
    range_starts_at(kv, "", "zz", "\xc3\xa9t\xc3\xa9");
    range_starts_at(kv, "", "\xff", NULL);
    range_starts_at(kv, "a", "b.txt", "b.txt");
    range_starts_at(kv, "a", "b.txtx", "c");
    range_starts_at(kv, "a", "d", NULL);
    every_op_answers(kv, "a", TARN_INVALID);
    every_op_answers(kv, "", TARN_INVALID);
    every_op_answers(kv, "a/b", TARN_NOT_FOUND);
    every_op_answers(kv, "a/b.txt/c", TARN_NOT_FOUND);
    every_op_answers(kv, "zz", TARN_NOT_FOUND);
    cr_assert_eq(kv->ops->last_modified(kv, s("nothing"), &mtime), TARN_NOT_FOUND);
    cr_assert_eq(kv->ops->list(kv, s("nothing"), &cursor, &e), TARN_NOT_FOUND);
    cr_assert_eq(kv->ops->list(kv, s("a.txt"), &cursor, &e), TARN_INVALID);
    cr_assert_eq(kv->ops->exists(kv, s("a/b"), &kind), TARN_OK);
    cr_assert_eq(kind, TARN_KV_NONE, "a prefix of a name is not the name");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        every_op_answers(kv, bad[i], TARN_INVALID);
        cr_assert_eq(kv->ops->exists(kv, s(bad[i]), &kind), TARN_INVALID, "%s", bad[i]);
        cr_assert_eq(kv->ops->list(kv, s(bad[i]), &cursor, &e), TARN_INVALID);
        cr_assert_eq(kv->ops->last_modified(kv, s(bad[i]), &mtime), TARN_INVALID);
    }
    digests_tell_values_apart(kv);
}
