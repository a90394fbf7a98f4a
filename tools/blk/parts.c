/* SPDX-License-Identifier: ISC */
/* Partition tables: shown, and made. */
#include "tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <tarn/blk_part.h>

#define PARTS_MAX 256u
#define MBR_TYPE_LINUX 0x83

static struct tarn_blk_part part[PARTS_MAX];
static uint8_t block[4096];

void parts_show(struct tarn_blk *blk, const char *path) {
    struct tarn_blk_parts parts = {.part = part, .cap = PARTS_MAX};
    static const char *const names[] = {"none", "mbr", "gpt"};
    must(tarn_blk_parts_read(blk, &loop.pump.waiter, TARN_BYTES_ARRAY(block), &parts), path,
         "its partition table");
    printf("scheme: %s%s\n", names[parts.scheme],
           parts.from_backup ? ", from the copy at the end" : "");
    for (uint32_t i = 0; i < parts.count; i++)
        printf("%u %llu+%llu\n", part[i].number, (unsigned long long)part[i].first,
               (unsigned long long)part[i].blocks);
}

static void parse(const char *text, struct tarn_blk_part *out) {
    unsigned long long first, blocks;
    char rest;
    if (sscanf(text, "%u:%llu+%llu%c", &out->number, &first, &blocks, &rest) != 3)
        fail("%s: not NUMBER:FIRST+BLOCKS", text);
    out->first = first;
    out->blocks = blocks;
    out->mbr_type = MBR_TYPE_LINUX;
    out->type = TARN_GUID_LINUX_DATA;
    if (getrandom(out->id.bytes, sizeof out->id.bytes, 0) != sizeof out->id.bytes)
        fail("no randomness");
}

void parts_make(struct tarn_blk *blk, const char *path, const char *scheme, char **list,
                uint32_t n) {
    struct tarn_blk_parts parts = {.part = part, .cap = PARTS_MAX, .count = n};
    parts.scheme = strcmp(scheme, "gpt") == 0   ? TARN_BLK_SCHEME_GPT
                   : strcmp(scheme, "mbr") == 0 ? TARN_BLK_SCHEME_MBR
                                                : TARN_BLK_SCHEME_NONE;
    if (n > PARTS_MAX)
        fail("more than %u partitions", PARTS_MAX);
    for (uint32_t i = 0; i < n; i++)
        parse(list[i], &part[i]);
    if (getrandom(parts.disk_id.bytes, sizeof parts.disk_id.bytes, 0) != sizeof parts.disk_id.bytes)
        fail("no randomness");
    must(tarn_blk_parts_write(blk, &loop.pump.waiter, TARN_BYTES_ARRAY(block), &parts), path,
         "writing a partition table");
}
