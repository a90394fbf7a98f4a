/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <signal.h>
#include <tarn/span.h>

#define S(lit) TARN_SPAN_LIT(lit)

static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};

Test(span, readers_take_their_bytes_in_their_order) {
    struct tarn_span s = TARN_SPAN_ARRAY(bytes);
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    cr_assert(tarn_span_u8(&s, &u8) && u8 == 1);
    cr_assert(tarn_span_u16be(&s, &u16) && u16 == 0x0203);
    cr_assert(tarn_span_u16le(&s, &u16) && u16 == 0x0504);
    cr_assert(tarn_span_u32be(&s, &u32) && u32 == 0x06070809);
    cr_assert_eq(s.len, 0);
    s = TARN_SPAN_ARRAY(bytes);
    cr_assert(tarn_span_u32le(&s, &u32) && u32 == 0x04030201);
    s = TARN_SPAN_ARRAY(bytes);
    cr_assert(tarn_span_u64be(&s, &u64) && u64 == 0x0102030405060708u);
    s = TARN_SPAN_ARRAY(bytes);
    cr_assert(tarn_span_u64le(&s, &u64) && u64 == 0x0807060504030201u);
    cr_assert_eq(s.len, 1);
}

/* With too little, a reader answers false, and span and output are untouched. */
#define SHORT(reader, type)                                                                        \
    for (size_t n = 0; n < sizeof(type); n++) {                                                    \
        struct tarn_span s = tarn_span_of(bytes, n);                                               \
        type v = (type)0x5a5a5a5a5a5a5a5au;                                                        \
        cr_assert_not(reader(&s, &v));                                                             \
        cr_assert(s.ptr == bytes && s.len == n && v == (type)0x5a5a5a5a5a5a5a5au);                 \
    }

Test(span, a_short_span_refuses_and_stays) {
    SHORT(tarn_span_u8, uint8_t)
    SHORT(tarn_span_u16be, uint16_t)
    SHORT(tarn_span_u16le, uint16_t)
    SHORT(tarn_span_u32be, uint32_t)
    SHORT(tarn_span_u32le, uint32_t)
    SHORT(tarn_span_u64be, uint64_t)
    SHORT(tarn_span_u64le, uint64_t)
    struct tarn_span s = tarn_span_of(bytes, 3), out = S("same");
    uint8_t copy[4] = {0};
    cr_assert_not(tarn_span_skip(&s, 4));
    cr_assert_not(tarn_span_skip(&s, SIZE_MAX));
    cr_assert_not(tarn_span_take(&s, 4, &out));
    cr_assert_not(tarn_span_copy(&s, copy, 4));
    cr_assert_not(tarn_span_sub(s, 1, 3, &out));
    cr_assert_not(tarn_span_sub(s, 4, 0, &out));
    cr_assert_not(tarn_span_sub(s, 2, SIZE_MAX, &out));
    cr_assert(s.len == 3 && tarn_span_equal(out, S("same")) && copy[0] == 0);
}

Test(span, take_skip_copy_and_sub) {
    struct tarn_span s = S("abcdef"), out;
    uint8_t copy[2];
    cr_assert(tarn_span_take(&s, 2, &out) && tarn_span_equal(out, S("ab")));
    cr_assert(tarn_span_skip(&s, 1));
    cr_assert(tarn_span_copy(&s, copy, 2) && copy[0] == 'd' && copy[1] == 'e');
    cr_assert(tarn_span_equal(s, S("f")));
    cr_assert(tarn_span_sub(S("abcdef"), 2, 3, &out) && tarn_span_equal(out, S("cde")));
    cr_assert(tarn_span_sub(S("abc"), 3, 0, &out) && out.len == 0);
}

Test(span, nothing_can_be_taken_from_the_empty_span) {
    struct tarn_span s = TARN_SPAN_EMPTY, out = S("x");
    uint8_t byte;
    cr_assert(tarn_span_skip(&s, 0) && tarn_span_copy(&s, &byte, 0));
    cr_assert(tarn_span_take(&s, 0, &out) && out.len == 0);
    cr_assert(tarn_span_sub(s, 0, 0, &out));
    cr_assert(tarn_span_ends(s, s) && tarn_span_starts(s, s) && tarn_span_equal(s, s));
    cr_assert_eq(tarn_span_compare(s, s), 0);
    cr_assert_not(tarn_span_u8(&s, &byte));
    cr_assert_eq(tarn_bytes_copy((struct tarn_bytes){NULL, 0}, s), 0);
    cr_assert_eq(tarn_bytes_move((struct tarn_bytes){NULL, 0}, s), 0);
    tarn_bytes_wipe((struct tarn_bytes){NULL, 0});
}

