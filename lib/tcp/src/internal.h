/* SPDX-License-Identifier: ISC */
/* internal.h: what the files of lib/tcp share. The terms are RFC 9293's. */
#ifndef TARN_TCP_INTERNAL_H
#define TARN_TCP_INTERNAL_H

#include <tarn/csum.h>
#include <tarn/hash.h>
#include <tarn/netif.h>
#include <tarn/pool.h>
#include <tarn/tcp.h>
#include <tarn/timer.h>

#include "seq_tree.h"

#define TCP_HEADER_BYTES 20u
#define TCP_OPTIONS_BYTES_MAX 40u
#define TCP_MSS_DEFAULT 536u /* RFC 9293 section 3.7.1, where the peer says nothing */
#define TCP_MSS_MIN 64u      /* no peer makes us send dust (CVE-2019-11479) */
#define TCP_BLOCK_BYTES 4096u
#define TCP_GSO_BYTES_MAX 65000u          /* with headers and IP below 64 KiB */
#define TCP_GSO_SOFTWARE_BYTES_MAX 16384u /* cut in software: not more than a cache holds */
#define TCP_WSCALE_MAX 14u
#define TCP_RTO_INITIAL_US 1000000u
#define TCP_RTO_MAX_US 120000000u
#define TCP_DUP_THRESH 3u
#define TCP_SYN_ACK_TRIES_MAX 5u

enum {
    TCP_FIN = 1,
    TCP_SYN = 2,
    TCP_RST = 4,
    TCP_PSH = 8,
    TCP_ACK = 16,
    TCP_URG = 32,
    TCP_ECE = 64,
    TCP_CWR = 128
};

struct tcp_link {
    struct tcp_link *next, *prev; /* NULL while in no ring */
};
static inline void ring_init(struct tcp_link *ring) {
    ring->next = ring->prev = ring;
}
static inline bool ring_is_empty(const struct tcp_link *ring) {
    return ring->next == ring;
}
static inline bool link_is_in_ring(const struct tcp_link *link) {
    return link->next != NULL;
}
static inline void ring_push(struct tcp_link *ring, struct tcp_link *link) {
    link->prev = ring->prev;
    link->next = ring;
    ring->prev->next = link;
    ring->prev = link;
}
static inline void ring_remove(struct tcp_link *link) {
    if (!link->next)
        return;
    link->prev->next = link->next;
    link->next->prev = link->prev;
    link->next = link->prev = NULL;
}

/* Written data: a block of our own that is filled from its front, or memory lent by the writer. */
struct tcp_piece {
    struct tarn_lease lease; /* of `block`: one hold is the send queue's, the others are packets' */
    struct tarn_tcp *tcp;
    struct tcp_piece *next;
    struct tarn_span data;
    uint8_t *block; /* NULL: lent */
    struct tarn_lease *lent;
};

enum tcp_sent_flags {
    SENT_FIN = 1,
    SENT_SACKED = 2,
    SENT_LOST = 4,          /* in the list of what is to be sent again */
    SENT_RETRANSMITTED = 8, /* ever: gives no round-trip time (Karn) */
    SENT_PUSH = 16,
    SENT_APP_LIMITED = 32, /* there was no more to send then */
    SENT_MTU_PROBE = 64,   /* larger than the others (RFC 8899) */
};

/* What was sent with one packet and is not acknowledged yet. Neighbours in sequence space; and a
 * place in one of two lists: by time of the last transmission (RFC 8985), or of what is lost. */
struct tcp_sent {
    struct seq_node node;
    struct tcp_sent *next, *prev; /* by sequence number, a ring without a head */
    struct tcp_link order;        /* conn's by_time or lost; none where SACKed */
    struct tcp_piece *piece;      /* its first byte ... */
    uint32_t off;                 /* ... is at this offset there */
    uint32_t len;                 /* payload bytes */
    uint32_t sent_us;             /* the last transmission, modulo 2^32 */
    /* What the flight's numbers of the same names were then, and what was in flight with it. */
    uint32_t delivered, delivered_us, first_sent_us, lost_before, tx_in_flight;
    uint16_t mss; /* it was sent in pieces of this size */
    uint8_t flags;
};
/* What it takes in sequence space; sacked_bytes and lost_bytes count this too. */
static inline uint32_t sent_space(const struct tcp_sent *s) {
    return s->len + (s->flags & SENT_FIN ? 1 : 0);
}
static inline uint32_t sent_end(const struct tcp_sent *s) {
    return s->node.seq + sent_space(s);
}

/* Received out of order: a run of packets without a hole. */
struct tcp_range {
    struct seq_node node; /* its first byte's sequence number */
    uint32_t end;
    struct tarn_pkt *head, *tail;
    struct tcp_link recent; /* most recently touched first: the order of SACK blocks */
};

