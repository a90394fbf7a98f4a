/* SPDX-License-Identifier: ISC */
/* tarn/ip_lower.h: what udp and tcp need from below, and what they offer it.
 *
 * lib/ip implements tarn_ip_lower; so can a raw socket, a tun device, a VPN or a test. A transport
 * implements tarn_ip_upper and is registered for its protocol number with whoever is below.
 */
#ifndef TARN_IP_LOWER_H
#define TARN_IP_LOWER_H

#include <tarn/err.h>
#include <tarn/ip_addr.h>
#include <tarn/multicast.h>
#include <tarn/pkt.h>
#include <tarn/time.h>

enum {
    TARN_IP_PROTO_ICMP = 1,
    TARN_IP_PROTO_IGMP = 2,
    TARN_IP_PROTO_TCP = 6,
    TARN_IP_PROTO_UDP = 17,
    TARN_IP_PROTO_ICMPV6 = 58
};

/* A datagram's header, as far as a transport sees it. */
struct tarn_ip_meta {
    struct tarn_ip_addr src, dst; /* of one family. src may be "any" in send: the route chooses */
    uint8_t proto;
    uint8_t hops;     /* TTL or hop limit; 0 in send: the default, which is 1 to a group */
    uint8_t tos;      /* DSCP and ECN */
    bool no_fragment; /* DF; in send: never fragment, answer TARN_LIMIT where it does not fit */
    bool no_loop;     /* send, to a group: we ourselves do not hear it, though we have joined */
    uint8_t cast;     /* input only: enum tarn_link_cast (0: unicast to us) */
    uint8_t iface;    /* input: where it came in; send: 0, or 1 + an interface's index to bind to */
    uint16_t header_len; /* input: how much of the IP header lies in the head just in front of the
                          * packet (0: none), so that reject can quote it; send: not looked at */
};

struct tarn_ip_route {
    struct tarn_ip_addr src; /* the source address for that destination */
    uint16_t mtu;            /* bytes with the IP header, path MTU included */
    uint32_t features;       /* enum tarn_netif_features that hold on the way out */
    bool broadcast;          /* the destination is a broadcast address on that way */
};

struct tarn_ip_lower;
struct tarn_ip_lower_ops {
    /* How a datagram from `src` (or any) to `dst` would go. TARN_NOT_FOUND: it would not. */
    enum tarn_err (*route)(struct tarn_ip_lower *lower, const struct tarn_ip_addr *src,
                           const struct tarn_ip_addr *dst, struct tarn_ip_route *out);
    /* The same by one interface, as in send. Optional (NULL: there is but one). */
    enum tarn_err (*route_by)(struct tarn_ip_lower *lower, uint8_t iface,
                              const struct tarn_ip_addr *src, const struct tarn_ip_addr *dst,
                              struct tarn_ip_route *out);
    /* Takes the packet in every case; it starts at the transport's header. Where meta->src is any
     * and the interface has no address yet, 255.255.255.255 is sent to from 0.0.0.0 (DHCP). */
    enum tarn_err (*send)(struct tarn_ip_lower *lower, const struct tarn_ip_meta *meta,
                          struct tarn_pkt *pkt, tarn_time now);
    /* Gives back, as it came, a datagram to a port where nothing listens, checked by the transport
     * and sent to this host alone: below, it is answered with "port unreachable" where a bound on
     * such answers allows (RFC 1122 section 4.1.3.1, RFC 4443 section 3.1). Takes the packet.
     * Optional (NULL: the transport frees it). */
    void (*reject)(struct tarn_ip_lower *lower, const struct tarn_ip_meta *meta,
                   struct tarn_pkt *pkt, tarn_time now);
    /* One listener more (or less) of a multicast group, who hears what `filter` lets through (NULL:
     * everybody). Listeners are counted and their filters merged: each leaves as it came, and what
     * is heard below may be more than one of them wants. Reports go out at the next tick below;
     * to change a filter, join with the new one and then leave with the old one. `iface` as in
     * send. TARN_LIMIT: no room; TARN_INVALID: no group, or no filter; TARN_NOT_FOUND: none joined
     * like that. Optional (NULL: groups are somebody else's matter). */
    enum tarn_err (*join)(struct tarn_ip_lower *lower, const struct tarn_ip_addr *group,
                          uint8_t iface, const struct tarn_group_filter *filter, bool add);
};
struct tarn_ip_lower {
    const struct tarn_ip_lower_ops *ops;
};

/* What went wrong with a datagram sent earlier, in both families' terms. */
enum tarn_ip_error {
    TARN_IP_ERROR_UNREACHABLE, /* net, host, or neighbour did not answer: may be transient */
    TARN_IP_ERROR_PORT,        /* nothing listens there, or the protocol is not spoken */
    TARN_IP_ERROR_PROHIBITED,  /* administratively */
    TARN_IP_ERROR_TOO_BIG,     /* `mtu` is the next hop's, 0 where the router did not say */
    TARN_IP_ERROR_HOPS,        /* the hop limit ran out */
    TARN_IP_ERROR_PARAMETER,   /* a header field was not understood */
};

struct tarn_ip_upper;
struct tarn_ip_upper_ops {
    /* Owns the packet, which starts at the transport's header and ends where the IP header says. */
    void (*input)(struct tarn_ip_upper *upper, const struct tarn_ip_meta *meta,
                  struct tarn_pkt *pkt, tarn_time now);
    /* An ICMP error quotes a datagram of ours: `meta` is that one's (src is us), `quoted` what is
     * left of its transport header, at least 8 bytes. Anybody on the path may have written it.
     * Optional. */
    void (*error)(struct tarn_ip_upper *upper, const struct tarn_ip_meta *meta,
                  enum tarn_ip_error error, uint32_t mtu, struct tarn_span quoted, tarn_time now);
};
struct tarn_ip_upper {
    const struct tarn_ip_upper_ops *ops;
    uint8_t proto;
};

/* The folded pseudo-header sum (RFC 9293 section 3.1, RFC 8200 section 8.1). */
uint32_t tarn_ip_pseudo_csum(const struct tarn_ip_meta *meta, uint32_t upper_len);

#endif
