/* SPDX-License-Identifier: ISC */
/* tarn/dns_notify.h: tells secondaries that a zone has changed (NOTIFY, RFC 1996).
 *
 * Each zone and target is told until it answers, with growing pauses (3 s, then twice as long each
 * time), six times at most. A change while that goes on starts it anew. All memory is taken by
 * _new. From the loop; no blocking.
 */
#ifndef TARN_DNS_NOTIFY_H
#define TARN_DNS_NOTIFY_H

#include <tarn/dns_tsig.h>
#include <tarn/env.h>
#include <tarn/flow.h>

#define TARN_DNS_NOTIFY_TARGETS_MAX 16
#define TARN_DNS_NOTIFY_TRIES 6u
#define TARN_DNS_NOTIFY_PAUSE TARN_SEC(3)

struct tarn_dns_notifier;
struct tarn_dns_notifier_config {
    struct tarn_alloc *alloc;
    struct tarn_random *random;
    struct tarn_net *net;
    struct tarn_clock *clock;
    struct tarn_endpoint targets[TARN_DNS_NOTIFY_TARGETS_MAX];
    unsigned target_count;
    const struct tarn_dns_tsig_key *key; /* NULL: nothing is signed; borrowed */
    uint32_t pending_max; /* of zones and targets; beyond, a change is not told; 0: 64 */
};
/* Errors as a datagram endpoint's; TARN_LIMIT: no memory. */
TARN_MUST_USE enum tarn_err tarn_dns_notifier_new(const struct tarn_dns_notifier_config *config,
                                                  struct tarn_dns_notifier **out);
void tarn_dns_notifier_free(struct tarn_dns_notifier *n);
/* A zone has changed; the first messages go out at once. */
void tarn_dns_notifier_changed(struct tarn_dns_notifier *n, struct tarn_span origin);
void tarn_dns_notifier_tick(struct tarn_dns_notifier *n, tarn_time now);
tarn_time tarn_dns_notifier_deadline(const struct tarn_dns_notifier *n);

struct tarn_dns_notifier_stats {
    uint64_t sent, answered, given_up, untold; /* untold: too many were pending */
};
void tarn_dns_notifier_stats(const struct tarn_dns_notifier *n,
                             struct tarn_dns_notifier_stats *out);

#endif
