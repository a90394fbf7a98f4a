/* SPDX-License-Identifier: ISC */
#include "router.h"

#define FRAMES_A_POLL 256u
/* The box's own ports begin where those of translated flows end. */
#define NAT_PORT_MAX 49151

/* -- forwarding ---------------------------------------------------------------------------------
 */

struct header {
    uint8_t hops, proto;
    struct tarn_ip_addr src, dst;
};

static bool read_header(const struct tarn_pkt *pkt, struct header *h) {
    struct tarn_span s = tarn_pkt_head(pkt);
    uint16_t csum;
    return tarn_span_skip(&s, 8) && tarn_span_u8(&s, &h->hops) && tarn_span_u8(&s, &h->proto)
           && tarn_span_u16be(&s, &csum) && tarn_span_ipv4(&s, &h->src)
           && tarn_span_ipv4(&s, &h->dst);
}

static void drop(struct tarn_pkt *pkt, uint64_t *counter) {
    ++*counter;
    tarn_pkt_free(pkt);
}

static void put16(struct tarn_pkt *pkt, size_t at, uint16_t v) {
    struct tarn_bytes field = tarn_bytes_first(tarn_bytes_after(tarn_pkt_head_bytes(pkt), at), 2);
    struct tarn_writer w = tarn_writer_over(field);
    tarn_writer_u16be(&w, v);
}

/* One hop less, and the header's checksum with it (RFC 1624). */
static void count_hop(struct tarn_pkt *pkt, const struct header *h) {
    uint16_t before = (uint16_t)(h->hops << 8 | h->proto), after = (uint16_t)(before - 0x100);
    struct tarn_span s = tarn_span_after(tarn_pkt_head(pkt), 10);
    uint16_t csum = 0;
    if (!tarn_span_u16be(&s, &csum))
        return;
    put16(pkt, 8, after);
    put16(pkt, 10, tarn_csum_update16(csum, before, after));
}

static void send_to(struct router_side *side, struct tarn_pkt *pkt, tarn_time now) {
    struct router *r = side->router;
    struct tarn_link_dst to = {.kind = TARN_LINK_NEIGHBOUR};
    struct header h;
    if (!read_header(pkt, &h) || h.hops <= 1) {
        drop(pkt, &r->stats.hops);
        return;
    }
    if (pkt->gso_size == 0 && pkt->len > side->link.mtu) {
        drop(pkt, &r->stats.too_long);
        return;
    }
    bool near = tarn_ip_prefix_contains(&side->addr, &h.dst);
    to.ip = near ? h.dst : r->gateway;
    if (!near && (side == &r->inside || tarn_ip_addr_is_any(&r->gateway))) {
        drop(pkt, &r->stats.no_route);
        return;
    }
    count_hop(pkt, &h);
    if (pkt->csum_state == TARN_CSUM_VERIFIED) /* right, and a receiver's word */
        pkt->csum_state = TARN_CSUM_NONE;
    r->stats.forwarded++;
    struct tarn_link *link = tarn_ethernet_link(side->ethernet);
    (void)!link->ops->send(link, &to, pkt, now); /* full: a packet may be lost */
}

static void to_box(struct router_side *side, const struct tarn_link_meta *meta, unsigned version,
                   struct tarn_pkt *pkt, tarn_time now) {
    side->router->stats.for_us++;
    side->link.user->ops->input(side->link.user, meta, version, pkt, now);
}

/* Whether the packet is to go through the box rather than to it. */
static bool goes_on(const struct router_side *side, const struct tarn_link_meta *meta,
                    unsigned version, const struct tarn_pkt *pkt) {
    struct header h;
    if (version != 4 || meta->cast != TARN_LINK_TO_US || !read_header(pkt, &h))
        return false;
    return side->from == TARN_FILTER_IN || !tarn_ip_prefix_contains(&side->addr, &h.dst);
}

static void side_input(struct tarn_link_user *user, const struct tarn_link_meta *meta,
                       unsigned version, struct tarn_pkt *pkt, tarn_time now) {
    struct router_side *side = TARN_CONTAINER_OF(user, struct router_side, user);
    struct router *r = side->router;
    if (!goes_on(side, meta, version, pkt)) {
        to_box(side, meta, version, pkt, now);
        return;
    }
    switch (tarn_filter_packet(r->filter, side->from, pkt, now)) {
    case TARN_FILTER_PASS:
        send_to(side->from == TARN_FILTER_OUT ? &r->outside : &r->inside, pkt, now);
        break;
    case TARN_FILTER_TURN: send_to(&r->inside, pkt, now); break;
    case TARN_FILTER_HERE: to_box(side, meta, version, pkt, now); break;
    case TARN_FILTER_DROP: tarn_pkt_free(pkt); break;
    }
}

static void side_addr_event(struct tarn_link_user *user, const struct tarn_ip_addr *addr,
                            enum tarn_link_addr_event event, const uint8_t mac[6], tarn_time now) {
    struct tarn_link_user *ip = TARN_CONTAINER_OF(user, struct router_side, user)->link.user;
    if (ip->ops->addr_event)
        ip->ops->addr_event(ip, addr, event, mac, now);
}

static const struct tarn_link_user_ops side_user_ops = {.input = side_input,
                                                        .addr_event = side_addr_event};

/* -- the box's own IP stands on these -----------------------------------------------------------
 */

static struct tarn_link *below(struct tarn_link *link) {
    return tarn_ethernet_link(TARN_CONTAINER_OF(link, struct router_side, link)->ethernet);
}

