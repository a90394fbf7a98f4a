/* SPDX-License-Identifier: ISC */
/* Transfers over every kind of bad path: what is read is what was written, both ends end, and all
 * memory comes back. */
#include "seeds.h"
#include "stream.h"

enum { PORT = 80 };

struct pair {
    struct sim_lan lan;
    struct sim_host *client, *server;
    struct sim_stream out, in[1];
    struct sim_server listener;
};

static uint32_t draw(struct tarn_random_seeded *r, uint32_t max) {
    return tarn_random_below(&r->random, max + 1);
}

/* One of the two in half of the cases: most runs have a few faults, not all. */
static uint32_t maybe(struct tarn_random_seeded *r, uint32_t max) {
    return draw(r, 1) ? draw(r, max) : 0;
}

static struct tarn_sim_path bad_path(struct tarn_random_seeded *r) {
    static const uint64_t rates[] = {0, 500000, 10000000, 100000000, 1000000000};
    struct tarn_sim_path path = {
        .bits_per_s = rates[draw(r, 4)],
        .delay = TARN_US(maybe(r, 100000)),
        .jitter = TARN_US(maybe(r, 20000)),
        .loss_ppm = maybe(r, 200000),
        .duplicate_ppm = maybe(r, 100000),
        .reorder_ppm = maybe(r, 300000),
        .reorder_by = TARN_US(draw(r, 100000)),
        .corrupt_ppm = maybe(r, 50000),
        .truncate_ppm = maybe(r, 20000),
    };
    if (draw(r, 3) == 0) {
        path.burst_enter_ppm = 5000;
        path.burst_leave_ppm = 100000;
        path.burst_loss_ppm = 900000;
    }
    if (path.bits_per_s && draw(r, 1))
        path.queue_bytes_max = 5000 + draw(r, 200000);
    path.queue_refuses = path.queue_bytes_max && draw(r, 1);
    return path;
}

static struct sim_host_config any_host(struct tarn_random_seeded *r) {
    struct sim_host_config config = {.latency_max = TARN_US(maybe(r, 2000))};
    config.options.connect_timeout = TARN_SEC(1200);
    config.options.user_timeout = TARN_SEC(7200);
    config.options.no_sack = draw(r, 3) == 0;
    config.options.no_timestamps = draw(r, 3) == 0;
    config.options.no_window_scale = draw(r, 3) == 0;
    config.options.ecn = (uint8_t)draw(r, 3);
    config.options.no_syn_cookies = draw(r, 1);
    static const struct tarn_tcp_cc_ops *const controllers[] = {
        &tarn_tcp_cc_cubic, &tarn_tcp_cc_newreno, &tarn_tcp_cc_bbr};
    config.options.cc = controllers[draw(r, 2)];
    config.options.pacing = draw(r, 1);
    if (draw(r, 1))
        config.limits.snd_buf_bytes_max = 4096 + draw(r, 200000);
    if (draw(r, 1)) {
        config.limits.rcv_buf_bytes_min = 4096 + draw(r, 20000);
        config.limits.rcv_buf_bytes_max = config.limits.rcv_buf_bytes_min + draw(r, 200000);
    }
    return config;
}

static void pair_new(struct pair *p, uint64_t seed, const struct tarn_sim_link_config *link,
                     const struct sim_host_config *client, const struct sim_host_config *server) {
    *p = (struct pair){0};
    sim_lan_init(&p->lan, seed, link);
    p->client = sim_host_new(&p->lan, client);
    p->server = sim_host_new(&p->lan, server);
    p->out.pattern_out = p->in[0].pattern_in = seed * 2;
    p->in[0].pattern_out = p->out.pattern_in = seed * 2 + 1;
    p->listener.streams = p->in;
    p->listener.count = 1;
}

static void pair_start(struct pair *p) {
    sim_server_start(&p->listener, p->server, PORT, 4);
    struct tarn_flow *flow = sim_host_connect(p->client, p->server, PORT);
    cr_assert_not_null(flow);
    sim_stream_start(&p->out, p->client, flow);
    tarn_sim_wake(&p->client->actor);
}

static bool pair_done(void *arg) {
    struct pair *p = arg;
    return sim_stream_is_done(&p->out) && sim_stream_is_done(&p->in[0]);
}

