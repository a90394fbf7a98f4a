/* SPDX-License-Identifier: ISC */
#include "rig.h"
#include <criterion/criterion.h>

static struct spec udp(struct tarn_ip_addr src, uint16_t sport, struct tarn_ip_addr dst,
                       uint16_t dport) {
    return (struct spec){.proto = UDP,
                         .src = src,
                         .sport = sport,
                         .dst = dst,
                         .dport = dport,
                         .data = TARN_SPAN_LIT("payload")};
}

Test(rfc4787, out_and_back) {
    struct rig *r = rig_nat();
    struct seen out = go_out(r, udp(HOST, 5000, REMOTE, 53));
    cr_assert(out.verdict == TARN_FILTER_PASS && out.sums_right);
    cr_assert(same(out.src, OUTSIDE) && same(out.dst, REMOTE) && out.dport == 53);
    struct seen in = go_in(r, udp(REMOTE, 53, OUTSIDE, out.sport));
    cr_assert(in.verdict == TARN_FILTER_PASS && in.sums_right);
    cr_assert(same(in.src, REMOTE) && in.sport == 53 && same(in.dst, HOST) && in.dport == 5000);
    rig_free(r);
}

Test(rfc4787_req1, mapping_is_endpoint_independent) {
    struct rig *r = rig_nat();
    uint16_t port = go_out(r, udp(HOST, 5000, REMOTE, 53)).sport;
    cr_assert_eq(go_out(r, udp(HOST, 5000, REMOTE2, 99)).sport, port);
    cr_assert_neq(go_out(r, udp(HOST, 5002, REMOTE, 53)).sport, port);
    cr_assert_neq(go_out(r, udp(HOST2, 5000, REMOTE, 53)).sport, port);
    rig_free(r);
}

Test(rfc4787_req4, parity_is_kept_and_ports_are_scattered) {
    struct rig *r = rig_nat();
    uint16_t last = 0;
    int near = 0;
    for (uint16_t p = 5000; p < 5100; p++) {
        uint16_t port = go_out(r, udp(HOST, p, REMOTE, 53)).sport;
        cr_assert_eq(port & 1, p & 1);
        cr_assert_geq(port, 1024);
        near += abs(port - last) < 64;
        last = port;
    }
    cr_assert_lt(near, 5);
    rig_free(r);
}

Test(rfc4787_req8, strangers_are_kept_out_unless_asked_for) {
    struct rig *r = rig_nat();
    uint16_t port = go_out(r, udp(HOST, 5000, REMOTE, 53)).sport;
    cr_assert_eq(go_in(r, udp(REMOTE2, 53, OUTSIDE, port)).verdict, TARN_FILTER_DROP);
    cr_assert_eq(go_in(r, udp(REMOTE, 54, OUTSIDE, port)).verdict, TARN_FILTER_DROP);
    cr_assert_eq(go_in(r, udp(REMOTE, 53, OUTSIDE, port ^ 2)).verdict, TARN_FILTER_HERE);
    cr_assert_eq(go_in(r, udp(REMOTE, 53, HOST, 5000)).verdict, TARN_FILTER_DROP, "not ours");
    rig_free(r);
    r = rig_new((struct tarn_filter_config){.translate = true,
                                            .outside = OUTSIDE,
                                            .endpoint_independent_filtering = true},
                4u << 20);
    port = go_out(r, udp(HOST, 5000, REMOTE, 53)).sport;
    struct seen in = go_in(r, udp(REMOTE2, 7, OUTSIDE, port));
    cr_assert(in.verdict == TARN_FILTER_PASS && same(in.dst, HOST) && in.sums_right);
    rig_free(r);
}

