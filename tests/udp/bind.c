/* SPDX-License-Identifier: ISC */
#include "bench.h"
#include <criterion/criterion.h>

Test(bind, most_specific_endpoint_wins) {
    struct bench *b = bench_new(NULL);
    struct tarn_handle any = bench_open(b, TARN_IP_ADDR_NONE, 53);
    cr_assert(!tarn_udp_close(b->udp, any));
    struct tarn_datagram_config shared = {.local = {TARN_IP_ADDR_NONE, 53}, .shared = true};
    struct tarn_handle v4, exact, connected;
    cr_assert(!tarn_udp_open(b->udp, &shared, &any));
    shared.local.addr = ANY4;
    cr_assert(!tarn_udp_open(b->udp, &shared, &v4));
    shared.local.addr = US4;
    cr_assert(!tarn_udp_open(b->udp, &shared, &exact));
    cr_assert(!tarn_udp_open(b->udp, &shared, &connected));
    cr_assert(!tarn_udp_connect(b->udp, connected, &(struct tarn_endpoint){PEER4, 5000}));

    bench_arrive(b, US4, 53, "connected");
    bench_arrive_from(b, OTHER4, 5000, US4, 53, "exact");
    bench_arrive_from(b, OTHER4, 5000, OTHER4, 53, "v4");
    bench_arrive(b, US6, 53, "any");
    cr_assert(bench_got(b, connected, "connected") && bench_empty(b, connected));
    cr_assert(bench_got(b, exact, "exact") && bench_empty(b, exact));
    cr_assert(bench_got(b, v4, "v4") && bench_empty(b, v4));
    cr_assert(bench_got(b, any, "any") && bench_empty(b, any));
    cr_assert_eq(bench_live_pkts(b), 0);
    bench_free(b);
}

Test(bind, taken_ports_are_refused_unless_both_share) {
    struct bench *b = bench_new(NULL);
    struct tarn_handle h;
    struct tarn_datagram_config c = {.local = {US4, 53}};
    bench_open(b, ANY4, 53);
    cr_assert_eq(tarn_udp_open(b->udp, &c, &h), TARN_LIMIT);
    c.shared = true;
    cr_assert_eq(tarn_udp_open(b->udp, &c, &h), TARN_LIMIT, "the first does not share");
    c.local.addr = TARN_IP_ADDR_NONE;
    cr_assert_eq(tarn_udp_open(b->udp, &c, &h), TARN_LIMIT);
    c.local.addr = US6;
    cr_assert_eq(tarn_udp_open(b->udp, &c, &h), TARN_OK, "the other family is apart");
    bench_free(b);
}

Test(bind, interfaces_keep_endpoints_apart) {
    struct bench *b = bench_new(NULL);
    struct tarn_handle first, second;
    struct tarn_datagram_config c = {.local = {ANY4, 67}, .iface = 1, .broadcast = true};
    cr_assert(!tarn_udp_open(b->udp, &c, &first));
    c.iface = 2;
    cr_assert(!tarn_udp_open(b->udp, &c, &second));
    struct tarn_ip_meta meta = {.src = ANY4, .dst = ALL4, .iface = 1, .cast = TARN_LINK_TO_ALL};
    tarn_udp_input(b->udp, &meta, bench_datagram(b, &meta, 68, 67, TARN_SPAN_LIT("x")), 0);
    meta.dst = US4;
    meta.cast = TARN_LINK_TO_US;
    meta.iface = 0;
    tarn_udp_input(b->udp, &meta, bench_datagram(b, &meta, 68, 67, TARN_SPAN_LIT("y")), 0);
    cr_assert(bench_got(b, first, "y") && bench_empty(b, first));
    cr_assert(bench_got(b, second, "x") && bench_empty(b, second));
    bench_free(b);
}

Test(bind, sharers_of_a_port_are_bounded) {
    struct bench *b = bench_new(NULL);
    struct tarn_datagram_config c = {.local = {TARN_IP_ADDR_NONE, 5353}, .shared = true};
    struct tarn_handle h;
    for (int i = 0; i < TARN_UDP_PORT_SHARERS_MAX; i++)
        cr_assert(!tarn_udp_open(b->udp, &c, &h));
    cr_assert_eq(tarn_udp_open(b->udp, &c, &h), TARN_LIMIT);
    bench_free(b);
}

