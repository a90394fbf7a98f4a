/* SPDX-License-Identifier: ISC */
#include "uring.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static unsigned char *map(int fd, size_t bytes, off_t what) {
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, what);
    return p == MAP_FAILED ? NULL : p;
}

/* The rings are mapped for as long as the process lives. */
bool uring_open(struct uring *ring, unsigned entries) {
    struct io_uring_params p = {0};
    long fd = syscall(SYS_io_uring_setup, entries, &p);
    if (fd < 0)
        return false;
    size_t sq_bytes = p.sq_off.array + p.sq_entries * sizeof(unsigned);
    size_t cq_bytes = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
    unsigned char *sq = map((int)fd, sq_bytes, IORING_OFF_SQ_RING);
    unsigned char *cq = map((int)fd, cq_bytes, IORING_OFF_CQ_RING);
    unsigned char *sqes = map((int)fd, p.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
    if (!sq || !cq || !sqes) {
        close((int)fd);
        return false;
    }
    *ring = (struct uring){
        .fd = (int)fd,
        .sq_tail = (unsigned *)(void *)(sq + p.sq_off.tail),
        .sq_mask = (unsigned *)(void *)(sq + p.sq_off.ring_mask),
        .cq_head = (unsigned *)(void *)(cq + p.cq_off.head),
        .cq_tail = (unsigned *)(void *)(cq + p.cq_off.tail),
        .cq_mask = (unsigned *)(void *)(cq + p.cq_off.ring_mask),
        .sqes = (struct io_uring_sqe *)(void *)sqes,
        .cqes = (struct io_uring_cqe *)(void *)(cq + p.cq_off.cqes),
    };
    /* Requests are used in the order of the ring. */
    unsigned *array = (unsigned *)(void *)(sq + p.sq_off.array);
    for (unsigned i = 0; i < p.sq_entries; i++)
        array[i] = i;
    return true;
}

struct io_uring_sqe *uring_push(struct uring *ring) {
    unsigned tail = *ring->sq_tail;
    struct io_uring_sqe *sqe = &ring->sqes[tail & *ring->sq_mask];
    memset(sqe, 0, sizeof *sqe);
    /* The kernel reads it in uring_submit, in this thread. */
    __atomic_store_n(ring->sq_tail, tail + 1, __ATOMIC_RELEASE);
    ring->unsubmitted++;
    return sqe;
}

bool uring_submit(struct uring *ring) {
    while (ring->unsubmitted) {
        long n = syscall(SYS_io_uring_enter, ring->fd, ring->unsubmitted, 0, 0, NULL, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        ring->unsubmitted -= (unsigned)n;
    }
    return true;
}

bool uring_pop(struct uring *ring, uint64_t *user_data, int32_t *result) {
    unsigned head = *ring->cq_head;
    if (head == __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE))
        return false;
    const struct io_uring_cqe *cqe = &ring->cqes[head & *ring->cq_mask];
    *user_data = cqe->user_data;
    *result = cqe->res;
    __atomic_store_n(ring->cq_head, head + 1, __ATOMIC_RELEASE);
    return true;
}
