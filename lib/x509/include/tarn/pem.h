/* SPDX-License-Identifier: ISC */
/* tarn/pem.h: PEM (RFC 7468), and the base64 inside it (RFC 4648 section 4).
 *
 * Never allocates. What stands between the blocks is skipped, as files of certificates have it.
 */
#ifndef TARN_PEM_H
#define TARN_PEM_H

#include <tarn/err.h>
#include <tarn/writer.h>

/* The next block of `text`: its label ("CERTIFICATE") and its contents, decoded into `out`, of
 * which *der is the part used; `text` moves behind it. TARN_NOT_FOUND: no more. TARN_PEER:
 * malformed. TARN_LIMIT: `out` is too small. `out` may be the memory that `text` lies in, from its
 * start on. */
TARN_MUST_USE enum tarn_err tarn_pem_next(struct tarn_span *text, struct tarn_span *label,
                                          struct tarn_bytes out, struct tarn_span *der);
void tarn_pem_put(struct tarn_writer *w, const char *label, struct tarn_span der);

/* The whole of `text`, white space skipped. *len is what was written. TARN_PEER: not base64.
 * TARN_LIMIT: no room. */
TARN_MUST_USE enum tarn_err tarn_base64_decode(struct tarn_span text, struct tarn_bytes out,
                                               size_t *len);
void tarn_base64_put(struct tarn_writer *w, struct tarn_span data);

#endif
