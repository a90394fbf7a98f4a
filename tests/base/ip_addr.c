/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <signal.h>
#include <tarn/env.h>
#include <tarn/ip_addr.h>

static struct tarn_ip_addr parsed(const char *text) {
    struct tarn_ip_addr a;
    cr_assert(tarn_ip_addr_parse(tarn_span_str(text), &a), "%s should parse", text);
    return a;
}

static void prints(const struct tarn_ip_addr *a, const char *expected) {
    uint8_t mem[TARN_IP_ADDR_TEXT_MAX];
    struct tarn_writer w = TARN_WRITER_ARRAY(mem);
    tarn_writer_ip_addr(&w, a);
    struct tarn_span got = tarn_writer_span(&w);
    cr_assert(tarn_writer_ok(&w) && tarn_span_equal(got, tarn_span_str(expected)),
              "printed %.*s, not %s", (int)got.len, (const char *)got.ptr, expected);
}

static void becomes(const char *text, const char *expected) {
    struct tarn_ip_addr a = parsed(text);
    prints(&a, expected);
}

Test(ip_addr, rfc5952_section_4_1_no_leading_zeros) {
    becomes("2001:0db8::0001", "2001:db8::1");
    becomes("2001:db8:0000:1:1:1:1:1", "2001:db8:0:1:1:1:1:1");
}

Test(ip_addr, rfc5952_section_4_2_1_shorten_as_much_as_possible) {
    becomes("2001:db8:0:0:0:0:2:1", "2001:db8::2:1");
    becomes("2001:db8::0:1", "2001:db8::1");
}

Test(ip_addr, rfc5952_section_4_2_2_one_zero_group_is_not_shortened) {
    becomes("2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1");
    becomes("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8");
    becomes("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0");
}

Test(ip_addr, rfc5952_section_4_2_3_the_longest_run_and_then_the_first) {
    becomes("2001:0:0:1:0:0:0:1", "2001:0:0:1::1");
    becomes("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1");
}

Test(ip_addr, rfc5952_section_4_3_lower_case) {
    becomes("2001:DB8::A:BCDE:F", "2001:db8::a:bcde:f");
}

Test(ip_addr, rfc5952_section_5_mapped_addresses_print_as_what_they_are) {
    becomes("::ffff:192.0.2.1", "192.0.2.1");
    becomes("::ffff:c000:201", "192.0.2.1");
}

Test(ip_addr, rfc4291_section_2_2_forms) {
    becomes("ABCD:EF01:2345:6789:ABCD:EF01:2345:6789", "abcd:ef01:2345:6789:abcd:ef01:2345:6789");
    becomes("FF01::101", "ff01::101");
    becomes("::1", "::1");
    becomes("::", "::");
    becomes("0:0:0:0:0:0:13.1.68.3", "::d01:4403");
    becomes("::13.1.68.3", "::d01:4403");
    becomes("1:2:3:4:5:6:77.77.88.88", "1:2:3:4:5:6:4d4d:5858");
    becomes("fe80::", "fe80::");
    becomes("0:0:1::", "0:0:1::");
}

Test(ip_addr, dotted_quads) {
    becomes("0.0.0.0", "0.0.0.0");
    becomes("255.255.255.255", "255.255.255.255");
    becomes("10.0.0.2", "10.0.0.2");
}

Test(ip_addr, what_is_no_address) {
    static const char *const bad[] = {
        "",
        "1",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.256",
        "01.2.3.4",
        "1.2.3.04",
        "1.2.3.",
        ".1.2.3",
        "1..2.3",
        "1.2.3.4 ",
        " 1.2.3.4",
        "1.2.3.-4",
        "1.2.3.0x4",
        "0001.2.3.4",
        ":",
        ":::",
        "1:",
        ":1",
        "1:2",
        "1::2::3",
        "::1::",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
        "1:2:3:4:5:6:7:8::",
        "::1:2:3:4:5:6:7:8",
        "1:2:3:4::5:6:7:8",
        "12345::",
        "::g",
        "::1 ",
        "fe80::1%eth0",
        "::1.2.3",
        "::1.2.3.4:5",
        "1.2.3.4::",
        "1:2:3:4:5:6:7:1.2.3.4",
        "::1:2:3:4:5:6:1.2.3.4",
        "1:::2",
        "[::1]",
        "::01.2.3.4",
        "1:2:3:4:5:6:7:",
        "1:2:3:4:5:6:7:8:",
        "::1:",
    };
    struct tarn_ip_addr a;
    for (size_t i = 0; i < TARN_COUNT_OF(bad); i++)
        cr_assert_not(tarn_ip_addr_parse(tarn_span_str(bad[i]), &a), "\"%s\" parsed", bad[i]);
}

Test(ip_addr, random_addresses_survive_text) {
    struct tarn_random_seeded r;
    tarn_random_seeded_init(&r, 41);
    for (int round = 0; round < 20000; round++) {
        struct tarn_ip_addr a, back;
        uint8_t mem[TARN_IP_ADDR_TEXT_MAX];
        struct tarn_writer w = TARN_WRITER_ARRAY(mem);
        uint32_t zeroed = tarn_random_u32(&r.random);
        tarn_random_fill(&r.random, TARN_BYTES_ARRAY(a.bytes));
        for (size_t i = 0; i < 8; i++) /* groups of zeros, often several together */
            if (zeroed >> i & 1)
                a.bytes[2 * i] = a.bytes[2 * i + 1] = 0;
        tarn_writer_ip_addr(&w, &a);
        cr_assert(tarn_writer_ok(&w));
        cr_assert(tarn_ip_addr_parse(tarn_writer_span(&w), &back));
        cr_assert(tarn_ip_addr_equal(&a, &back), "%.*s", (int)w.len, (const char *)mem);
    }
}

