/* SPDX-License-Identifier: ISC */
/* IPv6 input: the header and the chain of extension headers (RFC 8200 section 4). The chain is
 * bounded in headers and bytes, as RFC 8504 section 5.3 allows. */
#include "internal.h"

#define CHAIN_HEADERS_MAX 8
#define CHAIN_BYTES_MAX 1024u

bool ipv6_parse(struct tarn_span s, struct ipv6_header *h) {
    uint32_t first;
    if (!tarn_span_u32be(&s, &first) || !tarn_span_u16be(&s, &h->payload)
        || !tarn_span_u8(&s, &h->next) || !tarn_span_u8(&s, &h->hops)
        || !tarn_span_ipv6(&s, &h->src) || !tarn_span_ipv6(&s, &h->dst))
        return false;
    h->tos = (uint8_t)(first >> 20);
    return first >> 28 == 6;
}

static void drop(struct tarn_pkt *pkt, uint64_t *counter) {
    ++*counter;
    tarn_pkt_free(pkt);
}

/* Addresses that no packet on a wire has. An IPv4-mapped one would here be taken for IPv4's. */
static bool is_martian(const struct tarn_ip *ip, const struct ipv6_header *h) {
    /* From an address of ours that is not yet in use: the news that somebody else has it. */
    const struct own *own = own_find(ip, &h->src, NULL);
    return tarn_ip_addr_is_multicast(&h->src) || tarn_ip_addr_is_loopback(&h->src)
           || tarn_ip_addr_is_loopback(&h->dst) || tarn_ip_addr_is_any(&h->dst)
           || tarn_ip_addr_is_v4(&h->src) || tarn_ip_addr_is_v4(&h->dst)
           || (own && own_is_usable(own));
}

static bool is_ours(const struct tarn_ip *ip, const struct iface *iface,
                    const struct tarn_link_meta *meta, const struct ipv6_header *h, uint8_t *cast) {
    if (tarn_ip_addr_is_multicast(&h->dst)) {
        *cast = TARN_LINK_TO_GROUP;
        return group_is_joined(ip, iface, &h->dst);
    }
    const struct own *own = own_find(ip, &h->dst, iface);
    *cast = TARN_LINK_TO_US;
    bool ours = (own && own_is_usable(own)) || stands_in_for(ip, iface, &h->dst);
    return ours && meta->cast == TARN_LINK_TO_US;
}

/* Where the walk along the chain is. */
struct chain {
    size_t at, next_at; /* the header; the byte that named it */
    uint8_t next;
    unsigned count;
    bool fragmented, router_alert;
    struct tarn_span frag; /* of the fragment header, once met */
};

enum walk {
    WALK_UPPER,    /* `next` is the transport, at `at` */
    WALK_FRAGMENT, /* a fragment header, at `at` */
    WALK_SHORT,    /* the packet ends inside the chain */
    WALK_DROP,
    WALK_PARAMETER /* to be answered: code and pointer are set */
};
struct problem {
    uint8_t code;
    uint32_t pointer;
    bool even_groups; /* also where it was sent to a group */
};

/* Options of a hop-by-hop or destination header (RFC 8200 section 4.2): the top two bits of an
 * unknown one say what is to be done. Router Alert is the one that means something to a host: that
 * the packet has not passed a router (RFC 3810 section 6.2). */
static enum walk walk_options(struct tarn_span s, struct chain *c, struct problem *p) {
    size_t at = c->at + 2, whole = s.len;
    uint8_t type, len;
    while (tarn_span_u8(&s, &type)) {
        size_t option_at = at + (whole - s.len) - 1;
        if (type == 0)
            continue;
        if (!tarn_span_u8(&s, &len) || !tarn_span_skip(&s, len)) {
            *p = (struct problem){.code = 0, .pointer = (uint32_t)option_at};
            return WALK_PARAMETER;
        }
        if (type == IPV6_OPTION_ROUTER_ALERT && c->next == IPV6_HOP_BY_HOP)
            c->router_alert = true;
        if (type == 1 || type >> 6 == 0)
            continue;
        if (type >> 6 == 1)
            return WALK_DROP;
        *p = (struct problem){
            .code = 2, .pointer = (uint32_t)option_at, .even_groups = type >> 6 == 2};
        return WALK_PARAMETER;
    }
    return WALK_UPPER;
}

static enum walk walk_one(struct tarn_span packet, struct chain *c, struct problem *p) {
    struct tarn_span s = tarn_span_after(packet, c->at), body;
    uint8_t next, len, type, left;
    if (!tarn_span_u8(&s, &next) || !tarn_span_u8(&s, &len))
        return WALK_SHORT;
    if (!tarn_span_take(&s, len * 8u + 6u, &body))
        return WALK_SHORT;
    if (c->next == IPV6_ROUTING) {
        /* Done with, it is passed over; otherwise we are asked to forward, and type 0 even to play
         * ping-pong (RFC 5095). */
        if (!tarn_span_u8(&body, &type) || !tarn_span_u8(&body, &left))
            return WALK_SHORT;
        if (left != 0) {
            *p = (struct problem){.code = 0, .pointer = (uint32_t)c->at + 2};
            return WALK_PARAMETER;
        }
    } else {
        enum walk w = walk_options(body, c, p);
        if (w != WALK_UPPER)
            return w;
    }
    c->next_at = c->at;
    c->next = next;
    c->at += len * 8u + 8u;
    return WALK_UPPER;
}

