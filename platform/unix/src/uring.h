/* SPDX-License-Identifier: ISC */
/* uring.h: one io_uring of the kernel's: requests put into a ring, answers taken from another. */
#ifndef TARN_UNIX_URING_H
#define TARN_UNIX_URING_H

#include <linux/io_uring.h>
#include <stdbool.h>
#include <stdint.h>

struct uring {
    int fd; /* readable while there are answers */
    unsigned *sq_tail, *sq_mask, *cq_head, *cq_tail, *cq_mask;
    struct io_uring_sqe *sqes;
    struct io_uring_cqe *cqes;
    unsigned unsubmitted;
};
/* False: this kernel has none, or does not let us. */
bool uring_open(struct uring *ring, unsigned entries);
/* An empty request to fill in. The caller has no more than `entries` under way. */
struct io_uring_sqe *uring_push(struct uring *ring);
/* Tells the kernel of what was pushed. False: it did not take it. */
bool uring_submit(struct uring *ring);
/* The next answer, if there is one. */
bool uring_pop(struct uring *ring, uint64_t *user_data, int32_t *result);

#endif
