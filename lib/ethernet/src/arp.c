/* SPDX-License-Identifier: ISC */
#include "arp.h"

static void defaults(struct tarn_arp_config *c) {
    c->entries_max = c->entries_max ? c->entries_max : 512;
    c->addrs_max = c->addrs_max ? c->addrs_max : 8;
    c->queue_entry_max = c->queue_entry_max ? c->queue_entry_max : 8;
    c->queue_max = c->queue_max ? c->queue_max : 128;
    c->reachable = c->reachable ? c->reachable : TARN_SEC(60);
    c->retry = c->retry ? c->retry : TARN_SEC(1);
    c->negative = c->negative ? c->negative : TARN_SEC(3);
    c->requests_max = c->requests_max ? c->requests_max : 3;
}

static enum tarn_err make_tables(struct tarn_arp *arp) {
    const struct tarn_arp_config *c = &arp->config;
    arp->trust.max = c->entries_max;
    enum tarn_err err = tarn_pool_init(&arp->entries, c->alloc, sizeof(struct entry),
                                       _Alignof(struct entry), c->entries_max);
    if (!err)
        err = tarn_map_init(&arp->by_ip, c->alloc, c->entries_max);
    if (!err)
        err = tarn_timers_init(&arp->timers, c->alloc, c->entries_max);
    if (!err)
        err = tarn_timers_init(&arp->own_timers, c->alloc, c->addrs_max);
    /* One entry's packets, and a few more: what a single input or timer brings about. */
    arp->ring_cap = 4 * (c->queue_entry_max + 4);
    arp->ring = TARN_NEW_ARRAY(c->alloc, arp->ring_cap, struct tarn_arp_out);
    arp->own = TARN_NEW_ARRAY(c->alloc, c->addrs_max, struct own);
    return err || !arp->ring || !arp->own ? TARN_LIMIT : TARN_OK;
}

enum tarn_err tarn_arp_new(const struct tarn_arp_config *config, struct tarn_arp **out) {
    struct tarn_arp *arp = TARN_NEW(config->alloc, struct tarn_arp);
    if (!arp)
        return TARN_LIMIT;
    arp->config = *config;
    defaults(&arp->config);
    const struct tarn_arp_config *c = &arp->config;
    if (c->entries_max < 2 || c->entries_max > 1u << 24 || c->addrs_max > 64
        || c->queue_entry_max > 64 || c->requests_max > 255)
        return TARN_INVALID;
    struct tarn_span mac = TARN_SPAN_ARRAY(c->mac);
    TARN_ASSERT(tarn_span_copy(&mac, arp->mac.bytes, 6));
    tarn_hash_key_init(&arp->key, c->random);
    enum tarn_err err = make_tables(arp);
    if (!err)
        *out = arp;
    return err;
}

uint32_t arp_out_room(const struct tarn_arp *arp) {
    return arp->ring_cap - arp->ring_count;
}

bool arp_out(struct tarn_arp *arp, const struct tarn_arp_out *out) {
    if (arp->ring_count == arp->ring_cap) {
        arp->stats.drops_queue++;
        tarn_pkt_free(out->pkt);
        return false;
    }
    uint32_t i = (arp->ring_first + arp->ring_count) % arp->ring_cap;
    TARN_AT_N(arp->ring, arp->ring_cap, i) = *out;
    arp->ring_count++;
    return true;
}

bool tarn_arp_next(struct tarn_arp *arp, struct tarn_arp_out *out) {
    if (arp->ring_count == 0)
        return false;
    *out = TARN_AT_N(arp->ring, arp->ring_cap, arp->ring_first);
    arp->ring_first = (arp->ring_first + 1) % arp->ring_cap;
    arp->ring_count--;
    return true;
}