/* What sending waits for, while there is something to send or not acknowledged yet. */
enum tcp_wait { TCP_WAIT_PATH, TCP_WAIT_WINDOW, TCP_WAIT_BUFFER, TCP_WAIT_NOTHING };
enum { TCP_WAITS = TCP_WAIT_NOTHING };
enum tcp_recovery { TCP_OPEN, TCP_RECOVERY, TCP_LOSS };
/* Whether a timeout was needless (RFC 5682): what was sent again is acknowledged first; then two
 * new segments go out; then the next ACK tells. */
enum tcp_frto { TCP_FRTO_OFF, TCP_FRTO_WAIT, TCP_FRTO_SEND, TCP_FRTO_SENT };
enum tcp_xmit_timer {
    TCP_TIMER_NONE,
    TCP_TIMER_RTO,
    TCP_TIMER_PTO,
    TCP_TIMER_REO,
    TCP_TIMER_PERSIST
};

struct tcp_sack_block {
    uint32_t start, end;
};
struct tcp_listener;

/* What few connections need: limits that are not the stack's, AccECN's counts of bytes, and, where
 * the stack keeps them (options.count), counters. */
struct tcp_own {
    struct tarn_tcp_budget budget;
    /* RFC 9768 section 3.2.1: bytes received by their mark, and those that the peer says it did. */
    uint32_t ect0_in, ce_in, ect1_in;
    uint32_t ect0_out, ce_out, ect1_out;
    uint64_t ce_bytes_out;
    uint8_t option_due, option_again; /* how many more times; with a report of a duplicate */
    bool option_seen;    /* from the peer: it understands it, and the path lets it pass */
    bool option_cleared; /* it came, and something had cleared it */
    bool option_lost;    /* what carried it did not arrive: it is sent no more */
    /* As Linux' TCP_INFO has them. */
    uint64_t bytes_sent, bytes_resent;
    uint32_t segments_in, segments_out, data_segments_in, data_segments_out;
    uint32_t out_of_order, duplicates;
    uint32_t data_in_ms, ack_in_ms;
    uint32_t wait_since_us;
    uint8_t wait; /* enum tcp_wait */
    uint64_t wait_us[TCP_WAITS];
};

/* What only a connection with data in flight needs to know. */
struct tcp_flight {
    struct tcp_sent *sent; /* the oldest; NULL where only a probe's outcome is waited for */
    struct seq_tree tree;
    struct tcp_link by_time, lost;
    uint32_t sent_count;
    uint32_t sacked_bytes, lost_bytes;
    uint32_t recover; /* RFC 6582 section 3.2: recovery ends here */
    uint32_t prr_delivered, prr_out, prr_bytes;
    uint32_t rack_sent_us, rack_end, rack_rtt_us;
    uint32_t fack;                /* behind the highest that is acknowledged or SACKed */
    uint32_t out_most, out_round; /* the most that was unacknowledged, since before out_round */
    uint32_t tlp_end;             /* snd_nxt behind the tail loss probe, where tlp_out */
    uint32_t undo_cwnd, undo_ssthresh; /* before the last reduction */
    uint32_t undo_ts;                  /* our timestamp of its first retransmission */
    uint32_t undo_segments;            /* retransmitted since, and not reported as duplicates */
    /* Rate samples: bytes delivered (of the whole connection, modulo 2^32), when that was, and when
     * the newest of it was sent; bytes ever thought lost. */
    uint32_t delivered, delivered_us, first_sent_us, lost_ever;
    uint32_t app_limited_until; /* where app_limited: `delivered` behind the gap in sending */
    tarn_time pace_at;          /* before this, nothing goes out; pace_wait: something would */
    bool app_limited, pace_wait;
    uint32_t frto_end;  /* RFC 5682's RecoveryPoint: snd_nxt before the two new segments */
    uint16_t mtu_probe; /* the MTU that is probed for; 0: none is */
    uint8_t dupacks, frto;
    uint8_t reordering; /* the furthest that a segment was overtaken, in segments */
    bool rack_reordering, tlp_out, tlp_retransmitted, undo_possible, undo_ts_valid;
};

struct tcp_conn {
    struct tarn_flow flow;
    struct tarn_map_link by_tuple;
    struct tarn_timer timer; /* at or before the earliest of the deadlines below */
    struct tcp_link dirty, events;
    struct tcp_link queue; /* accept queue, waiting for send memory, or TIME-WAIT */
    struct tarn_tcp *tcp;
    struct tcp_listener *listener; /* until accepted */

    struct tarn_ip_addr local, remote;
    uint16_t local_port, remote_port;

