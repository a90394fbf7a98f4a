/* SPDX-License-Identifier: ISC */
/* What brought other stacks down, told by its published number: Ripple20 (Treck), AMNESIA:33 (uIP,
 * picoTCP, FNET), URGENT/11 (VxWorks), smoltcp. Each packet as it was, with what we do instead. */
#include "groups.h"
#include <criterion/criterion.h>

static struct world w;
static uint8_t data[1400];

static void set_up(void) {
    world_init6(&w, (struct tarn_ip_limits){0});
}
static void tear_down(void) {
    cr_assert(world_end(&w), "packets are left");
}
/* An IPv6 packet with those extension headers, whose first is `next`, in front of UDP. */
static void in_ext(uint8_t next, const void *ext, size_t n) {
    in_v6(&w, &(struct v6){.src = PEER6, .dst = US6, .next = next, .ext = ext, .ext_len = n}, data,
          16);
}

/* A fragmented datagram whose protocol is IP in IP: unwrapping looked at the first fragment's
 * memory as if the whole lay in it. Nothing is unwrapped here, and only the whole is looked at. */
Test(published, cve_2020_11896_ip_in_ip_in_fragments) {
    set_up();
    uint8_t inner[1400];
    size_t n = v4_make(inner, &(struct v4){.src = PEER, .dst = US, .frag = 0x2000}, data, 1300);
    put16(inner + 2, 40); /* shorter than what is there: to be trimmed */
    in_v4(&w, &(struct v4){.src = PEER, .dst = US, .proto = 4, .id = 9, .frag = 0x2000}, inner, 32);
    in_v4(&w, &(struct v4){.src = PEER, .dst = US, .proto = 4, .id = 9, .frag = 4}, inner + 32,
          n - 32);
    cr_assert_eq(stats(&w).reassembled, 1);
    cr_assert_eq(stats(&w).drops_protocol, 1);
    cr_assert_eq(w.got_count, 0);
    tear_down();
}

/* The length in the header was believed when the checksum was computed. */
Test(published, cve_2020_13987_a_total_length_beyond_the_packet) {
    set_up();
    uint8_t buf[60];
    size_t n = v4_make(buf, &(struct v4){.src = PEER, .dst = US}, data, 16);
    for (size_t claim = n + 1; claim < 65536; claim += 997) {
        put16(buf + 2, claim);
        put16(buf + 10, 0);
        put16(buf + 10, slow_csum(buf, 20));
        uint64_t before = stats(&w).drops_header;
        in_raw(&w, buf, n);
        cr_assert_eq(stats(&w).drops_header, before + 1);
    }
    cr_assert_eq(w.got_count, 0);
    tear_down();
}

/* The same of IPv6's payload length. */
Test(published, cve_2020_17441_a_payload_length_beyond_the_packet) {
    set_up();
    uint8_t buf[80];
    size_t n = v6_make(buf, &(struct v6){.src = PEER6, .dst = US6, .next = 17}, data, 16);
    for (size_t claim = 17; claim < 65536; claim += 997) {
        put16(buf + 4, claim);
        in_raw(&w, buf, n);
    }
    cr_assert_eq(w.got_count, 0);
    tear_down();
}

/* Offset and length of a fragment reached behind the buffer of the datagram. */
Test(published, cve_2020_17438_fragments_that_end_beyond_any_datagram) {
    set_up();
    for (unsigned off = 0x1f00; off <= 0x1fff; off++)
        in_v4(&w, &(struct v4){.src = PEER, .dst = US, .id = 5, .frag = (uint16_t)off}, data, 1400);
    cr_assert_geq(stats(&w).drops_fragment, 170);
    cr_assert_eq(w.got_count, 0);
    tear_down();
}

/* Lengths of options and extension headers: none at all, too much, and so much that sums wrap. */
static void expect_refused(uint8_t next, uint8_t header_len, const uint8_t *options, size_t n) {
    uint8_t ext[64] = {17, header_len};
    memcpy(ext + 2, options, n);
    in_ext(next, ext, n + 2);
    cr_assert_eq(w.got_count, 0);
}
Test(published, cve_2020_17445_destination_option_lengths) {
    set_up();
    for (uint8_t len = 5; len != 0; len++)
        expect_refused(60, 0, (uint8_t[6]){0x1e, len}, 6);
    in_ext(60, (uint8_t[8]){17, 0, 0x1e, 4}, 8);
    cr_assert_eq(w.got_count, 1, "and one that is right");
    in_ext(60, (uint8_t[8]){17, 0, 0x1e, 0, 0x1e, 0, 0x1e, 0}, 8);
    cr_assert_eq(w.got_count, 2, "CVE-2020-13984: no data at all is a length, too, and ends");
    tear_down();
}
Test(published, cve_2020_17442_hop_by_hop_header_lengths) {
    set_up();
    for (unsigned len = 3; len < 256; len++)
        expect_refused(0, (uint8_t)len, (uint8_t[6]){1, 4}, 6);
    for (uint8_t len = 5; len != 0; len++) /* CVE-2020-17468 */
        expect_refused(0, 0, (uint8_t[6]){0x1e, len}, 6);
    tear_down();
}
Test(published, cve_2020_17444_chains_of_headers_whose_lengths_wrap) {
    set_up();
    uint8_t ext[64];
    for (unsigned first = 0; first < 256; first += 5) {
        memset(ext, 0, sizeof ext);
        ext[0] = 43, ext[1] = (uint8_t)first, ext[8] = 60, ext[9] = 255, ext[16] = 17;
        in_ext(60, ext, 24);
    }
    cr_assert_eq(w.got_count, 0);
    tear_down();
}

