/* SPDX-License-Identifier: ISC */
/* Active opens (RFC 9293 section 3.10.1) and their ports (RFC 6056). */
#include "internal.h"

#define PORT_TRIES_MAX 1024u

/* Algorithm 3: a keyed hash of the destination, and a counter. Each destination sees its own
 * sequence. */
static enum tarn_err choose_port(struct tarn_tcp *tcp, struct tarn_endpoint *local,
                                 const struct tarn_endpoint *remote) {
    const struct tarn_tcp_options *o = &tcp->config.options;
    uint32_t range = (uint32_t)o->port_max - o->port_min + 1;
    uint32_t offset =
        (uint32_t)tcp_tuple_hash(&tcp->port_key, &local->addr, 0, &remote->addr, remote->port);
    for (uint32_t i = 0; i < TARN_MIN(range, PORT_TRIES_MAX); i++) {
        uint16_t port = (uint16_t)(o->port_min + (offset + tcp->next_port++) % range);
        if (!tcp_conn_find(tcp, &local->addr, port, &remote->addr, remote->port)) {
            local->port = port;
            return TARN_OK;
        }
    }
    return TARN_LIMIT;
}

static bool is_destination(const struct tarn_endpoint *remote) {
    const struct tarn_ip_addr *a = &remote->addr;
    return remote->port != 0 && !tarn_ip_addr_is_any(a) && !tarn_ip_addr_is_multicast(a)
           && !(tarn_ip_addr_is_v4(a) && tarn_ip_addr_v4(a) == UINT32_MAX);
}

enum tarn_err tarn_tcp_connect(struct tarn_tcp *tcp, const struct tarn_endpoint *local_wanted,
                               const struct tarn_endpoint *remote, tarn_time now,
                               struct tarn_flow **out) {
    struct tarn_endpoint local = local_wanted ? *local_wanted : (struct tarn_endpoint){0};
    struct tarn_ip_route route;
    tcp->now = TARN_MAX(tcp->now, now);
    if (!is_destination(remote))
        return TARN_INVALID;
    if (tcp->config.lower->ops->route(tcp->config.lower, &local.addr, &remote->addr, &route))
        return TARN_NOT_FOUND;
    if (tarn_ip_addr_is_any(&local.addr))
        local.addr = route.src;
    enum tarn_err err = local.port == 0 ? choose_port(tcp, &local, remote) : TARN_OK;
    if (err)
        return err;
    if (tcp_conn_find(tcp, &local.addr, local.port, &remote->addr, remote->port))
        return TARN_LIMIT;
    struct tcp_conn *c = tcp_conn_new(tcp, &local, remote);
    if (!c)
        return TARN_LIMIT;
    c->path_mtu = route.mtu;
    c->peer_mss = TCP_MSS_DEFAULT;
    tcp_conn_route(c);
    tcp_conn_set_mss(c);
    c->snd_una = tcp_isn(tcp, &local.addr, local.port, &remote->addr, remote->port);
    c->snd_nxt = c->snd_end = c->snd_small = c->snd_una + 1;
    c->state = TARN_TCP_SYN_SENT;
    c->syn_due = true;
    tcp->stats.opens_active++;
    tcp_conn_dirty(c);
    *out = &c->flow;
    return TARN_OK;
}