    uint32_t snd_una, snd_nxt;
    uint32_t snd_end; /* behind the last written byte; the FIN comes after it */
    uint32_t snd_wnd, snd_wnd_max;
    uint32_t snd_wl1;
    uint32_t snd_small; /* end of the last segment that was not full (Nagle) */
    uint32_t rcv_nxt;
    uint32_t rcv_adv;   /* the right edge that has been promised */
    uint32_t rcv_acked; /* rcv_nxt when the last ACK went out */
    uint32_t rcv_fin;   /* the FIN's sequence number, where fin_seen */
    uint32_t ts_offset, ts_recent;

    /* Send queue. */
    struct tcp_piece *piece_tail; /* ->next is the first: a ring */
    struct tcp_piece *piece_nxt;  /* where snd_nxt is, NULL: at the end */
    uint32_t piece_nxt_off, piece_una_off;
    struct tcp_flight *flight; /* NULL where nothing is */
    struct tcp_own *own;       /* NULL where there is nothing of the kind */

    /* Receive queue. */
    struct tarn_pkt *rcv_head, *rcv_tail;
    struct seq_tree ranges;
    struct tcp_link *recent; /* of `ranges`, the last that was touched first; a ring */
    uint32_t rcv_bytes, rcv_truesize, rcv_buf, range_bytes;
    uint32_t tune_from_us, tune_bytes; /* consumed since: what the window is tuned by */
    struct tcp_sack_block duplicate;   /* to be reported, where not empty (RFC 2883) */

    tarn_time xmit_at; /* xmit_timer says what for */
    tarn_time ack_at;
    tarn_time slow_at; /* keepalive; FIN-WAIT-2 of a closed flow; TIME-WAIT */

    uint32_t srtt_us, rttvar_us, rto_us, rtt_min_us;
    uint32_t progress_ms; /* when snd_una last moved, or the first byte went out */
    uint32_t heard_ms;    /* when the last acceptable segment came */
    uint32_t astray_ms;   /* when an empty one that was not was last answered */
    uint32_t sent_ms;     /* when the last data went out */
    uint32_t user_timeout_ms;

    struct tarn_tcp_cc cc;
    uint32_t retransmits;
    uint64_t bytes_acked, bytes_received;

    uint16_t path_mtu, peer_mss;
    uint16_t mtu_next_s; /* no probe before, in seconds modulo 2^16, where mtu_search */
    uint16_t mtu_high;   /* the largest that may fit, where mtu_search; 0: not known */
    uint16_t mss;        /* of payload, options taken off */
    uint16_t syn_data;   /* bytes that went out with the SYN (RFC 7413) */
    uint16_t rcv_mss;    /* the peer's segments, as seen */
    uint16_t keep_idle_s, keep_interval_s;
    uint16_t range_count;
    uint8_t keep_probes_max, keep_probes;
    uint8_t state, backoffs, err;
    uint8_t recovery : 2, xmit_timer : 3;
    bool cork : 1, more : 1; /* what is not a full segment waits; until something is acknowledged */
    bool push : 1;           /* but not what is there now */
    uint8_t snd_wscale, rcv_wscale;
    uint8_t dupacks_due, quick_acks, pending_events;
    uint8_t timeouts, tail_probes, spurious;

    bool sack_ok : 1, ts_ok : 1, wscale_ok : 1, ecn_ok : 1;
    bool nodelay : 1;
    bool fin_queued : 1; /* after snd_end comes a FIN */
    bool fin_sent : 1;
    bool fin_seen : 1; /* rcv_fin is valid */
    bool fin_received : 1;
    bool orphan : 1;      /* the owner has closed it */
    bool unread_lost : 1; /* the owner closed it with data unread: reset once all is acknowledged */
    bool ack_now : 1;
    bool want_read : 1, want_write : 1, starved : 1;
    bool cwnd_limited : 1;
    bool probe_due : 1; /* a window or keepalive probe goes out with the next tick */
    bool syn_due : 1;
    bool features_tso : 1;
    bool ecn_echo : 1; /* the peer is to hear of a CE mark until it says CWR */
    bool cwr_due : 1;
    /* AccECN (RFC 9768): in place of ecn_echo and cwr_due, three bits of two counters: of marked
     * packets received (r.cep), and of those that the peer says it received (s.cep). */
    bool accecn : 1;
    bool ace_first : 1;  /* the next segment tells the peer how its SYN-ACK arrived: */
    uint8_t syn_ecn : 2; /* marked so */
    uint8_t ace_in : 3, ace_out : 3;
    bool fast_open : 1;        /* passive, by a cookie: our SYN-ACK is not acknowledged yet */
    bool fast_open_wanted : 1; /* active: data or the wish for a cookie goes with the SYN */
    bool mtu_proven : 1;       /* a full segment has arrived */
    bool syn_data_acked : 1;   /* data went with the SYN, and was taken */
    bool more_written : 1;     /* the last write said that more will come */
    bool mtu_search : 1;       /* path_mtu is less than the route's, and may be raised */
    uint8_t mtu_tries : 2;
};
_Static_assert(sizeof(struct tcp_conn) < 512, "an idle connection is small");

