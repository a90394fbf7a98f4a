/* SPDX-License-Identifier: ISC */
/* Network devices: a hypercall for each frame under the plain ABI, for up to BATCH of them under
 * Tarn's tender, since leaving the machine is what a frame costs. A frame is one piece of memory.
 */
#include "guest.h"

#define FRAME_EXTRA 18u /* Ethernet header and a VLAN tag, beside the MTU */
#define RETRY TARN_MS(1)
#define BATCH 32u
_Static_assert(BATCH <= HVT_FRAMES_MAX, "in one call");

struct nic {
    struct tarn_netif netif;
    const struct solo5_entry *entry;
    struct tarn_pkt_pool *pkts;
    bool is_full;  /* the last frame was refused: nothing will say when to try again */
    bool has_more; /* the last call filled all the room that there was */
    /* Rooms for the next frames, kept over reads that find none. */
    struct tarn_pkt *rooms[BATCH];
    size_t room_count;
};

static struct nic nics[SOLO5_ENTRIES_MAX];
static size_t nic_count;

/* Moves the frames of `pkts`, up to the first that cannot be now: how many. *ret: of that one. */
static size_t move(const struct nic *nic, bool write, struct hvt_frame *frames, size_t n,
                   int32_t *ret) {
    if (guest_has(HVT_FEATURE_MANY) && n > 1) {
        struct hvt_net_many io = {.handle = nic->netif.device,
                                  .frames = (uintptr_t)frames,
                                  .count = (uint32_t)n,
                                  .ret = HVT_EUNSPEC};
        guest_call(write ? HVT_CALL_NET_WRITE_MANY : HVT_CALL_NET_READ_MANY, &io);
        *ret = io.ret;
        return TARN_MIN(io.done, (uint32_t)n);
    }
    for (size_t i = 0; i < n; i++) {
        struct hvt_net_io io = {.handle = nic->netif.device,
                                .data = frames[i].data,
                                .len = frames[i].len,
                                .ret = HVT_EUNSPEC};
        guest_call(write ? HVT_CALL_NET_WRITE : HVT_CALL_NET_READ, &io);
        *ret = io.ret;
        if (io.ret != HVT_OK)
            return i;
        frames[i].len = TARN_MIN(io.len, frames[i].len);
    }
    return n;
}

/* -- sending -------------------------------------------------------------------------------------
 */

/* What of `pkts` fits into one call, each in one piece (which may be a copy): how many. Fewer than
 * there are: the next one cannot be copied, for want of memory. */
static size_t line_up(struct nic *nic, struct tarn_pkt **pkts, size_t n, struct tarn_pkt **linear,
                      struct hvt_frame *frames) {
    size_t count = 0;
    for (; count < TARN_MIN(n, (size_t)BATCH); count++) {
        struct tarn_pkt *pkt = pkts[count];
        if (pkt->nfrags)
            pkt = tarn_pkt_copy(nic->pkts, pkt);
        if (!pkt)
            break;
        struct tarn_span head = tarn_pkt_head(pkt);
        linear[count] = pkt;
        frames[count] = (struct hvt_frame){(uintptr_t)head.ptr, head.len};
    }
    return count;
}

/* A frame that the device refuses for good is dropped, as on any wire. */
static void sent(struct tarn_netif *netif, struct tarn_pkt *pkt, bool good) {
    netif->stats.tx_pkts += good;
    netif->stats.tx_bytes += good ? pkt->len : 0;
    netif->stats.tx_drops += !good;
    tarn_pkt_free(pkt);
}

