/* SPDX-License-Identifier: ISC */
#include "conformance.h"
#include "rig.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <tarn/blk_qcow2.h>
#include <tarn/blk_ram.h>

enum { BLOCK = 512 };

static struct blk_rig rig;
static struct tarn_sim_disk *disk;
static struct tarn_blk *lower;
static struct tarn_blk_qcow2 *q;
static struct tarn_blk *blk; /* q's */
static struct tarn_blk_ram backing;
static uint8_t backing_mem[128 * 512];

struct setup {
    uint64_t bytes, disk_blocks, grows_to;
    uint32_t cluster_bits, version, l2_tables;
    bool backed;
};
static struct setup setup;

static void load(void) {
    struct tarn_blk_qcow2_config config = {.alloc = &rig.alloc.alloc,
                                           .tasks = &rig.tasks,
                                           .lower = lower,
                                           .backing = setup.backed ? &backing.blk : NULL,
                                           .l2_tables = setup.l2_tables,
                                           .bytes_max = setup.grows_to,
                                           .frees_max = 8};
    cr_assert_eq(tarn_blk_qcow2_open(&config, rig.waiter, &q), TARN_OK);
    tarn_blk_pump_add(&rig.pump, tarn_blk_qcow2_worker(q));
    blk = &tarn_blk_qcow2_worker(q)->blk;
}

static void unload(void) {
    tarn_blk_pump_remove(&rig.pump, tarn_blk_qcow2_worker(q));
    cr_assert_eq(tarn_blk_qcow2_close(q, rig.waiter), TARN_OK);
    cr_assert_eq(rig.alloc.live, 0);
}

static void start(void) {
    static uint8_t buffer[1 << 17];
    blk_rig_init(&rig, 1);
    disk = blk_rig_disk(&rig, (struct tarn_sim_disk_config){.blocks = setup.disk_blocks});
    lower = tarn_sim_disk_blk(disk);
    for (size_t i = 0; i < sizeof backing_mem; i++)
        backing_mem[i] = (uint8_t)(i / BLOCK + 1);
    cr_assert_eq(tarn_blk_ram_init(&backing, &rig.tasks, TARN_BYTES_ARRAY(backing_mem), BLOCK),
                 TARN_OK);
    struct tarn_blk_qcow2_format format = {
        .bytes = setup.bytes, .cluster_bits = setup.cluster_bits, .version = setup.version};
    if (setup.backed) {
        format.backing_name = TARN_SPAN_LIT("base.img");
        format.backing_format = TARN_SPAN_LIT("raw");
    }
    cr_assert_eq(tarn_blk_qcow2_create(lower, rig.waiter, TARN_BYTES_ARRAY(buffer), &format),
                 TARN_OK);
    load();
}

static struct tarn_blk_qcow2_report check(bool repair) {
    static uint8_t scratch[4096];
    struct tarn_blk_qcow2_report report;
    cr_assert_eq(tarn_blk_qcow2_check(q, rig.waiter, TARN_BYTES_ARRAY(scratch), repair, &report),
                 TARN_OK);
    return report;
}

static void expect_clean(void) {
    struct tarn_blk_qcow2_report report = check(false);
    cr_assert_eq(report.corruptions, 0);
    cr_assert_eq(report.leaks, 0);
}

static void put(uint64_t at, uint8_t value) {
    uint8_t block[BLOCK];
    memset(block, value, BLOCK);
    cr_assert_eq(tarn_blk_write(blk, rig.waiter, at, TARN_SPAN_ARRAY(block)), TARN_OK, "%u",
                 (unsigned)at);
}

static int get(uint64_t at) {
    uint8_t block[BLOCK];
    cr_assert_eq(tarn_blk_read(blk, rig.waiter, at, TARN_BYTES_ARRAY(block)), TARN_OK);
    for (unsigned i = 1; i < BLOCK; i++)
        if (block[i] != block[0])
            return -1;
    return block[0];
}

static void finish(void) {
    expect_clean();
    unload();
    blk_rig_fini(&rig);
}

/* -- as a device
 * ------------------------------------------------------------------------------------
 */

static void conf_open(struct blk_conf *conf) {
    start();
    conf->blk = blk;
    conf->waiter = rig.waiter;
}
static void conf_close(struct blk_conf *conf) {
    (void)conf;
    finish();
}
static void conform(struct setup s) {
    struct blk_conf conf = {.open = conf_open, .close = conf_close};
    setup = s;
    blk_conformance(&conf);
}

