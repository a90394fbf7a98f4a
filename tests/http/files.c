/* SPDX-License-Identifier: ISC */
#include "rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <tarn/http_files.h>

/* A store of a few files. */
static const struct {
    const char *key, *value;
} files[] = {
    {"index.html", "<p>home"},
    {"docs/index.html", "<p>docs"},
    {"docs/a b.txt", "0123456789"},
    {"style.css", "body{}"},
    {"style.css.gz", "GZIPPED"},
    {"404.html", "<p>lost"},
    {"empty", ""},
};
#define MTIME 784111777 /* Sun, 06 Nov 1994 08:49:37 GMT */
#define MDATE "Sun, 06 Nov 1994 08:49:37 GMT"

static int file_at(struct tarn_span key) {
    for (unsigned i = 0; i < sizeof files / sizeof files[0]; i++)
        if (tarn_span_equal(key, tarn_span_str(files[i].key)))
            return (int)i;
    return -1;
}
static enum tarn_err kv_exists(struct tarn_kv *kv, struct tarn_span key, enum tarn_kv_kind *kind) {
    (void)kv;
    *kind = file_at(key) >= 0                                   ? TARN_KV_VALUE
            : tarn_span_equal(key, TARN_SPAN_LIT("docs"))       ? TARN_KV_DICTIONARY
            : tarn_span_equal(key, TARN_SPAN_LIT("d \xc3\xa9")) ? TARN_KV_DICTIONARY
                                                                : TARN_KV_NONE;
    return TARN_OK;
}
static enum tarn_err kv_borrow(struct tarn_kv *kv, struct tarn_span key, struct tarn_span *value) {
    enum tarn_kv_kind kind;
    int i = file_at(key);
    if (i >= 0)
        *value = tarn_span_str(files[i].value);
    if (tarn_span_equal(key, TARN_SPAN_LIT("device")))
        return TARN_UNSUPPORTED;
    return i >= 0                                                               ? TARN_OK
           : kv_exists(kv, key, &kind) == TARN_OK && kind == TARN_KV_DICTIONARY ? TARN_INVALID
                                                                                : TARN_NOT_FOUND;
}
static enum tarn_err kv_modified(struct tarn_kv *kv, struct tarn_span key, int64_t *seconds) {
    (void)kv, (void)key;
    *seconds = MTIME;
    return TARN_OK;
}
static enum tarn_err kv_digest(struct tarn_kv *kv, struct tarn_span key,
                               uint8_t digest[TARN_KV_DIGEST_BYTES]) {
    (void)kv;
    memset(digest, 0x10 + file_at(key), TARN_KV_DIGEST_BYTES);
    return TARN_OK;
}
static const struct tarn_kv_ops kv_ops = {
    .exists = kv_exists, .borrow = kv_borrow, .last_modified = kv_modified, .digest = kv_digest};
static struct tarn_kv kv = {&kv_ops};

static struct rig rig, memory;
static struct client c;
static struct tarn_http_files *handler;

static void start(struct tarn_span not_found) {
    struct tarn_http_files_config config = {.alloc = &memory.alloc,
                                            .kv = &kv,
                                            .cache_control = TARN_SPAN_LIT("max-age=60"),
                                            .not_found = not_found,
                                            .multipart_max = 1};
    rig_heap_init(&memory, 0);
    cr_assert_eq(tarn_http_files_new(&config, &handler), TARN_OK);
    rig_init(&rig, tarn_http_files_handler(handler), NULL, 64);
    client_init(&c, &rig);
}
static void setup(void) {
    start(TARN_SPAN_EMPTY);
}
static void teardown(void) {
    client_close(&c);
    rig_done(&rig);
    tarn_http_files_delete(handler);
    cr_assert_eq(memory.outstanding, 0);
}
TestSuite(files, .init = setup, .fini = teardown);

