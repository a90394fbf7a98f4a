/* SPDX-License-Identifier: ISC */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 512u

/* -- the device -----------------------------------------------------------------------------------
 */

static size_t submit(struct tarn_blk *blk, struct tarn_blk_req **reqs, size_t n) {
    struct file *f = TARN_CONTAINER_OF(blk, struct file, blk);
    for (size_t i = 0; i < n; i++) {
        reqs[i]->next = NULL;
        *f->last = reqs[i];
        f->last = &reqs[i]->next;
    }
    return n;
}

static enum tarn_err transfer(struct file *f, const struct tarn_blk_req *req) {
    struct tarn_bytes left = req->data;
    off_t at = (off_t)(req->block * BLOCK);
    while (left.len) {
        ssize_t n = req->op == TARN_BLK_READ ? pread(f->fd, left.ptr, left.len, at)
                                             : pwrite(f->fd, left.ptr, left.len, at);
        if (n == 0 || (n < 0 && errno != EINTR))
            return TARN_IO;
        if (n > 0) {
            left = tarn_bytes_after(left, (size_t)n);
            at += n;
        }
    }
    return TARN_OK;
}

static enum tarn_err serve(struct file *f, const struct tarn_blk_req *req) {
    enum tarn_err err = tarn_blk_req_check(&f->blk, req);
    if (err)
        return err;
    if (req->op == TARN_BLK_FLUSH) {
        f->flushes++;
        return fdatasync(f->fd) == 0 ? TARN_OK : TARN_IO;
    }
    if (req->op == TARN_BLK_WRITE)
        f->bytes_written += req->data.len;
    return transfer(f, req);
}

/* One thread: there is nobody else who could complete a request, or wake. */
static enum tarn_err waiter_wait(struct tarn_waiter *waiter, tarn_time deadline) {
    struct file *f = TARN_CONTAINER_OF(waiter, struct file, waiter);
    struct tarn_blk_req *req = f->first;
    f->first = NULL;
    f->last = &f->first;
    if (!req && deadline == TARN_NEVER)
        return TARN_IO;
    if (!req) {
        struct timespec at = {(time_t)(deadline / 1000000000u), (long)(deadline % 1000000000u)};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
        return TARN_AGAIN;
    }
    while (req) {
        struct tarn_blk_req *next = req->next;
        req->result = serve(f, req);
        req->done(req);
        req = next;
    }
    return TARN_OK;
}
static void waiter_wake(struct tarn_waiter *waiter) {
    (void)waiter;
}
static uint64_t ns_of(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
static tarn_time waiter_now(struct tarn_waiter *waiter) {
    (void)waiter;
    return ns_of(CLOCK_MONOTONIC);
}
static struct tarn_waiter *waiter_of(void *user) {
    struct file *f = user;
    return &f->waiter;
}

/* -- the rest -------------------------------------------------------------------------------------
 */

static void *get(struct tarn_alloc *a, size_t bytes, size_t align) {
    (void)a, (void)align;
    return calloc(1, bytes);
}
static void put(struct tarn_alloc *a, void *ptr, size_t bytes) {
    (void)a, (void)bytes;
    free(ptr);
}
static uint64_t wall_ns(struct tarn_clock *c) {
    (void)c;
    return ns_of(CLOCK_REALTIME);
}
static tarn_time clock_now(struct tarn_clock *c) {
    (void)c;
    return ns_of(CLOCK_MONOTONIC);
}
static void fill(struct tarn_random *r, struct tarn_bytes out) {
    (void)r;
    while (out.len) {
        ssize_t n = getrandom(out.ptr, out.len, 0);
        if (n > 0)
            out = tarn_bytes_after(out, (size_t)n);
    }
}

const char *file_open(struct file *f, const char *path, bool write, uint64_t create_bytes) {
    static const struct tarn_blk_ops blk_ops = {submit};
    static const struct tarn_waiter_ops waiter_ops = {waiter_wait, waiter_wake, waiter_now};
    static const struct tarn_alloc_ops alloc_ops = {get, put};
    static const struct tarn_clock_ops clock_ops = {clock_now, wall_ns};
    static const struct tarn_random_ops random_ops = {fill};
    struct stat st;
    uint64_t bytes;
    int fd =
        open(path, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC | (create_bytes ? O_CREAT : 0), 0666);
    if (fd < 0 || fstat(fd, &st) != 0)
        return strerror(errno);
    bytes = (uint64_t)st.st_size;
    if (create_bytes && S_ISREG(st.st_mode) && bytes < create_bytes) {
        if (ftruncate(fd, (off_t)create_bytes) != 0)
            return strerror(errno);
        bytes = create_bytes;
    }
    if (!S_ISREG(st.st_mode) && (!S_ISBLK(st.st_mode) || ioctl(fd, BLKGETSIZE64, &bytes) != 0))
        return "neither a file nor a disk";
    *f = (struct file){.blk = {.ops = &blk_ops,
                               .block_bytes = BLOCK,
                               .blocks_per_request_max = (1u << 20) / BLOCK,
                               .atomic_bytes = BLOCK,
                               .blocks = bytes / BLOCK,
                               .features = TARN_BLK_CAN_FLUSH | (write ? 0u : TARN_BLK_READ_ONLY)},
                       .waiter = {&waiter_ops},
                       .alloc = {&alloc_ops},
                       .clock = {&clock_ops},
                       .random = {&random_ops},
                       .fd = fd,
                       .last = &f->first};
    return NULL;
}

void file_close(struct file *f) {
    close(f->fd);
}

struct tarn_kv_tree_config file_config(struct file *f) {
    return (struct tarn_kv_tree_config){.alloc = &f->alloc,
                                        .blk = &f->blk,
                                        .waiter = waiter_of,
                                        .user = f,
                                        .clock = &f->clock,
                                        .random = &f->random};
}
