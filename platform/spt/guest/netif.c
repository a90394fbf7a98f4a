/* SPDX-License-Identifier: ISC */
/* Network devices: the tap that the tender opened, one frame a call.
 *
 * Under the plain ABI that is one buffer with one Ethernet frame. Tarn's tender may have put a
 * header in front (tarn_vnet_hdr) and allow several buffers: then what is sent goes out from where
 * it lies, the host cuts and sums it, and what comes may be 64 KB long. */
#include "guest.h"
#include "sys.h"
#include <vnet_hdr.h>

#define FRAME_EXTRA 18u  /* Ethernet header and a VLAN tag, beside the MTU */
#define FRAME_ROOM 1536u /* what a packet of the frame class has behind its headroom */
#define RETRY TARN_MS(1)

struct nic {
    struct tarn_netif netif;
    const struct solo5_entry *entry;
    struct tarn_pkt_pool *pkts;
    bool vnet, scatter;
    bool is_full; /* the last write was refused: nothing will say when to try again */
    /* For the next frame, kept over reads that find none. With `vnet` the first bytes go to
     * `frame`, and what is longer on into `super`, behind room for those, so that one copy of at
     * most FRAME_ROOM makes it contiguous. */
    struct tarn_pkt *frame, *super;
};

static struct nic nics[SOLO5_ENTRIES_MAX];
static size_t nic_count;

/* -- sending -------------------------------------------------------------------------------------
 */

static long send_scattered(const struct nic *nic, const struct tarn_pkt *pkt) {
    struct tarn_vnet_hdr hdr;
    struct sys_iovec v[2 + TARN_PKT_FRAGS_MAX];
    struct tarn_span head = tarn_pkt_head(pkt);
    size_t n = 0;
    if (nic->vnet) {
        tarn_vnet_hdr_of(pkt, &hdr);
        v[n++] = (struct sys_iovec){&hdr, sizeof hdr};
    }
    v[n++] = (struct sys_iovec){head.ptr, head.len};
    for (unsigned i = 0; i < pkt->nfrags; i++)
        v[n++] = (struct sys_iovec){pkt->frag[i].ptr, pkt->frag[i].len};
    return sys_writev(nic->entry->host.fd, v, n);
}

