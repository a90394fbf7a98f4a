/* SPDX-License-Identifier: ISC */
#ifndef TARN_IP_INTERNAL_H
#define TARN_IP_INTERNAL_H

#include <tarn/csum.h>
#include <tarn/hash.h>
#include <tarn/ip.h>
#include <tarn/timer.h>

/* -- addresses as numbers -- */

/* 128 bits in host order: what prefixes are compared in. */
struct key {
    uint64_t hi, lo;
};
struct key key_of(const struct tarn_ip_addr *addr);
/* A prefix length of the address's own family, in the 128 bits. */
static inline unsigned bits_of(const struct tarn_ip_prefix *p) {
    return p->bits + (tarn_ip_addr_is_v4(&p->addr) ? 96u : 0u);
}
bool key_matches(const struct key *a, const struct key *b, unsigned bits);
/* How many leading bits are equal. */
unsigned key_common(const struct key *a, const struct key *b);

/* -- the routing table: a path-compressed binary trie (route.c) -- */

struct route {
    struct tarn_ip_route_entry entry;
    bool connected;     /* of an own address's prefix */
    uint32_t uses;      /* connected: how many addresses have it */
    struct route *next; /* same prefix, higher metric */
};
struct node {
    struct key key;
    unsigned bits;
    struct node *child[2];
    struct route *routes; /* NULL: only a fork */
};
struct routes {
    struct node *root;
    struct tarn_pool nodes, pool;
};
enum tarn_err routes_init(struct routes *t, struct tarn_alloc *alloc, uint32_t max);
enum tarn_err routes_add(struct routes *t, const struct tarn_ip_route_entry *e, bool connected);
enum tarn_err routes_remove(struct routes *t, const struct tarn_ip_route_entry *e, bool connected);
/* The best route, or NULL; `iface` 0 or 1 + the only interface that will do. */
const struct route *routes_find(const struct routes *t, const struct tarn_ip_addr *dst,
                                unsigned iface);

/* -- own addresses and groups (addr.c) -- */

struct iface;
struct own {
    struct tarn_map_link link; /* by address */
    struct own *next;          /* of the interface */
    struct iface *iface;
    struct tarn_ip_prefix prefix;
    struct tarn_ip_addr broadcast; /* IPv4 with a prefix under 31 bits; else any */
    uint8_t state;
};
struct group {
    struct tarn_map_link link;
    struct tarn_ip_addr addr;
    struct iface *iface;
    uint32_t joins;
};
struct iface {
    struct tarn_link_user user;
    struct tarn_ip *ip;
    struct tarn_link *link;
    uint8_t index;
    uint16_t mtu;
    struct own *addrs;
};

/* -- path MTU (pmtu.c) -- */

struct path_mtu {
    struct tarn_map_link link;
    struct path_mtu *newer, *older;
    struct tarn_ip_addr dst;
    uint16_t mtu;
    tarn_time expires;
};
struct path_mtus {
    struct tarn_pool pool;
    struct tarn_map by_dst;
    struct path_mtu *newest, *oldest;
};

/* -- reassembly (reass.c) -- */

struct reass_key {
    struct tarn_ip_addr src, dst;
    uint32_t id;
    uint16_t iface, proto;
};
struct piece {
    struct piece *next;
    struct tarn_pkt *pkt; /* at the fragment's data */
    uint32_t off, len;
};
struct datagram {
    struct tarn_map_link link;
    struct tarn_timer timer;
    struct datagram *newer, *older;
    struct reass_key key;
    struct piece *first, *last;   /* by offset */
    uint32_t pieces, have, total; /* total 0: the last fragment has not come */
    uint16_t header_bytes;        /* of the first fragment, in front of its data */
    uint8_t cast;
    bool dead; /* overlapped: kept so that what still comes dies too (RFC 5722 section 4) */
};
struct reass {
    struct tarn_pool datagrams, pieces;
    struct tarn_map by_key;
    struct datagram *newest, *oldest;
    size_t bytes;
};

#define ID_COUNTERS 256u

struct tarn_ip {
    struct tarn_ip_lower lower;
    struct tarn_ip_config config;
    struct tarn_hash_key key;
    struct iface ifaces[TARN_IP_IFACES_MAX];
    unsigned iface_count;
    struct tarn_ip_upper *uppers[256];
    struct tarn_pool owns, groups;
    struct tarn_map own_by_addr, group_by_addr;
    struct routes routes;
    struct path_mtus path_mtus;
    struct reass reass;
    struct tarn_timers timers;  /* of datagrams */
    struct tarn_pkt_queue loop; /* packets to ourselves, at their IP header */
    struct tarn_ip_watch *watches;
    uint32_t ids[ID_COUNTERS];
    tarn_time icmp_refilled;
    uint32_t icmp_tokens;
    tarn_time now; /* of the last call that had one: for path MTU expiry in route() */
    struct tarn_ip_stats stats;
};

static inline struct iface *iface_at(struct tarn_ip *ip, unsigned i) {
    return i < ip->iface_count ? &TARN_AT(ip->ifaces, i) : NULL;
}

