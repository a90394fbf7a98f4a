/* SPDX-License-Identifier: ISC */
#include "bench.h"
#include <criterion/criterion.h>

static enum tarn_err send(struct bench *b, struct tarn_handle h, struct tarn_endpoint to,
                          struct tarn_span data) {
    struct tarn_datagram_info info = {.remote = to};
    return tarn_udp_send(b->udp, h, &info, &data, 1, 0);
}

static uint16_t field(const struct tarn_pkt *pkt, size_t at) {
    uint8_t be[2];
    cr_assert(tarn_pkt_read(pkt, at, be, 2));
    return (uint16_t)(be[0] << 8 | be[1]);
}

Test(rfc768, header_and_checksum_are_right_in_both_families) {
    struct bench *b = bench_new(NULL);
    struct tarn_handle h = bench_open(b, TARN_IP_ADDR_NONE, 4000);
    for (int v6 = 0; v6 < 2; v6++) {
        struct tarn_ip_addr peer = v6 ? PEER6 : PEER4;
        cr_assert(!send(b, h, (struct tarn_endpoint){peer, 53}, TARN_SPAN_LIT("seven77")));
        struct tarn_pkt *pkt = b->sent[0];
        cr_assert_eq(pkt->csum_state, TARN_CSUM_PARTIAL, "left to who is last");
        cr_assert(field(pkt, 0) == 4000 && field(pkt, 2) == 53 && field(pkt, 4) == 15);
        tarn_pkt_csum_complete(pkt);
        cr_assert_eq(tarn_csum_finish(tarn_csum_join(tarn_ip_pseudo_csum(&b->sent_meta[0], 15),
                                                     tarn_pkt_csum(pkt, 0, 15), 0)),
                     0);
        cr_assert_eq(b->sent_meta[0].proto, 17);
        bench_drop_sent(b);
    }
    bench_free(b);
}

Test(rfc768, a_sum_of_zero_is_sent_as_all_ones) {
    struct bench *b = bench_new(NULL);
    struct tarn_handle h = bench_open(b, US4, 4000);
    bool seen = false;
    for (unsigned v = 0; v < 65536; v++) { /* one of these makes the sum zero */
        uint8_t data[2] = {(uint8_t)(v >> 8), (uint8_t)v};
        cr_assert(!send(b, h, (struct tarn_endpoint){PEER4, 53}, TARN_SPAN_ARRAY(data)));
        tarn_pkt_csum_complete(b->sent[0]);
        cr_assert_neq(field(b->sent[0], 6), 0);
        seen |= field(b->sent[0], 6) == 0xffff;
        bench_drop_sent(b);
    }
    cr_assert(seen);
    bench_free(b);
}

static unsigned released;
static void on_release(struct tarn_lease *lease) {
    (void)lease;
    released++;
}

Test(lend, the_lease_is_held_until_the_packet_is_gone) {
    struct bench *b = bench_new(NULL);
    struct tarn_handle h = bench_open(b, US4, 4000);
    struct tarn_lease lease = {.holds = 1, .release = on_release};
    struct tarn_datagram_info info = {.remote = {PEER4, 53}};
    released = 0;
    struct tarn_span rom = TARN_SPAN_LIT("memory that is not copied");
    cr_assert(!tarn_udp_lend(b->udp, h, &info, rom, &lease, 0));
    cr_assert_eq(b->sent[0]->nfrags, 1);
    cr_assert_eq(b->sent[0]->frag[0].ptr, rom.ptr);
    tarn_lease_drop(&lease);
    cr_assert_eq(released, 0);
    bench_drop_sent(b);
    cr_assert_eq(released, 1);
    b->no_route = true;
    lease.holds = 1;
    cr_assert_eq(tarn_udp_lend(b->udp, h, &info, rom, &lease, 0), TARN_NOT_FOUND);
    cr_assert_eq(lease.holds, 1);
    bench_free(b);
}

Test(send, what_cannot_be_sent_is_said) {
    struct bench *b = bench_new(NULL);
    struct tarn_handle h = bench_open(b, ANY4, 4000);
    static uint8_t big[65536];
    struct tarn_span v = TARN_SPAN_LIT("x");
    cr_assert_eq(tarn_udp_send(b->udp, h, NULL, &v, 1, 0), TARN_INVALID, "nowhere to");
    cr_assert_eq(send(b, h, (struct tarn_endpoint){PEER6, 53}, v), TARN_INVALID, "IPv4 only");
    cr_assert_eq(send(b, h, (struct tarn_endpoint){ANY4, 53}, v), TARN_INVALID);
    cr_assert_eq(send(b, h, (struct tarn_endpoint){PEER4, 53}, tarn_span_of(big, 65508)),
                 TARN_INVALID);
    cr_assert_eq(send(b, h, (struct tarn_endpoint){PEER4, 53}, tarn_span_of(big, 65507)), TARN_OK);
    struct tarn_span pieces[2] = {tarn_span_of(big, 60000), tarn_span_of(big, 60000)};
    struct tarn_datagram_info info = {.remote = {PEER4, 53}};
    cr_assert_eq(tarn_udp_send(b->udp, h, &info, pieces, 2, 0), TARN_INVALID);
    info.no_fragment = true;
    v = tarn_span_of(big, 1472);
    cr_assert_eq(tarn_udp_send(b->udp, h, &info, &v, 1, 0), TARN_OK);
    v = tarn_span_of(big, 1473);
    cr_assert_eq(tarn_udp_send(b->udp, h, &info, &v, 1, 0), TARN_LIMIT);
    b->no_route = true;
    cr_assert_eq(send(b, h, (struct tarn_endpoint){PEER4, 53}, v), TARN_NOT_FOUND);
    b->no_route = false;
    b->send_fails = true;
    cr_assert_eq(send(b, h, (struct tarn_endpoint){PEER4, 53}, v), TARN_IO);
    cr_assert_eq(tarn_udp_stats(b->udp)->tx_failed, 1);
    bench_drop_sent(b);
    cr_assert_eq(bench_live_pkts(b), 0);
    bench_free(b);
}

