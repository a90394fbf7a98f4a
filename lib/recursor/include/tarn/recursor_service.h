/* SPDX-License-Identifier: ISC */
/* tarn/recursor_service.h: a recursive resolver on the network: tarn/recursor.h with its clients
 * behind a datagram endpoint and a listener, and servers asked over a struct tarn_net.
 *
 * Each query to a server has a datagram endpoint of its own, so a port that nobody else can guess,
 * or a connection of its own. Connections of clients may carry several questions at once, which are
 * answered in the order in which that is possible (RFC 7766 section 6.2.1.1). All memory is taken
 * by _new; connections are bounded in number and in idle time.
 */
#ifndef TARN_RECURSOR_SERVICE_H
#define TARN_RECURSOR_SERVICE_H

#include <tarn/flow.h>
#include <tarn/recursor.h>
#include <tarn/task.h>

struct tarn_recursor_service;
struct tarn_recursor_service_config {
    struct tarn_alloc *alloc;
    struct tarn_tasks *tasks;
    struct tarn_clock *clock;
    struct tarn_recursor *recursor; /* borrowed; used by nobody else meanwhile */
    struct tarn_net *net;           /* to servers */
    struct tarn_datagram *datagram; /* of clients; owned from now on; NULL: none */
    struct tarn_listener *listener; /* of clients; owned from now on; NULL: none */
    uint32_t clients_max;           /* connections; each has 70 KiB; 0: 32 */
    uint32_t streams_max;           /* connections to servers; each has 66 KiB; 0: 16 */
    tarn_time idle_ns;              /* of a client's connection; 0: 10 s */
};
/* TARN_LIMIT: no memory; endpoint and listener stay the caller's. */
TARN_MUST_USE enum tarn_err
tarn_recursor_service_new(const struct tarn_recursor_service_config *config,
                          struct tarn_recursor_service **out);
/* Closes everything. The recursor is freed next, as queries of it may be under way. */
void tarn_recursor_service_free(struct tarn_recursor_service *s);
void tarn_recursor_service_tick(struct tarn_recursor_service *s, tarn_time now);
tarn_time tarn_recursor_service_deadline(const struct tarn_recursor_service *s);

struct tarn_recursor_service_stats {
    uint64_t datagrams, unsent; /* of clients; answers that could not be sent */
    uint64_t streams, pushed_out, timed_out, broken;
    uint64_t unreachable; /* queries to servers for which there was no way or no room */
};
void tarn_recursor_service_stats(const struct tarn_recursor_service *s,
                                 struct tarn_recursor_service_stats *out);

#endif
