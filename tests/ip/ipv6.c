/* SPDX-License-Identifier: ISC */
#include "v6.h"
#include <criterion/criterion.h>

static struct world w;
static uint8_t data[66000];

static void set_up(void) {
    world_init6(&w, (struct tarn_ip_limits){0});
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 13 + i / 256);
}
static void tear_down(void) {
    cr_assert(world_end(&w), "packets are left");
}
static void in_ext(const uint8_t *ext, size_t n, uint8_t first) {
    in_v6(&w, &(struct v6){.src = PEER6, .dst = US6, .next = first, .ext = ext, .ext_len = n}, data,
          16);
}
/* The parameter problem that was sent last, after its neighbour is known: code and pointer. */
static void expect_problem(uint8_t code, uint32_t pointer) {
    answer(&w, PEER6, 2);
    const uint8_t *p = sent(&w, 0, w.link[0].count - 1);
    cr_assert_eq(icmp6_type(p), 4);
    cr_assert_eq(p[41], code);
    cr_assert_eq(get16(p + 44) << 16 | get16(p + 46), pointer);
    world_forget(&w);
}

Test(ipv6, rfc8200_3_delivers_data_and_header_fields_to_the_protocol) {
    set_up();
    in_v6(&w, &(struct v6){.src = PEER6, .dst = US6, .next = 17, .hops = 9}, data, 100);
    cr_assert_eq(w.got_count, 1);
    cr_assert_eq(w.got[0]->len, 100);
    cr_assert(memcmp(tarn_pkt_head(w.got[0]).ptr, data, 100) == 0);
    cr_assert_eq(w.meta[0].hops, 9);
    cr_assert_eq(w.meta[0].header_len, 40);
    cr_assert(is_addr(w.meta[0].src.bytes, PEER6));
    tear_down();
}

Test(ipv6, rfc8200_3_lengths_are_checked_and_padding_cut_off) {
    set_up();
    uint8_t buf[200] = {0};
    size_t n = v6_make(buf, &(struct v6){.src = PEER6, .dst = US6, .next = 17}, data, 16);
    for (size_t i = 0; i < n; i++)
        in_raw(&w, buf, i);
    cr_assert_eq(w.got_count, 0);
    cr_assert_eq(stats(&w).drops_header, n);
    in_raw(&w, buf, n + 50);
    cr_assert_eq(w.got_count, 1);
    cr_assert_eq(w.got[0]->len, 16);
    tear_down();
}

/* An IPv4-mapped address on the wire would be taken for IPv4's own, past every check of that
 * family. */
Test(ipv6, rfc4291_martian_addresses_are_dropped_mapped_ones_above_all) {
    set_up();
    static const char *const sources[] = {"ff02::1", "::1", "::ffff:10.0.0.2", US6};
    for (size_t i = 0; i < TARN_COUNT_OF(sources); i++)
        in_v6(&w, &(struct v6){.src = sources[i], .dst = US6, .next = 17}, data, 16);
    in_v6(&w, &(struct v6){.src = PEER6, .dst = "::ffff:10.0.0.1", .next = 17}, data, 16);
    in_v6(&w, &(struct v6){.src = PEER6, .dst = "::1", .next = 17}, data, 16);
    in_v6(&w, &(struct v6){.src = PEER6, .dst = "::", .next = 17}, data, 16);
    cr_assert_eq(stats(&w).drops_martian, 7);
    in_v6(&w, &(struct v6){.src = PEER6, .dst = "2001:db8::7", .next = 17}, data, 16);
    in_v6(&w, &(struct v6){.src = PEER6, .dst = "ff02::7", .next = 17}, data, 16);
    cr_assert_eq(stats(&w).drops_destination, 2);
    cr_assert_eq(w.got_count, 0);
    tear_down();
}

