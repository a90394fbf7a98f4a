/* SPDX-License-Identifier: ISC */
#include <tarn/der.h>

#define LENGTH_BYTES_MAX 4

static bool length(struct tarn_span *in, size_t *out) {
    uint8_t first, next;
    if (!tarn_span_u8(in, &first))
        return false;
    if (first < 0x80) {
        *out = first;
        return true;
    }
    unsigned bytes = first & 0x7f;
    size_t n = 0;
    if (bytes == 0 || bytes > LENGTH_BYTES_MAX)
        return false;
    for (unsigned i = 0; i < bytes; i++) {
        if (!tarn_span_u8(in, &next) || (i == 0 && next == 0))
            return false;
        n = n << 8 | next;
    }
    *out = n;
    return n >= 0x80;
}

bool tarn_der_any(struct tarn_span *in, uint8_t *tag, struct tarn_span *value,
                  struct tarn_span *whole) {
    struct tarn_span start = *in;
    size_t n;
    if (!tarn_span_u8(in, tag) || (*tag & 0x1f) == 0x1f || !length(in, &n)
        || !tarn_span_take(in, n, value))
        return false;
    *whole = tarn_span_first(start, start.len - in->len);
    return true;
}

bool tarn_der_take(struct tarn_span *in, uint8_t tag, struct tarn_span *value) {
    struct tarn_span whole;
    uint8_t got;
    return tarn_der_any(in, &got, value, &whole) && got == tag;
}

bool tarn_der_take_whole(struct tarn_span *in, uint8_t tag, struct tarn_span *whole) {
    struct tarn_span value;
    uint8_t got;
    return tarn_der_any(in, &got, &value, whole) && got == tag;
}

bool tarn_der_is(struct tarn_span in, uint8_t tag) {
    return in.len > 0 && tarn_span_at(in, 0) == tag;
}

bool tarn_der_optional(struct tarn_span *in, uint8_t tag, struct tarn_span *value, bool *there) {
    *there = tarn_der_is(*in, tag);
    *value = TARN_SPAN_EMPTY;
    return !*there || tarn_der_take(in, tag, value);
}

/* Of an INTEGER's contents. */
static bool positive_of(struct tarn_span *number) {
    if (number->len == 0 || tarn_span_at(*number, 0) & 0x80)
        return false;
    if (tarn_span_at(*number, 0) != 0 || number->len == 1)
        return true;
    *number = tarn_span_after(*number, 1);
    return (tarn_span_at(*number, 0) & 0x80) != 0;
}

bool tarn_der_positive(struct tarn_span *in, struct tarn_span *number) {
    return tarn_der_take(in, TARN_DER_INTEGER, number) && positive_of(number);
}

bool tarn_der_u32_of(struct tarn_span value, uint32_t *out) {
    uint8_t byte;
    if (!positive_of(&value) || value.len > 4)
        return false;
    *out = 0;
    while (tarn_span_u8(&value, &byte))
        *out = *out << 8 | byte;
    return true;
}

bool tarn_der_u32(struct tarn_span *in, uint32_t *out) {
    struct tarn_span value;
    return tarn_der_take(in, TARN_DER_INTEGER, &value) && tarn_der_u32_of(value, out);
}

bool tarn_der_bool(struct tarn_span *in, bool *out) {
    struct tarn_span value;
    if (!tarn_der_take(in, TARN_DER_BOOLEAN, &value) || value.len != 1)
        return false;
    uint8_t byte = tarn_span_at(value, 0);
    *out = byte != 0;
    return byte == 0 || byte == 0xff;
}

bool tarn_der_null(struct tarn_span *in) {
    struct tarn_span value;
    return tarn_der_take(in, TARN_DER_NULL, &value) && value.len == 0;
}

bool tarn_der_bit_bytes(struct tarn_span *in, struct tarn_span *bytes) {
    uint8_t unused;
    return tarn_der_take(in, TARN_DER_BITS, bytes) && tarn_span_u8(bytes, &unused) && unused == 0;
}

bool tarn_der_flags_of(struct tarn_span value, uint32_t *flags) {
    uint8_t unused, byte;
    *flags = 0;
    if (!tarn_span_u8(&value, &unused) || unused > 7 || value.len > 4
        || (value.len == 0 && unused > 0))
        return false;
    /* A named bit list has no trailing zeros (X.690 section 11.2.2), so its last bit is set. */
    if (value.len > 0
        && (tarn_span_at(value, value.len - 1) & ((2u << unused) - 1)) != (1u << unused))
        return false;
    for (unsigned i = 0; tarn_span_u8(&value, &byte); i++)
        for (unsigned bit = 0; bit < 8; bit++)
            *flags |= (uint32_t)(byte >> (7 - bit) & 1) << (8 * i + bit);
    return true;
}

