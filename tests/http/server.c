/* SPDX-License-Identifier: ISC */
#include "rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A handler with a page for each thing that a handler can do. */
static struct tarn_http_exchange *later;
static unsigned requests, dones, dones_whole, releases;
static char body_got[1 << 16];
static size_t body_len;
static bool body_last;
static size_t stream_at, stream_total;
static bool stream_lend;

static void count_release(struct tarn_lease *lease) {
    (void)lease;
    releases++;
}
static struct tarn_lease lease = {.release = count_release};

static void text(struct tarn_http_exchange *x, const char *body) {
    struct tarn_http_response r = {.status = 200,
                                   .content_type = TARN_SPAN_LIT("text/plain"),
                                   .body = tarn_span_str(body),
                                   .copy_body = true};
    cr_assert_eq(tarn_http_respond(x, &r), TARN_OK);
}

static uint8_t stream_byte(size_t i) {
    return (uint8_t)('a' + i % 23);
}

static void stream_pump(struct tarn_http_exchange *x) {
    static uint8_t piece[4096];
    while (stream_at < stream_total) {
        size_t n, want = stream_total - stream_at < 1000 ? stream_total - stream_at : 1000;
        uint8_t *from = stream_lend ? piece + stream_at % 23 : piece;
        for (size_t i = 0; i < sizeof piece; i++)
            piece[i] = stream_byte(stream_lend ? i : stream_at + i);
        enum tarn_err err = stream_lend
                                ? tarn_http_stream_lend(x, tarn_span_of(from, want), NULL, &n)
                                : tarn_http_stream_write(x, tarn_span_of(from, want), &n);
        if (err == TARN_AGAIN)
            return;
        cr_assert_eq(err, TARN_OK);
        stream_at += n;
    }
    tarn_http_stream_end(x, true);
}

static void on_request(struct tarn_http_handler *h, struct tarn_http_exchange *x) {
    static char big[40000];
    struct tarn_http_response stream = {.status = 200};
    struct tarn_span path = x->path;
    (void)h;
    requests++;
    stream_at = 0;
    if (tarn_span_equal(path, TARN_SPAN_LIT("/"))) {
        text(x, "hello");
    } else if (tarn_span_equal(path, TARN_SPAN_LIT("/later"))) {
        later = x;
    } else if (tarn_span_equal(path, TARN_SPAN_LIT("/big"))) {
        memset(big, 'B', sizeof big);
        lease.holds++;
        struct tarn_http_response r = {
            .status = 200, .body = TARN_SPAN_ARRAY(big), .lease = &lease};
        cr_assert_eq(tarn_http_respond(x, &r), TARN_OK);
        tarn_lease_drop(&lease);
    } else if (tarn_span_starts(path, TARN_SPAN_LIT("/upload"))) {
        body_len = 0;
        body_last = false;
        tarn_http_body_accept(x);
    } else if (tarn_span_starts(path, TARN_SPAN_LIT("/chunked"))) {
        stream_total = 5000;
        stream_lend = tarn_span_ends(path, TARN_SPAN_LIT("lend"));
        cr_assert_eq(tarn_http_respond_stream(x, &stream, TARN_HTTP_LENGTH_UNKNOWN), TARN_OK);
        stream_pump(x);
    } else if (tarn_span_equal(path, TARN_SPAN_LIT("/stream"))) {
        stream_total = 5000;
        stream_lend = false;
        cr_assert_eq(tarn_http_respond_stream(x, &stream, 5000), TARN_OK);
        stream_pump(x);
    } else if (tarn_span_equal(path, TARN_SPAN_LIT("/short"))) {
        size_t n;
        cr_assert_eq(tarn_http_respond_stream(x, &stream, 10), TARN_OK);
        cr_assert_eq(tarn_http_stream_write(x, TARN_SPAN_LIT("abc"), &n), TARN_OK);
        cr_assert_eq(tarn_http_stream_write(x, TARN_SPAN_LIT("12345678"), &n), TARN_INVALID);
        tarn_http_stream_end(x, true);
    } else {
        tarn_http_respond_status(x, 404, TARN_SPAN_EMPTY);
    }
}