Test(rfc4787_req5, silence_ends_a_mapping_and_only_the_inside_keeps_it) {
    struct rig *r = rig_nat();
    uint16_t port = go_out(r, udp(HOST, 5000, REMOTE, 53)).sport;
    struct spec back = udp(REMOTE, 53, OUTSIDE, port);
    cr_assert_eq(cross(r, TARN_FILTER_IN, back, TARN_SEC(299)).verdict, TARN_FILTER_PASS);
    cr_assert_eq(tarn_filter_deadline(r->f), TARN_SEC(300), "REQ-6: no refresh from outside");
    cr_assert_eq(cross(r, TARN_FILTER_OUT, udp(HOST, 5000, REMOTE, 53), TARN_SEC(299)).sport, port);
    cr_assert_eq(cross(r, TARN_FILTER_IN, back, TARN_SEC(598)).verdict, TARN_FILTER_PASS);
    cr_assert_eq(cross(r, TARN_FILTER_IN, back, TARN_SEC(599)).verdict, TARN_FILTER_HERE);
    cr_assert_eq(tarn_filter_flow_count(r->f), 0);
    cr_assert_eq(tarn_filter_deadline(r->f), TARN_NEVER);
    rig_free(r);
}

Test(rfc4787_req9, hairpinning) {
    struct rig *r = rig_nat();
    uint16_t a = go_out(r, udp(HOST, 5000, REMOTE, 53)).sport;
    uint16_t b = go_out(r, udp(HOST2, 6000, REMOTE, 53)).sport;
    cr_assert_eq(go_out(r, udp(HOST, 5000, OUTSIDE, b)).verdict, TARN_FILTER_DROP,
                 "host 2 has not spoken to it");
    struct seen turned = go_out(r, udp(HOST2, 6000, OUTSIDE, a));
    cr_assert(turned.verdict == TARN_FILTER_TURN && turned.sums_right);
    cr_assert(same(turned.src, OUTSIDE) && turned.sport == b, "external source address and port");
    cr_assert(same(turned.dst, HOST) && turned.dport == 5000);
    cr_assert_eq(go_out(r, udp(HOST, 5000, OUTSIDE, b)).verdict, TARN_FILTER_TURN);
    cr_assert_eq(go_out(r, udp(HOST, 5000, OUTSIDE, 7)).verdict, TARN_FILTER_HERE);
    rig_free(r);
}

Test(rfc1624, checksums_stay_right_for_every_kind) {
    struct rig *r = rig_nat();
    for (uint32_t i = 0; i < 3000; i++) {
        uint8_t data[3] = {(uint8_t)i, (uint8_t)(i >> 8), (uint8_t)(i * 7)};
        struct spec s = {.proto = i % 3 == 0   ? UDP
                                  : i % 3 == 1 ? TCP
                                               : ICMP,
                         .src = tarn_ip_addr_from_v4(0xc0a80100 + i % 200),
                         .dst = tarn_ip_addr_from_v4(0xc6336400 + i * 7919 % 250),
                         .sport = (uint16_t)(1 + i),
                         .dport = 80,
                         .flags = i % 3 == 1 ? SYN : 8,
                         .data = tarn_span_of(data, i % 4)};
        bool partial = i & 1 && s.proto != ICMP;
        struct seen out = cross_pkt(r, TARN_FILTER_OUT, make(r, &s, partial), 0);
        cr_assert(out.verdict == TARN_FILTER_PASS && out.sums_right, "out %u", i);
        struct spec back = {.proto = s.proto,
                            .src = s.dst,
                            .dst = OUTSIDE,
                            .sport = 80,
                            .dport = out.sport,
                            .flags = s.proto == TCP ? SYN | ACK : 0,
                            .data = s.data};
        if (s.proto == ICMP)
            back.sport = out.sport;
        struct seen in = cross_pkt(r, TARN_FILTER_IN, make(r, &back, partial), 0);
        cr_assert(in.verdict == TARN_FILTER_PASS && in.sums_right, "in %u", i);
        cr_assert(same(in.dst, s.src) && (s.proto == ICMP ? in.sport : in.dport) == s.sport);
    }
    rig_free(r);
}

