/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <tarn/resp.h>

static uint8_t room[256];
static struct tarn_writer w;

static void is(const char *want) {
    struct tarn_span got = tarn_writer_span(&w);
    cr_assert(tarn_span_equal(got, tarn_span_str(want)), "%.*s", (int)got.len,
              (const char *)got.ptr);
    w = TARN_WRITER_ARRAY(room);
}

Test(reply, the_bytes_of_each) {
    w = TARN_WRITER_ARRAY(room);
    tarn_resp_put_simple(&w, "OK");
    is("+OK\r\n");
    tarn_resp_put_error(&w, TARN_SPAN_LIT("ERR no"));
    is("-ERR no\r\n");
    tarn_resp_put_int(&w, -7);
    is(":-7\r\n");
    tarn_resp_put_int(&w, INT64_MIN);
    is(":-9223372036854775808\r\n");
    tarn_resp_put_bulk(&w, TARN_SPAN_LIT("a\r\nb"));
    is("$4\r\na\r\nb\r\n");
    tarn_resp_put_array(&w, 12);
    is("*12\r\n");
}

Test(reply, versions_differ) {
    w = TARN_WRITER_ARRAY(room);
    tarn_resp_put_null(&w, 2);
    is("$-1\r\n");
    tarn_resp_put_null(&w, 3);
    is("_\r\n");
    tarn_resp_put_map(&w, 2, 3);
    is("*6\r\n");
    tarn_resp_put_map(&w, 3, 3);
    is("%3\r\n");
    tarn_resp_put_text(&w, 2, TARN_SPAN_LIT("hi"));
    is("$2\r\nhi\r\n");
    tarn_resp_put_text(&w, 3, TARN_SPAN_LIT("hi"));
    is("=6\r\ntxt:hi\r\n");
}

Test(reply, an_error_is_one_line_whatever_a_peer_put_into_it) {
    w = TARN_WRITER_ARRAY(room);
    tarn_resp_put_error(&w, TARN_SPAN_LIT("ERR a\r\n+OK\r\n\x7f"));
    is("-ERR a??+OK???\r\n");
}

Test(reply, what_does_not_fit_is_noticed) {
    w = tarn_writer_over(tarn_bytes_of(room, 8));
    tarn_resp_put_bulk(&w, TARN_SPAN_LIT("four"));
    cr_assert(!tarn_writer_ok(&w) && w.len == 10);
}

Test(number, as_redis_takes_them) {
    static const char *const bad[] = {"",
                                      "-",
                                      "+1",
                                      "01",
                                      "-0",
                                      "-01",
                                      " 1",
                                      "1 ",
                                      "1.0",
                                      "0x1",
                                      "9223372036854775808",
                                      "-9223372036854775809"};
    int64_t n;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert(!tarn_resp_int(tarn_span_str(bad[i]), &n), "%s", bad[i]);
    cr_assert(tarn_resp_int(TARN_SPAN_LIT("0"), &n) && n == 0);
    cr_assert(tarn_resp_int(TARN_SPAN_LIT("-12"), &n) && n == -12);
    cr_assert(tarn_resp_int(TARN_SPAN_LIT("9223372036854775807"), &n) && n == INT64_MAX);
    cr_assert(tarn_resp_int(TARN_SPAN_LIT("-9223372036854775808"), &n) && n == INT64_MIN);
}
