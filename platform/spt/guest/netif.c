/* SPDX-License-Identifier: ISC */
/* Network devices: one frame a call on the tap that the tender opened. */
#include "guest.h"
#include "sys.h"

#define FRAME_EXTRA 18u /* Ethernet header and a VLAN tag, beside the MTU */

struct nic {
    struct tarn_netif netif;
    const struct spt_entry *entry;
    struct tarn_pkt_pool *pkts;
    struct tarn_pkt *spare; /* for the next frame: a read that found none keeps it */
};

static struct nic nics[SPT_ENTRIES_MAX];
static size_t nic_count;

/* The plain ABI has one buffer a call: a packet with fragments is put together first. */
static long send_linear(struct nic *nic, const struct tarn_pkt *pkt) {
    struct tarn_span head = tarn_pkt_head(pkt);
    if (pkt->nfrags == 0)
        return sys_write(nic->entry->host.fd, head.ptr, head.len);
    struct tarn_pkt *copy = tarn_pkt_copy(nic->pkts, pkt);
    if (!copy)
        return 0;
    head = tarn_pkt_head(copy);
    long n = sys_write(nic->entry->host.fd, head.ptr, head.len);
    tarn_pkt_free(copy);
    return n;
}

static size_t nic_send(struct tarn_netif *netif, struct tarn_pkt **pkts, size_t n) {
    struct nic *nic = TARN_CONTAINER_OF(netif, struct nic, netif);
    size_t done = 0;
    for (; done < n; done++) {
        struct tarn_pkt *pkt = pkts[done];
        long sent = send_linear(nic, pkt);
        if (sent == SYS_EAGAIN)
            break;
        if (sent == (long)pkt->len) {
            netif->stats.tx_pkts++;
            netif->stats.tx_bytes += pkt->len;
        } else {
            netif->stats.tx_drops++;
        }
        tarn_pkt_free(pkt);
    }
    netif->stats.tx_calls += done > 0;
    return done;
}

static struct tarn_pkt *receive(struct nic *nic) {
    if (!nic->spare)
        nic->spare = tarn_pkt_alloc(nic->pkts, (size_t)nic->netif.mtu + FRAME_EXTRA);
    struct tarn_pkt *pkt = nic->spare;
    if (!pkt)
        return NULL; /* the frame stays in the tap's queue, which counts what it drops */
    struct tarn_bytes room = tarn_pkt_tailroom(pkt);
    long n = sys_read(nic->entry->host.fd, room.ptr, room.len);
    if (n <= 0)
        return NULL;
    tarn_pkt_grow(pkt, (size_t)n);
    nic->spare = NULL;
    return pkt;
}

static size_t nic_recv(struct tarn_netif *netif, struct tarn_pkt **pkts, size_t n) {
    struct nic *nic = TARN_CONTAINER_OF(netif, struct nic, netif);
    size_t got = 0;
    for (; got < n; got++) {
        struct tarn_pkt *pkt = receive(nic);
        if (!pkt)
            break;
        netif->stats.rx_pkts++;
        netif->stats.rx_bytes += pkt->len;
        pkts[got] = pkt;
    }
    netif->stats.rx_calls += got > 0;
    return got;
}

enum tarn_err tarn_platform_netif(const char *name, struct tarn_pkt_pool *pkts,
                                  struct tarn_netif **out) {
    static const struct tarn_netif_ops ops = {.send = nic_send, .recv = nic_recv};
    uint32_t index;
    const struct spt_entry *e = guest_entry(name, SPT_ENTRY_NET, &index);
    if (!e)
        return TARN_NOT_FOUND;
    for (size_t i = 0; i < nic_count; i++) {
        if (nics[i].entry == e) {
            *out = &nics[i].netif;
            return TARN_OK;
        }
    }
    struct nic *nic = &TARN_AT(nics, nic_count);
    nic_count++;
    nic->entry = e;
    nic->pkts = pkts;
    nic->netif = (struct tarn_netif){.ops = &ops, .mtu = e->u.net.mtu, .device = index};
    __builtin_memcpy(nic->netif.mac, e->u.net.mac, sizeof nic->netif.mac);
    *out = &nic->netif;
    return TARN_OK;
}
