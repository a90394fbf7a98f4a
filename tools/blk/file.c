/* SPDX-License-Identifier: ISC */
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define IMAGE_BLOCKS (1ull << 33) /* 4 TiB: where an image may grow to */

static enum tarn_err transfer(int fd, const struct tarn_blk_req *req) {
    struct tarn_bytes left = req->data;
    off_t at = (off_t)(req->block * SECTOR_BYTES);
    while (left.len) {
        ssize_t n = req->op == TARN_BLK_READ ? pread(fd, left.ptr, left.len, at)
                                             : pwrite(fd, left.ptr, left.len, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == ENOSPC ? TARN_LIMIT : TARN_IO;
        if (n == 0) { /* behind the end */
            memset(left.ptr, 0, left.len);
            return TARN_OK;
        }
        left = tarn_bytes_after(left, (size_t)n);
        at += n;
    }
    return TARN_OK;
}

static enum tarn_err perform(const struct file *file, const struct tarn_blk_req *req) {
    enum tarn_err err = tarn_blk_req_check(&file->blk, req);
    if (err)
        return err;
    if (req->op == TARN_BLK_FLUSH)
        return fdatasync(file->fd) == 0 ? TARN_OK : TARN_IO;
    if (req->op == TARN_BLK_DISCARD)
        return fallocate(file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                         (off_t)(req->block * SECTOR_BYTES), (off_t)(req->blocks * SECTOR_BYTES))
                       == 0
                   ? TARN_OK
                   : TARN_IO;
    return transfer(file->fd, req);
}

static size_t file_submit(struct tarn_blk *blk, struct tarn_blk_req **reqs, size_t n) {
    struct file *file = TARN_CONTAINER_OF(blk, struct file, blk);
    for (size_t i = 0; i < n; i++)
        tarn_blk_finish(&file->finished, reqs[i], perform(file, reqs[i]));
    return n;
}

void file_open(struct file *file, const char *path, enum file_how how) {
    static const struct tarn_blk_ops ops = {.submit = file_submit};
    bool writes = how == FILE_WRITE || how == FILE_IMAGE;
    bool grows = how == FILE_IMAGE || how == FILE_IMAGE_RO;
    *file = (struct file){.path = path};
    tarn_blk_finished_init(&file->finished, &loop.tasks);
    file->fd = open(path, (writes ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (file->fd < 0)
        fail("%s: %s", path, strerror(errno));
    file->blk = (struct tarn_blk){
        .ops = &ops,
        .block_bytes = SECTOR_BYTES,
        .blocks_per_request_max = 1u << 15,
        .atomic_bytes = SECTOR_BYTES,
        .blocks = grows ? IMAGE_BLOCKS : (file_bytes(file) + SECTOR_BYTES - 1) / SECTOR_BYTES,
        .features =
            TARN_BLK_CAN_FLUSH
            | (writes ? TARN_BLK_CAN_DISCARD | TARN_BLK_DISCARD_ZEROES : TARN_BLK_READ_ONLY),
    };
}

void file_make(const char *path, uint64_t bytes) {
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0 || ftruncate(fd, (off_t)bytes) != 0)
        fail("%s: %s", path, strerror(errno));
    close(fd);
}

void file_cut(struct file *file, uint64_t bytes) {
    if (ftruncate(file->fd, (off_t)bytes) != 0)
        fail("%s: %s", file->path, strerror(errno));
}

uint64_t file_bytes(const struct file *file) {
    off_t end = lseek(file->fd, 0, SEEK_END);
    if (end < 0)
        fail("%s: %s", file->path, strerror(errno));
    return (uint64_t)end;
}

void file_close(struct file *file) {
    close(file->fd);
}
