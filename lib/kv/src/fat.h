/* SPDX-License-Identifier: ISC */
/* fat.h: the parts of the store on a FAT volume, top down:
 *
 *   fat.c         the store: reading, turns, opening      fat_change.c   batches
 *   fat_dir.c     directories: entries of names           fat_name.c     names on the volume
 *   fat_value.c   values in their clusters                fat_table.c    chains of clusters
 *   fat_sector.c  sectors, staged and written             fat_volume.c   the boot sector,
 * formatting
 *
 * Offsets and meanings are those of Microsoft's FAT specification (August 2005). */
#ifndef TARN_KV_FAT_INTERNAL_H
#define TARN_KV_FAT_INTERNAL_H

#include "turns.h"

#include <tarn/blk_wait.h>
#include <tarn/kv_fat.h>
#include <tarn/writer.h>

#define FAT_ENTRY_BYTES 32u
#define FAT_UNITS_MAX 255u /* of a name, UTF-16 */
#define FAT_RUN_MAX 21u    /* entries of one name: 20 of 13 units, and the short one */
#define FAT_SECTOR_MAX 4096u
#define FAT_LISTED 64u    /* names of a listing, at once */
#define FAT_DEPTH_MAX 64u /* directories below each other that are freed */

/* -- fat_volume.c -------------------------------------------------------------------------------
 */

struct fat_volume {
    uint32_t type;
    uint32_t sector_bytes, cluster_sectors, cluster_bytes;
    uint32_t table_first, table_sectors, tables; /* copies of the table, one behind the other */
    uint32_t root_first, root_sectors;           /* FAT12 and 16: the root lies here */
    uint32_t root_cluster;                       /* FAT32 */
    uint32_t data_first;
    uint32_t clusters; /* numbered from 2 */
    uint32_t info;     /* FAT32: the sector with the number of free clusters; 0: none */
};
/* Whether the boot sector describes a volume on a device of so many bytes. */
TARN_MUST_USE bool fat_volume_parse(struct tarn_span boot, uint64_t device_bytes,
                                    struct fat_volume *out);

/* -- fat_sector.c -------------------------------------------------------------------------------
 */

enum fat_kind {
    FAT_TABLE, /* of the first table; written to all of them */
    FAT_FRESH, /* of a directory that nothing names yet */
    FAT_NAMES, /* of one that something does */
};
struct fat_sector {
    uint32_t number;
    uint32_t used;   /* when last, for the oldest to go first */
    uint32_t staged; /* while it is dirty: when it became so */
    uint8_t kind;    /* while it is dirty */
    bool full, dirty;
};

/* -- the store ----------------------------------------------------------------------------------
 */

struct fat_listed {
    uint8_t len;
    bool dictionary;
    uint8_t name[TARN_KV_NAME_MAX];
};
struct tarn_kv_fat {
    struct tarn_kv kv;
    struct tarn_kv_fat_config config;
    struct fat_volume volume;
    struct tarn_kv_watch *watches;
    struct turns turns;
    bool failed;     /* the device did: no more changes */
    bool trying;     /* nothing is written: whether a batch can be made */
    bool info_known; /* the volume says how many clusters are free, as far as it knows */
    struct fat_sector *sectors;
    struct tarn_bytes memory; /* theirs */
    uint32_t sector_count, clock;
    struct tarn_bytes old, new; /* a cluster of a value each: read, and to be written */
    uint32_t finger_first, finger_index, finger_cluster; /* where the last read was */
    uint32_t found;                                      /* the sector that was asked for last */
    uint32_t next_free;                                  /* where to look for a free cluster */
    struct fat_listed *listed;                           /* sorted */
    uint32_t listed_count;
    uint64_t fill; /* which listing that is */
};

TARN_MUST_USE enum tarn_err fat_sector_get(struct tarn_kv_fat *f, uint32_t number,
                                           struct tarn_bytes *out);
/* The same to change it: it is dirty until fat_commit or fat_discard. `whole`: its old bytes do not
 * matter, and are zeroes. TARN_LIMIT: too many are dirty. */
TARN_MUST_USE enum tarn_err fat_sector_change(struct tarn_kv_fat *f, uint32_t number,
                                              enum fat_kind kind, bool whole,
                                              struct tarn_bytes *out);
