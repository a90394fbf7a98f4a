/* SPDX-License-Identifier: ISC */
/* tarn/tcp.h: TCP (RFC 9293) over anything that sends IP datagrams.
 *
 * A struct tarn_tcp is one host's TCP: a pure state machine. Segments and `now` go in
 * (tarn_tcp_input, or the tarn_ip_upper that a lower layer calls); segments come out through the
 * tarn_ip_lower it was given; tarn_tcp_tick does what is due and sends what has been written; and
 * tarn_tcp_deadline says when it wants to be called next. Connections are tarn_flow, listeners
 * tarn_listener (tarn/flow.h), so what stands above need not know that this is TCP.
 *
 * It never blocks, reads a clock, or allocates after tarn_tcp_new. It sends from tick, from input
 * (resets and answers to SYN) and from abort: write and shutdown only mark a connection, and then
 * tarn_tcp_deadline is 0 until the next tick. Events are posted to `tasks`,
 * which the loop runs.
 *
 * Ownership: packets handed to input are owned here, and freed or kept until their reader has
 * consumed them. Written bytes are copied; lent bytes stay the lender's, whose lease is held until
 * the peer has acknowledged them and the device is done with them.
 *
 * Memory: everything is sized by struct tarn_tcp_limits at tarn_tcp_new. A connection costs under
 * 512 bytes while its queues are empty, and nothing before it is first used. What is exhausted is
 * answered (TARN_LIMIT), or the segment is dropped and counted (struct tarn_tcp_stats).
 *
 * Offloads: segments leave with csum_state PARTIAL and, where they hold more than one MSS,
 * gso_size. Whoever is last completes them (tarn/pkt.h).
 *
 * Threading: one thread for one struct tarn_tcp and all its flows.
 *
 * Spoken: RFC 9293, 6298 (RTO), 7323 (timestamps, window scale, PAWS), 2018, 2883 and 6675 (SACK),
 * 8985 (RACK-TLP), 6582 (NewReno), 9438 (CUBIC), 9406 (HyStart++), draft-ietf-ccwg-bbr, 6937 (PRR),
 * 3522 and 5682 (spurious timeouts), 3168 (ECN), 9768 (AccECN), 3465 (ABC), 6928 (IW10), 5961
 * (blind attacks), 6528 (ISN), 7413 (Fast Open), 4821 and 8899 (path MTU), 6056 (ports), 6191
 * (TIME-WAIT reuse), 5927 (ICMP), 6093 (urgent data: read in line).
 */
#ifndef TARN_TCP_H
#define TARN_TCP_H

#include <tarn/alloc.h>
#include <tarn/env.h>
#include <tarn/flow.h>
#include <tarn/ip_lower.h>
#include <tarn/task.h>
#include <tarn/tcp_cc.h>

struct tarn_tcp;

/* Zero means the default in brackets, everywhere in limits and options. */
struct tarn_tcp_limits {
    uint32_t connections_max; /* connections of every state but half-open, TIME-WAIT too [1024] */
    uint32_t listeners_max;   /* [16] */
    uint32_t cc_blocks_max;   /* connections whose controller needs a block, as BBR does [64; all
                               * where options.cc is such a one] */
    uint32_t owns_max; /* connections with a budget of their own, with AccECN's option, or with
                        * counters [1024; all where options.count] */
    uint32_t
        fast_open_pending_max; /* connections opened by a cookie, and not yet acknowledged [32] */
    uint32_t fast_open_peers_max; /* addresses whose cookies are kept [64] */
    uint32_t syn_queue_max;       /* half-open passive connections of all listeners [256] */
    size_t memory_bytes;          /* send and receive buffers of all connections together, half each
                                   * [4 MiB]. Send buffers and bookkeeping are taken from `alloc`, received
                                   * packets stay in the packet pool that they came from */
    uint32_t snd_buf_bytes_max; /* what one connection may have unacknowledged or unsent [1 MiB] */
    uint32_t rcv_buf_bytes_max; /* the largest receive window of one connection [1 MiB] */
    uint32_t rcv_buf_bytes_min; /* the window it starts with; autotuning doubles it as the reader
                                 * keeps up [64 KiB] */
};

