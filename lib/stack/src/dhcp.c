/* SPDX-License-Identifier: ISC */
/* Between the DHCP client and the layers: what it sends goes out of a UDP endpoint, what it is
 * granted becomes an address and routes. */
#include <tarn/stack_dhcp.h>

struct tarn_stack_dhcp {
    struct tarn_ip *ip;
    struct tarn_udp *udp;
    unsigned iface;
    struct tarn_dhcp_client *client;
    struct tarn_datagram *endpoint;
    struct tarn_ip_watch watch;
    bool addr_changed; /* the watch has said so */
    bool bound;        /* the lease is in use */
    struct tarn_ip_prefix addr;
    struct tarn_ip_route_entry routes[TARN_DHCP_ROUTES_MAX + 1];
    uint32_t route_count;
};

static enum tarn_err open_endpoint(struct tarn_stack_dhcp *d) {
    struct tarn_datagram_config config = {
        .local = {TARN_IP_ADDR_V4(0, 0, 0, 0), TARN_DHCP_CLIENT_PORT},
        .iface = (uint8_t)(1 + d->iface),
        .broadcast = true};
    struct tarn_handle handle;
    enum tarn_err err = tarn_udp_open(d->udp, &config, &handle);
    if (!err)
        d->endpoint = tarn_udp_datagram(d->udp, handle);
    return err;
}

static void on_watch(struct tarn_task *task) {
    struct tarn_stack_dhcp *d = TARN_CONTAINER_OF(task, struct tarn_stack_dhcp, watch.task);
    d->addr_changed = true; /* looked at with the next poll, which has the time */
}

enum tarn_err tarn_stack_dhcp_new(const struct tarn_stack_dhcp_config *config, tarn_time now,
                                  struct tarn_stack_dhcp **out) {
    struct tarn_stack_dhcp *d = TARN_NEW(config->alloc, struct tarn_stack_dhcp);
    struct tarn_dhcp_client_config client = {.alloc = config->alloc,
                                             .random = config->random,
                                             .host_name = config->host_name,
                                             .probe = config->probe};
    if (!d)
        return TARN_LIMIT;
    d->ip = config->ip;
    d->udp = config->udp;
    d->iface = config->iface;
    tarn_bytes_copy(TARN_BYTES_ARRAY(client.mac), TARN_SPAN_ARRAY(config->mac));
    enum tarn_err err = tarn_dhcp_client_new(&client, &d->client);
    if (!err)
        err = open_endpoint(d);
    if (err)
        return err;
    d->watch.task.run = on_watch;
    tarn_ip_watch_add(d->ip, &d->watch);
    tarn_dhcp_client_start(d->client, now);
    *out = d;
    return TARN_OK;
}

static void remove_routes(struct tarn_stack_dhcp *d) {
    while (d->route_count) {
        d->route_count--;
        (void)!tarn_ip_route_remove(d->ip, &TARN_AT(d->routes, d->route_count));
    }
}

static void add_route(struct tarn_stack_dhcp *d, const struct tarn_ip_prefix *prefix,
                      const struct tarn_ip_addr *gateway) {
    struct tarn_ip_route_entry entry = {
        .prefix = *prefix, .gateway = *gateway, .iface = (uint8_t)d->iface};
    if (tarn_ip_route_add(d->ip, &entry)) /* the table is full: the network is still there */
        return;
    TARN_AT(d->routes, d->route_count) = entry;
    d->route_count++;
}

static void set_routes(struct tarn_stack_dhcp *d, const struct tarn_dhcp_lease *lease) {
    const struct tarn_ip_prefix everywhere = {TARN_IP_ADDR_V4(0, 0, 0, 0), 0};
    remove_routes(d);
    for (uint32_t i = 0; i < lease->route_count; i++)
        add_route(d, &TARN_AT(lease->routes, i).dst, &TARN_AT(lease->routes, i).gateway);
    if (!tarn_ip_addr_is_any(&lease->gateway))
        add_route(d, &everywhere, &lease->gateway);
}

