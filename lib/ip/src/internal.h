/* SPDX-License-Identifier: ISC */
#ifndef TARN_IP_INTERNAL_H
#define TARN_IP_INTERNAL_H

#include <tarn/csum.h>
#include <tarn/hash.h>
#include <tarn/ip.h>
#include <tarn/lru.h>
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
/* How many leading bits are equal. */
unsigned key_common(const struct key *a, const struct key *b);

/* -- the routing table: prefixes in a hash table, searched by halves over their lengths (route.c)
 * -- */

struct route {
    struct tarn_ip_route_entry entry;
    bool connected;     /* of an own address's prefix */
    uint32_t uses;      /* connected: how many addresses have it */
    struct route *next; /* same prefix, higher metric */
};
/* A prefix with routes, or a marker that longer ones left, or both. */
struct prefix {
    struct tarn_map_link link;
    struct key key;
    uint8_t bits;
    uint32_t longer; /* prefixes that this is a marker of */
    struct route *routes;
    struct prefix *best; /* a marker's: the longest prefix with routes around it ... */
    uint64_t best_at;    /* ... when the table had changed that often */
};
struct routes {
    struct tarn_hash_key key;
    struct tarn_pool entries, pool;
    struct tarn_map by_prefix;
    uint32_t count[129], real[129]; /* entries of each length; those with routes */
    uint64_t changes;
};
enum tarn_err routes_init(struct routes *t, struct tarn_alloc *alloc, struct tarn_random *random,
                          uint32_t max);
enum tarn_err routes_add(struct routes *t, const struct tarn_ip_route_entry *e, bool connected);
enum tarn_err routes_remove(struct routes *t, const struct tarn_ip_route_entry *e, bool connected);
/* The best route, or NULL; `iface` 0 or 1 + the only interface that will do. */
const struct route *routes_find(const struct routes *t, const struct tarn_ip_addr *dst,
                                unsigned iface);

/* -- own addresses and groups (addr.c) -- */

struct iface;
enum own_origin { OWN_MANUAL, OWN_LINK_LOCAL, OWN_STABLE, OWN_TEMPORARY };
struct own {
    struct tarn_map_link link; /* by address */
    struct tarn_timer timer;   /* IPv6: duplicate address detection, then the lifetimes */
    struct own *next;          /* of the interface */
    struct iface *iface;
    struct tarn_ip_prefix prefix;
    struct tarn_ip_addr broadcast; /* IPv4 with a prefix under 31 bits; else any */
    uint8_t state, origin;
    uint8_t dad_left;    /* solicitations still to be sent */
    uint8_t dad_counter; /* addresses of this prefix that were taken (RFC 7217 section 5) */
    bool routed;         /* its prefix is on the link */
    bool succeeded;      /* temporary: the next one has been made */
    uint8_t nonce[6];    /* of our own solicitations (RFC 7527) */
    tarn_time preferred_until, valid_until;
};

/* -- multicast groups (group.c), and what routers are told of them (member.c) -- */

/* A sender that somebody named. */
struct source {
    struct source *next;
    struct tarn_ip_addr addr;
    uint32_t included, blocked; /* listeners who want it; who do not */
    uint8_t left;               /* reports that still tell of its last change */
    bool listed; /* in the interface's list, as far as reports have been told to say */
    bool asked;  /* by a query that waits for its answer */
};
struct group {
    struct tarn_map_link link;
    struct tarn_lru_link lru; /* of the interface's groups */
    struct tarn_timer timer;  /* the answer to a query about it */
    struct tarn_ip_addr addr;
    struct iface *iface;
    struct source *sources;
    uint32_t source_count;
    uint32_t joins, excludes; /* listeners; those who hear everybody but some */
    bool include;             /* its mode, as `listed`: with no listener it is true */
    uint8_t left;             /* reports that still tell of its last change of mode */
    bool changed;             /* since `include` and `listed` were set */
    bool some;                /* the query that waits is about the asked sources only */
    bool silent;              /* never reported */
};
enum member_version { MEMBER_V1, MEMBER_V2, MEMBER_V3 }; /* IGMP's; MLD has the last two */
struct member {
    struct iface *iface;
    struct tarn_timer general; /* the answer to a query about all groups */
    struct tarn_timer change;  /* the next report of what has changed */
    tarn_time v1_until, v2_until, interval;
    uint8_t robustness;
    bool v4;
};

