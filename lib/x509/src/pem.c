/* SPDX-License-Identifier: ISC */
#include <tarn/pem.h>

#define LINE_BYTES 48 /* of data, in 64 characters */

static int value_of(uint8_t c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

enum tarn_err tarn_base64_decode(struct tarn_span text, struct tarn_bytes out, size_t *len) {
    struct tarn_writer w = tarn_writer_over(out);
    uint32_t group = 0;
    unsigned have = 0, padding = 0;
    uint8_t c;
    while (tarn_span_u8(&text, &c)) {
        int value = value_of(c);
        if (c == ' ' || c == '\n' || c == '\r' || c == '\t')
            continue;
        padding += c == '=';
        if ((value < 0 && c != '=') || (padding > 0 && c != '=') || padding > 2)
            return TARN_PEER;
        group = group << 6 | (uint32_t)(value < 0 ? 0 : value);
        if (++have < 4)
            continue;
        /* What padding leaves out must have been zero (RFC 4648 section 3.5). */
        if (group & ((1u << 8 * padding) - 1))
            return TARN_PEER;
        for (unsigned i = 0; i < 3 - padding; i++)
            tarn_writer_u8(&w, (uint8_t)(group >> (16 - 8 * i)));
        group = have = 0;
    }
    if (have != 0)
        return TARN_PEER;
    if (!tarn_writer_ok(&w))
        return TARN_LIMIT;
    *len = w.len;
    return TARN_OK;
}

void tarn_base64_put(struct tarn_writer *w, struct tarn_span data) {
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    while (data.len > 0) {
        struct tarn_span three = tarn_span_first(data, 3);
        uint32_t group = 0;
        for (size_t i = 0; i < 3; i++)
            group = group << 8 | (i < three.len ? tarn_span_at(three, i) : 0);
        for (size_t i = 0; i < 4; i++)
            tarn_writer_u8(
                w, i <= three.len ? (uint8_t)TARN_AT(alphabet, group >> (18 - 6 * i) & 63) : '=');
        data = tarn_span_after(data, three.len);
    }
}

/* Up to and with the next `mark`; what is before it goes to `before`. */
static bool take_until(struct tarn_span *text, struct tarn_span mark, struct tarn_span *before) {
    for (size_t at = 0; at + mark.len <= text->len; at++) {
        struct tarn_span rest = tarn_span_after(*text, at);
        if (!tarn_span_starts(rest, mark))
            continue;
        *before = tarn_span_first(*text, at);
        *text = tarn_span_after(rest, mark.len);
        return true;
    }
    return false;
}

enum tarn_err tarn_pem_next(struct tarn_span *text, struct tarn_span *label, struct tarn_bytes out,
                            struct tarn_span *der) {
    struct tarn_span before, body, end_label;
    size_t n;
    if (!take_until(text, TARN_SPAN_LIT("-----BEGIN "), &before))
        return TARN_NOT_FOUND;
    if (!take_until(text, TARN_SPAN_LIT("-----"), label)
        || !take_until(text, TARN_SPAN_LIT("-----END "), &body)
        || !take_until(text, TARN_SPAN_LIT("-----"), &end_label)
        || !tarn_span_equal(*label, end_label))
        return TARN_PEER;
    enum tarn_err err = tarn_base64_decode(body, out, &n);
    if (!err)
        *der = tarn_bytes_span(tarn_bytes_first(out, n));
    return err;
}

void tarn_pem_put(struct tarn_writer *w, const char *label, struct tarn_span der) {
    tarn_writer_str(w, "-----BEGIN ");
    tarn_writer_str(w, label);
    tarn_writer_str(w, "-----\n");
    while (der.len > 0) {
        struct tarn_span line = tarn_span_first(der, LINE_BYTES);
        tarn_base64_put(w, line);
        tarn_writer_u8(w, '\n');
        der = tarn_span_after(der, line.len);
    }
    tarn_writer_str(w, "-----END ");
    tarn_writer_str(w, label);
    tarn_writer_str(w, "-----\n");
}
