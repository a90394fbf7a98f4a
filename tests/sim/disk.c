/* SPDX-License-Identifier: ISC */
/* The simulated disk: what it promises, and what it does to those who do not flush. */
#include "seeds.h"
#include "sim.h"

enum { BLOCK = 512, BLOCKS = 64 };

struct bench {
    struct tarn_sim *sim;
    struct tarn_sim_disk *disk;
    struct tarn_blk *blk;
};

static struct bench bench_new(uint64_t seed, struct tarn_sim_disk_config config) {
    struct bench b = {.sim = tarn_sim_new(seed)};
    config.blocks = BLOCKS;
    b.disk = tarn_sim_disk_new(b.sim, &config);
    b.blk = tarn_sim_disk_blk(b.disk);
    return b;
}

static unsigned dones;
static void on_done(struct tarn_blk_req *req) {
    (void)req;
    dones++;
}

static enum tarn_err run(struct bench *b, struct tarn_blk_req *req) {
    req->done = on_done;
    dones = 0;
    if (b->blk->ops->submit(b->blk, &req, 1) != 1)
        return TARN_AGAIN;
    cr_assert_eq(dones, 0, "done from inside submit");
    tarn_sim_run(b->sim, TARN_NEVER);
    cr_assert(tarn_sim_disk_poll(b->disk));
    cr_assert_eq(dones, 1);
    return req->result;
}

static enum tarn_err transfer(struct bench *b, enum tarn_blk_op op, uint64_t block, uint8_t *buf,
                              size_t blocks) {
    struct tarn_blk_req req = {
        .op = op, .block = block, .data = tarn_bytes_of(buf, blocks * BLOCK)};
    return run(b, &req);
}

static enum tarn_err put(struct bench *b, uint64_t block, uint8_t value, size_t blocks) {
    uint8_t buf[4 * BLOCK];
    memset(buf, value, blocks * BLOCK);
    return transfer(b, TARN_BLK_WRITE, block, buf, blocks);
}

static enum tarn_err flush(struct bench *b) {
    struct tarn_blk_req req = {.op = TARN_BLK_FLUSH};
    return run(b, &req);
}

/* The block's value, or -1 where it has not one value. */
static int get(struct bench *b, uint64_t block) {
    uint8_t buf[BLOCK];
    cr_assert_eq(transfer(b, TARN_BLK_READ, block, buf, 1), TARN_OK);
    for (unsigned i = 1; i < BLOCK; i++)
        if (buf[i] != buf[0])
            return -1;
    return buf[0];
}

Test(disk, reads_what_was_written) {
    struct bench b = bench_new(1, (struct tarn_sim_disk_config){.latency_max = TARN_MS(1)});
    cr_assert_eq(put(&b, 5, 7, 2), TARN_OK);
    cr_assert_eq(get(&b, 4), 0);
    cr_assert_eq(get(&b, 5), 7);
    cr_assert_eq(get(&b, 6), 7);
    struct tarn_blk_req discard = {.op = TARN_BLK_DISCARD, .block = 5, .blocks = 1};
    cr_assert_eq(run(&b, &discard), TARN_OK);
    cr_assert_eq(get(&b, 5), 0);
    cr_assert_eq(get(&b, 6), 7);
    tarn_sim_free(b.sim);
}

Test(disk, refuses_what_cannot_be_served) {
    struct bench b = bench_new(
        1, (struct tarn_sim_disk_config){.no_discard = true, .blocks_per_request_max = 2});
    uint8_t buf[4 * BLOCK];
    cr_assert_eq(transfer(&b, TARN_BLK_READ, BLOCKS - 1, buf, 2), TARN_INVALID);
    cr_assert_eq(transfer(&b, TARN_BLK_READ, UINT64_MAX, buf, 1), TARN_INVALID);
    cr_assert_eq(transfer(&b, TARN_BLK_WRITE, 0, buf, 3), TARN_INVALID);
    struct tarn_blk_req odd = {.op = TARN_BLK_READ, .data = tarn_bytes_of(buf, 100)};
    cr_assert_eq(run(&b, &odd), TARN_INVALID);
    struct tarn_blk_req discard = {.op = TARN_BLK_DISCARD, .block = 5, .blocks = 1};
    cr_assert_eq(run(&b, &discard), TARN_UNSUPPORTED);
    tarn_sim_free(b.sim);
}

Test(disk, takes_only_so_many_requests) {
    struct bench b =
        bench_new(1, (struct tarn_sim_disk_config){.requests_max = 2, .latency_min = TARN_MS(1)});
    uint8_t buf[BLOCK];
    struct tarn_blk_req r[3], *p[3];
    for (unsigned i = 0; i < 3; i++) {
        r[i] = (struct tarn_blk_req){
            .op = TARN_BLK_READ, .data = tarn_bytes_of(buf, BLOCK), .done = on_done};
        p[i] = &r[i];
    }
    cr_assert_eq(b.blk->ops->submit(b.blk, p, 3), 2);
    tarn_sim_run(b.sim, TARN_NEVER);
    tarn_sim_disk_poll(b.disk);
    cr_assert_eq(dones, 2);
    tarn_sim_free(b.sim);
}

