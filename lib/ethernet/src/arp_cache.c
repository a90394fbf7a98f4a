/* SPDX-License-Identifier: ISC */
#include "arp.h"

/* -- the table -- */

static uint64_t hash_of(const struct tarn_arp *arp, uint32_t ip) {
    return tarn_hash(&arp->key, tarn_span_of(&ip, sizeof ip));
}

static struct entry *find(struct tarn_arp *arp, uint32_t ip) {
    if (arp->last && arp->last->ip == ip)
        return arp->last;
    struct tarn_map_link *l = tarn_map_first(&arp->by_ip, hash_of(arp, ip));
    for (; l; l = tarn_map_following(l)) {
        struct entry *e = TARN_CONTAINER_OF(l, struct entry, link);
        if (e->ip == ip)
            return arp->last = e;
    }
    return NULL;
}

/* Hands over what waited for the neighbour: to it, or back. */
static void release(struct tarn_arp *arp, struct entry *e, enum tarn_arp_out_kind kind) {
    struct tarn_pkt *pkt;
    while ((pkt = tarn_pkt_queue_pop(&e->waiting))) {
        struct tarn_arp_out out = {.kind = kind, .pkt = pkt};
        struct tarn_span mac = TARN_SPAN_ARRAY(e->mac.bytes);
        arp->waiting_pkts--;
        out.addr = tarn_ip_addr_from_v4(e->ip);
        TARN_ASSERT(tarn_span_copy(&mac, out.mac, 6));
        (void)arp_out(arp, &out);
    }
}

static void forget(struct tarn_arp *arp, struct entry *e) {
    arp->waiting_pkts -= e->waiting.count;
    arp->stats.drops_queue += e->waiting.count;
    tarn_pkt_queue_clear(&e->waiting);
    tarn_timer_clear(&arp->timers, &e->timer);
    tarn_map_remove(&arp->by_ip, &e->link);
    tarn_trust_remove(&arp->trust, &e->trust);
    if (arp->last == e)
        arp->last = NULL;
    tarn_pool_put(&arp->entries, e);
}

static struct entry *add(struct tarn_arp *arp, uint32_t ip) {
    struct tarn_trust_link *victim = tarn_trust_victim(&arp->trust);
    if (victim) {
        arp->stats.evictions++;
        forget(arp, TARN_CONTAINER_OF(victim, struct entry, trust));
    }
    struct entry *e = tarn_pool_take(&arp->entries);
    TARN_ASSERT(e);
    *e = (struct entry){.ip = ip};
    tarn_trust_add(&arp->trust, &e->trust);
    tarn_map_insert(&arp->by_ip, &e->link, hash_of(arp, ip));
    return e;
}

/* -- the state machine -- */

static void ask(struct tarn_arp *arp, struct entry *e, tarn_time now) {
    static const struct tarn_mac unknown;
    struct tarn_mac dst = e->state == ENTRY_PROBE ? e->mac : MAC_BROADCAST;
    e->tries++;
    if (arp_transmit(arp, ARP_REQUEST, arp_own_source(arp, e->ip), &unknown, e->ip, &dst))
        arp->stats.requests_out++;
    tarn_timer_set(&arp->timers, &e->timer, tarn_time_after(now, arp->config.retry));
}

static void start_asking(struct tarn_arp *arp, struct entry *e, enum entry_state state,
                         tarn_time now) {
    e->state = (uint8_t)state;
    e->tries = 0;
    ask(arp, e, now);
}

/* The neighbour answered a request of ours. */
static void confirm(struct tarn_arp *arp, struct entry *e, const struct tarn_mac *mac,
                    tarn_time now) {
    arp->stats.resolved += e->state == ENTRY_INCOMPLETE;
    e->mac = *mac;
    e->state = ENTRY_REACHABLE;
    tarn_timer_set(&arp->timers, &e->timer, tarn_time_after(now, arp->config.reachable));
    if (!e->trust.proven)
        tarn_trust_set(&arp->trust, &e->trust, true);
    release(arp, e, TARN_ARP_SEND_IP);
}

/* It spoke to us and answered nothing: what comes next asks it itself. */
static void believe(struct tarn_arp *arp, struct entry *e, const struct tarn_mac *mac) {
    e->mac = *mac;
    e->state = ENTRY_STALE;
    tarn_timer_clear(&arp->timers, &e->timer);
    release(arp, e, TARN_ARP_SEND_IP);
}