/* -- what routers say about names (ra_dns.c) -- */

#define RA_NAME_BYTES 128 /* of a domain as text, its NUL included */
struct ra_dns {
    struct tarn_timer timer; /* when one of them goes */
    struct ra_server {
        struct tarn_ip_addr addr;
        tarn_time until; /* 0: none */
    } servers[TARN_IP_DNS_MAX];
    struct ra_domain {
        char name[RA_NAME_BYTES];
        tarn_time until;
    } domains[TARN_IP_DNS_MAX];
};

struct iface {
    struct tarn_link_user user;
    struct tarn_ip *ip;
    struct tarn_link *link;
    uint8_t index;
    bool stands_in; /* for any address that is not ours */
    bool redirects; /* are followed */
    uint16_t mtu;
    struct own *addrs;
    struct tarn_pkt_queue loop; /* packets to ourselves, at their IP header */
    struct tarn_lru groups;
    struct member igmp, mld;
    /* IPv6 */
    struct tarn_timer timer; /* router solicitation */
    bool ipv6, slaac, temporary;
    uint8_t solicits_left, hops, ra_flags;
    uint16_t mtu6;
    tarn_time reachable, retrans;
    struct ra_dns dns;
};

/* -- IPv6 neighbours (ndp.c), routers and prefixes (ra.c) -- */

enum neigh_state {
    NEIGH_INCOMPLETE,
    NEIGH_REACHABLE,
    NEIGH_STALE,
    NEIGH_DELAY,
    NEIGH_PROBE,
    NEIGH_FAILED
};
struct neigh {
    struct tarn_map_link link;
    struct tarn_timer timer;
    struct tarn_trust_link trust;
    struct tarn_ip_addr addr;
    struct iface *iface;
    uint8_t mac[6];
    uint8_t state, tries;
    bool router;
    struct tarn_pkt_queue waiting;
};
/* A default router, or a prefix on the link, for as long as its advertisement holds. */
struct advertised {
    struct tarn_timer timer;
    struct tarn_ip_route_entry route;
    bool used;
};
#define ADVERTISED_MAX 32u
struct ndp {
    struct tarn_pool neighs;
    struct tarn_map by_addr;
    struct tarn_timers timers, own_timers, iface_timers, advertised_timers, dns_timers;
    struct tarn_trust trust; /* who goes first */
    struct neigh *last;
    struct advertised advertised[ADVERTISED_MAX];
    uint32_t waiting_pkts;
};

/* -- path MTU (pmtu.c) -- */

struct path_mtu {
    struct tarn_map_link link;
    struct tarn_lru_link lru;
    struct tarn_ip_addr dst;
    uint16_t mtu;
    tarn_time expires;
};
struct path_mtus {
    struct tarn_pool pool;
    struct tarn_map by_dst;
    struct tarn_lru lru; /* by when they were told */
};

/* -- redirects (redirect.c) -- */

struct redirect {
    struct tarn_map_link link;
    struct tarn_lru_link lru;
    const struct iface *iface;
    struct tarn_ip_addr dst, router; /* the route's router, which it corrects */
    struct tarn_ip_addr target;      /* the better one, or `dst` itself: it is on the link */
    tarn_time expires;
};
struct redirects {
    struct tarn_pool pool;
    struct tarn_map by_dst;
    struct tarn_lru lru; /* by when they came */
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
    struct tarn_lru_link lru;
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
    struct tarn_lru lru; /* by when they began */
    size_t bytes;
};

#define ID_COUNTERS 256u