static enum tarn_err side_send(struct tarn_link *link, const struct tarn_link_dst *dst,
                               struct tarn_pkt *pkt, tarn_time now) {
    return below(link)->ops->send(below(link), dst, pkt, now);
}

static enum tarn_err side_own_addr(struct tarn_link *link, const struct tarn_ip_addr *addr,
                                   bool add, bool probe, tarn_time now) {
    return below(link)->ops->own_addr(below(link), addr, add, probe, now);
}

static enum tarn_err side_join(struct tarn_link *link, const struct tarn_ip_addr *group, bool add) {
    return below(link)->ops->join(below(link), group, add);
}

static const struct tarn_link_ops side_link_ops = {
    .send = side_send, .own_addr = side_own_addr, .join = side_join};

/* -- making it ----------------------------------------------------------------------------------
 */

static enum tarn_err make_side(struct router *r, struct router_side *side,
                               const struct router_config *config, struct tarn_netif *netif,
                               tarn_time now) {
    struct tarn_offload_config edge = {
        .alloc = config->alloc, .below = netif, .pkts = config->pkts};
    struct tarn_ethernet_config ethernet = {
        .alloc = config->alloc, .random = config->random, .pkts = config->pkts};
    unsigned iface;
    enum tarn_err err = tarn_offload_new(&edge, &side->edge);
    if (err)
        return err;
    ethernet.netif = tarn_offload_netif(side->edge);
    if ((err = tarn_ethernet_new(&ethernet, &side->ethernet)))
        return err;
    struct tarn_link *link = tarn_ethernet_link(side->ethernet);
    side->router = r;
    side->link = *link; /* MTU, features and address are Ethernet's */
    side->link.ops = &side_link_ops;
    side->user.ops = &side_user_ops;
    link->user = &side->user;
    if ((err = tarn_ip_add_link(r->ip, &side->link, &iface)))
        return err;
    return tarn_ip_addr_add(r->ip, iface, &side->addr, false, now);
}

static enum tarn_err make_box(struct router *r, const struct router_config *config) {
    struct tarn_ip_config ip = {.alloc = config->alloc,
                                .random = config->random,
                                .pkts = config->pkts,
                                .tasks = config->tasks};
    enum tarn_err err = tarn_ip_new(&ip, &r->ip);
    if (err)
        return err;
    struct tarn_udp_config udp = {.alloc = config->alloc,
                                  .random = config->random,
                                  .tasks = config->tasks,
                                  .pkts = config->pkts,
                                  .lower = tarn_ip_lower(r->ip)};
    if ((err = tarn_udp_new(&udp, &r->udp)))
        return err;
    tarn_ip_register(r->ip, TARN_IP_PROTO_UDP, tarn_udp_upper(r->udp));
    struct tarn_filter_config filter = {.alloc = config->alloc,
                                        .random = config->random,
                                        .rules = config->rules,
                                        .rule_count = config->rule_count,
                                        .translate = true,
                                        .outside = config->outside.addr,
                                        .port_max = NAT_PORT_MAX};
    return tarn_filter_new(&filter, &r->filter);
}

enum tarn_err router_init(struct router *r, const struct router_config *config, tarn_time now) {
    *r = (struct router){.gateway = config->gateway,
                         .inside = {.addr = config->inside, .from = TARN_FILTER_OUT},
                         .outside = {.addr = config->outside, .from = TARN_FILTER_IN}};
    enum tarn_err err = make_box(r, config);
    if (!err)
        err = make_side(r, &r->inside, config, config->inside_netif, now);
    if (!err)
        err = make_side(r, &r->outside, config, config->outside_netif, now);
    if (err || tarn_ip_addr_is_any(&config->gateway))
        return err;
    struct tarn_ip_route_entry route = {
        .prefix = {TARN_IP_ADDR_V4(0, 0, 0, 0), 0}, .gateway = config->gateway, .iface = 1};
    return tarn_ip_route_add(r->ip, &route);
}

static void flush(struct router_side *side, tarn_time now) {
    tarn_ethernet_tick(side->ethernet, now);
    tarn_ethernet_flush(side->ethernet, now);
    if (tarn_offload_is_waiting(side->edge))
        tarn_offload_flush(side->edge);
}

void router_input(struct router *r, tarn_time now) {
    size_t in = tarn_ethernet_poll(r->inside.ethernet, FRAMES_A_POLL, now);
    size_t out = tarn_ethernet_poll(r->outside.ethernet, FRAMES_A_POLL, now);
    r->more = in >= FRAMES_A_POLL || out >= FRAMES_A_POLL;
}

void router_flush(struct router *r, tarn_time now) {
    tarn_udp_tick(r->udp, now);
    tarn_ip_tick(r->ip, now);
    tarn_filter_tick(r->filter, now);
    flush(&r->inside, now);
    flush(&r->outside, now);
}

tarn_time router_deadline(const struct router *r) {
    if (r->more || tarn_offload_is_waiting(r->inside.edge)
        || tarn_offload_is_waiting(r->outside.edge))
        return 0;
    tarn_time at = TARN_MIN(tarn_udp_deadline(r->udp), tarn_ip_deadline(r->ip));
    at = TARN_MIN(at, tarn_filter_deadline(r->filter));
    at = TARN_MIN(at, tarn_ethernet_deadline(r->inside.ethernet));
    return TARN_MIN(at, tarn_ethernet_deadline(r->outside.ethernet));
}
