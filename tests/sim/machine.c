/* SPDX-License-Identifier: ISC */
/* Whole programs on simulated machines: waiting, devices, power, ends. */
#include "machine.h"
#include "seeds.h"

#include <signal.h>

static struct tarn_machine *machine(struct tarn_sim *sim, int (*main)(struct tarn_env *)) {
    return tarn_machine_new(sim, &(struct tarn_machine_config){.name = "m",
                                                               .program = {.main = main},
                                                               .heap_bytes = 8u << 20});
}

static bool console_is(const struct tarn_machine *m, const char *text) {
    return tarn_span_equal(tarn_machine_console(m), tarn_span_str(text));
}

static int hello(struct tarn_env *env) {
    for (int i = 0; i < 3; i++) {
        tarn_puts(env, "hello\n");
        tarn_sleep(env, TARN_SEC(1));
    }
    return 7;
}

Test(machine, runs_a_program_in_virtual_time_to_its_end) {
    struct tarn_sim *sim = tarn_sim_new(1);
    struct tarn_machine *m = machine(sim, hello);
    tarn_machine_start(m, "");
    tarn_sim_run(sim, TARN_MS(1500));
    cr_assert(console_is(m, "hello\nhello\n"));
    cr_assert(tarn_machine_is_on(m));
    cr_assert_eq(tarn_machine_status(m), -1);
    tarn_sim_run(sim, TARN_NEVER);
    cr_assert(console_is(m, "hello\nhello\nhello\n"));
    cr_assert(!tarn_machine_is_on(m));
    cr_assert_eq(tarn_machine_status(m), 7);
    cr_assert_eq(tarn_sim_now(sim), TARN_SEC(3));
    tarn_machine_free(m);
    tarn_sim_free(sim);
}

static int print_clocks(struct tarn_env *env) {
    char text[64];
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    tarn_sleep(env, TARN_SEC(1));
    tarn_writer_dec(&w, tarn_wall_ns(env));
    tarn_put(env, tarn_writer_span(&w));
    return 0;
}

Test(machine, the_wall_clock_steps_apart_from_the_other) {
    struct tarn_sim *sim = tarn_sim_new(1);
    struct tarn_machine *m = machine(sim, print_clocks);
    tarn_machine_start(m, "");
    tarn_machine_wall_step(m, -(int64_t)TARN_SEC(10));
    tarn_sim_run(sim, TARN_NEVER);
    cr_assert(console_is(m, "1767225591000000000"));
    tarn_machine_free(m);
    tarn_sim_free(sim);
}

Test(machine, may_be_switched_off_anywhere_and_on_again) {
    struct tarn_sim *sim = tarn_sim_new(1);
    struct tarn_machine *m = machine(sim, hello);
    for (unsigned i = 0; i < 20; i++) {
        tarn_machine_start(m, "");
        tarn_sim_run(sim, tarn_sim_now(sim) + TARN_MS(500));
        tarn_machine_stop(m);
        cr_assert_eq(tarn_machine_status(m), -1);
    }
    tarn_sim_run(sim, TARN_NEVER);
    cr_assert_eq(tarn_machine_console(m).len, 20 * strlen("hello\n"));
    tarn_machine_free(m);
    tarn_sim_free(sim);
}

Test(machine, many_run_side_by_side) {
    enum { N = 100 };
    struct tarn_sim *sim = tarn_sim_new(1);
    struct tarn_machine *m[N];
    for (unsigned i = 0; i < N; i++) {
        m[i] = machine(sim, hello);
        tarn_machine_start(m[i], "");
    }
    tarn_sim_run(sim, TARN_NEVER);
    cr_assert_eq(tarn_sim_now(sim), TARN_SEC(3));
    for (unsigned i = 0; i < N; i++) {
        cr_assert_eq(tarn_machine_status(m[i]), 7);
        tarn_machine_free(m[i]);
    }
    tarn_sim_free(sim);
}

static struct tarn_device storage = {.name = "storage", .type = TARN_DEVICE_BLK};

