/* SPDX-License-Identifier: ISC */
/* tarn/dns_service.h: a DNS server on the network: tarn/dns_server.h behind a datagram endpoint and
 * a listener (RFC 7766: several queries on a connection, answered in order).
 *
 * All memory is taken by _new. Connections are bounded in number and in idle time; when all are in
 * use, the one that is idle the longest makes room, but none that gets a transfer. A datagram whose
 * answer cannot be sent now is lost, as the path could lose it too.
 */
#ifndef TARN_DNS_SERVICE_H
#define TARN_DNS_SERVICE_H

#include <tarn/dns_server.h>
#include <tarn/flow.h>
#include <tarn/task.h>

struct tarn_dns_service;
struct tarn_dns_service_config {
    struct tarn_alloc *alloc;
    struct tarn_tasks *tasks;
    struct tarn_clock *clock;
    struct tarn_dns_server *server;
    struct tarn_datagram *datagram; /* owned from now on; NULL: none */
    struct tarn_listener *listener; /* owned from now on; NULL: none */
    uint32_t streams_max;           /* connections; each has 65 KiB and a query; 0: 32 */
    uint16_t query_bytes_max;       /* over a connection: UPDATEs may be long; 0: 4096 */
    tarn_time idle_ns;              /* without a byte either way; 0: 10 s */
    uint32_t held_max;              /* answers over UDP that wait; each has 1.3 KiB; 0: 16 */
};
/* TARN_LIMIT: no memory; endpoint and listener stay the caller's. */
TARN_MUST_USE enum tarn_err tarn_dns_service_new(const struct tarn_dns_service_config *config,
                                                 struct tarn_dns_service **out);
/* Closes endpoint, listener and connections. */
void tarn_dns_service_free(struct tarn_dns_service *s);
void tarn_dns_service_tick(struct tarn_dns_service *s, tarn_time now);
tarn_time tarn_dns_service_deadline(const struct tarn_dns_service *s);
/* Ends the transfers of a zone that is about to be freed. */
void tarn_dns_service_forget(struct tarn_dns_service *s, const struct tarn_dns_zone *zone);

/* Sends what was held back (TARN_DNS_HOLD), or with `good` false forgets it, and who asked hears
 * nothing. What came over UDP when as many waited as may was forgotten at once. */
void tarn_dns_service_release(struct tarn_dns_service *s, bool good);

struct tarn_dns_service_stats {
    uint64_t datagrams, unsent; /* that came; answers that could not be sent */
    uint64_t streams, pushed_out, timed_out, broken;
};
void tarn_dns_service_stats(const struct tarn_dns_service *s, struct tarn_dns_service_stats *out);

#endif
