/* SPDX-License-Identifier: ISC */
/* The store on a device in whole programs: fibers that share it, on a disk that loses its power. */
#include "machine.h"
#include "seeds.h"

#include <stdio.h>
#include <tarn/kv_tree.h>

enum { FIBERS = 6, SETS_MAX = 100000 };

static struct tarn_device storage = {.name = "storage", .type = TARN_DEVICE_BLK};

/* What the fibers were told, life after life: fiber i's keys 0 to answered[i] - 1 are set. */
static struct {
    bool made;
    unsigned answered[FIBERS], sets; /* sets: each fiber's, and then it ends; 0: for ever */
    unsigned running, wrong;
    struct tarn_kv *kv;
} world;

static struct tarn_waiter *waiter_of(void *env) {
    return tarn_env_waiter(env);
}

static struct tarn_span key_of(char room[32], unsigned fiber, unsigned n) {
    return tarn_span_of(room, (size_t)snprintf(room, 32, "fiber%u/%u", fiber, n));
}

static void set_and_set(struct tarn_env *env, void *arg) {
    unsigned *answered = arg, fiber = (unsigned)(answered - world.answered);
    struct tarn_kv *kv = world.kv;
    char room[32];
    (void)env;
    for (unsigned n = *answered; !world.sets || n < world.sets; n++) {
        struct tarn_span key = key_of(room, fiber, n);
        if (tarn_kv_set(kv, key, key) != TARN_OK)
            break;
        *answered = n + 1;
    }
    world.running--;
}

/* All that was answered is there, and at most the one that was not. */
static void look(struct tarn_kv *kv) {
    for (unsigned i = 0; i < FIBERS; i++) {
        unsigned n = 0;
        for (;; n++) {
            char room[32], got[32];
            struct tarn_span key = key_of(room, i, n);
            size_t len;
            enum tarn_err err = kv->ops->get_partial(kv, key, 0, TARN_BYTES_ARRAY(got), &len);
            if (err == TARN_NOT_FOUND)
                break;
            world.wrong += err || !tarn_span_equal(tarn_span_of(got, len), key);
        }
        world.wrong += n < world.answered[i] || n > world.answered[i] + 1;
        world.answered[i] = n;
    }
}

static int keep(struct tarn_env *env) {
    struct tarn_kv_tree_config config = {.alloc = tarn_env_alloc(env),
                                         .waiter = waiter_of,
                                         .user = env,
                                         .clock = tarn_env_clock(env),
                                         .random = tarn_env_random(env),
                                         .table_bytes = 256 << 10,
                                         .cache_bytes = 64 << 10};
    struct tarn_kv_tree *tree;
    if (tarn_env_blk(env, &storage, &config.blk))
        return 2;
    if (!world.made && tarn_kv_tree_format(&config, 512 << 10))
        return 3;
    world.made = true;
    if (tarn_kv_tree_open(&config, &tree))
        return 4;
    world.kv = tarn_kv_tree_kv(tree);
    look(world.kv);
    world.running = FIBERS;
    for (unsigned i = 0; i < FIBERS; i++)
        if (tarn_fiber_start(env, set_and_set, &world.answered[i], 64 << 10))
            return 5;
    while (world.running)
        tarn_sleep(env, TARN_MS(10));
    tarn_kv_tree_close(tree);
    return 0;
}

static struct tarn_machine *begin(struct tarn_sim *sim, struct tarn_sim_disk **disk) {
    struct tarn_machine *m =
        tarn_machine_new(sim, &(struct tarn_machine_config){
                                  .name = "kv", .program = {.main = keep}, .heap_bytes = 8u << 20});
    *disk = tarn_sim_disk_new(sim, &(struct tarn_sim_disk_config){.blocks = 4096,
                                                                  .latency_min = TARN_US(20),
                                                                  .latency_max = TARN_US(200)});
    tarn_machine_attach_blk(m, "storage", *disk);
    memset(&world, 0, sizeof world);
    return m;
}

SIM_TEST(kv, fibers_share_flushes, 3) {
    struct tarn_sim *sim = tarn_sim_new(seed);
    struct tarn_sim_disk *disk;
    struct tarn_machine *m = begin(sim, &disk);
    world.sets = 100;
    tarn_machine_start(m, "");
    tarn_sim_run(sim, TARN_SEC(100));
    SIM_CHECK(tarn_machine_status(m) == 0, "%d", tarn_machine_status(m));
    SIM_CHECK(world.wrong == 0);
    for (unsigned i = 0; i < FIBERS; i++)
        SIM_CHECK(world.answered[i] == 100);
    /* Six fibers wait at a time, so a flush serves several. */
    SIM_CHECK(tarn_sim_disk_counters(disk)->flushes < FIBERS * 100 / 2, "%u flushes",
              (unsigned)tarn_sim_disk_counters(disk)->flushes);
    tarn_machine_free(m);
    tarn_sim_free(sim);
}

SIM_TEST(kv, nothing_answered_is_lost_with_the_power, 6) {
    struct tarn_sim *sim = tarn_sim_new(seed);
    struct tarn_random_seeded random;
    struct tarn_sim_disk *disk;
    struct tarn_machine *m = begin(sim, &disk);
    tarn_sim_random(sim, &random);
    for (unsigned life = 0; life < 30; life++) {
        tarn_machine_start(m, "");
        tarn_time cut = tarn_random_below(&random.random, (uint32_t)TARN_MS(100));
        tarn_sim_run(sim, tarn_sim_now(sim) + TARN_MS(50) + cut);
        SIM_CHECK(tarn_machine_is_on(m), "life %u ended: %d", life, tarn_machine_status(m));
        tarn_sim_disk_power_loss(disk);
        tarn_machine_stop(m);
        tarn_sim_disk_power_on(disk);
        SIM_CHECK(world.wrong == 0, "life %u", life);
    }
    SIM_CHECK(world.answered[0] > 100, "%u", world.answered[0]);
    tarn_machine_free(m);
    tarn_sim_free(sim);
}