/* There is data or a FIN that was never sent. */
static inline bool has_unsent(const struct tcp_conn *c) {
    return seq_lt(c->snd_nxt, c->snd_end) || (c->fin_queued && !c->fin_sent);
}
/* All that was written has been acknowledged; and the FIN, where it was sent. */
static inline bool all_is_acked(const struct tcp_conn *c) {
    return c->snd_una == c->snd_nxt && c->snd_nxt == c->snd_end + (c->fin_sent ? 1 : 0);
}

/* A half-open passive connection: what must be remembered between a SYN and its ACK. */
struct tcp_half {
    struct tarn_map_link by_tuple;
    struct tarn_timer timer;
    struct tcp_link call; /* in its listener's calls until taken */
    struct tarn_handle listener;
    struct tarn_ip_addr local, remote;
    uint16_t local_port, remote_port;
    uint32_t iss, irs;
    uint32_t ts_recent, ts_offset;
    uint32_t sent_us;
    uint16_t mss;
    uint8_t wscale, tries;
    bool sack_ok : 1, ts_ok : 1, wscale_ok : 1, ecn_ok : 1;
    bool accecn : 1;
    bool accecn_lost : 1;         /* the SYN-ACK with AccECN's option was not answered */
    bool cookie_experimental : 1; /* by the option of draft times (RFC 7413 section 4.1.1) */
    bool cookie_due : 1;          /* the SYN asked for a Fast Open cookie, or showed an old one */
    uint8_t syn_ecn : 2;
    bool held : 1; /* nothing was sent yet: tarn_tcp_answer decides */
};

struct tcp_listener {
    struct tarn_listener listener;
    struct tarn_map_link by_port;
    struct tarn_task task;
    struct tarn_tcp *tcp;
    struct tarn_endpoint local;
    struct tarn_tcp_budget budget; /* of the connections that come by it */
    struct tcp_link accept_queue, calls;
    uint32_t accept_count, backlog;
    bool want_accept;
};

/* RFC 7413: whom we have a cookie of; len 0: nobody. */
struct tcp_peer_cookie {
    struct tarn_ip_addr addr;
    uint16_t mss;
    uint8_t len;
    bool experimental;
    uint8_t cookie[16];
};
struct tcp_fast_open {
    struct tarn_hash_key key, key_before; /* of the cookies that we give */
    tarn_time key_since;
    bool has_key;
    uint32_t pending;
    struct tcp_peer_cookie *peers;
};

struct tarn_tcp {
    struct tarn_tcp_config config;
    struct tarn_ip_upper upper;
    tarn_time now;        /* the last that was heard of */
    tarn_time hold_until; /* what is dirty waits: there was no packet for it */

    struct tarn_pool conns, flights, owns, halves, listeners, pieces, blocks, sents, ranges,
        cc_blocks;
    struct tarn_map conn_map, half_map, listener_map;
    struct tcp_listener *stand_in; /* of tarn_tcp_listen_all; NULL: none */
    struct tarn_timers timers, half_timers;
    struct tarn_hash_key key, isn_key, ts_key, port_key, cookie_key;
    struct tcp_link dirty, events, starved, time_wait;
    struct tarn_task event_task;
    struct tcp_fast_open fast_open;

    size_t snd_bytes, rcv_bytes, rcv_bytes_max;
    uint32_t priorities; /* a generator for the trees */
    uint32_t next_port;
    tarn_time challenge_from; /* RFC 5961 section 7: a budget for each second */
    uint32_t challenge_left;
    tarn_time cookies_until; /* cookies were sent: ACKs may be answers to them */
    struct tarn_tcp_stats stats;
};

#define TCP_SACK_BLOCKS_MAX 4u
#define TCP_ACCECN_FIELDS 3u

struct tcp_options {
    uint16_t mss; /* 0: not given */
    uint8_t wscale, sack_count;
    bool has_wscale, sack_ok, has_ts;
    uint32_t tsval, tsecr;
    bool has_cookie, cookie_experimental;
    struct tarn_span cookie; /* empty: asked for */
    /* AccECN's (RFC 9768 section 3.2.3): bytes of ECT(0), CE and ECT(1), modulo 2^24, or in the
     * other order; not all of them need be there. */
    bool has_accecn, accecn_ect1_first;
    uint8_t accecn_count;
    uint32_t accecn[TCP_ACCECN_FIELDS];
    struct tcp_sack_block sack[TCP_SACK_BLOCKS_MAX];
};

