/* SPDX-License-Identifier: ISC */
/* The tables: flows, mappings, who is silent longest. */
#include "internal.h"

#define PORT_TRIES 64u

tarn_time filter_class_timeout(unsigned class) {
    switch (class) {
    case CLASS_TCP_TRANSITORY: return TARN_SEC(TARN_FILTER_TCP_TRANSITORY_SECONDS);
    case CLASS_ICMP: return TARN_SEC(TARN_FILTER_ICMP_SECONDS);
    case CLASS_UDP: return TARN_SEC(TARN_FILTER_UDP_SECONDS);
    default: return TARN_SEC(TARN_FILTER_TCP_ESTABLISHED_SECONDS);
    }
}

static bool same_endpoint(const struct tarn_endpoint *a, const struct tarn_endpoint *b) {
    return a->port == b->port && tarn_ip_addr_equal(&a->addr, &b->addr);
}

static uint64_t flow_hash(const struct tarn_filter *f, uint8_t proto,
                          const struct tarn_endpoint *inside, const struct tarn_endpoint *remote) {
    struct {
        struct tarn_ip_addr inside, remote;
        uint16_t inside_port, remote_port;
        uint32_t proto;
    } key = {inside->addr, remote->addr, inside->port, remote->port, proto};
    return tarn_hash(&f->key, tarn_span_of(&key, sizeof key));
}

static uint64_t inside_hash(const struct tarn_filter *f, uint8_t proto,
                            const struct tarn_endpoint *inside) {
    static const struct tarn_endpoint none = {TARN_IP_ADDR_NONE, 0};
    return flow_hash(f, proto, inside, &none);
}

static uint64_t port_hash(const struct tarn_filter *f, uint8_t proto, uint16_t port) {
    uint32_t key = (uint32_t)proto << 16 | port;
    return tarn_hash(&f->key, tarn_span_of(&key, sizeof key));
}

struct flow *filter_find_flow(struct tarn_filter *f, uint8_t proto,
                              const struct tarn_endpoint *inside,
                              const struct tarn_endpoint *remote) {
    struct tarn_map_link *link = tarn_map_first(&f->by_flow, flow_hash(f, proto, inside, remote));
    for (; link; link = tarn_map_following(link)) {
        struct flow *flow = TARN_CONTAINER_OF(link, struct flow, link);
        if (flow->proto == proto && same_endpoint(&flow->inside, inside)
            && same_endpoint(&flow->remote, remote))
            return flow;
    }
    return NULL;
}

struct mapping *filter_find_port(struct tarn_filter *f, uint8_t proto, uint16_t port) {
    struct tarn_map_link *link = tarn_map_first(&f->by_port, port_hash(f, proto, port));
    for (; link; link = tarn_map_following(link)) {
        struct mapping *m = TARN_CONTAINER_OF(link, struct mapping, by_port);
        if (m->proto == proto && m->port == port)
            return m;
    }
    return NULL;
}

static struct mapping *find_inside(struct tarn_filter *f, uint8_t proto,
                                   const struct tarn_endpoint *inside) {
    struct tarn_map_link *link = tarn_map_first(&f->by_inside, inside_hash(f, proto, inside));
    for (; link; link = tarn_map_following(link)) {
        struct mapping *m = TARN_CONTAINER_OF(link, struct mapping, by_inside);
        if (m->proto == proto && same_endpoint(&m->inside, inside))
            return m;
    }
    return NULL;
}

/* Random (RFC 6056 section 3.3.2), of the inside port's parity (RFC 4787 REQ-4). */
static bool choose_port(struct tarn_filter *f, uint8_t proto, uint16_t inside_port, uint16_t *out) {
    uint32_t n = 1u + f->config.port_max - f->config.port_min;
    for (unsigned i = 0; i < PORT_TRIES; i++) {
        uint32_t port = f->config.port_min + tarn_random_below(f->config.random, n);
        port ^= (port ^ inside_port) & 1;
        if (port < f->config.port_min || port > f->config.port_max
            || filter_find_port(f, proto, (uint16_t)port))
            continue;
        *out = (uint16_t)port;
        return true;
    }
    f->stats.no_port++;
    return false;
}

struct mapping *filter_map(struct tarn_filter *f, uint8_t proto, const struct tarn_endpoint *inside,
                           uint16_t wanted_port) {
    uint16_t port = wanted_port;
    struct mapping *m = find_inside(f, proto, inside);
    if (m)
        return !wanted_port || m->port == wanted_port ? m : NULL;
    if (!port && !choose_port(f, proto, inside->port, &port))
        return NULL;
    m = tarn_pool_take(&f->mappings);
    if (!m) {
        f->stats.no_room++;
        return NULL;
    }
    *m = (struct mapping){.inside = *inside, .port = port, .proto = proto};
    tarn_map_insert(&f->by_inside, &m->by_inside, inside_hash(f, proto, inside));
    tarn_map_insert(&f->by_port, &m->by_port, port_hash(f, proto, port));
    return m;
}

static void drop_mapping(struct tarn_filter *f, struct mapping *m) {
    if (m->flows || m->forward)
        return;
    tarn_map_remove(&f->by_inside, &m->by_inside);
    tarn_map_remove(&f->by_port, &m->by_port);
    tarn_pool_put(&f->mappings, m);
}

