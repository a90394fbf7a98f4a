/* SPDX-License-Identifier: ISC */
#include "arp.h"
#include <criterion/criterion.h>

static struct world w;
static struct tarn_arp *arp;

static void set_up(struct tarn_arp_config config) {
    world_init(&w, 64u << 20);
    arp = arp_make(&w, config);
    struct tarn_ip_addr ours = tarn_ip_addr_from_v4(OUR_IP);
    cr_assert_eq(tarn_arp_addr_add(arp, &ours, false, w.now), TARN_OK);
    cr_assert_eq(take(arp).kind, TARN_ARP_SEND_ARP);
    w.now += TARN_SEC(3);
    tarn_arp_tick(arp, w.now);
    cr_assert_eq(take(arp).kind, TARN_ARP_SEND_ARP);
    cr_assert_eq(take(arp).kind, -1);
}
static void tear_down(void) {
    cr_assert_eq(world_live(&w), 0, "%u packets left", world_live(&w));
    world_end(&w);
}

static enum tarn_err resolve(uint32_t ip, uint8_t mark, uint8_t *mac) {
    struct tarn_ip_addr addr = tarn_ip_addr_from_v4(ip);
    struct tarn_pkt *pkt = ip_packet(&w, mark);
    uint8_t bytes[6];
    enum tarn_err err = tarn_arp_resolve(arp, &addr, pkt, bytes, w.now);
    if (err == TARN_OK) {
        tarn_pkt_free(pkt);
        *mac = bytes[5];
    }
    return err;
}
/* Makes a proven neighbour 10.0.0.n with hardware address n. */
static void prove(uint32_t ip, uint8_t mac) {
    uint8_t m;
    cr_assert_eq(resolve(ip, 1, &m), TARN_AGAIN);
    cr_assert_eq(take(arp).op, 1);
    hear(arp, arp_wire(2, mac, ip, 1, OUR_IP), w.now);
    cr_assert_eq(take(arp).kind, TARN_ARP_SEND_IP);
}
static void tick_after(tarn_time t) {
    w.now += t;
    tarn_arp_tick(arp, w.now);
}
static struct tarn_arp_stats stats(void) {
    struct tarn_arp_stats s;
    tarn_arp_stats(arp, &s);
    return s;
}

Test(arp, rfc826_asks_everybody_and_sends_what_waited_in_order) {
    set_up((struct tarn_arp_config){0});
    uint8_t mac;
    cr_assert_eq(resolve(0x0a000002, 11, &mac), TARN_AGAIN);
    struct out o = take(arp);
    cr_assert_eq(o.op, 1);
    cr_assert_eq(o.dst, 0xff);
    cr_assert_eq(o.spa, OUR_IP);
    cr_assert_eq(o.tpa, 0x0a000002);
    cr_assert_eq(resolve(0x0a000002, 12, &mac), TARN_AGAIN);
    cr_assert_eq(take(arp).kind, -1);
    hear(arp, arp_wire(2, 2, 0x0a000002, 1, OUR_IP), w.now);
    o = take(arp);
    cr_assert_eq(o.kind, TARN_ARP_SEND_IP);
    cr_assert_eq(o.mark, 11);
    cr_assert_eq(o.dst, 2);
    cr_assert_eq(take(arp).mark, 12);
    cr_assert_eq(resolve(0x0a000002, 13, &mac), TARN_OK);
    cr_assert_eq(mac, 2);
    tear_down();
}

Test(arp, rfc826_answers_a_request_for_us_and_learns_who_asked) {
    set_up((struct tarn_arp_config){0});
    uint8_t mac;
    hear(arp, arp_wire(1, 7, 0x0a000007, 0, OUR_IP), w.now);
    struct out o = take(arp);
    cr_assert_eq(o.op, 2);
    cr_assert_eq(o.dst, 7);
    cr_assert_eq(o.sha, 1);
    cr_assert_eq(o.spa, OUR_IP);
    cr_assert_eq(o.tpa, 0x0a000007);
    cr_assert_eq(resolve(0x0a000007, 1, &mac), TARN_OK);
    cr_assert_eq(mac, 7);
    /* Used, it is asked itself. */
    o = take(arp);
    cr_assert_eq(o.op, 1);
    cr_assert_eq(o.dst, 7);
    tear_down();
}

Test(arp, nothing_is_learned_from_what_is_not_for_us_or_unasked) {
    set_up((struct tarn_arp_config){0});
    hear(arp, arp_wire(1, 7, 0x0a000007, 0, 0x0a000009), w.now);
    hear(arp, arp_wire(2, 8, 0x0a000008, 1, OUR_IP), w.now);
    hear(arp, arp_wire(1, 8, 0x0a000008, 0, 0x0a000008), w.now);
    cr_assert_eq(take(arp).kind, -1);
    cr_assert_eq(stats().entries, 0);
    cr_assert_eq(stats().drops_unasked, 1);
    tear_down();
}