/* A received segment, its header taken off. */
struct tcp_segment {
    const struct tarn_ip_meta *meta;
    struct tarn_pkt *pkt; /* the payload; NULL once it has been kept or freed */
    uint16_t src_port, dst_port;
    uint32_t seq, ack, len; /* len: payload bytes */
    uint16_t wnd;
    uint8_t flags;
    uint8_t ace;          /* AE, CWR and ECE (RFC 9768 section 3.1.1) */
    uint32_t piece_bytes; /* the payload of each of the segments that GRO put together, or len */
    struct tcp_options opt;
};
/* What the segment takes in sequence space (RFC 9293 section 3.4). */
static inline uint32_t segment_space(const struct tcp_segment *s) {
    return s->len + (s->flags & TCP_SYN ? 1 : 0) + (s->flags & TCP_FIN ? 1 : 0);
}

/* As how many segments it left the peer. */
static inline uint32_t segment_pieces(const struct tcp_segment *s) {
    return s->len ? (s->len + s->piece_bytes - 1) / s->piece_bytes : 1;
}

static inline uint32_t now_us(const struct tarn_tcp *tcp) {
    return (uint32_t)(tcp->now / 1000);
}
static inline uint32_t now_ms(const struct tarn_tcp *tcp) {
    return (uint32_t)(tcp->now / 1000000);
}

/* segment.c: the wire format. */
enum tcp_parse { TCP_PARSE_OK, TCP_PARSE_MALFORMED, TCP_PARSE_CHECKSUM };
enum tcp_parse tcp_segment_parse(struct tcp_segment *seg, const struct tarn_ip_meta *meta,
                                 struct tarn_pkt *pkt);
struct tcp_header {
    struct tarn_ip_addr local, remote;
    uint16_t local_port, remote_port;
    uint32_t seq, ack;
    uint16_t wnd;
    uint8_t flags;
    bool ae; /* the ninth flag */
    struct tcp_options opt;
};
/* Bytes that the options take, padded. */
uint32_t tcp_options_bytes(const struct tcp_header *h);
/* A packet with that header, to which payload can be lent, or NULL (no_packet). */
struct tarn_pkt *tcp_segment_new(struct tarn_tcp *tcp, const struct tcp_header *h);
/* Sends it, with the flags that stand in `h` by now. gso_size 0: one segment. */
void tcp_segment_send(struct tarn_tcp *tcp, const struct tcp_header *h, struct tarn_pkt *pkt,
                      uint32_t gso_size, uint8_t ecn);
/* A reset for a segment that belongs to nothing (RFC 9293 section 3.10.7.1). */
void tcp_reset_answer(struct tarn_tcp *tcp, const struct tcp_segment *seg);

/* conn.c: coming and going. */
uint64_t tcp_tuple_hash(const struct tarn_hash_key *key, const struct tarn_ip_addr *local,
                        uint16_t local_port, const struct tarn_ip_addr *remote,
                        uint16_t remote_port);
struct tcp_conn *tcp_conn_find(struct tarn_tcp *tcp, const struct tarn_ip_addr *local,
                               uint16_t local_port, const struct tarn_ip_addr *remote,
                               uint16_t remote_port);
/* A new one in the table, state CLOSED, or NULL (drop_connections). */
struct tcp_conn *tcp_conn_new(struct tarn_tcp *tcp, const struct tarn_endpoint *local,
                              const struct tarn_endpoint *remote);
/* Gives everything back. */
void tcp_conn_free(struct tcp_conn *c);
/* The connection is over with `err` (RFC 9293's CLOSED); what its owner has not closed stays for it
 * to see. The conn may be gone afterwards. */
void tcp_conn_end(struct tcp_conn *c, enum tarn_err err);
/* All is known to begin: window scale, MSS, congestion control. `peer` is what the SYN said. */
void tcp_conn_negotiate(struct tcp_conn *c, const struct tcp_options *peer);
void tcp_conn_route(struct tcp_conn *c);
void tcp_conn_set_mss(struct tcp_conn *c);
void tcp_conn_time_wait(struct tcp_conn *c);
/* Another congestion controller, keeping cwnd and ssthresh. False: no block of memory for it. */
bool tcp_conn_set_cc(struct tcp_conn *c, const struct tarn_tcp_cc_ops *ops);
void tcp_conn_dirty(struct tcp_conn *c);
void tcp_conn_event(struct tcp_conn *c, unsigned events);
void tcp_events_run(struct tarn_task *task);
void tcp_conn_established(struct tcp_conn *c);
uint32_t tcp_isn(struct tarn_tcp *tcp, const struct tarn_ip_addr *local, uint16_t local_port,
                 const struct tarn_ip_addr *remote, uint16_t remote_port);
