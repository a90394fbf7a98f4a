/* SPDX-License-Identifier: ISC */
/* tarn/dns_client.h: a stub resolver: asks recursive servers, and remembers what they say.
 *
 * UDP first, with EDNS (RFC 6891); TCP where an answer is truncated. Against who guesses (RFC
 * 5452): a port of its own for each query, a random id, random case in the name (which the answer
 * must repeat; a server that does not is asked by TCP), and cookies (RFC 7873). The same question
 * is only once under way. Servers are asked in turn, each attempt twice as patient as the one
 * before.
 *
 * The cache keeps answers and negative answers (RFC 2308) for as long as they say, at most a day,
 * and, where nobody answers, serves what it had for up to `stale_ns` more (RFC 8767). Its places
 * are fixed; the one that was used longest ago makes room.
 *
 * All memory is taken by _new. Answers are believed as far as the path to the servers is: nothing
 * is validated here.
 */
#ifndef TARN_DNS_CLIENT_H
#define TARN_DNS_CLIENT_H

#include <tarn/dns_message.h>
#include <tarn/env.h>
#include <tarn/flow.h>
#include <tarn/resolver.h>
#include <tarn/task.h>

#define TARN_DNS_SERVERS_MAX 4
#define TARN_DNS_SEARCH_MAX 6

/* Streams to servers that nobody else can read: DNS over TLS (RFC 7858), or over HTTPS (RFC 8484,
 * as HTTP/1.1 POST). A program makes one over lib/tls in a few lines: connect below, TLS on it. */
struct tarn_dns_secure;
struct tarn_dns_secure_ops {
    /* Starts at once; the flow is CONNECTED when the server has shown who it is, or FAILED. */
    enum tarn_err (*connect)(struct tarn_dns_secure *s, const struct tarn_endpoint *server,
                             struct tarn_flow **out);
};
struct tarn_dns_secure {
    const struct tarn_dns_secure_ops *ops;
};
struct tarn_dns_secrecy {
    /* Where that does not work, the server is asked in the open, for five minutes (RFC 7858 section
     * 4.1). Otherwise nothing ever goes out in the open. */
    bool opportunistic;
    uint16_t open_port;          /* for that; 0: 53 */
    struct tarn_span https_host; /* not empty: HTTPS, with this Host; borrowed */
    struct tarn_span https_path; /* empty: /dns-query; borrowed */
};

struct tarn_dns_client;
struct tarn_dns_client_config {
    struct tarn_alloc *alloc;
    struct tarn_tasks *tasks;
    struct tarn_random *random;
    struct tarn_clock *clock;
    struct tarn_net *net;
    struct tarn_endpoint servers[TARN_DNS_SERVERS_MAX];
    unsigned server_count;
    struct tarn_span search[TARN_DNS_SEARCH_MAX]; /* names in wire form; borrowed */
    unsigned search_count;
    struct tarn_span hosts; /* lines of an address and its names (hosts(5)); borrowed */
    uint32_t questions_max; /* under way at once; 0: 32 */
    uint32_t cache_entries; /* 640 bytes each; 0: 256 */
    uint32_t streams_max;   /* by TCP at once; 64 KiB each; 0: 2 */
    unsigned rounds;        /* how often each server is asked; 0: 3 */
    tarn_time patience_ns;  /* of the first round; 0: 1 s */
    tarn_time stale_ns;     /* 0: a day */
    bool no_random_case;
    /* Not NULL: servers are asked this way. Each has one connection that waits for the next
     * question, for 10 s; more at once have their own, up to streams_max. Queries are padded to a
     * multiple of 128 bytes (RFC 8467). Borrowed. */
    struct tarn_dns_secure *secure;
    struct tarn_dns_secrecy secrecy;
};
/* TARN_LIMIT: no memory. */
TARN_MUST_USE enum tarn_err tarn_dns_client_new(const struct tarn_dns_client_config *config,
                                                struct tarn_dns_client **out);
/* No request is under way. */
void tarn_dns_client_free(struct tarn_dns_client *c);
struct tarn_resolver *tarn_dns_client_resolver(struct tarn_dns_client *c);
void tarn_dns_client_tick(struct tarn_dns_client *c, tarn_time now);
tarn_time tarn_dns_client_deadline(const struct tarn_dns_client *c);
/* Other servers, as DHCP has said. Cookies of the old ones are forgotten, the cache stays. */
void tarn_dns_client_set_servers(struct tarn_dns_client *c, const struct tarn_endpoint *servers,
                                 unsigned count);

struct tarn_dns_client_stats {
    uint64_t sent, streams; /* queries by UDP; connections */
    uint64_t reused;        /* questions on a connection that was there */
    uint64_t answers, hits, stale;
    uint64_t strangers; /* datagrams that are not the answer, whoever sent them */
    uint64_t uncached;  /* answers that are too large for a place in the cache */
};
void tarn_dns_client_stats(const struct tarn_dns_client *c, struct tarn_dns_client_stats *out);

#endif
