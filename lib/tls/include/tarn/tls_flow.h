/* SPDX-License-Identifier: ISC */
/* tarn/tls_flow.h: TLS as a byte stream over any other: a listener over a listener, for servers,
 * and a flow over a flow, for clients.
 *
 * Allocates all connections at once, and nothing later. What the flow below delivers is read into
 * the engine and decrypted there; peek lends it from there. Writing copies once, into the record.
 * Events come from the loop, as tarn/flow.h says. A connection that is closed below without
 * close_notify reads as TARN_PEER, never as an end.
 *
 * Limits: `connections` at once; more are accepted and aborted at once, and counted. There is no
 * deadline here: whoever reads (an HTTP server, say) has one, and a handshake that hangs reads
 * as TARN_AGAIN.
 */
#ifndef TARN_TLS_FLOW_H
#define TARN_TLS_FLOW_H

#include <tarn/alloc.h>
#include <tarn/flow.h>
#include <tarn/task.h>
#include <tarn/tls.h>

struct tarn_tls_flows_config {
    struct tarn_alloc *alloc;
    struct tarn_tasks *tasks;
    struct tarn_clock *clock;          /* its wall time is what certificates are checked by */
    const struct tarn_tls_config *tls; /* stays */
    uint32_t connections;              /* each takes TARN_TLS_MEMORY_BYTES and the engine */
};
struct tarn_tls_flows;

TARN_MUST_USE enum tarn_err tarn_tls_flows_new(const struct tarn_tls_flows_config *config,
                                               struct tarn_tls_flows **out);
/* The listener for servers: what `below` accepts, with TLS on it. Takes `below` over; once. */
struct tarn_listener *tarn_tls_flows_listen(struct tarn_tls_flows *flows,
                                            struct tarn_listener *below);
/* A client's flow over `below`, which it takes over; it is CONNECTED once the other side is who
 * `name` says. TARN_LIMIT: no connection is free; `below` is then still the caller's. */
TARN_MUST_USE enum tarn_err tarn_tls_flows_connect(struct tarn_tls_flows *flows,
                                                   struct tarn_flow *below, struct tarn_span name,
                                                   struct tarn_flow **out);
/* The engine of a flow that came from here: its ALPN, the other side's key. */
const struct tarn_tls *tarn_tls_flow_engine(const struct tarn_flow *flow);

struct tarn_tls_flows_stats {
    uint64_t accepted, refused, handshakes, failed;
    uint32_t live;
};
void tarn_tls_flows_stats(const struct tarn_tls_flows *flows, struct tarn_tls_flows_stats *out);

#endif