uint32_t tcp_ts_offset(struct tarn_tcp *tcp, const struct tarn_ip_addr *local, uint16_t local_port,
                       const struct tarn_ip_addr *remote, uint16_t remote_port);
uint8_t tcp_wscale_for(uint32_t bytes);
/* The MSS that is announced towards a peer, from the route (RFC 6691). */
uint16_t tcp_mss_for_mtu(uint16_t mtu, const struct tarn_ip_addr *peer);

/* own.c */
/* The connection's, taken where it has none; NULL: owns_max. */
struct tcp_own *tcp_own_of(struct tcp_conn *c);
bool tcp_budget_is_set(const struct tarn_tcp_budget *b);
bool tcp_budget_set(struct tcp_conn *c, const struct tarn_tcp_budget *budget);
uint32_t tcp_snd_buf_max(const struct tcp_conn *c);
uint16_t tcp_mss_max(const struct tcp_conn *c);
/* Counters, where the connection has any. */
void tcp_count_in(struct tcp_conn *c, const struct tcp_segment *seg);
void tcp_count_out(struct tcp_conn *c, uint32_t payload, bool again);
/* What sending waits for may have changed. */
void tcp_count_wait(struct tcp_conn *c);

/* flow.c, listen.c */
extern const struct tarn_flow_ops tcp_flow_ops;
void tcp_listen_input(struct tarn_tcp *tcp, struct tcp_segment *seg);
struct tcp_half *tcp_half_find(struct tarn_tcp *tcp, const struct tcp_segment *seg);
void tcp_half_input(struct tarn_tcp *tcp, struct tcp_half *half, struct tcp_segment *seg);
void tcp_half_timer(struct tarn_tcp *tcp, struct tcp_half *half);
struct tcp_listener *tcp_listener_find(struct tarn_tcp *tcp, const struct tarn_ip_addr *addr,
                                       uint16_t port);
/* A SYN for a listener, with an ISN that is to be used (RFC 6191), or NULL. */
void tcp_listen_syn(struct tarn_tcp *tcp, struct tcp_listener *l, struct tcp_segment *seg,
                    const uint32_t *iss);

void tcp_half_free(struct tarn_tcp *tcp, struct tcp_half *half);
/* Sends the SYN-ACK, now and at its time again. */
void tcp_half_start(struct tarn_tcp *tcp, struct tcp_half *half);
/* Takes a listener; it is in no table yet. NULL: listeners_max. */
struct tcp_listener *tcp_listener_new(struct tarn_tcp *tcp, const struct tarn_endpoint *local,
                                      uint32_t backlog);
bool tcp_listener_owns(const struct tarn_listener *listener);

/* stand_in.c */
/* A fresh record of the SYN queue waits for tarn_tcp_answer. */
void tcp_call_begin(struct tcp_listener *l, struct tcp_half *half);
void tcp_call_input(struct tarn_tcp *tcp, struct tcp_half *half, struct tcp_segment *seg);
/* No more listening: calls that were not taken are forgotten. */
void tcp_calls_end(struct tcp_listener *l);

/* cookie.c */
uint32_t tcp_cookie_make(struct tarn_tcp *tcp, const struct tcp_segment *syn, const uint16_t *mss);
uint32_t tcp_cookie_tsval(const struct tarn_tcp *tcp, const struct tcp_half *half);
/* Whether the ACK answers one that is not too old; then `half` is what it stands for. */
bool tcp_cookie_check(struct tarn_tcp *tcp, const struct tcp_segment *ack, struct tcp_half *half);

/* ecn.c: RFC 3168 and RFC 9768. */
/* The ACE field of a header. */
void tcp_ace_put(struct tcp_header *h, unsigned ace);
/* How a SYN's or SYN-ACK's own mark is told to its sender (RFC 9768 section 3.1.1). */
unsigned tcp_ace_of_syn(unsigned ecn);
/* What a SYN asks for, and what a SYN-ACK grants. */
void tcp_ecn_asked(const struct tarn_tcp *tcp, const struct tcp_segment *syn,
                   struct tcp_half *half);
/* What of enum tarn_tcp_ecn the next SYN asks for. */
uint8_t tcp_ecn_asks(const struct tcp_conn *c);
void tcp_ecn_granted(struct tcp_conn *c, const struct tcp_segment *syn_ack);
void tcp_ecn_begins(struct tcp_conn *c, const struct tcp_half *half, struct tcp_segment *last);
/* An acceptable segment: its marks are noted, to be echoed. */
void tcp_ecn_received(struct tcp_conn *c, const struct tcp_segment *seg);
/* Whether the ACK says that something of ours was marked. */
bool tcp_ecn_reports(struct tcp_conn *c, const struct tcp_segment *seg, uint32_t acked_bytes);
void tcp_ecn_header(struct tcp_conn *c, struct tcp_header *h);
/* The option of a SYN-ACK. */
void tcp_ecn_option_first(struct tcp_header *h);
/* Adds the option where there is something to tell, as much of it as fits into `room` bytes. */
void tcp_ecn_option(struct tcp_conn *c, struct tcp_header *h, uint32_t room);
/* Whether it would; then a SACK block has to go without room (section 3.2.3.3). */
bool tcp_ecn_option_is_due(const struct tcp_conn *c);

