/* SPDX-License-Identifier: ISC */
/* What a segment costs TCP, among few connections and among many, and under floods.
 *
 * usage: tcp-cost flow CONNECTIONS       requests and answers of 100 bytes, over connections at
 * random tcp-cost syn|ack|rst|tiny|sack|holes SEGMENTS   as much of that flood at one connection
 *
 * All that counts happens inside of work(), for callgrind's --toggle-collect; the count of segments
 * is printed, and memory is checked against its budget in every case. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <tarn/base.h>
#include <tarn/tcp.h>
#include <time.h>
#include <unistd.h>

enum { EXCHANGES = 8000, BYTES = 100, PORT = 80, WIRE_MAX = 1024 };
enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

struct sent {
    struct tarn_ip_meta meta;
    struct tarn_pkt *pkt;
};

struct host {
    struct tarn_ip_lower lower;
    struct host *other;
    struct tarn_arena arena;
    struct tarn_pkt_pool pkts;
    struct tarn_tasks tasks;
    struct tarn_random_seeded random;
    struct tarn_tcp *tcp;
    struct tarn_ip_addr addr;
    struct sent sent[WIRE_MAX];
    unsigned sent_count;
};

struct exchange {
    struct tarn_flow *client, *server;
};

static struct host hosts[2];
static tarn_time now = TARN_SEC(1000);

static void must(bool good, const char *what) {
    if (good)
        return;
    fprintf(stderr, "tcp-cost: %s\n", what);
    exit(1);
}

/* -- two hosts and a wire -- */

static enum tarn_err host_route(struct tarn_ip_lower *lower, const struct tarn_ip_addr *src,
                                const struct tarn_ip_addr *dst, struct tarn_ip_route *out) {
    struct host *h = TARN_CONTAINER_OF(lower, struct host, lower);
    (void)dst;
    *out = (struct tarn_ip_route){.src = tarn_ip_addr_is_any(src) ? h->addr : *src, .mtu = 1500};
    return TARN_OK;
}

/* A wire that costs next to nothing, and delivers at the next turn: nobody is entered from inside
 * of his own call. */
static enum tarn_err host_send(struct tarn_ip_lower *lower, const struct tarn_ip_meta *meta,
                               struct tarn_pkt *pkt, tarn_time at) {
    struct host *h = TARN_CONTAINER_OF(lower, struct host, lower);
    (void)at;
    must(h->sent_count < WIRE_MAX, "the wire is full");
    h->sent[h->sent_count++] = (struct sent){*meta, pkt};
    return TARN_OK;
}

static const struct tarn_ip_lower_ops lower_ops = {.route = host_route, .send = host_send};

static void host_init(struct host *h, struct host *other, uint8_t id,
                      const struct tarn_tcp_limits *limits) {
    size_t bytes = (size_t)4 << 30;
    void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    must(mem != MAP_FAILED, "no address space");
    *h =
        (struct host){.lower = {&lower_ops}, .other = other, .addr = TARN_IP_ADDR_V4(10, id, 0, 1)};
    tarn_arena_init(&h->arena, tarn_bytes_of(mem, bytes));
    tarn_tasks_init(&h->tasks);
    tarn_random_seeded_init(&h->random, id);
    struct tarn_pkt_pool_config pkts = {.count = {65536, 16384, 0}};
    must(tarn_pkt_pool_init(&h->pkts, &h->arena.alloc, &pkts) == TARN_OK, "no packets");
    struct tarn_tcp_config config = {.alloc = &h->arena.alloc,
                                     .random = &h->random.random,
                                     .tasks = &h->tasks,
                                     .pkts = &h->pkts,
                                     .lower = &h->lower,
                                     .limits = *limits};
    must(tarn_tcp_new(&config, &h->tcp) == TARN_OK, "no TCP");
}

static bool deliver(struct host *h) {
    static struct sent sent[WIRE_MAX]; /* as a local it would be cleared each time */
    unsigned count = h->sent_count;
    memcpy(sent, h->sent, count * sizeof *sent);
    h->sent_count = 0;
    for (unsigned i = 0; i < count; i++)
        tarn_tcp_input(h->other->tcp, &sent[i].meta, sent[i].pkt, now);
    return count > 0;
}