/* From where the chain is to the transport's header or a fragment header. */
static enum walk walk(struct tarn_span packet, struct chain *c, struct problem *p) {
    for (;; c->count++) {
        bool first = c->at == IPV6_HEADER_BYTES;
        if (c->next == IPV6_FRAGMENT)
            return WALK_FRAGMENT;
        if (c->next == IPV6_HOP_BY_HOP && !first) {
            *p = (struct problem){.code = 1, .pointer = (uint32_t)c->next_at};
            return WALK_PARAMETER;
        }
        if (c->next != IPV6_HOP_BY_HOP && c->next != IPV6_ROUTING && c->next != IPV6_OPTIONS)
            return WALK_UPPER;
        if (c->count == CHAIN_HEADERS_MAX || c->at > CHAIN_BYTES_MAX)
            return WALK_DROP;
        enum walk w = walk_one(packet, c, p);
        if (w != WALK_UPPER)
            return w;
    }
}

/* RFC 7112 section 5: the first fragment has all headers up to and with the transport's. */
static bool first_fragment_is_whole(struct tarn_span packet, struct chain c) {
    struct problem unused;
    c.next = tarn_span_at(c.frag, 0);
    c.next_at = c.at;
    c.at += 8;
    if (walk(packet, &c, &unused) != WALK_UPPER || c.at > packet.len)
        return false;
    size_t need = c.next == TARN_IP_PROTO_TCP                                     ? 20
                  : c.next == TARN_IP_PROTO_UDP || c.next == TARN_IP_PROTO_ICMPV6 ? 8
                                                                                  : 0;
    return packet.len - c.at >= need;
}

/* Takes the fragment header out: what is in front of it moves up against what is behind it. */
static void remove_fragment_header(struct tarn_pkt *pkt, const struct chain *c) {
    struct tarn_bytes head = tarn_pkt_head_bytes(pkt);
    *tarn_bytes_at(head, c->next_at) = tarn_span_at(c->frag, 0);
    struct tarn_span front = tarn_span_first(tarn_bytes_span(head), c->at);
    (void)tarn_bytes_move(tarn_bytes_after(head, 8), front);
    TARN_ASSERT(tarn_pkt_pull(pkt, 8));
}

static void set_payload_length(struct tarn_pkt *pkt) {
    struct tarn_writer w = tarn_writer_over(tarn_pkt_head_bytes(pkt));
    w.len = w.cap;
    tarn_writer_patch_u16be(&w, 4, (uint16_t)(pkt->len - IPV6_HEADER_BYTES));
}

/* A fragment: the datagram once it is whole, again from its IPv6 header on, or NULL. */
static struct tarn_pkt *reassemble(struct tarn_ip *ip, struct iface *iface,
                                   const struct ipv6_header *h, uint8_t cast, const struct chain *c,
                                   struct tarn_pkt *pkt, tarn_time now) {
    struct tarn_span s = tarn_span_after(c->frag, 2);
    struct tarn_span packet = tarn_pkt_head(pkt);
    struct reass_key key = {.src = h->src, .dst = h->dst, .iface = iface->index};
    uint16_t field = 0, header_bytes = 0;
    TARN_ASSERT(tarn_span_u16be(&s, &field) && tarn_span_u32be(&s, &key.id));
    uint32_t off = field & 0xfff8u;
    bool more = field & 1;
    size_t data = packet.len - c->at - 8;
    if (off == 0 && !first_fragment_is_whole(packet, *c)) {
        icmpv6_error(ip, iface, pkt, ICMPV6_PARAMETER, 3, 0, now);
        drop(pkt, &ip->stats.drops_fragment);
        return NULL;
    }
    if (off == 0 && !more) {
        /* RFC 6946 section 4: an atomic fragment is by itself, whatever is being put together. */
        remove_fragment_header(pkt, c);
        set_payload_length(pkt);
        return pkt;
    }
    if ((more && data % 8 != 0) || off + data > 65535) {
        icmpv6_error(ip, iface, pkt, ICMPV6_PARAMETER, 0,
                     more && data % 8 != 0 ? 4 : (uint32_t)c->at + 2, now);
        drop(pkt, &ip->stats.drops_fragment);
        return NULL;
    }
    remove_fragment_header(pkt, c);
    TARN_ASSERT(tarn_pkt_pull(pkt, c->at));
    pkt = reass_add(ip, &key, off, more, (uint16_t)c->at, cast, pkt, &header_bytes, now);
    if (!pkt)
        return NULL;
    (void)tarn_pkt_prepend(pkt, header_bytes);
    set_payload_length(pkt);
    return pkt;
}

