/* SPDX-License-Identifier: ISC */
/* What congestion controllers make of a bottleneck: how much of it they use, how long its queue
 * gets, what random loss costs, and what is left for others. The bottleneck is where a host's
 * frames leave: 20 Mbit/s, 40 ms there and back, so that 100 kB fill the path. */
#include "seeds.h"
#include "stream.h"

enum { PORT = 80, FLOWS_MAX = 2, BITS_PER_S = 20000000, BDP_BYTES = 100000 };

struct bulk {
    const struct tarn_tcp_cc_ops *cc;
    struct sim_stream out, in;
    struct sim_server server;
    uint64_t got_before;
    double share; /* of the bottleneck, in the second part of the run */
};

static struct tarn_sim_link_config bottleneck(uint32_t queue_bytes, uint32_t loss_ppm) {
    return (struct tarn_sim_link_config){
        .path = {.bits_per_s = BITS_PER_S,
                 .queue_bytes_max = queue_bytes,
                 .delay = TARN_MS(20),
                 .loss_ppm = loss_ppm},
    };
}

static void bulk_start(struct bulk *b, struct sim_host *from, struct sim_host *to, uint16_t port) {
    b->out.bytes_out = (uint64_t)1 << 40;
    b->out.chunk_max = b->in.chunk_max = 65536;
    b->server.streams = &b->in;
    b->server.count = 1;
    sim_server_start(&b->server, to, port, 1);
    sim_stream_start(&b->out, from, sim_host_connect(from, to, port));
}

/* Runs the flows, for `warm` and then for as long as is measured; the last one's round trip. */
static tarn_time run(uint64_t seed, const struct tarn_sim_link_config *link,
                     struct sim_host_config host, struct bulk *bulks, unsigned count,
                     tarn_time warm, tarn_time measured) {
    struct sim_lan lan;
    struct tarn_tcp_info info;
    sim_lan_init(&lan, seed, link);
    host.options.cc = bulks[0].cc;
    host.limits.cc_blocks_max = FLOWS_MAX;
    struct sim_host *to = sim_host_new(&lan, &host), *from = sim_host_new(&lan, &host);
    for (unsigned i = 0; i < count; i++)
        bulk_start(&bulks[i], from, to, (uint16_t)(PORT + i));
    tarn_sim_wake(&from->actor);
    tarn_sim_run(lan.sim, TARN_SEC(1));
    for (unsigned i = 0; i < count; i++)
        SIM_CHECK(tarn_tcp_set_cc(bulks[i].out.flow, bulks[i].cc) == TARN_OK);
    tarn_sim_run(lan.sim, warm);
    for (unsigned i = 0; i < count; i++)
        bulks[i].got_before = bulks[i].in.got;
    tarn_sim_run(lan.sim, warm + measured);
    double most = (double)BITS_PER_S / 8 * (double)measured / 1e9;
    for (unsigned i = 0; i < count; i++) {
        SIM_CHECK(!bulks[i].out.error && !bulks[i].in.error && !bulks[i].in.wrong);
        bulks[i].share = (double)(bulks[i].in.got - bulks[i].got_before) / most;
    }
    SIM_CHECK(tarn_tcp_info(bulks[count - 1].out.flow, &info) == TARN_OK);
    sim_lan_free(&lan);
    return info.srtt;
}

static double alone(uint64_t seed, const struct tarn_tcp_cc_ops *cc, uint32_t queue_bytes,
                    uint32_t loss_ppm, tarn_time *srtt) {
    struct bulk b = {.cc = cc};
    struct tarn_sim_link_config link = bottleneck(queue_bytes, loss_ppm);
    *srtt = run(seed, &link, (struct sim_host_config){0}, &b, 1, TARN_SEC(3), TARN_SEC(12));
    return b.share;
}

SIM_TEST(tcp_congestion, bbr_fills_a_path_with_a_shallow_buffer, 3) {
    tarn_time srtt;
    double share = alone(seed, &tarn_tcp_cc_bbr, BDP_BYTES / 5, 0, &srtt);
    SIM_CHECK(share > 0.8, "%.2f", share);
}