static void remove_addr(struct tarn_stack_dhcp *d, tarn_time now) {
    remove_routes(d);
    if (!tarn_ip_addr_is_any(&d->addr.addr))
        tarn_ip_addr_remove(d->ip, d->iface, &d->addr.addr, now);
    d->addr.addr = TARN_IP_ADDR_NONE;
    d->bound = false;
}

static bool add_addr(struct tarn_stack_dhcp *d, const struct tarn_dhcp_lease *lease, bool probe,
                     tarn_time now) {
    if (tarn_ip_addr_equal(&d->addr.addr, &lease->addr.addr))
        return true; /* the one that was probed */
    remove_addr(d, now);
    if (tarn_ip_addr_add(d->ip, d->iface, &lease->addr, probe, now))
        return false;
    d->addr = lease->addr;
    return true;
}

static void act(struct tarn_stack_dhcp *d, enum tarn_dhcp_client_event event, tarn_time now) {
    const struct tarn_dhcp_lease *lease = tarn_dhcp_client_lease(d->client);
    switch (event) {
    case TARN_DHCP_CLIENT_PROBE:
        if (lease && !add_addr(d, lease, true, now))
            tarn_dhcp_client_conflict(d->client, now);
        break;
    case TARN_DHCP_CLIENT_BOUND:
    case TARN_DHCP_CLIENT_RENEWED:
        if (!lease || !add_addr(d, lease, false, now))
            break;
        set_routes(d, lease);
        d->bound = true;
        break;
    case TARN_DHCP_CLIENT_LOST: remove_addr(d, now); break;
    case TARN_DHCP_CLIENT_NONE: break;
    }
}

/* What came of a probe, or of the defence of an address in use (RFC 5227). */
static void check_addr(struct tarn_stack_dhcp *d, tarn_time now) {
    d->addr_changed = false;
    if (tarn_ip_addr_is_any(&d->addr.addr))
        return;
    switch (tarn_ip_addr_state(d->ip, d->iface, &d->addr.addr)) {
    case TARN_IP_ADDR_READY: tarn_dhcp_client_confirm(d->client, now); break;
    case TARN_IP_ADDR_DUPLICATE:
        tarn_dhcp_client_conflict(d->client, now);
        remove_addr(d, now);
        break;
    default: break;
    }
}

static void receive(struct tarn_stack_dhcp *d, tarn_time now) {
    struct tarn_datagram_info info;
    struct tarn_bytes data;
    while (tarn_datagram_peek(d->endpoint, &data, &info) == TARN_OK) {
        if (info.remote.port == TARN_DHCP_SERVER_PORT)
            tarn_dhcp_client_input(d->client, tarn_bytes_span(data), now);
        tarn_datagram_consume(d->endpoint);
    }
}

static void transmit(struct tarn_stack_dhcp *d, tarn_time now) {
    uint8_t buf[TARN_DHCP_MESSAGE_BYTES_MAX];
    struct tarn_writer w = TARN_WRITER_ARRAY(buf);
    struct tarn_dhcp_path path;
    if (!tarn_dhcp_client_output(d->client, &w, &path, now))
        return;
    struct tarn_datagram_info info = {.remote = {path.dst, path.dst_port}, .local = {path.src, 0}};
    /* What cannot be sent now is as good as lost: the client sends again. */
    (void)!tarn_datagram_send(d->endpoint, &info, tarn_writer_span(&w));
}

void tarn_stack_dhcp_poll(struct tarn_stack_dhcp *d, tarn_time now) {
    enum tarn_dhcp_client_event event;
    receive(d, now);
    if (d->addr_changed)
        check_addr(d, now);
    tarn_dhcp_client_tick(d->client, now);
    transmit(d, now); /* first: a RELEASE or DECLINE is about what is removed below */
    while ((event = tarn_dhcp_client_event(d->client)) != TARN_DHCP_CLIENT_NONE)
        act(d, event, now);
    transmit(d, now);
}

tarn_time tarn_stack_dhcp_deadline(const struct tarn_stack_dhcp *d) {
    return d->addr_changed ? 0 : tarn_dhcp_client_deadline(d->client);
}

const struct tarn_dhcp_lease *tarn_stack_dhcp_lease(const struct tarn_stack_dhcp *d) {
    return d->bound ? tarn_dhcp_client_lease(d->client) : NULL;
}
