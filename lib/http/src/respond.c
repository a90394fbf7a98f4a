/* SPDX-License-Identifier: ISC */
/* What a handler calls. Nothing is sent from here: it goes to `out`, and the loop goes on with it.
 */
#include "internal.h"

#include "chars.h"

static const struct tarn_span continue_line = TARN_SPAN_LIT("HTTP/1.1 100 Continue\r\n\r\n");
static const struct tarn_span last_chunk = TARN_SPAN_LIT("0\r\n\r\n");

void tarn_writer_http_field(struct tarn_writer *w, struct tarn_span name, struct tarn_span value) {
    if (!char_all(name, CHAR_TOKEN) || !char_all(value, CHAR_FIELD))
        return;
    tarn_writer_span_put(w, name);
    tarn_writer_str(w, ": ");
    tarn_writer_span_put(w, value);
    tarn_writer_str(w, "\r\n");
}

/* RFC 9110 sections 6.4.1, 9.3.2: what has no body whatever the fields say. */
static bool has_body(const struct conn *c, uint16_t status) {
    return c->x.request->method != TARN_HTTP_HEAD && status != 204 && status != 304;
}

static bool has_length(uint16_t status) {
    return status != 204 && status != 304;
}

/* Whether the connection can go on after this response. What the client still sends of its body has
 * to be read first, so it must be little, and it must be sure to come. */
static bool may_keep(const struct conn *c) {
    const struct tarn_http_limits *limits = &c->server->limits;
    if (!c->open || !c->x.request->keep_alive || c->server->stopping)
        return false;
    if (limits->requests_max && c->requests >= limits->requests_max)
        return false;
    if (c->body_done || c->body_accepted)
        return true;
    return !c->continue_wanted
           && (c->x.request->framing == TARN_HTTP_CHUNKED
               || c->body_left <= limits->discard_bytes_max);
}

static void write_connection(struct conn *c, struct tarn_writer *w) {
    if (!c->keep)
        tarn_writer_span_put(w, TARN_SPAN_LIT("Connection: close\r\n"));
    else if (c->x.request->minor == 0)
        tarn_writer_span_put(w, TARN_SPAN_LIT("Connection: keep-alive\r\n"));
}

/* The head up to its empty line. */
static void write_head(struct conn *c, struct tarn_writer *w, const struct tarn_http_response *r,
                       uint64_t length) {
    status_line_write(w, r->status);
    tarn_writer_span_put(w, server_date(c->server));
    if (r->content_type.len) {
        tarn_writer_span_put(w, TARN_SPAN_LIT("Content-Type: "));
        tarn_writer_span_put(w, r->content_type);
        tarn_writer_span_put(w, TARN_SPAN_LIT("\r\n"));
    }
    if (length != TARN_HTTP_LENGTH_UNKNOWN) {
        if (has_length(r->status)) {
            tarn_writer_span_put(w, TARN_SPAN_LIT("Content-Length: "));
            tarn_writer_dec(w, length);
            tarn_writer_span_put(w, TARN_SPAN_LIT("\r\n"));
        }
    } else if (c->stream == STREAM_CHUNKED) {
        tarn_writer_span_put(w, TARN_SPAN_LIT("Transfer-Encoding: chunked\r\n"));
    }
    tarn_writer_span_put(w, r->fields);
    write_connection(c, w);
    tarn_writer_span_put(w, TARN_SPAN_LIT("\r\n"));
}

static void commit(struct conn *c, const struct tarn_writer *w) {
    c->out.copied = *w;
    c->responded = true;
    c->server->stats.responses++;
    conn_wake(c);
}

enum tarn_err tarn_http_respond(struct tarn_http_exchange *x,
                                const struct tarn_http_response *response) {
    struct conn *c = conn_of(x);
    struct tarn_writer w = c->out.copied;
    bool with_body;
    if (c->responded || c->state != CONN_ANSWERING)
        return TARN_INVALID;
    with_body = has_body(c, response->status);
    c->keep = may_keep(c);
    write_head(c, &w, response, response->body.len);
    if (with_body && response->copy_body)
        tarn_writer_span_put(&w, response->body);
    if (!tarn_writer_ok(&w))
        return TARN_LIMIT;
    if (with_body && !response->copy_body)
        out_lend(&c->out, response->body, response->lease);
    c->ended = c->whole = true;
    commit(c, &w);
    return TARN_OK;
}

void tarn_http_respond_status(struct tarn_http_exchange *x, uint16_t status,
                              struct tarn_span fields) {
    uint8_t text[64];
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    struct tarn_http_response r = {.status = status,
                                   .content_type = TARN_SPAN_LIT("text/plain; charset=utf-8"),
                                   .fields = fields,
                                   .copy_body = true};
    tarn_writer_dec_pad(&w, status, 3);
    tarn_writer_u8(&w, ' ');
    tarn_writer_span_put(&w, tarn_http_reason(status));
    tarn_writer_u8(&w, '\n');
    r.body = tarn_writer_span(&w);
    if (tarn_http_respond(x, &r) != TARN_LIMIT)
        return;
    r.fields = TARN_SPAN_EMPTY;
    /* An empty `out` always has room for this much: tarn_http_server_new saw to that. */
    TARN_ASSERT(tarn_http_respond(x, &r) == TARN_OK);
}

void respond_error(struct conn *c, uint16_t status) {
    c->body_done = true;
    c->x.request = &c->parser.request;
    out_drop(&c->out);
    tarn_http_respond_status(&c->x, status, TARN_SPAN_EMPTY);
    c->keep = false;
}

