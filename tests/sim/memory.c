/* SPDX-License-Identifier: ISC */
/* Memory that runs out. */
#include "seeds.h"
#include "sim.h"

#include <tarn/stack.h>

Test(memory, the_nth_call_fails_and_only_that) {
    struct tarn_sim_alloc a;
    tarn_sim_alloc_init(&a);
    a.fail_at = 2;
    void *one = tarn_alloc_get(&a.alloc, 100, 64);
    cr_assert(one && (uintptr_t)one % 64 == 0);
    cr_assert_null(tarn_alloc_get(&a.alloc, 1, 1));
    void *three = tarn_alloc_get(&a.alloc, 1, 1);
    cr_assert_not_null(three);
    cr_assert_eq(a.live, 2);
    cr_assert_eq(a.live_bytes, 101);
    tarn_alloc_put(&a.alloc, one, 100);
    tarn_alloc_put(&a.alloc, three, 1);
    cr_assert_eq(a.live, 0);
    cr_assert_eq(a.live_bytes, 0);
}

Test(memory, fail_on_fails_for_good) {
    struct tarn_sim_alloc a;
    tarn_sim_alloc_init(&a);
    a.fail_at = 1;
    a.fail_on = true;
    for (unsigned i = 0; i < 3; i++)
        cr_assert_null(tarn_alloc_get(&a.alloc, 1, 1));
}

Test(memory, a_hog_takes_every_packet_and_gives_all_back) {
    struct tarn_sim_alloc a;
    struct tarn_pkt_pool pool;
    struct tarn_sim_hog hog = {0};
    tarn_sim_alloc_init(&a);
    cr_assert_eq(tarn_pkt_pool_init(&pool, &a.alloc, &(struct tarn_pkt_pool_config){{3, 2, 1}}),
                 TARN_OK);
    struct tarn_pkt *mine = tarn_pkt_alloc(&pool, 0);
    tarn_sim_hog_take(&hog, &pool);
    cr_assert_eq(hog.count, 5);
    cr_assert_null(tarn_pkt_alloc(&pool, 0));
    cr_assert_eq(tarn_sim_pkts_live(&pool), 6);
    tarn_sim_hog_release(&hog);
    cr_assert_eq(tarn_sim_pkts_live(&pool), 1);
    tarn_pkt_free(mine);
    tarn_sim_alloc_free_all(&a);
    cr_assert_eq(a.live, 0);
    cr_assert_eq(a.live_bytes, 0);
}

/* A netif with a packet pool of its own, so that only the stack's own calls are counted. */
static enum tarn_err stack_with(struct tarn_sim_alloc *a, struct tarn_netif *netif,
                                struct tarn_pkt_pool *pkts) {
    struct tarn_random_seeded random;
    struct tarn_tasks tasks;
    struct tarn_stack *stack;
    tarn_random_seeded_init(&random, 1);
    tarn_tasks_init(&tasks);
    struct tarn_stack_config config = {.alloc = &a->alloc,
                                       .random = &random.random,
                                       .tasks = &tasks,
                                       .pkts = pkts,
                                       .netif = netif,
                                       .ipv4 = {TARN_IP_ADDR_V4(10, 0, 0, 1), 24},
                                       .ipv4_gateway = TARN_IP_ADDR_V4(10, 0, 0, 254)};
    enum tarn_err err = tarn_stack_new(&config, 0, &stack);
    tarn_sim_alloc_free_all(a);
    return err;
}

Test(memory, a_whole_stack_refuses_at_each_allocation_that_fails) {
    struct tarn_sim *sim = tarn_sim_new(1);
    struct tarn_sim_link *link = tarn_sim_link_new(sim, &(struct tarn_sim_link_config){0});
    struct tarn_sim_alloc mine, its;
    struct tarn_pkt_pool pkts;
    tarn_sim_alloc_init(&mine);
    tarn_sim_alloc_init(&its);
    struct tarn_pkt_pool_config some = {{16, 16, 1}};
    cr_assert_eq(tarn_pkt_pool_init(&pkts, &mine.alloc, &some), TARN_OK);
    struct tarn_netif *netif = tarn_sim_attach(link, &pkts, NULL);
    cr_assert_eq(stack_with(&its, netif, &pkts), TARN_OK);
    uint64_t calls = its.calls;
    cr_assert_gt(calls, 10);
    for (uint64_t n = 1; n <= calls; n++)
        for (unsigned on = 0; on < 2; on++) {
            tarn_sim_alloc_init(&its);
            its.fail_at = n;
            its.fail_on = on;
            cr_assert_eq(stack_with(&its, netif, &pkts), TARN_LIMIT, "call %u of %u", (unsigned)n,
                         (unsigned)calls);
        }
    tarn_sim_free(sim);
    tarn_sim_alloc_free_all(&mine);
}
