/* SPDX-License-Identifier: ISC */
/* conditions.h: conditional requests (RFC 9110 section 13), ranges (section 14) and the choice of a
 * coding (section 12.5.3), as far as they do not need a server. */
#ifndef TARN_HTTP_CONDITIONS_H
#define TARN_HTTP_CONDITIONS_H

#include <tarn/http_files.h>

/* What a representation is known by. */
struct validators {
    struct tarn_span etag; /* strong, with its quotes */
    int64_t modified;      /* seconds since 1970 */
};

/* 0: go on; 304 or 412: that is the answer. `now` is for two-digit years. */
uint16_t conditions_check(const struct tarn_http_request *r, const struct validators *v,
                          int64_t now);

struct range {
    uint64_t first, len;
};
struct ranges {
    uint32_t count;
    struct range at[TARN_HTTP_RANGES_MAX];
};
/* 200: the whole representation; 206: `out` has one or more ranges, in the order asked for; 416. */
uint16_t ranges_choose(const struct tarn_http_request *r, const struct validators *v, uint64_t size,
                       int64_t now, struct ranges *out);

/* Whether the client takes gzip (RFC 9110 section 12.5.3). */
bool accepts_gzip(const struct tarn_http_request *r);

#endif
