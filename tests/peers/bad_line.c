/* SPDX-License-Identifier: ISC */
#include "bad_line.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <tarn/ip.h>
#include <tarn/netif.h>
#include <tarn/offload.h>
#include <time.h>
#include <unistd.h>

#define MTU 1500u
#define LATE_MAX 512u
#define MEMORY ((size_t)64 << 20)

struct late {
    tarn_time at; /* 0: none */
    bool kernel;  /* for it */
    size_t len;
    uint8_t bytes[MTU];
};

struct line line;
struct tarn_tcp *tcp;
static struct late late[LATE_MAX];
static struct tarn_pkt_pool pkts;
static struct tarn_tasks tasks;
static struct tarn_random_seeded random_of_host, random_of_line;
static struct tarn_ip *ip;
static int tun;

void must(bool good, const char *what) {
    if (!good) {
        fprintf(stderr, "%s\n", what);
        exit(1);
    }
}

tarn_time now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return TARN_SEC(1) * (uint64_t)t.tv_sec + (uint64_t)t.tv_nsec;
}

/* -- the line -- */

static bool happens(uint32_t percent) {
    return tarn_random_below(&random_of_line.random, 100) < percent;
}

static void arrives(bool kernel, const uint8_t *bytes, size_t len) {
    if (kernel) {
        must(write(tun, bytes, len) > 0, "write");
        return;
    }
    struct tarn_pkt *pkt = tarn_pkt_alloc(&pkts, MTU);
    must(pkt && tarn_pkt_append(pkt, tarn_span_of(bytes, len)), "no packet");
    tarn_ip_input(ip, 0, NULL, pkt, now());
}

/* False: there is no room, so it is not late. */
static bool is_made_late(bool kernel, const uint8_t *bytes, size_t len) {
    for (size_t i = 0; i < LATE_MAX; i++) {
        struct late *l = &late[i];
        if (l->at)
            continue;
        l->at = now() + TARN_US(1 + tarn_random_below(&random_of_line.random, 10000));
        l->kernel = kernel;
        l->len = len;
        memcpy(l->bytes, bytes, len);
        return true;
    }
    return false;
}

static void checksum_put(uint8_t *at, const uint8_t *bytes, size_t len) {
    uint16_t sum = tarn_csum_finish(tarn_csum_add(0, tarn_span_of(bytes, len)));
    at[0] = (uint8_t)(sum >> 8);
    at[1] = (uint8_t)sum;
}

/* RFC 792's message to who sent it, in the name of whom it was for, with its header and 8 bytes. */
static void too_long(bool kernel, const uint8_t *bytes) {
    uint8_t out[20 + 8 + 28] = {0x45, 0, 0, sizeof out, 0, 0, 0x40, 0, 64, 1}, *icmp = out + 20;
    if (line.silent)
        return;
    memcpy(out + 12, bytes + 16, 4);
    memcpy(out + 16, bytes + 12, 4);
    checksum_put(out + 10, out, 20);
    memcpy(icmp, (uint8_t[]){3, 4, 0, 0, 0, 0, (uint8_t)(line.mtu >> 8), (uint8_t)line.mtu}, 8);
    memcpy(icmp + 8, bytes, 28);
    checksum_put(icmp + 2, icmp, sizeof out - 20);
    /* Later, since who sent the packet may be at it still. */
    must(is_made_late(!kernel, out, sizeof out), "no room for a message");
}

static void line_passes(bool kernel, const uint8_t *bytes, size_t len) {
    if (line.mtu && len > line.mtu) {
        too_long(kernel, bytes);
        return;
    }
    if (happens(line.lost))
        return;
    for (int copies = happens(line.doubled) ? 2 : 1; copies > 0; copies--)
        if (!happens(line.late) || !is_made_late(kernel, bytes, len))
            arrives(kernel, bytes, len);
}

/* True: there is more to come. */
static bool late_arrives(void) {
    bool more = false;
    for (size_t i = 0; i < LATE_MAX; i++) {
        struct late *l = &late[i];
        tarn_time at = l->at;
        more |= at > now();
        if (at && at <= now()) {
            l->at = 0;
            arrives(l->kernel, l->bytes, l->len);
        }
    }
    return more;
}