Test(send, a_connected_endpoint_sends_nowhere_else) {
    struct bench *b = bench_new(NULL);
    struct tarn_handle h = bench_open(b, TARN_IP_ADDR_NONE, 4000);
    cr_assert(!tarn_udp_connect(b->udp, h, &(struct tarn_endpoint){PEER4, 53}));
    struct tarn_span v = TARN_SPAN_LIT("x");
    cr_assert_eq(tarn_udp_send(b->udp, h, NULL, &v, 1, 0), TARN_OK);
    cr_assert_eq(send(b, h, (struct tarn_endpoint){PEER4, 53}, v), TARN_OK);
    cr_assert_eq(send(b, h, (struct tarn_endpoint){PEER4, 54}, v), TARN_INVALID);
    cr_assert_eq(b->sent_count, 2);
    bench_free(b);
}

Test(send, no_packet_memory_is_a_limit) {
    struct bench *b = bench_new(NULL);
    struct tarn_handle h = bench_open(b, US4, 4000);
    struct tarn_pkt *hog = NULL, *p;
    while ((p = tarn_pkt_alloc(&b->pkts, 1))) {
        p->next = hog;
        hog = p;
    }
    cr_assert_eq(send(b, h, (struct tarn_endpoint){PEER4, 53}, TARN_SPAN_LIT("x")), TARN_LIMIT);
    cr_assert_eq(tarn_udp_stats(b->udp)->tx_no_memory, 1);
    tarn_pkt_free_list(hog);
    cr_assert_eq(send(b, h, (struct tarn_endpoint){PEER4, 53}, TARN_SPAN_LIT("x")), TARN_OK);
    bench_free(b);
}

Test(broadcast, needs_permission) {
    struct bench *b = bench_new(NULL);
    struct tarn_handle no = bench_open(b, ANY4, 4000), yes;
    struct tarn_span v = TARN_SPAN_LIT("x");
    struct tarn_datagram_config c = {.local = {ANY4, 68}, .broadcast = true};
    cr_assert(!tarn_udp_open(b->udp, &c, &yes));
    cr_assert_eq(send(b, no, (struct tarn_endpoint){ALL4, 67}, v), TARN_INVALID);
    cr_assert_eq(send(b, no, (struct tarn_endpoint){SUBNET4, 67}, v), TARN_INVALID);
    cr_assert_eq(send(b, yes, (struct tarn_endpoint){SUBNET4, 67}, v), TARN_OK);
    b->no_addr = true;
    cr_assert_eq(send(b, yes, (struct tarn_endpoint){ALL4, 67}, v), TARN_OK);
    struct tarn_ip_addr any = ANY4;
    cr_assert(tarn_ip_addr_equal(&b->sent_meta[1].src, &any), "RFC 2131 4.1: from 0.0.0.0");
    bench_free(b);
}

Test(gso, one_send_is_marked_for_cutting) {
    struct bench *b = bench_new(NULL);
    struct tarn_handle h = bench_open(b, US4, 4000);
    static uint8_t data[65000];
    struct tarn_datagram_info info = {.remote = {PEER4, 53}, .gso_size = 1200};
    struct tarn_span v = tarn_span_of(data, 3000);
    cr_assert(!tarn_udp_send(b->udp, h, &info, &v, 1, 0));
    cr_assert_eq(b->sent[0]->gso_type, TARN_GSO_UDP);
    cr_assert_eq(b->sent[0]->gso_size, 1200);
    cr_assert_eq(field(b->sent[0], 4), 3008);
    v.len = 1200;
    cr_assert(!tarn_udp_send(b->udp, h, &info, &v, 1, 0));
    cr_assert_eq(b->sent[1]->gso_size, 0, "one piece is a plain datagram");
    info.gso_size = 1473;
    v.len = 3000;
    cr_assert_eq(tarn_udp_send(b->udp, h, &info, &v, 1, 0), TARN_INVALID, "beyond the MTU");
    info.gso_size = 1000;
    v.len = 64001;
    cr_assert_eq(tarn_udp_send(b->udp, h, &info, &v, 1, 0), TARN_INVALID, "too many pieces");
    bench_free(b);
}
