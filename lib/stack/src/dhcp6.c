/* SPDX-License-Identifier: ISC */
/* Between the DHCPv6 clients and the layers: which of the two runs is the configuration's choice,
 * or a router's (RFC 4861 section 4.2), and what it is granted becomes an address. Routes are never
 * DHCPv6's to give. */
#include "internal.h"

enum { RA_MANAGED = 0x80, RA_OTHER = 0x40 };

static void on_watch(struct tarn_task *task) {
    TARN_CONTAINER_OF(task, struct stack_dhcp6, watch.task)->changed = true;
}

enum tarn_err stack_dhcp6_new(struct tarn_stack *stack, const struct tarn_stack_config *config) {
    struct stack_dhcp6 *d = TARN_NEW(config->alloc, struct stack_dhcp6);
    struct tarn_dhcp6_client_config client = {
        .alloc = config->alloc, .random = config->random, .iaid = 1, .probe = true};
    struct tarn_datagram_config port = {.local = {TARN_IP_ADDR_NONE, TARN_DHCP6_CLIENT_PORT},
                                        .iface = 1};
    struct tarn_handle handle;
    if (!d)
        return TARN_LIMIT;
    tarn_bytes_copy(TARN_BYTES_ARRAY(client.mac), TARN_SPAN_ARRAY(config->netif->mac));
    enum tarn_err err = tarn_dhcp6_client_new(&client, &d->stateless);
    client.stateful = true;
    if (!err)
        err = tarn_dhcp6_client_new(&client, &d->stateful);
    if (!err)
        err = tarn_udp_open(stack->udp, &port, &handle);
    if (err)
        return err;
    d->endpoint = tarn_udp_datagram(stack->udp, handle);
    d->always = config->ipv6_dhcp;
    d->changed = true;
    d->watch.task.run = on_watch;
    tarn_ip_watch_add(stack->ip, &d->watch);
    stack->dhcp6 = d;
    return TARN_OK;
}

/* A client speaks from a link-local address (RFC 8415 section 13.1). */
static bool has_link_local(const struct tarn_stack *stack) {
    struct tarn_ip_prefix own;
    enum tarn_ip_addr_state state;
    uint32_t cursor = 0;
    while (tarn_ip_addr_next(stack->ip, 0, &cursor, &own, &state))
        if (state == TARN_IP_ADDR_READY && !tarn_ip_addr_is_v4(&own.addr)
            && tarn_ip_addr_is_link_local(&own.addr))
            return true;
    return false;
}

/* Once started a client stays, though routers may change their minds; but a stateful one takes a
 * stateless one's place. */
static void choose(struct tarn_stack *stack, struct stack_dhcp6 *d, tarn_time now) {
    unsigned flags = tarn_ip_ra_flags(stack->ip, 0);
    struct tarn_dhcp6_client *wanted = d->client;
    if (d->always || (flags & RA_MANAGED))
        wanted = d->stateful;
    else if (!wanted && (flags & RA_OTHER))
        wanted = d->stateless;
    if (wanted == d->client || !has_link_local(stack))
        return;
    d->client = wanted;
    tarn_dhcp6_client_start(wanted, now);
}

static void remove_addr(struct tarn_stack *stack, struct stack_dhcp6 *d, tarn_time now) {
    if (!tarn_ip_addr_is_any(&d->addr))
        tarn_ip_addr_remove(stack->ip, 0, &d->addr, now);
    d->addr = TARN_IP_ADDR_NONE;
    d->bound = false;
}

/* What is on the link is only a router's to say, so the address stands alone (section 18.2.10.1).
 */
static bool add_addr(struct tarn_stack *stack, struct stack_dhcp6 *d, tarn_time now) {
    const struct tarn_dhcp6_lease *lease = tarn_dhcp6_client_lease(d->client);
    if (!lease || tarn_ip_addr_equal(&lease->addr, &d->addr))
        return lease != NULL;
    struct tarn_ip_prefix own = {.addr = lease->addr, .bits = 128};
    remove_addr(stack, d, now);
    if (tarn_ip_addr_add(stack->ip, 0, &own, true, now))
        return false;
    d->addr = own.addr;
    return true;
}

