/* SPDX-License-Identifier: ISC */
#include "internal.h"

#define TABLE_BYTES_DEFAULT (1u << 20)
#define EXPIRE_AT_A_PACKET 2u
#define EXPIRE_AT_A_TICK 256u

/* A flow with a mapping of its own, its places in three tables, and what the pools need for each.
 */
static uint32_t flows_for(size_t bytes) {
    size_t each = sizeof(struct flow) + sizeof(struct mapping) + 2 * 2 * sizeof(uint32_t)
                  + 3 * 2 * sizeof(struct tarn_map_link *);
    return (uint32_t)TARN_MIN(TARN_MAX(bytes / each, (size_t)1), (size_t)1 << 24);
}

enum tarn_err tarn_filter_new(const struct tarn_filter_config *config, struct tarn_filter **out) {
    enum tarn_err err;
    if (config->rule_count > TARN_FILTER_RULES_MAX)
        return TARN_INVALID;
    struct tarn_filter *f = TARN_NEW(config->alloc, struct tarn_filter);
    if (!f)
        return TARN_LIMIT;
    f->config = *config;
    struct tarn_filter_config *c = &f->config;
    c->table_bytes = c->table_bytes ? c->table_bytes : TABLE_BYTES_DEFAULT;
    c->port_min = c->port_min ? c->port_min : 1024;
    c->port_max = c->port_max ? c->port_max : 65535;
    if (c->port_min > c->port_max)
        return TARN_INVALID;
    for (size_t i = 0; i < c->rule_count; i++)
        TARN_AT(f->rules, i) = TARN_AT_N(config->rules, config->rule_count, i);
    tarn_hash_key_init(&f->key, c->random);
    uint32_t n = flows_for(c->table_bytes);
    if ((err = tarn_pool_init(&f->flows, c->alloc, sizeof(struct flow), _Alignof(struct flow), n))
        || (err = tarn_pool_init(&f->mappings, c->alloc, sizeof(struct mapping),
                                 _Alignof(struct mapping), n + TARN_FILTER_FORWARDS_MAX))
        || (err = tarn_map_init(&f->by_flow, c->alloc, n))
        || (err = tarn_map_init(&f->by_inside, c->alloc, n))
        || (err = tarn_map_init(&f->by_port, c->alloc, n)))
        return err;
    *out = f;
    return TARN_OK;
}

/* -- rules --------------------------------------------------------------------------------------
 */

static bool prefix_fits(const struct tarn_ip_prefix *p, const struct tarn_ip_addr *a) {
    const struct tarn_ip_addr none = TARN_IP_ADDR_NONE;
    return (p->bits == 0 && tarn_ip_addr_equal(&p->addr, &none)) || tarn_ip_prefix_contains(p, a);
}

static bool accepts(struct tarn_filter *f, enum tarn_filter_direction direction, uint8_t proto,
                    const struct tarn_endpoint *src, const struct tarn_endpoint *dst) {
    bool accept = direction == TARN_FILTER_OUT && !f->config.refuse_out;
    for (size_t i = 0; i < f->config.rule_count; i++) {
        const struct tarn_filter_rule *r = &TARN_AT(f->rules, i);
        bool any_port = r->dst_port_min == 0 && r->dst_port_max == 0;
        if (r->direction != direction || (r->proto && r->proto != proto)
            || !prefix_fits(&r->src, &src->addr) || !prefix_fits(&r->dst, &dst->addr)
            || (!any_port && (dst->port < r->dst_port_min || dst->port > r->dst_port_max)))
            continue;
        accept = r->accept;
        break;
    }
    f->stats.refused += !accept;
    return accept;
}

/* -- packets ------------------------------------------------------------------------------------
 */

static struct tarn_endpoint outside_of(const struct tarn_filter *f, const struct mapping *m) {
    return (struct tarn_endpoint){f->config.outside, m->port};
}

