/* SPDX-License-Identifier: ISC */
#include "bench.h"
#include <criterion/criterion.h>

static struct tarn_ip_meta meta4(void) {
    return (struct tarn_ip_meta){.src = PEER4, .dst = US4, .proto = 17};
}
static struct tarn_ip_meta meta6(void) {
    return (struct tarn_ip_meta){.src = PEER6, .dst = US6, .proto = 17};
}

static void patch16(struct tarn_pkt *pkt, size_t at, uint16_t v) {
    *tarn_bytes_at(tarn_pkt_head_bytes(pkt), at) = (uint8_t)(v >> 8);
    *tarn_bytes_at(tarn_pkt_head_bytes(pkt), at + 1) = (uint8_t)v;
}

Test(rfc768, what_arrives_is_told_whole) {
    struct bench *b = bench_new(NULL);
    struct tarn_handle h = bench_open(b, TARN_IP_ADDR_NONE, 7);
    struct tarn_datagram_info info;
    struct tarn_bytes data;
    struct tarn_ip_meta meta = meta6();
    struct tarn_ip_addr us = US6, peer = PEER6;
    meta.hops = 3;
    meta.tos = 0xb9;
    meta.iface = 2;
    tarn_udp_input(b->udp, &meta, bench_datagram(b, &meta, 99, 7, TARN_SPAN_LIT("odd")), 0);
    cr_assert(!tarn_udp_peek(b->udp, h, &data, &info));
    cr_assert(tarn_span_equal(tarn_bytes_span(data), TARN_SPAN_LIT("odd")));
    cr_assert(tarn_ip_addr_equal(&info.remote.addr, &peer) && info.remote.port == 99);
    cr_assert(tarn_ip_addr_equal(&info.local.addr, &us) && info.local.port == 7);
    cr_assert(info.hops == 3 && info.tos == 0xb9 && info.iface == 2);
    bench_free(b);
}

Test(rfc768, an_empty_datagram_is_one) {
    struct bench *b = bench_new(NULL);
    struct tarn_handle h = bench_open(b, US4, 7);
    bench_arrive(b, US4, 7, "");
    cr_assert(bench_got(b, h, "") && bench_empty(b, h));
    bench_free(b);
}

Test(rfc768, every_wrong_bit_is_seen) {
    struct bench *b = bench_new(NULL);
    struct tarn_handle h = bench_open(b, US4, 7);
    struct tarn_ip_meta meta = meta4();
    for (size_t bit = 0; bit < 8 * 13; bit++) {
        struct tarn_pkt *pkt = bench_datagram(b, &meta, 99, 7, TARN_SPAN_LIT("hello"));
        *tarn_bytes_at(tarn_pkt_head_bytes(pkt), bit / 8) ^= (uint8_t)(1u << bit % 8);
        tarn_udp_input(b->udp, &meta, pkt, 0);
    }
    meta.src = OTHER4; /* the pseudo-header counts */
    struct tarn_ip_meta was = meta4();
    tarn_udp_input(b->udp, &meta, bench_datagram(b, &was, 99, 7, TARN_SPAN_LIT("hello")), 0);
    cr_assert(bench_empty(b, h));
    const struct tarn_udp_stats *s = tarn_udp_stats(b->udp);
    cr_assert_eq(s->rx_bad_csum + s->rx_malformed, 8 * 13 + 1);
    cr_assert_eq(b->rejected, 0, "what is broken is not answered");
    bench_free(b);
}

Test(rfc768, no_checksum_is_taken_over_ipv4) {
    struct bench *b = bench_new(NULL);
    struct tarn_handle h = bench_open(b, US4, 7);
    struct tarn_ip_meta meta = meta4();
    struct tarn_pkt *pkt = bench_datagram(b, &meta, 99, 7, TARN_SPAN_LIT("hello"));
    patch16(pkt, 6, 0);
    tarn_udp_input(b->udp, &meta, pkt, 0);
    cr_assert(bench_got(b, h, "hello"));
    bench_free(b);
}

Test(rfc8200_8_1, no_checksum_is_refused_over_ipv6) {
    struct bench *b = bench_new(NULL);
    struct tarn_handle h = bench_open(b, US6, 7);
    struct tarn_ip_meta meta = meta6();
    struct tarn_pkt *pkt = bench_datagram(b, &meta, 99, 7, TARN_SPAN_LIT("hello"));
    patch16(pkt, 6, 0);
    tarn_udp_input(b->udp, &meta, pkt, 0);
    cr_assert(bench_empty(b, h));
    cr_assert_eq(tarn_udp_stats(b->udp)->rx_bad_csum, 1);
    bench_free(b);
}

Test(offload, verified_and_partial_are_trusted) {
    struct bench *b = bench_new(NULL);
    struct tarn_handle h = bench_open(b, US6, 7);
    struct tarn_ip_meta meta = meta6();
    for (int i = 0; i < 2; i++) {
        struct tarn_pkt *pkt = bench_datagram(b, &meta, 99, 7, TARN_SPAN_LIT("hello"));
        patch16(pkt, 6, 0x1234);
        pkt->csum_state = i ? TARN_CSUM_VERIFIED : TARN_CSUM_PARTIAL;
        tarn_udp_input(b->udp, &meta, pkt, 0);
        cr_assert(bench_got(b, h, "hello"));
    }
    bench_free(b);
}

