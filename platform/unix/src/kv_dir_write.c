/* SPDX-License-Identifier: ISC */
/* Every change is one rename. What it replaces or removes is put into OWN_NAME before, under a
 * number, so that it can be taken back (kv_dir_undo.c); when all of a batch is made, it is deleted
 * there. */
#include "kv_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <tarn/kv_impl.h>
#include <unistd.h>

#define PIECE_BYTES 65536

/* -- the new value --------------------------------------------------------------------------------
 */

static enum tarn_err write_all(int fd, struct tarn_span data, uint64_t offset) {
    while (data.len) {
        ssize_t n = pwrite(fd, data.ptr, data.len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? dir_error(errno) : TARN_IO;
        data = tarn_span_after(data, (size_t)n);
        offset += (uint64_t)n;
    }
    return TARN_OK;
}

static enum tarn_err copy_all(int to, int from) {
    static uint8_t piece[PIECE_BYTES];
    uint64_t offset = 0;
    for (;;) {
        ssize_t n = pread(from, piece, sizeof piece, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? TARN_IO : TARN_OK;
        enum tarn_err err = write_all(to, tarn_span_of(piece, (size_t)n), offset);
        if (err)
            return err;
        offset += (uint64_t)n;
    }
}

static enum tarn_err content(const struct tarn_kv_change *c, const struct dir_place *p, int fd) {
    if (c->verb == TARN_KV_SET)
        return write_all(fd, c->value, 0);
    if (c->verb == TARN_KV_ALLOCATE) {
        if (c->bytes > INT64_MAX)
            return TARN_LIMIT;
        return ftruncate(fd, (off_t)c->bytes) == 0 ? TARN_OK : dir_error(errno);
    }
    int old = dir_openat(p->fd, p->name, O_RDONLY | O_NONBLOCK);
    if (old < 0 && errno != ENOENT)
        return dir_error(errno);
    enum tarn_err err = old < 0 ? TARN_OK : copy_all(fd, old);
    if (old >= 0)
        close(old);
    return err ? err : write_all(fd, c->value, c->offset);
}

/* The value after the change, in OWN_NAME, durable. */
static enum tarn_err prepare(struct tarn_kv_dir *d, const struct tarn_kv_change *c,
                             const struct dir_place *p, const char *own_name) {
    uint64_t now = tarn_clock_wall_ns(d->clock);
    struct timespec times[2] = {
        {.tv_nsec = UTIME_OMIT},
        {.tv_sec = (time_t)(now / 1000000000u), .tv_nsec = (long)(now % 1000000000u)}};
    if (c->last_modified)
        times[1] = (struct timespec){.tv_sec = (time_t)c->last_modified};
    int fd = openat(d->own, own_name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0)
        return dir_error(errno);
    enum tarn_err err = content(c, p, fd);
    if (!err && futimens(fd, times) != 0)
        err = TARN_IO;
    if (!err)
        err = dir_sync(fd);
    close(fd);
    return err;
}

/* -- changes --------------------------------------------------------------------------------------
 */

/* A second name for the value at the place, so that the first can be replaced in one step. */
static enum tarn_err keep(struct tarn_kv_dir *d, const struct dir_place *p, struct undo *u) {
    char own_name[SERIAL_BYTES];
    u->serial = ++d->serial;
    dir_serial_name(u->serial, own_name);
    return linkat(p->fd, p->name, d->own, own_name, 0) == 0 ? TARN_OK : dir_error(errno);
}

/* Where a change puts something, the directories on the way made. Those are a step, too: where they
 * are missing, so is what would be replaced, and the change is noted before. */
static enum tarn_err place_make(struct tarn_kv_dir *d, const struct tarn_kv_change *c,
                                struct tarn_span key, struct undo *u, struct dir_place *p) {
    enum tarn_err err = dir_place_open(d, key, false, p);
    if (err != TARN_NOT_FOUND)
        return err;
    err = dir_note(d, c, u);
    return err ? err : dir_place_open(d, key, true, p);
}

static enum tarn_err change_value(struct tarn_kv_dir *d, const struct tarn_kv_change *c,
                                  struct undo *u) {
    char own_name[SERIAL_BYTES];
    struct dir_place p;
    mode_t mode;
    enum tarn_err err = place_make(d, c, c->key, u, &p);
    if (err)
        return err;
    dir_serial_name(++d->serial, own_name);
    err = dir_kind_at(&p, &mode);
    if (!err && (mode == S_IFDIR || (mode && c->verb == TARN_KV_ALLOCATE)))
        err = TARN_INVALID;
    if (!err && c->verb == TARN_KV_SET_PARTIAL
        && (c->offset > INT64_MAX || c->value.len > INT64_MAX - c->offset))
        err = TARN_LIMIT;
    bool nothing = mode && c->verb == TARN_KV_SET_PARTIAL && !c->value.len;
    if (!err && !nothing) {
        err = prepare(d, c, &p, own_name);
        if (!err && mode)
            err = keep(d, &p, u);
        if (!err && !u->change)
            err = dir_note(d, c, u);
        if (!err && renameat(d->own, own_name, p.fd, p.name) != 0)
            err = dir_error(errno);
        if (!err)
            err = dir_sync(p.fd);
        (void)unlinkat(d->own, own_name, 0);
    }
    dir_place_close(&p);
    if (err)
        dir_prune(d, p.path);
    return err;
}

static enum tarn_err remove_root(struct tarn_kv_dir *d, const struct tarn_kv_change *c,
                                 struct undo *u) {
    char own_name[SERIAL_BYTES];
    dir_serial_name(u->serial = ++d->serial, own_name);
    int fd =
        mkdirat(d->own, own_name, 0700) ? -1 : dir_openat(d->own, own_name, O_RDONLY | O_DIRECTORY);
    enum tarn_err err = fd < 0 ? dir_error(errno) : dir_note(d, c, u);
    if (!err)
        err = dir_move_all(d->root, fd);
    if (fd >= 0)
        close(fd);
    return err;
}

static enum tarn_err remove_key(struct tarn_kv_dir *d, const struct tarn_kv_change *c,
                                struct undo *u) {
    char own_name[SERIAL_BYTES];
    struct dir_place p;
    mode_t mode;
    if (dir_is_root(c->key))
        return remove_root(d, c, u);
    enum tarn_err err = dir_place_open(d, c->key, false, &p);
    if (!err)
        err = dir_kind_at(&p, &mode);
    if (!err && !mode)
        err = TARN_NOT_FOUND;
    if (!err) {
        dir_serial_name(u->serial = ++d->serial, own_name);
        err = dir_note(d, c, u);
        if (!err && renameat(p.fd, p.name, d->own, own_name) != 0)
            err = dir_error(errno);
        if (!err)
            err = dir_sync(p.fd);
    } else if (err == TARN_INVALID && p.fd < 0) {
        /* A value on the way: there is nothing below it. */
        err = dir_path(c->key, p.path) == TARN_OK ? TARN_NOT_FOUND : TARN_INVALID;
    }
    dir_place_close(&p);
    if (!err)
        dir_prune(d, p.path);
    return err;
}

static enum tarn_err rename_to(struct tarn_kv_dir *d, const struct tarn_kv_change *c,
                               struct dir_place *from, struct undo *u) {
    struct dir_place to;
    mode_t was, is;
    enum tarn_err err = place_make(d, c, c->dest, u, &to);
    if (err)
        return err;
    err = dir_kind_at(from, &was);
    if (!err)
        err = dir_kind_at(&to, &is);
    if (!err && !was)
        err = TARN_NOT_FOUND;
    if (!err && is && (is == S_IFDIR || was == S_IFDIR))
        err = TARN_INVALID;
    if (!err && is)
        err = keep(d, &to, u);
    if (!err && !u->change)
        err = dir_note(d, c, u);
    /* A directory into itself: EINVAL. */
    if (!err && renameat(from->fd, from->name, to.fd, to.name) != 0)
        err = errno == EINVAL ? TARN_INVALID : dir_error(errno);
    if (!err)
        err = dir_sync(to.fd);
    if (!err)
        err = dir_sync(from->fd);
    dir_place_close(&to);
    if (err)
        dir_prune(d, to.path);
    return err;
}

static enum tarn_err rename_key(struct tarn_kv_dir *d, const struct tarn_kv_change *c,
                                struct undo *u) {
    struct dir_place from;
    char dest[PATH_BYTES];
    mode_t mode;
    enum tarn_err err = dir_place_open(d, c->key, false, &from);
    if (!err)
        err = dir_kind_at(&from, &mode);
    if (!err && !mode)
        err = TARN_NOT_FOUND;
    if (!err && dir_path(c->dest, dest) == TARN_OK) {
        size_t len = strlen(from.path);
        if (!strcmp(from.path, dest)) {
            dir_place_close(&from);
            return TARN_OK; /* onto itself */
        }
        if (!strncmp(from.path, dest, len) && dest[len] == '/')
            err = TARN_INVALID; /* below itself: before anything is made there */
    }
    if (!err)
        err = rename_to(d, c, &from, u);
    dir_place_close(&from);
    if (!err)
        dir_prune(d, from.path);
    return err;
}

/* -- batches --------------------------------------------------------------------------------------
 */

static enum tarn_err change_one(struct tarn_kv_dir *d, const struct tarn_kv_change *c,
                                struct undo *u) {
    *u = (struct undo){0};
    switch (c->verb) {
    case TARN_KV_REMOVE: return remove_key(d, c, u);
    case TARN_KV_RENAME: return rename_key(d, c, u);
    default: return change_value(d, c, u);
    }
}

enum tarn_err dir_batch(struct tarn_kv *kv, const struct tarn_kv_change *changes, size_t count,
                        size_t *failed) {
    struct tarn_kv_dir *d = dir_of(kv);
    bool many = count > 1 || (count && dir_is_root(changes[0].key));
    bool good = true;
    size_t i = 0;
    *failed = 0;
    if (count > CHANGES_MAX)
        return TARN_LIMIT;
    d->fill++;
    enum tarn_err err = many ? dir_journal_begin(d) : TARN_OK;
    for (; i < count && !err; i++)
        err = change_one(d, &changes[i], &d->undo[i]);
    if (err) {
        *failed = i ? i - 1 : 0;
        while (i--)
            good &= dir_undo(d, &d->undo[i]);
    }
    /* What could not be taken back now may be when the store is opened again. */
    if (many && good)
        good = dir_journal_end(d) == TARN_OK;
    if (!err && good)
        tarn_kv_watches_notify(d->watches, changes, count);
    if (good)
        dir_sweep(d);
    return good ? err : TARN_IO;
}

/* -- sweeping -------------------------------------------------------------------------------------
 */

/* Deletes all that is in a directory, and closes it. */
static void empty(int fd) {
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *e;
    if (!stream) {
        if (fd >= 0)
            close(fd);
        return;
    }
    while ((e = readdir(stream))) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            continue;
        if (unlinkat(fd, e->d_name, 0) != 0) {
            empty(dir_openat(fd, e->d_name, O_RDONLY | O_DIRECTORY));
            (void)unlinkat(fd, e->d_name, AT_REMOVEDIR);
        }
    }
    closedir(stream);
}

void dir_sweep(struct tarn_kv_dir *d) {
    empty(dir_openat(d->own, ".", O_RDONLY | O_DIRECTORY));
    d->serial = 0;
}
