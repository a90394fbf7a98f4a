/* SPDX-License-Identifier: ISC */
/* tarn/compiler.h: what the C language lacks and every library here needs.
 *
 * Two rules of the house live here. A programmer's error traps (TARN_ASSERT, TARN_AT): it never
 * continues with a wrong index. A peer's error never reaches an assertion: it is a return value.
 */
#ifndef TARN_COMPILER_H
#define TARN_COMPILER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TARN_MUST_USE __attribute__((warn_unused_result))
#define TARN_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define TARN_COLD __attribute__((cold, noinline))
#define TARN_LIKELY(x) __builtin_expect(!!(x), 1)
#define TARN_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* clang's -Wunsafe-buffer-usage is an error over lib/. The code between these two is what it does
 * not look at: outside lib/base the pair appears only in files named by tests/lint. */
#ifdef __clang__
#define TARN_UNSAFE_BEGIN _Pragma("clang unsafe_buffer_usage begin")
#define TARN_UNSAFE_END _Pragma("clang unsafe_buffer_usage end")
#else
#define TARN_UNSAFE_BEGIN
#define TARN_UNSAFE_END
#endif

/* The struct that embeds `member`, given a pointer to the member. */
#define TARN_CONTAINER_OF(ptr, type, member)                                                       \
    ((type *)(void *)((uintptr_t)(const volatile void *)(ptr)-offsetof(type, member)               \
                      + 0 * sizeof((ptr) == &((type *)0)->member)))

#define TARN_COUNT_OF(array)                                                                       \
    (sizeof(array) / sizeof((array)[0])                                                            \
     + 0 * sizeof(struct {                                                                         \
           _Static_assert(                                                                         \
               !__builtin_types_compatible_p(__typeof__(array), __typeof__(&(array)[0])),          \
               "an array, not a pointer");                                                         \
           int unused;                                                                             \
       }))

#define TARN_MIN(a, b)                                                                             \
    __extension__({                                                                                \
        __typeof__(a) tarn_a_ = (a);                                                               \
        __typeof__(b) tarn_b_ = (b);                                                               \
        tarn_a_ < tarn_b_ ? tarn_a_ : tarn_b_;                                                     \
    })
#define TARN_MAX(a, b)                                                                             \
    __extension__({                                                                                \
        __typeof__(a) tarn_c_ = (a);                                                               \
        __typeof__(b) tarn_d_ = (b);                                                               \
        tarn_c_ > tarn_d_ ? tarn_c_ : tarn_d_;                                                     \
    })

/* A programmer's error: stop here. The platform turns the trap into a crash report. */
#define TARN_ASSERT(cond)                                                                          \
    do {                                                                                           \
        if (TARN_UNLIKELY(!(cond)))                                                                \
            __builtin_trap();                                                                      \
    } while (0)

TARN_UNSAFE_BEGIN
static inline void *tarn_at_checked(const void *base, size_t item_bytes, size_t count, size_t i) {
    TARN_ASSERT(i < count);
    return (char *)(uintptr_t)base + item_bytes * i;
}
TARN_UNSAFE_END

/* array[i], checked: an lvalue. For arrays whose length the type knows ... */
#define TARN_AT(array, i)                                                                          \
    (*(__typeof__(&(array)[0]))tarn_at_checked((array), sizeof((array)[0]), TARN_COUNT_OF(array),  \
                                               (i)))
/* ... and for memory whose length stands in a variable beside it. */
#define TARN_AT_N(ptr, count, i)                                                                   \
    (*(__typeof__(&(ptr)[0]))tarn_at_checked((ptr), sizeof((ptr)[0]), (count), (i)))

#endif
