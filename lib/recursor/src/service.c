/* SPDX-License-Identifier: ISC */
/* Clients: datagrams, and connections with several questions at once. */
#include "service.h"

#define CLIENTS_DEFAULT 32u
#define STREAMS_DEFAULT 16u
#define IDLE_DEFAULT TARN_SEC(10)
#define QUERY_BYTES_MAX 4096u
#define DATAGRAM_BYTES 4096u
#define TURN_MAX 256u   /* messages in one go, then the others have their turn */
#define WAITING_MAX 32u /* questions of a connection under way: then it is not read from */

struct client {
    struct tarn_recursor_service *service;
    struct tarn_dns_stream dns;
    struct tarn_endpoint from;
    uint32_t waiting;
    bool ended; /* it sends no more, and gets what it waits for */
    uint8_t in[2 + QUERY_BYTES_MAX], out[2 + TARN_DNS_MESSAGE_MAX];
};

static uint64_t tag_of(struct tarn_recursor_service *s, const struct client *c) {
    struct tarn_handle h = tarn_pool_handle(&s->clients, c);
    return (uint64_t)h.index << 32 | h.generation;
}
static struct client *client_of(struct tarn_recursor_service *s, uint64_t tag) {
    struct tarn_handle h = {(uint32_t)(tag >> 32), (uint32_t)tag};
    return tarn_pool_get(&s->clients, h);
}

/* -- connections --------------------------------------------------------------------------------
 */

static void client_end(struct client *c, bool rudely) {
    struct tarn_recursor_service *s = c->service;
    if (c->waiting)
        tarn_recursor_forget(s->config.recursor, tag_of(s, c));
    tarn_dns_stream_end(&c->dns, rudely);
    tarn_pool_put(&s->clients, c);
}

/* The next query that is whole. TARN_NOT_FOUND: none is. */
static enum tarn_err take_query(struct client *c) {
    struct tarn_recursor_service *s = c->service;
    struct tarn_recursor_client who = {.from = c->from, .stream = true, .tag = tag_of(s, c)};
    struct tarn_span query, answer;
    if (!tarn_dns_stream_peek(&c->dns, &query))
        return TARN_NOT_FOUND;
    enum tarn_err err =
        tarn_recursor_query(s->config.recursor, &who, query, TARN_BYTES_ARRAY(s->out), &answer);
    tarn_dns_stream_drop(&c->dns);
    c->waiting += err == TARN_AGAIN;
    return err || tarn_dns_stream_put(&c->dns, answer) ? TARN_OK : TARN_PEER;
}

static enum tarn_err step(struct client *c) {
    enum tarn_err err = tarn_dns_stream_write(&c->dns);
    if (err)
        return err;
    if (c->waiting >= WAITING_MAX)
        return TARN_AGAIN; /* the answers go on with it */
    err = take_query(c);
    return err != TARN_NOT_FOUND ? err : c->ended ? TARN_EOF : tarn_dns_stream_read(&c->dns);
}

static void client_run(struct client *c) {
    struct tarn_recursor_service *s = c->service;
    enum tarn_err err = TARN_OK;
    while (!err)
        err = step(c);
    if (err == TARN_EOF && c->waiting) {
        c->ended = true;
    } else if (err != TARN_AGAIN) {
        s->stats.broken += err != TARN_EOF;
        client_end(c, err != TARN_EOF);
    }
    service_pump(s);
}

static void client_event(struct tarn_flow *flow, unsigned events) {
    (void)events; /* reading and writing say what it was */
    client_run(flow->user);
}

static struct client *oldest(const struct tarn_recursor_service *s) {
    struct tarn_lru_link *l = s->open.idle.oldest;
    return l ? TARN_CONTAINER_OF(l, struct client, dns.idle) : NULL;
}

static void client_new(struct tarn_recursor_service *s, struct tarn_flow *flow) {
    struct client *c = tarn_pool_take(&s->clients);
    if (!c && oldest(s)) {
        s->stats.pushed_out++;
        client_end(oldest(s), true);
        c = tarn_pool_take(&s->clients);
    }
    if (!c) {
        tarn_flow_abort(flow);
        return;
    }
    c->service = s;
    tarn_dns_stream_init(&c->dns, &s->open, flow, TARN_BYTES_ARRAY(c->in),
                         TARN_BYTES_ARRAY(c->out));
    c->waiting = 0;
    c->ended = false;
    if (tarn_flow_endpoints(flow, NULL, &c->from))
        c->from = (struct tarn_endpoint){TARN_IP_ADDR_NONE, 0};
    s->stats.streams++;
    flow->user = c;
    flow->on_event = client_event;
    client_run(c);
}

static void listener_event(struct tarn_listener *l) {
    struct tarn_flow *flow;
    while (tarn_listener_accept(l, &flow) == TARN_OK)
        client_new(l->user, flow);
}

/* -- datagrams ----------------------------------------------------------------------------------
 */

static void send_to(struct tarn_recursor_service *s, const struct tarn_recursor_client *who,
                    struct tarn_span answer) {
    struct tarn_datagram_info to = {.remote = who->from, .local.addr = who->local};
    if (answer.len && tarn_datagram_send(s->config.datagram, &to, answer))
        s->stats.unsent++;
}

static void run_datagrams(struct tarn_recursor_service *s) {
    struct tarn_datagram_info from;
    struct tarn_bytes query;
    struct tarn_span answer;
    for (unsigned i = 0; i < TURN_MAX; i++) {
        if (tarn_datagram_peek(s->config.datagram, &query, &from))
            return;
        struct tarn_recursor_client who = {.from = from.remote, .local = from.local.addr};
        s->stats.datagrams++;
        if (!tarn_recursor_query(s->config.recursor, &who, tarn_bytes_span(query),
                                 tarn_bytes_first(TARN_BYTES_ARRAY(s->out), DATAGRAM_BYTES),
                                 &answer))
            send_to(s, &who, answer);
        tarn_datagram_consume(s->config.datagram);
    }
    tarn_task_post(s->config.tasks, &s->datagrams);
}

