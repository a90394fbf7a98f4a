/* SPDX-License-Identifier: ISC */
/* Straight-line use of a block device. */
#include "rig.h"

#include <criterion/criterion.h>
#include <string.h>

enum { BLOCK = 512, BLOCKS = 256 };

static struct blk_rig rig;
static struct tarn_sim_disk *disk;
static struct tarn_blk *blk;

static void start(struct tarn_sim_disk_config config) {
    config.blocks = BLOCKS;
    blk_rig_init(&rig, 1);
    disk = blk_rig_disk(&rig, config);
    blk = tarn_sim_disk_blk(disk);
}

static void nothing(struct tarn_blk_req *req) {
    (void)req;
}

Test(wait, a_long_range_is_cut_into_requests) {
    static uint8_t out[100 * BLOCK], in[100 * BLOCK];
    start((struct tarn_sim_disk_config){
        .blocks_per_request_max = 3, .requests_max = 5, .latency_max = TARN_MS(1)});
    for (size_t i = 0; i < sizeof out; i++)
        out[i] = (uint8_t)(i * 7 + i / BLOCK);
    cr_assert_eq(tarn_blk_write(blk, rig.waiter, 9, TARN_SPAN_ARRAY(out)), TARN_OK);
    cr_assert_eq(tarn_sim_disk_counters(disk)->writes, 34);
    cr_assert_eq(tarn_blk_read(blk, rig.waiter, 9, TARN_BYTES_ARRAY(in)), TARN_OK);
    cr_assert_arr_eq(in, out, sizeof in);
    cr_assert_eq(tarn_blk_read(blk, rig.waiter, 9, tarn_bytes_of(NULL, 0)), TARN_OK);
    blk_rig_fini(&rig);
}

Test(wait, flush_and_discard) {
    uint8_t block[BLOCK];
    start((struct tarn_sim_disk_config){0});
    memset(block, 1, sizeof block);
    cr_assert_eq(tarn_blk_write(blk, rig.waiter, 4, TARN_SPAN_ARRAY(block)), TARN_OK);
    cr_assert_eq(tarn_blk_flush(blk, rig.waiter), TARN_OK);
    cr_assert_eq(tarn_sim_disk_counters(disk)->flushes, 1);
    cr_assert_eq(tarn_blk_discard(blk, rig.waiter, 0, BLOCKS), TARN_OK);
    cr_assert_eq(tarn_blk_discard(blk, rig.waiter, 0, 0), TARN_OK);
    cr_assert_eq(tarn_blk_read(blk, rig.waiter, 4, TARN_BYTES_ARRAY(block)), TARN_OK);
    cr_assert_eq(block[0], 0);
    blk_rig_fini(&rig);

    start((struct tarn_sim_disk_config){.no_flush = true});
    cr_assert_eq(tarn_blk_flush(blk, rig.waiter), TARN_UNSUPPORTED);
    blk_rig_fini(&rig);
}

Test(wait, a_full_device_is_asked_again_while_others_use_it) {
    uint8_t block[BLOCK], other[BLOCK];
    start((struct tarn_sim_disk_config){.requests_max = 1, .latency_min = TARN_MS(10)});
    struct tarn_blk_io foreign = {
        .req = {.op = TARN_BLK_READ, .data = TARN_BYTES_ARRAY(other), .done = nothing}};
    struct tarn_blk_req *req = &foreign.req;
    cr_assert_eq(blk->ops->submit(blk, &req, 1), 1);
    cr_assert_eq(tarn_blk_read(blk, rig.waiter, 0, TARN_BYTES_ARRAY(block)), TARN_OK);
    cr_assert_geq(tarn_sim_now(rig.sim), TARN_MS(20));
    blk_rig_fini(&rig);
}

Test(wait, the_first_error_in_order_is_the_answer) {
    static uint8_t data[8 * BLOCK];
    start((struct tarn_sim_disk_config){.blocks_per_request_max = 2, .latency_max = TARN_MS(1)});
    tarn_sim_disk_bad_block(disk, 5, true);
    cr_assert_eq(tarn_blk_read(blk, rig.waiter, 0, TARN_BYTES_ARRAY(data)), TARN_IO);
    cr_assert_eq(tarn_blk_read(blk, rig.waiter, BLOCKS - 1, TARN_BYTES_ARRAY(data)), TARN_INVALID);
    blk_rig_fini(&rig);
}

Test(wait, a_world_without_power_answers_io) {
    static uint8_t data[8 * BLOCK];
    start((struct tarn_sim_disk_config){.latency_min = 1});
    tarn_sim_disk_power_loss_at(disk, 1);
    cr_assert_eq(tarn_blk_write(blk, rig.waiter, 0, TARN_SPAN_ARRAY(data)), TARN_IO);
    cr_assert_eq(tarn_blk_read(blk, rig.waiter, 0, TARN_BYTES_ARRAY(data)), TARN_IO);
    blk_rig_fini(&rig);
}

Test(wait, every_device_refuses_the_same) {
    static uint8_t data[4 * BLOCK];
    struct tarn_blk device = {
        .block_bytes = BLOCK, .blocks_per_request_max = 2, .blocks = 10, .features = 0};
    struct {
        struct tarn_blk_req req;
        uint32_t features;
        enum tarn_err err;
    } cases[] = {
        {{.op = TARN_BLK_READ, .block = 8, .data = {data, 2 * BLOCK}}, 0, TARN_OK},
        {{.op = TARN_BLK_READ, .block = 9, .data = {data, 2 * BLOCK}}, 0, TARN_INVALID},
        {{.op = TARN_BLK_READ, .block = UINT64_MAX, .data = {data, BLOCK}}, 0, TARN_INVALID},
        {{.op = TARN_BLK_READ, .block = 0, .data = {data, 3 * BLOCK}}, 0, TARN_INVALID},
        {{.op = TARN_BLK_READ, .block = 0, .data = {data, 100}}, 0, TARN_INVALID},
        {{.op = TARN_BLK_READ, .block = 0, .data = {data, 0}}, 0, TARN_INVALID},
        {{.op = TARN_BLK_WRITE, .data = {data, BLOCK}}, 0, TARN_OK},
        {{.op = TARN_BLK_WRITE, .data = {data, BLOCK}}, TARN_BLK_READ_ONLY, TARN_UNSUPPORTED},
        {{.op = TARN_BLK_FLUSH}, 0, TARN_UNSUPPORTED},
        {{.op = TARN_BLK_FLUSH}, TARN_BLK_CAN_FLUSH | TARN_BLK_READ_ONLY, TARN_OK},
        {{.op = TARN_BLK_DISCARD, .blocks = 10}, 0, TARN_UNSUPPORTED},
        {{.op = TARN_BLK_DISCARD, .blocks = 10}, TARN_BLK_CAN_DISCARD, TARN_OK},
        {{.op = TARN_BLK_DISCARD, .blocks = 11}, TARN_BLK_CAN_DISCARD, TARN_INVALID},
        {{.op = TARN_BLK_DISCARD, .blocks = 0}, TARN_BLK_CAN_DISCARD, TARN_INVALID},
        {{.op = TARN_BLK_DISCARD, .blocks = 1},
         TARN_BLK_CAN_DISCARD | TARN_BLK_READ_ONLY,
         TARN_UNSUPPORTED},
        {{.op = (enum tarn_blk_op)77}, 15, TARN_UNSUPPORTED},
    };
    for (size_t i = 0; i < TARN_COUNT_OF(cases); i++) {
        device.features = cases[i].features;
        cr_expect_eq(tarn_blk_req_check(&device, &cases[i].req), cases[i].err, "case %zu", i);
    }
}