/* Writes what is dirty: table and fresh sectors, then those that name them, one by one, the last
 * that was changed first. Each is durable before the next, but tables alone are not waited for. */
TARN_MUST_USE enum tarn_err fat_commit(struct tarn_kv_fat *f);
void fat_discard(struct tarn_kv_fat *f);
uint32_t fat_dirty(const struct tarn_kv_fat *f, enum fat_kind kind);
/* Sectors that are no table's and no directory's. */
TARN_MUST_USE enum tarn_err fat_data_read(struct tarn_kv_fat *f, uint32_t sector,
                                          struct tarn_bytes data);
TARN_MUST_USE enum tarn_err fat_data_write(struct tarn_kv_fat *f, uint32_t sector,
                                           struct tarn_span data);
TARN_MUST_USE enum tarn_err fat_flush(struct tarn_kv_fat *f);
/* Writes how many clusters are free, for others; UINT32_MAX: not known. */
TARN_MUST_USE enum tarn_err fat_info_set(struct tarn_kv_fat *f, uint32_t clusters_free);

/* -- fat_table.c --------------------------------------------------------------------------------
 */

#define FAT_END UINT32_MAX
static inline bool fat_is_cluster(const struct tarn_kv_fat *f, uint32_t cluster) {
    return cluster >= 2 && cluster - 2 < f->volume.clusters;
}
static inline uint32_t fat_cluster_sector(const struct tarn_kv_fat *f, uint32_t cluster) {
    return f->volume.data_first + (cluster - 2) * f->volume.cluster_sectors;
}
/* What follows `cluster`: another, FAT_END, or 0: it is free. TARN_IO: nonsense. */
TARN_MUST_USE enum tarn_err fat_next(struct tarn_kv_fat *f, uint32_t cluster, uint32_t *next);
TARN_MUST_USE enum tarn_err fat_is_free(struct tarn_kv_fat *f, uint32_t cluster, bool *is_free);
TARN_MUST_USE enum tarn_err fat_link(struct tarn_kv_fat *f, uint32_t cluster, uint32_t next);
/* A free cluster, now the end of a chain: behind `after` where that is not 0. TARN_LIMIT: none. */
TARN_MUST_USE enum tarn_err fat_take(struct tarn_kv_fat *f, uint32_t after, uint32_t *out);
TARN_MUST_USE enum tarn_err fat_free_chain(struct tarn_kv_fat *f, uint32_t first);

/* -- fat_name.c ---------------------------------------------------------------------------------
 */

struct fat_units {
    uint16_t unit[FAT_UNITS_MAX];
    uint32_t count;
};
/* UTF-8 to UTF-16; false: not UTF-8, too long, or no name on such a volume. */
TARN_MUST_USE bool fat_units_of(struct tarn_span name, struct fat_units *out);
/* And back; false: not UTF-16, or no name of ours. */
TARN_MUST_USE bool fat_units_name(const struct fat_units *units, struct tarn_writer *out);
bool fat_units_equal(const struct fat_units *a, const struct fat_units *b);
/* The name that a short entry's bytes stand for. */
void fat_short_units(struct tarn_span entry, struct fat_units *out);
uint8_t fat_short_sum(struct tarn_span short_name);
/* A short name for a long one; `whole`: it is the same, and no long one is needed. `number` 1 to 9
 * makes "ABCDEF~1.TXT", larger ones mix a hash in. */
void fat_short_of(const struct fat_units *units, uint32_t number, uint8_t out[11], bool *whole);

/* -- fat_dir.c ----------------------------------------------------------------------------------
 */

#define FAT_ATTRIBUTE_DIRECTORY 0x10u
#define FAT_ATTRIBUTE_VOLUME 0x08u
#define FAT_ATTRIBUTE_LONG 0x0fu

