/* SPDX-License-Identifier: ISC */
/* The drivers over a device that is written by hand: what it is told, and what its lies bring
 * about. */
#include "model.h"
#include <blk.h>
#include <criterion/criterion.h>
#include <net.h>
#include <rng.h>
#include <stdlib.h>
#include <string.h>

#define MODERN VIRTIO_F_VERSION_1
enum { RX, TX };
#define CSUM (VIRTIO_BIT(0) | VIRTIO_BIT(1))
#define TSO                                                                                        \
    (VIRTIO_BIT(7) | VIRTIO_BIT(8) | VIRTIO_BIT(9) | VIRTIO_BIT(11) | VIRTIO_BIT(12)               \
     | VIRTIO_BIT(13))
#define MERGE VIRTIO_BIT(15)

static struct tarn_arena arena_new(size_t bytes) {
    struct tarn_arena arena;
    void *mem = aligned_alloc(4096, bytes);
    memset(mem, 0, bytes);
    tarn_arena_init(&arena, tarn_bytes_of(mem, bytes));
    return arena;
}

/* -- net ------------------------------------------------------------------------------------------
 */

struct nic {
    struct model_dev dev;
    struct virtio_net net;
    struct tarn_arena arena;
    struct tarn_pkt_pool pkts;
};

static struct nic *nic_new(uint64_t features) {
    struct nic *n = calloc(1, sizeof *n);
    struct tarn_pkt_pool_config count = {.count = {32, 96, 4}};
    n->arena = arena_new(1u << 20);
    cr_assert_eq(tarn_pkt_pool_init(&n->pkts, &n->arena.alloc, &count), TARN_OK);
    model_dev_init(&n->dev, VIRTIO_NET, features);
    cr_assert_eq(virtio_net_open(&n->net, &n->dev.dev, &n->arena.alloc), TARN_OK);
    virtio_net_start(&n->net, &n->pkts);
    cr_assert(n->dev.status & VIRTIO_DRIVER_OK);
    return n;
}

static void nic_free(struct nic *n) {
    free(n->arena.mem.ptr);
    free(n);
}

static unsigned live(const struct nic *n) {
    unsigned sum = 0;
    for (unsigned i = 0; i < TARN_PKT_CLASSES; i++)
        sum += n->pkts.pools[i].live;
    return sum;
}

/* Fills the next receive buffer with a header and `len` bytes of `fill`. */
static void receive(struct nic *n, uint16_t buffers, uint8_t fill, uint32_t len) {
    struct model_chain c;
    cr_assert(model_next(&n->dev.queue[RX], &c));
    cr_assert_eq(c.out, 0);
    uint8_t *at = (uint8_t *)(uintptr_t)c.bufs[0].addr;
    memset(at, 0, n->net.hdr_bytes);
    if (n->net.hdr_bytes == 12)
        memcpy(at + 10, &buffers, 2);
    uint8_t *data = c.in == 2 ? (uint8_t *)(uintptr_t)c.bufs[1].addr : at + n->net.hdr_bytes;
    memset(data, fill, len);
    model_done(&n->dev.queue[RX], &c, n->net.hdr_bytes + len);
}

static const uint64_t kinds[] = {
    0,
    VIRTIO_F_ANY_LAYOUT | VIRTIO_F_EVENT_IDX | CSUM | TSO | MERGE,
    MODERN | CSUM,
    MODERN | VIRTIO_F_EVENT_IDX | CSUM | TSO | MERGE,
    MODERN | VIRTIO_F_RING_PACKED | CSUM | TSO | MERGE,
    MODERN | VIRTIO_F_RING_PACKED | VIRTIO_F_EVENT_IDX | CSUM | TSO | MERGE,
};

