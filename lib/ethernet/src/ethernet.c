/* SPDX-License-Identifier: ISC */
#include "internal.h"

#define RX_BATCH 64u

static enum tarn_err make_tables(struct tarn_ethernet *eth,
                                 const struct tarn_ethernet_config *config) {
    uint32_t groups = config->groups_max ? config->groups_max : 64;
    struct tarn_arp_config arp = config->arp;
    arp.alloc = config->alloc;
    arp.random = config->random;
    arp.pkts = config->pkts;
    struct tarn_span mac = TARN_SPAN_ARRAY(eth->mac.bytes);
    TARN_ASSERT(tarn_span_copy(&mac, arp.mac, 6));
    enum tarn_err err = tarn_arp_new(&arp, &eth->arp);
    if (!err)
        err = tarn_pool_init(&eth->groups, config->alloc, sizeof(struct group),
                             _Alignof(struct group), groups);
    if (!err)
        err = tarn_map_init(&eth->by_mac, config->alloc, groups);
    if (err)
        return err;
    eth->tx = TARN_NEW_ARRAY(config->alloc, eth->tx_cap, struct tarn_pkt *);
    return eth->tx ? TARN_OK : TARN_LIMIT;
}

enum tarn_err tarn_ethernet_new(const struct tarn_ethernet_config *config,
                                struct tarn_ethernet **out) {
    uint32_t tx_cap = config->tx_queue_max ? config->tx_queue_max : 512;
    if ((tx_cap & (tx_cap - 1)) != 0 || config->vlan > 4094)
        return TARN_INVALID;
    struct tarn_ethernet *eth = TARN_NEW(config->alloc, struct tarn_ethernet);
    if (!eth)
        return TARN_LIMIT;
    struct tarn_span mac = TARN_SPAN_ARRAY(config->netif->mac);
    TARN_ASSERT(tarn_span_copy(&mac, eth->mac.bytes, 6));
    mac = TARN_SPAN_ARRAY(config->netif->mac);
    TARN_ASSERT(tarn_span_copy(&mac, eth->link.mac, 6));
    eth->netif = config->netif;
    eth->vlan = config->vlan;
    eth->tx_cap = tx_cap;
    eth->link.ops = &ethernet_link_ops;
    eth->link.mtu = config->netif->mtu;
    eth->link.features = config->netif->features;
    eth->link.has_mac = true;
    tarn_hash_key_init(&eth->key, config->random);
    enum tarn_err err = make_tables(eth, config);
    if (!err)
        *out = eth;
    return err;
}

struct tarn_link *tarn_ethernet_link(struct tarn_ethernet *eth) {
    return &eth->link;
}

struct tarn_arp *tarn_ethernet_arp(struct tarn_ethernet *eth) {
    return eth->arp;
}

const struct tarn_ethernet_stats *tarn_ethernet_stats(const struct tarn_ethernet *eth) {
    return &eth->stats;
}

struct frame {
    struct tarn_mac dst, src;
    uint16_t type;
    size_t header_bytes;
};

/* The header, with the VLAN tag where there is one. False: counted. */
static bool parse(struct tarn_ethernet *eth, struct tarn_span s, struct frame *f) {
    size_t whole = s.len;
    uint16_t tag = 0;
    if (!tarn_span_copy(&s, f->dst.bytes, 6) || !tarn_span_copy(&s, f->src.bytes, 6)
        || !tarn_span_u16be(&s, &f->type)
        || (f->type == ETHERTYPE_VLAN
            && (!tarn_span_u16be(&s, &tag) || !tarn_span_u16be(&s, &f->type)))
        || s.len == 0) {
        eth->stats.drops_short++;
        return false;
    }
    f->header_bytes = whole - s.len;
    if ((tag & 0xfff) != eth->vlan) {
        eth->stats.drops_vlan++;
        return false;
    }
    return true;
}