Test(rfc6056, ports_are_scattered_and_in_range) {
    struct bench *b = bench_new(NULL);
    uint16_t last = 0;
    int steps = 0;
    for (int i = 0; i < 60; i++) {
        struct tarn_endpoint local;
        cr_assert(!tarn_udp_local(b->udp, bench_open(b, TARN_IP_ADDR_NONE, 0), &local));
        cr_assert_geq(local.port, 49152);
        steps += abs((int)local.port - last) < 16;
        last = local.port;
    }
    cr_assert_lt(steps, 5, "chosen in sequence");
    bench_free(b);
}

Test(rfc6056, every_port_of_the_range_is_found) {
    struct bench *b = bench_new(&(struct tarn_udp_config){.port_min = 60000, .port_max = 60039});
    bool seen[40] = {false};
    struct tarn_datagram_config c = {.local = {TARN_IP_ADDR_NONE, 0}};
    struct tarn_handle h;
    for (int i = 0; i < 40; i++) {
        struct tarn_endpoint local;
        cr_assert(!tarn_udp_local(b->udp, bench_open(b, TARN_IP_ADDR_NONE, 0), &local));
        cr_assert(!seen[local.port - 60000]);
        seen[local.port - 60000] = true;
    }
    cr_assert_eq(tarn_udp_open(b->udp, &c, &h), TARN_LIMIT);
    bench_free(b);
}

Test(handles, closed_endpoints_do_not_resolve) {
    struct bench *b = bench_new(&(struct tarn_udp_config){.endpoints_max = 1});
    struct tarn_handle old = bench_open(b, US4, 53), h;
    struct tarn_bytes data;
    struct tarn_datagram_config c = {.local = {US4, 54}};
    bench_arrive(b, US4, 53, "kept until close");
    cr_assert_eq(tarn_udp_open(b->udp, &c, &h), TARN_LIMIT);
    cr_assert_eq(tarn_udp_close(b->udp, old), TARN_OK);
    cr_assert_eq(bench_live_pkts(b), 0);
    cr_assert_eq(tarn_udp_open(b->udp, &c, &h), TARN_OK);
    cr_assert_eq(tarn_udp_close(b->udp, old), TARN_INVALID);
    cr_assert_eq(tarn_udp_peek(b->udp, old, &data, NULL), TARN_INVALID);
    cr_assert_eq(tarn_udp_connect(b->udp, old, NULL), TARN_INVALID);
    cr_assert_null(tarn_udp_datagram(b->udp, old));
    bench_free(b);
}

Test(connect, only_the_remote_is_heard) {
    struct bench *b = bench_new(NULL);
    struct tarn_handle h = bench_open(b, TARN_IP_ADDR_NONE, 4000);
    struct tarn_endpoint local;
    bench_arrive_from(b, OTHER4, 53, US4, 4000, "forged before");
    bench_arrive_from(b, PEER4, 53, US4, 4000, "true before");
    cr_assert(!tarn_udp_connect(b->udp, h, &(struct tarn_endpoint){PEER4, 53}));
    bench_arrive_from(b, OTHER4, 53, US4, 4000, "forged");
    bench_arrive_from(b, PEER4, 54, US4, 4000, "forged");
    bench_arrive_from(b, PEER4, 53, OTHER4, 4000, "to another address");
    bench_arrive_from(b, PEER4, 53, US4, 4000, "true");
    cr_assert(bench_got(b, h, "true before") && bench_got(b, h, "true") && bench_empty(b, h));
    cr_assert_eq(b->rejected, 3);
    cr_assert(!tarn_udp_local(b->udp, h, &local));
    struct tarn_ip_addr us = US4;
    cr_assert(tarn_ip_addr_equal(&local.addr, &us), "the route's source address is taken");

    cr_assert(!tarn_udp_connect(b->udp, h, NULL));
    bench_arrive_from(b, OTHER4, 53, OTHER4, 4000, "anybody");
    cr_assert(bench_got(b, h, "anybody"));
    b->no_route = true;
    cr_assert_eq(tarn_udp_connect(b->udp, h, &(struct tarn_endpoint){PEER4, 53}), TARN_NOT_FOUND);
    bench_free(b);
}

