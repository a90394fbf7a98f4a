/* SPDX-License-Identifier: ISC */
/* sim.h: a world in one process: any number of hosts, links and disks, virtual time, one seed.
 *
 * Nothing here reads a clock, starts a thread or asks the kernel for anything but memory (and a
 * file where a capture is wanted). Every choice (which frame is lost, how long one takes, which
 * bits rot, who runs first, where a clock starts) comes from the seed, so a run is repeated exactly
 * by repeating its seed. Time moves only from one event to the next: a day of keepalives takes no
 * time.
 *
 * Two ways to use it:
 *  - a test that owns its stacks embeds a tarn_sim_actor in each, attaches netifs to links, and
 * calls tarn_sim_run: the actors are polled as a platform's loop would poll them;
 *  - whole programs run on machines (machine.h), each with the runtime on a stack of its own.
 *
 * Ownership: what a tarn_sim made it frees in tarn_sim_free; actors, packet pools and hooks belong
 * to the caller and outlive the world. A world that the host has no memory for traps. One thread.
 */
#ifndef TARN_SIM_H
#define TARN_SIM_H

#include <stdio.h>
#include <tarn/base.h>
#include <tarn/blk.h>
#include <tarn/netif.h>

struct tarn_sim;

struct tarn_sim *tarn_sim_new(uint64_t seed);
/* Frees links, netifs and disks; frames still on a wire are gone. */
void tarn_sim_free(struct tarn_sim *sim);
tarn_time tarn_sim_now(const struct tarn_sim *sim); /* the world's time, from 0 */
/* A stream of its own: what is drawn from it changes nothing elsewhere. */
void tarn_sim_random(struct tarn_sim *sim, struct tarn_random_seeded *out);

/* -- actors: whoever has a loop -----------------------------------------------------------------
 */

/* A host, seen from outside. Polled when one of its netifs has frames, when its deadline has come
 * and after tarn_sim_wake. Its clock has an origin of its own, so no two hosts agree on what time
 * it is; `poll` and `deadline` speak that clock. */
struct tarn_sim_actor {
    void (*poll)(struct tarn_sim_actor *actor, tarn_time now);
    tarn_time (*deadline)(struct tarn_sim_actor *actor);
    tarn_time latency_max; /* a wake-up is late by up to this, drawn each time; 0: at once */
    /* The simulator's. */
    struct tarn_sim *sim;
    struct tarn_sim_actor *next;
    struct tarn_random_seeded random;
    tarn_time origin, wake_at;
};
void tarn_sim_add(struct tarn_sim *sim, struct tarn_sim_actor *actor);
void tarn_sim_remove(struct tarn_sim_actor *actor);
void tarn_sim_wake(struct tarn_sim_actor *actor);
tarn_time tarn_sim_actor_now(const struct tarn_sim_actor *actor); /* its own clock */

/* -- time ---------------------------------------------------------------------------------------
 */

/* Something that happens once, at a time of the world's. Embedded in its owner. */
struct tarn_sim_event {
    void (*run)(struct tarn_sim_event *event);
    /* The simulator's. */
    tarn_time at;
    uint64_t order;
    uint32_t pos; /* index in the heap + 1; 0: not scheduled */
};
void tarn_sim_schedule(struct tarn_sim *sim, struct tarn_sim_event *event, tarn_time at);
void tarn_sim_cancel(struct tarn_sim *sim, struct tarn_sim_event *event);

/* Goes to the next moment at which anything happens, if that is not after `until`, and lets it
 * happen once. False: nothing does, and the time is `until` (or stays, where that is TARN_NEVER). A
 * world in which actors ask to be polled for ever without time going on traps. */
bool tarn_sim_step(struct tarn_sim *sim, tarn_time until);
/* Steps until nothing is left to happen before `until`. */
void tarn_sim_run(struct tarn_sim *sim, tarn_time until);
/* Steps until `done` says so (true) or nothing is left to happen before `until` (false). */
bool tarn_sim_run_until(struct tarn_sim *sim, bool (*done)(void *arg), void *arg, tarn_time until);

/* -- links --------------------------------------------------------------------------------------
 */

/* What happens to frames on their way out of one netif. Probabilities are in parts per million. All
 * zero is a perfect wire. May be changed while the world runs. */
