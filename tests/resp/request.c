/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <string.h>
#include <tarn/resp.h>

static const struct tarn_resp_limits limits = {4, 100, 64};
static struct tarn_resp_arg args[4];
static struct tarn_resp_parser parser;
static uint8_t bytes[512];
static size_t len;

static enum tarn_err parse(struct tarn_span text) {
    len = tarn_bytes_copy(TARN_BYTES_ARRAY(bytes), text);
    tarn_resp_parser_init(&parser, &limits, args);
    return tarn_resp_parse(&parser, tarn_bytes_of(bytes, len));
}

/* The arguments, each in brackets. */
static const char *arguments(void) {
    static char out[512];
    struct tarn_writer w = TARN_WRITER_ARRAY(out);
    for (uint32_t i = 0; i < parser.count; i++) {
        tarn_writer_u8(&w, '[');
        tarn_writer_span_put(&w, tarn_resp_arg(&parser, tarn_span_of(bytes, len), i));
        tarn_writer_u8(&w, ']');
    }
    tarn_writer_u8(&w, 0);
    return out;
}

static const char *parsed(struct tarn_span text) {
    cr_assert(parse(text) == TARN_OK, "%.*s", (int)text.len, (const char *)text.ptr);
    return arguments();
}
#define PARSED(lit) parsed(TARN_SPAN_LIT(lit))
#define PARSE(lit) parse(TARN_SPAN_LIT(lit))

Test(request, an_array_of_bulk_strings) {
    cr_assert_str_eq(PARSED("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"), "[GET][k]");
    cr_assert_eq(parser.bytes, 20);
    cr_assert_str_eq(PARSED("*1\r\n$4\r\na\r\nb\r\n*9"), "[a\r\nb]");
    cr_assert_eq(parser.bytes, 14, "what follows is the next request's");
    cr_assert_str_eq(PARSED("*2\r\n$0\r\n\r\n$0\r\n\r\n"), "[][]");
}

Test(request, empty_ones_are_passed_over) {
    cr_assert_str_eq(PARSED("*0\r\n"), "");
    cr_assert_eq(parser.bytes, 4);
    cr_assert_str_eq(PARSED("*-1\r\n"), "");
    cr_assert_str_eq(PARSED("\r\n"), "");
    cr_assert_eq(parser.bytes, 2);
    cr_assert_str_eq(PARSED("  \n"), "");
}

Test(request, a_line_of_words) {
    cr_assert_str_eq(PARSED("SET  k\tv\r\n"), "[SET][k][v]");
    cr_assert_str_eq(PARSED("ECHO \"a b\" 'c d'\n"), "[ECHO][a b][c d]");
    cr_assert_str_eq(PARSED("x \"\\x41\\n\\\"\\q\" '\\'\\n' \"\"\n"), "[x][A\n\"q]['\\n][]");
    cr_assert_str_eq(PARSED("x \"\\x4\" \"\\xzz\"\n"), "[x][x4][xzz]");
}

Test(request, quotes_must_close_and_end_the_word) {
    cr_assert_eq(PARSE("x \"a\n"), TARN_PEER);
    cr_assert_eq(PARSE("x 'a\n"), TARN_PEER);
    cr_assert_eq(PARSE("x \"a\\\n"), TARN_PEER);
    cr_assert_eq(PARSE("x \"a\"b\n"), TARN_PEER);
    cr_assert_str_eq(parser.error, "Protocol error: unbalanced quotes in request");
}

Test(request, cut_anywhere_it_is_the_same) {
    static const struct tarn_span all[] = {
        TARN_SPAN_LIT("*3\r\n$3\r\nSET\r\n$2\r\n\r\n\r\n$5\r\nhello\r\n"),
        TARN_SPAN_LIT("SET \"a\\x20b\" 'c'\r\n"),
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        char whole[512];
        strcpy(whole, parsed(all[i]));
        tarn_resp_parser_init(&parser, &limits, args);
        memcpy(bytes, all[i].ptr, all[i].len);
        for (size_t n = 0; n < all[i].len; n++) {
            cr_assert_eq(tarn_resp_parse(&parser, tarn_bytes_of(bytes, n)), TARN_AGAIN);
            cr_assert(tarn_resp_bytes_wanted(&parser) > n);
            cr_assert(tarn_resp_bytes_wanted(&parser) <= all[i].len);
        }
        cr_assert_eq(tarn_resp_parse(&parser, tarn_bytes_of(bytes, all[i].len)), TARN_OK);
        cr_assert_eq(parser.bytes, all[i].len);
        cr_assert_str_eq(arguments(), whole);
    }
}

Test(request, one_after_the_other) {
    static const struct tarn_span text = TARN_SPAN_LIT("*1\r\n$1\r\na\r\nb\r\n*1\r\n$1\r\nc\r\n");
    size_t at = 0;
    memcpy(bytes, text.ptr, text.len);
    tarn_resp_parser_init(&parser, &limits, args);
    for (char want = 'a'; want <= 'c'; want++) {
        struct tarn_bytes rest = tarn_bytes_of(bytes + at, text.len - at);
        cr_assert_eq(tarn_resp_parse(&parser, rest), TARN_OK);
        cr_assert_eq(tarn_span_at(tarn_resp_arg(&parser, tarn_bytes_span(rest), 0), 0), want);
        at += parser.bytes;
        tarn_resp_parser_next(&parser);
    }
    cr_assert_eq(at, text.len);
}

Test(request, limits_are_kept) {
    char text[256];
    cr_assert_eq(PARSE("*5\r\n"), TARN_PEER);
    cr_assert_eq(PARSE("a b c d e\r\n"), TARN_PEER);
    cr_assert_eq(PARSE("*1\r\n$101\r\n"), TARN_PEER);
    cr_assert_eq(PARSE("*1\r\n$100\r\n"), TARN_AGAIN);
    cr_assert_eq(tarn_resp_bytes_wanted(&parser), 4 + 6 + 102);
    memset(text, 'a', sizeof text);
    cr_assert_eq(parse(tarn_span_of(text, 64)), TARN_AGAIN);
    cr_assert_eq(parse(tarn_span_of(text, 65)), TARN_PEER);
    text[65] = '\n';
    cr_assert_eq(parse(tarn_span_of(text, 66)), TARN_PEER);
}

Test(request, what_is_no_request_is_refused) {
    static const char *const bad[] = {
        "*x\r\n",
        "*\r\n",
        "*1\n",
        "*+1\r\n",
        "*01\r\n",
        "*1\r\nGET\r\n",
        "*1\r\n$-1\r\n",
        "*1\r\n$x\r\n",
        "*1\r\n$1\r\nab\r\n",
        "*1\r\n$1\r\na\nb",
        "*99999999999999999999\r\n",
        "*1\r\n$99999999999999999999\r\n",
        "*1111111111111111111111111111",
        "*1\r\n$1111111111111111111111111111",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_eq(parse(tarn_span_str(bad[i])), TARN_PEER, "%s", bad[i]);
        cr_assert(!strncmp(parser.error, "Protocol error: ", 16));
    }
}
