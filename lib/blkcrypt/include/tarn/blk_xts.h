/* SPDX-License-Identifier: ISC */
/* tarn/blk_xts.h: a device whose blocks are encrypted with AES-XTS (IEEE 1619), as dm-crypt's
 * aes-xts-plain64 does: the tweak is the unit's number, and nothing is stored but the blocks, each
 * at its place.
 *
 * Who reads the device below learns which units were written and whether one has the same contents
 * as at another time, and nothing else. Who writes to it can put back what was there, or turn a
 * unit into noise, and nobody notices: tarn/blk_sealed.h notices.
 *
 * It is a worker (tarn/blk_worker.h). What reads as zeroes below reads as noise here, so there is
 * no discard that zeroes. The key is a secret: the layer keeps what is made of it and wipes it at
 * delete.
 */
#ifndef TARN_BLK_XTS_H
#define TARN_BLK_XTS_H

#include <tarn/alloc.h>
#include <tarn/blk_worker.h>

struct tarn_blk_xts;
struct tarn_blk_xts_config {
    struct tarn_alloc *alloc;
    struct tarn_tasks *tasks;
    struct tarn_blk *lower;
    struct tarn_span key; /* 32 bytes for AES-128, 64 for AES-256; may come from a kv */
    uint32_t unit_bytes;  /* encrypted as one; 0: 512; a power of two, at most a block */
    uint64_t first_unit;  /* the number of the device's first unit */
};
/* TARN_INVALID: no such key or unit. TARN_LIMIT: no memory. */
TARN_MUST_USE enum tarn_err tarn_blk_xts_new(const struct tarn_blk_xts_config *config,
                                             struct tarn_blk_xts **out);
struct tarn_blk_worker *tarn_blk_xts_worker(struct tarn_blk_xts *x);
void tarn_blk_xts_delete(struct tarn_blk_xts *x);

#endif
