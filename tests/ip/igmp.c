/* SPDX-License-Identifier: ISC */
#include "groups.h"
#include <criterion/criterion.h>

static struct world w;

static void set_up(void) {
    world_init(&w, (struct tarn_ip_limits){.groups_max = 8, .sources_max = 12});
}
static void tear_down(void) {
    cr_assert(world_end(&w), "packets are left");
}
/* Joins, and lets all reports about it go by. */
static void listens(uint32_t group, bool include, const char *sources) {
    cr_assert_eq(listen4(&w, group, include, true, sources), TARN_OK);
    for (int i = 0; i < 3; i++)
        tick(&w, TARN_SEC(1));
    world_forget(&w);
}

Test(igmp, rfc3376_4_a_report_goes_to_all_routers_with_router_alert) {
    set_up();
    cr_assert_eq(listen4(&w, GROUP, false, true, ""), TARN_OK);
    cr_assert_eq(tarn_ip_deadline(w.ip), 0);
    tick(&w, 0);
    cr_assert_eq(w.link[0].count, 1);
    const uint8_t *p = sent(&w, 0, 0);
    cr_assert_eq(w.link[0].sent[0].kind, TARN_LINK_MULTICAST);
    cr_assert(memcmp(p, "\x46\xc0\0\x28", 4) == 0);
    cr_assert(p[8] == 1 && p[9] == 2 && slow_csum(p, 24) == 0);
    cr_assert(memcmp(p + 12, "\x0a\0\0\1\xe0\0\0\x16\x94\4\0\0", 12) == 0);
    cr_assert(p[24] == 0x22 && slow_csum(p + 24, 16) == 0);
    tear_down();
}

Test(igmp, rfc3376_5_1_changes_are_told_at_once_and_again_within_a_second) {
    set_up();
    cr_assert_eq(listen4(&w, GROUP, false, true, ""), TARN_OK);
    tick(&w, 0);
    cr_assert_str_eq(reported(&w), "TO_EX 239.1.2.3");
    cr_assert(wait_sent(&w, TARN_SEC(1)));
    cr_assert_str_eq(reported(&w), "TO_EX 239.1.2.3");
    cr_assert_not(wait_sent(&w, TARN_SEC(3)), "the robustness variable is two");
    cr_assert_eq(tarn_ip_deadline(w.ip), TARN_NEVER);
    cr_assert_eq(listen4(&w, GROUP, false, false, ""), TARN_OK);
    tick(&w, 0);
    cr_assert_str_eq(reported(&w), "TO_IN 239.1.2.3");
    cr_assert(wait_sent(&w, TARN_SEC(1)));
    cr_assert_str_eq(reported(&w), "TO_IN 239.1.2.3");
    cr_assert_not(wait_sent(&w, TARN_SEC(3)));
    tear_down();
}

Test(igmp, rfc3376_5_1_only_the_difference_of_source_lists_is_told) {
    set_up();
    cr_assert_eq(listen4(&w, GROUP, true, true, "ab"), TARN_OK);
    tick(&w, 0);
    cr_assert_str_eq(reported(&w), "ALLOW 239.1.2.3 10.0.0.97 10.0.0.98");
    tick(&w, TARN_SEC(1));
    tick(&w, TARN_SEC(1));
    world_forget(&w);
    /* A listener changes its mind: the new filter first, then the old one goes. */
    cr_assert_eq(listen4(&w, GROUP, true, true, "bc"), TARN_OK);
    cr_assert_eq(listen4(&w, GROUP, true, false, "ab"), TARN_OK);
    tick(&w, 0);
    cr_assert_str_eq(reported(&w), "ALLOW 239.1.2.3 10.0.0.99; BLOCK 239.1.2.3 10.0.0.97");
    /* Another change meets the retransmission of the last. */
    cr_assert_eq(listen4(&w, GROUP, true, true, "d"), TARN_OK);
    tick(&w, 0);
    cr_assert_str_eq(reported(&w),
                     "ALLOW 239.1.2.3 10.0.0.99 10.0.0.100; BLOCK 239.1.2.3 10.0.0.97");
    cr_assert(wait_sent(&w, TARN_SEC(1)));
    cr_assert_str_eq(reported(&w), "ALLOW 239.1.2.3 10.0.0.100");
    /* Back and forth within one round of the loop is no change. */
    cr_assert_eq(listen4(&w, GROUP, false, true, ""), TARN_OK);
    cr_assert_eq(listen4(&w, GROUP, false, false, ""), TARN_OK);
    tick(&w, TARN_SEC(2));
    cr_assert_str_eq(reported(&w), "");
    tear_down();
}