/* Of an ICMP query only the inside's end has a port, the identifier. */
static struct tarn_endpoint remote_end(const struct view *v, const struct tarn_endpoint *end) {
    bool icmp = v->proto == TARN_IP_PROTO_ICMP || v->proto == TARN_IP_PROTO_ICMPV6;
    return (struct tarn_endpoint){end->addr, icmp ? 0 : end->port};
}

static bool may_open(struct tarn_filter *f, const struct view *v) {
    bool icmp = v->proto == TARN_IP_PROTO_ICMP || v->proto == TARN_IP_PROTO_ICMPV6;
    bool opens = v->proto == TARN_IP_PROTO_TCP
                     ? (v->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN
                     : !icmp || v->icmp_request;
    f->stats.no_flow += !opens;
    return opens;
}

static bool translates(const struct tarn_filter *f, const struct view *v) {
    return v->v4 && f->config.translate;
}

static enum tarn_filter_verdict out_flow(struct tarn_filter *f, struct tarn_pkt *pkt,
                                         const struct view *v, tarn_time now) {
    struct tarn_endpoint remote = remote_end(v, &v->dst);
    struct flow *flow = filter_find_flow(f, v->proto, &v->src, &remote);
    if (!flow) {
        if (!may_open(f, v) || !accepts(f, TARN_FILTER_OUT, v->proto, &v->src, &v->dst))
            return TARN_FILTER_DROP;
        flow = filter_open(f, v->proto, &v->src, &remote, translates(f, v), now);
        if (!flow)
            return TARN_FILTER_DROP;
    }
    filter_refresh(f, flow, v, TARN_FILTER_OUT, now);
    if (flow->mapping) {
        struct tarn_endpoint outside = outside_of(f, flow->mapping);
        filter_rewrite(pkt, v, true, &outside);
    }
    return TARN_FILTER_PASS;
}

/* The flow that a packet from outside is for; with one that is to be opened, a rule or the
 * mapping's openness decides. NULL: none. */
static struct flow *flow_from_outside(struct tarn_filter *f, const struct view *v,
                                      const struct tarn_endpoint *inside, struct mapping *m,
                                      tarn_time now) {
    struct tarn_endpoint remote = remote_end(v, &v->src);
    struct flow *flow = filter_find_flow(f, v->proto, inside, &remote);
    if (flow)
        return flow;
    bool open = m && !m->forward && v->proto == TARN_IP_PROTO_UDP
                && f->config.endpoint_independent_filtering;
    if (!open && m && !m->forward) { /* the mapping is another conversation's */
        f->stats.refused++;
        return NULL;
    }
    if (!may_open(f, v) || (!open && !accepts(f, TARN_FILTER_IN, v->proto, &remote, inside)))
        return NULL;
    return filter_open(f, v->proto, inside, &remote, m != NULL, now);
}

static enum tarn_filter_verdict in_flow(struct tarn_filter *f, struct tarn_pkt *pkt,
                                        const struct view *v, tarn_time now) {
    struct tarn_endpoint inside = v->dst;
    struct mapping *m = NULL;
    if (translates(f, v)) {
        if (!tarn_ip_addr_equal(&v->dst.addr, &f->config.outside)) {
            f->stats.refused++;
            return TARN_FILTER_DROP;
        }
        m = filter_find_port(f, v->proto, v->dst.port);
        if (!m)
            return TARN_FILTER_HERE;
        inside = m->inside;
    }
    struct flow *flow = flow_from_outside(f, v, &inside, m, now);
    if (!flow)
        return TARN_FILTER_DROP;
    filter_refresh(f, flow, v, TARN_FILTER_IN, now);
    if (m)
        filter_rewrite(pkt, v, false, &inside);
    return TARN_FILTER_PASS;
}

/* -- ICMP errors (RFC 5508 section 4) -----------------------------------------------------------
 */

static enum tarn_filter_verdict bad_icmp(struct tarn_filter *f) {
    f->stats.bad_icmp++;
    return TARN_FILTER_DROP;
}

/* From outside about something that the inside sent: what is quoted has the outside address. */
static enum tarn_filter_verdict in_error(struct tarn_filter *f, struct tarn_pkt *pkt,
                                         const struct view *v, const struct view *q) {
    struct tarn_endpoint inside = q->src, remote = remote_end(q, &q->dst);
    struct mapping *m = NULL;
    if (translates(f, v)) {
        if (!tarn_ip_addr_equal(&q->src.addr, &f->config.outside)
            || !tarn_ip_addr_equal(&v->dst.addr, &f->config.outside)
            || !(m = filter_find_port(f, q->proto, q->src.port)))
            return TARN_FILTER_HERE;
        inside = m->inside;
    }
    if (!filter_find_flow(f, q->proto, &inside, &remote))
        return bad_icmp(f);
    if (m) {
        filter_rewrite(pkt, q, true, &inside);
        filter_rewrite_addr(pkt, v, false, &inside.addr);
        filter_icmp_csum_renew(pkt, v);
    }
    return TARN_FILTER_PASS;
}

/* From inside about something that came in: what is quoted has the inside address, and whichever
 * host or router of the inside says so, the world hears it from the outside address. */
static enum tarn_filter_verdict out_error(struct tarn_filter *f, struct tarn_pkt *pkt,
                                          const struct view *v, const struct view *q) {
    struct tarn_endpoint remote = remote_end(q, &q->src);
    struct flow *flow = filter_find_flow(f, q->proto, &q->dst, &remote);
    if (!flow)
        return bad_icmp(f);
    if (flow->mapping) {
        struct tarn_endpoint outside = outside_of(f, flow->mapping);
        filter_rewrite(pkt, q, false, &outside);
        filter_rewrite_addr(pkt, v, true, &outside.addr);
        filter_icmp_csum_renew(pkt, v);
    }
    return TARN_FILTER_PASS;
}

static enum tarn_filter_verdict on_error(struct tarn_filter *f,
                                         enum tarn_filter_direction direction, struct tarn_pkt *pkt,
                                         const struct view *v) {
    struct view q;
    if (!filter_parse_quoted(pkt, v, &q) || (v->v4 && !filter_icmp_csum_ok(pkt, v)))
        return bad_icmp(f);
    return direction == TARN_FILTER_OUT ? out_error(f, pkt, v, &q) : in_error(f, pkt, v, &q);
}

/* Protocols without ports: only rules speak about them, packet by packet; they are not translated.
 */
static enum tarn_filter_verdict other(struct tarn_filter *f, enum tarn_filter_direction direction,
                                      const struct view *v) {
    if (translates(f, v)) {
        if (direction == TARN_FILTER_IN && tarn_ip_addr_equal(&v->dst.addr, &f->config.outside))
            return TARN_FILTER_HERE;
        f->stats.refused++;
        return TARN_FILTER_DROP;
    }
    return accepts(f, direction, v->proto, &v->src, &v->dst) ? TARN_FILTER_PASS : TARN_FILTER_DROP;
}

static enum tarn_filter_verdict dispatch(struct tarn_filter *f,
                                         enum tarn_filter_direction direction, struct tarn_pkt *pkt,
                                         const struct view *v, tarn_time now) {
    switch (v->kind) {
    case PACKET_FLOW:
        return direction == TARN_FILTER_OUT ? out_flow(f, pkt, v, now) : in_flow(f, pkt, v, now);
    case PACKET_ERROR: return on_error(f, direction, pkt, v);
    default: return other(f, direction, v);
    }
}

/* RFC 4787 REQ-9: what the inside sends to the outside address goes out and comes in again, with
 * the sender's outside address and port as its source. */
static enum tarn_filter_verdict hairpin(struct tarn_filter *f, struct tarn_pkt *pkt,
                                        tarn_time now) {
    struct view v;
    if (!filter_parse(pkt, &v))
        return TARN_FILTER_DROP;
    enum tarn_filter_verdict verdict = dispatch(f, TARN_FILTER_IN, pkt, &v, now);
    return verdict == TARN_FILTER_PASS ? TARN_FILTER_TURN : TARN_FILTER_DROP;
}

static enum tarn_filter_verdict judge(struct tarn_filter *f, enum tarn_filter_direction direction,
                                      struct tarn_pkt *pkt, tarn_time now) {
    struct view v;
    if (!filter_parse(pkt, &v)) {
        f->stats.malformed++;
        return TARN_FILTER_DROP;
    }
    if (v.fragment) {
        f->stats.fragments++;
        return TARN_FILTER_DROP;
    }
    if (translates(f, &v) && tarn_ip_addr_is_any(&f->config.outside)) {
        f->stats.no_address++;
        return TARN_FILTER_DROP;
    }
    bool turns = direction == TARN_FILTER_OUT && translates(f, &v)
                 && tarn_ip_addr_equal(&v.dst.addr, &f->config.outside);
    if (turns
        && (v.kind == PACKET_OTHER
            || (v.kind == PACKET_FLOW && !filter_find_port(f, v.proto, v.dst.port))))
        return TARN_FILTER_HERE;
    enum tarn_filter_verdict verdict = dispatch(f, direction, pkt, &v, now);
    return turns && verdict == TARN_FILTER_PASS ? hairpin(f, pkt, now) : verdict;
}

enum tarn_filter_verdict tarn_filter_packet(struct tarn_filter *f,
                                            enum tarn_filter_direction direction,
                                            struct tarn_pkt *pkt, tarn_time now) {
    filter_expire(f, now, EXPIRE_AT_A_PACKET);
    enum tarn_filter_verdict verdict = judge(f, direction, pkt, now);
    f->stats.passed += verdict == TARN_FILTER_PASS;
    f->stats.turned += verdict == TARN_FILTER_TURN;
    return verdict;
}

/* -- the rest -----------------------------------------------------------------------------------
 */

void tarn_filter_set_outside(struct tarn_filter *f, const struct tarn_ip_addr *outside) {
    if (tarn_ip_addr_equal(&f->config.outside, outside))
        return;
    f->config.outside = *outside;
    for (unsigned class = 0; class < CLASSES; class ++) {
        struct flow *flow = TARN_AT(f->lists, class).first, *next;
        for (; flow; flow = next) {
            next = flow->next;
            if (flow->mapping)
                filter_close(f, flow);
        }
    }
}

enum tarn_err tarn_filter_forward(struct tarn_filter *f, uint8_t proto, uint16_t port,
                                  const struct tarn_endpoint *inside) {
    if ((proto != TARN_IP_PROTO_TCP && proto != TARN_IP_PROTO_UDP) || port == 0)
        return TARN_INVALID;
    if (f->forwards == TARN_FILTER_FORWARDS_MAX || filter_find_port(f, proto, port))
        return TARN_LIMIT;
    struct mapping *m = filter_map(f, proto, inside, port);
    if (!m)
        return TARN_LIMIT;
    m->forward = true;
    f->forwards++;
    return TARN_OK;
}

void tarn_filter_tick(struct tarn_filter *f, tarn_time now) {
    filter_expire(f, now, EXPIRE_AT_A_TICK);
}

tarn_time tarn_filter_deadline(const struct tarn_filter *f) {
    tarn_time next = TARN_NEVER;
    for (unsigned class = 0; class < CLASSES; class ++) {
        const struct flow *flow = TARN_AT(f->lists, class).first;
        if (flow)
            next = TARN_MIN(next, tarn_time_after(flow->last, filter_class_timeout(class)));
    }
    return next;
}

uint32_t tarn_filter_flow_count(const struct tarn_filter *f) {
    return f->flows.live;
}

uint32_t tarn_filter_flows_max(const struct tarn_filter *f) {
    return f->flows.count;
}

const struct tarn_filter_stats *tarn_filter_stats(const struct tarn_filter *f) {
    return &f->stats;
}
