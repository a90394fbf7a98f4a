/* SPDX-License-Identifier: ISC */
/* sealed.h: sealed.c reads and writes; sealed_format.c makes one, and opens it. */
#ifndef TARN_BLK_SEALED_INTERNAL_H
#define TARN_BLK_SEALED_INTERNAL_H

#include <tarn/blk_sealed.h>
#include <tarn/writer.h>

#define NONCE_BYTES 13u /* of which the AEAD may take fewer */
#define TAG_BYTES 16u
#define SEAL_BYTES (NONCE_BYTES + TAG_BYTES)
#define ENTRY_BYTES (2 * SEAL_BYTES)
#define TABLE_HEAD_BYTES 32u
#define BLOCK_BYTES_MAX 4096u

/* A nonce and a tag; all zeroes: there is nothing. */
struct seal {
    uint8_t nonce[NONCE_BYTES], tag[TAG_BYTES];
};
struct entry {
    struct seal old, new;
};
/* A table in memory, open: plain entries. They are settled (old is new) but for those written since
 * the last flush, which make it `open`. */
struct table {
    uint64_t group;
    uint64_t used;
    bool valid, open;
    struct tarn_bytes bytes; /* the entries */
};

struct tarn_blk_sealed {
    struct tarn_blk_worker worker;
    struct tarn_blk_sealed_config config;
    struct tarn_blk_sealed_counters counters;
    struct table *tables;
    struct tarn_bytes memory; /* theirs */
    struct tarn_bytes run;    /* a group's data, sealed, on its way down */
    uint32_t per_group;
    uint64_t clock;
    struct tarn_aead_ctx aead;
    uint8_t block[BLOCK_BYTES_MAX + TAG_BYTES], other[BLOCK_BYTES_MAX + TAG_BYTES];
};

uint32_t sealed_per_group(const struct tarn_blk *lower);
uint64_t sealed_table_at(const struct tarn_blk_sealed *s, uint64_t group);
/* Seals `plain` for place `at` into `out`, as long; says with what. */
TARN_MUST_USE enum tarn_err sealed_seal(struct tarn_blk_sealed *s, uint64_t at,
                                        struct tarn_span plain, struct tarn_bytes out,
                                        struct seal *seal);
/* And back. TARN_PEER: it is not what was sealed. */
TARN_MUST_USE enum tarn_err sealed_open(struct tarn_blk_sealed *s, uint64_t at,
                                        const struct seal *seal, struct tarn_span sealed,
                                        struct tarn_bytes out);
TARN_MUST_USE enum tarn_err sealed_table_store(struct tarn_blk_sealed *s, uint64_t group,
                                               struct tarn_span entries,
                                               struct tarn_waiter *waiter);
TARN_MUST_USE enum tarn_err sealed_table_fetch(struct tarn_blk_sealed *s, uint64_t group,
                                               struct tarn_bytes entries,
                                               struct tarn_waiter *waiter);
TARN_MUST_USE enum tarn_err sealed_serve(struct tarn_blk_worker *worker, struct tarn_blk_req *req,
                                         struct tarn_waiter *waiter);

#endif
