/* SPDX-License-Identifier: ISC */
/* tarn/dns_stream.h: messages on a connection, each behind its 16-bit length (RFC 1035 section
 * 4.2.2, RFC 7766 section 8), and the connections of a server in the order of their use.
 *
 * What every side of DNS over a flow has in common; what is said on it, and how many there may be,
 * is the owner's. Both buffers are the owner's memory; nothing is allocated. Errors are the flow's.
 */
#ifndef TARN_DNS_STREAM_H
#define TARN_DNS_STREAM_H

#include <tarn/env.h>
#include <tarn/flow.h>
#include <tarn/lru.h>

/* A server's, who have a deadline each. */
struct tarn_dns_streams {
    struct tarn_clock *clock;
    tarn_time idle_ns;    /* without a byte either way */
    struct tarn_lru idle; /* in the order of use, so of deadlines too */
};
struct tarn_dns_stream {
    struct tarn_flow *flow;
    struct tarn_dns_streams *of; /* NULL: one by itself, without a deadline */
    struct tarn_lru_link idle;
    tarn_time deadline;
    struct tarn_bytes in, out;
    size_t in_len, out_at, out_len;
};

/* `in` and `out` have room for the longest message each way, behind its length. */
void tarn_dns_stream_init(struct tarn_dns_stream *s, struct tarn_dns_streams *of,
                          struct tarn_flow *flow, struct tarn_bytes in, struct tarn_bytes out);
/* Closes the flow, or aborts it. */
void tarn_dns_stream_end(struct tarn_dns_stream *s, bool rudely);
/* Of the one that was used longest ago. */
tarn_time tarn_dns_streams_deadline(const struct tarn_dns_streams *of);

/* TARN_OK: something came. TARN_PEER also: a message that is longer than `in`. */
TARN_MUST_USE enum tarn_err tarn_dns_stream_read(struct tarn_dns_stream *s);
/* The first message that is whole, which stays until it is dropped. False: none is. */
bool tarn_dns_stream_peek(const struct tarn_dns_stream *s, struct tarn_span *message);
void tarn_dns_stream_drop(struct tarn_dns_stream *s);

/* Behind what waits to be written. False: there is no room. */
TARN_MUST_USE bool tarn_dns_stream_put(struct tarn_dns_stream *s, struct tarn_span message);
/* ... made where it will wait: `len` bytes in the room; 0: none after all. */
struct tarn_bytes tarn_dns_stream_room(const struct tarn_dns_stream *s);
void tarn_dns_stream_made(struct tarn_dns_stream *s, size_t len);
/* TARN_OK: nothing waits to be written. */
TARN_MUST_USE enum tarn_err tarn_dns_stream_write(struct tarn_dns_stream *s);

#endif
