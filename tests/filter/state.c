/* SPDX-License-Identifier: ISC */
#include "rig.h"
#include <criterion/criterion.h>
#include <time.h>

static struct spec tcp(uint8_t flags, bool out) {
    struct spec s = {
        .proto = TCP, .src = HOST, .sport = 5000, .dst = REMOTE, .dport = 80, .flags = flags};
    if (!out)
        s = (struct spec){
            .proto = TCP, .src = REMOTE, .sport = 80, .dst = HOST, .dport = 5000, .flags = flags};
    return s;
}
static struct rig *plain(void) {
    return rig_new((struct tarn_filter_config){0}, 4u << 20);
}
static void handshake(struct rig *r) {
    cr_assert_eq(go_out(r, tcp(SYN, true)).verdict, TARN_FILTER_PASS);
    cr_assert_eq(go_in(r, tcp(SYN | ACK, false)).verdict, TARN_FILTER_PASS);
    cr_assert_eq(go_out(r, tcp(ACK, true)).verdict, TARN_FILTER_PASS);
}

Test(rfc5382, only_a_syn_opens) {
    struct rig *r = plain();
    const uint8_t others[] = {0, ACK, SYN | ACK, FIN, RST, FIN | ACK, SYN | RST, SYN | FIN};
    for (size_t i = 0; i < TARN_COUNT_OF(others); i++)
        cr_assert_eq(go_out(r, tcp(others[i], true)).verdict, TARN_FILTER_DROP, "%zu", i);
    cr_assert_eq(tarn_filter_stats(r->f)->no_flow, TARN_COUNT_OF(others));
    cr_assert_eq(go_in(r, tcp(SYN, false)).verdict, TARN_FILTER_DROP, "nor one from outside");
    handshake(r);
    rig_free(r);
}

Test(rfc5382_req2, simultaneous_open) {
    struct rig *r = plain();
    cr_assert_eq(go_out(r, tcp(SYN, true)).verdict, TARN_FILTER_PASS);
    cr_assert_eq(go_in(r, tcp(SYN, false)).verdict, TARN_FILTER_PASS);
    rig_free(r);
}

Test(rfc5382_req5, timeouts_follow_the_state) {
    struct rig *r = plain();
    cr_assert_eq(go_out(r, tcp(SYN, true)).verdict, TARN_FILTER_PASS);
    cr_assert_eq(tarn_filter_deadline(r->f), TARN_SEC(240));
    handshake(r);
    cr_assert_eq(tarn_filter_deadline(r->f), TARN_SEC(7440), "two hours and four minutes");
    cr_assert_eq(go_in(r, tcp(FIN | ACK, false)).verdict, TARN_FILTER_PASS);
    cr_assert_eq(tarn_filter_deadline(r->f), TARN_SEC(7440), "half closed is open");
    cr_assert_eq(go_out(r, tcp(FIN | ACK, true)).verdict, TARN_FILTER_PASS);
    cr_assert_eq(tarn_filter_deadline(r->f), TARN_SEC(240));
    handshake(r);
    cr_assert_eq(tarn_filter_deadline(r->f), TARN_SEC(7440), "the ports are used again");
    cr_assert_eq(go_in(r, tcp(RST, false)).verdict, TARN_FILTER_PASS);
    cr_assert_eq(tarn_filter_deadline(r->f), TARN_SEC(240));
    tarn_filter_tick(r->f, TARN_SEC(240));
    cr_assert_eq(tarn_filter_flow_count(r->f), 0);
    rig_free(r);
}

Test(ipv6, is_filtered_and_not_changed) {
    struct rig *r = rig_nat();
    struct spec out = {.proto = UDP,
                       .src = HOST6,
                       .sport = 5000,
                       .dst = REMOTE6,
                       .dport = 53,
                       .data = TARN_SPAN_LIT("x")};
    struct spec in = {.proto = UDP, .src = REMOTE6, .sport = 53, .dst = HOST6, .dport = 5000};
    cr_assert_eq(go_in(r, in).verdict, TARN_FILTER_DROP);
    struct seen s = go_out(r, out);
    cr_assert(s.verdict == TARN_FILTER_PASS && same(s.src, HOST6) && s.sums_right);
    cr_assert_eq(go_in(r, in).verdict, TARN_FILTER_PASS);
    in.sport = 54;
    cr_assert_eq(go_in(r, in).verdict, TARN_FILTER_DROP);
    struct spec error = {.proto = ICMP6,
                         .src = REMOTE6,
                         .dst = HOST6,
                         .flags = 1,
                         .data = tarn_span_of(s.bytes, 48)};
    cr_assert_eq(go_in(r, error).verdict, TARN_FILTER_PASS);
    s.bytes[40] ^= 1;
    cr_assert_eq(go_in(r, error).verdict, TARN_FILTER_DROP, "about another flow");
    rig_free(r);
}

