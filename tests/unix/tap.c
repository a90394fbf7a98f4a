/* SPDX-License-Identifier: ISC */
/* A tap against the kernel's stack, in a network namespace that each test makes for itself. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net.h"

static struct tarn_pkt_pool pkts;

static void *heap_get(struct tarn_alloc *a, size_t bytes, size_t align) {
    (void)a;
    void *p = aligned_alloc(align < 16 ? 16 : align, (bytes + 63) & ~(size_t)63);
    return p ? memset(p, 0, bytes) : NULL;
}
static void heap_put(struct tarn_alloc *a, void *ptr, size_t bytes) {
    (void)a, (void)bytes;
    free(ptr);
}
static const struct tarn_alloc_ops heap_ops = {heap_get, heap_put};
static struct tarn_alloc heap = {&heap_ops};

static const uint8_t our_mac[6] = {2, 0, 0, 0, 0, 2};
static uint8_t their_mac[6];

/* The kernel throws away what it would send until its link watch, which runs later, has seen the
 * carrier. Setting the flags waits for the lock that the link watch holds meanwhile. */
static void wait_for_link(void) {
    struct ifreq ifr = {.ifr_name = "tarn0"};
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    tarn_time end = tarn_platform_now() + TARN_SEC(5);
    do
        cr_assert(ioctl(s, SIOCGIFFLAGS, &ifr) == 0 && tarn_platform_now() < end);
    while (!(ifr.ifr_flags & IFF_RUNNING));
    cr_assert_eq(ioctl(s, SIOCSIFFLAGS, &ifr), 0);
    close(s);
}

/* The kernel is 10.9.0.1, we are 10.9.0.2. */
static struct tarn_netif *open_tap(void) {
    const struct tarn_pkt_pool_config config = {.count = {64, 64, 8}};
    struct tarn_netif *netif;
    if (unshare(CLONE_NEWNET) != 0)
        cr_skip_test("no network namespace can be made here: run as root");
    if (access("/dev/net/tun", W_OK) != 0)
        cr_skip_test("no /dev/net/tun");
    cr_assert_eq(system("ip tuntap add dev tarn0 mode tap && ip link set tarn0 address "
                        "02:00:00:00:00:01 && ip addr add 10.9.0.1/24 dev tarn0 && "
                        "ip link set tarn0 up && "
                        "ip neigh add 10.9.0.2 lladdr 02:00:00:00:00:02 dev tarn0"),
                 0);
    cr_assert_eq(tarn_pkt_pool_init(&pkts, &heap, &config), TARN_OK);
    unix_options.net[unix_options.net_count++] = (struct unix_attach){"service", "tarn0"};
    unix_options.net_mac[unix_options.net_mac_count++] =
        (struct unix_attach){"service", "02:00:00:00:00:02"};
    cr_assert_eq(tarn_platform_netif("service", &pkts, &netif), TARN_OK);
    wait_for_link();
    memcpy(their_mac, (uint8_t[]){2, 0, 0, 0, 0, 1}, 6);
    cr_assert_arr_eq(netif->mac, our_mac, 6);
    cr_assert_eq(netif->mtu, 1500);
    return netif;
}

/* The next received frame that `wanted` likes; the others (the kernel's own chatter) are freed. */
static struct tarn_pkt *next_frame(struct tarn_netif *netif, bool (*wanted)(struct tarn_span)) {
    tarn_time end = tarn_platform_now() + TARN_SEC(5);
    while (tarn_platform_now() < end) {
        struct tarn_ready ready;
        struct tarn_pkt *pkt;
        tarn_platform_yield(end, &ready);
        while (tarn_netif_recv(netif, &pkt, 1) == 1) {
            cr_assert_eq(pkt->nfrags, 0);
            if (wanted(tarn_pkt_head(pkt)))
                return pkt;
            tarn_pkt_free(pkt);
        }
    }
    cr_assert_fail("no such frame came");
    return NULL;
}

static void put_ethernet(struct tarn_writer *w, const uint8_t dst[6], uint16_t type) {
    tarn_writer_mem(w, dst, 6);
    tarn_writer_mem(w, our_mac, 6);
    tarn_writer_u16be(w, type);
}

static bool is_arp_reply(struct tarn_span frame) {
    return frame.len >= 42 && memcmp(frame.ptr + 12, "\x08\x06", 2) == 0 && frame.ptr[21] == 2;
}

