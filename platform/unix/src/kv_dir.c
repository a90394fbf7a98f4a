/* SPDX-License-Identifier: ISC */
#include "kv_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <tarn/kv_impl.h>
#include <tarn/kv_path.h>
#include <unistd.h>

/* -- names ----------------------------------------------------------------------------------------
 */

enum tarn_err dir_error(int number) {
    switch (number) {
    case ENOENT: return TARN_NOT_FOUND;
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case EXDEV: return TARN_INVALID;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case ENAMETOOLONG: return TARN_LIMIT;
    default: return TARN_IO;
    }
}

enum tarn_err dir_path(struct tarn_span key, char path[PATH_BYTES]) {
    struct tarn_span rest, whole, segment;
    size_t depth = 0;
    if (!tarn_kv_path_canonical(key, &rest))
        return TARN_INVALID;
    whole = rest;
    while (tarn_kv_path_next(&rest, &segment)) {
        if (segment.len > TARN_KV_NAME_MAX || depth == TARN_KV_DEPTH_MAX)
            return TARN_LIMIT;
        if (depth++ == 0 && tarn_span_equal(segment, TARN_SPAN_LIT(OWN_NAME)))
            return TARN_NOT_FOUND;
    }
    snprintf(path, PATH_BYTES, "%.*s", whole.len ? (int)whole.len : 1,
             whole.len ? (const char *)whole.ptr : ".");
    return TARN_OK;
}

static int open_beneath(int at, const char *path, int flags) {
    struct open_how how = {
        .flags = (uint64_t)(flags | O_CLOEXEC | O_NOFOLLOW),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long fd;
    /* EAGAIN: somebody renames on the way, and the kernel could not be sure. */
    do
        fd = syscall(SYS_openat2, at, path, &how, sizeof how);
    while (fd < 0 && (errno == EAGAIN || errno == EINTR));
    return (int)fd;
}

/* A longer path than the kernel takes at once goes in two steps. */
int dir_openat(int at, const char *path, int flags) {
    char head[PATH_MAX];
    size_t cut = strlen(path) < sizeof head ? 0 : sizeof head - 1;
    while (cut && path[cut] != '/')
        cut--;
    if (!cut)
        return open_beneath(at, path, flags);
    snprintf(head, sizeof head, "%.*s", (int)cut, path);
    int middle = open_beneath(at, head, O_PATH | O_DIRECTORY);
    if (middle < 0)
        return middle;
    int fd = dir_openat(middle, path + cut + 1, flags), number = errno;
    close(middle);
    errno = number;
    return fd;
}

static bool is_ours(const struct stat *st) {
    return S_ISREG(st->st_mode) || S_ISDIR(st->st_mode);
}

enum tarn_err dir_stat(struct tarn_kv_dir *d, const char *path, struct stat *st) {
    int fd = dir_openat(d->root, path, O_PATH);
    *st = (struct stat){0};
    if (fd < 0)
        return dir_error(errno) == TARN_IO ? TARN_IO : TARN_OK;
    int failed = fstat(fd, st);
    close(fd);
    if (!failed && !is_ours(st))
        *st = (struct stat){0};
    return failed ? TARN_IO : TARN_OK;
}

/* -- reading --------------------------------------------------------------------------------------
 */

/* What is not a key of this store names nothing in it. */
static enum tarn_err look(struct tarn_kv *kv, struct tarn_span key, char path[PATH_BYTES],
                          struct stat *st) {
    enum tarn_err err = dir_path(key, path);
    *st = (struct stat){0};
    if (err == TARN_LIMIT || err == TARN_NOT_FOUND)
        return TARN_OK;
    return err ? err : dir_stat(dir_of(kv), path, st);
}

static enum tarn_err look_for_value(struct tarn_kv *kv, struct tarn_span key, char path[PATH_BYTES],
                                    struct stat *st) {
    enum tarn_err err = look(kv, key, path, st);
    return err                    ? err
           : S_ISREG(st->st_mode) ? TARN_OK
           : S_ISDIR(st->st_mode) ? TARN_INVALID
                                  : TARN_NOT_FOUND;
}

static enum tarn_err dir_exists(struct tarn_kv *kv, struct tarn_span key, enum tarn_kv_kind *kind) {
    char path[PATH_BYTES];
    struct stat st;
    enum tarn_err err = look(kv, key, path, &st);
    *kind = S_ISREG(st.st_mode)   ? TARN_KV_VALUE
            : S_ISDIR(st.st_mode) ? TARN_KV_DICTIONARY
                                  : TARN_KV_NONE;
    return err;
}

static enum tarn_err dir_get_partial(struct tarn_kv *kv, struct tarn_span key, uint64_t offset,
                                     struct tarn_bytes buf, size_t *n) {
    char path[PATH_BYTES];
    struct stat st;
    *n = 0;
    enum tarn_err err = look_for_value(kv, key, path, &st);
    if (err || offset >= (uint64_t)st.st_size)
        return err;
    int fd = dir_openat(dir_of(kv)->root, path, O_RDONLY | O_NONBLOCK);
    if (fd < 0)
        return dir_error(errno);
    while (*n < buf.len) {
        ssize_t got = pread(fd, buf.ptr + *n, buf.len - *n, (off_t)(offset + *n));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            err = got < 0 ? TARN_IO : TARN_OK;
            break;
        }
        *n += (size_t)got;
    }
    close(fd);
    return err;
}