static void datagrams_task(struct tarn_task *task) {
    struct tarn_recursor_service *s =
        TARN_CONTAINER_OF(task, struct tarn_recursor_service, datagrams);
    run_datagrams(s);
    service_pump(s);
}

static void datagram_event(struct tarn_datagram *d, unsigned events) {
    (void)events;
    run_datagrams(d->user);
    service_pump(d->user);
}

/* -- what the recursor wants --------------------------------------------------------------------
 */

static void reply(struct tarn_recursor_service *s, const struct tarn_recursor_event *event) {
    if (!event->client.stream) {
        send_to(s, &event->client, event->message);
        return;
    }
    struct client *c = client_of(s, event->client.tag);
    if (!c)
        return;
    c->waiting--;
    if (tarn_dns_stream_put(&c->dns, event->message)) {
        client_run(c);
    } else {
        s->stats.broken++;
        client_end(c, true);
    }
}

static void pump_task(struct tarn_task *task) {
    struct tarn_recursor_service *s = TARN_CONTAINER_OF(task, struct tarn_recursor_service, pump);
    struct tarn_recursor_event event;
    for (unsigned i = 0; i < TURN_MAX; i++) {
        if (!tarn_recursor_next(s->config.recursor, TARN_BYTES_ARRAY(s->out), &event))
            return;
        if (event.kind == TARN_RECURSOR_SEND)
            upstream_send(s, &event);
        else if (event.kind == TARN_RECURSOR_CLOSE)
            upstream_close(s, event.query.index);
        else
            reply(s, &event);
    }
    tarn_task_post(s->config.tasks, &s->pump);
}

void service_pump(struct tarn_recursor_service *s) {
    tarn_task_post(s->config.tasks, &s->pump);
}

/* -- time, and the whole ------------------------------------------------------------------------
 */

void tarn_recursor_service_tick(struct tarn_recursor_service *s, tarn_time now) {
    for (struct client *c; (c = oldest(s)) && c->dns.deadline <= now;) {
        s->stats.timed_out++;
        client_end(c, true);
    }
    if (tarn_recursor_deadline(s->config.recursor) <= now) {
        tarn_recursor_tick(s->config.recursor, now);
        service_pump(s);
    }
}

tarn_time tarn_recursor_service_deadline(const struct tarn_recursor_service *s) {
    tarn_time idle = tarn_dns_streams_deadline(&s->open),
              due = tarn_recursor_deadline(s->config.recursor);
    return TARN_MIN(idle, due);
}

static enum tarn_err init(struct tarn_recursor_service *s) {
    struct tarn_alloc *a = s->config.alloc;
    s->upstream_count = tarn_recursor_queries_max(s->config.recursor);
    s->upstreams = TARN_NEW_ARRAY(a, s->upstream_count, struct upstream);
    if (!s->upstreams
        || tarn_pool_init(&s->clients, a, sizeof(struct client), _Alignof(struct client),
                          s->config.clients_max)
        || tarn_pool_init(&s->streams, a, sizeof(struct upstream_stream),
                          _Alignof(struct upstream_stream), s->config.streams_max))
        return TARN_LIMIT;
    return TARN_OK;
}

static void fini(struct tarn_recursor_service *s) {
    struct tarn_alloc *a = s->config.alloc;
    tarn_pool_fini(&s->clients, a);
    tarn_pool_fini(&s->streams, a);
    tarn_alloc_put(a, s->upstreams, s->upstream_count * sizeof(struct upstream));
    tarn_alloc_put(a, s, sizeof *s);
}

enum tarn_err tarn_recursor_service_new(const struct tarn_recursor_service_config *config,
                                        struct tarn_recursor_service **out) {
    struct tarn_recursor_service *s = TARN_NEW(config->alloc, struct tarn_recursor_service);
    if (!s)
        return TARN_LIMIT;
    s->config = *config;
    s->datagrams.run = datagrams_task;
    s->pump.run = pump_task;
    s->config.clients_max = config->clients_max ? config->clients_max : CLIENTS_DEFAULT;
    s->config.streams_max = config->streams_max ? config->streams_max : STREAMS_DEFAULT;
    s->config.idle_ns = config->idle_ns ? config->idle_ns : IDLE_DEFAULT;
    s->open = (struct tarn_dns_streams){.clock = s->config.clock, .idle_ns = s->config.idle_ns};
    if (init(s)) {
        fini(s);
        return TARN_LIMIT;
    }
    *out = s;
    /* Events are edges: what waits already is taken now. */
    if (config->datagram) {
        config->datagram->user = s;
        config->datagram->on_event = datagram_event;
        datagram_event(config->datagram, 0);
    }
    if (config->listener) {
        config->listener->user = s;
        config->listener->on_event = listener_event;
        listener_event(config->listener);
    }
    return TARN_OK;
}

void tarn_recursor_service_free(struct tarn_recursor_service *s) {
    for (struct client *c; (c = oldest(s)) != NULL;)
        client_end(c, true);
    for (uint32_t i = 0; i < s->upstream_count; i++)
        upstream_close(s, i);
    tarn_task_cancel(&s->datagrams);
    tarn_task_cancel(&s->pump);
    if (s->config.datagram)
        tarn_datagram_close(s->config.datagram);
    if (s->config.listener)
        tarn_listener_close(s->config.listener);
    fini(s);
}

void tarn_recursor_service_stats(const struct tarn_recursor_service *s,
                                 struct tarn_recursor_service_stats *out) {
    *out = s->stats;
}