enum tarn_tcp_ecn {
    TARN_TCP_ECN_ACCEPT,   /* negotiate what the peer asks for: RFC 3168 or AccECN */
    TARN_TCP_ECN_ASK,      /* ask for RFC 3168, too */
    TARN_TCP_ECN_ACCURATE, /* ask for AccECN (RFC 9768), and take RFC 3168 */
    TARN_TCP_ECN_OFF,
};

struct tarn_tcp_options {
    const struct tarn_tcp_cc_ops
        *cc;                        /* congestion control of new connections [tarn_tcp_cc_cubic] */
    tarn_time time_wait;            /* 2 MSL (RFC 9293 section 3.4.2) [60 s] */
    tarn_time fin_wait_2;           /* how long a closed flow waits for the peer's FIN [60 s] */
    tarn_time rto_min;              /* [200 ms] */
    tarn_time user_timeout;         /* unacknowledged data for so long ends a connection [15 min] */
    tarn_time connect_timeout;      /* an unanswered SYN [127 s] */
    tarn_time ack_delay;            /* the longest delay of an ACK [40 ms] */
    uint32_t initial_cwnd_segments; /* RFC 6928 [10] */
    uint16_t port_min, port_max;    /* ephemeral ports [49152, 65535] (RFC 6335 section 6) */
    uint8_t hops;                   /* TTL or hop limit [the lower layer's] */
    uint8_t tos;                    /* DSCP; the two ECN bits are TCP's own [0] */
    uint8_t ecn;                    /* enum tarn_tcp_ecn */
    bool no_sack, no_timestamps, no_window_scale; /* not offered and not accepted */
    bool no_accecn_option;                        /* AccECN counts packets alone */
    bool no_syn_cookies;                          /* a full SYN queue drops SYNs instead */
    bool fast_open; /* RFC 7413: cookies are given, honoured, and asked for where connect_with is
                     * used. What comes with a SYN may come twice: for requests that may, only */
    bool count;     /* each connection counts what tarn_tcp_info has under `count` [not] */
    bool fast_open_without_cookie; /* and data is taken from, and sent to, anybody: only where no
                                    * address can be forged */
    bool pacing; /* a window is spread over the round trip, whatever the controller (BBR always) */
};

struct tarn_tcp_config {
    struct tarn_alloc *alloc;
    struct tarn_random *random;
    struct tarn_tasks *tasks;
    struct tarn_pkt_pool *pkts; /* for what is sent: header-class packets, one for each segment that
                                 * the device still holds */
    struct tarn_log *log;       /* NULL: silent */
    struct tarn_ip_lower *lower;
    struct tarn_tcp_limits limits;
    struct tarn_tcp_options options;
};

/* TARN_LIMIT: the allocator has not enough. TARN_INVALID: a limit or option makes no sense. */
TARN_MUST_USE enum tarn_err tarn_tcp_new(const struct tarn_tcp_config *config,
                                         struct tarn_tcp **out);

/* What the lower layer is given; its calls are the two below. */
struct tarn_ip_upper *tarn_tcp_upper(struct tarn_tcp *tcp);
/* Owns `pkt`, which starts at its TCP header and may be several segments put together (GRO). The
 * checksum is verified unless csum_state says that it need not be. */
void tarn_tcp_input(struct tarn_tcp *tcp, const struct tarn_ip_meta *meta, struct tarn_pkt *pkt,
                    tarn_time now);
/* An ICMP error about a segment of ours, believed only where the quoted sequence number is in
 * flight, and never fatal to an established connection (RFC 5927). */
void tarn_tcp_error(struct tarn_tcp *tcp, const struct tarn_ip_meta *meta, enum tarn_ip_error error,
                    uint32_t mtu, struct tarn_span quoted, tarn_time now);
/* Fires what is due, and sends what has become sendable. */
void tarn_tcp_tick(struct tarn_tcp *tcp, tarn_time now);
/* When tick is next wanted: 0 for at once, TARN_NEVER for nothing to wait for. */
tarn_time tarn_tcp_deadline(const struct tarn_tcp *tcp);

/* -- opening ---------------------------------------------------------------------------------- */

/* `local.addr` any: every address. `backlog`: how many established flows may wait for accept.
 * TARN_INVALID: port 0; TARN_LIMIT: the endpoint is taken, or listeners_max. */
TARN_MUST_USE enum tarn_err tarn_tcp_listen(struct tarn_tcp *tcp, const struct tarn_endpoint *local,
                                            uint32_t backlog, struct tarn_listener **out);
