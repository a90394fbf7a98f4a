/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <string.h>
#include <tarn/http_date.h>

#define NOW 1700000000 /* 2023 */

static bool parse(const char *text, int64_t *out) {
    return tarn_http_date_parse(tarn_span_str(text), NOW, out);
}

Test(date, rfc9110_5_6_7_writes_imf_fixdate) {
    static const struct {
        int64_t t;
        const char *text;
    } cases[] = {
        {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"}, {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
        {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"}, {-1, "Wed, 31 Dec 1969 23:59:59 GMT"},
        {INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT"}, {INT64_MIN, "Sat, 01 Jan 0000 00:00:00 GMT"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char buf[64];
        int64_t back;
        struct tarn_writer w = TARN_WRITER_ARRAY(buf);
        tarn_writer_http_date(&w, cases[i].t);
        cr_assert_eq(tarn_writer_span(&w).len, TARN_HTTP_DATE_BYTES);
        cr_assert_arr_eq(buf, cases[i].text, TARN_HTTP_DATE_BYTES);
        cr_assert(parse(cases[i].text, &back));
        if (i < 4)
            cr_assert_eq(back, cases[i].t);
    }
}

Test(date, rfc9110_5_6_7_reads_all_three_forms) {
    int64_t t;
    cr_assert(parse("Sun, 06 Nov 1994 08:49:37 GMT", &t) && t == 784111777);
    cr_assert(parse("Sunday, 06-Nov-94 08:49:37 GMT", &t) && t == 784111777);
    cr_assert(parse("Sun Nov  6 08:49:37 1994", &t) && t == 784111777);
    cr_assert(parse("Wed Nov 16 08:49:37 1994", &t));
    cr_assert(parse("Tuesday, 06-Nov-73 00:00:00 GMT", &t) && t > NOW, "50 years ahead");
    cr_assert(parse("Tuesday, 06-Nov-74 00:00:00 GMT", &t) && t < NOW, "more is in the past");
}

Test(date, anything_else_is_no_date) {
    static const char *const bad[] = {"",
                                      "0",
                                      "Sun, 06 Nov 1994 08:49:37",
                                      "Sun, 6 Nov 1994 08:49:37 GMT",
                                      "Sun, 06 Nov 1994 08:49:37 UTC",
                                      "Sun, 06 Nov 1994 24:00:00 GMT",
                                      "Sun, 31 Feb 1994 08:49:37 GMT",
                                      "sun, 06 nov 1994 08:49:37 gmt",
                                      "Sun, 06 Nov 1994 08:49:37 GMT ",
                                      "Xyz, 06 Nov 1994 08:49:37 GMT",
                                      "Sun, 00 Nov 1994 08:49:37 GMT",
                                      "Sun, 06 Nov 1994 08:60:37 GMT",
                                      "Sun Nov 6 08:49:37 1994",
                                      "Sun, 06 Nov -994 08:49:37 GMT"};
    int64_t t;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert(!parse(bad[i], &t), "%s", bad[i]);
}
