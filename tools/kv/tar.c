/* SPDX-License-Identifier: ISC */
#include "tar.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <tarn/kv_tar.h>
#include <unistd.h>

#define PATH_MAX_BYTES (TARN_KV_DEPTH_MAX * (TARN_KV_NAME_MAX + 1))
#define PIECE (64u << 10)

/* -- writing --------------------------------------------------------------------------------------
 */

static enum tarn_err emit(FILE *out, const void *bytes, size_t len) {
    return fwrite(bytes, 1, len, out) == len ? TARN_OK : TARN_IO;
}

static enum tarn_err pad(FILE *out, uint64_t len) {
    static const char zeroes[512];
    return emit(out, zeroes, (size_t)(-len % 512));
}

static enum tarn_err header(FILE *out, char type, const char *name, uint64_t bytes, int64_t mtime) {
    char block[512] = {0};
    unsigned sum = 0;
    snprintf(block, 100, "%s", name);
    memcpy(block + 100, "0000644", 8);
    memcpy(block + 108, "0000000", 8);
    memcpy(block + 116, "0000000", 8);
    snprintf(block + 124, 12, "%011llo", (unsigned long long)bytes & 077777777777);
    snprintf(block + 136, 12, "%011llo", mtime < 0 ? 0 : (unsigned long long)mtime & 077777777777);
    memset(block + 148, ' ', 8);
    block[156] = type;
    memcpy(block + 257, "ustar\00000", 8);
    for (size_t i = 0; i < sizeof block; i++)
        sum += (unsigned char)block[i];
    snprintf(block + 148, 8, "%06o", sum & 0777777);
    return emit(out, block, sizeof block);
}

/* One pax record; its length counts its own digits. */
static size_t record(char *out, size_t room, const char *key, const char *value) {
    size_t rest = strlen(key) + strlen(value) + 3, len = rest + 1;
    for (size_t was = 0; was != len;) {
        was = len;
        len = rest + (size_t)snprintf(NULL, 0, "%zu", was);
    }
    return (size_t)snprintf(out, room, "%zu %s=%s\n", len, key, value);
}

static enum tarn_err member(struct tarn_kv *kv, const char *path, FILE *out) {
    static uint8_t piece[PIECE];
    static char pax[PATH_MAX_BYTES + 200];
    struct tarn_span key = tarn_span_str(path);
    uint64_t bytes, offset = 0;
    int64_t mtime;
    size_t n = 0;
    enum tarn_err err = kv->ops->size(kv, key, &bytes);
    if (!err)
        err = kv->ops->last_modified(kv, key, &mtime);
    if (err)
        return err;
    char number[32];
    if (strlen(path) > 100)
        n += record(pax + n, sizeof pax - n, "path", path);
    if (bytes > 077777777777) {
        snprintf(number, sizeof number, "%llu", (unsigned long long)bytes);
        n += record(pax + n, sizeof pax - n, "size", number);
    }
    if (mtime < 0) {
        snprintf(number, sizeof number, "%lld", (long long)mtime);
        n += record(pax + n, sizeof pax - n, "mtime", number);
    }
    if (n
        && ((err = header(out, 'x', "pax", n, 0)) || (err = emit(out, pax, n))
            || (err = pad(out, n))))
        return err;
    err = header(out, '0', path, bytes, mtime);
    while (!err && offset < bytes) {
        err = kv->ops->get_partial(kv, key, offset, TARN_BYTES_ARRAY(piece), &n);
        if (!err)
            err = emit(out, piece, n);
        offset += n;
    }
    return err ? err : pad(out, bytes);
}

static enum tarn_err dictionary(struct tarn_kv *kv, char *path, size_t len, FILE *out) {
    struct tarn_kv_cursor cursor = {0};
    struct tarn_kv_entry e;
    enum tarn_err err;
    while ((err = kv->ops->list(kv, tarn_span_of(path, len), &cursor, &e)) == TARN_OK) {
        size_t at = len + (len != 0);
        if (len)
            path[len] = '/';
        memcpy(path + at, e.name.ptr, e.name.len);
        path[at + e.name.len] = 0;
        err = e.kind == TARN_KV_DICTIONARY ? dictionary(kv, path, at + e.name.len, out)
                                           : member(kv, path, out);
        if (err)
            return err;
    }
    return err == TARN_EOF ? TARN_OK : err;
}

enum tarn_err tar_write(struct tarn_kv *kv, FILE *out) {
    static char path[PATH_MAX_BYTES + 1];
    static const char end[1024];
    enum tarn_err err = dictionary(kv, path, 0, out);
    return err ? err : emit(out, end, sizeof end);
}

/* -- reading --------------------------------------------------------------------------------------
 */

static enum tarn_err value_copy(struct tarn_kv *from, struct tarn_kv *to, struct tarn_span key,
                                size_t piece) {
    struct tarn_kv_change change = {.verb = TARN_KV_SET, .key = key};
    struct tarn_span value;
    enum tarn_err err = from->ops->borrow(from, key, &value);
    if (!err)
        err = from->ops->last_modified(from, key, &change.last_modified);
    change.value = tarn_span_first(value, piece);
    while (!err) {
        err = tarn_kv_change(to, change);
        change.offset += change.value.len;
        value = tarn_span_after(value, change.value.len);
        change.verb = TARN_KV_SET_PARTIAL;
        change.value = tarn_span_first(value, piece);
        if (!value.len)
            break;
    }
    return err;
}

static enum tarn_err copy(struct tarn_kv *from, struct tarn_kv *to, char *path, size_t len,
                          size_t piece) {
    struct tarn_kv_cursor cursor = {0};
    struct tarn_kv_entry e;
    enum tarn_err err;
    while ((err = from->ops->list(from, tarn_span_of(path, len), &cursor, &e)) == TARN_OK) {
        size_t at = len + (len != 0), end = at + e.name.len;
        if (end > PATH_MAX_BYTES)
            return TARN_LIMIT;
        if (len)
            path[len] = '/';
        memcpy(path + at, e.name.ptr, e.name.len);
        path[end] = 0;
        err = e.kind == TARN_KV_DICTIONARY ? copy(from, to, path, end, piece)
                                           : value_copy(from, to, tarn_span_of(path, end), piece);
        if (err)
            return err;
        path[len] = 0;
    }
    return err == TARN_EOF ? TARN_OK : err;
}

enum tarn_err tar_load(struct tarn_alloc *alloc, struct tarn_kv *kv, const char *path, size_t piece,
                       char *why, size_t why_bytes) {
    static char key[PATH_MAX_BYTES + 1];
    struct tarn_kv_tar_error error;
    struct tarn_kv_tar *tar;
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        snprintf(why, why_bytes, "%s", strerror(errno));
        return TARN_PEER;
    }
    void *bytes = mmap(NULL, (size_t)st.st_size + 1, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (bytes == MAP_FAILED) {
        snprintf(why, why_bytes, "%s", strerror(errno));
        return TARN_PEER;
    }
    struct tarn_kv_tar_config config = {alloc, tarn_span_of(bytes, (size_t)st.st_size)};
    enum tarn_err err = tarn_kv_tar_new(&config, &error, &tar);
    if (err == TARN_PEER)
        snprintf(why, why_bytes, "not an archive that can be loaded: %s, at byte %llu", error.why,
                 (unsigned long long)error.offset);
    if (!err) {
        err = copy(tarn_kv_tar_kv(tar), kv, key, 0, piece);
        snprintf(why, why_bytes, "%.*s", (int)why_bytes - 1, key);
        tarn_kv_tar_delete(tar);
    }
    munmap(bytes, (size_t)st.st_size + 1);
    return err;
}
