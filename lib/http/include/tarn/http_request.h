/* SPDX-License-Identifier: ISC */
/* tarn/http_request.h: HTTP/1 request heads (RFC 9112), parsed as they arrive. Usable alone.
 *
 * One pass over the bytes, however they are cut; nothing is copied or allocated. The caller keeps
 * the head in one contiguous buffer and calls again with more of it; the buffer may move in
 * between.
 *
 * It is strict where two parsers that differ could be played against each other (RFC 9112 section
 * 11.2): a line ends with CR LF and nothing else; no space before a colon; no folded lines; one
 * Content-Length at most, of digits only; Transfer-Encoding is "chunked" and nothing else, never
 * with a Content-Length, never in HTTP/1.0; exactly one valid Host in HTTP/1.1. What is refused
 * comes with the status to answer.
 *
 * Offsets are 16 bits: a head has at most 65,535 bytes, whatever the limits say. One thread.
 */
#ifndef TARN_HTTP_REQUEST_H
#define TARN_HTTP_REQUEST_H

#include <tarn/err.h>
#include <tarn/span.h>

enum tarn_http_method {
    TARN_HTTP_OTHER, /* a well-formed method without a name here */
    TARN_HTTP_GET,
    TARN_HTTP_HEAD,
    TARN_HTTP_POST,
    TARN_HTTP_PUT,
    TARN_HTTP_DELETE,
    TARN_HTTP_OPTIONS,
    TARN_HTTP_PATCH,
    TARN_HTTP_TRACE,
    TARN_HTTP_CONNECT,
};

/* RFC 9112 section 3.2. */
enum tarn_http_target_form {
    TARN_HTTP_ORIGIN,    /* /path?query */
    TARN_HTTP_ABSOLUTE,  /* http://host/path?query */
    TARN_HTTP_AUTHORITY, /* host:port, with CONNECT only */
    TARN_HTTP_ASTERISK,  /* *, with OPTIONS only */
};

enum tarn_http_framing { TARN_HTTP_NO_BODY, TARN_HTTP_LENGTH, TARN_HTTP_CHUNKED };

#define TARN_HTTP_FIELDS_MAX 64

struct tarn_http_field {
    uint16_t name, name_len, value, value_len; /* from the start of the head */
};

/* What a head says. The spans point into the buffer that the last call was given. */
struct tarn_http_request {
    struct tarn_span head;        /* all of it, with the empty line */
    struct tarn_span method_text; /* as sent: methods are case-sensitive */
    struct tarn_span target;      /* as sent */
    struct tarn_span path;  /* of the target, not decoded; "/" where an absolute form has none */
    struct tarn_span query; /* behind the '?' */
    struct tarn_span host;  /* of an absolute target, else of Host; may be empty */
    enum tarn_http_method method;
    enum tarn_http_target_form form;
    enum tarn_http_framing framing;
    uint64_t content_length; /* LENGTH only */
    uint8_t minor;           /* 0 or 1: a later 1.x counts as 1.1 (RFC 9110 section 2.5) */
    bool has_query;
    bool keep_alive;      /* the client does not ask to close (RFC 9112 section 9.3) */
    bool expect_continue; /* RFC 9110 section 10.1.1 */
    uint16_t field_count;
    struct tarn_http_field fields[TARN_HTTP_FIELDS_MAX];
};

struct tarn_http_head_limits {
    uint32_t target_bytes_max; /* longer: 414 */
    uint32_t head_bytes_max;   /* longer: 431; at most 65535 */
    uint16_t fields_max;       /* more: 431; at most TARN_HTTP_FIELDS_MAX */
};

struct tarn_http_parser {
    struct tarn_http_head_limits limits;
    struct tarn_http_request request; /* complete after TARN_OK */
    uint16_t status;                  /* after TARN_PEER: what to answer */
    uint8_t state;
    uint8_t blank_lines;
    uint16_t at, mark;           /* the next byte to look at; where the current token began */
    uint16_t method, method_len; /* offsets, until the head is complete */
    uint16_t target, target_len;
    struct tarn_http_field host;
    bool host_seen, length_seen, coding_seen, chunked_seen, coding_unknown;
    bool close_seen, keep_alive_seen, expect_unknown;
};

/* Ready for a new message. Limits beyond what is possible are taken as the most that is. */
void tarn_http_parser_init(struct tarn_http_parser *parser,
                           const struct tarn_http_head_limits *limits);
/* `data`: everything received of this message, from its first byte. TARN_OK: the head is complete,
 * request.head says how long it is. TARN_AGAIN: more is needed; all of `data` must stay. TARN_PEER:
 * refused, `status` is one of 400, 413, 414, 417, 431, 501, 505. */
TARN_MUST_USE enum tarn_err tarn_http_parse(struct tarn_http_parser *parser, struct tarn_span data);

struct tarn_span tarn_http_field_name(const struct tarn_http_request *request, size_t i);
struct tarn_span tarn_http_field_value(const struct tarn_http_request *request, size_t i);
/* The value of the first field of that name (any case), searched from field *cursor on, which moves
 * behind it; start at 0. False: no more. */
TARN_MUST_USE bool tarn_http_field_find(const struct tarn_http_request *request,
                                        struct tarn_span name, size_t *cursor,
                                        struct tarn_span *value);
/* Whether exactly one such field is there. */
TARN_MUST_USE bool tarn_http_field_only(const struct tarn_http_request *request,
                                        struct tarn_span name, struct tarn_span *value);

/* The next element of a comma-separated list (RFC 9110 section 5.6.1), without the space around it;
 * empty ones are passed over. False: no more. Quoted strings are not understood. */
TARN_MUST_USE bool tarn_http_list_next(struct tarn_span *list, struct tarn_span *element);

/* A path as a name: percent-decoded, then without dot segments (RFC 3986 section 5.2.4), once.
 * Where nothing is to be decoded the answer is `raw` itself; else it is written to `room`.
 * TARN_PEER: a broken escape, an encoded '/' or NUL, or ".." above the root: answer 400.
 * TARN_LIMIT: `room` is too small (raw.len is always enough). */
TARN_MUST_USE enum tarn_err tarn_http_path_decode(struct tarn_span raw, struct tarn_bytes room,
                                                  struct tarn_span *path);

#endif
