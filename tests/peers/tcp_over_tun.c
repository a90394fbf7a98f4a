/* SPDX-License-Identifier: ISC */
/* lib/tcp alone over a tun device, with Fast Open and AccECN on, for the kernel to talk to:
 *
 *   tcp-over-tun FD ADDRESS serve                 answers each line with the same line
 *   tcp-over-tun FD ADDRESS ask PEER PORT TIMES   sends a line with the connection, so many times
 *
 * and one line of output for each connection. */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <tarn/base.h>
#include <tarn/tcp.h>
#include <time.h>
#include <unistd.h>

#define LINE "a line\n"

static struct tarn_ip_lower lower;
static struct tarn_ip_addr address;
static struct tarn_pkt_pool pkts;
static struct tarn_tasks tasks;
static struct tarn_tcp *tcp;
static int tun;

static void must(bool good, const char *what) {
    if (!good) {
        fprintf(stderr, "%s\n", what);
        exit(1);
    }
}

static tarn_time now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return TARN_SEC(1) * (uint64_t)t.tv_sec + (uint64_t)t.tv_nsec;
}

static struct tarn_ip_addr address_of(const char *text) {
    struct in_addr a;
    must(inet_pton(AF_INET, text, &a) == 1, text);
    return tarn_ip_addr_from_v4(ntohl(a.s_addr));
}

static enum tarn_err route(struct tarn_ip_lower *l, const struct tarn_ip_addr *src,
                           const struct tarn_ip_addr *dst, struct tarn_ip_route *out) {
    (void)l;
    (void)src;
    (void)dst;
    *out = (struct tarn_ip_route){.src = address, .mtu = 1500};
    return TARN_OK;
}

static enum tarn_err send_datagram(struct tarn_ip_lower *l, const struct tarn_ip_meta *meta,
                                   struct tarn_pkt *pkt, tarn_time at) {
    uint8_t header[20] = {0}, bytes[1500];
    struct tarn_writer w = TARN_WRITER_ARRAY(header);
    (void)l;
    (void)at;
    must(pkt->gso_size == 0 && pkt->len <= sizeof bytes - 20, "more than a segment");
    tarn_pkt_csum_complete(pkt);
    tarn_writer_u16be(&w, (uint16_t)(0x4500 | meta->tos));
    tarn_writer_u16be(&w, (uint16_t)(20 + pkt->len));
    tarn_writer_u32be(&w, 0x4000);
    tarn_writer_u32be(&w, 64u << 24 | 6u << 16);
    tarn_writer_ipv4(&w, &meta->src);
    tarn_writer_ipv4(&w, &meta->dst);
    uint16_t sum = tarn_csum_finish(tarn_csum_add(0, TARN_SPAN_ARRAY(header)));
    header[10] = (uint8_t)(sum >> 8);
    header[11] = (uint8_t)sum;
    memcpy(bytes, header, 20);
    must(tarn_pkt_read(pkt, 0, bytes + 20, pkt->len), "packet");
    must(write(tun, bytes, 20 + pkt->len) > 0, "write");
    tarn_pkt_free(pkt);
    return TARN_OK;
}

static void receive(void) {
    uint8_t bytes[2000];
    ssize_t n = read(tun, bytes, sizeof bytes);
    if (n < 40 || bytes[0] != 0x45 || bytes[9] != 6)
        return;
    struct tarn_pkt *pkt = tarn_pkt_alloc(&pkts, (size_t)n - 20);
    must(pkt && tarn_pkt_append(pkt, tarn_span_of(bytes + 20, (size_t)n - 20)), "no packet");
    struct tarn_span s = tarn_span_of(bytes + 12, 8);
    struct tarn_ip_meta meta = {.proto = 6, .tos = bytes[1]};
    uint32_t src = 0, dst = 0;
    must(tarn_span_u32be(&s, &src) && tarn_span_u32be(&s, &dst), "short");
    meta.src = tarn_ip_addr_from_v4(src);
    meta.dst = tarn_ip_addr_from_v4(dst);
    tarn_tcp_input(tcp, &meta, pkt, now());
}

static void turn(void) {
    tarn_time deadline;
    while (tarn_tasks_run(&tasks) > 0 || (deadline = tarn_tcp_deadline(tcp)) <= now())
        tarn_tcp_tick(tcp, now());
    struct pollfd p = {.fd = tun, .events = POLLIN};
    tarn_time left = deadline > now() ? deadline - now() : 0;
    if (poll(&p, 1, (int)(TARN_MIN(left, TARN_SEC(1)) / TARN_MS(1)) + 1) == 1)
        receive();
}

