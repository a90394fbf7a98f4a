/* SPDX-License-Identifier: ISC */
/* tarn/http_chunked.h: the chunked transfer coding, decoded as it arrives (RFC 9112 section 7.1).
 *
 * Body bytes are handed out where they lie. Extensions and trailers are checked, bounded and passed
 * over. Strict: CR LF ends every line, a size is hex digits only, nothing stands before an
 * extension's
 * ';' but space.
 */
#ifndef TARN_HTTP_CHUNKED_H
#define TARN_HTTP_CHUNKED_H

#include <tarn/err.h>
#include <tarn/span.h>

struct tarn_http_chunked {
    uint64_t left; /* of the current chunk's data */
    uint32_t extra_bytes, extra_bytes_max;
    uint8_t state, digits;
};

/* `extra_bytes_max` bounds extensions and trailers of the whole message together. */
void tarn_http_chunked_init(struct tarn_http_chunked *decoder, uint32_t extra_bytes_max);
/* Consumes from the front of `*in`. TARN_OK: `*data` is the next piece of the body, and there may
 * be more in `*in`. TARN_AGAIN: all of `*in` is consumed, send more. TARN_EOF: the message is
 * complete, and
 * `*in` is what follows it. TARN_PEER: broken, answer 400. TARN_LIMIT: too many extra bytes. The
 * last two are final. */
TARN_MUST_USE enum tarn_err tarn_http_chunked_next(struct tarn_http_chunked *decoder,
                                                   struct tarn_span *in, struct tarn_span *data);

#endif
