/* SPDX-License-Identifier: ISC */
/* Every layer is a device as tarn/blk.h has it. */
#include "conformance.h"
#include "rig.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <tarn/blk_cache.h>
#include <tarn/blk_checksum.h>
#include <tarn/blk_log.h>
#include <tarn/blk_ram.h>
#include <tarn/blk_view.h>

enum { BLOCK = 512, BLOCKS = 1000 };

static struct blk_rig rig;
static struct tarn_blk *lower; /* the first disk's */
static struct tarn_blk_worker *worker;

static void open_disk(struct blk_conf *conf, struct tarn_sim_disk_config config) {
    blk_rig_init(&rig, 1);
    config.blocks = config.blocks ? config.blocks : BLOCKS;
    lower = tarn_sim_disk_blk(blk_rig_disk(&rig, config));
    conf->blk = lower;
    conf->waiter = rig.waiter;
}

static void open_sim(struct blk_conf *conf) {
    open_disk(conf, (struct tarn_sim_disk_config){.latency_max = TARN_MS(1),
                                                  .blocks_per_request_max = 16,
                                                  .requests_max = 7});
}

static void open_plain(struct blk_conf *conf) {
    open_disk(conf, (struct tarn_sim_disk_config){
                        .no_flush = true, .no_discard = true, .blocks_per_request_max = 1});
}

static void close_rig(struct blk_conf *conf) {
    (void)conf;
    blk_rig_fini(&rig);
}

static void use_worker(struct blk_conf *conf, struct tarn_blk_worker *w) {
    worker = w;
    tarn_blk_pump_add(&rig.pump, w);
    conf->blk = &w->blk;
}

Test(layers, a_simulated_disk) {
    struct blk_conf conf = {.open = open_sim, .close = close_rig};
    blk_conformance(&conf);
}

Test(layers, a_simulated_disk_of_one_block_a_call) {
    struct blk_conf conf = {.open = open_plain, .close = close_rig};
    blk_conformance(&conf);
}

static struct tarn_blk_ram ram;
static void open_ram(struct blk_conf *conf) {
    static uint8_t mem[128 * 4096];
    blk_rig_init(&rig, 1);
    cr_assert_eq(tarn_blk_ram_init(&ram, &rig.tasks, TARN_BYTES_ARRAY(mem), 4096), TARN_OK);
    conf->blk = &ram.blk;
    conf->waiter = rig.waiter;
}

Test(layers, memory) {
    struct blk_conf conf = {.open = open_ram, .close = close_rig};
    blk_conformance(&conf);
    cr_assert_eq(tarn_blk_ram_init(&ram, &rig.tasks, tarn_bytes_of(NULL, 1000), 512), TARN_INVALID);
    cr_assert_eq(tarn_blk_ram_init(&ram, &rig.tasks, tarn_bytes_of(NULL, 1000), 100), TARN_INVALID);
}

static struct tarn_blk_view *view;
static void open_view(struct blk_conf *conf) {
    open_sim(conf);
    struct tarn_blk_view_config config = {.alloc = &rig.alloc.alloc,
                                          .tasks = &rig.tasks,
                                          .lower = lower,
                                          .first = 63,
                                          .blocks = 700,
                                          .requests_max = 5};
    cr_assert_eq(tarn_blk_view_new(&config, &view), TARN_OK);
    conf->blk = tarn_blk_view_blk(view);
}
static void close_view(struct blk_conf *conf) {
    uint8_t block[BLOCK] = {0};
    (void)conf;
    /* Nothing outside it has been touched. */
    for (uint64_t at = 0; at < BLOCKS; at += at == 62 ? 701 : 1) {
        cr_assert_eq(tarn_blk_read(lower, rig.waiter, at, TARN_BYTES_ARRAY(block)), TARN_OK);
        for (unsigned i = 0; i < BLOCK; i++)
            cr_assert_eq(block[i], 0);
    }
    tarn_blk_view_delete(view);
    cr_assert_eq(rig.alloc.live, 0);
    blk_rig_fini(&rig);
}

Test(layers, a_view) {
    struct blk_conf conf = {.open = open_view, .close = close_view};
    blk_conformance(&conf);
}

