/* SPDX-License-Identifier: ISC */
/* tarn/resp.h: the Redis serialization protocol, versions 2 and 3, from the server's side.
 *
 * A request is an array of bulk strings ("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n") or a line of words,
 * which is what a person types. The parser takes what has come of it so far, and goes on where it
 * stopped when there is more: no byte is looked at twice, however small the pieces are. An answer
 * is written with the tarn_resp_put_* calls into a tarn_writer, whose overflow is sticky.
 *
 * Never allocates, blocks or reads a clock. Nothing is kept of the bytes given: a request's
 * arguments are places in them. Limits: struct tarn_resp_limits.
 */
#ifndef TARN_RESP_H
#define TARN_RESP_H

#include <tarn/err.h>
#include <tarn/span.h>
#include <tarn/writer.h>

struct tarn_resp_limits {
    uint32_t args_max;       /* of a request, its name included */
    uint32_t arg_bytes_max;  /* of one argument */
    uint32_t line_bytes_max; /* of a request that is a line */
};

struct tarn_resp_arg {
    uint32_t off, len; /* in the request */
};

struct tarn_resp_parser {
    struct tarn_resp_limits limits;
    struct tarn_resp_arg *args; /* the caller's memory, limits.args_max of them */
    /* After TARN_OK. */
    uint32_t count;    /* arguments; 0: an empty line or array, to be passed over */
    size_t bytes;      /* of the request: the next one begins behind them */
    const char *error; /* after TARN_PEER: what is wrong, "Protocol error: ..." */
    /* The parser's own. */
    size_t at, looked, seen;
    uint32_t wanted;
    bool array;
};

void tarn_resp_parser_init(struct tarn_resp_parser *p, const struct tarn_resp_limits *limits,
                           struct tarn_resp_arg *args);
/* Before the first byte of every request but the first. */
void tarn_resp_parser_next(struct tarn_resp_parser *p);
/* `in` begins with the request's first byte and goes as far as bytes have come; it may lie
 * elsewhere at each call, with the same bytes. The words of a line are unquoted where they lie.
 * TARN_AGAIN: it is not whole yet. TARN_PEER: it is not a request, or larger than the limits say:
 * answer with `error` and close, for where the next one would begin is not known. */
TARN_MUST_USE enum tarn_err tarn_resp_parse(struct tarn_resp_parser *p, struct tarn_bytes in);
/* Argument `i` < count of the request at the front of `in`. */
struct tarn_span tarn_resp_arg(const struct tarn_resp_parser *p, struct tarn_span in, uint32_t i);
/* The bytes that the request takes at the least, as far as is known: more than the caller will ever
 * have room for means that it will never be whole. */
size_t tarn_resp_bytes_wanted(const struct tarn_resp_parser *p);

/* -- answers ------------------------------------------------------------------------------------
 * `version` is 2 or 3, as the client has asked for with HELLO. */

void tarn_resp_put_simple(struct tarn_writer *w, const char *text);
/* `text` begins with a code in capital letters ("ERR no such key"); control characters in it, which
 * may come from a peer, are written as '?'. */
void tarn_resp_put_error(struct tarn_writer *w, struct tarn_span text);
void tarn_resp_put_int(struct tarn_writer *w, int64_t value);
void tarn_resp_put_bulk(struct tarn_writer *w, struct tarn_span value);
void tarn_resp_put_null(struct tarn_writer *w, unsigned version);
/* Followed by so many values, or by twice as many: key, value, key, value. */
void tarn_resp_put_array(struct tarn_writer *w, uint64_t count);
void tarn_resp_put_map(struct tarn_writer *w, unsigned version, uint64_t count);
/* Text for people: a verbatim string, or a bulk string in version 2. */
void tarn_resp_put_text(struct tarn_writer *w, unsigned version, struct tarn_span text);

/* -- values -------------------------------------------------------------------------------------
 */

/* A number as Redis takes it: decimal, no '+', no space, no zero in front. */
TARN_MUST_USE bool tarn_resp_int(struct tarn_span text, int64_t *out);

/* Whether all of `text` is as `pattern` says: '*' stands for any bytes, '?' for one, "[a-c^]" for
 * one of these, "[^a]" for one that is not, '\' takes the next byte as it is. At most pattern.len *
 * text.len steps, whatever the pattern is. */
TARN_MUST_USE bool tarn_resp_glob(struct tarn_span pattern, struct tarn_span text);

#endif
