/* SPDX-License-Identifier: ISC */
/* Own addresses: probed, announced and defended. The constants are RFC 5227's, section 1.1. */
#include "arp.h"

#define PROBE_WAIT TARN_SEC(1)
#define PROBE_NUM 3
#define PROBE_MIN TARN_SEC(1)
#define PROBE_MAX TARN_SEC(2)
#define ANNOUNCE_WAIT TARN_SEC(2)
#define ANNOUNCE_NUM 2
#define ANNOUNCE_INTERVAL TARN_SEC(2)
#define DEFEND_INTERVAL TARN_SEC(10)

static tarn_time random_between(struct tarn_arp *arp, tarn_time min, tarn_time max) {
    return min + tarn_random_u64(arp->config.random) % (max - min + 1);
}

struct own *arp_own_find(struct tarn_arp *arp, uint32_t ip) {
    for (uint32_t i = 0; i < arp->config.addrs_max; i++) {
        struct own *own = &TARN_AT_N(arp->own, arp->config.addrs_max, i);
        if (own->state != OWN_NONE && own->ip == ip)
            return own;
    }
    return NULL;
}

uint32_t arp_own_source(const struct tarn_arp *arp, uint32_t target) {
    uint32_t best = 0, best_diff = UINT32_MAX;
    for (uint32_t i = 0; i < arp->config.addrs_max; i++) {
        const struct own *own = &TARN_AT_N(arp->own, arp->config.addrs_max, i);
        /* The one that shares the longest prefix is the one on the target's subnet. */
        if (own->state == OWN_READY && (own->ip ^ target) <= best_diff) {
            best = own->ip;
            best_diff = own->ip ^ target;
        }
    }
    return best;
}

static void tell(struct tarn_arp *arp, const struct own *own, enum tarn_link_addr_event event,
                 const struct tarn_mac *mac) {
    struct tarn_arp_out out = {
        .kind = TARN_ARP_ADDR, .addr = tarn_ip_addr_from_v4(own->ip), .event = event};
    struct tarn_span other = TARN_SPAN_ARRAY(mac->bytes);
    TARN_ASSERT(tarn_span_copy(&other, out.mac, 6));
    (void)arp_out(arp, &out);
}

static void announce(struct tarn_arp *arp, const struct own *own) {
    static const struct tarn_mac none;
    struct tarn_mac all = MAC_BROADCAST;
    if (arp_transmit(arp, ARP_REQUEST, own->ip, &none, own->ip, &all))
        arp->stats.announcements_out++;
}

static void take_into_use(struct tarn_arp *arp, struct own *own, tarn_time now) {
    own->state = OWN_READY;
    own->left = ANNOUNCE_NUM - 1;
    announce(arp, own);
    tarn_timer_set(&arp->own_timers, &own->timer, tarn_time_after(now, ANNOUNCE_INTERVAL));
}

static void start(struct tarn_arp *arp, struct own *own, uint32_t ip, bool probe, tarn_time now) {
    *own = (struct own){.ip = ip, .probed = probe};
    if (!probe) {
        take_into_use(arp, own, now);
        return;
    }
    own->state = OWN_PROBING;
    own->left = PROBE_NUM;
    tarn_timer_set(&arp->own_timers, &own->timer,
                   tarn_time_after(now, random_between(arp, 0, PROBE_WAIT)));
}

enum tarn_err tarn_arp_addr_add(struct tarn_arp *arp, const struct tarn_ip_addr *addr, bool probe,
                                tarn_time now) {
    if (!tarn_ip_addr_is_v4(addr) || tarn_ip_addr_is_any(addr) || tarn_ip_addr_is_multicast(addr)
        || tarn_ip_addr_v4(addr) == UINT32_MAX)
        return TARN_INVALID;
    uint32_t ip = tarn_ip_addr_v4(addr);
    if (arp_own_find(arp, ip))
        return TARN_OK;
    for (uint32_t i = 0; i < arp->config.addrs_max; i++) {
        struct own *own = &TARN_AT_N(arp->own, arp->config.addrs_max, i);
        if (own->state == OWN_NONE) {
            start(arp, own, ip, probe, now);
            return TARN_OK;
        }
    }
    return TARN_LIMIT;
}

static void drop_own(struct tarn_arp *arp, struct own *own) {
    tarn_timer_clear(&arp->own_timers, &own->timer);
    own->state = OWN_NONE;
}

void tarn_arp_addr_remove(struct tarn_arp *arp, const struct tarn_ip_addr *addr) {
    struct own *own = tarn_ip_addr_is_v4(addr) ? arp_own_find(arp, tarn_ip_addr_v4(addr)) : NULL;
    if (own)
        drop_own(arp, own);
}

bool arp_own_conflict(struct tarn_arp *arp, const struct arp_packet *p, tarn_time now) {
    /* Another host's use of the address; while we probe, its wish for it too (section 2.1.1). */
    struct own *own = p->spa ? arp_own_find(arp, p->spa) : NULL;
    if (p->spa == 0 && p->op == ARP_REQUEST) {
        own = arp_own_find(arp, p->tpa);
        if (own && own->state != OWN_PROBING)
            own = NULL;
    }
    if (!own)
        return false;
    arp->stats.conflicts++;
    bool recent = own->defended && now - own->defended_at < DEFEND_INTERVAL;
    if (own->state == OWN_PROBING || (own->probed && recent)) {
        tell(arp, own, TARN_LINK_ADDR_CONFLICT, &p->sha);
        drop_own(arp, own);
        return true;
    }
    /* Never more than one defence in an interval, or two hosts would defend forever (2.4 (c)). */
    if (!recent) {
        own->defended = true;
        own->defended_at = now;
        announce(arp, own);
        tell(arp, own, TARN_LINK_ADDR_DEFENDED, &p->sha);
    }
    return true;
}

static void own_expire(struct tarn_arp *arp, struct own *own, tarn_time now) {
    static const struct tarn_mac none;
    struct tarn_mac all = MAC_BROADCAST;
    if (own->state == OWN_READY) {
        announce(arp, own);
        if (--own->left > 0)
            tarn_timer_set(&arp->own_timers, &own->timer, tarn_time_after(now, ANNOUNCE_INTERVAL));
        return;
    }
    if (own->waiting) {
        take_into_use(arp, own, now);
        tell(arp, own, TARN_LINK_ADDR_READY, &none);
        return;
    }
    if (arp_transmit(arp, ARP_REQUEST, 0, &none, own->ip, &all))
        arp->stats.probes_out++;
    own->waiting = --own->left == 0;
    tarn_time wait = own->waiting ? ANNOUNCE_WAIT : random_between(arp, PROBE_MIN, PROBE_MAX);
    tarn_timer_set(&arp->own_timers, &own->timer, tarn_time_after(now, wait));
}

void arp_own_tick(struct tarn_arp *arp, tarn_time now) {
    struct tarn_timer *t;
    while (arp_out_room(arp) > 4 && (t = tarn_timers_pop(&arp->own_timers, now)))
        own_expire(arp, TARN_CONTAINER_OF(t, struct own, timer), now);
}