Test(multicast, each_member_gets_its_own) {
    struct bench *b = bench_new(NULL);
    struct tarn_datagram_config c = {.local = {ANY4, 5353}, .shared = true};
    struct tarn_ip_addr group = GROUP4, unicast = PEER4;
    struct tarn_handle in1, in2, out;
    cr_assert(!tarn_udp_open(b->udp, &c, &in1) && !tarn_udp_open(b->udp, &c, &in2)
              && !tarn_udp_open(b->udp, &c, &out));
    cr_assert_eq(tarn_udp_join(b->udp, in1, &unicast, 0, true), TARN_INVALID);
    cr_assert(!tarn_udp_join(b->udp, in1, &group, 0, true));
    cr_assert(!tarn_udp_join(b->udp, in1, &group, 0, true), "twice is once");
    cr_assert(!tarn_udp_join(b->udp, in2, &group, 0, true));
    cr_assert_eq(b->joined, 2);
    bench_arrive(b, GROUP4, 5353, "to all");
    cr_assert(bench_got(b, in1, "to all") && bench_got(b, in2, "to all"));
    cr_assert(bench_empty(b, in1) && bench_empty(b, in2) && bench_empty(b, out));
    cr_assert(!tarn_udp_join(b->udp, in1, &group, 0, false));
    cr_assert_eq(tarn_udp_join(b->udp, in1, &group, 0, false), TARN_NOT_FOUND);
    bench_arrive(b, GROUP4, 5353, "to one");
    cr_assert(bench_empty(b, in1) && bench_got(b, in2, "to one"));
    cr_assert(!tarn_udp_close(b->udp, in2));
    cr_assert_eq(b->left, 2, "close leaves the groups");
    bench_arrive(b, GROUP4, 5353, "to nobody");
    cr_assert_eq(b->rejected, 0, "RFC 1122 3.2.2: no ICMP error about a multicast");
    cr_assert_eq(tarn_udp_stats(b->udp)->rx_no_endpoint, 1);
    cr_assert_eq(bench_live_pkts(b), 0);
    bench_free(b);
}

/* RFC 3376 section 2: what a listener says replaces what it said before. */
Test(multicast, rfc3376_2_each_member_hears_the_sources_it_wants) {
    struct bench *b = bench_new(NULL);
    struct tarn_datagram_config c = {.local = {ANY4, 5353}, .shared = true};
    struct tarn_ip_addr group = GROUP4, sources[] = {PEER4};
    struct tarn_group_filter only = {.include = true, .count = 1, .sources = sources};
    struct tarn_group_filter but = {.count = 1, .sources = sources};
    struct tarn_group_filter nobody = {.include = true};
    struct tarn_handle in1, in2;
    cr_assert(!tarn_udp_open(b->udp, &c, &in1) && !tarn_udp_open(b->udp, &c, &in2));
    cr_assert(!tarn_udp_listen(b->udp, in1, &group, 0, &only));
    cr_assert(!tarn_udp_listen(b->udp, in2, &group, 0, &but));
    cr_assert(b->joined == 2 && b->left == 0);
    bench_arrive_from(b, PEER4, 5000, GROUP4, 5353, "peer");
    bench_arrive_from(b, OTHER4, 5000, GROUP4, 5353, "other");
    cr_assert(bench_got(b, in1, "peer") && bench_empty(b, in1));
    cr_assert(bench_got(b, in2, "other") && bench_empty(b, in2));
    cr_assert(!tarn_udp_listen(b->udp, in1, &group, 0, &but), "changes its mind");
    cr_assert(b->joined == 3 && b->left == 1);
    bench_arrive_from(b, PEER4, 5000, GROUP4, 5353, "peer");
    cr_assert(bench_empty(b, in1) && bench_empty(b, in2));
    cr_assert(!tarn_udp_listen(b->udp, in1, &group, 0, &nobody), "leaves");
    cr_assert_eq(tarn_udp_listen(b->udp, in1, &group, 0, &nobody), TARN_NOT_FOUND);
    cr_assert_eq(b->left, 2);
    struct tarn_ip_addr many[TARN_UDP_SOURCES_MAX + 1];
    for (uint8_t i = 0; i <= TARN_UDP_SOURCES_MAX; i++)
        many[i] = TARN_IP_ADDR_V4(10, 0, 1, i);
    only = (struct tarn_group_filter){true, TARN_UDP_SOURCES_MAX + 1, many};
    cr_assert_eq(tarn_udp_listen(b->udp, in1, &group, 0, &only), TARN_LIMIT);
    many[1] = many[0];
    only.count = 2;
    cr_assert_eq(tarn_udp_listen(b->udp, in1, &group, 0, &only), TARN_INVALID);
    many[1] = PEER6;
    cr_assert_eq(tarn_udp_listen(b->udp, in1, &group, 0, &only), TARN_INVALID);
    cr_assert(!tarn_udp_close(b->udp, in2) && !tarn_udp_close(b->udp, in1));
    cr_assert(b->left == b->joined);
    bench_free(b);
}

