/* SPDX-License-Identifier: ISC */
/* tarn/ip.h: the Internet Protocol, both versions: several links below, transports above, one
 * routing table.
 *
 * A struct tarn_ip is one host's IP layer: a pure state machine. Packets come from the links it was
 * given (or through tarn_ip_input, for who holds IP packets: a tun device, a VPN), go to the
 * transports registered for their protocol, and out through tarn_ip_lower. ICMP is spoken here:
 * echo is answered, errors are sent (bounded) and understood. It is a host, and forwards nothing
 * before it is told who decides (tarn_ip_forward_by).
 *
 * Never allocates after tarn_ip_new, blocks or reads a clock. Packets to this host's own addresses
 * are queued and delivered at the next tick, so no transport is entered from its own send. Time
 * comes in with every call; tarn_ip_deadline says when tick is next wanted.
 *
 * Ownership: as in tarn/pkt.h: whoever is handed a packet owns it. Links, uppers and watches that
 * are registered must outlive the tarn_ip. One thread.
 *
 * Strict by choice: a source route is refused (RFC 7126), overlapping fragments end their datagram
 * (RFC 5722, in both families), an address is only spoken to through its own interface (RFC 1122
 * section 3.3.4.2, the strong model), martian addresses are dropped.
 *
 * Source: RFC 791, 792, 815, 1122, 1191, 6864 (IPv4); RFC 3376, 3810, 3590 (groups); RFC 8200,
 * 4443, 8201 (IPv6); RFC 4861, 4862, 6980, 7217, 7527, 8106, 8981 (neighbours and addresses); RFC
 * 6724 (source selection).
 */
#ifndef TARN_IP_H
#define TARN_IP_H

#include <tarn/alloc.h>
#include <tarn/env.h>
#include <tarn/err.h>
#include <tarn/hash.h>
#include <tarn/ip_lower.h>
#include <tarn/link.h>
#include <tarn/task.h>

/* Zero means the default in brackets. */
struct tarn_ip_limits {
    uint32_t addrs_max;            /* own addresses of all interfaces [32] */
    uint32_t routes_max;           /* those of own prefixes included [64] */
    uint32_t groups_max;           /* multicast groups joined, one for each IPv6 address too [64] */
    uint32_t neighbours_max;       /* IPv6 neighbours remembered (IPv4's are the link's) [512] */
    uint32_t sources_max;          /* senders named by the filters of all groups [64] */
    uint32_t path_mtus_max;        /* destinations with a path MTU of their own [256] */
    uint32_t redirects_max;        /* destinations with another router than their route says [64] */
    uint32_t reass_max;            /* datagrams being put together [64] */
    uint32_t reass_pieces_max;     /* fragments kept of one datagram [64] */
    size_t reass_bytes_max;        /* packet memory held by all fragments [1 MiB] */
    uint32_t loop_max;             /* packets to ourselves that wait for tick [256] */
    uint32_t icmp_errors_a_second; /* sent, and as many at once [100] */
    uint16_t path_mtu_min;         /* a smaller IPv4 path MTU is not believed [552] */
    tarn_time reass_timeout;       /* [30 s]; IPv6 always has 60 s (RFC 8200 section 4.5) */
};

struct tarn_ip_config {
    struct tarn_alloc *alloc;
    struct tarn_random *random;
    struct tarn_pkt_pool *pkts;
    struct tarn_tasks *tasks; /* for watches; NULL where there are none */
    uint8_t hops;             /* the default TTL and hop limit [64] */
    /* What stable addresses are made with (RFC 7217): kept over restarts, so are they. NULL:
     * random. */
    const struct tarn_hash_key *stable_secret;
    struct tarn_ip_limits limits;
};

#define TARN_IP_IFACES_MAX 8

struct tarn_ip;
/* TARN_LIMIT: the allocator has not enough. TARN_INVALID: a limit makes no sense. */
TARN_MUST_USE enum tarn_err tarn_ip_new(const struct tarn_ip_config *config, struct tarn_ip **out);

/* -- below and above ----------------------------------------------------------------------------
 */

/* Becomes the link's user. `iface` numbers the interface from 0 on. TARN_LIMIT: TARN_IP_IFACES_MAX.
 * TARN_INVALID: an MTU under 68 (RFC 791). */
TARN_MUST_USE enum tarn_err tarn_ip_add_link(struct tarn_ip *ip, struct tarn_link *link,
                                             unsigned *iface);
/* What transports send through. */
struct tarn_ip_lower *tarn_ip_lower(struct tarn_ip *ip);
/* Delivers upper->proto to it, in both families, from now on; NULL as `upper` ends that. */
void tarn_ip_register(struct tarn_ip *ip, uint8_t proto, struct tarn_ip_upper *upper);

/* Owns `pkt`, which starts at its IP header, of either version. `meta` NULL: it came from a line
 * without link addresses. */
