/* SPDX-License-Identifier: ISC */
/* kv_dir.h: a directory as a store. kv_dir.c: opening and reading; kv_dir_write.c: batches;
 * kv_dir_undo.c: taking them back. */
#ifndef UNIX_KV_DIR_H
#define UNIX_KV_DIR_H

#include <sys/stat.h>
#include <tarn/kv_dir.h>

#define OWN_NAME ".tarn-kv"
#define NAMES 128       /* of a listing, at once */
#define CHANGES_MAX 256 /* of a batch */
#define SERIAL_BYTES 16
#define PATH_BYTES (TARN_KV_DEPTH_MAX * (TARN_KV_NAME_MAX + 1))

struct listed {
    uint8_t len, name[TARN_KV_NAME_MAX];
};

/* How a change is taken back. */
struct undo {
    const struct tarn_kv_change *change; /* NULL: it came to nothing */
    off_t at;                            /* where the journal says it */
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
    int journal; /* -1: none */
    off_t journal_bytes;
};
/* A name in an open directory. */
struct dir_place {
    char path[PATH_BYTES];
    const char *name;
    int fd;
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
enum tarn_err dir_place_open(struct tarn_kv_dir *d, struct tarn_span key, bool create,
                             struct dir_place *p);
void dir_place_close(struct dir_place *p);
/* What is at the place: 0: nothing. TARN_INVALID: what is not ours. */
enum tarn_err dir_kind_at(const struct dir_place *p, mode_t *mode);
enum tarn_err dir_sync(int fd);
/* Removes the directories on the way to `path` that are empty now. */
void dir_prune(struct tarn_kv_dir *d, char *path);
/* Moves what is in one directory to another; OWN_NAME stays. */
enum tarn_err dir_move_all(int from, int to);
bool dir_is_root(struct tarn_span key);
void dir_serial_name(unsigned serial, char name[SERIAL_BYTES]);

/* A journal for a batch that has more than one step; and its end, which makes the batch. */
enum tarn_err dir_journal_begin(struct tarn_kv_dir *d);
enum tarn_err dir_journal_end(struct tarn_kv_dir *d);
/* The step of a change comes next: how it is undone, into the journal if there is one. */
enum tarn_err dir_note(struct tarn_kv_dir *d, const struct tarn_kv_change *c, struct undo *u);
/* Whether the change is undone, which may have been so before. */
bool dir_undo(struct tarn_kv_dir *d, const struct undo *u);
/* Undoes the batch that a store that was cut off was in. */
enum tarn_err dir_recover(struct tarn_kv_dir *d);
/* Removes all that is in OWN_NAME. */
void dir_sweep(struct tarn_kv_dir *d);

#endif