SIM_TEST(disk, flushed_writes_survive_power_loss, 50) {
    struct bench b = bench_new(seed, (struct tarn_sim_disk_config){.latency_max = TARN_MS(1)});
    SIM_CHECK(put(&b, 3, 9, 4) == TARN_OK);
    SIM_CHECK(flush(&b) == TARN_OK);
    tarn_sim_disk_power_loss(b.disk);
    SIM_CHECK(put(&b, 3, 1, 1) == TARN_AGAIN, "a disk without power takes nothing");
    tarn_sim_disk_power_on(b.disk);
    for (unsigned i = 3; i < 7; i++)
        SIM_CHECK(get(&b, i) == 9);
    tarn_sim_free(b.sim);
}

Test(disk, unflushed_writes_are_kept_lost_and_torn_independently) {
    unsigned kept = 0, lost = 0, older = 0;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct bench b = bench_new(seed, (struct tarn_sim_disk_config){0});
        put(&b, 0, 1, 4);
        put(&b, 0, 2, 4);
        tarn_sim_disk_power_loss(b.disk);
        tarn_sim_disk_power_on(b.disk);
        for (unsigned i = 0; i < 4; i++) {
            int v = get(&b, i);
            cr_assert(v >= 0 && v <= 2, "a block is atomic");
            kept += v == 2;
            older += v == 1;
            lost += v == 0;
        }
        tarn_sim_free(b.sim);
    }
    cr_assert(kept > 100 && older > 30 && lost > 30, "%u %u %u", kept, older, lost);
}

Test(disk, a_unit_smaller_than_a_block_is_torn) {
    unsigned torn = 0;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct bench b = bench_new(seed, (struct tarn_sim_disk_config){.atomic_bytes = 64});
        put(&b, 0, 1, 1);
        tarn_sim_disk_power_loss(b.disk);
        tarn_sim_disk_power_on(b.disk);
        torn += get(&b, 0) == -1;
        tarn_sim_free(b.sim);
    }
    cr_assert(torn > 40);
}

SIM_TEST(disk, power_goes_at_the_nth_write, 20) {
    struct bench b =
        bench_new(seed, (struct tarn_sim_disk_config){.write_through = true, .latency_min = 1});
    tarn_sim_disk_power_loss_at(b.disk, 3);
    SIM_CHECK(put(&b, 0, 1, 1) == TARN_OK);
    SIM_CHECK(put(&b, 1, 1, 1) == TARN_OK);
    uint8_t buf[BLOCK];
    memset(buf, 1, sizeof buf);
    struct tarn_blk_req req = {
        .op = TARN_BLK_WRITE, .block = 2, .data = tarn_bytes_of(buf, BLOCK), .done = on_done};
    struct tarn_blk_req *p = &req;
    SIM_CHECK(b.blk->ops->submit(b.blk, &p, 1) == 1);
    SIM_CHECK(!tarn_sim_disk_has_power(b.disk));
    tarn_sim_run(b.sim, TARN_NEVER);
    SIM_CHECK(!tarn_sim_disk_poll(b.disk), "never done");
    tarn_sim_disk_power_on(b.disk);
    SIM_CHECK(get(&b, 0) == 1 && get(&b, 1) == 1 && get(&b, 2) >= 0);
    tarn_sim_free(b.sim);
}

Test(disk, a_flush_covers_only_what_was_done_before_it) {
    unsigned lost = 0;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct bench b = bench_new(seed, (struct tarn_sim_disk_config){.latency_max = TARN_MS(1)});
        uint8_t buf[BLOCK];
        memset(buf, 1, sizeof buf);
        struct tarn_blk_req w = {
            .op = TARN_BLK_WRITE, .data = tarn_bytes_of(buf, BLOCK), .done = on_done};
        struct tarn_blk_req f = {.op = TARN_BLK_FLUSH, .done = on_done};
        struct tarn_blk_req *p[] = {&w, &f};
        cr_assert_eq(b.blk->ops->submit(b.blk, p, 2), 2);
        tarn_sim_run(b.sim, TARN_NEVER);
        tarn_sim_disk_poll(b.disk);
        tarn_sim_disk_power_loss(b.disk);
        tarn_sim_disk_power_on(b.disk);
        lost += get(&b, 0) == 0;
        tarn_sim_free(b.sim);
    }
    cr_assert(lost > 20);
}