/* fast_open.c */
/* The cookie for that address, written to `out`. */
struct tarn_span tcp_fast_open_cookie(struct tarn_tcp *tcp, const struct tarn_ip_addr *peer,
                                      struct tarn_bytes out);
/* The SYN brings data, a good cookie, and is not one too many. */
bool tcp_fast_open_allows(struct tarn_tcp *tcp, const struct tcp_segment *syn);
/* It brings a cookie that is as new as they are. */
bool tcp_fast_open_has_cookie(struct tarn_tcp *tcp, const struct tcp_segment *syn);
void tcp_fast_open_begin(struct tcp_conn *c, struct tcp_segment *syn);
void tcp_fast_open_end(struct tcp_conn *c);
bool tcp_fast_open_again(struct tcp_conn *c, const struct tcp_segment *seg);
void tcp_fast_open_learn(struct tcp_conn *c, const struct tcp_options *opt);
void tcp_fast_open_forget(struct tcp_conn *c);
uint32_t tcp_fast_open_syn(struct tcp_conn *c, struct tcp_options *opt);
void tcp_fast_open_acked(struct tcp_conn *c, uint32_t n);

/* input.c, ack.c */
void tcp_conn_input(struct tcp_conn *c, struct tcp_segment *seg);
/* False: the segment is not to be looked at further. */
bool tcp_ack_input(struct tcp_conn *c, const struct tcp_segment *seg);
/* False: enough ACKs were sent for the asking in this second (RFC 5961 section 7). */
bool tcp_may_challenge(struct tarn_tcp *tcp);
void tcp_challenge_ack(struct tcp_conn *c);
void tcp_rtt_sample(struct tcp_conn *c, uint32_t rtt_us);

/* A sample of the delivery rate in the making: the newest transmission that an ACK is about. */
struct tcp_rate {
    bool valid, app_limited;
    uint32_t prior_delivered, send_us, ack_us, end, tx_in_flight, lost_before;
};

/* recovery.c: what is lost, and how much may be sent (RFC 6582, 6675, 6937, 8985). */
struct tcp_ack_round {
    uint32_t acked;      /* bytes newly acknowledged cumulatively, and not SACKed before */
    uint32_t sacked;     /* bytes newly SACKed */
    uint32_t sacked_end; /* behind the highest of them, where there are any */
    uint32_t in_flight_before;
    uint32_t rtt_us; /* 0: none */
    uint32_t tsecr;  /* where has_ts */
    bool advanced, duplicate, dsack, ece, has_ts;
    struct tcp_rate rate;
    bool karn; /* it acknowledges what was sent twice: no round trip can be told */
};
/* `s` has arrived up to `end`. */
void tcp_rack_delivered(struct tcp_conn *c, const struct tcp_sent *s, uint32_t end,
                        const struct tcp_segment *seg);
void tcp_recovery_ack(struct tcp_conn *c, const struct tcp_ack_round *round);
void tcp_recovery_timeout(struct tcp_conn *c);
void tcp_recovery_reo_timer(struct tcp_conn *c);
/* The tail loss probe (RFC 8985 section 7). */
void tcp_recovery_probe(struct tcp_conn *c);
/* Whether and in how many microseconds one is due; false: RTO has to do. */
bool tcp_probe_timeout(const struct tcp_conn *c, uint32_t *us);
uint32_t tcp_in_flight(const struct tcp_conn *c);
/* How many bytes congestion control lets go now. */
uint32_t tcp_send_budget(const struct tcp_conn *c);

/* mtu.c */
void tcp_mtu_lowered(struct tcp_conn *c, uint16_t mtu, uint16_t failed);
/* A timeout: full segments may be what vanishes. The route may know better by now, too. True: they
 * are smaller from here on. */
bool tcp_mtu_timeout(struct tcp_conn *c);
/* Sends one larger segment, if it is time to. True: as soon as cwnd has room for it; until then,
 * nothing else should take that. */
bool tcp_mtu_probe(struct tcp_conn *c);
void tcp_mtu_probe_acked(struct tcp_conn *c);
void tcp_mtu_probe_lost(struct tcp_conn *c);

