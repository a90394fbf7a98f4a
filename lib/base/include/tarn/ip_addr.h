/* SPDX-License-Identifier: ISC */
/* tarn/ip_addr.h: one address type for both families.
 *
 * Sixteen bytes; IPv4 is kept as an IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2), so that
 * comparing, hashing and storing never ask for the family. Text by RFC 5952 (IPv6) and dotted quad.
 */
#ifndef TARN_IP_ADDR_H
#define TARN_IP_ADDR_H

#include <tarn/writer.h>

struct tarn_ip_addr {
    union {
        uint8_t bytes[16];
        uint32_t words[4]; /* network order, for fast comparison */
        uint64_t halves[2];
    };
};
#define TARN_IP_ADDR_V4(a, b, c, d)                                                                \
    ((struct tarn_ip_addr){{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, (a), (b), (c), (d)}}})
#define TARN_IP_ADDR_NONE ((struct tarn_ip_addr){{{0}}}) /* :: , "any" in both families */

TARN_UNSAFE_BEGIN
static inline bool tarn_ip_addr_equal(const struct tarn_ip_addr *a, const struct tarn_ip_addr *b) {
    return a->halves[0] == b->halves[0] && a->halves[1] == b->halves[1];
}
static inline bool tarn_ip_addr_is_v4(const struct tarn_ip_addr *a) {
    return a->halves[0] == 0 && a->words[2] == TARN_BE32_(0xffffu);
}
/* :: or 0.0.0.0 */
static inline bool tarn_ip_addr_is_any(const struct tarn_ip_addr *a) {
    return a->halves[0] == 0 && a->words[3] == 0
           && (a->words[2] == 0 || a->words[2] == TARN_BE32_(0xffffu));
}
/* The IPv4 address as a host-order number, and back. Only where tarn_ip_addr_is_v4. */
static inline uint32_t tarn_ip_addr_v4(const struct tarn_ip_addr *a) {
    return TARN_BE32_(a->words[3]);
}
static inline struct tarn_ip_addr tarn_ip_addr_from_v4(uint32_t host_order) {
    struct tarn_ip_addr a = TARN_IP_ADDR_V4(0, 0, 0, 0);
    a.words[3] = TARN_BE32_(host_order);
    return a;
}
TARN_UNSAFE_END
bool tarn_ip_addr_is_multicast(const struct tarn_ip_addr *a);
bool tarn_ip_addr_is_loopback(const struct tarn_ip_addr *a);
bool tarn_ip_addr_is_link_local(const struct tarn_ip_addr *a); /* 169.254/16, fe80::/10 */

/* Consuming readers and writers of the wire forms (4 and 16 bytes). */
TARN_MUST_USE bool tarn_span_ipv4(struct tarn_span *s, struct tarn_ip_addr *out);
TARN_MUST_USE bool tarn_span_ipv6(struct tarn_span *s, struct tarn_ip_addr *out);
void tarn_writer_ipv4(struct tarn_writer *w, const struct tarn_ip_addr *a);
void tarn_writer_ipv6(struct tarn_writer *w, const struct tarn_ip_addr *a);

/* Text. Parsing takes the whole span: strict dotted quad (no octal, no short forms) or RFC 4291. */
TARN_MUST_USE bool tarn_ip_addr_parse(struct tarn_span text, struct tarn_ip_addr *out);
void tarn_writer_ip_addr(struct tarn_writer *w, const struct tarn_ip_addr *a);
#define TARN_IP_ADDR_TEXT_MAX 45

/* An address with a prefix length, in the address's own family's bits (0..32 or 0..128). */
struct tarn_ip_prefix {
    struct tarn_ip_addr addr;
    uint8_t bits;
};
/* "10.0.0.2/24"; without a slash, all bits. */
TARN_MUST_USE bool tarn_ip_prefix_parse(struct tarn_span text, struct tarn_ip_prefix *out);
bool tarn_ip_prefix_contains(const struct tarn_ip_prefix *p, const struct tarn_ip_addr *a);

/* What identifies one end of a transport. */
struct tarn_endpoint {
    struct tarn_ip_addr addr;
    uint16_t port; /* host order */
};

#endif
