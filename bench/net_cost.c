/* SPDX-License-Identifier: ISC */
/* What a packet costs the layers below the transports, among few entries of a table and among many.
 *
 * usage: net-cost arp|ndp|route4|route6|mixed4|mixed6|flow ENTRIES
 *
 * Each packet is for an entry at random. All that counts happens inside of work(), for callgrind's
 * --toggle-collect; the count of packets and nanoseconds for one are printed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <tarn/arp.h>
#include <tarn/base.h>
#include <tarn/filter.h>
#include <tarn/ip.h>
#include <time.h>

enum { BATCH = 64, BATCHES = 128, PAYLOAD = 64 };
#define MEMORY ((size_t)1 << 30) /* touched where it is used */

struct packet {
    struct tarn_ip_meta meta;
    struct tarn_pkt *pkt;
};

static struct tarn_arena arena;
static struct tarn_random_seeded seeded;
static struct tarn_pkt_pool pkts;
static struct tarn_tasks tasks;
static tarn_time now = TARN_SEC(1000);
static uint32_t entries, routes_max;
static struct tarn_arp *arp;
static struct tarn_ip *ip;
static struct tarn_filter *filter;
static const uint8_t our_mac[6] = {2, 0, 0, 0, 0, 1};

static void must(bool good, const char *what) {
    if (good)
        return;
    fprintf(stderr, "net-cost: %s\n", what);
    exit(1);
}

static uint32_t below(uint32_t n) {
    return tarn_random_below(&seeded.random, n);
}

static struct tarn_pkt *payload(void) {
    static const uint8_t bytes[PAYLOAD];
    struct tarn_pkt *pkt = tarn_pkt_alloc(&pkts, PAYLOAD);
    must(pkt && tarn_pkt_append(pkt, TARN_SPAN_ARRAY(bytes)), "no packet");
    return pkt;
}

/* -- the link below IP: what is sent is gone ------------------------------------------------------
 */

static uint64_t sent;

static enum tarn_err link_send(struct tarn_link *link, const struct tarn_link_dst *dst,
                               struct tarn_pkt *pkt, tarn_time at) {
    (void)link, (void)dst, (void)at;
    sent++;
    tarn_pkt_free(pkt);
    return TARN_OK;
}

static void make_ip(const char *address) {
    static const struct tarn_link_ops ops = {.send = link_send};
    static struct tarn_link link = {
        .ops = &ops, .mtu = 1500, .mac = {2, 0, 0, 0, 0, 1}, .has_mac = true};
    struct tarn_ip_config config = {
        .alloc = &arena.alloc,
        .random = &seeded.random,
        .pkts = &pkts,
        .tasks = &tasks,
        .limits = {.neighbours_max = 2 * entries + 2, .routes_max = routes_max}};
    struct tarn_ip_prefix own;
    unsigned iface;
    must(tarn_ip_prefix_parse(tarn_span_str(address), &own) && !tarn_ip_new(&config, &ip)
             && !tarn_ip_add_link(ip, &link, &iface) && !tarn_ip_addr_add(ip, 0, &own, false, now),
         "no IP");
}

static enum tarn_err ip_send(const struct packet *p) {
    struct tarn_ip_lower *lower = tarn_ip_lower(ip);
    return lower->ops->send(lower, &p->meta, p->pkt, now);
}

/* -- the tables: filling one, and a packet for a random entry -------------------------------------
 */

static struct tarn_ip_addr neighbour4(uint32_t i) {
    return tarn_ip_addr_from_v4(0x0a000002 + i);
}

