/* SPDX-License-Identifier: ISC */
/* Partition tables, written here and read here, and damaged. sfdisk reads them in peers.py. */
#include "rig.h"

#include <criterion/criterion.h>
#include <string.h>
#include <tarn/blk_part.h>

enum { BLOCK = 512, BLOCKS = 4096 };

static struct blk_rig rig;
static struct tarn_sim_disk *disk;
static struct tarn_blk *blk;
static uint8_t buffer[BLOCK];
static struct tarn_blk_part got_parts[130];
static struct tarn_blk_parts got;

static void start(void) {
    blk_rig_init(&rig, 1);
    disk = blk_rig_disk(&rig, (struct tarn_sim_disk_config){.blocks = BLOCKS});
    blk = tarn_sim_disk_blk(disk);
}

static enum tarn_err rd(void) {
    got = (struct tarn_blk_parts){.part = got_parts, .cap = TARN_COUNT_OF(got_parts)};
    return tarn_blk_parts_read(blk, rig.waiter, TARN_BYTES_ARRAY(buffer), &got);
}

static enum tarn_err wr(enum tarn_blk_scheme scheme, struct tarn_blk_part *part, uint32_t count) {
    struct tarn_blk_parts parts = {.scheme = scheme, .part = part, .count = count, .cap = count};
    for (unsigned i = 0; i < 16; i++)
        parts.disk_id.bytes[i] = (uint8_t)(i + 1);
    parts.mbr_disk_id = 0x12345678;
    return tarn_blk_parts_write(blk, rig.waiter, TARN_BYTES_ARRAY(buffer), &parts);
}

static uint8_t *byte(size_t block, size_t at) {
    return tarn_sim_disk_bytes(disk).ptr + block * BLOCK + at;
}

Test(part, an_empty_disk_has_no_table) {
    start();
    cr_assert_eq(rd(), TARN_OK);
    cr_assert_eq(got.scheme, TARN_BLK_SCHEME_NONE);
    blk_rig_fini(&rig);
}

static struct tarn_blk_part mbr_parts[] = {
    {.number = 1, .first = 64, .blocks = 100, .mbr_type = 0x83, .mbr_bootable = true},
    {.number = 3, .first = 200, .blocks = 50, .mbr_type = 0x0c},
    {.number = 5, .first = 1001, .blocks = 99, .mbr_type = 0x83},
    {.number = 6, .first = 1101, .blocks = 100, .mbr_type = 0x82},
    {.number = 7, .first = 3000, .blocks = 1096, .mbr_type = 0x83},
};

Test(part, mbr_with_logical_partitions) {
    start();
    memset(byte(0, 0), 0xc0, 440);
    cr_assert_eq(wr(TARN_BLK_SCHEME_MBR, mbr_parts, 5), TARN_OK);
    cr_assert_eq(rd(), TARN_OK);
    cr_assert_eq(got.scheme, TARN_BLK_SCHEME_MBR);
    cr_assert_eq(got.mbr_disk_id, 0x12345678);
    cr_assert_eq(got.count, 5);
    for (unsigned i = 0; i < 5; i++) {
        cr_assert_eq(got_parts[i].number, mbr_parts[i].number);
        cr_assert_eq(got_parts[i].first, mbr_parts[i].first);
        cr_assert_eq(got_parts[i].blocks, mbr_parts[i].blocks);
        cr_assert_eq(got_parts[i].mbr_type, mbr_parts[i].mbr_type);
        cr_assert_eq(got_parts[i].mbr_bootable, mbr_parts[i].mbr_bootable);
    }
    cr_assert_eq(*byte(0, 439), 0xc0, "boot code stays");
    blk_rig_fini(&rig);
}

Test(part, an_extended_partition_that_goes_round_is_refused) {
    start();
    cr_assert_eq(wr(TARN_BLK_SCHEME_MBR, mbr_parts, 5), TARN_OK);
    /* The second table names the first as its next. */
    memset(byte(1100, 446 + 16 + 8), 0, 4);
    cr_assert_eq(rd(), TARN_PEER);
    blk_rig_fini(&rig);
}