struct tarn_sim_path {
    uint64_t bits_per_s;      /* 0: a frame takes no time to serialise */
    uint64_t queue_bytes_max; /* bytes waiting to be serialised; more is dropped. 0: no bound */
    bool queue_refuses;       /* a full queue makes send take fewer, as a device does; no drop */
    tarn_time delay;          /* one way */
    tarn_time jitter;         /* up to this on top, order kept */
    uint32_t loss_ppm;
    /* Gilbert-Elliott: the path is good or bad, and changes with each frame. In the bad state,
     * burst_loss_ppm of the frames are lost. */
    uint32_t burst_enter_ppm, burst_leave_ppm, burst_loss_ppm;
    uint32_t duplicate_ppm;
    uint32_t reorder_ppm; /* these are late by up to reorder_by, and later frames overtake */
    tarn_time reorder_by;
    uint32_t corrupt_ppm;     /* one bit flips behind the Ethernet header of an IPv4 or IPv6 frame:
                                 damage that the checksums above must find */
    uint32_t corrupt_any_ppm; /* up to eight bits flip anywhere in any frame */
    uint32_t truncate_ppm;    /* cut to a random length */
    uint32_t
        frame_bytes_max; /* longer frames vanish, unannounced: a PMTU black hole. 0: no bound */
};

struct tarn_sim_counters {
    uint64_t sent;       /* wire frames offered, after segmentation */
    uint64_t duplicated; /* extra copies */
    uint64_t delivered;  /* frame copies put into receive queues */
    uint64_t lost, burst_lost, queue_drops, size_drops, down_drops, hook_drops;
    uint64_t rx_overflows; /* the receiver's queue was full */
    uint64_t unclaimed;    /* for a station that is not there */
    uint64_t reordered, corrupted, truncated;
};

struct tarn_sim_link_config {
    const char *name;          /* for captures; not copied */
    struct tarn_sim_path path; /* each netif starts with this */
    uint16_t mtu;              /* announced; 0: 1500 */
    uint32_t features;         /* offered to senders, enum tarn_netif_features; TX_ASYNC is not */
    bool whole_supers;         /* a super-segment arrives in one piece with a PARTIAL checksum, as
                                  between programs of one host; otherwise the link cuts it up */
    uint32_t rx_frames_max;    /* each netif's receive queue; 0: 1024 */
};

/* A switch: two or more netifs, addresses learnt from what they send, unknown ones flooded. */
struct tarn_sim_link;
struct tarn_sim_link *tarn_sim_link_new(struct tarn_sim *sim,
                                        const struct tarn_sim_link_config *config);
const struct tarn_sim_counters *tarn_sim_link_counters(const struct tarn_sim_link *link);
/* The whole link, cut or mended; and the same for a while. Frames in flight when it is cut are
 * lost. */
void tarn_sim_link_set_up(struct tarn_sim_link *link, bool up);
void tarn_sim_link_outage(struct tarn_sim_link *link, tarn_time from, tarn_time until);
/* Every frame sent (before anything happens to it) and, where `arrivals`, every one delivered, in a
 * pcap file with nanoseconds. False: it could not be opened. The environment's TARN_SIM_PCAP=PREFIX
 * does this for every link, to PREFIX-<name>.pcap. */
bool tarn_sim_link_capture(struct tarn_sim_link *link, const char *path, bool arrivals);

/* The test's hand in the wire: sees each frame before the path does, may change its bytes, and
 * answers whether it goes on. */
struct tarn_sim_hook {
    bool (*frame)(struct tarn_sim_hook *hook, struct tarn_netif *from, struct tarn_bytes frame);
};
void tarn_sim_link_hook(struct tarn_sim_link *link, struct tarn_sim_hook *hook);

/* A netif on a link, with a MAC address of its own. Received frames are copied into packets of
 * `pkts` when recv asks for them: where that has none, the frame is dropped (rx_drops). `actor` may
 * be NULL: then nobody is told. */
struct tarn_netif *tarn_sim_attach(struct tarn_sim_link *link, struct tarn_pkt_pool *pkts,
                                   struct tarn_sim_actor *actor);
struct tarn_sim_path *tarn_sim_netif_path(struct tarn_netif *netif);
void tarn_sim_netif_set_up(struct tarn_netif *netif, bool up); /* one cable */
bool tarn_sim_netif_has_frames(const struct tarn_netif *netif);
/* Changes who owns it: what waited in the receive queue is dropped. */
void tarn_sim_netif_give(struct tarn_netif *netif, struct tarn_pkt_pool *pkts,
                         struct tarn_sim_actor *actor);

/* -- memory that runs out -----------------------------------------------------------------------
 */

/* An allocator over the host's that counts, and refuses the `fail_at`-th call (from 1; 0: never)
 * and, where `fail_on`, all after it. */
