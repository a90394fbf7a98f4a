/* SPDX-License-Identifier: ISC */
/* Block devices: a file or a disk, read and written where it is (pread, pwrite, fdatasync).
 * Requests are served and completed from the wait, in the order they came. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unix.h"

#define BLOCK_BYTES 512u
#define QUEUE_MAX 64u /* requests in flight */
#define REQUEST_BYTES_MAX (1u << 20)

struct file_blk {
    struct tarn_blk blk;
    struct unix_before_wait before_wait;
    struct file_blk *next;
    const char *name;
    int fd;
    struct tarn_blk_req *first, *last;
    size_t queued;
};

static struct file_blk *opened;

/* -- serving --------------------------------------------------------------------------------------
 */

static enum tarn_err transfer(int fd, struct tarn_blk_req *req) {
    struct tarn_bytes left = req->data;
    off_t at = (off_t)(req->block * BLOCK_BYTES);
    while (left.len > 0) {
        ssize_t n = req->op == TARN_BLK_READ ? pread(fd, left.ptr, left.len, at)
                                             : pwrite(fd, left.ptr, left.len, at);
        if (n == 0 || (n < 0 && errno != EINTR))
            return TARN_IO;
        if (n > 0) {
            left = tarn_bytes_after(left, (size_t)n);
            at += n;
        }
    }
    return TARN_OK;
}

static enum tarn_err discard(int fd, const struct tarn_blk_req *req) {
    off_t at = (off_t)(req->block * BLOCK_BYTES), len = (off_t)(req->blocks * BLOCK_BYTES);
    return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, len) == 0
               ? TARN_OK
               : TARN_UNSUPPORTED;
}

static enum tarn_err serve(struct file_blk *f, struct tarn_blk_req *req) {
    enum tarn_err err = tarn_blk_req_check(&f->blk, req);
    if (err)
        return err;
    switch (req->op) {
    case TARN_BLK_READ:
    case TARN_BLK_WRITE: return transfer(f->fd, req);
    case TARN_BLK_FLUSH: return fdatasync(f->fd) == 0 ? TARN_OK : TARN_IO;
    case TARN_BLK_DISCARD: return discard(f->fd, req);
    }
    return TARN_INVALID;
}

static tarn_time before_wait(struct unix_before_wait *hook, uint64_t *ready) {
    struct file_blk *f = TARN_CONTAINER_OF(hook, struct file_blk, before_wait);
    (void)ready;
    if (!f->first)
        return TARN_NEVER;
    /* Those that `done` submits wait for the next time. */
    struct tarn_blk_req *req = f->first;
    f->first = f->last = NULL;
    f->queued = 0;
    while (req) {
        struct tarn_blk_req *next = req->next;
        req->result = serve(f, req);
        req->done(req);
        req = next;
    }
    return 0;
}

static size_t file_submit(struct tarn_blk *blk, struct tarn_blk_req **reqs, size_t n) {
    struct file_blk *f = TARN_CONTAINER_OF(blk, struct file_blk, blk);
    size_t taken = 0;
    for (; taken < n && f->queued < QUEUE_MAX; taken++) {
        struct tarn_blk_req *req = reqs[taken];
        req->next = NULL;
        if (f->last)
            f->last->next = req;
        else
            f->first = req;
        f->last = req;
        f->queued++;
    }
    return taken;
}

static const struct tarn_blk_ops file_ops = {.submit = file_submit};

/* -- opening --------------------------------------------------------------------------------------
 */

static enum tarn_err refuse(const char *name, const char *path, const char *why) {
    unix_say("--block:%s=%s: %s", name, path, why);
    return TARN_IO;
}

static bool size_of(int fd, uint64_t *bytes, bool *is_file) {
    struct stat st;
    if (fstat(fd, &st) != 0)
        return false;
    *is_file = S_ISREG(st.st_mode);
    *bytes = (uint64_t)st.st_size;
    return *is_file || (S_ISBLK(st.st_mode) && ioctl(fd, BLKGETSIZE64, bytes) == 0);
}

enum tarn_err tarn_platform_blk(const char *name, struct tarn_blk **out) {
    const char *path = unix_attached(unix_options.block, unix_options.block_count, name);
    uint64_t bytes;
    bool is_file, read_only = false;
    for (struct file_blk *f = opened; f; f = f->next) {
        if (strcmp(f->name, name) == 0) {
            *out = &f->blk;
            return TARN_OK;
        }
    }
    if (!path) {
        unix_say("block device %s is not attached: give --block:%s=FILE", name, name);
        return TARN_NOT_FOUND;
    }
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 && (errno == EACCES || errno == EROFS)) {
        fd = open(path, O_RDONLY | O_CLOEXEC);
        read_only = true;
    }
    if (fd < 0)
        return refuse(name, path,
                      errno == ENOENT ? "no such file: make it with truncate -s 16M FILE"
                                      : strerror(errno));
    if (!size_of(fd, &bytes, &is_file))
        return refuse(name, path, "neither a file nor a disk");
    if (bytes == 0 || bytes % BLOCK_BYTES != 0)
        return refuse(name, path, "its size is not a multiple of 512 bytes");
    struct file_blk *f = calloc(1, sizeof *f);
    if (!f)
        return refuse(name, path, "no memory");
    *f = (struct file_blk){
        .next = opened, .name = name, .fd = fd, .before_wait = {.run = before_wait}};
    f->blk = (struct tarn_blk){
        .ops = &file_ops,
        .block_bytes = BLOCK_BYTES,
        .blocks_per_request_max = REQUEST_BYTES_MAX / BLOCK_BYTES,
        .atomic_bytes = BLOCK_BYTES,
        .blocks = bytes / BLOCK_BYTES,
        .features = TARN_BLK_CAN_FLUSH
                    | (is_file ? TARN_BLK_CAN_DISCARD | TARN_BLK_DISCARD_ZEROES : 0u)
                    | (read_only ? TARN_BLK_READ_ONLY : 0u),
    };
    unix_before_wait_add(&f->before_wait);
    opened = f;
    *out = &f->blk;
    return TARN_OK;
}