Test(qcow2, is_a_device_with_the_usual_clusters) {
    conform((struct setup){.bytes = 10 << 20, .disk_blocks = 8192, .cluster_bits = 16});
}
Test(qcow2, is_a_device_with_the_smallest_clusters) {
    conform(
        (struct setup){.bytes = 600 * 512, .disk_blocks = 4096, .cluster_bits = 9, .l2_tables = 2});
}
Test(qcow2, is_a_device_in_version_2) {
    conform(
        (struct setup){.bytes = 600 * 512, .disk_blocks = 4096, .cluster_bits = 10, .version = 2});
}
Test(qcow2, is_a_device_over_a_backing_one) {
    conform((struct setup){
        .bytes = 600 * 512, .disk_blocks = 4096, .cluster_bits = 11, .backed = true});
}
Test(qcow2, is_a_device_over_a_backing_one_in_version_2) {
    conform((struct setup){
        .bytes = 600 * 512, .disk_blocks = 4096, .cluster_bits = 11, .backed = true, .version = 2});
}

/* -- its own promises -----------------------------------------------------------------------------
 */

Test(qcow2, what_was_written_is_there_after_opening_again) {
    setup = (struct setup){.bytes = 1 << 20, .disk_blocks = 8192, .cluster_bits = 12};
    start();
    put(0, 1);
    put(777, 2);
    put(2047, 3);
    unload();
    load();
    cr_assert(get(0) == 1 && get(777) == 2 && get(2047) == 3 && get(1) == 0 && get(776) == 0);
    cr_assert_eq(check(false).data_clusters, 3);
    finish();
}

Test(qcow2, the_backing_device_shows_through) {
    setup =
        (struct setup){.bytes = 1 << 20, .disk_blocks = 8192, .cluster_bits = 12, .backed = true};
    start();
    put(9, 200); /* in a cluster of eight */
    for (unsigned i = 0; i < 128; i++)
        cr_assert_eq(get(i), i == 9 ? 200 : i + 1, "%u", i);
    cr_assert_eq(get(128), 0, "behind its end");
    cr_assert_eq(tarn_blk_discard(blk, rig.waiter, 4, 60), TARN_OK);
    for (unsigned i = 0; i < 128; i++)
        cr_assert_eq(get(i), i >= 4 && i < 64 ? 0 : i + 1, "%u", i);
    finish();
}

Test(qcow2, discarded_clusters_are_used_again) {
    setup = (struct setup){.bytes = 1 << 20, .disk_blocks = 700, .cluster_bits = 12};
    start();
    for (unsigned round = 0; round < 10; round++) {
        for (unsigned i = 0; i < 480; i++)
            put(i, (uint8_t)round);
        cr_assert_eq(tarn_blk_discard(blk, rig.waiter, 0, 480), TARN_OK);
        cr_assert_eq(tarn_blk_flush(blk, rig.waiter), TARN_OK);
    }
    cr_assert_eq(check(false).data_clusters, 0);
    finish();
}

Test(qcow2, a_full_device_is_told_and_forgiven) {
    uint8_t block[BLOCK] = {1};
    unsigned n = 0;
    setup = (struct setup){.bytes = 1 << 20, .disk_blocks = 256, .cluster_bits = 9};
    start();
    enum tarn_err err;
    while (!(err = tarn_blk_write(blk, rig.waiter, n, TARN_SPAN_ARRAY(block))))
        n++;
    cr_assert_eq(err, TARN_LIMIT);
    cr_assert_gt(n, 200);
    expect_clean();
    cr_assert_eq(tarn_blk_discard(blk, rig.waiter, 0, 10), TARN_OK);
    cr_assert_eq(tarn_blk_flush(blk, rig.waiter), TARN_OK);
    put(n, 7);
    cr_assert_eq(get(n), 7);
    finish();
}

Test(qcow2, the_refcount_table_grows) {
    /* A cluster of 512 bytes has 64 entries, each for 256 clusters: 8 MiB, then it moves. */
    static uint8_t data[64 * BLOCK];
    setup =
        (struct setup){.bytes = 20 << 20, .disk_blocks = 50000, .cluster_bits = 9, .l2_tables = 4};
    start();
    for (uint64_t at = 0; at < 20000; at += 64) {
        memset(data, (int)(at / 64) | 1, sizeof data);
        cr_assert_eq(tarn_blk_write(blk, rig.waiter, at, TARN_SPAN_ARRAY(data)), TARN_OK);
    }
    expect_clean();
    unload();
    load();
    for (uint64_t at = 0; at < 20000; at += 64)
        cr_assert_eq(get(at + 5), (uint8_t)((at / 64) | 1));
    finish();
}

