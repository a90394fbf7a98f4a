/* SPDX-License-Identifier: ISC */
/* Block devices: a file or a disk. Requests go to the kernel's io_uring before the wait, all in one
 * system call, and come back while the loop goes on; where there is none they are served one after
 * the other before the wait. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unix.h"
#include "uring.h"

#define BLOCK_BYTES 512u
#define QUEUE_MAX 64u /* requests in flight */
#define REQUEST_BYTES_MAX (1u << 20)
#define DIRECT_ALIGN_BYTES 4096u /* of memory: good for every disk and file system */

/* A request in flight. */
struct slot {
    struct tarn_blk_req *req;
    size_t done_bytes;
    uint8_t *bounce; /* REQUEST_BYTES_MAX, where the user's memory is not aligned */
    bool bounced;
    struct slot *next_free;
};

struct file_blk {
    struct tarn_blk blk;
    struct unix_before_wait before_wait;
    struct unix_watch watch;
    struct file_blk *next;
    const char *name;
    int fd;
    bool has_ring;
    uint32_t device;
    struct uring ring;
    struct slot slots[QUEUE_MAX], *free;
    struct tarn_blk_req *first, **last; /* not given to the kernel yet */
    size_t queued;                      /* those, and those in flight */
};

static struct file_blk *opened;

static void finish(struct file_blk *f, struct tarn_blk_req *req, enum tarn_err result) {
    f->queued--;
    req->result = result;
    req->done(req);
}

static struct tarn_blk_req *take_first(struct file_blk *f) {
    struct tarn_blk_req *req = f->first;
    f->first = req->next;
    if (!f->first)
        f->last = &f->first;
    return req;
}

static enum tarn_err error_of(int err) {
    return err == ENOSPC || err == EDQUOT ? TARN_LIMIT
           : err == EOPNOTSUPP            ? TARN_UNSUPPORTED
                                          : TARN_IO;
}

/* -- through io_uring -----------------------------------------------------------------------------
 */

/* Where the kernel is to read or write: the user's memory, or a copy that is aligned. */
static uint8_t *memory_of(struct file_blk *f, struct slot *slot) {
    const struct tarn_blk_req *req = slot->req;
    slot->bounced = f->blk.align_bytes > 1 && (uintptr_t)req->data.ptr % f->blk.align_bytes;
    if (!slot->bounced)
        return req->data.ptr + slot->done_bytes;
    if (req->op == TARN_BLK_WRITE)
        memcpy(slot->bounce, req->data.ptr, req->data.len);
    return slot->bounce + slot->done_bytes;
}

static void push(struct file_blk *f, struct slot *slot) {
    const struct tarn_blk_req *req = slot->req;
    struct io_uring_sqe *sqe = uring_push(&f->ring);
    uint64_t at = req->block * f->blk.block_bytes;
    sqe->fd = f->fd;
    sqe->user_data = (uint64_t)(slot - f->slots);
    switch (req->op) {
    case TARN_BLK_READ:
    case TARN_BLK_WRITE:
        sqe->opcode = req->op == TARN_BLK_READ ? IORING_OP_READ : IORING_OP_WRITE;
        sqe->addr = (uintptr_t)memory_of(f, slot);
        sqe->len = (uint32_t)(req->data.len - slot->done_bytes);
        sqe->off = at + slot->done_bytes;
        break;
    case TARN_BLK_FLUSH:
        sqe->opcode = IORING_OP_FSYNC;
        sqe->fsync_flags = IORING_FSYNC_DATASYNC;
        break;
    case TARN_BLK_DISCARD:
        sqe->opcode = IORING_OP_FALLOCATE;
        sqe->len = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
        sqe->off = at;
        sqe->addr = req->blocks * f->blk.block_bytes;
        break;
    }
}

