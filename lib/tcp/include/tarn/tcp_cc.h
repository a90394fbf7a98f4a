/* SPDX-License-Identifier: ISC */
/* tarn/tcp_cc.h: congestion control as an interface, to be implemented by strangers.
 *
 * A controller decides cwnd and ssthresh, both in bytes, and may decide at what rate data goes out.
 * What is lost, and when recovery starts and ends, is TCP's business and the same for all
 * controllers. There are two kinds. One that takes loss for congestion leaves it to TCP how much is
 * sent in recovery (PRR, RFC 6937). One that has a model of the path (`models`) is told of every
 * ACK with a sample of the delivery rate (draft-ietf-ccwg-bbr section 4.1), in recovery too, and
 * its cwnd always holds. A controller keeps its state in `state`, or in a block that TCP gives it;
 * its ops are constant and shared.
 */
#ifndef TARN_TCP_CC_H
#define TARN_TCP_CC_H

#include <tarn/compiler.h>
#include <tarn/time.h>

#define TARN_TCP_SSTHRESH_NONE UINT32_MAX
#define TARN_TCP_CC_BLOCK_BYTES 256u

struct tarn_tcp_cc_ops;
struct tarn_tcp_cc {
    const struct tarn_tcp_cc_ops *ops;
    uint32_t cwnd, ssthresh; /* bytes; ssthresh TARN_TCP_SSTHRESH_NONE at first */
    uint32_t mss;            /* bytes of payload in a full segment */
    uint32_t pacing_rate;    /* bytes a second; 0: this controller does not pace */
    union {
        uint32_t words[8];
        uint64_t quads[4];
        void *block; /* of block_bytes; what it holds before init is not said */
    } state;         /* the controller's own, zero before init */
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
    bool in_recovery;          /* after a loss or a timeout */

    /* For those that model: */
    uint32_t left_bytes; /* in flight after this ACK */
    uint32_t delivered;  /* bytes acknowledged or SACKed since the start, modulo 2^32 */
    bool has_sample;     /* the rest is valid, of the newest transmission that is acknowledged: */
    bool app_limited;    /* there had been nothing more to send */
    uint32_t rate; /* at which was delivered since it was sent, bytes a second; 0: no telling */
    uint32_t prior_delivered;    /* `delivered` when it was sent */
    uint32_t tx_in_flight_bytes; /* in flight then, with it */
    uint32_t sample_lost_bytes;  /* thought lost since */
};

/* One transmission that is thought lost. */
struct tarn_tcp_cc_loss {
    tarn_time now;
    uint32_t bytes;
    uint32_t delivered, tx_in_flight_bytes, sample_lost_bytes; /* as above; with it */
    bool app_limited;
};

struct tarn_tcp_cc_ops {
    const char *name;
    bool models;
    uint16_t block_bytes; /* 0: `state` does; up to TARN_TCP_CC_BLOCK_BYTES */
    /* cwnd, ssthresh and mss are set. srtt_us 0: not known yet. */
    void (*init)(struct tarn_tcp_cc *cc, uint32_t srtt_us);
    /* May raise cwnd. Outside of recovery; in it only where `models`. */
    void (*ack)(struct tarn_tcp_cc *cc, const struct tarn_tcp_cc_ack *ack);
    /* Recovery starts, by loss or by ECN, at most once a round trip: sets ssthresh (TCP takes cwnd
     * there, unless `models`) and remembers what undo needs. */
    void (*congestion)(struct tarn_tcp_cc *cc, tarn_time now, uint32_t flight_bytes);
    /* A retransmission timeout: sets ssthresh; TCP sets cwnd to one segment. `again`: the same data
     * timed out before, so ssthresh stays (RFC 5681 section 3.1). */
    void (*timeout)(struct tarn_tcp_cc *cc, tarn_time now, uint32_t flight_bytes, bool again);
    /* The last congestion or timeout was none: cwnd and ssthresh have been restored; the controller
     * restores the rest. */
    void (*undo)(struct tarn_tcp_cc *cc);
    /* Nothing was in flight for `idle`, and something is about to be. Where `models`, always; else
     * after a timeout's time, with cwnd reduced (RFC 5681 section 4.1). */
    void (*idle)(struct tarn_tcp_cc *cc, tarn_time now, tarn_time idle);
    /* Something is thought lost. NULL: only recovery's start matters. */
    void (*lost)(struct tarn_tcp_cc *cc, const struct tarn_tcp_cc_loss *loss);
};

extern const struct tarn_tcp_cc_ops tarn_tcp_cc_newreno; /* RFC 5681, 3465 */
extern const struct tarn_tcp_cc_ops tarn_tcp_cc_cubic;   /* RFC 9438, with HyStart++ (RFC 9406) */
extern const struct tarn_tcp_cc_ops tarn_tcp_cc_bbr;     /* draft-ietf-ccwg-bbr (BBRv3) */

#endif
