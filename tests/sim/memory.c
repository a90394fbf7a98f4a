/* SPDX-License-Identifier: ISC */
/* Memory that runs out. */
#include "seeds.h"
#include "sim.h"

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
