/* SPDX-License-Identifier: ISC */
/* Queries on their way to servers: each with a port, or a connection, of its own. */
#include "service.h"

#define TURN_MAX 16u /* datagrams that are looked at before others have their turn */

static struct upstream *upstream_at(struct tarn_recursor_service *s, uint32_t index) {
    return &TARN_AT_N(s->upstreams, s->upstream_count, index);
}

void upstream_close(struct tarn_recursor_service *s, uint32_t index) {
    struct upstream *u = upstream_at(s, index);
    if (u->udp)
        tarn_datagram_close(u->udp);
    if (u->flow)
        tarn_flow_abort(u->flow);
    if (u->stream)
        tarn_pool_put(&s->streams, u->stream);
    u->udp = NULL;
    u->flow = NULL;
    u->stream = NULL;
}

static void lost(struct upstream *u) {
    struct tarn_recursor_service *s = u->service;
    s->stats.unreachable++;
    tarn_recursor_lost(s->config.recursor, u->query);
    service_pump(s);
}

/* -- datagrams ----------------------------------------------------------------------------------
 */

/* The recursor says with an event when it has heard enough, and that closes the endpoint. */
static void udp_event(struct tarn_datagram *d, unsigned events) {
    struct upstream *u = d->user;
    struct tarn_recursor_service *s = u->service;
    (void)events;
    for (unsigned i = 0; i < TURN_MAX; i++) {
        size_t n;
        enum tarn_err err = tarn_datagram_recv(d, TARN_BYTES_ARRAY(s->in), &n, NULL);
        if (err == TARN_AGAIN)
            break;
        if (err) {
            lost(u);
            return;
        }
        if (n <= sizeof s->in)
            tarn_recursor_input(s->config.recursor, u->query, &u->server,
                                tarn_span_first(TARN_SPAN_ARRAY(s->in), n));
    }
    service_pump(s);
}

static bool send_datagram(struct upstream *u, struct tarn_span message) {
    struct tarn_recursor_service *s = u->service;
    bool v4 = tarn_ip_addr_is_v4(&u->server.addr);
    struct tarn_datagram_config config = {.local.addr =
                                              v4 ? TARN_IP_ADDR_V4(0, 0, 0, 0) : TARN_IP_ADDR_NONE};
    if (tarn_net_datagram(s->config.net, &config, &u->udp)) {
        u->udp = NULL;
        return false;
    }
    u->udp->user = u;
    u->udp->on_event = udp_event;
    if (tarn_datagram_connect(u->udp, &u->server) || tarn_datagram_send(u->udp, NULL, message))
        return false;
    /* Events are edges behind a TARN_AGAIN: a near server's answer may be here already. */
    udp_event(u->udp, 0);
    return true;
}

/* -- connections --------------------------------------------------------------------------------
 */

static void flow_event(struct tarn_flow *flow, unsigned events) {
    struct upstream *u = flow->user;
    struct tarn_dns_stream *dns = &u->stream->dns;
    struct tarn_recursor_service *s = u->service;
    struct tarn_span message;
    enum tarn_err err = tarn_dns_stream_write(dns);
    (void)events;
    while (!err) {
        if (tarn_dns_stream_peek(dns, &message)) {
            tarn_recursor_input(s->config.recursor, u->query, &u->server, message);
            service_pump(s);
            return; /* one answer a connection: what else comes is a stranger's */
        }
        err = tarn_dns_stream_read(dns);
    }
    if (err != TARN_AGAIN)
        lost(u);
}

static bool send_stream(struct upstream *u, struct tarn_span message) {
    struct tarn_recursor_service *s = u->service;
    struct upstream_stream *st = u->stream = tarn_pool_take(&s->streams);
    if (!st || tarn_net_connect(s->config.net, &u->server, &u->flow)) {
        u->flow = NULL;
        return false;
    }
    tarn_dns_stream_init(&st->dns, NULL, u->flow, TARN_BYTES_ARRAY(st->in),
                         TARN_BYTES_ARRAY(st->out));
    u->flow->user = u;
    u->flow->on_event = flow_event;
    return tarn_dns_stream_put(&st->dns, message);
}

void upstream_send(struct tarn_recursor_service *s, const struct tarn_recursor_event *event) {
    struct upstream *u = upstream_at(s, event->query.index);
    upstream_close(s, event->query.index);
    u->service = s;
    u->query = event->query;
    u->server = event->server;
    if (!(event->stream ? send_stream(u, event->message) : send_datagram(u, event->message)))
        lost(u);
}
