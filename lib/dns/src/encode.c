/* SPDX-License-Identifier: ISC */
/* Base 16, 32 (extended hex) and 64 (RFC 4648), as DNS writes them. */
#include "text.h"

static uint8_t digit(struct tarn_span alphabet, uint32_t i) {
    return tarn_span_at(alphabet, i);
}

static void print(struct tarn_writer *w, struct tarn_span bytes, struct tarn_span alphabet,
                  unsigned width) {
    uint32_t bits = 0;
    unsigned have = 0;
    uint8_t c;
    while (tarn_span_u8(&bytes, &c)) {
        bits = bits << 8 | c;
        for (have += 8; have >= width; have -= width)
            tarn_writer_u8(w, digit(alphabet, bits >> (have - width) & ((1u << width) - 1)));
    }
    if (have)
        tarn_writer_u8(w, digit(alphabet, bits << (width - have) & ((1u << width) - 1)));
}

void dns_print_hex(struct tarn_writer *w, struct tarn_span bytes) {
    print(w, bytes, TARN_SPAN_LIT("0123456789ABCDEF"), 4);
}

void dns_print_base32(struct tarn_writer *w, struct tarn_span bytes) {
    print(w, bytes, TARN_SPAN_LIT("0123456789ABCDEFGHIJKLMNOPQRSTUV"), 5);
}

void dns_print_base64(struct tarn_writer *w, struct tarn_span bytes) {
    print(w, bytes,
          TARN_SPAN_LIT("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"), 6);
    for (size_t n = bytes.len % 3; n && n < 3; n++)
        tarn_writer_u8(w, '=');
}

static int value_of(uint8_t c, unsigned width) {
    uint8_t lower = tarn_dns_lower(c);
    if (width < 6) {
        int v = c >= '0' && c <= '9'           ? c - '0'
                : lower >= 'a' && lower <= 'z' ? lower - 'a' + 10
                                               : -1;
        return v < 1 << width ? v : -1;
    }
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool dns_decode(struct dns_decoder *d, struct tarn_span text, struct tarn_writer *out) {
    uint8_t c;
    while (tarn_span_u8(&text, &c)) {
        if (d->width == 6 && c == '=') {
            d->pads++;
            d->chars = (uint8_t)((d->chars + 1) & 3);
            if (d->pads > 2)
                return false;
            continue;
        }
        int v = value_of(c, d->width);
        if (v < 0 || d->pads)
            return false;
        d->bits = (d->bits << d->width | (uint32_t)v) & 0xffff;
        d->have = (uint8_t)(d->have + d->width);
        d->chars = (uint8_t)((d->chars + 1) & 7);
        if (d->have >= 8) {
            d->have = (uint8_t)(d->have - 8);
            tarn_writer_u8(out, (uint8_t)(d->bits >> d->have));
        }
    }
    return true;
}

/* What is left over is less than a character, and zero; base64 is whole groups of four. */
bool dns_decode_end(const struct dns_decoder *d) {
    if (d->have >= d->width || (d->bits & ((1u << d->have) - 1)))
        return false;
    return d->width != 6 || (d->chars & 3) == 0;
}