static void ask(const char *method, const char *path, const char *fields) {
    char text[1000];
    snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: a\r\n%s\r\n", method, path, fields);
    client_ask(&c, text);
}
static void get(const char *path, const char *fields) {
    ask("GET", path, fields);
}
static unsigned status(void) {
    unsigned code = 0;
    cr_assert_eq(sscanf(c.got, "HTTP/1.1 %u ", &code), 1, "%s", c.got);
    return code;
}
static bool has(const char *what) {
    return strstr(c.got, what) != NULL;
}
static const char *body(void) {
    return strstr(c.got, "\r\n\r\n") + 4;
}
#define ETAG(n)                                                                                    \
    "\"1" n "1" n "1" n "1" n "1" n "1" n "1" n "1" n "1" n "1" n "1" n "1" n "1" n "1" n "1" n    \
    "1" n "\""

Test(files, a_page_with_all_that_it_is_known_by) {
    get("/", "");
    cr_assert_str_eq(
        c.got,
        "HTTP/1.1 200 OK\r\nDate: " MDATE "\r\n"
        "Content-Type: text/html; charset=utf-8\r\nContent-Length: 7\r\n"
        "ETag: " ETAG("0") "\r\nLast-Modified: " MDATE "\r\n"
                           "Cache-Control: max-age=60\r\nAccept-Ranges: bytes\r\n\r\n<p>home");
    get("/docs/", "");
    cr_assert_str_eq(body(), "<p>docs");
    get("/docs/a%20b.txt?query", "");
    cr_assert_str_eq(body(), "0123456789");
    cr_assert(has("Content-Type: text/plain; charset=utf-8\r\n"));
    get("/docs/../index.html", "");
    cr_assert_str_eq(body(), "<p>home");
    get("/empty", "");
    cr_assert(status() == 200 && has("Content-Length: 0\r\n") && *body() == 0);
    ask("HEAD", "/", "");
    cr_assert(status() == 200 && has("Content-Length: 7\r\n") && *body() == 0);
}

Test(files, directories_are_redirected_to_their_slash) {
    get("/docs?x=1", "");
    cr_assert(status() == 301 && has("Location: /docs/?x=1\r\n"));
    get("/d%20%c3%a9", "");
    cr_assert(status() == 301 && has("Location: /d%20%c3%a9/\r\n"), "%s", c.got);
}

Test(files, what_is_not_there) {
    get("/nothing", "");
    cr_assert(status() == 404);
    cr_assert_str_eq(body(), "404 Not Found\n");
    get("//", "");
    cr_assert(status() == 404);
    get("/docs/nothing/", "");
    cr_assert(status() == 404);
    get("/device", "");
    cr_assert(status() == 500);
    teardown();
    start(TARN_SPAN_LIT("404.html"));
    get("/nothing", "If-None-Match: *\r\n");
    cr_assert(status() == 404 && has("text/html"));
    cr_assert_str_eq(body(), "<p>lost");
}

Test(files, rfc9110_9_1_methods) {
    ask("POST", "/", "");
    cr_assert(status() == 405 && has("Allow: GET, HEAD\r\n"));
    ask("OPTIONS", "/", "");
    cr_assert(status() == 204 && has("Allow: GET, HEAD\r\n"));
    ask("BREW", "/", "");
    cr_assert(status() == 501);
}

Test(files, rfc9110_13_2_2_conditions_in_their_order) {
    static const struct {
        const char *fields;
        unsigned status;
    } cases[] = {
        {"If-None-Match: " ETAG("0") "\r\n", 304},
        {"If-None-Match: W/" ETAG("0") "\r\n", 304},
        {"If-None-Match: \"x,\", " ETAG("0") "\r\n", 304},
        {"If-None-Match: \"x\"\r\nIf-None-Match: " ETAG("0") "\r\n", 304},
        {"If-None-Match: *\r\n", 304},
        {"If-None-Match: \"other\"\r\n", 200},
        {"If-None-Match: \"other\"\r\nIf-Modified-Since: " MDATE "\r\n", 200},
        {"If-Modified-Since: " MDATE "\r\n", 304},
        {"If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n", 200},
        {"If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT\r\n", 304},
        {"If-Modified-Since: rubbish\r\n", 200},
        {"If-Match: " ETAG("0") "\r\n", 200},
        {"If-Match: W/" ETAG("0") "\r\n", 412},
        {"If-Match: *\r\n", 200},
        {"If-Match: \"other\"\r\n", 412},
        {"If-Match: \"other\"\r\nIf-None-Match: *\r\n", 412},
        {"If-Match: *\r\nIf-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n", 200},
        {"If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n", 412},
        {"If-Unmodified-Since: " MDATE "\r\n", 200},
        {"If-Unmodified-Since: rubbish\r\n", 200},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        get("/", cases[i].fields);
        cr_assert_eq(status(), cases[i].status, "%s gives %u", cases[i].fields, status());
        if (status() == 304) {
            cr_assert(has("ETag: " ETAG("0")) && has("Cache-Control") && has("Date: "));
            cr_assert(!has("Content-Length") && !has("Content-Type") && *body() == 0);
        }
    }
}

