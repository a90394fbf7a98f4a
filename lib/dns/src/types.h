/* SPDX-License-Identifier: ISC */
/* The formats of record data, each a string with a letter for each field:
 *
 *   c n   a name that may, or may not be compressed by a sender (RFC 3597 section 4)
 *   1 2 4 6 8   numbers: of 8, 16, 32 bits; EUI-48 and EUI-64 with hyphens
 *   t e y g   32-bit seconds, 32-bit time; a type; an algorithm with mnemonics
 *   a A   addresses: IPv4, IPv6
 *   s S o   a string; one or more to the end; one that may be missing
 *   h b z   the rest: hexadecimal and not empty, base64, not known
 *   H B   behind an 8-bit length: hexadecimal, base32hex
 *   q u   the rest as one string; a CAA tag
 *   i     64 bits as four groups (RFC 6742)
 *   C     a certificate type (RFC 4398)
 *   N     hexadecimal behind 0x (RFC 1706)
 *   M W   behind a 16-bit length: base64 (TSIG, TKEY);  48-bit seconds
 *   l p Y L G I   LOC; service parameters; type bitmap; APL; gateway; HIP
 */
#ifndef TARN_DNS_TYPES_INTERNAL_H
#define TARN_DNS_TYPES_INTERNAL_H

#include <tarn/dns_types.h>

/* NULL: not known. */
const char *dns_type_fields(uint16_t type);
bool dns_algorithm_parse(struct tarn_span text, uint8_t *out);
bool dns_cert_type_parse(struct tarn_span text, uint16_t *out);

#endif
