/* SPDX-License-Identifier: ISC */
/* One connection: read a head, let the handler answer, go on or linger. */
#include "internal.h"

/* Pipelined requests answered before the other connections have a turn. */
#define REQUESTS_PER_RUN 16u

static struct tarn_span received(const struct conn *c) {
    return tarn_bytes_span(tarn_bytes_first(tarn_bytes_after(c->in, c->in_off), c->in_len));
}

static void consume(struct conn *c, size_t n) {
    TARN_ASSERT(n <= c->in_len);
    c->in_off += n;
    c->in_len -= n;
}

/* More bytes behind those that are there. */
static enum tarn_err receive(struct conn *c) {
    struct tarn_bytes room = tarn_bytes_after(c->in, c->in_off + c->in_len);
    enum tarn_err err;
    size_t n;
    TARN_ASSERT(room.len != 0);
    err = tarn_flow_read(c->flow, room, &n);
    if (!err)
        c->in_len += n;
    return err;
}

static void deadline_set(struct conn *c, tarn_time at) {
    c->deadline = at;
    /* A later deadline leaves the timer where it is: it is looked at again when it fires. So the
     * heap is not touched from request to request. */
    if (at != TARN_NEVER && (!tarn_timer_is_set(&c->timer) || at < c->timer.at))
        tarn_timer_set(&c->server->timers, &c->timer, at);
}

static void deadline_in(struct conn *c, tarn_time delay) {
    deadline_set(c, tarn_time_after(server_now(c->server), delay));
}

void conn_wake(struct conn *c) {
    if (!c->running)
        tarn_task_post(c->server->config.tasks, &c->task);
}

/* -- beginning and end of an exchange
 * --------------------------------------------------------------- */

static void move_to_front(struct conn *c) {
    if (c->in_off) {
        tarn_bytes_move(c->in, received(c));
        c->in_off = 0;
    }
}

static void parser_start(struct conn *c) {
    struct tarn_http_head_limits limits = {
        .target_bytes_max = c->server->limits.target_bytes_max,
        .head_bytes_max = c->server->limits.head_bytes_max,
        .fields_max = c->server->limits.fields_max,
    };
    tarn_http_parser_init(&c->parser, &limits);
}

static void reading_start(struct conn *c) {
    c->state = CONN_READING;
    parser_start(c);
    c->x = (struct tarn_http_exchange){.request = &c->parser.request};
    c->stream = STREAM_NONE;
    c->body_bytes = c->discarded = 0;
    c->body_done = c->body_accepted = c->body_paused = c->continue_wanted = false;
    c->responded = c->ended = c->whole = c->keep = false;
    c->stream_wanted = c->chunk_open = c->last_chunk_due = false;
    if (c->in_len)
        deadline_in(c, c->server->limits.head_ns);
    else
        deadline_in(c, c->requests ? c->server->limits.idle_ns : c->server->limits.head_ns);
}

bool conn_is_idle(const struct conn *c) {
    return c->state == CONN_READING && c->in_len == 0;
}

void conn_start(struct conn *c) {
    c->requests = 0;
    reading_start(c);
    conn_run(c);
}

/* The handler's last word, once. */
static void exchange_close(struct conn *c, bool whole) {
    struct tarn_http_handler *h = c->server->config.handler;
    if (!c->open)
        return;
    c->open = false;
    if (h->ops->done)
        h->ops->done(h, &c->x, whole);
}

/* Ends everything but the flow. */
static void conn_end(struct conn *c) {
    out_drop(&c->out);
    exchange_close(c, false);
    server_free_conn(c);
}

static void conn_close(struct conn *c) {
    tarn_flow_close(c->flow);
    conn_end(c);
}

void conn_lose(struct conn *c) {
    if (c->state != CONN_LINGERING && !conn_is_idle(c))
        c->server->stats.lost++;
    tarn_flow_abort(c->flow);
    conn_end(c);
}

static void refuse(struct conn *c, uint16_t status) {
    c->server->stats.refused++;
    c->state = CONN_ANSWERING;
    deadline_set(c, TARN_NEVER);
    respond_error(c, status);
}

/* What the handler is spared: targets that name nothing here. */
static bool target_answer(struct conn *c) {
    const struct tarn_http_request *r = c->x.request;
    if (r->form == TARN_HTTP_AUTHORITY) {
        tarn_http_respond_status(&c->x, 501, TARN_SPAN_EMPTY);
        return true;
    }
    if (r->form == TARN_HTTP_ASTERISK) {
        struct tarn_http_response response = {.status = 204};
        TARN_ASSERT(tarn_http_respond(&c->x, &response) == TARN_OK);
        return true;
    }
    return false;
}

