/* SPDX-License-Identifier: ISC */
/* Between the simulator's files. */
#ifndef TARN_SIM_INTERNAL_H
#define TARN_SIM_INTERNAL_H

#include "sim.h"

struct tarn_sim {
    uint64_t seed, streams; /* streams: how many were handed out */
    tarn_time now;
    struct tarn_sim_event **heap;
    uint32_t event_count, event_cap;
    uint64_t orders;
    struct tarn_random_seeded random; /* who is polled first */
    struct tarn_sim_actor *actors;
    uint32_t actor_count;
    uint64_t polls_at_now; /* since time last went on */
    struct tarn_sim_link *links;
    uint32_t link_count;
    struct tarn_sim_disk *disks;
};

/* Zeroed host memory; traps where there is none. */
void *sim_new(size_t bytes);

static inline bool sim_chance(struct tarn_random_seeded *r, uint32_t ppm) {
    return ppm && tarn_random_below(&r->random, 1000000) < ppm;
}
/* Uniform in [0, max]. */
static inline tarn_time sim_draw(struct tarn_random_seeded *r, tarn_time max) {
    return max ? tarn_random_u64(&r->random) % (max + 1) : 0;
}

void sim_links_free(struct tarn_sim *sim);
void sim_disks_free(struct tarn_sim *sim);

/* A frame as it is on the wire, and what a host-local sender knew about it. */
struct sim_frame {
    struct tarn_sim_event event;
    struct tarn_sim_link *link;
    struct sim_port *from;
    struct sim_frame *next, *prev; /* of those in flight, or in a receive queue */
    uint16_t csum_start, csum_offset, gso_size;
    uint8_t gso_type, csum_state;
    uint32_t len;
    uint8_t bytes[];
};
struct sim_frame *sim_frame_new(size_t len);
struct sim_frame *sim_frame_copy(const struct sim_frame *frame);

/* The packet's bytes, as they are. */
struct sim_frame *sim_wire_whole(const struct tarn_pkt *pkt);
/* The packet as the frames that go on a wire: checksums filled in, cut into segments where it asks
 * for that, each handed to `emit`. */
void sim_wire_cut(const struct tarn_pkt *pkt, void (*emit)(void *arg, struct sim_frame *),
                  void *arg);

FILE *sim_pcap_open(const char *path);
void sim_pcap_write(FILE *file, tarn_time at, struct tarn_span frame);

#endif
