/* SPDX-License-Identifier: ISC */
#ifndef TARN_DNS_SIGN_INTERNAL_H
#define TARN_DNS_SIGN_INTERNAL_H

#include <tarn/dns_sec.h>
#include <tarn/dns_sign.h>

/* sec.c: what a signature signs. `rrsig` is an RRSIG's data up to where the signature would be. */
TARN_MUST_USE enum tarn_err dns_sec_message(const struct tarn_dns_rrset *set,
                                            struct tarn_span rrsig, struct tarn_dns_sec_work *work,
                                            struct tarn_span *message);

/* The signature that key `i` makes of a set, as an RRSIG's data. */
TARN_MUST_USE bool dns_sign(struct tarn_dns_signing *s, unsigned i,
                            const struct tarn_dns_rrset *set, struct tarn_span zone, uint32_t ttl,
                            uint32_t wall_seconds, struct tarn_writer *rrsig);
unsigned dns_sign_key_count(const struct tarn_dns_signing *s);
/* Whether key `i` signs sets of that type. */
bool dns_sign_applies(const struct tarn_dns_signing *s, unsigned i, uint16_t type);

#endif
