/* SPDX-License-Identifier: ISC */
/* tarn/dns_secondary.h: a copy of a zone that another server has (RFC 1034 section 4.3.5): whole
 * transfers (RFC 5936), incremental ones (RFC 1995), and when to look for them.
 *
 * A copy is only ever replaced by a whole new zone, after the last record of the transfer has come,
 * so nobody is served half of a change. Memory is taken during a transfer: up to that of the old
 * and the new zone together.
 */
#ifndef TARN_DNS_SECONDARY_H
#define TARN_DNS_SECONDARY_H

#include <tarn/dns_message.h>
#include <tarn/dns_tsig.h>
#include <tarn/dns_zone.h>
#include <tarn/flow.h>
#include <tarn/task.h>

/* -- one transfer, message by message -----------------------------------------------------------
 */

struct tarn_dns_xfr {
    struct tarn_alloc *alloc;
    const struct tarn_dns_zone *current; /* NULL: none; a whole transfer was asked for */
    struct tarn_dns_zone *zone;          /* the new one in the making */
    const char *why;                     /* of an error */
    uint64_t memory_max, records;
    struct tarn_random *random;
    struct tarn_dns_name origin;
    uint32_t serial_new, serial_at; /* at: of an incremental one, how far it is */
    uint16_t id, state;
    struct tarn_dns_tsig tsig;
};
/* `current` NULL asks for all (AXFR); otherwise for what changed since (IXFR). `key` not NULL: both
 * sides sign (RFC 8945); wall_seconds below are only for that. */
void tarn_dns_xfr_init(struct tarn_dns_xfr *x, struct tarn_alloc *alloc, struct tarn_random *random,
                       struct tarn_span origin, const struct tarn_dns_zone *current,
                       uint64_t memory_max, const struct tarn_dns_tsig_key *key);
/* The request. False: it does not fit. */
TARN_MUST_USE bool tarn_dns_xfr_request(struct tarn_dns_xfr *x, uint64_t wall_seconds,
                                        struct tarn_bytes out, struct tarn_span *request);
/* TARN_AGAIN: more messages are needed. TARN_OK: done; x->zone is the new zone, sealed, which is
 * the caller's from now on, or NULL: the current one is as new. TARN_UNSUPPORTED: the primary does
 * not know IXFR, or its changes do not fit to what is here: ask for all. TARN_PEER, TARN_LIMIT: it
 * failed, see why. After all but AGAIN and OK, call fini. */
TARN_MUST_USE enum tarn_err tarn_dns_xfr_input(struct tarn_dns_xfr *x, uint64_t wall_seconds,
                                               struct tarn_span message);
/* Frees what a transfer that is not done has. */
void tarn_dns_xfr_fini(struct tarn_dns_xfr *x);

/* -- and when ------------------------------------------------------------------------------------
 */

#define TARN_DNS_PRIMARIES_MAX 4

struct tarn_dns_secondary;
struct tarn_dns_secondary_config {
    struct tarn_alloc *alloc;
    struct tarn_random *random;
    struct tarn_net *net;
    struct tarn_span origin;                                /* copied */
    struct tarn_endpoint primaries[TARN_DNS_PRIMARIES_MAX]; /* asked in turn */
    unsigned primary_count;
    uint64_t memory_max;   /* of a zone; 0: 1 GiB */
    tarn_time transfer_ns; /* without a byte from the primary; 0: 30 s */
    /* A newer zone, to be served and in the end freed by the caller. The one before is not used
     * here any more once this returns. From the loop. */
    void (*on_zone)(void *user, struct tarn_dns_zone *zone);
    /* The SOA's expire has passed without a word from a primary (RFC 1034 section 4.3.5): the copy
     * is not to be served any more, and is not used here after this. */
    void (*on_expired)(void *user);
    void *user;
    const struct tarn_dns_tsig_key *key; /* NULL: nothing is signed; borrowed */
    struct tarn_clock *clock;            /* for signatures; not needed without a key */
    struct tarn_log *log;                /* may be NULL */
};
/* Starts with the first tick. TARN_LIMIT: no memory (67 KiB). */
TARN_MUST_USE enum tarn_err tarn_dns_secondary_new(const struct tarn_dns_secondary_config *config,
                                                   struct tarn_dns_secondary **out);
void tarn_dns_secondary_free(struct tarn_dns_secondary *s);
void tarn_dns_secondary_tick(struct tarn_dns_secondary *s, tarn_time now);
tarn_time tarn_dns_secondary_deadline(const struct tarn_dns_secondary *s);
/* A NOTIFY came: looks now (RFC 1996 section 3.11). */
void tarn_dns_secondary_notify(struct tarn_dns_secondary *s);
/* It is one of the primaries. */
bool tarn_dns_secondary_knows(const struct tarn_dns_secondary *s, const struct tarn_ip_addr *addr);

#endif
