/* SPDX-License-Identifier: ISC */
/* What the files of the pipe share: queue.c is one direction, pipe.c the two ends, net.c ports. */
#ifndef TARN_FLOW_INTERNAL_H
#define TARN_FLOW_INTERNAL_H

#include <tarn/flow_pipe.h>

/* A run of queued bytes: copied ones lie in the ring, lent ones where their lender has them. */
struct piece {
    struct tarn_span lent; /* what is unread of it; ptr NULL: copied */
    struct tarn_lease *lease;
    size_t len; /* unread bytes */
};

/* One direction. Pieces are a ring of their own: [first, first + done) were read and wait for their
 * leases to be dropped from the loop, the `count` behind them are unread. */
struct queue {
    struct tarn_bytes ring;
    size_t ring_head, ring_used;
    struct piece *pieces;
    uint32_t pieces_max, first, done, count;
    struct tarn_bytes stage; /* lent bytes that the reader peeked at: its own to change */
    size_t stage_off, stage_len;
    size_t bytes, bytes_max; /* unread, staged ones included */
};

TARN_MUST_USE enum tarn_err queue_init(struct queue *q, struct tarn_alloc *alloc, size_t bytes_max,
                                       uint32_t pieces_max);
void queue_free(struct queue *q, struct tarn_alloc *alloc);
bool queue_has_room(const struct queue *q);
size_t queue_copy_in(struct queue *q, struct tarn_span data);
size_t queue_lend(struct queue *q, struct tarn_span data, struct tarn_lease *lease);
size_t queue_read(struct queue *q, struct tarn_bytes buf);
struct tarn_bytes queue_peek(struct queue *q);
void queue_consume(struct queue *q, size_t n);
void queue_discard(struct queue *q);
/* Drops the leases of what was read. */
void queue_release(struct queue *q);

struct pipe_end {
    struct tarn_flow flow;
    struct tarn_task task; /* delivers `events` and drops leases */
    struct pipe *pipe;
    unsigned side, events;
    bool want_read, want_write; /* the last call answered TARN_AGAIN */
    bool gone;                  /* closed, aborted, or never given out */
    enum tarn_err failed;       /* what read and write answer; TARN_OK: nothing is wrong */
    struct tarn_endpoint local; /* port 0: there are no endpoints */
};

struct pipe {
    struct tarn_pipes *pipes;
    struct pipe_end end[2];
    struct queue *queue[2]; /* queue[i] is what end i wrote */
    bool fin[2];
    struct tarn_task reap; /* posted when both ends are gone */
    struct pipe *next;     /* in a listener's backlog: end[1] waits for accept */
};

struct pipe_listener {
    struct tarn_listener listener;
    struct tarn_task task;
    struct tarn_pipes *pipes;
    struct tarn_endpoint local;
    struct pipe *head, *tail;
    uint32_t waiting, backlog;
    bool open, want_accept;
};

struct tarn_pipes {
    struct tarn_net net;
    struct tarn_pipes_config config;
    struct tarn_pool pool; /* struct pipe */
    struct queue *queues;  /* two a pipe, by its index in the pool */
    struct pipe_listener *listeners;
    uint16_t port_next;
};

/* A connected pair with both ends in their owners' hands, or NULL. */
struct pipe *pipe_take(struct tarn_pipes *pipes);
/* The end fails with `err`, and FAILED follows. */
void pipe_end_fail(struct pipe_end *end, enum tarn_err err);
void pipe_end_post(struct pipe_end *end, unsigned events);
extern const struct tarn_net_ops pipe_net_ops;

#endif