static bool run(struct host *h) {
    bool more = tarn_tasks_run(&h->tasks) > 0;
    if (tarn_tcp_deadline(h->tcp) > now)
        return more;
    tarn_tcp_tick(h->tcp, now);
    return true;
}

static void turn(void) {
    for (bool more = true; more;) {
        more = run(&hosts[0]);
        more |= deliver(&hosts[0]);
        more |= run(&hosts[1]);
        more |= deliver(&hosts[1]);
    }
}

static struct tarn_tcp_stats stats_of(const struct host *h) {
    struct tarn_tcp_stats s;
    tarn_tcp_stats(h->tcp, &s);
    return s;
}

/* -- connections -- */

static struct exchange connect_one(struct tarn_listener *listener, uint32_t i) {
    /* As many clients as their ports need. */
    struct tarn_endpoint local = {TARN_IP_ADDR_V4(10, 0, (uint8_t)(i / 20000 + 1), 1),
                                  (uint16_t)(20000 + i % 20000)};
    struct tarn_endpoint remote = {hosts[1].addr, PORT};
    struct exchange x;
    must(tarn_tcp_connect(hosts[0].tcp, &local, &remote, now, &x.client) == TARN_OK, "connect");
    turn();
    must(tarn_listener_accept(listener, &x.server) == TARN_OK, "accept");
    return x;
}