Test(net, frames_come_in_on_every_kind_of_device) {
    for (size_t k = 0; k < TARN_COUNT_OF(kinds); k++) {
        struct nic *n = nic_new(kinds[k]);
        struct tarn_pkt *got[8];
        for (unsigned i = 0; i < 300; i++) {
            receive(n, 1, (uint8_t)i, 60 + i);
            cr_assert_eq(tarn_netif_recv(&n->net.netif, got, 8), 1);
            cr_assert_eq(got[0]->len, 60 + i);
            cr_assert_eq(tarn_span_at(tarn_pkt_head(got[0]), 59 + i), (uint8_t)i);
            tarn_pkt_free(got[0]);
        }
        cr_assert_eq(tarn_netif_recv(&n->net.netif, got, 8), 0);
        cr_assert_null(n->dev.said);
        nic_free(n);
    }
}

Test(net, what_came_in_many_buffers_is_one_packet) {
    struct nic *n = nic_new(kinds[3]);
    struct tarn_pkt *got[8];
    receive(n, 3, 'a', 1536);
    for (unsigned i = 1; i < 3; i++) { /* the buffers that follow have no header of their own */
        struct model_chain c;
        cr_assert(model_next(&n->dev.queue[RX], &c));
        memset((uint8_t *)(uintptr_t)c.bufs[0].addr, 'a' + (int)i, 1000);
        model_done(&n->dev.queue[RX], &c, 1000);
    }
    cr_assert_eq(tarn_netif_recv(&n->net.netif, got, 8), 1);
    cr_assert_eq(got[0]->len, 3536);
    cr_assert_eq(tarn_span_at(tarn_pkt_head(got[0]), 1535), 'a');
    cr_assert_eq(tarn_span_at(tarn_pkt_head(got[0]), 1536), 'b');
    cr_assert_eq(tarn_span_at(tarn_pkt_head(got[0]), 3535), 'c');
    tarn_pkt_free(got[0]);
    nic_free(n);
}

Test(net, promised_buffers_that_do_not_come_end_the_device) {
    struct nic *n = nic_new(kinds[5]);
    struct tarn_pkt *got[8];
    receive(n, 40000, 'a', 100);
    cr_assert_eq(tarn_netif_recv(&n->net.netif, got, 8), 0);
    cr_assert(n->dev.said && n->dev.status == 0, "reset, and said");
    cr_assert_eq(live(n), 0, "no packet is lost");
    struct tarn_pkt *pkt = tarn_pkt_alloc(&n->pkts, 60);
    cr_assert_eq(tarn_netif_send(&n->net.netif, &pkt, 1), 1, "taken, and lost");
    cr_assert_eq(live(n), 0);
    nic_free(n);
}

Test(net, packets_go_out_with_their_header_and_fragments) {
    static const uint8_t rom[3000] = {1};
    for (size_t k = 0; k < TARN_COUNT_OF(kinds); k++) {
        struct nic *n = nic_new(kinds[k]);
        unsigned posted = live(n);
        struct tarn_pkt *pkt = tarn_pkt_alloc(&n->pkts, 54);
        struct model_chain c;
        memset(tarn_pkt_tailroom(pkt).ptr, 'h', 54);
        tarn_pkt_grow(pkt, 54);
        cr_assert(tarn_pkt_lend(pkt, TARN_SPAN_ARRAY(rom), NULL));
        if (n->net.netif.features & TARN_NETIF_TX_TSO4) {
            pkt->csum_state = TARN_CSUM_PARTIAL;
            pkt->csum_start = 34;
            pkt->csum_offset = 16;
            pkt->gso_type = TARN_GSO_TCPV4;
            pkt->gso_size = 1460;
        }
        cr_assert_eq(tarn_netif_send(&n->net.netif, &pkt, 1), 1);
        cr_assert(model_next(&n->dev.queue[TX], &c));
        unsigned first = n->net.splits_hdr ? 1 : 0;
        cr_assert_eq(c.out, 2 + first);
        cr_assert_eq(c.bufs[first].len, 54u + (first ? 0 : n->net.hdr_bytes));
        cr_assert(c.bufs[first + 1].addr == (uintptr_t)rom && c.bufs[first + 1].len == 3000);
        const uint8_t *hdr = (const uint8_t *)(uintptr_t)c.bufs[0].addr;
        bool tso = n->net.netif.features & TARN_NETIF_TX_TSO4;
        cr_assert(hdr[0] == tso && hdr[1] == tso && hdr[4] + 256 * hdr[5] == (tso ? 1460 : 0));
        model_done(&n->dev.queue[TX], &c, 0);
        (void)!virtio_net_idle(&n->net);
        cr_assert_eq(live(n), posted, "freed when the device is done");
        nic_free(n);
    }
}

