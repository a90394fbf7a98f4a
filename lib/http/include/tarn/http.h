/* SPDX-License-Identifier: ISC */
/* tarn/http.h: an HTTP/1.0 and HTTP/1.1 server over any listener of flows (RFC 9110, RFC 9112).
 *
 * The server accepts, parses, times out, frames and closes; a handler answers. A handler gets one
 * exchange at a time from each connection and answers now or later, with a body that lies in memory
 * (lent, not copied), or with a stream. Pipelined requests wait their turn in the connection's
 * buffer, and behind it in the flow.
 *
 * Everything is bounded (struct tarn_http_limits): what is exceeded is answered with 408, 413, 414
 * or 431, or the connection is closed. After an error the server stops sending, reads on for a
 * while and only then closes, so that the client gets to see the answer (RFC 9112 section 9.6).
 *
 * All memory is taken by tarn_http_server_new. Nothing blocks; handlers are called from tarn_tasks
 * and from tarn_http_server_tick, never from inside a call of theirs. The clock is asked for the
 * Date line, and once per turn of the loop for deadlines, since events carry no time. One thread.
 */
#ifndef TARN_HTTP_H
#define TARN_HTTP_H

#include <tarn/alloc.h>
#include <tarn/env.h>
#include <tarn/flow.h>
#include <tarn/http_request.h>
#include <tarn/task.h>

/* One request and its response. Dies with the handler's `done`. */
struct tarn_http_exchange {
    const struct tarn_http_request *request;
    struct tarn_span path; /* request->path decoded, without dot segments, with its leading '/' */
    void *user;            /* the handler's; NULL at first */
};

struct tarn_http_handler;
struct tarn_http_handler_ops {
    /* A request's head is complete. Answer with tarn_http_respond*, here or later. A body is not
     * read before tarn_http_body_accept; if the answer comes without it, the body is thrown away.
     */
    void (*request)(struct tarn_http_handler *h, struct tarn_http_exchange *x);
    /* A piece of an accepted body, valid during the call; `last` with the last one, which may be
     * empty. NULL: the handler never accepts one. */
    void (*body)(struct tarn_http_handler *h, struct tarn_http_exchange *x, struct tarn_span data,
                 bool last);
    /* A stream that answered TARN_AGAIN has room. NULL: the handler never streams. */
    void (*writable)(struct tarn_http_handler *h, struct tarn_http_exchange *x);
    /* The exchange is over; `whole`: the response went out. The last call with `x`. Optional. */
    void (*done)(struct tarn_http_handler *h, struct tarn_http_exchange *x, bool whole);
};
struct tarn_http_handler {
    const struct tarn_http_handler_ops *ops;
};

/* -- the server
 * ------------------------------------------------------------------------------------- */

struct tarn_http_limits {
    uint32_t connections_max;   /* more wait in the listener's backlog */
    uint32_t target_bytes_max;  /* RFC 9112 section 3 recommends 8000 */
    uint32_t head_bytes_max;    /* at most 65535 */
    uint16_t fields_max;        /* at most TARN_HTTP_FIELDS_MAX */
    uint32_t out_bytes;         /* of a response's head with what is copied of its body */
    uint64_t body_bytes_max;    /* of a request */
    uint32_t chunk_extra_max;   /* bytes of chunk extensions and trailers in a request */
    uint32_t discard_bytes_max; /* of a body nobody wants, before the connection is rather closed */
    uint32_t requests_max;      /* on one connection; 0: any number */
    tarn_time idle_ns;          /* between requests */
    tarn_time head_ns;          /* for a whole head, from the connection or its first byte */
    tarn_time body_ns;          /* for a body, and on top of it ... */
    uint32_t body_rate_min;     /* ... a second for so many bytes */
    tarn_time send_ns;          /* without progress while there is something to send */
    tarn_time linger_ns;        /* between the last byte sent and closing */
};
/* 128 connections, targets of 8000 bytes in heads of 10 KiB, bodies of 1 MiB; 60 s idle, 10 s for a
 * head. */
extern const struct tarn_http_limits tarn_http_limits_default;

struct tarn_http_server_config {
    struct tarn_alloc *alloc;
    struct tarn_tasks *tasks;
    struct tarn_clock *clock;
    struct tarn_listener *listener; /* the server's from now on */
    struct tarn_http_handler *handler;
    const struct tarn_http_limits *limits; /* NULL: the default; copied */
};

