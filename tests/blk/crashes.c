/* SPDX-License-Identifier: ISC */
/* Power loss at every moment, under every layer that has something to lose. */
#include "crash.h"

#include <criterion/criterion.h>
#include <string.h>
#include <tarn/blk_cache.h>
#include <tarn/blk_checksum.h>
#include <tarn/blk_log.h>
#include <tarn/blk_qcow2.h>
#include <tarn/blk_ram.h>
#include <tarn/blk_vhd.h>

static struct tarn_blk *use(struct blk_rig *rig, struct tarn_blk_worker *worker) {
    tarn_blk_pump_add(&rig->pump, worker);
    return &worker->blk;
}

/* A disk that held something else before, zeroes too: what was not written must not be taken for
 * either. */
static void soil(struct blk_rig *rig, struct tarn_blk *lower) {
    uint8_t block[512];
    for (uint64_t at = 0; at < lower->blocks; at++) {
        memset(block, at / 8 % 2 ? 0xaa : 0, sizeof block);
        cr_assert_eq(tarn_blk_write(lower, rig->waiter, at, TARN_SPAN_ARRAY(block)), TARN_OK);
    }
}

static bool check_nothing(struct blk_rig *rig) {
    (void)rig;
    return true;
}

static struct tarn_blk *open_cache(struct blk_rig *rig, struct tarn_blk *lower, bool make) {
    struct tarn_blk_cache *cache;
    struct tarn_blk_cache_config config = {.alloc = &rig->alloc.alloc,
                                           .tasks = &rig->tasks,
                                           .lower = lower,
                                           .line_bytes = 1024,
                                           .lines = 64,
                                           .write_back = true};
    (void)make;
    cr_assert_eq(tarn_blk_cache_new(&config, &cache), TARN_OK);
    return use(rig, tarn_blk_cache_worker(cache));
}

Test(crashes, a_cache_that_writes_back) {
    struct crash_layer layer = {.open = open_cache,
                                .check = check_nothing,
                                .blocks = 60,
                                .disk_bytes = 64 * 512,
                                .ops = 150};
    struct crash_report r = crash_run(&layer, 1);
    cr_assert(r.moments > 50 && r.outcomes > 500, "%u %u", r.moments, r.outcomes);
}

static struct tarn_blk *open_checksum(struct blk_rig *rig, struct tarn_blk *lower, bool make) {
    uint8_t block[512];
    struct tarn_blk_checksum *c;
    struct tarn_blk_checksum_config config = {
        .alloc = &rig->alloc.alloc, .tasks = &rig->tasks, .lower = lower, .tables = 1};
    if (make)
        cr_assert_eq(tarn_blk_checksum_format(lower, rig->waiter, TARN_BYTES_ARRAY(block)),
                     TARN_OK);
    cr_assert_eq(tarn_blk_checksum_new(&config, rig->waiter, &c), TARN_OK);
    return use(rig, tarn_blk_checksum_worker(c));
}

Test(crashes, a_checksum) {
    struct crash_layer layer = {.open = open_checksum,
                                .check = check_nothing,
                                .blocks = 60, /* and data from 64 on: another table */
                                .disk_bytes = 160 * 512,
                                .ops = 100};
    struct crash_report r = crash_run(&layer, 1);
    cr_assert(r.moments > 50 && r.outcomes > 500, "%u %u", r.moments, r.outcomes);
}

/* -- qcow2 ----------------------------------------------------------------------------------------
 */

static struct tarn_blk_qcow2 *last, *made;
static uint32_t cluster_bits, l2_tables, frees_max, spread;
static unsigned leaky, whole;

static struct tarn_blk *open_qcow2(struct blk_rig *rig, struct tarn_blk *lower, bool make) {
    static uint8_t buffer[8192];
    struct tarn_blk_qcow2 *q;
    struct tarn_blk_qcow2_format format = {.bytes = 64 * (8 + spread) * 64,
                                           .cluster_bits = cluster_bits};
    struct tarn_blk_qcow2_config config = {.alloc = &rig->alloc.alloc,
                                           .tasks = &rig->tasks,
                                           .lower = lower,
                                           .l2_tables = l2_tables,
                                           .refcount_tables = 1,
                                           .bytes_max = 4 * format.bytes,
                                           .frees_max = frees_max};
    if (make) {
        soil(rig, lower);
        cr_assert_eq(tarn_blk_qcow2_create(lower, rig->waiter, TARN_BYTES_ARRAY(buffer), &format),
                     TARN_OK);
    }
    if (tarn_blk_qcow2_open(&config, rig->waiter, &q))
        return NULL;
    last = q;
    if (make)
        made = q;
    if (make && spread) { /* so that the workload needs a second refcount block */
        static uint8_t between[100 * 512];
        struct tarn_blk *blk = use(rig, tarn_blk_qcow2_worker(q));
        cr_assert_eq(tarn_blk_write(blk, rig->waiter, 8, TARN_SPAN_ARRAY(between)), TARN_OK);
        cr_assert_eq(tarn_blk_write(blk, rig->waiter, 116, TARN_SPAN_ARRAY(between)), TARN_OK);
        cr_assert_eq(tarn_blk_flush(blk, rig->waiter), TARN_OK);
        return blk;
    }
    return use(rig, tarn_blk_qcow2_worker(q));
}

