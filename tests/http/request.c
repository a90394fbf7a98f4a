/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tarn/env.h>
#include <tarn/http_request.h>

static const struct tarn_http_head_limits limits = {200, 1000, 10};

/* Parses `text` as it comes in pieces: `cut` bytes at a time, 0: whole. Each call sees the bytes at
 * a new place, exactly as many as there are. */
static struct tarn_http_parser parser;
static uint8_t *seen;
static enum tarn_err feed(const char *text, size_t len, size_t cut) {
    enum tarn_err err = TARN_AGAIN;
    tarn_http_parser_init(&parser, &limits);
    for (size_t n = cut && cut < len ? cut : len; err == TARN_AGAIN; n += cut) {
        if (n > len)
            n = len;
        free(seen);
        seen = malloc(n ? n : 1);
        memcpy(seen, text, n);
        err = tarn_http_parse(&parser, tarn_span_of(seen, n));
        if (n == len || !cut)
            break;
    }
    return err;
}

static bool is(struct tarn_span s, const char *want) {
    return tarn_span_equal(s, tarn_span_str(want));
}

#define OK(text) cr_assert_eq(feed(text, sizeof(text) - 1, 0), TARN_OK, "%d", parser.status)
#define REFUSED(text, code)                                                                        \
    do {                                                                                           \
        for (size_t cut_ = 0; cut_ < 3; cut_++) {                                                  \
            cr_assert_eq(feed(text, sizeof(text) - 1, cut_), TARN_PEER, "%s", text);               \
            cr_assert_eq(parser.status, code, "%d: %s", parser.status, text);                      \
        }                                                                                          \
    } while (0)
#define H "Host: a\r\n"

Test(request, rfc9112_3_request_line_and_fields_are_taken_apart) {
    struct tarn_span value;
    size_t cursor = 0;
    OK("GET /a/b?x=1&y HTTP/1.1\r\nHost: example.org:8080\r\nX-Empty:\r\nAccept: \t text/html \t\r\n"
       "x-two: 1\r\nX-Two: 2\r\n\r\nbody");
    const struct tarn_http_request *r = &parser.request;
    cr_assert(r->method == TARN_HTTP_GET && is(r->method_text, "GET"));
    cr_assert(is(r->target, "/a/b?x=1&y") && is(r->path, "/a/b") && is(r->query, "x=1&y"));
    cr_assert(is(r->host, "example.org:8080") && r->form == TARN_HTTP_ORIGIN);
    cr_assert(r->minor == 1 && r->keep_alive && r->framing == TARN_HTTP_NO_BODY);
    cr_assert_eq(r->field_count, 5);
    cr_assert(tarn_http_field_only(r, TARN_SPAN_LIT("x-empty"), &value) && value.len == 0);
    cr_assert(tarn_http_field_only(r, TARN_SPAN_LIT("ACCEPT"), &value) && is(value, "text/html"));
    cr_assert(!tarn_http_field_only(r, TARN_SPAN_LIT("X-Two"), &value));
    cr_assert(tarn_http_field_find(r, TARN_SPAN_LIT("X-Two"), &cursor, &value) && is(value, "1"));
    cr_assert(tarn_http_field_find(r, TARN_SPAN_LIT("X-Two"), &cursor, &value) && is(value, "2"));
    cr_assert(!tarn_http_field_find(r, TARN_SPAN_LIT("X-Two"), &cursor, &value));
    cr_assert(is(tarn_http_field_name(r, 3), "x-two"));
    cr_assert(tarn_span_ends(r->head, TARN_SPAN_LIT("2\r\n\r\n")), "the body is no part of it");
}

Test(request, rfc9110_9_methods_are_case_sensitive) {
    static const char *const names[] = {"GET",    "HEAD",    "POST",  "PUT",
                                        "DELETE", "OPTIONS", "PATCH", "TRACE"};
    char text[64];
    for (unsigned i = 0; i < 8; i++) {
        snprintf(text, sizeof text, "%s / HTTP/1.1\r\nHost:\r\n\r\n", names[i]);
        cr_assert_eq(feed(text, strlen(text), 0), TARN_OK);
        cr_assert_eq(parser.request.method, TARN_HTTP_GET + i);
    }
    OK("get / HTTP/1.1\r\n" H "\r\n");
    cr_assert_eq(parser.request.method, TARN_HTTP_OTHER);
    OK("M-SEARCH / HTTP/1.1\r\n" H "\r\n");
    cr_assert(is(parser.request.method_text, "M-SEARCH"));
    REFUSED("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJ / HTTP/1.1\r\n" H "\r\n", 501);
}

