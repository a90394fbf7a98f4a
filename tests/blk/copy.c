/* SPDX-License-Identifier: ISC */
/* Copying, comparing, filling; the write log read back; rot found by checksums. */
#include "rig.h"

#include <criterion/criterion.h>
#include <string.h>
#include <tarn/blk_cache.h>
#include <tarn/blk_checksum.h>
#include <tarn/blk_copy.h>
#include <tarn/blk_log.h>
#include <tarn/blk_ram.h>

enum { BLOCK = 512 };

static struct blk_rig rig;
static uint8_t mem_a[200 * BLOCK], mem_b[256 * BLOCK], buffer[64 * 1024];
static struct tarn_blk_ram a, b;

static void start(uint32_t b_block_bytes) {
    blk_rig_init(&rig, 1);
    for (size_t i = 0; i < sizeof mem_a; i++)
        mem_a[i] = i / BLOCK % 5 ? 0 : (uint8_t)(i * 7 + i / BLOCK) | 1;
    memset(mem_b, 0xee, sizeof mem_b);
    cr_assert_eq(tarn_blk_ram_init(&a, &rig.tasks, TARN_BYTES_ARRAY(mem_a), BLOCK), TARN_OK);
    cr_assert_eq(tarn_blk_ram_init(&b, &rig.tasks, TARN_BYTES_ARRAY(mem_b), b_block_bytes),
                 TARN_OK);
}

Test(copy, all_of_it_between_blocks_of_different_sizes) {
    struct tarn_bytes small = {buffer, 9000};
    start(4096);
    cr_assert_eq(tarn_blk_copy(&a.blk, &b.blk, rig.waiter, small), TARN_OK);
    cr_assert_arr_eq(mem_a, mem_b, sizeof mem_a);
    cr_assert_eq(mem_b[sizeof mem_a], 0xee);
    cr_assert_eq(tarn_blk_copy(&b.blk, &a.blk, rig.waiter, small), TARN_LIMIT);
    cr_assert_eq(tarn_blk_copy(&a.blk, &b.blk, rig.waiter, tarn_bytes_of(buffer, 4095)),
                 TARN_INVALID);
    blk_rig_fini(&rig);
}

Test(copy, zeroes_are_discarded_skipped_or_written) {
    struct tarn_blk_copy_counters counters;
    start(BLOCK);
    cr_assert_eq(tarn_blk_copy_sparse(&a.blk, &b.blk, rig.waiter, tarn_bytes_of(buffer, 8192),
                                      false, &counters),
                 TARN_OK);
    cr_assert_arr_eq(mem_a, mem_b, sizeof mem_a);
    cr_assert(counters.bytes_written == 40 * BLOCK && counters.bytes_skipped == 160 * BLOCK);
    memset(mem_b, 0xee, sizeof mem_b);
    b.blk.features &= ~(uint32_t)TARN_BLK_DISCARD_ZEROES;
    cr_assert_eq(tarn_blk_copy_sparse(&a.blk, &b.blk, rig.waiter, tarn_bytes_of(buffer, 8192),
                                      false, &counters),
                 TARN_OK);
    cr_assert_arr_eq(mem_a, mem_b, sizeof mem_a);
    cr_assert_eq(counters.bytes_skipped, 0);
    memset(mem_b, 0, sizeof mem_b);
    cr_assert_eq(tarn_blk_copy_sparse(&a.blk, &b.blk, rig.waiter, tarn_bytes_of(buffer, 8192), true,
                                      &counters),
                 TARN_OK);
    cr_assert_arr_eq(mem_a, mem_b, sizeof mem_a);
    cr_assert_eq(counters.bytes_written, 40 * BLOCK);
    blk_rig_fini(&rig);
}

Test(copy, comparing_finds_the_first_difference) {
    struct tarn_bytes all = TARN_BYTES_ARRAY(buffer);
    uint64_t at;
    start(1024);
    memcpy(mem_b, mem_a, sizeof mem_a);
    memset(mem_b + sizeof mem_a, 0, sizeof mem_b - sizeof mem_a);
    cr_assert_eq(tarn_blk_compare(&a.blk, &b.blk, rig.waiter, all, &at), TARN_NOT_FOUND);
    mem_b[sizeof mem_b - 3] = 1;
    cr_assert_eq(tarn_blk_compare(&a.blk, &b.blk, rig.waiter, all, &at), TARN_OK);
    cr_assert_eq(at, sizeof mem_b - 3);
    mem_a[70001] ^= 1;
    cr_assert_eq(tarn_blk_compare(&b.blk, &a.blk, rig.waiter, all, &at), TARN_OK);
    cr_assert_eq(at, 70001);
    blk_rig_fini(&rig);
}

