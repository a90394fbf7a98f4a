/* SPDX-License-Identifier: ISC */
/* One fiber does it all, in rounds: what has come is parsed and carried out, connection by
 * connection; then one sync makes all of it durable; then the answers go out. So connections that
 * are busy at the same time share a write and a flush, and no answer tells of what a loss of power
 * could take back, not even of what somebody else has written. While the fiber waits for the
 * device, the loop goes on, and requests gather for the next round. */
#include "kvd.h"

#include <tarn/pool.h>

#define LINGER TARN_SEC(2)       /* for the peer to read why we end */
#define COMMANDS_PER_ROUND 1024u /* of a connection, before the others have their turn */

struct conn {
    struct server *server;
    struct tarn_flow *flow;
    struct conn *next;     /* in the list of the ready */
    struct conn *together; /* in the round */
    struct client client;
    struct tarn_resp_parser parser;
    struct tarn_bytes in; /* what came: in[in_off, in_off + in_len) is not carried out yet */
    size_t in_off, in_len;
    /* MULTI: the requests that wait for EXEC are the first `queued` bytes of those. */
    bool multi, multi_failed;
    size_t queued;
    uint32_t queued_count;
    uint32_t
        exec_left; /* of them to be carried out; then comes the EXEC itself, to be passed over */
    struct tarn_writer out;
    size_t sent, sendable; /* out[sent, sendable) is durable and may go */
    tarn_time active;      /* when something came last */
    bool ready;            /* in the list */
    bool more;             /* it may go on when there is room for answers */
    enum {
        OPEN,
        ENDED,     /* no more requests; answers may still be on their way */
        LINGERING, /* so is our end; what still comes is thrown away, until the peer's */
        OVER,
        LOST, /* the flow is broken */
    } state;
};

struct server {
    struct kvd *kvd;
    struct tarn_waiter *waiter;
    struct tarn_listener *listener;
    struct tarn_pool pool;
    struct tarn_bytes in, out; /* a slice for each connection */
    struct tarn_resp_arg *args;
    struct conn *first, **last; /* those with something to do */
    tarn_time next_sweep, next_idle;
    bool accepting;
    bool failed; /* the store */
};

static void ready(struct conn *c) {
    struct server *s = c->server;
    if (c->ready)
        return;
    c->ready = true;
    c->next = NULL;
    *s->last = c;
    s->last = &c->next;
}

static void conn_event(struct tarn_flow *flow, unsigned events) {
    struct conn *c = flow->user;
    if (events & TARN_FLOW_FAILED)
        c->state = LOST;
    ready(c);
    c->server->waiter->ops->wake(c->server->waiter);
}

static void listener_event(struct tarn_listener *listener) {
    struct server *s = listener->user;
    s->accepting = true;
    s->waiter->ops->wake(s->waiter);
}

/* -- coming and going -----------------------------------------------------------------------------
 */

static struct tarn_bytes slice(struct tarn_bytes all, size_t each, uint32_t index) {
    return tarn_bytes_first(tarn_bytes_after(all, each * index), each);
}

static void refuse(struct server *s, struct tarn_flow *flow) {
    size_t n;
    s->kvd->refused++;
    if (tarn_flow_write(flow, TARN_SPAN_LIT("-ERR max number of clients reached\r\n"), &n))
        tarn_flow_abort(flow);
    else
        tarn_flow_close(flow);
}

static void conn_new(struct server *s, struct conn *c, struct tarn_flow *flow, tarn_time now) {
    const struct kvd_limits *l = &s->kvd->limits;
    uint32_t index = tarn_pool_handle(&s->pool, c).index;
    const struct tarn_resp_limits limits = {.args_max = KVD_ARGS_MAX,
                                            .arg_bytes_max = (uint32_t)l->value_bytes_max,
                                            .line_bytes_max = 8192};
    *c = (struct conn){.server = s, .flow = flow, .active = now};
    c->client = (struct client){.id = ++s->kvd->connections, .version = 2};
    c->in = slice(s->in, l->request_bytes_max, index);
    c->out = tarn_writer_over(slice(s->out, l->answer_bytes_max, index));
    tarn_resp_parser_init(&c->parser, &limits, s->args + (size_t)index * KVD_ARGS_MAX);
    flow->user = c;
    flow->on_event = conn_event;
    s->kvd->clients++;
    ready(c);
}

