/* SPDX-License-Identifier: ISC */
#include "../blk/conformance.h"
#include "../blk/crash.h"
#include "../kv/conformance.h"

#include <criterion/criterion.h>
#include <string.h>
#include <tarn/blk_sealed.h>
#include <tarn/blk_xts.h>
#include <tarn/kv_tree.h>

enum { BLOCK = 512, BLOCKS = 1000 };
static const uint8_t key[64] = "two keys in a row for XTS, or one of these halves for CCM: 64 b";

static struct blk_rig rig;
static struct tarn_blk *lower;
static struct tarn_random_seeded dice;

static void open_disk(struct blk_conf *conf) {
    blk_rig_init(&rig, 1);
    tarn_random_seeded_init(&dice, 1);
    lower = tarn_sim_disk_blk(blk_rig_disk(
        &rig, (struct tarn_sim_disk_config){
                  .blocks = BLOCKS, .latency_max = TARN_MS(1), .blocks_per_request_max = 16}));
    conf->waiter = rig.waiter;
}

/* -- XTS ------------------------------------------------------------------------------------------
 */

static struct tarn_blk_xts *xts;
static struct tarn_blk *use_xts(struct blk_rig *r, struct tarn_blk *below, struct tarn_span with) {
    struct tarn_blk_xts_config config = {
        .alloc = &r->alloc.alloc, .tasks = &r->tasks, .lower = below, .key = with};
    cr_assert_eq(tarn_blk_xts_new(&config, &xts), TARN_OK);
    tarn_blk_pump_add(&r->pump, tarn_blk_xts_worker(xts));
    return &tarn_blk_xts_worker(xts)->blk;
}
static void open_xts(struct blk_conf *conf) {
    uint8_t block[BLOCK] = {0};
    open_disk(conf);
    conf->blk = use_xts(&rig, lower, TARN_SPAN_ARRAY(key));
    /* The cases begin with zeroes. */
    for (uint64_t at = 0; at < BLOCKS; at++)
        cr_assert_eq(tarn_blk_write(conf->blk, rig.waiter, at, TARN_SPAN_ARRAY(block)), TARN_OK);
    cr_assert_eq(tarn_blk_flush(conf->blk, rig.waiter), TARN_OK);
}
static void close_xts(struct blk_conf *conf) {
    (void)conf;
    tarn_blk_pump_remove(&rig.pump, tarn_blk_xts_worker(xts));
    tarn_blk_xts_delete(xts);
    cr_assert_eq(rig.alloc.live, 0);
    blk_rig_fini(&rig);
}

Test(xts, is_a_device) {
    struct blk_conf conf = {.open = open_xts, .close = close_xts};
    blk_conformance(&conf);
}

/* IEEE 1619, appendix B, vector 4: unit 0, AES-128. */
Test(xts, the_published_bytes_are_on_the_disk) {
    static const uint8_t keys[32] = {0x27, 0x18, 0x28, 0x18, 0x28, 0x45, 0x90, 0x45,
                                     0x23, 0x53, 0x60, 0x28, 0x74, 0x71, 0x35, 0x26,
                                     0x31, 0x41, 0x59, 0x26, 0x53, 0x58, 0x97, 0x93,
                                     0x23, 0x84, 0x62, 0x64, 0x33, 0x83, 0x27, 0x95};
    static const uint8_t begin[32] = {0x27, 0xa7, 0x47, 0x9b, 0xef, 0xa1, 0xd4, 0x76,
                                      0x48, 0x9f, 0x30, 0x8c, 0xd4, 0xcf, 0xa6, 0xe2,
                                      0xa9, 0x6e, 0x4b, 0xbe, 0x32, 0x08, 0xff, 0x25,
                                      0x28, 0x7d, 0xd3, 0x81, 0x96, 0x16, 0xe8, 0x9c};
    struct blk_conf conf;
    uint8_t plain[BLOCK], got[BLOCK];
    for (unsigned i = 0; i < BLOCK; i++)
        plain[i] = (uint8_t)i;
    open_disk(&conf);
    struct tarn_blk *blk = use_xts(&rig, lower, TARN_SPAN_ARRAY(keys));
    cr_assert_eq(tarn_blk_write(blk, rig.waiter, 0, TARN_SPAN_ARRAY(plain)), TARN_OK);
    cr_assert_eq(tarn_blk_write(blk, rig.waiter, 1, TARN_SPAN_ARRAY(plain)), TARN_OK);
    cr_assert_eq(tarn_blk_read(lower, rig.waiter, 0, TARN_BYTES_ARRAY(got)), TARN_OK);
    cr_assert_arr_eq(got, begin, sizeof begin);
    cr_assert_eq(tarn_blk_read(lower, rig.waiter, 1, TARN_BYTES_ARRAY(got)), TARN_OK);
    cr_assert_neq(memcmp(got, begin, sizeof begin), 0, "the same block elsewhere is another");
    cr_assert_eq(tarn_blk_read(blk, rig.waiter, 1, TARN_BYTES_ARRAY(got)), TARN_OK);
    cr_assert_arr_eq(got, plain, BLOCK);
    close_xts(&conf);
}

