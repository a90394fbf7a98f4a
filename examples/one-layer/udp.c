/* SPDX-License-Identifier: ISC */
/* UDP and nothing else, in an ordinary C program: prints what a port has heard, from a capture.
 * Checksums are checked; fragments are for reassemble, which comes first.
 *
 *     cc -o udp udp.c $(pkg-config --static --cflags --libs tarn-udp) -lpcap
 *     ./udp whole.pcap 514
 */
#include "capture.h"

#include <inttypes.h>
#include <tarn/udp.h>

/* What UDP would send through: there is nothing to send. */
static enum tarn_err no_route(struct tarn_ip_lower *lower, const struct tarn_ip_addr *src,
                              const struct tarn_ip_addr *dst, struct tarn_ip_route *out) {
    (void)lower, (void)src, (void)dst, (void)out;
    return TARN_NOT_FOUND;
}
static enum tarn_err no_send(struct tarn_ip_lower *lower, const struct tarn_ip_meta *meta,
                             struct tarn_pkt *pkt, tarn_time now) {
    (void)lower, (void)meta, (void)now;
    tarn_pkt_free(pkt);
    return TARN_NOT_FOUND;
}

/* The header of an IPv4 packet, and its payload. False: not a whole UDP datagram. */
static bool unwrap(struct tarn_span packet, struct tarn_ip_meta *meta, struct tarn_span *payload) {
    struct tarn_span s = packet;
    uint16_t total, frag;
    uint8_t vihl;
    *meta = (struct tarn_ip_meta){0};
    if (!tarn_span_u8(&s, &vihl) || !tarn_span_skip(&s, 1) || !tarn_span_u16be(&s, &total)
        || !tarn_span_skip(&s, 2) || !tarn_span_u16be(&s, &frag) || !tarn_span_u8(&s, &meta->hops)
        || !tarn_span_u8(&s, &meta->proto) || !tarn_span_skip(&s, 2)
        || !tarn_span_ipv4(&s, &meta->src) || !tarn_span_ipv4(&s, &meta->dst))
        return false;
    size_t header = (vihl & 15) * 4u;
    return header >= 20 && total >= header && (frag & 0x3fff) == 0
           && meta->proto == TARN_IP_PROTO_UDP
           && tarn_span_sub(packet, header, total - header, payload);
}

static void print_all(struct tarn_udp *udp, struct tarn_handle port) {
    struct tarn_datagram_info from;
    struct tarn_bytes data;
    while (tarn_udp_peek(udp, port, &data, &from) == TARN_OK) {
        char line[80];
        struct tarn_writer w = TARN_WRITER_ARRAY(line);
        tarn_writer_ip_addr(&w, &from.remote.addr);
        printf("%.*s:%u %zu bytes: ", (int)w.len, line, from.remote.port, data.len);
        for (size_t i = 0; i < data.len && i < 60; i++)
            putchar(data.ptr[i] >= ' ' && data.ptr[i] < 127 ? data.ptr[i] : '.');
        putchar('\n');
        tarn_udp_consume(udp, port);
    }
}

int main(int argc, char **argv) {
    static _Alignas(64) uint8_t memory[8 << 20];
    static const struct tarn_ip_lower_ops ops = {.route = no_route, .send = no_send};
    struct tarn_ip_lower lower = {&ops};
    struct tarn_random_seeded random;
    struct tarn_pkt_pool pkts;
    struct tarn_tasks tasks;
    struct tarn_arena arena;
    struct tarn_udp *udp;
    struct tarn_handle port;
    struct tarn_span packet, payload;
    struct tarn_ip_meta meta;
    uint64_t number;
    tarn_time at;
    if (argc != 3 || !tarn_span_parse_dec(tarn_span_str(argv[2]), 65535, &number) || number == 0) {
        fprintf(stderr, "usage: udp CAPTURE.pcap PORT\n");
        return 2;
    }
    pcap_t *in = capture_open(argv[1]);
    tarn_arena_init(&arena, TARN_BYTES_ARRAY(memory));
    tarn_random_seeded_init(&random, 1);
    tarn_tasks_init(&tasks);
    struct tarn_udp_config config = {.alloc = &arena.alloc,
                                     .random = &random.random,
                                     .tasks = &tasks,
                                     .pkts = &pkts,
                                     .lower = &lower};
    struct tarn_datagram_config local = {.local.port = (uint16_t)number};
    if (tarn_pkt_pool_init(&pkts, &arena.alloc, &(struct tarn_pkt_pool_config){{64, 512, 32}})
        || tarn_udp_new(&config, &udp) || tarn_udp_open(udp, &local, &port))
        return 1;
    while (capture_next(in, &packet, &at)) {
        struct tarn_pkt *pkt;
        if (!unwrap(packet, &meta, &payload) || !(pkt = tarn_pkt_alloc(&pkts, payload.len)))
            continue;
        if (tarn_pkt_append(pkt, payload))
            tarn_udp_input(udp, &meta, pkt, at);
        else
            tarn_pkt_free(pkt);
        print_all(udp, port);
    }
    pcap_close(in);
    printf("%" PRIu64 " wrong checksums\n", tarn_udp_stats(udp)->rx_bad_csum);
    return 0;
}