Test(request, rfc9112_2_2_line_ends_are_cr_lf_and_nothing_else) {
    OK("\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n");
    cr_assert(is(parser.request.method_text, "GET"));
    REFUSED("GET / HTTP/1.1\n" H "\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: a\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: a\r\n\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r" H "\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: a\r\n\rX\r\n", 400);
    REFUSED("\nGET / HTTP/1.1\r\n" H "\r\n", 400);
    REFUSED("\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", 400);
}

Test(request, rfc9112_3_request_lines_that_are_none) {
    REFUSED(" GET / HTTP/1.1\r\n" H "\r\n", 400);
    REFUSED("GET  / HTTP/1.1\r\n" H "\r\n", 400);
    REFUSED("GET /  HTTP/1.1\r\n" H "\r\n", 400);
    REFUSED("GET / HTTP/1.1 \r\n" H "\r\n", 400);
    REFUSED("GET\t/ HTTP/1.1\r\n" H "\r\n", 400);
    REFUSED("GET /\r\n" H "\r\n", 400);
    REFUSED("GET / http/1.1\r\n" H "\r\n", 400);
    REFUSED("GET / HTTP/1\r\n" H "\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.10\r\n" H "\r\n", 400);
    REFUSED("GET / HTTP/11.\r\n" H "\r\n", 400);
    REFUSED("GET /\x01 HTTP/1.1\r\n" H "\r\n", 400);
    REFUSED("GET /\xff HTTP/1.1\r\n" H "\r\n", 400);
    REFUSED("GET /#frag HTTP/1.1\r\n" H "\r\n", 400);
    REFUSED("G(T / HTTP/1.1\r\n" H "\r\n", 400);
    REFUSED(": / HTTP/1.1\r\n" H "\r\n", 400);
    REFUSED("\x16\x03\x01\x02", 400); /* TLS */
}

