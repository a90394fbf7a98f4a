/* SPDX-License-Identifier: ISC */
/* tarn/kv_dir.h: a directory of the host as a store: all of tarn/kv.h but snapshots.
 *
 * A value is a regular file, a dictionary is a directory; links, devices and the like are not
 * there, and an empty directory that somebody else has made is an empty dictionary. No key leads
 * out of the directory: neither by its segments nor by a link that somebody puts in the way at any
 * moment (openat2 with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS).
 *
 * A change is written beside, flushed, and then takes its name in one step, which is flushed too: a
 * loss of power leaves the value before or after it. So changing a part of a value copies all of
 * it. A batch of several, or removing the root, is more than one step: a journal says how to undo
 * those that are made, and goes when all are. Where a change cannot be made, those before it are
 * undone; after a loss of power the next open for writing does that, and until then who looks at
 * the directory may see a part. Snapshots are what this store does not have of tarn/kv.h.
 *
 * The store keeps what it works with in ".tarn-kv" in the directory, which no key names. One store
 * at a time has a directory. Its calls block. Memory: some 64 KiB from the allocator, at open.
 */
#ifndef TARN_KV_DIR_H
#define TARN_KV_DIR_H

#include <tarn/alloc.h>
#include <tarn/env.h>
#include <tarn/kv.h>

struct tarn_kv_dir;
struct tarn_kv_dir_config {
    struct tarn_alloc *alloc;
    struct tarn_clock *clock; /* says when values were modified */
    const char *path;
    bool read_only; /* nothing is made in the directory, and it may have other users */
};
/* TARN_NOT_FOUND: there is no such directory; TARN_LIMIT: another store has it, or no memory;
 * TARN_UNSUPPORTED: the kernel has no openat2; TARN_IO: anything else. */
TARN_MUST_USE enum tarn_err tarn_kv_dir_open(const struct tarn_kv_dir_config *config,
                                             struct tarn_kv_dir **out);
void tarn_kv_dir_close(struct tarn_kv_dir *dir);
struct tarn_kv *tarn_kv_dir_kv(struct tarn_kv_dir *dir);

#endif