static void exchange_start(struct conn *c) {
    const struct tarn_http_request *r = &c->parser.request;
    struct tarn_http_handler *h = c->server->config.handler;
    c->state = CONN_ANSWERING;
    c->requests++;
    c->server->stats.requests++;
    consume(c, r->head.len);
    c->body_left = r->framing == TARN_HTTP_LENGTH ? r->content_length : 0;
    c->body_done = r->framing == TARN_HTTP_NO_BODY
                   || (r->framing == TARN_HTTP_LENGTH && r->content_length == 0);
    c->continue_wanted = r->expect_continue && !c->body_done;
    if (r->framing == TARN_HTTP_CHUNKED)
        tarn_http_chunked_init(&c->chunked, c->server->limits.chunk_extra_max);
    if (c->body_left > c->server->limits.body_bytes_max) {
        refuse(c, 413);
        return;
    }
    if (r->form <= TARN_HTTP_ABSOLUTE
        && tarn_http_path_decode(r->path, c->path_room, &c->x.path) != TARN_OK) {
        refuse(c, 400);
        return;
    }
    if (!c->body_done)
        c->body_start = server_now(c->server);
    deadline_set(c, TARN_NEVER);
    c->open = true;
    if (target_answer(c))
        c->open = false; /* the handler never heard of it */
    else
        h->ops->request(h, &c->x);
}

/* -- steps: TARN_OK: something was done, go on; TARN_AGAIN: an event follows; else the flow failed
 * -- */

static enum tarn_err head_next(struct conn *c) {
    enum tarn_err err = tarn_http_parse(&c->parser, received(c));
    if (err == TARN_OK && c->in_off && c->parser.request.framing != TARN_HTTP_NO_BODY) {
        /* A body needs the room behind the head: so the head has to lie in front. */
        move_to_front(c);
        parser_start(c);
        err = tarn_http_parse(&c->parser, received(c));
    }
    return err;
}

static enum tarn_err step_reading(struct conn *c) {
    enum tarn_err err = c->in_len ? head_next(c) : TARN_AGAIN;
    bool fresh = c->in_len == 0;
    if (err == TARN_OK) {
        exchange_start(c);
        return TARN_OK;
    }
    if (err == TARN_PEER) {
        refuse(c, c->parser.status);
        return TARN_OK;
    }
    if (c->server->stopping && c->in_len == 0)
        return TARN_EOF;
    /* More has to come: in front, the buffer is long enough for it. */
    move_to_front(c);
    err = receive(c);
    if (!err && fresh)
        deadline_in(c, c->server->limits.head_ns);
    return err;
}

/* The next piece of the body out of what was received. TARN_EOF: it is complete. */
static enum tarn_err body_next(struct conn *c, struct tarn_span *data) {
    struct tarn_span in = received(c);
    size_t before = in.len;
    enum tarn_err err;
    if (c->x.request->framing == TARN_HTTP_CHUNKED) {
        err = tarn_http_chunked_next(&c->chunked, &in, data);
        consume(c, before - in.len);
        return err;
    }
    if (c->body_left == 0)
        return TARN_EOF;
    *data = tarn_span_first(in, (size_t)TARN_MIN(c->body_left, (uint64_t)in.len));
    c->body_left -= data->len;
    consume(c, data->len);
    return data->len ? TARN_OK : TARN_AGAIN;
}

static enum tarn_err body_broken(struct conn *c, uint16_t status) {
    c->server->stats.refused++;
    c->body_done = true;
    if (c->responded) {
        /* Too late to say so. A whole response goes out, and that is the end. */
        c->keep = false;
        return c->ended ? TARN_OK : TARN_PEER;
    }
    exchange_close(c, false);
    respond_error(c, status);
    return TARN_OK;
}

static enum tarn_err body_hand(struct conn *c, struct tarn_span data, bool last) {
    struct tarn_http_handler *h = c->server->config.handler;
    c->body_bytes += data.len;
    if (c->body_bytes > c->server->limits.body_bytes_max)
        return body_broken(c, 413);
    if (last)
        c->body_done = true;
    if (c->body_accepted) {
        if (h->ops->body)
            h->ops->body(h, &c->x, data, last);
        return TARN_OK;
    }
    c->discarded += data.len;
    if (c->discarded > c->server->limits.discard_bytes_max) {
        c->keep = false;
        c->body_done = true;
    }
    return TARN_OK;
}