Test(tap, frames_go_both_ways) {
    struct tarn_netif *netif = open_tap();
    struct tarn_pkt *pkt = tarn_pkt_alloc(&pkts, 64);
    struct tarn_writer w = tarn_writer_over(tarn_bytes_first(tarn_pkt_tailroom(pkt), 42));
    put_ethernet(&w, (const uint8_t *)"\xff\xff\xff\xff\xff\xff", 0x0806);
    tarn_writer_mem(&w, "\x00\x01\x08\x00\x06\x04\x00\x01", 8);
    tarn_writer_mem(&w, our_mac, 6);
    tarn_writer_mem(&w, "\x0a\x09\x00\x02\x00\x00\x00\x00\x00\x00\x0a\x09\x00\x01", 14);
    cr_assert(tarn_writer_ok(&w));
    tarn_pkt_grow(pkt, 42);
    cr_assert_eq(tarn_netif_send(netif, &pkt, 1), 1u);
    pkt = next_frame(netif, is_arp_reply);
    cr_assert_eq(memcmp(tarn_pkt_head(pkt).ptr + 22, their_mac, 6), 0);
    tarn_pkt_free(pkt);
    cr_assert_eq(netif->stats.tx_pkts, 1u);
    cr_assert(netif->stats.rx_pkts >= 1);
}

/* Headers of a UDP datagram from us to port 7 of the kernel, its checksum left to the device. */
static struct tarn_pkt *udp_packet(size_t payload) {
    struct tarn_pkt *pkt = tarn_pkt_alloc(&pkts, 64);
    struct tarn_writer w = tarn_writer_over(tarn_bytes_first(tarn_pkt_tailroom(pkt), 42));
    put_ethernet(&w, their_mac, 0x0800);
    tarn_writer_u16be(&w, 0x4500);
    tarn_writer_u16be(&w, (uint16_t)(28 + payload));
    tarn_writer_u32be(&w, 0x00004000);
    tarn_writer_u32be(&w, 0x40110000);
    tarn_writer_u32be(&w, 0x0a090002);
    tarn_writer_u32be(&w, 0x0a090001);
    uint16_t ip_csum = tarn_csum_finish(tarn_csum_add(0, tarn_span_of(w.ptr + 14, 20)));
    tarn_writer_patch_u16be(&w, 24, ip_csum);
    /* The pseudo-header: addresses, protocol, length. */
    uint32_t sum = tarn_csum_add(0, tarn_span_of(w.ptr + 26, 8));
    sum = tarn_csum_join(sum, 17 + 8 + (uint32_t)payload, 0);
    tarn_writer_u32be(&w, 0x12340007);
    tarn_writer_u16be(&w, (uint16_t)(8 + payload));
    tarn_writer_u16be(&w, tarn_csum_fold(sum));
    tarn_pkt_grow(pkt, 42);
    pkt->csum_state = TARN_CSUM_PARTIAL;
    pkt->csum_start = 34;
    pkt->csum_offset = 6;
    return pkt;
}

static int udp_socket(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(7)};
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    cr_assert_eq(bind(s, (struct sockaddr *)&at, sizeof at), 0);
    return s;
}

Test(tap, the_host_completes_checksums_and_takes_fragments) {
    struct tarn_netif *netif = open_tap();
    int s = udp_socket();
    static const char first[] = "lent in two", second[] = " pieces, of odd length";
    char got[64];
    cr_assert(netif->features & TARN_NETIF_TX_CSUM);
    struct tarn_pkt *pkt = udp_packet(sizeof first - 1 + sizeof second);
    cr_assert(tarn_pkt_lend(pkt, tarn_span_of(first, sizeof first - 1), NULL));
    cr_assert(tarn_pkt_lend(pkt, tarn_span_of(second, sizeof second), NULL));
    cr_assert_eq(tarn_netif_send(netif, &pkt, 1), 1u);
    struct pollfd p = {.fd = s, .events = POLLIN};
    cr_assert_eq(poll(&p, 1, 5000), 1, "the kernel drops a datagram whose checksum is wrong");
    cr_assert_eq(recv(s, got, sizeof got, 0), (ssize_t)(sizeof first - 1 + sizeof second));
    cr_assert_str_eq(got, "lent in two pieces, of odd length");
    cr_assert_eq(pkts.pools[TARN_PKT_HEADER].live, 0u, "what was sent was freed");
}

