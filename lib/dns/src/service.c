/* SPDX-License-Identifier: ISC */
#include <tarn/dns_service.h>
#include <tarn/lru.h>
#include <tarn/pool.h>

#define STREAMS_DEFAULT 32u
#define IDLE_DEFAULT TARN_SEC(10)
#define QUERY_BYTES_DEFAULT 4096u
#define DATAGRAM_BYTES 4096u
#define HELD_DEFAULT 16u
/* Messages of a transfer: within the reach of compression, and small against a window. */
#define TRANSFER_BYTES 16384u
/* So many datagrams and messages in one go, then the others have their turn. */
#define TURN_MAX 256u

struct stream {
    struct tarn_dns_service *service;
    struct tarn_flow *flow;
    struct tarn_lru_link idle; /* in the order of use, so of deadlines too */
    struct tarn_task task;
    tarn_time deadline;
    struct tarn_endpoint client;
    struct tarn_dns_transfer transfer;
    size_t in_len, out_at, out_len;
    bool held; /* what is in `out` waits for the release */
    uint8_t out[2 + TARN_DNS_MESSAGE_MAX];
    uint8_t in[]; /* room for the longest query behind its length */
};
struct held {
    struct tarn_datagram_info to;
    size_t len;
    uint8_t bytes[TARN_DNS_UDP_BYTES];
};
struct tarn_dns_service {
    struct tarn_dns_service_config config;
    struct tarn_pool streams;
    struct tarn_lru idle;
    struct tarn_task datagrams; /* more than a turn of them wait */
    struct tarn_dns_service_stats stats;
    struct held *held;
    uint32_t held_count;
    uint8_t out[DATAGRAM_BYTES];
};

static struct tarn_dns_request request_of(struct tarn_dns_service *s) {
    struct tarn_clock *clock = s->config.clock;
    return (struct tarn_dns_request){.now = tarn_clock_now(clock),
                                     .wall_seconds =
                                         (uint32_t)(tarn_clock_wall_ns(clock) / 1000000000u)};
}

/* -- datagrams ----------------------------------------------------------------------------------
 */

static void send_datagram(struct tarn_dns_service *s, const struct tarn_datagram_info *to,
                          struct tarn_span answer) {
    if (answer.len && tarn_datagram_send(s->config.datagram, to, answer))
        s->stats.unsent++;
}

static void hold(struct tarn_dns_service *s, const struct tarn_datagram_info *to,
                 struct tarn_span answer) {
    if (s->held_count == s->config.held_max || answer.len > TARN_DNS_UDP_BYTES) {
        s->stats.unsent++;
        return;
    }
    struct held *h = &TARN_AT_N(s->held, s->config.held_max, s->held_count);
    h->to = *to;
    h->len = tarn_bytes_copy(TARN_BYTES_ARRAY(h->bytes), answer);
    s->held_count++;
}

static void answer_datagram(struct tarn_dns_service *s, struct tarn_dns_request *request,
                            struct tarn_span query, const struct tarn_datagram_info *from) {
    struct tarn_datagram_info to = {.remote = from->remote, .local = from->local};
    request->client = from->remote;
    struct tarn_span answer =
        tarn_dns_server_answer(s->config.server, request, query, TARN_BYTES_ARRAY(s->out), NULL);
    s->stats.datagrams++;
    if (TARN_UNLIKELY(tarn_dns_server_holds(s->config.server)))
        hold(s, &to, answer);
    else
        send_datagram(s, &to, answer);
}

static void run_datagrams(struct tarn_dns_service *s) {
    struct tarn_dns_request request = request_of(s);
    struct tarn_datagram_info from;
    struct tarn_bytes query;
    for (unsigned i = 0; i < TURN_MAX; i++) {
        if (tarn_datagram_peek(s->config.datagram, &query, &from))
            return;
        answer_datagram(s, &request, tarn_bytes_span(query), &from);
        tarn_datagram_consume(s->config.datagram);
    }
    tarn_task_post(s->config.tasks, &s->datagrams);
}

static void datagrams_task(struct tarn_task *task) {
    run_datagrams(TARN_CONTAINER_OF(task, struct tarn_dns_service, datagrams));
}

static void datagram_event(struct tarn_datagram *d, unsigned events) {
    (void)events;
    run_datagrams(d->user);
}

/* -- connections --------------------------------------------------------------------------------
 */

static struct tarn_bytes in_room(struct stream *c) {
    return tarn_bytes_of(c->in, 2u + c->service->config.query_bytes_max);
}

static void stream_end(struct stream *c, bool rudely) {
    struct tarn_dns_service *s = c->service;
    tarn_task_cancel(&c->task);
    tarn_lru_remove(&s->idle, &c->idle);
    if (rudely)
        tarn_flow_abort(c->flow);
    else
        tarn_flow_close(c->flow);
    tarn_pool_put(&s->streams, c);
}

