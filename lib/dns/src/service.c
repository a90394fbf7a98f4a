/* SPDX-License-Identifier: ISC */
#include <tarn/dns_service.h>
#include <tarn/dns_stream.h>
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
    struct tarn_dns_stream dns;
    struct tarn_task task;
    struct tarn_endpoint client;
    struct tarn_dns_transfer transfer;
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
    struct tarn_dns_streams open;
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

static struct stream *stream_at(struct tarn_lru_link *l) {
    return l ? TARN_CONTAINER_OF(l, struct stream, dns.idle) : NULL;
}

static void stream_end(struct stream *c, bool rudely) {
    tarn_task_cancel(&c->task);
    tarn_dns_stream_end(&c->dns, rudely);
    tarn_pool_put(&c->service->streams, c);
}

/* The next query that is whole. False: none is. */
static bool answer_next(struct stream *c) {
    struct tarn_dns_server *server = c->service->config.server;
    struct tarn_span query;
    if (!tarn_dns_stream_peek(&c->dns, &query))
        return false;
    struct tarn_dns_request request = request_of(c->service);
    request.client = c->client;
    request.stream = true;
    struct tarn_span answer = tarn_dns_server_answer(server, &request, query,
                                                     tarn_dns_stream_room(&c->dns), &c->transfer);
    tarn_dns_stream_made(&c->dns, answer.len);
    c->held = tarn_dns_server_holds(server);
    tarn_dns_stream_drop(&c->dns);
    return true;
}

/* The next message of a transfer. */
static enum tarn_err transfer_next(struct stream *c) {
    struct tarn_bytes room = tarn_bytes_first(tarn_dns_stream_room(&c->dns), TRANSFER_BYTES);
    uint32_t seconds = request_of(c->service).wall_seconds;
    tarn_dns_stream_made(&c->dns, tarn_dns_transfer_next(&c->transfer, seconds, room).len);
    return c->transfer.failed ? TARN_IO : TARN_OK;
}

static enum tarn_err step(struct stream *c) {
    if (c->held)
        return TARN_AGAIN;
    enum tarn_err err = tarn_dns_stream_write(&c->dns);
    if (err)
        return err;
    if (c->transfer.zone)
        return transfer_next(c);
    return answer_next(c) ? TARN_OK : tarn_dns_stream_read(&c->dns);
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
    for (struct tarn_lru_link *l = s->open.idle.oldest; l; l = l->newer) {
        struct stream *c = stream_at(l);
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
    tarn_dns_stream_init(&c->dns, &s->open, flow,
                         tarn_bytes_of(c->in, 2u + s->config.query_bytes_max),
                         TARN_BYTES_ARRAY(c->out));
    c->task = (struct tarn_task){.run = stream_task};
    c->held = false;
    c->transfer = (struct tarn_dns_transfer){0};
    if (tarn_flow_endpoints(flow, NULL, &c->client))
        c->client = (struct tarn_endpoint){TARN_IP_ADDR_NONE, 0};
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
    for (struct tarn_lru_link *l = s->open.idle.oldest, *newer; l; l = newer) {
        struct stream *c = stream_at(l);
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
    return stream_at(s->open.idle.oldest);
}

void tarn_dns_service_tick(struct tarn_dns_service *s, tarn_time now) {
    for (struct stream *c; (c = oldest(s)) && c->dns.deadline <= now;) {
        s->stats.timed_out++;
        stream_end(c, true);
    }
}

tarn_time tarn_dns_service_deadline(const struct tarn_dns_service *s) {
    return tarn_dns_streams_deadline(&s->open);
}

void tarn_dns_service_forget(struct tarn_dns_service *s, const struct tarn_dns_zone *zone) {
    for (struct tarn_lru_link *l = s->open.idle.oldest, *newer; l; l = newer) {
        struct stream *c = stream_at(l);
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
    s->open = (struct tarn_dns_streams){.clock = s->config.clock, .idle_ns = s->config.idle_ns};
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
        tarn_datagram_close(s->config.datagram);
    if (s->config.listener)
        tarn_listener_close(s->config.listener);
    tarn_pool_fini(&s->streams, alloc);
    tarn_alloc_put(alloc, s->held, s->config.held_max * sizeof *s->held);
    tarn_alloc_put(alloc, s, sizeof *s);
}

void tarn_dns_service_stats(const struct tarn_dns_service *s, struct tarn_dns_service_stats *out) {
    *out = s->stats;
}
