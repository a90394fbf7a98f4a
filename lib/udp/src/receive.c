/* SPDX-License-Identifier: ISC */
/* The queue of an endpoint: what has come and not been read. */
#include "internal.h"

void udp_rx_push(struct endpoint *ep, struct tarn_pkt *pkt, const struct tarn_datagram_info *info) {
    struct tarn_udp *udp = ep->udp;
    const struct tarn_udp_config *c = &udp->config;
    size_t cost = tarn_pkt_truesize(pkt);
    struct rx *rx = NULL;
    if (ep->rx_count < c->rx_endpoint_max && ep->rx_bytes + cost <= c->rx_endpoint_bytes)
        rx = tarn_pool_take(&udp->rx);
    if (!rx) {
        udp->stats.rx_full++;
        tarn_pkt_free(pkt);
        return;
    }
    *rx = (struct rx){.pkt = pkt, .info = *info};
    if (ep->rx_tail)
        ep->rx_tail->next = rx;
    else
        ep->rx_head = rx;
    ep->rx_tail = rx;
    ep->rx_count++;
    ep->rx_bytes += (uint32_t)cost;
    udp->stats.rx_delivered++;
    if (ep->readable_due) {
        ep->readable_due = false;
        udp_event(ep, TARN_DATAGRAM_READABLE);
    }
}

static struct rx *rx_pop(struct endpoint *ep) {
    struct rx *rx = ep->rx_head;
    ep->rx_head = rx->next;
    if (!ep->rx_head)
        ep->rx_tail = NULL;
    ep->rx_count--;
    ep->rx_bytes -= (uint32_t)tarn_pkt_truesize(rx->pkt);
    return rx;
}

static void rx_free(struct endpoint *ep, struct rx *rx) {
    tarn_pkt_free(rx->pkt);
    tarn_pool_put(&ep->udp->rx, rx);
}

enum tarn_err udp_peek(struct endpoint *ep, struct tarn_bytes *out,
                       struct tarn_datagram_info *info) {
    const struct rx *rx = ep->rx_head;
    if (ep->error)
        return udp_take_error(ep);
    if (!rx) {
        ep->readable_due = true;
        return TARN_AGAIN;
    }
    struct tarn_bytes rest = tarn_bytes_after(tarn_pkt_head_bytes(rx->pkt), rx->off);
    *out = rx->pkt->gso_size ? tarn_bytes_first(rest, rx->pkt->gso_size) : rest;
    if (info)
        *info = rx->info;
    return TARN_OK;
}

void udp_consume(struct endpoint *ep) {
    struct rx *rx = ep->rx_head;
    TARN_ASSERT(rx);
    if (rx->pkt->gso_size && rx->pkt->len - rx->off > rx->pkt->gso_size)
        rx->off += rx->pkt->gso_size;
    else
        rx_free(ep, rx_pop(ep));
}

/* What came from elsewhere before the endpoint was connected is not for it any more. */
void udp_rx_drop_others(struct endpoint *ep) {
    for (uint32_t n = ep->rx_count; n > 0; n--) {
        struct rx *rx = rx_pop(ep);
        if (!udp_endpoint_equal(&rx->info.remote, &ep->remote)) {
            rx_free(ep, rx);
            continue;
        }
        rx->next = NULL;
        if (ep->rx_tail)
            ep->rx_tail->next = rx;
        else
            ep->rx_head = rx;
        ep->rx_tail = rx;
        ep->rx_count++;
        ep->rx_bytes += (uint32_t)tarn_pkt_truesize(rx->pkt);
    }
}

void udp_rx_clear(struct endpoint *ep) {
    while (ep->rx_head)
        rx_free(ep, rx_pop(ep));
}
