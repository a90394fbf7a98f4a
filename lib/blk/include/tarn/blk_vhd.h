/* SPDX-License-Identifier: ISC */
/* tarn/blk_vhd.h: disk images in Microsoft's VHD format, version 1.0: fixed and dynamic.
 *
 * A dynamic image takes room in blocks (2 MiB), when they are first written. A new block is
 * zeroed and written before the table names it, with a flush of the device between the two, so
 * after a power loss an image never shows what was not written to it; the table goes out at a
 * flush. The copy of the footer in front is what counts when one at the end was being moved.
 *
 * Images of other disks (differencing) are refused with TARN_UNSUPPORTED. Sector bitmaps are
 * written full and not looked at, as QEMU does. There is no discard: the format cannot take room
 * back.
 *
 * It is a worker (tarn/blk_worker.h); blocks of the device below have 512 bytes, as the format's.
 */
#ifndef TARN_BLK_VHD_H
#define TARN_BLK_VHD_H

#include <tarn/alloc.h>
#include <tarn/blk_worker.h>

struct tarn_blk_vhd_format {
    bool dynamic;
    uint64_t bytes;       /* of the device inside; a multiple of 512, to 2040 GiB */
    uint32_t block_bytes; /* dynamic: a power of two from 4096 on; 0: 2 MiB, as everybody has it */
    uint32_t timestamp;   /* seconds since 2000-01-01 00:00 UTC */
    uint8_t id[16];       /* to be unique */
};
/* Writes an empty image; a fixed one's data stays what the device holds. *end is where it ends, in
 * bytes. TARN_LIMIT: the device is too small. */
TARN_MUST_USE enum tarn_err tarn_blk_vhd_create(struct tarn_blk *lower, struct tarn_waiter *waiter,
                                                const struct tarn_blk_vhd_format *format,
                                                uint64_t *end);

struct tarn_blk_vhd;
struct tarn_blk_vhd_config {
    struct tarn_alloc *alloc;
    struct tarn_tasks *tasks;
    struct tarn_blk *lower;
    bool read_only;
    uint64_t end; /* where the image ends, in bytes; 0: where the device does */
};
TARN_MUST_USE enum tarn_err tarn_blk_vhd_open(const struct tarn_blk_vhd_config *config,
                                              struct tarn_waiter *waiter,
                                              struct tarn_blk_vhd **out);
struct tarn_blk_worker *tarn_blk_vhd_worker(struct tarn_blk_vhd *vhd);
bool tarn_blk_vhd_is_dynamic(const struct tarn_blk_vhd *vhd);
/* Where it ends now, in bytes. */
uint64_t tarn_blk_vhd_end(const struct tarn_blk_vhd *vhd);
/* Writes what is in memory and gives it back. */
enum tarn_err tarn_blk_vhd_close(struct tarn_blk_vhd *vhd, struct tarn_waiter *waiter);
/* Gives the memory back and writes nothing: as after a power loss. */
void tarn_blk_vhd_delete(struct tarn_blk_vhd *vhd);

#endif
