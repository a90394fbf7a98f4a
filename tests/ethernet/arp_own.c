/* SPDX-License-Identifier: ISC */
#include "arp.h"
#include <criterion/criterion.h>

static struct world w;
static struct tarn_arp *arp;
static struct tarn_ip_addr ours;

static void set_up(bool probe) {
    world_init(&w, 1u << 20);
    arp = arp_make(&w, (struct tarn_arp_config){0});
    ours = tarn_ip_addr_from_v4(OUR_IP);
    cr_assert_eq(tarn_arp_addr_add(arp, &ours, probe, w.now), TARN_OK);
}
static void tear_down(void) {
    cr_assert_eq(world_live(&w), 0);
    world_end(&w);
}
/* Lets time jump to the next deadline. How long that was. */
static tarn_time jump(void) {
    tarn_time at = tarn_arp_deadline(arp), before = w.now;
    cr_assert_neq(at, TARN_NEVER);
    w.now = at;
    tarn_arp_tick(arp, w.now);
    return w.now - before;
}
static void until_ready(void) {
    for (int i = 0; i < 20; i++) {
        jump();
        for (struct out o = take(arp); o.kind >= 0; o = take(arp))
            if (o.kind == TARN_ARP_ADDR && o.event == TARN_LINK_ADDR_READY)
                return;
    }
    cr_assert_fail("never ready");
}

Test(arp_own, rfc5227_2_1_1_probes_three_times_then_announces_twice) {
    set_up(true);
    cr_assert_eq(take(arp).kind, -1);
    cr_assert_leq(jump(), TARN_SEC(1));
    for (int i = 0; i < 3; i++) {
        struct out o = take(arp);
        cr_assert_eq(o.op, 1);
        cr_assert_eq(o.spa, 0, "a probe has no sender");
        cr_assert_eq(o.tpa, OUR_IP);
        cr_assert_eq(o.dst, 0xff);
        tarn_time t = jump();
        if (i < 2)
            cr_assert(t >= TARN_SEC(1) && t <= TARN_SEC(2));
        else
            cr_assert_eq(t, TARN_SEC(2));
    }
    struct out o = take(arp);
    cr_assert_eq(o.spa, OUR_IP);
    cr_assert_eq(o.tpa, OUR_IP);
    o = take(arp);
    cr_assert_eq(o.kind, TARN_ARP_ADDR);
    cr_assert_eq(o.event, TARN_LINK_ADDR_READY);
    cr_assert_eq(jump(), TARN_SEC(2));
    cr_assert_eq(take(arp).spa, OUR_IP);
    cr_assert_eq(tarn_arp_deadline(arp), TARN_NEVER);
    tear_down();
}

Test(arp_own, rfc5227_2_1_1_not_answered_for_while_probing) {
    set_up(true);
    hear(arp, arp_wire(1, 7, 0x0a000007, 0, OUR_IP), w.now);
    cr_assert_eq(take(arp).kind, -1);
    tear_down();
}

Test(arp_own, rfc5227_2_1_1_a_user_of_the_address_ends_probing) {
    for (int c = 0; c < 3; c++) {
        set_up(true);
        jump();
        cr_assert_eq(take(arp).op, 1);
        if (c == 0)
            hear(arp, arp_wire(2, 9, OUR_IP, 1, 0), w.now);
        else if (c == 1)
            hear(arp, arp_wire(1, 9, OUR_IP, 0, 0x0a000005), w.now);
        else
            hear(arp, arp_wire(1, 9, 0, 0, OUR_IP), w.now); /* it probes too */
        struct out o = take(arp);
        cr_assert_eq(o.kind, TARN_ARP_ADDR);
        cr_assert_eq(o.event, TARN_LINK_ADDR_CONFLICT);
        cr_assert_eq(o.dst, 9);
        cr_assert_eq(tarn_arp_deadline(arp), TARN_NEVER);
        hear(arp, arp_wire(1, 7, 0x0a000007, 0, OUR_IP), w.now);
        cr_assert_eq(take(arp).kind, -1);
        tear_down();
    }
}

