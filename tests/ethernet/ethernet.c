/* SPDX-License-Identifier: ISC */
#include "arp.h"
#include <criterion/criterion.h>
#include <tarn/ethernet.h>

static struct world w;
static struct tarn_ethernet *eth;
static struct tarn_link *lnk;

/* The device: what was sent, as bytes; what it will give. */
static struct {
    struct tarn_netif netif;
    size_t room, sent;
    uint8_t frame[64][64];
    size_t len[64];
    struct tarn_pkt *rx[200];
    size_t rx_count, rx_given;
} dev;
static size_t dev_send(struct tarn_netif *n, struct tarn_pkt **pkts, size_t count) {
    (void)n;
    size_t i = 0;
    for (; i < count && dev.room > 0; i++, dev.room--) {
        dev.len[dev.sent % 64] = pkts[i]->len;
        cr_assert(tarn_pkt_read(pkts[i], 0, dev.frame[dev.sent % 64], pkts[i]->len));
        dev.sent++;
        tarn_pkt_free(pkts[i]);
    }
    return i;
}
static size_t dev_recv(struct tarn_netif *n, struct tarn_pkt **pkts, size_t count) {
    (void)n;
    size_t i = 0;
    while (i < count && dev.rx_given < dev.rx_count)
        pkts[i++] = dev.rx[dev.rx_given++];
    return i;
}
static const struct tarn_netif_ops dev_ops = {dev_send, dev_recv};

/* The user above. */
static struct {
    struct tarn_link_user user;
    int input, unreachable, events;
    unsigned version;
    enum tarn_link_cast cast;
    uint8_t src, first;
} up;
static void up_input(struct tarn_link_user *u, const struct tarn_link_meta *meta, unsigned version,
                     struct tarn_pkt *pkt, tarn_time now) {
    (void)u, (void)now;
    up.input++;
    up.version = version;
    up.cast = meta->cast;
    up.src = meta->src_mac[5];
    up.first = tarn_span_at(tarn_pkt_head(pkt), 0);
    tarn_pkt_free(pkt);
}
static void up_unreachable(struct tarn_link_user *u, struct tarn_pkt *pkt, tarn_time now) {
    (void)u, (void)now;
    up.unreachable++;
    tarn_pkt_free(pkt);
}
static void up_event(struct tarn_link_user *u, const struct tarn_ip_addr *addr,
                     enum tarn_link_addr_event event, const uint8_t mac[6], tarn_time now) {
    (void)u, (void)addr, (void)event, (void)mac, (void)now;
    up.events++;
}
static const struct tarn_link_user_ops up_ops = {up_input, up_unreachable, up_event};

static void set_up(uint16_t vlan) {
    world_init(&w, 1u << 20);
    memset(&dev, 0, sizeof dev);
    memset(&up, 0, sizeof up);
    dev.netif = (struct tarn_netif){.ops = &dev_ops, .mtu = 1500, .features = TARN_NETIF_TX_CSUM};
    memcpy(dev.netif.mac, our_mac, 6);
    dev.room = 1000;
    struct tarn_ethernet_config config = {.alloc = &w.arena.alloc,
                                          .random = &w.random.random,
                                          .pkts = &w.pkts,
                                          .netif = &dev.netif,
                                          .tx_queue_max = 16,
                                          .vlan = vlan};
    cr_assert_eq(tarn_ethernet_new(&config, &eth), TARN_OK);
    lnk = tarn_ethernet_link(eth);
    up.user.ops = &up_ops;
    lnk->user = &up.user;
}
static void tear_down(void) {
    cr_assert_eq(world_live(&w), 0);
    world_end(&w);
}

