/* SPDX-License-Identifier: ISC */
/* index.h: the values of an archive, sorted by tarn_kv_path_compare. */
#ifndef TARN_KV_INDEX_H
#define TARN_KV_INDEX_H

#include <tarn/kv_tar.h>

struct entry {
    struct tarn_span path, value;
    int64_t mtime;
    size_t header;             /* its offset in the archive */
    uint32_t order;            /* in the archive: of equal paths the last one counts */
    uint64_t first, data, end; /* on a device: blocks of the member, of its value, and behind it */
    bool digest_known;
    uint8_t digest[TARN_KV_DIGEST_BYTES];
};

struct index {
    struct entry *entries;
    uint32_t count, cap;
};

static inline struct entry *index_at(const struct index *x, uint32_t i) {
    return &TARN_AT_N(x->entries, x->cap, i);
}
/* Told about each entry that a later one has replaced. */
struct index_dropped {
    void (*tell)(struct index_dropped *dropped, const struct entry *e);
};
/* Sorts, and leaves of equal paths the last. `dropped` may be NULL. */
void index_sort(struct index *x, struct index_dropped *dropped);
/* An entry that is also a directory of another, or NULL. */
const struct entry *index_conflict(const struct index *x);
/* The first entry not before `path`, or count. */
uint32_t index_lower(const struct index *x, struct tarn_span path);
/* The first entry behind all those below the directory `path`, of which `from` is one. */
uint32_t index_behind(const struct index *x, struct tarn_span path, uint32_t from);

#endif