Test(disk, bad_blocks_rot_lost_writes_and_lies) {
    struct bench b = bench_new(1, (struct tarn_sim_disk_config){0});
    tarn_sim_disk_bad_block(b.disk, 3, true);
    uint8_t buf[4 * BLOCK];
    cr_assert_eq(transfer(&b, TARN_BLK_READ, 1, buf, 4), TARN_IO);
    cr_assert_eq(put(&b, 3, 1, 1), TARN_IO);
    cr_assert_eq(get(&b, 4), 0);
    tarn_sim_disk_bad_block(b.disk, 3, false);
    cr_assert_eq(get(&b, 3), 0);
    tarn_sim_free(b.sim);

    b = bench_new(1, (struct tarn_sim_disk_config){.rot_ppm = 1000000});
    cr_assert_eq(get(&b, 0), -1, "one bit of zeroes has changed");
    tarn_sim_free(b.sim);

    b = bench_new(1, (struct tarn_sim_disk_config){.lost_write_ppm = 1000000});
    cr_assert_eq(put(&b, 0, 1, 1), TARN_OK);
    cr_assert_eq(get(&b, 0), 0);
    tarn_sim_free(b.sim);

    unsigned lost = 0;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        b = bench_new(seed, (struct tarn_sim_disk_config){.flush_lie_ppm = 1000000});
        put(&b, 0, 1, 1);
        cr_assert_eq(flush(&b), TARN_OK);
        tarn_sim_disk_power_loss(b.disk);
        tarn_sim_disk_power_on(b.disk);
        lost += get(&b, 0) == 0;
        tarn_sim_free(b.sim);
    }
    cr_assert(lost > 10);
}

Test(disk, a_write_that_goes_astray_is_found_elsewhere) {
    struct bench b = bench_new(3, (struct tarn_sim_disk_config){.astray_ppm = 1000000});
    unsigned found = 0;
    cr_assert_eq(put(&b, 9, 1, 1), TARN_OK);
    cr_assert_eq(tarn_sim_disk_counters(b.disk)->astray, 1);
    cr_assert_eq(get(&b, 9), 0);
    for (unsigned i = 0; i < BLOCKS; i++)
        found += get(&b, i) == 1;
    cr_assert_eq(found, 1);
    tarn_sim_free(b.sim);
}

Test(disk, a_thin_disk_runs_full_and_discards_make_room) {
    struct bench b = bench_new(1, (struct tarn_sim_disk_config){.full_after = 6});
    cr_assert_eq(put(&b, 0, 1, 4), TARN_OK);
    cr_assert_eq(put(&b, 10, 1, 3), TARN_LIMIT);
    cr_assert_eq(get(&b, 10), 0, "all of a refused write is refused");
    cr_assert_eq(put(&b, 10, 1, 2), TARN_OK);
    cr_assert_eq(put(&b, 2, 2, 2), TARN_OK, "what has room keeps it");
    cr_assert_eq(put(&b, 20, 1, 1), TARN_LIMIT);
    cr_assert_eq(tarn_sim_disk_counters(b.disk)->refused_full, 2);
    struct tarn_blk_req discard = {.op = TARN_BLK_DISCARD, .block = 0, .blocks = 1};
    cr_assert_eq(run(&b, &discard), TARN_OK);
    cr_assert_eq(put(&b, 20, 1, 1), TARN_OK);
    tarn_sim_free(b.sim);
}

Test(disk, every_outcome_can_be_asked_for) {
    static uint8_t image[BLOCKS * BLOCK], buf[2 * BLOCK];
    struct bench b = bench_new(1, (struct tarn_sim_disk_config){.latency_min = 1});
    put(&b, 0, 1, 1);
    flush(&b);
    put(&b, 0, 2, 1);
    put(&b, 0, 3, 2);
    struct tarn_blk_req req = {
        .op = TARN_BLK_WRITE, .block = 5, .data = TARN_BYTES_ARRAY(buf), .done = on_done};
    struct tarn_blk_req *p = &req;
    memset(buf, 4, sizeof buf);
    cr_assert_eq(b.blk->ops->submit(b.blk, &p, 1), 1);
    cr_assert_eq(tarn_sim_disk_units(b.disk), 5, "three completed, two in flight");
    for (unsigned n = 0; n < 32; n++) {
        bool stored[5];
        for (unsigned i = 0; i < 5; i++)
            stored[i] = n >> i & 1;
        tarn_sim_disk_outcome(b.disk, stored, 5, TARN_BYTES_ARRAY(image));
        cr_assert_eq(image[0], stored[1] ? 3 : stored[0] ? 2 : 1);
        cr_assert_eq(image[BLOCK], stored[2] ? 3 : 0);
        cr_assert_eq(image[5 * BLOCK], stored[3] ? 4 : 0);
        cr_assert_eq(image[6 * BLOCK], stored[4] ? 4 : 0);
    }
    tarn_sim_run(b.sim, TARN_NEVER);
    tarn_sim_disk_poll(b.disk);
    cr_assert_eq(get(&b, 0), 3, "asking changes nothing");
    cr_assert_eq(get(&b, 6), 4);
    cr_assert_eq(flush(&b), TARN_OK);
    cr_assert_eq(tarn_sim_disk_units(b.disk), 0);
    tarn_sim_free(b.sim);
}