Test(arp, rfc1122_2_3_2_2_a_full_queue_keeps_the_latest_packet) {
    set_up((struct tarn_arp_config){.queue_entry_max = 2});
    uint8_t mac;
    for (uint8_t i = 1; i <= 5; i++)
        cr_assert_eq(resolve(0x0a000002, i, &mac), TARN_AGAIN);
    cr_assert_eq(take(arp).op, 1);
    hear(arp, arp_wire(2, 2, 0x0a000002, 1, OUR_IP), w.now);
    cr_assert_eq(take(arp).mark, 4);
    cr_assert_eq(take(arp).mark, 5);
    cr_assert_eq(take(arp).kind, -1);
    cr_assert_eq(stats().drops_queue, 3);
    tear_down();
}

Test(arp, silence_makes_it_unreachable_and_is_believed_for_a_while) {
    set_up((struct tarn_arp_config){0});
    uint8_t mac;
    cr_assert_eq(resolve(0x0a000002, 5, &mac), TARN_AGAIN);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(take(arp).op, 1);
        cr_assert_eq(take(arp).kind, -1);
        cr_assert_eq(tarn_arp_deadline(arp), w.now + TARN_SEC(1));
        tick_after(TARN_SEC(1));
    }
    struct out o = take(arp);
    cr_assert_eq(o.kind, TARN_ARP_UNREACHABLE);
    cr_assert_eq(o.mark, 5);
    cr_assert_eq(resolve(0x0a000002, 6, &mac), TARN_IO);
    cr_assert_eq(take(arp).kind, -1);
    tick_after(TARN_SEC(3));
    cr_assert_eq(resolve(0x0a000002, 7, &mac), TARN_AGAIN);
    cr_assert_eq(take(arp).op, 1);
    hear(arp, arp_wire(2, 2, 0x0a000002, 1, OUR_IP), w.now);
    cr_assert_eq(take(arp).mark, 7);
    tear_down();
}

Test(arp, an_old_neighbour_is_asked_itself_and_used_meanwhile) {
    set_up((struct tarn_arp_config){0});
    uint8_t mac;
    prove(0x0a000002, 2);
    tick_after(TARN_SEC(61));
    cr_assert_eq(take(arp).kind, -1);
    cr_assert_eq(resolve(0x0a000002, 1, &mac), TARN_OK);
    struct out o = take(arp);
    cr_assert_eq(o.op, 1);
    cr_assert_eq(o.dst, 2);
    hear(arp, arp_wire(2, 2, 0x0a000002, 1, OUR_IP), w.now);
    tick_after(TARN_SEC(30));
    cr_assert_eq(resolve(0x0a000002, 1, &mac), TARN_OK);
    cr_assert_eq(take(arp).kind, -1);
    tear_down();
}

Test(arp, no_unsolicited_overwrite_of_a_neighbour_that_answers) {
    set_up((struct tarn_arp_config){0});
    uint8_t mac;
    prove(0x0a000002, 2);
    /* Gratuitous, a reply, and a request to us: all from somebody else with its address. */
    hear(arp, arp_wire(1, 66, 0x0a000002, 0, 0x0a000002), w.now);
    struct out o = take(arp);
    cr_assert_eq(o.op, 1);
    cr_assert_eq(o.dst, 2, "the neighbour known so far is asked");
    hear(arp, arp_wire(2, 66, 0x0a000002, 1, OUR_IP), w.now);
    hear(arp, arp_wire(1, 66, 0x0a000002, 0, OUR_IP), w.now);
    cr_assert_eq(take(arp).op, 2);
    cr_assert_eq(resolve(0x0a000002, 1, &mac), TARN_OK);
    cr_assert_eq(mac, 2);
    hear(arp, arp_wire(2, 2, 0x0a000002, 1, OUR_IP), w.now);
    cr_assert_eq(resolve(0x0a000002, 1, &mac), TARN_OK);
    cr_assert_eq(mac, 2);
    cr_assert_geq(stats().overwrites, 3);
    tear_down();
}

Test(arp, a_neighbour_that_moved_is_found_again) {
    set_up((struct tarn_arp_config){0});
    uint8_t mac;
    prove(0x0a000002, 2);
    hear(arp, arp_wire(1, 9, 0x0a000002, 0, 0x0a000002), w.now);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(take(arp).dst, 2);
        tick_after(TARN_SEC(1));
    }
    cr_assert_eq(take(arp).dst, 0xff);
    hear(arp, arp_wire(2, 9, 0x0a000002, 1, OUR_IP), w.now);
    cr_assert_eq(resolve(0x0a000002, 1, &mac), TARN_OK);
    cr_assert_eq(mac, 9);
    tear_down();
}

