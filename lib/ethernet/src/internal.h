/* SPDX-License-Identifier: ISC */
#ifndef TARN_ETHERNET_INTERNAL_H
#define TARN_ETHERNET_INTERNAL_H

#include "arp.h"
#include <tarn/ethernet.h>

enum {
    ETHERTYPE_IPV4 = 0x0800,
    ETHERTYPE_ARP = 0x0806,
    ETHERTYPE_VLAN = 0x8100,
    ETHERTYPE_IPV6 = 0x86dd
};

/* A group's hardware address, and how many joins hold it: several groups share one. */
struct group {
    struct tarn_map_link link;
    struct tarn_mac mac;
    uint32_t joins;
};

struct tarn_ethernet {
    struct tarn_link link;
    struct tarn_netif *netif;
    struct tarn_arp *arp;
    struct tarn_mac mac;
    uint16_t vlan;
    struct tarn_pkt **tx; /* a ring of tx_cap */
    uint32_t tx_cap, tx_first, tx_count;
    tarn_time tx_retry_at; /* 0: the netif is not known to be full */
    struct tarn_hash_key key;
    struct tarn_pool groups;
    struct tarn_map by_mac;
    struct tarn_ethernet_stats stats;
};

/* groups.c */
bool ethernet_is_joined(const struct tarn_ethernet *eth, const struct tarn_mac *mac);
struct tarn_mac ethernet_group_mac(const struct tarn_ip_addr *group);
enum tarn_err ethernet_join(struct tarn_link *link, const struct tarn_ip_addr *group, bool add);

/* output.c */
extern const struct tarn_link_ops ethernet_link_ops;
/* Does what ARP asks for. */
void ethernet_drain_arp(struct tarn_ethernet *eth, tarn_time now);

#endif
