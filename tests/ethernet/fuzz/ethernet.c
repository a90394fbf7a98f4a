/* SPDX-License-Identifier: ISC */
/* Several frames and jumps of time: a length (its top bits say how far time jumps), then the bytes.
 */
#include "../arp.h"
#include <tarn/ethernet.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t dev_send(struct tarn_netif *n, struct tarn_pkt **pkts, size_t count) {
    (void)n;
    for (size_t i = 0; i < count; i++)
        tarn_pkt_free(pkts[i]);
    return count;
}
static size_t dev_recv(struct tarn_netif *n, struct tarn_pkt **pkts, size_t count) {
    (void)n, (void)pkts, (void)count;
    return 0;
}
static const struct tarn_netif_ops dev_ops = {dev_send, dev_recv};

static void up_input(struct tarn_link_user *u, const struct tarn_link_meta *meta, unsigned version,
                     struct tarn_pkt *pkt, tarn_time now) {
    (void)u, (void)meta, (void)version, (void)now;
    tarn_pkt_free(pkt);
}
static const struct tarn_link_user_ops up_ops = {.input = up_input};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct world w;
    struct tarn_ethernet *eth;
    struct tarn_link_user user = {&up_ops};
    struct tarn_netif netif = {.ops = &dev_ops, .mac = {2, 0, 0, 0, 0, 1}, .mtu = 1500};
    struct tarn_span in = tarn_span_of(data, size), bytes;
    struct tarn_ip_addr ours = tarn_ip_addr_from_v4(OUR_IP);
    uint16_t len;
    world_init(&w, 1u << 20);
    struct tarn_ethernet_config config = {.alloc = &w.arena.alloc,
                                          .random = &w.random.random,
                                          .pkts = &w.pkts,
                                          .netif = &netif,
                                          .arp = {.entries_max = 8},
                                          .vlan = size & 1 ? 5 : 0};
    if (tarn_ethernet_new(&config, &eth))
        abort();
    struct tarn_link *link = tarn_ethernet_link(eth);
    link->user = &user;
    if (link->ops->own_addr(link, &ours, true, false, w.now))
        abort();
    while (tarn_span_u16be(&in, &len)) {
        w.now += (tarn_time)(len >> 12) * TARN_MS(300);
        if (!tarn_span_take(&in, TARN_MIN((size_t)(len & 0xff), in.len), &bytes))
            abort();
        struct tarn_pkt *pkt = tarn_pkt_alloc(&w.pkts, bytes.len);
        if (!pkt || !tarn_pkt_append(pkt, bytes))
            abort();
        tarn_ethernet_input(eth, pkt, w.now);
        tarn_ethernet_tick(eth, w.now);
        tarn_ethernet_flush(eth, w.now);
    }
    tarn_ethernet_flush(eth, w.now); /* without a frame, our announcement still waits */
    if (world_live(&w) != 0)
        abort();
    world_end(&w);
    return 0;
}
