/* SPDX-License-Identifier: ISC */
#include "text.h"
#include <criterion/criterion.h>

/* What tarn_dns_name_read makes of a message, at `at`; NULL: refused. Each message is in memory of
 * exactly its size. */
static const char *read_at(struct tarn_span msg, size_t at, size_t *end) {
    uint8_t *exact = malloc(msg.len ? msg.len : 1);
    struct tarn_dns_name n;
    memcpy(exact, msg.ptr, msg.len);
    bool ok = tarn_dns_name_read(tarn_span_of(exact, msg.len), &at, &n);
    free(exact);
    *end = at;
    return ok ? text_of(tarn_dns_name_span(&n)) : NULL;
}
#define READ(lit, at, end) read_at(TARN_SPAN_LIT(lit), (at), (end))

Test(rfc1035_4_1_4, pointers_go_backwards) {
    size_t end;
    static const char m[] = "\1F\3ISI\4ARPA\0\3FOO\xc0\0\xc0\2\0";
    struct tarn_span msg = tarn_span_of(m, sizeof m - 1);
    cr_assert_str_eq(read_at(msg, 0, &end), "F.ISI.ARPA.");
    cr_assert_eq(end, 12);
    cr_assert_str_eq(read_at(msg, 12, &end), "FOO.F.ISI.ARPA.");
    cr_assert_eq(end, 18);
    cr_assert_str_eq(read_at(msg, 18, &end), "ISI.ARPA.");
    cr_assert_eq(end, 20);
    cr_assert_str_eq(read_at(msg, 20, &end), ".");
}

/* RFC 9267 names the mistakes of real decoders, section by section. */
Test(rfc9267_2, loops_and_forward_pointers_are_refused) {
    size_t end;
    cr_assert_null(READ("\xc0\0", 0, &end), "to itself");
    cr_assert_null(READ("\1a\xc0\0", 0, &end), "into the labels that led here");
    cr_assert_null(READ("\xc0\4zz\xc0\0", 0, &end), "forwards");
    cr_assert_null(READ("zz\xc0\4\xc0\2", 4, &end), "to and fro");
    cr_assert_null(READ("\xc0\x0c", 0, &end), "behind the message");
    cr_assert_null(READ("\0\xc0", 1, &end), "half a pointer");
}

Test(rfc9267_2, many_pointers_are_bounded_work) {
    /* Each pointer leads to the one before it: as long a chain as a message can have. */
    static uint8_t msg[16384];
    size_t end;
    for (size_t at = 2; at + 1 < sizeof msg; at += 2) {
        msg[at] = (uint8_t)(0xc0 | (at - 2) >> 8);
        msg[at + 1] = (uint8_t)(at - 2);
    }
    cr_assert_str_eq(read_at(TARN_SPAN_ARRAY(msg), sizeof msg - 2, &end), ".");
}

Test(rfc9267_3, lengths_are_checked) {
    size_t end;
    cr_assert_null(READ("\x40"
                        "a",
                        0, &end),
                   "a reserved label type");
    cr_assert_null(READ("\x80"
                        "a",
                        0, &end));
    cr_assert_null(READ("\5abc", 0, &end), "a label reaches behind the message");
    cr_assert_null(READ("", 0, &end));
    cr_assert_null(READ("\0", 1, &end));
    uint8_t msg[260];
    for (size_t labels = 126; labels <= 129; labels++) { /* 127 of them are 255 bytes */
        for (size_t i = 0; i < labels; i++)
            memcpy(msg + 2 * i, "\1a", 2);
        msg[2 * labels] = 0;
        bool ok = read_at(tarn_span_of(msg, 2 * labels + 1), 0, &end) != NULL;
        cr_assert_eq(ok, labels <= 127, "%zu", labels);
    }
}

Test(rfc9267_4, a_name_without_an_end_is_refused) {
    size_t end;
    cr_assert_null(READ("\3www\4tarn", 0, &end));
    cr_assert_null(READ("\3www", 0, &end));
}