static void on_body(struct tarn_http_handler *h, struct tarn_http_exchange *x,
                    struct tarn_span data, bool last) {
    (void)h;
    cr_assert(!body_last);
    if (data.len > 0)
        memcpy(body_got + body_len, data.ptr, data.len);
    body_len += data.len;
    body_last = last;
    /* However long the body was, the head is still there. */
    cr_assert(tarn_span_starts(x->request->head, TARN_SPAN_LIT("POST /upload")));
    if (last)
        text(x, "thanks");
}

static void on_writable(struct tarn_http_handler *h, struct tarn_http_exchange *x) {
    (void)h;
    stream_pump(x);
}

static void on_done(struct tarn_http_handler *h, struct tarn_http_exchange *x, bool whole) {
    (void)h;
    dones++;
    dones_whole += whole;
    if (x == later)
        later = NULL;
}

static const struct tarn_http_handler_ops ops = {on_request, on_body, on_writable, on_done};
static struct tarn_http_handler handler = {&ops};
static struct tarn_http_limits limits;
static struct rig rig;
static struct client c;

static void setup(void) {
    limits = tarn_http_limits_default;
    limits.connections_max = 4;
    limits.head_bytes_max = 2048;
    limits.target_bytes_max = 256;
    limits.body_bytes_max = 20000;
    limits.discard_bytes_max = 5000;
}
static void start(uint32_t pipe_bytes) {
    rig_init(&rig, &handler, &limits, pipe_bytes);
    client_init(&c, &rig);
}
static void stop(void) {
    client_close(&c);
    rig_done(&rig);
    cr_assert_eq(requests, dones, "%u requests, %u done", requests, dones);
    cr_assert_eq(lease.holds, 0);
}
TestSuite(server, .init = setup);

#define DATE "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
#define HELLO                                                                                      \
    "HTTP/1.1 200 OK\r\n" DATE "Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

static bool has(const char *what) {
    return strstr(c.got, what) != NULL;
}
#define STARTS(what) cr_assert_eq(strncmp(c.got, what, strlen(what)), 0, "%s", c.got)

Test(server, rfc9112_9_3_a_connection_serves_one_request_after_another) {
    start(65536);
    for (unsigned i = 0; i < 100; i++)
        cr_assert_str_eq(client_ask(&c, GET), HELLO);
    cr_assert(!c.eof);
    cr_assert_eq(tarn_http_server_stats(rig.server)->requests, 100);
    stop();
}

Test(server, rfc9110_6_6_1_the_date_goes_with_the_clock) {
    start(65536);
    cr_assert_str_eq(client_ask(&c, GET), HELLO);
    rig_sleep(&rig, TARN_MS(999));
    cr_assert_str_eq(client_ask(&c, GET), HELLO);
    rig_sleep(&rig, TARN_MS(1));
    client_ask(&c, GET);
    cr_assert(has("Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n"));
    stop();
}

Test(server, a_long_body_behind_a_pipelined_head_is_whole) {
    static char ask[20000];
    start(500);
    int head = snprintf(ask, sizeof ask, "%s%s", GET GET,
                        "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 15000\r\n\r\n");
    for (int i = 0; i < 15000; i++)
        ask[head + i] = (char)stream_byte((size_t)i);
    c.len = 0;
    client_send(&c, ask, (size_t)head + 15000, 0);
    cr_assert(has("thanks"));
    cr_assert_eq(body_len, 15000);
    cr_assert_arr_eq(body_got, ask + head, 15000);
    stop();
}

Test(server, every_cut_of_a_request_is_answered_alike) {
    static const char upload[] =
        "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n"
        "hello world" GET "POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
        "\r\n5\r\nhello\r\n6;x\r\n world\r\n0\r\nT: t\r\n\r\n" GET;
    static char whole[4096];
    start(65536);
    strcpy(whole, client_ask(&c, upload));
    client_close(&c);
    for (size_t step = 1; step < 60; step++) {
        client_init(&c, &rig);
        client_send(&c, upload, sizeof upload - 1, step);
        cr_assert_str_eq(c.got, whole, "%zu bytes at a time", step);
        cr_assert_eq(body_len, 11);
        cr_assert_arr_eq(body_got, "hello world", 11);
        client_close(&c);
    }
    client_init(&c, &rig);
    stop();
}

