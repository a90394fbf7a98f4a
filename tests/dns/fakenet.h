/* SPDX-License-Identifier: ISC */
/* A network of scripted servers: whatever is sent goes to `script`, which says with `fake_reply`
 * what comes back at once; what it leaves out never comes. */
#ifndef TESTS_DNS_FAKENET_H
#define TESTS_DNS_FAKENET_H

#include "serve.h"
#include <tarn/dns_client.h>

#define FAKE_ENDS 16
#define FAKE_REPLIES 24

struct fake_end {
    struct tarn_datagram udp;
    struct tarn_flow flow;
    struct tarn_task task;
    bool used, stream, refused, secure;
    struct tarn_endpoint remote;
    uint8_t *replies[FAKE_REPLIES];
    size_t lens[FAKE_REPLIES], first, count; /* of a stream: how much of the first was read */
    uint8_t in[1000];
    size_t in_len, at;
};
static struct {
    struct tarn_net net;
    struct tarn_tasks tasks;
    struct fake_end ends[FAKE_ENDS], *current;
    unsigned datagrams, streams, secure, live;
    const char *http;            /* the head of answers, before their length; NULL: no HTTP */
    bool refuse_secure, at_once; /* at_once: datagrams are there before send returns */
    uint16_t udp_port;           /* of the last datagram */
    struct tarn_dns_secure secure_way;
    void (*script)(const struct tarn_endpoint *server, bool stream, struct tarn_span query);
} fake;

static inline void fake_reply(struct tarn_span bytes) {
    struct fake_end *e = fake.current;
    if (e->count == FAKE_REPLIES)
        return;
    size_t i = (e->first + e->count++) % FAKE_REPLIES;
    char http[300];
    bool is_http = e->stream && e->secure && fake.http;
    size_t head = is_http
                      ? (size_t)snprintf(http, sizeof http, "%s%zu\r\n\r\n", fake.http, bytes.len)
                  : e->stream ? 2
                              : 0;
    e->replies[i] = malloc(bytes.len + head + 1);
    if (is_http) {
        memcpy(e->replies[i], http, head);
    } else if (head) {
        e->replies[i][0] = (uint8_t)(bytes.len >> 8);
        e->replies[i][1] = (uint8_t)bytes.len;
    }
    memcpy(e->replies[i] + head, bytes.ptr, bytes.len);
    e->lens[i] = bytes.len + head;
    tarn_task_post(&fake.tasks, &e->task);
}

static inline void fake_drop(struct fake_end *e) {
    free(e->replies[e->first]);
    e->first = (e->first + 1) % FAKE_REPLIES;
    e->count--;
    e->at = 0;
}
static inline void fake_end_close(struct fake_end *e) {
    while (e->count)
        fake_drop(e);
    tarn_task_cancel(&e->task);
    e->used = false;
    fake.live--;
}
static inline void fake_event(struct tarn_task *task) {
    struct fake_end *e = TARN_CONTAINER_OF(task, struct fake_end, task);
    if (e->stream)
        e->flow.on_event(&e->flow, TARN_FLOW_READABLE | TARN_FLOW_WRITABLE);
    else
        e->udp.on_event(&e->udp, TARN_DATAGRAM_READABLE);
}
static inline struct fake_end *fake_end_new(bool stream) {
    for (size_t i = 0; i < FAKE_ENDS; i++)
        if (!fake.ends[i].used) {
            fake.ends[i] =
                (struct fake_end){.used = true, .stream = stream, .task = {.run = fake_event}};
            fake.live++;
            return &fake.ends[i];
        }
    abort();
}

static inline enum tarn_err fake_connect(struct tarn_datagram *d,
                                         const struct tarn_endpoint *remote) {
    TARN_CONTAINER_OF(d, struct fake_end, udp)->remote = *remote;
    return TARN_OK;
}
static inline enum tarn_err fake_send(struct tarn_datagram *d,
                                      const struct tarn_datagram_info *info,
                                      const struct tarn_span *v, size_t nv) {
    struct fake_end *e = TARN_CONTAINER_OF(d, struct fake_end, udp);
    if (info || nv != 1)
        abort();
    fake.datagrams++;
    fake.udp_port = e->remote.port;
    fake.current = e;
    fake.script(&e->remote, false, *v);
    return TARN_OK;
}
static inline enum tarn_err fake_recv(struct tarn_datagram *d, struct tarn_bytes buf, size_t *n,
                                      struct tarn_datagram_info *info) {
    struct fake_end *e = TARN_CONTAINER_OF(d, struct fake_end, udp);
    (void)info;
    if (e->refused)
        return TARN_PEER;
    if (!e->count || (tarn_task_is_posted(&e->task) && !fake.at_once))
        return TARN_AGAIN;
    *n = e->lens[e->first];
    tarn_bytes_copy(buf, tarn_span_of(e->replies[e->first], *n));
    fake_drop(e);
    return TARN_OK;
}
static inline void fake_udp_close(struct tarn_datagram *d) {
    fake_end_close(TARN_CONTAINER_OF(d, struct fake_end, udp));
}
static const struct tarn_datagram_ops fake_udp_ops = {
    .connect = fake_connect, .send = fake_send, .recv = fake_recv, .close = fake_udp_close};
