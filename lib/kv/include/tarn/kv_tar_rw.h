/* SPDX-License-Identifier: ISC */
/* tarn/kv_tar_rw.h: a tar archive on a block device as a store that can be written: what is on the
 * device is, at every moment, an archive that other programs read.
 *
 * All of tarn/kv.h but snapshots. It reads what tarn/kv_tar.h reads, and writes ustar, with a pax
 * header where a path is longer than 100 bytes or a time before 1970.
 *
 * A new value is written behind the archive, or into room that is free, and becomes a member by the
 * write of one block: its first header. So it is there whole or not at all. Room is freed by one
 * block as well: the header of what was there becomes that of a file ".tarn-kv/free", which no key
 * names, and which others see; at the archive's end it is cut off. A part of a value is changed by
 * writing all of it anew, and what it replaces is freed after: so there must be room for both.
 * These have more than one step, and a loss of power may leave them half made: a batch of several
 * changes (its first ones), and renaming a dictionary (a step for each value). A rename may be left
 * under both names. A batch that fails changes nothing.
 *
 * After a loss of power the end mark may be one block of zeroes with other things behind it: this
 * store reads that, and so do GNU tar (which says so) and bsdtar.
 *
 * Straight-line code; one fiber at a time: others must not call meanwhile. Memory is taken at open:
 * about 200 bytes for each value, and the paths twice.
 */
#ifndef TARN_KV_TAR_RW_H
#define TARN_KV_TAR_RW_H

#include <tarn/blk.h>
#include <tarn/env.h>
#include <tarn/kv_tar.h>
#include <tarn/wait.h>

struct tarn_kv_tar_rw;
struct tarn_kv_tar_rw_config {
    struct tarn_alloc *alloc;
    struct tarn_blk *blk; /* of blocks of 512 bytes */
    struct tarn_waiter *(*waiter)(void *user);
    void *user;
    struct tarn_clock *clock;
    uint32_t values_max; /* that the archive may have */
    size_t names_bytes;  /* of all their paths together */
};
/* An empty archive. */
TARN_MUST_USE enum tarn_err tarn_kv_tar_rw_format(const struct tarn_kv_tar_rw_config *config);
/* TARN_PEER: the archive is refused, and `*error` says why. TARN_LIMIT: the allocator has not
 * enough, or the archive has more values or longer names than the configuration says. TARN_INVALID:
 * the device's blocks have another size. */
TARN_MUST_USE enum tarn_err tarn_kv_tar_rw_open(const struct tarn_kv_tar_rw_config *config,
                                                struct tarn_kv_tar_error *error,
                                                struct tarn_kv_tar_rw **out);
void tarn_kv_tar_rw_close(struct tarn_kv_tar_rw *tar);
struct tarn_kv *tarn_kv_tar_rw_kv(struct tarn_kv_tar_rw *tar);
/* The archive's bytes, its end mark included; and those of it that are free room. */
uint64_t tarn_kv_tar_rw_bytes(const struct tarn_kv_tar_rw *tar, uint64_t *free_bytes);

#endif