Test(part, what_does_not_add_up_is_refused) {
    struct tarn_blk_part p[3];
    start();
    memcpy(p, mbr_parts, sizeof p);
    p[1].first = 100;
    cr_assert_eq(wr(TARN_BLK_SCHEME_MBR, p, 3), TARN_INVALID, "overlapping");
    memcpy(p, mbr_parts, sizeof p);
    p[1].number = 1;
    cr_assert_eq(wr(TARN_BLK_SCHEME_MBR, p, 3), TARN_INVALID, "a number twice");
    memcpy(p, mbr_parts, sizeof p);
    p[2].first = 250;
    p[2].blocks = 10;
    cr_assert_eq(wr(TARN_BLK_SCHEME_MBR, p, 3), TARN_INVALID, "no block for its table");
    memcpy(p, mbr_parts, sizeof p);
    p[2].blocks = BLOCKS;
    cr_assert_eq(wr(TARN_BLK_SCHEME_MBR, p, 3), TARN_INVALID, "behind the end");
    cr_assert_eq(wr(TARN_BLK_SCHEME_MBR, mbr_parts, 2), TARN_OK);
    *byte(0, 446 + 8) = 210; /* the first now begins inside the second */
    cr_assert_eq(rd(), TARN_PEER);
    *byte(0, 446 + 8 + 2) = 1;
    cr_assert_eq(rd(), TARN_PEER, "behind the end");
    blk_rig_fini(&rig);
}

static struct tarn_blk_part gpt_parts[] = {
    {.number = 1, .first = 34, .blocks = 100, .type = TARN_GUID_LINUX_DATA, .name = {'r', 'o'}},
    {.number = 128, .first = 500, .blocks = 3563, .attributes = 4, .type = TARN_GUID_LINUX_DATA},
};

static void expect_gpt(bool from_backup) {
    cr_assert_eq(rd(), TARN_OK);
    cr_assert_eq(got.scheme, TARN_BLK_SCHEME_GPT);
    cr_assert_eq(got.from_backup, from_backup);
    cr_assert_eq(got.count, 2);
    cr_assert_eq(got.disk_id.bytes[15], 16);
    for (unsigned i = 0; i < 2; i++) {
        cr_assert_eq(got_parts[i].number, gpt_parts[i].number);
        cr_assert_eq(got_parts[i].first, gpt_parts[i].first);
        cr_assert_eq(got_parts[i].blocks, gpt_parts[i].blocks);
        cr_assert_eq(got_parts[i].attributes, gpt_parts[i].attributes);
        cr_assert_arr_eq(got_parts[i].name, gpt_parts[i].name, sizeof gpt_parts[i].name);
    }
}

Test(part, gpt_and_its_copy) {
    start();
    cr_assert_eq(wr(TARN_BLK_SCHEME_GPT, gpt_parts, 2), TARN_OK);
    expect_gpt(false);
    for (size_t at = 0; at < 92; at++) { /* every byte of the header counts */
        *byte(1, at) ^= 1;
        expect_gpt(true);
        *byte(1, at) ^= 1;
    }
    *byte(2, 40) ^= 1;
    expect_gpt(true);
    *byte(BLOCKS - 1, 20) ^= 1;
    cr_assert_eq(rd(), TARN_PEER, "both are damaged");
    *byte(2, 40) ^= 1;
    expect_gpt(false);
    blk_rig_fini(&rig);
}

Test(part, gpt_is_written_so_that_one_copy_is_whole) {
    static uint8_t image[BLOCKS * BLOCK];
    unsigned neither = 0;
    for (uint64_t cut = 1; cut < 70; cut++) {
        start();
        cr_assert_eq(wr(TARN_BLK_SCHEME_GPT, gpt_parts, 2), TARN_OK);
        struct tarn_blk_part other = gpt_parts[0];
        tarn_sim_disk_power_loss_at(disk, cut);
        enum tarn_err err = wr(TARN_BLK_SCHEME_GPT, &other, 1);
        memcpy(image, tarn_sim_disk_bytes(disk).ptr, sizeof image);
        blk_rig_fini(&rig);
        start();
        memcpy(tarn_sim_disk_bytes(disk).ptr, image, sizeof image);
        neither += rd() != TARN_OK || (got.count != 1 && got.count != 2);
        blk_rig_fini(&rig);
        if (!err)
            break;
    }
    cr_assert_eq(neither, 0);
}