/* addr.c */
enum tarn_err addr_init(struct tarn_ip *ip);
struct own *own_find(const struct tarn_ip *ip, const struct tarn_ip_addr *addr,
                     const struct iface *iface); /* iface NULL: of any */
bool own_is_usable(const struct own *own);
bool group_is_joined(const struct tarn_ip *ip, const struct tarn_ip_addr *group,
                     const struct iface *iface);
enum tarn_err group_join(struct tarn_ip *ip, struct iface *iface, const struct tarn_ip_addr *group,
                         bool add);
bool is_broadcast(const struct iface *iface, const struct tarn_ip_addr *addr);
void addr_event(struct tarn_link_user *user, const struct tarn_ip_addr *addr,
                enum tarn_link_addr_event event, const uint8_t mac[6], tarn_time now);

/* path.c: how a datagram would go */
struct path {
    struct iface *iface;
    struct tarn_ip_addr src, next_hop;
    enum tarn_link_dst_kind kind;
    bool local; /* to ourselves */
};
enum tarn_err path_find(struct tarn_ip *ip, unsigned bound, const struct tarn_ip_addr *src,
                        const struct tarn_ip_addr *dst, struct path *out);
enum tarn_err path_route(struct tarn_ip_lower *lower, const struct tarn_ip_addr *src,
                         const struct tarn_ip_addr *dst, struct tarn_ip_route *out);

/* pmtu.c */
enum tarn_err pmtu_init(struct tarn_ip *ip);
uint16_t pmtu_get(struct tarn_ip *ip, const struct tarn_ip_addr *dst, uint16_t link_mtu);
void pmtu_set(struct tarn_ip *ip, const struct tarn_ip_addr *dst, uint16_t mtu, tarn_time now);

/* reass.c */
enum tarn_err reass_init(struct tarn_ip *ip);
/* A fragment: `pkt` is at its data, `header_bytes` of headers in front of it. The whole datagram,
 * with the first fragment's headers in front as they were, or NULL. */
struct tarn_pkt *reass_add(struct tarn_ip *ip, const struct reass_key *key, uint32_t off, bool more,
                           uint16_t header_bytes, uint8_t cast, struct tarn_pkt *pkt,
                           uint16_t *first_header_bytes, tarn_time now);
void reass_tick(struct tarn_ip *ip, tarn_time now);

/* fragment.c */
/* The payload bytes [off, off + n) of `pkt` behind a header to be prepended: lent where they were
 * lent, copied where they lie in the head. NULL: no packet. */
struct tarn_pkt *fragment_slice(struct tarn_pkt_pool *pool, const struct tarn_pkt *pkt, size_t off,
                                size_t n);
uint32_t fragment_id(struct tarn_ip *ip, const struct tarn_ip_meta *meta, uint32_t count);

/* ipv4.c, ipv4_out.c */
enum { IPV4_HEADER_BYTES = 20, IPV4_DF = 0x4000, IPV4_MF = 0x2000 };
struct ipv4_header {
    uint8_t header_bytes, tos, ttl, proto;
    uint16_t total, id, frag;
    struct tarn_ip_addr src, dst;
};
TARN_MUST_USE bool ipv4_parse(struct tarn_span s, struct ipv4_header *h);
/* iface NULL: from ourselves. */
void ipv4_input(struct tarn_ip *ip, struct iface *iface, const struct tarn_link_meta *meta,
                struct tarn_pkt *pkt, tarn_time now);
enum tarn_err ipv4_send(struct tarn_ip *ip, const struct tarn_ip_meta *meta, struct tarn_pkt *pkt,
                        tarn_time now);

/* icmpv4.c */
enum icmpv4_type {
    ICMPV4_ECHO_REPLY = 0,
    ICMPV4_UNREACHABLE = 3,
    ICMPV4_ECHO = 8,
    ICMPV4_TIME_EXCEEDED = 11,
    ICMPV4_PARAMETER = 12,
};
void icmpv4_input(struct tarn_ip *ip, struct iface *iface, const struct tarn_ip_meta *meta,
                  struct tarn_pkt *pkt, tarn_time now);
/* Answers the packet, which starts at its IP header and stays the caller's, where that is allowed.
 */
void icmpv4_error(struct tarn_ip *ip, const struct tarn_pkt *about, uint8_t type, uint8_t code,
                  uint32_t rest, tarn_time now);

/* ip.c */
void ip_deliver(struct tarn_ip *ip, struct tarn_ip_upper *upper, const struct tarn_ip_meta *meta,
                struct tarn_pkt *pkt, tarn_time now);
void ip_loop(struct tarn_ip *ip, struct tarn_pkt *pkt);
/* One error message may go out now (RFC 1812 section 4.3.2.8, RFC 4443 section 2.4 (f)). */
bool ip_icmp_allowed(struct tarn_ip *ip, tarn_time now);
void ip_changed(struct tarn_ip *ip); /* wakes the watches */
enum tarn_err ip_link_send(struct tarn_ip *ip, struct iface *iface, const struct path *path,
                           struct tarn_pkt *pkt, tarn_time now);

#endif