/* An answer; a part of a request goes back for the rest. */
static bool answer(struct file_blk *f, struct slot *slot, int32_t result) {
    struct tarn_blk_req *req = slot->req;
    bool transfer = req->op == TARN_BLK_READ || req->op == TARN_BLK_WRITE;
    if (result == -EINTR || result == -EAGAIN
        || (transfer && result > 0 && slot->done_bytes + (size_t)result < req->data.len)) {
        slot->done_bytes += result > 0 ? (size_t)result : 0;
        push(f, slot);
        return false;
    }
    if (transfer && result > 0 && req->op == TARN_BLK_READ && slot->bounced)
        memcpy(req->data.ptr, slot->bounce, req->data.len);
    slot->next_free = f->free;
    f->free = slot;
    /* Nothing read: the file has become shorter. */
    bool short_file = transfer && result == 0;
    finish(f, req, result < 0 ? error_of(-result) : short_file ? TARN_IO : TARN_OK);
    return true;
}

static bool answers(struct file_blk *f) {
    uint64_t index;
    int32_t result;
    bool any = false;
    while (uring_pop(&f->ring, &index, &result))
        any |= answer(f, &f->slots[index], result);
    return any;
}

static bool start(struct file_blk *f) {
    bool any = false;
    for (size_t left = f->queued; left && f->first && f->free; left--) {
        struct tarn_blk_req *req = take_first(f);
        enum tarn_err err = tarn_blk_req_check(&f->blk, req);
        if (err) {
            finish(f, req, err);
            any = true;
            continue;
        }
        struct slot *slot = f->free;
        f->free = slot->next_free;
        slot->req = req;
        slot->done_bytes = 0;
        push(f, slot);
    }
    return any;
}

static tarn_time ring_before_wait(struct unix_before_wait *hook, uint64_t *ready) {
    struct file_blk *f = TARN_CONTAINER_OF(hook, struct file_blk, before_wait);
    (void)ready;
    bool any = start(f);
    bool submitted = uring_submit(&f->ring);
    /* What the page cache has is there already. */
    any |= answers(f);
    if (any || (submitted && f->ring.unsubmitted))
        return 0;
    /* A kernel out of memory for requests is asked again, and soon. */
    return submitted ? TARN_NEVER : tarn_time_after(tarn_platform_now(), TARN_MS(1));
}

static uint64_t ring_ready(struct unix_watch *watch, uint32_t events) {
    struct file_blk *f = TARN_CONTAINER_OF(watch, struct file_blk, watch);
    (void)events;
    answers(f);
    return 1ull << f->device;
}

