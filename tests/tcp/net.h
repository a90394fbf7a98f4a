/* SPDX-License-Identifier: ISC */
/* Two TCPs joined by a wire in virtual time, or one TCP and a hand that writes segments. Whatever
 * is sent goes through the wire's rules: delay, loss, duplication, reordering, corruption, from one
 * seed. */
#ifndef TESTS_TCP_NET_H
#define TESTS_TCP_NET_H

#include <tarn/base.h>
#include <tarn/netif.h>
#include <tarn/tcp.h>

struct net;

struct host {
    struct tarn_ip_lower lower;
    struct net *net;
    unsigned index;
    struct tarn_ip_addr addr;
    struct tarn_arena arena;
    struct tarn_pkt_pool pkts;
    struct tarn_tasks tasks;
    struct tarn_random_seeded random;
    struct tarn_tcp *tcp;
    uint16_t mtu;
    uint32_t features;
};

/* A segment on the wire: TCP header and payload. */
struct wire_segment {
    struct wire_segment *next;
    tarn_time at;
    unsigned from;
    uint8_t tos;
    bool good_checksum, gro;
    size_t len;
    uint8_t bytes[];
};

struct rules {
    tarn_time delay;
    double loss, duplicate, reorder, corrupt;
    tarn_time reorder_by;
    bool whole;           /* super-segments arrive as one (GRO) */
    uint64_t bytes_per_s; /* 0: no limit; a queue of queue_max segments in front of it */
    unsigned queue_max;
};

struct net {
    struct host hosts[2];
    struct rules rules;
    struct tarn_random_seeded random;
    tarn_time now;
    struct wire_segment *wire;
    tarn_time busy_until[2];
    /* Looks at each segment before the rules; false: it is lost. */
    bool (*filter)(struct net *net, unsigned from, const uint8_t *tcp, size_t len);
    void *filter_state;
    /* Looks at each packet as TCP hands it down, before anything else. */
    void (*look)(struct net *net, const struct tarn_pkt *pkt);
    uint64_t sent, lost, ce_marked;
    uint8_t mark_tos; /* or-ed into the TOS of what is delivered */
    /* A net of one: what host 0 sends is kept here. */
    bool by_hand;
    struct wire_segment *caught, *caught_tail;
};

struct net *net_new(uint64_t seed, const struct tarn_tcp_limits *limits,
                    const struct tarn_tcp_options *options);
void net_free(struct net *net);
/* Lets time pass until `until`, or until nothing is left to happen. */
void net_run(struct net *net, tarn_time until);
void net_run_for(struct net *net, tarn_time duration);
/* One turn of the loop, without letting time pass. */
void net_turn(struct net *net);

/* Checks that every pool but that of connections in TIME-WAIT is empty, after they are over. */
void net_assert_clean(struct net *net);

/* -- by hand -- */
struct seg {
    uint16_t src, dst;
    uint32_t seq, ack;
    uint8_t flags, tos;
    bool ae; /* the ninth flag (RFC 9768) */
    uint16_t wnd;
    uint8_t options[40];
    size_t options_len;
    uint8_t payload[3000];
    size_t len;
};
enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16, URG = 32, ECE = 64, CWR = 128 };
/* Hands the segment to host 0 as from host 1, and takes a turn of the loop. */
void hand_send(struct net *net, const struct seg *seg);
void hand_send_raw(struct net *net, const uint8_t *bytes, size_t len);
/* The oldest segment that host 0 has sent and nobody has looked at; false: none. */
bool hand_take(struct net *net, struct seg *out);
/* The same, which must be there; and that there is none. */
struct seg hand_expect(struct net *net, unsigned flags);
void hand_expect_none(struct net *net);
void hand_drop_all(struct net *net);

uint16_t wire_u16(const uint8_t *p);
uint32_t wire_u32(const uint8_t *p);

/* -- a transfer with a pattern that is checked -- */
struct xfer {
    struct tarn_flow *flow;
    uint64_t to_send, sent, received, read_max; /* read_max: 0 no limit */
    bool shut, end_seen, failed, connected, lend, stop_reading, close_at_end, keep_open;
    enum tarn_err error;
    unsigned events;
};
void xfer_start(struct xfer *x, struct tarn_flow *flow, uint64_t to_send);
void xfer_poke(struct xfer *x);

/* Host 1 listens on port 80, host 0 connects; both established, or a failure. */
void net_connect(struct net *net, struct tarn_flow **client, struct tarn_flow **server);
struct tarn_listener *net_listen(struct net *net, unsigned host, uint16_t port, uint32_t backlog);
struct tarn_flow *net_open(struct net *net, unsigned host, uint16_t port);
struct tarn_tcp_info info_of(struct tarn_flow *flow);
struct tarn_tcp_stats stats_of(struct net *net, unsigned host);

#endif
