/* SPDX-License-Identifier: ISC */
#include "v6.h"
#include <criterion/criterion.h>

static struct world w;
static uint8_t data[64];

static void set_up(void) {
    world_init6(&w, (struct tarn_ip_limits){.neighbours_max = 64});
}
static void tear_down(void) {
    cr_assert(world_end(&w), "packets are left");
}
static const struct test_sent *newest(void) {
    cr_assert_gt(w.link[0].count, 0);
    return &w.link[0].sent[w.link[0].count - 1];
}
static void expect_solicit(size_t i, const char *target, bool unicast) {
    const uint8_t *p = sent(&w, 0, i);
    cr_assert_eq(icmp6_type(p), 135);
    cr_assert_eq(p[7], 255);
    cr_assert(is_addr(p + 48, target));
    cr_assert_eq(w.link[0].sent[i].kind, unicast ? TARN_LINK_ADDRESS : TARN_LINK_MULTICAST);
}

Test(ndp, rfc4861_7_2_2_asks_the_solicited_node_group_and_sends_what_waited) {
    set_up();
    cr_assert_eq(out6(&w, PEER6, data, 10), TARN_OK);
    cr_assert_eq(w.link[0].count, 1);
    expect_solicit(0, PEER6, false);
    const uint8_t *p = sent(&w, 0, 0);
    cr_assert(is_addr(p + 24, "ff02::1:ff00:2"));
    cr_assert(is_addr(p + 8, US6));
    cr_assert(memcmp(p + 64, "\1\1\2\0\0\0\0\1", 8) == 0, "our link-layer address");
    cr_assert_eq(out6(&w, PEER6, data, 11), TARN_OK);
    answer(&w, PEER6, 2);
    cr_assert_eq(w.link[0].count, 3);
    cr_assert_eq(w.link[0].sent[1].kind, TARN_LINK_ADDRESS);
    cr_assert_eq(w.link[0].sent[1].pkt->len, 50);
    cr_assert_eq(w.link[0].sent[2].pkt->len, 51);
    tear_down();
}

Test(ndp, rfc4861_7_3_3_reachable_stale_delay_probe_and_gone) {
    set_up();
    cr_assert_eq(out6(&w, PEER6, data, 10), TARN_OK);
    answer(&w, PEER6, 2);
    world_forget(&w);
    tick(&w, TARN_SEC(46)); /* past any reachable time: stale */
    cr_assert_eq(w.link[0].count, 0);
    cr_assert_eq(out6(&w, PEER6, data, 10), TARN_OK);
    cr_assert_eq(w.link[0].count, 1, "used meanwhile");
    tick(&w, TARN_SEC(4));
    cr_assert_eq(w.link[0].count, 1);
    tick(&w, TARN_SEC(1));
    for (size_t i = 1; i <= 3; i++) {
        cr_assert_eq(w.link[0].count, i + 1);
        expect_solicit(i, PEER6, true);
        tick(&w, TARN_SEC(1));
    }
    cr_assert_eq(w.link[0].count, 4);
    cr_assert_eq(out6(&w, PEER6, data, 10), TARN_OK);
    expect_solicit(4, PEER6, false);
    answer(&w, PEER6, 2);
    tear_down();
}

Test(ndp, rfc4861_7_3_3_a_probe_that_is_answered_makes_it_reachable) {
    set_up();
    cr_assert_eq(out6(&w, PEER6, data, 10), TARN_OK);
    answer(&w, PEER6, 2);
    tick(&w, TARN_SEC(46));
    cr_assert_eq(out6(&w, PEER6, data, 10), TARN_OK);
    tick(&w, TARN_SEC(5));
    expect_solicit(w.link[0].count - 1, PEER6, true);
    answer(&w, PEER6, 2);
    world_forget(&w);
    tick(&w, TARN_SEC(10));
    cr_assert_eq(out6(&w, PEER6, data, 10), TARN_OK);
    cr_assert_eq(w.link[0].count, 1);
    tear_down();
}