static void report(const struct tarn_flow *flow) {
    struct tarn_tcp_info info;
    struct tarn_tcp_stats s;
    must(tarn_tcp_info(flow, &info) == TARN_OK, "info");
    tarn_tcp_stats(tcp, &s);
    printf("ecn=%d accurate=%d option=%d active=%llu passive=%llu bad=%llu\n", info.ecn,
           info.accurate_ecn, info.accurate_ecn_option, (unsigned long long)s.fast_opens_active,
           (unsigned long long)s.fast_opens_passive, (unsigned long long)s.fast_open_bad_cookies);
    fflush(stdout);
}

/* Waits for a whole line, which must be ours. */
static void read_line(struct tarn_flow *flow) {
    char buf[sizeof LINE];
    size_t got = 0, n;
    enum tarn_err err;
    while (got < strlen(LINE)) {
        err = tarn_flow_read(flow, tarn_bytes_of(buf + got, strlen(LINE) - got), &n);
        must(err == TARN_OK || err == TARN_AGAIN, "read");
        got += n;
        if (err == TARN_AGAIN)
            turn();
    }
    must(memcmp(buf, LINE, got) == 0, "another line");
}

static void finish(struct tarn_flow *flow) {
    struct tarn_bytes rest;
    enum tarn_err err;
    tarn_flow_shutdown(flow);
    while ((err = tarn_flow_peek(flow, &rest)) == TARN_AGAIN)
        turn();
    must(err == TARN_EOF, "no end");
    tarn_flow_close(flow);
}

static void serve(void) {
    struct tarn_listener *l;
    struct tarn_flow *flow;
    size_t n;
    must(tarn_tcp_listen(tcp, &(struct tarn_endpoint){.port = 80}, 8, &l) == TARN_OK, "listen");
    printf("listening\n");
    fflush(stdout);
    for (;;) {
        while (tarn_listener_accept(l, &flow) != TARN_OK)
            turn();
        read_line(flow);
        must(tarn_flow_write(flow, TARN_SPAN_LIT(LINE), &n) == TARN_OK, "write");
        turn();
        report(flow);
        finish(flow);
    }
}

static void ask(const char *peer, const char *port, const char *times) {
    struct tarn_endpoint remote = {address_of(peer), (uint16_t)atoi(port)};
    struct tarn_flow *flow;
    size_t n;
    for (int i = 0; i < atoi(times); i++) {
        must(tarn_tcp_connect_with(tcp, NULL, &remote, TARN_SPAN_LIT(LINE), now(), &flow, &n)
                     == TARN_OK
                 && n == strlen(LINE),
             "connect");
        read_line(flow);
        report(flow);
        finish(flow);
    }
}

int main(int argc, char **argv) {
    static const struct tarn_ip_lower_ops ops = {.route = route, .send = send_datagram};
    struct tarn_random_seeded random;
    struct tarn_arena arena;
    uint64_t seed;
    void *memory = calloc(1, 32u << 20);
    must(argc >= 4 && memory, "usage: tcp-over-tun FD ADDRESS serve | ask PEER PORT TIMES");
    must(getrandom(&seed, sizeof seed, 0) == sizeof seed, "random");
    tun = atoi(argv[1]);
    address = address_of(argv[2]);
    lower.ops = &ops;
    tarn_arena_init(&arena, tarn_bytes_of(memory, 32u << 20));
    struct tarn_pkt_pool_config pool = {.count = {256, 256, 4}};
    must(tarn_pkt_pool_init(&pkts, &arena.alloc, &pool) == TARN_OK, "packets");
    tarn_tasks_init(&tasks);
    tarn_random_seeded_init(&random, seed);
    struct tarn_tcp_config config = {
        .alloc = &arena.alloc,
        .random = &random.random,
        .tasks = &tasks,
        .pkts = &pkts,
        .lower = &lower,
        .options = {.fast_open = true, .ecn = TARN_TCP_ECN_ACCURATE},
    };
    must(tarn_tcp_new(&config, &tcp) == TARN_OK, "tcp");
    if (argc == 7 && strcmp(argv[3], "ask") == 0)
        ask(argv[4], argv[5], argv[6]);
    else
        serve();
    return 0;
}
