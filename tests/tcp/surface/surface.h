/* SPDX-License-Identifier: ISC */
/* surface.h: Tarn's TCP as sockets in virtual time, for conformance drivers that Tarn knows nothing
 * about. libtarn-tcp-surface.so is this header and nothing else: no Tarn type is in it.
 *
 * A host is one machine: lib/ip and lib/tcp over a line without link addresses. Packets go in and
 * come out as whole IPv4 or IPv6 packets; the driver is the network and the peer. Nothing happens
 * but in a call, and no time passes but by tarn_surface_step and tarn_surface_advance, so a run
 * with one seed is the same run every time. A call returns once the host has done all that it can
 * at that instant: what a write causes to be sent can be taken right behind it.
 *
 * Calls are those of BSD sockets, and never block: where a blocking socket would wait, they answer
 * -EAGAIN (connect: -EINPROGRESS), and the driver lets time pass or gives a packet and calls again.
 * Every call answers what its namesake does, or a negated errno:
 *   ECONNREFUSED  a reset or an ICMP port error before the connection was there
 *   ECONNRESET    a reset later; EPIPE where the peer's FIN had come before
 *   ETIMEDOUT     no answer for too long (or what ICMP said was the reason: EHOSTUNREACH, ...)
 *   EPIPE         write after shutdown, or after the connection's error has been reported
 *   EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT, EALREADY, EBADF, EINVAL, EISCONN, ENETUNREACH,
 *   ENOBUFS (a limit of the host), ENOPROTOOPT, ENOTCONN, as everywhere
 * An error of the connection is reported once, by the first call that meets it or by
 * TARN_SURFACE_ERROR; then reading answers 0 and writing -EPIPE.
 *
 * What differs from Linux: binding knows nothing of connections in TIME-WAIT; SO_SNDBUF and
 * SO_RCVBUF are bytes of payload, not doubled; nothing blocks, whatever MSG_DONTWAIT says.
 *
 * One host is used by one thread at a time; any number of hosts may be open.
 */
#ifndef TARN_SURFACE_H
#define TARN_SURFACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tarn_surface;

/* A host, by a list "name=value,name=value"; NULL: something in it is not understood (errno EINVAL)
 * or there is no memory (ENOMEM). All have defaults:
 *   ipv4=192.168.0.1/16  ipv6=fd3d:a0b:17d6::1/64  mtu=1500  seed=1
 *   gso=0              1: packets out are super-segments of up to 64 KiB where TCP makes such
 *   sockets=1024       descriptors
 *   memory=16777216    bytes for the buffers of all connections
 *   rcvbuf=1048576     the largest receive window; rcvbuf_min=65536 the one to start with
 *   sndbuf=1048576     the send limit of a socket that has not set its own
 *   syn_queue=256      half-open connections
 *   cc=cubic           or newreno, bbr
 *   iw=10              the initial window in segments
 *   ecn=accept         or ask, accurate, off
 *   accecn_option=1    AccECN's option
 *   sack=1 timestamps=1 wscale=1 cookies=1 pacing=0
 *   fast_open=0        1: as Linux with TCP_FASTOPEN on every listener; 2: also without cookies
 *   rto_min=200 ack_delay=40 time_wait=60000 fin_wait_2=60000 user_timeout=900000
 *   connect_timeout=127000   milliseconds */
struct tarn_surface *tarn_surface_open(const char *options);
void tarn_surface_free(struct tarn_surface *host);

/* -- the clock: nanoseconds since some time before the host was opened -- */
uint64_t tarn_surface_now(const struct tarn_surface *host);
/* When something is next due; UINT64_MAX: never. */
uint64_t tarn_surface_deadline(const struct tarn_surface *host);
/* Goes to the next deadline and does what is due, or to `until` where that is sooner (and answers
 * true). A time in the past is now. */
bool tarn_surface_step(struct tarn_surface *host, uint64_t until);
/* Steps all the way to `until`. */
void tarn_surface_advance(struct tarn_surface *host, uint64_t until);