SIM_TEST(tcp_congestion, bbr_keeps_a_deep_buffer_short, 1) {
    tarn_time srtt, srtt_cubic;
    double share = alone(seed, &tarn_tcp_cc_bbr, 10 * BDP_BYTES, 0, &srtt);
    double cubic = alone(seed, &tarn_tcp_cc_cubic, 10 * BDP_BYTES, 0, &srtt_cubic);
    SIM_CHECK(share > 0.88 && cubic > 0.9, "%.2f %.2f", share, cubic);
    SIM_CHECK(srtt < TARN_MS(60), "%llu us", (unsigned long long)(srtt / 1000));
    SIM_CHECK(srtt_cubic > 2 * srtt, "%llu us", (unsigned long long)(srtt_cubic / 1000));
}

SIM_TEST(tcp_congestion, bbr_takes_random_loss_for_what_it_is, 1) {
    /* More than 2 % lost while it probes is too much, also for BBR. */
    static const struct {
        uint32_t ppm;
        double times;
    } losses[] = {{10000, 3}, {20000, 4}, {50000, 2}};
    for (unsigned i = 0; i < TARN_COUNT_OF(losses); i++) {
        tarn_time srtt;
        double bbr = alone(seed, &tarn_tcp_cc_bbr, BDP_BYTES, losses[i].ppm, &srtt);
        double cubic = alone(seed, &tarn_tcp_cc_cubic, BDP_BYTES, losses[i].ppm, &srtt);
        SIM_CHECK(bbr > losses[i].times * cubic, "%u ppm: %.2f, CUBIC %.2f", losses[i].ppm, bbr,
                  cubic);
    }
}

static void share(uint64_t seed, const struct tarn_tcp_cc_ops *a, const struct tarn_tcp_cc_ops *b,
                  uint32_t queue_bytes, double least) {
    struct bulk bulks[2] = {{.cc = a}, {.cc = b}};
    struct tarn_sim_link_config link = bottleneck(queue_bytes, 0);
    run(seed, &link, (struct sim_host_config){0}, bulks, 2, TARN_SEC(10), TARN_SEC(30));
    SIM_CHECK(bulks[0].share > least && bulks[1].share > least
                  && bulks[0].share + bulks[1].share > 0.85,
              "%s %.2f, %s %.2f", a->name, bulks[0].share, b->name, bulks[1].share);
}

SIM_TEST(tcp_congestion, two_of_a_kind_share_the_path, 1) {
    share(seed, &tarn_tcp_cc_bbr, &tarn_tcp_cc_bbr, BDP_BYTES, 0.25);
    share(seed, &tarn_tcp_cc_cubic, &tarn_tcp_cc_cubic, BDP_BYTES, 0.25);
}

SIM_TEST(tcp_congestion, bbr_and_cubic_leave_each_other_room, 1) {
    share(seed, &tarn_tcp_cc_bbr, &tarn_tcp_cc_cubic, BDP_BYTES, 0.1);
    share(seed, &tarn_tcp_cc_bbr, &tarn_tcp_cc_cubic, 3 * BDP_BYTES, 0.1);
}

static bool all_arrived(void *arg) {
    struct bulk *b = arg;
    return b->in.got == b->out.bytes_out;
}

/* What a queue of five frames drops of an initial window of ten. */
static uint64_t dropped(uint64_t seed, bool pacing) {
    struct sim_lan lan;
    struct bulk b = {0};
    struct tarn_sim_link_config link = bottleneck(7600, 0);
    struct sim_host_config host = {.options.pacing = pacing};
    sim_lan_init(&lan, seed, &link);
    struct sim_host *to = sim_host_new(&lan, &host), *from = sim_host_new(&lan, &host);
    bulk_start(&b, from, to, PORT);
    b.out.bytes_out = 14000;
    tarn_sim_wake(&from->actor);
    SIM_CHECK(tarn_sim_run_until(lan.sim, all_arrived, &b, TARN_SEC(60)));
    uint64_t drops = tarn_sim_link_counters(lan.link)->queue_drops;
    sim_lan_free(&lan);
    return drops;
}

SIM_TEST(tcp_congestion, pacing_spreads_the_initial_window, 5) {
    SIM_CHECK(dropped(seed, true) == 0);
    SIM_CHECK(dropped(seed, false) > 0);
}