Test(ndp, rfc4861_7_2_2_silence_is_told_to_the_transport) {
    set_up();
    cr_assert_eq(out6(&w, PEER6, data, 20), TARN_OK);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(w.errors, 0);
        tick(&w, TARN_SEC(1));
    }
    cr_assert_eq(w.errors, 1);
    cr_assert_eq(w.error, TARN_IP_ERROR_UNREACHABLE);
    cr_assert_eq(out6(&w, PEER6, data, 20), TARN_IO);
    cr_assert_eq(w.link[0].count, 3);
    tear_down();
}

Test(ndp, rfc4861_7_2_4_answers_who_asks_and_learns_who_it_was) {
    set_up();
    in_nd(&w, LL6, "ff02::1:ff00:1", 135, 0, US6, 1, 7);
    cr_assert_eq(w.link[0].count, 1);
    const uint8_t *p = sent(&w, 0, 0);
    cr_assert_eq(icmp6_type(p), 136);
    cr_assert_eq(p[7], 255);
    cr_assert_eq(p[44], 0x60, "solicited, override");
    cr_assert(is_addr(p + 24, LL6));
    cr_assert_eq(newest()->kind, TARN_LINK_ADDRESS);
    in_nd(&w, LL6, "ff02::1:ff00:1", 135, 0, "2001:db8::ff00:1", 1, 7);
    cr_assert_eq(w.link[0].count, 1, "another of the same group");
    tear_down();
}

Test(ndp, rfc4861_7_1_what_did_not_come_from_the_link_is_dropped) {
    set_up();
    uint8_t rest[28] = {0};
    struct tarn_ip_addr t = a6(US6);
    memcpy(rest + 4, t.bytes, 16);
    memcpy(rest + 20, "\1\1\2\0\0\0\0\7", 8);
    in_icmp6(&w, LL6, US6, 254, 135, 0, rest, 28);
    in_icmp6(&w, LL6, US6, 255, 135, 1, rest, 28);
    for (size_t n = 0; n < 28; n++)
        if (n != 20)
            in_icmp6(&w, LL6, US6, 255, 135, 0, rest, n);
    rest[21] = 0; /* an option of no length */
    in_icmp6(&w, LL6, US6, 255, 135, 0, rest, 28);
    in_nd(&w, "::", US6, 135, 0, US6, 0, 0);              /* not to the solicited-node group */
    in_nd(&w, "::", "ff02::1:ff00:1", 135, 0, US6, 1, 7); /* a source address without a source */
    in_nd(&w, LL6, "ff02::1:ff00:1", 135, 0, "ff02::1", 1, 7);
    in_nd(&w, PEER6, "ff02::1", 136, 0x60, PEER6, 2, 7); /* solicited, to a group */
    cr_assert_eq(w.link[0].count, 0);
    cr_assert_eq(stats(&w).neighbours, 0);
    tear_down();
}

Test(ndp, rfc6980_5_a_fragmented_solicitation_is_dropped) {
    set_up();
    uint8_t msg[28] = {135}, ext[8] = {58, 0, 0, 0, 0, 0, 0, 1};
    struct tarn_ip_addr t = a6(US6);
    memcpy(msg + 8, t.bytes, 16);
    put16(msg + 2, v6_csum(LL6, US6, msg, 24));
    in_v6(&w,
          &(struct v6){.src = LL6, .dst = US6, .next = 44, .hops = 255, .ext = ext, .ext_len = 8},
          msg, 24);
    cr_assert_eq(w.link[0].count, 0);
    in_v6(&w, &(struct v6){.src = LL6, .dst = US6, .next = 58, .hops = 255}, msg, 24);
    cr_assert_eq(w.link[0].count, 1);
    tear_down();
}

Test(ndp, a_neighbour_that_answered_is_not_overwritten_unasked) {
    set_up();
    cr_assert_eq(out6(&w, PEER6, data, 10), TARN_OK);
    answer(&w, PEER6, 2);
    world_forget(&w);
    in_nd(&w, PEER6, US6, 136, 0x20, PEER6, 2, 66);
    expect_solicit(0, PEER6, true);
    in_nd(&w, PEER6, "ff02::1:ff00:1", 135, 0, US6, 1, 66);
    cr_assert_eq(out6(&w, PEER6, data, 10), TARN_OK);
    answer(&w, PEER6, 2);
    tear_down();
}

