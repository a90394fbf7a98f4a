/* SPDX-License-Identifier: ISC */
#ifndef TARN_X509_INTERNAL_H
#define TARN_X509_INTERNAL_H

#include <tarn/x509.h>

/* Contents of OBJECT IDENTIFIERs. */
#define OID_RSA "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"
#define OID_RSA_PSS "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a"
#define OID_MGF1 "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08"
#define OID_EC "\x2a\x86\x48\xce\x3d\x02\x01"
#define OID_P256 "\x2a\x86\x48\xce\x3d\x03\x01\x07"
#define OID_P384 "\x2b\x81\x04\x00\x22"
#define OID_P521 "\x2b\x81\x04\x00\x23"
#define OID_DSA "\x2a\x86\x48\xce\x38\x04\x01"
#define OID_X25519 "\x2b\x65\x6e"
#define OID_X448 "\x2b\x65\x6f"
#define OID_ED25519 "\x2b\x65\x70"
#define OID_ED448 "\x2b\x65\x71"
#define OID_COMMON_NAME "\x55\x04\x03"
#define OID_EMAIL_ADDRESS "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01"
#define OID_EXTENSION_REQUEST "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e"
#define OID_SHA1 "\x2b\x0e\x03\x02\x1a"
#define OID_SHA256 "\x60\x86\x48\x01\x65\x03\x04\x02\x01"
#define OID_SHA384 "\x60\x86\x48\x01\x65\x03\x04\x02\x02"
#define OID_SHA512 "\x60\x86\x48\x01\x65\x03\x04\x02\x03"
#define OID_IS(value, oid) tarn_span_equal((value), TARN_SPAN_LIT(oid))

/* The hash function with that AlgorithmIdentifier (parameters absent or NULL); NULL: not known.
 * False: malformed. */
bool digest_alg_parse(struct tarn_span *in, const struct tarn_digest **digest);
/* The parameters of an elliptic curve key, or of the identifiers of X and Ed keys. */
enum tarn_pk_type curve_from_oid(struct tarn_span oid);
/* "..." of an AlgorithmIdentifier for a key. */
void put_key_alg(struct tarn_der_writer *w, enum tarn_pk_type type);

/* The extensions of a certificate or a request: contents of the SEQUENCE OF. */
enum tarn_err extensions_parse(struct tarn_span list, struct tarn_x509 *cert);

/* DNS names in their preferred syntax, underscores included; a wildcard in front where allowed. */
bool dns_is_valid(struct tarn_span name, bool wildcard);
bool dns_matches(struct tarn_span pattern, struct tarn_span name);
bool ip_text_parse(struct tarn_span text, uint8_t out[16], size_t *len);

#endif