/* -- the wire -- */
/* A packet arrives. -ENOBUFS: the host has no packet left; -EINVAL: longer than 65,535 bytes. */
int tarn_surface_packet_in(struct tarn_surface *host, const void *packet, size_t bytes);
/* The oldest packet that was sent and not taken yet: its length, and in *when the time at which it
 * was sent. 0: there is none. -EMSGSIZE: it has more than `bytes`, and stays. */
ssize_t tarn_surface_packet_out(struct tarn_surface *host, void *packet, size_t bytes,
                                uint64_t *when);

/* -- sockets: small numbers from 0 on -- */
int tarn_surface_socket(struct tarn_surface *host, int family); /* AF_INET, AF_INET6 */
int tarn_surface_bind(struct tarn_surface *host, int fd, const struct sockaddr *addr,
                      socklen_t bytes);
int tarn_surface_listen(struct tarn_surface *host, int fd, int backlog);
/* `addr` and `bytes` may be NULL, or are filled as by accept. */
int tarn_surface_accept(struct tarn_surface *host, int fd, struct sockaddr *addr, socklen_t *bytes);
/* -EINPROGRESS; poll says POLLOUT once it is over, and another call 0, -EALREADY or its error. */
int tarn_surface_connect(struct tarn_surface *host, int fd, const struct sockaddr *addr,
                         socklen_t bytes);
ssize_t tarn_surface_read(struct tarn_surface *host, int fd, void *data, size_t bytes);
ssize_t tarn_surface_write(struct tarn_surface *host, int fd, const void *data, size_t bytes);
/* MSG_PEEK, MSG_TRUNC (what is read is thrown away); MSG_MORE, and MSG_FASTOPEN in sendto on a
 * socket that is not connected: the connection is opened to `addr`, with data where the peer's
 * cookie is known, else -EINPROGRESS as connect. MSG_DONTWAIT, MSG_NOSIGNAL, MSG_WAITALL and
 * MSG_EOR change nothing; any other flag is -EOPNOTSUPP. */
ssize_t tarn_surface_recv(struct tarn_surface *host, int fd, void *data, size_t bytes, int flags);
ssize_t tarn_surface_send(struct tarn_surface *host, int fd, const void *data, size_t bytes,
                          int flags);
ssize_t tarn_surface_sendto(struct tarn_surface *host, int fd, const void *data, size_t bytes,
                            int flags, const struct sockaddr *addr, socklen_t addr_bytes);
int tarn_surface_shutdown(struct tarn_surface *host, int fd, int how); /* SHUT_RD, _WR, _RDWR */
int tarn_surface_close(struct tarn_surface *host, int fd);
/* As close with a linger of 0: the peer sees a reset. */
int tarn_surface_abort(struct tarn_surface *host, int fd);
/* POLLIN, POLLOUT, POLLRDHUP, POLLHUP, POLLERR as poll(2) would set them, or -EBADF. */
int tarn_surface_poll(struct tarn_surface *host, int fd);
int tarn_surface_getsockname(struct tarn_surface *host, int fd, struct sockaddr *addr,
                             socklen_t *bytes);
int tarn_surface_getpeername(struct tarn_surface *host, int fd, struct sockaddr *addr,
                             socklen_t *bytes);

