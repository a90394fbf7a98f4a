/* SPDX-License-Identifier: ISC */
#include "internal.h"

static enum tarn_err net_listen(struct tarn_net *net, const struct tarn_endpoint *local,
                                uint32_t backlog, struct tarn_listener **out) {
    struct tarn_stack *stack = TARN_CONTAINER_OF(net, struct tarn_stack, net);
    return tarn_tcp_listen(stack->tcp, local, backlog, out);
}

static enum tarn_err net_connect(struct tarn_net *net, const struct tarn_endpoint *remote,
                                 struct tarn_flow **out) {
    struct tarn_stack *stack = TARN_CONTAINER_OF(net, struct tarn_stack, net);
    return tarn_tcp_connect(stack->tcp, NULL, remote, stack->now, out);
}

static enum tarn_err net_datagram(struct tarn_net *net, const struct tarn_datagram_config *config,
                                  struct tarn_datagram **out) {
    struct tarn_stack *stack = TARN_CONTAINER_OF(net, struct tarn_stack, net);
    struct tarn_handle handle;
    enum tarn_err err = tarn_udp_open(stack->udp, config, &handle);
    if (!err)
        *out = tarn_udp_datagram(stack->udp, handle);
    return err;
}

static const struct tarn_net_ops net_ops = {
    .listen = net_listen, .connect = net_connect, .datagram = net_datagram};

static enum tarn_err make_link(struct tarn_stack *stack, const struct tarn_stack_config *config) {
    struct tarn_offload_config edge = {
        .alloc = config->alloc, .below = config->netif, .pkts = config->pkts, .join = config->join};
    enum tarn_err err = tarn_offload_new(&edge, &stack->offload);
    if (err)
        return err;
    struct tarn_ethernet_config ethernet = config->ethernet;
    ethernet.alloc = config->alloc;
    ethernet.random = config->random;
    ethernet.pkts = config->pkts;
    ethernet.netif = tarn_offload_netif(stack->offload);
    ethernet.vlan = config->vlan;
    return tarn_ethernet_new(&ethernet, &stack->ethernet);
}

static enum tarn_err make_ip(struct tarn_stack *stack, const struct tarn_stack_config *config) {
    struct tarn_ip_config ip = {.alloc = config->alloc,
                                .random = config->random,
                                .pkts = config->pkts,
                                .tasks = config->tasks,
                                .limits = config->ip};
    unsigned iface;
    enum tarn_err err = tarn_ip_new(&ip, &stack->ip);
    if (!err)
        err = tarn_ip_add_link(stack->ip, tarn_ethernet_link(stack->ethernet), &iface);
    return err ? err : tarn_ip_follow_redirects(stack->ip, iface, config->redirects);
}

static enum tarn_err start_ipv6(struct tarn_stack *stack, const struct tarn_stack_config *config,
                                tarn_time now) {
    unsigned flags = TARN_IP_IPV6_SLAAC | (config->ipv6_temporary ? TARN_IP_IPV6_TEMPORARY : 0u);
    bool wanted = config->ipv6_auto || config->ipv6_dhcp;
    return wanted ? tarn_ip_ipv6_start(stack->ip, 0, flags, now) : TARN_OK;
}

static enum tarn_err make_tcp(struct tarn_stack *stack, const struct tarn_stack_config *config) {
    struct tarn_tcp_config tcp = {.alloc = config->alloc,
                                  .random = config->random,
                                  .tasks = config->tasks,
                                  .pkts = config->pkts,
                                  .log = config->log,
                                  .lower = tarn_ip_lower(stack->ip),
                                  .limits = config->tcp,
                                  .options = config->tcp_options};
    enum tarn_err err = tarn_tcp_new(&tcp, &stack->tcp);
    if (!err)
        tarn_ip_register(stack->ip, TARN_IP_PROTO_TCP, tarn_tcp_upper(stack->tcp));
    return err;
}

/* All the frames of one round may be for one endpoint, and answered: its queues hold that many. */
static enum tarn_err make_udp(struct tarn_stack *stack, const struct tarn_stack_config *config) {
    struct tarn_udp_config udp = config->udp;
    uint32_t round_bytes = stack->rx_budget * (uint32_t)tarn_pkt_class_bytes(TARN_PKT_FRAME);
    udp.rx_endpoint_max = udp.rx_endpoint_max ? udp.rx_endpoint_max : stack->rx_budget;
    udp.rx_endpoint_bytes = udp.rx_endpoint_bytes ? udp.rx_endpoint_bytes : round_bytes;
    udp.tx_datagrams_max = udp.tx_datagrams_max ? udp.tx_datagrams_max : stack->rx_budget;
    udp.alloc = config->alloc;
    udp.random = config->random;
    udp.tasks = config->tasks;
    udp.pkts = config->pkts;
    udp.lower = tarn_ip_lower(stack->ip);
    enum tarn_err err = tarn_udp_new(&udp, &stack->udp);
    if (!err)
        tarn_ip_register(stack->ip, TARN_IP_PROTO_UDP, tarn_udp_upper(stack->udp));
    return err;
}