Test(ndp, unsolicited_advertisements_create_nothing_and_floods_are_bounded) {
    set_up();
    in_nd(&w, PEER6, "ff02::1", 136, 0x20, PEER6, 2, 66);
    cr_assert_eq(stats(&w).neighbours, 0);
    cr_assert_eq(out6(&w, PEER6, data, 10), TARN_OK);
    answer(&w, PEER6, 2);
    char text[64];
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "2001:db8::1:%x", i + 1);
        in_nd(&w, text, "ff02::1:ff00:1", 135, 0, US6, 1, (uint8_t)(i | 4));
        world_forget(&w);
    }
    cr_assert_leq(stats(&w).neighbours, 64);
    cr_assert_eq(out6(&w, PEER6, data, 10), TARN_OK);
    cr_assert_eq(w.link[0].count, 1, "still known");
    cr_assert_eq(w.link[0].sent[0].kind, TARN_LINK_ADDRESS);
    tear_down();
}

Test(ndp, rfc4861_8_redirects_are_not_followed) {
    set_up();
    uint8_t rest[36] = {0};
    struct tarn_ip_addr t = a6("fe80::66"), d = a6(FAR6);
    memcpy(rest + 4, t.bytes, 16);
    memcpy(rest + 20, d.bytes, 16);
    in_icmp6(&w, "fe80::99", US6, 255, 137, 0, rest, 36);
    cr_assert_eq(out6(&w, FAR6, data, 10), TARN_OK);
    expect_solicit(0, "fe80::99", false);
    tear_down();
}

/* -- our own addresses -- */

static enum tarn_ip_addr_state state_of(const char *text) {
    struct tarn_ip_addr a = a6(text);
    return tarn_ip_addr_state(w.ip, 0, &a);
}
static void add_probed(const char *text) {
    struct tarn_ip_prefix p = {a6(text), 64};
    cr_assert_eq(tarn_ip_addr_add(w.ip, 0, &p, true, w.now), TARN_OK);
    tick(&w, 0);
}

Test(dad, rfc4862_5_4_an_address_is_asked_for_then_used) {
    set_up();
    add_probed("2001:db8::77");
    cr_assert_eq(state_of("2001:db8::77"), TARN_IP_ADDR_TENTATIVE);
    cr_assert_eq(sent(&w, 0, 0)[48], 143, "section 5.4.2: its group is reported first");
    expect_solicit(1, "2001:db8::77", false);
    cr_assert(is_addr(sent(&w, 0, 1) + 8, "::"));
    cr_assert_eq(sent(&w, 0, 1)[64], 14, "RFC 7527: a nonce, and no link-layer address");
    in_v6(&w, &(struct v6){.src = PEER6, .dst = "2001:db8::77", .next = 17}, data, 8);
    cr_assert_eq(w.got_count, 0);
    tick(&w, TARN_SEC(1));
    cr_assert_eq(state_of("2001:db8::77"), TARN_IP_ADDR_READY);
    in_v6(&w, &(struct v6){.src = PEER6, .dst = "2001:db8::77", .next = 17}, data, 8);
    cr_assert_eq(w.got_count, 1);
    tear_down();
}

Test(dad, rfc4862_5_4_3_somebody_who_asks_or_answers_makes_it_duplicate) {
    for (int c = 0; c < 2; c++) {
        set_up();
        add_probed("2001:db8::77");
        if (c == 0)
            in_nd(&w, "::", "ff02::1:ff00:77", 135, 0, "2001:db8::77", 0, 0);
        else
            in_nd(&w, "2001:db8::77", "ff02::1", 136, 0x20, "2001:db8::77", 2, 9);
        cr_assert_eq(state_of("2001:db8::77"), TARN_IP_ADDR_DUPLICATE);
        tick(&w, TARN_SEC(5));
        cr_assert_eq(state_of("2001:db8::77"), TARN_IP_ADDR_DUPLICATE);
        tear_down();
    }
}

