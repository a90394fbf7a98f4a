/* SPDX-License-Identifier: ISC */
#include "frames.h"
#include <criterion/criterion.h>

/* A device that takes `room` packets and keeps them. */
struct device {
    struct tarn_netif netif;
    size_t room, taken;
    struct tarn_pkt *pkts[512];
    struct tarn_pkt *rx[64];
    size_t rx_count;
};
static size_t device_send(struct tarn_netif *netif, struct tarn_pkt **pkts, size_t n) {
    struct device *d = TARN_CONTAINER_OF(netif, struct device, netif);
    size_t i = 0;
    for (; i < n && d->room > 0; i++, d->room--)
        d->pkts[d->taken++] = pkts[i];
    return i;
}
static size_t device_recv(struct tarn_netif *netif, struct tarn_pkt **pkts, size_t n) {
    struct device *d = TARN_CONTAINER_OF(netif, struct device, netif);
    size_t got = TARN_MIN(n, d->rx_count);
    memcpy(pkts, d->rx, got * sizeof *pkts);
    d->rx_count = 0;
    return got;
}
static const struct tarn_netif_ops device_ops = {device_send, device_recv};

static struct world w;
static struct device device;
static struct tarn_offload *edge;
static struct tarn_netif *netif;
static uint8_t payload[65536];

static void set_up(uint32_t features) {
    world_init(&w, 7);
    device = (struct device){.netif = {.ops = &device_ops, .mtu = 1500, .features = features}};
    struct tarn_offload_config config = {
        .alloc = &w.arena.alloc, .below = &device.netif, .pkts = &w.pkts, .join = true};
    cr_assert_eq(tarn_offload_new(&config, &edge), TARN_OK);
    netif = tarn_offload_netif(edge);
    tarn_random_fill(&w.random.random, TARN_BYTES_ARRAY(payload));
}
static void tear_down(void) {
    for (size_t i = 0; i < device.taken; i++)
        tarn_pkt_free(device.pkts[i]);
    cr_assert_eq(world_live(&w), 0);
    world_end(&w);
}

static const struct shape tcp = {.flags = 0x18, .tcp_options = 12};

static struct tarn_pkt *lent(size_t n, uint16_t gso) {
    struct tarn_pkt *pkt = frame_new(&w, &tcp, 0);
    uint8_t h[128];
    write_headers(h, &tcp, n);
    cr_assert(tarn_pkt_append(pkt, tarn_span_of(h, headers_of(&tcp))));
    cr_assert(tarn_pkt_lend(pkt, tarn_span_of(payload, n), NULL));
    pkt->gso_size = gso;
    pkt->gso_type = gso ? TARN_GSO_TCPV4 : TARN_GSO_NONE;
    return pkt;
}

Test(edge, offers_every_feature_over_a_device_that_has_none) {
    set_up(TARN_NETIF_TX_LINEAR | TARN_NETIF_TX_ASYNC);
    cr_assert_eq(netif->features, TARN_NETIF_TX_CSUM | TARN_NETIF_TX_TSO4 | TARN_NETIF_TX_TSO6
                                      | TARN_NETIF_TX_USO | TARN_NETIF_TX_ASYNC);
    cr_assert_eq(netif->mtu, 1500);
    tear_down();
}

Test(edge, passes_untouched_what_the_device_does_itself) {
    set_up(TARN_NETIF_TX_CSUM | TARN_NETIF_TX_TSO4);
    struct tarn_pkt *pkt = lent(60000, 1448);
    device.room = 10;
    cr_assert_eq(tarn_netif_send(netif, &pkt, 1), 1);
    cr_assert_eq(device.taken, 1);
    cr_assert_eq(device.pkts[0], pkt);
    cr_assert_eq(pkt->csum_state, TARN_CSUM_PARTIAL);
    tear_down();
}

Test(edge, a_device_that_fills_in_the_middle_of_a_cut_loses_and_reorders_nothing) {
    set_up(0);
    struct tarn_pkt *pkts[3] = {lent(60000, 500), lent(100, 0), lent(3000, 1000)};
    size_t done = 0;
    for (int i = 0; i < 1000 && (done < 3 || tarn_offload_is_waiting(edge)); i++) {
        device.room = 1 + (size_t)i % 3;
        done += tarn_netif_send(netif, pkts + done, 3 - done);
    }
    cr_assert_eq(done, 3);
    cr_assert_eq(device.taken, 120 + 1 + 3);
    uint8_t frame[2000];
    for (size_t i = 0; i < device.taken; i++) {
        struct tarn_pkt *p = device.pkts[i];
        cr_assert(tarn_pkt_read(p, 0, frame, p->len));
        cr_assert(frame_is_right(frame, p->len, &tcp));
        if (i < 120)
            cr_assert_eq(get32(frame + l4_of(&tcp) + 4), i * 500);
    }
    tear_down();
}

Test(edge, a_linear_device_gets_one_buffer_a_packet) {
    set_up(TARN_NETIF_TX_LINEAR);
    struct tarn_pkt *pkts[2] = {lent(1000, 0), lent(10000, 1448)};
    device.room = 100;
    cr_assert_eq(tarn_netif_send(netif, pkts, 2), 2);
    cr_assert_eq(device.taken, 8);
    for (size_t i = 0; i < device.taken; i++) {
        cr_assert_eq(device.pkts[i]->nfrags, 0);
        cr_assert_eq(device.pkts[i]->csum_state, TARN_CSUM_NONE);
        cr_assert(frame_is_right(tarn_pkt_head(device.pkts[i]).ptr, device.pkts[i]->len, &tcp));
    }
    tear_down();
}

Test(edge, no_packet_memory_drops_the_rest_and_says_so) {
    set_up(0);
    struct tarn_pkt *pkt = lent(60000, 100), *held[920];
    size_t n = 0;
    while ((held[n] = tarn_pkt_alloc(&w.pkts, 0)))
        n++;
    for (int i = 0; i < 5; i++)
        tarn_pkt_free(held[--n]);
    device.room = 500;
    cr_assert_eq(tarn_netif_send(netif, &pkt, 1), 1);
    cr_assert_eq(device.taken, 5);
    cr_assert_eq(tarn_offload_stats(edge)->drops_memory, 1);
    cr_assert(!tarn_offload_is_waiting(edge));
    while (n)
        tarn_pkt_free(held[--n]);
    tear_down();
}

Test(edge, received_segments_are_joined) {
    set_up(0);
    for (uint32_t i = 0; i < 4; i++) {
        struct shape s = tcp;
        s.seq = i * 1000;
        s.flags = 0x10;
        struct tarn_pkt *pkt = frame_new(&w, &s, 1000);
        uint8_t h[128];
        write_headers(h, &s, 1000);
        cr_assert(tarn_pkt_append(pkt, tarn_span_of(h, headers_of(&s))));
        cr_assert(tarn_pkt_append(pkt, tarn_span_of(payload + s.seq, 1000)));
        tarn_pkt_csum_complete(pkt);
        device.rx[device.rx_count++] = pkt;
    }
    struct tarn_pkt *got[8];
    cr_assert_eq(tarn_netif_recv(netif, got, 8), 1);
    cr_assert_eq(got[0]->len, headers_of(&tcp) + 4000);
    cr_assert(memcmp(tarn_pkt_head(got[0]).ptr + headers_of(&tcp), payload, 4000) == 0);
    cr_assert_eq(tarn_offload_stats(edge)->joined_pkts, 3);
    tarn_pkt_free(got[0]);
    tear_down();
}
