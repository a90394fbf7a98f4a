/* SPDX-License-Identifier: ISC */
/* What endpoints are bound to: ports, addresses, groups, remotes. */
#include "internal.h"

struct endpoint *udp_endpoint(struct tarn_udp *udp, struct tarn_handle h) {
    return tarn_pool_get(&udp->endpoints, h);
}

bool udp_endpoint_equal(const struct tarn_endpoint *a, const struct tarn_endpoint *b) {
    return a->port == b->port && tarn_ip_addr_equal(&a->addr, &b->addr);
}

/* Whether some datagram could be for both: "::" is everything, 0.0.0.0 all of IPv4. */
static bool addrs_overlap(const struct tarn_ip_addr *a, const struct tarn_ip_addr *b) {
    const struct tarn_ip_addr none = TARN_IP_ADDR_NONE;
    if (tarn_ip_addr_equal(a, b) || tarn_ip_addr_equal(a, &none) || tarn_ip_addr_equal(b, &none))
        return true;
    return tarn_ip_addr_is_v4(a) && tarn_ip_addr_is_v4(b)
           && (tarn_ip_addr_is_any(a) || tarn_ip_addr_is_any(b));
}

static bool port_is_free(const struct tarn_udp *udp, const struct tarn_datagram_config *config,
                         uint16_t port) {
    unsigned sharers = 0;
    struct tarn_map_link *link = tarn_map_first(&udp->by_port, port);
    for (; link; link = tarn_map_following(link)) {
        const struct endpoint *ep = TARN_CONTAINER_OF(link, struct endpoint, by_port);
        if (ep->local.port != port)
            continue;
        if (++sharers == TARN_UDP_PORT_SHARERS_MAX)
            return false;
        bool apart = ep->iface && config->iface && ep->iface != config->iface;
        if (!apart && addrs_overlap(&ep->bound, &config->local.addr)
            && !(ep->shared && config->shared))
            return false;
    }
    return true;
}

/* RFC 6056 section 3.3.2: a random port, and another where that is taken. When nearly all are, the
 * tries end and every port is asked in turn from a random start. */
static bool choose_port(struct tarn_udp *udp, const struct tarn_datagram_config *config,
                        uint16_t *out) {
    uint32_t n = 1u + udp->config.port_max - udp->config.port_min;
    uint32_t at = 0;
    for (uint32_t i = 0; i < n + 16; i++) {
        at = i <= 16 ? tarn_random_below(udp->config.random, n) : (at + 1) % n;
        *out = (uint16_t)(udp->config.port_min + at);
        if (port_is_free(udp, config, *out))
            return true;
    }
    return false;
}

static void run_event(struct tarn_task *task) {
    struct endpoint *ep = TARN_CONTAINER_OF(task, struct endpoint, event_task);
    unsigned events = ep->events;
    ep->events = 0;
    if (ep->datagram.on_event)
        ep->datagram.on_event(&ep->datagram, events); /* may close the endpoint: the last use */
}

static void run_room(struct tarn_task *task) {
    udp_event(TARN_CONTAINER_OF(task, struct endpoint, room_task), TARN_DATAGRAM_WRITABLE);
}

void udp_event(struct endpoint *ep, unsigned events) {
    ep->events |= events;
    tarn_task_post(ep->udp->config.tasks, &ep->event_task);
}

enum tarn_err udp_take_error(struct endpoint *ep) {
    enum tarn_err err = ep->error;
    ep->error = TARN_OK;
    return err;
}