static void touch(struct stream *c) {
    struct tarn_dns_service *s = c->service;
    c->deadline = tarn_time_after(tarn_clock_now(s->config.clock), s->config.idle_ns);
    tarn_lru_touch(&s->idle, &c->idle);
}

/* TARN_OK: nothing waits to be written. */
static enum tarn_err write_out(struct stream *c) {
    while (c->out_at < c->out_len) {
        struct tarn_span rest =
            tarn_span_after(tarn_span_first(TARN_SPAN_ARRAY(c->out), c->out_len), c->out_at);
        size_t n;
        enum tarn_err err = tarn_flow_write(c->flow, rest, &n);
        if (err)
            return err;
        c->out_at += n;
        touch(c);
    }
    c->out_at = c->out_len = 0;
    return TARN_OK;
}

static struct tarn_bytes message_room(struct stream *c) {
    return tarn_bytes_after(TARN_BYTES_ARRAY(c->out), 2);
}

static void set_out(struct stream *c, struct tarn_span message) {
    struct tarn_writer w = TARN_WRITER_ARRAY(c->out);
    tarn_writer_u16be(&w, (uint16_t)message.len);
    c->out_len = message.len ? 2 + message.len : 0;
}

/* The next query that is whole. False: none is. */
static bool answer_next(struct stream *c) {
    struct tarn_span in = tarn_span_first(tarn_bytes_span(in_room(c)), c->in_len), query;
    struct tarn_dns_request request = request_of(c->service);
    uint16_t len;
    if (!tarn_span_u16be(&in, &len) || !tarn_span_take(&in, len, &query))
        return false;
    request.client = c->client;
    request.stream = true;
    set_out(c, tarn_dns_server_answer(c->service->config.server, &request, query, message_room(c),
                                      &c->transfer));
    c->held = tarn_dns_server_holds(c->service->config.server);
    c->in_len = tarn_bytes_move(in_room(c), in);
    return true;
}

static enum tarn_err read_in(struct stream *c) {
    struct tarn_bytes room = tarn_bytes_after(in_room(c), c->in_len);
    size_t n;
    if (!room.len)
        return TARN_PEER; /* a query that is longer than any is allowed */
    enum tarn_err err = tarn_flow_read(c->flow, room, &n);
    if (err)
        return err;
    c->in_len += n;
    touch(c);
    return TARN_OK;
}

static enum tarn_err step(struct stream *c) {
    if (c->held)
        return TARN_AGAIN;
    enum tarn_err err = write_out(c);
    if (err)
        return err;
    if (c->transfer.zone) {
        uint32_t seconds = request_of(c->service).wall_seconds;
        set_out(c, tarn_dns_transfer_next(&c->transfer, seconds,
                                          tarn_bytes_first(message_room(c), TRANSFER_BYTES)));
        return c->transfer.failed ? TARN_IO : TARN_OK;
    }
    return answer_next(c) ? TARN_OK : read_in(c);
}

static void stream_run(struct stream *c) {
    enum tarn_err err = TARN_OK;
    for (unsigned i = 0; !err && i < TURN_MAX; i++)
        err = step(c);
    if (!err) {
        tarn_task_post(c->service->config.tasks, &c->task);
    } else if (err != TARN_AGAIN) {
        c->service->stats.broken += err != TARN_EOF;
        stream_end(c, err != TARN_EOF);
    }
}

static void stream_task(struct tarn_task *task) {
    stream_run(TARN_CONTAINER_OF(task, struct stream, task));
}

static void stream_event(struct tarn_flow *flow, unsigned events) {
    (void)events; /* reading and writing say what it was */
    stream_run(flow->user);
}

/* The longest idle one that gets no transfer. */
static bool push_out(struct tarn_dns_service *s) {
    for (struct tarn_lru_link *l = s->idle.oldest; l; l = l->newer) {
        struct stream *c = TARN_CONTAINER_OF(l, struct stream, idle);
        if (c->transfer.zone)
            continue;
        s->stats.pushed_out++;
        stream_end(c, true);
        return true;
    }
    return false;
}

static void stream_new(struct tarn_dns_service *s, struct tarn_flow *flow) {
    struct stream *c = tarn_pool_take(&s->streams);
    if (!c && push_out(s))
        c = tarn_pool_take(&s->streams);
    if (!c) {
        tarn_flow_abort(flow);
        return;
    }
    c->service = s;
    c->flow = flow;
    c->task = (struct tarn_task){.run = stream_task};
    c->in_len = c->out_at = c->out_len = 0;
    c->held = false;
    c->transfer = (struct tarn_dns_transfer){0};
    if (tarn_flow_endpoints(flow, NULL, &c->client))
        c->client = (struct tarn_endpoint){TARN_IP_ADDR_NONE, 0};
    tarn_lru_add(&s->idle, &c->idle);
    touch(c);
    s->stats.streams++;
    flow->user = c;
    flow->on_event = stream_event;
    stream_run(c);
}