Test(arp, a_flood_evicts_no_neighbour_that_answered) {
    set_up((struct tarn_arp_config){.entries_max = 64});
    uint8_t mac;
    for (uint32_t i = 0; i < 32; i++)
        prove(0x0a000100 + i, (uint8_t)(i + 10));
    for (uint32_t i = 0; i < 10000; i++) {
        hear(arp, arp_wire(1, (uint8_t)(i | 16), 0x0b000000 + i, 0, OUR_IP), w.now);
        cr_assert_eq(take(arp).op, 2);
    }
    for (uint32_t i = 0; i < 300; i++) {
        cr_assert_eq(resolve(0x0c000000 + i, 1, &mac), TARN_AGAIN);
        cr_assert_eq(take(arp).op, 1);
    }
    for (uint32_t i = 0; i < 32; i++) {
        cr_assert_eq(resolve(0x0a000100 + i, 1, &mac), TARN_OK);
        cr_assert_eq(mac, i + 10);
    }
    cr_assert_leq(stats().entries, 64);
    cr_assert_leq(stats().waiting_pkts, 128);
    /* The packets that wait for nobody go when their time is up. */
    for (int i = 0; i < 100; i++) {
        tick_after(TARN_SEC(1));
        while (take(arp).kind >= 0) {
        }
    }
    cr_assert_eq(stats().waiting_pkts, 0);
    tear_down();
}

Test(arp, a_hundred_thousand_neighbours_fit_and_are_found) {
    set_up((struct tarn_arp_config){.entries_max = 200000});
    uint8_t mac;
    for (uint32_t i = 0; i < 100000; i++) {
        hear(arp, arp_wire(1, (uint8_t)(i | 16), 0x0b000000 + i, 0, OUR_IP), w.now);
        cr_assert_eq(take(arp).op, 2);
    }
    cr_assert_eq(stats().evictions, 0);
    for (uint32_t i = 0; i < 100000; i += 997) {
        cr_assert_eq(resolve(0x0b000000 + i, 1, &mac), TARN_OK);
        cr_assert_eq(mac, (uint8_t)(i | 16));
        cr_assert_eq(take(arp).op, 1);
    }
    tear_down();
}

Test(arp, malformed_packets_are_counted_and_change_nothing) {
    set_up((struct tarn_arp_config){0});
    struct arp_wire good = arp_wire(1, 7, 0x0a000007, 0, OUR_IP);
    for (size_t i = 0; i < 28; i++)
        tarn_arp_input(arp, tarn_span_of(good.bytes, i), w.now);
    static const size_t fixed[] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
    for (size_t i = 0; i < TARN_COUNT_OF(fixed); i++) {
        struct arp_wire bad = good;
        bad.bytes[fixed[i]] ^= 0x41;
        hear(arp, bad, w.now);
    }
    hear(arp, arp_wire(1, 7, 0xe0000001, 0, OUR_IP), w.now);
    hear(arp, arp_wire(1, 7, 0x7f000001, 0, OUR_IP), w.now);
    cr_assert_eq(take(arp).kind, -1);
    cr_assert_eq(stats().drops_malformed, 28 + 9 + 2);
    cr_assert_eq(stats().entries, 0);
    tear_down();
}

Test(arp, no_packet_memory_is_counted_and_tried_again) {
    set_up((struct tarn_arp_config){0});
    struct tarn_pkt *held[400];
    size_t n = 0;
    uint8_t mac;
    struct tarn_ip_addr addr = tarn_ip_addr_from_v4(0x0a000002);
    struct tarn_pkt *pkt = ip_packet(&w, 3);
    while ((held[n] = tarn_pkt_alloc(&w.pkts, 0)))
        n++;
    uint8_t bytes[6];
    cr_assert_eq(tarn_arp_resolve(arp, &addr, pkt, bytes, w.now), TARN_AGAIN);
    cr_assert_eq(take(arp).kind, -1);
    cr_assert_eq(stats().drops_memory, 1);
    while (n)
        tarn_pkt_free(held[--n]);
    tick_after(TARN_SEC(1));
    cr_assert_eq(take(arp).op, 1);
    hear(arp, arp_wire(2, 2, 0x0a000002, 1, OUR_IP), w.now);
    cr_assert_eq(take(arp).mark, 3);
    cr_assert_eq(resolve(0x0a000002, 1, &mac), TARN_OK);
    tear_down();
}

/* URGENT/11: a reply of the reverse protocol, asked for by nobody, gave the host another address.
 */
Test(arp, cve_2019_12262_reverse_arp_replies_are_not_spoken) {
    set_up((struct tarn_arp_config){0});
    uint8_t mac;
    for (uint16_t op = 3; op < 10; op++)
        hear(arp, arp_wire(op, 9, 0x0a000002, 1, 0x0a000063), w.now);
    cr_assert_eq(stats().drops_malformed, 7);
    cr_assert_eq(stats().entries, 0);
    hear(arp, arp_wire(1, 2, 0x0a000002, 0, OUR_IP), w.now);
    cr_assert_eq(take(arp).spa, OUR_IP, "still ours");
    cr_assert_eq(resolve(0x0a000002, 1, &mac), TARN_OK);
    cr_assert_eq(take(arp).op, 1);
    tear_down();
}