Test(rules, the_first_that_fits_decides) {
    const struct tarn_filter_rule rules[] = {
        {.direction = TARN_FILTER_OUT, .accept = false, .dst = {REMOTE2, 32}},
        {.direction = TARN_FILTER_OUT,
         .accept = true,
         .proto = UDP,
         .src = {HOST, 24},
         .dst_port_min = 53,
         .dst_port_max = 60},
        {.direction = TARN_FILTER_IN,
         .accept = true,
         .proto = TCP,
         .dst = {HOST, 32},
         .dst_port_min = 22,
         .dst_port_max = 22},
    };
    struct rig *r = rig_new((struct tarn_filter_config){.rules = rules,
                                                        .rule_count = TARN_COUNT_OF(rules),
                                                        .refuse_out = true},
                            4u << 20);
    struct spec s = {.proto = UDP, .src = HOST, .sport = 9, .dst = REMOTE, .dport = 53};
    cr_assert_eq(go_out(r, s).verdict, TARN_FILTER_PASS);
    s.dport = 61;
    cr_assert_eq(go_out(r, s).verdict, TARN_FILTER_DROP);
    s.dport = 60;
    s.dst = REMOTE2;
    cr_assert_eq(go_out(r, s).verdict, TARN_FILTER_DROP);
    s = (struct spec){
        .proto = TCP, .src = REMOTE, .sport = 9, .dst = HOST, .dport = 22, .flags = SYN};
    cr_assert_eq(go_in(r, s).verdict, TARN_FILTER_PASS);
    s.dst = HOST2;
    cr_assert_eq(go_in(r, s).verdict, TARN_FILTER_DROP);
    cr_assert_eq(tarn_filter_stats(r->f)->refused, 3);
    struct spec gre = {.proto = 47, .src = HOST, .dst = REMOTE};
    cr_assert_eq(go_out(r, gre).verdict, TARN_FILTER_DROP);
    rig_free(r);
}

Test(bounds, a_flood_evicts_the_half_open_and_never_the_established) {
    struct rig *r = rig_new((struct tarn_filter_config){.table_bytes = 64 << 10}, 1u << 20);
    uint32_t max = tarn_filter_flows_max(r->f);
    cr_assert(max > 100 && max < 1000);
    handshake(r);
    for (uint32_t i = 0; i < 5 * max; i++) {
        struct spec s = tcp(SYN, true);
        s.dst = tarn_ip_addr_from_v4(0x08000000 + i);
        cr_assert_eq(go_out(r, s).verdict, TARN_FILTER_PASS);
        cr_assert_leq(tarn_filter_flow_count(r->f), max);
    }
    cr_assert_eq(go_in(r, tcp(ACK, false)).verdict, TARN_FILTER_PASS, "it is still there");
    cr_assert_geq(tarn_filter_stats(r->f)->evicted, 4 * max);
    rig_free(r);
}

Test(bounds, full_of_established_flows_new_ones_are_refused) {
    struct rig *r = rig_new((struct tarn_filter_config){.table_bytes = 8 << 10}, 1u << 20);
    uint32_t max = tarn_filter_flows_max(r->f);
    for (uint32_t i = 0; i < max; i++) {
        struct spec out = tcp(SYN, true), in = tcp(SYN | ACK, false);
        out.sport = in.dport = (uint16_t)(1000 + i);
        go_out(r, out);
        go_in(r, in);
        out.flags = ACK;
        go_out(r, out);
    }
    struct spec one_more = tcp(SYN, true);
    cr_assert_eq(go_out(r, one_more).verdict, TARN_FILTER_DROP);
    cr_assert_eq(tarn_filter_stats(r->f)->no_room, 1);
    rig_free(r);
}

Test(bounds, ports_run_out_and_come_back) {
    struct rig *r = rig_new(
        (struct tarn_filter_config){
            .translate = true, .outside = OUTSIDE, .port_min = 4000, .port_max = 4007},
        4u << 20);
    struct spec s = {.proto = UDP, .src = HOST, .dst = REMOTE, .dport = 53};
    unsigned passed = 0;
    for (uint16_t i = 0; i < 100; i++) {
        s.sport = (uint16_t)(100 + i);
        passed += go_out(r, s).verdict == TARN_FILTER_PASS;
    }
    cr_assert_eq(passed, 8);
    cr_assert_eq(tarn_filter_stats(r->f)->no_port, 92);
    cr_assert_eq(cross(r, TARN_FILTER_OUT, s, TARN_SEC(301)).verdict, TARN_FILTER_PASS);
    rig_free(r);
}

