/* SPDX-License-Identifier: ISC */
/* It would break contracts apart: */
/* clang-format off */
/* The contracts of lib/base/src/span.c, and the file itself. */
#include "span.h"

#include "lib/base/src/span.c"

/*@ predicate string{L}(char *s, integer n) =
  @   0 <= n && \valid_read(s + (0 .. n)) && s[n] == 0 && (\forall integer i; 0 <= i < n ==> s[i] != 0);
  @*/

/*@ requires readable(a.ptr, a.len) && readable(b.ptr, b.len);
  @ assigns \nothing;
  @ ensures \result <==> a.len == b.len && same{Here, Here}(a.ptr, b.ptr, a.len);
  @*/
bool tarn_span_equal(struct tarn_span a, struct tarn_span b);

/*@ assigns \nothing;
  @ ensures \result == ('A' <= c <= 'Z' ? c + 32 : c);
  @*/
static uint8_t lower(uint8_t c);

/*@ requires readable(a.ptr, a.len) && readable(b.ptr, b.len);
  @ assigns \nothing;
  @ ensures \result ==> a.len == b.len;
  @*/
bool tarn_span_equal_nocase(struct tarn_span a, struct tarn_span b);

/*@ requires readable(s.ptr, s.len) && readable(prefix.ptr, prefix.len);
  @ assigns \nothing;
  @ ensures \result <==> s.len >= prefix.len && same{Here, Here}(s.ptr, prefix.ptr, prefix.len);
  @*/
bool tarn_span_starts(struct tarn_span s, struct tarn_span prefix);

/*@ requires readable(s.ptr, s.len) && readable(suffix.ptr, suffix.len);
  @ assigns \nothing;
  @ ensures \result ==> s.len >= suffix.len;
  @*/
bool tarn_span_ends(struct tarn_span s, struct tarn_span suffix);

/*@ requires readable(s.ptr, s.len) && i + 8 <= s.len; assigns \nothing; */
static uint64_t word_at(struct tarn_span s, size_t i);

/*@ assigns \nothing; ensures \result == -1 || \result == 1; */
static int word_order(uint64_t x, uint64_t y);

/*@ requires readable(a.ptr, a.len) && readable(b.ptr, b.len);
  @ assigns \nothing;
  @ ensures -1 <= \result <= 1;
  @*/
int tarn_span_compare(struct tarn_span a, struct tarn_span b);

/*@ requires readable(s.ptr, s.len) && \valid(index);
  @ requires \separated(index, s.ptr + (0 .. s.len - 1));
  @ assigns *index;
  @ ensures \result ==> *index < s.len && s.ptr[*index] == byte;
  @ ensures !\result ==> *index == \old(*index);
  @*/
bool tarn_span_find(struct tarn_span s, uint8_t byte, size_t *index);

/*@ requires span(s) && \valid(head) && \separated(s, head);
  @ requires \separated(head, s->ptr + (0 .. s->len - 1));
  @ assigns *s, *head;
  @ ensures span(s) && readable(head->ptr, head->len);
  @*/
bool tarn_span_split(struct tarn_span *s, uint8_t byte, struct tarn_span *head);

/*@ requires \exists integer n; string(str, n);
  @ assigns \nothing;
  @ ensures string(str, \result.len) && \result.ptr == (uint8_t *)str;
  @*/
struct tarn_span tarn_span_str(const char *str);

/*@ requires \exists integer n; string(set, n); assigns \nothing; */
static bool in_set(uint8_t c, const char *set);

/*@ requires readable(s.ptr, s.len) && \exists integer n; string(set, n);
  @ assigns \nothing;
  @ ensures \result.len <= s.len && readable(\result.ptr, \result.len);
  @*/
struct tarn_span tarn_span_trim(struct tarn_span s, const char *set);

/*@ requires 2 <= base <= 16; assigns \nothing; ensures -1 <= \result < (int)base; */
static int digit_value(uint8_t c, unsigned base);

/*@ requires readable(s.ptr, s.len) && \valid(out) && 2 <= base <= 16;
  @ requires \separated(out, s.ptr + (0 .. s.len - 1));
  @ assigns *out;
  @ ensures \result ==> s.len > 0 && *out <= max;
  @ ensures !\result ==> *out == \old(*out);
  @*/
static bool parse_number(struct tarn_span s, unsigned base, uint64_t max, uint64_t *out);

/*@ requires readable(s.ptr, s.len) && \valid(out) && \separated(out, s.ptr + (0 .. s.len - 1));
  @ assigns *out;
  @ ensures \result ==> s.len > 0 && *out <= max;
  @ ensures !\result ==> *out == \old(*out);
  @*/
bool tarn_span_parse_dec(struct tarn_span s, uint64_t max, uint64_t *out);

/*@ requires readable(s.ptr, s.len) && \valid(out) && \separated(out, s.ptr + (0 .. s.len - 1));
  @ assigns *out;
  @ ensures \result ==> s.len > 0 && *out <= max;
  @ ensures !\result ==> *out == \old(*out);
  @*/
bool tarn_span_parse_hex(struct tarn_span s, uint64_t max, uint64_t *out);

/*@ requires writable(dst.ptr, dst.len) && readable(src.ptr, src.len);
  @ requires \separated(dst.ptr + (0 .. dst.len - 1), src.ptr + (0 .. src.len - 1));
  @ assigns dst.ptr[0 .. dst.len - 1];
  @ ensures \result == (dst.len < src.len ? dst.len : src.len);
  @ ensures same{Post, Pre}(dst.ptr, src.ptr, \result);
  @*/
size_t tarn_bytes_copy(struct tarn_bytes dst, struct tarn_span src);

/*@ requires writable(dst.ptr, dst.len) && readable(src.ptr, src.len);
  @ assigns dst.ptr[0 .. dst.len - 1];
  @ ensures \result == (dst.len < src.len ? dst.len : src.len);
  @ ensures same{Post, Pre}(dst.ptr, src.ptr, \result);
  @*/
size_t tarn_bytes_move(struct tarn_bytes dst, struct tarn_span src);

/*@ requires writable(dst.ptr, dst.len);
  @ assigns dst.ptr[0 .. dst.len - 1];
  @ ensures \forall integer i; 0 <= i < dst.len ==> dst.ptr[i] == byte;
  @*/
void tarn_bytes_fill(struct tarn_bytes dst, uint8_t byte);

/*@ requires writable(dst.ptr, dst.len); */
void tarn_bytes_wipe(struct tarn_bytes dst);