enum tarn_err tarn_udp_open(struct tarn_udp *udp, const struct tarn_datagram_config *config,
                            struct tarn_handle *out) {
    uint16_t port = config->local.port;
    if (port ? !port_is_free(udp, config, port) : !choose_port(udp, config, &port))
        return TARN_LIMIT;
    struct endpoint *ep = tarn_pool_take(&udp->endpoints);
    if (!ep)
        return TARN_LIMIT;
    *ep = (struct endpoint){
        .datagram.ops = &udp_datagram_ops,
        .udp = udp,
        .event_task.run = run_event,
        .room_task.run = run_room,
        .readable_due = true,
        .local = {config->local.addr, port},
        .bound = config->local.addr,
        .broadcast = config->broadcast,
        .shared = config->shared,
        .iface = config->iface,
    };
    tarn_map_insert(&udp->by_port, &ep->by_port, port);
    *out = tarn_pool_handle(&udp->endpoints, ep);
    return TARN_OK;
}

/* The local address becomes the one that the route chooses, so that a datagram sent to another
 * address of this host is not taken for the remote's answer. */
enum tarn_err udp_connect(struct endpoint *ep, const struct tarn_endpoint *remote) {
    struct tarn_udp *udp = ep->udp;
    struct tarn_endpoint to = {TARN_IP_ADDR_NONE, 0};
    struct tarn_ip_addr src = ep->bound;
    if (remote) {
        struct tarn_ip_route route;
        to = *remote;
        if (to.port == 0 || tarn_ip_addr_is_any(&to.addr))
            return TARN_INVALID;
        enum tarn_err err =
            udp->config.lower->ops->route(udp->config.lower, &src, &to.addr, &route);
        if (err)
            return err;
        if (route.broadcast && !ep->broadcast)
            return TARN_INVALID;
        if (tarn_ip_addr_is_any(&src))
            src = route.src;
    }
    ep->local.addr = src;
    ep->remote = to;
    ep->connected = remote != NULL;
    ep->error = TARN_OK;
    if (ep->connected)
        udp_rx_drop_others(ep);
    return TARN_OK;
}

static enum tarn_err tell_lower(struct tarn_udp *udp, const struct group *g, bool add) {
    struct tarn_ip_lower *lower = udp->config.lower;
    return lower->ops->join ? lower->ops->join(lower, &g->addr, g->iface, add) : TARN_OK;
}

static bool find_group(struct endpoint *ep, const struct group *g, uint32_t *at) {
    for (*at = 0; *at < ep->group_count; ++*at) {
        const struct group *have = &TARN_AT(ep->groups, *at);
        if (have->iface == g->iface && tarn_ip_addr_equal(&have->addr, &g->addr))
            return true;
    }
    return false;
}

static enum tarn_err leave_group(struct endpoint *ep, uint32_t at) {
    struct group g = TARN_AT(ep->groups, at);
    TARN_AT(ep->groups, at) = TARN_AT(ep->groups, ep->group_count - 1);
    ep->group_count--;
    return tell_lower(ep->udp, &g, false);
}

enum tarn_err udp_join(struct endpoint *ep, const struct tarn_ip_addr *group, uint8_t iface,
                       bool add) {
    struct group g = {*group, iface ? iface : ep->iface};
    uint32_t at;
    if (!tarn_ip_addr_is_multicast(group))
        return TARN_INVALID;
    bool have = find_group(ep, &g, &at);
    if (!add)
        return have ? leave_group(ep, at) : TARN_NOT_FOUND;
    if (have)
        return TARN_OK;
    if (ep->group_count == TARN_UDP_GROUPS_MAX)
        return TARN_LIMIT;
    enum tarn_err err = tell_lower(ep->udp, &g, true);
    if (!err)
        TARN_AT(ep->groups, ep->group_count++) = g;
    return err;
}

void udp_close(struct endpoint *ep) {
    struct tarn_udp *udp = ep->udp;
    while (ep->group_count)
        (void)!leave_group(ep, ep->group_count - 1); /* nothing to be done about a refusal */
    udp_rx_clear(ep);
    tarn_task_cancel(&ep->event_task);
    tarn_task_cancel(&ep->room_task);
    tarn_map_remove(&udp->by_port, &ep->by_port);
    tarn_pool_put(&udp->endpoints, ep);
}
