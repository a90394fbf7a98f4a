/* SPDX-License-Identifier: ISC */
#ifndef TARN_STACK_INTERNAL_H
#define TARN_STACK_INTERNAL_H

#include <tarn/stack.h>

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
    struct tarn_stack_dhcp *dhcp; /* NULL: the address is fixed */
    struct stack_dhcp6 *dhcp6;    /* NULL: so is IPv6's, or there is none */
    uint32_t rx_budget;
    bool rx_more;  /* the last poll used its budget up */
    tarn_time now; /* of the last poll: for what programs ask without one */
};

/* dhcp6.c */
enum tarn_err stack_dhcp6_new(struct tarn_stack *stack, const struct tarn_stack_config *config);
void stack_dhcp6_poll(struct tarn_stack *stack, tarn_time now);
tarn_time stack_dhcp6_deadline(const struct tarn_stack *stack);

#endif