static void listener_event(struct tarn_listener *l) {
    struct tarn_flow *flow;
    while (tarn_listener_accept(l, &flow) == TARN_OK)
        stream_new(l->user, flow);
}

void tarn_dns_service_release(struct tarn_dns_service *s, bool good) {
    uint32_t count = s->held_count;
    s->held_count = 0;
    for (uint32_t i = 0; good && i < count; i++) {
        const struct held *h = &TARN_AT_N(s->held, s->config.held_max, i);
        send_datagram(s, &h->to, tarn_span_first(TARN_SPAN_ARRAY(h->bytes), h->len));
    }
    for (struct tarn_lru_link *l = s->idle.oldest, *newer; l; l = newer) {
        struct stream *c = TARN_CONTAINER_OF(l, struct stream, idle);
        newer = l->newer;
        if (!c->held)
            continue;
        c->held = false;
        if (good)
            tarn_task_post(s->config.tasks, &c->task);
        else
            stream_end(c, true);
    }
}

/* -- time, and the whole ------------------------------------------------------------------------
 */

static struct stream *oldest(const struct tarn_dns_service *s) {
    struct tarn_lru_link *l = s->idle.oldest;
    return l ? TARN_CONTAINER_OF(l, struct stream, idle) : NULL;
}

void tarn_dns_service_tick(struct tarn_dns_service *s, tarn_time now) {
    for (struct stream *c; (c = oldest(s)) && c->deadline <= now;) {
        s->stats.timed_out++;
        stream_end(c, true);
    }
}

tarn_time tarn_dns_service_deadline(const struct tarn_dns_service *s) {
    const struct stream *c = oldest(s);
    return c ? c->deadline : TARN_NEVER;
}

void tarn_dns_service_forget(struct tarn_dns_service *s, const struct tarn_dns_zone *zone) {
    for (struct tarn_lru_link *l = s->idle.oldest, *newer; l; l = newer) {
        struct stream *c = TARN_CONTAINER_OF(l, struct stream, idle);
        newer = l->newer;
        if (c->transfer.zone == zone)
            stream_end(c, true);
    }
}

static size_t stream_bytes(const struct tarn_dns_service *s) {
    size_t align = _Alignof(struct stream);
    size_t bytes = offsetof(struct stream, in) + 2u + s->config.query_bytes_max;
    return (bytes + align - 1) / align * align;
}

enum tarn_err tarn_dns_service_new(const struct tarn_dns_service_config *config,
                                   struct tarn_dns_service **out) {
    struct tarn_dns_service *s = TARN_NEW(config->alloc, struct tarn_dns_service);
    if (!s)
        return TARN_LIMIT;
    s->config = *config;
    s->datagrams.run = datagrams_task;
    if (!s->config.streams_max)
        s->config.streams_max = STREAMS_DEFAULT;
    if (!s->config.idle_ns)
        s->config.idle_ns = IDLE_DEFAULT;
    if (!s->config.query_bytes_max)
        s->config.query_bytes_max = QUERY_BYTES_DEFAULT;
    if (!s->config.held_max)
        s->config.held_max = HELD_DEFAULT;
    s->held = TARN_NEW_ARRAY(config->alloc, s->config.held_max, struct held);
    if (!s->held
        || tarn_pool_init(&s->streams, config->alloc, stream_bytes(s), _Alignof(struct stream),
                          s->config.streams_max)) {
        if (s->held)
            tarn_alloc_put(config->alloc, s->held, s->config.held_max * sizeof *s->held);
        tarn_alloc_put(config->alloc, s, sizeof *s);
        return TARN_LIMIT;
    }
    *out = s;
    /* Events are edges: what waits already is taken now. */
    if (config->datagram) {
        config->datagram->user = s;
        config->datagram->on_event = datagram_event;
        run_datagrams(s);
    }
    if (config->listener) {
        config->listener->user = s;
        config->listener->on_event = listener_event;
        listener_event(config->listener);
    }
    return TARN_OK;
}

void tarn_dns_service_free(struct tarn_dns_service *s) {
    struct tarn_alloc *alloc = s->config.alloc;
    for (struct stream *c; (c = oldest(s)) != NULL;)
        stream_end(c, true);
    tarn_task_cancel(&s->datagrams);
    if (s->config.datagram)
        s->config.datagram->ops->close(s->config.datagram);
    if (s->config.listener)
        tarn_listener_close(s->config.listener);
    tarn_pool_fini(&s->streams, alloc);
    tarn_alloc_put(alloc, s->held, s->config.held_max * sizeof *s->held);
    tarn_alloc_put(alloc, s, sizeof *s);
}

void tarn_dns_service_stats(const struct tarn_dns_service *s, struct tarn_dns_service_stats *out) {
    *out = s->stats;
}