static struct flow_list *list_of(struct tarn_filter *f, const struct flow *flow) {
    return &TARN_AT(f->lists, flow->class);
}

static void list_remove(struct tarn_filter *f, struct flow *flow) {
    struct flow_list *l = list_of(f, flow);
    *(flow->prev ? &flow->prev->next : &l->first) = flow->next;
    *(flow->next ? &flow->next->prev : &l->last) = flow->prev;
}

static void list_append(struct tarn_filter *f, struct flow *flow) {
    struct flow_list *l = list_of(f, flow);
    flow->prev = l->last;
    flow->next = NULL;
    *(l->last ? &l->last->next : &l->first) = flow;
    l->last = flow;
}

void filter_close(struct tarn_filter *f, struct flow *flow) {
    list_remove(f, flow);
    tarn_map_remove(&f->by_flow, &flow->link);
    if (flow->mapping) {
        flow->mapping->flows--;
        drop_mapping(f, flow->mapping);
    }
    tarn_pool_put(&f->flows, flow);
}

void filter_expire(struct tarn_filter *f, tarn_time now, unsigned most) {
    for (unsigned class = 0; class < CLASSES; class ++) {
        struct flow *flow;
        while (most && (flow = TARN_AT(f->lists, class).first)
               && tarn_time_after(flow->last, filter_class_timeout(class)) <= now) {
            filter_close(f, flow);
            f->stats.expired++;
            most--;
        }
    }
}

static struct flow *take_flow(struct tarn_filter *f) {
    struct flow *flow = tarn_pool_take(&f->flows);
    for (unsigned class = 0; !flow && class < CLASS_TCP_ESTABLISHED; class ++) {
        struct flow *oldest = TARN_AT(f->lists, class).first;
        if (!oldest)
            continue;
        filter_close(f, oldest);
        f->stats.evicted++;
        flow = tarn_pool_take(&f->flows);
    }
    if (!flow)
        f->stats.no_room++;
    return flow;
}

static uint8_t first_class(uint8_t proto) {
    return proto == TARN_IP_PROTO_TCP   ? CLASS_TCP_TRANSITORY
           : proto == TARN_IP_PROTO_UDP ? CLASS_UDP
                                        : CLASS_ICMP;
}

struct flow *filter_open(struct tarn_filter *f, uint8_t proto, const struct tarn_endpoint *inside,
                         const struct tarn_endpoint *remote, bool translate, tarn_time now) {
    struct flow *flow = take_flow(f); /* first: it may end the last flow of a mapping */
    struct mapping *m = NULL;
    if (!flow)
        return NULL;
    if (translate && !(m = filter_map(f, proto, inside, 0))) {
        tarn_pool_put(&f->flows, flow);
        return NULL;
    }
    *flow = (struct flow){.mapping = m,
                          .inside = *inside,
                          .remote = *remote,
                          .last = now,
                          .proto = proto,
                          .class = first_class(proto)};
    if (m)
        m->flows++;
    tarn_map_insert(&f->by_flow, &flow->link, flow_hash(f, proto, inside, remote));
    list_append(f, flow);
    f->stats.flows++;
    return flow;
}

/* RFC 5382 section 5: established once both have said SYN and the opener has acknowledged;
 * transitory again after a FIN from both, or a RST. */
static uint8_t tcp_class(struct flow *flow, uint8_t flags, bool out) {
    if (flags & TCP_SYN) {
        if (flow->seen & (SEEN_RST | SEEN_FIN_OUT | SEEN_FIN_IN) && !(flags & TCP_ACK))
            flow->seen = 0; /* the ports are used again */
        flow->seen |= out ? SEEN_SYN_OUT : SEEN_SYN_IN;
    } else if (flags & TCP_ACK && out) {
        flow->seen |= SEEN_ACK_OUT;
    }
    if (flags & TCP_FIN)
        flow->seen |= out ? SEEN_FIN_OUT : SEEN_FIN_IN;
    if (flags & TCP_RST)
        flow->seen |= SEEN_RST;
    const uint8_t open = SEEN_SYN_OUT | SEEN_SYN_IN | SEEN_ACK_OUT;
    bool closing = (flow->seen & SEEN_RST)
                   || (flow->seen & (SEEN_FIN_OUT | SEEN_FIN_IN)) == (SEEN_FIN_OUT | SEEN_FIN_IN);
    return (flow->seen & open) == open && !closing ? CLASS_TCP_ESTABLISHED : CLASS_TCP_TRANSITORY;
}

/* RFC 4787 REQ-6: only the inside keeps a UDP mapping alive; a stranger could for ever. */
void filter_refresh(struct tarn_filter *f, struct flow *flow, const struct view *v,
                    enum tarn_filter_direction direction, tarn_time now) {
    bool out = direction == TARN_FILTER_OUT;
    if (flow->proto != TARN_IP_PROTO_TCP && !out)
        return;
    list_remove(f, flow);
    if (flow->proto == TARN_IP_PROTO_TCP)
        flow->class = tcp_class(flow, v->tcp_flags, out);
    flow->last = now;
    list_append(f, flow);
}
