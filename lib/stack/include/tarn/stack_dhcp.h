/* SPDX-License-Identifier: ISC */
/* tarn/stack_dhcp.h: what DHCP leases, as an address and routes of one interface: for programs that
 * put the layers together themselves (a router with several); tarn_stack does it for one netif.
 *
 * Allocates when it is made and never after; blocks and reads a clock never. One thread.
 */
#ifndef TARN_STACK_DHCP_H
#define TARN_STACK_DHCP_H

#include <tarn/dhcp_client.h>
#include <tarn/ip.h>
#include <tarn/udp.h>

struct tarn_stack_dhcp_config {
    struct tarn_alloc *alloc;
    struct tarn_random *random;
    struct tarn_ip *ip; /* both outlive this */
    struct tarn_udp *udp;
    unsigned iface;             /* of ip; one of these for each interface at most */
    uint8_t mac[6];             /* its hardware address */
    struct tarn_span host_name; /* told to the server; empty: none; outlives this */
    bool probe; /* the address is used when nobody answers for it (RFC 5227), not at once */
};

struct tarn_stack_dhcp;
/* Asks from now on. TARN_LIMIT: the allocator has not enough, or the client's port is taken. */
TARN_MUST_USE enum tarn_err tarn_stack_dhcp_new(const struct tarn_stack_dhcp_config *config,
                                                tarn_time now, struct tarn_stack_dhcp **out);
/* Behind each round of input, and at the deadline. */
void tarn_stack_dhcp_poll(struct tarn_stack_dhcp *d, tarn_time now);
tarn_time tarn_stack_dhcp_deadline(const struct tarn_stack_dhcp *d);
/* What is in use now; NULL: nothing. */
const struct tarn_dhcp_lease *tarn_stack_dhcp_lease(const struct tarn_stack_dhcp *d);

#endif
