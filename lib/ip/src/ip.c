/* SPDX-License-Identifier: ISC */
#include "internal.h"

static void defaults(struct tarn_ip_config *c) {
    struct tarn_ip_limits *l = &c->limits;
    c->hops = c->hops ? c->hops : 64;
    l->addrs_max = l->addrs_max ? l->addrs_max : 32;
    l->routes_max = l->routes_max ? l->routes_max : 64;
    l->redirects_max = l->redirects_max ? l->redirects_max : 64;
    l->groups_max = l->groups_max ? l->groups_max : 64;
    l->sources_max = l->sources_max ? l->sources_max : 64;
    l->path_mtus_max = l->path_mtus_max ? l->path_mtus_max : 256;
    l->neighbours_max = l->neighbours_max ? l->neighbours_max : 512;
    l->reass_max = l->reass_max ? l->reass_max : 64;
    l->reass_pieces_max = l->reass_pieces_max ? l->reass_pieces_max : 64;
    l->reass_bytes_max = l->reass_bytes_max ? l->reass_bytes_max : 1u << 20;
    l->loop_max = l->loop_max ? l->loop_max : 256;
    l->icmp_errors_a_second = l->icmp_errors_a_second ? l->icmp_errors_a_second : 100;
    l->path_mtu_min = l->path_mtu_min ? l->path_mtu_min : 552;
    l->reass_timeout = l->reass_timeout ? l->reass_timeout : TARN_SEC(30);
}

static enum tarn_err lower_send(struct tarn_ip_lower *lower, const struct tarn_ip_meta *meta,
                                struct tarn_pkt *pkt, tarn_time now) {
    struct tarn_ip *ip = TARN_CONTAINER_OF(lower, struct tarn_ip, lower);
    ip->now = now;
    return tarn_ip_addr_is_v4(&meta->dst) ? ipv4_send(ip, meta, pkt, now)
                                          : ipv6_send(ip, meta, pkt, now);
}

static void lower_reject(struct tarn_ip_lower *lower, const struct tarn_ip_meta *meta,
                         struct tarn_pkt *pkt, tarn_time now) {
    struct tarn_ip *ip = TARN_CONTAINER_OF(lower, struct tarn_ip, lower);
    if (meta->header_len > 0 && meta->cast == TARN_LINK_TO_US && meta->iface < ip->iface_count) {
        /* The header as it came is still there: taken back, not written. */
        (void)tarn_pkt_prepend(pkt, meta->header_len);
        if (tarn_ip_addr_is_v4(&meta->dst))
            icmpv4_error(ip, pkt, ICMPV4_UNREACHABLE, 3, 0, now);
        else
            icmpv6_error(ip, iface_at(ip, meta->iface), pkt, ICMPV6_UNREACHABLE, 4, 0, now);
    }
    tarn_pkt_free(pkt);
}

static enum tarn_err lower_join(struct tarn_ip_lower *lower, const struct tarn_ip_addr *group,
                                uint8_t bound, const struct tarn_group_filter *filter, bool add) {
    struct tarn_ip *ip = TARN_CONTAINER_OF(lower, struct tarn_ip, lower);
    const struct route *r = bound ? NULL : routes_find(&ip->routes, group, 0);
    struct iface *iface = iface_at(ip, bound ? bound - 1u : r ? r->entry.iface : 0);
    return iface ? group_join(ip, iface, group, filter, add) : TARN_INVALID;
}

enum tarn_err tarn_ip_join(struct tarn_ip *ip, unsigned iface, const struct tarn_ip_addr *group,
                           const struct tarn_group_filter *filter, bool add) {
    return iface_at(ip, iface) ? group_join(ip, iface_at(ip, iface), group, filter, add)
                               : TARN_INVALID;
}

static const struct tarn_ip_lower_ops lower_ops = {.route = path_route,
                                                   .route_by = path_route_by,
                                                   .send = lower_send,
                                                   .reject = lower_reject,
                                                   .join = lower_join};

