/* SPDX-License-Identifier: ISC */
/* Two Ethernets, IPv4 forwarded between them through a filter that translates, and the box's own IP
 * on both. Only libraries and what ties them; natbox.c decides about addresses. */
#ifndef NATBOX_ROUTER_H
#define NATBOX_ROUTER_H

#include <tarn/base.h>
#include <tarn/ethernet.h>
#include <tarn/filter.h>
#include <tarn/ip.h>
#include <tarn/offload.h>
#include <tarn/udp.h>

struct router;

/* One network. Ethernet hands what arrives to `user`; what is for the box goes on through `link`,
 * which its IP takes for the Ethernet itself. */
struct router_side {
    struct router *router;
    struct tarn_offload *edge;
    struct tarn_ethernet *ethernet;
    struct tarn_link_user user;
    struct tarn_link link;
    struct tarn_ip_prefix addr;
    enum tarn_filter_direction from; /* what comes from here goes in which direction */
};

struct router_stats {
    uint64_t forwarded, for_us, no_route, hops, too_long;
};

struct router {
    struct router_side inside, outside;
    struct tarn_ip_addr gateway;
    struct tarn_filter *filter;
    struct tarn_ip *ip;
    struct tarn_udp *udp;
    bool more; /* the last poll left frames */
    struct router_stats stats;
};

struct router_config {
    struct tarn_alloc *alloc;
    struct tarn_random *random;
    struct tarn_tasks *tasks;
    struct tarn_pkt_pool *pkts;
    struct tarn_netif *inside_netif, *outside_netif;
    struct tarn_ip_prefix inside, outside;
    struct tarn_ip_addr gateway; /* on the outside; any: only its own network is reached */
    struct tarn_filter_rule *rules;
    size_t rule_count;
};

TARN_MUST_USE enum tarn_err router_init(struct router *r, const struct router_config *config,
                                        tarn_time now);
/* One round of the loop: frames in; then, once events were delivered, what is due and frames out.
 */
void router_input(struct router *r, tarn_time now);
void router_flush(struct router *r, tarn_time now);
tarn_time router_deadline(const struct router *r);

#endif
