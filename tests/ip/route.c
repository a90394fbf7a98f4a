/* SPDX-License-Identifier: ISC */
#include "world.h"
#include <criterion/criterion.h>

static struct world w;

/* Which gateway a packet to `dst` goes to; 0: none. */
static uint32_t via(uint32_t dst) {
    world_forget(&w);
    if (out_udp(&w, dst, "x", 1) != TARN_OK)
        return 0;
    return tarn_ip_addr_v4(&w.link[w.link[0].count ? 0 : 1].sent[0].next_hop);
}
static struct tarn_ip_route_entry entry(uint32_t prefix, uint8_t bits, uint32_t gateway,
                                        uint8_t metric) {
    return (struct tarn_ip_route_entry){
        .prefix = prefix4(prefix, bits), .gateway = v4(gateway), .metric = metric};
}

Test(route, the_longest_prefix_wins_then_the_lowest_metric) {
    world_init(&w, (struct tarn_ip_limits){0});
    struct tarn_ip_route_entry a = entry(0x08000000, 8, 0x0a000010, 0);
    struct tarn_ip_route_entry b = entry(0x08080000, 16, 0x0a000011, 0);
    struct tarn_ip_route_entry c = entry(0x08080808, 32, 0x0a000012, 0);
    struct tarn_ip_route_entry d = entry(0x08080000, 16, 0x0a000013, 5);
    cr_assert_eq(tarn_ip_route_add(w.ip, &d), TARN_OK);
    cr_assert_eq(tarn_ip_route_add(w.ip, &c), TARN_OK);
    cr_assert_eq(tarn_ip_route_add(w.ip, &a), TARN_OK);
    cr_assert_eq(tarn_ip_route_add(w.ip, &b), TARN_OK);
    cr_assert_eq(via(0x08080808), 0x0a000012);
    cr_assert_eq(via(0x08080809), 0x0a000011);
    cr_assert_eq(via(0x08090000), 0x0a000010);
    cr_assert_eq(via(0x09000000), GATE);
    cr_assert_eq(via(0x0a000009), 0x0a000009);
    cr_assert_eq(tarn_ip_route_remove(w.ip, &b), TARN_OK);
    cr_assert_eq(via(0x08080809), 0x0a000013);
    cr_assert_eq(tarn_ip_route_remove(w.ip, &d), TARN_OK);
    cr_assert_eq(via(0x08080809), 0x0a000010);
    cr_assert_eq(tarn_ip_route_remove(w.ip, &d), TARN_NOT_FOUND);
    struct tarn_ip_route_entry def = entry(0, 0, GATE, 0);
    cr_assert_eq(tarn_ip_route_remove(w.ip, &def), TARN_OK);
    cr_assert_eq(via(0x09000000), 0);
    cr_assert(world_end(&w));
}

/* Against the plainest table there is: a list looked through from end to end. */
Test(route, random_tables_agree_with_a_list) {
    world_init(&w, (struct tarn_ip_limits){.routes_max = 300});
    static struct {
        struct tarn_ip_route_entry e;
        bool live;
    } list[200];
    struct tarn_random *r = &w.random.random;
    struct tarn_ip_route_entry def = entry(0, 0, GATE, 0);
    cr_assert_eq(tarn_ip_route_remove(w.ip, &def), TARN_OK);
    for (int step = 0; step < 4000; step++) {
        uint32_t i = tarn_random_below(r, 200);
        if (list[i].live) {
            cr_assert_eq(tarn_ip_route_remove(w.ip, &list[i].e), TARN_OK);
        } else {
            uint8_t bits = (uint8_t)tarn_random_below(r, 33);
            uint32_t mask = bits ? UINT32_MAX << (32 - bits) : 0;
            /* Few high bits, so that prefixes nest; the gateway names the entry. */
            uint32_t prefix = (0x40000000u | (tarn_random_u32(r) & 0x0303030fu)) & mask;
            list[i].e = entry(prefix, bits, 0x0a000010 + i, 0);
            cr_assert_eq(tarn_ip_route_add(w.ip, &list[i].e), TARN_OK);
        }
        list[i].live = !list[i].live;
        uint32_t dst = 0x40000000u | (tarn_random_u32(r) & 0x0303030fu);
        int best = -1;
        for (int k = 0; k < 200; k++) {
            struct tarn_ip_addr a = v4(dst);
            if (list[k].live && tarn_ip_prefix_contains(&list[k].e.prefix, &a)
                && (best < 0 || list[k].e.prefix.bits > list[best].e.prefix.bits))
                best = k;
        }
        uint32_t got = via(dst);
        if (best < 0) {
            cr_assert_eq(got, 0);
        } else {
            /* Equal prefixes may name another gateway. */
            uint32_t k = got - 0x0a000010;
            cr_assert(k < 200 && list[k].live);
            cr_assert_eq(list[k].e.prefix.bits, list[best].e.prefix.bits);
        }
    }
    for (int k = 0; k < 200; k++)
        if (list[k].live)
            cr_assert_eq(tarn_ip_route_remove(w.ip, &list[k].e), TARN_OK);
    cr_assert_eq(stats(&w).routes, 2, "those of our own two prefixes");
    cr_assert(world_end(&w));
}