enum tarn_err tarn_ip_new(const struct tarn_ip_config *config, struct tarn_ip **out) {
    struct tarn_ip *ip = TARN_NEW(config->alloc, struct tarn_ip);
    if (!ip)
        return TARN_LIMIT;
    ip->config = *config;
    defaults(&ip->config);
    const struct tarn_ip_limits *l = &ip->config.limits;
    if (l->routes_max > 1u << 24 || l->reass_pieces_max > 8192 || l->reass_max > 1u << 16
        || l->path_mtu_min < 68 || l->neighbours_max < 2 || l->neighbours_max > 1u << 24)
        return TARN_INVALID;
    ip->lower.ops = &lower_ops;
    ip->icmp_tokens = l->icmp_errors_a_second;
    tarn_hash_key_init(&ip->key, config->random);
    tarn_hash_key_init(&ip->stable_key, config->random);
    if (config->stable_secret)
        ip->stable_key = *config->stable_secret;
    enum tarn_err err = addr_init(ip);
    if (!err)
        err = group_init(ip);
    if (!err)
        err = member_init(ip);
    if (!err)
        err = routes_init(&ip->routes, config->alloc, config->random, l->routes_max);
    if (!err)
        err = pmtu_init(ip);
    if (!err)
        err = redirect_init(ip);
    if (!err)
        err = reass_init(ip);
    if (!err)
        err = ndp_init(ip);
    if (!err)
        *out = ip;
    return err;
}

struct tarn_ip_lower *tarn_ip_lower(struct tarn_ip *ip) {
    return &ip->lower;
}

void tarn_ip_register(struct tarn_ip *ip, uint8_t proto, struct tarn_ip_upper *upper) {
    TARN_AT(ip->uppers, proto) = upper;
}

/* -- links -- */

static void user_input(struct tarn_link_user *user, const struct tarn_link_meta *meta,
                       unsigned version, struct tarn_pkt *pkt, tarn_time now) {
    struct iface *iface = TARN_CONTAINER_OF(user, struct iface, user);
    struct tarn_span head = tarn_pkt_head(pkt);
    /* The link's framing and the header must agree on the version. */
    if (head.len == 0 || tarn_span_at(head, 0) >> 4 != version) {
        iface->ip->stats.in++;
        iface->ip->stats.drops_header++;
        tarn_pkt_free(pkt);
        return;
    }
    tarn_ip_input(iface->ip, iface->index, meta, pkt, now);
}

/* A packet of ours whose neighbour did not answer: the transport hears of it as it would from a
 * router (RFC 1122 section 2.4, RFC 4861 section 7.2.2). */
void ip_unreachable(struct tarn_ip *ip, struct tarn_pkt *pkt, tarn_time now) {
    struct tarn_span packet = tarn_pkt_head(pkt), quoted = TARN_SPAN_EMPTY;
    struct ipv4_header v4;
    struct ipv6_header v6;
    struct tarn_ip_meta meta = {0};
    ip->stats.drops_unresolved++;
    if (ipv4_parse(packet, &v4) && (v4.frag & 0x1fff) == 0) {
        meta = (struct tarn_ip_meta){.src = v4.src, .dst = v4.dst, .proto = v4.proto};
        quoted = tarn_span_after(packet, v4.header_bytes);
    } else if (ipv6_parse(packet, &v6)) {
        meta = (struct tarn_ip_meta){.src = v6.src, .dst = v6.dst, .proto = v6.next};
        quoted = tarn_span_after(packet, IPV6_HEADER_BYTES);
    }
    redirect_unreachable(ip, &meta.dst);
    struct tarn_ip_upper *upper = TARN_AT(ip->uppers, meta.proto);
    if (upper && upper->ops->error && quoted.len >= 8)
        upper->ops->error(upper, &meta, TARN_IP_ERROR_UNREACHABLE, 0, quoted, now);
    tarn_pkt_free(pkt);
}

static void user_unreachable(struct tarn_link_user *user, struct tarn_pkt *pkt, tarn_time now) {
    ip_unreachable(TARN_CONTAINER_OF(user, struct iface, user)->ip, pkt, now);
}

static const struct tarn_link_user_ops user_ops = {
    .input = user_input, .unreachable = user_unreachable, .addr_event = addr_event};