struct tarn_sim_alloc {
    struct tarn_alloc alloc;
    uint64_t calls, fail_at;
    bool fail_on;
    uint64_t live, live_bytes; /* pieces not given back */
    struct sim_piece *pieces;
};
void tarn_sim_alloc_init(struct tarn_sim_alloc *a);
/* Gives back all that is live: the end of whoever took it. */
void tarn_sim_alloc_free_all(struct tarn_sim_alloc *a);

/* Holds every free packet of a pool, so that it runs dry, until released. */
struct tarn_sim_hog {
    struct tarn_pkt *first;
    uint32_t count;
};
void tarn_sim_hog_take(struct tarn_sim_hog *hog, struct tarn_pkt_pool *pool);
void tarn_sim_hog_release(struct tarn_sim_hog *hog);
/* Packets of a pool that somebody holds. */
uint32_t tarn_sim_pkts_live(const struct tarn_pkt_pool *pool);

/* -- disks --------------------------------------------------------------------------------------
 */

struct tarn_sim_disk_config {
    uint64_t blocks;
    uint32_t block_bytes;  /* 0: 512 */
    uint32_t atomic_bytes; /* 0: block_bytes; the unit in which a power loss keeps or loses */
    uint32_t blocks_per_request_max, requests_max; /* 0: 256, 32 */
    tarn_time latency_min, latency_max; /* drawn for each request, so they overtake each other */
    bool no_flush, no_discard, read_only;
    bool write_through; /* a completed write is durable */
    /* Faults, in parts per million of requests. */
    uint32_t read_error_ppm, write_error_ppm;
    uint32_t lost_write_ppm; /* said to be written, and never was */
    uint32_t rot_ppm;        /* a bit of what is read has changed for good */
    uint32_t flush_lie_ppm;  /* said to be flushed, and was not */
    uint32_t astray_ppm;     /* a write that went to another block */
    uint64_t full_after;     /* so many blocks take a first write, then TARN_LIMIT. 0: all */
};
struct tarn_sim_disk_counters {
    uint64_t reads, writes, flushes, discards;
    uint64_t errors, lost_writes, astray, rotten, flush_lies, refused_full, power_losses,
        units_lost;
};

struct tarn_sim_disk;
struct tarn_sim_disk *tarn_sim_disk_new(struct tarn_sim *sim,
                                        const struct tarn_sim_disk_config *config);
struct tarn_blk *tarn_sim_disk_blk(struct tarn_sim_disk *disk);
const struct tarn_sim_disk_counters *tarn_sim_disk_counters(const struct tarn_sim_disk *disk);
/* Whom to wake when a request is done; its poll then calls tarn_sim_disk_poll, which calls `done`s.
 */
void tarn_sim_disk_give(struct tarn_sim_disk *disk, struct tarn_sim_actor *actor);
bool tarn_sim_disk_poll(struct tarn_sim_disk *disk); /* true: some were done */
bool tarn_sim_disk_has_done(const struct tarn_sim_disk *disk);

/* The power goes: requests in flight are never done, and of what was written and not flushed each
 * atomic unit was stored or was not, independently, a unit's later version only over its earlier.
 */
void tarn_sim_disk_power_loss(struct tarn_sim_disk *disk);
/* The same, by itself, when the n-th write from now is submitted (that one may be torn, too). From
 * then on the disk takes no requests until tarn_sim_disk_power_on. 0: never. */
void tarn_sim_disk_power_loss_at(struct tarn_sim_disk *disk, uint64_t nth_write);
/* For trying out every outcome: how many units have been written and are not durable, completed or
 * in flight; and what a power loss now would leave if of those, in the order of writing, just the
 * stored ones were. `count` is tarn_sim_disk_units; `image` is as large as the disk. */
size_t tarn_sim_disk_units(const struct tarn_sim_disk *disk);
void tarn_sim_disk_outcome(const struct tarn_sim_disk *disk, const bool *stored, size_t count,
                           struct tarn_bytes image);
bool tarn_sim_disk_has_power(const struct tarn_sim_disk *disk);
void tarn_sim_disk_power_on(struct tarn_sim_disk *disk);
/* Every request that touches the block fails from now on (false: works again). */
void tarn_sim_disk_bad_block(struct tarn_sim_disk *disk, uint64_t block, bool bad);
/* What a read would see, to look at and to damage. */
struct tarn_bytes tarn_sim_disk_bytes(struct tarn_sim_disk *disk);

#endif