static void accept_all(struct server *s, tarn_time now) {
    struct tarn_flow *flow;
    s->accepting = false;
    while (tarn_listener_accept(s->listener, &flow) == TARN_OK) {
        struct conn *c = tarn_pool_take(&s->pool);
        if (c)
            conn_new(s, c, flow, now);
        else
            refuse(s, flow);
    }
}

static void conn_end(struct conn *c) {
    struct server *s = c->server;
    if (c->state == LOST)
        tarn_flow_abort(c->flow);
    else
        tarn_flow_close(c->flow);
    s->kvd->clients--;
    tarn_pool_put(&s->pool, c);
}

/* -- requests -------------------------------------------------------------------------------------
 */

/* What came, from the next request on. */
static struct tarn_bytes request(const struct conn *c) {
    return tarn_bytes_after(tarn_bytes_first(c->in, c->in_off + c->in_len), c->in_off + c->queued);
}

static void refuse_request(struct conn *c, const char *why) {
    char text[128];
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    tarn_writer_str(&w, "ERR ");
    tarn_writer_str(&w, why);
    tarn_resp_put_error(&c->out, tarn_writer_span(&w));
    c->state = ENDED;
}

static enum tarn_err receive(struct conn *c) {
    size_t n;
    if (c->queued + tarn_resp_bytes_wanted(&c->parser) > c->in.len) {
        refuse_request(c, "Protocol error: the request is larger than this server takes");
        return TARN_EOF;
    }
    if (c->in_off + c->in_len == c->in.len) {
        tarn_bytes_move(c->in, tarn_bytes_span(tarn_bytes_after(c->in, c->in_off)));
        c->in_off = 0;
    }
    enum tarn_err err = tarn_flow_read(c->flow, tarn_bytes_after(c->in, c->in_off + c->in_len), &n);
    if (!err)
        c->in_len += n;
    return err;
}

/* The next request is done, and all that is queued before it. */
static void consume(struct conn *c) {
    c->in_off += c->queued + c->parser.bytes;
    c->in_len -= c->queued + c->parser.bytes;
    c->queued = 0;
    if (!c->in_len)
        c->in_off = 0;
    tarn_resp_parser_next(&c->parser);
}

/* -- transactions ---------------------------------------------------------------------------------
 * MULTI leaves the requests that follow where they lie, and EXEC carries them out from there, with
 * nobody else's between them. */

static bool is_named(const struct conn *c, const char *name) {
    return c->parser.count
           && tarn_span_equal_nocase(tarn_resp_arg(&c->parser, tarn_bytes_span(request(c)), 0),
                                     tarn_span_str(name));
}

static void answer(struct conn *c, const char *text) {
    if (*text == '-')
        tarn_resp_put_error(&c->out, tarn_span_str(text + 1));
    else
        tarn_resp_put_simple(&c->out, text);
}

static void multi_end(struct conn *c) {
    c->multi = c->multi_failed = false;
    c->queued_count = 0;
}

static void exec(struct conn *c) {
    if (c->multi_failed) {
        answer(c, "-EXECABORT Transaction discarded because of previous errors.");
        consume(c);
    } else {
        tarn_resp_put_array(&c->out, c->queued_count);
        c->exec_left = c->queued_count + 1;
        c->queued = 0;
        tarn_resp_parser_next(&c->parser);
    }
    multi_end(c);
}