Test(rfc768, no_checksum_stays_none_and_a_wrong_one_wrong) {
    struct rig *r = rig_nat();
    struct spec s = udp(HOST, 5000, REMOTE, 53);
    struct tarn_pkt *pkt = make(r, &s, false);
    *tarn_bytes_at(tarn_pkt_head_bytes(pkt), 26) = *tarn_bytes_at(tarn_pkt_head_bytes(pkt), 27) = 0;
    cr_assert_eq(be16(cross_pkt(r, TARN_FILTER_OUT, pkt, 0).bytes + 26), 0);
    pkt = make(r, &s, false);
    *tarn_bytes_at(tarn_pkt_head_bytes(pkt), 28) ^= 1;
    cr_assert(!cross_pkt(r, TARN_FILTER_OUT, pkt, 0).sums_right);
    rig_free(r);
}

Test(forward, a_port_leads_inside_where_the_rules_let) {
    struct tarn_filter_rule rule = {.direction = TARN_FILTER_IN,
                                    .accept = true,
                                    .proto = TCP,
                                    .dst = {HOST, 32},
                                    .dst_port_min = 80,
                                    .dst_port_max = 80};
    struct rig *r = rig_new(
        (struct tarn_filter_config){
            .translate = true, .outside = OUTSIDE, .rules = &rule, .rule_count = 1},
        4u << 20);
    cr_assert(!tarn_filter_forward(r->f, TCP, 8080, &(struct tarn_endpoint){HOST, 80}));
    cr_assert(!tarn_filter_forward(r->f, TCP, 2222, &(struct tarn_endpoint){HOST, 22}));
    cr_assert_eq(tarn_filter_forward(r->f, TCP, 2222, &(struct tarn_endpoint){HOST2, 22}),
                 TARN_LIMIT);
    struct spec syn = {
        .proto = TCP, .src = REMOTE, .sport = 999, .dst = OUTSIDE, .dport = 8080, .flags = SYN};
    struct seen in = go_in(r, syn);
    cr_assert(in.verdict == TARN_FILTER_PASS && same(in.dst, HOST) && in.dport == 80);
    struct seen out = go_out(r, (struct spec){.proto = TCP,
                                              .src = HOST,
                                              .sport = 80,
                                              .dst = REMOTE,
                                              .dport = 999,
                                              .flags = SYN | ACK});
    cr_assert(out.verdict == TARN_FILTER_PASS && out.sport == 8080 && out.sums_right);
    syn.dport = 2222;
    cr_assert_eq(go_in(r, syn).verdict, TARN_FILTER_DROP, "no rule for it");
    rig_free(r);
}

Test(set_outside, another_address_ends_what_was_translated) {
    struct rig *r = rig_new((struct tarn_filter_config){.translate = true}, 4u << 20);
    struct tarn_ip_addr outside = OUTSIDE, second = TARN_IP_ADDR_V4(203, 0, 113, 2);
    cr_assert_eq(go_out(r, udp(HOST, 5000, REMOTE, 53)).verdict, TARN_FILTER_DROP);
    cr_assert_eq(tarn_filter_stats(r->f)->no_address, 1);
    tarn_filter_set_outside(r->f, &outside);
    uint16_t port = go_out(r, udp(HOST, 5000, REMOTE, 53)).sport;
    tarn_filter_set_outside(r->f, &second);
    cr_assert_eq(tarn_filter_flow_count(r->f), 0);
    cr_assert_eq(go_in(r, udp(REMOTE, 53, second, port)).verdict, TARN_FILTER_HERE);
    cr_assert(same(go_out(r, udp(HOST, 5000, REMOTE, 53)).src, second));
    rig_free(r);
}

/* -- RFC 5508: ICMP ------------------------------------------------------------------------------
 */

/* An ICMP error of that type about the packet `about`, `quoted` bytes of it. */
static struct tarn_pkt *error_about(struct rig *r, uint8_t type, struct tarn_ip_addr src,
                                    struct tarn_ip_addr dst, const struct seen *about,
                                    size_t quoted) {
    struct spec s = {.proto = ICMP,
                     .src = src,
                     .dst = dst,
                     .flags = type,
                     .data = tarn_span_of(about->bytes, quoted)};
    return make(r, &s, false);
}

