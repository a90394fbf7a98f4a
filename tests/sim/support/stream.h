/* SPDX-License-Identifier: ISC */
/* stream.h: an application at one end of a flow, that writes so many bytes of a pattern, reads what
 * comes and compares it with the other's pattern, in pieces and with pauses drawn by lot.
 *
 * It believes the interface to the letter: after TARN_AGAIN it does nothing until the event that
 * was promised, so an event that does not come shows as a transfer that does not end. */
#ifndef TESTS_SIM_STREAM_H
#define TESTS_SIM_STREAM_H

#include "host.h"

struct sim_stream {
    struct sim_app app;
    struct sim_host *host;
    struct tarn_flow *flow;
    struct tarn_random_seeded random;
    /* What it is to do. */
    uint64_t pattern_out, pattern_in; /* what is written, what is expected */
    uint64_t bytes_out;
    uint32_t chunk_max;  /* bytes in one call */
    tarn_time pause_max; /* between calls; 0: none */
    uint32_t pause_ppm;  /* how often it pauses */
    bool close_early;    /* closes, not shuts down, after its last byte: what comes is lost */
    /* What it has done. */
    uint64_t written, got;
    bool connected, can_read, can_write, shut, eof, closed, wrong;
    enum tarn_err error; /* of the first call that failed */
    unsigned leases;     /* still held by somebody */
    tarn_time next_at, finished_at;
};

/* Bytes [off, off + len) of a pattern. */
void sim_pattern(uint64_t pattern, uint64_t off, struct tarn_bytes out);
bool sim_pattern_is(uint64_t pattern, uint64_t off, struct tarn_span data);

/* With chunk_max, pauses and the rest set; `flow` NULL: to be accepted. The app is added. */
void sim_stream_start(struct sim_stream *s, struct sim_host *host, struct tarn_flow *flow);
/* Reached its end by itself, well or not. */
bool sim_stream_is_done(const struct sim_stream *s);
/* Wrote all, and read all of `other`, and nobody saw an error. */
bool sim_stream_is_good(const struct sim_stream *s, const struct sim_stream *other);
const char *sim_stream_text(const struct sim_stream *s);

/* Accepts up to `count` flows and gives each to the next stream. */
struct sim_server {
    struct sim_app app;
    struct sim_host *host;
    struct tarn_listener *listener;
    struct sim_stream *streams;
    unsigned count, accepted;
    bool waiting;
};
void sim_server_start(struct sim_server *server, struct sim_host *host, uint16_t port,
                      uint32_t backlog);

#endif
