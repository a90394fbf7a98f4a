/* SPDX-License-Identifier: ISC */
/* TCP: the guest's SYN waits until the host's connection is made or refused, and is answered with
 * that; then bytes are relayed. */
#include <tarn/flow_relay.h>

#include "usernet.h"

#define STREAMS_MAX 1000u
#define BACKLOG 1000u
/* A guest that acknowledges nothing any more has given up (its SYN, or our SYN-ACK, timed out). */
#define HANDSHAKE_MAX TARN_SEC(150)
/* A guest that was switched off without a word is noticed. */
#define KEEPALIVE_IDLE TARN_SEC(600)
#define KEEPALIVE_INTERVAL TARN_SEC(60)
#define KEEPALIVE_PROBES 5

struct stream {
    struct tarn_map_link by_ends; /* until the handshake is over */
    struct tarn_tcp_call call;
    struct tarn_flow *host;
    tarn_time since;
    bool answered;
    struct tarn_flow_relay relay;
};

static struct usernet *net;
static struct tarn_pool streams;
static struct tarn_map by_ends;
static struct tarn_hash_key key;

static uint64_t hash_of(const struct tarn_endpoint *local, const struct tarn_endpoint *remote) {
    struct tarn_ip_addr addrs[2] = {local->addr, remote->addr};
    uint16_t ports[2] = {local->port, remote->port};
    return tarn_hash(&key, TARN_SPAN_ARRAY(addrs)) ^ tarn_hash(&key, TARN_SPAN_ARRAY(ports));
}

static bool same(const struct tarn_endpoint *a, const struct tarn_endpoint *b) {
    return a->port == b->port && tarn_ip_addr_equal(&a->addr, &b->addr);
}

static struct stream *find(const struct tarn_endpoint *local, const struct tarn_endpoint *remote) {
    struct tarn_map_link *link = tarn_map_first(&by_ends, hash_of(local, remote));
    for (; link; link = tarn_map_following(link)) {
        struct stream *s = TARN_CONTAINER_OF(link, struct stream, by_ends);
        if (same(&s->call.local, local) && same(&s->call.remote, remote))
            return s;
    }
    return NULL;
}

static void forget(struct stream *s) {
    if (tarn_map_contains_link(&s->by_ends))
        tarn_map_remove(&by_ends, &s->by_ends);
    tarn_pool_put(&streams, s);
}

static enum tarn_err answer(struct tarn_handle call, enum tarn_tcp_answer a) {
    return tarn_tcp_answer(tarn_stack_tcp(net->guest), call, a, tarn_now(net->env));
}

static void host_event(struct tarn_flow *host, unsigned events) {
    struct stream *s = host->user;
    if (s->answered)
        return; /* the relay will see it */
    s->answered = true;
    if (!(events & TARN_FLOW_FAILED) && answer(s->call.handle, TARN_TCP_ACCEPT) == TARN_OK)
        return;
    if (events & TARN_FLOW_FAILED)
        (void)!answer(s->call.handle, TARN_TCP_REFUSE); /* or the guest has given up already */
    tarn_flow_abort(host);
    forget(s);
}

static void call(const struct tarn_tcp_call *c) {
    struct tarn_endpoint to;
    struct stream *before = find(&c->local, &c->remote), *s = NULL;
    if (before) { /* the guest tries again from the same port */
        tarn_flow_abort(before->host);
        forget(before);
    }
    if (usernet_outwards(net, &c->local, &to))
        s = tarn_pool_take(&streams);
    if (!s) {
        (void)!answer(c->handle, TARN_TCP_REFUSE);
        return;
    }
    *s = (struct stream){.call = *c, .since = tarn_now(net->env)};
    if (tarn_net_connect(net->host, &to, &s->host)) {
        (void)!answer(c->handle, TARN_TCP_REFUSE);
        forget(s);
        return;
    }
    s->host->user = s;
    s->host->on_event = host_event;
    tarn_map_insert(&by_ends, &s->by_ends, hash_of(&c->local, &c->remote));
}

static void relayed(struct tarn_flow_relay *relay, enum tarn_err err) {
    (void)err; /* either side has been told */
    forget(TARN_CONTAINER_OF(relay, struct stream, relay));
}

static void accepted(struct tarn_flow *guest) {
    struct tarn_endpoint local, remote;
    struct stream *s = NULL;
    if (!tarn_flow_endpoints(guest, &local, &remote))
        s = find(&local, &remote);
    if (!s) {
        tarn_flow_abort(guest);
        return;
    }
    tarn_map_remove(&by_ends, &s->by_ends);
    (void)!tarn_tcp_set_keepalive(guest, KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_PROBES);
    (void)!tarn_tcp_set_nodelay(guest, true); /* whoever speaks on the host has gathered it */
    s->relay.done = relayed;
    tarn_flow_relay_start(&s->relay, tarn_env_tasks(net->env), guest, s->host);
}

static void guest_event(struct tarn_listener *all) {
    struct tarn_tcp_call c;
    struct tarn_flow *guest;
    while (tarn_tcp_call(all, &c) == TARN_OK)
        call(&c);
    while (tarn_listener_accept(all, &guest) == TARN_OK)
        accepted(guest);
}

void streams_sweep(tarn_time now) {
    uint32_t cursor = 0;
    for (struct stream *s; (s = tarn_pool_next(&streams, &cursor)) != NULL;) {
        if (!tarn_map_contains_link(&s->by_ends) || now < tarn_time_after(s->since, HANDSHAKE_MAX))
            continue;
        tarn_flow_abort(s->host);
        forget(s);
    }
}

enum tarn_err streams_start(struct usernet *u) {
    struct tarn_alloc *alloc = tarn_env_alloc(u->env);
    struct tarn_listener *all;
    net = u;
    tarn_hash_key_init(&key, tarn_env_random(u->env));
    enum tarn_err err = tarn_pool_init(&streams, alloc, sizeof(struct stream),
                                       _Alignof(struct stream), STREAMS_MAX);
    if (!err)
        err = tarn_map_init(&by_ends, alloc, STREAMS_MAX);
    if (!err)
        err = tarn_tcp_listen_all(tarn_stack_tcp(u->guest), BACKLOG, &all);
    if (!err)
        all->on_event = guest_event;
    return err;
}
