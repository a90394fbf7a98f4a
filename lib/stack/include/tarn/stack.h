/* SPDX-License-Identifier: ISC */
/* tarn/stack.h: Ethernet, ARP, IP, TCP, UDP and DHCP put together over one netif: a tarn_net.
 *
 * Nothing of its own but the order in which the layers are called:
 *   frames in -> ip -> transports;  ticks;  frames out, in batches.
 * Between Ethernet and the netif stands the edge (tarn/offload.h), so the layers above always see a
 * netif with every feature. Each layer is reachable for what this header does not say.
 *
 * The loop, once a wait is over: tarn_stack_poll, then tarn_tasks_run (which may write to flows),
 * and again while there are tasks or tarn_stack_deadline has come; then wait until the deadline or
 * until the device is ready.
 *
 * Allocates at tarn_stack_new and never after; blocks and reads a clock never. One thread.
 */
#ifndef TARN_STACK_H
#define TARN_STACK_H

#include <tarn/dhcp6_client.h>
#include <tarn/dhcp_client.h>
#include <tarn/ethernet.h>
#include <tarn/flow.h>
#include <tarn/ip.h>
#include <tarn/offload.h>
#include <tarn/stack_dhcp.h>
#include <tarn/tcp.h>
#include <tarn/udp.h>

/* Zero means the default in brackets. */
struct tarn_stack_config {
    struct tarn_alloc *alloc;
    struct tarn_random *random;
    struct tarn_tasks *tasks;
    struct tarn_pkt_pool *pkts;
    struct tarn_log *log; /* NULL: silent */
    struct tarn_netif *netif;

    /* Addresses to start with; any: none of that family. IPv4's is in use at once and defended
     * (RFC 5227 section 2.4 (c)). */
    struct tarn_ip_prefix ipv4, ipv6;
    struct tarn_ip_addr ipv4_gateway, ipv6_gateway; /* any: no default route */
    /* IPv6's come from router advertisements (RFC 4862), besides the one given; and by DHCPv6 what
     * routers say that it gives (their M and O flags). */
    bool ipv6_auto;
    bool ipv6_dhcp; /* an IPv6 address comes by DHCPv6, whatever routers say; routes are theirs */
    bool ipv6_temporary; /* with temporary ones beside the stable ones (RFC 8981) */
    bool redirects;      /* routers may send us elsewhere: tarn_ip_follow_redirects */
    bool ipv4_dhcp;      /* IPv4's address and routes come by DHCP; leave ipv4 any */
    bool ipv4_probe; /* a leased address is used when nobody answers for it (RFC 5227), not at once
                      */
    struct tarn_span host_name; /* told to the DHCP server; empty: none */

    uint16_t vlan;      /* 802.1Q; 0: untagged */
    bool join;          /* join received segments: for a netif of one frame a call */
    uint32_t rx_budget; /* frames in one poll, see tarn_ethernet_poll [256] */

    struct tarn_ethernet_config ethernet; /* limits only: the rest is filled in from here */
    struct tarn_ip_limits ip;
    struct tarn_tcp_limits tcp;
    struct tarn_tcp_options tcp_options;
    struct tarn_udp_config udp; /* limits only; an endpoint's queues: [rx_budget] */
};

struct tarn_stack;
/* TARN_LIMIT: the allocator has not enough. TARN_INVALID: an address or a limit makes no sense. */
TARN_MUST_USE enum tarn_err tarn_stack_new(const struct tarn_stack_config *config, tarn_time now,
                                           struct tarn_stack **out);

/* What programs use: listen, connect, datagram. */
struct tarn_net *tarn_stack_net(struct tarn_stack *stack);

/* One round: frames in (at most the budget), what is due, frames out. */
void tarn_stack_poll(struct tarn_stack *stack, tarn_time now);
/* Its two halves, for a loop that runs tasks between them: so answers carry the ACKs, and all goes
 * out in one batch. */
void tarn_stack_input(struct tarn_stack *stack, tarn_time now);
void tarn_stack_flush(struct tarn_stack *stack, tarn_time now);
/* When to poll next, beside when the device is ready. 0: at once. */
tarn_time tarn_stack_deadline(const struct tarn_stack *stack);

/* What DHCP has leased, while it is in use; NULL: nothing, or no ipv4_dhcp. */
const struct tarn_dhcp_lease *tarn_stack_lease(const struct tarn_stack *stack);
/* The same of DHCPv6. Without an address where it was asked for the rest only. */
const struct tarn_dhcp6_lease *tarn_stack_lease6(const struct tarn_stack *stack);

/* The layers. The interface in tarn_stack_ip is number 0. */
struct tarn_ethernet *tarn_stack_ethernet(struct tarn_stack *stack);
struct tarn_ip *tarn_stack_ip(struct tarn_stack *stack);
struct tarn_tcp *tarn_stack_tcp(struct tarn_stack *stack);
struct tarn_udp *tarn_stack_udp(struct tarn_stack *stack);
struct tarn_offload *tarn_stack_offload(struct tarn_stack *stack);

#endif