Test(files, rfc9110_14_2_single_ranges) {
    static const struct {
        const char *range, *body, *content_range;
    } cases[] = {
        {"bytes=0-0", "0", "bytes 0-0/10"},
        {"bytes=2-4", "234", "bytes 2-4/10"},
        {"bytes=7-", "789", "bytes 7-9/10"},
        {"bytes=8-99", "89", "bytes 8-9/10"},
        {"bytes=-3", "789", "bytes 7-9/10"},
        {"bytes=-99", "0123456789", "bytes 0-9/10"},
        {"Bytes= 1-1 ", "1", "bytes 1-1/10"},
        {"bytes=20-30, 1-2", "12", "bytes 1-2/10"},
        {"bytes=0-18446744073709551615", "0123456789", "bytes 0-9/10"},
    };
    char fields[100];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(fields, sizeof fields, "Range: %s\r\n", cases[i].range);
        get("/docs/a%20b.txt", fields);
        cr_assert_eq(status(), 206, "%s gives %u", cases[i].range, status());
        cr_assert_str_eq(body(), cases[i].body);
        snprintf(fields, sizeof fields, "Content-Range: %s\r\n", cases[i].content_range);
        cr_assert(has(fields), "%s", c.got);
    }
    get("/docs/a%20b.txt", "Range: bytes=10-\r\n");
    cr_assert(status() == 416 && has("Content-Range: bytes */10\r\n"));
    get("/docs/a%20b.txt", "Range: bytes=-0\r\n");
    cr_assert(status() == 416);
    get("/empty", "Range: bytes=0-\r\n");
    cr_assert(status() == 416);
}

Test(files, ranges_that_are_none_get_the_whole) {
    static const char *const fields[] = {
        "Range: bytes=\r\n",
        "Range: bytes=-\r\n",
        "Range: bytes=5-2\r\n",
        "Range: bytes=a-b\r\n",
        "Range: lines=1-2\r\n",
        "Range: bytes=1\r\n",
        "Range: bytes=1-2\r\nRange: bytes=3-4\r\n",
        "Range: bytes=99999999999999999999-\r\n",
        "Range: bytes=0-,0-,0-,0-\r\n", /* more than there is */
        "Range: bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8\r\n",
        "Range: bytes=1-2\r\nIf-Range: \"other\"\r\n",
        "Range: bytes=1-2\r\nIf-Range: W/" ETAG("2") "\r\n",
        "Range: bytes=1-2\r\nIf-Range: Sun, 06 Nov 1994 08:49:38 GMT\r\n"};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        get("/docs/a%20b.txt", fields[i]);
        cr_assert_eq(status(), 200, "%s gives %u", fields[i], status());
        cr_assert_str_eq(body(), "0123456789");
    }
    get("/docs/a%20b.txt", "Range: bytes=1-2\r\nIf-Range: " ETAG("2") "\r\n");
    cr_assert_eq(status(), 206);
    get("/docs/a%20b.txt", "Range: bytes=1-2\r\nIf-Range: " MDATE "\r\n");
    cr_assert_eq(status(), 206);
    ask("HEAD", "/docs/a%20b.txt", "Range: bytes=1-2\r\n");
    cr_assert_eq(status(), 200);
    get("/docs/a%20b.txt", "Range: bytes=1-2\r\nIf-None-Match: *\r\n");
    cr_assert_eq(status(), 304);
}