static size_t nic_send(struct tarn_netif *netif, struct tarn_pkt **pkts, size_t n) {
    struct nic *nic = TARN_CONTAINER_OF(netif, struct nic, netif);
    size_t done = 0;
    nic->is_full = false;
    while (done < n && !nic->is_full) {
        struct hvt_frame frames[BATCH];
        struct tarn_pkt *linear[BATCH];
        int32_t ret = HVT_OK;
        size_t count = line_up(nic, pkts + done, n - done, linear, frames);
        size_t moved = count ? move(nic, true, frames, count, &ret) : 0;
        bool drops = moved < count ? ret != HVT_AGAIN : done + count < n && count < BATCH;
        for (size_t i = 0; i < count; i++)
            if (linear[i] != pkts[done + i])
                tarn_pkt_free(linear[i]);
        for (size_t i = 0; i < moved; i++)
            sent(netif, pkts[done++], true);
        if (drops)
            sent(netif, pkts[done++], false);
        nic->is_full = moved < count && ret == HVT_AGAIN;
    }
    netif->stats.tx_calls += done > 0;
    return done;
}

bool guest_nic_poll(uint64_t *ready, tarn_time *retry) {
    bool more = false;
    for (size_t i = 0; i < nic_count; i++) {
        uint64_t bit = 1ull << nics[i].netif.device;
        if (nics[i].has_more) {
            nics[i].has_more = false;
            more = true;
            *ready |= bit;
        }
        if (nics[i].is_full) {
            nics[i].is_full = false;
            *ready |= bit;
            *retry = tarn_time_after(tarn_platform_now(), RETRY);
        }
    }
    return more;
}

/* -- receiving -----------------------------------------------------------------------------------
 */

/* A frame that there is no memory for is read into nothing: left where it is, it would make every
 * wait end at once. */
static void drop_one(struct nic *nic) {
    uint8_t nothing[64];
    struct hvt_frame frame = {(uintptr_t)nothing, sizeof nothing};
    int32_t ret;
    nic->netif.stats.rx_drops += move(nic, false, &frame, 1, &ret);
}

static void make_rooms(struct nic *nic, size_t wanted, struct hvt_frame *frames) {
    size_t bytes = (size_t)nic->netif.mtu + FRAME_EXTRA;
    while (nic->room_count < wanted) {
        struct tarn_pkt *pkt = tarn_pkt_alloc(nic->pkts, bytes);
        if (!pkt)
            break;
        TARN_AT(nic->rooms, nic->room_count) = pkt;
        nic->room_count++;
    }
    for (size_t i = 0; i < TARN_MIN(wanted, nic->room_count); i++) {
        struct tarn_bytes room = tarn_pkt_tailroom(TARN_AT(nic->rooms, i));
        frames[i] = (struct hvt_frame){(uintptr_t)room.ptr, room.len};
    }
}

static size_t nic_recv(struct tarn_netif *netif, struct tarn_pkt **pkts, size_t n) {
    struct nic *nic = TARN_CONTAINER_OF(netif, struct nic, netif);
    struct hvt_frame frames[BATCH];
    int32_t ret = HVT_OK;
    size_t wanted = TARN_MIN(n, (size_t)BATCH);
    if (wanted == 0)
        return 0;
    make_rooms(nic, wanted, frames);
    size_t room = TARN_MIN(wanted, nic->room_count);
    if (room == 0) {
        drop_one(nic);
        return 0;
    }
    size_t got = move(nic, false, frames, room, &ret);
    for (size_t i = 0; i < got; i++) {
        struct tarn_pkt *pkt = TARN_AT(nic->rooms, i);
        tarn_pkt_grow(pkt, frames[i].len);
        netif->stats.rx_pkts++;
        netif->stats.rx_bytes += pkt->len;
        pkts[i] = pkt;
    }
    nic->room_count -= got;
    for (size_t i = 0; i < nic->room_count; i++)
        TARN_AT(nic->rooms, i) = TARN_AT(nic->rooms, i + got);
    nic->has_more = got == room;
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
    struct nic *nic = &TARN_AT(nics, nic_count);
    nic_count++;
    nic->entry = e;
    nic->pkts = pkts;
    nic->netif = (struct tarn_netif){.ops = &ops, .mtu = e->u.net.mtu, .device = index};
    __builtin_memcpy(nic->netif.mac, e->u.net.mac, sizeof nic->netif.mac);
    *out = &nic->netif;
    return TARN_OK;
}