/* rate.c */
void tcp_rate_sent(struct tcp_conn *c, struct tcp_sent *s);
void tcp_rate_delivered(struct tcp_conn *c, const struct tcp_sent *s, uint32_t bytes,
                        struct tcp_ack_round *round);
void tcp_rate_sample(struct tcp_conn *c, const struct tcp_rate *r, struct tarn_tcp_cc_ack *ack);
/* All that was written has been sent, and more could have been. */
void tcp_rate_ran_out(struct tcp_conn *c);
/* Bytes a second; 0: as fast as the window allows. */
uint32_t tcp_pacing_rate(const struct tcp_conn *c);
uint32_t tcp_pacing_quantum(const struct tcp_conn *c);
/* It is not yet time to send; the timer is set for when it is. */
bool tcp_pacing_holds(struct tcp_conn *c);
void tcp_pacing_sent(struct tcp_conn *c, uint32_t bytes);

/* send_queue.c */
struct tcp_piece *tcp_piece_first(const struct tcp_conn *c);
size_t tcp_queue_copy(struct tcp_conn *c, struct tarn_span data);
size_t tcp_queue_lend(struct tcp_conn *c, struct tarn_span data, struct tarn_lease *lease);
uint32_t tcp_queue_room(const struct tcp_conn *c);
void tcp_queue_acked(struct tcp_conn *c, uint32_t bytes);
void tcp_queue_clear(struct tcp_conn *c);
/* Lends [piece + off, len) to the packet; how many bytes its fragments had room for. */
uint32_t tcp_queue_attach(struct tcp_piece *piece, uint32_t off, uint32_t len,
                          struct tarn_pkt *pkt);
void tcp_queue_advance(struct tcp_piece **piece, uint32_t *off, uint32_t len);

/* sent.c: the records of what is in flight. */
struct tcp_sent *tcp_sent_new(struct tcp_conn *c, uint32_t seq, uint32_t len, uint8_t flags);
void tcp_sent_free(struct tcp_conn *c, struct tcp_sent *s);
uint32_t tcp_tree_priority(struct tarn_tcp *tcp);
/* Cuts so that `s` has the first `len` bytes; the rest is a record of its own. NULL: no record. */
struct tcp_sent *tcp_sent_split(struct tcp_conn *c, struct tcp_sent *s, uint32_t len);
void tcp_sent_lost(struct tcp_conn *c, struct tcp_sent *s);
void tcp_sent_transmitted(struct tcp_conn *c, struct tcp_sent *s);
void tcp_sent_sack(struct tcp_conn *c, const struct tcp_segment *seg, struct tcp_ack_round *round);
void tcp_sent_unsack_all(struct tcp_conn *c);
uint32_t tcp_sent_acked(struct tcp_conn *c, const struct tcp_segment *seg,
                        struct tcp_ack_round *round);
struct tcp_sent *tcp_sent_oldest(const struct tcp_conn *c);
/* The next that is to be sent again, or NULL. */
struct tcp_sent *tcp_sent_first_lost(const struct tcp_conn *c);
/* Makes sure that there is a flight; the pool has one for each connection. */
void tcp_flight_begin(struct tcp_conn *c);
/* Gives it back where nothing is in flight any more, and nothing is left to be learnt. */
void tcp_flight_end(struct tcp_conn *c);

/* recv_queue.c */
/* Keeps the segment's payload, in or out of order; takes seg->pkt where it keeps the packet. */
void tcp_receive_data(struct tcp_conn *c, struct tcp_segment *seg);
void tcp_receive_consume(struct tcp_conn *c, size_t n);
void tcp_receive_clear(struct tcp_conn *c);
uint32_t tcp_receive_window(const struct tcp_conn *c);
uint8_t tcp_receive_sacks(const struct tcp_conn *c, struct tcp_sack_block *blocks, uint8_t max);

/* output.c */
void tcp_output(struct tcp_conn *c);
void tcp_send_reset(struct tcp_conn *c);
/* One packet of what was sent before, or of new data; false: it could not be sent now. `force`: for
 * a timer, whatever congestion control and Nagle say. */
bool tcp_retransmit(struct tcp_conn *c, struct tcp_sent *s, uint32_t len_max);
bool tcp_send_new(struct tcp_conn *c, bool force);
/* `len` new bytes in one segment, which window and cwnd allow. */
bool tcp_send_probe(struct tcp_conn *c, uint32_t len);

/* timer.c */
void tcp_timer_fire(struct tcp_conn *c);
void tcp_timer_update(struct tcp_conn *c);
/* Arms what guards against loss: RTO, or before it the probe or reordering timer. */
void tcp_timer_xmit(struct tcp_conn *c);
void tcp_timer_slow(struct tcp_conn *c);

#endif
