/* SPDX-License-Identifier: ISC */
/* More than there is room for: floods, storms, no memory. What cannot be served is refused and
 * counted, what can is served right, and afterwards everything is as it was before. */
#include "seeds.h"
#include "stream.h"

enum { PORT = 80 };

static uint32_t draw(struct tarn_random_seeded *r, uint32_t max) {
    return tarn_random_below(&r->random, max + 1);
}

/* -- a storm of connections ---------------------------------------------------------------------
 */

enum { STORM_HOSTS = 20, STORM_EACH = 25, STORM_ALL = STORM_HOSTS * STORM_EACH };

struct storm {
    struct sim_lan lan;
    struct sim_host *server;
    struct sim_server listener;
    struct sim_stream in[STORM_ALL], out[STORM_ALL];
    unsigned started;
};

static bool storm_done(void *arg) {
    struct storm *s = arg;
    for (unsigned i = 0; i < s->started; i++)
        if (!sim_stream_is_done(&s->out[i]))
            return false;
    return true;
}

/* All streams write the same pattern: who meets whom is not known beforehand. */
static void storm_stream(struct sim_stream *s, struct tarn_random_seeded *r, bool client) {
    s->pattern_out = client ? 1 : 2;
    s->pattern_in = client ? 2 : 1;
    s->bytes_out = client ? 100 : 3000;
    s->chunk_max = 1 + draw(r, 4000);
}

SIM_TEST(tcp_pressure, every_connection_of_a_storm_is_served, 5) {
    static struct storm s;
    struct tarn_random_seeded r;
    memset(&s, 0, sizeof s);
    tarn_random_seeded_init(&r, seed);
    struct tarn_sim_link_config link = {.path = {.bits_per_s = 100000000,
                                                 .delay = TARN_MS(1),
                                                 .loss_ppm = draw(&r, 1) ? 10000 : 0}};
    struct sim_host_config small = {.pkts = {{128, 256, 2}}};
    struct sim_host_config large = {.limits = {.connections_max = 600}};
    sim_lan_init(&s.lan, seed, &link);
    s.server = sim_host_new(&s.lan, &large);
    for (unsigned i = 0; i < STORM_ALL; i++)
        storm_stream(&s.in[i], &r, false);
    s.listener.streams = s.in;
    s.listener.count = STORM_ALL;
    sim_server_start(&s.listener, s.server, PORT, 32);
    for (unsigned h = 0; h < STORM_HOSTS; h++) {
        struct sim_host *host = sim_host_new(&s.lan, &small);
        for (unsigned i = 0; i < STORM_EACH; i++) {
            struct sim_stream *out = &s.out[s.started++];
            storm_stream(out, &r, true);
            struct tarn_flow *flow = sim_host_connect(host, s.server, PORT);
            SIM_CHECK(flow);
            sim_stream_start(out, host, flow);
        }
        tarn_sim_wake(&host->actor);
    }
    SIM_CHECK(tarn_sim_run_until(s.lan.sim, storm_done, &s, TARN_SEC(600)));
    for (unsigned i = 0; i < STORM_ALL; i++)
        SIM_CHECK(!s.out[i].error && !s.out[i].wrong && s.out[i].got == 3000, "%u: %s", i,
                  sim_stream_text(&s.out[i]));
    SIM_CHECK(sim_lan_settle(&s.lan, TARN_SEC(600)), "%s", sim_host_text(s.server));
    SIM_CHECK(sim_host_stats(s.server).established == STORM_ALL);
    sim_lan_free(&s.lan);
}

/* -- floods -------------------------------------------------------------------------------------
 */

