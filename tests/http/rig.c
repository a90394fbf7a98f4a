/* SPDX-License-Identifier: ISC */
#include "rig.h"

#include <stdlib.h>
#include <string.h>

static void check(bool cond) {
    if (!cond)
        abort();
}

static void *heap_get(struct tarn_alloc *a, size_t bytes, size_t align) {
    struct rig *rig = TARN_CONTAINER_OF(a, struct rig, alloc);
    (void)align;
    if (rig->budget && rig->outstanding + (long)bytes > rig->budget)
        return NULL;
    rig->outstanding += (long)bytes;
    return calloc(1, bytes ? bytes : 1);
}
static void heap_put(struct tarn_alloc *a, void *ptr, size_t bytes) {
    TARN_CONTAINER_OF(a, struct rig, alloc)->outstanding -= (long)bytes;
    free(ptr);
}
static const struct tarn_alloc_ops heap_ops = {heap_get, heap_put};

static tarn_time clock_now(struct tarn_clock *c) {
    return TARN_CONTAINER_OF(c, struct rig, clock)->now;
}
static uint64_t clock_wall(struct tarn_clock *c) {
    return 784111777u * UINT64_C(1000000000) + TARN_CONTAINER_OF(c, struct rig, clock)->now;
}
static const struct tarn_clock_ops clock_ops = {clock_now, clock_wall};

void rig_heap_init(struct rig *rig, long budget) {
    *rig = (struct rig){.alloc = {&heap_ops}, .clock = {&clock_ops}, .budget = budget};
}

void rig_init(struct rig *rig, struct tarn_http_handler *handler,
              const struct tarn_http_limits *limits, uint32_t pipe_bytes) {
    struct tarn_endpoint local = {TARN_IP_ADDR_NONE, 80};
    rig_heap_init(rig, 0);
    struct tarn_pipes_config pipes = {&rig->alloc, &rig->tasks, 64, pipe_bytes, 16, 1};
    struct tarn_http_server_config config = {.alloc = &rig->alloc,
                                             .tasks = &rig->tasks,
                                             .clock = &rig->clock,
                                             .handler = handler,
                                             .limits = limits};
    tarn_tasks_init(&rig->tasks);
    check(tarn_pipes_new(&pipes, &rig->pipes) == TARN_OK);
    check(tarn_net_listen(tarn_pipes_net(rig->pipes), &local, 32, &config.listener) == TARN_OK);
    check(tarn_http_server_new(&config, &rig->server) == TARN_OK);
    rig_run(rig);
}

void rig_run(struct rig *rig) {
    while (tarn_tasks_run(&rig->tasks))
        tarn_http_server_tick(rig->server, rig->now);
    tarn_http_server_tick(rig->server, rig->now);
    if (tarn_tasks_pending(&rig->tasks))
        rig_run(rig);
}

void rig_sleep(struct rig *rig, tarn_time duration) {
    tarn_time until = rig->now + duration, next;
    while ((next = tarn_http_server_deadline(rig->server)) <= until) {
        rig->now = next > rig->now ? next : rig->now;
        rig_run(rig);
        check(tarn_http_server_deadline(rig->server) > rig->now);
    }
    rig->now = until;
    rig_run(rig);
}

void rig_done(struct rig *rig) {
    tarn_http_server_delete(rig->server);
    while (tarn_tasks_run(&rig->tasks)) {
    }
    check(tarn_pipes_live(rig->pipes) == 0);
    tarn_pipes_delete(rig->pipes);
    check(rig->outstanding == 0);
}

void client_init(struct client *c, struct rig *rig) {
    struct tarn_endpoint remote = {TARN_IP_ADDR_NONE, 80};
    c->rig = rig;
    c->len = 0;
    c->eof = c->reset = false;
    check(tarn_net_connect(tarn_pipes_net(rig->pipes), &remote, &c->flow) == TARN_OK);
    rig_run(rig);
}

void client_read(struct client *c, size_t max) {
    while (max && c->len < sizeof c->got - 1) {
        size_t n, room = sizeof c->got - 1 - c->len;
        enum tarn_err err =
            tarn_flow_read(c->flow, tarn_bytes_of(c->got + c->len, max < room ? max : room), &n);
        c->eof = c->eof || err == TARN_EOF;
        c->reset = c->reset || err == TARN_PEER;
        if (err)
            break;
        c->len += n;
        max -= n;
        rig_run(c->rig);
    }
    c->got[c->len] = 0;
}

void client_send(struct client *c, const char *data, size_t len, size_t step) {
    for (unsigned calm = 0; len && calm < 3; calm++) {
        size_t n;
        enum tarn_err err =
            tarn_flow_write(c->flow, tarn_span_of(data, step && step < len ? step : len), &n);
        if (err == TARN_OK) {
            data += n;
            len -= n;
            calm = 0;
        }
        rig_run(c->rig);
        client_read(c, SIZE_MAX);
    }
}

const char *client_ask(struct client *c, const char *text) {
    c->len = 0;
    client_send(c, text, strlen(text), 0);
    client_read(c, SIZE_MAX);
    c->got[c->len] = 0;
    return c->got;
}

void client_close(struct client *c) {
    tarn_flow_close(c->flow);
    rig_run(c->rig);
}
