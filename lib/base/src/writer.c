/* SPDX-License-Identifier: ISC */
#include <tarn/writer.h>

void tarn_writer_str(struct tarn_writer *w, const char *str) {
    tarn_writer_span_put(w, tarn_span_str(str));
}

static uint8_t digit(uint64_t v) {
    return (uint8_t)(v < 10 ? '0' + v : 'a' + (v - 10));
}

static void put_digits(struct tarn_writer *w, uint64_t v, unsigned base, unsigned digits_min) {
    uint8_t text[64]; /* enough for any base */
    size_t at = sizeof text;
    TARN_ASSERT(digits_min <= sizeof text);
    /*@ loop invariant 0 < at <= 64;
      @ loop assigns at, v, text[0 .. 63];
      @ loop variant at; */
    do {
        text[--at] = digit(v % base);
        v /= base;
    } while (v && at);
    /*@ loop invariant at <= 64;
      @ loop assigns at, text[0 .. 63];
      @ loop variant at; */
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
    tarn_store_u16be(written(w, at, sizeof v), v);
}

void tarn_writer_patch_u32be(struct tarn_writer *w, size_t at, uint32_t v) {
    tarn_store_u32be(written(w, at, sizeof v), v);
}