/* A frame of 60 bytes: destination, source 02::src, an optional tag, the type, `first`. */
static struct tarn_pkt *frame(const uint8_t dst[6], uint8_t src, int tag, uint16_t type,
                              uint8_t first) {
    struct tarn_pkt *pkt = tarn_pkt_alloc(&w.pkts, 64);
    struct tarn_writer wr = tarn_writer_over(tarn_pkt_tailroom(pkt));
    uint8_t from[6] = {2, 0, 0, 0, 0, src};
    tarn_writer_mem(&wr, dst, 6);
    tarn_writer_mem(&wr, from, 6);
    if (tag >= 0) {
        tarn_writer_u16be(&wr, 0x8100);
        tarn_writer_u16be(&wr, (uint16_t)tag);
    }
    tarn_writer_u16be(&wr, type);
    tarn_writer_u8(&wr, first);
    tarn_writer_zero(&wr, 60 - wr.len);
    tarn_pkt_grow(pkt, wr.len);
    return pkt;
}
static const uint8_t all[6] = {255, 255, 255, 255, 255, 255};
static const uint8_t group1[6] = {1, 0, 0x5e, 0, 0, 1};

Test(ethernet, hands_up_ip_by_its_type_and_says_how_it_came) {
    set_up(0);
    tarn_ethernet_input(eth, frame(our_mac, 9, -1, 0x0800, 0x45), w.now);
    cr_assert_eq(up.input, 1);
    cr_assert_eq(up.version, 4);
    cr_assert_eq(up.cast, TARN_LINK_TO_US);
    cr_assert_eq(up.src, 9);
    cr_assert_eq(up.first, 0x45);
    tarn_ethernet_input(eth, frame(all, 9, -1, 0x86dd, 0x60), w.now);
    cr_assert_eq(up.version, 6);
    cr_assert_eq(up.cast, TARN_LINK_TO_ALL);
    tear_down();
}

Test(ethernet, drops_and_counts_what_is_not_for_us) {
    set_up(0);
    const struct tarn_ethernet_stats *s = tarn_ethernet_stats(eth);
    const uint8_t other[6] = {2, 0, 0, 0, 0, 77};
    tarn_ethernet_input(eth, frame(other, 9, -1, 0x0800, 0x45), w.now);
    cr_assert_eq(s->drops_destination, 1);
    tarn_ethernet_input(eth, frame(group1, 9, -1, 0x0800, 0x45), w.now);
    cr_assert_eq(s->drops_group, 1);
    tarn_ethernet_input(eth, frame(our_mac, 1, -1, 0x0800, 0x45), w.now);
    cr_assert_eq(s->drops_source, 1);
    tarn_ethernet_input(eth, frame(our_mac, 9, -1, 0x0100, 0x45), w.now);
    cr_assert_eq(s->drops_type, 1);
    for (size_t n = 0; n <= 14; n++) {
        struct tarn_pkt *pkt = frame(our_mac, 9, -1, 0x0800, 0x45);
        tarn_pkt_trim(pkt, n);
        tarn_ethernet_input(eth, pkt, w.now);
    }
    cr_assert_eq(s->drops_short, 15);
    cr_assert_eq(up.input, 0);
    tear_down();
}

Test(ethernet, ieee_802_1q_hears_its_own_vlan_only) {
    set_up(0);
    tarn_ethernet_input(eth, frame(our_mac, 9, 5, 0x0800, 0x45), w.now);
    cr_assert_eq(up.input, 0);
    cr_assert_eq(tarn_ethernet_stats(eth)->drops_vlan, 1);
    tarn_ethernet_input(eth, frame(our_mac, 9, 0xe000, 0x0800, 0x45), w.now);
    cr_assert_eq(up.input, 1, "a priority tag is no VLAN");
    tear_down();
    set_up(5);
    tarn_ethernet_input(eth, frame(our_mac, 9, 0xe005, 0x0800, 0x45), w.now);
    cr_assert_eq(up.input, 1);
    tarn_ethernet_input(eth, frame(our_mac, 9, 6, 0x0800, 0x45), w.now);
    tarn_ethernet_input(eth, frame(our_mac, 9, -1, 0x0800, 0x45), w.now);
    cr_assert_eq(up.input, 1);
    cr_assert_eq(tarn_ethernet_stats(eth)->drops_vlan, 2);
    tear_down();
}

