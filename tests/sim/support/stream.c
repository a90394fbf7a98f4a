/* SPDX-License-Identifier: ISC */
#include "stream.h"

#include <stdio.h>
#include <stdlib.h>

/* -- patterns -----------------------------------------------------------------------------------
 */

static uint64_t word_of(uint64_t pattern, uint64_t index) {
    uint64_t z = (pattern + index) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    return z ^ (z >> 27);
}

void sim_pattern(uint64_t pattern, uint64_t off, struct tarn_bytes out) {
    while (out.len) {
        uint64_t word = word_of(pattern, off / 8);
        struct tarn_span bytes = tarn_span_after(tarn_span_of(&word, sizeof word), off % 8);
        size_t n = tarn_bytes_copy(out, bytes);
        out = tarn_bytes_after(out, n);
        off += n;
    }
}

bool sim_pattern_is(uint64_t pattern, uint64_t off, struct tarn_span data) {
    while (data.len) {
        uint8_t want[4096];
        struct tarn_span piece = tarn_span_first(data, sizeof want);
        sim_pattern(pattern, off, tarn_bytes_of(want, piece.len));
        if (!tarn_span_equal(piece, tarn_span_of(want, piece.len)))
            return false;
        off += piece.len;
        data = tarn_span_after(data, piece.len);
    }
    return true;
}

/* -- writing ------------------------------------------------------------------------------------
 */

struct lent {
    struct tarn_lease lease;
    struct sim_stream *stream;
    uint8_t bytes[];
};

static void lent_release(struct tarn_lease *lease) {
    struct lent *l = TARN_CONTAINER_OF(lease, struct lent, lease);
    l->stream->leases--;
    free(l);
}

static enum tarn_err write_lent(struct sim_stream *s, size_t len, size_t *n) {
    struct lent *l = malloc(sizeof *l + len);
    l->lease = (struct tarn_lease){.holds = 1, .release = lent_release};
    l->stream = s;
    s->leases++;
    sim_pattern(s->pattern_out, s->written, tarn_bytes_of(l->bytes, len));
    enum tarn_err err = tarn_flow_lend(s->flow, tarn_span_of(l->bytes, len), &l->lease, n);
    tarn_lease_drop(&l->lease);
    return err;
}

static enum tarn_err write_copied(struct sim_stream *s, size_t len, size_t *n) {
    uint8_t *buf = malloc(len);
    sim_pattern(s->pattern_out, s->written, tarn_bytes_of(buf, len));
    size_t cut = tarn_random_below(&s->random.random, (uint32_t)len + 1);
    struct tarn_span v[2] = {tarn_span_of(buf, cut), tarn_span_of(buf + cut, len - cut)};
    enum tarn_err err = tarn_flow_writev(s->flow, v, 2, n);
    free(buf);
    return err;
}

static void fail(struct sim_stream *s, enum tarn_err err) {
    if (!s->error)
        s->error = err;
    s->eof = s->shut = true;
}

/* True: something was done. */
static bool write_some(struct sim_stream *s) {
    if (s->shut || !s->can_write)
        return false;
    if (s->written == s->bytes_out) {
        s->shut = true;
        if (s->close_early)
            s->eof = true;
        else
            tarn_flow_shutdown(s->flow);
        return true;
    }
    size_t len = (size_t)TARN_MIN((uint64_t)1 + tarn_random_below(&s->random.random, s->chunk_max),
                                  s->bytes_out - s->written);
    size_t n = 0;
    enum tarn_err err =
        tarn_random_below(&s->random.random, 2) ? write_lent(s, len, &n) : write_copied(s, len, &n);
    if (err == TARN_OK) {
        s->wrong |= n == 0 || n > len;
        s->written += n;
    } else if (err == TARN_AGAIN) {
        s->wrong |= n != 0;
        s->can_write = false;
    } else {
        fail(s, err);
    }
    return true;
}

/* -- reading ------------------------------------------------------------------------------------
 */

static enum tarn_err read_peeked(struct sim_stream *s, size_t *n) {
    struct tarn_bytes at;
    enum tarn_err err = tarn_flow_peek(s->flow, &at);
    if (err)
        return err;
    *n = TARN_MIN(at.len, (size_t)s->chunk_max);
    s->wrong |= *n == 0 || !sim_pattern_is(s->pattern_in, s->got, tarn_span_of(at.ptr, *n));
    tarn_flow_consume(s->flow, *n);
    return TARN_OK;
}

static enum tarn_err read_copied(struct sim_stream *s, size_t *n) {
    size_t len = 1 + tarn_random_below(&s->random.random, s->chunk_max);
    uint8_t *buf = malloc(len);
    enum tarn_err err = tarn_flow_read(s->flow, tarn_bytes_of(buf, len), n);
    if (err == TARN_OK)
        s->wrong |=
            *n == 0 || *n > len || !sim_pattern_is(s->pattern_in, s->got, tarn_span_of(buf, *n));
    free(buf);
    return err;
}

