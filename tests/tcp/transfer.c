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

/* -- without a copy -- */

static const uint8_t page[100000] = {'p', 'a', 'g', 'e'};
static uint64_t lent_bytes, other_bytes;

/* Every fragment lies in the page itself; what is in front of it is the header. */
static void look_for_page(struct net *net, const struct tarn_pkt *pkt) {
    (void)net;
    for (uint32_t i = 0; i < pkt->nfrags; i++) {
        const uint8_t *at = pkt->frag[i].ptr;
        bool in_page = at >= page && at + pkt->frag[i].len <= page + sizeof page;
        *(in_page ? &lent_bytes : &other_bytes) += pkt->frag[i].len;
    }
    cr_assert_eq(pkt->csum_state, TARN_CSUM_PARTIAL); /* nobody has read the bytes to sum them */
}

Test(transfer, constant_memory_goes_down_where_it_lies_and_unsummed) {
    struct net *net = net_new(1, NULL, NULL);
    struct tarn_lease lease = {.holds = 1};
    struct tarn_flow *client, *server;
    struct tarn_bytes piece;
    size_t done = 0, got = 0, n;
    net_connect(net, &client, &server);
    lent_bytes = other_bytes = 0;
    net->look = look_for_page;
    net->rules.whole = true;
    while (got < sizeof page) {
        enum tarn_err err =
            tarn_flow_lend(server, tarn_span_of(page + done, sizeof page - done), &lease, &n);
        cr_assert(err == TARN_OK || err == TARN_AGAIN);
        done += n;
        net_run_for(net, TARN_MS(10));
        for (; tarn_flow_peek(client, &piece) == TARN_OK; got += piece.len)
            tarn_flow_consume(client, piece.len);
    }
    net_run_for(net, TARN_SEC(1));
    cr_assert_eq(lent_bytes, sizeof page);
    cr_assert_eq(other_bytes, 0);
    cr_assert_eq(lease.holds, 1); /* given back by all */
    tarn_flow_abort(client);
    tarn_flow_abort(server);
    net_assert_clean(net);
    net_free(net);
}
