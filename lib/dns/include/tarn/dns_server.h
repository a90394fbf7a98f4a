/* SPDX-License-Identifier: ISC */
/* tarn/dns_server.h: an authoritative server: a query goes in, an answer comes out.
 *
 * Answers from zones (tarn/dns_zone.h) as RFC 1034 section 4.3.2, RFC 4592 (wildcards), RFC 6672
 * (DNAME), RFC 8020 and RFC 2308 (negative answers), RFC 4035 and RFC 5155 (signed zones, with NSEC
 * or NSEC3), RFC 6891 (EDNS), RFC 7873 and RFC 9018 (cookies), RFC 8482 (ANY is answered by one
 * record set) and RFC 9471 (glue) say. Zones go out as RFC 5936 (AXFR) and RFC 1995 (IXFR: what
 * changed, where the zone's journal goes back so far, otherwise all) say.
 *
 * Never blocks, allocates while it answers, or reads a clock. The work for a query is bounded by
 * its length, by TARN_DNS_CHAIN_MAX steps along CNAME and DNAME, and by the answer's length.
 */
#ifndef TARN_DNS_SERVER_H
#define TARN_DNS_SERVER_H

#include <tarn/dns_message.h>
#include <tarn/dns_tsig.h>
#include <tarn/dns_zone.h>
#include <tarn/ip_addr.h>
#include <tarn/time.h>

#define TARN_DNS_CHAIN_MAX 12
#define TARN_DNS_HOLD 0x8000u   /* beside a response's code */
#define TARN_DNS_UDP_BYTES 1232 /* what is said in EDNS where nothing else is configured */

/* Response rate limiting: how many like answers a second one network (IPv4 /24, IPv6 /56) gets over
 * UDP without a valid cookie. Of those that are too many, every slip-th is answered with an empty
 * truncated message, so that whoever is real comes by TCP; the rest is dropped. */
struct tarn_dns_rrl_config {
    uint32_t per_second; /* 0: off */
    uint32_t slip;       /* 0: never, 1: always, 2: every second one, ... */
    uint32_t entries;    /* of the table, 12 bytes each; 0: 16384 */
};

struct tarn_dns_server;
struct tarn_dns_server_config {
    struct tarn_alloc *alloc;
    struct tarn_random *random;
    uint32_t zones_max;     /* 0: 64 */
    uint16_t udp_bytes_max; /* of an answer over UDP; 0: TARN_DNS_UDP_BYTES */
    struct tarn_span nsid;  /* borrowed; empty: no NSID */
    struct tarn_dns_rrl_config rrl;
    /* What queries may be signed with (RFC 8945); borrowed. */
    const struct tarn_dns_tsig_key *keys;
    size_t key_count;
    /* Who may have a whole zone; `key` is what the query was signed with, or NULL. NULL: nobody. */
    bool (*may_transfer)(void *user, struct tarn_span zone, const struct tarn_endpoint *client,
                         const struct tarn_dns_tsig_key *key);
    /* A NOTIFY for a zone (RFC 1996), which need not be here yet. True: it is from a primary of it,
     * and is acknowledged; the caller then refreshes. NULL: all are refused. */
    bool (*on_notify)(void *user, struct tarn_span zone, const struct tarn_endpoint *client,
                      const struct tarn_dns_tsig_key *key);
    /* An UPDATE for a zone that is here (RFC 2136): the whole message, and the key that it was
     * signed with, or NULL. Answers with the response's code, as tarn_dns_update does; with
     * TARN_DNS_HOLD where the response is to wait until the change is safe (see
     * tarn_dns_service_release). NULL: there are no updates. */
    unsigned (*on_update)(void *user, struct tarn_dns_zone *zone,
                          const struct tarn_endpoint *client, const struct tarn_dns_tsig_key *key,
                          struct tarn_span message);
    void *user;
};
TARN_MUST_USE enum tarn_err tarn_dns_server_new(const struct tarn_dns_server_config *config,
                                                struct tarn_dns_server **out);
/* The zones stay the caller's. */
void tarn_dns_server_free(struct tarn_dns_server *s);

/* Serves a sealed zone from now on, in the place of one with the same origin, which *was becomes
 * (NULL: none) and which the caller may free once no transfer uses it. TARN_LIMIT: too many zones.
 */
TARN_MUST_USE enum tarn_err tarn_dns_server_set_zone(struct tarn_dns_server *s,
                                                     struct tarn_dns_zone *zone,
                                                     struct tarn_dns_zone **was);
/* Stops serving it: NULL where there is none. */
struct tarn_dns_zone *tarn_dns_server_remove_zone(struct tarn_dns_server *s,
                                                  struct tarn_span origin);
/* The zone with this origin, or NULL. */
struct tarn_dns_zone *tarn_dns_server_zone(const struct tarn_dns_server *s,
                                           struct tarn_span origin);

struct tarn_dns_request {
    struct tarn_endpoint client;
    bool stream; /* TCP, TLS: no truncation, no rate limit, transfers */
    tarn_time now;
    uint32_t wall_seconds; /* since 1970, for cookies and signatures */
};
/* A zone on its way out (RFC 5936). It ends early where the zone changed meanwhile. */
struct tarn_dns_transfer {
    const struct tarn_dns_zone *zone; /* NULL: none, or done */
    struct tarn_dns_zone_walk walk;
    const struct dns_delta *delta; /* NULL: all of the zone goes out */
    struct tarn_span left;         /* of the delta */
    uint64_t version;
    uint16_t id;
    bool failed; /* the zone changed: the connection is to be closed */
    bool whole;  /* all records are out */
    struct tarn_dns_tsig tsig;
};
/* The answer, in `out` (of at least 512 bytes; with a stream, of 65,535), or empty: none is sent.
 * Where it starts a transfer, which only happens on a stream, transfer->zone is set, and more
 * messages follow; NULL: transfers are refused. */
struct tarn_span tarn_dns_server_answer(struct tarn_dns_server *s,
                                        const struct tarn_dns_request *request,
                                        struct tarn_span query, struct tarn_bytes out,
                                        struct tarn_dns_transfer *transfer);
/* The last answer is to be held back. */
bool tarn_dns_server_holds(const struct tarn_dns_server *s);
/* The next message of a transfer; empty: it is over. */
struct tarn_span tarn_dns_transfer_next(struct tarn_dns_transfer *t, uint32_t wall_seconds,
                                        struct tarn_bytes out);

struct tarn_dns_server_stats {
    uint64_t queries, answers; /* well-formed enough to be looked at; sent */
    uint64_t truncated, refused, malformed, limited, nxdomain, transfers, incremental;
};
void tarn_dns_server_stats(const struct tarn_dns_server *s, struct tarn_dns_server_stats *out);

#endif
