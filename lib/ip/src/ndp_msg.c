/* SPDX-License-Identifier: ISC */
/* The messages of neighbour discovery (RFC 4861 section 4): read strictly, written plainly. */
#include "internal.h"

enum {
    OPT_SOURCE = 1,
    OPT_TARGET = 2,
    OPT_PREFIX = 3,
    OPT_MTU = 5,
    OPT_NONCE = 14,
    OPT_RDNSS = 25,
    OPT_DNSSL = 31
};
enum { NA_ROUTER = 0x80, NA_SOLICITED = 0x40, NA_OVERRIDE = 0x20 };
#define SOLICITS_MAX 3
#define SOLICIT_INTERVAL TARN_SEC(4)

struct tarn_ip_addr ndp_solicited_node(const struct tarn_ip_addr *addr) {
    struct tarn_ip_addr g = {.bytes = {0xff, 2, [11] = 1, 0xff}};
    struct tarn_span low = tarn_span_after(TARN_SPAN_ARRAY(addr->bytes), 13);
    (void)tarn_bytes_copy(tarn_bytes_after(TARN_BYTES_ARRAY(g.bytes), 13), low);
    return g;
}

bool ndp_options_parse(struct tarn_span s, struct ndp_options *out) {
    *out = (struct ndp_options){0};
    while (s.len > 0) {
        uint8_t type, units;
        struct tarn_span body;
        /* A length of 0 would go on forever (section 4.6). */
        if (!tarn_span_u8(&s, &type) || !tarn_span_u8(&s, &units) || units == 0
            || !tarn_span_take(&s, units * 8u - 2u, &body))
            return false;
        switch (type) {
        case OPT_SOURCE: out->has_source = tarn_span_copy(&body, out->source, 6); break;
        case OPT_TARGET: out->has_target = tarn_span_copy(&body, out->target, 6); break;
        case OPT_NONCE: out->has_nonce = tarn_span_copy(&body, out->nonce, 6); break;
        case OPT_PREFIX:
            if (out->prefix_count < TARN_COUNT_OF(out->prefixes)) {
                TARN_AT(out->prefixes, out->prefix_count) = body;
                out->prefix_count++;
            }
            break;
        case OPT_RDNSS:
        case OPT_DNSSL:
            if (out->dns_count < TARN_COUNT_OF(out->dns)) {
                TARN_AT(out->dns, out->dns_count).body = body;
                TARN_AT(out->dns, out->dns_count).is_domains = type == OPT_DNSSL;
                out->dns_count++;
            }
            break;
        case OPT_MTU:
            if (!tarn_span_skip(&body, 2) || !tarn_span_u32be(&body, &out->mtu))
                return false;
            break;
        default: break;
        }
    }
    return true;
}

/* -- out -- */

/* Sends what has been written behind the ICMPv6 header, with hop limit 255. */
static void transmit(struct tarn_ip *ip, struct iface *iface, const struct tarn_ip_addr *src,
                     const struct tarn_ip_addr *dst, const uint8_t *mac, struct tarn_span message,
                     tarn_time now) {
    struct tarn_pkt *pkt = tarn_pkt_alloc(ip->config.pkts, message.len);
    if (!pkt) {
        ip->stats.drops_memory++;
        return;
    }
    TARN_ASSERT(tarn_pkt_append(pkt, message));
    icmpv6_checksum(pkt, src, dst);
    struct tarn_ip_meta meta = {
        .src = *src, .dst = *dst, .proto = TARN_IP_PROTO_ICMPV6, .hops = 255};
    (void)ipv6_transmit(ip, iface, dst, mac, &meta, pkt, now);
}

static void write_mac_option(struct tarn_writer *w, const struct iface *iface, uint8_t type) {
    if (!iface->link->has_mac)
        return;
    tarn_writer_u8(w, type);
    tarn_writer_u8(w, 1);
    tarn_writer_span_put(w, TARN_SPAN_ARRAY(iface->link->mac));
}

void ndp_solicit(struct tarn_ip *ip, struct iface *iface, const struct tarn_ip_addr *src,
                 const struct tarn_ip_addr *target, const uint8_t *mac, const uint8_t *nonce,
                 tarn_time now) {
    uint8_t buf[40];
    struct tarn_writer w = TARN_WRITER_ARRAY(buf);
    struct tarn_ip_addr dst = mac ? *target : ndp_solicited_node(target);
    tarn_writer_u32be(&w, (uint32_t)ICMPV6_NS << 24);
    tarn_writer_u32be(&w, 0);
    tarn_writer_ipv6(&w, target);
    if (!tarn_ip_addr_is_any(src))
        write_mac_option(&w, iface, OPT_SOURCE);
    if (nonce) {
        tarn_writer_u8(&w, OPT_NONCE);
        tarn_writer_u8(&w, 1);
        tarn_writer_mem(&w, nonce, 6);
    }
    transmit(ip, iface, src, &dst, mac, tarn_writer_span(&w), now);
}

static void advertise(struct tarn_ip *ip, struct iface *iface, const struct tarn_ip_addr *target,
                      const struct tarn_ip_addr *dst, uint8_t flags, tarn_time now) {
    uint8_t buf[32];
    struct tarn_writer w = TARN_WRITER_ARRAY(buf);
    tarn_writer_u32be(&w, (uint32_t)ICMPV6_NA << 24);
    tarn_writer_u32be(&w, (uint32_t)flags << 24);
    tarn_writer_ipv6(&w, target);
    write_mac_option(&w, iface, OPT_TARGET);
    transmit(ip, iface, target, dst, NULL, tarn_writer_span(&w), now);
}