Test(dad, rfc7527_4_2_our_own_question_come_back_is_no_duplicate) {
    set_up();
    add_probed("2001:db8::77");
    const uint8_t *p = sent(&w, 0, 1); /* behind the report of its group */
    cr_assert_eq(icmp6_type(p), 135);
    struct tarn_link_meta meta = {.cast = TARN_LINK_TO_GROUP};
    tarn_ip_input(w.ip, 0, &meta, raw(&w, p, 40u + get16(p + 4)), w.now);
    tick(&w, TARN_SEC(1));
    cr_assert_eq(state_of("2001:db8::77"), TARN_IP_ADDR_READY);
    tear_down();
}

/* -- router discovery -- */

static const uint8_t prefix_option[32] = {3,    4, 64, 0xc0, 0, 0,    0x0e, 0x10, 0,    0, 0x07,
                                          0x08, 0, 0,  0,    0, 0x20, 1,    0xd,  0xb8, 0, 0xaa};
static void in_ra(const char *src, uint8_t flags, uint16_t lifetime, const uint8_t *options,
                  size_t n) {
    uint8_t rest[200] = {64, flags};
    put16(rest + 2, lifetime);
    memcpy(rest + 12, options, n);
    in_icmp6(&w, src, "ff02::1", 255, 134, 0, rest, 12 + n);
}
static void set_up_slaac(unsigned flags) {
    world_init(&w, (struct tarn_ip_limits){0});
    w.link[0].link.has_mac = true;
    cr_assert_eq(tarn_ip_ipv6_start(w.ip, 0, flags | TARN_IP_IPV6_SLAAC, w.now), TARN_OK);
}
/* The addresses of link 0 under a prefix; the last one found. */
static int addrs_under(const char *prefix, struct tarn_ip_addr *out, enum tarn_ip_addr_state want) {
    struct tarn_ip_prefix p = {a6(prefix), 64}, own;
    enum tarn_ip_addr_state state;
    uint32_t cursor = 0;
    int n = 0;
    while (tarn_ip_addr_next(w.ip, 0, &cursor, &own, &state)) {
        if (tarn_ip_prefix_contains(&p, &own.addr) && state == want) {
            *out = own.addr;
            n++;
        }
    }
    return n;
}

Test(slaac, rfc4861_6_3_7_a_link_local_address_then_routers_are_asked_for) {
    set_up_slaac(0);
    struct tarn_ip_addr ll;
    tick(&w, 0);
    cr_assert_eq(w.link[0].count, 2);
    cr_assert_eq(sent(&w, 0, 0)[48], 143, "RFC 4862 section 5.4.2: the group first");
    cr_assert_eq(icmp6_type(sent(&w, 0, 1)), 135);
    cr_assert_eq(addrs_under("fe80::", &ll, TARN_IP_ADDR_TENTATIVE), 1);
    tick(&w, TARN_SEC(1));
    cr_assert_eq(addrs_under("fe80::", &ll, TARN_IP_ADDR_READY), 1);
    tick(&w, 0);
    for (int i = 0; i < 10; i++)
        tick(&w, TARN_SEC(4));
    int solicits = 0;
    for (size_t i = 0; i < w.link[0].count; i++) {
        const uint8_t *p = sent(&w, 0, i);
        if (icmp6_type(p) == 133) {
            solicits++;
            cr_assert(is_addr(p + 24, "ff02::2"));
            cr_assert(memcmp(p + 8, ll.bytes, 16) == 0);
        }
    }
    cr_assert_eq(solicits, 3);
    cr_assert_eq(tarn_ip_deadline(w.ip), TARN_NEVER);
    tear_down();
}