/* The three examples of the section, with "a" for 10.0.0.97 and so on. */
Test(igmp, rfc3376_3_2_filters_of_several_listeners_are_merged) {
    set_up();
    listens(GROUP, false, "abc");
    listens(GROUP, false, "bcd");
    listens(GROUP, true, "def");
    in_query4(&w, (struct query4){.code = 10});
    cr_assert(wait_sent(&w, TARN_SEC(1)));
    cr_assert_str_eq(reported(&w), "IS_EX 239.1.2.3 10.0.0.98 10.0.0.99");
    cr_assert_eq(listen4(&w, GROUP, false, false, "abc"), TARN_OK);
    cr_assert_eq(listen4(&w, GROUP, false, false, "bcd"), TARN_OK);
    listens(GROUP, true, "ab");
    in_query4(&w, (struct query4){.code = 10});
    cr_assert(wait_sent(&w, TARN_SEC(1)));
    cr_assert_str_eq(reported(&w),
                     "IS_IN 239.1.2.3 10.0.0.97 10.0.0.98 10.0.0.100 10.0.0.101 10.0.0.102");
    cr_assert_eq(listen4(&w, GROUP, true, false, "x"), TARN_NOT_FOUND);
    cr_assert_eq(listen4(&w, GROUP, false, false, ""), TARN_NOT_FOUND);
    tear_down();
}

Test(igmp, rfc3376_5_2_a_general_query_is_answered_once_within_its_time) {
    set_up();
    listens(GROUP, false, "");
    listens(0xe8000001, true, "a");
    tarn_time least = TARN_NEVER, most = 0;
    for (int i = 0; i < 40; i++) {
        tarn_time asked = w.now;
        in_query4(&w, (struct query4){.src = i & 1, .code = 20});
        in_query4(&w, (struct query4){.code = 20});
        cr_assert(wait_sent(&w, TARN_SEC(2)));
        least = TARN_MIN(least, w.now - asked);
        most = TARN_MAX(most, w.now - asked);
        cr_assert_str_eq(reported(&w), "IS_IN 232.0.0.1 10.0.0.97; IS_EX 239.1.2.3",
                         "and never 224.0.0.1");
        cr_assert_not(wait_sent(&w, TARN_SEC(3)));
    }
    cr_assert_lt(least, TARN_MS(400), "random");
    cr_assert_gt(most, TARN_MS(800));
    tear_down();
}

Test(igmp, rfc3376_5_2_queries_about_a_group_and_sources) {
    set_up();
    listens(GROUP, false, "ab");
    listens(0xe8000001, true, "cd");
    in_query4(&w, (struct query4){.group = GROUP, .code = 10});
    cr_assert(wait_sent(&w, TARN_SEC(1)));
    cr_assert_str_eq(reported(&w), "IS_EX 239.1.2.3 10.0.0.97 10.0.0.98");
    in_query4(&w, (struct query4){.group = GROUP, .code = 10, .sources = "axy"});
    in_query4(&w, (struct query4){.group = GROUP, .code = 10, .sources = "yz"});
    cr_assert(wait_sent(&w, TARN_SEC(1)));
    cr_assert_str_eq(reported(&w), "IS_IN 239.1.2.3 10.0.0.120 10.0.0.121 10.0.0.122",
                     "what is asked for adds up; what is blocked is not heard");
    in_query4(&w, (struct query4){.group = 0xe8000001, .code = 10, .sources = "dx"});
    cr_assert(wait_sent(&w, TARN_SEC(1)));
    cr_assert_str_eq(reported(&w), "IS_IN 232.0.0.1 10.0.0.100");
    in_query4(&w, (struct query4){.group = 0xe8000001, .code = 10, .sources = "x"});
    in_query4(&w, (struct query4){.group = 0xef090909, .code = 10});
    cr_assert_not(wait_sent(&w, TARN_SEC(3)), "nothing to say");
    in_query4(&w, (struct query4){.group = GROUP, .code = 10, .sources = "x"});
    in_query4(&w, (struct query4){.group = GROUP, .code = 10});
    cr_assert(wait_sent(&w, TARN_SEC(1)));
    cr_assert_str_eq(reported(&w), "IS_EX 239.1.2.3 10.0.0.97 10.0.0.98");
    /* More sources than there is room for: the whole list is an answer, too. */
    in_query4(&w, (struct query4){.group = GROUP, .code = 10, .sources = "efghijklm"});
    cr_assert(wait_sent(&w, TARN_SEC(1)));
    cr_assert_str_eq(reported(&w), "IS_EX 239.1.2.3 10.0.0.97 10.0.0.98");
    tear_down();
}