/* `local` NULL, its address any, or its port 0: chosen here (RFC 6056, algorithm 3). CONNECTED or
 * FAILED follows as an event; reads and writes answer TARN_AGAIN before. TARN_NOT_FOUND: no route;
 * TARN_LIMIT: no connection or port left, or the four-tuple is in use; TARN_INVALID: not a unicast
 * address, port 0. */
TARN_MUST_USE enum tarn_err tarn_tcp_connect(struct tarn_tcp *tcp,
                                             const struct tarn_endpoint *local,
                                             const struct tarn_endpoint *remote, tarn_time now,
                                             struct tarn_flow **out);

/* The same, with the first bytes to write: where `fast_open` is on and the peer's cookie known,
 * they go out with the SYN, else once connected. `n`: how many were taken. */
TARN_MUST_USE enum tarn_err tarn_tcp_connect_with(struct tarn_tcp *tcp,
                                                  const struct tarn_endpoint *local,
                                                  const struct tarn_endpoint *remote,
                                                  struct tarn_span data, tarn_time now,
                                                  struct tarn_flow **out, size_t *n);

/* How much data for that address would go with the SYN; 0: no cookie is known. */
uint32_t tarn_tcp_fast_open_room(const struct tarn_tcp *tcp, const struct tarn_ip_addr *remote);

/* -- standing in for other hosts ------------------------------------------------------------- */

/* A SYN whose handshake waits for an answer. */
struct tarn_tcp_call {
    struct tarn_handle handle;
    struct tarn_endpoint local, remote;
};
enum tarn_tcp_answer {
    TARN_TCP_ACCEPT, /* the handshake goes on, and ends in the accept queue */
    TARN_TCP_REFUSE, /* a reset, as where nothing listens */
    TARN_TCP_IGNORE, /* nothing, as from a host that is not there */
};
/* Listens at every address and port where no other listener does, for who stands in for other hosts
 * (a proxy, NAT in user space): each SYN is a call, told by on_event as flows to accept are, so
 * that the peer can be told what the host behind says. syn_queue_max calls wait, no longer than
 * connect_timeout; there are no cookies and no Fast Open here. TARN_LIMIT: there is such a
 * listener, or listeners_max. */
TARN_MUST_USE enum tarn_err tarn_tcp_listen_all(struct tarn_tcp *tcp, uint32_t backlog,
                                                struct tarn_listener **out);
/* The oldest call that has not been taken. TARN_AGAIN: none, an event follows. TARN_INVALID: not a
 * listener of listen_all. */
TARN_MUST_USE enum tarn_err tarn_tcp_call(struct tarn_listener *listener,
                                          struct tarn_tcp_call *out);
/* TARN_NOT_FOUND: the peer has given up, or the time is over. */
TARN_MUST_USE enum tarn_err tarn_tcp_answer(struct tarn_tcp *tcp, struct tarn_handle call,
                                            enum tarn_tcp_answer answer, tarn_time now);

/* -- one connection --------------------------------------------------------------------------- */
/* All of these answer TARN_INVALID for a flow that is not TCP's. */

bool tarn_tcp_owns(const struct tarn_flow *flow);
/* Off: small segments wait until earlier ones are acknowledged (Nagle, RFC 9293 section 3.7.4). On:
 * they do not. Off at first. */
TARN_MUST_USE enum tarn_err tarn_tcp_set_nodelay(struct tarn_flow *flow, bool on);
/* Probes after `idle` without a segment from the peer, then each `interval`; the connection ends
 * after `probes` without an answer. idle 0: off, as at first. Whole seconds, up to 65,535. */
TARN_MUST_USE enum tarn_err tarn_tcp_set_keepalive(struct tarn_flow *flow, tarn_time idle,
                                                   tarn_time interval, uint8_t probes);
/* RFC 5482's local side: data unacknowledged for so long ends the connection. 0: the stack's. Whole
 * milliseconds, up to 2^32 - 1. */
TARN_MUST_USE enum tarn_err tarn_tcp_set_user_timeout(struct tarn_flow *flow, tarn_time timeout);
/* On: what is less than a full segment waits, until it is off again, or the flow is shut down, or
 * nothing was in flight for a retransmission timeout (TCP_CORK). */
TARN_MUST_USE enum tarn_err tarn_tcp_set_cork(struct tarn_flow *flow, bool on);
/* As tarn_flow_write; what is less than a full segment at its end waits for the next write, or an
 * ACK, or as above (MSG_MORE). */