static enum tarn_err dir_borrow(struct tarn_kv *kv, struct tarn_span key, struct tarn_span *value) {
    (void)kv, (void)key, (void)value;
    return TARN_UNSUPPORTED;
}

static enum tarn_err dir_size(struct tarn_kv *kv, struct tarn_span key, uint64_t *bytes) {
    char path[PATH_BYTES];
    struct stat st;
    enum tarn_err err = look_for_value(kv, key, path, &st);
    if (!err)
        *bytes = (uint64_t)st.st_size;
    return err;
}

static enum tarn_err dir_last_modified(struct tarn_kv *kv, struct tarn_span key, int64_t *seconds) {
    char path[PATH_BYTES];
    struct stat st;
    enum tarn_err err = look_for_value(kv, key, path, &st);
    if (!err)
        *seconds = st.st_mtim.tv_sec;
    return err;
}

/* -- listing --------------------------------------------------------------------------------------
 */

static struct tarn_span name_of(const struct listed *l) {
    return tarn_span_of(l->name, l->len);
}

/* Puts a name into its place among the first NAMES of those behind the cursor. */
static void names_add(struct tarn_kv_dir *d, struct tarn_span name) {
    unsigned at = d->names_count;
    while (at && tarn_span_compare(name, name_of(&d->names[at - 1])) < 0)
        at--;
    if (at == NAMES)
        return;
    if (d->names_count < NAMES)
        d->names_count++;
    memmove(&d->names[at + 1], &d->names[at], (d->names_count - at - 1) * sizeof *d->names);
    d->names[at].len = (uint8_t)name.len;
    memcpy(d->names[at].name, name.ptr, name.len);
}

static bool is_behind(const struct tarn_kv_cursor *cursor, struct tarn_span name) {
    int order = tarn_span_compare(name, tarn_kv_cursor_name(cursor));
    return cursor->behind ? order > 0 : order >= 0;
}

static enum tarn_err names_fill(struct tarn_kv_dir *d, int fd, bool root,
                                const struct tarn_kv_cursor *cursor) {
    int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = again < 0 ? NULL : fdopendir(again);
    struct dirent *e;
    d->names_count = 0;
    d->fill++;
    if (!stream) {
        if (again >= 0)
            close(again);
        return TARN_IO;
    }
    for (errno = 0; (e = readdir(stream)); errno = 0) {
        struct tarn_span name = tarn_span_str(e->d_name);
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..")
            && !(root && !strcmp(e->d_name, OWN_NAME)) && is_behind(cursor, name))
            names_add(d, name);
    }
    enum tarn_err err = errno ? TARN_IO : TARN_OK;
    closedir(stream);
    return err;
}

/* The next of those that were read at once; others came and went meanwhile. TARN_EOF: no more of
 * them. */
static enum tarn_err names_next(struct tarn_kv_dir *d, int fd, struct tarn_kv_cursor *cursor,
                                struct tarn_kv_entry *entry) {
    unsigned i = cursor->hint / (NAMES + 1) == d->fill ? (unsigned)(cursor->hint % (NAMES + 1)) : 0;
    for (; i < d->names_count; i++) {
        struct tarn_span name = name_of(&d->names[i]);
        char text[TARN_KV_NAME_MAX + 1];
        struct stat st;
        snprintf(text, sizeof text, "%.*s", (int)name.len, (const char *)name.ptr);
        if (!is_behind(cursor, name) || fstatat(fd, text, &st, AT_SYMLINK_NOFOLLOW) != 0
            || !is_ours(&st))
            continue;
        tarn_kv_cursor_seek(cursor, name);
        cursor->behind = true;
        cursor->hint = d->fill * (NAMES + 1) + i + 1;
        *entry = (struct tarn_kv_entry){
            .name = name, .kind = S_ISDIR(st.st_mode) ? TARN_KV_DICTIONARY : TARN_KV_VALUE};
        return TARN_OK;
    }
    return TARN_EOF;
}

