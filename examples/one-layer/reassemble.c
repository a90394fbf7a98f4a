/* SPDX-License-Identifier: ISC */
/* IP's reassembly and nothing else, in an ordinary C program: a capture with fragments in, one with
 * whole datagrams out. Its clock is the capture's, so what would have timed out does.
 *
 *     cc -o reassemble reassemble.c $(pkg-config --static --cflags --libs tarn-ip) -lpcap
 *     ./reassemble fragments.pcap whole.pcap
 */
#include "capture.h"

#include <tarn/ip.h>

static pcap_dumper_t *out;
static unsigned long written;

/* Sees every IPv4 packet that its header and checksum are right of, and fragments as one. */
static bool pass(struct tarn_ip_forwarder *f, unsigned iface, bool own, struct tarn_pkt *pkt,
                 tarn_time now) {
    static uint8_t bytes[TARN_PKT_LEN_MAX];
    struct pcap_pkthdr header = {.caplen = pkt->len, .len = pkt->len};
    (void)f, (void)iface, (void)own;
    header.ts.tv_sec = (time_t)(now / TARN_SEC(1));
    header.ts.tv_usec = (suseconds_t)(now % TARN_SEC(1));
    if (tarn_pkt_read(pkt, 0, bytes, pkt->len)) {
        pcap_dump((u_char *)out, &header, bytes);
        written++;
    }
    return false; /* it goes nowhere */
}

/* The link that IP stands on here: nothing is ever sent. */
static enum tarn_err nowhere(struct tarn_link *link, const struct tarn_link_dst *dst,
                             struct tarn_pkt *pkt, tarn_time now) {
    (void)link, (void)dst, (void)now;
    tarn_pkt_free(pkt);
    return TARN_OK;
}

int main(int argc, char **argv) {
    static _Alignas(64) uint8_t memory[32 << 20];
    static const struct tarn_link_ops link_ops = {.send = nowhere};
    static const struct tarn_ip_forwarder_ops ops = {pass};
    struct tarn_link link = {.ops = &link_ops, .mtu = 65535};
    struct tarn_ip_forwarder forwarder = {&ops};
    struct tarn_random_seeded random; /* nobody sees what comes of it */
    struct tarn_pkt_pool pkts;
    struct tarn_arena arena;
    struct tarn_ip *ip;
    struct tarn_span packet;
    struct tarn_ip_stats stats;
    tarn_time at;
    unsigned iface;
    if (argc != 3) {
        fprintf(stderr, "usage: reassemble FRAGMENTS.pcap WHOLE.pcap\n");
        return 2;
    }
    pcap_t *in = capture_open(argv[1]);
    pcap_t *shape =
        pcap_open_dead_with_tstamp_precision(DLT_RAW, 65535, PCAP_TSTAMP_PRECISION_NANO);
    out = pcap_dump_open(shape, argv[2]);
    tarn_arena_init(&arena, TARN_BYTES_ARRAY(memory));
    tarn_random_seeded_init(&random, 1);
    struct tarn_ip_config config = {.alloc = &arena.alloc, .random = &random.random, .pkts = &pkts};
    if (!out
        || tarn_pkt_pool_init(&pkts, &arena.alloc, &(struct tarn_pkt_pool_config){{64, 4096, 64}})
        || tarn_ip_new(&config, &ip) || tarn_ip_add_link(ip, &link, &iface))
        return 1;
    tarn_ip_forward_by(ip, &forwarder);
    while (capture_next(in, &packet, &at)) {
        struct tarn_pkt *pkt = tarn_pkt_alloc(&pkts, packet.len);
        tarn_ip_tick(ip, at);
        if (pkt && tarn_pkt_append(pkt, packet))
            tarn_ip_input(ip, iface, NULL, pkt, at);
        else
            tarn_pkt_free(pkt);
    }
    pcap_dump_close(out);
    pcap_close(shape);
    pcap_close(in);
    tarn_ip_stats(ip, &stats);
    printf(
        "%lu packets, %llu of them from fragments; %u datagrams were not complete, %llu fragments "
        "wrong\n",
        written, (unsigned long long)stats.reassembled, stats.reass,
        (unsigned long long)(stats.drops_overlap + stats.drops_fragment));
    return 0;
}
