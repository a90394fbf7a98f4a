/* SPDX-License-Identifier: ISC */
/* tarn/dns_update.h: changes to a zone that a message asks for (RFC 2136).
 *
 * All of a message's changes are made or none, in place (see tarn_dns_zone_begin): an update costs
 * what the sets that it changes do, however large the zone is. Whether the sender may is the
 * caller's to know: see on_update in tarn/dns_server.h. A zone that was signed elsewhere cannot be
 * changed like this: its signatures and denials would be wrong.
 */
#ifndef TARN_DNS_UPDATE_H
#define TARN_DNS_UPDATE_H

#include <tarn/dns_message.h>
#include <tarn/dns_zone.h>

/* `message` is a whole message whose opcode is UPDATE and whose zone is `zone`, which is sealed.
 * `alloc` is for the time of the call (17 KiB). The answer is the response's code: NOERROR;
 * NXDOMAIN, YXDOMAIN, NXRRSET, YXRRSET: a prerequisite does not hold; NOTZONE: a name is not in the
 * zone; FORMERR; REFUSED: the zone is signed; SERVFAIL: no memory. With NOERROR, *delta is what
 * changed, as tarn_dns_zone_commit has it, with a newer serial; empty: nothing did. */
TARN_MUST_USE unsigned tarn_dns_update(struct tarn_alloc *alloc, struct tarn_dns_zone *zone,
                                       struct tarn_span message, struct tarn_span *delta);

#endif