enum tarn_err tarn_http_respond_stream(struct tarn_http_exchange *x,
                                       const struct tarn_http_response *response, uint64_t length) {
    struct conn *c = conn_of(x);
    struct tarn_writer w = c->out.copied;
    bool known = length != TARN_HTTP_LENGTH_UNKNOWN;
    if (c->responded || c->state != CONN_ANSWERING)
        return TARN_INVALID;
    c->keep = may_keep(c);
    c->stream = known ? STREAM_LENGTH : x->request->minor ? STREAM_CHUNKED : STREAM_TO_CLOSE;
    if (c->stream == STREAM_TO_CLOSE)
        c->keep = false;
    write_head(c, &w, response, length);
    if (!tarn_writer_ok(&w)) {
        c->stream = STREAM_NONE;
        return TARN_LIMIT;
    }
    c->stream_left = length;
    if (!has_body(c, response->status)) {
        /* What the handler streams from here on is counted, and goes nowhere. */
        c->ended = c->whole = true;
    }
    commit(c, &w);
    return TARN_OK;
}

/* Whether a piece of up to `len` bytes can be taken now; *len becomes what is taken. */
static enum tarn_err stream_ready(struct conn *c, size_t *len, size_t copied_room) {
    if (c->stream == STREAM_NONE || (c->ended && !c->whole))
        return TARN_INVALID;
    if (c->stream == STREAM_LENGTH && *len > c->stream_left)
        return TARN_INVALID;
    if (c->ended)
        return TARN_OK; /* HEAD: all of it is taken, none is sent */
    *len = TARN_MIN(*len, copied_room);
    if (c->out.piece.len || (*len == 0 && copied_room == 0)) {
        c->stream_wanted = true;
        return TARN_AGAIN;
    }
    return TARN_OK;
}

#define CHUNK_FRAME_BYTES 20 /* CR LF of the chunk before, 16 digits, CR LF */

static void chunk_begin(struct conn *c, size_t len) {
    if (c->stream != STREAM_CHUNKED || len == 0)
        return;
    if (c->chunk_open)
        tarn_writer_span_put(&c->out.copied, TARN_SPAN_LIT("\r\n"));
    tarn_writer_hex(&c->out.copied, len, 1);
    tarn_writer_span_put(&c->out.copied, TARN_SPAN_LIT("\r\n"));
    c->chunk_open = true;
}

static size_t frame_room(const struct conn *c) {
    /* The last chunk must always fit, too. */
    size_t room = tarn_writer_room(&c->out.copied), frame = CHUNK_FRAME_BYTES + last_chunk.len + 2;
    return room > frame ? room - frame : 0;
}

static enum tarn_err stream_put(struct conn *c, struct tarn_span data, struct tarn_lease *lease,
                                bool lend, size_t *n) {
    size_t room = frame_room(c), len = data.len;
    enum tarn_err err = stream_ready(c, &len, lend && room ? SIZE_MAX : room);
    *n = 0;
    if (err)
        return err;
    *n = len;
    if (c->stream == STREAM_LENGTH)
        c->stream_left -= len;
    if (c->ended)
        return TARN_OK;
    data = tarn_span_first(data, len);
    chunk_begin(c, len);
    if (lend)
        out_lend(&c->out, data, lease);
    else
        tarn_writer_span_put(&c->out.copied, data);
    conn_wake(c);
    return TARN_OK;
}

enum tarn_err tarn_http_stream_write(struct tarn_http_exchange *x, struct tarn_span data,
                                     size_t *n) {
    return stream_put(conn_of(x), data, NULL, false, n);
}

enum tarn_err tarn_http_stream_lend(struct tarn_http_exchange *x, struct tarn_span data,
                                    struct tarn_lease *lease, size_t *n) {
    return stream_put(conn_of(x), data, lease, true, n);
}

void tarn_http_stream_end(struct tarn_http_exchange *x, bool whole) {
    struct conn *c = conn_of(x);
    if (c->stream == STREAM_NONE || c->ended)
        return;
    c->ended = true;
    c->whole = whole && !(c->stream == STREAM_LENGTH && c->stream_left);
    c->last_chunk_due = c->whole && c->stream == STREAM_CHUNKED;
    if (!c->whole)
        c->keep = false;
    /* What is lent goes out before what is copied: behind a lent piece the end waits for it. */
    if (c->out.piece.len == 0)
        respond_last_chunk(c);
    conn_wake(c);
}

void respond_last_chunk(struct conn *c) {
    if (!c->last_chunk_due)
        return;
    c->last_chunk_due = false;
    if (c->chunk_open)
        tarn_writer_span_put(&c->out.copied, TARN_SPAN_LIT("\r\n"));
    tarn_writer_span_put(&c->out.copied, last_chunk);
    TARN_ASSERT(tarn_writer_ok(&c->out.copied));
}

static void respond_continue(struct conn *c) {
    tarn_writer_span_put(&c->out.copied, continue_line);
    c->continue_wanted = false;
}

void tarn_http_body_accept(struct tarn_http_exchange *x) {
    struct conn *c = conn_of(x);
    if (c->body_accepted || c->responded)
        return;
    c->body_accepted = true;
    if (c->continue_wanted && c->in_len == 0)
        respond_continue(c);
    c->continue_wanted = false;
    conn_wake(c);
}

void tarn_http_body_pause(struct tarn_http_exchange *x, bool paused) {
    struct conn *c = conn_of(x);
    c->body_paused = paused;
    conn_wake(c);
}