Test(slaac, rfc4862_5_5_an_advertised_prefix_makes_an_address_a_route_and_a_default) {
    set_up_slaac(0);
    struct tarn_ip_addr a, b;
    for (int i = 0; i < 3; i++)
        tick(&w, TARN_SEC(1));
    in_ra("fe80::99", 0, 1800, prefix_option, 32);
    cr_assert_eq(addrs_under("2001:db8:aa::", &a, TARN_IP_ADDR_TENTATIVE), 1);
    for (int i = 0; i < 3; i++)
        tick(&w, TARN_SEC(1));
    cr_assert_eq(addrs_under("2001:db8:aa::", &a, TARN_IP_ADDR_READY), 1);
    world_forget(&w);
    cr_assert_eq(out6(&w, "2001:db8:aa::5", data, 10), TARN_OK);
    expect_solicit(0, "2001:db8:aa::5", false);
    cr_assert_eq(out6(&w, FAR6, data, 10), TARN_OK);
    expect_solicit(1, "fe80::99", false);
    /* Deprecated after half an hour, gone after an hour; the router goes as well. */
    for (int i = 0; i < 10; i++)
        tick(&w, TARN_SEC(180));
    cr_assert_eq(addrs_under("2001:db8:aa::", &b, TARN_IP_ADDR_DEPRECATED), 1);
    cr_assert_eq(out6(&w, FAR6, data, 10), TARN_NOT_FOUND, "lifetime of the router");
    for (int i = 0; i < 10; i++)
        tick(&w, TARN_SEC(181));
    cr_assert_eq(addrs_under("2001:db8:aa::", &b, TARN_IP_ADDR_DEPRECATED), 0);
    cr_assert_eq(out6(&w, "2001:db8:aa::5", data, 10), TARN_NOT_FOUND);
    tear_down();
}

Test(slaac, rfc7217_5_the_same_secret_gives_the_same_address_and_a_duplicate_another) {
    set_up_slaac(0);
    struct tarn_ip_addr a, b;
    for (int i = 0; i < 3; i++)
        tick(&w, TARN_SEC(1));
    in_ra("fe80::99", 0, 1800, prefix_option, 32);
    cr_assert_eq(addrs_under("2001:db8:aa::", &a, TARN_IP_ADDR_TENTATIVE), 1);
    cr_assert_neq(memcmp(a.bytes + 8, "\0\0\0\xff\xfe\0\0\1", 8), 0, "no EUI-64");
    char text[64];
    struct tarn_writer wr = TARN_WRITER_ARRAY(text);
    tarn_writer_ip_addr(&wr, &a);
    tarn_writer_u8(&wr, 0);
    in_nd(&w, text, "ff02::1", 136, 0x20, text, 2, 9);
    cr_assert_eq(addrs_under("2001:db8:aa::", &b, TARN_IP_ADDR_TENTATIVE), 1);
    cr_assert(!tarn_ip_addr_equal(&a, &b));
    for (int i = 0; i < 3; i++)
        tick(&w, TARN_SEC(1));
    cr_assert_eq(addrs_under("2001:db8:aa::", &b, TARN_IP_ADDR_READY), 1);
    tear_down();
    /* The same machine started again (the test's randomness is seeded). */
    set_up_slaac(0);
    for (int i = 0; i < 3; i++)
        tick(&w, TARN_SEC(1));
    in_ra("fe80::99", 0, 1800, prefix_option, 32);
    cr_assert_eq(addrs_under("2001:db8:aa::", &b, TARN_IP_ADDR_TENTATIVE), 1);
    cr_assert(tarn_ip_addr_equal(&a, &b));
    tear_down();
}

