/* SPDX-License-Identifier: ISC */
/* tarn/span.h: bytes that a peer controls, read with every access checked.
 *
 * A span borrows memory; it owns nothing and is passed by value. The tarn_span_* readers take a
 * pointer to one, consume from its front, and answer false (with the span and the output untouched)
 * where it is too short. There is no other way to read peer bytes in lib/: the lint sees to that.
 */
#ifndef TARN_SPAN_H
#define TARN_SPAN_H

#include <tarn/byteorder.h>

struct tarn_span {
    const uint8_t *ptr;
    size_t len;
};

/* Memory that the holder may also write. */
struct tarn_bytes {
    uint8_t *ptr;
    size_t len;
};

#define TARN_SPAN_EMPTY ((struct tarn_span){NULL, 0})
/* A string literal (without its NUL), an array, any object's bytes. */
#define TARN_SPAN_LIT(lit) ((struct tarn_span){(const uint8_t *)("" lit), sizeof(lit) - 1})
#define TARN_SPAN_ARRAY(array) ((struct tarn_span){(const uint8_t *)(array), sizeof(array)})
#define TARN_BYTES_ARRAY(array) ((struct tarn_bytes){(uint8_t *)(array), sizeof(array)})

static inline struct tarn_span tarn_span_of(const void *ptr, size_t len) {
    return (struct tarn_span){(const uint8_t *)ptr, len};
}
static inline struct tarn_bytes tarn_bytes_of(void *ptr, size_t len) {
    return (struct tarn_bytes){(uint8_t *)ptr, len};
}
static inline struct tarn_span tarn_bytes_span(struct tarn_bytes b) {
    return (struct tarn_span){b.ptr, b.len};
}
/* A NUL-terminated string of the program's own. */
struct tarn_span tarn_span_str(const char *str);

TARN_UNSAFE_BEGIN

/* ptr + n, also for the NULL of an empty span, to which C11 allows nothing to be added. */
static inline const uint8_t *tarn_span_ptr_(const uint8_t *ptr, size_t n) {
    return n ? ptr + n : ptr;
}

/* Consuming readers. */

static inline TARN_MUST_USE bool tarn_span_skip(struct tarn_span *s, size_t n) {
    if (TARN_UNLIKELY(n > s->len))
        return false;
    s->ptr = tarn_span_ptr_(s->ptr, n);
    s->len -= n;
    return true;
}
static inline TARN_MUST_USE bool tarn_span_take(struct tarn_span *s, size_t n,
                                                struct tarn_span *out) {
    if (TARN_UNLIKELY(n > s->len))
        return false;
    *out = (struct tarn_span){s->ptr, n};
    s->ptr = tarn_span_ptr_(s->ptr, n);
    s->len -= n;
    return true;
}
static inline TARN_MUST_USE bool tarn_span_copy(struct tarn_span *s, void *out, size_t n) {
    if (TARN_UNLIKELY(n > s->len))
        return false;
    if (n == 0)
        return true;
    __builtin_memcpy(out, s->ptr, n);
    s->ptr += n;
    s->len -= n;
    return true;
}
static inline TARN_MUST_USE bool tarn_span_u8(struct tarn_span *s, uint8_t *out) {
    if (TARN_UNLIKELY(s->len < 1))
        return false;
    *out = s->ptr[0];
    s->ptr += 1;
    s->len -= 1;
    return true;
}
#define TARN_SPAN_READER_(name, type)                                                              \
    static inline TARN_MUST_USE bool tarn_span_##name(struct tarn_span *s, type *out) {            \
        if (TARN_UNLIKELY(s->len < sizeof *out))                                                   \
            return false;                                                                          \
        *out = tarn_load_##name(s->ptr);                                                           \
        s->ptr += sizeof *out;                                                                     \
        s->len -= sizeof *out;                                                                     \
        return true;                                                                               \
    }
