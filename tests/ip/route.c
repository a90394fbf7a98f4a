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

/* The same for both families at once, with interfaces and metrics: addresses of few bits that
 * differ, so that prefixes nest deeply, and asked for by any interface and by either alone. */
struct any_route {
    struct tarn_ip_route_entry e;
    bool live;
};
static struct any_route any_routes[120];

static struct tarn_ip_addr nested_addr(struct tarn_random *r, bool is_v4) {
    struct tarn_ip_addr a = is_v4 ? v4(0x40000000) : (struct tarn_ip_addr){.bytes = {0x20, 1}};
    for (unsigned i = is_v4 ? 104 : 16; i < 128; i++)
        if (tarn_random_below(r, 8) == 0)
            a.bytes[i / 8] |= (uint8_t)(0x80 >> i % 8);
    return a;
}
/* Half of them of the longest lengths, which have the most steps on the way. */
static uint8_t nested_bits(struct tarn_random *r, bool is_v4) {
    uint32_t max = is_v4 ? 32 : 128;
    return (uint8_t)(tarn_random_below(r, 2) ? tarn_random_below(r, max + 1)
                                             : max - tarn_random_below(r, 4));
}
static struct tarn_ip_prefix nested_prefix(struct tarn_random *r) {
    bool is_v4 = tarn_random_below(r, 2);
    struct tarn_ip_prefix p = {nested_addr(r, is_v4), nested_bits(r, is_v4)};
    for (unsigned i = p.bits + (is_v4 ? 96u : 0u); i < 128; i++)
        p.addr.bytes[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
    return p;
}
static bool is_better_route(const struct tarn_ip_route_entry *a,
                            const struct tarn_ip_route_entry *b) {
    return a->prefix.bits != b->prefix.bits ? a->prefix.bits > b->prefix.bits
                                            : a->metric < b->metric;
}
static const struct tarn_ip_route_entry *slow_find(const struct tarn_ip_addr *dst, unsigned bound) {
    const struct tarn_ip_route_entry *best = NULL;
    for (size_t i = 0; i < TARN_COUNT_OF(any_routes); i++) {
        const struct tarn_ip_route_entry *e = &any_routes[i].e;
        if (any_routes[i].live && tarn_ip_prefix_contains(&e->prefix, dst)
            && (bound == 0 || e->iface == bound - 1) && (!best || is_better_route(e, best)))
            best = e;
    }
    return best;
}
static void check_way(const struct tarn_ip_addr *dst, uint8_t bound) {
    const struct tarn_ip_route_entry *want = slow_find(dst, bound);
    struct tarn_ip_meta meta = {.dst = *dst, .proto = TARN_IP_PROTO_UDP, .iface = bound};
    enum tarn_err err =
        tarn_ip_lower(w.ip)->ops->send(tarn_ip_lower(w.ip), &meta, raw(&w, "x", 1), w.now);
    if (want) {
        cr_assert_eq(err, TARN_OK);
        cr_assert_eq(w.link[want->iface].count, 1);
        cr_assert(tarn_ip_addr_equal(&w.link[want->iface].sent[0].next_hop, &want->gateway));
    } else {
        cr_assert_neq(err, TARN_OK);
    }
    world_forget(&w);
}
/* Adds or removes a route at random; its gateway names it. */
static void change_one(struct tarn_random *r) {
    uint32_t i = tarn_random_below(r, TARN_COUNT_OF(any_routes));
    struct any_route *a = &any_routes[i];
    if (a->live) {
        cr_assert_eq(tarn_ip_route_remove(w.ip, &a->e), TARN_OK);
    } else {
        a->e = (struct tarn_ip_route_entry){.prefix = nested_prefix(r),
                                            .iface = (uint8_t)tarn_random_below(r, 2),
                                            .metric = (uint8_t)i};
        bool is_v4 = tarn_ip_addr_is_v4(&a->e.prefix.addr);
        a->e.gateway = is_v4 ? v4(0x0a000000) : (struct tarn_ip_addr){.bytes = {0xfe, 0x80}};
        a->e.gateway.bytes[15] = (uint8_t)(2 + i);
        cr_assert_eq(tarn_ip_route_add(w.ip, &a->e), TARN_OK);
    }
    a->live = !a->live;
}

Test(route, both_families_agree_with_a_list_by_any_interface) {
    world_init(&w, (struct tarn_ip_limits){.routes_max = 130});
    struct tarn_random *r = &w.random.random;
    struct tarn_ip_route_entry def = entry(0, 0, GATE, 0);
    struct tarn_ip_prefix own6 = {{{{0xfd, [15] = 1}}}, 128};
    cr_assert_eq(tarn_ip_route_remove(w.ip, &def), TARN_OK);
    for (uint8_t i = 0; i < 2; i++, own6.addr.bytes[15]++)
        cr_assert_eq(tarn_ip_addr_add(w.ip, i, &own6, false, w.now), TARN_OK);
    for (int i = 0; i < 5; i++)
        tick(&w, TARN_SEC(1));
    world_forget(&w);
    for (int step = 0; step < 3000; step++) {
        change_one(r);
        for (int k = 0; k < 4; k++) {
            struct tarn_ip_addr dst = nested_addr(r, k & 1);
            check_way(&dst, (uint8_t)tarn_random_below(r, 3));
        }
        const struct tarn_ip_addr *known =
            &any_routes[tarn_random_below(r, TARN_COUNT_OF(any_routes))].e.prefix.addr;
        if (!tarn_ip_addr_is_any(known) && tarn_ip_addr_v4(known) != 0)
            check_way(known, (uint8_t)tarn_random_below(r, 3));
    }
    for (size_t i = 0; i < TARN_COUNT_OF(any_routes); i++)
        if (any_routes[i].live)
            cr_assert_eq(tarn_ip_route_remove(w.ip, &any_routes[i].e), TARN_OK);
    cr_assert(world_end(&w));
}

/* A table is as large as was said whatever is in it: lengths whose bits are all ones need the most
 * room, and each prefix is alone on its way. */
Test(route, the_most_demanding_table_fits) {
    world_init(&w, (struct tarn_ip_limits){.routes_max = 1000});
    uint32_t room = 1000 - stats(&w).routes;
    for (uint32_t i = 0; i < room; i++) {
        struct tarn_ip_route_entry e = {.prefix = {.bits = 127}, .gateway = {{{0xfe, 0x80}}}};
        e.prefix.addr.bytes[0] = (uint8_t)(0x20 | i >> 8);
        e.prefix.addr.bytes[1] = (uint8_t)i;
        e.prefix.addr.bytes[15] = 2;
        cr_assert_eq(tarn_ip_route_add(w.ip, &e), TARN_OK, "%u", i);
    }
    struct tarn_ip_route_entry more = entry(0x20000000, 31, GATE, 0);
    cr_assert_eq(tarn_ip_route_add(w.ip, &more), TARN_LIMIT);
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
