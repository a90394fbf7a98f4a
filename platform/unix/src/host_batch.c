/* SPDX-License-Identifier: ISC */
#include "host_batch.h"

#include <errno.h>
#include <string.h>

/* Data a power of two apart would share a few lines of the cache. */
#define STAGGER 192u

static void flush_task(struct tarn_task *task) {
    host_batch_flush(TARN_CONTAINER_OF(task, struct host_batch, task));
}

static bool side_init(struct host_batch_side *s, struct tarn_alloc *alloc, size_t data_bytes) {
    s->messages = TARN_NEW_ARRAY(alloc, HOST_BATCH, struct mmsghdr);
    s->pieces = TARN_NEW_ARRAY(alloc, HOST_BATCH, struct iovec);
    s->addresses = TARN_NEW_ARRAY(alloc, HOST_BATCH, struct sockaddr_storage);
    s->controls = TARN_NEW_ARRAY(alloc, HOST_BATCH, struct host_batch_control);
    s->stride = data_bytes + STAGGER;
    s->data = tarn_alloc_get(alloc, HOST_BATCH * s->stride, 64);
    s->data_bytes = data_bytes;
    return s->messages && s->pieces && s->addresses && s->controls && s->data;
}

enum tarn_err host_batch_init(struct host_batch *b, struct tarn_alloc *alloc,
                              struct tarn_tasks *tasks) {
    *b = (struct host_batch){.tasks = tasks, .task = {.run = flush_task}};
    return side_init(&b->in, alloc, HOST_BATCH_IN_BYTES)
                   && side_init(&b->out, alloc, HOST_BATCH_OUT_BYTES)
               ? TARN_OK
               : TARN_LIMIT;
}

/* Points message `i` at its own memory. */
static void prepare(struct host_batch_side *s, unsigned i, size_t len) {
    s->pieces[i] = (struct iovec){s->data + i * s->stride, len};
    s->messages[i].msg_hdr = (struct msghdr){.msg_name = &s->addresses[i],
                                             .msg_namelen = sizeof s->addresses[i],
                                             .msg_iov = &s->pieces[i],
                                             .msg_iovlen = 1,
                                             .msg_control = s->controls[i].bytes,
                                             .msg_controllen = sizeof s->controls[i].bytes};
}

static bool receive(struct host_batch *b) {
    int n;
    for (unsigned i = 0; i < HOST_BATCH; i++)
        prepare(&b->in, i, b->in.data_bytes);
    do
        n = recvmmsg(b->fd, b->in.messages, HOST_BATCH, MSG_DONTWAIT | MSG_TRUNC, NULL);
    while (n < 0 && errno == EINTR);
    b->count = n > 0 ? (unsigned)n : 0;
    b->next = 0;
    return n > 0;
}

struct msghdr *host_batch_next(struct host_batch *b, const void *owner, int fd,
                               struct tarn_bytes *data) {
    b->owner = owner;
    b->fd = fd;
    if (b->next == b->count) {
        host_batch_flush(b);
        if (!receive(b)) {
            int error = errno;
            b->owner = NULL;
            errno = error;
            return NULL;
        }
    }
    unsigned i = b->next++;
    *data = tarn_bytes_of(b->in.data + i * b->in.stride, b->in.messages[i].msg_len);
    return &b->in.messages[i].msg_hdr;
}

bool host_batch_put(struct host_batch *b, const void *owner, const struct msghdr *message,
                    size_t len) {
    if (b->owner != owner || b->count < 2 || len > b->out.data_bytes || !message->msg_name
        || message->msg_controllen > HOST_BATCH_CONTROL)
        return false;
    unsigned i = b->out_count++;
    size_t at = 0;
    prepare(&b->out, i, len);
    struct msghdr *copy = &b->out.messages[i].msg_hdr;
    for (size_t j = 0; j < message->msg_iovlen; j++) {
        memcpy(b->out.data + i * b->out.stride + at, message->msg_iov[j].iov_base,
               message->msg_iov[j].iov_len);
        at += message->msg_iov[j].iov_len;
    }
    memcpy(copy->msg_name, message->msg_name, message->msg_namelen);
    memcpy(copy->msg_control, message->msg_control, message->msg_controllen);
    copy->msg_namelen = message->msg_namelen;
    copy->msg_controllen = message->msg_controllen;
    if (b->out_count == HOST_BATCH)
        host_batch_flush(b);
    else
        tarn_task_post(b->tasks, &b->task);
    return true;
}

/* What the kernel does not take now is lost, as it could be on the way. */
void host_batch_flush(struct host_batch *b) {
    for (unsigned at = 0; at < b->out_count;) {
        int n = sendmmsg(b->fd, b->out.messages + at, b->out_count - at, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            b->unsent++;
            n = 1;
        }
        at += (unsigned)n;
    }
    b->out_count = 0;
}

void host_batch_release(struct host_batch *b, const void *owner) {
    if (b->owner != owner)
        return;
    host_batch_flush(b);
    b->owner = NULL;
    b->count = b->next = 0;
}