Test(ethernet, ieee_802_1q_tags_what_it_sends) {
    set_up(5);
    struct tarn_link_dst dst = {.kind = TARN_LINK_BROADCAST};
    cr_assert_eq(lnk->ops->send(lnk, &dst, ip_packet(&w, 0x45), w.now), TARN_OK);
    tarn_ethernet_flush(eth, w.now);
    cr_assert_eq(dev.sent, 1);
    cr_assert_eq(dev.len[0], 19);
    cr_assert(memcmp(dev.frame[0], "\xff\xff\xff\xff\xff\xff\2\0\0\0\0\1\x81\0\0\5\x08\0\x45", 19)
              == 0);
    tear_down();
}

Test(ethernet, rfc1112_6_4_and_rfc2464_7_groups_are_mapped_filtered_and_counted) {
    set_up(0);
    struct tarn_ip_addr g = TARN_IP_ADDR_V4(224, 128, 0, 1), same = TARN_IP_ADDR_V4(239, 0, 0, 1);
    struct tarn_ip_addr v6 = {.bytes = {0xff, 2, [12] = 1, 0xff, 0xaa, 0xbb}};
    const uint8_t mac6[6] = {0x33, 0x33, 1, 0xff, 0xaa, 0xbb};
    cr_assert_eq(lnk->ops->join(lnk, &g, true), TARN_OK);
    cr_assert_eq(lnk->ops->join(lnk, &same, true), TARN_OK);
    tarn_ethernet_input(eth, frame(group1, 9, -1, 0x0800, 0x45), w.now);
    cr_assert_eq(up.input, 1);
    cr_assert_eq(up.cast, TARN_LINK_TO_GROUP);
    cr_assert_eq(lnk->ops->join(lnk, &g, false), TARN_OK);
    tarn_ethernet_input(eth, frame(group1, 9, -1, 0x0800, 0x45), w.now);
    cr_assert_eq(up.input, 2, "another group with that address is still joined");
    cr_assert_eq(lnk->ops->join(lnk, &same, false), TARN_OK);
    tarn_ethernet_input(eth, frame(group1, 9, -1, 0x0800, 0x45), w.now);
    cr_assert_eq(up.input, 2);
    cr_assert_eq(lnk->ops->join(lnk, &same, false), TARN_NOT_FOUND);
    cr_assert_eq(lnk->ops->join(lnk, &v6, true), TARN_OK);
    tarn_ethernet_input(eth, frame(mac6, 9, -1, 0x86dd, 0x60), w.now);
    cr_assert_eq(up.input, 3);
    struct tarn_link_dst dst = {.kind = TARN_LINK_MULTICAST, .ip = v6};
    cr_assert_eq(lnk->ops->send(lnk, &dst, ip_packet(&w, 0x60), w.now), TARN_OK);
    tarn_ethernet_flush(eth, w.now);
    cr_assert(memcmp(dev.frame[0], mac6, 6) == 0);
    cr_assert(memcmp(dev.frame[0] + 12, "\x86\xdd", 2) == 0);
    tear_down();
}

