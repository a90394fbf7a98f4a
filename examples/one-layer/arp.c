/* SPDX-License-Identifier: ISC */
/* ARP and nothing else, in an ordinary C program over a raw socket: who has these addresses?
 *
 *     cc -o arp arp.c $(pkg-config --static --cflags --libs tarn-ethernet)
 *     sudo ./arp eth0 10.0.0.7 10.0.0.1 10.0.0.2      our own address first; it is defended
 * meanwhile
 */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <tarn/arp.h>
#include <tarn/base.h>

static _Noreturn void fail(const char *what) {
    perror(what);
    exit(1);
}

static void fill(struct tarn_random *r, struct tarn_bytes out) {
    (void)r;
    if (getrandom(out.ptr, out.len, 0) != (ssize_t)out.len)
        fail("getrandom");
}

static tarn_time now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return TARN_SEC((tarn_time)t.tv_sec) + (tarn_time)t.tv_nsec;
}

/* A socket for the interface's ARP frames, and its hardware address. */
static int open_interface(const char *name, uint8_t mac[6]) {
    int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ARP));
    struct ifreq ifr = {0};
    struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ARP)};
    if (fd < 0)
        fail("raw socket");
    strncpy(ifr.ifr_name, name, sizeof ifr.ifr_name - 1);
    if (ioctl(fd, SIOCGIFHWADDR, &ifr) != 0)
        fail(name);
    memcpy(mac, ifr.ifr_hwaddr.sa_data, 6);
    if (ioctl(fd, SIOCGIFINDEX, &ifr) != 0)
        fail(name);
    at.sll_ifindex = ifr.ifr_ifindex;
    if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0)
        fail("bind");
    return fd;
}

static void send_frame(int fd, const uint8_t to[6], const uint8_t from[6], struct tarn_pkt *pkt) {
    struct tarn_writer w = tarn_pkt_prepend(pkt, 14);
    tarn_writer_mem(&w, to, 6);
    tarn_writer_mem(&w, from, 6);
    tarn_writer_u16be(&w, ETH_P_ARP);
    struct tarn_span frame = tarn_pkt_head(pkt);
    if (send(fd, frame.ptr, frame.len, 0) < 0)
        fail("send");
    tarn_pkt_free(pkt);
}

static void say(const struct tarn_ip_addr *addr, const char *text, const uint8_t mac[6]) {
    char line[100];
    struct tarn_writer w = TARN_WRITER_ARRAY(line);
    tarn_writer_ip_addr(&w, addr);
    printf("%.*s %s", (int)w.len, line, text);
    for (int i = 0; mac && i < 6; i++)
        printf("%s%02x", i ? ":" : " ", mac[i]);
    printf("\n");
}

/* Does what ARP wants done. How many of the questions have an answer now: each waits as an empty
 * packet for its neighbour, whose address is in its first bytes. */
static int serve(struct tarn_arp *arp, int fd, const uint8_t mac[6]) {
    struct tarn_arp_out out;
    struct tarn_ip_addr asked;
    int answers = 0;
    while (tarn_arp_next(arp, &out)) {
        switch (out.kind) {
        case TARN_ARP_SEND_ARP: send_frame(fd, out.mac, mac, out.pkt); break;
        case TARN_ARP_SEND_IP:
        case TARN_ARP_UNREACHABLE:
            memcpy(&asked, tarn_pkt_head(out.pkt).ptr, sizeof asked);
            say(&asked, out.kind == TARN_ARP_SEND_IP ? "is at" : "does not answer",
                out.kind == TARN_ARP_SEND_IP ? out.mac : NULL);
            tarn_pkt_free(out.pkt);
            answers++;
            break;
        case TARN_ARP_ADDR: say(&out.addr, "(ours) is used by", out.mac); break;
        }
    }
    return answers;
}

int main(int argc, char **argv) {
    static _Alignas(64) uint8_t memory[1 << 20];
    static const struct tarn_random_ops random_ops = {fill};
    struct tarn_random random = {&random_ops};
    struct tarn_pkt_pool pkts;
    struct tarn_arena arena;
    struct tarn_arp *arp;
    struct tarn_ip_addr addr;
    uint8_t mac[6], unused[6], frame[2048];
    if (argc < 4 || !tarn_ip_addr_parse(tarn_span_str(argv[2]), &addr)) {
        fprintf(stderr, "usage: arp INTERFACE OUR-ADDRESS ADDRESS...\n");
        return 2;
    }
    tarn_arena_init(&arena, TARN_BYTES_ARRAY(memory));
    int fd = open_interface(argv[1], mac), open = argc - 3;
    struct tarn_arp_config config = {.alloc = &arena.alloc, .random = &random, .pkts = &pkts};
    memcpy(config.mac, mac, 6);
    if (tarn_pkt_pool_init(&pkts, &arena.alloc, &(struct tarn_pkt_pool_config){{256, 8, 1}})
        || tarn_arp_new(&config, &arp) || tarn_arp_addr_add(arp, &addr, false, now()))
        return 1;
    for (int i = 3; i < argc; i++) {
        struct tarn_pkt *pkt = tarn_pkt_alloc(&pkts, sizeof addr);
        if (!pkt || !tarn_ip_addr_parse(tarn_span_str(argv[i]), &addr)
            || !tarn_pkt_append(pkt, tarn_span_of(&addr, sizeof addr))
            || tarn_arp_resolve(arp, &addr, pkt, unused, now()) != TARN_AGAIN)
            return 1;
    }
    while ((open -= serve(arp, fd, mac)) > 0) {
        tarn_time at = tarn_arp_deadline(arp), t = now();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        poll(&p, 1, at <= t ? 0 : at == TARN_NEVER ? -1 : (int)((at - t) / TARN_MS(1) + 1));
        ssize_t n = recv(fd, frame, sizeof frame, MSG_DONTWAIT);
        if (n > 14)
            tarn_arp_input(arp, tarn_span_of(frame + 14, (size_t)n - 14), now());
        tarn_arp_tick(arp, now());
    }
    return 0;
}