Test(request, rfc9110_2_5_versions) {
    OK("GET / HTTP/1.0\r\n\r\n");
    cr_assert_eq(parser.request.minor, 0);
    OK("GET / HTTP/1.7\r\n" H "\r\n");
    cr_assert_eq(parser.request.minor, 1);
    REFUSED("GET / HTTP/2.0\r\n" H "\r\n", 505);
    REFUSED("GET / HTTP/0.9\r\n" H "\r\n", 505);
    REFUSED("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505);
}

Test(request, rfc9112_5_fields_that_smuggle) {
    REFUSED("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost\t: a\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: a\r\n\tfolded\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: a\r\n: empty\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: a\r\nX Y: 1\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n", 400);
    OK("GET / HTTP/1.1\r\nHost: a\r\nX: caf\xc3\xa9\r\n\r\n");
}

Test(request, rfc9112_3_2_exactly_one_valid_host) {
    REFUSED("GET / HTTP/1.1\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: a:x\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400);
    OK("GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n");
    OK("GET / HTTP/1.1\r\nHost:\r\n\r\n");
    OK("GET / HTTP/1.1\r\nHost: a:\r\n\r\n");
}

Test(request, rfc9112_3_2_forms_of_targets) {
    OK("GET http://other.org:81?q HTTP/1.1\r\n" H "\r\n");
    cr_assert_eq(parser.request.form, TARN_HTTP_ABSOLUTE);
    cr_assert(is(parser.request.host, "other.org:81") && is(parser.request.path, "/"));
    cr_assert(parser.request.has_query && is(parser.request.query, "q"));
    OK("GET HTTPS://b/x/y HTTP/1.1\r\n" H "\r\n");
    cr_assert(is(parser.request.path, "/x/y") && !parser.request.has_query);
    OK("OPTIONS * HTTP/1.1\r\n" H "\r\n");
    cr_assert_eq(parser.request.form, TARN_HTTP_ASTERISK);
    OK("CONNECT a:443 HTTP/1.1\r\n" H "\r\n");
    cr_assert_eq(parser.request.form, TARN_HTTP_AUTHORITY);
    REFUSED("GET * HTTP/1.1\r\n" H "\r\n", 400);
    REFUSED("GET a HTTP/1.1\r\n" H "\r\n", 400);
    REFUSED("GET ftp://a/ HTTP/1.1\r\n" H "\r\n", 400);
    REFUSED("GET http:///x HTTP/1.1\r\n" H "\r\n", 400);
    REFUSED("GET http://u:p@a/ HTTP/1.1\r\n" H "\r\n", 400);
    REFUSED("GET http://a/ HTTP/1.1\r\n\r\n", 400);
    REFUSED("CONNECT / HTTP/1.1\r\n" H "\r\n", 400);
    REFUSED("CONNECT a HTTP/1.1\r\n" H "\r\n", 400);
}

Test(request, rfc9112_6_3_framing_cannot_be_read_in_two_ways) {
#define P "POST / HTTP/1.1\r\n" H
    OK(P "Content-Length: 0042\r\n\r\n");
    cr_assert(parser.request.framing == TARN_HTTP_LENGTH && parser.request.content_length == 42);
    OK(P "transfer-encoding: Chunked\r\n\r\n");
    cr_assert_eq(parser.request.framing, TARN_HTTP_CHUNKED);
    REFUSED(P "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
    REFUSED(P "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 400);
    REFUSED(P "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400);
    REFUSED(P "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400);
    REFUSED(P "Content-Length: 1, 1\r\n\r\n", 400);
    REFUSED(P "Content-Length: +1\r\n\r\n", 400);
    REFUSED(P "Content-Length: -1\r\n\r\n", 400);
    REFUSED(P "Content-Length: 0x1\r\n\r\n", 400);
    REFUSED(P "Content-Length: 1 2\r\n\r\n", 400);
    REFUSED(P "Content-Length:\r\n\r\n", 400);
    REFUSED(P "Content-Length: 99999999999999999999\r\n\r\n", 413);
    REFUSED(P "Transfer-Encoding: chunked, chunked\r\n\r\n", 400);
    REFUSED(P "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
    REFUSED(P "Transfer-Encoding: chunked, identity\r\n\r\n", 400);
    REFUSED(P "Transfer-Encoding: gzip\r\n\r\n", 400);
    REFUSED(P "Transfer-Encoding: gzip, chunked\r\n\r\n", 501);
    REFUSED(P "Transfer-Encoding: xchunked\r\n\r\n", 400);
    REFUSED(P "Transfer-Encoding:\r\n\r\n", 400);
    REFUSED(P "Transfer-Encoding: ,chunked\r\n\r\n", 400);
    REFUSED("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
}

Test(request, rfc9112_9_3_persistence) {
    OK("GET / HTTP/1.1\r\n" H "Connection: x, Close\r\n\r\n");
    cr_assert(!parser.request.keep_alive);
    OK("GET / HTTP/1.0\r\n\r\n");
    cr_assert(!parser.request.keep_alive);
    OK("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
    cr_assert(parser.request.keep_alive);
    OK("GET / HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n");
    cr_assert(!parser.request.keep_alive);
}

Test(request, rfc9110_10_1_1_expectations) {
    OK(P "Content-Length: 1\r\nExpect: 100-Continue\r\n\r\n");
    cr_assert(parser.request.expect_continue);
    REFUSED(P "Expect: something\r\n\r\n", 417);
    OK("POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n");
    cr_assert(!parser.request.expect_continue);
}

Test(request, limits_are_answered_with_their_own_status) {
    char text[4000];
    memset(text, 'a', sizeof text);
    memcpy(text, "GET /", 5);
    cr_assert_eq(feed(text, 150, 0), TARN_AGAIN);
    cr_assert_eq(feed(text, 206, 1), TARN_PEER);
    cr_assert_eq(parser.status, 414);
    memcpy(text, "GET / HTTP/1.1\r\nX: ", 19);
    cr_assert_eq(feed(text, 999, 7), TARN_AGAIN);
    cr_assert_eq(feed(text, 1000, 0), TARN_PEER);
    cr_assert_eq(parser.status, 431);
    cr_assert_eq(feed(text, 4000, 100), TARN_PEER);
    cr_assert_eq(parser.status, 431);
    strcpy(text, "GET / HTTP/1.1\r\nHost: a\r\n");
    for (unsigned i = 0; i < 9; i++)
        strcat(text, "X: 1\r\n");
    size_t len = strlen(text);
    strcat(text, "\r\n");
    cr_assert_eq(feed(text, len + 2, 0), TARN_OK);
    strcpy(text + len, "X: 1\r\n\r\n");
    cr_assert_eq(feed(text, len + 8, 0), TARN_PEER);
    cr_assert_eq(parser.status, 431);
}

/* The property that makes it a parser of streams: the cut does not matter. */
Test(request, every_way_of_cutting_gives_the_same_answer) {
    static const char text[] = "\r\nPOST /a%20b?q HTTP/1.1\r\nHost: example.org\r\nAccept: */*\r\n"
                               "Content-Length: 5\r\nX-Long:   a  b \t\r\n\r\nhello";
    struct tarn_random_seeded random;
    tarn_random_seeded_init(&random, 7);
    size_t head = sizeof text - 1 - 5;
    for (size_t cut = 1; cut < sizeof text; cut++) {
        cr_assert_eq(feed(text, sizeof text - 1, cut), TARN_OK);
        cr_assert_eq(parser.request.head.len, head);
        cr_assert_eq(parser.request.content_length, 5);
        cr_assert(is(tarn_http_field_value(&parser.request, 3), "a  b"));
    }
    for (size_t n = 0; n < head; n++)
        cr_assert_eq(feed(text, n, 0), TARN_AGAIN, "complete after %zu bytes", n);
    /* And with any byte broken: the same refusal, or the same acceptance. */
    for (unsigned round = 0; round < 3000; round++) {
        char broken[sizeof text];
        memcpy(broken, text, sizeof text);
        broken[tarn_random_below(&random.random, (uint32_t)head)] =
            (char)tarn_random_below(&random.random, 256);
        enum tarn_err whole = feed(broken, sizeof text - 1, 0);
        uint16_t status = parser.status;
        size_t len = parser.request.head.len;
        enum tarn_err cut = feed(broken, sizeof text - 1, 1 + tarn_random_below(&random.random, 9));
        cr_assert_eq(cut, whole);
        if (whole == TARN_PEER)
            cr_assert_eq(parser.status, status);
        if (whole == TARN_OK)
            cr_assert_eq(parser.request.head.len, len);
    }
}

static void path_is(const char *raw, const char *want) {
    uint8_t room[64];
    struct tarn_span path;
    enum tarn_err err =
        tarn_http_path_decode(tarn_span_str(raw), tarn_bytes_of(room, strlen(raw)), &path);
    if (!want) {
        cr_assert_eq(err, TARN_PEER, "%s", raw);
        return;
    }
    cr_assert_eq(err, TARN_OK, "%s", raw);
    cr_assert(is(path, want), "%s gives %.*s", raw, (int)path.len, (const char *)path.ptr);
}

Test(request, rfc3986_5_2_4_paths_are_decoded_and_normalised_once) {
    path_is("/", "/");
    path_is("/a/b.html", "/a/b.html");
    path_is("/a%20b/%C3%a9", "/a b/\xc3\xa9");
    path_is("/a/./b", "/a/b");
    path_is("/a/../b", "/b");
    path_is("/a/b/..", "/a/");
    path_is("/a/.", "/a/");
    path_is("/a/%2e%2E/b", "/b");
    path_is("/a/..b/.c/...", "/a/..b/.c/...");
    path_is("/%252e%252e/", "/%2e%2e/");
    path_is("/a//b", "/a//b");
    path_is("/..", NULL);
    path_is("/a/../../b", NULL);
    path_is("/%2e%2e/etc/passwd", NULL);
    path_is("/a%2fb", NULL);
    path_is("/a%00", NULL);
    path_is("/%", NULL);
    path_is("/%4", NULL);
    path_is("/%zz", NULL);
    path_is("a", NULL);
    path_is("", NULL);
}
