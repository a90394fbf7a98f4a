/* SPDX-License-Identifier: ISC */
/* file.h: what an ordinary program needs to use a store in a file or on a disk: a block device over
 * a descriptor, a waiter that blocks, the heap, the clock and the kernel's randomness. */
#ifndef TARN_KV_FILE_H
#define TARN_KV_FILE_H

#include <tarn/kv_tree.h>

struct file {
    struct tarn_blk blk;
    struct tarn_waiter waiter;
    struct tarn_alloc alloc;
    struct tarn_clock clock;
    struct tarn_random random;
    int fd;
    struct tarn_blk_req *first, **last;
    uint64_t bytes_written, flushes;
};

/* Opens, or says why not: a constant text. `create_bytes` not 0: a new file of that size. */
const char *file_open(struct file *f, const char *path, bool write, uint64_t create_bytes);
void file_close(struct file *f);
/* Everything but sizes. */
struct tarn_kv_tree_config file_config(struct file *f);

#endif
