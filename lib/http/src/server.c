/* SPDX-License-Identifier: ISC */
/* Connections come and go, and time passes. */
#include "internal.h"

#include <tarn/http_date.h>

/* A piece of body is received behind the longest head. */
#define BODY_PIECE_BYTES 2048u
/* The longest head of the server's own making, with its body. */
#define OUT_BYTES_MIN 512u

const struct tarn_http_limits tarn_http_limits_default = {
    .connections_max = 128,
    .target_bytes_max = 8000,
    .head_bytes_max = 8192 + 2048,
    .fields_max = TARN_HTTP_FIELDS_MAX,
    .out_bytes = 2048,
    .body_bytes_max = 1024 * 1024,
    .chunk_extra_max = 4096,
    .discard_bytes_max = 65536,
    .requests_max = 0,
    .idle_ns = TARN_SEC(60),
    .head_ns = TARN_SEC(10),
    .body_ns = TARN_SEC(10),
    .body_rate_min = 1024,
    .send_ns = TARN_SEC(30),
    .linger_ns = TARN_SEC(2),
};

static bool limits_work(const struct tarn_http_limits *l) {
    return l->connections_max > 0 && l->connections_max < 1u << 24 && l->target_bytes_max > 0
           && l->head_bytes_max >= 64 && l->head_bytes_max <= 65535 && l->fields_max > 0
           && l->fields_max <= TARN_HTTP_FIELDS_MAX && l->out_bytes >= OUT_BYTES_MIN
           && l->body_rate_min > 0;
}

static size_t in_bytes(const struct tarn_http_limits *l) {
    return l->head_bytes_max + BODY_PIECE_BYTES;
}

static struct tarn_bytes slice(struct tarn_bytes all, size_t each, uint32_t index) {
    return tarn_bytes_first(tarn_bytes_after(all, each * index), each);
}

static struct tarn_bytes slices_new(struct tarn_alloc *alloc, size_t each, uint32_t count) {
    uint8_t *ptr = tarn_alloc_array(alloc, count, each, 16);
    return tarn_bytes_of(ptr, ptr ? each * count : 0);
}

tarn_time server_now(struct tarn_http_server *s) {
    if (!s->now_valid) {
        s->now = tarn_clock_now(s->config.clock);
        s->now_valid = true;
    }
    return s->now;
}

struct tarn_span server_date(struct tarn_http_server *s) {
    tarn_time now = server_now(s);
    if (now >= s->date_until) {
        uint64_t wall = tarn_clock_wall_ns(s->config.clock);
        struct tarn_writer w = TARN_WRITER_ARRAY(s->date);
        tarn_writer_str(&w, "Date: ");
        s->wall_seconds = (int64_t)(wall / TARN_SEC(1));
        tarn_writer_http_date(&w, s->wall_seconds);
        tarn_writer_str(&w, "\r\n");
        s->date_len = tarn_writer_span(&w).len;
        s->date_until = tarn_time_after(now, TARN_SEC(1) - wall % TARN_SEC(1));
    }
    return tarn_span_first(TARN_SPAN_ARRAY(s->date), s->date_len);
}

int64_t tarn_http_now(struct tarn_http_exchange *x) {
    struct tarn_http_server *s = conn_of(x)->server;
    server_date(s);
    return s->wall_seconds;
}

static void accept_wake(struct tarn_http_server *s) {
    tarn_task_post(s->config.tasks, &s->task);
}

void server_free_conn(struct conn *c) {
    struct tarn_http_server *s = c->server;
    bool was_full = s->pool.live == s->pool.count;
    tarn_timer_clear(&s->timers, &c->timer);
    tarn_task_cancel(&c->task);
    tarn_pool_put(&s->pool, c);
    if (was_full && s->listener)
        accept_wake(s);
}

static void conn_event(struct tarn_flow *flow, unsigned events) {
    struct conn *c = flow->user;
    if (events & TARN_FLOW_FAILED)
        conn_lose(c);
    else
        conn_run(c);
}

static void conn_task(struct tarn_task *task) {
    conn_run(TARN_CONTAINER_OF(task, struct conn, task));
}

static void conn_new(struct tarn_http_server *s, struct conn *c, struct tarn_flow *flow) {
    uint32_t index = tarn_pool_handle(&s->pool, c).index;
    /* Not one big assignment: most of the parser is set as a head is read. */
    c->server = s;
    c->flow = flow;
    c->task = (struct tarn_task){.run = conn_task};
    c->timer = (struct tarn_timer){0};
    c->deadline = TARN_NEVER;
    c->in = slice(s->in, in_bytes(&s->limits), index);
    c->in_off = c->in_len = 0;
    c->path_room = slice(s->paths, s->limits.target_bytes_max, index);
    c->out = (struct out){.copied = tarn_writer_over(slice(s->out, s->limits.out_bytes, index))};
    c->open = c->running = c->progress = false;
    flow->user = c;
    flow->on_event = conn_event;
    s->stats.connections++;
    conn_start(c);
}

