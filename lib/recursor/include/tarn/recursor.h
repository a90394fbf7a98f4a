/* SPDX-License-Identifier: ISC */
/* tarn/recursor.h: a recursive, validating DNS resolver without I/O.
 *
 * Queries of clients go in and answers come out; between the two it asks the servers that the
 * delegations name, from the root downwards: with minimised names (RFC 9156), random ids and case,
 * cookies (RFC 7873), EDNS where a server takes it and TCP where an answer is cut off. Answers are
 * scrubbed: of a message only what its server may speak of, and only what was asked for, is kept.
 * What is signed is validated from trust anchors down (RFC 4033 to 4035, RFC 5155, RFC 6840, RFC
 * 9276), and what validated denials prove answers other questions (RFC 8198, RFC 8020).
 *
 * Whoever owns it moves the messages: tarn/recursor_service.h does over a struct tarn_net.
 *
 *     tarn_recursor_query      a client's message came
 *     tarn_recursor_input      a server's message came
 *     tarn_recursor_lost       a query cannot reach its server
 *     tarn_recursor_tick       time has passed
 *     tarn_recursor_next       after each of those, until it has no more: what to send
 *
 * All memory is taken by _new: the cache is a ring of cache_bytes, and everything that can be under
 * way has a pool. No clock is read but the one given, nothing blocks, no call calls back. One
 * thread.
 *
 * Bounds, whatever servers and clients do. One question of a client, with all that it takes
 * (delegations, addresses of name servers, keys, denials), sends at most queries_max messages
 * (N), verifies at most verifications_max signatures, takes at most hash_rounds_max blocks of NSEC3
 * hashes, and makes at most steps_max steps, each bounded by the length of a message (M). What
 * reaches a bound fails with SERVFAIL, which is remembered for some seconds (RFC 9520). The same
 * question is under way once, and one that waits for itself, through whatever delegations, fails.
 */
#ifndef TARN_RECURSOR_H
#define TARN_RECURSOR_H

#include <tarn/dns_message.h>
#include <tarn/env.h>
#include <tarn/ip_addr.h>
#include <tarn/pool.h>
#include <tarn/trust_anchors.h>

#define TARN_RECURSOR_QUERIES_MAX 100u /* N */
#define TARN_RECURSOR_VERIFICATIONS_MAX 96u
#define TARN_RECURSOR_FAILED_MAX 12u /* signatures that may be wrong (CVE-2023-50387) */
#define TARN_RECURSOR_HASH_ROUNDS_MAX 6000u
#define TARN_RECURSOR_ITERATIONS_MAX 150u /* NSEC3; more is as if not signed (RFC 9276) */
#define TARN_RECURSOR_STEPS_MAX 4000u     /* M */
#define TARN_RECURSOR_DEPTH_MAX 48u       /* questions that wait for questions */
#define TARN_RECURSOR_CHAIN_MAX 11u       /* aliases one after the other */
#define TARN_RECURSOR_TARGETS_MAX 16u     /* addresses of name servers looked for (NXNSAttack) */
#define TARN_RECURSOR_ZONE_SERVERS_MAX 6u

/* A zone whose servers are not learned. */
struct tarn_recursor_zone {
    struct tarn_span name; /* wire form */
    struct tarn_endpoint servers[TARN_RECURSOR_ZONE_SERVERS_MAX];
    unsigned server_count;
    bool forward; /* to resolvers, which are asked for everything below; not: to its own servers */
    bool first;   /* where those fail, as if it were not here */
};
/* What is trusted: a DS or DNSKEY of a zone, as in a zone file; several of a zone are one anchor.
 */
struct tarn_recursor_anchor {
    struct tarn_span zone, rdata; /* wire form */
    uint16_t type;                /* DS or DNSKEY */
};

struct tarn_recursor_config {
    struct tarn_alloc *alloc;
    struct tarn_random *random;
    struct tarn_clock *clock;
    /* Borrowed for as long as the recursor lives. Hints: NULL: those built in. */
    const struct tarn_endpoint *hints;
    unsigned hint_count;
    const struct tarn_recursor_zone *zones;
    unsigned zone_count;
    const struct tarn_recursor_anchor *anchors; /* NULL: the root's keys of 2017 and 2024 */
    unsigned anchor_count;
    /* One anchor that is followed through its changes (tarn/trust_anchors.h): NULL: none. Made, and
     * loaded, by the caller; the zone's anchors above are added to it, and it stands for them. It
     * changes with _tick, _input and _lost; its `version` says when to save it. */
    struct tarn_trust_anchors *follow;
    const struct tarn_span *insecure; /* negative anchors (RFC 7646): nothing below is validated */
    unsigned insecure_count;
    const struct tarn_ip_prefix *clients; /* who may ask; NULL: everybody */
    unsigned client_count;