void tarn_ip_input(struct tarn_ip *ip, unsigned iface, const struct tarn_link_meta *meta,
                   struct tarn_pkt *pkt, tarn_time now);
void tarn_ip_tick(struct tarn_ip *ip, tarn_time now);
/* 0: packets to ourselves wait. */
tarn_time tarn_ip_deadline(const struct tarn_ip *ip);

/* -- addresses ----------------------------------------------------------------------------------
 */

enum tarn_ip_addr_state {
    TARN_IP_ADDR_ABSENT,
    TARN_IP_ADDR_TENTATIVE, /* being asked for: not used yet */
    TARN_IP_ADDR_READY,
    TARN_IP_ADDR_DEPRECATED, /* still heard; new communication prefers others (RFC 4862) */
    TARN_IP_ADDR_DUPLICATE,  /* somebody else has it: not used */
};

/* An own address with its prefix, for which a route appears. `probe`: somebody may have it; it is
 * asked for first (RFC 5227, RFC 4862) and used once READY. Without, it is in use at once.
 * TARN_LIMIT: addrs_max, routes_max, or the link's. TARN_INVALID: not a unicast address. */
TARN_MUST_USE enum tarn_err tarn_ip_addr_add(struct tarn_ip *ip, unsigned iface,
                                             const struct tarn_ip_prefix *prefix, bool probe,
                                             tarn_time now);
void tarn_ip_addr_remove(struct tarn_ip *ip, unsigned iface, const struct tarn_ip_addr *addr,
                         tarn_time now);
enum tarn_ip_addr_state tarn_ip_addr_state(const struct tarn_ip *ip, unsigned iface,
                                           const struct tarn_ip_addr *addr);
/* Walks the addresses of an interface: *cursor starts at 0; false: no more. */
bool tarn_ip_addr_next(const struct tarn_ip *ip, unsigned iface, uint32_t *cursor,
                       struct tarn_ip_prefix *prefix, enum tarn_ip_addr_state *state);

/* -- IPv6 ---------------------------------------------------------------------------------------
 */

enum tarn_ip_ipv6_flags {
    TARN_IP_IPV6_SLAAC = 1 << 0,     /* follow router advertisements: prefixes, routers, MTU */
    TARN_IP_IPV6_TEMPORARY = 1 << 1, /* and have temporary addresses too (RFC 8981) */
};
/* Starts IPv6 on an interface: neighbour discovery (RFC 4861) and a link-local address. Adding an
 * IPv6 address does so too, without flags; later flags are not looked at. TARN_INVALID: an MTU
 * under 1280 (RFC 8200 section 5). */
TARN_MUST_USE enum tarn_err tarn_ip_ipv6_start(struct tarn_ip *ip, unsigned iface, unsigned flags,
                                               tarn_time now);
/* The flags of the last router advertisement: 0x80 addresses by DHCPv6, 0x40 other things by it. */
unsigned tarn_ip_ra_flags(const struct tarn_ip *ip, unsigned iface);

#define TARN_IP_DNS_MAX 4
struct tarn_ip_dns {
    struct tarn_ip_addr servers[TARN_IP_DNS_MAX]; /* link-local ones are on that interface */
    uint32_t server_count;
    char search[TARN_IP_DNS_MAX * 128]; /* domains with a space between; NUL-terminated */
};
/* What routers say about names now (RFC 8106): resolvers and search domains. Longer names than 127
 * characters, and with others than letters, digits, '-' and '_', are left out. */
void tarn_ip_dns(const struct tarn_ip *ip, unsigned iface, struct tarn_ip_dns *out);

/* A task that is posted whenever an address changes its state, comes or goes, and when what routers
 * say about it all changes. */
struct tarn_ip_watch {
    struct tarn_task task;
    struct tarn_ip_watch *next;
};
void tarn_ip_watch_add(struct tarn_ip *ip, struct tarn_ip_watch *watch);

/* -- multicast groups ---------------------------------------------------------------------------
 */

/* As tarn_ip_lower's join, on one interface. IGMPv3 and MLDv2 are spoken, or what the querier there
 * speaks. TARN_INVALID also: an IPv6 group where IPv6 has not been started. */
TARN_MUST_USE enum tarn_err tarn_ip_join(struct tarn_ip *ip, unsigned iface,
                                         const struct tarn_ip_addr *group,
                                         const struct tarn_group_filter *filter, bool add);

/* -- routes -------------------------------------------------------------------------------------
 */

struct tarn_ip_route_entry {
    struct tarn_ip_prefix prefix; /* 0.0.0.0/0 or ::/0: the default of its family */
    struct tarn_ip_addr gateway;  /* any: the destinations are on the link itself */
    uint8_t iface;
    uint8_t metric; /* the lower one of equal prefixes is used */
};
/* The longest matching prefix wins, then the lowest metric. TARN_LIMIT: routes_max. TARN_INVALID:
 * no such interface, or a gateway of the other family. An equal route again changes nothing. */
