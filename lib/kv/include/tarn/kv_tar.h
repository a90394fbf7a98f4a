/* SPDX-License-Identifier: ISC */
/* tarn/kv_tar.h: a read-only store over a tar archive in memory: a folder that is part of the
 * image.
 *
 * Reads POSIX ustar (IEEE Std 1003.1-2017, pax) with pax headers (path, size, mtime; others are
 * passed over) and GNU tar's long names and base-256 numbers. An archive is checked whole at init,
 * every header's checksum included, and refused with the place and the reason if anything is wrong
 * with it or has no meaning in a store: links, devices, "..", a name that is both a file and a
 * directory, a number that does not parse, a missing end. Directories exist while there is a file
 * below them; entries for the directories themselves are passed over. Of two files with one name
 * the later counts.
 *
 * Values are never copied: borrow answers with the archive's own memory, which must stay,
 * unchanged, for as long as the store does. The index is sorted at init: a lookup is O(log n), a
 * listing is in order. Nothing is allocated after init, except that digests are computed at their
 * first use, in the index. Nothing waits. One thread.
 *
 * The digest is made of SipHash-2-4 values under fixed, public keys. It tells versions of a file
 * apart; it does not resist an attacker who may choose contents.
 */
#ifndef TARN_KV_TAR_H
#define TARN_KV_TAR_H

#include <tarn/alloc.h>
#include <tarn/kv.h>

struct tarn_kv_tar;

struct tarn_kv_tar_config {
    struct tarn_alloc *alloc;
    struct tarn_span archive; /* stays for as long as the store */
};

/* Why an archive was refused. */
struct tarn_kv_tar_error {
    uint64_t offset; /* of the header, in bytes from the start */
    const char *why; /* a constant text, as "checksum does not match" */
};

/* TARN_PEER: the archive is refused, and `*error` says why. TARN_LIMIT: the allocator has not
 * enough. `error` is required. */
TARN_MUST_USE enum tarn_err tarn_kv_tar_new(const struct tarn_kv_tar_config *config,
                                            struct tarn_kv_tar_error *error,
                                            struct tarn_kv_tar **out);
void tarn_kv_tar_delete(struct tarn_kv_tar *tar);
struct tarn_kv *tarn_kv_tar_kv(struct tarn_kv_tar *tar);
/* How many values there are. */
uint32_t tarn_kv_tar_count(const struct tarn_kv_tar *tar);

#endif