static void put16(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

/* A segment without options. */
static void forge(struct sim_host *from, const struct sim_host *as, const struct sim_host *to,
                  uint16_t src_port, uint32_t seq, uint32_t ack, uint8_t flags) {
    uint8_t h[20] = {0};
    put16(h, src_port);
    put16(h + 2, PORT);
    put16(h + 4, seq >> 16);
    put16(h + 6, seq);
    put16(h + 8, ack >> 16);
    put16(h + 10, ack);
    h[12] = 0x50;
    h[13] = flags;
    put16(h + 14, 1000);
    sim_host_forge(from, &as->addr, &to->addr, TARN_SPAN_ARRAY(h));
}

struct flood {
    struct sim_lan lan;
    struct sim_host *server, *client, *attacker, *victim;
    struct sim_server listener;
    struct sim_stream in[1], out;
    struct tarn_random_seeded r;
};

static void flood_new(struct flood *f, uint64_t seed, const struct sim_host_config *server) {
    *f = (struct flood){0};
    tarn_random_seeded_init(&f->r, seed);
    struct tarn_sim_link_config link = {.path = {.bits_per_s = 100000000, .delay = TARN_MS(1)}};
    struct sim_host_config host = {.pkts = {{128, 256, 2}}};
    sim_lan_init(&f->lan, seed, &link);
    f->server = sim_host_new(&f->lan, server);
    f->client = sim_host_new(&f->lan, &host);
    f->attacker = sim_host_new(&f->lan, &host);
    f->victim = sim_host_new(&f->lan, &host); /* whose address is used, and who is not there */
    tarn_sim_netif_set_up(f->victim->netif, false);
    f->in[0].pattern_out = f->out.pattern_in = 1;
    f->out.pattern_out = f->in[0].pattern_in = 2;
    f->out.bytes_out = f->in[0].bytes_out = 20000;
    f->listener.streams = f->in;
    f->listener.count = 1;
    sim_server_start(&f->listener, f->server, PORT, 4);
}

static void flood_client(struct flood *f) {
    struct tarn_flow *flow = sim_host_connect(f->client, f->server, PORT);
    SIM_CHECK(flow);
    sim_stream_start(&f->out, f->client, flow);
    tarn_sim_wake(&f->client->actor);
}

static bool flood_served(const struct flood *f) {
    return f->out.closed && !f->out.error && f->out.got == f->in[0].bytes_out
           && f->in[0].got == f->out.bytes_out;
}

SIM_TEST(tcp_pressure, a_syn_flood_keeps_nobody_out, 5) {
    struct flood f;
    struct sim_host_config server = {.limits = {.connections_max = 64, .syn_queue_max = 16}};
    flood_new(&f, seed, &server);
    for (unsigned i = 0; i < 20000; i++) {
        forge(f.attacker, f.victim, f.server, (uint16_t)(1024 + draw(&f.r, 60000)),
              tarn_random_u32(&f.r.random), 0, 0x02);
        tarn_sim_run(f.lan.sim, tarn_sim_now(f.lan.sim) + TARN_US(draw(&f.r, 100)));
        if (i == 2000)
            flood_client(&f);
        struct tarn_tcp_stats s = sim_host_stats(f.server);
        SIM_CHECK(s.half_open <= 16 && s.connections <= 2);
    }
    SIM_CHECK(flood_served(&f), "%s", sim_stream_text(&f.out));
    SIM_CHECK(sim_host_stats(f.server).syn_cookies_sent > 10000);
    SIM_CHECK(sim_lan_settle(&f.lan, TARN_SEC(600)), "%s", sim_host_text(f.server));
    sim_lan_free(&f.lan);
}

/* Anything at all, at the port and at the connection's four-tuple (its sequence numbers unknown).
 */
SIM_TEST(tcp_pressure, a_flood_of_blind_segments_harms_no_connection, 5) {
    struct flood f;
    struct sim_host_config server = {.limits = {.connections_max = 64, .syn_queue_max = 16}};
    flood_new(&f, seed, &server);
    f.out.pause_max = TARN_MS(20);
    f.out.pause_ppm = 500000;
    flood_client(&f);
    tarn_sim_run(f.lan.sim, TARN_MS(5));
    struct tarn_endpoint local;
    SIM_CHECK(f.out.flow && tarn_flow_endpoints(f.out.flow, &local, NULL) == TARN_OK);
    for (unsigned i = 0; i < 20000; i++) {
        bool aimed = draw(&f.r, 1);
        uint8_t flags = (uint8_t)draw(&f.r, 255);
        forge(f.attacker, aimed ? f.client : f.victim, f.server,
              aimed ? local.port : (uint16_t)(1024 + draw(&f.r, 60000)),
              tarn_random_u32(&f.r.random), tarn_random_u32(&f.r.random), flags);
        tarn_sim_run(f.lan.sim, tarn_sim_now(f.lan.sim) + TARN_US(draw(&f.r, 100)));
    }
    tarn_sim_run(f.lan.sim, tarn_sim_now(f.lan.sim) + TARN_SEC(300));
    SIM_CHECK(flood_served(&f), "%s %s", sim_stream_text(&f.out), sim_stream_text(&f.in[0]));
    SIM_CHECK(sim_lan_settle(&f.lan, TARN_SEC(600)), "%s", sim_host_text(f.server));
    sim_lan_free(&f.lan);
}

/* Nobody accepts: the queue fills, the others are told nothing that is not so. */
SIM_TEST(tcp_pressure, a_full_accept_queue_holds_and_lets_go, 5) {
    enum { MANY = 40 };
    struct sim_lan lan;
    struct tarn_sim_link_config link = {.path = {.delay = TARN_MS(1)}};
    struct sim_host_config host = {.limits = {.connections_max = 128, .syn_queue_max = 32}};
    sim_lan_init(&lan, seed, &link);
    struct sim_host *server = sim_host_new(&lan, &host), *client = sim_host_new(&lan, &host);
    struct tarn_listener *listener = sim_host_listen(server, PORT, 4);
    struct tarn_flow *flows[MANY], *accepted;
    for (unsigned i = 0; i < MANY; i++)
        SIM_CHECK((flows[i] = sim_host_connect(client, server, PORT)) != NULL);
    tarn_sim_wake(&client->actor);
    tarn_sim_run(lan.sim, TARN_SEC(5));
    struct tarn_tcp_stats s = sim_host_stats(server);
    SIM_CHECK(s.connections <= 5 && s.drop_accept_queue > 0, "%u connections", s.connections);
    for (unsigned i = 0; i < 4; i++) {
        SIM_CHECK(tarn_listener_accept(listener, &accepted) == TARN_OK);
        tarn_flow_close(accepted);
    }
    for (unsigned i = 0; i < MANY; i++)
        tarn_flow_close(flows[i]);
    tarn_listener_close(listener);
    tarn_sim_wake(&server->actor);
    tarn_sim_wake(&client->actor);
    SIM_CHECK(sim_lan_settle(&lan, TARN_SEC(2000)), "%s, %s", sim_host_text(server),
              sim_host_text(client));
    sim_lan_free(&lan);
}

/* -- no memory ----------------------------------------------------------------------------------
 */

/* Many writers share a budget far too small for them: all of them get there. */
SIM_TEST(tcp_pressure, a_small_budget_is_shared_and_never_exceeded, 10) {
    enum { MANY = 12 };
    struct sim_lan lan;
    struct tarn_random_seeded r;
    struct sim_stream in[MANY] = {0}, out[MANY] = {0};
    struct sim_server listener = {.streams = in, .count = MANY};
    tarn_random_seeded_init(&r, seed);
    struct tarn_sim_link_config link = {
        .path = {.bits_per_s = 10000000, .delay = TARN_MS(2), .loss_ppm = 5000}};
    struct sim_host_config host = {.limits = {.memory_bytes = 256u << 10}};
    sim_lan_init(&lan, seed, &link);
    struct sim_host *server = sim_host_new(&lan, &host), *client = sim_host_new(&lan, &host);
    for (unsigned i = 0; i < MANY; i++) {
        in[i].pattern_out = out[i].pattern_in = 5;
        out[i].pattern_out = in[i].pattern_in = 6;
        in[i].bytes_out = out[i].bytes_out = 60000;
        in[i].chunk_max = out[i].chunk_max = 20000;
        in[i].pause_max = TARN_MS(100);
        in[i].pause_ppm = 200000;
    }
    sim_server_start(&listener, server, PORT, MANY);
    for (unsigned i = 0; i < MANY; i++)
        sim_stream_start(&out[i], client, sim_host_connect(client, server, PORT));
    tarn_sim_wake(&client->actor);
    bool done = false;
    while (!done && tarn_sim_step(lan.sim, TARN_SEC(3000))) {
        struct tarn_tcp_stats s = sim_host_stats(server), c = sim_host_stats(client);
        SIM_CHECK(s.snd_bytes + s.rcv_bytes <= 256u << 10, "%zu + %zu", s.snd_bytes, s.rcv_bytes);
        SIM_CHECK(c.snd_bytes + c.rcv_bytes <= 256u << 10, "%zu + %zu", c.snd_bytes, c.rcv_bytes);
        done = true;
        for (unsigned i = 0; i < MANY; i++)
            done = done && in[i].closed && out[i].closed;
    }
    for (unsigned i = 0; i < MANY; i++)
        SIM_CHECK(sim_stream_is_good(&in[i], &out[i]) && sim_stream_is_good(&out[i], &in[i]),
                  "%u: %s %s", i, sim_stream_text(&in[i]), sim_stream_text(&out[i]));
    SIM_CHECK(sim_lan_settle(&lan, TARN_SEC(600)));
    sim_lan_free(&lan);
}

Test(tcp_pressure, init_refuses_at_each_allocation_that_fails) {
    struct tarn_random_seeded random;
    struct tarn_tasks tasks;
    struct tarn_ip_lower lower = {0};
    struct tarn_pkt_pool pkts = {0};
    struct tarn_sim_alloc a;
    struct tarn_tcp_config config = {.alloc = &a.alloc,
                                     .random = &random.random,
                                     .tasks = &tasks,
                                     .pkts = &pkts,
                                     .lower = &lower};
    struct tarn_tcp *tcp;
    tarn_random_seeded_init(&random, 1);
    tarn_tasks_init(&tasks);
    tarn_sim_alloc_init(&a);
    cr_assert_eq(tarn_tcp_new(&config, &tcp), TARN_OK);
    uint64_t calls = a.calls;
    cr_assert_gt(calls, 1);
    tarn_sim_alloc_free_all(&a);
    for (uint64_t n = 1; n <= calls; n++)
        for (unsigned on = 0; on < 2; on++) {
            tarn_sim_alloc_init(&a);
            a.fail_at = n;
            a.fail_on = on;
            cr_assert_eq(tarn_tcp_new(&config, &tcp), TARN_LIMIT, "call %u", (unsigned)n);
            tarn_sim_alloc_free_all(&a);
        }
}
