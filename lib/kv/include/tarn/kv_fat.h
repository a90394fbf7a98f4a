/* SPDX-License-Identifier: ISC */
/* tarn/kv_fat.h: a FAT12, FAT16 or FAT32 volume as a store, with long names: all of tarn/kv.h but
 * snapshots, and readable by everybody who reads such volumes.
 *
 * What FAT cannot do, and so differs from tarn/kv.h:
 *  - names are UTF-8 of at most 255 UTF-16 units, without control characters and "*:<>?\|, not
 *    ending in '.' or ' ' (TARN_INVALID; longer ones than 255 bytes, which others may make, are not
 * seen); "a" and "A" are one name (ASCII letters only), and keep the spelling they were made with;
 *  - a value is smaller than 4 GiB; its time of modification has steps of two seconds, from 1980 to
 *    2107, and is taken as UTC;
 *  - there are no snapshots (TARN_UNSUPPORTED);
 *  - a directory that others left empty is an empty dictionary.
 *
 * Power. A change is durable when it is answered, on a device that can flush. A new value is
 * written into free clusters, which are then marked in the table, and only then named, by one write
 * of one sector; what it replaces is freed last. So a loss of power leaves the value before or
 * after the change, and at worst lost clusters, which any fsck gives back. A part of a value is
 * changed by writing all of it anew. These have more than one step, and may be met half done: a
 * batch of several changes (its first ones are made); removing the root; renaming a value (it may
 * be there under both names, with clusters of its own); renaming a dictionary to where its name
 * does not lie in the same sector (both names may stand for one directory: fsck has to be told
 * which to keep); and a name of more than 195 characters on sectors of 512 bytes (pieces of it may
 * be left over). A batch that fails changes nothing.
 *
 * Nothing on the volume is believed: chains that leave the volume or do not end, and sizes that
 * disagree, are TARN_IO. Straight-line code over the device; other fibers wait their turn. Memory
 * is taken at open.
 */
#ifndef TARN_KV_FAT_H
#define TARN_KV_FAT_H

#include <tarn/alloc.h>
#include <tarn/blk.h>
#include <tarn/env.h>
#include <tarn/kv.h>
#include <tarn/wait.h>

struct tarn_kv_fat;

struct tarn_kv_fat_config {
    struct tarn_alloc *alloc;
    struct tarn_blk *blk;                      /* its blocks are 4096 bytes or smaller */
    struct tarn_waiter *(*waiter)(void *user); /* the running fiber's */
    void *user;
    struct tarn_clock *clock; /* says when values were modified */
    uint32_t sectors_cached;  /* of table and directories; a batch may change so many; 0: 256 */
};

struct tarn_kv_fat_format {
    uint32_t type;          /* 12, 16, 32; 0: as the size suggests */
    uint32_t cluster_bytes; /* a power of two, 64 KiB at the most; 0: as the size suggests */
    uint32_t serial;
    const char *label; /* at most 11 capital letters and digits; NULL: none */
};
/* Makes an empty volume. TARN_INVALID: the device has no size for that (a type is a number of
 * clusters: FAT12 up to 4084, FAT16 up to 65524, FAT32 from 65525). */
TARN_MUST_USE enum tarn_err tarn_kv_fat_format(const struct tarn_kv_fat_config *config,
                                               const struct tarn_kv_fat_format *format);
/* TARN_NOT_FOUND: no FAT volume, or none that makes sense. TARN_INVALID: its sectors are smaller
 * than the device's blocks. TARN_LIMIT: the allocator has not enough. */
TARN_MUST_USE enum tarn_err tarn_kv_fat_open(const struct tarn_kv_fat_config *config,
                                             struct tarn_kv_fat **out);
/* Nobody may be in a call. Writes what other systems like to find: how many clusters are free. */
void tarn_kv_fat_close(struct tarn_kv_fat *fat);
struct tarn_kv *tarn_kv_fat_kv(struct tarn_kv_fat *fat);

struct tarn_kv_fat_stat {
    uint32_t type; /* 12, 16, 32 */
    uint32_t cluster_bytes, clusters, clusters_free;
};
/* Reads all of the table. */
TARN_MUST_USE enum tarn_err tarn_kv_fat_stat(struct tarn_kv_fat *fat, struct tarn_kv_fat_stat *out);

#endif
