/* SPDX-License-Identifier: ISC */
/* tarn/dns_update.h: changes to a zone that a message asks for (RFC 2136).
 *
 * All of a message's changes are made or none: they are made on a copy of the zone, which takes its
 * place. So an update costs what a copy of the zone does, in time and, until the old one is freed,
 * in memory; nobody is served half of it. Whether the sender may is the caller's to know: see
 * on_update in tarn/dns_server.h. A zone that was signed elsewhere cannot be changed like this: its
 * signatures and denials would be wrong.
 */
#ifndef TARN_DNS_UPDATE_H
#define TARN_DNS_UPDATE_H

#include <tarn/dns_message.h>
#include <tarn/dns_zone.h>

struct tarn_dns_update_config {
    struct tarn_alloc *alloc;
    struct tarn_random *random;
    uint64_t memory_max; /* as a zone's */
};
/* `message` is a whole message whose opcode is UPDATE and whose zone is `zone`. The answer is the
 * response's code: NOERROR; NXDOMAIN, YXDOMAIN, NXRRSET, YXRRSET: a prerequisite does not hold;
 * NOTZONE: a name is not in the zone; FORMERR; REFUSED: the zone is signed; SERVFAIL: no memory.
 * With NOERROR, *out is the new zone, sealed, with a newer serial, and the caller's; NULL: nothing
 * changes. */
TARN_MUST_USE unsigned tarn_dns_update(const struct tarn_dns_update_config *config,
                                       const struct tarn_dns_zone *zone, struct tarn_span message,
                                       struct tarn_dns_zone **out);

#endif
