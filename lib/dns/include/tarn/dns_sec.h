/* SPDX-License-Identifier: ISC */
/* tarn/dns_sec.h: signatures of record sets (RFC 4034, RFC 4035 section 5.3): whether one is right,
 * and whether a key is the one that a parent names.
 *
 * What a validator is made of, not a validator: which keys to trust, and how many signatures to try
 * before giving up (CVE-2023-50387), is the caller's. One call verifies one signature with one key.
 *
 * No allocation, no I/O, no clock. Public data only, so timing is no matter.
 */
#ifndef TARN_DNS_SEC_H
#define TARN_DNS_SEC_H

#include <tarn/dns_types.h>

#define TARN_DNS_SEC_RECORDS_MAX 2048 /* of a set; more are not verified */

/* A record set: its records as in tarn/resolver.h, each one's plain data behind its 16-bit length.
 */
struct tarn_dns_rrset {
    struct tarn_span owner, records;
    uint16_t type, klass;
};
/* What a verification works in; the caller's, about 230 KiB. */
struct tarn_dns_sec_work {
    struct tarn_span items[TARN_DNS_SEC_RECORDS_MAX];
    uint8_t data[TARN_DNS_RDATA_MAX];
    uint8_t message[2 * TARN_DNS_RDATA_MAX];
};

/* The tag that signatures and parents name a key by (RFC 4034 appendix B). */
uint16_t tarn_dns_key_tag(struct tarn_span dnskey);
/* The key, of the zone `owner`, is the one of the DS. TARN_PEER: another; TARN_UNSUPPORTED: a
 * digest that is not known here (SHA-1, SHA-256 and SHA-384 are). */
TARN_MUST_USE enum tarn_err tarn_dns_ds_matches(struct tarn_span owner, struct tarn_span dnskey,
                                                struct tarn_span ds);
/* The algorithm is known here: 8, 10 (RSA), 13, 14 (ECDSA), 15, 16 (EdDSA). */
bool tarn_dns_sec_supports(uint8_t algorithm);
/* ... or is one that should not be relied on any more (RFC 8624, RFC 9905), which _verify knows all
 * the same: 3, 6 (DSA) and 5, 7 (RSA with SHA-1). */
bool tarn_dns_sec_knows(uint8_t algorithm);

/* One signature (an RRSIG's data) of a set by one key (a DNSKEY's data) of the zone. *wildcard: it
 * is a wildcard's that was expanded, so it must also be proven that there is no closer name (RFC
 * 4035 section 5.3.4). TARN_OK: right. TARN_INVALID: it is not about this set or not by this key.
 * TARN_AGAIN: not now: it has expired or is of the future. TARN_UNSUPPORTED: the algorithm.
 * TARN_PEER: wrong. TARN_LIMIT: the set is larger than what is verified. */
TARN_MUST_USE enum tarn_err tarn_dns_verify(const struct tarn_dns_rrset *set,
                                            struct tarn_span rrsig, struct tarn_span dnskey,
                                            struct tarn_span zone, uint32_t wall_seconds,
                                            struct tarn_dns_sec_work *work, bool *wildcard);
/* ... of a zone's DNSKEYs by a key that has REVOKE set, which is good for nothing but its own
 * revocation (RFC 5011 section 2.1); _verify takes such a key for none. */
TARN_MUST_USE enum tarn_err tarn_dns_verify_revocation(const struct tarn_dns_rrset *set,
                                                       struct tarn_span rrsig,
                                                       struct tarn_span dnskey,
                                                       uint32_t wall_seconds,
                                                       struct tarn_dns_sec_work *work);

/* The hash that NSEC3 knows a name by, which costs `iterations` + 1 times SHA-1, and how it is
 * written as the first label of the record's owner (RFC 5155 sections 5 and 3). */
#define TARN_DNS_NSEC3_HASH_BYTES 20
#define TARN_DNS_NSEC3_LABEL_BYTES 32
void tarn_dns_nsec3_hash(struct tarn_span name, struct tarn_span salt, uint16_t iterations,
                         uint8_t hash[TARN_DNS_NSEC3_HASH_BYTES]);
void tarn_dns_nsec3_print(const uint8_t hash[TARN_DNS_NSEC3_HASH_BYTES],
                          uint8_t label[TARN_DNS_NSEC3_LABEL_BYTES]);
/* False: it is no such label. */
TARN_MUST_USE bool tarn_dns_nsec3_parse(struct tarn_span label,
                                        uint8_t hash[TARN_DNS_NSEC3_HASH_BYTES]);

#endif
