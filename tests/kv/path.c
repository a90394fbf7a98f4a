/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <tarn/kv_path.h>

static bool ok(const char *key, const char *want) {
    struct tarn_span out;
    bool valid = tarn_kv_path_canonical(tarn_span_str(key), &out);
    if (valid)
        cr_assert(tarn_span_equal(out, tarn_span_str(want)), "%s", key);
    return valid;
}

Test(path, keys_have_one_spelling) {
    cr_assert(ok("", "") && ok("/", "") && ok("a", "a") && ok("/a", "a") && ok("a/b", "a/b"));
    cr_assert(ok("...", "...") && ok(".a/b..", ".a/b..") && ok("a b/\xff", "a b/\xff"));
}

Test(path, empty_and_dot_segments_are_refused) {
    static const char *const bad[] = {"//", "//a", "a//b", "a/",   "/a/",   ".",
                                      "..", "/.",  "a/..", "../a", "a/./b", "a/../b"};
    struct tarn_span out;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert(!ok(bad[i], ""), "%s", bad[i]);
    cr_assert(!tarn_kv_path_canonical(TARN_SPAN_LIT("a\0b"), &out));
}

Test(path, segments_come_one_by_one) {
    struct tarn_span key = TARN_SPAN_LIT("a/bc/d"), seg;
    cr_assert(tarn_kv_path_next(&key, &seg) && tarn_span_equal(seg, TARN_SPAN_LIT("a")));
    cr_assert(tarn_kv_path_next(&key, &seg) && tarn_span_equal(seg, TARN_SPAN_LIT("bc")));
    cr_assert(tarn_kv_path_next(&key, &seg) && tarn_span_equal(seg, TARN_SPAN_LIT("d")));
    cr_assert(!tarn_kv_path_next(&key, &seg) && key.len == 0);
    key = TARN_SPAN_LIT("a/..");
    cr_assert(tarn_kv_path_next(&key, &seg));
    cr_assert(!tarn_kv_path_next(&key, &seg) && key.len != 0);
}

Test(path, what_is_below_a_key_follows_it_in_order) {
    static const char *const sorted[] = {"", "a", "a/b", "a/b/c", "a/c", "a!", "a.b", "b", "\xff"};
    for (size_t i = 0; i < sizeof sorted / sizeof sorted[0]; i++) {
        for (size_t j = 0; j < sizeof sorted / sizeof sorted[0]; j++) {
            int order = tarn_kv_path_compare(tarn_span_str(sorted[i]), tarn_span_str(sorted[j]));
            cr_assert_eq((order > 0) - (order < 0), (i > j) - (i < j), "%s %s", sorted[i],
                         sorted[j]);
        }
    }
    cr_assert(tarn_kv_path_below(TARN_SPAN_LIT("a/b"), TARN_SPAN_LIT("a")));
    cr_assert(!tarn_kv_path_below(TARN_SPAN_LIT("ab"), TARN_SPAN_LIT("a")));
    cr_assert(!tarn_kv_path_below(TARN_SPAN_LIT("a"), TARN_SPAN_LIT("a")));
    cr_assert(tarn_kv_path_below(TARN_SPAN_LIT("a"), TARN_SPAN_LIT("")));
}
