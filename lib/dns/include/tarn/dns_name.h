/* SPDX-License-Identifier: ISC */
/* tarn/dns_name.h: domain names (RFC 1035 section 3.1), in wire form and as text.
 *
 * A name in wire form is its labels, each behind its length, up to and with the empty one of the
 * root: at most 255 bytes. Functions that take a span as `name` take such a form, whole, without
 * compression, as every function here makes it. Case is kept and never compared (RFC 4343).
 *
 * No allocation, no I/O, no clock.
 */
#ifndef TARN_DNS_NAME_H
#define TARN_DNS_NAME_H

#include <tarn/err.h>
#include <tarn/writer.h>

#define TARN_DNS_NAME_MAX 255
#define TARN_DNS_LABEL_MAX 63
/* The longest text of a name: every byte escaped as \DDD, and the dots. */
#define TARN_DNS_NAME_TEXT_MAX 1010

struct tarn_dns_name {
    uint8_t len; /* 0: no name */
    uint8_t bytes[TARN_DNS_NAME_MAX];
};
#define TARN_DNS_ROOT ((struct tarn_dns_name){1, {0}})

static inline struct tarn_span tarn_dns_name_span(const struct tarn_dns_name *name) {
    return tarn_span_first(TARN_SPAN_ARRAY(name->bytes), name->len);
}

/* Reads the name at msg[*at], which may be compressed (RFC 1035 section 4.1.4), and moves *at
 * behind it as it stands there. Every pointer must go before the start of the labels read so far,
 * so loops are impossible and the work is bounded by the name's 255 bytes and 128 pointers. False:
 * cut off, a pointer that does not go backwards or outside, a reserved label type, more than 255
 * bytes. */
TARN_MUST_USE bool tarn_dns_name_read(struct tarn_span msg, size_t *at, struct tarn_dns_name *out);
/* Takes an uncompressed name off the front of `s`. False: cut off, too long, or a pointer. */
TARN_MUST_USE bool tarn_dns_name_take(struct tarn_span *s, struct tarn_span *name);
/* A copy of a name in wire form. */
void tarn_dns_name_copy(struct tarn_dns_name *out, struct tarn_span name);

bool tarn_dns_name_equal(struct tarn_span a, struct tarn_span b);
/* The canonical order (RFC 4034 section 6.1): <0, 0, >0. */
int tarn_dns_name_compare(struct tarn_span a, struct tarn_span b);
/* `name` is `ancestor` or below it. */
bool tarn_dns_name_within(struct tarn_span name, struct tarn_span ancestor);
/* How many labels, without the root's. */
unsigned tarn_dns_name_labels(struct tarn_span name);
/* Without its first label: the root is its own parent. */
struct tarn_span tarn_dns_name_parent(struct tarn_span name);
/* The first label, without its length: empty for the root. */
struct tarn_span tarn_dns_name_label(struct tarn_span name);
void tarn_dns_name_lower(struct tarn_dns_name *name);
static inline uint8_t tarn_dns_lower(uint8_t c) {
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}
/* `name`, which is within `from`, with that part replaced by `to` (a DNAME's work, RFC 6672).
 * False: it would be too long. */
TARN_MUST_USE bool tarn_dns_name_replace(struct tarn_span name, struct tarn_span from,
                                         struct tarn_span to, struct tarn_dns_name *out);
/* label.name. False: too long. */
TARN_MUST_USE bool tarn_dns_name_child(struct tarn_span label, struct tarn_span name,
                                       struct tarn_dns_name *out);

/* Text (RFC 1035 section 5.1): \X and \DDD are understood, "@" is the origin, a name without a dot
 * at its end is completed by the origin. `origin` empty: names must end with a dot. False: an empty
 * or too long label, a bad escape, too long. */
TARN_MUST_USE bool tarn_dns_name_parse(struct tarn_span text, struct tarn_span origin,
                                       struct tarn_dns_name *out);
/* Always with the dot at the end; whatever is special in a zone file is escaped. */
void tarn_dns_name_print(struct tarn_writer *w, struct tarn_span name);

#endif
