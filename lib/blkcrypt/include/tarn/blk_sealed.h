/* SPDX-License-Identifier: ISC */
/* tarn/blk_sealed.h: a device whose every block is encrypted and authenticated: with AES-CCM, or
 * another AEAD that takes nonces of 13 bytes or fewer and tags of 16. What was changed below, or
 * moved, is TARN_IO and never wrong data.
 *
 * Format: block 0 says what it is. Then come groups: a table block and as many data blocks as the
 * table has entries ((block_bytes - 32) / 58). An entry has a nonce and a tag of its data block
 * twice: what it was at the last flush, and what it is to be. So at any moment of a power loss the
 * block is one of the two, as tarn/blk.h promises, and after a flush only the new one opens. Nonces
 * are random, and new for every write. The block's number is authenticated with it. The table is
 * sealed itself: its block is a nonce (13 bytes), a tag (16), 3 zeroes and the entries, encrypted.
 * An entry of zeroes: never written, reads as zeroes.
 *
 * What it does not notice: that all of a group, or the whole device, is what it was before (a
 * rollback). One key seals 2^32 blocks at the most: nonces are drawn at random.
 *
 * The price of a write is a write and a flush of its table first; a second write of the same block
 * before a flush costs one more. Over a device without a flush the order is kept as far as writes
 * are done one after the other, and no further. It is a worker (tarn/blk_worker.h).
 */
#ifndef TARN_BLK_SEALED_H
#define TARN_BLK_SEALED_H

#include <tarn/aead.h>
#include <tarn/alloc.h>
#include <tarn/blk_worker.h>
#include <tarn/env.h>

struct tarn_blk_sealed;
struct tarn_blk_sealed_config {
    struct tarn_alloc *alloc;
    struct tarn_tasks *tasks;
    struct tarn_blk *lower;       /* of blocks of 4096 bytes or fewer */
    struct tarn_random *random;   /* for nonces */
    const struct tarn_aead *aead; /* NULL: AES-256-CCM */
    struct tarn_span key;         /* of aead->key_bytes; may come from a kv */
    uint32_t tables;              /* held in memory, a block each; 0: 16 */
};
struct tarn_blk_sealed_counters {
    uint64_t refused; /* blocks that did not open */
    uint64_t settled; /* blocks found between two flushes after a power loss */
};
/* Makes an empty one: writes every table. TARN_INVALID: a key of another length, no room. */
TARN_MUST_USE enum tarn_err tarn_blk_sealed_format(const struct tarn_blk_sealed_config *config,
                                                   struct tarn_waiter *waiter);
/* TARN_PEER: no device of this kind, or of another key. */
TARN_MUST_USE enum tarn_err tarn_blk_sealed_new(const struct tarn_blk_sealed_config *config,
                                                struct tarn_waiter *waiter,
                                                struct tarn_blk_sealed **out);
struct tarn_blk_worker *tarn_blk_sealed_worker(struct tarn_blk_sealed *s);
const struct tarn_blk_sealed_counters *tarn_blk_sealed_counters(const struct tarn_blk_sealed *s);
void tarn_blk_sealed_delete(struct tarn_blk_sealed *s);

#endif