/* -- the host -- */

static void send_one(struct tarn_pkt *pkt) {
    uint8_t bytes[MTU];
    size_t len = pkt->len;
    must(len <= MTU && tarn_pkt_read(pkt, 0, bytes, len), "packet");
    tarn_pkt_free(pkt);
    line_passes(true, bytes, len);
}

static enum tarn_err link_send(struct tarn_link *l, const struct tarn_link_dst *dst,
                               struct tarn_pkt *pkt, tarn_time at) {
    struct tarn_offload_cut cut = {0};
    struct tarn_pkt *piece;
    (void)l;
    (void)dst;
    (void)at;
    if (!pkt->gso_size) {
        tarn_pkt_csum_complete(pkt);
        send_one(pkt);
        return TARN_OK;
    }
    enum tarn_err err = tarn_offload_cut_begin(&cut, pkt, 0, TARN_OFFLOAD_CSUM);
    while (!err && !(err = tarn_offload_cut_next(&cut, &pkts, &piece)))
        send_one(piece);
    must(err == TARN_EOF, "cut");
    return TARN_OK;
}

void turn(void) {
    bool more = late_arrives();
    tarn_time due;
    for (;;) {
        due = TARN_MIN(tarn_tcp_deadline(tcp), tarn_ip_deadline(ip));
        if (tarn_tasks_run(&tasks) == 0 && due > now())
            break;
        tarn_ip_tick(ip, now());
        tarn_tcp_tick(tcp, now());
    }
    struct pollfd p = {.fd = tun, .events = POLLIN};
    tarn_time until = tarn_time_after(now(), more ? TARN_MS(1) : TARN_SEC(1));
    until = TARN_MIN(until, due);
    tarn_time at = now(), left = until > at ? until - at : 0;
    if (poll(&p, 1, (int)((left + TARN_MS(1) - 1) / TARN_MS(1))) != 1)
        return;
    uint8_t bytes[MTU];
    ssize_t n = read(tun, bytes, sizeof bytes);
    if (n >= 20 && bytes[0] >> 4 == 4)
        line_passes(false, bytes, (size_t)n);
}

void bad_line_init(int fd, const char *address) {
    static const struct tarn_link_ops ops = {.send = link_send};
    static struct tarn_link link = {.ops = &ops, .mtu = MTU, .features = TARN_NETIF_TX_CSUM};
    static struct tarn_arena arena;
    struct tarn_ip_prefix prefix;
    unsigned iface;
    uint64_t seed;
    void *memory = calloc(1, MEMORY);
    must(memory && getrandom(&seed, sizeof seed, 0) == sizeof seed, "memory and random");
    must(tarn_ip_prefix_parse(tarn_span_of(address, strlen(address)), &prefix), "address");
    tun = fd;
    tarn_arena_init(&arena, tarn_bytes_of(memory, MEMORY));
    struct tarn_pkt_pool_config pool = {.count = {4096, 4096, 64}};
    must(tarn_pkt_pool_init(&pkts, &arena.alloc, &pool) == TARN_OK, "packets");
    tarn_tasks_init(&tasks);
    tarn_random_seeded_init(&random_of_host, seed);
    tarn_random_seeded_init(&random_of_line, 1);
    struct tarn_ip_config ip_config = {
        .alloc = &arena.alloc, .random = &random_of_host.random, .pkts = &pkts};
    must(tarn_ip_new(&ip_config, &ip) == TARN_OK && tarn_ip_add_link(ip, &link, &iface) == TARN_OK
             && tarn_ip_addr_add(ip, iface, &prefix, false, now()) == TARN_OK,
         "ip");
    struct tarn_tcp_config config = {
        .alloc = &arena.alloc,
        .random = &random_of_host.random,
        .tasks = &tasks,
        .pkts = &pkts,
        .lower = tarn_ip_lower(ip),
        .limits = {.snd_buf_bytes_max = 256u << 10}, /* so that most is not sent yet, half way */
    };
    must(tarn_tcp_new(&config, &tcp) == TARN_OK, "tcp");
    tarn_ip_register(ip, TARN_IP_PROTO_TCP, tarn_tcp_upper(tcp));
}