Test(rfc5508_req4, errors_from_outside_find_the_host) {
    const uint8_t protos[] = {UDP, TCP, ICMP};
    for (size_t i = 0; i < 3; i++) {
        struct rig *r = rig_nat();
        struct seen out = go_out(r, (struct spec){.proto = protos[i],
                                                  .src = HOST,
                                                  .sport = 5000,
                                                  .dst = REMOTE,
                                                  .dport = 80,
                                                  .flags = protos[i] == TCP ? SYN : 8});
        struct seen in =
            cross_pkt(r, TARN_FILTER_IN, error_about(r, 3, REMOTE2, OUTSIDE, &out, 28), 0);
        cr_assert(in.verdict == TARN_FILTER_PASS && in.sums_right, "%zu", i);
        cr_assert(same(in.src, REMOTE2) && same(in.dst, HOST));
        const uint8_t *q = in.bytes + 28;
        cr_assert(memcmp(q + 12, "\xc0\xa8\x01\x0a", 4) == 0, "the quoted source is the host's");
        cr_assert_eq(be16(q + 20 + (protos[i] == ICMP ? 4 : 0)), 5000);
        cr_assert_eq(plain_sum(q, 20), 0xffff, "and the quoted header's checksum");
        rig_free(r);
    }
}

Test(rfc5508_req5, errors_from_inside_hide_it) {
    struct rig *r = rig_nat();
    uint16_t port = go_out(r, udp(HOST, 5000, REMOTE, 53)).sport;
    struct seen in = go_in(r, udp(REMOTE, 53, OUTSIDE, port));
    struct seen out = cross_pkt(r, TARN_FILTER_OUT, error_about(r, 3, HOST, REMOTE, &in, 28), 0);
    cr_assert(out.verdict == TARN_FILTER_PASS && out.sums_right);
    cr_assert(same(out.src, OUTSIDE));
    const uint8_t *q = out.bytes + 28;
    cr_assert(memcmp(q + 16, "\xcb\x00\x71\x01", 4) == 0 && be16(q + 22) == port);
    cr_assert_eq(plain_sum(q, 20), 0xffff);
    rig_free(r);
}

Test(rfc5508_req3, bad_errors_are_dropped) {
    struct rig *r = rig_nat();
    struct seen out = go_out(r, udp(HOST, 5000, REMOTE, 53));
    struct tarn_pkt *pkt = error_about(r, 3, REMOTE, OUTSIDE, &out, 28);
    *tarn_bytes_at(tarn_pkt_head_bytes(pkt), 22) ^= 1;
    cr_assert_eq(cross_pkt(r, TARN_FILTER_IN, pkt, 0).verdict, TARN_FILTER_DROP);
    for (size_t n = 0; n < 28; n++) {
        pkt = error_about(r, 11, REMOTE, OUTSIDE, &out, n);
        cr_assert_eq(cross_pkt(r, TARN_FILTER_IN, pkt, 0).verdict, TARN_FILTER_DROP, "%zu", n);
    }
    struct seen other = out; /* about a flow that is not: to a remote never spoken to */
    other.bytes[19] ^= 1;
    pkt = error_about(r, 3, REMOTE, OUTSIDE, &other, 28);
    cr_assert_eq(cross_pkt(r, TARN_FILTER_IN, pkt, 0).verdict, TARN_FILTER_DROP);
    cr_assert_eq(tarn_filter_stats(r->f)->bad_icmp, 30);
    rig_free(r);
}

Test(rfc5508, echo_answers_only_where_asked) {
    struct rig *r = rig_nat();
    struct spec ping = {.proto = ICMP, .src = HOST, .sport = 77, .dst = REMOTE, .flags = 8};
    struct seen out = go_out(r, ping);
    struct spec pong = {
        .proto = ICMP, .src = REMOTE, .sport = out.sport, .dst = OUTSIDE, .flags = 0};
    struct seen in = go_in(r, pong);
    cr_assert(in.verdict == TARN_FILTER_PASS && in.sport == 77 && same(in.dst, HOST));
    pong.src = REMOTE2;
    cr_assert_eq(go_in(r, pong).verdict, TARN_FILTER_DROP);
    ping.flags = 0;
    ping.src = HOST2;
    cr_assert_eq(go_out(r, ping).verdict, TARN_FILTER_DROP, "an answer to nothing");
    rig_free(r);
}