Test(copy, filling) {
    start(BLOCK);
    cr_assert_eq(tarn_blk_fill(&b.blk, rig.waiter, tarn_bytes_of(buffer, 1500), 3, 7, 9), TARN_OK);
    for (size_t i = 0; i < sizeof mem_b; i++)
        cr_assert_eq(mem_b[i], i / BLOCK >= 3 && i / BLOCK < 10 ? 9 : 0xee);
    cr_assert_eq(tarn_blk_fill(&b.blk, rig.waiter, tarn_bytes_of(buffer, 511), 3, 7, 9),
                 TARN_INVALID);
    blk_rig_fini(&rig);
}

/* -- the write log
 * ----------------------------------------------------------------------------------
 */

Test(log, every_prefix_is_a_state_that_was) {
    enum { WRITES = 40, BLOCKS = 200 };
    static uint8_t states[WRITES + 1][BLOCKS * BLOCK], log_mem[400 * BLOCK];
    struct tarn_blk_log *log;
    struct tarn_blk_ram log_ram, target;
    struct tarn_blk_log_reader reader;
    struct tarn_blk_log_entry e;
    uint8_t data[4 * BLOCK];
    start(BLOCK);
    memset(mem_a, 0, sizeof mem_a);
    cr_assert_eq(tarn_blk_ram_init(&log_ram, &rig.tasks, TARN_BYTES_ARRAY(log_mem), BLOCK),
                 TARN_OK);
    struct tarn_blk_log_config config = {
        .alloc = &rig.alloc.alloc, .tasks = &rig.tasks, .lower = &a.blk, .log = &log_ram.blk};
    cr_assert_eq(tarn_blk_log_new(&config, rig.waiter, &log), TARN_OK);
    struct tarn_blk *blk = &tarn_blk_log_worker(log)->blk;
    tarn_blk_pump_add(&rig.pump, tarn_blk_log_worker(log));
    for (unsigned i = 0; i < WRITES; i++) {
        memcpy(states[i], mem_a, sizeof mem_a);
        memset(data, (int)i + 1, sizeof data);
        size_t len = BLOCK * (1 + i % 4);
        if (i % 9 == 5)
            cr_assert_eq(tarn_blk_discard(blk, rig.waiter, i, 7), TARN_OK);
        else
            cr_assert_eq(tarn_blk_write(blk, rig.waiter, i * 3, tarn_span_of(data, len)), TARN_OK);
    }
    memcpy(states[WRITES], mem_a, sizeof mem_a);
    cr_assert_eq(tarn_blk_flush(blk, rig.waiter), TARN_OK);
    cr_assert_eq(tarn_blk_log_mark(log, rig.waiter, TARN_SPAN_LIT("the end")), TARN_OK);
    cr_assert_eq(tarn_blk_log_entries(log), WRITES + 2);

    memset(mem_b, 0, sizeof mem_b);
    cr_assert_eq(tarn_blk_ram_init(&target, &rig.tasks, TARN_BYTES_ARRAY(mem_b), BLOCK), TARN_OK);
    cr_assert_eq(tarn_blk_log_open(&reader, &log_ram.blk, rig.waiter, tarn_bytes_of(buffer, 1024)),
                 TARN_OK);
    for (unsigned i = 0; i < WRITES; i++) {
        cr_assert_arr_eq(mem_b, states[i], sizeof mem_a);
        cr_assert_eq(tarn_blk_log_next(&reader, &e), TARN_OK);
        cr_assert_eq(e.flags, i % 9 == 5 ? TARN_BLK_LOG_DISCARD : 0);
        cr_assert_eq(tarn_blk_log_apply(&reader, &e, &target.blk), TARN_OK);
    }
    cr_assert_arr_eq(mem_b, states[WRITES], sizeof mem_a);
    cr_assert_eq(tarn_blk_log_next(&reader, &e), TARN_OK);
    cr_assert_eq(e.flags, TARN_BLK_LOG_FLUSH);
    cr_assert_eq(tarn_blk_log_next(&reader, &e), TARN_OK);
    cr_assert(e.flags == TARN_BLK_LOG_MARK && tarn_span_equal(e.mark, TARN_SPAN_LIT("the end")));
    cr_assert_eq(tarn_blk_log_next(&reader, &e), TARN_EOF);
    tarn_blk_log_delete(log);
    blk_rig_fini(&rig);
}