static long send_plain(const struct nic *nic, const struct tarn_pkt *pkt) {
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
    size_t extra = nic->vnet ? sizeof(struct tarn_vnet_hdr) : 0;
    size_t done = 0;
    for (; done < n; done++) {
        struct tarn_pkt *pkt = pkts[done];
        long sent = nic->scatter ? send_scattered(nic, pkt) : send_plain(nic, pkt);
        if (sent == SYS_EAGAIN) {
            nic->is_full = true;
            break;
        }
        if (sent == (long)(pkt->len + extra)) {
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

/* The epoll set that the ABI gives tells only of frames that came. */
tarn_time guest_nic_retry(uint64_t *ready) {
    tarn_time at = TARN_NEVER;
    for (size_t i = 0; i < nic_count; i++) {
        if (nics[i].is_full) {
            nics[i].is_full = false;
            *ready |= 1ull << nics[i].netif.device;
            at = tarn_time_after(tarn_platform_now(), RETRY);
        }
    }
    return at;
}

/* -- receiving -----------------------------------------------------------------------------------
 */

/* A frame that there is no memory for is read into nothing: left where it is, it would make every
 * wait end at once. */
static struct tarn_pkt *take_plain(struct nic *nic, bool *more) {
    struct tarn_pkt *pkt = nic->frame;
    uint8_t nothing[1];
    struct tarn_bytes room = pkt ? tarn_pkt_tailroom(pkt) : TARN_BYTES_ARRAY(nothing);
    long n = sys_read(nic->entry->host.fd, room.ptr, room.len);
    *more = n > 0;
    if (!pkt || n <= 0)
        return NULL;
    tarn_pkt_grow(pkt, (size_t)n);
    nic->frame = NULL;
    return pkt;
}

/* The same with a header, and perhaps more than a frame. */
static struct tarn_pkt *take_vnet(struct nic *nic, bool *more) {
    struct tarn_vnet_hdr hdr;
    struct sys_iovec v[3] = {{&hdr, sizeof hdr}};
    size_t pieces = 1, room = 0;
    if (nic->frame) {
        v[pieces++] = (struct sys_iovec){tarn_pkt_tailroom(nic->frame).ptr, FRAME_ROOM};
        room = FRAME_ROOM;
    }
    if (nic->frame && nic->super) {
        struct tarn_bytes rest = tarn_bytes_after(tarn_pkt_tailroom(nic->super), FRAME_ROOM);
        v[pieces++] = (struct sys_iovec){rest.ptr, rest.len};
        room += rest.len;
    }
    long got = sys_readv(nic->entry->host.fd, v, pieces);
    *more = got > 0;
    if (got < (long)sizeof hdr)
        return NULL;
    size_t len = (size_t)got - sizeof hdr;
    if (len >= room) /* cut off, for want of memory */
        return NULL;
    struct tarn_pkt *pkt = nic->frame;
    if (len > FRAME_ROOM) {
        pkt = nic->super;
        tarn_bytes_copy(tarn_pkt_tailroom(pkt),
                        tarn_span_of(tarn_pkt_tailroom(nic->frame).ptr, FRAME_ROOM));
        nic->super = NULL;
    } else {
        nic->frame = NULL;
    }
    tarn_pkt_grow(pkt, len);
    if (tarn_vnet_hdr_apply(&hdr, pkt))
        return pkt;
    tarn_pkt_free(pkt);
    return NULL;
}

static void make_room(struct nic *nic) {
    size_t frame = nic->vnet ? FRAME_ROOM : (size_t)nic->netif.mtu + FRAME_EXTRA;
    if (!nic->frame)
        nic->frame = tarn_pkt_alloc(nic->pkts, frame);
    if (nic->vnet && !nic->super)
        nic->super = tarn_pkt_alloc(nic->pkts, TARN_PKT_LEN_MAX);
}

/* What is dropped counts against `n` too, so that the work of one call stays bounded. */
static size_t nic_recv(struct tarn_netif *netif, struct tarn_pkt **pkts, size_t n) {
    struct nic *nic = TARN_CONTAINER_OF(netif, struct nic, netif);
    size_t got = 0, bytes = 0;
    bool more = true;
    for (size_t i = 0; i < n && bytes < TARN_RECV_BYTES && more; i++) {
        make_room(nic);
        struct tarn_pkt *pkt = nic->vnet ? take_vnet(nic, &more) : take_plain(nic, &more);
        if (pkt) {
            netif->stats.rx_pkts++;
            netif->stats.rx_bytes += pkt->len;
            bytes += pkt->len;
            pkts[got++] = pkt;
        } else {
            netif->stats.rx_drops += more;
        }
    }
    netif->stats.rx_calls += got > 0;
    return got;
}

/* -- opening -------------------------------------------------------------------------------------
 */

enum tarn_err tarn_platform_netif(const char *name, struct tarn_pkt_pool *pkts,
                                  struct tarn_netif **out) {
    static const struct tarn_netif_ops ops = {.send = nic_send, .recv = nic_recv};
    uint32_t index;
    const struct solo5_entry *e = solo5_entry(name, SOLO5_ENTRY_NET, &index);
    if (!e)
        return TARN_NOT_FOUND;
    for (size_t i = 0; i < nic_count; i++) {
        if (nics[i].entry == e) {
            *out = &nics[i].netif;
            return TARN_OK;
        }
    }
    uint32_t device = tarn_spt_guest.grant ? TARN_AT(tarn_spt_guest.grant->device, index) : 0;
    struct nic *nic = &TARN_AT(nics, nic_count);
    nic_count++;
    nic->entry = e;
    nic->pkts = pkts;
    nic->scatter = guest_has(SPT_FEATURE_SCATTER);
    nic->vnet = (device & SOLO5_DEVICE_VNET) != 0;
    if (nic->vnet && !nic->scatter)
        guest_die("the tender grants frames with headers, but not the calls to move them");
    nic->netif = (struct tarn_netif){.ops = &ops,
                                     .mtu = e->u.net.mtu,
                                     .features = device >> SOLO5_DEVICE_FEATURES_SHIFT,
                                     .device = index};
    __builtin_memcpy(nic->netif.mac, e->u.net.mac, sizeof nic->netif.mac);
    *out = &nic->netif;
    return TARN_OK;
}
