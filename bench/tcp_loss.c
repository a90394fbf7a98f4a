/* SPDX-License-Identifier: ISC */
/* TCP over a lossy path in virtual time: the loss benchmark that smoltcp published, with its
 * figures and lwIP's beside ours. 10 MiB one way, 50 ms of delay each way, each packet of either
 * direction lost with the same probability, buffers of 32 KiB at both ends. The window allows 32
 * KiB in 100 ms: 327,680 bytes a second is the most that anybody can reach.
 *
 * smoltcp ran it as it is built by default, with no congestion control (and once, with one seed):
 * a window that no loss narrows. That is the column `none`, a controller of this file only. One
 * that takes a loss for congestion, as RFC 5681 and RFC 9438 demand, has a rate that follows from
 * the loss alone, its response function. At this round trip CUBIC is in its Reno-friendly region,
 * and Padhye's formula (RFC 5348 section 3.1, one ACK for each segment) is the measure:
 *     mss / (rtt * sqrt(2 p / 3) + rto * 3 * sqrt(3 p / 8) * p * (1 + 32 p^2)), rto 300 ms.
 * The column `response` has it; at 0.1 % it is above what the window of 22 segments allows, and a
 * loss costs the time to grow from 0.7 of that back to it: 13 round trips, 43 segments. lwIP's
 * NewReno is bound by it too.
 *
 * usage: tcp-loss [SEEDS]; the median of so many runs, 21 where nothing is said.
 *        tcp-loss --check; the unit test: a few runs, and bounds. */
#include "stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PORT = 80, SEEDS_MAX = 100, BUFFER_BYTES = 32768, TRANSFER_BYTES = 10 << 20 };

/* -- no congestion control -- */

static void none_undo(struct tarn_tcp_cc *cc) {
    cc->cwnd = cc->ssthresh = 1u << 30;
}
static void none_init(struct tarn_tcp_cc *cc, uint32_t srtt_us) {
    (void)srtt_us;
    none_undo(cc);
}
static void none_ack(struct tarn_tcp_cc *cc, const struct tarn_tcp_cc_ack *ack) {
    (void)ack;
    none_undo(cc);
}
static void none_congestion(struct tarn_tcp_cc *cc, tarn_time now, uint32_t flight) {
    (void)now;
    (void)flight;
    none_undo(cc);
}
static void none_timeout(struct tarn_tcp_cc *cc, tarn_time now, uint32_t flight, bool again) {
    (void)again;
    none_congestion(cc, now, flight);
}
static void none_idle(struct tarn_tcp_cc *cc, tarn_time now, tarn_time idle) {
    (void)now;
    (void)idle;
    none_undo(cc);
}
static const struct tarn_tcp_cc_ops cc_none = {
    .name = "none",
    .init = none_init,
    .ack = none_ack,
    .congestion = none_congestion,
    .timeout = none_timeout,
    .undo = none_undo,
    .idle = none_idle,
};

static const struct tarn_tcp_cc_ops *const controllers[] = {&cc_none, &tarn_tcp_cc_cubic,
                                                            &tarn_tcp_cc_bbr};
enum { CONTROLLERS = sizeof controllers / sizeof controllers[0] };

/* -- the run -- */

static bool received(void *arg) {
    struct sim_stream *reader = arg;
    return reader->got == TRANSFER_BYTES || reader->error || reader->wrong;
}