struct tarn_ip {
    struct tarn_ip_lower lower;
    struct tarn_ip_config config;
    struct tarn_hash_key key;
    struct tarn_hash_key stable_key; /* of RFC 7217 */
    struct iface ifaces[TARN_IP_IFACES_MAX];
    unsigned iface_count;
    struct tarn_ip_upper *uppers[256];
    struct tarn_pool owns, groups, sources;
    struct tarn_map own_by_addr, group_by_addr;
    struct routes routes;
    struct path_mtus path_mtus;
    struct redirects redirects;
    struct reass reass;
    struct ndp ndp;
    struct tarn_timers timers; /* of datagrams */
    struct tarn_timers group_timers, general_timers, change_timers;
    bool groups_changed;
    uint32_t loop_count;                 /* packets that wait in the interfaces' */
    struct tarn_ip_forwarder *forwarder; /* NULL: a host */
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
bool is_broadcast(const struct iface *iface, const struct tarn_ip_addr *addr);
/* Whether `addr` is somebody else's, in whose place we speak on that interface. */
bool stands_in_for(const struct tarn_ip *ip, const struct iface *iface,
                   const struct tarn_ip_addr *addr);
void addr_event(struct tarn_link_user *user, const struct tarn_ip_addr *addr,
                enum tarn_link_addr_event event, const uint8_t mac[6], tarn_time now);

/* The address in its tables, with a route for its prefix where `routed`; and out of them. */
enum tarn_err own_insert(struct tarn_ip *ip, struct iface *iface,
                         const struct tarn_ip_prefix *prefix, bool routed, struct own **out);
void own_erase(struct tarn_ip *ip, struct own *own);
/* The same, with what the link has to know of it (dad.c). */
enum tarn_err own_new(struct tarn_ip *ip, struct iface *iface, const struct tarn_ip_prefix *prefix,
                      bool routed, struct own **out);
void own_remove(struct tarn_ip *ip, struct own *own, tarn_time now);

/* group.c */
enum tarn_err group_init(struct tarn_ip *ip);
struct group *group_find(const struct tarn_ip *ip, const struct iface *iface,
                         const struct tarn_ip_addr *addr);
bool group_is_joined(const struct tarn_ip *ip, const struct iface *iface,
                     const struct tarn_ip_addr *addr);
/* Whether it is, and somebody wants to hear that sender. */
bool group_hears(const struct tarn_ip *ip, const struct iface *iface,
                 const struct tarn_ip_addr *addr, const struct tarn_ip_addr *source);
enum tarn_err group_join(struct tarn_ip *ip, struct iface *iface, const struct tarn_ip_addr *addr,
                         const struct tarn_group_filter *filter, bool add);
/* The group's source of that address, made where there is none; NULL: no room. */
struct source *group_source(struct tarn_ip *ip, struct group *g, const struct tarn_ip_addr *addr);
/* Whether the interface's list has the source, as listeners are now. */
bool group_lists(const struct group *g, const struct source *s);
void group_clean(struct tarn_ip *ip, struct group *g);

/* member.c */
struct member_query {
    enum member_version version;
    struct tarn_ip_addr group; /* any: all of them */
    tarn_time response_max, interval;
    uint8_t robustness;
    uint16_t source_count;
    struct tarn_span sources;
};
enum tarn_err member_init(struct tarn_ip *ip);
void member_start(struct iface *iface);
void member_changed(struct tarn_ip *ip, struct group *g);
/* Reports all groups anew. */
void member_tell_again(struct tarn_ip *ip, struct member *m, tarn_time now);
void member_query(struct tarn_ip *ip, struct member *m, struct member_query *q, tarn_time now);
/* Somebody else has reported the group, in an old version. */
void member_other_report(struct tarn_ip *ip, struct member *m, const struct tarn_ip_addr *group,
                         tarn_time now);
void member_write_addr(struct tarn_writer *w, const struct tarn_ip_addr *addr);
uint32_t member_code_value(uint32_t code, unsigned bits);
void member_tick(struct tarn_ip *ip, tarn_time now);
tarn_time member_deadline(const struct tarn_ip *ip);

/* igmp.c, mld.c */
enum igmp_type {
    IGMP_QUERY = 0x11,
    IGMP_REPORT_V1 = 0x12,
    IGMP_REPORT_V2 = 0x16,
    IGMP_LEAVE = 0x17,
    IGMP_REPORT_V3 = 0x22,
};
void igmp_input(struct tarn_ip *ip, struct iface *iface, const struct tarn_ip_meta *meta,
                struct tarn_pkt *pkt, tarn_time now);
void igmp_send(struct tarn_ip *ip, struct iface *iface, const struct tarn_ip_addr *dst,
               struct tarn_span message, tarn_time now);
enum mld_type { MLD_QUERY = 130, MLD_REPORT_V1 = 131, MLD_DONE = 132, MLD_REPORT_V2 = 143 };
TARN_MUST_USE bool mld_input(struct tarn_ip *ip, struct iface *iface, uint8_t type,
                             struct tarn_span body, tarn_time now);
void mld_send(struct tarn_ip *ip, struct iface *iface, const struct tarn_ip_addr *dst,
              struct tarn_span message, tarn_time now);

/* path.c: how a datagram would go */
struct path {
    struct iface *iface;
    struct tarn_ip_addr src, next_hop;
    enum tarn_link_dst_kind kind;
    bool local; /* to ourselves */
};
enum tarn_err path_way(struct tarn_ip *ip, unsigned bound, const struct tarn_ip_addr *dst,
                       struct path *out); /* all but src */
enum tarn_err path_find(struct tarn_ip *ip, unsigned bound, const struct tarn_ip_addr *src,
                        const struct tarn_ip_addr *dst, struct path *out);
enum tarn_err path_route_by(struct tarn_ip_lower *lower, uint8_t iface,
                            const struct tarn_ip_addr *src, const struct tarn_ip_addr *dst,
                            struct tarn_ip_route *out);
enum tarn_err path_route(struct tarn_ip_lower *lower, const struct tarn_ip_addr *src,
                         const struct tarn_ip_addr *dst, struct tarn_ip_route *out);

/* pmtu.c */
enum tarn_err pmtu_init(struct tarn_ip *ip);
uint16_t pmtu_get(struct tarn_ip *ip, const struct tarn_ip_addr *dst, uint16_t link_mtu);
void pmtu_set(struct tarn_ip *ip, const struct tarn_ip_addr *dst, uint16_t mtu, tarn_time now);

/* redirect.c */
enum tarn_err redirect_init(struct tarn_ip *ip);
/* Who is to be asked in `router`'s place for that destination; NULL: nobody else. */
const struct tarn_ip_addr *redirect_get(struct tarn_ip *ip, const struct iface *iface,
                                        const struct tarn_ip_addr *dst,
                                        const struct tarn_ip_addr *router);
/* A packet to `dst` found no neighbour: what was said about it is forgotten. */
void redirect_unreachable(struct tarn_ip *ip, const struct tarn_ip_addr *dst);
/* A message; false where it is not followed. `quoted` begins at the header of what it is about, and
 * `body` behind the checksum. */
TARN_MUST_USE bool redirect_v4(struct tarn_ip *ip, struct iface *iface,
                               const struct tarn_ip_meta *meta, uint8_t code, uint32_t target,
                               struct tarn_span quoted, tarn_time now);
TARN_MUST_USE bool redirect_v6(struct tarn_ip *ip, struct iface *iface,
                               const struct tarn_ip_meta *meta, struct tarn_span body,
                               tarn_time now);

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
/* meta NULL: from ourselves. */
void ipv4_input(struct tarn_ip *ip, struct iface *iface, const struct tarn_link_meta *meta,
                struct tarn_pkt *pkt, tarn_time now);
/* A fragment goes into its datagram; the whole, once there, comes back at its data, with the header
 * that `h` then has in front. */
struct tarn_pkt *ipv4_reassemble(struct tarn_ip *ip, const struct iface *iface,
                                 struct ipv4_header *h, uint8_t cast, struct tarn_pkt *pkt,
                                 tarn_time now);
enum tarn_err ipv4_send_fragments(struct tarn_ip *ip, const struct path *path,
                                  const struct tarn_ip_meta *meta, uint8_t hops, uint16_t mtu,
                                  uint16_t id, struct tarn_pkt *pkt, tarn_time now);
enum tarn_err ipv4_send(struct tarn_ip *ip, const struct tarn_ip_meta *meta, struct tarn_pkt *pkt,
                        tarn_time now);

/* icmpv4.c */
enum icmpv4_type {
    ICMPV4_ECHO_REPLY = 0,
    ICMPV4_UNREACHABLE = 3,
    ICMPV4_REDIRECT = 5,
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

/* ipv6.c, ipv6_out.c */
enum {
    IPV6_HEADER_BYTES = 40,
    IPV6_MTU_MIN = 1280,
    IPV6_HOP_BY_HOP = 0,
    IPV6_ROUTING = 43,
    IPV6_FRAGMENT = 44,
    IPV6_NONE = 59,
    IPV6_OPTIONS = 60,
    IPV6_OPTION_ROUTER_ALERT = 5
};
struct ipv6_header {
    uint8_t tos, next, hops;
    uint16_t payload;
    struct tarn_ip_addr src, dst;
};
TARN_MUST_USE bool ipv6_parse(struct tarn_span s, struct ipv6_header *h);
void ipv6_input(struct tarn_ip *ip, struct iface *iface, const struct tarn_link_meta *meta,
                struct tarn_pkt *pkt, tarn_time now);
enum tarn_err ipv6_send(struct tarn_ip *ip, const struct tarn_ip_meta *meta, struct tarn_pkt *pkt,
                        tarn_time now);
/* Writes the header and sends on the interface: to a group, or to `mac` where it is not NULL, or to
 * the neighbour `next_hop`. */
enum tarn_err ipv6_transmit(struct tarn_ip *ip, struct iface *iface,
                            const struct tarn_ip_addr *next_hop, const uint8_t *mac,
                            const struct tarn_ip_meta *meta, struct tarn_pkt *pkt, tarn_time now);

/* icmpv6.c */
enum icmpv6_type {
    ICMPV6_UNREACHABLE = 1,
    ICMPV6_TOO_BIG = 2,
    ICMPV6_TIME_EXCEEDED = 3,
    ICMPV6_PARAMETER = 4,
    ICMPV6_ECHO = 128,
    ICMPV6_ECHO_REPLY = 129,
    ICMPV6_RS = 133,
    ICMPV6_RA = 134,
    ICMPV6_NS = 135,
    ICMPV6_NA = 136,
    ICMPV6_REDIRECT = 137
};
/* What the headers in front of the message had in them. */
struct icmpv6_context {
    bool fragmented, router_alert;
};
void icmpv6_input(struct tarn_ip *ip, struct iface *iface, const struct tarn_ip_meta *meta,
                  struct icmpv6_context context, struct tarn_pkt *pkt, tarn_time now);
void icmpv6_error(struct tarn_ip *ip, struct iface *iface, const struct tarn_pkt *about,
                  uint8_t type, uint8_t code, uint32_t rest, tarn_time now);
/* Puts the checksum into a message that is complete otherwise. */
void icmpv6_checksum(struct tarn_pkt *pkt, const struct tarn_ip_addr *src,
                     const struct tarn_ip_addr *dst);

/* forward.c: a unicast packet, at its IP header. Answers with one that is for us, whole, and its
 * header; NULL: it went elsewhere. */
struct tarn_pkt *forward_ipv4(struct tarn_ip *ip, struct iface *iface, struct ipv4_header *h,
                              struct tarn_pkt *pkt, tarn_time now);
struct tarn_pkt *forward_ipv6(struct tarn_ip *ip, struct iface *iface, struct ipv6_header *h,
                              struct tarn_pkt *pkt, tarn_time now);

/* ndp.c */
enum tarn_err ndp_init(struct tarn_ip *ip);
/* Sends a packet with its IPv6 header to a neighbour. */
enum tarn_err ndp_output(struct tarn_ip *ip, struct iface *iface,
                         const struct tarn_ip_addr *next_hop, struct tarn_pkt *pkt, tarn_time now);
/* What a message said about its sender: `mac` is its link-layer address option. */
void ndp_learn(struct tarn_ip *ip, struct iface *iface, const struct tarn_ip_addr *addr,
               const uint8_t mac[6], bool is_router, tarn_time now);
struct na {
    struct tarn_ip_addr target;
    bool router, solicited, override, has_mac;
    uint8_t mac[6];
};
void ndp_advertised(struct tarn_ip *ip, struct iface *iface, const struct na *na, tarn_time now);
void ndp_tick(struct tarn_ip *ip, tarn_time now);
tarn_time ndp_deadline(const struct tarn_ip *ip);

/* ndp_msg.c */
void ndp_input(struct tarn_ip *ip, struct iface *iface, const struct tarn_ip_meta *meta,
               uint8_t type, struct tarn_span body, tarn_time now);
void ndp_solicit(struct tarn_ip *ip, struct iface *iface, const struct tarn_ip_addr *src,
                 const struct tarn_ip_addr *target, const uint8_t *mac, const uint8_t *nonce,
                 tarn_time now);
void ndp_solicit_routers(struct tarn_ip *ip, struct iface *iface, tarn_time now);
void ndp_announce(struct tarn_ip *ip, struct iface *iface, const struct tarn_ip_addr *target,
                  tarn_time now);
struct tarn_ip_addr ndp_solicited_node(const struct tarn_ip_addr *addr);
/* The options of a neighbour discovery message; false where one is malformed. */
struct ndp_options {
    bool has_source, has_target, has_nonce;
    uint8_t source[6], target[6], nonce[6];
    uint32_t mtu;                 /* 0: none */
    struct tarn_span prefixes[8]; /* bodies of prefix information options */
    unsigned prefix_count;
    struct {
        struct tarn_span body;
        bool is_domains; /* DNSSL; otherwise RDNSS */
    } dns[4];
    unsigned dns_count;
};
TARN_MUST_USE bool ndp_options_parse(struct tarn_span s, struct ndp_options *out);

/* dad.c: addresses of our own */
void dad_start(struct tarn_ip *ip, struct own *own, bool delay, tarn_time now);
void dad_conflict(struct tarn_ip *ip, struct own *own, tarn_time now);
void dad_timer(struct tarn_ip *ip, struct own *own, tarn_time now);

/* ra.c */
void ra_input(struct tarn_ip *ip, struct iface *iface, const struct tarn_ip_addr *router,
              struct tarn_span body, tarn_time now);
void ra_expire(struct tarn_ip *ip, struct advertised *a);
/* ra_dns.c */
void ra_dns_input(struct tarn_ip *ip, struct iface *iface, const struct ndp_options *options,
                  tarn_time now);
void ra_dns_expire(struct tarn_ip *ip, struct ra_dns *d, tarn_time now);

/* slaac.c */
void slaac_prefix(struct tarn_ip *ip, struct iface *iface, const struct tarn_ip_prefix *prefix,
                  tarn_time preferred, tarn_time valid, tarn_time now);
enum tarn_err slaac_add(struct tarn_ip *ip, struct iface *iface, const struct tarn_ip_addr *prefix,
                        enum own_origin origin, uint8_t dad_counter, tarn_time preferred_until,
                        tarn_time valid_until, bool delay, tarn_time now);
void slaac_timer(struct tarn_ip *ip, struct own *own, tarn_time now);

/* ip.c */
void ip_unreachable(struct tarn_ip *ip, struct tarn_pkt *pkt, tarn_time now);
void ip_deliver(struct tarn_ip *ip, struct tarn_ip_upper *upper, const struct tarn_ip_meta *meta,
                struct tarn_pkt *pkt, tarn_time now);
void ip_loop(struct tarn_ip *ip, struct iface *iface, struct tarn_pkt *pkt);
/* A packet without its IP header that is going to a group: what we are to hear of it ourselves, to
 * be given its header and looped, or NULL. */
struct tarn_pkt *ip_group_copy(struct tarn_ip *ip, const struct path *path,
                               const struct tarn_ip_meta *meta, const struct tarn_pkt *pkt);
/* One error message may go out now (RFC 1812 section 4.3.2.8, RFC 4443 section 2.4 (f)). */
bool ip_icmp_allowed(struct tarn_ip *ip, tarn_time now);
void ip_changed(struct tarn_ip *ip); /* wakes the watches */
enum tarn_err ip_link_send(struct tarn_ip *ip, struct iface *iface, const struct path *path,
                           struct tarn_pkt *pkt, tarn_time now);

#endif
