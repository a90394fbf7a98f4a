/* SPDX-License-Identifier: ISC */
/* Bytes arrive, whole and in order, whatever the wire does; and afterwards nothing is left. */
#include "net.h"

#include <criterion/criterion.h>

static void exchange(uint64_t seed, struct rules rules, uint64_t up, uint64_t down, bool lend) {
    struct net *net = net_new(seed, NULL, NULL);
    struct tarn_flow *client, *server;
    struct xfer a = {.lend = lend, .close_at_end = true}, b = {.close_at_end = true};
    net->rules = rules;
    net_connect(net, &client, &server);
    xfer_start(&a, client, up);
    xfer_start(&b, server, down);
    net_run_for(net, TARN_SEC(3600));
    cr_assert(a.end_seen && b.end_seen, "seed %llu: not finished (%llu of %llu, %llu of %llu)",
              (unsigned long long)seed, (unsigned long long)b.received, (unsigned long long)up,
              (unsigned long long)a.received, (unsigned long long)down);
    cr_assert_eq(b.received, up);
    cr_assert_eq(a.received, down);
    net_assert_clean(net);
    net_free(net);
}

Test(transfer, clean_wire_both_directions) {
    exchange(1, (struct rules){.delay = TARN_MS(10)}, 3000000, 2000000, false);
}

Test(transfer, lent_memory) {
    exchange(2, (struct rules){.delay = TARN_MS(10)}, 500000, 10, true);
}

Test(transfer, super_segments_arrive_whole) {
    exchange(3, (struct rules){.delay = TARN_MS(10), .whole = true}, 3000000, 2000000, false);
}

Test(transfer, no_delay_at_all) {
    exchange(4, (struct rules){.delay = 0}, 3000000, 3000000, false);
}

Test(transfer, survives_loss) {
    for (uint64_t seed = 100; seed < 130; seed++)
        exchange(seed, (struct rules){.delay = TARN_MS(20), .loss = 0.02 * (double)(seed % 11)},
                 200000, 100000, seed % 2);
}

Test(transfer, survives_reordering_and_duplication) {
    for (uint64_t seed = 200; seed < 220; seed++)
        exchange(
            seed,
            (struct rules){
                .delay = TARN_MS(5), .reorder = 0.3, .reorder_by = TARN_MS(30), .duplicate = 0.1},
            400000, 100000, false);
}

Test(transfer, survives_everything_at_once) {
    for (uint64_t seed = 300; seed < 330; seed++)
        exchange(seed,
                 (struct rules){.delay = TARN_MS(5),
                                .loss = 0.1,
                                .reorder = 0.1,
                                .reorder_by = TARN_MS(30),
                                .duplicate = 0.05,
                                .corrupt = 0.05},
                 100000, 50000, seed % 2);
}