Test(ip_addr, the_longest_text_fits) {
    struct tarn_ip_addr a = parsed("1111:2222:3333:4444:5555:6666:255.255.255.255");
    prints(&a, "1111:2222:3333:4444:5555:6666:ffff:ffff");
    cr_assert_eq(sizeof "1111:2222:3333:4444:5555:6666:255.255.255.255" - 1, TARN_IP_ADDR_TEXT_MAX);
}

Test(ip_addr, kinds) {
    static const struct {
        const char *text;
        bool v4, any, multicast, loopback, link_local;
    } rows[] = {
        {"0.0.0.0", 1, 1, 0, 0, 0},
        {"::", 0, 1, 0, 0, 0},
        {"::1", 0, 0, 0, 1, 0},
        {"127.255.0.1", 1, 0, 0, 1, 0},
        {"128.0.0.1", 1, 0, 0, 0, 0},
        {"224.0.0.1", 1, 0, 1, 0, 0},
        {"239.255.255.255", 1, 0, 1, 0, 0},
        {"240.0.0.1", 1, 0, 0, 0, 0},
        {"ff02::1", 0, 0, 1, 0, 0},
        {"fe80::1", 0, 0, 0, 0, 1},
        {"febf::1", 0, 0, 0, 0, 1},
        {"fec0::1", 0, 0, 0, 0, 0},
        {"169.254.3.4", 1, 0, 0, 0, 1},
        {"169.255.3.4", 1, 0, 0, 0, 0},
        {"::1:0:0:0", 0, 0, 0, 0, 0},
        {"::2", 0, 0, 0, 0, 0},
    };
    for (size_t i = 0; i < TARN_COUNT_OF(rows); i++) {
        struct tarn_ip_addr a = parsed(rows[i].text);
        cr_assert(tarn_ip_addr_is_v4(&a) == rows[i].v4 && tarn_ip_addr_is_any(&a) == rows[i].any
                      && tarn_ip_addr_is_multicast(&a) == rows[i].multicast
                      && tarn_ip_addr_is_loopback(&a) == rows[i].loopback
                      && tarn_ip_addr_is_link_local(&a) == rows[i].link_local,
                  "%s", rows[i].text);
    }
}

Test(ip_addr, wire_forms) {
    struct tarn_ip_addr v4 = TARN_IP_ADDR_V4(192, 0, 2, 1), v6 = parsed("2001:db8::1"), back;
    uint8_t mem[20];
    struct tarn_writer w = TARN_WRITER_ARRAY(mem);
    tarn_writer_ipv4(&w, &v4);
    tarn_writer_ipv6(&w, &v6);
    struct tarn_span s = tarn_writer_span(&w);
    cr_assert_eq(s.len, 20);
    cr_assert(tarn_span_ipv4(&s, &back) && tarn_ip_addr_equal(&back, &v4));
    cr_assert(tarn_span_ipv6(&s, &back) && tarn_ip_addr_equal(&back, &v6));
    cr_assert_not(tarn_span_ipv4(&s, &back) || tarn_span_ipv6(&s, &back));
    cr_assert_eq(tarn_ip_addr_v4(&v4), 0xc0000201);
    back = tarn_ip_addr_from_v4(0xc0000201);
    cr_assert(tarn_ip_addr_equal(&back, &v4));
}

static bool contains(const char *prefix, const char *addr) {
    struct tarn_ip_prefix p;
    struct tarn_ip_addr a = parsed(addr);
    cr_assert(tarn_ip_prefix_parse(tarn_span_str(prefix), &p), "%s", prefix);
    return tarn_ip_prefix_contains(&p, &a);
}

Test(ip_prefix, contains) {
    cr_assert(contains("10.0.0.2/24", "10.0.0.255"));
    cr_assert_not(contains("10.0.0.2/24", "10.0.1.0"));
    cr_assert(contains("10.0.0.0/9", "10.127.255.255"));
    cr_assert_not(contains("10.0.0.0/9", "10.128.0.0"));
    cr_assert(contains("10.1.2.3", "10.1.2.3"));
    cr_assert_not(contains("10.1.2.3/32", "10.1.2.2"));
    cr_assert(contains("0.0.0.0/0", "255.1.2.3"));
    cr_assert_not(contains("0.0.0.0/0", "::1"));
    cr_assert_not(contains("::/0", "1.2.3.4"));
    cr_assert(contains("::/0", "ff02::1"));
    cr_assert(contains("2001:db8::/33", "2001:db8:7fff::1"));
    cr_assert_not(contains("2001:db8::/33", "2001:db8:8000::1"));
    cr_assert(contains("2001:db8::1/128", "2001:db8::1"));
    cr_assert_not(contains("2001:db8::1/127", "2001:db8::2"));
}

Test(ip_prefix, what_is_no_prefix) {
    static const char *const bad[] = {"10.0.0.0/33", "10.0.0.0/",  "10.0.0.0/-1", "/24",
                                      "10.0.0/24",   "::/129",     "::/1/2",      "10.0.0.0/2a",
                                      "10.0.0.0 /8", "10.0.0.0/ 8"};
    struct tarn_ip_prefix p;
    for (size_t i = 0; i < TARN_COUNT_OF(bad); i++)
        cr_assert_not(tarn_ip_prefix_parse(tarn_span_str(bad[i]), &p), "\"%s\" parsed", bad[i]);
}

Test(ip_prefix, more_bits_than_an_address_has_trap, .signal = SIGILL) {
    struct tarn_ip_prefix p = {parsed("10.0.0.1"), 33};
    (void)tarn_ip_prefix_contains(&p, &p.addr);
}