static void deliver(struct tarn_ip *ip, struct iface *iface, const struct ipv6_header *h,
                    uint8_t cast, const struct chain *c, struct tarn_pkt *pkt, tarn_time now) {
    struct tarn_ip_upper *upper = TARN_AT(ip->uppers, c->next);
    struct tarn_ip_meta meta = {.src = h->src,
                                .dst = h->dst,
                                .proto = c->next,
                                .hops = h->hops,
                                .tos = h->tos,
                                .no_fragment = true,
                                .cast = cast,
                                .iface = iface->index,
                                .header_len = (uint16_t)c->at};
    if (c->next != TARN_IP_PROTO_ICMPV6 && !upper) {
        if (c->next != IPV6_NONE)
            icmpv6_error(ip, iface, pkt, ICMPV6_PARAMETER, 1, (uint32_t)c->next_at, now);
        drop(pkt, &ip->stats.drops_protocol);
        return;
    }
    if (!tarn_pkt_pull(pkt, c->at)) {
        drop(pkt, &ip->stats.drops_header);
        return;
    }
    struct icmpv6_context context = {c->fragmented, c->router_alert};
    if (c->next == TARN_IP_PROTO_ICMPV6)
        icmpv6_input(ip, iface, &meta, context, pkt, now);
    else if (cast == TARN_LINK_TO_GROUP && !group_hears(ip, iface, &h->dst, &h->src))
        drop(pkt, &ip->stats.drops_source);
    else
        ip_deliver(ip, upper, &meta, pkt, now);
}

/* Walks the chain, through at most one fragment header, and hands the rest up. */
static void process(struct tarn_ip *ip, struct iface *iface, const struct ipv6_header *h,
                    uint8_t cast, struct tarn_pkt *pkt, tarn_time now) {
    struct chain c = {.at = IPV6_HEADER_BYTES, .next_at = 6, .next = h->next};
    struct problem problem = {0};
    enum walk w = walk(tarn_pkt_head(pkt), &c, &problem);
    if (w == WALK_FRAGMENT) {
        if (!tarn_span_sub(tarn_pkt_head(pkt), c.at, 8, &c.frag)) {
            drop(pkt, &ip->stats.drops_header);
            return;
        }
        pkt = reassemble(ip, iface, h, cast, &c, pkt, now);
        if (!pkt)
            return;
        struct tarn_span packet = tarn_pkt_head(pkt);
        c = (struct chain){.at = IPV6_HEADER_BYTES,
                           .next_at = 6,
                           .next = tarn_span_at(packet, 6),
                           .fragmented = true};
        w = walk(packet, &c, &problem);
        /* A second fragment header inside the first is nobody's honest work. */
        if (w == WALK_FRAGMENT)
            w = WALK_DROP;
    }
    switch (w) {
    case WALK_UPPER: deliver(ip, iface, h, cast, &c, pkt, now); return;
    case WALK_PARAMETER:
        if (cast == TARN_LINK_TO_US || problem.even_groups)
            icmpv6_error(ip, iface, pkt, ICMPV6_PARAMETER, problem.code, problem.pointer, now);
        drop(pkt, &ip->stats.drops_options);
        return;
    case WALK_SHORT: drop(pkt, &ip->stats.drops_header); return;
    default: drop(pkt, &ip->stats.drops_options); return;
    }
}

void ipv6_input(struct tarn_ip *ip, struct iface *iface, const struct tarn_link_meta *meta,
                struct tarn_pkt *pkt, tarn_time now) {
    struct ipv6_header h;
    uint8_t cast = TARN_LINK_TO_US;
    if (!ipv6_parse(tarn_pkt_head(pkt), &h) || h.payload > pkt->len - IPV6_HEADER_BYTES) {
        drop(pkt, &ip->stats.drops_header);
        return;
    }
    tarn_pkt_trim(pkt, IPV6_HEADER_BYTES + (size_t)h.payload);
    if (meta) {
        if (is_martian(ip, &h)) {
            drop(pkt, &ip->stats.drops_martian);
            return;
        }
        if (ip->forwarder && meta->cast == TARN_LINK_TO_US && !tarn_ip_addr_is_multicast(&h.dst)) {
            pkt = forward_ipv6(ip, iface, &h, pkt, now);
            if (!pkt)
                return;
        } else if (!is_ours(ip, iface, meta, &h, &cast)) {
            drop(pkt, &ip->stats.drops_destination);
            return;
        }
    } else if (tarn_ip_addr_is_multicast(&h.dst)) {
        cast = TARN_LINK_TO_GROUP;
    }
    process(ip, iface, &h, cast, pkt, now);
}