TARN_MUST_USE enum tarn_err tarn_tcp_write_more(struct tarn_flow *flow, struct tarn_span data,
                                                size_t *n);
/* Copies what is to be read, from `skip` bytes on, and leaves it there (MSG_PEEK); answers as read.
 */
TARN_MUST_USE enum tarn_err tarn_tcp_peek(struct tarn_flow *flow, size_t skip,
                                          struct tarn_bytes buf, size_t *n);

/* What one connection may take, in place of what limits say for all. 0: what they say. */
struct tarn_tcp_budget {
    uint32_t snd_buf_bytes;    /* written and not acknowledged, at most (SO_SNDBUF) */
    uint32_t rcv_buf_bytes;    /* the receive window, which is not tuned then (SO_RCVBUF); at least
                                * 2304. What the peer was promised before stays promised */
    uint32_t unsent_bytes_max; /* while so much was never sent, no write is taken and WRITABLE not
                                * told (TCP_NOTSENT_LOWAT) */
    uint16_t mss_max; /* of what is sent, and, before the SYN went out, of what the peer may send;
                       * counted as in the MSS option, at least 64 (TCP_MAXSEG) */
};
/* Right behind connect it holds for the SYN, too. TARN_INVALID: more than limits allow; TARN_LIMIT:
 * owns_max. */
TARN_MUST_USE enum tarn_err tarn_tcp_set_budget(struct tarn_flow *flow,
                                                const struct tarn_tcp_budget *budget);
/* Of all connections that come by this listener from now on, as far as owns_max goes. */
TARN_MUST_USE enum tarn_err tarn_tcp_listener_set_budget(struct tarn_listener *listener,
                                                         const struct tarn_tcp_budget *budget);
/* Another congestion controller, keeping cwnd, once connected. TARN_LIMIT: cc_blocks_max. */
TARN_MUST_USE enum tarn_err tarn_tcp_set_cc(struct tarn_flow *flow,
                                            const struct tarn_tcp_cc_ops *cc);

enum tarn_tcp_state {
    TARN_TCP_CLOSED,
    TARN_TCP_LISTEN,
    TARN_TCP_SYN_SENT,
    TARN_TCP_SYN_RECEIVED,
    TARN_TCP_ESTABLISHED,
    TARN_TCP_FIN_WAIT_1,
    TARN_TCP_FIN_WAIT_2,
    TARN_TCP_CLOSE_WAIT,
    TARN_TCP_CLOSING,
    TARN_TCP_LAST_ACK,
    TARN_TCP_TIME_WAIT,
};
/* "ESTABLISHED" and so on, as RFC 9293 writes them. */
const char *tarn_tcp_state_name(enum tarn_tcp_state state);

struct tarn_tcp_info {
    enum tarn_tcp_state state;
    bool sack, timestamps, window_scaling; /* negotiated */
    bool ecn, accurate_ecn;                /* accurate_ecn: ecn by RFC 9768 */
    bool accurate_ecn_option;              /* and the peer sends its option */
    bool syn_data_acked;                   /* data went with the SYN, and was taken (RFC 7413) */
    bool nodelay, in_recovery, in_loss;    /* fast recovery; after a retransmission timeout */
    uint8_t snd_wscale, rcv_wscale;
    uint8_t backoffs; /* retransmission timeouts in a row */
    uint16_t snd_mss; /* payload of a full segment, options already taken off */
    uint16_t path_mtu;
    uint32_t cwnd_bytes, ssthresh_bytes; /* ssthresh UINT32_MAX: none yet */
    uint32_t pacing_bytes_per_s;         /* 0: not paced */
    uint32_t snd_wnd_bytes, rcv_wnd_bytes, rcv_buf_bytes;
    uint32_t unacked_bytes;   /* sent and not acknowledged: SYN and FIN count as one */
    uint32_t sacked_bytes;    /* of those, SACKed */
    uint32_t lost_bytes;      /* of those, thought lost and not sent again yet */
    uint32_t resent_bytes;    /* of those, sent again, and not SACKed or lost since */
    uint32_t in_flight_bytes; /* sent, and neither acknowledged, SACKed nor thought lost */
    uint32_t queued_bytes;    /* written and not acknowledged */
    uint32_t unread_bytes;    /* received in order and not consumed */
    uint32_t out_of_order_bytes;
    tarn_time srtt, rttvar, rtt_min, rto;
    uint64_t bytes_acked, bytes_received;
    uint32_t retransmits; /* segments */
    uint32_t timeouts, tail_probes, spurious_recoveries;
    uint32_t
        reordering_segments; /* the furthest that one of this flight was overtaken, up to 255 */
    uint64_t ce_bytes;       /* sent, and reported by AccECN's option as marked by the network */
    const char *cc;

