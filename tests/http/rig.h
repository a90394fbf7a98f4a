/* SPDX-License-Identifier: ISC */
/* A server, its clients over pipes, and virtual time. */
#ifndef TESTS_HTTP_RIG_H
#define TESTS_HTTP_RIG_H

#include <tarn/flow_pipe.h>
#include <tarn/http.h>

struct rig {
    struct tarn_alloc alloc;
    struct tarn_clock clock;
    struct tarn_tasks tasks;
    struct tarn_pipes *pipes;
    struct tarn_http_server *server;
    tarn_time now;
    long outstanding; /* bytes that the server and the pipes hold */
    long budget;      /* and may hold; 0: any number */
};

struct client {
    struct rig *rig;
    struct tarn_flow *flow;
    char got[1 << 17];
    size_t len;
    bool eof, reset;
};

/* `pipe_bytes`: how much is in flight in one direction. */
void rig_init(struct rig *rig, struct tarn_http_handler *handler,
              const struct tarn_http_limits *limits, uint32_t pipe_bytes);
/* Just its allocator. */
void rig_heap_init(struct rig *rig, long budget);
/* Until nothing moves. */
void rig_run(struct rig *rig);
/* Time passes, from deadline to deadline. */
void rig_sleep(struct rig *rig, tarn_time duration);
/* Everything is given back. */
void rig_done(struct rig *rig);

void client_init(struct client *c, struct rig *rig);
/* Sends all of it, reading what comes meanwhile, `step` bytes at a time (0: as many as go). */
void client_send(struct client *c, const char *data, size_t len, size_t step);
/* Reads what there is; with `max`, no more than that. */
void client_read(struct client *c, size_t max);
/* A request as text, then what comes back until nothing moves: in got, which starts empty. */
const char *client_ask(struct client *c, const char *text);
void client_close(struct client *c);

#endif
