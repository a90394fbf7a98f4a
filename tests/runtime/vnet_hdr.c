/* SPDX-License-Identifier: ISC */
/* The offload header of taps and virtio devices (VIRTIO 1.2, 5.1.6.2). */
#include <criterion/criterion.h>
#include <string.h>
#include <tarn/base.h>
#include <vnet_hdr.h>

static uint8_t memory[1 << 20];
static struct tarn_arena arena;
static struct tarn_pkt_pool pool;

static void init(void) {
    static const struct tarn_pkt_pool_config config = {.count = {2, 2, 2}};
    tarn_arena_init(&arena, TARN_BYTES_ARRAY(memory));
    cr_assert_eq(tarn_pkt_pool_init(&pool, &arena.alloc, &config), TARN_OK);
}
TestSuite(vnet_hdr, .init = init);

/* 14 bytes of Ethernet, 20 of IP, a TCP header of 32 bytes, and `payload` more. */
static struct tarn_pkt *tcp_packet(size_t payload) {
    struct tarn_pkt *pkt = tarn_pkt_alloc(&pool, 66 + payload);
    struct tarn_bytes room = tarn_pkt_tailroom(pkt);
    tarn_bytes_fill(tarn_bytes_first(room, 66 + payload), 0);
    *tarn_bytes_at(room, 34 + 12) = 8 << 4;
    tarn_pkt_grow(pkt, 66 + payload);
    return pkt;
}

Test(vnet_hdr, a_packet_that_asks_for_nothing_has_a_header_of_zeros) {
    struct tarn_vnet_hdr hdr, none = {0};
    struct tarn_pkt *pkt = tcp_packet(0);
    memset(&hdr, 0xff, sizeof hdr);
    tarn_vnet_hdr_of(pkt, &hdr);
    cr_assert_arr_eq(&hdr, &none, sizeof hdr);
    pkt->csum_state = TARN_CSUM_VERIFIED;
    tarn_vnet_hdr_of(pkt, &hdr);
    cr_assert_arr_eq(&hdr, &none, sizeof hdr);
}

Test(vnet_hdr, the_bytes_are_those_of_the_specification) {
    struct tarn_vnet_hdr hdr;
    struct tarn_pkt *pkt = tcp_packet(4000);
    pkt->csum_state = TARN_CSUM_PARTIAL;
    pkt->csum_start = 34;
    pkt->csum_offset = 16;
    pkt->gso_type = TARN_GSO_TCPV4;
    pkt->gso_size = 1448;
    pkt->gso_ecn = true;
    tarn_vnet_hdr_of(pkt, &hdr);
    static const uint8_t wanted[12] = {1, 0x81, 66, 0, 0xa8, 5, 34, 0, 16, 0, 0, 0};
    cr_assert_arr_eq(&hdr, wanted, sizeof wanted);
}

Test(vnet_hdr, what_is_written_is_read_back) {
    static const uint8_t kinds[] = {TARN_GSO_TCPV4, TARN_GSO_TCPV6, TARN_GSO_UDP};
    for (size_t i = 0; i < TARN_COUNT_OF(kinds); i++) {
        struct tarn_vnet_hdr hdr;
        struct tarn_pkt *pkt = tcp_packet(3000);
        pkt->csum_state = TARN_CSUM_PARTIAL;
        pkt->csum_start = 34;
        pkt->csum_offset = kinds[i] == TARN_GSO_UDP ? 6 : 16;
        pkt->gso_type = kinds[i];
        pkt->gso_size = 1000;
        tarn_vnet_hdr_of(pkt, &hdr);
        struct tarn_pkt *got = tcp_packet(3000);
        cr_assert(tarn_vnet_hdr_apply(&hdr, got));
        cr_assert_eq(got->csum_state, TARN_CSUM_PARTIAL);
        cr_assert_eq(got->csum_start, pkt->csum_start);
        cr_assert_eq(got->csum_offset, pkt->csum_offset);
        cr_assert_eq(got->gso_type, kinds[i]);
        cr_assert_eq(got->gso_size, 1000);
        cr_assert(!got->gso_ecn);
        tarn_pkt_free(pkt);
        tarn_pkt_free(got);
    }
}

Test(vnet_hdr, a_valid_checksum_is_believed) {
    struct tarn_vnet_hdr hdr = {.flags = 2};
    struct tarn_pkt *pkt = tcp_packet(0);
    cr_assert(tarn_vnet_hdr_apply(&hdr, pkt));
    cr_assert_eq(pkt->csum_state, TARN_CSUM_VERIFIED);
}

Test(vnet_hdr, contradictions_are_refused) {
    static const struct tarn_vnet_hdr bad[] = {
        {.flags = 1, .csum_start = 66, .csum_offset = 0},        /* behind the frame */
        {.flags = 1, .csum_start = 34, .csum_offset = 31},       /* one byte behind it */
        {.flags = 1, .csum_start = 65535, .csum_offset = 65535}, /* the sum does not wrap */
        {.gso_type = 1},                                         /* pieces of no size */
        {.gso_type = 2, .gso_size = 100},                        /* no such type */
        {.gso_type = 3, .gso_size = 100}, /* fragments of UDP: not asked for */
        {.gso_type = 0x7f, .gso_size = 100},
    };
    for (size_t i = 0; i < TARN_COUNT_OF(bad); i++) {
        struct tarn_pkt *pkt = tcp_packet(0);
        cr_assert(!tarn_vnet_hdr_apply(&bad[i], pkt), "case %zu", i);
        tarn_pkt_free(pkt);
    }
    struct tarn_vnet_hdr last = {.flags = 1, .csum_start = 34, .csum_offset = 30};
    cr_assert(tarn_vnet_hdr_apply(&last, tcp_packet(0)));
}