Test(fragments, are_dropped_and_counted) {
    struct rig *r = rig_nat();
    struct spec s = {.proto = UDP, .src = HOST, .sport = 5000, .dst = REMOTE, .dport = 53};
    const uint8_t frag[][2] = {{0x20, 0}, {0, 1}, {0x3f, 0xff}};
    for (size_t i = 0; i < 3; i++) {
        struct tarn_pkt *pkt = make(r, &s, false);
        *tarn_bytes_at(tarn_pkt_head_bytes(pkt), 6) = frag[i][0];
        *tarn_bytes_at(tarn_pkt_head_bytes(pkt), 7) = frag[i][1];
        cr_assert_eq(cross_pkt(r, TARN_FILTER_OUT, pkt, 0).verdict, TARN_FILTER_DROP);
    }
    cr_assert_eq(tarn_filter_stats(r->f)->fragments, 3);
    rig_free(r);
}

Test(malformed, every_truncation_is_dropped) {
    struct rig *r = rig_nat();
    const uint8_t protos[] = {TCP, UDP, ICMP};
    for (size_t p = 0; p < 3; p++) {
        struct spec s = {.proto = protos[p],
                         .src = HOST,
                         .sport = 5,
                         .dst = REMOTE,
                         .dport = 6,
                         .flags = protos[p] == TCP ? SYN : 8,
                         .data = TARN_SPAN_LIT("data")};
        uint32_t whole = protos[p] == TCP ? 44 : 32;
        for (uint32_t n = 0; n < whole; n++) {
            struct tarn_pkt *pkt = make(r, &s, false);
            tarn_pkt_trim(pkt, n);
            cr_assert_eq(tarn_filter_packet(r->f, TARN_FILTER_OUT, pkt, 0), TARN_FILTER_DROP);
            tarn_pkt_free(pkt);
        }
    }
    cr_assert_eq(tarn_filter_stats(r->f)->malformed, 44 + 32 + 32);
    cr_assert_eq(tarn_filter_flow_count(r->f), 0);
    rig_free(r);
}

/* The cost of a packet among `flows` others, in ns of this machine. */
static double cost(uint32_t flows) {
    struct rig *r = rig_new((struct tarn_filter_config){.translate = true,
                                                        .outside = OUTSIDE,
                                                        .table_bytes = 64u << 20},
                            128u << 20);
    struct spec s = {.proto = UDP, .dst = REMOTE, .sport = 5000};
    struct tarn_pkt *pkts[8];
    struct timespec a, b;
    cr_assert_geq(tarn_filter_flows_max(r->f), flows);
    for (uint32_t i = 0; i < flows; i++) { /* several remotes for each of the 50,000 mappings */
        s.src = tarn_ip_addr_from_v4(0x0a000000 + i / 4);
        s.dport = (uint16_t)(1 + i % 4);
        cr_assert_eq(go_out(r, s).verdict, TARN_FILTER_PASS, "%u", i);
    }
    double best = 1e9;
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 8; i++) {
            s.src = tarn_ip_addr_from_v4(0x0a000000 + (round * 8 + i) * 61 % ((flows + 3) / 4));
            s.dport = 1;
            pkts[i] = make(r, &s, false);
        }
        clock_gettime(CLOCK_MONOTONIC, &a);
        for (unsigned i = 0; i < 8; i++)
            cr_assert_eq(tarn_filter_packet(r->f, TARN_FILTER_OUT, pkts[i], 0), TARN_FILTER_PASS);
        clock_gettime(CLOCK_MONOTONIC, &b);
        double ns = (double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec);
        best = ns / 8 < best ? ns / 8 : best;
        for (unsigned i = 0; i < 8; i++)
            tarn_pkt_free(pkts[i]);
    }
    rig_free(r);
    return best;
}

/* Linear search would be a factor of 10,000; caches are worth a few. */
Test(cost, does_not_grow_with_the_flows) {
    double few = cost(10), many = cost(100000);
    cr_assert_lt(many, few * 30 + 2000, "%.0f ns among 10, %.0f ns among 100,000", few, many);
}