static enum tarn_err dir_list(struct tarn_kv *kv, struct tarn_span key,
                              struct tarn_kv_cursor *cursor, struct tarn_kv_entry *entry) {
    struct tarn_kv_dir *d = dir_of(kv);
    char path[PATH_BYTES];
    struct stat st;
    enum tarn_err err = look(kv, key, path, &st);
    if (!err && !S_ISDIR(st.st_mode))
        err = st.st_mode ? TARN_INVALID : TARN_NOT_FOUND;
    if (err)
        return err;
    int fd = dir_openat(d->root, path, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return dir_error(errno);
    bool known = cursor->hint && cursor->hint / (NAMES + 1) == d->fill;
    err = known ? names_next(d, fd, cursor, entry) : TARN_EOF;
    while (err == TARN_EOF && (!known || d->names_count == NAMES)) {
        known = true;
        err = names_fill(d, fd, !strcmp(path, "."), cursor);
        cursor->hint = 0;
        if (!err)
            err = names_next(d, fd, cursor, entry);
        /* None of as many as fit is a value or a dictionary: on behind the last of them. */
        if (err == TARN_EOF && d->names_count == NAMES) {
            tarn_kv_cursor_seek(cursor, name_of(&d->names[NAMES - 1]));
            cursor->behind = true;
        }
    }
    close(fd);
    return err;
}

/* -- opening --------------------------------------------------------------------------------------
 */

static enum tarn_err dir_digest(struct tarn_kv *kv, struct tarn_span key,
                                uint8_t digest[TARN_KV_DIGEST_BYTES]) {
    return tarn_kv_digest_by_reading(kv, key, digest);
}

static enum tarn_err dir_snapshot(struct tarn_kv *kv, struct tarn_kv **out) {
    (void)kv, (void)out;
    return TARN_UNSUPPORTED;
}

static void dir_watch(struct tarn_kv *kv, struct tarn_kv_watch *watch) {
    tarn_kv_watches_add(&dir_of(kv)->watches, watch);
}
static void dir_unwatch(struct tarn_kv *kv, struct tarn_kv_watch *watch) {
    tarn_kv_watches_remove(&dir_of(kv)->watches, watch);
}

#define READING                                                                                    \
    .exists = dir_exists, .get_partial = dir_get_partial, .borrow = dir_borrow, .size = dir_size,  \
    .list = dir_list, .last_modified = dir_last_modified, .digest = dir_digest
static const struct tarn_kv_ops reading_ops = {READING};
static const struct tarn_kv_ops ops = {READING, .batch = dir_batch, .snapshot = dir_snapshot,
                                       .watch = dir_watch, .unwatch = dir_unwatch};

/* OWN_NAME, which is one store's at a time; what a store that was cut off has left in it goes. */
static enum tarn_err own_open(struct tarn_kv_dir *d) {
    if (mkdirat(d->root, OWN_NAME, 0700) != 0 && errno != EEXIST)
        return dir_error(errno);
    d->own = dir_openat(d->root, OWN_NAME, O_RDONLY | O_DIRECTORY);
    if (d->own < 0)
        return TARN_IO;
    if (flock(d->own, LOCK_EX | LOCK_NB) != 0)
        return TARN_LIMIT;
    enum tarn_err err = dir_recover(d);
    if (!err)
        dir_sweep(d);
    return err;
}

static enum tarn_err root_open(struct tarn_kv_dir *d, const char *path) {
    d->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->root < 0)
        return errno == ENOENT || errno == ENOTDIR ? TARN_NOT_FOUND : TARN_IO;
    int probe = dir_openat(d->root, ".", O_PATH);
    if (probe < 0)
        return errno == ENOSYS ? TARN_UNSUPPORTED : TARN_IO;
    close(probe);
    return TARN_OK;
}

enum tarn_err tarn_kv_dir_open(const struct tarn_kv_dir_config *config, struct tarn_kv_dir **out) {
    struct tarn_kv_dir *d = TARN_NEW(config->alloc, struct tarn_kv_dir);
    if (!d)
        return TARN_LIMIT;
    *d = (struct tarn_kv_dir){.kv = {config->read_only ? &reading_ops : &ops},
                              .alloc = config->alloc,
                              .clock = config->clock,
                              .root = -1,
                              .own = -1,
                              .journal = -1};
    d->names = TARN_NEW_ARRAY(config->alloc, NAMES, struct listed);
    d->undo = TARN_NEW_ARRAY(config->alloc, CHANGES_MAX, struct undo);
    enum tarn_err err = d->names && d->undo ? root_open(d, config->path) : TARN_LIMIT;
    if (!err && !config->read_only)
        err = own_open(d);
    if (err)
        tarn_kv_dir_close(d);
    else
        *out = d;
    return err;
}

void tarn_kv_dir_close(struct tarn_kv_dir *d) {
    if (d->journal >= 0)
        close(d->journal);
    if (d->own >= 0)
        close(d->own);
    if (d->root >= 0)
        close(d->root);
    tarn_alloc_put(d->alloc, d->undo, CHANGES_MAX * sizeof *d->undo);
    tarn_alloc_put(d->alloc, d->names, NAMES * sizeof *d->names);
    tarn_alloc_put(d->alloc, d, sizeof *d);
}

struct tarn_kv *tarn_kv_dir_kv(struct tarn_kv_dir *dir) {
    return &dir->kv;
}
