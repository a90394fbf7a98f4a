/* SPDX-License-Identifier: ISC */
/* An endpoint behind tarn/datagram.h. */
#include "internal.h"

static struct endpoint *of(struct tarn_datagram *d) {
    return TARN_CONTAINER_OF(d, struct endpoint, datagram);
}

static enum tarn_err datagram_connect(struct tarn_datagram *d, const struct tarn_endpoint *remote) {
    return udp_connect(of(d), remote);
}

/* A full queue is told first, so that TARN_AGAIN always means "the same call, later". */
static bool room_or_wait(struct endpoint *ep) {
    if (udp_tx_room(ep->udp))
        return true;
    ep->udp->stats.tx_full++;
    tarn_task_post(&ep->udp->room, &ep->room_task);
    return false;
}

static enum tarn_err datagram_send(struct tarn_datagram *d, const struct tarn_datagram_info *info,
                                   const struct tarn_span *v, size_t nv) {
    struct endpoint *ep = of(d);
    struct tx tx;
    if (!room_or_wait(ep))
        return TARN_AGAIN;
    enum tarn_err err = udp_make(ep, info, v, nv, &tx);
    if (!err)
        udp_tx_push(ep->udp, &tx);
    return err;
}

static enum tarn_err datagram_lend(struct tarn_datagram *d, const struct tarn_datagram_info *info,
                                   struct tarn_span data, struct tarn_lease *lease) {
    struct endpoint *ep = of(d);
    struct tx tx;
    if (!room_or_wait(ep))
        return TARN_AGAIN;
    enum tarn_err err = udp_make_lent(ep, info, data, lease, &tx);
    if (!err)
        udp_tx_push(ep->udp, &tx);
    return err;
}

static enum tarn_err datagram_peek(struct tarn_datagram *d, struct tarn_bytes *out,
                                   struct tarn_datagram_info *info) {
    return udp_peek(of(d), out, info);
}

static void datagram_consume(struct tarn_datagram *d) {
    udp_consume(of(d));
}

static enum tarn_err datagram_recv(struct tarn_datagram *d, struct tarn_bytes buf, size_t *n,
                                   struct tarn_datagram_info *info) {
    struct tarn_bytes data;
    enum tarn_err err = udp_peek(of(d), &data, info);
    if (err)
        return err;
    *n = data.len;
    tarn_bytes_copy(buf, tarn_bytes_span(data));
    udp_consume(of(d));
    return TARN_OK;
}

static enum tarn_err datagram_join(struct tarn_datagram *d, const struct tarn_ip_addr *group,
                                   uint8_t iface, bool add) {
    return udp_join(of(d), group, iface, add);
}

static enum tarn_err datagram_listen(struct tarn_datagram *d, const struct tarn_ip_addr *group,
                                     uint8_t iface, const struct tarn_group_filter *filter) {
    return udp_listen(of(d), group, iface, filter);
}

static void datagram_local(const struct tarn_datagram *d, struct tarn_endpoint *out) {
    *out = TARN_CONTAINER_OF(d, const struct endpoint, datagram)->local;
}

static void datagram_close(struct tarn_datagram *d) {
    udp_close(of(d));
}

const struct tarn_datagram_ops udp_datagram_ops = {
    .connect = datagram_connect,
    .send = datagram_send,
    .lend = datagram_lend,
    .recv = datagram_recv,
    .peek = datagram_peek,
    .consume = datagram_consume,
    .join = datagram_join,
    .listen = datagram_listen,
    .local = datagram_local,
    .close = datagram_close,
};