static const struct tarn_ip_addr all_nodes = {.bytes = {0xff, 2, [15] = 1}};
static const struct tarn_ip_addr all_routers = {.bytes = {0xff, 2, [15] = 2}};

void ndp_announce(struct tarn_ip *ip, struct iface *iface, const struct tarn_ip_addr *target,
                  tarn_time now) {
    advertise(ip, iface, target, &all_nodes, NA_OVERRIDE, now);
}

void ndp_solicit_routers(struct tarn_ip *ip, struct iface *iface, tarn_time now) {
    uint8_t buf[16];
    struct tarn_writer w = TARN_WRITER_ARRAY(buf);
    struct path path;
    struct tarn_ip_addr any = TARN_IP_ADDR_NONE;
    if (iface->solicits_left == 0)
        return;
    iface->solicits_left--;
    if (path_find(ip, iface->index + 1u, &any, &all_routers, &path))
        return;
    tarn_writer_u32be(&w, (uint32_t)ICMPV6_RS << 24);
    tarn_writer_u32be(&w, 0);
    if (!tarn_ip_addr_is_any(&path.src))
        write_mac_option(&w, iface, OPT_SOURCE);
    transmit(ip, iface, &path.src, &all_routers, NULL, tarn_writer_span(&w), now);
    if (iface->solicits_left > 0)
        tarn_timer_set(&ip->ndp.iface_timers, &iface->timer,
                       tarn_time_after(now, SOLICIT_INTERVAL));
}

/* -- in: code, hop limit and checksum are right already -- */

/* Section 7.1.1 and 7.2.3. */
static bool solicitation(struct tarn_ip *ip, struct iface *iface, const struct tarn_ip_meta *meta,
                         struct tarn_span s, tarn_time now) {
    struct tarn_ip_addr target;
    struct ndp_options options;
    if (!tarn_span_skip(&s, 4) || !tarn_span_ipv6(&s, &target) || tarn_ip_addr_is_multicast(&target)
        || !ndp_options_parse(s, &options))
        return false;
    bool unspecified = tarn_ip_addr_is_any(&meta->src);
    struct tarn_ip_addr group = ndp_solicited_node(&target);
    if (unspecified && (options.has_source || !tarn_ip_addr_equal(&meta->dst, &group)))
        return false;
    struct own *own = own_find(ip, &target, iface);
    if (!own)
        return true; /* another of the same group */
    if (own->state == TARN_IP_ADDR_TENTATIVE) {
        /* Somebody else asks whether it may have it; unless it is our own question come back
         * (RFC 4862 section 5.4.3, RFC 7527 section 4.2). */
        bool mine = options.has_nonce
                    && tarn_span_equal(TARN_SPAN_ARRAY(options.nonce), TARN_SPAN_ARRAY(own->nonce));
        if (unspecified && !mine)
            dad_conflict(ip, own, now);
        return true;
    }
    if (!own_is_usable(own))
        return true;
    if (unspecified) {
        advertise(ip, iface, &target, &all_nodes, NA_OVERRIDE, now);
        return true;
    }
    if (options.has_source && !(TARN_AT(options.source, 0) & 1))
        ndp_learn(ip, iface, &meta->src, options.source, false, now);
    advertise(ip, iface, &target, &meta->src, NA_SOLICITED | NA_OVERRIDE, now);
    return true;
}

/* Section 7.1.2 and 7.2.5. */
static bool advertisement(struct tarn_ip *ip, struct iface *iface, const struct tarn_ip_meta *meta,
                          struct tarn_span s, tarn_time now) {
    uint32_t flags;
    struct na na = {0};
    struct ndp_options options;
    if (!tarn_span_u32be(&s, &flags) || !tarn_span_ipv6(&s, &na.target)
        || tarn_ip_addr_is_multicast(&na.target) || !ndp_options_parse(s, &options))
        return false;
    na.router = flags >> 24 & NA_ROUTER;
    na.solicited = flags >> 24 & NA_SOLICITED;
    na.override = flags >> 24 & NA_OVERRIDE;
    if (na.solicited && meta->cast != TARN_LINK_TO_US)
        return false;
    na.has_mac = options.has_target && !(TARN_AT(options.target, 0) & 1);
    struct tarn_span mac = TARN_SPAN_ARRAY(options.target);
    TARN_ASSERT(tarn_span_copy(&mac, na.mac, 6));
    struct own *own = own_find(ip, &na.target, iface);
    if (own && own->state == TARN_IP_ADDR_TENTATIVE)
        dad_conflict(ip, own, now);
    else if (!own)
        ndp_advertised(ip, iface, &na, now);
    return true;
}

void ndp_input(struct tarn_ip *ip, struct iface *iface, const struct tarn_ip_meta *meta,
               uint8_t type, struct tarn_span body, tarn_time now) {
    bool valid = false;
    switch (type) {
    case ICMPV6_NS: valid = solicitation(ip, iface, meta, body, now); break;
    case ICMPV6_NA: valid = advertisement(ip, iface, meta, body, now); break;
    case ICMPV6_RA:
        valid = tarn_ip_addr_is_link_local(&meta->src);
        if (valid)
            ra_input(ip, iface, &meta->src, body, now);
        break;
    case ICMPV6_REDIRECT: valid = redirect_v6(ip, iface, meta, body, now); break;
    default: break; /* we are no router */
    }
    ip->stats.drops_icmp += !valid;
}
