/* SPDX-License-Identifier: ISC */
/* tarn/flow_wait.h: flows for straight-line code: calls that wait, over a tarn_waiter.
 *
 * For fibers (and for ordinary threads, whose waiter blocks). A call takes the flow's on_event and
 * user while it waits and puts them back, so one fiber uses a flow at a time. `deadline` is an
 * absolute time; TARN_NEVER waits for as long as it takes. Where it comes first the answer is
 * TARN_AGAIN, with whatever was done until then counted in *n.
 */
#ifndef TARN_FLOW_WAIT_H
#define TARN_FLOW_WAIT_H

#include <tarn/flow.h>
#include <tarn/wait.h>

/* At least one byte: *n > 0 with TARN_OK. TARN_EOF: the peer has finished; otherwise as flow.read.
 */
TARN_MUST_USE enum tarn_err tarn_flow_read_some(struct tarn_flow *flow, struct tarn_waiter *waiter,
                                                struct tarn_bytes buf, tarn_time deadline,
                                                size_t *n);
/* All of `buf`. TARN_EOF: the peer finished before, after *n bytes. */
TARN_MUST_USE enum tarn_err tarn_flow_read_exact(struct tarn_flow *flow, struct tarn_waiter *waiter,
                                                 struct tarn_bytes buf, tarn_time deadline,
                                                 size_t *n);
/* Up to the peer's end: TARN_OK and *n bytes. TARN_LIMIT: `buf` is full and the end is not there.
 */
TARN_MUST_USE enum tarn_err tarn_flow_read_all(struct tarn_flow *flow, struct tarn_waiter *waiter,
                                               struct tarn_bytes buf, tarn_time deadline,
                                               size_t *n);
/* All of `data`; *n counts what was taken also when it fails. */
TARN_MUST_USE enum tarn_err tarn_flow_write_all(struct tarn_flow *flow, struct tarn_waiter *waiter,
                                                struct tarn_span data, tarn_time deadline,
                                                size_t *n);

/* An established flow to `remote`, or the reason why there is none (the attempt is then aborted).
 */
TARN_MUST_USE enum tarn_err tarn_net_connect_wait(struct tarn_net *net, struct tarn_waiter *waiter,
                                                  const struct tarn_endpoint *remote,
                                                  tarn_time deadline, struct tarn_flow **out);
/* The next incoming flow. */
TARN_MUST_USE enum tarn_err tarn_listener_accept_wait(struct tarn_listener *listener,
                                                      struct tarn_waiter *waiter,
                                                      tarn_time deadline, struct tarn_flow **out);

#endif