Test(igmp, rfc3376_7_2_an_older_querier_is_answered_in_its_version_until_it_is_gone) {
    set_up();
    listens(GROUP, false, "");
    in_query4(&w, (struct query4){.code = 10, .old = true});
    cr_assert(wait_sent(&w, TARN_SEC(1)));
    const uint8_t *p = sent(&w, 0, 0);
    cr_assert(p[24] == 0x16 && memcmp(p + 16, "\xef\1\2\3", 4) == 0);
    cr_assert(memcmp(p + 28, "\xef\1\2\3", 4) == 0 && slow_csum(p + 24, 8) == 0);
    world_forget(&w);
    cr_assert_eq(listen4(&w, GROUP, false, false, ""), TARN_OK);
    tick(&w, 0);
    p = sent(&w, 0, 0);
    cr_assert(p[24] == 0x17 && memcmp(p + 16, "\xe0\0\0\2", 4) == 0, "a leave to all routers");
    world_forget(&w);
    for (int i = 0; i < 30; i++)
        tick(&w, TARN_SEC(10)); /* 2 * 125 s and 1 s: section 8.12 */
    world_forget(&w);
    cr_assert_eq(listen4(&w, GROUP, false, true, ""), TARN_OK);
    tick(&w, 0);
    cr_assert_str_eq(reported(&w), "TO_EX 239.1.2.3");
    in_query4(&w, (struct query4){.old = true, .no_alert = true});
    cr_assert(wait_sent(&w, TARN_SEC(10)));
    cr_assert_eq(sent(&w, 0, 0)[24], 0x12, "version 1");
    world_forget(&w);
    cr_assert_eq(listen4(&w, GROUP, false, false, ""), TARN_OK);
    cr_assert_not(wait_sent(&w, TARN_SEC(20)), "leaves in silence");
    tear_down();
}

Test(igmp, rfc2236_3_another_host_s_report_saves_ours_under_an_old_querier) {
    set_up();
    listens(GROUP, false, "");
    uint8_t report[8] = {0x16, 0, 0, 0, 0xef, 1, 2, 3};
    put16(report + 2, slow_csum(report, 8));
    in_query4(&w, (struct query4){.code = 100, .old = true});
    in_v4(&w, &(struct v4){.src = PEER, .dst = GROUP, .proto = 2, .ttl = 1}, report, 8);
    cr_assert_not(wait_sent(&w, TARN_SEC(11)));
    tear_down();
}

Test(igmp, rfc3376_9_1_what_may_come_from_off_the_link_is_dropped) {
    set_up();
    listens(GROUP, false, "");
    in_query4(&w, (struct query4){.code = 10, .no_alert = true});
    in_query4(&w, (struct query4){.code = 10, .ttl = 2});
    in_query4(&w, (struct query4){.code = 10, .sources = "ab", .count = 3});
    in_query4(&w, (struct query4){.code = 10, .count = 65535});
    in_query4(&w, (struct query4){.code = 10, .group = 0x0a000001});
    in_v4(&w, &(struct v4){.src = PEER, .dst = 0xe0000001, .proto = 2, .ttl = 1}, "\x11\0", 2);
    in_v4(&w, &(struct v4){.src = PEER, .dst = 0xe0000001, .proto = 2, .ttl = 1},
          "\x11\x0a\1\2\0\0\0\0", 8);
    cr_assert_eq(stats(&w).drops_igmp, 7);
    cr_assert_not(wait_sent(&w, TARN_SEC(5)));
    tear_down();
}

Test(igmp, a_flood_of_urgent_queries_is_answered_twenty_times_a_second_or_less) {
    set_up();
    listens(GROUP, false, "");
    for (int i = 0; i < 1000; i++) {
        in_query4(&w, (struct query4){.code = 0, .group = i & 1 ? GROUP : 0});
        tick(&w, TARN_MS(1));
    }
    cr_assert_leq(w.link[0].count, 40, "twice: in general, and about one group");
    tear_down();
}