Test(xts, bad_keys_and_units_are_refused) {
    struct blk_conf conf;
    struct tarn_blk_xts *none;
    open_disk(&conf);
    struct tarn_blk_xts_config config = {
        .alloc = &rig.alloc.alloc, .tasks = &rig.tasks, .lower = lower};
    static const uint8_t equal[32] = {0};
    config.key = TARN_SPAN_ARRAY(equal);
    cr_assert_eq(tarn_blk_xts_new(&config, &none), TARN_INVALID, "two equal halves");
    config.key = tarn_span_of(key, 48);
    cr_assert_eq(tarn_blk_xts_new(&config, &none), TARN_INVALID);
    config.key = TARN_SPAN_ARRAY(key);
    config.unit_bytes = 1024;
    cr_assert_eq(tarn_blk_xts_new(&config, &none), TARN_INVALID, "larger than a block");
    cr_assert_eq(rig.alloc.live, 0);
    blk_rig_fini(&rig);
}

/* -- sealed ---------------------------------------------------------------------------------------
 */

static struct tarn_blk_sealed *sealed;
static const struct tarn_aead *aead;

static struct tarn_blk_sealed_config config_of(struct blk_rig *r, struct tarn_blk *below) {
    return (struct tarn_blk_sealed_config){.alloc = &r->alloc.alloc,
                                           .tasks = &r->tasks,
                                           .lower = below,
                                           .random = &dice.random,
                                           .aead = aead,
                                           .key = tarn_span_of(key, aead ? aead->key_bytes : 32),
                                           .tables = 2};
}
static struct tarn_blk *use_sealed(struct blk_rig *r, struct tarn_blk *below, bool make) {
    struct tarn_blk_sealed_config config = config_of(r, below);
    if (make)
        cr_assert_eq(tarn_blk_sealed_format(&config, r->waiter), TARN_OK);
    cr_assert_eq(tarn_blk_sealed_new(&config, r->waiter, &sealed), TARN_OK);
    tarn_blk_pump_add(&r->pump, tarn_blk_sealed_worker(sealed));
    return &tarn_blk_sealed_worker(sealed)->blk;
}
static void open_sealed(struct blk_conf *conf) {
    open_disk(conf);
    conf->blk = use_sealed(&rig, lower, true);
}
static void forget_sealed(void) {
    tarn_blk_pump_remove(&rig.pump, tarn_blk_sealed_worker(sealed));
    tarn_blk_sealed_delete(sealed);
}
static void close_sealed(struct blk_conf *conf) {
    (void)conf;
    cr_assert_eq(tarn_blk_sealed_counters(sealed)->refused, 0);
    forget_sealed();
    cr_assert_eq(rig.alloc.live, 0);
    blk_rig_fini(&rig);
}

Test(sealed, is_a_device) {
    static const struct tarn_aead *const all[] = {NULL, &tarn_aes128_ccm, &tarn_chacha20_poly1305};
    struct blk_conf conf = {.open = open_sealed, .close = close_sealed};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        aead = all[i];
        blk_conformance(&conf);
    }
}

static bool check_nothing(struct blk_rig *r) {
    (void)r;
    return true;
}
Test(sealed, every_moment_of_a_power_loss) {
    struct crash_layer layer = {.open = use_sealed,
                                .check = check_nothing,
                                .blocks = 20, /* of three tables */
                                .disk_bytes = 64 * 512,
                                .ops = 60};
    tarn_random_seeded_init(&dice, 1);
    struct crash_report r = crash_run(&layer, 1);
    cr_assert(r.moments > 50 && r.outcomes > 300, "%u %u", r.moments, r.outcomes);
}

/* Every byte of what is below, changed: never wrong data. */
Test(sealed, what_was_changed_is_not_read) {
    struct blk_conf conf;
    uint8_t plain[BLOCK], got[BLOCK];
    unsigned refused = 0;
    open_sealed(&conf);
    for (uint64_t at = 0; at < 20; at++) {
        memset(plain, (int)(at + 1), BLOCK);
        cr_assert_eq(tarn_blk_write(conf.blk, rig.waiter, at, TARN_SPAN_ARRAY(plain)), TARN_OK);
    }
    cr_assert_eq(tarn_blk_flush(conf.blk, rig.waiter), TARN_OK);
    forget_sealed();
    struct tarn_bytes disk = tarn_sim_disk_bytes(rig.disks[0]);
    for (size_t i = 0; i < 28 * BLOCK; i += 61) {
        struct tarn_blk_sealed_config config = config_of(&rig, lower);
        disk.ptr[i] ^= 1;
        enum tarn_err err = tarn_blk_sealed_new(&config, rig.waiter, &sealed);
        cr_assert(err == TARN_OK || (err == TARN_PEER && i < BLOCK));
        refused += err != TARN_OK;
        if (!err) {
            struct tarn_blk *blk = &tarn_blk_sealed_worker(sealed)->blk;
            tarn_blk_pump_add(&rig.pump, tarn_blk_sealed_worker(sealed));
            for (uint64_t at = 0; at < 20; at++) {
                memset(plain, (int)(at + 1), BLOCK);
                err = tarn_blk_read(blk, rig.waiter, at, TARN_BYTES_ARRAY(got));
                cr_assert(err == TARN_IO || (err == TARN_OK && !memcmp(got, plain, BLOCK)));
                refused += err != TARN_OK;
            }
            forget_sealed();
        }
        disk.ptr[i] ^= 1;
    }
    cr_assert(refused > 200, "%u", refused);
    blk_rig_fini(&rig);
}

