/* SPDX-License-Identifier: ISC */
#include "internal.h"

#define RETRY TARN_MS(1)
#define BATCH 64u

void tarn_ethernet_flush(struct tarn_ethernet *eth, tarn_time now) {
    eth->tx_retry_at = 0;
    while (eth->tx_count > 0) {
        uint32_t contiguous = TARN_MIN(eth->tx_count, eth->tx_cap - eth->tx_first);
        size_t n = TARN_MIN(contiguous, BATCH);
        struct tarn_pkt **first = &TARN_AT_N(eth->tx, eth->tx_cap, eth->tx_first);
        size_t sent = tarn_netif_send(eth->netif, first, n);
        TARN_ASSERT(sent <= n);
        eth->tx_first = (eth->tx_first + (uint32_t)sent) & (eth->tx_cap - 1);
        eth->tx_count -= (uint32_t)sent;
        eth->stats.tx_frames += sent;
        if (sent < n) {
            eth->stats.netif_full++;
            eth->tx_retry_at = tarn_time_after(now, RETRY);
            return;
        }
    }
}

static enum tarn_err queue(struct tarn_ethernet *eth, const struct tarn_mac *dst, uint16_t type,
                           struct tarn_pkt *pkt, tarn_time now) {
    if (eth->tx_count == eth->tx_cap)
        tarn_ethernet_flush(eth, now);
    if (eth->tx_count == eth->tx_cap) {
        eth->stats.drops_tx_queue++;
        tarn_pkt_free(pkt);
        return TARN_LIMIT;
    }
    struct tarn_writer w = tarn_pkt_prepend(pkt, eth->vlan ? 18 : 14);
    tarn_writer_mem(&w, dst->bytes, 6);
    tarn_writer_mem(&w, eth->mac.bytes, 6);
    if (eth->vlan) {
        tarn_writer_u16be(&w, ETHERTYPE_VLAN);
        tarn_writer_u16be(&w, eth->vlan);
    }
    tarn_writer_u16be(&w, type);
    uint32_t i = (eth->tx_first + eth->tx_count) & (eth->tx_cap - 1);
    TARN_AT_N(eth->tx, eth->tx_cap, i) = pkt;
    eth->tx_count++;
    return TARN_OK;
}

static struct tarn_mac mac_of(const uint8_t bytes[6]) {
    struct tarn_mac mac;
    struct tarn_span s = tarn_span_of(bytes, 6);
    TARN_ASSERT(tarn_span_copy(&s, mac.bytes, 6));
    return mac;
}

static enum tarn_err link_send(struct tarn_link *link, const struct tarn_link_dst *dst,
                               struct tarn_pkt *pkt, tarn_time now) {
    struct tarn_ethernet *eth = TARN_CONTAINER_OF(link, struct tarn_ethernet, link);
    struct tarn_span head = tarn_pkt_head(pkt);
    uint16_t type =
        head.len > 0 && tarn_span_at(head, 0) >> 4 == 6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4;
    struct tarn_mac mac = MAC_BROADCAST;
    switch (dst->kind) {
    case TARN_LINK_ADDRESS: mac = mac_of(dst->mac); break;
    case TARN_LINK_MULTICAST: mac = ethernet_group_mac(&dst->ip); break;
    case TARN_LINK_BROADCAST: break;
    case TARN_LINK_NEIGHBOUR: {
        enum tarn_err err = tarn_arp_resolve(eth->arp, &dst->ip, pkt, mac.bytes, now);
        ethernet_drain_arp(eth, now);
        if (err)
            return err == TARN_AGAIN ? TARN_OK : err;
        break;
    }
    }
    return queue(eth, &mac, type, pkt, now);
}

static enum tarn_err link_own_addr(struct tarn_link *link, const struct tarn_ip_addr *addr,
                                   bool add, bool probe, tarn_time now) {
    struct tarn_ethernet *eth = TARN_CONTAINER_OF(link, struct tarn_ethernet, link);
    enum tarn_err err = TARN_OK;
    if (add)
        err = tarn_arp_addr_add(eth->arp, addr, probe, now);
    else
        tarn_arp_addr_remove(eth->arp, addr);
    ethernet_drain_arp(eth, now);
    return err;
}

const struct tarn_link_ops ethernet_link_ops = {
    .send = link_send, .own_addr = link_own_addr, .join = ethernet_join};

/* The user is told only from input and tick, whose callers expect it; link_send and link_own_addr,
 * which the user itself called, bring about nothing but ARP packets to send. */
void ethernet_drain_arp(struct tarn_ethernet *eth, tarn_time now) {
    struct tarn_link_user *user = eth->link.user;
    struct tarn_arp_out out;
    while (tarn_arp_next(eth->arp, &out)) {
        struct tarn_mac mac = mac_of(out.mac);
        switch (out.kind) {
        case TARN_ARP_SEND_ARP: (void)queue(eth, &mac, ETHERTYPE_ARP, out.pkt, now); break;
        case TARN_ARP_SEND_IP: (void)queue(eth, &mac, ETHERTYPE_IPV4, out.pkt, now); break;
        case TARN_ARP_UNREACHABLE:
            if (user && user->ops->unreachable)
                user->ops->unreachable(user, out.pkt, now);
            else
                tarn_pkt_free(out.pkt);
            break;
        case TARN_ARP_ADDR:
            if (user && user->ops->addr_event)
                user->ops->addr_event(user, &out.addr, out.event, out.mac, now);
            break;
        }
    }
}