Test(log, a_full_log_refuses_and_a_foreign_one_is_not_read) {
    static uint8_t log_mem[6 * BLOCK];
    struct tarn_blk_log *log;
    struct tarn_blk_ram log_ram;
    struct tarn_blk_log_reader reader;
    struct tarn_blk_log_entry e;
    uint8_t block[BLOCK] = {5};
    start(BLOCK);
    cr_assert_eq(tarn_blk_ram_init(&log_ram, &rig.tasks, TARN_BYTES_ARRAY(log_mem), BLOCK),
                 TARN_OK);
    cr_assert_eq(tarn_blk_log_open(&reader, &log_ram.blk, rig.waiter, TARN_BYTES_ARRAY(buffer)),
                 TARN_PEER);
    struct tarn_blk_log_config config = {
        .alloc = &rig.alloc.alloc, .tasks = &rig.tasks, .lower = &a.blk, .log = &log_ram.blk};
    cr_assert_eq(tarn_blk_log_new(&config, rig.waiter, &log), TARN_OK);
    struct tarn_blk *blk = &tarn_blk_log_worker(log)->blk;
    tarn_blk_pump_add(&rig.pump, tarn_blk_log_worker(log));
    cr_assert_eq(tarn_blk_write(blk, rig.waiter, 1, TARN_SPAN_ARRAY(block)), TARN_OK);
    cr_assert_eq(tarn_blk_flush(blk, rig.waiter), TARN_OK);
    cr_assert_eq(tarn_blk_write(blk, rig.waiter, 2, TARN_SPAN_ARRAY(block)), TARN_OK);
    cr_assert_eq(tarn_blk_write(blk, rig.waiter, 3, TARN_SPAN_ARRAY(block)), TARN_LIMIT);
    cr_assert_neq(mem_a[3 * BLOCK], 5, "what is not logged is not written");
    cr_assert_eq(tarn_blk_log_open(&reader, &log_ram.blk, rig.waiter, TARN_BYTES_ARRAY(buffer)),
                 TARN_OK);
    cr_assert_eq(reader.entries, 2, "as of the last flush");
    log_mem[BLOCK + 8 + 7] = 0x10; /* the first entry has data without end */
    cr_assert_eq(tarn_blk_log_next(&reader, &e), TARN_PEER);
    tarn_blk_log_delete(log);
    blk_rig_fini(&rig);
}

/* -- faults below ---------------------------------------------------------------------------------
 */

Test(checksum, rot_and_writes_that_went_astray_or_nowhere_are_found) {
    struct tarn_sim_disk_config faults[] = {
        {.rot_ppm = 100000}, {.lost_write_ppm = 60000}, {.astray_ppm = 60000}};
    for (unsigned f = 0; f < TARN_COUNT_OF(faults); f++) {
        struct tarn_blk_checksum *c;
        unsigned wrong = 0, refused = 0;
        uint8_t block[BLOCK];
        blk_rig_init(&rig, f + 1);
        struct tarn_sim_disk_config config = faults[f];
        config.blocks = 300;
        struct tarn_blk *lower = tarn_sim_disk_blk(blk_rig_disk(&rig, config));
        struct tarn_blk_checksum_config cc = {
            .alloc = &rig.alloc.alloc, .tasks = &rig.tasks, .lower = lower, .tables = 1};
        if (tarn_blk_checksum_format(lower, rig.waiter, TARN_BYTES_ARRAY(block))
            || tarn_blk_checksum_new(&cc, rig.waiter, &c)) {
            blk_rig_fini(&rig);
            continue; /* damaged before it was there: seen */
        }
        struct tarn_blk *blk = &tarn_blk_checksum_worker(c)->blk;
        tarn_blk_pump_add(&rig.pump, tarn_blk_checksum_worker(c));
        for (uint64_t round = 1; round <= 600; round++) {
            uint64_t at = round * 37 % 200;
            memset(block, (int)round | 1, BLOCK);
            enum tarn_err err = tarn_blk_write(blk, rig.waiter, at, TARN_SPAN_ARRAY(block));
            if (!err && round % 5 == 0)
                err = tarn_blk_flush(blk, rig.waiter);
            if (!err)
                err = tarn_blk_read(blk, rig.waiter, at, TARN_BYTES_ARRAY(block));
            refused += err == TARN_IO;
            for (unsigned i = 0; !err && i < BLOCK; i++)
                wrong += block[i] != (uint8_t)(round | 1);
        }
        cr_assert_eq(wrong, 0, "fault %u", f);
        cr_assert_gt(refused, 10, "fault %u", f);
        blk_rig_fini(&rig);
    }
}