    bool no_validation, no_minimisation, no_random_case, no_aggressive, no_ipv4, no_ipv6;
    bool no_prefetch, no_local_zones, any_address; /* also ask loopback addresses */
    bool sha1, no_edns;            /* sha1: validate with RSA and DSA over SHA-1, too (RFC 9905) */
    bool minimise_ns;              /* minimised names are asked for with NS, not A */
    bool additional;               /* repeat authorities as servers sent them */
    uint64_t cache_bytes;          /* 0: 64 MiB */
    uint32_t questions_max;        /* clients' under way; 0: 1024 */
    uint32_t client_questions_max; /* of one client under way; 0: 100 */
    uint32_t client_rate; /* questions in a second that one client may have servers be asked for;
                             0: 200 */
    uint32_t ttl_max, ttl_min, negative_ttl_max; /* seconds; 0: a day, none, an hour */
    uint32_t bogus_ttl;                          /* 0: 60 */
    uint32_t stale_seconds;  /* RFC 8767; 0: none, and what has expired is not served */
    bool stale_at_once;      /* what has expired is served before anybody is asked again */
    uint32_t stale_ttl;      /* 0: 30 */
    tarn_time stale_wait_ns; /* a client waits so long before it gets what is stale; 0: until the
                                question failed */
    uint32_t queries_max, verifications_max, hash_rounds_max, steps_max; /* 0: as above */
    uint32_t iterations_max;
};

struct tarn_recursor;
/* TARN_LIMIT: no memory, or no room in what is followed. TARN_INVALID: an anchor that is none. */
TARN_MUST_USE enum tarn_err tarn_recursor_new(const struct tarn_recursor_config *config,
                                              struct tarn_recursor **out);
void tarn_recursor_free(struct tarn_recursor *r);

struct tarn_recursor_client {
    struct tarn_endpoint from;
    struct tarn_ip_addr local; /* the caller's: what it was sent to */
    bool stream;               /* by TCP: the answer may be long, and the address is not forged */
    uint64_t tag;              /* the caller's, back with the answer */
};
/* A client's message. TARN_OK: *answer, in `out` (at least 4096 bytes, for a stream 65,535); empty:
 * there is none. TARN_AGAIN: it comes later, from tarn_recursor_next. */
TARN_MUST_USE enum tarn_err tarn_recursor_query(struct tarn_recursor *r,
                                                const struct tarn_recursor_client *client,
                                                struct tarn_span query, struct tarn_bytes out,
                                                struct tarn_span *answer);
/* The client has gone: no answer with that tag comes any more. */
void tarn_recursor_forget(struct tarn_recursor *r, uint64_t tag);

/* A message from a server for a query that was sent: `from` is whom it came from. */
void tarn_recursor_input(struct tarn_recursor *r, struct tarn_handle query,
                         const struct tarn_endpoint *from, struct tarn_span message);
/* The query's server cannot be reached: no route, port closed, connection refused or ended. */
void tarn_recursor_lost(struct tarn_recursor *r, struct tarn_handle query);
void tarn_recursor_tick(struct tarn_recursor *r, tarn_time now);
tarn_time tarn_recursor_deadline(const struct tarn_recursor *r);

enum tarn_recursor_event_kind {
    TARN_RECURSOR_SEND,  /* `message` to `server`, from a port (or connection) of its own */
    TARN_RECURSOR_CLOSE, /* nothing more is expected for `query` */
    TARN_RECURSOR_REPLY, /* `message` to `client` */
};
struct tarn_recursor_event {
    enum tarn_recursor_event_kind kind;
    struct tarn_handle query;
    struct tarn_endpoint server;
    struct tarn_recursor_client client;
    bool stream;
    struct tarn_span message; /* in `out` */
};
/* False: nothing more now. `out` has 65,535 bytes. */
TARN_MUST_USE bool tarn_recursor_next(struct tarn_recursor *r, struct tarn_bytes out,
                                      struct tarn_recursor_event *event);
/* How many queries are under way at most: no handle's index is at or above. */
uint32_t tarn_recursor_queries_max(const struct tarn_recursor *r);

/* Forgets what is known of a name and type, or makes it as old as its time allows. */
void tarn_recursor_flush(struct tarn_recursor *r, struct tarn_span name, uint16_t type);
void tarn_recursor_expire(struct tarn_recursor *r, struct tarn_span name, uint16_t type);

struct tarn_recursor_stats {
    uint64_t questions, hits, stale, refused, limited; /* of clients */
    uint64_t answers, failures, bogus;                 /* questions that servers were asked for */
    uint64_t sent, streams, timeouts, strangers;       /* to servers; what fits no query */
    uint64_t lame, verifications, failed_verifications, hash_rounds, steps;
    uint64_t followed; /* sets of keys that were taken for the anchor that is followed */
    uint64_t synthesised, prefetched, cycles, exhausted; /* exhausted: a bound above was met */
    uint64_t entries, entry_bytes, evicted; /* cached records' sets, and what they take */
};
void tarn_recursor_stats(const struct tarn_recursor *r, struct tarn_recursor_stats *out);

#endif
