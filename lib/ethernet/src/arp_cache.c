/* SPDX-License-Identifier: ISC */
#include "arp.h"

/* -- lists and the table -- */

static struct entry_list *list_of(struct tarn_arp *arp, const struct entry *e) {
    return e->proven ? &arp->proven : &arp->unproven;
}

static void list_remove(struct entry_list *list, struct entry *e) {
    if (e->newer)
        e->newer->older = e->older;
    else
        list->newest = e->older;
    if (e->older)
        e->older->newer = e->newer;
    else
        list->oldest = e->newer;
    e->newer = e->older = NULL;
    list->count--;
}

static void list_add(struct entry_list *list, struct entry *e) {
    e->newer = NULL;
    e->older = list->newest;
    if (list->newest)
        list->newest->newer = e;
    else
        list->oldest = e;
    list->newest = e;
    list->count++;
}

static void touch(struct tarn_arp *arp, struct entry *e) {
    struct entry_list *list = list_of(arp, e);
    if (list->newest == e)
        return;
    list_remove(list, e);
    list_add(list, e);
}

static void set_proven(struct tarn_arp *arp, struct entry *e, bool proven) {
    list_remove(list_of(arp, e), e);
    e->proven = proven;
    list_add(list_of(arp, e), e);
}

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
    list_remove(list_of(arp, e), e);
    if (arp->last == e)
        arp->last = NULL;
    tarn_pool_put(&arp->entries, e);
}

/* A new entry, unproven. Unproven ones may have half the table, and beyond that replace their own
 * oldest; the proven ones' oldest goes only while they have more than their half. */
static struct entry *add(struct tarn_arp *arp, uint32_t ip) {
    uint32_t unproven_max = arp->config.entries_max / 2;
    struct entry *victim = NULL;
    if (arp->unproven.count >= unproven_max)
        victim = arp->unproven.oldest;
    else if (arp->entries.live == arp->config.entries_max)
        victim = arp->proven.oldest;
    if (victim) {
        arp->stats.evictions++;
        forget(arp, victim);
    }
    struct entry *e = tarn_pool_take(&arp->entries);
    TARN_ASSERT(e);
    *e = (struct entry){.ip = ip};
    list_add(&arp->unproven, e);
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
    if (!e->proven)
        set_proven(arp, e, true);
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
        if (!same && e->proven) {
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
            set_proven(arp, e, false);
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
    touch(arp, e);
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
