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

static struct endpoint *endpoint_new(struct tarn_udp *udp,
                                     const struct tarn_datagram_config *config, uint16_t port) {
    struct endpoint *ep = tarn_pool_take(&udp->endpoints);
    if (ep)
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
    return ep;
}

enum tarn_err tarn_udp_open(struct tarn_udp *udp, const struct tarn_datagram_config *config,
                            struct tarn_handle *out) {
    uint16_t port = config->local.port;
    if (port ? !port_is_free(udp, config, port) : !choose_port(udp, config, &port))
        return TARN_LIMIT;
    struct endpoint *ep = endpoint_new(udp, config, port);
    if (!ep)
        return TARN_LIMIT;
    tarn_map_insert(&udp->by_port, &ep->by_port, port);
    *out = tarn_pool_handle(&udp->endpoints, ep);
    return TARN_OK;
}

enum tarn_err tarn_udp_open_all(struct tarn_udp *udp, struct tarn_handle *out) {
    struct tarn_datagram_config config = {.local.addr = TARN_IP_ADDR_NONE};
    struct endpoint *ep = udp->all ? NULL : endpoint_new(udp, &config, 0);
    if (!ep)
        return TARN_LIMIT;
    udp->all = ep;
    *out = tarn_pool_handle(&udp->endpoints, ep);
    return TARN_OK;
}

enum tarn_err udp_route(struct tarn_udp *udp, uint8_t iface, const struct tarn_ip_addr *src,
                        const struct tarn_ip_addr *dst, struct tarn_ip_route *out) {
    struct tarn_ip_lower *lower = udp->config.lower;
    return iface && lower->ops->route_by ? lower->ops->route_by(lower, iface, src, dst, out)
                                         : lower->ops->route(lower, src, dst, out);
}

/* The local address becomes the one that the route chooses, so that a datagram sent to another
 * address of this host is not taken for the remote's answer. */
enum tarn_err udp_connect(struct endpoint *ep, const struct tarn_endpoint *remote) {
    struct tarn_udp *udp = ep->udp;
    struct tarn_endpoint to = {TARN_IP_ADDR_NONE, 0};
    struct tarn_ip_addr src = ep->bound;
    if (ep == udp->all)
        return TARN_INVALID;
    if (remote) {
        struct tarn_ip_route route;
        to = *remote;
        if (to.port == 0 || tarn_ip_addr_is_any(&to.addr))
            return TARN_INVALID;
        enum tarn_err err = udp_route(udp, ep->iface, &src, &to.addr, &route);
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

struct tarn_group_filter udp_filter_of(const struct group *g) {
    return (struct tarn_group_filter){
        .include = g->include, .count = g->source_count, .sources = g->sources};
}

static enum tarn_err tell_lower(struct tarn_udp *udp, const struct group *g, bool add) {
    struct tarn_ip_lower *lower = udp->config.lower;
    struct tarn_group_filter filter = udp_filter_of(g);
    return lower->ops->join ? lower->ops->join(lower, &g->addr, g->iface, &filter, add) : TARN_OK;
}

/* Where the group stands in the endpoint's list, or would. */
static struct group **find_group(struct endpoint *ep, const struct tarn_ip_addr *addr,
                                 uint8_t iface) {
    struct group **at = &ep->groups;
    while (*at && ((*at)->iface != iface || !tarn_ip_addr_equal(&(*at)->addr, addr)))
        at = &(*at)->next;
    return at;
}

static enum tarn_err leave_group(struct endpoint *ep, struct group **at) {
    struct group *g = *at;
    enum tarn_err err = tell_lower(ep->udp, g, false);
    *at = g->next;
    ep->group_count--;
    tarn_pool_put(&ep->udp->groups, g);
    return err;
}

/* The new filter first: between the two, whatever both let through is still heard below. */
static enum tarn_err change_group(struct endpoint *ep, struct group *g,
                                  const struct group *wanted) {
    enum tarn_err err = tell_lower(ep->udp, wanted, true);
    if (err)
        return err;
    (void)!tell_lower(ep->udp, g, false);
    struct group *next = g->next;
    *g = *wanted;
    g->next = next;
    return TARN_OK;
}

static enum tarn_err join_group(struct endpoint *ep, const struct group *wanted) {
    struct group *g =
        ep->group_count < TARN_UDP_GROUPS_MAX ? tarn_pool_take(&ep->udp->groups) : NULL;
    if (!g)
        return TARN_LIMIT;
    enum tarn_err err = tell_lower(ep->udp, wanted, true);
    if (err) {
        tarn_pool_put(&ep->udp->groups, g);
        return err;
    }
    *g = *wanted;
    g->next = ep->groups;
    ep->groups = g;
    ep->group_count++;
    return TARN_OK;
}

enum tarn_err udp_listen(struct endpoint *ep, const struct tarn_ip_addr *addr, uint8_t iface,
                         const struct tarn_group_filter *f) {
    struct group wanted = {.addr = *addr,
                           .iface = iface ? iface : ep->iface,
                           .include = f->include,
                           .source_count = f->count};
    struct group **at = find_group(ep, addr, wanted.iface);
    if (!tarn_group_filter_is_valid(f, addr))
        return TARN_INVALID;
    if (f->count > TARN_UDP_SOURCES_MAX)
        return TARN_LIMIT;
    for (uint32_t i = 0; i < f->count; i++)
        TARN_AT(wanted.sources, i) = TARN_AT_N(f->sources, f->count, i);
    if (tarn_group_filter_is_empty(f))
        return *at ? leave_group(ep, at) : TARN_NOT_FOUND;
    return *at ? change_group(ep, *at, &wanted) : join_group(ep, &wanted);
}

enum tarn_err udp_join(struct endpoint *ep, const struct tarn_ip_addr *group, uint8_t iface,
                       bool add) {
    struct tarn_group_filter f = {.include = !add};
    const struct group *g = *find_group(ep, group, iface ? iface : ep->iface);
    bool same = add && g && !g->include && g->source_count == 0;
    return same ? TARN_OK : udp_listen(ep, group, iface, &f);
}

void udp_close(struct endpoint *ep) {
    struct tarn_udp *udp = ep->udp;
    while (ep->groups)
        (void)!leave_group(ep, &ep->groups); /* nothing to be done about a refusal */
    udp_rx_clear(ep);
    tarn_task_cancel(&ep->event_task);
    tarn_task_cancel(&ep->room_task);
    if (ep == udp->all)
        udp->all = NULL;
    else
        tarn_map_remove(&udp->by_port, &ep->by_port);
    tarn_pool_put(&udp->endpoints, ep);
}