Test(net, a_full_ring_takes_no_more_and_says_when_it_does) {
    struct nic *n = nic_new(MODERN);
    struct tarn_pkt *pkts[64];
    struct model_chain c;
    unsigned count = 0;
    for (; count < 64 && (pkts[count] = tarn_pkt_alloc(&n->pkts, 60)) != NULL; count++)
        tarn_pkt_grow(pkts[count], 60);
    n->net.tx.free_count = 4; /* as if others had the rest */
    size_t taken = tarn_netif_send(&n->net.netif, pkts, count);
    cr_assert(taken > 0 && taken < count);
    cr_assert(!virtio_net_idle(&n->net), "nothing to do but wait");
    cr_assert(model_next(&n->dev.queue[TX], &c));
    cr_assert(model_done(&n->dev.queue[TX], &c, 0), "an interrupt");
    nic_free(n);
}

Test(net, a_busy_queue_costs_no_notification_and_no_interrupt) {
    struct nic *n = nic_new(kinds[3]);
    struct tarn_pkt *got[8];
    model_quiet(&n->dev.queue[RX]);
    n->dev.notified[RX] = 0;
    for (unsigned i = 0; i < 1000; i++) {
        receive(n, 1, 'x', 100);
        cr_assert_eq(tarn_netif_recv(&n->net.netif, got, 8), 1);
        tarn_pkt_free(got[0]);
    }
    cr_assert_eq(n->dev.notified[RX], 0);
    nic_free(n);
}

/* Random writes to everything that the device can reach, headers and lengths among them: no packet
 * is lost, or handed out twice, or longer than its memory (the sanitizer sees that). */
Test(net, a_lying_device_loses_nothing) {
    uint64_t s = 88172645463325252ull;
    for (unsigned round = 0; round < 200; round++) {
        struct nic *n = nic_new(kinds[1 + round % 5]);
        struct tarn_pkt *got[8], *pkt;
        struct model_chain c;
        for (unsigned i = 0; i < 60 && !n->net.failed; i++) {
            s ^= s << 13, s ^= s >> 7, s ^= s << 17;
            const struct virtq *q = i & 1 ? &n->net.rx : &n->net.tx;
            if (i > 20 && s % 3 == 0) {
                uint8_t *at = q->desc.ptr + s / 8 % virtq_bytes(q->size, q->flags);
                *at = (uint8_t)(s >> 32);
            } else if (i <= 20 && model_next(&n->dev.queue[RX], &c)) {
                memset((void *)(uintptr_t)c.bufs[0].addr, (int)(s >> 40 & 3), 12);
                model_done(&n->dev.queue[RX], &c, (uint32_t)(s >> 20) % 1548);
            }
            for (size_t k = tarn_netif_recv(&n->net.netif, got, 8); k > 0; k--)
                tarn_pkt_free(got[k - 1]);
            pkt = tarn_pkt_alloc(&n->pkts, 60);
            if (pkt && tarn_netif_send(&n->net.netif, &pkt, 1) == 0)
                tarn_pkt_free(pkt);
            (void)!virtio_net_idle(&n->net);
            virtio_net_busy(&n->net);
        }
        unsigned in_flight = n->net.failed ? 0u : n->net.rx.chains + n->net.tx.chains;
        cr_assert_eq(live(n), in_flight, "round %u", round);
        nic_free(n);
    }
}

/* -- blk ------------------------------------------------------------------------------------------
 */

static unsigned done_count;
static enum tarn_err done_result;
static void done(struct tarn_blk_req *req) {
    done_count++;
    done_result = req->result;
}

