/* SPDX-License-Identifier: ISC */
#include "conformance.h"
#include "rig.h"

#include <criterion/criterion.h>
#include <string.h>
#include <tarn/blk_vhd.h>

enum { BLOCK = 512, DISK_BLOCKS = 20000 };

static struct blk_rig rig;
static struct tarn_sim_disk *disk;
static struct tarn_blk *lower;
static struct tarn_blk_vhd *vhd;
static struct tarn_blk_vhd_format format;
static uint64_t end;

static enum tarn_err load(bool end_known) {
    struct tarn_blk_vhd_config config = {
        .alloc = &rig.alloc.alloc, .tasks = &rig.tasks, .lower = lower, .end = end_known ? end : 0};
    enum tarn_err err = tarn_blk_vhd_open(&config, rig.waiter, &vhd);
    if (!err)
        tarn_blk_pump_add(&rig.pump, tarn_blk_vhd_worker(vhd));
    return err;
}

static void unload(void) {
    end = tarn_blk_vhd_end(vhd);
    tarn_blk_pump_remove(&rig.pump, tarn_blk_vhd_worker(vhd));
    cr_assert_eq(tarn_blk_vhd_close(vhd, rig.waiter), TARN_OK);
    cr_assert_eq(rig.alloc.live, 0);
}

static void start(void) {
    blk_rig_init(&rig, 1);
    disk = blk_rig_disk(&rig, (struct tarn_sim_disk_config){.blocks = DISK_BLOCKS});
    lower = tarn_sim_disk_blk(disk);
    cr_assert_eq(tarn_blk_vhd_create(lower, rig.waiter, &format, &end), TARN_OK);
    cr_assert_eq(load(true), TARN_OK);
}

static void conf_open(struct blk_conf *conf) {
    start();
    conf->blk = &tarn_blk_vhd_worker(vhd)->blk;
    conf->waiter = rig.waiter;
}
static void conf_close(struct blk_conf *conf) {
    (void)conf;
    unload();
    blk_rig_fini(&rig);
}

Test(vhd, fixed_is_a_device) {
    struct blk_conf conf = {.open = conf_open, .close = conf_close};
    format = (struct tarn_blk_vhd_format){.bytes = 700 * BLOCK};
    blk_conformance(&conf);
}
Test(vhd, dynamic_is_a_device) {
    struct blk_conf conf = {.open = conf_open, .close = conf_close};
    format = (struct tarn_blk_vhd_format){.bytes = 9000 * BLOCK, .dynamic = true};
    blk_conformance(&conf);
}
Test(vhd, dynamic_with_small_blocks_is_a_device) {
    struct blk_conf conf = {.open = conf_open, .close = conf_close};
    format =
        (struct tarn_blk_vhd_format){.bytes = 701 * BLOCK, .dynamic = true, .block_bytes = 4096};
    blk_conformance(&conf);
}

static void put(uint64_t at, uint8_t value) {
    uint8_t block[BLOCK];
    memset(block, value, BLOCK);
    cr_assert_eq(
        tarn_blk_write(&tarn_blk_vhd_worker(vhd)->blk, rig.waiter, at, TARN_SPAN_ARRAY(block)),
        TARN_OK);
}
static int get(uint64_t at) {
    uint8_t block[BLOCK];
    cr_assert_eq(
        tarn_blk_read(&tarn_blk_vhd_worker(vhd)->blk, rig.waiter, at, TARN_BYTES_ARRAY(block)),
        TARN_OK);
    return block[BLOCK - 1];
}

Test(vhd, either_footer_of_a_dynamic_image_is_enough) {
    format =
        (struct tarn_blk_vhd_format){.bytes = 701 * BLOCK, .dynamic = true, .block_bytes = 4096};
    start();
    put(0, 1);
    put(700, 2);
    unload();
    cr_assert_eq(load(false), TARN_OK, "the one in front");
    cr_assert(get(0) == 1 && get(700) == 2 && get(3) == 0 && get(300) == 0);
    unload();
    memset(tarn_sim_disk_bytes(disk).ptr, 0, BLOCK);
    cr_assert_eq(load(true), TARN_OK, "the one at the end");
    cr_assert(get(0) == 1 && get(700) == 2);
    unload();
    cr_assert_eq(load(false), TARN_PEER);
    blk_rig_fini(&rig);
}

Test(vhd, a_full_device_is_told) {
    uint8_t block[BLOCK] = {1};
    format = (struct tarn_blk_vhd_format){.bytes = 60ull << 20, .dynamic = true};
    start();
    for (uint64_t at = 0; at < 4; at++)
        put(at * 4096, 1);
    cr_assert_eq(tarn_blk_write(&tarn_blk_vhd_worker(vhd)->blk, rig.waiter, 4 * 4096,
                                TARN_SPAN_ARRAY(block)),
                 TARN_LIMIT);
    cr_assert_eq(get(3 * 4096), 1);
    unload();
    cr_assert_eq(load(true), TARN_OK);
    unload();
    blk_rig_fini(&rig);
}

static enum tarn_err load_with(size_t at, uint8_t value) {
    uint8_t *byte = tarn_sim_disk_bytes(disk).ptr + at, before = *byte;
    *byte = value;
    enum tarn_err err = load(false);
    *byte = before;
    if (!err)
        unload();
    cr_assert_eq(rig.alloc.live, 0);
    return err;
}

Test(vhd, what_is_damaged_is_refused) {
    format = (struct tarn_blk_vhd_format){.bytes = 701 * BLOCK, .dynamic = true};
    start();
    unload();
    memset(tarn_sim_disk_bytes(disk).ptr + end - BLOCK, 0, BLOCK);
    cr_assert_eq(load_with(0, 'c'), TARN_OK);
    for (size_t at = 0; at < 512; at++) /* under its checksum */
        cr_assert_eq(load_with(at, 0x5a), TARN_PEER, "%zu", at);
    for (size_t at = 512; at < 1536; at++)
        cr_assert_eq(load_with(at, 0x5a), TARN_PEER, "%zu", at);
    cr_assert_eq(load_with(1536, 0), TARN_PEER, "a block behind the end");
    blk_rig_fini(&rig);
}

Test(vhd, what_cannot_be_made_is_refused) {
    struct tarn_blk_vhd_format f = {.bytes = 100};
    blk_rig_init(&rig, 1);
    lower = tarn_sim_disk_blk(blk_rig_disk(&rig, (struct tarn_sim_disk_config){.blocks = 100}));
    cr_assert_eq(tarn_blk_vhd_create(lower, rig.waiter, &f, &end), TARN_INVALID);
    f.bytes = 100 * BLOCK;
    cr_assert_eq(tarn_blk_vhd_create(lower, rig.waiter, &f, &end), TARN_LIMIT);
    f.bytes = 3ull << 40;
    cr_assert_eq(tarn_blk_vhd_create(lower, rig.waiter, &f, &end), TARN_INVALID);
    f = (struct tarn_blk_vhd_format){.bytes = BLOCK, .dynamic = true, .block_bytes = 5000};
    cr_assert_eq(tarn_blk_vhd_create(lower, rig.waiter, &f, &end), TARN_INVALID);
    blk_rig_fini(&rig);
}
