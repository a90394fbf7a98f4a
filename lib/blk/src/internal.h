/* SPDX-License-Identifier: ISC */
#ifndef TARN_BLK_INTERNAL_H
#define TARN_BLK_INTERNAL_H

#include <tarn/alloc.h>
#include <tarn/blk_wait.h>

static inline bool blk_is_block_size(uint32_t bytes) {
    return bytes >= 512 && (bytes & (bytes - 1)) == 0;
}
static inline size_t blk_min(size_t a, uint64_t b) {
    return b < a ? (size_t)b : a;
}
bool blk_is_zero(struct tarn_span data);

/* Cyclic redundancy checks; pieces go on from `crc`, which starts at 0. */
uint32_t blk_crc32(uint32_t crc, struct tarn_span data);  /* IEEE 802.3, as GPT has it */
uint32_t blk_crc32c(uint32_t crc, struct tarn_span data); /* Castagnoli */

#endif