static bool check_qcow2(struct blk_rig *rig) {
    uint8_t scratch[1024];
    struct tarn_blk_qcow2_report report;
    if (tarn_blk_qcow2_check(last, rig->waiter, TARN_BYTES_ARRAY(scratch), true, &report)
        || report.corruptions)
        return false;
    report.leaks ? leaky++ : whole++;
    return !tarn_blk_qcow2_check(last, rig->waiter, TARN_BYTES_ARRAY(scratch), false, &report)
           && report.corruptions == 0 && report.leaks == 0;
}

static void qcow2_run(uint32_t bits, uint32_t tables, uint32_t between, unsigned ops, uint64_t seed,
                      enum tarn_err (*upkeep)(struct blk_rig *rig, unsigned op)) {
    spread = between;
    struct crash_layer layer = {.open = open_qcow2,
                                .check = check_qcow2,
                                .upkeep = upkeep,
                                .blocks = 64,
                                .spread = between,
                                .disk_bytes = 400 * 512,
                                .ops = ops};
    cluster_bits = bits;
    l2_tables = tables;
    frees_max = 4;
    leaky = whole = 0;
    struct crash_report r = crash_run(&layer, seed);
    cr_assert(r.moments > 50 && r.outcomes > 500, "%u %u", r.moments, r.outcomes);
    cr_assert(leaky > 0 && whole > 0, "%u %u", leaky, whole);
}

Test(crashes, qcow2_with_small_clusters) {
    qcow2_run(9, 2, 0, 120, 1, NULL);
}

Test(crashes, qcow2_with_clusters_of_several_blocks) {
    qcow2_run(11, 2, 0, 80, 2, NULL);
}

Test(crashes, qcow2_with_many_tables) {
    qcow2_run(9, 3, 100, 80, 3, NULL);
}

/* By turns: 32 KiB more, and no holes. */
static enum tarn_err grow_and_compact(struct blk_rig *rig, unsigned op) {
    struct tarn_blk *blk = &tarn_blk_qcow2_worker(made)->blk;
    uint64_t end, bytes = TARN_MIN(blk->blocks * 512 + 32768, 4ull * 64 * 108 * 64);
    return op % 20 ? tarn_blk_qcow2_grow(made, rig->waiter, bytes)
                   : tarn_blk_qcow2_compact(made, rig->waiter, &end);
}

Test(crashes, qcow2_while_it_grows_and_is_compacted) {
    qcow2_run(9, 3, 100, 120, 4, grow_and_compact);
}

/* -- VHD ------------------------------------------------------------------------------------------
 */

static struct tarn_blk *open_vhd(struct blk_rig *rig, struct tarn_blk *lower, bool make) {
    struct tarn_blk_vhd_format format = {.dynamic = true, .bytes = 8 * 4096, .block_bytes = 4096};
    struct tarn_blk_vhd_config config = {
        .alloc = &rig->alloc.alloc, .tasks = &rig->tasks, .lower = lower};
    struct tarn_blk_vhd *vhd;
    uint64_t end;
    if (make) {
        soil(rig, lower);
        cr_assert_eq(tarn_blk_vhd_create(lower, rig->waiter, &format, &end), TARN_OK);
    }
    if (tarn_blk_vhd_open(&config, rig->waiter, &vhd))
        return NULL;
    return use(rig, tarn_blk_vhd_worker(vhd));
}

Test(crashes, vhd) {
    struct crash_layer layer = {.open = open_vhd,
                                .check = check_nothing,
                                .blocks = 64,
                                .disk_bytes = 120 * 512,
                                .ops = 120};
    struct crash_report r = crash_run(&layer, 1);
    cr_assert(r.moments > 50 && r.outcomes > 500, "%u %u", r.moments, r.outcomes);
}

/* -- the write log --------------------------------------------------------------------------------
 */

/* The log is on the disk; what it is of is in memory, and made again from the log. */
static struct tarn_blk *open_log(struct blk_rig *rig, struct tarn_blk *lower, bool make) {
    static uint8_t mem[2][64 * 512], buffer[2048];
    static struct tarn_blk_ram ram[2];
    struct tarn_blk_log_reader reader;
    struct tarn_blk_log_entry entry;
    struct tarn_blk_log *log;
    struct tarn_blk_log_config config = {
        .alloc = &rig->alloc.alloc, .tasks = &rig->tasks, .lower = &ram[0].blk, .log = lower};
    memset(mem[!make], 0, sizeof mem[0]);
    cr_assert_eq(tarn_blk_ram_init(&ram[!make], &rig->tasks, TARN_BYTES_ARRAY(mem[!make]), 512),
                 TARN_OK);
    if (make) {
        cr_assert_eq(tarn_blk_log_new(&config, rig->waiter, &log), TARN_OK);
        return use(rig, tarn_blk_log_worker(log));
    }
    enum tarn_err err = tarn_blk_log_open(&reader, lower, rig->waiter, TARN_BYTES_ARRAY(buffer));
    while (!err && (err = tarn_blk_log_next(&reader, &entry)) == TARN_OK)
        err = tarn_blk_log_apply(&reader, &entry, &ram[1].blk);
    return err == TARN_EOF ? &ram[1].blk : NULL;
}

Test(crashes, a_write_log_replays_to_what_could_have_been) {
    struct crash_layer layer = {.open = open_log,
                                .check = check_nothing,
                                .blocks = 60,
                                .disk_bytes = 600 * 512,
                                .ops = 100};
    struct crash_report r = crash_run(&layer, 1);
    cr_assert(r.moments > 50 && r.outcomes > 500, "%u %u", r.moments, r.outcomes);
}
