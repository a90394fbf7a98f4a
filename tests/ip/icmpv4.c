/* SPDX-License-Identifier: ISC */
#include "world.h"
#include <criterion/criterion.h>

static struct world w;
static uint8_t big[65536];

static void set_up(void) {
    world_init(&w, (struct tarn_ip_limits){0});
    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (uint8_t)(i * 7 + i / 256);
}
static void tear_down(void) {
    cr_assert(world_end(&w), "packets are left");
}

/* An ICMP message of `n` bytes behind its first four. */
static size_t icmp_make(uint8_t *buf, uint8_t type, uint8_t code, const void *rest, size_t n) {
    buf[0] = type;
    buf[1] = code;
    put16(buf + 2, 0);
    memcpy(buf + 4, rest, n);
    put16(buf + 2, slow_csum(buf, n + 4));
    return n + 4;
}
static void in_icmp(uint32_t src, uint32_t dst, uint8_t type, uint8_t code, const void *rest,
                    size_t n) {
    static uint8_t buf[70000];
    size_t len = icmp_make(buf, type, code, rest, n);
    in_v4(&w, &(struct v4){.src = src, .dst = dst, .proto = 1}, buf, len);
}

Test(icmpv4, rfc1122_3_2_2_6_echo_is_answered_with_the_same_data) {
    set_up();
    in_icmp(PEER, US, 8, 0, big, 104);
    cr_assert_eq(w.link[0].count, 1);
    const uint8_t *p = sent(&w, 0, 0);
    cr_assert_eq(w.link[0].sent[0].pkt->len, 128);
    cr_assert(memcmp(p + 12, "\x0a\0\0\1\x0a\0\0\2", 8) == 0);
    cr_assert_eq(p[20], 0);
    cr_assert_eq(slow_csum(p + 20, 108), 0);
    cr_assert(memcmp(p + 24, big, 104) == 0);
    tear_down();
}

Test(icmpv4, rfc792_a_wrong_checksum_is_not_answered) {
    set_up();
    uint8_t buf[64];
    size_t n = icmp_make(buf, 8, 0, big, 32);
    buf[20] ^= 1;
    in_v4(&w, &(struct v4){.src = PEER, .dst = US, .proto = 1}, buf, n);
    cr_assert_eq(stats(&w).drops_checksum, 1);
    for (size_t i = 0; i < 8; i++)
        in_v4(&w, &(struct v4){.src = PEER, .dst = US, .proto = 1}, buf, i);
    cr_assert_eq(stats(&w).drops_header, 8);
    cr_assert_eq(w.link[0].count, 0);
    tear_down();
}

Test(icmpv4, echo_to_all_is_not_answered) {
    set_up();
    uint8_t icmp[40], buf[80];
    struct tarn_link_meta all = {.cast = TARN_LINK_TO_ALL};
    size_t n = icmp_make(icmp, 8, 0, big, 32);
    n = v4_make(buf, &(struct v4){.src = PEER, .dst = 0x0a0000ff, .proto = 1}, icmp, n);
    tarn_ip_input(w.ip, 0, &all, raw(&w, buf, n), w.now);
    cr_assert_eq(w.link[0].count, 0);
    tear_down();
}

/* ping -s 65000, as the kernel cuts it. */
Test(icmpv4, a_large_fragmented_echo_is_answered_in_fragments) {
    set_up();
    static uint8_t icmp[65536], back[65536];
    size_t n = icmp_make(icmp, 8, 0, big, 65004), got = 0;
    for (size_t off = 0; off < n; off += 1480) {
        size_t part = TARN_MIN((size_t)1480, n - off);
        struct v4 h = {.src = PEER,
                       .dst = US,
                       .proto = 1,
                       .id = 77,
                       .frag = (uint16_t)(off / 8 | (off + part < n ? 0x2000 : 0))};
        in_v4(&w, &h, icmp + off, part);
    }
    cr_assert_eq(w.link[0].count, (n + 1479) / 1480);
    for (size_t i = 0; i < w.link[0].count; i++) {
        const uint8_t *p = sent(&w, 0, i);
        size_t len = get16(p + 2), off = (get16(p + 6) & 0x1fffu) * 8u;
        cr_assert_eq(slow_csum(p, 20), 0);
        cr_assert_eq((get16(p + 6) & 0x2000) != 0, i + 1 < w.link[0].count);
        memcpy(back + off, p + 20, len - 20);
        got += len - 20;
    }
    cr_assert_eq(got, n);
    cr_assert_eq(back[0], 0);
    cr_assert_eq(slow_csum(back, n), 0);
    cr_assert(memcmp(back + 4, big, 65004) == 0);
    cr_assert_eq(stats(&w).reass_bytes, 0);
    tear_down();
}

