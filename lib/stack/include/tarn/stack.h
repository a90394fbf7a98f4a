/* SPDX-License-Identifier: ISC */
/* tarn/stack.h: Ethernet, ARP, IP and TCP put together over one netif: a tarn_net.
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

#include <tarn/ethernet.h>
#include <tarn/flow.h>
#include <tarn/ip.h>
#include <tarn/offload.h>
#include <tarn/tcp.h>

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

    uint16_t vlan;      /* 802.1Q; 0: untagged */
    bool join;          /* join received segments: for a netif of one frame a call */
    uint32_t rx_budget; /* frames in one poll [256] */

    struct tarn_ethernet_config ethernet; /* limits only: the rest is filled in from here */
    struct tarn_ip_limits ip;
    struct tarn_tcp_limits tcp;
    struct tarn_tcp_options tcp_options;
};

struct tarn_stack;
/* TARN_LIMIT: the allocator has not enough. TARN_INVALID: an address or a limit makes no sense. */
TARN_MUST_USE enum tarn_err tarn_stack_new(const struct tarn_stack_config *config, tarn_time now,
                                           struct tarn_stack **out);

/* What programs use: listen, connect. */
struct tarn_net *tarn_stack_net(struct tarn_stack *stack);

/* One round: frames in (at most the budget), what is due, frames out. */
void tarn_stack_poll(struct tarn_stack *stack, tarn_time now);
/* When to poll next, beside when the device is ready. 0: at once. */
tarn_time tarn_stack_deadline(const struct tarn_stack *stack);

/* The layers. The interface in tarn_stack_ip is number 0. */
struct tarn_ethernet *tarn_stack_ethernet(struct tarn_stack *stack);
struct tarn_ip *tarn_stack_ip(struct tarn_stack *stack);
struct tarn_tcp *tarn_stack_tcp(struct tarn_stack *stack);
struct tarn_offload *tarn_stack_offload(struct tarn_stack *stack);

#endif
