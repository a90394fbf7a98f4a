/* SPDX-License-Identifier: ISC */
/* What the files of the server share. server.c: connections come and go, time passes. conn.c: one
 * connection takes its steps. respond.c: what a handler calls. out.c: bytes on their way out. */
#ifndef TARN_HTTP_INTERNAL_H
#define TARN_HTTP_INTERNAL_H

#include <tarn/http.h>
#include <tarn/http_chunked.h>
#include <tarn/pool.h>
#include <tarn/timer.h>
#include <tarn/writer.h>

enum conn_state {
    CONN_READING,   /* a head */
    CONN_ANSWERING, /* a request, or an error of our own */
    CONN_LINGERING, /* everything was sent; what still comes is thrown away */
};

enum stream_kind { STREAM_NONE, STREAM_LENGTH, STREAM_CHUNKED, STREAM_TO_CLOSE };

/* What is ready to be sent: the copied bytes, then the lent piece. */
struct out {
    struct tarn_writer copied;
    size_t copied_sent;
    struct tarn_span piece;
    struct tarn_lease *lease; /* one hold is ours while there is a piece */
};

struct conn {
    struct tarn_http_exchange x;
    struct tarn_http_server *server;
    struct tarn_flow *flow;
    struct tarn_task task; /* go on: something changed outside of an event */
    struct tarn_timer timer;
    tarn_time deadline; /* the timer may be earlier: it is moved when it fires */

    struct tarn_bytes in; /* received: in[in_off, in_off + in_len) is not consumed yet */
    size_t in_off, in_len;
    struct tarn_bytes path_room;
    struct tarn_http_parser parser;

    uint64_t body_left; /* LENGTH */
    uint64_t body_bytes, discarded;
    tarn_time body_start;
    struct tarn_http_chunked chunked;

    struct out out;
    uint64_t stream_left; /* STREAM_LENGTH */

    uint32_t requests;
    uint8_t state;  /* enum conn_state */
    uint8_t stream; /* enum stream_kind */
    bool open;      /* the handler has the exchange */
    bool body_done, body_accepted, body_paused, continue_wanted;
    bool responded;     /* the head of the response is in `out` */
    bool ended;         /* so is all of the rest */
    bool whole;         /* ... and it is what was announced */
    bool keep;          /* another request may follow */
    bool stream_wanted; /* the handler waits for `writable` */
    bool chunk_open;    /* a chunk's data is behind a CR LF yet to come */
    bool last_chunk_due;
    bool running;  /* conn_run is on the stack */
    bool progress; /* something was sent since the deadline was set */
};

struct tarn_http_server {
    struct tarn_http_server_config config;
    struct tarn_http_limits limits;
    struct tarn_listener *listener; /* NULL: stopped */
    struct tarn_task task;          /* accept */
    struct tarn_pool pool;          /* struct conn */
    struct tarn_timers timers;
    struct tarn_bytes in, out, paths; /* a slice for each connection */
    tarn_time now;
    bool now_valid, stopping;
    uint8_t date[40]; /* "Date: ...\r\n" */
    size_t date_len;
    tarn_time date_until;
    int64_t wall_seconds; /* the date's */
    struct tarn_http_stats stats;
};

static inline struct conn *conn_of(struct tarn_http_exchange *x) {
    return TARN_CONTAINER_OF(x, struct conn, x);
}

tarn_time server_now(struct tarn_http_server *s);
struct tarn_span server_date(struct tarn_http_server *s);
void server_free_conn(struct conn *c);

void conn_start(struct conn *c);
void conn_run(struct conn *c);
/* From outside of conn_run: the loop goes on with it. */
void conn_wake(struct conn *c);
void conn_expire(struct conn *c);
/* The flow failed, or we give it up. */
void conn_lose(struct conn *c);
/* When the connection can do nothing but wait for a next request. */
bool conn_is_idle(const struct conn *c);

static inline bool out_is_empty(const struct out *out) {
    return out->copied.len == out->copied_sent && out->piece.len == 0;
}
/* TARN_OK: all is in the flow. TARN_AGAIN: an event follows. */
TARN_MUST_USE enum tarn_err out_flush(struct conn *c);
void out_lend(struct out *out, struct tarn_span piece, struct tarn_lease *lease);
void out_drop(struct out *out);
/* An error of the server's own, outside of an exchange too: closes the connection after. */
void respond_error(struct conn *c, uint16_t status);
/* The end of a chunked stream, when nothing lent is before it any more. */
void respond_last_chunk(struct conn *c);

void status_line_write(struct tarn_writer *w, uint16_t code);

#endif