static inline enum tarn_err fake_datagram(struct tarn_net *net,
                                          const struct tarn_datagram_config *config,
                                          struct tarn_datagram **out) {
    (void)net;
    if (config->local.port)
        abort(); /* a port of its own, which the network chooses */
    *out = &fake_end_new(false)->udp;
    (*out)->ops = &fake_udp_ops;
    return TARN_OK;
}

static inline enum tarn_err fake_write(struct tarn_flow *f, const struct tarn_span *v, size_t nv,
                                       size_t *n) {
    struct fake_end *e = TARN_CONTAINER_OF(f, struct fake_end, flow);
    (void)nv;
    if (e->refused)
        return TARN_PEER;
    *n = tarn_bytes_copy(tarn_bytes_after(TARN_BYTES_ARRAY(e->in), e->in_len), *v);
    e->in_len += *n;
    struct tarn_span in = tarn_span_first(TARN_SPAN_ARRAY(e->in), e->in_len), query;
    uint16_t len = 0;
    if (e->secure && fake.http) {
        e->in[TARN_MIN(e->in_len, sizeof e->in - 1)] = 0;
        const char *end = strstr((char *)e->in, "\r\n\r\n");
        const char *length = strstr((char *)e->in, "Content-Length: ");
        if (!end || !length)
            return TARN_OK;
        len = (uint16_t)atoi(length + 16);
        in = tarn_span_after(in, (size_t)(end + 4 - (const char *)in.ptr));
    } else if (!tarn_span_u16be(&in, &len)) {
        return TARN_OK;
    }
    if (tarn_span_take(&in, len, &query)) {
        e->in_len = 0;
        fake.current = e;
        fake.script(&e->remote, true, query);
    }
    return TARN_OK;
}
/* In pieces of seven bytes. */
static inline enum tarn_err fake_read(struct tarn_flow *f, struct tarn_bytes buf, size_t *n) {
    struct fake_end *e = TARN_CONTAINER_OF(f, struct fake_end, flow);
    if (e->refused)
        return TARN_PEER;
    if (!e->count)
        return TARN_AGAIN;
    struct tarn_span rest =
        tarn_span_after(tarn_span_of(e->replies[e->first], e->lens[e->first]), e->at);
    *n = tarn_bytes_copy(buf, tarn_span_first(rest, 7));
    e->at += *n;
    if (*n == rest.len)
        fake_drop(e);
    return TARN_OK;
}
static inline void fake_flow_close(struct tarn_flow *f) {
    fake_end_close(TARN_CONTAINER_OF(f, struct fake_end, flow));
}
static const struct tarn_flow_ops fake_flow_ops = {
    .write = fake_write, .read = fake_read, .close = fake_flow_close, .abort = fake_flow_close};
static inline enum tarn_err fake_dial(struct tarn_net *net, const struct tarn_endpoint *remote,
                                      struct tarn_flow **out) {
    struct fake_end *e = fake_end_new(true);
    (void)net;
    fake.streams++;
    e->remote = *remote;
    e->flow.ops = &fake_flow_ops;
    tarn_task_post(&fake.tasks, &e->task);
    *out = &e->flow;
    return TARN_OK;
}
static const struct tarn_net_ops fake_net_ops = {.connect = fake_dial, .datagram = fake_datagram};

static inline enum tarn_err fake_secure_connect(struct tarn_dns_secure *s,
                                                const struct tarn_endpoint *server,
                                                struct tarn_flow **out) {
    (void)s;
    fake.secure++;
    if (fake.refuse_secure)
        return TARN_PEER;
    enum tarn_err err = fake_dial(&fake.net, server, out);
    fake.streams--;
    TARN_CONTAINER_OF(*out, struct fake_end, flow)->secure = true;
    return err;
}
static const struct tarn_dns_secure_ops fake_secure_ops = {.connect = fake_secure_connect};

static inline void fake_turn(void) {
    for (unsigned i = 0; tarn_tasks_pending(&fake.tasks); i++) {
        if (i > 100000)
            abort();
        tarn_tasks_run(&fake.tasks);
    }
}
static inline void fake_init(void) {
    memset(&fake, 0, sizeof fake);
    fake.net.ops = &fake_net_ops;
    fake.secure_way.ops = &fake_secure_ops;
    tarn_tasks_init(&fake.tasks);
}

/* -- a client before it --------------------------------------------------------------------------
 */

static tarn_time fake_now;
static tarn_time fake_clock_now(struct tarn_clock *c) {
    (void)c;
    return fake_now;
}
static struct tarn_clock fake_clock = {&(struct tarn_clock_ops){.now = fake_clock_now}};

/* Turns until nothing is under way before `until`. */
static inline void fake_pass(struct tarn_dns_client *c, tarn_time until) {
    fake_turn();
    for (tarn_time at; (at = tarn_dns_client_deadline(c)) <= until;) {
        fake_now = TARN_MAX(fake_now, at);
        tarn_dns_client_tick(c, fake_now);
        fake_turn();
    }
    fake_now = until;
}

#endif