/* A listener's options go to the connections that it accepts. */
enum tarn_surface_option {
    TARN_SURFACE_NODELAY,        /* 0, 1 */
    TARN_SURFACE_KEEPALIVE,      /* 0, 1 */
    TARN_SURFACE_KEEPIDLE,       /* seconds [7200] */
    TARN_SURFACE_KEEPINTVL,      /* seconds [75] */
    TARN_SURFACE_KEEPCNT,        /* probes [9] */
    TARN_SURFACE_USER_TIMEOUT,   /* ms; 0: the host's */
    TARN_SURFACE_LINGER,         /* -1: off; 0: close resets; seconds are taken for -1 */
    TARN_SURFACE_SNDBUF,         /* bytes written and not acknowledged, at most */
    TARN_SURFACE_REUSEADDR,      /* 0, 1 */
    TARN_SURFACE_ERROR,          /* get: the pending error as a positive errno, which it clears */
    TARN_SURFACE_UNREAD,         /* get: bytes to read (SIOCINQ) */
    TARN_SURFACE_UNACKNOWLEDGED, /* get: bytes written and not acknowledged (SIOCOUTQ) */
    TARN_SURFACE_UNSENT,         /* get: of those, never sent (SIOCOUTQNSD) */
    TARN_SURFACE_RCVBUF,         /* the receive window, at least 2304; 0: the host's, and tuned */
    TARN_SURFACE_CORK,           /* 0, 1 */
    TARN_SURFACE_NOTSENT_LOWAT,  /* bytes never sent that hold a writer back; 0: none do */
    TARN_SURFACE_MAXSEG,         /* 88 to 32767, 0: the path's; get: what a segment may carry now */
    TARN_SURFACE_FASTOPEN,       /* a listener's; taken, where the host has fast_open */
    TARN_SURFACE_FASTOPEN_CONNECT, /* 0, 1: connect waits for the first write, which goes with the
                                      SYN */
};
int tarn_surface_set(struct tarn_surface *host, int fd, enum tarn_surface_option option,
                     int64_t value);
int tarn_surface_get(struct tarn_surface *host, int fd, enum tarn_surface_option option,
                     int64_t *value);
/* "cubic", "newreno" ("reno") or "bbr". -ENOENT: no such. */
int tarn_surface_set_congestion(struct tarn_surface *host, int fd, const char *name);

/* What TCP_INFO tells, in bytes and nanoseconds. */
struct tarn_surface_info {
    char state[16];      /* RFC 9293's name: "SYN-SENT", "ESTABLISHED", ... */
    char congestion[16]; /* the controller's name */
    uint32_t sack, timestamps, window_scaling, ecn;
    uint32_t snd_wscale, rcv_wscale;
    uint32_t in_recovery, in_loss; /* fast recovery; after a retransmission timeout */
    uint32_t backoffs;             /* retransmission timeouts in a row */
    uint32_t snd_mss, path_mtu;
    uint32_t cwnd, ssthresh; /* ssthresh UINT32_MAX: none yet */
    uint32_t snd_wnd, rcv_wnd, rcv_buf;
    uint32_t unacked;   /* sent and not acknowledged */
    uint32_t sacked;    /* of those, SACKed */
    uint32_t lost;      /* of those, thought lost and not sent again yet */
    uint32_t in_flight; /* the rest */
    uint32_t unsent, unread, out_of_order;
    uint32_t retransmits; /* segments */
    uint32_t timeouts, tail_probes, spurious_recoveries;
    uint64_t srtt, rttvar, rtt_min, rto;
    uint64_t bytes_acked, bytes_received;
    uint32_t resent;     /* of unacked: sent again, and not SACKed or lost since */
    uint32_t reordering; /* the furthest that one of unacked was overtaken, in segments */
    uint32_t segments_in, segments_out, data_segments_in, data_segments_out;
    uint32_t out_of_order_segments, duplicate_segments, accurate_ecn;
    uint32_t fast_open; /* data went with the SYN, and was taken */
    uint64_t bytes_sent, bytes_resent, ce_bytes;
    uint64_t since_data_in, since_ack_in, since_data_out;
    uint64_t busy, window_limited, buffer_limited;
};
/* Of a socket with a connection, or of a listener (state "LISTEN" and nothing else). `bytes` is
 * sizeof *info: fields that a later version has at the end are not written. */
int tarn_surface_info(struct tarn_surface *host, int fd, struct tarn_surface_info *info,
                      size_t bytes);

/* Counters of the host, by the names that struct tarn_tcp_stats gives them ("segments_in",
 * "challenge_acks", "drop_paws", ...); -ENOENT: no such. */
int tarn_surface_stat(struct tarn_surface *host, const char *name, uint64_t *value);

#ifdef __cplusplus
}
#endif
#endif