Test(route, a_full_table_refuses_and_stays_whole) {
    world_init(&w, (struct tarn_ip_limits){.routes_max = 10});
    for (uint32_t i = 0; i < 20; i++) {
        struct tarn_ip_route_entry e = entry(0x20000000 + (i << 8), 24, 0x0a000010 + i, 0);
        cr_assert_eq(tarn_ip_route_add(w.ip, &e), i < 7 ? TARN_OK : TARN_LIMIT);
    }
    cr_assert_eq(via(0x20000001), 0x0a000010);
    cr_assert_eq(via(0x20000f01), GATE);
    cr_assert(world_end(&w));
}

Test(route, a_hundred_thousand_routes_are_found) {
    world_init(&w, (struct tarn_ip_limits){.routes_max = 100010});
    for (uint32_t i = 0; i < 100000; i++) {
        struct tarn_ip_route_entry e = entry(0x20000000 + (i << 8), 24, 0x0a000002, 0);
        cr_assert_eq(tarn_ip_route_add(w.ip, &e), TARN_OK);
    }
    for (uint32_t i = 0; i < 100000; i += 777)
        cr_assert_eq(via(0x20000001 + (i << 8)), 0x0a000002);
    cr_assert_eq(via(0x20000001 + (100000u << 8)), GATE);
    cr_assert(world_end(&w));
}

Test(route, what_makes_no_sense_is_refused) {
    world_init(&w, (struct tarn_ip_limits){0});
    struct tarn_ip_route_entry e = entry(0x20000000, 33, GATE, 0);
    cr_assert_eq(tarn_ip_route_add(w.ip, &e), TARN_INVALID);
    e = entry(0x20000000, 8, GATE, 0);
    e.iface = 2;
    cr_assert_eq(tarn_ip_route_add(w.ip, &e), TARN_INVALID);
    e.iface = 0;
    e.gateway = (struct tarn_ip_addr){.bytes = {0xfe, 0x80, [15] = 1}};
    cr_assert_eq(tarn_ip_route_add(w.ip, &e), TARN_INVALID);
    cr_assert(world_end(&w));
}

Test(route, a_prefix_of_two_addresses_goes_with_the_second) {
    world_init(&w, (struct tarn_ip_limits){0});
    struct tarn_ip_prefix p = prefix4(0x0a000033, 24);
    struct tarn_ip_addr first = v4(US), second = v4(0x0a000033);
    cr_assert_eq(tarn_ip_addr_add(w.ip, 0, &p, false, w.now), TARN_OK);
    tarn_ip_addr_remove(w.ip, 0, &first, w.now);
    cr_assert_eq(via(0x0a000009), 0x0a000009);
    tarn_ip_addr_remove(w.ip, 0, &second, w.now);
    cr_assert_eq(via(0x0a000009), 0);
    cr_assert(world_end(&w));
}
