/* SPDX-License-Identifier: ISC */
#include "net.h"
#include <vnet_hdr.h>

enum { RX, TX };
#define QUEUE_MAX 256u
#define BUFS_MAX (2 + TARN_PKT_FRAGS_MAX) /* of one packet: header, head, fragments */
#define FRAME_ROOM 1536u                  /* what a packet of the frame class has */

#define F_CSUM VIRTIO_BIT(0)
#define F_GUEST_CSUM VIRTIO_BIT(1)
#define F_MTU VIRTIO_BIT(3)
#define F_MAC VIRTIO_BIT(5)
#define F_GUEST_TSO4 VIRTIO_BIT(7)
#define F_GUEST_TSO6 VIRTIO_BIT(8)
#define F_GUEST_ECN VIRTIO_BIT(9)
#define F_HOST_TSO4 VIRTIO_BIT(11)
#define F_HOST_TSO6 VIRTIO_BIT(12)
#define F_HOST_ECN VIRTIO_BIT(13)
#define F_MRG_RXBUF VIRTIO_BIT(15)
#define F_HOST_USO VIRTIO_BIT(56)
enum { CONFIG_MAC = 0, CONFIG_MTU = 10 };

static void fail(struct virtio_net *nic, const char *why) {
    void *token;
    if (nic->failed)
        return;
    nic->failed = true;
    virtio_fail(nic->dev, why);
    while ((token = virtq_reclaim(&nic->rx)) != NULL)
        tarn_pkt_free(token);
    while ((token = virtq_reclaim(&nic->tx)) != NULL)
        tarn_pkt_free(token);
}

/* -- sending --------------------------------------------------------------------------------------
 */

static void free_sent(struct virtio_net *nic) {
    void *token;
    uint32_t written;
    enum tarn_err err;
    while ((err = virtq_take(&nic->tx, &token, &written)) == TARN_OK)
        tarn_pkt_free(token);
    if (err == TARN_PEER)
        fail(nic, "tarn: the network device sent what it was not asked to: off\n");
}

static unsigned buf_of(const struct virtio_net *nic, struct virtq_buf *bufs, unsigned n,
                       const uint8_t *ptr, size_t len) {
    if (len == 0)
        return n;
    TARN_AT_N(bufs, BUFS_MAX, n) = (struct virtq_buf){nic->dev->bus->dma(ptr, len), (uint32_t)len};
    return n + 1;
}

/* The header goes into the headroom, so that header and head are one buffer. */
static bool put(struct virtio_net *nic, struct tarn_pkt *pkt) {
    struct tarn_vnet_hdr hdr;
    struct virtq_buf bufs[BUFS_MAX];
    unsigned n = 0;
    if (nic->tx.free_count < 2u + pkt->nfrags)
        return false;
    tarn_vnet_hdr_of(pkt, &hdr);
    struct tarn_writer w = tarn_pkt_prepend(pkt, nic->hdr_bytes);
    tarn_writer_mem(&w, &hdr, nic->hdr_bytes);
    struct tarn_span head = tarn_pkt_head(pkt);
    if (nic->splits_hdr) {
        n = buf_of(nic, bufs, n, head.ptr, nic->hdr_bytes);
        head = tarn_span_after(head, nic->hdr_bytes);
    }
    n = buf_of(nic, bufs, n, head.ptr, head.len);
    for (unsigned i = 0; i < pkt->nfrags; i++)
        n = buf_of(nic, bufs, n, TARN_AT(pkt->frag, i).ptr, TARN_AT(pkt->frag, i).len);
    return virtq_add(&nic->tx, bufs, n, 0, pkt);
}

static size_t net_send(struct tarn_netif *netif, struct tarn_pkt **pkts, size_t n) {
    struct virtio_net *nic = TARN_CONTAINER_OF(netif, struct virtio_net, netif);
    size_t done = 0;
    if (nic->tx.free_count < nic->tx.size / 2)
        free_sent(nic);
    for (; done < n && !nic->failed; done++) {
        uint32_t len = pkts[done]->len;
        if (!put(nic, pkts[done])) {
            nic->is_full = true;
            break;
        }
        netif->stats.tx_pkts++;
        netif->stats.tx_bytes += len;
    }
    virtio_kick(nic->dev, TX, &nic->tx);
    netif->stats.tx_calls += done > 0;
    for (; nic->failed && done < n; done++) {
        tarn_pkt_free(pkts[done]);
        netif->stats.tx_drops++;
    }
    return done;
}

/* -- receiving ------------------------------------------------------------------------------------
 */