TARN_MUST_USE enum tarn_err tarn_ip_route_add(struct tarn_ip *ip,
                                              const struct tarn_ip_route_entry *route);
/* TARN_NOT_FOUND: there is none like it. */
TARN_MUST_USE enum tarn_err tarn_ip_route_remove(struct tarn_ip *ip,
                                                 const struct tarn_ip_route_entry *route);
/* On: what comes by that interface to send packets for one host to another router, or straight to
 * it, is followed, if it passes the checks of RFC 1122 section 3.2.2.2 (of which the first is that
 * it comes from the router that is used now) or RFC 4861 section 8.1, for ten minutes or until who
 * was named does not answer. Off, as it is at first: nothing is, and what was is forgotten. Whoever
 * is on the link can forge the router's address, so this is to trust the link. While there is a
 * forwarder none is followed (RFC 1812 section 5.2.7.2). TARN_INVALID: no such interface. */
TARN_MUST_USE enum tarn_err tarn_ip_follow_redirects(struct tarn_ip *ip, unsigned iface, bool on);

/* -- forwarding ---------------------------------------------------------------------------------
 */

struct tarn_ip_forwarder;
struct tarn_ip_forwarder_ops {
    /* A unicast packet has come in on `iface`, at its IP header; of IPv4 only whole datagrams.
     * `own`: its destination is an address of ours, of whichever interface. True: it goes where its
     * destination says, which may have been changed in here (NAT): to us, or on. Never takes it.
     */
    bool (*pass)(struct tarn_ip_forwarder *forwarder, unsigned iface, bool own,
                 struct tarn_pkt *pkt, tarn_time now);
};
struct tarn_ip_forwarder {
    const struct tarn_ip_forwarder_ops *ops;
};
/* From now on this is a router (RFC 1812): what passes the forwarder is sent on, with one hop less
 * and, in IPv4, in fragments where it may and must be; what cannot be is answered with an ICMP
 * error about the packet as it came. Outlives the tarn_ip; NULL: a host again. */
void tarn_ip_forward_by(struct tarn_ip *ip, struct tarn_ip_forwarder *forwarder);

/* -- standing in --------------------------------------------------------------------------------
 */

/* On: TCP, UDP and whatever else is registered get the unicast packets that come in by that
 * interface to anybody's address, as if it were ours, and may speak from any address to its
 * network: for who stands in for all the hosts behind it (a proxy, NAT in user space). Pings are
 * still answered for own addresses only. Where there is a forwarder, it goes first and this does
 * nothing. TARN_INVALID: no such interface. */
TARN_MUST_USE enum tarn_err tarn_ip_stand_in(struct tarn_ip *ip, unsigned iface, bool on);

/* -- counters -----------------------------------------------------------------------------------
 */

struct tarn_ip_stats {
    uint64_t in, delivered, out, looped, forwarded;
    uint64_t fragments_in, fragments_out, reassembled;
    uint64_t echo_replies, icmp_errors_in, icmp_errors_out;
    uint64_t drops_header;      /* version, lengths, or less than a header */
    uint64_t drops_checksum;    /* of the IPv4 header, or of ICMP */
    uint64_t drops_options;     /* malformed, or a source route */
    uint64_t drops_martian;     /* a source or destination that cannot be on a wire */
    uint64_t drops_destination; /* not ours, and not to be forwarded */
    uint64_t drops_forward;     /* the forwarder let it not pass */
    uint64_t drops_hops;        /* to be forwarded, and the last hop was used up */
    uint64_t drops_protocol;    /* nobody speaks it */
    uint64_t drops_icmp;        /* an error about nothing of ours, or a type we do not speak */
    uint64_t drops_icmp_rate;   /* errors not sent */
    uint64_t drops_igmp;        /* malformed, or not from the link */
    uint64_t drops_source;      /* to a group, from a sender whom nobody wants to hear */
    uint64_t group_queries_in, group_reports_out;
    uint64_t drops_overlap;  /* datagrams ended by overlapping fragments */
    uint64_t drops_fragment; /* fragments that no datagram can have */
    uint64_t drops_reass_limit, drops_reass_timeout;
    uint64_t drops_no_route, drops_no_source, drops_too_big, drops_memory, drops_loop;
    uint64_t drops_link;       /* refused below: full, or the neighbour is known not to answer */
    uint64_t drops_unresolved; /* the neighbour did not answer */
    uint64_t path_mtu_changes;
    uint64_t redirects_in; /* followed; others are in drops_icmp */
    uint32_t reass, reass_bytes, addrs, routes, path_mtus, redirects, neighbours; /* now */
};
void tarn_ip_stats(const struct tarn_ip *ip, struct tarn_ip_stats *out);

#endif
