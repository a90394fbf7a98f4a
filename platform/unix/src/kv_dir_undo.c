/* SPDX-License-Identifier: ISC */
/* How a batch is taken back. Before the one step of each change, the journal in OWN_NAME says how
 * to undo it; when all are made, the journal goes, and that is the step which makes the batch. What
 * is in a journal when the store is opened is undone, the latest change first, and each leaves the
 * journal when it is: so undoing may be cut off at any moment, too, and what is done twice is done
 * the second time to what it has left the first time. */
#include "kv_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <tarn/hash.h>
#include <tarn/writer.h>
#include <unistd.h>

#define JOURNAL "undo"
#define NOTE_HEADER_BYTES 20u /* checksum, length, serial, verb, length of the key */
#define NOTE_BYTES_MAX (NOTE_HEADER_BYTES + 2 * PATH_BYTES)

/* -- places ---------------------------------------------------------------------------------------
 */

void dir_place_close(struct dir_place *p) {
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
}

enum tarn_err dir_sync(int fd) {
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

enum tarn_err dir_place_open(struct tarn_kv_dir *d, struct tarn_span key, bool create,
                             struct dir_place *p) {
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
        dir_place_close(p);
    return err;
}

/* Removes the directories on the way to `path` that are there and empty. */
void dir_prune(struct tarn_kv_dir *d, char *path) {
    char *slash;
    while ((slash = strrchr(path, '/'))) {
        *slash = 0;
        char *above = strrchr(path, '/');
        if (above)
            *above = 0;
        int fd = dir_openat(d->root, above ? path : ".", O_RDONLY | O_DIRECTORY);
        bool gone = fd >= 0 && unlinkat(fd, above ? above + 1 : path, AT_REMOVEDIR) == 0;
        bool missing = !gone && errno == ENOENT;
        if (gone)
            (void)fsync(fd);
        if (fd >= 0)
            close(fd);
        if (above)
            *above = '/';
        if (!gone && !missing)
            return;
    }
}

void dir_serial_name(unsigned serial, char name[SERIAL_BYTES]) {
    snprintf(name, SERIAL_BYTES, "%u", serial);
}

enum tarn_err dir_kind_at(const struct dir_place *p, mode_t *mode) {
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

/* Moves what is in one directory to another; OWN_NAME stays. */
enum tarn_err dir_move_all(int from, int to) {
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

bool dir_is_root(struct tarn_span key) {
    char path[PATH_BYTES];
    return dir_path(key, path) == TARN_OK && !strcmp(path, ".");
}

/* -- undoing --------------------------------------------------------------------------------------
 */

/* A file or directory of OWN_NAME to where a key says. */
static bool put_back(struct tarn_kv_dir *d, unsigned serial, struct tarn_span key) {
    char own_name[SERIAL_BYTES];
    struct dir_place p;
    dir_serial_name(serial, own_name);
    if (faccessat(d->own, own_name, F_OK, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT; /* it is back, or has never gone */
    if (dir_is_root(key)) {
        int fd = dir_openat(d->own, own_name, O_RDONLY | O_DIRECTORY);
        bool good = fd >= 0 && dir_move_all(fd, d->root) == TARN_OK;
        if (fd >= 0)
            close(fd);
        return good;
    }
    if (dir_place_open(d, key, true, &p))
        return false;
    bool good = renameat(d->own, own_name, p.fd, p.name) == 0 && fsync(p.fd) == 0;
    dir_place_close(&p);
    return good;
}

/* Whether there is something at the key. */
static bool is_there(struct tarn_kv_dir *d, struct tarn_span key) {
    struct dir_place p;
    mode_t mode = 0;
    if (dir_place_open(d, key, false, &p))
        return false;
    bool there = dir_kind_at(&p, &mode) == TARN_OK && mode;
    dir_place_close(&p);
    return there;
}

static bool move_back(struct tarn_kv_dir *d, const struct tarn_kv_change *c) {
    struct dir_place from, to;
    if (is_there(d, c->key)) { /* it did not come to moving it, or it is done */
        if (dir_path(c->dest, from.path) == TARN_OK)
            dir_prune(d, from.path);
        return true;
    }
    if (dir_place_open(d, c->dest, false, &from))
        return false;
    bool good = dir_place_open(d, c->key, true, &to) == TARN_OK;
    if (good) {
        good = renameat(from.fd, from.name, to.fd, to.name) == 0 && fsync(to.fd) == 0
               && fsync(from.fd) == 0;
        dir_place_close(&to);
    }
    dir_place_close(&from);
    if (good)
        dir_prune(d, from.path);
    return good;
}

static bool take_out(struct tarn_kv_dir *d, struct tarn_span key) {
    struct dir_place p;
    enum tarn_err err = dir_place_open(d, key, false, &p);
    if (err == TARN_NOT_FOUND)
        dir_prune(d, p.path);
    if (err)
        return err == TARN_NOT_FOUND;
    bool good = (unlinkat(p.fd, p.name, 0) == 0 || errno == ENOENT) && fsync(p.fd) == 0;
    dir_place_close(&p);
    dir_prune(d, p.path);
    return good;
}

static bool step_undo(struct tarn_kv_dir *d, const struct undo *u) {
    const struct tarn_kv_change *c = u->change;
    if (c->verb == TARN_KV_RENAME)
        return move_back(d, c) && (!u->serial || put_back(d, u->serial, c->dest));
    return u->serial ? put_back(d, u->serial, c->key) : take_out(d, c->key);
}

/* -- the journal ----------------------------------------------------------------------------------
 */

/* A note that a loss of power has torn is none, and its step was not made. */
static uint32_t sum_of(struct tarn_span s) {
    static const struct tarn_hash_key key = {0};
    return (uint32_t)tarn_hash(&key, s);
}

enum tarn_err dir_journal_begin(struct tarn_kv_dir *d) {
    d->journal = openat(d->own, JOURNAL, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    d->journal_bytes = 0;
    return d->journal < 0 ? dir_error(errno) : dir_sync(d->own);
}

enum tarn_err dir_journal_end(struct tarn_kv_dir *d) {
    bool gone = unlinkat(d->own, JOURNAL, 0) == 0 && fsync(d->own) == 0;
    close(d->journal);
    d->journal = -1;
    return gone ? TARN_OK : TARN_IO;
}

enum tarn_err dir_note(struct tarn_kv_dir *d, const struct tarn_kv_change *c, struct undo *u) {
    static uint8_t room[NOTE_BYTES_MAX];
    struct tarn_writer w = tarn_writer_over(tarn_bytes_of(room + 4, sizeof room - 4));
    struct tarn_span dest = c->verb == TARN_KV_RENAME ? c->dest : TARN_SPAN_EMPTY;
    u->change = c;
    u->at = d->journal_bytes;
    if (d->journal < 0)
        return TARN_OK;
    tarn_writer_u32le(&w, (uint32_t)(NOTE_HEADER_BYTES + c->key.len + dest.len));
    tarn_writer_u32le(&w, u->serial);
    tarn_writer_u32le(&w, (uint32_t)c->verb);
    tarn_writer_u32le(&w, (uint32_t)c->key.len);
    tarn_writer_span_put(&w, c->key);
    tarn_writer_span_put(&w, dest);
    if (!tarn_writer_ok(&w))
        return TARN_LIMIT;
    uint32_t sum = sum_of(tarn_writer_span(&w));
    memcpy(room, &sum, sizeof sum);
    ssize_t bytes = (ssize_t)w.len + 4;
    if (pwrite(d->journal, room, (size_t)bytes, d->journal_bytes) != bytes)
        return TARN_IO;
    d->journal_bytes += bytes;
    /* What was kept has its name before the journal says so. */
    return fsync(d->own) == 0 && fsync(d->journal) == 0 ? TARN_OK : TARN_IO;
}

bool dir_undo(struct tarn_kv_dir *d, const struct undo *u) {
    if (!u->change)
        return true;
    if (!step_undo(d, u))
        return false;
    if (d->journal < 0)
        return true;
    d->journal_bytes = u->at;
    return ftruncate(d->journal, u->at) == 0 && fsync(d->journal) == 0;
}

/* The note at `at`, its keys in `room`; 0: there is none, or its length. */
static off_t note_read(struct tarn_kv_dir *d, off_t at, struct tarn_bytes room,
                       struct tarn_kv_change *c, struct undo *u) {
    ssize_t n = pread(d->journal, room.ptr, room.len, at);
    struct tarn_span s = tarn_span_of(room.ptr, n > 0 ? (size_t)n : 0);
    uint32_t sum = 0, len = 0, serial = 0, verb = 0, key_len = 0;
    struct tarn_span all = s;
    if (!tarn_span_u32le(&s, &sum) || !tarn_span_u32le(&s, &len) || !tarn_span_u32le(&s, &serial)
        || !tarn_span_u32le(&s, &verb) || !tarn_span_u32le(&s, &key_len) || len > all.len
        || len < NOTE_HEADER_BYTES || key_len > len - NOTE_HEADER_BYTES
        || sum != sum_of(tarn_span_after(tarn_span_first(all, len), 4)))
        return 0;
    s = tarn_span_first(s, len - NOTE_HEADER_BYTES);
    *c = (struct tarn_kv_change){.verb = (enum tarn_kv_verb)verb,
                                 .key = tarn_span_first(s, key_len),
                                 .dest = tarn_span_after(s, key_len)};
    *u = (struct undo){.change = c, .serial = serial, .at = at};
    return (off_t)len;
}

enum tarn_err dir_recover(struct tarn_kv_dir *d) {
    static uint8_t room[NOTE_BYTES_MAX];
    off_t starts[CHANGES_MAX], at = 0, len;
    struct tarn_kv_change c;
    struct undo u;
    size_t count = 0;
    bool good = true;
    d->journal = openat(d->own, JOURNAL, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (d->journal < 0)
        return errno == ENOENT ? TARN_OK : TARN_IO;
    while (count < CHANGES_MAX && (len = note_read(d, at, TARN_BYTES_ARRAY(room), &c, &u))) {
        starts[count++] = at;
        at += len;
    }
    while (good && count--)
        good = note_read(d, starts[count], TARN_BYTES_ARRAY(room), &c, &u) && dir_undo(d, &u);
    return good ? dir_journal_end(d) : TARN_IO;
}