Test(ipv6, rfc8200_4_extension_headers_are_walked_to_the_transport) {
    set_up();
    static const uint8_t chain[] = {60, 0, 1, 4, 0, 0, 0, 0, /* hop-by-hop, PadN */
                                    43, 0, 0, 0, 0, 0, 0, 0, /* options, Pad1s */
                                    60, 0, 0, 0, 0, 0, 0, 0, /* routing, none left */
                                    17, 1, 5, 2, 0, 0, 1, 8, 0, 0, 0, 0, 0, 0, 0, 0};
    in_ext(chain, sizeof chain, 0);
    cr_assert_eq(w.got_count, 1);
    cr_assert_eq(w.got[0]->len, 16);
    cr_assert_eq(w.meta[0].header_len, 40 + sizeof chain);
    tear_down();
}

Test(ipv6, rfc8200_4_2_unknown_options_do_what_their_top_bits_say) {
    set_up();
    uint8_t ext[8] = {17, 0, 0x3e, 4, 0, 0, 0, 0};
    in_ext(ext, 8, 60);
    cr_assert_eq(w.got_count, 1);
    ext[2] = 0x7e;
    in_ext(ext, 8, 60);
    cr_assert_eq(w.link[0].count, 0);
    ext[2] = 0xbe;
    in_ext(ext, 8, 60);
    expect_problem(2, 42);
    ext[2] = 0xfe;
    in_ext(ext, 8, 60);
    expect_problem(2, 42);
    ext[2] = 1;
    ext[3] = 5; /* beyond the header */
    in_ext(ext, 8, 60);
    expect_problem(0, 42);
    cr_assert_eq(w.got_count, 0, "world_forget gave the first back");
    tear_down();
}

Test(ipv6, rfc5095_routing_headers_with_segments_left_are_refused) {
    set_up();
    static const uint8_t rh0[8] = {17, 0, 0, 1, 0, 0, 0, 0};
    in_ext(rh0, 8, 43);
    cr_assert_eq(w.got_count, 0);
    expect_problem(0, 42);
    tear_down();
}

Test(ipv6, rfc8200_4_3_hop_by_hop_comes_first_or_not_at_all) {
    set_up();
    static const uint8_t late[16] = {0, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0, 0};
    in_ext(late, 16, 60);
    cr_assert_eq(w.got_count, 0);
    expect_problem(1, 40);
    tear_down();
}

Test(ipv6, rfc7045_2_1_an_unknown_next_header_is_answered) {
    set_up();
    in_v6(&w, &(struct v6){.src = PEER6, .dst = US6, .next = 99}, data, 16);
    expect_problem(1, 6);
    in_v6(&w, &(struct v6){.src = PEER6, .dst = US6, .next = 59}, data, 16);
    cr_assert_eq(w.link[0].count, 0, "no next header is nothing to answer");
    tear_down();
}

Test(ipv6, rfc8504_5_3_the_chain_is_bounded_and_may_end_anywhere) {
    set_up();
    uint8_t chain[20 * 8];
    for (size_t i = 0; i < 20; i++)
        memcpy(chain + 8 * i, (uint8_t[8]){60, 0, 1, 4, 0, 0, 0, 0}, 8);
    chain[19 * 8] = 17;
    in_ext(chain, sizeof chain, 60);
    cr_assert_eq(w.got_count, 0);
    cr_assert_eq(stats(&w).drops_options, 1);
    for (size_t n = 0; n < 24; n++)
        in_v6(&w, &(struct v6){.src = PEER6, .dst = US6, .next = 60, .ext = chain, .ext_len = n},
              data, 0);
    cr_assert_eq(w.got_count, 0);
    tear_down();
}

/* -- fragments -- */

static void in_frag(uint32_t id, size_t off, size_t n, bool more, uint8_t next) {
    uint8_t ext[8] = {next};
    put16(ext + 2, off | more);
    put16(ext + 4, id >> 16);
    put16(ext + 6, id);
    in_v6(&w, &(struct v6){.src = PEER6, .dst = US6, .next = 44, .ext = ext, .ext_len = 8},
          data + off, n);
}