static enum tarn_err step_body(struct conn *c) {
    struct tarn_span data = TARN_SPAN_EMPTY;
    enum tarn_err err;
    bool wanted = c->body_accepted ? !c->body_paused : c->ended && c->keep;
    if (c->body_done || !wanted)
        return TARN_AGAIN;
    err = body_next(c, &data);
    if (err == TARN_OK)
        return body_hand(c, data, c->x.request->framing == TARN_HTTP_LENGTH && c->body_left == 0);
    if (err == TARN_EOF)
        return body_hand(c, TARN_SPAN_EMPTY, true);
    if (err != TARN_AGAIN)
        return body_broken(c, 400);
    /* The head stays in front; the body reuses what is behind it. */
    if (c->in_len == 0)
        c->in_off = c->x.request->head.len;
    err = receive(c);
    return err == TARN_EOF ? body_broken(c, 400) : err;
}

static void linger_start(struct conn *c) {
    tarn_flow_shutdown(c->flow);
    c->state = CONN_LINGERING;
    c->discarded = 0;
    deadline_in(c, c->server->limits.linger_ns);
}

/* The response is out: what is next? */
static enum tarn_err exchange_end(struct conn *c) {
    bool whole = c->whole;
    exchange_close(c, whole);
    if (!whole)
        return TARN_IO; /* the client must not take what it has for all of it */
    if (c->keep && !c->server->stopping)
        reading_start(c);
    else
        linger_start(c);
    return TARN_OK;
}

static enum tarn_err step_answering(struct conn *c) {
    struct tarn_http_handler *h = c->server->config.handler;
    enum tarn_err sent = out_flush(c), err;
    if (sent == TARN_OK && c->last_chunk_due) {
        respond_last_chunk(c);
        return TARN_OK;
    }
    if (sent != TARN_OK && sent != TARN_AGAIN)
        return sent;
    if (sent == TARN_OK && c->stream_wanted) {
        c->stream_wanted = false;
        if (c->open && h->ops->writable)
            h->ops->writable(h, &c->x);
        return TARN_OK;
    }
    err = step_body(c);
    if (err != TARN_AGAIN)
        return err;
    if (sent == TARN_OK && c->ended && (c->body_done || !c->keep))
        return exchange_end(c);
    return TARN_AGAIN;
}

static enum tarn_err step_lingering(struct conn *c) {
    c->discarded += c->in_len;
    c->in_off = c->in_len = 0;
    return c->discarded > c->server->limits.discard_bytes_max ? TARN_EOF : receive(c);
}

/* -- the loop
 * --------------------------------------------------------------------------------------- */

/* How long the wait that begins now may take. */
static void answering_deadline(struct conn *c) {
    const struct tarn_http_limits *limits = &c->server->limits;
    bool reading = !c->body_done && (c->body_accepted ? !c->body_paused : c->ended && c->keep);
    if (!out_is_empty(&c->out)) {
        if (c->progress || c->deadline == TARN_NEVER)
            deadline_in(c, limits->send_ns);
    } else if (reading) {
        tarn_time earned = c->body_bytes * (TARN_SEC(1) / limits->body_rate_min);
        deadline_set(c, tarn_time_after(c->body_start, limits->body_ns + earned));
    } else {
        deadline_set(c, TARN_NEVER); /* the handler's turn */
    }
    c->progress = false;
}

void conn_run(struct conn *c) {
    uint32_t first = c->requests;
    enum tarn_err err = TARN_OK;
    TARN_ASSERT(!c->running);
    c->running = true;
    while (!err) {
        if (c->requests - first >= REQUESTS_PER_RUN && c->state == CONN_READING) {
            tarn_task_post(c->server->config.tasks, &c->task);
            break;
        }
        switch ((enum conn_state)c->state) {
        case CONN_READING: err = step_reading(c); break;
        case CONN_ANSWERING: err = step_answering(c); break;
        case CONN_LINGERING: err = step_lingering(c); break;
        }
    }
    c->running = false;
    if (err == TARN_EOF) {
        if (c->state == CONN_READING && c->in_len)
            c->server->stats.lost++;
        conn_close(c);
    } else if (err && err != TARN_AGAIN) {
        conn_lose(c);
    } else if (c->state == CONN_ANSWERING) {
        answering_deadline(c);
    }
}

void conn_expire(struct conn *c) {
    if (conn_is_idle(c) && c->requests) {
        conn_close(c);
        return;
    }
    if (c->state != CONN_LINGERING)
        c->server->stats.timeouts++;
    if (c->state == CONN_LINGERING || (conn_is_idle(c) && !c->requests)) {
        conn_close(c);
    } else if (c->responded) {
        conn_lose(c);
    } else {
        exchange_close(c, false);
        c->state = CONN_ANSWERING;
        respond_error(c, 408);
    }
}