Test(span, first_and_after_stay_inside) {
    cr_assert(tarn_span_equal(tarn_span_first(S("abc"), 2), S("ab")));
    cr_assert(tarn_span_equal(tarn_span_first(S("abc"), 9), S("abc")));
    cr_assert(tarn_span_equal(tarn_span_after(S("abc"), 2), S("c")));
    cr_assert_eq(tarn_span_after(S("abc"), 3).len, 0);
    cr_assert_eq(tarn_span_after(S("abc"), SIZE_MAX).len, 0);
    uint8_t m[3];
    cr_assert_eq(tarn_bytes_first(TARN_BYTES_ARRAY(m), 2).len, 2);
    cr_assert_eq(tarn_bytes_first(TARN_BYTES_ARRAY(m), 4).len, 3);
    cr_assert_eq(tarn_bytes_after(TARN_BYTES_ARRAY(m), 2).ptr, m + 2);
    cr_assert_eq(tarn_bytes_after(TARN_BYTES_ARRAY(m), 4).len, 0);
}

Test(span, at_inside) {
    uint8_t m[2] = {7, 8};
    cr_assert_eq(tarn_span_at(TARN_SPAN_ARRAY(m), 1), 8);
    *tarn_bytes_at(TARN_BYTES_ARRAY(m), 0) = 9;
    cr_assert_eq(m[0], 9);
    cr_assert_eq(TARN_AT(m, 1), 8);
}

Test(span, at_the_end_traps, .signal = SIGILL) {
    (void)tarn_span_at(S("abc"), 3);
}

Test(bytes, at_the_end_traps, .signal = SIGILL) {
    uint8_t m[2];
    *tarn_bytes_at(TARN_BYTES_ARRAY(m), 2) = 0;
}

Test(array, at_the_end_traps, .signal = SIGILL) {
    uint32_t m[2] = {0};
    volatile size_t i = 2;
    TARN_AT(m, i) = 1;
}

Test(array, at_n_of_a_negative_index_traps, .signal = SIGILL) {
    uint32_t m[2] = {0}, *p = m;
    volatile int i = -1;
    TARN_AT_N(p, 2, (size_t)i) = 1;
}

Test(span, comparing) {
    cr_assert(tarn_span_equal(S("ab"), S("ab")));
    cr_assert_not(tarn_span_equal(S("ab"), S("abc")));
    cr_assert_not(tarn_span_equal(S("ab"), S("aB")));
    cr_assert(tarn_span_equal_nocase(S("Content-Length"), S("cONTENT-lENGTH")));
    cr_assert_not(tarn_span_equal_nocase(S("a"), S("b")));
    cr_assert_not(tarn_span_equal_nocase(S("@["), S("`{"))); /* 0x20 apart, but no letters */
    cr_assert_not(tarn_span_equal_nocase(S("\xc4"), S("\xe4")));
    cr_assert(tarn_span_starts(S("abc"), S("ab")) && !tarn_span_starts(S("a"), S("ab")));
    cr_assert(tarn_span_ends(S("abc"), S("bc")) && !tarn_span_ends(S("c"), S("bc")));
    cr_assert(tarn_span_ends(S("abc"), S("")) && tarn_span_starts(S("abc"), S("")));
    cr_assert_lt(tarn_span_compare(S("ab"), S("abc")), 0);
    cr_assert_gt(tarn_span_compare(S("\xff"), S("a")), 0);
    cr_assert_eq(tarn_span_compare(S("ab"), S("ab")), 0);
    cr_assert(tarn_span_equal(tarn_span_str("abc"), S("abc")) && tarn_span_str("").len == 0);
}

static int sign(int x) {
    return (x > 0) - (x < 0);
}

/* Every length, place of the difference and alignment of words, against the C library. */
Test(span, comparing_and_finding_agree_with_memcmp_and_memchr) {
    uint8_t a[41], b[41];
    for (size_t len = 0; len <= 40; len++)
        for (size_t at = 0; at <= len; at++)
            for (size_t more = 0; more <= 1 && len + more <= 40; more++) {
                memset(a, 'x', sizeof a);
                memset(b, 'x', sizeof b);
                if (at < len)
                    b[at] = at % 2 ? 0x80 : 'a'; /* above and below */
                int want = memcmp(a, b, len);
                want = want ? want : -(int)more;
                struct tarn_span x = tarn_span_of(a, len), y = tarn_span_of(b, len + more);
                cr_assert_eq(sign(tarn_span_compare(x, y)), sign(want), "%zu %zu", len, at);
                cr_assert_eq(sign(tarn_span_compare(y, x)), -sign(want), "%zu %zu", len, at);
                size_t found = 99;
                bool there = tarn_span_find(y, at % 2 ? 0x80 : 'a', &found);
                cr_assert_eq(there, at < len, "%zu %zu", len, at);
                cr_assert(!there || found == at);
            }
}