/* A request after MULTI, or one of MULTI, EXEC and DISCARD. False: it is another. */
static bool transaction(struct conn *c) {
    bool begin = is_named(c, "multi"), end = is_named(c, "exec"), drop = is_named(c, "discard");
    if (!c->multi && !begin && !end && !drop)
        return false;
    if (is_named(c, "quit") || is_named(c, "reset")) {
        multi_end(c);
        return false; /* what is queued goes with it */
    }
    if (c->multi && end) {
        exec(c);
        return true;
    }
    if (begin || end || drop) {
        answer(c, begin && c->multi   ? "-ERR MULTI calls can not be nested"
                  : end               ? "-ERR EXEC without MULTI"
                  : drop && !c->multi ? "-ERR DISCARD without MULTI"
                                      : "OK");
        if (begin && c->multi) { /* which changes nothing: it must not wait among the others */
            struct tarn_bytes rest = request(c);
            tarn_bytes_move(rest, tarn_span_after(tarn_bytes_span(rest), c->parser.bytes));
            c->in_len -= c->parser.bytes;
            tarn_resp_parser_next(&c->parser);
            return true;
        }
        consume(c);
        if (drop)
            multi_end(c);
        c->multi |= begin;
        return true;
    }
    /* A line was unquoted where it lies: it cannot be read again. */
    bool good = *tarn_bytes_at(request(c), 0) == '*'
                && command_check(c->server->kvd, &c->client, &c->parser,
                                 tarn_bytes_span(request(c)), &c->out);
    if (good)
        answer(c, "QUEUED");
    else if (*tarn_bytes_at(request(c), 0) != '*')
        answer(c, "-ERR a line cannot wait for EXEC");
    c->multi_failed |= !good;
    c->queued += c->parser.bytes;
    c->queued_count++;
    tarn_resp_parser_next(&c->parser);
    return true;
}

/* One step: a request, or more of it. TARN_AGAIN: nothing to do until an event. */
static enum tarn_err step(struct conn *c) {
    if (tarn_writer_room(&c->out) < KVD_SMALL_BYTES) {
        c->more = true;
        return TARN_AGAIN;
    }
    enum tarn_err err = tarn_resp_parse(&c->parser, request(c));
    if (err == TARN_PEER) {
        refuse_request(c, c->parser.error);
        return TARN_EOF;
    }
    if (err == TARN_AGAIN)
        return receive(c);
    if (!c->parser.count && c->multi) {
        c->queued += c->parser.bytes;
        tarn_resp_parser_next(&c->parser);
        return TARN_OK;
    }
    if (c->parser.count && c->exec_left == 1) {
        c->exec_left = 0; /* the EXEC */
    } else if (c->parser.count) {
        if (!c->exec_left && transaction(c))
            return TARN_OK;
        err = command_run(c->server->kvd, &c->client, &c->parser, tarn_bytes_span(request(c)),
                          &c->out);
        c->exec_left -= !err && c->exec_left;
    }
    c->server->failed |= err == TARN_IO;
    c->more = err == TARN_AGAIN;
    if (err)
        return err;
    consume(c);
    return c->client.closing ? TARN_EOF : TARN_OK;
}

/* Closing while something of the peer's is unread would reset the connection, and the peer might
 * never see the last answer. */
static void linger(struct conn *c) {
    enum tarn_err err;
    size_t n;
    do
        err = tarn_flow_read(c->flow, c->in, &n);
    while (!err);
    if (err != TARN_AGAIN)
        c->state = err == TARN_EOF ? OVER : LOST;
}

static void conn_serve(struct conn *c, tarn_time now) {
    enum tarn_err err = TARN_OK;
    if (c->state == LINGERING)
        linger(c);
    if (c->state != OPEN)
        return;
    size_t before = c->in_len;
    c->more = false;
    for (uint32_t i = 0; !err && (i < COMMANDS_PER_ROUND || c->exec_left); i++)
        err = step(c);
    if (c->in_len != before || c->out.len > c->sendable)
        c->active = now;
    if (err == TARN_EOF)
        c->state = ENDED;
    else if (err && err != TARN_AGAIN)
        c->state = LOST;
    c->more |= err == TARN_OK;
}

/* -- answers --------------------------------------------------------------------------------------
 */

static enum tarn_err conn_send(struct conn *c) {
    while (c->sent < c->sendable) {
        struct tarn_span all = tarn_span_first(tarn_writer_span(&c->out), c->sendable);
        size_t n;
        enum tarn_err err = tarn_flow_write(c->flow, tarn_span_after(all, c->sent), &n);
        if (err)
            return err;
        c->sent += n;
    }
    if (c->sendable == c->out.len)
        c->sent = c->sendable = c->out.len = 0;
    return TARN_OK;
}

static void linger_begin(struct conn *c, tarn_time now) {
    tarn_flow_shutdown(c->flow);
    c->active = now;
    c->state = LINGERING;
    c->server->next_idle = TARN_MIN(c->server->next_idle, tarn_time_after(now, LINGER));
    ready(c);
}