Test(ethernet, resolves_a_neighbour_and_tells_of_one_that_does_not_answer) {
    set_up(0);
    struct tarn_ip_addr ours = tarn_ip_addr_from_v4(OUR_IP);
    cr_assert_eq(lnk->ops->own_addr(lnk, &ours, true, false, w.now), TARN_OK);
    struct tarn_link_dst dst = {.kind = TARN_LINK_NEIGHBOUR, .ip = TARN_IP_ADDR_V4(10, 0, 0, 2)};
    cr_assert_eq(lnk->ops->send(lnk, &dst, ip_packet(&w, 0x45), w.now), TARN_OK);
    cr_assert_eq(tarn_ethernet_deadline(eth), 0, "something waits to be flushed");
    tarn_ethernet_flush(eth, w.now);
    cr_assert_eq(dev.sent, 2); /* the announcement and the request */
    struct arp_wire reply = arp_wire(2, 2, 0x0a000002, 1, OUR_IP);
    struct tarn_pkt *pkt = frame(our_mac, 2, -1, 0x0806, 0);
    tarn_pkt_trim(pkt, 14);
    cr_assert(tarn_pkt_append(pkt, TARN_SPAN_ARRAY(reply.bytes)));
    tarn_ethernet_input(eth, pkt, w.now);
    tarn_ethernet_flush(eth, w.now);
    cr_assert_eq(dev.sent, 3);
    cr_assert(memcmp(dev.frame[2], "\2\0\0\0\0\2\2\0\0\0\0\1\x08\0\x45", 15) == 0);
    dst.ip = TARN_IP_ADDR_V4(10, 0, 0, 3);
    cr_assert_eq(lnk->ops->send(lnk, &dst, ip_packet(&w, 0x45), w.now), TARN_OK);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(up.unreachable, 0);
        w.now += TARN_SEC(1);
        tarn_ethernet_tick(eth, w.now);
    }
    cr_assert_eq(up.unreachable, 1);
    cr_assert_eq(lnk->ops->send(lnk, &dst, ip_packet(&w, 0x45), w.now), TARN_IO);
    tarn_ethernet_flush(eth, w.now);
    tear_down();
}

Test(ethernet, a_full_device_is_tried_again_and_the_queue_is_bounded) {
    set_up(0);
    struct tarn_link_dst dst = {.kind = TARN_LINK_BROADCAST};
    dev.room = 3;
    int refused = 0;
    for (int i = 0; i < 30; i++)
        refused += lnk->ops->send(lnk, &dst, ip_packet(&w, (uint8_t)i), w.now) == TARN_LIMIT;
    cr_assert_eq(refused, 30 - 16 - 3);
    cr_assert_eq(dev.sent, 3);
    cr_assert_eq(tarn_ethernet_deadline(eth), w.now + TARN_MS(1));
    cr_assert_eq(tarn_ethernet_stats(eth)->drops_tx_queue, refused);
    dev.room = 100;
    tarn_ethernet_flush(eth, w.now);
    cr_assert_eq(dev.sent, 19);
    for (uint8_t i = 0; i < 19; i++)
        cr_assert_eq(dev.frame[i][14], i, "in order");
    cr_assert_eq(tarn_ethernet_deadline(eth), TARN_NEVER);
    tear_down();
}

Test(ethernet, polls_no_more_than_its_budget) {
    set_up(0);
    for (int i = 0; i < 90; i++)
        dev.rx[dev.rx_count++] = frame(our_mac, 9, -1, 0x0800, 0x45);
    cr_assert_eq(tarn_ethernet_poll(eth, 70, w.now), 70);
    cr_assert_eq(up.input, 70);
    cr_assert_eq(tarn_ethernet_poll(eth, 70, w.now), 20);
    cr_assert_eq(up.input, 90);
    tear_down();
}

Test(ethernet, counts_a_super_segment_as_the_frames_that_it_stands_for) {
    set_up(0);
    for (int i = 0; i < 80; i++) {
        struct tarn_pkt *pkt = frame(our_mac, 9, -1, 0x0800, 0x45);
        pkt->gso_type = TARN_GSO_TCPV4;
        pkt->gso_size = (uint16_t)(pkt->len / 2);
        dev.rx[dev.rx_count++] = pkt;
    }
    cr_assert_eq(tarn_ethernet_poll(eth, 65, w.now), 128, "one batch of 64, of two each");
    cr_assert_eq(up.input, 64);
    cr_assert_eq(tarn_ethernet_poll(eth, 65, w.now), 32);
    cr_assert_eq(up.input, 80);
    tear_down();
}
