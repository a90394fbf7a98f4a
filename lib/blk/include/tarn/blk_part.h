/* SPDX-License-Identifier: ISC */
/* tarn/blk_part.h: partition tables: MBR with extended partitions, and GPT (UEFI 2.10 chapter 5).
 *
 * Straight-line code; `buffer` is the caller's scratch of at least one block. A table is peer
 * input: what does not add up (a partition behind the end, two that overlap, a chain that never
 * ends, a wrong CRC in both headers) is TARN_PEER. A partition becomes a device by tarn/blk_view.h.
 * All numbers are blocks of the device, as both formats have it.
 */
#ifndef TARN_BLK_PART_H
#define TARN_BLK_PART_H

#include <tarn/blk_wait.h>

enum tarn_blk_scheme { TARN_BLK_SCHEME_NONE, TARN_BLK_SCHEME_MBR, TARN_BLK_SCHEME_GPT };

/* As stored: the first three fields of a GUID are little-endian. */
struct tarn_guid {
    uint8_t bytes[16];
};
/* GPT's type of partitions with Linux data (0FC63DAF-8483-4772-8E79-3D69D8477DE4). */
#define TARN_GUID_LINUX_DATA                                                                       \
    ((struct tarn_guid){{0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79, 0x3d, 0x69,   \
                         0xd8, 0x47, 0x7d, 0xe4}})

struct tarn_blk_part {
    uint64_t first, blocks;
    uint32_t number;           /* from 1; MBR: logical ones from 5; GPT: the index + 1 */
    uint8_t mbr_type;          /* MBR; not 0 */
    bool mbr_bootable;         /* MBR */
    struct tarn_guid type, id; /* GPT */
    uint64_t attributes;       /* GPT */
    uint16_t name[36];         /* GPT: UTF-16, ends at the first 0 or the last */
};
struct tarn_blk_parts {
    enum tarn_blk_scheme scheme;
    bool from_backup;           /* GPT: the first header was damaged */
    struct tarn_guid disk_id;   /* GPT */
    uint32_t mbr_disk_id;       /* MBR */
    struct tarn_blk_part *part; /* the caller's memory for cap of them, by number */
    uint32_t count, cap;
};

/* Reads the table. parts->part and cap are given. SCHEME_NONE and TARN_OK: there is none.
 * TARN_LIMIT: more than cap partitions. */
TARN_MUST_USE enum tarn_err tarn_blk_parts_read(struct tarn_blk *blk, struct tarn_waiter *waiter,
                                                struct tarn_bytes buffer,
                                                struct tarn_blk_parts *parts);
/* Writes a new table of parts->scheme, flushing between the copies where the device can, so that a
 * power loss leaves a table. GPT: room for 128, numbers 1 to 128, blocks 2 + n to the end - 2 - n
 * with n = 16384 / block_bytes. MBR: numbers 1 to 4 (to 3 where there are logical ones), then 5
 * and so on; the block in front of each logical one must be free, for its table. TARN_INVALID:
 * they overlap, lie where tables are, or have numbers or types that cannot be. */
TARN_MUST_USE enum tarn_err tarn_blk_parts_write(struct tarn_blk *blk, struct tarn_waiter *waiter,
                                                 struct tarn_bytes buffer,
                                                 const struct tarn_blk_parts *parts);
/* The range that partitions may have in a table of that scheme: [*first, *end). */
void tarn_blk_parts_usable(const struct tarn_blk *blk, enum tarn_blk_scheme scheme, uint64_t *first,
                           uint64_t *end);

#endif
