/* SPDX-License-Identifier: ISC */
/* tarn/http_date.h: the dates of HTTP (RFC 9110 section 5.6.7). */
#ifndef TARN_HTTP_DATE_H
#define TARN_HTTP_DATE_H

#include <tarn/span.h>
#include <tarn/writer.h>

#define TARN_HTTP_DATE_BYTES 29

/* IMF-fixdate: "Sun, 06 Nov 1994 08:49:37 GMT". Years 0 to 9999; others are clamped. */
void tarn_writer_http_date(struct tarn_writer *w, int64_t unix_seconds);
/* All three forms that a recipient must accept, strictly; a two-digit year that would lie more than
 * 50 years after `now_seconds` is of the century before. The weekday is not compared with the date.
 */
TARN_MUST_USE bool tarn_http_date_parse(struct tarn_span text, int64_t now_seconds,
                                        int64_t *unix_seconds);

#endif