Test(sealed, blocks_cannot_change_places) {
    struct blk_conf conf;
    uint8_t plain[BLOCK] = {1}, got[BLOCK], swap[BLOCK];
    open_sealed(&conf);
    cr_assert_eq(tarn_blk_write(conf.blk, rig.waiter, 0, TARN_SPAN_ARRAY(plain)), TARN_OK);
    cr_assert_eq(tarn_blk_write(conf.blk, rig.waiter, 1, TARN_SPAN_ARRAY(plain)), TARN_OK);
    cr_assert_eq(tarn_blk_flush(conf.blk, rig.waiter), TARN_OK);
    uint8_t *disk = tarn_sim_disk_bytes(rig.disks[0]).ptr; /* header, table, block 0, block 1 */
    cr_assert_neq(memcmp(disk + 2 * BLOCK, disk + 3 * BLOCK, BLOCK), 0,
                  "equal ones look different");
    memcpy(swap, disk + 2 * BLOCK, BLOCK);
    memcpy(disk + 2 * BLOCK, disk + 3 * BLOCK, BLOCK);
    memcpy(disk + 3 * BLOCK, swap, BLOCK);
    cr_assert_eq(tarn_blk_read(conf.blk, rig.waiter, 0, TARN_BYTES_ARRAY(got)), TARN_IO);
    cr_assert_eq(tarn_blk_sealed_counters(sealed)->refused, 1);
    forget_sealed();
    blk_rig_fini(&rig);
}

Test(sealed, another_key_does_not_open_it) {
    struct blk_conf conf;
    open_sealed(&conf);
    forget_sealed();
    struct tarn_blk_sealed_config config = config_of(&rig, lower);
    config.key = tarn_span_of(key + 1, 32);
    cr_assert_eq(tarn_blk_sealed_new(&config, rig.waiter, &sealed), TARN_PEER);
    config.key = tarn_span_of(key, 31);
    cr_assert_eq(tarn_blk_sealed_new(&config, rig.waiter, &sealed), TARN_INVALID);
    cr_assert_eq(rig.alloc.live, 0);
    blk_rig_fini(&rig);
}

/* -- a store over it ------------------------------------------------------------------------------
 */

#define NOW 1234567890

static struct tarn_waiter *waiter_of(void *user) {
    return ((struct blk_rig *)user)->waiter;
}
static uint64_t wall(struct tarn_clock *c) {
    (void)c;
    return NOW * 1000000000ull;
}

/* The store on a device, all of it encrypted: nothing of a value is to be seen below. */
Test(sealed, carries_a_store) {
    static const struct tarn_clock_ops clock_ops = {.wall_ns = wall};
    static const char secret[] =
        "a value that nobody is to see, long enough to be found by chance never";
    struct tarn_clock clock = {&clock_ops};
    struct tarn_kv_tree *tree;
    blk_rig_init(&rig, 1);
    tarn_random_seeded_init(&dice, 1);
    lower = tarn_sim_disk_blk(blk_rig_disk(
        &rig, (struct tarn_sim_disk_config){.blocks = 8192, .blocks_per_request_max = 64}));
    struct tarn_kv_tree_config config = {.alloc = &rig.alloc.alloc,
                                         .blk = use_sealed(&rig, lower, true),
                                         .waiter = waiter_of,
                                         .user = &rig,
                                         .clock = &clock,
                                         .random = &dice.random,
                                         .table_bytes = 256 << 10,
                                         .cache_bytes = 64 << 10,
                                         .snapshots_max = 2};
    cr_assert_eq(tarn_kv_tree_format(&config, 0), TARN_OK);
    cr_assert_eq(tarn_kv_tree_open(&config, &tree), TARN_OK);
    kv_conformance_rw(tarn_kv_tree_kv(tree), NOW);
    cr_assert_eq(tarn_kv_set(tarn_kv_tree_kv(tree), TARN_SPAN_LIT("secret"), tarn_span_str(secret)),
                 TARN_OK);
    cr_assert_eq(tarn_kv_tree_settle(tree), TARN_OK);
    tarn_kv_tree_close(tree);
    struct tarn_bytes disk = tarn_sim_disk_bytes(rig.disks[0]);
    for (size_t i = 0; i + 16 < disk.len; i++)
        cr_assert_neq(memcmp(disk.ptr + i, secret, 16), 0);
    close_sealed(NULL);
}
