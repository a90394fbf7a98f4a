/* SPDX-License-Identifier: ISC */
/* It would break contracts apart: */
/* clang-format off */
/* The contracts of tarn/byteorder.h and tarn/span.h: redeclarations, which Frama-C joins with what the
 * headers define. */
#include <tarn/span.h>

/*@ predicate span{L}(struct tarn_span *s) =
  @   \valid(s) && readable(s->ptr, s->len) && \separated(s, s->ptr + (0 .. s->len - 1));
  @*/

/* Numbers: only the bytes that they are made of are read. What they say is a unit test. */

/*@ requires readable(p, 2); assigns \nothing; */
static inline uint16_t tarn_load_u16be(const uint8_t *p);
/*@ requires readable(p, 2); assigns \nothing; */
static inline uint16_t tarn_load_u16le(const uint8_t *p);
/*@ requires readable(p, 4); assigns \nothing; */
static inline uint32_t tarn_load_u32be(const uint8_t *p);
/*@ requires readable(p, 4); assigns \nothing; */
static inline uint32_t tarn_load_u32le(const uint8_t *p);
/*@ requires readable(p, 8); assigns \nothing; */
static inline uint64_t tarn_load_u64be(const uint8_t *p);
/*@ requires readable(p, 8); assigns \nothing; */
static inline uint64_t tarn_load_u64le(const uint8_t *p);

/*@ requires readable(ptr, n); assigns \nothing; ensures \result == ptr + n; */
static inline const uint8_t *tarn_span_ptr_(const uint8_t *ptr, size_t n);

/* Consuming readers: all of what was asked for, or false and nothing has changed. */

/*@ requires span(s);
  @ assigns *s;
  @ ensures span(s);
  @ ensures \result <==> n <= \old(s->len);
  @ ensures \result ==> s->len == \old(s->len) - n && s->ptr == \old(s->ptr) + n;
  @ ensures !\result ==> *s == \old(*s);
  @*/
static inline bool tarn_span_skip(struct tarn_span *s, size_t n);

/*@ requires span(s) && \valid(out) && \separated(s, out);
  @ requires \separated(out, s->ptr + (0 .. s->len - 1));
  @ assigns *s, *out;
  @ ensures span(s);
  @ ensures \result <==> n <= \old(s->len);
  @ ensures \result ==> s->len == \old(s->len) - n && s->ptr == \old(s->ptr) + n;
  @ ensures \result ==> out->len == n && out->ptr == \old(s->ptr) && readable(out->ptr, n);
  @ ensures !\result ==> *s == \old(*s) && *out == \old(*out);
  @*/
static inline bool tarn_span_take(struct tarn_span *s, size_t n, struct tarn_span *out);

/*@ requires span(s) && writable((uint8_t *)out, n);
  @ requires \separated(s, (uint8_t *)out + (0 .. n - 1));
  @ requires \separated((uint8_t *)out + (0 .. n - 1), s->ptr + (0 .. s->len - 1));
  @ assigns *s, ((uint8_t *)out)[0 .. n - 1];
  @ ensures span(s);
  @ ensures \result <==> n <= \old(s->len);
  @ ensures \result ==> s->len == \old(s->len) - n && s->ptr == \old(s->ptr) + n;
  @ ensures \result ==> same{Post, Pre}((uint8_t *)out, \old(s->ptr), n);
  @ ensures !\result ==> *s == \old(*s);
  @*/
static inline bool tarn_span_copy(struct tarn_span *s, void *out, size_t n);

/* Kept by the preprocessor's -CC, on one line. */
#define READER(name, type)                                                                         \
    /*@ requires span(s) && \valid(out) && \separated(s, out);                                     \
        requires \separated(out, s->ptr + (0 .. s->len - 1));                                      \
        assigns *s, *out;                                                                          \
        ensures span(s);                                                                           \
        ensures \result <==> sizeof(*out) <= \old(s->len);                                                 \
        ensures \result ==> s->len == \old(s->len) - sizeof(*out) && s->ptr == \old(s->ptr) + sizeof(*out);        \
        ensures !\result ==> *s == \old(*s) && *out == \old(*out); */                              \
    static inline bool tarn_span_##name(struct tarn_span *s, type *out);
READER(u8, uint8_t)
READER(u16be, uint16_t)
READER(u32be, uint32_t)
READER(u64be, uint64_t)
READER(u16le, uint16_t)
READER(u32le, uint32_t)
READER(u64le, uint64_t)

/* Looking. */

/*@ requires readable(s.ptr, s.len);
  @ assigns \nothing;
  @ ensures i < s.len && \result == s.ptr[i];
  @*/
static inline uint8_t tarn_span_at(struct tarn_span s, size_t i);

/*@ requires writable(b.ptr, b.len);
  @ assigns \nothing;
  @ ensures i < b.len && \result == b.ptr + i && \valid(\result);
  @*/
static inline uint8_t *tarn_bytes_at(struct tarn_bytes b, size_t i);

/*@ requires readable(s.ptr, s.len) && \valid(out);
  @ assigns *out;
  @ ensures \result <==> off + len <= s.len;
  @ ensures \result ==> out->ptr == s.ptr + off && out->len == len && readable(out->ptr, len);
  @ ensures !\result ==> *out == \old(*out);
  @*/
static inline bool tarn_span_sub(struct tarn_span s, size_t off, size_t len, struct tarn_span *out);

/*@ requires readable(s.ptr, s.len);
  @ assigns \nothing;
  @ ensures \result.ptr == s.ptr && \result.len == (n < s.len ? n : s.len);
  @ ensures readable(\result.ptr, \result.len);
  @*/
static inline struct tarn_span tarn_span_first(struct tarn_span s, size_t n);

/*@ requires readable(s.ptr, s.len);
  @ assigns \nothing;
  @ ensures \result.len == (n < s.len ? s.len - n : 0);
  @ ensures n < s.len ==> \result.ptr == s.ptr + n;
  @ ensures readable(\result.ptr, \result.len);
  @*/
static inline struct tarn_span tarn_span_after(struct tarn_span s, size_t n);

/*@ requires writable(b.ptr, b.len);
  @ assigns \nothing;
  @ ensures \result.ptr == b.ptr && \result.len == (n < b.len ? n : b.len);
  @ ensures writable(\result.ptr, \result.len);
  @*/
static inline struct tarn_bytes tarn_bytes_first(struct tarn_bytes b, size_t n);

/*@ requires writable(b.ptr, b.len);
  @ assigns \nothing;
  @ ensures \result.len == (n < b.len ? b.len - n : 0);
  @ ensures n < b.len ==> \result.ptr == b.ptr + n;
  @ ensures writable(\result.ptr, \result.len);
  @*/
static inline struct tarn_bytes tarn_bytes_after(struct tarn_bytes b, size_t n);