/* An echo request shorter than its own header was answered with a negative length. */
Test(published, cve_2020_17443_echo_requests_that_are_too_short) {
    set_up();
    for (size_t n = 0; n < 4; n++)
        in_icmp6(&w, PEER6, US6, 64, 128, 0, data, n);
    for (size_t n = 0; n < w.link[0].count; n++)
        cr_assert_leq(get16(sent(&w, 0, n) + 4), 32, "nothing is longer than a solicitation");
    tear_down();
}

/* Several source routes, whose copies in an error overflowed the stack. */
Test(published, cve_2019_12256_source_routes_in_what_an_error_quotes) {
    set_up();
    uint8_t options[40];
    for (size_t i = 0; i < 40; i += 4)
        memcpy(options + i, (uint8_t[4]){i % 8 ? 131 : 137, 3, 39, 1}, 4);
    in_v4(&w, &(struct v4){.src = PEER, .dst = US, .options = options, .options_len = 40}, data,
          1300);
    cr_assert_eq(w.link[0].count, 1);
    const uint8_t *p = sent(&w, 0, 0);
    cr_assert(p[0] == 0x45 && p[20] == 12, "a parameter problem without options of its own");
    cr_assert_leq(get16(p + 2), 576);
    tear_down();
}

/* IGMPv3: a pointer to nothing, and memory told to whoever asked in fragments. */
Test(published, cve_2019_12259_and_12265_membership_queries) {
    set_up();
    cr_assert_eq(listen4(&w, GROUP, false, true, ""), TARN_OK);
    for (int i = 0; i < 3; i++)
        tick(&w, TARN_SEC(1));
    world_forget(&w);
    uint8_t query[1000] = {0x11, 10, 0, 0, 0xef, 1, 2, 3, 2, 125, 0xff, 0xff};
    static const uint8_t alert[4] = {148, 4, 0, 0};
    struct v4 h = {
        .src = PEER, .dst = GROUP, .proto = 2, .ttl = 1, .options = alert, .options_len = 4};
    for (size_t n = 0; n < 64; n++) { /* more sources than are there */
        if (n == 8)
            continue; /* a whole query in version 2 */
        put16(query + 2, 0);
        put16(query + 2, slow_csum(query, n));
        in_v4(&w, &h, query, n);
    }
    cr_assert_not(wait_sent(&w, TARN_SEC(3)));
    put16(query + 10, 247);
    for (size_t i = 12; i < sizeof query; i++)
        query[i] = (uint8_t)(i * 7 + i / 256);
    put16(query + 2, 0);
    put16(query + 2, slow_csum(query, 1000));
    h.id = 4;
    h.frag = 0x2000 | 50;
    in_v4(&w, &h, query + 400, 400);
    h.frag = 100;
    in_v4(&w, &h, query + 800, 200);
    h.frag = 0x2000;
    in_v4(&w, &h, query, 400);
    cr_assert(wait_sent(&w, TARN_SEC(1)));
    cr_assert_str_eq(reported(&w), "IS_EX 239.1.2.3", "what we listen to, and no more");
    tear_down();
}

/* smoltcp 0.13: a SYN from 0.0.0.0 panicked. */
Test(published, smoltcp_packets_from_no_address) {
    set_up();
    static const uint32_t from[] = {0, 0x00000001, 0x7f000001, 0xe0000001, 0xffffffff, US};
    for (size_t i = 0; i < TARN_COUNT_OF(from); i++)
        in_v4(&w, &(struct v4){.src = from[i], .dst = US}, data, 20);
    in_v6(&w, &(struct v6){.src = "::1", .dst = US6, .next = 17}, data, 20);
    in_v6(&w, &(struct v6){.src = "ff02::1", .dst = US6, .next = 17}, data, 20);
    cr_assert_eq(w.got_count, 0);
    cr_assert_eq(stats(&w).drops_martian, 8);
    tear_down();
}

/* smoltcp 0.12: a packet without a byte, whose version was read. */
Test(published, smoltcp_866_an_empty_packet) {
    set_up();
    tarn_ip_input(w.ip, 0, NULL, raw(&w, data, 0), w.now);
    tarn_ip_input(w.ip, 0, NULL, raw(&w, "\x45", 1), w.now);
    tarn_ip_input(w.ip, 0, NULL, raw(&w, "\x60", 1), w.now);
    cr_assert_eq(stats(&w).drops_header, 3);
    tear_down();
}