Test(offload, a_train_of_datagrams_is_read_one_by_one) {
    struct bench *b = bench_new(NULL);
    struct tarn_handle h = bench_open(b, US4, 7);
    struct tarn_ip_meta meta = meta4();
    struct tarn_pkt *pkt = bench_datagram(b, &meta, 99, 7, TARN_SPAN_LIT("aaaabbbbcc"));
    pkt->csum_state = TARN_CSUM_VERIFIED;
    pkt->gso_type = TARN_GSO_UDP;
    pkt->gso_size = 4;
    tarn_udp_input(b->udp, &meta, pkt, 0);
    cr_assert(bench_got(b, h, "aaaa") && bench_got(b, h, "bbbb") && bench_got(b, h, "cc"));
    cr_assert(bench_empty(b, h));
    cr_assert_eq(bench_live_pkts(b), 0);
    bench_free(b);
}

Test(offload, fragments_lent_by_a_sender_on_this_host_are_joined) {
    struct bench *b = bench_new(NULL);
    struct tarn_handle h = bench_open(b, US4, 7);
    struct tarn_ip_meta meta = meta4();
    struct tarn_pkt *pkt = bench_datagram(b, &meta, 99, 7, TARN_SPAN_LIT("head "));
    cr_assert(tarn_pkt_lend(pkt, TARN_SPAN_LIT("tail and more"), NULL));
    patch16(pkt, 4, (uint16_t)(pkt->len - 9));
    pkt->csum_state = TARN_CSUM_VERIFIED;
    tarn_udp_input(b->udp, &meta, pkt, 0);
    cr_assert(bench_got(b, h, "head tail"));
    bench_free(b);
}

/* CVE-2020-11896 (Treck): the length field reached memory behind the IP payload. */
Test(cve_2020_11896, a_length_beyond_the_ip_payload_is_malformed) {
    struct bench *b = bench_new(NULL);
    struct tarn_handle h = bench_open(b, US4, 7);
    struct tarn_ip_meta meta = meta4();
    const uint16_t lens[] = {0, 1, 7, 14, 15, 0x7fff, 0xffff};
    for (size_t i = 0; i < TARN_COUNT_OF(lens); i++) {
        struct tarn_pkt *pkt = bench_datagram(b, &meta, 99, 7, TARN_SPAN_LIT("hello"));
        patch16(pkt, 4, lens[i]);
        pkt->csum_state = TARN_CSUM_VERIFIED; /* a device that checks no lengths */
        tarn_udp_input(b->udp, &meta, pkt, 0);
    }
    cr_assert(bench_empty(b, h));
    cr_assert_eq(tarn_udp_stats(b->udp)->rx_malformed, TARN_COUNT_OF(lens));
    cr_assert_eq(bench_live_pkts(b), 0);
    bench_free(b);
}

Test(rfc768, bytes_behind_the_length_are_ignored) {
    struct bench *b = bench_new(NULL);
    struct tarn_handle h = bench_open(b, US4, 7);
    struct tarn_ip_meta meta = meta4();
    struct tarn_pkt *pkt = bench_datagram(b, &meta, 99, 7, TARN_SPAN_LIT("hello"));
    cr_assert(tarn_pkt_append(pkt, TARN_SPAN_LIT("padding")));
    tarn_udp_input(b->udp, &meta, pkt, 0);
    cr_assert(bench_got(b, h, "hello"));
    bench_free(b);
}

Test(rfc768, port_zero_is_nobodys) {
    struct bench *b = bench_new(NULL);
    bench_arrive(b, US4, 0, "hello");
    cr_assert_eq(tarn_udp_stats(b->udp)->rx_malformed, 1);
    cr_assert_eq(b->rejected, 0);
    bench_free(b);
}

Test(rfc768, shorter_than_a_header_is_malformed) {
    struct bench *b = bench_new(NULL);
    struct tarn_ip_meta meta = meta4();
    for (size_t n = 0; n < 8; n++) {
        struct tarn_pkt *pkt = bench_datagram(b, &meta, 99, 7, TARN_SPAN_LIT("hello"));
        tarn_pkt_trim(pkt, n);
        tarn_udp_input(b->udp, &meta, pkt, 0);
    }
    cr_assert_eq(tarn_udp_stats(b->udp)->rx_malformed, 8);
    cr_assert_eq(bench_live_pkts(b), 0);
    bench_free(b);
}

Test(rfc1122_4_1_3_1, closed_ports_are_given_back_below_as_they_came) {
    struct bench *b = bench_new(NULL);
    bench_arrive(b, US4, 7, "hello");
    cr_assert_eq(b->rejected, 1);
    cr_assert_eq(b->rejected_len, 13);
    bench_arrive(b, ALL4, 7, "hello");
    bench_arrive(b, GROUP4, 7, "hello");
    struct tarn_ip_meta meta = meta4();
    meta.cast = TARN_LINK_TO_ALL;
    meta.dst = SUBNET4;
    tarn_udp_input(b->udp, &meta, bench_datagram(b, &meta, 99, 7, TARN_SPAN_LIT("x")), 0);
    cr_assert_eq(b->rejected, 1, "nothing sent to many is answered");
    cr_assert_eq(tarn_udp_stats(b->udp)->rx_no_endpoint, 4);
    bench_free(b);
}

