/* SPDX-License-Identifier: ISC */
/* The head of a request, a state machine over its bytes: it stops anywhere and goes on from there.
 */
#include <tarn/http_request.h>

#include "chars.h"
#include "target.h"

enum state {
    START,
    START_LF, /* an empty line before the request (RFC 9112 section 2.2) */
    METHOD,
    TARGET,
    VERSION,
    VERSION_LF,
    FIELD_START,
    NAME,
    VALUE_SPACE,
    VALUE,
    VALUE_LF,
    END_LF,
    DONE,
    REFUSED,
};

#define BLANK_LINES_MAX 4 /* before a request: some clients end a body with one too many */
#define METHOD_BYTES_MAX 32
#define VERSION_BYTES 8

void tarn_http_parser_init(struct tarn_http_parser *p, const struct tarn_http_head_limits *limits) {
    p->limits = *limits;
    p->limits.head_bytes_max = TARN_MIN(limits->head_bytes_max, 65535u);
    p->limits.fields_max = (uint16_t)TARN_MIN(limits->fields_max, (uint16_t)TARN_HTTP_FIELDS_MAX);
    p->status = 0;
    p->state = START;
    p->blank_lines = 0;
    p->at = p->mark = 0;
    p->host_seen = p->length_seen = p->coding_seen = p->chunked_seen = p->coding_unknown = false;
    p->close_seen = p->keep_alive_seen = p->expect_unknown = false;
    /* Only what is not always set: the fields are long, and a head is parsed for every page. */
    p->request.field_count = 0;
    p->request.method = TARN_HTTP_OTHER;
    p->request.framing = TARN_HTTP_NO_BODY;
    p->request.content_length = 0;
    p->request.has_query = p->request.keep_alive = p->request.expect_continue = false;
    p->request.path = p->request.query = p->request.host = TARN_SPAN_EMPTY;
}

static enum tarn_err refuse(struct tarn_http_parser *p, uint16_t status) {
    p->state = REFUSED;
    p->status = status;
    return TARN_PEER;
}

static struct tarn_span piece(struct tarn_span data, size_t off, size_t len) {
    struct tarn_span s;
    return tarn_span_sub(data, off, len, &s) ? s : TARN_SPAN_EMPTY;
}

static enum tarn_http_method method_of(struct tarn_span text) {
    static const struct {
        struct tarn_span text;
        enum tarn_http_method method;
    } methods[] = {
        {TARN_SPAN_LIT("GET"), TARN_HTTP_GET},
        {TARN_SPAN_LIT("HEAD"), TARN_HTTP_HEAD},
        {TARN_SPAN_LIT("POST"), TARN_HTTP_POST},
        {TARN_SPAN_LIT("PUT"), TARN_HTTP_PUT},
        {TARN_SPAN_LIT("DELETE"), TARN_HTTP_DELETE},
        {TARN_SPAN_LIT("OPTIONS"), TARN_HTTP_OPTIONS},
        {TARN_SPAN_LIT("PATCH"), TARN_HTTP_PATCH},
        {TARN_SPAN_LIT("TRACE"), TARN_HTTP_TRACE},
        {TARN_SPAN_LIT("CONNECT"), TARN_HTTP_CONNECT},
    };
    for (size_t i = 0; i < TARN_COUNT_OF(methods); i++)
        if (tarn_span_equal(TARN_AT(methods, i).text, text))
            return TARN_AT(methods, i).method;
    return TARN_HTTP_OTHER;
}

/* -- the fields that frame the message ------------------------------------------------------------
 */

static uint16_t content_length(struct tarn_http_parser *p, struct tarn_span value) {
    uint8_t c;
    if (p->length_seen || value.len == 0)
        return 400;
    p->length_seen = true;
    if (tarn_span_parse_dec(value, INT64_MAX, &p->request.content_length))
        return 0;
    while (tarn_span_u8(&value, &c))
        if (c < '0' || c > '9')
            return 400;
    return 413; /* a number, but not one that any body has */
}

/* RFC 9112 section 6.1. Elements are strict: an empty one is what one parser skips and another does
 * not. */
static uint16_t transfer_encoding(struct tarn_http_parser *p, struct tarn_span value) {
    bool more = true;
    p->coding_seen = true;
    while (more) {
        struct tarn_span coding;
        more = tarn_span_split(&value, ',', &coding);
        coding = tarn_span_trim(coding, " \t");
        if (coding.len == 0 || p->chunked_seen)
            return 400;
        if (tarn_span_equal_nocase(coding, TARN_SPAN_LIT("chunked")))
            p->chunked_seen = true;
        else
            p->coding_unknown = true;
    }
    return 0;
}

static void connection(struct tarn_http_parser *p, struct tarn_span value) {
    struct tarn_span option;
    while (tarn_http_list_next(&value, &option)) {
        if (tarn_span_equal_nocase(option, TARN_SPAN_LIT("close")))
            p->close_seen = true;
        else if (tarn_span_equal_nocase(option, TARN_SPAN_LIT("keep-alive")))
            p->keep_alive_seen = true;
    }
}

