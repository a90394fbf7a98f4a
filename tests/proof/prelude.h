/* SPDX-License-Identifier: ISC */
/* It would break contracts apart: */
/* clang-format off */
/* What Frama-C is told of the compiler's built-ins. It comes before everything else.
 *
 * A trap ends the program: behind TARN_ASSERT its condition holds. The memory functions have the
 * contracts of C11 7.24, over bytes. */
#ifndef TARN_PROOF_PRELUDE_H
#define TARN_PROOF_PRELUDE_H
#include <stddef.h>
#include <stdint.h>

/*@ predicate readable{L}(uint8_t *p, integer n) = n >= 0 && (n > 0 ==> \valid_read(p + (0 .. n - 1)));
  @ predicate writable{L}(uint8_t *p, integer n) = n >= 0 && (n > 0 ==> \valid(p + (0 .. n - 1)));
  @ predicate same{L1, L2}(uint8_t *a, uint8_t *b, integer n) =
  @   \forall integer i; 0 <= i < n ==> \at(a[i], L1) == \at(b[i], L2);
  @*/

/*@ assigns \nothing; exits \true; ensures \false; */
void proof_trap(void);

/*@ requires writable(to, n) && readable(from, n);
  @ requires \separated(to + (0 .. n - 1), from + (0 .. n - 1));
  @ assigns to[0 .. n - 1];
  @ ensures same{Post, Pre}(to, from, n);
  @*/
void proof_copy(uint8_t *to, const uint8_t *from, size_t n);

/*@ requires writable(to, n) && readable(from, n);
  @ assigns to[0 .. n - 1];
  @ ensures same{Post, Pre}(to, from, n);
  @*/
void proof_move(uint8_t *to, const uint8_t *from, size_t n);

/*@ requires writable(to, n);
  @ assigns to[0 .. n - 1];
  @ ensures \forall integer i; 0 <= i < n ==> to[i] == (uint8_t)byte;
  @*/
void proof_fill(uint8_t *to, int byte, size_t n);

/*@ requires readable(a, n) && readable(b, n);
  @ assigns \nothing;
  @ ensures \result == 0 <==> same{Here, Here}(a, b, n);
  @*/
int proof_compare(const uint8_t *a, const uint8_t *b, size_t n);

#define __builtin_trap proof_trap
#define __builtin_expect(condition, expected) (condition)
#define __builtin_memcpy(to, from, n) proof_copy((uint8_t *)(to), (const uint8_t *)(from), (n))
#define __builtin_memmove(to, from, n) proof_move((uint8_t *)(to), (const uint8_t *)(from), (n))
#define __builtin_memset(to, byte, n) proof_fill((uint8_t *)(to), (byte), (n))
#define __builtin_memcmp(a, b, n) proof_compare((a), (b), (n))

#endif
