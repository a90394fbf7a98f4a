/* SPDX-License-Identifier: ISC */
/* A stream both ways at once between lib/tcp and the kernel's TCP, over a line that spoils it:
 *
 *   tcp-bad-line FD ADDRESS PEER PORT BYTES LOST DOUBLED LATE MTU told|silent
 *
 * LOST, DOUBLED and LATE are percent; the line has that MTU once half has been sent. Both streams
 * are checked byte by byte, and one line tells what Tarn had to do for it. */
#include "bad_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PERIOD 251u /* of the pattern: no power of two, so that what is moved is seen */
#define PIECE 8192u

static uint8_t pattern[PERIOD + PIECE];
static size_t sent, received;

static void write_some(struct tarn_flow *flow, size_t total) {
    size_t n;
    while (sent < total) {
        struct tarn_span piece =
            tarn_span_of(pattern + sent % PERIOD, TARN_MIN(total - sent, (size_t)PIECE));
        enum tarn_err err = tarn_flow_write(flow, piece, &n);
        if (err == TARN_AGAIN)
            return;
        must(err == TARN_OK, "write");
        sent += n;
        if (sent == total)
            tarn_flow_shutdown(flow);
    }
}

/* True: the peer has sent all of it. */
static bool read_some(struct tarn_flow *flow) {
    uint8_t buf[PIECE];
    size_t n;
    enum tarn_err err;
    while ((err = tarn_flow_read(flow, TARN_BYTES_ARRAY(buf), &n)) == TARN_OK) {
        must(memcmp(buf, pattern + received % PERIOD, n) == 0, "other bytes than were sent");
        received += n;
    }
    must(err == TARN_AGAIN || err == TARN_EOF, "read");
    return err == TARN_EOF;
}

static void give_up(const struct tarn_tcp_info *i) {
    fprintf(stderr,
            "not done within a minute: state %d, acked %llu, read %zu, unacked %u, in flight %u, "
            "queued %u, out of order %u, unread %u, cwnd %u, snd_wnd %u, rcv_wnd %u, rto %llu ns, "
            "backoffs %u, timeouts %u, mss %u, path_mtu %u\n",
            i->state, (unsigned long long)i->bytes_acked, received, i->unacked_bytes,
            i->in_flight_bytes, i->queued_bytes, i->out_of_order_bytes, i->unread_bytes,
            i->cwnd_bytes, i->snd_wnd_bytes, i->rcv_wnd_bytes, (unsigned long long)i->rto,
            i->backoffs, i->timeouts, i->snd_mss, i->path_mtu);
    exit(1);
}

int main(int argc, char **argv) {
    struct tarn_flow *flow;
    struct tarn_tcp_info info = {0};
    struct tarn_tcp_stats stats;
    must(argc == 11, "usage: FD ADDRESS PEER PORT BYTES LOST DOUBLED LATE MTU told|silent");
    size_t total = (size_t)atol(argv[5]);
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = (uint8_t)(i % PERIOD);
    line = (struct line){.lost = (uint32_t)atoi(argv[6]),
                         .doubled = (uint32_t)atoi(argv[7]),
                         .late = (uint32_t)atoi(argv[8]),
                         .silent = strcmp(argv[10], "silent") == 0};
    bad_line_init(atoi(argv[1]), argv[2]);
    struct tarn_endpoint peer = {.port = (uint16_t)atoi(argv[4])};
    must(tarn_ip_addr_parse(tarn_span_of(argv[3], strlen(argv[3])), &peer.addr), "peer");
    must(tarn_tcp_connect(tcp, NULL, &peer, now(), &flow) == TARN_OK, "connect");
    tarn_time end = now() + TARN_SEC(60);
    bool done = false;
    do {
        turn();
        write_some(flow, total);
        done = read_some(flow);
        must(tarn_tcp_info(flow, &info) == TARN_OK, "info");
        if (info.bytes_acked >= total / 2)
            line.mtu = (uint16_t)atoi(argv[9]);
        if (now() > end)
            give_up(&info);
    } while (!done || info.bytes_acked < total);
    must(received == total, "the stream was shorter");
    tarn_tcp_stats(tcp, &stats);
    printf("retransmits=%llu timeouts=%llu out_of_order=%llu duplicates=%llu path_mtu=%u\n",
           (unsigned long long)stats.retransmits, (unsigned long long)stats.timeouts,
           (unsigned long long)stats.out_of_order, (unsigned long long)stats.drop_duplicate,
           info.path_mtu);
    tarn_flow_close(flow);
    for (tarn_time until = now() + TARN_MS(200); now() < until;)
        turn();
    return 0;
}
