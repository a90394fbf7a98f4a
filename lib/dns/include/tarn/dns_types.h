/* SPDX-License-Identifier: ISC */
/* tarn/dns_types.h: record types, and record data (RDATA) in wire form and as text.
 *
 * "Plain" data is the wire form without compression. Data of a type that is not known here is
 * opaque, and written as RFC 3597 section 5 says: TYPE65534 \# 3 ABCDEF.
 *
 * No allocation, no I/O, no clock.
 */
#ifndef TARN_DNS_TYPES_H
#define TARN_DNS_TYPES_H

#include <tarn/dns_name.h>

enum tarn_dns_type {
    TARN_DNS_A = 1,
    TARN_DNS_NS = 2,
    TARN_DNS_CNAME = 5,
    TARN_DNS_SOA = 6,
    TARN_DNS_NULL = 10,
    TARN_DNS_PTR = 12,
    TARN_DNS_HINFO = 13,
    TARN_DNS_MX = 15,
    TARN_DNS_TXT = 16,
    TARN_DNS_AAAA = 28,
    TARN_DNS_LOC = 29,
    TARN_DNS_SRV = 33,
    TARN_DNS_NAPTR = 35,
    TARN_DNS_DNAME = 39,
    TARN_DNS_OPT = 41,
    TARN_DNS_DS = 43,
    TARN_DNS_SSHFP = 44,
    TARN_DNS_RRSIG = 46,
    TARN_DNS_NSEC = 47,
    TARN_DNS_DNSKEY = 48,
    TARN_DNS_NSEC3 = 50,
    TARN_DNS_NSEC3PARAM = 51,
    TARN_DNS_TLSA = 52,
    TARN_DNS_CDS = 59,
    TARN_DNS_CDNSKEY = 60,
    TARN_DNS_ZONEMD = 63,
    TARN_DNS_SVCB = 64,
    TARN_DNS_HTTPS = 65,
    TARN_DNS_TKEY = 249,
    TARN_DNS_TSIG = 250,
    TARN_DNS_IXFR = 251,
    TARN_DNS_AXFR = 252,
    TARN_DNS_ANY = 255,
    TARN_DNS_CAA = 257,
};

enum tarn_dns_class {
    TARN_DNS_IN = 1,
    TARN_DNS_CH = 3,
    TARN_DNS_HS = 4,
    TARN_DNS_CLASS_NONE = 254,
    TARN_DNS_CLASS_ANY = 255,
};

/* The longest record data, and the longest text of one: each byte escaped, and blanks. */
#define TARN_DNS_RDATA_MAX 65535

/* Mnemonics, case ignored, and TYPE123 and CLASS123 for any (RFC 3597). */
TARN_MUST_USE bool tarn_dns_type_parse(struct tarn_span text, uint16_t *type);
void tarn_dns_type_print(struct tarn_writer *w, uint16_t type);
TARN_MUST_USE bool tarn_dns_class_parse(struct tarn_span text, uint16_t *klass);
void tarn_dns_class_print(struct tarn_writer *w, uint16_t klass);
/* Its format is known here, so its text is not the generic one. */
bool tarn_dns_type_known(uint16_t type);

/* Appends the plain form of the data msg[at, at + len) of a record, or the first `len` bytes where
 * nothing is compressed: names are expanded, every field is checked, and nothing may be left over.
 * False: malformed, or the writer is full. */
TARN_MUST_USE bool tarn_dns_rdata_read(struct tarn_span msg, size_t at, size_t len, uint16_t type,
                                       struct tarn_writer *out);
/* Plain data is well-formed. */
TARN_MUST_USE bool tarn_dns_rdata_valid(struct tarn_span rdata, uint16_t type);
/* Lower-cases the names in plain data of the types of RFC 4034 section 6.2 (without NSEC: RFC 6840
 * section 5.1): the canonical form. */
void tarn_dns_rdata_canonical(struct tarn_bytes rdata, uint16_t type);

/* Text, as it stands behind the type in a zone file, may hold parentheses and comments. False: *why
 * is a reason in lower case without an end, and *column is where, from 1. */
TARN_MUST_USE bool tarn_dns_rdata_parse(struct tarn_span text, uint16_t type,
                                        struct tarn_span origin, struct tarn_writer *out,
                                        const char **why, uint32_t *column);
/* `rdata` is plain; what is malformed is written generically. */
void tarn_dns_rdata_print(struct tarn_writer *w, struct tarn_span rdata, uint16_t type);
/* A whole record: owner TTL class type data, with single blanks, without a line end. */
void tarn_dns_record_print(struct tarn_writer *w, struct tarn_span owner, uint16_t type,
                           uint16_t klass, uint32_t ttl, struct tarn_span rdata);

#endif
