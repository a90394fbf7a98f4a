/* SPDX-License-Identifier: ISC */
#include "internal.h"

void number_wipe(mpz_t x) {
    size_t limbs = mpz_size(x);
    if (limbs)
        tarn_bytes_wipe(
            tarn_bytes_of(mpz_limbs_modify(x, (mp_size_t)limbs), limbs * sizeof(mp_limb_t)));
    mpz_clear(x);
}

struct tarn_span number_trim(struct tarn_span s) {
    while (s.len > 0 && tarn_span_at(s, 0) == 0)
        s = tarn_span_after(s, 1);
    return s;
}

size_t number_bits(struct tarn_span s) {
    s = number_trim(s);
    return s.len ? 8 * s.len - (size_t)(__builtin_clz(tarn_span_at(s, 0)) - 24) : 0;
}

void random_for_nettle(void *ctx, size_t len, uint8_t *dst) {
    tarn_random_fill((struct tarn_random *)ctx, tarn_bytes_of(dst, len));
}

/* One length, in the fewest bytes that hold it. */
static bool der_length(struct tarn_span *s, size_t *len) {
    uint8_t first, next;
    if (!tarn_span_u8(s, &first) || (first & 0x80 && first != 0x81 && first != 0x82))
        return false;
    if (first < 0x80) {
        *len = first;
        return true;
    }
    *len = 0;
    for (int i = 0; i < (first & 0x7f); i++) {
        if (!tarn_span_u8(s, &next))
            return false;
        *len = *len << 8 | next;
    }
    return *len >= (first == 0x81 ? 0x80 : 0x100);
}

static bool der_value(struct tarn_span *s, uint8_t tag, struct tarn_span *value) {
    uint8_t got;
    size_t len;
    return tarn_span_u8(s, &got) && got == tag && der_length(s, &len)
           && tarn_span_take(s, len, value);
}

static bool der_positive(struct tarn_span *s, struct tarn_span *number) {
    if (!der_value(s, 0x02, number) || number->len == 0 || tarn_span_at(*number, 0) & 0x80)
        return false;
    if (tarn_span_at(*number, 0) != 0)
        return true;
    if (number->len == 1 || !(tarn_span_at(*number, 1) & 0x80))
        return false; /* zero, or not the shortest form */
    *number = tarn_span_after(*number, 1);
    return true;
}

bool der_pair_read(struct tarn_span der, struct tarn_span *r, struct tarn_span *s) {
    struct tarn_span inner;
    return der_value(&der, 0x30, &inner) && der.len == 0 && der_positive(&inner, r)
           && der_positive(&inner, s) && inner.len == 0;
}

static size_t der_head_bytes(size_t len) {
    return len < 0x80 ? 2 : len < 0x100 ? 3 : 4;
}

static void der_head(struct tarn_writer *w, uint8_t tag, size_t len) {
    tarn_writer_u8(w, tag);
    if (len >= 0x100) {
        tarn_writer_u8(w, 0x82);
        tarn_writer_u16be(w, (uint16_t)len);
        return;
    }
    if (len >= 0x80)
        tarn_writer_u8(w, 0x81);
    tarn_writer_u8(w, (uint8_t)len);
}

static size_t positive_bytes(struct tarn_span number) {
    return number.len + (tarn_span_at(number, 0) & 0x80 ? 1 : 0);
}

static void put_positive(struct tarn_writer *w, struct tarn_span number) {
    der_head(w, 0x02, positive_bytes(number));
    if (tarn_span_at(number, 0) & 0x80)
        tarn_writer_u8(w, 0);
    tarn_writer_span_put(w, number);
}

void der_pair_write(struct tarn_writer *w, struct tarn_span r, struct tarn_span s) {
    r = number_trim(r);
    s = number_trim(s);
    size_t a = positive_bytes(r), b = positive_bytes(s);
    der_head(w, 0x30, der_head_bytes(a) + a + der_head_bytes(b) + b);
    put_positive(w, r);
    put_positive(w, s);
}
