/* SPDX-License-Identifier: ISC */
/* Every change is one rename. What it replaces or removes is put into OWN_NAME before, under a
 * number, so that it can be taken back; when all of a batch is made, it is deleted there. */
#include "kv_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <tarn/kv_impl.h>
#include <unistd.h>

#define SERIAL_BYTES 16
#define PIECE_BYTES 65536

/* -- places ---------------------------------------------------------------------------------------
 */

/* A name in an open directory. */
struct place {
    char path[PATH_BYTES];
    const char *name;
    int fd;
};

static void place_close(struct place *p) {
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
}

static enum tarn_err sync_fd(int fd) {
    return fsync(fd) == 0 ? TARN_OK : TARN_IO;
}

/* The directory of `path` under `at`, one segment deeper; made where it is not there. */
static enum tarn_err deeper(int *at, const char *name, bool create) {
    int next = dir_openat(*at, name, O_RDONLY | O_DIRECTORY);
    if (next < 0 && errno == ENOENT && create) {
        if (mkdirat(*at, name, 0777) != 0 || fsync(*at) != 0)
            return dir_error(errno);
        next = dir_openat(*at, name, O_RDONLY | O_DIRECTORY);
    }
    if (next < 0)
        return dir_error(errno);
    close(*at);
    *at = next;
    return TARN_OK;
}

static enum tarn_err place_open(struct tarn_kv_dir *d, struct tarn_span key, bool create,
                                struct place *p) {
    enum tarn_err err = dir_path(key, p->path);
    char *name = p->path, *slash;
    p->fd = -1;
    if (err)
        return err == TARN_NOT_FOUND ? TARN_INVALID : err;
    if (!strcmp(p->path, "."))
        return TARN_INVALID;
    p->fd = dir_openat(d->root, ".", O_RDONLY | O_DIRECTORY);
    if (p->fd < 0)
        return TARN_IO;
    while (!err && (slash = strchr(name, '/'))) {
        *slash = 0;
        err = deeper(&p->fd, name, create);
        *slash = '/';
        name = slash + 1;
    }
    p->name = name;
    if (err)
        place_close(p);
    return err;
}

/* Removes the directories on the way to `path` that are empty now. */
static void prune(struct tarn_kv_dir *d, char *path) {
    char *slash;
    while ((slash = strrchr(path, '/'))) {
        *slash = 0;
        char *above = strrchr(path, '/');
        if (above)
            *above = 0;
        int fd = dir_openat(d->root, above ? path : ".", O_RDONLY | O_DIRECTORY);
        int failed = fd < 0 || unlinkat(fd, above ? above + 1 : path, AT_REMOVEDIR) != 0;
        if (fd >= 0) {
            if (!failed)
                (void)fsync(fd);
            close(fd);
        }
        if (above)
            *above = '/';
        if (failed)
            return;
    }
}

static void serial_name(unsigned serial, char name[SERIAL_BYTES]) {
    snprintf(name, SERIAL_BYTES, "%u", serial);
}

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

static enum tarn_err content(const struct tarn_kv_change *c, const struct place *p, int fd) {
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
                             const struct place *p, const char *own_name) {
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
        err = sync_fd(fd);
    close(fd);
    return err;
}

/* -- changes --------------------------------------------------------------------------------------
 */