static bool read_some(struct sim_stream *s) {
    if (s->eof || !s->can_read)
        return false;
    size_t n = 0;
    enum tarn_err err =
        tarn_random_below(&s->random.random, 2) ? read_peeked(s, &n) : read_copied(s, &n);
    if (err == TARN_OK)
        s->got += n;
    else if (err == TARN_AGAIN)
        s->can_read = false;
    else if (err == TARN_EOF)
        s->eof = true;
    else
        fail(s, err);
    return true;
}

/* -- running ------------------------------------------------------------------------------------
 */

static void finish(struct sim_stream *s, tarn_time now) {
    s->closed = true;
    s->finished_at = now;
    tarn_flow_close(s->flow);
    s->flow = NULL;
}

static void stream_run(struct sim_app *app, tarn_time now) {
    struct sim_stream *s = TARN_CONTAINER_OF(app, struct sim_stream, app);
    if (!s->flow || now < s->next_at)
        return;
    for (unsigned i = 0; i < 16; i++) {
        if (s->shut && s->eof) {
            finish(s, now);
            return;
        }
        bool write_first = tarn_random_below(&s->random.random, 2);
        bool did = write_first ? write_some(s) : read_some(s);
        did |= write_first ? read_some(s) : write_some(s);
        if (!did)
            return;
        if (s->pause_max && tarn_random_below(&s->random.random, 1000000) < s->pause_ppm) {
            s->next_at = now + tarn_random_u64(&s->random.random) % s->pause_max;
            return;
        }
    }
}

static tarn_time stream_deadline(struct sim_app *app) {
    struct sim_stream *s = TARN_CONTAINER_OF(app, struct sim_stream, app);
    bool busy =
        s->flow && ((s->can_write && !s->shut) || (s->can_read && !s->eof) || (s->shut && s->eof));
    return busy ? s->next_at : TARN_NEVER;
}

static void on_event(struct tarn_flow *flow, unsigned events) {
    struct sim_stream *s = flow->user;
    TARN_ASSERT(!s->closed); /* no event comes after close */
    if (events & TARN_FLOW_CONNECTED)
        s->connected = true;
    if (events & (TARN_FLOW_READABLE | TARN_FLOW_CONNECTED | TARN_FLOW_FAILED))
        s->can_read = true;
    if (events & (TARN_FLOW_WRITABLE | TARN_FLOW_CONNECTED | TARN_FLOW_FAILED))
        s->can_write = true;
}

static void adopt(struct sim_stream *s, struct tarn_flow *flow) {
    s->flow = flow;
    flow->user = s;
    flow->on_event = on_event;
}

void sim_stream_start(struct sim_stream *s, struct sim_host *host, struct tarn_flow *flow) {
    s->host = host;
    s->app.run = stream_run;
    s->app.deadline = stream_deadline;
    if (!s->chunk_max)
        s->chunk_max = 4096;
    tarn_sim_random(host->lan->sim, &s->random);
    sim_host_add_app(host, &s->app);
    if (flow)
        adopt(s, flow);
}

bool sim_stream_is_done(const struct sim_stream *s) {
    return s->closed;
}

bool sim_stream_is_good(const struct sim_stream *s, const struct sim_stream *other) {
    return s->closed && !s->error && !s->wrong && s->written == s->bytes_out
           && s->got == other->bytes_out;
}

const char *sim_stream_text(const struct sim_stream *s) {
    static char text[2][256];
    static unsigned turn;
    char *out = text[turn++ % 2];
    snprintf(out, sizeof text[0], "[%llu of %llu written, %llu read,%s%s%s%s%s%s error %s]",
             (unsigned long long)s->written, (unsigned long long)s->bytes_out,
             (unsigned long long)s->got, s->flow || s->closed ? "" : " no flow,",
             s->shut ? " shut," : "", s->eof ? " eof," : "", s->closed ? " closed," : "",
             s->wrong ? " WRONG," : "", s->can_read ? " readable," : "", tarn_err_name(s->error));
    return out;
}

/* -- servers ------------------------------------------------------------------------------------
 */

static void server_run(struct sim_app *app, tarn_time now) {
    struct sim_server *server = TARN_CONTAINER_OF(app, struct sim_server, app);
    (void)now;
    while (server->waiting && server->accepted < server->count) {
        struct tarn_flow *flow;
        if (tarn_listener_accept(server->listener, &flow) != TARN_OK) {
            server->waiting = false;
            return;
        }
        struct sim_stream *s = &server->streams[server->accepted++];
        adopt(s, flow);
        s->connected = s->can_read = s->can_write = true;
    }
}

static void server_event(struct tarn_listener *listener) {
    struct sim_server *server = listener->user;
    server->waiting = true;
}

void sim_server_start(struct sim_server *server, struct sim_host *host, uint16_t port,
                      uint32_t backlog) {
    server->host = host;
    server->app.run = server_run;
    server->listener = sim_host_listen(host, port, backlog);
    TARN_ASSERT(server->listener);
    server->listener->user = server;
    server->listener->on_event = server_event;
    server->waiting = true;
    for (unsigned i = 0; i < server->count; i++)
        sim_stream_start(&server->streams[i], host, NULL);
    sim_host_add_app(host, &server->app); /* in front of its streams */
}