Test(files, rfc9110_14_6_several_ranges_come_as_parts) {
    get("/docs/a%20b.txt", "Range: bytes=1-2,-3\r\n");
    cr_assert_eq(status(), 206);
    cr_assert(has("Content-Type: multipart/byteranges; boundary=1212121212121212\r\n"));
    static const char want[] =
        "\r\n--1212121212121212\r\nContent-Type: text/plain; charset=utf-8\r\n"
        "Content-Range: bytes 1-2/10\r\n\r\n12"
        "\r\n--1212121212121212\r\nContent-Type: text/plain; charset=utf-8\r\n"
        "Content-Range: bytes 7-9/10\r\n\r\n789"
        "\r\n--1212121212121212--\r\n";
    cr_assert_str_eq(body(), want);
    char length[40];
    snprintf(length, sizeof length, "Content-Length: %zu\r\n", sizeof want - 1);
    cr_assert(has(length));
    get("/", "");
    cr_assert_eq(status(), 200, "the connection goes on");
}

Test(files, multipart_jobs_are_bounded_and_come_back) {
    static struct client other;
    size_t n;
    client_init(&other, &rig);
    cr_assert_eq(
        tarn_flow_write(other.flow,
                        TARN_SPAN_LIT("GET /docs/a%20b.txt HTTP/1.1\r\nHost:\r\nRange: bytes=0-0"),
                        &n),
        TARN_OK);
    rig_run(&rig);
    cr_assert_eq(tarn_flow_write(other.flow, TARN_SPAN_LIT(",2-2\r\n\r\n"), &n), TARN_OK);
    rig_run(&rig); /* it hangs in a pipe of 64 bytes */
    get("/docs/a%20b.txt", "Range: bytes=0-0,2-2\r\n");
    cr_assert_eq(status(), 200);
    tarn_flow_abort(other.flow);
    rig_run(&rig);
    get("/docs/a%20b.txt", "Range: bytes=0-0,2-2\r\n");
    cr_assert_eq(status(), 206);
}

Test(files, rfc9110_12_5_3_gzip_for_those_who_take_it) {
    static const struct {
        const char *fields;
        bool gzip;
    } cases[] = {
        {"", false},
        {"Accept-Encoding:\r\n", false},
        {"Accept-Encoding: gzip\r\n", true},
        {"Accept-Encoding: br, GZIP;q=0.5\r\n", true},
        {"Accept-Encoding: gzip;q=0\r\n", false},
        {"Accept-Encoding: gzip;q=0.000\r\n", false},
        {"Accept-Encoding: gzip ; Q=0.001\r\n", true},
        {"Accept-Encoding: *\r\n", true},
        {"Accept-Encoding: *;q=0\r\n", false},
        {"Accept-Encoding: gzip;q=0, *\r\n", false},
        {"Accept-Encoding: *, gzip;q=0\r\n", false},
        {"Accept-Encoding: gzip;q=0.5, identity;q=0.9\r\n", false},
        {"Accept-Encoding: br\r\nAccept-Encoding: gzip\r\n", true},
        {"Accept-Encoding: gzip;q=x\r\n", false},
        {"Accept-Encoding: gzip;q=1.5\r\n", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        get("/style.css", cases[i].fields);
        cr_assert_eq(has("Content-Encoding: gzip\r\n"), cases[i].gzip, "%s", cases[i].fields);
        cr_assert_str_eq(body(), cases[i].gzip ? "GZIPPED" : "body{}");
        cr_assert(has("Vary: Accept-Encoding\r\n") && has("Content-Type: text/css"));
        cr_assert(has(cases[i].gzip ? ETAG("4") : ETAG("3")));
    }
    get("/", "Accept-Encoding: gzip\r\n");
    cr_assert(!has("Vary") && !has("Content-Encoding"));
}

Test(files, types_go_by_the_last_extension) {
    static const struct {
        const char *name, *type;
    } cases[] = {{"a.html", "text/html; charset=utf-8"},   {"a.SVG", "image/svg+xml"},
                 {"a.tar.gz", "application/gzip"},         {"a", "application/octet-stream"},
                 {"a.html/b", "application/octet-stream"}, {".html", "text/html; charset=utf-8"},
                 {"a.", "application/octet-stream"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_assert(tarn_span_equal(tarn_http_content_type(tarn_span_str(cases[i].name)),
                                  tarn_span_str(cases[i].type)),
                  "%s", cases[i].name);
}