Test(layers, a_read_only_view_refuses_writes) {
    struct blk_conf conf = {0};
    uint8_t block[BLOCK] = {0};
    open_sim(&conf);
    struct tarn_blk_view_config config = {.alloc = &rig.alloc.alloc,
                                          .tasks = &rig.tasks,
                                          .lower = lower,
                                          .blocks = BLOCKS,
                                          .read_only = true};
    cr_assert_eq(tarn_blk_view_new(&config, &view), TARN_OK);
    struct tarn_blk *blk = tarn_blk_view_blk(view);
    cr_assert_eq(tarn_blk_write(blk, rig.waiter, 0, TARN_SPAN_ARRAY(block)), TARN_UNSUPPORTED);
    cr_assert_eq(tarn_blk_discard(blk, rig.waiter, 0, 1), TARN_UNSUPPORTED);
    cr_assert_eq(tarn_blk_read(blk, rig.waiter, 0, TARN_BYTES_ARRAY(block)), TARN_OK);
    config.first = 1;
    struct tarn_blk_view *none;
    cr_assert_eq(tarn_blk_view_new(&config, &none), TARN_INVALID);
    config.first = UINT64_MAX;
    cr_assert_eq(tarn_blk_view_new(&config, &none), TARN_INVALID);
    tarn_blk_view_delete(view);
    blk_rig_fini(&rig);
}

static bool write_back;
static struct tarn_blk_cache *cache;
static void open_cache(struct blk_conf *conf) {
    open_disk(conf, (struct tarn_sim_disk_config){
                        .latency_max = TARN_MS(1), .blocks_per_request_max = 16, .blocks = 1003});
    struct tarn_blk_cache_config config = {.alloc = &rig.alloc.alloc,
                                           .tasks = &rig.tasks,
                                           .lower = lower,
                                           .line_bytes = 2048,
                                           .lines = 64,
                                           .write_back = write_back};
    cr_assert_eq(tarn_blk_cache_new(&config, &cache), TARN_OK);
    use_worker(conf, tarn_blk_cache_worker(cache));
}
static void close_cache(struct blk_conf *conf) {
    cr_assert_gt(tarn_blk_cache_counters(cache)->hits + 1, 0);
    tarn_blk_pump_remove(&rig.pump, worker);
    tarn_blk_cache_delete(cache);
    cr_assert_eq(rig.alloc.live, 0);
    close_rig(conf);
}

Test(layers, a_cache_that_writes_through) {
    struct blk_conf conf = {.open = open_cache, .close = close_cache};
    write_back = false;
    blk_conformance(&conf);
}

Test(layers, a_cache_that_writes_back) {
    struct blk_conf conf = {.open = open_cache, .close = close_cache};
    write_back = true;
    blk_conformance(&conf);
}

static struct tarn_blk_checksum *checksum;
static void open_checksum(struct blk_conf *conf) {
    uint8_t block[BLOCK];
    open_sim(conf);
    struct tarn_blk_checksum_config config = {
        .alloc = &rig.alloc.alloc, .tasks = &rig.tasks, .lower = lower, .tables = 3};
    cr_assert_eq(tarn_blk_checksum_format(lower, rig.waiter, TARN_BYTES_ARRAY(block)), TARN_OK);
    cr_assert_eq(tarn_blk_checksum_new(&config, rig.waiter, &checksum), TARN_OK);
    use_worker(conf, tarn_blk_checksum_worker(checksum));
}
static void close_checksum(struct blk_conf *conf) {
    cr_assert_eq(tarn_blk_checksum_counters(checksum)->mismatches, 0);
    tarn_blk_pump_remove(&rig.pump, worker);
    tarn_blk_checksum_delete(checksum);
    cr_assert_eq(rig.alloc.live, 0);
    close_rig(conf);
}

Test(layers, a_checksum) {
    struct blk_conf conf = {.open = open_checksum, .close = close_checksum};
    blk_conformance(&conf);
}

static struct tarn_blk_log *blk_log;
static void open_log(struct blk_conf *conf) {
    open_sim(conf);
    struct tarn_sim_disk *disk = blk_rig_disk(&rig, (struct tarn_sim_disk_config){.blocks = 40000});
    struct tarn_blk_log_config config = {.alloc = &rig.alloc.alloc,
                                         .tasks = &rig.tasks,
                                         .lower = lower,
                                         .log = tarn_sim_disk_blk(disk)};
    cr_assert_eq(tarn_blk_log_new(&config, rig.waiter, &blk_log), TARN_OK);
    use_worker(conf, tarn_blk_log_worker(blk_log));
}
static void close_log(struct blk_conf *conf) {
    tarn_blk_pump_remove(&rig.pump, worker);
    tarn_blk_log_delete(blk_log);
    cr_assert_eq(rig.alloc.live, 0);
    close_rig(conf);
}

Test(layers, a_write_log) {
    struct blk_conf conf = {.open = open_log, .close = close_log};
    blk_conformance(&conf);
}
