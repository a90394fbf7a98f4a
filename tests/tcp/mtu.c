/* SPDX-License-Identifier: ISC */
/* Path MTU discovery where no router speaks (RFC 8899, RFC 4821). */
#include "net.h"

#include <criterion/criterion.h>

#ifndef SEEDS
#define SEEDS 100
#endif

/* Larger datagrams vanish, of host 0 or 1 alone where that is said. */
enum { BOTH = 2 };
static uint32_t path_bytes_max;
static unsigned path_of = BOTH;

static bool swallow(struct net *net, unsigned from, const uint8_t *tcp, size_t len) {
    (void)net;
    (void)tcp;
    return len + 20 <= path_bytes_max || (path_of != BOTH && path_of != from);
}

/* Host 0 sends for ever to host 1. */
struct bulk {
    struct net *net;
    struct tarn_flow *client, *server;
    struct xfer out, in;
};

static struct bulk bulk_new(uint64_t seed, uint32_t bytes_max) {
    struct tarn_tcp_options options = {.user_timeout = TARN_SEC(3600)};
    struct bulk b = {.net = net_new(seed, NULL, &options)};
    path_bytes_max = bytes_max;
    b.net->filter = swallow;
    b.net->rules.bytes_per_s = 100000;
    b.net->rules.queue_max = 50;
    net_connect(b.net, &b.client, &b.server);
    return b;
}

static void bulk_start(struct bulk *b) {
    xfer_start(&b->in, b->server, 0);
    b->in.keep_open = b->out.keep_open = true;
    xfer_start(&b->out, b->client, (uint64_t)1 << 40);
}

static void bulk_done(struct bulk *b) {
    cr_assert_not(b->in.failed || b->out.failed);
    tarn_flow_abort(b->client);
    tarn_flow_abort(b->server);
    net_assert_clean(b->net);
    net_free(b->net);
}

Test(mtu, rfc8899_5_3_search_finds_what_the_path_carries) {
    static const uint32_t sizes[] = {600, 1100, 1281, 1350, 1420, 1492};
    for (size_t i = 0; i < TARN_COUNT_OF(sizes); i++) {
        struct bulk b = bulk_new(i + 1, sizes[i]);
        bulk_start(&b);
        net_run_for(b.net, TARN_SEC(30));
        struct tarn_tcp_info info = info_of(b.client);
        cr_assert(info.path_mtu <= sizes[i] && info.path_mtu + 32u > sizes[i], "%u: %u", sizes[i],
                  info.path_mtu);
        cr_assert_gt(b.in.received, 1100000u);
        bulk_done(&b);
    }
}

/* A path that has carried full segments and does not any more is not waited for until timeouts have
 * backed off to many seconds. */
Test(mtu, path_that_shrinks_silently_is_found_out_soon) {
    static const uint32_t sizes[] = {1000, 1300};
    for (size_t i = 0; i < TARN_COUNT_OF(sizes); i++) {
        struct bulk b = bulk_new(1, 1500);
        bulk_start(&b);
        net_run_for(b.net, TARN_SEC(5));
        uint64_t before = b.in.received;
        path_bytes_max = sizes[i];
        net_run_for(b.net, TARN_SEC(40)); /* a timeout is 0.9 s here */
        cr_assert_gt(b.in.received, before + 500000u, "%u: only %llu", sizes[i],
                     (unsigned long long)(b.in.received - before));
        bulk_done(&b);
    }
}

Test(mtu, rfc4821_7_5_lost_probe_is_no_congestion) {
    struct bulk b = bulk_new(1, 1300);
    b.net->rules.queue_max = 1000;
    bulk_start(&b);
    net_run_for(b.net, TARN_SEC(5)); /* the timeouts that find the hole reduce */
    struct tarn_tcp_stats before = stats_of(b.net, 0);
    net_run_for(b.net, TARN_SEC(20));
    struct tarn_tcp_stats after = stats_of(b.net, 0);
    cr_assert_eq(after.fast_recoveries, before.fast_recoveries);
    cr_assert_eq(after.timeouts, before.timeouts);
    cr_assert(info_of(b.client).path_mtu > 1268 && info_of(b.client).path_mtu <= 1300);
    bulk_done(&b);
}