Test(groups, rfc3376_3_1_packets_of_blocked_sources_are_not_delivered) {
    set_up();
    uint8_t data[16] = {0};
    listens(GROUP, true, "a");
    in_v4(&w, &(struct v4){.src = 0x0a000061, .dst = GROUP}, data, 16);
    cr_assert_eq(w.got_count, 1);
    in_v4(&w, &(struct v4){.src = 0x0a000062, .dst = GROUP}, data, 16);
    cr_assert_eq(w.got_count, 1);
    cr_assert_eq(stats(&w).drops_source, 1);
    listens(GROUP, false, "ac");
    in_v4(&w, &(struct v4){.src = 0x0a000061, .dst = GROUP}, data, 16);
    in_v4(&w, &(struct v4){.src = 0x0a000062, .dst = GROUP}, data, 16);
    in_v4(&w, &(struct v4){.src = 0x0a000063, .dst = GROUP}, data, 16);
    cr_assert_eq(w.got_count, 2, "one wants a, the other all but a and c");
    tear_down();
}

Test(groups, bounds_are_told_and_leave_nothing_behind) {
    set_up();
    for (uint32_t i = 0; i < 6; i++) /* and 224.0.0.1 on both interfaces */
        cr_assert_eq(listen4(&w, GROUP + i, false, true, ""), TARN_OK);
    cr_assert_eq(listen4(&w, 0xe8000001, false, true, ""), TARN_LIMIT);
    for (uint32_t i = 0; i < 6; i++)
        cr_assert_eq(listen4(&w, GROUP + i, false, false, ""), TARN_OK);
    for (int i = 0; i < 4; i++)
        tick(&w, TARN_SEC(1));
    cr_assert_eq(listen4(&w, GROUP, true, true, "abcdefgh"), TARN_OK);
    cr_assert_eq(listen4(&w, GROUP + 1, true, true, "abcdefgh"), TARN_LIMIT, "of sources");
    tick(&w, 0);
    cr_assert_eq(listen4(&w, GROUP + 1, true, true, "abcd"), TARN_OK);
    cr_assert_eq(listen4(&w, GROUP + 1, true, true, "aa"), TARN_INVALID);
    cr_assert_eq(listen4(&w, PEER, false, true, ""), TARN_INVALID);
    cr_assert_eq(listen4(&w, GROUP, true, true, ""), TARN_INVALID);
    tear_down();
}

static enum tarn_err send_group(unsigned iface, bool no_loop, uint8_t hops, size_t n) {
    static uint8_t data[4000];
    struct tarn_ip_meta meta = {.src = TARN_IP_ADDR_NONE,
                                .dst = v4(GROUP),
                                .proto = 17,
                                .hops = hops,
                                .iface = (uint8_t)iface,
                                .no_loop = no_loop};
    return tarn_ip_lower(w.ip)->ops->send(tarn_ip_lower(w.ip), &meta, raw(&w, data, n), w.now);
}

Test(groups, rfc1112_6_1_a_sender_s_own_host_hears_it_where_it_has_joined) {
    set_up();
    cr_assert_eq(send_group(1, false, 0, 20), TARN_OK);
    tick(&w, 0);
    cr_assert_eq(w.got_count, 0, "nobody has joined");
    listens(GROUP, false, "");
    cr_assert_eq(send_group(1, false, 0, 20), TARN_OK);
    cr_assert_eq(w.got_count, 0, "not from inside the call");
    tick(&w, 0);
    cr_assert_eq(w.got_count, 1);
    cr_assert(w.meta[0].cast == TARN_LINK_TO_GROUP && w.meta[0].iface == 0);
    cr_assert_eq(sent(&w, 0, 0)[8], 1, "TTL");
    cr_assert_eq(send_group(1, false, 7, 3000), TARN_OK);
    tick(&w, 0);
    cr_assert_eq(w.got_count, 2);
    cr_assert_eq(w.got[1]->len, 3000, "and in one piece");
    cr_assert_eq(sent(&w, 0, 1)[8], 7);
    cr_assert_eq(send_group(1, true, 0, 20), TARN_OK);
    cr_assert_eq(send_group(2, false, 0, 20), TARN_OK);
    tick(&w, 0);
    cr_assert_eq(w.got_count, 2, "loopback off, or another interface");
    cr_assert_eq(w.link[1].count, 1);
    cr_assert(memcmp(sent(&w, 1, 0) + 12, "\xc0\xa8\1\1", 4) == 0, "that interface's address");
    tear_down();
}