/* A buffer is a packet's memory, with the header where its headroom is. */
static bool post(struct virtio_net *nic) {
    struct virtq_buf bufs[2];
    size_t room = FRAME_ROOM;
    struct tarn_pkt *pkt = tarn_pkt_alloc(nic->pkts, room);
    if (!pkt)
        return false;
    (void)tarn_pkt_prepend(pkt, nic->hdr_bytes);
    const uint8_t *ptr = tarn_pkt_head(pkt).ptr;
    unsigned n = 0;
    size_t hdr = nic->hdr_bytes;
    if (nic->splits_hdr) {
        bufs[n++] = (struct virtq_buf){nic->dev->bus->dma(ptr, hdr), (uint32_t)hdr};
        bufs[n] = (struct virtq_buf){nic->dev->bus->dma(ptr + hdr, room), (uint32_t)room};
    } else {
        bufs[n] = (struct virtq_buf){nic->dev->bus->dma(ptr, hdr + room), (uint32_t)(hdr + room)};
    }
    if (virtq_add(&nic->rx, bufs, 0, n + 1, pkt))
        return true;
    tarn_pkt_free(pkt);
    return false;
}

static void refill(struct virtio_net *nic) {
    while (nic->rx.chains < nic->rx_target && post(nic))
        ;
    virtio_kick(nic->dev, RX, &nic->rx);
}

/* The next buffer that the device has filled, as a packet that begins with the header. */
static enum tarn_err take(struct virtio_net *nic, struct tarn_pkt **out) {
    void *token;
    uint32_t written;
    enum tarn_err err = virtq_take(&nic->rx, &token, &written);
    if (err)
        return err;
    *out = token;
    tarn_pkt_trim(*out, TARN_MIN(written, nic->hdr_bytes));
    if (written > nic->hdr_bytes)
        tarn_pkt_grow(*out, written - nic->hdr_bytes);
    return TARN_OK;
}

/* What follows the first buffer of a frame is behind it in the ring already: `count` of them are
 * copied to `to`, or taken and lost where there is no memory or no room. False: the device
 * promised buffers that it has not filled. */
static bool merge(struct virtio_net *nic, struct tarn_pkt *to, unsigned count, bool *whole) {
    *whole = to != NULL;
    for (unsigned i = 0; i < count; i++) {
        struct tarn_pkt *piece;
        if (take(nic, &piece))
            return false;
        *whole = *whole && tarn_pkt_append(to, tarn_pkt_head(piece));
        tarn_pkt_free(piece);
    }
    return true;
}

/* The frame that begins with `pkt`: alone, or put together. NULL: dropped. */
static struct tarn_pkt *frame_of(struct virtio_net *nic, struct tarn_pkt *pkt) {
    struct tarn_vnet_hdr hdr = {0};
    struct tarn_span head = tarn_pkt_head(pkt);
    bool whole = true;
    if (!tarn_span_copy(&head, &hdr, nic->hdr_bytes) || !tarn_pkt_pull(pkt, nic->hdr_bytes)) {
        tarn_pkt_free(pkt);
        return NULL;
    }
    bool merges = virtio_has(nic->dev, F_MRG_RXBUF);
    if (merges && hdr.num_buffers > 1) {
        struct tarn_pkt *large = tarn_pkt_alloc(nic->pkts, TARN_PKT_LEN_MAX);
        bool began = large && tarn_pkt_append(large, head);
        tarn_pkt_free(pkt);
        pkt = large;
        if (!merge(nic, began ? large : NULL, hdr.num_buffers - 1u, &whole)) {
            nic->rx.broken = true;
            whole = false;
        }
    }
    if (whole && tarn_vnet_hdr_apply(&hdr, pkt))
        return pkt;
    tarn_pkt_free(pkt);
    return NULL;
}

static size_t net_recv(struct tarn_netif *netif, struct tarn_pkt **pkts, size_t n) {
    struct virtio_net *nic = TARN_CONTAINER_OF(netif, struct virtio_net, netif);
    struct tarn_pkt *pkt;
    size_t got = 0, bytes = 0;
    enum tarn_err err = TARN_OK;
    for (size_t i = 0; i < n && bytes < TARN_RECV_BYTES && !nic->failed; i++) {
        err = take(nic, &pkt);
        if (err)
            break;
        pkt = frame_of(nic, pkt);
        if (!pkt) {
            netif->stats.rx_drops++;
            continue;
        }
        netif->stats.rx_pkts++;
        netif->stats.rx_bytes += pkt->len;
        bytes += pkt->len;
        pkts[got++] = pkt;
    }
    if (nic->rx.broken)
        fail(nic, "tarn: the network device filled what it was not given: off\n");
    else
        refill(nic);
    netif->stats.rx_calls += got > 0;
    return got;
}

/* -- waiting --------------------------------------------------------------------------------------
 */