Test(span, find_split_and_trim) {
    size_t i = 77;
    cr_assert(tarn_span_find(S("abcb"), 'b', &i) && i == 1);
    cr_assert_not(tarn_span_find(S("abc"), 'x', &i));
    struct tarn_span s = S("a,,b"), head;
    cr_assert(tarn_span_split(&s, ',', &head) && tarn_span_equal(head, S("a")));
    cr_assert(tarn_span_split(&s, ',', &head) && head.len == 0);
    cr_assert_not(tarn_span_split(&s, ',', &head));
    cr_assert(tarn_span_equal(head, S("b")) && s.len == 0);
    s = S("a,");
    cr_assert(tarn_span_split(&s, ',', &head) && s.len == 0);
    cr_assert(tarn_span_equal(tarn_span_trim(S(" \tab \t"), " \t"), S("ab")));
    cr_assert(tarn_span_equal(tarn_span_trim(S("a b"), " "), S("a b")));
    cr_assert_eq(tarn_span_trim(S("   "), " ").len, 0);
    cr_assert(tarn_span_equal(tarn_span_trim(S(" a"), ""), S(" a")));
}

Test(span, decimal_is_strict) {
    uint64_t v = 1234;
    static const char *const bad[] = {"",   "-1", "+1",    " 1", "1 ", "0x1",
                                      "1a", "a",  "1\x80", ":",  "/",  "18446744073709551616"};
    for (size_t i = 0; i < TARN_COUNT_OF(bad); i++)
        cr_assert_not(tarn_span_parse_dec(tarn_span_str(bad[i]), UINT64_MAX, &v), "%s", bad[i]);
    cr_assert_eq(v, 1234);
    cr_assert(tarn_span_parse_dec(S("18446744073709551615"), UINT64_MAX, &v) && v == UINT64_MAX);
    cr_assert(tarn_span_parse_dec(S("0"), 0, &v) && v == 0);
    cr_assert(tarn_span_parse_dec(S("00065535"), 65535, &v) && v == 65535);
    cr_assert_not(tarn_span_parse_dec(S("65536"), 65535, &v));
    cr_assert_not(tarn_span_parse_dec(S("5"), 4, &v));
}

Test(span, hexadecimal_is_strict) {
    uint64_t v = 0;
    cr_assert(tarn_span_parse_hex(S("dEadbeef"), UINT64_MAX, &v) && v == 0xdeadbeef);
    cr_assert(tarn_span_parse_hex(S("ffffffffffffffff"), UINT64_MAX, &v) && v == UINT64_MAX);
    cr_assert_not(tarn_span_parse_hex(S("10000000000000000"), UINT64_MAX, &v));
    cr_assert_not(tarn_span_parse_hex(S("g"), UINT64_MAX, &v));
    cr_assert_not(tarn_span_parse_hex(S(""), UINT64_MAX, &v));
    cr_assert_not(tarn_span_parse_hex(S("100"), 0xff, &v));
}

Test(bytes, copy_move_fill_and_wipe) {
    uint8_t m[5] = {0};
    cr_assert_eq(tarn_bytes_copy(TARN_BYTES_ARRAY(m), S("abcdefgh")), 5);
    cr_assert_eq(tarn_bytes_move(tarn_bytes_of(m + 1, 4), tarn_span_of(m, 4)), 4);
    cr_assert(tarn_span_equal(TARN_SPAN_ARRAY(m), S("aabcd")));
    cr_assert_eq(tarn_bytes_copy(TARN_BYTES_ARRAY(m), S("x")), 1);
    cr_assert(tarn_span_equal(TARN_SPAN_ARRAY(m), S("xabcd")));
    tarn_bytes_fill(tarn_bytes_of(m, 2), 'z');
    cr_assert(tarn_span_equal(TARN_SPAN_ARRAY(m), S("zzbcd")));
    tarn_bytes_wipe(TARN_BYTES_ARRAY(m));
    cr_assert(tarn_span_equal(TARN_SPAN_ARRAY(m), S("\0\0\0\0\0")));
}
