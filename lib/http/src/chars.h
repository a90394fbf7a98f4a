/* SPDX-License-Identifier: ISC */
/* chars.h: the character classes of RFC 9110 and RFC 3986, in one table. */
#ifndef TARN_HTTP_CHARS_H
#define TARN_HTTP_CHARS_H

#include <tarn/span.h>

enum {
    CHAR_TOKEN = 1,  /* tchar (RFC 9110 section 5.6.2) */
    CHAR_FIELD = 2,  /* field-vchar, SP, HTAB (RFC 9110 section 5.5) */
    CHAR_TARGET = 4, /* what may stand in a request target */
    CHAR_HOST = 8,   /* reg-name and IP-literal (RFC 3986 section 3.2.2), without ':' */
    CHAR_PATH = 16,  /* pchar and '/' without '%' (RFC 3986 section 3.3): needs no escape */
};
extern const uint8_t tarn_http_chars[256];

static inline bool char_is(uint8_t c, unsigned class) {
    return TARN_AT(tarn_http_chars, c) & class;
}
/* The first position from `i` on whose byte is not of the class. */
static inline size_t char_run(struct tarn_span s, size_t i, unsigned class) {
    while (i < s.len && char_is(tarn_span_at(s, i), class))
        i++;
    return i;
}
static inline bool char_all(struct tarn_span s, unsigned class) {
    return char_run(s, 0, class) == s.len;
}

#endif