Test(qcow2, growing_keeps_what_is_there) {
    setup = (struct setup){.bytes = 64 * 512,
                           .disk_blocks = 8192,
                           .cluster_bits = 9,
                           .backed = true,
                           .grows_to = 2 << 20};
    start();
    put(63, 99);
    cr_assert_eq(tarn_blk_qcow2_grow(q, rig.waiter, 32 * 512), TARN_INVALID);
    cr_assert_eq(tarn_blk_qcow2_grow(q, rig.waiter, 4 << 20), TARN_LIMIT);
    cr_assert_eq(tarn_blk_qcow2_grow(q, rig.waiter, 2 << 20), TARN_OK);
    cr_assert_eq(blk->blocks, 4096);
    cr_assert(get(0) == 1 && get(63) == 99);
    for (unsigned i = 64; i < 128; i++)
        cr_assert_eq(get(i), 0, "what the backing device has there was never seen");
    put(4095, 5);
    unload();
    load();
    cr_assert(get(0) == 1 && get(63) == 99 && get(100) == 0 && get(4095) == 5);
    finish();
}

Test(qcow2, compacting_leaves_no_hole) {
    uint64_t end;
    setup = (struct setup){.bytes = 4 << 20, .disk_blocks = 30000, .cluster_bits = 9};
    start();
    for (unsigned i = 0; i < 8000; i++)
        put(i, (uint8_t)(i % 250 + 1));
    for (unsigned i = 0; i < 8000; i++)
        if (i % 7)
            cr_assert_eq(tarn_blk_discard(blk, rig.waiter, i, 1), TARN_OK);
    cr_assert_eq(tarn_blk_flush(blk, rig.waiter), TARN_OK);
    uint64_t before = check(false).end;
    cr_assert_eq(tarn_blk_qcow2_compact(q, rig.waiter, &end), TARN_OK);
    cr_assert_lt(end, before / 4, "%u of %u", (unsigned)end, (unsigned)before);
    cr_assert_eq(check(false).end, end);
    expect_clean();
    unload();
    load();
    for (unsigned i = 0; i < 8000; i++)
        cr_assert_eq(get(i), i % 7 ? 0 : (int)(i % 250 + 1));
    finish();
}

Test(qcow2, check_finds_and_mends_leaks) {
    setup = (struct setup){.bytes = 1 << 20, .disk_blocks = 8192, .cluster_bits = 9};
    start();
    for (unsigned i = 0; i < 300; i++)
        put(i, 1);
    unload();
    /* Counts stand in cluster 2 first: of cluster 250, one more; of cluster 200, none. */
    tarn_sim_disk_bytes(disk).ptr[2 * 512 + 250 * 2 + 1]++;
    load();
    struct tarn_blk_qcow2_report report = check(false);
    cr_assert(report.leaks == 1 && report.corruptions >= 1);
    cr_assert_eq(check(true).repaired, 1);
    expect_clean();
    unload();
    tarn_sim_disk_bytes(disk).ptr[2 * 512 + 200 * 2 + 1] = 0;
    load();
    cr_assert_geq(check(false).corruptions, 1);
    check(true);
    finish();
}

Test(qcow2, a_failed_commit_stops_all_writing) {
    uint8_t block[BLOCK] = {1};
    setup = (struct setup){.bytes = 1 << 20, .disk_blocks = 8192, .cluster_bits = 9};
    start();
    put(0, 1);
    tarn_sim_disk_bad_block(disk, 2, true); /* the counts */
    cr_assert_eq(tarn_blk_flush(blk, rig.waiter), TARN_IO);
    tarn_sim_disk_bad_block(disk, 2, false);
    cr_assert_eq(tarn_blk_write(blk, rig.waiter, 0, TARN_SPAN_ARRAY(block)), TARN_IO);
    cr_assert_eq(tarn_blk_flush(blk, rig.waiter), TARN_IO);
    cr_assert_eq(get(0), 1);
    tarn_blk_pump_remove(&rig.pump, tarn_blk_qcow2_worker(q));
    tarn_blk_qcow2_delete(q);
    blk_rig_fini(&rig);
}

/* -- images that somebody else made
 * -----------------------------------------------------------------
 */

