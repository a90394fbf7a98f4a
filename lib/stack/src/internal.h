/* SPDX-License-Identifier: ISC */
#ifndef TARN_STACK_INTERNAL_H
#define TARN_STACK_INTERNAL_H

#include <tarn/stack.h>

struct stack_dhcp {
    struct tarn_dhcp_client *client;
    struct tarn_datagram *endpoint;
    struct tarn_ip_watch watch;
    bool addr_changed; /* the watch has said so */
    bool bound;        /* the lease is in use */
    struct tarn_ip_prefix addr;
    struct tarn_ip_route_entry routes[TARN_DHCP_ROUTES_MAX + 1];
    uint32_t route_count;
};

struct stack_dhcp6 {
    struct tarn_dhcp6_client *stateless, *stateful;
    struct tarn_dhcp6_client *client; /* the one of them that runs; NULL: none yet */
    struct tarn_datagram *endpoint;
    struct tarn_ip_watch watch;
    bool always;  /* stateful, whatever routers say */
    bool changed; /* the watch has said so */
    bool bound;   /* the lease is in use */
    struct tarn_ip_addr addr;
};

struct tarn_stack {
    struct tarn_net net;
    struct tarn_offload *offload;
    struct tarn_ethernet *ethernet;
    struct tarn_ip *ip;
    struct tarn_tcp *tcp;
    struct tarn_udp *udp;
    struct stack_dhcp *dhcp;   /* NULL: the address is fixed */
    struct stack_dhcp6 *dhcp6; /* NULL: so is IPv6's, or there is none */
    uint32_t rx_budget;
    bool rx_more;  /* the last poll used its budget up */
    tarn_time now; /* of the last poll: for what programs ask without one */
};

/* dhcp.c */
enum tarn_err stack_dhcp_new(struct tarn_stack *stack, const struct tarn_stack_config *config,
                             tarn_time now);
void stack_dhcp_poll(struct tarn_stack *stack, tarn_time now);
tarn_time stack_dhcp_deadline(const struct tarn_stack *stack);

/* dhcp6.c */
enum tarn_err stack_dhcp6_new(struct tarn_stack *stack, const struct tarn_stack_config *config);
void stack_dhcp6_poll(struct tarn_stack *stack, tarn_time now);
tarn_time stack_dhcp6_deadline(const struct tarn_stack *stack);

#endif