static void arp_fill(void) {
    struct tarn_arp_config config = {.alloc = &arena.alloc,
                                     .random = &seeded.random,
                                     .pkts = &pkts,
                                     .entries_max = 2 * entries + 2};
    memcpy(config.mac, our_mac, 6);
    struct tarn_ip_addr us = TARN_IP_ADDR_V4(10, 0, 0, 1);
    must(!tarn_arp_new(&config, &arp) && !tarn_arp_addr_add(arp, &us, false, now), "no ARP");
    for (uint32_t i = 0; i < entries; i++) {
        uint8_t reply[28], mac[6];
        struct tarn_writer w = TARN_WRITER_ARRAY(reply);
        struct tarn_ip_addr addr = neighbour4(i);
        struct tarn_arp_out out;
        (void)!tarn_arp_resolve(arp, &addr, payload(), mac, now);
        tarn_writer_mem(&w, "\0\1\10\0\6\4\0\2", 8);
        tarn_writer_mem(&w, (uint8_t[]){2, 1}, 2);
        tarn_writer_u32be(&w, i);
        tarn_writer_ipv4(&w, &addr);
        tarn_writer_mem(&w, our_mac, 6);
        tarn_writer_ipv4(&w, &us);
        tarn_arp_input(arp, tarn_writer_span(&w), now);
        while (tarn_arp_next(arp, &out))
            tarn_pkt_free(out.pkt);
    }
    struct tarn_arp_stats stats;
    tarn_arp_stats(arp, &stats);
    must(stats.proven == entries, "neighbours are missing");
}
static void arp_make(struct packet *p) {
    p->meta.dst = neighbour4(below(entries));
}
static void arp_run(struct packet *p) {
    uint8_t mac[6];
    must(tarn_arp_resolve(arp, &p->meta.dst, p->pkt, mac, now) == TARN_OK, "not resolved");
    tarn_pkt_free(p->pkt);
}

static struct tarn_ip_addr neighbour6(uint32_t i) {
    struct tarn_ip_addr a = {{{0xfd, 0, [8] = 1}}};
    struct tarn_writer w = tarn_writer_over(tarn_bytes_after(TARN_BYTES_ARRAY(a.bytes), 12));
    tarn_writer_u32be(&w, i);
    return a;
}

/* A neighbour advertisement that was asked for. */
static struct tarn_pkt *advertisement(const struct tarn_ip_addr *from, uint32_t i) {
    struct tarn_ip_meta meta = {.src = *from, .proto = TARN_IP_PROTO_ICMPV6};
    uint8_t bytes[72];
    struct tarn_writer w = TARN_WRITER_ARRAY(bytes);
    must(tarn_ip_addr_parse(tarn_span_str("fd00::1:0:0:1"), &meta.dst), "address");
    tarn_writer_u32be(&w, 6u << 28);
    tarn_writer_u16be(&w, 32);
    tarn_writer_u8(&w, 58);
    tarn_writer_u8(&w, 255);
    tarn_writer_ipv6(&w, from);
    tarn_writer_ipv6(&w, &meta.dst);
    tarn_writer_u32be(&w, 136u << 24);
    tarn_writer_u32be(&w, 0x60000000);
    tarn_writer_ipv6(&w, from);
    tarn_writer_mem(&w, (uint8_t[]){2, 1, 2, 2}, 4);
    tarn_writer_u32be(&w, i);
    uint32_t sum =
        tarn_csum_add(tarn_ip_pseudo_csum(&meta, 32), tarn_span_after(tarn_writer_span(&w), 40));
    tarn_writer_patch_u16be(&w, 42, tarn_csum_finish(sum));
    struct tarn_pkt *pkt = tarn_pkt_alloc(&pkts, w.len);
    must(pkt && tarn_pkt_append(pkt, tarn_writer_span(&w)), "no packet");
    return pkt;
}

static void ndp_make(struct packet *p) {
    p->meta =
        (struct tarn_ip_meta){.dst = neighbour6(2 + below(entries)), .proto = TARN_IP_PROTO_UDP};
}
static void ndp_fill(void) {
    make_ip("fd00::1:0:0:1/64");
    for (uint32_t i = 0; i < entries; i++) {
        struct packet p = {.pkt = payload()};
        ndp_make(&p);
        p.meta.dst = neighbour6(2 + i);
        uint64_t before = sent;
        must(ip_send(&p) == TARN_OK, "not sent");
        tarn_ip_input(ip, 0, NULL, advertisement(&p.meta.dst, i), now);
        must(sent == before + 2, "a question and the packet were to go out");
    }
}
static void send_run(struct packet *p) {
    must(ip_send(p) == TARN_OK, "not sent");
}