struct blk_wait {
    struct tarn_blk_req req;
    struct tarn_waiter *waiter;
};

static void blk_done(struct tarn_blk_req *req) {
    struct blk_wait *w = TARN_CONTAINER_OF(req, struct blk_wait, req);
    w->waiter->ops->wake(w->waiter);
}

/* Adds one to the first byte of block 0. */
static int count_starts(struct tarn_env *env) {
    struct tarn_blk *blk;
    uint8_t buf[512];
    struct blk_wait w = {.waiter = tarn_env_waiter(env)};
    static const enum tarn_blk_op ops[] = {TARN_BLK_READ, TARN_BLK_WRITE, TARN_BLK_FLUSH};
    if (tarn_env_blk(env, &storage, &blk))
        return 1;
    for (unsigned i = 0; i < 3; i++) {
        struct tarn_blk_req *req = &w.req;
        w.req =
            (struct tarn_blk_req){.op = ops[i], .data = TARN_BYTES_ARRAY(buf), .done = blk_done};
        if (ops[i] == TARN_BLK_WRITE)
            buf[0]++;
        if (blk->ops->submit(blk, &req, 1) != 1)
            return 2;
        if (w.waiter->ops->wait(w.waiter, TARN_NEVER) != TARN_OK)
            return 3;
        if (w.req.result)
            return 4;
    }
    return buf[0];
}

Test(machine, waits_for_its_disk_and_finds_it_again) {
    struct tarn_sim *sim = tarn_sim_new(1);
    struct tarn_machine_config config = {
        .name = "m",
        .heap_bytes = 8u << 20,
        .program = {.main = count_starts, .devices = &storage, .device_count = 1}};
    struct tarn_machine *m = tarn_machine_new(sim, &config);
    struct tarn_sim_disk *disk = tarn_sim_disk_new(
        sim, &(struct tarn_sim_disk_config){
                 .blocks = 8, .latency_min = TARN_MS(1), .latency_max = TARN_MS(9)});
    tarn_machine_attach_blk(m, "storage", disk);
    for (int i = 1; i <= 3; i++) {
        tarn_machine_start(m, "");
        tarn_sim_run(sim, TARN_NEVER);
        cr_assert_eq(tarn_machine_status(m), i);
        tarn_sim_disk_power_loss(disk);
        tarn_sim_disk_power_on(disk);
    }
    /* In the middle of a read. */
    tarn_machine_start(m, "");
    tarn_sim_run(sim, tarn_sim_now(sim) + TARN_US(100));
    tarn_machine_stop(m);
    tarn_sim_run(sim, TARN_NEVER);
    cr_assert_eq(tarn_machine_status(m), -1);
    tarn_machine_free(m);
    tarn_sim_free(sim);
}

Test(machine, a_device_that_is_not_there_is_said_so) {
    struct tarn_sim *sim = tarn_sim_new(1);
    struct tarn_machine *m = machine(sim, count_starts);
    tarn_machine_start(m, "");
    tarn_sim_run(sim, TARN_NEVER);
    cr_assert_eq(tarn_machine_status(m), 1);
    cr_assert(tarn_machine_console(m).len > 0);
    tarn_machine_free(m);
    tarn_sim_free(sim);
}

static int print_random(struct tarn_env *env) {
    return (int)(tarn_random_u32(tarn_env_random(env)) & 0xffff);
}

static int random_of(uint64_t seed) {
    struct tarn_sim *sim = tarn_sim_new(seed);
    struct tarn_machine *m = machine(sim, print_random);
    tarn_machine_start(m, "");
    tarn_sim_run(sim, TARN_NEVER);
    int status = tarn_machine_status(m);
    tarn_machine_free(m);
    tarn_sim_free(sim);
    return status;
}

Test(machine, its_entropy_comes_from_the_seed) {
    cr_assert_eq(random_of(5), random_of(5));
    cr_assert_neq(random_of(5), random_of(6));
}
