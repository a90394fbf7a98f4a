/* SPDX-License-Identifier: ISC */
#include "router.h"

#define FRAMES_A_POLL 256u
/* The box's own ports begin where those of translated flows end. */
#define NAT_PORT_MAX 49151

/* What is for the box itself passes by the filter, but for the outside's IPv4 address, which it
 * shares with the whole inside. From outside, the box's address on the inside is none. */
static bool pass(struct tarn_ip_forwarder *forwarder, unsigned iface, bool own,
                 struct tarn_pkt *pkt, tarn_time now) {
    struct router *r = TARN_CONTAINER_OF(forwarder, struct router, forwarder);
    bool v4 = tarn_span_at(tarn_pkt_head(pkt), 0) >> 4 == 4;
    if (own && (!v4 || iface == ROUTER_INSIDE)) {
        struct tarn_span s = tarn_span_after(tarn_pkt_head(pkt), 16);
        struct tarn_ip_addr dst;
        if (!v4 || !tarn_span_ipv4(&s, &dst) || !tarn_ip_addr_equal(&dst, &r->outside))
            return true;
    }
    enum tarn_filter_direction direction =
        iface == ROUTER_INSIDE ? TARN_FILTER_OUT : TARN_FILTER_IN;
    return tarn_filter_packet(r->filter, direction, pkt, now) != TARN_FILTER_DROP;
}

static const struct tarn_ip_forwarder_ops forwarder_ops = {.pass = pass};

/* -- making it ----------------------------------------------------------------------------------
 */

static enum tarn_err add_route(struct router *r, struct tarn_ip_addr any,
                               const struct tarn_ip_addr *gateway) {
    struct tarn_ip_route_entry route = {
        .prefix = {any, 0}, .gateway = *gateway, .iface = ROUTER_OUTSIDE};
    return tarn_ip_addr_is_any(gateway) ? TARN_OK : tarn_ip_route_add(r->ip, &route);
}

static enum tarn_err make_side(struct router *r, enum router_side side,
                               const struct router_config *config, tarn_time now) {
    const struct router_network *net = &TARN_AT(config->side, side);
    struct tarn_offload_config edge = {
        .alloc = config->alloc, .below = net->netif, .pkts = config->pkts};
    struct tarn_ethernet_config ethernet = {
        .alloc = config->alloc, .random = config->random, .pkts = config->pkts};
    unsigned iface;
    enum tarn_err err = tarn_offload_new(&edge, &TARN_AT(r->edge, side));
    if (err)
        return err;
    ethernet.netif = tarn_offload_netif(TARN_AT(r->edge, side));
    if ((err = tarn_ethernet_new(&ethernet, &TARN_AT(r->ethernet, side))))
        return err;
    if ((err = tarn_ip_add_link(r->ip, tarn_ethernet_link(TARN_AT(r->ethernet, side)), &iface)))
        return err;
    if (!tarn_ip_addr_is_any(&net->ipv4.addr)
        && (err = tarn_ip_addr_add(r->ip, iface, &net->ipv4, false, now)))
        return err;
    return tarn_ip_addr_is_any(&net->ipv6.addr)
               ? TARN_OK
               : tarn_ip_addr_add(r->ip, iface, &net->ipv6, false, now);
}

static enum tarn_err make_box(struct router *r, const struct router_config *config) {
    struct tarn_ip_config ip = {.alloc = config->alloc,
                                .random = config->random,
                                .pkts = config->pkts,
                                .tasks = config->tasks};
    enum tarn_err err = tarn_ip_new(&ip, &r->ip);
    if (err)
        return err;
    struct tarn_udp_config udp = {.alloc = config->alloc,
                                  .random = config->random,
                                  .tasks = config->tasks,
                                  .pkts = config->pkts,
                                  .lower = tarn_ip_lower(r->ip)};
    if ((err = tarn_udp_new(&udp, &r->udp)))
        return err;
    tarn_ip_register(r->ip, TARN_IP_PROTO_UDP, tarn_udp_upper(r->udp));
    struct tarn_filter_config filter = {.alloc = config->alloc,
                                        .random = config->random,
                                        .table_bytes = config->table_bytes,
                                        .rules = config->rules,
                                        .rule_count = config->rule_count,
                                        .translate = true,
                                        .outside = r->outside,
                                        .port_max = NAT_PORT_MAX};
    return tarn_filter_new(&filter, &r->filter);
}