/* A directory: where its first sector is. cluster 0: the root of FAT12 and 16. */
struct fat_place {
    uint32_t cluster;
};
/* Where entry number `index` of a directory is. */
struct fat_spot {
    uint32_t sector, offset;
};
struct fat_entry {
    struct fat_units name;
    uint32_t first_index, count; /* entries of it in its directory, the short one last */
    struct fat_spot spot;        /* of the short one */
    uint8_t attributes;
    uint32_t cluster; /* 0: none */
    uint32_t bytes;
    int64_t modified;
};
struct fat_walk {
    struct fat_place dir;
    uint32_t index;   /* of the next entry */
    uint32_t cluster; /* where that is */
    uint32_t steps;   /* clusters gone through */
};
static inline bool fat_is_directory(const struct fat_entry *e) {
    return e->attributes & FAT_ATTRIBUTE_DIRECTORY;
}
struct fat_place fat_root(const struct tarn_kv_fat *f);
void fat_walk_begin(const struct tarn_kv_fat *f, struct fat_place dir, struct fat_walk *w);
/* The next value or directory. TARN_EOF: no more. */
TARN_MUST_USE enum tarn_err fat_walk_next(struct tarn_kv_fat *f, struct fat_walk *w,
                                          struct fat_entry *out);
/* TARN_NOT_FOUND. */
TARN_MUST_USE enum tarn_err fat_dir_find(struct tarn_kv_fat *f, struct fat_place dir,
                                         const struct fat_units *name, struct fat_entry *out);
/* Makes a directory so large that a name fits into it. That is written at once, but where it is
 * `fresh`: nothing names it yet. */
TARN_MUST_USE enum tarn_err fat_dir_reserve(struct tarn_kv_fat *f, struct fat_place dir,
                                            const struct fat_units *name, bool fresh);
/* Stages entries for a name that is not there and that has room: e's name, attributes, cluster,
 * bytes and modified. */
TARN_MUST_USE enum tarn_err fat_dir_insert(struct tarn_kv_fat *f, struct fat_place dir,
                                           const struct fat_entry *e, bool fresh);
/* Stages the removal of an entry; or that it has other contents. */
TARN_MUST_USE enum tarn_err fat_dir_erase(struct tarn_kv_fat *f, struct fat_place dir,
                                          const struct fat_entry *e);
TARN_MUST_USE enum tarn_err fat_dir_update(struct tarn_kv_fat *f, const struct fat_entry *e);
/* Stages a new directory, empty, below `above`. */
TARN_MUST_USE enum tarn_err fat_dir_new(struct tarn_kv_fat *f, struct fat_place above, int64_t now,
                                        struct fat_place *out);
/* Stages where ".." leads. */
TARN_MUST_USE enum tarn_err fat_dir_move(struct tarn_kv_fat *f, struct fat_place dir,
                                         struct fat_place above);
/* Whether there is nothing but `but` in it. */
TARN_MUST_USE enum tarn_err fat_dir_empty(struct tarn_kv_fat *f, struct fat_place dir,
                                          const struct fat_entry *but, bool *empty);

/* -- fat_value.c --------------------------------------------------------------------------------
 */

/* Up to buf.len bytes of a value from `offset` on. */
TARN_MUST_USE enum tarn_err fat_value_read(struct tarn_kv_fat *f, const struct fat_entry *e,
                                           uint64_t offset, struct tarn_bytes buf, size_t *n);
/* Writes a value of `bytes` into clusters of its own: what `old` (NULL: nothing) has, then zeroes,
 * and `part` over it from `offset` on. Nothing is left taken after an error. */
TARN_MUST_USE enum tarn_err fat_value_write(struct tarn_kv_fat *f, const struct fat_entry *old,
                                            uint64_t bytes, uint64_t offset, struct tarn_span part,
                                            uint32_t *first);

/* -- fat.c --------------------------------------------------------------------------------------
 */

/* What a key leads to. dirs[i] is where names[i] is looked for, for i <= found. */
struct fat_path {
    struct fat_place dirs[TARN_KV_DEPTH_MAX]; /* the root, and all on the way */
    uint32_t depth;                           /* segments; 0: the root */
    uint32_t found;                           /* segments that are there */
    struct fat_entry entry;                   /* the last that is there */
    struct tarn_span names[TARN_KV_DEPTH_MAX];
    bool impossible; /* some name cannot be on such a volume */
};
/* TARN_INVALID: no key. TARN_LIMIT: too long or deep. */
TARN_MUST_USE enum tarn_err fat_path_find(struct tarn_kv_fat *f, struct tarn_span key,
                                          struct fat_path *out);
TARN_MUST_USE enum tarn_err fat_batch(struct tarn_kv *kv, const struct tarn_kv_change *changes,
                                      size_t count, size_t *failed);
TARN_MUST_USE enum tarn_err fat_enter(struct tarn_kv_fat *f);
void fat_leave(struct tarn_kv_fat *f);

#endif