/* Bytes a second, from the call of connect to the last byte read; 0: it failed. */
static double run(const struct tarn_tcp_cc_ops *cc, uint32_t loss_ppm, uint64_t seed) {
    struct sim_lan lan;
    struct sim_stream writer = {
        .pattern_out = seed, .bytes_out = TRANSFER_BYTES, .chunk_max = BUFFER_BYTES};
    struct sim_stream reader = {.pattern_in = seed, .chunk_max = BUFFER_BYTES};
    struct sim_server server = {.streams = &reader, .count = 1};
    struct tarn_sim_link_config link = {.path = {.delay = TARN_MS(50), .loss_ppm = loss_ppm}};
    /* Nobody gives up: at 20 % some segment is lost ten times in a row. */
    struct sim_host_config host = {.limits = {.snd_buf_bytes_max = BUFFER_BYTES,
                                              .rcv_buf_bytes_min = BUFFER_BYTES,
                                              .rcv_buf_bytes_max = BUFFER_BYTES},
                                   .options = {.cc = cc,
                                               .user_timeout = TARN_SEC(100000),
                                               .connect_timeout = TARN_SEC(100000)}};
    sim_lan_init(&lan, seed, &link);
    struct sim_host *to = sim_host_new(&lan, &host), *from = sim_host_new(&lan, &host);
    sim_server_start(&server, to, PORT, 1);
    sim_stream_start(&writer, from, sim_host_connect(from, to, PORT));
    tarn_sim_wake(&from->actor);
    bool good = tarn_sim_run_until(lan.sim, received, &reader, TARN_SEC(100000))
                && reader.got == TRANSFER_BYTES && !reader.wrong;
    double rate = good ? TRANSFER_BYTES * 1e9 / (double)tarn_sim_now(lan.sim) : 0;
    sim_lan_free(&lan);
    return rate;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The median; 0: one of the runs failed. */
static double median(const struct tarn_tcp_cc_ops *cc, uint32_t loss_ppm, unsigned seeds) {
    double rates[SEEDS_MAX];
    for (unsigned seed = 0; seed < seeds; seed++)
        rates[seed] = run(cc, loss_ppm, seed + 1);
    qsort(rates, seeds, sizeof rates[0], compare);
    return rates[0] > 0 ? rates[seeds / 2] : 0;
}

enum { WINDOW = 327680 };
static const struct row {
    uint32_t loss_ppm;
    unsigned smoltcp, lwip; /* bytes/s, as published by smoltcp's authors */
    unsigned response;      /* what Padhye's formula gives, no more than the window */
} rows[] = {{0, 322945, 324290, WINDOW},     {1000, 314780, 286590, WINDOW},
            {10000, 219671, 144252, 166096}, {20000, 166588, 85687, 110317},
            {50000, 76627, 24156, 58124},    {100000, 37775, 6699, 29657},
            {200000, 6079, 1553, 9724}};
enum { ROWS = sizeof rows / sizeof rows[0] };

/* What must be reached: with no congestion control and with BBR more than both; with CUBIC more
 * than lwIP's NewReno, and what its response function says (at 20 % that counts no lost ACKs). */
static double least(const struct row *row, const struct tarn_tcp_cc_ops *cc) {
    double best = row->smoltcp > row->lwip ? row->smoltcp : row->lwip;
    if (cc != &tarn_tcp_cc_cubic || row->loss_ppm == 0)
        return best;
    bool bound = row->response < WINDOW && row->loss_ppm < 200000;
    return bound && row->response > row->lwip ? row->response : row->lwip;
}

static int check(void) {
    int failed = 0;
    for (unsigned i = 0; i < ROWS; i++)
        for (unsigned c = 0; c < CONTROLLERS; c++) {
            double rate = median(controllers[c], rows[i].loss_ppm, 3);
            bool slow = rate <= least(&rows[i], controllers[c]);
            printf("%s at %.1f%%: %.0f bytes/s%s\n", controllers[c]->name, rows[i].loss_ppm / 1e4,
                   rate, slow ? ", too few" : "");
            failed += slow;
        }
    printf("%d passed, %d failed, 0 skipped\n", ROWS * CONTROLLERS - failed, failed);
    return failed > 0;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--check") == 0)
        return check();
    unsigned seeds = argc > 1 ? (unsigned)atoi(argv[1]) : 21;
    if (seeds < 1 || seeds > SEEDS_MAX) {
        fprintf(stderr, "usage: tcp-loss [SEEDS] | --check; SEEDS from 1 to %d\n", SEEDS_MAX);
        return 2;
    }
    int status = 0;
    printf("bytes/s of 10 MiB at 100 ms, 32 KiB buffers, virtual time, median of %u seeds;\n"
           "Tarn with each congestion control, and its ratio to smoltcp's (none) and lwIP's "
           "(NewReno);\nresponse: what the loss allows a controller like NewReno or CUBIC\n"
           "%6s %8s %8s %8s",
           seeds, "loss", "smoltcp", "lwIP", "response");
    for (unsigned c = 0; c < CONTROLLERS; c++)
        printf(" | %8s %7s %7s", controllers[c]->name, "smoltcp", "lwIP");
    for (unsigned i = 0; i < ROWS; i++) {
        printf("\n%5.1f%% %8u %8u %8u", rows[i].loss_ppm / 1e4, rows[i].smoltcp, rows[i].lwip,
               rows[i].response);
        for (unsigned c = 0; c < CONTROLLERS; c++) {
            double rate = median(controllers[c], rows[i].loss_ppm, seeds);
            printf(" | %8.0f %6.2fx %6.2fx", rate, rate / rows[i].smoltcp, rate / rows[i].lwip);
            if (rate == 0)
                status = 1;
        }
    }
    printf("\n");
    return status;
}
