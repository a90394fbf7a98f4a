/* SPDX-License-Identifier: ISC */
/* TCP over a lossy path in virtual time: the loss benchmark that smoltcp published, with its
 * figures and lwIP's beside ours. 10 MiB one way, 50 ms of delay each way, each packet of either
 * direction lost with the same probability, buffers of 32 KiB at both ends. The window allows 32
 * KiB in 100 ms: 327,680 bytes a second is the most that anybody can reach.
 *
 * usage: tcp-loss [SEEDS]; the median of so many runs, 5 where nothing is said. */
#include "stream.h"

#include <stdio.h>
#include <stdlib.h>

enum { PORT = 80, SEEDS_MAX = 100, BUFFER_BYTES = 32768, TRANSFER_BYTES = 10 << 20 };

static bool received(void *arg) {
    struct sim_stream *reader = arg;
    return reader->got == TRANSFER_BYTES || reader->error || reader->wrong;
}

/* Bytes a second, from the call of connect to the last byte read; 0: it failed. */
static double run(uint32_t loss_ppm, uint64_t seed) {
    struct sim_lan lan;
    struct sim_stream writer = {
        .pattern_out = seed, .bytes_out = TRANSFER_BYTES, .chunk_max = BUFFER_BYTES};
    struct sim_stream reader = {.pattern_in = seed, .chunk_max = BUFFER_BYTES};
    struct sim_server server = {.streams = &reader, .count = 1};
    struct tarn_sim_link_config link = {.path = {.delay = TARN_MS(50), .loss_ppm = loss_ppm}};
    /* Nobody gives up: at 20 % some segment is lost ten times in a row. */
    struct sim_host_config host = {
        .limits = {.snd_buf_bytes_max = BUFFER_BYTES,
                   .rcv_buf_bytes_min = BUFFER_BYTES,
                   .rcv_buf_bytes_max = BUFFER_BYTES},
        .options = {.user_timeout = TARN_SEC(100000), .connect_timeout = TARN_SEC(100000)}};
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

int main(int argc, char **argv) {
    static const struct {
        uint32_t loss_ppm;
        unsigned smoltcp, lwip; /* bytes/s, as published by smoltcp's authors */
    } rows[] = {{0, 322945, 324290},    {1000, 314780, 286590}, {10000, 219671, 144252},
                {20000, 166588, 85687}, {50000, 76627, 24156},  {100000, 37775, 6699},
                {200000, 6079, 1553}};
    unsigned seeds = argc > 1 ? (unsigned)atoi(argv[1]) : 5;
    if (seeds < 1 || seeds > SEEDS_MAX) {
        fprintf(stderr, "usage: tcp-loss [SEEDS], from 1 to %d\n", SEEDS_MAX);
        return 2;
    }
    int status = 0;
    printf("bytes/s of 10 MiB at 100 ms, 32 KiB buffers, virtual time, median of %u seeds\n",
           seeds);
    printf("%6s %10s %10s %8s %10s %8s %22s\n", "loss", "tarn", "smoltcp", "ratio", "lwip", "ratio",
           "tarn, worst to best");
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        double rates[SEEDS_MAX];
        for (unsigned seed = 0; seed < seeds; seed++)
            rates[seed] = run(rows[i].loss_ppm, seed + 1);
        qsort(rates, seeds, sizeof rates[0], compare);
        double median = rates[seeds / 2];
        printf("%5.1f%% %10.0f %10u %7.2fx %10u %7.2fx %11.0f %10.0f\n", rows[i].loss_ppm / 1e4,
               median, rows[i].smoltcp, median / rows[i].smoltcp, rows[i].lwip,
               median / rows[i].lwip, rates[0], rates[seeds - 1]);
        if (rates[0] == 0)
            status = 1;
    }
    return status;
}
