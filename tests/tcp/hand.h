/* SPDX-License-Identifier: ISC */
/* One connection of host 0, the other end of which is the test's own hand. */
#ifndef TESTS_TCP_HAND_H
#define TESTS_TCP_HAND_H

#include "net.h"

struct hand {
    struct net *net;
    struct tarn_listener *listener;
    struct tarn_flow *flow;   /* host 0's end; NULL until accepted */
    uint16_t peer_port, port; /* the hand's, host 0's */
    uint32_t seq, ack;        /* what the hand sends next, and expects next */
    uint32_t iss, irs;        /* the hand's first number, host 0's */
    uint32_t tsval, tsecr;
    bool timestamps;
};

/* SYN options: MSS 1460, and SACK, timestamps and window scale where asked for. */
enum { WITH_SACK = 1, WITH_TS = 2, WITH_WSCALE = 4 };
struct seg hand_syn(const struct hand *h, unsigned with);
struct seg hand_seg(const struct hand *h, unsigned flags, const char *payload);

/* Host 0 listens on port 80 and the hand connects; or host 0 connects to the hand. */
struct hand hand_passive(unsigned with, const struct tarn_tcp_limits *limits,
                         const struct tarn_tcp_options *options);
struct hand hand_active(unsigned with, const struct tarn_tcp_limits *limits,
                        const struct tarn_tcp_options *options);
/* Brings a fresh connection into a state. */
struct hand hand_in_state(enum tarn_tcp_state state);
enum tarn_tcp_state hand_state(const struct hand *h);
/* Sends; then what host 0 answers is still to be taken. */
void hand_give(struct hand *h, unsigned flags, const char *payload);
/* Reads all there is, which must be `text`. */
void hand_read(struct hand *h, const char *text);
void hand_write(struct hand *h, const char *text);
void hand_done(struct hand *h);

#endif