Test(rfc4343, case_is_kept_and_not_compared) {
    struct tarn_span a = wire_of("WwW.Example.ORG."), b = wire_of("www.eXample.org.");
    cr_assert(tarn_dns_name_equal(a, b));
    cr_assert_str_eq(text_of(a), "WwW.Example.ORG.");
    cr_assert_eq(tarn_dns_name_compare(a, b), 0);
    cr_assert(!tarn_dns_name_equal(wire_of("a\\[."), wire_of("a{.")), "only letters have cases");
}

Test(rfc4034_6_1, canonical_order) {
    static const char *const order[] = {
        "example.",         "a.example.",      "yljkjljk.a.example.",
        "Z.a.example.",     "zABC.a.EXAMPLE.", "z.example.",
        "\\001.z.example.", "*.z.example.",    "\\200.z.example.",
    };
    for (size_t i = 0; i < TARN_COUNT_OF(order); i++)
        for (size_t j = 0; j < TARN_COUNT_OF(order); j++) {
            int c = tarn_dns_name_compare(wire_of(order[i]), wire_of(order[j]));
            cr_assert_eq(c < 0 ? -1 : c > 0, i < j ? -1 : i > j, "%s %s", order[i], order[j]);
        }
}

Test(name, relations) {
    struct tarn_span org = wire_of("org."), www = wire_of("www.example.org.");
    struct tarn_dns_name out;
    cr_assert(tarn_dns_name_within(www, org) && tarn_dns_name_within(org, org));
    cr_assert(!tarn_dns_name_within(org, www) && tarn_dns_name_within(org, wire_of(".")));
    cr_assert(!tarn_dns_name_within(wire_of("corg."), org), "labels, not letters");
    cr_assert(!tarn_dns_name_within(wire_of("a\\.org."), org));
    cr_assert_eq(tarn_dns_name_labels(www), 3);
    cr_assert(tarn_dns_name_replace(www, org, wire_of("x.net."), &out));
    cr_assert_str_eq(text_of(tarn_dns_name_span(&out)), "www.example.x.net.");
    cr_assert(tarn_dns_name_child(TARN_SPAN_LIT("*"), org, &out));
    cr_assert_str_eq(text_of(tarn_dns_name_span(&out)), "*.org.");
}

Test(rfc6672_2_2, a_substitution_that_is_too_long_is_refused) {
    char text[260] = "";
    struct tarn_dns_name out;
    for (int i = 0; i < 120; i++)
        strcat(text, "a.");
    strcat(text, "org.");
    cr_assert(!tarn_dns_name_replace(wire_of(text), wire_of("org."),
                                     wire_of("abcdefghijklmnop.org."), &out));
}

Test(rfc1035_5_1, text_both_ways) {
    static const char *const same[] = {
        ".",        "a.",        "a\\.b.c.", "\\000\\255.x.", "\\@.\\$.\\;.\\(\\).",
        "*.a_b-c.", "\\\"\\\\.", "\\032."};
    struct tarn_dns_name n;
    for (size_t i = 0; i < TARN_COUNT_OF(same); i++)
        cr_assert_str_eq(text_of(wire_of(same[i])), same[i]);
    cr_assert_str_eq(text_of(wire_of("\\a\\098.")), "ab.");
    struct tarn_span origin = wire_of("org.");
    cr_assert(tarn_dns_name_parse(TARN_SPAN_LIT("@"), origin, &n) && n.len == 5);
    cr_assert(tarn_dns_name_parse(TARN_SPAN_LIT("a.b"), origin, &n));
    cr_assert_str_eq(text_of(tarn_dns_name_span(&n)), "a.b.org.");
    static const char *const bad[] = {"",  "..", ".a.",  "a..b.",  "a",
                                      "@", "\\", "\\25", "\\256.", "\\2x5."};
    for (size_t i = 0; i < TARN_COUNT_OF(bad); i++)
        cr_assert(!tarn_dns_name_parse(tarn_span_str(bad[i]), TARN_SPAN_EMPTY, &n), "%s", bad[i]);
    char label[70] = "";
    for (int len = 62; len <= 65; len++) {
        memset(label, 'x', (size_t)len);
        label[len] = '.';
        cr_assert_eq(tarn_dns_name_parse(tarn_span_of(label, (size_t)len + 1), TARN_SPAN_EMPTY, &n),
                     len <= 63);
    }
}