/* What a packet says about its sender, whom we know. */
static void hear_known(struct tarn_arp *arp, struct entry *e, const struct arp_packet *p,
                       bool to_us, tarn_time now) {
    bool same = mac_equal(&e->mac, &p->sha);
    bool answer = p->op == ARP_REPLY && to_us;
    switch (e->state) {
    case ENTRY_INCOMPLETE:
        if (answer)
            confirm(arp, e, &p->sha, now);
        else if (to_us)
            believe(arp, e, &p->sha);
        break;
    case ENTRY_PROBE:
        if (answer && same)
            confirm(arp, e, &p->sha, now);
        else if (!same)
            arp->stats.overwrites++;
        break;
    case ENTRY_FAILED: believe(arp, e, &p->sha); break;
    default:
        if (!same && e->trust.proven) {
            /* Somebody else claims a neighbour that answered us: ask that one whether it is still
             * there; only its silence leads to asking everybody. */
            arp->stats.overwrites++;
            start_asking(arp, e, ENTRY_PROBE, now);
        } else if (!same) {
            e->mac = p->sha;
        }
        break;
    }
}

void arp_cache_hear(struct tarn_arp *arp, const struct arp_packet *p, bool to_us, tarn_time now) {
    struct entry *e = find(arp, p->spa);
    if (e) {
        hear_known(arp, e, p, to_us, now);
    } else if (to_us && p->op == ARP_REQUEST) {
        /* Who asks for us will be answered, and soon sent to (RFC 826's own reason to learn). */
        e = add(arp, p->spa);
        e->state = ENTRY_STALE;
        e->mac = p->sha;
    } else if (p->op == ARP_REPLY) {
        arp->stats.drops_unasked++;
    }
}

static void expire(struct tarn_arp *arp, struct entry *e, tarn_time now) {
    bool again = e->tries < arp->config.requests_max;
    switch (e->state) {
    case ENTRY_REACHABLE: e->state = ENTRY_STALE; return;
    case ENTRY_PROBE:
        if (again) {
            ask(arp, e, now);
        } else {
            tarn_trust_set(&arp->trust, &e->trust, false);
            start_asking(arp, e, ENTRY_INCOMPLETE, now);
        }
        return;
    case ENTRY_INCOMPLETE:
        if (again) {
            ask(arp, e, now);
        } else {
            arp->stats.failed++;
            e->state = ENTRY_FAILED;
            release(arp, e, TARN_ARP_UNREACHABLE);
            tarn_timer_set(&arp->timers, &e->timer, tarn_time_after(now, arp->config.negative));
        }
        return;
    default: forget(arp, e); return;
    }
}

void arp_cache_tick(struct tarn_arp *arp, tarn_time now) {
    struct tarn_timer *t;
    while (arp_out_room(arp) > arp->config.queue_entry_max
           && (t = tarn_timers_pop(&arp->timers, now)))
        expire(arp, TARN_CONTAINER_OF(t, struct entry, timer), now);
}

/* Keeps the packet until its neighbour answers. A full queue loses its oldest packet, since the
 * newest is the one that its sender still waits for (RFC 1122 section 2.3.2.2: at least one, the
 * latest). */
static enum tarn_err keep(struct tarn_arp *arp, struct entry *e, struct tarn_pkt *pkt) {
    bool full = e->waiting.count >= arp->config.queue_entry_max;
    if (full || (arp->waiting_pkts >= arp->config.queue_max && e->waiting.count > 0)) {
        arp->stats.drops_queue++;
        arp->waiting_pkts--;
        tarn_pkt_free(tarn_pkt_queue_pop(&e->waiting));
    }
    if (arp->waiting_pkts >= arp->config.queue_max) {
        arp->stats.drops_queue++;
        tarn_pkt_free(pkt);
        return TARN_LIMIT;
    }
    tarn_pkt_queue_push(&e->waiting, pkt);
    arp->waiting_pkts++;
    return TARN_AGAIN;
}

enum tarn_err tarn_arp_resolve(struct tarn_arp *arp, const struct tarn_ip_addr *addr,
                               struct tarn_pkt *pkt, uint8_t mac[6], tarn_time now) {
    uint32_t ip = tarn_ip_addr_v4(addr);
    struct entry *e = find(arp, ip);
    if (!e) {
        e = add(arp, ip);
        start_asking(arp, e, ENTRY_INCOMPLETE, now);
        return keep(arp, e, pkt);
    }
    tarn_trust_touch(&arp->trust, &e->trust);
    if (e->state == ENTRY_INCOMPLETE)
        return keep(arp, e, pkt);
    if (e->state == ENTRY_FAILED) {
        tarn_pkt_free(pkt);
        return TARN_IO;
    }
    if (e->state == ENTRY_STALE)
        start_asking(arp, e, ENTRY_PROBE, now);
    struct tarn_span known = TARN_SPAN_ARRAY(e->mac.bytes);
    TARN_ASSERT(tarn_span_copy(&known, mac, 6));
    return TARN_OK;
}
