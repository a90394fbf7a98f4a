/* SPDX-License-Identifier: ISC */
/* tarn/der.h: ASN.1 in its distinguished encoding (ITU-T X.690), read from spans and written
 * backwards.
 *
 * Never allocates; usable alone. The readers take from the front of a span and answer false where
 * what is there is not DER: lengths in the fewest bytes and definite, one byte of tag, numbers in
 * the fewest bytes, unused bits zero, booleans 00 or ff. On false the span may be partly consumed.
 *
 * Nothing recurses: the depth of what is read is the depth of the code that reads.
 */
#ifndef TARN_DER_H
#define TARN_DER_H

#include <tarn/err.h>
#include <tarn/span.h>

enum tarn_der_tag {
    TARN_DER_BOOLEAN = 0x01,
    TARN_DER_INTEGER = 0x02,
    TARN_DER_BITS = 0x03,
    TARN_DER_OCTETS = 0x04,
    TARN_DER_NULL = 0x05,
    TARN_DER_OID = 0x06,
    TARN_DER_ENUM = 0x0a,
    TARN_DER_UTF8 = 0x0c,
    TARN_DER_PRINTABLE = 0x13,
    TARN_DER_T61 = 0x14,
    TARN_DER_IA5 = 0x16,
    TARN_DER_UTC_TIME = 0x17,
    TARN_DER_GENERAL_TIME = 0x18,
    TARN_DER_BMP = 0x1e,
    TARN_DER_SEQUENCE = 0x30,
    TARN_DER_SET = 0x31,
    TARN_DER_CONTEXT = 0x80, /* | number: implicit and primitive */
    TARN_DER_EXPLICIT = 0xa0 /* | number: constructed */
};

/* The next element, whatever it is: its tag, its contents, and all of it. */
TARN_MUST_USE bool tarn_der_any(struct tarn_span *in, uint8_t *tag, struct tarn_span *value,
                                struct tarn_span *whole);
/* The contents of the next element, which must have that tag. */
TARN_MUST_USE bool tarn_der_take(struct tarn_span *in, uint8_t tag, struct tarn_span *value);
/* The same, with head. */
TARN_MUST_USE bool tarn_der_take_whole(struct tarn_span *in, uint8_t tag, struct tarn_span *whole);
/* Whether the next element has that tag. */
bool tarn_der_is(struct tarn_span in, uint8_t tag);
/* Takes it where it is there; otherwise *value is empty and *there false. False: it is malformed.
 */
TARN_MUST_USE bool tarn_der_optional(struct tarn_span *in, uint8_t tag, struct tarn_span *value,
                                     bool *there);
/* An INTEGER that is not negative, without its leading zero; zero is one byte of zero. */
TARN_MUST_USE bool tarn_der_positive(struct tarn_span *in, struct tarn_span *number);
/* A small one. */
TARN_MUST_USE bool tarn_der_u32(struct tarn_span *in, uint32_t *out);
/* The contents of an implicitly tagged one. */
TARN_MUST_USE bool tarn_der_u32_of(struct tarn_span value, uint32_t *out);
TARN_MUST_USE bool tarn_der_bool(struct tarn_span *in, bool *out);
TARN_MUST_USE bool tarn_der_null(struct tarn_span *in);
/* A BIT STRING of whole bytes (keys, signatures). */
TARN_MUST_USE bool tarn_der_bit_bytes(struct tarn_span *in, struct tarn_span *bytes);
/* A BIT STRING of flags, the first of which becomes bit 0; at most 32, without trailing zeros. */
TARN_MUST_USE bool tarn_der_flags(struct tarn_span *in, uint32_t *flags);
/* The contents of an implicitly tagged BIT STRING of flags. */
TARN_MUST_USE bool tarn_der_flags_of(struct tarn_span value, uint32_t *flags);
/* UTCTime or GeneralizedTime in the one form that RFC 5280 section 4.1.2.5 allows, in seconds since
 * 1970; UTCTime up to 2049, GeneralizedTime from 2050 on where `x509`. */
TARN_MUST_USE bool tarn_der_time(struct tarn_span *in, bool x509, int64_t *seconds);
/* Whether an OBJECT IDENTIFIER's contents are well-formed: no leading 0x80 in a part, a whole last.
 */
bool tarn_der_oid_is_valid(struct tarn_span value);

/* Writing, from the last byte to the first, so that a length is known when it is needed. Overflow
 * is sticky. An element is made by writing its contents (in reverse order), then its head:
 *
 *     size_t end = w.len;
 *     tarn_der_put_u32(&w, 3);         // second
 *     tarn_der_put_oid(&w, oid);       // first
 *     tarn_der_put_head(&w, TARN_DER_SEQUENCE, end);
 */
struct tarn_der_writer {
    struct tarn_bytes mem;
    size_t len; /* written so far, at the end of mem */
    bool overflow;
};
static inline struct tarn_der_writer tarn_der_writer_over(struct tarn_bytes mem) {
    return (struct tarn_der_writer){mem, 0, false};
}
/* What has been written; empty after an overflow. */
struct tarn_span tarn_der_written(const struct tarn_der_writer *w);
void tarn_der_put_raw(struct tarn_der_writer *w, struct tarn_span bytes);
/* The head of an element whose contents began when `len` was `end`. */
void tarn_der_put_head(struct tarn_der_writer *w, uint8_t tag, size_t end);
void tarn_der_put(struct tarn_der_writer *w, uint8_t tag, struct tarn_span value);
void tarn_der_put_positive(struct tarn_der_writer *w, struct tarn_span number);
void tarn_der_put_u32(struct tarn_der_writer *w, uint32_t number);
void tarn_der_put_bit_bytes(struct tarn_der_writer *w, struct tarn_span bytes);
void tarn_der_put_flags(struct tarn_der_writer *w, uint32_t flags);
void tarn_der_put_true(struct tarn_der_writer *w);
/* As RFC 5280 wants it: UTCTime up to 2049. */
void tarn_der_put_time(struct tarn_der_writer *w, int64_t seconds);

#endif
