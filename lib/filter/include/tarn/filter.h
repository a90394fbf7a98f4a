/* SPDX-License-Identifier: ISC */
/* tarn/filter.h: a stateful packet filter with network address and port translation.
 *
 * It stands between an inside and an outside and is shown every packet that would cross, as it is:
 * an IPv4 or IPv6 packet in a tarn_pkt. It says whether the packet passes, and changes its
 * addresses and ports in place. It sends nothing, routes nothing, keeps no packet and does not
 * touch TTLs; it never allocates after tarn_filter_new and reads no clock.
 *
 * Rules decide about the first packet of a flow; the rest of the flow, its answers and the ICMP
 * errors about it follow. Translation is for IPv4: endpoint-independent mapping with random ports
 * (RFC 4787, RFC 5382, RFC 5508), hairpinning, and ports forwarded to the inside. IPv6 is only
 * filtered.
 *
 * Checksums are updated by what changed (RFC 1624), so what was wrong stays wrong, and a packet
 * whose checksum is still to be completed (TARN_CSUM_PARTIAL) stays so.
 *
 * Fragments are dropped and counted, since only the first has ports: who needs them puts a
 * reassembly (lib/ip) in front.
 *
 * Limits: all flows live in config.table_bytes. When that is full, the flow that has been silent
 * longest makes room, half-open TCP first, established TCP never: then new flows are refused and
 * counted. The work for a packet does not depend on how many flows there are. One thread for each
 * filter.
 */
#ifndef TARN_FILTER_H
#define TARN_FILTER_H

#include <tarn/alloc.h>
#include <tarn/env.h>
#include <tarn/err.h>
#include <tarn/ip_addr.h>
#include <tarn/pkt.h>
#include <tarn/time.h>

#define TARN_FILTER_RULES_MAX 64
#define TARN_FILTER_FORWARDS_MAX 64

enum tarn_filter_direction { TARN_FILTER_OUT, TARN_FILTER_IN }; /* from inside; from outside */

enum tarn_filter_verdict {
    TARN_FILTER_DROP, /* free it */
    TARN_FILTER_PASS, /* to the other side, changed where it had to be */
    TARN_FILTER_TURN, /* back to the inside: a host there spoke to the outside address of another */
    TARN_FILTER_HERE, /* for the outside address itself and no flow: the box's own, or to be dropped
                       */
};

/* The first rule that fits decides. Addresses are those on the inside and of the remote, never the
 * outside address. A prefix with bits 0 and an address of :: fits both families. */
struct tarn_filter_rule {
    enum tarn_filter_direction direction;
    bool accept;
    uint8_t proto; /* 0: any */
    struct tarn_ip_prefix src, dst;
    uint16_t dst_port_min, dst_port_max; /* 0 and 0: any */
};

struct tarn_filter_config {
    struct tarn_alloc *alloc;
    struct tarn_random *random;           /* ports and the hash key */
    size_t table_bytes;                   /* 0: 1 MiB */
    const struct tarn_filter_rule *rules; /* copied */
    size_t rule_count;
    bool refuse_out; /* what no rule fits: OUT passes unless this; IN never does */
    bool translate;
    struct tarn_ip_addr outside; /* the address to translate to; any: not known yet (IPv4 drops) */
    uint16_t port_min, port_max; /* outside ports; 0: 1024 and 65535 */
    /* Who may answer to a UDP mapping: false, whom it has sent to (address and port); true, anybody
     * (RFC 4787 section 5: more transparent, less strict). */
    bool endpoint_independent_filtering;
};

/* Seconds; RFC 4787 REQ-5 (5 minutes), RFC 5382 REQ-5 (2 h 4 min, 4 min), RFC 5508 REQ-2 (60 s). */
#define TARN_FILTER_UDP_SECONDS 300
#define TARN_FILTER_TCP_ESTABLISHED_SECONDS 7440
#define TARN_FILTER_TCP_TRANSITORY_SECONDS 240
#define TARN_FILTER_ICMP_SECONDS 60

struct tarn_filter_stats {
    uint64_t passed, turned;
    uint64_t flows, expired, evicted; /* opened; ended by silence; ended to make room */
    uint64_t refused;                 /* by a rule, or from outside to nothing that is open */
    uint64_t malformed, fragments;
    uint64_t no_flow;    /* a TCP segment that opens nothing and belongs to nothing */
    uint64_t no_room;    /* all is full of established flows */
    uint64_t no_port;    /* or every outside port tried was taken */
    uint64_t no_address; /* the outside address is not known */
    uint64_t bad_icmp;   /* an ICMP error with a wrong checksum or about no flow */
};

struct tarn_filter;

/* TARN_INVALID: too many rules; TARN_LIMIT: no memory. */
TARN_MUST_USE enum tarn_err tarn_filter_new(const struct tarn_filter_config *config,
                                            struct tarn_filter **out);

/* Looks at a packet, which starts at its IP header; the transport's header must be in its head.
 * Never takes it. */
TARN_MUST_USE enum tarn_filter_verdict tarn_filter_packet(struct tarn_filter *f,
                                                          enum tarn_filter_direction direction,
                                                          struct tarn_pkt *pkt, tarn_time now);

/* The outside address is another (DHCP): flows over the old one end. */
void tarn_filter_set_outside(struct tarn_filter *f, const struct tarn_ip_addr *outside);
/* From now on `proto` (TCP or UDP) to `port` of the outside address is for `inside`, subject to the
 * rules for IN. TARN_LIMIT: too many, or the port is in use. */
TARN_MUST_USE enum tarn_err tarn_filter_forward(struct tarn_filter *f, uint8_t proto, uint16_t port,
                                                const struct tarn_endpoint *inside);

/* Ends what has been silent too long, some at each call; deadline 0 while there is more. Packets do
 * so too, so that a filter without ticks is only a little less tidy. */
void tarn_filter_tick(struct tarn_filter *f, tarn_time now);
tarn_time tarn_filter_deadline(const struct tarn_filter *f);

uint32_t tarn_filter_flow_count(const struct tarn_filter *f);
uint32_t tarn_filter_flows_max(const struct tarn_filter *f);
const struct tarn_filter_stats *tarn_filter_stats(const struct tarn_filter *f);

#endif