static enum tarn_err add_address(struct tarn_stack *stack, const struct tarn_ip_prefix *prefix,
                                 const struct tarn_ip_addr *gateway, tarn_time now) {
    bool v4 = tarn_ip_addr_is_v4(&prefix->addr);
    if (tarn_ip_addr_is_any(&prefix->addr))
        return TARN_OK;
    enum tarn_err err = tarn_ip_addr_add(stack->ip, 0, prefix, !v4, now);
    if (err || tarn_ip_addr_is_any(gateway))
        return err;
    struct tarn_ip_route_entry route = {
        .prefix = {.addr = v4 ? tarn_ip_addr_from_v4(0) : TARN_IP_ADDR_NONE}, .gateway = *gateway};
    return tarn_ip_route_add(stack->ip, &route);
}

static enum tarn_err start_dhcp(struct tarn_stack *stack, const struct tarn_stack_config *config,
                                tarn_time now) {
    struct tarn_stack_dhcp_config dhcp = {.alloc = config->alloc,
                                          .random = config->random,
                                          .ip = stack->ip,
                                          .udp = stack->udp,
                                          .host_name = config->host_name,
                                          .probe = config->ipv4_probe};
    (void)tarn_bytes_copy(TARN_BYTES_ARRAY(dhcp.mac), TARN_SPAN_ARRAY(config->netif->mac));
    return tarn_stack_dhcp_new(&dhcp, now, &stack->dhcp);
}

enum tarn_err tarn_stack_new(const struct tarn_stack_config *config, tarn_time now,
                             struct tarn_stack **out) {
    struct tarn_stack *stack = TARN_NEW(config->alloc, struct tarn_stack);
    if (!stack)
        return TARN_LIMIT;
    stack->net.ops = &net_ops;
    stack->now = now;
    stack->rx_budget = config->rx_budget ? config->rx_budget : 256;
    enum tarn_err err = make_link(stack, config);
    if (!err)
        err = make_ip(stack, config);
    if (!err)
        err = make_tcp(stack, config);
    if (!err)
        err = make_udp(stack, config);
    if (!err)
        err = add_address(stack, &config->ipv4, &config->ipv4_gateway, now);
    if (!err)
        err = start_ipv6(stack, config, now);
    if (!err)
        err = add_address(stack, &config->ipv6, &config->ipv6_gateway, now);
    if (!err && config->ipv4_dhcp)
        err = start_dhcp(stack, config, now);
    if (!err && (config->ipv6_dhcp || config->ipv6_auto))
        err = stack_dhcp6_new(stack, config);
    if (!err)
        *out = stack;
    return err;
}

struct tarn_net *tarn_stack_net(struct tarn_stack *stack) {
    return &stack->net;
}

void tarn_stack_input(struct tarn_stack *stack, tarn_time now) {
    stack->now = now;
    stack->rx_more = tarn_ethernet_poll(stack->ethernet, stack->rx_budget, now) >= stack->rx_budget;
    if (stack->dhcp)
        tarn_stack_dhcp_poll(stack->dhcp, now);
    if (stack->dhcp6)
        stack_dhcp6_poll(stack, now);
}

void tarn_stack_flush(struct tarn_stack *stack, tarn_time now) {
    stack->now = now;
    tarn_tcp_tick(stack->tcp, now);
    tarn_udp_tick(stack->udp, now);
    tarn_ip_tick(stack->ip, now);
    tarn_ethernet_tick(stack->ethernet, now);
    tarn_ethernet_flush(stack->ethernet, now);
    if (tarn_offload_is_waiting(stack->offload))
        tarn_offload_flush(stack->offload);
}

void tarn_stack_poll(struct tarn_stack *stack, tarn_time now) {
    tarn_stack_input(stack, now);
    tarn_stack_flush(stack, now);
}

/* While the edge holds pieces that the device did not take, Ethernet's queue may be empty; a
 * millisecond later it is tried again, as the queue itself would be. */
tarn_time tarn_stack_deadline(const struct tarn_stack *stack) {
    if (stack->rx_more)
        return 0;
    tarn_time at = TARN_MIN(tarn_tcp_deadline(stack->tcp), tarn_udp_deadline(stack->udp));
    if (stack->dhcp)
        at = TARN_MIN(at, tarn_stack_dhcp_deadline(stack->dhcp));
    if (stack->dhcp6)
        at = TARN_MIN(at, stack_dhcp6_deadline(stack));
    at = TARN_MIN(at, tarn_ip_deadline(stack->ip));
    at = TARN_MIN(at, tarn_ethernet_deadline(stack->ethernet));
    if (tarn_offload_is_waiting(stack->offload))
        at = TARN_MIN(at, tarn_time_after(stack->now, TARN_MS(1)));
    return at;
}

const struct tarn_dhcp_lease *tarn_stack_lease(const struct tarn_stack *stack) {
    return stack->dhcp ? tarn_stack_dhcp_lease(stack->dhcp) : NULL;
}

struct tarn_ethernet *tarn_stack_ethernet(struct tarn_stack *stack) {
    return stack->ethernet;
}

struct tarn_ip *tarn_stack_ip(struct tarn_stack *stack) {
    return stack->ip;
}

struct tarn_tcp *tarn_stack_tcp(struct tarn_stack *stack) {
    return stack->tcp;
}

struct tarn_udp *tarn_stack_udp(struct tarn_stack *stack) {
    return stack->udp;
}

struct tarn_offload *tarn_stack_offload(struct tarn_stack *stack) {
    return stack->offload;
}
