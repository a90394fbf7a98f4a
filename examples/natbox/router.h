/* SPDX-License-Identifier: ISC */
/* Two Ethernets, IP forwarded between them through a filter (which translates IPv4), and the box's
 * own IP on both. Only libraries and what ties them; natbox.c decides about addresses. */
#ifndef NATBOX_ROUTER_H
#define NATBOX_ROUTER_H

#include <tarn/base.h>
#include <tarn/ethernet.h>
#include <tarn/filter.h>
#include <tarn/ip.h>
#include <tarn/offload.h>
#include <tarn/stack_dhcp.h>
#include <tarn/udp.h>

enum router_side { ROUTER_INSIDE, ROUTER_OUTSIDE, ROUTER_SIDES }; /* and the numbers in its IP */

struct router_network {
    struct tarn_netif *netif;
    struct tarn_ip_prefix ipv4, ipv6; /* the box's addresses there; any: none */
};

struct router {
    struct tarn_offload *edge[ROUTER_SIDES];
    struct tarn_ethernet *ethernet[ROUTER_SIDES];
    struct tarn_ip_forwarder forwarder;
    struct tarn_ip_addr outside;  /* what the inside is translated to; any: no lease yet */
    struct tarn_stack_dhcp *dhcp; /* NULL: the outside address is given */
    struct tarn_filter *filter;
    struct tarn_ip *ip;
    struct tarn_udp *udp;
    bool more; /* the last poll left frames */
};

struct router_config {
    struct tarn_alloc *alloc;
    struct tarn_random *random;
    struct tarn_tasks *tasks;
    struct tarn_pkt_pool *pkts;
    struct router_network side[ROUTER_SIDES];
    bool outside_dhcp; /* IPv4's address and gateway outside come by DHCP */
    /* On the outside; any: only its own network is reached. */
    struct tarn_ip_addr gateway, gateway6;
    struct tarn_filter_rule *rules;
    size_t rule_count;
    size_t table_bytes; /* for the filter's flows; 0: its default */
};

TARN_MUST_USE enum tarn_err router_init(struct router *r, const struct router_config *config,
                                        tarn_time now);
/* One round of the loop: frames in; then, once events were delivered, what is due and frames out.
 */
void router_input(struct router *r, tarn_time now);
void router_flush(struct router *r, tarn_time now);
tarn_time router_deadline(const struct router *r);

#endif
