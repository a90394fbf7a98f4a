/* SPDX-License-Identifier: ISC */
/* Several ARP packets, packets to resolve and jumps of time. Each step is a byte that says which,
 * then what it needs. */
#include "../arp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct world w;
    world_init(&w, 1u << 20);
    struct tarn_arp *arp =
        arp_make(&w, (struct tarn_arp_config){.entries_max = 8, .queue_max = 16});
    struct tarn_span in = tarn_span_of(data, size), packet;
    struct tarn_ip_addr ours = tarn_ip_addr_from_v4(OUR_IP);
    uint8_t step, arg, mac[6];
    if (tarn_arp_addr_add(arp, &ours, size & 1, w.now))
        abort();
    for (int steps = 0; steps < 200 && tarn_span_u8(&in, &step) && tarn_span_u8(&in, &arg);
         steps++) {
        struct tarn_ip_addr addr = tarn_ip_addr_from_v4(0x0a000000u + (arg & 31));
        switch (step & 3) {
        case 0:
            if (!tarn_span_take(&in, TARN_MIN((size_t)28, in.len), &packet))
                abort();
            tarn_arp_input(arp, packet, w.now);
            break;
        case 1: {
            struct tarn_pkt *pkt = ip_packet(&w, arg);
            if (tarn_arp_resolve(arp, &addr, pkt, mac, w.now) == TARN_OK)
                tarn_pkt_free(pkt);
            break;
        }
        case 2:
            w.now += (tarn_time)arg * arg * TARN_MS(5);
            tarn_arp_tick(arp, w.now);
            break;
        default:
            if (arg & 32)
                tarn_arp_addr_remove(arp, &addr);
            else if (!tarn_ip_addr_is_any(&addr))
                (void)!tarn_arp_addr_add(arp, &addr, arg & 64, w.now);
            break;
        }
        while (take(arp).kind >= 0) {
        }
    }
    struct tarn_arp_stats s;
    for (int i = 0; i < 64; i++) {
        w.now += TARN_SEC(4);
        tarn_arp_tick(arp, w.now);
        while (take(arp).kind >= 0) {
        }
    }
    tarn_arp_stats(arp, &s);
    if (s.waiting_pkts != 0 || world_live(&w) != 0 || s.entries > 8)
        abort();
    world_end(&w);
    return 0;
}