Test(broadcast, is_heard_by_who_asked_for_it) {
    struct bench *b = bench_new(NULL);
    struct tarn_datagram_config c = {.local = {ANY4, 68}, .shared = true, .broadcast = true};
    struct tarn_handle yes, no;
    cr_assert(!tarn_udp_open(b->udp, &c, &yes));
    c.broadcast = false;
    cr_assert(!tarn_udp_open(b->udp, &c, &no));
    bench_arrive(b, ALL4, 68, "hello");
    cr_assert(bench_got(b, yes, "hello") && bench_empty(b, no));
    bench_free(b);
}

Test(bounds, queues_drop_and_count) {
    struct bench *b =
        bench_new(&(struct tarn_udp_config){.rx_endpoint_max = 4, .rx_datagrams_max = 6});
    struct tarn_handle a = bench_open(b, US4, 1), c = bench_open(b, US4, 2);
    for (int i = 0; i < 10; i++) {
        bench_arrive(b, US4, 1, "x");
        bench_arrive(b, US4, 2, "y");
    }
    const struct tarn_udp_stats *s = tarn_udp_stats(b->udp);
    cr_assert_eq(s->rx_delivered, 6);
    cr_assert_eq(s->rx_full, 14);
    cr_assert_eq(bench_live_pkts(b), 6);
    cr_assert(bench_got(b, a, "x") && bench_got(b, c, "y"));
    bench_arrive(b, US4, 1, "room again");
    cr_assert(bench_got(b, a, "x") && bench_got(b, a, "x") && bench_got(b, a, "room again"));
    bench_free(b);
}

Test(bounds, memory_counts_and_not_the_bytes_that_were_sent) {
    struct bench *b = bench_new(&(struct tarn_udp_config){.rx_endpoint_bytes = 4000});
    struct tarn_handle h = bench_open(b, US4, 1);
    char big[1000];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = 0;
    bench_arrive(b, US4, 1, big);
    bench_arrive(b, US4, 1, big);
    bench_arrive(b, US4, 1, big);
    cr_assert_lt(tarn_udp_stats(b->udp)->rx_delivered, 3);
    cr_assert_gt(tarn_udp_stats(b->udp)->rx_full, 0);
    cr_assert(bench_got(b, h, big));
    bench_free(b);
}

static void quote(struct tarn_writer *w, uint16_t sport, uint16_t dport) {
    tarn_writer_u16be(w, sport);
    tarn_writer_u16be(w, dport);
    tarn_writer_u32be(w, 8u << 16);
}

Test(rfc1122_4_1_3_3, icmp_errors_reach_connected_endpoints_once) {
    struct bench *b = bench_new(NULL);
    struct tarn_handle h = bench_open(b, US4, 4000);
    struct tarn_ip_meta ours = {.src = US4, .dst = PEER4};
    uint8_t bytes[8];
    struct tarn_bytes data;
    struct tarn_writer w = TARN_WRITER_ARRAY(bytes);
    quote(&w, 4000, 53);
    tarn_udp_error(b->udp, &ours, TARN_IP_ERROR_PORT, tarn_writer_span(&w));
    cr_assert(bench_empty(b, h), "not connected: nobody can disturb it");
    cr_assert(!tarn_udp_connect(b->udp, h, &(struct tarn_endpoint){PEER4, 53}));
    tarn_udp_error(b->udp, &ours, TARN_IP_ERROR_PORT, tarn_writer_span(&w));
    cr_assert_eq(tarn_udp_peek(b->udp, h, &data, NULL), TARN_PEER);
    cr_assert_eq(tarn_udp_peek(b->udp, h, &data, NULL), TARN_AGAIN);
    tarn_udp_error(b->udp, &ours, TARN_IP_ERROR_UNREACHABLE, tarn_writer_span(&w));
    struct tarn_span v = TARN_SPAN_LIT("x");
    cr_assert_eq(tarn_udp_send(b->udp, h, NULL, &v, 1, 0), TARN_IO);
    cr_assert_eq(tarn_udp_send(b->udp, h, NULL, &v, 1, 0), TARN_OK);
    cr_assert_eq(b->sent_count, 1);
    w.len = 0;
    quote(&w, 4000, 54); /* RFC 8085 section 5.2: a quote that does not match is forged */
    tarn_udp_error(b->udp, &ours, TARN_IP_ERROR_PORT, tarn_writer_span(&w));
    tarn_udp_error(b->udp, &ours, TARN_IP_ERROR_PORT, tarn_span_of(bytes, 3));
    cr_assert(bench_empty(b, h));
    cr_assert_eq(tarn_udp_stats(b->udp)->errors, 2);
    cr_assert_eq(tarn_udp_stats(b->udp)->errors_ignored, 3);
    bench_free(b);
}