/* The status to refuse with, or 0. Names are told by their length first: most fields are none of
 * these. */
static uint16_t field_known(struct tarn_http_parser *p, const struct tarn_http_field *f,
                            struct tarn_span name, struct tarn_span value) {
    switch (name.len) {
    case 4:
        if (!tarn_span_equal_nocase(name, TARN_SPAN_LIT("Host")))
            return 0;
        if (p->host_seen || !target_host_is_valid(value))
            return 400;
        p->host_seen = true;
        p->host = *f;
        return 0;
    case 6:
        if (!tarn_span_equal_nocase(name, TARN_SPAN_LIT("Expect")))
            return 0;
        if (tarn_span_equal_nocase(value, TARN_SPAN_LIT("100-continue")))
            p->request.expect_continue = true;
        else
            p->expect_unknown = true;
        return 0;
    case 10:
        if (tarn_span_equal_nocase(name, TARN_SPAN_LIT("Connection")))
            connection(p, value);
        return 0;
    case 14:
        if (tarn_span_equal_nocase(name, TARN_SPAN_LIT("Content-Length")))
            return content_length(p, value);
        return 0;
    case 17:
        if (tarn_span_equal_nocase(name, TARN_SPAN_LIT("Transfer-Encoding")))
            return transfer_encoding(p, value);
        return 0;
    default: return 0;
    }
}

/* A value ends before its trailing space. */
static uint16_t field_end(struct tarn_http_parser *p, struct tarn_span data) {
    struct tarn_http_field *f = &TARN_AT(p->request.fields, p->request.field_count);
    size_t end = p->at;
    while (end > p->mark
           && (tarn_span_at(data, end - 1) == ' ' || tarn_span_at(data, end - 1) == '\t'))
        end--;
    f->value = p->mark;
    f->value_len = (uint16_t)(end - p->mark);
    p->request.field_count++;
    return field_known(p, f, piece(data, f->name, f->name_len),
                       piece(data, f->value, f->value_len));
}

/* -- the whole head -------------------------------------------------------------------------------
 */

/* RFC 9112 sections 3.2, 6.1 and 6.3: what the fields mean together. */
static enum tarn_err head_end(struct tarn_http_parser *p, struct tarn_span data) {
    struct tarn_http_request *r = &p->request;
    r->head = tarn_span_first(data, p->at);
    r->method_text = piece(data, p->method, p->method_len);
    r->target = piece(data, p->target, p->target_len);
    if (p->host_seen)
        r->host = piece(data, p->host.value, p->host.value_len);
    else if (r->minor >= 1)
        return refuse(p, 400);
    if (p->coding_seen) {
        if (r->minor == 0 || p->length_seen || !p->chunked_seen)
            return refuse(p, 400);
        if (p->coding_unknown)
            return refuse(p, 501);
        r->framing = TARN_HTTP_CHUNKED;
    } else if (p->length_seen) {
        r->framing = TARN_HTTP_LENGTH;
    }
    if (!target_split(r))
        return refuse(p, 400);
    if (r->minor == 0)
        r->expect_continue = false;
    else if (p->expect_unknown)
        return refuse(p, 417);
    r->keep_alive = !p->close_seen && (r->minor >= 1 || p->keep_alive_seen);
    p->state = DONE;
    return TARN_OK;
}

/* 0, or the status to refuse with. */
static uint16_t version_end(struct tarn_http_parser *p, struct tarn_span data) {
    struct tarn_span version = piece(data, p->mark, VERSION_BYTES);
    uint8_t major = tarn_span_at(version, 5), minor = tarn_span_at(version, 7);
    if (!tarn_span_starts(version, TARN_SPAN_LIT("HTTP/")) || tarn_span_at(version, 6) != '.'
        || major < '0' || major > '9' || minor < '0' || minor > '9')
        return 400;
    if (major != '1')
        return 505;
    p->request.minor = minor == '0' ? 0 : 1;
    return 0;
}

static void token_begin(struct tarn_http_parser *p, enum state state) {
    p->mark = p->at;
    p->state = (uint8_t)state;
}