Test(icmpv4, rfc1122_4_1_3_1_a_rejected_datagram_is_quoted_as_it_came) {
    set_up();
    uint8_t buf[1200];
    w.reject = true;
    size_t n = v4_make(buf, &(struct v4){.src = PEER, .dst = US, .id = 0x1234}, big, 1000);
    in_raw(&w, buf, n);
    cr_assert_eq(w.link[0].count, 1);
    const uint8_t *p = sent(&w, 0, 0);
    cr_assert_eq(w.link[0].sent[0].pkt->len, 576, "RFC 1812 section 4.3.2.3");
    cr_assert_eq(p[20], 3);
    cr_assert_eq(p[21], 3);
    cr_assert_eq(slow_csum(p + 20, 556), 0);
    cr_assert(memcmp(p + 28, buf, 548) == 0);
    tear_down();
}

Test(icmpv4, rfc1122_3_2_2_1_an_unknown_protocol_is_answered) {
    set_up();
    in_v4(&w, &(struct v4){.src = PEER, .dst = US, .proto = 99}, big, 10);
    cr_assert_eq(w.link[0].count, 1);
    cr_assert_eq(sent(&w, 0, 0)[20], 3);
    cr_assert_eq(sent(&w, 0, 0)[21], 2);
    tear_down();
}

Test(icmpv4, rfc1122_3_2_2_no_error_about_errors_groups_broadcasts_or_later_fragments) {
    set_up();
    uint8_t quoted[64], buf[128];
    struct tarn_link_meta all = {.cast = TARN_LINK_TO_ALL};
    /* An error whose options are malformed would itself be answered with a parameter problem. */
    static const uint8_t bad[4] = {7, 1, 0, 0};
    size_t n = v4_make(quoted, &(struct v4){.src = US, .dst = PEER}, big, 8);
    uint8_t icmp[80], zero[4] = {0};
    (void)zero;
    uint8_t rest[68] = {0};
    memcpy(rest + 4, quoted, n);
    n = icmp_make(icmp, 3, 1, rest, n + 4);
    in_v4(&w, &(struct v4){.src = PEER, .dst = US, .proto = 1, .options = bad, .options_len = 4},
          icmp, n);
    cr_assert_eq(w.link[0].count, 0);
    n = v4_make(buf, &(struct v4){.src = PEER, .dst = 0x0a0000ff, .proto = 99}, big, 10);
    tarn_ip_input(w.ip, 0, &all, raw(&w, buf, n), w.now);
    n = v4_make(buf, &(struct v4){.src = PEER, .dst = 0xe0000001, .proto = 99}, big, 10);
    all.cast = TARN_LINK_TO_GROUP;
    tarn_ip_input(w.ip, 0, &all, raw(&w, buf, n), w.now);
    in_v4(&w, &(struct v4){.src = PEER, .dst = US, .frag = 5, .options = bad, .options_len = 4},
          big, 8);
    cr_assert_eq(w.link[0].count, 0);
    in_v4(&w, &(struct v4){.src = PEER, .dst = US, .options = bad, .options_len = 4}, big, 8);
    cr_assert_eq(w.link[0].count, 1, "but about this one");
    cr_assert_eq(sent(&w, 0, 0)[20], 12);
    cr_assert_eq(sent(&w, 0, 0)[24], 20, "the pointer");
    tear_down();
}

Test(icmpv4, rfc1812_4_3_2_8_errors_are_bounded_in_time) {
    world_init(&w, (struct tarn_ip_limits){.icmp_errors_a_second = 20});
    for (int i = 0; i < 1000; i++)
        in_v4(&w, &(struct v4){.src = PEER, .dst = US, .proto = 99}, big, 10);
    size_t first = w.link[0].count;
    cr_assert(first >= 10 && first <= 20, "%zu", first);
    for (int i = 0; i < 1000; i++) {
        w.now += TARN_MS(1);
        in_v4(&w, &(struct v4){.src = PEER, .dst = US, .proto = 99}, big, 10);
    }
    size_t second = w.link[0].count - first;
    cr_assert(second >= 8 && second <= 21, "%zu", second);
    tear_down();
}

/* An error about a datagram of ours to FAR. */
static void in_error(uint8_t type, uint8_t code, uint16_t mtu, uint32_t src, uint32_t dst,
                     size_t n) {
    uint8_t rest[600] = {0};
    put16(rest + 2, mtu);
    size_t len = v4_make(rest + 4, &(struct v4){.src = src, .dst = dst, .frag = 0x4000}, big, n);
    put16(rest + 4 + 2, 1400);
    put16(rest + 4 + 10, 0);
    put16(rest + 4 + 10, slow_csum(rest + 4, 20));
    in_icmp(GATE, US, type, code, rest, 4 + len);
}
static uint16_t mtu_to(uint32_t dst) {
    struct tarn_ip_route r;
    struct tarn_ip_addr any = TARN_IP_ADDR_NONE, a = v4(dst);
    cr_assert_eq(tarn_ip_lower(w.ip)->ops->route(tarn_ip_lower(w.ip), &any, &a, &r), TARN_OK);
    return r.mtu;
}