Test(cache, a_write_that_fails_stays_dirty_and_is_tried_again) {
    struct tarn_blk_cache *cache;
    uint8_t block[BLOCK] = {3};
    blk_rig_init(&rig, 1);
    struct tarn_sim_disk *disk = blk_rig_disk(&rig, (struct tarn_sim_disk_config){.blocks = 500});
    struct tarn_blk_cache_config config = {.alloc = &rig.alloc.alloc,
                                           .tasks = &rig.tasks,
                                           .lower = tarn_sim_disk_blk(disk),
                                           .line_bytes = BLOCK,
                                           .lines = 64,
                                           .write_back = true};
    cr_assert_eq(tarn_blk_cache_new(&config, &cache), TARN_OK);
    struct tarn_blk *blk = &tarn_blk_cache_worker(cache)->blk;
    tarn_blk_pump_add(&rig.pump, tarn_blk_cache_worker(cache));
    cr_assert_eq(tarn_blk_write(blk, rig.waiter, 7, TARN_SPAN_ARRAY(block)), TARN_OK);
    cr_assert_eq(tarn_sim_disk_counters(disk)->writes, 0);
    tarn_sim_disk_bad_block(disk, 7, true);
    cr_assert_eq(tarn_blk_flush(blk, rig.waiter), TARN_IO);
    tarn_sim_disk_bad_block(disk, 7, false);
    cr_assert_eq(tarn_blk_flush(blk, rig.waiter), TARN_OK);
    cr_assert_eq(tarn_sim_disk_bytes(disk).ptr[7 * BLOCK], 3);
    cr_assert_eq(tarn_blk_read(blk, rig.waiter, 7, TARN_BYTES_ARRAY(block)), TARN_OK);
    cr_assert_eq(tarn_sim_disk_counters(disk)->reads, 0, "from memory");
    blk_rig_fini(&rig);
}

Test(cache, bounds_are_checked) {
    struct tarn_blk_cache *cache;
    blk_rig_init(&rig, 1);
    struct tarn_sim_disk *disk =
        blk_rig_disk(&rig, (struct tarn_sim_disk_config){.blocks = 500, .no_flush = true});
    struct tarn_blk_cache_config config = {.alloc = &rig.alloc.alloc,
                                           .tasks = &rig.tasks,
                                           .lower = tarn_sim_disk_blk(disk),
                                           .line_bytes = 1024,
                                           .lines = 64,
                                           .write_back = true};
    cr_assert_eq(tarn_blk_cache_new(&config, &cache), TARN_UNSUPPORTED);
    config.write_back = false;
    config.lines = 63;
    cr_assert_eq(tarn_blk_cache_new(&config, &cache), TARN_INVALID);
    config.lines = 64;
    config.line_bytes = 1000;
    cr_assert_eq(tarn_blk_cache_new(&config, &cache), TARN_INVALID);
    config.line_bytes = 1024;
    for (uint64_t n = 1; n <= 3; n++) {
        rig.alloc.calls = 0;
        rig.alloc.fail_at = n;
        cr_assert_eq(tarn_blk_cache_new(&config, &cache), TARN_LIMIT);
        cr_assert_eq(rig.alloc.live, 0);
    }
    blk_rig_fini(&rig);
}