Test(ipv6, rfc8200_4_5_fragments_in_any_order_make_the_datagram) {
    set_up();
    in_frag(7, 1232, 1232, true, 17);
    in_frag(7, 2464, 100, false, 17);
    in_frag(8, 0, 1232, true, 17);
    cr_assert_eq(w.got_count, 0);
    in_frag(7, 0, 1232, true, 17);
    cr_assert_eq(w.got_count, 1);
    cr_assert_eq(w.got[0]->len, 2564);
    cr_assert(memcmp(tarn_pkt_head(w.got[0]).ptr, data, 2564) == 0);
    tick(&w, TARN_SEC(59));
    cr_assert_eq(w.link[0].count, 0);
    tick(&w, TARN_SEC(1));
    answer(&w, PEER6, 2);
    const uint8_t *p = sent(&w, 0, w.link[0].count - 1);
    cr_assert_eq(icmp6_type(p), 3, "time exceeded after 60 seconds");
    cr_assert_eq(p[41], 1);
    cr_assert_eq(stats(&w).reass_bytes, 0);
    tear_down();
}

Test(ipv6, rfc5722_4_overlapping_fragments_end_the_datagram) {
    set_up();
    in_frag(7, 0, 64, true, 17);
    in_frag(7, 56, 64, true, 17);
    in_frag(7, 64, 64, false, 17);
    cr_assert_eq(w.got_count, 0);
    cr_assert_eq(stats(&w).drops_overlap, 1);
    tick(&w, TARN_SEC(60));
    cr_assert_eq(stats(&w).reass, 0);
    tear_down();
}

Test(ipv6, rfc6946_4_an_atomic_fragment_stands_by_itself) {
    set_up();
    in_frag(7, 64, 64, true, 17);
    in_frag(7, 0, 64, false, 17);
    cr_assert_eq(w.got_count, 1);
    cr_assert_eq(w.got[0]->len, 64);
    cr_assert_eq(stats(&w).reass, 1, "and disturbs no other of the same identification");
    tick(&w, TARN_SEC(60));
    tear_down();
}

Test(ipv6, rfc7112_5_a_first_fragment_without_the_whole_chain_is_refused) {
    set_up();
    in_frag(7, 0, 0, true, 17);
    expect_problem(3, 0);
    memcpy(data, (uint8_t[8]){17, 1, 1, 4, 0, 0, 0, 0},
           8); /* options of 16 bytes, of which 8 are here */
    in_frag(8, 0, 8, true, 60);
    expect_problem(3, 0);
    in_frag(9, 0, 16, true, 6); /* a TCP header has 20 */
    expect_problem(3, 0);
    cr_assert_eq(stats(&w).reass, 0);
    tear_down();
}

Test(ipv6, rfc8200_4_5_impossible_fragments_are_answered) {
    set_up();
    in_frag(7, 64, 13, true, 17);
    expect_problem(0, 4);
    in_frag(7, 65528, 16, false, 17);
    expect_problem(0, 42);
    in_frag(7, 64, 0, true, 17);
    cr_assert_eq(stats(&w).reass, 0);
    tear_down();
}

Test(ipv6, a_fragment_inside_a_fragment_is_dropped) {
    set_up();
    memcpy(data, (uint8_t[8]){44, 0, 0, 0, 0, 0, 0, 1}, 8);
    in_frag(7, 0, 64, false, 44);
    cr_assert_eq(w.got_count, 0);
    memcpy(data, (uint8_t[8]){17, 0, 0, 0, 0, 0, 0, 1}, 8);
    in_frag(7, 0, 64, false, 44);
    cr_assert_eq(w.got_count, 0);
    tear_down();
}

Test(ipv6, rfc8200_4_5_a_large_datagram_is_cut_at_the_source) {
    set_up();
    static uint8_t back[10000];
    cr_assert_eq(out6(&w, PEER6, data, 5000), TARN_OK);
    answer(&w, PEER6, 2);
    cr_assert_eq(w.link[0].count, 5);
    for (size_t i = 1; i < 5; i++) {
        const uint8_t *p = sent(&w, 0, i);
        size_t n = get16(p + 4) - 8u, off = get16(p + 42) & 0xfff8u;
        cr_assert_eq(p[6], 44);
        cr_assert_eq(p[40], 17);
        cr_assert_leq(n + 48, 1500);
        cr_assert_eq(get16(p + 42) & 1, i < 4);
        memcpy(back + off, p + 48, n);
    }
    cr_assert(memcmp(back, data, 5000) == 0);
    tear_down();
}

