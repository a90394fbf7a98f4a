/* SPDX-License-Identifier: ISC */
/* kv_dir.h: a directory as a store. kv_dir.c: opening and reading; kv_dir_write.c: batches. */
#ifndef UNIX_KV_DIR_H
#define UNIX_KV_DIR_H

#include <sys/stat.h>
#include <tarn/kv_dir.h>

#define OWN_NAME ".tarn-kv"
#define NAMES 128       /* of a listing, at once */
#define CHANGES_MAX 256 /* of a batch */
#define PATH_BYTES (TARN_KV_DEPTH_MAX * (TARN_KV_NAME_MAX + 1))

struct listed {
    uint8_t len, name[TARN_KV_NAME_MAX];
};

/* How a change is taken back. */
struct undo {
    const struct tarn_kv_change *change;
    unsigned serial; /* what was there before is this file in OWN_NAME; 0: nothing was */
};

struct tarn_kv_dir {
    struct tarn_kv kv;
    struct tarn_alloc *alloc;
    struct tarn_clock *clock;
    int root, own; /* the directory, and OWN_NAME in it (-1: read-only) */
    struct tarn_kv_watch *watches;
    struct listed *names; /* NAMES, sorted */
    unsigned names_count;
    uint64_t fill; /* which listing that is; changes with every batch */
    struct undo *undo;
    unsigned serial;
};

static inline struct tarn_kv_dir *dir_of(struct tarn_kv *kv) {
    return TARN_CONTAINER_OF(kv, struct tarn_kv_dir, kv);
}

/* A key as a path below the root. TARN_INVALID: no key; TARN_LIMIT: too long or deep;
 * TARN_NOT_FOUND: the store's own. The root is ".". */
enum tarn_err dir_path(struct tarn_span key, char path[PATH_BYTES]);
/* openat2 that never leaves `at`, by no kind of link. -1: errno. */
int dir_openat(int at, const char *path, int flags);
/* What is there, of the root's own too; S_IFREG, S_IFDIR, or 0: nothing for us. TARN_IO. */
enum tarn_err dir_stat(struct tarn_kv_dir *d, const char *path, struct stat *st);
enum tarn_err dir_error(int number);

enum tarn_err dir_batch(struct tarn_kv *kv, const struct tarn_kv_change *changes, size_t count,
                        size_t *failed);
/* Removes all that is in OWN_NAME. */
void dir_sweep(struct tarn_kv_dir *d);

#endif