Test(server, rfc9112_9_3_2_pipelined_requests_are_answered_in_order) {
    static char all[64 * sizeof GET], want[64 * sizeof HELLO];
    start(65536);
    for (unsigned i = 0; i < 60; i++) {
        strcat(all, i % 7 == 3 ? "GET /x HTTP/1.1\r\nHost: a\r\n\r\n" : GET);
        strcat(want, i % 7 == 3
                         ? "HTTP/1.1 404 Not Found\r\n" DATE
                           "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 14\r\n\r\n"
                           "404 Not Found\n"
                         : HELLO);
    }
    cr_assert_str_eq(client_ask(&c, all), want);
    stop();
}

Test(server, pipelined_behind_a_late_answer_waits_and_is_bounded) {
    static char flood[40000];
    size_t n, total = 0;
    start(4096);
    client_ask(&c, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    for (size_t i = 0; i + sizeof GET < sizeof flood; i += sizeof GET - 1)
        strcpy(flood + i, GET);
    while (tarn_flow_write(c.flow, tarn_span_of(flood, sizeof flood), &n) == TARN_OK) {
        total += n;
        rig_run(&rig);
    }
    cr_assert_lt(total, 10000, "the server buffers %zu bytes of requests", total);
    cr_assert_not_null(later);
    c.len = 0;
    text(later, "late");
    rig_run(&rig);
    client_read(&c, SIZE_MAX);
    STARTS("HTTP/1.1 200 OK");
    cr_assert(has("late"));
    cr_assert(has("hello"));
    stop();
}

Test(server, rfc9110_9_3_2_head_is_get_without_the_body) {
    start(65536);
    client_ask(&c, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" GET);
    cr_assert_str_eq(c.got, "HTTP/1.1 200 OK\r\n" DATE
                            "Content-Type: text/plain\r\nContent-Length: 5\r\n\r\n" HELLO);
    client_ask(&c, "HEAD /chunked HTTP/1.1\r\nHost: a\r\n\r\n" GET);
    cr_assert_str_eq(c.got, "HTTP/1.1 200 OK\r\n" DATE "Transfer-Encoding: chunked\r\n\r\n" HELLO);
    client_ask(&c, "HEAD /nothing HTTP/1.1\r\nHost: a\r\n\r\n" GET);
    cr_assert(has("Content-Length: 14\r\n\r\nHTTP/1.1 200"));
    stop();
}

Test(server, http_1_0_closes_unless_asked_to_keep_alive) {
    start(65536);
    client_ask(&c, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    cr_assert(has("HTTP/1.1 200 OK\r\n") && has("Connection: keep-alive\r\n") && !c.eof);
    client_ask(&c, "GET /chunked HTTP/1.0\r\n\r\n");
    cr_assert(has("Connection: close\r\n") && !has("chunked") && c.eof);
    const char *body = strstr(c.got, "\r\n\r\n") + 4;
    cr_assert_eq(strlen(body), 5000);
    stop();
}

static void dechunk_is_stream(const char *p) {
    size_t i = 0, len;
    while ((len = strtoul(p, NULL, 16)) != 0) {
        p = strstr(p, "\r\n") + 2;
        for (size_t k = 0; k < len; k++, i++)
            cr_assert_eq((uint8_t)p[k], stream_byte(i), "at %zu", i);
        p += len;
        cr_assert_eq(strncmp(p, "\r\n", 2), 0);
        p += 2;
    }
    cr_assert_str_eq(p, "0\r\n\r\n");
    cr_assert_eq(i, 5000);
}

Test(server, rfc9112_7_1_streams_of_unknown_length_are_chunked) {
    static const char *const asks[] = {"GET /chunked HTTP/1.1\r\nHost: a\r\n\r\n",
                                       "GET /chunked-lend HTTP/1.1\r\nHost: a\r\n\r\n"};
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned bytes = 1; bytes < 70000; bytes = bytes * 5 + 1) {
            start(bytes);
            client_ask(&c, asks[i]);
            cr_assert(has("Transfer-Encoding: chunked\r\n") && !has("Content-Length"));
            dechunk_is_stream(strstr(c.got, "\r\n\r\n") + 4);
            cr_assert(!c.eof);
            stop();
        }
    }
}

Test(server, streams_of_known_length_are_exact_or_end_the_connection) {
    start(700);
    client_ask(&c, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    cr_assert(has("Content-Length: 5000\r\n"));
    const char *body = strstr(c.got, "\r\n\r\n") + 4;
    cr_assert_eq(strlen(body), 5000);
    for (size_t i = 0; i < 5000; i++)
        cr_assert_eq((uint8_t)body[i], stream_byte(i));
    client_ask(&c, "GET /short HTTP/1.1\r\nHost: a\r\n\r\n");
    cr_assert(c.reset, "a client must not take a part for the whole");
    cr_assert_eq(dones, 2);
    cr_assert_eq(dones_whole, 1);
    stop();
}

Test(server, a_lent_body_reaches_a_slow_reader_and_is_released) {
    start(999);
    client_ask(&c, "GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
    const char *body = strstr(c.got, "\r\n\r\n") + 4;
    cr_assert_eq(strlen(body), 40000);
    cr_assert_eq(releases, 1);
    stop();
}

Test(server, rfc9110_10_1_1_continue_is_sent_when_the_body_is_wanted) {
    start(65536);
    client_ask(&c, "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
                   "Expect: 100-continue\r\n\r\n");
    cr_assert_str_eq(c.got, "HTTP/1.1 100 Continue\r\n\r\n");
    client_ask(&c, "abc");
    STARTS("HTTP/1.1 200 OK\r\n");
    cr_assert(has("thanks") && body_len == 3 && body_last);
    /* One that does not wait gets none. */
    client_ask(&c, "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
                   "Expect: 100-continue\r\n\r\nabc");
    STARTS("HTTP/1.1 200 OK\r\n");
    /* A final answer without the body: nobody can tell whether the body will come. */
    client_ask(&c, "POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
                   "Expect: 100-continue\r\n\r\n");
    STARTS("HTTP/1.1 404 Not Found\r\n");
    cr_assert(has("Connection: close\r\n") && c.eof);
    stop();
}

Test(server, a_body_nobody_wants_is_skipped_or_ends_the_connection) {
    static char big[9000];
    start(65536);
    client_ask(&c, "POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" GET);
    STARTS("HTTP/1.1 404 Not Found\r\n");
    cr_assert(has(HELLO));
    client_ask(&c, "POST /no HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                   "3\r\nabc\r\n0\r\n\r\n" GET);
    cr_assert(has(HELLO));
    memset(big, 'x', sizeof big);
    client_ask(&c, "POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\r\n");
    cr_assert(has("Connection: close\r\n"));
    client_send(&c, big, sizeof big, 0);
    stop();
}

Test(server, bodies_are_bounded) {
    static char big[6000];
    start(65536);
    client_ask(&c, "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 20001\r\n\r\n");
    STARTS("HTTP/1.1 413 Content Too Large\r\n");
    cr_assert(has("Connection: close\r\n") && c.eof);
    client_close(&c);
    client_init(&c, &rig);
    client_ask(&c, "POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    memset(big, 'x', sizeof big);
    for (unsigned i = 0; i < 5 && !c.len; i++) {
        client_send(&c, "1770\r\n", 6, 0);
        client_send(&c, big, 6000, 0);
        client_send(&c, "\r\n", 2, 0);
    }
    STARTS("HTTP/1.1 413 Content Too Large\r\n");
    cr_assert(!body_last);
    stop();
}

Test(server, rfc9112_every_refusal_is_answered_and_then_closed) {
    static const struct {
        const char *request, *status;
    } cases[] = {
        {"BAD\r\n\r\n", "400 Bad Request"},
        {"GET / HTTP/1.1\r\n\r\n", "400 Bad Request"},
        {"GET /../x HTTP/1.1\r\nHost: a\r\n\r\n", "400 Bad Request"},
        {"GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", "400 Bad Request"},
        {"GET / HTTP/3.0\r\nHost: a\r\n\r\n", "505 HTTP Version Not Supported"},
        {"GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n", "417 Expectation Failed"},
        {"P / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x, chunked\r\n\r\n", "501 Not Implemented"},
        {"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", "501 Not Implemented"},
        {"POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
         "400 Bad Request"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char want[200];
        start(65536);
        client_ask(&c, cases[i].request);
        snprintf(want, sizeof want,
                 "HTTP/1.1 %s\r\n" DATE "Content-Type: text/plain; charset=utf-8", cases[i].status);
        STARTS(want);
        snprintf(want, sizeof want, "\r\n\r\n%s\n", cases[i].status);
        cr_assert(has(want), "%s", c.got);
        if (i != 7) /* CONNECT is well formed: the connection goes on */
            cr_assert(has("Connection: close\r\n") && c.eof, "%zu: %s", i, c.got);
        stop();
    }
}

Test(server, limits_of_heads_are_answered) {
    static char big[3000];
    start(65536);
    memset(big, 'a', sizeof big);
    memcpy(big, "GET /", 5);
    client_send(&c, big, 300, 0);
    STARTS("HTTP/1.1 414 URI Too Long\r\n");
    client_close(&c);
    client_init(&c, &rig);
    memcpy(big, "GET / HTTP/1.1\r\nX: ", 19);
    client_send(&c, big, sizeof big, 0);
    STARTS("HTTP/1.1 431 Request Header Fields Too Large\r\n");
    stop();
}

Test(server, rfc9112_9_6_the_client_reads_the_error_although_it_still_sends) {
    static char more[4000];
    size_t n;
    start(65536);
    c.len = 0;
    memset(more, 'x', sizeof more);
    cr_assert_eq(tarn_flow_write(c.flow, TARN_SPAN_LIT("BAD\r\n\r\n"), &n), TARN_OK);
    rig_run(&rig);
    cr_assert_eq(tarn_flow_write(c.flow, TARN_SPAN_ARRAY(more), &n), TARN_OK);
    rig_run(&rig);
    rig_sleep(&rig, TARN_MS(500));
    client_read(&c, SIZE_MAX);
    STARTS("HTTP/1.1 400");
    cr_assert(c.eof && !c.reset);
    cr_assert_eq(tarn_http_server_connections(rig.server), 1, "it lingers");
    rig_sleep(&rig, TARN_SEC(3));
    cr_assert_eq(tarn_http_server_connections(rig.server), 0);
    stop();
}

Test(server, options_asterisk_is_the_servers_own) {
    start(65536);
    client_ask(&c, "OPTIONS * HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxx" GET);
    cr_assert(has(HELLO));
    client_ask(&c, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n" GET);
    cr_assert_str_eq(c.got, "HTTP/1.1 204 No Content\r\n" DATE "\r\n" HELLO);
    stop();
}

Test(server, slowloris_gets_408_however_steadily_it_drips) {
    start(65536);
    client_ask(&c, "GET / HTTP/1.1\r\n");
    for (unsigned i = 0; i < 30 && !c.eof; i++) {
        client_send(&c, "X: y\r\n", 6, 0);
        rig_sleep(&rig, TARN_MS(900));
        client_read(&c, SIZE_MAX);
    }
    STARTS("HTTP/1.1 408 Request Timeout\r\n");
    cr_assert(c.eof);
    cr_assert_leq(rig.now, TARN_SEC(12));
    stop();
}

Test(server, silence_is_closed_without_a_word) {
    start(65536);
    rig_sleep(&rig, TARN_SEC(9));
    cr_assert_eq(tarn_http_server_connections(rig.server), 1);
    rig_sleep(&rig, TARN_SEC(2));
    cr_assert_eq(tarn_http_server_connections(rig.server), 0);
    client_read(&c, SIZE_MAX);
    cr_assert(c.len == 0 && c.eof);
    client_close(&c);
    client_init(&c, &rig);
    client_ask(&c, GET);
    rig_sleep(&rig, TARN_SEC(59));
    cr_assert_str_eq(strstr(client_ask(&c, GET), "Content"), strstr(HELLO, "Content"));
    rig_sleep(&rig, TARN_SEC(59));
    cr_assert_eq(tarn_http_server_connections(rig.server), 1);
    rig_sleep(&rig, TARN_SEC(2));
    cr_assert_eq(tarn_http_server_connections(rig.server), 0);
    cr_assert_eq(tarn_http_server_deadline(rig.server), TARN_NEVER);
    stop();
}

Test(server, a_body_that_drips_is_timed_out_and_a_steady_one_is_not) {
    start(65536);
    client_ask(&c, "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 15000\r\n\r\n");
    for (unsigned i = 0; i < 14; i++) {
        static char kilo[1000];
        client_send(&c, kilo, sizeof kilo, 0);
        rig_sleep(&rig, TARN_SEC(1));
    }
    cr_assert_eq(c.len, 0, "a steady kilobyte a second is welcome: %s", c.got);
    client_close(&c);
    client_init(&c, &rig);
    client_ask(&c, "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 15000\r\n\r\n");
    for (unsigned i = 0; i < 20 && !c.len; i++) {
        client_send(&c, "x", 1, 0);
        rig_sleep(&rig, TARN_SEC(1));
        client_read(&c, SIZE_MAX);
    }
    STARTS("HTTP/1.1 408 Request Timeout\r\n");
    stop();
}

Test(server, a_reader_that_stops_is_cut_off_and_a_slow_one_is_not) {
    start(1000);
    c.len = 0;
    size_t n;
    cr_assert_eq(tarn_flow_write(c.flow, TARN_SPAN_LIT("GET /big HTTP/1.1\r\nHost: a\r\n\r\n"), &n),
                 TARN_OK);
    rig_run(&rig);
    for (unsigned i = 0; i < 10; i++) {
        rig_sleep(&rig, TARN_SEC(29));
        client_read(&c, 10);
    }
    cr_assert_eq(c.len, 100);
    cr_assert(!c.reset);
    rig_sleep(&rig, TARN_SEC(31));
    client_read(&c, SIZE_MAX);
    cr_assert(c.reset);
    cr_assert_eq(releases, 1);
    cr_assert_eq(dones_whole, 0);
    stop();
}

Test(server, the_handler_may_take_its_time) {
    start(65536);
    client_ask(&c, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    rig_sleep(&rig, TARN_SEC(3600));
    cr_assert_not_null(later);
    text(later, "at last");
    rig_run(&rig);
    client_read(&c, SIZE_MAX);
    cr_assert(has("at last") && has("Sun, 06 Nov 1994 09:49:37 GMT"));
    stop();
}

Test(server, a_client_that_goes_takes_its_exchange_along) {
    start(65536);
    client_ask(&c, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    cr_assert_not_null(later);
    tarn_flow_abort(c.flow);
    rig_run(&rig);
    cr_assert_null(later, "done was not called");
    cr_assert_eq(tarn_http_server_connections(rig.server), 0);
    cr_assert_eq(tarn_http_server_stats(rig.server)->lost, 1);
    /* In the middle of a body. */
    client_init(&c, &rig);
    client_ask(&c, "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc");
    tarn_flow_abort(c.flow);
    rig_run(&rig);
    cr_assert_eq(requests, dones);
    cr_assert_eq(tarn_http_server_connections(rig.server), 0);
    /* In the middle of an answer. */
    client_init(&c, &rig);
    size_t n;
    cr_assert_eq(tarn_flow_write(c.flow, TARN_SPAN_LIT("GET /big HTTP/1.1\r\nHost: a\r\n\r\n"), &n),
                 TARN_OK);
    rig_run(&rig);
    tarn_flow_abort(c.flow);
    rig_run(&rig);
    client_init(&c, &rig);
    stop();
}

Test(server, a_half_closed_client_gets_its_answer) {
    start(65536);
    size_t n;
    cr_assert_eq(tarn_flow_write(c.flow, TARN_SPAN_LIT(GET), &n), TARN_OK);
    tarn_flow_shutdown(c.flow);
    rig_run(&rig);
    client_read(&c, SIZE_MAX);
    cr_assert_str_eq(c.got, HELLO);
    cr_assert(c.eof);
    cr_assert_eq(tarn_http_server_connections(rig.server), 0);
    client_close(&c);
    client_init(&c, &rig);
    cr_assert_eq(
        tarn_flow_write(
            c.flow, TARN_SPAN_LIT("POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx"),
            &n),
        TARN_OK);
    tarn_flow_shutdown(c.flow);
    rig_run(&rig);
    client_read(&c, SIZE_MAX);
    STARTS("HTTP/1.1 400");
    stop();
}

Test(server, connections_beyond_the_limit_wait_for_their_turn) {
    static struct client more[6];
    start(65536);
    for (unsigned i = 0; i < 6; i++) {
        client_init(&more[i], &rig);
        client_ask(&more[i], GET);
    }
    cr_assert_eq(tarn_http_server_connections(rig.server), 4);
    cr_assert_gt(tarn_http_server_stats(rig.server)->full, 0);
    cr_assert_eq(more[5].len, 0);
    for (unsigned i = 0; i < 5; i++)
        client_close(&more[i]);
    client_read(&more[5], SIZE_MAX);
    cr_assert_str_eq(more[5].got, HELLO);
    client_close(&more[5]);
    stop();
}

Test(server, requests_on_a_connection_are_bounded) {
    limits.requests_max = 3;
    start(65536);
    client_ask(&c, GET GET GET GET);
    cr_assert(c.eof && has("Connection: close\r\n"));
    cr_assert_eq(requests, 3);
    stop();
}

Test(server, stopping_lets_what_is_under_way_end) {
    static struct client busy;
    start(65536);
    client_init(&busy, &rig);
    client_ask(&busy, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    tarn_http_server_stop(rig.server);
    rig_run(&rig);
    client_read(&c, SIZE_MAX);
    cr_assert(c.eof, "the idle connection is closed");
    text(later, "last");
    rig_run(&rig);
    client_read(&busy, SIZE_MAX);
    cr_assert_not_null(strstr(busy.got, "last"));
    cr_assert_not_null(strstr(busy.got, "Connection: close\r\n"));
    cr_assert(busy.eof);
    client_close(&busy);
    stop();
}

Test(server, deleting_ends_what_is_under_way) {
    start(65536);
    client_ask(&c, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    tarn_http_server_delete(rig.server);
    cr_assert_eq(dones, 1);
    cr_assert_eq(dones_whole, 0);
    tarn_flow_close(c.flow);
    while (tarn_tasks_run(&rig.tasks)) {
    }
    tarn_pipes_delete(rig.pipes);
    cr_assert_eq(rig.outstanding, 0);
}

Test(server, impossible_limits_and_too_little_memory_are_refused) {
    struct tarn_tasks tasks;
    struct tarn_http_server *s;
    struct tarn_http_server_config config = {
        .alloc = &rig.alloc, .tasks = &tasks, .handler = &handler, .limits = &limits};
    tarn_tasks_init(&tasks);
    for (long budget = 1; budget < 20000; budget += 611) {
        rig_heap_init(&rig, budget);
        cr_assert_eq(tarn_http_server_new(&config, &s), TARN_LIMIT);
        cr_assert_eq(rig.outstanding, 0);
    }
    limits.out_bytes = 10;
    cr_assert_eq(tarn_http_server_new(&config, &s), TARN_INVALID);
    setup();
    limits.body_rate_min = 0;
    cr_assert_eq(tarn_http_server_new(&config, &s), TARN_INVALID);
}

Test(server, peer_text_cannot_add_lines_to_a_response) {
    char buf[100];
    struct tarn_writer w = TARN_WRITER_ARRAY(buf);
    tarn_writer_http_field(&w, TARN_SPAN_LIT("X"), TARN_SPAN_LIT("a\r\nSet-Cookie: b"));
    cr_assert_eq(w.len, 0);
    tarn_writer_http_field(&w, TARN_SPAN_LIT("X"), TARN_SPAN_LIT("a"));
    cr_assert_eq(w.len, 6);
}