bool arp_transmit(struct tarn_arp *arp, uint16_t op, uint32_t spa, const struct tarn_mac *tha,
                  uint32_t tpa, const struct tarn_mac *dst) {
    struct tarn_arp_out out = {.kind = TARN_ARP_SEND_ARP};
    struct tarn_span mac = TARN_SPAN_ARRAY(dst->bytes);
    out.pkt = tarn_pkt_alloc(arp->config.pkts, TARN_ARP_PACKET_BYTES);
    if (!out.pkt) {
        arp->stats.drops_memory++;
        return false;
    }
    struct tarn_writer w = tarn_writer_over(tarn_pkt_tailroom(out.pkt));
    tarn_writer_u16be(&w, 1);      /* Ethernet */
    tarn_writer_u16be(&w, 0x0800); /* IPv4 */
    tarn_writer_u8(&w, 6);
    tarn_writer_u8(&w, 4);
    tarn_writer_u16be(&w, op);
    tarn_writer_mem(&w, arp->mac.bytes, 6);
    tarn_writer_u32be(&w, spa);
    tarn_writer_mem(&w, tha->bytes, 6);
    tarn_writer_u32be(&w, tpa);
    tarn_pkt_grow(out.pkt, TARN_ARP_PACKET_BYTES);
    TARN_ASSERT(tarn_span_copy(&mac, out.mac, 6));
    return arp_out(arp, &out);
}

/* RFC 826, "Packet Reception": the fields in the order in which it asks for them. */
static bool parse(struct tarn_span s, struct arp_packet *p) {
    static const struct tarn_mac none;
    uint16_t htype, ptype;
    uint8_t hlen, plen;
    if (!tarn_span_u16be(&s, &htype) || htype != 1 || !tarn_span_u16be(&s, &ptype)
        || ptype != 0x0800 || !tarn_span_u8(&s, &hlen) || hlen != 6 || !tarn_span_u8(&s, &plen)
        || plen != 4)
        return false;
    if (!tarn_span_u16be(&s, &p->op) || !tarn_span_copy(&s, p->sha.bytes, 6)
        || !tarn_span_u32be(&s, &p->spa) || !tarn_span_copy(&s, p->tha.bytes, 6)
        || !tarn_span_u32be(&s, &p->tpa))
        return false;
    /* A group is nobody's hardware address, and a neighbour's address is a unicast one. */
    return (p->op == ARP_REQUEST || p->op == ARP_REPLY) && (TARN_AT(p->sha.bytes, 0) & 1) == 0
           && !mac_equal(&p->sha, &none) && p->spa < 0xe0000000u && p->spa >> 24 != 127;
}

void tarn_arp_input(struct tarn_arp *arp, struct tarn_span packet, tarn_time now) {
    struct arp_packet p;
    if (!parse(packet, &p)) {
        arp->stats.drops_malformed++;
        return;
    }
    if (p.op == ARP_REQUEST)
        arp->stats.requests_in++;
    else
        arp->stats.replies_in++;
    if (mac_equal(&p.sha, &arp->mac))
        return; /* our own, come back by a loop or a promiscuous tap */
    if (arp_own_conflict(arp, &p, now))
        return;
    const struct own *own = arp_own_find(arp, p.tpa);
    bool to_us = own && own->state == OWN_READY;
    /* A probe has no sender to learn (RFC 5227 section 1.1). */
    if (p.spa != 0)
        arp_cache_hear(arp, &p, to_us, now);
    if (to_us && p.op == ARP_REQUEST && arp_transmit(arp, ARP_REPLY, p.tpa, &p.sha, p.spa, &p.sha))
        arp->stats.replies_out++;
}

void tarn_arp_tick(struct tarn_arp *arp, tarn_time now) {
    arp_own_tick(arp, now);
    arp_cache_tick(arp, now);
}

tarn_time tarn_arp_deadline(const struct tarn_arp *arp) {
    return TARN_MIN(tarn_timers_next(&arp->timers), tarn_timers_next(&arp->own_timers));
}

void tarn_arp_stats(const struct tarn_arp *arp, struct tarn_arp_stats *out) {
    *out = arp->stats;
    out->entries = arp->entries.live;
    out->proven = arp->trust.proven.count;
    out->waiting_pkts = arp->waiting_pkts;
}