bool tarn_der_flags(struct tarn_span *in, uint32_t *flags) {
    struct tarn_span value;
    return tarn_der_take(in, TARN_DER_BITS, &value) && tarn_der_flags_of(value, flags);
}

bool tarn_der_oid_is_valid(struct tarn_span value) {
    uint8_t byte, last = 0x80;
    while (tarn_span_u8(&value, &byte)) {
        if (byte == 0x80 && !(last & 0x80))
            return false; /* a part with a leading zero */
        if (byte == 0x80 && last == 0x80)
            return false; /* the first part, or the same further on */
        last = byte;
    }
    return !(last & 0x80);
}

struct tarn_span tarn_der_written(const struct tarn_der_writer *w) {
    struct tarn_span all = tarn_bytes_span(w->mem);
    return w->overflow ? TARN_SPAN_EMPTY : tarn_span_after(all, all.len - w->len);
}

void tarn_der_put_raw(struct tarn_der_writer *w, struct tarn_span bytes) {
    if (w->overflow || bytes.len > w->mem.len - w->len) {
        w->overflow = true;
        return;
    }
    w->len += bytes.len;
    tarn_bytes_copy(tarn_bytes_after(w->mem, w->mem.len - w->len), bytes);
}

static void put_byte(struct tarn_der_writer *w, uint8_t byte) {
    tarn_der_put_raw(w, tarn_span_of(&byte, 1));
}

void tarn_der_put_head(struct tarn_der_writer *w, uint8_t tag, size_t end) {
    size_t n = w->len - end;
    if (n >= 0x80) {
        uint8_t bytes = 0;
        for (; n > 0; n >>= 8, bytes++)
            put_byte(w, (uint8_t)n);
        put_byte(w, 0x80 | bytes);
    } else {
        put_byte(w, (uint8_t)n);
    }
    put_byte(w, tag);
}

void tarn_der_put(struct tarn_der_writer *w, uint8_t tag, struct tarn_span value) {
    size_t end = w->len;
    tarn_der_put_raw(w, value);
    tarn_der_put_head(w, tag, end);
}

void tarn_der_put_positive(struct tarn_der_writer *w, struct tarn_span number) {
    size_t end = w->len;
    while (number.len > 1 && tarn_span_at(number, 0) == 0)
        number = tarn_span_after(number, 1);
    tarn_der_put_raw(w, number);
    if (number.len == 0 || tarn_span_at(number, 0) & 0x80)
        put_byte(w, 0);
    tarn_der_put_head(w, TARN_DER_INTEGER, end);
}

void tarn_der_put_u32(struct tarn_der_writer *w, uint32_t number) {
    uint8_t be[4] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8),
                     (uint8_t)number};
    tarn_der_put_positive(w, TARN_SPAN_ARRAY(be));
}

void tarn_der_put_bit_bytes(struct tarn_der_writer *w, struct tarn_span bytes) {
    size_t end = w->len;
    tarn_der_put_raw(w, bytes);
    put_byte(w, 0);
    tarn_der_put_head(w, TARN_DER_BITS, end);
}

void tarn_der_put_flags(struct tarn_der_writer *w, uint32_t flags) {
    size_t end = w->len;
    unsigned unused = 0, bytes = 0;
    uint8_t first = 0;
    for (int i = 3; i >= 0; i--) {
        uint8_t byte = 0;
        for (unsigned bit = 0; bit < 8; bit++)
            byte |= (uint8_t)((flags >> (8 * (unsigned)i + bit) & 1) << (7 - bit));
        if (byte == 0 && bytes == 0)
            continue;
        if (bytes++ == 0)
            unused = (unsigned)__builtin_ctz(byte);
        put_byte(w, byte);
    }
    first = (uint8_t)unused;
    put_byte(w, first);
    tarn_der_put_head(w, TARN_DER_BITS, end);
}

void tarn_der_put_true(struct tarn_der_writer *w) {
    tarn_der_put(w, TARN_DER_BOOLEAN, TARN_SPAN_LIT("\xff"));
}
