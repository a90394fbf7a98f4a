/* SPDX-License-Identifier: ISC */
#ifndef TARN_FILTER_INTERNAL_H
#define TARN_FILTER_INTERNAL_H

#include <tarn/filter.h>
#include <tarn/hash.h>
#include <tarn/ip_lower.h>

/* Flows with the same timeout are in one list, the one that was silent longest first: expiry and
 * eviction look at its head. In the order of eviction. */
enum flow_class { CLASS_TCP_TRANSITORY, CLASS_ICMP, CLASS_UDP, CLASS_TCP_ESTABLISHED, CLASSES };

/* An inside endpoint and the outside port that stands for it (RFC 4787 section 4.1). */
struct mapping {
    struct tarn_map_link by_inside, by_port;
    struct tarn_endpoint inside; /* for ICMP the identifier is the port */
    uint16_t port;
    uint8_t proto;
    bool forward; /* configured: stays, and lets anybody in that the rules let */
    uint32_t flows;
};

enum {
    SEEN_SYN_OUT = 1,
    SEEN_SYN_IN = 2,
    SEEN_ACK_OUT = 4,
    SEEN_FIN_OUT = 8,
    SEEN_FIN_IN = 16,
    SEEN_RST = 32
};

struct flow {
    struct tarn_map_link link;
    struct flow *prev, *next; /* in the list of its class */
    struct mapping *mapping;  /* NULL: not translated */
    struct tarn_endpoint inside, remote;
    tarn_time last;
    uint8_t proto;
    uint8_t seen; /* TCP */
    uint8_t class;
};

struct flow_list {
    struct flow *first, *last;
};

struct tarn_filter {
    struct tarn_filter_config config;
    struct tarn_filter_rule rules[TARN_FILTER_RULES_MAX];
    struct tarn_hash_key key;
    struct tarn_pool flows, mappings;
    struct tarn_map by_flow, by_inside, by_port;
    struct flow_list lists[CLASSES];
    uint32_t forwards;
    struct tarn_filter_stats stats;
};

enum packet_kind { PACKET_FLOW, PACKET_ERROR, PACKET_OTHER };

/* What a packet, or one that an ICMP error quotes, says about itself. Offsets are from the first
 * byte of the tarn_pkt. */
struct view {
    enum packet_kind kind;
    bool v4, fragment;
    uint8_t proto;
    uint8_t tcp_flags;
    bool icmp_request;
    size_t ip, transport, quoted; /* quoted: the IP header inside an ICMP error */
    size_t end;                   /* where the bytes end that may be changed */
    struct tarn_endpoint src, dst;
};
enum { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_ACK = 16 };

/* parse.c: false where the packet is malformed, or its head too short. */
bool filter_parse(const struct tarn_pkt *pkt, struct view *v);
/* The first 8 bytes of the transport are enough here. */
bool filter_parse_quoted(const struct tarn_pkt *pkt, const struct view *outer, struct view *v);

/* rewrite.c */
void filter_rewrite(struct tarn_pkt *pkt, const struct view *v, bool src,
                    const struct tarn_endpoint *to);
/* Only the address of an ICMP error's own header. */
void filter_rewrite_addr(struct tarn_pkt *pkt, const struct view *v, bool src,
                         const struct tarn_ip_addr *to);
bool filter_icmp_csum_ok(const struct tarn_pkt *pkt, const struct view *v);
void filter_icmp_csum_renew(struct tarn_pkt *pkt, const struct view *v);

/* flow.c */
struct flow *filter_find_flow(struct tarn_filter *f, uint8_t proto,
                              const struct tarn_endpoint *inside,
                              const struct tarn_endpoint *remote);
struct mapping *filter_find_port(struct tarn_filter *f, uint8_t proto, uint16_t port);
/* NULL: counted. `mapping` NULL: translated only where config says so, over a mapping of its own.
 */
struct flow *filter_open(struct tarn_filter *f, uint8_t proto, const struct tarn_endpoint *inside,
                         const struct tarn_endpoint *remote, bool translate, tarn_time now);
struct mapping *filter_map(struct tarn_filter *f, uint8_t proto, const struct tarn_endpoint *inside,
                           uint16_t wanted_port);
void filter_refresh(struct tarn_filter *f, struct flow *flow, const struct view *v,
                    enum tarn_filter_direction direction, tarn_time now);
void filter_expire(struct tarn_filter *f, tarn_time now, unsigned most);
void filter_close(struct tarn_filter *f, struct flow *flow);
tarn_time filter_class_timeout(unsigned class);

#endif