/* The bounce buffers are memory only once they are used. */
static bool ring_init(struct file_blk *f) {
    if (!uring_open(&f->ring, QUEUE_MAX))
        return false;
    uint8_t *bounce = NULL;
    if (f->blk.align_bytes > 1) {
        bounce = mmap(NULL, (size_t)QUEUE_MAX * REQUEST_BYTES_MAX, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (bounce == MAP_FAILED) {
            close(f->ring.fd);
            return false;
        }
    }
    for (unsigned i = 0; i < QUEUE_MAX; i++) {
        f->slots[i] = (struct slot){.next_free = f->free};
        if (bounce)
            f->slots[i].bounce = bounce + (size_t)i * REQUEST_BYTES_MAX;
        f->free = &f->slots[i];
    }
    f->device = unix_device_new();
    f->watch = (struct unix_watch){.fd = f->ring.fd, .ready = ring_ready};
    unix_watch_add(&f->watch, EPOLLIN);
    return true;
}

/* -- without --------------------------------------------------------------------------------------
 */

static enum tarn_err transfer(int fd, struct tarn_blk_req *req) {
    struct tarn_bytes left = req->data;
    off_t at = (off_t)(req->block * BLOCK_BYTES);
    while (left.len > 0) {
        ssize_t n = req->op == TARN_BLK_READ ? pread(fd, left.ptr, left.len, at)
                                             : pwrite(fd, left.ptr, left.len, at);
        if (n == 0)
            return TARN_IO;
        if (n < 0 && errno != EINTR)
            return error_of(errno);
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
               : error_of(errno);
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

static tarn_time plain_before_wait(struct unix_before_wait *hook, uint64_t *ready) {
    struct file_blk *f = TARN_CONTAINER_OF(hook, struct file_blk, before_wait);
    (void)ready;
    if (!f->first)
        return TARN_NEVER;
    /* Those that `done` submits wait for the next time. */
    for (size_t left = f->queued; left; left--) {
        struct tarn_blk_req *req = take_first(f);
        finish(f, req, serve(f, req));
    }
    return 0;
}

/* -- opening --------------------------------------------------------------------------------------
 */

static size_t file_submit(struct tarn_blk *blk, struct tarn_blk_req **reqs, size_t n) {
    struct file_blk *f = TARN_CONTAINER_OF(blk, struct file_blk, blk);
    size_t taken = 0;
    for (; taken < n && f->queued < QUEUE_MAX; taken++) {
        struct tarn_blk_req *req = reqs[taken];
        req->next = NULL;
        *f->last = req;
        f->last = &req->next;
        f->queued++;
    }
    return taken;
}

static const struct tarn_blk_ops file_ops = {.submit = file_submit};

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

/* What stands in front of the path: how it is to be used. */
static const char *take_prefix(const char *path, const char *prefix, bool *given) {
    *given = strncmp(path, prefix, strlen(prefix)) == 0;
    return *given ? path + strlen(prefix) : path;
}

static enum tarn_err open_file(const char *name, const char *value, struct file_blk *f) {
    bool direct, plain, is_file, read_only = false;
    const char *path = take_prefix(value, "direct:", &direct);
    uint64_t bytes;
    path = take_prefix(path, "sync:", &plain);
    int flags = O_CLOEXEC | (direct ? O_DIRECT : 0);
    f->fd = open(path, O_RDWR | flags);
    if (f->fd < 0 && (errno == EACCES || errno == EROFS)) {
        f->fd = open(path, O_RDONLY | flags);
        read_only = true;
    }
    if (f->fd < 0)
        return refuse(name, path,
                      errno == ENOENT ? "no such file: make it with truncate -s 16M FILE"
                      : errno == EINVAL && direct ? "its file system has no direct access"
                                                  : strerror(errno));
    if (!size_of(f->fd, &bytes, &is_file))
        return refuse(name, path, "neither a file nor a disk");
    uint32_t block_bytes = direct ? DIRECT_ALIGN_BYTES : BLOCK_BYTES;
    if (bytes == 0 || bytes % block_bytes != 0)
        return refuse(name, path,
                      direct ? "its size is not a multiple of 4096 bytes"
                             : "its size is not a multiple of 512 bytes");
    f->blk = (struct tarn_blk){
        .ops = &file_ops,
        .block_bytes = block_bytes,
        .blocks_per_request_max = REQUEST_BYTES_MAX / block_bytes,
        .atomic_bytes = BLOCK_BYTES,
        .align_bytes = direct ? DIRECT_ALIGN_BYTES : 1,
        .blocks = bytes / block_bytes,
        .features = TARN_BLK_CAN_FLUSH
                    | (is_file ? TARN_BLK_CAN_DISCARD | TARN_BLK_DISCARD_ZEROES : 0u)
                    | (read_only ? TARN_BLK_READ_ONLY : 0u),
    };
    f->has_ring = !plain && ring_init(f);
    if (direct && !f->has_ring)
        return refuse(name, path, "direct access needs io_uring, which is not to be had here");
    return TARN_OK;
}

enum tarn_err tarn_platform_blk(const char *name, struct tarn_blk **out) {
    const char *value = unix_attached(unix_options.block, unix_options.block_count, name);
    for (struct file_blk *f = opened; f; f = f->next) {
        if (strcmp(f->name, name) == 0) {
            *out = &f->blk;
            return TARN_OK;
        }
    }
    if (!value) {
        unix_say("block device %s is not attached: give --block:%s=FILE", name, name);
        return TARN_NOT_FOUND;
    }
    struct file_blk *f = calloc(1, sizeof *f);
    if (!f)
        return refuse(name, value, "no memory");
    f->name = name;
    f->fd = -1;
    f->last = &f->first;
    enum tarn_err err = open_file(name, value, f);
    if (err) {
        if (f->fd >= 0)
            close(f->fd);
        free(f);
        return err;
    }
    f->before_wait.run = f->has_ring ? ring_before_wait : plain_before_wait;
    unix_before_wait_add(&f->before_wait);
    f->next = opened;
    opened = f;
    *out = &f->blk;
    return TARN_OK;
}