enum tarn_err tarn_ip_add_link(struct tarn_ip *ip, struct tarn_link *link, unsigned *iface_out) {
    if (ip->iface_count == TARN_IP_IFACES_MAX)
        return TARN_LIMIT;
    if (link->mtu < 68)
        return TARN_INVALID;
    struct iface *iface = &TARN_AT(ip->ifaces, ip->iface_count);
    *iface = (struct iface){.user = {.ops = &user_ops},
                            .ip = ip,
                            .link = link,
                            .index = (uint8_t)ip->iface_count,
                            .mtu = link->mtu};
    link->user = &iface->user;
    *iface_out = ip->iface_count++;
    /* Every host is in this group, and never says so (RFC 1112 section 7.2). */
    struct tarn_ip_addr all_hosts = TARN_IP_ADDR_V4(224, 0, 0, 1);
    member_start(iface);
    return group_join(ip, iface, &all_hosts, NULL, true);
}

enum tarn_err ip_link_send(struct tarn_ip *ip, struct iface *iface, const struct path *path,
                           struct tarn_pkt *pkt, tarn_time now) {
    struct tarn_link_dst dst = {.kind = path->kind, .ip = path->next_hop};
    enum tarn_err err = iface->link->ops->send(iface->link, &dst, pkt, now);
    ip->stats.out++;
    ip->stats.drops_link += err != TARN_OK;
    return err;
}

/* -- in -- */

void tarn_ip_input(struct tarn_ip *ip, unsigned iface_index, const struct tarn_link_meta *meta,
                   struct tarn_pkt *pkt, tarn_time now) {
    static const struct tarn_link_meta to_us;
    struct iface *iface = iface_at(ip, iface_index);
    struct tarn_span head = tarn_pkt_head(pkt);
    TARN_ASSERT(iface);
    ip->now = now;
    ip->stats.in++;
    unsigned version = head.len > 0 ? tarn_span_at(head, 0) >> 4 : 0;
    if (version == 4) {
        ipv4_input(ip, iface, meta ? meta : &to_us, pkt, now);
    } else if (version == 6) {
        ipv6_input(ip, iface, meta ? meta : &to_us, pkt, now);
    } else {
        ip->stats.drops_header++;
        tarn_pkt_free(pkt);
    }
}

void ip_deliver(struct tarn_ip *ip, struct tarn_ip_upper *upper, const struct tarn_ip_meta *meta,
                struct tarn_pkt *pkt, tarn_time now) {
    ip->stats.delivered++;
    upper->ops->input(upper, meta, pkt, now);
}

/* -- to ourselves -- */

void ip_loop(struct tarn_ip *ip, struct iface *iface, struct tarn_pkt *pkt) {
    if (ip->loop_count >= ip->config.limits.loop_max) {
        ip->stats.drops_loop++;
        tarn_pkt_free(pkt);
        return;
    }
    ip->stats.looped++;
    ip->loop_count++;
    tarn_pkt_queue_push(&iface->loop, pkt);
}

struct tarn_pkt *ip_group_copy(struct tarn_ip *ip, const struct path *path,
                               const struct tarn_ip_meta *meta, const struct tarn_pkt *pkt) {
    if (path->kind != TARN_LINK_MULTICAST || meta->no_loop
        || !group_is_joined(ip, path->iface, &meta->dst))
        return NULL;
    struct tarn_pkt *copy = tarn_pkt_copy(ip->config.pkts, pkt);
    ip->stats.drops_memory += copy == NULL;
    return copy;
}

/* Receivers are promised a linear packet; what is lent to us by ourselves is copied here. */
static struct tarn_pkt *linear(struct tarn_ip *ip, struct tarn_pkt *pkt) {
    if (pkt->nfrags == 0)
        return pkt;
    struct tarn_pkt *copy = tarn_pkt_copy(ip->config.pkts, pkt);
    ip->stats.drops_memory += copy == NULL;
    tarn_pkt_free(pkt);
    return copy;
}

