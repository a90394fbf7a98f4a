/* SPDX-License-Identifier: ISC */
/* A guest's network, made of the host's sockets: what the files of this program share. */
#ifndef USERNET_H
#define USERNET_H

#include <tarn/app.h>
#include <tarn/stack.h>

struct usernet {
    struct tarn_env *env;
    struct tarn_stack *guest; /* stands in for every host but the guest */
    struct tarn_net *host;
    struct tarn_ip_addr gateway, gateway6; /* ours, as the guest sees us; any: none */
    struct tarn_endpoint dns; /* who answers at the gateway's port 53; port 0: nobody */
    bool loopback;            /* the gateway's other ports are this machine's own */
};

/* Where on the host's side what the guest has sent to `to` goes. False: nowhere. */
bool usernet_outwards(const struct usernet *u, const struct tarn_endpoint *to,
                      struct tarn_endpoint *out);

/* streams.c */
TARN_MUST_USE enum tarn_err streams_start(struct usernet *u);
/* Ends what has come to nothing; every few seconds. */
void streams_sweep(tarn_time now);

/* inward.c */
/* Opens the host's ports that lead to the guest, as the key says. TARN_INVALID: it says no such
 * thing; TARN_LIMIT, TARN_IO: a port cannot be had. */
TARN_MUST_USE enum tarn_err inward_start(struct usernet *u, struct tarn_span wanted);

/* datagrams.c */
TARN_MUST_USE enum tarn_err datagrams_start(struct usernet *u);
void datagrams_sweep(tarn_time now);

#endif