static enum tarn_err ask_for_outside(struct router *r, const struct router_config *config,
                                     tarn_time now) {
    struct tarn_stack_dhcp_config dhcp = {.alloc = config->alloc,
                                          .random = config->random,
                                          .ip = r->ip,
                                          .udp = r->udp,
                                          .iface = ROUTER_OUTSIDE};
    (void)tarn_bytes_copy(TARN_BYTES_ARRAY(dhcp.mac),
                          TARN_SPAN_ARRAY(TARN_AT(config->side, ROUTER_OUTSIDE).netif->mac));
    return config->outside_dhcp ? tarn_stack_dhcp_new(&dhcp, now, &r->dhcp) : TARN_OK;
}

enum tarn_err router_init(struct router *r, const struct router_config *config, tarn_time now) {
    *r = (struct router){.forwarder = {&forwarder_ops},
                         .outside = TARN_AT(config->side, ROUTER_OUTSIDE).ipv4.addr};
    enum tarn_err err = make_box(r, config);
    if (!err)
        err = make_side(r, ROUTER_INSIDE, config, now);
    if (!err)
        err = make_side(r, ROUTER_OUTSIDE, config, now);
    if (!err)
        err = add_route(r, TARN_IP_ADDR_V4(0, 0, 0, 0), &config->gateway);
    if (!err)
        err = add_route(r, TARN_IP_ADDR_NONE, &config->gateway6);
    if (!err)
        err = ask_for_outside(r, config, now);
    if (!err)
        tarn_ip_forward_by(r->ip, &r->forwarder);
    return err;
}

/* -- running it ---------------------------------------------------------------------------------
 */

/* Flows over an address that is gone end with it. */
static void follow_lease(struct router *r, tarn_time now) {
    tarn_stack_dhcp_poll(r->dhcp, now);
    const struct tarn_dhcp_lease *lease = tarn_stack_dhcp_lease(r->dhcp);
    struct tarn_ip_addr outside = lease ? lease->addr.addr : TARN_IP_ADDR_NONE;
    if (tarn_ip_addr_equal(&outside, &r->outside))
        return;
    r->outside = outside;
    tarn_filter_set_outside(r->filter, &outside);
}

void router_input(struct router *r, tarn_time now) {
    r->more = false;
    for (unsigned side = 0; side < ROUTER_SIDES; side++)
        r->more |=
            tarn_ethernet_poll(TARN_AT(r->ethernet, side), FRAMES_A_POLL, now) >= FRAMES_A_POLL;
    if (r->dhcp)
        follow_lease(r, now);
}

void router_flush(struct router *r, tarn_time now) {
    tarn_udp_tick(r->udp, now);
    tarn_ip_tick(r->ip, now);
    tarn_filter_tick(r->filter, now);
    for (unsigned side = 0; side < ROUTER_SIDES; side++) {
        tarn_ethernet_tick(TARN_AT(r->ethernet, side), now);
        tarn_ethernet_flush(TARN_AT(r->ethernet, side), now);
        if (tarn_offload_is_waiting(TARN_AT(r->edge, side)))
            tarn_offload_flush(TARN_AT(r->edge, side));
    }
}

tarn_time router_deadline(const struct router *r) {
    tarn_time at = TARN_MIN(tarn_udp_deadline(r->udp), tarn_ip_deadline(r->ip));
    at = TARN_MIN(at, tarn_filter_deadline(r->filter));
    if (r->dhcp)
        at = TARN_MIN(at, tarn_stack_dhcp_deadline(r->dhcp));
    for (unsigned side = 0; side < ROUTER_SIDES; side++) {
        if (r->more || tarn_offload_is_waiting(TARN_AT(r->edge, side)))
            return 0;
        at = TARN_MIN(at, tarn_ethernet_deadline(TARN_AT(r->ethernet, side)));
    }
    return at;
}
