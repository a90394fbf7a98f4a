/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <tarn/http_chunked.h>

static char body[4096];
static size_t body_len, rest;

static enum tarn_err decode(const char *text, size_t len, size_t cut, uint32_t extra) {
    struct tarn_http_chunked d;
    enum tarn_err err = TARN_AGAIN;
    tarn_http_chunked_init(&d, extra);
    body_len = 0;
    for (size_t at = 0; at < len && err == TARN_AGAIN; at += cut) {
        size_t n = len - at < cut ? len - at : cut;
        uint8_t *exact = malloc(n);
        memcpy(exact, text + at, n);
        struct tarn_span in = {exact, n}, data;
        while ((err = tarn_http_chunked_next(&d, &in, &data)) == TARN_OK) {
            memcpy(body + body_len, data.ptr, data.len);
            body_len += data.len;
        }
        rest = len - at - n + in.len;
        free(exact);
    }
    return err;
}

#define EACH_CUT(text, want)                                                                       \
    for (size_t cut_ = 1; cut_ <= sizeof(text); cut_++)                                            \
    cr_assert_eq(decode(text, sizeof(text) - 1, cut_, 50), want, "%s", text)

Test(chunked, rfc9112_7_1_any_cut_gives_the_body) {
    static const char text[] =
        "4\r\nWiki\r\n6;name=\"v\"\r\npedia \r\n0A ; x\r\nin chunks.\r\n000\r\n"
        "Trailer: t\r\n\r\nGET /";
    for (size_t cut = 1; cut <= sizeof text; cut++) {
        cr_assert_eq(decode(text, sizeof text - 1, cut, 50), TARN_EOF);
        cr_assert_eq(body_len, 20);
        cr_assert_arr_eq(body, "Wikipedia in chunks.", 20);
        cr_assert_eq(rest, 5);
    }
}

Test(chunked, every_truncation_waits) {
    static const char text[] = "3\r\nabc\r\n0\r\nA: b\r\n\r\n";
    for (size_t n = 0; n < sizeof text - 1; n++)
        cr_assert_eq(decode(text, n, 3, 50), TARN_AGAIN);
}

Test(chunked, what_is_malformed_is_refused) {
    EACH_CUT("\r\n", TARN_PEER);
    EACH_CUT("x\r\n", TARN_PEER);
    EACH_CUT("-1\r\n", TARN_PEER);
    EACH_CUT("0x1\r\n", TARN_PEER);
    EACH_CUT(" 1\r\n", TARN_PEER);
    EACH_CUT("1\nabc", TARN_PEER);
    EACH_CUT("1\rX", TARN_PEER);
    EACH_CUT("1 x\r\n", TARN_PEER);
    EACH_CUT("1;\x01\r\n", TARN_PEER);
    EACH_CUT("1;a\nb", TARN_PEER);
    EACH_CUT("1\r\nabc", TARN_PEER);
    EACH_CUT("1\r\na\n0\r\n", TARN_PEER);
    EACH_CUT("1\r\na\r\r", TARN_PEER);
    EACH_CUT("1000000000000000\r\n", TARN_PEER);
    EACH_CUT("0\r\n folded\r\n\r\n", TARN_PEER);
    EACH_CUT("0\r\nNo-Colon\r\n\r\n", TARN_PEER);
    EACH_CUT("0\r\nA: b\nC: d\r\n\r\n", TARN_PEER);
    EACH_CUT("0\r\n\n", TARN_PEER);
    EACH_CUT("0\r\n\rX", TARN_PEER);
}

Test(chunked, extensions_and_trailers_are_bounded) {
    cr_assert_eq(decode("1;aaaaaaaaaa\r\nx\r\n0\r\n\r\n", 22, 5, 20), TARN_EOF);
    cr_assert_eq(decode("1;aaaaaaaaaa\r\nx\r\n0\r\n\r\n", 22, 5, 5), TARN_LIMIT);
    cr_assert_eq(decode("0\r\nA: bbbbbbbbbbbb\r\n\r\n", 23, 5, 5), TARN_LIMIT);
    /* Tiny chunks with an extension each add up. */
    static const char many[] = "1;a\r\nx\r\n1;a\r\nx\r\n1;a\r\nx\r\n1;a\r\nx\r\n0\r\n\r\n";
    cr_assert_eq(decode(many, sizeof many - 1, 100, 5), TARN_LIMIT);
}
