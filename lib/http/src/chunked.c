/* SPDX-License-Identifier: ISC */
#include <tarn/http_chunked.h>

#include "chars.h"

enum state {
    SIZE,
    EXTENSION_SPACE, /* behind a size: only space and then ';' may come */
    EXTENSION,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER_START,
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    END_LF,
    DONE,
    BROKEN,
    TOO_MUCH,
};

#define DIGITS_MAX 15 /* of a size: what does not fit 60 bits is no size */

void tarn_http_chunked_init(struct tarn_http_chunked *d, uint32_t extra_bytes_max) {
    *d = (struct tarn_http_chunked){.extra_bytes_max = extra_bytes_max, .state = SIZE};
}

static enum state size_digit(struct tarn_http_chunked *d, uint8_t c) {
    unsigned v;
    if (c >= '0' && c <= '9')
        v = c - '0';
    else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
        v = (c | 0x20) - 'a' + 10u;
    else if (d->digits == 0)
        return BROKEN;
    else
        return c == '\r'               ? SIZE_LF
               : c == ';'              ? EXTENSION
               : c == ' ' || c == '\t' ? EXTENSION_SPACE
                                       : BROKEN;
    if (++d->digits > DIGITS_MAX)
        return BROKEN;
    d->left = d->left << 4 | v;
    return SIZE;
}

/* One byte outside of data; what comes next. */
static enum state step(struct tarn_http_chunked *d, uint8_t c) {
    switch ((enum state)d->state) {
    case SIZE: return size_digit(d, c);
    case EXTENSION_SPACE:
        return c == ';' ? EXTENSION : c == ' ' || c == '\t' ? EXTENSION_SPACE : BROKEN;
    case EXTENSION: return c == '\r' ? SIZE_LF : char_is(c, CHAR_FIELD) ? EXTENSION : BROKEN;
    case SIZE_LF: d->digits = 0; return c != '\n' ? BROKEN : d->left ? DATA : TRAILER_START;
    case DATA_CR: return c == '\r' ? DATA_LF : BROKEN;
    case DATA_LF: return c == '\n' ? SIZE : BROKEN;
    case TRAILER_START: return c == '\r' ? END_LF : char_is(c, CHAR_TOKEN) ? TRAILER_NAME : BROKEN;
    case TRAILER_NAME:
        return c == ':' ? TRAILER_VALUE : char_is(c, CHAR_TOKEN) ? TRAILER_NAME : BROKEN;
    case TRAILER_VALUE:
        return c == '\r' ? TRAILER_LF : char_is(c, CHAR_FIELD) ? TRAILER_VALUE : BROKEN;
    case TRAILER_LF: return c == '\n' ? TRAILER_START : BROKEN;
    case END_LF: return c == '\n' ? DONE : BROKEN;
    case DATA:
    case DONE:
    case BROKEN:
    case TOO_MUCH: break;
    }
    return BROKEN;
}

static bool is_extra(enum state state) {
    return state == EXTENSION_SPACE || state == EXTENSION
           || (state >= TRAILER_NAME && state <= TRAILER_LF);
}

enum tarn_err tarn_http_chunked_next(struct tarn_http_chunked *d, struct tarn_span *in,
                                     struct tarn_span *data) {
    uint8_t c;
    for (;;) {
        switch (d->state) {
        case DATA:
            if (in->len == 0)
                return TARN_AGAIN;
            *data = tarn_span_first(*in, (size_t)TARN_MIN(d->left, (uint64_t)in->len));
            *in = tarn_span_after(*in, data->len);
            d->left -= data->len;
            if (d->left == 0)
                d->state = DATA_CR;
            return TARN_OK;
        case DONE: return TARN_EOF;
        case BROKEN: return TARN_PEER;
        case TOO_MUCH: return TARN_LIMIT;
        default:
            if (!tarn_span_u8(in, &c))
                return TARN_AGAIN;
            d->state = (uint8_t)step(d, c);
            if (is_extra((enum state)d->state) && ++d->extra_bytes > d->extra_bytes_max)
                d->state = TOO_MUCH;
        }
    }
}