Test(mtu, rfc8899_5_1_1_larger_path_is_found_later) {
    struct bulk b = bulk_new(1, 1400);
    bulk_start(&b);
    net_run_for(b.net, TARN_SEC(30));
    cr_assert_lt(info_of(b.client).path_mtu, 1401);
    path_bytes_max = 1500;
    net_run_for(b.net, TARN_SEC(300));
    cr_assert_lt(info_of(b.client).path_mtu, 1401);
    net_run_for(b.net, TARN_SEC(400)); /* PMTU_RAISE_TIMER, 600 s */
    cr_assert_eq(info_of(b.client).path_mtu, 1500);
    bulk_done(&b);
}

Test(mtu, probes_survive_loss_and_reordering) {
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct bulk b = bulk_new(seed, 1400);
        b.net->rules.loss = 0.02;
        b.net->rules.reorder = 0.05;
        bulk_start(&b);
        net_run_for(b.net, TARN_SEC(60));
        cr_assert_leq(info_of(b.client).path_mtu, 1400);
        cr_assert_gt(b.in.received, 500000u);
        bulk_done(&b);
    }
}

/* -- a line that shrinks in the middle of a transfer both ways, from many seeds -- */

static uint32_t below(struct tarn_random_seeded *r, uint32_t n) {
    return tarn_random_below(&r->random, n);
}

/* Bytes each way; how long it took. */
static tarn_time shrinking_line(uint64_t seed, uint32_t bytes) {
    struct tarn_random_seeded r;
    struct tarn_flow *flows[2];
    struct xfer x[2];
    tarn_random_seeded_init(&r, seed);
    struct net *net = net_new(seed, NULL, NULL);
    path_bytes_max = 1500;
    path_of = below(&r, 3);
    net->filter = swallow;
    net->rules.delay = TARN_US(50 + below(&r, 30000));
    net->rules.loss = below(&r, 4) * 0.01;
    net->rules.duplicate = below(&r, 3) * 0.02;
    net->rules.reorder = below(&r, 3) * 0.05;
    net->rules.reorder_by = TARN_MS(2);
    net_connect(net, &flows[0], &flows[1]);
    for (int i = 0; i < 2; i++) {
        xfer_start(&x[i], flows[i], bytes);
        x[i].keep_open = true;
    }
    tarn_time start = net->now;
    uint64_t shrinks_at = below(&r, bytes);
    uint32_t shrinks_to = 576 + below(&r, 900);
    while (x[0].received < bytes || x[1].received < bytes) {
        if (x[0].received + x[1].received >= shrinks_at)
            path_bytes_max = shrinks_to;
        cr_assert_not(x[0].failed || x[1].failed, "seed %llu", (unsigned long long)seed);
        cr_assert_lt(net->now - start, TARN_SEC(600), "seed %llu stands at %llu and %llu of %u",
                     (unsigned long long)seed, (unsigned long long)x[0].received,
                     (unsigned long long)x[1].received, bytes);
        net_run_for(net, TARN_MS(20));
    }
    tarn_time took = net->now - start;
    tarn_flow_abort(flows[0]);
    tarn_flow_abort(flows[1]);
    net_run_for(net, TARN_SEC(1));
    net_free(net);
    return took;
}

/* Nothing stands still: what vanishes is found out within a few timeouts, whatever is lost besides.
 */
Test(mtu, line_that_shrinks_never_stops_a_transfer) {
    tarn_time worst = 0;
    uint64_t worst_seed = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        tarn_time took = shrinking_line(seed, 200000);
        if (took > worst) {
            worst = took;
            worst_seed = seed;
        }
    }
    cr_assert_lt(worst, TARN_SEC(60), "seed %llu took %llu ms", (unsigned long long)worst_seed,
                 (unsigned long long)(worst / TARN_MS(1)));
    cr_log_info("the slowest of %d took %llu ms", SEEDS, (unsigned long long)(worst / TARN_MS(1)));
}