struct tarn_http_stats {
    uint64_t connections, requests, responses;
    uint64_t refused;  /* heads and bodies that broke the protocol or a limit */
    uint64_t timeouts; /* of every kind but idle ones */
    uint64_t lost;     /* connections that failed, or ended inside an exchange */
    uint64_t full;     /* how often a connection had to wait for another to end */
};

struct tarn_http_server;
/* TARN_LIMIT: not enough memory. TARN_INVALID: limits that cannot work. In both cases the listener
 * stays the caller's. */
TARN_MUST_USE enum tarn_err tarn_http_server_new(const struct tarn_http_server_config *config,
                                                 struct tarn_http_server **out);
/* To be called in every turn of the loop, after the tasks. */
void tarn_http_server_tick(struct tarn_http_server *s, tarn_time now);
tarn_time tarn_http_server_deadline(const struct tarn_http_server *s);
/* No new connections; idle ones close now, the others after the response they are at. */
void tarn_http_server_stop(struct tarn_http_server *s);
/* Connections that live. */
uint32_t tarn_http_server_connections(const struct tarn_http_server *s);
const struct tarn_http_stats *tarn_http_server_stats(const struct tarn_http_server *s);
/* Aborts what lives (exchanges end with `done`) and gives the memory back. Not from a handler. */
void tarn_http_server_delete(struct tarn_http_server *s);

/* -- answering
 * -------------------------------------------------------------------------------------- */

struct tarn_http_response {
    uint16_t status;               /* 200 to 599 */
    struct tarn_span content_type; /* empty: no such field */
    struct tarn_span fields;       /* further field lines, each ended by CR LF; copied */
    struct tarn_span body;         /* lent until `lease` is dropped ... */
    struct tarn_lease *lease;      /* NULL: it always stays */
    bool copy_body;                /* ... or copied now, as far as limits.out_bytes allows */
};
#define TARN_HTTP_LENGTH_UNKNOWN UINT64_MAX

/* The whole response. Date, Content-Length and Connection are the server's to add; HEAD, 204 and
 * 304 are sent without the body. TARN_LIMIT: the head (with a copied body) does not fit, nothing
 * was done. TARN_INVALID: there is a response already. */
TARN_MUST_USE enum tarn_err tarn_http_respond(struct tarn_http_exchange *x,
                                              const struct tarn_http_response *response);
/* The status with its name as a small text, for errors. `fields` as above. Cannot fail: what does
 * not fit is left out. */
void tarn_http_respond_status(struct tarn_http_exchange *x, uint16_t status,
                              struct tarn_span fields);
/* A body that comes in pieces: chunked in HTTP/1.1 and up to the close in HTTP/1.0 where its length
 * is not known. response->body is not used. */
TARN_MUST_USE enum tarn_err tarn_http_respond_stream(struct tarn_http_exchange *x,
                                                     const struct tarn_http_response *response,
                                                     uint64_t length);
/* The next piece, copied or lent. *n may be less than all; TARN_AGAIN: none, `writable` follows.
 * TARN_INVALID: more than the length given, or no stream. */
TARN_MUST_USE enum tarn_err tarn_http_stream_write(struct tarn_http_exchange *x,
                                                   struct tarn_span data, size_t *n);
TARN_MUST_USE enum tarn_err tarn_http_stream_lend(struct tarn_http_exchange *x,
                                                  struct tarn_span data, struct tarn_lease *lease,
                                                  size_t *n);
/* That was all. A stream that ends before the length given, or that has to be given up (`whole`
 * false), takes the connection with it, so that the client can tell. */
void tarn_http_stream_end(struct tarn_http_exchange *x, bool whole);

/* The body is wanted: 100 Continue goes out where the client waits for it (RFC 9110
 * section 10.1.1). */
void tarn_http_body_accept(struct tarn_http_exchange *x);
/* No pieces for now, and from now on again: the client feels it. */
void tarn_http_body_pause(struct tarn_http_exchange *x, bool paused);

/* "name: value\r\n". A value with a control character in it is left out with its line: what comes
 * from a peer cannot add lines. */
void tarn_writer_http_field(struct tarn_writer *w, struct tarn_span name, struct tarn_span value);

/* Seconds since 1970, as in the Date line. */
int64_t tarn_http_now(struct tarn_http_exchange *x);

/* The reason phrase, or "Unknown". */
struct tarn_span tarn_http_reason(uint16_t status);

#endif
