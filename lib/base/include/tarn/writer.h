/* SPDX-License-Identifier: ISC */
/* tarn/writer.h: bytes going out, into memory of known size.
 *
 * Overflow is sticky: write on, check once at the end with tarn_writer_ok. `len` goes on counting
 * what was asked for, so after an overflow it says how much room would have been enough; nothing is
 * ever stored behind `cap`, and a piece that does not fit is left out whole.
 */
#ifndef TARN_WRITER_H
#define TARN_WRITER_H

#include <tarn/span.h>

struct tarn_writer {
    uint8_t *ptr;
    size_t len, cap;
};

static inline struct tarn_writer tarn_writer_over(struct tarn_bytes b) {
    return (struct tarn_writer){b.ptr, 0, b.len};
}
#define TARN_WRITER_ARRAY(array) ((struct tarn_writer){(uint8_t *)(array), 0, sizeof(array)})

static inline TARN_MUST_USE bool tarn_writer_ok(const struct tarn_writer *w) {
    return w->len <= w->cap;
}
/* What has been written; empty after an overflow. */
static inline struct tarn_span tarn_writer_span(const struct tarn_writer *w) {
    return tarn_writer_ok(w) ? (struct tarn_span){w->ptr, w->len} : TARN_SPAN_EMPTY;
}
static inline size_t tarn_writer_room(const struct tarn_writer *w) {
    return w->len < w->cap ? w->cap - w->len : 0;
}

TARN_UNSAFE_BEGIN
/* The next `n` bytes to fill by other means, or NULL where they do not fit or are none. Counts them
 * as written. */
static inline uint8_t *tarn_writer_reserve(struct tarn_writer *w, size_t n) {
    size_t at = w->len;
    bool fits = at <= w->cap && n <= w->cap - at;
    w->len = n > SIZE_MAX - at ? SIZE_MAX : at + n;
    return TARN_LIKELY(fits && n) ? w->ptr + at : NULL;
}
static inline void tarn_writer_u8(struct tarn_writer *w, uint8_t v) {
    uint8_t *p = tarn_writer_reserve(w, 1);
    if (p)
        *p = v;
}
#define TARN_WRITER_PUT_(name, type)                                                               \
    static inline void tarn_writer_##name(struct tarn_writer *w, type v) {                         \
        uint8_t *p = tarn_writer_reserve(w, sizeof v);                                             \
        if (p)                                                                                     \
            tarn_store_##name(p, v);                                                               \
    }
TARN_WRITER_PUT_(u16be, uint16_t)
TARN_WRITER_PUT_(u32be, uint32_t)
TARN_WRITER_PUT_(u64be, uint64_t)
TARN_WRITER_PUT_(u16le, uint16_t)
TARN_WRITER_PUT_(u32le, uint32_t)
TARN_WRITER_PUT_(u64le, uint64_t)
#undef TARN_WRITER_PUT_
static inline void tarn_writer_mem(struct tarn_writer *w, const void *src, size_t n) {
    uint8_t *p = tarn_writer_reserve(w, n);
    if (p)
        __builtin_memcpy(p, src, n);
}
static inline void tarn_writer_zero(struct tarn_writer *w, size_t n) {
    uint8_t *p = tarn_writer_reserve(w, n);
    if (p)
        __builtin_memset(p, 0, n);
}
TARN_UNSAFE_END

static inline void tarn_writer_span_put(struct tarn_writer *w, struct tarn_span s) {
    tarn_writer_mem(w, s.ptr, s.len);
}

/* Text. */
void tarn_writer_str(struct tarn_writer *w, const char *str);
void tarn_writer_dec(struct tarn_writer *w, uint64_t v);
/* Decimal with leading zeros up to `digits`, of which there are at most 64. */
void tarn_writer_dec_pad(struct tarn_writer *w, uint64_t v, unsigned digits);
/* Lower-case hex, at least `digits` long, of which there are at most 64. */
void tarn_writer_hex(struct tarn_writer *w, uint64_t v, unsigned digits);

/* Overwrites bytes already written (a length or checksum known only later). Traps outside them. */
void tarn_writer_patch_u16be(struct tarn_writer *w, size_t at, uint16_t v);
void tarn_writer_patch_u32be(struct tarn_writer *w, size_t at, uint32_t v);

#endif