/* What these packets bring about comes in the next tick, so two transports that answer each other
 * cannot keep the loop for themselves. */
static void run_loop(struct tarn_ip *ip, struct iface *iface, tarn_time now) {
    for (uint32_t n = iface->loop.count; n > 0; n--) {
        struct tarn_pkt *pkt = linear(ip, tarn_pkt_queue_pop(&iface->loop));
        ip->loop_count--;
        if (pkt && tarn_span_at(tarn_pkt_head(pkt), 0) >> 4 == 4)
            ipv4_input(ip, iface, NULL, pkt, now);
        else if (pkt)
            ipv6_input(ip, iface, NULL, pkt, now);
    }
}

void tarn_ip_tick(struct tarn_ip *ip, tarn_time now) {
    ip->now = now;
    for (unsigned i = 0; i < ip->iface_count; i++)
        run_loop(ip, iface_at(ip, i), now);
    reass_tick(ip, now);
    member_tick(ip, now);
    ndp_tick(ip, now);
}

tarn_time tarn_ip_deadline(const struct tarn_ip *ip) {
    if (ip->loop_count > 0)
        return 0;
    tarn_time at = TARN_MIN(tarn_timers_next(&ip->timers), ndp_deadline(ip));
    return TARN_MIN(at, member_deadline(ip));
}

/* -- the rest -- */

void tarn_ip_watch_add(struct tarn_ip *ip, struct tarn_ip_watch *watch) {
    watch->next = ip->watches;
    ip->watches = watch;
}

void ip_changed(struct tarn_ip *ip) {
    for (struct tarn_ip_watch *w = ip->watches; w && ip->config.tasks; w = w->next)
        tarn_task_post(ip->config.tasks, &w->task);
}

static bool same_family(const struct tarn_ip_addr *a, const struct tarn_ip_addr *b) {
    return tarn_ip_addr_is_v4(a) == tarn_ip_addr_is_v4(b);
}

enum tarn_err tarn_ip_route_add(struct tarn_ip *ip, const struct tarn_ip_route_entry *route) {
    bool v4 = tarn_ip_addr_is_v4(&route->prefix.addr);
    bool via = !tarn_ip_addr_is_any(&route->gateway);
    if (!iface_at(ip, route->iface) || route->prefix.bits > (v4 ? 32 : 128)
        || (via && !same_family(&route->prefix.addr, &route->gateway)))
        return TARN_INVALID;
    return routes_add(&ip->routes, route, false);
}

enum tarn_err tarn_ip_route_remove(struct tarn_ip *ip, const struct tarn_ip_route_entry *route) {
    return routes_remove(&ip->routes, route, false);
}

/* A bucket that holds a second's worth. What a message takes from it is random, so that nobody can
 * count what others have used (the side channel of CVE-2020-25705). */
bool ip_icmp_allowed(struct tarn_ip *ip, tarn_time now) {
    uint32_t rate = ip->config.limits.icmp_errors_a_second;
    tarn_time passed = now - ip->icmp_refilled;
    uint64_t more = passed >= TARN_SEC(1) ? rate : passed * rate / TARN_SEC(1);
    if (more > 0) {
        ip->icmp_tokens = (uint32_t)TARN_MIN(ip->icmp_tokens + more, (uint64_t)rate);
        ip->icmp_refilled = now;
    }
    if (ip->icmp_tokens == 0) {
        ip->stats.drops_icmp_rate++;
        return false;
    }
    uint32_t cost = 1 + (tarn_random_u32(ip->config.random) & 1);
    ip->icmp_tokens -= TARN_MIN(cost, ip->icmp_tokens);
    return true;
}

void tarn_ip_stats(const struct tarn_ip *ip, struct tarn_ip_stats *out) {
    *out = ip->stats;
    out->reass = ip->reass.datagrams.live;
    out->reass_bytes = (uint32_t)ip->reass.bytes;
    out->addrs = ip->owns.live;
    out->routes = ip->routes.pool.live;
    out->path_mtus = ip->path_mtus.pool.live;
    out->redirects = ip->redirects.pool.live;
    out->neighbours = ip->ndp.neighs.live;
}