/* What was sent is only waited for where somebody needs the room or the packets. */
bool virtio_net_idle(struct virtio_net *nic) {
    if (nic->failed || !nic->pkts)
        return false;
    free_sent(nic);
    if (nic->failed)
        return true;
    refill(nic);
    bool came = virtq_wake(&nic->rx);
    if (nic->is_full && nic->tx.free_count > nic->tx.size / 4)
        came = true;
    else if (nic->is_full || nic->tx.chains >= nic->tx_low)
        came |= virtq_wake(&nic->tx);
    nic->is_full = nic->is_full && !came;
    return came;
}

void virtio_net_busy(struct virtio_net *nic) {
    if (nic->failed || !nic->pkts)
        return;
    nic->is_full = false;
    virtq_quiet(&nic->rx);
    virtq_quiet(&nic->tx);
}

/* -- opening --------------------------------------------------------------------------------------
 */

static uint32_t features_of(const struct virtio_dev *dev) {
    static const struct {
        uint64_t bits;
        uint32_t feature;
    } table[] = {
        {F_CSUM, TARN_NETIF_TX_CSUM},
        {F_CSUM | F_HOST_TSO4 | F_HOST_ECN, TARN_NETIF_TX_TSO4},
        {F_CSUM | F_HOST_TSO6 | F_HOST_ECN, TARN_NETIF_TX_TSO6},
        {F_CSUM | F_HOST_USO, TARN_NETIF_TX_USO},
    };
    uint32_t features = TARN_NETIF_TX_ASYNC;
    for (size_t i = 0; i < TARN_COUNT_OF(table); i++)
        if (virtio_has(dev, TARN_AT(table, i).bits))
            features |= TARN_AT(table, i).feature;
    return features;
}

/* Super-segments come in as many frames' buffers, or not at all: a device that merges nothing would
 * need 64 KB for every frame. */
static enum tarn_err start(struct virtio_dev *dev) {
    uint64_t wanted = F_CSUM | F_GUEST_CSUM | F_MTU | F_MAC | F_HOST_TSO4 | F_HOST_TSO6 | F_HOST_ECN
                      | F_MRG_RXBUF | F_HOST_USO;
    if (dev->bus->features(dev) & F_MRG_RXBUF)
        wanted |= F_GUEST_TSO4 | F_GUEST_TSO6 | F_GUEST_ECN;
    return virtio_start(dev, wanted);
}

static void configure(struct virtio_net *nic) {
    struct virtio_dev *dev = nic->dev;
    uint16_t mtu = 1500;
    if (virtio_has(dev, F_MTU))
        dev->bus->config(dev, CONFIG_MTU, &mtu, sizeof mtu);
    /* Larger frames would not fit the buffers. */
    nic->netif.mtu = mtu < 576 || mtu > 1500 ? (uint16_t)1500 : mtu;
    for (uint32_t i = 0; virtio_has(dev, F_MAC) && i < sizeof nic->netif.mac; i++)
        dev->bus->config(dev, CONFIG_MAC + i, &TARN_AT(nic->netif.mac, i), 1);
    nic->netif.features = features_of(dev);
    bool merges = virtio_has(dev, F_MRG_RXBUF);
    nic->hdr_bytes = dev->modern || merges ? 12 : 10;
    nic->splits_hdr = !dev->modern && !virtio_has(dev, VIRTIO_F_ANY_LAYOUT);
}

enum tarn_err virtio_net_open(struct virtio_net *nic, struct virtio_dev *dev,
                              struct tarn_alloc *alloc) {
    static const struct tarn_netif_ops ops = {.send = net_send, .recv = net_recv};
    *nic = (struct virtio_net){.netif = {.ops = &ops}, .dev = dev};
    enum tarn_err err = start(dev);
    if (!err)
        err = virtio_queue(dev, RX, QUEUE_MAX, alloc, &nic->rx);
    if (!err)
        err = virtio_queue(dev, TX, QUEUE_MAX, alloc, &nic->tx);
    if (!err && nic->tx.size < BUFS_MAX)
        err = TARN_UNSUPPORTED;
    if (!err)
        configure(nic);
    return err;
}

void virtio_net_start(struct virtio_net *nic, struct tarn_pkt_pool *pkts) {
    uint32_t frames = TARN_AT(pkts->pools, TARN_PKT_FRAME).count;
    uint32_t per_buf = nic->splits_hdr ? 2 : 1;
    nic->pkts = pkts;
    nic->rx_target = (uint16_t)TARN_MIN(frames / 2, nic->rx.size / per_buf);
    nic->tx_low = (uint16_t)TARN_MAX(1u, TARN_MIN(frames / 8, nic->tx.size / 2u));
    virtio_go(nic->dev);
    refill(nic);
}