/* Random networks, all of one length, or of the lengths that the Internet's tables have; the
 * shorter ones have some of the longer ones inside. */
static struct tarn_ip_prefix *routes;

static uint8_t length_at_random(bool v4) {
    static const struct {
        uint8_t percent, bits4, bits6;
    } lengths[] = {{60, 24, 48}, {12, 22, 32}, {10, 23, 44}, {5, 21, 40},
                   {5, 20, 36},  {4, 19, 46},  {2, 16, 29},  {2, 32, 64}};
    uint32_t at = below(100);
    for (size_t i = 0; i + 1 < TARN_COUNT_OF(lengths); i++) {
        if (at < lengths[i].percent)
            return v4 ? lengths[i].bits4 : lengths[i].bits6;
        at -= lengths[i].percent;
    }
    return v4 ? 32 : 64;
}

static struct tarn_ip_addr address_at_random(bool v4) {
    struct tarn_ip_addr addr = TARN_IP_ADDR_NONE;
    uint32_t where = tarn_random_u32(&seeded.random);
    if (v4)
        return tarn_ip_addr_from_v4(0x80000000 + where % 0x28000000);
    struct tarn_writer w = tarn_writer_over(TARN_BYTES_ARRAY(addr.bytes));
    tarn_writer_u16be(&w, 0x2001);
    tarn_writer_u32be(&w, where);
    tarn_writer_u16be(&w, (uint16_t)where);
    return addr;
}