/* Runs to the end and checks everything that must hold there. */
static void pair_finish(struct pair *p, tarn_time limit) {
    SIM_CHECK(tarn_sim_run_until(p->lan.sim, pair_done, p, limit), "stuck: %s %s",
              sim_stream_text(&p->out), sim_stream_text(&p->in[0]));
    SIM_CHECK(sim_stream_is_good(&p->out, &p->in[0]), "%s", sim_stream_text(&p->out));
    SIM_CHECK(sim_stream_is_good(&p->in[0], &p->out), "%s", sim_stream_text(&p->in[0]));
    SIM_CHECK(sim_lan_settle(&p->lan, TARN_SEC(8000)), "%s%s", sim_host_text(p->client),
              sim_host_text(p->server));
    SIM_CHECK(p->out.leases == 0 && p->in[0].leases == 0);
    struct tarn_tcp_stats c = sim_host_stats(p->client), s = sim_host_stats(p->server);
    SIM_CHECK(c.established == 1 && s.established == 1);
    sim_lan_free(&p->lan);
}

SIM_TEST(tcp_transfer, perfect_path_retransmits_nothing, 10) {
    struct pair p;
    struct tarn_sim_link_config link = {.path = {.bits_per_s = 1000000000, .delay = TARN_MS(1)},
                                        .features = TARN_NETIF_TX_TSO4 | TARN_NETIF_TX_CSUM};
    pair_new(&p, seed, &link, &(struct sim_host_config){0}, &(struct sim_host_config){0});
    p.out.bytes_out = 1000000;
    p.in[0].bytes_out = 300000;
    p.out.chunk_max = p.in[0].chunk_max = 65536;
    pair_start(&p);
    SIM_CHECK(tarn_sim_run_until(p.lan.sim, pair_done, &p, TARN_SEC(10)));
    struct tarn_tcp_stats c = sim_host_stats(p.client), s = sim_host_stats(p.server);
    SIM_CHECK(c.retransmits == 0 && s.retransmits == 0 && c.timeouts == 0 && s.timeouts == 0);
    SIM_CHECK(c.drop_duplicate == 0 && s.drop_duplicate == 0);
    SIM_CHECK(c.resets_out == 0 && s.resets_out == 0);
    pair_finish(&p, TARN_SEC(20));
}

SIM_TEST(tcp_transfer, survives_any_path, 150) {
    struct pair p;
    struct tarn_random_seeded r;
    static const uint16_t mtus[] = {1500, 1500, 576, 1280, 9000};
    tarn_random_seeded_init(&r, seed);
    struct tarn_sim_link_config link = {
        .path = bad_path(&r),
        .mtu = mtus[draw(&r, 3)],
        .features = draw(&r, 1) ? TARN_NETIF_TX_TSO4 | TARN_NETIF_TX_CSUM : 0,
        .rx_frames_max = draw(&r, 3) == 0 ? 16 : 0,
    };
    struct sim_host_config client = any_host(&r), server = any_host(&r);
    pair_new(&p, seed, &link, &client, &server);
    p.out.bytes_out = draw(&r, 3) ? draw(&r, 200000) : draw(&r, 3);
    p.in[0].bytes_out = draw(&r, 3) ? draw(&r, 200000) : draw(&r, 3);
    p.out.chunk_max = 1 + draw(&r, 20000);
    p.in[0].chunk_max = 1 + draw(&r, 20000);
    p.out.pause_max = p.in[0].pause_max = TARN_MS(50);
    p.out.pause_ppm = maybe(&r, 300000);
    p.in[0].pause_ppm = maybe(&r, 300000);
    pair_start(&p);
    pair_finish(&p, TARN_SEC(40000));
}

SIM_TEST(tcp_transfer, survives_20_percent_loss_each_way, 30) {
    struct pair p;
    struct tarn_sim_link_config link = {
        .path = {.bits_per_s = 100000000, .delay = TARN_MS(10), .loss_ppm = 200000},
        .features = TARN_NETIF_TX_TSO4 | TARN_NETIF_TX_CSUM};
    struct sim_host_config host = {.options = {.connect_timeout = TARN_SEC(1200)}};
    pair_new(&p, seed, &link, &host, &host);
    p.out.bytes_out = 200000;
    p.in[0].bytes_out = 100000;
    pair_start(&p);
    pair_finish(&p, TARN_SEC(40000));
}

SIM_TEST(tcp_transfer, survives_total_reordering_and_duplication, 30) {
    struct pair p;
    struct tarn_sim_link_config link = {.path = {.delay = TARN_MS(1),
                                                 .reorder_ppm = 1000000,
                                                 .reorder_by = TARN_MS(20),
                                                 .duplicate_ppm = 300000}};
    struct sim_host_config host = {.options = {.no_sack = seed & 1, .no_timestamps = seed & 2}};
    pair_new(&p, seed, &link, &host, &host);
    p.out.bytes_out = 200000;
    p.in[0].bytes_out = 200000;
    pair_start(&p);
    pair_finish(&p, TARN_SEC(10000));
}

