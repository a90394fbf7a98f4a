/* SPDX-License-Identifier: ISC */
/* tarn/tcp_cc.h: congestion control as an interface, to be implemented by strangers.
 *
 * A controller decides two numbers, cwnd and ssthresh, both in bytes. What is lost, when recovery
 * starts and ends, and how much is sent in it (PRR, RFC 6937) is TCP's business and the same for
 * all controllers. A controller keeps its state in `state`; its ops are constant and shared.
 */
#ifndef TARN_TCP_CC_H
#define TARN_TCP_CC_H

#include <tarn/compiler.h>
#include <tarn/time.h>

#define TARN_TCP_SSTHRESH_NONE UINT32_MAX

struct tarn_tcp_cc_ops;
struct tarn_tcp_cc {
    const struct tarn_tcp_cc_ops *ops;
    uint32_t cwnd, ssthresh; /* bytes; ssthresh TARN_TCP_SSTHRESH_NONE at first */
    uint32_t mss;            /* bytes of payload in a full segment */
    union {
        uint32_t words[12];
        uint64_t quads[6];
    } state; /* the controller's own, zero before init */
};

/* An ACK that acknowledged or SACKed something. */
struct tarn_tcp_cc_ack {
    tarn_time now;
    uint32_t acked_bytes;     /* newly acknowledged, cumulatively or by SACK */
    uint32_t in_flight_bytes; /* before this ACK */
    uint32_t rtt_us;          /* of this ACK; 0: none could be measured */
    uint32_t srtt_us, rtt_min_us;
    uint32_t snd_una, snd_nxt; /* for controllers that count rounds */
    bool cwnd_limited;         /* cwnd is what held sending back: without that it must not grow */
};

struct tarn_tcp_cc_ops {
    const char *name;
    /* cwnd, ssthresh and mss are set. */
    void (*init)(struct tarn_tcp_cc *cc);
    /* Outside of recovery: may raise cwnd. */
    void (*ack)(struct tarn_tcp_cc *cc, const struct tarn_tcp_cc_ack *ack);
    /* Recovery starts, by loss or by ECN, at most once a round trip: sets ssthresh (TCP takes cwnd
     * there) and remembers what undo needs. */
    void (*congestion)(struct tarn_tcp_cc *cc, tarn_time now, uint32_t flight_bytes);
    /* A retransmission timeout: sets ssthresh; TCP sets cwnd to one segment. `again`: the same data
     * timed out before, so ssthresh stays (RFC 5681 section 3.1). */
    void (*timeout)(struct tarn_tcp_cc *cc, tarn_time now, uint32_t flight_bytes, bool again);
    /* The last congestion or timeout was none: cwnd and ssthresh have been restored; the controller
     * restores the rest. */
    void (*undo)(struct tarn_tcp_cc *cc);
    /* Nothing was sent for `idle`; cwnd has been reduced (RFC 5681 section 4.1). */
    void (*idle)(struct tarn_tcp_cc *cc, tarn_time now, tarn_time idle);
};

extern const struct tarn_tcp_cc_ops tarn_tcp_cc_newreno; /* RFC 5681, 3465 */
extern const struct tarn_tcp_cc_ops tarn_tcp_cc_cubic;   /* RFC 9438, with HyStart++ (RFC 9406) */

#endif