/* smoltcp 0.13: fragments whose length was no multiple of eight, at MTUs that are none either. */
Test(published, smoltcp_1116_fragments_are_multiples_of_eight) {
    static uint8_t big[4000];
    set_up();
    for (uint16_t mtu = 600; mtu < 640; mtu++) {
        struct tarn_ip_addr to = v4(FAR + mtu);
        uint8_t error[36] = {3, 4};
        put16(error + 6, mtu);
        (void)v4_make(error + 8, &(struct v4){.src = US, .dst = FAR + mtu}, "\0\1\0\2\0\10\0\0", 8);
        put16(error + 2, slow_csum(error, 36));
        in_v4(&w, &(struct v4){.src = GATE, .dst = US, .proto = 1}, error, 36);
        world_forget(&w);
        struct tarn_ip_meta meta = {
            .src = TARN_IP_ADDR_NONE, .dst = to, .proto = TARN_IP_PROTO_UDP};
        struct tarn_ip_lower *lower = tarn_ip_lower(w.ip);
        cr_assert_eq(lower->ops->send(lower, &meta, raw(&w, big, 3000), w.now), TARN_OK);
        size_t at = 0;
        for (size_t i = 0; i < w.link[0].count; i++) {
            const uint8_t *p = sent(&w, 0, i);
            size_t n = get16(p + 2) - 20u;
            bool more = get16(p + 6) & 0x2000;
            cr_assert_eq((get16(p + 6) & 0x1fffu) * 8u, at);
            cr_assert(get16(p + 2) <= mtu && (!more || n % 8 == 0), "MTU %u", mtu);
            cr_assert_eq(more, i + 1 < w.link[0].count);
            at += n;
        }
        cr_assert_eq(at, 3000);
        world_forget(&w);
    }
    tear_down();
}

/* smoltcp 0.13: the length in the header was the first fragment's after all were put together. */
Test(published, smoltcp_1094_the_length_of_what_was_put_together) {
    set_up();
    in_v4(&w, &(struct v4){.src = PEER, .dst = US, .id = 7, .frag = 0x2000}, data, 800);
    in_v4(&w, &(struct v4){.src = PEER, .dst = US, .id = 7, .frag = 100}, data, 300);
    cr_assert_eq(w.got_count, 1);
    cr_assert_eq(w.got[0]->len, 1100);
    tear_down();
}

/* smoltcp 0.13: a query that gives no time to answer in was divided by. */
Test(published, smoltcp_1047_queries_that_leave_no_time) {
    set_up();
    struct tarn_ip_addr group = v4(0xef010203);
    cr_assert_eq(tarn_ip_join(w.ip, 0, &group, NULL, true), TARN_OK);
    tick(&w, TARN_SEC(60));
    world_forget(&w);
    for (uint8_t bytes = 8; bytes <= 12; bytes += 4) {
        uint8_t query[12] = {0x11, 0};
        static const uint8_t alert[4] = {0x94, 4};
        put16(query + 2, slow_csum(query, bytes));
        struct v4 h = {.src = PEER,
                       .dst = 0xe0000001,
                       .proto = 2,
                       .ttl = 1,
                       .options = alert,
                       .options_len = 4};
        in_v4(&w, &h, query, bytes);
        cr_assert(wait_sent(&w, TARN_SEC(30)), "answered all the same");
        world_forget(&w);
    }
    tear_down();
}

/* smoltcp 0.12.0: an option to be discarded with an error, in a packet to a group, panicked. */
Test(published, smoltcp_996_an_unknown_option_to_a_group) {
    set_up();
    static const uint8_t kinds[] = {0x3f, 0x7f, 0xbf, 0xff};
    for (size_t i = 0; i < TARN_COUNT_OF(kinds); i++) {
        uint8_t ext[8] = {17, 0, kinds[i], 4};
        struct v6 h = {
            .src = PEER6, .dst = "ff02::1", .next = 0, .ext = ext, .ext_len = sizeof ext};
        world_forget(&w);
        in_v6(&w, &h, data, 16);
        /* RFC 8200 section 4.2: 10 answers a group too, 11 does not. */
        cr_assert_eq(w.got_count, i == 0);
        cr_assert_eq(stats(&w).icmp_errors_out, i >= 2);
        tick(&w, TARN_SEC(1));
    }
    tear_down();
}

/* mirage-tcpip 6.0: an IPv6 packet was read beyond its end. Every cut of a good one, with and
 * without its length put right, is dropped or heard whole. */
Test(published, mirage_tcpip_ipv6_packets_that_are_cut_anywhere) {
    set_up();
    static const uint8_t ext[16] = {60, 0, 1, 4, [8] = 17, 0, 1, 4};
    uint8_t buf[100];
    struct v6 h = {.src = PEER6, .dst = US6, .next = 0, .ext = ext, .ext_len = sizeof ext};
    size_t n = v6_make(buf, &h, data, 16);
    for (size_t cut = 0; cut < n; cut++) {
        in_raw(&w, buf, cut);
        cr_assert_eq(w.got_count, 0, "%zu", cut);
    }
    in_raw(&w, buf, n);
    cr_assert_eq(w.got_count, 1);
    tear_down();
}