struct disk {
    struct model_dev dev;
    struct virtio_blk blk;
    struct tarn_arena arena;
};

static struct disk *disk_new(uint64_t features) {
    struct disk *d = calloc(1, sizeof *d);
    uint64_t sectors = 2048;
    uint32_t discard_max = 8;
    d->arena = arena_new(1u << 20);
    model_dev_init(&d->dev, VIRTIO_BLK, features);
    memcpy(d->dev.config, &sectors, 8);
    memcpy(d->dev.config + 36, &discard_max, 4);
    cr_assert_eq(virtio_blk_open(&d->blk, &d->dev.dev, &d->arena.alloc), TARN_OK);
    done_count = 0;
    return d;
}

static void disk_free(struct disk *d) {
    free(d->arena.mem.ptr);
    free(d);
}

static size_t submit(struct disk *d, struct tarn_blk_req *req) {
    return d->blk.blk.ops->submit(&d->blk.blk, &req, 1);
}

/* Answers the next request; what it was. */
static uint32_t answer(struct disk *d, uint8_t status, uint32_t written) {
    struct model_chain c;
    uint32_t type;
    cr_assert(model_next(&d->dev.queue[0], &c));
    memcpy(&type, (void *)(uintptr_t)c.bufs[0].addr, 4);
    *(uint8_t *)(uintptr_t)c.bufs[c.out + c.in - 1].addr = status;
    model_done(&d->dev.queue[0], &c, written);
    return type;
}

#define DISK (MODERN | VIRTIO_BIT(9) | VIRTIO_BIT(13))

Test(blk, requests_are_in_flight_together_and_done_in_any_order) {
    struct disk *d = disk_new(DISK);
    static uint8_t data[40][512];
    struct tarn_blk_req reqs[40];
    struct model_chain c[2];
    size_t taken = 0;
    for (; taken < 40; taken++) {
        reqs[taken] = (struct tarn_blk_req){.op = TARN_BLK_READ,
                                            .block = taken,
                                            .data = TARN_BYTES_ARRAY(data[taken]),
                                            .done = done};
        if (submit(d, &reqs[taken]) == 0)
            break;
    }
    cr_assert_eq(taken, 64 / 3);
    cr_assert(model_next(&d->dev.queue[0], &c[0]) && model_next(&d->dev.queue[0], &c[1]));
    *(uint8_t *)(uintptr_t)c[1].bufs[2].addr = 0;
    model_done(&d->dev.queue[0], &c[1], 513);
    cr_assert(virtio_blk_poll(&d->blk));
    cr_assert(done_count == 1 && reqs[1].result == TARN_OK);
    disk_free(d);
}

Test(blk, a_flush_and_a_discard_in_pieces) {
    struct disk *d = disk_new(DISK);
    struct tarn_blk_req flush = {.op = TARN_BLK_FLUSH, .done = done};
    struct tarn_blk_req discard = {.op = TARN_BLK_DISCARD, .blocks = 20, .done = done};
    cr_assert_eq(submit(d, &flush), 1);
    cr_assert_eq(answer(d, 0, 1), 4);
    virtio_blk_poll(&d->blk);
    cr_assert_eq(done_count, 1);
    cr_assert_eq(submit(d, &discard), 1);
    for (unsigned i = 0; i < 3; i++) { /* 8, 8 and 4 sectors */
        cr_assert_eq(done_count, 1);
        cr_assert_eq(answer(d, 0, 1), 11);
        virtio_blk_poll(&d->blk);
    }
    cr_assert(done_count == 2 && done_result == TARN_OK);
    disk_free(d);
}

Test(blk, what_cannot_be_is_refused_and_done_later) {
    struct disk *d = disk_new(DISK);
    uint8_t data[512];
    struct tarn_blk_req req = {
        .op = TARN_BLK_READ, .block = 2048, .data = TARN_BYTES_ARRAY(data), .done = done};
    cr_assert_eq(submit(d, &req), 1);
    cr_assert_eq(done_count, 0, "never from submit");
    cr_assert(virtio_blk_idle(&d->blk));
    virtio_blk_poll(&d->blk);
    cr_assert(done_count == 1 && done_result == TARN_INVALID);
    disk_free(d);
}