static struct tarn_ip_prefix prefix_at_random(bool v4, uint8_t bits) {
    struct tarn_ip_prefix p = {address_at_random(v4), bits};
    for (unsigned i = bits + (v4 ? 96u : 0u); i < 128; i++)
        p.addr.bytes[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
    return p;
}

/* `bits` 0: of many lengths. */
static void add_routes(const struct tarn_ip_addr *gateway, uint8_t bits, bool v4) {
    routes = calloc(entries, sizeof *routes);
    must(routes != NULL, "no memory");
    for (uint32_t i = 0; i < entries; i++) {
        struct tarn_ip_route_entry e = {
            .prefix = prefix_at_random(v4, bits ? bits : length_at_random(v4)),
            .gateway = *gateway};
        routes[i] = e.prefix;
        must(!tarn_ip_route_add(ip, &e), "no room for a route");
    }
}
static void route_make(struct packet *p) {
    const struct tarn_ip_prefix *to = &routes[below(entries)];
    p->meta = (struct tarn_ip_meta){.dst = to->addr, .proto = TARN_IP_PROTO_UDP};
    if (tarn_ip_addr_is_v4(&to->addr) && to->bits <= 24)
        p->meta.dst.bytes[15] = (uint8_t)(1 + below(200));
}
static void routes4(uint8_t bits) {
    make_ip("10.0.0.1/24");
    add_routes(&TARN_IP_ADDR_V4(10, 0, 0, 2), bits, true);
}
static void routes6(uint8_t bits) {
    uint32_t wanted = entries;
    entries = 2;
    ndp_fill();
    entries = wanted;
    struct tarn_ip_addr gateway = neighbour6(2);
    add_routes(&gateway, bits, false);
}
static void route4_fill(void) {
    routes4(24);
}
static void route6_fill(void) {
    routes6(48);
}
static void mixed4_fill(void) {
    routes4(0);
}
static void mixed6_fill(void) {
    routes6(0);
}

static void flow_make(struct packet *p) {
    static const struct tarn_ip_addr remote = TARN_IP_ADDR_V4(198, 51, 100, 0);
    uint32_t i = below(entries);
    p->meta = (struct tarn_ip_meta){.src = tarn_ip_addr_from_v4(0xc0a80000 + i / 10 % 0xfff0 + 1),
                                    .dst = tarn_ip_addr_from_v4(tarn_ip_addr_v4(&remote) + i % 10),
                                    .proto = TARN_IP_PROTO_UDP};
}
/* The packet whole: headers in front, which is not what is measured. */
static void flow_wrap(struct packet *p) {
    struct tarn_writer w = tarn_pkt_prepend(p->pkt, 28);
    tarn_writer_u32be(&w, 0x45000000 | (28 + PAYLOAD));
    tarn_writer_u32be(&w, 0);
    tarn_writer_u32be(&w, 64u << 24 | 17u << 16);
    tarn_writer_ipv4(&w, &p->meta.src);
    tarn_writer_ipv4(&w, &p->meta.dst);
    tarn_writer_u32be(&w, 40000u << 16 | 53);
    tarn_writer_u32be(&w, (8u + PAYLOAD) << 16 | 0x1234);
}
static void flow_run(struct packet *p) {
    must(tarn_filter_packet(filter, TARN_FILTER_OUT, p->pkt, now) == TARN_FILTER_PASS, "dropped");
    tarn_pkt_free(p->pkt);
}
static void flow_fill(void) {
    struct tarn_filter_config config = {.alloc = &arena.alloc,
                                        .random = &seeded.random,
                                        .table_bytes = (size_t)entries * 400 + 65536,
                                        .translate = true,
                                        .outside = TARN_IP_ADDR_V4(203, 0, 113, 1)};
    must(!tarn_filter_new(&config, &filter), "no filter");
    for (uint32_t i = 0; i < entries; i++) {
        struct packet p = {.pkt = payload()};
        flow_make(&p);
        p.meta.src = tarn_ip_addr_from_v4(0xc0a80000 + i / 10 + 1);
        p.meta.dst = tarn_ip_addr_from_v4(0xc6336400 + i % 10);
        flow_wrap(&p);
        flow_run(&p);
    }
    must(tarn_filter_flow_count(filter) == entries, "flows are missing");
}
static void flow_make_whole(struct packet *p) {
    flow_make(p);
    flow_wrap(p);
}

static const struct table {
    const char *name;
    void (*fill)(void);
    void (*make)(struct packet *p);
    void (*run)(struct packet *p);
} tables[] = {
    {"arp", arp_fill, arp_make, arp_run},          {"ndp", ndp_fill, ndp_make, send_run},
    {"route4", route4_fill, route_make, send_run}, {"route6", route6_fill, route_make, send_run},
    {"mixed4", mixed4_fill, route_make, send_run}, {"mixed6", mixed6_fill, route_make, send_run},
    {"flow", flow_fill, flow_make_whole, flow_run}};

/* -- */

static __attribute__((noinline)) void work(const struct table *t, struct packet *batch) {
    for (unsigned i = 0; i < BATCH; i++)
        t->run(&batch[i]);
}

static uint64_t nanoseconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void measure(const struct table *t) {
    struct packet batch[BATCH];
    uint64_t took = 0;
    t->fill();
    for (unsigned i = 0; i < BATCHES; i++) {
        for (unsigned k = 0; k < BATCH; k++) {
            batch[k].pkt = payload();
            t->make(&batch[k]);
        }
        took -= nanoseconds();
        work(t, batch);
        took += nanoseconds();
    }
    printf("packets %u ns %.0f\n", BATCH * BATCHES, (double)took / (BATCH * BATCHES));
}

int main(int argc, char **argv) {
    long count = argc == 3 ? atol(argv[2]) : 0;
    void *memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    must(memory != MAP_FAILED, "no memory");
    tarn_arena_init(&arena, tarn_bytes_of(memory, MEMORY));
    tarn_random_seeded_init(&seeded, 1);
    tarn_tasks_init(&tasks);
    must(!tarn_pkt_pool_init(&pkts, &arena.alloc,
                             &(struct tarn_pkt_pool_config){.count = {512, 512, 1}}),
         "no packets");
    entries = (uint32_t)count;
    routes_max = entries + 8;
    for (size_t i = 0; count >= 1 && count <= 600000 && i < TARN_COUNT_OF(tables); i++)
        if (strcmp(argv[1], tables[i].name) == 0) {
            measure(&tables[i]);
            return 0;
        }
    fprintf(stderr, "usage: net-cost arp|ndp|route4|route6|mixed4|mixed6|flow ENTRIES\n");
    return 2;
}
