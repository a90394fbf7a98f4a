/* SPDX-License-Identifier: ISC */
/* It would break contracts apart: */
/* clang-format off */
/* The contracts of tarn/writer.h and lib/base/src/writer.c, and the file itself. */
#include "span_c.h"

#include <tarn/writer.h>

#include "lib/base/src/writer.c"

/* What has been written is what fits; an overflow is a length above the room, and stays. */
/*@ predicate writer{L}(struct tarn_writer *w) =
  @   \valid(w) && writable(w->ptr, w->cap) && \separated(w, w->ptr + (0 .. w->cap - 1));
  @ predicate grown{L1, L2}(struct tarn_writer *w, integer n) =
  @   \at(w->ptr, L2) == \at(w->ptr, L1) && \at(w->cap, L2) == \at(w->cap, L1)
  @   && \at(w->len, L2) == \min(\at(w->len, L1) + n, SIZE_MAX);
  @*/

/*@ requires writable(p, 2); assigns p[0 .. 1]; */
static inline void tarn_store_u16be(uint8_t *p, uint16_t v);
/*@ requires writable(p, 4); assigns p[0 .. 3]; */
static inline void tarn_store_u32be(uint8_t *p, uint32_t v);
/*@ requires writable(p, 8); assigns p[0 .. 7]; */
static inline void tarn_store_u64be(uint8_t *p, uint64_t v);
/*@ requires writable(p, 2); assigns p[0 .. 1]; */
static inline void tarn_store_u16le(uint8_t *p, uint16_t v);
/*@ requires writable(p, 4); assigns p[0 .. 3]; */
static inline void tarn_store_u32le(uint8_t *p, uint32_t v);
/*@ requires writable(p, 8); assigns p[0 .. 7]; */
static inline void tarn_store_u64le(uint8_t *p, uint64_t v);

/*@ requires writer(w); assigns \nothing; ensures \result <==> w->len <= w->cap; */
static inline bool tarn_writer_ok(const struct tarn_writer *w);

/*@ requires writer(w);
  @ assigns \nothing;
  @ ensures readable(\result.ptr, \result.len);
  @ ensures \result.len == (w->len <= w->cap ? w->len : 0);
  @*/
static inline struct tarn_span tarn_writer_span(const struct tarn_writer *w);

/*@ requires writer(w);
  @ assigns \nothing;
  @ ensures \result == (w->len < w->cap ? w->cap - w->len : 0);
  @*/
static inline size_t tarn_writer_room(const struct tarn_writer *w);

/* Memory of the caller's, all of it inside the room, or NULL; never a part. */
/*@ requires writer(w);
  @ assigns w->len;
  @ ensures writer(w) && grown{Pre, Post}(w, n);
  @ ensures \result != \null ==> \result == w->ptr + \old(w->len) && n > 0 && w->len == \old(w->len) + n;
  @ ensures \result != \null ==> w->len <= w->cap && writable(\result, n);
  @ ensures \result == \null ==> n == 0 || \old(w->len) + n > w->cap || w->ptr + \old(w->len) == \null;
  @*/
static inline uint8_t *tarn_writer_reserve(struct tarn_writer *w, size_t n);

#define PUT(name, type)                                                                            \
    /*@ requires writer(w);                                                                        \
        assigns w->len, w->ptr[0 .. w->cap - 1];                                                   \
        ensures writer(w) && grown{Pre, Post}(w, sizeof(v));                                       \
        ensures \forall integer i; 0 <= i < w->cap && i < \old(w->len)                             \
                                   ==> w->ptr[i] == \old(w->ptr[i]); */                            \
    static inline void tarn_writer_##name(struct tarn_writer *w, type v);
PUT(u8, uint8_t)
PUT(u16be, uint16_t)
PUT(u32be, uint32_t)
PUT(u64be, uint64_t)
PUT(u16le, uint16_t)
PUT(u32le, uint32_t)
PUT(u64le, uint64_t)

/*@ requires writer(w) && readable((uint8_t *)src, n);
  @ requires \separated(w, (uint8_t *)src + (0 .. n - 1));
  @ requires \separated(w->ptr + (0 .. w->cap - 1), (uint8_t *)src + (0 .. n - 1));
  @ assigns w->len, w->ptr[0 .. w->cap - 1];
  @ ensures writer(w) && grown{Pre, Post}(w, n);
  @*/
static inline void tarn_writer_mem(struct tarn_writer *w, const void *src, size_t n);

/*@ requires writer(w);
  @ assigns w->len, w->ptr[0 .. w->cap - 1];
  @ ensures writer(w) && grown{Pre, Post}(w, n);
  @*/
static inline void tarn_writer_zero(struct tarn_writer *w, size_t n);

/*@ requires writer(w) && readable(s.ptr, s.len);
  @ requires \separated(w, s.ptr + (0 .. s.len - 1));
  @ requires \separated(w->ptr + (0 .. w->cap - 1), s.ptr + (0 .. s.len - 1));
  @ assigns w->len, w->ptr[0 .. w->cap - 1];
  @ ensures writer(w) && grown{Pre, Post}(w, s.len);
  @*/
static inline void tarn_writer_span_put(struct tarn_writer *w, struct tarn_span s);

/*@ requires writer(w) && \exists integer n; string(str, n);
  @ requires \forall integer n; string(str, n) ==> \separated(w, (uint8_t *)str + (0 .. n - 1));
  @ requires \forall integer n; string(str, n) ==>
  @   \separated(w->ptr + (0 .. w->cap - 1), (uint8_t *)str + (0 .. n - 1));
  @ assigns w->len, w->ptr[0 .. w->cap - 1];
  @ ensures writer(w);
  @*/
void tarn_writer_str(struct tarn_writer *w, const char *str);

/*@ requires v < 16; assigns \nothing; */
static uint8_t digit(uint64_t v);

/*@ requires writer(w) && (base == 10 || base == 16);
  @ assigns w->len, w->ptr[0 .. w->cap - 1];
  @ ensures writer(w);
  @ ensures digits_min <= 64;
  @*/
static void put_digits(struct tarn_writer *w, uint64_t v, unsigned base, unsigned digits_min);

/*@ requires writer(w); assigns w->len, w->ptr[0 .. w->cap - 1]; ensures writer(w); */
void tarn_writer_dec(struct tarn_writer *w, uint64_t v);
/*@ requires writer(w); assigns w->len, w->ptr[0 .. w->cap - 1]; ensures writer(w); */
void tarn_writer_dec_pad(struct tarn_writer *w, uint64_t v, unsigned digits);
/*@ requires writer(w); assigns w->len, w->ptr[0 .. w->cap - 1]; ensures writer(w); */
void tarn_writer_hex(struct tarn_writer *w, uint64_t v, unsigned digits);

/*@ requires writer(w);
  @ assigns \nothing;
  @ ensures at + n <= w->len && w->len <= w->cap && \result == w->ptr + at && writable(\result, n);
  @*/
static uint8_t *written(struct tarn_writer *w, size_t at, size_t n);

/*@ requires writer(w); assigns w->ptr[0 .. w->cap - 1]; ensures at + 2 <= w->len; */
void tarn_writer_patch_u16be(struct tarn_writer *w, size_t at, uint16_t v);
/*@ requires writer(w); assigns w->ptr[0 .. w->cap - 1]; ensures at + 4 <= w->len; */
void tarn_writer_patch_u32be(struct tarn_writer *w, size_t at, uint32_t v);