Test(icmpv4, rfc1122_3_2_2_1_errors_reach_the_transport_they_are_about) {
    set_up();
    static const struct {
        uint8_t type, code;
        enum tarn_ip_error error;
    } cases[] = {{3, 0, TARN_IP_ERROR_UNREACHABLE}, {3, 1, TARN_IP_ERROR_UNREACHABLE},
                 {3, 2, TARN_IP_ERROR_PORT},        {3, 3, TARN_IP_ERROR_PORT},
                 {3, 13, TARN_IP_ERROR_PROHIBITED}, {11, 0, TARN_IP_ERROR_HOPS},
                 {12, 0, TARN_IP_ERROR_PARAMETER}};
    for (size_t i = 0; i < TARN_COUNT_OF(cases); i++) {
        in_error(cases[i].type, cases[i].code, 0, US, FAR, 8);
        cr_assert_eq(w.errors, i + 1);
        cr_assert_eq(w.error, cases[i].error);
        cr_assert_eq(tarn_ip_addr_v4(&w.error_meta.src), US);
        cr_assert_eq(tarn_ip_addr_v4(&w.error_meta.dst), FAR);
        cr_assert_eq(w.error_quoted, 8);
    }
    tear_down();
}

/* Quotes that end early, of what we never sent, of nobody's protocol. */
Test(icmpv4, quoted_datagrams_are_checked_before_they_are_believed) {
    set_up();
    for (size_t n = 0; n < 8; n++)
        in_error(3, 3, 0, US, FAR, n);
    in_error(3, 3, 0, PEER, FAR, 8);
    for (size_t n = 0; n < 28; n++)
        in_icmp(GATE, US, 3, 3, big, n);
    cr_assert_eq(w.errors, 0);
    cr_assert_eq(mtu_to(FAR), 1500);
    tear_down();
}

Test(icmpv4, rfc1191_the_path_mtu_shrinks_is_told_and_grows_again) {
    set_up();
    in_error(3, 4, 1300, US, FAR, 8);
    cr_assert_eq(w.error, TARN_IP_ERROR_TOO_BIG);
    cr_assert_eq(w.error_mtu, 1300);
    cr_assert_eq(mtu_to(FAR), 1300);
    cr_assert_eq(mtu_to(FAR + 1), 1500);
    in_error(3, 4, 1400, US, FAR, 8);
    cr_assert_eq(mtu_to(FAR), 1300, "section 3: it only shrinks");
    in_error(3, 4, 68, US, FAR, 8);
    cr_assert_eq(mtu_to(FAR), 552, "nobody makes us send crumbs");
    w.now += TARN_SEC(599);
    tarn_ip_tick(w.ip, w.now);
    cr_assert_eq(mtu_to(FAR), 552);
    w.now += TARN_SEC(2);
    tarn_ip_tick(w.ip, w.now);
    cr_assert_eq(mtu_to(FAR), 1500, "section 6.3");
    tear_down();
}

Test(icmpv4, rfc1191_7_1_an_old_router_that_does_not_say_gets_the_next_plateau) {
    set_up();
    in_error(3, 4, 0, US, FAR, 8);
    cr_assert_eq(mtu_to(FAR), 1006, "the quoted length was 1400");
    tear_down();
}

Test(icmpv4, path_mtus_are_bounded) {
    world_init(&w, (struct tarn_ip_limits){.path_mtus_max = 8});
    for (uint32_t i = 0; i < 100; i++)
        in_error(3, 4, 1300, US, FAR + i, 8);
    cr_assert_eq(stats(&w).path_mtus, 8);
    cr_assert_eq(mtu_to(FAR + 99), 1300);
    cr_assert_eq(mtu_to(FAR), 1500);
    tear_down();
}

Test(icmpv4, rfc6633_source_quench_and_redirects_change_nothing) {
    set_up();
    in_error(4, 0, 0, US, FAR, 8);
    in_error(5, 1, 0, US, FAR, 8);
    cr_assert_eq(w.errors, 0);
    cr_assert_eq(out_udp(&w, FAR, big, 8), TARN_OK);
    cr_assert_eq(tarn_ip_addr_v4(&w.link[0].sent[0].next_hop), GATE);
    tear_down();
}
