/* SPDX-License-Identifier: ISC */
#ifndef TARN_ARP_INTERNAL_H
#define TARN_ARP_INTERNAL_H

#include <tarn/arp.h>
#include <tarn/hash.h>
#include <tarn/lru.h>
#include <tarn/timer.h>

struct tarn_mac {
    uint8_t bytes[6];
};
#define MAC_BROADCAST ((struct tarn_mac){{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}})
static inline bool mac_equal(const struct tarn_mac *a, const struct tarn_mac *b) {
    return tarn_span_equal(TARN_SPAN_ARRAY(a->bytes), TARN_SPAN_ARRAY(b->bytes));
}

enum { ARP_REQUEST = 1, ARP_REPLY = 2 };

/* A packet on the wire, once its fixed fields are known to be right. Addresses in host order. */
struct arp_packet {
    uint16_t op;
    struct tarn_mac sha, tha;
    uint32_t spa, tpa;
};

enum entry_state {
    ENTRY_INCOMPLETE, /* asked everybody; packets wait */
    ENTRY_REACHABLE,  /* answered not long ago */
    ENTRY_STALE,      /* answered once, or spoke to us: asked again when used */
    ENTRY_PROBE,      /* asked itself; used meanwhile */
    ENTRY_FAILED,     /* did not answer */
};

struct entry {
    struct tarn_map_link link;
    struct tarn_timer timer;
    struct tarn_trust_link trust;
    uint32_t ip;
    struct tarn_mac mac;
    uint8_t state, tries;
    struct tarn_pkt_queue waiting;
};

enum own_state { OWN_NONE, OWN_PROBING, OWN_READY };
struct own {
    struct tarn_timer timer;
    uint32_t ip;
    uint8_t state;
    bool probed;   /* given up rather than defended for good */
    uint8_t left;  /* probes or announcements still to be sent */
    bool waiting;  /* all probes are sent: the last wait before use */
    bool defended; /* at `defended_at` */
    tarn_time defended_at;
};

struct tarn_arp {
    struct tarn_arp_config config;
    struct tarn_mac mac;
    struct tarn_hash_key key;
    struct tarn_pool entries;
    struct tarn_map by_ip;
    struct tarn_timers timers; /* of entries */
    struct tarn_timers own_timers;
    struct tarn_trust trust;   /* who goes first */
    struct entry *last;        /* the one found last: most packets go to one router */
    struct own *own;           /* addrs_max of them */
    struct tarn_arp_out *ring; /* what comes out next */
    uint32_t ring_count, ring_first, ring_cap;
    uint32_t waiting_pkts;
    struct tarn_arp_stats stats;
};

/* arp_cache.c */
void arp_cache_hear(struct tarn_arp *arp, const struct arp_packet *p, bool to_us, tarn_time now);
void arp_cache_tick(struct tarn_arp *arp, tarn_time now);

/* arp_own.c */
struct own *arp_own_find(struct tarn_arp *arp, uint32_t ip);
/* Looks for a conflict with an own address. True: there is one, and the packet is to be forgotten.
 */
bool arp_own_conflict(struct tarn_arp *arp, const struct arp_packet *p, tarn_time now);
void arp_own_tick(struct tarn_arp *arp, tarn_time now);
/* A sender address for requests: the own address in use that is nearest to `target`, or 0. */
uint32_t arp_own_source(const struct tarn_arp *arp, uint32_t target);

/* arp.c */
/* How many more things the ring takes. */
uint32_t arp_out_room(const struct tarn_arp *arp);
/* False: the ring was full, and the packet has been freed. */
bool arp_out(struct tarn_arp *arp, const struct tarn_arp_out *out);
/* Sends an ARP packet. False: no packet, or no room. */
bool arp_transmit(struct tarn_arp *arp, uint16_t op, uint32_t spa, const struct tarn_mac *tha,
                  uint32_t tpa, const struct tarn_mac *dst);

#endif