/* -- ICMPv6 -- */

Test(icmpv6, rfc4443_4_2_echo_is_answered_also_when_large) {
    set_up();
    out6(&w, PEER6, data, 1) == TARN_OK ? (void)0 : abort();
    answer(&w, PEER6, 2);
    world_forget(&w);
    in_icmp6(&w, PEER6, US6, 64, 128, 0, data, 1000);
    cr_assert_eq(w.link[0].count, 1);
    const uint8_t *p = sent(&w, 0, 0);
    cr_assert_eq(icmp6_type(p), 129);
    cr_assert(memcmp(p + 44, data, 1000) == 0);
    cr_assert(is_addr(p + 8, US6));
    cr_assert(is_addr(p + 24, PEER6));
    world_forget(&w);
    in_icmp6(&w, PEER6, US6, 64, 128, 0, data, 60000);
    cr_assert_eq(w.link[0].count, (60004 + 1447) / 1448);
    tear_down();
}

Test(icmpv6, rfc4443_2_3_a_wrong_checksum_is_dropped) {
    set_up();
    in_v6(&w, &(struct v6){.src = PEER6, .dst = US6, .next = 58}, "\x80\0\1\2abcdefgh", 12);
    cr_assert_eq(stats(&w).drops_checksum, 1);
    cr_assert_eq(w.link[0].count, 0);
    tear_down();
}

static void in_error(uint8_t type, uint8_t code, uint32_t rest32, const char *src, size_t n) {
    uint8_t rest[200] = {0};
    put16(rest, rest32 >> 16);
    put16(rest + 2, rest32);
    size_t len = v6_make(rest + 4, &(struct v6){.src = src, .dst = FAR6, .next = 17}, data, n);
    in_icmp6(&w, "2001:db8:9::1", US6, 60, type, code, rest, 4 + len);
}

Test(icmpv6, rfc4443_3_errors_reach_the_transport_they_are_about) {
    set_up();
    static const struct {
        uint8_t type, code;
        enum tarn_ip_error error;
    } cases[] = {{1, 0, TARN_IP_ERROR_UNREACHABLE}, {1, 1, TARN_IP_ERROR_PROHIBITED},
                 {1, 3, TARN_IP_ERROR_UNREACHABLE}, {1, 4, TARN_IP_ERROR_PORT},
                 {3, 0, TARN_IP_ERROR_HOPS},        {4, 0, TARN_IP_ERROR_PARAMETER}};
    for (size_t i = 0; i < TARN_COUNT_OF(cases); i++) {
        in_error(cases[i].type, cases[i].code, 0, US6, 8);
        cr_assert_eq(w.errors, i + 1);
        cr_assert_eq(w.error, cases[i].error);
        cr_assert(is_addr(w.error_meta.dst.bytes, FAR6));
    }
    for (size_t n = 0; n < 8; n++)
        in_error(1, 4, 0, US6, n);
    in_error(1, 4, 0, PEER6, 8);
    for (size_t n = 0; n < 44; n++)
        in_icmp6(&w, PEER6, US6, 64, 1, 4, data, n);
    cr_assert_eq(w.errors, TARN_COUNT_OF(cases), "nothing else is believed");
    tear_down();
}

Test(icmpv6, rfc8201_4_the_path_mtu_shrinks_to_1280_and_no_further) {
    set_up();
    struct tarn_ip_lower *lower = tarn_ip_lower(w.ip);
    struct tarn_ip_addr any = TARN_IP_ADDR_NONE, far = a6(FAR6);
    struct tarn_ip_route r;
    in_error(2, 0, 1400, US6, 8);
    cr_assert_eq(w.error, TARN_IP_ERROR_TOO_BIG);
    cr_assert_eq(w.error_mtu, 1400);
    cr_assert_eq(lower->ops->route(lower, &any, &far, &r), TARN_OK);
    cr_assert_eq(r.mtu, 1400);
    in_error(2, 0, 100, US6, 8);
    cr_assert_eq(w.error_mtu, 1280);
    cr_assert_eq(lower->ops->route(lower, &any, &far, &r), TARN_OK);
    cr_assert_eq(r.mtu, 1280);
    tear_down();
}

