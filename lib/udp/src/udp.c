/* SPDX-License-Identifier: ISC */
#include "internal.h"

static struct tarn_udp *from_upper(struct tarn_ip_upper *upper) {
    return TARN_CONTAINER_OF(upper, struct tarn_udp, upper);
}

static void upper_input(struct tarn_ip_upper *upper, const struct tarn_ip_meta *meta,
                        struct tarn_pkt *pkt, tarn_time now) {
    tarn_udp_input(from_upper(upper), meta, pkt, now);
}

static void upper_error(struct tarn_ip_upper *upper, const struct tarn_ip_meta *meta,
                        enum tarn_ip_error error, uint32_t mtu, struct tarn_span quoted,
                        tarn_time now) {
    (void)mtu, (void)now;
    tarn_udp_error(from_upper(upper), meta, error, quoted);
}

static const struct tarn_ip_upper_ops upper_ops = {.input = upper_input, .error = upper_error};

static void set_defaults(struct tarn_udp_config *c) {
    c->endpoints_max = c->endpoints_max ? c->endpoints_max : 64;
    c->groups_max = c->groups_max ? c->groups_max : 64;
    c->rx_datagrams_max = c->rx_datagrams_max ? c->rx_datagrams_max : 512;
    c->rx_endpoint_max = c->rx_endpoint_max ? c->rx_endpoint_max : 64;
    c->rx_endpoint_bytes = c->rx_endpoint_bytes ? c->rx_endpoint_bytes : 256u << 10;
    c->tx_datagrams_max = c->tx_datagrams_max ? c->tx_datagrams_max : 128;
    c->port_min = c->port_min ? c->port_min : 49152;
    c->port_max = c->port_max ? c->port_max : 65535;
    TARN_ASSERT(c->port_min <= c->port_max);
}

enum tarn_err tarn_udp_new(const struct tarn_udp_config *config, struct tarn_udp **out) {
    struct tarn_udp *udp = TARN_NEW(config->alloc, struct tarn_udp);
    enum tarn_err err;
    if (!udp)
        return TARN_LIMIT;
    udp->upper = (struct tarn_ip_upper){.ops = &upper_ops, .proto = TARN_IP_PROTO_UDP};
    udp->config = *config;
    struct tarn_udp_config *c = &udp->config;
    set_defaults(c);
    tarn_tasks_init(&udp->room);
    if ((err = tarn_pool_init(&udp->endpoints, c->alloc, sizeof(struct endpoint),
                              _Alignof(struct endpoint), c->endpoints_max))
        || (err = tarn_pool_init(&udp->groups, c->alloc, sizeof(struct group),
                                 _Alignof(struct group), c->groups_max))
        || (err = tarn_pool_init(&udp->rx, c->alloc, sizeof(struct rx), _Alignof(struct rx),
                                 c->rx_datagrams_max))
        || (err = tarn_map_init(&udp->by_port, c->alloc, c->endpoints_max)))
        return err;
    udp->tx = TARN_NEW_ARRAY(c->alloc, c->tx_datagrams_max, struct tx);
    if (!udp->tx)
        return TARN_LIMIT;
    *out = udp;
    return TARN_OK;
}

struct tarn_ip_upper *tarn_udp_upper(struct tarn_udp *udp) {
    return &udp->upper;
}

const struct tarn_udp_stats *tarn_udp_stats(const struct tarn_udp *udp) {
    return &udp->stats;
}

enum tarn_err tarn_udp_connect(struct tarn_udp *udp, struct tarn_handle endpoint,
                               const struct tarn_endpoint *remote) {
    struct endpoint *ep = udp_endpoint(udp, endpoint);
    return ep ? udp_connect(ep, remote) : TARN_INVALID;
}

enum tarn_err tarn_udp_join(struct tarn_udp *udp, struct tarn_handle endpoint,
                            const struct tarn_ip_addr *group, uint8_t iface, bool add) {
    struct endpoint *ep = udp_endpoint(udp, endpoint);
    return ep ? udp_join(ep, group, iface, add) : TARN_INVALID;
}

enum tarn_err tarn_udp_listen(struct tarn_udp *udp, struct tarn_handle endpoint,
                              const struct tarn_ip_addr *group, uint8_t iface,
                              const struct tarn_group_filter *filter) {
    struct endpoint *ep = udp_endpoint(udp, endpoint);
    return ep ? udp_listen(ep, group, iface, filter) : TARN_INVALID;
}

enum tarn_err tarn_udp_local(struct tarn_udp *udp, struct tarn_handle endpoint,
                             struct tarn_endpoint *out) {
    struct endpoint *ep = udp_endpoint(udp, endpoint);
    if (!ep)
        return TARN_INVALID;
    *out = ep->local;
    return TARN_OK;
}

enum tarn_err tarn_udp_close(struct tarn_udp *udp, struct tarn_handle endpoint) {
    struct endpoint *ep = udp_endpoint(udp, endpoint);
    if (!ep)
        return TARN_INVALID;
    udp_close(ep);
    return TARN_OK;
}

enum tarn_err tarn_udp_send(struct tarn_udp *udp, struct tarn_handle endpoint,
                            const struct tarn_datagram_info *info, const struct tarn_span *v,
                            size_t nv, tarn_time now) {
    struct endpoint *ep = udp_endpoint(udp, endpoint);
    struct tx tx;
    if (!ep)
        return TARN_INVALID;
    enum tarn_err err = udp_make(ep, info, v, nv, &tx);
    return err ? err : udp_tx_now(udp, &tx, now);
}

enum tarn_err tarn_udp_lend(struct tarn_udp *udp, struct tarn_handle endpoint,
                            const struct tarn_datagram_info *info, struct tarn_span data,
                            struct tarn_lease *lease, tarn_time now) {
    struct endpoint *ep = udp_endpoint(udp, endpoint);
    struct tx tx;
    if (!ep)
        return TARN_INVALID;
    enum tarn_err err = udp_make_lent(ep, info, data, lease, &tx);
    return err ? err : udp_tx_now(udp, &tx, now);
}

enum tarn_err tarn_udp_peek(struct tarn_udp *udp, struct tarn_handle endpoint,
                            struct tarn_bytes *out, struct tarn_datagram_info *info) {
    struct endpoint *ep = udp_endpoint(udp, endpoint);
    return ep ? udp_peek(ep, out, info) : TARN_INVALID;
}

void tarn_udp_consume(struct tarn_udp *udp, struct tarn_handle endpoint) {
    struct endpoint *ep = udp_endpoint(udp, endpoint);
    TARN_ASSERT(ep);
    udp_consume(ep);
}

struct tarn_datagram *tarn_udp_datagram(struct tarn_udp *udp, struct tarn_handle endpoint) {
    struct endpoint *ep = udp_endpoint(udp, endpoint);
    return ep ? &ep->datagram : NULL;
}