static size_t resident(void) {
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    must(f && fscanf(f, "%*s %lu", &pages) == 1, "statm");
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void pass_on(struct tarn_flow *from, struct tarn_flow *to, const uint8_t *data) {
    uint8_t got[BYTES];
    size_t n;
    must(tarn_flow_write(from, tarn_span_of(data, BYTES), &n) == TARN_OK && n == BYTES, "write");
    turn();
    must(tarn_flow_read(to, TARN_BYTES_ARRAY(got), &n) == TARN_OK && n == BYTES, "read");
}

static uint32_t pick(uint32_t count) {
    static uint64_t state = 1;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((state >> 33) % count);
}

static void exchanges(struct exchange *all, uint32_t count, uint32_t times) {
    static const uint8_t data[BYTES];
    for (uint32_t i = 0; i < times; i++) {
        struct exchange *x = &all[pick(count)];
        pass_on(x->client, x->server, data);
        pass_on(x->server, x->client, data);
        now += TARN_US(20);
        turn();
    }
}

/* -- floods: what one stranger can send, at one host that does not read -- */

struct stranger {
    struct host *victim;
    struct tarn_flow *flow; /* the victim's end of a connection with the stranger */
    uint32_t seq, ack;
    uint32_t answer; /* the sequence number of what the victim sent last */
};

struct forged {
    struct tarn_ip_addr from;
    uint16_t port;
    uint32_t seq, ack;
    uint8_t flags;
    struct tarn_span options, data;
};

static void forge(struct stranger *s, const struct forged *f) {
    struct tarn_pkt *pkt = tarn_pkt_alloc(&s->victim->pkts, 1500);
    must(pkt != NULL, "no packets left: something keeps them");
    size_t header = 20 + f->options.len;
    struct tarn_writer w = tarn_writer_over(tarn_pkt_tailroom(pkt));
    tarn_writer_u16be(&w, f->port);
    tarn_writer_u16be(&w, PORT);
    tarn_writer_u32be(&w, f->seq);
    tarn_writer_u32be(&w, f->ack);
    tarn_writer_u16be(&w, (uint16_t)(header / 4 << 12 | f->flags));
    tarn_writer_u16be(&w, 65535);
    tarn_writer_u32be(&w, 0);
    tarn_writer_span_put(&w, f->options);
    tarn_writer_span_put(&w, f->data);
    tarn_pkt_grow(pkt, w.len);
    pkt->csum_state = TARN_CSUM_VERIFIED;
    struct tarn_ip_meta meta = {
        .src = f->from, .dst = s->victim->addr, .proto = TARN_IP_PROTO_TCP, .hops = 64};
    tarn_tcp_input(s->victim->tcp, &meta, pkt, now);
    while (run(s->victim))
        continue;
    for (unsigned i = 0; i < s->victim->sent_count; i++) {
        struct tarn_span answer = tarn_pkt_head(s->victim->sent[i].pkt);
        must(tarn_span_skip(&answer, 4) && tarn_span_u32be(&answer, &s->answer), "no header");
        tarn_pkt_free(s->victim->sent[i].pkt);
    }
    s->victim->sent_count = 0;
}

static uint32_t draw(uint32_t below) {
    return tarn_random_below(&hosts[0].random.random, below);
}

static struct forged from_stranger(const struct stranger *s, uint8_t flags) {
    return (struct forged){.from = TARN_IP_ADDR_V4(10, 0, 0, 7),
                           .port = 5000,
                           .seq = s->seq,
                           .ack = s->ack,
                           .flags = flags};
}

static void flood_syn(struct stranger *s) {
    struct forged f = {.from = tarn_ip_addr_from_v4(0x0a000000u + draw(1u << 20)),
                       .port = (uint16_t)(1 + draw(65535)),
                       .seq = draw(UINT32_MAX),
                       .flags = SYN};
    forge(s, &f);
}

static void flood_ack(struct stranger *s) {
    struct forged f = from_stranger(s, ACK);
    if (draw(2))
        f.port = (uint16_t)(1 + draw(65535));
    f.seq += draw(UINT32_MAX);
    f.ack += draw(UINT32_MAX);
    forge(s, &f);
}

static void flood_rst(struct stranger *s) {
    struct forged f = from_stranger(s, RST);
    f.seq += 1 + draw(60000);
    forge(s, &f);
}

static void flood_tiny(struct stranger *s) {
    struct forged f = from_stranger(s, ACK);
    f.data = TARN_SPAN_LIT("t");
    forge(s, &f);
    s->seq++;
}

static void flood_holes(struct stranger *s) {
    struct forged f = from_stranger(s, ACK);
    f.data = TARN_SPAN_LIT("h");
    f.seq += 1 + 2 * draw(30000);
    forge(s, &f);
}

/* Four blocks of a segment or two in a megabyte that is in flight. */
static void flood_sack(struct stranger *s) {
    uint8_t options[36];
    struct tarn_writer w = TARN_WRITER_ARRAY(options);
    tarn_writer_u32be(&w, 0x01010522);
    for (int i = 0; i < 4; i++) {
        uint32_t start = s->ack + 1460 * draw(600);
        tarn_writer_u32be(&w, start);
        tarn_writer_u32be(&w, start + 1460 * (1 + draw(2)));
    }
    struct forged f = from_stranger(s, ACK);
    f.options = tarn_writer_span(&w);
    forge(s, &f);
}

static struct stranger stranger_new(void) {
    static const uint8_t options[] = {2, 4, 5, 180, 1, 1, 4, 2, 1, 3, 3, 14};
    struct tarn_tcp_limits limits = {
        .memory_bytes = (size_t)8 << 20, .snd_buf_bytes_max = 2u << 20, .syn_queue_max = 256};
    struct tarn_endpoint any = {.port = PORT};
    struct tarn_listener *listener;
    host_init(&hosts[0], &hosts[1], 0, &limits);
    host_init(&hosts[1], &hosts[0], 9, &limits);
    struct stranger s = {.victim = &hosts[1], .seq = 1000};
    must(tarn_tcp_listen(s.victim->tcp, &any, 16, &listener) == TARN_OK, "listen");
    struct forged f = from_stranger(&s, SYN);
    f.options = TARN_SPAN_ARRAY(options);
    forge(&s, &f);
    s.seq++;
    s.ack = s.answer + 1;
    now += TARN_MS(10);
    f = from_stranger(&s, ACK);
    forge(&s, &f);
    must(tarn_listener_accept(listener, &s.flow) == TARN_OK, "accept");
    return s;
}

/* Lets the victim's window grow until a megabyte is in flight. */
static void fill_flight(struct stranger *s) {
    static const uint8_t data[1 << 20];
    struct tarn_tcp_info info = {0};
    size_t n;
    for (int round = 0; round < 100 && info.unacked_bytes < 1000000; round++) {
        s->ack += info.unacked_bytes;
        now += TARN_MS(10);
        (void)!tarn_flow_write(s->flow, TARN_SPAN_ARRAY(data), &n);
        struct forged f = from_stranger(s, ACK);
        forge(s, &f);
        must(tarn_tcp_info(s->flow, &info) == TARN_OK, "info");
    }
    must(info.unacked_bytes >= 1000000, "the window does not grow");
}

static void (*const floods[])(struct stranger *) = {flood_syn,  flood_ack,  flood_rst,
                                                    flood_tiny, flood_sack, flood_holes};
static const char *const flood_names[] = {"syn", "ack", "rst", "tiny", "sack", "holes"};

static void check_budget(const struct stranger *s) {
    struct tarn_tcp_stats stats = stats_of(s->victim);
    must(stats.snd_bytes <= (size_t)4 << 20 && stats.rcv_bytes <= (size_t)4 << 20
             && stats.half_open <= 256 && stats.connections <= 16,
         "memory is not in its budget");
}

/* Counted from here on: `count` exchanges among `all`, or segments of a flood. */
static __attribute__((noinline)) void work(struct exchange *all, uint32_t connections,
                                           struct stranger *stranger, size_t flood,
                                           uint32_t count) {
    if (all)
        exchanges(all, connections, count);
    for (uint32_t i = 0; !all && i < count; i++) {
        now += TARN_US(10);
        floods[flood](stranger);
        check_budget(stranger);
    }
}

static void flood(size_t which, uint32_t count) {
    struct stranger s = stranger_new();
    if (floods[which] == flood_sack)
        fill_flight(&s);
    work(NULL, 0, &s, which, count);
    printf("segments %u\n", count);
}

static uint64_t nanoseconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* A few exchanges a connection, and then others in their place, so that all counts of connections
 * see the same: a connection acknowledges its first segments at once, and later ones do not. */
static void flow(uint32_t count) {
    struct tarn_tcp_limits limits = {.connections_max = count, .memory_bytes = (size_t)64 << 20};
    struct tarn_endpoint any = {.port = PORT};
    struct exchange *all = calloc(count, sizeof *all);
    struct tarn_listener *listener;
    uint64_t segments = 0, took = 0;
    must(all != NULL, "memory");
    host_init(&hosts[0], &hosts[1], 0, &limits);
    host_init(&hosts[1], &hosts[0], 9, &limits);
    must(tarn_tcp_listen(hosts[1].tcp, &any, 16, &listener) == TARN_OK, "listen");
    memset(all, 1, count * sizeof *all);
    size_t before = resident(), bytes = 0;
    for (uint32_t done = 0; done < EXCHANGES;) {
        uint32_t times = TARN_MIN(2 * count, EXCHANGES - done);
        for (uint32_t i = 0; i < count; i++)
            all[i] = connect_one(listener, i);
        now += TARN_SEC(1);
        turn();
        bytes = (resident() - before) / 2 / count;
        segments -= stats_of(&hosts[0]).segments_in + stats_of(&hosts[1]).segments_in;
        took -= nanoseconds();
        work(all, count, NULL, 0, times);
        took += nanoseconds();
        segments += stats_of(&hosts[0]).segments_in + stats_of(&hosts[1]).segments_in;
        must(stats_of(&hosts[0]).connections == count, "connections were lost");
        for (uint32_t i = 0; i < count; i++) {
            tarn_flow_abort(all[i].client);
            turn();
        }
        for (uint32_t i = 0; i < count; i++)
            tarn_flow_abort(all[i].server);
        done += times;
    }
    printf("segments %llu ns %.0f resident_bytes_per_connection %zu resident_mib %.1f\n",
           (unsigned long long)segments, (double)took / (double)segments, bytes,
           (double)resident() / 1048576);
}

int main(int argc, char **argv) {
    long count = argc == 3 ? atol(argv[2]) : 0;
    if (count >= 1 && count <= 1000000 && strcmp(argv[1], "flow") == 0) {
        flow((uint32_t)count);
        return 0;
    }
    for (size_t i = 0; count >= 1 && i < TARN_COUNT_OF(flood_names); i++)
        if (strcmp(argv[1], flood_names[i]) == 0) {
            flood(i, (uint32_t)count);
            return 0;
        }
    fprintf(stderr, "usage: tcp-cost flow CONNECTIONS | syn|ack|rst|tiny|sack|holes SEGMENTS\n");
    return 2;
}