static bool is_for_us(struct tarn_ethernet *eth, const struct frame *f,
                      struct tarn_link_meta *meta) {
    static const struct tarn_mac all = MAC_BROADCAST;
    if (mac_equal(&f->dst, &eth->mac)) {
        meta->cast = TARN_LINK_TO_US;
        return true;
    }
    if ((TARN_AT(f->dst.bytes, 0) & 1) == 0) {
        eth->stats.drops_destination++;
        return false;
    }
    if (mac_equal(&f->dst, &all)) {
        meta->cast = TARN_LINK_TO_ALL;
        eth->stats.rx_broadcast++;
        return true;
    }
    meta->cast = TARN_LINK_TO_GROUP;
    eth->stats.rx_multicast++;
    if (ethernet_is_joined(eth, &f->dst))
        return true;
    eth->stats.drops_group++;
    return false;
}

static void deliver(struct tarn_ethernet *eth, const struct tarn_link_meta *meta, unsigned version,
                    struct tarn_pkt *pkt, tarn_time now) {
    struct tarn_link_user *user = eth->link.user;
    if (version == 4)
        eth->stats.rx_ipv4++;
    else
        eth->stats.rx_ipv6++;
    if (user) {
        user->ops->input(user, meta, version, pkt, now);
    } else {
        eth->stats.drops_user++;
        tarn_pkt_free(pkt);
    }
}

void tarn_ethernet_input(struct tarn_ethernet *eth, struct tarn_pkt *pkt, tarn_time now) {
    struct tarn_link_meta meta;
    struct frame f;
    eth->stats.rx_frames++;
    if (!parse(eth, tarn_pkt_head(pkt), &f) || !is_for_us(eth, &f, &meta)) {
        tarn_pkt_free(pkt);
        return;
    }
    /* A group sends nothing, and what we sent ourselves must not come back as a neighbour's. */
    if ((TARN_AT(f.src.bytes, 0) & 1) || mac_equal(&f.src, &eth->mac)) {
        eth->stats.drops_source++;
        tarn_pkt_free(pkt);
        return;
    }
    struct tarn_span src = TARN_SPAN_ARRAY(f.src.bytes);
    TARN_ASSERT(tarn_span_copy(&src, meta.src_mac, 6) && tarn_pkt_pull(pkt, f.header_bytes));
    switch (f.type) {
    case ETHERTYPE_IPV4: deliver(eth, &meta, 4, pkt, now); break;
    case ETHERTYPE_IPV6: deliver(eth, &meta, 6, pkt, now); break;
    case ETHERTYPE_ARP:
        eth->stats.rx_arp++;
        tarn_arp_input(eth->arp, tarn_pkt_head(pkt), now);
        tarn_pkt_free(pkt);
        ethernet_drain_arp(eth, now);
        break;
    default:
        eth->stats.drops_type++;
        tarn_pkt_free(pkt);
        break;
    }
}

/* How many frames it was, or would have been, on the wire. */
static size_t frames_in(const struct tarn_pkt *pkt) {
    return pkt->gso_size ? (pkt->len + pkt->gso_size - 1) / pkt->gso_size : 1;
}

size_t tarn_ethernet_poll(struct tarn_ethernet *eth, size_t budget, tarn_time now) {
    struct tarn_pkt *batch[RX_BATCH];
    size_t total = 0;
    while (total < budget) {
        size_t want = TARN_MIN(budget - total, (size_t)RX_BATCH);
        size_t n = tarn_netif_recv(eth->netif, batch, want);
        TARN_ASSERT(n <= want);
        for (size_t i = 0; i < n; i++) {
            total += frames_in(TARN_AT(batch, i));
            tarn_ethernet_input(eth, TARN_AT(batch, i), now);
        }
        if (n == 0)
            break;
    }
    return total;
}

void tarn_ethernet_tick(struct tarn_ethernet *eth, tarn_time now) {
    tarn_arp_tick(eth->arp, now);
    ethernet_drain_arp(eth, now);
}

tarn_time tarn_ethernet_deadline(const struct tarn_ethernet *eth) {
    tarn_time at = tarn_arp_deadline(eth->arp);
    return eth->tx_count > 0 ? TARN_MIN(at, eth->tx_retry_at) : at;
}