/* As many as there is room for; one at a time, each is read from at once. */
static void server_accept(struct tarn_http_server *s) {
    while (s->listener) {
        struct tarn_flow *flow;
        if (s->pool.live == s->pool.count) {
            s->stats.full++;
            return; /* server_free_conn comes back */
        }
        if (tarn_listener_accept(s->listener, &flow) != TARN_OK)
            return;
        conn_new(s, tarn_pool_take(&s->pool), flow);
    }
}

static void accept_task(struct tarn_task *task) {
    server_accept(TARN_CONTAINER_OF(task, struct tarn_http_server, task));
}

static void listener_event(struct tarn_listener *listener) {
    server_accept(listener->user);
}

static void server_memory_put(struct tarn_http_server *s) {
    struct tarn_alloc *alloc = s->config.alloc;
    tarn_alloc_put(alloc, s->paths.ptr, s->paths.len);
    tarn_alloc_put(alloc, s->out.ptr, s->out.len);
    tarn_alloc_put(alloc, s->in.ptr, s->in.len);
    tarn_timers_fini(&s->timers, alloc);
    tarn_pool_fini(&s->pool, alloc);
    tarn_alloc_put(alloc, s, sizeof *s);
}

enum tarn_err tarn_http_server_new(const struct tarn_http_server_config *config,
                                   struct tarn_http_server **out) {
    const struct tarn_http_limits *l = config->limits ? config->limits : &tarn_http_limits_default;
    struct tarn_alloc *alloc = config->alloc;
    struct tarn_http_server *s;
    if (!limits_work(l))
        return TARN_INVALID;
    s = TARN_NEW(alloc, struct tarn_http_server);
    if (!s)
        return TARN_LIMIT;
    s->config = *config;
    s->config.limits = NULL;
    s->limits = *l;
    s->task.run = accept_task;
    if (tarn_pool_init(&s->pool, alloc, sizeof(struct conn), _Alignof(struct conn),
                       l->connections_max)
        || tarn_timers_init(&s->timers, alloc, l->connections_max)) {
        server_memory_put(s);
        return TARN_LIMIT;
    }
    s->in = slices_new(alloc, in_bytes(l), l->connections_max);
    s->out = slices_new(alloc, l->out_bytes, l->connections_max);
    s->paths = slices_new(alloc, l->target_bytes_max, l->connections_max);
    if (!s->in.ptr || !s->out.ptr || !s->paths.ptr) {
        server_memory_put(s);
        return TARN_LIMIT;
    }
    s->listener = config->listener;
    s->listener->user = s;
    s->listener->on_event = listener_event;
    accept_wake(s);
    *out = s;
    return TARN_OK;
}

void tarn_http_server_tick(struct tarn_http_server *s, tarn_time now) {
    struct tarn_timer *timer;
    s->now = now;
    s->now_valid = true;
    while ((timer = tarn_timers_pop(&s->timers, now))) {
        struct conn *c = TARN_CONTAINER_OF(timer, struct conn, timer);
        if (c->deadline > now) {
            if (c->deadline != TARN_NEVER)
                tarn_timer_set(&s->timers, &c->timer, c->deadline);
        } else {
            c->deadline = TARN_NEVER;
            conn_expire(c);
        }
    }
    s->now_valid = false;
}

tarn_time tarn_http_server_deadline(const struct tarn_http_server *s) {
    return tarn_timers_next(&s->timers);
}

void tarn_http_server_stop(struct tarn_http_server *s) {
    struct conn *c;
    uint32_t cursor = 0;
    if (!s->listener)
        return;
    s->stopping = true;
    tarn_listener_close(s->listener);
    s->listener = NULL;
    tarn_task_cancel(&s->task);
    while ((c = tarn_pool_next(&s->pool, &cursor)))
        if (conn_is_idle(c))
            conn_wake(c); /* which finds that there is nothing more to wait for */
}

uint32_t tarn_http_server_connections(const struct tarn_http_server *s) {
    return s->pool.live;
}

const struct tarn_http_stats *tarn_http_server_stats(const struct tarn_http_server *s) {
    return &s->stats;
}

void tarn_http_server_delete(struct tarn_http_server *s) {
    struct conn *c;
    uint32_t cursor = 0;
    tarn_http_server_stop(s);
    while ((c = tarn_pool_next(&s->pool, &cursor)))
        conn_lose(c);
    server_memory_put(s);
}