TARN_SPAN_READER_(u16be, uint16_t)
TARN_SPAN_READER_(u32be, uint32_t)
TARN_SPAN_READER_(u64be, uint64_t)
TARN_SPAN_READER_(u16le, uint16_t)
TARN_SPAN_READER_(u32le, uint32_t)
TARN_SPAN_READER_(u64le, uint64_t)
#undef TARN_SPAN_READER_

/* Looking without consuming. */

/* The byte at `i`, which the caller knows to be inside: outside it traps. */
static inline uint8_t tarn_span_at(struct tarn_span s, size_t i) {
    TARN_ASSERT(i < s.len);
    return s.ptr[i];
}
static inline uint8_t *tarn_bytes_at(struct tarn_bytes b, size_t i) {
    TARN_ASSERT(i < b.len);
    return &b.ptr[i];
}
/* [off, off + len), which must lie inside: false otherwise. */
static inline TARN_MUST_USE bool tarn_span_sub(struct tarn_span s, size_t off, size_t len,
                                               struct tarn_span *out) {
    if (TARN_UNLIKELY(off > s.len || len > s.len - off))
        return false;
    *out = (struct tarn_span){tarn_span_ptr_(s.ptr, off), len};
    return true;
}
/* The first `n` bytes, or all of them where there are fewer. */
static inline struct tarn_span tarn_span_first(struct tarn_span s, size_t n) {
    return (struct tarn_span){s.ptr, n < s.len ? n : s.len};
}
/* What is left behind the first `n` bytes: empty where there are not more. */
static inline struct tarn_span tarn_span_after(struct tarn_span s, size_t n) {
    return n < s.len ? (struct tarn_span){s.ptr + n, s.len - n} : TARN_SPAN_EMPTY;
}
static inline struct tarn_bytes tarn_bytes_first(struct tarn_bytes b, size_t n) {
    return (struct tarn_bytes){b.ptr, n < b.len ? n : b.len};
}
static inline struct tarn_bytes tarn_bytes_after(struct tarn_bytes b, size_t n) {
    return n < b.len ? (struct tarn_bytes){b.ptr + n, b.len - n} : (struct tarn_bytes){NULL, 0};
}

TARN_UNSAFE_END

bool tarn_span_equal(struct tarn_span a, struct tarn_span b);
/* ASCII letters compare alike in both cases; every other byte as it is. */
bool tarn_span_equal_nocase(struct tarn_span a, struct tarn_span b);
bool tarn_span_starts(struct tarn_span s, struct tarn_span prefix);
bool tarn_span_ends(struct tarn_span s, struct tarn_span suffix);
/* <0, 0, >0 in byte order, a prefix first. */
int tarn_span_compare(struct tarn_span a, struct tarn_span b);
/* The index of the first `byte`, or false. */
TARN_MUST_USE bool tarn_span_find(struct tarn_span s, uint8_t byte, size_t *index);
/* Splits at the first `byte`: what is before it to `head`, what is behind it stays in `s`. Where
 * there is none, all of `s` goes to `head`, `s` becomes empty, and the answer is false. */
bool tarn_span_split(struct tarn_span *s, uint8_t byte, struct tarn_span *head);
/* Without the `set` bytes (a C string of single characters) on both ends. */
struct tarn_span tarn_span_trim(struct tarn_span s, const char *set);

/* The whole span as an unsigned number: no sign, no space, at least one digit, overflow refused. */
TARN_MUST_USE bool tarn_span_parse_dec(struct tarn_span s, uint64_t max, uint64_t *out);
TARN_MUST_USE bool tarn_span_parse_hex(struct tarn_span s, uint64_t max, uint64_t *out);

/* Copies min(dst.len, src.len) bytes and says how many. The two must not overlap. */
size_t tarn_bytes_copy(struct tarn_bytes dst, struct tarn_span src);
/* The same for memory that may overlap. */
size_t tarn_bytes_move(struct tarn_bytes dst, struct tarn_span src);
void tarn_bytes_fill(struct tarn_bytes dst, uint8_t byte);
/* Zeroes in a way the compiler keeps: for secrets. */
void tarn_bytes_wipe(struct tarn_bytes dst);

#endif