/* All that the connection has done is durable. */
static void conn_finish(struct conn *c, tarn_time now) {
    c->sendable = c->out.len;
    enum tarn_err err = c->state == LOST ? TARN_IO : conn_send(c);
    if (err && err != TARN_AGAIN)
        c->state = LOST;
    if (c->state == ENDED && !c->out.len)
        linger_begin(c, now);
    else if (c->state >= OVER && !c->ready)
        conn_end(c);
    else if (c->state >= OVER || (c->more && !c->out.len))
        ready(c);
}

/* -- rounds ---------------------------------------------------------------------------------------
 */

/* Events while it waits for the device make connections ready for the next round. */
static enum tarn_err round_serve(struct server *s, tarn_time now) {
    struct conn *all = NULL, **end = &all, *c;
    while ((c = s->first)) {
        s->first = c->next;
        c->ready = false;
        c->together = NULL;
        *end = c;
        end = &c->together;
    }
    s->last = &s->first;
    for (c = all; c && !s->failed; c = c->together)
        conn_serve(c, now);
    if (s->failed || db_sync(&s->kvd->db) != TARN_OK)
        return TARN_IO;
    while ((c = all)) {
        all = c->together;
        conn_finish(c, now);
    }
    return TARN_OK;
}

/* Drops those that have been silent for too long. */
static void idle_end(struct server *s, tarn_time now) {
    uint32_t cursor = 0;
    struct conn *c;
    s->next_idle =
        s->kvd->limits.idle == TARN_NEVER ? TARN_NEVER : tarn_time_after(now, TARN_SEC(1));
    while ((c = tarn_pool_next(&s->pool, &cursor))) {
        tarn_time patience = c->state == LINGERING ? LINGER : s->kvd->limits.idle;
        if (now - c->active >= patience) {
            c->state = LOST;
            ready(c);
        } else if (c->state == LINGERING) {
            s->next_idle = TARN_MIN(s->next_idle, tarn_time_after(c->active, LINGER));
        }
    }
}

static enum tarn_err server_init(struct server *s, struct tarn_env *env) {
    const struct kvd_limits *l = &s->kvd->limits;
    struct tarn_alloc *alloc = tarn_env_alloc(env);
    uint32_t n = l->connections_max;
    s->last = &s->first;
    s->waiter = tarn_env_waiter(env);
    s->next_idle = l->idle == TARN_NEVER ? TARN_NEVER : 0;
    s->in.ptr = tarn_alloc_array(alloc, n, l->request_bytes_max, 16);
    s->out.ptr = tarn_alloc_array(alloc, n, l->answer_bytes_max, 16);
    s->args = tarn_alloc_array(alloc, n, KVD_ARGS_MAX * sizeof *s->args, _Alignof(uint64_t));
    s->in.len = n * l->request_bytes_max;
    s->out.len = n * l->answer_bytes_max;
    if (!s->in.ptr || !s->out.ptr || !s->args)
        return TARN_LIMIT;
    return tarn_pool_init(&s->pool, alloc, sizeof(struct conn), _Alignof(struct conn), n);
}

enum tarn_err server_run(struct tarn_env *env, struct kvd *kvd, struct tarn_listener *listener) {
    static struct server server;
    struct server *s = &server;
    *s = (struct server){.kvd = kvd, .listener = listener, .accepting = true};
    enum tarn_err err = server_init(s, env);
    listener->user = s;
    listener->on_event = listener_event;
    while (!err) {
        tarn_time now = tarn_now(env);
        if (s->accepting)
            accept_all(s, now);
        if (now >= s->next_idle)
            idle_end(s, now);
        err = round_serve(s, now);
        if (!err && now >= s->next_sweep)
            err = db_sweep(&kvd->db, now, &s->next_sweep);
        if (!err && s->first)
            tarn_sleep(env, 0); /* the devices' turn */
        else if (!err && !s->accepting)
            (void)s->waiter->ops->wait(s->waiter, TARN_MIN(s->next_sweep, s->next_idle));
        if (kvd->db.may_expire && s->next_sweep == TARN_NEVER)
            s->next_sweep = tarn_time_after(tarn_now(env), TARN_SEC(1));
    }
    return err;
}