Test(slaac, rfc8981_3_temporary_addresses_are_preferred_and_replaced) {
    set_up_slaac(TARN_IP_IPV6_TEMPORARY);
    uint8_t option[32];
    memcpy(option, prefix_option, 32);
    memset(option + 4, 0xff, 8); /* for ever */
    struct tarn_ip_addr a, src;
    for (int i = 0; i < 3; i++)
        tick(&w, TARN_SEC(1));
    in_ra("fe80::99", 0, 9000, option, 32);
    for (int i = 0; i < 3; i++)
        tick(&w, TARN_SEC(1));
    cr_assert_eq(addrs_under("2001:db8:aa::", &a, TARN_IP_ADDR_READY), 2);
    struct tarn_ip_lower *lower = tarn_ip_lower(w.ip);
    struct tarn_ip_route r;
    struct tarn_ip_addr any = TARN_IP_ADDR_NONE, far = a6(FAR6);
    cr_assert_eq(lower->ops->route(lower, &any, &far, &r), TARN_OK);
    src = r.src;
    for (int i = 0; i < 3 * 24; i++) {
        in_ra("fe80::99", 0, 9000, option, 32);
        for (int k = 0; k < 60; k++)
            tick(&w, TARN_SEC(60));
        world_forget(&w);
    }
    cr_assert_eq(lower->ops->route(lower, &any, &far, &r), TARN_OK);
    cr_assert(!tarn_ip_addr_equal(&src, &r.src), "another one by now");
    int live = addrs_under("2001:db8:aa::", &a, TARN_IP_ADDR_READY)
               + addrs_under("2001:db8:aa::", &a, TARN_IP_ADDR_DEPRECATED);
    cr_assert_geq(live, 2);
    cr_assert_leq(live, 5);
    tear_down();
}

Test(slaac, rfc4862_5_5_3_a_forged_short_lifetime_leaves_two_hours) {
    set_up_slaac(0);
    uint8_t option[32];
    memcpy(option, prefix_option, 32);
    memset(option + 4, 0xff, 8);
    struct tarn_ip_addr a;
    for (int i = 0; i < 3; i++)
        tick(&w, TARN_SEC(1));
    in_ra("fe80::99", 0, 1800, option, 32);
    for (int i = 0; i < 3; i++)
        tick(&w, TARN_SEC(1));
    memset(option + 4, 0, 8);
    in_ra("fe80::66", 0, 0, option, 32);
    tick(&w, TARN_SEC(7100));
    cr_assert_eq(addrs_under("2001:db8:aa::", &a, TARN_IP_ADDR_DEPRECATED), 1);
    tick(&w, TARN_SEC(200));
    cr_assert_eq(addrs_under("2001:db8:aa::", &a, TARN_IP_ADDR_DEPRECATED), 0);
    tear_down();
}

Test(slaac, rfc4861_6_1_2_bad_advertisements_and_too_many_change_little) {
    set_up_slaac(0);
    uint8_t option[32];
    for (int i = 0; i < 3; i++)
        tick(&w, TARN_SEC(1));
    uint32_t routes = stats(&w).routes;
    in_ra("2001:db8::99", 0, 1800, prefix_option, 32); /* not from a link-local address */
    memcpy(option, prefix_option, 32);
    option[1] = 0;
    in_ra("fe80::99", 0, 1800, option, 32);
    for (size_t n = 1; n < 32; n++)
        in_ra("fe80::99", 0, 1800, prefix_option, n);
    static const uint8_t ll[32] = {3, 4, 64, 0xc0, 0, 0, 14, 16,   0,
                                   0, 7, 8,  0,    0, 0, 0,  0xfe, 0x80};
    static const uint8_t mapped[32] = {3, 4, 128, 0x80, 0, 0, 14, 16, 0, 0, 7,    8,    0, 0, 0, 0,
                                       0, 0, 0,   0,    0, 0, 0,  0,  0, 0, 0xff, 0xff, 8, 8, 8, 8};
    in_ra("fe80::99", 0, 0, ll, 32);
    in_ra("fe80::99", 0, 0, mapped, 32);
    cr_assert_eq(stats(&w).routes, routes);
    char text[32];
    for (int i = 0; i < 100; i++) {
        memcpy(option, prefix_option, 32);
        option[20] = (uint8_t)i;
        snprintf(text, sizeof text, "fe80::1:%x", i);
        in_ra(text, 0, 1800, option, 32);
    }
    cr_assert_leq(stats(&w).routes, routes + 32);
    cr_assert_leq(stats(&w).addrs, 32);
    for (int i = 0; i < 40; i++)
        tick(&w, TARN_SEC(100));
    world_forget(&w);
    cr_assert_eq(stats(&w).routes, routes, "all gone with their lifetimes");
    tear_down();
}