/* The states of the request line. 0, or the status to refuse with. */
static uint16_t step_line(struct tarn_http_parser *p, struct tarn_span data, uint8_t c) {
    switch (p->state) {
    case START:
        if (c == '\r' && p->blank_lines < BLANK_LINES_MAX) {
            p->blank_lines++;
            p->at++;
            p->state = START_LF;
            return 0;
        }
        token_begin(p, METHOD);
        return char_is(c, CHAR_TOKEN) ? 0 : 400;
    case START_LF:
        p->at++;
        p->state = START;
        return c == '\n' ? 0 : 400;
    case METHOD:
        p->at = (uint16_t)char_run(data, p->at, CHAR_TOKEN);
        if (p->at - p->mark > METHOD_BYTES_MAX)
            return 501; /* RFC 9112 section 3 */
        if (p->at == data.len)
            return 0;
        if (tarn_span_at(data, p->at) != ' ')
            return 400;
        p->method = p->mark;
        p->method_len = (uint16_t)(p->at - p->mark);
        p->request.method = method_of(piece(data, p->method, p->method_len));
        p->at++;
        token_begin(p, TARGET);
        return 0;
    case TARGET:
        p->at = (uint16_t)char_run(data, p->at, CHAR_TARGET);
        p->target_len = (uint16_t)(p->at - p->mark);
        if (p->target_len > p->limits.target_bytes_max)
            return 414;
        if (p->at == data.len)
            return 0;
        if (tarn_span_at(data, p->at) != ' ' || p->target_len == 0)
            return 400;
        p->target = p->mark;
        p->at++;
        token_begin(p, VERSION);
        return 0;
    case VERSION:
        p->at++;
        if (p->at - p->mark <= VERSION_BYTES)
            return c > ' ' ? 0 : 400;
        p->state = VERSION_LF;
        return c == '\r' ? version_end(p, data) : 400;
    default:
        p->at++;
        p->state = FIELD_START;
        return c == '\n' ? 0 : 400;
    }
}

/* The states of the fields. */
static uint16_t step_field(struct tarn_http_parser *p, struct tarn_span data, uint8_t c) {
    switch (p->state) {
    case FIELD_START:
        if (c == '\r') {
            p->at++;
            p->state = END_LF;
            return 0;
        }
        if (p->request.field_count == p->limits.fields_max)
            return 431;
        token_begin(p, NAME);
        return char_is(c, CHAR_TOKEN) ? 0 : 400; /* a folded line begins with space */
    case NAME: {
        struct tarn_http_field *f = &TARN_AT(p->request.fields, p->request.field_count);
        p->at = (uint16_t)char_run(data, p->at, CHAR_TOKEN);
        if (p->at == data.len)
            return 0;
        if (tarn_span_at(data, p->at) != ':')
            return 400;
        f->name = p->mark;
        f->name_len = (uint16_t)(p->at - p->mark);
        p->at++;
        p->state = VALUE_SPACE;
        return 0;
    }
    case VALUE_SPACE:
        if (c == ' ' || c == '\t')
            p->at++;
        else
            token_begin(p, VALUE);
        return 0;
    case VALUE: {
        uint16_t status;
        p->at = (uint16_t)char_run(data, p->at, CHAR_FIELD);
        if (p->at == data.len)
            return 0;
        if (tarn_span_at(data, p->at) != '\r')
            return 400;
        status = field_end(p, data);
        p->at++;
        p->state = VALUE_LF;
        return status;
    }
    default: /* VALUE_LF */
        p->at++;
        p->state = FIELD_START;
        return c == '\n' ? 0 : 400;
    }
}

enum tarn_err tarn_http_parse(struct tarn_http_parser *p, struct tarn_span data) {
    TARN_ASSERT(data.len >= p->at);
    if (p->state == REFUSED)
        return TARN_PEER;
    if (p->state == DONE)
        return TARN_OK;
    data = tarn_span_first(data, p->limits.head_bytes_max);
    while (p->at < data.len) {
        uint8_t c = tarn_span_at(data, p->at);
        uint16_t status;
        if (p->state == END_LF) {
            p->at++;
            return c == '\n' ? head_end(p, data) : refuse(p, 400);
        }
        status = p->state < FIELD_START ? step_line(p, data, c) : step_field(p, data, c);
        if (status)
            return refuse(p, status);
    }
    if (p->at == p->limits.head_bytes_max)
        return refuse(p, p->state < FIELD_START ? 414 : 431);
    return TARN_AGAIN;
}

/* -- what the caller asks -------------------------------------------------------------------------
 */

struct tarn_span tarn_http_field_name(const struct tarn_http_request *r, size_t i) {
    const struct tarn_http_field *f = &TARN_AT(r->fields, i);
    return piece(r->head, f->name, f->name_len);
}

struct tarn_span tarn_http_field_value(const struct tarn_http_request *r, size_t i) {
    const struct tarn_http_field *f = &TARN_AT(r->fields, i);
    return piece(r->head, f->value, f->value_len);
}

bool tarn_http_field_find(const struct tarn_http_request *r, struct tarn_span name, size_t *cursor,
                          struct tarn_span *value) {
    for (size_t i = *cursor; i < r->field_count; i++) {
        if (TARN_AT(r->fields, i).name_len == name.len
            && tarn_span_equal_nocase(tarn_http_field_name(r, i), name)) {
            *value = tarn_http_field_value(r, i);
            *cursor = i + 1;
            return true;
        }
    }
    return false;
}

bool tarn_http_field_only(const struct tarn_http_request *r, struct tarn_span name,
                          struct tarn_span *value) {
    size_t cursor = 0;
    struct tarn_span other;
    return tarn_http_field_find(r, name, &cursor, value)
           && !tarn_http_field_find(r, name, &cursor, &other);
}

bool tarn_http_list_next(struct tarn_span *list, struct tarn_span *element) {
    while (list->len) {
        tarn_span_split(list, ',', element);
        *element = tarn_span_trim(*element, " \t");
        if (element->len)
            return true;
    }
    return false;
}