    /* Where options.count; else 0. Until the last time that was told. Segments that left or came as
     * one packet count each. */
    uint64_t bytes_sent, bytes_resent; /* payload; the first has the second in it */
    uint32_t segments_in, segments_out, data_segments_in, data_segments_out;
    uint32_t out_of_order_segments; /* received */
    uint32_t duplicate_segments;    /* sent, and reported as duplicates (RFC 2883) */
    tarn_time since_data_in, since_ack_in, since_data_out;
    /* How long there was something to send or not acknowledged; of that, how long the peer's
     * window held it back, and how long the send buffer did. */
    tarn_time busy, window_limited, buffer_limited;
};
TARN_MUST_USE enum tarn_err tarn_tcp_info(const struct tarn_flow *flow, struct tarn_tcp_info *out);

/* -- counters --------------------------------------------------------------------------------- */

/* Since tarn_tcp_new; segments unless said otherwise. */
struct tarn_tcp_stats {
    uint64_t segments_in, segments_out, bytes_in,
        bytes_out; /* payload bytes; a GSO packet is one */
    uint64_t acks_out, resets_in, resets_out;
    uint64_t opens_active, opens_passive, established, closed; /* connections */
    uint64_t failed_timeout, failed_reset, failed_refused;     /* connections */
    uint64_t retransmits, timeouts, fast_recoveries, tail_probes, spurious_recoveries;
    uint64_t syn_cookies_sent, syn_cookies_good, syn_cookies_bad;
    uint64_t fast_opens_active, fast_opens_passive;    /* data that came, or went, with a SYN */
    uint64_t fast_open_bad_cookies, fast_open_refused; /* refused: fast_open_pending_max */
    uint64_t challenge_acks, challenge_acks_throttled;
    uint64_t time_wait_reused;  /* by a new SYN (RFC 6191) */
    uint64_t time_wait_evicted; /* to make room for another connection */
    uint64_t out_of_order, coalesced, icmp_taken;
    uint64_t ce_in, ce_reported; /* marked by the network: received here, sent from here */

    /* Why a segment or what was in it was dropped. */
    uint64_t drop_malformed; /* header too short, bad data offset or options */
    uint64_t drop_checksum;
    uint64_t drop_address;       /* not unicast, or a source of none */
    uint64_t drop_no_connection; /* and answered with a reset, unless it was one */
    uint64_t drop_syn_queue;     /* no room for a SYN */
    uint64_t drop_accept_queue;  /* no room for an established flow: the peer tries again */
    uint64_t drop_connections;   /* connections_max */
    uint64_t drop_paws;          /* RFC 7323 section 5 */
    uint64_t drop_out_of_window;
    uint64_t drop_flags;     /* no ACK where one is needed, or a combination that makes no sense */
    uint64_t drop_bad_ack;   /* acknowledges what was never sent, or is too old (RFC 5961) */
    uint64_t drop_bad_reset; /* not at rcv_nxt */
    uint64_t drop_duplicate; /* data that had been received already */
    uint64_t drop_memory;    /* no receive memory */
    uint64_t drop_holes;     /* no room to note another hole */
    uint64_t drop_closed;    /* data for a flow that its owner has closed */
    uint64_t drop_icmp;      /* not about anything in flight */
    uint64_t no_packet;      /* something to send, no packet: tried again later */
    uint64_t no_record;      /* no bookkeeping for another segment in flight */
    uint64_t no_route;       /* or the lower layer refused it */
    uint64_t no_cc_block;    /* cc_blocks_max: CUBIC was taken, or set_cc refused */

    /* Now. */
    uint32_t connections, half_open, time_wait;
    size_t snd_bytes, rcv_bytes; /* of memory_bytes; packets by what they cost their pool */
};
void tarn_tcp_stats(const struct tarn_tcp *tcp, struct tarn_tcp_stats *out);

#endif