static enum tarn_err read_answered(uint8_t status, uint32_t written) {
    struct disk *d = disk_new(DISK);
    uint8_t data[512];
    struct tarn_blk_req req = {.op = TARN_BLK_READ, .data = TARN_BYTES_ARRAY(data), .done = done};
    cr_assert_eq(submit(d, &req), 1);
    answer(d, status, written);
    virtio_blk_poll(&d->blk);
    cr_assert_eq(done_count, 1);
    disk_free(d);
    return done_result;
}

Test(blk, the_devices_answer_is_the_requests_result) {
    cr_assert_eq(read_answered(0, 513), TARN_OK);
    cr_assert_eq(read_answered(1, 513), TARN_IO);
    cr_assert_eq(read_answered(2, 513), TARN_UNSUPPORTED);
    cr_assert_eq(read_answered(77, 513), TARN_IO);
    cr_assert_eq(read_answered(0, 12), TARN_IO, "it read less than it was asked for");
    cr_assert_eq(read_answered(0, 514), TARN_IO, "more than there was room: the device is off");
}

Test(blk, a_device_that_lies_fails_all_that_is_in_flight) {
    struct disk *d = disk_new(DISK | VIRTIO_F_RING_PACKED);
    uint8_t data[2][512];
    struct tarn_blk_req reqs[2];
    struct model_chain c;
    for (unsigned i = 0; i < 2; i++) {
        reqs[i] = (struct tarn_blk_req){
            .op = TARN_BLK_WRITE, .data = TARN_BYTES_ARRAY(data[i]), .done = done};
        cr_assert_eq(submit(d, &reqs[i]), 1);
    }
    cr_assert(model_next(&d->dev.queue[0], &c));
    c.id = 60;
    model_done(&d->dev.queue[0], &c, 1);
    virtio_blk_poll(&d->blk);
    cr_assert(done_count == 2 && reqs[0].result == TARN_IO && reqs[1].result == TARN_IO);
    cr_assert(d->dev.status == 0 && d->dev.said);
    cr_assert_eq(submit(d, &reqs[0]), 1);
    virtio_blk_poll(&d->blk);
    cr_assert_eq(done_count, 3, "and so does everything after it");
    disk_free(d);
}

Test(rng, bytes_come_as_the_device_gives_them) {
    struct model_dev dev;
    struct virtio_rng rng;
    struct model_chain c;
    struct tarn_arena arena = arena_new(1u << 16);
    uint8_t out[64];
    size_t n = 0;
    model_dev_init(&dev, VIRTIO_RNG, MODERN);
    cr_assert_eq(virtio_rng_open(&rng, &dev.dev, &arena.alloc), TARN_OK);
    cr_assert_eq(virtio_rng_read(&rng, TARN_BYTES_ARRAY(out), &n), TARN_AGAIN);
    cr_assert(model_next(&dev.queue[0], &c) && c.in == 1 && c.bufs[0].len == 64);
    memset((void *)(uintptr_t)c.bufs[0].addr, 'r', 64);
    model_done(&dev.queue[0], &c, 10);
    cr_assert_eq(virtio_rng_read(&rng, TARN_BYTES_ARRAY(out), &n), TARN_OK);
    cr_assert(n == 10 && out[9] == 'r');
    cr_assert_eq(virtio_rng_read(&rng, TARN_BYTES_ARRAY(out), &n), TARN_AGAIN);
    cr_assert(model_next(&dev.queue[0], &c));
    model_done(&dev.queue[0], &c, 65);
    cr_assert_eq(virtio_rng_read(&rng, TARN_BYTES_ARRAY(out), &n), TARN_PEER);
    cr_assert_eq(dev.status, 0);
    free(arena.mem.ptr);
}