Test(multicast, groups_are_bounded_and_refusals_below_are_told) {
    struct bench *b = bench_new(NULL);
    struct tarn_handle h = bench_open(b, ANY4, 5353);
    for (uint8_t i = 0; i < TARN_UDP_GROUPS_MAX; i++) {
        struct tarn_ip_addr g = TARN_IP_ADDR_V4(239, 0, 0, i);
        b->join_answer = TARN_LIMIT;
        cr_assert_eq(tarn_udp_join(b->udp, h, &g, 0, true), TARN_LIMIT);
        b->join_answer = TARN_OK;
        cr_assert_eq(tarn_udp_join(b->udp, h, &g, 0, true), TARN_OK);
    }
    struct tarn_ip_addr g = GROUP4;
    cr_assert_eq(tarn_udp_join(b->udp, h, &g, 0, true), TARN_LIMIT);
    bench_free(b);
}

Test(bind, the_endpoint_of_all_ports_hears_what_no_other_does) {
    struct bench *b = bench_new(NULL);
    struct tarn_handle all, second, one = bench_open(b, TARN_IP_ADDR_NONE, 53);
    cr_assert_eq(tarn_udp_open_all(b->udp, &all), TARN_OK);
    cr_assert_eq(tarn_udp_open_all(b->udp, &second), TARN_LIMIT);
    bench_arrive(b, OTHER4, 9999, "to another");
    bench_arrive(b, OTHER4, 53, "to the one");
    bench_arrive(b, ALL4, 9998, "to everybody");
    struct tarn_datagram_info from;
    struct tarn_bytes data;
    cr_assert_eq(tarn_udp_peek(b->udp, all, &data, &from), TARN_OK);
    cr_assert_eq(from.local.port, 9999);
    cr_assert(tarn_ip_addr_equal(&from.local.addr, &OTHER4));
    cr_assert(bench_got(b, all, "to another"));
    cr_assert(bench_empty(b, all), "no broadcasts");
    cr_assert(bench_got(b, one, "to the one"));
    cr_assert_eq(b->rejected, 0);
    bench_free(b);
}

Test(bind, the_endpoint_of_all_ports_speaks_from_where_it_is_told) {
    struct bench *b = bench_new(NULL);
    struct tarn_handle all;
    struct tarn_span text = tarn_span_str("x");
    struct tarn_endpoint peer = {PEER4, 5000};
    struct tarn_datagram_info to = {.remote = peer, .local = {OTHER4, 9999}};
    cr_assert_eq(tarn_udp_open_all(b->udp, &all), TARN_OK);
    cr_assert_eq(tarn_udp_connect(b->udp, all, &peer), TARN_INVALID);
    cr_assert_eq(tarn_udp_send(b->udp, all, &to, &text, 1, 0), TARN_OK);
    cr_assert_eq(b->sent_count, 1);
    cr_assert(tarn_ip_addr_equal(&b->sent_meta[0].src, &OTHER4));
    uint8_t ports[4];
    cr_assert(tarn_pkt_read(b->sent[0], 0, ports, 4));
    cr_assert_eq(ports[0] << 8 | ports[1], 9999);
    to.local.port = 0;
    cr_assert_eq(tarn_udp_send(b->udp, all, &to, &text, 1, 0), TARN_INVALID);
    cr_assert_eq(tarn_udp_close(b->udp, all), TARN_OK);
    bench_arrive(b, OTHER4, 9999, "gone");
    cr_assert_eq(b->rejected, 1);
    bench_drop_sent(b);
    cr_assert_eq(bench_live_pkts(b), 0);
    bench_free(b);
}
