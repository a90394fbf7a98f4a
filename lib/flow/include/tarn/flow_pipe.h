/* SPDX-License-Identifier: ISC */
/* tarn/flow_pipe.h: byte streams in memory: connected pairs of flows, and a network of them.
 *
 * The test double for whatever stands on a tarn_flow, and the way for two parts of one program to
 * talk. It behaves as TCP does where tarn/flow.h leaves a choice, so that what is right over a pipe
 * is right over a network:
 *  - Each direction is bounded in bytes and in pieces; a full one answers TARN_AGAIN, and WRITABLE
 *    follows when there is room.
 *  - Events are edges: READABLE and WRITABLE come once after the call that answered TARN_AGAIN,
 * FAILED once after a reset, all from tarn_tasks_run. Leases are dropped from there too.
 *  - Closing an end with unread bytes, and writing to an end that was closed, reset the other
 *    end: what it has not read yet is lost (RFC 9293 section 3.10.4, RFC 1122 section 4.2.2.13).
 *
 * All memory is taken by tarn_pipes_new. Lent memory is not copied unless the reader peeks at it
 * (a reader may change what it peeks at; it must not change the lender's). One thread.
 */
#ifndef TARN_FLOW_PIPE_H
#define TARN_FLOW_PIPE_H

#include <tarn/alloc.h>
#include <tarn/flow.h>
#include <tarn/task.h>

struct tarn_pipes;

struct tarn_pipes_config {
    struct tarn_alloc *alloc;
    struct tarn_tasks *tasks; /* the loop's; outlives the pipes */
    uint32_t pipes_max;       /* pairs at a time, those not yet accepted included */
    uint32_t bytes_max;       /* queued in one direction of one pair */
    uint32_t pieces_max;      /* lends queued in one direction, with the copied runs between them */
    uint32_t listeners_max;   /* may be 0 */
};

/* TARN_LIMIT: the allocator has not enough. TARN_INVALID: a bound is 0. */
TARN_MUST_USE enum tarn_err tarn_pipes_new(const struct tarn_pipes_config *config,
                                           struct tarn_pipes **out);
/* Every flow and listener must be closed, and tarn_tasks_run have run since: traps otherwise. */
void tarn_pipes_delete(struct tarn_pipes *pipes);

/* A connected pair. It has no endpoints. TARN_LIMIT: all pairs are in use. A pair is in use until
 * both ends are closed or aborted and the tasks have run. */
TARN_MUST_USE enum tarn_err tarn_pipes_pair(struct tarn_pipes *pipes, struct tarn_flow **a,
                                            struct tarn_flow **b);

/* A network in which listening and connecting work by port, on 127.0.0.1. A connection to a port
 * where nobody listens, or whose backlog is full, fails with TARN_PEER. */
struct tarn_net *tarn_pipes_net(struct tarn_pipes *pipes);

/* Pairs in use now. */
uint32_t tarn_pipes_live(const struct tarn_pipes *pipes);

#endif
