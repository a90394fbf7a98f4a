/* SPDX-License-Identifier: ISC */
/* tar_rw.h: an archive on a device. tar_rw.c: opening and reading; tar_place.c: room for members,
 * their headers, what is staged and written; tar_change.c: batches. All numbers of blocks are of
 * 512 bytes. */
#ifndef TARN_KV_TAR_RW_INTERNAL_H
#define TARN_KV_TAR_RW_INTERNAL_H

#include "header.h"
#include "index.h"

#include <tarn/blk_wait.h>
#include <tarn/kv_tar_rw.h>
#include <tarn/writer.h>

#define TAR_OWN ".tarn-kv"
#define TAR_FREE ".tarn-kv/free"
#define TAR_HEAD_BYTES (20u * TAR_BLOCK) /* of a member: a pax header with the longest path */
#define TAR_PIECE_BYTES 16384u
#define TAR_BIRTHS 128u /* members that a batch may make */

struct extent {
    uint64_t first, end;
};
/* A member that is on the device but for its first block. */
struct birth {
    uint64_t at;
    uint8_t block[TAR_BLOCK];
};
struct tarn_kv_tar_rw {
    struct tarn_kv kv;
    struct tarn_kv_tar_rw_config config;
    struct tarn_kv_watch *watches;
    struct index index;
    struct tarn_bytes names[2]; /* one has the paths; they move to the other to close up */
    uint32_t names_in;
    size_t names_used;
    struct extent *free; /* in order */
    uint32_t free_count;
    uint64_t end; /* where the end mark is */
    /* Of the batch under way. */
    struct birth *births;
    uint32_t birth_count;
    struct extent *deaths;
    uint32_t death_count;
    struct entry *was; /* the index, the free room and the end before it */
    struct extent *free_was;
    uint32_t count_was, free_count_was;
    uint64_t end_was;
    bool failed;
    uint8_t head[TAR_HEAD_BYTES], piece[TAR_PIECE_BYTES];
};

/* -- tar_place.c --------------------------------------------------------------------------------
 */

TARN_MUST_USE enum tarn_err tar_blocks_read(struct tarn_kv_tar_rw *t, uint64_t block,
                                            struct tarn_bytes data);
/* The headers of a member in t->head; how many blocks. */
uint64_t tar_head_build(struct tarn_kv_tar_rw *t, struct tarn_span path, uint64_t bytes,
                        int64_t mtime);
/* What a new value is made of: `old` (NULL: nothing), zeroes, and `part` from `offset` on. */
struct tar_content {
    const struct entry *old;
    uint64_t bytes, offset;
    struct tarn_span part;
};
/* Writes a member but for its first block, which waits as a birth; e's first, data, end and
 * value.len say where it is. TARN_LIMIT: no room. */
TARN_MUST_USE enum tarn_err tar_member_write(struct tarn_kv_tar_rw *t, const struct tar_content *c,
                                             struct entry *e);
/* Another header for a member, of one block as the one it has. TARN_LIMIT: too many births. */
TARN_MUST_USE enum tarn_err tar_member_rename(struct tarn_kv_tar_rw *t, const struct entry *e);
/* The member is to go with the batch, after all births: also where it came with the same. */
void tar_member_kill(struct tarn_kv_tar_rw *t, const struct entry *e);
/* After a batch that was given up. */
TARN_MUST_USE enum tarn_err tar_end_mend(struct tarn_kv_tar_rw *t);
/* Makes the births, then the deaths; durable. */
TARN_MUST_USE enum tarn_err tar_commit(struct tarn_kv_tar_rw *t);

/* -- tar_rw.c -----------------------------------------------------------------------------------
 */

/* Up to buf.len bytes of a value. */
TARN_MUST_USE enum tarn_err tar_value_read(struct tarn_kv_tar_rw *t, const struct entry *e,
                                           uint64_t offset, struct tarn_bytes buf, size_t *n);
/* A canonical path, copied. TARN_LIMIT: no room. */
TARN_MUST_USE enum tarn_err tar_path_keep(struct tarn_kv_tar_rw *t, struct tarn_span path,
                                          struct tarn_span *out);
/* A key that may be one of this store's. TARN_INVALID: it is none; TARN_NOT_FOUND: the store's own;
 * TARN_LIMIT: too long or deep. */
TARN_MUST_USE enum tarn_err tar_key(struct tarn_span key, struct tarn_span *canonical);
/* The entry of that path, or NULL. */
struct entry *tar_find(struct tarn_kv_tar_rw *t, struct tarn_span path);
/* Whether there is anything below it. */
bool tar_is_dictionary(struct tarn_kv_tar_rw *t, struct tarn_span path);

/* -- tar_change.c -------------------------------------------------------------------------------
 */

TARN_MUST_USE enum tarn_err tar_batch(struct tarn_kv *kv, const struct tarn_kv_change *changes,
                                      size_t count, size_t *failed);

#endif