Test(tap, the_host_cuts_super_segments) {
    struct tarn_netif *netif = open_tap();
    int s = udp_socket();
    static uint8_t data[10000];
    uint8_t got[2048];
    if (!(netif->features & TARN_NETIF_TX_USO))
        cr_skip_test("this kernel does not cut UDP for a tap (Linux 6.2)");
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i / 1000);
    struct tarn_pkt *pkt = udp_packet(sizeof data);
    cr_assert(tarn_pkt_lend(pkt, TARN_SPAN_ARRAY(data), NULL));
    pkt->gso_type = TARN_GSO_UDP;
    pkt->gso_size = 1000;
    cr_assert_eq(tarn_netif_send(netif, &pkt, 1), 1u);
    for (int i = 0; i < 10; i++) {
        struct pollfd p = {.fd = s, .events = POLLIN};
        cr_assert_eq(poll(&p, 1, 5000), 1, "piece %d", i);
        cr_assert_eq(recv(s, got, sizeof got, 0), 1000);
        cr_assert_eq(got[0], i);
    }
}

static bool is_udp_to_us(struct tarn_span frame) {
    return frame.len > 42 && memcmp(frame.ptr + 12, "\x08\x00", 2) == 0 && frame.ptr[23] == 17;
}

static struct tarn_pkt *hear_from_kernel(struct tarn_netif *netif, size_t bytes, int gso) {
    static uint8_t data[60000];
    struct sockaddr_in us = {.sin_family = AF_INET, .sin_port = htons(9)};
    int s = udp_socket();
    us.sin_addr.s_addr = inet_addr("10.9.0.2");
    memset(data, 0x5a, sizeof data);
    if (gso)
        cr_assert_eq(setsockopt(s, IPPROTO_UDP, UDP_SEGMENT, &gso, sizeof gso), 0);
    cr_assert_eq(sendto(s, data, bytes, 0, (struct sockaddr *)&us, sizeof us), (ssize_t)bytes);
    return next_frame(netif, is_udp_to_us);
}

Test(tap, what_this_machine_sent_comes_unsummed) {
    struct tarn_netif *netif = open_tap();
    struct tarn_pkt *pkt = hear_from_kernel(netif, 100, 0);
    cr_assert_eq(pkt->len, 142u);
    cr_assert_eq(pkt->csum_state, TARN_CSUM_PARTIAL);
    cr_assert_eq(pkt->csum_start, 34u);
    cr_assert_eq(pkt->csum_offset, 6u);
    cr_assert_eq(pkt->pool_class, TARN_PKT_FRAME);
    tarn_pkt_free(pkt);
}

Test(tap, what_is_longer_than_a_frame_comes_in_one_piece) {
    struct tarn_netif *netif = open_tap();
    if (!(netif->features & TARN_NETIF_TX_USO))
        cr_skip_test("this kernel does not cut UDP for a tap (Linux 6.2)");
    struct tarn_pkt *pkt = hear_from_kernel(netif, 30000, 1000);
    cr_assert_eq(pkt->len, 30042u);
    cr_assert_eq(pkt->gso_type, TARN_GSO_UDP);
    cr_assert_eq(pkt->gso_size, 1000u);
    struct tarn_span frame = tarn_pkt_head(pkt);
    for (size_t i = 42; i < frame.len; i++)
        cr_assert_eq(frame.ptr[i], 0x5a, "at %zu", i);
    tarn_pkt_free(pkt);
}

Test(tap, without_packet_memory_frames_are_counted_and_dropped) {
    struct tarn_netif *netif = open_tap();
    struct tarn_pkt *held[8], *pkt;
    for (size_t i = 0; i < 8; i++)
        held[i] = tarn_pkt_alloc(&pkts, 60000);
    struct sockaddr_in us = {.sin_family = AF_INET, .sin_port = htons(9)};
    us.sin_addr.s_addr = inet_addr("10.9.0.2");
    cr_assert_eq(
        sendto(socket(AF_INET, SOCK_DGRAM, 0), "x", 1, 0, (struct sockaddr *)&us, sizeof us), 1);
    struct tarn_ready ready;
    tarn_platform_yield(tarn_platform_now() + TARN_SEC(5), &ready);
    cr_assert_eq(tarn_netif_recv(netif, &pkt, 1), 0u);
    cr_assert(netif->stats.rx_drops >= 1);
    for (size_t i = 0; i < 8; i++)
        tarn_pkt_free(held[i]);
    pkt = hear_from_kernel(netif, 100, 0);
    cr_assert_eq(pkt->len, 142u, "and it goes on afterwards");
    tarn_pkt_free(pkt);
}
