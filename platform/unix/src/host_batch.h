/* SPDX-License-Identifier: ISC */
/* Datagrams by the batch: one recvmmsg takes what waits, one sendmmsg sends the answers. There is
 * one batch for all endpoints; whoever finds it in use reads one datagram at a time instead. */
#ifndef TARN_UNIX_HOST_BATCH_H
#define TARN_UNIX_HOST_BATCH_H

#include <sys/socket.h>

#include "unix.h"

#define HOST_BATCH 32u
#define HOST_BATCH_CONTROL 128u
#define HOST_BATCH_IN_BYTES 65536u
#define HOST_BATCH_OUT_BYTES 4096u /* longer ones are sent alone */

struct host_batch_control {
    union {
        struct cmsghdr align;
        uint8_t bytes[HOST_BATCH_CONTROL];
    };
};
/* One direction; the memory is touched only as far as it is used. */
struct host_batch_side {
    struct mmsghdr *messages;
    struct iovec *pieces;
    struct sockaddr_storage *addresses;
    struct host_batch_control *controls;
    uint8_t *data;
    size_t data_bytes; /* of each */
    size_t stride;     /* from each to the next */
};
struct host_batch {
    const void *owner; /* the endpoint whose datagrams these are; NULL: nobody's */
    int fd;            /* the owner's */
    unsigned count, next;
    unsigned out_count;
    uint64_t unsent; /* answers that the kernel did not take */
    struct tarn_task task;
    struct tarn_tasks *tasks;
    struct host_batch_side in, out;
};

TARN_MUST_USE enum tarn_err host_batch_init(struct host_batch *b, struct tarn_alloc *alloc,
                                            struct tarn_tasks *tasks);
/* The owner's next datagram, where it lies until the one after it is asked for; its first bytes,
 * whole length, and the message. NULL: none waits (errno says so) and nobody owns the batch. */
struct msghdr *host_batch_next(struct host_batch *b, const void *owner, int fd,
                               struct tarn_bytes *data);
/* A copy of `message` is sent with the others. False: it is to be sent alone. */
bool host_batch_put(struct host_batch *b, const void *owner, const struct msghdr *message,
                    size_t len);
/* Sends what waits. */
void host_batch_flush(struct host_batch *b);
/* The owner goes, or wants no more of it. */
void host_batch_release(struct host_batch *b, const void *owner);

#endif