static enum tarn_err kind_at(const struct place *p, mode_t *mode) {
    struct stat st;
    *mode = 0;
    if (fstatat(p->fd, p->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        *mode = st.st_mode & S_IFMT;
    else if (errno == ENAMETOOLONG)
        return TARN_LIMIT;
    else if (errno != ENOENT)
        return TARN_IO;
    /* A link or a device that somebody has put there is not ours to replace. */
    return *mode && *mode != S_IFREG && *mode != S_IFDIR ? TARN_INVALID : TARN_OK;
}

/* A second name for the value at the place, so that the first can be replaced in one step. */
static enum tarn_err keep(struct tarn_kv_dir *d, const struct place *p, struct undo *u) {
    char own_name[SERIAL_BYTES];
    u->serial = ++d->serial;
    serial_name(u->serial, own_name);
    return linkat(p->fd, p->name, d->own, own_name, 0) == 0 ? TARN_OK : dir_error(errno);
}

static enum tarn_err change_value(struct tarn_kv_dir *d, const struct tarn_kv_change *c,
                                  struct undo *u) {
    char own_name[SERIAL_BYTES];
    struct place p;
    mode_t mode;
    enum tarn_err err = place_open(d, c->key, true, &p);
    if (err)
        return err;
    serial_name(++d->serial, own_name);
    err = kind_at(&p, &mode);
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
        if (!err && renameat(d->own, own_name, p.fd, p.name) != 0)
            err = dir_error(errno);
        if (!err)
            err = sync_fd(p.fd);
        (void)unlinkat(d->own, own_name, 0);
    }
    u->change = nothing ? NULL : c;
    place_close(&p);
    if (err)
        prune(d, p.path);
    return err;
}

/* Moves what is in one directory to another; OWN_NAME stays. */
static enum tarn_err move_all(int from, int to) {
    int again = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = again < 0 ? NULL : fdopendir(again);
    struct dirent *e;
    bool failed = !stream;
    while (!failed && (e = readdir(stream)))
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") && strcmp(e->d_name, OWN_NAME))
            failed = renameat(from, e->d_name, to, e->d_name) != 0;
    if (stream)
        closedir(stream);
    return failed || fsync(from) != 0 ? TARN_IO : TARN_OK;
}

static enum tarn_err remove_root(struct tarn_kv_dir *d, struct undo *u) {
    char own_name[SERIAL_BYTES];
    serial_name(u->serial = ++d->serial, own_name);
    int fd =
        mkdirat(d->own, own_name, 0700) ? -1 : dir_openat(d->own, own_name, O_RDONLY | O_DIRECTORY);
    enum tarn_err err = fd < 0 ? dir_error(errno) : move_all(d->root, fd);
    if (err && fd >= 0)
        (void)!move_all(fd, d->root);
    if (fd >= 0)
        close(fd);
    return err;
}

static bool is_root(struct tarn_span key) {
    char path[PATH_BYTES];
    return dir_path(key, path) == TARN_OK && !strcmp(path, ".");
}

static enum tarn_err remove_key(struct tarn_kv_dir *d, const struct tarn_kv_change *c,
                                struct undo *u) {
    char own_name[SERIAL_BYTES];
    struct place p;
    mode_t mode;
    u->change = c;
    if (is_root(c->key))
        return remove_root(d, u);
    enum tarn_err err = place_open(d, c->key, false, &p);
    if (!err)
        err = kind_at(&p, &mode);
    if (!err && !mode)
        err = TARN_NOT_FOUND;
    if (!err) {
        serial_name(u->serial = ++d->serial, own_name);
        if (renameat(p.fd, p.name, d->own, own_name) != 0)
            err = dir_error(errno);
        if (!err)
            err = sync_fd(p.fd);
    } else if (err == TARN_INVALID && p.fd < 0) {
        /* A value on the way: there is nothing below it. */
        err = dir_path(c->key, p.path) == TARN_OK ? TARN_NOT_FOUND : TARN_INVALID;
    }
    place_close(&p);
    if (!err)
        prune(d, p.path);
    return err;
}

static enum tarn_err rename_to(struct tarn_kv_dir *d, const struct tarn_kv_change *c,
                               struct place *from, struct undo *u) {
    struct place to;
    mode_t was, is;
    enum tarn_err err = place_open(d, c->dest, true, &to);
    if (err)
        return err;
    err = kind_at(from, &was);
    if (!err)
        err = kind_at(&to, &is);
    if (!err && !was)
        err = TARN_NOT_FOUND;
    if (!err && is && (is == S_IFDIR || was == S_IFDIR))
        err = TARN_INVALID;
    if (!err && is)
        err = keep(d, &to, u);
    /* A directory into itself: EINVAL. */
    if (!err && renameat(from->fd, from->name, to.fd, to.name) != 0)
        err = errno == EINVAL ? TARN_INVALID : dir_error(errno);
    if (!err)
        err = sync_fd(to.fd);
    if (!err)
        err = sync_fd(from->fd);
    place_close(&to);
    if (err)
        prune(d, to.path);
    return err;
}

static enum tarn_err rename_key(struct tarn_kv_dir *d, const struct tarn_kv_change *c,
                                struct undo *u) {
    struct place from;
    char dest[PATH_BYTES];
    mode_t mode;
    enum tarn_err err = place_open(d, c->key, false, &from);
    if (!err)
        err = kind_at(&from, &mode);
    if (!err && !mode)
        err = TARN_NOT_FOUND;
    if (!err && dir_path(c->dest, dest) == TARN_OK) {
        size_t len = strlen(from.path);
        if (!strcmp(from.path, dest)) {
            place_close(&from);
            return TARN_OK; /* onto itself */
        }
        if (!strncmp(from.path, dest, len) && dest[len] == '/')
            err = TARN_INVALID; /* below itself: before anything is made there */
    }
    u->change = c;
    if (!err)
        err = rename_to(d, c, &from, u);
    place_close(&from);
    if (!err)
        prune(d, from.path);
    return err;
}

/* -- batches --------------------------------------------------------------------------------------
 */

/* A file or directory of OWN_NAME to where a key says. */
static bool put_back(struct tarn_kv_dir *d, unsigned serial, struct tarn_span key) {
    char own_name[SERIAL_BYTES];
    struct place p;
    serial_name(serial, own_name);
    if (is_root(key)) {
        int fd = dir_openat(d->own, own_name, O_RDONLY | O_DIRECTORY);
        bool good = fd >= 0 && move_all(fd, d->root) == TARN_OK;
        if (fd >= 0)
            close(fd);
        return good;
    }
    if (place_open(d, key, true, &p))
        return false;
    bool good = renameat(d->own, own_name, p.fd, p.name) == 0 && fsync(p.fd) == 0;
    place_close(&p);
    return good;
}

static bool undo_one(struct tarn_kv_dir *d, const struct undo *u) {
    const struct tarn_kv_change *c = u->change;
    struct place from, to;
    bool good = true;
    if (!c)
        return true;
    if (c->verb == TARN_KV_RENAME) {
        good = place_open(d, c->dest, false, &from) == TARN_OK;
        if (good && place_open(d, c->key, true, &to) == TARN_OK) {
            good = renameat(from.fd, from.name, to.fd, to.name) == 0 && fsync(to.fd) == 0;
            place_close(&to);
        }
        place_close(&from);
        if (good && !u->serial)
            prune(d, from.path);
        return good && u->serial ? put_back(d, u->serial, c->dest) : good;
    }
    if (u->serial)
        return put_back(d, u->serial, c->key);
    good = place_open(d, c->key, false, &from) == TARN_OK && unlinkat(from.fd, from.name, 0) == 0;
    place_close(&from);
    prune(d, from.path);
    return good;
}

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
    enum tarn_err err = TARN_OK;
    bool good = true;
    size_t i;
    *failed = 0;
    if (count > CHANGES_MAX)
        return TARN_LIMIT;
    d->fill++;
    for (i = 0; i < count && !err; i++)
        err = change_one(d, &changes[i], &d->undo[i]);
    if (err) {
        *failed = --i;
        while (i--)
            good &= undo_one(d, &d->undo[i]);
    } else {
        tarn_kv_watches_notify(d->watches, changes, count);
    }
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
