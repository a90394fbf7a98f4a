/* SPDX-License-Identifier: ISC */
/* The wrapped netif. Packets and pieces pass through one batch; while that has something the device
 * did not take, nothing more is accepted, so order holds and the edge never queues more than it. */
#include "internal.h"

#define BATCH 64u

struct tarn_offload {
    struct tarn_netif netif;
    struct tarn_netif *below;
    struct tarn_pkt_pool *pkts;
    bool join;
    struct tarn_offload_cut cut;
    struct tarn_pkt *batch[BATCH];
    uint32_t batch_count, batch_sent;
    struct tarn_offload_stats stats;
};

#define ALL_FEATURES                                                                               \
    (TARN_NETIF_TX_CSUM | TARN_NETIF_TX_TSO4 | TARN_NETIF_TX_TSO6 | TARN_NETIF_TX_USO)

/* Hands the batch down. True: the device took all of it. */
static bool batch_send(struct tarn_offload *o) {
    if (o->batch_sent < o->batch_count) {
        struct tarn_pkt **first = &TARN_AT(o->batch, o->batch_sent);
        size_t n = o->batch_count - o->batch_sent, sent = tarn_netif_send(o->below, first, n);
        TARN_ASSERT(sent <= n);
        o->batch_sent += (uint32_t)sent;
    }
    if (o->batch_sent < o->batch_count)
        return false;
    o->batch_sent = o->batch_count = 0;
    return true;
}

static void batch_add(struct tarn_offload *o, struct tarn_pkt *pkt) {
    TARN_AT(o->batch, o->batch_count) = pkt;
    o->batch_count++;
}

/* Cuts into the batch and sends it whenever it is full. True: the cut is done, room is left. */
static bool pump(struct tarn_offload *o) {
    if (o->batch_sent > 0 && !batch_send(o))
        return false;
    while (o->cut.pkt || o->batch_count == BATCH) {
        if (o->batch_count == BATCH && !batch_send(o))
            return false;
        while (o->cut.pkt && o->batch_count < BATCH) {
            struct tarn_pkt *piece;
            if (tarn_offload_cut_next(&o->cut, o->pkts, &piece)) {
                /* What a transport lost it sends again; waiting for memory that only packets
                 * behind this one could free might be forever. */
                o->stats.drops_memory++;
                tarn_offload_cut_end(&o->cut);
                break;
            }
            o->stats.cut_pieces++;
            batch_add(o, piece);
        }
    }
    return true;
}

static bool below_cuts(const struct tarn_offload *o, const struct tarn_pkt *pkt) {
    switch (pkt->gso_type) {
    case TARN_GSO_TCPV4: return o->below->features & TARN_NETIF_TX_TSO4;
    case TARN_GSO_TCPV6: return o->below->features & TARN_NETIF_TX_TSO6;
    case TARN_GSO_UDP: return o->below->features & TARN_NETIF_TX_USO;
    default: return false;
    }
}

static void cut_start(struct tarn_offload *o, struct tarn_pkt *pkt) {
    uint32_t features = o->below->features;
    unsigned how = (features & TARN_NETIF_TX_CSUM ? 0 : TARN_OFFLOAD_CSUM)
                   | (features & TARN_NETIF_TX_LINEAR ? TARN_OFFLOAD_LINEAR : 0);
    size_t l3;
    if (!tarn_offload_l3(tarn_pkt_head(pkt), &l3)) {
        o->stats.drops_malformed++;
        tarn_pkt_free(pkt);
    } else if (tarn_offload_cut_begin(&o->cut, pkt, l3, how)) {
        o->stats.drops_malformed++;
    } else {
        o->stats.cut_pkts++;
    }
}

/* One packet of a size that the device takes, or that it cuts itself. */
static void pass(struct tarn_offload *o, struct tarn_pkt *pkt) {
    bool partial = pkt->csum_state == TARN_CSUM_PARTIAL;
    bool complete = partial && !(o->below->features & TARN_NETIF_TX_CSUM);
    size_t field = (size_t)pkt->csum_start + pkt->csum_offset;
    if (partial && field + 2 > pkt->head_len) {
        o->stats.drops_malformed++;
        tarn_pkt_free(pkt);
        return;
    }
    if (pkt->nfrags && (o->below->features & TARN_NETIF_TX_LINEAR)) {
        struct tarn_pkt *copy = tarn_offload_linear(pkt, o->pkts, complete);
        tarn_pkt_free(pkt);
        if (!copy) {
            o->stats.drops_memory++;
            return;
        }
        o->stats.linear_pkts++;
        pkt = copy;
    } else if (complete) {
        tarn_pkt_csum_complete(pkt);
    }
    o->stats.csum_pkts += complete;
    batch_add(o, pkt);
}

static size_t edge_send(struct tarn_netif *netif, struct tarn_pkt **pkts, size_t n) {
    struct tarn_offload *o = TARN_CONTAINER_OF(netif, struct tarn_offload, netif);
    size_t taken = 0;
    while (pump(o) && taken < n) {
        struct tarn_pkt *pkt = TARN_AT_N(pkts, n, taken);
        o->netif.stats.tx_pkts++;
        o->netif.stats.tx_bytes += pkt->len;
        taken++;
        if (pkt->gso_size != 0 && !below_cuts(o, pkt))
            cut_start(o, pkt);
        else
            pass(o, pkt);
    }
    (void)batch_send(o);
    o->netif.stats.tx_calls += taken > 0;
    return taken;
}

static size_t edge_recv(struct tarn_netif *netif, struct tarn_pkt **pkts, size_t n) {
    struct tarn_offload *o = TARN_CONTAINER_OF(netif, struct tarn_offload, netif);
    size_t got = tarn_netif_recv(o->below, pkts, n);
    TARN_ASSERT(got <= n);
    if (got == 0)
        return 0;
    o->netif.stats.rx_calls++;
    o->netif.stats.rx_pkts += got;
    for (size_t i = 0; i < got; i++)
        o->netif.stats.rx_bytes += TARN_AT_N(pkts, got, i)->len;
    if (!o->join || got < 2)
        return got;
    size_t left = tarn_offload_join(pkts, got, o->pkts);
    o->stats.joined_pkts += got - left;
    return left;
}

static const struct tarn_netif_ops edge_ops = {.send = edge_send, .recv = edge_recv};

enum tarn_err tarn_offload_new(const struct tarn_offload_config *config,
                               struct tarn_offload **out) {
    struct tarn_offload *o = TARN_NEW(config->alloc, struct tarn_offload);
    if (!o)
        return TARN_LIMIT;
    o->netif = *config->below;
    o->netif.ops = &edge_ops;
    o->netif.features = (config->below->features | ALL_FEATURES) & ~(uint32_t)TARN_NETIF_TX_LINEAR;
    o->netif.stats = (struct tarn_netif_stats){0};
    o->below = config->below;
    o->pkts = config->pkts;
    o->join = config->join;
    *out = o;
    return TARN_OK;
}

struct tarn_netif *tarn_offload_netif(struct tarn_offload *o) {
    return &o->netif;
}

bool tarn_offload_is_waiting(const struct tarn_offload *o) {
    return o->cut.pkt || o->batch_count > 0;
}

void tarn_offload_flush(struct tarn_offload *o) {
    (void)edge_send(&o->netif, NULL, 0);
}

const struct tarn_offload_stats *tarn_offload_stats(const struct tarn_offload *o) {
    return &o->stats;
}