static void act(struct tarn_stack *stack, struct stack_dhcp6 *d, enum tarn_dhcp6_event event,
                tarn_time now) {
    switch (event) {
    case TARN_DHCP6_PROBE:
        if (!add_addr(stack, d, now))
            tarn_dhcp6_client_conflict(d->client, now);
        break;
    case TARN_DHCP6_GRANTED:
    case TARN_DHCP6_RENEWED: d->bound = add_addr(stack, d, now); break;
    case TARN_DHCP6_LOST: remove_addr(stack, d, now); break;
    case TARN_DHCP6_LEARNED: d->bound = true; break;
    case TARN_DHCP6_NONE: break;
    }
}

/* What came of duplicate address detection. */
static void check_addr(struct tarn_stack *stack, struct stack_dhcp6 *d, tarn_time now) {
    if (tarn_ip_addr_is_any(&d->addr) || tarn_dhcp6_client_state(d->client) != TARN_DHCP6_PROBING)
        return;
    switch (tarn_ip_addr_state(stack->ip, 0, &d->addr)) {
    case TARN_IP_ADDR_READY: tarn_dhcp6_client_confirm(d->client, now); break;
    case TARN_IP_ADDR_DUPLICATE:
        tarn_dhcp6_client_conflict(d->client, now);
        remove_addr(stack, d, now);
        break;
    default: break;
    }
}

static void receive(struct stack_dhcp6 *d, tarn_time now) {
    struct tarn_datagram_info info;
    struct tarn_bytes data;
    while (tarn_datagram_peek(d->endpoint, &data, &info) == TARN_OK) {
        if (d->client && info.remote.port == TARN_DHCP6_SERVER_PORT)
            tarn_dhcp6_client_input(d->client, tarn_bytes_span(data), now);
        tarn_datagram_consume(d->endpoint);
    }
}

static void transmit(struct stack_dhcp6 *d, tarn_time now) {
    uint8_t buf[TARN_DHCP6_MESSAGE_BYTES_MAX];
    struct tarn_writer w = TARN_WRITER_ARRAY(buf);
    struct tarn_datagram_info to = {.remote = {TARN_DHCP6_SERVERS, TARN_DHCP6_SERVER_PORT},
                                    .iface = 1};
    if (tarn_dhcp6_client_output(d->client, &w, now)) /* what is lost is sent again */
        (void)!tarn_datagram_send(d->endpoint, &to, tarn_writer_span(&w));
}

void stack_dhcp6_poll(struct tarn_stack *stack, tarn_time now) {
    struct stack_dhcp6 *d = stack->dhcp6;
    enum tarn_dhcp6_event event;
    receive(d, now);
    if (d->changed) {
        d->changed = false;
        choose(stack, d, now);
        if (d->client)
            check_addr(stack, d, now);
    }
    if (!d->client)
        return;
    tarn_dhcp6_client_tick(d->client, now);
    transmit(d, now);
    while ((event = tarn_dhcp6_client_event(d->client)) != TARN_DHCP6_NONE)
        act(stack, d, event, now);
    transmit(d, now);
}

tarn_time stack_dhcp6_deadline(const struct tarn_stack *stack) {
    const struct stack_dhcp6 *d = stack->dhcp6;
    if (d->changed)
        return 0;
    return d->client ? tarn_dhcp6_client_deadline(d->client) : TARN_NEVER;
}

const struct tarn_dhcp6_lease *tarn_stack_lease6(const struct tarn_stack *stack) {
    const struct stack_dhcp6 *d = stack->dhcp6;
    return d && d->bound ? tarn_dhcp6_client_lease(d->client) : NULL;
}
