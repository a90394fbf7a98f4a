/* SPDX-License-Identifier: ISC */
#include <tarn/writer.h>

void tarn_writer_str(struct tarn_writer *w, const char *str) {
    tarn_writer_span_put(w, tarn_span_str(str));
}

static void put_digits(struct tarn_writer *w, uint64_t v, unsigned base, unsigned digits_min) {
    uint8_t text[64];
    size_t at = sizeof text;
    TARN_ASSERT(digits_min <= sizeof text);
    do {
        text[--at] = (uint8_t) "0123456789abcdef"[v % base];
        v /= base;
    } while (v);
    while (sizeof text - at < digits_min)
        text[--at] = '0';
    tarn_writer_mem(w, text + at, sizeof text - at);
}

void tarn_writer_dec(struct tarn_writer *w, uint64_t v) {
    put_digits(w, v, 10, 1);
}

void tarn_writer_dec_pad(struct tarn_writer *w, uint64_t v, unsigned digits) {
    put_digits(w, v, 10, digits);
}

void tarn_writer_hex(struct tarn_writer *w, uint64_t v, unsigned digits) {
    put_digits(w, v, 16, digits);
}

static uint8_t *written(struct tarn_writer *w, size_t at, size_t n) {
    TARN_ASSERT(w->len <= w->cap && n <= w->len && at <= w->len - n);
    return w->ptr + at;
}

void tarn_writer_patch_u16be(struct tarn_writer *w, size_t at, uint16_t v) {
    v = TARN_BE16_(v);
    __builtin_memcpy(written(w, at, sizeof v), &v, sizeof v);
}

void tarn_writer_patch_u32be(struct tarn_writer *w, size_t at, uint32_t v) {
    v = TARN_BE32_(v);
    __builtin_memcpy(written(w, at, sizeof v), &v, sizeof v);
}
