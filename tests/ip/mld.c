/* SPDX-License-Identifier: ISC */
#include "groups.h"
#include <criterion/criterion.h>

static struct world w;

static void tear_down(void) {
    cr_assert(world_end(&w), "packets are left");
}

struct query6 {
    const char *src, *group;
    uint16_t code;
    uint8_t hops;
    bool old, no_alert;
    uint16_t count;
};
static void in_query6(struct query6 q) {
    static const uint8_t alert[8] = {58, 0, 5, 2, 0, 0, 1, 0}, padded[8] = {58, 0, 1, 4};
    const char *src = q.src ? q.src : LL6, *dst = q.group ? q.group : "ff02::1";
    uint8_t m[28] = {130};
    struct tarn_ip_addr g = a6(q.group ? q.group : "::");
    put16(m + 4, q.code);
    memcpy(m + 8, g.bytes, 16);
    put16(m + 26, q.count);
    put16(m + 2, v6_csum(src, dst, m, q.old ? 24 : 28));
    struct v6 h = {.src = src,
                   .dst = dst,
                   .hops = q.hops ? q.hops : 1,
                   .ext = q.no_alert ? padded : alert,
                   .ext_len = 8};
    in_v6(&w, &h, m, q.old ? 24 : 28);
}
static enum tarn_err join6(const char *group, bool add) {
    struct tarn_ip_addr g = a6(group);
    return tarn_ip_join(w.ip, 0, &g, NULL, add);
}
/* The message behind the hop-by-hop header, once that and the checksum are right. */
static const uint8_t *message(const uint8_t *p) {
    char src[48], dst[48];
    struct tarn_ip_addr s = a6("::"), d = s;
    memcpy(s.bytes, p + 8, 16);
    memcpy(d.bytes, p + 24, 16);
    struct tarn_writer ws = TARN_WRITER_ARRAY(src), wd = TARN_WRITER_ARRAY(dst);
    tarn_writer_ip_addr(&ws, &s);
    tarn_writer_u8(&ws, 0);
    tarn_writer_ip_addr(&wd, &d);
    tarn_writer_u8(&wd, 0);
    cr_assert_eq(p[6], 0);
    cr_assert_eq(p[7], 1);
    cr_assert(memcmp(p + 40, "\x3a\0\5\2\0\0\1\0", 8) == 0, "Router Alert");
    cr_assert_eq(v6_csum(src, dst, p + 48, get16(p + 4) - 8u), 0);
    return p + 48;
}

Test(mld, rfc3590_4_reports_before_there_is_an_address_come_from_none_and_are_told_again) {
    world_init(&w, (struct tarn_ip_limits){0});
    w.link[0].link.has_mac = true;
    cr_assert_eq(tarn_ip_ipv6_start(w.ip, 0, 0, w.now), TARN_OK);
    tick(&w, 0);
    cr_assert_geq(w.link[0].count, 2);
    const uint8_t *p = sent(&w, 0, 0);
    cr_assert_eq(message(p)[0], 143);
    cr_assert(is_addr(p + 8, "::") && is_addr(p + 24, "ff02::16"));
    cr_assert(memcmp(records(p), "TO_EX ff02::1:ff", 16) == 0, "%s", records(p));
    cr_assert_eq(icmp6_type(sent(&w, 0, 1)), 135, "duplicate address detection follows");
    for (int i = 0; i < 2000; i++)
        tick(&w, TARN_MS(1));
    p = sent(&w, 0, w.link[0].count - 1);
    cr_assert_eq(message(p)[0], 143);
    cr_assert(p[8] == 0xfe && p[9] == 0x80, "from the link-local address, once there is one");
    tear_down();
}

Test(mld, rfc3810_6_1_joins_and_leaves_are_told_twice) {
    world_init6(&w, (struct tarn_ip_limits){0});
    cr_assert_eq(join6(GROUP6, true), TARN_OK);
    cr_assert_eq(join6("ff01::5", true), TARN_OK, "never leaves the node, so never told");
    tick(&w, 0);
    message(sent(&w, 0, 0));
    cr_assert_str_eq(reported(&w), "TO_EX ff05::123");
    cr_assert(wait_sent(&w, TARN_SEC(1)));
    cr_assert_str_eq(reported(&w), "TO_EX ff05::123");
    cr_assert_not(wait_sent(&w, TARN_SEC(3)));
    cr_assert_eq(join6(GROUP6, false), TARN_OK);
    tick(&w, 0);
    cr_assert_str_eq(reported(&w), "TO_IN ff05::123");
    tear_down();
}

Test(mld, rfc3810_6_2_a_general_query_is_answered_for_all_but_all_nodes) {
    world_init6(&w, (struct tarn_ip_limits){0});
    in_query6((struct query6){.code = 1000});
    cr_assert(wait_sent(&w, TARN_SEC(1)));
    const char *text = reported(&w);
    cr_assert_not_null(strstr(text, "IS_EX ff02::1:ff00:1"), "%s", text);
    cr_assert_null(strstr(text, "ff02::1;"));
    cr_assert_not(wait_sent(&w, TARN_SEC(3)));
    /* 0x8fff is (0xfff | 0x1000) << 3 milliseconds: 65 s. */
    tarn_time most = 0;
    for (int i = 0; i < 8; i++) {
        tarn_time asked = w.now;
        in_query6((struct query6){.code = 0x8fff, .group = "ff02::1:ff00:1"});
        cr_assert(wait_sent(&w, TARN_SEC(66)));
        cr_assert_str_eq(reported(&w), "IS_EX ff02::1:ff00:1");
        most = TARN_MAX(most, w.now - asked);
    }
    cr_assert_gt(most, TARN_SEC(33));
    tear_down();
}

Test(mld, rfc3810_8_2_1_an_old_querier_gets_reports_and_dones) {
    world_init6(&w, (struct tarn_ip_limits){0});
    cr_assert_eq(join6(GROUP6, true), TARN_OK);
    for (int i = 0; i < 3; i++)
        tick(&w, TARN_SEC(1));
    world_forget(&w);
    in_query6((struct query6){.code = 1000, .group = GROUP6, .old = true});
    cr_assert(wait_sent(&w, TARN_SEC(1)));
    const uint8_t *p = sent(&w, 0, 0);
    cr_assert_eq(message(p)[0], 131);
    cr_assert(is_addr(p + 24, GROUP6) && is_addr(p + 56, GROUP6));
    world_forget(&w);
    cr_assert_eq(join6(GROUP6, false), TARN_OK);
    tick(&w, 0);
    p = sent(&w, 0, 0);
    cr_assert_eq(message(p)[0], 132);
    cr_assert(is_addr(p + 24, "ff02::2"));
    tear_down();
}

Test(mld, rfc3810_6_2_what_may_come_from_off_the_link_is_dropped) {
    world_init6(&w, (struct tarn_ip_limits){0});
    uint64_t before = stats(&w).drops_icmp;
    in_query6((struct query6){.code = 1000, .src = PEER6});
    in_query6((struct query6){.code = 1000, .hops = 2});
    in_query6((struct query6){.code = 1000, .no_alert = true});
    in_query6((struct query6){.code = 1000, .count = 1});
    cr_assert_eq(stats(&w).drops_icmp, before + 4);
    cr_assert_not(wait_sent(&w, TARN_SEC(3)));
    tear_down();
}

Test(mld, a_group_where_ipv6_is_not_spoken_is_refused) {
    world_init(&w, (struct tarn_ip_limits){0});
    cr_assert_eq(join6(GROUP6, true), TARN_INVALID);
    tear_down();
}