Test(arp_own, our_own_probe_heard_back_is_no_conflict) {
    set_up(true);
    jump();
    cr_assert_eq(take(arp).op, 1);
    hear(arp, arp_wire(1, 1, 0, 0, OUR_IP), w.now);
    cr_assert_eq(take(arp).kind, -1);
    until_ready();
    while (take(arp).kind >= 0) {
    }
    tear_down();
}

Test(arp_own, rfc5227_2_3_without_probing_it_is_announced_at_once) {
    set_up(false);
    struct out o = take(arp);
    cr_assert_eq(o.op, 1);
    cr_assert_eq(o.spa, OUR_IP);
    cr_assert_eq(o.tpa, OUR_IP);
    cr_assert_eq(o.dst, 0xff);
    hear(arp, arp_wire(1, 7, 0x0a000007, 0, OUR_IP), w.now);
    cr_assert_eq(take(arp).op, 2);
    tear_down();
}

Test(arp_own, rfc5227_2_4c_a_configured_address_is_defended_for_good_but_not_in_a_storm) {
    set_up(false);
    cr_assert_eq(take(arp).spa, OUR_IP);
    int defences = 0;
    for (int i = 0; i < 1000; i++) {
        hear(arp, arp_wire(1, 9, OUR_IP, 0, OUR_IP), w.now);
        for (struct out o = take(arp); o.kind >= 0; o = take(arp)) {
            defences += o.kind == TARN_ARP_SEND_ARP;
            if (o.kind == TARN_ARP_ADDR)
                cr_assert_eq(o.event, TARN_LINK_ADDR_DEFENDED);
        }
        w.now += TARN_MS(20);
    }
    cr_assert_eq(defences, 2, "one in ten seconds, of twenty");
    hear(arp, arp_wire(1, 7, 0x0a000007, 0, OUR_IP), w.now);
    cr_assert_eq(take(arp).op, 2, "still ours");
    tear_down();
}

Test(arp_own, rfc5227_2_4b_a_probed_address_is_given_up_at_the_second_conflict) {
    set_up(true);
    until_ready();
    hear(arp, arp_wire(1, 9, OUR_IP, 0, 0x0a000005), w.now);
    cr_assert_eq(take(arp).spa, OUR_IP);
    cr_assert_eq(take(arp).event, TARN_LINK_ADDR_DEFENDED);
    w.now += TARN_SEC(9);
    hear(arp, arp_wire(1, 9, OUR_IP, 0, 0x0a000005), w.now);
    struct out o = take(arp);
    cr_assert_eq(o.kind, TARN_ARP_ADDR);
    cr_assert_eq(o.event, TARN_LINK_ADDR_CONFLICT);
    hear(arp, arp_wire(1, 7, 0x0a000007, 0, OUR_IP), w.now);
    cr_assert_eq(take(arp).kind, -1);
    tear_down();
}

Test(arp_own, only_unicast_addresses_and_no_more_than_there_is_room_for) {
    set_up(false);
    (void)take(arp);
    static const uint32_t bad[] = {0, 0xffffffff, 0xe0000001};
    for (size_t i = 0; i < TARN_COUNT_OF(bad); i++) {
        struct tarn_ip_addr a = tarn_ip_addr_from_v4(bad[i]);
        cr_assert_eq(tarn_arp_addr_add(arp, &a, false, w.now), TARN_INVALID);
    }
    for (uint32_t i = 1; i < 9; i++) {
        struct tarn_ip_addr a = tarn_ip_addr_from_v4(OUR_IP + i);
        cr_assert_eq(tarn_arp_addr_add(arp, &a, false, w.now), i < 8 ? TARN_OK : TARN_LIMIT);
        (void)take(arp);
    }
    tarn_arp_addr_remove(arp, &ours);
    struct tarn_ip_addr a = tarn_ip_addr_from_v4(OUR_IP + 8);
    cr_assert_eq(tarn_arp_addr_add(arp, &a, false, w.now), TARN_OK);
    (void)take(arp);
    tear_down();
}