static enum tarn_err open_with(size_t at, uint8_t value) {
    struct tarn_blk_qcow2_config config = {
        .alloc = &rig.alloc.alloc, .tasks = &rig.tasks, .lower = lower};
    struct tarn_blk_qcow2 *other;
    uint8_t *byte = tarn_sim_disk_bytes(disk).ptr + at, before = *byte;
    *byte = value;
    enum tarn_err err = tarn_blk_qcow2_open(&config, rig.waiter, &other);
    *byte = before;
    if (!err) {
        if (tarn_blk_qcow2_worker(other)->blk.features & TARN_BLK_READ_ONLY)
            err = TARN_EOF; /* a mark for the test */
        tarn_blk_qcow2_delete(other);
    }
    cr_assert_eq(rig.alloc.live, 0);
    return err;
}

Test(qcow2, what_is_unknown_or_wrong_in_the_header_is_refused) {
    setup = (struct setup){.bytes = 1 << 20, .disk_blocks = 8192, .cluster_bits = 9};
    start();
    unload();
    cr_expect_eq(open_with(0, 'Q'), TARN_OK);
    cr_expect_eq(open_with(0, 'q'), TARN_PEER);
    cr_expect_eq(open_with(7, 4), TARN_UNSUPPORTED, "version");
    cr_expect_eq(open_with(79, 1), TARN_EOF, "dirty");
    cr_expect_eq(open_with(79, 2), TARN_EOF, "corrupt");
    cr_expect_eq(open_with(79, 4), TARN_UNSUPPORTED, "external data");
    cr_expect_eq(open_with(79, 16), TARN_UNSUPPORTED, "extended L2");
    cr_expect_eq(open_with(72, 1), TARN_UNSUPPORTED, "a bit that nobody knows");
    cr_expect_eq(open_with(35, 1), TARN_UNSUPPORTED, "encryption");
    cr_expect_eq(open_with(23, 8), TARN_PEER, "cluster_bits");
    cr_expect_eq(open_with(23, 22), TARN_PEER, "cluster_bits");
    cr_expect_eq(open_with(39, 1), TARN_PEER, "an L1 table that is too small");
    cr_expect_eq(open_with(42, 1), TARN_PEER, "an L1 table behind the end");
    cr_expect_eq(open_with(47, 1), TARN_PEER, "an L1 table out of line");
    cr_expect_eq(open_with(50, 1), TARN_PEER, "a refcount table behind the end");
    cr_expect_eq(open_with(59, 0), TARN_PEER, "no refcount table");
    cr_expect_eq(open_with(99, 7), TARN_PEER, "refcount_order");
    cr_expect_eq(open_with(103, 103), TARN_PEER, "header_length");
    cr_expect_eq(open_with(15, 200), TARN_INVALID, "a backing device that is not given");
    cr_expect_eq(open_with(2 * 512 + 1, 0), TARN_PEER, "a header that is not counted");
    blk_rig_fini(&rig);
}

Test(qcow2, a_reference_to_nowhere_is_the_images_fault) {
    uint8_t block[BLOCK];
    setup = (struct setup){.bytes = 64 * 512, .disk_blocks = 8192, .cluster_bits = 9};
    start();
    put(0, 1);
    unload();
    /* Header, refcount table and block, L1, then what was written: data, and its table. */
    uint8_t *l2 = tarn_sim_disk_bytes(disk).ptr + 5 * 512;
    cr_assert_eq(l2[0], 0x80, "the L2 table is where it is thought to be");
    l2[4] = 0x7f; /* far behind the end */
    load();
    cr_assert_eq(tarn_blk_read(blk, rig.waiter, 0, TARN_BYTES_ARRAY(block)), TARN_PEER);
    cr_assert_eq(tarn_blk_write(blk, rig.waiter, 0, TARN_SPAN_ARRAY(block)), TARN_PEER);
    cr_assert_geq(check(false).corruptions, 1);
    unload();
    blk_rig_fini(&rig);
}

Test(qcow2, info_says_what_the_header_says) {
    uint8_t buffer[4096];
    struct tarn_blk_qcow2_info info;
    setup =
        (struct setup){.bytes = 1 << 20, .disk_blocks = 8192, .cluster_bits = 12, .backed = true};
    start();
    cr_assert_eq(tarn_blk_qcow2_info(lower, rig.waiter, TARN_BYTES_ARRAY(buffer), &info), TARN_OK);
    cr_assert(info.format.bytes == 1 << 20 && info.format.cluster_bits == 12
              && info.format.version == 3 && info.refcount_bits == 16 && info.snapshots == 0);
    cr_assert(tarn_span_equal(info.format.backing_name, TARN_SPAN_LIT("base.img")));
    cr_assert(tarn_span_equal(info.format.backing_format, TARN_SPAN_LIT("raw")));
    finish();
}