Test(icmpv6, rfc4443_2_4_no_error_about_an_error_or_a_group) {
    set_up();
    static const uint8_t bad[8] = {58, 0, 0xfe, 4, 0, 0, 0, 0};
    in_v6(&w, &(struct v6){.src = PEER6, .dst = US6, .next = 60, .ext = bad, .ext_len = 8},
          "\1\0\0\0abcd", 8);
    in_v6(&w, &(struct v6){.src = PEER6, .dst = "ff02::1", .next = 60, .ext = bad, .ext_len = 8},
          "\x80\0\0\0abcd", 8);
    in_v6(&w, &(struct v6){.src = PEER6, .dst = "ff02::1", .next = 99}, data, 8);
    cr_assert_eq(w.link[0].count, 0);
    in_v6(&w, &(struct v6){.src = PEER6, .dst = US6, .next = 60, .ext = bad, .ext_len = 8},
          "\x80\0\0\0abcd", 8);
    expect_problem(2, 42);
    tear_down();
}

Test(icmpv6, rfc4443_3_1_a_rejected_datagram_is_quoted) {
    set_up();
    w.reject = true;
    in_v6(&w, &(struct v6){.src = PEER6, .dst = US6, .next = 17}, data, 1400);
    answer(&w, PEER6, 2);
    const uint8_t *p = sent(&w, 0, w.link[0].count - 1);
    cr_assert_eq(icmp6_type(p), 1);
    cr_assert_eq(p[41], 4);
    cr_assert_eq(get16(p + 4), 1240, "no longer than 1280 in all");
    cr_assert(memcmp(p + 88, data, 1192) == 0);
    tear_down();
}

Test(icmpv6, rfc4443_2_4f_errors_are_bounded_in_time) {
    set_up(); /* a hundred a second */
    w.reject = true;
    in_v6(&w, &(struct v6){.src = PEER6, .dst = US6, .next = 17}, data, 10);
    answer(&w, PEER6, 2);
    size_t first = w.link[0].count;
    for (int i = 0; i < 1000; i++)
        in_v6(&w, &(struct v6){.src = PEER6, .dst = US6, .next = 17}, data, 10);
    first = w.link[0].count - first;
    cr_assert(first >= 50 && first <= 110, "%zu", first);
    w.now += TARN_SEC(1);
    size_t second = w.link[0].count;
    for (int i = 0; i < 1000; i++)
        in_v6(&w, &(struct v6){.src = PEER6, .dst = US6, .next = 17}, data, 10);
    second = w.link[0].count - second;
    cr_assert(second >= 50 && second <= 110, "%zu", second);
    tear_down();
}

/* -- sources (RFC 6724) -- */

static void add(const char *text, uint8_t bits) {
    struct tarn_ip_prefix p = {a6(text), bits};
    cr_assert_eq(tarn_ip_addr_add(w.ip, 0, &p, false, w.now), TARN_OK);
}
static bool source_is(const char *dst, const char *src) {
    struct tarn_ip_lower *lower = tarn_ip_lower(w.ip);
    struct tarn_ip_addr any = TARN_IP_ADDR_NONE, d = a6(dst);
    struct tarn_ip_route r;
    return lower->ops->route(lower, &any, &d, &r) == TARN_OK && is_addr(r.src.bytes, src);
}

Test(source, rfc6724_5_scope_label_and_longest_prefix_decide) {
    set_up();
    add("fd00::1", 64);
    add("2001:db8:f::5", 64);
    add("2002:c633:6401::1", 64);
    cr_assert(source_is("2001:db8:f::9", "2001:db8:f::5"), "rule 8");
    cr_assert(source_is("fd00:5::1", "fd00::1"), "rule 6");
    cr_assert(source_is("2002:c633:6402::1", "2002:c633:6401::1"), "rule 6");
    cr_assert(source_is(PEER6, US6));
    cr_assert(!source_is("fe80::77", US6),
              "rule 2: a link-local source for a link-local destination");
    tear_down();
}
