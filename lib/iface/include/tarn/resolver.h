/* SPDX-License-Identifier: ISC */
/* tarn/resolver.h: from names to what is known of them, without knowing by whom: a DNS client, a
 * recursive resolver, a table, a test double.
 *
 * Nothing blocks, and nothing calls back from inside a call: a request is started, and its `done`
 * comes later, from the loop. The request is the caller's memory and stays where it is until then,
 * or until it is cancelled.
 */
#ifndef TARN_RESOLVER_H
#define TARN_RESOLVER_H

#include <tarn/err.h>
#include <tarn/ip_addr.h>
#include <tarn/span.h>

/* Types of records by their numbers in DNS; others may be asked for too. */
enum { TARN_RESOLVER_A = 1, TARN_RESOLVER_AAAA = 28 };

struct tarn_resolver_request {
    /* The caller's: */
    struct tarn_span name; /* text, as a person writes it; with a dot at its end it is complete */
    uint16_t type;
    void (*done)(struct tarn_resolver_request *request);
    void *user;
    /* Valid in done, whose last act may be to start the request again: */
    enum tarn_err err;   /* OK; NOT_FOUND: no such record, and `no_name` says whether that is since
                            there is no such name; PEER: whoever was asked could not answer; IO:
                            nobody   answered; INVALID: not a name */
    bool no_name, stale; /* stale: what was known once, since nobody answers now (RFC 8767) */
    uint32_t ttl_seconds;
    struct tarn_span records; /* each record's data behind its length of 16 bits */
    /* The resolver's: */
    struct tarn_resolver_request *next;
    void *at;
    unsigned step;
};

struct tarn_resolver;
struct tarn_resolver_ops {
    /* TARN_LIMIT: too many requests at once, and done does not come. */
    enum tarn_err (*start)(struct tarn_resolver *r, struct tarn_resolver_request *request);
    /* A request that was started and is not done: done will not come. */
    void (*cancel)(struct tarn_resolver *r, struct tarn_resolver_request *request);
};
struct tarn_resolver {
    const struct tarn_resolver_ops *ops;
};

static inline TARN_MUST_USE enum tarn_err
tarn_resolver_start(struct tarn_resolver *r, struct tarn_resolver_request *request) {
    return r->ops->start(r, request);
}
static inline void tarn_resolver_cancel(struct tarn_resolver *r,
                                        struct tarn_resolver_request *request) {
    r->ops->cancel(r, request);
}
/* Takes the next record's data off the front of `records`. */
static inline TARN_MUST_USE bool tarn_resolver_next(struct tarn_span *records,
                                                    struct tarn_span *data) {
    uint16_t len;
    return tarn_span_u16be(records, &len) && tarn_span_take(records, len, data);
}
/* The next address off the front of the records of an A or AAAA request. */
static inline TARN_MUST_USE bool tarn_resolver_next_addr(struct tarn_span *records,
                                                         struct tarn_ip_addr *out) {
    struct tarn_span data;
    return tarn_resolver_next(records, &data)
           && (data.len == 4 ? tarn_span_ipv4(&data, out) : tarn_span_ipv6(&data, out));
}

#endif