SIM_TEST(tcp_transfer, survives_partitions, 30) {
    struct pair p;
    struct tarn_random_seeded r;
    tarn_random_seeded_init(&r, seed);
    struct tarn_sim_link_config link = {.path = {.bits_per_s = 1000000, .delay = TARN_MS(20)}};
    struct sim_host_config host = {.options = {.connect_timeout = TARN_SEC(1200)}};
    pair_new(&p, seed, &link, &host, &host);
    p.out.bytes_out = 300000;
    p.in[0].bytes_out = 300000;
    tarn_time at = TARN_MS(200); /* the server has heard that its SYN came: it gives up sooner */
    for (unsigned i = 0; i < 5; i++) {
        at += TARN_MS(draw(&r, 2000));
        tarn_time until = at + TARN_MS(draw(&r, 60000));
        tarn_sim_link_outage(p.lan.link, at, until);
        at = until;
    }
    pair_start(&p);
    pair_finish(&p, TARN_SEC(10000));
}

SIM_TEST(tcp_transfer, survives_a_pool_that_runs_dry, 30) {
    struct pair p;
    struct tarn_random_seeded r;
    struct tarn_sim_hog hog[2] = {0};
    tarn_random_seeded_init(&r, seed);
    struct tarn_sim_link_config link = {.path = {.bits_per_s = 5000000, .delay = TARN_MS(5)}};
    struct sim_host_config host = {.pkts = {{32, 64, 2}},
                                   .options = {.connect_timeout = TARN_SEC(1200)}};
    pair_new(&p, seed, &link, &host, &host);
    p.out.bytes_out = 300000;
    p.in[0].bytes_out = 300000;
    pair_start(&p);
    for (unsigned i = 0; i < 40 && !pair_done(&p); i++) {
        struct sim_host *host_dry = i & 1 ? p.client : p.server;
        tarn_sim_run(p.lan.sim, tarn_sim_now(p.lan.sim) + TARN_MS(draw(&r, 50)));
        tarn_sim_hog_take(&hog[i & 1], &host_dry->pkts);
        tarn_sim_run(p.lan.sim, tarn_sim_now(p.lan.sim) + TARN_MS(draw(&r, 500)));
        tarn_sim_hog_release(&hog[i & 1]);
    }
    pair_finish(&p, TARN_SEC(10000));
}

/* -- zero windows -------------------------------------------------------------------------------
 */

struct update_eater {
    struct tarn_sim_hook hook;
    struct tarn_netif *reader;
    struct tarn_random_seeded random;
    unsigned eaten;
};

/* Most of what the reader sends without data is lost, its window updates among it. */
static bool eat_updates(struct tarn_sim_hook *hook, struct tarn_netif *from, struct tarn_bytes f) {
    struct update_eater *e = TARN_CONTAINER_OF(hook, struct update_eater, hook);
    bool eats = from == e->reader && f.len < 100 && !(*tarn_bytes_at(f, 47) & 7)
                && tarn_random_below(&e->random.random, 10) < 7;
    e->eaten += eats;
    return !eats;
}

SIM_TEST(tcp_transfer, survives_a_slow_reader_and_lost_window_updates, 30) {
    struct pair p;
    struct update_eater eater = {.hook.frame = eat_updates};
    struct tarn_sim_link_config link = {.path = {.bits_per_s = 10000000, .delay = TARN_MS(5)},
                                        .features = TARN_NETIF_TX_TSO4 | TARN_NETIF_TX_CSUM};
    struct sim_host_config reader = {
        .limits = {.rcv_buf_bytes_min = 8192, .rcv_buf_bytes_max = 8192}};
    struct sim_host_config writer = {.options = {.user_timeout = TARN_SEC(20000)}};
    pair_new(&p, seed, &link, &writer, &reader);
    tarn_random_seeded_init(&eater.random, seed);
    eater.reader = p.server->netif;
    p.out.bytes_out = 60000;
    p.out.chunk_max = 30000;
    p.in[0].chunk_max = 2000;
    p.in[0].pause_max = TARN_SEC(2);
    p.in[0].pause_ppm = 500000;
    pair_start(&p);
    tarn_sim_link_hook(p.lan.link, &eater.hook);
    SIM_CHECK(tarn_sim_run_until(p.lan.sim, pair_done, &p, TARN_SEC(20000)), "stuck: %s %s",
              sim_stream_text(&p.out), sim_stream_text(&p.in[0]));
    SIM_CHECK(eater.eaten > 5);
    pair_finish(&p, TARN_SEC(20000));
}