Test(slaac, rfc4861_6_3_4_parameters_of_the_link_are_taken_within_reason) {
    set_up_slaac(0);
    for (int i = 0; i < 3; i++)
        tick(&w, TARN_SEC(1));
    uint8_t options[40];
    memcpy(options, prefix_option, 32);
    memcpy(options + 32, (uint8_t[8]){5, 1, 0, 0, 0, 0, 5, 0x78}, 8); /* 1400 */
    in_ra("fe80::99", 0x80, 1800, options, 40);
    for (int i = 0; i < 3; i++)
        tick(&w, TARN_SEC(1));
    cr_assert_eq(tarn_ip_ra_flags(w.ip, 0), 0x80);
    struct tarn_ip_lower *lower = tarn_ip_lower(w.ip);
    struct tarn_ip_route r;
    struct tarn_ip_addr any = TARN_IP_ADDR_NONE, far = a6(FAR6);
    cr_assert_eq(lower->ops->route(lower, &any, &far, &r), TARN_OK);
    cr_assert_eq(r.mtu, 1400);
    put16(options + 38, 100);
    in_ra("fe80::99", 0, 1800, options, 40);
    cr_assert_eq(lower->ops->route(lower, &any, &far, &r), TARN_OK);
    cr_assert_eq(r.mtu, 1400, "less than 1280 is not followed");
    tear_down();
}

Test(slaac, rfc8106_5_resolvers_and_search_domains_are_kept_for_their_lifetimes) {
    set_up_slaac(0);
    for (int i = 0; i < 3; i++)
        tick(&w, TARN_SEC(1));
    uint8_t options[24 + 40] = {25, 3, 0, 0, 0, 0, 0, 60, 0x20, 1, 0xd, 0xb8, [23] = 0x53};
    static const uint8_t dnssl[40] = "\x1f\5\0\0\0\0\0\x1e\7example\3org\0\3lan\0\2a!\3org\0";
    memcpy(options + 24, dnssl, 40);
    struct tarn_ip_dns dns;
    in_ra("fe80::99", 0, 1800, options, sizeof options);
    in_ra("fe80::98", 0, 1800, options, sizeof options);
    tarn_ip_dns(w.ip, 0, &dns);
    cr_assert_eq(dns.server_count, 1);
    cr_assert(is_addr(dns.servers[0].bytes, "2001:db8::53"));
    cr_assert_str_eq(dns.search, "example.org lan");
    tick(&w, TARN_SEC(30));
    tarn_ip_dns(w.ip, 0, &dns);
    cr_assert_str_eq(dns.search, "");
    cr_assert_eq(dns.server_count, 1);
    for (uint8_t i = 0; i < 10; i++) {
        options[23] = i;
        in_ra("fe80::99", 0, 1800, options, 24);
    }
    tarn_ip_dns(w.ip, 0, &dns);
    cr_assert_eq(dns.server_count, TARN_IP_DNS_MAX);
    options[7] = 0; /* a lifetime of zero takes it back */
    options[23] = 0x53;
    in_ra("fe80::99", 0, 1800, options, 24);
    tarn_ip_dns(w.ip, 0, &dns);
    cr_assert_eq(dns.server_count, TARN_IP_DNS_MAX - 1);
    /* Names that run out of their option, or into a pointer. */
    options[24 + 7] = 200;
    options[24 + 8] = 60;
    in_ra("fe80::99", 0, 1800, options, sizeof options);
    options[24 + 8] = 0xc0;
    in_ra("fe80::99", 0, 1800, options, sizeof options);
    tarn_ip_dns(w.ip, 0, &dns);
    cr_assert_str_eq(dns.search, "");
    tick(&w, TARN_SEC(61));
    tarn_ip_dns(w.ip, 0, &dns);
    cr_assert_eq(dns.server_count, 0);
    tear_down();
}
